"""Radiomics features of every region of one image, computed by pyradiomics' own feature classes.

Three things differ from one run of pyradiomics' feature extractor per region. Each filtered image is made once and
shared by all regions, which changes no value because the filters do not depend on the mask. The Laplacian of Gaussian
is computed in the image plane: pyradiomics skips it on a single slice, since its filter wants four pixels in every
direction. Its names are kept (``log-sigma-1-0-mm-3D``), so that settings and tables stay exchangeable. And bin widths
are always floats: with a whole number pyradiomics' gray levels overflow on bright 8 or 16-bit pixels under NumPy 2.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from .errors import InputError
from .mammogram import Mammogram
from .regions import Region

FEATURE_CLASSES = ("shape2D", "firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")
IMAGE_TYPES = (
    "Original", "LoG", "Wavelet", "Square", "SquareRoot", "Logarithm", "Exponential", "Gradient", "LBP2D",
)  # fmt: skip
# What pyradiomics' documentation lists under "Settings", without those that make no sense here: the label and its
# channel (masks are made here), voxel-based extraction, and mask correction (masks are on the image's grid).
SETTINGS = frozenset(
    "additionalInfo binCount binWidth distances force2D force2Ddimension geometryTolerance gldm_a gradientUseSpacing "
    "interpolator lbp2DMethod lbp2DRadius lbp2DSamples level minimumROIDimensions minimumROISize normalize "
    "normalizeScale padDistance preCrop removeOutliers resampledPixelSpacing resegmentMode resegmentRange "
    "resegmentShape sigma start_level symmetricalGLCM voxelArrayShift wavelet weightingNorm".split()
)
_POSITIVE = ("binWidth", "binCount", "normalizeScale", "removeOutliers", "lbp2DRadius", "lbp2DSamples", "level")
# Where null means "off" to pyradiomics; elsewhere it takes the place of the default and fails in the middle of a run.
_MAY_BE_NULL = frozenset(
    "binCount removeOutliers resampledPixelSpacing interpolator resegmentRange minimumROISize weightingNorm "
    "geometryTolerance".split()
)
# One slice is one plane: without these pyradiomics leaves out shape2D and makes 3-D wavelets.
_PLANE = {"force2D": True, "force2Ddimension": 0}
# pyradiomics' C code counts the elements of matrices of gray levels squared, in four directions, in 32 bits. Above this
# it needs 12 GB and more, or overflows and takes the whole process down.
_MAXIMUM_GRAY_LEVELS = 20_000
_DEFAULT_BIN_WIDTH = 25.0  # pyradiomics' own
_MISSING = (
    "pyradiomics is missing: in Slicer open the Extensions Manager, install 'SlicerRadiomics' and restart; "
    "outside Slicer run 'make install'."
)


@dataclass(frozen=True)
class ExtractionSettings:
    """Validated settings of the feature extraction, in the structure of pyradiomics' parameter files.

    Attributes
    ----------
    image_types : dict of str to dict
        Image types with their own settings, such as ``{"LoG": {"sigma": [1.0, 2.0]}}``.
    feature_classes : dict of str to list
        Feature classes with the features wanted of each; an empty list means all.
    setting : dict
        Settings for all image types.
    """

    image_types: dict[str, dict[str, Any]]
    feature_classes: dict[str, list[str]]
    setting: dict[str, Any]

    @classmethod
    def from_yaml(cls, path: str | Path) -> ExtractionSettings:
        """Read a parameter file of pyradiomics.

        Raises
        ------
        InputError
            Where the file cannot be read, is not YAML, or :meth:`from_dict` or pyradiomics refuses its content.
        """
        try:
            from ruamel.yaml import YAML
            from ruamel.yaml.error import YAMLError
        except ImportError:  # it comes with pyradiomics
            raise InputError(_MISSING) from None

        try:
            content = YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"Settings file '{path}' cannot be read ({error.strerror}): check the path.") from None
        except (YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date that does not exist
            line = getattr(getattr(error, "problem_mark", None), "line", None)
            where = "" if line is None else f" (line {line + 1})"
            raise InputError(f"Settings file '{path}' is not YAML{where}: write it as pyradiomics documents.") from None
        settings = cls.from_dict(content, source=f"Settings file '{path}'")
        if find_spec("radiomics"):
            # What only pyradiomics can tell, such as names of features, is better said now than at the first case.
            _make_extractor(settings, source=f"Settings file '{path}'")
        return settings

    @classmethod
    def from_dict(cls, content: object, source: str = "Extraction settings") -> ExtractionSettings:
        """Validate the content of a parameter file.

        Parameters
        ----------
        content : mapping
            With ``imageType``, ``featureClass`` and ``setting``, each optional as in pyradiomics.
        source : str
            Where it comes from, for messages.

        Raises
        ------
        InputError
            Where an entry is unknown, of the wrong sort, or means nothing on a single slice.
        """
        if not isinstance(content, Mapping):
            raise InputError(f"{source} must have the sections imageType, featureClass and setting.")
        unknown = sorted(set(content) - {"imageType", "featureClass", "setting"}, key=str)
        if unknown:
            raise InputError(f"{source}: unknown section '{unknown[0]}'; known are imageType, featureClass, setting.")
        sections = [content.get(name) or {} for name in ("imageType", "featureClass", "setting")]
        if not all(isinstance(section, Mapping) for section in sections):
            raise InputError(f"{source}: imageType, featureClass and setting must each be a mapping of names.")
        image_types, classes = sections[0] or {"Original": {}}, sections[1] or dict.fromkeys(FEATURE_CLASSES)
        _check_names(image_types, IMAGE_TYPES, "image type", Mapping, "a mapping of its own settings", source)
        _check_names(classes, FEATURE_CLASSES, "feature class", list, "a list of features", source)
        image_types = {name: dict(custom or {}) for name, custom in image_types.items()}
        classes = {name: list(wanted or []) for name, wanted in classes.items()}
        for where, values in (("setting", dict(sections[2])), *image_types.items()):
            _check_settings(values, f"{source}, {where}")
        if "LoG" in image_types and not image_types["LoG"].get("sigma", sections[2].get("sigma")):
            raise InputError(f"{source}, LoG: 'sigma' is missing: give a list of widths in mm, such as [1.0, 2.0].")
        image_types = {name: _with_float_bin_width(custom) for name, custom in image_types.items()}
        return cls(image_types, classes, {**_with_float_bin_width(sections[2]), **_PLANE})

    def to_dict(self) -> dict[str, Any]:
        """The settings in pyradiomics' structure, ready for a YAML or model file."""
        return {"imageType": self.image_types, "featureClass": self.feature_classes, "setting": self.setting}

    @property
    def shares_filters(self) -> bool:
        """Whether all regions can use the same filtered images.

        Resampling and cropping before the filter tie the grid that is filtered to the region.
        """
        return not (self.setting.get("resampledPixelSpacing") or self.setting.get("preCrop"))


