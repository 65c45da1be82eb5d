"""The module's panel: its own file and .ui on PySide6 and slicer-core, through the harness."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import re
import sys
from types import SimpleNamespace

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import pytest
from conftest import wait_until
from test_background import is_running

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
vtk = pytest.importorskip("vtk")
from vtk.util.numpy_support import numpy_to_vtk  # noqa: E402

pytest.importorskip("PySide6", reason="PySide6 is not installed")
pytest.importorskip("radiomics", reason="pyradiomics is not installed")
pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from harness import HERE, Preparation, close_panel, load_module, new_scene, open_panel  # noqa: E402

module = load_module()
from harness.samples import phantom_in_scene, small_model  # noqa: E402
from HER2NomogramLib import command, scene  # noqa: E402
from HER2NomogramLib.command import CohortRun  # noqa: E402
from HER2NomogramLib.derived import derived_names  # noqa: E402
from HER2NomogramLib.modelfile import load_model, save_model  # noqa: E402

STUB = HERE / "command_stub.py"
# Of a signature, one entry per feature.
LISTS = ("features", "means", "scales", "coefficients")


@pytest.fixture
def panel(monkeypatch):
    """An open panel on an empty scene."""
    new_scene()
    slicer.app.answer, slicer.app.testing = True, False
    slicer.app.questions.clear()
    monkeypatch.setattr(module.HER2NomogramLogic, "startEnginePreparation", staticmethod(Preparation))
    widget = open_panel(module)
    yield widget
    close_panel(widget)


@pytest.fixture
def ready(panel, model_path):
    """A panel with everything chosen, and the nodes: volume, segmentation, segment IDs."""
    nodes = phantom_in_scene(slicer.mrmlScene)
    panel.ui.modelPathEdit.currentPath = str(model_path)
    panel._clinicalWidgets["microcalcifications"].setCurrentIndex(2)
    slicer.app.processEvents()
    return panel, *nodes


@pytest.fixture
def applied(ready):
    ready[0].ui.applyButton.click()
    slicer.app.processEvents()
    assert slicer.app.messages == []
    return ready


def table_texts(table, column):
    return [table.item(row, column).text().replace("\n", " ") for row in range(table.rowCount)]


# --- Choosing ---------------------------------------------------------------------------------------------------------


def test_empty_panel_says_what_is_missing_and_shows_the_notice(panel):
    assert not panel.ui.applyButton.enabled
    assert "an image and a segmentation" in panel.ui.applyButton.toolTip
    assert "Research use only" in panel.ui.noticeLabel.text
    assert panel.ui.noticeLabel.visible
    assert not panel.ui.resultFrame.visible
    assert panel.ui.advancedCollapsibleButton.collapsed
    assert panel.ui.pixelSpacingSpinBox.text == "automatic"


def test_what_is_loaded_is_chosen_at_once(ready):
    panel, volume, segmentation, ids = ready
    assert panel.ui.inputVolumeSelector.currentNode() is volume
    assert panel.ui.lesionSelector.currentNode() is segmentation
    assert panel.ui.lesionSelector.currentSegmentID() == ids["Lesion"]
    assert panel.ui.applyButton.enabled
    node = panel._parameterNode
    assert (node.inputVolume, node.segmentation, node.lesionSegmentID) == (volume, segmentation, ids["Lesion"])


def test_apply_needs_a_segment(ready):
    panel, _volume, segmentation, ids = ready
    for segment_id in ids.values():
        segmentation.GetSegmentation().RemoveSegment(segment_id)
    panel.onSegmentsChosen()
    assert not panel.ui.applyButton.enabled
    assert "lesion's segment" in panel.ui.applyButton.toolTip


def test_jpeg_volumes_can_be_chosen_and_label_volumes_cannot(panel):
    for class_name in ("vtkMRMLLabelMapVolumeNode", "vtkMRMLVectorVolumeNode", "vtkMRMLScalarVolumeNode"):
        slicer.mrmlScene.AddNewNodeByClass(class_name, class_name)
    selector = panel.ui.inputVolumeSelector
    assert [selector.itemText(i) for i in range(selector.count)] == [
        "vtkMRMLVectorVolumeNode",
        "vtkMRMLScalarVolumeNode",
    ]


def test_clinical_factors_come_from_the_model(ready):
    panel = ready[0]
    diameter, calcifications = (panel._clinicalWidgets[n] for n in ("tumor_diameter_mm", "microcalcifications"))
    assert "measured" in diameter.placeholderText
    assert "8 – 45 mm" in diameter.placeholderText
    assert [calcifications.itemText(i) for i in range(calcifications.count)] == ["", "absent", "present"]


def test_another_model_brings_its_own_factors_and_keeps_what_was_typed(ready, tmp_path, model_path):
    panel = ready[0]
    panel._clinicalWidgets["tumor_diameter_mm"].setText("17.5")
    other = tmp_path / "other.json"
    small_model(other, clinical=(), name="Without clinical factors")
    panel.ui.modelPathEdit.currentPath = str(other)
    assert panel._clinicalWidgets == {}
    assert panel.ui.modelLabel.text == "Without clinical factors"
    panel.ui.modelPathEdit.currentPath = str(model_path)
    assert panel._clinicalWidgets["tumor_diameter_mm"].text == "17.5"
    assert panel._clinicalWidgets["microcalcifications"].currentText == "present"


def test_a_file_that_is_no_model_is_said_beside_the_field(ready, tmp_path):
    panel = ready[0]
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    panel.ui.modelPathEdit.currentPath = str(wrong)
    assert "not a HER2Nomogram model" in panel.ui.modelLabel.text
    assert slicer.app.messages == []
    assert "Research use only" in panel.ui.noticeLabel.text


def test_spacing_in_use_is_shown_with_its_source(ready):
    panel, volume, *_ = ready
    assert panel.ui.spacingLabel.text == "0.2 mm: as set in the volume node, source unknown"
    panel.ui.pixelSpacingSpinBox.value = 0.15
    assert panel.ui.spacingLabel.text == "0.15 mm: given by the user"
    volume.SetSpacing(1.0, 1.0, 1.0)
    panel.ui.pixelSpacingSpinBox.value = 0.0
    assert "give the pixel spacing" in panel.ui.spacingLabel.text


# --- Applying ---------------------------------------------------------------------------------------------------------


def test_result_is_what_the_logic_says(applied, model_path):
    panel, volume, segmentation, ids = applied
    prediction = panel.logic.predict(
        volume, segmentation, ids["Lesion"], {"microcalcifications": "present"}, modelPath=model_path
    )
    ui = panel.ui
    low, high = prediction.interval
    assert ui.probabilityLabel.text == f"{prediction.probability:.0%}"
    assert f"95% interval {low:.0%} to {high:.0%}" in ui.intervalLabel.text
    assert ("HER2-positive" if prediction.positive else "HER2-negative") in ui.decisionLabel.text
    assert f"{prediction.cutoff:.0%}" in ui.decisionLabel.text
    assert ui.noticeLabel.text == prediction.notice
    assert "DEMONSTRATION" in ui.noticeLabel.text
    for warning in prediction.warnings:
        assert warning[1:] in ui.warningsLabel.text
    assert "was measured from the segment" in ui.warningsLabel.text
    assert ui.warningsLabel.visible
    assert not ui.emptyLabel.visible
    features = prediction.selected_features
    assert ui.featuresTable.rowCount == len(features)
    assert table_texts(ui.featuresTable, 0) == [f.region.replace("_", " ") for f in features]
    assert table_texts(ui.featuresTable, 2) == [f"{f.value:.4g}" for f in features]
    assert table_texts(ui.featuresTable, 5) == [f"{f.contribution:+.2f}" for f in features]
    assert [ui.featuresTable.item(row, 1).toolTip() for row in range(len(features))] == [f.column for f in features]
    assert not ui.featuresTable.sortingEnabled


@pytest.mark.parametrize(("probability", "text"), [(0.001, "< 1%"), (0.999, "> 99%"), (0.126, "13%")])
def test_no_probability_is_shown_as_certain(probability, text):
    assert module.HER2NomogramWidget._percent(probability) == text


def test_picture_follows_the_width_of_the_panel(applied):
    panel = applied[0]
    widths = []
    for width in (450, 700, 420):
        panel.parent.resize(width, 1300)
        slicer.app.processEvents()
        slicer.app.processEvents()
        widths.append(panel.ui.nomogramLabel.pixmap.width())
        assert abs(widths[-1] - panel.ui.resultFrame.width) < 8
    assert widths[1] > widths[0] > widths[2]


def test_regions_are_shown_and_applying_twice_does_not_double_them(applied):
    panel, volume, segmentation, ids = applied
    segments = segmentation.GetSegmentation()
    assert segments.GetNumberOfSegments() == 4
    before = {name: scene.segment_mask(segmentation, i, volume) for name, i in ids.items()}
    tables = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode")
    panel.ui.applyButton.click()
    assert segments.GetNumberOfSegments() == 4
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode") == tables == 1
    for name, segment_id in ids.items():
        assert (scene.segment_mask(segmentation, segment_id, volume) == before[name]).all()
    assert not panel.ui.staleLabel.visible
    assert panel.ui.lesionSelector.currentSegmentID() == ids["Lesion"]


def test_regions_can_be_left_out(ready):
    panel, _volume, segmentation, _ids = ready
    panel.ui.showRegionsCheckBox.checked = False
    panel.ui.applyButton.click()
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 2
    assert panel.ui.resultFrame.visible


def test_result_stays_where_regions_cannot_be_written(ready):
    panel, _volume, segmentation, _ids = ready
    segmentation.CreateClosedSurfaceRepresentation()
    segmentation.SetSourceRepresentationToClosedSurface()
    panel.ui.applyButton.click()
    assert panel.ui.resultFrame.visible
    assert panel.ui.resultFrame.enabled
    assert "closed surface" in panel.ui.statusLabel.text


# --- A result must not look current when it is not --------------------------------------------------------------------


def edit_lesion(panel, volume, segmentation, ids):
    """As Segment Editor writes one stroke of its brush."""
    mask = scene.segment_mask(segmentation, ids["Lesion"], volume)
    write_segment(volume, segmentation, ids["Lesion"], np.roll(mask, 1, axis=0))


def write_segment(volume, segmentation, segment_id, mask):
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    drawn = scene.add_segmentation(slicer.mrmlScene, {"Drawn": mask}, volume, "Temporary")
    labelmap = drawn.GetBinaryLabelmapInternalRepresentation(drawn.GetSegmentation().GetNthSegmentID(0))
    logic.SetBinaryLabelmapToSegment(labelmap, segmentation, segment_id, logic.MODE_REPLACE)
    slicer.mrmlScene.RemoveNode(drawn)


def clear_lesion(panel, volume, segmentation, ids):
    slicer.vtkSlicerSegmentationsModuleLogic.ClearSegment(segmentation, ids["Lesion"])


def move_segmentation(panel, volume, segmentation, ids):
    made = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    segmentation.SetAndObserveTransformNodeID(made.GetID())
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 4.0)
    made.SetMatrixTransformToParent(matrix)


CHANGES = {
    "lesion": lambda panel, v, s, ids: panel.ui.lesionSelector.setCurrentSegmentID(ids["Pectoral muscle"]),
    "excluded": lambda panel, v, s, ids: panel.ui.excludeSelector.setSelectedSegmentIDs([ids["Pectoral muscle"]]),
    "spacing": lambda panel, v, s, ids: setattr(panel.ui.pixelSpacingSpinBox, "value", 0.3),
    "model": lambda panel, v, s, ids: setattr(panel.ui.modelPathEdit, "currentPath", "/elsewhere.json"),
    "diameter": lambda panel, v, s, ids: panel._clinicalWidgets["tumor_diameter_mm"].setText("30"),
    "calcifications": lambda panel, v, s, ids: panel._clinicalWidgets["microcalcifications"].setCurrentIndex(1),
    "engine": lambda panel, v, s, ids: panel.ui.engineComboBox.setCurrentIndex(2),
    "pixels": lambda panel, v, s, ids: v.InvokeEvent(slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent),
    "edited": edit_lesion,
    "cleared": clear_lesion,
    "moved": move_segmentation,
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_inputs_make_the_result_stale(applied, change):
    panel = applied[0]
    assert not panel.ui.staleLabel.visible
    CHANGES[change](*applied)
    assert panel.ui.staleLabel.visible
    assert not panel.ui.resultFrame.enabled


def test_taking_a_change_back_makes_the_result_current_again(applied):
    panel = applied[0]
    panel.ui.pixelSpacingSpinBox.value = 0.3
    panel.ui.pixelSpacingSpinBox.value = 0.0
    assert not panel.ui.staleLabel.visible
    assert panel.ui.resultFrame.enabled


def test_edits_that_do_not_matter_leave_the_result_current(applied):
    panel, volume, segmentation, ids = applied
    write_segment(volume, segmentation, ids["Pectoral muscle"], np.eye(640, 448, dtype=bool))
    segmentation.GetSegmentation().GetSegment(ids["Lesion"]).SetName("Tumor")
    segmentation.CreateClosedSurfaceRepresentation()
    assert not panel.ui.staleLabel.visible


def test_showing_the_regions_or_not_is_no_input(applied):
    panel = applied[0]
    panel.ui.showRegionsCheckBox.checked = False
    assert not panel.ui.staleLabel.visible


def test_lesion_edited_while_another_module_is_open(applied):
    panel, volume, segmentation, ids = applied
    before = scene.segment_mask(segmentation, ids["Lesion"], volume)
    panel.exit()
    edit_lesion(*applied)
    panel.enter()
    assert panel.ui.staleLabel.visible
    panel.exit()
    write_segment(volume, segmentation, ids["Lesion"], before)
    panel.enter()
    assert not panel.ui.staleLabel.visible


def test_applying_again_makes_it_current(applied):
    panel = applied[0]
    panel._clinicalWidgets["tumor_diameter_mm"].setText("30")
    before = panel.ui.probabilityLabel.text
    panel.ui.applyButton.click()
    assert not panel.ui.staleLabel.visible
    assert panel.ui.probabilityLabel.text != before


# --- What goes wrong --------------------------------------------------------------------------------------------------


def test_bad_input_is_one_line_in_the_panel_and_a_message(ready):
    panel = ready[0]
    panel._clinicalWidgets["tumor_diameter_mm"].setText("big")
    panel.ui.applyButton.click()
    (message,) = slicer.app.messages
    assert "'big'" in message
    assert "\n" not in message
    assert panel.ui.statusLabel.text == message
    assert panel.ui.statusLabel.visible
    assert not panel.ui.resultFrame.visible
    assert slicer.app.waiting == 0
    panel._clinicalWidgets["tumor_diameter_mm"].setText("20")
    panel.ui.applyButton.click()
    assert not panel.ui.statusLabel.visible
    assert panel.ui.resultFrame.visible


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p, v, s, ids: p._clinicalWidgets["microcalcifications"].setCurrentIndex(0), "Microcalcifications"),
        (lambda p, v, s, ids: slicer.vtkSlicerSegmentationsModuleLogic.ClearSegment(s, ids["Lesion"]), "empty"),
        (lambda p, v, s, ids: v.SetSpacing(1.0, 1.0, 1.0), "pixel spacing"),
        (lambda p, v, s, ids: v.SetAttribute(scene.KIND_ATTRIBUTE, "low_energy"), "low_energy"),
        (lambda p, v, s, ids: setattr(p.ui.modelPathEdit, "currentPath", "/gone.json"), "cannot be read"),
        (lambda p, v, s, ids: p.ui.engineComboBox.setCurrentIndex(2), "SlicerRadiomics extension is needed"),
        (lambda p, v, s, ids: v.SetAndObserveImageData(None), "No image"),
    ],
)
def test_every_refusal_is_one_line(ready, spoil, reason, capsys):
    panel = ready[0]
    spoil(*ready)
    panel.ui.applyButton.click()
    (message,) = slicer.app.messages
    assert reason in message
    assert "\n" not in message
    assert panel.ui.statusLabel.text == message
    assert "Traceback" not in capsys.readouterr().err


def test_an_old_result_does_not_look_current_after_a_refusal(applied):
    panel = applied[0]
    panel._clinicalWidgets["tumor_diameter_mm"].setText("big")
    panel.ui.applyButton.click()
    assert panel.ui.staleLabel.visible
    assert not panel.ui.resultFrame.enabled


def test_a_programming_error_is_not_swallowed(ready, monkeypatch):
    panel = ready[0]

    def fail(*args, **kwargs):
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(panel.logic, "predict", fail)
    with pytest.raises(ZeroDivisionError):
        panel.onApply()
    assert slicer.app.messages == ["The prediction failed.\n\ninside"]
    assert slicer.app.waiting == 0


def without(monkeypatch, package):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == package else find(name, *a))


def test_pyradiomics_takes_over_with_a_notice(ready, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    slicer.app.answer = False
    ui = ready[0].ui
    ui.applyButton.click()
    assert ui.resultFrame.visible
    notice = ready[0].logic.engineNotice
    assert f"⚠ {notice[0].upper()}{notice[1:]}" in ui.warningsLabel.text.splitlines()
    assert "needs the package numba" in ui.warningsLabel.text
    assert not ui.statusLabel.visible
    monkeypatch.undo()
    ui.applyButton.click()
    assert "numba" not in ui.warningsLabel.text


def test_missing_radiomics_says_how_to_get_it(ready, monkeypatch):
    without(monkeypatch, "radiomics")
    monkeypatch.setitem(sys.modules, "numba", None)
    slicer.app.answer = False
    ready[0].ui.applyButton.click()
    assert slicer.app.messages == [scene.RADIOMICS_MISSING]


def test_without_matplotlib_all_but_the_picture_is_shown_and_nobody_is_asked_twice(ready, monkeypatch):
    panel = ready[0]
    without(monkeypatch, "matplotlib")
    slicer.app.answer = False
    panel.ui.applyButton.click()
    assert slicer.app.questions == ["HER2 Nomogram needs matplotlib>=3.8"]
    assert panel.ui.probabilityLabel.text.endswith("%")
    assert panel.ui.featuresTable.rowCount == 5
    assert "matplotlib" in panel.ui.pictureMissingLabel.text
    assert panel.ui.pictureMissingLabel.visible
    assert not panel.ui.nomogramLabel.visible
    assert slicer.app.messages == []
    panel.ui.applyButton.click()
    assert len(slicer.app.questions) == 1
    monkeypatch.undo()
    panel.ui.installPlottingButton.click()
    assert panel.ui.nomogramLabel.visible
    assert not panel.ui.pictureMissingLabel.visible
    assert not panel.ui.installPlottingButton.visible


def test_before_slicer_5_11_matplotlib_is_asked_for_and_installed_by_hand(ready, monkeypatch):
    panel = ready[0]
    find, installed = importlib.util.find_spec, []
    there = {"slicer.packaging": False, "matplotlib": False}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: find(name, *a) if there.get(name, True) else None)
    monkeypatch.setattr(
        slicer.util, "pip_install", lambda what: installed.append(what) or there.update(matplotlib=True)
    )
    panel.ui.applyButton.click()
    assert "matplotlib" in slicer.app.questions[0]
    assert installed == ["matplotlib>=3.8"]
    assert panel.ui.nomogramLabel.visible


def test_nothing_is_installed_while_slicer_tests_itself(ready, monkeypatch):
    without(monkeypatch, "matplotlib")
    slicer.app.testing = True
    ready[0].ui.applyButton.click()
    assert slicer.app.questions == []
    assert ready[0].ui.pictureMissingLabel.visible


# --- The feature engine -----------------------------------------------------------------------------------------------


@pytest.fixture
def preparing(ready, monkeypatch):
    """The panel with a process that compiles the engine, which ends when the test says so."""
    panel, process = ready[0], Preparation(running=True)
    monkeypatch.setattr(panel.logic, "startEnginePreparation", lambda: process, raising=False)
    panel._preparation = None
    panel.enter()
    return panel, process


def ended(panel, process):
    process.running = False
    process_events_until(lambda: not panel._preparationTimer.isActive())


def test_the_engine_is_prepared_once_when_the_panel_is_opened(preparing, monkeypatch):
    panel, process = preparing
    assert panel._preparation is process
    assert panel._preparationTimer.isActive()
    assert not panel.ui.statusLabel.visible  # nobody waits for it
    assert panel.ui.applyButton.enabled
    ended(panel, process)
    assert not panel.ui.resultFrame.visible
    monkeypatch.setattr(panel.logic, "startEnginePreparation", lambda: pytest.fail("twice"))
    panel.exit()
    panel.enter()
    panel.ui.applyButton.click()
    assert panel.ui.resultFrame.visible


def test_apply_waits_for_the_engine_and_says_so_while_slicer_responds(preparing):
    panel, process = preparing
    ui = panel.ui
    ui.applyButton.click()
    assert ui.statusLabel.text == "Loading the feature engine ..."
    assert ui.statusLabel.visible
    assert not ui.applyButton.enabled
    process.compiling = True
    process_events_until(lambda: "Compiling the feature engine" in ui.statusLabel.text)
    assert not ui.resultFrame.visible
    panel._clinicalWidgets["tumor_diameter_mm"].setText("20")  # other choices can be made meanwhile
    assert not ui.applyButton.enabled
    panel.onApply()
    assert slicer.app.waiting == 0
    assert "b3261e" not in ui.statusLabel.styleSheet  # the color of what is wrong
    ended(panel, process)
    assert ui.resultFrame.visible
    assert not ui.staleLabel.visible
    assert not ui.statusLabel.visible
    assert ui.applyButton.enabled


def test_an_error_after_the_wait_leaves_no_message_of_the_wait(preparing, monkeypatch):
    panel, process = preparing
    panel.ui.applyButton.click()
    panel._clinicalWidgets["tumor_diameter_mm"].setText("big")
    ended(panel, process)
    assert "'big'" in panel.ui.statusLabel.text
    assert "b3261e" in panel.ui.statusLabel.styleSheet
    monkeypatch.setattr(panel.logic, "predict", lambda *args, **kwargs: 1 / 0)
    panel._showStatus("Loading the feature engine ...")
    with pytest.raises(ZeroDivisionError):
        panel._apply()
    assert not panel.ui.statusLabel.visible
    assert panel.ui.applyButton.enabled
    assert slicer.app.waiting == 0


def test_choosing_another_engine_ends_the_wait(preparing):
    panel, process = preparing
    panel.ui.applyButton.click()
    panel.ui.engineComboBox.setCurrentIndex(1)
    process_events_until(lambda: panel.ui.applyButton.enabled)
    assert not panel.ui.statusLabel.visible
    assert not panel.ui.resultFrame.visible
    assert process.running
    panel.ui.applyButton.click()
    assert panel.ui.resultFrame.visible


def test_a_failed_apply_does_not_use_up_the_message(preparing):
    panel, _process = preparing
    panel.ui.modelPathEdit.currentPath = "/gone.json"
    panel.ui.applyButton.click()  # refused at once: there is nothing to wait for
    assert "cannot be read" in panel.ui.statusLabel.text
    panel.ui.modelPathEdit.currentPath = ""
    panel.ui.applyButton.click()
    assert panel.ui.statusLabel.text == "Loading the feature engine ..."


@pytest.mark.parametrize("leave", ["exit", "close", "import"])
def test_what_happens_to_the_scene_ends_the_wait(preparing, leave):
    panel, process = preparing
    panel.ui.applyButton.click()
    if leave == "exit":
        panel.exit()
    elif leave == "close":
        slicer.mrmlScene.Clear(0)
    else:
        slicer.mrmlScene.StartState(slicer.vtkMRMLScene.ImportState)
        slicer.mrmlScene.EndState(slicer.vtkMRMLScene.ImportState)
    assert not panel.ui.statusLabel.visible
    ended(panel, process)
    assert not panel.ui.resultFrame.visible
    assert slicer.app.messages == []
    if leave == "exit":
        panel.enter()
    assert panel.ui.applyButton.enabled is (leave != "close")


@pytest.mark.parametrize("package", ["numba", "matplotlib"])
def test_the_scene_may_be_closed_while_the_user_is_asked_for_packages(ready, monkeypatch, capsys, package):
    """The one is asked for before the prediction, the other when there is a result already."""
    panel, asked = ready[0], []
    monkeypatch.setitem(sys.modules, "numba", None if package == "numba" else sys.modules.get("numba"))
    without(monkeypatch, package)

    def ask(*args, **kwargs):
        asked.append(panel.ui.resultFrame.visible)
        assert not panel.ui.applyButton.enabled
        panel.onApply()  # a key that was pressed twice
        slicer.mrmlScene.Clear(0)
        return False

    monkeypatch.setattr(panel, "_packagesAvailable", ask)
    panel.ui.applyButton.click()
    assert asked == [package == "matplotlib"]
    assert slicer.app.messages == []
    assert "Traceback" not in capsys.readouterr().err
    assert not panel.ui.resultFrame.visible
    assert not panel.ui.applyButton.enabled
    phantom_in_scene(slicer.mrmlScene)
    assert panel.ui.applyButton.enabled


def test_only_the_fast_engine_is_prepared_and_only_numba_asked_for(ready, monkeypatch):
    panel = ready[0]
    monkeypatch.setattr(panel.logic, "startEnginePreparation", lambda: pytest.fail("not wanted"))
    panel._preparation = None
    panel.ui.engineComboBox.setCurrentIndex(1)
    panel.enter()
    panel.ui.applyButton.click()
    assert panel.ui.resultFrame.visible
    panel.ui.engineComboBox.setCurrentIndex(0)
    monkeypatch.setitem(sys.modules, "numba", None)
    slicer.app.answer = False
    panel.ui.applyButton.click()
    panel.ui.applyButton.click()
    assert slicer.app.questions == ["HER2 Nomogram needs numba>=0.61"]
    assert not panel.ui.statusLabel.visible


def test_where_compiled_code_cannot_be_kept_it_is_said_before_the_window_stands_still(preparing, monkeypatch):
    panel, process = preparing
    process.running, process.not_kept = False, True
    predict, said = panel.logic.predict, []

    def predicted(*args, **kwargs):
        said.append(panel.ui.statusLabel.text if panel.ui.statusLabel.visible else "")
        return predict(*args, **kwargs)

    monkeypatch.setattr(panel.logic, "predict", predicted)
    for _ in range(2):
        panel.ui.applyButton.click()
        process_events_until(lambda: panel.ui.applyButton.enabled)
    assert ["does not respond" in text for text in said] == [True, False]


def test_without_a_python_to_start_the_engine_is_compiled_when_it_is_needed(ready, monkeypatch):
    def refuse():
        raise module.InputError("Slicer's Python (PythonSlicer) was not found: reinstall Slicer.")

    panel = ready[0]
    monkeypatch.setattr(panel.logic, "startEnginePreparation", refuse)
    panel._preparation = None
    panel.enter()
    panel.ui.applyButton.click()
    assert panel.ui.resultFrame.visible
    assert slicer.app.messages == []


def test_the_preparation_ends_with_the_panel(preparing):
    panel, process = preparing
    panel.ui.applyButton.click()
    panel.cleanup()
    assert not process.running
    assert not panel._preparationTimer.isActive()


# --- Pixels that are NaN or infinite ----------------------------------------------------------------------------------


def spoil_pixels(volume, value, where):
    pixels = scene.mammogram_from_volume(volume).pixels.astype(np.float32)
    pixels[where] = value
    volume.GetImageData().GetPointData().SetScalars(numpy_to_vtk(pixels.ravel(), deep=True))
    volume.Modified()


@pytest.fixture
def unfiltered_path(model_path, tmp_path):
    """The small model without the features of filtered images, which pixels far away reach too."""

    def of_original(signature):
        kept = [i for i, column in enumerate(signature.features) if "__original_" in column]
        lists = {name: tuple(getattr(signature, name)[i] for i in kept) for name in LISTS}
        return dataclasses.replace(signature, **lists)

    small = load_model(model_path)
    signatures = {region: of_original(signature) for region, signature in small.signatures.items()}
    save_model(dataclasses.replace(small, signatures=signatures), tmp_path / "unfiltered.json")
    return tmp_path / "unfiltered.json"


@pytest.mark.parametrize("engine", [0, 1])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_a_warning_where_they_do_not_matter(
    ready, unfiltered_path, value, engine, capsys
):
    panel, volume, _segmentation, _ids = ready
    spoil_pixels(volume, value, np.s_[:3, -5:])
    panel.ui.engineComboBox.setCurrentIndex(engine)
    panel.ui.modelPathEdit.currentPath = str(unfiltered_path)
    assert panel.ui.spacingLabel.text.startswith("0.2 mm")
    panel.ui.applyButton.click()
    assert slicer.app.messages == []
    assert "⚠ The image has 15 pixels that are NaN or infinite" in panel.ui.warningsLabel.text
    assert panel.ui.nomogramLabel.visible
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("where", ["lesion", "corner"])
def test_pixels_that_reach_the_model_and_are_no_numbers_are_refused_in_one_line(ready, where, capsys):
    """Those of the lesion reach every feature, those of the corner the filtered images."""
    panel, volume, segmentation, ids = ready
    rows, columns = np.nonzero(scene.segment_mask(segmentation, ids["Lesion"], volume))
    middle = (rows[len(rows) // 2], columns[len(rows) // 2])
    spoil_pixels(volume, np.nan, middle if where == "lesion" else (0, 0))
    panel.ui.applyButton.click()
    (message,) = slicer.app.messages
    assert "not a number" in message or "NaN" in message
    assert "\n" not in message
    assert panel.ui.statusLabel.text == message
    assert not panel.ui.resultFrame.visible
    assert "Traceback" not in capsys.readouterr().err


def test_an_image_of_nothing_but_nan_is_refused_beside_the_field_and_on_apply(ready):
    panel, volume, *_ = ready
    spoil_pixels(volume, np.nan, np.s_[:])
    panel.onParametersChanged()
    assert "NaN" in panel.ui.spacingLabel.text
    panel.ui.applyButton.click()
    (message,) = slicer.app.messages
    assert "NaN" in message and "\n" not in message


# --- Scene and life ---------------------------------------------------------------------------------------------------


def test_closing_the_scene_clears_the_panel(applied):
    panel = applied[0]
    slicer.mrmlScene.Clear(0)
    assert not panel.ui.resultFrame.visible
    assert panel.ui.emptyLabel.visible
    assert not panel.ui.applyButton.enabled
    volume, _segmentation, ids = phantom_in_scene(slicer.mrmlScene)
    assert panel._parameterNode.inputVolume is volume
    assert panel._parameterNode.lesionSegmentID == ids["Lesion"]
    assert panel.ui.applyButton.enabled


def test_choices_are_restored_with_the_scene(ready):
    panel, _volume, _segmentation, ids = ready
    panel._clinicalWidgets["tumor_diameter_mm"].setText("23")
    panel.ui.lesionSelector.setCurrentSegmentID(ids["Pectoral muscle"])
    panel.ui.excludeSelector.setSelectedSegmentIDs([ids["Lesion"]])
    panel.exit()
    other = open_panel(module)
    assert other._clinicalWidgets["tumor_diameter_mm"].text == "23"
    assert other._clinicalWidgets["microcalcifications"].currentText == "present"
    assert other.ui.lesionSelector.currentSegmentID() == ids["Pectoral muscle"]
    assert list(other.ui.excludeSelector.selectedSegmentIDs()) == [ids["Lesion"]]
    assert other.ui.modelPathEdit.currentPath == panel.ui.modelPathEdit.currentPath
    close_panel(other)


def test_loading_a_scene_with_the_panel_open_keeps_its_choices(ready):
    """Slicer brings the parameter node in before the segments that it names."""
    panel, _volume, segmentation, ids = ready
    panel.ui.lesionSelector.setCurrentSegmentID(ids["Pectoral muscle"])
    panel.ui.excludeSelector.setSelectedSegmentIDs([ids["Lesion"]])
    node = panel.logic.getParameterNode()
    stored = slicer.vtkSegmentation()
    stored.DeepCopy(segmentation.GetSegmentation())
    slicer.mrmlScene.StartState(slicer.vtkMRMLScene.ImportState)
    segmentation.GetSegmentation().RemoveAllSegments()
    node.parameterNode.Modified()
    segmentation.GetSegmentation().DeepCopy(stored)
    slicer.mrmlScene.EndState(slicer.vtkMRMLScene.ImportState)
    assert panel._parameterNode.lesionSegmentID == ids["Pectoral muscle"]
    assert list(panel._parameterNode.excludeSegmentIDs) == [ids["Lesion"]]
    assert panel.ui.lesionSelector.currentSegmentID() == ids["Pectoral muscle"]


def test_emptied_model_field_is_the_demonstration_model(ready):
    panel, *_ = ready
    assert panel.ui.modelLabel.text == "Small test model"
    panel.ui.modelPathEdit.currentPath = ""
    assert panel._parameterNode.modelPath == ""
    assert "demonstration" in panel.ui.modelLabel.text


def test_another_segmentation_starts_without_excluded_segments(ready):
    panel, volume, _segmentation, ids = ready
    panel.ui.excludeSelector.setSelectedSegmentIDs([ids["Pectoral muscle"]])
    other = scene.add_segmentation(slicer.mrmlScene, {"Mass": np.eye(640, 448, dtype=bool)}, volume, "Second reader")
    panel.ui.lesionSelector.setCurrentNode(other)
    node = panel._parameterNode
    assert node.segmentation is other
    assert node.lesionSegmentID == other.GetSegmentation().GetNthSegmentID(0)
    assert list(node.excludeSegmentIDs) == []


def test_removed_lesion_segment_is_not_held_on_to(ready):
    panel, _volume, segmentation, ids = ready
    segmentation.GetSegmentation().RemoveSegment(ids["Lesion"])
    assert panel._parameterNode.lesionSegmentID == ids["Pectoral muscle"]


def test_reload_forgets_the_library_modules(panel, monkeypatch):
    import sys

    names = [name for name in sys.modules if name.partition(".")[0] == "HER2NomogramLib"]
    for name in names:  # so that they are back after the test
        monkeypatch.setitem(sys.modules, name, sys.modules[name])
    panel.onReload()
    assert panel.reloaded
    assert not any(name.startswith("HER2NomogramLib") for name in sys.modules)


def test_extrapolated_result_is_not_called(applied):
    panel, *_ = applied
    panel._showPrediction(dataclasses.replace(panel._prediction, probability=0.9999, extrapolated=True))
    assert panel.ui.probabilityLabel.text == "> 99%"
    assert "Not usable" in panel.ui.decisionLabel.text and "HER2-positive" not in panel.ui.decisionLabel.text


# --- Cohort -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def cohort(panel, tmp_path, monkeypatch):
    """A panel with the files of a cohort chosen, and how a run of it behaves: ``cohort.behavior``."""
    folder = tmp_path / "results"
    folder.mkdir()
    for name in ("cases.csv", "features.csv"):
        (tmp_path / name).write_text("case_id\n")
    chosen = SimpleNamespace(panel=panel, ui=panel.ui, folder=folder, behavior="finish", features=tmp_path)
    monkeypatch.setattr(
        panel.logic, "startCohort", lambda choices: CohortRun(choices, [sys.executable, str(STUB), chosen.behavior])
    )
    panel.ui.cohortCollapsibleButton.collapsed = False
    panel.ui.cohortCasesEdit.currentPath = str(tmp_path / "cases.csv")
    panel.ui.cohortFeaturesEdit.currentPath = str(tmp_path / "features.csv")
    panel.ui.cohortFolderEdit.currentPath = str(folder)
    return chosen


def process_events_until(condition):
    wait_until(lambda: slicer.app.processEvents() or condition())


def run_to_its_end(cohort, behavior):
    cohort.behavior = behavior
    cohort.ui.cohortStartButton.click()
    assert not cohort.ui.cohortStartButton.enabled
    assert cohort.ui.cohortCancelButton.enabled
    process_events_until(lambda: not cohort.ui.cohortCancelButton.enabled)


def test_cohort_needs_a_table_and_a_folder(panel, tmp_path):
    ui = panel.ui
    assert ui.cohortCollapsibleButton.collapsed
    assert not ui.cohortStartButton.enabled
    assert ui.cohortStartButton.toolTip == "Choose the case table and the output folder first."
    ui.cohortCasesEdit.currentPath = str(tmp_path / "cases.csv")
    ui.cohortFolderEdit.currentPath = str(tmp_path)
    assert ui.cohortStartButton.enabled
    ui.cohortNameEdit.setText(" ")
    assert "a name for the model" in ui.cohortStartButton.toolTip
    ui.cohortNameEdit.setText("x")
    ui.cohortCasesEdit.currentPath = ""
    assert not ui.cohortStartButton.enabled
    assert not ui.cohortCancelButton.enabled
    assert not ui.openReportButton.enabled
    assert not ui.useModelButton.enabled


def test_training_from_the_panel(cohort, monkeypatch):
    import qt

    ui, opened = cohort.ui, []
    run_to_its_end(cohort, "finish")
    report, model = cohort.folder / "HER2_nomogram_report.html", cohort.folder / "HER2_nomogram.json"
    assert ui.cohortStatusLabel.text == f"Done: {model.name} and {report.name} in {cohort.folder}."
    assert ui.cohortStatusLabel.visible
    assert not ui.cohortProgressBar.visible
    assert ui.cohortStartButton.enabled
    assert ui.cohortChoicesFrame.enabled
    monkeypatch.setattr(qt, "QDesktopServices", SimpleNamespace(openUrl=opened.append), raising=False)
    ui.openReportButton.click()
    assert opened == [qt.QUrl.fromLocalFile(str(report))]
    ui.useModelButton.click()
    assert ui.modelPathEdit.currentPath == str(model)
    assert cohort.panel._parameterNode.modelPath == str(model)
    assert slicer.app.messages == slicer.app.questions == []


def test_progress_moves_while_slicer_stays_responsive(cohort):
    ui = cohort.ui
    cohort.behavior = "hang"
    ui.cohortStartButton.click()
    assert ui.cohortProgressBar.visible
    assert (ui.cohortProgressBar.minimum, ui.cohortProgressBar.maximum) == (0, 0)
    assert not ui.cohortChoicesFrame.enabled
    process_events_until(lambda: ui.cohortProgressBar.maximum)
    assert (ui.cohortProgressBar.value, ui.cohortProgressBar.maximum) == (57, 250)
    assert ui.cohortStatusLabel.text == "Validating internally: 57 of 250"
    assert not ui.openReportButton.enabled
    ui.modelPathEdit.currentPath = "/elsewhere.json"
    assert not ui.cohortStartButton.enabled


def test_cancel_ends_the_run_and_nothing_counts_as_a_result(cohort):
    ui = cohort.ui
    run_to_its_end(cohort, "finish")
    cohort.behavior = "hang"
    slicer.app.questions.clear()
    ui.cohortStartButton.click()
    assert not ui.openReportButton.enabled  # what is there is of the run before
    process_events_until(lambda: "57" in ui.cohortStatusLabel.text)
    worker = cohort.folder / "HER2_nomogram_report.worker"
    wait_until(lambda: worker.is_file() and worker.read_text())
    ui.cohortCancelButton.click()
    assert not is_running(int(worker.read_text()))
    assert ui.cohortStatusLabel.text == "Cancelled."
    assert not ui.cohortProgressBar.visible
    assert ui.cohortStartButton.enabled
    assert not ui.cohortCancelButton.enabled
    assert not ui.openReportButton.enabled
    assert not ui.useModelButton.enabled
    assert not cohort.panel._cohortTimer.isActive()


@pytest.mark.parametrize(
    ("behavior", "line"),
    [
        ("fail", "'cases.csv' has no column 'her2': add the outcome."),
        ("crash", "It ended unexpectedly (exit status 1): ValueError: inside."),
        ("nothing", "It ended without writing HER2_nomogram.json and HER2_nomogram_report.html."),
    ],
)
def test_what_went_wrong_is_one_line(cohort, behavior, line):
    run_to_its_end(cohort, behavior)
    ui = cohort.ui
    assert ui.cohortStatusLabel.text == line
    assert "#b3261e" in ui.cohortStatusLabel.styleSheet
    assert ui.cohortStartButton.enabled
    assert not ui.openReportButton.enabled
    assert not ui.useModelButton.enabled
    run_to_its_end(cohort, "finish")
    assert ui.cohortStatusLabel.styleSheet == ""


def test_a_report_without_a_model_can_be_opened(cohort):
    ui = cohort.ui
    run_to_its_end(cohort, "no-model")
    assert ui.cohortStatusLabel.text == "There is nothing to make a nomogram of (why). No model is written."
    assert "#b3261e" in ui.cohortStatusLabel.styleSheet
    assert ui.openReportButton.enabled
    assert not ui.useModelButton.enabled
    run_to_its_end(cohort, "fail")
    assert not ui.openReportButton.enabled


def test_options_reach_the_command_line(cohort):
    ui = cohort.ui
    ui.cohortNameEdit.setText("Ours")
    ui.cohortMethodComboBox.setCurrentIndex(1)
    ui.cohortSelectionComboBox.setCurrentIndex(2)
    ui.cohortClinicalEdit.setText("age, er")
    ui.cohortBootstrapSpinBox.value = 50
    ui.cohortRepeatsSpinBox.value = 0
    ui.cohortJobsSpinBox.value = 3
    ui.cohortOtherSoftwareCheckBox.checked = True
    assert ui.cohortCostLabel.text.startswith("50 more trainings")
    run_to_its_end(cohort, "finish")
    given = json.loads((cohort.folder / "Ours_report.arguments").read_text())
    wanted = "--name=Ours --method=published --select=aic --clinical=age,er --bootstrap=50 --repeats=0 --jobs=3"
    assert {*wanted.split(), "--other-software", f"--features={cohort.features / 'features.csv'}"} <= set(given)
    assert f"--out={cohort.folder / 'Ours.json'}" in given


@pytest.mark.parametrize("mode", [0, 1])
def test_the_chosen_engine_reaches_the_cohort(cohort, mode):
    ui, given = cohort.ui, []
    start = cohort.panel.logic.startCohort
    cohort.panel.logic.startCohort = lambda choices: given.append(choices.arguments()) or start(choices)
    ui.cohortModeComboBox.setCurrentIndex(mode)
    ui.cohortFeaturesEdit.currentPath = ""
    wanted = {
        "fast": (["--engine=fast"], "by engine fast, as chosen under Advanced"),
        "pyradiomics": (["--engine=pyradiomics"], "by engine pyradiomics, as chosen under Advanced"),
        "SlicerRadiomics": ([], "by engine fast: SlicerRadiomics is for one case alone"),
    }
    for number, name in enumerate(scene.ENGINES):
        ui.engineComboBox.setCurrentIndex(number)
        run_to_its_end(cohort, "finish")
        assert [text for text in given[-1] if text.startswith("--engine")] == wanted[name][0]
        assert wanted[name][1] in ui.cohortImagesLabel.text
        assert ui.cohortImagesLabel.visible
    assert "one case at a time" in ui.engineComboBox.toolTip
    ui.cohortFeaturesEdit.currentPath = str(cohort.features / "features.csv")
    ui.engineComboBox.setCurrentIndex(1)
    run_to_its_end(cohort, "finish")
    assert not any(text.startswith("--engine") for text in given[-1])


def test_validation_of_the_model_of_the_panel(cohort, model_path):
    ui = cohort.ui
    ui.modelPathEdit.currentPath = str(model_path)
    ui.cohortModeComboBox.setCurrentIndex(1)
    assert ui.cohortModelLabel.visible
    assert "Small test model" in ui.cohortModelLabel.text
    assert ui.cohortStartButton.text == "Validate and report"
    training_only = (ui.cohortNameEdit, ui.cohortNameLabel, ui.cohortBootstrapSpinBox, ui.cohortCostLabel)
    assert not any(widget.visible for widget in (*training_only, ui.cohortOtherSoftwareCheckBox))
    run_to_its_end(cohort, "finish")
    given = json.loads((cohort.folder / "small_validation.arguments").read_text())
    assert given[0] == "validate"
    assert f"--model={model_path}" in given
    assert ui.openReportButton.enabled
    assert not ui.useModelButton.enabled
    ui.cohortModeComboBox.setCurrentIndex(0)
    assert all(widget.visible for widget in (*training_only, ui.cohortOtherSoftwareCheckBox))
    assert not ui.cohortModelLabel.visible


def test_without_a_chosen_model_the_demonstration_model_is_validated(cohort):
    cohort.ui.cohortModeComboBox.setCurrentIndex(1)
    run_to_its_end(cohort, "finish")
    given = json.loads((cohort.folder / "demonstration_validation.arguments").read_text())
    assert f"--model={module.default_model_path()}" in given


def visible_rows(ui):
    """Rows of the cohort's form that are shown, by what their labels and fields have in common."""
    shown = [name for name, widget in vars(ui).items() if name.startswith("cohort") and widget.visible]
    endings = "Label", "Edit", "SpinBox", "ComboBox", "CheckBox"
    fields = [name.removesuffix(end) for end in endings for name in shown if name.endswith(end)]
    return {name.removeprefix("cohort") for name in fields}


