"""Radiomics features of every region of one image: by the compiled engine, or by pyradiomics' own feature classes.

The values of the two are equal. The compiled engine (:mod:`.engine.extraction`) is the default; pyradiomics is the
reference, computes what the other is not made for, and takes over where that cannot be used.
:func:`prepare_engine` decides which of them it is, once for all cases of a run.

Three things differ from one run of pyradiomics' feature extractor per region. Each filtered image is made once and
shared by all regions, which changes no value because the filters do not depend on the mask. The Laplacian of Gaussian
is computed in the image plane: pyradiomics skips it on a single slice, since its filter wants four pixels in every
direction. Its names are kept (``log-sigma-1-0-mm-3D``), so that settings and tables stay exchangeable. And bin widths
are always floats: with a whole number pyradiomics' gray levels overflow on bright 8 or 16-bit pixels under NumPy 2.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from .errors import InputError
from .feature_problems import (
    DEFAULT_BIN_WIDTH,
    FeatureProblem,
    filter_refusal,
    log_name,
    log_refusal,
    region_refusal,
    settings_remark,
    shape_refusal,
    value_problem,
)
from .mammogram import Mammogram
from .messages import one_line
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
_OTHER_LABEL = "the region is chosen by 'segment' in the case table"
_PER_VOXEL = "features are computed per region, not per voxel"
_NOT_HERE = {
    "label": _OTHER_LABEL,
    "label_channel": _OTHER_LABEL,
    "correctMask": "masks are made on the grid of the image",
    **dict.fromkeys(("voxelBased", "kernelRadius", "maskedKernel", "initValue", "voxelBatch"), _PER_VOXEL),
}
_POSITIVE = ("binWidth", "binCount", "normalizeScale", "removeOutliers", "lbp2DRadius", "lbp2DSamples", "level")
# Where null means "off" to pyradiomics; elsewhere it takes the place of the default and fails in the middle of a run.
_MAY_BE_NULL = frozenset(
    "binCount removeOutliers resampledPixelSpacing interpolator resegmentRange minimumROISize weightingNorm "
    "geometryTolerance".split()
)
# One slice is one plane: without these pyradiomics leaves out shape2D and makes 3-D wavelets.
_PLANE = {"force2D": True, "force2Ddimension": 0}
FAST, PYRADIOMICS = "fast", "pyradiomics"
ENGINES = (FAST, PYRADIOMICS)
# Key of the engine among the versions of software in a model file.
FEATURE_ENGINE = "feature engine"
# Of one case; more bring little, because half of the work is Python's.
_MOST_THREADS = 4
COMPILING = "Preparing the feature engine, which is compiled at its first use (up to a minute)"
_SLOW_S = 2.0
# What pyradiomics and ITK raise where they cannot compute something.
_PYRADIOMICS_ERRORS = (
    ArithmeticError, AssertionError, LookupError, MemoryError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
_MISSING = (
    "pyradiomics is missing: in Slicer open the Extensions Manager, install 'SlicerRadiomics' and restart; "
    "outside Slicer run 'make install'."
)
_PART_MISSING = (
    "The package {package} is missing, which comes with pyradiomics: in Slicer open the Extensions Manager, install "
    "'SlicerRadiomics' and restart; outside Slicer run 'make install'."
)
_PACKAGES = {"pywt": "PyWavelets", "ruamel": "ruamel.yaml"}


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
        except ImportError as error:  # it comes with pyradiomics
            raise InputError(_missing(error)) from None

        try:
            content = YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"Settings file '{path}' cannot be read ({error.strerror}): check the path.") from None
        except (YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date that does not exist
            line = getattr(getattr(error, "problem_mark", None), "line", None)
            where = "" if line is None else f" (line {line + 1})"
            raise InputError(f"Settings file '{path}' is not YAML{where}: write it as pyradiomics documents.") from None
        settings = cls.from_dict(content, source=f"Settings file '{path}'")
        try:
            import radiomics.featureextractor  # noqa: F401
        except Exception:  # what is wrong with it is said where it is needed
            return settings
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
    mammogram: Mammogram,
    regions: Mapping[str, Region],
    settings: ExtractionSettings,
    image_name: str = "image",
    engine: str | None = None,
    threads: int = 1,
    problems: list[FeatureProblem] | None = None,
) -> dict[str, float]:
    """One row of ``features.csv``: all features of all regions of one image.

    Parameters
    ----------
    mammogram : Mammogram
    regions : mapping of str to Region
    settings : ExtractionSettings
    image_name : str
        First part of the column names.
    engine, threads, problems
        As in :func:`extract_regions`.

    Returns
    -------
    dict of str to float
        By ``<image>__<region>__<pyradiomics name>``, with voxel count and kept fraction as ``diagnostics``.

    Raises
    ------
    InputError
        As in :func:`extract_regions`.
    """
    masks = {name: region.mask for name, region in regions.items()}
    values = extract_regions(mammogram.image, masks, settings, engine, threads, problems)
    return name_columns(values, regions, image_name)


def name_columns(
    values: Mapping[str, Mapping[str, float]], regions: Mapping[str, Region], image_name: str = "image"
) -> dict[str, float]:
    """Put the features of all regions into one row, with the diagnostics of each region in front."""
    row = {}
    for name, region in regions.items():
        prefix = f"{image_name}__{name}__"
        row[f"{prefix}diagnostics_VoxelNum"] = float(np.count_nonzero(region.mask))
        row[f"{prefix}diagnostics_KeptFraction"] = region.kept_fraction
        row.update((prefix + feature, value) for feature, value in values[name].items())
    return row


def prepare_engine(
    settings: ExtractionSettings,
    engine: str | None = None,
    say: Callable[[str], None] | None = None,
    jobs: int = 1,
) -> tuple[str, str]:
    """The engine that will compute the features, its code compiled or loaded.

    Compiling takes up to a minute where it has never been done on this machine. Done before processes are started, so
    that these find the code on disk.

    Parameters
    ----------
    settings : ExtractionSettings
    engine : str, optional
        Out of :data:`ENGINES`; the fast one where it can be used if there is none.
    say : callable, optional
        Called with :data:`COMPILING` where it takes longer than two seconds.
    jobs : int
        Processes that will compute.

    Returns
    -------
    engine : str
    notice : str
        What is to be said before the work, in sentences: why it is not the fast engine where that was wanted, what
        slows it down, which settings are of no use. Empty where there is nothing to say.

    Raises
    ------
    InputError
        Where the engine is not known, or pyradiomics is to compute the features and is missing or refuses the settings.
    """
    if engine not in (None, *ENGINES):
        raise InputError(f"Feature engine '{engine}' is not known: choose {' or '.join(ENGINES)}.")
    chosen, notice = PYRADIOMICS, ""
    if engine == PYRADIOMICS:
        _make_extractor(settings)
    else:
        refusal, notice = _prepare_fast(settings, say, jobs)
        if refusal:
            notice = _fall_back(settings, refusal)
        else:
            chosen = FAST
    remark = settings_remark(settings.image_types, settings.feature_classes, settings.setting)
    return chosen, " ".join(filter(None, (notice, remark)))


def _fall_back(settings: ExtractionSettings, refusal: str) -> str:
    """What to say where pyradiomics takes over; an error where it cannot."""
    try:
        _make_extractor(settings)
    except InputError as error:
        raise InputError(f"{refusal} {error}") from None
    return f"{refusal} Therefore pyradiomics computes the features, which takes longer."


def _prepare_fast(settings: ExtractionSettings, say: Callable[[str], None] | None, jobs: int) -> tuple[str, str]:
    """Why the fast engine cannot be used, and what to say where it can; its code is compiled or loaded."""
    from .engine import extraction

    left = extraction.unsupported(settings)
    refusal = f"The fast feature engine leaves {left} to pyradiomics." if left else extraction.unavailable()
    if refusal:
        return refusal, ""
    with _said_if_slow(say):
        anew = extraction.compiled_anew()
        # What is not kept on disk is of no use to other processes.
        if not (anew and jobs > 1):
            refusal = extraction.warm_up(settings.image_types, settings.feature_classes, every_pixel_type=jobs > 1)
    return refusal, anew


@contextmanager
def _said_if_slow(say: Callable[[str], None] | None) -> Iterator[None]:
    if say is None:
        yield
        return
    timer = threading.Timer(_SLOW_S, say, [COMPILING])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def case_threads() -> int:
    """Threads of the fast engine for one case that has the machine to itself."""
    return min(_MOST_THREADS, os.cpu_count() or 1)


def extract_regions(
    image: sitk.Image,
    masks: Mapping[str, np.ndarray],
    settings: ExtractionSettings,
    engine: str | None = None,
    threads: int = 1,
    problems: list[FeatureProblem] | None = None,
) -> dict[str, dict[str, float]]:
    """Features of several regions of one image.

    Parameters
    ----------
    image : sitk.Image
        Of size (columns, rows, 1), spacing in mm.
    masks : mapping of str to np.ndarray of bool, shape (rows, columns)
    settings : ExtractionSettings
    engine : str, optional
        As :func:`prepare_engine` has chosen it; by default it is asked.
    threads : int
        Of the fast engine; pyradiomics has one.
    problems : list, optional
        Gets what cannot be computed or means little, all else is computed. Without it the first thing that cannot be
        computed is an error.

    Returns
    -------
    dict of str to dict of str to float
        By region and by pyradiomics' feature name. Without what ``problems`` says is missing.

    Raises
    ------
    InputError
        Where a mask is not on the image's grid, the engine is not known or cannot compute a setting, pyradiomics is
        needed and missing, or refuses the settings; without ``problems`` also where a region or an image type cannot be
        computed.
    """
    for name, mask in masks.items():
        if np.shape(mask) != image.GetSize()[1::-1]:
            rows, columns = image.GetSize()[1::-1]
            raise InputError(
                f"Region {name}: its mask has the shape {np.shape(mask)}, the image {rows} rows and {columns} columns: "
                "make it on the grid of the image."
            )
    found: list[FeatureProblem] = []
    if engine not in ENGINES:
        engine, notice = prepare_engine(settings, engine)
        found += [FeatureProblem("", "", notice.rstrip("."), missing=False)] if notice else []
    if engine == FAST:
        from .engine.extraction import extract, unsupported

        if left := unsupported(settings):
            raise InputError(f"The fast feature engine cannot compute {left}: choose {PYRADIOMICS}.")
        values = extract(image, masks, settings, threads, found)
    else:
        values = _extract_with_pyradiomics(image, masks, settings, found)
    order = {name: position for position, name in enumerate(masks)}
    found.sort(key=lambda problem: order.get(problem.region, -1))
    if problems is not None:
        problems += found
    elif missing := [problem for problem in found if problem.missing]:
        raise InputError(str(missing[0]))
    return values


def _extract_with_pyradiomics(
    image: sitk.Image, masks: Mapping[str, np.ndarray], settings: ExtractionSettings, problems: list[FeatureProblem]
) -> dict[str, dict[str, float]]:
    extractor = _make_extractor(settings)
    mask_images = {name: _mask_image(mask, image) for name, mask in masks.items()}
    groups = [mask_images] if settings.shares_filters else [{name: mask} for name, mask in mask_images.items()]
    values: dict[str, dict[str, float]] = {name: {} for name in masks}
    with _quiet_pyradiomics():
        for group in groups:
            _ReferenceGroup(extractor, settings, values, problems).extract(image, group)
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
    defaults = _make_extractor(settings).settings
    for image_type in settings.image_types:
        with _refusals(f"Image type {image_type}", "correct its settings or leave it out"):
            yield from _images_of_type(image_type, image, settings, mask, defaults)


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


def _images_of_type(
    image_type: str,
    image: sitk.Image,
    settings: ExtractionSettings,
    mask: sitk.Image | None,
    defaults: Mapping[str, Any],
    refused: Callable[[str, str], None] | None = None,
) -> Iterator[tuple[sitk.Image, str, dict[str, Any]]]:
    """Filtered images of one type; ``refused`` takes the name and the reason of a LoG that does not fit the image."""
    from radiomics import imageoperations

    arguments = {"binWidth": DEFAULT_BIN_WIDTH, **defaults, **settings.image_types[image_type]}
    if image_type != "LoG":
        yield from getattr(imageoperations, f"get{image_type}Image")(image, mask, **arguments)
        return
    for sigma in arguments["sigma"]:
        reason = log_refusal(sigma, image.GetSize(), image.GetSpacing())
        if not reason:
            yield laplacian_of_gaussian(image, float(sigma)), log_name(sigma), arguments
        elif refused is None:
            raise InputError(f"{log_name(sigma)}: {reason}.")
        else:
            refused(log_name(sigma), reason)


class _ReferenceGroup:
    """Regions that share their filtered images, computed in the steps of pyradiomics' own ``execute``."""

    def __init__(
        self,
        extractor: Any,
        settings: ExtractionSettings,
        values: dict[str, dict[str, float]],
        problems: list[FeatureProblem],
    ) -> None:
        self._extractor, self._settings, self._values, self._problems = extractor, settings, values, problems
        self._image = self._mask = None
        self._prepared: dict[str, tuple[sitk.Image, Any]] = {}

    def extract(self, image: sitk.Image, masks: Mapping[str, sitk.Image]) -> None:
        """Fill in the values and problems of these regions."""
        for name, mask in masks.items():
            with self._noted(name, "", "check the outline"):
                self._prepare(name, image, mask)
        if not self._prepared:
            return
        pixels = sitk.GetArrayViewFromImage(self._image)
        extremes = float(pixels.min()), float(pixels.max())
        for image_type in self._settings.image_types:
            reason = filter_refusal(image_type, extremes)
            if reason:
                self._refuse_type(image_type, reason)
            else:
                self._extract_type(image_type)

    def _prepare(self, name: str, image: sitk.Image, mask: sitk.Image) -> None:
        from radiomics import imageoperations

        extractor, setting = self._extractor, self._extractor.settings
        reason = region_refusal(sitk.GetArrayViewFromImage(mask)[0] != 0, setting)
        if reason:
            self._note(name, "", reason, missing=True)
            return
        loaded, loaded_mask = extractor.loadImage(image, mask, None, **setting)
        box, _ = imageoperations.checkMask(loaded, loaded_mask, **setting)
        texture_mask = loaded_mask
        if setting.get("resegmentRange") is not None:
            texture_mask = imageoperations.resegmentMask(loaded, loaded_mask, **setting)
            box, _ = imageoperations.checkMask(loaded, texture_mask, **setting)
        shape_mask = texture_mask if setting.get("resegmentShape") else loaded_mask
        reason = shape_refusal(sitk.GetArrayViewFromImage(shape_mask)[0] == 1)
        if reason and "shape2D" in self._settings.feature_classes:
            self._note(name, "", reason, missing=True)
        self._values[name].update(_as_floats(extractor.computeShape(loaded, shape_mask, box, **setting)))
        self._prepared[name] = (texture_mask, box)
        self._image, self._mask = loaded, loaded_mask

    def _extract_type(self, image_type: str) -> None:
        images = _images_of_type(
            image_type, self._image, self._settings, self._mask, self._extractor.settings, self._refuse_type
        )
        while True:
            try:
                filtered, name, arguments = next(images)
            except StopIteration:
                return
            except _PYRADIOMICS_ERRORS as error:
                self._refuse_type(image_type, f"{_not_computed(error)}: correct its settings or leave it out")
                return
            for region, (mask, box) in self._prepared.items():
                with self._noted(region, name, "check the outline and the settings"):
                    self._extract_region(region, filtered, name, arguments, mask, box)

    def _extract_region(
        self, region: str, filtered: sitk.Image, name: str, arguments: Mapping[str, Any], mask: sitk.Image, box: Any
    ) -> None:
        from radiomics import imageoperations

        if not set(self._settings.feature_classes) - {"shape2D"}:
            return
        cropped, cropped_mask = imageoperations.cropToTumorMask(filtered, mask, box)
        inside = sitk.GetArrayViewFromImage(cropped)[sitk.GetArrayViewFromImage(cropped_mask) == 1]
        shape, classes = cropped.GetSize()[1::-1], self._settings.feature_classes
        reason, missing = value_problem(name, inside, shape, arguments, classes, by_pyradiomics=True)
        if reason:
            self._note(region, name, reason, missing)
        if not missing:
            found = self._extractor.computeFeatures(cropped, cropped_mask, name, **arguments)
            self._values[region].update(_as_floats(found))

    def _refuse_type(self, image_type: str, reason: str) -> None:
        for region in self._prepared:
            self._note(region, image_type, reason, missing=True)

    def _note(self, region: str, image_type: str, reason: str, missing: bool) -> None:
        self._problems.append(FeatureProblem(region, image_type, reason, missing))

    @contextmanager
    def _noted(self, region: str, image_type: str, advice: str) -> Iterator[None]:
        """Note an error of pyradiomics for what it was computing, and go on."""
        try:
            yield
        except _PYRADIOMICS_ERRORS as error:
            self._note(region, image_type, f"{_not_computed(error)}: {advice}", missing=True)


