"""What makes features of a region impossible or meaningless, the same for every engine that computes them."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .messages import enumerated

DEFAULT_BIN_WIDTH = 25.0  # pyradiomics' own
# pyradiomics' C code counts the elements of matrices of gray levels squared, in four directions, in 32 bits. Above this
# it needs 12 GB and more, or overflows and takes the whole process down.
MAXIMUM_GRAY_LEVELS = 20_000
# Above this hardly two pixels share a level, and most texture is counted on single pixels.
MANY_GRAY_LEVELS = 1_000
# At so many that occur, MCC takes pyradiomics a minute for one region of one image; at twice as many, eight times that.
_MAXIMUM_OF_PYRADIOMICS = 1_000
# First-order features need a table of the levels, but no matrix.
_MAXIMUM_TABLE = 1_000_000
# Filters that a single pixel that is not finite spoils: far away from it, or near it and without a trace, because
# comparisons with it, of which patterns are made, have a result all the same.
_SPOILED = {
    "LoG": "the filter carries them along all rows and columns",
    **dict.fromkeys(("Square", "SquareRoot", "Logarithm", "Exponential"), "the filter is scaled by the largest of all"),
    "LBP2D": "its patterns do not show which of them touch such pixels",
}
# How the names of the features begin that a filter makes.
_BEGINNINGS = {
    "Original": "original_", "LoG": "log-sigma-", "Wavelet": "wavelet", "Square": "square_",
    "SquareRoot": "squareroot_", "Logarithm": "logarithm_", "Exponential": "exponential_",
    "Gradient": "gradient_", "LBP2D": "lbp-2D_",
}  # fmt: skip
_OF_NEIGHBORS = frozenset(("glcm", "gldm", "ngtdm"))
_WITHOUT_TEXTURE = frozenset(("shape2D", "firstorder"))
_PATTERNS = "lbp-2D"
# So many names are listed.
_NAMED = 5
# What advice names that is about the settings.
_OF_SETTINGS = re.compile("bin(Width|Count)|distances|settings|sigma")
_WITHOUT_SCALE = ("Square", "Logarithm", "Exponential")


@dataclass(frozen=True)
class FeatureProblem:
    """One thing that the reader of features has to know.

    Attributes
    ----------
    region : str
        Name of the region; empty where it is about all of them.
    image_type : str
        Such as ``wavelet-HH``, or ``Wavelet`` for all that this filter makes; empty where it is about all of them.
    reason : str
        What is wrong and, behind the last colon, what to do; without the period.
    missing : bool
        Whether the values are left out. Otherwise they are computed, but mean little.
    """

    region: str
    image_type: str
    reason: str
    missing: bool

    def is_about(self, feature: str) -> bool:
        """Whether it concerns a feature of its region, by pyradiomics' name."""
        if self.image_type and not feature.startswith(_BEGINNINGS.get(self.image_type, f"{self.image_type}_")):
            return False
        # Shape and first-order features do not look at gray levels.
        return self.missing or not any(name in feature for name in ("_shape2D_", "_firstorder_"))

    def under_fixed_settings(self, advice: str) -> FeatureProblem:
        """The same for someone who cannot change the settings: other advice where it was about them."""
        what, _, own = self.reason.rpartition(": ")
        return replace(self, reason=f"{what}: {advice}") if what and _OF_SETTINGS.search(own) else self

    def __str__(self) -> str:
        where = ", ".join(filter(None, (f"Region {self.region}" if self.region else "", self.image_type)))
        return f"{where}: {self.reason}." if where else f"{self.reason[:1].upper()}{self.reason[1:]}."


def problem_lines(problems: Iterable[FeatureProblem], regions: Collection[str] = ()) -> tuple[str, ...]:
    """One line for all regions that have the same problem in the same image types, in the order of their first.

    Parameters
    ----------
    problems : iterable of FeatureProblem
    regions : collection of str
        All that there are, to say so where a problem is one of all of them.
    """
    types: dict[tuple[str, str, bool], dict[str, None]] = {}
    for problem in problems:
        types.setdefault((problem.region, problem.reason, problem.missing), {})[problem.image_type] = None
    groups: dict[tuple[str, bool, tuple[str, ...]], list[str]] = {}
    for (region, reason, missing), names in types.items():
        groups.setdefault((reason, missing, tuple(names)), []).append(region)
    lines = []
    for (reason, missing, names), concerned in groups.items():
        left_out = "Left out, " if missing else ""
        listed = _named(concerned)
        if len(concerned) > 1 and set(concerned) == set(regions):
            listed = "all regions"
        elif listed:
            listed = f"region {listed}"
        where = "; ".join(filter(None, (listed, _named(names))))
        line = f"{left_out}{where}: {reason}." if where else f"{left_out}{reason}."
        lines.append(line[:1].upper() + line[1:])
    return tuple(lines)


