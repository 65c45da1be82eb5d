"""The bridge between the MRML scene and arrays: volumes and segments in, region segments and tables out.

Works the same inside Slicer and on slicer-core, which has neither an application nor a global scene: the scene is
always that of the node at hand.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .engine.extraction import unavailable
from .errors import InputError
from .features import FAST, PYRADIOMICS, ExtractionSettings, filtered_images, name_columns
from .mammogram import MAXIMUM_SPACING_MM, MINIMUM_SPACING_MM, Mammogram, as_slice, read_mammogram
from .regions import INTRATUMORAL, Region

if TYPE_CHECKING:
    from .prediction import Prediction

SLICER_RADIOMICS = "SlicerRadiomics"
ENGINES = (FAST, PYRADIOMICS, SLICER_RADIOMICS)
RADIOMICS_MISSING = (
    "The SlicerRadiomics extension is needed: open the Extensions Manager, install 'SlicerRadiomics', restart Slicer."
)

REGION_TAG, LESION_TAG = "HER2Nomogram.Region", "HER2Nomogram.Lesion"
KIND_ATTRIBUTE = "HER2Nomogram.ImageKind"
_TABLE_ATTRIBUTE = "HER2Nomogram.Table"

_FORMATS_WITHOUT_SPACING = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")
_OUTSIDE_LIMIT = 0.01
# Okabe and Ito's colors, told apart by color-blind readers too: warm ones for rings, cool ones for combined regions.
_RING_COLORS = ((0.90, 0.62, 0.00), (0.94, 0.89, 0.26), (0.84, 0.37, 0.00), (0.80, 0.47, 0.65))
_COMBINED_COLORS = ((0.34, 0.71, 0.91), (0.00, 0.45, 0.70), (0.00, 0.62, 0.45), (0.60, 0.60, 0.60))


# --- Volumes ----------------------------------------------------------------------------------------------------------


def mammogram_from_volume(volume_node, pixel_spacing_mm: float | tuple[float, float] | None = None) -> Mammogram:
    """The mammogram that a volume node holds.

    The pixel spacing is the one given, else that of the DICOM file which the volume was loaded from, else the node's
    own with a warning that its source is unknown.

    Parameters
    ----------
    volume_node : vtkMRMLScalarVolumeNode
        One slice; gray, or gray stored in three components as Slicer loads a JPEG.
    pixel_spacing_mm : float or (float, float), optional
        Overrides; one number, or (row, column) spacing as DICOM orders it.

    Returns
    -------
    Mammogram

    Raises
    ------
    InputError
        Where the volume is no single gray slice, or its pixel spacing is not known.
    """
    if volume_node is None or volume_node.GetImageData() is None:
        raise InputError("No image is chosen: load a contrast-enhanced mammogram and choose its volume.")
    try:
        image = _slice_of(volume_node)
        given = None if pixel_spacing_mm is None else _row_column_spacing(pixel_spacing_mm)
        facts = _facts_from_dicom(volume_node, image, given) or _facts_from_node(volume_node, image, given)
        x_mm, y_mm = facts.pop("spacing_mm")
        image.SetSpacing((x_mm, y_mm, 1.0))
        return Mammogram(image, **facts)
    except InputError as error:
        raise InputError(f"Volume '{volume_node.GetName()}': {error}") from None


def _slice_of(volume_node) -> sitk.Image:
    """Stored values of the volume on its grid, in ITK's LPS coordinates, the parent transform left out."""
    data = volume_node.GetImageData()
    columns, rows, slices = data.GetDimensions()
    if slices != 1:
        raise InputError(f"has {slices} slices; choose a single mammogram, not a stack or tomosynthesis")
    components = data.GetNumberOfScalarComponents()
    scalars = data.GetPointData().GetScalars()
    if scalars is None:
        raise InputError("has no gray values; load the image again")
    shape = (1, rows, columns) if components == 1 else (1, rows, columns, components)
    image = as_slice(sitk.GetImageFromArray(vtk_to_numpy(scalars).reshape(shape), isVector=components > 1))
    directions, origin = _lps_geometry(volume_node)
    image.SetDirection(directions)
    image.SetOrigin(origin)
    return image


