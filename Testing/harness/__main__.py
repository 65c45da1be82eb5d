"""Picture of the panel with a phantom and the demonstration model: ``cd Testing && python -m harness panel.png``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from . import HERE, close_panel, load_module, open_panel

MODES = ("train", "validate", "associate")
COHORT = {"open": None, "running": "hang", "finished": "finish", "failed": "fail"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="harness", description=__doc__)
    parser.add_argument("picture", help="PNG file to write")
    parser.add_argument("--model", default="", help="model file (default: the demonstration model)")
    parser.add_argument("--width", type=int, default=500, help="of the panel in pixels (default 500)")
    parser.add_argument("--cohort", choices=COHORT, help="show the section on cohorts alone, in this state")
    parser.add_argument("--mode", default="train", choices=MODES, help="with --cohort: what is done (default train)")
    options = parser.parse_args()
    module = load_module()
    import slicer

    from .samples import phantom_in_scene

    _volume, _segmentation, ids = phantom_in_scene(slicer.mrmlScene, seed=7)
    widget = open_panel(module, options.width)
    widget.ui.modelPathEdit.currentPath = options.model
    widget.ui.excludeSelector.setSelectedSegmentIDs([ids["Pectoral muscle"]])
    widget.ui.pixelSpacingSpinBox.value = 0.2
    temporary = tempfile.TemporaryDirectory(prefix="HER2Nomogram-")
    if options.cohort:
        show_cohort(widget, options.cohort, MODES.index(options.mode), Path(temporary.name))
    else:
        widget.ui.applyButton.click()
        while not widget.ui.applyButton.enabled:  # until the feature engine is there
            slicer.app.processEvents()
            time.sleep(0.02)
    for _ in range(3):  # wrapped labels need a second pass to find their height
        slicer.app.processEvents()
        widget.parent.resize(options.width, widget.parent.layout().totalHeightForWidth(options.width))
    slicer.app.processEvents()
    widget.parent.grab().save(options.picture)
    labels = [widget.ui.probabilityLabel, widget.ui.decisionLabel, widget.ui.cohortStatusLabel]
    print("\n".join([*slicer.app.messages, *(label.text for label in labels if label.text)]))
    close_panel(widget)
    temporary.cleanup()


def show_cohort(widget, state: str, mode: int, folder: Path) -> None:
    """Open the section on cohorts, everything else collapsed, and start a run that does nothing."""
    import slicer

    from HER2NomogramLib.command import CohortRun

    ui = widget.ui
    for section in (ui.inputsCollapsibleButton, ui.clinicalCollapsibleButton, ui.resultCollapsibleButton):
        section.collapsed = True
    ui.cohortCollapsibleButton.collapsed = False
    ui.cohortModeComboBox.setCurrentIndex(mode)
    (folder / "cases.csv").write_text("case_id\n")
    ui.cohortCasesEdit.currentPath = str(folder / "cases.csv")
    ui.cohortFolderEdit.currentPath = str(folder / "results")
    (folder / "results").mkdir()
    if COHORT[state]:
        stub = [sys.executable, str(HERE / "command_stub.py"), COHORT[state]]
        widget.logic.startCohort = lambda choices: CohortRun(choices, stub)
        ui.cohortStartButton.click()
        end = time.monotonic() + 3
        while time.monotonic() < end:
            slicer.app.processEvents()
            time.sleep(0.02)


if __name__ == "__main__":
    main()
