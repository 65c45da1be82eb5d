"""A table of a clinical study whose associations are known, for the tests of the association study."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

PREDICTORS = ("age_over_50", "idc", "dense_breast", "microcalcifications", "er", "ki67_at_least_20")


def study_rows(n: int = 240, seed: int = 3, missing: float = 0.0) -> list[dict[str, str]]:
    """Rows of a study in which microcalcifications and a high Ki-67 go with HER2-positive, and nothing else does.

    HER2-positive ones stand as IHC 3+ or as 2+ with ISH; some IHC 2+ have no ISH and are equivocal.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        calcified, ki67 = rng.random() < 0.4, rng.integers(1, 80)
        log_odds = -1.6 + 1.3 * calcified + 1.0 * (ki67 >= 20)
        positive = rng.random() < 1 / (1 + np.exp(-log_odds))
        ihc = "3+" if positive and rng.random() < 0.5 else "2+" if positive or rng.random() < 0.5 else "1+"
        row = {
            "case_id": f"S{number:03d}",
            "age": str(rng.integers(30, 80)),
            "histology": str(rng.choice(["IDC", "ILC", "IDC"])),
            "breast_density": str(rng.choice(list("ABCD"))),
            "microcalcifications": "yes" if calcified else "no",
            "er": str(rng.choice(["positive", "negative"])),
            "pr": str(rng.choice(["positive", "negative"])),
            "ki67": str(ki67),
            "her2_ihc": ihc,
            "her2_ish": "" if ihc != "2+" else "" if number % 20 == 0 else "positive" if positive else "negative",
            "grade": str(rng.integers(1, 4)),
        }
        for name in ("age", "breast_density", "er", "ki67"):
            if rng.random() < missing:
                row[name] = ""
        rows.append(row)
    return rows


def write_study(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write rows as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