def _facts_from_dicom(volume_node, image: sitk.Image, pixel_spacing_mm) -> dict[str, Any] | None:
    path = _dicom_file(volume_node)
    if path is None:
        return None
    try:
        read = _read_dicom(path, path.stat().st_mtime, pixel_spacing_mm)
    except InputError as error:
        # File names of exported studies often are patient names.
        raise InputError(str(error).removeprefix(f"{path.name}: ")) from None
    if read.image.GetSize() != image.GetSize():
        return None
    return {
        "spacing_mm": read.spacing_mm,
        "spacing_source": read.spacing_source,
        "kind": read.kind,
        "presentation": read.presentation,
        "warnings": read.warnings,
    }


@functools.lru_cache(maxsize=2)
def _read_dicom(path: Path, _modified: float, pixel_spacing_mm) -> Mammogram:
    # The panel asks after every change of a node; the file is decoded once, until it changes.
    return read_mammogram(path, pixel_spacing_mm)


def _dicom_file(volume_node) -> Path | None:
    """File that the volume was loaded from by the DICOM module or directly, where it is still there."""
    uids = (volume_node.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    candidates = [database.fileForInstance(uids[0])] if uids and database else []
    candidates.append(_stored_file(volume_node))
    for path in map(Path, filter(None, candidates)):
        try:
            with path.open("rb") as file:
                if file.read(132)[128:] == b"DICM":
                    return path
        except OSError:
            continue
    return None


def _stored_file(volume_node) -> str:
    storage = volume_node.GetStorageNode()
    return (storage.GetFileName() or "") if storage else ""


def _facts_from_node(volume_node, image: sitk.Image, pixel_spacing_mm) -> dict[str, Any]:
    warnings = []
    suffix = Path(_stored_file(volume_node)).suffix.lower()
    if image.GetPixelID() in (sitk.sitkUInt8, sitk.sitkInt8):
        warnings.append("8-bit image: at most 256 gray levels, as windowed by the program that exported it")
    if suffix in (".jpg", ".jpeg"):
        warnings.append("lossy compression (JPEG): texture features are affected")
    if pixel_spacing_mm is not None:
        spacing, source = pixel_spacing_mm[::-1], "given by the user"
    else:
        # Several components mean a JPEG or PNG, even where it has been saved under another format since.
        photographic = (
            suffix in _FORMATS_WITHOUT_SPACING or volume_node.GetImageData().GetNumberOfScalarComponents() > 1
        )
        spacing, source = _node_spacing(volume_node, photographic), "as set in the volume node, source unknown"
        warnings.append(f"pixel spacing {spacing[0]:.4g} mm is as set in the volume node, source unknown: check it")
    kind = volume_node.GetAttribute(KIND_ATTRIBUTE) or None
    if kind is None:
        warnings.append("image kind unknown: nothing says whether it is recombined or low-energy")
    return {"spacing_mm": spacing, "spacing_source": source, "kind": kind, "warnings": tuple(warnings)}


def _row_column_spacing(pixel_spacing_mm) -> tuple[float, float]:
    """The spacing that a user gave as a pair in DICOM's order."""
    try:
        numbers = np.atleast_1d(np.asarray(pixel_spacing_mm, dtype=float))
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    # Compared so that a NaN is refused too.
    if not ((numbers >= MINIMUM_SPACING_MM) & (numbers <= MAXIMUM_SPACING_MM)).all():
        raise InputError(
            f"a pixel spacing of {pixel_spacing_mm!r} is outside {MINIMUM_SPACING_MM:g} to {MAXIMUM_SPACING_MM:g} mm; "
            "give the pixel spacing in mm"
        )
    return float(numbers[0]), float(numbers[-1])


def _node_spacing(volume_node, photographic: bool) -> tuple[float, float]:
    x_mm, y_mm = volume_node.GetSpacing()[:2]
    if photographic:
        raise InputError("its file format has no pixel spacing (dots per inch are none); give the pixel spacing in mm")
    if 1.0 in (x_mm, y_mm):
        raise InputError("its pixel spacing of 1 mm is a default, not a measurement; give the pixel spacing in mm")
    if not all(MINIMUM_SPACING_MM <= value <= MAXIMUM_SPACING_MM for value in (x_mm, y_mm)):
        raise InputError(
            f"its pixel spacing of {x_mm:g} x {y_mm:g} mm cannot be that of a mammogram; give the pixel spacing in mm"
        )
    return x_mm, y_mm


def _lps_geometry(volume_node) -> tuple[list[float], list[float]]:
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASDirectionMatrix(matrix)
    flip = (-1.0, -1.0, 1.0)
    directions = [flip[row] * matrix.GetElement(row, column) for row in range(3) for column in range(3)]
    return directions, [sign * value for sign, value in zip(flip, volume_node.GetOrigin())]


def new_scene():
    """An empty MRML scene, for work outside of the one that Slicer shows."""
    return slicer.vtkMRMLScene()


def add_volume(scene, image: sitk.Image, name: str, class_name: str = "vtkMRMLScalarVolumeNode"):
    """Put a single-slice image into the scene.

    Parameters
    ----------
    scene : vtkMRMLScene
    image : sitk.Image
        Of size (columns, rows, 1), one component.
    name : str
    class_name : str
        Class of the new volume node.

    Returns
    -------
    vtkMRMLVolumeNode
    """
    node = scene.AddNewNodeByClass(class_name, name)
    node.SetAndObserveImageData(_image_data(vtk.vtkImageData(), sitk.GetArrayViewFromImage(image)[0]))
    flip = np.diag((-1.0, -1.0, 1.0))
    directions = flip @ np.reshape(image.GetDirection(), (3, 3))
    node.SetIJKToRASDirections(*directions.ravel())
    node.SetSpacing(image.GetSpacing())
    node.SetOrigin(flip @ image.GetOrigin())
    return node


def add_segmentation(scene, masks: Mapping[str, np.ndarray], volume_node, name: str):
    """Put masks on a volume's grid into the scene as the segments of a new segmentation, named like the masks.

    Parameters
    ----------
    scene : vtkMRMLScene
    masks : mapping of str to np.ndarray of bool, shape (rows, columns)
    volume_node : vtkMRMLVolumeNode
    name : str

    Returns
    -------
    vtkMRMLSegmentationNode
    """
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    for segment_name, mask in masks.items():
        labelmap = _image_data(_volume_grid(volume_node), np.asarray(mask, dtype=np.uint8))
        node.AddSegmentFromBinaryLabelmapRepresentation(labelmap, segment_name)
    return node


def _image_data(data, pixels: np.ndarray):
    """Fill VTK image data with one slice of pixels, copied."""
    rows, columns = pixels.shape
    data.SetDimensions(columns, rows, 1)
    data.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(pixels).ravel(), deep=True))
    return data


