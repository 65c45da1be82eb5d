"""Features against pyradiomics' own extractor, its published values, the IBSI's, and ITK's 2-D filters."""

from __future__ import annotations

import ast
import csv
import functools
import logging
import math
import re
import sys
import types

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.features import (
    ENGINES,
    FEATURE_CLASSES,
    SETTINGS,
    ExtractionSettings,
    default_settings_path,
    extract_regions,
    feature_row,
    filtered_images,
    laplacian_of_gaussian,
    prepare_engine,
)
from HER2NomogramLib.mammogram import Mammogram, read_mammogram
from HER2NomogramLib.regions import make_regions
from HER2NomogramLib.segmentation import read_segment

radiomics = pytest.importorskip("radiomics", reason="pyradiomics is not installed")
from radiomics import featureextractor  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # of pykwalify
ALL_CLASSES = {name: [] for name in FEATURE_CLASSES}
PLANE = {"force2D": True, "force2Ddimension": 0}


@pytest.fixture(autouse=True)
def quiet():
    """pyradiomics' own extractor, which most tests here compare with, is talkative."""
    logger = logging.getLogger("radiomics")
    before = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(before)


def slice_image(pixels, spacing=(0.2, 0.2, 1.0)):
    image = sitk.GetImageFromArray(np.ascontiguousarray(pixels)[np.newaxis])
    image.SetSpacing([float(step) for step in (*spacing, 1.0)[:3]])
    return image


def content_of(image_types=None, classes=None, **setting):
    """A parameter file for pyradiomics."""
    return {
        "imageType": image_types or {"Original": {}},
        "featureClass": classes or ALL_CLASSES,
        "setting": {**setting, **PLANE},
    }


def default_content(log=False):
    content = ExtractionSettings.from_yaml(default_settings_path()).to_dict()
    image_types = {name: custom for name, custom in content["imageType"].items() if log or name != "LoG"}
    return {**content, "imageType": image_types}


def by_pyradiomics(image, mask, content):
    """All features by pyradiomics' extractor, which knows nothing of regions and shared filters."""
    mask_image = sitk.GetImageFromArray(mask.astype(np.uint8).reshape(sitk.GetArrayViewFromImage(image).shape))
    mask_image.CopyInformation(image)
    found = featureextractor.RadiomicsFeatureExtractor(content).execute(image, mask_image)
    return {name: float(value) for name, value in found.items() if not name.startswith("diagnostics")}


def assert_same(found, expected, relative=1e-9):
    assert set(found) == set(expected)
    for name, value in expected.items():
        if math.isnan(value):
            assert math.isnan(found[name]), name
        else:
            assert abs(found[name] - value) <= relative * abs(value), (name, found[name], value)


def assert_as_pyradiomics(image, masks, content):
    settings_ = ExtractionSettings.from_dict(content)
    # Settings that the fast engine does not know are left to pyradiomics.
    found = {
        engine: extract_regions(image, masks, settings_, prepare_engine(settings_, engine)[0]) for engine in ENGINES
    }
    assert all(list(of_engine) == list(masks) for of_engine in found.values())
    for name, mask in masks.items():
        expected = by_pyradiomics(image, mask, content)
        assert expected
        for of_engine in found.values():
            assert_same(of_engine[name], expected)


def smooth_noise(shape, seed):
    noise = sitk.GetImageFromArray(np.random.default_rng(seed).normal(size=shape))
    smooth = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(noise, 2.0))
    return smooth / smooth.std() + 0.3 * np.random.default_rng(seed + 1).normal(size=shape)


def disk(shape, center, radius):
    rows, columns = np.indices(shape)
    return (rows - center[0]) ** 2 + (columns - center[1]) ** 2 <= radius**2


PHANTOMS = {
    "8-bit": ((64, 48), (0.2, 0.2), lambda noise: np.clip(noise * 40 + 120, 0, 255).astype(np.uint8)),
    "16-bit, odd size": ((61, 75), (0.1, 0.15), lambda noise: (noise * 900 + 12000).astype(np.uint16)),
    "signed, negative": ((50, 56), (0.3, 0.3), lambda noise: (noise * 300 - 500).astype(np.int16)),
    "float": ((72, 55), (0.0941, 0.0941), lambda noise: (noise * 2.7).astype(np.float32)),
    "double, negative": ((49, 49), (0.25, 0.2), lambda noise: noise * 50 - 1000),
}


