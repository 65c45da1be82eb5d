"""The command ``associate``: its options reach the study, what goes wrong is one line, nothing half-written stays."""

from __future__ import annotations

import csv
import shlex

import pytest
from association_cohort import PREDICTORS, study_rows, write_study

from HER2NomogramLib.__main__ import DONE, NOTHING_DONE, SOME_FAILED, main
from HER2NomogramLib.errors import InputError


@pytest.fixture
def table(tmp_path):
    return write_study(tmp_path / "study.csv", study_rows())


@pytest.fixture
def run(capsys):
    """Run a command line; exit status, standard output and standard error."""

    def run_command(*arguments) -> tuple[int, str, str]:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as error:
            status = error.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run_command


def study(table, *more):
    return ["associate", table, "--outcome", "her2", "--predictors", ",".join(PREDICTORS), *more]


def test_a_study_is_printed(run, table):
    status, out, err = run(*study(table))
    assert status == DONE and not err
    assert "Microcalcifications" in out and "p < 0.10" in out
    assert "Research use only" in out


def test_the_report_and_its_parts_are_written(run, table, tmp_path):
    report = tmp_path / "out" / "study.html"
    status, out, _err = run(*study(table, "--report", report, "--strata", "dense_breast"))
    assert status == DONE and str(report) in out
    page = report.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and "0.000" not in page
    names = {path.suffix for path in (tmp_path / "out" / "study_files").iterdir()}
    assert names == {".csv", ".svg", ".txt"}
    assert not list(tmp_path.rglob(".partial*"))
    ids = {row["case_id"] for row in study_rows()}
    texts = [page, *(path.read_text(encoding="utf-8") for path in (tmp_path / "out" / "study_files").iterdir())]
    assert not any(name in text for name in ids for text in texts)


def test_derived_values_stand_beside_their_entries(run, table, tmp_path):
    run(*study(table, "--report", tmp_path / "study.html"))
    with (tmp_path / "study_files" / "derived_by_line.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 240
    given = study_rows()
    for row, entries in zip(rows, given):
        assert row["her2_ihc"] == entries["her2_ihc"] and row["age"] == entries["age"]
        assert row["age_over_50"] == ("yes" if int(entries["age"]) > 50 else "no")


def test_every_option_reaches_the_study(run, table, tmp_path, monkeypatch):
    from HER2NomogramLib import association, cohort

    seen = {}

    def associate(_cohort, options, _moved):
        seen.update(options=options)
        raise InputError("far enough")

    monkeypatch.setattr(cohort, "read_cohort", lambda *given: seen.update(read=given))
    monkeypatch.setattr(association, "associate", associate)
    line = (
        "--map age=Alter,er=ER --sheet S --missing-words 99,x --ki67-threshold 14 --event positive --categorical grade "
        "--reference grade=2 --per age=10 --strata idc --force er --enter-p 0.2 --imputations 7 --seed 5 "
        "--only her2_ihc=2+,3+ --only er=positive"
    )
    assert run(*study(table, *shlex.split(line)))[2].strip().endswith("far enough")
    assert seen["read"] == (str(table), "S", {"age": "Alter", "er": "ER"}, ("99", "x"), 14.0)
    options = seen["options"]
    assert (options.outcome, options.predictors, options.event) == ("her2", PREDICTORS, "positive")
    assert (options.categorical, options.references, options.per) == (("grade",), {"grade": "2"}, {"age": 10.0})
    assert (options.strata, options.forced, options.entry_p) == ("idc", ("er",), 0.2)
    assert (options.imputations, options.random_state) == (7, 5)
    assert options.only == {"her2_ihc": ("2+", "3+"), "er": ("positive",)}


def test_the_defaults_in_the_help_are_those_of_the_study(run):
    from HER2NomogramLib.association import StudyOptions
    from HER2NomogramLib.derived import KI67_THRESHOLD

    _status, out, _err = run("associate", "--help")
    text, of_study = " ".join(out.split()), StudyOptions("her2", ())
    for default in (
        f"below this (default {of_study.entry_p:.2f})",
        f"is high (default {KI67_THRESHOLD:g})",
        f"of missing values (default {of_study.imputations}, 0 for none)",
        f"of the imputation (default {of_study.random_state})",
    ):
        assert default in text


def test_what_cannot_be_done_of_strata_is_named_and_the_status_says_so(run, tmp_path):
    rows = study_rows()
    for number, row in enumerate(rows):
        row["site"] = "small" if number < 6 else "large" if number % 2 else "middle"
    table = write_study(tmp_path / "study.csv", rows)
    report = tmp_path / "study.html"
    status, _out, err = run(*study(table, "--strata", "site", "--report", report))
    assert status == SOME_FAILED and report.exists()
    assert "small" in err and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments, reason",
    [
        ((), "table of the cohort"),
        (("TABLE",), "--outcome"),
        (("TABLE", "--outcome", "her2"), "--predictors"),
        (("TABLE", "--outcome", "her2", "--predictors", "stage"), "stage"),
        (("TABLE", "--outcome", "her2", "--predictors", "age", "--report", "study.pdf"), ".html"),
        (("TABLE", "--outcome", "her2", "--predictors", "age", "--per", "age=ten"), "--per"),
        (("TABLE", "--outcome", "her2", "--predictors", "age", "--reference", "age"), "--reference"),
        (("TABLE", "--outcome", "her2", "--predictors", "age", "--only", "her2"), "--only"),
        (("TABLE", "--outcome", "her2", "--predictors", "age", "--map", "age=Alter"), "Alter"),
        (("TABLE", "--counts", "1,2,3,4"), "leave it out"),
        (("--counts", "1,2,3,4", "--outcome", "her2"), "--outcome"),
        (("TABLE", "--outcome", "her2", "--predictors", "age", "--seed", "-1"), "--seed"),
        (("--counts", "1,2,x"), "--counts"),
        (("--counts", ""), "--counts"),
        (("--printed", "3.08"), "--printed"),
        (("nowhere.csv", "--outcome", "her2", "--predictors", "age"), "nowhere.csv"),
    ],
)
def test_what_is_wrong_is_one_line(run, table, arguments, reason):
    status, _out, err = run("associate", *(table if argument == "TABLE" else argument for argument in arguments))
    assert status == NOTHING_DONE
    assert len(err.strip().splitlines()) == 1 and reason in err


