"""Area under the ROC curve against definitions written out here, and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.validation import roc_auc, roc_points, youden_cutoff

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
    assert auc.area == pytest.approx(area, abs=1e-12)
    if 0 < area < 1 and variance > 1e-12:
        # The delta method on the log odds of the area.
        half_width = Z * math.sqrt(variance) / (area * (1 - area))
        bounds = [1 / (1 + math.exp(-(math.log(area / (1 - area)) + sign * half_width))) for sign in (-1, 1)]
        assert (auc.low, auc.high) == pytest.approx(bounds, abs=1e-10)


@settings(max_examples=200, deadline=None)
@given(outcomes_and_scores())
def test_area_of_scikit_learn(case):
    from sklearn.metrics import roc_auc_score

    assert roc_auc(*case).area == pytest.approx(roc_auc_score(*case), abs=1e-12)


@settings(max_examples=300, deadline=None)
@given(outcomes_and_scores(), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_interval_holds_the_area_and_stays_within_0_and_1(case, level):
    auc = roc_auc(*case, level=level)
    assert 0 <= auc.low <= auc.area <= auc.high <= 1
    # It says something less than certain, even where the classes separate.
    assert auc.low < auc.high


@given(outcomes_and_scores())
def test_reversed_scores_mirror_area_and_interval(case):
    y, score = case
    auc, mirrored = roc_auc(y, score), roc_auc(y, -score)
    assert (mirrored.area, mirrored.low, mirrored.high) == pytest.approx((1 - auc.area, 1 - auc.high, 1 - auc.low))


def test_order_of_cases_and_monotone_transformation_do_not_matter():
    rng = np.random.default_rng(1)
    y, score = rng.integers(0, 2, 60), rng.normal(size=60)
    order = rng.permutation(60)
    assert roc_auc(y[order], np.exp(score[order])).area == roc_auc(y, score).area


def test_known_example():
    # 3 positive and 4 negative cases, one of the 12 pairs wrong and one tied.
    auc = roc_auc([1, 1, 1, 0, 0, 0, 0], [0.9, 0.8, 0.4, 0.7, 0.4, 0.2, 0.1])
    assert auc.area == pytest.approx((12 - 1.5) / 12)
    # Placements 1, 1, 0.625 and 2/3, 0.8333, 1, 1: variance 0.046875 / 3 + 0.025463 / 4, so 1.946 +- 2.657 on log odds.
    assert auc.low == pytest.approx(0.3293, abs=1e-4) and auc.high == pytest.approx(0.9901, abs=1e-4)


@pytest.mark.parametrize(("m", "n"), [(5, 5), (7, 18), (28, 56)])
def test_separated_classes_have_the_exact_binomial_bound(m, n):
    y = np.array([1] * m + [0] * n)
    auc = roc_auc(y, y)
    assert (auc.area, auc.high) == (1.0, 1.0)
    # The success rate at which all of min(m, n) trials succeed with probability 2.5%.
    assert auc.low ** min(m, n) == pytest.approx(0.025)
    worst = roc_auc(y, -y)
    assert (worst.area, worst.low) == (0.0, 0.0) and worst.high == pytest.approx(1 - auc.low)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 3), (10, 10), (40, 60)])
def test_score_that_ties_all_cases_says_nothing(m, n):
    auc = roc_auc([1] * m + [0] * n, [0.3] * (m + n))
    assert (auc.area, auc.low, auc.high) == (0.5, 0.0, 1.0)


def test_smaller_level_has_a_narrower_interval():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 50)
    score = y + rng.normal(size=50)
    wide, narrow = roc_auc(y, score), roc_auc(y, score, level=0.5)
    assert wide.low < narrow.low < narrow.area < narrow.high < wide.high


@pytest.mark.parametrize("y", [[1, 1, 1], [0, 0, 0], []])
def test_one_class_has_no_curve(y):
    with pytest.raises(InputError, match="both classes"):
        roc_auc(y, [0.1, 0.2, 0.3][: len(y)])


def test_outcomes_may_be_boolean_and_lists():
    assert roc_auc([True, False], [2, 1]).area == 1.0
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
    assert np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2) == pytest.approx(roc_auc(y, score).area)


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
