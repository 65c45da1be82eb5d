"""Training from a feature table: what the model file holds, what is left out and said, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from HER2NomogramLib import training
from HER2NomogramLib.batch import predict_cases
from HER2NomogramLib.cases import Case
from HER2NomogramLib.derived import with_derived
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.features import FEATURE_ENGINE
from HER2NomogramLib.metrics import roc_auc, youden_cutoff
from HER2NomogramLib.modelfile import LOGISTIC_MODELS, load_model, save_model
from HER2NomogramLib.pipeline import CROSS_FITTED, METHODS, PUBLISHED
from HER2NomogramLib.prediction import predict_row
from HER2NomogramLib.resampling import InternalValidation
from HER2NomogramLib.signature import CrossFittedRadScores
from HER2NomogramLib.tables import FeatureTable
from HER2NomogramLib.training import (
    TrainingOptions,
    check_before_extraction,
    performance_table,
    region_label,
    train,
    with_internal_validation,
)

REGIONS = ("intratumoral", "peritumoral_5mm", "combined_5mm")
FEATURES = tuple(f"original_glcm_Feature{i}" for i in range(12))
SIZES = {"train": 80, "internal_test": 30, "prospective_test": 20}
QUICK = {"n_folds": 5, "cross_fit_folds": 3}


def make_cohort(seed=0, signal=1.2, sizes=SIZES):
    """Cases with noise features, of which the first of each region goes with the outcome, and an informative factor."""
    rng = np.random.default_rng(seed)
    splits = [split for split, size in sizes.items() for _ in range(size)]
    her2 = (rng.random(len(splits)) < 0.4).astype(int)
    columns = ["image__intratumoral__diagnostics_FeretDiameter"]
    columns += [f"image__{region}__{name}" for region in REGIONS for name in FEATURES]
    values = rng.normal(100, 10, (len(splits), len(columns)))
    values[:, 0] = rng.normal(20, 4, len(splits)) + 3 * her2
    values[:, 1 :: len(FEATURES)] += 10 * signal * her2[:, None]
    cases = [
        Case(f"case{i}", f"patient{i}", split, her2=int(status), clinical={"tumor_diameter_mm": f"{values[i, 0]:.1f}"})
        for i, (split, status) in enumerate(zip(splits, her2))
    ]
    table = FeatureTable(tuple(case.case_id for case in cases), tuple(columns), values)
    image = {"spacing_mm": [0.1, 0.1], "kind": "recombined", "presentation": "FOR PRESENTATION"}
    facts = {
        "extraction": {"imageType": {"Original": {}}, "featureClass": {"glcm": []}, "setting": {"binCount": 32}},
        "margins_mm": [5.0],
        "cases": {case.case_id: {"image": image} for case in cases},
    }
    return cases, table, facts


def make_rich_cohort(seed=1):
    """The cohort with a factor of four levels, a binary one, and an age; some entries are missing in every split."""
    cases, table, facts = make_cohort(seed)
    rng = np.random.default_rng(seed)
    rich = []
    for i, case in enumerate(cases):
        clinical = {
            **case.clinical,
            "density": "ABCD"[min(int(rng.integers(4)) + case.her2, 3)],
            "calcified": ("absent", "present")[int(rng.random() < 0.3 + 0.3 * case.her2)],
            "age": str(int(rng.normal(52, 9))),
        }
        for name, every in (("density", 13), ("calcified", 17), ("age", 11)):
            clinical[name] = "" if i % every == 3 else clinical[name]
        rich.append(dataclasses.replace(case, clinical=clinical))
    return rich, table, facts


RICH = ("tumor_diameter_mm", "density", "calcified", "age")


@pytest.fixture(scope="module")
def cohort():
    return make_cohort()


@pytest.fixture(scope="module")
def rich_cohort():
    return make_rich_cohort()


@pytest.fixture(scope="module")
def result(cohort):
    return train(*cohort)


def replace_cases(cases, **changes):
    """Cases with ``field=function(case)`` applied."""
    return [dataclasses.replace(case, **{name: change(case) for name, change in changes.items()}) for case in cases]


def with_value(table, case_id, column, value):
    values = table.values.copy()
    values[table.positions[case_id], column] = value
    return dataclasses.replace(table, values=values)


def with_image(facts, case_id, **changes):
    image = {**facts["cases"][case_id]["image"], **changes}
    return {**facts, "cases": {**facts["cases"], case_id: {"image": image}}}


def said(result, *words) -> bool:
    """Whether one message has all the words; all of them are whole sentences."""
    for message in result.messages:
        assert message.endswith(".") and ".." not in message and "\n" not in message
        assert not re.search(r"\b1 (cases|features|images|lesions)\b", message)
    return any(all(word in message for word in words) for message in result.messages)


def refusal(*arguments) -> str:
    with pytest.raises(InputError) as caught:
        train(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_model_gives_what_the_pipeline_gives(result, table, cases, tmp_path):
    """Saved, loaded and applied to one case at a time the model gives the probabilities that were measured."""
    save_model(result.model, tmp_path / "model.json")
    model = load_model(tmp_path / "model.json")
    clinical = {case.case_id: case.clinical for case in cases}
    compared = 0
    for split in ("internal_test", "prospective_test"):
        expected = result.performance[split].probabilities
        for i, row in enumerate(result.dataset.rows(split)):
            case_id = result.dataset.case_ids[row]
            found = predict_row(model, table.row(case_id), clinical[case_id])
            assert found.probability == pytest.approx(expected["nomogram"][i], rel=1e-9)
            assert found.radiomics_probability == pytest.approx(expected["radiomics"][i], rel=1e-9)
            assert found.clinical_probability == pytest.approx(expected["clinical"][i], rel=1e-9)
            compared += 1
    return compared


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_finds_the_signal_and_measures_it_on_every_split(result):
    assert set(result.performance) == set(SIZES)
    for split, size in SIZES.items():
        found = result.performance[split]
        assert found.models["nomogram"].auc.value > 0.7 and found.n == size
        assert found.models["nomogram"].auc == roc_auc(found.y, found.probabilities["nomogram"])
    for signature in result.model.signatures.values():
        assert any(name.endswith("Feature0") for name in signature.features)
    assert "internal_test" in performance_table(result)


def test_figures_of_training_cases_are_of_cross_fitted_scores(result):
    found = result.performance["train"]
    fitted, design = result.pipeline.models_[CROSS_FITTED]["nomogram"], result.pipeline.designs_[CROSS_FITTED]
    np.testing.assert_allclose(found.probabilities["nomogram"], 1 / (1 + np.exp(-fitted.log_odds(design))))
    in_sample = result.pipeline.predict_proba(result.dataset.x[result.dataset.rows("train")])[:, 1]
    assert roc_auc(found.y, in_sample).value > found.models["nomogram"].auc.value
    assert found.models["nomogram"].classification.cutoff == result.model.nomogram.cutoff
    assert result.model.nomogram.cutoff == youden_cutoff(found.y, found.probabilities["nomogram"])
    # That calibration needs many cases is said of test cases: of training cases it says nothing.
    assert not found.remarks and "calibration" in result.performance["internal_test"].remarks[0]
    for split in result.performance.values():
        assert split.models["radiomics"].classification.cutoff == result.model.radiomics.cutoff


def test_both_methods_are_measured_and_the_chosen_one_is_the_model(cohort, result):
    published = train(*cohort, TrainingOptions(method=PUBLISHED))
    assert set(result.by_method) == set(METHODS) == set(result.logistic_by_method)
    for found in (result, published):
        method = found.options.method
        assert found.performance is found.by_method[method]
        for name in LOGISTIC_MODELS:
            assert getattr(found.model, name) == found.logistic_by_method[method][name]
    assert published.logistic_by_method == result.logistic_by_method
    assert published.model.nomogram != result.model.nomogram
    apparent = {m: result.by_method[m]["train"].models["nomogram"].auc.value for m in METHODS}
    assert apparent[PUBLISHED] > apparent[CROSS_FITTED]


@pytest.mark.parametrize("missing", ["impute", "exclude"])
@pytest.mark.parametrize("selection", ["none", "univariate", "aic"])
@pytest.mark.parametrize("method", METHODS)
def test_model_file_gives_the_same_probabilities(rich_cohort, tmp_path, method, selection, missing):
    cases, table, facts = rich_cohort
    options = TrainingOptions(clinical=RICH, method=method, selection=selection, missing=missing, **QUICK)
    result = train(cases, table, facts, options)
    compared = assert_model_gives_what_the_pipeline_gives(result, table, cases, tmp_path)
    blank = sum(any(not text for text in case.clinical.values()) for case in cases)
    lost = 0 if missing == "impute" else blank
    assert blank > 20 and len(result.dataset.excluded) == lost
    assert compared == sum(len(result.dataset.rows(split)) for split in list(SIZES)[1:])
    names = [predictor.name for predictor in result.model.nomogram.predictors]
    if selection == "none":
        assert names == ["intratumoral", "peritumoral_5mm", *RICH]
    else:
        left_out = {*REGIONS, *RICH} - {*names}
        assert names and left_out and said(result, "selection left out", *left_out)
    for predictor in result.model.clinical_predictors:
        assert (predictor.fill is None) == (missing == "exclude")


def test_a_factor_of_four_levels(rich_cohort, tmp_path):
    cases, table, facts = rich_cohort
    result = train(cases, table, facts, TrainingOptions(clinical=("density",), **QUICK))
    predictor = result.model.clinical.predictors[0]
    assert predictor.levels == ("A", "B", "C", "D") and len(result.model.clinical.coefficients) == 3
    assert len(result.model.nomogram.coefficients) == 2 + 3
    entries = [case.clinical["density"] for case in cases if case.split == "train"]
    assert predictor.levels[int(predictor.fill)] == max("ABCD", key=entries.count)
    filled = [case for case in cases if case.split == "internal_test" and not case.clinical["density"]]
    assert filled and assert_model_gives_what_the_pipeline_gives(result, table, cases, tmp_path) == 50
    prediction = predict_row(result.model, table.row(filled[0].case_id), filled[0].clinical)
    assert prediction.filled == ("density",) and any("is missing" in warning for warning in prediction.warnings)
    assert said(result, "Density is missing in", "most frequent level")


def test_declared_categories_of_a_spreadsheet(cohort, tmp_path):
    cases, table, facts = cohort
    grades = replace_cases(cases, clinical=lambda c: {"grade": f"{int(c.case_id[-1]) % 3 + 1}.0"})
    options = TrainingOptions(clinical=("grade",), categorical=("grade",), **QUICK)
    result = train(grades, table, facts, options)
    assert result.model.clinical.predictors[0].levels == ("1", "2", "3")
    assert_model_gives_what_the_pipeline_gives(result, table, grades, tmp_path)
    numeric = train(grades, table, facts, dataclasses.replace(options, categorical=()))
    assert numeric.model.clinical.predictors[0].levels == ()


def test_derived_factors(rich_cohort, tmp_path):
    cases, table, facts = rich_cohort
    options = TrainingOptions(clinical=("age_over_50", "tumor_diameter_mm"), **QUICK)
    check_before_extraction(cases, REGIONS, options)
    result = train(cases, table, facts, options)
    predictor = result.model.clinical.predictors[0]
    assert (predictor.name, predictor.label, predictor.levels) == ("age_over_50", "Age > 50 years", ("no", "yes"))
    derived = with_derived(cases, ["age_over_50"])
    assert assert_model_gives_what_the_pipeline_gives(result, table, derived, tmp_path) == 50
    # The same numbers as with a column that the user derives.
    own = train(derived, table, facts, options)
    assert own.model.nomogram.coefficients == result.model.nomogram.coefficients
    # What is not understood in a training case is found before the images are extracted.
    cases = replace_cases(cases, clinical=lambda c: {**c.clinical, "age": "old" if c.case_id == "case7" else "50"})
    with pytest.raises(InputError, match="Column 'age' of the case table .*1 entry is not understood .'old'."):
        check_before_extraction(cases, REGIONS, options)


def test_model_records_what_it_was_made_from(result):
    model = result.model
    assert model.kind == "recombined" and model.presentation == "FOR PRESENTATION"
    assert model.spacing_range_mm == (0.1, 0.1) and model.margins_mm == (5.0,)
    assert model.training["cases"]["train"] == {
        "n": SIZES["train"],
        "her2_positive": result.performance["train"].events,
    }
    measured = result.performance["internal_test"].models["nomogram"].auc
    assert model.training["auc"]["internal_test"]["nomogram"] == dataclasses.asdict(measured)
    assert [p.name for p in model.nomogram.predictors] == ["intratumoral", "peritumoral_5mm", "tumor_diameter_mm"]
    assert [p.name for p in model.clinical.predictors] == ["tumor_diameter_mm"]
    assert "scikit-learn" in model.software and not model.demonstration
    assert model.training["options"]["selection"] == "none" and "jobs" not in model.training["options"]
    assert set(model.training["penalties"]) == set(REGIONS)
    assert model.training["remarks"] == list(result.messages)


def test_model_records_what_made_its_features(cohort, result):
    """The table may come from another machine than the one that trains."""
    cases, table, facts = cohort
    assert FEATURE_ENGINE not in result.model.software  # of a table that says nothing
    elsewhere = {"HER2Nomogram": "0.0.1", "Python": "3.9.9", "numpy": "1.22.0", "numba": "0.99", "scikit-learn": "0.1"}
    facts = {**facts, "engine": "fast", "software": {**elsewhere, "unknown": "1"}}
    software = train(cases, table, facts).model.software
    assert (software[FEATURE_ENGINE], software["numpy"], software["numba"]) == ("fast", "1.22.0", "0.99")
    # Without pyradiomics there, this machine's has nothing to do with the features.
    assert "pyradiomics" not in software and "SimpleITK" not in software and "unknown" not in software
    assert software["scikit-learn"] == result.model.software["scikit-learn"] != "0.1"
    assert software["HER2Nomogram"] == result.model.software["HER2Nomogram"]


@pytest.mark.parametrize(
    ("region", "image_type", "missing", "said"),
    [
        ("intratumoral", "original", False, True),
        ("intratumoral", "", False, True),
        ("intratumoral", "gradient", False, False),
        ("peritumoral_10mm", "original", False, False),
        ("intratumoral", "original", True, False),
    ],
)
def test_cases_of_which_selected_texture_says_little_are_counted(cohort, result, region, image_type, missing, said):
    cases, table, facts = cohort
    problem = {"region": region, "image_type": image_type, "reason": "all the same", "missing": missing}
    for case in cases[:3]:
        facts = with_image(facts, case.case_id, problems=[problem])
    flagged = train(cases, table, facts)
    notes = [message for message in flagged.messages if "says little" in message]
    assert len(notes) == said and all(note.startswith(f"In 3 of {len(cases)} cases texture") for note in notes)
    assert set(notes) <= set(flagged.model.training["remarks"])
    assert flagged.model.nomogram == result.model.nomogram


def test_problems_that_are_not_understood_are_refused(cohort):
    cases, table, facts = cohort
    with pytest.raises(InputError, match="problems.*extract"):
        train(cases, table, with_image(facts, "case0", problems=["old"]))


def test_model_names_no_case(rich_cohort):
    """A model file is passed on: whom it was trained on is nobody's business."""
    cases, table, facts = rich_cohort
    cases = replace_cases(cases, her2=lambda c: None if c.case_id == "case7" else c.her2)
    result = train(cases, table, facts, TrainingOptions(clinical=RICH, **QUICK))
    text = json.dumps(result.model.training)
    assert "left out" in text and not re.search(r"case\d|patient\d", text)


