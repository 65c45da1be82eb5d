"""The report on an association study: what it says is what was found, stated so that it cannot be misread."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from datetime import date
from types import SimpleNamespace
from xml.etree import ElementTree

import association_results as studies
import numpy as np
import pytest
from test_report import Page, read_csv

pytest.importorskip("matplotlib")

from HER2NomogramLib.association_report import association_content
from HER2NomogramLib.association_strata import imputed_table, missing_table, strata_tables
from HER2NomogramLib.association_tables import (
    _number_cells,
    characteristics_table,
    choice_table,
    derivation_tables,
    odds_table,
    statistic_text,
    study_text,
)
from HER2NomogramLib.association_terms import distinct_labels, odds_cell, per_text
from HER2NomogramLib.association_texts import concerns_her2, headline, prediction_paragraphs, summary
from HER2NomogramLib.checklists import report_directory
from HER2NomogramLib.clinical import Factor
from HER2NomogramLib.odds_ratios import LikelihoodRatio, OddsRatio, Term
from HER2NomogramLib.report import files_directory, references, write_association_report
from HER2NomogramLib.report_numbers import interval, mean_sd, odds_ratio, p_exact, spread_digits
from HER2NomogramLib.variable import Variable

DAY = date(2026, 11, 22)
STUDIES = ("microcalcifications", "her2", "nothing_missing")
ALL = pytest.mark.parametrize("name", STUDIES)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Reports on all studies, with their folders of files."""
    folder = tmp_path_factory.mktemp("reports")
    for name in STUDIES:
        write_association_report(getattr(studies, name)(), folder / f"{name}.html", DAY)
    return folder


@pytest.fixture(scope="module")
def page(written):
    return Page(written / "microcalcifications.html")


def cells(table, label: str) -> tuple[str, ...]:
    """Cells of the one row of this label."""
    (row,) = (row for row in table.rows if row.cells[0].split("\n")[0] == label)
    return row.cells[1:]


@ALL
def test_page_opens_offline_and_is_well_formed(written, name):
    page = Page(written / f"{name}.html")
    assert not re.search(r"https?:|//|@import|<script|<link|<img|src=", page.source)
    assert len(set(page.ids)) == len(page.ids)
    assert page.links and all(link.removeprefix("#") in page.ids for link in page.links)
    for what in ("Table", "Figure"):
        numbers = [int(found) for found in re.findall(rf'class="number">{what} (\d+)\.', page.source)]
        assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) > 1
    assert page.text.count("Research use only, not for clinical decisions.") >= 2
    assert "None" not in page.text.replace("None of", "").replace("None was", "") and "nan" not in page.text.split()


@ALL
def test_no_identifier_is_in_report_or_files(written, name):
    paths = [written / f"{name}.html", *files_directory(written / f"{name}.html").iterdir()]
    assert len(paths) > 8
    for path in paths:
        assert not re.search("|".join(rf"{secret}\d" for secret in studies.SECRETS), path.read_text(encoding="utf-8"))
        assert str(written) not in path.read_text(encoding="utf-8")


def test_texts_of_the_user_are_escaped(page):
    assert "<NOS>" not in page.source and studies.LOBULAR in page.text


@ALL
def test_p_values_are_never_zero(written, name):
    text = Page(written / f"{name}.html").text
    assert not re.search(r"\bp = 0\.0+\b(?!\d)", text) and not re.search(r"(?<![\d.<] )\b0\.000\b", text)
    if name == "microcalcifications":
        assert "< 0.001" in text


def test_same_study_and_date_give_the_same_bytes(written, tmp_path):
    write_association_report(studies.her2(), tmp_path / "her2.html", DAY)
    paths = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(paths) > 8
    for path in paths:
        assert (tmp_path / path).read_bytes() == (written / path).read_bytes(), path


