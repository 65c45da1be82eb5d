"""Ratios and differences of counts against statsmodels and SciPy, and what the terminal says about printed counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from HER2NomogramLib.contingency import (
    CONDITIONAL,
    WOOLF,
    conditional,
    counts_report,
    describe_counts,
    describe_printed,
    odds_ratio,
    parse_counts,
    parse_printed,
    readings,
    risk_difference,
    risk_ratio,
)
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.metrics import wilson

STUDY = np.array([[15, 40], [21, 109]])
DENSITY = np.array([[4, 19], [16, 70], [13, 45], [3, 15]])
counts = st.lists(st.integers(1, 60), min_size=4, max_size=4).map(lambda cells: np.array(cells).reshape(2, 2))


@settings(max_examples=100, deadline=None)
@given(counts)
def test_odds_and_risk_ratio_of_statsmodels(table):
    sm = pytest.importorskip("statsmodels.api")
    expected = sm.stats.Table2x2(table)
    found = odds_ratio(table)
    assert (found.value, found.p) == pytest.approx((expected.oddsratio, expected.oddsratio_pvalue()))
    assert (found.low, found.high) == pytest.approx(expected.oddsratio_confint())
    assert found.method == WOOLF
    risk = risk_ratio(table)
    assert risk.value == pytest.approx(expected.riskratio)
    assert (risk.low, risk.high) == pytest.approx(expected.riskratio_confint())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=4, max_size=4).filter(lambda c: c[0] + c[1] and c[2] + c[3]))
def test_risk_difference_of_statsmodels(cells):
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    a, b, c, d = cells
    found = risk_difference([[a, b], [c, d]])
    expected = proportion.confint_proportions_2indep(a, a + b, c, c + d, compare="diff", method="newcomb")
    assert found.value == pytest.approx(a / (a + b) - c / (c + d))
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)
    assert -1 - 1e-12 <= found.low <= found.value <= found.high <= 1 + 1e-12


def test_newcombe_by_his_example():
    # 56/70 against 48/80: 0.2, interval 0.0524 to 0.3339 (Newcombe 1998, Table II, method 10).
    found = risk_difference([[56, 14], [48, 32]])
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_woolf_by_hand():
    found = odds_ratio(STUDY)
    error = math.sqrt(1 / 15 + 1 / 40 + 1 / 21 + 1 / 109)
    assert found.value == pytest.approx(15 * 109 / (40 * 21))
    assert found.high / found.value == pytest.approx(math.exp(1.959964 * error), rel=1e-6)
    assert found.low * found.high == pytest.approx(found.value**2)


@pytest.mark.parametrize("table", [[[0, 5], [7, 3]], [[5, 0], [3, 7]], [[5, 4], [0, 7]], [[5, 4], [3, 0]]])
def test_a_zero_count_takes_the_exact_interval(table):
    found = odds_ratio(table)
    assert found == conditional(table) and found.method == CONDITIONAL
    assert found.value in (0, math.inf)
    # One bound is the value itself, the other one is finite and above zero.
    assert found.value in (found.low, found.high) and 0 < min(max(found.low, 1e-300), found.high)
    swapped = odds_ratio(np.array(table)[::-1])
    assert swapped.p == pytest.approx(found.p)
    assert (swapped.low == 0, swapped.high == math.inf) == (found.high == math.inf, found.low == 0)


@pytest.mark.parametrize("table", [[[0, 0], [7, 3]], [[0, 5], [0, 3]]])
def test_no_odds_ratio_of_an_empty_row_or_column(table):
    found = odds_ratio(table)
    assert all(map(math.isnan, (found.value, found.low, found.high, found.p))) and "no counts" in found.method


def test_risk_ratio_without_yes():
    assert risk_ratio([[0, 5], [7, 3]]).value == 0 and math.isnan(risk_ratio([[0, 5], [7, 3]]).high)
    assert math.isnan(risk_ratio([[3, 5], [0, 3]]).value) and math.isnan(risk_ratio([[0, 0], [7, 3]]).value)


def test_report_of_two_groups():
    report = counts_report(STUDY)
    assert [round(test.p, 3) for test in report.tests] == [0.081, 0.123, 0.104]
    assert report.chosen == report.tests[0]
    assert report.one_sided == pytest.approx(0.0636, abs=5e-5)
    assert report.smallest_expected == pytest.approx(36 * 55 / 185)
    assert report.shares == (wilson(15, 55), wilson(21, 130))
    (ratio,) = report.odds_ratios
    assert ratio == odds_ratio(STUDY) and report.conditional == conditional(STUDY)


def test_report_of_more_groups_compares_with_the_first():
    report = counts_report(DENSITY)
    assert [ratio.value for ratio in report.odds_ratios] == pytest.approx([304 / 280, 247 / 180, 57 / 60])
    assert report.chosen.name.startswith("Fisher") and report.conditional is None and math.isnan(report.one_sided)


@pytest.mark.parametrize("table", [[[0, 0], [0, 0], [3, 4], [5, 6]], [[3, 4], [0, 0], [5, 6]]])
def test_report_of_groups_without_cases(table):
    report = counts_report(table)
    assert sum(math.isnan(ratio.value) for ratio in report.odds_ratios) >= 1
    assert "left out" in report.chosen.note and "left out" in describe_counts(table)


@pytest.mark.parametrize(
    "text", ["15,40,21,109", " 15, 40 ; 21,109 ", "15/55,21/130", "15/55; 21/130", "15,40;21,109;"]
)
def test_ways_to_type_a_table(text):
    assert parse_counts(text).tolist() == STUDY.tolist()


def test_larger_tables():
    assert parse_counts("4/23,16/86,13/58,3/18").tolist() == DENSITY.tolist()
    assert parse_counts("4,19;16,70;13,45;3,15").tolist() == DENSITY.tolist()
    assert parse_counts("1,2,3;4,5,6").tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "a count is missing"),
        ("15,,21,109", "a count is missing"),
        ("a,b,c,d", "'a' is no count"),
        ("-1,2,3,4", "'-1' is no count"),
        ("1.5,2,3,4", "'1.5' is no count"),
        ("15/55,21", "'15/55' is yes/total, but"),
        ("60/55,21/130", "60/55 is more than all"),
        ("1,2,3", "3 entries in one row"),
        ("1,2,3,4,5,6", "6 entries in one row"),
        ("15/55", "1 entry in one row"),
        ("1,2;3", "different numbers"),
        ("1;2", "in one row or column"),
        ("0,0,0,0", "all counts are zero"),
        ("99999999999999999999,1,1,1", "1,000,000"),
    ],
)
def test_what_is_no_table_of_counts(text, words):
    with pytest.raises(InputError, match="^--counts: ") as caught:
        parse_counts(text)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_text_of_two_groups():
    lines = describe_counts(STUDY).splitlines()
    assert "  group 1   15   40     55       27.3% (17.3% to 40.2%)" in lines
    assert any(line.split() == "Chi-square test 3.05 (1 df) p = 0.081".split() for line in lines)
    assert any(line.split() == f"odds ratio, {WOOLF} 1.95 (0.91 to 4.14) p = 0.084".split() for line in lines)
    assert any("Fisher's exact test" in line and "p = 0.104 (two-sided; one-sided p = 0.064)" in line for line in lines)
    assert "  The smallest expected count is 10.7, at least 5: chi-square test, p = 0.081." in lines


def test_text_of_more_columns_has_no_ratios():
    text = describe_counts([[1, 2, 3], [4, 5, 6]])
    assert "column 3" in text and "odds ratio" not in text and "Fisher-Freeman-Halton" in text


@pytest.mark.parametrize("text", ["3.08", "a,b,c", "3,08,1,38,6,87", "1,2,3,4", "3.08;1.38;6.87", "-1,2,3", ""])
def test_what_is_no_printed_ratio(text):
    with pytest.raises(InputError, match="^--printed: ") as caught:
        parse_printed(text)
    assert "\n" not in str(caught.value)


def test_printed_ratio_keeps_its_decimals():
    assert parse_printed(" 5.89, 2.42,14.30") == ("5.89", "2.42", "14.30")


@pytest.mark.parametrize(
    "printed, reading",
    [
        ("1.95,0.91,4.14", "odds ratio, Woolf's interval."),
        ("1.94,0.84,4.40", "conditional maximum likelihood, exact interval."),
        ("1.949,0.924,4.110", "0.5 added to every count."),
        ("0.51,0.24,1.09", "Woolf's interval, columns or rows swapped."),
        ("1.69,0.94,3.02", "risk ratio."),
        ("1.55,0.97,2.48", "risk ratio, rows and columns exchanged."),
        ("1.95,0.92,4.14", "but for the last digit: 1.95 (0.91 to 4.14)"),
    ],
)
def test_a_printed_ratio_is_found_among_the_readings(printed, reading):
    text = describe_printed(*parse_printed(printed), STUDY)
    assert reading in text
    assert ("The counts give it: " in text) == ("last digit" not in reading)


def test_a_printed_ratio_that_the_counts_do_not_give():
    text = describe_printed(*parse_printed("3.08,1.38,6.87"), STUDY)
    assert "The counts do not give it. Odds ratio of group 1 against group 2: 1.95 (0.91 to 4.14)" in text
    assert "p = 0.0060 (0.0058 to 0.0062" in text and "belong together" in text
    assert "counts" not in describe_printed(5.89, 2.42, 14.30)
    assert "the value is not the middle" in describe_printed("3.50", "1.38", "6.87")


def test_a_printed_ratio_of_any_two_groups():
    assert "group 1 against group 3" in describe_printed("1.37", "0.40", "4.75", DENSITY)
    text = describe_printed("3.08", "1.38", "6.87", DENSITY)
    assert "No two of the groups give it. The nearest ratio is 1." in text and len(text.splitlines()) == 4
    for table in ([[1, 2, 3], [4, 5, 6]], [[3, 4]]):
        assert "give such counts" in describe_printed("1.37", "0.40", "4.75", table)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=4, max_size=4).filter(any))
def test_any_counts_have_readings_and_texts(cells):
    table = np.array(cells).reshape(2, 2)
    names = [name for name, *_ in readings(table)]
    assert len(names) == len(set(names))
    describe_printed("2.00", "1.00", "4.00", table)
    if table.sum(axis=0).all() and table.sum(axis=1).all():
        assert "nan" not in describe_counts(table)
