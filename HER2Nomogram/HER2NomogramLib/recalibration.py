"""Fitting an existing model to the level of probabilities in another cohort, without touching what it ranks cases by.

Steyerberg (Stat Med 2004;23:2567) calls the two methods updating of the intercept and logistic recalibration: for
cohorts of some dozens of cases they beat fitting a new model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit

from .calibration import intercept_given, separates, to_log_odds
from .errors import InputError
from .modelfile import LOGISTIC_MODELS, LogisticModel, Model
from .nomogram import LogisticNomogram
from .prediction import Prediction

METHODS = ("intercept", "logistic")
MINIMUM_OF_EACH_CLASS = 10


@dataclass(frozen=True, eq=False)
class Recalibration:
    """New log odds are ``intercept + slope * old``; covariance of the two, shape (2, 2)."""

    intercept: float
    slope: float
    covariance: np.ndarray


def fit_recalibration(y: np.ndarray, log_odds: np.ndarray, method: str) -> Recalibration:
    """Estimate what makes log odds fit the outcomes of a cohort.

    Parameters
    ----------
    y : np.ndarray of 0 and 1, shape (n_cases,)
    log_odds : np.ndarray, shape (n_cases,)
        Of the existing model.
    method : {"intercept", "logistic"}
        ``intercept`` shifts the log odds to the cohort's prevalence; ``logistic`` also stretches them.

    Raises
    ------
    InputError
        Where the method is unknown, a class has fewer than ten cases, or the slope cannot be estimated or would
        reverse the model's order.
    """
    _check_method(method)
    y, log_odds = np.asarray(y).astype(int), np.asarray(log_odds, dtype=float)
    events, others = int(y.sum()), int((1 - y).sum())
    if min(events, others) < MINIMUM_OF_EACH_CLASS:
        raise InputError(
            f"The cohort has {events} HER2-positive and {others} negative cases: recalibration needs at least "
            f"{MINIMUM_OF_EACH_CLASS} of each."
        )
    if method == "intercept":
        shift, variance = intercept_given(y, log_odds)
        return Recalibration(shift, 1.0, np.diag([variance, 0.0]))
    if not np.ptp(log_odds) > 0.01:
        raise InputError("The model gives all cases the same probability, so that only method 'intercept' can be used.")
    fitted = None if separates(y, log_odds) else LogisticNomogram().fit(log_odds[:, np.newaxis], y)
    if fitted is None or fitted.separated_:
        raise InputError("The model separates the classes of this cohort: logistic recalibration has no finite slope.")
    if fitted.coef_[0] <= 0:
        raise InputError(
            f"The calibration slope in this cohort is {fitted.coef_[0]:.2f}: the model does not rank these cases, "
            "recalibration cannot mend that. Train a model on such cases instead."
        )
    return Recalibration(float(fitted.intercept_), float(fitted.coef_[0]), np.asarray(fitted.covariance_))


def recalibrate(logistic: LogisticModel, y: np.ndarray, log_odds: np.ndarray, method: str) -> LogisticModel:
    """Logistic model with intercept and coefficients fitted to the level of a cohort.

    The cut-off moves with the probabilities, so that decisions stay the same. The new covariance is that of the delta
    method with the two fits taken as independent, which is on the wide side: errors of the old coefficients that the
    new fit makes good are counted as if it did not.

    Parameters
    ----------
    logistic : LogisticModel
    y : np.ndarray of 0 and 1, shape (n_cases,)
    log_odds : np.ndarray, shape (n_cases,)
        Of ``logistic`` in the cohort's cases.
    method : {"intercept", "logistic"}

    Raises
    ------
    InputError
        As :func:`fit_recalibration`.
    """
    return apply_recalibration(logistic, fit_recalibration(y, log_odds, method))


def apply_recalibration(logistic: LogisticModel, change: Recalibration) -> LogisticModel:
    """Logistic model whose log odds are those of ``logistic``, stretched and shifted."""
    a, b = change.intercept, change.slope
    old = np.array([logistic.intercept, *logistic.coefficients])
    first = np.zeros(len(old))
    first[0] = 1.0
    # New coefficients are a * first + b * old: their gradients by a and b are the columns of this matrix.
    gradient = np.column_stack([first, old])
    covariance = b * b * np.asarray(logistic.covariance, dtype=float) + gradient @ change.covariance @ gradient.T
    covariance = (covariance + covariance.T) / 2
    return replace(
        logistic,
        intercept=float(a + b * logistic.intercept),
        coefficients=tuple(float(b * c) for c in logistic.coefficients),
        covariance=tuple(tuple(map(float, row)) for row in covariance),
        cutoff=float(expit(a + b * logit(logistic.cutoff))),
    )


def recalibrate_model(
    model: Model, y: np.ndarray, predictions: Sequence[Prediction], method: str, cohort: str
) -> Model:
    """Model with its three logistic models recalibrated to a cohort.

    ``training["recalibration"]`` records what was done: cohort, method, numbers, intercept and slope per model,
    ``intercept_only`` with the models that it compares with whose slope could not be used, and, where the model had
    been recalibrated before, that record as ``earlier``.

    Parameters
    ----------
    model : Model
    y : np.ndarray of 0 and 1, shape (n_cases,)
    predictions : sequence of Prediction
        Of the same cases, by ``model``.
    method : {"intercept", "logistic"}
    cohort : str
        Name of the cohort, for the record.

    Raises
    ------
    InputError
        As :func:`fit_recalibration`, naming the model.
    """
    _check_method(method)
    y, probabilities = np.asarray(y).astype(int), probabilities_of(predictions)
    changes, intercept_only = {}, []
    for name in LOGISTIC_MODELS:
        log_odds = to_log_odds(probabilities[name])
        try:
            changes[name] = fit_recalibration(y, log_odds, method)
        except InputError as error:
            # A clinical model that does not rank these cases, or has no factors, is no reason to leave the nomogram.
            if name == "nomogram" or method == "intercept":
                raise InputError(f"The {name} model of '{model.name}' cannot be recalibrated. {error}") from None
            changes[name] = fit_recalibration(y, log_odds, "intercept")
            intercept_only.append(name)
    record = {
        "cohort": cohort,
        "method": method,
        "n": len(y),
        "her2_positive": int(y.sum()),
        "intercept": {name: float(change.intercept) for name, change in changes.items()},
        "slope": {name: float(change.slope) for name, change in changes.items()},
        "intercept_only": intercept_only,
    }
    earlier = model.training.get("recalibration")
    if earlier is not None:
        record["earlier"] = earlier
    name = model.name if earlier is not None else f"{model.name} (recalibrated)"
    changed = {which: apply_recalibration(getattr(model, which), change) for which, change in changes.items()}
    return replace(model, name=name, **changed, training={**model.training, "recalibration": record})


def probabilities_of(predictions: Sequence[Prediction]) -> dict[str, np.ndarray]:
    """Probabilities of the three models by name, each of shape (n_cases,)."""
    return {
        "nomogram": np.array([p.probability for p in predictions], dtype=float),
        "radiomics": np.array([p.radiomics_probability for p in predictions], dtype=float),
        "clinical": np.array([p.clinical_probability for p in predictions], dtype=float),
    }


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise InputError(f"Recalibration '{method}' is not known: choose {' or '.join(METHODS)}.")
