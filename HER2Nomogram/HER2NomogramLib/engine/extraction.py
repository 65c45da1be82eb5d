"""Features of all regions of one image by the compiled engine, over the cores of the machine.

Every filtered image is made once, on the box that holds all regions. It is handed to one task per region and freed
when these are done; the filters' streams wait until no task is left, so that few of them are in memory.

Can be imported without numba, SciPy and PyWavelets: :func:`unavailable` says whether they are there.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from ..feature_problems import (
    FeatureProblem,
    filter_refusal,
    log_name,
    log_refusal,
    region_refusal,
    shape_refusal,
    value_problem,
)
from .names import FEATURE_NAMES
from .schedule import Task, run_streams

if TYPE_CHECKING:
    from ..features import ExtractionSettings

_NEEDED = {"numba": "numba", "scipy": "scipy", "pywt": "PyWavelets"}
# Errors of a kernel or a filter that mean that this region or image cannot be computed.
_REFUSALS = (ArithmeticError, IndexError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


def unavailable() -> str:
    """Why this engine cannot be used here and what to do; empty where it can."""
    for module, package in _NEEDED.items():
        try:
            importlib.import_module(module)
        # numba refuses versions of NumPy with an ImportError, a library that cannot be loaded is an OSError.
        except (ImportError, OSError) as error:
            if isinstance(error, ModuleNotFoundError):
                return f"the fast feature engine needs the package {package}: install it"
            reason = " ".join(str(error).split())
            return f"the fast feature engine cannot use the package {package} ({reason:.150}): install another version"
    return ""


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
    """
    regions, refused = _regions(masks, settings)
    problems += refused
    values: dict[str, dict[str, float]] = {name: {} for name in masks}
    if not regions:
        return values
    # Cached or not, numba's code and SciPy are loaded here: BLAS can only be pinned after that.
    work = _Work(image, regions, settings)
    with _one_blas_thread():
        run_streams(work.streams(threads), threads)
    work.collect(values, problems)
    return values


def warm_up(settings: ExtractionSettings | None = None, pixel_type: Any = np.uint16) -> None:
    """Compile what an extraction needs, or load what has been compiled before, on a tiny image.

    Takes some ten seconds where nothing is on disk.

    Parameters
    ----------
    settings : ExtractionSettings, optional
        All image types and feature classes where there are none.
    pixel_type : data type
        Of the images.
    """
    from ..features import FEATURE_CLASSES, IMAGE_TYPES, ExtractionSettings

    if settings is None:
        types = {name: {"sigma": [1.0]} if name == "LoG" else {} for name in IMAGE_TYPES}
        settings = ExtractionSettings(types, dict.fromkeys(FEATURE_CLASSES, []), {"binCount": 8})
    pixels = np.random.default_rng(0).integers(0, 200, (1, 24, 24)).astype(pixel_type)
    mask = np.zeros((24, 24), dtype=bool)
    mask[4:20, 4:20] = True
    extract(sitk.GetImageFromArray(pixels), {"all": mask}, settings, 1, [])


@dataclass(frozen=True)
class _Region:
    """A region, its mask cut out, and where that lies in the box that holds all regions."""

    name: str
    box: tuple[slice, slice]
    inside: np.ndarray


def _regions(
    masks: Mapping[str, np.ndarray], settings: ExtractionSettings
) -> tuple[dict[str, np.ndarray], list[FeatureProblem]]:
    """The regions that pyradiomics would compute, and why not the others."""
    reasons = {name: region_refusal(mask, settings.setting) for name, mask in masks.items()}
    refused = [FeatureProblem(name, "", reason, missing=True) for name, reason in reasons.items() if reason]
    return {name: np.asarray(mask, dtype=bool) for name, mask in masks.items() if not reasons[name]}, refused


