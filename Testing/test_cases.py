"""cases.csv: what its columns mean, and what of it is refused."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest
from conftest import refusal_by

from HER2NomogramLib.cases import SPLITS, Case, CaseImage, check_outcomes, her2_status, ihc_remark, read_cases
from HER2NomogramLib.errors import InputError


@pytest.fixture
def table(tmp_path):
    """Writes a case table and returns its path."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "cases.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


refusal = partial(refusal_by, read_cases)


# --- what the columns mean --------------------------------------------------------------------------------------------


def test_full_row(table):
    path = table(
        "case_id,patient_id,split,image,segmentation,segment,exclude_segments,pixel_spacing_mm,her2,age,reader\n"
        "L1,P1,internal_test,im/a.dcm,seg/a.seg.nrrd,lesion,pectoral muscle; clip ;,0.094,1,54,KM\n"
    )
    (case,) = read_cases(path)
    assert (case.case_id, case.patient_id, case.split) == ("L1", "P1", "internal_test")
    assert case.images == {"image": CaseImage(path.parent / "im/a.dcm", path.parent / "seg/a.seg.nrrd")}
    assert (case.segment, case.exclude_segments) == ("lesion", ("pectoral muscle", "clip"))
    assert (case.pixel_spacing_mm, case.her2) == (0.094, 1)
    # Columns that are not known are kept as they were written.
    assert case.clinical == {"her2": "1", "age": "54", "reader": "KM"}


def test_defaults(table):
    (case,) = read_cases(table("case_id,patient_id,split,segment,exclude_segments,pixel_spacing_mm\nL1,,,,,\n"))
    assert (case.patient_id, case.split, case.segment, case.exclude_segments) == ("L1", "train", None, ())
    assert (case.pixel_spacing_mm, case.her2, case.images, case.clinical) == (None, None, {}, {})
    assert read_cases(table("case_id\nL1\n")) == [case]


def test_clinical_factors_stay_text(table):
    (case,) = read_cases(table("case_id,tumor_diameter_mm,breast_density,er,ki67\nL1, 23.50 ,C,positive,\n"))
    assert case.clinical == {"tumor_diameter_mm": "23.50", "breast_density": "C", "er": "positive", "ki67": ""}


def test_cases_keep_their_order(table):
    assert [case.case_id for case in read_cases(table("case_id\nb\na\nc\n"))] == ["b", "a", "c"]


def test_paths_are_relative_to_the_table_unless_absolute(tmp_path, monkeypatch, table):
    absolute = tmp_path / "elsewhere" / "s.nrrd"
    path = table(f"case_id,image,segmentation\nL1,../a.png,{absolute}\n")
    monkeypatch.chdir(path.parent.parent)
    (case,) = read_cases(path.relative_to(path.parent.parent))
    assert case.images["image"].image.resolve() == tmp_path.parent / "a.png"
    assert case.images["image"].segmentation == absolute


def test_further_images(table):
    path = table(
        "case_id,image,segmentation,image_low_energy_cc,segmentation_low_energy_cc,image_mlo,segmentation_mlo\n"
        "L1,a.dcm,a.nrrd,b.dcm,b.nrrd,,\n"
    )
    (case,) = read_cases(path)
    folder = path.parent
    assert case.images == {
        "image": CaseImage(folder / "a.dcm", folder / "a.nrrd"),
        "low_energy_cc": CaseImage(folder / "b.dcm", folder / "b.nrrd"),
    }
    assert case.clinical == {}


def test_columns_that_only_begin_alike_are_clinical(table):
    (case,) = read_cases(table("case_id,imaging_date,segments_drawn_by\nL1,2020-01-02,KM\n"))
    assert case.images == {} and case.clinical == {"imaging_date": "2020-01-02", "segments_drawn_by": "KM"}


@pytest.mark.parametrize("split", SPLITS)
def test_splits(table, split):
    assert read_cases(table(f"case_id,split\nL1,{split}\n"))[0].split == split


def test_lesions_of_one_patient_in_one_split(table):
    cases = read_cases(table("case_id,patient_id,split\nL1,P,train\nL2,P,\nL3,Q,internal_test\n"))
    assert [case.patient_id for case in cases] == ["P", "P", "Q"]


# --- the ways that tables are written ---------------------------------------------------------------------------------


def test_byte_order_mark_and_windows_line_ends(table):
    (case,) = read_cases(table(b"\xef\xbb\xbfcase_id,age\r\nL1,54\r\n"))
    assert (case.case_id, case.clinical) == ("L1", {"age": "54"})


def test_names_in_any_script_and_quoted_entries(table):
    (case,) = read_cases(table('case_id,image,segmentation,remark\nMüller 1,"a, b.png",s.png,"said ""no"""\n'))
    assert case.case_id == "Müller 1" and case.images["image"].image.name == "a, b.png"
    assert case.clinical == {"remark": 'said "no"'}


