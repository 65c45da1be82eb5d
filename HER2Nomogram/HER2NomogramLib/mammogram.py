"""Mammograms: pixels as they were stored, a pixel spacing whose origin is known, and where the breast is."""

from __future__ import annotations

import gzip
import math
import os
import re
import warnings as python_warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from .errors import InputError
from .regions import bounding_box

if TYPE_CHECKING:
    from pydicom import Dataset

MINIMUM_SPACING_MM = 0.02
MAXIMUM_SPACING_MM = 1.0
MINIMUM_SIZE = 16  # pixels; the smaller "images" met in practice are de-identified headers with a token of pixel data

RECOMBINED = "recombined"
LOW_ENERGY = "low_energy"

_GIVE_SPACING = "give the pixel spacing in mm (pixel_spacing_mm)"
FORMATS_WITH_GEOMETRY = {"NrrdImageIO": "NRRD", "NiftiImageIO": "NIfTI", "MetaImageIO": "MHA"}
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

# Only these tags are ever read, so that nothing that identifies a patient is in memory, let alone in a message.
_TAGS = [
    "AcquisitionDeviceProcessingCode",
    "BitsStored",
    "ContrastBolusAgent",
    "EstimatedRadiographicMagnificationFactor",
    "ImageType",
    "ImagerPixelSpacing",
    "LossyImageCompression",
    "Modality",
    "NumberOfFrames",
    "PixelData",
    "PixelSpacing",
    "PixelSpacingCalibrationType",
    "PresentationIntentType",
    "SamplesPerPixel",
    "SeriesDescription",
]


@dataclass(frozen=True, eq=False)
class Mammogram:
    """One mammographic image on its grid.

    Parameters
    ----------
    image : SimpleITK.Image
        Three-dimensional, size (columns, rows, 1), one component; stored values, never windowed; spacing in mm. Some
        may be NaN or infinite: a warning counts them, and what they spoil is left out where features are computed.
    spacing_source : str
        Where the pixel spacing comes from, in words.
    kind : {"recombined", "low_energy"} or None
        Kind of contrast-enhanced image, None where unknown.
    presentation : {"FOR PROCESSING", "FOR PRESENTATION"} or None
        DICOM PresentationIntentType, None where unknown.
    warnings : tuple of str
        What a researcher should know before using the image, one line each. That on NaN and infinite pixels is added
        where there are any.
    file_spacings_mm : tuple of (float, float)
        (x, y) spacings, right or wrong, under which other programs show this file. A segmentation drawn there has one
        of them in its header although it lies on the very same pixels.

    Raises
    ------
    InputError
        More than one slice or component, no two different pixels that are finite, spacing outside 0.02 to 1.0 mm.
    """

    image: sitk.Image
    spacing_source: str
    kind: str | None = None
    presentation: str | None = None
    warnings: tuple[str, ...] = ()
    file_spacings_mm: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.image.GetDimension() != 3 or self.image.GetSize()[2] != 1:
            raise InputError("the image has several slices or frames; use a single two-dimensional image")
        if self.image.GetNumberOfComponentsPerPixel() != 1:
            raise InputError("the image has several components per pixel; use a gray image")
        _check_spacing(self.spacing_mm)
        warning = _check_pixels(self.pixels)
        # Already there where an image that was read is put into another mammogram, as the scene does.
        if warning and warning not in self.warnings:
            object.__setattr__(self, "warnings", (*self.warnings, warning))

    @classmethod
    def from_array(
        cls,
        pixels: np.ndarray,
        spacing_mm: tuple[float, float],
        spacing_source: str,
        origin: Sequence[float] = (0.0, 0.0, 0.0),
        direction: Sequence[float] = _IDENTITY,
        **kwargs,
    ) -> Mammogram:
        """Make a mammogram of an array.

        Parameters
        ----------
        pixels : ndarray, shape (rows, columns)
            Stored values.
        spacing_mm : (float, float)
            (x, y) = distance of neighboring columns and of neighboring rows, in mm.
        spacing_source : str
            Where the spacing comes from.
        origin, direction : sequences of 3 and 9 floats
            Position (LPS, mm) of the first pixel's center, and direction cosines, row by row as SimpleITK has them.
        **kwargs
            Other fields of `Mammogram`.

        Raises
        ------
        InputError
            The array is not two-dimensional, or see `Mammogram`.
        """
        pixels = np.asarray(pixels)
        if pixels.ndim != 2:
            raise InputError("the image is not one two-dimensional gray slice")
        _check_spacing(spacing_mm)
        image = sitk.GetImageFromArray(np.ascontiguousarray(pixels)[np.newaxis])
        image.SetSpacing((float(spacing_mm[0]), float(spacing_mm[1]), 1.0))
        image.SetOrigin([float(value) for value in origin])
        image.SetDirection([float(value) for value in direction])
        return cls(image, spacing_source, **kwargs)

    @property
    def pixels(self) -> np.ndarray:
        """Stored values, shape (rows, columns), read-only; no copy of the image's, and valid without it."""
        # Made anew each time, because SimpleITK copies the pixels of an image that an array of them is kept of.
        pixels = np.asarray(_Buffer(self.image))[0]
        pixels.flags.writeable = False
        return pixels

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """(x, y): distance of neighboring columns and of neighboring rows, in mm."""
        return self.image.GetSpacing()[:2]

    @cached_property
    def breast(self) -> np.ndarray:
        """Where the breast is, bool, shape (rows, columns); see `breast_mask`."""
        return breast_mask(self.pixels)


