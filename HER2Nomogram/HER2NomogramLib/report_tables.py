"""Tables of the report: how each is read on the page, and the same with all digits for a CSV file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .cases import SPLITS
from .dataset import Dataset, Exclusion
from .drawing import MODEL_LABELS
from .metrics import Z_95, Estimate, two_sided_p
from .modelfile import LOGISTIC_MODELS, LogisticModel, Model, Predictor, Signature
from .regions import region_label
from .report_numbers import (
    DASH,
    counted,
    interval,
    measured,
    median_iqr,
    number,
    p_value,
    percent,
    ratio,
    share,
    significant,
    span,
    without_places,
)
from .tables import feature_name

SPLIT_LABELS = {
    "train": "Training",
    "internal_test": "Internal test",
    "prospective_test": "Prospective test",
    "cohort": "All cases",
}
STATUS_LABELS = ("HER2-negative", "HER2-positive")
# Units of time, as one of them is called.
_ONE_OF = {"years": "year", "months": "month", "weeks": "week", "days": "day"}


@dataclass(frozen=True)
class Row:
    """One row of a table; ``kind`` is "group" for a heading across the table, "sub" for one that is set in."""

    cells: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """One table of the report.

    Attributes
    ----------
    name : str
        Stem of the CSV file.
    title : str
    head : tuple of str
        Of the columns; after a line break in a cell stands what is printed small below it.
    rows : tuple of Row
    notes : tuple of str
        Below the table: what its figures mean.
    records : tuple of mapping
        Rows of the CSV file, numbers with all their digits.
    wide : bool
        Whether the table needs smaller type.
    """

    name: str
    title: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    records: tuple[Mapping[str, object], ...] = ()
    wide: bool = False


def raw(estimate: Any, name: str = "") -> dict[str, object]:
    """Value and interval of an estimate, and its p value where it has one, as entries of a CSV row."""
    prefix = f"{name}_" if name else ""
    parts = [part for part in ("value", "low", "high", "p") if hasattr(estimate, part)]
    return {
        (name or "value") if part == "value" else f"{prefix}{part}": plain(getattr(estimate, part)) for part in parts
    }


def plain(value: float | None) -> object:
    """A number for a CSV file, empty where there is none."""
    return "" if value is None or math.isnan(value) else float(value)


def cohort_table(dataset: Dataset, images: Sequence[Mapping[str, Any]] | None) -> Table:
    """Cases, patients, outcome, clinical factors and images per split."""
    splits = [split for split in SPLITS if len(dataset.rows(split))]
    rows_of = {split: dataset.rows(split) for split in splits}
    rows = [
        _row("Cases (lesions)", [f"{len(r)}" for r in rows_of.values()]),
        _row("Patients", [f"{len(np.unique(dataset.patients[r]))}" for r in rows_of.values()]),
        _row("HER2-positive", [share(int(dataset.y[r].sum()), len(r)) for r in rows_of.values()]),
    ]
    for index, factor in enumerate(dataset.factors):
        rows += factor_rows(factor, [dataset.clinical[r, index] for r in rows_of.values()])
    if images is not None:
        rows += _image_rows([[images[i] for i in r] for r in rows_of.values()])
    head = ("", *(SPLIT_LABELS[split] for split in splits))
    notes = (
        "Numbers are median [first to third quartile] of the cases that have a value, others are cases (% of those).",
        *(("Pixel spacing is median [smallest to largest], in mm.",) if images is not None else ()),
    )
    return Table("cohort", "Cases by split", head, tuple(rows), notes, _records(head, rows))


def outcome_table(dataset: Dataset) -> Table | None:
    """Clinical factors of HER2-negative and HER2-positive cases, per split."""
    if not dataset.factors:
        return None
    groups = [
        (split, status, np.flatnonzero((dataset.split == split) & (dataset.y == status)))
        for split in SPLITS
        if len(dataset.rows(split))
        for status in (0, 1)
    ]
    rows = [_row("Cases", [f"{len(r)}" for _, _, r in groups])]
    for index, factor in enumerate(dataset.factors):
        rows += factor_rows(factor, [dataset.clinical[r, index] for _, _, r in groups])
    head = ("", *(f"{SPLIT_LABELS[split]}\n{STATUS_LABELS[status]}" for split, status, _ in groups))
    notes = (
        "Read across: a factor that differs between HER2-negative and HER2-positive cases of every split can help to "
        "predict. No tests are given: with so many comparisons p-values would pick out chance.",
    )
    title = "Clinical factors by HER2 status"
    return Table("cohort_by_outcome", title, head, tuple(rows), notes, _records(head, rows), wide=len(groups) > 4)


def factor_rows(factor: Any, groups: Sequence[np.ndarray]) -> list[Row]:
    """Rows of one factor or predictor over groups of cases: its distribution and, where any is missing, how many."""
    known = [values[~np.isnan(values)] for values in groups]
    label = f"{factor.label or factor.name}{f' ({factor.unit})' if factor.unit else ''}"
    if not factor.levels:
        rows = [_row(label, [median_iqr(values) for values in known])]
    elif len(factor.levels) == 2:
        counts = [share(int((values == 1).sum()), len(values)) for values in known]
        rows = [_row(f"{label}: {factor.levels[1]}", counts)]
    else:
        rows = [_row(label, [""] * len(groups))]
        for index, level in enumerate(factor.levels):
            counts = [share(int((values == index).sum()), len(values)) for values in known]
            rows.append(_row(level, counts, "sub"))
    missing = [len(values) - len(there) for values, there in zip(groups, known)]
    if any(missing):
        rows.append(_row("missing", [share(count, len(values)) for count, values in zip(missing, groups)], "sub"))
    return rows


def _image_rows(groups: Sequence[Sequence[Mapping[str, Any]]]) -> list[Row]:
    """Pixel spacing, image kind and presentation of the images of groups of cases."""
    spacings = [[max(image["spacing_mm"]) for image in images if image.get("spacing_mm")] for images in groups]
    texts = [
        f"{measured(float(np.median(found)))} [{span(min(found), max(found))}]" if found else DASH for found in spacings
    ]
    rows = [_row("Pixel spacing (mm)", texts)]
    for title, fact in (("Image kind", "kind"), ("Presentation", "presentation"), ("Source of the spacing", None)):
        key = fact or "spacing_source"
        counts = [Counter(_spoken(image.get(key), tag=fact is None) for image in images) for images in groups]
        values = sorted({value for count in counts for value in count}, key=lambda v: (v == "not known", v))
        if not values:
            continue
        rows.append(_row(title, [""] * len(groups)))
        rows += [_row(v, [share(c[v], len(images)) for c, images in zip(counts, groups)], "sub") for v in values]
    return rows


def _spoken(value: str | None, tag: bool = False) -> str:
    """A recorded value for display; the name of a DICOM tag keeps its capitals."""
    if not value:
        return "not known"
    return without_places(value if tag else value.replace("_", "-").lower())


def exclusion_table(
    excluded: Sequence[Exclusion], known_names: Iterable[str], labels: Mapping[str, str]
) -> Table | None:
    """Why cases were left out, counted; the CSV file names the cases."""
    if not excluded:
        return None
    names = [*known_names, *(exclusion.case_id for exclusion in excluded)]
    counts = exclusion_counts(excluded, names)
    splits = [split for split in SPLIT_LABELS if any(split in of_reason for of_reason in counts.values())]
    rows = [_row(reason, [str(c[s]) for s in splits] + [str(c.total())]) for reason, c in counts.items()]
    records = [
        {"case_id": e.case_id, "split": e.split, "reason": without_places(e.reason)}
        for e in sorted(excluded, key=lambda e: ([*SPLIT_LABELS].index(e.split), e.case_id))
    ]
    head = ("Reason", *(labels[split] for split in splits), "All")
    return Table("exclusions", "Cases left out", head, tuple(rows), (), tuple(records))


def exclusion_counts(excluded: Sequence[Exclusion], names: Iterable[str]) -> dict[str, Counter]:
    """Cases left out by reason and split, the most frequent reason first; reasons without paths and identifiers."""
    names = list(names)
    counts: dict[str, Counter] = {}
    for exclusion in excluded:
        reason = without_places(exclusion.reason, names).rstrip(".")
        counts.setdefault(reason, Counter())[exclusion.split] += 1
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1].total(), entry[0])))


def signature_summary(model: Model, candidates: Mapping[str, int], unused: Mapping[str, str]) -> Table:
    """How many features each region's signature selects, and whether its Rad-score is used or why not."""
    penalties = model.training.get("penalties", {})
    rows, records = [], []
    for region, signature in model.signatures.items():
        users = [MODEL_LABELS[n] for n in LOGISTIC_MODELS if region in _names(getattr(model, n))]
        given, selected = candidates.get(region), len(signature.features)
        penalty = penalties.get(region, math.nan)
        cells = [str(given) if given is not None else DASH, str(selected), significant(penalty)]
        use = ", ".join(users) or "\n".join(["not used", unused.get(region, "")]).strip()
        rows.append(_row(region_label(region), [*cells, use]))
        record = {"region": region, "candidates": given, "selected": selected, "penalty": plain(penalty)}
        records.append({**record, "intercept": signature.intercept, "used_in": "; ".join(users)})
    head = ("Region", "Candidate features", "Selected features", "Penalty", "Rad-score used in")
    notes = ("The larger the penalty of the LASSO, the fewer features it keeps.",)
    return Table("signatures", "Signatures of all regions", head, tuple(rows), notes, tuple(records))


