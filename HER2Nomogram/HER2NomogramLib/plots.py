"""Pictures: the nomogram with a case marked on it, and ROC curves.

Figures are made with matplotlib's object interface only. pyplot, the backend and the global settings belong to the
user's session, in Slicer's Python console above all, and stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import InputError
from .files import atomic_path
from .modelfile import LogisticModel, Predictor
from .scale import PointsScale, nice_ticks

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from .mammogram import Mammogram
    from .prediction import Prediction
    from .regions import Region

PRINT_WIDTH = 7.0
_SMALLEST_WIDTH = 3.4

# Okabe and Ito's palette, in an order in which neighbors also differ in lightness.
_CASE, _CUTOFF, _INK, _FAINT = "#0072B2", "#B34A00", "#222222", "#666666"
_CURVES = (
    ("#0072B2", "-"),
    ("#D55E00", "--"),
    ("#009E73", "-."),
    ("#CC79A7", ":"),
    ("#56B4E9", (0, (5, 1, 1, 1, 1, 1))),
    ("#E69F00", (0, (8, 2))),
)
# Of the lesion and its rings, to be seen on gray.
_OUTLINES = ("#E69F00", "#56B4E9", "#CC79A7", "#009E73", "#D55E00")

# Font sizes in points; every length below is in inches, as is the page.
_TITLE, _LABEL, _VALUE, _TICK, _NOTICE = 10.0, 8.0, 7.5, 7.0, 6.5
_MARGIN, _GAP = 0.12, 0.28
_MAJOR, _MINOR, _TICK_TEXT = 0.055, 0.03, 0.075
_TEXT_SPACE, _BESIDE = 0.07, 0.08
_CLOSEST_TICKS = 0.025


def nomogram_figure(
    logistic: LogisticModel,
    prediction: Prediction | None = None,
    title: str = "",
    *,
    width: float = PRINT_WIDTH,
    notice: str | None = None,
) -> Figure:
    """Nomogram to be read with a ruler: points of each predictor, total points, probability of HER2-positive.

    The axes share one origin, so that a vertical line from a predictor's axis to the Points axis gives its points, and
    one from the total points to the last axis the probability.

    Parameters
    ----------
    logistic : LogisticModel
    prediction : Prediction, optional
        Case to mark: value and points on every predictor's axis, total points, probability with its 95% interval. What
        lies beyond the end of an axis is marked there with an arrow.
    title : str
        Line above the nomogram; a long one is broken.
    width : float
        In inches. The type keeps its size, only the axes get longer; the height follows from the contents.
    notice : str, optional
        Sentence in small type at the bottom; default that of the prediction.

    Returns
    -------
    matplotlib.figure.Figure
        Its artists carry a ``gid``: ``axis-<predictor>``, ``case-<predictor>``, ``points-<predictor>``, and the same
        with ``:points``, ``:total`` and ``:probability`` for the other axes.

    Raises
    ------
    InputError
        Where no predictor of the model has an effect.
    ValueError
        Where the width is too small for any axis.
    """
    if width < _SMALLEST_WIDTH:
        raise ValueError(f"a nomogram {width} inches wide cannot be read, give at least {_SMALLEST_WIDTH}")
    drawing = _Nomogram(logistic, prediction, width)
    if title:
        drawing.title(title)
    drawing.points_row()
    for predictor in logistic.predictors:
        drawing.predictor_row(predictor)
    drawing.total_row()
    drawing.probability_row()
    text = notice if notice is not None else (prediction.notice if prediction is not None else "")
    return drawing.finish(text)


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
    page = _Page(width)
    top = _MARGIN
    if title:
        top += page.paragraph(_MARGIN, top, title, width - 2 * _MARGIN, size=_TITLE, weight="bold") + 0.08
    left, right = 0.55, width - 0.2
    side = right - left
    legend_top = top + side + 0.5
    legend_end = _roc_legend(page, curves, left - 0.1, legend_top, right)
    if notice:
        legend_end += page.paragraph(_MARGIN, legend_end, notice, width - 2 * _MARGIN, size=_NOTICE, color=_FAINT)
    height = legend_end + 0.08
    page.finish(height)
    axes = page.figure.add_axes((left / width, 1 - (top + side) / height, side / width, side / height))
    _roc_curves(axes, curves)
    return page.figure


def case_figure(mammogram: Mammogram, regions: Mapping[str, Region], title: str = "", *, notice: str = "") -> Figure:
    """The whole image beside the lesion and its rings, outlined.

    Parameters
    ----------
    mammogram : Mammogram
    regions : mapping of str to Region
    title, notice : str
        Above, and in small type below.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    figure = Figure((PRINT_WIDTH, 4.8))
    FigureCanvasAgg(figure)
    whole, detail = figure.subplots(1, 2, width_ratios=(1, 1.6))
    rows, columns = mammogram.pixels.shape
    x_mm, y_mm = mammogram.spacing_mm
    low, high = np.percentile(mammogram.pixels[mammogram.breast], (0.5, 99.8))
    outlined = [region for region in regions.values() if not region.name.startswith("combined")]
    box = _bounds_mm(outlined, mammogram.spacing_mm, around_mm=3.0)
    for axes in (whole, detail):
        extent = (0, columns * x_mm, rows * y_mm, 0)
        axes.imshow(mammogram.pixels, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="nearest")
        axes.set_xlabel("mm", fontsize=_TICK)
        axes.tick_params(labelsize=_TICK)
    whole.add_patch(Rectangle((box[0], box[2]), box[1] - box[0], box[3] - box[2], fill=False, color=_OUTLINES[0]))
    centers = (np.arange(columns) + 0.5) * x_mm, (np.arange(rows) + 0.5) * y_mm
    colors = [_OUTLINES[index % len(_OUTLINES)] for index in range(len(outlined))]
    for region, color in zip(outlined, colors):
        # The ring's outer edge alone: its inner edge is the lesion's own outline.
        filled = region.mask | regions["intratumoral"].mask
        detail.contour(*centers, filled, levels=[0.5], colors=[color], linewidths=1.2)
    detail.set_xlim(box[0], box[1])
    detail.set_ylim(box[3], box[2])
    lines = [Line2D([], [], color=color, label=_region_text(region)) for region, color in zip(outlined, colors)]
    # Below the picture, because over it the legend hides a piece of the outer ring.
    figure.legend(handles=lines, fontsize=_TICK, loc="lower center", bbox_to_anchor=(0.5, 0.05), ncols=3, frameon=False)
    figure.suptitle(title, fontsize=_TITLE, weight="bold", y=0.97)
    figure.text(0.02, 0.02, notice, fontsize=_NOTICE, color=_FAINT)
    figure.subplots_adjust(left=0.07, right=0.98, top=0.91, bottom=0.22, wspace=0.15)
    return figure


