"""Every number of Docs/published-counts.md, computed again; the page has no other numbers."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
from conftest import ROOT
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import chi2, chi2_contingency

from HER2NomogramLib.contingency import (
    counts_report,
    describe_counts,
    describe_printed,
    odds_ratio,
    parse_counts,
    parse_printed,
    readings,
)
from HER2NomogramLib.printed_ratio import check_printed_ratio
from HER2NomogramLib.report_numbers import interval, number, significant
from HER2NomogramLib.table_tests import expected_counts

PAGE = ROOT / "Docs" / "published-counts.md"
HER2 = parse_counts("15/55,21/130")
DENSITY = parse_counts("4/23,16/86,13/58,3/18")
IN_WORDS = {1: "one", 2: "two", 3: "three"}
PRINTED = ("3.08", "1.38", "6.87")
ADJUSTED = ("5.89", "2.42", "14.30")
# Digits of names, notation and the printed figures themselves; everything else is computed.
GIVEN = (
    "HER2",
    "her2nomogram",
    "95%",
    "`Testing/test_published_counts.py`",
    "3.08 (1.38 to 6.87)",
    "5.89 (2.42 to 14.30)",
    "gives 3.08",
    "--printed 3.08,1.38,6.87",
    "--printed 5.89,2.42,14.30",
    "leaves out 1",
    "0.5 added to every count",
    "p < 0.001",
    "below 0.001",
    "| < 0.001 |",
    "(`15,40,21,109`)",
    "(`4/23,16/86,13/58,3/18`)",
    "(`4,19;16,70;13,45;3,15`)",
    "--counts 15/55,21/130",
)


def implied(printed: tuple[str, str, str]) -> str:
    found = check_printed_ratio(*printed)
    figures = f"{found.middle:.3f} | {found.standard_error:.3f} | {found.z:.2f} | {significant(found.p, 2)}"
    return f"| {found} | {figures} |"


def profile_interval() -> tuple[float, float]:
    """Odds ratios at which twice the log likelihood of the two groups, maximized over the rest, is 3.84 lower."""
    (a, b), (c, d) = HER2

    def log_likelihood(log_odds: float, log_ratio: float) -> float:
        groups = ((a, b, log_odds + log_ratio), (c, d, log_odds))
        return sum(yes * x - (yes + no) * math.log1p(math.exp(x)) for yes, no, x in groups)

    best, estimate = log_likelihood(math.log(c / d), math.log(a * d / (b * c))), math.log(a * d / (b * c))

    def excess(log_ratio: float) -> float:
        rest = minimize_scalar(lambda x: -log_likelihood(x, log_ratio), bounds=(-6, 4), method="bounded")
        return 2 * (best + rest.fun) - chi2.isf(0.05, 1)

    bounds = brentq(excess, estimate - 3, estimate), brentq(excess, estimate, estimate + 3)
    return math.exp(bounds[0]), math.exp(bounds[1])


def ratios() -> dict[str, str]:
    """Readings of the counts as the page writes them."""
    found = {name: f"{value:.2f} ({low:.2f} to {high:.2f})" for name, value, low, high in readings(HER2)}
    low, high = profile_interval()
    return {
        "Woolf's interval": found["odds ratio, Woolf's interval"],
        "profile likelihood interval": f"{odds_ratio(HER2).value:.2f} ({low:.2f} to {high:.2f})",
        "conditional maximum likelihood, exact interval": found[
            "odds ratio, conditional maximum likelihood, exact interval"
        ],
        "0.5 added to every count": found["odds ratio, 0.5 added to every count"],
        "columns or rows swapped": found["odds ratio, Woolf's interval, columns or rows swapped"],
        "risk ratio of microcalcifications": found["risk ratio"],
        "risk ratio of a HER2-positive cancer (rows and columns exchanged)": found[
            "risk ratio, rows and columns exchanged"
        ],
    }


def p_values() -> dict[str, float]:
    report = counts_report(HER2)
    chi_square, yates, fisher = (test.p for test in report.tests)
    return {
        "chi-square": chi_square,
        "chi-square, one-sided": chi_square / 2,
        "chi-square with Yates' correction": yates,
        "likelihood ratio": chi2_contingency(HER2, correction=False, lambda_="log-likelihood").pvalue,
        "Wald test of the log odds ratio": odds_ratio(HER2).p,
        "Fisher, two-sided": fisher,
        "Fisher, one-sided": report.one_sided,
    }


def smallest_and_largest_p(left_out: tuple[int, ...]) -> tuple[float, float]:
    """Of the chi-square test, over all divisions by HER2 status of the women of some densities who are left out."""
    yes, no = DENSITY[list(left_out)].sum(axis=0)
    of_yes, of_no = np.arange(HER2[0, 0] + 1)[:, np.newaxis], np.arange(HER2[0, 1] + 1)[np.newaxis]
    a, b = HER2[0, 0] - of_yes, HER2[0, 1] - of_no
    c, d = HER2[1, 0] - (yes - of_yes), HER2[1, 1] - (no - of_no)
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    possible = (of_yes <= yes) & (c >= 0) & (of_no <= no) & (d >= 0) & (margins > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(possible, (a + b + c + d) * (a * d - b * c) ** 2 / margins, np.nan)
    return float(chi2.sf(np.nanmax(statistic), 1)), float(chi2.sf(np.nanmin(statistic), 1))


def computed() -> list[str]:
    """What stands on the page, from the counts and the printed figures."""
    by_her2, by_density, printed = counts_report(HER2), counts_report(DENSITY), check_printed_ratio(*PRINTED)
    totals, columns = HER2.sum(axis=1), HER2.sum(axis=0)
    assert DENSITY.sum(axis=0).tolist() == columns.tolist()
    difference = by_her2.risk_difference
    low, high = (significant(p, 2) for p in printed.p_range)
    chi_square, exact = by_density.tests
    indented = f"{describe_counts(HER2)}\n{describe_printed(*PRINTED, HER2)}".splitlines()
    small = [count for count in expected_counts(DENSITY).ravel() if count < 5]
    shares = [f"{yes} of {yes + no}" for yes, no in DENSITY]
    return [
        "\n".join(f"    {line}".rstrip() for line in indented),
        f"{HER2.sum()} women, {totals[0]} with a",
        f"and {totals[1]} with a HER2-negative",
        f"in {HER2[0, 0]} of {totals[0]} HER2-positive and {HER2[1, 0]} of {totals[1]} HER2-negative",
        f"in {shares[0]}, {shares[1]}, {shares[2]} and {shares[3]}",
        f"add up to {columns[0]} of {HER2.sum()}",
        f"p | < 0.001 | {number(by_her2.chosen.p, 3)} (chi-square) | no |",
        f"| 3.08 (1.38 to 6.87) | {interval(by_her2.odds_ratios[0])} | no |",
        f"p | 0.92 | {number(chi_square.p)} (chi-square), {number(exact.p)} (exact) | yes |",
        f"{100 * by_her2.shares[0].value:.1f}% against {100 * by_her2.shares[1].value:.1f}%",
        f"{number(100 * difference.value, 1)} percentage points",
        f"from {number(100 * difference.low, 1)} to {number(100 * difference.high, 1)}:",
        f"{IN_WORDS[len(small)]} expected counts are below 5 ({' and '.join(number(count, 1) for count in small)})",
        implied(PRINTED),
        implied(ADJUSTED),
        f"between {low} and {high}",
        *(f"| {name} | {p:.3f} |" for name, p in p_values().items()),
        *(f"| {name} | {text} |" for name, text in ratios().items()),
        f"divides {HER2.sum()} women",
        f"the smallest p is {significant(smallest_and_largest_p((3,))[0], 2)}.",
    ]


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_every_number_of_the_page_is_computed(page):
    text = _flowing(page)
    for expected in map(_flowing, computed()):
        assert expected in text, f"not on the page: {expected}"
        text = text.replace(expected, " ")
    for given in GIVEN:
        text = text.replace(given, " ")
    assert re.findall(r".{0,30}\d.{0,30}", text) == []


def test_the_terminal_prints_what_the_page_shows(page):
    text = f"{describe_counts(HER2)}\n{describe_printed(*PRINTED, HER2)}"
    assert "\n".join(f"    {line}".rstrip() for line in text.splitlines()) in page


def test_what_the_page_saysIN_WORDS(page):
    printed, adjusted = check_printed_ratio(*PRINTED), check_printed_ratio(*ADJUSTED)
    assert printed.belongs and adjusted.belongs
    assert printed.p_range[0] > 0.001 > adjusted.p_range[1]
    assert min(p_values().values()) > 0.001
    for name, value, low, high in readings(HER2):
        assert printed.units_off(value, low, high) > 1.5 and low < 1 < high, name
    low, high = profile_interval()
    assert low < 1 < high


def test_the_commands_of_the_page_are_understood(page):
    for counts in re.findall(r"--counts (\S+)", page):
        assert parse_counts(counts).tolist() == HER2.tolist()
    assert parse_counts("15,40,21,109").tolist() == HER2.tolist()
    assert parse_counts("4,19;16,70;13,45;3,15").tolist() == DENSITY.tolist()
    assert {parse_printed(text) for text in re.findall(r"--printed ([\d.,]+)", page)} == {PRINTED, ADJUSTED}


def gives_the_printed(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Where Woolf's odds ratio and interval of tables without zeros are the printed ones, within their rounding."""
    value, error = a * d / (b * c), np.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    figures = (value, value * np.exp(-1.959963985 * error), value * np.exp(1.959963985 * error))
    return np.all([np.abs(figure - float(text)) <= 0.005 + 1e-9 for figure, text in zip(figures, PRINTED)], axis=0)