class _Buffer:
    """Pixels of an image for NumPy, whose arrays keep this; a view of SimpleITK's own does not keep its image."""

    def __init__(self, image: sitk.Image) -> None:
        self.__array_interface__ = sitk.GetArrayViewFromImage(image).__array_interface__
        # Shares the pixels. They stay as they are: whoever changes the image changes a copy then.
        self.image = sitk.Image(image)


def _check_pixels(pixels: np.ndarray) -> str:
    """What to say of NaN and infinite pixels, empty where there are none; refuses an image that shows nothing."""
    finite = _finite(pixels)
    shown = pixels if finite is None else pixels[finite]
    if shown.size == 0:
        raise InputError("all pixels of the image are NaN or infinite: there is nothing to measure; export it again")
    if shown.min() == shown.max():
        which = "" if finite is None else " that are not NaN or infinite"
        raise InputError(
            f"all pixels of the image{which} are equal ({shown.flat[0]:g}): there is nothing to measure; "
            "choose another image or export it again"
        )
    if finite is None:
        return ""
    count = pixels.size - shown.size
    return (
        f"the image has {count:,} pixel{'s' * (count > 1)} that {'are' if count > 1 else 'is'} NaN or infinite: rings "
        "leave such pixels out, features that they reach are not computed; replace them or export the image again"
    )


def _finite(pixels: np.ndarray) -> np.ndarray | None:
    """Where pixels are neither NaN nor infinite, None where that is everywhere."""
    if not np.issubdtype(pixels.dtype, np.floating):
        return None
    finite = np.isfinite(pixels)
    return None if finite.all() else finite


# --- Reading ----------------------------------------------------------------------------------------------------------


def read_mammogram(path: str | Path, pixel_spacing_mm: float | tuple[float, float] | None = None) -> Mammogram:
    """Read a mammogram from DICOM (MG, one frame), NRRD, NIfTI, MHA, PNG, TIFF or JPEG.

    Parameters
    ----------
    path : str or Path
        The file. Gray stored as RGB is accepted.
    pixel_spacing_mm : float or (float, float), optional
        Overrides what the file says; one number, or (row, column) spacing in the order of DICOM's PixelSpacing.
        Required for PNG, TIFF and JPEG, whose dots per inch say nothing about the breast.

    Returns
    -------
    Mammogram

    Raises
    ------
    InputError
        The file cannot be read or is no mammogram, or its pixel spacing is missing or implausible.
    """
    path = Path(path)
    try:
        spacing_mm = None if pixel_spacing_mm is None else _user_spacing(pixel_spacing_mm)
        check_file(path)
        return (_read_dicom if _is_dicom(path) else _read_plain)(path, spacing_mm)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None


def read_image(path: Path, image_io: str = "") -> sitk.Image:
    """Read an image of any format with the geometry that the file states; InputError where it cannot be read."""
    try:
        return sitk.ReadImage(str(path), imageIO=image_io)
    except RuntimeError:
        raise InputError(
            "cannot be read; it is damaged or not one of DICOM, NRRD, NIfTI, MHA, PNG, TIFF, JPEG"
        ) from None


