"""Multiple imputation of missing values by chained equations, and the pooling of the models of the completed data.

The imputations are draws: they stand for what is not known, and no single one of them is an estimate of it. They are
right where what is missing depends on what is known (missing at random), which the data cannot show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.special import ndtr, ndtri, softmax
from scipy.stats import chi2, f, t

from .errors import InputError
from .odds_ratios import AssociationModel, OddsRatio, Term, fit_association, likelihood_profile
from .variable import Variable

RUBIN = "Rubin's rules"
COMBINED_PROFILES = "combined profile penalized likelihoods"
DONORS = 5
# Penalties on standardized coefficients: worth a tenth of a row where rows tell most, enough for a finite solution.
_CATEGORY_RIDGE, _NUMBER_RIDGE = 0.1, 1e-4


@dataclass(frozen=True)
class PooledTest:
    """F test that all coefficients of a predictor are zero, pooled over imputations.

    Attributes
    ----------
    statistic : float
    df1, df2 : float
        The second is infinite where nothing was missing, and for a single coefficient of models by Firth's method, of
        which the statistic is the square of a normal one.
    p : float
    """

    statistic: float
    df1: int
    df2: float
    p: float


@dataclass(frozen=True, eq=False)
class PooledModel:
    """Logistic models of completed data sets, pooled by Rubin's rules; see :func:`fit_imputed` for Firth's method.

    Attributes
    ----------
    n, imputations : int
        Rows, and completed data sets.
    terms : tuple of Term
        Odds ratios with intervals; counts of a level are means over the data sets, rounded.
    tests : mapping of str to PooledTest
        By predictor.
    fraction_missing : mapping of str to float
        By coefficient ("age", "race: 2"), the share of the information that missing values cost.
    firth : bool
        Whether the models were fitted by Firth's penalized likelihood.
    """

    n: int
    imputations: int
    terms: tuple[Term, ...]
    tests: Mapping[str, PooledTest]
    fraction_missing: Mapping[str, float]
    firth: bool

    @property
    def largest_fraction_missing(self) -> float:
        """The share of the information that missing values cost, of the coefficient that they cost most."""
        return max(self.fraction_missing.values())

    @property
    def imputations_advised(self) -> int:
        """Data sets that make the results repeatable: 100 times the largest share of information that is missing.

        With fewer of them another random state can give other p-values (White, Royston and Wood, Stat Med 2011;30:377).
        The share is itself an estimate from the data sets that there are.
        """
        # Rounding is not to ask for one more.
        return max(math.ceil(100 * self.largest_fraction_missing - 1e-9), 1)


def impute(
    variables: Sequence[Variable],
    y: np.ndarray,
    n_imputations: int = 20,
    n_iterations: int = 10,
    random_state: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[Variable]]:
    """Completed data sets by chained equations (van Buuren and Groothuis-Oudshoorn, J Stat Softw 2011;45(3)).

    Every variable with missing values is drawn in turn, given the outcome and all others as they stand, the one with
    the fewest missing values first. Its model is fitted to a bootstrap sample of the rows that have it, so that the
    draws differ by as much as the model is uncertain. A number is taken from one of the five rows of the sample whose
    predictions are nearest (predictive mean matching), so that it is one that was measured; a category is drawn by its
    probability in a binary or multinomial logistic model, among the levels that are possible in its row.

    The result depends on ``random_state`` alone, not on the order of the variables.

    Parameters
    ----------
    variables : sequence of Variable
        Those of the model to fit at least; others, of which the values tell something about the missing ones, help.
    y : np.ndarray of 0 and 1, shape (n_rows,)
        The outcome. It predicts missing values, or these would weaken its associations (Moons et al., J Clin Epidemiol
        2006;59:1092), and is never imputed.
    n_imputations, n_iterations : int
        Data sets, and rounds over the variables for each of them.
    random_state : int
    progress : callable, optional
        Called with the number of finished data sets and of all.

    Returns
    -------
    completed : list of list of Variable
        By data set, the variables in their order; only one data set where nothing is missing.

    Raises
    ------
    InputError
        Where a variable has no value at all, or in no row a level that is possible in a row without a value.
    """
    y = np.asarray(y, dtype=float)
    _check(variables, y)
    if all(variable.known.all() for variable in variables):
        return [list(variables)]
    if n_imputations < 2:
        raise ValueError("one imputation does not show how uncertain the missing values are: at least 2 are needed")
    completed = []
    for seed in np.random.SeedSequence(random_state).spawn(n_imputations):
        values = _chain(variables, y, n_iterations, np.random.default_rng(seed))
        completed.append([replace(v, values=values[v.name], why_missing={}, possible={}) for v in variables])
        if progress is not None:
            progress(len(completed), n_imputations)
    return completed


def fit_imputed(completed: Sequence[Sequence[Variable]], y: np.ndarray) -> PooledModel:
    """Model of the outcome in every completed data set, pooled; all by Firth's method where one of them needs it.

    Models by maximum likelihood are pooled by :func:`pool`. Of those by Firth's method the odds ratios are pooled
    alike, but not the intervals and p-values, which would be symmetric where those of one such model are not: these
    come from the combination of likelihood profiles (Heinze, Ploner and Beyea, Stat Med 2013;32:5062). The profile of a
    coefficient gives a distribution function in every data set, and their mean is read at 2.5% and 97.5%, and at zero.
    Several coefficients of a predictor are tested together by D2 of Li, Meng, Raghunathan and Rubin (Statistica Sinica
    1991;1:65) from the penalized likelihood-ratio tests of the data sets. Where the data sets are the same, all are
    those of the single model.

    Parameters
    ----------
    completed : sequence of sequence of Variable
        As :func:`impute` returns them, or some of the variables of each.
    y : np.ndarray of 0 and 1, shape (n_rows,)

    Raises
    ------
    InputError
        As :func:`.odds_ratios.fit_association`.
    """
    models = [fit_association(variables, y) for variables in completed]
    if len({model.firth for model in models}) > 1:
        models = [
            model if model.firth else fit_association(variables, y, firth=True)
            for model, variables in zip(models, completed)
        ]
    pooled = pool(models)
    return _with_combined_profiles(pooled, models, np.asarray(y, dtype=float)) if pooled.firth else pooled


def pool(models: Sequence[AssociationModel]) -> PooledModel:
    """Pool the models of completed data sets.

    Coefficients are averaged, and their variance is the mean of the models' variances plus 1 + 1/m times the variance
    between the m models (Rubin, Multiple Imputation for Nonresponse in Surveys, 1987); intervals and p-values are from
    a t distribution with the degrees of freedom of Barnard and Rubin (Biometrika 1999;86:948). Several coefficients of
    a predictor are tested together by D1 of Li, Raghunathan and Rubin (J Am Stat Assoc 1991;86:1065), a single one by
    its t test. One model alone stands for data without missing values, and has no more uncertainty than its own.

    For Firth's method too the intervals come from the covariance, which makes them more symmetric than they should be
    where a coefficient is large: :func:`fit_imputed` replaces them.

    Parameters
    ----------
    models : sequence of AssociationModel
        Of the same variables, all by the same method.
    """
    first = models[0]
    lines = [[(term.predictor, term.level) for term in model.terms] for model in models]
    if any(line != lines[0] for line in lines) or any(model.firth != first.firth for model in models):
        raise ValueError("models to pool must have the same terms and the same method")
    pooled = _Rubin(
        np.array([model.coefficients for model in models]),
        np.array([model.covariance[1:, 1:] for model in models]),
        first.n - len(first.coefficients) - 1,
    )
    terms, columns, fractions = [], {}, {}
    for index, term in enumerate(first.terms):
        column = len(fractions)
        if term.odds_ratio is not None:
            columns.setdefault(term.predictor, []).append(column)
            name = term.predictor if term.level is None else f"{term.predictor}: {term.level}"
            fractions[name] = pooled.fraction_missing(column)
        n, events = (round(float(np.mean([getattr(m.terms[index], c) for m in models]))) for c in ("n", "events"))
        odds_ratio = None if term.odds_ratio is None else pooled.odds_ratio(column)
        terms.append(Term(term.predictor, term.level, n, events, odds_ratio))
    tests = {name: pooled.test(of_predictor) for name, of_predictor in columns.items()}
    return PooledModel(first.n, len(models), tuple(terms), tests, fractions, first.firth)


def _with_combined_profiles(pooled: PooledModel, models: Sequence[AssociationModel], y: np.ndarray) -> PooledModel:
    """Pooled models by Firth's method with intervals and tests by the penalized likelihoods of the data sets."""
    profiles = [likelihood_profile(model, y) for model in models]
    terms, widths, column = [], {}, 0
    for index, term in enumerate(pooled.terms):
        if term.odds_ratio is not None:
            alone = [model.terms[index].odds_ratio for model in models]
            roots = [partial(profile, column) for profile in profiles]
            low = _combined_bound(roots, [one.low for one in alone], 0.025)
            high = _combined_bound(roots, [one.high for one in alone], 0.975)
            p = _combined_p([model.coefficients[column] for model in models], [one.p for one in alone])
            term = replace(term, odds_ratio=OddsRatio(term.odds_ratio.value, low, high, p, COMBINED_PROFILES))
            widths[term.predictor] = widths.get(term.predictor, 0) + 1
            column += 1
        terms.append(term)
    single = {term.predictor: term.odds_ratio.p for term in terms if term.odds_ratio is not None}
    tests = {}
    for name, width in widths.items():
        if width == 1:
            tests[name] = PooledTest(float(chi2.isf(single[name], 1)), 1, math.inf, single[name])
        else:
            tests[name] = _combined_test([model.tests[name].statistic for model in models], width)
    return replace(pooled, terms=tuple(terms), tests=tests)


