"""A table of a cohort as it comes from a spreadsheet: CSV in its usual dialects, or .xlsx."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from .errors import InputError

_WORKBOOKS = (".xlsx", ".xlsm")
# What reads them, as a requirement.
OPENPYXL = "openpyxl>=3.1"
# Entries of nothing but numbers, signs and commas: in a table with semicolons the comma is the decimal sign.
_NUMBERS = re.compile(r"[\s\d.,<>=~%+\u2264\u2265\u2013-]+")
# Lines that tell the separator.
_TRIED = 20
_DECIMAL_COMMA = re.compile(r"(?<![\d,.])(\d+),(\d+)(?![\d,.])")


@dataclass(frozen=True)
class CohortTable:
    """A table as text.

    Attributes
    ----------
    name : str
        Of the file.
    columns : tuple of str
    rows : tuple of tuple of str
        Entries without blanks around them.
    lines : tuple of int
        Line of the file, or row of the sheet, that every row stands in.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def column(self, name: str) -> tuple[str, ...]:
        """Entries of a column."""
        index = self.columns.index(name)
        return tuple(row[index] for row in self.rows)


def is_workbook(path: str | Path) -> bool:
    """Whether a table is a workbook of a spreadsheet, by its ending."""
    return Path(path).suffix.lower() in _WORKBOOKS


def read_table(path: str | Path, sheet: str | None = None) -> CohortTable:
    """Read a table; its first line that is not blank names the columns.

    Parameters
    ----------
    path : path
        CSV in UTF-8 with commas, semicolons (a decimal comma then is read as a point) or tabs; or .xlsx.
    sheet : str, optional
        Sheet of an .xlsx file; needed where it has several.

    Raises
    ------
    InputError
        Where the table cannot be read, has no rows, a column has no name or that of another, or a row has another
        number of entries than there are columns.
    """
    path = Path(path)
    if path.suffix.lower() == ".xls":
        raise InputError(f"Table '{path}' is an old Excel file: open it in Excel and save it as .xlsx or CSV UTF-8.")
    if is_workbook(path):
        return _table(path, _read_sheet(path, sheet))
    if sheet is not None:
        raise InputError(f"Table '{path}' has no sheets, only .xlsx files have: leave --sheet out.")
    return _table(path, _read_csv(path))


def _table(path: Path, lines: Sequence[tuple[int, list[str]]]) -> CohortTable:
    # A cell can hold line breaks.
    given = [(line, [" ".join(entry.split()) for entry in row]) for line, row in lines]
    # Spreadsheets leave rows and columns of nothing where cells were emptied.
    given = [(line, row) for line, row in given if any(row)]
    if not given:
        raise InputError(f"Table '{path}' is empty: name the columns in its first line, and add one row per case.")
    (header_line, header), *rest = given
    width = max(i for i, name in enumerate(header, start=1) if name)
    _check_names(path, header[:width], header_line)
    if not rest:
        raise InputError(f"Table '{path}' has no rows below the column names: add one row per case.")
    for line, row in rest:
        if any(row[width:]):
            unnamed = len(header) > width or is_workbook(path)
            raise InputError(
                f"Table '{path}', line {line}: "
                + (
                    f"an entry stands right of the last named column ('{header[width - 1]}'): name its column in line "
                    f"{header_line}, or remove the entry."
                    if unnamed
                    else "more entries than columns: put entries that hold the separator in quotes."
                )
            )
        if len(row) < width:
            raise InputError(
                f"Table '{path}', line {line}: {len(row)} entries for {width} columns: a line break or a missing "
                "separator splits the row, correct it."
            )
    return CohortTable(
        path.name, tuple(header[:width]), tuple(tuple(row[:width]) for _, row in rest), tuple(line for line, _ in rest)
    )


def _check_names(path: Path, names: Sequence[str], line: int) -> None:
    if "" in names:
        raise InputError(
            f"Table '{path}': column {names.index('') + 1} has no name in line {line}, which must name all columns: "
            "name it, or remove titles above the column names and columns without a name."
        )
    # Names that differ in capitals alone could not be told apart on the command line.
    repeated = [name for name, count in Counter(map(str.lower, names)).items() if count > 1]
    if repeated:
        first = next(name for name in names if name.lower() == repeated[0])
        raise InputError(f"Table '{path}' has the column '{first}' twice: rename or remove one of them.")


