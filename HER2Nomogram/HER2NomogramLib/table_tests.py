"""Tests of no association in tables of counts: chi-square, Fisher, Fisher-Freeman-Halton, and the choice among them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from .errors import InputError
from .exact_tests import DRAWS, fisher_p, freeman_halton_p
from .report_numbers import counted

CHI_SQUARE = "Chi-square test"
YATES = "Chi-square test with Yates' correction"
FISHER = "Fisher's exact test"
FREEMAN_HALTON = "Fisher-Freeman-Halton exact test"
# No study counts more; exact tests list as many tables as the smallest margin has.
LARGEST_TOTAL = 1_000_000
# Below this expected count the chi-square distribution is a poor description, and the exact test takes its place.
SMALLEST_EXPECTED = 5


@dataclass(frozen=True)
class TableTest:
    """A test of no association.

    Attributes
    ----------
    name : str
    statistic : float
        NaN for an exact test.
    df : float
        Degrees of freedom; 0 for an exact test and a rank test.
    p : float
        Two-sided.
    note : str
        What the reader of the p-value has to know besides.
    """

    name: str
    statistic: float
    df: float
    p: float
    note: str = ""


def expected_counts(table: np.ndarray) -> np.ndarray:
    """Counts that are expected where rows and columns are not associated; of the shape of the table."""
    table = checked_counts(table)
    return np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()


def chi_square(table: np.ndarray) -> TableTest:
    """Pearson's chi-square test, without correction for continuity."""
    table, note = without_empty(checked_counts(table))
    expected = expected_counts(table)
    return _chi_square(CHI_SQUARE, ((table - expected) ** 2 / expected).sum(), table, note)


def yates(table: np.ndarray) -> TableTest:
    """Chi-square test of a two by two table with Yates' correction for continuity."""
    table = two_by_two(table)
    table, note = without_empty(table)
    expected = expected_counts(table)
    # The correction brings a count to its expectation, not past it.
    distance = np.maximum(np.abs(table - expected) - 0.5, 0)
    return _chi_square(YATES, (distance**2 / expected).sum(), table, note)


def fisher_exact(table: np.ndarray) -> TableTest:
    """Fisher's exact test of a two by two table, two-sided: all tables that are no more probable than this one."""
    table, note = without_empty(two_by_two(table))
    return TableTest(FISHER, math.nan, 0, fisher_p(table), note)


def freeman_halton(table: np.ndarray) -> TableTest:
    """Fisher's exact test for tables of any size (Freeman and Halton, Biometrika 1951;38:141).

    Exact wherever the work can be done in seconds, as for two columns, six rows and several hundred cases. Else from
    random tables with a fixed seed, and the note gives the standard error of p.
    """
    table, note = without_empty(checked_counts(table))
    if table.shape == (2, 2):
        return TableTest(FISHER, math.nan, 0, fisher_p(table), note)
    p, error = freeman_halton_p(table)
    drawn = f"Monte Carlo, {DRAWS:,} tables, standard error of p {error:.1g}" if error is not None else ""
    return TableTest(FREEMAN_HALTON, math.nan, 0, p, "; ".join(text for text in (note, drawn) if text))


def choose_test(table: np.ndarray) -> TableTest:
    """The chi-square test, or the exact one where an expected count is below 5.

    Groups and columns without counts are left out, and the note says so.

    Raises
    ------
    InputError
        Where the table is none of counts, or fewer than two groups or two columns are left.
    """
    table, note = without_empty(checked_counts(table))
    if expected_counts(table).min() >= SMALLEST_EXPECTED:
        test = chi_square(table)
    else:
        test = fisher_exact(table) if table.shape == (2, 2) else freeman_halton(table)
    notes = [text for text in (note, test.note) if text]
    return TableTest(test.name, test.statistic, test.df, test.p, "; ".join(notes))


def checked_counts(table: np.ndarray, what: str = "The table of counts") -> np.ndarray:
    """The table as whole numbers, shape (n_rows, n_columns).

    Raises
    ------
    InputError
        Where it is no table, or an entry is missing, negative, no whole number or too large, or all are zero.
    """
    try:
        given = np.asarray(table, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{what} has an entry that is no number: give whole numbers of cases.") from None
    if given.ndim != 2 or not given.size:
        raise InputError(f"{what} is no table: give rows with the same number of counts.")
    wrong = given[~(np.isfinite(given) & (given >= 0) & (given == np.floor(given)))]
    if len(wrong):
        raise InputError(f"{what} has the entry {wrong[0]:g}, which is no count: give whole numbers from zero on.")
    if given.sum() > LARGEST_TOTAL:
        raise InputError(f"{what} has more than {LARGEST_TOTAL:,} cases in all: give the numbers of cases.")
    if not given.sum():
        raise InputError(f"{what} has no cases: all counts are zero.")
    return given.astype(np.int64)


def two_by_two(table: np.ndarray) -> np.ndarray:
    """The table as whole numbers.

    Raises
    ------
    InputError
        Where it is not one of two rows and two columns.
    """
    table = checked_counts(table)
    if table.shape != (2, 2):
        size = f"{table.shape[0]} by {table.shape[1]}"
        raise InputError(f"The table of counts is {size}: this figure is one of two groups with yes and no.")
    return table


def without_empty(table: np.ndarray) -> tuple[np.ndarray, str]:
    """The table without rows and columns that have no counts, and a note on how many there were.

    Raises
    ------
    InputError
        Where fewer than two rows or columns are left.
    """
    rows, columns = table.sum(axis=1) > 0, table.sum(axis=0) > 0
    if rows.sum() < 2 or columns.sum() < 2:
        raise InputError(
            f"The table of counts has cases in {counted(int(rows.sum()), 'row')} and "
            f"{counted(int(columns.sum()), 'column')}: a test needs two of each."
        )
    left_out = [
        f"{counted(int((~kept).sum()), name)} without counts left out"
        for kept, name in ((rows, "row"), (columns, "column"))
        if not kept.all()
    ]
    return table[rows][:, columns], "; ".join(left_out)


def _chi_square(name: str, statistic: float, table: np.ndarray, note: str) -> TableTest:
    df = (table.shape[0] - 1) * (table.shape[1] - 1)
    return TableTest(name, float(statistic), df, float(chi2.sf(statistic, df)), note)
