"""Features of gray level co-occurrence matrices, named and defined as in pyradiomics 3.0.1.

Each direction's matrix is a list of its elements that are not zero. Sums and differences of gray levels are histograms
of integers, filled in one pass. What depends on rounding alone in pyradiomics, such as the second informational measure
of two independent gray levels, is left to :mod:`rounding`, which computes it in pyradiomics' order.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..compiled import compiled
from .matrices import Entries, cooccurrences
from .maximal_correlation import by_all_eigenvalues, second_eigenvalue
from .rounding import MAXIMUM_LEVELS, MAXIMUM_LEVELS_OF_MCC, in_reference_order

_EPSILON = np.spacing(1.0)
_LN2 = np.log(2.0)
# Below these, mutual information and the product of the standard deviations are partly rounding.
_UNCERTAIN = 1e-6

_NAMES = (
    "Autocorrelation", "JointAverage", "ClusterProminence", "ClusterShade", "ClusterTendency", "Contrast",
    "Correlation", "DifferenceAverage", "DifferenceEntropy", "DifferenceVariance", "JointEnergy", "JointEntropy",
    "Imc1", "Imc2", "Idm", "Idmn", "Id", "Idn", "InverseVariance", "MaximumProbability", "SumAverage", "SumEntropy",
    "SumSquares",
)  # fmt: skip
# Behind the features: what says how far they are from rounding, and the eigenvalue for MCC.
_INFORMATION, _DEVIATIONS, _SECOND, _CERTAIN = range(23, 27)
_N_VALUES = 27
# Up to so many pairs a product of two shares is above 2e-13, so that epsilon is a small part of it.
_FEW_PAIRS = 2_000_000


@compiled
def cooccurrence_values(indices, spans, gray_levels, steps, symmetrical):
    """What the co-occurrence matrix of each direction gives.

    Parameters
    ----------
    indices : np.ndarray of int32, shape (rows, columns)
    spans : np.ndarray of int64, shape (n_spans, 2)
    gray_levels : np.ndarray of int64, shape (n_levels,)
    steps : np.ndarray of int64, shape (n_directions, 2)
    symmetrical : bool

    Returns
    -------
    np.ndarray of float, shape (n_directions, 27)
        For :func:`cooccurrence_features`, NaN in directions without pairs.
    """
    n_levels = gray_levels.size
    found = np.full((len(steps), _N_VALUES), np.nan)
    for k in range(len(steps)):
        rows, columns, counts = cooccurrences(indices, spans, n_levels, steps[k, 0], steps[k, 1], symmetrical)
        if counts.size > 0:
            _fill_in(rows, columns, counts, gray_levels, found[k])
            second, certain = second_eigenvalue(rows, columns, counts, n_levels) if n_levels > 1 else (1.0, True)
            found[k, _SECOND], found[k, _CERTAIN] = second, 1.0 if certain else 0.0
    return found


def cooccurrence_features(
    values: np.ndarray, entries_of: Callable[[int], Entries], gray_levels: np.ndarray, symmetrical: bool
) -> dict[str, float]:
    """Features of co-occurrence matrices, averaged over the directions.

    Parameters
    ----------
    values : np.ndarray, shape (n_directions, 27)
        As of :func:`cooccurrence_values`; directions without pairs are left out.
    entries_of : callable
        Gives the matrix of a direction once more, where it has to be looked at more closely.
    gray_levels : np.ndarray of int64, shape (n_levels,)
        All that occur in the region, ascending.
    symmetrical : bool
        Whether the matrices are.

    Returns
    -------
    dict of str to float
        NaN where no direction has pairs. Without the maximal correlation coefficient where it has not been found in
        reasonable time.
    """
    n_levels, used = len(gray_levels), np.flatnonzero(~np.isnan(values[:, 0]))
    if not len(used):
        return _without_pairs(gray_levels, len(values))
    found = values[used]
    for direction, row in zip(used, found):
        if not row[_CERTAIN]:
            row[_SECOND], row[_CERTAIN] = by_all_eigenvalues(*entries_of(direction))
    means = dict(zip(_NAMES, found[:, : len(_NAMES)].mean(axis=0).tolist()))
    roots, certain = np.sqrt(np.maximum(found[:, _SECOND], 0.0)), bool(found[:, _CERTAIN].all())
    if not np.isnan(roots).any():
        means["MCC"] = float(np.mean(roots))
    if n_levels <= MAXIMUM_LEVELS and not (certain and (found[:, [_DEVIATIONS, _INFORMATION]] > _UNCERTAIN).all()):
        kept = [entries_of(direction) for direction in used]
        with_mcc = not certain and n_levels <= MAXIMUM_LEVELS_OF_MCC
        means.update(in_reference_order(kept, len(values), gray_levels, symmetrical, with_mcc))
    return means


def _without_pairs(gray_levels: np.ndarray, n_directions: int) -> dict[str, float]:
    values = dict.fromkeys((*_NAMES, "MCC"), float("nan"))
    # pyradiomics drops all of several empty directions before it looks at the number of gray levels; a single one
    # stays, full of NaN.
    if len(gray_levels) == 1 and n_directions > 1:
        values["MCC"] = 1.0
    if len(gray_levels) == 1 and n_directions == 1:
        values["InverseVariance"] = 0.0  # the only sum without an element
    return values


@compiled
def _fill_in(rows, columns, counts, gray_levels, found):
    """The features at the positions of their names, and how far they are from rounding."""
    n_levels, highest, total = gray_levels.size, gray_levels[-1], _sum(counts)
    of_row, of_column = np.zeros(n_levels, dtype=np.int64), np.zeros(n_levels, dtype=np.int64)
    sums, differences = np.zeros(2 * highest + 1, dtype=np.int64), np.zeros(highest, dtype=np.int64)
    for k in range(_N_VALUES):
        found[k] = 0.0
    energy, largest, products = 0.0, 0, 0.0
    for k in range(counts.size):
        i, j, count = rows[k], columns[k], counts[k]
        of_row[i] += count
        of_column[j] += count
        sums[gray_levels[i] + gray_levels[j]] += count
        differences[abs(gray_levels[i] - gray_levels[j])] += count
        energy += float(count) * float(count)
        largest = max(largest, count)
        products += count * (float(gray_levels[i]) * float(gray_levels[j]))
    found[0] = products / total
    found[10] = energy / (float(total) * float(total))
    found[19] = largest / total
    mean_row, mean_column = _mean(of_row, gray_levels, total), _mean(of_column, gray_levels, total)
    found[1] = mean_row
    _of_sums(sums, total, mean_row + mean_column, found)
    _of_differences(differences, total, highest, found)
    _of_deviations(rows, columns, counts, gray_levels, of_row, of_column, found)
    _of_information(rows, columns, counts, of_row, of_column, found)


@compiled
def _sum(counts):
    total = 0
    for count in counts:
        total += count
    return total


@compiled
def _mean(counts, values, total):
    mean = 0.0
    for k in range(counts.size):
        mean += counts[k] / total * values[k]
    return mean


@compiled
def _of_sums(sums, total, center, found):
    for k in range(sums.size):
        if sums[k] > 0:
            p, away = sums[k] / total, k - center
            found[4] += p * away**2
            found[3] += p * away**3
            found[2] += p * away**4
            found[20] += p * k
            found[21] -= p * np.log2(p + _EPSILON)


@compiled
def _of_differences(differences, total, highest, found):
    for k in range(differences.size):
        if differences[k] > 0:
            p, squared = differences[k] / total, float(k) ** 2
            found[5] += p * squared
            found[7] += p * k
            found[8] -= p * np.log2(p + _EPSILON)
            found[14] += p / (1.0 + squared)
            found[15] += p / (1.0 + squared / float(highest) ** 2)
            found[16] += p / (1.0 + k)
            found[17] += p / (1.0 + k / highest)
            if k > 0:
                found[18] += p / squared
    for k in range(differences.size):
        found[9] += differences[k] / total * (k - found[7]) ** 2


@compiled
def _of_deviations(rows, columns, counts, gray_levels, of_row, of_column, found):
    total = _sum(counts)
    mean_row, mean_column = _mean(of_row, gray_levels, total), _mean(of_column, gray_levels, total)
    of_rows, of_columns, joint = 0.0, 0.0, 0.0
    for k in range(of_row.size):
        of_rows += of_row[k] / total * (gray_levels[k] - mean_row) ** 2
        of_columns += of_column[k] / total * (gray_levels[k] - mean_column) ** 2
    for k in range(counts.size):
        joint += counts[k] / total * (gray_levels[rows[k]] - mean_row) * (gray_levels[columns[k]] - mean_column)
    deviations = np.sqrt(of_rows) * np.sqrt(of_columns)
    found[22] = of_rows
    found[6] = joint / (deviations + _EPSILON) if deviations != 0.0 else 1.0
    found[_DEVIATIONS] = deviations


@compiled
def _of_information(rows, columns, counts, of_row, of_column, found):
    total = _sum(counts)
    by_row, row_entropy, plain_rows, n_rows = _marginal(of_row, total)
    by_column, column_entropy, plain_columns, n_columns = _marginal(of_column, total)
    # Most counts are small and repeat: their logarithms are taken once.
    known = np.zeros(256)
    entropy, ratios, crossed = 0.0, 0.0, 0.0
    for k in range(counts.size):
        count = counts[k]
        if count >= known.size:
            p = count / total
            entropy -= p * np.log2(p + _EPSILON)
        else:
            if known[count] == 0.0:
                p = count / total
                known[count] = p * np.log2(p + _EPSILON)
            entropy -= known[count]
        if total > _FEW_PAIRS:
            product = (of_row[rows[k]] / total) * (of_column[columns[k]] / total)
            crossed -= count / total * np.log2(product + _EPSILON)
        else:
            ratios += count * (by_row[rows[k]] * by_column[columns[k]])
    # With log2(x + epsilon) to first order the sums split into those of rows and of columns.
    if total <= _FEW_PAIRS:
        crossed = plain_rows + plain_columns - _EPSILON * (ratios / total) / _LN2
    independent = plain_rows + plain_columns - _EPSILON * n_rows * n_columns / _LN2
    found[11] = entropy
    largest = max(row_entropy, column_entropy)
    found[12] = (entropy - crossed) / largest if largest != 0.0 else 0.0
    information = independent - entropy
    # Where this is rounding, pyradiomics' own is taken, unless there are too many gray levels for that.
    found[13] = np.sqrt(1.0 - np.exp(-2.0 * information)) if information > 0.0 else 0.0
    found[_INFORMATION] = information


@compiled
def _marginal(counts, total):
    """Reciprocal shares, the entropy with and without epsilon, and the number of gray levels with pairs."""
    reciprocal = np.zeros(counts.size)
    entropy, plain, n_used = 0.0, 0.0, 0
    for k in range(counts.size):
        if counts[k] > 0:
            p = counts[k] / total
            reciprocal[k] = 1.0 / p
            entropy -= p * np.log2(p + _EPSILON)
            plain -= p * np.log2(p)
            n_used += 1
    return reciprocal, entropy, plain, n_used
