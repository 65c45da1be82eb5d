"""Entries of a column of a cohort as they are written: numbers or words, and what is said of those that are wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from . import spellings
from .clinical import MAXIMUM_LEVELS, Factor, describe_factor, is_number
from .errors import InputError

MISSING_ADVICE = ", leave the cell blank where it is unknown, or name words for this with --missing-words."
_WITH_UNIT = re.compile(r"[+-]?\d+(?:[.,]\d+)?\s*(mm|cm|%|y|yrs?|years?|months?|kg|jahre?|anni)", re.IGNORECASE)
# Entries of one message, and letters of one entry.
SHOWN = 3
_LONGEST = 40


class Refused:
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
            shown = ", ".join(f"'{_short(text)}' in line {line}" for text, line in list(first.items())[:SHOWN])
            more = ", ..." if len(first) > SHOWN else ""
            count = "1 entry is" if len(entries) == 1 else f"{len(entries)} entries are"
            found.append((column, f"{count} not understood ({shown}{more}): {entries[0][2]}"))
        return found


@dataclass(frozen=True, eq=False)
class WrittenColumn:
    """A column of a cohort that is taken as it stands, without a rule.

    Attributes
    ----------
    name : str
    where : str
        Table and column, for messages.
    raw : sequence of str
        Entries as they are written.
    texts : sequence of str
        The same, blank where they are missing.
    lines : sequence of int
        Of the table, by entry.
    other_names : str
        Names under which its entries are read by their meaning, for messages.
    none_is_missing : bool
        Whether the user says that ``none`` is a missing entry.
    """

    name: str
    where: str
    raw: Sequence[str]
    texts: Sequence[str]
    lines: Sequence[int]
    other_names: str = ""
    none_is_missing: bool = False

    def read(self, asked: str, categorical: bool) -> tuple[Factor, list[float], str]:
        """What sort of variable it is, its values, and by what rule where the entries were unified.

        Parameters
        ----------
        asked : str
            Name of the variable.
        categorical : bool
            Whether its numbers name categories.

        Raises
        ------
        InputError
            Where the entries are all missing or all the same, mix numbers and words, or are too many for categories.
        """
        texts = list(self.texts)
        if not spellings.is_signed(texts):
            texts = ["" if spellings.is_dash(text) else text for text in texts]
        if not any(texts):
            raise InputError(f"{self.where}: all entries are missing: fill in the column or leave it out.")
        texts, rule = _unified(texts if categorical else self._numbers_or_words(texts))
        self._check_none(texts)
        self._check_levels(texts, categorical)
        factor = _ordered(describe_factor(asked, {str(i): text for i, text in enumerate(texts)}, categorical))
        return factor, [factor.parse(text) for text in texts], rule

    def _numbers_or_words(self, texts: list[str]) -> list[str]:
        """Entries with decimal points; refuses a column that mixes numbers and words."""
        given = [text for text in texts if text]
        pointed = [_pointed(text) for text in texts]
        numeric = [is_number(text) for text in pointed if text]
        with_unit = [bool(_WITH_UNIT.fullmatch(text)) or text.startswith("#") for text in given]
        if not any(numeric) and not any(with_unit):
            return texts
        if all(numeric):
            return pointed
        if _all_readable(given):
            return texts
        # The few are shown, which are more likely wrong.
        numbers_expected = sum(numeric) + sum(with_unit) >= len(given) / 2
        hint = "write plain numbers" if numbers_expected else "write words in all cells"
        refused = Refused()
        for text, point, line in zip(texts, pointed, self.lines):
            if text and is_number(point) != numbers_expected:
                refused.add(self.name, text, line, hint)
        for _, message in refused.messages():
            advice = f"or declare the column a category (--categorical {on_command_line(self.name)}){self.other_names}"
            raise InputError(f"{self.where}: {message}{MISSING_ADVICE.rstrip('.')}, {advice}.")
        return texts

    def _check_none(self, texts: Sequence[str]) -> None:
        """Refuse a word that reads as missing where it may be a category."""
        if self.none_is_missing or all(is_number(text) for text in texts if text):
            return
        for text, line in zip(self.raw, self.lines):
            if text.strip().lower() == "none":
                raise InputError(
                    f"{self.where}, line {line}: '{text}' can be a category or a missing entry: write another word for "
                    "the category, or give --missing-words none."
                )

    def _check_levels(self, texts: Sequence[str], categorical: bool) -> None:
        """Refuse more different words than categories have, and one only."""
        levels = {entry_key(text) for text in texts if text}
        words = categorical or not all(is_number(text) for text in texts if text)
        if len(levels) > MAXIMUM_LEVELS and words:
            raise InputError(
                f"{self.where}: {len(levels)} different entries, more than {MAXIMUM_LEVELS}: that is no category. "
                f"Group it into fewer categories{self.other_names} or leave it out."
            )
        if len(levels) == 1:
            raise InputError(f"{self.where}: all entries are '{next(filter(None, texts))}': it tells no cases apart.")


def on_command_line(column: str) -> str:
    """A column as it is written on a command line."""
    return column if re.fullmatch(r"[\w.-]+", column) else f"'{column}'"


def entry_key(text: str) -> str:
    """What two spellings of one entry have in common."""
    text = text.strip()
    return repr(float(text)) if is_number(text) else text.lower()


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


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
    given = {entry_key(text) for text in texts if text}
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
