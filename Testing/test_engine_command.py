"""Engine and problems of features where a user meets them: on the command line and in the files that it writes."""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from models import CALCIFICATIONS, DIAMETER, EXTRACTION, INTRATUMORAL, MEAN, make_logistic, make_model

from HER2NomogramLib import batch, features
from HER2NomogramLib.__main__ import main
from HER2NomogramLib.batch import extract_cases
from HER2NomogramLib.cases import read_cases
from HER2NomogramLib.engine import extraction
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.features import ExtractionSettings
from HER2NomogramLib.mammogram import read_mammogram
from HER2NomogramLib.modelfile import Signature, save_model
from HER2NomogramLib.phantom import make_cohort
from HER2NomogramLib.prediction import case_regions
from HER2NomogramLib.report_facts import _feature_facts
from HER2NomogramLib.tables import read_features

SETTINGS = """\
imageType:
  Original: {}
  LoG:
    sigma: [1.0]
featureClass:
  shape2D:
  firstorder: [Mean]
  glcm: [Contrast, MCC]
setting:
  binCount: 16
"""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Case table of four synthetic cases; the lesion of the second is flat."""
    folder = tmp_path_factory.mktemp("cohort")
    table = make_cohort(folder, {"train": 4}, seed=3)
    (folder / "settings.yaml").write_text(SETTINGS)
    files = read_cases(table)[1].images["image"]
    image, segments = sitk.ReadImage(str(files.image)), sitk.ReadImage(str(files.segmentation))
    pixels, lesion = sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(segments)
    pixels[lesion.reshape(pixels.shape) == 1] = 777
    flat = sitk.GetImageFromArray(pixels)
    flat.CopyInformation(image)
    sitk.WriteImage(flat, str(files.image))
    return table


# Cases of the cohort below: where each has a pixel that is NaN or infinite. The last is zero everywhere.
SPOILED = {"clean": None, "lesion": np.nan, "ring": np.nan, "air": np.nan, "far": np.inf, "zero": None}


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    """Case table of the same synthetic image with other pixels spoiled, which is what the cases are named after."""
    folder = tmp_path_factory.mktemp("spoiled")
    (case,) = read_cases(make_cohort(folder, {"train": 1}, seed=5))
    files = case.images["image"]
    mammogram, lesion = read_mammogram(files.image), sitk.GetArrayFromImage(sitk.ReadImage(str(files.segmentation)))
    lesion = lesion.reshape(mammogram.pixels.shape) == 1
    ring = case_regions(mammogram, lesion, (3.0,))["peritumoral_3mm"].mask
    row, column = (int(index.mean()) for index in np.nonzero(lesion))
    places = {
        "lesion": (row, column),
        # In the middle of the ring, from where the wavelet does not carry it to the lesion.
        "ring": (row, int(np.median(np.flatnonzero(ring[row, :column])))),
        "air": tuple(np.argwhere(~mammogram.breast)[0]),
        "far": tuple(np.argwhere(mammogram.breast)[0]),  # the uppermost
    }
    assert lesion[places["lesion"]] and ring[places["ring"]]
    lines = ["case_id,image,segmentation,tumor_diameter_mm,microcalcifications"]
    for name, value in SPOILED.items():
        pixels = mammogram.pixels.astype(np.float32) * (name != "zero")
        if name in places:
            pixels[places[name]] = value
        image = sitk.GetImageFromArray(pixels[np.newaxis])
        image.CopyInformation(mammogram.image)
        sitk.WriteImage(image, str(folder / f"{name}.nrrd"))
        lines.append(f"{name},{name}.nrrd,{files.segmentation},20,present")
    table = folder / "spoiled.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


@pytest.fixture
def extract(cohort, tmp_path, capsys):
    """Run an extraction; gives status, lines of errors, the table of features and what is recorded with it."""

    def run(*options, change=lambda text: text, table=cohort):
        settings, out = tmp_path / "settings.yaml", tmp_path / "features.csv"
        settings.write_text(change(SETTINGS))
        capsys.readouterr()
        arguments = ["extract", table, "--out", out, "--settings", settings, "--margins", "3", *options]
        status = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        table = read_features(out) if out.exists() else None
        facts = json.loads(out.with_suffix(".json").read_text()) if out.exists() else {}
        return status, [line for line in printed.err.splitlines() if line.startswith(("Case", "Note"))], table, facts

    return run


def found_features(table, case_id):
    """Features of a case that are in the table."""
    return {column: value for column, value in table.row(case_id).items() if math.isfinite(value)}


def test_both_engines_write_the_same_table_and_record_which_it_was(extract):
    status, lines, fast, facts = extract()
    assert status == 0 and facts["engine"] == "fast"
    same_status, same_lines, reference, same_facts = extract("--engine", "pyradiomics")
    assert same_status == 0 and same_facts["engine"] == "pyradiomics"
    assert lines == same_lines and facts["problems"] == same_facts["problems"]
    assert fast.columns == reference.columns and fast.case_ids == reference.case_ids
    np.testing.assert_allclose(fast.values, reference.values, rtol=1e-8, atol=1e-12)
    assert sum(column.endswith("_glcm_MCC") for column in fast.columns) == 2 * 3


def test_warnings_on_images_are_counted_the_rare_ones_first(extract, spoiled, monkeypatch):
    said = []
    monkeypatch.setattr("builtins.print", lambda *words, **_: said.append(" ".join(map(str, words))))
    _, _, _, facts = extract(table=spoiled)
    warned = [name for name, images in facts["cases"].items() if images["image"]["warnings"]]
    (start,) = (place for place, line in enumerate(said) if "have warnings" in line)
    assert said[start].startswith(f"{len(warned)} of {len(facts['cases'])} cases have warnings")
    assert "features.json" in said[start]
    counts = [int(line.split()[0]) for line in said[start + 1 :] if line.startswith("  ") and " case" in line]
    assert counts == [4, 5] and len(warned) == 5
    assert "NaN" in said[start + 1] and "image kind unknown" in said[start + 2]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_flat_lesion_is_flagged_by_name_and_computed(extract, jobs):
    status, lines, table, facts = extract("--jobs", jobs)
    flat = table.case_ids[1]
    assert status == 0 and len(table.case_ids) == 4
    (line,) = lines
    assert f"'{flat}'" in line and "intratumoral" in line and "original" in line and "all pixels are 777" in line
    assert list(facts["problems"]) == [flat] and "777" in facts["problems"][flat][0]
    assert table.row(flat)["image__intratumoral__original_glcm_Contrast"] == 0.0
    assert np.isfinite(table.values).all()


def test_a_filter_that_does_not_fit_is_left_out_and_the_rest_is_written(extract):
    status, lines, table, facts = extract(change=lambda text: text.replace("[1.0]", "[1.0, 900]"))
    assert status == 1 and table.case_ids == tuple(facts["problems"]) and len(table.case_ids) == 4
    (line,) = (line for line in lines if "900" in line)
    assert "too small for a LoG of 900 mm" in line and "and 1 more" in line and "all regions" in line
    assert all(math.isfinite(value) for value in table.row(table.case_ids[0]).values())
    assert not any("900" in column for column in table.columns)


def test_settings_for_pyradiomics_are_noted_once(extract):
    status, lines, table, facts = extract(change=lambda text: text + "  weightingNorm: euclidean\n")
    assert status == 0 and facts["engine"] == "pyradiomics" and len(table.case_ids) == 4
    (line,) = (line for line in lines if line.startswith("Note"))
    assert "weightingNorm" in line and "pyradiomics" in line


def test_an_engine_that_does_not_exist(cohort, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["extract", str(cohort), "--out", str(tmp_path / "f.csv"), "--engine", "quick"])
    assert stopped.value.code == 2
    assert "fast" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["fast", "pyradiomics"])
def test_pixels_that_are_not_finite_spoil_what_they_reach_and_nothing_else(extract, spoiled, engine):
    status, lines, table, facts = extract("--engine", engine, table=spoiled)
    assert status == 1 and table.case_ids == ("clean", "lesion", "ring", "air", "far")
    (line,) = (line for line in lines if "failed" in line)
    assert "'zero'" in line and "zero.nrrd: all pixels of the image are equal (0): there is nothing to measure" in line
    clean, lesion, ring, *others = (found_features(table, case_id) for case_id in table.case_ids)
    everything = set(table.columns)
    log = {column for column in everything if "__log-sigma" in column}
    of_pixels = {column for column in everything if "_firstorder_" in column or "_glcm_" in column}
    with_lesion = {column for column in everything if "__peritumoral_3mm__" not in column}
    assert set(clean) == everything and set(lesion) == everything - log - (of_pixels & with_lesion)
    # The pixel is left out of the rings, so that all but LoG can be computed.
    assert set(ring) == everything - log
    voxels = "image__peritumoral_3mm__diagnostics_VoxelNum"
    assert ring[voxels] == clean[voxels] - 1
    for other in others:
        assert other == {column: value for column, value in clean.items() if column not in log}
    assert lesion.items() <= clean.items()
    for case_id in table.case_ids[1:]:
        warnings = facts["cases"][case_id]["image"]["warnings"]
        assert sum("1 pixel that is NaN or infinite" in warning for warning in warnings) == 1
        assert any("all regions; LoG" in problem for problem in facts["problems"][case_id])
    assert "clean" not in facts["problems"]
    (line,) = (line for line in lines if "pixels are infinite" in line)
    assert "'lesion'" in line and "region intratumoral, combined_3mm; original:" in line and "'ring'" not in line
    (line,) = (line for line in lines if "LoG" in line)
    assert all(name in line for name in ("'lesion'", "'ring'", "'air'", "and 1 more"))


@pytest.mark.parametrize("engine", ["fast", "pyradiomics"])
def test_a_wavelet_is_left_out_where_it_reaches_a_pixel_that_is_not_finite(extract, spoiled, engine):
    def change(text):
        return text.replace("  LoG:\n    sigma: [1.0]\n", "  Wavelet: {}\n")

    _, lines, table, _ = extract("--engine", engine, table=spoiled, change=change)
    wavelets = {column for column in table.columns if "__wavelet" in column}
    missing = set(table.columns) - set(found_features(table, "ring"))
    assert missing == {column for column in wavelets if "__intratumoral__" not in column}
    assert found_features(table, "air") == found_features(table, "far") == found_features(table, "clean")
    (line,) = (line for line in lines if "'ring'" in line)
    assert "region peritumoral_3mm, combined_3mm; wavelet-" in line and "original" not in line


@pytest.mark.parametrize("engine", ["fast", "pyradiomics"])
def test_a_prediction_needs_its_own_features_and_no_others(spoiled, tmp_path, capsys, engine):
    path, out = tmp_path / "model.json", tmp_path / "predictions.csv"
    options = ["--model", path, "--out", out, "--engine", engine]
    nomogram = make_logistic((INTRATUMORAL, DIAMETER, CALCIFICATIONS), (1.0, 0.05, 0.4), -1.5)
    # Of the lesion alone, and of features of the original image out of those that are computed.
    model = make_model(nomogram=nomogram, radiomics=make_logistic((INTRATUMORAL,), (1.2,), -0.5))
    save_model(replace(model, extraction={**EXTRACTION, "imageType": {"Original": {}, "LoG": {"sigma": [1.0]}}}), path)
    status = main([str(argument) for argument in ("predict", spoiled, *options)])
    lines = capsys.readouterr().err.splitlines()
    assert status == 1 and not any("Traceback" in line for line in lines)
    with out.open(newline="") as file:
        predictions = {row["case_id"]: row for row in csv.DictReader(file)}
    assert list(predictions) == ["clean", "ring", "air", "far"]
    of_lesion, of_zero = (line for line in lines if "failed" in line)
    assert "'lesion'" in of_lesion and "intratumoral, original" in of_lesion and "not a number" in of_lesion
    assert "'zero'" in of_zero and "nothing to measure" in of_zero
    assert "NaN" not in predictions["clean"]["warnings"]
    for case_id in ("ring", "air", "far"):
        assert predictions[case_id]["probability"] == predictions["clean"]["probability"]
        assert "1 pixel that is NaN or infinite" in predictions[case_id]["warnings"]


GRAY = "image__intratumoral__original_glcm_Contrast"


def model_of_texture(extraction):
    """A model of two features of the lesion, one of them texture."""
    signature = Signature("image", "intratumoral", (MEAN, GRAY), (1000.0, 10.0), (500.0, 5.0), (0.5, 0.5), 0.0)
    return make_model(
        extraction=extraction,
        margins_mm=(3.0,),
        signatures={"intratumoral": signature},
        nomogram=make_logistic((INTRATUMORAL, DIAMETER), (1.0, 0.05), -1.5),
        radiomics=make_logistic((INTRATUMORAL,), (1.2,), -0.5),
        clinical=make_logistic((DIAMETER,), (0.06,), -2.0),
    )


def predictions_in(path):
    with path.open(newline="") as file:
        return {row["case_id"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("table_of", ["fast", "pyradiomics"])
def test_features_that_mean_little_warn_alike_from_images_and_from_a_table(extract, cohort, tmp_path, table_of):
    _, _, table, facts = extract("--engine", table_of)
    model, images, from_table = tmp_path / "model.json", tmp_path / "images.csv", tmp_path / "table.csv"
    save_model(model_of_texture(facts["extraction"]), model)
    arguments = ["predict", cohort, "--model", model, "--out"]
    assert main([str(argument) for argument in (*arguments, images)]) == 0
    assert main([str(argument) for argument in (*arguments, from_table, "--features", tmp_path / "features.csv")]) == 0
    images, from_table = predictions_in(images), predictions_in(from_table)
    flat = table.case_ids[1]
    for case_id in table.case_ids:
        warned = [sorted(found[case_id]["warnings"].split(" | ")) for found in (images, from_table)]
        assert warned[0] == warned[1]
        flags = [warning for warning in warned[0] if "all pixels are 777" in warning]
        assert len(flags) == (case_id == flat)
        assert float(images[case_id]["probability"]) == pytest.approx(
            float(from_table[case_id]["probability"]), rel=1e-8
        )
    (record,) = facts["cases"][flat]["image"]["problems"]
    assert record["region"] == "intratumoral" and record["image_type"] == "original" and not record["missing"]


def test_a_feature_that_is_missing_is_refused_alike_from_images_and_from_a_table(extract, spoiled, tmp_path, capsys):
    _, _, _, facts = extract(table=spoiled)
    model, out = tmp_path / "model.json", tmp_path / "p.csv"
    save_model(model_of_texture(facts["extraction"]), model)
    said = []
    for given in ((), ("--features", tmp_path / "features.csv")):
        capsys.readouterr()
        assert main([str(argument) for argument in ("predict", spoiled, "--model", model, "--out", out, *given)]) == 1
        said.append([line for line in capsys.readouterr().err.splitlines() if line.startswith("Case 'lesion' failed")])
    assert said[0] == said[1] and "intratumoral, original" in said[0][0]


# --- Where the fast engine cannot be used -----------------------------------------------------------------------------

FAILURES = {
    "old numba": "import sys, types; sys.path.insert(0, {folder!r})",
    "settings of numba": "import os; os.environ['NUMBA_NUM_THREADS'] = '0'",
    "no compilation": """
