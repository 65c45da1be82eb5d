"""What stands in the report on an association study: tables, figures and sentences in the order of reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import __version__
from .association_strata import by_predictor, imputed_table, missing_table, strata_tables, stratified_variables
from .association_tables import (
    characteristics_table,
    choice_table,
    columns_table,
    derivation_tables,
    model_table,
    odds_table,
)
from .association_terms import distinct_labels, event_text, forest_rows, terms_of
from .association_texts import (
    NOTICE,
    concerns_her2,
    headline,
    methods,
    prediction_paragraphs,
    summary,
)
from .batch import software_versions
from .forest_plot import MOST_SERIES, ForestRow, axis_limits, fitting_parts, forest_figure
from .report_content import Content, Section
from .report_numbers import DASH
from .report_pictures import Picture, flow_picture, picture
from .report_tables import settings_table

if TYPE_CHECKING:
    from .association import AssociationResult

ASSOCIATION = "association"
_FOLDER = "association"
_SECTIONS = {
    "summary": "Summary",
    "methods": "How the study was done",
    "cases": "Cases and variables",
    "characteristics": "Characteristics by outcome",
    "odds-ratios": "Odds ratios",
    "strata": "Within strata",
    "missing": "Missing values",
    "prediction": "From association to prediction",
    "remarks": "Remarks",
    "settings": "Settings and versions",
    "references": "References",
}
_TABLES = (
    "variables", "derived", "characteristics", "odds", "choice", "model", "strata", "missing", "imputation", "settings",
)  # fmt: skip
_PICTURES = ("flow", "odds", "strata")
_PACKAGES = ("numpy", "scipy", "scikit-learn", "matplotlib", "openpyxl")


def association_content(result: AssociationResult) -> Content:
    """Content of the report on an association study."""
    result = distinct_labels(result)
    without = {
        name
        for name, there in (("strata", result.strata), ("missing", any(row.n_missing for row in result.missing)))
        if not there
    }
    sections = tuple(
        Section(name, title, f"{_FOLDER}/{name}.html" if name != "references" else "")
        for name, title in _SECTIONS.items()
        if name not in without
    )
    content = Content(
        ASSOCIATION,
        "Clinical association study",
        NOTICE,
        sections,
        {"version": __version__},
        subject=event_text(result),
        topics=_topics(result),
        styles=(f"{_FOLDER}/style.css",),
        tables={name: [] for name in _TABLES},
        pictures={name: [] for name in _PICTURES},
    )
    content.messages = result.messages
    content.headline, content.summary = headline(result), summary(result)
    content.texts |= {"methods": methods(result), "prediction": prediction_paragraphs(result)}
    _add_cases(content, result)
    content.add("characteristics", characteristics_table(result))
    content.add("odds", odds_table(result), *odds_pictures(result))
    content.add("choice", choice_table(result))
    content.add("model", model_table(result))
    for table in strata_tables(result):
        content.add("strata", table)
    content.add("strata", *strata_pictures(result))
    content.add("missing", missing_table(result))
    content.add("imputation", imputed_table(result))
    content.texts["not_imputed"] = _why_not_imputed(result)
    _add_settings(content, result)
    return content


def _why_not_imputed(result: AssociationResult) -> str:
    if result.multivariable is None:
        return "there is no multivariable model"
    if not result.options.imputations:
        return "it was not asked for"
    if result.not_imputed:
        return result.not_imputed.rstrip(".")
    return "the predictors of the multivariable model are known in all cases"


def _add_cases(content: Content, result: AssociationResult) -> None:
    event = f"with {event_text(result)}"
    flow = {"Analyzed": (result.n, result.events)}
    content.add("flow", flow_picture(result.given, result.excluded, flow, content.notice, event))
    variables = [result.outcome, *result.predictors]
    if result.strata is not None and result.strata.variable.name not in {v.name for v in variables}:
        variables.append(result.strata.variable)
    content.add("variables", columns_table(result, variables))
    names = [variable.name for variable in variables if variable.rule]
    content.add("derived", *derivation_tables(result, names))
    if names:
        content.records["derived_by_line"] = result.cohort.derived_rows(names)


def odds_pictures(result: AssociationResult) -> list[Picture]:
    """Forest plot of univariate and adjusted odds ratios, on several pages where there are many predictors."""
    alone = {key: term for model in result.univariate.values() for key, term in terms_of(model).items()}
    names, models = ["Univariate"], [alone]
    if result.multivariable is not None:
        names, models = [*names, "Adjusted"], [*models, terms_of(result.multivariable)]
    variables = tuple(variable for variable in result.predictors if variable.name in result.univariate)
    caption = (
        f"Odds ratios for {event_text(result)} with 95% intervals. To the right of 1 the outcome is more frequent than "
        "in the reference level or at smaller numbers, to the left less; an interval across 1 leaves both open."
    )
    rows = forest_rows(variables, models, alone)
    return _forest_pictures("odds_ratios", rows, names, caption, note_head="With outcome/n")


def _forest_pictures(
    stem: str, rows: Sequence[ForestRow], names: Sequence[str], caption: str, note_head: str = ""
) -> list[Picture]:
    """A forest plot in parts that fit on a page, all with the same axis."""
    pictures, limits = [], axis_limits(rows)
    for index, part in enumerate(fitting_parts(rows)):
        figure = forest_figure(part, names, note_head=note_head, limits=limits, notice=NOTICE)
        name, text = (f"{stem}_{index + 1}", f"Continued. {caption}") if index else (stem, caption)
        pictures.append(picture(name, figure, text))
    return pictures


def strata_pictures(result: AssociationResult) -> list[Picture]:
    """Forest plots of the odds ratios within strata, alone and adjusted."""
    strata = result.strata
    if strata is None:
        return []
    kinds = {
        "univariate": ("Univariate", [stratum.univariate for stratum in strata.strata]),
        "adjusted": ("Adjusted", [by_predictor(stratum) for stratum in strata.strata]),
    }
    pictures = []
    for kind, (title, models) in kinds.items():
        there = [(stratum.level, of) for stratum, of in zip(strata.strata, models) if of]
        if not 1 < len(there) <= MOST_SERIES:
            continue
        variables = tuple(stratified_variables(result, models))
        terms = [{k: t for model in of.values() for k, t in terms_of(model).items()} for _, of in there]
        names = [f"{strata.variable.factor.label or strata.variable.name}: {level}" for level, _ in there]
        caption = (
            f"{title} odds ratios within {strata.variable.label}. Where intervals overlap much, the data do not tell "
            "the strata apart."
        )
        pictures += _forest_pictures(f"strata_{kind}", forest_rows(variables, terms), names, caption)
    return pictures


def _add_settings(content: Content, result: AssociationResult) -> None:
    options, cohort = result.options, result.cohort
    given = {
        "outcome": options.outcome,
        "event": result.event,
        "predictors": list(options.predictors),
        "categories by wish": list(options.categorical),
        "reference levels by wish": dict(options.references),
        "units of odds ratios": dict(options.per),
        "strata": options.strata,
        "forced in": list(options.forced),
        "p for entry": options.entry_p,
        "only rows with": {name: list(values) for name, values in options.only.items()},
        "Ki-67 threshold (%)": cohort.ki67_threshold,
        "entries that mean missing, besides the usual ones": list(cohort.missing_words),
        "columns by known name": dict(cohort.recognized),
        "imputations": options.imputations,
        "seed": options.random_state,
    }
    content.add("settings", settings_table("study_options", "Options of the study", given, DASH))
    content.add("settings", settings_table("software", "Software", software_versions(_PACKAGES), DASH))


def _topics(result: AssociationResult) -> frozenset[str]:
    """What references belong to the study, by what was used."""
    models = [*result.univariate.values(), *([result.multivariable] if result.multivariable else [])]
    tests = {found.test.name for found in result.characteristics}
    variables = [result.outcome, *result.predictors]
    names = {variable.name for variable in variables}
    sources = {source for variable in variables for source in variable.sources}
    known = {name for name, own in result.cohort.columns.items() if own in sources}
    there = {
        "imputation": result.imputed is not None,
        "firth": any(model.firth for model in models),
        "exact": any("exact" in name for name in tests),
        "categories": any(len(variable.levels) > 2 for variable in result.predictors),
        "vif": result.multivariable is not None,
        "her2": concerns_her2(result) or bool(known & {"her2", "her2_ihc", "her2_ish"}),
        "receptors": bool(known & {"er", "pr"}),
        "subtypes": "immunophenotype" in names,
        "density": "breast_density" in known,
    }
    return frozenset(topic for topic, used in there.items() if used)