def _bounds_mm(regions: Sequence[Region], spacing_mm: tuple[float, float], around_mm: float) -> list[float]:
    """Left, right, top and bottom of a rectangle around all regions, in mm."""
    union = np.logical_or.reduce([region.mask for region in regions])
    bounds = []
    for axis, spacing in ((1, spacing_mm[0]), (0, spacing_mm[1])):
        hits = np.flatnonzero(union.any(axis=1 - axis))
        bounds += [hits[0] * spacing - around_mm, (hits[-1] + 1) * spacing + around_mm]
    return bounds


def _region_text(region: Region) -> str:
    if region.margin_mm is None:
        return "lesion"
    return f"{region.margin_mm:g} mm ring ({region.kept_fraction:.0%} in breast)"


def save_figure(figure: Figure, path: str | Path, dpi: float = 200.0) -> Path:
    """Write a figure as PNG or SVG, whole or not at all.

    Text stays text in an SVG, and the same figure gives the same bytes: neither format carries a date.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or Path
        Ending in ``.png`` or ``.svg``.
    dpi : float
        Pixels per inch of a PNG.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        Where the ending is another one, or the file cannot be written.
    """
    import matplotlib

    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".png", ".svg"):
        raise InputError(f"'{path}' cannot be written as a picture: choose a name that ends in .png or .svg.")
    # The SVG writer takes its two from the global settings only; the context puts all of them back.
    settings = {"svg.fonttype": "none", "svg.hashsalt": "HER2Nomogram"}
    settings.update({"savefig.bbox": None, "savefig.transparent": False})
    with atomic_path(path) as temporary, matplotlib.rc_context(settings):
        if suffix == ".png":
            figure.savefig(temporary, format="png", dpi=dpi, metadata={"Software": "HER2Nomogram"})
        else:
            figure.savefig(temporary, format="svg", metadata={"Creator": "HER2Nomogram", "Date": None})
    return path