def phantom(name="16-bit, odd size"):
    """Image and regions with rings of about six and ten pixels."""
    shape, spacing, convert = PHANTOMS[name]
    lesion = disk(shape, (shape[0] // 2, shape[1] // 2), 8) & ~disk(shape, (shape[0] // 2 - 5, shape[1] // 2), 3)
    pixels = convert(smooth_noise(shape, len(name)) + lesion)
    regions = make_regions(lesion, spacing, [6 * spacing[0], 10 * spacing[0]])
    return slice_image(pixels, spacing), {region.name: region.mask for region in regions.values()}


# --- The same as pyradiomics' extractor -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PHANTOMS)
def test_default_settings_as_pyradiomics(name):
    image, masks = phantom(name)
    assert len(masks) == 5
    assert_as_pyradiomics(image, masks, default_content())


OTHER_SETTINGS = {
    "bin width": content_of(binWidth=100),
    "pyradiomics' default bin width": content_of(classes={name: [] for name in FEATURE_CLASSES if name != "glcm"}),
    "two distances, not symmetrical": content_of(binCount=16, distances=[1, 3], symmetricalGLCM=False),
    "weights, dependence, shift": content_of(binCount=16, weightingNorm="euclidean", gldm_a=1, voxelArrayShift=300),
    "normalized": content_of({"Original": {}, "Wavelet": {}}, normalize=True, normalizeScale=100, binWidth=20),
    "without outliers": content_of(normalize=True, normalizeScale=100, removeOutliers=2, binWidth=20),
    "resampled": content_of({"Original": {}, "Wavelet": {}}, resampledPixelSpacing=[0.17, 0.17, 0], binCount=16),
    "resampled linearly": content_of(
        resampledPixelSpacing=[0.05, 0.3, 2], interpolator="sitkLinear", padDistance=2, normalize=True, binWidth=0.2
    ),
    "cropped first": content_of(
        {"Original": {}, "Wavelet": {}, "Square": {}}, preCrop=True, padDistance=3, binCount=16
    ),
    "resegmented": content_of(resegmentRange=[11000, 13500], binWidth=100),
    "resegmented with shape": content_of(resegmentRange=[11000, 13500], resegmentShape=True, binWidth=100),
    "resegmented by sigma": content_of(resegmentRange=[-1.5, 1.5], resegmentMode="sigma", binWidth=100),
    "resegmented, relative": content_of(
        resegmentRange=[0.8], resegmentMode="relative", resegmentShape=True, preCrop=True, binWidth=100
    ),
    "settings of one image type": content_of(
        {"Original": {"binWidth": 200}, "Wavelet": {"binCount": 8, "wavelet": "haar"}, "Square": {}}, binWidth=150
    ),
    "two wavelet levels": content_of({"Wavelet": {"level": 2, "start_level": 1, "wavelet": "db2"}}, binCount=16),
    "functions of the gray level": content_of(
        {name: {} for name in ("Square", "SquareRoot", "Logarithm", "Exponential", "Gradient")}, binCount=16
    ),
    "gradient without spacing": content_of({"Gradient": {"gradientUseSpacing": False}}, binCount=16),
    "some features": content_of(
        classes={"glcm": ["Imc1", "Contrast"], "shape2D": ["Sphericity"], "firstorder": ["Energy"]}, binCount=16
    ),
    "no shape": content_of(classes={"ngtdm": [], "gldm": []}, binCount=16),
    "smallest region": content_of(minimumROISize=10, minimumROIDimensions=1, additionalInfo=False, binCount=16),
}


@pytest.mark.parametrize("name", OTHER_SETTINGS)
def test_other_settings_as_pyradiomics(name):
    image, masks = phantom()
    masks = {region: masks[region] for region in list(masks)[::2]}
    assert_as_pyradiomics(image, masks, OTHER_SETTINGS[name])


def test_functions_of_negative_gray_levels_as_pyradiomics():
    image, masks = phantom("double, negative")
    types = {name: {} for name in ("Square", "SquareRoot", "Logarithm", "Exponential", "Gradient", "Wavelet")}
    masks = {"intratumoral": masks["intratumoral"]}
    assert_as_pyradiomics(image, masks, content_of(types, binCount=16))


@pytest.mark.parametrize(
    "custom", [{}, {"lbp2DRadius": 2, "lbp2DSamples": 12, "lbp2DMethod": "default", "binWidth": 3.0}]
)
def test_local_binary_patterns_as_pyradiomics(custom):
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    image, masks = phantom("8-bit")
    masks = {"intratumoral": masks["intratumoral"]}
    assert_as_pyradiomics(image, masks, content_of({"Original": {"binWidth": 10.0}, "LBP2D": custom}, binWidth=1.0))


@settings(max_examples=8, deadline=None)
@given(
    st.tuples(st.integers(8, 30), st.integers(8, 30)),
    st.tuples(st.floats(0.05, 1.0), st.floats(0.05, 1.0)),
    st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64]),
    st.integers(0, 2**32 - 1),
    st.floats(0.15, 0.9),
)
def test_random_images_and_scattered_masks_as_pyradiomics(shape, spacing, dtype, seed, share):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 250, shape).astype(dtype) - (0 if np.issubdtype(dtype, np.unsignedinteger) else 90)
    masks = {name: rng.random(shape) < share for name in ("one", "two")}
    for mask in masks.values():
        mask[2:4, 3:5] = True
        mask[-1, -1] = False  # pyradiomics takes a mask without background for an empty one
    content = content_of({"Original": {}, "Wavelet": {}}, binWidth=20.0)
    assert_as_pyradiomics(slice_image(pixels, spacing), masks, content)


@pytest.mark.parametrize("setting", [{"binWidth": 25}, {"binWidth": 300}, {}, {"binCount": 32}])
def test_pixel_type_does_not_matter(setting):
    # pyradiomics itself goes wrong here with NumPy 2 and a whole number as bin width: in 8 bits 255 + 2 * 25 is 49.
    types = {"Original": {}, "LoG": {"sigma": [1.0]}, "Gradient": {}, "Square": setting}
    settings_ = ExtractionSettings.from_dict(content_of(types, **setting))
    noise = np.random.default_rng(3).integers(0, 156, (40, 50))
    pixels = (disk((40, 50), (20, 25), 15) * 100 + noise).astype(np.uint8)
    mask = disk((40, 50), (20, 22), 17)
    assert pixels[mask].max() == 255
    expected = extract_regions(slice_image(pixels.astype(np.int32)), {"lesion": mask}, settings_)["lesion"]
    assert_same(extract_regions(slice_image(pixels), {"lesion": mask}, settings_)["lesion"], expected)
    shifted = slice_image(pixels.astype(np.uint16) + 65280)
    expected = extract_regions(slice_image(pixels + np.float32(65280)), {"lesion": mask}, settings_)["lesion"]
    assert_same(extract_regions(shifted, {"lesion": mask}, settings_)["lesion"], expected)


def crop(mammogram, rows, columns):
    return Mammogram(mammogram.image[columns, rows, :], mammogram.spacing_source)


def contoured(shared_data, name, contour):
    mammogram = read_mammogram(shared_data / "cdd_cesm_fullres" / name, 0.1)
    contours = shared_data / "cdd_cesm_annotations" / "segmentations_subset_dev.csv"
    return mammogram, read_segment(contours, mammogram, contour, name)


def drawn(mammogram, center, radius):
    assert mammogram.breast[center]
    return mammogram, disk(mammogram.pixels.shape, center, radius)


REAL_IMAGES = {
    "CDD-CESM P113": lambda data: contoured(data, "P113_L_CM_CC.jpg", "0"),
    "CDD-CESM P82": lambda data: contoured(data, "P82_L_CM_CC.jpg", "2"),
    "12 bits of NYU": lambda data: drawn(
        crop(read_mammogram(data / "mammo16_nyu" / "1_L_CC.png", 0.07), np.s_[1300:2000], np.s_[0:800]), (350, 400), 45
    ),
    "DICOM": lambda data: drawn(read_mammogram(data / "mg_dicom_fodicom" / "OutOfBoundsOverlay.dcm"), (380, 800), 40),
}


