"""Pictures for tests: one of every sort, and what the tests look at in them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from models import make_logistic

from HER2NomogramLib.calibration import calibrate
from HER2NomogramLib.calibration_plot import calibration_figure
from HER2NomogramLib.case_plot import case_figure
from HER2NomogramLib.curves import decision_figure, nested_figure, roc_figure
from HER2NomogramLib.decision import decision_curve
from HER2NomogramLib.feature_plots import cv_figure, selection_figure, signature_figure
from HER2NomogramLib.flow_plot import flow_figure
from HER2NomogramLib.forest_plot import REFERENCE, ForestRow, forest_figure
from HER2NomogramLib.mammogram import Mammogram
from HER2NomogramLib.metrics import Estimate
from HER2NomogramLib.modelfile import Predictor, Signature
from HER2NomogramLib.nomogram_plot import nomogram_figure
from HER2NomogramLib.odds_ratios import OddsRatio
from HER2NomogramLib.regions import make_regions
from HER2NomogramLib.resampling import NestedValidation

NOTICE = "DEMONSTRATION MODEL, trained on synthetic images. Research use only, not for clinical decisions."
MODELS = ("nomogram", "radiomics", "clinical")
DIAMETER = Predictor("tumor_diameter_mm", "clinical", "Tumor diameter", "mm", 6.23, 61.7)
DENSITY = Predictor("breast_density", "clinical", "Breast density", "", 0, 3, levels=("A", "B", "C", "D"))


def cohort(n: int, positive: int, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Outcomes, and probabilities of three models of which none is good."""
    random = np.random.default_rng(seed)
    y = np.repeat([1, 0], [positive, n - positive])
    effects = dict(zip(MODELS, (1.2, 1.0, 0.3)))
    return y, {name: 1 / (1 + np.exp(1 - random.normal(effect * y, 1.0))) for name, effect in effects.items()}


def calibrated(y: np.ndarray, probabilities: dict[str, np.ndarray]) -> dict[str, tuple]:
    """One panel of a calibration figure."""
    return {name: (calibrate(y, p), y, p) for name, p in probabilities.items()}


def make_signature(*features: tuple[str, float]) -> Signature:
    """A signature with these names and coefficients."""
    columns = tuple(f"image__peritumoral_5mm__{name}" for name, _ in features)
    ones = (1.0,) * len(features)
    return Signature("image", "peritumoral_5mm", columns, ones, ones, tuple(value for _, value in features), -0.61)


def make_nested(areas: dict[str, list[float]]) -> NestedValidation:
    """Nested cross-validation with these AUCs of the repeats."""
    repeats = {name: np.array(values, dtype=float) for name, values in areas.items()}
    auc = {name: Estimate(values.mean(), values.mean() - 0.1, values.mean() + 0.1) for name, values in repeats.items()}
    return NestedValidation(len(next(iter(repeats.values()))), 5, auc, auc, auc, repeats, np.zeros(2), {})


def _nomogram(title: str):
    model = make_logistic([DIAMETER], [0.05], -2.0)
    coefficients = (0.05, 0.2, 0.3, 0.9)
    with_levels = type(model)((DIAMETER, DENSITY), -2.0, coefficients, tuple(np.eye(5) * 0.04), 0.4)
    return nomogram_figure(with_levels, title=title, notice=NOTICE)


def _case(title: str):
    rows, columns = np.mgrid[:80, :80]
    lesion = (rows - 40) ** 2 + (columns - 40) ** 2 < 8**2
    mammogram = Mammogram.from_array((rows + columns + 500 * lesion).astype(np.uint16), (0.3, 0.3), "test")
    return case_figure(mammogram, make_regions(lesion, mammogram.spacing_mm, (2,)), title, notice=NOTICE)