def _named(names: Sequence[str]) -> str:
    return enumerated([name for name in names if name], _NAMED)


def settings_remark(
    image_types: Mapping[str, Mapping[str, Any]], feature_classes: Collection[str], setting: Mapping[str, Any]
) -> str:
    """What the settings make meaningless in every region, in a sentence; empty where there is nothing to say.

    Parameters
    ----------
    image_types, feature_classes, setting
        As in the settings of an extraction.
    """
    arguments = {**setting, **image_types.get("LBP2D", {})}
    if "LBP2D" not in image_types or not set(feature_classes) - _WITHOUT_TEXTURE or not _one_level(arguments):
        return ""
    highest, width = _highest_pattern(arguments), arguments.get("binWidth", DEFAULT_BIN_WIDTH)
    return (
        f"The patterns of LBP2D are whole numbers from 0 to {highest}, which are one gray level with binWidth "
        f"{width:g}, so that their texture says nothing: give LBP2D a binCount, or a binWidth of 1."
    )


def _highest_pattern(arguments: Mapping[str, Any]) -> int:
    return arguments.get("lbp2DSamples", 8) + 1


def _one_level(arguments: Mapping[str, Any]) -> bool:
    """Whether local binary patterns, where they are of the usual kind, all have the same gray level."""
    usual = arguments.get("binCount") is None and arguments.get("lbp2DMethod", "uniform") == "uniform"
    return usual and arguments.get("binWidth", DEFAULT_BIN_WIDTH) > _highest_pattern(arguments)


def region_refusal(mask: np.ndarray, setting: Mapping[str, Any]) -> str:
    """Why nothing can be computed of a region, by the limits of pyradiomics; empty where it can.

    Parameters
    ----------
    mask : np.ndarray of bool, shape (rows, columns)
    setting : mapping
        Settings for all image types.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return "it has no pixel: check the outline"
    n_pixels = int(np.count_nonzero(mask))
    if n_pixels == 1:
        return "it is a single pixel: check the outline"
    wanted = setting.get("minimumROIDimensions", 2)
    dimensions = int(rows[0] < rows[-1]) + int(columns[0] < columns[-1])
    if dimensions < wanted:
        return f"it is a line of {n_pixels} pixels, and minimumROIDimensions is {wanted}: check the outline"
    least = setting.get("minimumROISize")
    if least is not None and n_pixels <= least:
        return f"it has {n_pixels} pixels, with minimumROISize it must have more than {least:g}: check the outline"
    return ""


def shape_refusal(mask: np.ndarray) -> str:
    """Why pyradiomics computes no shape of a region that it computes other features of; empty where it does.

    Parameters
    ----------
    mask : np.ndarray of bool, shape (rows, columns)
    """
    # It looks for the thickness of the slice along the wrong axis.
    if np.count_nonzero(mask.any(axis=0)) == 1:
        return "it is a single column, of which pyradiomics computes no shape: check the outline or leave out shape2D"
    return ""


def filter_refusal(image_type: str, extremes: tuple[float, float]) -> str:
    """Why a filter cannot be used on an image; empty where it can.

    Parameters
    ----------
    image_type : str
        As in the settings, such as ``Wavelet``.
    extremes : tuple of float
        Smallest and largest pixel of the image; not a number where any pixel is.
    """
    if image_type in _SPOILED and not all(map(math.isfinite, extremes)):
        why = _SPOILED[image_type]
        return f"the image has pixels that are infinite or not a number, and {why}: replace them"
    if image_type in _WITHOUT_SCALE and extremes[0] == extremes[1] == 0:
        return "the image is zero everywhere, which leaves the filter without a scale: check the image"
    return ""


def log_refusal(sigma_mm: float, size: Sequence[int], spacing_mm: Sequence[float]) -> str:
    """Why an image is too small for a Laplacian of Gaussian, by pyradiomics' condition; empty where it is not.

    Parameters
    ----------
    sigma_mm : float
    size, spacing_mm : sequence
        Columns and rows, and perhaps slices, which do not count.
    """
    needed = (max(4, math.ceil(sigma_mm / spacing) + 1) for spacing in spacing_mm[:2])
    if all(pixels >= least for pixels, least in zip(size, needed)):
        return ""
    return f"the image is too small for a LoG of {sigma_mm:g} mm: leave this sigma out of the settings"


def log_name(sigma_mm: float) -> str:
    """pyradiomics' name of a Laplacian of Gaussian."""
    return f"log-sigma-{str(sigma_mm).replace('.', '-')}-mm-3D"


