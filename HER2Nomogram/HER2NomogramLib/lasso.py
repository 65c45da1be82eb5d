"""The regularization path of LASSO-penalized logistic regression, with an unpenalized intercept.

Minimizes ``-loglik(intercept, coef) / n + penalty * sum(|coef|)``, the objective of glmnet (Friedman, Hastie and
Tibshirani, J Stat Softw 2010;33(1)), for a descending series of penalties: each Newton step is a weighted LASSO that
scikit-learn's coordinate descent solves, and the sequential strong rule (Tibshirani et al., J R Stat Soc B
2012;74:245) keeps features out that cannot enter. scikit-learn's own LASSO logistic solvers penalize the intercept
(liblinear) or converge slowly for many more features than cases (saga), and follow no path.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.special import expit
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

_MAX_NEWTON = 50
_TOLERANCE = 1e-7
# Like glmnet: no working weight below this, and the path ends where the fit is nearly perfect.
_MIN_WEIGHT = 1e-5
_MAX_EXPLAINED = 0.99


def penalty_grid(x: np.ndarray, y: np.ndarray, n_penalties: int, ratio: float) -> np.ndarray:
    """Penalties from the smallest that selects nothing down to ``ratio`` times it, evenly spaced on a log scale.

    Parameters
    ----------
    x : np.ndarray, shape (n_cases, n_features)
        Standardized features.
    y : np.ndarray of 0 and 1, shape (n_cases,)
    n_penalties : int
    ratio : float
        Between 0 and 1.
    """
    largest = float(np.abs(x.T @ (y - y.mean())).max(initial=0.0)) / len(y)
    return max(largest, 1e-12) * np.logspace(0.0, np.log10(ratio), n_penalties)


def logistic_lasso_path(
    x: np.ndarray, y: np.ndarray, penalties: np.ndarray, tolerance: float = _TOLERANCE
) -> tuple[np.ndarray, np.ndarray]:
    """Intercepts and coefficients for every penalty.

    Parameters
    ----------
    x : np.ndarray, shape (n_cases, n_features)
        Standardized features.
    y : np.ndarray of 0 and 1, shape (n_cases,)
        Both classes present.
    penalties : np.ndarray, shape (n_penalties,)
        In descending order.
    tolerance : float
        Largest change of the linear predictor at which a Newton iteration counts as converged.

    Returns
    -------
    intercepts : np.ndarray, shape (n_penalties,)
    coefficients : np.ndarray, shape (n_penalties, n_features)
        Where the fit explains 99% of the deviance the path ends, and its last solution is repeated.
    """
    x = np.asfortranarray(x, dtype=float)
    y = np.asarray(y, dtype=float)
    n_cases, n_features = x.shape
    null_deviance = -2 * n_cases * (y.mean() * np.log(y.mean()) + (1 - y.mean()) * np.log(1 - y.mean()))
    intercept, coef = float(np.log(y.mean() / (1 - y.mean()))), np.zeros(n_features)
    intercepts, coefficients = np.empty(len(penalties)), np.empty((len(penalties), n_features))
    previous = penalties[0]
    for index, penalty in enumerate(penalties):
        eta = intercept + x @ coef
        if 1 - deviance(y, eta) / null_deviance > _MAX_EXPLAINED:
            intercepts[index:], coefficients[index:] = intercept, coef
            break
        gradient = np.abs(x.T @ (y - expit(eta))) / n_cases
        candidates = (gradient >= 2 * penalty - previous) | (coef != 0)
        while True:
            intercept, coef = _solve(x, y, penalty, intercept, coef, np.flatnonzero(candidates), tolerance)
            gradient = np.abs(x.T @ (y - expit(intercept + x @ coef))) / n_cases
            missed = (gradient > penalty * (1 + 1e-6)) & ~candidates
            if not missed.any():
                break
            candidates |= missed
        intercepts[index], coefficients[index] = intercept, coef
        previous = penalty
    return intercepts, coefficients


def deviance(y: np.ndarray, eta: np.ndarray) -> float:
    """Binomial deviance of linear predictors ``eta``, shape (n_cases,)."""
    return float(2 * (np.logaddexp(0.0, eta) - y * eta).sum())


def _solve(
    x: np.ndarray, y: np.ndarray, penalty: float, intercept: float, coef: np.ndarray, columns: np.ndarray, tol: float
) -> tuple[float, np.ndarray]:
    """Solution for one penalty among the candidate columns, by Newton steps from a warm start."""
    coef = coef.copy()
    if not len(columns):
        return float(np.log(y.mean() / (1 - y.mean()))), coef
    part = np.asfortranarray(x[:, columns])
    beta = coef[columns]
    eta = intercept + part @ beta
    for _ in range(_MAX_NEWTON):
        probability = expit(eta)
        weight = np.maximum(probability * (1 - probability), _MIN_WEIGHT)
        response = eta + (y - probability) / weight
        intercept, beta = _weighted_lasso(part, response, weight, penalty, beta, tol)
        new_eta = intercept + part @ beta
        change = np.abs(new_eta - eta).max()
        eta = new_eta
        if change < tol:
            break
    coef[columns] = beta
    return intercept, coef


def _weighted_lasso(
    x: np.ndarray, response: np.ndarray, weight: np.ndarray, penalty: float, start: np.ndarray, tol: float
) -> tuple[float, np.ndarray]:
    """Minimize ``sum(weight * (response - intercept - x @ beta)**2) / (2 n) + penalty * sum(|beta|)``."""
    total = weight.sum()
    x_mean = weight @ x / total
    response_mean = weight @ response / total
    root = np.sqrt(weight)
    scaled = np.asfortranarray((x - x_mean) * root[:, np.newaxis])
    # The Newton iteration around this checks convergence itself, and checking the arguments of tens of thousands of
    # small problems takes longer than solving them.
    with warnings.catch_warnings(), config_context(skip_parameter_validation=True):
        warnings.simplefilter("ignore", ConvergenceWarning)
        _, path, _ = enet_path(
            scaled, (response - response_mean) * root, l1_ratio=1.0, alphas=[penalty], coef_init=start,
            precompute=False, check_input=False, tol=max(tol * tol, 1e-14), max_iter=2000,
        )  # fmt: skip
    beta = path[:, 0]
    return float(response_mean - x_mean @ beta), beta
