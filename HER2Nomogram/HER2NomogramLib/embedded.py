"""The module's logic without Slicer: on slicer-core, Slicer's MRML and segmentation code as a Python package."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path

from .errors import InputError


def load_logic_class() -> type:
    """``HER2NomogramLogic`` from the module file, which is the one that Slicer loads.

    slicer-core has the scene but no application: what a scripted module imports of it is filled in with bare bases.

    Raises
    ------
    InputError
        Where neither Slicer nor slicer-core is there.
    """
    try:
        in_application = importlib.util.find_spec("slicer.ScriptedLoadableModule") is not None
    except ModuleNotFoundError:
        raise InputError("The MRML scene needs Slicer or the package slicer-core: run 'make install'.") from None
    if not in_application:
        _complete_slicer_core()
    folder = str(Path(__file__).resolve().parents[1])
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module("HER2Nomogram").HER2NomogramLogic


def _complete_slicer_core() -> None:
    bases = ("ScriptedLoadableModule", *(f"ScriptedLoadableModule{part}" for part in ("Widget", "Logic", "Test")))
    names = {
        "i18n": {"tr": str, "translate": lambda context, text: text},
        "ScriptedLoadableModule": {
            base: type(base, (), {"__init__": lambda self, parent=None: None}) for base in bases
        },
        "parameterNodeWrapper": {
            "parameterNodeWrapper": lambda cls: cls,
            "Choice": lambda choices: None,
            "WithinRange": lambda minimum, maximum: None,
        },
    }
    for name, members in names.items():
        module = types.ModuleType(f"slicer.{name}", "Stand-in on slicer-core, which has no application.")
        vars(module).update(members)
        sys.modules.setdefault(module.__name__, module)
