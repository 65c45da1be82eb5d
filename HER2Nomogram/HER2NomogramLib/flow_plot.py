"""Flow of cases: how many were given, which were left out and why, and what each split has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .drawing import (
    INK,
    LABEL_SIZE,
    MARGIN,
    PRINT_WIDTH,
    TICK_SIZE,
    Page,
    line_height,
    plain_settings,
)
from .report_numbers import counted, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BOX_PAD = 0.08
_MOST_REASONS = 8


@plain_settings
def flow_figure(
    given: int,
    excluded: Mapping[str, int],
    splits: Mapping[str, tuple[int, int]],
    title: str = "",
    *,
    event: str = "HER2-positive",
    notice: str = "",
) -> Figure:
    """Flow of cases: those given, those left out and why, and those that each split has.

    Parameters
    ----------
    given : int
        Cases in the case table.
    excluded : mapping of str to int
        Cases left out by reason.
    splits : mapping of str to (int, int)
        Cases, and those with the outcome among them, by name of the split.
    title : str
    event : str
        What the latter are called after their number.
    notice : str
        Sentence in small type at the bottom.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        Where the numbers do not add up, or there is no split.
    """
    left_out, used = sum(excluded.values()), sum(n for n, _ in splits.values())
    if not splits:
        raise ValueError("there is no split to draw")
    if given - left_out != used:
        raise ValueError(f"{given} cases less {left_out} excluded ones are not the {used} of the splits")
    page, width = Page(PRINT_WIDTH), PRINT_WIDTH
    top = page.heading(title)
    # Beside the line down there must be room for what was left out.
    middle, wide = (0.27 if left_out else 0.5) * width, 0.4 * width
    start = _box(page, middle, top, wide, [counted(given, "case") + " in the case table"])
    end = start + 0.25
    if left_out:
        beside = 0.54 * width
        below = _exclusion_box(page, beside, start + 0.12, width - MARGIN - beside, excluded)
        branch, end = (start + 0.12 + below) / 2, below + 0.12
        _arrow(page, [middle, beside], [branch, branch], ">")
    _arrow(page, [middle, middle], [start, end], "v")
    if len(splits) == 1:
        ((name, (n, events)),) = splits.items()
        bottom = _box(page, middle, end, wide, [name, counted(n, "case"), _with_event(events, n, event)])
    else:
        positive = sum(events for _, events in splits.values())
        start = _box(page, middle, end, wide, [counted(used, "case") + " analyzed", _with_event(positive, used, event)])
        bottom = _split_boxes(page, middle, start, splits, event)
    return page.close(bottom + 0.1, notice)


def _box(page: Page, middle: float, top: float, width: float, lines: Sequence[str]) -> float:
    """Box with centered lines, the first one bold; returns where it ends."""
    from matplotlib.patches import Rectangle

    y = top + _BOX_PAD
    for index, line in enumerate(lines):
        weight = "bold" if index == 0 else "normal"
        for part in page.wrap(line, width - 2 * _BOX_PAD, LABEL_SIZE, weight):
            page.text(middle, y + line_height(LABEL_SIZE) / 2, part, LABEL_SIZE, ha="center", weight=weight)
            y += line_height(LABEL_SIZE)
    y += _BOX_PAD
    page.axes.add_patch(Rectangle((middle - width / 2, top), width, y - top, fill=False, edgecolor=INK, linewidth=0.8))
    return y


def _exclusion_box(page: Page, left: float, top: float, width: float, excluded: Mapping[str, int]) -> float:
    """Box with the reasons, the most frequent first; returns where it ends."""
    from matplotlib.patches import Rectangle

    reasons = sorted(((count, reason) for reason, count in excluded.items() if count), key=lambda pair: -pair[0])
    kept, rest = reasons[:_MOST_REASONS], reasons[_MOST_REASONS:]
    if rest:
        kept.append((sum(count for count, _ in rest), counted(len(rest), "other reason")))
    y = top + _BOX_PAD
    total = counted(sum(excluded.values()), "case") + " excluded"
    y += page.paragraph(left + _BOX_PAD, y, total, width - 2 * _BOX_PAD, LABEL_SIZE, weight="bold")
    indent = _BOX_PAD + max(page.text_width(str(count), TICK_SIZE) for count, _ in kept)
    for count, reason in kept:
        page.text(left + indent, y + line_height(TICK_SIZE) / 2, str(count), TICK_SIZE, ha="right")
        y += page.paragraph(left + indent + 0.08, y, reason, width - indent - 0.08 - _BOX_PAD, TICK_SIZE)
    y += _BOX_PAD
    page.axes.add_patch(Rectangle((left, top), width, y - top, fill=False, edgecolor=INK, linewidth=0.8))
    return y


def _split_boxes(page: Page, middle: float, start: float, splits: Mapping[str, tuple[int, int]], event: str) -> float:
    """Boxes of the splits side by side, and the lines that lead there; returns where they end."""
    gap = 0.2
    wide = (page.width - 2 * MARGIN + gap) / len(splits) - gap
    centers = [MARGIN + wide / 2 + index * (wide + gap) for index in range(len(splits))]
    branch, top = start + 0.15, start + 0.32
    page.line([middle, middle], [start, branch])
    page.line([min(middle, *centers), max(middle, *centers)], [branch, branch])
    ends = []
    for center, (name, (n, events)) in zip(centers, splits.items()):
        _arrow(page, [center, center], [branch, top], "v")
        ends.append(_box(page, center, top, wide, [name, counted(n, "case"), _with_event(events, n, event)]))
    return max(ends)


def _with_event(events: int, n: int, event: str) -> str:
    return f"{events} {event}" + (f" ({percent(events / n)})" if n else "")


def _arrow(page: Page, xs: Sequence[float], ys: Sequence[float], head: str) -> None:
    """Line whose end is an arrowhead, its tip at the end."""
    page.line(xs, ys)
    back = 0.035
    x, y = (xs[-1] - back, ys[-1]) if head == ">" else (xs[-1], ys[-1] - back)
    page.line([x], [y], marker=head, markersize=5, markeredgewidth=0)
