"""Prediction of one case: the numbers, what is refused and what is warned of."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from models import (
    AGE,
    CLINICAL,
    DENSITY,
    DIAMETER,
    ENTROPY,
    EXTRACTION,
    FOREIGN_ROW,
    INTRATUMORAL,
    MEAN,
    RING_MEAN,
    ROW,
    make_density_model,
    make_foreign_model,
    make_logistic,
    make_model,
)

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.features import ExtractionSettings, feature_row
from HER2NomogramLib.mammogram import Mammogram
from HER2NomogramLib.modelfile import Predictor
from HER2NomogramLib.phantom import make_phantom
from HER2NomogramLib.prediction import predict_case, predict_row

SPACING = 0.2  # of the phantom and of the model's training images, mm


@pytest.fixture(scope="module")
def study():
    return make_phantom(3)


@pytest.fixture
def mammogram(study) -> Mammogram:
    return image_of(study)


def image_of(study, spacing=(SPACING, SPACING), kind="recombined", **kwargs) -> Mammogram:
    return Mammogram.from_array(study.pixels, spacing, "phantom", kind=kind, **kwargs)


def expit(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def fake_extract(mammogram, regions, settings):
    return dict(ROW)


def predict(model, mammogram, lesion, clinical=CLINICAL, **kwargs):
    """Prediction of a case whose features are ROW."""
    return predict_case(model, mammogram, lesion, clinical, extract=kwargs.pop("extract", fake_extract), **kwargs)


# --- predict_row ------------------------------------------------------------------------------------------------------


def test_every_number_of_a_prediction_by_hand():
    prediction = predict_row(make_model(), ROW, CLINICAL)
    assert prediction.rad_scores == pytest.approx({"intratumoral": 1.1, "peritumoral_5mm": 0.3})
    assert prediction.predictors == pytest.approx(
        {"intratumoral": 1.1, "peritumoral_5mm": 0.3, "tumor_diameter_mm": 20.0, "microcalcifications": 1.0}
    )
    # -1.5 + 1.1 - 0.5 * 0.3 + 0.05 * 20 + 0.4
    assert prediction.probability == pytest.approx(expit(0.85), abs=1e-14)
    half_width = 1.959963984540054 * math.sqrt(0.04 + 1.1**2 * 0.01 + 0.3**2 * 0.01 + 20**2 * 0.0001 + 0.09)
    assert prediction.interval == pytest.approx((expit(0.85 - half_width), expit(0.85 + half_width)), abs=1e-14)
    assert prediction.points == pytest.approx(
        {"intratumoral": 77.5, "peritumoral_5mm": 15.0, "tumor_diameter_mm": 15.0, "microcalcifications": 10.0}
    )
    assert prediction.total_points == pytest.approx(117.5)
    assert prediction.radiomics_probability == pytest.approx(expit(-0.5 + 1.2 * 1.1 + 0.8 * 0.3), abs=1e-14)
    assert prediction.clinical_probability == pytest.approx(expit(-2.0 + 0.06 * 20 + 0.5), abs=1e-14)
    assert (prediction.cutoff, prediction.positive) == (0.4, True)
    assert prediction.warnings == () and prediction.extrapolated is False
    assert prediction.model_name == "Test model"


def test_values_of_the_predictors_are_told_as_people_read_them():
    prediction = predict_row(make_model(), ROW, CLINICAL)
    assert prediction.predictor_texts == {
        "intratumoral": "1.1", "peritumoral_5mm": "0.3", "tumor_diameter_mm": "20 mm", "microcalcifications": "present"
    }  # fmt: skip


def test_case_of_a_model_with_four_levels_by_hand():
    prediction = predict_row(make_density_model(), ROW, {"breast_density": "b", "age": "60"})
    assert prediction.predictors == pytest.approx({"intratumoral": 1.1, "breast_density": 1.0, "age": 60.0})
    # -1.0 + 1.1 + 0.5 + 0.6, and the points of 1.1 + 2.0, 0.5 + 0.5 and 0.3 log odds at 0.04 each
    assert prediction.probability == pytest.approx(expit(1.2), abs=1e-14)
    assert prediction.points == pytest.approx({"intratumoral": 77.5, "breast_density": 25.0, "age": 7.5})
    half_width = 1.959963984540054 * math.sqrt(0.04 + 1.1**2 * 0.01 + 0.02 + 60**2 * 0.0001)
    assert prediction.interval == pytest.approx((expit(1.2 - half_width), expit(1.2 + half_width)), abs=1e-14)
    assert prediction.clinical_probability == pytest.approx(expit(-2.0 + 0.6 + 0.02 * 60), abs=1e-14)
    assert prediction.predictor_texts["breast_density"] == "B"
    assert prediction.warnings == () and prediction.extrapolated is False


@pytest.mark.parametrize("level", "ABCD")
def test_no_level_is_outside_of_the_training_range(level):
    prediction = predict_row(make_density_model(), ROW, {"breast_density": level, "age": 60})
    assert prediction.warnings == () and prediction.extrapolated is False


@pytest.mark.parametrize("level", ["E", "2", "dense"])
def test_level_that_the_model_does_not_know_is_refused_though_a_missing_one_is_not(level):
    with pytest.raises(InputError, match=f"'breast_density' is '{level}': the model knows A, B, C and D"):
        predict_row(make_density_model(), ROW, {"breast_density": level, "age": 60})


@pytest.mark.parametrize("blank", ["", "  ", None, "nan", math.nan, "NA", "absent from the mapping"])
def test_missing_factors_are_filled_and_said(blank):
    clinical = {} if blank == "absent from the mapping" else {"breast_density": blank, "age": blank}
    prediction = predict_row(make_density_model(), ROW, clinical, warnings=("first",))
    filled = predict_row(make_density_model(), ROW, {"breast_density": "C", "age": 52})
    assert prediction.predictors == filled.predictors and prediction.predictors["age"] == 52.0
    assert (prediction.probability, prediction.interval) == (filled.probability, filled.interval)
    assert prediction.clinical_probability == filled.clinical_probability
    assert prediction.warnings == (
        "first",
        "Breast density is missing: C (the most frequent level of the training cases) was used.",
        "Age is missing: 52 years (median of the training cases) was used.",
    )
    assert prediction.extrapolated is False and prediction.filled == ("breast_density", "age")
    assert filled.warnings == () and filled.filled == ()


def test_factor_of_the_clinical_model_alone_is_filled_and_said_too():
    model = make_density_model(nomogram=make_logistic((INTRATUMORAL, DENSITY), (1.0, 0.5, 1.5, -0.5)))
    prediction = predict_row(model, ROW, {"breast_density": "A"})
    assert prediction.clinical_probability == pytest.approx(expit(-2.0 + 0.02 * 52), abs=1e-14)
    assert prediction.warnings == ("Age is missing: 52 years (median of the training cases) was used.",)
    assert prediction.filled == ("age",)


def test_missing_factor_without_a_fill_is_refused_beside_one_that_is_filled():
    model = make_density_model(clinical=make_logistic((AGE, DIAMETER), (0.02, 0.05)))
    with pytest.raises(InputError, match="^Clinical factor 'tumor_diameter_mm' .*is missing"):
        predict_row(model, ROW, {})


def test_row_of_features_of_other_software():
    prediction = predict_row(make_foreign_model(), FOREIGN_ROW, CLINICAL)
    assert prediction.rad_scores == pytest.approx({"whole lesion": 1.1})
    assert prediction.probability == pytest.approx(expit(-1.5 + 1.1 + 0.05 * 20), abs=1e-14)


def test_selected_features_of_the_signatures_in_the_nomogram():
    prediction = predict_row(make_model(), ROW, CLINICAL)
    found = [(f.region, f.column, f.value, f.contribution) for f in prediction.selected_features]
    assert found == [
        ("intratumoral", MEAN, 6500.0, 0.5),
        ("intratumoral", ENTROPY, 3.5, 0.5),
        ("peritumoral_5mm", RING_MEAN, 4600.0, 0.5),
    ]
    assert prediction.selectedFeatures is prediction.selected_features
    # A signature that only the radiomics model uses has a Rad-score, but its features do not move the probability.
    alone = predict_row(make_model(nomogram=make_logistic((INTRATUMORAL, DIAMETER), (1.0, 0.05))), ROW, CLINICAL)
    assert [f.column for f in alone.selected_features] == [MEAN, ENTROPY]
    assert list(alone.rad_scores) == ["intratumoral", "peritumoral_5mm"]


@pytest.mark.parametrize(("shift", "positive"), [(0.0, True), (1e-9, False)])
def test_case_at_the_cutoff_counts_as_positive(shift, positive):
    probability = predict_row(make_model(), ROW, CLINICAL).probability
    nomogram = replace(make_model().nomogram, cutoff=probability + shift)
    assert predict_row(make_model(nomogram=nomogram), ROW, CLINICAL).positive is positive


def test_notice_of_the_model_is_passed_on():
    assert "DEMONSTRATION" in predict_row(make_model(), ROW, CLINICAL).notice
    assert predict_row(make_model(demonstration=False), ROW, CLINICAL).notice == make_model(demonstration=False).notice


def test_further_features_and_factors_do_not_matter():
    expected = predict_row(make_model(), ROW, CLINICAL)
    assert predict_row(make_model(), {**ROW, "other": math.nan}, {**CLINICAL, "age": "old"}) == expected


@pytest.mark.parametrize("column", [MEAN, ENTROPY, RING_MEAN])
def test_missing_feature_is_named(column):
    row = {name: value for name, value in ROW.items() if name != column}
    with pytest.raises(InputError, match=f"^Feature '{column}' is missing: .*model's own settings"):
        predict_row(make_model(), row, CLINICAL)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_feature_that_is_not_finite_is_named(value):
    with pytest.raises(InputError, match=f"^Feature '{MEAN}' is {value}: "):
        predict_row(make_model(), {**ROW, MEAN: value}, CLINICAL)


@pytest.mark.parametrize("name", list(CLINICAL))
@pytest.mark.parametrize("blank", ["", None, "nan", "absent from the mapping"])
def test_missing_clinical_factor_is_named(name, blank):
    clinical = {key: value for key, value in CLINICAL.items() if key != name}
    if blank != "absent from the mapping":
        clinical[name] = blank
    with pytest.raises(InputError, match=f"^Clinical factor '{name}' .*is missing"):
        predict_row(make_model(), ROW, clinical)


def test_factor_of_the_clinical_model_alone_is_needed_too():
    age = Predictor("age", "clinical", "Age", "years", 30.0, 80.0)
    model = make_model(clinical=make_logistic((age,), (0.02,), intercept=-1.0))
    with pytest.raises(InputError, match="'age'"):
        predict_row(model, ROW, CLINICAL)
    assert predict_row(model, ROW, {**CLINICAL, "age": 50}).clinical_probability == pytest.approx(0.5)


def test_values_outside_the_training_range_are_warned_of_with_the_earlier_warnings_in_front():
    row = {**ROW, MEAN: 9000.0}  # Rad-score 3.6
    clinical = {**CLINICAL, "tumor_diameter_mm": 52.25}
    prediction = predict_row(make_model(), row, clinical, warnings=("first", "second"))
    assert prediction.extrapolated is True
    assert prediction.warnings == (
        "first",
        "second",
        "Rad-score, intratumoral 3.6 is outside the training range (-2 to 2): extrapolated.",
        "Tumor diameter 52.25 mm is outside the training range (8 to 40): extrapolated.",
        "1 of 3 selected features lie more than 3 standard deviations from the mean of the training cases.",
    )


@pytest.mark.parametrize(("diameter", "warned"), [(8.0, False), (40.0, False), (7.9, True), (40.1, True)])
def test_ends_of_the_training_range_belong_to_it(diameter, warned):
    prediction = predict_row(make_model(), ROW, {**CLINICAL, "tumor_diameter_mm": diameter})
    assert bool(prediction.warnings) is warned and prediction.extrapolated is warned


def test_other_warnings_are_no_extrapolation():
    assert predict_row(make_model(), ROW, CLINICAL, warnings=("from the image",)).extrapolated is False


def test_warnings_are_unique_and_keep_their_order():
    assert predict_row(make_model(), ROW, CLINICAL, warnings=("b", "a", "b", "c", "a")).warnings == ("b", "a", "c")


def test_nomogram_without_any_effect_is_refused():
    nomogram = make_logistic((INTRATUMORAL, DIAMETER), (0.0, 0.0))
    with pytest.raises(InputError, match="no predictor with an effect"):
        predict_row(make_model(nomogram=nomogram), ROW, CLINICAL)


# --- predict_case -----------------------------------------------------------------------------------------------------


def test_case_passes_image_regions_and_settings_to_the_extraction(study, mammogram):
    asked = []

    def extract(*arguments):
        asked.append(arguments)
        return dict(ROW)

    prediction, regions, row = predict(make_model(), mammogram, study.lesion, extract=extract)
    ((image, given_regions, settings),) = asked
    assert image is mammogram and given_regions is regions and row == ROW
    assert list(regions) == ["intratumoral", "peritumoral_5mm"]  # those whose Rad-scores the models use
    assert np.array_equal(regions["intratumoral"].mask, study.lesion)
    assert settings == ExtractionSettings.from_dict(EXTRACTION)
    assert prediction == predict_row(make_model(), ROW, CLINICAL)


def test_case_with_the_features_of_pyradiomics(study, mammogram):
    prediction, regions, row = predict_case(make_model(), mammogram, study.lesion, CLINICAL)
    assert row[MEAN] == pytest.approx(study.pixels[study.lesion].mean(), rel=1e-12)
    assert row[RING_MEAN] == pytest.approx(study.pixels[regions["peritumoral_5mm"].mask].mean(), rel=1e-12)
    assert row == feature_row(mammogram, regions, ExtractionSettings.from_dict(EXTRACTION))
    assert prediction.probability == predict_row(make_model(), row, CLINICAL).probability


def test_rings_leave_out_air_and_what_is_excluded(study, mammogram):
    _, whole, _ = predict(make_model(), mammogram, study.lesion)
    columns = np.flatnonzero(study.lesion.any(axis=0))
    exclude = np.zeros(study.lesion.shape, dtype=bool)
    exclude[:, columns.mean().astype(int) :] = True
    _, regions, _ = predict(make_model(), mammogram, study.lesion, exclude=exclude)
    assert (whole["peritumoral_5mm"].mask & exclude).any()
    assert np.array_equal(regions["peritumoral_5mm"].mask, whole["peritumoral_5mm"].mask & ~exclude)
    assert np.array_equal(regions["intratumoral"].mask, study.lesion)
    assert not (whole["peritumoral_5mm"].mask & ~mammogram.breast).any()


def test_model_of_other_software_is_not_applied_to_an_image(study, mammogram):
    def extract(*_):
        raise AssertionError("extracted for a model that says not how")

    with pytest.raises(InputError, match="'Test model' was trained on features of other software.*--features") as error:
        predict(make_foreign_model(), mammogram, study.lesion, extract=extract)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("of_model", "of_image", "words"),
    [
        ({"kind": "recombined"}, {"kind": "low_energy"}, "kind is low_energy, model 'Test model'.*recombined"),
        (
            {"presentation": "FOR PROCESSING"},
            {"presentation": "FOR PRESENTATION"},
            "presentation intent is FOR PRESENTATION, model 'Test model'.*FOR PROCESSING",
        ),
    ],
    ids=["kind", "presentation"],
)
def test_image_of_another_sort_is_refused_before_any_work(study, of_model, of_image, words):
    def extract(*_):
        raise AssertionError("extracted before the image was checked")

    with pytest.raises(InputError, match=words):
        predict(make_model(**of_model), image_of(study, **of_image), study.lesion, extract=extract)


@pytest.mark.parametrize(
    ("of_model", "of_image"),
    [
        ({"kind": None}, {"kind": "low_energy"}),
        ({"kind": "recombined"}, {"kind": None}),
        ({"presentation": None}, {"presentation": "FOR PRESENTATION"}),
        ({"presentation": "FOR PROCESSING"}, {"presentation": None}),
    ],
)
def test_unknown_sort_is_not_refused(study, of_model, of_image):
    assert predict(make_model(**of_model), image_of(study, **of_image), study.lesion)[0].probability > 0


# The model was trained on 0.1 to 0.2 mm; a quarter more or less is tolerated.
@pytest.mark.parametrize("spacing", [(0.2, 0.2), (0.24, 0.24), (0.082, 0.082), (0.1, 0.25)])
def test_spacing_near_that_of_training_is_not_warned_of(study, spacing):
    rectangle = lesion_in(study)
    assert predict(make_model(margins_mm=(0.5,), **ALONE), image_of(study, spacing), rectangle)[0].warnings == ()


@pytest.mark.parametrize(
    ("spacing", "shown"), [((0.26, 0.26), "0.26"), ((0.07, 0.07), "0.07"), ((0.2, 0.3), "0.3"), ((0.05, 0.2), "0.05")]
)
def test_other_spacing_is_warned_of(study, spacing, shown):
    warnings = predict(make_model(margins_mm=(0.5,), **ALONE), image_of(study, spacing), lesion_in(study))[0].warnings
    assert warnings == (
        f"Pixel spacing {shown} mm is not that of the training images (0.1 to 0.2 mm): texture does not compare.",
    )


def test_spacing_warning_names_a_single_training_spacing_once(study):
    model = make_model(spacing_range_mm=(0.1, 0.1))
    assert "(0.1 mm)" in predict(model, image_of(study), study.lesion)[0].warnings[0]


# Entries of a model that needs the lesion alone, so that any margin will do.
ALONE = {
    "signatures": {"intratumoral": make_model().signatures["intratumoral"]},
    "nomogram": make_logistic((INTRATUMORAL, DIAMETER), (1.0, 0.05)),
    "radiomics": make_logistic((INTRATUMORAL,), (1.0,)),
    "clinical": make_logistic((DIAMETER,), (0.05,)),
}


def lesion_in(study, rows=50, columns=30) -> np.ndarray:
    """A rectangle of that many pixels in the middle of the phantom's lesion."""
    row, column = (int(index.mean()) for index in np.nonzero(study.lesion))
    lesion = np.zeros(study.lesion.shape, dtype=bool)
    lesion[row - rows // 2 : row - rows // 2 + rows, column - columns // 2 : column - columns // 2 + columns] = True
    return lesion


@pytest.mark.parametrize("blank", ["", "  ", None, "nan", math.nan, "absent from the mapping"])
def test_blank_diameter_is_measured(study, mammogram, blank):
    clinical = {"microcalcifications": "present"}
    if blank != "absent from the mapping":
        clinical["tumor_diameter_mm"] = blank
    prediction = predict(make_model(), mammogram, lesion_in(study), clinical)[0]
    # 50 by 30 pixels of 0.2 mm: the diagonal of 10 by 6 mm.
    assert prediction.predictors["tumor_diameter_mm"] == pytest.approx(math.sqrt(136.0), abs=1e-9)
    assert prediction.warnings == ("Tumor diameter 11.7 mm was measured from the segment, not given.",)
    assert clinical.get("tumor_diameter_mm", blank) is blank


def test_blank_diameter_is_measured_before_it_is_filled(study, mammogram):
    diameter = replace(DIAMETER, fill=15.0)
    logistic = {
        "nomogram": make_logistic((INTRATUMORAL, diameter), (1.0, 0.05)),
        "clinical": make_logistic((diameter,), (0.05,)),
    }
    prediction = predict(make_model(**logistic), mammogram, lesion_in(study), {})[0]
    assert prediction.predictors["tumor_diameter_mm"] == pytest.approx(math.sqrt(136.0), abs=1e-9)
    assert prediction.warnings == ("Tumor diameter 11.7 mm was measured from the segment, not given.",)
    assert predict_row(make_model(**logistic), ROW, {}).predictors["tumor_diameter_mm"] == 15.0


def test_given_diameter_is_not_measured(study, mammogram):
    prediction = predict(make_model(), mammogram, lesion_in(study), {**CLINICAL, "tumor_diameter_mm": "31.5"})[0]
    assert prediction.predictors["tumor_diameter_mm"] == 31.5 and prediction.warnings == ()


def test_measured_diameter_is_not_mentioned_where_the_model_does_not_use_it(study, mammogram):
    calcifications = make_model().clinical.predictors[1]
    clinical = make_logistic((calcifications,), (0.5,))
    model = make_model(clinical=clinical, nomogram=make_logistic((INTRATUMORAL, calcifications), (1.0, 0.4)))
    assert predict(model, mammogram, study.lesion, {"microcalcifications": 0})[0].warnings == ()


def test_all_warnings_of_a_case_stand_in_the_order_of_the_work(study):
    image = image_of(study, spacing=(0.3, 0.3), warnings=("from the image", "from the image"))
    lesion = np.zeros(study.lesion.shape, dtype=bool)
    middle = study.lesion.shape[0] // 2
    wall = 0 if study.parameters.laterality == "L" else study.lesion.shape[1] - 20
    lesion[middle : middle + 20, wall : wall + 20] = True  # touches the chest wall, so half of its rings is cut off
    model = make_model(margins_mm=(5.0, 30.0))
    warnings = predict(model, image, lesion, {"microcalcifications": "0", "tumor_diameter_mm": ""})[0].warnings
    starts = ["from the image", "Pixel spacing 0.3", "The lesion touches", "Tumor diameter 8.5 mm was measured"]
    found = [next(i for i, w in enumerate(warnings) if w.startswith(start)) for start in starts]
    assert found == sorted(found) and found[0] == 0
    assert len(set(warnings)) == len(warnings)


@pytest.mark.parametrize("pixels", [0, 4])
def test_lesion_too_small_is_refused(study, mammogram, pixels):
    lesion = np.zeros(study.lesion.shape, dtype=bool)
    lesion[300, 100 : 100 + pixels] = True
    with pytest.raises(InputError, match="lesion"):
        predict(make_model(), mammogram, lesion)


def test_extraction_that_misses_a_feature_is_refused(study, mammogram):
    with pytest.raises(InputError, match=f"Feature '{RING_MEAN}' is missing"):
        predict(make_model(), mammogram, study.lesion, extract=lambda *_: {MEAN: 1.0, ENTROPY: 1.0})