def _combined_bound(
    roots: Sequence[Callable[[float], tuple[float, float]]], bounds: Sequence[float], level: float
) -> float:
    """Odds ratio at which the mean of the distribution functions of the data sets reaches a level.

    Parameters
    ----------
    roots : sequence of callable
        The signed root of the profile of each data set and its derivative, by the log odds ratio.
    bounds : sequence of float
        Odds ratios at which the data sets by themselves reach the level: the one wanted is between them.
    level : float
    """
    if min(bounds) == 0 or math.isinf(max(bounds)):
        # What one data set leaves open stays open.
        return 0.0 if level < 0.5 else math.inf
    first, last = math.log(min(bounds)), math.log(max(bounds))
    wanted, at = float(ndtri(level)), float(np.log(bounds).mean())
    for _ in range(50):
        # The bounds of equal data sets differ by rounding only.
        if last - first < 1e-7:
            break
        root, slope = np.array([root(at) for root in roots]).T
        # As a normal deviate the mean is nearly linear in the value: Newton steps, and halves where one leads astray.
        deviate = float(ndtri(ndtr(root).mean()))
        if abs(deviate - wanted) < 1e-6:
            break
        first, last = (at, last) if deviate < wanted else (first, at)
        rise = float(np.exp((deviate**2 - root**2) / 2) @ slope) / len(root)
        at += (wanted - deviate) / rise if rise > 0 else math.nan
        if not first < at < last:
            at = (first + last) / 2
    return math.exp(at)


