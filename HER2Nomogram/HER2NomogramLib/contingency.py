"""Counts that a paper prints: odds and risk ratios, all tests, and whether a printed odds ratio follows from them.

Rows of a table are groups, columns are yes and no. In a two by two table the first row is the group with the exposure,
so that an odds ratio above 1 means that yes is more frequent in the first row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from .association_terms import p_equals
from .errors import InputError
from .exact_tests import conditional_odds_ratio, fisher_one_sided, fisher_p
from .metrics import Z_95, Estimate, two_sided_p, wilson
from .odds_ratios import OddsRatio
from .printed_ratio import PrintedRatio, check_printed_ratio
from .report_numbers import counted, interval, number, percent, ratio, significant
from .table_tests import (
    SMALLEST_EXPECTED,
    TableTest,
    checked_counts,
    chi_square,
    choose_test,
    expected_counts,
    fisher_exact,
    freeman_halton,
    two_by_two,
    without_empty,
    yates,
)

WOOLF = "Woolf's interval"
CONDITIONAL = "conditional maximum likelihood, exact interval"
_WHOLE = re.compile(r"\d+")
_SHARE = re.compile(r"(\d+)\s*/\s*(\d+)")
_DECIMAL = re.compile(r"\d+(\.\d+)?")
# Units of the last digit that a number may be off by rounding alone, binary fractions allowed for.
_ROUNDED = 0.5 + 1e-9
_NO_RATIO = OddsRatio(math.nan, math.nan, math.nan, math.nan, "none: a row or column has no counts")


@dataclass(frozen=True, eq=False)
class CountsReport:
    """What can be said of a table of counts.

    Attributes
    ----------
    table : np.ndarray of int, shape (n_groups, n_columns)
    smallest_expected : float
        Smallest count that is expected where nothing is associated.
    tests : tuple of TableTest
        All that the table allows.
    chosen : TableTest
        The one of them that :func:`choose_test` takes.
    one_sided : float
        Smaller one-sided p of Fisher's test; NaN for other than two by two tables.
    shares : tuple of Estimate
        Share of yes in every group, with Wilson intervals; empty for more than two columns.
    odds_ratios : tuple of OddsRatio
        The first of two groups against the second, or every further of more groups against the first; empty for more
        than two columns.
    conditional : OddsRatio or None
        The exact counterpart for two groups.
    risk_ratio, risk_difference : Estimate or None
        Of the first of two groups against the second.
    """

    table: np.ndarray
    smallest_expected: float
    tests: tuple[TableTest, ...]
    chosen: TableTest
    one_sided: float = math.nan
    shares: tuple[Estimate, ...] = ()
    odds_ratios: tuple[OddsRatio, ...] = ()
    conditional: OddsRatio | None = None
    risk_ratio: Estimate | None = None
    risk_difference: Estimate | None = None


def odds_ratio(table: np.ndarray) -> OddsRatio:
    """Odds ratio of a two by two table with Woolf's interval and the p-value of the same standard error.

    Where a count is zero that interval does not exist, and the exact one stands in its place, with the p-value of
    Fisher's test. Where a row or column is empty there is no odds ratio.
    """
    table = two_by_two(table)
    if (table.sum(axis=0) == 0).any() or (table.sum(axis=1) == 0).any():
        return _NO_RATIO
    if (table == 0).any():
        return conditional(table)
    return _woolf(table)


def conditional(table: np.ndarray) -> OddsRatio:
    """Conditional maximum likelihood odds ratio with its exact interval and the p-value of Fisher's test.

    Interval and p-value are computed in different ways (one tail at a time, and all less probable tables), so one may
    exclude 1 where the other is above 0.05.
    """
    table, _ = without_empty(two_by_two(table))
    return OddsRatio(*conditional_odds_ratio(table), fisher_p(table), CONDITIONAL)


def risk_ratio(table: np.ndarray) -> Estimate:
    """Share of yes in the first row over that in the second, with Katz's interval (Biometrics 1978;34:469).

    No interval where one of the rows has no yes, and no ratio where the second has none.
    """
    (a, b), (c, d) = two_by_two(table)
    if not a + b or not c + d or not c:
        return Estimate(math.nan)
    value = a / (a + b) / (c / (c + d))
    if not a:
        return Estimate(0.0)
    error = math.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d))
    return Estimate(float(value), float(value * math.exp(-Z_95 * error)), float(value * math.exp(Z_95 * error)))


def risk_difference(table: np.ndarray) -> Estimate:
    """Share of yes in the first row less that in the second, with Newcombe's interval (Stat Med 1998;17:873)."""
    first, second = (wilson(int(row[0]), int(row.sum())) for row in two_by_two(table))
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    return Estimate(value, low, value + math.hypot(first.high - first.value, second.value - second.low))


