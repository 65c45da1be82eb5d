"""The clinical association study: which variables of a cohort go with an outcome, alone and adjusted for each other.

The order of every such paper: who is in the study, characteristics by outcome, univariate odds ratios, those with a
small p-value in one multivariable model, the same within strata, and what missing values do to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .association_messages import messages_of
from .characteristics import Characteristic, characterize
from .clinical import KNOWN_LEVELS
from .cohort import Cohort, overlaps
from .errors import InputError
from .imputation import PooledModel, fit_imputed, impute
from .known_columns import HER2_COLUMNS, tells_her2
from .odds_ratios import AssociationModel, LikelihoodRatio, fit_association, interaction_test, redundant
from .report_numbers import counted, listed, p_phrase
from .variable import Variable

# Rows with the outcome and rows without, at least: with fewer no interval says anything.
MINIMUM_OF_EACH = 5
MOST_PREDICTORS = 60
_UNKNOWN_OUTCOME = "outcome not known"
_FORCED = "forced in"


@dataclass(frozen=True)
class StudyOptions:
    """What is studied and how.

    Attributes
    ----------
    outcome : str
        Column of the table or derived variable.
    predictors : tuple of str
    event : str, optional
        Value of the outcome that counts; by default the second of two, such as ``positive`` or ``present``.
    categorical : tuple of str
        Columns whose numbers are names of categories.
    references : mapping of str to str
        Reference level by variable.
    per : mapping of str to float
        Units that the odds ratio of a number is for, such as ``{"age": 10}``.
    strata : str, optional
        Variable within whose levels everything is done again.
    forced : tuple of str
        Predictors that enter the multivariable model whatever their p-value.
    entry_p : float
        Others enter where the likelihood-ratio test of the univariate model has a smaller p-value.
    only : mapping of str to sequence of str
        The study is of the rows that have one of these values in these columns.
    imputations : int
        Completed data sets; 0 leaves the imputation out.
    random_state : int
    """

    outcome: str
    predictors: tuple[str, ...]
    event: str | None = None
    categorical: tuple[str, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    per: Mapping[str, float] = field(default_factory=dict)
    strata: str | None = None
    forced: tuple[str, ...] = ()
    entry_p: float = 0.10
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    imputations: int = 20
    random_state: int = 0

    @property
    def entry_text(self) -> str:
        """Which p-value lets a predictor enter: ``p < 0.10``."""
        return f"p < {self.entry_p:.2f}" if round(self.entry_p, 2) == self.entry_p else f"p < {self.entry_p:g}"


@dataclass(frozen=True)
class MissingRow:
    """Missing values of one predictor: of all rows, of those without and those with the outcome."""

    name: str
    label: str
    n_missing: int
    without: int
    with_: int


@dataclass(frozen=True, eq=False)
class Stratum:
    """The study within one level of the stratifying variable.

    Attributes
    ----------
    level : str
    n, events : int
    univariate : dict of str to AssociationModel
    multivariable : AssociationModel or None
    skipped : str
        Why there is no model, or which predictors are not in it; empty where all is there.
    """

    level: str
    n: int
    events: int
    univariate: dict[str, AssociationModel] = field(default_factory=dict)
    multivariable: AssociationModel | None = None
    skipped: str = ""


@dataclass(frozen=True, eq=False)
class Strata:
    """The study within every level of a variable, and whether the odds ratios differ between them.

    Attributes
    ----------
    variable : Variable
    strata : tuple of Stratum
    interaction_univariate, interaction_adjusted : dict of str to LikelihoodRatio
        Test of the products of a predictor with the stratifying variable, in the model of the two and in the
        multivariable model.
    """

    variable: Variable
    strata: tuple[Stratum, ...]
    interaction_univariate: dict[str, LikelihoodRatio]
    interaction_adjusted: dict[str, LikelihoodRatio]


@dataclass(frozen=True, eq=False)
class AssociationResult:
    """Everything that a study found.

    Attributes
    ----------
    options : StudyOptions
    cohort : Cohort
        The whole table.
    outcome : Variable
        Of the rows analyzed; its second level is the event.
    y : np.ndarray of 0 and 1, shape (n,)
    given : int
        Rows of the table.
    excluded : dict of str to int
        Rows that were left out by reason.
    predictors : tuple of Variable
        Of the rows analyzed, without levels that none of them has.
    characteristics : tuple of Characteristic
    univariate : dict of str to AssociationModel
    entered : dict of str to str
        Predictors of the multivariable model, and why they are in it.
    left_out : dict of str to str
        Other predictors, and why they are not.
    multivariable : AssociationModel or None
    alone_in_model : dict of str to AssociationModel
        Its predictors alone in the cases that it has, where these are fewer than the univariate models have.
    no_model : str
        Why there is no multivariable model.
    imputed : PooledModel or None
        The multivariable model with missing values imputed; None where none is missing.
    not_imputed : str
        Why missing values could not be imputed.
    strata : Strata or None
    missing : tuple of MissingRow
    complete : int
        Rows that have all predictors.
    messages : tuple of str
        Remarks for the reader.
    """

    options: StudyOptions
    cohort: Cohort
    outcome: Variable
    y: np.ndarray
    given: int
    excluded: dict[str, int]
    predictors: tuple[Variable, ...]
    characteristics: tuple[Characteristic, ...]
    univariate: dict[str, AssociationModel]
    entered: dict[str, str]
    left_out: dict[str, str]
    multivariable: AssociationModel | None = None
    alone_in_model: dict[str, AssociationModel] = field(default_factory=dict)
    no_model: str = ""
    imputed: PooledModel | None = None
    not_imputed: str = ""
    strata: Strata | None = None
    missing: tuple[MissingRow, ...] = ()
    complete: int = 0
    messages: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Rows analyzed."""
        return len(self.y)

    @property
    def events(self) -> int:
        """Rows with the outcome."""
        return int(self.y.sum())

    @property
    def event(self) -> str:
        """Value of the outcome that counts."""
        return self.outcome.levels[1]

    @property
    def unfinished(self) -> tuple[str, ...]:
        """What was asked for and could not be done."""
        found = [f"{name} was to be forced in: {self.left_out[name]}" for name in self.forced_out]
        if self.no_model and self.entered:
            found.append(f"multivariable model: {self.no_model}")
        if self.not_imputed:
            found.append(f"imputation: {self.not_imputed}")
        strata = self.strata.strata if self.strata else ()
        return (*found, *(f"{stratum.level}: {stratum.skipped}" for stratum in strata if stratum.skipped))

    @property
    def forced_in(self) -> tuple[str, ...]:
        """Predictors of the multivariable model that are in it whatever their p-value."""
        return tuple(name for name, why in self.entered.items() if why == _FORCED)

    @property
    def chosen_by_p(self) -> tuple[str, ...]:
        """Predictors of the multivariable model that entered it for a small p-value."""
        return tuple(name for name, why in self.entered.items() if why != _FORCED)

    @property
    def forced_out(self) -> tuple[str, ...]:
        """Predictors that were to be in the multivariable model and are not."""
        return tuple(name for name in self.options.forced if name in self.left_out)


