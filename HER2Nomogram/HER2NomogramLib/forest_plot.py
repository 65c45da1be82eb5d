"""Odds ratios of several models side by side: a forest plot on a logarithmic axis, with the numbers beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .drawing import (
    BLUE,
    FAINT,
    LABEL_SIZE,
    MARGIN,
    NOTICE_SIZE,
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
from .odds_ratios import OddsRatio
from .report_numbers import DASH, odds_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUP, LEVEL, NUMBER = "group", "level", "number"
# What stands in a series where a row is the level that the others of its variable are compared with.
REFERENCE = OddsRatio(1.0, math.nan, math.nan, math.nan, "reference")
_NOT_ESTIMABLE, _REFERENCE_TEXT = "not estimable", "1 (reference)"

# In gray print the series differ by shape and by filled or hollow.
_SERIES = (
    ("o", 4.2, "#555555", "white"),
    ("s", 4.2, BLUE, BLUE),
    ("D", 3.6, "#D55E00", "white"),
    ("^", 4.6, "#009E73", "#009E73"),
    ("v", 4.6, "#CC79A7", "white"),
    ("o", 4.2, "#E69F00", "#E69F00"),
)
MOST_SERIES = len(_SERIES)
_HAIR = "#DDE1E5"
# Intervals may reach this far from 1 before they are cut, and odds ratios themselves this far.
_WIDEST_INTERVAL, _WIDEST_VALUE, _NARROWEST = 60.0, 1000.0, 2.0
_TICKS = (
    (1, 1.5, 2, 3, 4, 6, 8),
    (1, 2, 3, 5),
    (1, 2, 5),
    (1, 3),
    (1,),
)
_INDENT, _ROW_GAP, _GAP, _BETWEEN = 0.14, 0.045, 0.12, 0.2
# The names give way until the axis has so many inches, and no further than these.
_PANEL, _LEAST_NAMES = 1.9, 1.3
_BELOW_AXES = 0.45
# Rows of one figure, in inches, so that it fits on a page with its caption.
_PAGE = 7.4


@dataclass(frozen=True)
class ForestRow:
    """One row of a forest plot.

    Attributes
    ----------
    label : str
    kind : {"group", "level", "number"}
        A heading over levels, one of these levels, or a variable of one row.
    note : str
        Beside the label, such as the events of the level's cases.
    series : tuple of OddsRatio or None
        One per series; :data:`REFERENCE` where the level is the reference, None where the series has no such row.
        Empty for a heading.
    """

    label: str
    kind: str = NUMBER
    note: str = ""
    series: tuple[OddsRatio | None, ...] = ()


@plain_settings
def forest_figure(
    rows: Sequence[ForestRow],
    names: Sequence[str],
    title: str = "",
    *,
    note_head: str = "",
    limits: tuple[float, float] | None = None,
    notice: str = "",
) -> Figure:
    """Forest plot of odds ratios.

    Parameters
    ----------
    rows : sequence of ForestRow
    names : sequence of str
        Of the series, such as Univariate and Adjusted. Up to two have their numbers in columns side by side, more in
        lines below each other.
    title : str
    note_head : str
        Heading of the notes.
    limits : (float, float), optional
        Ends of the axis; by default as the odds ratios need them.
    notice : str
        Sentence in small type at the bottom.

    Returns
    -------
    matplotlib.figure.Figure
        Artists carry a ``gid`` with the numbers of row and series: ``value-2-0``, ``interval-2-0``, and
        ``beyond-low-2-0`` or ``beyond-high-2-0`` where an interval is cut; the line of no association is ``one``.

    Raises
    ------
    ValueError
        Where there is no row or no series, too many series, or a row has another number of these.
    """
    if not rows or not 1 <= len(names) <= MOST_SERIES:
        raise ValueError(f"there are {len(rows)} rows and {len(names)} series")
    for row in rows:
        if len(row.series) != (0 if row.kind == GROUP else len(names)):
            raise ValueError(f"the row '{row.label}' has {len(row.series)} odds ratios for {len(names)} series")
    page = Page(PRINT_WIDTH)
    layout = _Layout(page, rows, names, note_head)
    places = layout.write(page.heading(title))
    axes = page.panel(layout.left, layout.top, layout.right - layout.left, layout.bottom - layout.top)
    low, high = limits or axis_limits(rows)
    _prepare_axes(page, axes, layout, low, high)
    cut = False
    for index, (row, y) in enumerate(zip(rows, places)):
        for number, odds in enumerate(row.series):
            if odds is REFERENCE:
                axes.plot([1], [y], **marker_style("|", 6, FAINT), gid=f"value-{index}-{number}", zorder=2)
            elif odds is not None and not math.isnan(odds.value):
                alone = layout.beside and row.series.count(None) == len(names) - 1
                place = y if alone else layout.offset(y, number)
                cut |= _draw(axes, odds, place, f"{index}-{number}", layout.styles[number])
    entries = [(name, [style]) for name, style in zip(names, layout.styles)] if len(names) > 1 else []
    if cut:
        entries.append(("Goes on beyond the axis", [marker_style(">", 4, FAINT)]))
    bottom = layout.bottom + _BELOW_AXES
    return page.close(
        (page.legend(entries, MARGIN, bottom, PRINT_WIDTH - MARGIN) if entries else bottom) + 0.03, notice
    )


class _Layout:
    """Where the columns and rows of a forest plot are, and the writing in them."""

    def __init__(self, page: Page, rows: Sequence[ForestRow], names: Sequence[str], note_head: str):
        self.page, self.rows, self.names, self.note_head = page, rows, names, note_head
        self.beside = len(names) <= 2
        styles = _SERIES[1:2] if len(names) == 1 else _SERIES
        self.styles = [marker_style(*style) for style in styles[: len(names)]]
        self.texts = [self._row_texts(row) for row in rows]
        if self.beside:
            columns = [[texts[number] for texts in self.texts if texts] for number in range(len(names))]
            heads = [[name, "OR (95% interval)"] for name in names]
        else:
            columns, heads = [[text for texts in self.texts for text in texts]], [["OR (95% interval)"]]
        self.heads = heads
        wide = [max(self._wide([*column, *head[1:], ""], head[0])) for column, head in zip(columns, heads)]
        self.columns, x = [], page.width - MARGIN
        for size in reversed(wide):
            x -= size
            self.columns.insert(0, x)
            x -= _BETWEEN
        self.right = x + _BETWEEN - _GAP
        note = max(self._wide([note_head, *(row.note for row in rows)]), default=0.0)
        labels = max(self._wide([row.label for row in rows if row.kind != GROUP])) + _INDENT
        room = self.right - MARGIN - (note + _GAP if note else 0.0) - _GAP - _PANEL
        self.room = min(labels + 0.03, max(room, _LEAST_NAMES))
        self.note_right = MARGIN + self.room + (_GAP + note if note else 0.0)
        self.left = self.note_right + _GAP
        self.top = self.bottom = 0.0

    def _row_texts(self, row: ForestRow) -> list[str]:
        """What stands beside a row; below each other the reference is named once."""
        if not self.beside and REFERENCE in row.series:
            return [_REFERENCE_TEXT]
        return [odds_text(odds) for odds in row.series]

    def _wide(self, texts: Sequence[str], bold: str = "") -> list[float]:
        return [self.page.text_width(text, TICK_SIZE) for text in texts] + [
            self.page.text_width(bold, TICK_SIZE, "bold")
        ]

    def write(self, top: float) -> list[float]:
        """Write everything but the axes; returns the middle of each row."""
        page, spacing = self.page, line_height(TICK_SIZE)
        lines = max(len(head) for head in self.heads)
        for head, x in zip(self.heads, self.columns):
            for number, text in enumerate(head):
                y = top + (lines - len(head) + number + 0.5) * spacing
                page.text(x, y, text, TICK_SIZE, weight="bold" if number == 0 else "normal")
        if self.note_head:
            page.text(self.note_right, top + (lines - 0.5) * spacing, self.note_head, TICK_SIZE, ha="right")
        self.top = top + lines * spacing + 0.05
        y, places = self.top, []
        for index, row in enumerate(self.rows):
            # A hair between the variables; not between the levels of one.
            if row.kind != LEVEL:
                page.line([MARGIN, page.width - MARGIN], [y, y], color=_HAIR, linewidth=0.6, zorder=0)
            y = self._row(index, row, y + _ROW_GAP / 2, places) + _ROW_GAP / 2
        self.bottom = y + 0.02
        return places

    def _row(self, index: int, row: ForestRow, top: float, places: list[float]) -> float:
        page, spacing = self.page, line_height(TICK_SIZE)
        indent = _INDENT if row.kind == LEVEL else 0.0
        weight = "bold" if row.kind == GROUP else "normal"
        # A heading may run on over the empty places of its note and its interval.
        room = self.right - MARGIN if row.kind == GROUP and not row.note else self.room - indent
        lines = page.wrap(row.label, room, TICK_SIZE, weight, most=4)
        drawn = 1 if REFERENCE in row.series else len(row.series)
        tall = max(len(lines) * spacing, self._step() * drawn + 0.02)
        middle = top + tall / 2
        for number, line in enumerate(lines):
            y = middle + (number - (len(lines) - 1) / 2) * spacing
            page.text(MARGIN + indent, y, line, TICK_SIZE, weight=weight)
        if row.note:
            page.text(self.note_right, middle, row.note, TICK_SIZE, ha="right")
        for number, text in enumerate(self.texts[index]):
            x = self.columns[number if self.beside else 0]
            single = self.beside or len(self.texts[index]) == 1
            page.text(x, middle if single else self.offset(middle, number), text, TICK_SIZE)
        places.append(middle)
        return top + tall

    def _step(self) -> float:
        """From one series of a row to the next."""
        return 0.08 if self.beside else line_height(TICK_SIZE)

    def offset(self, middle: float, number: int) -> float:
        """Where a series of a row is."""
        return middle + (number - (len(self.names) - 1) / 2) * self._step()


def odds_text(odds: OddsRatio | None) -> str:
    """``1.95 (0.92 to 4.14)``, or why there is no such thing."""
    if odds is None:
        return DASH
    if odds is REFERENCE:
        return _REFERENCE_TEXT
    return _NOT_ESTIMABLE if math.isnan(odds.value) else odds_interval(odds)


def fitting_parts(rows: Sequence[ForestRow]) -> list[list[ForestRow]]:
    """Rows in as many parts as pages of print take, never parting the levels of a variable where they fit on one."""
    parts: list[list[ForestRow]] = [[]]
    for index, row in enumerate(rows):
        if row.kind != LEVEL and parts[-1]:
            following = next((k for k in range(index + 1, len(rows)) if rows[k].kind != LEVEL), len(rows))
            if sum(map(_rough_height, [*parts[-1], *rows[index:following]])) > _PAGE:
                parts.append([])
        parts[-1].append(row)
    return parts


def _rough_height(row: ForestRow) -> float:
    """Inches that a row takes, two lines of a label at most."""
    drawn = 1 if REFERENCE in row.series else len(row.series)
    return _ROW_GAP + max(line_height(TICK_SIZE), drawn * (0.08 if len(row.series) <= 2 else line_height(TICK_SIZE)))


def axis_limits(rows: Sequence[ForestRow]) -> tuple[float, float]:
    """Ends of the axis: all odds ratios, and intervals as far as they do not press the others together."""
    found = [odds for row in rows for odds in row.series if odds is not None and not math.isnan(odds.value)]
    values = [odds.value for odds in found if 1 / _WIDEST_VALUE <= odds.value <= _WIDEST_VALUE]
    lows = [max(odds.low, 1 / _WIDEST_INTERVAL) for odds in found if odds.low < math.inf]
    highs = [min(odds.high, _WIDEST_INTERVAL) for odds in found if odds.high > 0]
    low = min([1 / _NARROWEST, *lows, *(value / 2 for value in values)])
    high = max([_NARROWEST, *highs, *(value * 2 for value in values)])
    return low / 1.12, high * 1.12


def _prepare_axes(page: Page, axes: Axes, layout: _Layout, low: float, high: float) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(layout.bottom, layout.top)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.axvline(1, color=RULE, linewidth=0.9, zorder=1, gid="one")
    width = layout.right - layout.left
    set_ticks(axes, "x", *_ticks(page, low, high, width))
    label = "Odds ratio (logarithmic axis)"
    set_labels(axes, label if width > page.text_width(label, LABEL_SIZE) else "Odds ratio")
    one = layout.left + width * math.log(1 / low) / math.log(high / low)
    y = layout.top - 0.05 - line_height(NOTICE_SIZE) / 2
    room = min(one - layout.left, layout.right - one)
    for sides in (("← lower odds", "higher odds →"), ("← lower", "higher →")):
        if max(page.text_width(text, NOTICE_SIZE) for text in sides) + 0.05 < room:
            for text, ha, sign in zip(sides, ("right", "left"), (-1, 1)):
                page.text(one + sign * 0.05, y, text, NOTICE_SIZE, ha=ha, color=FAINT)
            break


def _ticks(page: Page, low: float, high: float, width: float) -> tuple[list[float], list[str]]:
    """As many round odds ratios as there is room for, 1 always and the same steps on both of its sides."""
    for steps in _TICKS:
        above = [step * 10.0**power for power in range(6) for step in steps]
        values = sorted({1.0, *above, *(float(f"{1 / value:.1g}") for value in above)})
        values = [value for value in values if low <= value <= high]
        texts = [number_text(value) for value in values]
        places = [width * math.log(value / low) / math.log(high / low) for value in values]
        sizes = [page.text_width(text, TICK_SIZE) for text in texts]
        if all(
            b - a > (size + following) / 2 + 0.06 for a, b, size, following in zip(places, places[1:], sizes, sizes[1:])
        ):
            return values, texts
    return [1.0], ["1"]


def _draw(axes: Axes, odds: OddsRatio, y: float, name: str, style: dict) -> bool:
    """One odds ratio with its interval; returns whether it goes on beyond the axis."""
    low, high = axes.get_xlim()
    cut = False
    if not math.isnan(odds.low) and not math.isnan(odds.high):
        ends = min(max(odds.low, low), high), min(max(odds.high, low), high)
        line = line_style(style["color"], "-", 1.1)
        axes.plot(ends, [y, y], **line, gid=f"interval-{name}", zorder=2, solid_capstyle="butt")
        for side, beyond, end, shape in (("low", odds.low < low, low, "<"), ("high", odds.high > high, high, ">")):
            if beyond:
                arrow = marker_style(shape, 3.6, style["color"])
                axes.plot([end], [y], **arrow, gid=f"beyond-{side}-{name}", zorder=3, clip_on=False)
                cut = True
    if low <= odds.value <= high:
        axes.plot([odds.value], [y], **style, markeredgewidth=1.0, gid=f"value-{name}", zorder=4)
    return cut
