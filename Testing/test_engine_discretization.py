"""Gray levels against pyradiomics' bin edges."""

from __future__ import annotations

import numpy as np
import pytest
from engine_reference import PIXEL_TYPES, discretized, engine_features, random_mask, reference_features
from hypothesis import given, settings
from hypothesis import strategies as st
from radiomics import imageoperations

from HER2NomogramLib.engine import discretization
from HER2NomogramLib.engine.discretization import bin_edges, gray_levels_of, pixels_of, spans_of
from HER2NomogramLib.engine.one_region import EngineSettings


@pytest.mark.parametrize("seed", range(12))
def test_spans_and_their_pixels(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 12)), int(rng.integers(1, 12)))
    mask = random_mask(rng, shape)
    spans = spans_of(mask)
    again = np.zeros(shape, dtype=int)
    for row, column, length in spans:
        again[row, column : column + length] += 1
        # A span ends where the region does.
        assert not mask[row, column - 1 : column].any() and not mask[row, column + length : column + length + 1].any()
    np.testing.assert_array_equal(again, mask)
    image = rng.integers(0, 200, (20, 23)).astype(PIXEL_TYPES[seed % len(PIXEL_TYPES)])
    found = pixels_of(image, 5, 7, spans)
    np.testing.assert_array_equal(found, image[5 : 5 + shape[0], 7 : 7 + shape[1]][mask], strict=True)


@pytest.mark.parametrize("kind", PIXEL_TYPES)
@pytest.mark.parametrize("setting", [{"binWidth": 25.0}, {"binWidth": 0.1}, {"binWidth": 7}, {"binCount": 16}])
def test_gray_levels(kind, setting):
    """Also at the edges of the bins, and where the sum of an 8-bit value and the bin width overflows."""
    rng = np.random.default_rng(3)
    for span in (0.0, 1.0, 100.0, 249.0):
        values = np.clip(np.round(rng.random(500) * span * 4) / 4, 0, None).astype(kind)
        with np.errstate(over="ignore"):
            edges = np.asarray(imageoperations.getBinEdges(values, **setting))
            ours = bin_edges(values, setting.get("binWidth", 25), setting.get("binCount"))
        np.testing.assert_array_equal(ours, edges)
        assert ours.dtype == edges.dtype
        np.testing.assert_array_equal(gray_levels_of(values, ours), np.digitize(values, edges))


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40),
    st.floats(0.01, 1e5),
    st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=150, deadline=None)
def test_gray_levels_of_any_numbers(numbers, width, kind):
    values = np.array(numbers, dtype=kind)
    if (float(values.max()) - float(values.min())) / width > 1e6:
        return
    edges = np.asarray(imageoperations.getBinEdges(values, binWidth=width))
    np.testing.assert_array_equal(bin_edges(values, width), edges)
    np.testing.assert_array_equal(gray_levels_of(values, edges), np.digitize(values, edges))


def test_discretized_region_by_hand():
    image = np.array([[0, 30, 60], [90, 0, 255]], dtype=np.uint8)
    mask = np.array([[0, 1, 1], [1, 0, 1]], dtype=bool)
    found = discretized(image, mask, bin_width=25.0, margin=2)
    assert found.gray_levels.tolist() == [1, 2, 3, 10]
    assert found.counts.tolist() == [1, 1, 1, 1]
    assert found.indices[2:-2, 2:-2].tolist() == [[0, 1, 2], [3, 0, 4]]
    assert found.indices.shape == (6, 7) and np.count_nonzero(found.indices) == 4
    assert found.spans.tolist() == [[2 * 7 + 3, 2], [3 * 7 + 2, 1], [3 * 7 + 4, 1]]


def test_a_lowest_edge_above_the_smallest_pixel_is_refused_as_by_pyradiomics(monkeypatch):
    """No rounding has been found that does this; should there be one, pyradiomics' matrices fail too."""

    def too_high(values, bin_width, bin_count=None):
        return np.array([10.0, 20.0, 30.0])

    image, mask = np.arange(5.0, 29.0).reshape(4, 6), np.ones((4, 6), dtype=bool)
    monkeypatch.setattr(discretization, "bin_edges", too_high)
    with pytest.raises(IndexError, match="larger binWidth"):
        engine_features(image, mask, EngineSettings(bin_width=10.0))
    monkeypatch.setattr(imageoperations, "getBinEdges", lambda values, **_: too_high(values, 10.0))
    with pytest.raises(IndexError):
        reference_features(image, mask, {"binWidth": 10.0}, classes=("ngtdm",))
