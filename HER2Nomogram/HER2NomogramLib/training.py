"""From a feature table and the cases' outcomes to a model file: signatures, logistic models, cut-off, performance.

Everything that learns is fitted to the training split alone. The three logistic models are pre-specified: which
Rad-scores and clinical factors enter is an option, not a choice made on the same data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from .batch import diameter_column, software_versions
from .cases import SPLITS, Case, is_blank
from .errors import InputError
from .modelfile import CLINICAL, LOGISTIC_MODELS, RAD_SCORE, LogisticModel, Model, Predictor, Signature
from .nomogram import LogisticNomogram
from .prediction import TUMOR_DIAMETER
from .regions import region_names
from .signature import CrossFittedRadScores, LassoSignature
from .tables import FeatureTable
from .validation import AreaUnderCurve, roc_auc, youden_cutoff

IMAGE = "image"
MINIMUM_EVENTS = 10
# Levels of binary factors that tables write in words, in the order 0, 1.
_KNOWN_LEVELS = (("absent", "present"), ("no", "yes"), ("negative", "positive"), ("0", "1"))
_LABELS = {TUMOR_DIAMETER: ("Tumor diameter", "mm"), "age": ("Age", "years"), "ki67": ("Ki-67", "%")}
_INTENDED_USE = (
    "Research on predicting HER2 status of breast cancers with equivocal immunohistochemistry (IHC 2+) from "
    "contrast-enhanced mammography. Not for diagnosis or treatment decisions."
)


@dataclass(frozen=True)
class TrainingOptions:
    """How a model is trained.

    Attributes
    ----------
    name : str
    nomogram_regions : tuple of str
        Rad-scores of the nomogram and the radiomics model; empty: intratumoral and the narrowest ring.
    clinical : tuple of str
        Clinical factors of the nomogram and the clinical model.
    penalty_rule : {"min", "1se"}
    n_folds, cross_fit_folds : int
        Of the penalty's cross-validation and of the cross-fitting.
    random_state, jobs : int
    demonstration : bool
        True for a model from synthetic images.
    """

    name: str = "HER2 nomogram"
    nomogram_regions: tuple[str, ...] = ()
    clinical: tuple[str, ...] = (TUMOR_DIAMETER,)
    penalty_rule: str = "min"
    n_folds: int = 10
    cross_fit_folds: int = 5
    random_state: int = 0
    jobs: int = 1
    demonstration: bool = False


@dataclass(frozen=True, eq=False)
class _Cohort:
    """Cases that have an outcome, all features and all clinical factors, with what was left out and why."""

    case_ids: tuple[str, ...]
    patients: np.ndarray
    split: np.ndarray
    y: np.ndarray
    features: np.ndarray
    columns: tuple[str, ...]
    clinical: np.ndarray
    levels: dict[str, tuple[str, ...]]
    excluded: dict[str, str]
    measured_diameters: int

    def rows(self, split: str) -> np.ndarray:
        return np.flatnonzero(self.split == split)


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A model with what it says of the cases that it was trained and tested on.

    Attributes
    ----------
    model : Model
    scores : dict
        ``scores[split][model name]``: probabilities, shape (n_cases,); cross-fitted Rad-scores in the training split.
    outcomes : dict of str to np.ndarray
        HER2 status by split.
    performance : dict
        ``performance[split][model name]``: AreaUnderCurve.
    messages : tuple of str
        What was left out or handled specially.
    """

    model: Model
    scores: dict[str, dict[str, np.ndarray]]
    outcomes: dict[str, np.ndarray]
    performance: dict[str, dict[str, AreaUnderCurve]]
    messages: tuple[str, ...]