def test_an_association_study_shows_its_own_choices_and_no_others(cohort):
    ui = cohort.ui
    ui.cohortFeaturesEdit.currentPath = ""
    training = visible_rows(ui)
    ui.cohortModeComboBox.setCurrentIndex(2)
    assert ui.cohortModeComboBox.currentText == "Associate: clinical variables and an outcome"
    own = {"Outcome", "Predictors", "Strata", "Categorical"}
    assert visible_rows(ui) == own | {"Mode", "Cases", "Folder"}
    assert not ui.useModelButton.visible
    assert ui.cohortStartButton.text == "Study and report"
    assert ui.cohortPredictorsEdit.text.startswith("age_over_50")
    assert ui.cohortPredictorsEdit.cursorPosition == 0
    ui.cohortModeComboBox.setCurrentIndex(0)
    assert visible_rows(ui) == training
    assert training > {"Features", "Images", "Method", "Cost", "Jobs"}
    assert not training & own
    assert ui.useModelButton.visible


def test_the_tool_tip_of_the_predictors_names_every_derived_variable(panel):
    names = derived_names()
    words = set(re.findall(r"\w+", panel.ui.cohortPredictorsEdit.toolTip))
    assert set(names) <= words
    assert {word for word in words if "_" in word} <= set(names)
    assert set(command.names_in(command.PREDICTORS)) <= {*names, "microcalcifications", "er", "pr"}


