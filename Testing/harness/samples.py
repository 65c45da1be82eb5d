"""A small model and a phantom in the scene, for tests of what stands on the library."""

from __future__ import annotations

import numpy as np

from HER2NomogramLib import scene
from HER2NomogramLib.features import ExtractionSettings, feature_row
from HER2NomogramLib.mammogram import Mammogram
from HER2NomogramLib.modelfile import LogisticModel, Model, Predictor, Signature, save_model
from HER2NomogramLib.phantom import make_phantom
from HER2NomogramLib.prediction import case_regions

EXTRACTION = {
    "imageType": {"Original": {}, "LoG": {"sigma": [1.0]}},
    "featureClass": {"shape2D": ["Sphericity"], "firstorder": ["Mean", "Entropy"], "glcm": ["JointEnergy"]},
    "setting": {"binCount": 32, "force2D": True, "force2Ddimension": 0},
}
_SELECTED = {
    "intratumoral": (
        "original_shape2D_Sphericity",
        "original_firstorder_Entropy",
        "log-sigma-1-0-mm-3D_glcm_JointEnergy",
    ),
    "peritumoral_5mm": ("original_firstorder_Mean", "log-sigma-1-0-mm-3D_firstorder_Entropy"),
}
_DIAMETER = Predictor("tumor_diameter_mm", "clinical", "Tumor diameter", "mm", 8.0, 45.0)
_CALCIFICATIONS = Predictor(
    "microcalcifications", "clinical", "Microcalcifications", "", 0.0, 1.0, ("absent", "present")
)


def phantom(seed: int = 3):
    """A synthetic study and the mammogram of it."""
    made = make_phantom(seed)
    return made, Mammogram.from_array(made.pixels, made.spacing_mm, "phantom", kind="recombined")


def small_model(path, clinical=(_DIAMETER, _CALCIFICATIONS), name="Small test model"):
    """Write a model on few features whose training means are near those of the phantom; returns the model."""
    study, mammogram = phantom()
    regions = case_regions(mammogram, study.lesion, (5.0,))
    row = feature_row(mammogram, regions, ExtractionSettings.from_dict(EXTRACTION))
    signatures = {region: _signature(region, names, row) for region, names in _SELECTED.items()}
    rad_scores = tuple(
        Predictor(region, "rad_score", f"Rad-score, {region.replace('_', ' ')}", "", -2.0, 2.0) for region in signatures
    )
    model = Model(
        name=name,
        intended_use="Tests",
        demonstration=True,
        extraction=EXTRACTION,
        margins_mm=(5.0,),
        kind="recombined",
        presentation=None,
        spacing_range_mm=(0.2, 0.2),
        signatures=signatures,
        nomogram=_logistic((*rad_scores, *clinical), (1.2, 0.7, 0.05, 0.4)),
        radiomics=_logistic(rad_scores, (1.2, 0.7)),
        clinical=_logistic(clinical, (0.05, 0.4)),
    )
    save_model(model, path)
    return model


def _signature(region, names, row):
    columns = tuple(f"image__{region}__{name}" for name in names)
    values = np.array([row[column] for column in columns])
    scales = tuple(float(value) for value in np.abs(values) * 0.1)
    coefficients = tuple(0.4 / (number + 1) * (-1) ** number for number in range(len(names)))
    return Signature("image", region, columns, tuple(float(v) for v in values * 0.93), scales, coefficients, -0.1)


def _logistic(predictors, coefficients):
    coefficients = tuple(coefficients[: len(predictors)])
    covariance = np.diag([0.2, *(0.02 for _ in predictors)])
    for number, predictor in enumerate(predictors, start=1):
        if predictor.maximum > 10:
            covariance[number, number] = 0.0004
    center = sum(c * (p.minimum + p.maximum) / 2 for p, c in zip(predictors, coefficients))
    return LogisticModel(predictors, -center, coefficients, tuple(map(tuple, covariance.tolist())), 0.47)


def phantom_in_scene(mrml_scene, seed: int = 3):
    """Volume node, segmentation node with Lesion and Pectoral muscle, and the segment IDs by name."""
    study, mammogram = phantom(seed)
    volume = scene.add_volume(mrml_scene, mammogram.image, "CEM left CC")
    volume.SetAttribute(scene.KIND_ATTRIBUTE, "recombined")
    rows, columns = np.indices(study.lesion.shape)
    muscle = (rows + columns) < 90
    segmentation = scene.add_segmentation(
        mrml_scene, {"Lesion": study.lesion, "Pectoral muscle": muscle}, volume, "Outlines"
    )
    segments = segmentation.GetSegmentation()
    ids = {segments.GetSegment(i).GetName(): i for i in segments.GetSegmentIDs()}
    return volume, segmentation, ids