def associate(
    cohort: Cohort, options: StudyOptions, progress: Callable[[int, int], None] | None = None
) -> AssociationResult:
    """Do the association study of a cohort.

    Parameters
    ----------
    cohort : Cohort
    options : StudyOptions
    progress : callable, optional
        Called with the number of imputations done and wanted.

    Raises
    ------
    InputError
        Where the outcome or a predictor cannot be used, the outcome is its own predictor, or too few rows are left.
    """
    _check_names(options)
    kept, excluded = _chosen(cohort, options)
    outcome, rows, unknown = _outcome(kept, options)
    excluded |= unknown
    y = outcome.values.astype(int)
    predictors, left_out = _predictors(kept, options, outcome, rows)
    univariate = _univariate(predictors, y, left_out)
    if not univariate:
        name, why = next((name, why) for name, why in left_out.items() if name in _names(predictors))
        raise InputError(f"No predictor can be studied; {name}: {why}")
    chosen, entered = _entering(predictors, univariate, options, y, left_out)
    result = AssociationResult(
        options=options,
        cohort=cohort,
        outcome=outcome,
        y=y,
        given=cohort.n,
        excluded=excluded,
        predictors=predictors,
        characteristics=tuple(characterize(variable, y) for variable in predictors),
        univariate=univariate,
        entered=entered,
        left_out=left_out,
        missing=tuple(_missing(variable, y) for variable in predictors),
        complete=int(np.all([variable.known for variable in predictors], axis=0).sum()),
    )
    result = _with_multivariable(result, chosen, progress)
    if options.strata:
        result = replace(result, strata=_strata(kept, result, chosen, rows))
    return replace(result, messages=messages_of(result))


