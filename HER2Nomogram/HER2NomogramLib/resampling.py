"""Internal validation: the whole development repeated on resampled patients.

What is resampled is :class:`.pipeline.RadiomicsNomogram`, in which everything is that learns from data. Nested
cross-validation asks how a model developed like this one does on patients that it has not seen; the bootstrap asks by
how much the figures on the training cases flatter it, and how stable the selected features are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from sklearn.base import clone

from .metrics import Z_95, Estimate, brier, roc_auc
from .modelfile import LOGISTIC_MODELS
from .nomogram import LogisticNomogram
from .pipeline import METHODS, RadiomicsNomogram
from .signature import grouped_folds

FIGURES = ("auc", "slope", "brier")
OUTER_FOLDS = 5
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Optimism:
    """One figure of one model by the bootstrap.

    What is a mean over the replicates is their median for the calibration slope: where a replicate's log odds hardly
    differ its slope can be a hundred, and one such decides a mean.

    Attributes
    ----------
    apparent : float
        Of the model on the cases that it was developed with.
    optimism : float
        Mean over the replicates: the figure on the replicate less that on the original cases.
    corrected : float
        Apparent less optimism.
    out_of_bag : float
        Mean over the replicates on the patients that are not in them.
    """

    apparent: float
    optimism: float
    corrected: float
    out_of_bag: float


@dataclass(frozen=True, eq=False)
class BootstrapValidation:
    """Optimism by the bootstrap (Harrell, Stat Med 1996;15:361).

    Attributes
    ----------
    wanted, done : int
        Replicates; those whose patients cannot carry a development are not done.
    figures : dict
        ``figures[model][figure]``: Optimism, for the figures ``auc``, ``slope`` and ``brier``.
    feature_frequency : dict of str to tuple of (str, float)
        By region: features and the share of replicates whose signature selects them, descending.
    predictor_frequency : dict of str to float
        Share of replicates whose nomogram has the predictor.
    """

    wanted: int
    done: int
    figures: dict[str, dict[str, Optimism]]
    feature_frequency: dict[str, tuple[tuple[str, float], ...]]
    predictor_frequency: dict[str, float]


@dataclass(frozen=True, eq=False)
class NestedValidation:
    """Repeated nested cross-validation.

    Attributes
    ----------
    repeats, folds : int
    auc : dict of str to Estimate
        By model: mean over the folds and repeats, with the interval of LeDell et al. (Electron J Stat 2015;9:1583) from
        the placements of every case within its fold, and the variance between the repeats added. It takes the
        models of the folds as given: where signatures are selected from many features, another training set would have
        given others, and the interval is too narrow.
    slope, brier : dict of str to Estimate
        Of the predictions for held-out cases, mean over the repeats. No slope where no model of a fold tells its cases
        apart.
    repeat_auc : dict of str to np.ndarray, shape (repeats,)
    y : np.ndarray, shape (n_cases,)
    probabilities : dict of str to np.ndarray, shape (n_cases,)
        Of held-out cases, mean over the repeats.
    """

    repeats: int
    folds: int
    auc: dict[str, Estimate]
    slope: dict[str, Estimate]
    brier: dict[str, Estimate]
    repeat_auc: dict[str, np.ndarray]
    y: np.ndarray
    probabilities: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class InternalValidation:
    """Both kinds by method of the Rad-scores; empty where one was not asked for or nothing of it was finished."""

    bootstrap: dict[str, BootstrapValidation]
    nested: dict[str, NestedValidation]
    interrupted: bool = False


@dataclass(frozen=True, eq=False)
class _Replicate:
    """What is kept of one development on resampled patients: figures[method][model][figure] -> three numbers."""

    figures: dict[str, dict[str, dict[str, tuple[float, float, float]]]]
    selected: dict[str, np.ndarray]
    predictors: dict[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class _Fold:
    """Log odds of the held-out cases of one fold of one repeat: ``log_odds[method][model]``."""

    repeat: int
    test: np.ndarray
    log_odds: dict[str, dict[str, np.ndarray]]


def validate_internally(
    pipeline: RadiomicsNomogram,
    x: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    columns: Sequence[str],
    replicates: int = 200,
    repeats: int = 10,
    jobs: int = 1,
    progress: Progress | None = None,
) -> InternalValidation:
    """Repeat a development on resampled patients.

    Every replicate and fold is seeded by its number, so that the result does not depend on ``jobs``. An interruption
    from the keyboard ends it early, with the figures of what is finished.

    Parameters
    ----------
    pipeline : RadiomicsNomogram
        Its clones are developed; where it is fitted itself, to ``x`` and ``y``, its figures are the apparent ones.
    x : np.ndarray, shape (n_cases, n_columns)
    y : np.ndarray of 0 and 1, shape (n_cases,)
    groups : np.ndarray, shape (n_cases,)
        Patient of each case: drawn, held out and cross-validated as a whole, copies included.
    columns : sequence of str
        Names of the features in ``x``.
    replicates, repeats : int
        Of the bootstrap and of the nested cross-validation; zero leaves one out.
    jobs : int
        Threads.
    progress : callable, optional
        Called with the number of developments done and of all.

    Raises
    ------
    ValueError
        Where the patients are too few for any fold.
    """
    prototype = clone(pipeline).set_params(n_jobs=1)
    seed = pipeline.random_state
    folds = [
        (repeat, train, test)
        for repeat in range(repeats)
        for train, test in grouped_folds(y, groups, OUTER_FOLDS, seed + repeat)
    ]
    tasks = [(_fold, (prototype, x, y, groups, *fold)) for fold in folds]
    tasks += [(_replicate, (prototype, x, y, groups, (seed, number))) for number in range(replicates)]
    finished, interrupted = [], False
    try:
        for outcome in _run(tasks, jobs):
            finished.append(outcome)
            if progress is not None:
                progress(len(finished), len(tasks))
    except KeyboardInterrupt:
        interrupted = True
    done_folds = [outcome for outcome in finished if isinstance(outcome, _Fold)]
    done_replicates = [outcome for outcome in finished if isinstance(outcome, _Replicate)]
    return InternalValidation(
        _bootstrap(pipeline, x, y, done_replicates, replicates, columns) if done_replicates else {},
        _nested(done_folds, y, len(folds) // max(repeats, 1)),
        interrupted,
    )


def _run(tasks: Sequence[tuple[Callable, tuple]], jobs: int) -> Iterator[object]:
    from joblib import Parallel, delayed

    # Threads share the features, and the compiled fits hold no interpreter lock.
    runner = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")
    return runner(delayed(work)(*arguments) for work, arguments in tasks)


def _fold(prototype, x, y, groups, repeat: int, train: np.ndarray, test: np.ndarray) -> _Fold | None:
    try:
        fitted = clone(prototype).fit(x[train], y[train], groups=groups[train])
    except ValueError:
        return None
    return _Fold(repeat, test, {method: fitted.log_odds(x[test], method) for method in METHODS})


def _replicate(prototype, x, y, groups, seed: tuple[int, int]) -> _Replicate | None:
    drawn, left = _draw(groups, np.random.default_rng(seed))
    try:
        fitted = clone(prototype).fit(x[drawn], y[drawn], groups=groups[drawn])
    except ValueError:
        return None
    scores = {}
    for method in METHODS:
        there = fitted.log_odds(x[drawn], method)
        here = fitted.log_odds(x, method)
        scores[method] = {
            name: _three_figures((y[drawn], there[name]), (y, here[name]), (y[left], here[name][left]))
            for name in LOGISTIC_MODELS
        }
    selected = {region: np.asarray(block)[fitted.signatures_[region].selected_] for region, block in prototype.blocks}
    return _Replicate(scores, selected, {m: fitted.models_[m]["nomogram"].predictors for m in METHODS})


def _draw(groups: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of patients drawn with replacement, all lesions of a patient each time, and rows of those never drawn."""
    patients, index = np.unique(groups, return_inverse=True)
    rows = [np.flatnonzero(index == patient) for patient in range(len(patients))]
    chosen = rng.integers(0, len(patients), len(patients))
    left = np.flatnonzero(~np.isin(index, chosen))
    return np.concatenate([rows[patient] for patient in chosen]), left