def test_logistic_models_are_fitted_to_cross_fitted_scores(result, cohort):
    """The Rad-score ranges in the nomogram are those of cross-fitted scores, recomputed here."""
    cases, table, _ = cohort
    rows = [i for i, case in enumerate(cases) if case.split == "train"]
    columns = [i for i, name in enumerate(table.columns) if name.startswith("image__intratumoral__original")]
    y = np.array([cases[i].her2 for i in rows])
    scores = CrossFittedRadScores().fit_transform(
        table.values[np.ix_(rows, columns)], y, groups=[cases[i].patient_id for i in rows]
    )
    predictor = result.model.nomogram.predictors[0]
    assert predictor.minimum == pytest.approx(scores.min()) and predictor.maximum == pytest.approx(scores.max())


def test_test_splits_teach_nothing(result, cohort):
    """Whatever the test cases hold, the model stays the same."""
    cases, table, facts = cohort
    changed = table.values.copy()
    held_out = [i for i, case in enumerate(cases) if case.split != "train"]
    changed[held_out] = np.random.default_rng(9).normal(size=(len(held_out), changed.shape[1])) * 1e3
    flipped = replace_cases(cases, her2=lambda c: c.her2 if c.split == "train" else 1 - c.her2)
    again = train(flipped, dataclasses.replace(table, values=changed), facts)
    assert again.model.signatures == result.model.signatures
    assert again.model.nomogram == result.model.nomogram


