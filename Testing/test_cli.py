"""The command line: what its commands write, their exit status, and that errors are one line."""

from __future__ import annotations

import csv
import json
import os
import signal
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
def refuse(run, tmp_path):
    """Runs a command that must fail with status 2 and one line that begins with the program's name, writing nothing."""

    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def refuse(*arguments) -> str:
        before = files()
        status, printed, error = run(*arguments)
        assert status == 2 and printed == "" and error.startswith("her2nomogram")
        assert ".. " not in error and not error.endswith("..")
        assert files() == before
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


def rewrite(source: Path, path: Path, change) -> Path:
    """Copy a table with ``change(number, row)`` made to every row; a row for which it returns False is left out."""
    rows = [row for number, row in enumerate(rows_of(source)) if change(number, row) is not False]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
    if source.with_suffix(".json").is_file():
        path.with_suffix(".json").write_bytes(source.with_suffix(".json").read_bytes())
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
    def bar(title, unit="case"):
        def progress(done, total):
            raise KeyboardInterrupt

        yield progress

    monkeypatch.setattr(command_line, "progress_bar", bar)


def test_interrupted_extract(shared, tmp_path, run, stop_after_first):
    out = tmp_path / "features.csv"
    status, _, error = run("extract", shared / "cases.csv", "--out", out, "--settings", shared / "fast.yaml")
    assert status == 1 and error.startswith("her2nomogram: interrupted;")
    assert f"the 1 case done so far are in '{tmp_path / 'features.partial.csv'}'." in error
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
    assert {predictor.name for predictor in trained.nomogram.predictors} == {"combined_5mm", "intratumoral", "age"}
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


@pytest.fixture
def train_on(features, tmp_path, run):
    """Trains on a case table and a feature table, by default the shared ones, to model.json."""

    def train_on(*arguments, cases=features / "cases.csv", table=features / "features.csv"):
        return run("train", cases, "--features", table, "--out", tmp_path / "model.json", *arguments)

    return train_on


@pytest.fixture
def refuse_training(features, tmp_path, refuse):
    """As ``train_on``, where it must be refused."""

    def refuse_training(*arguments, cases=features / "cases.csv", table=features / "features.csv"):
        return refuse("train", cases, "--features", table, "--out", tmp_path / "model.json", *arguments)

    return refuse_training


@pytest.fixture
def quick_report(monkeypatch):
    """Reports of one line: what is in them is tested with them, and they take their time."""
    from HER2NomogramLib import report

    written = []

    def write(content, path, facts=None):
        written.append(content)
        Path(path).write_text("report")

    monkeypatch.setattr(report, "write_development_report", write)
    monkeypatch.setattr(report, "write_validation_report", write)
    return written


RESAMPLES = ("--bootstrap", 2, "--repeats", 1)


def test_train_with_a_report(train_on, tmp_path):
    report = tmp_path / "new" / "report.html"
    status, printed, _ = train_on("--report", report, *RESAMPLES)
    assert status == 0 and "nested cross-validation" in printed and f"Report written to {report}" in printed
    page = report.read_text()
    assert "</html>" in page and "Research use only" in page
    names = {path.name for path in (report.parent / "report_files").iterdir()}
    assert {"nomogram.svg", "bootstrap.csv", "roc_train.svg"} <= names and not any("partial" in name for name in names)
    validation = load_model(tmp_path / "model.json").training["internal_validation"]
    assert validation["bootstrap"]["replicates"] == 2 and validation["nested_cross_validation"]["repeats"] == 1


def test_without_a_report_nothing_is_resampled(train_on, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "validate_internally", None)
    assert train_on()[0] == 0 and "internal_validation" not in load_model(tmp_path / "model.json").training


def test_resampling_without_a_report_is_said_to_need_one(train_on):
    status, _, error = train_on("--bootstrap", 5, "--repeats", 2)
    assert status == 0 and error == "Note: nothing is resampled: --bootstrap and --repeats need --report."
    assert train_on("--bootstrap", 0)[2] == ""


def test_names_that_are_no_factors(refuse_training):
    assert "'none' is for no factors at all" in refuse_training("--clinical", "none,age")
    assert "Column 'case_id' of the case table is no clinical factor" in refuse_training("--clinical", "case_id")
    assert "no column 'Age' (is 'age' meant?)" in refuse_training("--clinical", "Age")


def test_tables_without_a_case_in_common(features, tmp_path, refuse_training):
    cases = rewrite(features / "cases.csv", tmp_path / "c.csv", lambda n, row: row.update(case_id=f"X{n}"))
    assert "their first case_id: 'X0' and 'c00'" in refuse_training(cases=cases)


def test_a_feature_table_that_is_missing_is_named_itself(tmp_path, refuse_training):
    assert "gone.csv' cannot be read" in refuse_training(table=tmp_path / "gone.csv")