def _check_names(options: StudyOptions) -> None:
    repeated = [name for name, count in Counter(options.predictors).items() if count > 1]
    if repeated:
        raise InputError(f"Predictor '{repeated[0]}' is named twice: leave one out.")
    if len(options.predictors) > MOST_PREDICTORS:
        raise InputError(
            f"{len(options.predictors)} predictors are named, at most {MOST_PREDICTORS} are possible: of so many tests "
            "most of what is found is chance. Name those that the study is about."
        )
    if not options.predictors:
        raise InputError("No predictor is named: name the variables whose association with the outcome is studied.")
    for what, names in (("force", options.forced), ("per", options.per)):
        for name in names:
            if name not in options.predictors:
                raise InputError(
                    f"'{name}' of the option '{what}' is no predictor: name it there, too, or leave it out."
                )
    named = {*options.predictors, options.outcome, options.strata}
    if options.outcome in options.references:
        raise InputError(f"'{options.outcome}' is the outcome, it has no reference: name its event (--event).")
    for what, names in (("reference", options.references), ("categorical", options.categorical)):
        for name in names:
            if name not in named:
                raise InputError(f"'{name}' of the option '{what}' is no variable of the study: leave it out.")
    if options.random_state < 0:
        raise InputError(f"A seed of {options.random_state} is not possible: give 0 or more.")
    if options.imputations < 0 or options.imputations == 1:
        raise InputError(
            f"{options.imputations} imputations say nothing of how they differ: give 2 or more, or 0 for none."
        )
    if not 0 < options.entry_p <= 1:
        raise InputError(f"A p-value of {options.entry_p:g} for entry is not possible: give one up to 1, such as 0.10.")


def _chosen(cohort: Cohort, options: StudyOptions) -> tuple[Cohort, dict[str, int]]:
    """The rows that the study is of, and how many others there are."""
    excluded = {}
    for column, values in options.only.items():
        kept = cohort.only(column, values)
        if kept.n < cohort.n:
            excluded[f"{column} is not {listed(values, 'or')}, or missing"] = cohort.n - kept.n
        cohort = kept
    return cohort, excluded


def _outcome(cohort: Cohort, options: StudyOptions) -> tuple[Variable, np.ndarray, dict[str, int]]:
    """The outcome with the event as its second level, the rows that have it, and why the others have not."""
    name = options.outcome
    variable = cohort.variable(name, name in options.categorical)
    if not variable.levels and len(np.unique(variable.values[variable.known])) == 2:
        variable = cohort.variable(name, True)
    if not variable.levels:
        different = len(np.unique(variable.values[variable.known]))
        raise InputError(
            f"Outcome '{name}' has {different} different numbers: an outcome has two values. Name another column, or "
            "declare it a category (--categorical) and name the event (--event)."
        )
    variable = _with_event(variable, options.event)
    reasons = Counter(variable.why_missing.get(int(row), _UNKNOWN_OUTCOME) for row in np.flatnonzero(~variable.known))
    rows = variable.known
    variable = variable.rows(rows)
    for level, text in enumerate(variable.levels):
        count = int((variable.values == level).sum())
        if count < MINIMUM_OF_EACH:
            raise InputError(
                f"Outcome '{name}': {counted(count, 'case')} of '{text}', at least {MINIMUM_OF_EACH} of each value are "
                "needed to say anything."
            )
    return variable, rows, dict(reasons.most_common())


def _with_event(variable: Variable, event: str | None) -> Variable:
    """A categorical outcome with two levels, the event second."""
    name, levels = variable.name, variable.levels
    choice = listed([f"'{level}'" for level in levels], "or")
    if event is None:
        if len(levels) > 2:
            raise InputError(
                f"Outcome '{name}' has {len(levels)} values: say which is the event (--event {choice}); the others "
                "together are what it is compared with."
            )
        plain = levels in (("0", "1"), *KNOWN_LEVELS)
        if not plain and not variable.rule:
            raise InputError(f"Outcome '{name}' is {choice}: say which is the event (--event).")
        return variable
    found = [index for index, level in enumerate(levels) if level.lower() == event.strip().lower()]
    if not found:
        raise InputError(f"--event '{event}' is no value of outcome '{name}': it has {choice}.")
    other = levels[1 - found[0]] if len(levels) == 2 else f"not {levels[found[0]]}"
    values = np.where(variable.known, (variable.values == found[0]).astype(float), np.nan)
    reasons = dict(variable.why_missing)
    for row, possible in variable.possible.items():
        # Of a tumor without Ki-67 it may be unknown which luminal subtype it is, but not that it is none other.
        if len(levels) > 2 and found[0] not in possible:
            values[row] = 0.0
            reasons.pop(row, None)
    factor = replace(variable.factor, levels=(other, levels[found[0]]))
    return replace(variable, factor=factor, values=values, why_missing=reasons, possible={})