def test_patients_stay_together(cohort, monkeypatch):
    cases, table, facts = cohort
    given = {}

    def fit(self, x, y, groups=None):
        given.update(groups=groups, features=x[:, 0])
        raise ValueError("seen enough")

    monkeypatch.setattr(training.RadiomicsNomogram, "fit", fit)
    pairs = replace_cases(cases, patient_id=lambda c: f"{c.split}{int(c.case_id[4:]) // 2}")
    refusal(pairs, table, facts)
    assert list(given["groups"]) == [f"train{i // 2}" for i in range(80)]
    np.testing.assert_array_equal(given["features"], table.values[:80, 1])


@pytest.mark.parametrize("changes", [{"jobs": 2}, {"name": "Another"}, {"demonstration": True}])
def test_jobs_and_names_change_no_number(cohort, result, changes):
    again = train(*cohort, TrainingOptions(**changes))
    assert (again.model.signatures, again.model.nomogram) == (result.model.signatures, result.model.nomogram)
    assert again.model.training == result.model.training


def test_noise_has_no_radiomics_model_or_a_poor_one():
    areas = []
    for seed in range(4):
        found = train(*make_cohort(seed, signal=0.0), TrainingOptions(**QUICK))
        areas.append(found.performance["internal_test"].models["radiomics"].auc.value)
        unused = found.pipeline.unused_
        assert all(said(found, region, why) for region, why in unused.items())
        assert set(unused).isdisjoint(p.name for p in found.model.nomogram.predictors)
        if len(unused) == 2:
            assert said(found, "No Rad-score is in the nomogram") and said(found, "radiomics model has no predictor")
    assert np.mean(areas) < 0.65


