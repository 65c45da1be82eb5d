"""Tables of an association study on missing values and on strata."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .association_tables import HEAD, SUB, TOP, ratio_text, reference_notes, term_record
from .association_terms import has_value, keys_of, odds_cell, p_cell, p_equals, per_text, terms_of
from .odds_ratios import AssociationModel, Term
from .report_numbers import DASH, listed, number, p_exact, percent, share
from .report_tables import Row, Table, plain
from .variable import Variable

if TYPE_CHECKING:
    from .association import AssociationResult, Strata, Stratum

_MANY_STRATA = 3


def missing_table(result: AssociationResult) -> Table | None:
    """Missing values of the predictors by outcome; None where nothing is missing."""
    if not any(row.n_missing for row in result.missing):
        return None
    with_, without = result.events, result.n - result.events
    rows, records = [], []
    lacking = [row for row in result.missing if row.n_missing]
    known = [row.label for row in result.missing if not row.n_missing]
    for row in sorted(lacking, key=lambda row: -row.n_missing):
        cells = share(row.n_missing, result.n), share(row.without, without), share(row.with_, with_)
        rows.append(Row((row.label, *cells)))
        record = {"predictor": row.name, "label": row.label, "missing": row.n_missing}
        records.append({**record, "without_outcome": row.without, "with_outcome": row.with_})
    rows.append(Row(("All predictors known", share(result.complete, result.n), "", "")))
    names = [f"{result.outcome.factor.label or result.outcome.name}: {level}" for level in result.outcome.levels]
    head = ("Missing", f"All\n{result.n} cases", f"{names[0]}\n{without} cases", f"{names[1]}\n{with_} cases")
    notes = ("Cases (% of those in the column)." + (f" Known in all cases: {listed(known)}." if known else ""),)
    return Table("missing", "Missing values by outcome", head, tuple(rows), notes, tuple(records))


def imputed_table(result: AssociationResult) -> Table | None:
    """Adjusted odds ratios from complete cases and with missing values imputed."""
    model, pooled = result.multivariable, result.imputed
    if model is None or pooled is None:
        return None
    complete, filled = terms_of(model), terms_of(pooled)
    alone = {key: term for of_one in result.alone_in_model.values() for key, term in terms_of(of_one).items()}
    rows, records = [], []
    for variable in (v for v in result.predictors if v.name in result.entered):
        if variable.levels:
            tests = model.tests.get(variable.name), pooled.tests.get(variable.name)
            overall = [f"{p_exact(test.p)}\noverall" if test and len(variable.levels) > 2 else "" for test in tests]
            rows.append(Row((variable.label, "", "", overall[0], "", overall[1], ""), HEAD))
        for key in keys_of(variable):
            first, second = complete.get(key), filled.get(key)
            name = key[0] if key[1] is None else f"{key[0]}: {key[1]}"
            fraction = pooled.fraction_missing.get(name, math.nan)
            lost = percent(fraction) if has_value(second) else ""
            cells = odds_cell(alone.get(key)), odds_cell(first), p_cell(first), odds_cell(second), p_cell(second), lost
            rows.append(Row((key[1] or per_text(variable), *cells), SUB if variable.levels else TOP))
            record = {"predictor": variable.name, "level": key[1] or "", **term_record("alone", alone.get(key))}
            record |= term_record("complete", first)
            records.append({**record, **term_record("imputed", second), "fraction_missing": plain(fraction)})
    head = (
        "Predictor",
        f"Alone\nin the same {model.n} cases",
        f"Adjusted, complete cases\nn = {model.n}",
        "p",
        f"Adjusted, imputed\nn = {pooled.n}",
        "p",
        "Information lost",
    )
    notes = (
        "Odds ratios (95% intervals). From alone to adjusted: what the other predictors change. Against the univariate "
        "odds ratio of all cases: what the loss of cases changes.",
        f"Imputed: {pooled.imputations} completed data sets by chained equations, the outcome among what they are "
        "filled from, pooled by Rubin's rules with the degrees of freedom of Barnard and Rubin. Overall p: F test of "
        "Li, Raghunathan and Rubin.",
        "Information lost: share of what the data would say of this odds ratio that missing values cost.",
        *(
            (
                "The completed data were fitted by Firth's penalized likelihood, their profiles combined (Heinze, "
                "Ploner and Beyea), the tests of factors by Li, Meng, Raghunathan and Rubin.",
            )
            if pooled.firth
            else ()
        ),
    )
    notes += tuple(reference_notes("Complete cases", model, result.predictors))
    title = "Complete cases and multiple imputation side by side"
    return Table("imputation", title, head, tuple(rows), notes, tuple(records))


def strata_tables(result: AssociationResult) -> list[Table]:
    """Odds ratios within the levels of a variable, alone and adjusted, with the tests of interaction."""
    strata = result.strata
    if strata is None:
        return []
    by = strata.variable
    kinds = (
        ("univariate", "Univariate odds ratios", [s.univariate for s in strata.strata], strata.interaction_univariate),
        ("adjusted", "Adjusted odds ratios", [by_predictor(s) for s in strata.strata], strata.interaction_adjusted),
    )
    tables = []
    for kind, title, models, interaction in kinds:
        if any(models):
            variables = stratified_variables(result, models)
            tables.append(_strata_table(strata, f"{title} within {by.label}", kind, variables, models, interaction))
    return tables


def by_predictor(stratum: Stratum) -> dict[str, AssociationModel]:
    """The multivariable model of a stratum under the name of each of its predictors."""
    model = stratum.multivariable
    return {} if model is None else {variable.name: model for variable in model.variables}


def _strata_table(
    strata: Strata,
    title: str,
    kind: str,
    variables: Sequence[Variable],
    models: Sequence[Mapping[str, AssociationModel]],
    interaction: Mapping[str, Any],
) -> Table:
    rows, records = [], []
    for variable in variables:
        terms = [terms_of(of.get(variable.name)) for of in models]
        test = interaction.get(variable.name)
        p = f"{p_exact(test.p)}\n{ratio_text(test)}" if test else DASH
        if variable.levels:
            rows.append(Row((variable.label, *([""] * len(models)), p), HEAD))
        for key in keys_of(variable):
            cells = [_stratum_cell(found.get(key), of.get(variable.name)) for found, of in zip(terms, models)]
            last = "" if variable.levels else p
            rows.append(Row((key[1] or per_text(variable), *cells, last), SUB if variable.levels else TOP))
            for stratum, found in zip(strata.strata, terms):
                record = {"predictor": variable.name, "level": key[1] or "", "stratum": stratum.level}
                records.append({**record, **term_record(kind, found.get(key))})
            records[-1]["interaction_p"] = plain(test.p) if test else ""
    head = (
        "Predictor",
        *(f"{stratum.level}\n{stratum.events} of {stratum.n} with the outcome" for stratum in strata.strata),
        "p of interaction",
    )
    notes = (
        "Odds ratio (95% interval); below it p, and cases with the outcome of all cases. The interaction tells whether "
        "the odds ratios differ between the columns; that one column has p < 0.05 and another has not does not. With "
        "few cases a difference is easily missed.",
        *([_events_note(strata)] if kind == "adjusted" else []),
        *(f"{stratum.level}: {stratum.skipped}." for stratum in strata.strata if stratum.skipped),
        *(
            note
            for stratum, of in zip(strata.strata, models)
            for variable in variables
            for note in reference_notes(stratum.level, of.get(variable.name), [variable])
        ),
    )
    wide = len(models) > _MANY_STRATA
    return Table(f"strata_{kind}", title, head, tuple(rows), notes, tuple(records), wide)


def _events_note(strata: Strata) -> str:
    """How many cases the models of the strata rest on."""
    models = [(stratum.level, stratum.multivariable) for stratum in strata.strata if stratum.multivariable]
    numbers = listed(f"{level} {number(model.events_per_coefficient, 1)}" for level, model in models)
    return (
        f"Cases of the rarer outcome per coefficient: {numbers}. Below ten the odds ratios tend to lie too far from 1, "
        "and their intervals are not to be relied on."
    )


def stratified_variables(result: AssociationResult, models: Sequence[Mapping[str, AssociationModel]]) -> list[Variable]:
    """Predictors that a model of some stratum has, with the levels that they have in all cases."""
    return [variable for variable in result.predictors if any(variable.name in of for of in models)]


def _stratum_cell(term: Term | None, model: AssociationModel | None) -> str:
    if term is None or term.odds_ratio is None:
        return odds_cell(term)
    firth = "Firth, " if model is not None and model.firth else ""
    return f"{odds_cell(term)}\n{firth}p {p_equals(term.odds_ratio.p)} · {term.events}/{term.n}"
