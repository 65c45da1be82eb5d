"""What a training says of its data in plain sentences: for the terminal, the model file and the report."""

from __future__ import annotations

from collections import Counter

import numpy as np

from .dataset import Dataset
from .pipeline import CROSS_FITTED, RadiomicsNomogram
from .resampling import InternalValidation
from .samplesize import SampleSize, minimum_sample_size

# The effect of a level that fewer training cases have is a guess.
_FEW_OF_LEVEL = 5
# Fewer than these give rough figures.
_ENOUGH_REPLICATES, _ENOUGH_REPEATS = 50, 5
# What the number of cases is for that the criterion of this name asks for.
_AIMS = {
    "overall_risk": "to know the overall share of HER2-positive within 0.05",
    "shrinkage": "for coefficients that need at most a tenth of shrinkage, with the R squared assumed there",
    "optimism": "for an R squared that is at most 0.05 too good, with the R squared assumed there",
}


def messages_of(dataset: Dataset, pipeline: RadiomicsNomogram, method: str) -> tuple[str, ...]:
    """What was left out or handled specially, and what the numbers of cases mean; without names of cases.

    Parameters
    ----------
    dataset : Dataset
    pipeline : RadiomicsNomogram
        Fitted to its training cases.
    method : str
        Rad-scores that the models of the result were fitted to.
    """
    return (
        *_about_cases(dataset),
        *_about_factors(dataset),
        *_about_regions(pipeline, method),
        *_about_models(dataset, pipeline, method),
        *_about_size(dataset, pipeline),
    )


def regions_left_out(pipeline: RadiomicsNomogram, method: str) -> dict[str, str]:
    """Candidate regions that no model by a method uses, and why."""
    kept = () if method == CROSS_FITTED else [r for r in pipeline.unused_ if len(pipeline.signatures_[r].selected_)]
    return {region: why for region, why in pipeline.unused_.items() if region not in kept}


def about_flagged(flagged: int, n_cases: int) -> tuple[str, ...]:
    """What to say of cases of which a selected feature means little."""
    if not flagged:
        return ()
    return (
        f"In {flagged} of {_counted(n_cases, 'case')} texture that a signature uses says little, because a region has "
        "one gray level or far too many: see 'problems' in features.json, and choose another binWidth or binCount.",
    )


def about_resampling(internal: InternalValidation, method: str, replicates: int, repeats: int) -> list[str]:
    """What to say where not all that was asked for was done."""
    bootstrap, nested = internal.bootstrap.get(method), internal.nested.get(method)
    finished = [
        f"{done} of {wanted} {what}"
        for done, wanted, what in (
            (bootstrap.done if bootstrap else 0, replicates, "bootstrap replicates"),
            (nested.repeats if nested else 0, repeats, "repeats of the nested cross-validation"),
        )
        if done < wanted
    ]
    messages = []
    if finished:
        why = "it was interrupted" if internal.interrupted else "the patients of the others could not carry a model"
        messages.append(f"Of the internal validation {' and '.join(finished)} are done: {why}.")
    few = []
    if bootstrap and bootstrap.done < _ENOUGH_REPLICATES:
        few.append(f"{_counted(bootstrap.done, 'resample')} of the bootstrap")
    if nested and nested.repeats < _ENOUGH_REPEATS:
        few.append(f"{_counted(nested.repeats, 'repeat')} of the nested cross-validation")
    if few:
        messages.append(
            f"The internal validation rests on {' and '.join(few)}: its figures are rough. At least "
            f"{_ENOUGH_REPLICATES} resamples and {_ENOUGH_REPEATS} repeats are advised."
        )
    return messages


def _about_cases(dataset: Dataset) -> list[str]:
    rows = dataset.rows("train")
    reasons = Counter(exclusion.reason for exclusion in dataset.excluded)
    messages = [f"{_counted(count, 'case')} left out: {reason}." for reason, count in reasons.most_common()]
    if dataset.measured_diameters:
        measured = _counted(dataset.measured_diameters, "case")
        messages.append(f"The tumor diameter of {measured} was measured from the segment.")
    unknown = sum(not dataset.images[i].get("kind") for i in rows) if dataset.images is not None else 0
    if unknown:
        images = _counted(unknown, "training image")
        messages.append(f"{images} of unknown kind: whether recombined or low-energy is not recorded.")
    patients = len(np.unique(dataset.patients[rows]))
    if patients < len(rows):
        messages.append(
            f"{len(rows)} training lesions of {patients} patients: patients stay together in all folds, but intervals "
            "and tests take lesions as independent."
        )
    if dataset.dropped_features:
        dropped = _counted(dataset.dropped_features, "feature")
        such = f"{'such as ' * (dataset.dropped_features > 1)}{dataset.lacking[0][0]}"
        messages.append(f"{dropped} left out, missing or infinite in a training case: {such}.")
    return messages


