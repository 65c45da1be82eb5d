"""Which features a signature has, how their penalty was chosen, and how often resampling chooses the same ones."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .drawing import (
    BLUE,
    FAINT,
    INK,
    LABEL_SIZE,
    MARGIN,
    NEGATIVE,
    NOTICE_SIZE,
    POSITIVE,
    PRINT_WIDTH,
    RULE,
    TICK_SIZE,
    Page,
    line_height,
    line_style,
    marker_style,
    number_text,
    plain_settings,
    set_labels,
    set_ticks,
)
from .report_numbers import counted, number, percent, significant
from .scale import nice_ticks
from .tables import feature_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .modelfile import Signature

_BELOW_AXES = 0.42
# Of a row with a feature's name, and the largest part of the page that the names may take.
_ROW_GAP, _NAMES_SHARE = 0.06, 0.5
_BAR = 0.11


@plain_settings
def cv_figure(
    penalties: Sequence[float],
    deviance: Sequence[float],
    deviance_se: Sequence[float],
    chosen: float,
    title: str = "",
    *,
    n_features: Sequence[int] | None = None,
    width: float = 4.6,
    notice: str = "",
) -> Figure:
    """Cross-validated deviance over the penalty of the LASSO, with the penalty that was chosen.

    Parameters
    ----------
    penalties, deviance, deviance_se : sequence of float, shape (n_penalties,)
        Mean deviance per case over the folds and its standard error.
    chosen : float
        One of the penalties.
    title : str
    n_features : sequence of int, optional
        Features that each penalty selects, for the axis above.
    width : float
        In inches.
    notice : str
        Sentence in small type at the bottom.

    Returns
    -------
    matplotlib.figure.Figure
        Artists carry a ``gid``: ``deviance``, ``lowest``, ``chosen``.

    Raises
    ------
    ValueError
        Where there is no penalty, the sequences differ in length, or the chosen penalty is none of them.
    """
    x, y, error = (np.asarray(values, dtype=float) for values in (penalties, deviance, deviance_se))
    if not len(x) or not len(x) == len(y) == len(error):
        raise ValueError(f"there are {len(x)} penalties, {len(y)} deviances and {len(error)} standard errors")
    at = int(np.argmin(np.abs(x - chosen)))
    if not math.isclose(x[at], chosen, rel_tol=1e-6):
        raise ValueError(f"the chosen penalty {chosen:g} is none of those given")
    page = Page(width)
    top = page.heading(title) + (0.4 if n_features is not None else 0.0)
    left, tall = 0.62, 2.3
    axes = page.panel(left, top, width - left - 0.2, tall)
    axes.set_xscale("log")
    entries = _deviance_points(axes, x, y, error, at, n_features)
    _penalty_axes(axes, x, y, error, n_features)
    return page.close(page.legend(entries, left - 0.1, top + tall + _BELOW_AXES, width - 0.2) + 0.03, notice)


@plain_settings
def signature_figure(signature: Signature, title: str = "", *, notice: str = "") -> Figure:
    """Coefficients of a signature, the largest first.

    Parameters
    ----------
    signature : Signature
    title : str
    notice : str
        Sentence in small type at the bottom.

    Returns
    -------
    matplotlib.figure.Figure
        Each feature's line and marker carry the gid ``coefficient-<column>``.
    """
    page, width = Page(PRINT_WIDTH), PRINT_WIDTH
    top = page.heading(title)
    if not signature.features:
        text = f"No feature was selected: the Rad-score is {number(signature.intercept)} for every case."
        return page.close(top + page.paragraph(MARGIN, top, text, width - 2 * MARGIN, LABEL_SIZE) + 0.06, notice)
    pairs = sorted(zip(signature.features, signature.coefficients), key=lambda pair: -abs(pair[1]))
    columns, values = zip(*pairs)
    widest = max(page.text_width(_coefficient_text(value), TICK_SIZE) for value in values)
    right = width - MARGIN - widest - 0.1
    head = top + line_height(TICK_SIZE) + 0.08
    rows = _NamedRows(page, [feature_name(column) for column in columns], head, right)
    axes = rows.panel()
    axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
    for column, value, y in zip(columns, values, rows.places):
        color = POSITIVE if value > 0 else NEGATIVE
        gid = f"coefficient-{column}"
        axes.plot([0, value], [y, y], color=color, linewidth=1.6, marker="o", markevery=[1], markersize=5, gid=gid)
        page.text(width - MARGIN, y, _coefficient_text(value), TICK_SIZE, ha="right")
    # Zero in the middle: the eye compares the two directions.
    reach = 1.06 * max(map(abs, values)) or 1.0
    axes.set_xlim(-reach, reach)
    set_ticks(axes, "x", nice_ticks(-reach, reach, 6))
    set_labels(axes, "Coefficient per standard deviation of the feature")
    _directions(page, rows, top + line_height(TICK_SIZE) / 2)
    return page.close(rows.bottom + _BELOW_AXES, notice)


@plain_settings
def selection_figure(
    frequency: Sequence[tuple[str, float]],
    selected: Collection[str],
    title: str = "",
    *,
    most: int = 15,
    notice: str = "",
) -> Figure:
    """How often the features of a region are selected when the development is repeated on resamples.

    Parameters
    ----------
    frequency : sequence of (column, share)
        Share of the resamples in which a feature is selected.
    selected : collection of str
        Columns of the final signature.
    title : str
    most : int
        Features to show.
    notice : str
        Sentence in small type at the bottom.

    Returns
    -------
    matplotlib.figure.Figure
        Bars carry the gid ``share-<column>``.
    """
    page, width = Page(PRINT_WIDTH), PRINT_WIDTH
    top = page.heading(title)
    ordered = sorted(((column, share) for column, share in frequency if share > 0), key=lambda pair: -pair[1])
    shown, wide = ordered[:most], width - 2 * MARGIN
    if not shown:
        text = "No feature was selected in any resample."
        return page.close(top + page.paragraph(MARGIN, top, text, wide, LABEL_SIZE) + 0.06, notice)
    right = width - MARGIN - page.text_width("100%", TICK_SIZE) - 0.06
    rows = _NamedRows(page, [feature_name(column) for column, _ in shown], top, right)
    axes = rows.panel()
    for (column, share), y in zip(shown, rows.places):
        fill = BLUE if column in selected else "white"
        style = {"color": fill, "edgecolor": BLUE, "linewidth": 0.9, "gid": f"share-{column}"}
        axes.barh([y], [share], _BAR, **style)
        page.text(rows.left + share * (rows.right - rows.left) + 0.05, y, percent(share), TICK_SIZE)
    axes.set_xlim(0, 1)
    set_ticks(axes, "x", [0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    set_labels(axes, "Share of resamples that select the feature")
    square = {"marker": "s", "markersize": 6, "markeredgecolor": BLUE, "markeredgewidth": 0.9}
    entries = [("In the final signature", [{**square, "color": BLUE}]), ("Not in it", [{**square, "color": "white"}])]
    bottom = page.legend(entries, MARGIN, rows.bottom + _BELOW_AXES, width - MARGIN)
    rest = _unseen_text(ordered, selected, most)
    return page.close(bottom + page.paragraph(MARGIN, bottom, rest, wide, TICK_SIZE) + 0.06, notice)


class _NamedRows:
    """Rows of a figure with a name each: where they are, and what is left for the axes beside the names."""

    def __init__(self, page: Page, names: Sequence[str], top: float, right: float):
        self.page, self.top, self.right = page, top, right
        widest = max(page.text_width(name, TICK_SIZE) for name in names)
        room = min(widest + 0.02, _NAMES_SHARE * page.width)
        self.left = MARGIN + room + 0.08
        self.places: list[float] = []
        spacing = line_height(TICK_SIZE)
        for name in names:
            lines = _broken(page, name, room)
            for index, line in enumerate(lines):
                page.text(MARGIN + room, top + (index + 0.5) * spacing, line, TICK_SIZE, ha="right")
            self.places.append(top + spacing * len(lines) / 2)
            top += spacing * len(lines) + _ROW_GAP
        self.bottom = top

    def panel(self) -> Axes:
        """Axes beside the names, whose y is that of the page."""
        axes = self.page.panel(self.left, self.top, self.right - self.left, self.bottom - self.top)
        axes.set_ylim(self.bottom, self.top)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        return axes


def _broken(page: Page, name: str, room: float) -> list[str]:
    """The name of a feature in up to three lines, broken between its words rather than within one."""
    lines = [""]
    for word in re.findall(r"[^_\s]+[_\s]*|[_\s]+", name):
        for part in [word] if page.text_width(word, TICK_SIZE) <= room else re.findall(r"[A-Z]*[^A-Z]+|[A-Z]+", word):
            if lines[-1] and page.text_width((lines[-1] + part).rstrip(), TICK_SIZE) > room:
                lines.append("")
            lines[-1] += part
    lines = [line.rstrip() for line in lines]
    if len(lines) > 3 or any(page.text_width(line, TICK_SIZE) > room for line in lines):
        return page.wrap(name, room, TICK_SIZE, most=3)
    return lines


def _deviance_points(
    axes: Axes, x: np.ndarray, y: np.ndarray, error: np.ndarray, chosen: int, n_features: Sequence[int] | None
) -> list[tuple]:
    """Deviances with their standard errors, the lowest and the chosen one marked; returns the legend."""
    line = line_style(BLUE, "--", 1.2)
    axes.errorbar(x, y, yerr=error, color=RULE, linestyle="none", elinewidth=0.8, zorder=2)
    axes.plot(x, y, **marker_style("o", 2.6, INK), gid="deviance", zorder=3)
    axes.axvline(x[chosen], **line, gid="chosen", zorder=1)
    entries = [("Mean over the folds, ± 1 standard error", [marker_style("|", 9, RULE), marker_style("o", 2.6, INK)])]
    if np.isfinite(y).any():
        lowest, mark = int(np.nanargmin(y)), marker_style("D", 5, POSITIVE)
        axes.plot(x[lowest], y[lowest], **mark, gid="lowest", zorder=4)
        entries.append((_penalty_text("Lowest deviance", x[lowest], n_features, lowest), [mark]))
    return [*entries, (_penalty_text("Chosen", x[chosen], n_features, chosen), [line])]


def _penalty_axes(
    axes: Axes, x: np.ndarray, y: np.ndarray, error: np.ndarray, n_features: Sequence[int] | None
) -> None:
    """Scales of the deviance over the penalty; numbers of features above, as many as there is room for."""
    from matplotlib.ticker import NullFormatter, NullLocator

    spread = math.sqrt(max(x.max() / x.min(), 1.5)) ** 0.1
    axes.set_xlim(x.min() / spread, x.max() * spread)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    set_ticks(axes, "x", *_log_ticks(*axes.get_xlim()))
    reach = np.concatenate([y, y - error, y + error])
    reach = reach[np.isfinite(reach)]
    if len(reach):
        margin = 0.05 * (np.ptp(reach) or 1.0)
        low, high = reach.min() - margin, reach.max() + margin
        axes.set_ylim(low, high)
        set_ticks(axes, "y", nice_ticks(low, high))
    set_labels(axes, "Penalty (logarithmic scale)", "Cross-validated deviance per case")
    if n_features is not None:
        above = axes.secondary_xaxis("top")
        kept = np.unique(np.linspace(0, len(x) - 1, 9).round().astype(int))
        above.xaxis.set_minor_locator(NullLocator())
        set_ticks(above, "x", x[kept], [str(n_features[index]) for index in kept])
        above.tick_params(length=3, width=0.7, color=INK)
        set_labels(above, "Features selected")


def _log_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Round numbers of a logarithmic axis: 1, 2 and 5 times powers of ten, or the powers alone over a long range."""
    factors = (1,) if high / low > 1000 else (1, 2, 5)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [factor * 10.0**power for power in powers for factor in factors]
    values = [value for value in values if low <= value <= high]
    if len(values) < 2:
        values = nice_ticks(low, high)
    return values, [number_text(value, 9) for value in values]


