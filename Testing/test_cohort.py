"""A cohort's variables: which column is which, what is derived, and what the user hears of entries that cannot be."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from HER2NomogramLib.cohort import overlaps, read_cohort
from HER2NomogramLib.derived import EQUIVOCAL_HER2, SUBTYPES
from HER2NomogramLib.errors import InputError

GERMAN = """\
Fallnummer;Patientennummer;Alter bei Diagnose;Brustdichte (ACR);Mikrokalk;\
Östrogenrezeptor (%);PgR;HER2 IHC;FISH;Ki-67 (%);Histologie;Tumorgröße (mm);Raucherin
1;Maier;54,5;2;ja;90 %;+;3+;;30;invasiv duktal;23,5;ja
2;Huber;61;3;nein;<1 %;-;2+;amplifiziert;45;IDC;12;nein
3;Moser;>89;1;ja;80;+;2;nicht amplifiziert;15;lobulär;8,5;nein
4;Bauer;44;4;nein;positiv (70 %);(+);0;;20;NST;40;ja
5;Bauer;38;2;k.A.;0;-;1+;;60;IDC + DCIS;31;
6;Wolf;50;3;nein;5 %;-;2+;;<5;DCIS;15;nein
7;Lang;51;_;ja;unbekannt;-;negativ;;15-25;ILC;;ja
8;Kurz;;2;nein;10 %;+;1+;;10-15;invasiv duktal;19,0;nein
"""
ITALIAN = """\
Codice paziente;Età alla diagnosi;Densità mammaria;Microcalcificazioni;\
Recettori estrogeni;Recettore progesterone;HER2;Istologia
A;45;25-50%;presenti;positivo;negativo;positivo;carcinoma duttale infiltrante
B;52;60%;assenti;negativo;negativo;negativo;carcinoma lobulare
C;63;80%;presenti;non noto;positivo;negativo;duttale in situ
D;71;10%;assenti;positivo;non eseguito;non noto;mucinoso
"""  # fmt: skip


@pytest.fixture
def cohort(tmp_path):
    """Writes a table, from text or from columns, and reads it as a cohort."""

    def read(text="", sheet=None, columns=None, missing_words=(), ki67_threshold=20.0, **entries):
        if entries:
            # Rows of which nothing else is known stay rows.
            entries["row"] = range(1, 1 + max(map(len, entries.values())))
            rows = itertools.zip_longest(*entries.values(), fillvalue="")
            text = "\n".join("\t".join(map(str, row)) for row in [entries, *rows]) + "\n"
        path = tmp_path / "cohort.csv"
        path.write_text(text, encoding="utf-8")
        return read_cohort(path, sheet, columns or {}, missing_words, ki67_threshold)

    return read


def texts(variable):
    """Levels or numbers of a variable by row, None where missing."""
    return [
        None if np.isnan(value) else variable.levels[int(value)] if variable.levels else float(value)
        for value in variable.values
    ]


def refusal(ask, *arguments, **options):
    """Message with which something is refused: one line."""
    with pytest.raises(InputError) as caught:
        ask(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message and "  " not in message
    return message


# --- which column is which --------------------------------------------------------------------------------------------


def test_german_names(cohort):
    found = cohort(GERMAN)
    assert found.n == 8
    assert dict(found.recognized) == {
        "case_id": "Fallnummer",
        "patient_id": "Patientennummer",
        "her2_ihc": "HER2 IHC",
        "her2_ish": "FISH",
        "er": "Östrogenrezeptor (%)",
        "pr": "PgR",
        "ki67": "Ki-67 (%)",
        "age": "Alter bei Diagnose",
        "breast_density": "Brustdichte (ACR)",
        "microcalcifications": "Mikrokalk",
        "histology": "Histologie",
        "tumor_diameter_mm": "Tumorgröße (mm)",
    }
    assert found.repeated_patients == 1


def test_italian_names(cohort):
    assert dict(cohort(ITALIAN).recognized) == {
        "patient_id": "Codice paziente",
        "her2": "HER2",
        "er": "Recettori estrogeni",
        "pr": "Recettore progesterone",
        "age": "Età alla diagnosi",
        "breast_density": "Densità mammaria",
        "microcalcifications": "Microcalcificazioni",
        "histology": "Istologia",
    }


@pytest.mark.parametrize(
    ("column", "known"),
    [("Ki-67 (%)", "ki67"), ("PgRpos", "pr"), ("Her2MostPos", "her2"), ("Age at diagnosis", "age"), ("ER", "er"),
     ("ACR density", "breast_density"), ("HER2 IHC score", "her2_ihc"), ("FISH result", "her2_ish"), ("ID", "case_id"),
     ("SUBJECTID", "patient_id"), ("Tumour size (mm)", "tumor_diameter_mm"), ("Micro-calcifications",
     "microcalcifications"), ("Histological type", "histology"), ("Oestrogen receptor", "er"), ("HER-2/neu", "her2")],
)  # fmt: skip
def test_usual_names(cohort, column, known):
    assert cohort(**{column: ["1", "2"]}).columns == {known: column}


@pytest.mark.parametrize("column", ["Tumor size (cm)", "Tumor size", "HR Pos", "Age group", "HER2 low", "Ki", "ERCC1"])
def test_names_that_say_something_else(cohort, column):
    assert cohort(**{column: ["1", "2"]}).columns == {}


def test_the_name_itself_comes_first(cohort):
    found = cohort(**{"ER (%)": ["90", "0"], "er": ["pos", "neg"], "Oestrogen receptor": ["a", "b"]})
    assert found.columns == {"er": "er"} and not found.recognized


def test_two_columns_that_could_be_meant(cohort):
    found = cohort(**{"ER status": ["pos", "neg"], "ER (%)": ["90", "0"], "pr": ["pos", "neg"], "age": [50, 60]})
    # Who does not need the column is not asked.
    assert texts(found.variable("age")) == [50, 60]
    for name in ("er", "er_status", "hr_status"):
        message = refusal(found.variable, name)
        assert "'er' could be 'ER status' or 'ER (%)'" in message and "--map er=COLUMN" in message
        assert name not in found.names()
    mapped = cohort(**{"ER status": ["pos", "neg"], "ER (%)": ["90", "0"]}, columns={"er": "er (%)"})
    assert mapped.columns == {"er": "ER (%)"} and not mapped.unclear


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"er": "Estrogen"}, "--map er=Estrogen: table 'cohort.csv' has no column 'Estrogen'"),
        ({"her": "age"}, "--map her=age: 'her' is no known name (is 'her2' meant?)"),
        ({"er": "age", "pr": "age"}, "--map pr=age: column 'age' is mapped twice"),
    ],
)
def test_wrong_maps_are_named(cohort, columns, words):
    assert words in refusal(cohort, age=["50", "60"], columns=columns)


def test_repeated_cases_are_refused_without_their_names(cohort):
    message = refusal(cohort, ID=["Maier", "Huber", "Maier"], age=[1, 2, 3])
    assert "lines 2 and 4" in message and "--map patient_id=ID" in message and "Maier" not in message
    assert cohort(ID=["Maier", "Huber", "Maier"], age=[1, 2, 3], columns={"patient_id": "ID"}).repeated_patients == 1
    assert cohort(ID=["a", "", "", "NA", "NA"], age=[1, 2, 3, 4, 5]).n == 5


def test_patients_with_several_rows(cohort):
    assert cohort(patient_id=["a", "b", "a", "b", "c", "", "NA", ""]).repeated_patients == 2
    assert cohort(age=["1", "1"]).repeated_patients == 0


def test_identifiers_are_no_variables(cohort):
    found = cohort(GERMAN)
    for name in ("case_id", "patient_id", "Fallnummer", "patientennummer"):
        assert "identifies cases or patients" in refusal(found.variable, name)
    assert not {"case_id", "patient_id", "Fallnummer", "Patientennummer"} & {*found.names()}


def test_everything_that_is_named_can_be_asked_for(cohort):
    found = cohort(ITALIAN)
    assert {"her2", "er", "hr_status", "dense_breast", "idc", "age_over_50"} <= {*found.names()}
    assert not {"immunophenotype", "ki67_at_least_20", "her2_ihc"} & {*found.names()}
    assert len({*found.names()}) == len(found.names())
    for name in found.names():
        if name not in found.table.columns:
            found.variable(name)


def test_unknown_names_are_answered_with_those_there_are(cohort):
    found = cohort(**{"Smoker": ["yes", "no"], "age": [40, 60]})
    assert "is 'Smoker' meant?" in refusal(found.variable, "smoker?")
    assert "--map ki67=COLUMN" in refusal(found.variable, "ki67")
    message = refusal(found.variable, "immunophenotype")
    assert "derived from er, pr, her2 or her2_ihc and ki67" in message and "--map er=COLUMN" in message


@pytest.mark.parametrize("threshold", [0, -1, 101, float("nan")])
def test_impossible_thresholds(cohort, threshold):
    assert "threshold of Ki-67" in refusal(cohort, age=["1", "2"], ki67_threshold=threshold)


# --- HER2 -------------------------------------------------------------------------------------------------------------


def test_her2_by_the_rule(cohort):
    found = cohort(
        her2_ihc=["0", "1+", "2+", "2+", "2+", "3+", "", "", "negative", "2+", ""],
        her2_ish=["", "", "pos", "neg", "", "", "", "pos", "", "pending", ""],
    ).variable("her2")
    n, p = "negative", "positive"
    assert texts(found) == [n, n, p, n, None, p, None, None, n, None, None]
    assert found.levels == (n, p) and found.label == "HER2 status" and found.sources == {"her2_ihc", "her2_ish"}
    assert {**found.why_missing} == {4: EQUIVOCAL_HER2, 9: EQUIVOCAL_HER2, 7: "HER2 unknown: ISH without an IHC score"}
    assert "2+ with ISH positive" in found.rule


def test_a_stated_status_counts_where_it_agrees(cohort):
    found = cohort(her2=["1", "0", "", "equivocal", "1"], her2_ihc=["", "1+", "3+", "", "2+"]).variable("her2")
    assert texts(found) == ["positive", "negative", "positive", None, "positive"]
    assert found.sources == {"her2", "her2_ihc"} and {**found.why_missing} == {3: "HER2 equivocal or pending"}


def test_contradictions_name_their_lines_only(cohort):
    found = cohort(
        case_id=["Maier", "b", "c", "d", "e"],
        her2=["pos", "neg", "pos", "neg", "pos"],
        her2_ihc=["1+", "3+", "2+", "2+", "0"],
        her2_ish=["", "", "neg", "neg", ""],
    )
    message = refusal(found.variable, "her2")
    assert "lines 2, 3, 4 and 1 more: HER2 is not what IHC and ISH say" in message
    assert "one of the columns 'her2', 'her2_ihc', 'her2_ish'" in message
    assert "Maier" not in message


def test_one_contradiction_says_which(cohort):
    found = cohort(HER2=["pos", "neg"], **{"HER2 IHC": ["2+", "0"]}, FISH=["neg", ""])
    assert refusal(found.variable, "her2") == (
        "Table 'cohort.csv', line 2: HER2 is given as positive, but by IHC and ISH it is not: correct one of the "
        "columns 'HER2', 'HER2 IHC', 'FISH'."
    )


def test_scores_under_the_name_of_the_status(cohort):
    message = refusal(cohort(HER2=["0", "1", "2", "3", "2"]).variable, "her2")
    assert "3 entries are not understood ('2' in line 4, '3' in line 5)" in message
    assert "--map her2_ihc=HER2" in message
    mapped = cohort(HER2=["0", "1", "2", "3", "2"], columns={"her2_ihc": "HER2"})
    assert texts(mapped.variable("her2")) == ["negative", "negative", None, "positive", None]


def test_discordant_her2_is_counted_and_stays_what_ihc_says(cohort):
    found = cohort(
        her2_ihc=["0", "1+", "3+", "negative", "2+", "2+", "0", "3+", "1+", "", "3+", "2+"],
        her2_ish=["pos", "amplified", "neg", "pos", "pos", "neg", "neg", "pos", "", "pos", "pending", ""],
        site=["a"] * 2 + ["b"] * 10,
    )
    assert found.discordant_her2 == 4 and found.only("site", ["a"]).discordant_her2 == 2
    assert texts(found.variable("her2"))[:4] == ["negative", "negative", "positive", "negative"]
    assert found.variable("her2").possible == {}
    assert cohort(her2_ihc=["0", "3+"]).discordant_her2 == 0 and cohort(age=["40", "50"]).discordant_her2 == 0
    # What is not understood is said where HER2 is asked for, not here.
    unread = cohort(her2_ihc=["0", "x", "3+"], her2_ish=["pos", "pos", "y"])
    assert unread.discordant_her2 == 1 and "'x' in line 3" in refusal(unread.variable, "her2")


def test_a_plus_sign_alone_is_no_score(cohort):
    assert "a plus sign alone can be 1+ or positive" in refusal(cohort(her2_ihc=["+", "-", "+"]).variable, "her2")
    assert texts(cohort(her2_ihc=["+", "++", "+++", "-"]).variable("her2")) == [
        "negative",
        None,
        "positive",
        "negative",
    ]


# --- receptors, subtypes ----------------------------------------------------------------------------------------------


def test_hormone_receptors(cohort):
    of_er, of_pr = zip(*itertools.product(("pos", "neg", ""), repeat=2))
    found = cohort(er=of_er, pr=of_pr).variable("hr_status")
    assert texts(found) == ["positive"] * 4 + ["negative", None, "positive", None, None]
    assert set(found.why_missing) == {5, 7}


@pytest.mark.parametrize(
    "entries",
    [["8", "0", "2", "7"], ["1", "2", "2", "1"], ["12", "0", ""], ["2.0", "pos", "1", "0"], ["5", "10%", "", "1"]],
)
def test_scores_and_codes_of_receptors_are_no_percentages(cohort, entries):
    found = cohort(er=entries, PgR=["90", "2", "1", "0"], her2=["0", "1", "0", "1"])
    for name in ("er", "er_status", "hr_status"):
        message = refusal(found.variable, name)
        assert "column 'er'" in message and f"'{entries[0]}' in line 2" in message
        assert "scores or codes, write positive or negative (Allred scores are positive from 3 on)" in message
    # Larger numbers beside, and they are percentages.
    assert texts(found.variable("pr")) == ["positive", "positive", "positive", "negative"]


def test_codes_of_receptors_that_only_are_0_and_1(cohort):
    assert texts(cohort(er=["0", "1", "1.0", ""]).variable("er")) == ["negative", "positive", "positive", None]
    # A choice of rows changes no reading.
    some = cohort(er=["0", "5", "60", "30"], site=["a", "a", "b", "b"]).only("site", ["a"])
    assert texts(some.variable("er")) == ["negative", "positive"]


def test_all_subtypes(cohort):
    rows = {
        ("pos", "neg", "0", "", "14"): "luminal A",
        ("neg", "pos", "2+", "neg", "19.9"): "luminal A",
        ("pos", "pos", "1+", "", "20"): "luminal B HER2-negative",
        ("pos", "", "1+", "", "60"): "luminal B HER2-negative",
        ("pos", "pos", "3+", "", ""): "luminal B HER2-positive",
        ("neg", "neg", "2+", "pos", ""): "HER2-enriched",
        ("neg", "neg", "0", "", ""): "triple negative",
        ("pos", "neg", "0", "", ""): "luminal HER2-negative without Ki-67",
        ("pos", "neg", "0", "", "15-25"): "Ki-67 given as a range on both sides of 20%",
        ("pos", "neg", "2+", "", "10"): EQUIVOCAL_HER2,
        ("pos", "neg", "", "", "10"): "HER2 unknown",
        ("", "", "3+", "", "10"): "hormone receptors unknown",
    }
    columns = dict(zip(("er", "pr", "her2_ihc", "her2_ish", "ki67"), zip(*rows)))
    found = cohort(**columns).variable("immunophenotype")
    assert found.levels == SUBTYPES
    for index, (text, expected) in enumerate(zip(texts(found), rows.values())):
        assert (text or found.why_missing[index]) == expected
    assert found.sources == {"er", "pr", "her2_ihc", "her2_ish", "ki67"}


_SPELLED = {"er": ("pos", "neg", ""), "pr": ("90%", "0", ""), "ki67": ("10", "30", "15-25", "")}
_SPELLED_HER2 = (("3+", ""), ("2+", "pos"), ("2+", "neg"), ("0", ""), ("2+", ""), ("", "pos"), ("", ""))


def test_what_a_missing_immunophenotype_can_be(cohort):
    """Every combination of entries against the rule itself, applied to all that the missing ones can be."""
    rows = list(itertools.product(*_SPELLED.values(), _SPELLED_HER2))
    her2 = [of_her2 for *_, of_her2 in rows]
    columns = {name: [row[i] for row in rows] for i, name in enumerate(_SPELLED)}
    found = cohort(**columns, her2_ihc=[ihc for ihc, _ in her2], her2_ish=[ish for _, ish in her2])
    variable = found.variable("immunophenotype")
    level_of = dict(zip(rows, texts(variable)))
    for index, (er, pr, ki67, of_her2) in enumerate(rows):
        known_her2 = of_her2 if of_her2 not in _SPELLED_HER2[4:] else None
        filled = itertools.product(
            [er] if er else ["pos", "neg"],
            [pr] if pr else ["90%", "0"],
            [ki67] if ki67 in ("10", "30") else ["10", "30"],
            [known_her2] if known_her2 else [("3+", ""), ("0", "")],
        )
        left = {SUBTYPES.index(level_of[row]) for row in filled}
        said = len(left) < 5 and level_of[rows[index]] is None
        assert variable.possible.get(index) == (left if said else None), rows[index]
    sizes = [len(levels) for levels in variable.possible.values()]
    assert {*sizes} == {2, 3, 4} and not {*variable.possible} & {*np.flatnonzero(variable.known)}


def test_what_a_missing_value_can_be(cohort):
    columns = dict(
        site=["a", "a", "b", "a", "a", "a", "b"],
        er=["pos", "pos", "neg", "", "neg", "pos", ""],
        pr=["pos", "neg", "neg", "", "", "", ""],
        her2=["neg", "neg", "", "pos", "neg", "pos", ""],
        ki67=["10", "", "90", "20", "10", "", "10"],
    )
    found = cohort(**columns)
    a, b, c, d, e = SUBTYPES
    subtype = found.variable("immunophenotype")

    def left(variable):
        return {row: {variable.levels[i] for i in levels} for row, levels in variable.possible.items()}

    expected = {1: {a, b}, 2: {d, e}, 3: {c, d}, 4: {a, e}, 6: {a, c, d, e}}
    assert left(subtype) == expected
    assert left(found.variable("immunophenotype", reference=c)) == expected
    # Rows are those that are chosen.
    some = found.only("site", ["a"]).variable("immunophenotype", reference=c)
    assert left(some) == {1: {a, b}, 2: {c, d}, 3: {a, e}}
    for name in ("hr_status", "her2", "er"):
        assert found.variable(name).possible == {} and not found.variable(name).known.all()
    # Ki-67 that is not understood and not needed is unknown.
    columns["ki67"][2:5] = ["x", "x", "x"]
    assert left(cohort(**columns).variable("immunophenotype")) == {**expected, 4: {a, b, e}}


def test_the_threshold_is_the_users(cohort):
    columns = dict(er=["pos"] * 3, pr=["pos"] * 3, her2=["neg"] * 3, ki67=["13", "14", "20"])
    found = cohort(**columns, ki67_threshold=14)
    assert texts(found.variable("immunophenotype")) == ["luminal A"] + ["luminal B HER2-negative"] * 2
    assert "below 14%" in found.variable("immunophenotype").rule and "ki67_at_least_14" in found.names()
    assert texts(cohort(**columns).variable("immunophenotype")) == ["luminal A"] * 2 + ["luminal B HER2-negative"]


def test_dashes_are_read_by_their_column(cohort):
    # Beside plus signs a dash is a finding; beside words for what is negative it is missing.
    assert texts(cohort(er=["+", "-", "–", "++"]).variable("er")) == ["positive", "negative", "negative", "positive"]
    assert texts(cohort(er=["pos", "-", "neg"]).variable("er")) == ["positive", None, "negative"]
    assert texts(cohort(er=["90", "-", "0"]).variable("er")) == ["positive", None, "negative"]
    message = refusal(cohort(er=["pos", "-", "pos"]).variable, "er")
    assert "'-' in line 3" in message and "write negative, leave the cell blank" in message
    told = cohort(er=["pos", "-", "pos", "neg"], missing_words=["-"]).variable("er")
    assert texts(told) == ["positive", None, "positive", "negative"]
    assert texts(cohort(age=["50", "-", "60"]).variable("age")) == [50, None, 60]
    assert texts(cohort(side=["left", "-", "right"]).variable("side")) == ["left", None, "right"]
    assert texts(cohort(side=["+", "-", "+"]).variable("side")) == ["+", "-", "+"]


# --- numbers and their thresholds -------------------------------------------------------------------------------------


def test_ki67_from_a_percentage_on(cohort):
    found = cohort(ki67=["19", "20", "<20", "<= 20", ">20", "15-19,9", "20-30", "", "10-30"])
    assert texts(found.variable("ki67_at_least_20")) == ["no", "yes", "no", None, "yes", "no", "yes", None, None]
    assert found.variable("ki67_at_least_20").label == "Ki-67 ≥ 20%"
    assert texts(found.variable("ki67_at_least_19.5"))[:2] == ["no", "yes"]


def test_fractions_are_not_taken_for_percentages(cohort):
    found = cohort(ki67=["0.15", "0.3", "1"], er=["0.9", "1", "0"], pr=["1", "1", "1"], her2=[1, 0, 0])
    for name in ("ki67", "ki67_at_least_20"):
        assert "write percentages from 0 to 100" in refusal(found.variable, name)
    assert "with a % sign" in refusal(found.variable, "er")
    assert texts(cohort(ki67=["0.5", "1", "30"]).variable("ki67")) == [0.5, 1, 30]


def test_ages(cohort):
    found = cohort(age=["50", "51", "50,5", ">89", "<40", "45-55", "54 years", ""])
    assert texts(found.variable("age_over_50")) == ["no", "yes", "yes", "yes", "no", None, "yes", None]
    assert found.variable("AGE_over_50").name == "age_over_50"
    message = refusal(found.variable, "age")
    assert "3 entries are not understood ('>89' in line 5, '<40' in line 6, '45-55' in line 7)" in message
    assert "age_over_50" in message


def test_diameters(cohort):
    found = cohort(tumor_diameter_mm=["23,5", "12 mm", "8"]).variable("tumor_diameter_mm")
    assert texts(found) == [23.5, 12, 8] and found.label == "Tumor diameter (mm)"
    message = refusal(cohort(tumor_diameter_mm=["2.3 cm", "12", "0", "1,200"]).variable, "tumor_diameter_mm")
    assert "3 entries are not understood" in message


# --- density, histology, microcalcifications --------------------------------------------------------------------------


def test_density(cohort):
    found = cohort(breast_density=["A", "b", "ACR C", "80%", "_", "25-50%"])
    assert texts(found.variable("breast_density")) == ["A", "B", "C", "D", None, "B"]
    assert texts(found.variable("density_category")) == ["A", "B", "C", "D", None, "B"]
    assert texts(found.variable("dense_breast")) == ["A-B", "A-B", "C-D", "C-D", None, "A-B"]


def test_densities_by_number_or_share(cohort):
    assert texts(cohort(breast_density=["1", "4", "2", ""]).variable("density_category")) == [
        "A", "D", "B", None,
    ]  # fmt: skip
    assert texts(cohort(breast_density=["1", "4", "60"]).variable("density_category")) == ["A", "A", "C"]
    # A choice of rows changes no reading.
    some = cohort(breast_density=["1", "4", "60", "30"], site=["a", "a", "b", "a"]).only("site", ["a"])
    assert texts(some.variable("density_category")) == ["A", "A", "B"]


def test_none_may_mean_no_microcalcifications(cohort):
    entries = ["yes", "None", "no", "none"]
    message = refusal(cohort(microcalcifications=entries).variable, "microcalcifications")
    assert "2 entries are not understood ('None' in line 3, 'none' in line 5)" in message and "write absent" in message
    told = cohort(microcalcifications=entries, missing_words=["none"])
    assert texts(told.variable("microcalcifications")) == ["present", None, "absent", None]


def test_german_entries(cohort):
    found = cohort(GERMAN)
    assert texts(found.variable("idc")) == ["IDC", "IDC", "other histology", "IDC", "IDC"] + ["other histology"] * 2 + [
        "IDC"
    ]
    assert texts(found.variable("microcalcifications")) == [
        "present", "absent", "present", "absent", None, "absent", "present", "absent",
    ]  # fmt: skip
    a, b, c, d, e = SUBTYPES
    assert texts(found.variable("immunophenotype")) == [c, d, a, b, e, None, None, a]
    assert texts(found.variable("tumor_diameter_mm")) == [23.5, 12, 8.5, 40, 31, 15, None, 19]
    smoker = found.variable("Raucherin")
    assert smoker.levels == ("nein", "ja") and smoker.label == "Raucherin"


def test_italian_entries(cohort):
    found = cohort(ITALIAN)
    assert texts(found.variable("her2")) == ["positive", "negative", "negative", None]
    assert texts(found.variable("hr_status")) == ["positive", "negative", "positive", "positive"]
    assert texts(found.variable("density_category")) == ["B", "C", "D", "A"]
    assert texts(found.variable("idc")) == ["IDC"] + ["other histology"] * 3
    assert texts(found.variable("microcalcifications")) == ["present", "absent"] * 2


def test_scores_and_ish_by_their_names(cohort):
    found = cohort(her2_ihc=["2", "2+", "IHC 3+", "neg", ""], her2_ish=["amplified", "-", "", "neg", "+"])
    assert texts(found.variable("her2_ihc")) == ["2+", "2+", "3+", None, None]
    assert found.variable("her2_ihc").why_missing == {3: "IHC 0 or 1+"}
    assert texts(found.variable("her2_ish")) == ["positive", "negative", None, "negative", "positive"]
    assert found.only("her2_ihc", ["2+"]).n == 2


# --- columns as they stand --------------------------------------------------------------------------------------------


def test_numbers_binaries_and_categories(cohort):
    found = cohort(
        size=["1,5", "2", "", "n/a"], low=["0", "1", "1.0", "unknown"], race=["1", "3", "2", "?"],
        site=["b", "A", "a", ""], smoker=["ja", "nein", "ja", "."], mixed=["Yes", "n", "no", "1"],
    )  # fmt: skip
    assert texts(found.variable("size")) == [1.5, 2, None, None]
    assert found.variable("low").levels == ("0", "1") and texts(found.variable("low")) == ["0", "1", "1", None]
    assert found.variable("race").levels == () and found.variable("race").rule == ""
    race = found.variable("race", categorical=True)
    assert race.levels == ("1", "2", "3") and texts(race) == ["1", "3", "2", None]
    assert texts(found.variable("site")) == ["b", "A", "A", None] and found.variable("site").levels == ("A", "b")
    assert found.variable("smoker").levels == ("nein", "ja")
    mixed = found.variable("mixed")
    assert texts(mixed) == ["yes", "no", "no", "yes"] and "read as yes" in mixed.rule
    assert found.variable("SMOKER").name == "smoker" and found.variable("smoker").sources == {"smoker"}


def test_capitals_of_own_names_stay(cohort):
    found = cohort(**{"MRI_LD Baseline": ["1.5", "2"]}).variable("mri_ld baseline")
    assert (found.name, found.label) == ("MRI_LD Baseline", "MRI LD Baseline")


def test_free_text_among_numbers(cohort):
    found = cohort(
        case_id=["Maier", *"bcdefghijk"], size=["1", "2", "3", "4", "5", "6", "big", "small", "big", "?!", "12 mm"]
    )
    message = refusal(found.variable, "size")
    assert (
        "column 'size': 5 entries are not understood ('big' in line 8, 'small' in line 9, '?!' in line 11, ...)"
        in message
    )
    for word in ("write plain numbers", "--missing-words", "--categorical size"):
        assert word in message
    assert "Maier" not in message
    told = cohort(size=["1", "2", "big", "4"], missing_words=["BIG"])
    assert texts(told.variable("size")) == [1, 2, None, 4]
    assert told.variable("size", categorical=True).levels == ("1", "2", "4")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (["", "NA", "-"], "all entries are missing"),
        (["x", "X", ""], "all entries are 'x'"),
        (["1", "1.0", ""], "all entries are '1'"),
        (list("abcdefghi"), "9 different entries, more than 8"),
        (["a", "None", "b"], "line 3: 'None' can be a category or a missing entry"),
        (["12 mm", "13 mm"], "write plain numbers"),
        (["#REF!", "13", "14"], "'#REF!' in line 2"),
        (["T1", "T2", "2", "T2"], "'2' in line 4): write words in all cells"),
    ],
)
def test_columns_that_cannot_be_used(cohort, entries, words):
    message = refusal(cohort(stage=entries).variable, "stage")
    assert words in message and "stage" in message and "cohort.csv" in message


def test_none_as_a_missing_word(cohort):
    assert texts(cohort(stage=["a", "none", "b"], missing_words=["none"]).variable("stage")) == ["a", None, "b"]
    assert texts(cohort(size=["1", "none", "2"]).variable("size")) == [1, None, 2]


def test_long_entries_are_shortened(cohort):
    message = refusal(cohort(er=["pos", "a" * 500, "neg"]).variable, "er")
    assert "a" * 40 + "..." in message and "a" * 41 not in message


def test_derived_variables_that_say_nothing(cohort):
    assert "'her2' is missing in all 2 rows (HER2 equivocal" in refusal(cohort(her2_ihc=["2+", "2+"]).variable, "her2")
    assert "same value in all rows that have one ('positive')" in refusal(cohort(er=["1", "90%", ""]).variable, "er")


def test_own_columns_of_known_meaning_point_to_it(cohort):
    found = cohort(**{"Ki-67 (%)": ["20", "<5", "30"]})
    assert "or ask for it as ki67 or ki67_at_least_20" in refusal(found.variable, "Ki-67 (%)")
    assert texts(found.variable("ki67_at_least_20")) == ["yes", "no", "yes"]


def test_an_own_column_of_a_derived_name(cohort):
    # It comes first, but for the column that the variable is derived from.
    own = cohort(histology=["IDC", "ILC", "IDC"], idc=["a", "b", "c"])
    assert own.variable("idc").levels == ("a", "b", "c")
    assert texts(cohort(er_status=["90%", "0", "5"]).variable("er_status")) == ["positive", "negative", "positive"]


# --- options ----------------------------------------------------------------------------------------------------------


def test_references(cohort):
    found = cohort(
        race=["1", "3", "2", "", "2"], age=["40", "50", "60", "70", "80"], er=["pos", "neg", "", "pos", "pos"]
    )
    race = found.variable("race", categorical=True, reference="3.0")
    assert race.levels == ("3", "1", "2") and texts(race) == ["1", "3", "2", None, "2"]
    assert race.values[0] == 1 and race.values[1] == 0
    er = found.variable("er", reference="Positive")
    assert er.levels == ("positive", "negative") and texts(er) == ["positive", "negative", None, "positive", "positive"]
    assert "give one of '1', '2', '3'" in refusal(found.variable, "race", True, "4")
    assert "is a number, it has no reference" in refusal(found.variable, "age", reference="40")
    density = cohort(breast_density=["A", "B", "B"])
    assert "no row has 'C'" in refusal(density.variable, "density_category", reference="C")


def test_units_of_odds_ratios(cohort):
    found = cohort(age=["40", "50"], er=["pos", "neg"])
    assert found.variable("age", per=10).design()[:, 0].tolist() == [4, 5]
    assert "for numbers only" in refusal(found.variable, "er", per=10)
    for per in (0, -1, float("inf")):
        assert "give a positive number" in refusal(found.variable, "age", per=per)


def test_choices_of_rows(cohort):
    found = cohort(site=["A", "b", "B", "", "c"], her2_ihc=["3+", "2+", "0", "1+", "3+"], age=["1", "2", "3", "4", "5"])
    some = found.only("site", ["B", "c"])
    assert (some.n, some.lines) == (3, (3, 4, 6))
    assert texts(some.variable("age")) == [2, 3, 5]
    assert some.variable("her2").why_missing == {0: EQUIVOCAL_HER2}
    assert found.only("HER2", ["Positive"]).lines == (2, 6)
    assert some.only("her2", ["positive"]).lines == (6,)
    assert found.only("age", ["2.0"]).n == 1
    assert "no row has 'd': give one of 'A', 'B', 'b', 'c'" in refusal(found.only, "site", ["c", "d"])
    names = cohort(name=[f"Maier {i}" for i in range(9)])
    assert "Maier 3" not in refusal(names.only, "name", ["x"])


# --- derived next to its sources --------------------------------------------------------------------------------------


def test_derivations(cohort):
    found = cohort(
        **{
            "HER2 IHC": ["3+", "2+", "2+", "3+", ""],
            "FISH": ["", "neg", "", "", ""],
            "age": ["40", "50", "60", "70", "80"],
        }
    )
    (derivation,) = found.derivations(["her2", "age", "her2"])
    assert (derivation.name, derivation.sources) == ("her2", ("HER2 IHC", "FISH"))
    assert derivation.rows == (
        (("2+", "neg"), "negative", 1),
        (("3+", ""), "positive", 2),
        (("", ""), "missing", 1),
        (("2+", ""), f"missing: {EQUIVOCAL_HER2}", 1),
    )
    assert found.only("age", ["40", "50"]).derivations(["her2"])[0].rows == derivation.rows[:1] + (
        (("3+", ""), "positive", 1),
    )


def test_derived_rows_have_no_identifiers(cohort):
    rows = cohort(GERMAN).derived_rows(["immunophenotype", "age_over_50", "Raucherin"])
    assert len(rows) == 8
    assert rows[0] == {
        "line of the table": 2, "HER2 IHC": "3+", "FISH": "", "Östrogenrezeptor (%)": "90 %", "PgR": "+",
        "Ki-67 (%)": "30", "Alter bei Diagnose": "54.5", "immunophenotype": "luminal B HER2-positive",
        "age_over_50": "yes",
    }  # fmt: skip
    assert rows[5]["immunophenotype"] == "" and rows[5]["immunophenotype: why missing"] == EQUIVOCAL_HER2
    assert not {"Maier", "1"} & {str(value) for row in rows for value in row.values()}


def test_overlaps(cohort):
    found = cohort(GERMAN)
    her2, subtype, er, age = map(found.variable, ("her2", "immunophenotype", "er", "age_over_50"))
    assert overlaps(her2, subtype) and overlaps(er, subtype) and not overlaps(er, her2) and not overlaps(age, subtype)
    assert overlaps(found.variable("ki67_at_least_20"), subtype)


# --- real tables ------------------------------------------------------------------------------------------------------


def test_birth_weights(shared_data):
    found = read_cohort(shared_data / "tab_birthwt" / "birthwt.csv")
    low = found.variable("low")
    assert low.levels == ("0", "1") and np.bincount(low.values.astype(int)).tolist() == [130, 59]
    race = found.variable("race", categorical=True, reference="1")
    assert np.bincount(race.values.astype(int)).tolist() == [96, 26, 67]
    assert found.variable("age").values.mean() == pytest.approx(23.238, abs=1e-3)


def test_the_table_of_a_trial(shared_data):
    path = shared_data / "tab_ispy1_clinical" / "I-SPY_1_All_Patient_Clinical_and_Outcome_Data.xlsx"
    found = read_cohort(path, "predictors")
    assert dict(found.recognized) == {
        "patient_id": "SUBJECTID", "her2": "Her2MostPos", "er": "ERpos", "pr": "PgRpos",
    }  # fmt: skip
    # What the authors derived themselves is the same.
    theirs, ours = found.variable("HR Pos"), found.variable("hr_status")
    assert np.array_equal(theirs.values, ours.values, equal_nan=True) and ours.known.sum() == 219
    assert found.variable("her2").known.sum() == 216


def test_a_published_annotation(shared_data):
    found = read_cohort(shared_data / "cdd_cesm_annotations" / "labels_subset_dev.csv")
    assert texts(found.variable("breast_density")).count(None) == 6 and found.repeated_patients == 3
    message = refusal(found.variable, "BIRADS")
    assert "'5$2' in line 6" in message


def test_a_table_without_names_of_columns_is_refused_without_its_entries(tmp_path):
    path = tmp_path / "study.csv"
    path.write_text("SMITH,68,B,++,positive\nJONES,54,A,0,\n", encoding="utf-8")
    with pytest.raises(InputError, match="names into the first line") as caught:
        read_cohort(path)
    assert "SMITH" not in str(caught.value) and "68" not in str(caught.value)


def test_identifiers_are_not_mapped_to_findings(tmp_path):
    path = tmp_path / "study.csv"
    path.write_text("Patient,Alter\nSMITH,68\nJONES,54\n", encoding="utf-8")
    with pytest.raises(InputError, match="identifies cases or patients") as caught:
        read_cohort(path, columns={"age": "Patient"})
    assert "SMITH" not in str(caught.value)
    assert read_cohort(path, columns={"case_id": "Patient", "age": "Alter"}).variable("age").known.all()