def as_slice(image: sitk.Image) -> sitk.Image:
    """Make a 2-D or one-slice image three-dimensional and reduce gray stored as RGB(A) to one component.

    Raises
    ------
    InputError
        Several slices, color, complex pixels.
    """
    if image.GetSize()[2:] not in ((), (1,)):
        size = " x ".join(str(n) for n in image.GetSize())
        raise InputError(f"has several slices or frames ({size}); use a single two-dimensional image")
    if image.GetNumberOfComponentsPerPixel() > 1:
        _check_gray(sitk.GetArrayViewFromImage(image))
        image = sitk.VectorIndexSelectionCast(image, 0)
    if "complex" in image.GetPixelIDTypeAsString():
        raise InputError("has complex pixels; use a gray image")
    return sitk.JoinSeries(image) if image.GetDimension() == 2 else image


def _check_gray(channels: np.ndarray) -> None:
    """Refuse color. JPEG's conversion to YCbCr and back may leave gray channels a level or two apart."""
    tolerance = 2 if channels.dtype == np.uint8 else 0
    colors = channels[..., : 3 if channels.shape[-1] > 2 else 1]
    alpha = channels[..., colors.shape[-1] :]
    # One after the other, because NumPy is slow along an axis of three.
    each = [colors[..., index] for index in range(colors.shape[-1])]
    with np.errstate(invalid="ignore"):
        # No spread is small where a channel is NaN or infinite: gray has that in all channels alike.
        same = reduce(np.maximum, each) - reduce(np.minimum, each) <= tolerance
    gray = not np.isfinite(colors[~same]).any()
    if channels.shape[-1] > 4 or not gray or (alpha.size and alpha.min() != alpha.max()):
        raise InputError("is a color image; use the gray mammogram itself, without color or annotations")


def check_file(path: Path) -> None:
    """Refuse what is not there, empty, or cut off in a way that the readers do not notice."""
    if not path.is_file():
        raise InputError("is not a file; check the path")
    try:
        with path.open("rb") as file:
            head = file.read(348)
            file.seek(max(0, path.stat().st_size - 64))
            tail = file.read()
    except OSError:
        raise InputError("cannot be opened; check its permissions") from None
    if not head:
        raise InputError("is empty; get the file again")
    # libjpeg fills what is missing with gray, ITK's NIfTI reader with zeros
    cut = head.startswith(b"\xff\xd8\xff") and b"\xff\xd9" not in tail
    if cut or (path.name.lower().endswith((".nii", ".nii.gz")) and _nifti_is_cut(path)):
        raise InputError("is damaged: it ends too early; get the file again")


def _nifti_is_cut(path: Path) -> bool:
    """Whether a NIfTI file holds fewer bytes than its header announces."""
    try:
        with path.open("rb") as raw, gzip.open(raw) if path.suffix.lower() == ".gz" else raw as file:
            head = file.read(348)
            length = file.seek(0, os.SEEK_END)
    except (OSError, EOFError, zlib.error):  # what gzip raises for a damaged stream
        return True
    order = "<" if head[:4] == b"\x5c\x01\x00\x00" else ">"
    if length < 348 or int.from_bytes(head[:4], "little" if order == "<" else "big") != 348:
        return False  # not NIfTI-1: its reader decides
    dimensions = np.frombuffer(head, f"{order}i2", 8, 40).astype(int)
    bits = int(np.frombuffer(head, f"{order}i2", 1, 72)[0])
    offset = float(np.frombuffer(head, f"{order}f4", 1, 108)[0])
    voxels = math.prod(max(1, n) for n in dimensions[1 : 1 + max(0, min(7, dimensions[0]))])
    return length < offset + voxels * bits / 8


