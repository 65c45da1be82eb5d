"""Asks before it installs; installs nothing."""

import slicer


def pip_ensure(requirements, requester=None, **kwargs):
    if not slicer.util.confirmOkCancelDisplay(f"{requester} needs {requirements}"):
        raise RuntimeError("User declined package installation")