# --- cases ------------------------------------------------------------------------------------------------------------


def test_cases_without_outcome_or_features_are_left_out_and_counted(cohort):
    cases, table, facts = cohort
    changed = replace_cases(cases, her2=lambda c: None if c.case_id in ("case0", "case2") else c.her2)
    shorter = FeatureTable(table.case_ids[:-1], table.columns, table.values[:-1])
    result = train(changed, shorter, facts)
    assert result.model.training["cases"]["train"]["n"] == SIZES["train"] - 2
    assert result.model.training["cases"]["prospective_test"]["n"] == SIZES["prospective_test"] - 1
    assert said(result, "2 cases left out", "equivocal") and said(result, "1 case left out", "no features")


def test_missing_factors_are_filled_or_left_out(cohort):
    cases, table, facts = cohort
    blank = replace_cases(cases, clinical=lambda c: {} if c.case_id in ("case1", "case85") else c.clinical)
    table = with_value(table, "case1", 0, np.nan)  # it was not measured either
    result = train(blank, table, facts)
    known = [float(c.clinical["tumor_diameter_mm"]) for c in cases[:80] if c.case_id != "case1"]
    assert result.model.clinical.predictors[0].fill == np.median(known)
    assert said(result, "Tumor diameter is missing in 1 of 130 cases ", "median") and said(
        result, "of 1 case was measured"
    )
    left_out = train(blank, table, facts, TrainingOptions(missing="exclude"))
    assert left_out.model.training["cases"]["train"]["n"] == SIZES["train"] - 1
    assert said(left_out, "1 case left out", "no value of tumor_diameter_mm") and not said(left_out, "median")


def test_blank_diameter_is_the_measured_one(cohort, result):
    cases, table, facts = cohort
    values = table.values.copy()
    values[:, 0] = [round(value, 1) for value in values[:, 0]]
    blank = replace_cases(cases, clinical=lambda c: {})
    again = train(blank, dataclasses.replace(table, values=values), facts)
    assert again.model.clinical == result.model.clinical and said(again, "130 cases was measured")


