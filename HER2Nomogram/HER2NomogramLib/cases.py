"""cases.csv: one row per lesion, with its images, its outcome and its clinical factors."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from . import spellings
from .cohort_table import is_workbook
from .errors import InputError

SPLITS = ("train", "internal_test", "prospective_test")
_OWN_COLUMNS = ("case_id", "patient_id", "split", "segment", "exclude_segments", "pixel_spacing_mm")
EQUIVOCAL = "2+"
# Names that agree by this share are probably two spellings of one.
_SIMILAR = 0.8


@dataclass(frozen=True)
class CaseImage:
    """One image of a case with the segmentation drawn on it."""

    image: Path
    segmentation: Path


@dataclass(frozen=True)
class Case:
    """One lesion.

    Attributes
    ----------
    case_id, patient_id, split : str
    images : dict of str to CaseImage
        By image name: ``image``, or the suffix of an ``image_<name>`` column.
    segment : str or None
        Segment of the lesion, None where the segmentation has only one.
    exclude_segments : tuple of str
    pixel_spacing_mm : float or None
    her2 : int or None
        1 positive, 0 negative, None where it is unknown or equivocal.
    clinical : dict of str to str
        All other columns as they were written.
    split_given : bool
        Whether the split was written in the table; a blank one is ``train``.
    """

    case_id: str
    patient_id: str
    split: str
    images: dict[str, CaseImage] = field(default_factory=dict)
    segment: str | None = None
    exclude_segments: tuple[str, ...] = ()
    pixel_spacing_mm: float | None = None
    her2: int | None = None
    clinical: dict[str, str] = field(default_factory=dict)
    split_given: bool = True


def read_cases(path: str | Path) -> list[Case]:
    """Read a case table.

    Parameters
    ----------
    path : path
        CSV in UTF-8; paths in it are relative to its folder.

    Raises
    ------
    InputError
        Where the table cannot be read, a case has no or a second identifier, a patient is in two splits, or an entry
        is not what its column wants.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            columns = [name.strip() for name in next(reader, [])]
            # Excel leaves rows of nothing but commas where cells were emptied.
            rows = [(reader.line_num, row) for row in reader if any(entry.strip() for entry in row)]
    except OSError as error:
        raise InputError(f"Case table '{path}' cannot be read ({error.strerror}): check the path.") from None
    except (UnicodeDecodeError, csv.Error):
        workbook = "; only the association study (associate) reads workbooks" if is_workbook(path) else ""
        raise InputError(
            f"Case table '{path}' is not CSV text in UTF-8: export it again as CSV UTF-8{workbook}."
        ) from None
    _check_columns(columns, path)
    if not rows:
        raise InputError(f"Case table '{path}' has no cases: add one row per lesion.")
    cases = [_case_from(_entries(row, columns, path, line), path, line) for line, row in rows]
    repeated = [name for name, count in Counter(case.case_id for case in cases).items() if count > 1]
    if repeated:
        raise InputError(f"Case table '{path}': case_id '{repeated[0]}' stands in several rows: make it unique.")
    splits: dict[str, str] = {}
    for case in cases:
        if splits.setdefault(case.patient_id, case.split) != case.split:
            raise InputError(
                f"Case table '{path}': the patient of case '{case.case_id}' is in two splits "
                f"({splits[case.patient_id]} and {case.split}): keep each patient in one."
            )
    return cases


def her2_status(her2: str, ihc: str = "", ish: str = "") -> int | None:
    """HER2 status by ASCO/CAP: IHC 3+, or 2+ with ISH positive, is positive; 2+ without ISH is equivocal (None).

    Parameters
    ----------
    her2, ihc, ish : str
        Status 0/1, IHC score 0, 1+, 2+, 3+, ISH positive/negative; blank where unknown.

    Raises
    ------
    InputError
        Where an entry is not one of these.
    """
    her2, ihc, ish = her2.strip().lower(), ihc.strip().lower(), ish.strip().lower()
    try:
        status = spellings.ish_status(her2)
    except ValueError:
        raise InputError(f"her2 is '{her2}': give 1 (positive), 0 (negative) or nothing.") from None
    try:
        amplified = spellings.ish_status(ish)
    except ValueError:
        raise InputError(f"her2_ish is '{ish}': give positive, negative or nothing.") from None
    score = _ihc_score(ihc)
    if score is None:
        raise InputError(f"her2_ihc is '{ihc}': give 0, 1+, 2+, 3+ or nothing.")
    derived = {"3+": True, "0": False, "1+": False, spellings.IHC_NEGATIVE: False, EQUIVOCAL: amplified}.get(score)
    if status is None:
        return None if derived is None else int(derived)
    if derived is not None and derived != status:
        raise InputError(f"her2 is '{her2}', but her2_ihc '{ihc}' and her2_ish '{ish}' say otherwise: correct one.")
    return int(status)


def ihc_remark(cases: Sequence[Case]) -> str:
    """What to say where not all cases are IHC 2+, the only ones for which ISH is asked; else empty.

    Figures on other cases are those of another population: their HER2 status was never in doubt.
    """
    scores = [_ihc_score(case.clinical.get("her2_ihc", "").strip().lower()) for case in cases]
    unknown, certain = scores.count(""), sum(score not in ("", EQUIVOCAL) for score in scores)
    found = [f"{certain} of them are IHC 0, 1+ or 3+"] if certain else []
    found += [f"of {unknown} the IHC score is not given (her2_ihc)"] if unknown else []
    if not found:
        return ""
    return (
        f"{len(cases)} cases are used; {' and '.join(found)}. The question is about IHC 2+, for which alone ISH is "
        "asked: on other cases AUC, net benefit and tests avoided are those of another population."
    )