def _penalty_text(name: str, penalty: float, n_features: Sequence[int] | None, index: int) -> str:
    features = "" if n_features is None else f", {counted(int(n_features[index]), 'feature')}"
    return f"{name}: penalty {significant(penalty, 2)}{features}"


def _coefficient_text(value: float) -> str:
    text = number(value, 3)
    return f"+{text}" if value > 0 else text


def _directions(page: Page, rows: _NamedRows, y: float) -> None:
    """What the two sides of zero, in the middle, mean."""
    zero = (rows.left + rows.right) / 2
    for text, ha, sign in (("← lowers the Rad-score", "right", -1), ("raises the Rad-score →", "left", 1)):
        page.text(zero + sign * 0.06, y, text, NOTICE_SIZE, ha=ha, color=FAINT)


def _unseen_text(ordered: Sequence[tuple[str, float]], selected: Collection[str], most: int) -> str:
    """What the final signature has that is not among the rows."""
    shares = dict(ordered)
    unseen = [shares.get(column, 0.0) for column in selected if column not in dict(ordered[:most])]
    if not unseen:
        return ""
    low, high = percent(min(unseen)), percent(max(unseen))
    between = low if low == high else f"{low} to {high}"
    total = counted(len(selected), "feature")
    where = f"selected in {between} of the resamples"
    return f"Not among these rows: {len(unseen)} of the {total} of the final signature, {where}."