def test_every_table_and_figure_is_a_file(written, page):
    folder = files_directory(written / "microcalcifications.html")
    names = {path.name for path in folder.iterdir()}
    tables = {found.removeprefix("table-") for found in page.ids if re.match(r"table-\w+$", found)}
    figures = {found.removeprefix("figure-") for found in page.ids if re.match(r"figure-[a-z_]+$", found)}
    assert {"characteristics", "odds_ratios", "strata_univariate", "imputation", "missing"} <= tables
    assert {"flow", "odds_ratios", "strata_univariate"} <= figures
    assert {f"{name}.csv" for name in tables} | {f"{name}.svg" for name in figures} <= names
    for path in folder.glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_univariate_and_adjusted_stand_side_by_side_with_their_reference():
    result = studies.microcalcifications()
    table = odds_table(result)
    alone, model = result.univariate["her2"], result.multivariable
    (first,) = (term for term in alone.terms if term.level == "positive")
    (second,) = (term for term in model.terms if (term.predictor, term.level) == ("her2", "positive"))
    rows = [row.cells for row in table.rows]
    start = next(index for index, row in enumerate(rows) if row[0] == "HER2 status")
    assert rows[start + 1][2] == rows[start + 1][4] == "1 (reference)" and rows[start + 1][3] == ""
    assert rows[start + 2] == (
        "positive",
        f"{first.events}/{first.n} ({100 * first.events / first.n:.0f}%)",
        interval(first.odds_ratio, write=odds_ratio),
        p_exact(first.odds_ratio.p),
        interval(second.odds_ratio, write=odds_ratio),
        p_exact(second.odds_ratio.p),
    )
    assert f"n = {model.n}" in table.head[4]
    # What did not enter has a dash, and its p alone.
    assert cells(table, "Ki-67, per 1%")[3:] == ("–", "–")


def test_csv_has_all_digits(written):
    result = studies.microcalcifications()
    rows = read_csv(files_directory(written / "microcalcifications.html") / "odds_ratios.csv")
    found = {(row["predictor"], row["level"]): row for row in rows}
    for name, model in result.univariate.items():
        for term in model.terms:
            row = found[name, term.level or ""]
            assert (int(row["univariate_n"]), int(row["univariate_with_outcome"])) == (term.n, term.events)
            if term.odds_ratio is None:
                assert row["univariate_method"] == "reference"
            else:
                assert float(row["univariate_odds_ratio"]) == term.odds_ratio.value
                assert float(row["univariate_odds_ratio_high"]) == term.odds_ratio.high
                assert float(row["univariate_odds_ratio_p"]) == term.odds_ratio.p
    assert found["age", ""]["per"] == "10.0" and found["ki67", ""]["adjusted_odds_ratio"] == ""
    assert float(found["age", ""]["adjusted_likelihood_ratio_p"]) == result.multivariable.tests["age"].p


def test_separation_is_named_where_it_happened(page):
    result = studies.microcalcifications()
    assert result.univariate["histology"].firth and not result.univariate["her2"].firth
    table = odds_table(result)
    assert cells(table, studies.LOBULAR)[1].endswith("\nFirth")
    assert not any("Firth" in cell for cell in cells(table, "Age, per 10 years"))
    assert any("Firth" in note and "separate" in note for note in table.notes)
    assert not any("Firth" in note for note in odds_table(studies.her2()).notes)
    assert "Firth D." in page.section("references")
    others = " ".join(references(association_content(studies.her2())))
    assert "Firth D." not in others and "Rubin" not in others and "Fox J" in others


def test_characteristics_name_their_tests(page):
    result = studies.microcalcifications()
    table = characteristics_table(result)
    assert cells(table, "Cases")[:3] == (str(result.n), str(result.n - result.events), str(result.events))
    names = [found.variable.label for found in result.characteristics]
    rows = [row for row in table.rows if row.cells[0].split("\n")[0] in names and row.cells[-1]]
    assert len(rows) == len(names)
    for row, found in zip(rows, result.characteristics):
        assert row.cells[-2] == f"{p_exact(found.test.p)}\n{statistic_text(found.test, found.groups[0].n)}"
    (age,) = (found for found in result.characteristics if found.variable.name == "age")
    how = "median [quartiles]" if age.skewed else "mean (SD)"
    assert f"Age (years) {how}" in page.section("characteristics")
    assert "chi-square test without continuity correction" in page.section("characteristics").lower()


