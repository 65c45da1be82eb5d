"""Matrices counted another way: by loops in Python, and by SciPy's labels."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from engine_reference import discretized, random_mask
from scipy.ndimage import gaussian_filter, label

from HER2NomogramLib.engine import matrices
from HER2NomogramLib.engine.matrices import cooccurrences, neighborhoods, offsets, run_lengths, zone_sizes


def levels_of(seed, shape=(23, 31), bins=5, smooth=1.0, margin=1):
    rng = np.random.default_rng(seed)
    image = gaussian_filter(rng.standard_normal(shape), smooth)
    mask = random_mask(rng, shape)
    return discretized(image, mask, bin_count=bins, margin=margin)


@pytest.mark.parametrize("symmetrical", [True, False])
@pytest.mark.parametrize("distance", [1, 2])
def test_pairs_counted_one_by_one(symmetrical, distance):
    for seed in range(8):
        levels = levels_of(seed, margin=distance)
        n = len(levels.gray_levels)
        for step in offsets((23, 31), (distance,), False):
            expected = Counter()
            for (row, column), one in np.ndenumerate(levels.indices):
                there = (row + step[0], column + step[1])
                if one and all(0 <= part < size for part, size in zip(there, levels.indices.shape)):
                    other = levels.indices[there]
                    if other:
                        expected[one - 1, other - 1] += 1
                        if symmetrical:
                            expected[other - 1, one - 1] += 1
            found = cooccurrences(levels.indices, levels.spans, n, *step, symmetrical)
            assert {(i, j): count for i, j, count in zip(*(part.tolist() for part in found))} == expected


def test_pairs_in_a_table_or_in_a_list():
    rng = np.random.default_rng(0)
    mask = random_mask(rng, (50, 50))
    levels = discretized(rng.random((50, 50)), mask, bin_width=0.01)
    n = len(levels.gray_levels)
    for symmetrical in (True, False):
        for step in offsets(mask.shape, (1,), False):
            tables = []
            for entries in (
                cooccurrences(levels.indices, levels.spans, n, *step, symmetrical),
                matrices._entries_of_pairs(*matrices._pairs(levels.indices, levels.spans, *step, symmetrical), n),
            ):
                rows, columns, counts = entries
                assert len(set(zip(rows.tolist(), columns.tolist()))) == len(rows) and counts.min() > 0
                tables.append(np.zeros((n, n), dtype=np.int32))
                tables[-1][rows, columns] = counts
            np.testing.assert_array_equal(*tables)


def test_runs_counted_one_by_one():
    for seed in range(8):
        levels = levels_of(seed, bins=3)
        image, n = levels.indices, len(levels.gray_levels)
        for step in offsets((23, 31), (1,), False):
            expected = Counter()
            for (row, column), level in np.ndenumerate(image):
                if not level or image[row - step[0], column - step[1]] == level:
                    continue
                length = 1
                while image[row + length * step[0], column + length * step[1]] == level:
                    length += 1
                expected[level, length] += 1
            matrix, lengths = run_lengths(image, levels.spans, n, *step)
            found = {
                (position + 1, int(length)): int(matrix[position, at])
                for position in range(n)
                for at, length in enumerate(lengths)
                if matrix[position, at]
            }
            assert found == expected


@pytest.mark.parametrize("smooth", [0.0, 1.0, 4.0])
def test_zones_as_scipy_labels_them(smooth):
    for seed in range(4):
        levels = levels_of(seed, (70, 90), smooth=smooth)
        matrix, sizes = zone_sizes(levels.indices, levels.spans, len(levels.gray_levels))
        for position in range(len(levels.gray_levels)):
            labels, _ = label(levels.indices == position + 1, np.ones((3, 3)))
            expected = np.sort(np.bincount(labels.ravel())[1:])
            np.testing.assert_array_equal(np.sort(np.repeat(sizes, matrix[position])), expected)


@pytest.mark.parametrize("alpha", [0, 1])
def test_dependences_and_differences_counted_one_by_one(alpha):
    for seed in range(6):
        levels = levels_of(seed)
        image, gray = levels.indices, levels.gray_levels
        steps = np.array(offsets((23, 31), (1,), True))
        assert len(steps) == 8
        dependence, differences = neighborhoods(image, levels.spans, gray, steps, alpha)
        expected, apart = Counter(), np.zeros(len(gray))
        for (row, column), level in np.ndenumerate(image):
            if not level:
                continue
            near = [image[row + step[0], column + step[1]] for step in steps]
            near = [int(gray[other - 1]) for other in near if other]
            own = int(gray[level - 1])
            expected[level - 1, sum(abs(other - own) <= alpha for other in near)] += 1
            if near:
                apart[level - 1] += abs(own - np.mean(near))
        dependence = np.asarray(dependence)
        offset = dependence.shape[1] - 9  # a column for no dependent neighbor up to all eight
        assert {(int(i), int(j) - offset): int(dependence[i, j]) for i, j in zip(*np.nonzero(dependence))} == expected
        np.testing.assert_allclose(differences, apart, rtol=1e-12, atol=1e-12)