def test_resampling_can_be_switched_off(train_on, tmp_path, quick_report, monkeypatch):
    monkeypatch.setattr(training, "validate_internally", None)
    assert train_on("--report", tmp_path / "r.html", "--bootstrap", 0, "--repeats", 0)[0] == 0
    assert quick_report[0].internal is None


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (("--method", "published"), {"method": "published"}),
        (("--select", "aic"), {"selection": "aic"}),
        (("--missing", "exclude"), {"missing": "exclude"}),
        (("--clinical", "age,site", "--categorical", "site"), {"clinical": ["age", "site"], "categorical": ["site"]}),
        (("--regions", " intratumoral "), {"nomogram_regions": ["intratumoral"]}),
    ],
)
def test_options_reach_the_training(features, train_on, tmp_path, options, chosen):
    cases = rewrite(features / "cases.csv", tmp_path / "c.csv", lambda n, row: row.update(site=n // 3 % 3 + 1))
    assert train_on(*options, cases=cases)[0] == 0
    recorded = load_model(tmp_path / "model.json").training["options"]
    assert {name: recorded[name] for name in chosen} == chosen


def test_progress_in_lines_for_programs(train_on, tmp_path, quick_report):
    status, printed, error = train_on("--report", tmp_path / "r.html", *RESAMPLES, "--progress", "lines")
    lines = [line for line in printed.splitlines() if line.startswith("progress: ")]
    assert status == 0 and lines == [f"progress: Validating internally: {done}/7" for done in range(1, 8)]
    assert error == ""


@pytest.fixture(scope="session")
def images(tmp_path_factory) -> Path:
    """Folder of 24 synthetic cases, half of them positive; the image of the last is not there."""
    folder = tmp_path_factory.mktemp("images")
    made = make_cohort(folder, {"train": 24}, seed=5)

    def change(number, row):
        del row["her2_ihc"], row["her2_ish"]
        row["her2"] = number % 2
        row["image"] = "gone.nrrd" if number == 23 else row["image"]

    rewrite(made, folder / "half.csv", change)
    (folder / "fast.yaml").write_text(EXTRACTION_YAML)
    return folder


def test_train_from_images_with_two_processes(images, tmp_path, run):
    model = tmp_path / "model.json"
    status, printed, error = run(
        "train", images / "half.csv", "--out", model, "--settings", images / "fast.yaml", "--margins", "2.5",
        "--jobs", 2, "--progress", "lines",
    )  # fmt: skip
    assert status == 1 and "progress: Extracting: 24/24" in printed
    assert f"23 of 24 cases written to {tmp_path / 'model_features.csv'}" in printed
    assert "1 case left out: no features." in printed and error == "Left out, no features: 'phantom_0024'"
    assert load_model(model).margins_mm == (2.5,) and load_model(model).training["cases"]["train"]["n"] == 23
    # The features are kept, and give the same model.
    again = tmp_path / "again.json"
    table = tmp_path / "model_features.csv"
    assert run("train", images / "half.csv", "--features", table, "--out", again)[0] == 0
    assert load_model(again).nomogram == load_model(model).nomogram


def test_interrupted_extraction_of_a_training(images, tmp_path, run, stop_after_first):
    model = tmp_path / "model.json"
    status, _, error = run("train", images / "half.csv", "--out", model, "--settings", images / "fast.yaml")
    assert status == 1 and error.startswith("her2nomogram: interrupted;")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "model_features.partial.csv",
        "model_features.partial.json",
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--clinical", "her2_ish"), "what the model predicts"),
        (("--clinical", "size"), "no column 'size'"),
        (("--categorical", "age"), "no clinical factor"),
        (("--regions", "peritumoral_7mm"), "peritumoral_7mm"),
        (("--margins", "five"), "--margins"),
        (("--settings", "none.yaml"), "none.yaml"),
        (("--seed", "-1"), "seed"),
        (("--report", "cases.csv/r.html"), "cannot be written"),
        (("--other-software",), "--features"),
    ],
)
def test_nothing_is_extracted_where_the_training_would_be_refused(
    images, tmp_path, refuse, monkeypatch, options, words
):
    monkeypatch.setattr(batch, "feature_row", None)
    monkeypatch.chdir(images)
    cases = images / "half.csv"
    (images / "cases.csv").touch()
    assert words in refuse("train", cases, "--out", tmp_path / "m.json", *options)


def test_too_few_cases_are_noticed_before_the_extraction(images, tmp_path, refuse, monkeypatch):
    monkeypatch.setattr(batch, "feature_row", None)
    cases = rewrite(images / "half.csv", tmp_path / "few.csv", lambda number, row: number < 18)
    assert "9 HER2-positive and 9 negative patients" in refuse("train", cases, "--out", tmp_path / "m.json")


