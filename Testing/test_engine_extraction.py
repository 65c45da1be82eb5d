"""Whole extractions by the fast engine: the values, the order and the problems of pyradiomics' feature classes."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from engine_reference import PIXEL_TYPES, assert_same_features, random_image, random_mask
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from HER2NomogramLib import features
from HER2NomogramLib.engine import extraction
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.features import (
    ENGINES,
    FEATURE_CLASSES,
    IMAGE_TYPES,
    ExtractionSettings,
    extract_regions,
    prepare_engine,
)

# NumPy's and scikit-image's remarks on what pyradiomics does to zeros and floats.
pytestmark = pytest.mark.filterwarnings("ignore")
LOCAL = ("Original", "Wavelet", "Gradient")
N_TEXTURES = 93  # of one region of one image, with first-order features


def settings_of(types=IMAGE_TYPES, classes=FEATURE_CLASSES, sigma=(1.0,), **setting):
    image_types = {name: {"sigma": list(sigma)} if name == "LoG" else {} for name in types}
    content = {"imageType": image_types, "featureClass": {name: [] for name in classes}, "setting": setting}
    return ExtractionSettings.from_dict(content)


def image_of(pixels, spacing=(0.2, 0.2)):
    image = sitk.GetImageFromArray(np.ascontiguousarray(pixels)[np.newaxis])
    image.SetSpacing((*map(float, spacing), 1.0))
    return image


def both(image, masks, settings_, note="", relative=1e-8, threads=1):
    """Values and problems of the fast engine, which are those of pyradiomics."""
    problems, same_problems = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "_extract_with_pyradiomics", None)  # not to be compared with itself
        found = extract_regions(image, masks, settings_, "fast", threads, problems)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extraction, "extract", None)
        expected = extract_regions(image, masks, settings_, "pyradiomics", 1, same_problems)
    assert list(found) == list(expected) == list(masks), note
    for region, values in expected.items():
        assert list(found[region]) == list(values), (note, region)
        assert_same_features(found[region], values, f"{note} {region}", relative)
    assert sorted(map(as_both_say_it, problems)) == sorted(map(as_both_say_it, same_problems)), note
    return found, problems


def as_both_say_it(problem):
    """Without the reason where that is an error of NumPy's or of pyradiomics', which the engines pass on."""
    reason = "" if "cannot be computed" in problem.reason or "cannot compute it" in problem.reason else problem.reason
    return problem.region, problem.image_type, reason, problem.missing


def lesion_with_ring(shape=(48, 56), radius=9):
    rows, columns = np.indices(shape)
    distance = np.hypot(rows - shape[0] // 2, columns - shape[1] // 2)
    return {"lesion": distance <= radius, "ring": (distance > radius) & (distance <= radius + 5)}


def textured(shape=(48, 56), span=3000.0, kind=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    pixels = random_image(rng, shape, np.float64, 1.0)
    return ((pixels - pixels.min()) / np.ptp(pixels) * span).astype(kind)


# --- The same values --------------------------------------------------------------------------------------------------


@given(
    shape=st.tuples(st.integers(12, 48), st.integers(12, 48)),
    spacing=st.tuples(st.floats(0.3, 1.2), st.floats(0.3, 1.2)),
    kind=st.sampled_from(PIXEL_TYPES),
    span=st.sampled_from([3.0, 250.0, 3000.0, 60000.0]),
    bins=st.one_of(st.integers(2, 60), st.sampled_from([1.0, 0.21, 0.05])),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate])
def test_all_image_types_of_phantoms(shape, spacing, kind, span, bins, seed):
    rng = np.random.default_rng(seed)
    image = image_of(random_image(rng, shape, kind, span), spacing)
    masks = {"one": random_mask(rng, shape), "two": random_mask(rng, shape)}
    for mask in masks.values():
        mask[2:4, 3:5] = True
        mask[-1, -1] = False  # pyradiomics takes a mask without background for an empty one
    setting = {"binCount": bins} if isinstance(bins, int) else {"binWidth": bins * span}
    sigmas = (round(1.5 * min(spacing), 2), round(4 * max(spacing), 2))
    both(image, masks, settings_of(sigma=sigmas, **setting), f"{shape} {spacing} {kind} {setting} {seed}")


@pytest.mark.slow
@given(
    shape=st.tuples(st.integers(5, 140), st.integers(5, 140)),
    spacing=st.tuples(st.floats(0.05, 2.0), st.floats(0.05, 2.0)),
    kind=st.sampled_from(PIXEL_TYPES),
    span=st.sampled_from([1.0, 3.0, 250.0, 3000.0, 60000.0]),
    bins=st.one_of(st.integers(1, 150), st.floats(0.02, 1.5)),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=150, deadline=None, phases=[Phase.reuse, Phase.generate])
def test_all_image_types_of_many_phantoms(shape, spacing, kind, span, bins, seed):
    rng = np.random.default_rng(seed)
    image = image_of(random_image(rng, shape, kind, span), spacing)
    mask = random_mask(rng, shape)
    mask[2:4, 3:5] = True
    mask[-1, -1] = False
    setting = {"binCount": bins} if isinstance(bins, int) else {"binWidth": bins * span, "gradientUseSpacing": False}
    both(image, {"one": mask}, settings_of(sigma=[min(spacing), 3.3 * max(spacing)], **setting))


OTHER_SETTINGS = {
    "distances": {"binCount": 16, "distances": [1, 3]},
    "not symmetrical": {"binCount": 16, "symmetricalGLCM": False, "distances": [2]},
    "dependence and shift": {"binCount": 16, "gldm_a": 2, "voxelArrayShift": 300},
    "wavelet": {"binWidth": 70, "wavelet": "db3", "level": 2, "start_level": 1},
    "patterns": {"binWidth": 70, "lbp2DRadius": 2, "lbp2DSamples": 12, "lbp2DMethod": "default"},
    "gradient": {"binWidth": 40, "gradientUseSpacing": False},
    "names that change nothing": {"binCount": 16, "padDistance": 3, "interpolator": "sitkLinear", "normalize": False},
}


@pytest.mark.parametrize("name", OTHER_SETTINGS)
def test_other_settings(name):
    image = image_of(textured(kind=np.uint16), (0.3, 0.25))
    both(image, lesion_with_ring(), settings_of(("Original", "Wavelet", "Gradient", "LBP2D"), **OTHER_SETTINGS[name]))


def test_settings_of_one_image_type_and_some_features():
    content = {
        "imageType": {
            "LoG": {"sigma": [0.5, 1], "binWidth": 9.0},
            "Original": {"binCount": 5},
            "Wavelet": {"wavelet": "haar"},
        },
        "featureClass": {"ngtdm": [], "glcm": ["Imc1", "Contrast"], "shape2D": ["Sphericity"], "firstorder": ["Mean"]},
        "setting": {"binWidth": 80},
    }
    image = image_of(textured(kind=np.uint16))
    found, problems = both(image, lesion_with_ring(), ExtractionSettings.from_dict(content))
    # One of shape and eight of each of the seven images.
    assert not problems and len(found["ring"]) == 1 + 8 * 7


@pytest.mark.parametrize("classes", [["shape2D"], ["firstorder"], ["gldm"], ["glszm", "glcm"]])
def test_classes_alone(classes):
    both(image_of(textured()), lesion_with_ring(), settings_of(("Original", "Gradient"), classes, binCount=8))


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64])
def test_pixel_types_up_to_their_limits(kind):
    pixels = textured(span=1.0)
    if np.dtype(kind).kind == "f":
        pixels, width = (pixels * 2e6 - 1.5e6).astype(kind), 1e5
    else:
        low, high = float(np.iinfo(kind).min), float(np.iinfo(kind).max)
        pixels, width = np.floor(low + pixels * (high - low)).clip(low, high).astype(kind), (high - low) / 20
    both(image_of(pixels, (1.0, 0.8)), lesion_with_ring(), settings_of(sigma=[2.0], binWidth=width), str(kind))


def test_negative_values():
    both(image_of(textured().astype(np.int16) - 4000), lesion_with_ring(), settings_of(binCount=20))


def test_a_region_at_the_border_and_one_pixel_wide_parts():
    mask = np.zeros((40, 44), dtype=bool)
    mask[:, 0] = mask[0, :] = mask[39, 10:] = True
    mask[5:9, 40:] = True
    both(image_of(textured((40, 44))), {"frame": mask}, settings_of(binCount=12))


def test_regions_do_not_influence_each_other_and_inputs_are_left_alone():
    pixels, masks = textured(kind=np.uint16), lesion_with_ring()
    image, copies = image_of(pixels), {name: mask.copy() for name, mask in masks.items()}
    settings_ = settings_of(binCount=16)
    together = extract_regions(image, masks, settings_, "fast")
    assert extract_regions(image, {"x": masks["ring"]}, settings_, "fast")["x"] == together["ring"]
    assert extract_regions(image, masks, settings_, "fast") == together
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image)[0], pixels)
    for name, mask in masks.items():
        np.testing.assert_array_equal(mask, copies[name])
    as_numbers = {name: mask.astype(np.uint8) for name, mask in masks.items()}
    assert extract_regions(image, as_numbers, settings_, "fast") == together


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_give_the_same(threads):
    image, masks = image_of(textured((90, 80), kind=np.float32)), lesion_with_ring((90, 80), 12)
    masks["dot"] = np.zeros((90, 80), dtype=bool)
    masks["dot"][1, 1] = True
    settings_ = settings_of(sigma=[0.5, 1, 1.5, 60], binWidth=60)
    one, other = [], []
    alone = extract_regions(image, masks, settings_, "fast", 1, one)
    together = extract_regions(image, masks, settings_, "fast", threads, other)
    assert list(together["ring"]) == list(alone["ring"]) and one == other
    np.testing.assert_equal(together, alone)


def test_directions_and_origin_do_not_matter():
    image, masks, settings_ = image_of(textured()), lesion_with_ring(), settings_of(binCount=16)
    turned = sitk.Image(image)
    turned.SetDirection([0.0, 1.0, 0.0, 0.0, 0.0, -1.0, -1.0, 0.0, 0.0])
    turned.SetOrigin([5.0, -60.0, 7.0])
    assert extract_regions(turned, masks, settings_, "fast") == extract_regions(image, masks, settings_, "fast")


# --- Bad input: named, and all else computed --------------------------------------------------------------------------


def extract(engine, image, masks, settings_):
    problems = []
    values = extract_regions(image, masks, settings_, engine, problems=problems)
    return values, problems


def images_in(values):
    return {name.rsplit("_", 2)[0] for name in values if "shape2D" not in name}


def named(problems, missing):
    return {(problem.region, problem.image_type) for problem in problems if problem.missing is missing}


SPREADING = {"LoG", "Square", "SquareRoot", "Logarithm", "Exponential", "LBP2D"}
LOCAL_IMAGES = {"original", "gradient", *(f"wavelet-{kind}" for kind in ("LH", "HL", "HH", "LL"))}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_pixels_elsewhere_cost_only_the_filters_that_spread_them(engine, bad):
    pixels, masks = textured((60, 70), kind=np.float32), lesion_with_ring((60, 70), 6)
    settings_ = settings_of(binCount=16)
    expected = extract_regions(image_of(pixels), masks, settings_of(LOCAL, binCount=16), engine)
    pixels[1, 2] = bad
    values, problems = extract(engine, image_of(pixels), masks, settings_)
    for region in masks:
        assert images_in(values[region]) == LOCAL_IMAGES
        np.testing.assert_equal(values[region], expected[region])
    assert {region for region, _ in named(problems, True)} == set(masks)
    assert {image_type for _, image_type in named(problems, True)} == SPREADING
    assert len(named(problems, True)) == 2 * 6 and not named(problems, False)
    assert all("infinite or not a number" in problem.reason for problem in problems)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_pixels_in_one_region_cost_this_region(engine, bad):
    pixels, masks = textured((60, 70)), lesion_with_ring((60, 70), 6)
    masks["far"] = np.zeros((60, 70), dtype=bool)
    masks["far"][2:9, 3:12] = True
    pixels[5, 6] = bad
    values, problems = extract(engine, image_of(pixels), masks, settings_of(("Original", "Gradient"), binCount=16))
    assert named(problems, True) == {("far", "original"), ("far", "gradient")}
    assert images_in(values["far"]) == set() and len(values["far"]) == 9
    for region in ("lesion", "ring"):
        assert images_in(values[region]) == {"original", "gradient"}
        assert all(map(math.isfinite, values[region].values()))
    with pytest.raises(InputError, match="Region far, original: .*not a number") as refused:
        extract_regions(image_of(pixels), masks, settings_of(("Original",), binCount=16), engine)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_more_gray_levels_than_memory_allows_are_left_out(engine):
    pixels, masks = textured(), lesion_with_ring()
    pixels[masks["ring"]] = np.round(pixels[masks["ring"]] / 500) * 500
    pixels[masks["lesion"]] *= 1e3
    content = settings_of(("Original",), binWidth=1.0).to_dict()
    content["imageType"]["Gradient"] = {"binCount": 30}
    values, problems = extract(engine, image_of(pixels), masks, ExtractionSettings.from_dict(content))
    assert named(problems, True) == {("lesion", "original")}
    (problem,) = (problem for problem in problems if problem.missing)
    assert "gray levels" in problem.reason and "binWidth" in problem.reason
    assert str(problem).startswith("Region lesion, original: ")
    assert images_in(values["lesion"]) == {"gradient"} and images_in(values["ring"]) == {"original", "gradient"}


def test_thousands_of_gray_levels_are_computed_and_flagged():
    """Of a small region, because pyradiomics takes minutes for the others."""
    mask = np.zeros((30, 30), dtype=bool)
    mask[4:12, 5:14] = True
    found, problems = both(image_of(textured((30, 30))), {"lesion": mask}, settings_of(("Original",), binWidth=1.0))
    assert named(problems, False) == {("lesion", "original")} and not named(problems, True)
    assert "gray levels" in problems[0].reason and "binWidth" in problems[0].reason
    assert len(found["lesion"]) == 9 + N_TEXTURES


@pytest.mark.parametrize("limit", [999, 1001])
def test_flag_begins_above_a_thousand_levels(limit):
    image, masks = image_of(textured()), lesion_with_ring()
    problems = extract("fast", image, masks, settings_of(("Original",), ["firstorder", "ngtdm"], binCount=limit))[1]
    assert named(problems, False) == (set() if limit < 1000 else {("lesion", "original"), ("ring", "original")})
    assert not extract("fast", image, masks, settings_of(("Original",), ["firstorder"], binCount=limit))[1]


def test_a_float_image_in_one_bin_is_flagged():
    """Between 0 and 1 with pyradiomics' bin width of 25: it says nothing, and all texture is that of one level."""
    image = image_of(textured(span=1.0, kind=np.float32))
    found, problems = both(image, lesion_with_ring(), settings_of(("Original", "Gradient"), binWidth=25.0))
    assert {("lesion", "original"), ("ring", "original")} <= named(problems, False) and not named(problems, True)
    reasons = {problem.reason for problem in problems if problem.image_type == "original"}
    assert all("one gray level" in reason or "same gray level" in reason for reason in reasons)
    assert all("binCount" in reason and "binWidth" in reason for reason in reasons)
    assert found["lesion"]["original_glcm_JointEntropy"] == pytest.approx(0.0, abs=1e-12)
    assert not extract("fast", image, lesion_with_ring(), settings_of(("Original",), binCount=16))[1]
    assert not extract("fast", image, lesion_with_ring(), settings_of(("Original",), ["firstorder"], binWidth=25.0))[1]