def train(
    cases: Sequence[Case], table: FeatureTable, facts: Mapping[str, Any], options: TrainingOptions | None = None
) -> TrainingResult:
    """Train signatures and the three logistic models on the training split, and measure them on every split.

    Parameters
    ----------
    cases : sequence of Case
    table : FeatureTable
    facts : mapping
        Of the extraction, from :func:`.tables.read_extraction_facts`.
    options : TrainingOptions

    Raises
    ------
    InputError
        Where the cohort cannot carry a model, or no signature of the nomogram selects a feature.
    """
    options = options or TrainingOptions()
    _check_options(options)
    regions = region_names(facts["margins_mm"])
    cohort = _assemble(cases, table, regions, options)
    train_rows = cohort.rows("train")
    _check_events(cohort.y[train_rows], cohort.patients[train_rows])
    images = _training_images(cohort, facts)
    kind, presentation = (_only_one(images, fact) for fact in ("kind", "presentation"))
    scores, rad_scores = _rad_scores(cohort, regions, options, train_rows)
    chosen, dropped = _usable_regions(options.nomogram_regions or tuple(regions[:2]), regions, scores.signatures_)
    # One matrix for all logistic models: Rad-scores of all regions, then the clinical factors.
    x = np.column_stack([rad_scores, cohort.clinical])
    names = {"radiomics": chosen, "clinical": options.clinical, "nomogram": (*chosen, *options.clinical)}
    order = [*regions, *options.clinical]
    fitted: dict[str, _Fitted] = {}
    for name in LOGISTIC_MODELS:
        columns = [order.index(predictor) for predictor in names[name]]
        fitted[name] = _fit_logistic(x[:, columns], cohort, [order[c] for c in columns], options, columns)
    splits = [split for split in SPLITS if len(cohort.rows(split))]
    probabilities = {
        split: {name: fit.probabilities(x[cohort.rows(split)]) for name, fit in fitted.items()} for split in splits
    }
    outcomes = {split: cohort.y[cohort.rows(split)] for split in splits}
    performance = {
        split: {name: roc_auc(outcomes[split], p) for name, p in probabilities[split].items()}
        for split in splits
        if len(np.unique(outcomes[split])) == 2
    }
    separated = [name for name, fit in fitted.items() if fit.separated]
    messages = _messages(cohort, dropped, separated, names["nomogram"], outcomes, images)
    logistic = {name: fit.model for name, fit in fitted.items()}
    about_images = {"kind": kind, "presentation": presentation, "spacing_range_mm": _spacing_range(images)}
    model = _model(cohort, facts, about_images, options, scores, logistic, performance, messages)
    return TrainingResult(model, probabilities, outcomes, performance, messages)


def performance_table(result: TrainingResult) -> str:
    """Area under the curve with its 95% interval per split and model, as text."""
    widths = {name: 22 for name in LOGISTIC_MODELS}
    lines = [f"{'AUC (95% CI)':<18}{'n':>5}{'HER2+':>7}  " + "".join(f"{n:<{w}}" for n, w in widths.items())]
    for split, models in result.performance.items():
        y = result.outcomes[split]
        areas = "".join(f"{_area_text(models[name]):<{width}}" for name, width in widths.items())
        lines.append(f"{split:<18}{len(y):>5}{int(y.sum()):>7}  {areas}".rstrip())
    return "\n".join(
        [*lines, "(training cases: cross-fitted Rad-scores, logistic coefficients fitted to the same cases)"]
    )


def _area_text(auc: AreaUnderCurve) -> str:
    return f"{auc.area:.3f} ({auc.low:.3f}-{auc.high:.3f})"


def _check_options(options: TrainingOptions) -> None:
    """Refuse options that would waste the training or make the outcome its own predictor."""
    for names in (options.nomogram_regions, options.clinical):
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise InputError(f"'{repeated[0]}' is named twice among the predictors: name it once.")
    outcomes = [name for name in options.clinical if name.startswith("her2")]
    if outcomes:
        raise InputError(f"'{outcomes[0]}' is what the model predicts, it cannot be a clinical factor: leave it out.")
    if options.random_state < 0:
        raise InputError(f"The seed is {options.random_state}: give zero or a positive whole number.")


