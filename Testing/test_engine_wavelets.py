"""Stationary wavelets on a box against PyWavelets, as pyradiomics asks it, on the whole image, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
from engine_reference import assert_same_boxes, noise_image

from HER2NomogramLib.engine.wavelets import wavelet_boxes


@pytest.mark.parametrize("wavelet", ("haar", "db1", "db7", "sym9", "coif5", "bior3.9", "rbio4.4", "dmey"))
def test_wavelets_and_levels(wavelet):
    for shape in ((80, 93), (70, 64)):
        for dtype in ("uint16", "float32"):
            for start, level in ((0, 1), (0, 3), (2, 2), (1, 1)):
                types = {"Wavelet": {"wavelet": wavelet, "start_level": start, "level": level}}
                assert_same_boxes(noise_image(shape, dtype), (0.1, 0.1), types)


def test_every_wavelet():
    array = noise_image((105, 110), "uint16")
    boxes = [(slice(0, 30), slice(90, 110)), (slice(60, 105), slice(20, 50))]
    for wavelet in pywt.wavelist(kind="discrete"):
        assert_same_boxes(array, (0.1, 0.1), {"Wavelet": {"wavelet": wavelet, "level": 2}}, boxes=boxes)


@pytest.mark.parametrize("shape", ((5, 9), (2, 3), (1, 1), (1, 40), (7, 60)))
def test_images_smaller_than_the_wavelet(shape):
    array = noise_image(shape, "int16")
    whole = [(slice(0, shape[0]), slice(0, shape[1]))]
    assert_same_boxes(array, (0.1, 0.1), {"Wavelet": {"wavelet": "coif5", "level": 2}}, boxes=whole)
    assert_same_boxes(array, (0.1, 0.1), {"Wavelet": {"wavelet": "haar", "level": 2}, "Gradient": {}}, boxes=whole)


def test_they_come_one_by_one_in_pyradiomics_order():
    names = [name for name, _ in wavelet_boxes(np.ones((8, 9)), (slice(0, 2), slice(0, 3)), "haar", 0, 2)]
    details = [f"wavelet{level}-{kind}" for level in ("", "2") for kind in ("LH", "HL", "HH")]
    assert names == [*details, "wavelet2-LL"]
