"""Exact tests against a count of all tables in whole numbers, against SciPy, and against numbers that R prints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact as scipy_fisher
from scipy.stats.contingency import odds_ratio as scipy_odds_ratio

from HER2NomogramLib import exact_tests
from HER2NomogramLib.exact_tests import conditional_odds_ratio, fisher_one_sided, fisher_p, freeman_halton_p


def compositions(total: int, columns: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if len(columns) == 1:
        if total <= columns[0]:
            yield (total,)
        return
    for first in range(min(total, columns[0]) + 1):
        for rest in compositions(total - first, columns[1:]):
            yield (first, *rest)


def all_tables(rows: tuple[int, ...], columns: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], ...]]:
    if not rows:
        yield ()
        return
    for row in compositions(rows[0], columns):
        for rest in all_tables(rows[1:], tuple(c - x for c, x in zip(columns, row))):
            yield (row, *rest)


def p_of_all_tables(table: np.ndarray) -> float:
    """By the definition, with fractions: no rounding, so a tie is a tie."""
    rows, columns = tuple(table.sum(axis=1).tolist()), tuple(table.sum(axis=0).tolist())

    def weight(cells) -> Fraction:
        return Fraction(1, math.prod(math.factorial(cell) for row in cells for cell in row))

    observed = weight(table.tolist())
    weights = [weight(cells) for cells in all_tables(rows, columns)]
    return float(sum(w for w in weights if w <= observed) / sum(weights))


def tables(n_rows: int, n_columns: int, largest: int):
    counts = st.lists(st.integers(0, largest), min_size=n_rows * n_columns, max_size=n_rows * n_columns)
    reshaped = counts.map(lambda cells: np.array(cells).reshape(n_rows, n_columns))
    return reshaped.filter(lambda table: table.sum(axis=0).all() and table.sum(axis=1).all())


@settings(max_examples=200, deadline=None)
@given(tables(2, 2, 12))
def test_fisher_by_the_definition(table):
    assert fisher_p(table) == pytest.approx(p_of_all_tables(table), abs=1e-12)
    assert fisher_p(table) == pytest.approx(freeman_halton_p(table)[0], abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(tables(2, 2, 60))
def test_fisher_of_scipy(table):
    assert fisher_p(table) == pytest.approx(scipy_fisher(table).pvalue, abs=1e-10)
    sides = [scipy_fisher(table, side).pvalue for side in ("less", "greater")]
    assert fisher_one_sided(table) == pytest.approx(min(sides), abs=1e-10)


@settings(max_examples=60, deadline=None)
@given(st.one_of(tables(3, 2, 6), tables(2, 4, 4), tables(3, 3, 3), tables(5, 2, 3)))
def test_freeman_halton_by_the_definition(table):
    p, error = freeman_halton_p(table)
    assert error is None
    assert p == pytest.approx(p_of_all_tables(table), abs=1e-11)
    assert freeman_halton_p(table.T)[0] == pytest.approx(p, abs=1e-11)


def test_tables_of_the_same_probability_count_as_ties():
    # Both ends of a symmetric table are equally probable, whatever the rounding: 2 · 1/C(2n, n).
    for n in (5, 30, 100):
        assert fisher_p(np.diag([n, n])) == pytest.approx(2 / math.comb(2 * n, n), rel=1e-9)
        assert freeman_halton_p(np.diag([n, n]))[0] == pytest.approx(2 / math.comb(2 * n, n), rel=1e-9)
    # Three groups of one kind each: 3! tables, all as improbable as each other.
    total = math.factorial(12) // math.factorial(4) ** 3
    assert freeman_halton_p(np.diag([4, 4, 4]))[0] == pytest.approx(6 / total, rel=1e-9)


def test_numbers_that_r_prints():
    # The examples of R's fisher.test: Fisher's tea drinker, convictions of twins, job satisfaction (Agresti).
    assert fisher_p(np.array([[3, 1], [1, 3]])) == pytest.approx(0.4857, abs=5e-5)
    assert fisher_p(np.array([[2, 15], [10, 3]])) == pytest.approx(0.0005367, abs=5e-8)
    job = np.array([[1, 2, 1, 0], [3, 3, 6, 1], [10, 10, 14, 9], [6, 7, 12, 11]])
    assert freeman_halton_p(job) == (pytest.approx(0.7827, abs=5e-5), None)
    assert conditional_odds_ratio(np.array([[3, 1], [1, 3]]))[0] == pytest.approx(6.408309, abs=2e-5)
    # Its bounds are rougher: they come from a root that is searched to 1e-4.
    assert conditional_odds_ratio(np.array([[2, 15], [10, 3]])) == pytest.approx(
        (0.046937, 0.003326, 0.36318), rel=5e-3
    )


@settings(max_examples=100, deadline=None)
@given(tables(2, 2, 25))
def test_conditional_odds_ratio_of_scipy(table):
    estimate = scipy_odds_ratio(table, kind="conditional")
    bounds = estimate.confidence_interval(0.95)
    expected = (estimate.statistic, bounds.low, bounds.high)
    assert conditional_odds_ratio(table) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("table", [[[0, 5], [7, 3]], [[6, 0], [2, 9]], [[5, 0], [0, 7]], [[15, 40], [21, 109]]])
def test_exact_bounds_leave_the_tails_that_they_promise(table):
    """At the lower bound the observed count or more has probability 2.5%, at the upper bound the observed or less."""
    (a, b), (c, d) = table
    value, low, high = conditional_odds_ratio(np.array(table))

    def probabilities(ratio: float) -> dict[int, float]:
        counts = range(max(0, a - d), min(a + b, a + c) + 1)
        weights = {x: math.comb(a + b, x) * math.comb(c + d, a + c - x) * ratio**x for x in counts}
        return {x: weight / sum(weights.values()) for x, weight in weights.items()}

    if math.isfinite(high):
        assert sum(p for x, p in probabilities(high).items() if x <= a) == pytest.approx(0.025, abs=1e-8)
    if low > 0:
        assert sum(p for x, p in probabilities(low).items() if x >= a) == pytest.approx(0.025, abs=1e-8)
    if 0 < value < math.inf:
        assert sum(x * p for x, p in probabilities(value).items()) == pytest.approx(a, abs=1e-8)
    assert low <= value <= high and (low > 0 or high < math.inf)


def test_five_groups_of_forty_take_no_time():
    table = np.array([[12, 28], [20, 20], [9, 31], [17, 23], [14, 26]])
    p, error = freeman_halton_p(table)
    chi_square = ((table - 40 * table.sum(axis=0) / 200) ** 2 / (40 * table.sum(axis=0) / 200)).sum()
    # In counts of this size the chi-square distribution is a good description.
    from scipy.stats import chi2

    assert error is None and p == pytest.approx(chi2.sf(chi_square, 4), abs=0.01)


def test_random_tables_agree_with_the_exact_p_and_repeat(monkeypatch):
    table = np.array([[4, 9, 6], [8, 3, 5], [2, 7, 9]])
    exact, none = freeman_halton_p(table)
    monkeypatch.setattr(exact_tests, "MOST_FILLINGS", 10)
    drawn, error = freeman_halton_p(table)
    assert none is None and 0 < error < 0.002
    assert drawn != exact and abs(drawn - exact) < 4 * error
    assert freeman_halton_p(table) == (drawn, error)


def test_large_tables_are_drawn_and_never_zero():
    p, error = freeman_halton_p(np.diag([50] * 6) + 1)
    assert p == pytest.approx(1 / 100_001) and error > 0


def test_small_p_keeps_its_digits():
    table = np.diag([60, 60])
    assert fisher_p(table) == pytest.approx(2 / math.comb(120, 60), rel=1e-9)
    three = np.array([[60, 0], [0, 60], [0, 60]])
    # The observed table is the least probable one with these margins, and so are none but the two of its kind.
    assert freeman_halton_p(three)[0] == pytest.approx(3 / math.comb(180, 60), rel=1e-9)