def _predictors(
    cohort: Cohort, options: StudyOptions, outcome: Variable, rows: np.ndarray
) -> tuple[tuple[Variable, ...], dict[str, str]]:
    """Predictors of the rows analyzed; and those that have one value there, with the reason."""
    found, left_out = [], {}
    for name in options.predictors:
        variable = _asked(cohort, options, name)
        _refuse_overlap("Predictor", variable, outcome, cohort)
        variable = variable.rows(rows).without_empty_levels()
        different = len(np.unique(variable.values[variable.known]))
        if different < 2:
            left_out[name] = "has one value only" if different else "has no value"
            left_out[name] += " in the cases whose outcome is known"
        else:
            found.append(variable)
    if not found:
        raise InputError("No predictor differs between the cases whose outcome is known: name others.")
    return tuple(found), left_out


def _asked(cohort: Cohort, options: StudyOptions, name: str) -> Variable:
    return cohort.variable(
        name, name in options.categorical, options.references.get(name), float(options.per.get(name, 1.0))
    )


def _refuse_overlap(what: str, variable: Variable, outcome: Variable, cohort: Cohort) -> None:
    """An outcome predicts itself perfectly, and so does what is derived from it."""
    of_her2 = any(cohort.columns.get(name) in outcome.sources for name in HER2_COLUMNS)
    if of_her2 and any(tells_her2(name) for name in (variable.name, *variable.sources)):
        raise InputError(
            f"{what} '{variable.name}' tells the HER2 status, as its name says, and the outcome '{outcome.name}' comes "
            "from HER2 status: an outcome is never its own predictor. Leave it out."
        )
    if variable.name == outcome.name or overlaps(variable, outcome):
        shared = listed([f"'{name}'" for name in sorted(variable.sources & outcome.sources)])
        raise InputError(
            f"{what} '{variable.name}' comes from the same column as the outcome '{outcome.name}' ({shared}): an "
            "outcome is never its own predictor. Leave it out."
        )


def _univariate(predictors: Sequence[Variable], y: np.ndarray, left_out: dict[str, str]) -> dict[str, AssociationModel]:
    """The model of every predictor alone; what cannot be fitted is added to those left out."""
    models = {}
    for variable in predictors:
        try:
            models[variable.name] = fit_association([variable], y)
        except InputError as error:
            left_out[variable.name] = str(error)
    return models


def _alone_in(model: AssociationModel, chosen: Sequence[Variable], y: np.ndarray) -> dict[str, AssociationModel]:
    """Every predictor of a model alone, in the cases of the model: what adjusting changed, not the loss of cases."""
    rows = np.all([variable.known for variable in chosen], axis=0)
    if len(model.variables) == 1 or rows.all():
        return {}
    return _univariate([variable.rows(rows).without_empty_levels() for variable in chosen], y[rows], {})


def _entering(
    predictors: Sequence[Variable],
    univariate: Mapping[str, AssociationModel],
    options: StudyOptions,
    y: np.ndarray,
    left_out: dict[str, str],
) -> tuple[tuple[Variable, ...], dict[str, str]]:
    """Predictors of the multivariable model in the user's order, and why; the others are added to those left out."""
    candidates, entered = [], {}
    # What is forced in is there first, so that another one that says the same has to stay out.
    for variable in sorted(predictors, key=lambda variable: variable.name not in options.forced):
        name = variable.name
        if name not in univariate:
            continue
        p = univariate[name].tests[name].p
        twin = next((other for other in candidates if overlaps(variable, other)), None)
        if name not in options.forced and not p < options.entry_p:
            left_out[name] = p_phrase(p)
        elif twin is not None:
            left_out[name] = f"comes from the same column as {twin.name}"
        else:
            candidates.append(variable)
            entered[name] = _FORCED if name in options.forced else p_phrase(p)
    for name, why in redundant(candidates, y).items():
        left_out[name] = why
        del entered[name]
    order = [variable.name for variable in predictors]
    entered = {name: entered[name] for name in sorted(entered, key=order.index)}
    return tuple(variable for variable in predictors if variable.name in entered), entered


def _missing(variable: Variable, y: np.ndarray) -> MissingRow:
    unknown = ~variable.known
    with_ = int(unknown[y == 1].sum())
    return MissingRow(variable.name, variable.label, int(unknown.sum()), int(unknown.sum()) - with_, with_)


