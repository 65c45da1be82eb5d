"""Segments from Slicer files, label images and contour tables, on the grid of the mammogram."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.mammogram import Mammogram, read_mammogram
from HER2NomogramLib.segmentation import polygon_mask, read_segment, read_segments

SHAPE = (60, 80)
SPACING = (0.1, 0.1)


def mammogram(spacing=SPACING, shape=SHAPE, **kwargs):
    pixels = np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)
    return Mammogram.from_array(pixels, spacing, "test", **kwargs)


def lesion(rows=slice(20, 40), columns=slice(30, 55), shape=SHAPE):
    mask = np.zeros(shape, dtype=bool)
    mask[rows, columns] = True
    return mask


def label_image(array, spacing=SPACING, origin=(0.0, 0.0, 0.0), direction=None):
    image = sitk.GetImageFromArray(np.asarray(array, dtype=np.uint8)[np.newaxis])
    image.SetSpacing((*spacing, 1.0))
    image.SetOrigin(origin)
    if direction is not None:
        image.SetDirection(direction)
    return image


def write(path, image, **fields):
    for key, value in fields.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path))
    return path


def write_label(path, array, **kwargs):
    return write(path, label_image(array, **kwargs))


def one_line_error(path, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        read_segment(path, *args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(path.name)
    return message


# --- Slicer segmentations ---------------------------------------------------------------------------------------------


@pytest.fixture
def slicer_file(tmp_path):
    """Läsion and Clip share layer 0, Muscle overlaps them in layer 1, Nothing is empty."""
    clip, muscle = lesion(slice(5, 8), slice(5, 9)), lesion(slice(0, 30), slice(0, 40))
    layers = [label_image(1 * lesion() + 2 * clip), label_image(muscle)]
    fields = {}
    for number, (name, layer, value) in enumerate(
        [("Läsion", 0, 1), ("Clip", 0, 2), ("Muscle", 1, 1), ("Nothing", 1, 7)]
    ):
        fields |= {
            f"Segment{number}_ID": f"Segment_{number + 1}",
            f"Segment{number}_Name": name,
            f"Segment{number}_Layer": str(layer),
            f"Segment{number}_LabelValue": str(value),
        }
    path = write(tmp_path / "case.seg.nrrd", sitk.Compose(layers), **fields)
    return path, {"Läsion": lesion(), "Clip": clip, "Muscle": muscle}


def test_segments_by_name_id_and_value(slicer_file):
    path, masks = slicer_file
    image = mammogram()
    for name, mask in masks.items():
        np.testing.assert_array_equal(read_segment(path, image, name), mask)
    np.testing.assert_array_equal(read_segment(str(path), image, " Segment_2 "), masks["Clip"])
    for value in ("2", 2, 2.0, "2.0"):
        np.testing.assert_array_equal(read_segment(path, image, value), masks["Clip"])


def test_segment_not_chosen_unknown_empty_ambiguous(slicer_file):
    path, _ = slicer_file
    for blank in (None, "", float("nan")):
        assert "several segments, name one of them: Läsion, Clip, Muscle, Nothing" in one_line_error(
            path, mammogram(), blank
        )
    assert "no segment Tumor; there are: Läsion" in one_line_error(path, mammogram(), "Tumor")
    assert "segment Nothing is empty" in one_line_error(path, mammogram(), "Nothing")
    assert "2 segments 1" in one_line_error(path, mammogram(), 1)  # label value of Läsion and of Muscle


def test_union_of_segments(slicer_file):
    path, masks = slicer_file
    union = read_segments(path, mammogram(), ["Clip", "Muscle", "", "Nothing"])
    np.testing.assert_array_equal(union, masks["Clip"] | masks["Muscle"])
    np.testing.assert_array_equal(read_segments(path, mammogram(), "Clip"), masks["Clip"])
    assert not read_segments(path, mammogram(), []).any()
    with pytest.raises(InputError, match="no segment Tumor"):
        read_segments(path, mammogram(), ["Clip", "Tumor"])


def test_old_slicer_file_without_layers(tmp_path):
    layers = sitk.Compose([label_image(lesion()), label_image(~lesion())])
    fields = {"Segment0_ID": "a", "Segment0_Name": "A", "Segment1_ID": "b", "Segment1_Name": "B"}
    path = write(tmp_path / "old.seg.nrrd", layers, **fields)
    np.testing.assert_array_equal(read_segment(path, mammogram(), "B"), ~lesion())


def test_name_wins_over_label_value(tmp_path):
    fields = {"Segment0_ID": "x", "Segment0_Name": "2", "Segment0_Layer": "0", "Segment0_LabelValue": "1"}
    fields |= {"Segment1_ID": "y", "Segment1_Name": "B", "Segment1_Layer": "0", "Segment1_LabelValue": "2"}
    path = write(tmp_path / "a.seg.nrrd", label_image(1 * lesion() + 2 * ~lesion()), **fields)
    np.testing.assert_array_equal(read_segment(path, mammogram(), "2"), lesion())


def test_damaged_layer_number(tmp_path):
    path = write(tmp_path / "a.seg.nrrd", label_image(lesion()), Segment0_ID="x", Segment0_Name="A", Segment0_Layer="3")
    assert "layer 3" in one_line_error(path, mammogram())
    path = write(tmp_path / "b.seg.nrrd", label_image(lesion()), Segment0_ID="x", Segment0_LabelValue="one")
    assert "damaged" in one_line_error(path, mammogram())


def test_label_value_beyond_the_pixel_type(tmp_path):
    """ITK would take 257 for 1 in an image of bytes."""
    fields = {"Segment0_ID": "x", "Segment0_LabelValue": "257", "Segment1_ID": "y", "Segment1_LabelValue": "1"}
    path = write(tmp_path / "a.seg.nrrd", label_image(lesion()), **fields)
    assert "empty" in one_line_error(path, mammogram(), "x")
    np.testing.assert_array_equal(read_segment(path, mammogram(), "y"), lesion())


def test_segmentation_saved_by_slicer_core(tmp_path):
    """A file of Slicer's own storage node: overlapping segments, cropped to their extent."""
    slicer = pytest.importorskip("slicer")
    vtk = pytest.importorskip("vtk")
    from vtk.util.numpy_support import vtk_to_numpy

    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    for name, extent in (("Läsion", (30, 54, 20, 39, 0, 0)), ("Rand", (28, 56, 18, 41, 0, 0))):
        labelmap = slicer.vtkOrientedImageData()
        labelmap.SetExtent(*extent)
        labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        vtk_to_numpy(labelmap.GetPointData().GetScalars())[:] = 1
        labelmap.SetSpacing(0.2646, 0.2646, 1.0)  # the false spacing that Slicer shows
        directions = vtk.vtkMatrix4x4()
        directions.SetElement(0, 0, -1)
        directions.SetElement(1, 1, -1)
        labelmap.SetDirectionMatrix(directions)
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Binary labelmap", labelmap)
        node.GetSegmentation().AddSegment(segment)
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    path = tmp_path / "slicer.seg.nrrd"
    storage.SetFileName(str(path))
    storage.SetCropToMinimumExtent(True)
    assert storage.WriteData(node)
    assert sitk.ReadImage(str(path)).GetSize() == (29, 24, 1)
    image = mammogram(file_spacings_mm=((0.2646, 0.2646),))
    np.testing.assert_array_equal(read_segment(path, image, "Läsion"), lesion())
    np.testing.assert_array_equal(read_segment(path, image, "Rand"), lesion(slice(18, 42), slice(28, 57)))