def test_the_table_is_not_overwritten_by_the_report(run, tmp_path):
    table = write_study(tmp_path / "study.html", study_rows())
    before = table.read_bytes()
    status, _out, err = run(*study(table, "--report", table))
    assert status == NOTHING_DONE and "would be written" in err and table.read_bytes() == before


def test_printed_counts_are_recomputed(run):
    status, out, _err = run("associate", "--counts", "15,40,21,109")
    assert status == DONE
    assert "0.081" in out and "1.95" in out and "(0.91 to 4.14)" in out


def test_a_printed_odds_ratio_is_held_against_the_counts(run):
    status, out, _err = run("associate", "--counts", "15/55,21/130", "--printed", "3.08,1.38,6.87")
    assert status == DONE and "1.95" in out and "3.08" in out


def test_larger_tables_of_counts(run):
    status, out, _err = run("associate", "--counts", "4/23,16/86,13/58,3/18")
    assert status == DONE and "p = 0.915" in out


def test_strata_are_printed_too(run, table):
    _status, out, _err = run(*study(table, "--strata", "dense_breast"))
    assert "Within Breast density group: A-B: " in out and "p of interaction, alone: " in out


def test_parts_of_an_earlier_report_do_not_stay_beside_a_new_one(run, table, tmp_path):
    report, folder = tmp_path / "study.html", tmp_path / "study_files"
    run(*study(table, "--report", report, "--strata", "dense_breast"))
    (folder / "my notes.csv").write_text("mine")
    assert (folder / "strata_univariate.csv").exists()
    run(*study(table, "--report", report))
    assert not list(folder.glob("strata_*")) and (folder / "odds_ratios.csv").exists()
    assert (folder / "my notes.csv").read_text() == "mine"


def test_a_table_among_the_parts_of_the_report_is_not_replaced(run, tmp_path):
    folder = tmp_path / "study_files"
    folder.mkdir()
    table = write_study(folder / "missing.csv", study_rows())
    before = table.read_bytes()
    status, _out, err = run(*study(table, "--report", tmp_path / "study.html"))
    assert status == NOTHING_DONE and "missing.csv" in err and table.read_bytes() == before


def test_imputed_odds_ratios_are_printed_too(run, tmp_path):
    table = write_study(tmp_path / "study.csv", study_rows(missing=0.1))
    _status, out, _err = run(*study(table, "--imputations", "2"))
    assert "With missing values imputed, " in out and "  Microcalcifications, present: " in out


def test_nothing_that_can_be_studied_is_one_line(run, tmp_path):
    rows = study_rows()
    for number, row in enumerate(rows):
        row["size"] = f"{10**15 + number}"
    table = write_study(tmp_path / "study.csv", rows)
    status, _out, err = run(
        "associate", table, "--outcome", "her2", "--predictors", "size", "--report", tmp_path / "s.html"
    )
    assert status in (DONE, NOTHING_DONE) and len(err.strip().splitlines()) <= 1


def test_a_thousand_predictors_are_too_many(run, table):
    names = ",".join(f"v{number}" for number in range(1000))
    status, _out, err = run("associate", table, "--outcome", "her2", "--predictors", names)
    assert status == NOTHING_DONE and "1000 predictors are named" in err
