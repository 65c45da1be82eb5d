"""The LASSO path against scikit-learn's solvers, the optimality conditions, and published glmnet data."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from HER2NomogramLib.lasso import deviance, logistic_lasso_path, penalty_grid


def correlated_data(n_cases=84, n_features=300, seed=0):
    """Many correlated features, few cases: the shape of a radiomics table."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_cases, 20))
    x = factors @ rng.normal(size=(20, n_features)) + rng.normal(size=(n_cases, n_features))
    y = (factors[:, 0] - factors[:, 1] + rng.normal(size=n_cases) > 0.5).astype(int)
    return (x - x.mean(axis=0)) / x.std(axis=0), y


def worst_violation(x, y, penalties, intercepts, coefficients):
    """Largest relative violation of the optimality conditions along the path, the intercept's included."""
    worst = 0.0
    for penalty, intercept, coef in zip(penalties, intercepts, coefficients):
        residual = y - expit(intercept + x @ coef)
        gradient = x.T @ residual / len(y)
        active = coef != 0
        worst = max(worst, abs(residual.mean()) / penalty, np.abs(gradient[~active]).max(initial=0) / penalty - 1)
        worst = max(worst, np.abs(gradient[active] / penalty - np.sign(coef[active])).max(initial=0))
    return worst


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_path_meets_optimality_conditions(seed):
    x, y = correlated_data(seed=seed)
    penalties = penalty_grid(x, y, 30, 0.05)
    assert worst_violation(x, y, penalties, *logistic_lasso_path(x, y, penalties)) < 1e-5


@pytest.mark.parametrize("index", [5, 15, 25])
def test_equals_saga_of_scikit_learn(index):
    x, y = correlated_data(n_features=60)
    penalties = penalty_grid(x, y, 30, 0.05)
    intercepts, coefficients = logistic_lasso_path(x, y, penalties)
    reference = LogisticRegression(
        l1_ratio=1, solver="saga", C=1 / (penalties[index] * len(y)), tol=1e-10, max_iter=1_000_000
    ).fit(x, y)
    np.testing.assert_allclose(coefficients[index], reference.coef_[0], atol=1e-6)
    assert intercepts[index] == pytest.approx(reference.intercept_[0], abs=1e-6)


def test_first_penalty_selects_nothing_and_second_something():
    x, y = correlated_data()
    penalties = penalty_grid(x, y, 30, 0.05)
    intercepts, coefficients = logistic_lasso_path(x, y, penalties)
    assert not coefficients[0].any() and coefficients[1].any()
    assert intercepts[0] == pytest.approx(np.log(y.mean() / (1 - y.mean())))
    assert penalties[-1] / penalties[0] == pytest.approx(0.05)


def test_path_ends_where_the_classes_separate():
    x, y = correlated_data(n_features=40)
    x = np.column_stack([x, np.where(y, 1.0, -1.0)])
    penalties = penalty_grid(x, y, 200, 1e-6)
    _, coefficients = logistic_lasso_path(x, y, penalties)
    assert np.isfinite(coefficients).all()
    assert (coefficients[-1] == coefficients[-2]).all()


def test_on_the_binomial_data_of_the_glmnet_reference(shared_data):
    path = shared_data / "tab_glmnet_reference" / "enet_binomial.csv"
    with path.open(newline="") as file:
        data = np.array([[float(value) for value in row] for row in csv.reader(file)])
    y, x = data[:, 0].astype(int), data[:, 1:]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    penalties = penalty_grid(x, y, 20, 0.05)
    intercepts, coefficients = logistic_lasso_path(x, y, penalties)
    assert worst_violation(x, y, penalties, intercepts, coefficients) < 1e-5


def test_deviance_of_a_fair_coin():
    assert deviance(np.array([0, 1]), np.zeros(2)) == pytest.approx(4 * np.log(2))