def _assemble(cases: Sequence[Case], table: FeatureTable, regions: Sequence[str], options: TrainingOptions) -> _Cohort:
    """Put features, outcomes and clinical factors of the same cases side by side."""
    wanted = tuple(f"{IMAGE}__{region}__" for region in regions)
    columns = [
        index
        for index, name in enumerate(table.columns)
        if name.startswith(wanted) and not name.split("__", 2)[2].startswith("diagnostics_")
    ]
    if not columns:
        raise InputError("The feature table has no columns of the regions that its settings name: extract it again.")
    levels = {
        name: _levels(name, {case.case_id: case.clinical.get(name, "") for case in cases}) for name in options.clinical
    }
    positions = {case_id: index for index, case_id in enumerate(table.case_ids)}
    diameter = diameter_column(IMAGE)
    kept, clinical, excluded, measured_diameters = [], [], {}, 0
    for case in cases:
        row = positions.get(case.case_id)
        measured = table.row(case.case_id).get(diameter) if row is not None else None
        values, missing = _clinical_values(case, options.clinical, levels, measured)
        if case.her2 is None:
            excluded[case.case_id] = "HER2 status unknown or equivocal without ISH"
        elif row is None:
            excluded[case.case_id] = "no features"
        elif missing:
            excluded[case.case_id] = f"no value of {missing}"
        else:
            kept.append((case, row))
            clinical.append(values)
            measured_diameters += TUMOR_DIAMETER in options.clinical and is_blank(case.clinical.get(TUMOR_DIAMETER))
    if not kept:
        raise InputError(f"No case can be used for training ({next(iter(excluded.values()))}): check the case table.")
    values = table.values[[row for _, row in kept]][:, columns]
    in_train = np.array([case.split == "train" for case, _ in kept])
    # Which columns can be used is decided on the training cases, as everything else.
    finite = np.isfinite(values[in_train]).all(axis=0) if in_train.any() else np.ones(len(columns), bool)
    return _Cohort(
        case_ids=tuple(case.case_id for case, _ in kept),
        patients=np.array([case.patient_id for case, _ in kept]),
        split=np.array([case.split for case, _ in kept]),
        y=np.array([case.her2 for case, _ in kept]),
        features=values[:, finite],
        columns=tuple(table.columns[c] for c, usable in zip(columns, finite) if usable),
        clinical=np.array(clinical).reshape(len(kept), len(options.clinical)),
        levels=levels,
        excluded=excluded,
        measured_diameters=measured_diameters,
    )


def _check_events(y: np.ndarray, patients: np.ndarray) -> None:
    events, others = (len(np.unique(patients[y == status])) for status in (1, 0))
    if min(events, others) < MINIMUM_EVENTS:
        raise InputError(
            f"The training split has {events} HER2-positive and {others} negative patients: at least {MINIMUM_EVENTS} "
            "of each are needed to choose a penalty by cross-validation."
        )


def _rad_scores(
    cohort: _Cohort, regions: Sequence[str], options: TrainingOptions, train_rows: np.ndarray
) -> tuple[CrossFittedRadScores, np.ndarray]:
    """Signatures of all regions and the Rad-scores of all cases, shape (n_cases, n_regions).

    Training cases have cross-fitted scores, the others those of the signatures fitted to all training cases.
    """
    blocks = []
    for region in regions:
        prefix = f"{IMAGE}__{region}__"
        blocks.append((region, [i for i, name in enumerate(cohort.columns) if name.startswith(prefix)]))
        if not blocks[-1][1]:
            raise InputError(
                f"No feature of region '{region}' has a finite value in every training case: extract again."
            )
    bad = np.flatnonzero(~np.isfinite(cohort.features).all(axis=1))
    if len(bad):
        case_id = cohort.case_ids[bad[0]]
        raise InputError(f"Case '{case_id}' misses features that all training cases have: extract it again or drop it.")
    transformer = CrossFittedRadScores(
        blocks,
        LassoSignature(options.penalty_rule, options.n_folds, random_state=options.random_state),
        options.cross_fit_folds,
        n_jobs=options.jobs,
        random_state=options.random_state,
    )
    try:
        cross_fitted = transformer.fit_transform(
            cohort.features[train_rows], cohort.y[train_rows], groups=cohort.patients[train_rows]
        )
    except ValueError as error:
        raise InputError(f"The signatures cannot be trained ({error}): more patients are needed.") from None
    rad_scores = transformer.transform(cohort.features)
    rad_scores[train_rows] = cross_fitted
    return transformer, rad_scores


@dataclass(frozen=True, eq=False)
class _Fitted:
    """One logistic model with its columns among all predictors."""

    model: LogisticModel
    columns: list[int]
    separated: bool

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        return expit(self.model.intercept + x[:, self.columns] @ np.array(self.model.coefficients, dtype=float))


