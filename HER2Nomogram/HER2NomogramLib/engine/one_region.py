"""All features of one region of one filtered image, equal to those of pyradiomics 3.0.1 in the plane.

For masks and images of a single slice, ``force2D`` along the first axis. The compiled parts hold no interpreter lock,
so threads over regions and images share the cores.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..regions import bounding_box
from .discretization import DiscretizedRegion, discretize
from .firstorder_features import firstorder_features
from .glcm_features import cooccurrence_features, cooccurrence_values
from .matrices import Entries, cooccurrences, offsets
from .shape2d_features import shape2d_features
from .texture_features import (
    dependence_features,
    difference_features,
    neighborhood_values,
    run_features,
    run_values,
    zone_features,
    zone_values,
)

TEXTURE_CLASSES = ("glcm", "glrlm", "glszm", "gldm", "ngtdm")
CLASSES = ("firstorder", *TEXTURE_CLASSES)


@dataclass(frozen=True)
class EngineSettings:
    """Settings of the feature classes, under pyradiomics' meaning and defaults.

    Attributes
    ----------
    bin_width : float
    bin_count : int or None
        Goes before the bin width.
    distances : tuple of int
        To the neighbors of co-occurrence, dependence and gray tone difference.
    symmetrical : bool
        Count co-occurrences in both orders.
    gldm_a : int
        Largest difference of dependent gray levels.
    voxel_array_shift : float
        Added to the values for energy and root mean square.
    """

    bin_width: float = 25
    bin_count: int | None = None
    distances: tuple[int, ...] = (1,)
    symmetrical: bool = True
    gldm_a: int = 0
    voxel_array_shift: float = 0

    @classmethod
    def from_pyradiomics(cls, setting: Mapping[str, Any]) -> EngineSettings:
        """From the names that pyradiomics uses; names that mean nothing to a feature class are passed over.

        Parameters
        ----------
        setting : mapping of str to object

        Raises
        ------
        NotImplementedError
            Where weighting of directions, 3-D or voxel-based features are asked for.
        """
        if setting.get("weightingNorm") is not None:
            raise NotImplementedError("weightingNorm is left to the reference engine.")
        if setting.get("voxelBased") or not setting.get("force2D", True) or setting.get("force2Ddimension", 0) != 0:
            raise NotImplementedError("Only features of a single slice, force2D along dimension 0.")
        return cls(
            bin_width=setting.get("binWidth", 25),
            bin_count=setting.get("binCount"),
            distances=tuple(np.array(setting.get("distances", [1])).astype(np.intc).tolist()),
            symmetrical=bool(setting.get("symmetricalGLCM", True)),
            gldm_a=operator.index(setting.get("gldm_a", 0)),
            voxel_array_shift=setting.get("voxelArrayShift", 0),
        )


def compute_features(
    values: np.ndarray,
    mask: np.ndarray,
    settings: EngineSettings | None = None,
    spacing: Iterable[float] = (1.0, 1.0, 1.0),
    classes: Iterable[str] = CLASSES,
) -> dict[str, float]:
    """Features of one region of one image.

    Parameters
    ----------
    values : np.ndarray, shape (rows, columns)
        The image as pyradiomics' feature classes would get it, in its own type: rounding of the bin edges depends on
        it. Cropping to the region changes nothing, except which error a region of few pixels gives.
    mask : np.ndarray of bool, shape (rows, columns)
    settings : EngineSettings, optional
    spacing : iterable of three floats
        Of columns, rows and slices in mm, for the total energy.
    classes : iterable of str
        Out of :data:`CLASSES`.

    Returns
    -------
    dict of str to float
        By ``<class>_<feature>``, NaN where pyradiomics gives NaN.

    Raises
    ------
    ValueError
        Where the region is empty or the bins do not fit the values.
    RuntimeError
        Where no pixel can have a neighbor, from the texture classes.
    IndexError
        Where rounding of the bin edges leaves a value below the first, from the texture classes.
    NotImplementedError
        Where values are not finite.
    """
    found, inside = _cropped(values, np.asarray(mask, dtype=bool))
    return features_of_pixels(found, inside, settings or EngineSettings(), spacing, classes)


def features_of_pixels(
    found: np.ndarray, inside: np.ndarray, settings: EngineSettings, spacing: Iterable[float], classes: Iterable[str]
) -> dict[str, float]:
    """As :func:`compute_features`, of a region that has been cut out.

    Parameters
    ----------
    found : np.ndarray, shape (n_pixels,)
        Values of the region row by row, all finite.
    inside : np.ndarray of bool, shape (rows, columns)
        The mask, cropped to the region.
    settings, spacing, classes
        As in :func:`compute_features`.

    Returns
    -------
    dict of str to float
    """
    wanted = tuple(classes)
    textures = tuple(name for name in TEXTURE_CLASSES if name in wanted)
    steps = _steps(inside.shape, settings, textures)
    margin = max((int(np.abs(group).max()) for group in steps.values()), default=1)
    levels = discretize(found, inside, settings.bin_width, settings.bin_count, margin)
    features = {}
    if "firstorder" in wanted:
        volume = math.prod(float(size) for size in spacing)
        first = firstorder_features(found, levels.counts, volume, settings.voxel_array_shift)
        features.update((f"firstorder_{name}", value) for name, value in first.items())
    if textures:
        if levels.gray_levels[0] < 1:
            raise IndexError("Rounding of the bin edges leaves a value below the first: choose a larger binWidth.")
        features.update(_texture_features(levels, settings, textures, steps))
    return features


def compute_shape(mask: np.ndarray, spacing: Iterable[float] = (1.0, 1.0, 1.0)) -> dict[str, float]:
    """Shape features of one region.

    Parameters
    ----------
    mask : np.ndarray of bool, shape (rows, columns)
    spacing : iterable of three floats
        Of columns, rows and slices in mm.

    Returns
    -------
    dict of str to float
        By ``shape2D_<feature>``.
    """
    columns, rows, _ = spacing
    return {f"shape2D_{name}": value for name, value in shape2d_features(mask, (rows, columns)).items()}


def _cropped(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values of the region row by row, and the mask cropped to it."""
    if values.shape != mask.shape or values.ndim != 2 or not mask.any():
        raise ValueError("An image and a mask of the same two dimensions are needed, and a pixel in the mask.")
    box = bounding_box(mask)
    inside = np.ascontiguousarray(mask[box])
    found = values[box][inside]
    if found.dtype.kind not in "iuf" or not np.isfinite(found).all():
        raise NotImplementedError("Values that are no finite numbers are left to the reference engine.")
    return found, inside


