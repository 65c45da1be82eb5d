"""First-order features of one region, named and defined as in pyradiomics 3.0.1."""

from __future__ import annotations

import math

import numpy as np

from ..compiled import compiled_reordered

_EPSILON = np.spacing(1.0)


def firstorder_features(
    values: np.ndarray, level_counts: np.ndarray, voxel_volume: float = 1.0, shift: float = 0.0
) -> dict[str, float]:
    """The 18 features that pyradiomics computes unless told otherwise.

    Parameters
    ----------
    values : np.ndarray, shape (n_pixels,)
        Of the region, all finite.
    level_counts : np.ndarray of int64, shape (n_levels,)
        Pixels of each gray level.
    voxel_volume : float
        In mm3.
    shift : float
        Added to the values for energy, total energy and root mean square; pyradiomics' ``voxelArrayShift``.

    Returns
    -------
    dict of str to float
    """
    ordered = np.sort(values)
    values = values.astype(np.float64, copy=False)
    n, smallest, largest = len(values), float(ordered[0]), float(ordered[-1])
    # Summed by NumPy as in pyradiomics: in a flat region all that follows depends on the rounding of the mean.
    mean = float(np.sum(values) / n)
    deviation, energy, *moments = _sums(values, mean, float(shift))
    if smallest == largest:
        # The mean of equal values is not always the same value; NumPy's own powers and means of what is left.
        moments = [float(np.mean(np.power(values - mean, power))) for power in (2, 3, 4)]
        deviation = robust = float(np.mean(np.abs(values - mean)))
    tenth, quarter, middle, upper, ninetieth = (_percentile(ordered, q) for q in (10, 25, 50, 75, 90))
    if smallest < largest:
        robust = _robust_deviation(values, tenth, ninetieth)
        if _equal_between(ordered, tenth, ninetieth):
            # Nothing but rounding, and mostly none: summed by NumPy in pyradiomics' order, with holes.
            inner = np.where((values >= tenth) & (values <= ninetieth), values, np.nan)[None]
            robust = float(np.nanmean(np.abs(inner - np.nanmean(inner, 1, keepdims=True)), 1)[0])
    shares = level_counts / level_counts.sum()
    scale = moments[0] if moments[0] != 0 else 1.0
    return {
        "10Percentile": tenth,
        "90Percentile": ninetieth,
        "Energy": energy,
        "Entropy": -float(np.sum(shares * np.log2(shares + _EPSILON))),
        "InterquartileRange": upper - quarter,
        "Kurtosis": moments[2] / scale**2,
        "Maximum": largest,
        "Mean": mean,
        "MeanAbsoluteDeviation": deviation,
        "Median": middle,
        "Minimum": smallest,
        "Range": largest - smallest,
        "RobustMeanAbsoluteDeviation": robust,
        "RootMeanSquared": math.sqrt(energy / n),
        "Skewness": moments[1] / scale**1.5,
        "TotalEnergy": energy * voxel_volume,
        "Uniformity": float(np.sum(shares**2)),
        "Variance": math.sqrt(moments[0]) ** 2,
    }


def _equal_between(ordered: np.ndarray, tenth: float, ninetieth: float) -> bool:
    """Whether there are values between these percentiles, which are all the same."""
    first, last = int((len(ordered) - 1) * 0.1), min(int((len(ordered) - 1) * 0.9) + 1, len(ordered) - 1)
    while first < last and ordered[first] < tenth:
        first += 1
    while last > first and ordered[last] > ninetieth:
        last -= 1
    return bool(ordered[first] == ordered[last] and tenth <= ordered[first] <= ninetieth)


def _percentile(ordered: np.ndarray, percent: int) -> float:
    # As NumPy interpolates, to the last bit: values equal to a percentile count for the robust deviation.
    if percent == 50:
        half = len(ordered) // 2
        return float(ordered[half]) if len(ordered) % 2 else (float(ordered[half - 1]) + float(ordered[half])) / 2
    position = (len(ordered) - 1) * (percent / 100)
    below = int(position)
    low, high = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)])
    part, difference = position - below, high - low
    return high - difference * (1 - part) if part >= 0.5 else low + difference * part


@compiled_reordered
def _robust_deviation(values, tenth, ninetieth):
    n, total, deviation = 0, 0.0, 0.0
    for k in range(values.size):
        value = values[k]
        inner = (value >= tenth) & (value <= ninetieth)
        n += inner
        total += value if inner else 0.0
    if n == 0:
        return np.nan
    mean = total / n
    for k in range(values.size):
        value = values[k]
        deviation += abs(value - mean) if (value >= tenth) & (value <= ninetieth) else 0.0
    return deviation / n


@compiled_reordered
def _sums(values, mean, shift):
    """Mean absolute deviation, energy, and the second to fourth central moment."""
    deviation, energy, second, third, fourth = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(values.size):
        value = values[k]
        away, shifted = value - mean, value + shift
        squared = away * away
        deviation += abs(away)
        energy += shifted * shifted
        second += squared
        third += squared * away
        fourth += squared * squared
    n = values.size
    return deviation / n, energy, second / n, third / n, fourth / n
