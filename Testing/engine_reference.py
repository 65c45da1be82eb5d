"""What the tests of the fast engine compare it with, and the images and regions they do it on."""

from __future__ import annotations

import math
import warnings

import numpy as np
import SimpleITK as sitk
from radiomics import firstorder, glcm, gldm, glrlm, glszm, imageoperations, ngtdm, shape2D
from scipy.ndimage import gaussian_filter

from HER2NomogramLib.engine.discretization import discretize, spans_of
from HER2NomogramLib.engine.one_region import EngineSettings, features_of_pixels
from HER2NomogramLib.regions import bounding_box

PIXEL_TYPES = (np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64)
PLANE = {"force2D": True, "force2Ddimension": 0}
CLASSES = {
    "firstorder": firstorder.RadiomicsFirstOrder,
    "glcm": glcm.RadiomicsGLCM,
    "glrlm": glrlm.RadiomicsGLRLM,
    "glszm": glszm.RadiomicsGLSZM,
    "gldm": gldm.RadiomicsGLDM,
    "ngtdm": ngtdm.RadiomicsNGTDM,
}


# --- Features ---------------------------------------------------------------------------------------------------------


def engine_features(values, mask, settings=None, spacing=(1.0, 1.0, 1.0), classes=tuple(CLASSES)):
    """By the fast engine, of a region that is cut out here, as ``<class>_<feature>``."""
    box = bounding_box(mask)
    inside = np.ascontiguousarray(mask[box])
    return features_of_pixels(
        values[box][inside], inside.shape, spans_of(inside), settings or EngineSettings(), spacing, classes
    )


def discretized(values, mask, **settings):
    """Gray levels of all of a mask, which is the box of the region too."""
    return discretize(values[mask], mask.shape, spans_of(mask), **settings)


def reference_features(values, mask, setting, spacing=(1.0, 1.0, 1.0), classes=tuple(CLASSES)):
    """By pyradiomics' feature classes on one slice, as ``<class>_<feature>``."""
    image, label = _slice_of(np.ascontiguousarray(values), spacing), _slice_of(np.asarray(mask, np.uint8), spacing)
    found = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for name in classes:
            computed = CLASSES[name](image, label, **PLANE, **setting).execute()
            found.update((f"{name}_{feature}", float(np.squeeze(value))) for feature, value in computed.items())
    return found


def reference_shape(mask, spacing=(1.0, 1.0, 1.0)):
    """By pyradiomics' class, as ``shape2D_<feature>``."""
    label = _slice_of(np.asarray(mask, np.uint8), spacing)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        computed = shape2D.RadiomicsShape2D(label, label, **PLANE).execute()
    return {f"shape2D_{name}": float(value) for name, value in computed.items()}


def _slice_of(array, spacing):
    image = sitk.GetImageFromArray(array[None])
    image.SetSpacing([float(step) for step in spacing])
    return image


def smallest_scale(name, features):
    """Below which a difference is the rounding of larger numbers that a feature is the difference of.

    ``name`` may begin with an image type; ``features`` has the others of the same image and region.
    """
    image_type, separator, short = name.rpartition("firstorder_" if "firstorder_" in name else "glcm_")
    before = image_type + separator
    if short == "ClusterShade" and before + "ClusterProminence" in features:
        return max(1e-4 * features[before + "ClusterProminence"] ** 0.75, 1e-17)
    if short.endswith("Entropy"):
        return 1e-6
    if separator and short in ("Skewness", "Correlation", "Imc1"):
        return 1e-5
    if separator == "firstorder_" and short in ("Mean", "Median", "10Percentile", "90Percentile"):
        ends = [abs(features.get(before + end, 0.0)) for end in ("Minimum", "Maximum")]
        return 1e-7 * max(ends)
    return 1e-17


def difference(name, ours, theirs, features):
    """Relative difference of two values; infinite where only one of them is a number."""
    if math.isnan(ours) or math.isnan(theirs):
        return 0.0 if math.isnan(ours) and math.isnan(theirs) else math.inf
    if ours == theirs:
        return 0.0
    return abs(ours - theirs) / max(abs(theirs), smallest_scale(name, features), 1e-290)


def assert_same_features(ours, theirs, note="", relative=1e-8):
    assert set(ours) == set(theirs), note
    apart = {name: difference(name, ours[name], value, theirs) for name, value in theirs.items()}
    # Compared so that something that is not a number counts as a difference.
    wrong = {name: (ours[name], theirs[name], apart[name]) for name in apart if not apart[name] <= relative}
    assert not wrong, (note, wrong)


# --- Filters ----------------------------------------------------------------------------------------------------------


