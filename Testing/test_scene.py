"""The bridge to the MRML scene, on Slicer's own MRML (slicer-core)."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
vtk = pytest.importorskip("vtk")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from harness import load_module, new_scene, radiomics_cli  # noqa: E402

load_module()
from vtk.util.numpy_support import numpy_to_vtk  # noqa: E402

from harness.samples import EXTRACTION, phantom_in_scene  # noqa: E402
from HER2NomogramLib import scene  # noqa: E402
from HER2NomogramLib.errors import InputError  # noqa: E402
from HER2NomogramLib.features import ExtractionSettings, feature_row  # noqa: E402
from HER2NomogramLib.mammogram import Mammogram  # noqa: E402
from HER2NomogramLib.phantom import make_phantom, write_dicom  # noqa: E402
from HER2NomogramLib.prediction import case_regions  # noqa: E402
from HER2NomogramLib.regions import INTRATUMORAL, Region, make_regions  # noqa: E402

ROWS, COLUMNS = 90, 70


@pytest.fixture
def mrml():
    return new_scene()


def disk(row=45, column=35, radius=10, shape=(ROWS, COLUMNS)):
    rows, columns = np.indices(shape)
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def small_image(spacing=(0.2, 0.3), dtype=np.uint16, origin=(0.0, 0.0, 0.0), direction=None):
    pixels = np.random.default_rng(1).integers(0, 200, (1, ROWS, COLUMNS)).astype(dtype)
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing((*spacing, 1.0))
    image.SetOrigin(origin)
    image.SetDirection(direction or np.eye(3).ravel().tolist())
    return image


def small_volume(mrml, **kwargs):
    return scene.add_volume(mrml, small_image(**kwargs), "CEM")


def ids_by_name(segmentation_node):
    segmentation = segmentation_node.GetSegmentation()
    return {segmentation.GetSegment(i).GetName(): i for i in segmentation.GetSegmentIDs()}


def transform(mrml, node, **offsets):
    matrix = vtk.vtkMatrix4x4()
    for axis, value in offsets.items():
        matrix.SetElement("xyz".index(axis), 3, value)
    made = mrml.AddNewNodeByClass("vtkMRMLTransformNode")
    made.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(made.GetID())
    return made


# --- Volumes ----------------------------------------------------------------------------------------------------------


def test_volume_gives_back_the_image_it_was_made_of(mrml):
    turned = [0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    image = small_image(origin=(3.0, -4.0, 5.0), direction=turned, dtype=np.int16)
    mammogram = scene.mammogram_from_volume(scene.add_volume(mrml, image, "CEM"))
    assert (mammogram.pixels == sitk.GetArrayFromImage(image)[0]).all()
    assert mammogram.pixels.dtype == np.int16
    assert mammogram.spacing_mm == (0.2, 0.3)
    assert mammogram.image.GetOrigin() == pytest.approx(image.GetOrigin())
    assert mammogram.image.GetDirection() == pytest.approx(turned)
    assert "source unknown" in mammogram.spacing_source
    assert any("check it" in warning for warning in mammogram.warnings)


def test_volume_lies_in_slicer_where_itk_has_it(mrml):
    volume = scene.add_volume(mrml, small_image(origin=(3.0, -4.0, 5.0)), "CEM")
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    assert matrix.MultiplyPoint((10, 20, 0, 1))[:3] == pytest.approx((-3.0 - 2.0, 4.0 - 6.0, 5.0))


@pytest.mark.parametrize(("given", "expected"), [(0.094, (0.094, 0.094)), ((0.1, 0.2), (0.2, 0.1))])
def test_given_spacing_overrides_and_pairs_are_row_column(mrml, given, expected):
    mammogram = scene.mammogram_from_volume(small_volume(mrml), given)
    assert mammogram.spacing_mm == expected
    assert mammogram.spacing_source == "given by the user"


def vector_volume(mrml, same=True):
    """What Slicer makes of a JPEG."""
    pixels = np.repeat(np.random.default_rng(1).integers(0, 250, (ROWS * COLUMNS, 1)), 3, axis=1).astype(np.uint8)
    if not same:
        pixels[::2, 1] = 255 - pixels[::2, 0]
    data = vtk.vtkImageData()
    data.SetDimensions(COLUMNS, ROWS, 1)
    data.GetPointData().SetScalars(numpy_to_vtk(pixels, deep=True))
    volume = mrml.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "JPEG")
    volume.SetAndObserveImageData(data)
    volume.SetSpacing(0.2646, 0.2646, 1)
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    return volume, pixels[:, 0].reshape(ROWS, COLUMNS)


def test_gray_stored_as_color_is_taken_but_its_spacing_is_not(mrml):
    volume, pixels = vector_volume(mrml)
    with pytest.raises(InputError, match="give the pixel spacing"):
        scene.mammogram_from_volume(volume)
    mammogram = scene.mammogram_from_volume(volume, 0.1)
    assert (mammogram.pixels == pixels).all()
    assert any("8-bit" in warning for warning in mammogram.warnings)


def test_color_image_is_refused(mrml):
    with pytest.raises(InputError, match="color"):
        scene.mammogram_from_volume(vector_volume(mrml, same=False)[0], 0.1)


def test_spacing_of_a_jpeg_is_not_believed(mrml):
    volume = small_volume(mrml)
    storage = mrml.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName("/somewhere/image.JPG")
    volume.SetAndObserveStorageNodeID(storage.GetID())
    with pytest.raises(InputError, match="dots per inch"):
        scene.mammogram_from_volume(volume)
    warnings = scene.mammogram_from_volume(volume, 0.1).warnings
    assert any("lossy" in warning for warning in warnings)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.3, 1.0), (0.001, 0.001), (5.0, 5.0)])
def test_default_or_implausible_spacing_is_refused(mrml, spacing):
    with pytest.raises(InputError, match="pixel spacing") as refused:
        scene.mammogram_from_volume(small_volume(mrml, spacing=spacing))
    assert "Volume 'CEM'" in str(refused.value)


@pytest.mark.parametrize("given", [0.0001, 3.0])
def test_implausible_given_spacing_is_refused(mrml, given):
    with pytest.raises(InputError, match="outside"):
        scene.mammogram_from_volume(small_volume(mrml), given)


def volume_of(mrml, pixels):
    made = sitk.GetImageFromArray(pixels)
    made.CopyInformation(small_image())
    return scene.add_volume(mrml, made, "CEM")


def test_several_slices_no_image_all_nan_and_constant_are_refused(mrml):
    stack = small_volume(mrml)
    data = vtk.vtkImageData()
    data.SetDimensions(20, 20, 7)
    data.AllocateScalars(vtk.VTK_SHORT, 1)
    stack.SetAndObserveImageData(data)
    with pytest.raises(InputError, match="7 slices"):
        scene.mammogram_from_volume(stack)
    for nothing in (None, mrml.AddNewNodeByClass("vtkMRMLScalarVolumeNode")):
        with pytest.raises(InputError, match="No image"):
            scene.mammogram_from_volume(nothing)
    for value, reason in ((0.0, "equal"), (np.nan, "nothing to measure")):
        with pytest.raises(InputError, match=reason):
            scene.mammogram_from_volume(volume_of(mrml, np.full((1, ROWS, COLUMNS), value, np.float32)))


def test_some_pixels_that_are_not_finite_are_kept_with_a_warning(mrml):
    pixels = sitk.GetArrayFromImage(small_image()).astype(np.float32)
    assert not any("NaN" in warning for warning in scene.mammogram_from_volume(volume_of(mrml, pixels)).warnings)
    pixels[0, 5, 7] = np.nan
    mammogram = scene.mammogram_from_volume(volume_of(mrml, pixels))
    np.testing.assert_array_equal(mammogram.pixels, pixels[0])
    (warning,) = (warning for warning in mammogram.warnings if "NaN" in warning)
    assert "1 pixel that is NaN or infinite" in warning


@pytest.fixture(scope="module")
def dicom(tmp_path_factory):
    study = make_phantom(4)
    path = tmp_path_factory.mktemp("dicom") / "DOE_JANE.dcm"
    write_dicom(study, path)
    return study, path


def dicom_volume(mrml, study):
    image = Mammogram.from_array(study.pixels, (0.11, 0.11), "wrong on purpose").image
    return scene.add_volume(mrml, image, "CEM")


def test_tags_of_the_file_that_the_volume_was_loaded_from(mrml, dicom):
    study, path = dicom
    volume = dicom_volume(mrml, study)
    storage = mrml.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    volume.SetAndObserveStorageNodeID(storage.GetID())
    mammogram = scene.mammogram_from_volume(volume)
    assert mammogram.spacing_mm == pytest.approx(study.spacing_mm)
    assert "ImagerPixelSpacing" in mammogram.spacing_source or "PixelSpacing" in mammogram.spacing_source
    assert (mammogram.kind, mammogram.presentation) == ("recombined", "FOR PRESENTATION")
    assert (mammogram.pixels == study.pixels).all()
    assert scene.mammogram_from_volume(volume, 0.15).spacing_mm == (0.15, 0.15)


def test_tags_of_the_file_in_slicers_dicom_database(mrml, dicom, monkeypatch):
    study, path = dicom
    volume = dicom_volume(mrml, study)
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    database = SimpleNamespace(fileForInstance=lambda uid: str(path) if uid == "1.2.3" else "")
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    assert scene.mammogram_from_volume(volume).spacing_mm == pytest.approx(study.spacing_mm)
    database.fileForInstance = lambda uid: "/gone/file.dcm"
    assert "source unknown" in scene.mammogram_from_volume(volume).spacing_source


def test_file_name_of_a_patient_stays_out_of_messages(mrml, dicom, tmp_path):
    import pydicom

    study, path = dicom
    dataset = pydicom.dcmread(path)
    dataset.Modality = "CR"
    path = tmp_path / path.name
    dataset.save_as(path)
    volume = dicom_volume(mrml, study)
    storage = mrml.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    volume.SetAndObserveStorageNodeID(storage.GetID())
    with pytest.raises(InputError) as refused:
        scene.mammogram_from_volume(volume)
    assert "DOE" not in str(refused.value)
    assert "Modality" in str(refused.value)


def test_image_kind_can_be_said_by_an_attribute(mrml):
    volume = small_volume(mrml)
    assert scene.mammogram_from_volume(volume).kind is None
    volume.SetAttribute(scene.KIND_ATTRIBUTE, "low_energy")
    assert scene.mammogram_from_volume(volume).kind == "low_energy"


# --- Segments in ------------------------------------------------------------------------------------------------------


def test_segments_that_overlap_and_share_a_layer_are_told_apart(mrml):
    volume = small_volume(mrml)
    masks = {"Lesion": disk(), "Clip": disk(10, 10, 3), "Overlap": disk(50, 40, 12)}
    node = scene.add_segmentation(mrml, masks, volume, "Outlines")
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    assert node.GetSegmentation().GetNumberOfLayers() == 2
    for name, segment_id in ids_by_name(node).items():
        assert (scene.segment_mask(node, segment_id, volume) == masks[name]).all(), name


def test_segment_drawn_on_a_finer_grid_is_resampled(mrml):
    volume = small_volume(mrml, spacing=(0.2, 0.2))
    fine = sitk.GetImageFromArray(np.zeros((1, ROWS * 4, COLUMNS * 4), np.uint8))
    fine.SetSpacing((0.05, 0.05, 1.0))
    fine.SetOrigin((-0.075, -0.075, 0.0))
    other = scene.add_volume(mrml, fine, "Fine")
    drawn = np.kron(disk(), np.ones((4, 4))) > 0
    node = scene.add_segmentation(mrml, {"Lesion": drawn}, other, "Outlines")
    assert (scene.segment_mask(node, ids_by_name(node)["Lesion"], volume) == disk()).all()


def test_parent_transforms_of_both_nodes_count(mrml):
    volume = small_volume(mrml, spacing=(0.2, 0.2))
    node = scene.add_segmentation(mrml, {"Lesion": disk()}, volume, "Outlines")
    lesion = ids_by_name(node)["Lesion"]
    moved = transform(mrml, node, x=-1.0, y=-2.0)
    assert (scene.segment_mask(node, lesion, volume) == disk(45 + 10, 35 + 5)).all()
    volume.SetAndObserveTransformNodeID(moved.GetID())
    assert (scene.segment_mask(node, lesion, volume) == disk()).all()


def closed_surface(node):
    node.CreateClosedSurfaceRepresentation()
    node.SetSourceRepresentationToClosedSurface()
    node.RemoveBinaryLabelmapRepresentation()


def test_closed_surface_is_converted_and_stays_a_closed_surface(mrml):
    volume = small_volume(mrml, spacing=(0.2, 0.2))
    node = scene.add_segmentation(mrml, {"Lesion": disk(radius=20)}, volume, "Outlines")
    lesion = ids_by_name(node)["Lesion"]
    closed_surface(node)
    mask = scene.segment_mask(node, lesion, volume)
    assert (mask & disk(radius=20)).sum() / (mask | disk(radius=20)).sum() > 0.9
    assert not node.GetSegmentation().ContainsRepresentation("Binary labelmap")
    with pytest.raises(InputError, match="closed surface"):
        scene.write_region_segments(node, volume, {}, lesion)


@pytest.mark.parametrize(
    ("offset", "reason"),
    [({"x": -(35 - 2) * 0.2}, "outside of 'CEM'"), ({"x": 500.0}, "100% .* outside"), ({"z": 3.0}, "another plane")],
)
def test_segment_outside_the_image_is_refused_with_numbers(mrml, offset, reason):
    volume = small_volume(mrml, spacing=(0.2, 0.2))
    node = scene.add_segmentation(mrml, {"Lesion": disk()}, volume, "Outlines")
    transform(mrml, node, **offset)
    with pytest.raises(InputError, match=reason) as refused:
        scene.segment_mask(node, ids_by_name(node)["Lesion"], volume)
    assert "mm2" in str(refused.value)


def test_a_trace_outside_the_image_is_tolerated(mrml):
    volume = small_volume(mrml, spacing=(0.2, 0.2))
    node = scene.add_segmentation(mrml, {"Lesion": disk(45, 10, 10)}, volume, "Outlines")
    transform(mrml, node, x=0.2)
    assert scene.segment_mask(node, ids_by_name(node)["Lesion"], volume).sum() == disk(45, 10, 10).sum() - 1


def test_missing_and_empty_segments_are_named(mrml):
    volume = small_volume(mrml)
    node = scene.add_segmentation(mrml, {"Lesion": disk()}, volume, "Outlines")
    empty = node.GetSegmentation().AddEmptySegment("", "Nothing yet")
    with pytest.raises(InputError, match="'Nothing yet' is empty"):
        scene.segment_mask(node, empty, volume)
    with pytest.raises(InputError, match="'Outlines' has no segment 'Segment_7'"):
        scene.segment_mask(node, "Segment_7", volume)
    with pytest.raises(InputError, match="no lesion segment chosen"):
        scene.segment_mask(node, "", volume)
    with pytest.raises(InputError, match="No segmentation"):
        scene.segment_mask(None, "", volume)


# --- Regions out ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["Segment Editor logic", "Segmentations logic"])
def route(request, monkeypatch):
    """The way of Slicer 5.10 and later, and the one before."""
    if request.param == "Segmentations logic":
        monkeypatch.delattr(slicer, "vtkSlicerSegmentEditorLogic")
    return request.param


def drawn_case(mrml):
    """A segmentation whose segments overlap and share layers, as a saved and loaded one does."""
    volume = small_volume(mrml)
    masks = {"Lesion": disk(), "Clip": disk(40, 30, 4), "Muscle": disk(5, 5, 20), "Scar": disk(50, 40, 12)}
    node = scene.add_segmentation(mrml, masks, volume, "Outlines")
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    return volume, node, masks


def test_regions_become_segments_and_the_users_own_stay_voxel_for_voxel(mrml, route):
    volume, node, masks = drawn_case(mrml)
    own = ids_by_name(node)
    regions = make_regions(masks["Lesion"], (0.2, 0.3), (1.0, 3.0))
    nodes = mrml.GetNumberOfNodes()
    written = scene.write_region_segments(node, volume, regions, own["Lesion"])
    assert list(written) == list(regions)
    assert written[INTRATUMORAL] == own["Lesion"]
    for name, segment_id in written.items():
        assert (scene.segment_mask(node, segment_id, volume) == regions[name].mask).all(), name
    for name, segment_id in own.items():
        assert (scene.segment_mask(node, segment_id, volume) == masks[name]).all(), name
    assert mrml.GetNumberOfNodes() - nodes <= 1  # the subject hierarchy may have been made on the way
    assert not mrml.GetNodesByClass("vtkMRMLSegmentEditorNode").GetNumberOfItems()


def test_writing_again_replaces(mrml, route):
    volume, node, masks = drawn_case(mrml)
    lesion = ids_by_name(node)["Lesion"]
    first = scene.write_region_segments(node, volume, make_regions(masks["Lesion"], (0.2, 0.3), (1.0, 3.0)), lesion)
    count = node.GetSegmentation().GetNumberOfSegments()
    node.GetSegmentation().CollapseBinaryLabelmaps(False)  # what saving and loading does to the layers
    node.GetSegmentation().GetSegment(lesion).SetName("Tumor")
    smaller = disk(45, 35, 6)
    regions = make_regions(smaller, (0.2, 0.3), (1.0, 3.0))
    again = scene.write_region_segments(node, volume, regions, lesion)
    assert again == first
    assert node.GetSegmentation().GetNumberOfSegments() == count
    for name in regions:
        if name != INTRATUMORAL:
            assert (scene.segment_mask(node, again[name], volume) == regions[name].mask).all(), name
    assert "Peritumoral 3 mm (Tumor)" in ids_by_name(node)
    for name in ("Clip", "Muscle", "Scar"):
        assert (scene.segment_mask(node, ids_by_name(node)[name], volume) == masks[name]).all(), name


def test_regions_of_two_lesions_do_not_replace_each_other(mrml):
    volume, node, masks = drawn_case(mrml)
    ids = ids_by_name(node)
    one = scene.write_region_segments(node, volume, make_regions(masks["Lesion"], (0.2, 0.3), (1.0,)), ids["Lesion"])
    two = scene.write_region_segments(node, volume, make_regions(masks["Scar"], (0.2, 0.3), (1.0,)), ids["Scar"])
    assert not set(one.values()) & set(two.values())


def test_segments_on_another_grid_keep_it(mrml, route):
    volume = small_volume(mrml, spacing=(0.2, 0.2))
    fine = sitk.GetImageFromArray(np.zeros((1, ROWS * 3, COLUMNS * 3), np.uint8))
    fine.SetSpacing((0.2 / 3, 0.2 / 3, 1.0))
    fine.SetOrigin((-0.2 / 3, -0.2 / 3, 0.0))
    other = scene.add_volume(mrml, fine, "Fine")
    drawn = disk(135, 105, 31, (ROWS * 3, COLUMNS * 3))
    node = scene.add_segmentation(mrml, {"Lesion": drawn}, other, "Outlines")
    lesion = ids_by_name(node)["Lesion"]
    regions = make_regions(scene.segment_mask(node, lesion, volume), (0.2, 0.2), (2.0,))
    written = scene.write_region_segments(node, volume, regions, lesion)
    assert (scene.segment_mask(node, lesion, other) == drawn).all()
    for name in ("peritumoral_2mm", "combined_2mm"):
        assert (scene.segment_mask(node, written[name], volume) == regions[name].mask).all()


def test_regions_follow_the_transform_of_the_segmentation(mrml, route):
    volume = small_volume(mrml, spacing=(0.2, 0.2))
    node = scene.add_segmentation(mrml, {"Lesion": disk()}, volume, "Outlines")
    lesion = ids_by_name(node)["Lesion"]
    transform(mrml, node, x=-1.0)
    regions = make_regions(scene.segment_mask(node, lesion, volume), (0.2, 0.2), (2.0,))
    written = scene.write_region_segments(node, volume, regions, lesion)
    assert (scene.segment_mask(node, written["peritumoral_2mm"], volume) == regions["peritumoral_2mm"].mask).all()


def test_a_region_is_not_taken_for_a_lesion_and_combined_ones_start_hidden(mrml):
    volume, node, masks = drawn_case(mrml)
    lesion = ids_by_name(node)["Lesion"]
    written = scene.write_region_segments(node, volume, make_regions(masks["Lesion"], (0.2, 0.3), (1.0,)), lesion)
    with pytest.raises(InputError, match="choose the lesion itself"):
        scene.lesion_mask(node, written["peritumoral_1mm"], volume)
    display = node.GetDisplayNode()
    assert display.GetSegmentVisibility(written["peritumoral_1mm"])
    assert not display.GetSegmentVisibility(written["combined_1mm"])


# --- SlicerRadiomics' command-line module -----------------------------------------------------------------------------


@pytest.fixture
def cli(monkeypatch):
    pytest.importorskip("radiomics", reason="pyradiomics is not installed")
    monkeypatch.setattr(slicer.modules, "slicerradiomicscli", object(), raising=False)
    monkeypatch.setattr(slicer, "cli", SimpleNamespace(run=radiomics_cli.run), raising=False)


@pytest.fixture
def case(mrml):
    volume, node, ids = phantom_in_scene(mrml)
    mammogram = scene.mammogram_from_volume(volume)
    regions = case_regions(mammogram, scene.lesion_mask(node, ids["Lesion"], volume), (5.0,))
    return volume, mammogram, {name: regions[name] for name in (INTRATUMORAL, "peritumoral_5mm")}


def test_command_line_module_gives_the_same_row(mrml, cli, case):
    volume, mammogram, regions = case
    content = {**EXTRACTION, "imageType": {"Original": {}, "LoG": {"sigma": [1.0, 2.0], "binCount": 16}, "Wavelet": {}}}
    settings = ExtractionSettings.from_dict(content)
    nodes = mrml.GetNumberOfNodes()
    row = scene.slicer_radiomics_row(volume, mammogram, regions, settings)
    expected = feature_row(mammogram, regions, settings)
    assert set(row) == set(expected)
    assert "image__peritumoral_5mm__log-sigma-2-0-mm-3D_glcm_JointEnergy" in row
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-9), name
    assert mrml.GetNumberOfNodes() == nodes


def test_command_line_module_that_fails_says_so_in_one_line_and_leaves_nothing(mrml, cli, case):
    volume, mammogram, regions = case
    one_pixel = np.zeros_like(regions[INTRATUMORAL].mask)
    one_pixel[300, 200] = True
    regions = {INTRATUMORAL: Region(INTRATUMORAL, one_pixel, None, 1.0)}
    nodes = mrml.GetNumberOfNodes()
    with pytest.raises(InputError, match="SlicerRadiomics failed") as failed:
        scene.slicer_radiomics_row(volume, mammogram, regions, ExtractionSettings.from_dict(EXTRACTION))
    assert "1 segmented voxel" in str(failed.value)
    assert "\n" not in str(failed.value)
    assert mrml.GetNumberOfNodes() == nodes


def test_settings_that_cannot_be_handed_over_are_refused(cli, case):
    volume, mammogram, regions = case
    content = {**EXTRACTION, "setting": {"normalize": True, "binCount": 32}}
    with pytest.raises(InputError, match="normalize"):
        scene.slicer_radiomics_row(volume, mammogram, regions, ExtractionSettings.from_dict(content))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_not_handed_to_the_command_line_module(mrml, cli, case, monkeypatch, bad):
    volume, mammogram, regions = case
    pixels = mammogram.pixels.astype(np.float32)
    pixels[0, 0] = bad
    spoiled = Mammogram.from_array(pixels, mammogram.spacing_mm, "phantom")
    monkeypatch.setattr(slicer.cli, "run", lambda *_, **__: pytest.fail("the module was run"))
    nodes = mrml.GetNumberOfNodes()
    with pytest.raises(InputError, match="NaN or infinite.*SlicerRadiomics does not notice") as refused:
        scene.slicer_radiomics_row(volume, spoiled, regions, ExtractionSettings.from_dict(EXTRACTION))
    assert "engine fast or pyradiomics" in str(refused.value) and "\n" not in str(refused.value)
    assert mrml.GetNumberOfNodes() == nodes


def test_missing_radiomics_is_said_before_anything_is_computed(monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "radiomics" else find(name, *a))
    scene.require_radiomics(scene.FAST)
    monkeypatch.setitem(sys.modules, "numba", None)
    for engine in scene.ENGINES:
        with pytest.raises(InputError, match="SlicerRadiomics extension is needed"):
            scene.require_radiomics(engine)
    with pytest.raises(InputError, match="'other' is not known"):
        scene.require_radiomics("other")