class _Page:
    """A figure to draw on in inches, x from the left and y from the top, whose height is fixed at the end."""

    def __init__(self, width: float):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.width = width
        self.figure = Figure(figsize=(width, 1.0), dpi=100, facecolor="white")
        self._renderer = FigureCanvasAgg(self.figure).get_renderer()
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self.axes.set_autoscale_on(False)
        self.axes.set_xlim(0, width)

    def finish(self, height: float) -> None:
        self.figure.set_size_inches(self.width, height)
        self.axes.set_ylim(height, 0)

    def text_width(self, text: str, size: float, weight: str = "normal") -> float:
        """Inches that one line of text takes."""
        from matplotlib.font_manager import FontProperties

        font = FontProperties(family="sans-serif", size=size, weight=weight)
        return self._renderer.get_text_width_height_descent(text, font, ismath=False)[0] / self.figure.dpi

    def text(self, x: float, y: float, text: str, size: float, pad: float = 0.8, **kwargs) -> Text:
        """One line of text; what lies under it is covered, so that a ruler line never runs through a number."""
        style = {"color": _INK, "ha": "left", "va": "center", "zorder": 6, "family": "sans-serif", **kwargs}
        box = {"facecolor": "white", "edgecolor": "none", "pad": pad}
        # A user's label may contain a dollar sign: it is not mathematics.
        return self.axes.text(x, y, text, fontsize=size, bbox=box, parse_math=False, usetex=False, **style)

    def line(self, xs: Sequence[float], ys: Sequence[float], **kwargs) -> None:
        """Polyline; keyword arguments as for matplotlib's Line2D."""
        style = {"color": _INK, "linewidth": 0.8, "solid_capstyle": "butt", "zorder": 3, **kwargs}
        self.axes.plot(xs, ys, scalex=False, scaley=False, **style)

    def wrap(self, text: str, width: float, size: float, weight: str = "normal", most: int = 4) -> list[str]:
        """Break text into lines of a width; longer words are broken, and the last of ``most`` lines is cut."""
        lines: list[str] = []
        rest = " ".join(text.split())
        while rest:
            length = self._longest_prefix(rest, width, size, weight)
            if len(lines) == most - 1 and length < len(rest):
                length = self._longest_prefix(rest, width - self.text_width("…", size, weight), size, weight)
                lines.append(rest[:length].rstrip() + "…")
                break
            if length < len(rest) and " " in rest[: length + 1]:
                length = rest.rindex(" ", 0, length + 1)
            lines.append(rest[:length].rstrip())
            rest = rest[length:].lstrip()
        return lines

    def _longest_prefix(self, text: str, width: float, size: float, weight: str) -> int:
        if self.text_width(text, size, weight) <= width:
            return len(text)
        low, high = 1, len(text)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.text_width(text[:middle], size, weight) <= width else (low, middle)
        return low

    def paragraph(self, x: float, top: float, text: str, width: float, size: float, **kwargs) -> float:
        """Write text below ``top`` in lines of a width, and return the height that it takes."""
        spacing = _line_height(size)
        lines = self.wrap(text, width, size, kwargs.get("weight", "normal"), most=8)
        for number, line in enumerate(lines):
            self.text(x, top + (number + 0.5) * spacing, line, size, **kwargs)
        return spacing * len(lines)


