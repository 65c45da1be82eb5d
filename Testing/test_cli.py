"""The command line: what its commands write, their exit status, and that errors are one line."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from models import EXTRACTION, EXTRACTION_YAML, make_model

from HER2NomogramLib import __main__ as command_line
from HER2NomogramLib import __version__, batch, training
from HER2NomogramLib.__main__ import main
from HER2NomogramLib.features import ExtractionSettings
from HER2NomogramLib.modelfile import load_model, save_model
from HER2NomogramLib.phantom import make_cohort
from HER2NomogramLib.tables import read_features, write_features

MODULE_DIRECTORY = Path(command_line.__file__).parents[1]


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """Folder with a cohort of two synthetic cases, fast settings, a model, and the features of the cases."""
    folder = tmp_path_factory.mktemp("shared")
    make_cohort(folder, {"train": 2}, seed=5)
    (folder / "fast.yaml").write_text(EXTRACTION_YAML)
    save_model(make_model(), folder / "model.json")
    arguments = ["extract", f"{folder}/cases.csv", "--settings", f"{folder}/fast.yaml", "--out", f"{folder}/f.csv"]
    assert main(arguments) == 0
    return folder


@pytest.fixture
def run(capsys):
    """Runs a command and returns its exit status, what it printed, and the last line of its errors."""

    def run(*arguments) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        lines = [line for line in printed.err.splitlines() if line.strip()]
        return status, printed.out, lines[-1] if lines else ""

    return run


@pytest.fixture
def refuse(run):
    """Runs a command that must fail with status 2 and one line that begins with the program's name."""

    def refuse(*arguments) -> str:
        status, printed, error = run(*arguments)
        assert status == 2 and printed == "" and error.startswith("her2nomogram")
        return error

    return refuse


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def broken_table(shared: Path, path: Path, broken: int = 1) -> Path:
    """Case table of the cohort in which the first cases have an image that is not there."""
    rows = rows_of(shared / "cases.csv")
    for number, row in enumerate(rows):
        row["image"] = "gone.nrrd" if number < broken else str(shared / row["image"])
        row["segmentation"] = str(shared / row["segmentation"])
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


# --- extract ----------------------------------------------------------------------------------------------------------


def test_extract(shared, tmp_path, run):
    out = tmp_path / "new" / "features.csv"
    status, printed, _ = run(
        "extract", shared / "cases.csv", "--out", out, "--settings", shared / "fast.yaml",
        "--margins", "10, 2.5", "--save-regions", tmp_path / "regions",
    )  # fmt: skip
    assert status == 0 and f"2 of 2 cases written to {out}" in printed
    regions = {"intratumoral", "peritumoral_2.5mm", "peritumoral_10mm", "combined_2.5mm", "combined_10mm"}
    table = read_features(out)
    assert len(table.case_ids) == 2 and {name.split("__")[1] for name in table.columns} == regions
    facts = json.loads(out.with_suffix(".json").read_text())
    assert facts["margins_mm"] == [2.5, 10.0]
    assert facts["extraction"] == ExtractionSettings.from_dict(EXTRACTION).to_dict()
    assert len(list((tmp_path / "regions").iterdir())) == 2 * len(regions)


def test_extract_with_two_processes(shared, tmp_path, run):
    out = tmp_path / "features.csv"
    status, *_ = run("extract", shared / "cases.csv", "--out", out, "--settings", shared / "fast.yaml", "--jobs", 2)
    assert status == 0 and out.read_bytes() == (shared / "f.csv").read_bytes()


def test_extract_with_a_broken_case(shared, tmp_path, run):
    cases, out = broken_table(shared, tmp_path / "cases.csv"), tmp_path / "features.csv"
    status, printed, error = run("extract", cases, "--out", out, "--settings", shared / "fast.yaml")
    assert status == 1 and "1 of 2 cases written" in printed
    assert error.startswith("Case 'phantom_0001' failed:") and "gone.nrrd' is not there" in error
    assert read_features(out).case_ids == ("phantom_0002",)


def test_extract_with_nothing_but_broken_cases(shared, tmp_path, refuse):
    cases, out = broken_table(shared, tmp_path / "cases.csv", broken=2), tmp_path / "features.csv"
    assert "None of the 2 cases" in refuse("extract", cases, "--out", out, "--settings", shared / "fast.yaml")
    assert not out.exists()


