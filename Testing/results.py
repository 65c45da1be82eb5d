"""A simulated cohort of 131 women with a developed model and an evaluation of it, for the tests of the reports."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from HER2NomogramLib.cases import Case
from HER2NomogramLib.prediction import predict_row
from HER2NomogramLib.tables import FeatureTable
from HER2NomogramLib.training import TrainingOptions, TrainingResult, train, with_internal_validation
from HER2NomogramLib.validation import ModelValidation, validate_model, with_recalibration

SIZES = {"train": 84, "internal_test": 22, "prospective_test": 25}
REGIONS = ("intratumoral", "peritumoral_5mm", "combined_5mm")
FEATURES = tuple(f"{kind}_glcm_{name}" for kind in ("original", "wavelet-H") for name in ("Contrast", "Idm", "Energy"))
FACTORS = ("tumor_diameter_mm", "age", "microcalcifications", "histology")
# Users' texts may hold anything; these must reach the page as text.
LEVELS = ("ductal <NOS>", "lobular & mixed", "other")
NAME = "Nomogram <b>& friends</b>"
# An identifier and a path that must not leave the machine.
SECRET_ID, SECRET_FOLDER = "Smith^Jane", "/data/people/Smith"


def make_cases(seed: int = 4, sizes=SIZES, prefix: str = "MRN") -> tuple[list[Case], FeatureTable, dict]:
    """Cases, features and facts of the extraction; some factors are missing, two cases cannot be used."""
    rng = np.random.default_rng(seed)
    splits = [split for split, size in sizes.items() for _ in range(size)]
    her2 = (rng.random(len(splits)) < 0.35).astype(int)
    columns = ["image__intratumoral__diagnostics_FeretDiameter"]
    columns += [f"image__{region}__{name}" for region in REGIONS for name in FEATURES]
    values = rng.normal(100, 10, (len(splits), len(columns)))
    values[:, 0] = np.clip(rng.normal(22, 6, len(splits)) + 3 * her2, 6, 60).round(1)
    values[:, 1 :: len(FEATURES)] += 9 * her2[:, None]
    values[:, 2 :: len(FEATURES)] -= 6 * her2[:, None]
    cases = []
    for index, (split, status) in enumerate(zip(splits, her2)):
        clinical = {
            "tumor_diameter_mm": f"{values[index, 0]:.1f}",
            "age": "" if index % 17 == 3 else str(int(rng.normal(53, 11))),
            "microcalcifications": "present" if rng.random() < 0.3 + 0.2 * status else "absent",
            "histology": str(rng.choice(LEVELS, p=(0.7, 0.2, 0.1))),
        }
        cases.append(Case(f"{prefix}{index:04d}", f"P{prefix}{index:04d}", split, her2=int(status), clinical=clinical))
    table = FeatureTable(tuple(case.case_id for case in cases), tuple(columns), values)
    image = {"spacing_mm": [0.094, 0.094], "kind": "recombined", "presentation": "FOR PRESENTATION", "warnings": []}
    facts = {
        "extraction": {
            "imageType": {"Original": {}, "Wavelet": {"wavelet": "coif1"}},
            "featureClass": {"glcm": []},
            "setting": {"binCount": 32, "force2D": True, "force2Ddimension": 0},
        },
        "margins_mm": [5.0],
        "cases": {case.case_id: {"image": image} for case in cases},
    }
    cases.append(Case(SECRET_ID, SECRET_ID, "train", her2=1, clinical=dict(cases[0].clinical)))
    cases.append(Case(f"{prefix}9999", f"P{prefix}9999", "internal_test", clinical=dict(cases[0].clinical)))
    return cases, table, facts


@lru_cache
def developed(method: str = "cross-fitted", selection: str = "none", resampled: bool = True) -> TrainingResult:
    """A model developed on the simulated cohort, with a few resamples."""
    options = TrainingOptions(
        name=NAME,
        clinical=FACTORS,
        method=method,
        selection=selection,
        n_folds=5,
        demonstration=True,
    )
    result = train(*make_cases(), options)
    return with_internal_validation(result, replicates=6, repeats=2) if resampled else result


@lru_cache
def evaluated(recalibration: str | None = None, only_train: bool = False) -> ModelValidation:
    """The developed model on further simulated cases."""
    model = developed(resampled=False).model
    sizes = {"train": 60} if only_train else {"internal_test": 45, "prospective_test": 40}
    cases, table, _ = make_cases(seed=9, sizes=sizes, prefix="EXT")
    usable = [case for case in cases if case.case_id in table.case_ids]
    predictions = {case.case_id: predict_row(model, table.row(case.case_id), case.clinical) for case in usable}
    failed = {SECRET_ID: f"Image '{SECRET_FOLDER}/mammogram.dcm' cannot be read: check the path."}
    validation = validate_model(cases, model, predictions, failed)
    return with_recalibration(validation, recalibration, "external") if recalibration else validation
