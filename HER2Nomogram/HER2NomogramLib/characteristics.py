"""Characteristics of the cases with and without an outcome, as the first table of a clinical paper has them."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from scipy.stats import mannwhitneyu, shapiro, ttest_ind

from .report_numbers import p_phrase
from .table_tests import TableTest, choose_test
from .variable import Variable

WELCH = "Welch's t test"
MANN_WHITNEY = "Mann-Whitney U test"
NO_TEST = "No test"
# Shapiro-Wilk's test below this p rejects a normal distribution.
_NORMAL = 0.05
# The exact distribution of U is taken where a group has no more cases than this and no values are tied, and there are
# not too many pairs to list it quickly.
_SMALL_GROUP = 8
_MOST_PAIRS = 10_000


@dataclass(frozen=True)
class GroupSummary:
    """One variable in one group of cases.

    Attributes
    ----------
    n : int
        Cases whose value is known; the other figures are of these.
    mean, sd, median, q1, q3, minimum, maximum : float
        Of a number; NaN where there is none. The SD is that of a sample, and NaN for one case.
    counts : tuple of int
        Cases per level of a category.
    """

    n: int
    mean: float = math.nan
    sd: float = math.nan
    median: float = math.nan
    q1: float = math.nan
    q3: float = math.nan
    minimum: float = math.nan
    maximum: float = math.nan
    counts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Characteristic:
    """One variable by outcome.

    Attributes
    ----------
    variable : Variable
    groups : tuple of GroupSummary
        All cases, those without and those with the event.
    test : TableTest
        Of no difference between the groups.
    smd : float
        Standardized mean difference, with less without the event for numbers, not negative for categories; infinite
        where the groups differ and do not vary, NaN where a group has no values.
    skewed : bool
        Whether a number is to be described by median and quartiles.
    missing : tuple of int
        Cases whose value is not known, in the order of the groups.
    note : str
        What the choice of the test rests on.
    """

    variable: Variable
    groups: tuple[GroupSummary, GroupSummary, GroupSummary]
    test: TableTest
    smd: float
    skewed: bool
    missing: tuple[int, int, int]
    note: str = ""


def characterize(variable: Variable, y: np.ndarray) -> Characteristic:
    """Describe a variable in all cases and by outcome, and test whether the outcome groups differ.

    Numbers: Welch's t test where Shapiro-Wilk's test rejects a normal distribution in neither group, described by mean
    and SD; else the Mann-Whitney test, described by median and quartiles. The same where a group has fewer than three
    values or does not vary, because then there is nothing to judge normality by. Categories: the chi-square test, or
    the exact one where an expected count is below 5.

    Parameters
    ----------
    variable : Variable
        Of n_cases rows.
    y : np.ndarray of 0 and 1, shape (n_cases,)
    """
    y = np.asarray(y)
    rows = (np.ones(len(y), dtype=bool), y == 0, y == 1)
    values = tuple(variable.values[kept & variable.known] for kept in rows)
    missing = tuple(int((kept & ~variable.known).sum()) for kept in rows)
    if variable.levels:
        groups = tuple(_counted(group, len(variable.levels)) for group in values)
        without, with_ = (np.array(group.counts) for group in groups[1:])
        test = _test_of_counts(np.column_stack([with_, without]))
        return Characteristic(variable, groups, test, smd_of_categories(without, with_), False, missing)
    normal, note = _is_normal(*values[1:])
    test = (_welch if normal else _mann_whitney)(*values[1:])
    groups = tuple(_summarized(group) for group in values)
    return Characteristic(variable, groups, test, smd_of_numbers(*values[1:]), not normal, missing, note)


def smd_of_numbers(without: np.ndarray, with_: np.ndarray) -> float:
    """Difference of the means in units of the pooled standard deviation (Austin, Stat Med 2009;28:3083).

    The pooled variance is the mean of the two. Infinite where neither group varies and they differ; NaN where a group
    has fewer than two values.
    """
    if min(len(without), len(with_)) < 2:
        return math.nan
    difference = float(with_.mean() - without.mean())
    # By the range, because the SD of equal numbers may differ from zero by rounding.
    if np.ptp(without) == 0 and np.ptp(with_) == 0:
        return 0.0 if with_[0] == without[0] else math.copysign(math.inf, difference)
    return difference / math.sqrt((without.var(ddof=1) + with_.var(ddof=1)) / 2)


def smd_of_categories(without: np.ndarray, with_: np.ndarray) -> float:
    """Standardized difference of two sets of shares (Yang and Dalton, SAS Global Forum 2012, paper 335).

    It is the Mahalanobis distance of the shares of all levels but one, by the mean of their multinomial covariances;
    which level is left out makes no difference.

    Parameters
    ----------
    without, with_ : np.ndarray of int, shape (n_levels,)
        Cases per level.

    Returns
    -------
    float
        Zero or more; infinite where the groups have levels that differ for certain, NaN where a group has no cases.
    """
    if not without.sum() or not with_.sum():
        return math.nan
    found = (without + with_) > 0
    p, q = (counts[found][1:] / counts.sum() for counts in (with_, without))
    difference = p - q
    covariance = sum(np.diag(share) - np.outer(share, share) for share in (p, q)) / 2
    # A combination of levels that varies in neither group has no variance to divide by.
    variances, axes = np.linalg.eigh(covariance)
    along = axes.T @ difference
    varies = variances > 1e-12
    if (np.abs(along[~varies]) > 1e-9).any():
        return math.inf
    return float(np.sqrt((along[varies] ** 2 / variances[varies]).sum()))


def _counted(values: np.ndarray, n_levels: int) -> GroupSummary:
    counts = np.bincount(values.astype(int), minlength=n_levels)
    return GroupSummary(len(values), counts=tuple(counts.tolist()))


def _summarized(values: np.ndarray) -> GroupSummary:
    if not len(values):
        return GroupSummary(0)
    sd = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    quartiles = (float(q) for q in np.percentile(values, (50, 25, 75)))
    return GroupSummary(len(values), float(values.mean()), sd, *quartiles, float(values.min()), float(values.max()))


def _test_of_counts(table: np.ndarray) -> TableTest:
    """The test of a category, or a reason why there is none."""
    levels, groups = (table.sum(axis=axis) > 0 for axis in (1, 0))
    if groups.sum() < 2:
        return _no_test("a group has no values")
    if levels.sum() < 2:
        return _no_test("all cases have the same value")
    return choose_test(table)


def _is_normal(without: np.ndarray, with_: np.ndarray) -> tuple[bool, str]:
    """Whether normal distributions are plausible in both groups, and what says so."""
    if min(len(without), len(with_)) < 3:
        return False, "fewer than three values in a group"
    if np.ptp(without) == 0 or np.ptp(with_) == 0:
        return False, "no variation in a group"
    with warnings.catch_warnings():
        # Beyond 5,000 values p is approximate, and below 0.05 for anything that is measured.
        warnings.simplefilter("ignore")
        p = [float(shapiro(values - values.mean()).pvalue) for values in (without, with_)]
    note = f"Shapiro-Wilk {p_phrase(p[0])} without and {p_phrase(p[1])} with the event"
    return min(p) >= _NORMAL, note


def _welch(without: np.ndarray, with_: np.ndarray) -> TableTest:
    result = ttest_ind(with_, without, equal_var=False)
    return TableTest(WELCH, float(result.statistic), float(result.df), float(result.pvalue))


def _mann_whitney(without: np.ndarray, with_: np.ndarray) -> TableTest:
    """Mann-Whitney's test; U counts the pairs in which the case with the event has the higher value, ties half."""
    if not len(without) or not len(with_):
        return _no_test("a group has no values")
    together = np.concatenate([without, with_])
    if np.ptp(together) == 0:
        return TableTest(MANN_WHITNEY, len(without) * len(with_) / 2, 0, 1.0, "all cases have the same value")
    tied = len(np.unique(together)) < len(together)
    few = min(len(without), len(with_)) <= _SMALL_GROUP and len(without) * len(with_) <= _MOST_PAIRS
    exact = few and not tied
    result = mannwhitneyu(with_, without, alternative="two-sided", method="exact" if exact else "asymptotic")
    return TableTest(
        MANN_WHITNEY, float(result.statistic), 0, float(result.pvalue), "exact distribution of U" if exact else ""
    )


def _no_test(why: str) -> TableTest:
    return TableTest(NO_TEST, math.nan, 0, math.nan, why)