def _combined_p(estimates: Sequence[float], p: Sequence[float]) -> float:
    """Two-sided p-value from the mean of the distribution functions at zero, of which each has its p-value."""
    # Half of a p-value is what lies beyond zero, seen from the estimate.
    below = [half if estimate > 0 else 1 - half for estimate, half in zip(estimates, np.divide(p, 2))]
    above = [1 - half if estimate > 0 else half for estimate, half in zip(estimates, np.divide(p, 2))]
    return min(2 * float(min(np.mean(below), np.mean(above))), 1.0)


def _combined_test(statistics: Sequence[float], k: int) -> PooledTest:
    """D2 of Li, Meng, Raghunathan and Rubin (1991) from chi-square statistics with k degrees of freedom each."""
    m = len(statistics)
    increase = (1 + 1 / m) * float(np.var(np.sqrt(statistics), ddof=1)) if m > 1 else 0.0
    # Rounding of one and the same statistic is no difference.
    if increase < 1e-12:
        statistic = float(np.mean(statistics))
        return PooledTest(statistic / k, k, math.inf, float(chi2.sf(statistic, k)))
    statistic = max((float(np.mean(statistics)) / k - (m + 1) / (m - 1) * increase) / (1 + increase), 0.0)
    df = k ** (-3 / m) * (m - 1) * (1 + 1 / increase) ** 2
    return PooledTest(statistic, k, df, float(f.sf(statistic, k, df)))