def signature_table(region: str, stem: str, signature: Signature) -> Table:
    """Features of one signature, the largest coefficient first."""
    order = sorted(range(len(signature.features)), key=lambda i: -abs(signature.coefficients[i]))
    rows, records = [], []
    for i in order:
        mean, scale, coefficient = signature.means[i], signature.scales[i], signature.coefficients[i]
        name = feature_name(signature.features[i])
        rows.append(_row(name, [number(coefficient, 3), significant(mean, 4), significant(scale, 4)]))
        record = {"feature": signature.features[i], "coefficient": coefficient, "mean": mean, "sd": scale}
        records.append(record)
    records.append({"feature": "(intercept)", "coefficient": signature.intercept})
    rows.append(_row("Intercept", [number(signature.intercept, 3), "", ""]))
    head = ("Feature", "Coefficient", "Mean", "Standard deviation")
    notes = (
        "Rad-score = intercept + sum of coefficient × (value − mean) / standard deviation, with mean and standard "
        "deviation of the training cases. A positive coefficient: larger values speak for HER2-positive.",
    )
    title = f"Signature of the {region_label(region)} region"
    return Table(f"signature_{stem}", title, head, tuple(rows), notes, tuple(records))


def selection_table(rows_by_model: Mapping[str, Sequence[Any]], labels: Mapping[str, str]) -> Table | None:
    """Tests by which the predictors of each model were chosen."""
    rows, records, group = [], [], None
    for model, row in ((model, row) for model, rows_of in rows_by_model.items() for row in rows_of):
        heading = f"{MODEL_LABELS[model]}, {row.step}"
        if heading != group:
            rows.append(Row((heading,), "group"))
            group = heading
        test = [
            number(row.statistic),
            str(row.df),
            p_value(row.p),
            number(row.aic, 1),
            "kept" if row.kept else "left out",
        ]
        rows.append(_row(labels.get(row.predictor, row.predictor), test))
        record = {"model": model, "step": row.step, "predictor": row.predictor, "statistic": plain(row.statistic)}
        records.append({**record, "df": row.df, "p": plain(row.p), "aic": plain(row.aic), "kept": int(row.kept)})
    head = ("Predictor", "Likelihood ratio", "df", "p", "AIC", "")
    notes = (
        "Likelihood ratio: how much better the model fits with the predictor than without it; df: coefficients that "
        "the predictor takes. AIC: fit of the model less its size, smaller is better.",
        "These p-values were used to choose, so they are too small to be read as evidence.",
    )
    title = "Tests that chose the predictors"
    return Table("predictor_selection", title, head, tuple(rows), notes, tuple(records)) if rows else None