def _read_plain(path: Path, user_spacing_mm: tuple[float, float] | None) -> Mammogram:
    """Read what is not DICOM."""
    image_io = sitk.ImageFileReader.GetImageIOFromFileName(str(path))
    image = as_slice(read_image(path, image_io))
    _check_size(image)
    warnings = ["image kind unknown: the file does not say whether it is recombined or low-energy"]
    if image.GetPixelID() in (sitk.sitkUInt8, sitk.sitkInt8):
        warnings.append("8-bit image: at most 256 gray levels, as windowed by the program that exported it")
    if image_io == "JPEGImageIO":
        warnings.append("lossy compression (JPEG): texture features are affected")
    stated = image.GetSpacing()[:2]
    if user_spacing_mm is not None:
        spacing, source = user_spacing_mm, "given by the user"
    elif image_io not in FORMATS_WITH_GEOMETRY:
        raise InputError(f"its format has no pixel spacing that can be trusted (dpi is none); {_GIVE_SPACING}")
    elif 1.0 in stated or not _plausible(stated):
        raise InputError(
            f"the {FORMATS_WITH_GEOMETRY[image_io]} header says a pixel spacing of {_mm(stated)}, "
            f"which cannot be that of a mammogram; {_GIVE_SPACING}"
        )
    else:
        spacing, source = stated, "image header"
    return _mammogram(image, spacing, source, warnings, file_spacings_mm=(stated,))


def _mammogram(image: sitk.Image, spacing_mm, source: str, warnings: list[str], **kwargs) -> Mammogram:
    """Put the spacing on the image and the general warnings in the list."""
    x_mm, y_mm = spacing_mm
    if abs(x_mm - y_mm) > 0.01 * max(x_mm, y_mm):
        warnings.append(f"pixels are not square ({x_mm:g} x {y_mm:g} mm): texture depends on the direction")
    image.SetSpacing((x_mm, y_mm, 1.0))
    for key in image.GetMetaDataKeys():  # GDCM puts every tag of the file there, patient's included
        image.EraseMetaData(key)
    return Mammogram(image, source, warnings=tuple(warnings), **kwargs)


def _check_size(image: sitk.Image) -> None:
    columns, rows = image.GetSize()[:2]
    if min(columns, rows) < MINIMUM_SIZE:
        raise InputError(f"the image is too small ({columns} x {rows} pixels); use the full mammogram")


# --- DICOM ------------------------------------------------------------------------------------------------------------


def spacing_from_tags(dataset: Dataset) -> tuple[tuple[float, float], str, tuple[str, ...]]:
    """Tell the pixel spacing of a projection image from its DICOM tags.

    PixelSpacing counts where it is calibrated: PixelSpacingCalibrationType is there, or it differs from
    ImagerPixelSpacing. Otherwise ImagerPixelSpacing is divided by EstimatedRadiographicMagnificationFactor, or stays
    that of the detector plane where there is no such factor. Values outside 0.02 to 1.0 mm are not believed.

    Returns
    -------
    spacing_mm : (float, float)
        (x, y), in mm.
    source : str
        Where it comes from.
    warnings : tuple of str

    Raises
    ------
    InputError
        No spacing that can be believed.
    """
    pixel, imager = (_numbers(dataset, name, 2) for name in ("PixelSpacing", "ImagerPixelSpacing"))
    warnings = [
        f"{name} {_mm(value[::-1])} is implausible and was ignored"
        for name, value in (("PixelSpacing", pixel), ("ImagerPixelSpacing", imager))
        if value and not _plausible(value)
    ]
    pixel, imager = (value[::-1] if value and _plausible(value) else None for value in (pixel, imager))
    said = bool(_values(dataset, "PixelSpacingCalibrationType"))
    if pixel and (said or imager is None or not np.allclose(pixel, imager, rtol=1e-3)):
        if imager is None and not said:
            warnings.append("PixelSpacing is not said to be calibrated: lengths may be those at the detector")
            return pixel, "PixelSpacing (calibration not stated)", tuple(warnings)
        if imager and not 0.95 < imager[0] / pixel[0] < 2.5:
            warnings.append(f"PixelSpacing {_mm(pixel)} and ImagerPixelSpacing {_mm(imager)} do not fit each other")
        return pixel, "PixelSpacing (calibrated)", tuple(warnings)
    if imager is None:
        raise InputError(f"the DICOM tags have no plausible PixelSpacing or ImagerPixelSpacing; {_GIVE_SPACING}")
    factor = _numbers(dataset, "EstimatedRadiographicMagnificationFactor", 1)
    if factor and 0.95 <= factor[0] <= 5.0:
        magnified = (imager[0] / factor[0], imager[1] / factor[0])
        return magnified, "ImagerPixelSpacing / EstimatedRadiographicMagnificationFactor", tuple(warnings)
    warnings.append("pixel spacing is that of the detector plane: lengths in the breast are some percent shorter")
    return imager, "ImagerPixelSpacing (detector plane)", tuple(warnings)


