"""The Laplacian of Gaussian on a box against ITK's filter on the whole image, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from engine_reference import assert_same_boxes, noise_image

from HER2NomogramLib.engine import recursive_gaussian
from HER2NomogramLib.engine.recursive_gaussian import laplacian_boxes


@pytest.mark.parametrize("sigma", (0.05, 0.31, 1.0, 3.0, 5.0))
def test_widths_and_pixels_that_are_not_square(sigma):
    array = noise_image((90, 130), "uint16")
    assert_same_boxes(array, (0.1, 0.125), {"LoG": {"sigma": [sigma]}})
    assert_same_boxes(array.astype("float32") * 1e-3 - 7, (0.1, 0.125), {"LoG": {"sigma": [sigma]}})


def test_many_widths_in_small_passes(monkeypatch):
    array = noise_image((75, 80), "uint16")
    types = {"LoG": {"sigma": [0.1, 0.2, 0.3, 0.5, 0.8, 1.0]}}
    assert_same_boxes(array, (0.1, 0.1), types)
    monkeypatch.setattr(recursive_gaussian, "_PASS_BYTES", 1)
    assert_same_boxes(array, (0.1, 0.1), types)


def test_many_lines_in_small_chunks(monkeypatch):
    array = noise_image((105, 140), "uint16")
    monkeypatch.setattr(recursive_gaussian, "_CHUNK_BYTES", 1)
    assert_same_boxes(array, (0.1, 0.125), {"LoG": {"sigma": [0.3, 1.0]}})


@pytest.mark.parametrize("pixel_type", ("uint8", "int16", "uint32", "int64", "float32", "float64"))
def test_views_of_all_pixel_types(pixel_type):
    array = noise_image((150, 260), "uint8").astype(pixel_type)
    box, spacing, sigmas = (slice(3, 40), slice(10, 61)), (0.1, 0.125), [0.4, 1.5]
    for view in (array[::2, ::3], array[::-1, 40:], array.T):
        wanted = list(laplacian_boxes(np.ascontiguousarray(view), box, spacing, sigmas))
        view.flags.writeable = False
        for values, expected in zip(laplacian_boxes(view, box, spacing, sigmas), wanted):
            assert values.dtype == np.float32
            np.testing.assert_array_equal(values, expected)


def test_smallest_image():
    whole = (slice(0, 4), slice(0, 5))
    assert_same_boxes(noise_image((4, 5), "uint8"), (1.0, 1.0), {"LoG": {"sigma": [0.7, 3.0]}}, boxes=[whole])
    with pytest.raises(ValueError, match="at least 4"):
        list(laplacian_boxes(np.ones((3, 9)), (slice(0, 3), slice(0, 9)), (1.0, 1.0), [1.0]))
