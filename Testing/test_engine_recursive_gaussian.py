"""The Laplacian of Gaussian on a box against ITK's filter on the whole image, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from engine_reference import assert_same_boxes, noise_image

from HER2NomogramLib.engine import recursive_gaussian
from HER2NomogramLib.engine.filters import filtered_boxes
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


def test_smallest_image():
    whole = (slice(0, 4), slice(0, 5))
    assert_same_boxes(noise_image((4, 5), "uint8"), (1.0, 1.0), {"LoG": {"sigma": [0.7, 3.0]}}, boxes=[whole])
    with pytest.raises(ValueError, match="at least 4"):
        list(laplacian_boxes(np.ones((3, 9)), (slice(0, 3), slice(0, 9)), (1.0, 1.0), [1.0]))


def test_too_large_widths_are_named_after_the_others():
    array, problems = noise_image((40, 60), "uint16"), []
    types = {"LoG": {"sigma": [1.0, 8.0, 2]}, "Gradient": {}}
    box = (slice(0, 9), slice(0, 9))
    found = list(filtered_boxes(array, (0.1, 0.1), box, types, problems=problems))
    assert [item.name for item in found] == ["log-sigma-1-0-mm-3D", "log-sigma-2-mm-3D", "gradient"]
    assert [str(problem) for problem in problems] == [
        "Image type LoG: the image is too small for a LoG of 8 mm: leave it out of 'sigma'."
    ]