def test_choices_of_an_association_study_reach_the_command_line(cohort, monkeypatch):
    without(monkeypatch, "radiomics")  # no images are read
    ui = cohort.ui
    ui.cohortFeaturesEdit.currentPath = ""
    ui.cohortModeComboBox.setCurrentIndex(2)
    ui.cohortOutcomeEdit.setText("microcalcifications")
    ui.cohortPredictorsEdit.setText("her2, age")
    ui.cohortStrataEdit.setText("dense_breast")
    ui.cohortCategoricalEdit.setText("grade")
    run_to_its_end(cohort, "unvalidated")
    given = json.loads((cohort.folder / "cases_microcalcifications_association.arguments").read_text())
    report = cohort.folder / "cases_microcalcifications_association.html"
    assert given[:2] == ["associate", str(cohort.features / "cases.csv")]
    wanted = "--outcome=microcalcifications --predictors=her2,age --strata=dense_breast --categorical=grade"
    assert set(given[2:]) == {*wanted.split(), f"--report={report}", "--progress=lines"}
    assert ui.cohortStatusLabel.text.startswith(f"Done: {report.name} in {cohort.folder}. No internal validation;")
    assert ui.cohortStatusLabel.styleSheet == ""
    assert ui.openReportButton.enabled
    assert not ui.useModelButton.enabled