def test_an_image_of_zeros():
    found, problems = both(image_of(np.zeros((48, 56), np.int16)), lesion_with_ring(), settings_of(binWidth=25.0))
    missing = {image_type for _, image_type in named(problems, True)}
    assert missing == {"Square", "Logarithm", "Exponential"}
    assert named(problems, False) >= {("lesion", "original"), ("ring", "gradient"), ("ring", "log-sigma-1-0-mm-3D")}
    assert "original_firstorder_Mean" in found["lesion"] and "squareroot_firstorder_Mean" in found["lesion"]


@pytest.mark.parametrize("setting", [{"binCount": 32}, {"binWidth": 500.0}])
def test_a_constant_region(setting):
    pixels, masks = textured(kind=np.uint16), lesion_with_ring()
    pixels[masks["lesion"]] = 700
    found, problems = both(image_of(pixels), masks, settings_of(("Original", "Wavelet"), **setting))
    assert named(problems, False) == {("lesion", "original")} and not named(problems, True)
    assert "all pixels are 700" in problems[0].reason
    assert found["lesion"]["original_firstorder_Variance"] == 0.0
    assert found["lesion"]["original_glcm_Correlation"] == 1.0


REFUSED = {
    "one pixel": (np.s_[5:6, 6:7], {}, "single pixel"),
    "nothing": (np.s_[5:5], {}, "no pixel"),
    "row": (np.s_[7:8, 3:20], {}, "line of 17 pixels"),
    "column": (np.s_[7:28, 3:4], {}, "line of 21 pixels"),
    "too few": (np.s_[3:5, 3:8], {"minimumROISize": 10}, "10 pixels"),
    "too few by one": (np.s_[3:5, 3:8], {"minimumROISize": 9}, ""),
    "row that may be": (np.s_[7:8, 3:20], {"minimumROIDimensions": 1}, ""),
    "two pixels that may be": (np.s_[7:8, 3:5], {"minimumROIDimensions": 1}, ""),
    "one pixel that may not be": (np.s_[7:8, 3:4], {"minimumROIDimensions": 1}, "single pixel"),
    "square": (np.s_[3:5, 3:5], {}, ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_pixels_and_lines_are_refused_by_name_or_computed_as_by_pyradiomics(name):
    part, setting, reason = REFUSED[name]
    masks = lesion_with_ring()
    masks = {"lesion": masks["lesion"], "spot": np.zeros_like(masks["lesion"]), "ring": masks["ring"]}
    masks["spot"][part] = True
    settings_ = settings_of(("Original", "Wavelet"), binWidth=70, **setting)
    image = image_of(textured(kind=np.uint16))
    found, problems = both(image, masks, settings_)
    assert len(found["lesion"]) == len(found["ring"]) == 9 + 5 * N_TEXTURES
    if not reason:
        assert len(found["spot"]) == 9 + 5 * N_TEXTURES and not named(problems, True)
        return
    assert found["spot"] == {} and named(problems, True) == {("spot", "")}
    assert reason in problems[0].reason
    for engine in ENGINES:
        with pytest.raises(InputError, match=f"Region spot: .*{reason}"):
            extract_regions(image, masks, settings_, engine)
        values, alone = extract(engine, image, {"spot": masks["spot"]}, settings_)
        assert values == {"spot": {}} and len(alone) == 1


def test_a_column_has_no_shape_with_pyradiomics():
    """Where columns may be: it looks for the thickness of the slice along the wrong axis."""
    masks = lesion_with_ring()
    masks["column"] = np.zeros_like(masks["ring"])
    masks["column"][7:28, 3] = True
    settings_ = settings_of(("Original", "Wavelet"), binWidth=70, minimumROIDimensions=1)
    found, problems = both(image_of(textured()), masks, settings_)
    assert named(problems, True) == {("column", "")} and "no shape" in problems[0].reason
    assert len(found["column"]) == 5 * N_TEXTURES
    settings_ = settings_of(("Original",), ["firstorder", "glcm"], binWidth=70, minimumROIDimensions=1)
    assert not both(image_of(textured()), masks, settings_)[1]


def test_a_diagonal_has_two_dimensions():
    both(image_of(textured()), {"diagonal": np.eye(48, 56, dtype=bool)}, settings_of(("Original",), binCount=8))


def test_distances_beyond_a_region():
    masks = lesion_with_ring()
    masks["spot"] = np.zeros_like(masks["ring"])
    masks["spot"][3:6, 3:8] = True
    settings_ = settings_of(("Original", "Gradient"), ["shape2D", "glcm", "gldm"], binCount=8, distances=[9])
    image = image_of(textured())
    for engine in ENGINES:
        values, problems = extract(engine, image, masks, settings_)
        assert named(problems, True) == {("spot", "original"), ("spot", "gradient")}
        assert len(values["spot"]) == 9 and len(values["ring"]) == 9 + 2 * (24 + 14)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_image_too_small_for_a_filter_keeps_the_others(engine):
    settings_ = settings_of(("LoG", "Original"), sigma=[1.0, 30.0], binCount=8)
    values, problems = extract(engine, image_of(textured()), lesion_with_ring(), settings_)
    assert named(problems, True) == {(region, "log-sigma-30-0-mm-3D") for region in ("lesion", "ring")}
    assert "too small for a LoG of 30 mm" in problems[0].reason
    assert images_in(values["lesion"]) == {"log-sigma-1-0-mm-3D", "original"}


def test_a_task_that_fails_is_named_and_what_nobody_expects_is_not_swallowed(monkeypatch):
    from HER2NomogramLib.engine import one_region

    whole = one_region.features_of_pixels

    def failing(error):
        def features_of_pixels(found, shape, *rest):
            if len(found) == math.prod(shape):
                raise error
            return whole(found, shape, *rest)

        return features_of_pixels

    masks = lesion_with_ring()
    masks["square"] = np.zeros_like(masks["ring"])
    masks["square"][3:9, 3:9] = True
    settings_ = settings_of(("Original", "Gradient"), binCount=8)
    for threads in (1, 3):
        monkeypatch.setattr(one_region, "features_of_pixels", failing(RuntimeError("out\nof order")))
        problems = []
        values = extract_regions(image_of(textured()), masks, settings_, "fast", threads, problems)
        assert named(problems, True) == {("square", "original"), ("square", "gradient")}
        assert "out of order" in str(problems[0]) and "\n" not in str(problems[0])
        assert len(values["lesion"]) == len(values["ring"]) == 9 + 2 * N_TEXTURES
        for defect in (AssertionError("a defect"), TypeError("a defect"), KeyError("a defect")):
            monkeypatch.setattr(one_region, "features_of_pixels", failing(defect))
            with pytest.raises(type(defect), match="a defect"):
                extract_regions(image_of(textured()), masks, settings_, "fast", threads, [])


def test_an_mcc_that_is_not_found_is_named_and_all_else_computed():
    """1,500 gray levels in a row, of which neighbors hardly differ: the eigenvalues lie too close together."""
    rng = np.random.default_rng(0)
    image = np.tile(np.arange(1500) + 0.5, (60, 1)) + 0.3 * rng.standard_normal((60, 1500))
    masks = {"ramp": np.ones(image.shape, dtype=bool), "part": np.zeros(image.shape, dtype=bool)}
    masks["part"][10:40, 20:50] = True
    settings_, problems = settings_of(("Original",), ["firstorder", "glcm"], binWidth=1.0), []
    values = extract_regions(image_of(image.astype(np.float32)), masks, settings_, "fast", problems=problems)
    assert named(problems, True) == {("ramp", "original")}
    (problem,) = (problem for problem in problems if problem.missing)
    assert "only MCC" in str(problem) and problem.is_about("original_glcm_MCC")
    assert len(values["part"]) == 18 + 24 and set(values["part"]) - set(values["ramp"]) == {"original_glcm_MCC"}
    without = settings_of(("Original",), ["firstorder"], binWidth=1.0)
    assert extract_regions(image_of(image.astype(np.float32)), masks, without, "fast")["ramp"]


def test_widths_that_are_equal_as_numbers_have_features_of_their_own():
    settings_ = settings_of(("LoG",), ["firstorder"], sigma=(1, 1.0, 2.0), binCount=8)
    image, masks = image_of(textured()), lesion_with_ring()
    values = extract_regions(image, masks, settings_, "fast")
    assert images_in(values["ring"]) == {"log-sigma-1-mm-3D", "log-sigma-1-0-mm-3D", "log-sigma-2-0-mm-3D"}
    reference = extract_regions(image, masks, settings_, "pyradiomics")
    for region, found in values.items():
        assert_same_features(found, reference[region])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_mask_on_another_grid_is_refused(engine):
    masks = {**lesion_with_ring(), "small": np.ones((30, 30), dtype=bool)}
    with pytest.raises(InputError, match=r"Region small: .* shape \(30, 30\), the image 48 rows and 56 columns: make"):
        extract_regions(image_of(textured()), masks, settings_of(("Original",), ["firstorder"]), engine, problems=[])


# --- Which engine -----------------------------------------------------------------------------------------------------


UNSUPPORTED = {
    "weightingNorm": "euclidean",
    "resampledPixelSpacing": [0.4, 0.4, 0],
    "preCrop": True,
    "resegmentRange": [100, 2900],
    "normalize": True,
}


@pytest.mark.parametrize(
    "setting",
    [
        {"gldm_a": 0.0}, {"gldm_a": False}, {"gldm_a": 1.5}, {"padDistance": 2.0}, {"start_level": 0.0},
        {"lbp2DMethod": "ror", "lbp2DSamples": 40}, {"lbp2DMethod": "nri_uniform"}, {"lbp2DMethod": "ROR"},
    ],
)  # fmt: skip
def test_values_that_mean_something_else_to_pyradiomics_are_left_to_it(setting):
    settings_ = settings_of(("Original", "LBP2D", "Wavelet"), ["firstorder", "gldm"], **setting)
    assert next(reversed(setting)) in extraction.unsupported(settings_)


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_settings_that_the_engine_does_not_know_are_left_to_pyradiomics_with_a_notice(name):
    setting = {name: UNSUPPORTED[name], "binCount": 8}
    settings_ = settings_of(("Original",), ["firstorder", "glcm"], **setting)
    assert name in extraction.unsupported(settings_)
    for wanted in (None, "fast"):
        engine, notice = prepare_engine(settings_, wanted)
        assert engine == "pyradiomics" and name in notice and "pyradiomics computes the features" in notice
        assert notice[0].isupper() and notice.endswith(".") and "\n" not in notice
    image, masks, problems, nothing = image_of(textured()), lesion_with_ring(), [], []
    found = extract_regions(image, masks, settings_, problems=problems)
    assert found == extract_regions(image, masks, settings_, "pyradiomics", problems=nothing)
    assert not nothing and [str(problem) for problem in problems] == [notice] and not problems[0].missing
    # Which engine computes is decided before, and not changed afterwards.
    with pytest.raises(InputError, match=f"(?s)^(?!.*\n).*cannot compute.*{name}.*pyradiomics"):
        extract_regions(image, masks, settings_, "fast")


def test_features_that_the_engine_does_not_know_are_left_to_pyradiomics():
    content = {"featureClass": {"firstorder": ["StandardDeviation", "Mean"]}, "setting": {"binCount": 8}}
    settings_, problems = ExtractionSettings.from_dict(content), []
    assert "StandardDeviation" in extraction.unsupported(settings_)
    found = extract_regions(image_of(textured()), lesion_with_ring(), settings_, problems=problems)
    assert set(found["ring"]) == {"original_firstorder_StandardDeviation", "original_firstorder_Mean"}
    assert "StandardDeviation" in str(problems[0])


def test_an_unknown_engine_is_refused():
    for call in (
        lambda: extract_regions(image_of(textured()), lesion_with_ring(), settings_of(), "quick"),
        lambda: prepare_engine(settings_of(), "quick"),
    ):
        with pytest.raises(InputError, match="(?s)^(?!.*\n).*quick.*fast.*pyradiomics"):
            call()


def test_shipped_settings_are_for_the_fast_engine():
    shipped = ExtractionSettings.from_yaml(features.default_settings_path())
    assert extraction.unavailable() == "" and extraction.unsupported(shipped) == ""
    assert prepare_engine(shipped) == ("fast", extraction.compiled_anew())
    assert prepare_engine(shipped, "pyradiomics") == ("pyradiomics", "")


@pytest.mark.parametrize("slow", [False, True])
def test_preparing_is_said_where_it_takes_long(monkeypatch, slow):
    said = []
    monkeypatch.setattr(features, "_SLOW_S", 0.01 if slow else 60.0)
    monkeypatch.setattr(extraction, "warm_up", lambda *_, **__: time.sleep(0.3) or "")
    assert prepare_engine(settings_of(binCount=8), say=said.append)[0] == "fast"
    assert said == ([features.COMPILING] if slow else [])
    assert (
        prepare_engine(settings_of(binCount=8), "pyradiomics", said.append) == ("pyradiomics", "") and len(said) == slow
    )


def test_where_compiled_code_cannot_be_kept_it_is_said_and_only_the_processes_compile(monkeypatch):
    warmed = []
    monkeypatch.setattr(extraction, "warm_up", lambda *given, **more: warmed.append(more) or "")
    for anew, jobs, n_warmed in (("", 1, 1), ("", 2, 1), ("Compiled anew.", 1, 1), ("Compiled anew.", 2, 0)):
        warmed.clear()
        monkeypatch.setattr(extraction, "compiled_anew", lambda anew=anew: anew)
        assert prepare_engine(settings_of(binCount=8), jobs=jobs) == ("fast", anew)
        assert warmed == [{"every_pixel_type": jobs > 1}] * n_warmed


def test_a_failure_to_compile_leaves_the_features_to_pyradiomics(monkeypatch):
    def broken(*_):
        raise OSError(28, "No space left\non device")

    settings_ = settings_of(("Original",), ["glszm"], binCount=8)
    monkeypatch.setattr(extraction, "run_streams", broken)
    extraction._compute_tiny.cache_clear()
    engine, notice = prepare_engine(settings_, "fast")
    assert engine == "pyradiomics" and "No space left on device" in notice and "\n" not in notice
    assert all(part in notice for part in ("delete its compiled code", "pip install numba", "takes longer."))
    monkeypatch.setitem(sys.modules, "radiomics", None)
    with pytest.raises(InputError, match="(?s)^(?!.*\n).*No space left.*pyradiomics is missing"):
        prepare_engine(settings_)
    # In the middle of a run there is no other engine any more.
    with pytest.raises(InputError, match="(?s)^(?!.*\n).*No space left.*choose the engine pyradiomics"):
        extract_regions(image_of(textured()), lesion_with_ring(), settings_, "fast")


_LIBRARY = Path(features.__file__).resolve().parents[1]
_BEGIN = f"""
import sys
sys.path.insert(0, {str(_LIBRARY)!r})
import numpy as np
import SimpleITK as sitk
rng = np.random.default_rng(0)
"""
_WITHOUT = """
sys.modules[{module!r}] = None
from HER2NomogramLib.engine import extraction
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.features import ExtractionSettings, extract_regions, prepare_engine
assert "package {package}" in extraction.unavailable(), extraction.unavailable()
image = sitk.GetImageFromArray(rng.integers(0, 200, (1, 30, 30)).astype(np.uint8))
mask = np.zeros((30, 30), bool)
mask[4:20, 5:19] = True
settings = ExtractionSettings.from_dict({{"featureClass": {{"glcm": ["Contrast"]}}, "setting": {{"binCount": 8}}}})
try:
    print(*prepare_engine(settings))
    problems = []
    found = extract_regions(image, {{"a": mask}}, settings, problems=problems)
    assert found == extract_regions(image, {{"a": mask}}, settings, "pyradiomics")
    assert len(problems) == 1 and {package!r} in str(problems[0]) and not problems[0].missing, problems
except InputError as error:
    print("refused", error)
"""


@pytest.mark.parametrize(("module", "package"), [("numba", "numba"), ("pywt", "PyWavelets")])
def test_without_its_packages_pyradiomics_computes_and_it_is_said(module, package):
    code = _BEGIN + _WITHOUT.format(module=module, package=package)
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert f"pip install {package}" in run.stdout and f"slicer.util.pip_install('{package}')" in run.stdout
    if module == "numba":
        assert run.stdout.startswith("pyradiomics The fast feature engine needs the package numba")
    else:  # without it pyradiomics cannot be used either
        assert run.stdout.startswith("refused The fast feature engine needs the package PyWavelets")
        assert run.stdout.count("PyWavelets is missing, which comes with pyradiomics") == 1


def test_pyradiomics_is_not_needed(monkeypatch):
    image, masks, settings_ = image_of(textured()), lesion_with_ring(), settings_of(binCount=8)
    expected = extract_regions(image, masks, settings_, "fast")
    for module in ("radiomics", "skimage"):
        monkeypatch.setitem(sys.modules, module, None)
    assert extract_regions(image, masks, settings_) == expected
    with pytest.raises(InputError, match="pyradiomics is missing"):
        extract_regions(image, masks, settings_, "pyradiomics")


def test_threads_end_with_the_extraction():
    before = threading.active_count()
    extract_regions(image_of(textured()), lesion_with_ring(), settings_of(binCount=8), "fast", 4)
    assert threading.active_count() == before


_WARM = """
import gc
from numba.core.dispatcher import Dispatcher
from HER2NomogramLib.engine import extraction
from HER2NomogramLib.features import FEATURE_CLASSES, IMAGE_TYPES, ExtractionSettings, extract_regions, prepare_engine

def signatures():
    return {f.py_func: len(f.signatures) for f in gc.get_objects() if isinstance(f, Dispatcher)}

types = {name: {"sigma": [1.0, 2.0]} if name == "LoG" else {} for name in IMAGE_TYPES}
mask = np.zeros((90, 80), bool)
mask[10:60, 15:70] = True
for setting in ({"binCount": 32}, {"binWidth": 0.5, "distances": [1, 2], "symmetricalGLCM": False, "gldm_a": 1}):
    settings = ExtractionSettings.from_dict({"imageType": types, "setting": setting})
    usual = (np.uint8, np.uint16, np.int16, np.float32)
    for jobs, kinds in ((1, usual), (2, (*usual, np.int8, np.uint32, np.int32, np.float64))):
        assert prepare_engine(settings, jobs=jobs)[0] == "fast"
        before = signatures()
        assert sum(before.values()) > 10
        for kind in kinds:
            image = sitk.GetImageFromArray(rng.integers(0, 120, (1, 90, 80)).astype(kind))
            extract_regions(image, {"a": mask, "b": ~mask}, settings, "fast", 2)
            after = signatures()
            assert after == before, (setting, kind, [f for f in after if after[f] != before.get(f)])
"""


def test_preparing_compiles_for_all_settings_and_usual_pixel_types():
    """Nothing is left to be compiled in the middle of a run, where it could fail."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _BEGIN + _WARM], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr


# --- Memory -----------------------------------------------------------------------------------------------------------

_MEMORY = """
from HER2NomogramLib.engine import extraction
from HER2NomogramLib.features import IMAGE_TYPES, ExtractionSettings, extract_regions

def peak_megabytes():
    # Not getrusage: a child begins with its parent's peak.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

types = {name: {"sigma": [1.0, 2.0, 3.0, 4.0, 5.0]} if name == "LoG" else {} for name in IMAGE_TYPES}
settings = ExtractionSettings.from_dict({"imageType": types, "setting": {"binWidth": 25}})
extraction.warm_up(settings.image_types, settings.feature_classes, every_pixel_type=False)
pixels = rng.integers(0, 4096, (1, 4096, 3328), dtype=np.uint16)
image = sitk.GetImageFromArray(pixels)
image.SetSpacing((0.07, 0.07, 1.0))
del pixels
rows, columns = np.ogrid[:4096, :3328]
distance = np.hypot(rows - 1900, columns - 1500).astype(np.float32) * 0.07
edges = (0, 10, 12, 14, 16, 20)
masks = {f"ring {k}": (distance >= edges[k]) & (distance < edges[k + 1]) for k in range(5)}
del distance
# What is made to prepare the masks does not count.
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = peak_megabytes()
found = extract_regions(image, masks, settings, "fast", 2)
assert all(len(values) == 9 + 93 * 16 for values in found.values()), [len(values) for values in found.values()]
print(peak_megabytes() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks of memory are read from Linux' /proc")
def test_a_large_mammogram_needs_little_memory():
    """4096 x 3328 pixels, five regions to 20 mm, 16 images; wavelets of the whole image alone would take 1.7 GB."""
    code = _BEGIN + _MEMORY
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) < 80
