"""Variables that are derived from what a pathology report says, by rules that everybody can read.

They are derived case by case from the entries of the known columns. Only the standard library is needed, so that they
can be applied with a model as well as in a study.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from . import spellings
from .cases import SPLITS, Case, similar_column
from .errors import InputError
from .known_columns import HER2_COLUMNS

EQUIVOCAL_HER2 = "HER2 equivocal: IHC 2+ without ISH"
KI67_THRESHOLD = 20.0
SUBTYPES = ("luminal A", "luminal B HER2-negative", "luminal B HER2-positive", "HER2-enriched", "triple negative")

_RECEPTORS = ("er", "pr")
# Columns in which a minus sign may be a finding, and how their entries are read.
_SIGNED: dict[str, Callable[[str], object]] = {
    "her2": spellings.ish_status,
    "her2_ihc": spellings.ihc_score,
    "her2_ish": spellings.ish_status,
    "er": spellings.receptor_status,
    "pr": spellings.receptor_status,
    "microcalcifications": spellings.presence,
}
_NEGATIVE_READINGS = (False, "0", spellings.IHC_NEGATIVE)
# Entries of one message.
_SHOWN = 3
_RECEPTOR_RULE = "positive from 1% of stained nuclei on"


class NotUnderstood(ValueError):
    """An entry that a rule needs cannot be read; the text says what to write instead."""

    def __init__(self, column: str, hint: str):
        super().__init__(hint)
        self.column = column


class Contradiction(ValueError):
    """Entries of one case say different things; the text says which."""


@dataclass(frozen=True)
class Row:
    """Entries of one case.

    Attributes
    ----------
    entries : mapping of str to str
        By known column; blank where it is missing.
    numbered_density : bool
        Whether 1 to 4 name the categories of breast density.
    unclear : mapping of (str, str) to str
        Entries of a column that can mean two things, with what to write instead.
    """

    entries: Mapping[str, str]
    numbered_density: bool = False
    unclear: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def read(self, column: str, reader: Callable) -> object:
        """Meaning of an entry, None where it is missing."""
        text = self.entries.get(column, "")
        if not text:
            return None
        if (column, text) in self.unclear:
            raise NotUnderstood(column, self.unclear[column, text])
        try:
            return reader(text)
        except ValueError as error:
            raise NotUnderstood(column, str(error)) from None


@dataclass(frozen=True)
class Derived:
    """One variable that is derived.

    Attributes
    ----------
    name, label : str
    levels : tuple of str
        The reference first.
    needs : tuple of tuple of str
        Known columns; of each group one at least.
    rule : str
        How it is derived, in one sentence.
    derive : callable
        From a row to the level and, where that is blank, what is known of why.
    also : tuple of str
        Known columns that it uses where they are there.
    possible : callable, optional
        From a row to the levels that are left where the level is unknown, for variables that are derived from several
        of which some can be known. Of HER2 and hormone receptor status an unknown part leaves both levels.
    """

    name: str
    label: str
    levels: tuple[str, ...]
    needs: tuple[tuple[str, ...], ...]
    rule: str
    derive: Callable[[Row], tuple[str, str]]
    also: tuple[str, ...] = ()
    possible: Callable[[Row], Collection[str]] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """All known columns that it can use."""
        return tuple(dict.fromkeys([column for group in self.needs for column in group] + [*self.also]))

    @property
    def of_her2(self) -> bool:
        """Whether it tells the HER2 status."""
        return not {*self.columns}.isdisjoint(HER2_COLUMNS)

    def possible_indices(self, row: Row) -> frozenset[int] | None:
        """Indices of the levels that a row of unknown level can have; None where it can have any."""
        left = frozenset(self.levels.index(level) for level in self.possible(row)) if self.possible else frozenset()
        return left if 0 < len(left) < len(self.levels) else None

    def lacks(self, columns: Collection[str]) -> tuple[str, ...]:
        """The first group of columns of which none is there; empty where nothing is lacking."""
        return next((group for group in self.needs if not {*group} & {*columns}), ())


def derived_variable(name: str, ki67_threshold: float = KI67_THRESHOLD) -> Derived | None:
    """The derived variable of a name; None where there is none.

    Parameters
    ----------
    name : str
        ``ki67_at_least_<n>`` and ``age_over_<n>`` hold a number.
    ki67_threshold : float
        Percentage of Ki-67 that tells luminal A from luminal B.
    """
    cut = re.fullmatch(r"(ki67_at_least|age_over)_(\d+(?:\.\d+)?)", name)
    if cut:
        make = _ki67_at_least if cut[1] == "ki67_at_least" else _age_over
        return make(name, float(cut[2]))
    return _fixed(ki67_threshold).get(name)


def derived_names(ki67_threshold: float = KI67_THRESHOLD) -> tuple[str, ...]:
    """Names of the derived variables; of those with a number the usual one."""
    return (*_fixed(ki67_threshold), f"ki67_at_least_{ki67_threshold:g}", "age_over_50")


def make_rows(columns: Mapping[str, Sequence[str]], by_case: bool = False) -> list[Row]:
    """Rows of a table from its known columns, whose missing entries are blank.

    What a sign or a small number means is decided for the whole column: a minus sign is a finding where plus signs
    stand beside it, and missing where other entries say what is negative.

    Parameters
    ----------
    columns : mapping of str to sequence of str
        Entries by known column.
    by_case : bool
        Whether a small number must mean the same beside whatever other cases, so that one that needs its column is
        not understood.
    """
    columns, unclear = _without_dashes(columns)
    unclear |= _unclear_entries(columns) | (_unclear_alone(columns) if by_case else _unclear_scores(columns))
    numbered = not by_case and spellings.density_is_numbered(columns.get("breast_density", []))
    number_of_rows = max(map(len, columns.values()), default=0)
    return [Row({name: texts[i] for name, texts in columns.items()}, numbered, unclear) for i in range(number_of_rows)]


def _without_dashes(
    columns: Mapping[str, Sequence[str]],
) -> tuple[dict[str, list[str]], dict[tuple[str, str], str]]:
    """Columns with dashes that mean missing blank, and those dashes that can mean negative as well."""
    cleaned, unclear = {}, {}
    for name, texts in columns.items():
        dashes = {text for text in texts if spellings.is_dash(text)}
        reader = _SIGNED.get(name)
        if reader is not None and spellings.is_signed(texts):
            dashes = set()
        elif reader is not None and dashes and not _says_negative(texts, reader):
            hint = "a dash can be negative or missing, write negative"
            unclear |= {(name, text): hint for text in dashes}
            dashes = set()
        cleaned[name] = ["" if text in dashes else text for text in texts]
    return cleaned, unclear


def _unclear_entries(columns: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], str]:
    """Other entries that can mean two things, with what to write instead."""
    unclear = {}
    scores = columns.get("her2_ihc", [])
    if not any(re.search(r"\d|\+\+", text) for text in scores):
        hint = "a plus sign alone can be 1+ or positive, write 0, 1+, 2+ or 3+"
        unclear |= {("her2_ihc", text): hint for text in scores if text.strip("() ") == "+"}
    # What programs write for a missing entry is what readers write for no calcifications.
    hint = "'none' can be absent or missing, write absent"
    findings = columns.get("microcalcifications", [])
    unclear |= {("microcalcifications", text): hint for text in findings if text.strip().lower() == "none"}
    shares = columns.get("ki67", [])
    if _are_fractions(shares):
        hint = "all values are at most 1, write percentages from 0 to 100"
        unclear |= {("ki67", text): hint for text in shares if text}
    return unclear


def _unclear_scores(columns: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], str]:
    """Numbers of columns of receptors that can be percentages, scores or codes."""
    hint = (
        "whole numbers up to 12 can be percentages, scores or codes, write positive or negative (Allred scores are "
        "positive from 3 on), or percentages with their sign"
    )
    found = {name: spellings.unclear_receptor_numbers(columns.get(name, [])) for name in _RECEPTORS}
    return {(name, text): hint for name, texts in found.items() for text in texts}


def _unclear_alone(columns: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], str]:
    """Small numbers that mean nothing without the rest of their column."""
    hint = "write A to D, or a percentage with its sign (3%)"
    texts = columns.get("breast_density", [])
    unclear = {("breast_density", text): hint for text in texts if spellings.is_density_number(text)}
    hint = "write positive or negative, or a percentage with its sign (5%)"
    for name in _RECEPTORS:
        unclear |= {(name, text): hint for text in columns.get(name, []) if spellings.can_be_score(text)}
    return unclear


def _are_fractions(texts: Sequence[str]) -> bool:
    """Whether numbers are shares of one rather than percentages."""
    try:
        values = [spellings.number(text) for text in texts if text]
    except ValueError:
        return False
    return any(0 < value < 1 for value in values) and max(values) <= 1


def _says_negative(texts: Sequence[str], reader: Callable[[str], object]) -> bool:
    """Whether an entry other than a dash says what is negative."""
    for text in {*texts}:
        if spellings.is_dash(text):
            continue
        try:
            if reader(text) in _NEGATIVE_READINGS:
                return True
        except ValueError:
            continue
    return False


def with_derived(cases: Sequence[Case], names: Sequence[str], strict: Collection[str] = SPLITS) -> list[Case]:
    """Cases with derived variables among their clinical entries, where the table has no column of that name.

    Parameters
    ----------
    cases : sequence of Case
    names : sequence of str
        Other names are left alone, and those that tell the HER2 status: they are no clinical factors.
    strict : collection of str
        Splits whose entries must be understood; in others one that is not is passed on, so that the case is refused
        and not the table.

    Raises
    ------
    InputError
        Where an entry is not understood, or the case table lacks a column that a variable is derived from.
    """
    given = {column for case in cases for column in case.clinical}
    wanted = [found for name in names if name not in given and (found := derived_variable(name))]
    added: list[dict[str, str]] = [{} for _ in cases]
    for found in wanted if cases else ():
        if found.of_her2:
            continue
        lacking = found.lacks(given)
        if lacking:
            raise InputError(
                f"The case table has no column '{found.name}', nor {' or '.join(map(repr, lacking))} to derive it from"
                f"{similar_column(lacking[0], given)}: add one of them."
            )
        for of_case, level in zip(added, _of_cases(cases, found, strict)):
            of_case[found.name] = level
    return [replace(case, clinical={**case.clinical, **more}) for case, more in zip(cases, added)]


def _of_cases(cases: Sequence[Case], variable: Derived, strict: Collection[str]) -> list[str]:
    """Levels of a derived variable by case; entries that are not understood as they are written."""
    columns = {name: [_entry(case.clinical.get(name, "")) for case in cases] for name in variable.columns}
    levels, refused = [], []
    for case, row in zip(cases, make_rows(columns, by_case=True)):
        try:
            levels.append(variable.derive(row)[0])
        except NotUnderstood as error:
            # Not as it stands: a number would be read as that of a level. What can mean two things looks right.
            place = error.column, row.entries[error.column]
            levels.append(" = ".join(place) + (f" ({error})" if place in row.unclear else ""))
            if case.split in strict:
                refused.append((*place, str(error)))
    if refused:
        column, _, hint = refused[0]
        texts = [text for name, text, _ in refused if name == column]
        shown = ", ".join(f"'{text}'" for text in list(dict.fromkeys(texts))[:_SHOWN])
        count = "1 entry is" if len(texts) == 1 else f"{len(texts)} entries are"
        raise InputError(
            f"Column '{column}' of the case table (for {variable.name}): {count} not understood ({shown}): {hint}, or "
            "leave the cell blank where it is unknown."
        )
    return levels


def _entry(text: str) -> str:
    return "" if spellings.is_missing(text) else text


@cache
def _fixed(threshold: float) -> dict[str, Derived]:
    """Derived variables whose name has no number."""
    n = f"{threshold:g}"
    of_her2 = ("her2", "her2_ihc")
    found = (
        Derived(
            "her2", "HER2 status", ("negative", "positive"), (of_her2,),
            "Positive: IHC 3+, or 2+ with ISH positive; negative: IHC 0, 1+, or 2+ with ISH negative; as stated where "
            "only the status is given; IHC 2+ without ISH is equivocal and missing.",
            lambda row: _positive(*_her2(row)), also=("her2_ish",),
        ),
        Derived(
            "er_status", "ER status", ("negative", "positive"), (("er",),), f"ER is {_RECEPTOR_RULE}.",
            lambda row: _positive(row.read("er", spellings.receptor_status)),
        ),
        Derived(
            "pr_status", "PR status", ("negative", "positive"), (("pr",),), f"PR is {_RECEPTOR_RULE}.",
            lambda row: _positive(row.read("pr", spellings.receptor_status)),
        ),
        Derived(
            "hr_status", "Hormone receptor status", ("negative", "positive"), (("er",), ("pr",)),
            f"Positive where ER or PR is positive, negative where both are negative; each is {_RECEPTOR_RULE}.",
            lambda row: _positive(*_hormone_receptors(row)),
        ),
        Derived(
            "immunophenotype", "Immunophenotype", SUBTYPES, (("er",), ("pr",), of_her2, ("ki67",)),
            f"Luminal A: ER or PR positive, HER2-negative, Ki-67 below {n}%; luminal B HER2-negative: the same with "
            f"Ki-67 of {n}% or more; luminal B HER2-positive: ER or PR positive, HER2-positive; HER2-enriched: ER and "
            "PR negative, HER2-positive; triple negative: all negative.",
            lambda row: _immunophenotype(row, threshold), also=("her2_ish",),
            possible=lambda row: _possible_subtypes(row, threshold),
        ),
        Derived(
            "density_category", "Breast density", spellings.DENSITIES, (("breast_density",),),
            "ACR category; percentages up to 25 are A, up to 50 B, up to 75 C, above D.",
            lambda row: (_density(row) or "", ""),
        ),
        Derived(
            "dense_breast", "Breast density group", ("A-B", "C-D"), (("breast_density",),),
            "ACR categories A and B against C and D; percentages up to 50 are A or B.",
            lambda row: ({"A": "A-B", "B": "A-B", "C": "C-D", "D": "C-D"}.get(_density(row) or "", ""), ""),
        ),
        Derived(
            "idc", "Histology, IDC or other", ("other histology", "IDC"), (("histology",),),
            "Invasive ductal carcinoma (no special type), also with an in situ component, against all other "
            "histologies, mixed ductal and lobular carcinoma among these.",
            lambda row: _choice(row.read("histology", spellings.is_idc), "", ("other histology", "IDC")),
        ),
    )  # fmt: skip
    return {variable.name: variable for variable in found}


def _ki67_at_least(name: str, cut: float) -> Derived:
    rule = f"Yes where Ki-67 is {cut:g}% or more; a range such as 15-20 counts where both ends agree."
    label = f"Ki-67 \u2265 {cut:g}%"
    return Derived(name, label, ("no", "yes"), (("ki67",),), rule, lambda row: _choice(*_high_ki67(row, cut)))


def _high_ki67(row: Row, cut: float) -> tuple[bool | None, str]:
    """Whether Ki-67 is a percentage or more, and why it is unknown."""
    found = row.read("ki67", spellings.percentage)
    if found is None:
        return None, ""
    low, high = found
    return (None, f"Ki-67 given as a range on both sides of {cut:g}%") if low < cut <= high else (low >= cut, "")


def _age_over(name: str, cut: float) -> Derived:
    rule = f"Yes where the age is more than {cut:g} years."
    label = f"Age > {cut:g} years"
    return Derived(name, label, ("no", "yes"), (("age",),), rule, lambda row: _choice(*_over(row, cut)))


def _over(row: Row, cut: float) -> tuple[bool | None, str]:
    found = row.read("age", spellings.age)
    if found is None:
        return None, ""
    low, high = found
    return (None, f"age given as a range on both sides of {cut:g}") if low <= cut < high else (low > cut, "")


def _choice(value: object, why: str = "", levels: tuple[str, str] = ("no", "yes")) -> tuple[str, str]:
    return ("" if value is None else levels[bool(value)]), why


def _positive(value: object, why: str = "") -> tuple[str, str]:
    return _choice(value, why, ("negative", "positive"))


def _her2(row: Row) -> tuple[bool | None, str]:
    """HER2 status, and why it is unknown."""
    stated = row.read("her2", spellings.ish_status)
    score, ish = row.read("her2_ihc", spellings.ihc_score), row.read("her2_ish", spellings.ish_status)
    derived = {"3+": True, "2+": ish, "1+": False, "0": False, spellings.IHC_NEGATIVE: False}.get(score)
    if stated is None:
        why = ""
        if score == "2+":
            why = EQUIVOCAL_HER2
        elif score is None and ish is not None:
            why = "HER2 unknown: ISH without an IHC score"
        elif score is None and row.entries.get("her2"):
            why = "HER2 equivocal or pending"
        return derived, ("" if derived is not None else why)
    if derived is not None and derived != stated:
        by = "IHC" if score != "2+" else "IHC and ISH"
        raise Contradiction(f"HER2 is given as {'positive' if stated else 'negative'}, but by {by} it is not")
    return stated, ""


def is_discordant_her2(row: Row) -> bool:
    """Whether ISH says otherwise than an IHC of 0, 1+ or 3+, by which alone the status goes."""
    score, ish = (_known(row, *of) for of in (("her2_ihc", spellings.ihc_score), ("her2_ish", spellings.ish_status)))
    by_ihc = {"3+": True, "1+": False, "0": False, spellings.IHC_NEGATIVE: False}.get(score)
    return by_ihc is not None and ish is not None and by_ihc != ish


def _known(row: Row, column: str, reader: Callable) -> object:
    """Meaning of an entry; None also where it is not understood."""
    try:
        return row.read(column, reader)
    except NotUnderstood:
        return None


def _hormone_receptors(row: Row) -> tuple[bool | None, str]:
    """Whether ER or PR is positive, and why it is unknown."""
    both = [row.read(name, spellings.receptor_status) for name in ("er", "pr")]
    if True in both:
        return True, ""
    if None not in both:
        return False, ""
    return None, "hormone receptors unknown: one of ER and PR is negative, the other missing" if False in both else ""


def _immunophenotype(row: Row, threshold: float) -> tuple[str, str]:
    (her2, why_her2), (luminal, why_luminal) = _her2(row), _hormone_receptors(row)
    if her2 is None or luminal is None:
        why = [why_her2 or "HER2 unknown"] if her2 is None else []
        why += [why_luminal or "hormone receptors unknown"] if luminal is None else []
        return "", "; ".join(why)
    high, why = _high_ki67(row, threshold) if luminal and not her2 else (False, "")
    if high is None:
        return "", why or "luminal HER2-negative without Ki-67"
    return _subtype(luminal, her2, high), ""


def _subtype(luminal: bool, her2: bool, high: bool) -> str:
    if not luminal:
        return "HER2-enriched" if her2 else "triple negative"
    return "luminal B HER2-positive" if her2 else "luminal B HER2-negative" if high else "luminal A"


def _possible_subtypes(row: Row, threshold: float) -> set[str]:
    """Immunophenotypes that are left when what is unknown takes any value."""
    of_receptors = [_known(row, name, spellings.receptor_status) for name in _RECEPTORS]
    # One positive receptor is enough, one negative is not.
    luminal = True if True in of_receptors else None if None in of_receptors else False
    try:
        high = _high_ki67(row, threshold)[0]
    except NotUnderstood:
        high = None
    parts = ((False, True) if part is None else (part,) for part in (luminal, _her2(row)[0], high))
    return {_subtype(*values) for values in itertools.product(*parts)}


def _density(row: Row) -> str | None:
    return row.read("breast_density", lambda text: spellings.density(text, row.numbered_density))