def _volume_grid(volume_node):
    """The volume's grid as oriented image data without pixels, in the coordinates that its parent transform gets."""
    grid = slicer.vtkOrientedImageData()
    grid.SetExtent(volume_node.GetImageData().GetExtent())
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    grid.SetGeometryFromImageToWorldMatrix(matrix)
    return grid


# --- Segments in ------------------------------------------------------------------------------------------------------


def lesion_mask(segmentation_node, segment_id: str, volume_node) -> np.ndarray:
    """The lesion's segment on the volume's grid, see :func:`segment_mask`; a region made here is no lesion."""
    segment = _segment(segmentation_node, segment_id)
    if _tag(segment, REGION_TAG):
        raise InputError(f"Segment '{segment.GetName()}' is a region made from a lesion: choose the lesion itself.")
    return segment_mask(segmentation_node, segment_id, volume_node)


def excluded_mask(segmentation_node, segment_ids: Iterable[str], volume_node) -> np.ndarray | None:
    """Union of segments that rings must stay out of, None where there are none."""
    masks = [segment_mask(segmentation_node, segment_id, volume_node) for segment_id in segment_ids]
    return np.logical_or.reduce(masks) if masks else None


def outlines_digest(segmentation_node, segment_ids: Iterable[str], volume_node) -> str:
    """Text that changes with the pixels that these segments cover; empty where one of them cannot be read."""
    digest = hashlib.sha256()
    if volume_node is None or volume_node.GetImageData() is None:
        return ""
    try:
        for segment_id in segment_ids:
            digest.update(np.packbits(segment_mask(segmentation_node, segment_id, volume_node)).tobytes())
    except InputError:
        return ""
    return digest.hexdigest()