@pytest.mark.parametrize("option", [("--margins", "5"), ("--settings", "fast.yaml")])
def test_options_of_the_extraction_are_not_passed_over(refuse_training, option):
    assert f"{option[0]} is for the extraction" in refuse_training(*option)


@pytest.mark.parametrize(
    "option",
    [("--bootstrap", "-1"), ("--repeats", "ten"), ("--seed", "x"), ("--method", "best"), ("--select", "lasso")],
)
def test_wrong_values_of_options(refuse_training, option):
    assert option[0] in refuse_training(f"{option[0]}={option[1]}")


# --- bad input to train -----------------------------------------------------------------------------------------------


def test_training_cases_of_one_class(features, tmp_path, refuse_training):
    cases = rewrite(features / "cases.csv", tmp_path / "c.csv", lambda n, row: row["her2_ish"] == "positive")
    assert "22 HER2-positive and 0 negative patients" in refuse_training(cases=cases)


def test_test_cases_of_one_class(features, tmp_path, train_on, quick_report):
    def change(_, row):
        return row["split"] == "train" or row["her2_ish"] == "negative"

    cases = rewrite(features / "cases.csv", tmp_path / "c.csv", change)
    status, printed, _ = train_on("--report", tmp_path / "r.html", *RESAMPLES, cases=cases)
    assert status == 0 and "internal_test           16      0  -" in printed
    assert "HER2-negative" in quick_report[0].performance["internal_test"].remarks[0]


def test_report_of_test_cases_of_one_class(features, tmp_path, train_on):
    def change(_, row):
        return row["split"] == "train" or row["her2_ish"] == "negative"

    cases = rewrite(features / "cases.csv", tmp_path / "c.csv", change)
    assert train_on("--report", tmp_path / "r.html", "--bootstrap", 0, "--repeats", 0, cases=cases)[0] == 0
    assert "</html>" in (tmp_path / "r.html").read_text()


def test_as_many_events_as_folds(features, tmp_path, train_on, quick_report):
    """Ten events for ten folds: cross-fitting and resampling have fewer of them and get on with fewer folds."""
    positive = [row["case_id"] for row in rows_of(features / "cases.csv") if row["her2_ish"] == "positive"]

    def change(_, row):
        return row["case_id"] not in positive[10:]

    cases = rewrite(features / "cases.csv", tmp_path / "c.csv", change)
    status, printed, _ = train_on("--report", tmp_path / "r.html", *RESAMPLES, cases=cases)
    assert status == 0 and "10 training cases of the rarer class" in printed


def test_a_cohort_of_five(features, tmp_path, refuse_training):
    cases = rewrite(features / "cases.csv", tmp_path / "c.csv", lambda n, row: n < 5)
    assert "2 HER2-positive and 3 negative patients: at least 10 of each" in refuse_training(cases=cases)


def test_a_case_twice(features, tmp_path, refuse_training):
    def change(number, row):
        row["case_id"] = "c04" if number == 50 else row["case_id"]

    cases = rewrite(features / "cases.csv", tmp_path / "cases2.csv", change)
    error = refuse_training(cases=cases)
    assert "cases2.csv" in error and "'c04' stands in several rows" in error
    table = rewrite(features / "features.csv", tmp_path / "features2.csv", change)
    error = refuse_training(table=table)
    assert "features2.csv" in error and "case 'c04' twice" in error


def test_a_lesion_twice_under_two_names(features, tmp_path, refuse_training):
    rows = rows_of(features / "features.csv")

    def change(number, row):
        if number == 50:
            row.update({**rows[4], "case_id": row["case_id"]})

    table = rewrite(features / "features.csv", tmp_path / "f.csv", change)
    error = refuse_training(table=table)
    assert "'c04' and 'c50' have exactly the same features" in error and "patient_id" in error


def test_features_missing_for_some_cases(features, tmp_path, train_on):
    mean = "image__intratumoral__original_firstorder_Mean"

    def change(number, row):
        if number in (3, 70):
            return False
        for name in row if number == 5 else ():
            row[name] = row[name] if name == "case_id" else ""
        row[mean] = "inf" if number == 80 else row[mean]

    table = rewrite(features / "features.csv", tmp_path / "f.csv", change)
    status, printed, error = train_on(table=table)
    assert status == 0 and "2 cases left out: no features." in printed
    assert "1 case left out: more than 20% of the features missing or infinite." in printed
    assert "1 case left out: lacks a feature of a signature." in printed
    assert error == "Left out, lacks a feature of a signature: 'c80'"


def test_many_cases_left_out_are_counted_and_some_named(features, tmp_path, train_on):
    table = rewrite(features / "features.csv", tmp_path / "f.csv", lambda number, row: not 70 <= number < 78)
    assert train_on(table=table)[2] == "Left out, no features: 'c70', 'c71', 'c72', 'c73', 'c74' and 3 more"


