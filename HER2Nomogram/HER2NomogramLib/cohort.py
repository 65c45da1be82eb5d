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
from .clinical import MAXIMUM_LEVELS, Factor, is_number
from .cohort_entries import MISSING_ADVICE, SHOWN, Refused, WrittenColumn, entry_key, on_command_line
from .cohort_names import CohortNames
from .cohort_table import CohortTable, read_table
from .derived import KI67_THRESHOLD, Contradiction, Derived, NotUnderstood, Row, is_discordant_her2, make_rows
from .errors import InputError
from .known_columns import KNOWN, recognize
from .messages import enumerated, quoted
from .variable import Variable

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

    @property
    def discordant_her2(self) -> int:
        """Rows whose ISH is positive though IHC is 0 or 1+, or negative though it is 3+; their status goes by IHC."""
        return sum(is_discordant_her2(self._rows[row]) for row in self.kept)

    def names(self) -> tuple[str, ...]:
        """Everything that can be asked for: own columns, known ones, derived ones."""
        return self._names.all()

    @cached_property
    def _names(self) -> CohortNames:
        return CohortNames(self.table, self.columns, self.unclear, self.ki67_threshold)

    def only(self, column: str, values: Iterable[str]) -> Cohort:
        """The rows whose entry, or derived value, is one of these; capitals do not matter.

        Raises
        ------
        InputError
            Where there is no such column, or no row has one of the values.
        """
        texts, values = self._texts(column), tuple(values)
        wanted = {entry_key(value) for value in values}
        kept = tuple(row for row, text in zip(self.kept, texts) if text and entry_key(text) in wanted)
        absent = [value for value in values if entry_key(value) not in {entry_key(text) for text in texts}]
        if absent or not kept:
            found = sorted({text for text in texts if text})
            # Entries of a column of many may be names of patients.
            choice = f"give one of {quoted(found)}" if len(found) <= MAXIMUM_LEVELS else "give an entry of the column"
            raise InputError(f"{self._names.where(column)}: no row has '{absent[0] if absent else ''}': {choice}.")
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
        name, rule = self._names.resolve(name)
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
            name, rule = self._names.resolve(asked)
            if not isinstance(rule, Derived):
                continue
            sources = self._names.sources(rule)
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
        resolved = map(self._names.resolve, dict.fromkeys(names))
        derived = [(name, rule) for name, rule in resolved if isinstance(rule, Derived)]
        for column in dict.fromkeys(column for _, rule in derived for column in self._names.sources(rule)):
            for row, text in zip(rows, self._raw(column)):
                row[column] = text
        for name, rule in derived:
            title = f"{name} (derived)" if name in self.table.columns else name
            for row, (level, why) in zip(rows, self._levels(name, rule)):
                row[title] = level
                if why:
                    row[f"{name}: why missing"] = why
        return rows

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
        resolved, rule = self._names.resolve(name)
        if isinstance(rule, Derived):
            return [level for level, _ in self._levels(resolved, rule)]
        return self._entries(rule)

    # --- variables ----------------------------------------------------------------------------------------------------

    def _levels(self, name: str, rule: Derived) -> list[tuple[str, str]]:
        """Level of a derived variable by row, with why it is missing."""
        found, refused, contradictions = [], Refused(), []
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
            raise InputError(f"{self._names.where(column)}{of}: {message}{MISSING_ADVICE}{scores}")
        if contradictions:
            self._refuse_contradictions(contradictions)
        return found

    def _refuse_contradictions(self, found: Sequence[tuple[int, str]]) -> None:
        """Refuse rows, given by line, whose entries say different things."""
        where = f"line{'s' if len(found) > 1 else ''} {enumerated([line for line, _ in found], SHOWN)}"
        what = found[0][1] if len({text for _, text in found}) == 1 else "HER2 is not what IHC and ISH say"
        columns = [self.columns[name] for name in KNOWN if name.startswith("her2") and name in self.columns]
        raise InputError(f"Table '{self.table.name}', {where}: {what}: correct one of the columns {quoted(columns)}.")

    def _scores_advice(self) -> str:
        """What to do where the column of the HER2 status holds IHC scores."""
        own = self.columns["her2"]
        try:
            scores = {spellings.ihc_score(text) for text in self._entries(own)}
        except ValueError:
            return ""
        return f" If it holds IHC scores, give --map her2_ihc={on_command_line(own)}." if "2+" in scores else ""

    def _derived(self, name: str, rule: Derived) -> Variable:
        of_row = self._levels(name, rule)
        places = {level: float(index) for index, level in enumerate(rule.levels)}
        values = np.array([places.get(level, math.nan) for level, _ in of_row])
        reasons = {index: why for index, (_, why) in enumerate(of_row) if why}
        missing = [index for index, (level, _) in enumerate(of_row) if not level]
        left = {index: rule.possible_indices(self._rows[self.kept[index]]) for index in missing}
        return Variable(
            Factor(name, rule.levels, rule.label),
            values,
            frozenset(self._names.sources(rule)),
            rule.rule,
            reasons,
            possible={index: levels for index, levels in left.items() if levels},
        )

    def _number(self, name: str) -> Variable:
        """A known column of numbers."""
        reader, label, unit = _NUMBERS[name]
        own = self.columns[name]
        values, refused = [], Refused()
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
            raise InputError(f"{self._names.where(own)}: {message}{MISSING_ADVICE}")
        return Variable(Factor(name, (), label, unit), np.array(values), frozenset([own]))

    def _as_written(self, name: str, categorical: bool) -> Variable:
        """A column as it stands in the table."""
        own = self.columns.get(name, name)
        written = WrittenColumn(
            name=own,
            where=self._names.where(own),
            raw=self._raw(own),
            texts=self._entries(own),
            lines=self.lines,
            other_names=self._names.other_names(own),
            none_is_missing="none" in map(str.lower, self.missing_words),
        )
        factor, values, rule = written.read(name, categorical)
        if name not in KNOWN:
            factor = replace(factor, label=_label(own), unit="")
        return Variable(factor, np.array(values), frozenset([own]), rule)

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
    # Said without naming what stands there: it would be the entries of the first patient.
    if not found and any(is_number(name) for name in table.columns):
        raise InputError(
            f"Table '{table.name}': its first line seems to hold a case and not the names of the columns: write the "
            "names into the first line."
        )
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
                f"--map patient_id={on_command_line(own)}."
            )


