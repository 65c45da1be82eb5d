"""Reading of mammograms: pixels, spacing and its source, tags, refusals, breast mask."""

from __future__ import annotations

import gc
import gzip
import pickle

import numpy as np
import pytest
import SimpleITK as sitk

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.mammogram import (
    Mammogram,
    _enlarge,
    _shrink,
    breast_mask,
    kind_from_tags,
    read_mammogram,
    spacing_from_tags,
)

pydicom = pytest.importorskip("pydicom")

PATIENT = "Müller^Änne"
PATIENT_ID = "ID-4711"


def random_pixels(shape=(40, 60), maximum=4000, dtype=np.uint16):
    return np.random.default_rng(0).integers(0, maximum, shape).astype(dtype)


def tags(**values):
    dataset = pydicom.Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def write_dicom(path, pixels=None, **values):
    """Write a minimal digital mammogram; None deletes a tag."""
    pixels = random_pixels() if pixels is None else pixels
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.DigitalMammographyXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    defaults = dict(
        SpecificCharacterSet="ISO_IR 192",
        SOPClassUID=meta.MediaStorageSOPClassUID,
        SOPInstanceUID=meta.MediaStorageSOPInstanceUID,
        PatientName=PATIENT,
        PatientID=PATIENT_ID,
        Modality="MG",
        Rows=pixels.shape[0],
        Columns=pixels.shape[1],
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=0,
        ImagerPixelSpacing=[0.1, 0.1],
        PixelData=pixels.astype("<u2").tobytes(),
    )
    dataset = tags(**{key: value for key, value in {**defaults, **values}.items() if value is not None})
    dataset.file_meta = meta
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_compressed_pixels_that_are_cut_off_are_no_missing_tag(tmp_path):
    path = write_dicom(tmp_path / "whole.dcm")
    dataset = pydicom.dcmread(path)
    dataset.compress(pydicom.uid.RLELossless)
    dataset.save_as(path, enforce_file_format=True)
    part = tmp_path / "part.dcm"
    part.write_bytes(path.read_bytes()[:-40])
    message = one_line_error(part)
    assert "cut off" in message and "Modality" not in message


def one_line_error(path, **kwargs):
    with pytest.raises(InputError) as caught:
        read_mammogram(path, **kwargs)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(path.name)
    for identifier in ("Müller", "Änne", PATIENT_ID):
        assert identifier not in message
    return message


# --- Spacing from tags ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values, expected, source",
    [
        (dict(ImagerPixelSpacing=[0.1, 0.1]), (0.1, 0.1), "detector plane"),
        (
            dict(ImagerPixelSpacing=[0.1, 0.1], EstimatedRadiographicMagnificationFactor=1.25),
            (0.08, 0.08),
            "EstimatedRadiographicMagnificationFactor",
        ),
        (dict(ImagerPixelSpacing=[0.1, 0.1], PixelSpacing=[0.09, 0.09]), (0.09, 0.09), "calibrated"),
        (
            dict(
                ImagerPixelSpacing=[0.1, 0.1],
                PixelSpacing=[0.09, 0.09],
                EstimatedRadiographicMagnificationFactor=1.25,
            ),
            (0.09, 0.09),
            "calibrated",
        ),
        (dict(ImagerPixelSpacing=[0.1, 0.1], PixelSpacing=[0.1, 0.1]), (0.1, 0.1), "detector plane"),
        (
            dict(
                ImagerPixelSpacing=[0.1, 0.1],
                PixelSpacing=[0.1, 0.1],
                EstimatedRadiographicMagnificationFactor=1.25,
            ),
            (0.08, 0.08),
            "EstimatedRadiographicMagnificationFactor",
        ),
        (
            dict(
                ImagerPixelSpacing=[0.1, 0.1],
                PixelSpacing=[0.1, 0.1],
                PixelSpacingCalibrationType="GEOMETRY",
                EstimatedRadiographicMagnificationFactor=1.25,
            ),
            (0.1, 0.1),
            "PixelSpacing (calibrated)",
        ),
        (dict(PixelSpacing=[0.07, 0.07]), (0.07, 0.07), "calibration not stated"),
        (dict(PixelSpacing=[0.07, 0.07], PixelSpacingCalibrationType="FIDUCIAL"), (0.07, 0.07), "(calibrated)"),
        # DICOM gives the row spacing first
        (dict(ImagerPixelSpacing=[0.2, 0.1]), (0.1, 0.2), "detector plane"),
        (dict(PixelSpacing=[53.96, 45.02], ImagerPixelSpacing=[0.094, 0.094]), (0.094, 0.094), "detector plane"),
        (
            dict(ImagerPixelSpacing=[0.1, 0.1], EstimatedRadiographicMagnificationFactor=0),
            (0.1, 0.1),
            "detector plane",
        ),
    ],
)
def test_spacing_from_tags(values, expected, source):
    spacing, words, _ = spacing_from_tags(tags(**values))
    assert spacing == pytest.approx(expected)
    assert source in words


