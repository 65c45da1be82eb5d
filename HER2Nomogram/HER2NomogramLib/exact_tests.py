"""Exact tests of tables with fixed margins: Fisher's for two by two, Freeman and Halton's for more rows or columns.

Both sum the probabilities of all tables that are no more probable than the one observed (Freeman and Halton, Biometrika
1951;38:141). Tables are not listed one by one: the rows are divided in two halves, the ways to fill each half are
listed, and a half is matched with what it leaves of the column totals to the other. So the work is about the square
root of the number of tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.signal import fftconvolve
from scipy.special import gammaln, logsumexp, softmax
from scipy.stats import random_table

# Tables as probable as the observed one may differ from it by rounding: what is within this relative distance is a tie.
_TIE = math.log1p(1e-7)
_LOG_TAIL = math.log(0.025)
# Ways to fill one half of a table that are listed at most; beyond, tables are drawn at random.
MOST_FILLINGS = 5_000_000
DRAWS = 100_000
_BATCH = 10_000


def fisher_p(table: np.ndarray) -> float:
    """Two-sided p of Fisher's exact test: all tables that are no more probable than the observed one."""
    log_p, observed = _hypergeometric(table)
    return min(1.0, float(np.exp(log_p[log_p <= log_p[observed] + _TIE]).sum()))


def fisher_one_sided(table: np.ndarray) -> float:
    """Smaller of the two one-sided p of Fisher's exact test."""
    log_p, observed = _hypergeometric(table)
    p = np.exp(log_p)
    return min(1.0, float(p[: observed + 1].sum()), float(p[observed:].sum()))


def conditional_odds_ratio(table: np.ndarray) -> tuple[float, float, float]:
    """Maximum likelihood odds ratio given the margins, and its exact 95% interval, 2.5% beyond each bound.

    Parameters
    ----------
    table : np.ndarray of int, shape (2, 2)
        Without empty rows and columns.
    """
    log_p, observed = _hypergeometric(table)
    x = np.arange(len(log_p)) - observed

    def tail(part: slice) -> Callable[[float], float]:
        return lambda log_ratio: float(logsumexp((log_p + x * log_ratio)[part]) - logsumexp(log_p + x * log_ratio))

    def mean(log_ratio: float) -> float:
        return float(softmax(log_p + x * log_ratio) @ x)

    (a, b), (c, d) = np.asarray(table, dtype=float) + 0.5
    start = math.log(a * d / (b * c))
    lowest, highest = observed == 0, observed == len(x) - 1
    low = 0.0 if lowest else _solved(lambda t: tail(slice(observed, None))(t) - _LOG_TAIL, start)
    high = math.inf if highest else _solved(lambda t: _LOG_TAIL - tail(slice(0, observed + 1))(t), start)
    value = 0.0 if lowest else math.inf if highest else _solved(mean, start)
    return value, low, high


def freeman_halton_p(table: np.ndarray) -> tuple[float, float | None]:
    """p of the exact test of a table, and its standard error where tables were drawn at random; else None.

    Parameters
    ----------
    table : np.ndarray of int, shape (n_rows, n_columns)
        Without empty rows and columns.
    """
    # The same test for the table on its side; few columns have few sums to keep apart.
    table = table if table.shape[0] >= table.shape[1] else table.T
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    halves = _halves(rows, columns)
    # Column sums are told apart by one whole number, which has to fit.
    if halves is None or math.prod(int(total) + 1 for total in columns) > 2**62:
        return _drawn(table)
    strides = np.concatenate([[1], np.cumprod(columns[:-1] + 1)])
    first, second = (_by_sums(*_fillings(half, columns), strides) for half in halves)
    constant = gammaln(rows + 1).sum() + gammaln(columns + 1).sum() - gammaln(table.sum() + 1)
    limit = _log_weight(table) + _TIE
    p = 0.0
    for sums, weights in first.items():
        others, largest, cumulative = _cumulated(second[int(columns @ strides) - sums])
        reached = np.searchsorted(others, limit - weights, side="right")
        p += float((np.exp(weights + largest + constant) * cumulative[reached]).sum())
    return min(1.0, p), None


