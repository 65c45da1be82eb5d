"""Calibration against statsmodels, on known truth, and where nothing can be estimated."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from HER2NomogramLib.calibration import (
    NEAREST_TO_CERTAIN,
    CalibrationBin,
    calibrate,
    calibration_bins,
    calibration_intercept,
    calibration_slope,
    hosmer_lemeshow,
    to_log_odds,
)
from HER2NomogramLib.metrics import Estimate, wilson
from HER2NomogramLib.nomogram import LogisticNomogram

Z = 1.959963984540054


def cohort(seed=0, n=150, shift=0.0, stretch=1.0, center=-0.5):
    """Outcomes, and predictions whose log odds are the true ones stretched and shifted."""
    rng = np.random.default_rng(seed)
    true = center + 1.2 * rng.normal(size=n)
    return (rng.random(n) < expit(true)).astype(int), expit(shift + stretch * true)


def binomial_fit(y, design, offset=None):
    sm = pytest.importorskip("statsmodels.api")
    return sm.GLM(y, design, family=sm.families.Binomial(), offset=offset).fit(tol=1e-12)


# --- intercept and slope ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shift", "stretch"), [(0, 1), (1.5, 1), (-2, 0.4), (0.3, 3)])
@pytest.mark.parametrize("n", [25, 150])
def test_intercept_and_slope_of_statsmodels(shift, stretch, n):
    y, p = cohort(n, n, shift, stretch)
    large = binomial_fit(y, np.ones((n, 1)), offset=logit(p))
    slope = binomial_fit(y, np.column_stack([np.ones(n), logit(p)]))
    found = calibrate(y, p, fitted_here=False)
    for mine, reference, k in ((found.intercept, large, 0), (found.slope, slope, 1)):
        assert (mine.value, mine.low, mine.high) == pytest.approx(
            (reference.params[k], *reference.conf_int()[k]), rel=1e-6, abs=1e-8
        )
    assert found.intercept == calibration_intercept(y, p) and found.slope == calibration_slope(y, p)


def test_low_birth_weight_model_is_calibrated_to_its_own_cases(shared_data):
    """Hosmer and Lemeshow's data: a maximum likelihood fit has intercept 0 and slope 1 in its own cases."""
    with (shared_data / "tab_birthwt" / "birthwt.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    x = np.array([[float(r[name]) for name in ("age", "lwt", "smoke", "ptl", "ht", "ui", "ftv")] for r in rows])
    y = np.array([int(r["low"]) for r in rows])
    p = LogisticNomogram().fit(x, y).predict_proba(x)[:, 1]
    found = calibrate(y, p, fitted_here=True)
    assert (found.intercept.value, found.slope.value) == pytest.approx((0, 1), abs=1e-6)
    assert any("by construction" in remark for remark in found.remarks)
    assert found.hosmer_lemeshow.df == len(found.bins) - 2 == 3
    # The same predictions of a model from elsewhere say something.
    elsewhere = calibrate(y, p, fitted_here=False)
    assert not any("by construction" in remark for remark in elsewhere.remarks)
    assert elsewhere.hosmer_lemeshow.df == 5
    wide = calibrate(y, expit(2 * logit(p) + 1), fitted_here=False)
    assert wide.slope.value == pytest.approx(0.5, abs=1e-6) and wide.intercept.value < 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1000), st.floats(-3, 3), st.floats(0.2, 3))
def test_shift_and_stretch_are_found_again(seed, shift, stretch):
    y, p = cohort(seed, 80)
    plain, moved = calibration_slope(y, p), calibration_slope(y, expit(shift + stretch * logit(p)))
    assert moved.value * stretch == pytest.approx(plain.value, rel=1e-5)
    shifted = calibration_intercept(y, expit(logit(p) + shift))
    assert shifted.value == pytest.approx(calibration_intercept(y, p).value - shift, abs=1e-6)


def test_intercept_makes_the_mean_prediction_right():
    y, p = cohort(3, 40, shift=2.0)
    found = calibration_intercept(y, p)
    assert expit(logit(p) + found.value).mean() == pytest.approx(y.mean(), abs=1e-10)