def test_the_search_finds_tables_that_are_there(monkeypatch):
    a, b, c, d = (np.array([[count]]) for count in HER2.ravel())
    assert not gives_the_printed(a, b, c, d).any()
    monkeypatch.setitem(globals(), "PRINTED", ("1.95", "0.91", "4.14"))
    assert gives_the_printed(a, b, c, d).all()


def test_no_two_groups_of_all_women_give_the_printed_odds_ratio():
    n = int(HER2.sum())
    for first in range(2, n - 1):
        yes_first, yes_second = np.arange(1, first)[:, np.newaxis], np.arange(1, n - first)[np.newaxis]
        assert not gives_the_printed(yes_first, first - yes_first, yes_second, n - first - yes_second).any()


def test_no_women_left_out_give_the_printed_odds_ratio():
    axes = (np.arange(1, count + 1) for count in HER2.ravel())
    assert not gives_the_printed(*np.meshgrid(*axes, indexing="ij", sparse=True)).any()


def test_a_density_left_out():
    for size in (1, 2, 3):
        for left_out in itertools.combinations(range(4), size):
            smallest, largest = smallest_and_largest_p(left_out)
            assert (smallest > 0.001) == (left_out == (3,)), left_out
            assert largest > 0.001, left_out


def _flowing(text: str) -> str:
    """Text without line breaks, so that a sentence may be wrapped anywhere."""
    return re.sub(r"\s+", " ", text)
