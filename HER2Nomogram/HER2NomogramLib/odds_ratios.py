"""Odds ratios of an outcome from logistic models, with the tests and the checks that a clinical paper reports."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from .errors import InputError
from .messages import quoted
from .metrics import Z_95, two_sided_p
from .nomogram import LogisticFit, logistic_fit
from .variable import Variable

WALD = "Wald"
PROFILE = "profile penalized likelihood"
# Standard errors that a 95% interval reaches to either side.
# A column of which less than this share is left by the columns before it is their linear combination but for rounding:
# a variance inflation of ten billion.
_NOTHING_LEFT = 1e-5
# Profiles are followed this many standard errors from the estimate; what is not reached by then is infinite.
_FARTHEST = 1e3


@dataclass(frozen=True)
class OddsRatio:
    """An odds ratio with its 95% interval and p-value; NaN where there is none.

    Attributes
    ----------
    value, low, high : float
        A bound that the data do not give is 0 or infinite.
    p : float
        Of no association, two-sided.
    method : str
        How interval and p-value were found.
    """

    value: float
    low: float
    high: float
    p: float
    method: str = ""


@dataclass(frozen=True)
class LikelihoodRatio:
    """A likelihood-ratio test of nested models."""

    statistic: float
    df: int
    p: float


@dataclass(frozen=True)
class Term:
    """One line of a table of odds ratios: a number, or one level of a category.

    Attributes
    ----------
    predictor : str
    level : str or None
        None for a number.
    n, events : int
        Rows of the model with this level (all rows for a number), and how many of them have the event.
    odds_ratio : OddsRatio or None
        None for the reference level.
    """

    predictor: str
    level: str | None
    n: int
    events: int
    odds_ratio: OddsRatio | None


@dataclass(frozen=True, eq=False)
class AssociationModel:
    """A logistic model of an outcome on some variables, in the rows that have all of them.

    Attributes
    ----------
    variables : tuple of Variable
        Of the rows used, without levels that none of these has.
    n, events : int
        Rows used, and how many of them have the event.
    firth : bool
        Whether Firth's penalized likelihood was used, with profile intervals and likelihood-ratio p-values; else
        maximum likelihood with Wald intervals and p-values.
    terms : tuple of Term
        In the order of the variables and their levels, references included.
    tests : mapping of str to LikelihoodRatio
        By predictor, against the model without it.
    overall : LikelihoodRatio
        Against the model with an intercept only.
    vif : mapping of str to float
        Variance inflation of every variable by the others, from their design columns. For a category it is the
        generalized one (Fox and Monette, J Am Stat Assoc 1992;87:178) with the power 1/df, so that it reads alike.
    nagelkerke : float
        R squared of Nagelkerke (Biometrika 1991;78:691), from the likelihood without a penalty.
    events_per_coefficient : float
        Rows of the rarer outcome per coefficient besides the intercept.
    intercept : float
    coefficients : np.ndarray, shape (n_coefficients,)
        Log odds ratios, in the order of the terms that have one.
    covariance : np.ndarray, shape (n_coefficients + 1, n_coefficients + 1)
        Of the intercept and the coefficients.
    """

    variables: tuple[Variable, ...]
    n: int
    events: int
    firth: bool
    terms: tuple[Term, ...]
    tests: Mapping[str, LikelihoodRatio]
    overall: LikelihoodRatio
    vif: Mapping[str, float]
    nagelkerke: float
    events_per_coefficient: float
    intercept: float
    coefficients: np.ndarray
    covariance: np.ndarray


def fit_association(variables: Sequence[Variable], y: np.ndarray, firth: bool | None = None) -> AssociationModel:
    """Logistic model of an outcome on variables, in the rows that have all of these.

    Maximum likelihood with Wald intervals and p-values is what clinical papers report. Where the variables separate the
    outcome, as when no row of a level has the event, it has no finite solution, and the whole model is fitted by
    Firth's penalized likelihood, with profile intervals and penalized likelihood-ratio tests (Heinze and Schemper, Stat
    Med 2002;21:2409): models without a predictor keep the penalty of the whole model.

    Parameters
    ----------
    variables : sequence of Variable
        One or more.
    y : np.ndarray of 0 and 1, shape (n_rows,)
    firth : bool, optional
        Whether to use Firth's method; by default only where the data separate.

    Raises
    ------
    InputError
        Where there are too few rows with or without the event, a variable has one value only, variables are linear
        combinations of others, or maximum likelihood is asked for and has no solution.
    """
    variables, y = _complete(variables, y)
    _check(variables, y)
    x, columns = _design(variables)
    best = logistic_fit(x, y, bool(firth))
    if not best.finite and firth is not None:
        raise InputError(
            f"The model of {_names(variables)} has no finite odds ratios by maximum likelihood, because its "
            "predictors separate the outcome: use Firth's method."
        )
    penalized = bool(firth) or not best.finite
    if not best.finite:
        best = logistic_fit(x, y, firth=True)
    models = _Nested(x, y, penalized, best)
    rarer = min(y.sum(), len(y) - y.sum())
    return AssociationModel(
        variables=variables,
        n=len(y),
        events=int(y.sum()),
        firth=penalized,
        terms=_terms(variables, y, columns, models),
        tests={name: models.without(of_variable) for name, of_variable in columns.items()},
        overall=models.without(range(x.shape[1])),
        vif=_vif(x, columns),
        nagelkerke=_nagelkerke(x, y, best.coefficients),
        events_per_coefficient=float(rarer / x.shape[1]),
        intercept=float(best.coefficients[0]),
        coefficients=best.coefficients[1:],
        covariance=best.covariance,
    )


def redundant(variables: Sequence[Variable], y: np.ndarray) -> dict[str, str]:
    """Variables that cannot be fitted together with the others, and why; the variables that are left can be.

    These are variables of which a design column is a linear combination of columns of the variables before: HER2 status
    after the immunophenotype, which determines it. And variables that have too few rows in common with those before, so
    that nothing is left to compare, or to tell one from another. The same is not said of a variable that is nearly a
    linear combination: see its VIF.

    Parameters
    ----------
    variables : sequence of Variable
        The more important ones first: of two that have too few rows in common the first stays.
    y : np.ndarray of 0 and 1, shape (n_rows,)
        Of the same rows; what it is does not matter.

    Returns
    -------
    reasons : dict of str to str
        By name, in the order given, such as "is determined by 'subtype'".
    """
    left: list[Variable] = []
    reasons = {}
    for variable in variables:
        left.append(variable)
        # Without a variable more rows are complete, and what was redundant in the few may not be in the many.
        while left and (found := _superfluous(left, y)) is not None:
            index, why = found
            reasons[left.pop(index).name] = why
    return {variable.name: reasons[variable.name] for variable in variables if variable.name in reasons}


def interaction_test(variables: Sequence[Variable], by: Variable, name: str, y: np.ndarray) -> LikelihoodRatio:
    """Whether the odds ratios of one variable differ between the levels of another.

    Likelihood-ratio test of the products of the two added to the model of all variables; penalized (see
    :func:`fit_association`) where the products separate the outcome. Products that the rows cannot tell apart, for
    want of rows with both, do not count as degrees of freedom; where none is left the statistic and p are NaN.

    Parameters
    ----------
    variables : sequence of Variable
    by : Variable
        Added to the model unless it is in it.
    name : str
        Of the variable to multiply with ``by``.
    y : np.ndarray of 0 and 1, shape (n_rows,)

    Raises
    ------
    InputError
        As for :func:`fit_association`, of the model without products.
    """
    others = [variable for variable in variables if variable.name != by.name]
    if name not in {variable.name for variable in others}:
        raise ValueError(f"'{name}' is not among the variables, or is the one that it would be multiplied with")
    complete, y = _complete([*others, by], y)
    _check(complete, y)
    x, columns = _design(complete)
    products = (x[:, columns[name], np.newaxis] * x[:, np.newaxis, columns[by.name]]).reshape(len(y), -1)
    told_apart = ~_dependent(np.hstack([x, products]))[x.shape[1] :]
    if not told_apart.any():
        return LikelihoodRatio(math.nan, 0, math.nan)
    x = np.hstack([x, products[:, told_apart]])
    best = logistic_fit(x, y)
    firth = not best.finite
    models = _Nested(x, y, firth, logistic_fit(x, y, firth=True) if firth else best)
    return models.without(range(x.shape[1] - int(told_apart.sum()), x.shape[1]))


def likelihood_profile(model: AssociationModel, y: np.ndarray) -> Callable[[int, float], tuple[float, float]]:
    """How far the data of a model by Firth's method speak against values of its coefficients.

    Parameters
    ----------
    model : AssociationModel
    y : np.ndarray of 0 and 1, shape (n_rows,)
        Of the rows of the model.

    Returns
    -------
    root : callable
        Of the index of a coefficient and a value other than the estimate: the root of twice the fall of the profile
        penalized likelihood from its maximum, negative below the estimate, and its derivative by the value. The root is
        normal in large samples, if the value is the true one.
    """
    x, _ = _design(model.variables)
    best = logistic_fit(x, y, True, start=np.append(model.intercept, model.coefficients))

    starts = {}

    def root(column: int, value: float) -> tuple[float, float]:
        fit = logistic_fit(x, y, True, {column: value}, starts.get(column, best.coefficients))
        # The next value is likely to be near.
        starts[column] = fit.coefficients
        fallen = math.sqrt(max(2 * (best.log_likelihood - fit.log_likelihood), 0.0))
        signed = math.copysign(fallen, value - best.coefficients[column + 1])
        return signed, -float(fit.score[column + 1]) / signed if signed else math.nan

    return root


class _Nested:
    """A fitted model and those in which some of its coefficients are fixed, on the same rows."""

    def __init__(self, x: np.ndarray, y: np.ndarray, firth: bool, best: LogisticFit):
        self._x, self._y = x, y
        self.firth, self.best = firth, best

    def without(self, columns: Sequence[int]) -> LikelihoodRatio:
        """Likelihood-ratio test against the model where the coefficients of some columns are zero."""
        fit = logistic_fit(self._x, self._y, self.firth, dict.fromkeys(columns, 0.0))
        statistic = max(2 * (self.best.log_likelihood - fit.log_likelihood), 0.0)
        return LikelihoodRatio(statistic, len(columns), float(chi2.sf(statistic, len(columns))))

    def odds_ratio(self, column: int) -> OddsRatio:
        """Odds ratio per unit of a column."""
        beta = float(self.best.coefficients[column + 1])
        error = math.sqrt(self.best.covariance[column + 1, column + 1])
        if self.firth:
            low, high = (self._profile_bound(column, beta, sign * error) for sign in (-1, 1))
            return OddsRatio(_exp(beta), _exp(low), _exp(high), self.without([column]).p, PROFILE)
        low, high = beta - Z_95 * error, beta + Z_95 * error
        return OddsRatio(_exp(beta), _exp(low), _exp(high), two_sided_p(beta, error), WALD)

    def _profile_bound(self, column: int, beta: float, error: float) -> float:
        """Where the profile likelihood has fallen so far as the 95% interval allows, on the side of ``error``.

        The root of twice the fall is nearly linear in the coefficient, and its slope comes with the fit: Newton steps
        along it, and halves or doubles of the way where one leads astray.
        """
        # In standard errors from the estimate: a place inside the interval, and one outside.
        inside, outside, at = 0.0, math.inf, Z_95
        start = self.best.coefficients
        while at < _FARTHEST:
            fit = logistic_fit(self._x, self._y, True, {column: beta + at * error}, start)
            root = math.sqrt(max(2 * (self.best.log_likelihood - fit.log_likelihood), 0.0))
            if abs(root - Z_95) < 1e-8 or outside - inside < 1e-10:
                return beta + at * error
            if root > Z_95:
                outside = at
            else:
                inside, start = at, fit.coefficients
            slope = -fit.score[column + 1] * error / root if root > 0 else math.nan
            step = (Z_95 - root) / slope if slope > 0 else math.nan
            if inside < at + step < min(outside, 2 * at):
                at += step
            else:
                at = 2 * at if math.isinf(outside) else (inside + outside) / 2
        return math.copysign(math.inf, error)


def _complete(variables: Sequence[Variable], y: np.ndarray) -> tuple[tuple[Variable, ...], np.ndarray]:
    """Variables and outcome of the rows that have all of the variables, without levels that none of these has."""
    y = np.asarray(y, dtype=float)
    if not variables:
        raise ValueError("a model needs at least one variable")
    if any(len(variable.values) != len(y) for variable in variables) or not np.isin(y, (0, 1)).all():
        raise ValueError("variables and outcome must have as many values, and the outcome must be 0 or 1")
    rows = np.all([variable.known for variable in variables], axis=0)
    return tuple(variable.rows(rows).without_empty_levels() for variable in variables), y[rows]


def _check(variables: Sequence[Variable], y: np.ndarray) -> None:
    """Refuse rows that odds ratios cannot come from; said for people, by the names of the variables."""
    events, names = int(y.sum()), _names(variables)
    if min(events, len(y) - events) < 2:
        raise InputError(
            f"The model of {names} has {len(y)} rows without missing values, {events} of them with the event: odds "
            "ratios need at least 2 with and 2 without it. Leave out predictors with many missing values."
        )
    for variable in variables:
        if np.ptp(variable.values) == 0:
            value = variable.levels[0] if variable.levels else f"{variable.values[0]:g}"
            raise InputError(
                f"'{variable.name}' has one value only ('{value}') in the {len(y)} rows that have all of {names}: "
                "leave it out."
            )
    found = _superfluous(variables, y)
    if found is not None:
        index, why = found
        raise InputError(f"'{variables[index].name}' {why}: leave one of them out.")


def _names(variables: Sequence[Variable]) -> str:
    return quoted([variable.name for variable in variables])


def _design(variables: Sequence[Variable]) -> tuple[np.ndarray, dict[str, list[int]]]:
    """Design matrix, and which of its columns are those of a variable."""
    parts = [variable.design() for variable in variables]
    ends = np.cumsum([part.shape[1] for part in parts])
    columns = {v.name: list(range(end - p.shape[1], end)) for v, p, end in zip(variables, parts, ends)}
    return np.hstack(parts), columns


def _dependent(x: np.ndarray) -> np.ndarray:
    """Which columns are linear combinations of a constant and the columns before them; shape (n_columns,)."""
    basis = np.ones((len(x), 1)) / math.sqrt(len(x))
    found = np.zeros(x.shape[1], dtype=bool)
    for index, column in enumerate(x.T):
        varying = column - column.mean()
        left = varying
        # The second time takes away what rounding left of the first.
        for _ in range(2):
            left = left - basis @ (basis.T @ left)
        size = np.linalg.norm(varying)
        found[index] = size <= 1e-12 * np.linalg.norm(column) or np.linalg.norm(left) < _NOTHING_LEFT * size
        if not found[index]:
            basis = np.column_stack([basis, left / np.linalg.norm(left)])
    return found


def _superfluous(variables: Sequence[Variable], y: np.ndarray) -> tuple[int, str] | None:
    """Which one of the variables is to be left out of a model of all, and why; the one before the last can be fitted.

    The last is at fault where it leaves the others too few rows. What determines a variable is looked for in all rows
    that show it, because few rows show linear combinations that are none.
    """
    complete, _ = _complete(variables, y)
    last, n = len(variables) - 1, len(complete[0].values)
    among = " in the rows that have the others" if last else ""
    if n == 0:
        return last, f"has no value{among}"
    constant = [variable.name for variable in complete if np.ptp(variable.values) == 0]
    if variables[last].name in constant:
        return last, f"has one value only{among}"
    if constant:
        return last, f"has too few rows in common with the others: '{constant[0]}' has one value only in them"
    dependent = _redundant_columns(complete)
    if dependent is None:
        return None
    index, whole = dependent
    by = _determining(complete, index)
    what = f"{'is determined by' if whole else 'says in part the same as'} {_names([variables[i] for i in by])}"
    own, _ = _complete([variables[i] for i in (*by, index)], y)
    if _redundant_columns(own) is not None and _more_rows_than_columns(own):
        return index, what
    if _more_rows_than_columns([complete[i] for i in (*by, index)]):
        return index, f"{what} in the {n} rows that have all predictors"
    return last, f"has only {n} rows in common with the others, too few to tell them apart"


def _redundant_columns(variables: Sequence[Variable]) -> tuple[int, bool] | None:
    """The first variable with a design column that columns before make up, and whether all of its columns are such."""
    x, columns = _design(variables)
    dependent = _dependent(x)
    for index, of_variable in enumerate(columns.values()):
        if dependent[of_variable].any():
            return index, bool(dependent[of_variable].all())
    return None


def _determining(variables: Sequence[Variable], index: int) -> list[int]:
    """As few as possible of the variables before one, with columns that make up a column of it."""
    needed = list(range(index))
    for other in range(index):
        fewer = [i for i in needed if i != other]
        if _redundant_columns([variables[i] for i in (*fewer, index)]) is not None:
            needed = fewer
    return needed


def _more_rows_than_columns(variables: Sequence[Variable]) -> bool:
    """Whether a linear combination in these rows says something: in as many rows as columns there always is one."""
    return len(variables[0].values) > 1 + sum(variable.width for variable in variables)


def _terms(
    variables: Sequence[Variable], y: np.ndarray, columns: Mapping[str, Sequence[int]], models: _Nested
) -> tuple[Term, ...]:
    terms = []
    for variable in variables:
        odds_ratios = [models.odds_ratio(column) for column in columns[variable.name]]
        if not variable.levels:
            terms.append(Term(variable.name, None, len(y), int(y.sum()), odds_ratios[0]))
            continue
        for index, (level, odds_ratio) in enumerate(zip(variable.levels, [None, *odds_ratios])):
            of_level = y[variable.values == index]
            terms.append(Term(variable.name, level, len(of_level), int(of_level.sum()), odds_ratio))
    return tuple(terms)


def _vif(x: np.ndarray, columns: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Variance inflation from the determinants of the correlations of the columns: own, of the others, of all."""
    correlation = np.corrcoef(x, rowvar=False).reshape(x.shape[1], x.shape[1])

    def log_determinant(index: Sequence[int]) -> float:
        return float(np.linalg.slogdet(correlation[np.ix_(index, index)])[1]) if len(index) else 0.0

    everything = range(x.shape[1])
    found = {}
    for name, own in columns.items():
        others = [column for column in everything if column not in own]
        inflation = log_determinant(own) + log_determinant(others) - log_determinant(everything)
        found[name] = max(math.exp(inflation / len(own)), 1.0)
    return found


def _nagelkerke(x: np.ndarray, y: np.ndarray, coefficients: np.ndarray) -> float:
    n, events = len(y), y.sum()
    log_odds = coefficients[0] + x @ coefficients[1:]
    reached = float((y * log_odds - np.logaddexp(0.0, log_odds)).sum())
    empty = events * math.log(events / n) + (n - events) * math.log(1 - events / n)
    return float(-math.expm1(2 / n * (empty - reached)) / -math.expm1(2 / n * empty))


def _exp(log_odds_ratio: float) -> float:
    """Odds ratio; infinite beyond what a number can be."""
    try:
        return math.exp(log_odds_ratio)
    except OverflowError:
        return math.inf
