"""Figures of the report: drawn by the plotting functions, kept as SVG files, and fitted into one HTML page."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .calibration_plot import calibration_figure
from .curves import decision_figure, nested_figure, roc_figure
from .drawing import MODEL_LABELS, save_figure
from .errors import InputError
from .feature_plots import cv_figure, selection_figure, signature_figure
from .flow_plot import flow_figure
from .metrics import roc_points
from .modelfile import Model
from .nomogram_plot import nomogram_figure
from .regions import region_label
from .report_tables import within

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Two or three figures side by side.
_PAIR_WIDTH, _THIRD_WIDTH = 3.4, 2.3


@dataclass(frozen=True)
class Picture:
    """One figure.

    Attributes
    ----------
    name : str
        Stem of the SVG file.
    caption : str
    svg : str
        Content of the file.
    inline : str
        The same as an element of an HTML page, with identifiers that no other figure has.
    width_mm : float
    """

    name: str
    caption: str
    svg: str
    inline: str
    width_mm: float


def picture(name: str, figure: Figure, caption: str) -> Picture:
    """A figure as SVG, ready for the page."""
    with tempfile.TemporaryDirectory() as folder:
        svg = save_figure(figure, Path(folder) / "figure.svg").read_text(encoding="utf-8")
    return Picture(name, caption, svg, inline_svg(svg, name, caption), float(figure.get_figwidth()) * 25.4)


def inline_svg(svg: str, name: str, description: str) -> str:
    """An SVG file as an element of an HTML page.

    Identifiers get the name in front, because those of several figures would clash, and what speaks for the whole page
    (style rules, metadata, names of XML schemes) is left out.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    head, _, rest = body.partition(">")
    view_box = re.search(r'viewBox="([^"]+)"', head)
    seen: Counter = Counter()

    def unique(found: re.Match) -> str:
        # Panels of one figure name their parts alike; what is referred to has a name of its own.
        seen[found.group(1)] += 1
        again = f"-{seen[found.group(1)]}" if seen[found.group(1)] > 1 else ""
        return f' id="{name}-{found.group(1)}{again}"'

    rest = re.sub(r'\sid="([^"]*)"', unique, rest)
    rest = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\1{name}-", rest)
    rest = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", rest)
    # The first sentence, because a screen reader says it before the caption itself.
    label = escape(description.split(". ")[0].rstrip("."), quote=True)
    return f'<svg viewBox="{view_box.group(1) if view_box else ""}" role="img" aria-label="{label}">{rest.strip()}'


def flow_picture(
    given: int, excluded: Mapping[str, int], splits: Mapping[str, tuple[int, int]], notice: str, event: str = ""
) -> Picture:
    """Flow of cases; ``event`` is what those with the outcome are called where that is not HER2-positive."""
    figure = flow_figure(given, excluded, splits, notice=notice, **({"event": event} if event else {}))
    last = "what each split has" if len(splits) > 1 or not event else "what was analyzed"
    return picture("flow", figure, f"Flow of cases: what came in, what was left out and why, and {last}.")


def signature_picture(region: str, stem: str, model: Model) -> Picture:
    """Coefficients of one signature."""
    figure = signature_figure(model.signatures[region], notice=model.notice)
    caption = (
        f"Signature of the {region_label(region)} region. Each line is a selected feature; to the right: larger values "
        "raise the Rad-score and speak for HER2-positive."
    )
    return picture(f"signature_{stem}", figure, caption)


def penalty_picture(region: str, stem: str, fitted: Any, notice: str) -> Picture:
    """Cross-validation of the LASSO's penalty for one region, from its fitted estimator."""
    curve = fitted.penalties_, fitted.cv_deviance_, fitted.cv_deviance_se_
    title = region_label(region).capitalize()
    sizes = fitted.path_sizes_
    figure = cv_figure(*curve, fitted.penalty_, title, n_features=sizes, width=_PAIR_WIDTH, notice=notice)
    caption = (
        f"Choice of the LASSO's penalty, {region_label(region)} region. The lower the deviance in cases held out, the "
        "better; a flat curve means that the data hardly tell how many features to keep."
    )
    return picture(f"penalty_{stem}", figure, caption)


def nomogram_picture(model: Model) -> Picture | None:
    """The nomogram, None where no predictor has an effect."""
    try:
        figure = nomogram_figure(model.nomogram, notice=model.notice)
    except InputError:
        return None
    caption = (
        "Nomogram. For each predictor read its points straight up with a ruler, add them, and read the probability of "
        "HER2-positive straight down from the total. Axes span the training range: beyond it there is no experience."
    )
    return picture("nomogram", figure, caption)


def repeats_picture(nested: Any, notice: str) -> Picture:
    """AUC of every repeat of the nested cross-validation."""
    caption = (
        "Nested cross-validation, one circle per repeat with other folds. Circles that lie far apart: the result "
        "depends on which cases happen to be held out."
    )
    return picture("nested_repeats", nested_figure(nested, notice=notice), caption)


def stability_picture(region: str, stem: str, frequencies: Sequence[tuple[str, float]], model: Model) -> Picture:
    """How often resamples select the features of a region."""
    signature = model.signatures.get(region)
    figure = selection_figure(frequencies, set(signature.features) if signature else set(), notice=model.notice)
    caption = (
        f"Features of the {region_label(region)} region by how often resamples select them. A feature of the signature "
        "that most resamples leave out was selected by chance as much as for what it measures."
    )
    return picture(f"stability_{stem}", figure, caption)


def roc_picture(split: Any, label: str, notice: str, small: bool) -> Picture | None:
    """ROC curves of the models on one split, None where it has one class only."""
    curves = []
    for name, model in split.models.items():
        if model.auc is None:
            return None
        fpr, tpr, _ = roc_points(split.y, split.probabilities[name])
        curves.append((MODEL_LABELS[name], fpr, tpr, model.auc.value, (model.auc.low, model.auc.high)))
    # The caption has the whole label; a title of two lines would put the axes of a row at different heights.
    title = label.partition(" (")[0]
    figure = roc_figure(curves, title, width=_THIRD_WIDTH if small else _PAIR_WIDTH, notice=notice)
    caption = (
        f"ROC curves, {within(label)}. Each point is a cut-off: upward HER2-positive cases found, to the right false "
        f"alarms; the diagonal is chance."
    )
    return picture(f"roc_{split.split}", figure, caption)


def calibration_picture(
    panels: Mapping[str, Mapping[str, tuple[Any, Any, Any]]], notice: str, name: str = "calibration"
) -> Picture | None:
    """Calibration of the models, one panel per split."""
    if not panels:
        return None
    caption = (
        "Calibration: predicted probability against the observed share of HER2-positive cases. On the diagonal the "
        "probabilities mean what they say; a curve flatter than it: too extreme. Below, who has which prediction."
    )
    return picture(name, calibration_figure(panels, notice=notice), caption)


def decision_picture(split: Any, label: str, notice: str) -> Picture | None:
    """Decision curves of the models on one split."""
    if split.decision is None:
        return None
    figure = decision_figure(split.decision, label.partition(" (")[0], width=_PAIR_WIDTH, notice=notice)
    caption = (
        f"Decision curves, {within(label)}. Above: net benefit of referring the cases at or above the threshold to "
        "ISH. The curve on top is the best choice at that threshold. Below: ISH tests that it saves per 100 cases, net "
        "of HER2-positive cases missed."
    )
    return picture(f"decision_{split.split}", figure, caption)