def test_an_association_study_needs_an_outcome_and_predictors(cohort):
    ui = cohort.ui
    ui.cohortModeComboBox.setCurrentIndex(2)
    assert ui.cohortStartButton.enabled
    ui.cohortOutcomeEdit.setText(" ")
    ui.cohortPredictorsEdit.setText("")
    assert not ui.cohortStartButton.enabled
    assert ui.cohortStartButton.toolTip == "Choose the outcome and the predictors first."
    assert cohort.panel._parameterNode.cohortPredictors == ""


def test_a_spreadsheet_can_be_chosen_and_needs_its_package(cohort, monkeypatch):
    ui, table = cohort.ui, cohort.features / "cohort.xlsx"
    table.write_text("")
    ui.cohortModeComboBox.setCurrentIndex(2)
    ui.cohortCasesEdit.currentPath = str(table)
    assert cohort.panel._parameterNode.cohortCases == str(table)
    without(monkeypatch, "openpyxl")
    slicer.app.answer = False
    ui.cohortStartButton.click()
    assert slicer.app.questions == ["HER2 Nomogram needs openpyxl>=3.1"]
    assert "Python packages" in ui.cohortStatusLabel.text


def test_results_that_are_there_are_not_replaced_unasked(cohort):
    ui, report = cohort.ui, cohort.folder / "HER2_nomogram_report.html"
    report.write_text("of last week")
    slicer.app.answer = False
    ui.cohortStartButton.click()
    (question,) = slicer.app.questions
    assert question == f"{cohort.folder} has these files already: {report.name}. Replace them?"
    assert ui.cohortStatusLabel.text.startswith("Not started")
    assert not ui.cohortCancelButton.enabled
    assert ui.cohortStartButton.enabled
    assert report.read_text() == "of last week"
    slicer.app.answer = True
    run_to_its_end(cohort, "finish")
    assert ui.openReportButton.enabled