@pytest.mark.parametrize(
    "values",
    [
        {},
        dict(PixelSpacing=[53.96, 45.02]),
        dict(ImagerPixelSpacing=[0.0, 0.0]),
        dict(DetectorElementSpacing=[0.1, 0.1]),
    ],
)
def test_no_believable_spacing_in_tags(values):
    with pytest.raises(InputError, match="pixel_spacing_mm"):
        spacing_from_tags(tags(**values))


def test_spacing_warnings():
    assert "detector plane" in spacing_from_tags(tags(ImagerPixelSpacing=[0.1, 0.1]))[2][0]
    ignored = spacing_from_tags(
        tags(PixelSpacing=[54, 45], ImagerPixelSpacing=[0.1, 0.1], EstimatedRadiographicMagnificationFactor=1)
    )
    assert len(ignored[2]) == 1 and "implausible" in ignored[2][0]
    odd = spacing_from_tags(tags(PixelSpacing=[0.9, 0.9], ImagerPixelSpacing=[0.1, 0.1]))
    assert "do not fit" in odd[2][0]


# --- Kind -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values, kind",
    [
        (dict(ImageType=["DERIVED", "PRIMARY", "", "RECOMBINED"]), "recombined"),
        (dict(ImageType=["DERIVED", "PRIMARY", "POST_CONTRAST", "SUBTRACTION"]), "recombined"),
        (dict(ImageType=["DERIVED", "PRIMARY", "POST_CONTRAST", "LOW_ENERGY"]), "low_energy"),
        (dict(ImageType=["ORIGINAL", "PRIMARY"], AcquisitionDeviceProcessingCode="GEMS_CESM_1"), "recombined"),
        (
            dict(
                ImageType=["DERIVED", "PRIMARY"],
                AcquisitionDeviceProcessingCode="GEMS_FFDM_PV",
                ContrastBolusAgent="iohexol",
            ),
            "low_energy",
        ),
        (dict(ImageType=["DERIVED", "PRIMARY"], AcquisitionDeviceProcessingCode="GEMS_FFDM_PV"), None),
        (dict(ImageType=["ORIGINAL", "PRIMARY"], SeriesDescription="L CC Low Energy"), "low_energy"),
        (dict(ImageType=["ORIGINAL", "PRIMARY"], SeriesDescription="L CC recombined"), "recombined"),
        (dict(ImageType=["ORIGINAL", "PRIMARY", "LOW_ENERGY"], SeriesDescription="recombined"), "low_energy"),
        (dict(ImageType=["DERIVED", "LOW_ENERGY", "RECOMBINED"]), None),
        (dict(ImageType=["ORIGINAL", "PRIMARY"]), None),
        ({}, None),
    ],
)
def test_kind_from_tags(values, kind):
    assert kind_from_tags(tags(**values)) == kind


# --- DICOM files ------------------------------------------------------------------------------------------------------


