"""The picture of one case: the image, and the lesion with its rings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .drawing import MARGIN, PRINT_WIDTH, Page, line_style, plain_settings, set_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .mammogram import Mammogram
    from .regions import Region

# Of the lesion and its rings, to be seen on gray.
_OUTLINES = ("#E69F00", "#56B4E9", "#CC79A7", "#009E73", "#D55E00")


@plain_settings
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
    page = Page(PRINT_WIDTH)
    top, tall = page.heading(title), 3.4
    whole = page.panel(0.5, top, 2.2, tall)
    detail = page.panel(3.2, top, page.width - 3.2 - MARGIN, tall)
    outlined = [region for region in regions.values() if not region.name.startswith("combined")]
    box = _bounds_mm(outlined, mammogram.spacing_mm, around_mm=3.0)
    for axes in (whole, detail):
        _image(axes, mammogram)
    _rectangle(whole, box)
    colors = [_OUTLINES[index % len(_OUTLINES)] for index in range(len(outlined))]
    rows, columns = mammogram.pixels.shape
    centers = (np.arange(columns) + 0.5) * mammogram.spacing_mm[0], (np.arange(rows) + 0.5) * mammogram.spacing_mm[1]
    for region, color in zip(outlined, colors):
        # The ring's outer edge alone: its inner edge is the lesion's own outline.
        filled = region.mask | regions["intratumoral"].mask
        detail.contour(*centers, filled, levels=[0.5], colors=[color], linewidths=1.2)
    detail.set_xlim(box[0], box[1])
    detail.set_ylim(box[3], box[2])
    # Below the picture, because over it the legend hides a piece of the outer ring.
    entries = [(_region_text(region), [line_style(color)]) for region, color in zip(outlined, colors)]
    return page.close(page.legend(entries, 0.5, top + tall + 0.5, page.width - MARGIN) + 0.03, notice)


def _image(axes: Axes, mammogram: Mammogram) -> None:
    """The mammogram on a scale in mm."""
    rows, columns = mammogram.pixels.shape
    x_mm, y_mm = mammogram.spacing_mm
    low, high = np.percentile(mammogram.pixels[mammogram.breast], (0.5, 99.8))
    extent = (0, columns * x_mm, rows * y_mm, 0)
    axes.imshow(mammogram.pixels, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="nearest")
    axes.spines[["top", "right"]].set_visible(True)
    axes.set_anchor("N")
    set_labels(axes, "mm")


def _rectangle(axes: Axes, box: Sequence[float]) -> None:
    """Where the detail is."""
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((box[0], box[2]), box[1] - box[0], box[3] - box[2], fill=False, color=_OUTLINES[0]))


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
