"""All features of one region of one filtered image, equal to those of pyradiomics 3.0.1 in the plane.

For masks and images of a single slice, ``force2D`` along the first axis. The compiled parts hold no interpreter lock,
so threads over regions and images share the cores.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

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
            Of which :func:`.extraction.unsupported` names nothing.
        """
        return cls(
            bin_width=setting.get("binWidth", 25),
            bin_count=setting.get("binCount"),
            distances=tuple(np.array(setting.get("distances", [1])).astype(np.intc).tolist()),
            symmetrical=bool(setting.get("symmetricalGLCM", True)),
            gldm_a=operator.index(setting.get("gldm_a", 0)),
            voxel_array_shift=setting.get("voxelArrayShift", 0),
        )


def features_of_pixels(
    found: np.ndarray,
    shape: tuple[int, int],
    spans: np.ndarray,
    settings: EngineSettings,
    spacing: Iterable[float],
    classes: Iterable[str],
) -> dict[str, float]:
    """Features of one region that has been cut out of one image.

    Parameters
    ----------
    found : np.ndarray, shape (n_pixels,)
        Values of the region row by row, all finite, in the type of the image that pyradiomics' feature classes would
        get: rounding of the bin edges depends on it.
    shape : tuple of int
        Rows and columns of the region's box.
    spans : np.ndarray of int64, shape (n_spans, 3)
        As of :func:`.discretization.spans_of`.
    settings : EngineSettings
    spacing : iterable of three floats
        Of columns, rows and slices in mm, for the total energy.
    classes : iterable of str
        Out of ``firstorder`` and :data:`TEXTURE_CLASSES`.

    Returns
    -------
    dict of str to float
        By ``<class>_<feature>``, NaN where pyradiomics gives NaN.

    Raises
    ------
    ValueError
        Where the bins do not fit the values.
    RuntimeError
        Where no pixel can have a neighbor, from the texture classes.
    IndexError
        Where rounding of the bin edges leaves a value below the first, from the texture classes.
    """
    wanted = tuple(classes)
    textures = tuple(name for name in TEXTURE_CLASSES if name in wanted)
    steps = _steps(shape, settings, textures)
    margin = max((int(np.abs(group).max()) for group in steps.values()), default=1)
    levels = discretize(found, shape, spans, settings.bin_width, settings.bin_count, margin)
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


def _steps(shape: tuple[int, int], settings: EngineSettings, textures: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The steps to neighbors, rows and columns, by matrix."""
    steps = {}
    if "glcm" in textures:
        steps["glcm"] = _step_array(shape, settings.distances, both_ways=False)
    if "glrlm" in textures or "glszm" in textures:
        steps["glrlm"] = _step_array(shape, (1,), both_ways=False)
    if "gldm" in textures or "ngtdm" in textures:
        steps["gldm"] = _step_array(shape, settings.distances, both_ways=True)
    return steps


@functools.lru_cache(maxsize=64)
def _step_array(shape: tuple[int, int], distances: tuple[int, ...], both_ways: bool) -> np.ndarray:
    """The same for all images of a region, and only read."""
    return np.array(offsets(shape, distances, both_ways), dtype=np.int64)


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
