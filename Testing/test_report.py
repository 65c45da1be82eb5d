"""The reports: what they say is what was computed, nothing leaves the machine, and files come whole or not at all."""

from __future__ import annotations

import csv
import dataclasses
import math
import re
import warnings
from datetime import date
from html import unescape
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
import results

from HER2NomogramLib import report
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.metrics import Estimate
from HER2NomogramLib.prediction import predict_row
from HER2NomogramLib.regions import region_label
from HER2NomogramLib.report import files_directory, write_development_report, write_validation_report
from HER2NomogramLib.report_facts import slope_sentence
from HER2NomogramLib.report_numbers import (
    interval,
    listed,
    median_iqr,
    number,
    p_phrase,
    p_value,
    ratio,
    share,
    significant,
    span,
    without_places,
)
from HER2NomogramLib.report_pictures import inline_svg
from HER2NomogramLib.report_summary import Measured, _against_radiomics
from HER2NomogramLib.report_tables import coefficients_of, formula, unique_stems
from HER2NomogramLib.tables import FeatureTable
from HER2NomogramLib.training import TrainingOptions, train
from HER2NomogramLib.validation import validate_model

DAY = date(2026, 11, 22)
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """A report taken apart: balanced tags, identifiers, links, tables by caption, and the text outside of figures."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.open, self.ids, self.links, self.tags, self.texts = [], [], [], set(), []
        self.attributes = []
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if tag == "a" and name == "href"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "svg" not in self.open and "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).replace("\xa0", " ").split())

    def section(self, name):
        """Text of one section."""
        found = re.search(rf'<section id="{name}".*?</section>', self.source, re.DOTALL)
        text = re.sub(r"<svg.*?</svg>", "", found.group(), flags=re.DOTALL)
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).replace("\xa0", " ").split())


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Both reports, with their folders of files."""
    folder = tmp_path_factory.mktemp("reports")
    write_development_report(results.developed(), folder / "development.html", DAY, results.make_cases()[2])
    write_validation_report(results.evaluated("logistic"), folder / "evaluation.html", DAY)
    return folder


@pytest.fixture(scope="module")
def development(written):
    return Page(written / "development.html")


@pytest.fixture(scope="module")
def evaluation(written):
    return Page(written / "evaluation.html")


BOTH = pytest.mark.parametrize("name", ("development", "evaluation"))


@BOTH
def test_page_opens_offline(written, name):
    page = Page(written / f"{name}.html")
    assert page.source.startswith("<!DOCTYPE html>") and '<meta charset="utf-8">' in page.source
    assert "default-src 'none'" in page.source
    assert not re.search(r"https?:|//|@import|<script|<link|<img|src=", page.source)
    assert all(found.startswith("#") for found in re.findall(r"url\((.*?)\)", page.source))
    assert not page.tags & {"script", "iframe", "object", "foreignobject", "form"}
    assert not any(attribute.startswith("on") for attribute, _ in page.attributes)


@BOTH
def test_page_is_well_formed_and_its_links_lead_somewhere(written, name):
    page = Page(written / f"{name}.html")
    assert len(set(page.ids)) == len(page.ids)
    assert page.links and all(link.removeprefix("#") in page.ids for link in page.links)
    references = re.findall(r"(?:xlink:href=\"#|url\(#)([^\")]+)", page.source)
    assert references and set(references) <= set(page.ids)
    for what in ("Table", "Figure"):
        numbers = [int(found) for found in re.findall(rf'class="number">{what} (\d+)\.', page.source)]
        assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) > 4


@BOTH
def test_notice_and_date_are_on_the_page(written, name):
    page = Page(written / f"{name}.html")
    assert page.text.count("Research use only, not for clinical decisions.") >= 2
    assert "DEMONSTRATION MODEL" in page.text and "2026-11-22" in page.text


@BOTH
def test_no_identifier_and_no_path_is_on_the_page(written, name):
    page = (written / f"{name}.html").read_text(encoding="utf-8")
    assert not re.search(r"MRN\d|EXT\d", page)
    for secret in (results.SECRET_ID, "Smith", results.SECRET_FOLDER, str(written)):
        assert secret not in page
    for path in files_directory(written / f"{name}.html").iterdir():
        text = path.read_text(encoding="utf-8")
        assert results.SECRET_FOLDER not in text and str(written) not in text
        if path.name != "exclusions.csv":
            assert not re.search(r"MRN\d|EXT\d|Smith", text), path.name
    excluded = read_csv(files_directory(written / f"{name}.html") / "exclusions.csv")
    assert results.SECRET_ID in [row["case_id"] for row in excluded]