def test_intervals_cover_the_truth():
    """Predictions that are the true probabilities: near 95 of 100 intervals hold 0 and 1."""
    n, intercepts, slopes = 400, 0, 0
    for seed in range(n):
        y, p = cohort(seed, 150)
        intercept, slope = calibration_intercept(y, p), calibration_slope(y, p)
        intercepts += intercept.low <= 0 <= intercept.high
        slopes += slope.low <= 1 <= slope.high
    assert 0.92 < intercepts / n < 0.98 and 0.92 < slopes / n < 0.98


# --- curve ------------------------------------------------------------------------------------------------------------


def test_curve_and_index_of_a_spline_in_statsmodels():
    """The same function space from patsy's natural cubic splines with these knots."""
    patsy = pytest.importorskip("patsy")
    y, p = cohort(5, 200, shift=0.5, stretch=1.6)
    x = logit(p)
    low, middle, high = np.percentile(x, [10, 50, 90])
    inside = (x >= low) & (x <= high)
    # Beyond the outer knots the spline is a straight line, which patsy does not draw: extend its columns by slope.
    spline = f"cr(x, knots=[{middle!r}], lower_bound={low!r}, upper_bound={high!r}) - 1".replace("np.float64", "")

    def basis(values):
        step = 1e-5
        within = np.asarray(patsy.dmatrix(spline, {"x": np.clip(values, low, high)}))
        ends = np.asarray(patsy.dmatrix(spline, {"x": np.array([low, low + step, high - step, high])}))
        below, above = (ends[1] - ends[0]) / step, (ends[3] - ends[2]) / step
        return within + np.outer(np.minimum(values - low, 0), below) + np.outer(np.maximum(values - high, 0), above)

    fit = binomial_fit(y, basis(x))
    assert 0 < inside.sum() < len(x)
    found = calibrate(y, p, fitted_here=False)
    reference = fit.get_prediction(basis(logit(found.curve.predicted))).summary_frame()
    np.testing.assert_allclose(found.curve.observed, reference["mean"], atol=1e-4)
    band = np.array([reference["mean_ci_lower"], reference["mean_ci_upper"]])
    np.testing.assert_allclose([found.curve.low, found.curve.high], band, atol=1e-4)
    assert found.ici == pytest.approx(np.abs(fit.predict(basis(x)) - p).mean(), abs=1e-4)


@pytest.mark.parametrize("n", [22, 84, 400])
def test_curve_spans_the_predictions_within_its_band(n):
    y, p = cohort(1, n)
    curve = calibrate(y, p, fitted_here=False).curve
    assert (curve.predicted[0], curve.predicted[-1]) == pytest.approx((p.min(), p.max()))
    assert (np.diff(curve.predicted) > 0).all() and np.diff(curve.predicted).max() < 0.02
    assert ((curve.low < curve.observed) & (curve.observed < curve.high)).all()
    assert curve.low.min() >= 0 and curve.high.max() <= 1


def test_curve_finds_a_bend():
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1.5, 20_000)
    truth = expit(np.where(x > 0, 2 * x, 0.3 * x))
    y = rng.random(len(x)) < truth
    found = calibrate(y, expit(x), fitted_here=False)
    at = np.interp([0.1, 0.3, 0.7, 0.9], found.curve.predicted, found.curve.observed)
    np.testing.assert_allclose(
        at, expit([0.3 * logit(0.1), 0.3 * logit(0.3), 2 * logit(0.7), 2 * logit(0.9)]), atol=0.07
    )
    assert found.ici == pytest.approx(np.abs(truth - expit(x)).mean(), abs=0.02)


def test_good_predictions_of_many_cases_have_no_error():
    y, p = cohort(1, 20_000)
    found = calibrate(y, p, fitted_here=False)
    assert found.ici < 0.01 and found.remarks == ()
    assert np.abs(found.curve.observed - found.curve.predicted).max() < 0.05
    assert found.hosmer_lemeshow.p > 0.001 and len(found.bins) == 10


