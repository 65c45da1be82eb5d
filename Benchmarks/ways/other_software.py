"""MIRP or nyxus on the original image, all classes that both they and pyradiomics have. Runs in their environment.

Answers as worker.py does. Their definitions differ in places (levels, averages, names), so values are not compared.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path

import numpy as np
from peak import own_peak_mb


def main() -> None:
    """Answer requests until the input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr
    import itk

    folder, bin_width = Path(sys.argv[2]), float(sys.argv[3])
    image = itk.array_from_image(itk.imread(str(folder / "image.nrrd")))[0]
    names = list(json.loads((folder / "regions.json").read_text(encoding="utf-8")))[:5]
    masks = [np.load(folder / f"{name}.npy") for name in names]
    run = {"mirp": mirp, "nyxus": nyxus}[sys.argv[1]](image, masks, bin_width)
    for _ in sys.stdin:
        start = time.perf_counter()
        count = run()
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "peak_mb": own_peak_mb(), "count": count}), file=answers, flush=True)


def mirp(image, masks, bin_width):
    """MIRP with bins of this width, features slice by slice, averaged over directions."""
    logging.disable(logging.INFO)
    from mirp import extract_features

    def run() -> int:
        return sum(
            extract_features(
                image=image[np.newaxis].astype(float), mask=mask[np.newaxis].astype(np.uint8), by_slice=True,
                resegmentation_intensity_range=[0.0, 1.0 + float(image.max())],
                base_discretisation_method="fixed_bin_size", base_discretisation_bin_width=bin_width,
                base_feature_families=["statistics", "cm", "rlm", "szm", "ngtdm", "ngldm"],
                glcm_spatial_method="2d_average", glrlm_spatial_method="2d_average",
            )[0].select_dtypes("number").shape[1]
            for mask in masks
        )  # fmt: skip

    return run


def nyxus(image, masks, bin_width):
    """Nyxus with as many gray levels as the bin width makes of the first region."""
    from nyxus import Nyxus

    levels = max(2, round(float(np.ptp(image[masks[0]])) / bin_width))
    classes = ["*ALL_INTENSITY*", "*ALL_GLCM*", "*ALL_GLRLM*", "*ALL_GLSZM*", "*ALL_GLDM*", "*ALL_NGTDM*"]
    software = Nyxus(classes, coarse_gray_depth=levels, n_feature_calc_threads=2)
    pixels = image.astype(np.uint32)

    def run() -> int:
        return sum(software.featurize(pixels, mask.astype(np.uint32)).shape[1] - 4 for mask in masks)

    return run


if __name__ == "__main__":
    main()