def _as_floats(found: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in found.items()}


@contextmanager
def _refusals(what: str, advice: str) -> Iterator[None]:
    """Turn errors of pyradiomics into one line that says what it was computing."""
    try:
        yield
    except InputError:
        raise
    except _PYRADIOMICS_ERRORS as error:
        raise InputError(f"{what}: {_not_computed(error)}: {advice}.") from error


def _not_computed(error: Exception) -> str:
    return f"pyradiomics cannot compute it ({one_line(error)})"


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
    except ImportError as error:
        raise InputError(_missing(error)) from None
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
        reason = one_line(getattr(error, "msg", None) or error)
        raise InputError(f"{source}: pyradiomics refuses a setting ({reason}): correct it.") from None


def _missing(error: ImportError) -> str:
    """What is missing of pyradiomics or the packages that it needs, and what to do."""
    if not isinstance(error, ModuleNotFoundError):
        return f"pyradiomics cannot be used ({one_line(error)}): install it anew, or a version of what it names."
    module = (error.name or "radiomics").partition(".")[0]
    return _MISSING if module == "radiomics" else _PART_MISSING.format(package=_PACKAGES.get(module, module))


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
        if name in _NOT_HERE:
            raise InputError(f"{where}: setting '{name}' does not apply here, because {_NOT_HERE[name]}: leave it out.")
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
