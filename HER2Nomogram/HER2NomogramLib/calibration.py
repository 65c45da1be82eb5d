"""Whether probabilities mean what they say: calibration in the large, slope, curve and groups.

The hierarchy is that of Van Calster (J Clin Epidemiol 2016;74:167): mean calibration (intercept), weak (slope),
moderate (curve). Strong calibration cannot be told from data of this size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import chi2

from .metrics import Z_95, Estimate, wilson
from .nomogram import LogisticNomogram, intercept_shift

# Log odds of probabilities nearer than this to 0 or 1 are taken at it: those of 0 and 1 are infinite.
NEAREST_TO_CERTAIN = 1e-8
# Predictions within this range of log odds are one prediction: a slope between them would be noise over nothing.
_SAME_LOG_ODDS = 0.01
# A larger standard error of an intercept spans all probabilities, one of a slope all slopes: it estimates nothing.
_LARGEST_ERROR = 5.0
# Of the rarer class, for a curve that may bend; below, it has the two parameters of a straight line.
_CASES_FOR_SPLINE = 10
_CASES_PER_BIN = 8
_CURVE_POINTS = 101


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """Observed share of HER2-positive cases as a smooth function of the predicted probability.

    Attributes
    ----------
    predicted : np.ndarray, shape (n_points,)
        Ascending, from the smallest to the largest prediction.
    observed, low, high : np.ndarray, shape (n_points,)
        With the pointwise 95% band.
    """

    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class CalibrationBin:
    """Cases of similar predicted probability.

    Attributes
    ----------
    n, events : int
    predicted : float
        Mean predicted probability.
    observed : Estimate
        Share of events with its Wilson interval.
    """

    n: int
    events: int
    predicted: float
    observed: Estimate


@dataclass(frozen=True)
class HosmerLemeshow:
    """Hosmer and Lemeshow's goodness of fit over the bins."""

    statistic: float
    df: int
    p: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """How well predicted probabilities agree with outcomes.

    Attributes
    ----------
    intercept : Estimate
        Calibration in the large: log odds to add for the mean prediction to be right; 0 is perfect, below 0 the
        predictions are too high.
    slope : Estimate
        Of the outcome on the log odds of the predictions; 1 is perfect, below 1 the predictions are too extreme.
    ici : float
        Integrated calibration index: mean absolute difference of prediction and smooth curve.
    curve : CalibrationCurve or None
        None where the predictions do not differ or separate the classes, or the cases are of one class.
    bins : tuple of CalibrationBin
    hosmer_lemeshow : HosmerLemeshow or None
    remarks : tuple of str
        What could not be estimated or was handled specially.
    """

    intercept: Estimate
    slope: Estimate
    ici: float
    curve: CalibrationCurve | None
    bins: tuple[CalibrationBin, ...]
    hosmer_lemeshow: HosmerLemeshow | None
    remarks: tuple[str, ...] = ()


def calibrate(y: np.ndarray, p: np.ndarray, fitted_here: bool = False) -> Calibration:
    """Measure the calibration of probabilities against outcomes.

    Parameters
    ----------
    y : np.ndarray of 0 and 1, shape (n_cases,)
    p : np.ndarray, shape (n_cases,)
    fitted_here : bool
        Whether the model was fitted to these cases, which costs Hosmer and Lemeshow's test two degrees of freedom.
    """
    y, p = np.asarray(y, dtype=float), np.asarray(p, dtype=float)
    log_odds, bins, remarks = to_log_odds(p), calibration_bins(y, p), []
    certain = int(np.sum((p < NEAREST_TO_CERTAIN) | (p > 1 - NEAREST_TO_CERTAIN)))
    if certain:
        remarks.append(
            f"{certain} of {len(p)} predictions are 0 or 1, where log odds are infinite: taken as "
            f"{NEAREST_TO_CERTAIN:g} away from it for intercept, slope and curve."
        )
    if len(np.unique(y)) < 2:
        remarks.append("One class only: no calibration intercept, slope or curve.")
        return Calibration(Estimate(math.nan), Estimate(math.nan), math.nan, None, bins, None, tuple(remarks))
    intercept, slope = calibration_intercept(y, p), calibration_slope(y, p)
    curve, ici, straight = _smooth(y, log_odds, p)
    test = hosmer_lemeshow(bins, fitted_here)
    if math.isnan(intercept.value):
        remarks.append("The predictions are so near 0 or 1 that a calibration intercept cannot be estimated.")
    if math.isnan(slope.value):
        remarks.append(_no_slope(y, log_odds))
    if straight:
        remarks.append("The calibration curve is a straight line of log odds: too few cases or values for more.")
    if test is None:
        remarks.append("No Hosmer-Lemeshow test: too few groups, or one whose predictions are all 0 or 1.")
    if fitted_here and abs(intercept.value) < 1e-4 and abs(slope.value - 1) < 1e-4:
        remarks.append("Intercept 0 and slope 1 hold by construction: the logistic model was fitted to these cases.")
    return Calibration(intercept, slope, ici, curve, bins, test, tuple(remarks))


