"""How well probabilities separate HER2-positive from negative cases: figures of one model and of two compared.

Intervals are 95% ones. They treat cases as independent and take the model as given: what its training on few cases
adds is for :mod:`.resampling` to say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.stats import rankdata

from .errors import InputError

# Of the normal distribution, for 95% intervals.
Z_95 = NormalDist().inv_cdf(0.975)
# What is below this is rounding: variances of placements are whole numbers over the fourth power of the cases.
_NO_VARIANCE = 1e-22


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95% interval; NaN where there is none."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Difference:
    """Difference of two figures of the same cases, with its 95% interval and the p-value of no difference."""

    value: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan


@dataclass(frozen=True)
class Classification:
    """Decisions at a cut-off against the outcomes.

    Attributes
    ----------
    cutoff : float
        A case counts as positive from this probability.
    tp, fp, fn, tn : int
        Counts of true and false positives and negatives.
    sensitivity, specificity, accuracy, ppv, npv : Estimate
        With Wilson intervals; NaN where no case could tell.
    """

    cutoff: float
    tp: int
    fp: int
    fn: int
    tn: int
    sensitivity: Estimate
    specificity: Estimate
    accuracy: Estimate
    ppv: Estimate
    npv: Estimate


@dataclass(frozen=True)
class Reclassification:
    """What a model changes against a reference model.

    Attributes
    ----------
    reference : str
        Name of the reference model.
    nri_events, nri_nonevents, nri : Difference
        Continuous net reclassification improvement: share of HER2-positive cases whose probability rises less the
        share whose probability falls, the reverse in negative cases, and the sum of both (-2 to 2).
    idi : Difference
        Integrated discrimination improvement: gain in the difference of mean probabilities between the classes.
    """

    reference: str
    nri_events: Difference
    nri_nonevents: Difference
    nri: Difference
    idi: Difference


def roc_auc(y: np.ndarray, score: np.ndarray, level: float = 0.95) -> Estimate:
    """Area under the ROC curve with DeLong's variance (Biometrics 1988;44:837), the interval on the logit scale.

    On the logit scale the interval stays within 0 and 1, which the plain one does not for the small test sets of such
    studies. Where the classes separate the variance estimate is zero and says nothing; the interval then is the exact
    binomial one for as many pairs as the smaller class has cases. Placements come from midranks, in memory that grows
    with the cases and not with the pairs (Sun and Xu, IEEE Signal Process Lett 2014;21:1389).

    Parameters
    ----------
    y : np.ndarray of 0 and 1, shape (n_cases,)
    score : np.ndarray, shape (n_cases,)
    level : float

    Raises
    ------
    InputError
        Where a class is missing.
    """
    area, of_positive, of_negative = _placements(y, score)
    smaller = min(len(of_positive), len(of_negative))
    variance = _variance_of_sum(of_positive, of_negative)
    tail = (1 - level) / 2
    # One case of a class says nothing about how its class varies: no variance, as where the classes separate.
    if not variance > _NO_VARIANCE or not 0 < area < 1:
        bound = tail ** (1 / smaller)
        # A score that ties all cases (area one half) says nothing: its interval is all of 0 to 1.
        low = min(area, bound) if area > 0.5 else 0.0
        return Estimate(area, low, max(area, 1 - bound) if area < 0.5 else 1.0)
    half_width = NormalDist().inv_cdf(1 - tail) * math.sqrt(variance) / (area * (1 - area))
    center = math.log(area / (1 - area))
    low, high = (_expit(center + sign * half_width) for sign in (-1, 1))
    return Estimate(area, low, high)


def roc_points(y: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ROC curve: false and true positive rates and the thresholds ``score >= threshold`` that give them, descending."""
    y, score = np.asarray(y), np.asarray(score, dtype=float)
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.diff(np.append(score[order], -np.inf)))
    true = np.cumsum(y[order])[ends]
    false = ends + 1 - true
    fpr = np.concatenate([[0.0], false / max((y == 0).sum(), 1)])
    tpr = np.concatenate([[0.0], true / max((y == 1).sum(), 1)])
    return fpr, tpr, np.concatenate([[np.inf], score[order][ends]])