@pytest.mark.parametrize("name", REAL_IMAGES)
def test_real_mammograms_as_pyradiomics(shared_data, name):
    mammogram, lesion = REAL_IMAGES[name](shared_data)
    margins = (2.0, 5.0) if name == "CDD-CESM P113" else (3.0,)
    regions = make_regions(lesion, mammogram.spacing_mm, margins, mammogram.breast)
    # The largest image has fewer filters, because they take long on it.
    content = content_of({"Original": {}, "Square": {}}, binCount=32) if name == "CDD-CESM P82" else default_content()
    row = feature_row(mammogram, regions, ExtractionSettings.from_dict(content))
    for region in regions.values():
        prefix = f"image__{region.name}__"
        found = {column[len(prefix) :]: value for column, value in row.items() if column.startswith(prefix)}
        assert found.pop("diagnostics_VoxelNum") == region.mask.sum()
        assert found.pop("diagnostics_KeptFraction") == region.kept_fraction
        assert_same(found, by_pyradiomics(mammogram.image, region.mask, content))


def pyradiomics_case(shared_data, case):
    """Volume, label and spacing of one of pyradiomics' own test cases."""
    image = sitk.ReadImage(str(shared_data / "pyradiomics" / f"{case}_image.nrrd"))
    label = sitk.ReadImage(str(shared_data / "pyradiomics" / f"{case}_label.nrrd"))
    return sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(label) == 1, image.GetSpacing()


@pytest.mark.parametrize("case", ["brain1", "breast1"])
def test_single_slices_of_volumes_as_pyradiomics(shared_data, case):
    volume, label, spacing = pyradiomics_case(shared_data, case)
    for number in np.flatnonzero(label.any(axis=(1, 2))):
        image = slice_image(volume[number], spacing)
        content = content_of({"Original": {}, "Wavelet": {}}, binWidth=25)
        assert_as_pyradiomics(image, {"label": label[number]}, content)


# --- LoG in the image plane -------------------------------------------------------------------------------------------


def by_feature_classes(image, mask, name, setting):
    """pyradiomics' feature classes, one by one, on a filtered image cropped to the mask."""
    rows, columns = np.nonzero(mask)
    box = np.s_[int(columns.min()) : int(columns.max()) + 1, int(rows.min()) : int(rows.max()) + 1, :]
    mask_image = sitk.GetImageFromArray(mask.astype(np.uint32)[np.newaxis])
    mask_image.CopyInformation(image)
    values = {}
    for class_name in FEATURE_CLASSES[1:]:
        computed = radiomics.getFeatureClasses()[class_name](image[box], mask_image[box], **setting, **PLANE)
        values.update({f"{name}_{class_name}_{key}": float(value) for key, value in computed.execute().items()})
    return values


@pytest.mark.parametrize("name", PHANTOMS)
def test_log_is_itks_two_dimensional_filter(name):
    image, masks = phantom(name)
    pixels = sitk.GetArrayFromImage(image)[0]
    log = {"sigma": [1, 1.5]}
    found = extract_regions(image, masks, ExtractionSettings.from_dict(content_of({"LoG": log}, binCount=16)))
    for region, mask in masks.items():
        expected = {}
        for sigma in log["sigma"]:
            plane = sitk.GetImageFromArray(pixels)
            plane.SetSpacing(image.GetSpacing()[:2])
            filtered = sitk.LaplacianRecursiveGaussian(plane, normalizeAcrossScale=True, sigma=sigma)
            filtered = slice_image(sitk.GetArrayFromImage(filtered), image.GetSpacing())
            name = f"log-sigma-{str(sigma).replace('.', '-')}-mm-3D"
            expected.update(by_feature_classes(filtered, mask, name, {"binCount": 16}))
        textures = {key: value for key, value in found[region].items() if "shape2D" not in key}
        assert len(textures) == 2 * 93
        assert_same(textures, expected)


@pytest.mark.parametrize(
    "setting",
    [
        {"binCount": 16},
        {"binWidth": 40, "preCrop": True},
        {"binWidth": 40, "resampledPixelSpacing": [0.15, 0.15, 0]},
    ],
)
def test_log_is_what_pyradiomics_makes_of_a_stack_of_the_same_slices(setting):
    # A stack that does not change from slice to slice has no second derivative across them.
    image, masks = phantom()
    stack = sitk.GetImageFromArray(np.repeat(sitk.GetArrayFromImage(image), 21, axis=0))
    stack.SetSpacing(image.GetSpacing())
    content = content_of({"LoG": {"sigma": [1.0, 2.5], "binWidth": 30}, "Original": {}}, **setting)
    masks = {name: masks[name] for name in list(masks)[:2]}
    found = extract_regions(image, masks, ExtractionSettings.from_dict(content))
    for name, mask in masks.items():
        middle = np.zeros((21, *mask.shape), bool)
        middle[10] = mask
        expected = by_pyradiomics(stack, middle, content)
        assert any(feature.startswith("log-sigma-2-5-mm-3D_glcm") for feature in expected)
        assert_same(found[name], expected, relative=1e-6)


@pytest.mark.parametrize("spacing", [(0.1, 0.1), (0.1, 0.2)])
@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_log_of_a_gaussian_spot_as_calculated(sigma, spacing):
    width = 1.5
    rows, columns = np.indices((151, 221))
    squared = ((rows - 75) * spacing[1]) ** 2 + ((columns - 110) * spacing[0]) ** 2
    image = slice_image(100 * np.exp(-squared / (2 * width**2)), spacing)
    filtered = sitk.GetArrayFromImage(laplacian_of_gaussian(image, sigma))[0]
    total = width**2 + sigma**2
    expected = 100 * sigma**2 * width**2 / total**2 * (squared / total - 2) * np.exp(-squared / (2 * total))
    inside = np.s_[30:-30, 30:-30]
    assert np.abs(filtered - expected)[inside].max() < 0.01 * np.abs(expected).max()


def test_log_keeps_grid_and_does_not_depend_on_directions():
    image, masks = phantom()
    turned = sitk.Image(image)
    turned.SetDirection([0.0, 1.0, 0.0, 0.0, 0.0, -1.0, -1.0, 0.0, 0.0])
    turned.SetOrigin([5.0, -60.0, 7.0])
    filtered = laplacian_of_gaussian(turned, 1.0)
    assert filtered.GetDirection() == turned.GetDirection() and filtered.GetOrigin() == turned.GetOrigin()
    settings_ = ExtractionSettings.from_dict(default_content(log=True))
    assert extract_regions(turned, masks, settings_) == extract_regions(image, masks, settings_)