def test_dicom(tmp_path):
    pixels = random_pixels()
    path = write_dicom(
        tmp_path / "Müller.dcm",
        pixels,
        ImageType=["DERIVED", "PRIMARY", "POST_CONTRAST", "SUBTRACTION"],
        PresentationIntentType="FOR PROCESSING",
        EstimatedRadiographicMagnificationFactor=1.25,
        WindowCenter=100,
        WindowWidth=10,
    )
    mammogram = read_mammogram(path)
    np.testing.assert_array_equal(mammogram.pixels, pixels)
    assert mammogram.image.GetSize() == (60, 40, 1)
    assert mammogram.image.GetSpacing() == pytest.approx((0.08, 0.08, 1.0))
    assert mammogram.spacing_mm == pytest.approx((0.08, 0.08))
    assert (mammogram.kind, mammogram.presentation) == ("recombined", "FOR PROCESSING")
    assert mammogram.warnings == ()
    assert mammogram.image.GetMetaDataKeys() == ()  # no patient tags travel with the image
    with pytest.raises(ValueError):
        mammogram.pixels[0, 0] = 1


def test_monochrome1_is_inverted(tmp_path):
    pixels = random_pixels()
    path = write_dicom(tmp_path / "a.dcm", pixels, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read_mammogram(path).pixels, 4095 - pixels.astype(int))


def test_rescale_slope_is_applied(tmp_path):
    pixels = random_pixels()
    path = write_dicom(tmp_path / "a.dcm", pixels, RescaleSlope=2, RescaleIntercept=-100)
    np.testing.assert_array_equal(read_mammogram(path).pixels, 2.0 * pixels - 100)


def test_dicom_warnings(tmp_path):
    path = write_dicom(
        tmp_path / "a.dcm",
        PresentationIntentType="FOR PRESENTATION",
        ImagerPixelSpacing=[0.1, 0.12],
        LossyImageCompression="01",
        BitsStored=8,
        HighBit=7,
        pixels=random_pixels(maximum=256),
    )
    text = "\n".join(read_mammogram(path).warnings)
    for word in ("detector plane", "vendor", "8-bit", "lossy", "not square", "kind unknown"):
        assert word in text
    assert PATIENT not in text and PATIENT_ID not in text


