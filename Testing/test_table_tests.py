"""Tests of tables of counts against SciPy, by hand, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.table_tests import (
    CHI_SQUARE,
    FISHER,
    FREEMAN_HALTON,
    YATES,
    checked_counts,
    chi_square,
    choose_test,
    expected_counts,
    fisher_exact,
    freeman_halton,
    yates,
)

TABLES = ([[15, 40], [21, 109]], [[4, 19], [16, 70], [13, 45], [3, 15]], [[10, 20, 5], [3, 8, 30]], [[1, 2], [3, 4]])


@pytest.mark.parametrize("table", TABLES)
def test_chi_square_of_scipy(table):
    test, (statistic, p, df, expected) = chi_square(table), chi2_contingency(table, correction=False)
    assert (test.name, test.df) == (CHI_SQUARE, df)
    assert (test.statistic, test.p) == pytest.approx((statistic, p))
    assert expected_counts(table) == pytest.approx(expected)


@pytest.mark.parametrize("table", [[[15, 40], [21, 109]], [[1, 2], [3, 4]], [[10, 10], [10, 11]], [[5, 0], [0, 7]]])
def test_yates_of_scipy(table):
    test, (statistic, p, df, _) = yates(table), chi2_contingency(table, correction=True)
    assert (test.name, test.df) == (YATES, df)
    assert (test.statistic, test.p) == pytest.approx((statistic, p))


def test_chi_square_by_hand():
    # n (ad - bc)² over the product of the four margins: 185 · (15·109 - 40·21)² / (55 · 130 · 36 · 149).
    assert chi_square([[15, 40], [21, 109]]).statistic == pytest.approx(185 * 795**2 / (55 * 130 * 36 * 149))


def test_choice_by_expected_and_not_observed_counts():
    # Expected 5 exactly in the first column: still the chi-square test, although a count is 2.
    assert choose_test([[2, 28], [8, 22]]).name == CHI_SQUARE
    assert choose_test([[2, 27], [8, 23]]).name == FISHER
    assert choose_test([[4, 19], [16, 70], [13, 45], [3, 15]]).name == FREEMAN_HALTON
    exact = choose_test([[2, 27], [8, 23]])
    assert math.isnan(exact.statistic) and exact.df == 0 and exact.note == ""
    assert exact.p == fisher_exact([[2, 27], [8, 23]]).p


def test_a_table_of_two_groups_is_fishers_under_either_name():
    assert freeman_halton([[2, 27], [8, 23]]).name == FISHER
    assert freeman_halton([[2, 27], [8, 23]]).p == fisher_exact([[2, 27], [8, 23]]).p


def test_empty_rows_and_columns_are_left_out_and_named():
    test = choose_test([[15, 40, 0], [0, 0, 0], [21, 109, 0]])
    assert (test.name, test.df) == (CHI_SQUARE, 1)
    assert test.p == pytest.approx(chi_square([[15, 40], [21, 109]]).p)
    assert test.note == "1 row without counts left out; 1 column without counts left out"
    assert "1 row without" in chi_square([[4, 9], [0, 0], [8, 3]]).note
    assert "1 row without" in freeman_halton([[4, 9], [0, 0], [8, 3]]).note


def test_random_tables_are_named_with_their_error():
    note = freeman_halton(np.full((6, 6), 5)).note
    assert note.startswith("Monte Carlo, 100,000 tables, standard error of p ")


@pytest.mark.parametrize(
    "table, words",
    [
        ([[1, -2], [3, 4]], "entry -2"),
        ([[1, 2.5], [3, 4]], "entry 2.5"),
        ([[1, math.nan], [3, 4]], "entry nan"),
        ([[1, math.inf], [3, 4]], "entry inf"),
        ([[1, None], [3, 4]], "no count"),
        ([["a", 2], [3, 4]], "no number"),
        ([[1, 2], [3]], "no number"),
        ([1, 2], "no table"),
        ([], "no table"),
        ([[0, 0], [0, 0]], "all counts are zero"),
        ([[10**6, 2], [3, 4]], "1,000,000"),
        ([[1, 2], [0, 0]], "cases in 1 row and 2 columns"),
        ([[1, 0], [2, 0]], "cases in 2 rows and 1 column"),
    ],
)
def test_refusals_are_one_line(table, words):
    for test in (chi_square, freeman_halton, choose_test):
        with pytest.raises(InputError) as caught:
            test(table)
        assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("test", [yates, fisher_exact])
def test_two_by_two_only(test):
    with pytest.raises(InputError, match="3 by 2"):
        test([[1, 2], [3, 4], [5, 6]])


def test_whole_numbers_of_any_type_are_counts():
    for table in (np.array([[1.0, 2.0], [3.0, 4.0]]), [[True, 2], [3, 4]], np.array([["1", "2"], ["3", "4"]])):
        assert checked_counts(table).tolist() == [[1, 2], [3, 4]]
