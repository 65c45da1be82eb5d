"""A cohort for a study: its columns under known names, and its variables as they stand or derived by rules."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from . import spellings
from .cases import similar_column
from .clinical import MAXIMUM_LEVELS, Factor, describe_factor, is_number
from .cohort_table import CohortTable, read_table
from .derived import (
    KI67_THRESHOLD,
    Contradiction,
    Derived,
    NotUnderstood,
    Row,
    derived_names,
    derived_variable,
    make_rows,
    with_derived,
)
from .errors import InputError
from .known_columns import IDENTIFIERS, KNOWN, find_column, listed, recognize
from .variable import Variable

__all__ = ["Cohort", "Derivation", "overlaps", "read_cohort", "with_derived"]

# Known columns that are read by a rule under their plain names: by that of a derived variable, or by one of these.
_READ_AS = {"er": "er_status", "pr": "pr_status", "breast_density": "density_category"}
_PLAIN = {
    rule.name: rule
    for rule in (
        Derived(
            "microcalcifications", "Microcalcifications", ("absent", "present"), (("microcalcifications",),),
            "Present or absent as written.", lambda row: _read_plain(row, "microcalcifications", spellings.presence),
        ),
        Derived(
            "her2_ihc", "HER2 IHC score", ("0", "1+", "2+", "3+"), (("her2_ihc",),),
            "Score as written; negative without a score is missing.", lambda row: _score(row),
        ),
        Derived(
            "her2_ish", "HER2 ISH", ("negative", "positive"), (("her2_ish",),), "Positive or negative as written.",
            lambda row: _read_plain(row, "her2_ish", spellings.ish_status),
        ),
    )
}  # fmt: skip
# Known columns of numbers, how an entry is read, and what they are called.
_NUMBERS: dict[str, tuple[Callable[[str], object], str, str]] = {
    "age": (spellings.age, "Age", "years"),
    "ki67": (spellings.percentage, "Ki-67", "%"),
    "tumor_diameter_mm": (lambda text: (_millimeters(text),) * 2, "Tumor diameter", "mm"),
}
_OTHER_WAYS = {
    "ki67": " (ki67_at_least_20 takes entries such as <5 and 15-20 as well)",
    "age": " (age_over_50 takes entries such as >89 as well)",
}
_WITH_UNIT = re.compile(r"[+-]?\d+(?:[.,]\d+)?\s*(mm|cm|%|y|yrs?|years?|months?|kg|jahre?|anni)", re.IGNORECASE)
# Entries of one message, and letters of one entry.
_SHOWN = 3
_LONGEST = 40


@dataclass(frozen=True)
class Derivation:
    """A derived variable next to what it was derived from.

    Attributes
    ----------
    name, label, rule : str
    sources : tuple of str
        Columns of the table.
    rows : tuple of (tuple of str, str, int)
        Entries of the sources, what they became (``missing: why`` where nothing), and in how many cases.
    """

    name: str
    label: str
    rule: str
    sources: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], str, int], ...]


@dataclass(frozen=True, eq=False)
class Cohort:
    """Rows of a table with known columns.

    Attributes
    ----------
    table : CohortTable
    columns : dict of str to str
        Column of the table by known name.
    missing_words : tuple of str
        Entries that mean missing besides the usual ones.
    ki67_threshold : float
        Percentage of Ki-67 that tells luminal A from luminal B.
    kept : tuple of int
        Rows of the table that are in the cohort.
    unclear : dict of str to tuple of str
        Columns that could be meant by a known name, where these are several.
    """

    table: CohortTable
    columns: dict[str, str]
    missing_words: tuple[str, ...] = ()
    ki67_threshold: float = KI67_THRESHOLD
    kept: tuple[int, ...] = ()
    unclear: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Rows of the cohort."""
        return len(self.kept)

    @property
    def lines(self) -> tuple[int, ...]:
        """Line of the table that every row stands in."""
        return tuple(self.table.lines[row] for row in self.kept)

    @property
    def recognized(self) -> tuple[tuple[str, str], ...]:
        """Known names and the columns of another name that they stand for."""
        return tuple((known, own) for known, own in self.columns.items() if known != own)

    @property
    def repeated_patients(self) -> int:
        """Patients with several rows."""
        if "patient_id" not in self.columns:
            return 0
        counts = Counter(text for text in self._entries(self.columns["patient_id"]) if text)
        return sum(count > 1 for count in counts.values())

    def names(self) -> tuple[str, ...]:
        """Everything that can be asked for: own columns, known ones, derived ones."""
        own = [column for column in self.table.columns if not self._is_identifier(column)]
        own = [column for column in own if self.columns.get(column.lower()) != column]
        known = [name for name in self.columns if name not in IDENTIFIERS]
        derived = [name for name in derived_names(self.ki67_threshold) if self._can_derive(name)]
        return tuple(dict.fromkeys([*own, *known, *derived]))

    def only(self, column: str, values: Iterable[str]) -> Cohort:
        """The rows whose entry, or derived value, is one of these; capitals do not matter.

        Raises
        ------
        InputError
            Where there is no such column, or no row has one of the values.
        """
        texts, values = self._texts(column), tuple(values)
        wanted = {_key(value) for value in values}
        kept = tuple(row for row, text in zip(self.kept, texts) if text and _key(text) in wanted)
        absent = [value for value in values if _key(value) not in {_key(text) for text in texts}]
        if absent or not kept:
            found = sorted({text for text in texts if text})
            # Entries of a column of many may be names of patients.
            choice = f"give one of {listed(found)}" if len(found) <= MAXIMUM_LEVELS else "give an entry of the column"
            raise InputError(f"{self._where(column)}: no row has '{absent[0] if absent else ''}': {choice}.")
        return replace(self, kept=kept)

    def variable(
        self, name: str, categorical: bool = False, reference: str | None = None, per: float = 1.0
    ) -> Variable:
        """A column of the table, by its own or its known name, or a derived variable.

        Parameters
        ----------
        name : str
        categorical : bool
            Whether the numbers of the column name categories.
        reference : str, optional
            Category that the others are compared with; default the first.
        per : float
            Units of a number that its odds ratio is for.

        Raises
        ------
        InputError
            Where there is no such name, entries are not understood or contradict each other, all are missing or have
            the same value, or an option does not fit the variable.
        """
        name, rule = self._resolve(name)
        if isinstance(rule, Derived) and not (categorical and name in _NUMBERS):
            found = self._derived(name, rule)
        elif name in _NUMBERS and name in self.columns and not categorical:
            found = self._number(name)
        else:
            found = self._as_written(name, categorical)
        self._check_values(found)
        return _with_per(_with_reference(found, reference), per)

    def derivations(self, names: Sequence[str]) -> tuple[Derivation, ...]:
        """Derived variables among these names next to what they were derived from, the most frequent first."""
        found = []
        for asked in dict.fromkeys(names):
            name, rule = self._resolve(asked)
            if not isinstance(rule, Derived):
                continue
            sources = self._sources(rule)
            entries = zip(*(self._raw(column) for column in sources))
            counts = Counter(
                (written, level or (f"missing: {why}" if why else "missing"))
                for written, (level, why) in zip(entries, self._levels(name, rule))
            )
            order = {level: index for index, level in enumerate(rule.levels)}
            rows = sorted(
                ((*key, count) for key, count in counts.items()),
                key=lambda row: (order.get(row[1], len(order)), row[1], -row[2], row[0]),
            )
            found.append(Derivation(name, rule.label, rule.rule, sources, tuple(rows)))
        return tuple(found)

    def derived_rows(self, names: Sequence[str]) -> list[dict[str, object]]:
        """For every row its line in the table, the entries of the sources, and what was derived; no identifiers."""
        rows: list[dict[str, object]] = [{"line of the table": line} for line in self.lines]
        derived = [(name, rule) for name, rule in map(self._resolve, dict.fromkeys(names)) if isinstance(rule, Derived)]
        for column in dict.fromkeys(column for _, rule in derived for column in self._sources(rule)):
            for row, text in zip(rows, self._raw(column)):
                row[column] = text
        for name, rule in derived:
            title = f"{name} (derived)" if name in self.table.columns else name
            for row, (level, why) in zip(rows, self._levels(name, rule)):
                row[title] = level
                if why:
                    row[f"{name}: why missing"] = why
        return rows

    # --- names --------------------------------------------------------------------------------------------------------

    def _resolve(self, name: str) -> tuple[str, Derived | str]:
        """The name as it is written here, and the rule or the column that it stands for."""
        asked = name.strip()
        lower = asked.lower()
        if lower in self.unclear:
            self._refuse_unclear(lower)
        if lower in IDENTIFIERS or self._is_identifier(asked):
            raise InputError(f"'{asked}' identifies cases or patients, it is no variable: name another column.")
        if lower in self.columns:
            rule = _PLAIN.get(lower) or derived_variable(_READ_AS.get(lower, lower))
            if rule:
                self._check_sources(rule)
            return lower, replace(rule, name=lower) if rule else self.columns[lower]
        own = find_column(asked, self.table.columns)
        rule = derived_variable(lower, self.ki67_threshold)
        # A column of the table that has the name of a derived variable comes first, but for what that is derived from.
        if own is not None and not (rule and self._can_derive(lower) and own in self._sources(rule)):
            return own, own
        if rule is None:
            self._refuse_unknown(asked)
        self._check_sources(rule)
        return lower, rule

    def _refuse_unknown(self, asked: str) -> None:
        if asked.lower() in KNOWN:
            raise InputError(
                f"Table '{self.table.name}' has no column that is recognized as '{asked}': say which it is with "
                f"--map {asked}=COLUMN, its columns are {listed(self.table.columns)}."
            )
        names = self.names()
        raise InputError(
            f"Table '{self.table.name}' has no column '{asked}'{similar_column(asked, names)}: name one of "
            f"{listed(names, 40)}."
        )

    def _check_sources(self, rule: Derived) -> None:
        for column in rule.columns:
            if column in self.unclear:
                self._refuse_unclear(column)
        lacking = rule.lacks(self.columns)
        if lacking:
            raise InputError(
                f"Table '{self.table.name}': '{rule.name}' is derived from {_needed(rule)}, but no column is "
                f"recognized as {' or '.join(lacking)}: say which it is with --map {lacking[0]}=COLUMN, the columns "
                f"are {listed(self.table.columns)}."
            )

    def _refuse_unclear(self, known: str) -> None:
        names = self.unclear[known]
        raise InputError(
            f"Table '{self.table.name}': '{known}' could be {' or '.join(repr(name) for name in names)}: say which "
            f"with --map {known}=COLUMN."
        )

    def _can_derive(self, name: str) -> bool:
        rule = derived_variable(name, self.ki67_threshold)
        return rule is not None and not rule.lacks(self.columns) and not {*rule.columns} & {*self.unclear}

    def _is_identifier(self, column: str) -> bool:
        own = find_column(column, self.table.columns)
        return own is not None and own in [self.columns.get(name) for name in IDENTIFIERS]

    def _sources(self, rule: Derived) -> tuple[str, ...]:
        return tuple(self.columns[name] for name in KNOWN if name in rule.columns and name in self.columns)

    def _where(self, column: str) -> str:
        own = self.columns.get(column.lower(), column)
        return f"Table '{self.table.name}', column '{own}'"

    # --- entries ------------------------------------------------------------------------------------------------------

    def _raw(self, column: str) -> list[str]:
        """Entries of the rows of the cohort as they are written."""
        texts = self.table.column(column)
        return [texts[row] for row in self.kept]

    def _entries(self, column: str) -> list[str]:
        """The same, blank where they are missing."""
        texts = self._cleaned(column)
        return [texts[row] for row in self.kept]

    def _cleaned(self, column: str) -> list[str]:
        """Entries of all rows, blank where they are missing but for dashes, which may be a finding."""
        return ["" if spellings.is_missing(t, self.missing_words) else t for t in self.table.column(column)]

    def _known_entries(self, known: str) -> list[str]:
        """Entries of a known column for its rules, to which also ``none`` may be a finding."""
        own = self.columns[known]
        texts = self._cleaned(own)
        if known != "microcalcifications" or "none" in [word.strip().lower() for word in self.missing_words]:
            return texts
        return [raw if raw.lower() == "none" else text for raw, text in zip(self.table.column(own), texts)]

    @cached_property
    def _rows(self) -> list[Row]:
        """Entries of the known columns by row of the whole table, so that a choice of rows changes no reading."""
        return make_rows({known: self._known_entries(known) for known in self.columns})

    def _texts(self, name: str) -> list[str]:
        """What the rows say for a choice of them: entries of a column, or the levels of a derived variable."""
        resolved, rule = self._resolve(name)
        if isinstance(rule, Derived):
            return [level for level, _ in self._levels(resolved, rule)]
        return self._entries(rule)

    # --- variables ----------------------------------------------------------------------------------------------------

    def _levels(self, name: str, rule: Derived) -> list[tuple[str, str]]:
        """Level of a derived variable by row, with why it is missing."""
        found, refused, contradictions = [], _Refused(), []
        for row, line in zip(self.kept, self.lines):
            try:
                found.append(rule.derive(self._rows[row]))
            except NotUnderstood as error:
                refused.add(error.column, self._rows[row].entries[error.column], line, str(error))
            except Contradiction as error:
                contradictions.append((line, str(error)))
        for column, message in refused.messages():
            of = "" if column == name else f" (for {name})"
            scores = self._scores_advice() if column == "her2" else ""
            raise InputError(f"{self._where(column)}{of}: {message}{_MISSING_ADVICE}{scores}")
        if contradictions:
            self._refuse_contradictions(contradictions)
        return found

    def _refuse_contradictions(self, found: Sequence[tuple[int, str]]) -> None:
        """Refuse rows, given by line, whose entries say different things."""
        lines = ", ".join(str(line) for line, _ in found[:_SHOWN])
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        where = f"line{'s' if len(found) > 1 else ''} {lines}{more}"
        what = found[0][1] if len({text for _, text in found}) == 1 else "HER2 is not what IHC and ISH say"
        columns = [self.columns[name] for name in KNOWN if name.startswith("her2") and name in self.columns]
        raise InputError(f"Table '{self.table.name}', {where}: {what}: correct one of the columns {listed(columns)}.")

    def _scores_advice(self) -> str:
        """What to do where the column of the HER2 status holds IHC scores."""
        own = self.columns["her2"]
        try:
            scores = {spellings.ihc_score(text) for text in self._entries(own)}
        except ValueError:
            return ""
        return f" If it holds IHC scores, give --map her2_ihc={_quoted(own)}." if "2+" in scores else ""

    def _derived(self, name: str, rule: Derived) -> Variable:
        of_row = self._levels(name, rule)
        places = {level: float(index) for index, level in enumerate(rule.levels)}
        values = np.array([places.get(level, math.nan) for level, _ in of_row])
        reasons = {index: why for index, (_, why) in enumerate(of_row) if why}
        return Variable(
            Factor(name, rule.levels, rule.label), values, frozenset(self._sources(rule)), rule.rule, reasons
        )

    def _number(self, name: str) -> Variable:
        """A known column of numbers."""
        reader, label, unit = _NUMBERS[name]
        own = self.columns[name]
        values, refused = [], _Refused()
        for row, line in zip(self.kept, self.lines):
            low = high = math.nan
            try:
                low, high = self._rows[row].read(name, reader) or (math.nan, math.nan)
                if low < high:
                    raise NotUnderstood(name, f"write one number{_OTHER_WAYS.get(name, '')}")
            except NotUnderstood as error:
                refused.add(name, self._rows[row].entries[name], line, str(error))
            values.append(low)
        for _, message in refused.messages():
            raise InputError(f"{self._where(own)}: {message}{_MISSING_ADVICE}")
        return Variable(Factor(name, (), label, unit), np.array(values), frozenset([own]))

    def _as_written(self, name: str, categorical: bool) -> Variable:
        """A column as it stands in the table."""
        own = self.columns.get(name, name)
        texts = self._entries(own)
        if not spellings.is_signed(texts):
            texts = ["" if spellings.is_dash(text) else text for text in texts]
        if not any(texts):
            raise InputError(f"{self._where(own)}: all entries are missing: fill in the column or leave it out.")
        texts, rule = _unified(self._numbers_or_words(own, texts, categorical))
        self._check_none(own, texts)
        levels = {_key(text) for text in texts if text}
        words = categorical or not all(is_number(text) for text in texts if text)
        if len(levels) > MAXIMUM_LEVELS and words:
            raise InputError(
                f"{self._where(own)}: {len(levels)} different entries, more than {MAXIMUM_LEVELS}: that is no "
                f"category. Group it into fewer categories{self._other_names(own)} or leave it out."
            )
        if len(levels) == 1:
            raise InputError(
                f"{self._where(own)}: all entries are '{next(filter(None, texts))}': it tells no cases apart."
            )
        factor = _ordered(describe_factor(name, {str(i): text for i, text in enumerate(texts)}, categorical))
        if name not in KNOWN:
            factor = replace(factor, label=_label(own), unit="")
        return Variable(factor, np.array([factor.parse(text) for text in texts]), frozenset([own]), rule)

    def _numbers_or_words(self, own: str, texts: Sequence[str], categorical: bool) -> list[str]:
        """Entries with decimal points; refuses a column that mixes numbers and words."""
        given = [text for text in texts if text]
        if categorical:
            return list(texts)
        pointed = [_pointed(text) for text in texts]
        numeric = [is_number(text) for text in pointed if text]
        with_unit = [bool(_WITH_UNIT.fullmatch(text)) or text.startswith("#") for text in given]
        if not any(numeric) and not any(with_unit):
            return list(texts)
        if all(numeric):
            return pointed
        if _all_readable(given):
            return list(texts)
        # The few are shown, which are more likely wrong.
        numbers_expected = sum(numeric) + sum(with_unit) >= len(given) / 2
        refused = _Refused()
        for text, point, line in zip(texts, pointed, self.lines):
            if text and is_number(point) != numbers_expected:
                refused.add(own, text, line, "write plain numbers" if numbers_expected else "write words in all cells")
        for _, message in refused.messages():
            advice = f"or declare the column a category (--categorical {_quoted(own)}){self._other_names(own)}"
            raise InputError(f"{self._where(own)}: {message}{_MISSING_ADVICE.rstrip('.')}, {advice}.")
        return list(texts)

    def _other_names(self, own: str) -> str:
        """Names under which a column is read by its meaning, for a message about its entries as they stand."""
        known = [name for name, column in self.columns.items() if column == own]
        if not known:
            return ""
        names = [*known, *(name for name in derived_names(self.ki67_threshold) if self._is_of(name, known[0]))]
        names = [name for name in names if name != "histology"]
        return f", or ask for it as {' or '.join(names)}" if names else ""

    def _is_of(self, name: str, known: str) -> bool:
        rule = derived_variable(name, self.ki67_threshold)
        return rule is not None and rule.columns == (known,)

    def _check_none(self, own: str, texts: Sequence[str]) -> None:
        """Refuse a word that reads as missing where it may be a category."""
        if all(is_number(text) for text in texts if text) or "none" in map(str.lower, self.missing_words):
            return
        for text, line in zip(self._raw(own), self.lines):
            if text.strip().lower() == "none":
                raise InputError(
                    f"{self._where(own)}, line {line}: '{text}' can be a category or a missing entry: write another "
                    "word for the category, or give --missing-words none."
                )

    def _check_values(self, variable: Variable) -> None:
        known = variable.values[variable.known]
        where = f"Table '{self.table.name}': '{variable.name}'"
        if not len(known):
            why = Counter(variable.why_missing.values()).most_common(1)
            reason = f" ({why[0][0]})" if why else ""
            raise InputError(f"{where} is missing in all {self.n} rows{reason}: fill in its columns or leave it out.")
        if (known == known[0]).all():
            value = variable.levels[int(known[0])] if variable.levels else f"{known[0]:g}"
            raise InputError(f"{where} has the same value in all rows that have one ('{value}'): leave it out.")