@pytest.mark.parametrize(
    "values, words",
    [
        (dict(Modality="CT"), "CT"),
        (dict(Modality=None), "missing"),
        (dict(PixelData=None), "no pixel data"),
        (dict(ImagerPixelSpacing=None), "pixel_spacing_mm"),
        (dict(ImagerPixelSpacing=["Müller", PATIENT_ID]), None),
        (dict(NumberOfFrames=2, PixelData=np.stack([random_pixels()] * 2).tobytes()), "2 frames"),
        (
            dict(
                SamplesPerPixel=3,
                PhotometricInterpretation="RGB",
                PlanarConfiguration=0,
                PixelData=np.stack([random_pixels()] * 3, axis=-1).tobytes(),
            ),
            "color",
        ),
        (dict(pixels=random_pixels((8, 8))), "too small"),
        (dict(pixels=np.full((40, 60), 7, dtype=np.uint16)), "equal"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_dicom_refused(tmp_path, values, words):
    if words is None:  # a tag that is no number, written past pydicom's own checks
        path = write_dicom(tmp_path / "a.dcm", ImagerPixelSpacing=[0.123456, 0.123456])
        path.write_bytes(path.read_bytes().replace(b"0.123456\\0.123456", b"Muller\\IDxx-4711 "))
        words = "pixel_spacing_mm"
    else:
        path = write_dicom(tmp_path / "a.dcm", **values)
    assert words in one_line_error(path)


def test_user_spacing_overrides_tags(tmp_path):
    path = write_dicom(tmp_path / "a.dcm")
    mammogram = read_mammogram(path, pixel_spacing_mm=(0.2, 0.07))  # row, column as in DICOM
    assert mammogram.spacing_mm == pytest.approx((0.07, 0.2))
    assert mammogram.spacing_source == "given by the user"
    assert any("replaces 0.1 mm" in warning for warning in mammogram.warnings)
    assert not any("replaces" in warning for warning in read_mammogram(path, 0.1).warnings)
    assert mammogram.file_spacings_mm[0] == pytest.approx((0.1, 0.1))


def test_real_dicom(shared_data):
    clunie = read_mammogram(shared_data / "mg_dicom_clunie_spacing" / "MG_Explicit_Little.dcm")
    assert clunie.spacing_mm == (0.25, 0.25) and clunie.spacing_source == "PixelSpacing (calibrated)"
    assert clunie.breast.all()  # text only

    path = shared_data / "mg_dicom_fodicom" / "OutOfBoundsOverlay.dcm"
    fodicom = read_mammogram(path)
    assert fodicom.spacing_mm == pytest.approx((0.085 / 1.0433386837881,) * 2)
    assert fodicom.presentation == "FOR PRESENTATION" and fodicom.kind is None
    assert fodicom.pixels.shape == (788, 1318)
    np.testing.assert_array_equal(fodicom.pixels, sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0])
    assert fodicom.breast[600, 200:1200].all()
    assert not fodicom.breast[:100].any()  # air and the bright label plate

    crop = shared_data / "mg_dicom_cbis_crop" / "cbis_ddsm_crop_R_CC.dcm"
    assert "pixel_spacing_mm" in one_line_error(crop)
    assert read_mammogram(crop, 0.05).breast.all()


def test_real_headers(shared_data):
    folder = shared_data / "mg_dicom_openrem_headers"
    for name, words in {
        "MG-Im-GE-SenDS-scaled.dcm": "too small (4 x 4",
        "MG-Im-GE_Seno_1_ForPresentation.dcm": "too small (2 x 1",
        "MG-Im-Hologic-PropProj.dcm": "no pixel data",
        "MG-RDSR-Hologic_2D.dcm": "Modality is SR",
    }.items():
        message = one_line_error(folder / name)
        assert words in message
        full = pydicom.dcmread(folder / name)
        for part in str(full.get("PatientName", "")).replace("^", " ").split() + [str(full.get("PatientID", ""))]:
            assert not part or part not in message
    spacing, source, warnings = spacing_from_tags(pydicom.dcmread(folder / "MG-Im-GE-SenDS-scaled.dcm"))
    assert spacing == pytest.approx((0.094090909, 0.094090909))
    assert "Magnification" in source and "implausible" in warnings[0]


# --- Other formats ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd"])
@pytest.mark.parametrize("dimension", [2, 3])
def test_formats_with_geometry(tmp_path, suffix, dimension):
    pixels = random_pixels()
    image = sitk.GetImageFromArray(pixels if dimension == 2 else pixels[np.newaxis])
    image.SetSpacing((0.07, 0.08, 3.0)[:dimension])
    path = tmp_path / f"image{suffix}"
    sitk.WriteImage(image, str(path))
    mammogram = read_mammogram(path)
    np.testing.assert_array_equal(mammogram.pixels, pixels)
    assert mammogram.image.GetSpacing() == pytest.approx((0.07, 0.08, 1.0))
    assert mammogram.spacing_source == "image header"
    for false in (1.0, 5.0):
        image.SetSpacing((false,) * dimension)
        sitk.WriteImage(image, str(path))
        assert "pixel_spacing_mm" in one_line_error(path)
        assert read_mammogram(path, 0.1).spacing_mm == (0.1, 0.1)


@pytest.mark.parametrize(
    "suffix, dtype", [(".png", np.uint16), (".png", np.uint8), (".tif", np.uint16), (".jpg", np.uint8)]
)
def test_formats_without_geometry(tmp_path, suffix, dtype):
    pixels = random_pixels(maximum=255, dtype=dtype)
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing((0.1, 0.1))  # written as dpi
    path = tmp_path / f"image{suffix}"
    sitk.WriteImage(image, str(path))
    assert "dpi" in one_line_error(path)
    mammogram = read_mammogram(str(path), 0.05)
    assert mammogram.spacing_mm == (0.05, 0.05)
    assert any("8-bit" in warning for warning in mammogram.warnings) == (dtype == np.uint8)
    assert any("lossy" in warning for warning in mammogram.warnings) == (suffix == ".jpg")
    if suffix != ".jpg":
        np.testing.assert_array_equal(mammogram.pixels, pixels)


def test_gray_stored_as_rgb(tmp_path):
    pixels = random_pixels(maximum=250, dtype=np.uint8)
    path = tmp_path / "image.png"

    def write(*channels):
        sitk.WriteImage(sitk.Compose([sitk.GetImageFromArray(channel) for channel in channels]), str(path))

    write(pixels, pixels, pixels)
    np.testing.assert_array_equal(read_mammogram(path, 0.1).pixels, pixels)
    write(pixels, pixels + np.uint8(1), pixels)  # chroma rounding
    np.testing.assert_array_equal(read_mammogram(path, 0.1).pixels, pixels)
    write(pixels, pixels, pixels, np.full_like(pixels, 255))  # opaque
    np.testing.assert_array_equal(read_mammogram(path, 0.1).pixels, pixels)
    colored = pixels.copy()
    colored[5, 5:10] ^= 64
    write(pixels, colored, pixels)
    assert "color" in one_line_error(path, pixel_spacing_mm=0.1)


@pytest.mark.parametrize("spacing", [0, -0.1, 0.001, 1.5, float("nan"), "wide", (0.1, 0.1, 0.1), (0.1, 3), []])
def test_user_spacing_is_validated(tmp_path, spacing):
    path = write_dicom(tmp_path / "a.dcm")
    assert "spacing" in one_line_error(path, pixel_spacing_mm=spacing)


def write_array(path, array, spacing=0.1):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((spacing,) * image.GetDimension())
    sitk.WriteImage(image, str(path))
    return path


def test_unusable_pixels(tmp_path):
    path = tmp_path / "image.nrrd"
    assert "several slices" in one_line_error(write_array(path, random_pixels((3, 40, 60))))
    assert "too small" in one_line_error(write_array(path, random_pixels((15, 200))))
    message = one_line_error(write_array(path, np.zeros((40, 60), dtype=np.uint16)))
    assert "are equal (0): there is nothing to measure" in message
    assert "complex" in one_line_error(write_array(path, random_pixels(dtype=np.complex64)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_kept_and_counted(tmp_path, bad, dtype):
    pixels = random_pixels(dtype=dtype)
    path = tmp_path / "image.nrrd"
    assert not any("NaN" in warning for warning in read_mammogram(write_array(path, pixels)).warnings)
    pixels[3, 3] = bad
    mammogram = read_mammogram(write_array(path, pixels))
    np.testing.assert_array_equal(mammogram.pixels, pixels)
    (warning,) = (warning for warning in mammogram.warnings if "NaN" in warning)
    assert "1 pixel that is NaN or infinite" in warning and "\n" not in warning
    pixels[5:7, 5] = np.nan
    mammogram = read_mammogram(write_array(path, pixels))
    (warning,) = (warning for warning in mammogram.warnings if "NaN" in warning)
    assert "3 pixels that are NaN or infinite" in warning and "replace them" in warning
    # The scene puts the image and the warnings of a file that was read into another mammogram.
    again = Mammogram(mammogram.image, "test", warnings=mammogram.warnings)
    assert again.warnings == mammogram.warnings
    assert Mammogram(mammogram.image, "test").warnings == (warning,)


@pytest.mark.parametrize("rest, words", [(np.nan, "all pixels of the image are NaN or infinite"), (7, "are equal (7)")])
def test_an_image_without_two_different_finite_pixels(tmp_path, rest, words):
    pixels = np.full((40, 60), rest, dtype=np.float32)
    pixels[3, 3], pixels[3, 4], pixels[4, 4] = np.inf, -np.inf, np.nan
    message = one_line_error(write_array(tmp_path / "image.nrrd", pixels))
    assert words in message and "NaN or infinite" in message and "nothing to measure" in message


def test_gray_in_three_channels_with_pixels_that_are_not_finite(tmp_path):
    pixels = random_pixels(dtype=np.float32)
    pixels[3, 3], pixels[4, 4], pixels[5, 5] = np.nan, np.inf, -np.inf
    path = tmp_path / "image.nrrd"

    def write(*channels):
        image = sitk.Compose([sitk.GetImageFromArray(channel) for channel in channels])
        image.SetSpacing((0.1, 0.1))
        sitk.WriteImage(image, str(path))

    write(pixels, pixels, pixels)
    np.testing.assert_array_equal(read_mammogram(path).pixels, pixels)
    for where in (4, 20):  # in one channel alone, and a color elsewhere
        changed = pixels.copy()
        changed[where, where] = 17
        write(pixels, changed, pixels)
        assert "color" in one_line_error(path)


def test_unreadable_files(tmp_path):
    assert "not a file" in one_line_error(tmp_path / "missing.png")
    assert "not a file" in one_line_error(tmp_path)
    for suffix in (".png", ".dcm", ".nii.gz", ".jpg"):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(b"")
        assert "empty" in one_line_error(path)
        path.write_text("no image at all\n" * 100)
        assert "damaged" in one_line_error(path)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(b"")[:10] + b"\xff" * 400)
    assert "damaged" in one_line_error(path)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".nrrd", ".nii", ".nii.gz", ".mha", ".dcm"])
def test_cut_files(tmp_path, suffix):
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    if suffix == ".dcm":
        write_dicom(whole)
    else:
        write_array(whole, random_pixels((200, 300), maximum=250, dtype=np.uint8))
    read_mammogram(whole, 0.1)
    content = whole.read_bytes()
    for share in (0.1, 0.6, 0.98):
        cut.write_bytes(content[: int(share * len(content))])
        assert "damaged" in one_line_error(cut, pixel_spacing_mm=0.1), share
    if suffix == ".nii.gz":
        cut.write_bytes(gzip.compress(gzip.decompress(content)[:-1000]))  # intact stream of a cut file
        assert "damaged" in one_line_error(cut)


def test_from_array():
    pixels = random_pixels((40, 60))
    mammogram = Mammogram.from_array(pixels, (0.07, 0.1), "test", origin=(1, 2, 3), kind="recombined")
    np.testing.assert_array_equal(mammogram.pixels, pixels)
    assert mammogram.image.GetOrigin() == (1, 2, 3) and mammogram.kind == "recombined"
    assert mammogram.spacing_mm == (0.07, 0.1)
    for bad, spacing in (
        (random_pixels((2, 40, 60)), (0.1, 0.1)),
        (np.ones((40, 60)), (0.1, 0.1)),
        (np.full((40, 60), np.nan), (0.1, 0.1)),
        (pixels, (0.1, 0.0)),
        (pixels, (2.0, 0.1)),
    ):
        with pytest.raises(InputError):
            Mammogram.from_array(bad, spacing, "test")


def test_pixels_are_those_of_the_image_and_outlive_it(tmp_path):
    expected = random_pixels((400, 600))
    path = write_array(tmp_path / "image.nrrd", expected)
    mammogram = read_mammogram(path)
    pixels = mammogram.pixels
    assert pixels.flags.c_contiguous and not pixels.flags.writeable
    again = pickle.loads(pickle.dumps(mammogram))
    np.testing.assert_array_equal(again.pixels, expected)
    assert not again.pixels.flags.writeable and len(pickle.dumps(mammogram)) < 1.1 * expected.nbytes
    copy = sitk.Image(mammogram.image)
    mammogram.image[0, 0, 0] = 9999  # ITK moves the pixels of the one that is changed
    assert pixels[0, 0] == expected[0, 0] and mammogram.pixels[0, 0] == 9999
    del mammogram, copy
    gc.collect()
    others = [np.full_like(expected, number) for number in range(20)]  # in place of what might have been freed
    np.testing.assert_array_equal(pixels, expected)
    assert len(others) == 20


def test_pixels_are_no_copy():
    mammogram = Mammogram.from_array(random_pixels(), (0.1, 0.1), "test")
    address = mammogram.pixels.ctypes.data
    assert address == mammogram.pixels.ctypes.data
    assert address == sitk.GetArrayViewFromImage(mammogram.image).ctypes.data


def test_multi_component_image_is_refused():
    image = sitk.JoinSeries(sitk.Compose([sitk.GetImageFromArray(random_pixels())] * 3))
    image.SetSpacing((0.1, 0.1, 1.0))
    with pytest.raises(InputError, match="components"):
        Mammogram(image, "test")


# --- Breast mask ------------------------------------------------------------------------------------------------------


def phantom(shape=(1000, 800), right=False):
    """Breast outline, thickness (0-1) and a texture of unit variance."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[: shape[0], : shape[1]] / np.array(shape)[:, None, None]
    if right:
        x = x[:, ::-1]
    inside = (x / 0.7) ** 2 + ((y - 0.5) / 0.45) ** 2
    texture = sitk.GetImageFromArray(rng.normal(size=shape).astype(np.float32))
    texture = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(texture, 12.0))
    return inside < 1, np.clip(1 - inside, 0, 1) ** 0.3, texture / texture.std(), x


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def images():
    """Name, image, true breast."""
    rng = np.random.default_rng(2)
    breast, thickness, texture, x = phantom()
    lesion = (x - 0.3) ** 2 + (np.arange(1000)[:, None] / 1000 - 0.5) ** 2 < 0.002
    plain = np.where(breast, 900 + 700 * thickness + 150 * texture, 0)
    marked = plain.copy()
    marked[60:100, 600:740] = 4095 * (rng.random((40, 140)) > 0.5)  # burned-in text
    marked[900:990, 700:790] = 4095  # label
    raw = rng.poisson(10000 * (1 - 0.15 * x) * np.where(breast, np.exp(-thickness * (1.6 + 0.25 * texture)), 1))
    noisy = rng.normal(0, 12, breast.shape)
    gray = 2000 + noisy + breast * (20 + 40 * thickness + 25 * texture) + 300 * lesion
    both = 2000 + noisy / 4 + breast * (20 * thickness - 30 + 40 * texture) + 300 * lesion
    black = np.where(breast, 2000 + noisy + 15 * texture + 300 * lesion, 0)
    dead = plain + 50 + noisy
    dead[:, :5] = 0
    padding = ((50, 50), (150, 150))
    right, thick, grain, _ = phantom(right=True)
    eight = np.where(right, 60 + 100 * thick + 15 * grain, 0) + rng.normal(0, 1.5, right.shape)
    return {
        "black background": (marked, np.uint16, breast),
        "white background": (4095 - marked, np.uint16, breast),
        "for processing": (raw, np.uint16, breast),
        "for processing inverted": (16383 - raw, np.uint16, breast),
        "recombined, gray background": (gray, np.uint16, breast),
        "recombined, tissue darker and brighter than air": (both, np.uint16, breast),
        "recombined, black background": (black, np.int16, breast),
        "dead columns at the chest wall": (dead, np.float32, breast),
        "8 bit, right": (eight, np.uint8, right),
        "padded to a square": (np.pad(plain, padding), np.uint16, np.pad(breast, padding)),
    }


@pytest.mark.parametrize("name", images())
def test_breast_mask(name):
    image, dtype, breast = images()[name]
    limits = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else None
    image = image.clip(limits.min, limits.max) if limits else image
    mask = breast_mask(image.astype(dtype))
    assert mask.shape == image.shape and mask.dtype == bool
    assert dice(mask, breast) > (0.97 if "darker and brighter" in name else 0.985)


def test_breast_mask_of_crops_is_everything():
    rng = np.random.default_rng(3)
    _, _, texture, x = phantom()
    lesion = (x - 0.5) ** 2 + (np.arange(1000)[:, None] / 1000 - 0.5) ** 2 < 0.01
    noise = rng.normal(0, 20, texture.shape)
    for crop in (1000 + 100 * texture + noise, 1000 + 5 * texture + noise + 300 * lesion, 1000 + noise):
        assert breast_mask(crop.astype(np.uint16)).all()
    assert breast_mask(np.full((50, 50), 3)).all()


@pytest.mark.parametrize("name", ["black background", "for processing", "recombined, gray background", "8 bit, right"])
@pytest.mark.parametrize("where", ["anywhere", "rows", "chest wall", "air", "padding", "nowhere else"])
@pytest.mark.filterwarnings("error")
def test_breast_mask_with_pixels_that_are_not_finite(name, where):
    image, _, breast = images()[name]
    image = image.astype(np.float32)
    if where == "anywhere":
        random = np.random.default_rng(4).random(image.shape)
        for number, bad in enumerate((np.nan, np.inf, -np.inf)):
            image[(random >= 0.01 * number) & (random < 0.01 * (number + 1))] = bad
    elif where == "rows":
        image[300:320] = np.nan
    elif where == "chest wall":
        image[:, :8] = image[:, -8:] = np.inf
    elif where == "air":
        image[~breast] = np.nan
    elif where == "padding":
        image, breast = np.pad(image, 60, constant_values=np.nan), np.pad(breast, 60)
    else:
        image[:] = np.nan
    mask, finite = breast_mask(image), np.isfinite(image)
    assert mask.shape == image.shape and mask.dtype == bool
    assert not (mask & ~finite).any()
    if where == "air":
        assert (mask == breast).mean() > 0.9999
    elif finite.any():
        assert dice(mask, breast & finite) > 0.984


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 60), (60, 3), (4000, 16)])
def test_breast_mask_of_little(shape):
    pixels = np.random.default_rng(0).random(shape)
    assert breast_mask(pixels).all()
    framed = np.pad(pixels, 20, constant_values=np.nan)
    np.testing.assert_array_equal(breast_mask(framed), np.isfinite(framed))


def test_breast_mask_of_odd_sizes():
    breast = phantom((1537, 1031))[0]
    mask = breast_mask((1000 * breast).astype(np.uint16))
    assert mask.shape == (1537, 1031) and dice(mask, breast) > 0.99
    small = phantom((40, 32))[0]
    assert breast_mask(small.astype(np.uint8)).shape == (40, 32)


@pytest.mark.parametrize("factor", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("shrink", [0.0, 1.0])
def test_outline_is_that_of_resampled_distances(factor, shrink):
    rng = np.random.default_rng(factor)
    for cut in range(factor):
        values = sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(rng.random((45, 37), dtype=np.float32)), 1.5)
        blocks = values > 0.5
        shape = (factor * 45 - cut, factor * 37 - (factor - 1 - cut))
        distance = sitk.SignedMaurerDistanceMap(blocks, squaredDistance=False, useImageSpacing=False)
        distance.SetSpacing((factor, factor))
        distance.SetOrigin(((factor - 1) / 2, (factor - 1) / 2))
        full = sitk.Resample(distance, shape[::-1], outputSpacing=(1.0, 1.0), defaultPixelValue=1e6)
        different = _enlarge(blocks, factor, shape, shrink) != (sitk.GetArrayFromImage(full) <= -shrink)
        # None on x86. A processor that multiplies and adds in one step rounds ties of outside and inside otherwise.
        assert different.mean() < 0.001


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1024, 1536), (1025, 1537), (1537, 1023), (513, 40), (300, 200)])
def test_shrunk_image_is_the_mean_of_blocks(shape, dtype):
    pixels = (250 * np.random.default_rng(0).random(shape) - 0.4).astype(dtype)
    small, factor = _shrink(pixels)
    assert max(small.shape) <= 512 and small.dtype == np.float32
    padded = np.pad(pixels, [(0, -length % factor) for length in shape], mode="edge")
    blocks = padded.reshape(small.shape[0], factor, small.shape[1], factor)
    expected = blocks.mean(axis=1, dtype=np.float32).mean(axis=2)
    np.testing.assert_array_equal(small, expected)


def test_breast_mask_of_large_image():
    breast, thickness, _, _ = phantom((4096, 3328))
    assert dice(breast_mask((4000 * thickness).astype(np.uint16)), breast) > 0.99


def test_breast_masks_of_real_images(shared_data):
    for path in sorted(shared_data.glob("cdd_cesm_512/*_image.jpg")):
        pixels = read_mammogram(path, 0.3).pixels
        mask = breast_mask(pixels)
        assert 0.25 < mask.mean() < 0.6, path.name
        lesion = sitk.GetArrayFromImage(sitk.ReadImage(str(path).replace("_image", "_mask"))) > 127
        assert (mask & lesion).sum() > 0.98 * lesion.sum(), path.name
        assert (pixels[mask] > 5).mean() > 0.9 and (pixels[~mask] > 10).mean() < 0.03, path.name
    for name, side in (("1_L_CC", slice(0, 1400)), ("1_R_CC", slice(1100, None))):
        mask = read_mammogram(shared_data / "mammo16_nyu" / f"{name}.png", 0.07).breast
        assert 0.15 < mask.mean() < 0.3
        assert mask[:, side].sum() == mask.sum()  # not the view marker
