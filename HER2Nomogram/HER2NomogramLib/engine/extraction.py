"""Features of all regions of one image by the compiled engine, over the cores of the machine.

Every filtered image is made once, on the box that holds all regions. It is handed to one task per region and freed
when these are done; the filters' streams wait until no task is left, so that few of them are in memory.

Can be imported without numba and PyWavelets: :func:`unavailable` says whether they are there.
"""

from __future__ import annotations

import functools
import importlib
import math
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..feature_problems import (
    FeatureProblem,
    filter_refusal,
    log_name,
    log_refusal,
    region_refusal,
    shape_refusal,
    value_problem,
)
from ..messages import one_line
from ..regions import bounding_box
from .names import FEATURE_NAMES, LBP_METHODS, MAXIMUM_ROTATED
from .schedule import Task, run_streams

if TYPE_CHECKING:
    from ..features import ExtractionSettings

# Modules that are imported, and the packages that bring them.
_NEEDED = {"numba": "numba", "pywt": "PyWavelets"}
INSTALL = "in Slicer: slicer.util.pip_install('{package}'); elsewhere: pip install {package}"
_COMPILED_ANEW = (
    "The fast feature engine is compiled anew in every run and process (up to a minute), because its code cannot be "
    "kept in '{folder}' or in a folder in '{home}': set NUMBA_CACHE_DIR to a folder that can be written."
)
# Types of pixels that most images have, and that a few have. Some functions are compiled for each type.
_USUAL_TYPES = (np.uint16, np.int16, np.uint8, np.float32)
_RARE_TYPES = (np.float64, np.int32, np.uint32, np.int8)
# Errors of a kernel or a filter that mean that this region or image cannot be computed. None of numba's is among them.
_REFUSALS = (ArithmeticError, IndexError, MemoryError, RuntimeError, ValueError)
_MCC = "glcm_MCC"
_NO_MCC = "only MCC, which has not been found for so many gray levels: use binCount or a larger binWidth"


def unavailable() -> str:
    """Why this engine cannot be used here and what to do, in a sentence; empty where it can."""
    for module, package in _NEEDED.items():
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            # What the package needs itself comes with it.
            missing = package if error.name in (None, module) else error.name
            return f"The fast feature engine needs the package {missing} ({INSTALL.format(package=missing)})."
        # numba refuses versions of NumPy with an ImportError, settings with a ValueError; a library that cannot be
        # loaded is an OSError, and an old numba fails with whatever has changed since.
        except Exception as error:
            return (
                f"The fast feature engine cannot use the package {package} ({one_line(error)}): install another "
                f"version ({INSTALL.format(package=package)}), or correct what is set for it in the environment."
            )
    return ""


def compiled_anew() -> str:
    """Why the code is compiled in every process and what to do, in a sentence; empty where it is kept on disk."""
    try:
        kept = _cache_folder() is not None
    except Exception:  # what is wrong then :func:`warm_up` says
        kept = True
    return "" if kept else _COMPILED_ANEW.format(folder=Path(__file__).parent, home=Path.home())


def unsupported(settings: ExtractionSettings) -> str:
    """The setting or feature that this engine leaves to pyradiomics; empty where there is none.

    Parameters
    ----------
    settings : ExtractionSettings
    """
    for values in (settings.setting, *settings.image_types.values()):
        for name, value in values.items():
            if name not in _SUPPORTED or not _SUPPORTED[name](value):
                return f"setting {name} {value!r}"
    patterns = {**settings.setting, **settings.image_types.get("LBP2D", {})}
    if patterns.get("lbp2DMethod") == "ror" and patterns.get("lbp2DSamples", 0) > MAXIMUM_ROTATED:
        return f"setting lbp2DSamples {patterns['lbp2DSamples']} with lbp2DMethod 'ror'"
    for feature_class, wanted in settings.feature_classes.items():
        unknown = [name for name in wanted if name not in FEATURE_NAMES[feature_class]]
        if unknown:
            return f"feature {feature_class}_{unknown[0]}"
    return ""


