"""Extraction of five regions, side by side with pyradiomics' own extractor run once per region.

Prints the median time of each and their ratio, measured in turn on the same phantom, and the largest relative
difference of the values. LoG is left out, because pyradiomics does not compute it on a single slice.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time

import numpy as np
import SimpleITK as sitk
from radiomics.featureextractor import RadiomicsFeatureExtractor

from HER2NomogramLib.features import ExtractionSettings, default_settings_path, extract_regions
from HER2NomogramLib.mammogram import Mammogram
from HER2NomogramLib.phantom import PhantomParameters, make_phantom
from HER2NomogramLib.prediction import case_regions


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--spacing", type=float, default=0.1, help="pixel spacing of the phantom in mm")
    options = parser.parse_args()
    logging.getLogger("radiomics").setLevel(logging.ERROR)

    rows, columns = (round(size / options.spacing) for size in (128, 90))
    phantom = make_phantom(1, PhantomParameters(spacing_mm=options.spacing, rows=rows, columns=columns))
    mammogram = Mammogram.from_array(phantom.pixels, phantom.spacing_mm, "phantom")
    masks = {name: region.mask for name, region in case_regions(mammogram, phantom.lesion, (5.0, 10.0)).items()}
    content = ExtractionSettings.from_yaml(default_settings_path()).to_dict()
    del content["imageType"]["LoG"]
    settings = ExtractionSettings.from_dict(content)

    ours, theirs = [], []
    for _ in range(options.runs):
        start = time.perf_counter()
        found = extract_regions(mammogram.image, masks, settings)
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        reference = {name: one_by_one(mammogram.image, mask, content) for name, mask in masks.items()}
        theirs.append(time.perf_counter() - start)

    worst = max(
        abs(found[name][feature] - value) / max(abs(value), 1e-12)
        for name, values in reference.items()
        for feature, value in values.items()
    )
    print(f"{rows} x {columns} pixels, 5 regions, {len(found['intratumoral'])} features each, {options.runs} runs")
    print(f"pyradiomics, once per region: median {statistics.median(theirs):6.2f} s")
    print(f"HER2Nomogram, shared filters: median {statistics.median(ours):6.2f} s")
    ratios = [a / b for a, b in zip(theirs, ours)]
    print(f"ratio pair by pair: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"largest relative difference of a value: {worst:.1e}")


def one_by_one(image: sitk.Image, mask: np.ndarray, content: dict) -> dict[str, float]:
    """Features of one region by pyradiomics' own extractor."""
    label = sitk.GetImageFromArray(mask[np.newaxis].astype(np.uint8))
    label.CopyInformation(image)
    found = RadiomicsFeatureExtractor(content).execute(image, label)
    return {name: float(value) for name, value in found.items() if not name.startswith("diagnostics")}


if __name__ == "__main__":
    main()
