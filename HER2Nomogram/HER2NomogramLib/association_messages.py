"""What an association study says of its data in plain sentences: for the terminal and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .report_numbers import counted, listed, percent
from .variable import Variable

if TYPE_CHECKING:
    from .association import AssociationResult

# Below these many events per coefficient odds ratios tend to be too far from 1, and intervals too narrow.
_ENOUGH_EVENTS = 10
# Where so many rows more are missing in one outcome group than in the other, the rows that are left are a selection.
_UNEVEN = 0.1
_FEW_OF_REFERENCE = 10
# A category can separate fewer cases than these of each outcome by chance.
_TELLING_CASES = 10


def messages_of(result: AssociationResult) -> tuple[str, ...]:
    """Remarks on rows, missing values, models and their reading, without names of rows or patients."""
    return (
        *_about_rows(result),
        *_about_missing(result),
        *_about_models(result),
        *_about_strata(result),
    )


def _about_rows(result: AssociationResult) -> list[str]:
    messages = []
    repeated = result.cohort.repeated_patients
    if repeated:
        messages.append(
            f"{counted(repeated, 'row')} of the table are of patients who stand in another row: intervals and tests "
            "take cases as independent, which makes them too certain."
        )
    elif not {"case_id", "patient_id"} & {*result.cohort.columns}:
        messages.append(
            "The table has no column case_id or patient_id: whether a patient stands in it twice is not known."
        )
    return messages


def _about_missing(result: AssociationResult) -> list[str]:
    messages = []
    if result.complete < result.n:
        messages.append(
            f"{result.complete} of {result.n} cases have all predictors. Every univariate model uses the cases that "
            "have its predictor, the multivariable model those that have all of its predictors: their numbers differ."
        )
    with_, without = result.events, result.n - result.events
    uneven = [
        f"{row.label} ({percent(row.with_ / with_)} with the outcome, {percent(row.without / without)} without)"
        for row in result.missing
        if abs(row.with_ / with_ - row.without / without) > _UNEVEN
    ]
    if result.not_imputed:
        messages.append(f"Missing values could not be imputed: {result.not_imputed}")
    if uneven:
        look = "look at the imputed odds ratios" if result.imputed else "the odds ratios may be those of it"
        messages.append(f"Missing unevenly: {listed(uneven)}. Complete cases are then a selection; {look}.")
    return messages


def _about_models(result: AssociationResult) -> list[str]:
    telling = [variable.label for variable in result.predictors if _tells(variable, result.y)]
    messages = [
        f"{label} tells the outcome of every case that has it: is it the outcome in other words? Then leave it out."
        for label in telling
    ]
    messages += [
        f"{name} is not in the study: {why}." for name, why in result.left_out.items() if _not_fitted(result, name)
    ]
    messages += [message for variable in result.predictors for message in _about_levels(variable)]
    firth = [variable.label for variable in result.predictors if _firth_alone(result, variable.name)]
    if firth:
        messages.append(
            f"{listed(firth)}: a value that all or none with the outcome have. The odds ratio by maximum likelihood is "
            "infinite; it is Firth's, with its profile interval."
        )
    model = result.multivariable
    if model is None:
        messages.append(f"There is no multivariable model: {result.no_model}.")
        return messages
    if model.firth:
        messages.append(
            "The multivariable model is Firth's: its predictors separate the outcome completely or in part."
        )
    if model.events_per_coefficient < _ENOUGH_EVENTS:
        messages.append(
            f"The multivariable model has {model.events_per_coefficient:.1f} cases of the rarer outcome per "
            f"coefficient, fewer than {_ENOUGH_EVENTS}: its odds ratios tend to lie too far from 1."
        )
    if len(model.variables) == 1:
        messages.append("The multivariable model has one predictor: its odds ratio is not adjusted for anything.")
    if result.left_out and not set(result.entered) <= set(result.options.forced):
        messages.append(
            "Predictors were chosen by their p-values on the same cases: adjusted odds ratios of those that entered "
            "tend to be too large and their p-values too small. What should be adjusted for on clinical grounds can "
            "be forced in."
        )
    return messages


def _about_levels(variable: Variable) -> list[str]:
    """What to say of a reference level that few cases have: every odds ratio of the variable rests on it."""
    if not variable.levels:
        return []
    count = int((variable.values == 0).sum())
    if count >= _FEW_OF_REFERENCE:
        return []
    return [
        f"{variable.label}: {counted(count, 'case')} of the reference '{variable.levels[0]}', on which all of its odds "
        f"ratios rest. Name a larger one (--reference {variable.name}=...)."
    ]


def _tells(variable: Variable, y: np.ndarray) -> bool:
    """Whether no level is in both outcome groups, and this in so many cases that it is no chance."""
    with_, without = (variable.values[variable.known & (y == status)] for status in (1, 0))
    return bool(
        variable.levels and min(len(with_), len(without)) >= _TELLING_CASES and not np.isin(with_, without).any()
    )


def _not_fitted(result: AssociationResult, name: str) -> bool:
    return name not in result.univariate


def _firth_alone(result: AssociationResult, name: str) -> bool:
    return name in result.univariate and result.univariate[name].firth


def _about_strata(result: AssociationResult) -> list[str]:
    if result.strata is None:
        return []
    variable = result.strata.variable
    messages = [f"{variable.label} {text}." for text in result.unfinished]
    missing = int(np.isnan(variable.values).sum())
    if missing:
        messages.append(f"{variable.label} is missing in {counted(missing, 'case')}, which are in no stratum.")
    return messages
