"""The logistic model of a nomogram as a scikit-learn estimator, with the covariance that its intervals need."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from .binary import LogOddsClassifier, two_classes

_MAX_ITERATIONS = 100
_TOLERANCE = 1e-9
# A maximum likelihood fit that still moves after this many Newton steps runs off to infinity.
_ML_ITERATIONS = 30


class LogisticNomogram(LogOddsClassifier, BaseEstimator):
    """Unpenalized logistic regression with covariance; Firth's method where the classes separate or events are few.

    Where a combination of predictors separates the classes, maximum likelihood has no finite solution, and with few
    events its coefficients are too large. Firth's penalized likelihood (Biometrika 1993;80:27) always has a solution
    and less bias; its intercept is then fitted anew with the other coefficients fixed, because Firth's own pulls the
    mean probability towards one half (FLIC: Puhr et al., Stat Med 2017;36:2302).

    Parameters
    ----------
    method : {"auto", "firth"}
        ``auto`` uses maximum likelihood unless the classes separate or events are few; ``firth`` is Firth's method with
        its own intercept.
    min_events_per_coefficient : float
        Cases of the rarer class per coefficient below which events are few; zero: only separation counts.

    Attributes
    ----------
    classes_ : np.ndarray, shape (2,)
    intercept_ : float
    coef_ : np.ndarray, shape (n_features,)
    covariance_ : np.ndarray, shape (n_features + 1, n_features + 1)
        Of the intercept and the coefficients: the inverse of the Fisher information.
    separated_ : bool
        Whether Firth's method was used because the classes separate.
    few_events_ : bool
        Whether Firth's method was used because events are few.
    """

    def __init__(self, method: str = "auto", min_events_per_coefficient: float = 0.0):
        self.method = method
        self.min_events_per_coefficient = min_events_per_coefficient

    def fit(self, X, y) -> LogisticNomogram:  # noqa: N803 - scikit-learn's name
        """Fit the model.

        Parameters
        ----------
        X : array-like, shape (n_cases, n_features)
        y : array-like, shape (n_cases,)
            Two classes; the second in sorted order is the event.

        Raises
        ------
        ValueError
            Where there are not two classes.
        """
        if self.method not in ("auto", "firth"):
            raise ValueError(f"method must be 'auto' or 'firth', got {self.method!r}")
        X, y = validate_data(self, X, y, dtype=float)
        self.classes_, y = two_classes(y)
        design, center, spread = _design(X)
        automatic = self.method == "auto"
        rarer = min(y.sum(), len(y) - y.sum())
        beta, covariance, finite = _newton(design, y, firth=not automatic)
        self.separated_ = automatic and not finite
        few = rarer < self.min_events_per_coefficient * X.shape[1]
        self.few_events_ = bool(automatic and few and not self.separated_)
        if self.separated_ or self.few_events_:
            beta, covariance, _ = _newton(design, y, firth=True)
            beta[0] += intercept_shift(y, design @ beta)
        back = np.diag(np.concatenate([[1.0], 1.0 / spread]))
        back[0, 1:] = -center / spread
        beta = back @ beta
        self.intercept_, self.coef_ = float(beta[0]), beta[1:]
        self.covariance_ = back @ covariance @ back.T
        return self

    def decision_function(self, X) -> np.ndarray:  # noqa: N803
        """Log odds of the event, shape (n_cases,)."""
        check_is_fitted(self)
        return self.intercept_ + validate_data(self, X, dtype=float, reset=False) @ self.coef_


def maximum_log_likelihood(x: np.ndarray, y: np.ndarray) -> float:
    """Largest log likelihood of a logistic model with intercept; what it approaches where the classes separate.

    Parameters
    ----------
    x : np.ndarray, shape (n_cases, n_features)
    y : np.ndarray of 0 and 1, shape (n_cases,)
    """
    design, _, _ = _design(np.asarray(x, dtype=float))
    beta, _, _ = _newton(design, np.asarray(y, dtype=float), firth=False)
    return _log_likelihood(design, y, beta)


def intercept_shift(y: np.ndarray, log_odds: np.ndarray) -> float:
    """What to add to the log odds so that their mean probability is the prevalence: a fit of the intercept alone.

    Parameters
    ----------
    y : np.ndarray of 0 and 1, shape (n_cases,)
        Both classes present.
    log_odds : np.ndarray, shape (n_cases,)
    """
    # The mean probability rises with the shift, and these ends lie below and above the prevalence.
    center = math.log(y.mean() / (1 - y.mean()))
    low, high = center - log_odds.max() - 1, center - log_odds.min() + 1
    return float(brentq(lambda shift: expit(log_odds + shift).mean() - y.mean(), low, high, xtol=1e-12))


def _design(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Design matrix with intercept, centers and spreads of the predictors.

    Newton steps are taken on centered and scaled predictors, because raw units can differ by many powers of ten.
    """
    center, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return np.column_stack([np.ones(len(x)), (x - center) / spread]), center, spread


