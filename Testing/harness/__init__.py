"""The module's own file on slicer-core and PySide6, for tests and pictures without Slicer.

Only what HER2Nomogram.py uses is imitated: the Python modules in ``slicer/``, ``qt`` and ``ctk`` here, and stand-ins
for Slicer's widgets in ``widgets.py``. The MRML scene and everything in it is Slicer's own.

    from harness import load_module, open_panel
    module = load_module()
    widget = open_panel(module)
    widget.parent.grab().save("panel.png")
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

HERE = Path(__file__).resolve().parent
MODULE_FILE = HERE.parents[1] / "HER2Nomogram" / "HER2Nomogram.py"


def load_module() -> ModuleType:
    """Load HER2Nomogram.py as Slicer does, with a scene of its own in ``slicer.mrmlScene``."""
    _install()
    spec = importlib.util.spec_from_file_location("HER2Nomogram", MODULE_FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["HER2Nomogram"] = module
    spec.loader.exec_module(module)
    return module


def open_panel(module: ModuleType, width: int = 500):
    """The module's widget in a panel of a given width, entered as if the user had chosen the module."""
    import qt
    import slicer

    parent = slicer.qMRMLWidget()
    parent.isEntered = True
    parent.setLayout(qt.QVBoxLayout())
    parent.resize(width, 900)
    widget = module.HER2NomogramWidget(parent)
    widget.setup()
    widget.enter()
    parent.show()
    return widget


class Preparation:
    """Stand-in for the process that compiles the feature engine: over, unless it is said to run."""

    def __init__(self, running: bool = False):
        self.running, self.compiling, self.not_kept, self.output = running, False, False, ""

    def update(self) -> bool:
        return self.running

    def stop(self) -> None:
        self.running = False


def close_panel(widget) -> None:
    """What Slicer does with a widget when the application closes."""
    import slicer

    widget.cleanup()
    for selector in widget.parent.findChildren(slicer.qMRMLNodeComboBox):
        selector.setMRMLScene(None)
    widget.parent.close()


def new_scene():
    """Put a new scene into ``slicer.mrmlScene`` and forget the messages shown so far."""
    import slicer

    slicer.mrmlScene = slicer.vtkMRMLScene()
    slicer.app.messages.clear()
    return slicer.mrmlScene


def _install() -> None:
    for folder in (HERE, MODULE_FILE.parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    import slicer
    import slicer.util

    if str(HERE / "slicer") not in slicer.__path__:
        slicer.__path__.append(str(HERE / "slicer"))
        for name in ("i18n", "ScriptedLoadableModule", "parameterNodeWrapper"):
            sys.modules.pop(f"slicer.{name}", None)  # what the library puts there to run without an application
    import qt

    if qt.QApplication.instance() is None:
        slicer.qt_application = qt.QApplication(["HER2Nomogram tests"])
    import widgets

    _keep_constants_alive()
    slicer.qMRMLWidget, slicer.qMRMLNodeComboBox = widgets.qMRMLWidget, widgets.qMRMLNodeComboBox
    slicer.app = Application()
    slicer.modules = SimpleNamespace(her2nomogram=SimpleNamespace(path=str(MODULE_FILE)))
    slicer.util.errorDisplay = slicer.app.record_error
    slicer.util.confirmOkCancelDisplay = slicer.app.ask
    _register_conversions(slicer)
    new_scene()


def _keep_constants_alive() -> None:
    """Before Python 3.12, give True, False and None references to spare.

    PySide6 6.12 returns them from emit(), disconnect() and processEvents() without counting the reference; after enough
    of them Python stops with "deallocating True or False".
    """
    if sys.version_info < (3, 12):
        for value in (True, False, None):
            counted = ctypes.py_object(value)
            for _ in range(200_000):
                ctypes.pythonapi.Py_IncRef(counted)


def _register_conversions(slicer) -> None:
    """What Slicer's Segmentations module does when the application starts."""
    factory = slicer.vtkSegmentationConverterFactory.GetInstance()
    for name in ("vtkBinaryLabelmapToClosedSurfaceConversionRule", "vtkClosedSurfaceToBinaryLabelmapConversionRule"):
        factory.RegisterConverterRule(getattr(slicer, name)())


class Application:
    """``slicer.app``: counts wait cursors and keeps the messages that a user would have seen."""

    def __init__(self):
        self.messages: list[str] = []
        self.questions: list[str] = []
        self.answer = True
        self.testing = False
        self.waiting = 0

    def testingEnabled(self):
        return self.testing

    def setOverrideCursor(self, cursor):
        self.waiting += 1

    def restoreOverrideCursor(self):
        self.waiting -= 1

    def processEvents(self):
        import qt

        qt.QApplication.processEvents()

    def translate(self, context, text):
        return text

    def record_error(self, text, **kwargs):
        self.messages.append(text)

    def ask(self, text, *args, **kwargs):
        self.questions.append(text)
        return self.answer