def kind_from_tags(dataset: Dataset) -> str | None:
    """Tell a recombined from a low-energy image, None where the tags do not say or contradict each other.

    All values of ImageType and the vendor's processing code are searched, then SeriesDescription.
    """
    values = {re.sub(r"[^A-Z0-9]+", "_", value.upper()) for value in _values(dataset, "ImageType")}
    code = "".join(_values(dataset, "AcquisitionDeviceProcessingCode")).upper()
    contrast = "POST_CONTRAST" in values or bool(_values(dataset, "ContrastBolusAgent"))
    found = set()
    if any(word in value for value in values for word in ("RECOMBINED", "SUBTRACT")):
        found.add(RECOMBINED)
    if any("LOW_ENERGY" in value for value in values):
        found.add(LOW_ENERGY)
    if not found and "GEMS_CESM" in code:
        found.add(RECOMBINED)
    # GE's code of the low-energy image is also that of ordinary mammograms, so it needs a contrast agent beside it
    if not found and contrast and "GEMS_FFDM_PV" in code:
        found.add(LOW_ENERGY)
    if not found:
        description = " ".join(_values(dataset, "SeriesDescription")).lower()
        found |= {RECOMBINED} if re.search(r"recombin|subtract|iodine", description) else set()
        found |= {LOW_ENERGY} if re.search(r"low[\s_-]*energy", description) else set()
    return found.pop() if len(found) == 1 else None


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM" or path.suffix.lower() in (".dcm", ".dicom")


def _read_dicom(path: Path, user_spacing_mm: tuple[float, float] | None) -> Mammogram:
    """Read tags with pydicom and pixels with GDCM, which inverts MONOCHROME1 and knows all transfer syntaxes."""
    dataset = _read_tags(path)
    _check_tags(dataset)
    image = as_slice(read_image(path, "GDCMImageIO"))
    _check_size(image)
    tagged = [_numbers(dataset, name, 2) for name in ("PixelSpacing", "ImagerPixelSpacing")]
    shown = [image.GetSpacing()[:2], *(value[::-1] for value in tagged if value)]
    spacing, source, warnings = _dicom_spacing(dataset, user_spacing_mm)
    presentation = " ".join(_values(dataset, "PresentationIntentType")).upper()
    presentation = presentation if presentation in ("FOR PROCESSING", "FOR PRESENTATION") else None
    kind = kind_from_tags(dataset)
    if kind is None:
        warnings.append("image kind unknown: the tags do not say whether it is recombined or low-energy")
    if presentation == "FOR PRESENTATION":
        warnings.append("For Presentation image: pixels were processed by the vendor's software")
    if (_numbers(dataset, "BitsStored", 1) or (16,))[0] <= 8:
        warnings.append("8-bit image: at most 256 gray levels")
    if _values(dataset, "LossyImageCompression") == ("01",):
        warnings.append("lossy compression: texture features are affected")
    return _mammogram(
        image, spacing, source, warnings, kind=kind, presentation=presentation, file_spacings_mm=tuple(shown)
    )


def _read_tags(path: Path) -> Dataset:
    import pydicom

    try:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")  # pydicom's warnings quote values
            dataset = pydicom.dcmread(path, specific_tags=_TAGS, defer_size=4096)
            # Where a file ends within its pixels pydicom gives none of its tags.
            cut_off = not dataset and bool(pydicom.dcmread(path, specific_tags=_TAGS, stop_before_pixels=True))
    except Exception:  # pydicom raises many kinds for damaged files, and quotes values in them
        raise InputError("is not a readable DICOM file; it is damaged or of another format") from None
    if cut_off:
        raise InputError("the DICOM file ends too early: it is cut off or damaged, get it again")
    return dataset