def extract(
    image: sitk.Image,
    masks: Mapping[str, np.ndarray],
    settings: ExtractionSettings,
    threads: int,
    problems: list[FeatureProblem],
) -> dict[str, dict[str, float]]:
    """Features of several regions of one image.

    Parameters
    ----------
    image : sitk.Image
        Of size (columns, rows, 1), spacing in mm.
    masks : mapping of str to np.ndarray of bool, shape (rows, columns)
    settings : ExtractionSettings
        Of which :func:`unsupported` names nothing.
    threads : int
    problems : list of FeatureProblem
        Gets what cannot be computed or means little, by region and image type.

    Returns
    -------
    dict of str to dict of str to float
        By region and by pyradiomics' feature name, in pyradiomics' order.

    Raises
    ------
    InputError
        Where code cannot be compiled or loaded that :func:`warm_up` did not need.
    """
    regions, refused = _regions(masks, settings)
    problems += refused
    values: dict[str, dict[str, float]] = {name: {} for name in masks}
    if not regions:
        return values
    work = _Work(image, regions, settings)
    try:
        run_streams(work.streams(), threads)
    except Exception as error:
        if not _is_of_compiler(error):
            raise
        raise InputError(f"{_failure(error)} Or choose the engine pyradiomics.") from error
    work.collect(values, problems)
    return values


def warm_up(image_types: Iterable[str], feature_classes: Iterable[str], every_pixel_type: bool) -> str:
    """Compile what an extraction needs, or load what has been compiled before, on tiny images.

    Takes up to a minute where nothing is on disk.

    Parameters
    ----------
    image_types, feature_classes : iterable of str
        As in the settings; other settings do not change what is compiled.
    every_pixel_type : bool
        Also what few images need, and would otherwise be compiled when the first of them comes. Of use before processes
        are started: two that compile one function for different types can spoil each other's code on disk.

    Returns
    -------
    str
        Why the engine cannot be used after all and what to do, in sentences; empty where it can.
    """
    try:
        for pixel_type in (*_USUAL_TYPES, *(_RARE_TYPES if every_pixel_type else ())):
            _compute_tiny(tuple(image_types), tuple(feature_classes), pixel_type)
    except Exception as error:  # whatever it is, pyradiomics can do without
        return _failure(error.__cause__ if isinstance(error, InputError) else error)
    return ""


def _cache_folder() -> str | None:
    """Where numba keeps the compiled code of this folder; None where it cannot write it."""
    from . import matrices

    return next(function._cache.cache_path for function in vars(matrices).values() if hasattr(function, "_cache"))


@functools.cache
def _compute_tiny(image_types: tuple[str, ...], feature_classes: tuple[str, ...], pixel_type: type) -> None:
    """Features of a tiny image; once per process, where it did not fail."""
    from ..features import ExtractionSettings

    types = {name: {"sigma": [1.0]} if name == "LoG" else {} for name in image_types}
    settings = ExtractionSettings(types, {name: [] for name in feature_classes}, {"binCount": 8})
    pixels = np.random.default_rng(0).integers(0, 120, (1, 24, 24))
    mask = np.zeros((24, 24), dtype=bool)
    mask[4:20, 4:20] = True
    problems: list[FeatureProblem] = []
    extract(sitk.GetImageFromArray(pixels.astype(pixel_type)), {"all": mask}, settings, 1, problems)
    missing = [problem for problem in problems if problem.missing]
    if missing:
        raise RuntimeError(str(missing[0]))


def _is_of_compiler(error: Exception) -> bool:
    """Whether code could not be compiled, or not be written to disk or read from there."""
    from numba.core.errors import NumbaError

    return isinstance(error, (NumbaError, OSError, EOFError, pickle.PickleError))


def _failure(error: Exception) -> str:
    """That the engine failed, and what to do, in sentences."""
    try:
        folder = _cache_folder()
    except Exception:  # it may be what failed
        folder = None
    where = f" in '{folder}'" if folder else ""
    return (
        f"The fast feature engine failed ({one_line(error)}): delete its compiled code{where}, free some space there, "
        f"or install numba anew ({INSTALL.format(package='numba')})."
    )


@dataclass(frozen=True)
class _Region:
    """A region, its mask cut out, and where that lies."""

    name: str
    box: tuple[slice, slice]
    inside: np.ndarray


