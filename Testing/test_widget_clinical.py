"""Clinical factors in the module's panel: levels, values for missing ones, and models that are not for images."""

from __future__ import annotations

import os
from dataclasses import replace

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")
pytest.importorskip("radiomics", reason="pyradiomics is not installed")
pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from harness import Preparation, close_panel, load_module, new_scene, open_panel  # noqa: E402

module = load_module()
from models import AGE, DENSITY, make_foreign_model  # noqa: E402

from harness.samples import phantom_in_scene  # noqa: E402
from HER2NomogramLib.errors import InputError  # noqa: E402
from HER2NomogramLib.modelfile import LogisticModel, Predictor, load_model, save_model  # noqa: E402

DIAMETER = Predictor("tumor_diameter_mm", "clinical", "Tumor diameter", "mm", 8.0, 45.0, fill=20.0)
HISTOLOGY = Predictor("histology", "clinical", "Histology", "", 0.0, 2.0, ("ductal", "lobular", "other"))


def logistic(predictors, coefficients) -> LogisticModel:
    covariance = np.diag([0.05, *(0.0001 for _ in coefficients)])
    return LogisticModel(tuple(predictors), -1.0, tuple(coefficients), tuple(map(tuple, covariance.tolist())), 0.5)


@pytest.fixture(scope="module")
def density_path(model_path, tmp_path_factory):
    """The small model with other factors: three that may be missing, and one that is needed."""
    small = load_model(model_path)
    factors, effects = (DIAMETER, DENSITY, AGE, HISTOLOGY), (0.01, 0.5, 1.0, -0.5, 0.01, 0.2, 0.4)
    model = replace(
        small,
        nomogram=logistic((*small.radiomics.predictors, *factors), (1.0, 0.5, *effects)),
        clinical=logistic(factors, effects),
    )
    path = tmp_path_factory.mktemp("density") / "density.json"
    save_model(model, path)
    return path


@pytest.fixture(scope="module")
def foreign_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("foreign") / "foreign.json"
    save_model(make_foreign_model(), path)
    return path


@pytest.fixture
def panel(monkeypatch):
    """An open panel with image and lesion chosen."""
    new_scene()
    slicer.app.answer, slicer.app.testing = True, False
    slicer.app.questions.clear()
    monkeypatch.setattr(module.HER2NomogramLogic, "startEnginePreparation", staticmethod(Preparation))
    phantom_in_scene(slicer.mrmlScene)
    widget = open_panel(module)
    yield widget
    close_panel(widget)


@pytest.fixture
def ready(panel, density_path):
    """The panel with the model and the one factor that it must have."""
    panel.ui.modelPathEdit.currentPath = str(density_path)
    panel._clinicalWidgets["histology"].setCurrentIndex(1)
    return panel


def test_all_levels_can_be_chosen_and_blank(ready):
    box = ready._clinicalWidgets["breast_density"]
    assert [box.itemText(i) for i in range(box.count)] == ["", "A", "B", "C", "D"]


def test_tool_tips_say_what_becomes_of_a_blank_factor(ready):
    tips = {name: widget.toolTip for name, widget in ready._clinicalWidgets.items()}
    assert tips == {
        "tumor_diameter_mm": "8 – 45 mm in training. Left blank, it is measured from the segment.",
        "breast_density": "Left blank, C (the most frequent level of the training cases) is used.",
        "age": "30 – 80 years in training. Left blank, 52 years (median of the training cases) is used.",
        "histology": "Leave blank what is not known: the model then says that it needs it.",
    }
    assert ready._clinicalWidgets["age"].placeholderText == "blank: 52 years; 30 – 80 years in training"
    assert ready._clinicalWidgets["tumor_diameter_mm"].placeholderText == "blank: measured; 8 – 45 mm in training"


def test_blank_factors_are_filled_and_said(ready):
    assert ready.ui.applyButton.enabled
    ready.ui.applyButton.click()
    assert slicer.app.messages == []
    shown = ready.ui.warningsLabel.text
    assert "Breast density is missing: C (the most frequent level of the training cases) was used." in shown
    assert "Age is missing: 52 years (median of the training cases) was used." in shown
    assert "was measured from the segment" in shown and "Tumor diameter is missing" not in shown
    assert ready.ui.resultFrame.visible


def test_chosen_level_is_the_one_that_is_used(ready):
    ready._clinicalWidgets["age"].setText("52")
    for level in "ABCD":
        ready._clinicalWidgets["breast_density"].setCurrentIndex("ABCD".index(level) + 1)
        assert dict(ready._parameterNode.clinical.items())["breast_density"] == level
        ready._predict()
        assert ready._prediction.predictor_texts["breast_density"] == level
        assert not any("is missing" in warning for warning in ready._prediction.warnings)


def test_factor_without_a_value_for_missing_ones_is_still_needed(ready):
    ready._clinicalWidgets["histology"].setCurrentIndex(0)
    ready.ui.applyButton.click()
    (message,) = slicer.app.messages
    assert "'histology'" in message and "missing" in message


def test_model_of_other_software_is_said_beside_the_field_and_on_apply(panel, foreign_path):
    panel.ui.modelPathEdit.currentPath = str(foreign_path)
    assert "trained on features of other software" in panel.ui.modelLabel.text
    assert panel._clinicalWidgets == {} and slicer.app.messages == []
    panel.ui.applyButton.click()
    (message,) = slicer.app.messages
    assert message == panel.ui.modelLabel.text == panel.ui.statusLabel.text
    assert "\n" not in message
    assert not panel.ui.resultFrame.visible


def test_logic_refuses_a_model_of_other_software(foreign_path, tmp_path):
    logic = module.HER2NomogramLogic()
    with pytest.raises(InputError, match="features of other software"):
        logic.predict(None, None, "", modelPath=foreign_path)
    (tmp_path / "cases.csv").write_text("case_id\none\n")
    with pytest.raises(InputError, match="features of other software"):
        logic.runBatch(tmp_path / "cases.csv", foreign_path, tmp_path / "out")


def test_level_with_a_long_name_does_not_widen_the_panel(panel, model_path, tmp_path):
    small = load_model(model_path)
    long = replace(HISTOLOGY, levels=("ductal, of no special type, with an extensive in situ component " * 2, "b", "c"))
    models = {
        "nomogram": logistic((*small.radiomics.predictors, long), (1.0, 0.5, 0.2, 0.4)),
        "clinical": logistic((long,), (0.2, 0.4)),
    }
    before = panel.parent.layout().minimumSize().width()
    save_model(replace(small, **models), tmp_path / "long.json")
    panel.ui.modelPathEdit.currentPath = str(tmp_path / "long.json")
    slicer.app.processEvents()
    assert panel._clinicalWidgets["histology"].count == 4
    assert panel.parent.layout().minimumSize().width() <= before + 50