def coefficient_table(model: Model) -> Table:
    """Coefficients and odds ratios of the three logistic models."""
    rows, records = [], []
    for name in LOGISTIC_MODELS:
        rows.append(Row((MODEL_LABELS[name],), "group"))
        for label, estimate, error in coefficients_of(getattr(model, name)):
            odds = Estimate(*(_exp(v) for v in (estimate, estimate - Z_95 * error, estimate + Z_95 * error)))
            p = two_sided_p(estimate, error) if error > 0 else math.nan
            first = label == "Intercept"
            cells = [significant(estimate), significant(error), "" if first else interval(odds, write=ratio)]
            rows.append(_row(label, [*cells, "" if first else p_value(p)]))
            record = {"model": name, "term": label, "coefficient": estimate, "standard_error": error}
            records.append({**record, **({} if first else raw(odds, "odds_ratio")), "p": "" if first else plain(p)})
    head = ("Predictor", "Coefficient", "Standard error", "Odds ratio (95% interval)", "p")
    notes = (
        "Odds ratio: by what the odds of HER2-positive are multiplied per unit of the predictor, or against the "
        "reference level, the others held fixed; 1 is no effect. Coefficient: its logarithm. p: Wald test.",
        "Intervals and p-values take Rad-scores as given: that their features were selected from many is not in them, "
        "so they are too narrow and too small.",
    )
    return Table("coefficients", "Coefficients of the models", head, tuple(rows), notes, tuple(records))


