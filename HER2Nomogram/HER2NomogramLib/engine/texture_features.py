"""Features of the texture matrices, named and defined as in pyradiomics 3.0.1.

Run lengths, zones and dependences share their definitions. Functions that give values are compiled; those that give
features put names to the values. No loop here runs over more than the elements of a matrix that are not zero, the
pairs of gray levels that occur, or the gray levels up to the highest.
"""

from __future__ import annotations

import numpy as np

from ..compiled import compiled
from .matrices import neighborhoods, run_lengths, zone_sizes

_EPSILON = np.spacing(1.0)
_LARGEST_FLAT = 1e6

_RUN_NAMES = (
    "ShortRunEmphasis", "LongRunEmphasis", "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized",
    "RunLengthNonUniformity", "RunLengthNonUniformityNormalized", "RunPercentage", "GrayLevelVariance", "RunVariance",
    "RunEntropy", "LowGrayLevelRunEmphasis", "HighGrayLevelRunEmphasis", "ShortRunLowGrayLevelEmphasis",
    "ShortRunHighGrayLevelEmphasis", "LongRunLowGrayLevelEmphasis", "LongRunHighGrayLevelEmphasis",
)  # fmt: skip
_ZONE_NAMES = (
    "SmallAreaEmphasis", "LargeAreaEmphasis", "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized",
    "SizeZoneNonUniformity", "SizeZoneNonUniformityNormalized", "ZonePercentage", "GrayLevelVariance", "ZoneVariance",
    "ZoneEntropy", "LowGrayLevelZoneEmphasis", "HighGrayLevelZoneEmphasis", "SmallAreaLowGrayLevelEmphasis",
    "SmallAreaHighGrayLevelEmphasis", "LargeAreaLowGrayLevelEmphasis", "LargeAreaHighGrayLevelEmphasis",
)  # fmt: skip
# None: pyradiomics has no such feature of dependences, or has deprecated it.
_DEPENDENCE_NAMES = (
    "SmallDependenceEmphasis", "LargeDependenceEmphasis", "GrayLevelNonUniformity", None,
    "DependenceNonUniformity", "DependenceNonUniformityNormalized", None, "GrayLevelVariance", "DependenceVariance",
    "DependenceEntropy", "LowGrayLevelEmphasis", "HighGrayLevelEmphasis", "SmallDependenceLowGrayLevelEmphasis",
    "SmallDependenceHighGrayLevelEmphasis", "LargeDependenceLowGrayLevelEmphasis",
    "LargeDependenceHighGrayLevelEmphasis",
)  # fmt: skip
_DIFFERENCE_NAMES = ("Coarseness", "Contrast", "Busyness", "Complexity", "Strength")


def run_features(values: np.ndarray) -> dict[str, float]:
    """Features of the gray level run length matrices, averaged over the directions.

    Parameters
    ----------
    values : np.ndarray, shape (n_directions, 16)
        As of :func:`run_values`; NaN in directions without runs, which are left out.

    Returns
    -------
    dict of str to float
        NaN where no direction has runs.
    """
    used = values[~np.isnan(values[:, 0])]
    found = dict(zip(_RUN_NAMES, used.mean(axis=0).tolist() if len(used) else [np.nan] * len(_RUN_NAMES)))
    if not len(used) and len(values) == 1:
        # pyradiomics leaves out empty directions only where there are several; these two are sums without an element.
        found["RunVariance"] = found["RunEntropy"] = 0.0
    return found


def zone_features(values: np.ndarray) -> dict[str, float]:
    """Features of the gray level size zone matrix, from what :func:`zone_values` gives."""
    return dict(zip(_ZONE_NAMES, values.tolist()))


def dependence_features(values: np.ndarray) -> dict[str, float]:
    """Features of the gray level dependence matrix, from what :func:`neighborhood_values` gives first."""
    return {name: value for name, value in zip(_DEPENDENCE_NAMES, values.tolist()) if name is not None}


def difference_features(values: np.ndarray) -> dict[str, float]:
    """Features of the neighboring gray tone differences, from what :func:`neighborhood_values` gives second."""
    return dict(zip(_DIFFERENCE_NAMES, values.tolist()))


@compiled
def run_values(indices, spans, gray_levels, steps):
    """Features of the run length matrix of each direction.

    Parameters
    ----------
    indices : np.ndarray of int32, shape (rows, columns)
    spans : np.ndarray of int64, shape (n_spans, 2)
    gray_levels : np.ndarray of int64, shape (n_levels,)
    steps : np.ndarray of int64, shape (n_directions, 2)

    Returns
    -------
    np.ndarray of float, shape (n_directions, 16)
        NaN in directions without runs.
    """
    found = np.full((len(steps), 16), np.nan)
    for k in range(len(steps)):
        matrix, lengths = run_lengths(indices, spans, gray_levels.size, steps[k, 0], steps[k, 1])
        if lengths.size > 0:
            _fill_in_sizes(matrix, gray_levels, lengths, found[k])
    return found


@compiled
def zone_values(indices, spans, gray_levels):
    """Features of the size zone matrix, np.ndarray of float, shape (16,)."""
    found = np.empty(16)
    matrix, sizes = zone_sizes(indices, spans, gray_levels.size)
    _fill_in_sizes(matrix, gray_levels, sizes, found)
    return found