def default_settings_path() -> Path:
    """Path of the extraction settings that are shipped with the module."""
    return Path(__file__).resolve().parents[1] / "Resources" / "Extraction" / "cem_2d.yaml"


def feature_row(
    mammogram: Mammogram, regions: Mapping[str, Region], settings: ExtractionSettings, image_name: str = "image"
) -> dict[str, float]:
    """One row of ``features.csv``: all features of all regions of one image.

    Parameters
    ----------
    mammogram : Mammogram
    regions : mapping of str to Region
    settings : ExtractionSettings
    image_name : str
        First part of the column names.

    Returns
    -------
    dict of str to float
        By ``<image>__<region>__<pyradiomics name>``, with voxel count and kept fraction as ``diagnostics``.

    Raises
    ------
    InputError
        Where pyradiomics is missing or refuses a region.
    """
    values = extract_regions(mammogram.image, {name: region.mask for name, region in regions.items()}, settings)
    return name_columns(values, regions, image_name)


def name_columns(
    values: Mapping[str, Mapping[str, float]], regions: Mapping[str, Region], image_name: str = "image"
) -> dict[str, float]:
    """Put the features of all regions into one row, with the diagnostics of each region in front."""
    row = {}
    for name, region in regions.items():
        prefix = f"{image_name}__{name}__"
        row[f"{prefix}diagnostics_VoxelNum"] = float(region.mask.sum())
        row[f"{prefix}diagnostics_KeptFraction"] = region.kept_fraction
        row.update((prefix + feature, value) for feature, value in values[name].items())
    return row


def extract_regions(
    image: sitk.Image, masks: Mapping[str, np.ndarray], settings: ExtractionSettings
) -> dict[str, dict[str, float]]:
    """Features of several regions of one image.

    Parameters
    ----------
    image : sitk.Image
        Of size (columns, rows, 1), spacing in mm.
    masks : mapping of str to np.ndarray of bool, shape (rows, columns)
    settings : ExtractionSettings

    Returns
    -------
    dict of str to dict of str to float
        By region and by pyradiomics' feature name.

    Raises
    ------
    InputError
        Where pyradiomics is missing, or refuses the settings or a region.
    """
    extractor = _make_extractor(settings)
    mask_images = {name: _mask_image(mask, image) for name, mask in masks.items()}
    groups = [mask_images] if settings.shares_filters else [{name: mask} for name, mask in mask_images.items()]
    values: dict[str, dict[str, float]] = {}
    with _quiet_pyradiomics():
        for group in groups:
            values.update(_extract_group(extractor, image, group, settings))
    return values


