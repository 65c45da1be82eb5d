"""Decision curves: what a model is worth for choosing whom to refer to ISH, against referring everybody or nobody.

A case is referred where its probability is at or above the threshold, which stands for how many needless ISH tests
one found HER2-positive cancer is worth: at 0.2 it is four.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

TEST_ALL = "all"


@dataclass(frozen=True, eq=False)
class DecisionCurve:
    """Net benefit over threshold probabilities.

    Attributes
    ----------
    thresholds : np.ndarray, shape (n_thresholds,)
    net_benefit : dict of str to np.ndarray
        By model, and ``all`` for referring everybody; that of referring nobody is zero.
    referred : dict of str to np.ndarray
        By model: share of the cases at or above the threshold.
    avoided_per_100 : dict of str to np.ndarray
        By model: ISH tests avoided per 100 cases against referring everybody, net of missed HER2-positive cases:
        as many as could be left out at no loss of net benefit. Below 0 the model is worse than referring everybody.
    """

    thresholds: np.ndarray
    net_benefit: dict[str, np.ndarray]
    referred: dict[str, np.ndarray]
    avoided_per_100: dict[str, np.ndarray]


def default_thresholds() -> np.ndarray:
    """Every hundredth from 0.01 to 0.99."""
    return np.arange(1, 100) / 100


def net_benefit(y: np.ndarray, p: np.ndarray, thresholds: Sequence[float] | np.ndarray) -> np.ndarray:
    """Net benefit of referring cases with ``p >= threshold`` (Vickers and Elkin, Med Decis Making 2006;26:565).

    True positives less false positives weighted by the odds of the threshold, per case.

    Parameters
    ----------
    y : np.ndarray of 0 and 1, shape (n_cases,)
    p : np.ndarray, shape (n_cases,)
    thresholds : array-like, shape (n_thresholds,)
        From 0 to below 1.

    Raises
    ------
    ValueError
        Where a threshold is not from 0 to below 1.
    """
    y, p = np.asarray(y), np.asarray(p, dtype=float)
    true = _at_or_above(p[y == 1], thresholds)
    false = _at_or_above(p[y == 0], thresholds)
    return (true - false * _odds(thresholds)) / len(y)


def net_benefit_all(y: np.ndarray, thresholds: Sequence[float] | np.ndarray) -> np.ndarray:
    """Net benefit of referring every case, shape (n_thresholds,)."""
    return net_benefit(y, np.ones(len(y)), thresholds)


def decision_curve(
    y: np.ndarray, probabilities: Mapping[str, np.ndarray], thresholds: Sequence[float] | np.ndarray | None = None
) -> DecisionCurve:
    """Decision curves of several models on the same cases.

    Parameters
    ----------
    y : np.ndarray of 0 and 1, shape (n_cases,)
    probabilities : mapping of str to np.ndarray, shape (n_cases,)
        By model.
    thresholds : array-like, optional
        From 0 to below 1; every hundredth by default.
    """
    thresholds = default_thresholds() if thresholds is None else np.asarray(thresholds, dtype=float)
    everybody = net_benefit_all(y, thresholds)
    benefit = {name: net_benefit(y, p, thresholds) for name, p in probabilities.items()}
    odds = _odds(thresholds)
    # At a threshold of zero a needless test costs nothing, so that none is worth avoiding.
    per_test = np.divide(100.0, odds, out=np.full(len(odds), np.nan), where=odds > 0)
    return DecisionCurve(
        thresholds=thresholds,
        net_benefit={**benefit, TEST_ALL: everybody},
        referred={name: _at_or_above(np.asarray(p, float), thresholds) / len(y) for name, p in probabilities.items()},
        avoided_per_100={name: (values - everybody) * per_test for name, values in benefit.items()},
    )


def _at_or_above(p: np.ndarray, thresholds: Sequence[float] | np.ndarray) -> np.ndarray:
    """Number of probabilities at or above each threshold."""
    return len(p) - np.searchsorted(np.sort(p), np.asarray(thresholds, dtype=float), side="left")


def _odds(thresholds: Sequence[float] | np.ndarray) -> np.ndarray:
    thresholds = np.asarray(thresholds, dtype=float)
    if not ((thresholds >= 0) & (thresholds < 1)).all():
        raise ValueError("Threshold probabilities must be from 0 to below 1.")
    return thresholds / (1 - thresholds)