def test_log_too_wide_for_the_image_is_refused():
    image, masks = phantom()  # 75 x 61 pixels of 0.1 x 0.15 mm
    for sigma, fits in ((7.4, True), (7.45, False)):
        settings_ = ExtractionSettings.from_dict(content_of({"LoG": {"sigma": [sigma]}}, {"firstorder": ["Mean"]}))
        if fits:
            found = extract_regions(image, masks, settings_)["intratumoral"]
            assert list(found) == ["log-sigma-7-4-mm-3D_firstorder_Mean"]
        else:
            with pytest.raises(InputError, match=r"too small for a LoG of 7\.45 mm"):
                extract_regions(image, masks, settings_)


# --- Values published with pyradiomics --------------------------------------------------------------------------------


def side_by_side(volume):
    """All slices of a volume in one plane. What looks at a pixel's neighbors in the slice alone sees no difference, as
    long as the mask stays away from the left and right edges of the slices."""
    return np.concatenate(list(volume), axis=1)


def published(shared_data, class_name, column):
    """Values and settings in one column of a baseline file."""
    with (shared_data / "pyradiomics" / "baseline" / f"baseline_{class_name}.csv").open(newline="") as file:
        rows = {row["featureName"]: row[column] for row in csv.DictReader(file)}
    values = {name: float(value) for name, value in rows.items() if name.startswith("original_")}
    setting = ast.literal_eval(rows["diagnostics_Configuration_Settings"])
    kept = {name: setting[name] for name in SETTINGS & set(setting) if setting[name] is not None and name not in PLANE}
    return values, setting["force2D"], kept


@pytest.mark.parametrize("case", ["brain1", "breast1"])
@pytest.mark.parametrize("class_name", ["glcm", "glrlm", "glszm", "gldm", "ngtdm"])
def test_published_textures_in_the_plane(shared_data, case, class_name):
    volume, label, spacing = pyradiomics_case(shared_data, case)
    expected, plane, setting = published(shared_data, class_name, f"{case}_2d")
    assert plane
    content = {"featureClass": {class_name: []}, "setting": setting}
    image = slice_image(side_by_side(volume), spacing)
    found = extract_regions(image, {"label": side_by_side(label)}, ExtractionSettings.from_dict(content))
    assert_same(found["label"], expected)


@pytest.mark.parametrize("case", ["brain1", "breast1"])
@pytest.mark.parametrize("variant", ["", "_normalization", "_resegmentation"])
def test_published_first_order_values(shared_data, case, variant):
    # They do not depend on where a pixel lies, so that those of a volume are those of its slices side by side.
    volume, label, spacing = pyradiomics_case(shared_data, case)
    expected, _, setting = published(shared_data, "firstorder", case + variant)
    image = slice_image(side_by_side(volume), spacing)
    content = {"featureClass": {"firstorder": []}, "setting": setting}
    found = extract_regions(image, {"label": side_by_side(label)}, ExtractionSettings.from_dict(content))
    assert_same(found["label"], expected)


@pytest.mark.parametrize(("case", "number"), [("brain1", 16), ("breast1", 9)])
def test_published_shape_of_one_slice(shared_data, case, number):
    volume, label, spacing = pyradiomics_case(shared_data, case)
    expected, plane, setting = published(shared_data, "shape2D", f"{case}_shape2D")
    assert plane
    content = {"featureClass": {"shape2D": []}, "setting": setting}
    image = slice_image(volume[number], spacing)
    found = extract_regions(image, {"label": label[number]}, ExtractionSettings.from_dict(content))
    assert_same(found["label"], expected)


# --- Reference values of the IBSI -------------------------------------------------------------------------------------