def coefficients_of(logistic: LogisticModel) -> list[tuple[str, float, float]]:
    """Label, coefficient and standard error of every term, the intercept first."""
    labels = ["Intercept"]
    for predictor in logistic.predictors:
        labels += term_labels(predictor)
    errors = np.sqrt(np.diag(np.asarray(logistic.covariance, dtype=float)))
    return list(zip(labels, map(float, (logistic.intercept, *logistic.coefficients)), map(float, errors)))


def term_labels(predictor: Predictor) -> list[str]:
    """Labels of the coefficients of one predictor."""
    if predictor.levels:
        return [f"{predictor.label}: {level} (against {predictor.levels[0]})" for level in predictor.levels[1:]]
    return [f"{predictor.label}, per {_ONE_OF.get(predictor.unit, predictor.unit or 'unit')}"]


def formula(logistic: LogisticModel) -> str:
    """The model written out, with digits enough to compute by."""
    text = significant(logistic.intercept, 4)
    names = [name for predictor in logistic.predictors for name in _variables(predictor)]
    for name, (_, coefficient, _) in zip(names, coefficients_of(logistic)[1:]):
        text += f" {'+' if coefficient >= 0 else '−'} {significant(abs(coefficient), 4)} × ({name})"
    return text


def _variables(predictor: Predictor) -> list[str]:
    """What the coefficients of one predictor are multiplied with."""
    if predictor.levels:
        reference = predictor.levels[0]
        return [f"{predictor.label}: {level} [1, else 0; against {reference}]" for level in predictor.levels[1:]]
    return [f"{predictor.label} in {predictor.unit}" if predictor.unit else predictor.label]


def sample_size_table(dataset: Dataset, candidates: int, features: int, model: Model) -> Table:
    """Events against what was estimated from them; ``candidates`` are coefficients before any selection."""
    y = dataset.y[dataset.rows("train")]
    rarer = int(min(y.sum(), len(y) - y.sum()))
    kept = len(model.nomogram.coefficients)
    entries = [
        ("Training cases", "lesions that the model was fitted to", str(len(y)), len(y)),
        ("HER2-positive", "", share(int(y.sum()), len(y)), int(y.sum())),
        ("Cases of the rarer class", "what limits how much can be learned", str(rarer), rarer),
        (
            "Candidate coefficients",
            "of the nomogram before any selection, without intercept",
            str(candidates),
            candidates,
        ),
        ("Coefficients kept", "of the nomogram as it is", str(kept), kept),
        (
            "Candidate features",
            "of the regions in question, among which the signatures selected",
            str(features),
            features,
        ),
    ]
    for label, meaning, count in (
        (
            "Rarer class per candidate coefficient",
            "10 is a common minimum, too few where features were selected",
            candidates,
        ),
        ("Rarer class per candidate feature", "below 1, which features are selected is largely chance", features),
    ):
        value = rarer / count if count else math.nan
        entries.append((label, meaning, measured(value, 2) if count else DASH, plain(value)))
    rows = [_row(f"{label}\n{meaning}" if meaning else label, [text]) for label, meaning, text, _ in entries]
    records = [{"figure": label, "value": value} for label, _, _, value in entries]
    return Table("sample_size", "Sample size", ("", "Value"), tuple(rows), (), tuple(records))


