"""Everything between a feature table and a probability as one scikit-learn estimator.

All that learns from data is inside ``fit``: features that vary, their scaling, penalties, signatures, what stands for
missing clinical factors, the choice of predictors, the logistic models. Resampling this estimator is therefore
resampling the whole development, and nothing that a held-out case could teach reaches the model that scores it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import ClassifierTags
from sklearn.utils.validation import check_is_fitted, validate_data

from .binary import LogOddsClassifier, two_classes
from .clinical import ClinicalEncoder, Factor
from .modelfile import LOGISTIC_MODELS
from .nomogram import LogisticNomogram
from .selection import SelectionRow, select_predictors
from .signature import CrossFittedRadScores, LassoSignature

CROSS_FITTED, PUBLISHED = "cross-fitted", "published"
METHODS = (CROSS_FITTED, PUBLISHED)
# Fewer cases of the rarer class per coefficient than this: Firth's method instead of maximum likelihood.
_FEW_EVENTS = 5.0


@dataclass(frozen=True, eq=False)
class FittedModel:
    """One of the three logistic models.

    Attributes
    ----------
    predictors : tuple of str
        Regions, for Rad-scores, and clinical factors.
    columns : tuple of int
        Their columns in the design matrix.
    intercept : float
    coefficients : np.ndarray, shape (n_columns,)
    covariance : np.ndarray, shape (n_columns + 1, n_columns + 1)
    firth : str
        Why it was fitted with Firth's method, empty where it was not.
    selection : tuple of SelectionRow
        Tests that chose the predictors.
    """

    predictors: tuple[str, ...]
    columns: tuple[int, ...]
    intercept: float
    coefficients: np.ndarray
    covariance: np.ndarray
    firth: str
    selection: tuple[SelectionRow, ...]

    def log_odds(self, design: np.ndarray) -> np.ndarray:
        """Log odds for rows of the design matrix, shape (n_cases,)."""
        return self.intercept + design[:, list(self.columns)] @ self.coefficients


class RadiomicsNomogram(LogOddsClassifier, BaseEstimator):
    """Signatures of several regions and, on their Rad-scores and clinical factors, three logistic models.

    The columns of X are features and, after them, one column per clinical factor (NaN where it is missing). The
    estimator's own decision is that of the nomogram.

    Parameters
    ----------
    blocks : sequence of (str, sequence of int), optional
        Name and feature columns of each region; default: one block of all features.
    factors : sequence of Factor
        Clinical factors in the last columns of X.
    regions : sequence of str, optional
        Candidates among the Rad-scores; default: all.
    signature : LassoSignature, optional
        Estimator to clone for each block; default: ``LassoSignature()``.
    method : {"cross-fitted", "published"}
        Rad-scores that the logistic models are fitted to: each case's by signatures that never saw its patient, or, as
        in most published nomograms, by the signatures that were fitted to it. ``models_`` has both.
    selection : {"none", "univariate", "aic"}
        How predictors are chosen among the candidates, see :func:`.selection.select_predictors`.
    cross_fit_folds : int
        Of :class:`.signature.CrossFittedRadScores`.
    n_jobs : int, optional
        Threads for the signatures.
    random_state : int

    Attributes
    ----------
    classes_ : np.ndarray, shape (2,)
    signatures_ : dict of str to LassoSignature
        Of all regions.
    scores_ : CrossFittedRadScores
        Of the candidate regions.
    used_features_ : np.ndarray of bool, shape (n_features,)
        Features that the models need: those that a candidate's signature selects.
    encoder_ : ClinicalEncoder
    models_ : dict of str to dict of str to FittedModel
        ``models_[method][name]`` for the nomogram, the radiomics and the clinical model.
    unused_ : dict of str to str
        Candidate regions that cannot enter, and why.
    designs_ : dict of str to np.ndarray
        By method: Rad-scores of the candidate regions and clinical columns of the cases that it was fitted to.
    """

    def __init__(
        self,
        blocks: Sequence[tuple[str, Sequence[int]]] | None = None,
        factors: Sequence[Factor] = (),
        regions: Sequence[str] | None = None,
        signature: LassoSignature | None = None,
        method: str = CROSS_FITTED,
        selection: str = "none",
        cross_fit_folds: int = 5,
        n_jobs: int | None = None,
        random_state: int = 0,
    ):
        self.blocks = blocks
        self.factors = factors
        self.regions = regions
        self.signature = signature
        self.method = method
        self.selection = selection
        self.cross_fit_folds = cross_fit_folds
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y, groups=None) -> RadiomicsNomogram:  # noqa: N803 - scikit-learn's name
        """Fit signatures and models.

        Parameters
        ----------
        X : array-like, shape (n_cases, n_features + n_factors)
        y : array-like, shape (n_cases,)
            Two classes; the second in sorted order is the event.
        groups : array-like, shape (n_cases,), optional
            Patient of each case; default: every case is a patient.

        Raises
        ------
        ValueError
            Where there are not two classes with enough patients each, or a factor has no value.
        """
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {self.method!r}")
        X, y = validate_data(self, X, y, dtype=float, ensure_all_finite="allow-nan")
        self.classes_, y = two_classes(y)
        features, clinical = self._split(X)
        self.scores_, others = self._scores(features.shape[1])
        cross_fitted = self.scores_.fit_transform(features, y, groups=groups)
        fitted = {**self.scores_.signatures_, **(others.fit(features, y, groups=groups).signatures_ if others else {})}
        self.signatures_ = {region: fitted[region] for region, _ in self.blocks or [("all", None)]}
        self.used_features_ = np.zeros(features.shape[1], bool)
        for (_, columns), signature in zip(self.scores_.blocks, self.scores_.signatures_.values()):
            self.used_features_[np.asarray(columns)[signature.selected_]] = True
        self.encoder_ = ClinicalEncoder(self.factors).fit(clinical)
        encoded = self.encoder_.transform(clinical)
        self.designs_ = {
            CROSS_FITTED: np.hstack([cross_fitted, encoded]),
            PUBLISHED: np.hstack([self.scores_.transform(features), encoded]),
        }
        self.unused_ = self._unused(cross_fitted, y)
        self.models_ = {method: self._fit_models(design, y, method) for method, design in self.designs_.items()}
        return self

    def decision_function(self, X) -> np.ndarray:  # noqa: N803
        """Log odds of the event by the nomogram, shape (n_cases,)."""
        return self.log_odds(X)["nomogram"]

    def log_odds(self, X, method: str | None = None) -> dict[str, np.ndarray]:  # noqa: N803
        """Log odds of the event by each of the three models.

        Parameters
        ----------
        X : array-like, shape (n_cases, n_features + n_factors)
        method : str, optional
            One of ``METHODS``; default: that of the estimator.
        """
        design = self.design(X)
        return {name: model.log_odds(design) for name, model in self.models_[method or self.method].items()}

    def design(self, X) -> np.ndarray:  # noqa: N803
        """Rad-scores of the candidate regions and clinical columns, shape (n_cases, n_columns)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=float, ensure_all_finite="allow-nan", reset=False)
        features, clinical = self._split(X)
        # A feature that no signature selects may be missing; of one that is selected scikit-learn's check says so.
        features = np.where(self.used_features_, features, 0.0)
        return np.hstack([self.scores_.transform(features), self.encoder_.transform(clinical)])

    def _scores(self, n_features: int) -> tuple[CrossFittedRadScores, CrossFittedRadScores | None]:
        """Estimators of the candidate regions, and of the others: their signatures are fitted, but no model needs
        their cross-fitted scores, which are most of the work."""
        blocks = list(self.blocks) if self.blocks is not None else [("all", range(n_features))]
        chosen = [block for block in blocks if self.regions is None or block[0] in self.regions]
        rest = [block for block in blocks if self.regions is not None and block[0] not in self.regions]

        def estimator(some: list) -> CrossFittedRadScores:
            return CrossFittedRadScores(some, self.signature, self.cross_fit_folds, self.n_jobs, self.random_state)

        return estimator(chosen), estimator(rest) if rest else None

    def _split(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        boundary = x.shape[1] - len(self.factors)
        return x[:, :boundary], x[:, boundary:]

    def _columns(self) -> dict[str, tuple[int, ...]]:
        """Columns of every predictor in the design matrix: first one per region, then those of the factors."""
        columns = {region: (index,) for index, region in enumerate(self.scores_.signatures_)}
        start = len(columns)
        for factor in self.factors:
            columns[factor.name] = tuple(range(start, start + factor.width))
            start += factor.width
        return columns

    def _unused(self, cross_fitted: np.ndarray, y: np.ndarray) -> dict[str, str]:
        """Candidate regions without a usable score.

        A signature without features scores all cases alike. One whose cross-fitted score is higher in negative than in
        positive cases has learned nothing that holds for cases it has not seen; turning its sign, as a logistic fit
        would, makes chance a predictor (non-negative stacking: Breiman, Mach Learn 1996;24:49).
        """
        unused = {}
        for index, (region, signature) in enumerate(self.scores_.signatures_.items()):
            score = cross_fitted[:, index]
            if not len(signature.selected_):
                unused[region] = "selects no feature"
            elif score[y == 1].mean() <= score[y == 0].mean():
                unused[region] = "does not separate cases that it has not seen"
        return unused

    def _fit_models(self, design: np.ndarray, y: np.ndarray, method: str) -> dict[str, FittedModel]:
        columns = self._columns()
        empty = {region for region, signature in self.scores_.signatures_.items() if not len(signature.selected_)}
        unused = self.unused_ if method == CROSS_FITTED else empty
        regions = [region for region in self.scores_.signatures_ if region not in unused]
        names = [factor.name for factor in self.factors]
        candidates = {"nomogram": [*regions, *names], "radiomics": regions, "clinical": names}
        return {name: self._fit_model(design, y, {n: columns[n] for n in candidates[name]}) for name in LOGISTIC_MODELS}

    def _fit_model(self, design: np.ndarray, y: np.ndarray, columns: Mapping[str, tuple[int, ...]]) -> FittedModel:
        # A level that none of these cases has says nothing, and would count as a coefficient.
        columns = {name: cols for name, cols in columns.items() if np.ptp(design[:, cols], axis=0).any()}
        kept, rows = select_predictors(design, y, columns, self.selection)
        used = tuple(column for name in kept for column in columns[name])
        if not used:
            # Without predictors the model is the prevalence.
            share = y.mean()
            variance = 1 / (len(y) * share * (1 - share))
            intercept = math.log(share / (1 - share))
            return FittedModel((), (), intercept, np.empty(0), np.array([[variance]]), "", rows)
        fitted = LogisticNomogram(min_events_per_coefficient=_FEW_EVENTS).fit(design[:, list(used)], y)
        firth = "the classes separate" if fitted.separated_ else "events are few" if fitted.few_events_ else ""
        return FittedModel(kept, used, fitted.intercept_, fitted.coef_, fitted.covariance_, firth, rows)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags = ClassifierTags(multi_class=False)
        return tags