def _check_tags(dataset: Dataset) -> None:
    """Refuse what is not one gray frame of a mammogram."""
    modality = " ".join(_values(dataset, "Modality")) or "missing"
    if modality != "MG":
        raise InputError(f"DICOM Modality is {modality}, not MG; choose a mammogram")
    if "PixelData" not in dataset:
        raise InputError("the DICOM file has no pixel data: it is no image or is damaged; choose an image")
    frames = _numbers(dataset, "NumberOfFrames", 1)
    if frames and frames[0] > 1:
        raise InputError(f"the DICOM file has {frames[0]:g} frames (tomosynthesis?); choose a single-frame image")
    samples = _numbers(dataset, "SamplesPerPixel", 1)
    if samples and samples[0] != 1:
        raise InputError("is a color image (SamplesPerPixel); choose the gray mammogram itself")


def _dicom_spacing(dataset: Dataset, user_spacing_mm):
    """Spacing, its source and warnings, the user's own spacing first."""
    if user_spacing_mm is None:
        spacing, source, warnings = spacing_from_tags(dataset)
        return spacing, source, list(warnings)
    warnings = []
    try:
        spacing, source, _ = spacing_from_tags(dataset)
        if not np.allclose(spacing, user_spacing_mm, rtol=0.01):
            warnings.append(f"the pixel spacing given, {_mm(user_spacing_mm)}, replaces {_mm(spacing)} of {source}")
    except InputError:
        pass  # the tags have none, which is why the user gives it
    return user_spacing_mm, "given by the user", warnings