def frequency_records(
    frequencies: Sequence[tuple[str, float]], selected: Iterable[str]
) -> tuple[dict[str, object], ...]:
    """Features of a region by how often resamples select them, as rows of a CSV file."""
    selected = set(selected)
    return tuple({"feature": c, "share": plain(s), "in_signature": int(c in selected)} for c, s in frequencies)


def predictor_frequency_table(
    frequencies: Mapping[str, float], nomogram: LogisticModel, labels: Mapping[str, str]
) -> Table | None:
    """How often resamples keep each predictor of the nomogram."""
    if not frequencies:
        return None
    used = _names(nomogram)
    shares = {**dict.fromkeys(used, 0.0), **frequencies}
    ordered = sorted(shares.items(), key=lambda entry: (-entry[1], entry[0]))
    rows = [_row(labels.get(n, n), [percent(found), "yes" if n in used else "no"]) for n, found in ordered]
    records = [{"predictor": n, "share": plain(found), "in_nomogram": int(n in used)} for n, found in ordered]
    head = ("Predictor", "Resamples that keep it", "In the nomogram")
    title = "Predictors of the nomogram in resamples"
    return Table("stability_predictors", title, head, tuple(rows), (), tuple(records))


def settings_table(name: str, title: str, content: Mapping[str, Any], empty: str) -> Table | None:
    """Nested settings as two columns; ``empty`` is what an empty list means."""
    entries = list(_flattened(content, empty))
    if not entries:
        return None
    rows = [_row(key, [without_places(text)]) for key, text in entries]
    records = [{"setting": key, "value": without_places(text)} for key, text in entries]
    return Table(name, title, ("Setting", "Value"), tuple(rows), (), tuple(records))


def _flattened(content: Mapping[str, Any], empty: str, prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, empty, f"{prefix}{key}: ")
        else:
            unit = " (mm)" if key == "sigma" else ""
            yield f"{prefix}{key}{unit}", setting_text(value, empty)


def setting_text(value: Any, empty: str = DASH) -> str:
    """A setting for display; ``empty`` stands for an empty list."""
    if value is None or value == {}:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(setting_text, value)) or empty
    return f"{value:g}" if isinstance(value, float) else str(value)


def labels_of(model: Model, factors: Iterable[Any] = ()) -> dict[str, str]:
    """Labels of all predictors by name: of the models, of their regions, and of factors that were not kept."""
    labels = {factor.name: factor.label or factor.name for factor in factors}
    labels.update((region, f"Rad-score, {region_label(region)}") for region in model.signatures)
    for name in LOGISTIC_MODELS:
        labels.update((p.name, p.label) for p in getattr(model, name).predictors)
    return labels


def unique_stems(texts: Iterable[str]) -> dict[str, str]:
    """Parts of file names for texts, different also where the file system does not tell upper from lower case."""
    stems: dict[str, str] = {}
    for text in texts:
        safe = "".join(c if c.isalnum() and c.isascii() else "_" for c in text).strip("_")[:60] or "region"
        taken, number_ = {stem.casefold() for stem in stems.values()}, 2
        stem = safe
        while stem.casefold() in taken:
            stem, number_ = f"{safe}_{number_}", number_ + 1
        stems[text] = stem
    return stems


def within(label: str) -> str:
    """A label as it stands inside a sentence: ``Internal test`` becomes ``internal test``."""
    return label[:1].lower() + label[1:]


def removed_sentence(count: int) -> str:
    """Words for features that some training case lacks."""
    return f"{counted(count, 'feature')} without a finite value in every training case left out." if count else ""


def _names(logistic: LogisticModel) -> set[str]:
    return {predictor.name for predictor in logistic.predictors}


def _row(label: str, cells: Iterable[str], kind: str = "") -> Row:
    return Row((label, *cells), kind)


def _records(head: Sequence[str], rows: Iterable[Row]) -> tuple[dict[str, str], ...]:
    columns = ["" if not h else h.replace("\n", ", ") for h in head]
    columns[0] = columns[0] or "characteristic"
    return tuple(
        dict(zip(columns, (("  " if row.kind == "sub" else "") + row.cells[0], *row.cells[1:]))) for row in rows
    )


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