def to_log_odds(p: np.ndarray) -> np.ndarray:
    """Log odds of probabilities, kept finite where they are 0 or 1."""
    return logit(np.clip(np.asarray(p, dtype=float), NEAREST_TO_CERTAIN, 1 - NEAREST_TO_CERTAIN))


def calibration_intercept(y: np.ndarray, p: np.ndarray) -> Estimate:
    """Calibration in the large: the intercept of a logistic model with the predictions' log odds as offset.

    The maximum likelihood estimate with its Wald interval (Van Calster, J Clin Epidemiol 2016;74:167; BMC Med
    2019;17:230). NaN where the cases are of one class, or the predictions are all near 0 or 1 and tell nothing.

    Parameters
    ----------
    y : np.ndarray of 0 and 1, shape (n_cases,)
    p : np.ndarray, shape (n_cases,)
    """
    y, log_odds = np.asarray(y, dtype=float), to_log_odds(p)
    if len(np.unique(y)) < 2:
        return Estimate(math.nan)
    value, variance = intercept_given(y, log_odds)
    return _wald(value, variance)


def intercept_given(y: np.ndarray, offset: np.ndarray) -> tuple[float, float]:
    """Maximum likelihood intercept of a logistic model with an offset, and its variance; both classes are needed."""
    value = intercept_shift(y, offset)
    probability = expit(value + offset)
    return value, 1 / max(float(np.sum(probability * (1 - probability))), 1e-300)


def calibration_slope(y: np.ndarray, p: np.ndarray) -> Estimate:
    """Slope of a logistic model of the outcome on the predictions' log odds (Cox, Biometrika 1958;45:562).

    NaN where the cases are of one class, the predictions hardly differ, or they separate the classes.

    Parameters
    ----------
    y : np.ndarray of 0 and 1, shape (n_cases,)
    p : np.ndarray, shape (n_cases,)
    """
    y, log_odds = np.asarray(y, dtype=float), to_log_odds(p)
    if len(np.unique(y)) < 2 or not _varies(log_odds) or separates(y, log_odds):
        return Estimate(math.nan)
    fitted = LogisticNomogram().fit(log_odds[:, np.newaxis], y)
    if fitted.separated_:
        return Estimate(math.nan)
    return _wald(float(fitted.coef_[0]), float(fitted.covariance_[1, 1]))


def separates(y: np.ndarray, score: np.ndarray) -> bool:
    """Whether a score has the two classes on different sides, ties at the border included."""
    positive, negative = score[y == 1], score[y == 0]
    return bool(positive.min() >= negative.max() or positive.max() <= negative.min())


