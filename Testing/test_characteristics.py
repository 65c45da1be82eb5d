"""Characteristics by outcome against SciPy, tableone and numbers by hand."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, shapiro, ttest_ind

from HER2NomogramLib.characteristics import (
    MANN_WHITNEY,
    NO_TEST,
    WELCH,
    characterize,
    smd_of_categories,
    smd_of_numbers,
)
from HER2NomogramLib.clinical import Factor
from HER2NomogramLib.table_tests import CHI_SQUARE, FISHER, FREEMAN_HALTON, choose_test
from HER2NomogramLib.variable import Variable

NAN = math.nan


def numbers(*values: float) -> Variable:
    return Variable(Factor("age", (), "Age", "years"), np.array(values, dtype=float), frozenset({"age"}))


def category(values, levels=("no", "yes")) -> Variable:
    return Variable(Factor("factor", levels), np.array(values, dtype=float), frozenset({"factor"}))


def outcome(without: int, with_: int) -> np.ndarray:
    return np.array([0] * without + [1] * with_)


@pytest.fixture
def normal():
    rng = np.random.default_rng(5)
    return rng.normal(55, 9, 40), rng.normal(60, 14, 25)


def test_normal_numbers_by_welch(normal):
    without, with_ = normal
    found = characterize(numbers(*without, *with_), outcome(40, 25))
    expected = ttest_ind(with_, without, equal_var=False)
    assert found.test.name == WELCH and not found.skewed
    assert (found.test.statistic, found.test.df, found.test.p) == pytest.approx(
        (expected.statistic, expected.df, expected.pvalue)
    )
    # The degrees of freedom of Welch and Satterthwaite, by hand.
    a, b = without.var(ddof=1) / 40, with_.var(ddof=1) / 25
    assert found.test.df == pytest.approx((a + b) ** 2 / (a**2 / 39 + b**2 / 24))
    assert found.note.startswith("Shapiro-Wilk p ")


@pytest.mark.parametrize("skewed_group", [0, 1])
def test_one_skewed_group_is_enough_for_mann_whitney(normal, skewed_group):
    groups = list(normal)
    groups[skewed_group] = np.exp(groups[skewed_group] / 8)
    assert shapiro(groups[skewed_group]).pvalue < 0.05 <= shapiro(groups[1 - skewed_group]).pvalue
    found = characterize(numbers(*groups[0], *groups[1]), outcome(40, 25))
    expected = mannwhitneyu(groups[1], groups[0], method="asymptotic")
    assert found.test.name == MANN_WHITNEY and found.skewed and found.test.df == 0
    assert (found.test.statistic, found.test.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_u_by_hand():
    # Pairs in which the case with the event is higher: 3 beats 1 and 2, 10 beats all three, so 5 of 6.
    found = characterize(numbers(1, 2, 9, 3, 10), outcome(3, 2))
    assert found.test.statistic == 5 and found.test.note == "exact distribution of U"
    # Of the 10 ways to choose two ranks of five, two have U of 5 or 6, and as many 0 or 1.
    assert found.test.p == pytest.approx(4 / 10)
    assert found.note == "fewer than three values in a group"


def test_small_groups_with_ties_are_not_exact():
    found = characterize(numbers(1, 2, 2, 2, 10), outcome(3, 2))
    assert found.test.note == "" and found.test.p == pytest.approx(mannwhitneyu([2, 10], [1, 2, 2]).pvalue)


def test_summaries_by_hand():
    found = characterize(numbers(1, 2, 3, 10, NAN, 4, 6), outcome(5, 2))
    everyone, without, with_ = found.groups
    assert (everyone.n, without.n, with_.n) == (6, 4, 2) and found.missing == (1, 1, 0)
    assert (without.mean, without.median, without.minimum, without.maximum) == (4, 2.5, 1, 10)
    assert without.sd == pytest.approx(math.sqrt((9 + 4 + 1 + 36) / 3))
    assert (without.q1, without.q3) == (1.75, 4.75)
    assert (with_.mean, with_.sd) == pytest.approx((5, math.sqrt(2))) and without.counts == ()


def test_categories_take_the_test_of_their_table():
    values, y = [1] * 15 + [0] * 40 + [1] * 21 + [0] * 109, np.repeat([1, 0], [55, 130])
    found = characterize(category(values), y)
    assert found.test.name == CHI_SQUARE and found.test.p == pytest.approx(0.0808, abs=5e-5)
    assert [group.counts for group in found.groups] == [(149, 36), (109, 21), (40, 15)]
    p, q = 15 / 55, 21 / 130
    assert found.smd == pytest.approx(abs(p - q) / math.sqrt((p * (1 - p) + q * (1 - q)) / 2))
    few = characterize(category([0, 0, 0, 1, 1, 1, 0, 1]), outcome(4, 4))
    assert few.test.name == FISHER and not few.skewed
    three = characterize(category([0, 1, 2, 0, 1, 2, 2, 2], ("A", "B", "C")), outcome(4, 4))
    assert three.test.name == FREEMAN_HALTON
    assert three.test.p == pytest.approx(choose_test([[0, 2], [1, 1], [3, 1]]).p)


def test_missing_categories_and_levels_that_nobody_has():
    found = characterize(category([0, 1, NAN, 3, 0, 3, NAN, NAN], ("A", "B", "C", "D")), outcome(4, 4))
    assert found.missing == (3, 1, 2) and found.groups[0].counts == (2, 1, 0, 2) and found.groups[2].n == 2
    assert found.test.note == "1 row without counts left out" and math.isfinite(found.smd)


@pytest.mark.parametrize(
    "variable, y, why",
    [
        (numbers(1, 2, 3), outcome(3, 0), "a group has no values"),
        (numbers(1, 2, NAN, NAN), outcome(2, 2), "a group has no values"),
        (numbers(NAN, NAN), outcome(1, 1), "a group has no values"),
        (category([0, 1, NAN]), outcome(2, 1), "a group has no values"),
        (category([1, 1, 1, 1]), outcome(2, 2), "all cases have the same value"),
    ],
)
def test_no_test_where_there_is_nothing_to_compare(variable, y, why):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = characterize(variable, y)
    assert found.test.name == NO_TEST and math.isnan(found.test.p) and found.test.note == why
    assert math.isnan(found.smd) or found.smd == 0


def test_constant_columns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = characterize(numbers(*[0.1] * 7), outcome(4, 3))
        apart = characterize(numbers(*[0.1] * 4, *[0.3] * 3), outcome(4, 3))
        one = characterize(numbers(5, 5, 5, 5, 1, 2, 4), outcome(4, 3))
    assert (same.test.p, same.smd, same.test.statistic) == (1, 0, 6)
    assert apart.smd == math.inf and apart.test.p < 0.1 and apart.skewed
    assert one.test.name == MANN_WHITNEY and -5 < one.smd < 0 and one.note == "no variation in a group"
    assert smd_of_numbers(np.array([3.0, 3.0]), np.array([1.0, 1.0])) == -math.inf
    assert math.isnan(smd_of_numbers(np.array([3.0, 4.0]), np.array([1.0])))


def test_thousands_of_values_make_no_noise():
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = characterize(numbers(*rng.exponential(size=6000), 3, 1, 2, 7), outcome(6000, 4))
    assert found.test.name == MANN_WHITNEY and found.test.note == ""


def test_smd_of_numbers_does_not_depend_on_units_and_has_a_sign(normal):
    without, with_ = normal
    smd = smd_of_numbers(without, with_)
    assert smd == pytest.approx(
        (with_.mean() - without.mean()) / math.sqrt((with_.var(ddof=1) + without.var(ddof=1)) / 2)
    )
    assert smd_of_numbers(10 * without - 3, 10 * with_ - 3) == pytest.approx(smd)
    assert smd_of_numbers(with_, without) == pytest.approx(-smd)


def test_smd_of_tableone(normal):
    pd, tableone = pytest.importorskip("pandas"), pytest.importorskip("tableone")
    rng = np.random.default_rng(1)
    values, levels, y = np.concatenate(normal), rng.integers(0, 4, 65), outcome(40, 25)
    frame = pd.DataFrame({"age": values, "density": np.array(list("ABCD"))[levels], "y": y})
    table = tableone.TableOne(frame, ["age", "density"], categorical=["density"], groupby="y", smd=True).smd_table
    printed = [float(text) for text in table.iloc[:, 0]]
    found = characterize(numbers(*values), y).smd, characterize(category(levels, tuple("ABCD")), y).smd
    assert sorted(printed) == pytest.approx(sorted(found), abs=6e-4)


level_counts = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=5)


@settings(max_examples=200, deadline=None)
@given(level_counts, st.randoms())
def test_smd_of_categories_does_not_depend_on_the_order_of_levels_and_groups(cells, random):
    shuffled = cells.copy()
    random.shuffle(shuffled)
    values = [smd_of_categories(*np.array(c).T) for c in (cells, shuffled)]
    values.append(smd_of_categories(*np.array(cells).T[::-1]))
    if math.isnan(values[0]):
        assert not all(sum(column) for column in zip(*cells)) and all(map(math.isnan, values))
    else:
        assert values[0] >= 0 and values == pytest.approx([values[0]] * 3, rel=1e-6, abs=1e-6)


def test_smd_of_categories_that_do_not_vary():
    assert smd_of_categories(np.array([5, 0]), np.array([3, 0])) == 0
    assert smd_of_categories(np.array([5, 0]), np.array([0, 3])) == math.inf
    assert smd_of_categories(np.array([5, 0, 0]), np.array([0, 2, 4])) == math.inf
    # Levels that differ for certain in none of their sums: a finite distance.
    assert math.isfinite(smd_of_categories(np.array([5, 3, 0]), np.array([0, 2, 4])))
    assert math.isnan(smd_of_categories(np.array([0, 0]), np.array([1, 2])))


def test_birth_weights(shared_data):
    """Mothers' weight, smoking and race by low birth weight: real columns with known tests."""
    pd = pytest.importorskip("pandas")
    data = pd.read_csv(shared_data / "tab_birthwt" / "birthwt.csv")
    y = data["low"].to_numpy()
    weight = characterize(numbers(*data["lwt"]), y)
    assert weight.skewed and weight.test.p == pytest.approx(
        mannwhitneyu(data["lwt"][y == 1], data["lwt"][y == 0], method="asymptotic").pvalue
    )
    smoke = characterize(category(data["smoke"]), y)
    assert smoke.test.statistic == pytest.approx(4.924, abs=5e-4) and smoke.test.p == pytest.approx(0.02649, abs=5e-5)
    race = characterize(category(data["race"] - 1, ("white", "black", "other")), y)
    assert (race.test.df, race.test.p) == (2, pytest.approx(0.0819, abs=5e-5))