def _three_figures(*cases: tuple[np.ndarray, np.ndarray]) -> dict[str, tuple[float, ...]]:
    return {figure: tuple(_figure(figure, y, log_odds) for y, log_odds in cases) for figure in FIGURES}


def _figure(name: str, y: np.ndarray, log_odds: np.ndarray) -> float:
    """One figure, NaN where it is not defined."""
    if name == "brier":
        return brier(y, expit(log_odds)) if len(y) else math.nan
    if len(np.unique(y)) < 2:
        return math.nan
    return roc_auc(y, log_odds).value if name == "auc" else _slope(y, log_odds)[0]


def _slope(y: np.ndarray, log_odds: np.ndarray) -> tuple[float, float]:
    """Calibration slope and its variance, NaN where all cases are scored alike."""
    if np.ptp(log_odds) < 1e-9:
        return math.nan, math.nan
    fitted = LogisticNomogram().fit(log_odds[:, np.newaxis], y)
    return float(fitted.coef_[0]), float(fitted.covariance_[1, 1])


def _bootstrap(
    pipeline: RadiomicsNomogram,
    x: np.ndarray,
    y: np.ndarray,
    replicates: Sequence[_Replicate],
    wanted: int,
    columns: Sequence[str],
) -> dict[str, BootstrapValidation]:
    frequency = {}
    for region, _ in pipeline.blocks:
        counts = Counter(int(column) for replicate in replicates for column in replicate.selected[region])
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        frequency[region] = tuple((columns[column], count / len(replicates)) for column, count in ranked)
    found = {}
    for method in METHODS:
        apparent = pipeline.log_odds(x, method)
        figures = {
            name: {
                figure: _optimism(
                    figure, _figure(figure, y, apparent[name]), [r.figures[method][name][figure] for r in replicates]
                )
                for figure in FIGURES
            }
            for name in LOGISTIC_MODELS
        }
        chosen = Counter(predictor for replicate in replicates for predictor in replicate.predictors[method])
        shares = {predictor: count / len(replicates) for predictor, count in chosen.most_common()}
        found[method] = BootstrapValidation(wanted, len(replicates), figures, frequency, shares)
    return found


