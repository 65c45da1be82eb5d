"""How an association study calls its variables, levels and odds ratios, in tables, figures and sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from .forest_plot import GROUP, LEVEL, NUMBER, REFERENCE, ForestRow, odds_text
from .odds_ratios import OddsRatio, Term
from .report_numbers import DASH, p_exact, percent
from .variable import Variable

if TYPE_CHECKING:
    from .association import AssociationResult

# Units of time, as one of them is called.
_ONE_OF = {"years": "year", "months": "month", "weeks": "week", "days": "day"}

Key = tuple[str, str | None]


class HasTerms(Protocol):
    """A model, or models of completed data pooled."""

    terms: tuple[Term, ...]


def has_value(term: Term | None) -> bool:
    """Whether a term is there and no reference."""
    return term is not None and term.odds_ratio is not None


def per_text(variable: Variable) -> str:
    """Name of a number with what its odds ratio is for: ``Age, per 10 years``."""
    name, unit = variable.factor.label or variable.name, variable.factor.unit
    if variable.per == 1:
        return f"{name}, per {_ONE_OF.get(unit, '1%' if unit == '%' else unit) or 'unit'}"
    return f"{name}, per {variable.per:g}{'%' if unit == '%' else f' {unit}' if unit else ''}"


def terms_of(model: HasTerms | None) -> dict[Key, Term]:
    """Terms of a model by predictor and level."""
    return {} if model is None else {(term.predictor, term.level): term for term in model.terms}


def keys_of(variable: Variable) -> list[Key]:
    """Predictor and level of every row that a variable has in a table of odds ratios."""
    return [(variable.name, level) for level in variable.levels] or [(variable.name, None)]


def odds_cell(term: Term | None) -> str:
    """``1.95 (0.92 to 4.14)``, or why there is no odds ratio."""
    return odds_text(_odds(term))


def p_cell(term: Term | None) -> str:
    """p of a term; nothing for a reference."""
    if term is not None and term.odds_ratio is None:
        return ""
    return DASH if term is None else p_exact(term.odds_ratio.p)


def events_cell(term: Term | None) -> str:
    """``15/55 (27%)``: how many of the rows of a term have the outcome."""
    if term is None:
        return DASH
    return f"{term.events}/{term.n}" + (f" ({percent(term.events / term.n)})" if term.n else "")


def against(variable: Variable, term: Term, terms: Mapping[Key, Term]) -> str:
    """A term in words: ``HER2 status: positive against negative``, or ``Age, per 10 years``."""
    if term.level is None:
        return per_text(variable)
    references = [key[1] for key, other in terms.items() if key[0] == term.predictor and other.odds_ratio is None]
    name = variable.factor.label or variable.name
    return f"{name}: {term.level}" + (f" against {references[0]}" if references else "")


def p_equals(p: float) -> str:
    """``= 0.081`` or ``< 0.001``, to stand behind a p."""
    text = p_exact(p)
    return text if text[0] in "<>" else f"= {text}"


def event_text(result: AssociationResult) -> str:
    """The outcome that counts: ``Microcalcifications: present``."""
    return f"{result.outcome.factor.label or result.outcome.name}: {result.event}"


def distinct_labels(result: AssociationResult) -> AssociationResult:
    """The result with names added to labels that several of its variables have, such as two of breast density."""
    by = result.strata.variable if result.strata is not None else None
    variables = {v.name: v for v in (result.outcome, *result.predictors, *([by] if by else []))}
    labels = Counter(variable.label for variable in variables.values())

    def distinct(variable: Variable) -> Variable:
        if labels[variable.label] < 2:
            return variable
        factor = variable.factor
        return replace(variable, factor=replace(factor, label=f"{factor.label or factor.name} [{variable.name}]"))

    names = {name: distinct(variable).label for name, variable in variables.items()}
    return replace(
        result,
        outcome=distinct(result.outcome),
        predictors=tuple(map(distinct, result.predictors)),
        characteristics=tuple(replace(c, variable=distinct(c.variable)) for c in result.characteristics),
        missing=tuple(replace(row, label=names.get(row.name, row.label)) for row in result.missing),
        strata=replace(result.strata, variable=distinct(by)) if by else None,
    )


def forest_rows(
    variables: tuple[Variable, ...], models: list[Mapping[Key, Term]], counted: Mapping[Key, Term] | None = None
) -> list[ForestRow]:
    """Rows of a forest plot, one series per model.

    Parameters
    ----------
    variables : tuple of Variable
    models : list of mapping
        Terms by predictor and level.
    counted : mapping, optional
        Terms whose counts stand beside the labels.
    """
    rows = []
    for variable, key, label in _rows(variables):
        if key is None:
            rows.append(ForestRow(label, GROUP))
            continue
        series = tuple(_odds(terms.get(key)) for terms in models)
        term = (counted or {}).get(key)
        note = f"{term.events}/{term.n}" if term else ""
        rows.append(ForestRow(label, LEVEL if variable.levels else NUMBER, note, series))
    return rows


def _rows(variables: Iterable[Variable]) -> Iterator[tuple[Variable, Key | None, str]]:
    for variable in variables:
        if variable.levels:
            yield variable, None, variable.label
            yield from ((variable, (variable.name, level), level) for level in variable.levels)
        else:
            yield variable, (variable.name, None), per_text(variable)


def _odds(term: Term | None) -> OddsRatio | None:
    if term is None:
        return None
    return REFERENCE if term.odds_ratio is None else term.odds_ratio
