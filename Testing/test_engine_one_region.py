"""All texture and first-order features of one region against pyradiomics' own feature classes."""

from __future__ import annotations

import math
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from engine_reference import (
    CLASSES,
    PIXEL_TYPES,
    assert_same_features,
    engine_features,
    random_case,
    reference_features,
)
from scipy.ndimage import gaussian_filter

from HER2NomogramLib.engine.one_region import TEXTURE_CLASSES, EngineSettings
from HER2NomogramLib.regions import bounding_box


def assert_as_pyradiomics(image, mask, setting, note="", classes=tuple(CLASSES), spacing=(1.0, 1.0, 1.0)):
    """Also where both refuse; pyradiomics' extractor hands its classes the box of the region."""
    engine = EngineSettings.from_pyradiomics(setting)
    box = bounding_box(mask)
    try:
        theirs = reference_features(image[box], mask[box], setting, spacing, classes)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            engine_features(image, mask, engine, spacing, classes)
    else:
        ours = engine_features(image, mask, engine, spacing, classes)
        assert_same_features(ours, theirs, f"{note} {setting}")


@pytest.mark.parametrize("start", range(0, 160, 20))
def test_random_regions(start):
    for seed in range(start, start + 20):
        image, mask, setting = random_case(seed)
        note = f"seed {seed} {image.shape} {image.dtype} {int(mask.sum())} pixels"
        assert_as_pyradiomics(image, mask, setting, note, spacing=(0.5, 0.25, 2.0))


@pytest.mark.slow
def test_many_random_regions():
    for seed in range(1000, 4000):
        image, mask, setting = random_case(seed, largest=60)
        assert_as_pyradiomics(image, mask, setting, f"seed {seed}")


@pytest.mark.parametrize("start", range(0, 200, 50))
def test_few_pixels_and_levels(start):
    """Where most features are special cases and some are rounding."""
    for seed in range(start, start + 50):
        rng = np.random.default_rng(10_000 + seed)
        shape = (int(rng.integers(1, 7)), int(rng.integers(2, 7)))
        kind = PIXEL_TYPES[rng.integers(len(PIXEL_TYPES))]
        image = rng.integers(0, rng.choice([1, 2, 3, 6]), shape, endpoint=True).astype(kind)
        mask = rng.random(shape) < rng.choice([0.3, 0.7, 1.0])
        mask[rng.integers(shape[0]), rng.integers(shape[1])] = True
        setting = {"binWidth": 1.0, "symmetricalGLCM": bool(rng.integers(2))}
        assert_as_pyradiomics(image, mask, setting, f"seed {seed} {image.tolist()} {mask.astype(int).tolist()}")


@pytest.mark.parametrize("seed", range(0, 24, 2))
def test_few_pairs_of_many_levels(seed):
    """Directions with hardly a pair, where the second eigenvalue is zero but for rounding."""
    rng = np.random.default_rng(seed)
    mask = rng.random((15 + 2 * seed, 20)) < (0.04, 0.1, 0.3)[seed % 3]
    mask[0, :2] = True
    setting = {"binWidth": 1.0, "symmetricalGLCM": bool(seed // 2 % 2)}
    image = rng.integers(0, 400, mask.shape).astype(np.int16)
    assert_as_pyradiomics(image, mask, setting, f"{seed}", ("glcm",))


@pytest.mark.parametrize("n_levels", [1, 2, -33, 33, 64, -150, 200])
def test_larger_regions(n_levels):
    """Below zero: with matrices that are symmetrical."""
    symmetrical, n_levels = n_levels < 0, abs(n_levels)
    rng = np.random.default_rng(n_levels)
    y, x = np.mgrid[-45:46, -60:61]
    mask = (y / 44) ** 2 + (x / 59) ** 2 <= 1
    mask[40:50, 50:60] = False
    image = gaussian_filter(rng.standard_normal(mask.shape), 2) * 1000 + 30 * rng.standard_normal(mask.shape)
    assert_as_pyradiomics(image.astype(np.float32), mask, {"binCount": n_levels, "symmetricalGLCM": symmetrical})


@pytest.mark.parametrize("value", [0, 5, 25, 1.3, -7.7, 1e5 / 3])
@pytest.mark.parametrize("setting", [{"binWidth": 25.0}, {"binCount": 8}])
def test_flat_region(value, setting):
    mask = np.zeros((6, 9), dtype=bool)
    mask[1:5, 2:8] = True
    mask[2, 4] = False
    for kind in (np.float32, np.float64):
        assert_as_pyradiomics(np.full(mask.shape, value, dtype=kind), mask, setting, f"{value}")


@pytest.mark.parametrize("value", [0.0, 1.3, -7.7e4])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_region_that_is_flat_but_for_a_few_pixels(value, kind):
    """The robust deviation is nothing but rounding, which is exact in one order of the sum and not in another."""
    rng = np.random.default_rng(1)
    for n_others in (1, 17, 100, 101, 102, 103, 150):
        image = np.full((20, 51), value)
        others = rng.choice(image.size, 2 * n_others, replace=False)
        image.ravel()[others[::2]] = value - 100
        image.ravel()[others[1::2]] = value + 9.1
        mask = np.ones(image.shape, dtype=bool)
        assert_as_pyradiomics(image.astype(kind), mask, {"binCount": 8}, f"{n_others}", ("firstorder",))


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 9), (9, 1), (5, 5)])
@pytest.mark.parametrize("scattered", [False, True])
@pytest.mark.parametrize("distances", [[1], [3], [1, 1], [1, 4]])
def test_pixels_and_lines_give_or_fail_as_in_pyradiomics(shape, scattered, distances):
    rng = np.random.default_rng(sum(shape))
    image = (rng.random(shape) * 99).astype(np.int16)
    mask = np.ones(shape, dtype=bool)
    if scattered:
        mask.ravel()[1::2] = False
        mask.ravel()[6:] = False
    box = bounding_box(mask)
    for flat in (False, True):
        setting = {"binWidth": 1000.0 if flat else 5.0, "distances": distances}
        engine = EngineSettings.from_pyradiomics(setting)
        for name in CLASSES:
            try:
                theirs = reference_features(image[box], mask[box], setting, classes=(name,))
            except RuntimeError:
                with pytest.raises(RuntimeError):
                    engine_features(image, mask, engine, classes=(name,))
            else:
                ours = engine_features(image, mask, engine, classes=(name,))
                assert_same_features(ours, theirs, f"{name} {flat}")