def filtered_images(
    image: sitk.Image, settings: ExtractionSettings, mask: sitk.Image | None = None
) -> Iterator[tuple[sitk.Image, str, dict[str, Any]]]:
    """The image itself and its filtered versions, one after the other.

    Parameters
    ----------
    image : sitk.Image
        Of size (columns, rows, 1).
    settings : ExtractionSettings
    mask : sitk.Image, optional
        Handed on to pyradiomics, whose filters take one without using it.

    Yields
    ------
    filtered : sitk.Image
    name : str
        pyradiomics' name of the image type, such as ``wavelet-LH``.
    setting : dict
        Settings for the feature classes on this image.
    """
    yield from _filtered_images(image, settings, mask, _make_extractor(settings).settings)


def laplacian_of_gaussian(image: sitk.Image, sigma_mm: float) -> sitk.Image:
    """Scale-normalized Laplacian of Gaussian in the plane of a single slice, by ITK's recursive filter.

    Parameters
    ----------
    image : sitk.Image
        Of size (columns, rows, 1).
    sigma_mm : float
        Width of the Gaussian in mm.

    Returns
    -------
    sitk.Image
        On the same grid.
    """
    plane = sitk.LaplacianRecursiveGaussian(image[:, :, 0], sigma=sigma_mm, normalizeAcrossScale=True)
    filtered = sitk.JoinSeries(plane)
    filtered.CopyInformation(image)
    return filtered


def _filtered_images(
    image: sitk.Image, settings: ExtractionSettings, mask: sitk.Image | None, defaults: Mapping[str, Any]
) -> Iterator[tuple[sitk.Image, str, dict[str, Any]]]:
    from radiomics import imageoperations

    for image_type, custom in settings.image_types.items():
        arguments = {"binWidth": _DEFAULT_BIN_WIDTH, **defaults, **custom}
        with _refusals(f"Image type {image_type}", "correct its settings or leave it out"):
            if image_type == "LoG":
                yield from _log_images(image, arguments)
            else:
                yield from getattr(imageoperations, f"get{image_type}Image")(image, mask, **arguments)


def _log_images(image: sitk.Image, arguments: dict[str, Any]) -> Iterator[tuple[sitk.Image, str, dict[str, Any]]]:
    for sigma in arguments["sigma"]:
        needed = (max(4, math.ceil(sigma / spacing) + 1) for spacing in image.GetSpacing()[:2])
        if any(size < least for size, least in zip(image.GetSize(), needed)):
            raise InputError(f"The image is too small for a LoG of {sigma:g} mm: leave this sigma out of the settings.")
        yield laplacian_of_gaussian(image, float(sigma)), f"log-sigma-{str(sigma).replace('.', '-')}-mm-3D", arguments


def _extract_group(
    extractor: Any, image: sitk.Image, masks: Mapping[str, sitk.Image], settings: ExtractionSettings
) -> dict[str, dict[str, float]]:
    """Features of regions that share their filtered images, in the steps of pyradiomics' own ``execute``."""
    from radiomics import imageoperations

    values: dict[str, dict[str, float]] = {}
    prepared = {}
    for name, mask in masks.items():
        with _refusals(f"Region {name}", "check the outline"):
            loaded, loaded_mask = extractor.loadImage(image, mask, None, **extractor.settings)
            box, _ = imageoperations.checkMask(loaded, loaded_mask, **extractor.settings)
            texture_mask = loaded_mask
            if extractor.settings.get("resegmentRange") is not None:
                texture_mask = imageoperations.resegmentMask(loaded, loaded_mask, **extractor.settings)
                box, _ = imageoperations.checkMask(loaded, texture_mask, **extractor.settings)
            shape_mask = texture_mask if extractor.settings.get("resegmentShape") else loaded_mask
            values[name] = _as_floats(extractor.computeShape(loaded, shape_mask, box, **extractor.settings))
            prepared[name] = (texture_mask, box)
    texture = set(settings.feature_classes) - {"shape2D", "firstorder"}
    for filtered, image_type, arguments in _filtered_images(loaded, settings, loaded_mask, extractor.settings):
        for name, (mask, box) in prepared.items():
            with _refusals(f"Region {name}, {image_type}", "check the outline and the settings"):
                cropped, cropped_mask = imageoperations.cropToTumorMask(filtered, mask, box)
                if texture:
                    _check_gray_levels(cropped, cropped_mask, arguments)
                found = extractor.computeFeatures(cropped, cropped_mask, image_type, **arguments)
                values[name].update(_as_floats(found))
    return values