_MISSING_ADVICE = ", leave the cell blank where it is unknown, or name words for this with --missing-words."


class _Refused:
    """Entries that are not understood, by column."""

    def __init__(self) -> None:
        self._of: dict[str, list[tuple[str, int, str]]] = {}

    def add(self, column: str, text: str, line: int, hint: str) -> None:
        """Note one entry."""
        self._of.setdefault(column, []).append((text, line, hint))

    def messages(self) -> list[tuple[str, str]]:
        """For every column what is not understood and what to do, with up to three different entries."""
        found = []
        for column, entries in self._of.items():
            first: dict[str, int] = {}
            for text, line, _ in entries:
                first.setdefault(text, line)
            shown = ", ".join(f"'{_short(text)}' in line {line}" for text, line in list(first.items())[:_SHOWN])
            more = ", ..." if len(first) > _SHOWN else ""
            count = "1 entry is" if len(entries) == 1 else f"{len(entries)} entries are"
            found.append((column, f"{count} not understood ({shown}{more}): {entries[0][2]}"))
        return found


def read_cohort(
    path: str | Path,
    sheet: str | None = None,
    columns: Mapping[str, str] | None = None,
    missing_words: Sequence[str] = (),
    ki67_threshold: float = KI67_THRESHOLD,
) -> Cohort:
    """Read the table of a cohort and find its known columns.

    Parameters
    ----------
    path : path
        CSV or .xlsx, see :func:`.cohort_table.read_table`.
    sheet : str, optional
    columns : mapping of str to str, optional
        Own column by known name, where its name does not tell.
    missing_words : sequence of str
        Entries that mean missing besides the usual ones.
    ki67_threshold : float

    Raises
    ------
    InputError
        Where the table cannot be read, a column in ``columns`` is not there, or case_id repeats.
    """
    if not 0 < ki67_threshold <= 100:
        raise InputError(f"The threshold of Ki-67 is {ki67_threshold:g}: give a percentage up to 100.")
    table = read_table(path, sheet)
    found, unclear = recognize(table.name, table.columns, columns or {})
    cohort = Cohort(table, found, tuple(missing_words), float(ki67_threshold), tuple(range(len(table.rows))), unclear)
    if "case_id" in found:
        _check_case_ids(cohort)
    return cohort