def test_files_that_are_not_there_are_said_before_the_start(cohort):
    ui = cohort.ui
    ui.cohortFeaturesEdit.currentPath = "/gone/features.csv"
    ui.cohortStartButton.click()
    assert "'/gone/features.csv' is not there" in ui.cohortStatusLabel.text
    assert ui.cohortStatusLabel.visible
    assert not ui.cohortCancelButton.enabled
    assert slicer.app.messages == []


def test_images_need_pyradiomics_and_feature_tables_do_not(cohort, monkeypatch):
    ui = cohort.ui
    without(monkeypatch, "radiomics")
    ui.cohortFeaturesEdit.currentPath = ""
    assert ui.cohortImagesLabel.visible
    ui.cohortStartButton.click()
    assert ui.cohortStatusLabel.text == scene.RADIOMICS_MISSING
    ui.cohortFeaturesEdit.currentPath = str(cohort.features / "features.csv")
    assert not ui.cohortImagesLabel.visible
    run_to_its_end(cohort, "finish")
    assert ui.openReportButton.enabled


def test_missing_packages_are_asked_for_before_the_start(cohort, monkeypatch):
    without(monkeypatch, "sklearn")
    slicer.app.answer = False
    cohort.ui.cohortStartButton.click()
    assert slicer.app.questions == ["HER2 Nomogram needs scikit-learn>=1.6"]
    assert "Python packages" in cohort.ui.cohortStatusLabel.text
    assert not cohort.ui.cohortCancelButton.enabled


