"""Choosing the predictors of a logistic model: likelihood-ratio tests, or backward elimination by AIC.

Run inside every fold and resample, because predictors chosen on the cases that a model is judged on flatter it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from .nomogram import maximum_log_likelihood

SELECTIONS = ("none", "univariate", "aic")
# A predictor enters the multivariable model at the first level and stays at the second.
ENTRY_LEVEL, STAY_LEVEL = 0.10, 0.05


@dataclass(frozen=True)
class SelectionRow:
    """One predictor in one step of a selection.

    Attributes
    ----------
    predictor : str
    step : {"univariate", "multivariable", "backward AIC"}
    statistic, df, p
        Likelihood-ratio test against the model without the predictor.
    aic : float
        Of the model without the predictor for ``backward AIC``, else of the one with it.
    kept : bool
    """

    predictor: str
    step: str
    statistic: float
    df: int
    p: float
    aic: float
    kept: bool


def select_predictors(
    design: np.ndarray, y: np.ndarray, columns: Mapping[str, Sequence[int]], rule: str
) -> tuple[tuple[str, ...], tuple[SelectionRow, ...]]:
    """Predictors that a rule keeps, with the tests that led there.

    Parameters
    ----------
    design : np.ndarray, shape (n_cases, n_columns)
    y : np.ndarray of 0 and 1, shape (n_cases,)
    columns : mapping of str to sequence of int
        Columns of every candidate; those of a categorical factor enter and leave together.
    rule : {"none", "univariate", "aic"}
        ``none`` keeps all. ``univariate`` takes those with p < 0.10 alone into the multivariable model, and then leaves
        out the one with the largest p until every one has p < 0.05. ``aic`` leaves out, from the model with all, the
        one whose absence lowers Akaike's criterion most, until none does.

    Returns
    -------
    kept : tuple of str
    rows : tuple of SelectionRow
    """
    if rule not in SELECTIONS:
        raise ValueError(f"rule must be one of {SELECTIONS}, got {rule!r}")
    models = _Likelihoods(design, y, columns)
    if rule == "none":
        return tuple(columns), ()
    if rule == "aic":
        return _backward_by_aic(models)
    alone = [_test(models, (), name, "univariate", ENTRY_LEVEL) for name in columns]
    kept, rows = _backward_by_tests(models, tuple(row.predictor for row in alone if row.kept))
    return kept, (*alone, *rows)


class _Likelihoods:
    """Maximum log likelihoods of models by their predictors, each fitted once."""

    def __init__(self, design: np.ndarray, y: np.ndarray, columns: Mapping[str, Sequence[int]]):
        self._design, self._y = design, y
        self.columns = columns
        self._found: dict[frozenset[str], float] = {}

    def of(self, names: Sequence[str]) -> float:
        key = frozenset(names)
        if key not in self._found:
            used = [column for name in self.columns if name in key for column in self.columns[name]]
            self._found[key] = maximum_log_likelihood(self._design[:, used], self._y)
        return self._found[key]

    def aic(self, names: Sequence[str]) -> float:
        return -2 * self.of(names) + 2 * (1 + sum(len(self.columns[name]) for name in names))


def _test(models: _Likelihoods, others: Sequence[str], name: str, step: str, level: float) -> SelectionRow:
    """Likelihood-ratio test of one predictor added to others."""
    statistic = max(2 * (models.of((*others, name)) - models.of(others)), 0.0)
    df = len(models.columns[name])
    p = float(chi2.sf(statistic, df))
    return SelectionRow(name, step, statistic, df, p, models.aic((*others, name)), p < level)


def _backward_by_tests(
    models: _Likelihoods, names: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[SelectionRow, ...]]:
    left_out: list[SelectionRow] = []
    while names:
        rows = [_test(models, _without(names, name), name, "multivariable", STAY_LEVEL) for name in names]
        worst = max(rows, key=lambda row: row.p)
        if worst.kept:
            return names, (*rows, *left_out)
        left_out.append(worst)
        names = _without(names, worst.predictor)
    return (), tuple(left_out)


def _backward_by_aic(models: _Likelihoods) -> tuple[tuple[str, ...], tuple[SelectionRow, ...]]:
    names, left_out = tuple(models.columns), []
    while names:
        rows = []
        for name in names:
            test = _test(models, _without(names, name), name, "backward AIC", 1.0)
            without = models.aic(_without(names, name))
            rows.append(SelectionRow(name, test.step, test.statistic, test.df, test.p, without, without > test.aic))
        worst = min(rows, key=lambda row: row.aic)
        if worst.kept:
            return names, (*rows, *left_out)
        left_out.append(worst)
        names = _without(names, worst.predictor)
    return (), tuple(left_out)


def _without(names: Sequence[str], left_out: str) -> tuple[str, ...]:
    return tuple(name for name in names if name != left_out)
