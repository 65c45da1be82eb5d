"""Co-occurrence features that are mostly rounding, computed in the order in which pyradiomics sums.

Where two gray levels of neighbors are independent of each other, pyradiomics takes square roots of differences around
1e-16: they come out as 0, as 1e-8 or as NaN, and an average over the directions leaves out the NaN. To give the same,
the matrices have to lie in memory as there, because NumPy sums in that order. This concerns directions with few pairs
of neighbors or few gray levels; with many of both there is nothing to round.
"""

from __future__ import annotations

import warnings

import numpy as np

from .matrices import Entries

# Of a region. The matrices of all directions, several times over, take 200 MB then.
MAXIMUM_LEVELS = 1_000
# The time for the eigenvalues grows with their cube.
MAXIMUM_LEVELS_OF_MCC = 256
_EPSILON = np.spacing(1.0)


def in_reference_order(
    entries: list[Entries], n_directions: int, gray_levels: np.ndarray, symmetrical: bool, with_mcc: bool
) -> dict[str, float]:
    """Correlation and the informational measures, and on request the maximal correlation coefficient.

    Parameters
    ----------
    entries : list of (np.ndarray, np.ndarray, np.ndarray)
        As of :func:`matrices.cooccurrences`, of the directions that have pairs.
    n_directions : int
        With those that have none.
    gray_levels : np.ndarray of int64, shape (n_levels,)
    symmetrical : bool
    with_mcc : bool

    Returns
    -------
    dict of str to float
    """
    p = _as_laid_out(entries, n_directions, len(gray_levels), symmetrical)
    rows, columns = p.sum(2, keepdims=True), p.sum(1, keepdims=True)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        values = {"Correlation": _correlation(p, gray_levels.astype(float)), **_information(p, rows, columns)}
        if with_mcc:
            values["MCC"] = _maximal_correlation(p, rows, columns)
    return values


def _as_laid_out(entries: list[Entries], n_directions: int, n_levels: int, symmetrical: bool) -> np.ndarray:
    counts = np.zeros((1, n_levels, n_levels, n_directions))
    for direction, (rows, columns, found) in enumerate(entries):
        # A symmetrical matrix is the same whichever way its elements are summed.
        counts[0, rows, columns, direction] = found
    # Taking out gray levels and directions one after the other is what makes the layout.
    none = np.zeros(0, dtype=int)
    p = np.delete(np.delete(counts, none, 1), none, 2)
    if len(entries) < n_directions:
        p = np.delete(p, np.arange(len(entries), n_directions), 3)
    return p / p.sum((1, 2))[:, None, None, :]


def _correlation(p: np.ndarray, gray: np.ndarray) -> float:
    i, j = gray[None, :, None, None], gray[None, None, :, None]
    mean_i, mean_j = np.sum(i * p, (1, 2), keepdims=True), np.sum(j * p, (1, 2), keepdims=True)
    spread_i = np.sum(p * ((i - mean_i) ** 2), (1, 2), keepdims=True) ** 0.5
    spread_j = np.sum(p * ((j - mean_j) ** 2), (1, 2), keepdims=True) ** 0.5
    found = np.sum(p * (i - mean_i) * (j - mean_j), (1, 2), keepdims=True) / (spread_i * spread_j + _EPSILON)
    found[spread_i * spread_j == 0] = 1
    return float(np.nanmean(found))


def _information(p: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> dict[str, float]:
    product = rows * columns
    entropy = -np.sum(p * np.log2(p + _EPSILON), (1, 2))
    crossed = -np.sum(p * np.log2(product + _EPSILON), (1, 2))
    independent = -np.sum(product * np.log2(product + _EPSILON), (1, 2))
    of_rows = -np.sum(rows * np.log2(rows + _EPSILON), (1, 2))
    of_columns = -np.sum(columns * np.log2(columns + _EPSILON), (1, 2))
    largest = np.fmax(of_rows, of_columns)
    first = np.where(largest != 0, (entropy - crossed) / np.where(largest != 0, largest, 1), 0)
    second = (1 - np.e ** (-2 * (independent - entropy))) ** 0.5
    second[independent == entropy] = 0
    return {"Imc1": float(np.nanmean(first)), "Imc2": float(np.nanmean(second))}


def _maximal_correlation(p: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
    q = np.zeros_like(p)
    for k in range(p.shape[1]):
        q += (p[:, :, None, k, :] * p[:, None, :, k, :]) / (
            rows[:, :, None, 0, :] * columns[:, None, :, k, :] + _EPSILON
        )
    values = np.linalg.eigvals(q.transpose((0, 3, 1, 2)))
    values.sort()
    return float(np.nanmean(np.sqrt(values[:, :, -2]), 1)[0].real)
