"""pyradiomics with a Laplacian of Gaussian on a single slice.

pyradiomics leaves LoG out where the image has one slice. So that all ways compute the same features, its function is
replaced by one that runs the same filter of ITK in the plane. As a script this is pyradiomics' command line.
"""

from __future__ import annotations

import sys

import SimpleITK as sitk
from radiomics import imageoperations


def install() -> None:
    """Let every extractor of this process compute LoG in the plane."""
    imageoperations.getLoGImage = _log_images


def _log_images(image, _mask, **arguments):
    for sigma in arguments["sigma"]:
        plane = sitk.LaplacianRecursiveGaussian(image[:, :, 0], sigma=float(sigma), normalizeAcrossScale=True)
        filtered = sitk.JoinSeries(plane)
        filtered.CopyInformation(image)
        yield filtered, f"log-sigma-{str(sigma).replace('.', '-')}-mm-3D", arguments


if __name__ == "__main__":
    from radiomics.scripts import parse_args

    install()
    sys.exit(parse_args())
