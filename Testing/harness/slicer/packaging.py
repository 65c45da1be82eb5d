"""Asks before it installs; installs nothing."""

import slicer

from HER2NomogramLib.command import not_installed


def pip_ensure(requirements, requester=None, **kwargs):
    missing = ", ".join(not_installed(requirements))
    if missing and not slicer.util.confirmOkCancelDisplay(f"{requester} needs {missing}"):
        raise RuntimeError("User declined package installation")
