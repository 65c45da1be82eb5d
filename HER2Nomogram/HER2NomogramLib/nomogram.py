"""The logistic model of a nomogram as a scikit-learn estimator, with the covariance that its intervals need."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
        unknown, free = np.zeros(design.shape[1]), np.ones(design.shape[1], dtype=bool)
        beta, covariance, finite = _newton(_Likelihood(design, y, not automatic), unknown, free)
        self.separated_ = automatic and not finite
        few = rarer < self.min_events_per_coefficient * X.shape[1]
        self.few_events_ = bool(automatic and few and not self.separated_)
        if self.separated_ or self.few_events_:
            beta, covariance, _ = _newton(_Likelihood(design, y, firth=True), unknown, free)
            beta[0] += intercept_shift(y, design @ beta)
        back = _to_raw_units(center, spread)
        beta = back @ beta
        self.intercept_, self.coef_ = float(beta[0]), beta[1:]
        self.covariance_ = back @ covariance @ back.T
        return self

    def decision_function(self, X) -> np.ndarray:  # noqa: N803
        """Log odds of the event, shape (n_cases,)."""
        check_is_fitted(self)
        return self.intercept_ + validate_data(self, X, dtype=float, reset=False) @ self.coef_


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """Where the likelihood of a logistic model is largest, with all coefficients free or some of them fixed.

    Attributes
    ----------
    coefficients : np.ndarray, shape (n_features + 1,)
        The intercept first.
    covariance : np.ndarray, shape (n_features + 1, n_features + 1)
        Inverse of the Fisher information of all coefficients.
    log_likelihood : float
        With half the log determinant of the information of all coefficients by Firth's method.
    score : np.ndarray, shape (n_features + 1,)
        Its derivatives; zero for the free coefficients.
    finite : bool
        Whether there is a finite solution, that is, the classes do not separate.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    score: np.ndarray
    finite: bool


def logistic_fit(
    x: np.ndarray,
    y: np.ndarray,
    firth: bool = False,
    fixed: Mapping[int, float] | None = None,
    start: np.ndarray | None = None,
) -> LogisticFit:
    """Fit a logistic model with intercept, by maximum likelihood or by Firth's penalized likelihood.

    Parameters
    ----------
    x : np.ndarray, shape (n_cases, n_features)
    y : np.ndarray of 0 and 1, shape (n_cases,)
    firth : bool
    fixed : mapping of int to float
        Values of features' coefficients that are not fitted. Firth's penalty is that of all coefficients nevertheless,
        so that the fit is comparable with that of the whole model.
    start : np.ndarray, shape (n_features + 1,)
        Coefficients to start from, as of a fit nearby.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    design, center, spread = _design(x)
    back = _to_raw_units(center, spread)
    beta = np.zeros(design.shape[1]) if start is None else np.linalg.solve(back, start)
    free = np.ones(design.shape[1], dtype=bool)
    for feature, value in (fixed or {}).items():
        beta[feature + 1] = value * spread[feature]
        free[feature + 1] = False
    likelihood = _Likelihood(design, y, firth)
    beta, covariance, finite = _newton(likelihood, beta, free)
    score = np.linalg.solve(back.T, likelihood.score(beta))
    # The determinant of the information is larger by this in raw units.
    units = float(np.log(spread).sum()) if firth else 0.0
    return LogisticFit(back @ beta, back @ covariance @ back.T, likelihood(beta) + units, score, finite)


def maximum_log_likelihood(x: np.ndarray, y: np.ndarray) -> float:
    """Largest log likelihood of a logistic model with intercept; what it approaches where the classes separate.

    Parameters
    ----------
    x : np.ndarray, shape (n_cases, n_features)
    y : np.ndarray of 0 and 1, shape (n_cases,)
    """
    return logistic_fit(x, y).log_likelihood


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


def _to_raw_units(center: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Matrix from coefficients of centered and scaled predictors, intercept first, to those of the predictors."""
    back = np.diag(np.concatenate([[1.0], 1.0 / spread]))
    back[0, 1:] = -center / spread
    return back


class _Likelihood:
    """Log likelihood of coefficients; Firth's adds half the log determinant of the information.

    The determinant is over the directions that the data span. Where a direction is saturated its information is lost
    for good, which counts as infinitely unlikely.
    """

    def __init__(self, design: np.ndarray, y: np.ndarray, firth: bool):
        self.design, self.y, self.firth = design, y, firth
        self._rank = np.linalg.matrix_rank(design)

    def __call__(self, beta: np.ndarray) -> float:
        log_odds = self.design @ beta
        value = float((self.y * log_odds - np.logaddexp(0.0, log_odds)).sum())
        if not self.firth:
            return value
        information = self.information(beta)
        spectrum = np.linalg.eigvalsh(information)
        if self._saturated(information, spectrum):
            return -math.inf
        spanned = spectrum[spectrum > spectrum.max() * 1e-12]
        return value + 0.5 * float(np.log(spanned).sum())

    def score(self, beta: np.ndarray) -> np.ndarray:
        """Derivatives by the coefficients."""
        probability = expit(self.design @ beta)
        residual = self.y - probability
        if self.firth:
            covariance = _inverse(self.information(beta))
            leverage = np.einsum("ij,jk,ik->i", self.design, covariance, self.design)
            residual = residual + probability * (1 - probability) * leverage * (0.5 - probability)
        return self.design.T @ residual

    def information(self, beta: np.ndarray) -> np.ndarray:
        """Fisher information."""
        probability = expit(self.design @ beta)
        return self.design.T @ (self.design * (probability * (1 - probability))[:, np.newaxis])

    def saturated(self, beta: np.ndarray) -> bool:
        """Whether the cases that carry a predictor all have a probability of zero or one."""
        information = self.information(beta)
        return self._saturated(information, np.linalg.eigvalsh(information))

    def _saturated(self, information: np.ndarray, spectrum: np.ndarray) -> bool:
        largest = np.abs(information).max()
        return bool(not largest > 1e-8 or (np.abs(spectrum) > 1e-12 * largest).sum() < self._rank)


def _newton(likelihood: _Likelihood, beta: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Coefficients, covariance, and whether the solution is finite; else the coefficients run off to infinity.

    Only the ``free`` coefficients, a mask, are moved from where they are.
    """
    firth = likelihood.firth
    block = np.ix_(free, free)
    for _ in range(_MAX_ITERATIONS if firth else _ML_ITERATIONS):
        information = likelihood.information(beta)
        step = np.zeros(len(beta))
        step[free] = _inverse(information[block]) @ likelihood.score(beta)[free]
        step = _halved(likelihood, beta, step)
        beta = beta + step
        if np.abs(step).max() < _TOLERANCE:
            finite = firth or not likelihood.saturated(beta)
            return beta, _inverse(information), finite
    return beta, _inverse(information), firth


def _inverse(information: np.ndarray) -> np.ndarray:
    """Covariance from Fisher information."""
    # The pseudo-inverse serves collinear predictors: it shares their effect instead of failing.
    return np.linalg.pinv(information, hermitian=True)


def _halved(objective: Callable[[np.ndarray], float], beta: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The step, halved until the likelihood does not fall and no half of it is better.

    A full step can overshoot so far that none comes back, and Firth's score steps can swing about the solution.
    """
    step = step * min(1.0, 5.0 / max(np.abs(step).max(), 1e-300))
    before, value = objective(beta), objective(beta + step)
    for _ in range(60):
        half = objective(beta + step / 2)
        if value >= before - 1e-12 * abs(before) and half <= value:
            return step
        step, value = step / 2, half
    return step
