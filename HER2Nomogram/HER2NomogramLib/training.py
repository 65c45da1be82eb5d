"""From a feature table and the cases' outcomes to a model file with what it says of the cases.

Everything that learns is fitted to the training split alone, by :class:`.pipeline.RadiomicsNomogram`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit

from .batch import FEATURE_PACKAGES, recorded_problems, software_versions
from .cases import SPLITS, Case, ihc_remark, is_blank
from .clinical import describe_factor
from .dataset import IMAGE, Dataset, assemble, check_columns, refuse_outcomes, training_cases, without_outcome
from .derived import with_derived
from .errors import InputError
from .features import FEATURE_ENGINE, ExtractionSettings
from .metrics import youden_cutoff
from .modelfile import CLINICAL, LOGISTIC_MODELS, RAD_SCORE, LogisticModel, Model, Predictor, Signature
from .pipeline import CROSS_FITTED, METHODS, RadiomicsNomogram
from .prediction import TUMOR_DIAMETER
from .regions import region_label, region_names
from .resampling import InternalValidation, validate_internally
from .selection import SELECTIONS
from .signature import PENALTY_RULES, LassoSignature
from .tables import FeatureTable
from .training_messages import about_flagged, about_resampling, messages_of, regions_left_out
from .validation import SplitPerformance, assess, auc_table, auc_text

MISSING_RULES = ("impute", "exclude")
# Of a model whose features other software made nobody knows the images.
_NO_IMAGES = {"extraction": None, "margins_mm": (), "kind": None, "presentation": None, "spacing_range_mm": None}
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
        Candidate Rad-scores of the nomogram and the radiomics model. Empty: intratumoral and the narrowest ring; all
        regions where predictors are selected or the features are those of other software.
    clinical, categorical : tuple of str
        Candidate clinical factors, and those of them whose numbers name categories.
    method : {"cross-fitted", "published"}
        Rad-scores that the logistic models are fitted to, see :class:`.pipeline.RadiomicsNomogram`.
    selection : {"none", "univariate", "aic"}
        How predictors are chosen, see :func:`.selection.select_predictors`.
    missing : {"impute", "exclude"}
        Cases with a missing clinical factor: filled with the median or the most frequent level, or left out.
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
    categorical: tuple[str, ...] = ()
    method: str = CROSS_FITTED
    selection: str = "none"
    missing: str = "impute"
    penalty_rule: str = "min"
    n_folds: int = 10
    cross_fit_folds: int = 5
    random_state: int = 0
    jobs: int = 1
    demonstration: bool = False


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A model with what it says of the cases that it was trained and tested on.

    Attributes
    ----------
    model : Model
    options : TrainingOptions
    dataset : Dataset
    pipeline : RadiomicsNomogram
        Fitted to the training cases.
    performance : dict of str to SplitPerformance
        By split, of the models by the method of the options; training cases have cross-fitted Rad-scores with it.
    by_method : dict of str to dict of str to SplitPerformance
        The same by both methods.
    logistic_by_method : dict of str to dict of str to LogisticModel
    messages : tuple of str
        What was left out or handled specially, and what the numbers of cases mean.
    internal : InternalValidation or None
    """

    model: Model
    options: TrainingOptions
    dataset: Dataset
    pipeline: RadiomicsNomogram
    performance: dict[str, SplitPerformance]
    by_method: dict[str, dict[str, SplitPerformance]]
    logistic_by_method: dict[str, dict[str, LogisticModel]]
    messages: tuple[str, ...]
    internal: InternalValidation | None = None

    @property
    def no_model(self) -> str:
        """Why there is no nomogram, empty where there is one. All figures then are those of the prevalence."""
        if self.model.nomogram.predictors:
            return ""
        left_out = regions_left_out(self.pipeline, self.options.method)
        reasons = [f"the signature of {region} {why}" for region, why in left_out.items()]
        reasons += ["the selection keeps no predictor"] if self.options.selection != "none" else []
        return (
            f"There is nothing to make a nomogram of ({'; '.join(reasons)}): these data carry no signal that "
            "cross-validation can confirm."
        )