def _about_factors(dataset: Dataset) -> list[str]:
    messages = []
    for factor, values in zip(dataset.factors, dataset.clinical.T):
        missing = int(np.isnan(values).sum())
        if missing:
            rule = "most frequent level" if factor.levels else "median"
            messages.append(
                f"{factor.label} is missing in {missing} of {_counted(len(values), 'case')} and was replaced by the "
                f"{rule} of the training cases."
            )
        for level, name in enumerate(factor.levels):
            count = int((values[dataset.rows("train")] == level).sum())
            if count < _FEW_OF_LEVEL:
                having = f"{factor.label}: {_counted(count, 'training case')} of '{name}'"
                messages.append(f"{having}, too few to tell its effect.")
    return messages


def _about_regions(pipeline: RadiomicsNomogram, method: str) -> list[str]:
    left_out = regions_left_out(pipeline, method)
    return [
        f"The signature of {region} {why} and is left out."
        if region in left_out
        else f"The signature of {region} {why}; it stays, because in-sample Rad-scores do not show this."
        for region, why in pipeline.unused_.items()
    ]


def _about_models(dataset: Dataset, pipeline: RadiomicsNomogram, method: str) -> list[str]:
    fitted = pipeline.models_[method]
    messages = [
        f"The {name} model was fitted with Firth's method, because {model.firth}."
        for name, model in fitted.items()
        if model.firth
    ]
    nomogram, names = fitted["nomogram"], {factor.name for factor in dataset.factors}
    design = pipeline.designs_[method][:, list(nomogram.columns)]
    if np.linalg.matrix_rank((design - design.mean(axis=0)) / design.std(axis=0)) < len(nomogram.columns):
        messages.append("Some predictors of the nomogram say the same in other words: they share one effect.")
    dropped = dict.fromkeys(row.predictor for row in nomogram.selection if not row.kept)
    if dropped:
        messages.append(
            f"The selection left out of the nomogram: {', '.join(dropped)}. Tests and intervals of what stayed do not "
            "know of this choice."
        )
    if nomogram.predictors and names.issuperset(nomogram.predictors):
        messages.append("No Rad-score is in the nomogram: it is a clinical model.")
    elif names and names.isdisjoint(nomogram.predictors):
        messages.append("No clinical factor is in the nomogram: it is a radiomics model.")
    for name in ("radiomics", *(("clinical",) if names else ())):
        if not fitted[name].predictors:
            messages.append(f"The {name} model has no predictor: it gives all cases the same probability.")
    return messages


def _about_size(dataset: Dataset, pipeline: RadiomicsNomogram) -> list[str]:
    y = dataset.y[dataset.rows("train")]
    rarer = int(min(y.sum(), len(y) - y.sum()))
    coefficients = len(pipeline.regions) + sum(factor.width for factor in dataset.factors)
    candidates = _counted(coefficients, "candidate coefficient")
    features = sum(len(columns) for region, columns in dataset.blocks if region in pipeline.regions)
    messages = []
    if rarer < 10 * coefficients:
        messages.append(
            f"{_counted(rarer, 'training case')} of the rarer class for {candidates} of the nomogram, whose Rad-scores "
            f"were themselves selected from {_counted(features, 'feature')}: expect optimism."
        )
    needed = minimum_sample_size(coefficients, float(y.mean()))
    if len(y) < needed.n:
        messages.append(_about_minimum(len(y), needed))
    return messages


def _about_minimum(n: int, needed: SampleSize) -> str:
    """What too few cases are too few for: the criterion that asks for most, and that of the coefficients."""
    binding = max(_AIMS, key=lambda name: getattr(needed, name))
    rest = "" if binding == "shrinkage" else f"; {needed.shrinkage} for the coefficients' shrinkage"
    return (
        f"{_counted(n, 'training case')}; {needed.n} would be the minimum, {_AIMS[binding]} (Riley et al., BMJ "
        f"2020;368:m441){rest}. The selection of features is not counted."
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