def _fit_logistic(
    x: np.ndarray, cohort: _Cohort, names: Sequence[str], options: TrainingOptions, columns: list[int]
) -> _Fitted:
    rows = cohort.rows("train")
    y = cohort.y[rows]
    if names:
        fitted = LogisticNomogram().fit(x[rows], y)
        separated, intercept, coefficients = fitted.separated_, fitted.intercept_, tuple(map(float, fitted.coef_))
        covariance = tuple(tuple(map(float, row)) for row in fitted.covariance_)
    else:
        # No clinical factors: their model is the prevalence.
        separated, intercept, coefficients = False, math.log(y.mean() / (1 - y.mean())), ()
        covariance = ((1 / (len(y) * y.mean() * (1 - y.mean())),),)
    predictors = tuple(_predictor(name, x[rows, i], cohort.levels, options) for i, name in enumerate(names))
    cutoff = youden_cutoff(y, expit(intercept + x[rows] @ np.array(coefficients, dtype=float)))
    return _Fitted(LogisticModel(predictors, intercept, coefficients, covariance, cutoff), columns, separated)


def _usable_regions(
    wanted: Sequence[str], regions: Sequence[str], signatures: Mapping[str, LassoSignature]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    for region in wanted:
        if region not in regions:
            raise InputError(f"Nomogram region '{region}' is not among {', '.join(regions)}: correct the option.")
    chosen = tuple(region for region in wanted if len(signatures[region].selected_))
    if not chosen:
        raise InputError(
            f"The signatures of {', '.join(wanted)} select no feature: these features carry no signal that "
            "cross-validation can confirm, so there is no radiomics model."
        )
    return chosen, tuple(region for region in wanted if region not in chosen)


def _predictor(
    name: str, values: np.ndarray, levels: Mapping[str, tuple[str, ...]], options: TrainingOptions
) -> Predictor:
    low, high = float(values.min()), float(values.max())
    if not low < high:
        raise InputError(f"Predictor '{name}' has the same value in all training cases: leave it out.")
    if name not in options.clinical:
        return Predictor(name, RAD_SCORE, f"Rad-score, {region_label(name)}", "", low, high)
    label, unit = _LABELS.get(name, (name.replace("_", " ").capitalize(), ""))
    return Predictor(name, CLINICAL, label, unit, low, high, levels[name])


def region_label(region: str) -> str:
    """Name of a region for display: ``peritumoral_5mm`` becomes ``peritumoral 5 mm``."""
    kind, _, width = region.partition("_")
    return f"{kind} {width.removesuffix('mm')} mm" if width else kind


def _signatures(cohort: _Cohort, scores: CrossFittedRadScores) -> dict[str, Signature]:
    found = {}
    for region, columns in scores.blocks:
        fitted = scores.signatures_[region]
        selected = fitted.selected_
        found[region] = Signature(
            image=IMAGE,
            region=region,
            features=tuple(cohort.columns[columns[i]] for i in selected),
            means=tuple(map(float, fitted.means_[selected])),
            scales=tuple(map(float, fitted.scales_[selected])),
            coefficients=tuple(map(float, fitted.coef_[selected])),
            intercept=fitted.intercept_,
        )
    return found


def _model(
    cohort: _Cohort,
    facts: Mapping[str, Any],
    about_images: Mapping[str, Any],
    options: TrainingOptions,
    scores: CrossFittedRadScores,
    logistic: Mapping[str, LogisticModel],
    performance: Mapping[str, Mapping[str, AreaUnderCurve]],
    messages: Sequence[str],
) -> Model:
    recorded = {k: v for k, v in asdict(options).items() if k not in ("jobs", "name", "demonstration")}
    training = {
        "options": json.loads(json.dumps(recorded)),
        "method": "cross-fitted Rad-scores",
        "cases": {
            split: {"n": len(cohort.rows(split)), "her2_positive": int(cohort.y[cohort.rows(split)].sum())}
            for split in SPLITS
        },
        "auc": {split: {name: asdict(auc) for name, auc in models.items()} for split, models in performance.items()},
        "penalties": {region: fitted.penalty_ for region, fitted in scores.signatures_.items()},
        "remarks": list(messages),
    }
    return Model(
        name=options.name,
        intended_use=_INTENDED_USE,
        demonstration=options.demonstration,
        extraction=facts["extraction"],
        margins_mm=tuple(facts["margins_mm"]),
        **about_images,
        signatures=_signatures(cohort, scores),
        **logistic,
        training=training,
        software=software_versions(),
    )


def _training_images(cohort: _Cohort, facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What ``features.json`` says of the images of the training cases."""
    trained = [cohort.case_ids[i] for i in cohort.rows("train")]
    missing = [case_id for case_id in trained if IMAGE not in facts["cases"].get(case_id, {})]
    if missing:
        raise InputError(f"features.json does not describe case '{missing[0]}': extract its features again.")
    return [facts["cases"][case_id][IMAGE] for case_id in trained]


def _spacing_range(images: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    spacings = [value for image in images for value in image["spacing_mm"]]
    return min(spacings), max(spacings)


def _only_one(images: Sequence[Mapping[str, Any]], fact: str) -> str | None:
    found = sorted({image.get(fact) for image in images if image.get(fact)})
    if len(found) > 1:
        raise InputError(
            f"The training images mix {' and '.join(found)}: their grey values do not compare, train on one of them."
        )
    return found[0] if found else None


def _messages(
    cohort: _Cohort,
    dropped: Sequence[str],
    separated: Sequence[str],
    predictors: Sequence[str],
    outcomes: Mapping[str, np.ndarray],
    images: Sequence[Mapping[str, Any]],
) -> tuple[str, ...]:
    messages = []
    reasons = sorted(set(cohort.excluded.values()))
    for reason in reasons:
        count = sum(1 for value in cohort.excluded.values() if value == reason)
        messages.append(f"{count} case{'s' if count > 1 else ''} left out: {reason}.")
    if cohort.measured_diameters:
        count = cohort.measured_diameters
        messages.append(f"The tumor diameter of {count} case{'s' if count > 1 else ''} was measured from the segment.")
    unknown = sum(1 for image in images if not image.get("kind"))
    if unknown:
        messages.append(f"{unknown} training images do not say whether they are recombined or low-energy.")
    messages += [f"The signature of {region} selects no feature and is left out of the nomogram." for region in dropped]
    messages += [f"The {name} model separates the training cases: fitted with Firth's method." for name in separated]
    events = int(min(outcomes["train"].sum(), (1 - outcomes["train"]).sum()))
    if events < 10 * len(predictors):
        messages.append(
            f"{events} training cases of the rarer class for {len(predictors)} predictors of the nomogram, whose "
            "Rad-scores were themselves selected from many features: expect optimism."
        )
    messages += [f"Split {split} has one class only: no AUC." for split, y in outcomes.items() if len(np.unique(y)) < 2]
    return tuple(messages)


def _levels(name: str, texts: Mapping[str, str]) -> tuple[str, ...]:
    """Names of 0 and 1 of a binary factor, empty for a numeric one; ``texts`` are its entries by case."""
    given = {case_id: text.strip().lower() for case_id, text in texts.items() if not is_blank(text)}
    words = set(given.values())
    if not words and name != TUMOR_DIAMETER:
        raise InputError(
            f"Clinical factor '{name}' has no value in the case table: fill in the column or leave it out."
        )
    if words and words <= {"0", "1", "0.0", "1.0"}:
        return ("0", "1")
    if all(map(_is_number, words)):
        return ()
    for pair in _KNOWN_LEVELS:
        if words <= set(pair):
            return pair
    case_id, text = next((case_id, text) for case_id, text in given.items() if not _is_number(text))
    raise InputError(
        f"Clinical factor '{name}', case '{case_id}': '{text}' is no number. Give plain numbers without a unit, or two "
        f"levels as in {' or '.join('/'.join(pair) for pair in _KNOWN_LEVELS[:3])}."
    )


def _clinical_values(
    case: Case, names: Sequence[str], levels: Mapping[str, tuple[str, ...]], measured_diameter: float | None
) -> tuple[list[float], str | None]:
    """Values of the clinical factors of a case and the first that is missing."""
    values = []
    for name in names:
        text = case.clinical.get(name, "").strip().lower()
        if is_blank(text) and name == TUMOR_DIAMETER and measured_diameter is not None:
            values.append(measured_diameter)
        elif is_blank(text):
            return [], name
        elif levels[name] and not _is_number(text):
            values.append(float(levels[name].index(text)))
        else:
            values.append(float(text))
    return values, None


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