@pytest.fixture
def stop_after_first(monkeypatch):
    """Ctrl-C when the first case is reported."""

    @contextmanager
    def bar(title):
        def progress(done, total):
            raise KeyboardInterrupt

        yield progress

    monkeypatch.setattr(command_line, "progress_bar", bar)


def test_interrupted_extract(shared, tmp_path, run, stop_after_first):
    out = tmp_path / "features.csv"
    status, _, error = run("extract", shared / "cases.csv", "--out", out, "--settings", shared / "fast.yaml")
    assert status == 1 and error.startswith("her2nomogram: interrupted;") and ".partial" in error
    assert read_features(tmp_path / "features.partial.csv").case_ids == ("phantom_0001",)
    assert not out.exists()


@pytest.mark.parametrize("margins", ["five", "", "5;10", "5,,10", "0.1", "5,5", "31", "nan", "-5"])
def test_wrong_margins(shared, tmp_path, refuse, margins):
    error = refuse("extract", shared / "cases.csv", "--out", tmp_path / "f.csv", f"--margins={margins}")
    assert ("--margins" in error) is (margins in ("five", "", "5;10", "5,,10"))
    assert "widths in mm" in error or "between 0.5 and 30 mm" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["extract", "train", "predict", "demo"])
@pytest.mark.parametrize("jobs", ["0", "-1", "two", "1.5", "", "²"])
def test_wrong_jobs(refuse, command, jobs):
    cases = () if command == "demo" else ("cases.csv",)
    features = ("--features", "f.csv") if command == "train" else ()
    assert "--jobs" in refuse(command, *cases, "--out", "x.csv", *features, f"--jobs={jobs}")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("imageType: [", "not YAML"),
        ("imageType: {Orignal: {}}", "Orignal"),
        ("setting: {binCount: -3}", "binCount"),
        ("- a list", "imageType"),
    ],
)
def test_wrong_settings(shared, tmp_path, refuse, content, words):
    (tmp_path / "s.yaml").write_text(content)
    error = refuse("extract", shared / "cases.csv", "--out", tmp_path / "f.csv", "--settings", tmp_path / "s.yaml")
    assert words in error and "s.yaml" in error


# --- predict ----------------------------------------------------------------------------------------------------------


def test_predict_from_images_and_from_features(shared, tmp_path, run):
    for out, more in (("images.csv", ()), ("features.csv", ("--features", shared / "f.csv"))):
        status, printed, _ = run(
            "predict", shared / "cases.csv", "--model", shared / "model.json", "--out", tmp_path / out, *more
        )
        assert status == 0 and "2 of 2 cases written" in printed
        # Every place that shows output of the demonstration model says what it is.
        assert "Test model: DEMONSTRATION MODEL" in printed and "Research use only" in printed
    images, features = rows_of(tmp_path / "images.csv"), rows_of(tmp_path / "features.csv")
    assert [row["probability"] for row in images] == [row["probability"] for row in features]
    assert all(0 < float(row["probability_low"]) < float(row["probability"]) < 1 for row in images)
    assert all("DEMONSTRATION MODEL" in row["notice"] for row in images)


def test_predict_uses_the_model_that_is_shipped_by_default(shared, tmp_path, refuse, monkeypatch):
    from HER2NomogramLib import modelfile

    monkeypatch.setattr(modelfile, "default_model_path", lambda: tmp_path / "demonstration.json")
    assert "demonstration.json" in refuse("predict", shared / "cases.csv", "--out", tmp_path / "p.csv")


def test_predict_with_a_broken_case(shared, tmp_path, run):
    cases, out = broken_table(shared, tmp_path / "cases.csv"), tmp_path / "p.csv"
    status, _, error = run("predict", cases, "--model", shared / "model.json", "--out", out)
    assert status == 1 and error.startswith("Case 'phantom_0001' failed:") and "gone.nrrd' is not there" in error
    assert [row["case_id"] for row in rows_of(out)] == ["phantom_0002"]


