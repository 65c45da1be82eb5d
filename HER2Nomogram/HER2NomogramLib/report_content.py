"""What stands in a report: tables, figures and sentences of a development or an evaluation, in the order of reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .cases import SPLITS
from .checklists import CHECKLISTS, DEVELOPMENT, EVALUATION, Checklist, fill_checklist
from .dataset import IMAGE
from .drawing import MODEL_LABELS
from .modelfile import LOGISTIC_MODELS, Model
from .pipeline import CROSS_FITTED, PUBLISHED
from .report_facts import (
    candidate_coefficients,
    candidate_features,
    development_facts,
    evaluation_facts,
)
from .report_numbers import DASH, without_places
from .report_performance import (
    bootstrap_table,
    comparison_table,
    decision_table,
    extras_table,
    methods_table,
    nested_table,
    performance_table,
    predictor_table,
    recalibration_table,
)
from .report_pictures import (
    Picture,
    calibration_picture,
    decision_picture,
    flow_picture,
    nomogram_picture,
    penalty_picture,
    repeats_picture,
    roc_picture,
    signature_picture,
    stability_picture,
)
from .report_summary import (
    COMPARED,
    bootstrap_of,
    development_headline,
    development_summary,
    evaluation_headline,
    evaluation_summary,
    headline_table,
    measured_development,
    measured_evaluation,
    method_lines,
    method_sentence,
    nested_of,
    no_model_headline,
)
from .report_tables import (
    SPLIT_LABELS,
    Table,
    coefficient_table,
    cohort_table,
    exclusion_counts,
    exclusion_table,
    formula,
    frequency_records,
    labels_of,
    outcome_table,
    predictor_frequency_table,
    sample_size_table,
    selection_table,
    settings_table,
    signature_summary,
    signature_table,
    unique_stems,
)
from .training_messages import regions_left_out

_TITLES = {
    "summary": ("Summary", "Summary"),
    "methods": ("How the model was made", "The model and how it was evaluated"),
    "cases": ("Cases", "Cases"),
    "sample-size": ("Sample size and remarks", "Sample size and remarks"),
    "signatures": ("Radiomics signatures", "Radiomics signatures of the model"),
    "selection": ("How predictors were chosen", ""),
    "nomogram": ("The nomogram", "The nomogram that was evaluated"),
    "internal": ("Internal validation", ""),
    "performance": ("Performance by split", "Performance"),
    "decision": ("Whom to refer to ISH", "Whom to refer to ISH"),
    "recalibration": ("", "Recalibration"),
    "stability": ("Stability of the selection", ""),
    "in-sample": ("Cross-fitted and in-sample Rad-scores", ""),
    "extras": ("Extras", "Extras"),
    "settings": ("Settings and versions", "Settings and versions"),
    "tripod_ai": ("TRIPOD+AI checklist", "TRIPOD+AI checklist"),
    "clear": ("CLEAR checklist", "CLEAR checklist"),
    "references": ("References", "References"),
}
_METHOD_LABELS = {CROSS_FITTED: "Cross-fitted Rad-scores", PUBLISHED: "In-sample Rad-scores (as published)"}
_ORDER = {
    DEVELOPMENT: (
        "summary", "methods", "cases", "sample-size", "signatures", "selection", "nomogram", "internal", "performance",
        "decision", "stability", "in-sample", "extras", "settings", "tripod_ai", "clear", "references",
    ),
    EVALUATION: (
        "summary", "methods", "cases", "sample-size", "performance", "decision", "recalibration", "extras", "nomogram",
        "signatures", "settings", "tripod_ai", "clear", "references",
    ),
}  # fmt: skip
_TABLES = (
    "headline", "cohort", "outcome", "exclusions", "sample_size", "signatures", "signature", "selection",
    "coefficients", "nested", "bootstrap", "performance", "differences", "decision", "recalibration",
    "predictor_stability", "methods", "extras", "options", "extraction", "software", "files",
)  # fmt: skip
_PICTURES = (
    "flow", "signature", "penalty", "nomogram", "repeats", "roc", "calibration", "decision", "stability",
    "recalibrated", "files",
)  # fmt: skip


@dataclass(frozen=True)
class Section:
    """One section of the report."""

    id: str
    title: str
    template: str = ""

    @property
    def source(self) -> str:
        """Template that shows it."""
        return self.template or f"sections/{self.id}.html"


@dataclass(eq=False)
class Content:
    """Everything that the templates show.

    Attributes
    ----------
    kind : {"development", "evaluation", "association"}
    title, notice : str
    sections : tuple of Section
    facts : dict of str to str
    subject : str
        What the report is on, such as the name of the model.
    digest : str
        Of the model.
    topics : frozenset of str
        Which references belong to the report besides those of its kind.
    styles : tuple of str
        Style sheets besides the common one.
    summary : dict of str to str
        Lines of the summary by their heading.
    headline : str
    messages : tuple of str
    tables, pictures : dict of str to list
        By where they stand.
    checklists : dict of str to Checklist
    texts : dict of str to str
        Further sentences and settings of the templates.
    records : dict of str to rows
        Tables that are CSV files only.
    """

    kind: str
    title: str
    notice: str
    sections: tuple[Section, ...]
    facts: dict[str, str]
    subject: str = ""
    digest: str = ""
    topics: frozenset[str] = frozenset()
    styles: tuple[str, ...] = ()
    summary: dict[str, str] = field(default_factory=dict)
    headline: str = ""
    messages: tuple[str, ...] = ()
    tables: dict[str, list[Table]] = field(default_factory=lambda: {name: [] for name in _TABLES})
    pictures: dict[str, list[Picture]] = field(default_factory=lambda: {name: [] for name in _PICTURES})
    checklists: dict[str, Checklist] = field(default_factory=dict)
    texts: dict[str, Any] = field(default_factory=dict)
    records: dict[str, Sequence[Mapping[str, object]]] = field(default_factory=dict)

    def add(self, place: str, *found: Table | Picture | None) -> None:
        """Put tables or figures in a place; None is left out."""
        for one in found:
            if one is not None:
                (self.tables if isinstance(one, Table) else self.pictures)[place].append(one)


def development_content(result: Any, facts: Mapping[str, Any] | None = None) -> Content:
    """Content of the report on a development.

    Parameters
    ----------
    result : TrainingResult
    facts : mapping, optional
        Of the extraction, from :func:`.tables.read_extraction_facts`.
    """
    dataset, model = result.dataset, result.model
    names = {*dataset.case_ids, *map(str, dataset.patients), *(e.case_id for e in dataset.excluded)}
    without = set() if bootstrap_of(result) else {"stability"}
    content = _content(DEVELOPMENT, model, development_facts(result, names), without)
    content.messages = tuple(without_places(message, names) for message in result.messages)
    splits = _tests_first(result.performance, result.options.method)
    _add_cases(content, dataset, result.performance, names, _images(dataset, facts))
    content.add("outcome", outcome_table(dataset))
    content.add("sample_size", _sample_size(result))
    unused = regions_left_out(result.pipeline, result.options.method)
    _add_signatures(content, model, {r: len(c) for r, c in dataset.blocks}, unused)
    for region in model.used_regions:
        fitted = result.pipeline.signatures_[region]
        content.add("penalty", penalty_picture(region, content.texts["stems"][region], fitted, model.notice))
    chosen = {name: fitted.selection for name, fitted in result.pipeline.models_[result.options.method].items()}
    content.add("selection", selection_table(chosen, labels_of(model, dataset.factors)))
    _add_nomogram(content, model)
    _add_internal(content, result)
    _add_performance(content, splits, model.notice)
    content.add("methods", methods_table(method_lines(result), _METHOD_LABELS))
    content.texts["methods_sentence"] = method_sentence(result)
    _add_settings(content, model, result.pipeline.regions)
    lines = measured_development(result, splits)
    content.add("headline", headline_table(lines))
    content.headline = development_headline(lines) if not result.no_model else no_model_headline(lines)
    content.summary = development_summary(result, content.facts, lines, splits)
    return _with_checklists(content)


def evaluation_content(validation: Any) -> Content:
    """Content of the report on an evaluation; ``validation`` is a ModelValidation."""
    model = validation.model
    excluded = {e.case_id for e in validation.excluded}
    names = {*validation.predictions, *excluded}
    labels = _evaluation_labels(validation)
    without = set() if validation.recalibrated else {"recalibration"}
    content = _content(EVALUATION, model, evaluation_facts(validation, names, labels), without)
    content.messages = tuple(without_places(message, names) for message in validation.messages)
    counts = {reason: count.total() for reason, count in exclusion_counts(validation.excluded, names).items()}
    flow = {labels[split]: (s.n, s.events) for split, s in validation.splits.items()}
    content.add("flow", flow_picture(validation.n + len(validation.excluded), counts, flow, model.notice))
    content.add("exclusions", exclusion_table(validation.excluded, names, labels))
    content.add("cohort", predictor_table(validation, labels))
    _add_signatures(content, model, {}, {})
    _add_nomogram(content, model)
    splits = [(labels[split], s) for split, s in validation.splits.items()]
    _add_performance(content, splits, model.notice)
    if validation.recalibrated is not None:
        _add_recalibration(content, validation.recalibrated, labels)
    _add_settings(content, model)
    content.add("headline", headline_table(measured_evaluation(splits)))
    content.headline = evaluation_headline(splits)
    content.summary = evaluation_summary(validation, content.facts, splits)
    return _with_checklists(content)


def _content(kind: str, model: Model, facts: dict[str, str], without: set[str]) -> Content:
    column = 0 if kind == DEVELOPMENT else 1
    sections = tuple(
        Section(name, _TITLES[name][column], "sections/checklist.html" if name in CHECKLISTS else "")
        for name in _ORDER[kind]
        if name not in without
    )
    content = Content(kind, facts["title"], model.notice, sections, facts, subject=model.name, digest=model.digest)
    content.texts["stems"] = unique_stems(model.signatures)
    return content


def _with_checklists(content: Content) -> Content:
    present = [section.id for section in content.sections]
    content.facts["headline"] = content.headline
    content.facts["comparison"] = content.summary[COMPARED]
    content.checklists = {name: fill_checklist(name, content.kind, content.facts, present) for name in CHECKLISTS}
    return content


def _add_cases(content: Content, dataset: Any, performance: Mapping[str, Any], names: set[str], images: Any) -> None:
    counts = {reason: count.total() for reason, count in exclusion_counts(dataset.excluded, names).items()}
    flow = {SPLIT_LABELS[split]: (s.n, s.events) for split, s in performance.items()}
    content.add("flow", flow_picture(dataset.n_given, counts, flow, content.notice))
    content.add("exclusions", exclusion_table(dataset.excluded, names, SPLIT_LABELS))
    content.add("cohort", cohort_table(dataset, images))


def _sample_size(result: Any) -> Table:
    return sample_size_table(result.dataset, candidate_coefficients(result), candidate_features(result), result.model)


def _images(dataset: Any, facts: Mapping[str, Any] | None) -> list[Mapping[str, Any]] | None:
    """What is recorded of the image of each case, None where nothing is."""
    if facts is None:
        return None
    return [facts["cases"].get(case_id, {}).get(IMAGE, {}) for case_id in dataset.case_ids]


def _add_signatures(content: Content, model: Model, candidates: Mapping[str, int], unused: Mapping[str, str]) -> None:
    if not model.signatures:
        return
    content.add("signatures", signature_summary(model, candidates, unused))
    for region, signature in model.signatures.items():
        stem = content.texts["stems"][region]
        table = signature_table(region, stem, signature)
        if region in model.used_regions:
            content.add("signature", table, signature_picture(region, stem, model))
        else:
            content.add("files", table)


def _add_nomogram(content: Content, model: Model) -> None:
    content.add("nomogram", nomogram_picture(model))
    content.add("coefficients", coefficient_table(model))
    content.texts["same_models"] = _same_as_nomogram(model)
    content.texts["formulas"] = [(MODEL_LABELS[name], formula(getattr(model, name))) for name in LOGISTIC_MODELS]


def _same_as_nomogram(model: Model) -> str:
    """What to say where the nomogram is one of the models that it is compared with."""
    for name in ("radiomics", "clinical"):
        if getattr(model, name).predictors == model.nomogram.predictors:
            return f"The nomogram has the same predictors as the {MODEL_LABELS[name].lower()}: the two are one model."
    return ""


def _add_internal(content: Content, result: Any) -> None:
    nested, bootstrap, model = nested_of(result), bootstrap_of(result), result.model
    content.texts["interrupted"] = bool(result.internal and result.internal.interrupted)
    if nested is not None:
        content.add("nested", nested_table(nested))
        content.add("repeats", repeats_picture(nested, model.notice))
    if bootstrap is None:
        return
    content.add("bootstrap", bootstrap_table(bootstrap))
    content.texts["replicates"] = (bootstrap.done, bootstrap.wanted)
    content.texts["cross_fitted"] = result.options.method == CROSS_FITTED
    for region, frequencies in bootstrap.feature_frequency.items():
        stem = content.texts["stems"][region]
        selected = model.signatures[region].features
        content.records[f"stability_{stem}"] = frequency_records(frequencies, selected)
        if region in model.used_regions:
            content.add("stability", stability_picture(region, stem, frequencies, model))
    content.add(
        "predictor_stability",
        predictor_frequency_table(
            bootstrap.predictor_frequency, model.nomogram, labels_of(model, result.dataset.factors)
        ),
    )


def _add_performance(content: Content, splits: Sequence[tuple[str, Any]], notice: str) -> None:
    for index, (label, split) in enumerate(splits):
        content.add("performance", performance_table(split, label, explained=index == 0))
        content.add("roc", roc_picture(split, label, notice, small=len(splits) > 2))
        # Where there are test cases, what a threshold would do to the training cases is for the files only.
        for_files = content.kind == DEVELOPMENT and split.split == "train" and len(splits) > 1
        place = "files" if for_files else "decision"
        content.add(place, decision_picture(split, label, notice), decision_table(split, label))
    content.add("calibration", calibration_picture(_panels(splits), notice))
    content.add("differences", comparison_table(splits))
    content.add("extras", extras_table(splits))


def _panels(splits: Iterable[tuple[str, Any]]) -> dict[str, dict[str, tuple[Any, Any, Any]]]:
    return {
        label: {name: (m.calibration, split.y, split.probabilities[name]) for name, m in split.models.items()}
        for label, split in splits
    }


def _add_recalibration(content: Content, recalibrated: Any, labels: Mapping[str, str]) -> None:
    content.add("recalibration", recalibration_table(recalibrated))
    after = [(f"{labels[split]}, recalibrated", s) for split, s in recalibrated.splits.items()]
    content.add(
        "recalibrated", calibration_picture(_panels(after), recalibrated.model.notice, "calibration_recalibrated")
    )
    content.texts["recalibrated"] = recalibrated
    content.texts["recalibrated_formulas"] = [
        (MODEL_LABELS[name], formula(getattr(recalibrated.model, name))) for name in LOGISTIC_MODELS
    ]


def _add_settings(content: Content, model: Model, regions: Sequence[str] = ()) -> None:
    """Options, extraction and software; ``regions`` are the candidates of the nomogram where these are known."""
    recorded = dict(model.training.get("options") or {})
    if recorded and not recorded.get("nomogram_regions"):
        recorded["nomogram_regions"] = list(regions or model.used_regions)
    names = {"random_state": "seed"}
    options = {names.get(key, key.replace("_", " ")): value for key, value in recorded.items()}
    internal = model.training.get("internal_validation") or {}
    for key, count, name in (
        ("bootstrap", "replicates", "bootstrap resamples"),
        ("nested_cross_validation", "repeats", "repeats of the nested cross-validation"),
    ):
        if internal.get(key):
            options[name] = internal[key].get(count)
    extraction = dict(model.extraction or {})
    if extraction and model.margins_mm:
        extraction = {"ring widths (mm)": list(model.margins_mm), **extraction}
    content.add("options", settings_table("training_options", "Options of the training", options, "not given"))
    content.add("extraction", settings_table("extraction_settings", "Feature extraction", extraction, "all"))
    content.add("software", settings_table("software", "Software that made the model", model.software, DASH))


def _tests_first(performance: Mapping[str, Any], method: str) -> list[tuple[str, Any]]:
    """Splits with their labels, those that nothing was learned from first."""
    how = "cross-fitted" if method == CROSS_FITTED else "in-sample"
    labels = {**SPLIT_LABELS, "train": f"Training ({how} Rad-scores)"}
    order = [*SPLITS[1:], SPLITS[0]]
    return [(labels[split], performance[split]) for split in order if split in performance]


def _evaluation_labels(validation: Any) -> dict[str, str]:
    """Labels of the splits of an evaluation; a table without splits has all cases in ``train``."""
    given = {*validation.splits, *(exclusion.split for exclusion in validation.excluded)}
    return {**SPLIT_LABELS, "train": "All cases" if given == {"train"} else "Split train"}
