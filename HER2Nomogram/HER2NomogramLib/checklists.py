"""Reporting checklists TRIPOD+AI and CLEAR, filled in as far as the software knows the answers.

What only the author can write stays visibly open: a checklist that looks complete and is not would be worse than none.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEVELOPMENT, EVALUATION = "development", "evaluation"
CHECKLISTS = ("tripod_ai", "clear")
ANSWERED, PARTLY, OPEN, NOT_APPLICABLE = "answered", "in part", "open", "not applicable"
TO_COMPLETE = "To be completed by the author"
_ONLY_DEVELOPMENT = "Not applicable: concerns the development of a model; this report evaluates an existing one."


@dataclass(frozen=True)
class Item:
    """One item of a checklist with what is known about it.

    Attributes
    ----------
    number, section, topic, text : str
        As the checklist numbers it; the text is a paraphrase.
    applies : str
        ``D`` development, ``E`` evaluation, ``D;E`` both; empty where the checklist makes no difference.
    answer : str
        What the software knows, empty where it knows nothing.
    todo : str
        What the author must write, empty where nothing is left.
    status : str
    see : tuple of str
        Sections of the report that hold the answer.
    """

    number: str
    section: str
    topic: str
    text: str
    applies: str
    answer: str
    todo: str
    status: str
    see: tuple[str, ...]


@dataclass(frozen=True)
class Checklist:
    """A checklist with its source."""

    name: str
    title: str
    citation: str
    items: tuple[Item, ...]

    def count(self, status: str) -> int:
        """Number of items of a status."""
        return sum(item.status == status for item in self.items)


def report_directory() -> Path:
    """Folder of the report's templates and checklists, which is beside the library in sources and in Slicer alike."""
    return Path(__file__).resolve().parents[1] / "Resources" / "Report"


def fill_checklist(name: str, kind: str, facts: Mapping[str, str], sections: Collection[str]) -> Checklist:
    """Fill in a checklist.

    Parameters
    ----------
    name : {"tripod_ai", "clear"}
    kind : {"development", "evaluation"}
        Of the report.
    facts : mapping of str to str
        What the items may name in braces.
    sections : collection of str
        Sections that the report has; items refer to no others.
    """
    content = json.loads((report_directory() / f"{name}.json").read_text(encoding="utf-8"))
    items = tuple(_item(entry, kind, facts, sections) for entry in content["items"])
    return Checklist(content["name"], content["title"], content["citation"], items)


def _item(entry: Mapping[str, Any], kind: str, facts: Mapping[str, str], sections: Collection[str]) -> Item:
    known = entry.get("known", "")
    known = known[kind] if isinstance(known, Mapping) else known
    # Facts are filled into the item, never the other way round: braces in a user's text stay braces.
    answer = " ".join(known.format_map(facts).split())
    todo, status = entry.get("open", ""), ANSWERED
    if kind == EVALUATION and entry.get("applies") == "D":
        answer, todo, status = _ONLY_DEVELOPMENT, "", NOT_APPLICABLE
    elif todo:
        status = PARTLY if answer else OPEN
    see = tuple(section for section in entry.get("see", ()) if section in sections and status != NOT_APPLICABLE)
    return Item(
        number=entry["number"],
        section=entry["section"],
        topic=entry["topic"],
        text=entry["text"],
        applies=entry.get("applies", ""),
        answer=answer,
        todo=f"{TO_COMPLETE}: {todo}" if todo else "",
        status=status,
        see=see,
    )