# --- Label images -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".nrrd", ".nii", ".nii.gz", ".mha", ".png", ".tif"])
def test_label_images(tmp_path, suffix):
    image = label_image(3 * lesion() + 5 * lesion(slice(0, 5)))
    path = write(tmp_path / f"label{suffix}", image[:, :, 0] if suffix in (".png", ".tif") else image)
    for value in (3, "3", 3.0):
        np.testing.assert_array_equal(read_segment(path, mammogram(), value), lesion())
    assert "several segments, name one of them: 3, 5" in one_line_error(path, mammogram())
    assert "no segment 4; there are: 3, 5" in one_line_error(path, mammogram(), 4)


def test_single_label_needs_no_name(tmp_path):
    image = sitk.GetImageFromArray(255 * lesion().astype(np.uint8))
    path = write(tmp_path / "mask.png", image)
    np.testing.assert_array_equal(read_segment(path, mammogram()), lesion())
    rgb = write(tmp_path / "rgb.png", sitk.Compose([image] * 3))
    np.testing.assert_array_equal(read_segment(rgb, mammogram()), lesion())


def test_no_label_image(tmp_path):
    noise = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    path = write(tmp_path / "noise.nrrd", sitk.GetImageFromArray(noise))
    assert "no label image" in one_line_error(path, mammogram())
    assert "no segment" in one_line_error(write_label(tmp_path / "none.nrrd", np.zeros(SHAPE)), mammogram())
    jpeg = write(tmp_path / "mask.jpg", sitk.GetImageFromArray(255 * lesion().astype(np.uint8)))
    assert "JPEG" in one_line_error(jpeg, mammogram())
    several = sitk.JoinSeries([sitk.GetImageFromArray(lesion().astype(np.uint8))] * 2)
    assert "several slices" in one_line_error(write(tmp_path / "volume.nrrd", several), mammogram())
    assert "not a file" in one_line_error(tmp_path / "missing.nrrd", mammogram())
    broken = tmp_path / "broken.seg.nrrd"
    broken.write_bytes(b"NRRD0004\nnonsense")
    assert "damaged" in one_line_error(broken, mammogram())


