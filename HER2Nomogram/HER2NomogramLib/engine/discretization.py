"""Pixels of one region of one image and their gray levels, the same as those of pyradiomics.

The bin edges come from the same NumPy expressions on the same types (the lowest edge of a float32 image is a float32),
because one rounding at an edge moves whole groups of pixels to another level. Only the search for the bin of a pixel is
done differently: it is guessed from the bin width and checked against the edges.

A region is walked along its spans, the pixels that lie side by side in a row: a ring leaves most of its box empty. They
are the same in all filtered images, so they are looked for once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..compiled import compiled

# Integers beyond 2**53 are no exact float64, so NumPy searches the bins of these types.
_EXACT_AS_FLOAT64 = frozenset("bBhHiIfd")
# Up to this level, levels are counted in a table; above, they are sorted.
_MAXIMUM_TABLE = 1 << 20


@dataclass(frozen=True)
class DiscretizedRegion:
    """Gray levels of the pixels of a region, cropped to it.

    Attributes
    ----------
    indices : np.ndarray of int32, shape (rows + 2 * margin, columns + 2 * margin)
        0 outside the region, ``k + 1`` where the pixel has the gray level ``gray_levels[k]``.
    gray_levels : np.ndarray of int64, shape (n_levels,)
        The gray levels that occur, ascending, from 1 as in pyradiomics (0 only where rounding pushed the lowest edge
        above the smallest value, which pyradiomics' texture classes refuse).
    counts : np.ndarray of int64, shape (n_levels,)
        Pixels of each of them.
    spans : np.ndarray of int64, shape (n_spans, 2)
        Position of each span's first pixel in the flat indices, and number of its pixels.
    """

    indices: np.ndarray
    gray_levels: np.ndarray
    counts: np.ndarray
    spans: np.ndarray


@compiled
def spans_of(inside):
    """Where pixels of a region lie side by side in a row.

    Parameters
    ----------
    inside : np.ndarray of bool, shape (rows, columns)

    Returns
    -------
    np.ndarray of int64, shape (n_spans, 3)
        Row, first column and number of pixels, row by row.
    """
    n_spans = 0
    for y in range(inside.shape[0]):
        for x in range(inside.shape[1]):
            n_spans += inside[y, x] and not (x > 0 and inside[y, x - 1])
    spans = np.empty((n_spans, 3), dtype=np.int64)
    n_spans = 0
    for y in range(inside.shape[0]):
        for x in range(inside.shape[1]):
            if inside[y, x]:
                if x == 0 or not inside[y, x - 1]:
                    spans[n_spans, 0], spans[n_spans, 1], spans[n_spans, 2] = y, x, 0
                    n_spans += 1
                spans[n_spans - 1, 2] += 1
    return spans


@compiled
def pixels_of(image, row, column, spans):
    """Pixels of a region row by row.

    Parameters
    ----------
    image : np.ndarray, shape (rows, columns)
    row, column : int
        Where the box of the region begins in the image.
    spans : np.ndarray of int64, shape (n_spans, 3)
        As of :func:`spans_of`.

    Returns
    -------
    np.ndarray, shape (n_pixels,)
        In the image's own type.
    """
    pixels, position = np.empty(spans[:, 2].sum(), dtype=image.dtype), 0
    for k in range(len(spans)):
        line, start, length = image[row + spans[k, 0]], column + spans[k, 1], spans[k, 2]
        for x in range(start, start + length):
            pixels[position] = line[x]
            position += 1
    return pixels


def bin_edges(values: np.ndarray, bin_width: float = 25, bin_count: int | None = None) -> np.ndarray:
    """Edges of the gray levels.

    Parameters
    ----------
    values : np.ndarray, shape (n_pixels,)
        Of the region, in the image's own type.
    bin_width : float
        Distance of the edges, which are multiples of it.
    bin_count : int, optional
        Number of bins over the range of the values; ``bin_width`` is ignored.

    Returns
    -------
    np.ndarray, shape (n_edges,)
        A value has the level ``k`` from edge ``k - 1`` up to, not including, edge ``k``.
    """
    if bin_count is not None:
        edges = np.histogram_bin_edges(values, bin_count)
        # The largest value belongs to the last bin.
        edges[-1] += 1
        return edges
    smallest, largest = values.min(), values.max()
    lowest = smallest - (smallest % bin_width)
    edges = np.arange(lowest, largest + 2 * bin_width, bin_width)
    if len(edges) == 1:  # happens where the sum above overflows the image's type
        edges = np.array([edges[0] - 0.5, edges[0] + 0.5])
    return edges


def gray_levels_of(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Gray level of every value, as ``np.digitize`` gives it.

    Parameters
    ----------
    values : np.ndarray, shape (n_pixels,)
    edges : np.ndarray, shape (n_edges,)

    Returns
    -------
    np.ndarray of int32, shape (n_pixels,)
    """
    simple = values.dtype.char in _EXACT_AS_FLOAT64 and edges.dtype.char in "ilqfd" and len(edges) > 1
    if not simple or not values.dtype.isnative or np.abs(edges[[0, -1]]).max() >= 2.0**53:
        return np.digitize(values, edges).astype(np.int32)
    as_float = edges.astype(np.float64)
    # A width of which the reciprocal would be infinite is as good as none.
    if not np.all(np.diff(as_float) > np.finfo(float).tiny):
        return np.digitize(values, edges).astype(np.int32)
    return _levels_by_guess(values, as_float)


def discretize(
    values: np.ndarray,
    shape: tuple[int, int],
    spans: np.ndarray,
    bin_width: float = 25,
    bin_count: int | None = None,
    margin: int = 1,
) -> DiscretizedRegion:
    """Gray levels of a region.

    Parameters
    ----------
    values : np.ndarray, shape (n_pixels,)
        Of the region row by row, in the image's own type, all finite.
    shape : tuple of int
        Rows and columns of the region's box.
    spans : np.ndarray of int64, shape (n_spans, 3)
        As of :func:`spans_of`.
    bin_width, bin_count
        As in :func:`bin_edges`.
    margin : int
        Empty pixels around the result.

    Returns
    -------
    DiscretizedRegion
    """
    levels = gray_levels_of(values, bin_edges(values, bin_width, bin_count))
    if levels.max() > _MAXIMUM_TABLE:
        present, ranks = np.unique(levels, return_inverse=True)
        indices, _, counts, positions = _put_in_place(ranks.reshape(-1).astype(np.int32), *shape, spans, margin)
        return DiscretizedRegion(indices, present.astype(np.int64), counts, positions)
    return DiscretizedRegion(*_put_in_place(levels, *shape, spans, margin))


@compiled
def _levels_by_guess(values, edges):
    n = edges.size
    first = edges[0]
    # The last edge may be one higher than the others' distance says.
    per_bin = (n - 2) / (edges[n - 2] - first) if n > 2 else 1.0 / (edges[1] - first)
    levels = np.empty(values.size, dtype=np.int32)
    for position in range(values.size):
        value = float(values[position])
        level = int(min(max((value - first) * per_bin, 0.0), n - 1.0)) + 1
        # Rounding may have put the guess one bin off, hardly ever more.
        while level < n and value >= edges[level]:
            level += 1
        while level > 0 and value < edges[level - 1]:
            level -= 1
        levels[position] = level
    return levels


@compiled
def _put_in_place(levels, rows, columns, spans, margin):
    """Indices, gray levels that occur, their counts, and the spans' positions and lengths."""
    highest = 0
    for level in levels:
        highest = max(highest, level)
    occurrences, index_of = np.zeros(highest + 1, dtype=np.int64), np.zeros(highest + 1, dtype=np.int32)
    for level in levels:
        occurrences[level] += 1
    n_levels = 0
    for level in range(highest + 1):
        if occurrences[level] > 0:
            n_levels += 1
            index_of[level] = n_levels
    gray_levels, counts = np.empty(n_levels, dtype=np.int64), np.empty(n_levels, dtype=np.int64)
    for level in range(highest + 1):
        if occurrences[level] > 0:
            gray_levels[index_of[level] - 1], counts[index_of[level] - 1] = level, occurrences[level]
    indices = np.zeros((rows + 2 * margin, columns + 2 * margin), dtype=np.int32)
    positions, done = np.empty((len(spans), 2), dtype=np.int64), 0
    for k in range(len(spans)):
        y, x, length = spans[k, 0] + margin, spans[k, 1] + margin, spans[k, 2]
        positions[k, 0], positions[k, 1] = y * indices.shape[1] + x, length
        line = indices[y]
        for step in range(length):
            line[x + step] = index_of[levels[done + step]]
        done += length
    return indices, gray_levels, counts, positions