@pytest.mark.parametrize("value", ["7", "inf", ""])
def test_features_without_information(features, tmp_path, train_on, refuse_training, value):
    def change(number, row):
        for name in row:
            if "original" in name and (number or value == "7"):
                row[name] = value

    table = rewrite(features / "features.csv", tmp_path / "f.csv", change)
    if value == "7":
        status, printed, _ = train_on(table=table)
        assert status == 0 and "selects no feature" in printed and "it is a clinical model" in printed
        (tmp_path / "model.json").unlink()
        assert "nothing to make a nomogram of" in refuse_training("--clinical", "none", table=table)
        # With a report the negative finding is the result.
        report = tmp_path / "report.html"
        resampling = ("--report", str(report), "--bootstrap", "0", "--repeats", "1")
        status, _, error = train_on("--clinical", "none", *resampling, table=table)
        assert status == 1 and error.endswith("No model is written.") and report.exists()
        assert not (tmp_path / "model.json").exists()
    else:
        error = refuse_training(table=table)
        assert "1 HER2-positive and 0 negative patients (left out: 65 for 'more than 20% of the features" in error


def test_a_region_that_cannot_be_used(features, tmp_path, refuse_training):
    def spoil(number, row):
        wanted = [name for name in row if "combined_5mm__original" in name]
        row[wanted[number % 3]] = "inf"

    table = rewrite(features / "features.csv", tmp_path / "f.csv", spoil)
    assert "No feature of region 'combined_5mm'" in refuse_training(table=table)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (lambda n: f"seen {n}", "66 different entries"),
        (lambda n: "unclear" if n == 7 else str(n), "case 'c07': 'unclear' is no number"),
        (lambda n: "5 mm" if n == 7 else str(n), "--categorical finding"),
        (lambda n: "", "no value in any training case"),
        (lambda n: "same", "same value in all training cases"),
        (lambda n: ("none", "fine", "coarse")[n % 3], "reads as a missing entry"),
    ],
)
def test_a_clinical_column_that_is_no_factor(features, tmp_path, refuse_training, entries, words):
    cases = rewrite(features / "cases.csv", tmp_path / "c.csv", lambda n, row: row.update(finding=entries(n)))
    error = refuse_training("--clinical", "finding", cases=cases)
    assert "'finding'" in error and words in error


def test_a_patient_in_two_splits(features, tmp_path, refuse_training):
    def change(number, row):
        row["patient_id"] = "p1" if number in (3, 80) else row["case_id"]

    cases = rewrite(features / "cases.csv", tmp_path / "c.csv", change)
    error = refuse_training(cases=cases)
    assert "c.csv" in error and "'c80'" in error and "two splits" in error


def test_a_category_that_only_a_test_case_has(features, tmp_path, train_on):
    def change(number, row):
        row["density"] = "E" if number == 80 else "ABC"[number // 3 % 3]

    cases = rewrite(features / "cases.csv", tmp_path / "c.csv", change)
    status, printed, error = train_on("--clinical", "density", cases=cases)
    assert status == 0 and "1 case left out: density 'E' does not occur in training." in printed and "'c80'" in error


@pytest.mark.parametrize("damage", ["{", "[]", '{"extraction": {}, "margins_mm": 5, "cases": {}}', "no spacing"])
def test_a_damaged_record_of_the_extraction(features, tmp_path, refuse_training, damage):
    table = rewrite(features / "features.csv", tmp_path / "f.csv", lambda number, row: None)
    if damage == "no spacing":
        facts = json.loads((features / "features.json").read_text())
        del facts["cases"]["c03"]["image"]["spacing_mm"]
        damage = json.dumps(facts)
    (tmp_path / "f.json").write_text(damage)
    error = refuse_training(table=table)
    assert "f.json" in error and "missing or damaged" in error and "--other-software" in error


def test_mixed_image_kinds(features, tmp_path, refuse_training, monkeypatch):
    facts = json.loads((features / "features.json").read_text())
    facts["cases"]["c03"]["image"]["kind"] = "low_energy"
    table = rewrite(features / "features.csv", tmp_path / "f.csv", lambda number, row: None)
    (tmp_path / "f.json").write_text(json.dumps(facts))
    monkeypatch.setattr(training.RadiomicsNomogram, "fit", None)
    assert "mix low_energy and recombined" in refuse_training(table=table)


@pytest.fixture
def no_training(monkeypatch):
    def fail(*_, **__):
        raise AssertionError("trained before the place was checked")

    monkeypatch.setattr(training, "train", fail)


def test_a_report_that_cannot_be_written_is_noticed_before_any_work(tmp_path, refuse_training, no_training):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "report_files").write_text("mine")
    for name in ("file/report.html", "folder.html", "report.html"):
        assert "cannot be written" in refuse_training("--report", tmp_path / name)


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_package_that_the_report_needs_is_missed_before_any_work(
    tmp_path, refuse_training, no_training, monkeypatch, package
):
    monkeypatch.setitem(sys.modules, package, None)
    assert f"'{package}' is missing" in refuse_training("--report", tmp_path / "r.html")


