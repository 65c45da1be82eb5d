"""The second eigenvalue by its shortcuts against all eigenvalues."""

from __future__ import annotations

import numpy as np
import pytest
from engine_reference import assert_same_features, discretized, engine_features, random_mask, reference_features
from scipy.ndimage import gaussian_filter

from HER2NomogramLib.engine.glcm_features import cooccurrence_features, cooccurrence_values
from HER2NomogramLib.engine.matrices import cooccurrences
from HER2NomogramLib.engine.maximal_correlation import by_all_eigenvalues, second_eigenvalue
from HER2NomogramLib.engine.one_region import EngineSettings


def by_definition(rows, columns, counts, n_levels):
    """pyradiomics' formula, of the gray levels that occur in this direction."""
    p = np.zeros((n_levels, n_levels))
    p[rows, columns] = counts / counts.sum()
    p = p[p.sum(1) > 0][:, p.sum(0) > 0]
    product = (p / (np.outer(p.sum(1), p.sum(0)) + np.spacing(1.0))) @ p.T
    return np.sort(np.linalg.eigvals(product).real)[-2]


def test_many_levels_by_all_eigenvalues():
    """The Lanczos way, also with gaps between the eigenvalues that are small."""
    n_compared = 0
    for seed in range(24):
        rng = np.random.default_rng(seed)
        image = gaussian_filter(rng.standard_normal((80, 80)), rng.choice([0.5, 2.0, 6.0, 15.0]))
        mask = random_mask(rng, image.shape)
        levels = discretized(image, mask, bin_count=int(rng.integers(40, 250)))
        n = len(levels.gray_levels)
        entries = cooccurrences(levels.indices, levels.spans, n, 1, 1, seed % 2 == 0)
        if n < 40 or not len(entries[0]):
            continue
        n_compared += 1
        found, certain = second_eigenvalue(*entries, n)
        assert certain and found == pytest.approx(by_definition(*entries, n), rel=1e-8)
    assert n_compared >= 12


@pytest.mark.parametrize("seed", range(1, 5))
def test_many_levels_in_separate_parts(seed):
    """Groups of gray levels that never meet, and rare levels for which epsilon counts."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((60, 60), dtype=bool)
    mask[2:35, 3:45] = True
    image = gaussian_filter(rng.standard_normal(mask.shape), 2.0) * 100
    for part in range(seed % 3):
        mask[45 + 5 * part, 10 * part : 10 * part + 2 + part] = True
        image[45 + 5 * part] += 500.0 * (part + 1)
    setting = {"binWidth": 0.7, "symmetricalGLCM": seed > 2}
    ours = engine_features(image, mask, EngineSettings.from_pyradiomics(setting), classes=("glcm",))
    assert_same_features(ours, reference_features(image, mask, setting, classes=("glcm",)), f"{seed}")


def test_two_groups_that_never_meet_have_a_correlation_of_one():
    image = np.repeat([[10.0], [20.0], [0.0], [110.0], [120.0]], 60, axis=1)
    image[:2] += 3 * (np.arange(60) % 3)
    image[3:] += 3 * (np.arange(60) % 3)
    mask = np.ones(image.shape, dtype=bool)
    mask[2] = False
    found = engine_features(image, mask, EngineSettings(bin_width=1.0), classes=("glcm",))
    assert found["glcm_MCC"] == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_a_group_that_hardly_occurs(seed):
    """Among ten million pairs epsilon takes a part of its eigenvalue that is not small."""
    rng = np.random.default_rng(seed)
    n_common, n_rare = int(rng.choice([4, 15, 40])), int(rng.integers(1, 5))
    apart = np.abs(np.subtract.outer(np.arange(n_common), np.arange(n_common)))
    common = np.exp(-(apart**2) / 2 / rng.choice([0.7, 2.0, 8.0]) ** 2)
    table = np.zeros((n_common + n_rare,) * 2, dtype=np.int32)
    table[:n_common, :n_common] = rng.poisson(1e7 * common / common.sum())
    table[n_common:, n_common:] = np.triu(rng.integers(0, 3, (n_rare, n_rare)))
    table[n_common, n_common] += 1
    if seed % 2:
        table += table.T
    rows, columns = (part.astype(np.int32) for part in np.nonzero(table))
    entries = rows, columns, table[rows, columns]
    found, certain = second_eigenvalue(*entries, len(table))
    assert certain and found == pytest.approx(by_definition(*entries, len(table)), rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_an_eigenvalue_that_is_larger_by_little(seed):
    """One gray level meets all others; of those, all but one that the start of the steps hardly contains are alike."""
    rng = np.random.default_rng(seed)
    n_levels, special = ((70, 67), (120, 67), (235, 228), (235, 156), (300, 139), (120, 67))[seed]
    n_alike, share, beside = int(rng.integers(5, 45)), 10.0 ** -rng.uniform(4, 6), 30_000
    table = np.zeros((n_levels, n_levels), dtype=np.int64)
    table[0, 0] = 10_000_000
    table[0, 1:] = table[1:, 0] = beside
    alike = [level for level in range(1, n_levels) if level != special]
    for place, level in enumerate(alike):
        table[level, level] = 1_000_000 if place < n_alike else int(beside * rng.uniform(0, 1))
    table[special, special] = 1_000_000 + max(1, int(1_000_000 * share))
    rows, columns = (part.astype(np.int32) for part in np.nonzero(table))
    entries = rows, columns, table[rows, columns].astype(np.int32)
    found, certain = second_eigenvalue(*entries, n_levels)
    assert certain and found == pytest.approx(by_definition(*entries, n_levels), rel=1e-9)


def test_a_table_of_all_eigenvalues_has_only_levels_that_occur():
    rows = np.array([0, 3, 9_000_000], dtype=np.int32)
    found, certain = by_all_eigenvalues(rows, rows, np.array([5, 1, 2], dtype=np.int32))
    assert certain and found == pytest.approx(1.0, rel=1e-12)


def test_directions_without_a_pair():
    alone = discretized(np.array([[3.0]]), np.ones((1, 1), dtype=bool))
    steps = np.array([(1, 1), (1, 0), (1, -1), (0, 1)])
    values = cooccurrence_values(alone.indices, alone.spans, alone.gray_levels, steps, True)
    found = cooccurrence_features(values, pytest.fail, alone.gray_levels, True)
    assert found.pop("MCC") == 1.0
    assert np.isnan(list(found.values())).all()
