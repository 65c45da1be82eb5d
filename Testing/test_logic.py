"""The module's logic on slicer-core: what scripts and the panel call."""

from __future__ import annotations

import csv
import importlib.util
import math
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
vtk = pytest.importorskip("vtk")
pytest.importorskip("PySide6", reason="PySide6 is not installed")
pytest.importorskip("radiomics", reason="pyradiomics is not installed")

from harness import MODULE_FILE, load_module, new_scene, radiomics_cli  # noqa: E402

module = load_module()
from vtk.util.numpy_support import numpy_to_vtk  # noqa: E402

from harness.samples import phantom, phantom_in_scene, small_model  # noqa: E402
from HER2NomogramLib import scene  # noqa: E402
from HER2NomogramLib.errors import InputError  # noqa: E402
from HER2NomogramLib.mammogram import read_mammogram  # noqa: E402
from HER2NomogramLib.modelfile import default_model_path, load_model  # noqa: E402
from HER2NomogramLib.prediction import predict_case  # noqa: E402
from HER2NomogramLib.segmentation import read_segment  # noqa: E402

CLINICAL = {"tumor_diameter_mm": 21, "microcalcifications": "present"}


@pytest.fixture
def mrml():
    return new_scene()


@pytest.fixture
def logic():
    return module.HER2NomogramLogic()


def test_prediction_from_the_scene_is_that_from_arrays(mrml, logic, model_path):
    volume, segmentation, ids = phantom_in_scene(mrml)
    prediction = logic.predict(volume, segmentation, ids["Lesion"], CLINICAL, str(model_path))
    study, mammogram = phantom()
    expected, _regions, _row = predict_case(load_model(model_path), mammogram, study.lesion, CLINICAL)
    assert prediction.probability == pytest.approx(expected.probability, rel=1e-12)
    assert prediction.interval == pytest.approx(expected.interval)
    assert prediction.points == pytest.approx(expected.points)
    assert [f.column for f in prediction.selectedFeatures] == [f.column for f in expected.selected_features]
    assert prediction.notice == expected.notice


def test_excluded_segments_keep_the_rings_out(mrml, logic, model_path):
    volume, segmentation, ids = phantom_in_scene(mrml)
    lesion = scene.segment_mask(segmentation, ids["Lesion"], volume)
    rows, _columns = np.indices(lesion.shape)
    upper = rows < np.flatnonzero(lesion.any(axis=1)).mean()
    clip = scene.add_segmentation(mrml, {"Upper half": upper}, volume, "Clip").GetSegmentation()
    node = segmentation.GetSegmentation()
    node.CopySegmentFromSegmentation(clip, clip.GetNthSegmentID(0))
    excluded = clip.GetNthSegmentID(0)
    written = logic.createRegionSegments(segmentation, ids["Lesion"], volume, [5], excludeSegmentIDs=[excluded])
    ring = scene.segment_mask(segmentation, written["peritumoral_5mm"], volume)
    assert ring.any()
    assert not (ring & upper).any()
    whole = logic.predict(volume, segmentation, ids["Lesion"], CLINICAL, model_path)
    half = logic.predict(volume, segmentation, ids["Lesion"], CLINICAL, model_path, excludeSegmentIDs=[excluded])
    assert half.rad_scores["peritumoral_5mm"] != whole.rad_scores["peritumoral_5mm"]
    assert half.rad_scores["intratumoral"] == whole.rad_scores["intratumoral"]


def test_given_spacing_changes_the_rings(mrml, logic):
    volume, segmentation, ids = phantom_in_scene(mrml)
    areas = []
    for spacing in (0.2, 0.4):
        written = logic.createRegionSegments(segmentation, ids["Lesion"], volume, (5,), pixelSpacingMm=spacing)
        areas.append(scene.segment_mask(segmentation, written["peritumoral_5mm"], volume).sum())
    assert areas[1] < areas[0] / 1.8


def test_default_margins_make_the_five_regions(mrml, logic):
    volume, segmentation, ids = phantom_in_scene(mrml)
    written = logic.createRegionSegments(segmentation, ids["Lesion"], volume)
    assert list(written) == ["intratumoral", "peritumoral_5mm", "peritumoral_10mm", "combined_5mm", "combined_10mm"]
    assert written["intratumoral"] == ids["Lesion"]


