"""The logistic model of a nomogram as a scikit-learn estimator, with the covariance that its intervals need."""

from __future__ import annotations

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from .binary import LogOddsClassifier, two_classes

_MAX_ITERATIONS = 100
_TOLERANCE = 1e-9
# A maximum likelihood fit that still moves after this many Newton steps runs off to infinity.
_ML_ITERATIONS = 30


class LogisticNomogram(LogOddsClassifier, BaseEstimator):
    """Unpenalized logistic regression with covariance; Firth's method where the classes separate.

    Where a combination of predictors separates the classes, maximum likelihood has no finite solution. Firth's
    penalized likelihood (Biometrika 1993;80:27) always has one; ``separated_`` then says that it was used.

    Parameters
    ----------
    method : {"auto", "firth"}
        ``auto`` uses maximum likelihood unless the classes separate.

    Attributes
    ----------
    classes_ : np.ndarray, shape (2,)
    intercept_ : float
    coef_ : np.ndarray, shape (n_features,)
    covariance_ : np.ndarray, shape (n_features + 1, n_features + 1)
        Of the intercept and the coefficients: the inverse of the Fisher information.
    separated_ : bool
    """

    def __init__(self, method: str = "auto"):
        self.method = method

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
        # Newton steps are taken on centered and scaled predictors, because raw units can differ by many powers of ten.
        center, spread = X.mean(axis=0), X.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        design = np.column_stack([np.ones(len(y)), (X - center) / spread])
        fitted = None if self.method == "firth" else _newton(design, y, firth=False)
        self.separated_ = fitted is None and self.method == "auto"
        beta, covariance = fitted if fitted is not None else _newton(design, y, firth=True)
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


def _newton(design: np.ndarray, y: np.ndarray, firth: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """Coefficients and covariance, or None where maximum likelihood has no finite solution."""
    beta = np.zeros(design.shape[1])
    for _ in range(_MAX_ITERATIONS if firth else _ML_ITERATIONS):
        probability, covariance, information = _moments(design, beta)
        score = y - probability
        if firth:
            leverage = probability * (1 - probability) * np.einsum("ij,jk,ik->i", design, covariance, design)
            score = score + leverage * (0.5 - probability)
        step = covariance @ (design.T @ score)
        if firth:
            step = _halved(design, y, beta, step, _firth_likelihood(y, probability, information))
        beta = beta + step
        if np.abs(step).max() < _TOLERANCE:
            return beta, covariance
    return (beta, covariance) if firth else None


def _moments(design: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, covariance and Fisher information at ``beta``."""
    probability = expit(design @ beta)
    information = design.T @ (design * (probability * (1 - probability))[:, np.newaxis])
    # The pseudo-inverse serves collinear predictors: it shares their effect instead of failing.
    return probability, np.linalg.pinv(information, hermitian=True), information


def _firth_likelihood(y: np.ndarray, probability: np.ndarray, information: np.ndarray) -> float:
    """Log likelihood plus half the log determinant of the information, over the directions that the data span."""
    spectrum = np.linalg.eigvalsh(information)
    spanned = spectrum[spectrum > spectrum.max() * 1e-12]
    inside = np.clip(np.where(y == 1, probability, 1 - probability), 1e-300, None)
    return float(np.log(inside).sum() + 0.5 * np.log(spanned).sum())


def _halved(design: np.ndarray, y: np.ndarray, beta: np.ndarray, step: np.ndarray, before: float) -> np.ndarray:
    """The step, halved until the penalized likelihood does not fall.

    A full step can saturate the only case that carries a predictor; its information is then lost for good.
    """
    step = step * min(1.0, 5.0 / max(np.abs(step).max(), 1e-300))
    rank = np.linalg.matrix_rank(design)
    for _ in range(60):
        probability, _, information = _moments(design, beta + step)
        lost = np.linalg.matrix_rank(information, tol=1e-12 * np.abs(information).max(), hermitian=True) < rank
        if not lost and _firth_likelihood(y, probability, information) >= before - 1e-12:
            return step
        step = step / 2
    return step
