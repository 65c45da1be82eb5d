"""Tables of an association study: how each is read on the page, and the same with all digits for a CSV file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .association_terms import (
    Key,
    distinct_labels,
    event_text,
    events_cell,
    has_value,
    keys_of,
    odds_cell,
    p_cell,
    p_equals,
    per_text,
    terms_of,
)
from .clinical import is_number
from .drawing import number_text
from .odds_ratios import AssociationModel, Term
from .report_numbers import DASH, counted, listed, mean_sd, number, p_exact, share, spread_digits
from .report_tables import Row, Table, plain, raw
from .variable import Variable

if TYPE_CHECKING:
    from .association import AssociationResult
    from .characteristics import Characteristic

# Rows of a variable: the heading over its levels, one of these, or its only one.
HEAD, SUB, TOP = "head", "sub", "top"
# So many combinations of a derived variable are on the page; all are in the CSV file.
_MOST_COMBINATIONS = 12
# A column with more different numbers holds measurements, not codes.
_MOST_CODES = 5


def characteristics_table(result: AssociationResult) -> Table:
    """Every predictor in all rows, in those without and in those with the outcome, with a test of no association."""
    totals = (result.n, result.n - result.events, result.events)
    rows = [Row(("Cases", *(str(total) for total in totals), "", ""), TOP)]
    records: list[Mapping[str, object]] = []
    for found in result.characteristics:
        rows += _characteristic_rows(found, result.n, totals)
        records += _characteristic_records(found)
    outcome = result.outcome
    head = (
        "",
        "All",
        *(f"{outcome.factor.label or outcome.name}\n{level}" for level in outcome.levels),
        "p\ntest",
        "SMD",
    )
    notes = (
        "Categories: cases (% of those in the column whose value is known). Numbers: mean (standard deviation) and "
        "Welch's t test where neither group departs from a normal distribution (Shapiro-Wilk), else median [first to "
        "third quartile] and Mann-Whitney U test. Chi-square test without continuity correction; Fisher's exact test, "
        "or that of Freeman and Halton for more than two rows, where an expected count is below 5. N: cases with a "
        "known value. All p-values are two-sided and not corrected for their number.",
        "SMD: standardized mean difference between the two groups, the size of the difference without regard to the "
        "number of cases; for categories that of Yang and Dalton. Values of 0.2, 0.5 and 0.8 are often called small, "
        "medium and large.",
        *(f"{found.variable.label}: {found.test.note}" for found in result.characteristics if found.test.note),
    )
    title = f"Characteristics by outcome ({outcome.label})"
    return Table("characteristics", title, head, tuple(rows), notes, tuple(records))


def _characteristic_rows(found: Characteristic, n: int, totals: Sequence[int]) -> list[Row]:
    variable = found.variable
    known = found.groups[0].n
    test = f"{p_exact(found.test.p)}\n{statistic_text(found.test, known)}", number(found.smd)
    if variable.levels:
        rows = [Row((f"{variable.label}\nn (%)", "", "", "", *test), HEAD)]
        for index, level in enumerate(variable.levels):
            counts = [share(int(group.counts[index]), group.n) for group in found.groups]
            rows.append(Row((level, *counts, "", ""), SUB))
    else:
        how = "median [quartiles]" if found.skewed else "mean (SD)"
        cells = _number_cells(found)
        rows = [Row((f"{variable.label}\n{how}", *cells, *test), TOP)]
    if any(found.missing):
        rows.append(
            Row(("missing", *(share(count, total) for count, total in zip(found.missing, totals)), "", ""), SUB)
        )
    return rows


def _number_cells(found: Characteristic) -> list[str]:
    """A number in all groups, with the same decimals in all of them."""
    whole = found.groups[0]
    if not found.skewed:
        digits = spread_digits(whole.sd)
        return [mean_sd(group.mean, group.sd, digits) for group in found.groups]
    digits = spread_digits(whole.q3 - whole.q1)
    values = found.variable.values[found.variable.known]
    # Between whole numbers a quartile may be a half.
    write = number_text if (values == values.round()).all() else number
    cells = []
    for group in found.groups:
        middle, low, high = (write(value, digits) for value in (group.median, group.q1, group.q3))
        cells.append(f"{middle} [{low} to {high}]" if group.n else DASH)
    return cells


def statistic_text(test: Any, n: int) -> str:
    """A test in the form of journals: ``χ²(1, N = 185) = 3.05``; the name alone where it has no statistic."""
    if math.isnan(test.statistic):
        return test.name
    if "Mann" in test.name:
        return f"U = {test.statistic:.10g}"
    if "t test" in test.name:
        return f"t({number(test.df, 1)}) = {number(test.statistic)}"
    return f"χ²({test.df:g}, N = {n}) = {number(test.statistic)}"


def ratio_text(test: Any) -> str:
    """A likelihood-ratio test: ``χ²(3) = 0.51``."""
    return f"χ²({test.df:g}) = {number(test.statistic)}"


def _characteristic_records(found: Characteristic) -> list[Mapping[str, object]]:
    variable, test = found.variable, found.test
    common = {"variable": variable.name, "label": variable.label}
    about = {
        "test": test.name,
        "statistic": plain(test.statistic),
        "df": plain(test.df),
        "p": plain(test.p),
        "smd": plain(found.smd),
        "note": found.note,
    }
    names = ("all", "without", "with")
    records: list[Mapping[str, object]] = []
    if variable.levels:
        for index, level in enumerate(variable.levels):
            counts = {f"{name}_count": int(group.counts[index]) for name, group in zip(names, found.groups)}
            known = {f"{name}_known": group.n for name, group in zip(names, found.groups)}
            records.append({**common, "level": level, **counts, **known, **about})
    else:
        figures: dict[str, object] = {}
        for name, group in zip(names, found.groups):
            figures[f"{name}_known"] = group.n
            for figure in ("mean", "sd", "median", "q1", "q3", "minimum", "maximum"):
                figures[f"{name}_{figure}"] = plain(getattr(group, figure))
        records.append({**common, "level": "", **figures, **about})
    missing = {f"{name}_missing": count for name, count in zip(names, found.missing)}
    return [{**record, **missing} for record in records]


def odds_table(result: AssociationResult) -> Table:
    """Univariate and adjusted odds ratios side by side."""
    rows, records = [], []
    adjusted, model = terms_of(result.multivariable), result.multivariable
    for variable in result.predictors:
        alone = result.univariate.get(variable.name)
        terms = terms_of(alone)
        if variable.levels:
            rows.append(Row((variable.label, "", "", _overall(alone, variable), "", _overall(model, variable)), HEAD))
        for key in keys_of(variable):
            first, second = terms.get(key), adjusted.get(key)
            odds = odds_cell(first) + ("\nFirth" if alone and alone.firth and has_value(first) else "")
            cells = events_cell(first), odds, p_cell(first), odds_cell(second), p_cell(second)
            rows.append(Row((key[1] or per_text(variable), *cells), SUB if variable.levels else TOP))
            records.append(_odds_record(variable, key, first, second, alone, model))
    head = (
        "Predictor",
        "With the outcome\nof the cases",
        "Univariate\nodds ratio (95% interval)",
        "p",
        f"Adjusted\nodds ratio (95% interval){f', n = {model.n}' if model else ''}",
        "p",
    )
    title = f"Odds ratios for {event_text(result)}"
    return Table("odds_ratios", title, head, tuple(rows), _odds_notes(result), tuple(records))


def _odds_notes(result: AssociationResult) -> tuple[str, ...]:
    model = result.multivariable
    notes = [
        "Odds ratio: by what the odds of the outcome are multiplied, per unit of a number or against the reference "
        "level, which is marked; 1 is no association. With the outcome: cases of this level, or with this value known, "
        "that have it, of all such cases in the univariate model.",
        "p: Wald test of the one odds ratio; overall: likelihood-ratio test of all levels together. Two-sided, not "
        "corrected for the number of tests.",
    ]
    if any(alone.firth for alone in result.univariate.values()):
        notes.append(
            "Firth: the data separate (all or none of the cases with a value have the outcome), where maximum "
            "likelihood gives no finite odds ratio; Firth's penalized likelihood with its profile interval and "
            "likelihood-ratio p does."
        )
    if model is None:
        notes.append(f"There is no adjusted column: {result.no_model}.")
        return tuple(notes)
    how = "Firth's penalized likelihood, because its predictors separate the outcome" if model.firth else ""
    notes.append(
        f"Adjusted: each for all others in the column, in the {model.n} cases that have them all, {model.events} with "
        f"the outcome; {how or 'maximum likelihood'}. A dash: not in the model."
    )
    notes += reference_notes("Adjusted", model, result.predictors)
    return tuple(notes)


def reference_notes(where: str, model: AssociationModel | None, variables: Sequence[Variable]) -> list[str]:
    """Which variables have another reference in a model, because none of its cases has theirs."""
    used = {variable.name: variable for variable in model.variables} if model is not None else {}
    return [
        f"{where}: no case has the reference '{variable.levels[0]}' of {variable.label}; the odds ratios there are "
        f"against '{used[variable.name].levels[0]}'."
        for variable in variables
        if variable.levels and variable.name in used and used[variable.name].levels[0] != variable.levels[0]
    ]


def _overall(model: AssociationModel | None, variable: Variable) -> str:
    """p of all levels together, where there are several."""
    test = model.tests.get(variable.name) if model is not None else None
    return f"{p_exact(test.p)}\noverall" if test is not None and test.df > 1 else ""


def _odds_record(
    variable: Variable,
    key: Key,
    first: Term | None,
    second: Term | None,
    alone: AssociationModel | None,
    model: AssociationModel | None,
) -> dict[str, object]:
    record: dict[str, object] = {"predictor": variable.name, "label": variable.label, "level": key[1] or ""}
    record["per"] = "" if variable.levels else variable.per
    for name, term, of in (("univariate", first, alone), ("adjusted", second, model)):
        record |= term_record(name, term)
        test = of.tests.get(variable.name) if of is not None and term is not None else None
        record[f"{name}_likelihood_ratio_p"] = plain(test.p) if test else ""
        record[f"{name}_model_n"] = of.n if of is not None and term is not None else ""
    return record


def term_record(name: str, term: Term | None) -> dict[str, object]:
    """Counts and odds ratio of a term as entries of a CSV row."""
    if term is None:
        return {f"{name}_n": "", f"{name}_with_outcome": ""}
    record: dict[str, object] = {f"{name}_n": term.n, f"{name}_with_outcome": term.events}
    if term.odds_ratio is None:
        return {**record, f"{name}_odds_ratio": 1.0, f"{name}_method": "reference"}
    return {**record, **raw(term.odds_ratio, f"{name}_odds_ratio"), f"{name}_method": term.odds_ratio.method}


def choice_table(result: AssociationResult) -> Table:
    """Tests of the predictors, which of them entered the multivariable model and why, and their variance inflation."""
    model, labels = result.multivariable, {v.name: v.label for v in result.predictors}
    rows, records = [], []
    for name in [*dict.fromkeys([*labels, *result.left_out])]:
        alone = result.univariate[name].tests[name] if name in result.univariate else None
        within = model.tests.get(name) if model is not None else None
        vif = model.vif.get(name, math.nan) if model is not None else math.nan
        if name in result.entered:
            why = "entered" if model is not None else "would enter"
            why += ", forced in" if name in result.forced_in else ""
        else:
            why = f"left out\n{result.left_out.get(name, '')}" if _says_more(result, name) else "left out"
        tests = [f"{p_exact(test.p)}\n{ratio_text(test)}" if test else DASH for test in (alone, within)]
        rows.append(Row((labels.get(name, name), *tests, number(vif), why)))
        record: dict[str, object] = {"predictor": name, "label": labels.get(name, name)}
        for prefix, test in (("univariate", alone), ("adjusted", within)):
            for figure in ("statistic", "df", "p"):
                record[f"{prefix}_{figure}"] = plain(getattr(test, figure)) if test else ""
        record |= {"vif": plain(vif), "entered": int(name in result.entered), "why": why.replace("\n", ": ")}
        records.append(record)
    notes = (
        f"Rule: what has {result.options.entry_text} alone enters, and what is forced in; all that entered stays. "
        "Nothing was removed afterwards. The p-values are of likelihood-ratio tests, of all levels together.",
        "VIF: variance inflation, how much less precise an odds ratio is because the others of the model tell the "
        "same; 1 is none, above 5 is a lot. For a category it is the generalized one, brought to the same scale.",
    )
    head = ("Predictor", "p alone\nlikelihood ratio", "p adjusted\nlikelihood ratio", "VIF", "Multivariable model")
    title = "Which predictors entered the multivariable model, and why"
    return Table("choice_of_predictors", title, head, tuple(rows), notes, tuple(records))


def _says_more(result: AssociationResult, name: str) -> bool:
    """Whether the reason is another one than the p-value, which stands beside it."""
    return not result.left_out.get(name, "").startswith("p ")


def model_table(result: AssociationResult) -> Table | None:
    """The multivariable model as a whole."""
    model = result.multivariable
    if model is None:
        return None
    overall = f"{ratio_text(model.overall)}, p {p_equals(model.overall.p)}"
    entries = [
        ("Cases in the model", f"{model.n} of {result.n}", model.n),
        ("With the outcome", share(model.events, model.n), model.events),
        ("Coefficients", str(len(model.coefficients)), len(model.coefficients)),
        ("Cases of the rarer outcome per coefficient", number(model.events_per_coefficient, 1), None),
        ("Against no predictor (likelihood ratio)", overall, None),
        ("Nagelkerke's R²", number(model.nagelkerke), None),
        ("Fitted by", "Firth's penalized likelihood" if model.firth else "maximum likelihood", None),
    ]
    full = {
        "Cases of the rarer outcome per coefficient": model.events_per_coefficient,
        "Against no predictor (likelihood ratio)": model.overall.p,
        "Nagelkerke's R²": model.nagelkerke,
    }
    records = [
        {"figure": name, "text": text, "value": value if value is not None else full.get(name, "")}
        for name, text, value in entries
    ]
    rows = tuple(Row((name, text)) for name, text, _ in entries)
    notes = (
        "Where there are fewer than ten cases of the rarer outcome per coefficient, odds ratios tend to lie too far "
        "from 1, and their intervals are not to be relied on. Nagelkerke's R² says how much of the outcome the model "
        "describes in these cases, not how well it would predict in others.",
    )
    return Table("multivariable_model", "The multivariable model", ("", "Value"), rows, notes, tuple(records))


def columns_table(result: AssociationResult, variables: Sequence[Variable]) -> Table:
    """Which columns of the table the variables of the study come from, and by which rule."""
    rows, records = [], []
    for variable in variables:
        sources = ", ".join(sorted(variable.sources))
        coding = ", ".join(variable.levels) if variable.levels else "number"
        name = (
            variable.label
            if variable.name.casefold() == variable.label.casefold()
            else f"{variable.label}\n{variable.name}"
        )
        rows.append(Row((name, sources, coding, variable.rule or "as in the table")))
        records.append({"variable": variable.name, "label": variable.label, "columns": sources, "values": coding})
        records[-1]["rule"] = variable.rule
    head = ("Variable", "Columns of the table", "Values\nthe reference first", "Rule")
    return Table("variables", "Variables of the study", head, tuple(rows), (), tuple(records))


def derivation_tables(result: AssociationResult, names: Sequence[str]) -> list[Table]:
    """Derived variables beside the entries that they were derived from, counted."""
    tables = []
    for found in result.cohort.derivations(names):
        if all(_same(entries, text) for entries, text, _ in found.rows):
            continue
        folded = _folded(found.rows)
        shown = sorted(folded, key=lambda row: -row[2])[:_MOST_COMBINATIONS]
        rows = [Row((*(entry or "blank" for entry in entries), text, str(count))) for entries, text, count in shown]
        notes = [found.rule]
        rest = len(folded) - len(shown)
        if rest:
            notes.append(f"The most frequent ones; {counted(rest, 'further combination')} in the CSV file.")
        elif len(folded) < len(found.rows):
            notes.append("Numbers that became the same are one line, from the smallest to the largest.")
        records = tuple(
            {**dict(zip(found.sources, entries)), found.name: text, "cases": count}
            for entries, text, count in found.rows
        )
        title = f"{found.label} as derived from {listed(found.sources)}"
        head = (*found.sources, found.label, "Cases\nof the whole table")
        tables.append(Table(f"derived_{_stem(found.name)}", title, head, tuple(rows), tuple(notes), records))
    return tables


def _folded(rows: Sequence[tuple[tuple[str, ...], str, int]]) -> list[tuple[tuple[str, ...], str, int]]:
    """Combinations of entries, those that differ only in measured numbers and became the same put together."""
    columns = list(zip(*(entries for entries, _, _ in rows)))
    measured = [len({entry for entry in column if is_number(entry)}) > _MOST_CODES for column in columns]
    groups: dict[tuple, list[tuple[tuple[str, ...], int]]] = {}
    for entries, text, count in rows:
        alike = tuple(None if of and is_number(entry) else entry for of, entry in zip(measured, entries))
        groups.setdefault((alike, text), []).append((entries, count))
    folded = []
    for (alike, text), members in groups.items():
        of_columns = zip(*(entries for entries, _ in members))
        entries = tuple(_span(found) if one is None else one for one, found in zip(alike, of_columns))
        folded.append((entries, text, sum(count for _, count in members)))
    return folded


def _span(entries: Sequence[str]) -> str:
    low, high = (pick(entries, key=float) for pick in (min, max))
    return low if low == high else f"{low} to {high}"


def _same(entries: tuple[str, ...], text: str) -> bool:
    """Whether one entry was taken as it is, or is missing: nothing that anyone needs to check."""
    return len(entries) == 1 and (entries[0].strip().casefold() == text.casefold() or text == "missing")


def _stem(name: str) -> str:
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in name)[:60]


def study_text(result: AssociationResult) -> str:
    """What a terminal shows of a study: its cases and the table of odds ratios, in columns."""
    result = distinct_labels(result)
    cases = f"{counted(result.n, 'case')} of {result.given}, {result.events} with the outcome"
    head = ("", "with/n", "univariate OR (95%)", "p", "adjusted OR (95%)", "p")
    cells = [head]
    for row in odds_table(result).rows:
        first, *others = (text.replace("\n", " ") for text in row.cells)
        # The p of all levels stands in the line of their heading: no need to say so.
        cells.append((f"  {first}" if row.kind == SUB else first, *(text.replace(" overall", "") for text in others)))
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in cells]
    model = result.multivariable
    if model is not None:
        of_model = f"{counted(model.n, 'case')} with all of its predictors, {model.events} with the outcome"
        by_force = f", and {listed(result.forced_in)} by force" if result.forced_in else ""
        lines += ["", f"Adjusted: {of_model}. Predictors with {result.options.entry_text} alone entered{by_force}."]
    if result.imputed is not None:
        lines += ["", *_imputed_lines(result)]
    if result.strata is not None:
        lines += ["", *_strata_lines(result)]
    return "\n".join([f"Odds ratios for {event_text(result)}: {cases}.", "", *lines])


def _imputed_lines(result: AssociationResult) -> list[str]:
    """The adjusted odds ratios with missing values imputed."""
    labels = {v.name: v.label if v.levels else per_text(v) for v in result.predictors}
    pooled = result.imputed
    lines = [f"With missing values imputed, {counted(pooled.n, 'case')}:"]
    for term in pooled.terms:
        if has_value(term):
            name = labels[term.predictor] + (f", {term.level}" if term.level else "")
            lines.append(f"  {name}: {odds_cell(term)}, p {p_equals(term.odds_ratio.p)}")
    return lines


def _strata_lines(result: AssociationResult) -> list[str]:
    """How many cases the strata have, and the tests whether the odds ratios differ between them."""
    strata, labels = result.strata, {variable.name: variable.label for variable in result.predictors}
    sizes = [f"{stratum.level}: {stratum.events} of {stratum.n} with the outcome" for stratum in strata.strata]
    lines = [f"Within {strata.variable.label}: {listed(sizes)}."]
    for what, tests in (("alone", strata.interaction_univariate), ("adjusted", strata.interaction_adjusted)):
        if tests:
            found = "; ".join(f"{labels[name]} {p_exact(test.p)}" for name, test in tests.items())
            lines.append(f"p of interaction, {what}: {found}.")
    return lines
