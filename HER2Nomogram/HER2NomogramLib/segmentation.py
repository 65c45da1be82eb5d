"""Lesion outlines from files, brought to the pixel grid of the mammogram that they were drawn on."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .errors import InputError
from .mammogram import FORMATS_WITH_GEOMETRY, Mammogram, as_slice, check_file, read_image
from .regions import bounding_box

MAXIMUM_LOSS = 0.01  # of a segment's area, that may be lost on the way to the image's grid
_MAXIMUM_LABELS = 100
_LISTED = 12  # names in an error message


@dataclass(frozen=True)
class _Segment:
    """What a file offers: the names that it may be chosen by, the most specific first, and its mask."""

    names: tuple[str, ...]
    mask: Callable[[], np.ndarray]  # bool, (rows, columns) of the mammogram


def read_segment(
    path: str | Path, mammogram: Mammogram, segment: str | int | None = None, image_name: str | None = None
) -> np.ndarray:
    """Read one segment and bring it to the grid of its mammogram.

    Parameters
    ----------
    path : str or Path
        `.seg.nrrd` of Slicer, a label image (NRRD, NIfTI, MHA, PNG, TIFF) or a contour CSV of the VGG Image Annotator.
    mammogram : Mammogram
        The image that the segment was drawn on.
    segment : str or int, optional
        Name, ID or label value of the segment, label value, or contour number (region_id). May be left out, or blank,
        where there is only one.
    image_name : str, optional
        File name of the image, which chooses the rows of a contour CSV; not needed where it has those of one image.

    Returns
    -------
    ndarray of bool, shape (rows, columns)

    Raises
    ------
    InputError
        Unreadable file, segment not there, not chosen among several or empty, or drawn on another image or grid.

    Notes
    -----
    Three cases are told apart by the geometry in the segmentation's header:

    1. None (PNG, TIFF): rows and columns must be those of the image.
    2. The image's own pixels: same directions, pixel spacing that of the image, and the first pixel a whole number of
       pixels away from the image's first (Slicer crops segmentations). The mask is copied. "Pixel spacing of the image"
       includes the false ones: a program that showed the file with the spacing of its dpi entry, with the uncorrected
       one of the DICOM tags or with 1 mm has written that one into the segmentation, although it lies on the same
       pixels (`Mammogram.file_spacings_mm`; distances from the first pixel are then in the same false millimeters).
    3. Another grid in the same plane: resampled to the nearest neighbor in millimeters. Where true and false
       millimeters differ, those in which the segmentation covers just the image's field are meant; if neither does, it
       is refused, because a guess could put the lesion in a wrong place.

    In cases 2 and 3 the segment is refused if it loses more than 1 percent of its area.
    Contours are taken in pixels, the center of the first pixel being (0, 0); a pixel belongs to a contour if its center
    lies inside. Parts outside the image are cut off.
    """
    ((mask, name),) = _read(path, mammogram, [_text(segment)], image_name)
    if not mask.any():
        raise InputError(f"{Path(path).name}: segment {name} is empty on this image; outline the lesion")
    return mask


def read_segments(
    path: str | Path, mammogram: Mammogram, segments: Iterable[str | int], image_name: str | None = None
) -> np.ndarray:
    """Read the union of several segments, such as those to exclude; empty ones do no harm.

    Parameters
    ----------
    path, mammogram, image_name
        As in `read_segment`.
    segments : iterable of str or int
        Names; blank ones are skipped.

    Returns
    -------
    ndarray of bool, shape (rows, columns)
    """
    union = np.zeros(mammogram.pixels.shape, dtype=bool)
    names = [name for name in map(_text, [segments] if isinstance(segments, str) else segments) if name]
    for mask, _ in _read(path, mammogram, names, image_name) if names else ():
        union |= mask
    return union


def _read(path, mammogram: Mammogram, names: list[str], image_name: str | None) -> Iterator[tuple[np.ndarray, str]]:
    """Masks and names of the segments chosen; errors begin with the file's name."""
    path = Path(path)
    try:
        check_file(path)
        if path.suffix.lower() == ".csv":
            available = _contours(path, mammogram, image_name)
        else:
            available = _labels(path, mammogram)
        for name in names:
            chosen = _choose(available, name)
            yield chosen.mask(), chosen.names[0]
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None


def _text(segment) -> str:
    """Segment as text; tables give blank cells as NaN and whole numbers as floats."""
    if segment is None or (isinstance(segment, float) and math.isnan(segment)):
        return ""
    if isinstance(segment, float) and segment.is_integer():
        segment = int(segment)
    return str(segment).strip()


