"""Tables as they come from spreadsheets: their dialects, and what of them is refused."""

from __future__ import annotations

import sys
import warnings
import zipfile
from datetime import date, datetime
from functools import partial
from pathlib import Path

import pytest
from conftest import refusal_by

from HER2NomogramLib.cohort_table import read_table

openpyxl = pytest.importorskip("openpyxl")


@pytest.fixture
def csv_file(tmp_path):
    """Writes a CSV file and returns its path."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "cohort.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def workbook(tmp_path):
    """Writes sheets of rows and returns the path; a cell may be (value, number format)."""

    def write(**sheets) -> Path:
        book = openpyxl.Workbook()
        book.remove(book.active)
        for name, rows in sheets.items():
            sheet = book.create_sheet(name)
            for i, row in enumerate(rows, start=1):
                for j, value in enumerate(row, start=1):
                    cell = sheet.cell(i, j)
                    if isinstance(value, tuple):
                        value, cell.number_format = value
                    cell.value = value
        path = tmp_path / "cohort.xlsx"
        book.save(path)
        return path

    return write


refusal = partial(refusal_by, read_table)


# --- text -------------------------------------------------------------------------------------------------------------


def test_commas(csv_file):
    table = read_table(csv_file('name,age\n"Müller, A", 54 \nb,\n'))
    assert (table.name, table.columns, table.lines) == ("cohort.csv", ("name", "age"), (2, 3))
    assert table.rows == (("Müller, A", "54"), ("b", ""))
    assert table.column("age") == ("54", "")


def test_semicolons_come_with_decimal_commas(csv_file):
    table = read_table(
        csv_file("Fall;Größe (mm);Ki-67;Text;Bereich\n1;23,5;<5,5 %;a,b;15,5-20,25\n2;0,4;1.5;1,2 mm;1,2,3\n")
    )
    assert table.rows[0] == ("1", "23.5", "<5.5 %", "a,b", "15.5-20.25")
    # Only whole entries of numbers are numbers; three numbers are a list.
    assert table.rows[1] == ("2", "0.4", "1.5", "1,2 mm", "1,2,3")


def test_commas_stay_where_they_separate(csv_file):
    assert read_table(csv_file('a,b\n"23,5",x\n')).rows == (("23,5", "x"),)


def test_tabs_byte_order_mark_and_windows_lines(csv_file):
    table = read_table(csv_file(b"\xef\xbb\xbfa\tb;c,d\r\n1\t2\r\n"))
    assert (table.columns, table.rows) == (("a", "b;c,d"), (("1", "2"),))


def test_separators_within_names(csv_file):
    table = read_table(csv_file("Größe, mm;Ki-67, %;ER, PR\n23,5;10;pos\n1,5;20;neg\n"))
    assert table.columns == ("Größe, mm", "Ki-67, %", "ER, PR") and table.rows[1] == ("1.5", "20", "neg")


def test_one_column(csv_file):
    assert read_table(csv_file("age\n50\n")).columns == ("age",)


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;".lower()])
def test_the_separator_that_excel_writes(csv_file, first):
    table = read_table(csv_file(f"{first}\nage;x,y,z\n50,5;1\n"))
    assert (table.columns, table.rows, table.lines) == (("age", "x,y,z"), (("50.5", "1"),), (3,))


def test_lines_are_those_of_the_file(csv_file):
    table = read_table(csv_file('\n;\nage;note\n\n50;"two\nlines"\n;\n60;b\n;\n'))
    assert table.columns == ("age", "note")
    assert table.rows == (("50", "two lines"), ("60", "b"))
    assert table.lines == (6, 8)


def test_blank_columns_at_the_end(csv_file):
    table = read_table(csv_file("age,er,,\n50,pos,,\n60,neg,,\n"))
    assert (table.columns, table.rows) == (("age", "er"), (("50", "pos"), ("60", "neg")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (",,\n,,\n", "is empty"),
        ("age,er\n", "no rows below"),
        ("age,er\n,\n", "no rows below"),
        ("age,,er\n1,2,3\n", "column 2 has no name in line 1"),
        ("age,er,Age\n1,2,3\n", "column 'age' twice"),
        ("age,er\n1,2,3\n", "line 2: more entries than columns"),
        ("age,er\n1,2\n3\n", "line 3: 1 entries for 2 columns"),
        ("age,er,\n1,2,x\n", "line 2: an entry stands right of the last named column ('er')"),
        ('age,er\n1,"2\n', "not CSV text in UTF-8"),
        (b"age,\xe4\n1,2\n", "not CSV text in UTF-8"),
        ("age\tx\n1\t2\n".encode("utf-16"), "not CSV text in UTF-8"),
        (b"age,er\n1,\0\n", "is no"),
    ],
)
def test_refusals(csv_file, text, words):
    assert words in refusal(csv_file(text))


def test_missing_file_and_folder(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.csv")
    assert "No such file" in refusal(tmp_path / "none.xlsx")
    assert "cannot be read" in refusal(tmp_path)


def test_a_title_above_the_names_is_explained(csv_file):
    message = refusal(csv_file("Cohort of 2020,,\ncase,age,er\n1,50,pos\n"))
    assert "right of the last named column ('Cohort of 2020')" in message and "line 2" in message


# --- workbooks --------------------------------------------------------------------------------------------------------


def test_cells_as_their_reader_sees_them(workbook):
    rows = [
        ["int", "float", "whole", "percent", "fraction", "date", "time", "yes", "text", "blank"],
        [
            5,
            2.5,
            3.0,
            (0.15, "0%"),
            (0.125, "0.0%"),
            date(2020, 1, 2),
            datetime(2020, 1, 2, 3, 4),
            True,
            " a\nb ",
            None,
        ],
        [-5, 0.1, 1e3, (0.29, "0.00%"), (0.5, '0.0 "%"'), datetime(2020, 1, 2), "x", False, "0,5", None],
    ]
    table = read_table(workbook(one=rows))
    assert table.columns == tuple(rows[0])[:10]
    assert table.rows == (
        ("5", "2.5", "3", "15%", "12.5%", "2020-01-02", "2020-01-02 03:04:00", "true", "a b", ""),
        ("-5", "0.1", "1000", "29%", "0.5", "2020-01-02", "x", "false", "0,5", ""),
    )
    assert table.lines == (2, 3)


def test_rows_of_the_sheet(workbook):
    table = read_table(workbook(one=[[], ["age", "er"], [50, "pos"], [None, None], [60, None]]))
    assert (table.rows, table.lines) == ((("50", "pos"), ("60", "")), (3, 5))


def test_several_sheets(workbook):
    path = workbook(Legend=[["x"], ["y"]], Patients=[["age"], [50]])
    message = refusal(path)
    assert "'Legend', 'Patients'" in message and "--sheet" in message
    assert read_table(path, "Patients").rows == read_table(path, "patients").rows == (("50",),)
    with pytest.raises(ValueError, match="no sheet 'Other': name one of 'Legend', 'Patients'"):
        read_table(path, "Other")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "is empty"),
        ([["age", "er"]], "no rows below"),
        ([["age", None, "er"], [1, 2, 3]], "column 2 has no name"),
        ([["age", "er"], [1, 2, 3]], "right of the last named column ('er')"),
        ([["er", "ER"], [1, 2]], "column 'er' twice"),
    ],
)
def test_refusals_of_sheets(workbook, rows, words):
    assert words in refusal(workbook(one=rows))


def test_formulas_without_values_are_not_blank_cells(workbook):
    message = refusal(workbook(one=[["a", "b"], [1, 2], [1, "=A2+1"]]))
    assert "line 3, column 2" in message and "formula without its value" in message


def test_a_formula_with_an_empty_text_is_a_blank_cell(workbook, tmp_path):
    path = workbook(one=[["a", "b"], [1, '=IF(A2=1,"","x")'], [2, "=A3+5"]])
    other = tmp_path / "computed.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("sheet1.xml"):
                text = content.decode()
                assert "<v></v>" in text or "<v />" in text or "<v/>" in text
                text = text.replace("<v></v>", "<v/>").replace("<v />", "<v/>")
                text = text.replace('r="B2"', 'r="B2" t="str"').replace("A3+5</f><v/>", "A3+5</f><v>7</v>")
                content = text.encode()
            new.writestr(name, content)
    assert read_table(other).rows == (("1", ""), ("2", "7"))


def test_no_warnings_of_what_is_not_read(workbook):
    path = workbook(one=[["a"], [1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_table(path)


def test_no_workbook(tmp_path):
    path = tmp_path / "cohort.xlsx"
    path.write_bytes(b"age,er\n1,2\n")
    assert "no .xlsx file that can be read" in refusal(path)
    old = tmp_path / "cohort.xls"
    old.write_bytes(b"")
    assert "old Excel file" in refusal(old)


def test_sheets_are_of_workbooks(csv_file):
    with pytest.raises(ValueError, match="has no sheets"):
        read_table(csv_file("a\n1\n"), "one")


def test_what_to_install(workbook, monkeypatch):
    path = workbook(one=[["a"], [1]])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    message = refusal(path)
    assert "openpyxl>=3.1" in message and "CSV UTF-8" in message


# --- real tables ------------------------------------------------------------------------------------------------------


def test_a_real_workbook(shared_data):
    path = shared_data / "tab_ispy1_clinical" / "I-SPY_1_All_Patient_Clinical_and_Outcome_Data.xlsx"
    assert "'predictors'" in refusal(path)
    table = read_table(path, "predictors")
    assert len(table.rows) == 221 and table.lines[0] == 2
    # Formulas whose values the file holds, blank ones among them.
    assert {*table.column("HR_HER2_STATUS")} == {"", "HRposHER2neg", "HER2pos", "TripleNeg"}
    assert table.column("HR_HER2_STATUS").count("") == 5


def test_a_real_csv(shared_data):
    table = read_table(shared_data / "tab_birthwt" / "birthwt.csv")
    assert len(table.rows) == 189 and table.columns[:3] == ("rownames", "low", "age")