def test_interrupted_predict(shared, tmp_path, run, stop_after_first):
    run("predict", shared / "cases.csv", "--model", shared / "model.json", "--out", tmp_path / "p.csv")
    assert [row["case_id"] for row in rows_of(tmp_path / "p.partial.csv")] == ["phantom_0001"]


def test_predict_refuses_features_of_other_settings(features, tmp_path, run, refuse):
    """Features by the same names but another number of gray levels would give another probability."""
    model, out = tmp_path / "model.json", tmp_path / "p.csv"
    assert run("train", features / "cases.csv", "--features", features / "features.csv", "--out", model)[0] == 0
    other = tmp_path / "other.csv"
    other.write_bytes((features / "features.csv").read_bytes())
    facts = json.loads((features / "features.json").read_text())
    facts["extraction"]["setting"]["binCount"] = 8
    other.with_suffix(".json").write_text(json.dumps(facts))
    error = refuse("predict", features / "cases.csv", "--model", model, "--features", other, "--out", out)
    assert "other settings" in error and not out.exists()


def test_train_does_not_replace_the_record_of_the_extraction(features, tmp_path, refuse):
    error = refuse(
        "train", features / "cases.csv", "--features", features / "features.csv", "--out", features / "features.json"
    )
    assert "one of the files to be read" in error


