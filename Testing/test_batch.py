"""Tables of cases: what is written, what becomes of cases that fail, and that nothing else gets out."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from models import (
    CLINICAL,
    DIAMETER,
    EXTRACTION,
    FOREIGN_ROW,
    INTRATUMORAL,
    ROW,
    make_density_model,
    make_foreign_model,
    make_logistic,
    make_model,
)

from HER2NomogramLib import batch
from HER2NomogramLib.batch import (
    extract_cases,
    load_image,
    partial_path,
    predict_cases,
    prediction_row,
    software_versions,
)
from HER2NomogramLib.cases import Case, CaseImage, read_cases
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.features import ExtractionSettings
from HER2NomogramLib.modelfile import Predictor, Signature
from HER2NomogramLib.phantom import make_cohort
from HER2NomogramLib.prediction import predict_case, predict_row
from HER2NomogramLib.regions import feret_diameter_mm
from HER2NomogramLib.tables import FeatureTable, read_extraction_facts, read_features

SETTINGS = ExtractionSettings.from_dict(EXTRACTION)
MARGINS = (5.0, 10.0)
REGIONS = ["intratumoral", "peritumoral_5mm", "peritumoral_10mm", "combined_5mm", "combined_10mm"]
IDENTIFIERS = {
    "PatientName": "ZZNAME^DISTINCTIVE",
    "PatientID": "ZZID4711",
    "PatientBirthDate": "19170317",
    "AccessionNumber": "ZZACC0815",
    "InstitutionName": "ZZCLINIC",
    "StudyID": "ZZSTUDY",
}


@pytest.fixture(scope="session")
def cohort(tmp_path_factory) -> Path:
    """Case table of three synthetic DICOM cases whose headers identify a patient."""
    import pydicom

    table = make_cohort(tmp_path_factory.mktemp("cohort"), {"train": 3}, seed=5, image_format="dicom")
    for path in (table.parent / "images").iterdir():
        dataset = pydicom.dcmread(path)
        for keyword, value in IDENTIFIERS.items():
            setattr(dataset, keyword, value)
        dataset.save_as(path)
    return table


@pytest.fixture
def cases(cohort) -> list[Case]:
    return read_cases(cohort)


@pytest.fixture
def broken(cases, tmp_path) -> list[Case]:
    """The three cases, the middle one without its image file."""
    files = cases[1].images["image"]
    missing = CaseImage(tmp_path / "gone.dcm", files.segmentation)
    return [cases[0], replace(cases[1], images={"image": missing}), cases[2]]


@pytest.fixture(scope="session")
def extracted(cohort, tmp_path_factory):
    """Result of the extraction of all cases, and the path of its table."""
    out = tmp_path_factory.mktemp("extracted") / "features.csv"
    return extract_cases(read_cases(cohort), SETTINGS, MARGINS, out), out


def empty_segmentation(case: Case, folder: Path) -> Case:
    """The case with a segmentation on the same grid in which nothing is outlined."""
    files = case.images["image"]
    image = sitk.ReadImage(str(files.segmentation))
    keys = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    blank = sitk.Image(image.GetSize(), image.GetPixelID())
    blank.CopyInformation(image)
    for key, value in keys.items():
        blank.SetMetaData(key, value)
    path = folder / "empty.seg.nrrd"
    sitk.WriteImage(blank, str(path))
    return replace(case, images={"image": CaseImage(files.image, path)})


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# --- extraction -------------------------------------------------------------------------------------------------------


def test_features_of_every_case_and_region(cases, extracted):
    result, out = extracted
    table = read_features(out)
    assert table.case_ids == tuple(case.case_id for case in cases) == tuple(result.done)
    assert result.failed == {}
    assert {name.split("__")[1] for name in table.columns} == set(REGIONS)
    for region in REGIONS:
        found = [name.split("__")[2] for name in table.columns if f"__{region}__" in name]
        diameter = ["diagnostics_FeretDiameter"] if region == "intratumoral" else []
        names = [f"original_firstorder_{name}" for name in EXTRACTION["featureClass"]["firstorder"]]
        assert sorted(found) == sorted([*diameter, "diagnostics_VoxelNum", "diagnostics_KeptFraction", *names])
    assert np.isfinite(table.values).all()


def test_features_are_those_of_the_pixels(cases, extracted):
    table = read_features(extracted[1])
    for case in cases:
        mammogram, lesion, _ = load_image(case)
        row = table.row(case.case_id)
        assert row["image__intratumoral__diagnostics_VoxelNum"] == lesion.sum()
        assert row["image__intratumoral__original_firstorder_Mean"] == pytest.approx(mammogram.pixels[lesion].mean())
        assert row["image__intratumoral__diagnostics_FeretDiameter"] == feret_diameter_mm(lesion, (0.2, 0.2))
        assert row["image__combined_5mm__diagnostics_VoxelNum"] == (
            lesion.sum() + row["image__peritumoral_5mm__diagnostics_VoxelNum"]
        )


def test_table_has_every_digit_of_the_result(extracted):
    result, out = extracted
    table = read_features(out)
    for case_id, features in result.done.items():
        assert table.row(case_id) == features.row


def test_facts_beside_the_table(extracted):
    result, out = extracted
    facts = json.loads(out.with_suffix(".json").read_text())
    assert facts["extraction"] == SETTINGS.to_dict() and facts["margins_mm"] == [5.0, 10.0]
    assert facts["software"] == software_versions() and {"HER2Nomogram", "numpy", "SimpleITK"} <= set(facts["software"])
    assert list(facts["cases"]) == list(result.done) and facts["failed"] == {}
    image = facts["cases"]["phantom_0001"]["image"]
    assert image["spacing_mm"] == pytest.approx([0.2, 0.2])
    assert image["spacing_source"] == "PixelSpacing (calibrated)"
    assert (image["kind"], image["presentation"]) == ("recombined", "FOR PRESENTATION")
    assert any("For Presentation" in warning for warning in image["warnings"])


def test_two_processes_compute_the_same(cohort, cases, extracted, tmp_path):
    out = tmp_path / "features.csv"
    done = []
    extract_cases(cases, SETTINGS, MARGINS, out, jobs=2, progress=lambda *step: done.append(step))
    assert out.read_bytes() == extracted[1].read_bytes()
    assert out.with_suffix(".json").read_text() == extracted[1].with_suffix(".json").read_text()
    assert done == [(1, 3), (2, 3), (3, 3)]


def test_broken_case_is_named_and_the_others_are_written(broken, extracted, tmp_path):
    out = tmp_path / "features.csv"
    result = extract_cases(broken, SETTINGS, MARGINS, out)
    assert list(result.failed) == ["phantom_0002"] and "gone.dcm" in result.failed["phantom_0002"]
    table, whole = read_features(out), read_features(extracted[1])
    assert table.case_ids == ("phantom_0001", "phantom_0003")
    assert [table.row(name) for name in table.case_ids] == [whole.row(name) for name in table.case_ids]
    facts = json.loads(out.with_suffix(".json").read_text())
    assert facts["failed"] == result.failed and list(facts["cases"]) == list(table.case_ids)


def test_broken_case_among_two_processes(broken, tmp_path):
    result = extract_cases(broken, SETTINGS, MARGINS, tmp_path / "features.csv", jobs=2)
    assert list(result.failed) == ["phantom_0002"] and "gone.dcm" in result.failed["phantom_0002"]
    assert list(result.done) == ["phantom_0001", "phantom_0003"]


def test_empty_segmentation_fails_its_case_alone(cases, tmp_path):
    changed = [empty_segmentation(cases[0], tmp_path), cases[1]]
    result = extract_cases(changed, SETTINGS, MARGINS, tmp_path / "features.csv")
    assert list(result.done) == ["phantom_0002"]
    assert "empty" in result.failed["phantom_0001"] and "\n" not in result.failed["phantom_0001"]


def test_wrong_segment_name_and_missing_image_fail_their_cases_alone(cases, tmp_path):
    changed = [replace(cases[0], segment="tumour"), replace(cases[1], images={}), cases[2]]
    result = extract_cases(changed, SETTINGS, MARGINS, tmp_path / "features.csv")
    assert list(result.done) == ["phantom_0003"]
    assert "tumour" in result.failed["phantom_0001"] and "no image" in result.failed["phantom_0002"]


def test_nothing_computed_is_an_error_and_writes_nothing(broken, tmp_path):
    with pytest.raises(InputError, match="None of the 1 cases.*'phantom_0002'.*gone.dcm"):
        extract_cases([broken[1]], SETTINGS, MARGINS, tmp_path / "features.csv")
    assert list(tmp_path.iterdir()) == []


def test_no_cases(tmp_path):
    with pytest.raises(InputError, match="no cases"):
        extract_cases([], SETTINGS, MARGINS, tmp_path / "features.csv")


def test_several_images_of_a_case(cases, tmp_path):
    first, second = (case.images["image"] for case in cases[:2])
    case = replace(cases[0], images={"image": first, "low_energy_cc": second})
    out = tmp_path / "features.csv"
    extract_cases([case], SETTINGS, MARGINS, out, save_regions=tmp_path / "regions")
    row = read_features(out).row("phantom_0001")
    name = "intratumoral__original_firstorder_Mean"
    assert row[f"low_energy_cc__{name}"] != row[f"image__{name}"]
    assert list(json.loads(out.with_suffix(".json").read_text())["cases"]["phantom_0001"]) == ["image", "low_energy_cc"]
    assert (tmp_path / "regions" / "phantom_0001__low_energy_cc__combined_5mm.nrrd").is_file()


def test_excluded_segments_are_cut_from_the_rings(cases, extracted, tmp_path):
    files = cases[0].images["image"]
    _, lesion, _ = load_image(cases[0])
    labels = lesion.astype(np.uint8)
    columns = np.flatnonzero(lesion.any(axis=0))
    labels[:, columns[0] + len(columns) // 2 :][labels[:, columns[0] + len(columns) // 2 :] == 0] = 2
    image = sitk.GetImageFromArray(labels[np.newaxis])
    image.CopyInformation(sitk.ReadImage(str(files.segmentation)))
    sitk.WriteImage(image, str(tmp_path / "labels.nrrd"))
    images = {"image": CaseImage(files.image, tmp_path / "labels.nrrd")}
    case = replace(cases[0], images=images, segment="1", exclude_segments=("2",))
    extract_cases([case], SETTINGS, MARGINS, tmp_path / "features.csv")
    row, whole = (read_features(path).row("phantom_0001") for path in (tmp_path / "features.csv", extracted[1]))
    name = "image__peritumoral_5mm__diagnostics_KeptFraction"
    assert 0.3 < row[name] < 0.7 < whole[name]
    same = "image__intratumoral__original_firstorder_Mean"
    assert row[same] == whole[same]


def test_saved_regions_are_label_images_on_the_grid_of_the_image(cases, extracted, tmp_path):
    folder = tmp_path / "made" / "regions"
    extract_cases(cases[:1], SETTINGS, MARGINS, tmp_path / "features.csv", save_regions=folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"phantom_0001__image__{r}.nrrd" for r in REGIONS)
    mammogram, lesion, _ = load_image(cases[0])
    row = read_features(extracted[1]).row("phantom_0001")
    masks = {}
    for region in REGIONS:
        label = sitk.ReadImage(str(folder / f"phantom_0001__image__{region}.nrrd"))
        assert label.GetSize() == mammogram.image.GetSize()
        for ask in ("GetSpacing", "GetOrigin", "GetDirection"):
            assert getattr(label, ask)() == pytest.approx(getattr(mammogram.image, ask)())
        masks[region] = pixels = sitk.GetArrayFromImage(label)[0]
        assert set(np.unique(pixels)) == {0, 1}
        assert pixels.sum() == row[f"image__{region}__diagnostics_VoxelNum"]
    assert np.array_equal(masks["intratumoral"], lesion)


def test_regions_that_cannot_be_written_fail_the_case_and_leave_no_part(cases, tmp_path, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("sitk::ERROR: disk full\nat line 3")

    monkeypatch.setattr(batch.sitk, "WriteImage", full)
    with pytest.raises(InputError, match="intratumoral.nrrd' cannot be written") as caught:
        extract_cases(cases[:1], SETTINGS, MARGINS, tmp_path / "features.csv", save_regions=tmp_path / "regions")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["regions"]


class Reached(Exception):
    """Work was begun."""


@pytest.fixture
def no_work(monkeypatch):
    def fail(*_, **__):
        raise Reached

    monkeypatch.setattr(batch, "load_image", fail)


@pytest.mark.parametrize(
    ("out", "regions"),
    [
        ("file/features.csv", None),
        ("folder", None),
        ("blocked.csv", None),
        ("features.json", None),
        ("features.csv", "file"),
        ("features.csv", "file/regions"),
    ],
    ids=["file for folder", "folder for file", "folder for facts", "facts over table", "regions in file", "below file"],
)
def test_place_that_cannot_be_written_is_refused_before_any_work(cases, tmp_path, no_work, out, regions):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "blocked.json").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError):
        extract_cases(cases, SETTINGS, MARGINS, tmp_path / out, save_regions=regions and tmp_path / regions)
    assert sorted(tmp_path.rglob("*")) == before and (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("out", ["file/predictions.csv", "folder"])
def test_place_of_predictions_is_checked_before_any_work(cases, tmp_path, no_work, out):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        predict_cases(cases, make_model(), tmp_path / out)


def test_work_is_begun_where_the_place_is_right(cases, tmp_path, no_work):
    # Otherwise the two tests above could not fail.
    with pytest.raises(Reached):
        extract_cases(cases, SETTINGS, MARGINS, tmp_path / "features.csv", save_regions=tmp_path / "regions")
    with pytest.raises(Reached):
        predict_cases(cases, make_model(), tmp_path / "predictions.csv")


@pytest.mark.filterwarnings("ignore:.*tasks which were still being processed:UserWarning:joblib")
@pytest.mark.parametrize(("after", "jobs"), [(1, 1), (2, 1), (1, 2)])
def test_interruption_keeps_what_was_computed(cases, extracted, tmp_path, after, jobs):
    def progress(done, total):
        if done == after:
            raise KeyboardInterrupt

    out = tmp_path / "features.csv"
    with pytest.raises(KeyboardInterrupt):
        extract_cases(cases, SETTINGS, MARGINS, out, jobs=jobs, progress=progress)
    assert not out.exists()
    out = partial_path(out)
    table, whole = read_features(out), read_features(extracted[1])
    assert table.case_ids == whole.case_ids[:after]
    assert np.array_equal(table.values, whole.values[:after])
    assert list(json.loads(out.with_suffix(".json").read_text())["cases"]) == list(table.case_ids)


def test_interruption_before_anything_was_computed_leaves_the_old_table(cases, tmp_path, no_work):
    out = tmp_path / "features.csv"
    out.write_text("old")
    with pytest.raises(Reached):
        extract_cases(cases, SETTINGS, MARGINS, out)
    assert out.read_text() == "old" and list(tmp_path.iterdir()) == [out]


def test_number_of_threads_of_itk_is_as_before(cases, tmp_path):
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(3)
    try:
        extract_cases(cases[:1], SETTINGS, MARGINS, tmp_path / "features.csv")
        assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == 3
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


# --- prediction -------------------------------------------------------------------------------------------------------


def from_table(extracted) -> dict:
    """Feature table and facts of an extraction, as arguments of predict_cases."""
    return {"features": read_features(extracted[1]), "facts": read_extraction_facts(extracted[1])}


def test_predictions_of_the_images(cases, tmp_path):
    model = make_model()
    out = tmp_path / "predictions.csv"
    result = predict_cases(cases, model, out)
    assert list(result.done) == [case.case_id for case in cases] and result.failed == {}
    rows = rows_of(out)
    for case, row in zip(cases, rows):
        mammogram, lesion, exclude = load_image(case)
        expected = predict_case(model, mammogram, lesion, case.clinical, exclude)[0]
        assert result.done[case.case_id] == expected
        assert row == {name: str(value) for name, value in prediction_row(case.case_id, expected).items()}
        assert float(row["probability"]) == expected.probability


def test_row_of_a_prediction():
    prediction = predict_row(make_model(), ROW, CLINICAL, warnings=("first", "second"))
    assert prediction_row("L1", prediction) == {
        "case_id": "L1",
        "probability": prediction.probability,
        "probability_low": prediction.interval[0],
        "probability_high": prediction.interval[1],
        "cutoff": 0.4,
        "decision": "HER2-positive",
        "extrapolated": 0,
        "radiomics_probability": prediction.radiomics_probability,
        "clinical_probability": prediction.clinical_probability,
        "rad_score_intratumoral": pytest.approx(1.1),
        "rad_score_peritumoral_5mm": pytest.approx(0.3),
        "points_intratumoral": pytest.approx(77.5),
        "points_peritumoral_5mm": pytest.approx(15),
        "points_tumor_diameter_mm": pytest.approx(15),
        "points_microcalcifications": pytest.approx(10),
        "total_points": pytest.approx(117.5),
        "warnings": "first | second",
        "notice": make_model().notice,
    }
    other = prediction_row("L1", replace(prediction, positive=False, extrapolated=True))
    assert (other["decision"], other["extrapolated"]) == ("not usable: unlike the training cases", 1)


def without_warnings(rows):
    return [{name: value for name, value in row.items() if name != "warnings"} for row in rows]


@pytest.mark.parametrize("blank", [None, "", "nan"], ids=["given diameter", "blank diameter", "nan diameter"])
def test_feature_table_predicts_the_same_as_the_images(cases, extracted, tmp_path, blank):
    if blank is not None:
        cases = [replace(case, clinical={**case.clinical, "tumor_diameter_mm": blank}) for case in cases]
    images = predict_cases(cases, make_model(), tmp_path / "a.csv")
    table = predict_cases(cases, make_model(), tmp_path / "b.csv", **from_table(extracted))
    assert list(images.done) == list(table.done)
    rows = rows_of(tmp_path / "a.csv"), rows_of(tmp_path / "b.csv")
    # A feature table knows nothing of the images' own warnings; all numbers are the same to the last digit.
    assert without_warnings(rows[0]) == without_warnings(rows[1])
    for row in rows[1]:
        assert ("was measured from the segment" in row["warnings"]) is (blank is not None)


@pytest.mark.parametrize("with_table", [False, True])
def test_blank_diameter_is_measured_before_it_is_filled(cases, extracted, tmp_path, with_table):
    diameter = replace(DIAMETER, fill=1.0)
    model = make_model(
        nomogram=make_logistic((INTRATUMORAL, diameter), (1.0, 0.05)), clinical=make_logistic((diameter,), (0.05,))
    )
    blank = [replace(case, clinical={}) for case in cases[:1]]
    given = from_table(extracted) if with_table else {}
    prediction = predict_cases(blank, model, tmp_path / "p.csv", **given).done["phantom_0001"]
    measured = read_features(extracted[1]).row("phantom_0001")["image__intratumoral__diagnostics_FeretDiameter"]
    assert prediction.predictors["tumor_diameter_mm"] == measured
    assert not any("is missing" in warning for warning in prediction.warnings)


def test_diameter_that_the_feature_table_does_not_have_is_filled(cases, extracted, tmp_path):
    table, facts = from_table(extracted).values()
    kept = [i for i, name in enumerate(table.columns) if "FeretDiameter" not in name]
    table = FeatureTable(table.case_ids, tuple(table.columns[i] for i in kept), table.values[:, kept])
    diameter = replace(DIAMETER, fill=15.0)
    model = make_model(
        nomogram=make_logistic((INTRATUMORAL, diameter), (1.0, 0.05)), clinical=make_logistic((diameter,), (0.05,))
    )
    blank = [replace(cases[0], clinical={"tumor_diameter_mm": ""})]
    (prediction,) = predict_cases(blank, model, tmp_path / "p.csv", table, facts).done.values()
    assert prediction.predictors["tumor_diameter_mm"] == 15.0
    assert "Tumor diameter is missing: 15 mm (median of the training cases) was used." in prediction.warnings


def test_missing_factor_of_a_batch_is_filled_and_an_unknown_level_fails_its_case_alone(cases, extracted, tmp_path):
    clinical = [{"breast_density": "", "age": "60"}, {"breast_density": "F", "age": "60"}, {"breast_density": "a"}]
    changed = [replace(case, clinical=factors) for case, factors in zip(cases, clinical)]
    out = tmp_path / "p.csv"
    result = predict_cases(changed, make_density_model(), out, **from_table(extracted))
    assert list(result.failed) == ["phantom_0002"]
    assert "'breast_density' is 'F'" in result.failed["phantom_0002"]
    first, third = rows_of(out)
    assert "Breast density is missing: C (" in first["warnings"] and "Age is missing" not in first["warnings"]
    assert "Age is missing: 52 years (" in third["warnings"] and "density is missing" not in third["warnings"]


def test_derived_factors_of_a_model(cases, extracted, tmp_path):
    er = Predictor("er_status", "clinical", "ER status", "", 0.0, 1.0, ("negative", "positive"))
    model = make_model(nomogram=make_logistic((INTRATUMORAL, er), (1.0, 0.5)), clinical=make_logistic((er,), (0.5,)))
    entries = ["90%", "<1%", "1-2-3"]
    changed = [replace(case, clinical={"er": text}) for case, text in zip(cases, entries)]
    result = predict_cases(changed, model, tmp_path / "p.csv", **from_table(extracted))
    assert [prediction.predictors["er_status"] for prediction in result.done.values()] == [1, 0]
    assert list(result.failed) == ["phantom_0003"] and "'er_status' is 'er = 1-2-3'" in result.failed["phantom_0003"]
    given = [replace(case, clinical={"er_status": "positive", "er": "rubbish"}) for case in cases]
    result = predict_cases(given, model, tmp_path / "p.csv", **from_table(extracted))
    assert [prediction.predictors["er_status"] for prediction in result.done.values()] == [1, 1, 1]
    with pytest.raises(InputError, match="no column 'er_status', nor 'er' to derive it from .is 'ER' meant"):
        predict_cases([replace(cases[0], clinical={"ER": "1"})], model, tmp_path / "p.csv", **from_table(extracted))


# --- features of other software ---------------------------------------------------------------------------------------


def foreign_table(case_ids) -> FeatureTable:
    values = np.array([[value + 10 * number for value in FOREIGN_ROW.values()] for number in range(len(case_ids))])
    return FeatureTable(tuple(case_ids), tuple(FOREIGN_ROW), values)


@pytest.mark.parametrize("facts", [None, {"anything": "else"}], ids=["without facts", "facts that say nothing"])
def test_features_of_other_software_need_no_facts(tmp_path, facts):
    cases = [Case(name, name, "train", clinical=dict(CLINICAL)) for name in ("one", "two")]
    table = foreign_table(["two", "one"])
    result = predict_cases(cases, make_foreign_model(), tmp_path / "p.csv", table, facts)
    assert result.failed == {}
    for case in cases:
        assert result.done[case.case_id] == predict_row(make_foreign_model(), table.row(case.case_id), CLINICAL)
    assert [row["case_id"] for row in rows_of(tmp_path / "p.csv")] == ["one", "two"]


def test_model_of_other_software_without_features_is_refused_before_any_work(cases, tmp_path, no_work):
    with pytest.raises(InputError, match="features of other software.*--features"):
        predict_cases(cases, make_foreign_model(), tmp_path / "p.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_the_model_needs_is_missed_before_any_prediction(cases, extracted, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "predict_row", None)
    renamed = [replace(case, clinical={"Age": "50", "breast_density": "B"}) for case in cases]
    with pytest.raises(
        InputError, match=r"no column 'age', which .* \(is 'Age' meant\?\): rename it; a blank column is"
    ):
        predict_cases(renamed, make_density_model(), tmp_path / "p.csv", **from_table(extracted))
    without = [replace(case, clinical={"tumor_diameter_mm": "20"}) for case in cases]
    with pytest.raises(InputError, match=r"no column 'microcalcifications', which model .* uses: add the column\.$"):
        predict_cases(without, make_model(), tmp_path / "p.csv")
    # Other software measures no diameter.
    with pytest.raises(InputError, match="no column 'tumor_diameter_mm'"):
        predict_cases([Case("one", "one", "train")], make_foreign_model(), tmp_path / "p.csv", foreign_table(["one"]))


def test_features_of_other_cases_are_refused(cases, extracted, tmp_path):
    others = [replace(case, case_id=f"X{number}") for number, case in enumerate(cases)]
    with pytest.raises(InputError, match="No case of the case table .*'X0' and 'phantom_0001'"):
        predict_cases(others, make_model(), tmp_path / "p.csv", **from_table(extracted))


def test_diameter_cannot_be_measured_by_other_software(tmp_path):
    cases = [Case("one", "one", "train", clinical={"tumor_diameter_mm": ""})]
    with pytest.raises(InputError, match="'tumor_diameter_mm' .*is missing"):
        predict_cases(cases, make_foreign_model(), tmp_path / "p.csv", foreign_table(["one"]))


def test_features_without_their_settings_are_refused_by_a_model_that_has_some(cases, extracted, tmp_path):
    with pytest.raises(InputError, match="features.json"):
        predict_cases(cases, make_model(), tmp_path / "p.csv", read_features(extracted[1]))


def test_two_processes_predict_the_same(cases, tmp_path):
    predict_cases(cases[:2], make_model(), tmp_path / "one.csv")
    predict_cases(cases[:2], make_model(), tmp_path / "two.csv", jobs=2)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_case_that_cannot_be_predicted_is_named_and_the_others_are_written(broken, tmp_path):
    changed = [replace(broken[0], clinical={**broken[0].clinical, "microcalcifications": ""}), *broken[1:]]
    result = predict_cases(changed, make_model(), tmp_path / "predictions.csv")
    assert "microcalcifications" in result.failed["phantom_0001"] and "gone.dcm" in result.failed["phantom_0002"]
    assert [row["case_id"] for row in rows_of(tmp_path / "predictions.csv")] == ["phantom_0003"]


def test_case_that_is_not_in_the_feature_table(cases, extracted, tmp_path):
    extra = replace(cases[0], case_id="new", patient_id="new")
    result = predict_cases([*cases, extra], make_model(), tmp_path / "p.csv", **from_table(extracted))
    assert list(result.failed) == ["new"] and "not in the feature table" in result.failed["new"]
    assert len(result.done) == 3


def test_image_of_another_kind_fails_every_case_and_writes_nothing(cases, tmp_path):
    with pytest.raises(InputError, match="kind is recombined.*low_energy"):
        predict_cases(cases, make_model(kind="low_energy"), tmp_path / "p.csv")
    assert list(tmp_path.iterdir()) == []


def test_model_of_a_feature_that_is_not_extracted(cases, tmp_path):
    feature = "image__intratumoral__original_glcm_Contrast"
    signatures = {**make_model().signatures}
    signatures["intratumoral"] = Signature("image", "intratumoral", (feature,), (0.0,), (1.0,), (1.0,), 0.0)
    with pytest.raises(InputError, match=f"{feature}.*missing"):
        predict_cases(cases, make_model(signatures=signatures), tmp_path / "p.csv")


@pytest.mark.parametrize("with_table", [False, True])
def test_interruption_keeps_what_was_predicted(cases, extracted, tmp_path, with_table):
    def progress(done, total):
        if done == 2:
            raise KeyboardInterrupt

    given = from_table(extracted) if with_table else {}
    with pytest.raises(KeyboardInterrupt):
        predict_cases(cases, make_model(), tmp_path / "p.csv", progress=progress, **given)
    assert [row["case_id"] for row in rows_of(tmp_path / "p.partial.csv")] == ["phantom_0001", "phantom_0002"]


# --- patients ---------------------------------------------------------------------------------------------------------


def test_nothing_that_identifies_a_patient_gets_out(cases, tmp_path, capfd, caplog):
    import pydicom

    source, segmentation = cases[0].images["image"].image, cases[0].images["image"].segmentation
    assert pydicom.dcmread(source).PatientID == IDENTIFIERS["PatientID"]
    # One case of every fate: done, of another modality, of several frames, of impossible spacing, damaged, cut off.
    folder, out = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    for name, changes in {
        "modality": {"Modality": "CT"},
        "frames": {"NumberOfFrames": 60},
        "spacing": {"PixelSpacing": [9, 9], "ImagerPixelSpacing": [9, 9]},
    }.items():
        dataset = pydicom.dcmread(source)
        for keyword, value in changes.items():
            setattr(dataset, keyword, value)
        dataset.save_as(folder / f"{name}.dcm")
    content = source.read_bytes()
    (folder / "cut.dcm").write_bytes(content[: len(content) // 3])
    (folder / "damaged.dcm").write_bytes(content[:400] + bytes(range(256)) + content[400:])
    many = [cases[0]]
    many += [
        replace(cases[0], case_id=path.stem, images={"image": CaseImage(path, segmentation)})
        for path in sorted(folder.iterdir())
    ]
    caplog.set_level(0)
    result = extract_cases(many, SETTINGS, MARGINS, out / "features.csv", save_regions=out / "regions")
    assert list(result.done) == ["phantom_0001"]
    assert sorted(result.failed) == ["cut", "damaged", "frames", "modality", "spacing"]
    predict_cases(many, make_model(), out / "predictions.csv")
    written = [path for path in out.rglob("*") if path.is_file()]
    assert len(written) == 3 + len(REGIONS)
    console = capfd.readouterr()
    said = [path.read_bytes() for path in written]
    said += [text.encode() for text in (console.out, console.err, caplog.text, str(result.failed), str(result.done))]
    for value in [*IDENTIFIERS.values(), "ZZNAME", "DISTINCTIVE"]:
        assert not any(value.encode() in content for content in said), value