@pytest.mark.parametrize(
    ("name", "statistic", "df", "text"),
    [
        ("Chi-square test", 3.0471, 1, "χ²(1, N = 185) = 3.05"),
        ("Welch's t test", -2.104, 81.31, "t(81.3) = −2.10"),
        ("Mann-Whitney U test", 1234.5, 0, "U = 1234.5"),
        ("Mann-Whitney U test", 12345678.0, 0, "U = 12345678"),
        ("Fisher's exact test", math.nan, 0, "Fisher's exact test"),
    ],
)
def test_statistics_are_written_as_journals_do(name, statistic, df, text):
    assert statistic_text(SimpleNamespace(name=name, statistic=statistic, df=df), 185) == text


def test_why_predictors_entered_or_not():
    result = studies.microcalcifications()
    table = choice_table(result)
    assert cells(table, "HER2 status")[-1] == "entered"
    assert cells(table, "Age (years)")[-1] == "entered, forced in"
    assert cells(table, "Ki-67 (%)")[-1] == "left out"
    labels = {variable.name: variable.label for variable in result.predictors}
    assert cells(table, labels["idc"])[-1] == "entered"
    assert cells(table, labels["histology"])[-1] == "left out\ncomes from the same column as idc"
    assert cells(table, "HER2 status")[2] == f"{result.multivariable.vif['her2']:.2f}"
    assert any("p < 0.10 alone" in note for note in table.notes)


def test_labels_that_two_variables_share_are_told_apart():
    result = studies.microcalcifications()
    same = [
        dataclasses.replace(v, factor=dataclasses.replace(v.factor, label="Histology"))
        if v.name in ("idc", "histology")
        else v
        for v in result.predictors
    ]
    found = distinct_labels(dataclasses.replace(result, predictors=tuple(same)))
    labels = [variable.label for variable in found.predictors]
    assert len(set(labels)) == len(labels) and {"Histology [idc]", "Histology [histology]"} <= set(labels)
    assert "Age (years)" in labels
    assert {row.name: row.label for row in found.missing}["idc"] == "Histology [idc]"


def test_strata_have_their_counts_and_the_interaction():
    result = studies.microcalcifications()
    table = strata_tables(result)[0]
    strata = result.strata
    assert table.head[1:] == (
        *(f"{s.level}\n{s.events} of {s.n} with the outcome" for s in strata.strata),
        "p of interaction",
    )
    assert cells(table, "Tumor diameter, per 10 mm")[-1].startswith(
        p_exact(strata.interaction_univariate["tumor_diameter_mm"].p)
    )
    (term,) = strata.strata[0].univariate["age"].terms
    assert cells(table, "Age, per 10 years")[0].startswith(odds_cell(term))
    assert cells(table, "Age, per 10 years")[0].endswith(f"{term.events}/{term.n}")
    assert strata_tables(studies.her2()) == []
    text = summary(result)["Within strata"]
    count = len(strata.interaction_univariate)
    assert f"{count} tests of interaction, alone" in text and "tests of interaction, adjusted" in text
    small = {"age": LikelihoodRatio(9.0, 1, 0.0027)}
    other = dataclasses.replace(result, strata=dataclasses.replace(strata, interaction_univariate=small))
    assert "Of 1 test of interaction, alone, p < 0.05 for Age (years) (p = 0.003)" in summary(other)["Within strata"]


def test_complete_cases_and_imputation_stand_side_by_side(page):
    result = studies.microcalcifications()
    table = imputed_table(result)
    pooled = {(term.predictor, term.level): term for term in result.imputed.terms}
    alone = {term.predictor: term for term in result.alone_in_model["age"].terms}
    assert result.alone_in_model["age"].n == result.multivariable.n
    assert cells(table, "Age, per 10 years")[0] == odds_cell(alone["age"])
    assert cells(table, "Age, per 10 years")[3] == odds_cell(pooled["age", None])
    assert f"n = {result.multivariable.n}" in table.head[2] and f"n = {result.n}" in table.head[4]
    assert cells(table, "Age, per 10 years")[-1] == f"{100 * result.imputed.fraction_missing['age']:.0f}%"
    assert "3 completed data sets" in page.section("missing") and "Rubin DB" in page.section("references")
    rows = missing_table(result)
    (age,) = (row for row in result.missing if row.name == "age")
    assert cells(rows, "Age (years)")[0].startswith(f"{age.n_missing} (")