@pytest.mark.parametrize("symmetrical", [True, False])
@pytest.mark.parametrize("n_levels", [250, 300])
def test_independent_levels_in_one_direction_among_many_levels(symmetrical, n_levels):
    """A row of many gray levels, and columns of two pixels whose pairs are independent: nothing but rounding."""
    if symmetrical:
        shares = ((3, 2), (7, 5), (20, 5))
        pairs = [(a, b) for a, n in shares for b, m in shares if a <= b for _ in range(n * m * (1 + (a < b)))]
    else:
        pairs = [(a, b) for a in (3, 7, 5) for b in (20, 31, 40, 41, 42)]
    image = np.zeros((8, max(n_levels, 3 * len(pairs) + 2)))
    mask = np.zeros(image.shape, dtype=bool)
    image[0, :n_levels], mask[0, :n_levels] = np.arange(n_levels) + 0.5, True
    for place, pair in enumerate(pairs):
        image[3:5, 3 * place + 1], mask[3:5, 3 * place + 1] = np.array(pair) + 0.5, True
    assert_as_pyradiomics(image, mask, {"binWidth": 1.0, "symmetricalGLCM": symmetrical}, classes=("glcm",))


def test_millions_of_pairs_of_levels_that_hardly_occur():
    """Epsilon is no small part of their share."""
    rng = np.random.default_rng(0)
    image = np.full((2600, 2600), 0.5)
    for row, column in rng.integers(0, 2598, (60, 2)):
        image[row : row + 2, column : column + 2] = rng.integers(1, 60, (2, 2)) + 0.5
    mask = np.ones(image.shape, dtype=bool)
    assert_as_pyradiomics(image, mask, {"binWidth": 1.0}, classes=("glcm",))


def test_one_level_without_a_pair_in_the_only_direction():
    """pyradiomics sums nothing there, whatever the level is."""
    image, mask = np.full((3, 1), 250, dtype=np.int32), np.array([[True], [False], [True]])
    assert_as_pyradiomics(image, mask, {"binCount": 8}, classes=("glcm",))
    assert engine_features(image, mask, EngineSettings(bin_count=8), classes=("glcm",))["glcm_InverseVariance"] == 0


def test_thousands_of_levels_in_little_memory():
    """20,000 gray levels: a dense matrix would take 3.2 GB per direction."""
    rng = np.random.default_rng(0)
    image = (gaussian_filter(rng.standard_normal((200, 200)), 1.5) * 1e5).astype(np.float32)
    mask = np.ones(image.shape, dtype=bool)
    engine_features(image[:50], mask[:50], EngineSettings(bin_count=20_000))
    tracemalloc.start()
    found = engine_features(image, mask, EngineSettings(bin_count=20_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
    assert all(math.isfinite(value) for value in found.values())


def test_threads_give_the_same():
    cases = [random_case(seed) for seed in range(12)]
    tasks = [(image, mask, EngineSettings.from_pyradiomics(setting)) for image, mask, setting in cases]
    alone = [engine_features(*task) for task in tasks]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda task: engine_features(*task), tasks * 5))
    for one, other in zip(alone * 5, together):
        np.testing.assert_equal(other, one)


def test_names_are_those_of_pyradiomics():
    found = engine_features(np.arange(36.0).reshape(6, 6), np.ones((6, 6), dtype=bool), classes=TEXTURE_CLASSES)
    assert len(found) == 24 + 16 + 16 + 14 + 5
    assert len(engine_features(np.eye(3), np.ones((3, 3), dtype=bool), classes=("firstorder",))) == 18