class _Rubin:
    """Coefficients of the models of m data sets and their covariances, pooled.

    Parameters
    ----------
    estimates : np.ndarray, shape (m, n_coefficients)
    covariances : np.ndarray, shape (m, n_coefficients, n_coefficients)
    df_complete : int
        Degrees of freedom that data without missing values would leave.
    """

    def __init__(self, estimates: np.ndarray, covariances: np.ndarray, df_complete: int):
        self._m = len(estimates)
        self._df_complete = max(df_complete, 1)
        self._mean = estimates.mean(axis=0)
        self._within = covariances.mean(axis=0)
        away = estimates - self._mean
        self._added = (1 + 1 / self._m) * away.T @ away / max(self._m - 1, 1)

    def odds_ratio(self, column: int) -> OddsRatio:
        """Of one coefficient."""
        value, error = float(self._mean[column]), math.sqrt(self._total(column))
        df = self._df(column)
        reach = float(t.ppf(0.975, df)) * error
        p = 2 * float(t.sf(abs(value) / error, df))
        # Beyond what a number can be the odds ratio is infinite.
        with np.errstate(over="ignore"):
            low, middle, high = (float(np.exp(bound)) for bound in (value - reach, value, value + reach))
        return OddsRatio(middle, low, high, p, RUBIN)

    def fraction_missing(self, column: int) -> float:
        """Share of the information on a coefficient that the missing values cost (Rubin 1987, section 3.3)."""
        added, within = self._added[column, column], self._within[column, column]
        if added == 0:
            return 0.0
        increase = added / within
        return float((increase + 2 / (self._df(column) + 3)) / (increase + 1))

    def test(self, columns: Sequence[int]) -> PooledTest:
        """Test that all of some coefficients are zero; of one coefficient it is the square of its t test."""
        block, k = np.ix_(columns, columns), len(columns)
        inverse = np.linalg.inv(self._within[block])
        increase = float(np.trace(self._added[block] @ inverse)) / k
        mean = self._mean[list(columns)]
        statistic = float(mean @ inverse @ mean) / (k * (1 + increase))
        df = self._df(columns[0]) if k == 1 else self._df_of_several(k, increase)
        p = float(chi2.sf(k * statistic, k) if math.isinf(df) else f.sf(statistic, k, df))
        return PooledTest(statistic, k, df, p)

    def _total(self, column: int) -> float:
        return float(self._within[column, column] + self._added[column, column])

    def _df(self, column: int) -> float:
        """Degrees of freedom of Barnard and Rubin (1999), equation 3."""
        if self._m == 1:
            return math.inf
        share = float(self._added[column, column]) / self._total(column)
        complete = self._df_complete
        observed = (complete + 1) / (complete + 3) * complete * (1 - share)
        # The harmonic sum with (m - 1) / share ** 2, which is infinite where the data sets do not differ.
        return 1 / (share**2 / (self._m - 1) + 1 / observed)

    def _df_of_several(self, k: int, increase: float) -> float:
        """Denominator degrees of freedom of Li, Raghunathan and Rubin (1991), equations 1.17 and 1.18."""
        if increase == 0:
            return math.inf
        draws = k * (self._m - 1)
        if draws > 4:
            return 4 + (draws - 4) * (1 + (1 - 2 / draws) / increase) ** 2
        return draws * (1 + 1 / k) * (1 + 1 / increase) ** 2 / 2