def segment_mask(segmentation_node, segment_id: str, volume_node) -> np.ndarray:
    """One segment on the pixel grid of a volume.

    A segment drawn on another grid is resampled to the nearest pixel; parent transforms of both nodes are applied, and
    a closed surface is converted on the volume's grid.

    Parameters
    ----------
    segmentation_node : vtkMRMLSegmentationNode
    segment_id : str
    volume_node : vtkMRMLVolumeNode
        One slice.

    Returns
    -------
    np.ndarray of bool, shape (rows, columns)

    Raises
    ------
    InputError
        Where the segment is missing or empty, or more than one percent of it lies outside the image or its plane.
    """
    segment = _segment(segmentation_node, segment_id)
    grid = _volume_grid(volume_node)
    to_volume = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(
        segmentation_node.GetParentTransformNode(), volume_node.GetParentTransformNode(), to_volume
    )
    labelmap = _labelmap(segmentation_node, segment_id, grid, to_volume)
    _check_inside(segment.GetName(), volume_node, labelmap, grid, to_volume)
    resampled = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        labelmap, grid, resampled, False, False, to_volume
    )
    columns, rows, _ = volume_node.GetImageData().GetDimensions()
    mask = vtk_to_numpy(resampled.GetPointData().GetScalars()).reshape(rows, columns) > 0
    if not mask.any():
        raise InputError(f"Segment '{segment.GetName()}' covers no pixel of '{volume_node.GetName()}': draw it larger.")
    return mask


def _segment(segmentation_node, segment_id: str):
    if segmentation_node is None:
        raise InputError("No segmentation is chosen: outline the lesion in Segment Editor.")
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id) if segment_id else None
    if segment is None:
        missing = f"has no segment '{segment_id}'" if segment_id else "has no lesion segment chosen"
        raise InputError(
            f"Segmentation '{segmentation_node.GetName()}' {missing}: "
            "outline the lesion in Segment Editor and choose it."
        )
    return segment


def _labelmap(segmentation_node, segment_id: str, grid, to_volume):
    """The segment alone as a binary labelmap in the segmentation's coordinates, the user's segmentation untouched."""
    name = segmentation_node.GetSegmentation().GetSegment(segment_id).GetName()
    if not segmentation_node.GetSegmentation().IsSourceRepresentationImageData():
        return _converted_labelmap(segmentation_node.GetSegmentation(), segment_id, grid, to_volume)
    labelmap = slicer.vtkOrientedImageData()
    found = segmentation_node.GetBinaryLabelmapRepresentation(segment_id, labelmap)
    if not found or labelmap.IsEmpty() or not labelmap.GetScalarRange()[1] > 0:
        raise InputError(f"Segment '{name}' is empty: outline the lesion in Segment Editor.")
    return labelmap


def _converted_labelmap(segmentation, segment_id: str, grid, to_volume):
    copy = slicer.vtkSegmentation()
    copy.SetSourceRepresentationName(segmentation.GetSourceRepresentationName())
    copy.CopyConversionParameters(segmentation)
    copy.CopySegmentFromSegmentation(segmentation, segment_id)
    # The finest grid that loses nothing is that of the volume, seen from the segmentation's side of the transforms.
    reference = slicer.vtkOrientedImageData()
    reference.ShallowCopy(grid)
    slicer.vtkOrientedImageDataResample.TransformOrientedImage(reference, to_volume.GetInverse(), True)
    converter = slicer.vtkSegmentationConverter
    copy.SetConversionParameter(
        converter.GetReferenceImageGeometryParameterName(), converter.SerializeImageGeometry(reference)
    )
    representation = converter.GetSegmentationBinaryLabelmapRepresentationName()
    name = segmentation.GetSegment(segment_id).GetName()
    made = copy.CreateRepresentation(representation, True)
    labelmap = copy.GetSegment(segment_id).GetRepresentation(representation) if made else None
    if labelmap is None or labelmap.IsEmpty() or not labelmap.GetScalarRange()[1] > 0:
        raise InputError(
            f"Segment '{name}' is empty or cannot be converted to a labelmap: outline it in Segment Editor."
        )
    return labelmap


