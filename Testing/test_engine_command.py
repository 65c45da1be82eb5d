"""Engine and problems of features where a user meets them: on the command line and in the files that it writes."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import SimpleITK as sitk

from HER2NomogramLib.__main__ import main
from HER2NomogramLib.cases import read_cases
from HER2NomogramLib.phantom import make_cohort
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


@pytest.fixture
def extract(cohort, tmp_path, capsys):
    """Run an extraction; gives status, lines of errors, the table of features and what is recorded with it."""

    def run(*options, change=lambda text: text):
        settings, out = tmp_path / "settings.yaml", tmp_path / "features.csv"
        settings.write_text(change(SETTINGS))
        capsys.readouterr()
        arguments = ["extract", cohort, "--out", out, "--settings", settings, "--margins", "3", *options]
        status = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        table = read_features(out) if out.exists() else None
        facts = json.loads(out.with_suffix(".json").read_text()) if out.exists() else {}
        return status, [line for line in printed.err.splitlines() if line.startswith(("Case", "Note"))], table, facts

    return run


def test_both_engines_write_the_same_table_and_record_which_it_was(extract):
    status, lines, fast, facts = extract()
    assert status == 0 and facts["engine"] == "fast"
    same_status, same_lines, reference, same_facts = extract("--engine", "pyradiomics")
    assert same_status == 0 and same_facts["engine"] == "pyradiomics"
    assert lines == same_lines and facts["problems"] == same_facts["problems"]
    assert fast.columns == reference.columns and fast.case_ids == reference.case_ids
    np.testing.assert_allclose(fast.values, reference.values, rtol=1e-8, atol=1e-12)
    assert sum(column.endswith("_glcm_MCC") for column in fast.columns) == 2 * 3


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
    assert "too small for a LoG of 900 mm" in line and "and 1 more" in line and "intratumoral" in line
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
