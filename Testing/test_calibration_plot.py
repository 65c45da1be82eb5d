"""Calibration plots show the curves, groups and predictions that they are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pictures import MODELS, NOTICE, artist, assert_legible, calibrated, cohort, gids, written

pytest.importorskip("matplotlib")

from HER2NomogramLib.calibration import calibrate
from HER2NomogramLib.calibration_plot import calibration_figure
from HER2NomogramLib.metrics import Estimate


def counts(figure, gid: str) -> list[int]:
    return artist(figure, gid).get_data().values.astype(int).tolist()


def test_a_panel_shows_curve_band_and_groups():
    y, probabilities = cohort(84, 33)
    panel = calibrated(y, probabilities)
    figure = calibration_figure({"Training": panel}, notice=NOTICE)
    for name in MODELS:
        line, curve = artist(figure, f"curve-{name}"), panel[name][0].curve
        assert list(line.get_xdata()) == list(curve.predicted) and list(line.get_ydata()) == list(curve.observed)
    curve = panel["nomogram"][0].curve
    corners = artist(figure, "band").get_paths()[0].vertices
    for edge in (curve.low, curve.high):
        wanted = np.column_stack([curve.predicted, edge])
        assert all((np.abs(corners - point).max(axis=1) < 1e-12).any() for point in wanted)
    groups, bins = artist(figure, "groups"), panel["nomogram"][0].bins
    assert list(groups.get_xdata()) == [group.predicted for group in bins]
    assert list(groups.get_ydata()) == [group.observed.value for group in bins]
    bars = [c for c in figure.axes[1].collections if len(getattr(c, "get_segments", list)()) == len(bins)]
    ends = [segment[:, 1].tolist() for segment in bars[0].get_segments()]
    np.testing.assert_allclose(ends, [[group.observed.low, group.observed.high] for group in bins])


def test_predictions_are_counted_by_outcome():
    y = np.array([1, 1, 1, 0, 0, 0, 0, 0])
    p = np.array([0.01, 0.99, 1.0, 0.0, 0.02, 0.26, 0.51, 0.52])
    figure = calibration_figure({"Test": {"nomogram": (calibrate(y, p), y, p)}})
    upward, downward = counts(figure, "predictions-positive"), counts(figure, "predictions-negative")
    assert len(upward) == len(downward) == 20
    assert (upward[0], upward[19], sum(upward)) == (1, 2, 3)
    assert (downward[0], downward[5], downward[10], sum(downward)) == (-2, -1, -2, -5)
    # Numbers beside the bars are counts on either side.
    assert written(figure).count("2") == 2
    assert "8 cases, 3 HER2-positive" in written(figure)


def test_the_numbers_are_those_of_the_nomogram():
    y, probabilities = cohort(84, 33)
    panel = calibrated(y, probabilities)
    known = replace(panel["nomogram"][0], intercept=Estimate(-0.123, -0.5, 0.25), slope=Estimate(0.8, 0.4, 1.2))
    # Whatever the order in which the models are given.
    panel = {"clinical": panel["clinical"], "nomogram": (known, y, probabilities["nomogram"])}
    text = written(calibration_figure({"Training": panel}))
    assert "Intercept −0.12 (−0.50 to 0.25)" in text and "Slope 0.80 (0.40 to 1.20)" in text
    assert "Nomogram, smooth curve with 95% band" in text and "Clinical model" in text


def test_without_a_nomogram_the_first_model_is_the_main_one():
    y, probabilities = cohort(84, 33)
    panel = calibrated(y, {name: probabilities[name] for name in ("radiomics", "clinical")})
    figure = calibration_figure({"Training": panel})
    assert list(artist(figure, "groups").get_xdata()) == [group.predicted for group in panel["radiomics"][0].bins]
    assert "Radiomics model, smooth curve with 95% band" in written(figure)


def test_panels_are_in_their_order_three_in_a_row():
    panels = {f"Split {number}": calibrated(*cohort(30, 12, seed=number)) for number in range(5)}
    figure = calibration_figure(panels, "Five cohorts", notice=NOTICE)
    plots = figure.axes[1::2]
    places = [axes.get_position() for axes in plots]
    assert [round(place.y0, 6) == round(places[0].y0, 6) for place in places] == [True] * 3 + [False] * 2
    assert places[0].x0 < places[1].x0 < places[2].x0 and places[3].x0 == pytest.approx(places[0].x0)
    for axes, place in zip(plots, places):
        assert place.width * figure.get_figwidth() == pytest.approx(place.height * figure.get_figheight())
        assert axes.get_xlim() == axes.get_ylim() == (0, 1)
    titles = [text for text in written(figure) if text.startswith("Split")]
    assert titles == list(panels)
    assert_legible(figure)


@pytest.mark.parametrize("names", [["Internal test"], ["Training, cross-fitted Rad-scores of all the cases", "B $x$"]])
def test_long_titles_and_few_panels_are_legible(names):
    assert_legible(calibration_figure({name: calibrated(*cohort(22, 8)) for name in names}, "Übersicht"))
    narrow = calibration_figure({names[0]: calibrated(*cohort(22, 8))}, width=3.4, notice=NOTICE)
    assert narrow.get_figwidth() == 3.4
    assert_legible(narrow)


def test_what_cannot_be_estimated_is_said_and_nothing_else_is_lost():
    one_class = calibrated(*cohort(22, 0))
    separated_y = np.repeat([1, 0], 11)
    separated = {"nomogram": (calibrate(separated_y, p := np.linspace(0.9, 0.1, 22)), separated_y, p)}
    y, p = separated_y, np.full(22, 0.5)
    constant = {"nomogram": (calibrate(y, p), y, p)}
    missing = {"nomogram": (None, y, np.full(22, 0.3))}
    for panel in (one_class, separated, constant, missing):
        assert panel["nomogram"][0] is None or panel["nomogram"][0].curve is None
        figure = calibration_figure({"Test": panel}, "Test", notice=NOTICE)
        assert_legible(figure)
        assert "curve-nomogram" not in gids(figure) and "band" not in gids(figure)
        assert sum(counts(figure, "predictions-positive")) == panel["nomogram"][1].sum()
        assert sum(counts(figure, "predictions-negative")) == -(1 - panel["nomogram"][1]).sum()
    text = written(calibration_figure({"Test": one_class}))
    assert "Intercept not estimable" in text and "Slope not estimable" in text
    assert "Calibration not assessed" in written(calibration_figure({"Test": missing}))


def test_nothing_to_draw_is_refused():
    for panels in ({}, {"Training": {}}):
        with pytest.raises(ValueError, match="no calibration"):
            calibration_figure(panels)