# --- Grids ------------------------------------------------------------------------------------------------------------


def test_without_geometry_the_size_must_be_equal(tmp_path):
    path = write(tmp_path / "mask.png", sitk.GetImageFromArray(lesion(shape=(60, 81)).astype(np.uint8)))
    assert "81 x 60" in one_line_error(path, mammogram())


def test_position_and_direction_of_the_image(tmp_path):
    """Cropped label on an image that is flipped and away from the origin."""
    direction = (-1.0, 0, 0, 0, 0, -1.0, 0, 1.0, 0)
    image = mammogram(spacing=(0.1, 0.2), origin=(5.0, -7.0, 9.0), direction=direction)
    corner = image.image.TransformIndexToPhysicalPoint((30, 20, 0))
    path = write_label(tmp_path / "a.nrrd", np.ones((20, 25)), spacing=(0.1, 0.2), origin=corner, direction=direction)
    np.testing.assert_array_equal(read_segment(path, image), lesion())


@pytest.mark.parametrize("false", [(0.2646, 0.2646), (0.12, 0.11), (1.0, 1.0)])
def test_false_spacing_of_the_file_is_the_same_grid(tmp_path, false):
    image = mammogram(file_spacings_mm=((0.3, 0.3), false))
    path = write_label(tmp_path / "a.nrrd", lesion(), spacing=false)
    np.testing.assert_array_equal(read_segment(path, image), lesion())
    origin = (30 * false[0], 20 * false[1], 0.0)
    path = write_label(tmp_path / "b.nrrd", np.ones((20, 25)), spacing=false, origin=origin)
    np.testing.assert_array_equal(read_segment(path, image), lesion())


def test_false_spacing_from_file_to_mask(tmp_path):
    """A file read with the user's spacing and a label drawn where a program showed it with the file's own."""
    pixels = mammogram().image
    pixels.SetSpacing((1.0, 1.0, 1.0))
    write(tmp_path / "image.nrrd", pixels)
    label = write_label(tmp_path / "label.nrrd", lesion(), spacing=(1.0, 1.0))
    np.testing.assert_array_equal(read_segment(label, read_mammogram(tmp_path / "image.nrrd", 0.05)), lesion())
    pixels.SetSpacing((0.3, 0.3, 1.0))
    write(tmp_path / "image.nrrd", pixels)
    label = write_label(tmp_path / "label.nrrd", lesion(), spacing=(0.3, 0.3))
    np.testing.assert_array_equal(read_segment(label, read_mammogram(tmp_path / "image.nrrd", 0.05)), lesion())


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("frame", [(0.1, 0.1), (0.25, 0.25)])
def test_finer_grid_is_resampled(tmp_path, factor, frame):
    """Segment Editor may oversample; in the true or in the file's false millimeters."""
    image = mammogram(file_spacings_mm=((0.25, 0.25),))
    fine = np.kron(lesion(), np.ones((factor, factor)))
    spacing = (frame[0] / factor, frame[1] / factor)
    start = (spacing[0] - frame[0]) / 2
    path = write_label(tmp_path / "a.nrrd", fine, spacing=spacing, origin=(start, start, 0.0))
    np.testing.assert_array_equal(read_segment(path, image), lesion())


