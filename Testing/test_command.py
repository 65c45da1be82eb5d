"""The command line as the panel starts it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import MODULE_DIRECTORY, wait_until
from test_background import is_running

from HER2NomogramLib import command
from HER2NomogramLib.command import (
    CANCELLED,
    DONE,
    FAILED,
    RUNNING,
    CohortChoices,
    CohortRun,
    Mode,
    Progress,
    Selection,
    environment,
    parse_progress,
)
from HER2NomogramLib.errors import InputError

STUB = Path(__file__).parent / "harness" / "command_stub.py"


@pytest.fixture
def choices(tmp_path) -> CohortChoices:
    """Choices for training from images, with a folder that is there."""
    cases = tmp_path / "cases.csv"
    cases.write_text("case_id\n")
    (tmp_path / "results").mkdir()
    return CohortChoices(Mode.TRAIN, str(cases), str(tmp_path / "results"))


@pytest.fixture
def association(choices) -> CohortChoices:
    """Choices for an association study of the same table."""
    return dataclasses.replace(choices, mode=Mode.ASSOCIATE)


@pytest.fixture
def features(tmp_path) -> str:
    path = tmp_path / "features.csv"
    path.write_text("case_id\n")
    return str(path)


def options(arguments: list[str]) -> dict[str, str]:
    return dict(text[2:].split("=", 1) for text in arguments if text.startswith("--") and "=" in text)


# --- Arguments and files ----------------------------------------------------------------------------------------------


def test_training_from_images(choices, tmp_path):
    arguments = choices.arguments()
    assert arguments[:2] == ["train", str(tmp_path / "cases.csv")]
    assert options(arguments) == {
        "out": str(tmp_path / "results" / "HER2_nomogram.json"),
        "report": str(tmp_path / "results" / "HER2_nomogram_report.html"),
        "name": "HER2 nomogram",
        "method": "cross-fitted",
        "select": "none",
        "clinical": "tumor_diameter_mm",
        "bootstrap": "200",
        "repeats": "10",
        "jobs": "1",
        "progress": "lines",
    }
    assert len(arguments) == 2 + len(options(arguments))
    assert choices.files.features == tmp_path / "results" / "HER2_nomogram_features.csv"


def test_every_choice_reaches_the_command_line(choices, features):
    changed = dataclasses.replace(
        choices,
        features=features,
        name="Second reader",
        method="published",
        selection=Selection.AIC,
        clinical=" age , er,",
        bootstrap=0,
        repeats=3,
        jobs=2,
    )
    given = options(changed.arguments())
    expected = {
        "features": features,
        "name": "Second reader",
        "method": "published",
        "select": "aic",
        "clinical": "age,er",
        "bootstrap": "0",
        "repeats": "3",
        "jobs": "2",
    }
    assert expected.items() <= given.items()
    assert changed.files.features is None
    assert changed.files.model.name == "Second_reader.json"


def test_the_engine_is_named_only_where_features_are_extracted(choices, features):
    for engine in ("fast", "pyradiomics"):
        for mode in (Mode.TRAIN, Mode.VALIDATE):
            chosen = dataclasses.replace(choices, mode=mode, engine=engine, model="model.json")
            assert options(chosen.arguments())["engine"] == engine
            assert "engine" not in options(dataclasses.replace(chosen, features=features).arguments())
    study = dataclasses.replace(choices, mode=Mode.ASSOCIATE, engine="pyradiomics")
    assert "engine" not in options(study.arguments())


def test_no_clinical_factors_are_said_to_be_none(choices):
    assert options(dataclasses.replace(choices, clinical=" , ").arguments())["clinical"] == "none"


def test_a_table_of_other_software_is_named_as_such_only_where_there_is_one(choices, features):
    assert "--other-software" not in dataclasses.replace(choices, other_software=True).arguments()
    with_table = dataclasses.replace(choices, other_software=True, features=features)
    assert "--other-software" in with_table.arguments()
    assert "--other-software" not in dataclasses.replace(with_table, mode=Mode.VALIDATE, model="m.json").arguments()


def test_validation_has_a_report_named_after_the_model(choices, features, tmp_path):
    model = tmp_path / "ours.json"
    model.write_text("{}")
    validation = dataclasses.replace(choices, mode=Mode.VALIDATE, model=str(model), features=features, jobs=3)
    assert validation.arguments()[:2] == ["validate", str(tmp_path / "cases.csv")]
    assert options(validation.arguments()) == {
        "model": str(model),
        "report": str(tmp_path / "results" / "ours_validation.html"),
        "features": features,
        "jobs": "3",
        "progress": "lines",
    }
    assert validation.files.results == (tmp_path / "results" / "ours_validation.html",)


def test_an_association_study_has_a_report_named_after_table_and_outcome(association, tmp_path):
    assert association.arguments()[:2] == ["associate", str(tmp_path / "cases.csv")]
    assert options(association.arguments()) == {
        "report": str(tmp_path / "results" / "cases_her2_association.html"),
        "outcome": "her2",
        "predictors": "age_over_50,dense_breast,microcalcifications,er,pr,ki67_at_least_20",
        "progress": "lines",
    }
    assert association.files.results == (tmp_path / "results" / "cases_her2_association.html",)


def test_every_choice_of_an_association_study_reaches_the_command_line(association):
    changed = dataclasses.replace(
        association,
        outcome=" HER2 (0/1) ",
        predictors="age, --seed,",
        strata=" dense_breast ",
        categorical="grade ,site",
    )
    arguments = changed.arguments()
    expected = {
        "outcome": "HER2 (0/1)",
        "predictors": "age,--seed",
        "strata": "dense_breast",
        "categorical": "grade,site",
    }
    assert expected.items() <= options(arguments).items()
    assert len(arguments) == 2 + len(options(arguments))
    assert changed.files.report.name == "cases_HER2_0_1_association.html"


def test_an_association_study_leaves_the_choices_of_a_training_alone(association):
    changed = dataclasses.replace(association, features="/gone.csv", other_software=True, model="", name="", jobs=4)
    changed.check()
    assert changed.arguments() == association.arguments()


def test_features_are_extracted_only_where_a_model_is_trained_or_validated_without_a_table(choices, features):
    for mode, needed in ((Mode.TRAIN, True), (Mode.VALIDATE, True), (Mode.ASSOCIATE, False)):
        assert dataclasses.replace(choices, mode=mode).needs_images is needed
        assert not dataclasses.replace(choices, mode=mode, features=features).needs_images


def test_the_predictors_of_a_new_study_can_all_be_had_from_the_cohort_of_the_demo(association, tmp_path):
    from HER2NomogramLib.cohort import read_cohort
    from HER2NomogramLib.phantom import draw_case

    rows = [draw_case(np.random.default_rng(seed)) for seed in range(60)]
    lines = [",".join(map(str, values)) for values in (rows[0], *(row.values() for row in rows))]
    (tmp_path / "demo.csv").write_text("\n".join(lines) + "\n")
    cohort = read_cohort(tmp_path / "demo.csv")
    names = command.names_in(command.PREDICTORS)
    assert len(names) == 6 and {*names} <= {*cohort.names()}
    for name in (association.outcome, *names):
        assert cohort.variable(name).known.all()


def test_spreadsheets_need_a_package_of_their_own(association):
    for name, needed in (("a.csv", ()), ("a.xlsx ", ("openpyxl>=3.1",)), ("A.XLSM", ("openpyxl>=3.1",))):
        assert dataclasses.replace(association, cases=name).packages == needed
    assert dataclasses.replace(association, mode=Mode.TRAIN, cases="a.xlsx").packages == ()


def test_widgets_that_only_some_modes_have():
    everywhere = ["applyButton", "cohortCasesEdit", "cohortModeComboBox"]
    names = [*everywhere, "cohortModelLabel", "cohortJobsLabel", "cohortNameEdit", "cohortStrataEdit"]
    shown = {mode: [name for name, has in mode.shown(names).items() if has] for mode in Mode}
    assert shown == {
        Mode.TRAIN: ["cohortJobsLabel", "cohortNameEdit"],
        Mode.VALIDATE: ["cohortModelLabel", "cohortJobsLabel"],
        Mode.ASSOCIATE: ["cohortStrataEdit"],
    }
    assert all(list(mode.shown(names)) == names[3:] for mode in Mode)


def test_paths_are_made_absolute(choices, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    arguments = dataclasses.replace(choices, cases=" cases.csv ", folder="results").arguments()
    assert arguments == choices.arguments()


@pytest.mark.parametrize(("name", "stem"), [("a/b: c", "a_b_c"), ("../../x", "x"), ("Mädchen 2", "Mädchen_2")])
def test_any_name_makes_a_file_name_in_the_folder(choices, name, stem):
    files = dataclasses.replace(choices, name=name).files
    assert files.model == Path(choices.folder) / f"{stem}.json"


def test_an_option_of_the_command_line_cannot_be_typed_as_a_value(choices):
    arguments = dataclasses.replace(choices, clinical="--seed", name="--help").arguments()
    assert "--clinical=--seed" in arguments
    assert "--name=--help" in arguments


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cases": " "}, "Choose the case table first."),
        ({"cases": "", "folder": ""}, "Choose the case table and the output folder first."),
        ({"name": " / "}, "Choose a name for the model first."),
        ({"mode": Mode.VALIDATE}, "Choose a model first."),
        ({"mode": Mode.VALIDATE, "model": "/gone/m.json"}, "Model '/gone/m.json' is not there"),
        ({"cases": "/gone/cases.csv"}, "Case table '/gone/cases.csv' is not there"),
        ({"features": "/gone/features.csv"}, "Feature table '/gone/features.csv' is not there"),
        ({"mode": Mode.ASSOCIATE, "outcome": " "}, "Choose the outcome first."),
        ({"mode": Mode.ASSOCIATE, "predictors": " , "}, "Choose the predictors first."),
    ],
)
def test_what_is_missing_is_said_in_one_line(choices, change, reason):
    with pytest.raises(InputError) as caught:
        CohortRun(dataclasses.replace(choices, **change), [sys.executable, str(STUB), "finish"])
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_would_be_replaced(choices):
    assert choices.files.existing() == ()
    choices.files.report.write_text("")
    choices.files.features.write_text("")
    assert choices.files.existing() == (choices.files.report, choices.files.features)


def test_cost_counts_what_the_library_does(choices):
    resampling = pytest.importorskip("HER2NomogramLib.resampling")
    assert command._OUTER_FOLDS == resampling.OUTER_FOLDS
    assert choices.cost.startswith("250 more trainings")
    assert "about 4 min" in choices.cost
    assert "about 1 min" in dataclasses.replace(choices, jobs=4).cost
    assert "flatter" in dataclasses.replace(choices, bootstrap=0, repeats=0).cost


# --- Process ----------------------------------------------------------------------------------------------------------


def test_progress_lines():
    assert parse_progress("progress: Bootstrap: 57/200\n") == Progress("Bootstrap", 57, 200)
    assert parse_progress("progress: Nested: 2 of 5: 0/50") == Progress("Nested: 2 of 5", 0, 50)
    for other in ("", "progress", "progress: Bootstrap: 57", "Note: progress: x: 1/2", "progress: x: 1/2 cases"):
        assert parse_progress(other) is None


def test_environment_finds_the_library_from_anywhere(tmp_path):
    variables = environment({**os.environ, "PYTHONPATH": "/elsewhere", "OMP_NUM_THREADS": "8"})
    assert variables["PYTHONPATH"].split(os.pathsep)[:2] == [str(MODULE_DIRECTORY), "/elsewhere"]
    code = "import HER2NomogramLib, os; print(HER2NomogramLib.__file__, os.environ['OMP_NUM_THREADS'], 'ö')"
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, cwd=tmp_path, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.split() == [str(MODULE_DIRECTORY / "HER2NomogramLib" / "__init__.py"), "1", "ö"]


def test_environment_hands_on_where_pyradiomics_is(monkeypatch):
    class Spec:
        origin = os.path.join(os.sep, "extension", "site-packages", "radiomics", "__init__.py")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Spec if name == "radiomics" else None)
    assert environment({})["PYTHONPATH"].split(os.pathsep)[-1] == os.path.join(os.sep, "extension", "site-packages")


def test_inside_slicer_the_program_is_python_slicer(monkeypatch, tmp_path):
    program = tmp_path / ("PythonSlicer.exe" if os.name == "nt" else "PythonSlicer")
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command.python_program() == str(program)
    monkeypatch.setenv("PATH", "")
    assert command.python_program() == sys.executable
    for executable in ("", None, "/opt/Slicer/bin/SlicerApp-real"):
        monkeypatch.setattr(sys, "executable", executable)
        with pytest.raises(InputError, match="PythonSlicer"):
            command.python_program()


def test_packages_are_looked_for_by_the_name_that_they_are_imported_by(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("# why\nscikit-learn>=1.6  # for training\n\nno-such-package==1\nnumpy\n")
    assert command.requirements(path) == ("scikit-learn>=1.6", "no-such-package==1", "numpy")
    assert command.not_installed(command.requirements(path)) == ("no-such-package==1",)


def test_packages_that_are_too_old_count_as_not_installed(monkeypatch):
    wanted = ("scikit-learn>=1.6", "numpy>=1.26.4", "joblib")
    for installed, lacking in (("1.5.2", wanted[:2]), ("1.10", wanted[1:2]), ("1.26.4rc1", ()), ("2.0.dev0+git", ())):
        monkeypatch.setattr(importlib.metadata, "version", lambda name, installed=installed: installed)
        assert command.not_installed(wanted) == lacking


def test_packages_of_unknown_version_are_taken_as_they_are(monkeypatch):
    def unknown(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", unknown)
    assert command.not_installed(["numpy>=99"]) == ()


def test_every_requirement_of_the_module_can_be_looked_for():
    lines = command.requirements(MODULE_DIRECTORY / "Resources" / "requirements.txt")
    assert "matplotlib>=3.8" in lines
    assert command.not_installed(lines) == ()


def test_missing_packages_are_refused_with_how_to_install_them():
    command.check_installed(["numpy"])
    with pytest.raises(InputError) as error:
        command.check_installed(["numpy", "no-such-package==1", "nor-this>=2.0"])
    message = str(error.value)
    assert "slicer.util.pip_install('no-such-package==1 nor-this>=2.0')" in message
    assert "numpy" not in message and "\n" not in message


# --- Run --------------------------------------------------------------------------------------------------------------


def start(choices: CohortChoices, behavior: str) -> CohortRun:
    return CohortRun(choices, [sys.executable, str(STUB), behavior])


def ended(choices: CohortChoices, behavior: str) -> CohortRun:
    run = start(choices, behavior)
    wait_until(lambda: not run.update())
    return run


def test_a_run_that_ends_well(choices):
    run = ended(choices, "finish")
    assert run.state == DONE
    assert run.progress == Progress("Validating internally", 57, 250)
    assert run.message == f"Done: HER2_nomogram.json and HER2_nomogram_report.html in {choices.folder}."
    assert run.written == run.files.results
    assert all(path.is_file() for path in run.files.results)
    given = json.loads(run.files.report.with_suffix(".arguments").read_text())
    assert given == choices.arguments()


def test_cases_that_failed_are_said(choices):
    run = ended(choices, "some")
    assert run.state == DONE
    assert "2 failed and were left out, the first: Case 'b' failed: 'b.png' is not there." in run.message
    assert "tqdm" in run.output


def test_what_is_noted_of_the_engine_is_said(choices):
    run = ended(choices, "noted")
    assert run.state == DONE
    said = "The fast feature engine needs the package numba. Therefore pyradiomics computes the features."
    assert run.message.endswith(f"{choices.folder}. {said}")


def test_the_error_line_is_the_message(choices, features):
    run = ended(dataclasses.replace(choices, features=features), "fail")
    assert run.state == FAILED
    assert run.message == "'cases.csv' has no column 'her2': add the outcome."


def test_a_report_without_a_model_is_a_failure_that_left_its_report(choices, features):
    run = ended(dataclasses.replace(choices, features=features), "no-model")
    assert run.state == FAILED
    assert run.message == "There is nothing to make a nomogram of (why). No model is written."
    assert run.written == (run.files.report,)


def test_a_report_of_an_earlier_run_is_not_that_of_one_that_failed(choices):
    assert ended(choices, "finish").written
    run = ended(choices, "fail")
    assert run.files.report.is_file()
    assert run.written == ()


def test_what_is_missing_of_finished_results_is_said(choices):
    run = ended(choices, "unvalidated")
    assert run.state == DONE
    assert run.message.endswith(f" in {choices.folder}. No internal validation; the model is kept.")


def test_an_association_study_that_could_not_do_everything_is_done_and_says_so(association):
    run = ended(association, "unvalidated")
    assert run.state == DONE
    assert run.written == (run.files.report,)
    assert run.message.startswith(f"Done: cases_her2_association.html in {association.folder}. No internal")


def test_finished_features_are_pointed_out_when_the_rest_fails(choices):
    run = ended(choices, "fail")
    assert run.message.endswith(f"The features are done: go on with {run.files.features} as the feature table.")


def test_a_crash_is_one_line_and_the_rest_is_kept_for_the_log(choices, features):
    run = ended(dataclasses.replace(choices, features=features), "crash")
    assert run.state == FAILED
    assert run.message == "It ended unexpectedly (exit status 1): ValueError: inside."
    assert "Traceback" in run.output


def test_results_of_an_earlier_run_are_not_those_of_one_that_wrote_none(choices):
    ended(choices, "finish")
    run = ended(choices, "nothing")
    assert run.state == FAILED
    assert run.message.startswith("It ended without writing HER2_nomogram.json and HER2_nomogram_report.html.")


def test_cancel_ends_everything(choices, features):
    run = start(dataclasses.replace(choices, features=features), "hang")
    wait_until(lambda: run.update() and run.progress is not None)
    assert run.state == RUNNING
    assert run.message == "Validating internally: 57 of 250"
    worker = run.files.report.with_suffix(".worker")
    wait_until(lambda: worker.is_file() and worker.read_text())
    run.cancel()
    assert run.state == CANCELLED
    assert run.message == "Cancelled."
    assert not run.update()
    assert not is_running(int(worker.read_text()))
    assert not run.files.model.exists()


def test_cancel_after_the_end_changes_nothing(choices):
    run = ended(choices, "finish")
    run.cancel()
    assert run.state == DONE


def test_time_left_is_told_once_it_is_known(choices, monkeypatch):
    run = start(choices, "hang")
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for elapsed, done, left in ((0, 10, ""), (2, 12, ""), (20, 30, ", about 3 min left in this step"), (60, 200, "")):
        now[0] = 100.0 + elapsed
        run._follow(Progress("Bootstrap", done, 200))
        assert run.message == f"Bootstrap: {done} of 200{left}"
    run._follow(Progress("Drawing", 3, 9))
    assert run.message == "Drawing: 3 of 9"
    monkeypatch.undo()
    run.cancel()


@pytest.mark.parametrize(("seconds", "text"), [(10, "less than a minute"), (250, "about 4 min"), (20000, "about 6 h")])
def test_durations(seconds, text):
    assert command.duration(seconds) == text


def test_the_command_line_of_the_library_is_what_is_started(choices):
    """Without a stub: an option that the command line does not know would end here."""
    Path(choices.cases).write_text("case_id\n")
    run = CohortRun(dataclasses.replace(choices, bootstrap=0, repeats=0, engine="pyradiomics"))
    wait_until(lambda: not run.update(), 60)
    assert run.state == FAILED
    assert "unrecognized arguments" not in run.message
    assert "cases" in run.message
    assert "Traceback" not in run.output


def test_the_command_line_knows_the_options_of_an_association_study(association):
    Path(association.cases).write_text("her2,er\n")
    run = CohortRun(dataclasses.replace(association, strata="er", categorical="er"))
    wait_until(lambda: not run.update(), 60)
    assert run.state == FAILED
    assert "cases.csv' has no rows" in run.message
    assert "Traceback" not in run.output


@pytest.mark.parametrize(
    "text, names",
    [
        ("a, b,,c ", ("a", "b", "c")),
        ('age, "size, mm", "a ""big"" one"', ("age", "size, mm", 'a "big" one')),
        ("two\nlines", ("two lines",)),
        ("", ()),
        (None, ()),
    ],
)
def test_names_that_hold_a_comma_stand_in_quotes(text, names):
    assert command.names_in(text) == names