from numba.core.dispatcher import Dispatcher
from numba.core.errors import TypingError
def fail(*_):
    raise TypingError("no such\\ntype")
Dispatcher.compile = fail""",
    "full disk": """
from numba.core import caching
def fail(*_):
    raise OSError(28, "No space left on device")
caching.IndexDataCacheFile.save = fail""",
    "damaged code on disk": """
import pickle
from numba.core import caching
def fail(*_):
    raise pickle.UnpicklingError("pickle data was truncated")
caching.IndexDataCacheFile.load = fail""",
}


@pytest.mark.parametrize("failure", FAILURES)
def test_any_failure_of_numba_leaves_the_features_to_pyradiomics(extract, cohort, tmp_path, failure):
    (tmp_path / "numba.py").write_text("raise AttributeError('numpy has no attribute long')")
    _, _, expected, facts = extract("--engine", "pyradiomics")
    out = tmp_path / "again.csv"
    code = f"""
import sys
sys.path.insert(0, {str(Path(features.__file__).parents[1])!r})
{FAILURES[failure].format(folder=str(tmp_path))}
from HER2NomogramLib.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
    options = ["--settings", tmp_path / "settings.yaml", "--margins", "3", "--progress", "lines"]
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, "extract", str(cohort), "--out", str(out), *map(str, options)],
        capture_output=True,
        text=True,
        timeout=300,
        # What is on disk would not have to be compiled.
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")} if failure == "full disk" else None,
    )
    assert run.returncode == 0 and "Traceback" not in run.stderr, run.stderr
    (note,) = (line for line in run.stderr.splitlines() if line.startswith("Note"))
    assert "fast feature engine" in note and "pip install numba" in note and note.endswith("takes longer.")
    assert json.loads(out.with_suffix(".json").read_text())["engine"] == "pyradiomics"
    np.testing.assert_array_equal(read_features(out).values, expected.values)


