"""What all pictures share: the page measured in inches, palette, type sizes, axes, legends, and saving.

Figures are made with matplotlib's object interface only. pyplot, the backend and the global settings belong to the
user's session, in Slicer's Python console above all, and stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from .errors import InputError
from .files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

PRINT_WIDTH = 7.0

# Okabe and Ito's palette, in an order in which neighbors also differ in lightness.
BLUE, INK, FAINT, RULE = "#0072B2", "#222222", "#666666", "#999999"
CURVES = (
    (BLUE, "-"),
    ("#D55E00", "--"),
    ("#009E73", "-."),
    ("#CC79A7", ":"),
    ("#56B4E9", (0, (5, 1, 1, 1, 1, 1))),
    ("#E69F00", (0, (8, 2))),
)
POSITIVE, NEGATIVE = "#D55E00", "#56B4E9"
MODEL_LABELS = {"nomogram": "Nomogram", "radiomics": "Radiomics model", "clinical": "Clinical model"}

# Font sizes in points; every length is in inches, as is the page.
TITLE_SIZE, LABEL_SIZE, VALUE_SIZE, TICK_SIZE, NOTICE_SIZE = 10.0, 8.0, 7.5, 7.0, 6.5
MARGIN = 0.12
_SAMPLE, _AFTER_SAMPLE, _BETWEEN_ENTRIES = 0.34, 0.08, 0.2
_FAMILY = "sans-serif"

P, T = ParamSpec("P"), TypeVar("T")


def plain_settings(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator: matplotlib's own default settings inside a function, those of the session afterwards."""

    @wraps(function)
    def with_defaults(*args: P.args, **kwargs: P.kwargs) -> T:
        from matplotlib import style

        with style.context("default"):
            return function(*args, **kwargs)

    return with_defaults


@plain_settings
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
    # The SVG writer takes its two from the global settings only; the context puts them back.
    settings = {"svg.fonttype": "none", "svg.hashsalt": "HER2Nomogram"}
    with atomic_path(path) as temporary, matplotlib.rc_context(settings):
        if suffix == ".png":
            figure.savefig(temporary, format="png", dpi=dpi, metadata={"Software": "HER2Nomogram"})
        else:
            figure.savefig(temporary, format="svg", metadata={"Creator": "HER2Nomogram", "Date": None})
    return path