class _Work:
    """The tasks of one image, and what has come out of them."""

    def __init__(self, image: sitk.Image, masks: Mapping[str, np.ndarray], settings: ExtractionSettings) -> None:
        # Only here, so that this module can be imported without numba.
        from . import filters, one_region

        self._filters, self._kernels = filters, one_region
        self._pixels = sitk.GetArrayViewFromImage(image)[0]
        self._spacing = image.GetSpacing()
        self._settings = settings
        self._classes = [name for name in settings.feature_classes if name != "shape2D"]
        self._texture = bool(set(self._classes) - {"firstorder"})
        self._masks, self._box = masks, filters.bounding_box(masks)
        self._regions = [_cut_out(name, mask, self._box) for name, mask in masks.items()]
        self._names: dict[str, list[str]] = {name: [] for name in settings.image_types}
        self._found: dict[tuple[str, str], dict[str, float]] = {}
        self._problems: dict[tuple[str, str], list[FeatureProblem]] = {}

    def streams(self, threads: int) -> list[Iterator[list[Task]]]:
        """Streams of tasks, one per image type and one for the shapes, the longest first.

        The Laplacian of Gaussian runs over whole rows and columns, so its widths are shared out to the threads.
        """
        found, rest = [], [self._shapes()]
        usable = self._usable_types()
        for image_type in self._settings.image_types:
            if image_type not in usable:
                continue
            custom = self._settings.image_types[image_type]
            if image_type == "LoG":
                sigmas = self._fitting_sigmas(custom.get("sigma") or self._settings.setting["sigma"])
                parts = [sigmas[start::threads] for start in range(min(threads, len(sigmas)))]
                found += [self._stream(image_type, {**custom, "sigma": part}) for part in parts]
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
        extremes = float(self._pixels.min()), float(self._pixels.max())
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
        size, spacing = self._pixels.shape[::-1], self._spacing
        reasons = {sigma: log_refusal(sigma, size, spacing) for sigma in sigmas}
        for sigma, reason in reasons.items():
            if reason:
                self._refuse_type(log_name(sigma), reason)
        return [sigma for sigma, reason in reasons.items() if not reason]

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
        self._found[region.name, ""] = self._wanted(found, ["shape2D"], "original")

    def _stream(self, image_type: str, custom: Mapping[str, Any]) -> Iterator[list[Task]]:
        refused: list[Any] = []
        boxes = self._filters.filtered_boxes(
            self._pixels, self._spacing[:2], self._box, {image_type: custom}, self._settings.setting, refused
        )
        for name, values, arguments in boxes:
            if name not in self._names[image_type]:
                self._names[image_type].append(name)
            yield [functools.partial(self._region, region, name, values, arguments) for region in self._regions]
        for problem in refused:
            self._refuse_type(image_type, problem.reason)

    def _region(self, region: _Region, name: str, box: np.ndarray, arguments: Mapping[str, Any]) -> None:
        if not self._classes:
            return
        found = box[region.box][region.inside]
        reason, missing = value_problem(found, arguments, self._texture)
        if reason:
            self._note(region.name, name, reason, missing)
        if missing:
            return
        try:
            settings = self._kernels.EngineSettings.from_pyradiomics(arguments)
            features = self._kernels.features_of_pixels(found, region.inside, settings, self._spacing, self._classes)
        except _REFUSALS as error:
            self._note(region.name, name, f"it cannot be computed ({_one_line(error)}): check the outline", True)
            return
        self._found[region.name, name] = self._wanted(features, self._classes, name)

    def _wanted(self, features: Mapping[str, float], classes: Sequence[str], image_type: str) -> dict[str, float]:
        return {
            f"{image_type}_{name}_{feature}": features[f"{name}_{feature}"]
            for name in classes
            for feature in self._settings.feature_classes[name] or FEATURE_NAMES[name]
        }


def _cut_out(name: str, mask: np.ndarray, box: tuple[slice, slice]) -> _Region:
    from .discretization import bounding_box

    own = bounding_box(mask)
    within = tuple(slice(part.start - whole.start, part.stop - whole.start) for part, whole in zip(own, box))
    return _Region(name, within, np.ascontiguousarray(mask[own]))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    # The matrices are small: threads of BLAS cost more than they bring, above all on a busy machine.
    with _blas() or nullcontext():
        yield


def _blas() -> Any:
    controller = _blas_controller()
    return controller.limit(limits=1, user_api="blas") if controller else None


@functools.cache
def _blas_controller() -> Any:
    try:
        from threadpoolctl import ThreadpoolController  # comes with scikit-learn
    except ImportError:
        return None
    # Looked up once: it takes longer than the features of a small region.
    return ThreadpoolController()


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


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
    "gldm_a": lambda value: value == 0 or _is_count(value),
    "gradientUseSpacing": _is_flag,
    "interpolator": _or_none(lambda value: isinstance(value, (str, int))),
    "lbp2DMethod": lambda value: value in ("default", "ror", "uniform", "var"),
    "lbp2DRadius": _is_number,
    "lbp2DSamples": _is_count,
    "level": _is_count,
    "minimumROIDimensions": lambda value: value in (1, 2),
    "minimumROISize": _or_none(_is_count),
    "normalize": _is_off,
    # Without normalization, resampling and resegmentation these say nothing.
    "normalizeScale": _is_number,
    "padDistance": lambda value: value == 0 or _is_count(value),
    "removeOutliers": _or_none(_is_number),
    "resegmentMode": lambda value: value in ("absolute", "relative", "sigma"),
    "resegmentShape": _is_flag,
    "preCrop": _is_off,
    "resampledPixelSpacing": _is_off,
    "resegmentRange": _is_off,
    "sigma": lambda value: isinstance(value, list) and len(set(map(str, value))) == len(value),
    "start_level": lambda value: value == 0 or _is_count(value),
    "symmetricalGLCM": _is_flag,
    "voxelArrayShift": _is_number,
    "wavelet": lambda value: isinstance(value, str),
    "weightingNorm": lambda value: value is None,
}
