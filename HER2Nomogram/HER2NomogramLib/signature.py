"""Radiomics signatures as scikit-learn estimators: one region's LASSO, and cross-fitted Rad-scores of several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import ClassifierTags
from sklearn.utils.validation import check_is_fitted, validate_data

from .binary import LogOddsClassifier, two_classes
from .lasso import held_out_deviances, learn_scaling, logistic_lasso_path, penalty_grid

PENALTY_RULES = ("min", "1se")


class LassoSignature(LogOddsClassifier, BaseEstimator):
    """LASSO-penalized logistic regression of one region's features; its decision function is the Rad-score.

    Features that hardly vary are left out, the others standardized, and the penalty is chosen by stratified
    cross-validation in which a patient is never on both sides. All three are learned inside the folds.

    Parameters
    ----------
    penalty_rule : {"min", "1se"}
        Penalty with the smallest cross-validated deviance, or the largest within one standard error of it.
    n_folds : int
        Folds of the cross-validation; fewer where a class has fewer patients.
    n_penalties : int
        Penalties tried.
    penalty_ratio : float
        Smallest penalty as a share of the smallest one that selects nothing.
    min_relative_sd : float
        Features whose standard deviation is at most this share of their largest absolute value are left out.
    random_state : int
        Seed of the folds.

    Attributes
    ----------
    classes_ : np.ndarray, shape (2,)
    means_, scales_, coef_ : np.ndarray, shape (n_features,)
        Mean and standard deviation of each feature, and the coefficient of the standardized feature; zero where a
        feature is not selected.
    intercept_ : float
    selected_ : np.ndarray of int
        Indices of the features with a coefficient.
    penalty_ : float
    penalties_, cv_deviance_, cv_deviance_se_ : np.ndarray, shape (n_penalties,)
        Mean deviance per case over the folds, and its standard error.
    path_sizes_ : np.ndarray of int, shape (n_penalties,)
        Number of features that each penalty selects.
    """

    def __init__(
        self,
        penalty_rule: str = "min",
        n_folds: int = 10,
        n_penalties: int = 50,
        penalty_ratio: float = 0.05,
        min_relative_sd: float = 1e-3,
        random_state: int = 0,
    ):
        self.penalty_rule = penalty_rule
        self.n_folds = n_folds
        self.n_penalties = n_penalties
        self.penalty_ratio = penalty_ratio
        self.min_relative_sd = min_relative_sd
        self.random_state = random_state

    def fit(self, X, y, groups=None, folds=None) -> LassoSignature:  # noqa: N803 - scikit-learn's name
        """Fit the signature.

        Parameters
        ----------
        X : array-like, shape (n_cases, n_features)
        y : array-like, shape (n_cases,)
            Two classes; the second in sorted order is the event.
        groups : array-like, shape (n_cases,), optional
            Patient of each case; default: every case is a patient.
        folds : sequence of (np.ndarray, np.ndarray), optional
            From :func:`grouped_folds`, where several signatures share them; default: made from ``groups``.

        Raises
        ------
        ValueError
            Where there are not two classes with two patients each.
        """
        if self.penalty_rule not in PENALTY_RULES:
            raise ValueError(f"penalty_rule must be one of {PENALTY_RULES}, got {self.penalty_rule!r}")
        X, y = validate_data(self, X, y, dtype=float)
        self.classes_, y = two_classes(y)
        folds = folds or grouped_folds(y, groups, self.n_folds, self.random_state)
        self.means_, self.scales_, kept = learn_scaling(X, self.min_relative_sd)
        standardized = (X[:, kept] - self.means_[kept]) / self.scales_[kept]
        self.penalties_ = penalty_grid(standardized, y, self.n_penalties, self.penalty_ratio)
        fold_of_case = np.empty(len(y), dtype=int)
        for index, (_, test) in enumerate(folds):
            fold_of_case[test] = index
        losses = held_out_deviances(X, y, fold_of_case, self.penalties_, self.min_relative_sd)
        self.cv_deviance_ = losses.mean(axis=0)
        self.cv_deviance_se_ = losses.std(axis=0, ddof=1) / np.sqrt(len(folds))
        chosen = self._choose()
        self.penalty_ = float(self.penalties_[chosen])
        intercepts, coefficients = logistic_lasso_path(standardized, y, self.penalties_)
        self.path_sizes_ = (coefficients != 0).sum(axis=1)
        self.intercept_ = float(intercepts[chosen])
        self.coef_ = np.zeros(X.shape[1])
        self.coef_[kept] = coefficients[chosen]
        self.selected_ = np.flatnonzero(self.coef_)
        return self

    def decision_function(self, X) -> np.ndarray:  # noqa: N803
        """Rad-score of each case, shape (n_cases,): the log odds, intercept included."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=float, reset=False)
        chosen = self.selected_
        standardized = (X[:, chosen] - self.means_[chosen]) / self.scales_[chosen]
        return self.intercept_ + standardized @ self.coef_[chosen]

    def _choose(self) -> int:
        best = int(np.argmin(self.cv_deviance_))
        if self.penalty_rule == "min":
            return best
        limit = self.cv_deviance_[best] + self.cv_deviance_se_[best]
        return int(np.flatnonzero(self.cv_deviance_ <= limit)[0])


