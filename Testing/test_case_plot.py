"""The picture of a case: lesion and rings where they are."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgba
from pictures import assert_legible

from HER2NomogramLib.case_plot import case_figure
from HER2NomogramLib.mammogram import Mammogram
from HER2NomogramLib.regions import make_regions


def test_case_figure_outlines_the_lesion_and_every_ring():
    rows, columns = np.mgrid[:200, :200]
    lesion = (rows - 90) ** 2 + (columns - 100) ** 2 < 15**2
    mammogram = Mammogram.from_array((rows + columns + 500 * lesion).astype(np.uint16), (0.3, 0.3), "test")
    regions = make_regions(lesion, mammogram.spacing_mm, (2, 4, 6, 8, 10))
    figure = case_figure(mammogram, regions, "A case", notice="Research use only")
    page, whole, detail = figure.axes
    legend = [text.get_text() for text in page.texts][1:-1]
    assert legend == ["lesion", *(f"{margin} mm ring (100% in breast)" for margin in (2, 4, 6, 8, 10))]
    widths = [np.ptp(path.get_extents().get_points()[:, 0]) for c in detail.collections for path in c.get_paths()]
    assert len(widths) == 6
    # Outer edges only.
    assert all(len(path.to_polygons()) == 1 for c in detail.collections for path in c.get_paths())
    # Diameters grow by twice the margin from that of the lesion, 29 pixels of 0.3 mm.
    np.testing.assert_allclose(np.diff(widths), 4.0, atol=0.7)
    left, right = detail.get_xlim()
    assert left < 30 - 4.5 - 10 and right > 30 + 4.5 + 10 and len(whole.patches) == 1
    assert [page.texts[0].get_text(), page.texts[-1].get_text()] == ["A case", "Research use only"]
    # Each ring has the color of its entry in the legend.
    outlines = [tuple(collection.get_edgecolor()[0]) for collection in detail.collections]
    assert outlines == [to_rgba(line.get_color()) for line in page.lines]
    assert_legible(figure)
