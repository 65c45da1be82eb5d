"""Performance of all models on a split, and of an existing model on a cohort: what is put together and said."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import CLINICAL, ENTROPY, MEAN, RING_MEAN, make_model
from scipy.special import expit, logit

from HER2NomogramLib.calibration import calibrate
from HER2NomogramLib.cases import Case
from HER2NomogramLib.dataset import Exclusion
from HER2NomogramLib.decision import net_benefit
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.metrics import brier, classification, delong_test, reclassification, roc_auc, scaled_brier
from HER2NomogramLib.modelfile import LOGISTIC_MODELS, load_model, save_model
from HER2NomogramLib.prediction import predict_row
from HER2NomogramLib.validation import assess, auc_table, validate_model, with_recalibration

CUTOFFS = {"nomogram": 0.4, "radiomics": 0.5, "clinical": 0.3}


def probabilities(seed=0, n=60):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    y = (rng.random(n) < expit(x.sum(axis=1) - 0.5)).astype(int)
    scores = {"clinical": x[:, 0] - 0.5, "nomogram": x.sum(axis=1) - 0.5, "radiomics": x[:, 1] - 0.5}
    return y, {name: expit(score) for name, score in scores.items()}


# --- one split --------------------------------------------------------------------------------------------------------


def test_figures_are_those_of_the_modules():
    y, p = probabilities()
    found = assess("internal_test", y, p, CUTOFFS)
    assert (found.split, found.n, found.events) == ("internal_test", 60, y.sum())
    assert list(found.models) == list(found.probabilities) == list(LOGISTIC_MODELS)
    for name, performance in found.models.items():
        assert performance.auc == roc_auc(y, p[name])
        assert performance.brier == brier(y, p[name]) and performance.scaled_brier == scaled_brier(y, p[name])
        assert performance.classification == classification(y, p[name], CUTOFFS[name])
        reference = calibrate(y, p[name], fitted_here=False)
        assert performance.calibration.slope == reference.slope
        assert performance.calibration.hosmer_lemeshow == reference.hosmer_lemeshow
        np.testing.assert_array_equal(
            found.decision.net_benefit[name], net_benefit(y, p[name], found.decision.thresholds)
        )
    pairs = [("nomogram", "radiomics"), ("nomogram", "clinical"), ("radiomics", "clinical")]
    assert list(found.comparisons) == pairs
    for a, b in pairs:
        assert found.comparisons[a, b] == delong_test(y, p[a], p[b])
    assert found.reclassification == reclassification(y, p["nomogram"], p["clinical"], "clinical")


def test_fitted_here_costs_degrees_of_freedom():
    y, p = probabilities()
    here, elsewhere = (assess("train", y, p, CUTOFFS, fitted_here=fitted) for fitted in (True, False))
    dfs = [s.models["nomogram"].calibration.hosmer_lemeshow.df for s in (here, elsewhere)]
    assert dfs == [3, 5]


def test_few_cases_are_said_where_the_model_was_not_fitted():
    y, p = probabilities()
    (remark,) = assess("internal_test", y, p, CUTOFFS).remarks
    assert remark.startswith(f"{y.sum()} HER2-positive and {60 - y.sum()} negative cases")
    assert assess("train", y, p, CUTOFFS, fitted_here=True).remarks == ()
    y, p = probabilities(n=500)
    assert assess("internal_test", y, p, CUTOFFS).remarks == ()


@pytest.mark.parametrize(("status", "word"), [(0, "negative"), (1, "positive")])
def test_one_class_has_what_can_be_computed(status, word):
    _, p = probabilities(n=20)
    y = np.full(20, status)
    found = assess("prospective_test", y, p, CUTOFFS)
    assert found.remarks == (f"All 20 cases are HER2-{word}: no AUC, comparison, reclassification or calibration.",)
    assert found.comparisons == {} and found.reclassification is None
    performance = found.models["nomogram"]
    assert performance.auc is None and performance.brier == brier(y, p["nomogram"])
    assert math.isnan(performance.scaled_brier) and performance.calibration.curve is None
    share = (p["nomogram"] >= 0.4).mean()
    rate = performance.classification.sensitivity if status else performance.classification.specificity
    assert rate.value == pytest.approx(share if status else 1 - share)
    assert np.isfinite(found.decision.net_benefit["nomogram"]).all()


def test_a_model_alone_is_measured():
    y, p = probabilities()
    found = assess("train", y, {"nomogram": p["nomogram"]}, CUTOFFS)
    assert list(found.models) == ["nomogram"] and found.comparisons == {} and found.reclassification is None


def test_prevalence_for_every_case_is_measured():
    """A clinical model without factors."""
    y, p = probabilities()
    found = assess("train", y, {**p, "clinical": np.full(60, y.mean())}, CUTOFFS, fitted_here=True)
    clinical = found.models["clinical"]
    assert (clinical.auc.value, clinical.auc.low, clinical.auc.high) == (0.5, 0.0, 1.0)
    assert clinical.scaled_brier == pytest.approx(0) and clinical.calibration.ici == pytest.approx(0)
    assert math.isnan(clinical.calibration.slope.value)
    difference = found.comparisons["nomogram", "clinical"]
    assert difference.value == pytest.approx(found.models["nomogram"].auc.value - 0.5) and difference.p < 0.01


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1), st.floats(0, 1), st.sampled_from([0, 0.5, 1])), min_size=1),
    st.booleans(),
)
def test_no_cohort_breaks_it(cases, fitted_here):
    table = np.array(cases, dtype=float)
    found = assess("train", table[:, 0], dict(zip(LOGISTIC_MODELS, table[:, 1:].T)), CUTOFFS, fitted_here)
    assert found.n == len(cases) and (found.models["nomogram"].auc is None) == (found.events in (0, found.n))


def test_table_of_areas_has_a_row_per_split():
    y, p = probabilities()
    splits = {"train": assess("train", y, p, CUTOFFS), "internal_test": assess("internal_test", 0 * y, p, CUTOFFS)}
    head, train, internal = auc_table(splits).splitlines()
    assert [head.index(name) for name in LOGISTIC_MODELS] == sorted(head.index(name) for name in LOGISTIC_MODELS)
    auc = splits["train"].models["clinical"].auc
    assert train.split()[:3] == ["train", "60", str(y.sum())]
    assert train[head.index("clinical") :].startswith(f"{auc.value:.3f} ({auc.low:.3f}-{auc.high:.3f})")
    # One class: no areas.
    assert internal.split()[:3] == ["internal_test", "60", "0"] and "0." not in internal


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1, np.inf])
def test_impossible_probabilities_are_refused(bad):
    y, p = probabilities()
    p["radiomics"][3] = bad
    with pytest.raises(InputError, match="radiomics model does not give every case a probability"):
        assess("train", y, p, CUTOFFS)


def test_no_cases_are_refused():
    with pytest.raises(InputError, match="no cases"):
        assess("train", np.array([]), {"nomogram": np.array([])}, CUTOFFS)


# --- a model on a cohort ----------------------------------------------------------------------------------------------


def cohort(n=80, split="prospective_test"):
    """Cases of the small test model, with outcomes that its probability explains, and their predictions."""
    rng = np.random.default_rng(8)
    model, cases, predictions = make_model(), [], {}
    for index in range(n):
        row = {
            MEAN: 6000 + 500 * rng.normal(),
            ENTROPY: 4 + 0.25 * rng.normal(),
            RING_MEAN: 4500 + 150 * rng.normal(),
        }
        clinical = {**CLINICAL, "tumor_diameter_mm": str(round(rng.uniform(10, 39), 1))}
        case_id = f"c{index}"
        predictions[case_id] = predict_row(model, row, clinical)
        probability = predictions[case_id].probability
        her2 = int(rng.random() < expit(1.5 * logit(probability) - 1))
        cases.append(Case(case_id, case_id, split, her2=her2, clinical={"her2_ihc": "2+"}))
    return model, cases, predictions


def test_validation_of_a_model_on_a_cohort():
    model, cases, predictions = cohort()
    cases = [replace(case, split="internal_test") if index < 30 else case for index, case in enumerate(cases)]
    found = validate_model(cases, model, predictions, {})
    assert found.model is model and list(found.splits) == ["internal_test", "prospective_test"]
    assert found.case_ids["internal_test"] == tuple(f"c{i}" for i in range(30))
    assert (found.n, found.events) == (80, sum(case.her2 for case in cases))
    split = found.splits["prospective_test"]
    np.testing.assert_array_equal(split.y, [case.her2 for case in cases[30:]])
    of_split = [predictions[f"c{i}"] for i in range(30, 80)]
    np.testing.assert_array_equal(split.probabilities["nomogram"], [p.probability for p in of_split])
    np.testing.assert_array_equal(split.probabilities["radiomics"], [p.radiomics_probability for p in of_split])
    np.testing.assert_array_equal(split.probabilities["clinical"], [p.clinical_probability for p in of_split])
    for name in LOGISTIC_MODELS:
        assert split.models[name].classification.cutoff == getattr(model, name).cutoff
    assert found.recalibrated is None and found.excluded == ()


def test_cases_that_cannot_be_evaluated_are_excluded_with_the_reason():
    model, cases, predictions = cohort()
    cases[0] = replace(cases[0], her2=None)
    # An unknown outcome is the reason even where the prediction failed as well.
    cases[1] = replace(cases[1], her2=None)
    failed = {"c1": "no file.", "c2": "Clinical factor 'age' is missing.", "c3": "Clinical factor 'age' is missing."}
    predictions = {case_id: p for case_id, p in predictions.items() if case_id not in {*failed, "c4"}}
    found = validate_model(cases, model, predictions, failed)
    unknown = "HER2 status unknown or equivocal without ISH"
    reasons = [unknown, unknown, failed["c2"], failed["c3"], "no prediction"]
    assert found.excluded == tuple(Exclusion(f"c{i}", "prospective_test", r) for i, r in enumerate(reasons))
    assert set(found.predictions) == {f"c{i}" for i in range(5, 80)} and found.n == 75
    assert found.messages[:3] == (
        f"2 cases left out: {unknown}.",
        "2 cases left out: Clinical factor 'age' is missing.",
        "1 case left out: no prediction.",
    )


def test_extrapolated_cases_are_kept_and_counted():
    model, cases, predictions = cohort()
    inside = {case_id: replace(p, extrapolated=False) for case_id, p in predictions.items()}
    assert validate_model(cases, model, inside, {}).messages == ()
    outside = {**inside, "c5": replace(inside["c5"], extrapolated=True)}
    filled = {**inside, "c5": replace(inside["c5"], filled=("tumor_diameter_mm",))}
    said = validate_model(cases, model, filled, {}).messages
    assert said == ("Tumor diameter was missing in 1 case and was filled as in training.",)
    found = validate_model(cases, model, outside, {})
    assert found.n == 80
    (message,) = found.messages
    assert message.startswith("1 case of 80") and "extrapolated" in message


def test_training_cases_and_shared_patients_are_said():
    model, cases, predictions = cohort(split="train")
    predictions = {case_id: replace(p, extrapolated=False) for case_id, p in predictions.items()}
    cases[1] = replace(cases[1], patient_id="c0")
    about_split, about_patients = validate_model(cases, model, predictions, {}).messages
    assert about_split.startswith("80 cases in split train") and "too good" in about_split
    assert about_patients.startswith("80 lesions of 79 patients")


def test_cases_without_a_split_are_a_cohort():
    model, cases, predictions = cohort(split="train")
    cases = [replace(case, split_given=False) for case in cases]
    cases[3] = replace(cases[3], her2=None)
    found = validate_model(cases, model, predictions, {})
    assert list(found.splits) == ["cohort"] and found.excluded[0].split == "cohort"
    assert not any("split train" in message for message in found.messages)
    assert auc_table(found.splits).splitlines()[1].startswith("cohort ")


def test_nothing_to_evaluate_is_refused_with_a_reason():
    model, cases, _ = cohort()
    with pytest.raises(InputError, match=r"case 'c0': no file\): check the case table\.$"):
        validate_model(cases, model, {}, {case.case_id: "no file." for case in cases})


# --- recalibration on the cohort --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["intercept", "logistic"])
def test_recalibrated_figures_are_those_of_the_recalibrated_model(method, tmp_path):
    model, cases, predictions = cohort()
    cases = [replace(case, split="internal_test") if index % 3 == 0 else case for index, case in enumerate(cases)]
    before = validate_model(cases, model, predictions, {})
    after = with_recalibration(before, method, "cohort.csv")
    assert before.recalibrated is None and after.splits is before.splits
    found = after.recalibrated
    assert (found.method, found.n, found.her2_positive) == (method, 80, before.events)
    assert found.model.training["recalibration"]["cohort"] == "cohort.csv"
    save_model(found.model, tmp_path / "model.json")
    again = load_model(tmp_path / "model.json")
    for split, members in before.case_ids.items():
        for index, case_id in enumerate(members):
            rad_scores, values = predictions[case_id].rad_scores, predictions[case_id].predictors
            probability = again.nomogram.probability({**values, **rad_scores})
            assert found.splits[split].probabilities["nomogram"][index] == pytest.approx(probability, abs=1e-9)
        for name in LOGISTIC_MODELS:
            old, new = (performance.models[name] for performance in (before.splits[split], found.splits[split]))
            # Fitted to these cases now.
            assert new.calibration.hosmer_lemeshow is None or (
                new.calibration.hosmer_lemeshow.df == len(new.calibration.bins) - 2
            )
            # The order of cases and the decisions are as before.
            assert (new.auc.value, new.classification.tp, new.classification.fp) == pytest.approx(
                (old.auc.value, old.classification.tp, old.classification.fp)
            )
    y = np.concatenate([split.y for split in found.splits.values()])
    for name in LOGISTIC_MODELS:
        pooled = np.concatenate([split.probabilities[name] for split in found.splits.values()])
        mended = calibrate(y, pooled, fitted_here=True)
        assert mended.intercept.value == pytest.approx(0, abs=1e-6)
        if method == "logistic" and name not in found.model.training["recalibration"]["intercept_only"]:
            assert mended.slope.value == pytest.approx(1, abs=1e-6)


def test_recalibration_refuses_too_few_cases():
    model, cases, predictions = cohort(20)
    with pytest.raises(InputError, match="at least 10 of each"):
        with_recalibration(validate_model(cases, model, predictions, {}), "intercept", "few")
