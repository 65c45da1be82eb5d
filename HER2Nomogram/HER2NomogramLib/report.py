"""Reports on the development and the evaluation of a model, and on a study of associations.

Each is one HTML page that opens offline, with its parts as files beside it. What a report says is put together in
:mod:`.report_content` and :mod:`.association_report`, how it looks is in ``Resources/Report``. Here both become
files: everything is made first, then put in its place, the page last.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .association_report import association_content
from .checklists import DEVELOPMENT, EVALUATION, report_directory
from .errors import InputError
from .files import check_writable, files_directory, write_text_atomically
from .report_content import Content, development_content, evaluation_content
from .report_tables import Table

if TYPE_CHECKING:
    from .association import AssociationResult
    from .training import TrainingResult
    from .validation import ModelValidation

_INTERVAL = re.compile(r"\([^() ]+ to [^() ]+\)|\[[^][ ]+ to [^][ ]+\]|\bp [=<>] [\d.]+")
# Names of the parts, in their folder.
_CONTENTS = "contents.txt"
_CHECKLIST_COLUMNS = ("number", "section", "topic", "applies", "text", "status", "answer", "todo")


def write_development_report(
    result: TrainingResult, path: str | Path, on: date | None = None, facts: Mapping[str, Any] | None = None
) -> Path:
    """Write the report on the development of a model.

    Parameters
    ----------
    result : TrainingResult
        With ``internal`` where the development was validated by resampling.
    path : path
        Of the HTML file. Beside it the folder ``<stem>_files`` gets every figure as SVG and every table as CSV; files
        of the same names there are replaced.
    on : date, optional
        Date on the report, default today. The same result and date give the same bytes.
    facts : mapping, optional
        Of the extraction, from :func:`.tables.read_extraction_facts`: adds the images to the table of cases.

    Returns
    -------
    Path
        Of the HTML file.

    Raises
    ------
    InputError
        Where the files cannot be written; nothing half-written stays behind.
    """
    return _write(lambda: development_content(result, facts), Path(path), on)


def write_validation_report(validation: ModelValidation, path: str | Path, on: date | None = None) -> Path:
    """Write the report on the evaluation of an existing model; parameters as for :func:`write_development_report`."""
    return _write(lambda: evaluation_content(validation), Path(path), on)


def write_association_report(result: AssociationResult, path: str | Path, on: date | None = None) -> Path:
    """Write the report on an association study; parameters as for :func:`write_development_report`."""
    return _write(lambda: association_content(result), Path(path), on)


def _write(make_content: Callable[[], Content], path: Path, on: date | None) -> Path:
    folder = files_directory(path)
    # Learn now, not after the work, whether the files can be written.
    check_writable(path)
    if folder.exists():
        check_writable(folder / "report.csv")
    for package in ("jinja2", "matplotlib"):
        if find_spec(package) is None:
            raise InputError(f"The report needs the Python package {package}: install it.")
    content = make_content()
    page = render(content, folder.name, on or date.today())
    _write_all(folder, parts(content))
    write_text_atomically(path, page)
    return path


def render(content: Content, folder: str, on: date) -> str:
    """The report as one HTML page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(report_directory(), encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(glued=glued, glued_cell=glued_cell)
    counts: Counter = Counter()

    def count(what: str) -> int:
        counts[what] += 1
        return counts[what]

    numbers = {section.id: index for index, section in enumerate(content.sections)}
    page = environment.get_template("report.html").render(
        c=content, folder=folder, date=on.isoformat(), numbers=numbers, count=count, references=references(content)
    )
    return page.strip() + "\n"


def glued(text: str) -> str:
    """A text whose intervals are not broken over lines."""
    return _INTERVAL.sub(lambda found: found.group().replace(" ", "\N{NO-BREAK SPACE}"), text)


def glued_cell(text: str) -> str:
    """A cell whose value is not parted from its interval."""
    return glued(text).replace(" (", "\N{NO-BREAK SPACE}(").replace(" [", "\N{NO-BREAK SPACE}[")


def references(content: Content) -> list[str]:
    """Publications that a report rests on."""
    found = json.loads((report_directory() / "references.json").read_text(encoding="utf-8"))["references"]
    models = (DEVELOPMENT, EVALUATION)
    return [
        entry["text"]
        for entry in found
        if content.kind in entry.get("only", models) and entry.get("topic", "") in {"", *content.topics}
    ]


def parts(content: Content) -> dict[str, str]:
    """Figures and tables of a report as texts of files by name."""
    files = {}
    for found in content.tables.values():
        for table in found:
            if isinstance(table, Table) and table.records:
                files[f"{table.name}.csv"] = _csv(table.records)
    for name, records in content.records.items():
        files[f"{name}.csv"] = _csv(records)
    for pictures in content.pictures.values():
        files.update((f"{picture.name}.svg", picture.svg) for picture in pictures)
    for name, checklist in content.checklists.items():
        rows = [{column: getattr(item, column) for column in _CHECKLIST_COLUMNS} for item in checklist.items]
        files[f"checklist_{name}.csv"] = _csv(rows)
    return files


def _csv(records: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO()
    columns = list(dict.fromkeys(name for record in records for name in record))
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _listed(folder: Path) -> set[str]:
    """Names of the parts that an earlier report has left in its folder."""
    try:
        names = (folder / _CONTENTS).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return set()
    return {name for name in names if Path(name).name == name and Path(name).suffix in (".csv", ".svg")}


def _write_all(folder: Path, files: Mapping[str, str]) -> None:
    """Write files into a folder: first all of them beside it, then each to its place.

    Those of an earlier report that this one does not have are removed, by the list that it left: beside the new page
    they would pass for parts of it. Other files in the folder are the user's.
    """
    files = {**files, _CONTENTS: "".join(f"{name}\n" for name in sorted(files))}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder.parent) as name:
            for file, text in files.items():
                (Path(name) / file).write_text(text, encoding="utf-8", newline="\n")
            for file in _listed(folder) - files.keys():
                (folder / file).unlink(missing_ok=True)
            for file in files:
                os.replace(Path(name) / file, folder / file)
    except OSError as error:
        raise InputError(
            f"'{folder}' cannot be written ({error.strerror}): choose a folder that you may write to."
        ) from None