def _choose(available: list[_Segment], wanted: str) -> _Segment:
    """The segment of that name, or the only one."""
    listed = ", ".join(segment.names[0] for segment in available[:_LISTED]) + (", ..." if available[_LISTED:] else "")
    if not available:
        raise InputError("has no segment; outline the lesion")
    if not wanted:
        if len(available) > 1:
            raise InputError(f"has several segments, name one of them: {listed}")
        return available[0]
    for rank in range(3):  # name, ID, label value
        found = [segment for segment in available if wanted in segment.names[rank : rank + 1]]
        if len(found) > 1:
            raise InputError(f"has {len(found)} segments {wanted}; rename them")
        if found:
            return found[0]
    if re.fullmatch(r"\d+\.0+", wanted):
        return _choose(available, wanted.split(".")[0])
    raise InputError(f"has no segment {wanted}; there are: {listed}")


# --- Label images -----------------------------------------------------------------------------------------------------


def _labels(path: Path, mammogram: Mammogram) -> list[_Segment]:
    """Segments of a `.seg.nrrd` file or of a label image."""
    image_io = sitk.ImageFileReader.GetImageIOFromFileName(str(path))
    if image_io == "JPEGImageIO":
        raise InputError("is a JPEG, which does not keep label values; save the segmentation as PNG or NRRD")
    if image_io == "GDCMImageIO":
        raise InputError("is DICOM; export the segmentation as .seg.nrrd or NRRD")
    image = read_image(path, image_io)
    if image.HasMetaDataKey("Segment0_ID") or image.HasMetaDataKey("Segment0_Name"):
        return _slicer_segments(image, mammogram)
    image = as_slice(image)
    pixels = sitk.GetArrayViewFromImage(image)[0]
    values = np.unique(pixels[_drawn(pixels)])
    values = values[values != 0]
    if not np.array_equal(values, np.round(values)) or values.size > _MAXIMUM_LABELS:
        raise InputError("is no label image (many values, or fractions); save the segmentation without smoothing")
    has_geometry = image_io in FORMATS_WITH_GEOMETRY
    return [
        _Segment((str(int(value)),), lambda value=value: _on_grid(image, float(value), mammogram, has_geometry))
        for value in values
    ]