def youden_cutoff(y: np.ndarray, probability: np.ndarray) -> float:
    """Probability cut-off with the largest sensitivity plus specificity (Youden, Cancer 1950;3:32)."""
    fpr, tpr, thresholds = roc_points(y, probability)
    return float(thresholds[1:][np.argmax((tpr - fpr)[1:])])


def delong_test(y: np.ndarray, a: np.ndarray, b: np.ndarray) -> Difference:
    """Difference of the areas under the ROC curves of two scores of the same cases (DeLong, Biometrics 1988;44:837).

    Two scores that rank all cases alike have no difference (p = 1). Where the variance is zero although they do not,
    as when both separate the classes, nothing can be said: interval and p are NaN. The test is approximate where one
    model contains the other and both were fitted to these cases (Demler, Stat Med 2012;31:2577).

    Parameters
    ----------
    y : np.ndarray of 0 and 1, shape (n_cases,)
    a, b : np.ndarray, shape (n_cases,)
        The difference is that of ``a`` less that of ``b``.

    Raises
    ------
    InputError
        Where a class is missing.
    """
    area_a, *of_a = _placements(y, a)
    area_b, *of_b = _placements(y, b)
    if np.array_equal(rankdata(a), rankdata(b)):
        return Difference(0.0, 0.0, 0.0, 1.0)
    variance = _variance_of_sum(of_a[0] - of_b[0], of_a[1] - of_b[1])
    if not variance > _NO_VARIANCE:
        return Difference(area_a - area_b)
    return _wald(area_a - area_b, variance, limit=1.0)


def two_sided_p(estimate: float, error: float) -> float:
    """p-value of no association from an estimate and its standard error, by the normal distribution."""
    return math.erfc(abs(estimate) / error / math.sqrt(2))


def wilson(successes: int, n: int) -> Estimate:
    """Proportion with its 95% score interval (Wilson, J Am Stat Assoc 1927;22:209); NaN where ``n`` is zero."""
    if n == 0:
        return Estimate(math.nan)
    z = Z_95
    share = successes / n
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half_width = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At no or all successes the bound is exactly 0 or 1, but for rounding.
    return Estimate(share, max(0.0, min(share, center - half_width)), min(1.0, max(share, center + half_width)))


def classification(y: np.ndarray, p: np.ndarray, cutoff: float) -> Classification:
    """Sensitivity, specificity, accuracy and predictive values of ``p >= cutoff``, with Wilson intervals."""
    y, called = np.asarray(y) == 1, np.asarray(p, dtype=float) >= cutoff
    tp, fp, fn, tn = (int(np.sum(c & o)) for c, o in ((called, y), (called, ~y), (~called, y), (~called, ~y)))
    return Classification(
        cutoff=float(cutoff),
        tp=tp,
        fp=fp,
        fn=fn,
        tn=tn,
        sensitivity=wilson(tp, tp + fn),
        specificity=wilson(tn, tn + fp),
        accuracy=wilson(tp + tn, len(y)),
        ppv=wilson(tp, tp + fp),
        npv=wilson(tn, tn + fn),
    )


def brier(y: np.ndarray, p: np.ndarray) -> float:
    """Mean squared difference of probability and outcome (Brier, Mon Weather Rev 1950;78:1); 0 is perfect."""
    return float(np.mean((np.asarray(p, dtype=float) - np.asarray(y)) ** 2))


def scaled_brier(y: np.ndarray, p: np.ndarray) -> float:
    """Share by which the Brier score improves on that of the cohort's prevalence for every case.

    1 is perfect, 0 as good as the prevalence, below 0 worse (Steyerberg, Epidemiology 2010;21:128); NaN where the
    cases are of one class.
    """
    prevalence = float(np.mean(np.asarray(y)))
    spread = prevalence * (1 - prevalence)
    return 1 - brier(y, p) / spread if spread > 0 else math.nan