def _check(variables: Sequence[Variable], y: np.ndarray) -> None:
    names = [variable.name for variable in variables]
    if len(set(names)) < len(names):
        raise ValueError("a variable is given twice")
    if any(len(variable.values) != len(y) for variable in variables) or np.isnan(y).any():
        raise ValueError("variables and outcome must have as many values, and no outcome may be missing")
    for variable in variables:
        if not variable.known.any():
            raise InputError(f"'{variable.name}' has no value in any row: nothing can be imputed from. Leave it out.")
        found = set(variable.values[variable.known])
        for row in np.flatnonzero(~variable.known):
            levels = variable.possible.get(int(row))
            if variable.levels and levels is not None and not levels & found:
                names = " or ".join(f"'{variable.levels[level]}'" for level in sorted(levels))
                raise InputError(
                    f"'{variable.name}' can only be {names} in a row where it is missing, and no row with a value has "
                    "that: nothing can be imputed from. Leave it out."
                )


def _chain(
    variables: Sequence[Variable], y: np.ndarray, n_iterations: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Values of one completed data set, by name."""
    order = sorted(variables, key=lambda variable: (int((~variable.known).sum()), variable.name))
    gaps = [variable for variable in order if not variable.known.all()]
    values = {variable.name: variable.values.copy() for variable in order}
    for variable in gaps:
        known = variable.values[variable.known]
        values[variable.name][~variable.known] = rng.choice(known, size=int((~variable.known).sum()))
        for row in np.flatnonzero(~variable.known):
            levels = variable.possible.get(int(row))
            if variable.levels and levels is not None:
                values[variable.name][row] = rng.choice(known[np.isin(known, list(levels))])
    columns = {variable.name: _standardized(variable, values[variable.name]) for variable in order}
    outcome = np.column_stack([np.ones(len(y)), y])
    # A variable alone is drawn given complete ones: nothing to go round.
    for _ in range(n_iterations if len(gaps) > 1 else 1):
        for variable in gaps:
            others = [columns[other.name] for other in order if other is not variable]
            draw = _draw_categories if variable.levels else _draw_numbers
            values[variable.name][~variable.known] = draw(np.hstack([outcome, *others]), variable, rng)
            columns[variable.name] = _standardized(variable, values[variable.name])
    return values


def _standardized(variable: Variable, values: np.ndarray) -> np.ndarray:
    """Design columns with mean 0 and standard deviation 1, or 0 where all values are alike."""
    columns = replace(variable, values=values).design()
    spread = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _draw_numbers(x: np.ndarray, variable: Variable, rng: np.random.Generator) -> np.ndarray:
    """Predictive mean matching: values of the rows of a bootstrap sample with the nearest predictions.

    The values are lent by the sample too, and not by all rows that have one: which values there are is as uncertain as
    the model (Rubin and Schenker, J Am Stat Assoc 1986;81:366), and without it pooled intervals come out too short.
    """
    values, known = variable.values, variable.known
    sample = rng.choice(np.flatnonzero(known), size=int(known.sum()))
    beta = _least_squares(x[sample], values[sample])
    lent, wanted = x[sample] @ beta, x[~known] @ beta
    count = min(DONORS, len(sample))
    # Of the sorted predictions the nearest lie within so many places on either side. The sample is in random order, so
    # that ties are broken at random.
    order = np.argsort(lent, kind="stable")
    window = np.searchsorted(lent[order], wanted)[:, np.newaxis] + np.arange(-count, count)
    there = (window >= 0) & (window < len(sample))
    candidates = order[np.clip(window, 0, len(sample) - 1)]
    distance = np.where(there, np.abs(wanted[:, np.newaxis] - lent[candidates]), np.inf)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :count]
    each = np.arange(len(wanted))
    return values[sample[candidates[each, nearest[each, rng.integers(count, size=len(wanted))]]]]


def _least_squares(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Coefficients of a linear model, the intercept first; a slight ridge makes them unique."""
    penalty = np.full(x.shape[1], _NUMBER_RIDGE * len(x))
    penalty[0] = 0.0
    return np.linalg.solve(x.T @ x + np.diag(penalty), x.T @ values)


def _draw_categories(x: np.ndarray, variable: Variable, rng: np.random.Generator) -> np.ndarray:
    """Levels drawn by their probabilities in a logistic model of a bootstrap sample, among the possible ones."""
    known = variable.known
    sample = rng.choice(np.flatnonzero(known), size=int(known.sum()))
    levels, index = np.unique(variable.values[sample].astype(int), return_inverse=True)
    beta = _logistic_coefficients(x[sample], index, len(levels))
    possible = _possible(variable)
    # Where the sample has none of the possible levels their frequencies serve.
    modeled = possible[:, levels].any(axis=1)
    probability = possible * np.bincount(variable.values[known].astype(int), minlength=len(variable.levels))
    probability = probability.astype(float)
    log_odds = np.where(possible[:, levels], _log_odds(x[~known], beta), -np.inf)[modeled]
    probability[modeled] = 0.0
    probability[np.ix_(modeled, levels)] = softmax(log_odds, axis=1)
    cumulative = np.cumsum(probability, axis=1)
    # The first that is beyond a number below 1 has a probability of its own, and so is possible.
    return (cumulative / cumulative[:, -1:] <= rng.random((len(cumulative), 1))).sum(axis=1)


def _possible(variable: Variable) -> np.ndarray:
    """Which levels are possible in the rows without a value; shape (n_rows_without, n_levels)."""
    rows = np.flatnonzero(~variable.known)
    found = np.ones((len(rows), len(variable.levels)), dtype=bool)
    for place, row in enumerate(rows):
        levels = variable.possible.get(int(row))
        if levels is not None:
            found[place] = np.isin(np.arange(len(variable.levels)), list(levels))
    return found


def _log_odds(x: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Of every level against the first, which has no coefficients of its own; shape (n_rows, n_levels)."""
    return np.column_stack([np.zeros(len(x)), x @ beta])


def _probabilities(x: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Of every level, shape (n_rows, n_levels)."""
    return softmax(_log_odds(x, beta), axis=1)


def _logistic_coefficients(x: np.ndarray, index: np.ndarray, n_levels: int) -> np.ndarray:
    """Binary or multinomial logistic model with a weak ridge, by Newton's method; shape (n_columns, n_levels - 1).

    The ridge keeps the coefficients finite where the levels separate.
    """
    n_columns, rest = x.shape[1], n_levels - 1
    beta = np.zeros((n_columns, rest))
    if rest == 0:
        return beta
    penalty = np.full((n_columns, 1), _CATEGORY_RIDGE)
    penalty[0] = 0.0
    is_level = (index[:, np.newaxis] == np.arange(n_levels)).astype(float)

    def objective(beta: np.ndarray) -> float:
        probability = (is_level * _probabilities(x, beta)).sum(axis=1)
        return float(np.log(np.maximum(probability, 1e-300)).sum() - 0.5 * (penalty * beta**2).sum())

    value = objective(beta)
    for _ in range(25):
        probability = _probabilities(x, beta)[:, 1:]
        score = x.T @ (is_level[:, 1:] - probability) - penalty * beta
        step = np.linalg.solve(_curvature(x, probability, penalty[:, 0]), score.T.ravel()).reshape(rest, -1).T
        # The objective is concave: half of a step that overshoots is nearer.
        while (reached := objective(beta + step)) < value - 1e-9 and np.abs(step).max() > 1e-4:
            step = step / 2
        beta, value = beta + step, reached
        if np.abs(step).max() < 1e-4:
            break
    return beta


def _curvature(x: np.ndarray, probability: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Minus the second derivatives by the coefficients, those of one level after the other."""
    rest = probability.shape[1]
    blocks = []
    for row in range(rest):
        weights = [probability[:, row] * ((row == column) - probability[:, column]) for column in range(rest)]
        blocks.append([x.T @ (x * weight[:, np.newaxis]) for weight in weights])
        blocks[row][row] = blocks[row][row] + np.diag(penalty)
    return np.block(blocks)
