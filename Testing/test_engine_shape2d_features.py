"""Shapes against pyradiomics' class and against numbers calculated by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from engine_reference import assert_same_features, random_mask, reference_shape

from HER2NomogramLib.engine.one_region import compute_shape

SPACINGS = ((1.0, 1.0, 1.0), (0.1, 0.1, 1.0), (0.31, 0.7, 3.0))


@pytest.mark.parametrize("start", range(0, 150, 50))
def test_random_regions_as_pyradiomics(start):
    for seed in range(start, start + 50):
        rng = np.random.default_rng(seed)
        mask = random_mask(rng, (int(rng.integers(1, 60)), int(rng.integers(1, 60))))
        spacing = SPACINGS[seed % 3]
        assert_same_features(compute_shape(mask, spacing), reference_shape(mask, spacing), f"{seed}", 1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 2), (70, 70)])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_lines_squares_and_diagonals_as_pyradiomics(shape, spacing):
    for mask in (np.ones(shape, dtype=bool), np.eye(*shape, dtype=bool), np.eye(*shape, dtype=bool)[::-1]):
        assert_same_features(compute_shape(mask, spacing), reference_shape(mask, spacing), str(shape), 1e-12)


def test_a_rectangle_by_hand():
    """The outline runs through the middles of the edge between the pixels, and cuts the corners."""
    found = compute_shape(np.ones((10, 20), dtype=bool), (0.5, 2.0, 1.0))
    high, wide = 10 * 2.0, 20 * 0.5
    assert found["shape2D_PixelSurface"] == pytest.approx(high * wide)
    assert found["shape2D_MeshSurface"] == pytest.approx(high * wide - 4 * 0.5 * 1.0 * 0.25)
    straight = 2 * (high - 2.0) + 2 * (wide - 0.5)
    assert found["shape2D_Perimeter"] == pytest.approx(straight + 4 * math.hypot(1.0, 0.25))
    longest = max(math.hypot(high, wide - 0.5), math.hypot(high - 2.0, wide))
    assert found["shape2D_MaximumDiameter"] == pytest.approx(longest)
    assert found["shape2D_MajorAxisLength"] == pytest.approx(4 * 2.0 * math.sqrt(99 / 12))
    assert found["shape2D_MinorAxisLength"] == pytest.approx(4 * 0.5 * math.sqrt(399 / 12))


def test_the_mask_may_touch_the_border_and_is_left_alone():
    mask = random_mask(np.random.default_rng(5), (31, 47))
    mask.flags.writeable = False
    inside = np.pad(mask, ((3, 9), (4, 2)))
    spacing = (0.1, 0.2, 1.0)
    assert_same_features(compute_shape(mask, spacing), compute_shape(inside, spacing), relative=1e-13)
