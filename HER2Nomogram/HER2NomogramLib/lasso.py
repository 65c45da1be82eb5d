"""The regularization path of LASSO-penalized logistic regression, with an unpenalized intercept.

Minimizes ``-loglik(intercept, coef) / n + penalty * sum(|coef|)``, the objective of glmnet (Friedman, Hastie and
Tibshirani, J Stat Softw 2010;33(1)), for a descending series of penalties: Newton steps whose weighted LASSO is solved
by coordinate descent, warm starts along the path, and the sequential strong rule (Tibshirani et al., J R Stat Soc B
2012;74:245) to keep features out that cannot enter. scikit-learn's own LASSO logistic solvers penalize the intercept
(liblinear) or converge slowly for many more features than cases (saga), and follow no path.

Resampling a whole pipeline fits hundreds of thousands of such models, so the loops are compiled by numba. The compiled
code is kept on disk, where it can be, and holds no interpreter lock: threads use all cores.
"""

from __future__ import annotations

import math

import numpy as np

from .compiled import compiled_approximate as _compiled

# Coordinate descent stops improving a Newton step, and Newton steps a penalty, after this many.
_MAX_SWEEPS = 1000
_MAX_NEWTON = 50
_TOLERANCE = 1e-7
# How well coordinate descent settles which features enter before Newton's method takes over; a Newton step of the
# linear predictor that cannot be trusted; a pivot that counts as zero.
_ROUGH = 1e-2
_TOO_FAR = 5.0
_SINGULAR = 1e-9
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
        Largest change of the linear predictor at which an iteration counts as converged.

    Returns
    -------
    intercepts : np.ndarray, shape (n_penalties,)
    coefficients : np.ndarray, shape (n_penalties, n_features)
        Where the fit explains 99% of the deviance the path ends, and its last solution is repeated.
    """
    transposed = np.ascontiguousarray(np.asarray(x, dtype=float).T)
    return _path(transposed, np.asarray(y, dtype=float), np.asarray(penalties, dtype=float), tolerance)


def held_out_deviances(
    x: np.ndarray, y: np.ndarray, fold_of_case: np.ndarray, penalties: np.ndarray, min_relative_sd: float
) -> np.ndarray:
    """Mean deviance per held-out case of every fold and penalty, the scaling learned from the other folds.

    Parameters
    ----------
    x : np.ndarray, shape (n_cases, n_features)
        Features as they are.
    y : np.ndarray of 0 and 1, shape (n_cases,)
    fold_of_case : np.ndarray of int, shape (n_cases,)
        Fold in which each case is held out, from 0.
    penalties : np.ndarray, shape (n_penalties,)
    min_relative_sd : float
        As in :func:`learn_scaling`.

    Returns
    -------
    np.ndarray, shape (n_folds, n_penalties)
    """
    transposed = np.ascontiguousarray(np.asarray(x, dtype=float).T)
    folds = np.asarray(fold_of_case, dtype=np.int64)
    return _held_out_deviances(transposed, np.asarray(y, dtype=float), folds, penalties, min_relative_sd, _TOLERANCE)


def learn_scaling(x: np.ndarray, min_relative_sd: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means and standard deviations of the features, and the indices of those that vary enough.

    A feature is left out where its standard deviation is at most ``min_relative_sd`` of its largest absolute value.
    """
    means, scales = x.mean(axis=0), x.std(axis=0)
    kept = np.flatnonzero(scales > min_relative_sd * np.abs(x).max(axis=0))
    return means, np.where(scales > 0, scales, 1.0), kept


@_compiled
def _held_out_deviances(xt, y, folds, penalties, min_relative_sd, tolerance):
    n_folds = folds.max() + 1
    result = np.empty((n_folds, len(penalties)))
    for fold in range(n_folds):
        train = np.flatnonzero(folds != fold)
        test = np.flatnonzero(folds == fold)
        standardized, means, scales, kept = _standardized(xt, train, min_relative_sd)
        intercepts, coefficients = _path(standardized, y[train], penalties, tolerance)
        for k in range(len(penalties)):
            eta = np.full(len(test), intercepts[k])
            for position in range(len(kept)):
                beta = coefficients[k, position]
                if beta != 0.0:
                    feature = kept[position]
                    for i in range(len(test)):
                        eta[i] += beta * (xt[feature, test[i]] - means[feature]) / scales[feature]
            result[fold, k] = _deviance(y[test], eta) / len(test)
    return result


