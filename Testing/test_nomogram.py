"""The logistic model against statsmodels and firthmodels, on real data and where classes separate."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from HER2NomogramLib.nomogram import LogisticNomogram, intercept_shift, logistic_fit, maximum_log_likelihood


@parametrize_with_checks([LogisticNomogram(), LogisticNomogram(method="firth")])
def test_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def cases(seed=0, n_cases=84):
    """Predictors in very different units, as Rad-scores beside millimeters and percent."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_cases, 3)) * [1, 5, 1e4] + [0, 30, 1e5]
    y = (x[:, 0] + rng.normal(size=n_cases) > 0).astype(int)
    return x, y


@pytest.mark.parametrize("seed", range(5))
def test_equals_statsmodels(seed):
    import statsmodels.api as sm

    x, y = cases(seed)
    fitted = LogisticNomogram().fit(x, y)
    design = np.column_stack([np.ones(len(y)), x])
    reference = sm.GLM(y, design, family=sm.families.Binomial()).fit(tol=1e-12)
    np.testing.assert_allclose([fitted.intercept_, *fitted.coef_], reference.params, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(fitted.covariance_)), reference.bse, rtol=1e-5)
    assert not fitted.separated_


def test_equals_the_published_low_birth_weight_fit(shared_data):
    """Hosmer and Lemeshow's data; coefficients as in the manifest of the test data."""
    with (shared_data / "tab_birthwt" / "birthwt.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ["age", "lwt", "smoke", "ptl", "ht", "ui", "ftv"]
    x = [[*(float(r[n]) for n in names), float(r["race"] == "2"), float(r["race"] == "3")] for r in rows]
    fitted = LogisticNomogram().fit(x, [int(r["low"]) for r in rows])
    published = [-0.0295, -0.0154, 0.9388, 0.5433, 1.8633, 0.7676, 0.0653, 1.2723, 0.8805]
    np.testing.assert_allclose(fitted.coef_, published, atol=6e-5)
    assert fitted.intercept_ == pytest.approx(0.4806, abs=1e-4)


def firth_reference(x, y):
    firthmodels = pytest.importorskip("firthmodels")
    reference = firthmodels.FirthLogisticRegression(gtol=1e-10, xtol=1e-10, max_iter=500).fit(x, y)
    return float(np.ravel(reference.intercept_)[0]), np.ravel(reference.coef_)


def test_firth_equals_firthmodels():
    x, y = cases(n_cases=40)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    fitted = LogisticNomogram(method="firth").fit(x, y)
    intercept, coef = firth_reference(x, y)
    np.testing.assert_allclose(fitted.coef_, coef, atol=1e-7)
    assert fitted.intercept_ == pytest.approx(intercept, abs=1e-7)
    assert not fitted.separated_


@pytest.mark.parametrize("factor", [1.0, 1e-3, 1e5])
def test_separated_classes_get_firths_finite_coefficients(factor):
    x = np.arange(10.0)[:, None]
    y = (x[:, 0] > 4).astype(int)
    fitted = LogisticNomogram().fit(x * factor, y)
    assert fitted.separated_
    assert fitted.coef_[0] * factor == pytest.approx(firth_reference(x, y)[1][0], abs=1e-6)
    assert np.isfinite(fitted.covariance_).all()


@pytest.mark.parametrize("positives", [1, 2])
@pytest.mark.parametrize("n_cases", [30, 84])
def test_rare_binary_predictor_keeps_firths_estimate(n_cases, positives):
    """A full Newton step would saturate the few cases that carry the predictor."""
    rng = np.random.default_rng(n_cases)
    rare = np.zeros(n_cases)
    rare[:positives] = 1.0
    x = np.column_stack([rng.normal(size=n_cases), rare])
    y = (np.arange(n_cases) % 3 == 0).astype(int)
    y[:positives] = 1
    fitted = LogisticNomogram().fit(x, y)
    _, coef = firth_reference(x, y)
    assert fitted.separated_
    np.testing.assert_allclose(fitted.coef_, coef, atol=1e-5)
    assert fitted.predict_proba(x)[:, 1].mean() == pytest.approx(y.mean(), abs=1e-9)
    assert np.sqrt(fitted.covariance_[2, 2]) > 0.5


def test_quasi_separation_is_noticed():
    x = np.array([[0.0]] * 10 + [[1.0]] * 6 + [[0.0]] * 4)
    y = np.array([0] * 10 + [1] * 6 + [1] * 4)
    fitted = LogisticNomogram().fit(x, y)
    assert fitted.separated_ and np.isfinite(fitted.coef_).all()


def test_collinear_predictors_share_their_effect():
    x, y = cases()
    alone = LogisticNomogram().fit(x[:, :1], y)
    doubled = LogisticNomogram().fit(np.repeat(x[:, :1], 2, axis=1), y)
    np.testing.assert_allclose(
        doubled.decision_function(np.repeat(x[:, :1], 2, axis=1)), alone.decision_function(x[:, :1])
    )


def test_unknown_method_is_refused():
    with pytest.raises(ValueError, match="method"):
        LogisticNomogram(method="bayes").fit(*cases())


def test_few_events_get_firths_method_with_an_intercept_of_their_own():
    x, y = cases(seed=3)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    likelihood, firth = LogisticNomogram().fit(scaled, y), LogisticNomogram(method="firth").fit(scaled, y)
    rarer = min(y.sum(), len(y) - y.sum())
    enough = LogisticNomogram(min_events_per_coefficient=rarer / 3).fit(scaled, y)
    few = LogisticNomogram(min_events_per_coefficient=rarer / 3 + 0.1).fit(scaled, y)
    assert few.few_events_ and not enough.few_events_ and not few.separated_
    np.testing.assert_array_equal(enough.coef_, likelihood.coef_)
    np.testing.assert_allclose(few.coef_, firth.coef_, atol=1e-9)
    assert few.predict_proba(scaled)[:, 1].mean() == pytest.approx(y.mean(), abs=1e-9)


@pytest.mark.parametrize("factor", [1.0, 40.0])
def test_intercept_shift_equals_a_fit_with_offset(factor):
    import statsmodels.api as sm

    x, y = cases(seed=2)
    log_odds = factor * (x[:, 0] - 0.3)
    family = sm.families.Binomial()
    reference = sm.GLM(y, np.ones((len(y), 1)), family=family, offset=log_odds).fit(tol=1e-12, maxiter=500)
    assert intercept_shift(y, log_odds) == pytest.approx(reference.params[0], abs=1e-6)


def test_maximum_log_likelihood():
    import statsmodels.api as sm

    x, y = cases()
    assert maximum_log_likelihood(x, y) == pytest.approx(sm.Logit(y, sm.add_constant(x)).fit(disp=0).llf, abs=1e-6)
    assert maximum_log_likelihood(x[:, :0], y) == pytest.approx(sm.Logit(y, np.ones(len(y))).fit(disp=0).llf)
    assert maximum_log_likelihood(y[:, np.newaxis], y) == pytest.approx(0, abs=1e-6)


def test_log_likelihood_of_the_published_low_birth_weight_fit(shared_data):
    import pandas as pd

    data = pd.read_csv(shared_data / "tab_birthwt" / "birthwt.csv")
    x = pd.get_dummies(data[["age", "lwt", "race", "smoke", "ptl", "ht", "ui", "ftv"]], columns=["race"])
    assert maximum_log_likelihood(x.drop(columns="race_1").to_numpy(float), data["low"].to_numpy()) == pytest.approx(
        -100.6424, abs=1e-4
    )


@pytest.mark.parametrize("flipped", [1, 3])
def test_nearly_separated_classes_have_their_finite_maximum(flipped):
    """Newton's full steps overshoot here; a saturated likelihood has no gradient and looks like a maximum."""
    import statsmodels.api as sm

    x = np.concatenate([np.linspace(-40, -1, 40), np.linspace(1, 400, 44)])[:, np.newaxis]
    y = (x[:, 0] > 0).astype(int)
    y[40 - flipped : 40] = 1
    y[40:42] = 0
    fitted = LogisticNomogram().fit(x, y)
    reference = sm.GLM(y, sm.add_constant(x), family=sm.families.Binomial()).fit(tol=1e-14, maxiter=200)
    assert not fitted.separated_
    np.testing.assert_allclose([fitted.intercept_, *fitted.coef_], reference.params, rtol=1e-6)


@pytest.mark.parametrize("gap", [1e-3, 1.0, 1e3])
def test_separation_is_noticed_however_wide_the_gap(gap):
    rng = np.random.default_rng(1)
    y = (np.arange(60) % 3 == 0).astype(int)
    x = np.column_stack([rng.normal(size=60), rng.normal(size=60) + gap * 1e2 * y, rng.normal(size=60)])
    if gap < 1:
        x[:, 1] = y + rng.random(60) * 0.9
    fitted = LogisticNomogram().fit(x, y)
    assert fitted.separated_ and np.abs(fitted.decision_function(x)).max() < 50


def penalized(x, y, beta):
    """Firth's likelihood, written out in the predictors' own units."""
    design = np.column_stack([np.ones(len(y)), x])
    log_odds = design @ beta
    p = 1 / (1 + np.exp(-log_odds))
    information = design.T @ (design * (p * (1 - p))[:, np.newaxis])
    return (y * log_odds - np.logaddexp(0, log_odds)).sum() + 0.5 * np.linalg.slogdet(information)[1]


def test_logistic_fit_equals_the_model():
    x, y = cases()
    for firth, method in ((False, "auto"), (True, "firth")):
        fit, model = logistic_fit(x, y, firth), LogisticNomogram(method=method).fit(x, y)
        np.testing.assert_array_equal(fit.coefficients, [model.intercept_, *model.coef_])
        np.testing.assert_array_equal(fit.covariance, model.covariance_)
        assert fit.finite
    assert not logistic_fit(y[:, np.newaxis], y).finite


def test_fixed_coefficients_keep_the_penalty_of_all():
    x, y = cases(n_cases=40)
    free = logistic_fit(x, y, firth=True)
    assert free.log_likelihood == pytest.approx(penalized(x, y, free.coefficients), abs=1e-9)
    fixed = logistic_fit(x, y, firth=True, fixed={1: 0.1, 2: 0.0})
    np.testing.assert_allclose(fixed.coefficients[2:], [0.1, 0.0], atol=1e-15)
    assert fixed.log_likelihood == pytest.approx(penalized(x, y, fixed.coefficients), abs=1e-9)
    np.testing.assert_allclose(fixed.score[:2], 0, atol=1e-6)
    for index, unit in enumerate([1e-5, 1e-5, 1e-6, 1e-10]):
        step = np.zeros(4)
        step[index] = unit
        up, down = (penalized(x, y, fixed.coefficients + sign * step) for sign in (1, -1))
        assert fixed.score[index] == pytest.approx((up - down) / (2 * unit), rel=1e-3, abs=1e-2), index
        if index < 2:
            assert max(up, down) < fixed.log_likelihood
    started = logistic_fit(x, y, True, {1: 0.1, 2: 0.0}, start=free.coefficients)
    np.testing.assert_allclose(started.coefficients, fixed.coefficients, rtol=1e-6)


def test_a_coefficient_fixed_at_zero_is_a_predictor_left_out():
    x, y = cases()
    fixed, left_out = logistic_fit(x, y, fixed={1: 0.0}), logistic_fit(x[:, [0, 2]], y)
    np.testing.assert_allclose(fixed.coefficients[[0, 1, 3]], left_out.coefficients, rtol=1e-6)
    assert fixed.log_likelihood == pytest.approx(maximum_log_likelihood(x[:, [0, 2]], y), abs=1e-9)
