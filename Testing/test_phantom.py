"""Phantoms: what is drawn, what the label changes, what is written to disk."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from HER2NomogramLib import phantom as module
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.phantom import (
    BITS_STORED,
    CLEARANCE_MM,
    DEFAULT_SIZES,
    DIAMETER_RANGE_MM,
    PhantomParameters,
    draw_case,
    make_cohort,
    make_phantom,
    write_dicom,
    write_segmentation,
)

DIAMETERS_MM = (8.0, 14.0, 22.0, 31.0, 40.0)
PINNED = {
    "breast_depth_mm": 78.34206062129546,
    "irregularity_fraction": 0.0942584550122749,
    "outline_mean_mm": 8.973251614321773,
}
SMALL_COHORT = {"train": 6, "internal_test": 3, "prospective_test": 3}


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def feret_mm(phantom) -> float:
    """Largest distance between pixel centers of the lesion, plus one pixel."""
    rows, columns = np.nonzero(phantom.lesion & ~_eroded(phantom.lesion))
    points = columns * phantom.spacing_mm[0] + 1j * rows * phantom.spacing_mm[1]
    return float(np.abs(points[:, np.newaxis] - points[np.newaxis, :]).max()) + phantom.spacing_mm[0]


def _eroded(mask: np.ndarray) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.BinaryErode(sitk.GetImageFromArray(mask.astype(np.uint8)), (1, 1))) > 0


def ring_5mm(phantom) -> np.ndarray:
    """Ring of 5 mm around the lesion."""
    image = sitk.GetImageFromArray(phantom.lesion.astype(np.uint8))
    image.SetSpacing(phantom.spacing_mm)
    distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    return (sitk.GetArrayFromImage(distance) <= 5.0) & ~phantom.lesion


def distance_to_air_mm(phantom) -> float:
    """Smallest distance of the lesion from air."""
    air = sitk.GetImageFromArray((phantom.pixels == 0).astype(np.uint8))
    air.SetSpacing(phantom.spacing_mm)
    distance = sitk.SignedMaurerDistanceMap(air, squaredDistance=False, useImageSpacing=True)
    return float(sitk.GetArrayFromImage(distance)[phantom.lesion].min())


def auc(values, labels) -> float:
    """Probability that a positive has a higher value than a negative."""
    values, labels = np.asarray(values, float), np.asarray(labels, bool)
    differences = values[labels][:, np.newaxis] - values[~labels][np.newaxis, :]
    return float((differences > 0).mean() + 0.5 * (differences == 0).mean())


def crude_score(phantom) -> float:
    """Sum of four log statistics that grow in HER2-positive phantoms."""
    pixels, ring = phantom.pixels.astype(float), ring_5mm(phantom)
    lesion = pixels[phantom.lesion]
    return float(np.log([lesion.std(), pixels[ring].mean(), pixels[ring].std()]).sum() - np.log(lesion.mean()))


@pytest.fixture(scope="module")
def phantoms() -> list:
    """One phantom per diameter, densities, sides and labels alternating."""
    return [
        make_phantom(
            100 + i,
            PhantomParameters(her2=i % 2 == 1, diameter_mm=diameter, density="ABCD"[i % 4], laterality="LR"[i % 2]),
        )
        for i, diameter in enumerate(DIAMETERS_MM)
    ]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    return make_cohort(tmp_path_factory.mktemp("cohort") / "new", SMALL_COHORT, seed=3)


def read_rows(table: Path) -> list[dict]:
    with open(table, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def digests(directory: Path) -> dict[str, str]:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- the image ------------------------------------------------------------------------------------------------------


def test_same_seed_same_phantom():
    first, second = make_phantom(5), make_phantom(5)
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.lesion, second.lesion)
    assert not np.array_equal(first.pixels, make_phantom(6).pixels)


def test_a_seed_means_the_same_random_numbers_for_ever():
    """Guards against a new draw slipping in before the others: cohorts would change without notice."""
    case = module._vary(PhantomParameters(), module._streams(1)("case"))
    outline = module._outline(case, module._streams(1)("outline"))
    assert case.breast_depth_mm == pytest.approx(PINNED["breast_depth_mm"], rel=1e-12)
    assert case.irregularity_fraction == pytest.approx(PINNED["irregularity_fraction"], rel=1e-12)
    assert outline.mean() == pytest.approx(PINNED["outline_mean_mm"], rel=1e-9)


def test_without_effect_the_label_changes_nothing():
    negative = make_phantom(7, PhantomParameters(her2=False, effect=0.0))
    positive = make_phantom(7, PhantomParameters(her2=True, effect=0.0))
    assert np.array_equal(negative.pixels, positive.pixels)
    assert np.array_equal(negative.lesion, positive.lesion)


def test_effect_changes_lesion_and_ring_and_nothing_far_away():
    negative = make_phantom(7, PhantomParameters(her2=False))
    positive = make_phantom(7, PhantomParameters(her2=True))
    assert np.array_equal(negative.lesion, positive.lesion)
    changed = negative.pixels != positive.pixels
    ring = ring_5mm(negative)
    assert changed[negative.lesion].mean() > 0.9
    assert changed[ring].mean() > 0.9
    assert positive.pixels[ring].mean() > negative.pixels[ring].mean()
    rows, columns = np.nonzero(negative.lesion)
    away = np.ones_like(changed)
    margin = round(40.0 / negative.spacing_mm[0])
    away[max(rows.min() - margin, 0) : rows.max() + margin, max(columns.min() - margin, 0) : columns.max() + margin] = 0
    # the enhancement around the lesion never quite ends, so that a value at the edge of rounding may tip over
    assert np.abs(positive.pixels.astype(int) - negative.pixels)[away].max() <= 1


def test_effect_separates_but_overlaps():
    labels = np.arange(60) % 2 == 0
    small = PhantomParameters(rows=448, columns=384, breast_height_mm=80.0, breast_depth_mm=66.0)
    scores = [crude_score(make_phantom(1000 + i, replace(small, her2=bool(label)))) for i, label in enumerate(labels)]
    assert 0.65 < auc(scores, labels) < 0.99


def test_diameter_is_the_largest_feret_diameter(phantoms):
    for phantom in phantoms:
        assert feret_mm(phantom) == pytest.approx(phantom.parameters.diameter_mm, rel=0.05, abs=0.5)


def test_lesion_is_one_piece_inside_the_breast(phantoms):
    for phantom in phantoms:
        labels = sitk.ConnectedComponent(sitk.GetImageFromArray(phantom.lesion.astype(np.uint8)))
        assert sitk.GetArrayFromImage(labels).max() == 1
        border = np.ones_like(phantom.lesion)
        border[1:-1, 1:-1] = False
        assert not phantom.lesion[border].any()
        assert (phantom.pixels[phantom.lesion] > 0).all()


def test_room_around_most_lesions(phantoms):
    room = [distance_to_air_mm(phantom) for phantom in phantoms]
    assert min(room) > 4.0
    assert np.mean([value >= CLEARANCE_MM - 1.0 for value in room]) >= 0.8


def test_gray_values_use_more_than_twelve_bits_and_air_is_black(phantoms):
    for phantom in phantoms:
        assert phantom.pixels.dtype == np.uint16
        assert 2**12 < phantom.pixels.max() < 2**BITS_STORED
        assert (phantom.pixels == 2**BITS_STORED - 1).sum() == 0
        assert 0.1 < (phantom.pixels == 0).mean() < 0.8
        assert phantom.pixels[phantom.lesion].mean() > 1.15 * np.median(phantom.pixels[phantom.pixels > 0])


def test_chest_wall_is_at_the_side_of_the_breast():
    left = make_phantom(8, PhantomParameters(laterality="L"))
    right = make_phantom(8, PhantomParameters(laterality="R"))
    assert (left.pixels[320, :50] > 0).all()
    assert (left.pixels[:, -1] == 0).all()
    assert np.array_equal(left.pixels, right.pixels[:, ::-1])
    assert np.array_equal(left.lesion, right.lesion[:, ::-1])


def test_density_changes_the_amount_of_parenchyma():
    means = [make_phantom(9, PhantomParameters(density=density)).pixels.mean() for density in "ABCD"]
    assert means == sorted(means)
    assert means[3] > 1.03 * means[0]


def test_rim_is_brighter_than_the_core():
    quiet = {"lesion_texture_fraction": 0.0, "noise_gray": 0.0, "parenchyma_gray": 0.0, "rim_fraction": 0.5}
    phantom = make_phantom(4, PhantomParameters(diameter_mm=30.0, **quiet))
    image = sitk.GetImageFromArray(phantom.lesion.astype(np.uint8))
    image.SetSpacing(phantom.spacing_mm)
    depth = -sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True))
    rim, core = (depth > 1.0) & (depth < 2.0), depth > 6.0
    assert phantom.pixels[rim].mean() > 1.05 * phantom.pixels[core].mean()


@pytest.mark.parametrize("scale_mm", [0.5, 2.0])
def test_correlated_noise_has_the_length_it_is_given(scale_mm):
    fields = [module._correlated_noise(PhantomParameters(), {scale_mm: 1.0}, generator(seed)) for seed in range(12)]
    noise = np.stack(fields)
    assert noise.mean(axis=(1, 2)) == pytest.approx(0.0, abs=1e-6)
    assert noise.std(axis=(1, 2)) == pytest.approx(1.0)
    # white noise smoothed with a Gaussian of SD s correlates with itself as exp(-(lag / 2s)^2)
    for lag in (1, 2):
        pixels = round(lag * scale_mm / 0.2)
        expected = math.exp(-((pixels * 0.2 / (2.0 * scale_mm)) ** 2))
        assert (noise[:, :, pixels:] * noise[:, :, :-pixels]).mean() == pytest.approx(expected, abs=0.05)
        assert (noise[:, pixels:] * noise[:, :-pixels]).mean() == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("spacing_mm", [0.1, 0.3])
def test_other_spacings_give_the_same_size_in_mm(spacing_mm):
    size = {"rows": round(128 / spacing_mm), "columns": round(90 / spacing_mm)}
    phantom = make_phantom(2, PhantomParameters(spacing_mm=spacing_mm, **size))
    assert phantom.spacing_mm == (spacing_mm, spacing_mm)
    assert feret_mm(phantom) == pytest.approx(20.0, abs=1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"density": "E"},
        {"laterality": "left"},
        {"effect": -1.0},
        {"effect": math.nan},
        {"diameter_mm": 0.0},
        {"spacing_mm": math.inf},
        {"rows": 3},
    ],
)
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong)) if "rows" not in wrong else "too small") as caught:
        PhantomParameters(**wrong)
    assert "\n" not in str(caught.value)


def test_a_lesion_larger_than_the_breast_is_refused():
    with pytest.raises(InputError, match="does not fit"):
        make_phantom(1, PhantomParameters(diameter_mm=90.0))


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True, None])
def test_impossible_seeds_are_refused(seed):
    with pytest.raises(InputError, match="seed"):
        make_phantom(seed)


# --- the clinical record --------------------------------------------------------------------------------------------


def test_record_has_the_columns_of_the_table():
    record = draw_case(generator(1))
    assert list(record) == [
        "age", "tumor_diameter_mm", "breast_density", "microcalcifications", "er", "pr", "ki67", "her2_ihc", "her2_ish",
    ]  # fmt: skip


def test_records_are_plausible():
    rng = generator(2)
    records = [draw_case(rng) for _ in range(3000)]
    positive = np.mean([record["her2_ish"] == "positive" for record in records])
    assert positive == pytest.approx(1 / 3, abs=0.04)
    for record in records:
        assert record["her2_ihc"] == "2+" and record["breast_density"] in "ABCD"
        assert record["microcalcifications"] in (0, 1) and {record["er"], record["pr"]} <= {"positive", "negative"}
        assert DIAMETER_RANGE_MM[0] <= record["tumor_diameter_mm"] <= DIAMETER_RANGE_MM[1]
        assert 18 < record["age"] < 100 and 0 < record["ki67"] < 100
    assert {record["breast_density"] for record in records} == set("ABCD")


def test_positive_tumors_are_larger_on_average_with_effect_only():
    def mean_diameter(her2, effect):
        rng = generator(3)
        return np.mean([draw_case(rng, her2, effect)["tumor_diameter_mm"] for _ in range(500)])

    assert mean_diameter(True, 1.0) > 1.1 * mean_diameter(False, 1.0)
    assert mean_diameter(True, 0.0) == mean_diameter(False, 0.0)


def test_without_effect_only_the_label_differs():
    for seed in range(50):
        positive, negative = draw_case(generator(seed), True, 0.0), draw_case(generator(seed), False, 0.0)
        assert positive.pop("her2_ish") == "positive" and negative.pop("her2_ish") == "negative"
        assert positive == negative


# --- the cohort -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [DEFAULT_SIZES, {"train": 9}])
def test_a_third_of_every_split_is_positive(sizes):
    plan = module._plan(sizes, seed=1)
    for split, size in sizes.items():
        labels = [her2 for name, her2 in plan if name == split]
        assert len(labels) == size
        assert sum(labels) == round(size / 3)
    assert len({her2 for _, her2 in plan[:3]} | {her2 for _, her2 in plan[-3:]}) == 2


def test_plan_is_shuffled():
    labels = [her2 for _, her2 in module._plan({"train": 84}, seed=1)]
    assert labels != sorted(labels) and labels != sorted(labels, reverse=True)


def test_cohort_is_complete(cohort):
    rows = read_rows(cohort)
    assert cohort.name == "cases.csv" and len(rows) == 12
    assert len({row["case_id"] for row in rows}) == len({row["patient_id"] for row in rows}) == 12
    for split, size in SMALL_COHORT.items():
        in_split = [row for row in rows if row["split"] == split]
        assert len(in_split) == size
        assert sum(row["her2_ish"] == "positive" for row in in_split) == round(size / 3)
    for row in rows:
        assert not Path(row["image"]).is_absolute()
        image = sitk.ReadImage(str(cohort.parent / row["image"]))
        mask = sitk.ReadImage(str(cohort.parent / row["segmentation"]))
        assert image.GetSize() == mask.GetSize() == (448, 640, 1)
        assert image.GetSpacing() == mask.GetSpacing() == (0.2, 0.2, 1.0)
        assert image.GetOrigin() == mask.GetOrigin() and image.GetDirection() == mask.GetDirection()
        assert image.GetPixelID() == sitk.sitkUInt16


def test_table_holds_nearly_the_diameter_of_the_image(cohort):
    errors = []
    for row in read_rows(cohort):
        mask = sitk.GetArrayFromImage(sitk.ReadImage(str(cohort.parent / row["segmentation"])))[0] > 0
        measured = feret_mm(module.Phantom(mask, mask, (0.2, 0.2), PhantomParameters()))
        errors.append(float(row["tumor_diameter_mm"]) - measured)
    assert 0.1 < np.abs(errors).max() < 5.0


def test_only_the_cohort_is_in_the_folder(cohort):
    assert sorted(path.name for path in cohort.parent.iterdir()) == ["cases.csv", "images", "segmentations"]
    for folder in ("images", "segmentations"):
        assert len(list((cohort.parent / folder).iterdir())) == 12


def test_same_seed_same_files(tmp_path):
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        make_cohort(tmp_path / name, {"train": 2}, seed=seed)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a") != digests(tmp_path / "c")


def test_progress_is_reported_and_an_interruption_leaves_nothing(tmp_path):
    calls = []
    make_cohort(tmp_path, {"train": 2}, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]
    before = digests(tmp_path)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_cohort(tmp_path, {"train": 2}, seed=9, progress=stop)
    assert digests(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cases.csv", "images", "segmentations"]


def test_dicom_cohort(tmp_path):
    row = read_rows(make_cohort(tmp_path, {"internal_test": 1}, image_format="dicom"))[0]
    assert row["image"].endswith(".dcm")
    assert sitk.ReadImage(str(tmp_path / row["image"])).GetSize() == (448, 640, 1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"sizes": {"training": 3}}, "unknown split"),
        ({"sizes": {"train": -1}}, "size of split train"),
        ({"sizes": {"train": 0}}, "no cases"),
        ({"sizes": {"train": 1.5}}, "whole number"),
        ({"image_format": "jpeg"}, "image_format"),
        ({"seed": -3}, "seed"),
        ({"effect": -1.0}, "effect"),
    ],
)
def test_impossible_cohorts_are_refused(tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        make_cohort(tmp_path / "cohort", **arguments)
    assert not (tmp_path / "cohort" / "cases.csv").exists()


def test_unwritable_folder_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write") as caught:
        make_cohort(tmp_path / "file" / "cohort", {"train": 1})
    assert "\n" not in str(caught.value)


def test_failed_image_write_is_an_input_error(tmp_path, monkeypatch):
    def fail(*arguments, **keywords):
        raise RuntimeError("Exception thrown in SimpleITK\nITK ERROR: no space")

    monkeypatch.setattr(module.sitk, "WriteImage", fail)
    with pytest.raises(InputError, match="cannot write") as caught:
        make_cohort(tmp_path, {"train": 1})
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# --- segmentation and DICOM files -----------------------------------------------------------------------------------


def test_segmentation_is_read_by_slicerio_and_simpleitk(tmp_path, phantoms):
    slicerio = pytest.importorskip("slicerio")
    phantom, path = phantoms[1], tmp_path / "lesion.seg.nrrd"
    write_segmentation(phantom, path)
    segmentation = slicerio.read_segmentation(str(path))
    assert [segment["name"] for segment in segmentation["segments"]] == ["lesion"]
    segment = segmentation["segments"][0]
    assert segment["id"] == "lesion" and segment["labelValue"] == 1 and segment["layer"] == 0
    assert np.array_equal(segmentation["voxels"][:, :, 0].T > 0, phantom.lesion)
    image = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(image)[0] > 0, phantom.lesion)
    rows, columns = np.nonzero(phantom.lesion)
    extent = [columns.min(), columns.max(), rows.min(), rows.max(), 0, 0]
    assert [int(value) for value in image.GetMetaData("Segment0_Extent").split()] == extent
    assert image.GetMetaData("Segmentation_MasterRepresentation") == "Binary labelmap"


def test_segmentation_is_read_by_slicer(tmp_path, phantoms):
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    phantom, path = phantoms[2], tmp_path / "lesion.seg.nrrd"
    write_segmentation(phantom, path)
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node) == 1
    segmentation = node.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 1
    assert segmentation.GetNthSegmentID(0) == segmentation.GetNthSegment(0).GetName() == "lesion"
    labelmap = segmentation.GetNthSegment(0).GetRepresentation("Binary labelmap")
    support = pytest.importorskip("vtk.util.numpy_support")
    voxels = support.vtk_to_numpy(labelmap.GetPointData().GetScalars())
    assert (voxels == 1).sum() == phantom.lesion.sum()


@pytest.mark.parametrize("laterality", ["L", "R"])
def test_dicom_is_read_by_pydicom_and_simpleitk(tmp_path, laterality):
    pydicom = pytest.importorskip("pydicom")
    phantom, path = make_phantom(11, PhantomParameters(laterality=laterality)), tmp_path / "phantom.dcm"
    write_dicom(phantom, path)
    dataset = pydicom.dcmread(path)
    assert dataset.SOPClassUID.name.startswith("Digital Mammography X-Ray Image Storage - For Presentation")
    assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert (dataset.Modality, dataset.ImageLaterality, dataset.BitsStored) == ("MG", laterality, BITS_STORED)
    assert np.array_equal(dataset.pixel_array, phantom.pixels)
    magnification = float(dataset.EstimatedRadiographicMagnificationFactor)
    assert [float(v) / magnification for v in dataset.ImagerPixelSpacing] == pytest.approx([0.2, 0.2])
    assert [float(v) for v in dataset.PixelSpacing] == pytest.approx([0.2, 0.2])
    assert dataset.PatientID == "PHANTOM-11" and "SYNTHETIC" in str(dataset.PatientName)
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0], phantom.pixels)


@pytest.mark.parametrize(
    "convention, kind, values",
    [
        ("ge", "recombined", {"RECOMBINED"}),
        ("ge", "low_energy", {"LOW_ENERGY"}),
        ("standard", "recombined", {"POST_CONTRAST", "SUBTRACTION"}),
        ("standard", "low_energy", {"POST_CONTRAST", "LOW_ENERGY"}),
    ],
)
def test_dicom_says_the_kind(tmp_path, phantoms, convention, kind, values):
    pydicom = pytest.importorskip("pydicom")
    path = tmp_path / "phantom.dcm"
    write_dicom(phantoms[0], path, kind, convention)
    dataset = pydicom.dcmread(path)
    assert set(dataset.ImageType) - {"DERIVED", "PRIMARY", ""} == values
    codes = {("ge", "recombined"): "GEMS_CESM_1", ("ge", "low_energy"): "GEMS_FFDM_PV"}
    assert dataset.get("AcquisitionDeviceProcessingCode") == codes.get((convention, kind))


def test_dicom_files_and_identifiers_depend_on_the_phantom_alone(tmp_path):
    pydicom = pytest.importorskip("pydicom")

    def written(name, seed, **options):
        write_dicom(make_phantom(seed), tmp_path / name, **options)
        return tmp_path / name

    assert written("a", 12).read_bytes() == written("b", 12).read_bytes()
    recombined, other = pydicom.dcmread(tmp_path / "a"), pydicom.dcmread(written("c", 13))
    low_energy = pydicom.dcmread(written("d", 12, kind="low_energy"))
    assert recombined.SOPInstanceUID != other.SOPInstanceUID
    assert recombined.SOPInstanceUID != low_energy.SOPInstanceUID
    assert recombined.StudyInstanceUID == low_energy.StudyInstanceUID != other.StudyInstanceUID


def test_unknown_kind_is_refused(tmp_path, phantoms):
    with pytest.raises(InputError, match="tomosynthesis"):
        write_dicom(phantoms[0], tmp_path / "phantom.dcm", "tomosynthesis")
    assert not (tmp_path / "phantom.dcm").exists()


@pytest.mark.skipif(
    importlib.util.find_spec("HER2NomogramLib.mammogram") is None, reason="mammogram.py is not there yet"
)
@pytest.mark.parametrize("convention", ["ge", "standard"])
@pytest.mark.parametrize("kind", ["recombined", "low_energy"])
def test_read_mammogram_understands_the_file(tmp_path, phantoms, kind, convention):
    pytest.importorskip("pydicom")
    from HER2NomogramLib.mammogram import read_mammogram

    write_dicom(phantoms[3], tmp_path / "phantom.dcm", kind, convention)
    mammogram = read_mammogram(tmp_path / "phantom.dcm")
    assert mammogram.spacing_mm == pytest.approx((0.2, 0.2))
    assert mammogram.kind == kind
    assert mammogram.presentation == "FOR PRESENTATION"
    assert np.array_equal(mammogram.pixels, phantoms[3].pixels)
    breast = phantoms[3].pixels > 0
    overlap = (mammogram.breast & breast).sum() / (mammogram.breast | breast).sum()
    assert overlap > 0.95
    assert mammogram.breast[phantoms[3].lesion].all()