# pyradiomics' name: the IBSI's tag without aggregation. None: the IBSI defines no such feature.
IBSI_TAGS = {
    "firstorder": {
        "10Percentile": "stat_p10",
        "90Percentile": "stat_p90",
        "Energy": "stat_energy",
        "Entropy": "ih_entropy",
        "InterquartileRange": "stat_iqr",
        "Kurtosis": "stat_kurt",  # the IBSI's is the excess over 3
        "Maximum": "stat_max",
        "MeanAbsoluteDeviation": "stat_mad",
        "Mean": "stat_mean",
        "Median": "stat_median",
        "Minimum": "stat_min",
        "Range": "stat_range",
        "RobustMeanAbsoluteDeviation": "stat_rmad",
        "RootMeanSquared": "stat_rms",
        "Skewness": "stat_skew",
        "TotalEnergy": None,
        "Uniformity": "ih_uniformity",
        "Variance": "stat_var",
    },
    "glcm": {
        "Autocorrelation": "cm_auto_corr",
        "ClusterProminence": "cm_clust_prom",
        "ClusterShade": "cm_clust_shade",
        "ClusterTendency": "cm_clust_tend",
        "Contrast": "cm_contrast",
        "Correlation": "cm_corr",
        "DifferenceAverage": "cm_diff_avg",
        "DifferenceEntropy": "cm_diff_entr",
        "DifferenceVariance": "cm_diff_var",
        "Id": "cm_inv_diff",
        "Idm": "cm_inv_diff_mom",
        "Idmn": "cm_inv_diff_mom_norm",
        "Idn": "cm_inv_diff_norm",
        "Imc1": "cm_info_corr1",
        "Imc2": "cm_info_corr2",
        "InverseVariance": "cm_inv_var",
        "JointAverage": "cm_joint_avg",
        "JointEnergy": "cm_energy",
        "JointEntropy": "cm_joint_entr",
        "MCC": None,
        "MaximumProbability": "cm_joint_max",
        "SumAverage": "cm_sum_avg",
        "SumEntropy": "cm_sum_entr",
        "SumSquares": "cm_joint_var",
    },
    "glrlm": {
        "GrayLevelNonUniformity": "rlm_glnu",
        "GrayLevelNonUniformityNormalized": "rlm_glnu_norm",
        "GrayLevelVariance": "rlm_gl_var",
        "HighGrayLevelRunEmphasis": "rlm_hgre",
        "LongRunEmphasis": "rlm_lre",
        "LongRunHighGrayLevelEmphasis": "rlm_lrhge",
        "LongRunLowGrayLevelEmphasis": "rlm_lrlge",
        "LowGrayLevelRunEmphasis": "rlm_lgre",
        "RunEntropy": "rlm_rl_entr",
        "RunLengthNonUniformity": "rlm_rlnu",
        "RunLengthNonUniformityNormalized": "rlm_rlnu_norm",
        "RunPercentage": "rlm_r_perc",
        "RunVariance": "rlm_rl_var",
        "ShortRunEmphasis": "rlm_sre",
        "ShortRunHighGrayLevelEmphasis": "rlm_srhge",
        "ShortRunLowGrayLevelEmphasis": "rlm_srlge",
    },
    "glszm": {
        "GrayLevelNonUniformity": "szm_glnu",
        "GrayLevelNonUniformityNormalized": "szm_glnu_norm",
        "GrayLevelVariance": "szm_gl_var",
        "HighGrayLevelZoneEmphasis": "szm_hgze",
        "LargeAreaEmphasis": "szm_lze",
        "LargeAreaHighGrayLevelEmphasis": "szm_lzhge",
        "LargeAreaLowGrayLevelEmphasis": "szm_lzlge",
        "LowGrayLevelZoneEmphasis": "szm_lgze",
        "SizeZoneNonUniformity": "szm_zsnu",
        "SizeZoneNonUniformityNormalized": "szm_zsnu_norm",
        "SmallAreaEmphasis": "szm_sze",
        "SmallAreaHighGrayLevelEmphasis": "szm_szhge",
        "SmallAreaLowGrayLevelEmphasis": "szm_szlge",
        "ZoneEntropy": "szm_zs_entr",
        "ZonePercentage": "szm_z_perc",
        "ZoneVariance": "szm_zs_var",
    },
    "gldm": {
        "DependenceEntropy": "ngl_dc_entr",
        "DependenceNonUniformity": "ngl_dcnu",
        "DependenceNonUniformityNormalized": "ngl_dcnu_norm",
        "DependenceVariance": "ngl_dc_var",
        "GrayLevelNonUniformity": "ngl_glnu",
        "GrayLevelVariance": "ngl_gl_var",
        "HighGrayLevelEmphasis": "ngl_hgce",
        "LargeDependenceEmphasis": "ngl_hde",
        "LargeDependenceHighGrayLevelEmphasis": "ngl_hdhge",
        "LargeDependenceLowGrayLevelEmphasis": "ngl_hdlge",
        "LowGrayLevelEmphasis": "ngl_lgce",
        "SmallDependenceEmphasis": "ngl_lde",
        "SmallDependenceHighGrayLevelEmphasis": "ngl_ldhge",
        "SmallDependenceLowGrayLevelEmphasis": "ngl_ldlge",
    },
    "ngtdm": {
        "Busyness": "ngt_busyness",
        "Coarseness": "ngt_coarseness",
        "Complexity": "ngt_complexity",
        "Contrast": "ngt_contrast",
        "Strength": "ngt_strength",
    },
}
# How the IBSI calls what is averaged over slices, and what is put together from all slices before.
BY_SLICE = {"glcm": "_2D_avg", "glrlm": "_2D_avg", "glszm": "_2D", "gldm": "_2D", "ngtdm": "_2D"}
MERGED = {"firstorder": "", **{name: kind.replace("2D", "2_5D") for name, kind in BY_SLICE.items()}}
IBSI_SETTINGS = ExtractionSettings.from_dict(
    content_of(classes={name: [] for name in IBSI_TAGS}, binWidth=1, minimumROIDimensions=1)
)


@pytest.fixture(scope="module")
def ibsi(shared_data):
    """Slices of the digital phantom with a frame around the region, their masks, and reference values by tag."""
    folder = shared_data / "ibsi_digital_phantom"
    volume, mask = (
        np.pad(sitk.GetArrayFromImage(sitk.ReadImage(str(folder / name))), ((0, 0), (1, 1), (1, 1)))
        for name in ("nifti_image_phantom.nii.gz", "nifti_mask_mask.nii.gz")
    )
    table = shared_data / "ibsi_reference_values" / "ibsi_1_dig_phantom.csv"
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter=";") if row["reference value"]]
    return volume, mask > 0, {row["tag"]: (float(row["reference value"]), float(row["tolerance"])) for row in rows}


def ibsi_features(pixels, mask):
    return extract_regions(slice_image(pixels, (2.0, 2.0, 2.0)), {"phantom": mask}, IBSI_SETTINGS)["phantom"]


def wrong_ibsi_values(found, reference, aggregations):
    """Features that are not the IBSI's within its tolerance, which is never less than its three printed digits."""
    wrong = {}
    for class_name, aggregation in aggregations.items():
        for name, tag in IBSI_TAGS[class_name].items():
            if tag is None:
                continue
            expected, tolerance = reference[tag + aggregation]
            digits = 0.5 * 10.0 ** (math.floor(math.log10(abs(expected))) - 2)
            value = found[f"original_{class_name}_{name}"] - (3.0 if name == "Kurtosis" else 0.0)
            if abs(value - expected) > max(tolerance, digits) * (1 + 1e-9):
                wrong[f"{class_name}_{name}"] = (value, expected)
    return wrong


def test_ibsi_values_by_slice(ibsi):
    volume, mask, reference = ibsi
    slices = [ibsi_features(*one) for one in zip(volume, mask)]
    assert len(slices) == 4
    average = {name: np.mean([values[name] for values in slices]) for name in slices[0]}
    assert wrong_ibsi_values(average, reference, BY_SLICE) == {}


def test_ibsi_values_of_slices_put_together(ibsi):
    volume, mask, reference = ibsi
    assert wrong_ibsi_values(ibsi_features(side_by_side(volume), side_by_side(mask)), reference, MERGED) == {}


def test_every_feature_is_compared_with_the_ibsi_or_known_not_to_be_in_it(ibsi):
    volume, mask, reference = ibsi
    named = {f"original_{class_name}_{name}" for class_name, tags in IBSI_TAGS.items() for name in tags}
    assert set(ibsi_features(volume[0], mask[0])) == named
    assert set(IBSI_TAGS) | {"shape2D"} == set(FEATURE_CLASSES)  # the IBSI has shapes of volumes only
    assert [name for tags in IBSI_TAGS.values() for name, tag in tags.items() if tag is None] == ["TotalEnergy", "MCC"]


# --- Settings ---------------------------------------------------------------------------------------------------------


def test_default_settings():
    settings_ = ExtractionSettings.from_yaml(default_settings_path())
    assert settings_.image_types == {"Original": {}, "LoG": {"sigma": [1.0, 2.0, 3.0]}, "Wavelet": {"wavelet": "coif1"}}
    assert settings_.feature_classes == ALL_CLASSES
    assert settings_.setting == {"binCount": 32, **PLANE}
    assert settings_.shares_filters