def test_few_cases_have_a_straight_curve():
    y, p = cohort(1, 25)
    assert min(y.sum(), (1 - y).sum()) < 10
    found = calibrate(y, p, fitted_here=False)
    assert np.ptp(np.diff(logit(found.curve.observed)) / np.diff(logit(found.curve.predicted))) < 1e-6
    assert any("straight line" in remark for remark in found.remarks)


def test_few_distinct_predictions_have_a_straight_curve():
    y = np.array([0, 1, 0, 0, 1, 1, 0, 1] * 10)
    found = calibrate(y, np.array([0.2, 0.7, 0.2, 0.4, 0.4, 0.7, 0.7, 0.2] * 10), fitted_here=False)
    assert any("straight line" in remark for remark in found.remarks)
    assert [b.predicted for b in found.bins] == pytest.approx([0.2, 0.4, 0.7])


# --- groups -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "groups"), [(1, 1), (7, 1), (16, 2), (25, 3), (40, 5), (84, 5), (199, 5), (200, 10)])
def test_as_many_even_groups_as_the_cohort_allows(n, groups):
    rng = np.random.default_rng(n)
    y, p = rng.integers(0, 2, n), rng.random(n)
    bins = calibration_bins(y, p)
    assert len(bins) == groups
    sizes = [b.n for b in bins]
    assert max(sizes) - min(sizes) <= 1
    order = np.argsort(p)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    for b, start, end in zip(bins, starts, starts[1:]):
        members = order[start:end]
        assert b == CalibrationBin(
            len(members), y[members].sum(), pytest.approx(p[members].mean()), wilson(y[members].sum(), len(members))
        )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 12)), min_size=1, max_size=120))
def test_ties_are_never_torn_apart(cases):
    y, p = np.array([c[0] for c in cases]), np.array([c[1] for c in cases]) / 12
    # Equal but for rounding.
    noisy = np.clip(p + 1e-15 * np.arange(len(p)) % 3e-15, 0, 1)
    bins = calibration_bins(y, noisy)
    assert sum(b.n for b in bins) == len(y) and sum(b.events for b in bins) == y.sum()
    position = 0
    values, counts = np.unique(p, return_counts=True)
    ends = set(np.cumsum(counts))
    for b in bins:
        position += b.n
        assert position in ends
    assert [b.predicted for b in bins] == sorted(b.predicted for b in bins)


def test_hosmer_lemeshow_by_hand():
    bins = tuple(CalibrationBin(10, events, p, Estimate(events / 10)) for events, p in ((1, 0.2), (4, 0.5), (9, 0.8)))
    # 1/1.6 + 1/2.5 + 1/1.6 over three groups; the tail of chi-square with 1 degree of freedom is that of the normal.
    here, elsewhere = hosmer_lemeshow(bins, True), hosmer_lemeshow(bins, False)
    assert here.statistic == elsewhere.statistic == pytest.approx(1.65)
    assert (here.df, elsewhere.df) == (1, 3)
    assert here.p == pytest.approx(math.erfc(math.sqrt(1.65 / 2)))
    assert here.p < elsewhere.p
    assert hosmer_lemeshow(bins[:2], True) is None and hosmer_lemeshow(bins[:1], False) is None


@pytest.mark.parametrize("fitted_here", [True, False])
def test_hosmer_lemeshow_rejects_as_often_as_it_says(fitted_here):
    rejected, n = 0, 300
    for seed in range(n):
        y, p = cohort(seed, 200)
        if fitted_here:
            x = logit(p)[:, np.newaxis]
            p = LogisticNomogram().fit(x, y).predict_proba(x)[:, 1]
        rejected += hosmer_lemeshow(calibration_bins(y, p), fitted_here).p < 0.05
    assert 0.02 < rejected / n < 0.09


# --- where nothing can be estimated -----------------------------------------------------------------------------------