def overlaps(a: Variable, b: Variable) -> bool:
    """Whether two variables come from a column that they share, so that one would predict itself."""
    return bool(a.sources & b.sources)


def _millimeters(text: str) -> float:
    value = spellings.number(re.sub(r"\s*mm$", "", text.strip(), flags=re.IGNORECASE))
    if not value > 0:
        raise ValueError("write the diameter in mm")
    return value


def _label(column: str) -> str:
    """Name of an own column for display; its capitals may be abbreviations."""
    text = column.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def _with_reference(variable: Variable, reference: str | None) -> Variable:
    """The variable with another category as the reference."""
    if reference is None:
        return variable
    if not variable.levels:
        raise InputError(f"'{variable.name}' is a number, it has no reference category: leave it out, or make it a "
                         f"category (--categorical {variable.name}).")  # fmt: skip
    places = [i for i, level in enumerate(variable.levels) if entry_key(level) == entry_key(reference)]
    if not places:
        raise InputError(
            f"'{variable.name}' has no category '{reference}' to be the reference: give one of "
            f"{quoted(variable.levels)}."
        )
    if not (variable.values == places[0]).any():
        raise InputError(f"'{variable.name}': no row has '{reference}', so it cannot be the reference: give another.")
    order = [places[0], *(i for i in range(len(variable.levels)) if i != places[0])]
    new_place = np.argsort(order).astype(float)
    values = np.where(variable.known, new_place[np.nan_to_num(variable.values).astype(int)], np.nan)
    possible = {row: frozenset(int(new_place[i]) for i in left) for row, left in variable.possible.items()}
    factor = replace(variable.factor, levels=tuple(variable.levels[i] for i in order))
    return replace(variable, factor=factor, values=values, possible=possible)


def _with_per(variable: Variable, per: float) -> Variable:
    if per == 1.0:
        return variable
    if variable.levels:
        raise InputError(f"'{variable.name}' is a category: an odds ratio per {per:g} units is for numbers only.")
    if not (math.isfinite(per) and per > 0):
        raise InputError(f"'{variable.name}' per {per:g} units: give a positive number.")
    return replace(variable, per=float(per))
