"""The model file: exact round trip, refusal of everything damaged, and what a model computes."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import refusal_by
from hypothesis import given, settings
from hypothesis import strategies as st
from models import (
    AGE,
    CALCIFICATIONS,
    DENSITY,
    DIAMETER,
    ENTROPY,
    FOREIGN_ROW,
    INTRATUMORAL,
    MEAN,
    ROW,
    make_density_model,
    make_foreign_model,
    make_logistic,
    make_model,
)

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.modelfile import (
    LogisticModel,
    Predictor,
    Signature,
    default_model_path,
    expit,
    load_model,
    save_model,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture
def path(tmp_path) -> Path:
    """A valid model file."""
    path = tmp_path / "model.json"
    save_model(make_model(), path)
    return path


def rewrite(path: Path, content: dict) -> None:
    """Write content with a digest that is right, so that only the content itself can be refused."""
    content = {key: value for key, value in content.items() if key != "digest"}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    content["digest"] = "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
    path.write_text(json.dumps(content), encoding="utf-8")


refusal = partial(refusal_by, load_model)


def changed(path: Path, change) -> str:
    """Message with which the file is refused once ``change`` was made to its content."""
    content = json.loads(path.read_text())
    change(content)
    rewrite(path, content)
    return refusal(path)


# --- round trip -------------------------------------------------------------------------------------------------------


def test_round_trip_is_exact(path):
    assert load_model(path) == make_model()


@settings(max_examples=60, deadline=None)
@given(
    intercept=FINITE,
    means=st.tuples(FINITE, FINITE),
    scales=st.tuples(*[st.floats(min_value=5e-324, allow_infinity=False)] * 2),
    coefficients=st.tuples(FINITE, FINITE),
    cutoff=st.floats(0, 1, exclude_min=True, exclude_max=True),
)
def test_every_finite_number_survives_the_round_trip(intercept, means, scales, coefficients, cutoff):
    model = make_model()
    signature = replace(
        model.signatures["intratumoral"], intercept=intercept, means=means, scales=scales, coefficients=coefficients
    )
    model = replace(
        model,
        signatures={**model.signatures, "intratumoral": signature},
        nomogram=replace(model.nomogram, cutoff=cutoff, intercept=intercept),
    )
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder) / "model.json")
        assert load_model(Path(folder) / "model.json") == model


def test_name_in_any_script_survives(tmp_path):
    model = make_model(name='Modell "Brust", 乳腺 \n\t\\')
    save_model(model, tmp_path / "model.json")
    assert load_model(tmp_path / "model.json").name == model.name


def test_whole_numbers_of_a_model_become_the_same_floats(tmp_path):
    save_model(make_model(margins_mm=(5, 10), spacing_range_mm=(1, 1)), tmp_path / "model.json")
    loaded = load_model(tmp_path / "model.json")
    assert loaded.margins_mm == (5.0, 10.0) and all(isinstance(margin, float) for margin in loaded.margins_mm)


def test_model_without_clinical_factors_and_with_an_empty_signature(tmp_path):
    model = make_model()
    empty = Signature("image", "peritumoral_5mm", (), (), (), (), 0.3)
    model = replace(
        model,
        signatures={**model.signatures, "peritumoral_5mm": empty},
        nomogram=make_logistic((INTRATUMORAL,), (1.0,)),
        radiomics=make_logistic((INTRATUMORAL,), (1.0,)),
        clinical=make_logistic((), ()),
    )
    save_model(model, tmp_path / "model.json")
    loaded = load_model(tmp_path / "model.json")
    assert loaded == model and loaded.clinical_predictors == ()
    assert loaded.signatures["peritumoral_5mm"].rad_score({}) == 0.3


@pytest.mark.parametrize("make", [make_density_model, make_foreign_model])
def test_round_trip_of_levels_fills_and_features_of_other_software(tmp_path, make):
    save_model(make(), tmp_path / "model.json")
    assert load_model(tmp_path / "model.json") == make()


def test_file_is_plain_json_that_says_what_it_is(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["format"] == "HER2Nomogram model" and content["format_version"] == 2
    assert content["digest"].startswith("sha256:")


def test_digest_does_not_depend_on_the_layout_of_the_file(path):
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(content.items())), indent=7))
    assert load_model(path) == make_model()


def test_model_that_is_shipped_loads_and_says_what_it_is():
    model = load_model(default_model_path())
    assert model.demonstration and model.notice.startswith("DEMONSTRATION MODEL")


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_missing_file(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.json")


def test_folder_in_place_of_the_file(tmp_path):
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"not json", b"\xff\xfe\x00", b"[" * 100_000],
    ids=["empty", "cut", "text", "binary", "nested"],
)
def test_file_that_is_not_json(path, content):
    path.write_bytes(content)
    assert "not readable JSON" in refusal(path)


def test_model_file_that_was_cut_off(path):
    whole = path.read_bytes()
    for length in (1, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:length])
        assert "damaged" in refusal(path)


@pytest.mark.parametrize("content", ["[]", "3", "null", "{}", '{"format": "something else"}'])
def test_json_of_another_sort(path, content):
    path.write_text(content)
    assert "not a HER2Nomogram model" in refusal(path)


@pytest.mark.parametrize("version", [0, 1, 3, "2", None])
def test_other_format_version(path, version):
    message = changed(path, lambda content: content.update(format_version=version))
    assert f"format version {version!r}, this software reads version 2" in message


def test_format_version_that_only_equals_two(path):
    assert "expected type" in changed(path, lambda content: content.update(format_version=2.0))


@pytest.mark.parametrize(
    ("before", "after"),
    [('"intercept": -1.5', '"intercept": -1.4'), ("Test model", "Best model"), ("true", "false"), ("0.25", "0.250001")],
)
def test_altered_entry_does_not_match_the_digest(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    assert "digest" in refusal(path)


def test_missing_digest(path):
    content = json.loads(path.read_text())
    del content["digest"]
    path.write_text(json.dumps(content))
    assert "digest" in refusal(path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 400])
def test_number_that_is_not_finite(path, number):
    text = path.read_text()
    assert '"cutoff": 0.4' in text
    path.write_text(text.replace('"cutoff": 0.4', f'"cutoff": {number}', 1))
    assert "not readable JSON" in refusal(path)


# Where the objects of a model file are whose entries are fixed.
OBJECTS = [
    (),
    ("signatures", "intratumoral"),
    ("signatures", "peritumoral_5mm"),
    *((name,) for name in ("nomogram", "radiomics", "clinical")),
    ("nomogram", "predictors", 0),
    ("nomogram", "predictors", 3),
    ("clinical", "predictors", 1),
]
IDS = [".".join(map(str, place)) or "top" for place in OBJECTS]


def at(content: dict, place: tuple):
    for step in place:
        content = content[step]
    return content


@pytest.fixture
def content(path) -> dict:
    return json.loads(path.read_text())


@pytest.mark.parametrize("place", OBJECTS, ids=IDS)
def test_every_missing_entry_is_refused(path, content, place):
    keys = [key for key in at(content, place) if key != "digest"]
    assert len(keys) >= 5
    for key in keys:
        damaged = copy.deepcopy(content)
        del at(damaged, place)[key]
        rewrite(path, damaged)
        message = refusal(path)
        assert key in message or key.startswith("format"), key


@pytest.mark.parametrize("place", OBJECTS, ids=IDS)
def test_every_unknown_entry_is_refused(path, content, place):
    at(content, place)["surprise"] = 1
    rewrite(path, content)
    assert "surprise" in refusal(path)


def _others(value: object) -> list:
    """Values of all JSON types but that of ``value``."""
    samples = {"bool": True, "text": "0.5", "number": 0.5, "list": [0.5], "object": {"a": 0.5}, "null": None}
    own = {bool: "bool", str: "text", int: "number", float: "number", list: "list", dict: "object", type(None): "null"}
    return [sample for name, sample in samples.items() if name != own[type(value)]]


@pytest.mark.parametrize("place", OBJECTS, ids=IDS)
def test_every_mistyped_entry_is_refused(path, content, place):
    optional = {"kind", "presentation", "fill"}
    for key, value in at(content, place).items():
        if key == "digest":
            continue
        for wrong in _others(value):
            # Null is right for these, and text or a number where the entry is null; another text than the known is
            # refused, and a number of a Rad-score too.
            if key in optional and wrong is None:
                continue
            if key == "fill" and wrong == 0.5 and at(content, place)["source"] == "clinical":
                continue
            damaged = copy.deepcopy(content)
            at(damaged, place)[key] = wrong
            rewrite(path, damaged)
            refusal(path)


@pytest.mark.parametrize(
    "place",
    [
        ("margins_mm",),
        ("spacing_range_mm",),
        *(("signatures", "intratumoral", key) for key in ("features", "means", "scales", "coefficients")),
        ("nomogram", "coefficients"),
        ("nomogram", "covariance"),
        ("nomogram", "covariance", 0),
        ("nomogram", "predictors"),
        ("nomogram", "predictors", 3, "levels"),
    ],
    ids=lambda place: ".".join(map(str, place)),
)
def test_every_mistyped_element_is_refused(path, content, place):
    for wrong in _others(at(content, place)[0]):
        damaged = copy.deepcopy(content)
        at(damaged, place)[0] = wrong
        rewrite(path, damaged)
        refusal(path)


@pytest.mark.parametrize("key", ["features", "means", "scales", "coefficients"])
@pytest.mark.parametrize("longer", [False, True])
def test_lists_of_a_signature_must_be_equally_long(path, key, longer):
    def change(content):
        values = content["signatures"]["intratumoral"][key]
        values.append("image__intratumoral__x" if key == "features" else 1.0) if longer else values.pop()

    assert "intratumoral" in changed(path, change)


@pytest.mark.parametrize("change", [list.pop, lambda values: values.append(0.1)], ids=["shorter", "longer"])
@pytest.mark.parametrize("place", [("coefficients",), ("covariance", 2)], ids=["coefficients", "covariance row"])
def test_coefficients_and_covariance_must_fit_the_predictors(path, place, change):
    assert "nomogram" in changed(path, lambda content: change(at(content["nomogram"], place)))


def test_covariance_with_a_row_too_few_or_too_many(path, content):
    for rows in (content["nomogram"]["covariance"][:-1], content["nomogram"]["covariance"] + [[0.0] * 5], []):
        damaged = copy.deepcopy(content)
        damaged["nomogram"]["covariance"] = rows
        rewrite(path, damaged)
        assert "covariance" in refusal(path)


@pytest.mark.parametrize(
    "entries",
    [{(1, 1): -0.01}, {(0, 1): 0.05}, {(0, 1): 0.05, (1, 0): 0.05}],
    ids=["negative variance", "not symmetric", "correlation above 1"],
)
def test_matrix_that_is_no_covariance(path, entries):
    def change(content):
        for (i, j), value in entries.items():
            content["nomogram"]["covariance"][i][j] = value

    assert "covariance" in changed(path, change)


@pytest.mark.parametrize("cutoff", [0, 1, -0.1, 1.1])
def test_cutoff_out_of_range(path, cutoff):
    assert "cut-off" in changed(path, lambda content: content["radiomics"].update(cutoff=cutoff))


def test_signature_of_a_region_that_the_margins_do_not_make(path):
    assert "peritumoral_5mm" in changed(path, lambda content: content.update(margins_mm=[6, 10]))


@pytest.mark.parametrize("margins", [[], [5, 5], [0.1], [31], [-5]])
def test_impossible_margins(path, margins):
    assert "argins" in changed(path, lambda content: content.update(margins_mm=margins))


@pytest.mark.parametrize("name", ["nomogram", "radiomics"])
def test_predictor_without_its_signature(path, name):
    def change(content):
        content[name]["predictors"][1]["name"] = "peritumoral_10mm"

    message = changed(path, change)
    assert "peritumoral_10mm" in message and name in message


@pytest.mark.parametrize(
    "feature",
    [
        "image__combined_5mm__original_firstorder_Mean",
        "low_energy__intratumoral__original_firstorder_Mean",
        "original_firstorder_Mean",
    ],
)
def test_feature_of_another_region_or_image(path, feature):
    def change(content):
        content["signatures"]["intratumoral"]["features"][0] = feature

    assert "another image or region" in changed(path, change)


def test_feature_twice_in_a_signature(path):
    def change(content):
        content["signatures"]["intratumoral"]["features"][1] = MEAN

    assert "features" in changed(path, change)


def test_signature_under_the_name_of_another_region(path):
    def change(content):
        content["signatures"]["combined_5mm"] = content["signatures"].pop("peritumoral_5mm")

    assert "peritumoral_5mm" in changed(path, change)


@pytest.mark.parametrize("scale", [0, -1.0])
def test_scale_that_is_not_positive(path, scale):
    def change(content):
        content["signatures"]["intratumoral"]["scales"][0] = scale

    assert "scale" in changed(path, change)


@pytest.mark.parametrize(
    "extraction",
    [
        {"imageType": {"Orignal": {}}},
        {"featureClass": {"shape": []}},
        {"setting": {"binwidth": 5}},
        {"setting": {"binCount": 0}},
        {"setting": {"force2D": False}},
        {"imageType": {"LoG": {}}},
        {"unknown": {}},
        {"imageType": 3},
        {"imageType": {"Original": 3}},
    ],
    ids=str,
)
def test_bad_extraction_settings(path, extraction):
    assert "extraction" in changed(path, lambda content: content.update(extraction=extraction))


@pytest.mark.parametrize(
    "entries", [{"kind": "RECOMBINED"}, {"presentation": "FOR SHOW"}], ids=["kind", "presentation"]
)
def test_kind_and_presentation_must_be_known(path, entries):
    (name,) = entries
    assert name in changed(path, lambda content: content.update(entries))


@pytest.mark.parametrize("spacing", [[0.2, 0.1], [0, 0.1], [-0.2, -0.1]])
def test_spacing_range_must_be_one(path, spacing):
    assert "spacing" in changed(path, lambda content: content.update(spacing_range_mm=spacing))


@pytest.mark.parametrize(
    "entries",
    [
        {"source": "laboratory"},
        {"levels": ["one"], "minimum": 0, "maximum": 0},
        {"levels": ["one"], "minimum": 0, "maximum": 1},
        {"levels": ["a", "b", "c"], "minimum": 0, "maximum": 1},
        {"levels": ["a", "b"], "minimum": 0, "maximum": 2},
        {"levels": ["a", "b"], "minimum": -1, "maximum": 1},
        {"minimum": 40},
        {"minimum": 41},
        {"levels": ["no", "yes"]},
    ],
    ids=[
        "source", "one level", "one level from 0 to 1", "three levels", "two levels to 2", "levels from -1",
        "empty range", "reversed range", "binary from 8 to 40",
    ],
)  # fmt: skip
def test_predictor_that_makes_no_sense(path, entries):
    assert "tumor_diameter_mm" in changed(path, lambda content: content["nomogram"]["predictors"][2].update(entries))


@pytest.fixture
def density_path(tmp_path) -> Path:
    """A valid model file with a factor of four levels and two factors that may be missing."""
    path = tmp_path / "density.json"
    save_model(make_density_model(), path)
    return path


def density_of(content: dict) -> list[dict]:
    """The predictor of four levels in the models that have it."""
    return [p for name in ("nomogram", "clinical") for p in content[name]["predictors"] if p["name"] == DENSITY.name]


@pytest.mark.parametrize(
    "levels",
    [["A", "B", "C", "c"], ["A", "B", "C", " C"], ["A", "B", "C", " "], ["A", "B", "C", "NA"]],
    ids=["other case", "a space", "blank", "missing value"],
)
def test_levels_that_cases_cannot_name(density_path, levels):
    def change(content):
        for predictor in density_of(content):
            predictor["levels"] = levels

    assert "'breast_density' has levels that cannot be told apart" in changed(density_path, change)


def test_level_twice(density_path):
    def change(content):
        for predictor in density_of(content):
            predictor["levels"] = ["A", "B", "C", "C"]

    assert "different texts" in changed(density_path, change)


@pytest.mark.parametrize("fill", [-1, 4, 0.5, 1.999])
def test_fill_that_is_no_level(density_path, fill):
    def change(content):
        for predictor in density_of(content):
            predictor["fill"] = fill

    assert "breast_density" in changed(density_path, change)


def test_rad_score_has_neither_fill_nor_levels(density_path):
    for entries in ({"fill": 0.0}, {"levels": ["low", "high"], "minimum": 0, "maximum": 1}):
        content = json.loads(density_path.read_text())
        content["nomogram"]["predictors"][0].update(entries)
        rewrite(density_path, content)
        assert "'intratumoral'" in refusal(density_path)


@pytest.mark.parametrize("entries", [{"fill": 1.0}, {"fill": None}, {"levels": ["D", "C", "B", "A"]}], ids=str)
def test_factor_that_differs_between_models(density_path, entries):
    message = changed(density_path, lambda content: content["clinical"]["predictors"][0].update(entries))
    assert "'breast_density' has two sets" in message


@pytest.mark.parametrize("change", [list.pop, lambda values: values.append(0.1)], ids=["shorter", "longer"])
@pytest.mark.parametrize("place", [("coefficients",), ("covariance", 3), ("covariance",)], ids=str)
def test_every_level_but_the_reference_has_a_coefficient(density_path, place, change):
    assert "nomogram" in changed(density_path, lambda content: change(at(content["nomogram"], place)))


def test_predictor_twice(path):
    def change(content):
        content["nomogram"]["predictors"][3] = content["nomogram"]["predictors"][2]

    assert "twice" in changed(path, change)


@pytest.mark.parametrize(("model", "other"), [("radiomics", "clinical"), ("clinical", "radiomics")])
def test_predictor_in_the_wrong_model(path, model, other):
    def change(content):
        content[model] = content[other]

    assert f"does not belong in the {model} model" in changed(path, change)


def test_clinical_factor_of_the_radiomics_model_alone(path):
    def change(content):
        content["radiomics"]["predictors"][1].update(name="age", source="clinical")

    assert "'age' does not belong in the radiomics model" in changed(path, change)


@pytest.mark.parametrize(
    "entries",
    [
        {"margins_mm": [5]},
        {"kind": "recombined"},
        {"presentation": "FOR PROCESSING"},
        {"spacing_range_mm": [0.1, 0.2]},
    ],
    ids=lambda entries: next(iter(entries)),
)
def test_model_without_extraction_settings_says_nothing_of_images(tmp_path, entries):
    save_model(make_foreign_model(), tmp_path / "model.json")
    assert "without extraction settings" in changed(tmp_path / "model.json", lambda content: content.update(entries))


@pytest.mark.parametrize("column", ["image__another__mean", "low_energy__whole lesion__mean", "a__b__c"])
def test_column_of_other_software_that_names_another_region_or_image(tmp_path, column):
    def change(content):
        content["signatures"]["whole lesion"]["features"][1] = column

    save_model(make_foreign_model(), tmp_path / "model.json")
    assert "another image or region" in changed(tmp_path / "model.json", change)


@pytest.mark.parametrize("region", ["", "  "])
def test_region_without_a_name(tmp_path, region):
    def change(content):
        signature = {**content["signatures"].pop("whole lesion"), "region": region}
        for key in ("features", "means", "scales", "coefficients"):
            signature[key] = []
        content["signatures"][region] = signature
        for name in ("nomogram", "radiomics"):
            content[name]["predictors"][0]["name"] = region

    save_model(make_foreign_model(), tmp_path / "model.json")
    assert "without a name" in changed(tmp_path / "model.json", change)


@pytest.mark.parametrize(
    ("entry", "value", "words"),
    [
        ("extraction", None, "without extraction settings"),
        ("spacing_range_mm", None, "spacing range is missing"),
        ("margins_mm", [], "Margins"),
    ],
)
def test_model_of_images_needs_all_that_is_said_of_them(path, entry, value, words):
    assert words in changed(path, lambda content: content.update({entry: value}))


# --- saving -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_model_that_is_not_finite_is_not_saved(path, value):
    before = path.read_bytes()
    nomogram = replace(make_model().nomogram, intercept=value)
    with pytest.raises(InputError, match="not finite"):
        save_model(make_model(nomogram=nomogram), path)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def test_model_that_would_not_load_is_not_saved(tmp_path):
    nomogram = replace(make_model().nomogram, cutoff=1.0)
    with pytest.raises(InputError, match="cut-off"):
        save_model(make_model(nomogram=nomogram), tmp_path / "model.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", ["os.replace", "pathlib.Path.write_text"])
def test_failure_while_writing_leaves_the_old_model(path, monkeypatch, failing):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr(failing, full)
    with pytest.raises(InputError, match="No space left"):
        save_model(make_model(name="Another"), path)
    monkeypatch.undo()
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


# --- what a model computes --------------------------------------------------------------------------------------------


def test_rad_score_and_contributions_by_hand():
    signature = make_model().signatures["intratumoral"]
    assert signature.rad_score(ROW) == pytest.approx(0.1 + 0.5 * 1.0 - 0.25 * -2.0, abs=1e-15)
    first, second = signature.selected({**ROW, ENTROPY: 3.0})
    # The larger contribution comes first, whatever the order in the file.
    assert (first.column, first.feature, first.region) == (ENTROPY, "original_firstorder_Entropy", "intratumoral")
    assert (first.value, first.standardized, first.coefficient, first.contribution) == (3.0, -4.0, -0.25, 1.0)
    assert (second.column, second.standardized, second.contribution) == (MEAN, 1.0, 0.5)


def test_clinical_predictors_of_all_models_once_and_in_order():
    age = Predictor("age", "clinical", "Age", "years", 30.0, 80.0)
    clinical = make_logistic((age, DIAMETER), (0.01, 0.05))
    assert make_model(clinical=clinical).clinical_predictors == (DIAMETER, CALCIFICATIONS, age)
    assert make_model().regions == ("intratumoral", "peritumoral_5mm")


def test_notice_says_demonstration_only_of_a_demonstration_model():
    assert make_model().notice.startswith("DEMONSTRATION MODEL, trained on synthetic images")
    assert make_model(demonstration=False).notice == "Research use only, not for clinical decisions."


@pytest.mark.parametrize(
    ("text", "number"), [("23", 23.0), (" 23.5 ", 23.5), (23, 23.0), (np.float64(2.5), 2.5), ("1e1", 10)]
)
def test_parse_number(text, number):
    assert DIAMETER.parse(text) == number


@pytest.mark.parametrize("text", ["", "  ", None, "nan", math.nan, "None"])
@pytest.mark.parametrize("predictor", [DIAMETER, CALCIFICATIONS], ids=["number", "binary"])
def test_parse_missing(predictor, text):
    with pytest.raises(InputError, match=f"'{predictor.name}'.*missing"):
        predictor.parse(text)


@pytest.mark.parametrize("text", ["23 mm", "2,3", "large", "inf", "-inf", True])
def test_parse_what_is_no_number(text):
    with pytest.raises(InputError, match="tumor_diameter_mm.*one number in mm"):
        DIAMETER.parse(text)


def test_parse_what_is_no_number_of_a_factor_without_unit():
    with pytest.raises(InputError, match="one number without unit"):
        replace(DIAMETER, unit="").parse("large")


@pytest.mark.parametrize(
    ("given_", "number"),
    [("absent", 0), ("Present", 1), (" PRESENT ", 1), ("0", 0), ("1", 1), (0, 0), (1, 1), (1.0, 1), ("0.0", 0)],
)
def test_parse_binary(given_, number):
    assert CALCIFICATIONS.parse(given_) == number


@pytest.mark.parametrize("given_", ["2", "yes", "0.5", "-1", "presentt"])
def test_parse_binary_that_is_neither(given_):
    with pytest.raises(InputError, match=r"absent \(0\) or present \(1\)"):
        CALCIFICATIONS.parse(given_)


@pytest.mark.parametrize("given_, number", [("A", 0), ("d", 3), (" C ", 2)])
def test_parse_one_of_four_levels(given_, number):
    assert DENSITY.parse(given_) == number


@pytest.mark.parametrize("given_", ["E", "0", "1", 2, "AB", "c/d"])
def test_parse_level_that_the_model_does_not_know(given_):
    with pytest.raises(InputError, match=rf"'breast_density' is '{given_}'.*A, B, C and D"):
        DENSITY.parse(given_)


@pytest.mark.parametrize(
    ("levels", "given_", "index"),
    [
        (("0", "1"), "1", 1),
        (("0", "1"), "0.0", 0),
        (("1", "2", "3"), "1", 0),
        (("1", "2", "3"), "3.0", 2),  # what a spreadsheet makes of a grade
        (("1", "2"), "1", 0),
        (("0", "1+", "2+", "3+"), 0.0, 0),
    ],
)
def test_parse_levels_that_are_named_by_numbers(levels, given_, index):
    assert replace(DENSITY, levels=levels, maximum=len(levels) - 1.0).parse(given_) == index


@pytest.mark.parametrize(
    ("levels", "given_"), [(("1", "2", "3"), "0"), (("1", "2"), "0"), (("1", "2"), "1.5"), (("0", "1+", "2+"), "1")]
)
def test_number_is_no_index_where_levels_are_named_by_numbers(levels, given_):
    with pytest.raises(InputError, match=f"is '{given_}': the model knows {levels[0]}.* and"):
        replace(DENSITY, levels=levels, maximum=len(levels) - 1.0).parse(given_)


def test_missing_value_is_refused_by_parse_even_with_a_fill():
    for predictor in (DENSITY, AGE):
        with pytest.raises(InputError, match=f"'{predictor.name}'.*missing"):
            predictor.parse("")


def test_values_as_text():
    assert [DENSITY.text(value) for value in (0.0, 3)] == ["A", "D"]
    assert [DIAMETER.text(value) for value in (20.0, 23.456)] == ["20 mm", "23.46 mm"]
    assert replace(AGE, unit="%").text(14.0) == "14%" and INTRATUMORAL.text(-0.5) == "-0.5"
    assert DENSITY.fill_text == "C (the most frequent level of the training cases)"
    assert AGE.fill_text == "52 years (median of the training cases)"


@pytest.mark.parametrize("value", [-1.0, 4.0, 0.5, math.nan])
def test_value_that_is_no_level(value):
    for use in (DENSITY.text, lambda v: make_density_model().nomogram.effect(DENSITY, v)):
        with pytest.raises(ValueError, match="no level of 'breast_density'"):
            use(value)


def test_width_is_the_number_of_coefficients():
    assert [p.width for p in (DIAMETER, CALCIFICATIONS, DENSITY)] == [1, 1, 3]


@pytest.mark.parametrize(("level", "columns"), [(0, [0, 0, 0]), (1, [1, 0, 0]), (2, [0, 1, 0]), (3, [0, 0, 1])])
def test_design_and_log_odds_of_every_level_by_hand(level, columns):
    logistic = make_density_model().nomogram
    values = {"intratumoral": 1.5, "breast_density": float(level), "age": 60.0}
    assert logistic.design(values).tolist() == [1.0, 1.5, *columns, 60.0]
    effect = [0.0, 0.5, 1.5, -0.5][level]
    assert logistic.effect(DENSITY, level) == effect and logistic.effect(AGE, 60.0) == pytest.approx(0.6)
    assert logistic.linear_predictor(values) == pytest.approx(-1.0 + 1.5 + effect + 0.6, abs=1e-15)
    variance = 0.04 + 1.5**2 * 0.01 + [0.0, 0.02, 0.03, 0.05][level] + 60**2 * 0.0001
    low = logistic.linear_predictor(values) - 1.959963984540054 * math.sqrt(variance)
    assert logistic.interval(values)[0] == pytest.approx(1 / (1 + math.exp(-low)), abs=1e-12)


def test_levels_equal_the_treatment_coding_of_statsmodels():
    import statsmodels.api as sm

    rng = np.random.default_rng(7)
    level, number = rng.integers(0, 4, 200), rng.normal(size=200)
    x = np.column_stack([np.ones(200), number, *(level == k for k in (1, 2, 3))])
    y = rng.random(200) < 1 / (1 + np.exp(-(x @ [-0.5, 0.7, 0.4, -0.8, 1.1])))
    result = sm.GLM(y.astype(float), x, family=sm.families.Binomial()).fit(tol=1e-14)
    predictors = (replace(DIAMETER, name="number", minimum=-9.0, maximum=9.0), DENSITY)
    covariance = tuple(map(tuple, result.cov_params().tolist()))
    model = LogisticModel(predictors, float(result.params[0]), tuple(result.params[1:].tolist()), covariance, 0.5)
    frame = result.get_prediction(x).summary_frame()
    for row in range(0, 200, 10):
        values = {"number": number[row], "breast_density": level[row]}
        expected = frame.iloc[row]
        assert model.probability(values) == pytest.approx(expected["mean"], rel=1e-10)
        assert model.interval(values) == pytest.approx((expected["mean_ci_lower"], expected["mean_ci_upper"]), rel=1e-9)


def test_rad_score_of_a_region_of_other_software():
    (signature,) = make_foreign_model().signatures.values()
    assert signature.rad_score(FOREIGN_ROW) == pytest.approx(1.1)
    assert [feature.feature for feature in signature.selected(FOREIGN_ROW)] == ["mean gray", "entropy (bits)"]


@pytest.fixture(scope="module")
def fitted():
    """A logistic regression fitted by statsmodels and the same as a LogisticModel."""
    import statsmodels.api as sm

    rng = np.random.default_rng(4)
    x = np.column_stack([rng.normal(size=120), rng.normal(20, 6, size=120), rng.integers(0, 2, 120)])
    y = rng.random(120) < 1 / (1 + np.exp(-(x @ [0.9, 0.08, -0.6] - 1.8)))
    result = sm.GLM(y.astype(float), sm.add_constant(x), family=sm.families.Binomial()).fit(tol=1e-14)
    predictors = tuple(Predictor(name, "clinical", name, "", -100.0, 100.0) for name in "abc")
    covariance = tuple(map(tuple, result.cov_params().tolist()))
    model = LogisticModel(predictors, float(result.params[0]), tuple(result.params[1:].tolist()), covariance, 0.5)
    return result, model


@pytest.mark.parametrize("level", [0.95, 0.8])
def test_probability_and_interval_equal_those_of_statsmodels(fitted, level):
    result, model = fitted
    for values in ((0.0, 20.0, 0.0), (1.7, 31.0, 1.0), (-4.0, 3.0, 0.0), (30.0, 20.0, 1.0)):
        frame = result.get_prediction(np.array([[1.0, *values]])).summary_frame(alpha=1 - level)
        given_ = dict(zip("abc", values))
        assert model.probability(given_) == pytest.approx(float(frame["mean"].iloc[0]), rel=1e-10)
        expected = [float(frame[name].iloc[0]) for name in ("mean_ci_lower", "mean_ci_upper")]
        assert model.interval(given_, level) == pytest.approx(expected, rel=1e-9)


def test_interval_uses_the_correlation_of_the_coefficients(fitted):
    _, model = fitted
    values = dict(a=1.7, b=31.0, c=1.0)
    diagonal = tuple(tuple(v if i == j else 0.0 for j, v in enumerate(row)) for i, row in enumerate(model.covariance))
    assert model.interval(values)[1] != pytest.approx(replace(model, covariance=diagonal).interval(values)[1], rel=1e-2)


def test_interval_of_a_model_without_uncertainty_is_the_probability():
    model = make_logistic((DIAMETER,), (0.1,), variances=(0.0, 0.0))
    values = {"tumor_diameter_mm": 12.0}
    assert model.interval(values) == (model.probability(values),) * 2


def test_expit_extremes():
    assert expit(0.0) == 0.5
    assert expit(-1e6) == 0.0 and expit(1e6) == 1.0
    assert 0.0 < expit(-700.0) < 1e-300


@given(st.floats(-700, 700))
def test_expit_is_symmetric_and_the_inverse_of_the_log_odds(x):
    assert expit(x) + expit(-x) == pytest.approx(1.0, abs=1e-15)
    if abs(x) < 15:
        assert math.log(expit(x) / expit(-x)) == pytest.approx(x, abs=1e-9)


@pytest.mark.parametrize("problem", [{}, {MEAN: math.nan}, {MEAN: math.inf}], ids=["missing", "nan", "infinite"])
def test_feature_that_cannot_be_used_is_named(problem):
    row = {**{name: value for name, value in ROW.items() if name != MEAN}, **problem}
    with pytest.raises(InputError, match=f"Feature '{MEAN}'.*model needs it"):
        make_model().signatures["intratumoral"].rad_score(row)


@pytest.mark.parametrize("value", [-5, "-0.1", 0])
def test_impossible_lengths_are_refused(value):
    diameter = Predictor("tumor_diameter_mm", "clinical", "Tumor diameter", "mm", 8.0, 40.0)
    with pytest.raises(InputError, match="cannot be"):
        diameter.parse(value)
