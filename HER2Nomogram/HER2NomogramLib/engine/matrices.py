"""Texture matrices of one discretized region, compiled.

All of them take the indices of :class:`discretization.DiscretizedRegion`: an int32 image that is 0 outside the region
and ``k + 1`` at the ``k``-th gray level that occurs. Its margin is at least as wide as the largest offset, so no kernel
checks for the border of the image. Gray levels that do not occur take no memory, and nothing here is larger than the
matrix of one direction.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle, islice

import numpy as np

from ..compiled import compiled

# Pairs are counted in a square table as long as it has no more elements than this, or than this many times the pixels.
_SMALL_TABLE = 1 << 18
_PER_PIXEL = 8
# Runs and zones up to this size are counted in a table, the few longer ones in a list.
_LONGEST = 64

Entries = tuple[np.ndarray, np.ndarray, np.ndarray]


def offsets(shape: tuple[int, int], distances: Iterable[int], both_ways: bool) -> list[tuple[int, int]]:
    """The steps (rows, columns) to neighbors, in pyradiomics' order.

    Parameters
    ----------
    shape : tuple of int
        Of the whole array that pyradiomics is given: steps that are as long as it do not exist.
    distances : iterable of int
        In the infinity norm.
    both_ways : bool
        Also the opposite of every step.

    Returns
    -------
    list of tuple of int

    Raises
    ------
    RuntimeError
        Where there are none, as pyradiomics does.
    """
    wanted = [int(distance) for distance in distances]
    n_steps = 0
    for distance in wanted if all(distance >= 1 for distance in wanted) else ():
        reach = [distance if distance < size else size - 1 for size in shape]
        inner = [distance - 1 if distance < size else size - 1 for size in shape]
        n_steps += (2 * reach[0] + 1) * (2 * reach[1] + 1) - (2 * inner[0] + 1) * (2 * inner[1] + 1)
    if not both_ways:
        n_steps //= 2
    if n_steps == 0:
        raise RuntimeError("The region has no neighbors at the distances asked for.")
    far = max(wanted)
    every = [
        (dy, dx)
        for dy in range(far, -far - 1, -1)
        for dx in range(far, -far - 1, -1)
        if max(abs(dy), abs(dx)) in wanted and abs(dy) < shape[0] and abs(dx) < shape[1]
    ]
    # A distance that is given twice goes on with the opposite directions.
    return list(islice(cycle(every), n_steps))


def cooccurrences(indices: np.ndarray, margin: int, n_levels: int, step: tuple[int, int], symmetrical: bool) -> Entries:
    """Counts of pairs of gray levels in one direction, without the zeros.

    Parameters
    ----------
    indices : np.ndarray of int32, shape (rows, columns)
    margin : int
    n_levels : int
    step : tuple of int
        Rows and columns to the neighbor.
    symmetrical : bool
        Count every pair in both orders.

    Returns
    -------
    rows, columns : np.ndarray of int64, shape (n_entries,)
        Positions of the two gray levels, sorted.
    counts : np.ndarray of int64, shape (n_entries,)
    """
    if n_levels * n_levels <= max(_SMALL_TABLE, _PER_PIXEL * indices.size):
        table = np.zeros((n_levels + 1, n_levels + 1), dtype=np.int32)
        _count_pairs(indices, margin, step[0], step[1], table)
        return _entries_of_table(table, symmetrical)
    keys = _pair_keys(indices, margin, step[0], step[1], n_levels, symmetrical)
    keys.sort()
    return _entries_of_keys(keys, n_levels)


def run_lengths(
    indices: np.ndarray, margin: int, n_levels: int, step: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Gray level run length matrix of one direction.

    Parameters
    ----------
    indices : np.ndarray of int32, shape (rows, columns)
    margin : int
    n_levels : int
    step : tuple of int
        Rows and columns to the next pixel, one at most, forward in the image's memory.

    Returns
    -------
    matrix : np.ndarray of int64, shape (n_levels, n_lengths)
        No runs at all where no line in this direction holds two pixels of the region, as in pyradiomics.
    lengths : np.ndarray of float, shape (n_lengths,)
    """
    table, levels, lengths = _runs(indices, margin, step[0], step[1], n_levels)
    if len(lengths) == 0 and not table[1:, 2:].any() and not _shares_a_line(indices, step[0], step[1]):
        return np.zeros((n_levels, 0), dtype=np.int64), np.zeros(0)
    return _joined(table, levels, lengths)