def _newton(design: np.ndarray, y: np.ndarray, firth: bool) -> tuple[np.ndarray, np.ndarray, bool]:
    """Coefficients, covariance, and whether the solution is finite; else the coefficients run off to infinity."""
    objective = _firth_likelihood if firth else _log_likelihood
    beta = np.zeros(design.shape[1])
    covariance = np.eye(design.shape[1])
    for _ in range(_MAX_ITERATIONS if firth else _ML_ITERATIONS):
        probability, covariance, _ = _moments(design, beta)
        score = y - probability
        if firth:
            leverage = probability * (1 - probability) * np.einsum("ij,jk,ik->i", design, covariance, design)
            score = score + leverage * (0.5 - probability)
        step = _halved(design, y, beta, covariance @ (design.T @ score), objective)
        beta = beta + step
        if np.abs(step).max() < _TOLERANCE:
            return beta, covariance, firth or not _saturated(design, beta)
    return beta, covariance, firth


def _moments(design: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, covariance and Fisher information at ``beta``."""
    probability = expit(design @ beta)
    information = design.T @ (design * (probability * (1 - probability))[:, np.newaxis])
    # The pseudo-inverse serves collinear predictors: it shares their effect instead of failing.
    return probability, np.linalg.pinv(information, hermitian=True), information


def _log_likelihood(design: np.ndarray, y: np.ndarray, beta: np.ndarray) -> float:
    log_odds = design @ beta
    return float((y * log_odds - np.logaddexp(0.0, log_odds)).sum())


def _firth_likelihood(design: np.ndarray, y: np.ndarray, beta: np.ndarray) -> float:
    """Log likelihood plus half the log determinant of the information, over the directions that the data span.

    Where a direction is saturated its information is lost for good, which counts as infinitely unlikely.
    """
    if _saturated(design, beta):
        return -math.inf
    spectrum = np.linalg.eigvalsh(_moments(design, beta)[2])
    spanned = spectrum[spectrum > spectrum.max() * 1e-12]
    return _log_likelihood(design, y, beta) + 0.5 * float(np.log(spanned).sum())


def _saturated(design: np.ndarray, beta: np.ndarray) -> bool:
    """Whether the cases that carry a predictor all have a probability of zero or one."""
    information = _moments(design, beta)[2]
    largest = np.abs(information).max()
    if not largest > 1e-8:
        return True
    rank = np.linalg.matrix_rank(information, tol=1e-12 * largest, hermitian=True)
    return bool(rank < np.linalg.matrix_rank(design))


def _halved(design: np.ndarray, y: np.ndarray, beta: np.ndarray, step: np.ndarray, objective: Callable) -> np.ndarray:
    """The step, halved until the likelihood does not fall and no half of it is better.

    A full step can overshoot so far that none comes back, and Firth's score steps can swing about the solution.
    """
    step = step * min(1.0, 5.0 / max(np.abs(step).max(), 1e-300))
    before, value = objective(design, y, beta), objective(design, y, beta + step)
    for _ in range(60):
        half = objective(design, y, beta + step / 2)
        if value >= before - 1e-12 * abs(before) and half <= value:
            return step
        step, value = step / 2, half
    return step