def test_default_settings_are_a_parameter_file_of_pyradiomics():
    extractor = featureextractor.RadiomicsFeatureExtractor(str(default_settings_path()))
    ours = featureextractor.RadiomicsFeatureExtractor(ExtractionSettings.from_yaml(default_settings_path()).to_dict())
    assert extractor.settings == ours.settings
    assert list(extractor.enabledImagetypes) == list(ours.enabledImagetypes)
    assert list(extractor.enabledFeatures) == list(ours.enabledFeatures)


@pytest.mark.parametrize("name", OTHER_SETTINGS)
def test_settings_survive_the_way_to_a_dict_and_back(name):
    made = ExtractionSettings.from_dict(OTHER_SETTINGS[name])
    assert ExtractionSettings.from_dict(made.to_dict()) == made
    assert made.to_dict()["setting"] == OTHER_SETTINGS[name]["setting"]


def test_settings_survive_the_way_to_a_file_and_back(tmp_path):
    from ruamel.yaml import YAML

    made = ExtractionSettings.from_dict(default_content(log=True))
    path = tmp_path / "settings.yaml"
    with path.open("w") as file:
        YAML(typ="safe", pure=True).dump(made.to_dict(), file)
    assert ExtractionSettings.from_yaml(path) == made


def test_what_is_left_out_is_as_in_pyradiomics():
    for content in ({}, {"imageType": None, "featureClass": {}, "setting": None}):
        made = ExtractionSettings.from_dict(content)
        assert made.image_types == {"Original": {}}
        assert made.feature_classes == ALL_CLASSES
        assert made.setting == PLANE


def test_nulls_that_mean_off_are_accepted():
    names = ("binCount", "resampledPixelSpacing", "resegmentRange", "removeOutliers", "minimumROISize", "weightingNorm")
    image, masks = phantom()
    content = content_of(classes={"firstorder": []}, **dict.fromkeys(names))
    assert_as_pyradiomics(image, masks, content)


# YAML, and what the message must name
WRONG_YAML = {
    "unknown section": ("imageTypes: {Original: {}}", "section 'imageTypes'"),
    "section with a number for a name": ("1: 2\nfoo: 3", "section '1'"),
    "voxel settings": ("voxelSetting: {kernelRadius: 1}", "section 'voxelSetting'"),
    "a list": ("- Original", "imageType, featureClass and setting"),
    "nothing": ("", "imageType, featureClass and setting"),
    "text": ("just text", "imageType, featureClass and setting"),
    "section is a list": ("imageType: [Original]", "mapping"),
    "unknown image type": ("imageType: {Origional: {}}", "'Origional'"),
    "three-dimensional image type": ("imageType: {LBP3D: {}}", "'LBP3D'"),
    "image type with a list": ("imageType: {LoG: [1.0, 2.0]}", "'LoG'"),
    "image type with a number": ("imageType: {LoG: 3}", "'LoG'"),
    "image type with text": ("imageType: {Wavelet: coif1}", "'Wavelet'"),
    "unknown class": ("featureClass: {glcmm: }", "'glcmm'"),
    "three-dimensional class": ("featureClass: {shape: }", "'shape'"),
    "class with text": ("featureClass: {firstorder: Mean}", "'firstorder'"),
    "class with a number": ("featureClass: {firstorder: 5}", "'firstorder'"),
    "unknown feature": ("featureClass: {firstorder: [Mean, Meen]}", "Meen"),
    "unknown setting": ("setting: {binwidth: 25}", "'binwidth'"),
    "unknown setting of an image type": ("imageType: {Wavelet: {wavelett: haar}}", "Wavelet: setting 'wavelett'"),
    "label": ("setting: {label: 2}", "'label'"),
    "label channel": ("setting: {label_channel: 0}", "'label_channel'"),
    "mask correction": ("setting: {correctMask: true}", "'correctMask'"),
    "voxel-based": ("setting: {kernelRadius: 2}", "'kernelRadius'"),
    "not in the plane": ("setting: {force2D: false}", "'force2D'"),
    "other plane": ("setting: {force2Ddimension: 1}", "'force2Ddimension'"),
    "not in the plane, one image type": ("imageType: {Wavelet: {force2D: false}}", "Wavelet: 'force2D'"),
    "negative bin width": ("setting: {binWidth: -25}", "'binWidth' is -25"),
    "no bin width": ("setting: {binWidth: }", "'binWidth' has no value"),
    "bin width is text": ("setting: {binWidth: wide}", "'binWidth' is 'wide'"),
    "bin width is not a number": ("setting: {binWidth: .nan}", "'binWidth' is nan"),
    "bin width of an image type": ("imageType: {LoG: {sigma: [1.0], binWidth: 0}}", "LoG: 'binWidth' is 0"),
    "bins are a fraction": ("setting: {binCount: 12.5}", "binCount"),
    "bins are true": ("setting: {binCount: true}", "'binCount' is True"),
    "LoG without sigma": ("imageType: {LoG: {}}", "LoG: 'sigma' is missing"),
    "LoG with nothing": ("imageType: {LoG: }", "LoG: 'sigma' is missing"),
    "LoG with no sigmas": ("imageType: {LoG: {sigma: []}}", "LoG: 'sigma' is missing"),
    "sigma is a number": ("imageType: {LoG: {sigma: 2.0}}", "LoG: 'sigma' is 2.0"),
    "negative sigma": ("imageType: {LoG: {sigma: [1.0, -2.0]}}", "LoG: 'sigma' is [1.0, -2.0]"),
    "sigma for all": ("setting: {sigma: [0]}\nimageType: {LoG: }", "'sigma' is [0]"),
    "unknown wavelet": ("imageType: {Wavelet: {wavelet: coiff1}}", "coiff1"),
    "wavelet level": ("imageType: {Wavelet: {level: 1.5}}", "level"),
    "unknown interpolator": ("setting: {interpolator: cubic}", "cubic"),
    "unknown weighting": ("setting: {weightingNorm: L2}", "L2"),
    "unknown way of resegmentation": ("setting: {resegmentRange: [1, 2], resegmentMode: relativ}", "relativ"),
    "spacing of two": ("setting: {resampledPixelSpacing: [0.1, 0.1]}", "'resampledPixelSpacing' is [0.1, 0.1]"),
    "spacing is a number": ("setting: {resampledPixelSpacing: 0.1}", "resampledPixelSpacing"),
    "distances": ("setting: {distances: [0]}", "distances"),
    "no distances": ("setting: {distances: }", "'distances' has no value"),
    "normalize": ("setting: {normalize: maybe}", "normalize"),
    "not YAML": ("imageType: {Original: {}", "not YAML"),
    "two documents": ("imageType:\n---\nsetting:", "not YAML"),
    "twice": ("setting:\n  binWidth: 5\n  binWidth: 6", "not YAML (line 3)"),
    "tab": ("setting:\n\tbinWidth: 5", "not YAML (line 2)"),
    "impossible date": ("setting: {binWidth: 2001-13-99}", "not YAML"),
    "code": ("setting: !!python/object/apply:os.getcwd []", "not YAML"),
}


