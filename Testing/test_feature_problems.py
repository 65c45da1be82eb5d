"""What is said of features that are left out or mean little."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk

from HER2NomogramLib.batch import BatchResult, CaseFeatures
from HER2NomogramLib.feature_problems import (
    FeatureProblem,
    filter_refusal,
    problem_lines,
    settings_remark,
    value_problem,
)
from HER2NomogramLib.features import ExtractionSettings, extract_regions


def test_one_line_for_all_regions_and_types_of_a_problem():
    problems = [FeatureProblem(region, kind, "why: do", True) for region in "ab" for kind in ("LoG", "Square")]
    problems.append(FeatureProblem("a", "gradient", "flat", False))
    problems.append(FeatureProblem("", "", "numba is missing", False))
    assert problem_lines(problems) == (
        "Left out, region a, b; LoG, Square: why: do.",
        "Region a; gradient: flat.",
        "Numba is missing.",
    )
    assert str(problems[0]) == "Region a, LoG: why: do."


def test_other_advice_for_those_who_cannot_change_the_settings():
    problem = FeatureProblem("a", "LoG", "all: the same: use binCount", False)
    assert problem.under_fixed_settings("look") == FeatureProblem("a", "LoG", "all: the same: look", False)
    for reason in ("binWidth 25: check the outline", "flat"):
        problem = FeatureProblem("a", "", reason, True)
        assert problem.under_fixed_settings("look") == problem


def test_regions_with_other_types_of_a_problem_have_lines_of_their_own():
    """A region that is spoiled throughout says nothing of the original image of those beside it."""
    types = {"lesion": ("original", "wavelet-LH"), "ring": ("wavelet-LH",), "all": ("original", "wavelet-LH")}
    problems = [FeatureProblem(region, kind, "spoiled", True) for region, kinds in types.items() for kind in kinds]
    problems.insert(2, FeatureProblem("lesion", "gradient", "flat", False))
    # The same words on what is computed are another problem.
    problems += [FeatureProblem(region, "original", "spoiled", False) for region in types]
    assert problem_lines(problems) == (
        "Left out, region lesion, all; original, wavelet-LH: spoiled.",
        "Region lesion; gradient: flat.",
        "Left out, region ring; wavelet-LH: spoiled.",
        "Region lesion, ring, all; original: spoiled.",
    )
    assert problem_lines([]) == ()


def test_a_problem_of_all_regions_says_so_and_long_lists_end():
    types = [f"wavelet-{number}" for number in range(7)]
    problems = [FeatureProblem(region, kind, "why: do", True) for region in "ab" for kind in types]
    listed = "wavelet-0, wavelet-1, wavelet-2, wavelet-3, wavelet-4 and 2 more"
    assert problem_lines(problems, "ab") == (f"Left out, all regions; {listed}: why: do.",)
    assert problem_lines(problems, "abc") == (f"Left out, region a, b; {listed}: why: do.",)
    assert problem_lines([FeatureProblem("a", "", "why", False)], "a") == ("Region a: why.",)
    many = [FeatureProblem(region, "", "why", False) for region in "abcdef"]
    assert problem_lines(many, "abcdefg") == ("Region a, b, c, d, e and 1 more: why.",)


VALUES = np.arange(2500.0)


@pytest.mark.parametrize(
    ("change", "reason", "missing"),
    [
        ({}, "", False),
        # MCC by pyradiomics takes longer than anybody waits; nothing else does.
        ({"arguments": {"binCount": 1001}, "by_pyradiomics": True}, "1,000 gray levels, too many for MCC", True),
        ({"arguments": {"binCount": 1000}, "by_pyradiomics": True}, "", False),
        ({"values": VALUES // 100 * 100, "arguments": {"binWidth": 1.0}, "by_pyradiomics": True}, "hardly two", False),
        ({"values": VALUES, "arguments": {"binWidth": 1.0}, "by_pyradiomics": True}, "too many for MCC", True),
        ({"arguments": {"binCount": 1001}}, "hardly two pixels alike", False),
        ({"arguments": {"binCount": 1001}, "classes": {"glcm": ["MCC"]}, "by_pyradiomics": True}, "for MCC", True),
        ({"arguments": {"binCount": 1001}, "classes": {"glcm": ["Id"]}, "by_pyradiomics": True}, "hardly two", False),
        ({"arguments": {"binCount": 1001}, "classes": {"gldm": []}, "by_pyradiomics": True}, "hardly two", False),
        ({"arguments": {"binCount": 20_001}, "classes": {"gldm": []}}, "more than 20,000 gray levels", True),
        # Setting by setting.
        ({"arguments": {"binCount": 8, "distances": [400]}}, "distances [400] say: check distances", True),
        ({"arguments": {"binCount": 8, "distances": [50]}}, "check distances", True),
        ({"arguments": {"binCount": 8, "distances": [49]}}, "", False),
        ({"arguments": {"binCount": 8, "distances": [1, 400]}}, "", False),
        ({"arguments": {"binCount": 8, "distances": [400]}, "classes": {"glrlm": []}}, "", False),
        (
            {"values": np.full(60, 3.0)},
            "all pixels are 3, so that texture says nothing: check the image and the",
            False,
        ),
        ({"values": np.full(60, 3.0), "image_type": "lbp-2D"}, "check the image, the outline and lbp2DRadius", False),
        # Patterns are 0 to 9 whatever the image is.
        ({"values": VALUES % 10, "arguments": {}}, "same gray level with binWidth 25", False),
        ({"values": VALUES % 10, "arguments": {}, "image_type": "lbp-2D"}, "", False),
        ({"values": VALUES % 2, "arguments": {"binWidth": 5.0}, "image_type": "lbp-2D"}, "same gray level", False),
    ],
)
def test_what_is_wrong_with_the_values_of_a_region(change, reason, missing):
    given = {"image_type": "original", "values": VALUES, "shape": (30, 50), "arguments": {"binCount": 8}}
    found = value_problem(**{**given, "classes": {"glcm": [], "firstorder": []}, **change})
    assert (found[0] == "") == (reason == "") and reason in found[0] and found[1] == missing


@pytest.mark.parametrize(
    ("types", "classes", "setting", "said"),
    [
        ({"LBP2D": {}}, ["glcm"], {}, "0 to 9, which are one gray level with binWidth 25"),
        ({"LBP2D": {"binWidth": 10.0}}, ["glcm"], {"binCount": None}, "binWidth 10"),
        ({"LBP2D": {"lbp2DSamples": 12}}, ["firstorder", "gldm"], {}, "0 to 13"),
        ({"LBP2D": {"binWidth": 9.0}}, ["glcm"], {}, ""),
        ({"LBP2D": {"binCount": 8}}, ["glcm"], {}, ""),
        ({"LBP2D": {}}, ["glcm"], {"binCount": 8}, ""),
        ({"LBP2D": {"lbp2DMethod": "default"}}, ["glcm"], {}, ""),
        ({"LBP2D": {}}, ["firstorder", "shape2D"], {}, ""),
        ({"Original": {}}, ["glcm"], {}, ""),
    ],
)
def test_patterns_that_are_one_gray_level_are_said_once(types, classes, setting, said):
    remark = settings_remark(types, classes, setting)
    assert said in remark and bool(remark) == bool(said) and (not remark or remark.endswith("."))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_filters_that_one_pixel_spoils(bad):
    types = ("Original", "Wavelet", "Gradient", "LoG", "Square", "SquareRoot", "Logarithm", "Exponential", "LBP2D")
    spoiled = {image_type: filter_refusal(image_type, (0.0, bad)) for image_type in types}
    assert not any(map(spoiled.pop, ("Original", "Wavelet", "Gradient")))
    assert all("infinite or not a number" in reason for reason in spoiled.values())
    assert "patterns do not show" in spoiled["LBP2D"]
    assert not any(filter_refusal(image_type, (0.0, 9.0)) for image_type in types)


@pytest.mark.filterwarnings("ignore:Applying `local_binary_pattern`")
@pytest.mark.parametrize("engine", ["fast", "pyradiomics"])
def test_patterns_are_left_out_where_a_pixel_is_not_finite(engine):
    """Comparisons with it make patterns that look like any other."""
    if engine == "pyradiomics":
        pytest.importorskip("radiomics", reason="pyradiomics is not installed")
        pytest.importorskip("skimage", reason="scikit-image is not installed")
    content = {"imageType": {"Original": {}, "LBP2D": {}}, "featureClass": {"firstorder": ["Mean"]}}
    settings = ExtractionSettings.from_dict({**content, "setting": {"binCount": 8}})
    pixels = np.random.default_rng(2).normal(100.0, 20.0, (1, 30, 30)).astype(np.float32)
    mask = np.zeros((30, 30), dtype=bool)
    mask[10:20, 10:20] = True

    def extract(pixels):
        problems = []
        image = sitk.GetImageFromArray(pixels)
        return extract_regions(image, {"lesion": mask}, settings, engine, problems=problems)["lesion"], problems

    clean, problems = extract(pixels)
    assert list(clean) == ["original_firstorder_Mean", "lbp-2D_firstorder_Mean"] and not problems
    pixels[0, 9, 15] = np.nan  # beside the region
    found, (problem,) = extract(pixels)
    assert found == {"original_firstorder_Mean": clean["original_firstorder_Mean"]}
    assert (problem.region, problem.image_type, problem.missing) == ("lesion", "LBP2D", True)
    assert problem.is_about("lbp-2D_firstorder_Mean") and not problem.is_about("original_firstorder_Mean")
    whole_numbers, problems = extract(np.nan_to_num(pixels).astype(np.int16))
    assert "lbp-2D_firstorder_Mean" in whole_numbers and not problems


@pytest.mark.parametrize(
    ("image_type", "missing", "concerned"),
    [
        ("Wavelet", True, {"wavelet-HH_glcm_MCC", "wavelet-HH_firstorder_Mean"}),
        ("wavelet-HH", False, {"wavelet-HH_glcm_MCC"}),
        ("Square", True, {"square_glcm_MCC"}),
        ("", True, {"wavelet-HH_glcm_MCC", "wavelet-HH_firstorder_Mean", "square_glcm_MCC", "squareroot_glcm_MCC"}),
    ],
)
def test_which_features_a_problem_is_about(image_type, missing, concerned):
    names = ("wavelet-HH_glcm_MCC", "wavelet-HH_firstorder_Mean", "square_glcm_MCC", "squareroot_glcm_MCC")
    problem = FeatureProblem("a", image_type, "why", missing)
    assert {name for name in names if problem.is_about(name)} == concerned


def test_remarks_on_a_batch_name_the_first_cases_of_every_problem():
    done = {f"c{number}": CaseFeatures({}, {}, ("Region a: flat.",), number == 4) for number in range(5)}
    result = BatchResult({**done, "fine": CaseFeatures({}, {})}, notice="Said before the first case.")
    assert result.remarks() == ["Cases 'c0', 'c1', 'c2' and 2 more: Region a: flat."]
    assert result.incomplete == ("c4",)
