"""The image, the regions and the settings that every way gets, on files so that each process loads the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

FEATURE_CLASSES = ("shape2D", "firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")
IMAGE_TYPES = {
    "Original": {}, "LoG": {"sigma": [1.0, 2.0, 3.0, 4.0, 5.0]}, "Wavelet": {"wavelet": "coif1"}, "Square": {},
    "SquareRoot": {}, "Logarithm": {}, "Exponential": {}, "Gradient": {}, "LBP2D": {},
}  # fmt: skip
MARGINS_MM = (2.5, 5.0, 7.5, 10.0)
SIZES = {"2294 x 1914": (2294, 1914, 0.1), "4096 x 3328": (4096, 3328, 0.07)}  # rows, columns, mm
# The phantom has 14 bits. So many bits are dropped.
_DROPPED_BITS = 2


def content(bin_width: float, image_types: Mapping[str, Any] = IMAGE_TYPES) -> dict[str, Any]:
    """Settings in the structure of pyradiomics' parameter files."""
    return {
        "imageType": dict(image_types),
        "featureClass": {name: [] for name in FEATURE_CLASSES},
        "setting": {"binWidth": float(bin_width), "force2D": True, "force2Ddimension": 0},
    }


def make(folder: Path, rows: int, columns: int, spacing_mm: float, diameter_mm: float = 20.0) -> Path:
    """Draw a phantom with a lesion, four rings and a sixth region, and write it.

    The sixth region is the lesion with its first ring, about as large as the five are on average. Its lesion is in
    the middle of the breast, away from the image border as most are.
    """
    from HER2NomogramLib.mammogram import Mammogram
    from HER2NomogramLib.phantom import PhantomParameters, make_phantom
    from HER2NomogramLib.regions import make_regions

    phantom = make_phantom(
        1, PhantomParameters(rows=rows, columns=columns, spacing_mm=spacing_mm, diameter_mm=diameter_mm)
    )
    mammogram = Mammogram.from_array(phantom.pixels >> _DROPPED_BITS, phantom.spacing_mm, "phantom")
    regions = make_regions(phantom.lesion, mammogram.spacing_mm, MARGINS_MM, mammogram.breast)
    names = ["intratumoral", *(f"peritumoral_{margin:g}mm" for margin in MARGINS_MM), "combined_2.5mm"]
    return write(folder, mammogram.image, {name: regions[name].mask for name in names})


def write(folder: Path, image: sitk.Image, masks: Mapping[str, np.ndarray]) -> Path:
    """Write image and masks; :func:`read` gets them back."""
    folder.mkdir(parents=True)
    sitk.WriteImage(image, str(folder / "image.nrrd"))
    for name, mask in masks.items():
        np.save(folder / f"{name}.npy", mask)
    pixels = {name: int(mask.sum()) for name, mask in masks.items()}
    (folder / "regions.json").write_text(json.dumps(pixels), encoding="utf-8")
    return folder


def read(folder: Path, count: int = 5) -> tuple[sitk.Image, dict[str, np.ndarray]]:
    """Image and the first masks of a folder."""
    names = list(region_pixels(folder))[:count]
    return sitk.ReadImage(str(folder / "image.nrrd")), {name: _read_mask(folder / f"{name}.npy") for name in names}


def _read_mask(path: Path) -> np.ndarray:
    """A mask as `make_regions` gives it: what lies around the region is never written and takes no memory."""
    from HER2NomogramLib.regions import bounding_box

    whole = np.load(path, mmap_mode="r")
    box = bounding_box(whole)
    mask = np.zeros(whole.shape, dtype=bool)
    mask[box] = whole[box]
    return mask


def region_pixels(folder: Path) -> dict[str, int]:
    """Names of all regions of a folder, and how many pixels they have."""
    return json.loads((folder / "regions.json").read_text(encoding="utf-8"))


def mask_image(mask: np.ndarray, image: sitk.Image) -> sitk.Image:
    """A mask on the image's grid."""
    made = sitk.GetImageFromArray(mask.astype(np.uint8)[np.newaxis])
    made.CopyInformation(image)
    return made