def _values(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Values of a tag as text, without empty ones."""
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")
        try:
            value = dataset.get(keyword)
        except Exception:  # a value that pydicom cannot convert counts as missing
            return ()
    if value is None:
        return ()
    values = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
    return tuple(text for item in values if (text := str(item).strip()))


def _numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Values of a tag as `count` finite numbers, None where it is not that."""
    try:
        numbers = tuple(float(value) for value in _values(dataset, keyword))
    except ValueError:
        return None
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


# --- Spacing ----------------------------------------------------------------------------------------------------------


def _user_spacing(value) -> tuple[float, float]:
    """(x, y) of what the user gave: one number, or (row, column) spacing."""
    try:
        numbers = np.atleast_1d(np.asarray(value, dtype=float)).ravel()
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.size not in (1, 2):
        raise InputError("the pixel spacing given is not a number or a pair (row, column) of numbers, in mm")
    spacing = (float(numbers[-1]), float(numbers[0]))
    _check_spacing(spacing)
    return spacing


def _check_spacing(spacing_mm) -> None:
    if not _plausible(spacing_mm):
        limits = f"{MINIMUM_SPACING_MM:g} to {MAXIMUM_SPACING_MM:g} mm"
        raise InputError(f"a pixel spacing of {_mm(spacing_mm)} is outside {limits}; {_GIVE_SPACING}")


def _plausible(spacing_mm) -> bool:
    return all(MINIMUM_SPACING_MM <= value <= MAXIMUM_SPACING_MM for value in spacing_mm)


def _mm(spacing_mm) -> str:
    x_mm, y_mm = spacing_mm
    return f"{x_mm:g} mm" if x_mm == y_mm else f"{x_mm:g} x {y_mm:g} mm"


# --- Breast -----------------------------------------------------------------------------------------------------------

_WORKING_SIZE = 512  # pixels of the longer side that the breast is looked for at
_LEAST_TO_SMOOTH = 4  # pixels of the shorter side, which ITK's recursive filter needs
_MINIMUM_BREAST = 0.03  # of the image; a smaller component is a label or a phantom's text
_MINIMUM_BACKGROUND = 0.01  # of the image; a smaller border region is a shadow or a paddle's edge
_MINIMUM_BORDER = 0.25  # of the image's border, that the background takes
_MAXIMUM_NOISE = 0.04  # of the gray range; tissue at the border varies more
_EXPORTED_NOISE = 0.002  # of the gray range; less means that a program has blackened the air


def breast_mask(pixels: np.ndarray) -> np.ndarray:
    """Find the breast in a mammogram.

    The background is what most border pixels agree on, be it black, white or gray; the breast is the largest connected
    part that differs from it, without thin structures (burned-in text), holes filled.

    Parameters
    ----------
    pixels : ndarray, shape (rows, columns)
        Any bit depth, any kind of mammogram.

    Returns
    -------
    ndarray of bool, shape (rows, columns)
        All True where no clear background or no breast is found, as in a crop from inside the breast. Pixels that are
        NaN or infinite are never breast.
    """
    pixels = np.asarray(pixels)
    finite = _finite(pixels)
    return _find_breast(pixels) if finite is None else _find_finite_breast(pixels, finite)


def _find_finite_breast(pixels: np.ndarray, finite: np.ndarray) -> np.ndarray:
    """Find the breast in an image with pixels that are NaN or infinite."""
    breast = np.zeros(pixels.shape, dtype=bool)
    if not finite.any():
        return breast
    # What was padded with NaN hides the border, on which the air is told.
    box = bounding_box(finite)
    known = finite[box]
    border = np.concatenate([known[0], known[-1], known[:, 0], known[:, -1]])
    # Where the border is NaN all the same, a program has blanked the air with it.
    blanked = 1.0 - border.mean() >= _MINIMUM_BORDER
    breast[box] = _find_breast(known.astype(np.uint8) if blanked else _filled(pixels[box], known)) & known
    return breast


def _filled(pixels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Pixels with those that are not known interpolated along the rows, and in rows without any along the columns."""
    pixels, known = pixels.copy(), known.copy()
    for lines, lines_known in ((pixels, known), (pixels.T, known.T)):
        for index in np.flatnonzero(lines_known.any(axis=1) & ~lines_known.all(axis=1)):
            there = lines_known[index].copy()
            lines[index, ~there] = np.interp(np.flatnonzero(~there), np.flatnonzero(there), lines[index, there])
            lines_known[index] = True
    return pixels


def _find_breast(pixels: np.ndarray) -> np.ndarray:
    """Find the breast where all pixels are finite."""
    small, factor = _shrink(pixels)
    if min(small.shape) < _LEAST_TO_SMOOTH:
        return np.ones(pixels.shape, dtype=bool)
    small = _smooth(small, 1.0)
    background = _background(small)
    if background is None:
        return np.ones(pixels.shape, dtype=bool)
    difference = _difference(small, *background)
    breast = sitk.BinaryMorphologicalOpening(sitk.GetImageFromArray(difference.astype(np.uint8)), (3, 3))
    breast = sitk.RelabelComponent(sitk.ConnectedComponent(breast)) == 1
    breast = sitk.BinaryFillhole(_close(breast), fullyConnected=False)
    found = sitk.GetArrayViewFromImage(breast).astype(bool)
    padded = background[1] < _EXPORTED_NOISE  # the breast may stand free in an image that was padded
    inside = not padded and not (found[:8].any() or found[-8:].any() or found[:, :8].any() or found[:, -8:].any())
    if inside or not _MINIMUM_BREAST < found.mean() < 1.0 - _MINIMUM_BACKGROUND:
        return np.ones(pixels.shape, dtype=bool)
    # Against blackened air the outline lies where the smoothing ends, a block outside the skin
    return _enlarge(breast, factor, pixels.shape, shrink=1.0 if padded else 0.0)


def _shrink(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    """Mean of blocks as float32, and the side of the blocks; the last row and column are repeated to fill blocks."""
    factor = max(1, math.ceil(max(pixels.shape) / _WORKING_SIZE))
    rows, columns = pixels.shape
    whole = rows - rows % factor
    small = pixels[:whole].reshape(-1, factor, columns).mean(axis=1, dtype=np.float32)
    if whole < rows:
        last = np.pad(pixels[whole:], [(0, -rows % factor), (0, 0)], mode="edge")
        small = np.concatenate([small, last.mean(axis=0, dtype=np.float32)[np.newaxis]])
    small = np.pad(small, [(0, 0), (0, -columns % factor)], mode="edge")
    return small.reshape(len(small), -1, factor).mean(axis=2), factor


def _smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(values), sigma))


def _background(small: np.ndarray) -> tuple[float, float] | None:
    """Level and noise of the background as fractions of the gray range, None where none stands out."""
    values = _normalized(small)
    border = np.concatenate([values[:2].ravel(), values[-2:].ravel(), values[:, :2].ravel(), values[:, -2:].ravel()])
    counts, edges = np.histogram(border, bins=50, range=(0.0, 1.0))
    mode = counts.argmax()
    level = float(border[(border >= edges[mode]) & (border <= edges[mode + 1])].mean())
    near = np.abs(border - level)
    near = near[near < 0.1]
    noise = 1.4826 * float(np.median(near))
    return (level, noise) if noise < _MAXIMUM_NOISE and near.size >= _MINIMUM_BORDER * border.size else None


def _difference(small: np.ndarray, level: float, noise: float) -> np.ndarray:
    """Where an image differs from its background."""
    values = _normalized(small) - level
    tolerance = max(5.0 * noise, 0.02)
    # Air lies at one end of the gray scale except in some recombined images, where tissue lies on both sides of it
    above, below = (np.maximum(sign * values - tolerance, 0.0).sum() for sign in (1.0, -1.0))
    if max(above, below) > 4.0 * min(above, below):
        difference = values if above > below else -values
    else:
        difference = _smooth(np.abs(values), 4.0)
    if noise < _EXPORTED_NOISE or above + below == 0.0:
        return difference > tolerance
    # Real air is uneven (heel effect, compression paddle): keep away from it
    return difference > max(tolerance, 0.2 * float(np.median(difference[difference > tolerance])))


def _normalized(small: np.ndarray) -> np.ndarray:
    low, high = np.percentile(small, (0.5, 99.5))
    return np.clip((small - low) / max(high - low, np.finfo(np.float32).tiny), 0.0, 1.0)


def _close(breast: sitk.Image) -> sitk.Image:
    """Close notches, such as those of dark fat at the chest wall, also where they open to the image's border."""
    radius = 5
    padded = sitk.ZeroFluxNeumannPad(breast, (radius, radius), (radius, radius))
    closed = sitk.BinaryMorphologicalClosing(padded, (radius, radius))
    return sitk.Crop(closed, (radius, radius), (radius, radius))


def _enlarge(breast: sitk.Image, factor: int, shape: tuple[int, int], shrink: float) -> np.ndarray:
    """Bring a mask of blocks to full size with a smooth outline, drawn in by `shrink` blocks.

    The outline is where the distance to that of the blocks, interpolated linearly from one block's center to the next,
    is `shrink`. Blocks that it cannot cross, being that far from it with all their neighbors, are filled as a whole.
    """
    image = sitk.SignedMaurerDistanceMap(breast, squaredDistance=False, useImageSpacing=False)
    distance = sitk.GetArrayFromImage(image)
    framed = np.pad(distance, 1, mode="edge")
    rows, columns = distance.shape
    around = [framed[row : row + rows, column : column + columns] for row in range(3) for column in range(3)]
    lowest, highest = reduce(np.minimum, around), reduce(np.maximum, around)
    inside = np.repeat(highest < -shrink, factor, axis=1)[:, : shape[1]]
    mask = np.repeat(inside, factor, axis=0)[: shape[0]]
    crossed = np.nonzero((lowest <= -shrink) & (highest >= -shrink))
    # Where the last blocks reach beyond the image, its last row and column stand for what is not there.
    rows, columns = (
        np.minimum(factor * block[:, np.newaxis] + np.arange(factor), length - 1)
        for block, length in zip(crossed, shape)
    )
    pixels = rows[:, :, np.newaxis], columns[:, np.newaxis, :]
    mask[pixels] = _interpolate(distance, factor, shape, *pixels) <= -shrink
    return mask


def _interpolate(
    blocks: np.ndarray, factor: int, shape: tuple[int, int], rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Values at pixels between the blocks' centers, with the very rounding of ITK's ResampleImageFilter."""
    y = (rows - (factor - 1) / 2) * (1 / factor)
    start, stop = (0 - (factor - 1) / 2) * (1 / factor), (shape[1] - (factor - 1) / 2) * (1 / factor)
    x = start + columns / shape[1] * (stop - start)
    (top, below, down), (left, right, across) = (_between(at, size) for at, size in zip((y, x), blocks.shape))
    blocks = blocks.astype(np.float64)
    upper = blocks[top, left] + (blocks[top, right] - blocks[top, left]) * across
    lower = blocks[below, left] + (blocks[below, right] - blocks[below, left]) * across
    return (upper + (lower - upper) * down).astype(np.float32)


def _between(at: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of the two values on either side of a position, and how far it is from the first to the second."""
    first = np.maximum(np.floor(at).astype(int), 0)
    return first, np.minimum(first + 1, size - 1), np.maximum(at - first, 0.0)
