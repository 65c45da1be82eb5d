"""Recalibrated models against statsmodels, against simulation, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from models import make_density_model, make_logistic, make_model
from scipy.special import expit, logit

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.modelfile import LOGISTIC_MODELS, load_model, save_model
from HER2NomogramLib.prediction import Prediction
from HER2NomogramLib.recalibration import (
    Recalibration,
    apply_recalibration,
    fit_recalibration,
    recalibrate,
    recalibrate_model,
)


def cohort(seed=0, n=120, shift=-0.8, stretch=0.6, center=0.3):
    """Log odds of a model, and outcomes whose true log odds are these stretched and shifted."""
    rng = np.random.default_rng(seed)
    log_odds = center + 1.5 * rng.normal(size=n)
    return (rng.random(n) < expit(shift + stretch * log_odds)).astype(int), log_odds


def prediction(nomogram: float, radiomics: float, clinical: float) -> Prediction:
    """A prediction of which only the probabilities matter here."""
    return Prediction(
        probability=nomogram,
        interval=(0.0, 1.0),
        cutoff=0.4,
        positive=nomogram >= 0.4,
        predictors={},
        points={},
        total_points=0.0,
        rad_scores={},
        selected_features=(),
        radiomics_probability=radiomics,
        clinical_probability=clinical,
        warnings=(),
        notice="",
        model_name="",
    )


def predictions(log_odds, clinical=None) -> list[Prediction]:
    others = log_odds if clinical is None else clinical
    return [prediction(expit(a), expit(0.5 * a), expit(b)) for a, b in zip(log_odds, others)]


# --- the fit ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_fit_of_statsmodels(seed):
    sm = pytest.importorskip("statsmodels.api")
    y, log_odds = cohort(seed)
    binomial = sm.families.Binomial()
    shifted = sm.GLM(y, np.ones((len(y), 1)), family=binomial, offset=log_odds).fit(tol=1e-12)
    found = fit_recalibration(y, log_odds, "intercept")
    assert (found.intercept, found.slope) == (pytest.approx(shifted.params[0], abs=1e-7), 1.0)
    np.testing.assert_allclose(found.covariance, [[shifted.cov_params()[0, 0], 0], [0, 0]], rtol=1e-5)
    both = sm.GLM(y, sm.add_constant(log_odds), family=binomial).fit(tol=1e-12)
    found = fit_recalibration(y, log_odds, "logistic")
    assert [found.intercept, found.slope] == pytest.approx(both.params, abs=1e-6)
    np.testing.assert_allclose(found.covariance, both.cov_params(), rtol=1e-5)


def test_truth_is_found_in_many_cases():
    found = fit_recalibration(*cohort(n=40_000), "logistic")
    assert (found.intercept, found.slope) == pytest.approx((-0.8, 0.6), abs=0.04)


# --- the model --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["intercept", "logistic"])
def test_log_odds_are_stretched_and_shifted_and_decisions_stay(method):
    model = make_density_model()
    y, log_odds = cohort()
    change = fit_recalibration(y, log_odds, method)
    new = recalibrate(model.nomogram, y, log_odds, method)
    assert new.predictors == model.nomogram.predictors
    rng = np.random.default_rng(1)
    for _ in range(200):
        values = {"intratumoral": rng.normal(), "breast_density": float(rng.integers(4)), "age": rng.uniform(30, 80)}
        old = model.nomogram.linear_predictor(values)
        assert new.linear_predictor(values) == pytest.approx(change.intercept + change.slope * old, abs=1e-12)
        called = model.nomogram.probability(values) >= model.nomogram.cutoff
        assert (new.probability(values) >= new.cutoff) == called


def test_covariance_is_that_of_simulated_coefficients():
    """Old coefficients and the new fit drawn independently, with errors small enough for the delta method."""
    rng = np.random.default_rng(2)
    logistic = make_density_model().clinical
    old = np.array([logistic.intercept, *logistic.coefficients])
    root = 0.02 * rng.normal(size=(len(old), len(old)))
    covariance = root @ root.T
    logistic = make_logistic(logistic.predictors, old[1:], old[0])
    logistic = type(logistic)(logistic.predictors, old[0], tuple(old[1:]), tuple(map(tuple, covariance)), 0.4)
    change = Recalibration(-0.5, 0.7, 0.0004 * np.array([[2.0, -0.6], [-0.6, 1.0]]))
    found = np.array(apply_recalibration(logistic, change).covariance)
    betas = rng.multivariate_normal(old, covariance, 200_000)
    shifts, slopes = rng.multivariate_normal([change.intercept, change.slope], change.covariance, 200_000).T
    drawn = slopes[:, np.newaxis] * betas
    drawn[:, 0] += shifts
    np.testing.assert_allclose(found, np.cov(drawn.T), atol=0.03 * np.abs(found).max())
    np.testing.assert_array_equal(found, found.T)
    assert np.linalg.eigvalsh(found)[0] > 0


def test_no_change_leaves_the_model_as_it_is():
    logistic = make_model().nomogram
    same = apply_recalibration(logistic, Recalibration(0.0, 1.0, np.zeros((2, 2))))
    assert (same.intercept, same.coefficients, same.covariance) == (
        logistic.intercept,
        logistic.coefficients,
        logistic.covariance,
    )
    assert same.cutoff == pytest.approx(logistic.cutoff, abs=1e-15)


@pytest.mark.parametrize("method", ["intercept", "logistic"])
def test_mean_probability_becomes_the_prevalence(method):
    model = make_model()
    y, log_odds = cohort()
    found = recalibrate_model(model, y, predictions(log_odds), method, "elsewhere")
    record = found.training["recalibration"]
    for name, factor in (("nomogram", 1.0), ("radiomics", 0.5), ("clinical", 1.0)):
        p = expit(record["intercept"][name] + record["slope"][name] * factor * log_odds)
        assert p.mean() == pytest.approx(y.mean(), abs=1e-8)
        assert getattr(found, name) == recalibrate(getattr(model, name), y, logit(expit(factor * log_odds)), method)
    if method == "logistic":
        # What was stretched by half before is stretched twice as much now.
        assert record["slope"]["radiomics"] == pytest.approx(2 * record["slope"]["nomogram"], rel=1e-6)


def test_record_and_name_say_what_was_done(tmp_path):
    model = make_model()
    y, log_odds = cohort()
    found = recalibrate_model(model, y, predictions(log_odds), "logistic", "elsewhere.csv")
    record = found.training["recalibration"]
    assert (record["cohort"], record["method"], record["n"]) == ("elsewhere.csv", "logistic", 120)
    assert record["her2_positive"] == y.sum() and record["intercept_only"] == []
    assert list(record["intercept"]) == list(record["slope"]) == list(LOGISTIC_MODELS)
    assert found.name == "Test model (recalibrated)" and found.digest != model.digest
    assert found.training["cases"] == model.training["cases"] and "recalibration" not in model.training
    save_model(found, tmp_path / "model.json")
    assert load_model(tmp_path / "model.json").training["recalibration"] == record


def test_second_recalibration_keeps_the_record_of_the_first():
    y, log_odds = cohort()
    once = recalibrate_model(make_model(), y, predictions(log_odds), "logistic", "first")
    twice = recalibrate_model(once, y, predictions(log_odds), "intercept", "second")
    assert twice.name == once.name
    assert twice.training["recalibration"]["earlier"] == once.training["recalibration"]


def test_certain_predictions_do_not_break_it():
    y, log_odds = cohort()
    certain = predictions(log_odds)
    certain[0], certain[1] = prediction(0.0, 0.0, 0.0), prediction(1.0, 1.0, 1.0)
    found = recalibrate_model(make_model(), y, certain, "logistic", "elsewhere")
    for name in LOGISTIC_MODELS:
        assert np.isfinite(getattr(found, name).covariance).all() and 0 < getattr(found, name).cutoff < 1


# --- what cannot be recalibrated --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["intercept", "logistic"])
@pytest.mark.parametrize(("events", "others"), [(9, 50), (50, 9), (0, 30)])
def test_too_few_of_a_class_are_refused(method, events, others):
    y = np.array([1] * events + [0] * others)
    with pytest.raises(InputError, match=f"{events} HER2-positive and {others} negative cases.*at least 10 of each"):
        fit_recalibration(y, np.linspace(-1, 1, len(y)), method)


def test_separated_classes_are_refused_by_the_slope_alone():
    y = np.array([0] * 15 + [1] * 15)
    log_odds = np.linspace(-2, 2, 30)
    with pytest.raises(InputError, match="separates the classes"):
        fit_recalibration(y, log_odds, "logistic")
    assert np.isfinite(fit_recalibration(y, log_odds, "intercept").intercept)


def test_constant_predictions_are_refused_by_the_slope_alone():
    y = np.array([0] * 15 + [1] * 30)
    with pytest.raises(InputError, match="same probability"):
        fit_recalibration(y, np.full(45, 0.3), "logistic")
    assert fit_recalibration(y, np.full(45, 0.3), "intercept").intercept == pytest.approx(np.log(2) - 0.3)


def test_a_reversed_model_is_refused():
    y, log_odds = cohort()
    with pytest.raises(InputError, match=r"slope in this cohort is -\d.*does not rank"):
        fit_recalibration(y, -log_odds, "logistic")


def test_unknown_method_is_refused():
    y, log_odds = cohort()
    for attempt in (
        lambda: fit_recalibration(y, log_odds, "isotonic"),
        lambda: recalibrate_model(make_model(), y, predictions(log_odds), "isotonic", ""),
    ):
        with pytest.raises(InputError, match="^Recalibration 'isotonic' is not known: choose intercept or logistic.$"):
            attempt()


def test_refusal_names_the_model():
    y, log_odds = cohort()
    with pytest.raises(InputError, match="^The nomogram model of 'Test model' cannot be recalibrated. The calibration"):
        recalibrate_model(make_model(), y, predictions(-log_odds), "logistic", "elsewhere")


@pytest.mark.parametrize("clinical", ["reversed", "constant"])
def test_clinical_model_without_slope_is_shifted_only(clinical):
    """It is what the nomogram is compared with: no reason to refuse the nomogram."""
    y, log_odds = cohort()
    others = -log_odds if clinical == "reversed" else np.zeros(len(y))
    # A clinical model without factors has but an intercept.
    model = make_model() if clinical == "reversed" else make_model(clinical=make_logistic((), (), cutoff=0.5))
    found = recalibrate_model(model, y, predictions(log_odds, others), "logistic", "elsewhere")
    record = found.training["recalibration"]
    assert record["intercept_only"] == ["clinical"] and record["slope"]["clinical"] == 1.0
    assert expit(record["intercept"]["clinical"] + others).mean() == pytest.approx(y.mean(), abs=1e-8)
    assert found.clinical.coefficients == model.clinical.coefficients and record["slope"]["nomogram"] != 1.0