def train(
    cases: Sequence[Case],
    table: FeatureTable,
    facts: Mapping[str, Any] | None,
    options: TrainingOptions | None = None,
) -> TrainingResult:
    """Train signatures and the three logistic models on the training split, and measure them on every split.

    Parameters
    ----------
    cases : sequence of Case
    table : FeatureTable
    facts : mapping or None
        Of the extraction, from :func:`.tables.read_extraction_facts`; None for a table that other software made.
    options : TrainingOptions

    Raises
    ------
    InputError
        Where the cohort cannot carry a development. One that leaves the nomogram without predictors is a result, see
        :attr:`TrainingResult.no_model`.
    """
    options = options or TrainingOptions()
    _check_options(options)
    regions = region_names(facts["margins_mm"]) if facts is not None else None
    dataset = assemble(cases, table, regions, options.clinical, options.categorical, impute=options.missing == "impute")
    _check_regions(options, [region for region, _ in dataset.blocks])
    about_images = dict(_NO_IMAGES)
    if facts is not None:
        dataset, about_images = _with_images(dataset, facts)
    pipeline = _fit(dataset, options)
    dataset = _without_missing_features(dataset, pipeline)
    logistic = {
        method: {name: _logistic_model(pipeline, method, name, dataset, options) for name in LOGISTIC_MODELS}
        for method in METHODS
    }
    by_method = _performance(pipeline, logistic, dataset)
    used = set(dataset.case_ids)
    population = ihc_remark([case for case in cases if case.case_id in used])
    messages = (
        *filter(None, [population]),
        *messages_of(dataset, pipeline, options.method),
        *about_flagged(_flagged_cases(dataset, pipeline), len(dataset.case_ids)),
    )
    model = Model(
        name=options.name,
        intended_use=_INTENDED_USE,
        demonstration=options.demonstration,
        **about_images,
        signatures=_signatures(dataset, pipeline),
        **logistic[options.method],
        training=_summary(dataset, pipeline, options, by_method[options.method], messages),
        software=_software(facts),
    )
    return TrainingResult(model, options, dataset, pipeline, by_method[options.method], by_method, logistic, messages)


def _software(facts: Mapping[str, Any] | None) -> dict[str, str]:
    """Versions of what made the model, with engine and packages as they were when the features were made."""
    versions, recorded = software_versions(), (facts or {}).get("software")
    if isinstance(recorded, Mapping):
        here = {name: version for name, version in versions.items() if name not in FEATURE_PACKAGES}
        there = {name: recorded[name] for name in FEATURE_PACKAGES if isinstance(recorded.get(name), str)}
        versions = {**here, **there}
    engine = (facts or {}).get("engine")
    return {**versions, **({FEATURE_ENGINE: engine} if isinstance(engine, str) and engine else {})}


def _flagged_cases(dataset: Dataset, pipeline: RadiomicsNomogram) -> int:
    """Cases of which a feature that a signature uses was computed, but means little."""
    columns = [column for column, is_used in zip(dataset.columns, pipeline.used_features_) if is_used]
    used = [column.removeprefix(f"{IMAGE}__").partition("__")[::2] for column in columns]

    def is_flagged(image: Mapping[str, Any]) -> bool:
        flags = [problem for problem in recorded_problems(image) if not problem.missing]
        return any(flag.region == region and flag.is_about(name) for flag in flags for region, name in used)

    return sum(map(is_flagged, dataset.images or ()))


def check_before_extraction(cases: Sequence[Case], regions: Sequence[str], options: TrainingOptions) -> None:
    """Refuse at once what :func:`train` would refuse whatever the features are, before hours of extraction.

    Parameters
    ----------
    cases : sequence of Case
    regions : sequence of str
        Regions that will be made.
    options : TrainingOptions

    Raises
    ------
    InputError
    """
    _check_options(options)
    _check_regions(options, regions)
    cases = with_derived(cases, options.clinical, strict=("train",))
    check_columns(cases, options.clinical)
    trained = training_cases(cases, without_outcome(cases))
    for name in options.clinical:
        texts = {case.case_id: case.clinical.get(name, "") for case in trained}
        # A blank tumor diameter will be measured.
        if name != TUMOR_DIAMETER or not any(map(is_blank, texts.values())):
            describe_factor(name, texts, name in options.categorical)