def _check_inside(name: str, volume_node, labelmap, grid, to_volume) -> None:
    """Refuse a segment of which more than a trace lies outside the image or beside its plane."""
    centers = _pixel_centers(labelmap, to_volume)
    to_index = vtk.vtkMatrix4x4()
    grid.GetWorldToImageMatrix(to_index)
    matrix = np.array([[to_index.GetElement(row, column) for column in range(4)] for row in range(4)])
    index = centers @ matrix[:3, :3].T + matrix[:3, 3]
    size = np.asarray(volume_node.GetImageData().GetDimensions())
    margin = 0.5 + 1e-3
    beside = np.abs(index[:, 2]) > margin
    outside = beside | ((index[:, :2] < -margin) | (index[:, :2] > size[:2] - 1 + margin)).any(axis=1)
    share = outside.mean()
    if share <= _OUTSIDE_LIMIT:
        return
    pixel_mm2 = float(np.prod(sorted(labelmap.GetSpacing())[:2]))
    where = "in another plane than" if beside.sum() > outside.sum() / 2 else "outside of"
    raise InputError(
        f"{share:.0%} of segment '{name}' ({outside.sum() * pixel_mm2:.1f} of {outside.size * pixel_mm2:.1f} mm2) lies "
        f"{where} '{volume_node.GetName()}': choose the image that it was drawn on, or draw it on this one."
    )


def _pixel_centers(labelmap, to_volume) -> np.ndarray:
    """Centers of the segment's pixels in the volume's coordinates, shape (n, 3)."""
    first_i, last_i, first_j, last_j, first_k, last_k = labelmap.GetExtent()
    shape = (last_k - first_k + 1, last_j - first_j + 1, last_i - first_i + 1)
    k, j, i = np.nonzero(vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(shape))
    to_world = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(to_world)
    matrix = np.array([[to_world.GetElement(row, column) for column in range(4)] for row in range(4)])
    centers = np.column_stack((i + first_i, j + first_j, k + first_k)) @ matrix[:3, :3].T + matrix[:3, 3]
    points, moved = vtk.vtkPoints(), vtk.vtkPoints()
    points.SetDataTypeToDouble()
    moved.SetDataTypeToDouble()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(centers)))
    to_volume.TransformPoints(points, moved)
    return vtk_to_numpy(moved.GetData()).copy()


def _tag(segment, name: str) -> str:
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


# --- Regions out ------------------------------------------------------------------------------------------------------


def write_region_segments(
    segmentation_node, volume_node, regions: Mapping[str, Region], lesion_segment_id: str
) -> dict[str, str]:
    """Write the regions of a lesion as segments beside it.

    They are named and colored, marked with the lesion that they belong to, and replaced when the same region of the
    same lesion is written again. Combined regions start hidden, because they cover the others. No other segment
    changes.

    Parameters
    ----------
    segmentation_node : vtkMRMLSegmentationNode
        With binary labelmaps as its source.
    volume_node : vtkMRMLVolumeNode
        On whose grid the masks are.
    regions : mapping of str to Region
    lesion_segment_id : str

    Returns
    -------
    dict of str to str
        Segment ID by region; that of the lesion itself for ``intratumoral``.

    Raises
    ------
    InputError
        Where the segmentation is stored as a closed surface, which cannot hold regions pixel by pixel.
    """
    lesion = _segment(segmentation_node, lesion_segment_id)
    if not segmentation_node.GetSegmentation().IsSourceRepresentationImageData():
        raise InputError(
            f"Segmentation '{segmentation_node.GetName()}' is stored as a closed surface: in the Segmentations module "
            "make 'Binary labelmap' its source, then the regions can be added to it."
        )
    if segmentation_node.GetDisplayNode() is None:
        segmentation_node.CreateDefaultDisplayNodes()
    ids = {INTRATUMORAL: lesion_segment_id}
    with _segment_writer(segmentation_node, volume_node) as write:
        for number, region in enumerate(r for r in regions.values() if r.name != INTRATUMORAL):
            segment_id = _region_segment_id(segmentation_node, region, lesion_segment_id)
            if segment_id is None:
                segment_id = _add_region_segment(segmentation_node, region, lesion_segment_id, number)
            segmentation_node.GetSegmentation().GetSegment(segment_id).SetName(_display_name(region, lesion.GetName()))
            write(segment_id, _region_labelmap(segmentation_node, volume_node, region.mask))
            ids[region.name] = segment_id
    return ids