class _Nomogram:
    """The rows of a nomogram, drawn from top to bottom.

    ``y`` is the axis of the row being drawn, ``bottom`` where the next row may begin.
    """

    def __init__(self, logistic: LogisticModel, prediction: Prediction | None, width: float):
        self.logistic, self.prediction = logistic, prediction
        self.scale = PointsScale(logistic)
        self.page = _Page(width)
        self.y = self.bottom = _MARGIN
        labels = ["Total points", "Probability of HER2-positive", *map(_predictor_label, logistic.predictors)]
        widest = max(self.page.text_width(label, _LABEL) for label in labels)
        self.label_width = min(widest + 0.02, 0.27 * width)
        self.left, self.right = _MARGIN + self.label_width + _GAP, width - 0.3

    def title(self, text: str) -> None:
        """Bold lines at the top."""
        width = self.page.width - 2 * _MARGIN
        self.bottom += 0.04 + self.page.paragraph(_MARGIN, self.bottom, text, width, size=_TITLE, weight="bold")

    def points_row(self) -> None:
        """The axis on which all points are read, its numbers above it so that the lines from below end on it."""
        self._start_row("Points", above=0.22, below=0.04)
        self.points_y = self.y
        self._scale_axis("axis-:points", 100.0, down=-1)

    def predictor_row(self, predictor: Predictor) -> None:
        """Axis of one predictor, with the case's value marked and its line to the Points axis."""
        self._start_row(_predictor_label(predictor))
        name, page = predictor.name, self.page
        ticks = self.scale.axis(name)
        xs = [self._x_of_points(points) for _, points in ticks]
        page.line(sorted((xs[0], xs[-1])), [self.y, self.y], gid=f"axis-{name}")
        if not predictor.levels:
            minor = nice_ticks(predictor.minimum, predictor.maximum, 25)
            between = [self._x_of_points(self.scale.points(name, value)) for value in minor]
            # On the short axis of a weak predictor they would run into a bar.
            if abs(between[1] - between[0]) > _CLOSEST_TICKS:
                self._ticks(between, _MINOR)
        self._ticks(xs, _MAJOR)
        self._end_first_labels(xs, [_value_text(predictor, value) for value, _ in ticks])
        if self.prediction is not None:
            self._mark_value(predictor, min(xs), max(xs))

    def total_row(self) -> None:
        """Axis of the total points; its unit is not as long as that of the Points axis."""
        self.bottom += 0.06
        self._start_row("Total points")
        self.total_y = self.y
        self._scale_axis("axis-:total", self.scale.max_total)
        if self.prediction is not None:
            total = self.prediction.total_points
            inside = -1e-9 <= total <= self.scale.max_total * (1 + 1e-9)
            self._note(self._mark("case-:total", self._x_of_total(total), "D"), _points_text(total, inside))

    def probability_row(self) -> None:
        """Probability below the total points, with the case's interval as a bar and the model's cut-off."""
        page, cutoff = self.page, self.logistic.cutoff
        self._start_row("Probability of HER2-positive", note=f"▼ cut-off {_probability_text(cutoff)}")
        page.line([self.left, self.right], [self.y, self.y], gid="axis-:probability")
        labelled, minor = self._probability_ticks()
        self._ticks([self._x_of_probability(p) for p in minor], _MINOR)
        xs = [self._x_of_probability(p) for p in labelled]
        self._ticks(xs, _MAJOR)
        self._middle_first_labels(xs, [_number(p, 9) for p in labelled])
        x = self._x_of_probability(cutoff)
        if self.left <= x <= self.right:
            style = {"marker": "v", "markersize": 4.5, "markeredgewidth": 0, "color": _CUTOFF, "zorder": 7}
            page.line([x], [self.y - 0.075], gid="cutoff", **style)
        if self.prediction is not None:
            self._mark_probability(self.prediction)

    def finish(self, notice: str) -> Figure:
        """Write the notice, fix the height, return the figure."""
        top = self.bottom + 0.06
        if notice:
            width = self.page.width - 2 * _MARGIN
            top += self.page.paragraph(_MARGIN, top, notice, width, size=_NOTICE, color=_FAINT)
        self.page.finish(top + 0.08)
        return self.page.figure

    def _x_of_points(self, points: float) -> float:
        return self.left + (self.right - self.left) * points / 100.0

    def _x_of_total(self, total: float) -> float:
        return self.left + (self.right - self.left) * total / self.scale.max_total

    def _x_of_probability(self, probability: float) -> float:
        # An interval may round to 0 or 1, which lie beyond the end of any axis.
        if not 0.0 < probability < 1.0:
            return -math.inf if probability <= 0.0 else math.inf
        return self._x_of_total(self.scale.total_of_probability(probability))

    def _start_row(self, label: str, above: float | None = None, below: float = 0.21, note: str = "") -> None:
        """Write the label of a row, centered on its axis, and make room above and below the axis."""
        if above is None:
            above = 0.13 if self.prediction is None else 0.27
        spacing = _line_height(_LABEL)
        lines = self.page.wrap(label, self.label_width, _LABEL)
        half = spacing * (len(lines) + bool(note)) / 2
        self.y = self.bottom + max(above, half + 0.02)
        self.bottom = self.y + max(below, half + 0.02)
        for number, line in enumerate(lines):
            self.page.text(_MARGIN, self.y - half + (number + 0.5) * spacing, line, _LABEL)
        if note:
            self.page.text(_MARGIN, self.y + half - spacing / 2, note, _TICK, color=_CUTOFF)

    def _ticks(self, xs: Sequence[float], length: float, down: int = 1) -> None:
        for x in xs:
            self.page.line([x, x], [self.y, self.y + down * length], linewidth=0.7)

    def _scale_axis(self, gid: str, maximum: float, down: int = 1) -> None:
        """Axis over the whole width from 0 to a maximum, with as many round numbers as there is room for."""
        page = self.page
        page.line([self.left, self.right], [self.y, self.y], gid=gid)

        def place(value: float) -> float:
            return self.left + (self.right - self.left) * value / maximum

        for count in (10, 5, 2, 1):
            values = nice_ticks(0.0, maximum, count)
            labels = [(place(value), _number(value)) for value in values]
            if not _overlap([_Span.of(page, x, text) for x, text in labels]):
                break
        self._ticks([place(value) for value in nice_ticks(0.0, maximum, 5 * count)], _MINOR, down)
        self._ticks([x for x, _ in labels], _MAJOR, down)
        for x, text in labels:
            page.text(x, self.y + down * (_TICK_TEXT + _line_height(_TICK) / 2), text, _TICK, ha="center")

    def _end_first_labels(self, xs: Sequence[float], texts: Sequence[str]) -> None:
        """Labels of a predictor's ticks: both ends always, of the others those that fit between."""
        page = self.page
        low, high = self.left - _GAP + 0.06, page.width - 0.04
        spans = [_Span.of(page, x, text, (high - low) / 2 - _TEXT_SPACE) for x, text in zip(xs, texts)]
        first, last = (spans[0], spans[-1]) if xs[0] <= xs[-1] else (spans[-1], spans[0])
        _push_apart(first, last, low, high)
        kept = [first, last]
        for span in [*spans[1:-1:2], *spans[2:-1:2]]:
            if not _overlap([*kept, span]):
                kept.append(span)
        moved = any(not span.on_tick for span in kept)
        for span in kept:
            self._tick_label(span, 0.05 if moved else 0.0)

    def _middle_first_labels(self, xs: Sequence[float], texts: Sequence[str]) -> None:
        """Labels of the probability axis, those near the middle of the axis first: at its ends they crowd least."""
        kept: list[_Span] = []
        spans = [_Span.of(self.page, x, text) for x, text in zip(xs, texts)]
        for span in sorted(spans, key=lambda span: _rank_of_probability(float(span.text))):
            if not _overlap([*kept, span]):
                kept.append(span)
                self._tick_label(span)

    def _tick_label(self, span: _Span, lower: float = 0.0) -> None:
        y = self.y + _TICK_TEXT + lower
        self.page.text(span.center, y + _line_height(_TICK) / 2, span.text, _TICK, ha="center")
        self.bottom = max(self.bottom, y + 0.14)
        if not span.on_tick:
            # The label had to leave its tick: a thin line says where it belongs.
            near = min(max(span.tick, span.low + 0.03), span.high - 0.03)
            self.page.line([span.tick, near], [self.y + _MAJOR, y + 0.01], linewidth=0.5, color=_FAINT, zorder=7)

    def _probability_ticks(self) -> tuple[list[float], list[float]]:
        """Probabilities with and without a number on the axis."""
        low, high = (self.scale.probability_of_total(total) for total in (0.0, self.scale.max_total))
        labelled = [p for p, _ in self.scale.probability_axis()]
        if len(labelled) < 4:
            # All risks are much alike, or close to certainty: round numbers of their own range, and 0.0001, 0.9999 ...
            tails = [10.0**-digits for digits in range(1, 10)]
            steps = nice_ticks(low, high) if high > low else []
            labelled = sorted({p for p in (*steps, *tails, *(1.0 - tail for tail in tails)) if low < p < high})
        steps = [n / 100 for n in range(1, 100) if n % 5 == 0 or n < 10 or n > 90]
        return labelled, [p for p in steps if low <= p <= high]

    def _mark(self, gid: str, x: float, marker: str, low: float | None = None, high: float | None = None) -> float:
        """Mark a place on the row's axis, or the end that it lies beyond with an arrow; return where the mark is."""
        low, high = self.left if low is None else low, self.right if high is None else high
        inside = low - 1e-6 <= x <= high + 1e-6
        at = min(max(x, low), high)
        shape = marker if inside else ("<" if x < low else ">")
        size = {"o": 6.0, "D": 5.5}.get(shape, 8.0)
        style = {"markeredgecolor": "white", "markeredgewidth": 0.6, "color": _CASE, "zorder": 7}
        self.page.line([at], [self.y], marker=shape, markersize=size, gid=gid, **style)
        return at

    def _mark_value(self, predictor: Predictor, low: float, high: float) -> None:
        """Mark the case on a predictor's axis, its points on the Points axis, and join the two."""
        value, points = self.prediction.predictors[predictor.name], self.prediction.points[predictor.name]
        x, page = self._x_of_points(points), self.page
        at = self._mark(f"case-{predictor.name}", x, "o", low, high)
        dashed = {"color": _CASE, "linewidth": 0.7, "zorder": 2}
        if self.left - 1e-6 <= x <= self.right + 1e-6:
            # Points of a value beyond its own axis can still be on the Points axis: lead the line there, not past it.
            page.line([at, x], [self.y, self.y], linestyle=(0, (1, 1.5)), **dashed)
            page.line([x, x], [self.y, self.points_y], linestyle=(0, (4, 3)), **dashed)
            style = {"marker": "o", "markersize": 4.0, "color": _CASE, "markeredgewidth": 0, "zorder": 7}
            page.line([x], [self.points_y], gid=f"points-{predictor.name}", **style)
        inside = predictor.minimum <= value <= predictor.maximum
        shown = _value_text(predictor, value)
        if predictor.unit and not predictor.levels:
            shown += predictor.unit if predictor.unit == "%" else f" {predictor.unit}"
        self._note(at, f"{shown} → {_points_text(points, inside)}")

    def _mark_probability(self, prediction: Prediction) -> None:
        """Mark the probability below the total points, with its interval as a bar."""
        page, ends = self.page, [self._x_of_probability(p) for p in prediction.interval]
        shown = [min(max(x, self.left), self.right) for x in ends]
        page.line(shown, [self.y, self.y], linewidth=5.0, color=_CASE, alpha=0.35, gid="interval", zorder=2)
        for x, at in zip(ends, shown):
            # A bar that ends at the end of the axis with an arrow goes on beyond it.
            beyond = {"marker": "<" if x < at else ">", "markersize": 5.0, "markeredgewidth": 0}
            style = {"marker": "|", "markersize": 7.0, "markeredgewidth": 1.2} if x == at else beyond
            page.line([at], [self.y], color=_CASE, zorder=6, **style)
        at = self._mark("case-:probability", self._x_of_total(prediction.total_points), "D")
        page.line([at, at], [self.total_y, self.y], color=_CASE, linewidth=0.7, linestyle=(0, (4, 3)), zorder=2)
        low, high = map(_probability_text, prediction.interval)
        text = f"{_probability_text(prediction.probability)} (95% CI {low} to {high})"
        self._note(at, text, weight="bold")

    def _note(self, x: float, text: str, weight: str = "normal") -> None:
        """Text above the row's axis, beside the ruler line at ``x`` rather than on it."""
        page = self.page
        room = page.width - 0.05 - self.left + _GAP
        (text,) = page.wrap(text, room, _VALUE, weight, most=1)
        width = page.text_width(text, _VALUE, weight)
        start = x + _BESIDE
        if start + width > page.width - 0.05:
            start = x - _BESIDE - width
        start = min(max(start, self.left - _GAP + 0.04), page.width - 0.05 - width)
        # The wider cover keeps the ruler lines of other predictors from being read as a digit.
        page.text(start, self.y - 0.16, text, _VALUE, pad=2.5, color=_CASE, weight=weight)


