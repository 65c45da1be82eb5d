"""Texture matrices of one discretized region, compiled.

All of them take the indices of :class:`discretization.DiscretizedRegion`: an int32 image that is 0 outside the region
and ``k + 1`` at the ``k``-th gray level that occurs. Its margin is at least as wide as the largest offset, so no kernel
checks for the border of the image; and they run over its spans, the pixels of the region that lie side by side in a
row, because a ring leaves most of its box empty. Gray levels that do not occur take no memory, and nothing here is
larger than the matrix of one direction. All but :func:`offsets` can be called from compiled code and from Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle, islice

import numpy as np

from ..compiled import compiled

# Pairs are counted in a square table as long as it has no more elements than this, or than this many times the pixels.
_SMALL_TABLE = 1 << 18
_PER_PIXEL = 8
_TILE = 32
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


@compiled
def cooccurrences(indices, spans, n_levels, dy, dx, symmetrical):
    """Counts of pairs of gray levels in one direction, without the zeros.

    Parameters
    ----------
    indices : np.ndarray of int32, shape (rows, columns)
    spans : np.ndarray of int64, shape (n_spans, 2)
    n_levels : int
    dy, dx : int
        Rows and columns to the neighbor.
    symmetrical : bool
        Count every pair in both orders.

    Returns
    -------
    rows, columns : np.ndarray of int32, shape (n_entries,)
        Positions of the two gray levels, by row.
    counts : np.ndarray of int32, shape (n_entries,)
    """
    if n_levels * n_levels <= max(_SMALL_TABLE, _PER_PIXEL * indices.size):
        table = np.zeros((n_levels + 1, n_levels + 1), dtype=np.int32)
        _count_pairs(indices, spans, dy, dx, table)
        return _entries_of_table(table, symmetrical)
    ones, others = _pairs(indices, spans, dy, dx, symmetrical)
    return _entries_of_pairs(ones, others, n_levels)


@compiled
def run_lengths(indices, spans, n_levels, dy, dx):
    """Gray level run length matrix of one direction.

    Parameters
    ----------
    indices : np.ndarray of int32, shape (rows, columns)
    spans : np.ndarray of int64, shape (n_spans, 2)
    n_levels : int
    dy, dx : int
        Rows and columns to the next pixel, one at most, forward in the image's memory.

    Returns
    -------
    matrix : np.ndarray of int64, shape (n_levels, n_lengths)
        No runs at all where no line in this direction holds two pixels of the region, as in pyradiomics.
    lengths : np.ndarray of float, shape (n_lengths,)
    """
    table, levels, lengths = _runs(indices, spans, dy, dx, n_levels)
    if lengths.size == 0 and not _any_pair(table) and not _shares_a_line(indices, dy, dx):
        return np.zeros((n_levels, 0), dtype=np.int64), np.zeros(0)
    return _joined(table, levels, lengths)


@compiled
def zone_sizes(indices, spans, n_levels):
    """Gray level size zone matrix of 8-connected zones.

    Parameters
    ----------
    indices : np.ndarray of int32, shape (rows, columns)
    spans : np.ndarray of int64, shape (n_spans, 2)
    n_levels : int

    Returns
    -------
    matrix : np.ndarray of int64, shape (n_levels, n_sizes)
    sizes : np.ndarray of float, shape (n_sizes,)
    """
    table, levels, sizes = _zones(indices, spans, n_levels)
    return _joined(table, levels, sizes)


@compiled
def neighborhoods(indices, spans, gray_levels, steps, alpha):
    """Gray level dependence matrix and neighboring gray tone differences in one pass.

    Parameters
    ----------
    indices : np.ndarray of int32, shape (rows, columns)
    spans : np.ndarray of int64, shape (n_spans, 2)
    gray_levels : np.ndarray of int64, shape (n_levels,)
    steps : np.ndarray of int64, shape (n_neighbors, 2)
        Rows and columns to all neighbors.
    alpha : int
        Largest difference of gray levels at which a neighbor counts as dependent.

    Returns
    -------
    dependence : np.ndarray of int64, shape (n_levels, n_neighbors + 1)
        By the number of dependent neighbors.
    differences : np.ndarray of float, shape (n_levels,)
        Sums of absolute differences from the neighbors' mean.
    """
    moves = np.empty(len(steps), dtype=np.int64)
    for k in range(moves.size):
        moves[k] = steps[k, 0] * indices.shape[1] + steps[k, 1]
    n_levels = gray_levels.size
    dependence = np.zeros((n_levels + 1, moves.size + 1), dtype=np.int64)
    differences = np.zeros(n_levels + 1)
    _add_neighborhoods(indices, _levels_at(indices, gray_levels), spans, moves, alpha, dependence, differences)
    return dependence[1:], differences[1:]


@compiled
def _levels_at(indices, gray_levels):
    """The gray level of every pixel: the index itself where no level is left out."""
    if gray_levels[-1] == gray_levels.size:
        return indices
    levels = np.empty(indices.shape, dtype=np.int32)
    for y in range(indices.shape[0]):
        for x in range(indices.shape[1]):
            levels[y, x] = gray_levels[indices[y, x] - 1] if indices[y, x] > 0 else 0
    return levels


@compiled
def _any_pair(table):
    """Whether any run is longer than one pixel."""
    for level in range(1, table.shape[0]):
        for length in range(2, table.shape[1]):
            if table[level, length] > 0:
                return True
    return False


@compiled
def _joined(table, levels, sizes):
    """The table of small sizes, without row 0 and column 0, and a column for each size that is in the list."""
    n_levels, n_columns, largest = table.shape[0] - 1, _LONGEST, _LONGEST
    for size in sizes:
        largest = max(largest, size)
    column_of = np.full(largest + 1, -1)
    for size in sizes:
        if column_of[size] < 0:
            column_of[size] = n_columns
            n_columns += 1
    matrix, found = np.zeros((n_levels, n_columns), dtype=np.int64), np.empty(n_columns)
    for column in range(_LONGEST):
        found[column] = column + 1.0
        for level in range(n_levels):
            matrix[level, column] = table[level + 1, column + 1]
    for k in range(sizes.size):
        column = column_of[sizes[k]]
        found[column] = sizes[k]
        matrix[levels[k] - 1, column] += 1
    return matrix, found


@compiled
def _count_pairs(indices, spans, dy, dx, table):
    pixels, move = indices.ravel(), dy * indices.shape[1] + dx
    for k in range(len(spans)):
        start, length = spans[k, 0], spans[k, 1]
        here, there = pixels[start : start + length], pixels[start + move : start + move + length]
        # Pairs with a pixel outside go into column 0, which is faster than to ask.
        for x in range(length):
            table[here[x], there[x]] += 1


@compiled
def _entries_of_table(table, symmetrical):
    n = table.shape[0]
    if symmetrical:
        _add_transposed(table)
    size = 0
    for i in range(1, n):
        for j in range(1, n):
            size += table[i, j] > 0
    rows, columns, counts = _empty_entries(size)
    size = 0
    for i in range(1, n):
        for j in range(1, n):
            if table[i, j] > 0:
                rows[size], columns[size], counts[size] = i - 1, j - 1, table[i, j]
                size += 1
    return rows, columns, counts


@compiled
def _add_transposed(table):
    n = table.shape[0]
    # Tile by tile, because what is mirrored lies far apart in memory.
    for rows in range(0, n, _TILE):
        for columns in range(0, rows + 1, _TILE):
            for i in range(rows, min(rows + _TILE, n)):
                for j in range(columns, min(columns + _TILE, i + 1)):
                    table[i, j] += table[j, i]
                    table[j, i] = table[i, j]


@compiled
def _empty_entries(size):
    return np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)


@compiled
def _pairs(indices, spans, dy, dx, symmetrical):
    """All pairs as two lists."""
    most = spans[:, 1].sum() * (2 if symmetrical else 1)
    ones, others = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    pixels, move, size = indices.ravel(), dy * indices.shape[1] + dx, 0
    for k in range(len(spans)):
        start, length = spans[k, 0], spans[k, 1]
        for position in range(start, start + length):
            here, there = pixels[position] - 1, pixels[position + move] - 1
            if there >= 0:
                ones[size], others[size] = here, there
                size += 1
                if symmetrical:
                    ones[size], others[size] = there, here
                    size += 1
    return ones[:size], others[:size]


@compiled
def _entries_of_pairs(ones, others, n_levels):
    # Pairs of the first gray level, then those of the second, and so on.
    ends, ordered = np.zeros(n_levels + 1, dtype=np.int64), np.empty(ones.size, dtype=np.int32)
    for one in ones:
        ends[one + 1] += 1
    for level in range(n_levels):
        ends[level + 1] += ends[level]
    for k in range(ones.size):
        ordered[ends[ones[k]]] = others[k]
        ends[ones[k]] += 1
    rows, columns, counts = _empty_entries(ones.size)
    # Which entry a column has; one of an earlier row lies before this row's first.
    entry_of, size, position = np.full(n_levels, -1), 0, 0
    for level in range(n_levels):
        first = size
        for k in range(position, ends[level]):
            other = ordered[k]
            if entry_of[other] < first:
                entry_of[other] = size
                rows[size], columns[size], counts[size] = level, other, 0
                size += 1
            counts[entry_of[other]] += 1
        position = ends[level]
    return rows[:size], columns[:size], counts[:size]


@compiled
def _runs(indices, spans, dy, dx, n_levels):
    columns = indices.shape[1]
    pixels, move = indices.ravel(), dy * columns + dx
    # The lengths so far in this row and the one above. What is not of the region is never read.
    both_rows = np.zeros((2, columns), dtype=np.int32)
    table = np.zeros((n_levels + 1, _LONGEST + 1), dtype=np.int64)
    levels = np.empty(pixels.size // _LONGEST + 1, dtype=np.int32)
    lengths = np.empty(pixels.size // _LONGEST + 1, dtype=np.int32)
    n_long = 0
    for k in range(len(spans)):
        start, width = spans[k, 0], spans[k, 1]
        here, before = pixels[start : start + width], pixels[start - move : start - move + width]
        after = pixels[start + move : start + move + width]
        y, first = start // columns, start % columns
        length = both_rows[y % 2, first : first + width]
        if dy == 0:
            run = np.int32(0)
            for x in range(width):
                run = run + np.int32(1) if here[x] == before[x] else np.int32(1)
                length[x] = run
        else:
            length_before = both_rows[(y - dy) % 2, first - dx : first - dx + width]
            for x in range(width):
                length[x] = length_before[x] + 1 if here[x] == before[x] else 1
        for x in range(width):
            # Of most pixels it is not foreseeable whether a run ends there, so adding 0 is faster than to ask.
            if length[x] <= _LONGEST:
                table[here[x], length[x]] += here[x] != after[x]
            elif here[x] != after[x]:
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
def _zones(indices, spans, n_levels):
    columns = indices.shape[1]
    pixels = indices.ravel()
    # The labels of the row above and of this one. What is not of the region is never read.
    both_rows = np.zeros((2, columns), dtype=np.int32)
    n_pixels, n_labels = spans[:, 1].sum(), 0
    # Of every label: another label of the same zone or itself, its pixels, its gray level.
    parent, size = np.empty(n_pixels, dtype=np.int32), np.zeros(n_pixels, dtype=np.int32)
    level_of = np.empty(n_pixels, dtype=np.int32)
    for k in range(len(spans)):
        start, width = spans[k, 0], spans[k, 1]
        y, first = start // columns, start % columns
        row_above, row = pixels[(y - 1) * columns : y * columns], pixels[y * columns : (y + 1) * columns]
        labels, above = both_rows[y % 2], both_rows[(y - 1) % 2]
        for x in range(first, first + width):
            level = row[x]
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
def _add_neighborhoods(indices, levels, spans, moves, alpha, dependence, differences):
    pixels, image, longest = indices.ravel(), levels.ravel(), indices.shape[1]
    count, total = np.empty(longest, dtype=np.int32), np.empty(longest, dtype=np.int32)
    dependent, away = np.empty(longest, dtype=np.int32), np.empty(longest)
    for k in range(len(spans)):
        start, width = spans[k, 0], spans[k, 1]
        here, position = image[start : start + width], pixels[start : start + width]
        # All pixels of a span at a time: these loops run in the vector units.
        for x in range(width):
            count[x], total[x], dependent[x] = 0, 0, 0
        for neighbor in range(moves.size):
            move = moves[neighbor]
            there = image[start + move : start + move + width]
            for x in range(width):
                inside = np.int32(there[x] > 0)
                count[x] += inside
                total[x] += there[x]
                dependent[x] += inside & np.int32(abs(here[x] - there[x]) <= alpha)
        for x in range(width):
            away[x] = abs(here[x] - total[x] / max(count[x], 1))
        for x in range(width):
            dependence[position[x], dependent[x]] += 1
            if count[x] > 0:
                differences[position[x]] += away[x]