def test_only_what_lacks_values_has_a_row():
    result = studies.microcalcifications()
    table = missing_table(result)
    assert len(table.rows) == 1 + sum(row.n_missing > 0 for row in result.missing)
    assert "Known in all cases: " in table.notes[0] and "Tumor diameter (mm)" in table.notes[0]
    assert missing_table(studies.nothing_missing()) is None


def test_small_strata_say_how_small_they_are():
    result = studies.microcalcifications()
    table = strata_tables(result)[1]
    for stratum in result.strata.strata:
        assert f"{stratum.level} {stratum.multivariable.events_per_coefficient:.1f}" in " ".join(table.notes)


def test_quartiles_of_whole_numbers_have_no_decimals_but_halves():
    variable = Variable(Factor("x", (), "X", ""), np.array([1.0, 2.0, 100.0]), frozenset({"x"}))
    group = SimpleNamespace(n=3, mean=2.0, sd=1.0, median=19.0, q1=18.5, q3=25.0)
    found = SimpleNamespace(
        variable=variable,
        groups=(group, group, SimpleNamespace(n=0, median=math.nan, q1=math.nan, q3=math.nan)),
        skewed=True,
    )
    assert _number_cells(found) == ["19 [18.5 to 25]", "19 [18.5 to 25]", "–"]
    found.variable = dataclasses.replace(variable, values=np.array([1.5, 2.0]))
    assert _number_cells(found)[0] == "19.0 [18.5 to 25.0]"


def test_a_verdict_that_imputation_changes_is_in_the_summary():
    result = studies.microcalcifications()
    changed = [
        dataclasses.replace(term, odds_ratio=dataclasses.replace(term.odds_ratio, p=0.4))
        if term.predictor == "her2" and term.odds_ratio
        else term
        for term in result.imputed.terms
    ]
    other = dataclasses.replace(result, imputed=dataclasses.replace(result.imputed, terms=tuple(changed)))
    assert "of HER2 status: positive against negative 4.54 becomes 4.70 (p = 0.400)" in summary(other)["Missing values"]
    assert "becomes" not in summary(result)["Missing values"]


def test_headline_has_effect_interval_and_cases():
    result = studies.microcalcifications()
    text = headline(result)
    (term,) = (t for t in result.multivariable.terms if (t.predictor, t.level) == ("her2", "positive"))
    assert f"In {result.n} cases, {result.events} of them with the outcome “Microcalcifications: present”" in text
    assert f"odds were higher with HER2 status: positive against negative (odds ratio {odds_cell(term)}" in text
    assert f"adjusted for each other in {result.multivariable.n} of them" in text
    nothing = headline(studies.nothing_missing())
    assert "no multivariable model" in nothing and "odds ratio" not in nothing


def test_no_association_shown_is_not_called_none():
    result = studies.microcalcifications()
    model = result.multivariable
    flat = {name: dataclasses.replace(test, p=0.3) for name, test in model.tests.items()}
    other = dataclasses.replace(result, multivariable=dataclasses.replace(model, tests=flat))
    assert "no association was shown" in headline(other)
    assert "This does not show that there is none." in headline(other)


def test_the_headline_is_by_the_likelihood_ratio_test_of_the_predictor():
    result = studies.microcalcifications()
    model = result.multivariable
    level = [
        dataclasses.replace(term, odds_ratio=dataclasses.replace(term.odds_ratio, p=0.08)) if term.odds_ratio else term
        for term in model.terms
    ]
    tests = {name: dataclasses.replace(test, p=0.3) for name, test in model.tests.items()}
    tests["her2"] = dataclasses.replace(tests["her2"], p=0.03, df=2)
    other = dataclasses.replace(result, multivariable=dataclasses.replace(model, terms=tuple(level), tests=tests))
    assert "the odds differed between the levels of HER2 status (p = 0.030)" in headline(other)
    tests["her2"] = dataclasses.replace(tests["her2"], df=1)
    assert "HER2 status: positive against negative (odds ratio 4.54 (2.00 to 10.3), p = 0.030" in headline(other)


