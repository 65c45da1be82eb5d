"""Feature tables: every digit survives, and what is no feature table is refused."""

from __future__ import annotations

import csv
import json
import math
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import refusal_by
from hypothesis import given, settings
from hypothesis import strategies as st

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.tables import (
    FeatureTable,
    feature_name,
    read_extraction_facts,
    read_features,
    write_features,
    write_rows,
)

A, B = "image__intratumoral__original_firstorder_Mean", "image__peritumoral_5mm__original_glcm_Contrast"


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "features.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


refusal = partial(refusal_by, read_features)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(), st.floats()), min_size=1, max_size=8))
def test_round_trip_keeps_every_bit(values):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.csv"
        write_features(path, [(f"case{number}", {A: a, B: b}) for number, (a, b) in enumerate(values)])
        table = read_features(path)
    assert table.case_ids == tuple(f"case{number}" for number in range(len(values)))
    assert table.columns == (A, B)
    expected = np.array(values)
    assert np.array_equal(table.values, expected, equal_nan=True)
    assert np.array_equal(np.signbit(table.values[expected == 0]), np.signbit(expected[expected == 0]))


@pytest.mark.parametrize("value", [0.1, 1 / 3, np.pi * 1e-12, np.float64(2) ** 0.5, np.float32(0.1), 7])
def test_values_of_numpy_keep_every_digit(tmp_path, value):
    write_features(tmp_path / "features.csv", [("a", {A: value})])
    assert read_features(tmp_path / "features.csv").values[0, 0] == float(value)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1), min_size=1, unique=True)
)
def test_case_ids_of_any_characters_survive(names):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.csv"
        write_features(path, [(name, {A: 1.0}) for name in names])
        assert read_features(path).case_ids == tuple(names)


def test_case_ids_stay_text(tmp_path):
    write_features(tmp_path / "features.csv", [("007", {A: 1.0}), ("1e3", {A: 2.0}), ("nan", {A: 3.0})])
    assert read_features(tmp_path / "features.csv").case_ids == ("007", "1e3", "nan")


def test_columns_that_not_every_case_has_are_blank(tmp_path):
    path = tmp_path / "features.csv"
    write_features(path, [("a", {A: 1.0}), ("b", {B: 2.0, A: 3.0})])
    assert path.read_text() == f"case_id,{A},{B}\na,1.0,\nb,3.0,2.0\n"
    table = read_features(path)
    assert math.isnan(table.values[0, 1])
    assert table.row("a") == {A: 1.0} and table.row("b") == {A: 3.0, B: 2.0}


def test_case_that_the_table_does_not_have():
    table = FeatureTable(("a",), (A,), np.array([[1.0]]))
    with pytest.raises(InputError, match="Case 'b' is not in the feature table: extract"):
        table.row("b")


def test_features_are_named_without_image_and_region():
    assert feature_name("image__peritumoral_5mm__log-sigma-2-0-mm-2D_glcm_Idn") == "log-sigma-2-0-mm-2D_glcm_Idn"
    assert feature_name("image__intratumoral__a__b") == "a__b"
    assert feature_name("T2__mean") == "T2__mean" and feature_name("GLCM mean") == "GLCM mean"


def test_rows_are_written_with_columns_in_order_of_appearance(tmp_path):
    write_rows(tmp_path / "t.csv", [{"b": 1, "a": 0.1}, {"c": 'x, "y"', "a": None}])
    with (tmp_path / "t.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["b", "a", "c"], ["1", "0.1", ""], ["", "", 'x, "y"']]


def test_failed_write_leaves_the_old_table(tmp_path):
    path = written(tmp_path, "old")

    class Broken:
        def __str__(self):
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_rows(path, [{"a": 1}, {"a": Broken()}])
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_table_saved_by_a_spreadsheet(tmp_path):
    # Excel: byte order mark, CRLF, rows of nothing but commas, and a blank line at the end.
    path = written(tmp_path, b"\xef\xbb\xbfcase_id,x,y\r\na, 1 ,\r\n,,\r\nb,2,3e-3\r\n,,\r\n\r\n")
    table = read_features(path)
    assert table.columns == ("x", "y") and table.row("a") == {"x": 1.0} and table.row("b") == {"x": 2.0, "y": 0.003}


def test_missing_table(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.csv")


def test_folder_in_place_of_the_table(tmp_path):
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "case_id"),
        ("x,case_id\n1,a\n", "first column 'case_id'"),
        ("case_id;x\na;1\n", "no commas between its columns"),
        ("case_id,x\n", "one row per case"),
        ("case_id,x\na,1\na,2\n", "case 'a' twice"),
        ("case_id,x,x\na,1,2\n", "column 'x' twice"),
        ("case_id,x\n,1\n", "without case_id"),
        ("case_id,x,y\na,1\n", "case 'a': 2 entries for 3 columns"),
        ("case_id,x\na,1,2\n", "case 'a': 3 entries for 2 columns"),
        ("case_id,x\na,1\nb,high\n", "case 'b', column 'x': 'high' is no number: correct it, or remove the column"),
        ('case_id,x\na,"1,5"\n', "case 'a', column 'x': '1,5' is no number"),
        (b"case_id,x\nM\xfcller,1\n", "not CSV text in UTF-8"),
        ("Case ID,x\na,1\n", "is 'Case ID' meant?"),
        ("", "first line is empty"),
        (b"\xff\xfec\0a\0", "not CSV text in UTF-8"),
        ("case_id;" + ";".join(f"image__ring__feature_{i}" for i in range(9000)) + "\n", "commas between its columns"),
    ],
)
def test_bad_table(tmp_path, text, words):
    assert words in refusal(written(tmp_path, text))


FACTS = {
    "extraction": {"imageType": {"Original": {}}},
    "margins_mm": [5.0, 10],
    "cases": {"a": {"image": {"spacing_mm": [0.1, 0.1], "kind": None}}, "b": {}},
}


def test_record_of_an_extraction(tmp_path):
    (tmp_path / "features.json").write_text(json.dumps(FACTS))
    assert read_extraction_facts(tmp_path / "features.csv") == FACTS


@pytest.mark.parametrize(
    "changes",
    [
        {"extraction": None},
        {"extraction": []},
        {"margins_mm": 5},
        {"margins_mm": ["wide"]},
        {"margins_mm": [0]},
        {"cases": []},
        {"cases": {"a": None}},
        {"cases": {"a": {"image": None}}},
        {"cases": {"a": {"image": {}}}},
        {"cases": {"a": {"image": {"spacing_mm": [0.1]}}}},
        {"cases": {"a": {"image": {"spacing_mm": [0.1, 0]}}}},
        {"cases": {"a": {"image": {"spacing_mm": 0.1}}}},
    ],
)
def test_damaged_record_of_an_extraction(tmp_path, changes):
    path = tmp_path / "features.json"
    path.write_text(json.dumps({**FACTS, **changes}))
    assert "missing or damaged" in refusal_by(lambda path: read_extraction_facts(path.with_suffix(".csv")), path)


@pytest.mark.parametrize("text", [None, "", "[]", "{}", "3", '"text"'])
def test_missing_record_of_an_extraction(tmp_path, text):
    path = tmp_path / "features.json"
    if text is not None:
        path.write_text(text)
    message = refusal_by(lambda path: read_extraction_facts(path.with_suffix(".csv")), path)
    assert "features.csv" in message and "--other-software" in message