@pytest.mark.parametrize("name", ["cases.csv", "features.csv", "features.json"])
def test_a_report_in_the_place_of_an_input(features, tmp_path, refuse_training, no_training, name):
    for file in ("cases.csv", "features.csv", "features.json"):
        (tmp_path / file).write_bytes((features / file).read_bytes())
    error = refuse_training("--report", tmp_path / name, cases=tmp_path / "cases.csv", table=tmp_path / "features.csv")
    assert error.startswith("her2nomogram: --report") and name in error


def test_extracted_features_do_not_replace_the_case_table(images, tmp_path, refuse):
    cases = tmp_path / "model_features.csv"
    cases.write_bytes((images / "half.csv").read_bytes())
    error = refuse("train", cases, "--out", tmp_path / "model.json")
    assert "'model_features.csv'" in error.replace(f"{tmp_path}/", "") and "one of the files to be read" in error


def test_model_and_report_in_one_place(tmp_path, refuse_training):
    assert "give two names" in refuse_training("--report", tmp_path / "model.json")


@pytest.mark.parametrize("after", [1, 6])
def test_interrupted_resampling_keeps_model_and_report(train_on, tmp_path, quick_report, monkeypatch, after):
    @contextmanager
    def bar(title, unit="case"):
        def progress(done, total):
            if done == after:
                raise KeyboardInterrupt

        yield progress

    monkeypatch.setattr(command_line, "progress_bar", bar)
    status, printed, error = train_on("--report", tmp_path / "r.html", *RESAMPLES)
    assert status == 1 and error.startswith("her2nomogram: interrupted; the model is kept")
    finished = f"{max(after - 5, 0)} of 2 bootstrap replicates"
    assert finished in printed and "it was interrupted" in printed and "Report written" in printed
    model = load_model(tmp_path / "model.json")
    assert model.training["internal_validation"]["interrupted"] is True
    assert any(finished in message for message in quick_report[0].messages)
    assert quick_report[0].model.digest == model.digest


def test_resampling_that_is_not_possible_keeps_model_and_report(train_on, tmp_path, quick_report, monkeypatch):
    def fail(*_, **__):
        raise ValueError("the patients are too few")

    monkeypatch.setattr(training, "validate_internally", fail)
    status, printed, error = train_on("--report", tmp_path / "r.html", *RESAMPLES)
    assert status == 1 and error.startswith("her2nomogram: no internal validation; the model is kept")
    assert "(the patients are too few)" in printed and (tmp_path / "model.json").exists()
    assert quick_report[0].internal is None


def test_report_of_an_interrupted_resampling_says_how_much_is_finished(train_on, tmp_path, monkeypatch):
    @contextmanager
    def bar(title, unit="case"):
        def progress(done, total):
            if done == 6:
                raise KeyboardInterrupt

        yield progress

    monkeypatch.setattr(command_line, "progress_bar", bar)
    assert train_on("--report", tmp_path / "r.html", *RESAMPLES)[0] == 1
    assert "1 of 2 bootstrap replicates" in (tmp_path / "r.html").read_text()


