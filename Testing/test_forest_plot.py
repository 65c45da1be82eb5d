"""The forest plot: odds ratios where the axis says they are, and numbers that can be read beside them."""

from __future__ import annotations

import math

import pytest
from pictures import NOTICE, artist, assert_legible, gids, written

pytest.importorskip("matplotlib")

from HER2NomogramLib.drawing import save_figure
from HER2NomogramLib.forest_plot import (
    GROUP,
    LEVEL,
    MOST_SERIES,
    NUMBER,
    REFERENCE,
    ForestRow,
    axis_limits,
    fitting_parts,
    forest_figure,
    odds_text,
)
from HER2NomogramLib.odds_ratios import OddsRatio

NAMES = ("Univariate", "Adjusted")
UNKNOWN = OddsRatio(math.nan, math.nan, math.nan, math.nan)


def odds(value: float, error: float = 0.4) -> OddsRatio:
    return OddsRatio(value, value * math.exp(-1.96 * error), value * math.exp(1.96 * error), 0.1)


ROWS = (
    ForestRow("Age, per 10 years", NUMBER, "55/185", (odds(1.1, 0.12), odds(1.05, 0.15))),
    ForestRow("HER2 status", GROUP),
    ForestRow("negative", LEVEL, "21/130", (REFERENCE, REFERENCE)),
    ForestRow("positive", LEVEL, "15/55", (OddsRatio(1.95, 0.92, 4.14, 0.08), OddsRatio(5.89, 2.42, 14.3, 0.001))),
    ForestRow("Breast density", GROUP),
    ForestRow("A", LEVEL, "4/23", (REFERENCE, None)),
    ForestRow("B", LEVEL, "16/86", (odds(1.09), None)),
)
FAR = (
    ForestRow("Open above", NUMBER, "3/9", (OddsRatio(12.0, 0.8, math.inf, 0.1), OddsRatio(50.0, 2.2, 5e4, 0.01))),
    ForestRow("Open below", NUMBER, "0/9", (UNKNOWN, OddsRatio(0.01, 0.0, 0.9, 0.04))),
    ForestRow("Far away", NUMBER, "9/9", (OddsRatio(2e4, 10.0, 1e9, 0.01), None)),
)
LONG = "A label with many words that a user has typed into a table, $5 or more, and that goes on and on and on"


def many(count: int) -> list[ForestRow]:
    rows = []
    for index in range(count // 4):
        rows.append(ForestRow(f"Variable {index}", GROUP))
        rows += [
            ForestRow(f"level {k}", LEVEL, f"{k}/20", (REFERENCE,) * 2 if k == 0 else (odds(1 + k), odds(0.3 * k)))
            for k in range(4)
        ]
    return rows


def test_odds_ratios_and_intervals_are_where_they_belong():
    figure = forest_figure(ROWS, NAMES, note_head="With outcome/n", notice=NOTICE)
    for index, row in enumerate(ROWS):
        for number, found in enumerate(row.series):
            if found is None:
                assert not any(gid.endswith(f"-{index}-{number}") for gid in gids(figure))
            elif found is REFERENCE:
                assert artist(figure, f"value-{index}-{number}").get_xdata()[0] == 1
                assert f"interval-{index}-{number}" not in gids(figure)
            else:
                assert artist(figure, f"value-{index}-{number}").get_xdata()[0] == found.value
                ends = artist(figure, f"interval-{index}-{number}").get_xdata()
                assert list(ends) == [found.low, found.high]
    assert set(artist(figure, "one").get_xdata()) == {1}
    assert artist(figure, "value-3-0").axes.get_xscale() == "log"
    assert not any(gid.startswith("beyond") for gid in gids(figure))
    text = written(figure)
    for expected in (
        "1.95 (0.92 to 4.14)",
        "5.89 (2.42 to 14.3)",
        "15/55",
        "With outcome/n",
        "Univariate",
        "HER2 status",
    ):
        assert expected in text
    assert text.count("1 (reference)") == 3 and text.count("–") == 2


def test_series_differ_without_color():
    figure = forest_figure(ROWS, NAMES)
    first, second = artist(figure, "value-3-0"), artist(figure, "value-3-1")
    assert first.get_marker() != second.get_marker()
    assert first.get_markerfacecolor() == "white" != second.get_markerfacecolor()
    assert first.get_ydata()[0] < second.get_ydata()[0]


def test_a_row_with_one_odds_ratio_has_it_in_the_middle():
    figure = forest_figure(ROWS, NAMES)
    label = next(text for text in figure.axes[0].texts if text.get_text() == "16/86")
    assert artist(figure, "value-6-0").get_ydata()[0] == label.get_position()[1]


def test_what_goes_on_beyond_the_axis_ends_in_an_arrow():
    figure = forest_figure([*ROWS, *FAR], NAMES, notice=NOTICE)
    start = len(ROWS)
    low, high = artist(figure, "one").axes.get_xlim()
    # The others must not be pressed together by an interval without an end.
    assert low > 1e-4 and high < 1e4
    assert artist(figure, f"beyond-high-{start}-0").get_xdata()[0] == high
    assert artist(figure, f"beyond-low-{start + 1}-1").get_xdata()[0] == low
    assert artist(figure, f"value-{start}-1").get_xdata()[0] == 50
    # An odds ratio that is beyond the axis itself has no marker in it.
    assert f"value-{start + 2}-0" not in gids(figure) and f"beyond-high-{start + 2}-0" in gids(figure)
    assert f"value-{start + 1}-0" not in gids(figure)
    text = written(figure)
    assert "Goes on beyond the axis" in text and "not estimable" in text
    assert "12.0 (0.80 to ∞)" in text and "0.010 (0 to 0.90)" in text and "50.0 (2.20 to > 1000)" in text


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (ROWS, NAMES),
        ([*ROWS, *FAR], NAMES),
        ([ForestRow("Ki-67, per 10%", NUMBER, "12/80", (odds(1.02, 0.02),))], ("Adjusted",)),
        ([ForestRow("Nothing", NUMBER, "", (UNKNOWN, None))], NAMES),
        ([ForestRow(LONG, GROUP), ForestRow(LONG, LEVEL, "1000/2000", (odds(0.02, 1.5), odds(3)))], NAMES),
        ([ForestRow("Averyveryverylonglabelwithoutanyspacethatgoesonandon", NUMBER, "1/2", (odds(3), None))], NAMES),
        (many(40), NAMES),
        ([ForestRow("Age", NUMBER, "", (odds(1), odds(2), None, odds(0.1), UNKNOWN, REFERENCE))], "ABCDEF"),
        (
            [
                ForestRow("x", GROUP),
                ForestRow("no", LEVEL, "", (REFERENCE,) * 3),
                ForestRow("yes", LEVEL, "", (odds(2),) * 3),
            ],
            [f"Breast density {LONG} {k}" for k in "ABC"],
        ),
    ],
)
def test_everything_can_be_read(rows, names):
    figure = forest_figure(rows, names, "Odds ratios: 5 $ or 6 $", note_head="With outcome/n", notice=NOTICE)
    assert_legible(figure)


