"""One column of a cohort as it enters the association study: what sort it is, its values, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from .clinical import Factor


@dataclass(frozen=True, eq=False)
class Variable:
    """One variable of a study.

    Attributes
    ----------
    factor : Factor
        Name, levels (the first is the reference; none for a number), label and unit.
    values : np.ndarray, shape (n_rows,)
        The number, or the index of the level; NaN where it is missing.
    sources : frozenset of str
        Columns of the user's table that the values come from.
    rule : str
        How they were derived from these, in one sentence; empty for a column as it stands in the table.
    why_missing : mapping of int to str
        By row, what is known of why the value is missing, such as an equivocal HER2 status; other rows are blank.
    per : float
        Units of a number that its odds ratio is for, such as 10 for an odds ratio per 10 years.
    possible : mapping of int to frozenset of int
        By row whose value is missing, the indices of the levels that it can have by what is known of it: without Ki-67
        an ER-positive HER2-negative tumor is luminal A or luminal B. Other rows can have any.
    """

    factor: Factor
    values: np.ndarray
    sources: frozenset[str]
    rule: str = ""
    why_missing: Mapping[int, str] = field(default_factory=dict)
    per: float = 1.0
    possible: Mapping[int, frozenset[int]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name by which the user calls it."""
        return self.factor.name

    @property
    def levels(self) -> tuple[str, ...]:
        """Its categories, the reference first; empty for a number."""
        return self.factor.levels

    @property
    def width(self) -> int:
        """Columns that it takes in a design matrix: one for a number, one for every level but the reference."""
        return self.factor.width

    @property
    def known(self) -> np.ndarray:
        """Which rows have a value; shape (n_rows,)."""
        return ~np.isnan(self.values)

    @property
    def label(self) -> str:
        """Name and unit for display."""
        name = self.factor.label or self.factor.name
        return f"{name} ({self.factor.unit})" if self.factor.unit else name

    def design(self) -> np.ndarray:
        """Columns of a design matrix, shape (n_rows, width): numbers in units of ``per``, or 0 and 1 for every level
        but the reference; NaN in all of them where the value is missing."""
        if not self.levels:
            return (self.values / self.per)[:, np.newaxis]
        columns = (self.values[:, np.newaxis] == np.arange(1, len(self.levels))).astype(float)
        columns[~self.known] = np.nan
        return columns

    def rows(self, kept: np.ndarray) -> Variable:
        """The variable of some rows only, given by index or mask."""
        index = np.arange(len(self.values))[kept]
        place = {int(row): new for new, row in enumerate(index)}
        reasons, possible = (
            {place[row]: said for row, said in of_rows.items() if row in place}
            for of_rows in (self.why_missing, self.possible)
        )
        return replace(self, values=self.values[index], why_missing=reasons, possible=possible)

    def without_empty_levels(self) -> Variable:
        """The variable without levels that no row has; the reference becomes the first of those that are left.

        Where none of the levels that a missing value can have is left, nothing is said any more of what it can be.
        """
        if not self.levels:
            return self
        found = [index for index in range(len(self.levels)) if (self.values == index).any()]
        if len(found) == len(self.levels):
            return self
        place = np.full(len(self.levels), np.nan)
        place[found] = np.arange(len(found))
        values = np.where(self.known, place[np.nan_to_num(self.values).astype(int)], np.nan)
        left = {
            row: frozenset(int(place[level]) for level in levels if level in found)
            for row, levels in self.possible.items()
        }
        factor = replace(self.factor, levels=tuple(self.levels[i] for i in found))
        possible = {row: levels for row, levels in left.items() if levels}
        return replace(self, factor=factor, values=values, possible=possible)
