"""Figures of discrimination against definitions written out here, and against scikit-learn, MLstatkit, statsmodels."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.metrics import (
    Difference,
    brier,
    classification,
    delong_test,
    reclassification,
    roc_auc,
    roc_points,
    scaled_brier,
    wilson,
    youden_cutoff,
)

Z = 1.959963984540054


@st.composite
def outcomes_and_scores(draw):
    """Both classes, with ties within and between them as scores are few whole numbers."""
    y = draw(st.lists(st.integers(0, 1), min_size=4, max_size=40).filter(lambda y: 2 <= sum(y) <= len(y) - 2))
    score = draw(st.lists(st.integers(-5, 5), min_size=len(y), max_size=len(y)))
    return np.array(y), np.array(score) / 7


def delong(y, score) -> tuple[float, float]:
    """Area and its variance as DeLong et al. define them (1988, equations 4 to 6), pair by pair."""
    positive = [s for s, label in zip(score, y) if label == 1]
    negative = [s for s, label in zip(score, y) if label == 0]

    def psi(a: float, b: float) -> float:
        return 1.0 if a > b else 0.5 if a == b else 0.0

    m, n = len(positive), len(negative)
    area = sum(psi(a, b) for a in positive for b in negative) / (m * n)
    v10 = [sum(psi(a, b) for b in negative) / n for a in positive]
    v01 = [sum(psi(a, b) for a in positive) / m for b in negative]
    s10 = sum((v - area) ** 2 for v in v10) / (m - 1)
    s01 = sum((v - area) ** 2 for v in v01) / (n - 1)
    return area, s10 / m + s01 / n


@settings(max_examples=300, deadline=None)
@given(outcomes_and_scores())
def test_area_and_interval_by_the_definition(case):
    y, score = case
    auc = roc_auc(y, score)
    area, variance = delong(y, score)
    assert auc.value == pytest.approx(area, abs=1e-12)
    if 0 < area < 1 and variance > 1e-12:
        # The delta method on the log odds of the area.
        half_width = Z * math.sqrt(variance) / (area * (1 - area))
        bounds = [1 / (1 + math.exp(-(math.log(area / (1 - area)) + sign * half_width))) for sign in (-1, 1)]
        assert (auc.low, auc.high) == pytest.approx(bounds, abs=1e-10)


@settings(max_examples=200, deadline=None)
@given(outcomes_and_scores())
def test_area_of_scikit_learn(case):
    from sklearn.metrics import roc_auc_score

    assert roc_auc(*case).value == pytest.approx(roc_auc_score(*case), abs=1e-12)


@settings(max_examples=300, deadline=None)
@given(outcomes_and_scores(), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_interval_holds_the_area_and_stays_within_0_and_1(case, level):
    auc = roc_auc(*case, level=level)
    assert 0 <= auc.low <= auc.value <= auc.high <= 1
    # It says something less than certain, even where the classes separate.
    assert auc.low < auc.high


@given(outcomes_and_scores())
def test_reversed_scores_mirror_area_and_interval(case):
    y, score = case
    auc, mirrored = roc_auc(y, score), roc_auc(y, -score)
    assert (mirrored.value, mirrored.low, mirrored.high) == pytest.approx((1 - auc.value, 1 - auc.high, 1 - auc.low))


def test_order_of_cases_and_monotone_transformation_do_not_matter():
    rng = np.random.default_rng(1)
    y, score = rng.integers(0, 2, 60), rng.normal(size=60)
    order = rng.permutation(60)
    assert roc_auc(y[order], np.exp(score[order])).value == roc_auc(y, score).value


def test_known_example():
    # 3 positive and 4 negative cases, one of the 12 pairs wrong and one tied.
    auc = roc_auc([1, 1, 1, 0, 0, 0, 0], [0.9, 0.8, 0.4, 0.7, 0.4, 0.2, 0.1])
    assert auc.value == pytest.approx((12 - 1.5) / 12)
    # Placements 1, 1, 0.625 and 2/3, 0.8333, 1, 1: variance 0.046875 / 3 + 0.025463 / 4, so 1.946 +- 2.657 on log odds.
    assert auc.low == pytest.approx(0.3293, abs=1e-4) and auc.high == pytest.approx(0.9901, abs=1e-4)


@pytest.mark.parametrize(("m", "n"), [(5, 5), (7, 18), (28, 56)])
def test_separated_classes_have_the_exact_binomial_bound(m, n):
    y = np.array([1] * m + [0] * n)
    auc = roc_auc(y, y)
    assert (auc.value, auc.high) == (1.0, 1.0)
    # The success rate at which all of min(m, n) trials succeed with probability 2.5%.
    assert auc.low ** min(m, n) == pytest.approx(0.025)
    worst = roc_auc(y, -y)
    assert (worst.value, worst.low) == (0.0, 0.0) and worst.high == pytest.approx(1 - auc.low)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 3), (10, 10), (40, 60)])
def test_score_that_ties_all_cases_says_nothing(m, n):
    auc = roc_auc([1] * m + [0] * n, [0.3] * (m + n))
    assert (auc.value, auc.low, auc.high) == (0.5, 0.0, 1.0)


def test_smaller_level_has_a_narrower_interval():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 50)
    score = y + rng.normal(size=50)
    wide, narrow = roc_auc(y, score), roc_auc(y, score, level=0.5)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


@pytest.mark.parametrize("y", [[1, 1, 1], [0, 0, 0], []])
def test_one_class_has_no_curve(y):
    with pytest.raises(InputError, match="both classes"):
        roc_auc(y, [0.1, 0.2, 0.3][: len(y)])


def test_outcomes_may_be_boolean_and_lists():
    assert roc_auc([True, False], [2, 1]).value == 1.0
    fpr, tpr, _ = roc_points(np.array([True, False]), [2, 1])
    assert (fpr.tolist(), tpr.tolist()) == ([0, 0, 1], [0, 1, 1])


# --- curve and cut-off ------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(outcomes_and_scores())
def test_points_of_scikit_learn(case):
    from sklearn.metrics import roc_curve

    for mine, theirs in zip(roc_points(*case), roc_curve(*case, drop_intermediate=False)):
        np.testing.assert_allclose(mine, theirs, atol=1e-15)


@given(outcomes_and_scores())
def test_points_are_those_of_their_thresholds_and_enclose_the_area(case):
    y, score = case
    fpr, tpr, thresholds = roc_points(y, score)
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    for f, t, threshold in zip(fpr, tpr, thresholds):
        called = score >= threshold
        assert f == called[y == 0].mean() and t == called[y == 1].mean()
    assert np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2) == pytest.approx(roc_auc(y, score).value)


@given(outcomes_and_scores())
def test_cutoff_has_the_largest_youden_index(case):
    y, score = case
    cutoff = youden_cutoff(y, score)

    def index(threshold: float) -> float:
        return (score[y == 1] >= threshold).mean() - (score[y == 0] >= threshold).mean()

    assert cutoff in score
    assert index(cutoff) == pytest.approx(max(index(threshold) for threshold in score))


def test_cutoff_by_hand():
    # At 0.6 sensitivity is 3/3 and specificity 2/3.
    assert youden_cutoff(np.array([0, 0, 1, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.65, 0.7, 0.9])) == 0.6


# --- paired comparison of areas ---------------------------------------------------------------------------------------


@st.composite
def outcomes_and_two_scores(draw):
    y, a = draw(outcomes_and_scores())
    b = draw(st.lists(st.integers(-5, 5), min_size=len(y), max_size=len(y)))
    return y, a, np.array(b) / 7


def paired_delong(y, a, b) -> tuple[float, float]:
    """Difference of areas and its variance by the covariance matrices of DeLong et al., pair by pair."""

    def components(score):
        positive, negative = score[y == 1], score[y == 0]
        psi = np.array([[(p > n) + (p == n) / 2 for n in negative] for p in positive])
        return psi.mean(), psi.mean(axis=1), psi.mean(axis=0)

    (area_a, v10_a, v01_a), (area_b, v10_b, v01_b) = components(a), components(b)
    s = np.cov(v10_a, v10_b) / len(v10_a) + np.cov(v01_a, v01_b) / len(v01_a)
    return area_a - area_b, s[0, 0] + s[1, 1] - 2 * s[0, 1]


@settings(max_examples=200, deadline=None)
@given(outcomes_and_two_scores())
def test_difference_of_areas_by_the_definition(case):
    difference = delong_test(*case)
    value, variance = paired_delong(*case)
    assert difference.value == pytest.approx(value, abs=1e-12)
    if variance > 1e-9:
        error = math.sqrt(variance)
        assert difference.p == pytest.approx(math.erfc(abs(value) / error / math.sqrt(2)), abs=1e-9)
        assert difference.low == pytest.approx(max(-1, value - Z * error), abs=1e-9)
        assert difference.high == pytest.approx(min(1, value + Z * error), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(outcomes_and_two_scores())
def test_difference_changes_sign_with_the_order(case):
    y, a, b = case
    one, other = delong_test(y, a, b), delong_test(y, b, a)
    expected = (-one.value, -one.high, -one.low, one.p)
    assert (other.value, other.low, other.high, other.p) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    # Negative scores turn both curves round.
    turned = delong_test(y, -a, -b)
    assert (turned.value, turned.p) == pytest.approx((-one.value, one.p), abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("seed", range(6))
def test_areas_and_test_of_mlstatkit(seed):
    mlstatkit = pytest.importorskip("MLstatkit")
    rng = np.random.default_rng(seed)
    y = np.arange(90) % 3 == 0
    a, b = (np.round(y * effect + rng.normal(size=90), 1 + seed % 3) for effect in (1.5, 1.0))
    z, p, area_a, area_b = mlstatkit.Delong_test(y.astype(int), a, b, return_ci=False)[:4]
    difference = delong_test(y, a, b)
    assert (roc_auc(y, a).value, roc_auc(y, b).value) == pytest.approx((area_a, area_b), abs=1e-12)
    assert difference.value == pytest.approx(area_a - area_b, abs=1e-12)
    # Its statistic is that of the second less the first.
    assert difference.p == pytest.approx(p, abs=1e-10)
    assert difference.value / ((difference.high - difference.low) / 2 / Z) == pytest.approx(-z, abs=1e-8)


def test_scores_that_rank_alike_do_not_differ():
    rng = np.random.default_rng(3)
    y, a = np.arange(40) % 2, rng.normal(size=40)
    assert delong_test(y, a, np.exp(a)) == Difference(0.0, 0.0, 0.0, 1.0)
    # Two scores that separate are the same where they rank alike, and not comparable where they do not.
    assert delong_test(y, y + 0.0, 2.0 * y) == Difference(0.0, 0.0, 0.0, 1.0)
    apart = delong_test(y, y + 0.0, y + 0.01 * a)
    assert apart.value == 0 and math.isnan(apart.p) and math.isnan(apart.low) and math.isnan(apart.high)


def test_one_case_of_a_class_has_a_difference_without_interval():
    difference = delong_test([1, 0, 0, 0], [3, 1, 2, 4], [1, 2, 3, 4])
    assert difference.value == pytest.approx(2 / 3) and math.isnan(difference.p) and math.isnan(difference.low)


def test_comparison_needs_both_classes():
    with pytest.raises(InputError, match="both classes"):
        delong_test([1, 1], [0.1, 0.2], [0.2, 0.1])


def test_interval_of_the_difference_covers_the_truth():
    """Binormal scores with known areas, 25 positive and 50 negative cases: near 95 of 100 intervals hold the truth."""
    rng = np.random.default_rng(4)
    y = np.arange(75) < 25
    truth = [0.5 * math.erfc(-effect / 2) for effect in (1.5, 0.8)]
    covered, rejected, n = 0, 0, 600
    for _ in range(n):
        common = rng.normal(size=75)
        a, b, c = (0.6 * common + 0.8 * rng.normal(size=75) + effect * y for effect in (1.5, 0.8, 0.8))
        difference = delong_test(y, a, b)
        covered += difference.low <= truth[0] - truth[1] <= difference.high
        rejected += delong_test(y, b, c).p < 0.05
    assert 0.92 < covered / n < 0.98
    assert 0.02 < rejected / n < 0.08


def test_twenty_thousand_cases_fit_in_memory_and_agree_with_scikit_learn():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(5)
    y = rng.random(20_000) < 0.3
    a, b = (y * effect + rng.normal(size=len(y)) for effect in (1.0, 0.9))
    tracemalloc.start()
    auc, difference = roc_auc(y, a), delong_test(y, a, b)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The matrix of pairs alone would have 84 million entries.
    assert peak < 20e6
    assert auc.value == pytest.approx(roc_auc_score(y, a), abs=1e-12)
    assert difference.value == pytest.approx(auc.value - roc_auc_score(y, b), abs=1e-12) and 0 < difference.p < 1


# --- classification ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 7), (5, 7), (7, 7), (21, 56), (499, 1000)])
def test_wilson_interval_of_statsmodels(successes, n):
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    mine = wilson(successes, n)
    assert (mine.low, mine.high) == pytest.approx(
        proportion.proportion_confint(successes, n, method="wilson"), abs=1e-12
    )
    assert 0 <= mine.low <= mine.value <= mine.high <= 1


def test_share_of_nothing_is_nothing():
    assert all(math.isnan(value) for value in (wilson(0, 0).value, wilson(0, 0).low, wilson(0, 0).high))


def test_decisions_by_hand():
    # A case at the cut-off is called positive.
    found = classification([1, 1, 1, 0, 0, 0, 0], [0.9, 0.4, 0.2, 0.8, 0.3, 0.2, 0.1], 0.4)
    assert (found.tp, found.fp, found.fn, found.tn, found.cutoff) == (2, 1, 1, 3, 0.4)
    assert found.sensitivity == wilson(2, 3) and found.specificity == wilson(3, 4)
    assert found.accuracy == wilson(5, 7) and found.ppv == wilson(2, 3) and found.npv == wilson(3, 4)


@given(outcomes_and_scores(), st.integers(-6, 6))
def test_decisions_of_scikit_learn(case, cutoff):
    from sklearn.metrics import confusion_matrix

    y, score = case
    found = classification(y, score, cutoff / 7)
    (tn, fp), (fn, tp) = confusion_matrix(y, score >= cutoff / 7, labels=[0, 1])
    assert (found.tn, found.fp, found.fn, found.tp) == (tn, fp, fn, tp)


def test_nothing_called_positive_has_no_predictive_value():
    found = classification([1, 0], [0.1, 0.2], 0.5)
    assert math.isnan(found.ppv.value) and math.isnan(found.ppv.low) and found.npv.value == 0.5
    one_class = classification([0, 0], [0.1, 0.7], 0.5)
    assert math.isnan(one_class.sensitivity.value) and one_class.specificity.value == 0.5


# --- overall error ----------------------------------------------------------------------------------------------------


def test_brier_score_of_scikit_learn():
    from sklearn.metrics import brier_score_loss

    rng = np.random.default_rng(6)
    y, p = rng.integers(0, 2, 100), rng.random(100)
    assert brier(y, p) == pytest.approx(brier_score_loss(y, p), abs=1e-12)
    null = brier_score_loss(y, np.full(100, y.mean()))
    assert scaled_brier(y, p) == pytest.approx(1 - brier_score_loss(y, p) / null, abs=1e-12)


def test_scaled_brier_score_of_the_ends():
    y = np.array([0, 0, 1])
    assert scaled_brier(y, y) == 1 and scaled_brier(y, [1 / 3] * 3) == pytest.approx(0)
    assert scaled_brier(y, 1 - y) < 0 and math.isnan(scaled_brier([1, 1], [0.2, 0.9]))


# --- reclassification -------------------------------------------------------------------------------------------------


def test_reclassification_by_hand():
    y = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0])
    old = np.full(9, 0.4)
    new = old + [0.2, 0.3, 0.1, -0.1, -0.2, -0.1, 0.1, 0.0, -0.3]
    found = reclassification(y, new, old, "clinical")
    assert found.reference == "clinical"
    # 3 of 4 up and 1 down; 3 of 5 down and 1 up.
    assert (found.nri_events.value, found.nri_nonevents.value) == pytest.approx((0.5, 0.4))
    assert found.nri.value == pytest.approx(0.9)
    # Variances (3/4 + 1/4 - 1/2**2) / 4 and (1/5 + 3/5 - (2/5)**2) / 5.
    assert found.nri_events.high == 1.0 and found.nri_events.low == pytest.approx(0.5 - Z * math.sqrt(0.75 / 4))
    error = math.sqrt(0.75 / 4 + 0.64 / 5)
    assert found.nri.low == pytest.approx(0.9 - Z * error)
    assert found.nri.p == pytest.approx(math.erfc(0.9 / error / math.sqrt(2)))
    # Mean change 0.125 in events and -0.1 in the others.
    assert found.idi.value == pytest.approx(0.225)
    error = math.sqrt(np.var([0.2, 0.3, 0.1, -0.1], ddof=1) / 4 + np.var([0.2, 0.1, -0.1, 0.0, 0.3], ddof=1) / 5)
    assert (found.idi.low, found.idi.high) == pytest.approx((0.225 - Z * error, 0.225 + Z * error))


def test_discrimination_slopes_differ_by_the_idi():
    rng = np.random.default_rng(7)
    y, new, old = rng.integers(0, 2, 80), rng.random(80), rng.random(80)
    slopes = [p[y == 1].mean() - p[y == 0].mean() for p in (new, old)]
    assert reclassification(y, new, old, "").idi.value == pytest.approx(slopes[0] - slopes[1])


@given(outcomes_and_two_scores())
def test_reclassification_turns_with_the_order(case):
    y, new, old = case
    there, back = reclassification(y, new, old, ""), reclassification(y, old, new, "")
    for name in ("nri_events", "nri_nonevents", "nri", "idi"):
        one, other = getattr(there, name), getattr(back, name)
        expected = (-one.value, -one.high, -one.low, one.p)
        assert (other.value, other.low, other.high, other.p) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_the_same_model_reclassifies_nobody():
    y, p = np.arange(20) % 2, np.linspace(0.1, 0.9, 20)
    found = reclassification(y, p + 1e-15, p, "")
    for difference in (found.nri_events, found.nri_nonevents, found.nri):
        assert difference == Difference(0.0, 0.0, 0.0, 1.0)
    assert found.idi.value == pytest.approx(0, abs=1e-14) and found.idi.p == 1.0


def test_class_that_moves_as_one_has_no_interval():
    y = np.array([1, 1, 1, 0, 0, 0])
    old = np.full(6, 0.5)
    found = reclassification(y, old + [0.1, 0.2, 0.3, -0.1, 0.1, -0.2], old, "")
    assert found.nri_events.value == 1 and math.isnan(found.nri_events.p)
    assert found.nri.value == pytest.approx(4 / 3) and math.isnan(found.nri.low) and math.isnan(found.nri.p)
    assert 0 < found.idi.p < 1


def test_reclassification_needs_both_classes():
    with pytest.raises(InputError, match="both classes"):
        reclassification([0, 0], [0.1, 0.2], [0.2, 0.1], "clinical")