def test_binary_factor_in_words(cohort):
    cases, table, facts = cohort
    words = replace_cases(
        cases, clinical=lambda c: {"microcalcifications": "present" if c.her2 or c.case_id[-1] == "1" else "absent"}
    )
    result = train(words, table, facts, TrainingOptions(clinical=("microcalcifications",)))
    predictor = result.model.clinical.predictors[0]
    assert predictor.levels == ("absent", "present") and result.model.clinical.coefficients[0] > 0


def test_a_level_of_few_cases_is_said(cohort):
    cases, table, facts = cohort
    rare = replace_cases(cases, clinical=lambda c: {"site": "east" if c.case_id in ("case3", "case90") else "west"})
    result = train(rare, table, facts, TrainingOptions(clinical=("site",), **QUICK))
    assert said(result, "Site: 1 training case of 'east'")


def test_unseen_level_in_a_test_split(rich_cohort):
    cases, table, facts = rich_cohort
    unseen = replace_cases(
        cases, clinical=lambda c: {**c.clinical, "density": "E"} if c.case_id == "case90" else c.clinical
    )
    result = train(unseen, table, facts, TrainingOptions(clinical=("density",), **QUICK))
    assert said(result, "1 case left out: density 'E' does not occur in training.")
    assert result.performance["internal_test"].n == SIZES["internal_test"] - 1


def test_separating_factor_is_said(cohort):
    cases, table, facts = cohort
    told = replace_cases(cases, clinical=lambda c: {"oracle": f"{50 * c.her2 + int(c.case_id[4:]) % 37}"})
    result = train(told, table, facts, TrainingOptions(clinical=("oracle",)))
    assert said(result, "clinical model", "Firth", "the classes separate")


@pytest.mark.parametrize("entries", [("0", "1"), ("low", "high"), ("1.5", "4")])
def test_a_factor_that_is_the_outcome_is_refused(cohort, entries):
    cases, table, facts = cohort
    told = replace_cases(cases, clinical=lambda c: {"oracle": entries[c.her2]})
    with pytest.raises(InputError, match="'oracle' tells the HER2 status of every training case"):
        train(told, table, facts, TrainingOptions(clinical=("oracle",)))


def test_few_events_are_said(rich_cohort):
    cases, table, facts = rich_cohort
    positive = [case.case_id for case in cases if case.split == "train" and case.her2]
    kept = [case for case in cases if case.case_id not in positive[15:]]
    result = train(kept, table, facts, TrainingOptions(clinical=("tumor_diameter_mm", "calcified", "age"), **QUICK))
    assert said(result, "nomogram model", "Firth", "events are few") and not said(result, "radiomics model", "Firth")
    assert said(result, "15 training cases of the rarer class for 5 candidate coefficients", "24 features")
    assert said(result, "would be the minimum", "Riley")


def test_lesions_of_one_patient_are_said(cohort):
    cases, table, facts = cohort
    pairs = replace_cases(cases, patient_id=lambda c: f"{c.split}{int(c.case_id[4:]) // 2}")
    assert said(train(pairs, table, facts), "80 training lesions of 40 patients")


def test_test_split_of_one_class(cohort, tmp_path):
    cases, table, facts = cohort
    negative = [case for case in cases if not (case.split == "prospective_test" and case.her2)]
    result = train(negative, table, facts)
    of_split = result.performance["prospective_test"]
    assert of_split.models["nomogram"].auc is None and "HER2-negative" in of_split.remarks[0]
    assert (
        "prospective_test" not in result.model.training["auc"] or not result.model.training["auc"]["prospective_test"]
    )
    line = next(line for line in performance_table(result).splitlines() if line.startswith("prospective_test"))
    assert line.split()[1:] == [str(of_split.n), "0", "-", "-", "-"]
    save_model(result.model, tmp_path / "model.json")


def test_without_test_splits(cohort):
    cases, table, facts = cohort
    result = train([case for case in cases if case.split == "train"], table, facts)
    assert list(result.performance) == ["train"] and result.model.training["cases"]["internal_test"]["n"] == 0


# --- features ---------------------------------------------------------------------------------------------------------


def test_columns_with_gaps_in_training_are_not_used(cohort):
    cases, table, facts = cohort
    result = train(cases, with_value(table, "case5", 1, np.inf), facts)
    assert not any(name.endswith("Feature0") for name in result.model.signatures["intratumoral"].features)
    assert said(result, "1 feature left out", "infinite")


def test_a_test_case_that_lacks_a_selected_feature_is_left_out(cohort, result):
    cases, table, facts = cohort
    assert any(name.endswith("Feature0") for name in result.model.signatures["intratumoral"].features)
    again = train(cases, with_value(table, "case100", 1, np.nan), facts)
    assert said(again, "1 case left out: lacks a feature of a signature.")
    assert again.dataset.excluded[-1].case_id == "case100" and "case100" not in again.dataset.case_ids
    assert again.model.nomogram == result.model.nomogram
    assert again.performance["internal_test"].n == SIZES["internal_test"] - 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_test_case_may_lack_a_feature_that_no_signature_selects(cohort, result, value):
    cases, table, facts = cohort
    selected = {name for signature in result.model.signatures.values() for name in signature.features}
    column = next(i for i, name in enumerate(table.columns) if i and name not in selected)
    again = train(cases, with_value(table, "case100", column, value), facts)
    assert again.performance["internal_test"].n == SIZES["internal_test"]
    np.testing.assert_array_equal(
        again.performance["internal_test"].probabilities["nomogram"],
        result.performance["internal_test"].probabilities["nomogram"],
    )