def _check_case_ids(cohort: Cohort) -> None:
    own = cohort.columns["case_id"]
    seen: dict[str, int] = {}
    for text, line in zip(cohort._entries(own), cohort.lines):
        first = seen.setdefault(text, line)
        if text and first != line:
            raise InputError(
                f"Table '{cohort.table.name}', column '{own}': lines {first} and {line} have the same entry: each row "
                "must be a case of its own; correct it, or, where the column names patients with several rows, give "
                f"--map patient_id={_quoted(own)}."
            )


def overlaps(a: Variable, b: Variable) -> bool:
    """Whether two variables come from a column that they share, so that one would predict itself."""
    return bool(a.sources & b.sources)


def _read_plain(row: Row, column: str, reader: Callable[[str], bool | None]) -> tuple[str, str]:
    found = row.read(column, reader)
    return ("" if found is None else _PLAIN[column].levels[bool(found)]), ""


def _score(row: Row) -> tuple[str, str]:
    found = row.read("her2_ihc", spellings.ihc_score)
    return ("", "IHC 0 or 1+") if found == spellings.IHC_NEGATIVE else (str(found or ""), "")


def _millimeters(text: str) -> float:
    value = spellings.number(re.sub(r"\s*mm$", "", text.strip(), flags=re.IGNORECASE))
    if not value > 0:
        raise ValueError("write the diameter in mm")
    return value


