"""The LASSO path against scikit-learn's solvers, the optimality conditions, and published glmnet data."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import sklearn
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from HER2NomogramLib.lasso import _compiled, held_out_deviances, learn_scaling, logistic_lasso_path, penalty_grid

# Since scikit-learn 1.8 the share of the L1 penalty alone says which penalty it is.
_SHARES = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 8)
LASSO = {"l1_ratio": 1.0} if _SHARES else {"penalty": "l1"}


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
    assert worst_violation(x, y, penalties, *logistic_lasso_path(x, y, penalties)) < 2e-6


def test_copies_of_a_feature_do_not_stop_it():
    """Newton's method fails on collinear features, and coordinate descent has to go on alone."""
    x, y = correlated_data(n_features=40)
    x = np.column_stack([x, x, -x[:, :5]])
    penalties = penalty_grid(x, y, 30, 0.05)
    assert worst_violation(x, y, penalties, *logistic_lasso_path(x, y, penalties)) < 1e-4


@pytest.mark.parametrize("n_features", [0, 1])
def test_hardly_any_features(n_features):
    x, y = correlated_data(n_features=1)
    penalties = penalty_grid(x[:, :n_features], y, 10, 0.05)
    intercepts, coefficients = logistic_lasso_path(x[:, :n_features], y, penalties)
    assert coefficients.shape == (10, n_features) and np.isfinite(intercepts).all()


def test_held_out_deviances_are_those_of_paths_fitted_without_the_fold():
    x, y = correlated_data()
    x = np.column_stack([x * 3 + 7, np.full(len(y), 2.0)])
    fold_of_case = np.arange(len(y)) % 4
    penalties = penalty_grid((x[:, :-1] - x[:, :-1].mean(axis=0)) / x[:, :-1].std(axis=0), y, 20, 0.05)
    found = held_out_deviances(x, y, fold_of_case, penalties, 1e-3)
    for fold in range(4):
        train, test = fold_of_case != fold, fold_of_case == fold
        means, scales, kept = learn_scaling(x[train], 1e-3)
        assert len(kept) == x.shape[1] - 1
        scaled = (x[:, kept] - means[kept]) / scales[kept]
        intercepts, coefficients = logistic_lasso_path(scaled[train], y[train], penalties)
        for index in range(20):
            probability = expit(intercepts[index] + scaled[test] @ coefficients[index])
            expected = 2 * log_loss(y[test], probability, labels=[0, 1])
            assert found[fold, index] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("index", [5, 15, 25])
def test_equals_saga_of_scikit_learn(index):
    x, y = correlated_data(n_features=60)
    penalties = penalty_grid(x, y, 30, 0.05)
    intercepts, coefficients = logistic_lasso_path(x, y, penalties)
    reference = LogisticRegression(
        **LASSO, solver="saga", C=1 / (penalties[index] * len(y)), tol=1e-10, max_iter=1_000_000
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


def test_does_no_worse_than_the_glmnet_reference(shared_data):
    """The published glmnet values are those of another stopping rule: agreement is to 0.02, and ours is the better fit.

    Those fits have no intercept. A mirrored copy of every case makes the best intercept zero.
    """
    folder = shared_data / "tab_glmnet_reference"
    with (folder / "enet_binomial.csv").open(newline="") as file:
        data = np.array([[float(value) for value in row] for row in csv.reader(file)])
    y, x = data[:, 0].astype(int), data[:, 1:]
    x = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    lassos = [fit for fit in json.loads((folder / "expected.json").read_text())["fits"] if fit["alpha"] == 1.0]
    assert len(lassos) == 3
    penalties = np.array([fit["lambda"] for fit in lassos])
    intercepts, coefficients = logistic_lasso_path(np.vstack([x, -x]), np.concatenate([y, 1 - y]), penalties)
    np.testing.assert_allclose(intercepts, 0, atol=1e-9)
    for fit, penalty, ours in zip(lassos, penalties, coefficients):
        np.testing.assert_allclose(ours, fit["coefficients"], atol=0.02)
        assert objective(x, y, penalty, ours) < objective(x, y, penalty, np.array(fit["coefficients"]))
        reference = LogisticRegression(
            **LASSO, solver="saga", C=1 / (penalty * len(y)), tol=1e-10, max_iter=100_000, fit_intercept=False
        ).fit(x, y)
        np.testing.assert_allclose(ours, reference.coef_[0], atol=1e-6)


def objective(x, y, penalty, coef):
    eta = x @ coef
    return (np.logaddexp(0, eta) - y * eta).mean() + penalty * np.abs(coef).sum()


def test_compiles_where_nothing_can_be_kept_on_disk():
    """A function without a file is to numba like one in a directory that cannot be written to."""
    scope = {}
    exec("def twice(x):\n    return 2 * x", scope)
    assert _compiled(scope["twice"])(2.0) == 4.0