def _regions(
    masks: Mapping[str, np.ndarray], settings: ExtractionSettings
) -> tuple[list[_Region], list[FeatureProblem]]:
    """The regions that pyradiomics would compute, and why not the others."""
    regions, refused = [], []
    for name, mask in masks.items():
        mask = np.asarray(mask, dtype=bool)
        # A whole mammogram is scanned here and not again.
        box = bounding_box(mask) if mask.any() else (slice(0), slice(0))
        inside = np.ascontiguousarray(mask[box])
        reason = region_refusal(inside, settings.setting)
        if reason:
            refused.append(FeatureProblem(name, "", reason, missing=True))
        else:
            regions.append(_Region(name, box, inside))
    return regions, refused


def _union(boxes: Sequence[tuple[slice, slice]]) -> tuple[slice, slice]:
    """The smallest box that holds all boxes."""
    rows, columns = (slice(min(p.start for p in parts), max(p.stop for p in parts)) for parts in zip(*boxes))
    return rows, columns


class _Work:
    """The tasks of one image, and what has come out of them."""

    def __init__(self, image: sitk.Image, regions: Sequence[_Region], settings: ExtractionSettings) -> None:
        # Only here, so that this module can be imported without numba.
        from . import discretization, filters, one_region

        self._filters, self._kernels, self._pixels_of = filters, one_region, discretization.pixels_of
        self._settings = settings
        self._classes = [name for name in settings.feature_classes if name != "shape2D"]
        self._regions, self._box = regions, _union([region.box for region in regions])
        self._spans = {region.name: discretization.spans_of(region.inside) for region in regions}
        self._spacing = image.GetSpacing()
        self._source = filters.Source(sitk.GetArrayViewFromImage(image)[0], self._spacing[:2], self._box)
        self._names: dict[str, list[str]] = {name: [] for name in settings.image_types}
        self._found: dict[tuple[str, str], dict[str, float]] = {}
        self._problems: dict[tuple[str, str], list[FeatureProblem]] = {}

    def streams(self) -> list[Iterator[list[Task]]]:
        """Streams of tasks, one per image type and one for the shapes, the longest first.

        That is the Laplacian of Gaussian, which runs over whole rows and columns. All its widths are one stream: it
        takes less time than all else together, and its intermediate results are in memory once.
        """
        found, rest = [], [self._shapes()]
        for image_type in self._usable_types():
            custom = self._settings.image_types[image_type]
            if image_type == "LoG":
                sigmas = self._fitting_sigmas(custom.get("sigma") or self._settings.setting["sigma"])
                found += [self._stream(image_type, {**custom, "sigma": sigmas})] if sigmas else []
            else:
                rest.append(self._stream(image_type, custom))
        return found + rest

    def collect(self, values: dict[str, dict[str, float]], problems: list[FeatureProblem]) -> None:
        """Put features and problems into the order of regions, image types and features."""
        for region in self._regions:
            into = values[region.name]
            into.update(self._found.get((region.name, ""), {}))
            problems += self._problems.get((region.name, ""), [])
            for image_type, names in self._names.items():
                for name in dict.fromkeys((image_type, *names)):
                    into.update(self._found.get((region.name, name), {}))
                    problems += self._problems.get((region.name, name), [])

    def _usable_types(self) -> list[str]:
        extremes = tuple(self._source.extremes.tolist())
        usable = []
        for image_type in self._settings.image_types:
            reason = filter_refusal(image_type, extremes)
            if reason:
                self._refuse_type(image_type, reason)
            else:
                usable.append(image_type)
        return usable

    def _fitting_sigmas(self, sigmas: Sequence[float]) -> list[float]:
        self._names["LoG"] = [log_name(sigma) for sigma in sigmas]
        size, spacing = self._source.image.shape[::-1], self._spacing
        fitting = []
        for sigma in sigmas:
            reason = log_refusal(sigma, size, spacing)
            if reason:
                self._refuse_type(log_name(sigma), reason)
            else:
                fitting.append(sigma)
        return fitting

    def _refuse_type(self, image_type: str, reason: str) -> None:
        for region in self._regions:
            self._note(region.name, image_type, reason, missing=True)

    def _note(self, region: str, image_type: str, reason: str, missing: bool) -> None:
        self._problems.setdefault((region, image_type), []).append(FeatureProblem(region, image_type, reason, missing))

    def _shapes(self) -> Iterator[list[Task]]:
        if "shape2D" in self._settings.feature_classes:
            yield [functools.partial(self._shape, region) for region in self._regions]

    def _shape(self, region: _Region) -> None:
        reason = shape_refusal(region.inside)
        if reason:
            self._note(region.name, "", reason, missing=True)
            return
        found = self._kernels.compute_shape(region.inside, self._spacing)
        self._found[region.name, ""] = {f"original_{feature}": found[feature] for feature in self._wanted(["shape2D"])}

    def _stream(self, image_type: str, custom: Mapping[str, Any]) -> Iterator[list[Task]]:
        boxes = self._filters.filtered_boxes(self._source, {image_type: custom}, self._settings.setting)
        try:
            for name, values, arguments in boxes:
                if name not in self._names[image_type]:
                    self._names[image_type].append(name)
                yield [functools.partial(self._region, region, name, values, arguments) for region in self._regions]
        except _REFUSALS as error:
            reason = f"it cannot be computed ({one_line(error)}): correct its settings or leave it out"
            self._refuse_type(image_type, reason)

    def _region(self, region: _Region, name: str, box: np.ndarray, arguments: Mapping[str, Any]) -> None:
        if not self._classes:
            return
        row, column = (own.start - whole.start for own, whole in zip(region.box, self._box))
        spans, shape = self._spans[region.name], region.inside.shape
        found = self._pixels_of(box, row, column, spans)
        reason, missing = value_problem(name, found, shape, arguments, self._settings.feature_classes)
        if reason:
            self._note(region.name, name, reason, missing)
        if missing:
            return
        try:
            settings = self._kernels.EngineSettings.from_pyradiomics(arguments)
            features = self._kernels.features_of_pixels(found, shape, spans, settings, self._spacing, self._classes)
        except _REFUSALS as error:
            reason = f"it cannot be computed ({one_line(error)}): check the outline and the settings"
            self._note(region.name, name, reason, missing=True)
            return
        wanted = self._wanted(self._classes)
        present = [feature for feature in wanted if feature in features]
        self._found[region.name, name] = {f"{name}_{feature}": features[feature] for feature in present}
        if _MCC in wanted and _MCC not in features:
            self._note(region.name, name, _NO_MCC, missing=True)

    def _wanted(self, classes: Sequence[str]) -> list[str]:
        chosen = self._settings.feature_classes
        return [f"{name}_{feature}" for name in classes for feature in chosen[name] or FEATURE_NAMES[name]]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_count(value: object) -> bool:
    return _is_whole(value) and value > 0


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_off(value: object) -> bool:
    return not value