def test_other_grid_is_resampled_where_there_is_one_spacing(tmp_path):
    """A cropped, flipped and coarser label of the same place; known answer by pixel centers."""
    origin, spacing = (6.0, 1.0, 0.2), (0.3, 0.3)
    path = write_label(
        tmp_path / "a.nrrd", np.ones((8, 10)), spacing=spacing, origin=origin, direction=(-1.0, 0, 0, 0, 1, 0, 0, 0, -1)
    )
    rows, columns = np.mgrid[:60, :80] * 0.1
    expected = (np.abs(columns - (6.0 - 1.35)) < 1.5) & (np.abs(rows - (1.0 + 1.05)) < 1.2)
    mask = read_segment(path, mammogram())
    assert mask.sum() * 0.01 == pytest.approx(80 * 0.09, rel=0.02)
    assert (mask ^ expected).sum() <= 60  # centers on the edge fall to either side


def test_ambiguous_grid_is_refused(tmp_path):
    image = mammogram(file_spacings_mm=((0.25, 0.25),))
    path = write_label(tmp_path / "a.nrrd", np.ones((20, 20)), spacing=(0.15, 0.15), origin=(1.0, 1.0, 0.0))
    assert "does not fit the image" in one_line_error(path, image)


def test_segment_beside_the_image_is_refused(tmp_path):
    image = mammogram()
    for start, words in ((-10, "only 2.5 of the segment's 5.0 mm2"), (-40, "only 0.0 of")):
        path = write_label(tmp_path / "a.nrrd", np.ones((20, 25)), origin=(1.0, start * 0.1, 0.0))
        assert words in one_line_error(path, image)
        path = write_label(tmp_path / "b.nrrd", np.ones((40, 50)), spacing=(0.05, 0.05), origin=(1.0, start * 0.1, 0.0))
        assert words.split(" of")[0][:6] in one_line_error(path, image)
    # half a percent may go
    path = write_label(tmp_path / "c.nrrd", np.ones((60, 201)), spacing=(0.1, 0.1), origin=(-0.1, 0.0, 0.0))
    assert read_segment(path, mammogram(shape=(60, 200))).all()


def test_other_plane_is_refused(tmp_path):
    path = write_label(tmp_path / "a.nrrd", lesion(), origin=(0.0, 0.0, 5.0))
    assert "another plane" in one_line_error(path, mammogram())
    path = write_label(tmp_path / "b.nrrd", lesion(), direction=(1.0, 0, 0, 0, 0, 1, 0, -1, 0))
    assert "another plane" in one_line_error(path, mammogram())


# --- Contours ---------------------------------------------------------------------------------------------------------


def write_contours(path, rows, header="#filename"):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([header, "file_size", "region_count", "region_id", "region_shape_attributes"])
        for name, region, shape in rows:
            writer.writerow([name, 1, 1, region, shape if isinstance(shape, str) else json.dumps(shape)])
    return path


def polygon(*points):
    x, y = zip(*points)
    return {"name": "polygon", "all_points_x": x, "all_points_y": y}


SQUARE = polygon((10, 10), (20, 10), (20, 15), (10, 15))
OTHER = polygon((30, 30), (40, 30), (40, 40), (30, 40))


def test_contour_choice(tmp_path):
    path = write_contours(tmp_path / "a.csv", [("a.jpg", 0, SQUARE), ("a.jpg", 1, OTHER), ("b.jpg", 0, OTHER)])
    image = mammogram()
    first, second = lesion(slice(10, 15), slice(10, 20)), lesion(slice(30, 40), slice(30, 40))
    np.testing.assert_array_equal(read_segment(path, image, 0, "a.jpg"), first)
    np.testing.assert_array_equal(read_segment(path, image, "1", "folder/a.jpg"), second)
    np.testing.assert_array_equal(read_segment(path, image, image_name="b.jpg"), second)
    np.testing.assert_array_equal(read_segment(path, image, image_name="b.png"), second)  # a lossless copy
    np.testing.assert_array_equal(read_segments(path, image, [0, 1], "a.jpg"), first | second)
    assert "several segments, name one of them: 0, 1" in one_line_error(path, image, image_name="a.jpg")
    assert "no segment 2; there are: 0, 1" in one_line_error(path, image, 2, "a.jpg")
    assert "no contour of c.jpg" in one_line_error(path, image, 0, "c.jpg")
    assert "contours of 2 images" in one_line_error(path, image, 0)