def test_odds_ratios_of_another_outcome_are_no_weights_for_her2(page):
    result = studies.microcalcifications()
    assert not concerns_her2(result)
    text = page.section("prediction")
    assert "not weights for predicting HER2" in text and "her2nomogram train" not in page.text


def test_what_comes_from_her2_is_not_advised_as_its_predictor():
    result = studies.microcalcifications()
    assert any("microcalcifications among the predictors" in text for text in prediction_paragraphs(result))
    partly = frozenset({"her2_ihc", "er"})
    phenotype = dataclasses.replace(result, outcome=dataclasses.replace(result.outcome, sources=partly))
    assert not concerns_her2(phenotype)
    assert not any("among the predictors" in text for text in prediction_paragraphs(phenotype))


def test_a_study_of_her2_names_the_command_that_develops_a_model(written):
    result = studies.her2()
    assert concerns_her2(result) and result.entered
    text = Page(written / "her2.html").section("prediction")
    assert f"her2nomogram train cases.csv --clinical {','.join(result.entered)}" in text
    assert "developed and validated there" in text and "not weights" not in text
    none = dataclasses.replace(result, multivariable=None, no_model="no predictor has p < 0.1")
    assert not any("train cases.csv" in paragraph for paragraph in prediction_paragraphs(none))


def test_command_quotes_names_that_need_it():
    result = studies.her2()
    odd = dataclasses.replace(result, entered={"Tumor size; mm": "p = 0.01"})
    assert (
        "her2nomogram train cases.csv --clinical 'Tumor size; mm' --out model.json --report report.html"
        in prediction_paragraphs(odd)
    )


def test_sections_without_content_are_left_out(written):
    page = Page(written / "nothing_missing.html")
    assert not {"strata", "missing"} & set(page.ids)
    assert "There is no adjusted column" in page.section("odds-ratios")
    assert "no predictor has p < 1e-09" in page.section("summary")
    titles = re.findall(r"<h2>(\d+)\.", page.source)
    assert [int(number) for number in titles] == list(range(1, len(titles) + 1))


def test_reason_for_no_imputation_is_given(written):
    assert "Nothing was imputed: it was not asked for." in Page(written / "her2.html").section("missing")


def test_derived_values_stand_beside_their_entries(written, page):
    result = studies.microcalcifications()
    text = page.section("cases")
    assert "HER2 status as derived from her2_ihc and her2_ish" in text
    assert "missing: HER2 equivocal: IHC 2+ without ISH" in text
    rows = read_csv(files_directory(written / "microcalcifications.html") / "derived_by_line.csv")
    assert len(rows) == result.given and int(next(iter(rows[0].values()))) == 2
    assert {row["her2"] for row in rows if row["her2_ihc"] == "3+"} == {"positive"}
    # What was taken as it stands needs no table.
    names = [table.name for table in derivation_tables(result, ("her2", "microcalcifications"))]
    assert names == ["derived_her2"]


def test_numbers_that_became_the_same_are_one_line():
    numbers = [((str(age),), "yes" if age > 50 else "no", 2) for age in range(40, 61)]
    rows = (*numbers, (("fifty",), "missing: not understood", 1), (("",), "missing", 3))
    found = SimpleNamespace(name="age_over_50", label="Age > 50", rule="Rule.", sources=("age",), rows=rows)
    result = SimpleNamespace(cohort=SimpleNamespace(derivations=lambda names: (found,)))
    (table,) = derivation_tables(result, ("age_over_50",))
    assert [row.cells for row in table.rows] == [
        ("40 to 50", "no", "22"),
        ("51 to 60", "yes", "20"),
        ("blank", "missing", "3"),
        ("fifty", "missing: not understood", "1"),
    ]
    assert len(table.records) == len(rows)