def test_without_any_engine_nothing_is_begun(cohort, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setitem(sys.modules, "radiomics", None)
    monkeypatch.setattr(batch, "load_image", None)
    assert main(["extract", str(cohort), "--out", str(tmp_path / "f.csv"), "--progress", "lines"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "package numba" in line and "pip install numba" in line and "pyradiomics is missing" in line
    assert not list(tmp_path.iterdir())


def test_what_there_is_to_know_is_said_before_the_first_case(cohort, tmp_path, capfd, monkeypatch):
    settings = tmp_path / "settings.yaml"
    settings.write_text(SETTINGS + "  weightingNorm: euclidean\n")
    events = []
    settings_, cases = ExtractionSettings.from_yaml(settings), read_cases(cohort)
    result = extract_cases(
        cases, settings_, (3.0,), tmp_path / "f.csv", progress=lambda *done: events.append(done), say=events.append
    )
    assert (
        events[0] == result.notice and "weightingNorm" in result.notice and events[1:] == [(n, 4) for n in (1, 2, 3, 4)]
    )
    assert result.engine == "pyradiomics" and not any("weightingNorm" in line for line in result.remarks())


@pytest.mark.parametrize("progress", ["lines", "bar"])
def test_preparing_the_engine_is_a_step_of_the_progress(cohort, tmp_path, capsys, monkeypatch, progress):
    warm_up = extraction.warm_up
    monkeypatch.setattr(features, "_SLOW_S", 0.01)
    monkeypatch.setattr(extraction, "warm_up", lambda *given, **more: time.sleep(0.3) or warm_up(*given, **more))
    settings = tmp_path / "settings.yaml"
    settings.write_text(SETTINGS)
    arguments = ["extract", cohort, "--out", tmp_path / "f.csv", "--settings", settings, "--progress", progress]
    assert main([str(argument) for argument in arguments]) == 0
    printed = capsys.readouterr()
    if progress == "lines":
        assert printed.out.splitlines()[:2] == [f"progress: {features.COMPILING}: 0/1", "progress: Extracting: 1/4"]
    else:
        assert f"{features.COMPILING} ..." in printed.err


# --- The engine as an option and in the files -------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["train", "predict", "validate"])
def test_an_engine_is_refused_where_features_are_given(cohort, tmp_path, capsys, command):
    model = tmp_path / "model.json"
    save_model(make_model(), model)
    given = {
        "train": ["--out", tmp_path / "new.json"],
        "predict": ["--model", model, "--out", tmp_path / "p.csv"],
        "validate": ["--model", model, "--report", tmp_path / "r.html"],
    }[command]
    arguments = [command, cohort, "--features", tmp_path / "f.csv", "--engine", "fast", *given]
    assert main([str(argument) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--engine" in line and "--features" in line


@pytest.mark.parametrize("command", ["train", "predict", "validate"])
def test_every_command_hands_the_engine_on(cohort, tmp_path, monkeypatch, command):
    reached = []

    def prepare(settings, engine, say, jobs):
        reached.append((engine, jobs))
        raise InputError("far enough")

    monkeypatch.setattr(batch, "prepare_engine", prepare)
    model, table = tmp_path / "model.json", tmp_path / "cases.csv"
    save_model(model_of_texture(EXTRACTION), model)
    files = read_cases(cohort)[0].images["image"]
    lines = [f"{n},{files.image},{files.segmentation},{n % 2},{10 + n}" for n in range(40)]
    table.write_text("case_id,image,segmentation,her2,tumor_diameter_mm\n" + "\n".join(lines) + "\n")
    given = {
        "train": ["--out", tmp_path / "new.json"],
        "predict": ["--model", model, "--out", tmp_path / "p.csv"],
        "validate": ["--model", model, "--report", tmp_path / "r.html"],
    }[command]
    main([str(argument) for argument in (command, table, "--engine", "pyradiomics", "--jobs", 3, *given)])
    assert reached == [("pyradiomics", 3)]


@pytest.mark.parametrize(
    ("software", "begins"),
    [
        ({"feature engine": "fast", "pyradiomics": "3.0.1"}, "This software's own compiled code with the same values"),
        ({"feature engine": "pyradiomics", "pyradiomics": "3.0.1"}, "pyradiomics 3.0.1 in two dimensions"),
        ({"pyradiomics": "3.0.1"}, "pyradiomics 3.0.1 in two dimensions"),
        ({}, "pyradiomics in two dimensions"),
        ({"feature engine": "fast, pyradiomics", "pyradiomics": "3.0.1"}, "This software's own compiled code"),
    ],
)
def test_the_report_says_what_computed_the_features(software, begins):
    said = _feature_facts(make_model(software=software))["extraction"]
    assert said.startswith(begins)
    assert ("3.0.1" in said) == (software.get("feature engine") != "fast" and bool(software))
