"""What is said of features that are left out or mean little."""

from __future__ import annotations

import pytest

from HER2NomogramLib.batch import BatchResult, CaseFeatures
from HER2NomogramLib.feature_problems import FeatureProblem, problem_lines


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
    result = BatchResult({**done, "fine": CaseFeatures({}, {})}, notice="pyradiomics computes the features")
    assert result.remarks() == [
        "Note: pyradiomics computes the features.",
        "Cases 'c0', 'c1', 'c2' and 2 more: Region a: flat.",
    ]
    assert result.incomplete == ("c4",)
