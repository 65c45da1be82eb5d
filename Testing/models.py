"""A small valid model with numbers that can be followed by hand, and fast extraction settings that fit it."""

from __future__ import annotations

from dataclasses import replace

from HER2NomogramLib.modelfile import LogisticModel, Model, Predictor, Signature

# First-order statistics of the original image alone: a case takes a quarter of a second.
EXTRACTION = {
    "imageType": {"Original": {}},
    "featureClass": {"firstorder": ["Mean", "Entropy", "Skewness"]},
    "setting": {"binCount": 32, "force2D": True, "force2Ddimension": 0},
}
EXTRACTION_YAML = """\
imageType:
  Original: {}
featureClass:
  firstorder: [Mean, Entropy, Skewness]
setting:
  binCount: 32
"""
MEAN = "image__intratumoral__original_firstorder_Mean"
ENTROPY = "image__intratumoral__original_firstorder_Entropy"
RING_MEAN = "image__peritumoral_5mm__original_firstorder_Mean"
# A row of features and clinical factors; what the model below makes of them is computed in test_prediction.py.
ROW = {MEAN: 6500.0, ENTROPY: 3.5, RING_MEAN: 4600.0}
CLINICAL = {"tumor_diameter_mm": "20", "microcalcifications": "present"}
# Of the model of other software's features.
FOREIGN_ROW = {"image__whole lesion__mean gray": 6500.0, "entropy (bits)": 3.5}

INTRATUMORAL = Predictor("intratumoral", "rad_score", "Rad-score, intratumoral", "", -2.0, 2.0)
RING = Predictor("peritumoral_5mm", "rad_score", "Rad-score, peritumoral 5 mm", "", -1.5, 1.5)
DIAMETER = Predictor("tumor_diameter_mm", "clinical", "Tumor diameter", "mm", 8.0, 40.0)
CALCIFICATIONS = Predictor(
    "microcalcifications", "clinical", "Microcalcifications", "", 0.0, 1.0, levels=("absent", "present")
)
# Factors that may be missing: one of four levels, of which C is the most frequent, and a number.
DENSITY = Predictor("breast_density", "clinical", "Breast density", "", 0.0, 3.0, ("A", "B", "C", "D"), 2.0)
AGE = Predictor("age", "clinical", "Age", "years", 30.0, 80.0, fill=52.0)


def make_logistic(predictors, coefficients, intercept=0.0, variances=None, cutoff=0.4) -> LogisticModel:
    """A logistic model with a diagonal covariance."""
    size = len(coefficients) + 1
    variances = variances or (0.1,) * size
    covariance = tuple(tuple(variances[i] if i == j else 0.0 for j in range(size)) for i in range(size))
    return LogisticModel(tuple(predictors), intercept, tuple(coefficients), covariance, cutoff)


def make_density_model(**changes) -> Model:
    """The model below with the four densities and the age as its clinical factors."""
    entries = {
        "nomogram": make_logistic(
            (INTRATUMORAL, DENSITY, AGE),
            (1.0, 0.5, 1.5, -0.5, 0.01),
            intercept=-1.0,
            variances=(0.04, 0.01, 0.02, 0.03, 0.05, 0.0001),
        ),
        "clinical": make_logistic((DENSITY, AGE), (0.6, 1.2, -0.4, 0.02), intercept=-2.0),
    }
    return make_model(**{**entries, **changes})


def make_foreign_model(**changes) -> Model:
    """A model of features that other software made, of a region under a name of its own."""
    mean, entropy = FOREIGN_ROW
    region = Predictor("whole lesion", "rad_score", "Rad-score, whole lesion", "", -2.0, 2.0)
    entries = {
        "extraction": None,
        "margins_mm": (),
        "kind": None,
        "spacing_range_mm": None,
        "signatures": {
            "whole lesion": Signature(
                "image", "whole lesion", (mean, entropy), (6000.0, 4.0), (500.0, 0.25), (0.5, -0.25), 0.1
            )
        },
        "nomogram": make_logistic((region, DIAMETER), (1.0, 0.05), intercept=-1.5),
        "radiomics": make_logistic((region,), (1.2,)),
        "clinical": make_logistic((DIAMETER,), (0.06,), intercept=-2.0),
    }
    return make_model(**{**entries, **changes})


def make_model(**changes) -> Model:
    """A valid model of two signatures and two clinical factors, with the entries given replaced."""
    model = Model(
        name="Test model",
        intended_use="Tests.",
        demonstration=True,
        extraction=EXTRACTION,
        margins_mm=(5.0, 10.0),
        kind="recombined",
        presentation=None,
        spacing_range_mm=(0.1, 0.2),
        signatures={
            "intratumoral": Signature(
                "image", "intratumoral", (MEAN, ENTROPY), (6000.0, 4.0), (500.0, 0.25), (0.5, -0.25), 0.1
            ),
            "peritumoral_5mm": Signature("image", "peritumoral_5mm", (RING_MEAN,), (4500.0,), (200.0,), (1.0,), -0.2),
        },
        nomogram=make_logistic(
            (INTRATUMORAL, RING, DIAMETER, CALCIFICATIONS),
            (1.0, -0.5, 0.05, 0.4),
            intercept=-1.5,
            variances=(0.04, 0.01, 0.01, 0.0001, 0.09),
        ),
        radiomics=make_logistic((INTRATUMORAL, RING), (1.2, 0.8), intercept=-0.5),
        clinical=make_logistic((DIAMETER, CALCIFICATIONS), (0.06, 0.5), intercept=-2.0),
        training={"cases": {"train": {"n": 84, "her2_positive": 28}}},
        software={"HER2Nomogram": "0.1.0"},
    )
    return replace(model, **changes)