def _needed(rule: Derived) -> str:
    groups = [" or ".join(group) for group in rule.needs]
    return groups[0] if len(groups) == 1 else f"{', '.join(groups[:-1])} and {groups[-1]}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _quoted(column: str) -> str:
    """A column as it is written on a command line."""
    return column if re.fullmatch(r"[\w.-]+", column) else f"'{column}'"


def _label(column: str) -> str:
    """Name of an own column for display; its capitals may be abbreviations."""
    text = column.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def _key(text: str) -> str:
    """What two spellings of one entry have in common."""
    text = text.strip()
    return repr(float(text)) if is_number(text) else text.lower()


def _pointed(text: str) -> str:
    """A number with a decimal point; other text as it is."""
    try:
        return repr(spellings.number(text)) if "," in text else text
    except ValueError:
        return text


def _all_readable(texts: Sequence[str], reader: Callable[[str], bool | None] = spellings.presence) -> bool:
    """Whether all entries say yes or no in one of the ways for this."""
    try:
        return all(reader(text) is not None for text in texts)
    except ValueError:
        return False


def _unified(texts: Sequence[str]) -> tuple[list[str], str]:
    """Entries that say yes or no in more than two ways as yes and no, with a sentence that says so."""
    given = {_key(text) for text in texts if text}
    if len(given) < 3 or not _all_readable([text for text in texts if text]):
        return list(texts), ""
    words = ["" if not text else "yes" if spellings.presence(text) else "no" for text in texts]
    return words, "Entries such as yes, + and 1 are read as yes, entries such as no, - and 0 as no."


