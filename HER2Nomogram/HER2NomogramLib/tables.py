"""Feature and prediction tables as CSV with full precision."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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

    def row(self, case_id: str) -> dict[str, float]:
        """Values of one case by column, those that it has.

        Raises
        ------
        InputError
            Where the table has no such case.
        """
        if case_id not in self.case_ids:
            raise InputError(f"Case '{case_id}' is not in the feature table: extract its features first.")
        values = self.values[self.case_ids.index(case_id)]
        return {name: float(value) for name, value in zip(self.columns, values) if not math.isnan(value)}


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
            rows = [row for row in reader if row]
    except OSError as error:
        raise InputError(f"Feature table '{path}' cannot be read ({error.strerror}): check the path.") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"Feature table '{path}' is not CSV text in UTF-8: write it again with extract.") from None
    if header[:1] != ["case_id"] or not rows:
        raise InputError(f"Feature table '{path}' needs a first column 'case_id' and one row per case.")
    case_ids = tuple(row[0] for row in rows)
    if "" in case_ids:
        raise InputError(f"Feature table '{path}' has a row without case_id: write it again with extract.")
    if len(set(case_ids)) != len(case_ids) or len(set(header)) != len(header):
        raise InputError(f"Feature table '{path}' has a case or a column twice: remove one of them.")
    values = np.array([_numbers(row, header, path) for row in rows])
    return FeatureTable(case_ids, tuple(header[1:]), values)


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
        facts["extraction"], facts["margins_mm"], facts["cases"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"'{path}' is missing or damaged: it records the settings of '{Path(features_path).name}', extract again."
        ) from None
    return facts


def _numbers(row: list[str], header: list[str], path: Path) -> list[float]:
    if len(row) != len(header):
        raise InputError(f"Feature table '{path}', case '{row[0]}': {len(row)} entries for {len(header)} columns.")
    numbers = []
    for name, text in zip(header[1:], row[1:]):
        try:
            numbers.append(float(text) if text.strip() else math.nan)
        except ValueError:
            where = f"Feature table '{path}', case '{row[0]}', column '{name}'"
            raise InputError(f"{where}: '{text}' is no number.") from None
    return numbers