def with_internal_validation(
    result: TrainingResult,
    replicates: int = 200,
    repeats: int = 10,
    progress: Callable[[int, int], None] | None = None,
) -> TrainingResult:
    """The result with its development repeated on resampled training patients, see :mod:`.resampling`.

    Parameters
    ----------
    result : TrainingResult
    replicates, repeats : int
        Of the bootstrap and of the nested cross-validation; zero leaves one out.
    progress : callable, optional
        Called with the number of developments done and of all.
    """
    dataset, rows, method = result.dataset, result.dataset.rows("train"), result.options.method
    internal = None
    try:
        internal = validate_internally(
            result.pipeline, dataset.x[rows], dataset.y[rows], dataset.patients[rows], dataset.columns,
            replicates, repeats, result.options.jobs, progress,
        )  # fmt: skip
        more = about_resampling(internal, method, replicates, repeats)
    except ValueError as error:
        more = [f"The development could not be validated internally ({error})."]
    training = {**result.model.training, "remarks": [*result.messages, *more]}
    if internal is not None:
        training["internal_validation"] = _internal_summary(internal, method)
    model = replace(result.model, training=training)
    return replace(result, internal=internal, model=model, messages=(*result.messages, *more))


def performance_table(result: TrainingResult) -> str:
    """Area under the curve with its 95% interval per split and model, as text."""
    how = "cross-fitted" if result.options.method == CROSS_FITTED else "in-sample (optimistic)"
    lines = [auc_table(result.performance)]
    nested = result.internal.nested.get(result.options.method) if result.internal else None
    if nested:
        areas = "".join(f"{auc_text(nested.auc[name]):<22}" for name in LOGISTIC_MODELS)
        lines.append(f"{'train, nested cross-validation':<35}{areas}".rstrip())
    lines.append(f"(train: {how} Rad-scores, logistic coefficients fitted to the same cases)")
    return "\n".join(lines)


def _check_options(options: TrainingOptions) -> None:
    """Refuse options that would waste the training or make the outcome its own predictor."""
    for what, value, known in (
        ("method", options.method, METHODS),
        ("selection", options.selection, SELECTIONS),
        ("rule for missing factors", options.missing, MISSING_RULES),
        ("rule for the penalty", options.penalty_rule, PENALTY_RULES),
    ):
        if value not in known:
            raise InputError(f"The {what} is '{value}': give one of {', '.join(known)}.")
    for names in (options.nomogram_regions, options.clinical):
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise InputError(f"'{repeated[0]}' is named twice among the predictors: name it once.")
    refuse_outcomes(options.clinical)
    unknown = [name for name in options.categorical if name not in options.clinical]
    if unknown:
        raise InputError(f"'{unknown[0]}' is declared a category but is no clinical factor: name it among these too.")
    if not options.name.strip():
        raise InputError("The model has no name: give it one.")
    if options.random_state < 0:
        raise InputError(f"The seed is {options.random_state}: give zero or a positive whole number.")
    if min(options.n_folds, options.cross_fit_folds) < 2 or options.jobs == 0:
        raise InputError("Cross-validation needs two folds at least, and the work one job: correct the options.")


def _check_regions(options: TrainingOptions, made: Sequence[str]) -> None:
    unknown = [region for region in options.nomogram_regions if region not in made]
    if unknown:
        raise InputError(f"Nomogram region '{unknown[0]}' is not among {', '.join(made)}: correct the option.")
    both = [name for name in options.clinical if name in made]
    if both:
        raise InputError(f"'{both[0]}' is a region and a clinical factor: rename one of them.")


