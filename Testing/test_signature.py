"""Signatures as estimators: scikit-learn's own checks, the choice of the penalty, grouping, cross-fitting."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from HER2NomogramLib.signature import CrossFittedRadScores, LassoSignature, grouped_folds

# Training cases get scores of signatures that never saw them, so on those cases the two differ on purpose.
CROSS_FITTING = "fit_transform is cross-fitted, as in scikit-learn's TargetEncoder"
EXPECTED_FAILURES = {
    "check_transformer_general": CROSS_FITTING,
    "check_transformer_data_not_an_array": CROSS_FITTING,
}


@parametrize_with_checks([LassoSignature(n_penalties=10)])
def test_signature_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def test_rad_scores_are_a_scikit_learn_transformer():
    estimator = CrossFittedRadScores(signature=LassoSignature(n_penalties=10))
    check_estimator(estimator, expected_failed_checks=EXPECTED_FAILURES)


@pytest.fixture(scope="module")
def data():
    """90 cases, 60 features of very different units, of which the first two carry the signal."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 60))
    y = (x[:, 0] + x[:, 1] + rng.normal(size=90) > 0.5).astype(int)
    return x * 10.0 ** rng.integers(-3, 4, 60) + rng.normal(size=60), y


def test_finds_the_features_that_matter(data):
    x, y = data
    signature = LassoSignature(penalty_rule="1se").fit(x, y)
    assert {0, 1} <= set(signature.selected_)
    assert len(signature.selected_) < 20


def test_one_standard_error_selects_no_more_than_the_minimum(data):
    minimum, sparse = (LassoSignature(penalty_rule=rule).fit(*data) for rule in ("min", "1se"))
    assert sparse.penalty_ >= minimum.penalty_
    assert minimum.penalty_ == minimum.penalties_[np.argmin(minimum.cv_deviance_)]
    best = np.argmin(sparse.cv_deviance_)
    limit = sparse.cv_deviance_[best] + sparse.cv_deviance_se_[best]
    assert (sparse.cv_deviance_[sparse.penalties_ > sparse.penalty_] > limit).all()


def test_units_do_not_matter(data):
    x, y = data
    raw = LassoSignature().fit(x, y)
    scaled = LassoSignature().fit(StandardScaler().fit_transform(x) + 5.0, y)
    np.testing.assert_allclose(raw.coef_, scaled.coef_, atol=1e-8)
    np.testing.assert_allclose(raw.penalties_, scaled.penalties_)


def test_constant_and_nearly_constant_features_are_left_out(data):
    x, y = data
    spoiled = np.column_stack([x, np.full(90, 7.0), 1e6 + y])
    signature = LassoSignature().fit(spoiled, y)
    assert not signature.coef_[-2:].any()
    np.testing.assert_array_equal(signature.coef_[:-2], LassoSignature().fit(x, y).coef_)


def test_rad_score_is_the_linear_score_with_intercept(data):
    x, y = data
    signature = LassoSignature().fit(x, y)
    by_hand = signature.intercept_ + ((x - signature.means_) / signature.scales_) @ signature.coef_
    np.testing.assert_allclose(signature.decision_function(x), by_hand)


def test_folds_keep_patients_together():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(40), 2)
    y = np.repeat(rng.permutation(np.arange(40) % 3 == 0), 2).astype(int)
    folds = list(grouped_folds(y, patients, 10, 0))
    assert len(folds) == 10
    for train, test in folds:
        assert not set(patients[train]) & set(patients[test])
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(80))


def test_too_few_patients_of_a_class_are_refused(data):
    x, y = data
    with pytest.raises(ValueError, match="2 patients of each class"):
        LassoSignature().fit(x, (np.arange(90) == 3).astype(int))
    with pytest.raises(ValueError, match="2 patients of each class"):
        LassoSignature().fit(x, y, groups=np.where(y, 0, np.arange(90)))


def test_wrong_rule_is_refused(data):
    with pytest.raises(ValueError, match="penalty_rule"):
        LassoSignature(penalty_rule="best").fit(*data)


def test_copies_of_a_patient_do_not_leak_through_the_folds():
    """Noise features, every patient twice: ungrouped folds would find a signal in memory of the twin."""
    rng = np.random.default_rng(3)
    x = np.repeat(rng.normal(size=(40, 200)), 2, axis=0)
    y = np.repeat(np.arange(40) % 2, 2)
    patients = np.repeat(np.arange(40), 2)
    grouped = LassoSignature().fit(x, y, groups=patients)
    leaking = LassoSignature().fit(x, y)
    assert leaking.cv_deviance_.min() < 0.8 * grouped.cv_deviance_.min()
    assert grouped.cv_deviance_.min() > 1.2  # a coin has 2 log 2 = 1.386


def test_cross_fitted_scores_are_those_of_signatures_that_never_saw_the_case(data):
    x, y = data
    patients = np.arange(90) // 2
    blocks = [("a", range(30)), ("b", range(30, 60))]
    scores = CrossFittedRadScores(blocks, LassoSignature(n_penalties=20))
    found = scores.fit_transform(x, y, groups=patients)
    for train, test in grouped_folds(y, patients, 5, 0):
        apart = LassoSignature(n_penalties=20).fit(x[train][:, :30], y[train], groups=patients[train])
        np.testing.assert_allclose(found[test, 0], apart.decision_function(x[test][:, :30]))
    assert list(scores.get_feature_names_out()) == ["a", "b"]
    whole = LassoSignature(n_penalties=20).fit(x[:, 30:], y, groups=patients)
    np.testing.assert_allclose(scores.transform(x)[:, 1], whole.decision_function(x[:, 30:]))


def test_cross_fitting_takes_the_optimism_out_of_noise():
    areas = {"cross-fitted": [], "in-sample": []}
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(80, 300)), np.arange(80) % 2
        transformer = CrossFittedRadScores(signature=LassoSignature(n_penalties=25))
        areas["cross-fitted"].append(roc_auc_score(y, transformer.fit_transform(x, y)[:, 0]))
        areas["in-sample"].append(roc_auc_score(y, transformer.transform(x)[:, 0]))
    assert np.mean(areas["cross-fitted"]) < 0.6
    assert np.mean(areas["in-sample"]) > np.mean(areas["cross-fitted"]) + 0.1


def test_threads_change_nothing(data):
    one, two = (CrossFittedRadScores(n_jobs=jobs).fit_transform(*data) for jobs in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_works_in_pipelines_and_cross_validation(data):
    x, y = data
    pipeline = make_pipeline(CrossFittedRadScores(signature=LassoSignature(n_penalties=10)), StandardScaler())
    assert clone(pipeline).fit_transform(x, y).shape == (90, 1)
    held_out = cross_val_predict(LassoSignature(n_penalties=10), x, y, cv=3, method="decision_function")
    assert roc_auc_score(y, held_out) > 0.7