def test_both_engines_agree(mrml, logic, model_path, monkeypatch):
    from types import SimpleNamespace

    monkeypatch.setattr(slicer.modules, "slicerradiomicscli", object(), raising=False)
    monkeypatch.setattr(slicer, "cli", SimpleNamespace(run=radiomics_cli.run), raising=False)
    volume, segmentation, ids = phantom_in_scene(mrml)
    one, *others = (
        logic.predict(volume, segmentation, ids["Lesion"], CLINICAL, model_path, engine=engine)
        for engine in scene.ENGINES
    )
    assert len(others) == 2
    assert [other.probability for other in others] == pytest.approx([one.probability] * 2, rel=1e-9)


def one_line(error):
    text = str(error.value)
    return "\n" not in text and len(text) < 400 and "Traceback" not in text


def bad_cases(mrml, model_path):
    """What users give that cannot be used, with a word of the reason."""
    volume, segmentation, ids = phantom_in_scene(mrml)
    segments = segmentation.GetSegmentation()
    empty = segments.AddEmptySegment("", "Empty one")
    tiny = np.zeros((640, 448), bool)
    tiny[300, 200:203] = True
    extra = scene.add_segmentation(mrml, {"Tiny": tiny, "Everything": np.ones_like(tiny)}, volume, "More")
    more = extra.GetSegmentation()
    far = scene.add_segmentation(mrml, {"Far": np.ones_like(tiny)}, volume, "Elsewhere")
    shift = mrml.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 900.0)
    shift.SetMatrixTransformToParent(matrix)
    far.SetAndObserveTransformNodeID(shift.GetID())
    lesion = (volume, segmentation, ids["Lesion"])
    return {
        "no volume": ((None, segmentation, ids["Lesion"]), {}, "No image"),
        "no segmentation": ((volume, None, ""), {}, "No segmentation"),
        "no segment": ((volume, segmentation, ""), {}, "no lesion segment"),
        "empty segment": ((volume, segmentation, empty), {}, "'Empty one' is empty"),
        "too small": ((volume, extra, more.GetNthSegmentID(0)), {}, "pixels"),
        "fills the breast": ((volume, extra, more.GetNthSegmentID(1)), {}, "fills the breast"),
        "elsewhere": ((volume, far, far.GetSegmentation().GetNthSegmentID(0)), {}, "outside of"),
        "spacing": (lesion, {"pixelSpacingMm": 3.0}, "spacing"),
        "missing factor": (lesion, {"clinical": {"tumor_diameter_mm": 20}}, "Microcalcifications"),
        "nonsense factor": (lesion, {"clinical": {**CLINICAL, "tumor_diameter_mm": "big"}}, "'big'"),
        "missing model": (lesion, {"modelPath": model_path.with_name("gone.json")}, "cannot be read"),
        "engine": (lesion, {"engine": "magic"}, "'magic'"),
        "exclude": (lesion, {"excludeSegmentIDs": ["gone"]}, "'gone'"),
    }


BAD_CASES = (
    "no volume", "no segmentation", "no segment", "empty segment", "too small", "fills the breast", "elsewhere",
    "spacing", "missing factor", "nonsense factor", "missing model", "engine", "exclude",
)  # fmt: skip


@pytest.mark.parametrize("name", BAD_CASES)
def test_bad_input_is_one_clear_line(mrml, logic, model_path, name):
    where, options, reason = bad_cases(mrml, model_path)[name]
    nodes = mrml.GetNumberOfNodes()
    with pytest.raises(InputError, match=reason) as error:
        logic.predict(*where, **{"clinical": CLINICAL, "modelPath": model_path, **options})
    assert one_line(error)
    assert mrml.GetNumberOfNodes() == nodes


def test_altered_model_is_refused(mrml, logic, model_path, tmp_path):
    altered = tmp_path / "altered.json"
    altered.write_text(model_path.read_text().replace('"cutoff": 0.47', '"cutoff": 0.11'))
    with pytest.raises(InputError, match="altered"):
        logic.predict(*phantom_in_scene(mrml)[:2], "x", modelPath=altered)


def test_missing_radiomics_is_said_before_anything_else(mrml, logic, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "radiomics" else find(name, *a))
    with pytest.raises(InputError, match="install 'SlicerRadiomics', restart Slicer"):
        logic.predict(None, None, "", engine="pyradiomics")
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(InputError, match="install 'SlicerRadiomics', restart Slicer"):
        logic.predict(None, None, "")
    monkeypatch.undo()
    with pytest.raises(InputError, match="install 'SlicerRadiomics', restart Slicer"):
        logic.predict(None, None, "", engine="SlicerRadiomics")


