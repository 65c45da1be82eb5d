"""The fast engine against pyradiomics on real images: mammograms, slices of other organs, and the IBSI's phantom."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from engine_reference import assert_same_features

from HER2NomogramLib.features import FEATURE_CLASSES, IMAGE_TYPES, ExtractionSettings, extract_regions
from HER2NomogramLib.mammogram import Mammogram, read_mammogram
from HER2NomogramLib.regions import make_regions
from HER2NomogramLib.segmentation import read_segment

# NumPy's and scikit-image's remarks on what pyradiomics does to zeros and floats.
pytestmark = pytest.mark.filterwarnings("ignore")
SMALL = [
    f"{case}_L_{kind}_{view}" for case in ("P82", "P113", "P310") for kind in ("CM", "DM") for view in ("CC", "MLO")
]
# Bin widths suit 8 bits; the gradient per mm would have thousands of levels.
WIDTH = {"binWidth": 5.0, "gradientUseSpacing": False}
COUNT = {"binCount": 32}


def settings_of(sigma, setting, types=IMAGE_TYPES, **more):
    content = {"imageType": {name: {"sigma": sigma} if name == "LoG" else {} for name in types}}
    content["featureClass"] = {name: [] for name in FEATURE_CLASSES}
    return ExtractionSettings.from_dict({**content, "setting": {**setting, **more}})


def assert_as_pyradiomics(image, masks, settings_, threads=1):
    problems, expected_problems = [], []
    found = extract_regions(image, masks, settings_, "fast", threads, problems)
    expected = extract_regions(image, masks, settings_, "pyradiomics", 1, expected_problems)
    assert sorted(map(str, problems)) == sorted(map(str, expected_problems))
    assert not any("fast feature engine" in str(problem) for problem in problems)
    for region in masks:
        assert list(found[region]) == list(expected[region]) and len(expected[region]) >= 9 + 93
        assert_same_features(found[region], expected[region], region)


def regions_of(mammogram, lesion, margins):
    regions = make_regions(lesion, mammogram.spacing_mm, margins, mammogram.breast)
    return {region.name: region.mask for region in regions.values()}


def disk(shape, center, radius):
    rows, columns = np.indices(shape, sparse=True)
    return (rows - center[0]) ** 2 + (columns - center[1]) ** 2 <= radius**2


def small_mammogram(shared_data, name):
    """Of 512 x 512 pixels, with a lesion drawn by radiologists."""
    folder = shared_data / "cdd_cesm_512"
    mammogram = read_mammogram(folder / f"{name}_image.jpg", 0.3)
    lesion = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{name}_mask.jpg"))) > 127
    assert lesion.any()
    return mammogram, lesion.reshape(mammogram.pixels.shape)


@pytest.mark.parametrize("name", SMALL)
def test_small_mammograms(shared_data, name):
    mammogram, lesion = small_mammogram(shared_data, name)
    masks = regions_of(mammogram, lesion, [2.0])
    number = SMALL.index(name)
    few = ("Original", *IMAGE_TYPES[1 + number % 2 :: 2])  # half of the types, in turn
    settings_ = settings_of([1.0 + number % 3], WIDTH if number % 4 < 2 else COUNT, few)
    assert_as_pyradiomics(mammogram.image, {"lesion": lesion, "ring": list(masks.values())[-1]}, settings_)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_small_mammograms_with_everything(shared_data, name):
    mammogram, lesion = small_mammogram(shared_data, name)
    masks = regions_of(mammogram, lesion, [1.0, 3.0])
    for setting in (WIDTH, COUNT):
        assert_as_pyradiomics(mammogram.image, masks, settings_of([1.0, 2.5, 5.0], setting), 2)


def contoured(shared_data, name, contour):
    mammogram = read_mammogram(shared_data / "cdd_cesm_fullres" / f"{name}.jpg", 0.1)
    contours = shared_data / "cdd_cesm_annotations" / "segmentations_subset_dev.csv"
    return mammogram, read_segment(contours, mammogram, contour, f"{name}.jpg")


def drawn(shared_data, path, center, radius, spacing=None):
    mammogram = read_mammogram(shared_data / path, spacing)
    return mammogram, disk(mammogram.pixels.shape, center, radius)


# All with a lesion, drawn by hand where there is none.
OTHERS = {
    "P113": lambda data: contoured(data, "P113_L_CM_CC", "0"),
    "P82": lambda data: contoured(data, "P82_L_CM_CC", "2"),
    "benign": lambda data: drawn(data, "cdd_cesm_png512_benign_normal/P284_L_CM_MLO.png", (250, 150), 25, 0.3),
    "normal": lambda data: drawn(data, "cdd_cesm_png512_benign_normal/P251_L_CM_MLO.png", (250, 150), 25, 0.3),
    "DICOM of 12 bits": lambda data: drawn(data, "mg_dicom_fodicom/OutOfBoundsOverlay.dcm", (380, 800), 40),
    "crop of 16 bits": lambda data: drawn(data, "mg_dicom_cbis_crop/cbis_ddsm_crop_R_CC.dcm", (330, 200), 45, 0.05),
    "bars": lambda data: drawn(data, "mg_dicom_clunie_spacing/MG_Explicit_Little.dcm", (256, 256), 60),
    "left, 12 bits": lambda data: drawn(data, "mammo16_nyu/1_L_CC.png", (1650, 400), 70, 0.07),
    "right, 12 bits": lambda data: drawn(data, "mammo16_nyu/1_R_CC.png", (1650, 2150), 70, 0.07),
}


def cropped(mammogram, lesion, margin):
    rows, columns = np.nonzero(lesion)
    rows = slice(max(0, rows.min() - margin), rows.max() + margin)
    columns = slice(max(0, columns.min() - margin), columns.max() + margin)
    image = mammogram.image[int(columns.start) : int(columns.stop), int(rows.start) : int(rows.stop), :]
    return Mammogram(image, mammogram.spacing_source), lesion[rows, columns]


@pytest.mark.parametrize("name", OTHERS)
def test_other_mammograms_around_the_lesion(shared_data, name):
    mammogram, lesion = cropped(*OTHERS[name](shared_data), 60)
    assert np.ptp(mammogram.pixels[lesion]) > 20
    spacing = max(mammogram.spacing_mm)
    masks = {"lesion": lesion, **{f"m{k}": lesion & disk(lesion.shape, np.argwhere(lesion)[k], 20) for k in (0,)}}
    assert_as_pyradiomics(mammogram.image, masks, settings_of([4 * spacing, 25 * spacing], COUNT))


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_mammograms_whole(shared_data, name):
    mammogram, lesion = OTHERS[name](shared_data)
    # Wavelets of the largest take pyradiomics gigabytes.
    large = mammogram.pixels.size > 5_000_000
    types = [kind for kind in IMAGE_TYPES if kind != "Wavelet" or not large]
    masks = regions_of(mammogram, lesion, [2.0, 5.0])
    assert_as_pyradiomics(mammogram.image, masks, settings_of([1.0, 2.0, 3.0, 5.0], COUNT, types), 2)


def volume_of(shared_data, case):
    image = sitk.ReadImage(str(shared_data / "pyradiomics" / f"{case}_image.nrrd"))
    label = sitk.ReadImage(str(shared_data / "pyradiomics" / f"{case}_label.nrrd"))
    return sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(label) == 1, image.GetSpacing()


def slices_of(shared_data, case, every):
    """Slices of a volume with a region."""
    volume, label, spacing = volume_of(shared_data, case)
    for number in np.flatnonzero(label.any(axis=(1, 2)))[::every]:
        image = sitk.GetImageFromArray(volume[number][np.newaxis])
        image.SetSpacing((*spacing[:2], 1.0))
        yield number, image, label[number]


@pytest.mark.parametrize(("case", "every", "width"), [("brain1", 2, 25.0), ("breast1", 1, 25.0), ("breast1", 1, 5.0)])
def test_slices_of_volumes(shared_data, case, every, width):
    n_slices = 0
    for _, image, label in slices_of(shared_data, case, every):
        spacing = max(image.GetSpacing()[:2])
        settings_ = settings_of([round(2 * spacing, 2), round(4.5 * spacing, 2)], WIDTH, binWidth=width)
        assert_as_pyradiomics(image, {"label": label}, settings_)
        n_slices += 1
    assert n_slices >= 3


@pytest.mark.slow
@pytest.mark.parametrize("case", ["brain1", "breast1"])
@pytest.mark.parametrize("setting", [{"binWidth": 25}, {"binWidth": 5}, {"binCount": 64}])
def test_all_slices_of_volumes(shared_data, case, setting):
    for _, image, label in slices_of(shared_data, case, 1):
        settings_ = settings_of([2.0, 5.0], setting, gradientUseSpacing=False)
        assert_as_pyradiomics(image, {"label": label}, settings_)


@pytest.mark.parametrize("setting", [{"binWidth": 1.0}, {"binCount": 6}])
def test_slices_of_the_ibsi_phantom(shared_data, setting):
    """Four slices of 4 x 5 pixels; their values of reference are in test_features.py."""
    folder = shared_data / "ibsi_digital_phantom"
    volume, mask = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(folder / name)))
        for name in ("nifti_image_phantom.nii.gz", "nifti_mask_mask.nii.gz")
    )
    assert len(volume) == 4
    for pixels, inside in zip(volume, mask > 0):
        # pyradiomics takes a mask without background for an empty one.
        image = sitk.GetImageFromArray(np.pad(pixels, 1)[np.newaxis])
        image.SetSpacing((2.0, 2.0, 1.0))
        assert_as_pyradiomics(image, {"phantom": np.pad(inside, 1)}, settings_of([1.5, 3.0], setting))