def test_constant_features_select_nothing_and_leave_a_clinical_model(cohort):
    cases, table, facts = cohort
    values = table.values.copy()
    values[:, 1:] = 7.0
    constant = dataclasses.replace(table, values=values)
    result = train(cases, constant, facts)
    assert [p.name for p in result.model.nomogram.predictors] == ["tumor_diameter_mm"]
    assert said(result, "signature of intratumoral selects no feature") and said(result, "it is a clinical model")
    message = train(cases, constant, facts, TrainingOptions(clinical=())).no_model
    assert not result.no_model
    assert "nothing to make a nomogram of" in message and "peritumoral_5mm selects no feature" in message


def test_a_region_that_holds_for_no_unseen_case_stays_in_the_published_way_only(cohort):
    """With noise in one region its signature is left out, or kept and said, depending on the method."""
    cases, table, facts = cohort
    for seed in range(20):
        values = table.values.copy()
        values[:, 13:25] = np.random.default_rng(seed).normal(size=(len(cases), 12))
        noisy = dataclasses.replace(table, values=values)
        found = train(cases, noisy, facts, TrainingOptions(**QUICK))
        why = found.pipeline.unused_.get("peritumoral_5mm", "")
        if "separate" in why:
            break
    assert "does not separate" in why
    assert said(found, "peritumoral_5mm does not separate", "and is left out")
    assert "peritumoral_5mm" not in [p.name for p in found.model.nomogram.predictors]
    published = train(cases, noisy, facts, TrainingOptions(method=PUBLISHED, **QUICK))
    assert said(published, "peritumoral_5mm does not separate", "it stays")
    assert "peritumoral_5mm" in [p.name for p in published.model.nomogram.predictors]


def test_selection_may_leave_no_clinical_factor_and_says_so(cohort):
    cases, table, facts = cohort
    rng = np.random.default_rng(0)
    noise = replace_cases(cases, clinical=lambda c: {"age": f"{rng.normal(50, 9):.1f}"})
    result = train(noise, table, facts, TrainingOptions(clinical=("age",), selection="univariate", **QUICK))
    assert "age" not in [p.name for p in result.model.nomogram.predictors]
    assert said(result, "No clinical factor is in the nomogram") and said(result, "clinical model has no predictor")
    probabilities = result.performance["internal_test"].probabilities["clinical"]
    np.testing.assert_allclose(probabilities, result.performance["train"].y.mean())


def test_selection_that_keeps_nothing_is_a_result_without_a_model(cohort, tmp_path):
    cases, table, facts = cohort
    values = table.values.copy()
    values[:, 1:] = 7.0
    rng = np.random.default_rng(0)
    noise = replace_cases(cases, clinical=lambda c: {"age": f"{rng.normal(50, 9):.1f}"})
    options = TrainingOptions(clinical=("age",), selection="aic", **QUICK)
    result = train(noise, dataclasses.replace(table, values=values), facts, options)
    assert "nothing to make a nomogram of" in result.no_model and "selection keeps no predictor" in result.no_model
    for split in result.performance.values():
        assert split.models["nomogram"].auc.value == 0.5
    with pytest.raises(InputError, match="nomogram has no predictor"):
        save_model(result.model, tmp_path / "model.json")
    assert not (tmp_path / "model.json").exists()


def test_no_clinical_factors_leave_the_prevalence(cohort, tmp_path):
    cases, table, facts = cohort
    result = train(cases, table, facts, TrainingOptions(clinical=()))
    found = result.performance["internal_test"].probabilities["clinical"]
    np.testing.assert_allclose(found, result.performance["train"].y.mean())
    assert [p.name for p in result.model.nomogram.predictors] == ["intratumoral", "peritumoral_5mm"]
    assert_model_gives_what_the_pipeline_gives(result, table, cases, tmp_path)
    assert load_model(tmp_path / "model.json").clinical_predictors == ()
    assert not said(result, "clinical")


# --- images -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_fitting(monkeypatch):
    def fail(*_, **__):
        raise AssertionError("fitted what should have been refused")

    monkeypatch.setattr(training.RadiomicsNomogram, "fit", fail)


def test_mixed_image_kinds_are_refused_before_training(cohort, no_fitting):
    cases, table, facts = cohort
    assert "low_energy and recombined" in refusal(cases, table, with_image(facts, "case3", kind="low_energy"))
    mixed = with_image(facts, "case3", presentation="FOR PROCESSING")
    assert "FOR PRESENTATION and FOR PROCESSING" in refusal(cases, table, mixed)