def _with_images(dataset: Dataset, facts: Mapping[str, Any]) -> tuple[Dataset, dict[str, Any]]:
    """The dataset with what is recorded of its images, and what the model says of those of the training cases.

    Test cases whose images are of another kind are left out: the model would refuse them.
    """
    images = [facts["cases"].get(case_id, {}).get(IMAGE) for case_id in dataset.case_ids]
    missing = [dataset.case_ids[i] for i in dataset.rows("train") if images[i] is None]
    if missing:
        raise InputError(f"features.json does not describe case '{missing[0]}': extract its features again.")
    trained = [images[i] for i in dataset.rows("train")]
    spacings = [value for image in trained for value in image["spacing_mm"]]
    about = {
        "extraction": ExtractionSettings.from_dict(facts["extraction"], source="features.json").to_dict(),
        "margins_mm": tuple(facts["margins_mm"]),
        "spacing_range_mm": (min(spacings), max(spacings)),
        "kind": _only_one(trained, "kind"),
        "presentation": _only_one(trained, "presentation"),
    }
    reasons = {}
    for index, image in enumerate(images):
        if image is None:
            reasons[index] = "features.json does not describe the image"
            continue
        for what in ("kind", "presentation"):
            if about[what] and image.get(what) and image[what] != about[what]:
                reasons[index] = f"{what} of the image is {image[what]}, of the training images {about[what]}"
    return replace(dataset, images=tuple(images)).without(reasons), about


def _only_one(images: Sequence[Mapping[str, Any]], fact: str) -> str | None:
    found = sorted({image.get(fact) for image in images if image.get(fact)})
    if len(found) > 1:
        raise InputError(
            f"The training images mix {' and '.join(found)}: their grey values do not compare, train on one of them."
        )
    return found[0] if found else None


def _fit(dataset: Dataset, options: TrainingOptions) -> RadiomicsNomogram:
    rows, made = dataset.rows("train"), [region for region, _ in dataset.blocks]
    # Without selection all candidates stay: of our own regions those that most published nomograms name.
    named = options.selection == "none" and dataset.images is not None
    regions = options.nomogram_regions or tuple(made[:2] if named else made)
    pipeline = RadiomicsNomogram(
        blocks=dataset.blocks,
        factors=dataset.factors,
        regions=regions,
        signature=LassoSignature(options.penalty_rule, options.n_folds, random_state=options.random_state),
        method=options.method,
        selection=options.selection,
        cross_fit_folds=options.cross_fit_folds,
        n_jobs=options.jobs,
        random_state=options.random_state,
    )
    try:
        pipeline.fit(dataset.x[rows], dataset.y[rows], groups=dataset.patients[rows])
    except ValueError as error:
        raise InputError(f"The model cannot be trained ({error}): more patients are needed.") from None
    return pipeline


def _without_missing_features(dataset: Dataset, pipeline: RadiomicsNomogram) -> Dataset:
    """The dataset without test cases that lack a feature of a signature."""
    complete = dataset.complete(pipeline.used_features_)
    return dataset.without(dict.fromkeys(np.flatnonzero(~complete).tolist(), "lacks a feature of a signature"))


def _performance(
    pipeline: RadiomicsNomogram, logistic: Mapping[str, Mapping[str, LogisticModel]], dataset: Dataset
) -> dict[str, dict[str, SplitPerformance]]:
    """Figures by method and split; of training cases with the Rad-scores that the models were fitted to."""
    by_method: dict[str, dict[str, SplitPerformance]] = {method: {} for method in METHODS}
    for split in SPLITS:
        rows = dataset.rows(split)
        if not len(rows):
            continue
        trained = split == "train"
        designs = pipeline.designs_ if trained else dict.fromkeys(METHODS, pipeline.design(dataset.x[rows]))
        for method in METHODS:
            probabilities = {
                name: expit(model.log_odds(designs[method])) for name, model in pipeline.models_[method].items()
            }
            cutoffs = {name: model.cutoff for name, model in logistic[method].items()}
            by_method[method][split] = assess(split, dataset.y[rows], probabilities, cutoffs, fitted_here=trained)
    return by_method