def counts_report(table: np.ndarray) -> CountsReport:
    """All that can be said of a table of counts.

    Raises
    ------
    InputError
        Where the table is none of counts, or fewer than two groups or two columns have counts.
    """
    table = checked_counts(table)
    chosen = choose_test(table)
    smallest = float(expected_counts(without_empty(table)[0]).min())
    shares = tuple(wilson(int(yes), int(yes + no)) for yes, no in table) if table.shape[1] == 2 else ()
    if table.shape != (2, 2):
        pairs = [table[[index, 0]] for index in range(1, len(table))] if shares else []
        ratios = tuple(odds_ratio(pair) if pair.sum() else _NO_RATIO for pair in pairs)
        return CountsReport(
            table, smallest, (chi_square(table), freeman_halton(table)), chosen, math.nan, shares, ratios
        )
    return CountsReport(
        table=table,
        smallest_expected=smallest,
        tests=(chi_square(table), yates(table), fisher_exact(table)),
        chosen=chosen,
        one_sided=fisher_one_sided(table),
        shares=shares,
        odds_ratios=(odds_ratio(table),),
        conditional=conditional(table),
        risk_ratio=risk_ratio(table),
        risk_difference=risk_difference(table),
    )


def parse_counts(text: str) -> np.ndarray:
    """Table of counts from what the user typed.

    ``15,40,21,109`` is a two by two table row by row, ``4/23,16/86`` are yes of total per group, and semicolons
    separate the rows of larger tables, as in ``4,19;16,70;13,45``.

    Raises
    ------
    InputError
        Where it is none of these.
    """
    rows = [[entry.strip() for entry in row.split(",")] for row in text.strip().strip(";").split(";")]
    entries = [entry for row in rows for entry in row]
    if all(_SHARE.fullmatch(entry) for entry in entries):
        table = [_yes_and_no(entry) for entry in entries]
    else:
        wrong = next((entry for entry in entries if not _WHOLE.fullmatch(entry)), None)
        if wrong is not None:
            raise InputError(
                f"--counts: {_why_no_count(wrong)}: give whole numbers as in 15,40,21,109 or 15/55,21/130."
            )
        table = [[int(entry) for entry in row] for row in rows]
    if len(table) == 1 and len(table[0]) == 4:
        table = [table[0][:2], table[0][2:]]
    if len({len(row) for row in table}) > 1:
        raise InputError("--counts: the rows have different numbers of counts: give as many in every row.")
    if len(table) < 2 or len(table[0]) < 2:
        raise InputError(
            f"--counts: {counted(len(entries), 'entry', 'entries')} in one row or column: give the rows separated by "
            "semicolons (4,19;16,70), or yes/total of two groups or more (4/23,16/86)."
        )
    return checked_counts(np.array(table, dtype=object), "--counts: the table")


def parse_printed(text: str) -> tuple[str, str, str]:
    """Value and bounds of an odds ratio from what the user typed, such as ``3.08,1.38,6.87``, as they were rounded.

    Raises
    ------
    InputError
        Where it is not three such numbers.
    """
    entries = tuple(entry.strip() for entry in text.split(","))
    if len(entries) != 3 or not all(_DECIMAL.fullmatch(entry) for entry in entries):
        raise InputError(
            f"--printed: '{text.strip()}' is no odds ratio with its interval: give value, lower and upper bound with "
            "decimal points, separated by commas, as in 3.08,1.38,6.87."
        )
    return entries