@pytest.mark.parametrize("name", WRONG_YAML)
def test_wrong_settings_files_are_refused_in_one_line_that_names_file_and_entry(tmp_path, capfd, name):
    text, named = WRONG_YAML[name]
    path = tmp_path / "my settings.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        ExtractionSettings.from_yaml(path)
    message = str(refused.value)
    assert named in message
    assert str(path) in message
    assert "\n" not in message
    assert len(message) < 500 + len(str(path))
    assert capfd.readouterr().err == ""  # nothing beside the one line


def test_files_that_are_no_text_or_not_there_are_refused(tmp_path):
    binary = tmp_path / "image.yaml"
    binary.write_bytes(b"\xff\xd8\xff\xe0" + bytes(range(256)))
    unreadable = [(tmp_path / "none.yaml", "cannot be read"), (tmp_path, "cannot be read")]
    for path, reason in ((binary, "not YAML"), *unreadable):
        with pytest.raises(InputError, match=reason) as refused:
            ExtractionSettings.from_yaml(path)
        assert str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_wrong_dicts_are_refused_under_the_name_of_their_source():
    wrong = (None, [], "glcm", {"setting": {"binWidth": -1}}, {"imageType": {"Wavelet": "haar"}}, {5: 6, "a": 7})
    for content in wrong:
        with pytest.raises(InputError, match="^Model file 'm.json'") as refused:
            ExtractionSettings.from_dict(content, source="Model file 'm.json'")
        assert "\n" not in str(refused.value)


def test_unknown_feature_in_a_dict_is_refused_before_anything_is_computed(capfd):
    image, masks = phantom()
    settings_ = ExtractionSettings.from_dict(content_of(classes={"glcm": ["Contrast", "Contrasst"]}))
    with pytest.raises(InputError, match="Contrasst") as refused:
        extract_regions(image, masks, settings_)
    assert "\n" not in str(refused.value)
    assert capfd.readouterr().err == ""


# --- Names ------------------------------------------------------------------------------------------------------------


def test_columns_of_a_row_with_default_settings():
    image, _ = phantom("16-bit, odd size")
    mammogram = Mammogram(image, "phantom")
    lesion = disk(mammogram.pixels.shape, (30, 37), 8)
    regions = make_regions(lesion, mammogram.spacing_mm, (0.6, 1.0), np.indices(lesion.shape)[1] < 42)
    assert 0.0 < regions["peritumoral_1mm"].kept_fraction < 1.0
    row = feature_row(mammogram, regions, ExtractionSettings.from_yaml(default_settings_path()), "low_energy_cc")
    # 9 of shape, and 93 of each of the image itself, three LoG and four wavelet images
    assert len(row) == 5 * (2 + 9 + 93 * 8)
    assert all(type(value) is float and math.isfinite(value) for value in row.values())
    types = {"original", "wavelet-LH", "wavelet-HL", "wavelet-HH", "wavelet-LL"}
    types |= {f"log-sigma-{width}-0-mm-3D" for width in (1, 2, 3)}
    found = set()
    for column in row:
        image_name, region, feature = column.split("__")
        assert image_name == "low_energy_cc"
        if feature not in ("diagnostics_VoxelNum", "diagnostics_KeptFraction"):
            image_type, class_name, name = re.fullmatch(r"([\w-]+)_([a-zA-Z0-9]+)_([A-Za-z0-9]+)", feature).groups()
            assert class_name in FEATURE_CLASSES
            found.add((region, image_type))
    assert found == {(region, image_type) for region in regions for image_type in types}
    for name, region in regions.items():
        assert row[f"low_energy_cc__{name}__diagnostics_VoxelNum"] == region.mask.sum()
        assert row[f"low_energy_cc__{name}__diagnostics_KeptFraction"] == region.kept_fraction
    few = ExtractionSettings.from_dict(content_of(classes={"firstorder": ["Mean"]}))
    assert next(iter(feature_row(mammogram, regions, few))).startswith("image__intratumoral__")


def test_filtered_images_come_under_pyradiomics_names_with_their_settings():
    image, _ = phantom()
    content = content_of({"Original": {}, "LoG": {"sigma": [2], "binWidth": 7}, "Wavelet": {"level": 2}}, binWidth=5)
    made = list(filtered_images(image, ExtractionSettings.from_dict(content)))
    details = [f"wavelet{level}-{kind}" for level in ("", "2") for kind in ("LH", "HL", "HH")]
    assert sorted(name for _, name, _ in made) == sorted(["original", "log-sigma-2-mm-3D", *details, "wavelet2-LL"])
    assert {name: setting["binWidth"] for _, name, setting in made if "wave" not in name} == {
        "original": 5,
        "log-sigma-2-mm-3D": 7,
    }
    assert all(filtered.GetSize() == image.GetSize() for filtered, _, _ in made)


def test_regions_do_not_influence_each_other_and_inputs_are_left_alone():
    image, masks = phantom()
    pixels = sitk.GetArrayFromImage(image)
    settings_ = ExtractionSettings.from_dict(default_content(log=True))
    together = extract_regions(image, masks, settings_)
    alone = extract_regions(image, {"x": masks["peritumoral_1mm"]}, settings_)
    assert alone["x"] == together["peritumoral_1mm"]
    assert (sitk.GetArrayFromImage(image) == pixels).all()
    assert settings_ == ExtractionSettings.from_dict(default_content(log=True))


# --- Refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["radiomics", "radiomics.featureextractor", "pykwalify.errors"])
def test_missing_pyradiomics_is_said_with_what_to_do(monkeypatch, module):
    image, masks = phantom()
    settings_ = ExtractionSettings.from_yaml(default_settings_path())
    monkeypatch.setitem(sys.modules, module, None)
    by_pyradiomics = functools.partial(extract_regions, engine="pyradiomics")
    for call in (by_pyradiomics, lambda *given: list(filtered_images(image, settings_))):
        with pytest.raises(InputError, match="Extensions Manager.*SlicerRadiomics") as refused:
            call(image, masks, settings_)
        assert "\n" not in str(refused.value)