def _logistic_model(
    pipeline: RadiomicsNomogram, method: str, name: str, dataset: Dataset, options: TrainingOptions
) -> LogisticModel:
    fitted, design = pipeline.models_[method][name], pipeline.designs_[method]
    regions = list(pipeline.scores_.signatures_)
    predictors = []
    for predictor in fitted.predictors:
        if predictor in regions:
            score = design[:, regions.index(predictor)]
            label = f"Rad-score, {region_label(predictor)}"
            predictors.append(Predictor(predictor, RAD_SCORE, label, "", float(score.min()), float(score.max())))
        else:
            predictors.append(_clinical_predictor(predictor, pipeline, dataset, options))
    return LogisticModel(
        predictors=tuple(predictors),
        intercept=fitted.intercept,
        coefficients=tuple(map(float, fitted.coefficients)),
        covariance=tuple(tuple(map(float, row)) for row in fitted.covariance),
        cutoff=youden_cutoff(dataset.y[dataset.rows("train")], expit(fitted.log_odds(design))),
    )


def _clinical_predictor(
    name: str, pipeline: RadiomicsNomogram, dataset: Dataset, options: TrainingOptions
) -> Predictor:
    index = [factor.name for factor in dataset.factors].index(name)
    factor, values = dataset.factors[index], dataset.clinical[dataset.rows("train"), index]
    low, high = (0.0, len(factor.levels) - 1.0) if factor.levels else (np.nanmin(values), np.nanmax(values))
    fill = float(pipeline.encoder_.fills_[index]) if options.missing == "impute" else None
    return Predictor(name, CLINICAL, factor.label, factor.unit, float(low), float(high), factor.levels, fill)


def _signatures(dataset: Dataset, pipeline: RadiomicsNomogram) -> dict[str, Signature]:
    found = {}
    for region, columns in dataset.blocks:
        fitted = pipeline.signatures_[region]
        selected = fitted.selected_
        found[region] = Signature(
            image=IMAGE,
            region=region,
            features=tuple(dataset.columns[columns[i]] for i in selected),
            means=tuple(map(float, fitted.means_[selected])),
            scales=tuple(map(float, fitted.scales_[selected])),
            coefficients=tuple(map(float, fitted.coef_[selected])),
            intercept=fitted.intercept_,
        )
    return found


def _summary(
    dataset: Dataset,
    pipeline: RadiomicsNomogram,
    options: TrainingOptions,
    performance: Mapping[str, SplitPerformance],
    messages: Sequence[str],
) -> dict[str, Any]:
    """What the model file says of its training."""
    recorded = {k: v for k, v in asdict(options).items() if k not in ("jobs", "name", "demonstration")}
    measured = {
        split: {name: asdict(figures.auc) for name, figures in of_split.models.items() if figures.auc is not None}
        for split, of_split in performance.items()
    }
    summary = {
        "options": recorded,
        "cases": {
            split: {"n": len(dataset.rows(split)), "her2_positive": int(dataset.y[dataset.rows(split)].sum())}
            for split in SPLITS
        },
        "auc": measured,
        "penalties": {region: fitted.penalty_ for region, fitted in pipeline.signatures_.items()},
        "remarks": list(messages),
    }
    return _plain(summary)


def _internal_summary(internal: InternalValidation, method: str) -> dict[str, Any]:
    found: dict[str, Any] = {"interrupted": internal.interrupted}
    if method in internal.nested:
        nested = internal.nested[method]
        figures = {"auc": nested.auc, "slope": nested.slope, "brier": nested.brier}
        found["nested_cross_validation"] = {"repeats": nested.repeats, "folds": nested.folds, **figures}
    if method in internal.bootstrap:
        bootstrap = internal.bootstrap[method]
        found["bootstrap"] = {"replicates": bootstrap.done, "figures": bootstrap.figures}
    return _plain(found)


def _plain(content: Any) -> Any:
    """Content as JSON holds it: dataclasses as objects, and what is not a number as null."""
    if hasattr(content, "__dataclass_fields__"):
        return _plain(asdict(content))
    if isinstance(content, Mapping):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_plain(value) for value in content]
    if isinstance(content, float):
        return content if np.isfinite(content) else None
    return json.loads(json.dumps(content))
