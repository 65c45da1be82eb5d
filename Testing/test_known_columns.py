"""Which column is which: names in several languages, what the user says, and names that could be two columns."""

from __future__ import annotations

import pytest

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.known_columns import IDENTIFIERS, KNOWN, find_column, recognize, tells_her2


@pytest.mark.parametrize(
    "column, known",
    [
        ("case_id", "case_id"), ("Patient ID", "patient_id"), ("HER2 status", "her2"), ("HER2-IHC", "her2_ihc"),
        ("FISH", "her2_ish"), ("\u00d6strogenrezeptor", "er"), ("PgR", "pr"), ("Ki-67 (%)", "ki67"),
        ("Et\u00e0", "age"), ("ACR density", "breast_density"), ("Mikrokalk", "microcalcifications"),
        ("Istologia", "histology"), ("Tumorgr\u00f6\u00dfe (mm)", "tumor_diameter_mm"),
    ],
)  # fmt: skip
def test_every_known_column_has_other_names(column, known):
    assert recognize("t.csv", ["x", column], {}) == ({known: column}, {})


def test_known_columns_come_in_one_order_whatever_that_of_the_table():
    found, unclear = recognize("t.csv", [*reversed(KNOWN), "Smoker"], {})
    assert list(found) == list(KNOWN) and list(found.values()) == list(KNOWN) and not unclear
    assert {*IDENTIFIERS} < {*KNOWN}


def test_the_name_itself_comes_before_a_synonym_and_synonyms_are_left_open():
    assert recognize("t.csv", ["Alter", "Age"], {}) == ({"age": "Age"}, {})
    assert recognize("t.csv", ["Alter", "Patient age"], {}) == ({}, {"age": ("Alter", "Patient age")})
    # What the user says settles it, and the other column is then one of the table's own.
    assert recognize("t.csv", ["Alter", "Patient age"], {"age": "alter"}) == ({"age": "Alter"}, {})
    # A column that is said to be one thing is not another besides.
    assert recognize("t.csv", ["FISH"], {"her2": "FISH"}) == ({"her2": "FISH"}, {})


@pytest.mark.parametrize(
    "given, words",
    [
        ({"ages": "Alter"}, "--map ages=Alter: 'ages' is no known name (is 'age' meant?): give one of case_id, "),
        (
            {"age": "Altr"},
            "--map age=Altr: table 't.csv' has no column 'Altr' (is 'Alter' meant?): give one of",
        ),
        ({"age": "Alter", "ki67": "alter"}, "--map ki67=alter: column 'Alter' is mapped twice"),
    ],
)
def test_wrong_maps_are_refused(given, words):
    with pytest.raises(InputError) as error:
        recognize("t.csv", ["Alter"], given)
    assert str(error.value).startswith(words) and "\n" not in str(error.value)


def test_columns_are_found_whatever_their_capitals():
    assert find_column("age", ["Age", "age"]) == "age"
    assert find_column(" AGE ", ["Age"]) == "Age"
    assert find_column("ag", ["Age"]) is None


@pytest.mark.parametrize(
    "column",
    [
        "her2", "HER2 status", "HER2-Status", "Statut HER2", "Stato HER2", "Estado HER2", "her2_ihc", "finalHer2",
        "Her2MostPos", "HER-2/neu", "her_2", "c-erbB-2", "CERBB2", "ERBB2 expression", "anti-HER2 therapy",
        "trastuzumab", "HER2/CEP17", "fish", "FISH ratio", "FISH-Ergebnis", "ISH", "ISH status", "SISH", "ihc",
        "IHC_score", "ihcScore", "IHC status", "immunophenotype", "Immunph\u00e4notyp", "Immunphaenotyp",
        "immunofenotipo", "Immunoph\u00e9notype", "subtype", "Subtyp", "molecular subtype", "MolecularSubtype",
        "Molekularer Subtyp", "sottotipo molecolare", "sous-type mol\u00e9culaire", "subtipo molecular",
        "Breast cancer subtype", "Tumor_Subtype", "intrinsic subtype", "IHC subtype", "PAM50", "PAM50 subtype",
        "St. Gallen subtype", "molecular type", "Luminal", "luminal B", "is_luminal", "TNBC", "triple negative",
        "triple-n\u00e9gatif", "Triple Negative status",
    ],
)  # fmt: skip
def test_columns_that_tell_the_her2_status(column):
    assert tells_her2(column)
    # Capitals do not matter but where they begin a word.
    assert column == "finalHer2" or tells_her2(column.upper()) and tells_her2(column.lower())


@pytest.mark.parametrize(
    "column",
    [
        "microcalcifications", "age", "er", "pr", "ki67", "er_status", "hr_status", "ER IHC", "ki67_ihc", "ER FISH",
        "TOP2A FISH", "histology", "histologic subtype", "Histological_subtype", "sottotipo istologico", "lesion type",
        "calcification subtype", "tumor_type", "mass type", "grade", "status", "score", "type", "other2", "Mother2",
        "other_2", "cluster2", "her_age", "her 20 years", "finish", "publisher", "Fisher score", "ishak",
        "dense_breast", "immune cells", "entropy", "original_glcm_Id", "original_shape2D_Sphericity", "BI-RADS",
        "case_id", "", "%", "tumor_diameter_mm", "age_over_50", "illuminance", "chemotherapy", "neu", "ratio", "class",
        "group",
    ],
)  # fmt: skip
def test_columns_that_do_not_tell_the_her2_status(column):
    assert not tells_her2(column)


def test_every_known_her2_column_tells_it_and_no_other_known_one():
    assert [name for name in KNOWN if tells_her2(name)] == ["her2", "her2_ihc", "her2_ish"]