def describe_counts(table: np.ndarray) -> str:
    """What can be said of a table of counts, as lines for the terminal."""
    report = counts_report(table)
    lines = ["Counts", *_aligned(_count_rows(report)), "", "Tests of no association"]
    lines += _aligned([_test_row(test) for test in report.tests])
    if not math.isnan(report.one_sided):
        lines[-1] += f" (two-sided; one-sided p {p_equals(report.one_sided)})"
    relation = "at least" if report.smallest_expected >= SMALLEST_EXPECTED else "below"
    name = report.chosen.name if report.chosen.name.startswith("Fisher") else report.chosen.name.lower()
    lines += [
        f"  The smallest expected count is {number(report.smallest_expected, 1)}, {relation} {SMALLEST_EXPECTED}: "
        f"{name}, p {p_equals(report.chosen.p)}."
    ]
    effects = list(_effect_rows(report))
    if effects:
        lines += ["", f"Effects with 95% intervals, {_compared(report)}", *_aligned(effects)]
    return "\n".join(lines)


def describe_printed(value: float | str, low: float | str, high: float | str, table: np.ndarray | None = None) -> str:
    """What a printed odds ratio implies, and whether the counts give it, as lines for the terminal.

    Parameters
    ----------
    value, low, high : float or str
        As for :func:`check_printed_ratio`.
    table : np.ndarray, optional
        Counts of two groups or more; every two are compared.
    """
    printed = check_printed_ratio(value, low, high)
    smallest, largest = (significant(p, 2) for p in printed.p_range)
    middle = " to ".join(f"{bound:.3f}" for bound in printed.middle_range)
    verdict = (
        "value and interval belong together"
        if printed.belongs
        else "the value is not the middle, so the interval is no Wald interval of this value"
    )
    lines = [
        f"Printed odds ratio {printed}",
        f"  Standard error of the log odds ratio {printed.standard_error:.3f}, z = {number(printed.z)}, "
        f"p = {significant(printed.p, 2)} ({smallest} to {largest} given the rounding).",
        f"  The middle of the interval on the log scale is {printed.middle:.3f} ({middle} given the rounding): "
        f"{verdict}.",
    ]
    return "\n".join(lines if table is None else [*lines, *_agreement(printed, checked_counts(table))])


def readings(table: np.ndarray) -> Iterator[tuple[str, float, float, float]]:
    """Ratios with 95% intervals that a printed one may be, computed from a two by two table in different ways.

    Yields
    ------
    name, value, low, high
    """
    table = two_by_two(table)
    for swapped, view in (("", table), (", columns or rows swapped", table[:, ::-1])):
        yield f"odds ratio, {WOOLF}{swapped}", *_figures(odds_ratio(view))
        # An empty margin leaves nothing to condition on.
        if view.sum(axis=0).all() and view.sum(axis=1).all():
            yield f"odds ratio, {CONDITIONAL}{swapped}", *_figures(conditional(view))
        yield f"odds ratio, 0.5 added to every count{swapped}", *_figures(_woolf(view + 0.5))
    for on_its_side, other_row, other_column in product((False, True), repeat=3):
        view = (table.T if on_its_side else table)[:: -1 if other_row else 1, :: -1 if other_column else 1]
        changes = [
            words
            for done, words in zip(
                (on_its_side, other_row, other_column),
                ("rows and columns exchanged", "the second row against the first", "the second column for yes"),
            )
            if done
        ]
        yield ", ".join(["risk ratio", *changes]), *_figures(risk_ratio(view))