def _optimism(name: str, apparent: float, figures: Sequence[tuple[float, float, float]]) -> Optimism:
    there, here, left = np.array(figures).T
    average = np.median if name == "slope" else np.mean
    optimism = math.nan if math.isnan(apparent) else _average(there - here, average)
    return Optimism(apparent, optimism, apparent - optimism, _average(left, average))


def _average(values: np.ndarray, average: Callable) -> float:
    known = values[~np.isnan(values)]
    return float(average(known)) if len(known) else math.nan


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _nested(folds: Sequence[_Fold], y: np.ndarray, n_folds: int) -> dict[str, NestedValidation]:
    by_repeat: dict[int, list[_Fold]] = {}
    for fold in sorted(folds, key=lambda fold: (fold.repeat, fold.test[0])):
        by_repeat.setdefault(fold.repeat, []).append(fold)
    # Only repeats in which every case was held out once: an interruption, or a fold that could not be fitted, ends one.
    complete = [members for members in by_repeat.values() if sum(len(fold.test) for fold in members) == len(y)]
    if not complete:
        return {}
    return {method: _nested_figures(complete, y, n_folds, method) for method in METHODS}


def _nested_figures(repeats: Sequence[Sequence[_Fold]], y: np.ndarray, n_folds: int, method: str) -> NestedValidation:
    areas, slopes, briers, probabilities, aucs = {}, {}, {}, {}, {}
    for name in LOGISTIC_MODELS:
        log_odds = np.empty((len(repeats), len(y)))
        for row, members in enumerate(repeats):
            for fold in members:
                log_odds[row, fold.test] = fold.log_odds[method][name]
        per_repeat = [_fold_auc(members, y, method, name) for members in repeats]
        aucs[name] = np.array([area for area, _ in per_repeat])
        # Repeats share their patients: their mean is no surer than one of them, but they show what the folds change.
        between = float(aucs[name].var(ddof=1)) if len(repeats) > 1 else 0.0
        within = _mean(np.array([variance for _, variance in per_repeat]))
        areas[name] = _logit_interval(_mean(aucs[name]), within + between)
        per_slope = np.array(
            [
                _slope(y, row) if _tells_apart(members, method, name) else (math.nan, math.nan)
                for members, row in zip(repeats, log_odds)
            ]
        )
        slopes[name] = _wald(_mean(per_slope[:, 0]), _mean(per_slope[:, 1]))
        loss = ((expit(log_odds) - y) ** 2).mean(axis=0)
        briers[name] = _wald(float(loss.mean()), float(loss.var(ddof=1) / len(y)))
        probabilities[name] = expit(log_odds).mean(axis=0)
    return NestedValidation(len(repeats), n_folds, areas, slopes, briers, aucs, y, probabilities)