def _check_gray_levels(image: sitk.Image, mask: sitk.Image, arguments: Mapping[str, Any]) -> None:
    levels = arguments.get("binCount")
    if levels is None:
        values = sitk.GetArrayViewFromImage(image)[sitk.GetArrayViewFromImage(mask) == 1]
        levels = (float(values.max()) - float(values.min())) / arguments["binWidth"]
    if levels > _MAXIMUM_GRAY_LEVELS:
        raise ValueError(f"{levels:.3g} gray levels, possible are {_MAXIMUM_GRAY_LEVELS}: change binWidth or binCount")


def _as_floats(found: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in found.items()}


@contextmanager
def _refusals(what: str, advice: str) -> Iterator[None]:
    """Turn errors of pyradiomics into one line that says what it was computing."""
    try:
        yield
    except InputError:
        raise
    except (ArithmeticError, AssertionError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        reason = _one_line(error) or type(error).__name__
        raise InputError(f"{what}: pyradiomics cannot compute it ({reason}): {advice}.") from error


def _one_line(message: object) -> str:
    text = " ".join(str(message).split())
    return text if len(text) <= 200 else f"{text[:200]} ..."


@contextmanager
def _quiet_pyradiomics() -> Iterator[None]:
    # pyradiomics repeats the same remarks on symmetrical matrices for every region of every image, and its validator
    # prints what is in the error that it raises.
    levels = {logging.getLogger("radiomics"): logging.ERROR, logging.getLogger("pykwalify"): logging.CRITICAL}
    before = {logger: logger.level for logger in levels}
    try:
        for logger, level in levels.items():
            logger.setLevel(level)
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)


def _make_extractor(settings: ExtractionSettings, source: str = "Extraction settings") -> Any:
    try:
        import radiomics  # noqa: F401 - the package before its module, which may be there without it
        from pykwalify.errors import PyKwalifyException
        from radiomics.featureextractor import RadiomicsFeatureExtractor
    except ImportError:
        raise InputError(_MISSING) from None
    if "LBP2D" in settings.image_types:
        try:
            import skimage  # noqa: F401 - pyradiomics only logs a warning and leaves LBP out where it is missing
        except ImportError:
            raise InputError(
                f"{source}: image type LBP2D needs the package scikit-image: install it or leave LBP2D out."
            ) from None
    try:
        with _quiet_pyradiomics():
            return RadiomicsFeatureExtractor(settings.to_dict())
    except (PyKwalifyException, ValueError, TypeError) as error:
        # The validator wraps what it finds itself, pyradiomics' own checks within it raise plain errors.
        reason = _one_line(getattr(error, "msg", None) or error)
        raise InputError(f"{source}: pyradiomics refuses a setting ({reason}): correct it.") from None


def _mask_image(mask: np.ndarray, image: sitk.Image) -> sitk.Image:
    made = sitk.GetImageFromArray(np.asarray(mask, dtype=np.uint8)[np.newaxis])
    made.CopyInformation(image)
    return made


def _check_names(
    given: Mapping[str, object], known: tuple[str, ...], what: str, kind: type, should: str, source: str
) -> None:
    for name, value in given.items():
        if name not in known:
            raise InputError(f"{source}: {what} '{name}' is not available for a single slice; use {', '.join(known)}.")
        if value is not None and not isinstance(value, kind):
            raise InputError(f"{source}: {what} '{name}' has {value!r}, it must have {should} or nothing.")


def _check_settings(values: Mapping[str, Any], where: str) -> None:
    for name, value in values.items():
        if name not in SETTINGS:
            raise InputError(f"{where}: setting '{name}' is not known: see pyradiomics' list of settings.")
        if value is None and name not in _MAY_BE_NULL:
            raise InputError(f"{where}: '{name}' has no value: give it one or leave it out.")
        if name in _PLANE and value != _PLANE[name]:
            raise InputError(f"{where}: '{name}' must be {_PLANE[name]}: a mammogram is a single slice.")
        if name in _POSITIVE and value is not None and not (_is_number(value) and value > 0):
            raise InputError(f"{where}: '{name}' is {value!r}, it must be a positive number.")
    sigma = values.get("sigma")
    if sigma is not None and not (isinstance(sigma, list) and all(_is_number(s) and s > 0 for s in sigma)):
        raise InputError(f"{where}: 'sigma' is {sigma!r}, it must be a list of positive widths in mm.")
    spacing = values.get("resampledPixelSpacing")
    if isinstance(spacing, list) and len(spacing) != 3:
        raise InputError(f"{where}: 'resampledPixelSpacing' is {spacing!r}, it must be three lengths in mm (x, y, 0).")


def _with_float_bin_width(values: Mapping[str, Any]) -> dict[str, Any]:
    # pyradiomics adds twice the bin width to the largest pixel. With a whole number NumPy 2 stays with the pixel's 8 or
    # 16 bits, overflows, and the gray levels are wrong.
    return {name: float(value) if name == "binWidth" else value for name, value in values.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