def reference_images(array, spacing, image_types, setting=None):
    """Names and values on the whole image: pyradiomics', and ITK's in the plane for the Laplacian of Gaussian."""
    image = _slice_of(np.ascontiguousarray(array), (*spacing, 1.0))
    for image_type, custom in image_types.items():
        arguments = {**PLANE, **(setting or {}), **custom}
        if image_type == "LoG":
            for sigma in arguments["sigma"]:
                found = sitk.LaplacianRecursiveGaussian(image[:, :, 0], sigma=float(sigma), normalizeAcrossScale=True)
                yield f"log-sigma-{str(sigma).replace('.', '-')}-mm-3D", sitk.GetArrayFromImage(found)
        else:
            for found, name, _ in getattr(imageoperations, f"get{image_type}Image")(image, None, **arguments):
                yield name, sitk.GetArrayFromImage(found)[0]


def boxes_of(shape):
    """Inside, at every border, one pixel and the whole."""
    rows, columns = shape
    yield slice(20, 33), slice(15, 37)
    yield slice(0, 9), slice(3, 20)
    yield slice(rows - 7, rows), slice(columns - 12, columns)
    yield slice(5, rows), slice(0, columns)
    yield slice(0, rows), slice(0, columns)
    yield slice(11, 12), slice(columns - 1, columns)


def assert_same_boxes(array, spacing, image_types, setting=None, boxes=None):
    """To the last bit, and in the same type of pixels."""
    from HER2NomogramLib.engine.filters import Source, filtered_boxes

    expected = list(reference_images(array, spacing, image_types, setting))
    for box in boxes or boxes_of(array.shape):
        found = list(filtered_boxes(Source(array, spacing, box), image_types, setting))
        assert [item.name for item in found] == [name for name, _ in expected]
        for (name, values), item in zip(expected, found):
            assert item.values.dtype == values.dtype, name
            np.testing.assert_array_equal(item.values, values[box], err_msg=f"{name} {box}", strict=True)


# --- Images and regions -----------------------------------------------------------------------------------------------


def random_mask(rng, shape):
    """All, a blob, blobs with holes, or scattered pixels."""
    kind = rng.integers(4)
    if kind == 0:
        mask = np.ones(shape, dtype=bool)
    elif kind == 1:
        mask = gaussian_filter(rng.standard_normal(shape), 2.0) > 0
    elif kind == 2:
        mask = gaussian_filter(rng.standard_normal(shape), 0.7) > 0.1
    else:
        mask = rng.random(shape) < rng.choice([0.05, 0.3, 0.8])
    if not mask.any():
        mask[rng.integers(shape[0]), rng.integers(shape[1])] = True
    return mask


def random_image(rng, shape, kind, span):
    """Smooth with noise, over ``span`` gray values, below zero where the type allows it."""
    image = gaussian_filter(rng.standard_normal(shape), rng.choice([0.0, 1.0, 3.0]))
    image += rng.choice([0.0, 0.05, 0.3]) * image.std() * rng.standard_normal(shape)
    image -= image.min()
    image *= span / max(image.max(), 1e-9)
    if np.dtype(kind).kind != "u":
        image -= rng.choice([0.0, 0.5, 1.0]) * span
    if np.dtype(kind).kind == "f":
        return image.astype(kind)
    return np.clip(image, np.iinfo(kind).min, np.iinfo(kind).max).astype(kind)


def random_case(seed, largest=40):
    """Image, region and settings, some of them unusual."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(2, largest)), int(rng.integers(2, largest)))
    span = float(rng.choice([3.0, 40.0, 250.0, 3000.0]))
    image = random_image(rng, shape, PIXEL_TYPES[rng.integers(len(PIXEL_TYPES))], span)
    if rng.random() < 0.5:
        setting = {"binCount": int(rng.choice([2, 8, 32, 100]))}
    else:
        setting = {"binWidth": float(span / rng.choice([1, 5, 30, 130]) * rng.choice([1.0, 0.97]))}
    if rng.random() < 0.3 and min(shape) >= 4:
        setting["distances"] = [[2], [1, 2], [1, 3]][rng.integers(3)]
    if rng.random() < 0.3:
        setting["symmetricalGLCM"] = False
    if rng.random() < 0.3:
        setting["gldm_a"] = int(rng.integers(1, 4))
    if rng.random() < 0.2:
        setting["voxelArrayShift"] = 100
    return image, random_mask(rng, shape), setting


def noise_image(shape, dtype, seed=0, low=None):
    """Pixels that have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return rng.normal(200, 900, shape).astype(kind)
    least = 0 if kind.kind == "u" else -1500
    return rng.integers(least if low is None else low, min(np.iinfo(kind).max, 4000), shape).astype(kind)