@compiled
def neighborhood_values(indices, spans, gray_levels, counts, steps, alpha):
    """Features of the dependence matrix and of the gray tone differences.

    Parameters
    ----------
    indices : np.ndarray of int32, shape (rows, columns)
    spans : np.ndarray of int64, shape (n_spans, 2)
    gray_levels, counts : np.ndarray of int64, shape (n_levels,)
        With the pixels of each gray level.
    steps : np.ndarray of int64, shape (n_neighbors, 2)
    alpha : int

    Returns
    -------
    of_dependences : np.ndarray of float, shape (16,)
    of_differences : np.ndarray of float, shape (5,)
    """
    dependence, differences = neighborhoods(indices, spans, gray_levels, steps, alpha)
    # A pixel depends on itself: without dependent neighbors it has the size 1.
    sizes, found = np.empty(dependence.shape[1]), np.empty(16)
    for k in range(sizes.size):
        sizes[k] = k + 1.0
    _fill_in_sizes(dependence, gray_levels, sizes, found)
    return found, _difference_features(counts, differences, gray_levels)


@compiled
def _fill_in_sizes(matrix, gray_levels, sizes, found):
    n_levels, n_sizes = matrix.shape
    of_level, of_size = np.zeros(n_levels, dtype=np.int64), np.zeros(n_sizes, dtype=np.int64)
    low_gray, high_gray = np.empty(n_levels), np.empty(n_levels)
    for i in range(n_levels):
        high_gray[i] = float(gray_levels[i]) ** 2
        low_gray[i] = 1.0 / high_gray[i]
    joint = np.zeros(4)
    for i in range(n_levels):
        short, long = 0.0, 0.0
        for j in range(n_sizes):
            count = matrix[i, j]
            if count > 0:
                of_level[i] += count
                of_size[j] += count
                squared = sizes[j] * sizes[j]
                short += count / squared
                long += count * squared
        joint[0] += short * low_gray[i]
        joint[1] += short * high_gray[i]
        joint[2] += long * low_gray[i]
        joint[3] += long * high_gray[i]
    for k in range(16):
        found[k] = 0.0
    total, pixels = 0, 0.0
    for j in range(n_sizes):
        found[0] += of_size[j] / sizes[j] ** 2
        found[1] += of_size[j] * sizes[j] ** 2
        found[4] += float(of_size[j]) ** 2
        pixels += of_size[j] * sizes[j]
        total += of_size[j]
    for i in range(n_levels):
        found[2] += float(of_level[i]) ** 2
        found[10] += of_level[i] * low_gray[i]
        found[11] += of_level[i] * high_gray[i]
    for k in range(4):
        found[12 + k] = joint[k]
    for k in range(16):
        found[k] /= total
    found[3], found[5], found[6] = found[2] / total, found[4] / total, total / pixels
    found[7] = _variance(of_level, gray_levels, total)
    found[8] = _variance(of_size, sizes, total)
    found[9] = _entropy_of_counts(matrix, total)


@compiled
def _variance(counts, values, total):
    mean = 0.0
    for k in range(counts.size):
        mean += counts[k] / total * values[k]
    variance = 0.0
    for k in range(counts.size):
        variance += counts[k] / total * (values[k] - mean) ** 2
    return variance


@compiled
def _entropy_of_counts(matrix, total):
    # Most counts are small and repeat: their logarithms are taken once.
    known = np.zeros(256)
    entropy = 0.0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            count = matrix[i, j]
            if count == 0:
                continue
            if count >= known.size:
                entropy -= count / total * np.log2(count / total + _EPSILON)
                continue
            if known[count] == 0.0:
                known[count] = count / total * np.log2(count / total + _EPSILON)
            entropy -= known[count]
    return entropy


@compiled
def _difference_features(counts, differences, gray_levels):
    n_levels, n_pixels = counts.size, 0
    share, product, moment = np.empty(n_levels), np.empty(n_levels), np.empty(n_levels)
    for i in range(n_levels):
        n_pixels += counts[i]
    weighted, total = 0.0, 0.0
    for i in range(n_levels):
        share[i] = counts[i] / n_pixels
        product[i] = share[i] * differences[i]
        moment[i] = gray_levels[i] * share[i]
        weighted += product[i]
        total += differences[i]
    contrast, busyness, complexity, strength = 0.0, 0.0, 0.0, 0.0
    for i in range(n_levels):
        for j in range(i):
            # gray levels are ascending
            apart = float(gray_levels[i] - gray_levels[j])
            both = share[i] + share[j]
            contrast += share[i] * share[j] * apart * apart
            busyness += abs(moment[i] - moment[j])
            complexity += apart * (product[i] + product[j]) / both
            strength += both * apart * apart
    found = np.zeros(5)
    found[0] = 1.0 / weighted if weighted != 0.0 else _LARGEST_FLAT
    if n_levels > 1:
        # The loop has seen every pair once, the definitions count it in both orders.
        found[1] = 2.0 * contrast * total / n_pixels / (n_levels * (n_levels - 1))
    if busyness != 0.0:
        found[2] = weighted / (2.0 * busyness)
    found[3] = 2.0 * complexity / n_pixels
    if total != 0.0:
        found[4] = 2.0 * strength / total
    return found