def assert_sane(found):
    """Numbers are finite or NaN, and believable."""
    for estimate in (found.intercept, found.slope):
        known = [math.isfinite(v) for v in (estimate.value, estimate.low, estimate.high)]
        assert all(known) or not any(known)
        if all(known):
            assert estimate.low <= estimate.value <= estimate.high and abs(estimate.value) < 50
    assert math.isnan(found.ici) or 0 <= found.ici <= 1
    if found.hosmer_lemeshow:
        assert 0 <= found.hosmer_lemeshow.statistic < math.inf and 0 <= found.hosmer_lemeshow.p <= 1
    if found.curve:
        assert all(np.isfinite(v).all() for v in vars(found.curve).values())


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=60),
    st.booleans(),
)
def test_no_cohort_breaks_it(cases, fitted_here):
    y, p = np.array([c[0] for c in cases]), np.array([c[1] for c in cases])
    found = calibrate(y, p, fitted_here)
    assert_sane(found)
    if math.isnan(found.slope.value) or found.curve is None or found.hosmer_lemeshow is None:
        assert found.remarks


def test_constant_predictions_have_a_mean_and_no_slope():
    y = np.array([0, 0, 0, 1] * 10)
    found = calibrate(y, np.full(40, 0.4), fitted_here=False)
    assert found.intercept.value == pytest.approx(logit(0.25) - logit(0.4))
    assert math.isnan(found.slope.value) and found.curve is None
    assert found.ici == pytest.approx(0.15)
    assert any("do not differ" in remark for remark in found.remarks)
    # A signature without features gives the same probability but for rounding.
    noisy = calibrate(y, 0.4 + 1e-15 * np.arange(40), fitted_here=False)
    assert math.isnan(noisy.slope.value) and noisy.curve is None and len(noisy.bins) == 1


@pytest.mark.parametrize("reverse", [False, True])
def test_separated_classes_have_no_slope(reverse):
    p = np.linspace(0.1, 0.9, 30)
    y = (p > 0.5).astype(int)
    found = calibrate(1 - y if reverse else y, p, fitted_here=False)
    assert math.isfinite(found.intercept.value) and math.isnan(found.slope.value) and math.isnan(found.ici)
    assert found.curve is None and any("separate the classes" in remark for remark in found.remarks)


def test_one_class_has_groups_only():
    found = calibrate(np.zeros(30, int), np.linspace(0.1, 0.9, 30), fitted_here=False)
    assert all(math.isnan(v) for v in (found.intercept.value, found.slope.value, found.ici))
    assert found.curve is None and found.hosmer_lemeshow is None and len(found.bins) == 3
    assert found.remarks == ("One class only: no calibration intercept, slope or curve.",)


def test_certain_predictions_are_finite_and_said():
    y, p = cohort(4, 100)
    p = p.copy()
    p[:3], p[3] = 0.0, 1.0
    y[:4] = [0, 0, 1, 1]
    found = calibrate(y, p, fitted_here=False)
    assert_sane(found)
    assert any(remark.startswith("4 of 100 predictions are 0 or 1") for remark in found.remarks)
    reference = binomial_fit(y, np.column_stack([np.ones(100), logit(np.clip(p, 1e-8, 1 - 1e-8))]))
    assert found.slope.value == pytest.approx(reference.params[1], rel=1e-6)


def test_nothing_but_certain_predictions():
    y = np.array([0, 1] * 20)
    p = y.astype(float)
    right = calibrate(y, p, fitted_here=False)
    assert math.isnan(right.intercept.value) and math.isnan(right.slope.value) and right.hosmer_lemeshow is None
    p[:2] = 1 - p[:2]
    wrong = calibrate(y, p, fitted_here=False)
    assert_sane(wrong)
    assert wrong.hosmer_lemeshow is None and any("Hosmer-Lemeshow" in remark for remark in wrong.remarks)


def test_log_odds_stay_within_the_nearest_to_certain():
    found = to_log_odds([0, 1e-12, 0.5, 1 - 1e-12, 1])
    assert found[0] == found[1] == pytest.approx(logit(NEAREST_TO_CERTAIN)) and found[2] == 0
    assert found[3] == found[4] == pytest.approx(-found[0])