class _Span:
    """A tick label and the stretch of its axis that it takes."""

    def __init__(self, tick: float, text: str, width: float):
        self.tick, self.text, self.center, self.half = tick, text, tick, width / 2

    @classmethod
    def of(cls, page: _Page, x: float, text: str, room: float = math.inf) -> _Span:
        """Label centered on its tick, cut where it is wider than the room."""
        if page.text_width(text, _TICK) > room:
            (text,) = page.wrap(text, room, _TICK, most=1)
        return cls(x, text, page.text_width(text, _TICK))

    @property
    def low(self) -> float:
        """Left end."""
        return self.center - self.half

    @property
    def high(self) -> float:
        """Right end."""
        return self.center + self.half

    @property
    def on_tick(self) -> bool:
        """Whether the label is above or below its tick."""
        return self.low <= self.tick <= self.high

    def clamp(self, low: float, high: float) -> None:
        """Move the label into an interval."""
        self.center = min(max(self.center, low + self.half), high - self.half)


def _push_apart(left: _Span, right: _Span, low: float, high: float) -> None:
    """Move two labels as little as possible so that they clear each other and stay in an interval."""
    left.clamp(low, high)
    right.clamp(low, high)
    excess = left.high + _TEXT_SPACE - right.low
    if excess > 0:
        left.center -= excess / 2
        right.center += excess / 2
        left.clamp(low, high)
        right.center = max(right.center, left.high + _TEXT_SPACE + right.half)
        right.clamp(low, high)
        left.center = min(left.center, right.low - _TEXT_SPACE - left.half)