def test_one_image_needs_no_name(tmp_path):
    path = write_contours(tmp_path / "a.csv", [("a.jpg", 0, SQUARE)], header="filename")
    assert read_segment(path, mammogram()).sum() == 50
    none = write_contours(tmp_path / "b.csv", [("a.jpg", 0, "{}")])
    assert "no segment" in one_line_error(none, mammogram())


def test_shapes(tmp_path):
    rows, columns = np.mgrid[:60, :80]
    shapes = {
        "circle": ({"name": "circle", "cx": 40, "cy": 30, "r": 10.5}, (columns - 40) ** 2 + (rows - 30) ** 2 < 10.5**2),
        "ellipse": (
            {"name": "ellipse", "cx": 40.2, "cy": 30, "rx": 20.3, "ry": 5.3},
            ((columns - 40.2) / 20.3) ** 2 + ((rows - 30) / 5.3) ** 2 < 1,
        ),
        "upright": (
            {"name": "ellipse", "cx": 40.2, "cy": 30, "rx": 20.3, "ry": 5.3, "theta": np.pi / 2},
            ((columns - 40.2) / 5.3) ** 2 + ((rows - 30) / 20.3) ** 2 < 1,
        ),
        "rect": ({"name": "rect", "x": 3, "y": 4, "width": 5, "height": 6}, lesion(slice(4, 10), slice(3, 8))),
    }
    for shape, expected in shapes.values():
        path = write_contours(tmp_path / "a.csv", [("a.jpg", 0, shape)])
        np.testing.assert_array_equal(read_segment(path, mammogram()), expected)


def test_damaged_contours(tmp_path):
    path = tmp_path / "a.csv"
    for shape, words in (
        ({"name": "point", "cx": 3, "cy": 3}, "point"),
        ("{not json", "damaged"),
        ({"name": "polygon", "all_points_x": [1, 2, 3]}, "damaged"),
        ({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]}, "damaged"),
        ({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1, 2]}, "damaged"),
        ("[1]", "damaged"),
        (polygon((10.1, 10.1), (10.2, 10.3), (10.4, 10.1)), "empty"),
        (polygon((500, 500), (600, 500), (600, 600)), "outside the image"),
    ):
        message = one_line_error(write_contours(path, [("a.jpg", 7, shape)]), mammogram())
        assert words in message and "7" in message
    path.write_text("a,b\n1,2\n")
    assert "column filename" in one_line_error(path, mammogram())
    path.write_bytes(b"\xff\xfe\x00\x01")
    assert "CSV" in one_line_error(path, mammogram())


def test_polygon_mask():
    # clipped at the image's border, not moved to it
    triangle = np.array([(-10.0, 0.0), (10.0, 0.0), (10.0, 20.0)])
    rows, columns = np.mgrid[:12, :12]
    expected = (columns < 10) & (columns >= rows - 10)
    np.testing.assert_array_equal(polygon_mask(triangle, (12, 12)), expected)
    np.testing.assert_array_equal(polygon_mask(triangle[::-1], (12, 12)), expected)
    # parts passed twice stay inside, closed and open rings are the same
    square = np.array([(2, 2), (8, 2), (8, 8), (2, 8)])
    inside = polygon_mask(square, (12, 12))
    assert inside.sum() == 36
    for again in (square, square[:1]):
        np.testing.assert_array_equal(polygon_mask(np.concatenate([square, again]), (12, 12)), inside)
    assert not polygon_mask(square + 20, (12, 12)).any() and not polygon_mask(square - 20, (12, 12)).any()
    # neighbors share an edge and no pixel
    neighbor = polygon_mask(square + (6, 0), (12, 12))
    assert not (inside & neighbor).any() and (inside | neighbor)[2:8, 2:12].all()