def _drawn(pixels: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that hold all pixels of a label image that are not 0, none of either where there are none."""
    return bounding_box(pixels) if pixels.any() else (slice(0, 0), slice(0, 0))


def _slicer_segments(image: sitk.Image, mammogram: Mammogram) -> list[_Segment]:
    """Segments described by the header fields of Slicer; overlapping ones are in several layers (components)."""

    def field(number: int, name: str, default: str = "") -> str:
        key = f"Segment{number}_{name}"
        return image.GetMetaData(key).strip() if image.HasMetaDataKey(key) else default

    def whole(number: int, name: str, default: int) -> int:
        text = field(number, name, str(default))
        if not re.fullmatch(r"-?\d+", text):
            raise InputError(f"is damaged: Segment{number}_{name} is not a whole number; save it again")
        return int(text)

    if image.GetDimension() != 3 or image.GetSize()[2] != 1:
        raise InputError("has several slices; draw the segment on the mammogram")
    layers = image.GetNumberOfComponentsPerPixel()
    available = []
    number = 0
    while field(number, "ID") or field(number, "Name"):
        # Before layers were shared, each segment was a component of its own with the value 1
        layer = whole(number, "Layer", number if layers > 1 else 0)
        value = whole(number, "LabelValue", 1)
        if not 0 <= layer < layers:
            raise InputError(f"is damaged: Segment{number} is in layer {layer} of {layers}; save it again")
        names = (field(number, "Name") or field(number, "ID"), field(number, "ID"), str(value))
        available.append(_Segment(names, lambda at=layer, value=value: _on_grid(_layer(image, at), value, mammogram)))
        number += 1
    return available


def _layer(image: sitk.Image, index: int) -> sitk.Image:
    return sitk.VectorIndexSelectionCast(image, index) if image.GetNumberOfComponentsPerPixel() > 1 else image


# --- Grids ------------------------------------------------------------------------------------------------------------


def _on_grid(label: sitk.Image, value: float, mammogram: Mammogram, has_geometry: bool = True) -> np.ndarray:
    """Bring what has a value in a one-slice label image to the image's pixels by the rules of `read_segment`."""
    image = mammogram.image
    if not has_geometry:
        if label.GetSize() != image.GetSize():
            raise InputError(f"has {_size(label)} pixels, the image {_size(image)}; draw it on this image")
        return _paste(label, value, mammogram, np.zeros(2, dtype=int))
    axes, label_axes = (np.reshape(one.GetDirection(), (3, 3)) for one in (image, label))
    offset = axes.T @ np.subtract(label.GetOrigin(), image.GetOrigin())  # along the image's columns, rows, normal
    half_slice = 0.5 * max(label.GetSpacing()[2], image.GetSpacing()[2])
    if abs(axes[:, 2] @ label_axes[:, 2]) < 0.999 or abs(offset[2]) > half_slice:
        raise InputError("lies in another plane than the image; draw it on this image")
    spacing = label.GetSpacing()[:2]
    if np.allclose(axes[:, :2], label_axes[:, :2], atol=1e-3):
        for shown in (mammogram.spacing_mm, *mammogram.file_spacings_mm, (1.0, 1.0)):
            start = offset[:2] / shown
            if np.allclose(spacing, shown, rtol=1e-3) and np.allclose(start, np.round(start), atol=0.1):
                return _paste(label, value, mammogram, np.round(start).astype(int))
    return _resample(label == value, mammogram, axes.T @ label_axes, offset)


def _paste(label: sitk.Image, value: float, mammogram: Mammogram, start: np.ndarray) -> np.ndarray:
    """Copy what has a value in a label image that begins at column and row `start` of the image."""
    values = sitk.GetArrayViewFromImage(label)[0]
    if value:  # a segment of value 0 has what is outside the box, too
        box = _drawn(values)
        values, start = values[box], start + (box[1].start, box[0].start)
    source = values == value
    # Pages that nothing is written to take no memory.
    mask = np.zeros(mammogram.pixels.shape, dtype=bool)
    first = np.maximum(start[::-1], 0)
    last = np.maximum(np.minimum(start[::-1] + source.shape, mask.shape), first)
    kept = source[tuple(slice(a - s, b - s) for a, b, s in zip(first, last, start[::-1]))]
    mask[tuple(map(slice, first, last))] = kept
    pixel_mm2 = math.prod(mammogram.spacing_mm)
    _check_loss(np.count_nonzero(source) * pixel_mm2, np.count_nonzero(kept) * pixel_mm2)
    return mask


def _resample(label: sitk.Image, mammogram: Mammogram, axes: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Resample a mask of another grid; `axes` and `offset` (mm) are the label's in terms of the image's axes."""
    shown = _meant_spacing(label, mammogram, axes, offset)
    # In the image's own axes the plane is z = 0, whatever the slices' positions within half a slice
    moved = sitk.Image(label)
    moved.SetOrigin((offset[0], offset[1], 0.0))
    moved.SetDirection(axes.ravel())
    grid = sitk.Image(mammogram.image.GetSize(), sitk.sitkUInt8)
    grid.SetSpacing((*shown, 1.0))
    mask = sitk.GetArrayFromImage(sitk.Resample(moved, grid, sitk.Transform(), sitk.sitkNearestNeighbor))[0] > 0
    pixel_mm2 = math.prod(mammogram.spacing_mm)
    pixels = math.prod(label.GetSpacing()[:2]) / math.prod(shown)  # of the image, per pixel of the label
    before = np.count_nonzero(sitk.GetArrayViewFromImage(label)) * pixels * pixel_mm2
    _check_loss(before, np.count_nonzero(mask) * pixel_mm2)
    return mask


def _meant_spacing(label: sitk.Image, mammogram: Mammogram, axes: np.ndarray, offset: np.ndarray):
    """Tell in which millimeters, the image's true or its file's false ones, the label's geometry is given."""
    true = mammogram.spacing_mm
    false = [shown for shown in mammogram.file_spacings_mm if not np.allclose(shown, true, rtol=1e-3)]
    if not false:
        return true
    spacing, size = np.array(label.GetSpacing()[:2]), np.array(label.GetSize()[:2])
    corners = np.array([[-0.5, -0.5], size - 0.5]) * spacing @ axes[:2, :2].T + offset[:2]
    for shown in (true, *false):
        field = np.array([[-0.5, -0.5], np.subtract(mammogram.image.GetSize()[:2], 0.5)]) * shown
        if (np.abs(np.sort(corners, axis=0) - field) <= np.maximum(spacing, shown)).all():
            return shown
    raise InputError(
        f"its grid ({_size(label)} pixels of {spacing[0]:g} x {spacing[1]:g} mm) does not fit the image "
        f"({_size(mammogram.image)} pixels of {true[0]:g} x {true[1]:g} mm); draw or export it on this image"
    )


def _check_loss(before_mm2: float, after_mm2: float) -> None:
    if after_mm2 < (1.0 - MAXIMUM_LOSS) * before_mm2:
        raise InputError(
            f"only {after_mm2:.1f} of the segment's {before_mm2:.1f} mm2 lie on the image's grid; "
            "it was drawn on another image or grid, draw it on this image"
        )


def _size(image: sitk.Image) -> str:
    return " x ".join(str(n) for n in image.GetSize()[:2])


# --- Contours of the VGG Image Annotator ------------------------------------------------------------------------------


def _contours(path: Path, mammogram: Mammogram, image_name: str | None) -> list[_Segment]:
    """Contours of one image in a CSV of the VGG Image Annotator (VIA)."""
    rows = _contour_rows(path)
    names = sorted({row["filename"] for row in rows})
    if image_name is not None and str(image_name).strip():
        wanted = Path(str(image_name).strip()).name
        same = [name for name in names if name == wanted]
        # Contours of a JPEG are used with its lossless copy, too
        same = same or [name for name in names if Path(name).stem.lower() == Path(wanted).stem.lower()]
        if not same:
            raise InputError(f"has no contour of {wanted}; column filename must hold the image's name")
    elif len(names) > 1:
        raise InputError(f"has contours of {len(names)} images; tell the name of the image")
    else:
        same = names
    return [
        _Segment((row["region_id"],), lambda row=row: _contour_mask(row, mammogram.pixels.shape))
        for row in rows
        if row["filename"] in same and row["region_shape_attributes"] not in ("", "{}")
    ]


def _contour_rows(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(max(csv.field_size_limit(), 1 << 24))  # a contour drawn by hand may have many points
    columns = ("filename", "region_id", "region_shape_attributes")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [
                {(key or "").lstrip("#").strip(): value for key, value in row.items() if isinstance(value, str)}
                for row in csv.DictReader(file)
            ]
    except (UnicodeDecodeError, csv.Error):
        raise InputError("is not a CSV file in UTF-8; export the annotations again") from None
    for column in columns:
        if not all(column in row for row in rows):
            raise InputError(f"has no column {column} in some row; export the annotations of VIA as CSV")
    return [{column: row[column].strip() for column in columns} for row in rows]


def _contour_mask(row: dict[str, str], shape: tuple[int, int]) -> np.ndarray:
    """Rasterize one VIA region by pixel centers."""
    region = f"region_id {row['region_id']} of {row['filename']}"
    try:
        attributes = json.loads(row["region_shape_attributes"])
        kind = attributes["name"]
        if kind in ("polygon", "polyline"):
            points = np.array([attributes["all_points_x"], attributes["all_points_y"]], dtype=float).T
        elif kind == "rect":
            x, y, width, height = (float(attributes[key]) for key in ("x", "y", "width", "height"))
            points = np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)])
        elif kind in ("circle", "ellipse"):
            points = _ellipse_points(attributes)
        else:
            raise InputError(f"{region} is a {kind}, which has no area; draw a polygon")
        if len(points) < 3 or not np.isfinite(points).all():
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{region} is damaged (region_shape_attributes); export the annotations again") from None
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    if not ((middle >= 0) & (middle <= np.subtract(shape[::-1], 1))).all():
        raise InputError(f"{region} lies largely outside the image; was it drawn on one of another size?")
    return polygon_mask(points, shape)