def _region_segment_id(segmentation_node, region: Region, lesion_segment_id: str) -> str | None:
    segmentation = segmentation_node.GetSegmentation()
    for segment_id in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segment_id)
        if _tag(segment, REGION_TAG) == region.name and _tag(segment, LESION_TAG) == lesion_segment_id:
            return segment_id
    return None


def _add_region_segment(segmentation_node, region: Region, lesion_segment_id: str, number: int) -> str:
    segmentation = segmentation_node.GetSegmentation()
    combined = region.name.startswith("combined")
    colors = _COMBINED_COLORS if combined else _RING_COLORS
    segment_id = segmentation.AddEmptySegment("", region.name)
    segment = segmentation.GetSegment(segment_id)
    segment.SetColor(colors[number % len(colors)])
    segment.SetNameAutoGenerated(False)
    segment.SetColorAutoGenerated(False)
    segment.SetTag(REGION_TAG, region.name)
    segment.SetTag(LESION_TAG, lesion_segment_id)
    segmentation_node.GetDisplayNode().SetSegmentVisibility(segment_id, not combined)
    return segment_id


def _display_name(region: Region, lesion_name: str) -> str:
    return f"{region.name.split('_')[0].capitalize()} {region.margin_mm:g} mm ({lesion_name})"


def _region_labelmap(segmentation_node, volume_node, mask: np.ndarray):
    """The mask as a labelmap in the segmentation's coordinates."""
    labelmap = _image_data(_volume_grid(volume_node), mask.astype(np.uint8))
    to_segmentation = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(
        volume_node.GetParentTransformNode(), segmentation_node.GetParentTransformNode(), to_segmentation
    )
    slicer.vtkOrientedImageDataResample.TransformOrientedImage(labelmap, to_segmentation)
    return labelmap


@contextmanager
def _segment_writer(segmentation_node, volume_node) -> Iterator[Callable]:
    """A function that replaces one segment's voxels, by Segment Editor's logic where this Slicer has it."""
    segmentation = segmentation_node.GetSegmentation()

    def on_its_own_layer(segment_id: str) -> None:
        # Writing to a layer shared with the user's segments would bring all of them to the volume's grid.
        segmentation.SeparateSegmentLabelmap(segment_id)
        segmentation.ClearSegment(segment_id)

    if not hasattr(slicer, "vtkSlicerSegmentEditorLogic"):
        module_logic = slicer.vtkSlicerSegmentationsModuleLogic

        def replace(segment_id: str, labelmap) -> None:
            on_its_own_layer(segment_id)
            module_logic.SetBinaryLabelmapToSegment(labelmap, segmentation_node, segment_id, module_logic.MODE_REPLACE)

        yield replace
        return
    scene = segmentation_node.GetScene()
    # A node of our own, so that the settings of the user's Segment Editor stay as they are.
    editor_node = slicer.vtkMRMLSegmentEditorNode()
    editor_node.SetHideFromEditors(True)
    editor_node.SetSaveWithScene(False)
    scene.AddNode(editor_node)
    try:
        editor = slicer.vtkSlicerSegmentEditorLogic()
        editor.SetMRMLScene(scene)
        editor.SetSegmentEditorNode(editor_node)
        editor_node.SetOverwriteMode(editor_node.OverwriteNone)
        editor.SetSegmentationNode(segmentation_node)
        editor.SetSourceVolumeNode(volume_node)

        def modify(segment_id: str, labelmap) -> None:
            on_its_own_layer(segment_id)
            mode = editor.ModificationModeSet
            editor.ModifySegmentByLabelmap(segmentation_node, segment_id, labelmap, mode, False, False)

        yield modify
        editor.SetSegmentEditorNode(None)
        editor.SetMRMLScene(None)
    finally:
        scene.RemoveNode(editor_node)


