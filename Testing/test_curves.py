"""ROC curves, resampled AUCs and decision curves show what they are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pictures import MODELS, NOTICE, artist, assert_legible, cohort, gids, make_nested, written

pytest.importorskip("matplotlib")

from HER2NomogramLib.curves import decision_figure, nested_figure, roc_figure
from HER2NomogramLib.decision import decision_curve, net_benefit, net_benefit_all
from HER2NomogramLib.metrics import Estimate

CURVES = [
    ("Nomogram", [0, 0, 0.2, 1], [0, 0.6, 0.9, 1], 0.893, (0.61, 0.98)),
    ("Clinical model of a cohort with a name too long for one line", [0, 0.5, 1], [0, 0.6, 1], 0.55, None),
]


def test_roc_figure_draws_each_curve_and_writes_its_area():
    figure = roc_figure(CURVES, "Internal test (n = 22)", notice=NOTICE)
    assert list(artist(figure, "roc-Nomogram").get_xdata()) == [0, 0, 0.2, 1]
    assert list(artist(figure, "roc-Nomogram").get_ydata()) == [0, 0.6, 0.9, 1]
    text = " ".join(written(figure))
    assert "Nomogram: AUC 0.89 (0.61 to 0.98)" in text
    assert "too long for one line: AUC 0.55" in text
    assert "Internal test (n = 22)" in text and NOTICE.split(".")[0] in text
    plot = figure.axes[1].get_position()
    assert plot.width * figure.get_figwidth() == pytest.approx(plot.height * figure.get_figheight())


def test_roc_curves_differ_in_dashes_not_in_color_only():
    figure = roc_figure([(str(number), [0, 1], [0, 1], 0.5, None) for number in range(6)])
    dashes = {str(line._unscaled_dash_pattern) for line in figure.axes[1].lines if line.get_gid()}
    assert len(dashes) == 6


def test_roc_figure_refuses_what_is_no_curve():
    with pytest.raises(ValueError, match="no curve"):
        roc_figure([])
    with pytest.raises(ValueError, match="2 false and 1 true"):
        roc_figure([("Nomogram", [0, 1], [0], 0.5, None)])


@pytest.mark.parametrize("width", [3.4, 4.2])
def test_the_legend_of_roc_curves_is_legible(width):
    assert_legible(roc_figure([*CURVES, ("Größe $x$", [0, 1], [0, 1], 0.5, None)], "ROC", width=width, notice=NOTICE))


AREAS = {
    "nomogram": [0.71, 0.74, 0.70, 0.73],
    "radiomics": [0.69, 0.66, 0.7, 0.68],
    "clinical": [0.5, 0.45, 0.55, 0.52],
}


def test_nested_figure_shows_every_repeat_and_the_mean_with_its_interval():
    figure = nested_figure(make_nested(AREAS), "Nested cross-validation", notice=NOTICE)
    heights = []
    for name, areas in AREAS.items():
        repeats, mean = artist(figure, f"repeats-{name}"), artist(figure, f"mean-{name}")
        assert list(repeats.get_xdata()) == areas
        assert list(mean.get_xdata()) == pytest.approx([np.mean(areas)])
        row = mean.get_ydata()[0]
        assert np.abs(repeats.get_ydata() - row).max() < 0.15
        (interval,) = [line for line in figure.axes[1].lines if list(line.get_ydata()) == [row, row]]
        assert list(interval.get_xdata()) == pytest.approx([np.mean(areas) - 0.1, np.mean(areas) + 0.1])
        heights.append(row)
    # In the order given, from above.
    low, high = figure.axes[1].get_ylim()
    assert low > high and heights == sorted(heights)
    text = written(figure)
    assert "0.72 (0.62 to 0.82)" in text and "Radiomics model" in text
    assert "Mean of 4 repeats, 95% interval" in text and "One repeat of 5-fold cross-validation" in text


def test_nested_figure_keeps_everything_in_view_and_leaves_out_what_is_missing():
    nested = make_nested({**AREAS, "clinical": [0.21, float("nan"), 0.35, 0.99]})
    auc = {**nested.auc, "radiomics": Estimate(float("nan")), "clinical": Estimate(0.5, 0.1, 1.0)}
    figure = nested_figure(replace(nested, auc=auc))
    assert list(artist(figure, "repeats-clinical").get_xdata()) == [0.21, 0.35, 0.99]
    assert "mean-radiomics" not in gids(figure) and "–" in written(figure)
    low, high = figure.axes[1].get_xlim()
    assert low <= 0.1 and high >= 0.99
    assert_legible(figure)


@pytest.mark.parametrize("areas", [[0.6], [0.5], [1.0, 1.0], [0.0, 1.0], [0.702, 0.703]])
def test_nested_figure_of_few_or_extreme_repeats(areas):
    figure = nested_figure(make_nested({"nomogram": areas}), notice=NOTICE)
    assert_legible(figure)
    assert len(artist(figure, "repeats-nomogram").get_xdata()) == len(areas)
    # Zero to one: no AUC is beyond.
    low, high = figure.axes[1].get_xlim()
    assert low >= 0 and high <= 1


def test_decision_figure_shows_net_benefit_and_tests_avoided():
    y, probabilities = cohort(84, 33)
    curve = decision_curve(y, probabilities)
    figure = decision_figure(curve, "Training", thresholds=(0.05, 0.5), notice=NOTICE)
    shown = curve.thresholds[(curve.thresholds >= 0.05) & (curve.thresholds <= 0.5)]
    for name in MODELS:
        line, saved = artist(figure, f"benefit-{name}"), artist(figure, f"avoided-{name}")
        assert list(line.get_xdata()) == list(shown) == list(saved.get_xdata())
        assert list(line.get_ydata()) == pytest.approx(list(net_benefit(y, probabilities[name], shown)))
        extra = net_benefit(y, probabilities[name], shown) - net_benefit_all(y, shown)
        assert list(saved.get_ydata()) == pytest.approx(list(100 * extra * (1 - shown) / shown))
        assert line.get_color() == saved.get_color() and line.get_linestyle() == saved.get_linestyle()
    everybody = artist(figure, "benefit-all")
    assert list(everybody.get_ydata()) == pytest.approx(list(net_benefit_all(y, shown)))
    assert set(artist(figure, "benefit-none").get_ydata()) == {0}
    _, upper, lower = figure.axes
    assert upper.get_xlim() == lower.get_xlim() == (0.05, 0.5)
    assert {"Refer all", "Refer none", "Nomogram", "Net benefit"} <= set(written(figure))
    assert "Threshold probability for referral to ISH" in written(figure)


def test_decision_figure_cuts_what_is_worse_than_useless_but_not_what_is_good():
    y, probabilities = cohort(84, 33)
    wrong = np.where(y == 1, 0.001, 0.9)
    figure = decision_figure(decision_curve(y, {**probabilities, "clinical": wrong}))
    _, upper, lower = figure.axes
    assert upper.get_ylim()[0] == -0.05
    assert upper.get_ylim()[1] > 33 / 84
    assert lower.get_ylim()[0] > -30 and min(artist(figure, "avoided-clinical").get_ydata()) < -30
    best = max(artist(figure, f"avoided-{name}").get_ydata().max() for name in MODELS)
    assert lower.get_ylim()[1] > best


@pytest.mark.parametrize("width", [3.4, 4.6])
@pytest.mark.parametrize(("n", "positive"), [(22, 8), (22, 0), (22, 22), (200, 2), (2, 1)])
def test_decision_figure_of_any_cohort_is_legible(n, positive, width):
    figure = decision_figure(decision_curve(*cohort(n, positive)), "Größe $x$", width=width, notice=NOTICE)
    assert_legible(figure)


def test_decision_figure_with_gaps_and_without_thresholds():
    curve = decision_curve(*cohort(22, 8), thresholds=np.array([0.0, 0.1, 0.2]))
    assert np.isnan(curve.avoided_per_100["nomogram"][0])
    assert_legible(decision_figure(curve))
    with pytest.raises(ValueError, match="no threshold"):
        decision_figure(curve, thresholds=(0.5, 0.6))