class CrossFittedRadScores(TransformerMixin, BaseEstimator):
    """Rad-scores of several regions, cross-fitted on the cases that they are learned from.

    ``fit_transform`` gives each training case the score of a signature that never saw its patient, which is what a
    model on top of the scores must be fitted to. Scores averaged over several divisions into folds would spread less
    than those of a new case, and the model's coefficients would come out too large. ``transform`` applies the
    signatures fitted to all training cases. The two therefore differ on training cases on purpose, as in
    scikit-learn's ``TargetEncoder``.

    Parameters
    ----------
    blocks : sequence of (str, sequence of int), optional
        Name and columns of each region; default: one block of all columns.
    signature : LassoSignature, optional
        Estimator to clone for each block; default: ``LassoSignature()``.
    n_folds : int
        Folds of the cross-fitting.
    n_jobs : int, optional
        Threads, as joblib counts them.
    random_state : int
        Seed of the folds.

    Attributes
    ----------
    signatures_ : dict of str to LassoSignature
        Fitted to all training cases.
    """

    def __init__(
        self,
        blocks: Sequence[tuple[str, Sequence[int]]] | None = None,
        signature: LassoSignature | None = None,
        n_folds: int = 5,
        n_jobs: int | None = None,
        random_state: int = 0,
    ):
        self.blocks = blocks
        self.signature = signature
        self.n_folds = n_folds
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y, groups=None) -> CrossFittedRadScores:  # noqa: N803
        """Fit the signature of every block to all cases; parameters as in :meth:`LassoSignature.fit`."""
        X, y = self._check_training(X, y)
        everyone = np.arange(len(y))
        fitted = self._fit_all(X, y, groups, [everyone])
        self.signatures_ = dict(zip((name for name, _ in self._blocks(X)), fitted))
        return self

    def fit_transform(self, X, y, groups=None) -> np.ndarray:  # noqa: N803
        """Fit, and return the cross-fitted Rad-scores, shape (n_cases, n_blocks)."""
        X, y = self._check_training(X, y)
        blocks = self._blocks(X)
        everyone = np.arange(len(y))
        folds = grouped_folds(y, groups, self.n_folds, self.random_state)
        fitted = iter(self._fit_all(X, y, groups, [everyone, *(train for train, _ in folds)]))
        self.signatures_ = {name: next(fitted) for name, _ in blocks}
        scores = np.empty((len(y), len(blocks)))
        for _, test in folds:
            for index, (_, columns) in enumerate(blocks):
                scores[test, index] = next(fitted).decision_function(X[np.ix_(test, columns)])
        return scores

    def transform(self, X) -> np.ndarray:  # noqa: N803
        """Rad-scores by the signatures fitted to all training cases, shape (n_cases, n_blocks)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=float, reset=False)
        blocks = self._blocks(X)
        return np.column_stack([self.signatures_[name].decision_function(X[:, columns]) for name, columns in blocks])

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the blocks."""
        check_is_fitted(self)
        return np.array(list(self.signatures_), dtype=object)

    def _check_training(self, x, y) -> tuple[np.ndarray, np.ndarray]:
        x, y = validate_data(self, x, y, dtype=float)
        return x, two_classes(y)[1]

    def _blocks(self, x: np.ndarray) -> list[tuple[str, np.ndarray]]:
        blocks = self.blocks if self.blocks is not None else [("all", range(x.shape[1]))]
        return [(name, np.asarray(columns, dtype=int)) for name, columns in blocks]

    def _fit_all(self, x, y, groups, subsets: Sequence[np.ndarray]) -> list[LassoSignature]:
        """Signatures for every subset of cases and, within it, every block."""
        from joblib import Parallel, delayed

        prototype = self.signature if self.signature is not None else LassoSignature()
        groups = np.arange(len(y)) if groups is None else np.asarray(groups)
        tasks = []
        for rows in subsets:
            # The same division for every block: made once, because with several lesions a patient it takes long.
            folds = grouped_folds(y[rows], groups[rows], prototype.n_folds, prototype.random_state)
            tasks += [(x, y, rows, columns, folds) for _, columns in self._blocks(x)]
        # Threads share the features, and the compiled fits hold no interpreter lock.
        return Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(_fit_signature)(clone(prototype), *task) for task in tasks
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.classifier_tags = ClassifierTags(multi_class=False)
        return tags


def grouped_folds(y: np.ndarray, groups, n_folds: int, random_state: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Stratified folds that keep each patient together, as many as the smaller class has patients at most.

    Parameters
    ----------
    y : np.ndarray of 0 and 1, shape (n_cases,)
    groups : array-like, shape (n_cases,), optional
    n_folds : int
    random_state : int

    Raises
    ------
    ValueError
        Where a class has fewer than two patients, or a fold would have to learn from one class.
    """
    groups = np.arange(len(y)) if groups is None else np.asarray(groups)
    rarest = min(len(np.unique(groups[y == label])) for label in (0, 1))
    if rarest < 2:
        raise ValueError(f"cross-validation needs 2 patients of each class, the smaller class has {rarest}")
    # Where every patient has one case the plain splitter does the same, many times faster.
    plain = len(np.unique(groups)) == len(groups)
    splitter = StratifiedKFold if plain else StratifiedGroupKFold
    splitter = splitter(min(n_folds, rarest), shuffle=True, random_state=random_state)
    folds = [(train, test) for train, test in splitter.split(y, y, None if plain else groups) if len(test)]
    # With few large groups the training side of a fold can come out with one class, and teaches nothing.
    if len(folds) < 2 or any(min(np.bincount(y[train], minlength=2)) == 0 for train, _ in folds):
        raise ValueError("the patients are too few or too unequal for cross-validation: a fold has one class only")
    return folds


def _fit_signature(signature: LassoSignature, x, y, rows: np.ndarray, columns: np.ndarray, folds) -> LassoSignature:
    return signature.fit(x[np.ix_(rows, columns)], y[rows], folds=folds)
