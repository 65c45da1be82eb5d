"""Tables of the report that say how good the models are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .decision import TEST_ALL
from .drawing import MODEL_LABELS
from .metrics import Estimate
from .report_numbers import DASH, counted, interval, number, p_value, percent, span, times
from .report_tables import Row, Table, factor_rows, plain, raw, within

_DECISION_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)
_FIGURES = {"auc": "AUC", "slope": "Calibration slope", "brier": "Brier score"}
_PERFECT = "An AUC of exactly 1 or 0 has the exact binomial interval, for as many pairs as the smaller class has cases."
# Label, meaning, and which counts are a share of which.
_RATES = {
    "sensitivity": ("Sensitivity", "HER2-positive cases called positive", ("tp",), ("tp", "fn")),
    "specificity": ("Specificity", "HER2-negative cases called negative", ("tn",), ("tn", "fp")),
    "accuracy": ("Accuracy", "cases called rightly", ("tp", "tn"), ("tp", "tn", "fp", "fn")),
    "ppv": ("Positive predictive value", "HER2-positive among those called positive", ("tp",), ("tp", "fp")),
    "npv": ("Negative predictive value", "HER2-negative among those called negative", ("tn",), ("tn", "fn")),
}


def performance_table(split: Any, label: str, explained: bool) -> Table:
    """All figures of the models on one split, a column per model; what they mean need not be said in every table."""
    names = list(split.models)
    columns = [_figures(split.models[name]) for name in names]
    stubs = [figure.stub if explained else figure.stub.partition("\n")[0] for figure in columns[0]]
    rows = [Row((stub, *(column[i].text for column in columns))) for i, stub in enumerate(stubs)]
    records = [
        {"model": name, "figure": key, **raw(as_estimate(value))}
        for name, column in zip(names, columns)
        for figure in column
        for key, value in figure.values.items()
    ]
    title = f"{label}: {counted(split.n, 'case')}, {split.events} HER2-positive"
    notes = (
        "Figures with their 95% interval; shares with the numbers of cases.",
        *((_PERFECT,) if any(m.auc is not None and m.auc.value in (0, 1) for m in split.models.values()) else ()),
        *_calibration_remarks(split),
        *split.remarks,
    )
    head = ("", *(MODEL_LABELS[name] for name in names))
    return Table(f"performance_{split.split}", title, head, tuple(rows), notes, tuple(records))


@dataclass(frozen=True)
class _Figure:
    """One figure of a model: stub of its row, text, and raw values by name."""

    stub: str
    text: str
    values: Mapping[str, Any]


def _figures(model: Any) -> list[_Figure]:
    """Every figure of one model, in the order of the table."""
    calls = model.classification
    counts = {name: getattr(calls, name) for name in ("tp", "fp", "fn", "tn")}
    return [
        _Figure(
            "AUC\nchance that a HER2-positive case scores higher than a negative one",
            interval(model.auc),
            {"auc": model.auc},
        ),
        _Figure(
            "Cut-off\nprobability from which a case is called positive",
            number(calls.cutoff),
            {"cutoff": calls.cutoff},
        ),
        *(_rate(calls, name, counts) for name in _RATES),
        _Figure(
            "True / false positives, false / true negatives",
            " / ".join(str(count) for count in counts.values()),
            counts,
        ),
        _Figure(
            "Brier score\nmean squared error of the probability; 0 is perfect",
            number(model.brier, 3),
            {"brier": model.brier},
        ),
        _Figure(
            "Scaled Brier score\n1 is perfect, 0 as good as the same share of HER2-positive for every case",
            number(model.scaled_brier),
            {"scaled_brier": model.scaled_brier},
        ),
        *_calibration_figures(model.calibration),
    ]


def _rate(calls: Any, name: str, counts: Mapping[str, int]) -> _Figure:
    label, meaning, hits, of = _RATES[name]
    found = getattr(calls, name)
    fraction = f"{sum(counts[c] for c in hits)}/{sum(counts[c] for c in of)}"
    return _Figure(f"{label}\n{meaning}", f"{interval(found)}, {fraction}", {name: found})


def _calibration_figures(calibration: Any) -> list[_Figure]:
    intercept, slope, ici = None, None, math.nan
    if calibration is not None:
        intercept, slope, ici = calibration.intercept, calibration.slope, calibration.ici
    return [
        _Figure(
            "Calibration intercept\n0 is perfect; below 0 probabilities are too high on average",
            interval(intercept),
            {"calibration_intercept": intercept},
        ),
        _Figure(
            "Calibration slope\n1 is perfect; below 1 probabilities are too extreme",
            interval(slope),
            {"calibration_slope": slope},
        ),
        _Figure(
            "Calibration index (ICI)\nmean distance of predicted and observed probability", number(ici, 3), {"ici": ici}
        ),
    ]


def _calibration_remarks(split: Any) -> list[str]:
    """Remarks of the calibrations, each once, with the models that it is of where it is not of all."""
    models_of: dict[str, list[str]] = {}
    for name, model in split.models.items():
        for remark in model.calibration.remarks if model.calibration else ():
            models_of.setdefault(remark, []).append(MODEL_LABELS[name])
    return [
        remark if len(names) == len(split.models) else f"{', '.join(names)}: {remark}"
        for remark, names in models_of.items()
    ]


def comparison_table(splits: Sequence[tuple[str, Any]]) -> Table | None:
    """Differences of AUCs between the models, over the splits."""
    rows, records = [], []
    for label, split in splits:
        if split.comparisons:
            rows.append(Row((label,), "group"))
        for (first, second), difference in split.comparisons.items():
            names = f"{MODEL_LABELS[first]} − {MODEL_LABELS[second].lower()}"
            rows.append(Row((names, interval(difference), p_value(difference.p))))
            records.append({"split": split.split, "first": first, "second": second, **raw(difference)})
    notes = (
        "Above 0 the first model separates better. The interval says which differences the data are compatible with: "
        "one that holds 0 does not show a difference, and does not show that there is none. DeLong's test, two-sided, "
        "not corrected for the number of comparisons; with both models fitted to these cases it is approximate.",
    )
    head = ("Models", "Difference of AUC (95% interval)", "p")
    return Table("auc_differences", "Models compared", head, tuple(rows), notes, tuple(records)) if rows else None


def decision_table(split: Any, label: str) -> Table | None:
    """What referring by the nomogram does at a few thresholds; the CSV file has the whole curves."""
    curve = split.decision
    if curve is None or "nomogram" not in split.probabilities:
        return None
    p, y = split.probabilities["nomogram"], split.y
    rows = []
    for threshold in _DECISION_THRESHOLDS:
        at = int(np.argmin(np.abs(curve.thresholds - threshold)))
        if not math.isclose(curve.thresholds[at], threshold, abs_tol=1e-9):
            continue
        worth = number((1 - threshold) / threshold, 1).removesuffix(".0")
        referred = p >= curve.thresholds[at]
        missed = int(((~referred) & (y == 1)).sum())
        cells = [
            f"{percent(threshold)}\nworth {worth} {'test' if worth == '1' else 'tests'}",
            f"{int(referred.sum())} of {split.n}\n{percent(float(referred.mean()))}",
            f"{missed} of {split.events}",
            number(curve.net_benefit["nomogram"][at], 3),
            number(curve.net_benefit[TEST_ALL][at], 3),
            number(curve.avoided_per_100["nomogram"][at], 0),
        ]
        rows.append(Row(tuple(cells)))
    records = []
    for index, threshold in enumerate(curve.thresholds):
        record = {"threshold": float(threshold), "net_benefit_all": plain(curve.net_benefit[TEST_ALL][index])}
        for name in curve.referred:
            record[f"net_benefit_{name}"] = plain(curve.net_benefit[name][index])
            record[f"referred_{name}"] = plain(curve.referred[name][index])
            record[f"avoided_per_100_{name}"] = plain(curve.avoided_per_100[name][index])
        records.append(record)
    head = (
        "Threshold",
        "Referred to ISH",
        "HER2-positive missed",
        "Net benefit, nomogram",
        "Net benefit, refer all",
        "ISH avoided per 100, net",
    )
    title = f"Referral to ISH by the nomogram, {within(label)}"
    return Table(f"decision_{split.split}", title, head, tuple(rows), (), tuple(records))


def bootstrap_table(bootstrap: Any) -> Table:
    """Apparent figures, their optimism, and what is left."""
    rows, records = [], []
    for key, label in _FIGURES.items():
        rows.append(Row((label,), "group"))
        for name, figures in bootstrap.figures.items():
            found, digits = figures[key], 3 if key == "brier" else 2
            corrected = as_estimate(found.corrected)
            cells = (number(found.apparent, digits), number(found.optimism, digits), interval(corrected, digits))
            rows.append(Row((MODEL_LABELS[name], *cells, number(found.out_of_bag, digits))))
            record = {
                "figure": key,
                "model": name,
                "apparent": plain(found.apparent),
                "optimism": plain(found.optimism),
            }
            record |= raw(corrected, "corrected") | {"out_of_bag": plain(found.out_of_bag)}
            records.append(record)
    head = ("", "Apparent", "Optimism", "Corrected", "Out of bag")
    notes = (
        "Apparent: the final models on their own training cases. Optimism: how much better models of resamples do on "
        "their own resample than on all cases. Corrected: apparent less optimism. Out of bag: models of resamples on "
        "the cases that are not in them. Means over the resamples; of calibration slopes the median, because some "
        "resamples give models that hardly tell cases apart. AUC, slope and Brier score as in the tables by split.",
    )
    title = f"Bootstrap of the whole development, {bootstrap.done} resamples"
    return Table("bootstrap", title, head, tuple(rows), notes, tuple(records))


def nested_table(nested: Any) -> Table:
    """Figures of nested cross-validation."""
    rows, records = [], []
    for name in nested.auc:
        found = {key: getattr(nested, key)[name] for key in _FIGURES}
        rows.append(Row((MODEL_LABELS[name], *(interval(found[k], 3 if k == "brier" else 2) for k in _FIGURES))))
        records.append({"model": name, **{k: v for key in _FIGURES for k, v in raw(found[key], key).items()}})
    head = ("", *(f"{label} (95% interval)" for label in _FIGURES.values()))
    title = f"Nested cross-validation, {nested.folds} folds, {times(nested.repeats)}"
    return Table("nested_cross_validation", title, head, tuple(rows), (), tuple(records))


def as_estimate(value: Any) -> Estimate:
    """A figure that may come without an interval, or not at all."""
    if value is None:
        return Estimate(math.nan)
    return Estimate(value) if isinstance(value, (int, float)) else value


def methods_table(lines: Sequence[tuple[str, Mapping[str, Any]]], methods: Mapping[str, str]) -> Table | None:
    """Figures of the nomogram by the method of the Rad-scores, side by side; ``methods`` are labels by method."""
    rows, records = [], []
    for label, by_method in lines:
        if not by_method:
            continue
        rows.append(Row((label, *(interval(by_method.get(method)) for method in methods))))
        records += [
            {"figure": label, "method": m, **raw(by_method[m])} for m in methods if by_method.get(m) is not None
        ]
    head = ("Nomogram", *methods.values())
    notes = ("A dash: not estimable, for example because the probabilities separate the classes.",)
    title = "What the method of the Rad-scores changes"
    return Table("methods_compared", title, head, tuple(rows), notes, tuple(records)) if rows else None


def extras_table(splits: Sequence[tuple[str, Any]]) -> Table | None:
    """Hosmer-Lemeshow, NRI and IDI."""
    rows, records = [], []
    for label, split in splits:
        entries = _extras(split)
        if entries:
            rows.append(Row((label,), "group"))
        for name, text, p, record in entries:
            rows.append(Row((name, text, p)))
            records.append({"split": split.split, "figure": name, **record})
    head = ("", "Value (95% interval)", "p")
    notes = (
        "Hosmer-Lemeshow: difference of predicted and observed numbers over groups of cases; a small p speaks "
        "against the calibration, a large one does not speak for it. Groups are quantiles of the prediction: ten "
        "from 200 cases on, five from 50 on, fewer below; degrees of freedom are the groups, less two where the "
        "model was fitted to these cases. NRI: share of cases whose probability moves in the right direction against "
        "the clinical model, less the share that moves in the wrong one, summed over both classes (−2 to 2). IDI: "
        "gain in the difference of mean probabilities between the classes. Without interval and p: all cases of a "
        "class move in the same direction.",
    )
    return Table("extras", "Further figures", head, tuple(rows), notes, tuple(records)) if rows else None


def _extras(split: Any) -> list[tuple[str, str, str, dict[str, object]]]:
    entries = []
    for name, model in split.models.items():
        test = model.calibration.hosmer_lemeshow if model.calibration else None
        if test is not None:
            text = f"{number(test.statistic)} on {test.df} df"
            record = {"value": plain(test.statistic), "df": test.df, "p": plain(test.p)}
            entries.append((f"Hosmer-Lemeshow, {MODEL_LABELS[name].lower()}", text, p_value(test.p), record))
    changed = split.reclassification
    if changed is not None:
        reference = MODEL_LABELS.get(changed.reference, changed.reference).lower()
        for label, found in (
            (f"Continuous NRI, nomogram against {reference}", changed.nri),
            ("… among HER2-positive cases", changed.nri_events),
            ("… among HER2-negative cases", changed.nri_nonevents),
            (f"IDI, nomogram against {reference}", changed.idi),
        ):
            entries.append((label, interval(found), p_value(found.p), raw(found)))
    return entries


def predictor_table(validation: Any, labels: Mapping[str, str]) -> Table | None:
    """Predictors of the nomogram in the cases evaluated, beside their range in training."""
    predictors = validation.model.nomogram.predictors
    if not predictors:
        return None
    groups = []
    for split, case_ids in validation.case_ids.items():
        y = validation.splits[split].y
        for status in (0, 1):
            members = [case_id for case_id, outcome in zip(case_ids, y) if outcome == status]
            groups.append((f"{labels[split]}\nHER2-{'positive' if status else 'negative'}", members))
    trained = (validation.model.training.get("cases") or {}).get("train") or {}
    counts = (
        f"{trained['n']}, {trained['her2_positive']} positive" if {"n", "her2_positive"} <= trained.keys() else DASH
    )
    rows = [Row(("Cases", counts, *(str(len(members)) for _, members in groups)))]
    for predictor in predictors:
        values = [np.array([validation.predictions[c].predictors[predictor.name] for c in m]) for _, m in groups]
        trained = span(predictor.minimum, predictor.maximum) if not predictor.levels else ", ".join(predictor.levels)
        for index, row in enumerate(factor_rows(predictor, values)):
            rows.append(Row((row.cells[0], trained if index == 0 else "", *row.cells[1:]), row.kind))
        if not predictor.levels:
            outside = [int(((v < predictor.minimum) | (v > predictor.maximum)).sum()) for v in values]
            rows.append(Row(("outside the training range", "", *map(str, outside)), "sub"))
        filled = [sum(predictor.name in validation.predictions[c].filled for c in m) for _, m in groups]
        if any(filled):
            rows.append(Row(("missing, filled by the model", "", *map(str, filled)), "sub"))
    head = ("Predictor", "In training", *(label for label, _ in groups))
    records = [
        dict(zip(("predictor", "training", *(h.replace("\n", ", ") for h in head[2:])), row.cells)) for row in rows
    ]
    notes = ("Median [first to third quartile], or cases (%). In training: smallest to largest value, or the levels.",)
    title = "Predictors of the nomogram in these cases and in training"
    return Table("predictors", title, head, tuple(rows), notes, tuple(records), wide=len(groups) > 4)


def recalibration_table(recalibrated: Any) -> Table:
    """What was added to and multiplied with the log odds of each model."""
    rows, records = [], []
    for name in recalibrated.intercept:
        a, b = recalibrated.intercept[name], recalibrated.slope[name]
        cutoff = getattr(recalibrated.model, name).cutoff
        rows.append(Row((MODEL_LABELS[name], number(b), number(a), number(cutoff))))
        records.append({"model": name, "factor": b, "added": a, "cutoff": cutoff})
    head = ("", "Log odds multiplied by", "then added", "New cut-off")
    notes = (
        "1 and 0 would leave the model as it is. A factor below 1 draws probabilities towards the middle; a negative "
        "addition lowers them. The cut-off moves along, so that every case is called as before.",
    )
    return Table("recalibration", "Recalibration", head, tuple(rows), notes, tuple(records))