def test_interrupted_training_leaves_nothing(train_on, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(training.RadiomicsNomogram, "fit", stop)
    status, _, error = train_on()
    assert status == 1 and error.startswith("her2nomogram: interrupted;") and list(tmp_path.iterdir()) == []


def test_a_cohort_of_20000(tmp_path):
    """Thirty features: some ten seconds, and memory that grows with the table and not with pairs of cases."""
    resource = pytest.importorskip("resource")
    rng = np.random.default_rng(0)
    her2 = rng.integers(0, 2, 20000)
    names = [
        f"image__{region}__f{i}" for region in ("intratumoral", "peritumoral_5mm", "combined_5mm") for i in range(10)
    ]
    values = rng.normal(size=(20000, 30)).round(4)
    values[:, ::10] += her2[:, np.newaxis]
    with (tmp_path / "cases.csv").open("w") as file:
        file.write("case_id,split,her2,age\n")
        file.writelines(
            f"c{i},{('train', 'train', 'internal_test')[i % 3]},{y},{40 + i % 31}\n" for i, y in enumerate(her2)
        )
    with (tmp_path / "features.csv").open("w") as file:
        file.write(f"case_id,{','.join(names)}\n")
        file.writelines(f"c{i},{','.join(map(str, row))}\n" for i, row in enumerate(values))
    done = python_m(
        "train", tmp_path / "cases.csv", "--features", tmp_path / "features.csv", "--other-software",
        "--out", tmp_path / "model.json", "--clinical", "age", "--regions", "intratumoral,peritumoral_5mm",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert load_model(tmp_path / "model.json").training["cases"]["train"]["n"] == 13334
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    assert peak < 1.5e9


# --- features of other software ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def foreign(features, tmp_path_factory) -> Path:
    """A table of features under names of their own, without a record of how they were made."""
    table = read_features(features / "features.csv")
    names = [name for name in table.columns if "original" in name]
    path = tmp_path_factory.mktemp("foreign") / "radiomics.csv"
    columns = [table.columns.index(name) for name in names]
    rows = [
        f"{case_id},{','.join(map(repr, map(float, row)))}"
        for case_id, row in zip(table.case_ids, table.values[:, columns])
    ]
    path.write_text("\n".join(["case_id," + ",".join(f"texture {i}" for i in range(len(names))), *rows]))
    return path


def test_other_software_from_training_to_validation(foreign, features, tmp_path, run, refuse, quick_report):
    model, cases = tmp_path / "model.json", features / "cases.csv"
    arguments = ("--features", foreign, "--out", model, "--clinical", "age")
    error = refuse("train", cases, *arguments)
    assert "radiomics.json" in error and "--other-software" in error
    assert run("train", cases, *arguments, "--other-software")[0] == 0
    assert load_model(model).extraction is None
    status, printed, _ = run("predict", cases, "--model", model, "--features", foreign, "--out", tmp_path / "p.csv")
    assert status == 0 and "90 of 90 cases" in printed
    status, printed, _ = run(
        "validate", cases, "--model", model, "--features", foreign, "--report", tmp_path / "v.html"
    )
    assert status == 0 and "internal_test" in printed
    assert "other software" in refuse("predict", cases, "--model", model, "--out", tmp_path / "q.csv")
    assert "other software" in refuse("validate", cases, "--model", model, "--report", tmp_path / "w.html")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace(",", ";"), "commas"),
        (lambda text: text.replace("texture 0", "her2"), "what the model predicts"),
        (lambda text: text.replace("texture 0", "low_energy__lesion__mean"), "'low_energy__lesion__mean'"),
        (lambda text: text.replace("texture 0", "texture 1"), "column 'texture 1' twice"),
        (lambda text: text.replace("c07,", "c07,high", 1), "case 'c07', column 'texture 0': 'high"),
        (lambda text: text.replace("case_id", "name"), "first column 'case_id'"),
    ],
)
def test_bad_tables_of_other_software(foreign, features, tmp_path, refuse, change, words):
    table = tmp_path / "radiomics.csv"
    table.write_text(change(foreign.read_text()))
    error = refuse(
        "train", features / "cases.csv", "--features", table, "--other-software", "--out", tmp_path / "m.json",
        "--clinical", "age",
    )  # fmt: skip
    assert words in error