@BOTH
def test_texts_of_the_user_are_escaped(written, name):
    page = Page(written / f"{name}.html")
    assert "<b>" not in page.source and "<NOS>" not in page.source
    assert results.NAME in page.text
    assert "ductal <NOS>" in page.text and "lobular & mixed" in page.text
    assert (
        "ductal &lt;NOS&gt;"
        in re.search(r"<svg.*?</svg>", page.source[page.source.index("figure-nomogram") :], re.DOTALL).group()
    )


def test_same_result_and_date_give_the_same_bytes(written, tmp_path):
    write_development_report(results.developed(), tmp_path / "development.html", DAY, results.make_cases()[2])
    write_validation_report(results.evaluated("logistic"), tmp_path / "evaluation.html", DAY)
    names = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(written) for path in written.rglob("*") if path.is_file())
    for path in names:
        assert (tmp_path / path).read_bytes() == (written / path).read_bytes(), path


def test_another_date_changes_nothing_but_the_date(written, tmp_path):
    write_validation_report(results.evaluated("logistic"), tmp_path / "evaluation.html", date(2030, 1, 2))
    text = (tmp_path / "evaluation.html").read_text(encoding="utf-8")
    assert text.replace("2030-01-02", "2026-11-22") == (written / "evaluation.html").read_text(encoding="utf-8")