def _hypergeometric(table: np.ndarray) -> tuple[np.ndarray, int]:
    """Log probabilities of all two by two tables with these margins, and which of them is this one."""
    (a, b), (c, d) = np.asarray(table, dtype=int)
    lowest = max(0, a - d)
    x = np.arange(lowest, min(a + b, a + c) + 1)
    log_p = -(gammaln(x + 1) + gammaln(a + b - x + 1) + gammaln(a + c - x + 1) + gammaln(d - a + x + 1))
    return log_p - logsumexp(log_p), int(a - lowest)


def _solved(rising: Callable[[float], float], start: float) -> float:
    """Odds ratio at whose logarithm a function that rises is zero, searched around a start."""
    width = 1.0
    while rising(start - width) > 0 or rising(start + width) < 0:
        width *= 2
    return math.exp(brentq(rising, start - width, start + width, xtol=1e-12))


def _halves(rows: np.ndarray, columns: np.ndarray) -> tuple[list[int], list[int]] | None:
    """Row totals in two halves with about as many ways to fill them; None where these are too many."""
    # Ways to spread any total over the columns: the coefficients of a product of polynomials 1 + x + x² ...
    by_total = np.ones(1)
    for column in columns:
        by_total = fftconvolve(by_total, np.ones(column + 1))
    by_total = np.nan_to_num(by_total, nan=np.inf)
    halves: tuple[list[int], list[int]] = ([], [])
    ways = [1.0, 1.0]
    for total in sorted((int(row) for row in rows), key=lambda row: -by_total[row]):
        index = int(ways[1] < ways[0])
        halves[index].append(total)
        ways[index] *= max(1.0, float(by_total[total]))
    return halves if max(ways) <= MOST_FILLINGS else None


def _fillings(rows: list[int], columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Column sums and log weights of all ways to fill these rows that no column total forbids."""
    sums, weights = np.zeros((1, len(columns)), dtype=np.int64), np.zeros(1)
    for total in rows:
        row = _compositions(total, columns)
        sums = (sums[:, np.newaxis, :] + row[np.newaxis, :, :]).reshape(-1, len(columns))
        weights = (weights[:, np.newaxis] + _log_weight(row, axis=1)).ravel()
        allowed = (sums <= columns).all(axis=1)
        sums, weights = sums[allowed], weights[allowed]
    return sums, weights


def _compositions(total: int, columns: np.ndarray) -> np.ndarray:
    """All ways to spread a row total over the columns, shape (n_ways, n_columns)."""
    ways = np.zeros((1, 0), dtype=np.int64)
    for column in columns[:-1]:
        left = total - ways.sum(axis=1)
        sizes = np.minimum(left, column) + 1
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        ways = np.column_stack([np.repeat(ways, sizes, axis=0), within])
    last = total - ways.sum(axis=1)
    return np.column_stack([ways, last])[last <= columns[-1]]


def _by_sums(sums: np.ndarray, weights: np.ndarray, strides: np.ndarray) -> dict[int, np.ndarray]:
    """Ascending log weights of the fillings, by their column sums."""
    keys = sums @ strides
    order = np.lexsort((weights, keys))
    found, starts = np.unique(keys[order], return_index=True)
    return dict(zip(found.tolist(), np.split(weights[order], starts[1:])))


def _cumulated(weights: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """The ascending log weights, the largest, and the sums of the first none, one, two ... relative to it."""
    largest = float(weights[-1])
    return weights, largest, np.concatenate([[0.0], np.cumsum(np.exp(weights - largest))])


def _log_weight(table: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Log probability but for a constant that all tables with the same margins share."""
    return -gammaln(table + 1).sum(axis=axis)


def _drawn(table: np.ndarray) -> tuple[float, float]:
    """p and its standard error from random tables, always the same ones; the observed table counts as one of them."""
    distribution = random_table(table.sum(axis=1), table.sum(axis=0))
    generator = np.random.default_rng(0)
    limit = _log_weight(table) + _TIE
    hits = 0
    for _ in range(DRAWS // _BATCH):
        drawn = distribution.rvs(_BATCH, random_state=generator)
        hits += int((-gammaln(drawn + 1).sum(axis=(1, 2)) <= limit).sum())
    p = (hits + 1) / (DRAWS + 1)
    return p, math.sqrt(p * (1 - p) / DRAWS)