def check_outcomes(cases: Sequence[Case]) -> None:
    """Refuse cases of which none has an outcome: nothing can be learned from them or measured on them.

    Raises
    ------
    InputError
    """
    if any(case.her2 is not None for case in cases):
        return
    columns = list(dict.fromkeys(column for case in cases for column in case.clinical))
    if "her2" in columns or {"her2_ihc", "her2_ish"} <= {*columns}:
        raise InputError(
            "No case has a known HER2 status: fill in the column her2, or her2_ihc and, for IHC 2+, her2_ish of the "
            "case table."
        )
    # IHC alone tells the status of 0, 1+ and 3+.
    if "her2_ihc" in columns:
        raise InputError("No case has a known HER2 status: IHC 2+ needs the column her2_ish in the case table.")
    similar = similar_column("her2", columns)
    raise InputError(f"The case table has no column her2, or her2_ihc and her2_ish{similar}: add the outcome.")


def similar_column(name: str, columns: Iterable[str]) -> str:
    """Question whether a column of nearly the same name is meant, to be put into a message; empty where none is."""

    def bare(text: str) -> str:
        return "".join(character for character in text.lower() if character.isalnum())

    words = {column: re.split(r"[^a-z0-9]+", column.lower()) for column in columns}
    same = [column for column in words if bare(column) == bare(name)]
    within = [column for column, of_column in words.items() if name in of_column]
    found = [*same, *within, *get_close_matches(name, list(words), 1, _SIMILAR)]
    return f" (is '{found[0]}' meant?)" if found else ""


def _ihc_score(ihc: str) -> str | None:
    """IHC score as it is written in reports, empty where it is unknown, None where it is not understood."""
    # A plus sign alone is 1+ to some and positive to others; a dash can be a missing score.
    if ihc.strip("() ") == "+" or spellings.is_dash(ihc):
        return None
    try:
        return spellings.ihc_score(ihc) or ""
    except ValueError:
        return None


def _check_columns(columns: list[str], path: Path) -> None:
    if not any(columns):
        raise InputError(
            f"Case table '{path}' has no column 'case_id', its first line is empty: name the columns there."
        )
    if "case_id" not in columns:
        # Excel separates by semicolons where the comma is the decimal sign; a pasted table has tabs.
        if len(columns) == 1 and any(sign in columns[0] for sign in ";\t"):
            raise InputError(f"Case table '{path}' has no commas between its columns: save it as CSV with commas.")
        similar = similar_column("case_id", columns)
        raise InputError(
            f"Case table '{path}' has no column 'case_id'{similar}: name the column that identifies the lesions so."
        )
    repeated = [name for name, count in Counter(filter(None, columns)).items() if count > 1]
    if repeated:
        raise InputError(f"Case table '{path}' has the column '{repeated[0]}' twice: rename or remove one of them.")


def _entries(row: list[str], columns: list[str], path: Path, line: int) -> dict[str, str]:
    """Entries of one row by column, blank where the row ends early."""
    entries = [entry.strip() for entry in row]
    if any(entries[len(columns) :]):
        raise InputError(
            f"Case table '{path}', line {line}: more entries than columns: put entries that hold a comma in quotes."
        )
    entries += [""] * (len(columns) - len(entries))
    return {name: entry for name, entry in zip(columns, entries) if name}


def is_blank(value: object) -> bool:
    """Whether a table entry says nothing: empty, or one of the words that programs write for a missing value."""
    return value is None or str(value).strip().lower() in ("", "nan", "none", "na", "n/a")


def _case_from(row: dict[str, str], path: Path, line: int) -> Case:
    where = f"Case table '{path}', line {line}"
    case_id = row["case_id"]
    if not case_id or any(character in case_id for character in '/\\:*?"<>|'):
        raise InputError(f"{where}: case_id '{case_id}' is empty or cannot be part of a file name: change it.")
    split = row.get("split") or "train"
    if split not in SPLITS:
        raise InputError(f"{where}: split '{split}' is not one of {', '.join(SPLITS)}.")
    try:
        her2 = her2_status(row.get("her2", ""), row.get("her2_ihc", ""), row.get("her2_ish", ""))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return Case(
        case_id=case_id,
        patient_id=row.get("patient_id") or case_id,
        split=split,
        images=_images(row, path.parent, where),
        segment=row.get("segment") or None,
        exclude_segments=tuple(s.strip() for s in row.get("exclude_segments", "").split(";") if s.strip()),
        pixel_spacing_mm=_spacing(row.get("pixel_spacing_mm", ""), where),
        her2=her2,
        clinical={name: value for name, value in row.items() if not is_own(name)},
        split_given=bool(row.get("split")),
    )


def is_own(name: str) -> bool:
    """Whether a column of the case table says where a case comes from and lies, not what the patient has."""
    return name in _OWN_COLUMNS or name.split("_")[0] in ("image", "segmentation")


def _images(row: dict[str, str], folder: Path, where: str) -> dict[str, CaseImage]:
    found = {}
    for column, image in row.items():
        if not image or (column != "image" and not column.startswith("image_")):
            continue
        suffix = column.removeprefix("image").removeprefix("_")
        other = f"segmentation_{suffix}" if suffix else "segmentation"
        if not row.get(other):
            raise InputError(f"{where}: '{column}' is given without '{other}': add the segmentation of this image.")
        found[suffix or "image"] = CaseImage(folder / image, folder / row[other])
    return found


def _spacing(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        point = " with a decimal point" if "," in text else ""
        raise InputError(f"{where}: pixel_spacing_mm '{text}' is not a number: give mm per pixel{point}.") from None
