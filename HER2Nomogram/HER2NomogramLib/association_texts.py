"""Sentences of the report on an association study: what it found, how it was done, and what does not follow."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from . import RESEARCH_USE
from .association_messages import ALPHA, ENOUGH_EVENTS
from .association_terms import against, event_text, has_value, p_equals, terms_of
from .known_columns import HER2_COLUMNS
from .odds_ratios import AssociationModel, LikelihoodRatio, OddsRatio, Term
from .report_numbers import counted, listed, number, odds_interval, odds_ratio, percent, share

if TYPE_CHECKING:
    from .association import AssociationResult

NOTICE = f"{RESEARCH_USE} Associations within one cohort, not a prediction."
_MOST_IN_HEADLINE, _MOST_NAMES = 3, 8


def headline(result: AssociationResult) -> str:
    """What the study found, in one or two sentences with the effects and their intervals."""
    model = result.multivariable
    cases = f"In {counted(result.n, 'case')}, {result.events} of them with the outcome “{event_text(result)}”,"
    if model is None:
        alone = [found for of_one in result.univariate.values() for found in _findings(result, of_one)]
        if not alone:
            return f"{cases} none of the {_tested(result)} had p < {ALPHA:g}; there is no multivariable model."
        return f"{cases} alone, not adjusted for anything, {_first(alone)}. There is no multivariable model."
    found = _findings(result, model)
    within = f" in {model.n} of them" if model.n < result.n else ""
    adjusted = f"adjusted for each other{within}," if len(model.variables) > 1 else "alone,"
    if not found:
        return (
            f"{cases} no association was shown: {adjusted} none of the predictors in the multivariable model had "
            f"p < {ALPHA:g}. This does not show that there is none."
        )
    whole = model.overall
    doubt = f" The model as a whole has p {p_equals(whole.p)}." if not whole.p < ALPHA else ""
    return f"{cases} {adjusted} {_first(found)}.{doubt}"


def _findings(result: AssociationResult, model: AssociationModel) -> list[tuple[float, str]]:
    """Predictors whose likelihood-ratio test has p below 0.05, with that p: their odds ratios in words.

    Beside an adjusted odds ratio stands the imputed one where cases were lost. Of a category with several odds ratios
    there are those that have a small p of their own; where none has, that its levels differ.
    """
    terms, variables = terms_of(model), {variable.name: variable for variable in result.predictors}
    imputed = terms_of(result.imputed if model is result.multivariable else None)
    found = []
    for name, test in model.tests.items():
        if not test.p < ALPHA:
            continue
        of_name = [term for term in model.terms if term.predictor == name and has_value(term)]
        telling = [term for term in of_name if test.df == 1 or term.odds_ratio.p < ALPHA]
        for term in telling:
            p = test.p if test.df == 1 else term.odds_ratio.p
            again = imputed.get((term.predictor, term.level))
            found.append((test.p, _effect(term, against(variables[name], term, terms), p, again)))
        if not telling:
            label = variables[name].label
            found.append((test.p, f"the odds differed between the levels of {label} (p {p_equals(test.p)})"))
    return found


def _effect(term: Term, name: str, p: float, imputed: Term | None) -> str:
    odds = term.odds_ratio
    higher = "higher" if odds.value > 1 else "lower"
    again = f"; with missing values imputed {odds_interval(imputed.odds_ratio)}" if imputed else ""
    return f"the odds were {higher} with {name} (odds ratio {odds_interval(odds)}, p {p_equals(p)}{again})"


def _first(found: list[tuple[float, str]]) -> str:
    """The findings with the smallest p-values, and how many more there are."""
    texts = [text for _, text in sorted(found, key=lambda pair: pair[0])]
    rest = len(texts) - _MOST_IN_HEADLINE
    more = f"; and {counted(rest, 'further association')} with p < {ALPHA:g}" if rest > 0 else ""
    return "; ".join(texts[:_MOST_IN_HEADLINE]) + more


def _tested(result: AssociationResult) -> str:
    return counted(len(result.univariate), "predictor") + " tested"


def summary(result: AssociationResult) -> dict[str, str]:
    """Lines of the summary by their heading."""
    return {
        "Cases": _cases(result),
        "Each alone": _univariate(result),
        "Adjusted": _adjusted(result),
        "Missing values": _missing(result),
        "Within strata": _strata(result),
        "Number of tests": _number_of_tests(result),
        "What does not follow": (
            "An association is no cause, and it is no prediction: an odds ratio far from 1 can go with a variable that "
            "hardly tells single patients apart. That a p-value is above 0.05 does not show that there is no "
            "association; the interval says which ones are left."
        ),
    }


def _cases(result: AssociationResult) -> str:
    with_outcome = share(result.events, result.n)
    of = f"{result.n} of {result.given}" if result.n < result.given else f"All {result.n}"
    text = f"{of} cases of the table, {with_outcome} with the outcome."
    left_out = sum(result.excluded.values())
    reasons = [f"{reason} ({count})" for reason, count in result.excluded.items()]
    return f"{text} Left out: {left_out}, {listed(reasons)}." if left_out else text


def _univariate(result: AssociationResult) -> str:
    labels = {variable.name: variable.label for variable in result.predictors}
    below = [name for name, model in result.univariate.items() if model.tests[name].p < ALPHA]
    texts = [f"{labels[name]} (p {p_equals(result.univariate[name].tests[name].p)})" for name in below]
    others = [labels[name] for name in result.univariate if name not in below]
    text = f"Of {counted(len(result.univariate), 'predictor')} {len(below)} had p < {ALPHA:g} (likelihood-ratio test)"
    text += f": {listed(texts)}." if texts else "."
    return f"{text} The others: {_few(others)}." if others and below else text


def _few(labels: Sequence[str]) -> str:
    """Labels in a list, or their number where there are many; the tables name them all."""
    return listed(labels) if len(labels) <= _MOST_NAMES else counted(len(labels), "predictor")


def _adjusted(result: AssociationResult) -> str:
    model = result.multivariable
    if model is None:
        return f"No multivariable model: {result.no_model}."
    labels = {variable.name: variable.label for variable in result.predictors}
    names = _few([labels[name] for name in result.entered])
    if len(result.entered) == 1:
        return f"Only {names} entered: there is nothing to adjust for, and its odds ratio is the univariate one."
    per = number(model.events_per_coefficient, 1)
    text = f"{names} in one model of {model.n} cases, {model.events} with the outcome, {per} of the rarer outcome per "
    text += "coefficient"
    text += " (few)" if model.events_per_coefficient < ENOUGH_EVENTS else ""
    text += f"; the model as a whole: p {p_equals(model.overall.p)}."
    if model.firth:
        text += " The data separate: Firth's penalized likelihood."
    if result.chosen_by_p:
        text += " Predictors were chosen by their p-values on the same cases, so adjusted p-values are too small."
    return text


def _missing(result: AssociationResult) -> str:
    if result.complete == result.n:
        return ""
    text = f"{share(result.complete, result.n)} of the cases have all predictors."
    pooled, model = result.imputed, result.multivariable
    if pooled is None or model is None:
        return text
    first, second = terms_of(model), terms_of(pooled)
    variables = {variable.name: variable for variable in result.predictors}
    changed = [
        f"{against(variables[key[0]], term, first)} {odds_ratio(term.odds_ratio.value)} becomes "
        f"{odds_ratio(second[key].odds_ratio.value)} (p {p_equals(second[key].odds_ratio.p)})"
        for key, term in first.items()
        if has_value(term) and has_value(second.get(key)) and _differ(term.odds_ratio, second[key].odds_ratio)
    ]
    if changed:
        return f"{text} With missing values imputed the adjusted odds ratio of {listed(changed[:_MOST_NAMES])}."
    return f"{text} With missing values imputed the adjusted odds ratios are much the same."


def _differ(one: OddsRatio, other: OddsRatio) -> bool:
    """Whether a reader would draw another conclusion: by a quarter more or less, or p across 0.05."""
    apart = abs(math.log(one.value) - math.log(other.value)) if one.value > 0 and other.value > 0 else math.inf
    return apart > math.log(1.25) or (one.p < ALPHA) != (other.p < ALPHA)


def _strata(result: AssociationResult) -> str:
    strata = result.strata
    if strata is None:
        return ""
    text = f"By {strata.variable.label}, {counted(len(strata.strata), 'stratum', 'strata')}."
    if not strata.interaction_univariate:
        return f"{text} Interactions could not be tested."
    for how, tests in (("alone", strata.interaction_univariate), ("adjusted", strata.interaction_adjusted)):
        if tests:
            text += f" {_interactions(result, how, tests)}"
    return text


def _interactions(result: AssociationResult, how: str, tests: Mapping[str, LikelihoodRatio]) -> str:
    """Which of the tests of interaction say that odds ratios differ between strata."""
    labels = {variable.name: variable.label for variable in result.predictors}
    found = [f"{labels[name]} (p {p_equals(test.p)})" for name, test in tests.items() if test.p < ALPHA]
    count = counted(len(tests), "test of interaction", "tests of interaction")
    if not found:
        return f"None of the {count}, {how}, has p < {ALPHA:g}."
    return f"Of {count}, {how}, p < {ALPHA:g} for {listed(found)}."


def _number_of_tests(result: AssociationResult) -> str:
    count = len(result.univariate)
    if count < 2:
        return ""
    return (
        f"{counted(count, 'predictor')} were tested alone. Were none of them associated, and the tests independent, "
        f"one or more would still have p < {ALPHA:g} with a probability of {percent(1 - (1 - ALPHA) ** count)}."
    )


def methods(result: AssociationResult) -> dict[str, str]:
    """How the study was done, by heading, so that it can be written down as it stands."""
    options, model = result.options, result.multivariable
    texts = {
        "Outcome": f"{event_text(result)}, against {result.outcome.levels[0]}. {result.outcome.rule}".strip(),
        "Cases": _rows_of_study(result),
        "Odds ratios": (
            "Logistic regression of the outcome on each predictor alone, in the cases that have it, by maximum "
            "likelihood with Wald intervals and p-values. Where the data separate, so that maximum likelihood has no "
            "finite solution, Firth's penalized likelihood with profile intervals and penalized likelihood-ratio tests."
        ),
        "Multivariable model": _rule(result),
        "Checks": (
            "Likelihood-ratio test of every predictor, variance inflation, events per coefficient, Nagelkerke's R². "
            "That numbers act linearly on the log odds was not tested."
        ),
    }
    numbers = [variable for variable in result.predictors if not variable.levels and variable.per != 1]
    if numbers:
        per = listed(f"{v.factor.label or v.name} per {v.per:g} {v.factor.unit}".strip() for v in numbers)
        texts["Odds ratios"] += f" Units: {per}."
    if result.imputed is not None:
        texts["Missing values"] = (
            f"Complete cases of the model's predictors; beside them multiple imputation by chained equations, "
            f"{result.imputed.imputations} data sets, which takes values for missing at random given the other "
            f"predictors and the outcome; random numbers from seed {options.random_state}."
        )
    elif model is not None and model.n < result.n:
        why = f" ({result.not_imputed.rstrip('.')})" if result.not_imputed else ""
        texts["Missing values"] = f"Complete cases of the model's predictors; nothing was imputed{why}."
    else:
        texts["Missing values"] = "Each model has the cases that have its predictors; nothing had to be imputed."
    if result.strata is not None:
        texts["Strata"] = (
            f"The same within the levels of {result.strata.variable.label}; interaction by likelihood-ratio tests of "
            "the products with it in the model of all strata that have enough cases."
        )
    return texts


def _rows_of_study(result: AssociationResult) -> str:
    only = [f"{name} {listed(values, 'or')}" for name, values in result.options.only.items()]
    chosen = f"Those of the table with {listed(only)}" if only else "All of the table"
    return f"{chosen}, whose outcome is known: {result.n} of {result.given}. The outcome is never filled in."


def _rule(result: AssociationResult) -> str:
    options = result.options
    labels = {variable.name: variable.label for variable in result.predictors}
    text = f"Predictors with {result.options.entry_text} alone (likelihood-ratio test) entered"
    if options.forced:
        text += f", and {listed(labels.get(name, name) for name in options.forced)} whatever the p-value"
    return (
        f"{text}; none was removed afterwards. What comes from the same column as another predictor, or is determined "
        "by others, stayed out."
    )


def concerns_her2(result: AssociationResult) -> bool:
    """Whether the outcome is HER2 status, from HER2 columns alone."""
    return bool(result.outcome.sources) and result.outcome.sources <= _her2_columns(result)


def prediction_paragraphs(result: AssociationResult) -> list[str]:
    """What would have to be done before any of this predicts anything."""
    if not concerns_her2(result):
        return _of_another_outcome(result)
    names = list(result.entered) if result.multivariable is not None else []
    first = (
        "These odds ratios describe the cases that they were computed in, and the predictors of the multivariable "
        "model were chosen in these very cases. A model that predicts HER2 status needs its own development: with "
        "internal validation that repeats the choice of predictors, with calibration, and with cases that had no part "
        "in it."
    )
    if not names:
        return [first, "No predictor stayed in a multivariable model: there is none to suggest for it."]
    forced = f" ({listed(result.forced_in)} by wish, not for a small p)" if result.forced_in else ""
    chosen = shlex.quote(",".join(names))
    command = f"her2nomogram train cases.csv --clinical {chosen} --out model.json --report report.html"
    return [
        first,
        f"The predictors of the multivariable model{forced} are candidates for the clinical part of such a model, "
        "which must be developed and validated there:",
        command,
        "Better candidates are those that earlier studies and clinical knowledge name, whatever their p-value here.",
    ]


def _of_another_outcome(result: AssociationResult) -> list[str]:
    paragraphs = [
        f"The outcome of this study is {result.outcome.label}, not HER2 status. Its odds ratios say by what the odds "
        f"of “{event_text(result)}” are multiplied. They are not weights for predicting HER2: an odds ratio of HER2 "
        "for this outcome cannot be turned around into points of a HER2 model, because it is adjusted for other "
        "variables than such a model has."
    ]
    if not result.outcome.sources & _her2_columns(result):
        paragraphs.append(
            "To study which variables go with HER2 status, run the study with HER2 status as the outcome (--outcome "
            f"her2) and {result.options.outcome} among the predictors."
        )
    return paragraphs


def _her2_columns(result: AssociationResult) -> set[str]:
    return {result.cohort.columns[name] for name in HER2_COLUMNS if name in result.cohort.columns}
