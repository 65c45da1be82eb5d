"""Feature and prediction tables as CSV with full precision."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .cases import similar_column
from .errors import InputError
from .files import atomic_path


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Feature values of many cases.

    Attributes
    ----------
    case_ids : tuple of str
    columns : tuple of str
        ``<image>__<region>__<pyradiomics name>``.
    values : np.ndarray, shape (n_cases, n_columns)
        NaN where a case has no value.
    """

    case_ids: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray

    @cached_property
    def positions(self) -> dict[str, int]:
        """Row of every case."""
        return {case_id: index for index, case_id in enumerate(self.case_ids)}

    def check_cases(self, case_ids: Sequence[str]) -> None:
        """Refuse cases of which none is in the table.

        Raises
        ------
        InputError
        """
        if case_ids and not self.positions.keys() & {*case_ids}:
            raise InputError(
                f"No case of the case table is in the feature table (their first case_id: '{case_ids[0]}' and "
                f"'{self.case_ids[0]}'): give the lesions the same case_id in both."
            )

    def row(self, case_id: str) -> dict[str, float]:
        """Values of one case by column, those that it has.

        Raises
        ------
        InputError
            Where the table has no such case.
        """
        if case_id not in self.positions:
            raise InputError(f"Case '{case_id}' is not in the feature table: extract its features first.")
        values = self.values[self.positions[case_id]]
        return {name: float(value) for name, value in zip(self.columns, values) if not math.isnan(value)}


def feature_name(column: str) -> str:
    """Name of a feature without the image and the region that it is of; that of other software as it is."""
    parts = column.split("__", 2)
    return parts[2] if len(parts) == 3 else column


def write_rows(path: str | Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as CSV, whole or not at all; columns in the order in which they first appear."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_features(path: str | Path, rows: Iterable[tuple[str, Mapping[str, float]]]) -> None:
    """Write ``features.csv`` from (case_id, row) pairs; floats keep every digit."""
    write_rows(path, [{"case_id": case_id, **{n: repr(float(v)) for n, v in row.items()}} for case_id, row in rows])


def read_features(path: str | Path) -> FeatureTable:
    """Read ``features.csv``.

    Raises
    ------
    InputError
        Where the table cannot be read, has no or a repeated ``case_id``, or an entry is not a number.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            _check_header(header, path)
            # Numbers at once, row by row: as text a large table would take ten times the memory. Excel leaves rows of
            # nothing but commas where cells were emptied.
            rows = [(row[0], _numbers(row, header, path)) for row in reader if any(entry.strip() for entry in row)]
    except OSError as error:
        raise InputError(f"Feature table '{path}' cannot be read ({error.strerror}): check the path.") from None
    except UnicodeDecodeError:
        raise InputError(f"Feature table '{path}' is not CSV text in UTF-8: save it so.") from None
    except csv.Error:  # mostly a first line without commas, which is longer than an entry may be
        raise InputError(f"Feature table '{path}' is not CSV with commas between its columns: save it so.") from None
    if not rows:
        raise InputError(f"Feature table '{path}' needs a first column 'case_id' and one row per case.")
    case_ids = tuple(case_id for case_id, _ in rows)
    if "" in case_ids:
        raise InputError(f"Feature table '{path}' has a row without case_id: fill it in or remove the row.")
    for what, names in (("case", case_ids), ("column", header)):
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise InputError(f"Feature table '{path}' has the {what} '{repeated[0]}' twice: remove one of them.")
    return FeatureTable(case_ids, tuple(header[1:]), np.array([numbers for _, numbers in rows]))


def read_extraction_facts(features_path: str | Path) -> dict[str, Any]:
    """Content of the ``features.json`` beside a feature table: settings, margins, facts about every image.

    Raises
    ------
    InputError
        Where it is missing or damaged.
    """
    path = Path(features_path).with_suffix(".json")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        _check_facts(facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"'{path}' is missing or damaged: it records how '{Path(features_path).name}' was made. Extract again, or "
            "train with --other-software on a table that other software made."
        ) from None
    return facts


def _check_header(header: list[str], path: Path) -> None:
    if header[:1] == ["case_id"]:
        return
    if not any(header):
        raise InputError(f"Feature table '{path}' needs a first column 'case_id', but its first line is empty.")
    # Excel separates by semicolons where the comma is the decimal sign; a pasted table has tabs.
    if len(header) == 1 and any(sign in header[0] for sign in ";\t"):
        raise InputError(f"Feature table '{path}' has no commas between its columns: save it as CSV with commas.")
    similar = similar_column("case_id", header)
    raise InputError(f"Feature table '{path}' needs a first column 'case_id'{similar} and one row per case.")


def _check_facts(facts: Any) -> None:
    """Fail with one of Python's own errors where a record of an extraction lacks what is needed of it."""
    if not isinstance(facts["extraction"], dict) or not all(float(width) > 0 for width in facts["margins_mm"]):
        raise ValueError("settings")
    for images in facts["cases"].values():
        for image in images.values():
            if len(image["spacing_mm"]) != 2 or not all(float(width) > 0 for width in image["spacing_mm"]):
                raise ValueError("spacing")


def _numbers(row: list[str], header: list[str], path: Path) -> np.ndarray:
    if len(row) != len(header):
        raise InputError(f"Feature table '{path}', case '{row[0]}': {len(row)} entries for {len(header)} columns.")
    try:
        return np.array([float(text) if text.strip() else math.nan for text in row[1:]])
    except ValueError:
        name, text = next((name, text) for name, text in zip(header[1:], row[1:]) if not _is_number(text))
        where = f"Feature table '{path}', case '{row[0]}', column '{name}'"
        point = " with a decimal point" if "," in text else ""
        raise InputError(f"{where}: '{text}' is no number: correct it{point}, or remove the column.") from None


def _is_number(text: str) -> bool:
    try:
        return not text.strip() or float(text) is not None
    except ValueError:
        return False
