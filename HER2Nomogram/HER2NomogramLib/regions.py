"""Intratumoral, peritumoral and combined regions of a lesion, on the image's pixel grid.

A ring holds every pixel outside the lesion whose center is within the margin of a lesion pixel's center: what Segment
Editor's Margin effect (``vtkITKImageMargin``) makes, pixel for pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import SimpleITK as sitk

from .errors import InputError

INTRATUMORAL = "intratumoral"
DEFAULT_MARGINS_MM = (5.0, 10.0)
_MARGIN_LIMITS_MM = (0.5, 30.0)
# Below this many pixels co-occurrence and run-length matrices are a handful of counts.
MINIMUM_PIXELS = 16
_KEPT_FRACTION_WARNING = 0.5
_LESION_INSIDE_WARNING = 0.9
_BREAST_FRACTION_LIMIT = 0.95
_HALF_ULP = 2.0**-24  # largest relative error of rounding to single precision
# More pairs of pixels in doubt and lesion pixels take more time and memory than the whole grid.
_MOST_PAIRS = 1 << 22


@dataclass(frozen=True, eq=False)
class Region:
    """One region of a lesion.

    Attributes
    ----------
    name : str
        ``intratumoral``, ``peritumoral_5mm``, ``combined_5mm`` ...
    mask : np.ndarray of bool, shape (rows, columns)
    margin_mm : float or None
        Width of the ring, None for the intratumoral region.
    kept_fraction : float
        Share of the ring that lies inside the image and the available area; 1.0 for the intratumoral region.
    """

    name: str
    mask: np.ndarray
    margin_mm: float | None
    kept_fraction: float


def check_margins(margins_mm: Iterable[float]) -> tuple[float, ...]:
    """Margins in ascending order.

    Raises
    ------
    InputError
        Where there is none, one is given twice or lies outside of 0.5 to 30 mm.
    """
    try:
        margins = tuple(sorted(float(margin) for margin in margins_mm))
    except (TypeError, ValueError):
        raise InputError(f"Margins are {margins_mm!r}: give a list of widths in mm, such as [5, 10].") from None
    low, high = _MARGIN_LIMITS_MM
    # Widths that differ by less than their names show would make regions of the same name.
    names = {f"{margin:g}" for margin in margins}
    if not margins or len(names) != len(margins) or not all(low <= margin <= high for margin in margins):
        given = ", ".join(f"{margin:g}" for margin in margins) or "none"
        raise InputError(f"Margins ({given} mm) must be different widths between {low:g} and {high:g} mm.")
    return margins


def region_label(region: str) -> str:
    """Name of a region for display: ``peritumoral_5mm`` becomes ``peritumoral 5 mm``."""
    kind, _, width = region.rpartition("_")
    return f"{kind} {width.removesuffix('mm')} mm" if kind and width.endswith("mm") else region


def region_names(margins_mm: Iterable[float]) -> list[str]:
    """Names of the regions that these margins make, intratumoral first."""
    widths = [f"{margin:g}mm" for margin in check_margins(margins_mm)]
    return [INTRATUMORAL, *(f"peritumoral_{w}" for w in widths), *(f"combined_{w}" for w in widths)]


def margins_of(names: Iterable[str]) -> tuple[float, ...]:
    """Margins that make these regions, in ascending order; none for the intratumoral region alone."""
    return tuple(sorted({float(name.split("_")[1].removesuffix("mm")) for name in names if name != INTRATUMORAL}))


def make_regions(
    lesion: np.ndarray,
    spacing_mm: tuple[float, float],
    margins_mm: Iterable[float] = DEFAULT_MARGINS_MM,
    available: np.ndarray | None = None,
) -> dict[str, Region]:
    """Make all regions of one lesion.

    Parameters
    ----------
    lesion : np.ndarray of bool, shape (rows, columns)
    spacing_mm : tuple of float
        Pixel spacing along the columns' index (x) and the rows' index (y).
    margins_mm : iterable of float
        Widths of the rings.
    available : np.ndarray of bool, shape (rows, columns), optional
        Where rings may lie: the breast without what is excluded. The lesion itself is kept as it was drawn.

    Returns
    -------
    dict of str to Region
        In the order of :func:`region_names`.

    Raises
    ------
    InputError
        Where the lesion is empty or too small, fills the breast, or a ring has too few pixels left.
    """
    margins = check_margins(margins_mm)
    lesion = np.asarray(lesion, dtype=bool)
    available = None if available is None else np.asarray(available, dtype=bool)
    _check_lesion(lesion, available)
    box, pads = _reached(lesion, spacing_mm, margins[-1])
    cropped = lesion[box]
    first = (box[0].start, box[1].start)
    near = _within(cropped, first, spacing_mm, margins)
    cut_off = _count_beyond_border(cropped, pads, first, spacing_mm, margins)
    rings: dict[str, Region] = {}
    combined: dict[str, Region] = {}
    for margin in margins:
        ring = near[margin] & ~cropped
        whole = int(np.count_nonzero(ring)) + cut_off[margin]
        if available is not None:
            ring &= available[box]
        pixels = int(np.count_nonzero(ring))
        _check_ring(margin, pixels)
        for store, name, mask in (
            (rings, f"peritumoral_{margin:g}mm", ring),
            (combined, f"combined_{margin:g}mm", ring | cropped),
        ):
            # Pages that nothing is written to take no memory: a full-size mask costs little more than its box.
            full = np.zeros(lesion.shape, dtype=bool)
            full[box] = mask
            store[name] = Region(name, full, margin, pixels / whole)
    return {INTRATUMORAL: Region(INTRATUMORAL, lesion, None, 1.0), **rings, **combined}


def region_warnings(regions: Mapping[str, Region], breast: np.ndarray | None = None) -> tuple[str, ...]:
    """What a reader should know of these regions before trusting their features.

    Parameters
    ----------
    regions : mapping of str to Region
    breast : np.ndarray of bool, shape (rows, columns), optional
        To find a lesion that was drawn in air, or on another or a flipped image.
    """
    warnings = []
    lesion = regions[INTRATUMORAL].mask
    box = bounding_box(lesion)
    cropped = lesion[box]
    if any(side.start == 0 or side.stop == length for side, length in zip(box, lesion.shape)):
        warnings.append("The lesion touches the image border: its rings are cut off there.")
    inside = 1.0 if breast is None else float((cropped & breast[box]).sum() / cropped.sum())
    if inside < _LESION_INSIDE_WARNING:
        warnings.append(f"Only {inside:.0%} of the lesion lies in the breast: check that it was drawn on this image.")
    labels = sitk.ConnectedComponent(sitk.GetImageFromArray(cropped.astype(np.uint8)), True)
    pieces = int(sitk.GetArrayFromImage(labels).max())
    if pieces > 1:
        warnings.append(f"The lesion segment has {pieces} separate pieces: rings are made around all of them.")
    for region in regions.values():
        if region.name.startswith("peritumoral") and region.kept_fraction < _KEPT_FRACTION_WARNING:
            warnings.append(
                f"Only {region.kept_fraction:.0%} of the {region.margin_mm:g} mm ring lies in breast tissue: "
                "its features rest on little."
            )
    return tuple(warnings)


def feret_diameter_mm(mask: np.ndarray, spacing_mm: tuple[float, float]) -> float:
    """Largest Feret diameter in mm: the greatest distance between two outer pixel corners of the mask.

    Parameters
    ----------
    mask : np.ndarray of bool, shape (rows, columns)
        Not empty.
    spacing_mm : tuple of float
        Pixel spacing (x, y).
    """
    box = bounding_box(mask)
    cropped = mask[box]
    rows = np.flatnonzero(cropped.any(axis=1))
    first = box[1].start + cropped[rows].argmax(axis=1)
    last = box[1].stop - cropped[rows, ::-1].argmax(axis=1)
    rows += box[0].start
    # The two farthest corners are an outer corner of the first pixel of one row and one of the last pixel of another.
    left, right = (
        np.concatenate([np.column_stack((x, y)) for y in (rows, rows + 1)]) * np.asarray(spacing_mm)
        for x in (first, last)
    )
    return math.sqrt(max(float(((right - corner) ** 2).sum(axis=1).max()) for corner in left))


def bounding_box(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that hold all of a mask, which is not empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    band = slice(int(rows[0]), int(rows[-1]) + 1)
    columns = np.flatnonzero(mask[band].any(axis=0))
    return band, slice(int(columns[0]), int(columns[-1]) + 1)


def _reached(
    lesion: np.ndarray, spacing_mm: tuple[float, float], reach_mm: float
) -> tuple[tuple[slice, slice], list[tuple[int, int]]]:
    """Box of the image around all that is within reach of the lesion, and by how many pixels the border cuts it."""
    box, pads = [], []
    for side, length, spacing in zip(bounding_box(lesion), lesion.shape, reversed(spacing_mm)):
        reach = math.ceil(reach_mm / spacing) + 1
        start, stop = side.start - reach, side.stop + reach
        box.append(slice(max(start, 0), min(stop, length)))
        pads.append((max(-start, 0), max(stop - length, 0)))
    return (box[0], box[1]), pads


def _count_beyond_border(
    lesion: np.ndarray,
    pads: list[tuple[int, int]],
    first: tuple[int, int],
    spacing_mm: tuple[float, float],
    margins: tuple[float, ...],
) -> dict[float, int]:
    """By margin, how many pixels within it there would be beyond the image border: what it cuts off of the ring."""
    if not np.any(pads):
        return dict.fromkeys(margins, 0)
    beyond = np.pad(np.zeros_like(lesion), pads, constant_values=True)
    near = _within(np.pad(lesion, pads), first, spacing_mm, margins)
    return {margin: int(np.count_nonzero(near[margin] & beyond)) for margin in margins}


def _within(
    lesion: np.ndarray, first: tuple[int, int], spacing_mm: tuple[float, float], margins: tuple[float, ...]
) -> dict[float, np.ndarray]:
    """By margin, the pixels of a box within it of the lesion, those of the lesion included.

    As on the whole grid, in which the box begins at row and column ``first``: ITK multiplies pixel index and spacing
    in single precision, so that of the pixels at exactly the margin (50 pixels of 0.1 mm) others would count as within
    in the box alone than for ``vtkITKImageMargin``. Those that rounding may put on either side are decided by the
    numbers that ITK computes at their place in the grid.
    """
    distance = _squared_distance(lesion, spacing_mm)
    near = {margin: distance <= margin**2 for margin in margins}
    if not any(first):
        return near
    edge = np.argwhere(lesion & ~_inner(lesion))
    for margin in margins:
        pixels = np.argwhere(np.abs(distance - margin**2) <= _largest_error(lesion.shape, first, spacing_mm, margin))
        decided = _decide(pixels, edge, first, spacing_mm, margin)
        if decided is None:
            # What lies before the box makes up the indices. What lies behind it has no say: no lesion is there.
            grid = np.pad(lesion, [(before, 0) for before in first])
            distance = _squared_distance(grid, spacing_mm)[first[0] :, first[1] :]
            return {margin: distance <= margin**2 for margin in margins}
        near[margin][tuple(pixels.T)] = decided
    return near


def _squared_distance(lesion: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray:
    """Squared distance in mm2 of every pixel to the lesion, zero or less inside."""
    image = sitk.GetImageFromArray(lesion.astype(np.uint8))
    image.SetSpacing(tuple(float(value) for value in spacing_mm))
    distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=True, useImageSpacing=True, insideIsPositive=False)
    # A copy, because a view is of no use once the image that it looks into is gone.
    return sitk.GetArrayFromImage(distance)


def _inner(lesion: np.ndarray) -> np.ndarray:
    """Lesion pixels with lesion on all four sides: none of them is the nearest to a pixel outside."""
    framed = np.pad(lesion, 1)
    return framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]


def _largest_error(
    shape: tuple[int, ...], first: tuple[int, int], spacing_mm: tuple[float, float], margin: float
) -> float:
    """By how much in mm2, at most, squared distances at the margin differ between a box and the grid that it lies in.

    Every position is off by up to three roundings of its value, and ITK may take a lesion pixel for the nearest that is
    farther.
    """
    x_mm, y_mm = spacing_mm
    last_position = max((first[0] + shape[0]) * y_mm, (first[1] + shape[1]) * x_mm)
    return 32 * _HALF_ULP * margin * last_position + _choice_error(margin) * (1 + 2 * margin / y_mm)


def _choice_error(margin: float) -> float:
    """By how much in mm2 a lesion pixel that ITK takes for the nearest may be farther, for each row between the two.

    ITK drops a row where at every place one before or one after it is nearer. That is the sign of a sum with some ten
    roundings, whose terms are at most twice the squared distance times the rows between the outer two.
    """
    return 32 * _HALF_ULP * margin**2


def _decide(
    pixels: np.ndarray, edge: np.ndarray, first: tuple[int, int], spacing_mm: tuple[float, float], margin: float
) -> np.ndarray | None:
    """Which pixels are within the margin on the whole grid; None where only that grid can tell.

    Parameters
    ----------
    pixels : np.ndarray of int, shape (n, 2)
        Row and column in the box, outside the lesion.
    edge : np.ndarray of int, shape (m, 2)
        Row and column in the box of the lesion pixels at its edge.
    first, spacing_mm, margin
        As for :func:`_within`.

    Returns
    -------
    np.ndarray of bool, shape (n,), or None
    """
    if len(pixels) * len(edge) > _MOST_PAIRS or not _rounding_is_known():
        return None
    squared = _rounded_squared_distances(pixels, edge, first, spacing_mm)
    nearest = squared.argmin(axis=1)
    lowest = squared[np.arange(len(pixels)), nearest]
    within = lowest <= margin**2
    # Of two rows ITK takes the nearer. Only with a third as near can it drop one, or stop short of it, by rounding.
    squared, lowest = squared[within], lowest[within, np.newaxis]
    rows_between = np.abs(edge[:, 0] - edge[nearest[within], 0, np.newaxis])
    as_near = squared <= lowest + _choice_error(margin) * (1 + rows_between)
    beyond = (as_near & (squared > margin**2)).any(axis=1)
    return None if (beyond & (as_near.sum(axis=1) > 2)).any() else within


def _rounded_squared_distances(
    pixels: np.ndarray, edge: np.ndarray, first: tuple[int, int], spacing_mm: tuple[float, float]
) -> np.ndarray:
    """Squared distance in mm2 of each pixel to each lesion pixel, shape (pixels, edge), rounded as ITK rounds.

    In ``itkSignedMaurerDistanceMapImageFilter`` a lesion pixel's position is a product of two single-precision numbers,
    that of the other pixel a rounded product of double precision.
    """
    total = np.float32(0.0)
    for axis, spacing in enumerate(reversed(spacing_mm)):
        of_edge = (edge[:, axis] + first[axis]).astype(np.float32) * np.float32(spacing)
        of_pixels = ((pixels[:, axis] + first[axis]) * float(spacing)).astype(np.float32)
        total = total + (of_edge - of_pixels[:, np.newaxis]) ** 2
    return total


@cache
def _rounding_is_known() -> bool:
    """Whether this build of ITK rounds as above; not where it multiplies and adds in one step."""
    lesion = np.zeros((64, 64), dtype=bool)
    lesion[41, 23] = True
    spacing_mm = (0.1, 0.07)
    outside = np.argwhere(~lesion)
    rounded = _rounded_squared_distances(outside, np.argwhere(lesion), (0, 0), spacing_mm)
    return np.array_equal(rounded[:, 0], _squared_distance(lesion, spacing_mm)[~lesion])


def _check_lesion(lesion: np.ndarray, available: np.ndarray | None) -> None:
    pixels = np.count_nonzero(lesion)
    if pixels == 0:
        raise InputError("The lesion segment is empty: outline the lesion in Segment Editor first.")
    box = bounding_box(lesion)
    if pixels < MINIMUM_PIXELS or min(side.stop - side.start for side in box) < 2:
        raise InputError(
            f"The lesion has {pixels} pixels in its segment, texture needs at least {MINIMUM_PIXELS} in more than one "
            "row and column: outline the whole lesion."
        )
    breast = lesion.size
    if available is not None:
        breast = np.count_nonzero(available) + np.count_nonzero(lesion[box] & ~available[box])
    if pixels > _BREAST_FRACTION_LIMIT * breast:
        raise InputError(
            "The lesion fills the breast: no tissue is left around it, outline the lesion alone or check the image."
        )


def _check_ring(margin: float, pixels: int) -> None:
    if pixels < MINIMUM_PIXELS:
        raise InputError(
            f"The {margin:g} mm ring has {pixels} pixels inside the breast, texture needs at least {MINIMUM_PIXELS}: "
            "check the pixel spacing, the lesion outline, the excluded segments, and the image for NaN or infinity."
        )