def _ellipse_points(attributes: dict) -> np.ndarray:
    """Outline of a VIA circle or ellipse (theta in radians), to well below a hundredth of a pixel."""
    radius = attributes.get("r", 0.0)
    rx, ry = float(attributes.get("rx", radius)), float(attributes.get("ry", radius))
    theta = float(attributes.get("theta", 0.0))
    angle = np.linspace(0.0, 2.0 * np.pi, 2048, endpoint=False)
    along, across = rx * np.cos(angle), ry * np.sin(angle)
    x = float(attributes["cx"]) + along * math.cos(theta) - across * math.sin(theta)
    y = float(attributes["cy"]) + along * math.sin(theta) + across * math.cos(theta)
    return np.stack([x, y], axis=1)


def polygon_mask(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centers lie inside a polygon, where it crosses itself by the non-zero winding rule.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        (x, y) in pixels, the center of the first pixel being (0, 0); may lie outside the image.
    shape : (int, int)
        Rows and columns.

    Returns
    -------
    ndarray of bool, shape (rows, columns)
        Centers on a left or top edge are inside, on a right or bottom edge outside, so that neighbors never overlap.
    """
    mask = np.zeros(shape, dtype=bool)
    # All that it may have a part in, with rounding; `turns` has a column more for what lies to the right of that.
    left, top = np.clip(np.floor(points.min(axis=0)), 0, shape[::-1]).astype(int)
    right, bottom = np.clip(np.ceil(points.max(axis=0)) + 1, 0, shape[::-1]).astype(int)
    turns = np.zeros((bottom - top, right - left + 1), dtype=np.int32)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0)):
        sign = 1 if y1 > y0 else -1
        (xa, ya), (xb, yb) = ((x0, y0), (x1, y1)) if sign > 0 else ((x1, y1), (x0, y0))
        crossed = np.arange(max(0, math.ceil(ya)), min(bottom, math.ceil(yb)))  # ya <= row < yb
        if crossed.size:
            x = xa + (crossed - ya) * ((xb - xa) / (yb - ya))
            turns[crossed - top, np.clip(np.ceil(x), left, right).astype(int) - left] += sign
    mask[top:bottom, left:right] = np.cumsum(turns, axis=1)[:, :-1] != 0
    return mask