def _overlap(spans: Iterable[_Span]) -> bool:
    ordered = sorted(spans, key=lambda span: span.low)
    return any(a.high + _TEXT_SPACE > b.low for a, b in zip(ordered, ordered[1:]))


def _rank_of_probability(p: float) -> tuple[int, float]:
    """Order in which probabilities get a number where there is no room for all."""
    if round(10 * p, 6) in (1, 3, 5, 7, 9):
        return 0, abs(p - 0.5)
    return (1 if min(p, 1 - p) < 0.06 else 2), abs(p - 0.5)


def _line_height(size: float) -> float:
    return 1.25 * size / 72


def _predictor_label(predictor: Predictor) -> str:
    unit = f" ({predictor.unit})" if predictor.unit and not predictor.levels else ""
    return f"{predictor.label}{unit}"


def _number(value: float, decimals: int = 6) -> str:
    """Number without trailing zeros and with a real minus sign."""
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text.replace("-", "−")


def _value_text(predictor: Predictor, value: float) -> str:
    """Value of a predictor to three digits of its training range, or the name of its level."""
    if predictor.levels and value in (0.0, 1.0):
        return predictor.levels[int(value)]
    span = predictor.maximum - predictor.minimum
    return _number(value, max(0, 2 - math.floor(math.log10(span))))