def test_settings_are_read_without_pyradiomics_but_not_without_its_yaml_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "radiomics", None)
    assert ExtractionSettings.from_yaml(default_settings_path()).setting["binCount"] == 32
    monkeypatch.setitem(sys.modules, "ruamel.yaml", None)
    with pytest.raises(InputError, match="Extensions Manager"):
        ExtractionSettings.from_yaml(default_settings_path())


def test_missing_scikit_image_is_said(monkeypatch):
    image, masks = phantom()
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(InputError, match="scikit-image"):
        extract_regions(image, masks, ExtractionSettings.from_dict(content_of({"LBP2D": {}})), "pyradiomics")


REFUSED = {"one pixel": np.s_[5:6, 6:7], "nothing": np.s_[5:5], "one row": np.s_[7], "rows": np.s_[8:]}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("mask", "setting", "reason"),
    [
        ("one pixel", {}, "Region ring: it is a single pixel"),
        ("nothing", {}, "Region ring: it has no pixel"),
        ("one row", {}, "Region ring: it is a line of [0-9]+ pixels"),
        ("rows", {"resegmentRange": [1e6]}, "Region ring.*Resegmentation excluded"),
        ("rows", {"minimumROISize": 10**6}, "Region ring: it has [0-9]+ pixels, with minimumROISize"),
        ("rows", {"distances": [200]}, "Region ring, original"),
        ("rows", {"preCrop": True, "binWidth": 1e-9}, "Region ring, original.*gray levels"),
        ("rows", {"binCount": 10**8}, "Region ring, original.*gray levels"),
    ],
)
def test_a_region_that_cannot_be_computed_is_named(mask, setting, reason, engine):
    image, masks = phantom()
    ring = np.zeros_like(masks["intratumoral"])
    ring[REFUSED[mask]] = True
    masks = {"ring": ring} if setting else {"intratumoral": masks["intratumoral"], "ring": ring}
    settings_ = ExtractionSettings.from_dict(content_of(**setting))
    with pytest.raises(InputError, match=reason) as refused:
        extract_regions(image, masks, settings_, prepare_engine(settings_, engine)[0])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_more_gray_levels_than_pyradiomics_survives_are_refused_for_matrices_only(engine):
    image, masks = phantom()
    fine = ExtractionSettings.from_dict(content_of({"Wavelet": {}}, binWidth=0.01))
    with pytest.raises(InputError, match="Region intratumoral, wavelet-.*gray levels.*binWidth"):
        extract_regions(image, masks, fine, engine)
    assert_as_pyradiomics(image, masks, content_of(classes={"firstorder": [], "shape2D": []}, binWidth=0.01))


@pytest.mark.parametrize("levels", [(17, logging.NOTSET), (logging.NOTSET, logging.DEBUG)])
def test_logging_is_left_as_it_was(levels):
    image, masks = phantom()
    loggers = [logging.getLogger("radiomics"), logging.getLogger("pykwalify")]
    before = [logger.level for logger in loggers]
    try:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
        few = ExtractionSettings.from_dict(content_of(classes={"glcm": []}, binCount=8))
        extract_regions(image, masks, few, "pyradiomics")
        assert tuple(logger.level for logger in loggers) == levels
        for content in (content_of(distances=[200], binCount=8), content_of(classes={"glcm": ["None"]})):
            with pytest.raises(InputError):
                extract_regions(image, masks, ExtractionSettings.from_dict(content), "pyradiomics")
            assert tuple(logger.level for logger in loggers) == levels
    finally:
        for logger, level in zip(loggers, before):
            logger.setLevel(level)


@pytest.mark.parametrize("engine", ENGINES)
def test_extraction_prints_nothing(engine, capfd):
    image, masks = phantom()
    logging.getLogger("radiomics").setLevel(logging.WARNING)
    extract_regions(image, masks, ExtractionSettings.from_yaml(default_settings_path()), engine)
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


@pytest.mark.parametrize("setting", [{"binCount": 32}, {"binWidth": 500}])
def test_a_region_of_equal_pixels_has_the_values_that_pyradiomics_gives(setting):
    image, masks = phantom()
    pixels = sitk.GetArrayFromImage(image)[0]
    pixels[masks["intratumoral"]] = 700
    image = slice_image(pixels, image.GetSpacing())
    masks = {name: masks[name] for name in list(masks)[:2]}
    content = content_of({"Original": {}, "Wavelet": {}}, **setting)
    assert_as_pyradiomics(image, masks, content)
    found = extract_regions(image, masks, ExtractionSettings.from_dict(content))["intratumoral"]
    assert found["original_firstorder_Variance"] == 0.0
    assert found["original_glcm_Correlation"] == 1.0
    assert all(math.isfinite(value) for value in found.values())


def test_a_setting_of_pyradiomics_that_does_not_apply_here_says_why():
    with pytest.raises(InputError, match="'label' does not apply here, because the region is chosen by 'segment'"):
        ExtractionSettings.from_dict({"setting": {"label": 2}})
    with pytest.raises(InputError, match="'voxelBased' does not apply here"):
        ExtractionSettings.from_dict({"setting": {"voxelBased": True}})


def test_settings_are_read_where_pyradiomics_is_broken(monkeypatch):
    """The fast engine does not need it."""
    monkeypatch.setitem(sys.modules, "radiomics", types.ModuleType("radiomics"))
    monkeypatch.delitem(sys.modules, "radiomics.featureextractor", raising=False)
    settings = ExtractionSettings.from_yaml(default_settings_path())
    engine, notice = prepare_engine(settings)
    assert engine == "fast" and not notice
    with pytest.raises(InputError, match="pyradiomics"):
        prepare_engine(settings, "pyradiomics")


def test_a_package_that_cannot_be_imported_is_not_called_missing(monkeypatch):
    def fail(*_, **__):
        raise ImportError("numpy.core.multiarray failed to import", name="radiomics")

    settings = ExtractionSettings.from_dict({})
    monkeypatch.setattr("builtins.__import__", fail)
    with pytest.raises(InputError, match=r"pyradiomics cannot be used \(numpy.core.multiarray failed to import\)"):
        prepare_engine(settings, "pyradiomics")
