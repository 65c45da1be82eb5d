"""Filters on a box against pyradiomics on the whole image, to the last bit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from engine_reference import PLANE, assert_same_boxes, noise_image, reference_images

from HER2NomogramLib.engine import filters
from HER2NomogramLib.engine.filters import Source, filtered_boxes
from HER2NomogramLib.features import IMAGE_TYPES

# What pyradiomics has to say of zeros and of floats.
pytestmark = pytest.mark.filterwarnings("ignore")
DTYPES = ("uint8", "uint16", "int16", "int32", "uint32", "int64", "float32", "float64")
SHAPES = ((64, 50), (61, 47), (60, 53), (41, 72))
SPACINGS = ((0.1, 0.1), (0.0941, 0.13))
ALL = {name: {"sigma": [0.2, 0.5, 1]} if name == "LoG" else {} for name in IMAGE_TYPES}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_all_types(dtype, shape):
    for spacing in SPACINGS:
        assert_same_boxes(noise_image(shape, dtype, sum(shape)), spacing, ALL)


@pytest.mark.parametrize("dtype", ("uint16", "float32"))
def test_a_larger_image(dtype):
    boxes = [(slice(100, 300), slice(317, 517)), (slice(0, 403), slice(0, 40))]
    assert_same_boxes(noise_image((403, 517), dtype), (0.07, 0.07), ALL, boxes=boxes)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_image_of_zeros(dtype):
    assert_same_boxes(np.zeros((30, 41), dtype), (0.1, 0.1), ALL, boxes=[(slice(2, 20), slice(0, 41))])


@pytest.mark.parametrize("dtype", ("int16", "float32"))
def test_the_scale_comes_from_outside_the_box(dtype):
    types = {name: {} for name in ("Square", "SquareRoot", "Logarithm", "Exponential")}
    for peak in (-31000, 31000, 1, -1):
        array = np.zeros((30, 41), dtype)
        array[10:20, 10:20] = np.arange(-50, 50).reshape(10, 10).clip(-abs(peak), abs(peak))
        array[0, 40] = peak
        assert_same_boxes(array, (1.0, 1.0), types, boxes=[(slice(8, 22), slice(8, 22)), (slice(25, 30), slice(0, 9))])


def test_gradient_without_spacing():
    assert_same_boxes(noise_image((40, 41), "int16"), (0.1, 0.3), {"Gradient": {"gradientUseSpacing": False}})
    assert_same_boxes(noise_image((40, 41), "int16"), (0.1, 0.3), {"Gradient": {}}, {"gradientUseSpacing": False})


@pytest.mark.parametrize("bad", (np.nan, np.inf, -np.inf))
@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_bad_pixels_elsewhere_spoil_only_what_is_not_local(bad, dtype):
    array = noise_image((60, 70), dtype)
    array[3, 60] = bad
    far, near = (slice(20, 40), slice(10, 30)), (slice(0, 12), slice(50, 70))
    local = {name: {} for name in ("Original", "Wavelet", "Gradient", "LBP2D")}
    assert_same_boxes(array, (0.1, 0.1), local, boxes=[far, near])
    for item in filtered_boxes(Source(array, (0.1, 0.1), far), local):
        assert np.isfinite(item.values).all()


def test_arguments_are_those_of_all_and_of_the_type():
    types = {"Original": None, "Gradient": {"binWidth": 3.0}}
    box = (slice(0, 3), slice(0, 3))
    found = list(filtered_boxes(Source(np.ones((9, 9)), (1.0, 1.0), box), types, {"label": 1, **PLANE}))
    assert found[0].arguments == {"binWidth": 25.0, "label": 1, **PLANE}
    assert found[1].arguments == {"binWidth": 3.0, "label": 1, **PLANE}


def test_an_unknown_wavelet_is_named():
    source = Source(np.ones((9, 9)), (1.0, 1.0), (slice(0, 3), slice(0, 3)))
    with pytest.raises(ValueError, match="coffee"):
        list(filtered_boxes(source, {"Wavelet": {"wavelet": "coffee"}}))


def test_the_image_is_left_alone_and_results_are_no_views_of_it():
    array = noise_image((40, 50), "float64")
    array.flags.writeable = False
    for item in filtered_boxes(Source(array, (0.1, 0.1), (slice(5, 20), slice(0, 50))), ALL):
        assert not np.shares_memory(item.values, array) and item.values.shape == (15, 50)
    view = np.asfortranarray(noise_image((80, 100), "uint16"))[::2, ::2]
    assert_same_boxes(view, (0.1, 0.1), ALL, boxes=[(slice(5, 20), slice(3, 50))])


@pytest.mark.parametrize("pixels", (1, 300, 1 << 30))
def test_stripes_leave_no_seams(monkeypatch, pixels):
    monkeypatch.setattr(filters, "_STRIPE_PIXELS", pixels)
    types = {name: {} for name in IMAGE_TYPES if name != "LoG"}
    assert_same_boxes(noise_image((43, 37), "int16"), (0.1, 0.2), types)


def test_types_in_threads_give_the_same():
    array, box = noise_image((300, 400), "uint16"), (slice(50, 250), slice(60, 300))
    source = Source(array, (0.1, 0.1), box)

    def one(image_type):
        return list(filtered_boxes(source, {image_type: ALL[image_type]}))

    with ThreadPoolExecutor(4) as pool:
        together = [item for items in pool.map(one, ALL) for item in items]
    expected = list(reference_images(array, (0.1, 0.1), ALL))
    assert [item.name for item in together] == [name for name, _ in expected]
    for item, (_, values) in zip(together, expected):
        np.testing.assert_array_equal(item.values, values[box])
