"""Intratumoral, peritumoral and combined regions of a lesion, on the image's pixel grid.

A ring holds every pixel outside the lesion whose center is within the margin of a lesion pixel's center: what Segment
Editor's Margin effect (``vtkITKImageMargin``) makes, pixel for pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
    available = np.ones_like(lesion) if available is None else np.asarray(available, dtype=bool)
    _check_lesion(lesion, available)
    distance = _squared_distance(lesion, spacing_mm)
    distance_beyond = _squared_distance_beyond_border(lesion, spacing_mm, margins[-1])
    rings: dict[str, Region] = {}
    combined: dict[str, Region] = {}
    for margin in margins:
        ring = (distance <= margin**2) & ~lesion
        whole = int(ring.sum()) + int((distance_beyond <= margin**2).sum())
        kept_ring = ring & available
        kept = float(kept_ring.sum()) / whole if whole else 0.0
        for store, name, mask in (
            (rings, f"peritumoral_{margin:g}mm", kept_ring),
            (combined, f"combined_{margin:g}mm", kept_ring | lesion),
        ):
            store[name] = Region(name, mask, margin, kept)
    _check_rings(rings)
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
    if _touches_border(lesion):
        warnings.append("The lesion touches the image border: its rings are cut off there.")
    inside = 1.0 if breast is None else float((lesion & breast).sum() / lesion.sum())
    if inside < _LESION_INSIDE_WARNING:
        warnings.append(f"Only {inside:.0%} of the lesion lies in the breast: check that it was drawn on this image.")
    labels = sitk.ConnectedComponent(sitk.GetImageFromArray(lesion.astype(np.uint8)), True)
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
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - mask[rows, ::-1].argmax(axis=1)
    # The farthest corners are among the outer corners of the first and last pixel of each row.
    corners = [(x, y + dy) for x in (first, last) for y, dy in ((rows, 0), (rows, 1))]
    points = np.concatenate([np.column_stack(np.broadcast_arrays(x, y)) for x, y in corners]) * np.asarray(spacing_mm)
    # Among all points with the same x or y only extremes matter, so the quadratic search stays small.
    farthest = max(float(((points - point) ** 2).sum(axis=1).max()) for point in np.unique(points, axis=0))
    return math.sqrt(farthest)


def _squared_distance(lesion: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray:
    """Squared distance in mm2 of every pixel to the lesion, zero or less inside.

    Always on the whole grid: ITK multiplies pixel index and spacing in single precision, so that on a cropped image
    other pixels at exactly the margin (50 pixels of 0.1 mm) would count as within than for ``vtkITKImageMargin``.
    """
    image = sitk.GetImageFromArray(lesion.astype(np.uint8))
    image.SetSpacing(tuple(float(value) for value in spacing_mm))
    distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=True, useImageSpacing=True, insideIsPositive=False)
    # A copy, because a view is of no use once the image that it looks into is gone.
    return sitk.GetArrayFromImage(distance)


def _squared_distance_beyond_border(lesion: np.ndarray, spacing_mm: tuple[float, float], reach_mm: float) -> np.ndarray:
    """Squared distances in mm2 of the pixels that there would be beyond the image border, as far as the reach.

    They tell how much of a ring the border cuts off.
    """
    pads = []
    for axis, spacing in enumerate(reversed(spacing_mm)):
        hits = np.flatnonzero(lesion.any(axis=1 - axis))
        reach = math.ceil(reach_mm / spacing) + 1
        pads.append((max(reach - int(hits[0]), 0), max(int(hits[-1]) + 1 + reach - lesion.shape[axis], 0)))
    if not np.any(pads):
        return np.empty(0)
    beyond = np.pad(np.zeros_like(lesion), pads, constant_values=True)
    return _squared_distance(np.pad(lesion, pads), spacing_mm)[beyond]


def _check_lesion(lesion: np.ndarray, available: np.ndarray) -> None:
    pixels = int(lesion.sum())
    if pixels == 0:
        raise InputError("The lesion segment is empty: outline the lesion in Segment Editor first.")
    if pixels < MINIMUM_PIXELS or min(np.ptp(index) for index in np.nonzero(lesion)) < 1:
        raise InputError(
            f"The lesion has {pixels} pixels in its segment, texture needs at least {MINIMUM_PIXELS} in more than one "
            "row and column: outline the whole lesion."
        )
    breast = available | lesion
    if pixels > _BREAST_FRACTION_LIMIT * breast.sum():
        raise InputError(
            "The lesion fills the breast: no tissue is left around it, outline the lesion alone or check the image."
        )


def _check_rings(rings: Mapping[str, Region]) -> None:
    for ring in rings.values():
        pixels = int(ring.mask.sum())
        if pixels < MINIMUM_PIXELS:
            raise InputError(
                f"The {ring.margin_mm:g} mm ring has {pixels} pixels inside the breast, texture needs at least "
                f"{MINIMUM_PIXELS}: check the pixel spacing, the lesion outline and the excluded segments."
            )


def _touches_border(mask: np.ndarray) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