def _read_csv(path: Path) -> list[tuple[int, list[str]]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        separator, skipped = _separator(text)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        lines = [(reader.line_num, row) for row in reader][skipped:]
    except OSError as error:
        raise InputError(f"Table '{path}' cannot be read ({error.strerror}): check the path.") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(
            f"Table '{path}' is not CSV text in UTF-8: save it in Excel as 'CSV UTF-8', or give the .xlsx file itself."
        ) from None
    if "\0" in text:
        raise InputError(f"Table '{path}' is no text: save it as CSV UTF-8 or .xlsx.")
    if separator == ";":
        lines = [(line, [_with_point(entry) for entry in row]) for line, row in lines]
    return lines


def _separator(text: str) -> tuple[str, int]:
    """Separator of the columns, and how many lines come before their names."""
    first = next((line for line in text.splitlines() if line.strip(" ,;\t")), "")
    # Excel writes and reads this line.
    said = re.fullmatch(r"\"?sep=([,;\t])\"?", first.strip(" ") or "")
    if said:
        return said[1], 1 + text[: text.index(first)].count("\n")
    # The names may hold one of the other signs: the rows then do not, or not as often.
    lines = [line for line in text.splitlines() if line.strip(" ,;\t")][:_TRIED]

    def fit(sign: str) -> tuple[bool, int, int]:
        widths = [len(next(csv.reader([line], delimiter=sign), [])) for line in lines]
        return widths[:1] > [1], sum(width == widths[0] for width in widths), max(widths[:1], default=0)

    return max(",;\t", key=fit), 0


def _with_point(entry: str) -> str:
    return _DECIMAL_COMMA.sub(r"\1.\2", entry) if _NUMBERS.fullmatch(entry) else entry


def _read_sheet(path: Path, sheet: str | None) -> list[tuple[int, list[str]]]:
    try:
        import openpyxl
    except ModuleNotFoundError:
        raise InputError(
            f"Table '{path}' needs the package openpyxl: install it (pip install '{OPENPYXL}'), or save the table as "
            "CSV UTF-8."
        ) from None
    values = _cells(openpyxl, path, sheet, data_only=True)
    lines = [(line, [_entry(cell.value, _format_of(cell)) for cell in cells]) for line, cells in values]
    # A formula whose value is an empty text says so by its type.
    blank = {
        (line, index)
        for line, cells in values
        for index, cell in enumerate(cells)
        if cell.value is None and getattr(cell, "data_type", "n") != "str"
    }
    if blank:
        _check_formulas(path, _cells(openpyxl, path, sheet, data_only=False), blank)
    return lines


def _cells(openpyxl: Any, path: Path, sheet: str | None, data_only: bool) -> list[tuple[int, tuple[Any, ...]]]:
    """Cells by row; openpyxl's warnings are about what it does not read, such as drop-down lists."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with path.open("rb") as file:
                book = openpyxl.load_workbook(file, read_only=True, data_only=data_only)
                name = _sheet_of(path, [s.title for s in book.worksheets], sheet)
                worksheet = book[name]
                # Some programs write a wrong extent.
                worksheet.reset_dimensions()
                return list(_numbered(worksheet.iter_rows()))
        except InputError:
            raise
        except OSError as error:
            raise InputError(f"Table '{path}' cannot be read ({error.strerror or error}): check the path.") from None
        except Exception:
            raise InputError(
                f"Table '{path}' is no .xlsx file that can be read: open it in Excel and save it anew without a "
                "password, or save it as CSV UTF-8."
            ) from None


def _numbered(rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Rows of one width with their number in the sheet."""
    found = list(rows)
    width = max(map(len, found), default=0)
    for line, cells in enumerate(found, start=1):
        yield line, (*cells, *[_NO_CELL] * (width - len(cells)))


class _NoCell:
    value = None
    number_format = ""


_NO_CELL = _NoCell()


def _format_of(cell: Any) -> str:
    return getattr(cell, "number_format", "") or ""


def _sheet_of(path: Path, sheets: Sequence[str], wanted: str | None) -> str:
    choice = ", ".join(f"'{name}'" for name in sheets)
    if wanted is None:
        if len(sheets) == 1:
            return sheets[0]
        raise InputError(f"Table '{path}' has several sheets ({choice}): name one with --sheet.")
    found = [name for name in sheets if name == wanted] or [n for n in sheets if n.lower() == wanted.strip().lower()]
    if not found:
        raise InputError(f"Table '{path}' has no sheet '{wanted}': name one of {choice} with --sheet.")
    return found[0]


def _entry(value: Any, number_format: str) -> str:
    """A cell as its reader sees it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.date().isoformat() if value == datetime(*value.timetuple()[:3]) else value.isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (int, float)):
        # Quoted parts of a format are words, not signs.
        percent = "%" in re.sub(r'"[^"]*"', "", number_format)
        return f"{value * 100:.12g}%" if percent else _plain_number(value)
    return str(value)


def _plain_number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)


def _check_formulas(path: Path, cells: Sequence[tuple[int, tuple[Any, ...]]], blank: set[tuple[int, int]]) -> None:
    """Refuse formulas whose values the file does not hold: they would read as blank cells."""
    for line, of_line in cells:
        for index, cell in enumerate(of_line):
            if (line, index) in blank and getattr(cell, "data_type", "") == "f":
                raise InputError(
                    f"Table '{path}', line {line}, column {index + 1}: the file holds a formula without its value: "
                    "open it in Excel or LibreOffice and save it, or save it as CSV UTF-8."
                )