@pytest.mark.parametrize("scale", [0.01, 0.3, 1.0, 1.02, 7.0, 80.0, 900.0])
def test_axis_has_one_and_round_odds_ratios(scale):
    figure = forest_figure([ForestRow("x", NUMBER, "", (odds(scale, 0.2),))], ("Adjusted",))
    axes = artist(figure, "one").axes
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert 1.0 in ticks and len(ticks) >= 3 and low < scale < high
    assert any(tick < 1 for tick in ticks) and any(tick > 1 for tick in ticks)
    assert_legible(figure)


def test_many_rows_are_parted_between_variables_and_share_the_axis():
    rows = many(160)
    parts = fitting_parts(rows)
    assert [row for part in parts for row in part] == rows and len(parts) > 2
    assert all(part[0].kind == GROUP for part in parts)
    figures = [forest_figure(part, NAMES, limits=axis_limits(rows), notice=NOTICE) for part in parts]
    assert all(figure.get_figheight() < 9.2 for figure in figures)
    assert len({artist(figure, "one").axes.get_xlim() for figure in figures}) == 1
    assert fitting_parts(ROWS) == [list(ROWS)]


def test_odds_ratios_in_words():
    assert odds_text(None) == "–" and odds_text(REFERENCE) == "1 (reference)"
    assert odds_text(UNKNOWN) == "not estimable"
    assert odds_text(OddsRatio(3.0, math.nan, math.nan, 0.1)) == "3.00"
    assert odds_text(OddsRatio(0.012, 9e-5, 0.09, 0.1)) == "0.012 (< 0.001 to 0.090)"


def test_same_figure_gives_the_same_bytes(tmp_path):
    paths = [save_figure(forest_figure(ROWS, NAMES), tmp_path / f"{number}.svg") for number in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    ("rows", "names", "message"),
    [
        ([], NAMES, "0 rows"),
        (ROWS, (), "0 series"),
        (ROWS, ("x",) * (MOST_SERIES + 1), "series"),
        (ROWS, ("Adjusted",), "'Age, per 10 years' has 2 odds ratios for 1 series"),
        ([ForestRow("x", GROUP, "", (None, None))], NAMES, "'x' has 2"),
    ],
)
def test_rows_and_series_that_do_not_fit_are_refused(rows, names, message):
    with pytest.raises(ValueError, match=message):
        forest_figure(rows, names)