def test_blanks_around_names_and_entries(table):
    (case,) = read_cases(table("case_id , split, age\n L1 , internal_test , 54 \n"))
    assert (case.case_id, case.split, case.clinical) == ("L1", "internal_test", {"age": "54"})


def test_blank_lines_columns_and_rows_of_commas(table):
    cases = read_cases(table("case_id,age,,\n\nL1,54,,\n,,,\n\nL2,60,,\n,,,\n"))
    assert [(case.case_id, case.clinical) for case in cases] == [("L1", {"age": "54"}), ("L2", {"age": "60"})]


def test_row_that_ends_early(table):
    assert read_cases(table("case_id,age,ki67\nL1,54\n"))[0].clinical == {"age": "54", "ki67": ""}


def test_row_with_commas_at_its_end(table):
    assert read_cases(table("case_id,age\nL1,54,,\n"))[0].clinical == {"age": "54"}


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_missing_table(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.csv")


def test_folder_in_place_of_the_table(tmp_path):
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("text", ["", "\n", "patient,image\nP,a.png\n", "L1,a.png\n"])
def test_no_column_case_id(table, text):
    assert "no column 'case_id'" in refusal(table(text))


@pytest.mark.parametrize("text", ["case_id,age\n", "case_id,age\n\n,\n"])
def test_no_cases(table, text):
    assert "no cases" in refusal(table(text))


@pytest.mark.parametrize("sign", [";", "\t"], ids=["semicolon", "tab"])
def test_other_separator_has_a_message_that_helps(table, sign):
    # What Excel writes as CSV where the comma is the decimal sign, and what pasting from it gives.
    message = refusal(table(f"case_id{sign}pixel_spacing_mm\nL1{sign}0,094\n"))
    assert "comma" in message and "case_id'" not in message


@pytest.mark.parametrize("text", [b"case_id,age\nM\xfcller,54\n", "case_id,age\nL1,54\n".encode("utf-16")])
def test_other_encoding(table, text):
    assert "UTF-8" in refusal(table(text))


def test_workbooks_are_for_the_association_study(tmp_path):
    path = tmp_path / "cases.XLSX"
    path.write_bytes(b"PK\x03\x04\x14\xff\x00")
    with pytest.raises(InputError) as error:
        read_cases(path)
    message = str(error.value)
    assert "only the association study (associate) reads workbooks" in message and "export it" in message
    path.rename(tmp_path / "cases.csv")
    with pytest.raises(InputError) as error:
        read_cases(tmp_path / "cases.csv")
    assert "associate" not in str(error.value)


def test_column_twice(table):
    assert "'image' twice" in refusal(table("case_id,image,segmentation,image\nL1,a.png,s.png,b.png\n"))


def test_more_entries_than_columns(table):
    assert "line 3" in refusal(table("case_id,image,segmentation\nL1,a.png,s.png\nL2,a,b.png,s.png\n"))


def test_same_case_twice(table):
    assert "'L1' stands in several rows" in refusal(table("case_id\nL1\nL2\nL1 \n"))


@pytest.mark.parametrize("case_id", ["", "a/b", "a\\b", "a:b", "a*", "a?", "a|b", "<a>"])
def test_case_id_that_cannot_name_a_file(table, case_id):
    assert "line 2" in refusal(table(f"case_id,age\n{case_id},54\n"))


def test_line_numbers_are_those_of_the_file(table):
    assert "line 6" in refusal(table('case_id,remark\n\nL1,"two\nlines"\n\n,x\n'))


def test_patient_in_two_splits(table):
    message = refusal(table("case_id,patient_id,split\nL1,Mary Doe,train\nL2,Mary Doe,internal_test\n"))
    assert "'L2'" in message and "train and internal_test" in message
    assert "Mary Doe" not in message


def test_unknown_split(table):
    message = refusal(table("case_id,split\nL1,test\n"))
    assert "line 2" in message and "'test'" in message and "internal_test" in message


@pytest.mark.parametrize("spacing", ["0,094", "0.094 mm", "unknown"])
def test_bad_spacing(table, spacing):
    message = refusal(table(f'case_id,pixel_spacing_mm\nL1,"{spacing}"\n'))
    assert "line 2" in message and "pixel_spacing_mm" in message and spacing in message


@pytest.mark.parametrize(
    ("columns", "row", "named"),
    [
        ("image", "a.png", "'segmentation'"),
        ("image,segmentation", "a.png,", "'segmentation'"),
        ("image_mlo,segmentation", "a.png,s.png", "'segmentation_mlo'"),
    ],
)
def test_image_without_its_segmentation(table, columns, row, named):
    message = refusal(table(f"case_id,{columns}\nL1,{row}\n"))
    assert "line 2" in message and named in message


@pytest.mark.parametrize(
    ("column", "entry"),
    [("her2", "2"), ("her2", "maybe"), ("her2_ihc", "4+"), ("her2_ihc", "+"), ("her2_ihc", "-"), ("her2_ish", "2+")],
)
def test_bad_outcome(table, column, entry):
    message = refusal(table(f"case_id,{column}\nL1,{entry}\n"))
    assert "line 2" in message and f"{column} is '{entry}'" in message


# --- HER2 status by ASCO/CAP ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ihc", "ish", "status"),
    [
        ("0", "", 0),
        ("1+", "", 0),
        ("2+", "", None),  # equivocal: ISH decides
        ("2+", "positive", 1),
        ("2+", "negative", 0),
        ("3+", "", 1),
        ("3+", "negative", 1),
        ("0", "positive", 0),
        ("1+", "negative", 0),
        ("", "", None),
        ("", "positive", None),
    ],
)
def test_status_from_immunohistochemistry_and_ish(ihc, ish, status):
    found = her2_status("", ihc, ish)
    assert found == status and (found is None) == (status is None)