# --- validate ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def trained(features, tmp_path_factory) -> Path:
    """A model trained on the shared features, with a categorical factor."""
    folder = tmp_path_factory.mktemp("trained")
    rewrite(features / "cases.csv", folder / "cases.csv", lambda n, row: row.update(density="ABC"[n // 3 % 3]))
    arguments = ["train", folder / "cases.csv", "--features", features / "features.csv", "--out", folder / "model.json"]
    assert main([*map(str, arguments), "--clinical", "tumor_diameter_mm,density"]) == 0
    return folder


@pytest.fixture
def validation(trained, features, tmp_path):
    """Arguments of a validation of that model."""

    def validation(*arguments, cases=trained / "cases.csv", table=features / "features.csv"):
        report = tmp_path / "v.html"
        return (
            "validate",
            cases,
            "--model",
            trained / "model.json",
            "--features",
            table,
            "--report",
            report,
            *arguments,
        )

    return validation


def test_validate_with_recalibration(validation, trained, features, tmp_path, run):
    new = tmp_path / "new.json"
    status, printed, _ = run(*validation("--recalibrate", "intercept", "--out", new))
    assert status == 0 and "90 of 90 cases" in printed and "internal_test" in printed
    assert "</html>" in (tmp_path / "v.html").read_text() and (tmp_path / "v_files").is_dir()
    assert len(rows_of(tmp_path / "v_predictions.csv")) == 90
    old, new = load_model(trained / "model.json"), load_model(new)
    assert new.signatures == old.signatures and new.nomogram != old.nomogram
    assert new.training["recalibration"]["cohort"] == "cases"


@pytest.mark.parametrize("arguments", [("--recalibrate", "logistic"), ("--out", "new.json")])
def test_recalibration_needs_a_method_and_a_place(validation, refuse, arguments):
    assert "--recalibrate and --out go together" in refuse(*validation(*arguments))


def test_recalibration_that_is_refused_leaves_the_report(validation, trained, tmp_path, run, quick_report):
    cases = rewrite(trained / "cases.csv", tmp_path / "few.csv", lambda number, row: number < 24)
    new = tmp_path / "new.json"
    status, printed, error = run(*validation("--recalibrate", "intercept", "--out", new, cases=cases))
    assert status == 1 and "recalibration needs at least 10 of each" in error and "without recalibration" in error
    assert quick_report[0].recalibrated is None and "Report written" in printed and not new.exists()


def test_validate_refuses_features_of_other_settings(validation, features, tmp_path, refuse):
    table = rewrite(features / "features.csv", tmp_path / "f.csv", lambda number, row: None)
    facts = json.loads((tmp_path / "f.json").read_text())
    facts["extraction"]["setting"]["binCount"] = 8
    (tmp_path / "f.json").write_text(json.dumps(facts))
    assert "other settings" in refuse(*validation(table=table))


def test_an_unknown_category_fails_its_case(validation, trained, tmp_path, run, quick_report):
    def change(number, row):
        row["density"] = "E" if number == 5 else row["density"]

    cases = rewrite(trained / "cases.csv", tmp_path / "c.csv", change)
    status, printed, error = run(*validation(cases=cases))
    assert status == 1 and error.startswith("Case 'c05' failed: Clinical factor 'density' is 'E'")
    assert "A, B and C" in error and "89 of 90 cases" in printed
    assert quick_report[0].excluded[0].case_id == "c05"


def test_predictions_do_not_replace_an_input(validation, features, tmp_path, refuse):
    table = tmp_path / "v_predictions.csv"
    table.write_bytes((features / "features.csv").read_bytes())
    error = refuse(*validation(table=table))
    assert "--report" in error and "v_predictions.csv" in error and "one of the files to be read" in error


def test_a_cohort_without_outcomes(validation, trained, tmp_path, refuse):
    cases = rewrite(trained / "cases.csv", tmp_path / "c.csv", lambda number, row: row.update(her2_ish=""))
    assert "No case has a known HER2 status: fill in" in refuse(*validation(cases=cases))

    def without_columns(number, row):
        del row["her2_ihc"], row["her2_ish"]

    cases = rewrite(trained / "cases.csv", tmp_path / "d.csv", without_columns)
    assert "no column her2, or her2_ihc and her2_ish" in refuse(*validation(cases=cases))


def test_a_renamed_factor_is_refused_and_a_blank_one_is_counted(validation, trained, tmp_path, run, refuse):
    cases = rewrite(trained / "cases.csv", tmp_path / "c.csv", lambda n, row: row.update(Density=row.pop("density")))
    error = refuse(*validation(cases=cases))
    assert "no column 'density'" in error and "(is 'Density' meant?): rename it" in error
    cases = rewrite(trained / "cases.csv", cases, lambda n, row: row.update(density="" if n < 5 else row["density"]))
    status, printed, _ = run(*validation(cases=cases))
    assert status == 0 and "Note: Density was missing in 5 cases and was filled as in training." in printed


def test_a_cohort_without_splits_is_no_training(validation, trained, tmp_path, run):
    # One is left out, which the table of these names by its split.
    changes = {3: {"split": "", "her2_ish": ""}}
    cases = rewrite(trained / "cases.csv", tmp_path / "c.csv", lambda n, row: row.update(changes.get(n, {"split": ""})))
    status, printed, _ = run(*validation(cases=cases))
    assert status == 0 and "\ncohort " in printed and "train " not in printed
    assert "All cases" in (tmp_path / "v.html").read_text()
    assert any("cohort" in path.name for path in (tmp_path / "v_files").iterdir())


@pytest.mark.parametrize("option", ["--report", "--out"])
def test_wrong_endings_are_refused_before_any_work(tmp_path, refuse_training, refuse, validation, no_training, option):
    ending = ".html or .htm" if option == "--report" else ".json"
    assert f"must end in {ending}" in refuse_training(option, tmp_path / "name.pdf")
    arguments = ("--recalibrate", "intercept") if option == "--out" else ()
    assert f"must end in {ending}" in refuse(*validation(option, tmp_path / "name.pdf", *arguments))


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
        "validate": [
            shared / "cases.csv", "--model", shared / "model.json", "--features", shared / "f.csv",
            "--report", folder / "out.html",
        ],
    }  # fmt: skip


INPUTS = [
    ("extract", 0), ("extract", 2), ("predict", 0), ("predict", 2), ("predict", 4), ("train", 0), ("train", 2),
    ("validate", 0), ("validate", 2), ("validate", 4),
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


@pytest.mark.parametrize("command", ["extract", "predict", "train", "validate"])
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


@pytest.mark.parametrize("command", ["extract", "predict", "train", "validate"])
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


@pytest.mark.parametrize("command", ["", "demo", "extract", "train", "validate", "predict"])
def test_help_says_research_use(run, command):
    status, printed, _ = run(*filter(None, [command]), "--help")
    assert status == 0 and "Research use only" in " ".join(printed.split())


def test_version(run):
    assert run("--version")[:2] == (0, f"{__version__}\n")


def python_m(*arguments) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(MODULE_DIRECTORY)}
    command = [sys.executable, "-m", "HER2NomogramLib", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_request_to_end_keeps_what_is_done(shared, tmp_path, run, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)

    @contextmanager
    def bar(title, unit="case"):
        yield lambda done, total: os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(command_line, "progress_bar", bar)
    out = tmp_path / "features.csv"
    status, _, error = run("extract", shared / "cases.csv", "--out", out, "--settings", shared / "fast.yaml")
    assert status == 1 and "interrupted" in error and "features.partial.csv" in error
    assert read_features(tmp_path / "features.partial.csv").case_ids == ("phantom_0001",)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_process_that_the_system_ends_is_one_line(shared, tmp_path):
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(MODULE_DIRECTORY)!r})
from HER2NomogramLib import batch
from HER2NomogramLib.__main__ import main
batch._guarded = lambda work, case, arguments: os.kill(os.getpid(), signal.SIGKILL)
sys.exit(main(sys.argv[1:]))
"""
    given = ["extract", shared / "cases.csv", "--out", tmp_path / "f.csv", "--settings", shared / "fast.yaml"]
    given += ["--jobs", 2]
    run = subprocess.run([sys.executable, "-c", code, *map(str, given)], capture_output=True, text=True, timeout=120)
    assert run.returncode == 2 and "Traceback" not in run.stderr
    assert "her2nomogram: A process was ended from outside" in run.stderr.splitlines()[-1]


@pytest.mark.parametrize("given", ["", " ", ".", "/"])
def test_paths_without_a_name(shared, tmp_path, refuse, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    cases = shared / "cases.csv"
    what = "empty" if not given.strip() else "is a folder"
    for command in (
        ("extract", cases, "--out", given), ("predict", cases, "--out", "p.csv", "--features", given),
        ("extract", cases, "--out", "f.csv", "--settings", given), ("train", cases, "--out", given),
        ("train", cases, "--out", "m.json", "--report", given), ("extract", given, "--out", "f.csv"),
        ("validate", cases, "--model", given, "--report", "r.html"),
        ("associate", cases, "--outcome", "her2", "--predictors", "age", "--report", given),
    ):  # fmt: skip
        line = refuse(*command)
        assert what in line and ("--" in line or "CASES.csv" in line)
    assert "--save-regions is empty" in refuse("extract", cases, "--out", "f.csv", "--save-regions", " ")
    assert "--out is empty" in refuse("demo", "--out", "")
    assert list(tmp_path.iterdir()) == []


def test_every_case_that_failed_is_named_where_all_did(shared, tmp_path, capsys):
    table = broken_table(shared, tmp_path / "cases.csv", broken=2)
    given = ["extract", table, "--out", tmp_path / "f.csv", "--settings", shared / "fast.yaml"]
    assert main([str(argument) for argument in given]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Case")]
    assert [line.split("'")[1] for line in lines] == ["phantom_0001", "phantom_0002"]


def test_a_defect_is_one_line_with_its_place(shared, tmp_path, monkeypatch, run):
    def broken(*_):
        raise KeyError("no such\nthing")

    monkeypatch.setattr(batch, "case_regions", broken)
    status, _, line = run("extract", shared / "cases.csv", "--out", tmp_path / "f.csv")
    assert status == 2 and "KeyError" in line and "no such" in line and "report it" in line
    assert "test_cli.py line" in line and not (tmp_path / "f.csv").exists()


def test_as_a_program(shared, tmp_path):
    out = tmp_path / "features.csv"
    done = python_m("extract", shared / "cases.csv", "--out", out, "--settings", shared / "fast.yaml")
    warned, *said, written = done.stdout.splitlines()
    assert done.returncode == 0 and written == f"2 of 2 cases written to {out}"
    assert warned.startswith("2 of 2 cases have warnings") and any(
        "2 cases: image kind unknown" in line for line in said
    )
    assert "Extracting" in done.stderr and "2/2" in done.stderr
    assert out.read_bytes() == (shared / "f.csv").read_bytes()
    broken = broken_table(shared, tmp_path / "cases.csv")
    some = python_m("extract", broken, "--out", out, "--settings", shared / "fast.yaml")
    assert some.returncode == 1 and "phantom_0001" in some.stderr.splitlines()[-1]
    none = python_m("extract", tmp_path / "none.csv", "--out", out)
    assert (none.returncode, none.stdout) == (2, "")
    assert none.stderr.count("\n") == 1 and "none.csv" in none.stderr