def value_problem(
    image_type: str,
    values: np.ndarray,
    shape: tuple[int, int],
    arguments: Mapping[str, Any],
    classes: Mapping[str, Sequence[str]],
    by_pyradiomics: bool = False,
) -> tuple[str, bool]:
    """What is wrong with the pixels of a region in one filtered image, and whether its features are left out.

    Parameters
    ----------
    image_type : str
        pyradiomics' name, such as ``wavelet-LH``.
    values : np.ndarray, shape (n_pixels,)
        Not empty.
    shape : tuple of int
        Rows and columns of the box of the region.
    arguments : mapping
        Settings for the feature classes on this image.
    classes : mapping of str to sequence of str
        Feature classes with the features wanted of each; none means all.
    by_pyradiomics : bool
        Whether pyradiomics computes them, which takes it long where there are many gray levels.

    Returns
    -------
    reason : str
        Empty where nothing is wrong.
    missing : bool
    """
    smallest, largest = float(values.min()), float(values.max())
    # Infinite pixels are extremes, and a pixel that is not a number makes both of them so.
    if not (math.isfinite(smallest) and math.isfinite(largest)):
        return "pixels are infinite or not a number: replace them or change the outline", True
    count, width = arguments.get("binCount"), arguments.get("binWidth", DEFAULT_BIN_WIDTH)
    levels = count if count is not None else (largest - smallest) / width
    texture = bool(set(classes) - _WITHOUT_TEXTURE)
    limit = MAXIMUM_GRAY_LEVELS if texture else _MAXIMUM_TABLE
    # The reasons name no values that differ between regions, so that one line can say it of all of them.
    if levels > limit:
        return f"more than {limit:,} gray levels: use another binWidth or binCount", True
    if by_pyradiomics and "glcm" in classes and (not classes["glcm"] or "MCC" in classes["glcm"]):
        if levels > _MAXIMUM_OF_PYRADIOMICS < _levels_that_occur(values, count, width):
            many = f"more than {_MAXIMUM_OF_PYRADIOMICS:,} gray levels, too many for MCC by pyradiomics"
            return f"{many}: use binCount or a larger binWidth, or the fast engine where it has these settings", True
    distances = arguments.get("distances", [1])
    if _OF_NEIGHBORS & set(classes) and np.min(distances) >= max(shape):
        return f"no two pixels are as far apart as distances {distances} say: check distances", True
    return (_texture_flag(image_type, smallest, largest, levels, arguments), False) if texture else ("", False)


def _levels_that_occur(values: np.ndarray, count: int | None, width: float) -> int:
    values = values.astype(np.float64)
    if count is not None:
        values, width = values - values.min(), np.ptp(values) / count or 1.0
    return len(np.unique(np.floor(values / width)))


def _texture_flag(image_type: str, smallest: float, largest: float, levels: float, arguments: Mapping[str, Any]) -> str:
    """Why texture of a region means little; empty where nothing speaks against it."""
    nothing = "so that texture says nothing"
    count, width = arguments.get("binCount"), arguments.get("binWidth", DEFAULT_BIN_WIDTH)
    if smallest == largest:
        check = "the image, the outline and lbp2DRadius" if image_type == _PATTERNS else "the image and the outline"
        return f"all pixels are {smallest:g}, {nothing}: check {check}"
    if count == 1:
        return f"binCount 1 leaves one gray level, {nothing}: use a larger binCount"
    if image_type == _PATTERNS and _one_level(arguments):
        return ""  # said once, by settings_remark
    if count is None and math.floor(smallest / width) == math.floor(largest / width):
        same = f"all pixels have the same gray level with binWidth {width:g}"
        return f"{same}, {nothing}: use binCount or a smaller binWidth"
    if levels > MANY_GRAY_LEVELS:
        many = f"more than {MANY_GRAY_LEVELS:,} gray levels"
        return f"{many} leave hardly two pixels alike: use binCount or a larger binWidth"
    return ""
