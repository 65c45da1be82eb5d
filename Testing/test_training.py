"""Training from a feature table: what the model file holds, what is left out, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from HER2NomogramLib.cases import Case
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.modelfile import load_model, save_model
from HER2NomogramLib.prediction import predict_row
from HER2NomogramLib.signature import CrossFittedRadScores
from HER2NomogramLib.tables import FeatureTable
from HER2NomogramLib.training import TrainingOptions, performance_table, train
from HER2NomogramLib.validation import roc_auc

REGIONS = ("intratumoral", "peritumoral_5mm", "combined_5mm")
FEATURES = tuple(f"original_glcm_Feature{i}" for i in range(12))
SIZES = {"train": 80, "internal_test": 30, "prospective_test": 20}


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


@pytest.fixture(scope="module")
def cohort():
    return make_cohort()


@pytest.fixture(scope="module")
def result(cohort):
    return train(*cohort)


def replace_cases(cases, **changes):
    """Cases with ``field=function(case)`` applied."""
    return [dataclasses.replace(case, **{name: change(case) for name, change in changes.items()}) for case in cases]


def test_finds_the_signal_and_measures_it_on_every_split(result):
    assert set(result.performance) == set(SIZES)
    for split in SIZES:
        assert result.performance[split]["nomogram"].area > 0.7
        assert result.performance[split]["nomogram"] == roc_auc(
            result.outcomes[split], result.scores[split]["nomogram"]
        )
    for signature in result.model.signatures.values():
        assert any(name.endswith("Feature0") for name in signature.features)
    assert "internal_test" in performance_table(result)


def test_model_file_gives_the_same_probabilities(result, cohort, tmp_path):
    cases, table, _ = cohort
    save_model(result.model, tmp_path / "model.json")
    model = load_model(tmp_path / "model.json")
    tests = [case for case in cases if case.split == "internal_test"]
    found = [predict_row(model, table.row(case.case_id), case.clinical) for case in tests]
    scores = result.scores["internal_test"]
    np.testing.assert_allclose([p.probability for p in found], scores["nomogram"], rtol=1e-10)
    np.testing.assert_allclose([p.radiomics_probability for p in found], scores["radiomics"], rtol=1e-10)
    np.testing.assert_allclose([p.clinical_probability for p in found], scores["clinical"], rtol=1e-10)


def test_model_records_what_it_was_made_from(result):
    model = result.model
    assert model.kind == "recombined" and model.presentation == "FOR PRESENTATION"
    assert model.spacing_range_mm == (0.1, 0.1)
    assert model.training["cases"]["train"]["n"] == SIZES["train"]
    assert (
        model.training["auc"]["internal_test"]["nomogram"]["area"]
        == result.performance["internal_test"]["nomogram"].area
    )
    assert [p.name for p in model.nomogram.predictors] == ["intratumoral", "peritumoral_5mm", "tumor_diameter_mm"]
    assert [p.name for p in model.clinical.predictors] == ["tumor_diameter_mm"]
    assert "scikit-learn" in model.software and not model.demonstration


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


def test_noise_has_no_radiomics_model_or_a_poor_one():
    areas = []
    for seed in range(4):
        try:
            areas.append(train(*make_cohort(seed, signal=0.0)).performance["train"]["radiomics"].area)
        except InputError as error:
            assert "select no feature" in str(error)
            areas.append(0.5)
    assert np.mean(areas) < 0.65


def test_cases_without_outcome_features_or_factor_are_left_out_and_counted(cohort):
    cases, table, facts = cohort
    changed = replace_cases(
        cases,
        her2=lambda c: None if c.case_id == "case0" else c.her2,
        clinical=lambda c: {"tumor_diameter_mm": "" if c.case_id == "case1" else c.clinical["tumor_diameter_mm"]},
    )
    values = table.values.copy()
    values[1, 0] = np.nan  # its diameter was not measured either
    shorter = FeatureTable(table.case_ids[:-1], table.columns, values[:-1])
    result = train(changed, shorter, facts)
    assert result.model.training["cases"]["train"]["n"] == SIZES["train"] - 2
    assert result.model.training["cases"]["prospective_test"]["n"] == SIZES["prospective_test"] - 1
    text = " ".join(result.messages)
    assert "equivocal" in text and "no features" in text and "no value of tumor_diameter_mm" in text


def test_blank_diameter_is_the_measured_one(cohort, result):
    cases, table, facts = cohort
    values = table.values.copy()
    values[:, 0] = [round(value, 1) for value in values[:, 0]]
    blank = replace_cases(cases, clinical=lambda c: {})
    again = train(blank, dataclasses.replace(table, values=values), facts)
    assert again.model.clinical == result.model.clinical


def test_binary_factor_in_words(cohort):
    cases, table, facts = cohort
    words = replace_cases(
        cases, clinical=lambda c: {"microcalcifications": "present" if c.her2 or c.case_id[-1] == "1" else "absent"}
    )
    result = train(words, table, facts, TrainingOptions(clinical=("microcalcifications",)))
    predictor = result.model.clinical.predictors[0]
    assert predictor.levels == ("absent", "present") and result.model.clinical.coefficients[0] > 0


def test_separating_factor_is_said(cohort):
    cases, table, facts = cohort
    told = replace_cases(cases, clinical=lambda c: {"oracle": str(c.her2)})
    result = train(told, table, facts, TrainingOptions(clinical=("oracle",)))
    assert any("Firth" in message for message in result.messages)


def test_columns_with_gaps_in_training_are_not_used(cohort):
    cases, table, facts = cohort
    values = table.values.copy()
    values[5, 1] = np.inf
    result = train(cases, dataclasses.replace(table, values=values), facts)
    assert not any(name.endswith("Feature0") for name in result.model.signatures["intratumoral"].features)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"her2": lambda c: 1}, "negative patients"),
        ({"her2": lambda c: None}, "No case can be used"),
        ({"clinical": lambda c: {"tumor_diameter_mm": "large" if c.case_id == "case7" else "12"}}, "tumor_diameter_mm"),
        ({"clinical": lambda c: {"tumor_diameter_mm": "12"}}, "same value"),
    ],
)
def test_cohorts_that_carry_no_model_are_refused(cohort, change, message):
    cases, table, facts = cohort
    with pytest.raises(InputError, match=message) as error:
        train(replace_cases(cases, **change), table, facts)
    assert "\n" not in str(error.value)


def test_mixed_image_kinds_are_refused(cohort):
    cases, table, facts = cohort
    images = dict(facts["cases"])
    images["case3"] = {"image": {**images["case3"]["image"], "kind": "low_energy"}}
    with pytest.raises(InputError, match="low_energy and recombined"):
        train(cases, table, {**facts, "cases": images})


def test_unknown_region_and_factor_are_refused(cohort):
    with pytest.raises(InputError, match="peritumoral_7mm"):
        train(*cohort, TrainingOptions(nomogram_regions=("peritumoral_7mm",)))
    with pytest.raises(InputError, match="grade"):
        train(*cohort, TrainingOptions(clinical=("grade",)))


def test_few_patients_with_many_lesions_are_refused(cohort):
    cases, table, facts = cohort
    merged = replace_cases(cases, patient_id=lambda c: f"her2-{c.her2}-{c.split}" if c.her2 else c.patient_id)
    with pytest.raises(InputError, match="1 HER2-positive and"):
        train(merged, table, facts)


def test_no_clinical_factors_leave_the_prevalence(cohort, tmp_path):
    cases, table, facts = cohort
    result = train(cases, table, facts, TrainingOptions(clinical=()))
    y = result.outcomes["train"]
    np.testing.assert_allclose(result.scores["internal_test"]["clinical"], y.mean())
    assert [p.name for p in result.model.nomogram.predictors] == ["intratumoral", "peritumoral_5mm"]
    save_model(result.model, tmp_path / "model.json")
    assert load_model(tmp_path / "model.json").clinical_predictors == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clinical": ("her2_ish",)}, "what the model predicts"),
        ({"clinical": ("age", "age")}, "named twice"),
        ({"random_state": -1}, "seed"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_any_work(cohort, options, message):
    with pytest.raises(InputError, match=message):
        train(*cohort, TrainingOptions(**options))
