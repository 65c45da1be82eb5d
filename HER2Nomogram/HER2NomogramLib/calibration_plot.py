"""Calibration plots: whether predicted probabilities are what is observed, and where the predictions are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .drawing import (
    FAINT,
    INK,
    LABEL_SIZE,
    NEGATIVE,
    POSITIVE,
    PRINT_WIDTH,
    RULE,
    TICK_SIZE,
    Page,
    line_style,
    model_label,
    model_styles,
    plain_settings,
    set_labels,
    set_ticks,
)
from .report_numbers import interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .calibration import Calibration

_FIFTHS = (0, 0.2, 0.4, 0.6, 0.8, 1)
_STRIP, _STRIP_GAP, _BELOW_AXES = 0.42, 0.15, 0.42
# Of one panel, and of the space between panels.
_WIDEST_PANEL, _BETWEEN = 3.4, 0.3
_SINGLE_WIDTH = 4.2
_BINS = np.linspace(0.0, 1.0, 21)
_GROUP = {"linestyle": "none", "marker": "s", "markersize": 3.5, "color": INK, "elinewidth": 0.9, "capsize": 0}

# A calibration, and the outcomes and predictions that it is of.
Calibrated = tuple["Calibration | None", Sequence[float], Sequence[float]]


@plain_settings
def calibration_figure(
    panels: Mapping[str, Mapping[str, Calibrated]], title: str = "", *, width: float | None = None, notice: str = ""
) -> Figure:
    """Calibration plots side by side, three in a row, with the distribution of the predictions below each.

    Of the main model a panel shows the smooth curve with its band, the groups of cases with their intervals, the
    predictions of HER2-positive and HER2-negative cases, intercept and slope; of the others the curve alone.

    Parameters
    ----------
    panels : mapping of str to mapping of str to (Calibration or None, y, p)
        By title of the panel and name of the model. The main model is the nomogram, or else the first one.
    title : str
    width : float, optional
        In inches; default the width of a printed page, or less for a single panel.
    notice : str
        Sentence in small type at the bottom.

    Returns
    -------
    matplotlib.figure.Figure
        Artists carry a ``gid``: ``curve-<model>``, ``band``, ``groups``, ``predictions-positive``,
        ``predictions-negative``.

    Raises
    ------
    ValueError
        Where there is no panel, or a panel has no model.
    """
    if not panels or not all(panels.values()):
        raise ValueError("there is no calibration to draw")
    width = width or (PRINT_WIDTH if len(panels) > 1 else _SINGLE_WIDTH)
    page = Page(width)
    top = page.heading(title)
    left, right = 0.55, width - 0.15
    columns = min(len(panels), 3)
    side = min((right - left + _BETWEEN) / columns - _BETWEEN, _WIDEST_PANEL)
    styles = model_styles([*dict.fromkeys(name for models in panels.values() for name in models)])
    titles = list(panels)
    for first in range(0, len(titles), columns):
        row = titles[first : first + columns]
        places = [left + column * (side + _BETWEEN) for column in range(len(row))]
        heads = [_calibration_heading(page, x, top, side, name, panels[name]) for x, name in zip(places, row)]
        below = max(heads) + 0.06
        ends = [
            _calibration_panel(page, (x, below, side), panels[name], styles, leftmost=x == left)
            for x, name in zip(places, row)
        ]
        top = max(ends) + 0.12
    entries = _calibration_legend(panels, styles)
    return page.close(page.legend(entries, left - 0.1, top, right) + 0.03, notice)


def _calibration_heading(page: Page, left: float, top: float, width: float, title: str, models: Mapping) -> float:
    """Title of a panel, cases and HER2-positive ones; returns where they end."""
    top += page.paragraph(left, top, title, width, LABEL_SIZE, weight="bold")
    _, y, _ = models[_main_model(models)]
    counts = f"{len(y)} cases, {int(np.sum(y))} HER2-positive"
    return top + page.paragraph(left, top, counts, width, TICK_SIZE, color=FAINT)


def _calibration_panel(
    page: Page, place: tuple[float, float, float], models: Mapping[str, Calibrated], styles: Mapping, leftmost: bool
) -> float:
    """Curve, predictions and numbers of one panel at (left, top, width); returns where it ends."""
    left, top, side = place
    axes = page.panel(left, top, side, side)
    strip = page.panel(left, top + side + _STRIP_GAP, side, _STRIP)
    main = _main_model(models)
    for name in sorted(models, key=lambda name: name == main):
        _calibration_curve(axes, name, models[name][0], styles[name], is_main=name == main)
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=0.8, zorder=1)
    for panel in (axes, strip):
        panel.set_xlim(0, 1)
        set_ticks(panel, "x", _FIFTHS)
    axes.set_ylim(0, 1)
    set_ticks(axes, "y", _FIFTHS)
    axes.tick_params(labelbottom=False)
    calibration, y, p = models[main]
    _prediction_strip(strip, np.asarray(y), np.asarray(p, dtype=float))
    set_labels(axes, "", "Observed share HER2-positive" if leftmost else "")
    set_labels(strip, "Predicted probability", "Cases" if leftmost else "")
    for panel in (axes, strip):
        panel.yaxis.set_label_coords(-0.34 / side, 0.5)
    top += side + _STRIP_GAP + _STRIP + _BELOW_AXES
    for line in _calibration_numbers(calibration):
        top += page.paragraph(left, top, line, side, TICK_SIZE)
    return top


def _calibration_curve(axes: Axes, name: str, calibration: Calibration | None, style: tuple, is_main: bool) -> None:
    """Curve of one model; of the main one also the band and the groups."""
    if calibration is None:
        return
    color, dashes = style
    curve = calibration.curve
    if curve is not None:
        wide = 1.6 if is_main else 0.9
        gid = f"curve-{name}"
        axes.plot(curve.predicted, curve.observed, color=color, linestyle=dashes, linewidth=wide, gid=gid, zorder=4)
    if not is_main:
        return
    if curve is not None:
        band = {"color": color, "alpha": 0.18, "linewidth": 0, "gid": "band", "zorder": 2}
        axes.fill_between(curve.predicted, curve.low, curve.high, **band)
    observed = [group.observed for group in calibration.bins]
    values = np.array([[o.value, o.low, o.high] for o in observed], dtype=float).reshape(-1, 3)
    below, above = values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]
    at = [group.predicted for group in calibration.bins]
    marks = axes.errorbar(at, values[:, 0], yerr=(below, above), **_GROUP, clip_on=False, zorder=5)
    marks[0].set_gid("groups")


def _prediction_strip(axes: Axes, y: np.ndarray, p: np.ndarray) -> None:
    """How many cases have which prediction: HER2-positive ones upward, HER2-negative ones downward."""
    counts = [np.histogram(p[(y == outcome) & np.isfinite(p)], _BINS)[0] for outcome in (1, 0)]
    most = max(1, *(int(count.max()) for count in counts))
    axes.stairs(counts[0], _BINS, fill=True, color=POSITIVE, gid="predictions-positive")
    axes.stairs(-counts[1], _BINS, fill=True, color=NEGATIVE, gid="predictions-negative")
    axes.plot([0, 1], [0, 0], color=INK, linewidth=0.6)
    axes.set_ylim(-most, most)
    set_ticks(axes, "y", [-most, 0, most], [str(most), "0", str(most)])


def _calibration_numbers(calibration: Calibration | None) -> list[str]:
    """Lines below a panel."""
    if calibration is None:
        return ["Calibration not assessed"]
    lines = []
    for name, estimate in (("Intercept", calibration.intercept), ("Slope", calibration.slope)):
        known = math.isfinite(estimate.value)
        lines.append(f"{name} {interval(estimate) if known else 'not estimable'}")
    return lines


def _calibration_legend(panels: Mapping[str, Mapping[str, Calibrated]], styles: Mapping[str, tuple]) -> list[tuple]:
    mains = {_main_model(models) for models in panels.values()}
    entries = []
    for name, (color, dashes) in styles.items():
        if name in mains:
            band = {**line_style(color, "-", 7.0), "alpha": 0.18}
            entries.append((f"{model_label(name)}, smooth curve with 95% band", [band, line_style(color, dashes)]))
        else:
            entries.append((model_label(name), [line_style(color, dashes, 0.9)]))
    bar = {"marker": "|", "markersize": 9, "markeredgewidth": 0.9, "color": INK}
    square = {key: _GROUP[key] for key in ("marker", "markersize", "color")}
    entries.append(("Groups of cases, 95% interval (Wilson)", [bar, square]))
    entries.append(("Perfect calibration (intercept 0, slope 1)", [line_style(RULE, "-", 0.8)]))
    for name, color in (("HER2-positive cases (upward)", POSITIVE), ("HER2-negative cases (downward)", NEGATIVE)):
        entries.append((name, [line_style(color, "-", 6.0)]))
    return entries


def _main_model(models: Mapping) -> str:
    return "nomogram" if "nomogram" in models else next(iter(models))
