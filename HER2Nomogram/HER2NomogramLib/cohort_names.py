"""What can be asked for in a table of a cohort, and which rule or which column a name stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from . import spellings
from .cases import similar_column
from .cohort_table import CohortTable
from .derived import Derived, Row, derived_names, derived_variable
from .errors import InputError
from .known_columns import IDENTIFIERS, KNOWN, find_column
from .messages import quoted

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


@dataclass(frozen=True, eq=False)
class CohortNames:
    """Names of a table's own columns, of known ones, and of what is derived from these.

    Attributes
    ----------
    table : CohortTable
    columns : mapping of str to str
        Column of the table by known name.
    unclear : mapping of str to tuple of str
        Columns that could be meant by a known name, where these are several.
    ki67_threshold : float
        Percentage of Ki-67 that tells luminal A from luminal B.
    """

    table: CohortTable
    columns: Mapping[str, str]
    unclear: Mapping[str, tuple[str, ...]]
    ki67_threshold: float

    def all(self) -> tuple[str, ...]:
        """Everything that can be asked for: own columns, known ones, derived ones."""
        own = [column for column in self.table.columns if not self._is_identifier(column)]
        own = [column for column in own if self.columns.get(column.lower()) != column]
        known = [name for name in self.columns if name not in IDENTIFIERS]
        derived = [name for name in derived_names(self.ki67_threshold) if self._can_derive(name)]
        return tuple(dict.fromkeys([*own, *known, *derived]))

    def resolve(self, name: str) -> tuple[str, Derived | str]:
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
        if own is not None and not (rule and self._can_derive(lower) and own in self.sources(rule)):
            return own, own
        if rule is None:
            self._refuse_unknown(asked)
        self._check_sources(rule)
        return lower, rule

    def sources(self, rule: Derived) -> tuple[str, ...]:
        """Columns of the table that a rule uses."""
        return tuple(self.columns[name] for name in KNOWN if name in rule.columns and name in self.columns)

    def where(self, column: str) -> str:
        """Table and column, for messages."""
        own = self.columns.get(column.lower(), column)
        return f"Table '{self.table.name}', column '{own}'"

    def other_names(self, own: str) -> str:
        """Names under which a column is read by its meaning, for a message about its entries as they stand."""
        known = [name for name, column in self.columns.items() if column == own]
        if not known:
            return ""
        names = [*known, *(name for name in derived_names(self.ki67_threshold) if self._is_of(name, known[0]))]
        names = [name for name in names if name != "histology"]
        return f", or ask for it as {' or '.join(names)}" if names else ""

    def _refuse_unknown(self, asked: str) -> None:
        if asked.lower() in KNOWN:
            raise InputError(
                f"Table '{self.table.name}' has no column that is recognized as '{asked}': say which it is with "
                f"--map {asked}=COLUMN, its columns are {quoted(self.table.columns)}."
            )
        names = self.all()
        raise InputError(
            f"Table '{self.table.name}' has no column '{asked}'{similar_column(asked, names)}: name one of "
            f"{quoted(names, 40)}."
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
                f"are {quoted(self.table.columns)}."
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

    def _is_of(self, name: str, known: str) -> bool:
        rule = derived_variable(name, self.ki67_threshold)
        return rule is not None and rule.columns == (known,)


def _read_plain(row: Row, column: str, reader: Callable[[str], bool | None]) -> tuple[str, str]:
    found = row.read(column, reader)
    return ("" if found is None else _PLAIN[column].levels[bool(found)]), ""


def _score(row: Row) -> tuple[str, str]:
    found = row.read("her2_ihc", spellings.ihc_score)
    return ("", "IHC 0 or 1+") if found == spellings.IHC_NEGATIVE else (str(found or ""), "")


def _needed(rule: Derived) -> str:
    groups = [" or ".join(group) for group in rule.needs]
    return groups[0] if len(groups) == 1 else f"{', '.join(groups[:-1])} and {groups[-1]}"