def test_test_cases_of_another_image_kind_are_left_out(cohort, result):
    """As the model would leave them out afterwards: their grey values do not compare."""
    cases, table, facts = cohort
    facts = with_image(with_image(facts, "case100", kind="low_energy"), "case101", presentation="FOR PROCESSING")
    del facts["cases"]["case102"]
    again = train(cases, table, facts)
    assert said(again, "kind of the image is low_energy, of the training images recombined")
    assert said(again, "presentation of the image is FOR PROCESSING") and said(again, "does not describe the image")
    assert again.performance["internal_test"].n == SIZES["internal_test"] - 3
    assert again.model.nomogram == result.model.nomogram
    assert len(again.dataset.images) == len(again.dataset.case_ids) and None not in again.dataset.images


def test_images_of_unknown_kind_are_counted(cohort):
    cases, table, facts = cohort
    result = train(cases, table, with_image(facts, "case3", kind=None))
    assert result.model.kind == "recombined" and said(result, "1 training image of unknown kind")


def test_spacing_range_is_that_of_the_training_images(cohort):
    cases, table, facts = cohort
    facts = with_image(with_image(facts, "case3", spacing_mm=[0.08, 0.12]), "case100", spacing_mm=[0.5, 0.5])
    assert train(cases, table, facts).model.spacing_range_mm == (0.08, 0.12)


def test_training_image_without_a_record(cohort, no_fitting):
    cases, table, facts = cohort
    described = {case_id: images for case_id, images in facts["cases"].items() if case_id != "case3"}
    assert "does not describe case 'case3'" in refusal(cases, table, {**facts, "cases": described})


def test_damaged_settings_are_refused_before_training(cohort, no_fitting):
    cases, table, facts = cohort
    message = refusal(cases, table, {**facts, "extraction": {"imageType": {"Orignal": {}}}})
    assert "features.json" in message and "Orignal" in message


# --- features of other software ---------------------------------------------------------------------------------------


def make_foreign_cohort():
    cases, table, _ = make_cohort()
    columns = [f"image__whole lesion__mean {i}" for i in range(6)] + [f"texture {i}" for i in range(6)]
    return cases, FeatureTable(table.case_ids, tuple(columns), table.values[:, 1:13].copy())


def test_table_of_other_software_end_to_end(tmp_path):
    cases, table = make_foreign_cohort()
    result = train(cases, table, None, TrainingOptions(**QUICK))
    model = result.model
    assert model.regions == ("whole lesion", "features")
    assert (model.extraction, model.margins_mm, model.kind, model.spacing_range_mm) == (None, (), None, None)
    assert model.signatures["whole lesion"].features[0] == "image__whole lesion__mean 0"
    assert model.nomogram.predictors[0].label == "Rad-score, whole lesion"
    assert_model_gives_what_the_pipeline_gives(result, table, cases, tmp_path)
    tests = [case for case in cases if case.split == "internal_test"]
    predicted = predict_cases(tests, load_model(tmp_path / "model.json"), tmp_path / "p.csv", table)
    found = [predicted.done[case.case_id].probability for case in tests]
    np.testing.assert_allclose(found, result.performance["internal_test"].probabilities["nomogram"], rtol=1e-9)
    assert not said(result, "image")


def test_all_regions_of_other_software_are_candidates():
    cases, table = make_foreign_cohort()
    columns = tuple(f"image__r{i // 4}__f{i}" for i in range(12))
    found = train(cases, dataclasses.replace(table, columns=columns), None, TrainingOptions(**QUICK))
    assert found.pipeline.regions == ("r0", "r1", "r2")