def test_shown_prediction_is_one_table_and_a_picture(mrml, logic, model_path, tmp_path):
    pytest.importorskip("matplotlib")
    volume, segmentation, ids = phantom_in_scene(mrml)
    prediction = logic.predict(volume, segmentation, ids["Lesion"], CLINICAL, model_path)
    shown = logic.showPrediction(prediction, picture=tmp_path / "nomogram.svg")
    assert shown["picturePath"].read_text().startswith("<?xml")
    table = shown["tableNode"].GetTable()
    assert [table.GetColumnName(i) for i in range(table.GetNumberOfColumns())] == [
        "region", "feature", "value", "standardized", "coefficient", "contribution",
    ]  # fmt: skip
    for row, feature in enumerate(prediction.selectedFeatures):
        assert table.GetValueByName(row, "region").ToString() == feature.region
        assert table.GetValueByName(row, "value").ToDouble() == feature.value
        assert table.GetValueByName(row, "contribution").ToDouble() == feature.contribution
    again = logic.showPrediction(prediction, picture=False)
    assert again["tableNode"] is shown["tableNode"]
    assert again["picturePath"] is None
    assert prediction.notice in shown["tableNode"].GetDescription()


def test_picture_of_an_earlier_prediction_needs_its_model(mrml, logic, model_path, tmp_path):
    pytest.importorskip("matplotlib")
    volume, segmentation, ids = phantom_in_scene(mrml)
    prediction = logic.predict(volume, segmentation, ids["Lesion"], CLINICAL, model_path)
    other = module.HER2NomogramLogic()
    assert other.drawNomogram(prediction, tmp_path / "a.png", modelPath=model_path).is_file()
    unlike = tmp_path / "unlike.json"
    small_model(unlike, name="Another model")
    with pytest.raises(InputError, match="Small test model"):
        other.drawNomogram(prediction, tmp_path / "b.png", modelPath=unlike)


def test_batch_writes_a_table_and_names_what_failed(logic, model_path, tmp_path):
    study, mammogram = phantom()
    sitk.WriteImage(mammogram.image, str(tmp_path / "image.nrrd"))
    label = sitk.GetImageFromArray(study.lesion.astype(np.uint8)[np.newaxis])
    label.CopyInformation(mammogram.image)
    sitk.WriteImage(label, str(tmp_path / "lesion.nrrd"))
    cases = tmp_path / "cases.csv"
    cases.write_text(
        "case_id,image,segmentation,tumor_diameter_mm,microcalcifications\n"
        "one,image.nrrd,lesion.nrrd,21,present\n"
        "two,gone.nrrd,lesion.nrrd,21,present\n"
    )
    result = logic.runBatch(cases, model_path, tmp_path / "out")
    assert list(result.done) == ["one"]
    assert "gone.nrrd" in result.failed["two"]
    with (tmp_path / "out" / "predictions.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert math.isclose(float(row["probability"]), result.done["one"].probability)


def test_batch_computes_with_the_engine_that_was_asked_for(logic, monkeypatch, tmp_path):
    from HER2NomogramLib import batch

    given = []
    monkeypatch.setattr(batch, "predict_cases", lambda *args, **options: given.append(options))
    (tmp_path / "cases.csv").write_text("case_id\none\n")
    for engine in ({}, {"engine": "pyradiomics"}):
        logic.runBatch(tmp_path / "cases.csv", None, tmp_path, jobs=2, **engine)
    assert given == [{"jobs": 2, "engine": None}, {"jobs": 2, "engine": "pyradiomics"}]


def study_table(path):
    """Of 60 women 18 are HER2-positive; microcalcifications in 9 of these and in 7 of the 42 others."""
    groups = [("3+", "", "yes", 5), ("2+", "amplified", "yes", 4), ("3+", "", "no", 9), ("1+", "", "yes", 7)]
    groups += [("2+", "not amplified", "no", 15), ("0", "", "no", 20)]
    rows = [group[:3] for group in groups for _ in range(group[3])]
    ages = [35 + (7 * number) % 40 for number in range(len(rows))]
    lines = [f"{number},{age},{','.join(row)}" for number, (age, row) in enumerate(zip(ages, rows))]
    path.write_text("\n".join(["case_id,Age at diagnosis,HER2 IHC,HER2 ISH,microcalcifications", *lines]))
    return path


def test_association_study_has_the_odds_ratio_of_its_counts(logic, tmp_path):
    table, report = study_table(tmp_path / "cohort.csv"), tmp_path / "study.html"
    result = logic.associate(table, "her2", ["microcalcifications", "age"], report, per={"age": 10})
    assert (result.n, result.events, result.event) == (60, 18, "positive")
    absent, present = result.univariate["microcalcifications"].terms
    assert (absent.n, absent.events, present.n, present.events) == (44, 9, 16, 9)
    odds_ratio, error = 9 * 35 / (9 * 7), math.sqrt(1 / 9 + 1 / 9 + 1 / 7 + 1 / 35)
    assert present.odds_ratio.value == pytest.approx(odds_ratio)
    assert present.odds_ratio.low == pytest.approx(odds_ratio * math.exp(-1.959964 * error), rel=1e-5)
    assert set(result.entered) <= {"microcalcifications", "age"} and "microcalcifications" in result.entered
    page = report.read_text(encoding="utf-8")
    assert "Research use only" in page and "icrocalcifications" in page and "5.00" in page


def test_association_study_takes_the_options_of_table_and_study(logic, tmp_path):
    table = study_table(tmp_path / "cohort.csv")
    text = table.read_text().replace("Age at diagnosis", "Alter").replace("yes", "99", 1)
    table.write_text(text)
    how = {"columns": {"age": "Alter"}, "missing_words": ["99"]}
    result = logic.associate(table, "microcalcifications", ("her2", "age_over_50"), table=how, forced=("age_over_50",))
    assert (result.n, result.events) == (59, 15)
    assert "age_over_50" in result.entered
    assert [path.name for path in tmp_path.iterdir()] == ["cohort.csv"]


def test_association_study_says_what_is_to_be_installed(logic, tmp_path, monkeypatch):
    table = study_table(tmp_path / "cohort.csv")
    missing, find = set(), importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in missing else find(name, *a))

    def refusal(table, *report):
        with pytest.raises(InputError) as error:
            logic.associate(table, "her2", ["age"], *report)
        message = str(error.value)
        assert "slicer.util.pip_install(" in message and "\n" not in message
        return message.partition("(")[2].partition(")")[0]

    missing |= {"sklearn"}
    assert refusal(table) == "scikit-learn>=1.6"
    missing |= {"jinja2", "matplotlib", "openpyxl"}
    assert refusal(table, tmp_path / "study.html") == "matplotlib>=3.8, scikit-learn>=1.6, jinja2>=3.1"
    missing -= {"sklearn"}
    assert refusal(tmp_path / "cohort.xlsm") == "openpyxl>=3.1"
    # What a study without a report does not need is not asked for.
    assert logic.associate(table, "her2", ["age"]).n == 60


