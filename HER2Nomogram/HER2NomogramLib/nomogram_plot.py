"""The nomogram as a picture, to be read with a ruler, with a case marked on it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from string import ascii_lowercase
from typing import TYPE_CHECKING

from .drawing import (
    BLUE,
    FAINT,
    LABEL_SIZE,
    MARGIN,
    PRINT_WIDTH,
    TICK_SIZE,
    VALUE_SIZE,
    Page,
    line_height,
    number_text,
    plain_settings,
)
from .modelfile import LogisticModel, Predictor
from .scale import PointsScale, nice_ticks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .prediction import Prediction

_SMALLEST_WIDTH = 3.4
_CUTOFF = "#B34A00"
# Lengths in inches.
_GAP = 0.28
_MAJOR, _MINOR, _TICK_TEXT = 0.055, 0.03, 0.075
_TEXT_SPACE, _LEVEL_SPACE, _BESIDE = 0.07, 0.16, 0.08
_CLOSEST_TICKS = 0.025
# How far a label that had to leave its tick is from the axis, and what a row of labels above an axis takes.
_LEADER, _ROW_ABOVE = 0.05, 0.2


@plain_settings
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
    drawing = _Nomogram(logistic, prediction, width, title)
    drawing.points_row()
    for predictor in logistic.predictors:
        drawing.predictor_row(predictor)
    drawing.total_row()
    drawing.probability_row()
    text = notice if notice is not None else (prediction.notice if prediction is not None else "")
    return drawing.page.close(drawing.bottom + 0.06, text)


class _Nomogram:
    """The rows of a nomogram, drawn from top to bottom.

    ``y`` is the axis of the row being drawn, ``bottom`` where the next row may begin.
    """

    def __init__(self, logistic: LogisticModel, prediction: Prediction | None, width: float, title: str):
        self.logistic, self.prediction = logistic, prediction
        self.scale = PointsScale(logistic)
        self.page = Page(width)
        self.y = self.bottom = self.page.heading(title)
        labels = ["Total points", "Probability of HER2-positive", *map(_predictor_label, logistic.predictors)]
        widest = max(self.page.text_width(label, LABEL_SIZE) for label in labels)
        self.label_width = min(widest + 0.02, 0.27 * width)
        self.left, self.right = MARGIN + self.label_width + _GAP, width - 0.3

    def points_row(self) -> None:
        """The axis on which all points are read, its numbers above it so that the lines from below end on it."""
        self._start_row("Points", above=0.22, below=0.04)
        self.points_y = self.y
        self._scale_axis("axis-:points", 100.0, down=-1)

    def predictor_row(self, predictor: Predictor) -> None:
        """Axis of one predictor, with the case's value marked and its line to the Points axis."""
        ticks = self.scale.axis(predictor.name)
        xs = [self._x_of_points(points) for _, points in ticks]
        texts = [_value_text(predictor, value) for value, _ in ticks]
        # Every level of a factor must be named; of the numbers of a scale some can be left out.
        staggered = len(predictor.levels) > 2
        above, below, key = self._staggered(xs, texts) if staggered else ([], [], "")
        lift = _ROW_ABOVE if above else 0.0
        self._start_row(_predictor_label(predictor), lift=lift)
        self.page.line([min(xs), max(xs)], [self.y, self.y], gid=f"axis-{predictor.name}")
        if not predictor.levels:
            self._minor_ticks(predictor)
        if not staggered:
            self._ticks(xs, _MAJOR)
            self._end_first_labels(xs, texts)
        for spans, down in ((above, -1), (below, 1)):
            self._ticks([span.tick for span in spans], _MAJOR, down)
            self._labels(spans, down)
        if key:
            low, high = self._label_room()
            tall = self.page.paragraph(low, self.bottom, key, high - low - 0.1, TICK_SIZE, most=99, color=FAINT)
            self.bottom += tall + 0.04
        if self.prediction is not None:
            self._mark_value(predictor, min(xs), max(xs), lift)

    def _minor_ticks(self, predictor: Predictor) -> None:
        minor = nice_ticks(predictor.minimum, predictor.maximum, 25)
        xs = [self._x_of_points(self.scale.points(predictor.name, value)) for value in minor]
        # On the short axis of a weak predictor they would run into a bar.
        if abs(xs[1] - xs[0]) > _CLOSEST_TICKS:
            self._ticks(xs, _MINOR)

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
        self._middle_first_labels(xs, [number_text(p, 9) for p in labelled])
        x = self._x_of_probability(cutoff)
        if self.left <= x <= self.right:
            style = {"marker": "v", "markersize": 4.5, "markeredgewidth": 0, "color": _CUTOFF, "zorder": 7}
            page.line([x], [self.y - 0.075], gid="cutoff", **style)
        if self.prediction is not None:
            self._mark_probability(self.prediction)

    def _x_of_points(self, points: float) -> float:
        return self.left + (self.right - self.left) * points / 100.0

    def _x_of_total(self, total: float) -> float:
        return self.left + (self.right - self.left) * total / self.scale.max_total

    def _x_of_probability(self, probability: float) -> float:
        # An interval may round to 0 or 1, which lie beyond the end of any axis.
        if not 0.0 < probability < 1.0:
            return -math.inf if probability <= 0.0 else math.inf
        return self._x_of_total(self.scale.total_of_probability(probability))

    def _start_row(
        self, label: str, above: float | None = None, below: float = 0.21, note: str = "", lift: float = 0.0
    ) -> None:
        """Write the label of a row, centered on its axis, and make room above and below the axis."""
        if above is None:
            above = lift + (0.13 if self.prediction is None else 0.27)
        spacing = line_height(LABEL_SIZE)
        lines = self.page.wrap(label, self.label_width, LABEL_SIZE)
        half = spacing * (len(lines) + bool(note)) / 2
        self.y = self.bottom + max(above, half + 0.02)
        self.bottom = self.y + max(below, half + 0.02)
        for number, line in enumerate(lines):
            self.page.text(MARGIN, self.y - half + (number + 0.5) * spacing, line, LABEL_SIZE)
        if note:
            self.page.text(MARGIN, self.y + half - spacing / 2, note, TICK_SIZE, color=_CUTOFF)

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
            labels = [(place(value), number_text(value)) for value in values]
            if not _overlap([_Span.of(page, x, text) for x, text in labels]):
                break
        self._ticks([place(value) for value in nice_ticks(0.0, maximum, 5 * count)], _MINOR, down)
        self._ticks([x for x, _ in labels], _MAJOR, down)
        for x, text in labels:
            page.text(x, self.y + down * (_TICK_TEXT + line_height(TICK_SIZE) / 2), text, TICK_SIZE, ha="center")

    def _end_first_labels(self, xs: Sequence[float], texts: Sequence[str]) -> None:
        """Labels of a predictor's ticks: both ends always, of the others those that fit between."""
        low, high = self._label_room()
        spans = [_Span.of(self.page, x, text, (high - low) / 2 - _TEXT_SPACE) for x, text in zip(xs, texts)]
        ends = sorted((spans[0], spans[-1]), key=lambda span: span.tick)
        _push_apart(ends, low, high)
        kept = list(ends)
        for span in [*spans[1:-1:2], *spans[2:-1:2]]:
            if not _overlap([*kept, span]):
                kept.append(span)
        self._labels(kept)

    def _label_room(self) -> tuple[float, float]:
        """Between which places the labels of a predictor's axis must stay."""
        return self.left - _GAP + 0.06, self.page.width - 0.04

    def _staggered(self, xs: Sequence[float], texts: Sequence[str]) -> tuple[list[_Span], list[_Span], str]:
        """Labels of all levels, above and below the axis: below alone where they have room there at their ticks.

        Names that fit on neither side become letters, and what these stand for is the third that is returned.
        """
        low, high = self._label_room()
        pairs = sorted(zip(xs, texts), key=lambda pair: pair[0])
        spans = [_Span.of(self.page, x, text) for x, text in pairs]
        if not _overlap(spans, _LEVEL_SPACE) and low <= spans[0].low and spans[-1].high <= high:
            return [], spans, ""
        key = ""
        if any(_length(side) > high - low for side in (spans[::2], spans[1::2])):
            codes = ascii_lowercase if len(pairs) <= len(ascii_lowercase) else map(str, range(1, len(pairs) + 1))
            coded = [(x, code, name) for (x, name), code in zip(pairs, codes)]
            key = "; ".join(f"{code}: {name}" for _, code, name in coded)
            spans = [_Span.of(self.page, x, code) for x, code, _ in coded]
        below, above = spans[::2], spans[1::2]
        for side in (above, below):
            _push_apart(side, low, high, _LEVEL_SPACE)
        return above, below, key

    def _labels(self, spans: Sequence[_Span], down: int = 1) -> None:
        """Labels on one side of the axis, all as far from it as those that had to leave their ticks."""
        moved = any(not span.on_tick for span in spans)
        for span in spans:
            self._tick_label(span, _LEADER if moved else 0.0, down)

    def _middle_first_labels(self, xs: Sequence[float], texts: Sequence[str]) -> None:
        """Labels of the probability axis, those near the middle of the axis first: at its ends they crowd least."""
        kept: list[_Span] = []
        spans = [_Span.of(self.page, x, text) for x, text in zip(xs, texts)]
        for span in sorted(spans, key=lambda span: _rank_of_probability(float(span.text))):
            if not _overlap([*kept, span]):
                kept.append(span)
                self._tick_label(span)

    def _tick_label(self, span: _Span, further: float = 0.0, down: int = 1) -> None:
        near = _TICK_TEXT + further
        self.page.text(
            span.center, self.y + down * (near + line_height(TICK_SIZE) / 2), span.text, TICK_SIZE, ha="center"
        )
        if down > 0:
            self.bottom = max(self.bottom, self.y + near + 0.14)
        if not span.on_tick:
            # The label had to leave its tick: a thin line says where it belongs.
            x = min(max(span.tick, span.low + 0.03), span.high - 0.03)
            ys = [self.y + down * _MAJOR, self.y + down * (near + 0.01)]
            self.page.line([span.tick, x], ys, linewidth=0.5, color=FAINT, zorder=7)

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
        style = {"markeredgecolor": "white", "markeredgewidth": 0.6, "color": BLUE, "zorder": 7}
        self.page.line([at], [self.y], marker=shape, markersize=size, gid=gid, **style)
        return at

    def _mark_value(self, predictor: Predictor, low: float, high: float, lift: float) -> None:
        """Mark the case on a predictor's axis, its points on the Points axis, and join the two."""
        value, points = self.prediction.predictors[predictor.name], self.prediction.points[predictor.name]
        x, page = self._x_of_points(points), self.page
        at = self._mark(f"case-{predictor.name}", x, "o", low, high)
        dashed = {"color": BLUE, "linewidth": 0.7, "zorder": 2}
        if self.left - 1e-6 <= x <= self.right + 1e-6:
            # Points of a value beyond its own axis can still be on the Points axis: lead the line there, not past it.
            page.line([at, x], [self.y, self.y], linestyle=(0, (1, 1.5)), **dashed)
            page.line([x, x], [self.y, self.points_y], linestyle=(0, (4, 3)), **dashed)
            style = {"marker": "o", "markersize": 4.0, "color": BLUE, "markeredgewidth": 0, "zorder": 7}
            page.line([x], [self.points_y], gid=f"points-{predictor.name}", **style)
        inside = predictor.minimum <= value <= predictor.maximum
        shown = _value_text(predictor, value)
        if predictor.unit and not predictor.levels:
            shown += predictor.unit if predictor.unit == "%" else f" {predictor.unit}"
        self._note(at, f"{shown} → {_points_text(points, inside)}", lift=lift)

    def _mark_probability(self, prediction: Prediction) -> None:
        """Mark the probability below the total points, with its interval as a bar."""
        page, ends = self.page, [self._x_of_probability(p) for p in prediction.interval]
        shown = [min(max(x, self.left), self.right) for x in ends]
        page.line(shown, [self.y, self.y], linewidth=5.0, color=BLUE, alpha=0.35, gid="interval", zorder=2)
        for x, at in zip(ends, shown):
            # A bar that ends at the end of the axis with an arrow goes on beyond it.
            beyond = {"marker": "<" if x < at else ">", "markersize": 5.0, "markeredgewidth": 0}
            style = {"marker": "|", "markersize": 7.0, "markeredgewidth": 1.2} if x == at else beyond
            page.line([at], [self.y], color=BLUE, zorder=6, **style)
        at = self._mark("case-:probability", self._x_of_total(prediction.total_points), "D")
        page.line([at, at], [self.total_y, self.y], color=BLUE, linewidth=0.7, linestyle=(0, (4, 3)), zorder=2)
        low, high = map(_probability_text, prediction.interval)
        text = f"{_probability_text(prediction.probability)} (95% CI {low} to {high})"
        self._note(at, text, weight="bold")

    def _note(self, x: float, text: str, weight: str = "normal", lift: float = 0.0) -> None:
        """Text above the row's axis, beside the ruler line at ``x`` rather than on it."""
        page = self.page
        room = page.width - 0.05 - self.left + _GAP
        (text,) = page.wrap(text, room, VALUE_SIZE, weight, most=1)
        width = page.text_width(text, VALUE_SIZE, weight)
        start = x + _BESIDE
        if start + width > page.width - 0.05:
            start = x - _BESIDE - width
        start = min(max(start, self.left - _GAP + 0.04), page.width - 0.05 - width)
        # The wider cover keeps the ruler lines of other predictors from being read as a digit.
        page.text(start, self.y - 0.16 - lift, text, VALUE_SIZE, pad=2.5, color=BLUE, weight=weight)