@_compiled
def _standardized(xt, rows, min_relative_sd):
    """Standardized features of some cases, those that hardly vary left out; same rule as ``learn_scaling``."""
    n_features, n_rows = xt.shape[0], len(rows)
    means, scales = np.empty(n_features), np.empty(n_features)
    varies = np.zeros(n_features, np.bool_)
    for j in range(n_features):
        total, largest = 0.0, 0.0
        for i in range(n_rows):
            total += xt[j, rows[i]]
            largest = max(largest, abs(xt[j, rows[i]]))
        mean, squares = total / n_rows, 0.0
        for i in range(n_rows):
            squares += (xt[j, rows[i]] - mean) ** 2
        means[j], scales[j] = mean, math.sqrt(squares / n_rows)
        varies[j] = scales[j] > min_relative_sd * largest
    kept = np.flatnonzero(varies)
    standardized = np.empty((len(kept), n_rows))
    for position in range(len(kept)):
        j = kept[position]
        for i in range(n_rows):
            standardized[position, i] = (xt[j, rows[i]] - means[j]) / scales[j]
    return standardized, means, scales, kept


@_compiled
def _path(xt, y, penalties, tolerance):
    """Solutions for all penalties; ``xt`` has one contiguous row per feature."""
    n_features, n_cases = xt.shape
    prevalence = y.mean()
    null_deviance = -2 * n_cases * (prevalence * math.log(prevalence) + (1 - prevalence) * math.log(1 - prevalence))
    beta, eta = np.zeros(n_features), np.full(n_cases, math.log(prevalence / (1 - prevalence)))
    intercept = eta[0]
    intercepts, coefficients = np.empty(len(penalties)), np.zeros((len(penalties), n_features))
    gradient = _gradient(xt, y, eta)
    previous = penalties[0]
    for k in range(len(penalties)):
        if 1 - _deviance(y, eta) / null_deviance > _MAX_EXPLAINED:
            intercepts[k:] = intercept
            for rest in range(k, len(penalties)):
                coefficients[rest] = beta
            break
        candidate = (np.abs(gradient) >= 2 * penalties[k] - previous) | (beta != 0)
        for _ in range(_MAX_NEWTON):
            intercept = _solve(xt, y, penalties[k], intercept, beta, eta, np.flatnonzero(candidate), tolerance)
            gradient = _gradient(xt, y, eta)
            missed = (np.abs(gradient) > penalties[k] * (1 + 1e-6)) & (beta == 0)
            if not missed.any():
                break
            candidate |= missed
        intercepts[k], coefficients[k] = intercept, beta
        previous = penalties[k]
    return intercepts, coefficients


@_compiled
def _solve(xt, y, penalty, intercept, beta, eta, columns, tolerance):
    """Solve for one penalty among the candidate columns; changes ``beta`` and ``eta``, returns the intercept.

    Coordinate descent finds which features enter, Newton's method on those then converges at once. Where it cannot,
    because features are collinear, coordinate descent goes on alone.
    """
    n_cases = len(y)
    weight, residual, before = np.empty(n_cases), np.empty(n_cases), np.empty(n_cases)
    curvature = np.empty(len(columns))
    precision = _ROUGH
    for _ in range(_MAX_NEWTON):
        for i in range(n_cases):
            probability = 1 / (1 + math.exp(-eta[i]))
            weight[i] = max(probability * (1 - probability), _MIN_WEIGHT)
            # What the working response leaves unexplained, times the weight.
            residual[i] = y[i] - probability
            before[i] = eta[i]
        for position in range(len(columns)):
            curvature[position] = _weighted_square(weight, xt[columns[position]]) / n_cases
        intercept = _descend(xt, weight, residual, curvature, penalty, intercept, beta, eta, columns, precision)
        converged, intercept = _refine(xt, y, penalty, intercept, beta, eta, columns, tolerance)
        if converged or np.abs(eta - before).max() < tolerance:
            break
        precision = 0.1 * tolerance
    return intercept