def zone_sizes(indices: np.ndarray, n_levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Gray level size zone matrix of 8-connected zones.

    Parameters
    ----------
    indices : np.ndarray of int32, shape (rows, columns)
    n_levels : int

    Returns
    -------
    matrix : np.ndarray of int64, shape (n_levels, n_sizes)
    sizes : np.ndarray of float, shape (n_sizes,)
    """
    return _joined(*_zones(indices, n_levels))


def _joined(table: np.ndarray, levels: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The table of small sizes, without row 0 and column 0, and what is in the list."""
    matrix, small = np.ascontiguousarray(table[1:, 1:]), np.arange(1.0, _LONGEST + 1)
    if len(sizes) == 0:
        return matrix, small
    different, columns = np.unique(sizes, return_inverse=True)
    added = np.zeros((len(matrix), len(different)), dtype=np.int64)
    np.add.at(added, (levels - 1, columns.reshape(-1)), 1)
    return np.hstack((matrix, added)), np.concatenate((small, different.astype(float)))


def neighborhoods(
    indices: np.ndarray, margin: int, gray_levels: np.ndarray, steps: list[tuple[int, int]], alpha: int
) -> tuple[np.ndarray, np.ndarray]:
    """Gray level dependence matrix and neighboring gray tone differences in one pass.

    Parameters
    ----------
    indices : np.ndarray of int32, shape (rows, columns)
    margin : int
    gray_levels : np.ndarray of int64, shape (n_levels,)
    steps : list of tuple of int
        To all neighbors.
    alpha : int
        Largest difference of gray levels at which a neighbor counts as dependent.

    Returns
    -------
    dependence : np.ndarray of int64, shape (n_levels, len(steps) + 1)
        By the number of dependent neighbors.
    differences : np.ndarray of float, shape (n_levels,)
        Sums of absolute differences from the neighbors' mean.
    """
    moves = np.array([dy * indices.shape[1] + dx for dy, dx in steps], dtype=np.int64)
    dependence = np.zeros((len(gray_levels) + 1, len(steps) + 1), dtype=np.int64)
    differences = np.zeros(len(gray_levels) + 1)
    levels = indices
    if gray_levels[-1] > len(gray_levels):
        levels = np.concatenate(([0], gray_levels)).astype(np.int32)[indices]
    _neighborhoods(indices, levels, margin, moves, alpha, dependence, differences)
    return np.ascontiguousarray(dependence[1:]), differences[1:]


@compiled
def _count_pairs(indices, margin, dy, dx, table):
    columns = indices.shape[1]
    pixels, width, move = indices.ravel(), columns - 2 * margin, dy * columns + dx
    for y in range(margin, indices.shape[0] - margin):
        start = y * columns + margin
        here, there = pixels[start : start + width], pixels[start + move : start + move + width]
        # Pairs with a pixel outside go into row 0 or column 0, which is faster than to ask.
        for x in range(width):
            table[here[x], there[x]] += 1


@compiled
def _entries_of_table(table, symmetrical):
    n = table.shape[0]
    if symmetrical:
        for i in range(1, n):
            table[i, i] *= 2
            for j in range(1, i):
                table[i, j] += table[j, i]
                table[j, i] = table[i, j]
    size = 0
    for i in range(1, n):
        for j in range(1, n):
            size += table[i, j] > 0
    rows, columns = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    counts = np.empty(size, dtype=np.int64)
    size = 0
    for i in range(1, n):
        for j in range(1, n):
            if table[i, j] > 0:
                rows[size], columns[size], counts[size] = i - 1, j - 1, table[i, j]
                size += 1
    return rows, columns, counts


@compiled
def _pair_keys(indices, margin, dy, dx, n_levels, symmetrical):
    # One number per pair, so that sorting brings equal pairs together.
    keys = np.empty((2 if symmetrical else 1) * indices.size, dtype=np.int64)
    size = 0
    for y in range(margin, indices.shape[0] - margin):
        for x in range(margin, indices.shape[1] - margin):
            here, there = np.int64(indices[y, x]) - 1, np.int64(indices[y + dy, x + dx]) - 1
            if here >= 0 and there >= 0:
                keys[size] = here * n_levels + there
                size += 1
                if symmetrical:
                    keys[size] = there * n_levels + here
                    size += 1
    return keys[:size].copy()


@compiled
def _entries_of_keys(keys, n_levels):
    size = 0
    for position in range(keys.size):
        size += position == 0 or keys[position] != keys[position - 1]
    rows, columns = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    counts = np.zeros(size, dtype=np.int64)
    size = 0
    for position in range(keys.size):
        if position == 0 or keys[position] != keys[position - 1]:
            rows[size], columns[size] = keys[position] // n_levels, keys[position] % n_levels
            size += 1
        counts[size - 1] += 1
    return rows, columns, counts


@compiled
def _runs(indices, margin, dy, dx, n_levels):
    columns = indices.shape[1]
    pixels, width, move = indices.ravel(), columns - 2 * margin, dy * columns + dx
    # The lengths so far in this row and the one above, with a pixel to each side.
    both_rows = np.zeros((2, width + 2), dtype=np.int32)
    table = np.zeros((n_levels + 1, _LONGEST + 1), dtype=np.int64)
    levels = np.empty(pixels.size // _LONGEST + 1, dtype=np.int32)
    lengths = np.empty(pixels.size // _LONGEST + 1, dtype=np.int32)
    n_long = 0
    for y in range(margin, indices.shape[0] - margin):
        start = y * columns + margin
        here, before = pixels[start : start + width], pixels[start - move : start - move + width]
        after = pixels[start + move : start + move + width]
        length = both_rows[y % 2, 1 : width + 1]
        length_before = both_rows[(y - dy) % 2, 1 - dx : 1 - dx + width]
        if dy == 0:
            run = np.int32(0)
            for x in range(width):
                run = run + np.int32(1) if here[x] == before[x] else np.int32(1)
                length[x] = run
        else:
            for x in range(width):
                length[x] = length_before[x] + 1 if here[x] == before[x] else 1
        for x in range(width):
            # Of most pixels it is not foreseeable whether a run ends there, so adding 0 is faster than to ask.
            if length[x] <= _LONGEST:
                table[here[x], length[x]] += here[x] != after[x]
            elif here[x] > 0 and here[x] != after[x]:
                levels[n_long], lengths[n_long] = here[x], length[x]
                n_long += 1
    return table, levels[:n_long], lengths[:n_long]


@compiled
def _shares_a_line(indices, dy, dx):
    rows, columns = indices.shape
    seen = np.zeros(rows * abs(dx) + columns * abs(dy) + 1, dtype=np.bool_)
    for y in range(rows):
        for x in range(columns):
            if indices[y, x] > 0:
                # The same for all pixels of a line, and never negative.
                line = x * dy - y * dx if dx <= 0 else x * dy + (rows - 1 - y) * dx
                if seen[line]:
                    return True
                seen[line] = True
    return False


@compiled
def _zones(indices, n_levels):
    columns = indices.shape[1]
    pixels = indices.ravel()
    # The labels of the row above and of this one.
    both_rows = np.zeros((2, columns), dtype=np.int32)
    # Of every label: another label of the same zone or itself, its pixels, its gray level.
    parent, size = np.empty(pixels.size, dtype=np.int32), np.zeros(pixels.size, dtype=np.int32)
    level_of = np.empty(pixels.size, dtype=np.int32)
    n_labels = 0
    # The margin makes the first and the last row and column empty.
    for y in range(1, indices.shape[0] - 1):
        row, row_above = pixels[y * columns : (y + 1) * columns], pixels[(y - 1) * columns : y * columns]
        labels, above = both_rows[y % 2], both_rows[(y - 1) % 2]
        for x in range(1, columns - 1):
            level = row[x]
            if level == 0:
                continue
            if row_above[x] == level:
                # All other neighbors seen so far touch the one above.
                label = above[x]
            else:
                label = np.int32(-1)
                if row[x - 1] == level:
                    label = labels[x - 1]
                elif row_above[x - 1] == level:
                    label = above[x - 1]
                if row_above[x + 1] == level:
                    if label < 0:
                        label = above[x + 1]
                    elif above[x + 1] != label:
                        _join(parent, label, above[x + 1])
                elif label < 0:
                    label = np.int32(n_labels)
                    parent[label], level_of[label] = label, level
                    n_labels += 1
            labels[x] = label
            size[label] += 1
    return _zone_table(parent[:n_labels], size, level_of, n_levels)


@compiled
def _join(parent, a, b):
    while parent[a] != a:
        parent[a] = parent[parent[a]]
        a = parent[a]
    while parent[b] != b:
        parent[b] = parent[parent[b]]
        b = parent[b]
    parent[max(a, b)] = min(a, b)


@compiled
def _zone_table(parent, size, level_of, n_levels):
    # A label's parent is never a later one, so from the end all pixels arrive at the first label of their zone.
    for label in range(parent.size - 1, -1, -1):
        if parent[label] != label:
            size[parent[label]] += size[label]
    table = np.zeros((n_levels + 1, _LONGEST + 1), dtype=np.int64)
    levels = np.empty(parent.size, dtype=np.int32)
    sizes = np.empty(parent.size, dtype=np.int32)
    n_large = 0
    for label in range(parent.size):
        if parent[label] == label:
            if size[label] <= _LONGEST:
                table[level_of[label], size[label]] += 1
            else:
                levels[n_large], sizes[n_large] = level_of[label], size[label]
                n_large += 1
    return table, levels[:n_large], sizes[:n_large]


@compiled
def _neighborhoods(indices, levels, margin, moves, alpha, dependence, differences):
    columns = indices.shape[1]
    width = columns - 2 * margin
    pixels, image = indices.ravel(), levels.ravel()
    count, total = np.empty(width, dtype=np.int32), np.empty(width, dtype=np.int32)
    dependent = np.empty(width, dtype=np.int32)
    away = np.empty(width)
    for y in range(margin, indices.shape[0] - margin):
        start = y * columns + margin
        here = image[start : start + width]
        # Whole rows at a time: these loops run in the vector units.
        for x in range(width):
            count[x], total[x], dependent[x] = 0, 0, 0
        for move in moves:
            there = image[start + move : start + move + width]
            for x in range(width):
                inside = np.int32(there[x] > 0)
                count[x] += inside
                total[x] += there[x]
                dependent[x] += inside & np.int32(abs(here[x] - there[x]) <= alpha)
        for x in range(width):
            away[x] = abs(here[x] - total[x] / max(count[x], 1))
        position = pixels[start : start + width]
        for x in range(width):
            if position[x] > 0:
                dependence[position[x], dependent[x]] += 1
                if count[x] > 0:
                    differences[position[x]] += away[x]