def prediction_table(scene, prediction: Prediction):
    """Table node with the selected features of a prediction; the table of an earlier prediction is reused.

    Parameters
    ----------
    scene : vtkMRMLScene
    prediction : Prediction

    Returns
    -------
    vtkMRMLTableNode
        Columns region, feature, value, standardized, coefficient, contribution.
    """
    tables = scene.GetNodesByClass("vtkMRMLTableNode")
    tables.UnRegister(None)
    found = [tables.GetItemAsObject(i) for i in range(tables.GetNumberOfItems())]
    node = next((table for table in found if table.GetAttribute(_TABLE_ATTRIBUTE)), None)
    if node is None:
        node = scene.AddNewNodeByClass("vtkMRMLTableNode", "HER2 nomogram features")
        node.SetAttribute(_TABLE_ATTRIBUTE, "SelectedFeatures")
    node.SetDescription(f"{prediction.model_name}. {prediction.notice}")
    node.RemoveAllColumns()
    for name in ("region", "feature", "value", "standardized", "coefficient", "contribution"):
        values = [getattr(feature, name) for feature in prediction.selected_features]
        column = vtk.vtkStringArray() if name in ("region", "feature") else vtk.vtkDoubleArray()
        column.SetName(name)
        for value in values:
            column.InsertNextValue(value)
        node.AddColumn(column)
    node.SetUseColumnTitleAsColumnHeader(True)
    return node


# --- Feature engines, and the one that is SlicerRadiomics' command-line module ----------------------------------------


def require_radiomics(engine: str = FAST) -> None:
    """Make sure, before anything is computed, that features can be computed.

    Raises
    ------
    InputError
        Where the engine is unknown, or SlicerRadiomics, which brings pyradiomics, is needed and not installed.
    """
    if engine not in ENGINES:
        raise InputError(f"Engine '{engine}' is not known: choose {' or '.join(ENGINES)}.")
    if engine in (FAST, PYRADIOMICS):
        # pyradiomics takes over where the fast engine cannot be used.
        there = importlib.util.find_spec("radiomics") is not None or (engine == FAST and not unavailable())
    else:
        there = hasattr(getattr(slicer, "modules", None), "slicerradiomicscli")
    if not there:
        raise InputError(RADIOMICS_MISSING)


def slicer_radiomics_row(
    volume_node,
    mammogram: Mammogram,
    regions: Mapping[str, Region],
    settings: ExtractionSettings,
    image_name: str = "image",
) -> dict[str, float]:
    """Features of all regions by SlicerRadiomics' command-line module, the same as ``features.feature_row``.

    The module runs once per region, and once more per region and LoG width: pyradiomics leaves LoG out on one slice, so
    the filtered images are handed over as images of their own. All nodes made for this are removed again.

    Parameters
    ----------
    volume_node : vtkMRMLVolumeNode
        In whose scene the temporary nodes are made.
    mammogram, regions, settings, image_name
        As for ``features.feature_row``.

    Raises
    ------
    InputError
        Where SlicerRadiomics is missing or fails, the settings are such that LoG cannot be handed over, or the image
        has NaN or infinite pixels.
    """
    require_radiomics(SLICER_RADIOMICS)
    _check_handover(settings)
    _check_finite(mammogram)
    values: dict[str, dict[str, float]] = {name: {} for name in regions}
    with _temporary_nodes(volume_node.GetScene()) as add:
        masks = {
            name: add("vtkMRMLLabelMapVolumeNode", _on_grid(r.mask, mammogram.image)) for name, r in regions.items()
        }
        for image, image_type, content in _handed_over(mammogram.image, settings):
            image_node = add("vtkMRMLScalarVolumeNode", image)
            for name, mask_node in masks.items():
                found = _run_cli(
                    image_node, mask_node, add("vtkMRMLTableNode"), content, f"{name} {image_type}".strip()
                )
                values[name].update((_renamed(key, image_type), value) for key, value in found.items())
    return name_columns(values, regions, image_name)


def _check_handover(settings: ExtractionSettings) -> None:
    # These change the image or the mask before the filter, and would be applied to the filtered image instead.
    before_filter = ("resampledPixelSpacing", "preCrop", "normalize", "resegmentRange")
    used = [name for name in before_filter if settings.setting.get(name)]
    if "LoG" in settings.image_types and used:
        raise InputError(
            f"SlicerRadiomics cannot combine LoG with '{used[0]}' on one slice: choose engine {PYRADIOMICS}."
        )