@_compiled
def _refine(xt, y, penalty, intercept, beta, eta, columns, tolerance):
    """Newton's method on the features in the model with their signs kept; one that reaches zero leaves.

    Returns whether it converged, and the intercept; changes ``beta`` and ``eta``.
    """
    n_cases = len(y)
    for _ in range(_MAX_NEWTON):
        active = columns[beta[columns] != 0]
        size = len(active) + 1
        if size > n_cases:
            return False, intercept
        scaled, score = np.empty((size, n_cases)), np.empty(size)
        residual = np.empty(n_cases)
        for i in range(n_cases):
            probability = 1 / (1 + math.exp(-eta[i]))
            residual[i] = y[i] - probability
            scaled[0, i] = math.sqrt(max(probability * (1 - probability), _MIN_WEIGHT))
        score[0] = residual.sum()
        for position in range(1, size):
            row = xt[active[position - 1]]
            score[position] = _dot(row, residual) - n_cases * penalty * np.sign(beta[active[position - 1]])
            for i in range(n_cases):
                scaled[position, i] = scaled[0, i] * row[i]
        solved, step = _cholesky_solve(np.dot(scaled, scaled.T), score)
        if not solved:
            return False, intercept
        share, leaving = 1.0, -1
        for position in range(1, size):
            old, new = beta[active[position - 1]], beta[active[position - 1]] + step[position]
            if old * new <= 0 and -old / step[position] < share:
                share, leaving = -old / step[position], active[position - 1]
        change = np.full(n_cases, step[0])
        for position in range(1, size):
            row = xt[active[position - 1]]
            for i in range(n_cases):
                change[i] += step[position] * row[i]
        largest = np.abs(change).max()
        eta += share * change
        intercept += share * step[0]
        for position in range(1, size):
            beta[active[position - 1]] += share * step[position]
        if leaving >= 0:
            beta[leaving] = 0.0
        elif largest < tolerance:
            return True, intercept
        if largest > _TOO_FAR:
            return False, intercept
    return False, intercept


@_compiled
def _cholesky_solve(matrix, right):
    """Solve a symmetric system in place; False where it is not clearly positive definite."""
    size = len(right)
    for j in range(size):
        pivot = matrix[j, j]
        smallest = _SINGULAR * pivot
        for k in range(j):
            pivot -= matrix[j, k] * matrix[j, k]
        if not pivot > smallest:
            return False, right
        pivot = math.sqrt(pivot)
        matrix[j, j] = pivot
        for i in range(j + 1, size):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = total / pivot
    for i in range(size):
        for k in range(i):
            right[i] -= matrix[i, k] * right[k]
        right[i] /= matrix[i, i]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            right[i] -= matrix[k, i] * right[k]
        right[i] /= matrix[i, i]
    return True, right


@_compiled
def _descend(xt, weight, residual, curvature, penalty, intercept, beta, eta, columns, tolerance):
    """Coordinate descent on the weighted least squares of one Newton step.

    Sweeps over the features in the model until they settle, then over all candidates, until no candidate moves.
    """
    n_cases = len(weight)
    total_weight = weight.sum()
    everyone = True
    for _ in range(_MAX_SWEEPS):
        largest = 0.0
        for position in range(len(columns)):
            j = columns[position]
            old = beta[j]
            if curvature[position] <= 0 or not (everyone or old != 0):
                continue
            row = xt[j]
            slope = _dot(row, residual) / n_cases + curvature[position] * old
            new = math.copysign(max(abs(slope) - penalty, 0.0), slope) / curvature[position]
            step = new - old
            if step != 0:
                beta[j] = new
                for i in range(n_cases):
                    eta[i] += step * row[i]
                    residual[i] -= step * weight[i] * row[i]
                largest = max(largest, step * step * curvature[position])
        step = residual.sum() / total_weight
        intercept += step
        for i in range(n_cases):
            eta[i] += step
            residual[i] -= step * weight[i]
        largest = max(largest, step * step * total_weight / n_cases)
        settled = largest < tolerance * tolerance
        if settled and everyone:
            break
        everyone = settled
    return intercept


@_compiled
def _gradient(xt, y, eta):
    """Correlation of every feature with what the model leaves unexplained, per case."""
    n_features, n_cases = xt.shape
    residual = np.empty(n_cases)
    for i in range(n_cases):
        residual[i] = y[i] - 1 / (1 + math.exp(-eta[i]))
    gradient = np.empty(n_features)
    for j in range(n_features):
        gradient[j] = _dot(xt[j], residual) / n_cases
    return gradient


@_compiled
def _dot(a, b):
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@_compiled
def _weighted_square(weight, row):
    total = 0.0
    for i in range(len(row)):
        total += weight[i] * row[i] * row[i]
    return total


@_compiled
def _deviance(y, eta):
    """Binomial deviance of linear predictors ``eta``."""
    total = 0.0
    for i in range(len(y)):
        # log(1 + exp(eta)) without overflow
        total += max(eta[i], 0.0) + math.log1p(math.exp(-abs(eta[i]))) - y[i] * eta[i]
    return 2 * total
