"""Pictures of signatures: coefficients, penalty, stability."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import FEATURES, NOTICE, artist, assert_legible, gids, make_signature, written

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgba

from HER2NomogramLib.drawing import NEGATIVE, POSITIVE, TICK_SIZE, Page
from HER2NomogramLib.feature_plots import _broken, cv_figure, selection_figure, signature_figure

LONG = "Überlange_Größe_$x$_aus_anderer_Software_mit_Einheit_mm_und_Zusatz_der_nie_enden_will_und_noch_weiter_geht"
NAMES = [name for name, _ in FEATURES]


def column(name: str) -> str:
    return f"image__peritumoral_5mm__{name}"


def many(count: int) -> list[tuple[str, float]]:
    """Features with coefficients of both signs, not in order."""
    values = np.sin(1.0 + 2.4 * np.arange(count))
    return [(f"wavelet-LH_glszm_SmallAreaLowGrayLevelEmphasis{number}", value) for number, value in enumerate(values)]


@pytest.mark.parametrize("features", [FEATURES, FEATURES[:1], many(40), [(LONG, -0.2), *FEATURES]])
def test_signature_figure_shows_every_coefficient_on_its_side(features):
    figure = signature_figure(make_signature(*features), "Signatur $x$", notice=NOTICE)
    _, axes = figure.axes
    rows = {}
    for name, value in features:
        line = artist(figure, f"coefficient-{column(name)}")
        assert list(line.get_xdata()) == [0, value]
        assert line.get_color() == (POSITIVE if value > 0 else NEGATIVE)
        rows[name] = line.get_ydata()[0]
    assert sorted(rows, key=rows.get) == [name for name, _ in sorted(features, key=lambda pair: -abs(pair[1]))]
    low, high = axes.get_xlim()
    assert low == pytest.approx(-high) and high > max(abs(value) for _, value in features)
    assert_legible(figure)


def test_names_and_numbers_are_in_the_row_of_their_feature():
    figure = signature_figure(make_signature(*FEATURES))
    page = figure.axes[0]
    for (name, _), number in zip(FEATURES, ("+0.410", "−0.300")):
        line = artist(figure, f"coefficient-{column(name)}")
        heights = {text.get_text(): text.get_position()[1] for text in page.texts}
        assert heights[name] == pytest.approx(line.get_ydata()[0])
        assert heights[number] == pytest.approx(line.get_ydata()[0])
        # The row on the page is that of the axes beside it.
        there = figure.axes[1].transData.transform((0, line.get_ydata()[0]))[1]
        assert page.transData.transform((0, heights[name]))[1] == pytest.approx(there)


def test_a_signature_without_features_or_of_zeros_is_drawn():
    figure = signature_figure(make_signature(), "Empty", notice=NOTICE)
    assert "No feature was selected: the Rad-score is −0.61 for every case." in written(figure)
    assert_legible(figure)
    assert_legible(signature_figure(make_signature(("original_firstorder_Mean", 0.0))))


FREQUENCY = [(column(name), share) for name, share in (("b", 0.31), ("a", 0.9), ("c", 0.055), ("never", 0.0))]


def test_selection_figure_shows_shares_in_order_and_marks_the_signature():
    figure = selection_figure(FREQUENCY, {column("b")}, "Peritumoral", notice=NOTICE)
    bars = {name: artist(figure, f"share-{column(name)}") for name in "abc"}
    assert [bars[name].get_width() for name in "abc"] == [0.9, 0.31, 0.055]
    assert bars["a"].get_y() < bars["b"].get_y() < bars["c"].get_y()
    low, high = figure.axes[1].get_ylim()
    assert low > high
    # As the legend says.
    chosen, other = (to_rgba(line.get_markerfacecolor()) for line in figure.axes[0].lines)
    assert written(figure).index("In the final signature") < written(figure).index("Not in it")
    assert [bars[name].get_facecolor() for name in "abc"] == [other, chosen, other] and chosen != other
    assert f"share-{column('never')}" not in gids(figure)
    heights = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts}
    for name, share in zip("abc", ("90%", "31%", "6%")):
        middle = bars[name].get_y() + bars[name].get_height() / 2
        assert heights[name] == pytest.approx(middle) == pytest.approx(heights[share])
    assert "Not among" not in " ".join(written(figure))
    assert_legible(figure)


def test_features_of_the_signature_that_are_not_shown_are_counted():
    frequency = [(column(f"f{number:02}"), 0.9 - number / 50) for number in range(20)]
    selected = {column("f00"), column("f16"), column("f18"), column("unheard")}
    text = " ".join(written(selection_figure(frequency, selected)))
    assert "f14" in text and "f15" not in text
    assert "3 of the 4 features of the final signature, selected in 0% to 58% of the resamples." in text
    assert "1 of the 2 features" in " ".join(written(selection_figure(frequency, set(list(sorted(selected))[:2]))))
    assert "1 of the 1 feature of" in " ".join(written(selection_figure(frequency, {column("f16")}, most=3)))


@pytest.mark.parametrize(
    "frequency",
    [[], [(column("a"), 0.0)], [(column("a"), 1.0)], [(column(name), 0.4) for name, _ in many(40)], [(LONG, 0.5)]],
)
def test_any_number_of_features_is_legible(frequency):
    figure = selection_figure(frequency, {column("a"), LONG}, "Größe $x$", most=40, notice=NOTICE)
    assert_legible(figure)
    bars = [gid for gid in gids(figure) if gid.startswith("share-")]
    assert len(bars) == sum(share > 0 for _, share in frequency)
    if not bars:
        assert "No feature was selected in any resample." in written(figure)


PENALTIES = 0.25 * np.logspace(0, -1.3, 30)
DEVIANCE = 1.2 + 0.06 * np.log(PENALTIES / 0.06) ** 2
ERROR = np.linspace(0.02, 0.05, 30)


@pytest.mark.parametrize("width", [3.4, 4.6])
@pytest.mark.parametrize("numbers", [None, np.arange(30) * 4])
def test_cv_figure_shows_deviance_lowest_and_chosen(numbers, width):
    figure = cv_figure(
        PENALTIES, DEVIANCE, ERROR, PENALTIES[9], "Größe $x$", n_features=numbers, width=width, notice=NOTICE
    )
    points, lowest = artist(figure, "deviance"), int(np.argmin(DEVIANCE))
    assert list(points.get_xdata()) == list(PENALTIES) and list(points.get_ydata()) == list(DEVIANCE)
    assert list(artist(figure, "chosen").get_xdata()) == [PENALTIES[9]] * 2
    assert list(artist(figure, "lowest").get_xdata()) == [PENALTIES[lowest]]
    (bars,) = figure.axes[1].collections
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    np.testing.assert_allclose(ends, np.column_stack([DEVIANCE - ERROR, DEVIANCE + ERROR]))
    assert figure.axes[1].get_xscale() == "log"
    low, high = figure.axes[1].get_ylim()
    assert low < (DEVIANCE - ERROR).min() and high > (DEVIANCE + ERROR).max()
    text = " ".join(written(figure))
    assert ("36 features" in text) == (numbers is not None)
    assert "Chosen: penalty 0.099" in text
    assert_legible(figure)


def test_numbers_of_features_are_above_their_penalties():
    numbers = np.arange(30) * 4
    figure = cv_figure(PENALTIES, DEVIANCE, ERROR, PENALTIES[9], n_features=numbers)
    (above,) = figure.axes[1].child_axes
    figure.draw_without_rendering()
    ticks = {label.get_text(): place for label, place in zip(above.get_xticklabels(), above.get_xticks())}
    assert len(ticks) == 9
    for text, place in ticks.items():
        assert PENALTIES[numbers == int(text)] == pytest.approx([place])


@pytest.mark.parametrize("count", [1, 2])
def test_cv_figure_of_hardly_any_penalty(count):
    assert_legible(cv_figure(PENALTIES[:count], DEVIANCE[:count], ERROR[:count], PENALTIES[0], notice=NOTICE))


def test_cv_figure_without_standard_errors_or_with_gaps():
    nothing = np.full(30, np.nan)
    assert_legible(cv_figure(PENALTIES, DEVIANCE, nothing, PENALTIES[0]))
    figure = cv_figure(PENALTIES, np.where(np.arange(30) == 12, np.nan, DEVIANCE), ERROR, PENALTIES[0])
    assert artist(figure, "lowest").get_ydata()[0] == np.delete(DEVIANCE, 12).min()
    assert "lowest" not in gids(cv_figure(PENALTIES, nothing, nothing, PENALTIES[0]))


def test_cv_figure_refuses_what_does_not_belong_together():
    with pytest.raises(ValueError, match="none of those"):
        cv_figure(PENALTIES, DEVIANCE, ERROR, 0.0987)
    with pytest.raises(ValueError, match="30 penalties, 29 deviances"):
        cv_figure(PENALTIES, DEVIANCE[1:], ERROR, PENALTIES[0])
    with pytest.raises(ValueError, match="0 penalties"):
        cv_figure([], [], [], 1.0)


def test_long_names_break_between_their_words():
    page = Page(3.0)
    lines = _broken(page, "wavelet-HL_glszm_SmallAreaLowGrayLevelEmphasis", 1.5)
    assert 1 < len(lines) <= 3 and "".join(lines) == "wavelet-HL_glszm_SmallAreaLowGrayLevelEmphasis"
    assert all(page.text_width(line, TICK_SIZE) <= 1.5 for line in lines)
    assert all(line[0].isupper() or before[-1] == "_" for before, line in zip(lines, lines[1:]))
    assert _broken(page, "short", 1.5) == ["short"]