class _Span:
    """A tick label and the stretch of its axis that it takes."""

    def __init__(self, tick: float, text: str, width: float):
        self.tick, self.text, self.center, self.half = tick, text, tick, width / 2

    @classmethod
    def of(cls, page: Page, x: float, text: str, room: float = math.inf) -> _Span:
        """Label centered on its tick, cut where it is wider than the room."""
        if page.text_width(text, TICK_SIZE) > room:
            (text,) = page.wrap(text, room, TICK_SIZE, most=1)
        return cls(x, text, page.text_width(text, TICK_SIZE))

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


def _push_apart(spans: Sequence[_Span], low: float, high: float, space: float = _TEXT_SPACE) -> None:
    """Move labels in ascending order as little as possible so that they clear each other and stay in an interval.

    Less what lies between its own center and that of the first label, each center may not be below the one before:
    labels that collide take their mean (pool adjacent violators), which is the least sum of squared distances.
    """
    if not spans:
        return
    between = [a.half + space + b.half for a, b in zip(spans, spans[1:])]
    offsets = [math.fsum(between[:index]) for index in range(len(spans))]
    pools: list[tuple[float, int]] = []
    for span, offset in zip(spans, offsets):
        mean, count = span.tick - offset, 1
        while pools and pools[-1][0] > mean:
            other, more = pools.pop()
            mean, count = (mean * count + other * more) / (count + more), count + more
        pools.append((mean, count))
    first, last = low + spans[0].half, high - spans[-1].half - offsets[-1]
    places = [max(first, min(last, mean)) for mean, count in pools for _ in range(count)]
    for span, offset, place in zip(spans, offsets, places):
        span.center = place + offset


def _length(spans: Sequence[_Span]) -> float:
    """What labels side by side take."""
    return sum(2 * span.half for span in spans) + _LEVEL_SPACE * (len(spans) - 1)


def _overlap(spans: Iterable[_Span], space: float = _TEXT_SPACE) -> bool:
    ordered = sorted(spans, key=lambda span: span.low)
    return any(a.high + space > b.low for a, b in zip(ordered, ordered[1:]))


def _rank_of_probability(p: float) -> tuple[int, float]:
    """Order in which probabilities get a number where there is no room for all."""
    if round(10 * p, 6) in (1, 3, 5, 7, 9):
        return 0, abs(p - 0.5)
    return (1 if min(p, 1 - p) < 0.06 else 2), abs(p - 0.5)


def _predictor_label(predictor: Predictor) -> str:
    unit = f" ({predictor.unit})" if predictor.unit and not predictor.levels else ""
    return f"{predictor.label}{unit}"


def _value_text(predictor: Predictor, value: float) -> str:
    """Value of a predictor to three digits of its training range, or the name of its level."""
    if predictor.levels:
        return predictor.text(value)
    span = predictor.maximum - predictor.minimum
    return number_text(value, max(0, 2 - math.floor(math.log10(span))))


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