def test_polygon_mask_against_matplotlib():
    path = pytest.importorskip("matplotlib.path")
    rng = np.random.default_rng(5)
    centers = np.stack(np.mgrid[:50, :60][::-1], axis=-1).reshape(-1, 2)
    for _ in range(20):
        angle = np.sort(rng.uniform(0, 2 * np.pi, 15))
        points = np.array([30, 25]) + rng.uniform(5, 35, (15, 1)) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        expected = path.Path(np.concatenate([points, points[:1]]), closed=True).contains_points(centers).reshape(50, 60)
        np.testing.assert_array_equal(polygon_mask(points, (50, 60)), expected)


# --- Real data --------------------------------------------------------------------------------------------------------


def union_of_contours(shared_data, name):
    image = read_mammogram(shared_data / "cdd_cesm_fullres" / f"{name}.jpg", 0.1)
    table = shared_data / "cdd_cesm_annotations" / "segmentations_subset_dev.csv"
    regions = {"P82_L_CM_CC": [0, 1, 2, 3], "P113_L_CM_CC": [0]}[name]
    return image, read_segments(table, image, regions, f"{name}.jpg"), regions, table


@pytest.mark.parametrize("name", ["P82_L_CM_CC", "P113_L_CM_CC"])
def test_real_contours(shared_data, name):
    image, mask, regions, table = union_of_contours(shared_data, name)
    assert mask.shape == image.pixels.shape
    for region in regions:
        one = read_segment(table, image, region, f"{name}.jpg")
        assert one.sum() > 1000
        assert image.breast[one].mean() > 0.999
    # enhancing lesions are brighter than the rest of the breast
    assert image.pixels[mask].mean() > 1.3 * image.pixels[image.breast & ~mask].mean()
    # the published 512-pixel masks: the image in the middle of a black square, scaled
    side = max(mask.shape)
    square = np.zeros((side, side), dtype=np.float32)
    top, left = ((side - length) // 2 for length in mask.shape)
    square[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    centers = ((np.arange(512) + 0.5) * side / 512).astype(int)
    published = sitk.ReadImage(str(shared_data / "cdd_cesm_512" / f"{name}_mask.jpg"))
    published = sitk.GetArrayFromImage(published) > 127
    small = square[np.ix_(centers, centers)] > 0
    assert 2 * (small & published).sum() / (small.sum() + published.sum()) > 0.98


def test_real_choice_and_wrong_image(shared_data):
    image, _, _, table = union_of_contours(shared_data, "P82_L_CM_CC")
    assert "several segments, name one of them: 0, 1, 2, 3" in one_line_error(table, image, None, "P82_L_CM_CC.jpg")
    small = read_mammogram(shared_data / "cdd_cesm_512" / "P82_L_CM_CC_image.jpg", 0.3)
    assert "outside the image" in one_line_error(table, small, 0, "P82_L_CM_CC.jpg")
    mask = shared_data / "cdd_cesm_fullres" / "author_mask_P113_L_CM_CC.png"
    assert "1042 x 1608" in one_line_error(mask, image)
    smoothed = shared_data / "cdd_cesm_fullres" / "author_mask_P82_L_CM_CC_1.png"  # gray at the edges
    assert "no label image" in one_line_error(smoothed, image)


def test_real_jpeg_segmented_under_its_false_spacing(shared_data, tmp_path):
    image, mask, _, _ = union_of_contours(shared_data, "P113_L_CM_CC")
    false = image.file_spacings_mm[0]
    assert false == pytest.approx((0.26458, 0.26458), rel=1e-4) and image.spacing_mm == (0.1, 0.1)
    path = write_label(tmp_path / "a.nrrd", mask, spacing=false)
    np.testing.assert_array_equal(read_segment(path, image), mask)


def test_dicom_segmented_at_the_detector_plane(shared_data, tmp_path):
    """The magnification is corrected here and not in Slicer, so spacing differs and pixels do not."""
    image = read_mammogram(shared_data / "mg_dicom_fodicom" / "OutOfBoundsOverlay.dcm")
    mask = np.zeros(image.pixels.shape, dtype=bool)
    mask[500:560, 700:780] = True
    path = write_label(tmp_path / "a.nrrd", mask, spacing=(0.085, 0.085))
    np.testing.assert_array_equal(read_segment(path, image), mask)
