"""A simulated cohort of 185 women with two association studies of it, for the tests of their report."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from HER2NomogramLib.association import AssociationResult, StudyOptions, associate
from HER2NomogramLib.cohort import Cohort, read_cohort

COLUMNS = (
    "case_id", "patient_id", "her2_ihc", "her2_ish", "er", "Ki-67 (%)", "age", "ACR density", "microcalcifications",
    "histology", "tumor_diameter_mm",
)  # fmt: skip
# Users' texts may hold anything; this must reach the page as text.
LOBULAR = "lobular <NOS> & other"
# Identifiers must not leave the machine.
SECRETS = ("MRN", "PAT")


def table_text(n: int = 185, seed: int = 3, complete: bool = False) -> str:
    """The cohort as CSV text; DCIS always has microcalcifications, so that histology separates the outcome."""
    rng = np.random.default_rng(seed)
    lines = [",".join(COLUMNS)]
    for index in range(n):
        ihc = str(rng.choice(["0", "1+", "2+", "3+"]))
        ish = str(rng.choice(["positive", "negative", "not done"], p=(0.2, 0.65, 0.15))) if ihc == "2+" else ""
        ish = "negative" if complete and ish == "not done" else ish
        positive = ihc == "3+" or ish == "positive"
        er = str(rng.choice(["positive (90%)", "negative"], p=(0.7, 0.3)))
        ki67 = str(rng.choice(["5", "10", "15", "25", "40", ""]))
        age = int(rng.normal(54, 11))
        histology = str(rng.choice(["IDC", LOBULAR, "DCIS"], p=(0.8, 0.12, 0.08)))
        found = histology == "DCIS" or rng.random() < 0.12 + 0.35 * positive
        density = str(rng.choice(["A", "B", "C", "D"], p=(0.12, 0.46, 0.32, 0.10)))
        diameter = f"{np.exp(rng.normal(3, 0.45)):.1f}"
        gaps = rng.random(3) < (0.0 if complete else 0.05)
        row = [f"MRN{index:04d}", f"PAT{index:04d}", ihc, ish, er, "12" if complete and not ki67 else ki67]
        row += ["" if gaps[0] else str(age), "" if gaps[1] else density]
        row += ["" if gaps[2] else "present" if found else "absent", histology, diameter]
        lines.append(",".join(row))
    return "\n".join(lines) + "\n"


@lru_cache
def cohort(complete: bool = False) -> Cohort:
    """The cohort, read as users have it read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cohort.csv"
        path.write_text(table_text(complete=complete), encoding="utf-8")
        return read_cohort(path)


@lru_cache
def microcalcifications() -> AssociationResult:
    """The study of microcalcifications, with strata, missing values, and a variable that separates the outcome."""
    options = StudyOptions(
        outcome="microcalcifications",
        predictors=("her2", "age", "ki67", "er", "density_category", "idc", "histology", "tumor_diameter_mm"),
        per={"age": 10, "tumor_diameter_mm": 10},
        strata="dense_breast",
        forced=("age",),
        imputations=3,
    )
    return associate(cohort(), options)


@lru_cache
def her2() -> AssociationResult:
    """The study of HER2 status in some of the rows."""
    options = StudyOptions(
        outcome="her2",
        predictors=("age", "er", "density_category", "microcalcifications", "tumor_diameter_mm"),
        forced=("age",),
        only={"histology": ("IDC",)},
        imputations=0,
    )
    return associate(cohort(), options)


@lru_cache
def nothing_missing() -> AssociationResult:
    """A study in which nothing is missing and nothing enters the multivariable model."""
    options = StudyOptions(outcome="microcalcifications", predictors=("age", "er"), entry_p=1e-9)
    return associate(cohort(complete=True), options)