def test_association_study_refuses_names_that_the_table_does_not_have(logic, tmp_path):
    with pytest.raises(InputError, match="'grade'") as error:
        logic.associate(study_table(tmp_path / "cohort.csv"), "her2", ["age", "grade"])
    assert "\n" not in str(error.value)


def test_logic_works_on_slicer_core_without_harness_or_application(model_path):
    """As the demonstration on the command line uses it."""
    code = f"""
import sys
sys.path[:0] = [{str(MODULE_FILE.parent)!r}]
from HER2NomogramLib import scene
from HER2NomogramLib.embedded import load_logic_class
from HER2NomogramLib.mammogram import Mammogram
from HER2NomogramLib.phantom import make_phantom
study = make_phantom(3)
image = Mammogram.from_array(study.pixels, study.spacing_mm, "phantom").image
mrml = scene.new_scene()
volume = scene.add_volume(mrml, image, "CEM")
segmentation = scene.add_segmentation(mrml, {{"Lesion": study.lesion}}, volume, "Outlines")
case = (volume, segmentation, segmentation.GetSegmentation().GetNthSegmentID(0))
logic = load_logic_class()()
prediction = logic.predict(*case, {{"microcalcifications": 1}}, {str(model_path)!r})
print(len(logic.createRegionSegments(case[1], case[2], case[0])), prediction.probability)
print(logic.showPrediction(prediction, picture=False)["tableNode"].GetNumberOfRows())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0::2] == ["5", "5"]
    assert "ERR" not in done.stderr


def test_parameter_node_keeps_what_was_chosen(mrml, logic):
    volume, _segmentation, ids = phantom_in_scene(mrml)
    node = logic.getParameterNode()
    node.inputVolume, node.lesionSegmentID, node.clinical = volume, ids["Lesion"], {"age": "57"}
    again = module.HER2NomogramLogic().getParameterNode()
    assert again.inputVolume is volume
    assert again.lesionSegmentID == ids["Lesion"]
    assert dict(again.clinical.items()) == {"age": "57"}
    assert (again.engine, again.showRegions, again.pixelSpacingMm) == ("fast", True, 0.0)


@pytest.mark.parametrize("test", ["test_regions", "test_bad_input", "test_prediction", "test_process"])
def test_self_test_of_the_module(test):
    if test == "test_prediction" and not default_model_path().is_file():
        pytest.skip("the demonstration model has not been trained yet: make model")
    case = module.HER2NomogramTest(test)
    case.setUp()
    getattr(case, test)()


# --- Real images, loaded by Slicer's own storage nodes ----------------------------------------------------------------


def volume_stored_in(mrml, path, class_name):
    storage = mrml.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    volume = mrml.AddNewNodeByClass(class_name, "Loaded")
    volume.SetAndObserveStorageNodeID(storage.GetID())
    return volume, storage


def jpeg_volume(mrml, path):
    """As Slicer loads a JPEG: three components, spacing of its dpi. slicer-core itself reads no JPEG."""
    volume, _storage = volume_stored_in(mrml, path, "vtkMRMLVectorVolumeNode")
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    pixels = pixels if pixels.ndim == 3 else np.repeat(pixels[..., np.newaxis], 3, axis=2)
    data = vtk.vtkImageData()
    data.SetDimensions(pixels.shape[1], pixels.shape[0], 1)
    data.GetPointData().SetScalars(numpy_to_vtk(pixels.reshape(-1, pixels.shape[2]), deep=True))
    volume.SetAndObserveImageData(data)
    volume.SetSpacing(0.2646, 0.2646, 1.0)
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    return volume


@pytest.mark.parametrize("name", ["P82_L_CM_CC", "P113_L_CM_CC"])
def test_real_contrast_enhanced_mammogram(mrml, logic, model_path, shared_data, name):
    path = shared_data / "cdd_cesm_fullres" / f"{name}.jpg"
    volume = jpeg_volume(mrml, path)
    with pytest.raises(InputError, match="give the pixel spacing"):
        logic.predict(volume, None, "", CLINICAL, model_path)
    mammogram = read_mammogram(path, 0.1)
    assert (scene.mammogram_from_volume(volume, 0.1).pixels == mammogram.pixels).all()
    contours = shared_data / "cdd_cesm_annotations" / "segmentations_subset_dev.csv"
    lesion = read_segment(contours, mammogram, "0", image_name=path.name)
    segmentation = scene.add_segmentation(mrml, {"Lesion": lesion}, volume, "Contour")
    lesion_id = segmentation.GetSegmentation().GetNthSegmentID(0)
    prediction = logic.predict(volume, segmentation, lesion_id, CLINICAL, model_path, pixelSpacingMm=0.1)
    assert 0 < prediction.interval[0] <= prediction.probability <= prediction.interval[1] < 1
    written = logic.createRegionSegments(segmentation, lesion_id, volume, [5], pixelSpacingMm=0.1)
    ring = scene.segment_mask(segmentation, written["peritumoral_5mm"], volume)
    assert not (ring & ~mammogram.breast).any()
    assert (scene.segment_mask(segmentation, lesion_id, volume) == lesion).all()


def test_real_dicom_mammogram(mrml, logic, model_path, shared_data):
    path = shared_data / "mg_dicom_fodicom" / "OutOfBoundsOverlay.dcm"
    expected = read_mammogram(path)
    volume, storage = volume_stored_in(mrml, path, "vtkMRMLScalarVolumeNode")
    assert storage.ReadData(volume) == 1
    mammogram = scene.mammogram_from_volume(volume)
    assert mammogram.spacing_mm == pytest.approx(expected.spacing_mm)
    assert mammogram.spacing_source == expected.spacing_source
    assert (mammogram.pixels == expected.pixels).all()
    rows, columns = np.indices(mammogram.pixels.shape)
    row, column = (int(np.median(axis)) for axis in np.nonzero(mammogram.breast))
    lesion = (rows - row) ** 2 + (columns - column) ** 2 < (8 / mammogram.spacing_mm[0]) ** 2
    segmentation = scene.add_segmentation(mrml, {"Lesion": lesion}, volume, "Drawn")
    lesion_id = segmentation.GetSegmentation().GetNthSegmentID(0)
    prediction = logic.predict(volume, segmentation, lesion_id, CLINICAL, model_path)
    assert prediction.warnings
    assert not any("DOE" in warning or "^" in warning for warning in prediction.warnings)