def test_damaged_model(shared, tmp_path, refuse):
    text = (shared / "model.json").read_text()
    altered = text.replace("0.4", "0.5", 1)
    for damaged, words in ((text[: len(text) // 2], "damaged"), (altered, "digest"), ("{}", "not a")):
        (tmp_path / "m.json").write_text(damaged)
        error = refuse("predict", shared / "cases.csv", "--model", tmp_path / "m.json", "--out", tmp_path / "p.csv")
        assert words in error and "m.json" in error
    assert not (tmp_path / "p.csv").exists()


# --- train ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def features(tmp_path_factory) -> Path:
    """Folder of a case table and a feature table with its facts, made of random numbers with a known signal."""
    folder = tmp_path_factory.mktemp("train")
    rng = np.random.default_rng(7)
    names = ("Mean", "Entropy", "Skewness")
    cases, rows, facts = [], [], {}
    for number in range(90):
        case_id, her2 = f"c{number:02d}", number % 3 == 0
        rows.append((case_id, {"image__intratumoral__diagnostics_FeretDiameter": 15 + 3 * her2 + 4 * rng.random()}))
        for region in ("intratumoral", "peritumoral_5mm", "combined_5mm"):
            values = rng.normal(size=3) + np.array([1.5, 0.0, 0.0]) * her2
            rows[-1][1][f"image__{region}__diagnostics_VoxelNum"] = 500.0
            rows[-1][1].update({f"image__{region}__original_firstorder_{n}": v for n, v in zip(names, values)})
        facts[case_id] = {
            "image": {"spacing_mm": [0.1, 0.1], "kind": "recombined", "presentation": None, "warnings": []}
        }
        status = "positive" if her2 else "negative"
        split = "train" if number < 66 else "internal_test"
        cases.append(f"{case_id},{split},2+,{status},{rng.integers(30, 80)},{('no', 'yes')[rng.integers(2)]}")
    (folder / "cases.csv").write_text("case_id,split,her2_ihc,her2_ish,age,microcalcifications\n" + "\n".join(cases))
    write_features(folder / "features.csv", rows)
    content = {"extraction": ExtractionSettings.from_dict(EXTRACTION).to_dict(), "margins_mm": [5.0], "cases": facts}
    (folder / "features.json").write_text(json.dumps(content))
    return folder


def test_train_then_predict(features, tmp_path, run):
    model, out = tmp_path / "model.json", tmp_path / "p.csv"
    status, printed, _ = run(
        "train", features / "cases.csv", "--features", features / "features.csv", "--out", model,
        "--name", "My model", "--clinical", "tumor_diameter_mm, age,microcalcifications",
    )  # fmt: skip
    assert status == 0 and "AUC (95% CI)" in printed and "internal_test" in printed
    assert f"Model written to {model}. Research use only" in printed and "DEMONSTRATION" not in printed
    trained = load_model(model)
    assert (trained.name, trained.demonstration, trained.margins_mm) == ("My model", False, (5.0,))
    names = [predictor.name for predictor in trained.nomogram.predictors]
    assert names == ["intratumoral", "peritumoral_5mm", "tumor_diameter_mm", "age", "microcalcifications"]
    assert trained.nomogram.predictors[-1].levels == ("no", "yes")
    assert trained.training["cases"]["train"] == {"n": 66, "her2_positive": 22}
    assert "image__intratumoral__original_firstorder_Mean" in trained.signatures["intratumoral"].features
    status, printed, _ = run(
        "predict", features / "cases.csv", "--model", model, "--features", features / "features.csv", "--out", out
    )
    assert status == 0 and "90 of 90 cases" in printed
    probabilities = np.array([float(row["probability"]) for row in rows_of(out)])
    positive = np.arange(90) % 3 == 0
    assert probabilities[positive].mean() > probabilities[~positive].mean() + 0.3


def test_train_options(features, tmp_path, run):
    model = tmp_path / "model.json"
    status, *_ = run(
        "train", features / "cases.csv", "--features", features / "features.csv", "--out", model,
        "--clinical", "age", "--regions", "combined_5mm,intratumoral", "--penalty", "1se", "--seed", 3,
    )  # fmt: skip
    assert status == 0
    trained = load_model(model)
    assert [predictor.name for predictor in trained.nomogram.predictors] == ["combined_5mm", "intratumoral", "age"]
    assert [predictor.name for predictor in trained.clinical.predictors] == ["age"]
    assert (trained.training["options"]["penalty_rule"], trained.training["options"]["random_state"]) == ("1se", 3)


def test_train_without_clinical_factors(features, tmp_path, run):
    status, *_ = run(
        "train", features / "cases.csv", "--features", features / "features.csv", "--out", tmp_path / "model.json",
        "--clinical", "none",
    )  # fmt: skip
    assert status == 0
    assert load_model(tmp_path / "model.json").clinical_predictors == ()


def test_train_with_too_few_cases(features, tmp_path, refuse):
    lines = (features / "cases.csv").read_text().splitlines()
    (tmp_path / "cases.csv").write_text("\n".join(lines[:25]))
    error = refuse(
        "train", tmp_path / "cases.csv", "--features", features / "features.csv", "--out", tmp_path / "m.json"
    )
    assert "8 HER2-positive and 16 negative" in error and not (tmp_path / "m.json").exists()


def test_train_without_the_facts_of_the_extraction(features, tmp_path, refuse):
    (tmp_path / "features.csv").write_bytes((features / "features.csv").read_bytes())
    error = refuse(
        "train", features / "cases.csv", "--features", tmp_path / "features.csv", "--out", tmp_path / "m.json"
    )
    assert "features.json" in error


@pytest.mark.parametrize("option", [("--regions", "peritumoral_7mm"), ("--clinical", "tumour_size")])
def test_train_with_a_wrong_name(features, tmp_path, refuse, option):
    arguments = ("--features", features / "features.csv", "--out", tmp_path / "m.json")
    assert option[1] in refuse("train", features / "cases.csv", *arguments, *option)


# --- demo -------------------------------------------------------------------------------------------------------------


def test_demo_hands_its_options_on(tmp_path, run, monkeypatch):
    from HER2NomogramLib import demo

    asked = []

    def run_demo(out, **options):
        with options.pop("progress")("Making") as progress:
            progress(1, 2)
            progress(2, 2)
        asked.append((out, options))

    monkeypatch.setattr(demo, "run_demo", run_demo)
    status, *_ = run("demo", "--out", tmp_path, "--save-model", tmp_path / "m.json", "--jobs", 3)
    assert status == 0
    assert asked == [(str(tmp_path), {"jobs": 3, "save_model_to": str(tmp_path / "m.json")})]


# --- all commands -----------------------------------------------------------------------------------------------------


def commands(folder: Path, shared: Path, features: Path) -> dict[str, list]:
    """Arguments of every command that reads a case table, right as they stand."""
    return {
        "extract": [shared / "cases.csv", "--settings", shared / "fast.yaml", "--out", folder / "out.csv"],
        "predict": [
            shared / "cases.csv", "--model", shared / "model.json", "--features", shared / "f.csv",
            "--out", folder / "out.csv",
        ],
        "train": [features / "cases.csv", "--features", features / "features.csv", "--out", folder / "out.json"],
    }  # fmt: skip


INPUTS = [
    ("extract", 0), ("extract", 2), ("predict", 0), ("predict", 2), ("predict", 4), ("train", 0), ("train", 2),
]  # fmt: skip


@pytest.mark.parametrize(("command", "position"), INPUTS)
def test_missing_file_is_named(shared, features, tmp_path, refuse, command, position):
    arguments = commands(tmp_path, shared, features)[command]
    arguments[position] = tmp_path / "not_there.csv"
    assert "not_there." in refuse(command, *arguments)


@pytest.mark.parametrize(("command", "position"), INPUTS)
def test_output_never_replaces_an_input(shared, features, tmp_path, refuse, command, position):
    arguments = commands(tmp_path, shared, features)[command]
    copy = tmp_path / "input"
    copy.write_bytes(Path(arguments[position]).read_bytes())
    arguments[position] = copy
    (tmp_path / "folder").mkdir()
    arguments[-1] = tmp_path / "folder" / ".." / "input"
    before = copy.read_bytes()
    assert "one of the files to be read" in refuse(command, *arguments)
    assert copy.read_bytes() == before


@pytest.mark.parametrize("command", ["extract", "predict", "train"])
def test_place_that_cannot_be_written_is_refused_before_any_work(
    shared, features, tmp_path, refuse, command, monkeypatch
):
    def fail(*_, **__):
        raise AssertionError("worked before the place was checked")

    monkeypatch.setattr(batch, "feature_row", fail)
    monkeypatch.setattr(batch, "predict_row", fail)
    monkeypatch.setattr(training, "train", fail)
    (tmp_path / "file").write_text("mine")
    arguments = commands(tmp_path / "file", shared, features)[command]
    assert "cannot be written" in refuse(command, *arguments)
    arguments = commands(tmp_path, shared, features)[command]
    arguments[-1].mkdir()
    assert "cannot be written" in refuse(command, *arguments)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("command", ["extract", "predict", "train"])
def test_case_table_with_semicolons(shared, features, tmp_path, refuse, command):
    arguments = commands(tmp_path, shared, features)[command]
    table = tmp_path / "semicolons.csv"
    table.write_text(Path(arguments[0]).read_text().replace(",", ";"))
    arguments[0] = table
    assert "commas" in refuse(command, *arguments)


def test_missing_package_is_named(shared, tmp_path, refuse, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    error = refuse("extract", shared / "cases.csv", "--out", tmp_path / "f.csv", "--settings", shared / "fast.yaml")
    assert "'tqdm' is missing" in error


@pytest.mark.parametrize(
    "arguments", [(), ("validte",), ("extract",), ("extract", "a.csv"), ("predict", "a", "--ouy", "b")]
)
def test_usage_errors_are_one_line(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.startswith("her2nomogram") and error.count("\n") == 1 and "--help" in error


@pytest.mark.parametrize("arguments", [("--help",), ("extract", "--help"), ("train", "--help"), ("predict", "--help")])
def test_help_says_research_use(run, arguments):
    status, printed, _ = run(*arguments)
    assert status == 0 and "Research use only" in " ".join(printed.split())


def test_version(run):
    assert run("--version")[:2] == (0, f"{__version__}\n")


def python_m(*arguments) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(MODULE_DIRECTORY)}
    command = [sys.executable, "-m", "HER2NomogramLib", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_as_a_program(shared, tmp_path):
    out = tmp_path / "features.csv"
    done = python_m("extract", shared / "cases.csv", "--out", out, "--settings", shared / "fast.yaml")
    assert (done.returncode, done.stdout) == (0, f"2 of 2 cases written to {out}\n")
    assert "Extracting" in done.stderr and "2/2" in done.stderr
    assert out.read_bytes() == (shared / "f.csv").read_bytes()
    broken = broken_table(shared, tmp_path / "cases.csv")
    some = python_m("extract", broken, "--out", out, "--settings", shared / "fast.yaml")
    assert some.returncode == 1 and "phantom_0001" in some.stderr.splitlines()[-1]
    none = python_m("extract", tmp_path / "none.csv", "--out", out)
    assert (none.returncode, none.stdout) == (2, "")
    assert none.stderr.count("\n") == 1 and "none.csv" in none.stderr