def test_the_run_goes_on_in_other_modules_and_when_the_scene_is_closed(cohort):
    panel = cohort.panel
    cohort.behavior = "hang"
    cohort.ui.cohortStartButton.click()
    panel.exit()
    slicer.mrmlScene.Clear(0)
    process_events_until(lambda: "57" in cohort.ui.cohortStatusLabel.text)
    assert panel._cohortRun.update()
    panel.enter()
    assert cohort.ui.cohortCancelButton.enabled


def test_the_run_ends_with_the_panel(cohort):
    cohort.behavior = "hang"
    cohort.ui.cohortStartButton.click()
    worker = cohort.folder / "HER2_nomogram_report.worker"
    wait_until(lambda: worker.is_file() and worker.read_text())
    cohort.panel.cleanup()
    assert not is_running(int(worker.read_text()))
    assert not cohort.panel._cohortTimer.isActive()


def test_choices_on_the_cohort_are_restored_with_the_scene(cohort):
    panel, ui = cohort.panel, cohort.ui
    ui.cohortModeComboBox.setCurrentIndex(1)
    ui.cohortSelectionComboBox.setCurrentIndex(1)
    ui.cohortClinicalEdit.setText("age")
    ui.cohortRepeatsSpinBox.value = 3
    study = {"Outcome": "er", "Predictors": "age, pr", "Strata": "dense_breast", "Categorical": "grade"}
    for name, text in study.items():
        getattr(ui, f"cohort{name}Edit").setText(text)
    panel.exit()
    other = open_panel(module)
    for name in ("cohortCasesEdit", "cohortFeaturesEdit", "cohortFolderEdit"):
        assert getattr(other.ui, name).currentPath == getattr(ui, name).currentPath != ""
    assert other.ui.cohortModeComboBox.currentText == "Validate the chosen model"
    assert other.ui.cohortSelectionComboBox.currentIndex == 1
    assert other.ui.cohortClinicalEdit.text == "age"
    assert other.ui.cohortRepeatsSpinBox.value == 3
    assert {name: getattr(other.ui, f"cohort{name}Edit").text for name in study} == study
    close_panel(other)
