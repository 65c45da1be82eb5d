"""What an association study says of its data in plain sentences: for the terminal and the report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .cases import EQUIVOCAL
from .cohort import overlaps
from .errors import InputError
from .report_numbers import counted, listed, p_exact, percent
from .variable import Variable

if TYPE_CHECKING:
    from .association import AssociationResult
    from .characteristics import Characteristic
    from .odds_ratios import AssociationModel

ALPHA = 0.05
# Below these many events per coefficient odds ratios tend to be too far from 1, and intervals too narrow.
ENOUGH_EVENTS = 10
# Where so many rows more are missing in one outcome group than in the other, the rows that are left are a selection.
_UNEVEN = 0.1
_FEW_OF_REFERENCE = 10
# A category can separate fewer cases than these of each outcome by chance.
_TELLING_CASES = 10


def messages_of(result: AssociationResult) -> tuple[str, ...]:
    """Remarks on rows, missing values, models and their reading, without names of rows or patients."""
    return (
        *_about_rows(result),
        *_about_choice(result),
        *_about_missing(result),
        *_about_models(result),
        *_about_strata(result),
    )


def _about_rows(result: AssociationResult) -> list[str]:
    messages = []
    repeated = result.cohort.repeated_patients
    if repeated:
        messages.append(
            f"{counted(repeated, 'patient')} with several rows in the table: intervals and tests take cases as "
            "independent, which makes them too certain."
        )
    elif not {"case_id", "patient_id"} & {*result.cohort.columns}:
        messages.append(
            "The table has no column case_id or patient_id: whether a patient stands in it twice is not known."
        )
    discordant, by_ish = result.cohort.discordant_her2, result.cohort.columns.get("her2_ish")
    if discordant and any(by_ish in variable.sources for variable in (result.outcome, *result.predictors)):
        messages.append(
            f"In {counted(discordant, 'row')} IHC and ISH disagree (IHC 0 or 1+ with ISH positive, or 3+ with ISH "
            "negative): IHC decides there. Check them."
        )
    return messages


def _about_choice(result: AssociationResult) -> list[str]:
    """What to say where cases were chosen by a column that the outcome comes from."""
    chosen = []
    for column, values in result.options.only.items():
        # The question of the whole project: which of the equivocal tumors are positive.
        if (column, tuple(values)) == ("her2_ihc", (EQUIVOCAL,)):
            continue
        try:
            sources = result.cohort.variable(column).sources
        except InputError:
            continue
        if sources & result.outcome.sources:
            chosen.append(column)
    if not chosen:
        return []
    return [
        f"Cases were chosen by {listed(chosen)}, which comes from columns of the outcome: odds ratios among cases "
        "chosen by their outcome can be made by the choice."
    ]


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
    if uneven:
        messages.append(
            f"Missing more often in one outcome group: {listed(uneven)}. Where it depends on a predictor as well, the "
            "odds ratios of complete cases are wrong; compare them with the imputed ones."
        )
    if result.not_imputed:
        messages.append(f"Missing values could not be imputed: {result.not_imputed}")
    pooled = result.imputed
    if pooled is not None and pooled.imputations < pooled.imputations_advised:
        messages.append(
            f"{pooled.imputations} imputations are few where so much is missing: with other random numbers the imputed "
            f"p-values would be others. At least {pooled.imputations_advised} are advised (--imputations)."
        )
    return messages


def _about_models(result: AssociationResult) -> list[str]:
    telling = [variable.label for variable in result.predictors if _tells(variable, result.y)]
    messages = [
        f"{label} tells the outcome of every case that has it: is it the outcome in other words? Then leave it out."
        for label in telling
    ]
    messages += [f"{name} was to be forced in and is not: {result.left_out[name]}." for name in result.forced_out]
    messages += [
        f"{name} is not in the study: {why}." for name, why in result.left_out.items() if _not_fitted(result, name)
    ]
    messages += [message for variable in result.predictors for message in _about_levels(variable)]
    messages += [message for found in result.characteristics for message in _about_tests(found, result)]
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
    messages += _about_size(result, model)
    if len(model.variables) == 1:
        messages.append("The multivariable model has one predictor: its odds ratio is not adjusted for anything.")
    if result.chosen_by_p:
        messages.append(
            "Predictors were chosen by their p-values on the same cases: adjusted odds ratios of those that entered "
            "tend to lie too far from 1 and their p-values to be too small. What should be adjusted for on clinical "
            "grounds can be forced in."
        )
    return messages


def _about_size(result: AssociationResult, model: AssociationModel) -> list[str]:
    """How many cases there are for what was estimated, and for what it was chosen from."""
    entered, rarer = model.events_per_coefficient, min(result.events, result.n - result.events)
    tried = rarer / sum(len(alone.coefficients) for alone in result.univariate.values())
    few = []
    if entered < ENOUGH_EVENTS:
        drift = "" if model.firth else ", and its odds ratios tend to lie too far from 1"
        few.append(
            f"The multivariable model has {entered:.1f} cases of the rarer outcome per coefficient, fewer than "
            f"{ENOUGH_EVENTS}: it is unstable{drift}."
        )
    if tried < ENOUGH_EVENTS and result.chosen_by_p:
        few.append(
            f"Counted by all coefficients that were tried there are {tried:.1f} cases of the rarer outcome for each: "
            "which predictors entered is in part chance."
        )
    return few


def _about_tests(found: Characteristic, result: AssociationResult) -> list[str]:
    """What to say where tests of the same association fall on different sides of 0.05."""
    alone = result.univariate.get(found.variable.name)
    if alone is None:
        return []
    ratios = [term.odds_ratio for term in alone.terms if term.odds_ratio is not None]
    tests = [(found.test.name, found.test.p), ("likelihood ratio", alone.tests[found.variable.name].p)]
    tests += [(ratios[0].method or "Wald test", ratios[0].p)] if len(ratios) == 1 else []
    if len({p < ALPHA for _, p in tests if not math.isnan(p)}) < 2:
        return []
    listing = listed(f"{name} {p_exact(p)}" for name, p in tests)
    return [
        f"{found.variable.label}: tests of the same association fall on both sides of {ALPHA:g} ({listing}). They "
        "approximate the same thing; take it for a borderline result, whichever is printed."
    ]


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
    """Whether it separates the outcome groups completely, and this in so many cases that it is no chance."""
    with_, without = (variable.values[variable.known & (y == status)] for status in (1, 0))
    if min(len(with_), len(without)) < _TELLING_CASES:
        return False
    if variable.levels:
        return not np.isin(with_, without).any()
    return bool(with_.min() > without.max() or with_.max() < without.min())


def _not_fitted(result: AssociationResult, name: str) -> bool:
    return name not in result.univariate


def _firth_alone(result: AssociationResult, name: str) -> bool:
    return name in result.univariate and result.univariate[name].firth


def _about_strata(result: AssociationResult) -> list[str]:
    if result.strata is None:
        return []
    variable = result.strata.variable
    messages = [f"{variable.label}, {s.level}: {s.skipped}." for s in result.strata.strata if s.skipped]
    same = [v.label for v in result.predictors if v.name in result.univariate and overlaps(v, variable)]
    if same:
        messages.append(f"Within strata {listed(same)} is left out: it comes from the column of the strata.")
    missing = int(np.isnan(variable.values).sum())
    if missing:
        messages.append(f"{variable.label} is missing in {counted(missing, 'case')}, which are in no stratum.")
    return messages
