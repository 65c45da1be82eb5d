"""The headline and the summary of a report: the figures that can be trusted first, the flattering ones last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .cases import SPLITS
from .drawing import MODEL_LABELS
from .metrics import Estimate, roc_auc
from .modelfile import LOGISTIC_MODELS, RAD_SCORE
from .pipeline import CROSS_FITTED, METHODS, PUBLISHED
from .report_facts import comparison_sentences, selected_features, slope_sentence, top_features
from .report_numbers import counted, interval, number, percent
from .report_performance import as_estimate
from .report_tables import SPLIT_LABELS, Row, Table, raw, within

NESTED, BOOTSTRAP, KEPT_APART, TRAINING = "nested", "bootstrap", "kept apart", "training"
COMPARED = "Compared with the clinical model"


@dataclass(frozen=True)
class Measured:
    """How well the models do, measured in one way.

    Attributes
    ----------
    how : {"nested", "bootstrap", "kept apart", "training"}
    label, meaning : str
    n, events : int
    auc : dict of str to Estimate or None
        By model.
    slope : Estimate or None
        Calibration slope of the nomogram.
    """

    how: str
    label: str
    meaning: str
    n: int
    events: int
    auc: Mapping[str, Estimate | None]
    slope: Estimate | None = None


def nested_of(result: Any) -> Any:
    """Nested cross-validation by the method of the model, None where there is none."""
    return result.internal.nested.get(result.options.method) if result.internal else None


def bootstrap_of(result: Any) -> Any:
    """Bootstrap by the method of the model, None where there is none."""
    return result.internal.bootstrap.get(result.options.method) if result.internal else None


# Measured by simulation, see Docs/validation.md.
_FOLD_SLOPES = " It is that of models made from four fifths of the cases, and rather low for the final one."


def measured_development(result: Any, splits: Sequence[tuple[str, Any]]) -> list[Measured]:
    """Ways in which the models of a development were measured, the most trustworthy first and the apparent one last.

    Parameters
    ----------
    result : TrainingResult
    splits : sequence of (label, SplitPerformance)
    """
    train = result.performance["train"]
    size = train.n, train.events
    lines = []
    nested, bootstrap = nested_of(result), bootstrap_of(result)
    if nested is not None:
        meaning = "cases that no step of the development had seen"
        lines.append(Measured(NESTED, "Nested cross-validation", meaning, *size, nested.auc, nested.slope["nomogram"]))
    lines += [_kept_apart(label, split, "cases kept apart") for label, split in splits if split.split != "train"]
    if bootstrap is not None:
        areas = {name: as_estimate(figures["auc"].corrected) for name, figures in bootstrap.figures.items()}
        # A nomogram of cross-fitted Rad-scores expects less of the signatures than they show on their own cases.
        in_sample = result.options.method != CROSS_FITTED
        slope = as_estimate(bootstrap.figures["nomogram"]["slope"].corrected) if in_sample else None
        label, meaning = "Bootstrap, corrected for optimism", "still optimistic with many features"
        out_of_bag = bootstrap.figures["nomogram"]["auc"].out_of_bag
        if not math.isnan(out_of_bag):
            meaning += f"; on the patients out of bag the nomogram's AUC is {number(out_of_bag)}"
        lines.append(Measured(BOOTSTRAP, label, meaning, *size, areas, slope))
    if result.options.method == CROSS_FITTED:
        areas = {name: model.auc for name, model in train.models.items()}
        meaning = "still flattering: the logistic models were fitted to them"
        lines.append(Measured(TRAINING, "Training, cross-fitted Rad-scores", meaning, *size, areas))
    meaning = "the final models on their own cases: too good"
    lines.append(Measured(TRAINING, "Training, apparent", meaning, *size, _apparent(result)))
    return lines


def measured_evaluation(splits: Sequence[tuple[str, Any]]) -> list[Measured]:
    """The models of an evaluation on every split."""
    return [_kept_apart(label, split, "cases of this evaluation") for label, split in splits]


def headline_table(lines: Sequence[Measured]) -> Table:
    """AUC of the models and calibration slope of the nomogram."""
    rows, records = [], []
    for line in lines:
        texts = [interval(line.auc.get(name)) for name in LOGISTIC_MODELS]
        rows.append(Row((f"{line.label}\n{line.meaning}", f"{line.n}\n{line.events}", *texts, interval(line.slope))))
        record: dict[str, object] = {"measured": line.label, "n": line.n, "her2_positive": line.events}
        for name in LOGISTIC_MODELS:
            record |= raw(as_estimate(line.auc.get(name)), f"auc_{name}")
        records.append(record | raw(as_estimate(line.slope), "slope_nomogram"))
    heads = [f"AUC, {within(MODEL_LABELS[name])}" for name in LOGISTIC_MODELS]
    head = ("Measured on", "Cases\nHER2-positive", *heads, "Calibration slope, nomogram")
    title = "How well the models separate HER2-positive from negative cases"
    return Table("headline", title, head, tuple(rows), (), tuple(records))


def development_headline(lines: Sequence[Measured]) -> str:
    """The figure to remember, and beside it the one to distrust."""
    line = next(line for line in lines if line.how == TRAINING or _is_known(line.auc.get("nomogram")))
    text = interval(line.auc.get("nomogram"))
    start = {
        NESTED: f"In new patients like these the nomogram is estimated to reach an AUC of {text}, by nested "
        "cross-validation.",
        BOOTSTRAP: "How the nomogram does on new patients is not known. The bootstrap leaves an AUC of "
        f"{text}, which is still optimistic where there are more features than cases.",
        KEPT_APART: f"On cases kept apart the nomogram reaches an AUC of {_on_each(lines)}.",
        TRAINING: "How the nomogram does on new patients is not known: no cases were kept apart, and nothing was "
        "resampled.",
    }[line.how]
    apparent = number(as_estimate(lines[-1].auc["nomogram"]).value)
    return f"{start} On its own training cases the final model shows {apparent}, which says little about new ones."


def no_model_headline(lines: Sequence[Measured]) -> str:
    """What a development without a result says."""
    nested = next((line for line in lines if line.how == NESTED and _is_known(line.auc.get("nomogram"))), None)
    start = "No nomogram could be made: these data carry no signal that cross-validation can confirm."
    if nested is None:
        return start
    text = interval(nested.auc["nomogram"])
    return (
        f"{start} Developments like this one on part of the cases reach an AUC of {text} on the others, by nested "
        "cross-validation."
    )


def _on_each(lines: Sequence[Measured]) -> str:
    kept = [line for line in lines if line.how == KEPT_APART and _is_known(line.auc.get("nomogram"))]
    return " and ".join(f"{interval(line.auc['nomogram'])} in the {within(line.label)}" for line in kept)


def development_summary(
    result: Any, facts: Mapping[str, str], lines: Sequence[Measured], splits: Sequence[tuple[str, Any]]
) -> dict[str, str]:
    """Lines of the summary of a development by their headings."""
    held_out = [(label, split) for label, split in splits if split.split != "train"]
    nested, best = nested_of(result), top_features(result.model)
    compared = " ".join(comparison_sentences(result.model, held_out))
    if not compared and nested is not None:
        areas = [number(nested.auc[name].value) for name in ("nomogram", "clinical")]
        compared = f"Nested cross-validation: AUC {areas[0]} for the nomogram, {areas[1]} for the clinical model."
    compared = " ".join(filter(None, (compared, _against_radiomics(result.model, lines))))
    slopes = [
        f"{line.label}: {slope_sentence(line.slope)}{_FOLD_SLOPES if line.how == NESTED else ''}"
        for line in lines
        if slope_sentence(line.slope)
    ]
    above_all = f", above all {best}" if best else ""
    count = counted(selected_features(result.model), "selected feature")
    scores = any(predictor.source == RAD_SCORE for predictor in result.model.nomogram.predictors)
    rest = f"The Rad-scores rest on {count}{above_all}." if scores else "It has no Rad-score."
    return {
        "Cases": facts["flow"],
        "Model": result.no_model or f"{facts['predictors']} {rest}",
        COMPARED: compared or "Not compared on cases kept apart.",
        "Calibration": slopes[0] if slopes else "Not known on cases kept apart.",
        "Sample size": facts["sample_size"],
    }


def _against_radiomics(model: Any, lines: Sequence[Measured]) -> str:
    """What the clinical factors add to the radiomics model, on cases that it was not made from."""
    sources = {predictor.source == RAD_SCORE for predictor in model.nomogram.predictors}
    names = ("radiomics", "nomogram")
    line = next(
        (li for li in lines if li.how in (NESTED, KEPT_APART) and all(_is_known(li.auc.get(name)) for name in names)),
        None,
    )
    if line is None or len(sources) < 2:
        return ""
    alone, together = (round(line.auc[name].value, 2) for name in names)
    gain = round(together - alone, 2)
    verdict = "add nothing here" if gain <= 0 else "add little here" if gain < 0.02 else f"add {number(gain)} here"
    return (
        f"{line.label}: the radiomics model alone reaches an AUC of {number(alone)}, the nomogram {number(together)}: "
        f"the clinical factors {verdict}."
    )


def evaluation_headline(splits: Sequence[tuple[str, Any]]) -> str:
    """AUC of the nomogram on every split."""
    parts = []
    for label, split in splits:
        auc = split.models["nomogram"].auc
        parts.append(f"{label}: AUC {interval(auc)}." if auc is not None else f"{label}: one class only, no AUC.")
    return "The nomogram on these cases. " + " ".join(parts)


def evaluation_summary(validation: Any, facts: Mapping[str, str], splits: Sequence[tuple[str, Any]]) -> dict[str, str]:
    """Lines of the summary of an evaluation by their headings."""
    trained = (validation.model.training.get("cases") or {}).get("train") or {}
    positive = ""
    if trained.get("n"):
        here, there = validation.events / validation.n, trained["her2_positive"] / trained["n"]
        positive = f"{percent(here)} of these cases, {percent(there)} of the training cases."
    return {
        "Cases": facts["flow"],
        "Model": facts["predictors"],
        COMPARED: " ".join(comparison_sentences(validation.model, splits)) or "Not compared: cases of one class only.",
        "Calibration": " ".join(f"{label}: {_level(split)}" for label, split in splits),
        "HER2-positive": positive,
        "Sample size": facts["sample_size"],
    }


def method_lines(result: Any) -> list[tuple[str, dict[str, Estimate | None]]]:
    """Figures of the nomogram by the method of the Rad-scores."""
    nested = result.internal.nested if result.internal else {}
    bootstrap = result.internal.bootstrap if result.internal else {}
    tests = [split for split in SPLITS[1:] if split in result.performance]
    corrected = {method: as_estimate(b.figures["nomogram"]["auc"].corrected) for method, b in bootstrap.items()}
    return [
        ("AUC, nested cross-validation", {method: n.auc["nomogram"] for method, n in nested.items()}),
        ("AUC, bootstrap, corrected", corrected),
        *((f"AUC, {within(SPLIT_LABELS[split])}", _auc_by_method(result, split)) for split in tests),
        ("AUC, training cases with the Rad-scores of the method", _auc_by_method(result, "train")),
        ("Calibration slope, nested cross-validation", {method: n.slope["nomogram"] for method, n in nested.items()}),
        *((f"Calibration slope, {within(SPLIT_LABELS[split])}", _slope_by_method(result, split)) for split in tests),
    ]


def method_sentence(result: Any) -> str:
    """What the two methods of the Rad-scores promise, and what they hold."""
    promised = {method: number(as_estimate(found).value) for method, found in _auc_by_method(result, "train").items()}
    text = (
        f"With in-sample Rad-scores the nomogram's AUC on the training cases reads {promised[PUBLISHED]}, with "
        f"cross-fitted ones {promised[CROSS_FITTED]}"
    )
    nested = result.internal.nested if result.internal else {}
    if len(nested) < len(METHODS):
        return f"{text}."
    held = {method: number(n.auc["nomogram"].value) for method, n in nested.items()}
    return (
        f"{text}; on the held-out cases of nested cross-validation the two nomograms reach {held[PUBLISHED]} and "
        f"{held[CROSS_FITTED]}. What a training figure promises beyond that is optimism."
    )


def _auc_by_method(result: Any, split: str) -> dict[str, Estimate | None]:
    return {method: splits[split].models["nomogram"].auc for method, splits in result.by_method.items()}


def _slope_by_method(result: Any, split: str) -> dict[str, Estimate | None]:
    return {method: _slope(splits[split]) for method, splits in result.by_method.items()}


def _kept_apart(label: str, split: Any, meaning: str) -> Measured:
    areas = {name: model.auc for name, model in split.models.items()}
    return Measured(KEPT_APART, label, meaning, split.n, split.events, areas, _slope(split))


def _apparent(result: Any) -> dict[str, Estimate]:
    """AUC of the final models on the cases that they were developed with, as if these were new."""
    rows = result.dataset.rows("train")
    log_odds = result.pipeline.log_odds(result.dataset.x[rows], result.options.method)
    return {name: roc_auc(result.dataset.y[rows], values) for name, values in log_odds.items()}


def _level(split: Any) -> str:
    """Calibration of the nomogram in words."""
    calibration = split.models["nomogram"].calibration
    if calibration is None or not _is_known(calibration.intercept):
        return "not known."
    intercept = calibration.intercept
    text = "the probabilities agree with the outcomes on average as far as these cases can tell"
    if intercept.low > 0:
        text = "the probabilities are too low on average"
    elif intercept.high < 0:
        text = "the probabilities are too high on average"
    sentence = slope_sentence(calibration.slope)
    return f"{text} (calibration intercept {interval(intercept)}). {sentence[:1].upper()}{sentence[1:]}".strip()


def _slope(split: Any) -> Estimate | None:
    calibration = split.models["nomogram"].calibration
    return calibration.slope if calibration is not None else None


def _is_known(estimate: Estimate | None) -> bool:
    return estimate is not None and not math.isnan(estimate.value)
