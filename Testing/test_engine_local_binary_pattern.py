"""Local binary patterns on a box against scikit-image, as pyradiomics asks it, on the whole image."""

from __future__ import annotations

import pytest
from engine_reference import assert_same_boxes, noise_image

from HER2NomogramLib.engine.filters import Source, filtered_boxes
from HER2NomogramLib.engine.names import LBP_METHODS

# scikit-image warns of floats.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:skimage.*")


@pytest.mark.parametrize("method", LBP_METHODS)
def test_methods_samples_and_radii(method):
    for samples, radius in ((8, 1), (9, 1.0), (16, 2.3), (24, 3), (5, 1.5), (1, 1), (31, 4), (12, 0.3)):
        types = {"LBP2D": {"lbp2DMethod": method, "lbp2DSamples": samples, "lbp2DRadius": radius}}
        for dtype in ("uint8", "float64"):
            # Few gray levels make many ties.
            array = noise_image((57, 66), "uint8", samples).astype(dtype) % 5
            assert_same_boxes(array, (0.1, 0.1), types)


def test_ties_far_from_the_corner():
    array = noise_image((1100, 700), "uint16", 3) % 7
    box = (slice(1010, 1100), slice(600, 690))
    assert_same_boxes(array, (0.1, 0.1), {"LBP2D": {}}, boxes=[box])
    (alone,) = filtered_boxes(Source(array[box], (0.1, 0.1), (slice(0, 90), slice(0, 90))), {"LBP2D": {}})
    (inside,) = filtered_boxes(Source(array, (0.1, 0.1), box), {"LBP2D": {}})
    # The reason for all this: on a crop some patterns differ.
    assert (alone.values[2:-2, 2:-2] != inside.values[2:-2, 2:-2]).any()