def _points_text(points: float, inside: bool = True) -> str:
    text = f"{points:.1f}".replace("-", "−")
    return f"{text} points" + ("" if inside else ", outside the training range")


def _probability_text(probability: float) -> str:
    """Probability as printed: never 0 or 1, which a model cannot know."""
    if probability < 0.001:
        return "<0.001"
    if probability > 0.999:
        return ">0.999"
    return f"{probability:.2f}" if 0.01 <= probability <= 0.99 else f"{probability:.3f}"


def _roc_legend(page: _Page, curves: Sequence[tuple], left: float, top: float, right: float) -> float:
    """Legend below the axes, one paragraph for each curve; returns where it ends."""
    for (label, _, _, auc, interval), (color, dashes) in zip(curves, _styles(len(curves))):
        between = f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval is not None else ""
        start = left + 0.42
        page.line([left, left + 0.34], [top + 0.07, top + 0.07], color=color, linestyle=dashes, linewidth=1.6)
        top += page.paragraph(start, top, f"{label}: AUC {auc:.2f}{between}", right - start, size=_LABEL) + 0.03
    return top + 0.04


def _roc_curves(axes, curves: Sequence[tuple]) -> None:
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, zorder=1)
    for (label, fpr, tpr, _, _), (color, dashes) in zip(curves, _styles(len(curves))):
        if len(fpr) != len(tpr):
            raise ValueError(f"curve '{label}' has {len(fpr)} false and {len(tpr)} true positive rates")
        axes.plot(fpr, tpr, color=color, linestyle=dashes, linewidth=1.6, gid=f"roc-{label}", clip_on=False, zorder=3)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=_TICK, family="sans-serif", color=_INK)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=_TICK, family="sans-serif", color=_INK)
    axes.set_xlabel("1 − specificity", fontsize=_LABEL, family="sans-serif", color=_INK)
    axes.set_ylabel("Sensitivity", fontsize=_LABEL, family="sans-serif", color=_INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_facecolor("white")


def _styles(count: int) -> list[tuple]:
    return [_CURVES[index % len(_CURVES)] for index in range(count)]