def _or_none(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or check(value)


# What this engine can be told, in the types that mean the same to pyradiomics. The rest, and what pyradiomics may
# refuse, is left to pyradiomics.
_SUPPORTED: dict[str, Callable[[Any], bool]] = {
    "additionalInfo": _is_flag,
    "binCount": _or_none(_is_count),
    "binWidth": _is_number,
    "distances": lambda value: isinstance(value, list) and bool(value) and all(map(_is_count, value)),
    "force2D": lambda value: value is True,
    "force2Ddimension": lambda value: value == 0,
    "geometryTolerance": _or_none(_is_number),
    "gldm_a": _is_whole,
    "gradientUseSpacing": _is_flag,
    "interpolator": _or_none(lambda value: isinstance(value, (str, int))),
    "lbp2DMethod": lambda value: value in LBP_METHODS,
    "lbp2DRadius": _is_number,
    "lbp2DSamples": _is_count,
    "level": _is_count,
    "minimumROIDimensions": lambda value: value in (1, 2),
    "minimumROISize": _or_none(_is_count),
    "normalize": _is_off,
    # Without normalization, resampling and resegmentation these say nothing.
    "normalizeScale": _is_number,
    "padDistance": _is_whole,
    "removeOutliers": _or_none(_is_number),
    "resegmentMode": lambda value: value in ("absolute", "relative", "sigma"),
    "resegmentShape": _is_flag,
    "preCrop": _is_off,
    "resampledPixelSpacing": _is_off,
    "resegmentRange": _is_off,
    "sigma": lambda value: isinstance(value, list) and len(set(map(str, value))) == len(value),
    "start_level": _is_whole,
    "symmetricalGLCM": _is_flag,
    "voxelArrayShift": _is_number,
    "wavelet": lambda value: isinstance(value, str),
    "weightingNorm": lambda value: value is None,
}
