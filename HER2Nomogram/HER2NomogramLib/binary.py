"""What the two-class estimators share: probabilities from log odds, and the check of the classes."""

from __future__ import annotations

import numpy as np
from scipy.special import expit
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted


class LogOddsClassifier(ClassifierMixin):
    """Two-class classifier whose ``decision_function`` is the log odds of the second class in sorted order."""

    def predict_proba(self, X) -> np.ndarray:  # noqa: N803 - scikit-learn's name
        """Probabilities of the two classes, shape (n_cases, 2)."""
        event = expit(self.decision_function(X))
        return np.column_stack([1 - event, event])

    def predict(self, X) -> np.ndarray:  # noqa: N803
        """Class with the larger probability, shape (n_cases,)."""
        check_is_fitted(self)
        return self.classes_[(self.decision_function(X) > 0).astype(int)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def two_classes(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two classes in sorted order, and ``y`` coded as 0 and 1.

    Raises
    ------
    ValueError
        Where there is one class or more than two.
    """
    check_classification_targets(y)
    classes, coded = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError("Classifier can't train when only one class is present.")
    if len(classes) > 2:
        raise ValueError(f"Only binary classification is supported. The type of the target is {type_of_target(y)}.")
    return classes, coded
