"""Shape features of one region in the plane, named and defined as in pyradiomics 3.0.1.

The outline runs through the middles between a pixel of the region and one outside (marching squares on the pixel
centers; two pixels that touch at a corner only stay apart). Its length and area are sums over the sixteen patterns of a
square of four pixels, so patterns are counted first and measured once.
"""

from __future__ import annotations

import math

import numpy as np

from ..compiled import compiled

# The two patterns whose pixels touch at a corner only. Bits go around the square from its upper left.
_DIAGONAL = (0b0101, 0b1010)


def shape2d_features(mask: np.ndarray, spacing: tuple[float, float]) -> dict[str, float]:
    """All features that pyradiomics computes unless told otherwise.

    Parameters
    ----------
    mask : np.ndarray of bool, shape (rows, columns)
        At least one pixel.
    spacing : tuple of float
        Of rows and of columns, in mm.

    Returns
    -------
    dict of str to float
    """
    padded = np.pad(np.ascontiguousarray(mask, dtype=bool), 1)
    high, wide = float(spacing[0]), float(spacing[1])
    perimeter, surface = _outline(np.asarray(_patterns(padded)), high, wide)
    major, minor = _axes(padded, high, wide)
    with np.errstate(invalid="ignore", divide="ignore"):
        elongation = float(np.sqrt(np.divide(minor, major)))
    return {
        "Elongation": elongation,
        "MajorAxisLength": math.sqrt(major) * 4,
        "MaximumDiameter": _diameter(padded, high, wide),
        "MeshSurface": surface,
        "MinorAxisLength": math.sqrt(minor) * 4,
        "Perimeter": perimeter,
        "PerimeterSurfaceRatio": perimeter / surface,
        "PixelSurface": int(np.count_nonzero(mask)) * (wide * high),
        "Sphericity": 2 * math.sqrt(math.pi * surface) / perimeter,
    }


def _outline(patterns: np.ndarray, high: float, wide: float) -> tuple[float, float]:
    """Length and area from how often each of the sixteen patterns occurs."""
    slanted = math.hypot(high, wide) / 2
    length, area = 0.0, 0.0
    for pattern, times in enumerate(patterns.tolist()):
        n_inside = pattern.bit_count()
        if n_inside in (1, 3):
            length += times * slanted
            area += times * (0.125 if n_inside == 1 else 0.875)
        elif pattern in _DIAGONAL:
            length += times * 2 * slanted
            area += times * 0.25
        elif n_inside == 2:
            # Upper two or lower two: the line runs along the row.
            length += times * (wide if pattern in (0b0011, 0b1100) else high)
            area += times * 0.5
        elif n_inside == 4:
            area += times
    return length, area * (high * wide)


def _axes(padded: np.ndarray, high: float, wide: float) -> tuple[float, float]:
    """Principal variances of the pixel centers, the larger one first."""
    centers = np.argwhere(padded) * np.array([high, wide])
    centers -= centers.mean(axis=0)
    centers /= np.sqrt(len(centers))
    # The same products and the same solver as in pyradiomics: of a line, the smaller one is nothing but rounding.
    minor, major = np.sort(np.linalg.eigvals(np.dot(centers.T.copy(), centers)))
    return float(major), float(minor) if minor >= 0 else 0.0


def _diameter(padded: np.ndarray, high: float, wide: float) -> float:
    """Largest distance of two corners of the outline."""
    return math.sqrt(_largest_squared_distance(padded, high, wide))


@compiled
def _patterns(padded):
    patterns = np.zeros(16, dtype=np.int64)
    for y in range(padded.shape[0] - 1):
        for x in range(padded.shape[1] - 1):
            upper = padded[y, x] | padded[y, x + 1] << 1
            patterns[upper | padded[y + 1, x + 1] << 2 | padded[y + 1, x] << 3] += 1
    return patterns


@compiled
def _largest_squared_distance(padded, high, wide):
    first, last = _ends_of_rows(padded)
    upper, lower = _hull(first, 1), _hull(last, -1)
    # Of two first corners, or two last ones, the one that lies further in has a farther counterpart in its own row.
    largest = 0.0
    for one in upper:
        for other in lower:
            y, x = (one - other) * 0.5 * high, (first[one] - last[other]) * 0.5 * wide
            largest = max(largest, y * y + x * x)
    return largest


@compiled
def _ends_of_rows(padded):
    """First and last corner of the outline in rows that are half a pixel apart, in half pixels; -1 without corners."""
    rows, columns = padded.shape
    first, last = np.full(2 * rows, -1), np.full(2 * rows, -1)
    for y in range(rows - 1):
        for x in range(columns - 1):
            if padded[y, x] != padded[y + 1, x]:
                first[2 * y + 1] = 2 * x if first[2 * y + 1] < 0 else first[2 * y + 1]
                last[2 * y + 1] = 2 * x
            if padded[y, x] != padded[y, x + 1]:
                first[2 * y] = 2 * x + 1 if first[2 * y] < 0 else first[2 * y]
                last[2 * y] = 2 * x + 1
    return first, last


@compiled
def _hull(ends, side):
    """Rows whose ends are corners of the convex hull; side is 1 for the first ends, -1 for the last."""
    kept, n = np.empty(ends.size, dtype=np.int64), 0
    for row in range(ends.size):
        if ends[row] < 0:
            continue
        while n > 1:
            one, middle = kept[n - 2], kept[n - 1]
            bend = (ends[middle] - ends[one]) * (row - one) - (ends[row] - ends[one]) * (middle - one)
            if side * bend < 0:
                break
            n -= 1
        kept[n] = row
        n += 1
    return kept[:n]
