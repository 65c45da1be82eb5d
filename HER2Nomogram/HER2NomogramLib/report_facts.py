"""What the report says in words: sentences for its summary, its methods and the checklists, from results and settings.

Every fact is there in both kinds of report, so that a checklist can name it without asking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import __version__
from .cases import SPLITS
from .features import FAST, FEATURE_ENGINE, PYRADIOMICS
from .modelfile import CLINICAL, Model
from .regions import region_label
from .report_numbers import counted, interval, listed, measured, p_phrase, share, significant, span, times
from .report_tables import (
    SPLIT_LABELS,
    exclusion_counts,
    removed_sentence,
    setting_text,
    within,
)
from .tables import feature_name

OUTCOME = (
    "HER2 status as the case table gives it, or derived from its IHC and ISH: positive for IHC 3+ or 2+ with ISH "
    "positive, negative for IHC 0, 1+ or 2+ with ISH negative; IHC 2+ without ISH is left out."
)
_MEASURES = (
    "Discrimination by the area under the ROC curve (AUC) with DeLong's interval; calibration by intercept, slope, "
    "smooth curve and integrated calibration index; overall error by the Brier score; sensitivity, specificity, "
    "accuracy and predictive values at the training cut-off with Wilson intervals; clinical utility by net benefit "
    "(decision curves)."
)
_UNCERTAINTY = "95% intervals throughout; calibration with its smooth curve and band."
_CUTOFF = (
    "The model gives the probability of HER2-positive. Its cut-off is Youden's on the training cases (largest "
    "sensitivity plus specificity)."
)
_OTHER_SOFTWARE = "The features come from other software, of whose settings nothing is known here."
_SELECTIONS = {
    "none": "No predictor was chosen by the software: all that were named are in.",
    "univariate": (
        "Predictors with p < 0.10 alone (likelihood-ratio test) entered the multivariable model, which was then "
        "reduced step by step until every p was below 0.05; resamples repeat this choice. Screening by "
        "p-values is offered to reproduce published work; PROBAST rates it at high risk of bias."
    ),
    "aic": (
        "Predictors were left out one by one while that lowered Akaike's information criterion; resamples repeat this "
        "choice."
    ),
}
# An interval of a calibration slope that is wider says nothing; a slope between these is as good as 1.
_UNCERTAIN_SLOPE, _GOOD_SLOPE = 2.0, (0.8, 1.25)
_RULES = {
    "min": "the smallest cross-validated deviance",
    "1se": "the largest penalty within one standard error of the smallest cross-validated deviance",
}
_SCORES = {
    "cross-fitted": (
        "The logistic models were fitted to cross-fitted Rad-scores ({folds}): every training case has the score of "
        "signatures that never saw its patient."
    ),
    "published": (
        "The logistic models were fitted to in-sample Rad-scores, as in most published nomograms: every training case "
        "has the score of the signature that was fitted to it, which makes the apparent figures too good."
    ),
}


def development_facts(result: Any, names: Sequence[str]) -> dict[str, str]:
    """Sentences about a development.

    Parameters
    ----------
    result : TrainingResult
    names : sequence of str
        Identifiers that must not appear.
    """
    dataset, options, model = result.dataset, result.options, result.model
    tests = [split for split in SPLITS[1:] if split in result.performance]
    splits = {split: (s.n, s.events) for split, s in result.performance.items()}
    facts = _shared_facts(model, splits, dataset.excluded, dataset.n_given, names, SPLIT_LABELS)
    resampled = is_resampled(result.internal)
    how = ", validated internally by resampling" if resampled else ""
    also = f" and measured on {_in_words(tests)}" if tests else ""
    facts["study_kind"] = f"A model is developed{how}{also}."
    what = "Development and internal validation" if resampled else "Development"
    facts["title"] = f"{what} of a radiomics nomogram for HER2 status"
    facts["candidates"] = (
        f"Candidates: Rad-scores of {listed(map(region_label, _candidate_regions(result)))}; clinical factors: "
        f"{listed(f.label or f.name for f in dataset.factors) or 'none'}."
    )
    per_region = {len(columns) for _, columns in dataset.blocks}
    each = f" ({per_region.pop()} of each)" if len(per_region) == 1 and len(dataset.blocks) > 1 else ""
    alone = f"the {region_label(dataset.blocks[0][0])} region" if len(dataset.blocks) == 1 else ""
    facts["features"] = (
        f"{counted(len(dataset.columns), 'feature')} of {alone or counted(len(dataset.blocks), 'region')}{each}. "
        + removed_sentence(dataset.dropped_features)
    ).strip()
    facts["selection"] = _SELECTIONS[options.selection]
    facts["missing"] = _missing(dataset, options)
    facts["partition"] = _partition(tests, result.internal)
    facts["internal"] = internal_sentence(result.internal)
    facts["building"] = _building(options.method, result.pipeline)
    facts["tuning"] = (
        f"Penalty of the LASSO: of a grid of values the one with {_RULES[options.penalty_rule]}, in stratified "
        f"{options.n_folds}-fold cross-validation that keeps each patient together. Seed {options.random_state}."
    )
    facts["sample_size"] = _sample_size(result)
    facts["updating"] = "None."
    facts["testing"] = _testing(tests, result.internal)
    return facts


def evaluation_facts(validation: Any, names: Sequence[str], labels: Mapping[str, str]) -> dict[str, str]:
    """Sentences about an evaluation; parameters as for :func:`development_facts`, ``labels`` those of the splits."""
    model, splits = validation.model, validation.splits
    counts = {split: (s.n, s.events) for split, s in splits.items()}
    given = validation.n + len(validation.excluded)
    facts = _shared_facts(model, counts, validation.excluded, given, names, labels)
    facts["title"] = "Evaluation of a radiomics nomogram for HER2 status"
    facts["study_kind"] = "An existing model is evaluated as it is."
    facts["candidates"] = facts["selection"] = "As in the development of the model."
    facts["features"] = (
        f"The model uses {counted(selected_features(model), 'selected feature')} of {_regions_in_words(model)}."
    )
    facts["missing"] = f"{_missing_at_use(model)} Cases without a prediction are among those left out."
    facts["partition"] = (
        "Nothing was learned from these cases here. That none of them was used to develop the model, only the author "
        "can say."
    )
    facts["internal"] = ""
    facts["building"] = "LASSO signatures and logistic regression, as the model file has them."
    facts["tuning"] = "None on these cases."
    rarer = min(validation.events, validation.n - validation.events)
    facts["sample_size"] = (
        f"{validation.events} HER2-positive and {validation.n - validation.events} negative cases; about 100 of each "
        f"are advised to evaluate a model (Collins 2016){'' if rarer >= 100 else ', so the intervals are wide'}."
    )
    recalibrated = validation.recalibrated
    facts["updating"] = "None."
    if recalibrated is not None:
        how = {"intercept": "intercept alone", "logistic": "intercept and slope"}[recalibrated.method]
        facts["updating"] = f"The models were recalibrated to these cases ({how})."
        facts["study_kind"] = "An existing model is evaluated, and then recalibrated to these cases."
    facts["testing"] = "An existing model on further cases."
    return facts


def _shared_facts(
    model: Model,
    splits: Mapping[str, tuple[int, int]],
    excluded: Sequence[Any],
    given: int,
    names: Sequence[str],
    labels: Mapping[str, str],
) -> dict[str, str]:
    reasons = {reason: count.total() for reason, count in exclusion_counts(excluded, names).items()}
    left_out = "; ".join(f"{count} {reason}" for reason, count in reasons.items())
    splits_text = "; ".join(
        f"{'' if labels[s] == 'All cases' else within(labels[s]) + ' '}{counted(n, 'case')}, {events} HER2-positive"
        for s, (n, events) in splits.items()
    )
    splits_text = splits_text[:1].upper() + splits_text[1:]
    used = sum(n for n, _ in splits.values())
    return {
        "intended_use": model.intended_use,
        "outcome": OUTCOME,
        "exclusions": f"{counted(len(excluded), 'case')} ({left_out})." if excluded else "no case.",
        "flow": f"{counted(given, 'case')} given, {len(excluded)} left out, {used} used. {splits_text}.",
        "splits": f"{splits_text}.",
        "factors": f"{_factors_in_words(model)}.",
        "predictors": f"Nomogram: {listed(p.label for p in model.nomogram.predictors) or 'no predictor'}.",
        "measures": _MEASURES,
        "uncertainty": _UNCERTAINTY,
        "cutoff": f"{_CUTOFF} Nomogram: {significant(model.nomogram.cutoff, 2)}.",
        "missing_at_use": _missing_at_use(model),
        "digest": model.digest,
        "version": __version__,
        "software": "Software: " + ", ".join(f"{name} {version}" for name, version in model.software.items()) + ".",
        **_image_facts(model),
        **_feature_facts(model),
    }


def _image_facts(model: Model) -> dict[str, str]:
    if model.extraction is None:
        return {
            "images": _OTHER_SOFTWARE,
            "regions": f"Regions by the names of the feature table: {_regions_in_words(model)}.",
            "preparation": _OTHER_SOFTWARE,
            "user_input": "Users give a table of features of the same software and settings, and the clinical factors.",
            "ready": "The command line applies the model to feature tables.",
        }
    spacing = f"pixel spacing {span(*model.spacing_range_mm)} mm in the training images"
    kind = {"recombined": "recombined (subtracted)", "low_energy": "low-energy"}.get(
        model.kind or "", "of unknown kind"
    )
    rings = listed(f"{margin:g}" for margin in model.margins_mm)
    return {
        "images": f"Contrast-enhanced mammograms, {kind}; {spacing}.",
        "regions": (
            f"From the outlined lesion: rings of {rings} mm around it, measured in the image plane and clipped to the "
            "breast, and lesion and ring together."
        ),
        "preparation": (
            "Stored pixel values without windowing, MONOCHROME1 inverted; pixel spacing from DICOM tags, the header of "
            "the file, or as given, never from dots per inch."
        ),
        "user_input": (
            "Users outline the lesion on the image and give the clinical factors; regions and features are then "
            "computed without them."
        ),
        "ready": "The 3D Slicer extension HER2Nomogram and its command line apply the model file.",
    }


def _feature_facts(model: Model) -> dict[str, str]:
    """Sentences about the extraction, for CLEAR above all."""
    facts = {
        "scaling": "Every feature is standardized by mean and standard deviation of the training cases.",
        "reduction": (
            "On the training cases alone: features that hardly vary were left out (standard deviation at most a "
            "thousandth of the largest value), then the LASSO selected."
        ),
        "handling": (
            "Features standardized; Rad-scores and numeric factors linear in the log odds, without transformation; "
            "categories against a reference level."
        ),
        "settings_shared": "All extraction settings are listed, and are part of the model file.",
    }
    if model.extraction is None:
        names = ("resampling", "discretization", "image_types", "extraction", "feature_classes", "defaults")
        return {**facts, **dict.fromkeys(names, _OTHER_SOFTWARE), "settings_shared": _OTHER_SOFTWARE}
    setting = model.extraction.get("setting") or {}
    classes = model.extraction.get("featureClass") or {}
    facts["resampling"] = (
        f"Resampled to {setting_text(setting['resampledPixelSpacing'])} mm."
        if setting.get("resampledPixelSpacing")
        else "None: images keep their own pixel spacing."
    )
    facts["discretization"] = _discretization(setting)
    image_types = model.extraction.get("imageType") or {}
    facts["image_types"] = f"{listed(_image_type(*entry) for entry in image_types.items())}."
    facts["feature_classes"] = f"pyradiomics' classes {listed(_feature_class(*entry) for entry in classes.items())}."
    planar = " LoG filters are computed in the image plane." if "LoG" in image_types else ""
    facts["extraction"] = (
        f"{_engines(model.software)} in two dimensions on one image; hand-crafted features as pyradiomics defines "
        f"them, most of them those of the IBSI.{planar}"
    )
    facts["defaults"] = "Settings that are not listed are pyradiomics' defaults."
    return facts


def _engines(software: Mapping[str, str]) -> str:
    """What computed the features; tables put together from several extractions can have both engines."""
    version = software.get("pyradiomics")
    by_name = {
        FAST: "This software's own compiled code with the same values as pyradiomics",
        PYRADIOMICS: f"pyradiomics{f' {version}' if version else ''}",
    }
    used = [text for name, text in by_name.items() if name in software.get(FEATURE_ENGINE, PYRADIOMICS).split(", ")]
    return listed(used or [by_name[PYRADIOMICS]])


def _discretization(setting: Mapping[str, Any]) -> str:
    if setting.get("binCount"):
        return f"Fixed number of {setting['binCount']:g} gray levels per region, because gray values have no unit here."
    return f"Fixed bin width of {setting.get('binWidth', 25):g}."


def _image_type(name: str, settings: Mapping[str, Any] | None) -> str:
    details = ", ".join(
        f"{key} {setting_text(value)}{' mm' if key == 'sigma' else ''}" for key, value in (settings or {}).items()
    )
    return f"{name} ({details})" if details else name


def _feature_class(name: str, wanted: Sequence[str] | None) -> str:
    return f"{name} ({', '.join(wanted)})" if wanted else name


def _building(method: str, pipeline: Any) -> str:
    scores = _SCORES[method].format(folds=f"{pipeline.cross_fit_folds} folds")
    return (
        "Per region a LASSO-penalized logistic regression on standardized features; its linear score, intercept "
        f"included, is the Rad-score. {scores} Logistic regression by maximum likelihood; Firth's method where "
        "predictors separate the classes or events are few."
    )


def is_resampled(internal: Any) -> bool:
    """Whether a development was repeated on resamples at least once."""
    return internal is not None and bool(internal.nested or internal.bootstrap)


def internal_sentence(internal: Any) -> str:
    """How the model was validated internally."""
    if not is_resampled(internal):
        return "The model was not validated internally: no resampling was asked for or finished."
    parts = [f"nested cross-validation ({n.folds} folds, {times(n.repeats)})" for n in _first(internal.nested)]
    parts += [f"bootstrap with {b.done} resamples" for b in _first(internal.bootstrap)]
    return (
        f"Internal validation by {' and '.join(parts)}: everything that learns from data (features that vary, scaling, "
        "penalties, signatures, filling of missing values, choice of predictors, logistic models) is repeated in every "
        "resample."
    )


def _first(by_method: Mapping[str, Any]) -> list[Any]:
    # Both methods come from the same resamples.
    return list(by_method.values())[:1]


def _in_words(tests: Sequence[str]) -> str:
    return listed(f"{within(SPLIT_LABELS[split])} cases" for split in tests)


def _partition(tests: Sequence[str], internal: Any) -> str:
    kept = f"The {_in_words(tests)} were kept apart from all learning. " if tests else ""
    return f"Everything was learned from the training cases, patient by patient. {kept}{internal_sentence(internal)}"


def _testing(tests: Sequence[str], internal: Any) -> str:
    kept = f"Tested on {_in_words(tests)}." if tests else "No test cases."
    return f"{internal_sentence(internal)} {kept}"


def _missing(dataset: Any, options: Any) -> str:
    counts = {f.label or f.name: int(np.isnan(dataset.clinical[:, i]).sum()) for i, f in enumerate(dataset.factors)}
    lacking = [f"{name} in {share(count, len(dataset.case_ids))}" for name, count in counts.items() if count]
    if options.missing == "exclude":
        text = "Cases with a missing clinical factor were left out."
    elif not lacking:
        text = "No clinical factor is missing in the cases used."
    else:
        text = (
            f"Of the cases used some lack a factor ({listed(lacking)}). It was filled with the median, or the most "
            "frequent level, of the training cases, learned anew in every resample."
        )
    if dataset.measured_diameters:
        cases = counted(dataset.measured_diameters, "case")
        text += f" The tumor diameter of {cases} was measured from the outline."
    return text


def _missing_at_use(model: Model) -> str:
    fills = [f"{p.label}: {p.fill_text}" for p in model.clinical_predictors if p.fill is not None]
    refused = [p.label for p in model.clinical_predictors if p.fill is None]
    parts = [f"A missing factor is filled and the user warned ({'; '.join(fills)})."] if fills else []
    if refused:
        parts.append(f"The model refuses cases without {listed(refused, 'or')}.")
    if model.kind is not None:
        parts.append("It refuses images of another kind.")
    parts.append("Predictors outside their training range are marked as extrapolated.")
    return " ".join(parts)


def candidate_coefficients(result: Any) -> int:
    """Coefficients that the nomogram could have had, those that a selection left out included."""
    return len(_candidate_regions(result)) + sum(factor.width for factor in result.dataset.factors)


def candidate_features(result: Any) -> int:
    """Features that the Rad-scores of the nomogram could select from."""
    regions = _candidate_regions(result)
    return sum(len(columns) for region, columns in result.dataset.blocks if region in regions)


def _sample_size(result: Any) -> str:
    y = result.dataset.y[result.dataset.rows("train")]
    rarer, coefficients = int(min(y.sum(), len(y) - y.sum())), candidate_coefficients(result)
    per = ""
    if coefficients:
        ratio = rarer / coefficients
        verdict = " (far too few)" if ratio < 5 else " (few)" if ratio < 10 else ""
        per = f", {measured(ratio, 2)} per candidate coefficient of the nomogram{verdict}"
    return (
        f"{len(y)} training cases, {rarer} of the rarer class{per}; the signatures selected among "
        f"{counted(candidate_features(result), 'feature')} of the regions in question."
    )


def comparison_sentences(model: Model, splits: Sequence[tuple[str, Any]]) -> list[str]:
    """Per split what the data say of nomogram against clinical model."""
    if not model.clinical.predictors:
        return ["There is no clinical factor: the clinical model gives every case the same probability."]
    sentences = []
    for label, split in splits:
        difference = split.comparisons.get(("nomogram", "clinical"))
        if difference is None:
            continue
        verdict = "shown to separate better than" if difference.low > 0 else "not shown to separate better than"
        if difference.high < 0:
            verdict = "shown to separate worse than"
        sentences.append(
            f"{label}: the nomogram was {verdict} the clinical model (difference of AUC {interval(difference)}, "
            f"{p_phrase(difference.p)})."
        )
    return sentences


def slope_sentence(slope: Any) -> str:
    """What a calibration slope says of the probabilities."""
    if slope is None or np.isnan(slope.value):
        return ""
    text = interval(slope)
    if slope.high < 1:
        return f"calibration slope {text}, so the probabilities are too extreme: high ones too high, low ones too low."
    if slope.low > 1:
        return f"calibration slope {text}, so the probabilities are not extreme enough."
    if slope.high - slope.low > _UNCERTAIN_SLOPE:
        return f"calibration slope {text}, too uncertain to say whether the probabilities are too extreme or too timid."
    if _GOOD_SLOPE[0] <= slope.value <= _GOOD_SLOPE[1]:
        return f"calibration slope {text}, no sign that the probabilities are too extreme or too timid."
    towards = "too extreme" if slope.value < 1 else "not extreme enough"
    unsure = "" if np.isnan(slope.low) else ", though the interval includes the perfect 1"
    return f"calibration slope {text}, so the probabilities tend to be {towards}{unsure}."


def top_features(model: Model, most: int = 3) -> str:
    """The features with the largest coefficients of the signatures in use."""
    found = []
    for region in model.used_regions:
        signature = model.signatures[region]
        found += [
            (abs(c), f"{feature_name(f)} ({region_label(region)})")
            for f, c in zip(signature.features, signature.coefficients)
        ]
    return listed(name for _, name in sorted(found, key=lambda entry: (-entry[0], entry[1]))[:most])


def _candidate_regions(result: Any) -> list[str]:
    return list(result.pipeline.regions or (region for region, _ in result.dataset.blocks))


def selected_features(model: Model) -> int:
    """Number of features behind the Rad-scores in use."""
    return sum(len(model.signatures[region].features) for region in model.used_regions)


def _regions_in_words(model: Model) -> str:
    return listed(map(region_label, model.used_regions or model.signatures))


def _factors_in_words(model: Model) -> str:
    factors = [p for p in model.clinical_predictors if p.source == CLINICAL]
    if not factors:
        return "No clinical factor in the models"
    return "Clinical factors: " + listed(
        f"{p.label} ({', '.join(p.levels)})" if p.levels else f"{p.label}{f' ({p.unit})' if p.unit else ''}"
        for p in factors
    )