def _fold_auc(folds: Sequence[_Fold], y: np.ndarray, method: str, name: str) -> tuple[float, float]:
    """Mean AUC over the folds of one repeat, and its variance from the placements of the cases.

    Within folds, because scores of different models do not compare: pooled over folds, a model without any signal
    comes out below one half. A fold has few cases of the rarer class, and its own mean fits them too well: the variance
    of the placements is pooled over the folds and counts one degree of freedom less for each.
    """
    areas, sizes, deviations = [], [], ([], [])
    for fold in folds:
        truth, score = y[fold.test], fold.log_odds[method][name]
        positive, negative = score[truth == 1], score[truth == 0]
        if not len(positive) or not len(negative):
            continue
        above = np.sign(positive[:, np.newaxis] - negative) / 2 + 0.5
        areas.append(above.mean())
        sizes.append(above.shape)
        for of_class, axis in zip(deviations, (1, 0)):
            of_class.append(above.mean(axis=axis) - above.mean())
    if not areas:
        return math.nan, math.nan
    variance = 0.0
    for of_class, counts in zip(deviations, np.array(sizes).T):
        freedom = counts.sum() - len(areas)
        spread = (np.concatenate(of_class) ** 2).sum() / freedom if freedom else math.nan
        variance += spread * (1 / counts).sum() / len(areas) ** 2
    return float(np.mean(areas)), float(variance)


def _tells_apart(folds: Sequence[_Fold], method: str, name: str) -> bool:
    """Whether the model of any fold scores its cases differently.

    Models without predictors are the prevalence of their own cases, which is the lower the more events their fold has:
    over the folds that looks like a slope of minus four, and says nothing.
    """
    return any(np.ptp(fold.log_odds[method][name]) > 1e-9 for fold in folds)


def _logit_interval(value: float, variance: float) -> Estimate:
    if not 0 < value < 1 or not variance > 0:
        return Estimate(value)
    center, half_width = math.log(value / (1 - value)), Z_95 * math.sqrt(variance) / (value * (1 - value))
    return Estimate(value, float(expit(center - half_width)), float(expit(center + half_width)))


def _wald(value: float, variance: float) -> Estimate:
    if math.isnan(variance):
        return Estimate(value)
    half_width = Z_95 * math.sqrt(variance)
    return Estimate(value, value - half_width, value + half_width)