def _ordered(factor: Factor) -> Factor:
    """Two categories that say yes and no in any language with the negative one first."""
    for reader in (spellings.presence, spellings.ish_status):
        if len(factor.levels) == 2 and _all_readable(factor.levels, reader):
            return replace(factor, levels=tuple(sorted(factor.levels, key=reader)))
    return factor


def _with_reference(variable: Variable, reference: str | None) -> Variable:
    """The variable with another category as the reference."""
    if reference is None:
        return variable
    if not variable.levels:
        raise InputError(f"'{variable.name}' is a number, it has no reference category: leave it out, or make it a "
                         f"category (--categorical {variable.name}).")  # fmt: skip
    places = [i for i, level in enumerate(variable.levels) if _key(level) == _key(reference)]
    if not places:
        raise InputError(
            f"'{variable.name}' has no category '{reference}' to be the reference: give one of "
            f"{listed(variable.levels)}."
        )
    if not (variable.values == places[0]).any():
        raise InputError(f"'{variable.name}': no row has '{reference}', so it cannot be the reference: give another.")
    order = [places[0], *(i for i in range(len(variable.levels)) if i != places[0])]
    new_place = np.argsort(order).astype(float)
    values = np.where(variable.known, new_place[np.nan_to_num(variable.values).astype(int)], np.nan)
    return replace(
        variable, factor=replace(variable.factor, levels=tuple(variable.levels[i] for i in order)), values=values
    )


def _with_per(variable: Variable, per: float) -> Variable:
    if per == 1.0:
        return variable
    if variable.levels:
        raise InputError(f"'{variable.name}' is a category: an odds ratio per {per:g} units is for numbers only.")
    if not (math.isfinite(per) and per > 0):
        raise InputError(f"'{variable.name}' per {per:g} units: give a positive number.")
    return replace(variable, per=float(per))