def _calibration(title: str):
    sizes = {"Training": (84, 33), "Internal test": (22, 8), "Prospective test": (25, 9)}
    panels = {split: calibrated(*cohort(n, positive, seed=n)) for split, (n, positive) in sizes.items()}
    return calibration_figure(panels, title, notice=NOTICE)


def _penalty(title: str):
    penalties = 0.25 * np.logspace(0, -1.3, 30)
    deviance = 1.2 + 0.06 * np.log(penalties / 0.06) ** 2
    numbers = np.arange(30) // 2
    return cv_figure(penalties, deviance, 0.05 + 0 * deviance, penalties[9], title, n_features=numbers, notice=NOTICE)


def _repeats(title: str):
    areas = np.linspace(0.6, 0.7, 10)
    return nested_figure(make_nested({name: areas - 0.03 * i for i, name in enumerate(MODELS)}), title, notice=NOTICE)


def _forest(title: str):
    odds = OddsRatio(1.95, 0.92, 4.14, 0.08), OddsRatio(5.89, 2.42, math.inf, 0.001)
    rows = [ForestRow("HER2 status", "group"), ForestRow("negative", "level", "21/130", (REFERENCE, REFERENCE))]
    rows.append(ForestRow("positive", "level", "15/55", odds))
    return forest_figure(rows, ("Univariate", "Adjusted"), title, note_head="With outcome/n", notice=NOTICE)


FEATURES = [("original_firstorder_Entropy", 0.41), ("wavelet-LH_glszm_SmallAreaLowGrayLevelEmphasis", -0.3)]
# A figure of every sort with a title.
EXAMPLES: dict[str, Callable] = {
    "nomogram": _nomogram,
    "case": _case,
    "roc": lambda title: roc_figure([("Nomogram", [0, 0.2, 1], [0, 0.7, 1], 0.75, (0.6, 0.9))], title, notice=NOTICE),
    "nested": _repeats,
    "decision": lambda title: decision_figure(decision_curve(*cohort(22, 8)), title, notice=NOTICE),
    "calibration": _calibration,
    "penalty": _penalty,
    "signature": lambda title: signature_figure(make_signature(*FEATURES), title, notice=NOTICE),
    "selection": lambda title: selection_figure([(name, abs(v)) for name, v in FEATURES], {}, title, notice=NOTICE),
    "forest": _forest,
    "flow": lambda title: flow_figure(25, {"no features": 3}, {"Internal test": (22, 8)}, title, notice=NOTICE),
}


def artist(figure, gid: str):
    """The one artist of a figure that carries this gid."""
    found = figure.findobj(lambda candidate: candidate.get_gid() == gid)
    assert len(found) == 1, f"{len(found)} artists are called {gid}"
    return found[0]


def gids(figure) -> set[str]:
    """Names of all artists that have one."""
    return {found.get_gid() for found in figure.findobj() if found.get_gid()}


def shown_texts(figure) -> list:
    """Text artists that are drawn, tick labels and names of axes included."""
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    figure.draw_without_rendering()
    beyond = set()
    for axis in figure.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        outside = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
        beyond.update(label for tick in outside for label in (tick.label1, tick.label2))
        if not axis.axes.axison:
            beyond.update(axis.findobj(Text))
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [text for text in texts if text not in beyond]


def written(figure) -> list[str]:
    """What is written in a figure."""
    return [text.get_text() for text in shown_texts(figure)]


def assert_legible(figure) -> None:
    """Every text is on the page, and none is on another one."""
    texts = shown_texts(figure)
    renderer = figure.canvas.get_renderer()
    boxes = []
    for text in texts:
        text.set_bbox(None)
        boxes.append((text.get_text(), text.get_window_extent(renderer)))
    for text, box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0, text
        assert box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height, text
    for (first, a), (second, b) in itertools.combinations(boxes, 2):
        # The box of a line of type is as high as its tallest letters may be: a pixel in common is not a collision.
        apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 + 1 or b.y1 <= a.y0 + 1
        assert apart, f"'{first}' and '{second}' overlap"