@pytest.mark.parametrize(
    ("ihc", "score"), [("1", "1+"), ("2", "2+"), ("3", "3+"), ("0.0", "0"), ("2.0", "2+"), (" 3+ ", "3+")]
)
def test_scores_that_spreadsheets_have_changed(ihc, score):
    assert her2_status("", ihc, "positive") == her2_status("", score, "positive")


@pytest.mark.parametrize(
    ("her2", "status"), [("1", 1), ("0", 0), ("1.0", 1), ("Positive", 1), ("negative", 0), ("+", 1), ("-", 0)]
)
def test_status_that_is_given_counts(her2, status):
    assert her2_status(her2) == status
    assert her2_status(her2, "2+", "") == status


@pytest.mark.parametrize(
    ("her2", "ihc", "ish", "status"),
    [
        ("HER2-positive", "", "", 1),
        ("neg.", "", "", 0),
        ("unknown", "3+", "", 1),
        ("", "IHC 2+", "not amplified", 0),
        ("", "equivocal", "FISH+", 1),
        ("", "2+", "pending", None),
        ("", "negative", "", 0),
        ("", "0/1+", "", 0),
        ("na", "n/a", "nan", None),
    ],
)
def test_the_spellings_of_real_tables(her2, ihc, ish, status):
    assert her2_status(her2, ihc, ish) == status


def test_status_in_the_table(table):
    cases = read_cases(table("case_id,her2_ihc,her2_ish\na,2+,Positive\nb,2+,\nc,1+,\n"))
    assert [case.her2 for case in cases] == [1, None, 0]
    # The outcome's own columns stay readable for those who describe the cohort.
    assert cases[0].clinical == {"her2_ihc": "2+", "her2_ish": "Positive"}


def test_a_population_other_than_ihc_2_is_said():
    def with_scores(*scores):
        return [Case(str(i), str(i), "train", her2=0, clinical={"her2_ihc": s}) for i, s in enumerate(scores)]

    assert ihc_remark(with_scores("2+", "2", " 2.0")) == ""
    remark = ihc_remark([*with_scores("2+", "3+", "0", "", "1.0"), Case("x", "x", "train", her2=1)])
    assert remark.startswith("6 cases are used; 3 of them are IHC 0, 1+ or 3+ and of 2 the IHC score is not given")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ((), "no column her2, or her2_ihc and her2_ish: add"),
        (("HER2", "age"), "is 'HER2' meant?"),
        (("her2_ihc",), "needs the column her2_ish"),
        (("her2_ihc", "her2_ish"), "No case has a known HER2 status: fill in"),
    ],
)
def test_cases_without_any_outcome_are_refused(columns, words):
    case = Case("a", "a", "train", clinical=dict.fromkeys(columns, ""))
    with pytest.raises(InputError, match=re.escape(words)):
        check_outcomes([case])
    assert check_outcomes([case, Case("b", "b", "train", her2=0)]) is None


@pytest.mark.parametrize("name", ["Case ID", "CASE_ID", "CaseID"])
def test_a_similar_name_of_the_identifier_is_asked_for(table, name):
    assert f"is '{name}' meant?" in refusal(table(f"{name},age\nL1,5\n"))


def test_an_empty_file_is_called_empty(table):
    assert "first line is empty" in refusal(table(""))


def test_whether_a_split_was_given_is_kept(table):
    cases = read_cases(table("case_id,split\na,train\nb,\n"))
    assert [case.split_given for case in cases] == [True, False] and {case.split for case in cases} == {"train"}