def reclassification(y: np.ndarray, new: np.ndarray, old: np.ndarray, reference: str) -> Reclassification:
    """Continuous NRI and IDI of the probabilities ``new`` against ``old``.

    The definitions and the asymptotic variances are those of Pencina (Stat Med 2008;27:157 and 2011;30:11); intervals
    and p-values come from the same, unconstrained variance, so that they agree. Both figures reward a model that is
    merely more extreme (Hilden and Gerds, Stat Med 2014;33:3405), and their p-values are too small where both models
    were fitted to these cases: they stand beside the AUC and the net benefit, not in their place.

    Parameters
    ----------
    y : np.ndarray of 0 and 1, shape (n_cases,)
    new, old : np.ndarray, shape (n_cases,)
    reference : str
        Name of the model that ``old`` comes from.

    Raises
    ------
    InputError
        Where a class is missing.
    """
    y = np.asarray(y)
    change = np.asarray(new, dtype=float) - np.asarray(old, dtype=float)
    events, nonevents = change[y == 1], change[y == 0]
    if not len(events) or not len(nonevents):
        raise InputError("Reclassification needs cases of both classes: this split has one class only.")
    # A change in the last digits is rounding, not reclassification.
    moves = [np.where(np.abs(c) > 1e-12, np.sign(c), 0.0) for c in (events, -nonevents)]
    of_events, of_nonevents = ((float(m.mean()), float(m.var()) / len(m)) for m in moves)
    gain = float(events.mean() - nonevents.mean())
    of_class = _wald(*of_events, limit=1.0), _wald(*of_nonevents, limit=1.0)
    both = _wald(of_events[0] + of_nonevents[0], of_events[1] + of_nonevents[1], limit=2.0)
    # A class that moves as one shows no variation: the sum then has no interval either.
    known = not any(math.isnan(difference.p) for difference in of_class)
    return Reclassification(
        reference=reference,
        nri_events=of_class[0],
        nri_nonevents=of_class[1],
        nri=both if known else Difference(both.value),
        idi=_wald(gain, _variance_of_sum(events, nonevents), limit=2.0),
    )


def _placements(y: np.ndarray, score: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Area under the curve, and the placements of the positive and the negative cases.

    A placement is the share of the other class that a case is ranked rightly against, ties counting half.
    """
    y, score = np.asarray(y), np.asarray(score, dtype=float)
    positive, negative = score[y == 1], score[y == 0]
    m, n = len(positive), len(negative)
    if not m or not n:
        raise InputError("The ROC curve needs cases of both classes: this split has one class only.")
    among_all = rankdata(np.concatenate([positive, negative]))
    below = among_all[:m] - rankdata(positive)
    above = m - (among_all[m:] - rankdata(negative))
    # Sums of halves are exact: the area does not depend on the order of the cases.
    return float(below.sum() / (m * n)), below / n, above / m


def _variance_of_sum(of_positive: np.ndarray, of_negative: np.ndarray) -> float:
    """Variance of the sum of the two classes' means; NaN where a class has one case and so shows no variation."""
    if min(len(of_positive), len(of_negative)) < 2:
        return math.nan
    return float(sum(v.var(ddof=1) / len(v) for v in (of_positive, of_negative)))


def _wald(value: float, variance: float, limit: float) -> Difference:
    """Normal interval within plus and minus ``limit``, and two-sided p-value."""
    if not variance > _NO_VARIANCE:
        # Nothing differs in any case: a difference of zero for certain. Anything else has no known uncertainty.
        alike = variance <= _NO_VARIANCE and abs(value) < 1e-12
        return Difference(0.0, 0.0, 0.0, 1.0) if alike else Difference(value)
    error = math.sqrt(variance)
    half_width = Z_95 * error
    p = two_sided_p(value, error)
    return Difference(value, max(-limit, value - half_width), min(limit, value + half_width), p)


def _expit(log_odds: float) -> float:
    """Logistic function without overflow."""
    if log_odds >= 0:
        return 1 / (1 + math.exp(-log_odds))
    odds = math.exp(log_odds)
    return odds / (1 + odds)