def _steps(shape: tuple[int, int], settings: EngineSettings, textures: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The steps to neighbors, rows and columns, by matrix."""
    steps = {}
    if "glcm" in textures:
        steps["glcm"] = offsets(shape, settings.distances, both_ways=False)
    if "glrlm" in textures or "glszm" in textures:
        steps["glrlm"] = offsets(shape, (1,), both_ways=False)
    if "gldm" in textures or "ngtdm" in textures:
        steps["gldm"] = offsets(shape, settings.distances, both_ways=True)
    return {name: np.array(found, dtype=np.int64) for name, found in steps.items()}


def _texture_features(
    levels: DiscretizedRegion, settings: EngineSettings, textures: tuple[str, ...], steps: Mapping[str, np.ndarray]
) -> dict[str, float]:
    # Few calls of compiled code, each for a whole class: between them threads wait for the interpreter's lock.
    gray, symmetrical = levels.gray_levels, settings.symmetrical
    region = levels.indices, levels.spans, gray
    found = {}
    if "glcm" in textures:
        values = cooccurrence_values(*region, steps["glcm"], symmetrical)

        def entries_of(direction: int) -> Entries:
            step = steps["glcm"][direction]
            return cooccurrences(levels.indices, levels.spans, len(gray), *step, symmetrical)

        found["glcm"] = cooccurrence_features(values, entries_of, gray, symmetrical)
    if "glrlm" in textures:
        found["glrlm"] = run_features(run_values(*region, steps["glrlm"]))
    if "glszm" in textures:
        found["glszm"] = zone_features(zone_values(*region))
    if "gldm" in steps:
        dependences, differences = neighborhood_values(*region, levels.counts, steps["gldm"], settings.gldm_a)
        if "gldm" in textures:
            found["gldm"] = dependence_features(dependences)
        if "ngtdm" in textures:
            found["ngtdm"] = difference_features(differences)
    return {f"{name}_{feature}": value for name in textures for feature, value in found[name].items()}