def test_long_lists_of_combinations_are_cut_on_the_page_only():
    found = SimpleNamespace(
        name="immunophenotype",
        label="Immunophenotype",
        rule="Rule.",
        sources=("er", "ki67"),
        rows=tuple((("positive", f"about {k}"), "luminal A", k) for k in range(1, 31)),
    )
    result = SimpleNamespace(cohort=SimpleNamespace(derivations=lambda names: (found,)))
    (table,) = derivation_tables(result, ("immunophenotype",))
    assert len(table.rows) == 12 and table.rows[0].cells == ("positive", "about 30", "luminal A", "30")
    assert "18 further combinations" in table.notes[-1] and len(table.records) == 30


def test_references_are_those_of_what_was_used(page):
    entries = json.loads((report_directory() / "references.json").read_text(encoding="utf-8"))["references"]
    topics = {entry["topic"] for entry in entries if "topic" in entry}
    everything = association_content(studies.microcalcifications())
    assert {"imputation", "firth", "vif", "her2", "receptors", "density"} <= everything.topics
    # Each topic is one that some study can have.
    assert topics <= everything.topics | {"subtypes", "exact"}
    text = page.section("references")
    assert "STROBE" in text and "radiomic" not in text.lower() and "St Gallen" not in text
    models = references(SimpleNamespace(kind="development", topics=frozenset()))
    assert not any("STROBE" in reference for reference in models)
    assert any("radiomic" in reference for reference in models)


def test_remarks_of_the_study_are_on_the_page(page):
    result = studies.microcalcifications()
    assert result.messages
    for message in result.messages:
        assert " ".join(message.split()) in page.section("remarks")


def test_terminal_shows_the_same_odds_ratios():
    result = studies.microcalcifications()
    text = study_text(result)
    (term,) = (t for t in result.multivariable.terms if (t.predictor, t.level) == ("her2", "positive"))
    (line,) = (line for line in text.splitlines() if line.startswith("  positive") and odds_cell(term) in line)
    assert f"{term.odds_ratio.p:.3f}" in line or "< 0.001" in line
    assert f"Adjusted: {result.multivariable.n} cases" in text
    assert "adjusted" not in study_text(studies.nothing_missing()).splitlines()[-1].lower()


@pytest.mark.parametrize(
    ("unit", "per", "text"),
    [
        ("years", 1.0, "Age, per year"),
        ("years", 10.0, "Age, per 10 years"),
        ("%", 1.0, "Age, per 1%"),
        ("%", 10.0, "Age, per 10%"),
        ("mm", 1.0, "Age, per mm"),
        ("", 1.0, "Age, per unit"),
        ("", 5.0, "Age, per 5"),
    ],
)
def test_what_an_odds_ratio_is_for(unit, per, text):
    variable = Variable(Factor("age", (), "Age", unit), np.array([1.0]), frozenset({"age"}), per=per)
    assert per_text(variable) == text


def test_cells_without_an_odds_ratio():
    nothing = OddsRatio(math.nan, math.nan, math.nan, math.nan)
    assert odds_cell(None) == "–"
    assert odds_cell(Term("x", "a", 3, 1, None)) == "1 (reference)"
    assert odds_cell(Term("x", "b", 3, 1, nothing)) == "not estimable"
    assert odds_cell(Term("x", "b", 3, 1, OddsRatio(25.0, 1.5, math.inf, 0.1))) == "25.0 (1.50 to ∞)"


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0, "< 0.001"), (0.00099, "< 0.001"), (0.0805, "0.081"), (0.05, "0.050"), (0.995, "> 0.99"), (math.nan, "–")],
)
def test_p_with_three_decimals(p, text):
    assert p_exact(p) == text


def test_figures_of_a_variable_have_the_decimals_that_it_deserves():
    assert [spread_digits(spread) for spread in (250.0, 11.4, 3.0, 0.5, 0.02, 0.0, math.nan)] == [0, 1, 1, 2, 3, 1, 1]
    assert mean_sd(53.24, 11.37, 1) == "53.2 (11.4)" and mean_sd(math.nan, math.nan, 1) == "–"
    assert [odds_ratio(value) for value in (0.0, 1e-5, 0.002, 1.0, 999.0, 2e4, math.inf)] == [
        "0", "< 0.001", "0.0020", "1.00", "999", "> 1000", "∞",
    ]  # fmt: skip