def test_today_is_the_default_date(tmp_path):
    write_validation_report(results.evaluated(), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.search(r"· (20\d\d-\d\d-\d\d)</p>", text).group(1) <= date.today().isoformat()


def test_figures_and_tables_are_files_beside_the_page(written, development):
    folder = files_directory(written / "development.html")
    assert folder.name == "development_files"
    names = {path.name for path in folder.iterdir()}
    assert not any(name.startswith(".") for name in names)
    assert {
        f"{name.removeprefix('figure-')}.svg" for name in development.ids if re.match(r"figure-[a-z]\w*$", name)
    } <= names
    for table in (name.removeprefix("table-") for name in development.ids if name.startswith("table-")):
        assert f"{table}.csv" in names or f"checklist_{table}.csv" in names
    assert {
        "decision_train.svg",
        "decision_train.csv",
        "signature_combined_5mm.csv",
        "stability_combined_5mm.csv",
    } <= names
    for path in folder.glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    for path in folder.glob("*.csv"):
        assert read_csv(path), path.name
    assert not [path for path in written.rglob("*") if ".partial" in path.name]


def test_headline_is_the_nested_figure_and_the_apparent_one_is_last(development):
    result = results.developed()
    nested = result.internal.nested["cross-fitted"]
    summary = development.section("summary")
    assert f"estimated to reach an AUC of {interval(nested.auc['nomogram'])}, by nested cross-validation" in summary
    order = [
        "Nested cross-validation",
        "Internal test",
        "Prospective test",
        "Bootstrap, corrected",
        "Training, cross-fitted",
    ]
    table = summary[summary.index("Table 1.") :]
    places = [table.index(label) for label in [*order, "Training, apparent"]]
    assert places == sorted(places)
    rows = result.dataset.rows("train")
    log_odds = result.pipeline.log_odds(result.dataset.x[rows])["nomogram"]
    y = result.dataset.y[rows]
    apparent = np.mean([(a > b) + 0.5 * (a == b) for a in log_odds[y == 1] for b in log_odds[y == 0]])
    assert f"the final model shows {apparent:.2f}" in summary
    assert apparent > nested.auc["nomogram"].value


def test_out_of_bag_and_the_radiomics_model_are_in_the_summary(development):
    result, summary = results.developed(), development.section("summary")
    out_of_bag = result.internal.bootstrap["cross-fitted"].figures["nomogram"]["auc"].out_of_bag
    assert f"out of bag the nomogram's AUC is {out_of_bag:.2f}" in summary
    areas = result.internal.nested["cross-fitted"].auc
    alone, together = (f"{areas[name].value:.2f}" for name in ("radiomics", "nomogram"))
    assert f"the radiomics model alone reaches an AUC of {alone}, the nomogram {together}: the clinical" in summary


@pytest.mark.parametrize(
    ("radiomics", "nomogram", "verdict"),
    [(0.9, 0.9, "add nothing here"), (0.9, 0.85, "add nothing"), (0.9, 0.91, "add little"), (0.7, 0.75, "add 0.05")],
)
def test_what_the_clinical_factors_add(radiomics, nomogram, verdict):
    auc = {"radiomics": Estimate(radiomics), "nomogram": Estimate(nomogram)}
    lines = [Measured("nested", "Nested cross-validation", "", 80, 20, auc)]
    assert f"the clinical factors {verdict}" in _against_radiomics(results.developed().model, lines)
    assert not _against_radiomics(results.developed().model, [dataclasses.replace(lines[0], how="bootstrap")])


@pytest.mark.parametrize(
    ("slope", "words"),
    [
        (Estimate(0.5, 0.2, 0.8), "so the probabilities are too extreme"),
        (Estimate(1.6, 1.2, 2.0), "so the probabilities are not extreme enough"),
        (Estimate(0.95, 0.5, 1.4), "no sign that the probabilities are too extreme or too timid"),
        (Estimate(1.0, -0.5, 2.5), "too uncertain to say"),
        (Estimate(0.6, 0.1, 1.1), "tend to be too extreme, though the interval includes the perfect 1"),
        (Estimate(0.6), "tend to be too extreme."),
    ],
)
def test_slope_in_words(slope, words):
    assert words in slope_sentence(slope)


def test_features_are_those_of_the_regions_in_question(development):
    result = results.developed()
    features = sum(len(columns) for region, columns in result.dataset.blocks if region in result.pipeline.regions)
    assert f"the signatures selected among {features} features of the regions in question" in development.text
    assert re.search(rf"Candidate features of the regions in question, .*? {features} ", development.text)


def test_options_say_what_was_used(development):
    text = development.section("settings")
    for words in ("seed 0", "bootstrap resamples 6", "repeats of the nested cross-validation 2", "ring widths (mm) 5"):
        assert words in text
    assert "random state" not in text and "nomogram regions not given" not in text


def test_figures_on_the_page_are_those_of_the_result(written, development):
    result = results.developed()
    text = development.section("performance")
    for split in ("internal_test", "prospective_test", "train"):
        for model in result.performance[split].models.values():
            assert interval(model.auc) in text and interval(model.calibration.slope) in text
            calls = model.classification
            assert f"{interval(calls.sensitivity)}, {calls.tp}/{calls.tp + calls.fn}" in text
            assert f"{interval(calls.npv)}, {calls.tn}/{calls.tn + calls.fn}" in text
        rows = read_csv(files_directory(written / "development.html") / f"performance_{split}.csv")
        found = {(row["model"], row["figure"]): row for row in rows}
        auc = result.performance[split].models["clinical"].auc
        assert [float(found["clinical", "auc"][key]) for key in ("value", "low", "high")] == [
            auc.value,
            auc.low,
            auc.high,
        ]
        assert float(found["nomogram", "brier"]["value"]) == result.performance[split].models["nomogram"].brier
    assert text.index("Internal test:") < text.index("Training (cross-fitted Rad-scores):")
    difference = result.performance["internal_test"].comparisons["nomogram", "clinical"]
    assert f"{interval(difference)} {p_value(difference.p)}" in text


def test_decision_table_counts_the_cases(written):
    split = results.developed().performance["internal_test"]
    p, y = split.probabilities["nomogram"], split.y
    text = Page(written / "development.html").section("decision")
    referred, missed = int((p >= 0.2).sum()), int(((p < 0.2) & (y == 1)).sum())
    assert re.search(rf"20% worth 4 tests {referred} of {len(y)} \d+% {missed} of {y.sum()} ", text)
    assert "ISH" in text and "does not replace ISH" in text


def test_cases_are_counted(development):
    dataset = results.developed().dataset
    text = development.section("cases")
    train = dataset.rows("train")
    assert f"Cases (lesions) {len(train)} 22 25" in text
    assert f"HER2-positive {share(int(dataset.y[train].sum()), len(train))}" in text
    age = [factor.name for factor in dataset.factors].index("age")
    assert median_iqr(dataset.clinical[train, age]) in text
    assert f"missing {share(int(np.isnan(dataset.clinical[train, age]).sum()), len(train))}" in text
    assert "Pixel spacing (mm) 0.094 [0.094]" in text and "recombined 84 (100%)" in text
    assert "HER2 status unknown or equivocal without ISH 0 1 1" in text and "no features 1 0 1" in text


def test_model_is_printed_in_full(written, development):
    model = results.developed().model
    text = development.section("nomogram")
    for name in ("nomogram", "radiomics", "clinical"):
        assert formula(getattr(model, name)) in text
    label, coefficient, error = coefficients_of(model.nomogram)[3]
    assert label == "Tumor diameter, per mm"
    odds, low, high = (ratio(math.exp(coefficient + sign * 1.959964 * error)) for sign in (0, -1, 1))
    assert f"{label} {significant(coefficient)} {significant(error)} {odds} ({low} to {high})" in text
    assert "Histology: other (against ductal <NOS>)" in text
    signature = model.signatures["intratumoral"]
    rows = read_csv(files_directory(written / "development.html") / "signature_intratumoral.csv")
    assert {row["feature"]: float(row["coefficient"]) for row in rows[:-1]} == dict(
        zip(signature.features, signature.coefficients)
    )
    assert float(rows[-1]["coefficient"]) == signature.intercept
    assert model.digest in development.section("settings")


def test_written_out_model_gives_the_models_probability():
    model = results.developed().model.nomogram
    values = {"intratumoral": -0.5, "peritumoral_5mm": 0.3, "tumor_diameter_mm": 24.0, "age": 50.0}
    values |= {"microcalcifications": 1.0, "histology": 2.0}
    text = formula(model).replace("−", "-")
    terms = re.split(r" (?=[+-] )", text)
    total = float(terms[0])
    by_name = {"Rad-score, intratumoral": -0.5, "Rad-score, peritumoral 5 mm": 0.3, "Tumor diameter in mm": 24.0}
    by_name |= {"Age in years": 50.0, "Microcalcifications: present": 1.0, "Histology: other": 1.0}
    for term in terms[1:]:
        sign, coefficient, _, name = re.match(r"([+-]) (\S+) (×) \((.*)\)$", term).groups()
        total += (1 if sign == "+" else -1) * float(coefficient) * by_name.get(name.partition(" [")[0], 0.0)
    assert total == pytest.approx(model.linear_predictor(values), abs=5e-3)


def test_both_methods_stand_side_by_side(development):
    result = results.developed()
    text = development.section("in-sample")
    for method in ("cross-fitted", "published"):
        assert interval(result.internal.nested[method].auc["nomogram"]) in text
    promised = {m: number(splits["train"].models["nomogram"].auc.value) for m, splits in result.by_method.items()}
    assert f"reads {promised['published']}, with cross-fitted ones {promised['cross-fitted']}" in text


def test_stability_is_shown(written, development):
    bootstrap = results.developed().internal.bootstrap["cross-fitted"]
    feature, found = bootstrap.feature_frequency["intratumoral"][0]
    rows = read_csv(files_directory(written / "development.html") / "stability_intratumoral.csv")
    assert rows[0]["feature"] == feature and float(rows[0]["share"]) == found
    assert "Predictors of the nomogram in resamples" in development.section("stability")


def test_extras_come_with_a_caution(development):
    text = development.section("extras")
    changed = results.developed().performance["internal_test"].reclassification
    assert "No conclusion should rest on them." in text
    assert interval(changed.nri) in text and interval(changed.idi) in text and "Hosmer-Lemeshow" in text


def test_remarks_are_all_there(development):
    result = results.developed()
    text = development.section("sample-size")
    assert result.messages and all(" ".join(message.split()) in text for message in result.messages)
    assert f"{len(result.messages)} remarks" in development.section("summary")
    # 21 cases of the rarer class; two Rad-scores, three factors of one coefficient and histology with two.
    assert re.search(r"Candidate coefficients .*? 7 ", text)
    assert re.search(r"Rarer class per candidate coefficient 10 is .*? selected 3 Rarer class", text)


def test_sections_of_the_two_reports(development, evaluation):
    of_development = [name for name in development.ids if f'<section id="{name}"' in development.source]
    assert of_development[:3] == ["summary", "methods", "cases"]
    assert {"internal", "stability", "in-sample", "tripod_ai", "clear"} <= set(of_development)
    of_evaluation = [name for name in evaluation.ids if f'<section id="{name}"' in evaluation.source]
    assert "recalibration" in of_evaluation and not {"internal", "stability", "selection"} & set(of_evaluation)


def test_checklists_are_on_the_page(written, development):
    text = development.section("tripod_ai")
    assert "52 items" in text and "To be completed by the author: Name the committee" in text
    assert "58 items" in development.section("clear")
    rows = read_csv(files_directory(written / "development.html") / "checklist_tripod_ai.csv")
    assert len(rows) == 52 and {row["status"] for row in rows} == {"answered", "in part", "open"}


def test_evaluation_says_what_was_evaluated(written, evaluation):
    validation = results.evaluated("logistic")
    text = evaluation.section("summary")
    for split in validation.splits.values():
        assert f"AUC {interval(split.models['nomogram'].auc)}" in text
    assert "87 cases given, 2 left out, 85 used" in text
    assert "Image (file) cannot be read: check the path" in evaluation.section("cases")
    assert validation.recalibrated.model.digest in evaluation.section("recalibration")
    assert f"Nomogram {number(validation.recalibrated.slope['nomogram'])}" in evaluation.section("recalibration")
    assert "Not applicable: concerns the development of a model" in evaluation.section("tripod_ai")


def test_predictors_stand_beside_the_training_range(evaluation):
    validation = results.evaluated("logistic")
    text = evaluation.section("cases")
    age = next(p for p in validation.model.nomogram.predictors if p.name == "age")
    assert f"Age (years) {span(age.minimum, age.maximum)}" in text
    filled = sum(any(w.startswith("Age is missing") for w in p.warnings) for p in validation.predictions.values())
    found = re.search(r"missing, filled by the model (\d+) (\d+) (\d+) (\d+)", text)
    assert filled and sum(map(int, found.groups())) == filled


def test_without_resampling_the_report_says_so(tmp_path):
    write_development_report(results.developed(resampled=False), tmp_path / "report.html", DAY)
    page = Page(tmp_path / "report.html")
    assert "On cases kept apart the nomogram reaches an AUC of" in page.section("summary")
    assert "no resampling was asked for or finished" in page.section("internal")
    assert 'id="stability"' not in page.source
    assert "<h1>Development of a radiomics nomogram" in page.source


def test_without_anything_held_out_nothing_is_promised(tmp_path):
    cases, table, facts = results.make_cases()
    cases = [dataclasses.replace(case, split="train") for case in cases]
    result = train(cases, table, facts, TrainingOptions(clinical=("age",), n_folds=5))
    write_development_report(result, tmp_path / "report.html", DAY)
    summary = Page(tmp_path / "report.html").section("summary")
    assert "How the nomogram does on new patients is not known" in summary
    assert "Not compared on cases kept apart." in summary


def test_features_of_other_software_without_clinical_factors(tmp_path):
    cases, table, _ = results.make_cases()
    columns = tuple(
        name.replace("intratumoral", "瘤内").replace("peritumoral_5mm", "瘤周") for name in table.columns[1:]
    )
    table = FeatureTable(table.case_ids, columns, table.values[:, 1:])
    result = train(cases, table, None, TrainingOptions(clinical=(), n_folds=5))
    with warnings.catch_warnings():
        # The font that text is measured with may lack the signs; the page shows them with one that has them.
        warnings.filterwarnings("ignore", message="Glyph")
        write_development_report(result, tmp_path / "report.html", DAY)
    page = Page(tmp_path / "report.html")
    assert "other software, of whose settings nothing is known" in page.section("methods")
    assert "There is no clinical factor" in page.section("summary")
    assert "The nomogram has the same predictors as the radiomics model" in page.section("nomogram")
    # Names that no file system spells alike must not share a file.
    names = {path.name for path in files_directory(tmp_path / "report.html").iterdir()}
    assert {"signature_region.csv", "signature_region_2.csv"} <= names


@pytest.mark.parametrize("count", (1, 12))
def test_cases_of_one_class_are_dashes_with_a_reason(tmp_path, count):
    cases, table, _ = results.make_cases()
    model = results.developed(resampled=False).model
    cases = [case for case in cases if case.her2 == 0 and case.case_id in table.case_ids][:count]
    predictions = {case.case_id: predict_row(model, table.row(case.case_id), case.clinical) for case in cases}
    write_validation_report(validate_model(cases, model, predictions, {}), tmp_path / "report.html", DAY)
    page = Page(tmp_path / "report.html")
    assert "All cases: one class only, no AUC." in page.section("summary")
    assert "chance that a HER2-positive case scores higher than a negative one – – –" in page.section("performance")
    assert "nan" not in re.sub(r"[a-z]nan|nan[a-z]", "", page.text.lower())


@pytest.mark.parametrize(
    "method, selection", (("published", "none"), ("cross-fitted", "aic"), ("cross-fitted", "univariate"))
)
def test_every_way_of_training_can_be_reported(tmp_path, method, selection):
    result = results.developed(method, selection, resampled=False)
    write_development_report(result, tmp_path / "report.html", DAY)
    page = Page(tmp_path / "report.html")
    text = page.section("selection")
    rows = [row for model in result.pipeline.models_[method].values() for row in model.selection]
    assert ("Tests that chose the predictors" in text) == bool(rows) == (selection != "none")
    for row in rows:
        assert f"{number(row.statistic)} {row.df} {p_value(row.p)}" in text
    assert ("Training, cross-fitted" in page.section("summary")) == (method == "cross-fitted")


def test_other_files_of_the_folder_stay_and_old_ones_are_replaced(tmp_path):
    folder = files_directory(tmp_path / "report.html")
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    (folder / "headline.csv").write_text("old")
    write_validation_report(results.evaluated(), tmp_path / "report.html", DAY)
    assert (folder / "mine.txt").read_text() == "mine"
    assert (folder / "headline.csv").read_text() != "old"


def test_a_failure_leaves_nothing_behind_and_the_old_report_alone(tmp_path, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("no")

    (tmp_path / "report.html").write_text("old")
    monkeypatch.setattr(report, "parts", fail)
    with pytest.raises(RuntimeError):
        write_validation_report(results.evaluated(), tmp_path / "report.html", DAY)
    assert [path.name for path in tmp_path.rglob("*")] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "old"


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    files = report.parts

    def too_long(content):
        return {**files(content), f"{'x' * 400}.csv": "a name that no file system takes"}

    monkeypatch.setattr(report, "parts", too_long)
    with pytest.raises(InputError, match="cannot be written"):
        write_validation_report(results.evaluated(), tmp_path / "report.html", DAY)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("taken", ("report.html", "report_files"))
def test_names_that_are_taken_are_refused_before_the_work(tmp_path, taken, monkeypatch):
    monkeypatch.setattr(report, "evaluation_content", lambda validation: pytest.fail("worked first"))
    if taken == "report.html":
        (tmp_path / taken).mkdir()
    else:
        (tmp_path / taken).write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        write_validation_report(results.evaluated(), tmp_path / "report.html", DAY)


@pytest.mark.parametrize(
    "value, text",
    [
        (0.834, "0.83"),
        (-0.004, "0.00"),
        (-1.5, "−1.50"),
        (math.nan, "–"),
        (None, "–"),
        (math.inf, "∞"),
        (-2.34e9, "−2.3 × 10⁹"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    "value, text", [(0.0123456, "0.0123"), (1234.5, "1234"), (0.99996, "1.00"), (0, "0"), (-4.5e-7, "−4.50 × 10⁻⁷")]
)
def test_significant_digits(value, text):
    assert significant(value) == text


@pytest.mark.parametrize(
    "value, text", [(1.084, "1.08"), (12.34, "12.3"), (0.0123, "0.012"), (3e7, "3.0 × 10⁷"), (345.6, "346")]
)
def test_odds_ratios(value, text):
    assert ratio(value) == text


@pytest.mark.parametrize(
    "p, text",
    [
        (0.00001, "< 0.001"),
        (0.0, "< 0.001"),
        (0.0042, "0.004"),
        (0.0496, "0.050"),
        (0.13, "0.13"),
        (0.9999, "> 0.99"),
        (math.nan, "–"),
    ],
)
def test_p_values_are_never_zero(p, text):
    assert p_value(p) == text


def test_p_in_a_sentence():
    assert [p_phrase(p) for p in (0.03, 0.0001, math.nan)] == ["p = 0.03", "p < 0.001", "p not known"]


def test_intervals():
    assert interval(Estimate(0.83, 0.71, 0.912)) == "0.83 (0.71 to 0.91)"
    assert interval(Estimate(0.83)) == "0.83"
    assert interval(Estimate(math.nan, 0, 1)) == interval(None) == "–"
    assert interval(Estimate(-0.1, -0.2, 0.0), 3) == "−0.100 (−0.200 to 0.000)"


def test_medians_have_the_digits_of_the_measurement():
    assert median_iqr([40, 50, 60, math.nan]) == "50 [45 to 55]"
    assert median_iqr([18.2, 23.4, 31.1, 44.0]) == "27.2 [22.1 to 34.3]"
    assert median_iqr([math.nan]) == "–"
    assert median_iqr([32.4]) == "32.4 [32.4 to 32.4]"


def test_lists_and_ranges():
    assert listed(["a", "b", "c"]) == "a, b and c" and listed(["a"]) == "a" and listed([]) == ""
    assert listed(["Rad-score, a", "b"]) == "Rad-score, a; b"
    assert span(0.07, 0.094) == "0.07 to 0.094" and span(0.1, 0.1) == "0.1" and span(-3.924, 0.8187) == "−3.92 to 0.819"


@pytest.mark.parametrize(
    "text, kept",
    [
        ("Image '/data/Smith Jane/a.dcm' is not there", "Image (file) is not there"),
        (r"'D:\Scans\Jane\a.nrrd' cannot be read", "(file) cannot be read"),
        (r"see D:\Scans\Jane\a.nrrd, or /mnt/x/b.nrrd: copy", "see (file), or (file): copy"),
        ("~/scans/a.dcm is no image", "(file) is no image"),
        ("Image '/data/O'Brien Ann/a.dcm' or 'c/d.png' is not there", "Image (file) or (file) is not there"),
        ("Image 'Smith_Jane.dcm', outline 'Smith.seg.nrrd'", "Image (file), outline (file)"),
        ("spacing '0.07', factor 'er' and the model's 'peritumoral_5mm'",) * 2,
        ("case 'K17' and case K17 and 'P 1'", "case (withheld) and case (withheld) and (withheld)"),
        ("HER2 positive and/or 17 mm, 1/2", "HER2 positive and/or 17 mm, 1/2"),
        ("case K171 is another", "case K171 is another"),
    ],
)
def test_places_and_identifiers_are_taken_out(text, kept):
    assert without_places(text, ["K17", "P 1", "17"]) == kept


def test_inline_figures_share_no_identifier_and_no_style():
    svg = (
        '<?xml version="1.0"?><!DOCTYPE svg><svg xmlns="http://www.w3.org/2000/svg" width="10pt" viewBox="0 0 10 5">'
        "<metadata><a/></metadata><defs><style>*{x:y}</style></defs>"
        '<g id="a b"><path clip-path="url(#p1)"/><use xlink:href="#p1"/></g><clipPath id="p1"/></svg>'
    )
    inline = inline_svg(svg, "roc", 'Curves "of" it. More.')
    assert inline == (
        '<svg viewBox="0 0 10 5" role="img" aria-label="Curves &quot;of&quot; it"><defs></defs>'
        '<g id="roc-a b"><path clip-path="url(#roc-p1)"/><use xlink:href="#roc-p1"/></g><clipPath id="roc-p1"/></svg>'
    )


def test_names_of_regions():
    assert [region_label(name) for name in ("intratumoral", "peritumoral_2.5mm", "my_region", "瘤内")] == [
        "intratumoral",
        "peritumoral 2.5 mm",
        "my_region",
        "瘤内",
    ]
    assert unique_stems(["a b", "A-B", "瘤内", "瘤周"]) == {
        "a b": "a_b",
        "A-B": "A_B_2",
        "瘤内": "region",
        "瘤周": "region_2",
    }


@pytest.mark.parametrize("package", ("jinja2", "matplotlib"))
def test_missing_packages_are_named_before_the_work(tmp_path, monkeypatch, package):
    monkeypatch.setattr(report, "find_spec", lambda name: None if name == package else object())
    monkeypatch.setattr(report, "evaluation_content", lambda validation: pytest.fail("worked first"))
    with pytest.raises(InputError, match=package):
        write_validation_report(results.evaluated(), tmp_path / "report.html", DAY)
    assert not list(tmp_path.iterdir())