def test_a_region_with_the_name_of_a_factor():
    cases, table = make_foreign_cohort()
    columns = tuple(name.replace("whole lesion", "tumor_diameter_mm") for name in table.columns)
    assert "is a region and a clinical factor" in refusal(cases, dataclasses.replace(table, columns=columns), None)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"her2": lambda c: 1}, "0 negative patients"),
        ({"her2": lambda c: None}, "The case table has no column her2, or her2_ihc and her2_ish: add the outcome."),
        ({"split": lambda c: "internal_test"}, "No case is in the training split"),
        ({"clinical": lambda c: {"tumor_diameter_mm": "large" if c.case_id == "case7" else c.case_id[4:]}}, "'case7'"),
        ({"clinical": lambda c: {"tumor_diameter_mm": "12"}}, "same value"),
        ({"patient_id": lambda c: f"{c.split}-positive" if c.her2 else c.patient_id}, "1 HER2-positive and"),
    ],
)
def test_cohorts_that_carry_no_model_are_refused(cohort, no_fitting, change, words):
    cases, table, facts = cohort
    changed = replace_cases(cases, **change)
    assert words in refusal(changed, table, facts)
    # What the case table alone shows is refused before the images are extracted.
    with pytest.raises(InputError):
        check_before_extraction(changed, REGIONS, TrainingOptions())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nomogram_regions": ("peritumoral_7mm",)}, "'peritumoral_7mm' is not among intratumoral"),
        ({"clinical": ("grade",)}, "no column 'grade'"),
        ({"clinical": ("her2_ish",)}, "what the model predicts"),
        ({"clinical": ("HER2",)}, "what the model predicts"),
        ({"clinical": ("immunophenotype",)}, "'immunophenotype' tells what the model predicts"),
        ({"clinical": ("hr_status",)}, "no column 'hr_status', nor 'er' to derive it from"),
        ({"clinical": ("age", "age")}, "named twice"),
        ({"categorical": ("grade",)}, "no clinical factor"),
        ({"method": "best"}, "best"),
        ({"selection": "forward"}, "forward"),
        ({"missing": "ignore"}, "ignore"),
        ({"penalty_rule": "max"}, "max"),
        ({"random_state": -1}, "seed"),
        ({"n_folds": 1}, "two folds"),
        ({"cross_fit_folds": 1}, "two folds"),
        ({"jobs": 0}, "one job"),
        ({"name": " "}, "no name"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_any_work(cohort, no_fitting, options, words):
    assert words in refusal(*cohort, TrainingOptions(**options))
    with pytest.raises(InputError) as caught:
        check_before_extraction(cohort[0], REGIONS, TrainingOptions(**options))
    assert words in str(caught.value)


def test_what_can_be_trained_passes_before_the_extraction(rich_cohort):
    cases, _, _ = rich_cohort
    check_before_extraction(cases, REGIONS, TrainingOptions(clinical=RICH))
    unmeasured = replace_cases(cases, clinical=lambda c: {} if c.case_id != "case3" else {"tumor_diameter_mm": "20"})
    check_before_extraction(unmeasured, REGIONS, TrainingOptions())


def test_patients_that_fill_no_folds_are_refused(cohort, monkeypatch):
    def fail(*_, **__):
        raise ValueError("a fold has one class only")

    monkeypatch.setattr(training.RadiomicsNomogram, "fit", fail)
    assert "(a fold has one class only): more patients are needed" in refusal(*cohort)


# --- internal validation ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick_result(cohort):
    return train(*cohort, TrainingOptions(**QUICK))


@pytest.fixture(scope="module")
def validated(quick_result):
    return with_internal_validation(quick_result, replicates=4, repeats=1)


def test_internal_validation_is_recorded_in_the_model(quick_result, validated, tmp_path):
    assert (validated.internal.bootstrap[CROSS_FITTED].done, validated.internal.nested[CROSS_FITTED].repeats) == (4, 1)
    *messages, rough = validated.messages
    assert tuple(messages) == quick_result.messages and "its figures are rough" in rough
    recorded = validated.model.training["internal_validation"]
    nested = validated.internal.nested[CROSS_FITTED].auc["nomogram"]
    assert recorded["nested_cross_validation"]["auc"]["nomogram"] == dataclasses.asdict(nested)
    assert recorded["bootstrap"]["replicates"] == 4 and recorded["interrupted"] is False
    assert (validated.model.nomogram, validated.model.signatures) == (
        quick_result.model.nomogram,
        quick_result.model.signatures,
    )
    save_model(validated.model, tmp_path / "model.json")
    assert load_model(tmp_path / "model.json").training["internal_validation"] == recorded
    assert "internal_validation" not in quick_result.model.training


def test_nested_figures_stand_in_the_table(quick_result, validated):
    nested = validated.internal.nested[CROSS_FITTED].auc["nomogram"]
    lines = performance_table(validated).splitlines()
    line = next(line for line in lines if line.startswith("train, nested cross-validation"))
    assert f"{nested.value:.3f} ({nested.low:.3f}-{nested.high:.3f})" in line
    assert line.index("0.") == lines[1].index("0.")
    assert "nested" not in performance_table(quick_result)


def test_published_scores_are_called_optimistic(cohort, validated):
    published = train(*cohort, TrainingOptions(method=PUBLISHED, **QUICK))
    assert "in-sample (optimistic)" in performance_table(published)
    assert "optimistic" not in performance_table(validated)


@pytest.mark.parametrize("after", [1, 7])
def test_an_interruption_keeps_what_is_finished(quick_result, after):
    def progress(done, total):
        assert total == 5 + 3
        if done == after:
            raise KeyboardInterrupt

    result = with_internal_validation(quick_result, replicates=3, repeats=1, progress=progress)
    assert result.internal.interrupted and said(result, "of 3 bootstrap replicates", "interrupted")
    assert result.model.training["internal_validation"]["interrupted"] is True
    assert result.model.training["remarks"] == list(result.messages)
    assert ("nested" in performance_table(result)) == (after == 7)


def test_resamples_that_carry_no_model_are_said(quick_result, monkeypatch):
    def few(*_, **__):
        return InternalValidation({}, {})

    monkeypatch.setattr(training, "validate_internally", few)
    result = with_internal_validation(quick_result, replicates=3, repeats=2)
    assert said(result, "0 of 3 bootstrap replicates and 0 of 2 repeats", "could not carry a model")


def test_patients_that_cannot_be_resampled_leave_a_model(quick_result, monkeypatch):
    def fail(*_, **__):
        raise ValueError("the patients are too few")

    monkeypatch.setattr(training, "validate_internally", fail)
    result = with_internal_validation(quick_result)
    assert result.internal is None and said(result, "could not be validated internally (the patients are too few)")
    assert result.model.nomogram == quick_result.model.nomogram


def test_labels_of_regions():
    assert region_label("peritumoral_2.5mm") == "peritumoral 2.5 mm"
    assert [region_label(name) for name in ("intratumoral", "whole_lesion", "5mm")] == [
        "intratumoral",
        "whole_lesion",
        "5mm",
    ]
