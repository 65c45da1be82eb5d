"""How well the models tell the cases apart and what that is worth: ROC curves, resampled AUCs, decision curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .decision import TEST_ALL
from .drawing import (
    FAINT,
    INK,
    LABEL_SIZE,
    MARGIN,
    RULE,
    TICK_SIZE,
    Page,
    curve_styles,
    line_style,
    marker_style,
    model_label,
    model_styles,
    plain_settings,
    set_labels,
    set_ticks,
)
from .report_numbers import counted, interval
from .scale import nice_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .decision import DecisionCurve
    from .resampling import NestedValidation

# Who would wait for more than this before ordering ISH? And few cases are left that a curve there could rest on.
PLAUSIBLE_THRESHOLDS = (0.0, 0.6)
_FIFTHS = (0, 0.2, 0.4, 0.6, 0.8, 1)
# A model that is worse than this is worse than referring nobody, by how much does not matter.
_LOWEST_BENEFIT = -0.05
_FEWEST_AVOIDED = -20.0
_BELOW_AXES = 0.42


@plain_settings
def roc_figure(
    curves: Iterable[tuple[str, Sequence[float], Sequence[float], float, tuple[float, float] | None]],
    title: str = "",
    *,
    width: float = 4.2,
    notice: str = "",
) -> Figure:
    """ROC curves, with the areas under them in a legend below.

    Parameters
    ----------
    curves : iterable of (label, fpr, tpr, auc, interval)
        False and true positive rates as sequences of equal length, area, and its 95% interval (low, high) or None.
    title : str
    width : float
        In inches.
    notice : str
        Sentence in small type at the bottom.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        Where there is no curve, or its two rates differ in length.
    """
    curves = list(curves)
    if not curves:
        raise ValueError("there is no curve to draw")
    page = Page(width)
    top = page.heading(title)
    left, right = 0.55, width - 0.2
    side = right - left
    axes = page.panel(left, top, side, side)
    _roc_curves(axes, curves)
    return page.close(_roc_legend(page, curves, left - 0.1, top + side + 0.5, right), notice)


@plain_settings
def nested_figure(nested: NestedValidation, title: str = "", *, notice: str = "") -> Figure:
    """AUC of every repeat of the nested cross-validation by model, and its mean with the 95% interval.

    Parameters
    ----------
    nested : NestedValidation
    title : str
    notice : str
        Sentence in small type at the bottom.

    Returns
    -------
    matplotlib.figure.Figure
        Artists carry a ``gid``: ``repeats-<model>``, ``mean-<model>``.
    """
    width = 5.6
    page = Page(width)
    top = page.heading(title)
    texts = {name: interval(estimate) for name, estimate in nested.auc.items()}
    right = width - MARGIN - max(page.text_width(text, TICK_SIZE) for text in texts.values()) - 0.12
    left = MARGIN + max(page.text_width(model_label(name), LABEL_SIZE) for name in texts) + 0.12
    tall = 0.42
    bottom = top + tall * len(texts)
    axes = page.panel(left, top, right - left, bottom - top)
    axes.set_ylim(bottom, top)
    values = [0.5]
    for index, (name, (color, _)) in enumerate(model_styles(list(texts)).items()):
        y = top + tall * (index + 0.5)
        page.text(MARGIN, y, model_label(name), LABEL_SIZE)
        page.text(width - MARGIN, y, texts[name], TICK_SIZE, ha="right")
        values += _repeats_row(axes, y, name, nested, color)
    _area_axis(axes, values)
    entries = [
        (f"One repeat of {nested.folds}-fold cross-validation", [marker_style("o", 3.5, FAINT, fill="none")]),
        (
            f"Mean of {counted(nested.repeats, 'repeat')}, 95% interval",
            [{"color": FAINT, "linewidth": 1.6}, marker_style("D", 5.5, FAINT)],
        ),
        ("No discrimination", [{"color": RULE, "linewidth": 0.8}]),
    ]
    return page.close(page.legend(entries, MARGIN, bottom + _BELOW_AXES, width - MARGIN) + 0.03, notice)


@plain_settings
def decision_figure(
    curve: DecisionCurve,
    title: str = "",
    *,
    thresholds: tuple[float, float] = PLAUSIBLE_THRESHOLDS,
    width: float = 4.6,
    notice: str = "",
) -> Figure:
    """Decision curves: net benefit over the threshold probability, and below it the ISH tests avoided.

    Parameters
    ----------
    curve : DecisionCurve
    title : str
    thresholds : (float, float)
        Part of the threshold probabilities to show.
    width : float
        In inches.
    notice : str
        Sentence in small type at the bottom.

    Returns
    -------
    matplotlib.figure.Figure
        Artists carry a ``gid``: ``benefit-<model>``, ``benefit-all``, ``benefit-none``, ``avoided-<model>``.

    Raises
    ------
    ValueError
        Where no threshold is inside the range.
    """
    low, high = thresholds
    shown = (curve.thresholds >= low) & (curve.thresholds <= high)
    if not shown.any():
        raise ValueError(f"no threshold probability is between {low:g} and {high:g}")
    page = Page(width)
    top = page.heading(title)
    left, across = 0.66, width - 0.66 - 0.2
    upper = page.panel(left, top, across, 2.5)
    lower = page.panel(left, top + 2.68, across, 1.1)
    models = [name for name in curve.net_benefit if name != TEST_ALL]
    styles = model_styles(models)
    _benefit_panel(upper, curve, styles, shown)
    _avoided_panel(lower, curve, styles, shown)
    for axes in (upper, lower):
        axes.set_xlim(low, high)
        set_ticks(axes, "x", nice_ticks(low, high, 6))
        axes.yaxis.set_label_coords(-0.36 / across, 0.5)
    upper.tick_params(labelbottom=False)
    set_labels(upper, "", "Net benefit")
    # Two lines, or it would be longer than the axis.
    set_labels(lower, "Threshold probability for referral to ISH", "Net ISH tests\navoided per 100")
    entries = [(model_label(name), [line_style(*style)]) for name, style in styles.items()]
    entries.append(("Refer all", [line_style(RULE, "-", 1.2)]))
    entries.append(("Refer none", [line_style(INK, "-", 1.0)]))
    bottom = page.legend(entries, left - 0.1, top + 3.78 + _BELOW_AXES, width - 0.2) + 0.03
    return page.close(bottom, notice)


def _roc_legend(page: Page, curves: Sequence[tuple], left: float, top: float, right: float) -> float:
    """Legend below the axes, one paragraph for each curve; returns where it ends."""
    for (label, _, _, auc, ends), (color, dashes) in zip(curves, curve_styles(len(curves))):
        between = f" ({ends[0]:.2f} to {ends[1]:.2f})" if ends is not None else ""
        start = left + 0.42
        page.sample(left, top + 0.07, [{"color": color, "linestyle": dashes, "linewidth": 1.6}])
        top += page.paragraph(start, top, f"{label}: AUC {auc:.2f}{between}", right - start, size=LABEL_SIZE) + 0.03
    return top + 0.04


def _roc_curves(axes: Axes, curves: Sequence[tuple]) -> None:
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=0.8, zorder=1)
    for (label, fpr, tpr, _, _), (color, dashes) in zip(curves, curve_styles(len(curves))):
        if len(fpr) != len(tpr):
            raise ValueError(f"curve '{label}' has {len(fpr)} false and {len(tpr)} true positive rates")
        axes.plot(fpr, tpr, color=color, linestyle=dashes, linewidth=1.6, gid=f"roc-{label}", clip_on=False, zorder=3)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    for which in ("x", "y"):
        set_ticks(axes, which, _FIFTHS)
    set_labels(axes, "1 − specificity", "Sensitivity")


def _repeats_row(axes: Axes, y: float, name: str, nested: NestedValidation, color: str) -> list[float]:
    """Repeats, mean and interval of one model; returns the values shown."""
    areas = np.asarray(nested.repeat_auc[name], dtype=float)
    areas = areas[np.isfinite(areas)]
    # Spread by position rather than at random, so that the same data make the same picture.
    offsets = 0.1 * ((np.arange(len(areas)) % 5) - 2) / 2 if len(areas) > 1 else np.zeros(len(areas))
    style = {"linestyle": "none", "marker": "o", "markersize": 3.5, "markerfacecolor": "none", "markeredgewidth": 0.8}
    axes.plot(areas, y + offsets, color=color, gid=f"repeats-{name}", zorder=2, **style)
    estimate = nested.auc[name]
    ends = [end for end in (estimate.low, estimate.high) if math.isfinite(end)]
    if len(ends) == 2:
        axes.plot(ends, [y, y], color=color, linewidth=1.6, zorder=3)
    if math.isfinite(estimate.value):
        mark = {"marker": "D", "markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.6}
        axes.plot([estimate.value], [y], color=color, gid=f"mean-{name}", zorder=4, **mark)
    return [*areas.tolist(), *ends]


def _area_axis(axes: Axes, values: Sequence[float]) -> None:
    low, high = max(0.0, min(values) - 0.03), min(1.0, max(values) + 0.03)
    axes.axvline(0.5, color=RULE, linewidth=0.8, zorder=1)
    axes.set_xlim(low, high)
    set_ticks(axes, "x", nice_ticks(low, high, 6))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    set_labels(axes, "AUC in cases held out")


def _benefit_panel(axes: Axes, curve: DecisionCurve, styles: Mapping[str, tuple], shown: np.ndarray) -> None:
    """Net benefit of the models, of referring everybody and of referring nobody."""
    x = curve.thresholds[shown]
    axes.plot([0, 1], [0, 0], color=INK, linewidth=1.0, gid="benefit-none", zorder=2)
    everybody = curve.net_benefit.get(TEST_ALL)
    if everybody is not None:
        axes.plot(x, everybody[shown], color=RULE, linewidth=1.2, gid="benefit-all", zorder=2)
    for name, style in styles.items():
        axes.plot(x, curve.net_benefit[name][shown], **line_style(*style), gid=f"benefit-{name}", zorder=3)
    highest = np.concatenate([values[shown] for values in curve.net_benefit.values()])
    top = max(0.02, 1.05 * float(np.max(highest, where=np.isfinite(highest), initial=0.0)))
    low = max(_LOWEST_BENEFIT, -top / 3)
    axes.set_ylim(low, top)
    set_ticks(axes, "y", nice_ticks(low, top))


def _avoided_panel(axes: Axes, curve: DecisionCurve, styles: Mapping[str, tuple], shown: np.ndarray) -> None:
    """ISH tests avoided against referring everybody, which is the line at zero."""
    axes.plot([0, 1], [0, 0], color=RULE, linewidth=1.2, zorder=2)
    found = [0.0]
    for name, style in styles.items():
        values = curve.avoided_per_100[name][shown]
        axes.plot(curve.thresholds[shown], values, **line_style(*style), gid=f"avoided-{name}", zorder=3)
        found += values[np.isfinite(values)].tolist()
    low, high = max(min(found), _FEWEST_AVOIDED), max(max(found), 5.0)
    margin = 0.05 * (high - low)
    axes.set_ylim(low - margin, high + margin)
    set_ticks(axes, "y", nice_ticks(low - margin, high + margin))
