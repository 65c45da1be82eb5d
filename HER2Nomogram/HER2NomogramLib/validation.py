"""How well a model separates HER2-positive from negative cases."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from .errors import InputError


@dataclass(frozen=True)
class AreaUnderCurve:
    """Area under the ROC curve with its 95% interval."""

    area: float
    low: float
    high: float


def roc_auc(y: np.ndarray, score: np.ndarray, level: float = 0.95) -> AreaUnderCurve:
    """Area under the ROC curve with DeLong's variance (Biometrics 1988;44:837), the interval on the logit scale.

    On the logit scale the interval stays within 0 and 1, which the plain one does not for the small test sets of such
    studies. Where the classes separate the variance estimate is zero and says nothing; the interval then is the exact
    binomial one for as many pairs as the smaller class has cases.

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
    y, score = np.asarray(y), np.asarray(score, dtype=float)
    positive, negative = score[y == 1], score[y == 0]
    m, n = len(positive), len(negative)
    if not m or not n:
        raise InputError("The ROC curve needs cases of both classes: this split has one class only.")
    # Each placement is the share of the other class that a case is ranked rightly against, ties counting half.
    right = (positive[:, None] > negative).astype(float) + 0.5 * (positive[:, None] == negative)
    area = float(right.mean())
    # One case of a class says nothing about how its class varies: no variance, as where the classes separate.
    placements = (right.mean(axis=1), right.mean(axis=0))
    variance = sum(v.var(ddof=1) / len(v) for v in placements) if min(m, n) > 1 else 0.0
    tail = (1 - level) / 2
    if variance == 0 or not 0 < area < 1:
        bound = tail ** (1 / min(m, n))
        # A score that ties all cases (area one half) says nothing: its interval is all of 0 to 1.
        low = min(area, bound) if area > 0.5 else 0.0
        return AreaUnderCurve(area, low, max(area, 1 - bound) if area < 0.5 else 1.0)
    half_width = NormalDist().inv_cdf(1 - tail) * math.sqrt(variance) / (area * (1 - area))
    center = math.log(area / (1 - area))
    low, high = (1 / (1 + math.exp(-(center + sign * half_width))) for sign in (-1, 1))
    return AreaUnderCurve(area, low, high)


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