def _figures(estimate: OddsRatio | Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def _woolf(table: np.ndarray) -> OddsRatio:
    (a, b), (c, d) = table.astype(float)
    value, error = float(a * d / (b * c)), math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    p = two_sided_p(math.log(value), error)
    return OddsRatio(value, value * math.exp(-Z_95 * error), value * math.exp(Z_95 * error), p, WOOLF)


def _yes_and_no(entry: str) -> list[int]:
    yes, total = (int(digits) for digits in _SHARE.fullmatch(entry).groups())
    if yes > total:
        raise InputError(f"--counts: {entry} is more than all: give yes/total, as in 4/23.")
    return [yes, total - yes]


def _why_no_count(entry: str) -> str:
    if not entry:
        return "a count is missing"
    if _SHARE.fullmatch(entry):
        return f"'{entry}' is yes/total, but other entries are not"
    return f"'{entry}' is no count"


def _agreement(printed: PrintedRatio, table: np.ndarray) -> list[str]:
    """Whether the counts of any two groups give the printed odds ratio, in whatever way it was computed."""
    if table.shape[1] != 2 or len(table) < 2:
        return ["  An odds ratio compares yes and no of two groups: give such counts to compare it with them."]
    pairs = [(f"group {i + 1} against group {j + 1}", table[[i, j]]) for i, j in combinations(range(len(table)), 2)]
    pairs = [(groups, pair) for groups, pair in pairs if pair.sum()]
    found = [
        (printed.units_off(*figures), f"{groups}, {name}", figures)
        for groups, pair in pairs
        for name, *figures in readings(pair)
        if not any(map(math.isnan, figures))
    ]
    off, name, figures = min(found, key=lambda reading: max(reading[0], _ROUNDED), default=(math.inf, "", ()))
    if off <= _ROUNDED:
        return [f"  The counts give it: {name}."]
    nearest = f"{interval(Estimate(*figures), max(2, _decimals(printed)))}, {name}" if figures else "none"
    if off <= 1 + _ROUNDED:
        return [f"  The counts give it but for the last digit: {nearest}."]
    if len(pairs) > 1:
        return [f"  No two of the groups give it. The nearest ratio is {nearest}."]
    groups, pair = pairs[0]
    return [
        f"  The counts do not give it. Odds ratio of {groups}: {_effect_text(pair)}.",
        "  Nor do exact or corrected odds ratios and risk ratios, with rows or columns swapped or exchanged.",
    ]


def _decimals(printed: PrintedRatio) -> int:
    return round(-math.log10(2 * min(printed.rounding)))


def _effect_text(table: np.ndarray) -> str:
    estimate = odds_ratio(table)
    return (
        f"{interval(estimate, write=ratio)}, {estimate.method}" if not math.isnan(estimate.value) else estimate.method
    )


def _aligned(rows: list[list[str]]) -> list[str]:
    """Rows of cells as lines: the first column flush left, the others flush right."""
    widths = [max(len(row[i]) if i < len(row) else 0 for row in rows) for i in range(max(map(len, rows)))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def _count_rows(report: CountsReport) -> list[list[str]]:
    table = report.table
    names = ["yes", "no"] if report.shares else [f"column {i}" for i in range(1, table.shape[1] + 1)]
    rows = [["", *names, "total", *(["share of yes (95% interval)"] if report.shares else [])]]
    labels = [f"group {index}" for index in range(1, len(table) + 1)] + ["all"]
    shares = [*report.shares, wilson(int(table[:, 0].sum()), int(table.sum()))]
    for label, counts, share in zip(
        labels, [*table, table.sum(axis=0)], shares if report.shares else [None] * len(labels)
    ):
        cells = [interval(share, 1, _percent)] if share is not None else []
        rows.append([label, *(str(count) for count in counts), str(counts.sum()), *cells])
    return rows


def _percent(fraction: float) -> str:
    return percent(fraction) if math.isnan(fraction) else f"{100 * fraction:.1f}%"


def _test_row(test: TableTest) -> list[str]:
    statistic = "" if math.isnan(test.statistic) else f"{test.statistic:.2f} ({test.df} df)"
    note = f" ({test.note})" if test.note else ""
    return [test.name, statistic, f"p {p_equals(test.p)}{note}"]


def _compared(report: CountsReport) -> str:
    return "group 1 against group 2" if report.risk_ratio is not None else "each group against group 1"


def _effect_rows(report: CountsReport) -> Iterator[list[str]]:
    if report.risk_ratio is None:
        for index, estimate in enumerate(report.odds_ratios, start=2):
            yield _effect(f"odds ratio, group {index}", estimate)
        return
    (estimate,) = report.odds_ratios
    yield _effect("odds ratio", estimate)
    if estimate.method != CONDITIONAL:
        yield _effect("odds ratio", report.conditional)
    yield ["risk ratio", interval(report.risk_ratio, write=ratio)]
    yield ["risk difference", interval(report.risk_difference, 3)]


def _effect(name: str, estimate: OddsRatio) -> list[str]:
    if math.isnan(estimate.value):
        return [f"{name}: {estimate.method}"]
    return [f"{name}, {estimate.method}", interval(estimate, write=ratio), f"p {p_equals(estimate.p)}"]