def _check_finite(mammogram: Mammogram) -> None:
    # The other engines leave out what such pixels reach; pyradiomics alone gives it other values.
    if not np.isfinite(mammogram.pixels).all():
        raise InputError(
            f"The image has NaN or infinite pixels, which {SLICER_RADIOMICS} does not notice: choose engine {FAST} or "
            f"{PYRADIOMICS}, or replace them."
        )


def _handed_over(image: sitk.Image, settings: ExtractionSettings) -> Iterator[tuple[sitk.Image, str, dict[str, Any]]]:
    """Images to run on, the image type that their features are of (empty: as they are named), and the parameters."""
    content = settings.to_dict()
    others = {name: custom for name, custom in settings.image_types.items() if name != "LoG"}
    yield image, "", {**content, "imageType": others}
    texture = {name: wanted for name, wanted in settings.feature_classes.items() if not name.startswith("shape")}
    if "LoG" in settings.image_types and texture:
        custom = settings.image_types["LoG"]
        only_log = ExtractionSettings({"LoG": custom}, texture, settings.setting)
        as_original = {name: value for name, value in custom.items() if name != "sigma"}
        for filtered, name, _ in filtered_images(image, only_log):
            yield filtered, name, {**content, "featureClass": texture, "imageType": {"Original": as_original}}


def _renamed(feature: str, image_type: str) -> str:
    return image_type + feature.removeprefix("original") if image_type else feature


def _on_grid(mask: np.ndarray, image: sitk.Image) -> sitk.Image:
    made = sitk.GetImageFromArray(mask.astype(np.uint8)[np.newaxis])
    made.CopyInformation(image)
    return made


@contextmanager
def _temporary_nodes(scene) -> Iterator[Callable]:
    """A function that adds nodes which are gone after the block, whatever happened in it."""
    nodes = []

    def add(class_name: str, image: sitk.Image | None = None):
        name = "HER2Nomogram temporary"
        node = (
            scene.AddNewNodeByClass(class_name, name) if image is None else add_volume(scene, image, name, class_name)
        )
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        nodes.append(node)
        return node

    try:
        yield add
    finally:
        for node in nodes:
            scene.RemoveNode(node)


def _run_cli(image_node, mask_node, table_node, content: Mapping[str, Any], where: str) -> dict[str, float]:
    scene = image_node.GetScene()
    with tempfile.TemporaryDirectory(prefix="HER2Nomogram-") as folder:
        parameter_file = os.path.join(folder, "parameters.json")
        Path(parameter_file).write_text(json.dumps(content), encoding="utf-8")
        parameters = {
            "Image": image_node.GetID(),
            "Mask": mask_node.GetID(),
            "param": parameter_file,
            "out": table_node.GetID(),
            "label": 1,
        }
        module = slicer.modules.slicerradiomicscli
        cli_node = slicer.cli.run(module, None, parameters, wait_for_completion=True, update_display=False)
    try:
        values = _features_in(table_node)
        if not values or cli_node.GetStatusString() != "Completed":
            raise InputError(f"Region {where}: SlicerRadiomics failed ({_reason(cli_node)}): check the outline.")
        return values
    finally:
        scene.RemoveNode(cli_node)


def _features_in(table_node) -> dict[str, float]:
    table = table_node.GetTable()
    values = {}
    if table is None or table.GetNumberOfRows() == 0:
        return values
    for number in range(table.GetNumberOfColumns()):
        name = table.GetColumnName(number)
        if name in ("Image", "Mask") or name.startswith("diagnostics") or "_" not in name:
            continue
        cell = table.GetValue(0, number)
        # Numbers as VTK prints them are cut to a few digits.
        values[name] = cell.ToDouble() if cell.IsNumeric() else float(cell.ToString())
    return values


def _reason(cli_node) -> str:
    """The one line of the module's output that says what went wrong."""
    lines = [line.strip() for line in (cli_node.GetErrorText() or "").splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() and not line.lower().endswith("standard error:")]
    return (telling or lines or [f"status: {cli_node.GetStatusString()}"])[-1][:200]