class Page:
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
        self._panels: list[tuple[Axes, tuple[float, float, float, float]]] = []

    def heading(self, text: str) -> float:
        """Bold lines at the top; returns where what follows may begin."""
        if not text:
            return MARGIN
        return MARGIN + 0.08 + self.paragraph(MARGIN, MARGIN, text, self.width - 2 * MARGIN, TITLE_SIZE, weight="bold")

    def close(self, bottom: float, notice: str = "") -> Figure:
        """Write the notice below what is drawn, fix the height, and return the figure."""
        if notice:
            bottom += self.paragraph(MARGIN, bottom, notice, self.width - 2 * MARGIN, NOTICE_SIZE, color=FAINT)
        height = bottom + 0.08
        self.figure.set_size_inches(self.width, height)
        self.axes.set_ylim(height, 0)
        for axes, (left, top, width, tall) in self._panels:
            axes.set_position((left / self.width, 1 - (top + tall) / height, width / self.width, tall / height))
        return self.figure

    def panel(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes in a rectangle of the page."""
        axes = self.figure.add_axes((0, 0, 1, 1))
        self._panels.append((axes, (left, top, width, height)))
        axes.patch.set_visible(False)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.tick_params(labelsize=TICK_SIZE, color=INK, labelcolor=INK, length=3, width=0.7)
        return axes

    def text_width(self, text: str, size: float, weight: str = "normal") -> float:
        """Inches that one line of text takes."""
        from matplotlib.font_manager import FontProperties

        font = FontProperties(family=_FAMILY, size=size, weight=weight)
        return self._renderer.get_text_width_height_descent(text, font, ismath=False)[0] / self.figure.dpi

    def text(self, x: float, y: float, text: str, size: float, pad: float = 0.8, **kwargs) -> Text:
        """One line of text; what lies under it is covered, so that a ruler line never runs through a number."""
        style = {"color": INK, "ha": "left", "va": "center", "zorder": 6, "family": _FAMILY, **kwargs}
        box = {"facecolor": "white", "edgecolor": "none", "pad": pad}
        # A user's label may contain a dollar sign: it is not mathematics.
        return self.axes.text(x, y, text, fontsize=size, bbox=box, parse_math=False, usetex=False, **style)

    def line(self, xs: Sequence[float], ys: Sequence[float], **kwargs) -> None:
        """Polyline; keyword arguments as for matplotlib's Line2D."""
        style = {"color": INK, "linewidth": 0.8, "solid_capstyle": "butt", "zorder": 3, **kwargs}
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

    def paragraph(self, x: float, top: float, text: str, width: float, size: float, most: int = 8, **kwargs) -> float:
        """Write text below ``top`` in lines of a width, and return the height that it takes."""
        spacing = line_height(size)
        lines = self.wrap(text, width, size, kwargs.get("weight", "normal"), most)
        for number, line in enumerate(lines):
            self.text(x, top + (number + 0.5) * spacing, line, size, **kwargs)
        return spacing * len(lines)

    def sample(self, left: float, y: float, styles: Sequence[Mapping]) -> None:
        """What stands for a series in a legend: lines, and markers in the middle."""
        for style in styles:
            marked = "marker" in style
            self.line([left + _SAMPLE / 2] if marked else [left, left + _SAMPLE], [y] if marked else [y, y], **style)

    def legend(self, entries: Sequence[tuple[str, Sequence[Mapping]]], left: float, top: float, right: float) -> float:
        """Samples and what they stand for, side by side where there is room; returns where they end.

        Parameters
        ----------
        entries : sequence of (text, styles)
            Styles as for :meth:`sample`.
        left, top, right : float
        """
        indent, spacing = _SAMPLE + _AFTER_SAMPLE, line_height(TICK_SIZE)
        x, below = left, top
        for text, styles in entries:
            wide = indent + self.text_width(text, TICK_SIZE)
            if x > left and x + wide > right:
                x, top = left, below
            self.sample(x, top + spacing / 2, styles)
            used = self.paragraph(x + indent, top, text, right - x - indent, TICK_SIZE)
            below = max(below, top + used + 0.04)
            x += wide + _BETWEEN_ENTRIES
        return below


def set_ticks(axes: Axes, which: str, values: Sequence[float], texts: Sequence[str] | None = None) -> None:
    """Ticks of the ``x`` or ``y`` axis with their numbers, or with other texts."""
    texts = [number_text(value) for value in values] if texts is None else texts
    style = {"fontsize": TICK_SIZE, "family": _FAMILY, "color": INK, "parse_math": False}
    (axes.set_xticks if which == "x" else axes.set_yticks)(values, texts, **style)


def set_labels(axes: Axes, x: str = "", y: str = "") -> None:
    """Names of the axes."""
    style = {"fontsize": LABEL_SIZE, "family": _FAMILY, "color": INK, "parse_math": False}
    axes.set_xlabel(x, **style)
    axes.set_ylabel(y, **style)


def line_style(color: str, dashes: object = "-", width: float = 1.6) -> dict:
    """Keyword arguments of a line."""
    return {"color": color, "linestyle": dashes, "linewidth": width}


def marker_style(shape: str, size: float, color: str, fill: str | None = None) -> dict:
    """Keyword arguments of markers without a line."""
    fill = color if fill is None else fill
    return {"linestyle": "none", "marker": shape, "markersize": size, "color": color, "markerfacecolor": fill}


def curve_styles(count: int) -> list[tuple]:
    """Color and dashes of so many curves."""
    return [CURVES[index % len(CURVES)] for index in range(count)]


def model_styles(names: Sequence[str]) -> dict[str, tuple]:
    """Color and dashes of models by name: each has its own in all figures, whichever others are there."""
    known = dict(zip(MODEL_LABELS, CURVES))
    others = iter(curve_styles(len(MODEL_LABELS) + len(names))[len(MODEL_LABELS) :])
    return {name: known[name] if name in known else next(others) for name in names}


def model_label(name: str) -> str:
    """Name of a model for display."""
    return MODEL_LABELS.get(name, name)


def line_height(size: float) -> float:
    """Inches from one line of type to the next."""
    return 1.25 * size / 72


def number_text(value: float, decimals: int = 6) -> str:
    """Number without trailing zeros and with a real minus sign."""
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text.replace("-", "−")