def calibration_bins(y: np.ndarray, p: np.ndarray) -> tuple[CalibrationBin, ...]:
    """Cases in quantile groups of the predicted probability, in ascending order.

    Ten groups from 200 cases on, five from 50 on, fewer below; equal predictions are never put in different groups.
    """
    y, p = np.asarray(y), np.asarray(p, dtype=float)
    wanted = 10 if len(p) >= 200 else max(1, min(5, len(p) // _CASES_PER_BIN))
    # Predictions that differ by rounding alone are equal.
    rounded = np.round(p, 12)
    edges = np.unique(np.quantile(rounded, np.arange(1, wanted) / wanted, method="inverted_cdf"))
    group = np.searchsorted(edges, rounded, side="left")
    bins = []
    for index in np.unique(group):
        inside = group == index
        n, events = int(inside.sum()), int(y[inside].sum())
        bins.append(CalibrationBin(n, events, float(p[inside].mean()), wilson(events, n)))
    return tuple(bins)


def hosmer_lemeshow(bins: tuple[CalibrationBin, ...], fitted_here: bool) -> HosmerLemeshow | None:
    """Hosmer and Lemeshow's test over quantile groups (Commun Stat A 1980;9:1043); None with too few groups.

    Degrees of freedom are the groups less two where the model was fitted to these cases, and the groups where it was
    not (Applied Logistic Regression, 3rd ed. 2013, section 5.2). With few cases it finds little, with many it finds
    anything: intercept, slope and curve say more.
    """
    df = len(bins) - 2 if fitted_here else len(bins)
    if df < 1 or len(bins) < 2:
        return None
    expected = np.array([b.n * b.predicted for b in bins])
    variance = np.array([b.n * b.predicted * (1 - b.predicted) for b in bins])
    if (variance < 1e-6).any():
        # A group predicted with certainty: one case off would make any statistic infinite.
        return None
    statistic = float(np.sum((np.array([b.events for b in bins]) - expected) ** 2 / variance))
    return HosmerLemeshow(statistic, df, float(chi2.sf(statistic, df)))


def _wald(value: float, variance: float) -> Estimate:
    error = math.sqrt(variance)
    if error > _LARGEST_ERROR:
        return Estimate(math.nan)
    return Estimate(value, value - Z_95 * error, value + Z_95 * error)


def _varies(log_odds: np.ndarray) -> bool:
    return float(np.ptp(log_odds)) > _SAME_LOG_ODDS


def _no_slope(y: np.ndarray, log_odds: np.ndarray) -> str:
    if not _varies(log_odds):
        return "The predictions do not differ: no calibration slope or curve."
    if separates(y, log_odds):
        return "The predictions separate the classes: the calibration slope is infinite, there is no curve."
    return "The calibration slope cannot be estimated: the predictions differ too little, or too few are off 0 and 1."


def _smooth(y: np.ndarray, log_odds: np.ndarray, p: np.ndarray) -> tuple[CalibrationCurve | None, float, bool]:
    """Calibration curve, integrated calibration index, and whether the curve is but a straight line.

    The restricted cubic spline of the log odds with knots at the 10th, 50th and 90th percentiles in a logistic model,
    and the index over it, are as in Austin and Steyerberg (Stat Med 2014;33:517 and 2019;38:4051).
    """
    if not _varies(log_odds):
        return None, float(np.mean(np.abs(y.mean() - p))), False
    if separates(y, log_odds):
        return None, math.nan, False
    knots = np.percentile(log_odds, [10, 50, 90])
    rarer = min(y.sum(), (1 - y).sum())
    bends = rarer >= _CASES_FOR_SPLINE and len(np.unique(log_odds)) >= 5 and np.diff(knots).min() > _SAME_LOG_ODDS
    fitted = LogisticNomogram().fit(_basis(log_odds, knots), y) if bends else None
    if fitted is None or fitted.separated_:
        knots, bends = None, False
        fitted = LogisticNomogram().fit(_basis(log_odds, knots), y)
    if fitted.separated_:
        return None, math.nan, False
    # Points even in probability and even in log odds: either alone is coarse somewhere.
    ends = log_odds.min(), log_odds.max()
    points = np.union1d(np.linspace(*ends, _CURVE_POINTS), logit(np.linspace(*expit(ends), _CURVE_POINTS)[1:-1]))
    design = np.column_stack([np.ones(len(points)), _basis(points, knots)])
    center = fitted.decision_function(_basis(points, knots))
    half_width = Z_95 * np.sqrt(np.einsum("ij,jk,ik->i", design, fitted.covariance_, design).clip(0))
    curve = CalibrationCurve(expit(points), expit(center), expit(center - half_width), expit(center + half_width))
    ici = float(np.mean(np.abs(expit(fitted.decision_function(_basis(log_odds, knots))) - p)))
    return curve, ici, not bends


def _basis(x: np.ndarray, knots: np.ndarray | None) -> np.ndarray:
    """Columns of a cubic spline that is linear beyond its three knots (Harrell, Regression Modeling Strategies)."""
    if knots is None:
        return x[:, np.newaxis]
    first, middle, last = knots
    cubes = [np.clip(x - knot, 0, None) ** 3 for knot in knots]
    share = (last - first) / (last - middle)
    bend = (cubes[0] - cubes[1] * share + cubes[2] * (share - 1)) / (last - first) ** 2
    return np.column_stack([x, bend])