def _with_multivariable(
    result: AssociationResult, chosen: Sequence[Variable], progress: Callable[[int, int], None] | None
) -> AssociationResult:
    """The result with the multivariable model, from complete cases and with missing values imputed."""
    if not chosen:
        return replace(result, no_model=f"no predictor has {result.options.entry_text} in its univariate model")
    try:
        model = fit_association(chosen, result.y)
    except InputError as error:
        return replace(result, no_model=str(error))
    result = replace(result, multivariable=model, alone_in_model=_alone_in(model, chosen, result.y))
    if result.options.imputations and not all(variable.known.all() for variable in chosen):
        try:
            result = replace(result, imputed=_imputed(result, chosen, progress))
        except InputError as error:
            result = replace(result, not_imputed=str(error))
    return result


def _imputed(
    result: AssociationResult, chosen: Sequence[Variable], progress: Callable[[int, int], None] | None
) -> PooledModel:
    """The multivariable model pooled over completed data sets; the other predictors help to complete them."""
    names = [variable.name for variable in chosen]
    helping: list[Variable] = list(chosen)
    for variable in result.predictors:
        if variable.name in result.univariate and not any(overlaps(variable, other) for other in helping):
            helping.append(variable)
    options = result.options
    completed = impute(helping, result.y, options.imputations, random_state=options.random_state, progress=progress)
    data = [[variable for variable in variables if variable.name in names] for variables in completed]
    return fit_imputed(data, result.y)


def _strata(cohort: Cohort, result: AssociationResult, chosen: Sequence[Variable], rows: np.ndarray) -> Strata:
    """The study within the levels of a variable, and the tests whether the odds ratios differ between them."""
    by = _asked(cohort, result.options, result.options.strata)
    _refuse_overlap("Stratifying variable", by, result.outcome, cohort)
    if not by.levels:
        raise InputError(f"Strata '{by.name}' is a number: name a category, such as dense_breast or age_over_50.")
    by = by.rows(rows).without_empty_levels()
    others = [v for v in result.predictors if v.name in result.univariate and not overlaps(v, by)]
    adjusted = [variable for variable in chosen if not overlaps(variable, by)]
    strata = tuple(_stratum(by, index, others, adjusted, result.y) for index in range(len(by.levels)))
    usable = _with_levels(by, [index for index, stratum in enumerate(strata) if stratum.univariate])
    univariate, multivariable = {}, {}
    if len(usable.levels) > 1:
        for variable in others:
            univariate[variable.name] = _interaction([variable], usable, variable.name, result.y)
        for variable in adjusted if len(adjusted) > 1 else ():
            multivariable[variable.name] = _interaction(adjusted, usable, variable.name, result.y)
    return Strata(by, strata, _there(univariate), _there(multivariable))


def _with_levels(by: Variable, levels: Sequence[int]) -> Variable:
    """The variable with some of its levels only, missing where it has another."""
    return replace(by, values=np.where(np.isin(by.values, levels), by.values, np.nan)).without_empty_levels()


def _stratum(
    by: Variable, level: int, others: Sequence[Variable], adjusted: Sequence[Variable], y: np.ndarray
) -> Stratum:
    rows = by.values == level
    within = y[rows]
    events = int(within.sum())
    stratum = Stratum(by.levels[level], len(within), events)
    fewer = min(events, len(within) - events)
    if fewer < MINIMUM_OF_EACH:
        return replace(
            stratum,
            skipped=f"{counted(len(within), 'case')}, {events} with the outcome: too few to say anything",
        )
    names: dict[str, str] = {}
    usable = [variable.rows(rows).without_empty_levels() for variable in others]
    models = _univariate(usable, within, names)
    in_model = [variable for variable in usable if variable.name in models and variable.name in _names(adjusted)]
    multivariable = None
    if len(in_model) > 1:
        try:
            multivariable = fit_association(in_model, within)
        except InputError as error:
            names["the multivariable model"] = str(error)
    skipped = "; ".join(f"{name}: {why}" for name, why in names.items())
    return replace(stratum, univariate=models, multivariable=multivariable, skipped=skipped)


def _names(variables: Sequence[Variable]) -> set[str]:
    return {variable.name for variable in variables}


def _interaction(variables: Sequence[Variable], by: Variable, name: str, y: np.ndarray) -> LikelihoodRatio | None:
    try:
        return interaction_test(variables, by, name, y)
    except InputError:
        return None


def _there(tests: Mapping[str, LikelihoodRatio | None]) -> dict[str, LikelihoodRatio]:
    # No degree of freedom is left where the products say nothing that the two variables do not.
    return {name: test for name, test in tests.items() if test is not None and test.df}
