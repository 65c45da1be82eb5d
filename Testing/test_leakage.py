"""Nothing that a held-out case could teach reaches the model that scores it."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np
import pytest
from sklearn.feature_selection import f_classif
from sklearn.metrics import roc_auc_score
from test_training import make_cohort

from HER2NomogramLib.clinical import Factor
from HER2NomogramLib.pipeline import PUBLISHED, RadiomicsNomogram
from HER2NomogramLib.resampling import validate_internally
from HER2NomogramLib.signature import LassoSignature
from HER2NomogramLib.tables import FeatureTable
from HER2NomogramLib.training import TrainingOptions, train

QUICK = LassoSignature(n_folds=4, n_penalties=12)


def noise_cohort(seed, n=60, n_features=150):
    """Features and an outcome that have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_features)), rng.permutation(np.arange(n) % 3 == 0).astype(int)


def make_pipeline(n_features, **options):
    blocks = [("lesion", range(n_features // 2)), ("ring", range(n_features // 2, n_features))]
    return RadiomicsNomogram(blocks, signature=QUICK, cross_fit_folds=3, **options)


def nested_area(x, y, method="cross-fitted", **options):
    pipeline = make_pipeline(x.shape[1], **options)
    names = [f"f{i}" for i in range(x.shape[1])]
    return validate_internally(pipeline, x, y, np.arange(len(y)), names, 0, 1).nested[method].auc["nomogram"].value


@pytest.mark.parametrize("selection", ["none", "univariate", "aic"])
def test_nested_estimates_of_noise_center_on_one_half(selection):
    cohorts = [noise_cohort(seed) for seed in range(24)]
    areas = np.array([nested_area(x, y, selection=selection) for x, y in cohorts])
    # What the same pipeline says of its own training cases shows that there is something to leak.
    fitted = [(make_pipeline(x.shape[1], method=PUBLISHED).fit(x, y), x, y) for x, y in cohorts[:8]]
    apparent = [roc_auc_score(y, pipeline.decision_function(x)) for pipeline, x, y in fitted]
    assert np.mean(apparent) > 0.65
    assert abs(areas.mean() - 0.5) < 3 * areas.std(ddof=1) / np.sqrt(len(areas)) + 0.01
    assert areas.mean() < 0.56


def test_permuted_outcomes_center_on_one_half():
    x, y = noise_cohort(0)
    x[:, :3] += 1.5 * y[:, np.newaxis]
    assert nested_area(x, y) > 0.75
    areas = np.array([nested_area(x, np.random.default_rng(seed).permutation(y)) for seed in range(24)])
    assert abs(areas.mean() - 0.5) < 3 * areas.std(ddof=1) / np.sqrt(len(areas)) + 0.01


def best_features(x, y, count=10):
    return np.argsort(f_classif(x, y)[1])[:count]


class ScreenedSignature(LassoSignature):
    """A signature of the features that go best with the outcome in the cases that it is fitted to."""

    def fit(self, X, y, groups=None, folds=None):  # noqa: N803 - scikit-learn's name
        if not hasattr(self, "screened_"):
            self.screened_ = best_features(X, y)
        return super().fit(self._masked(X), y, groups, folds)

    def decision_function(self, X):  # noqa: N803
        return super().decision_function(self._masked(X))

    def _masked(self, x):
        return np.where(np.isin(np.arange(x.shape[1]), self.screened_), x, 0.0)


def test_a_supervised_screening_planted_outside_of_the_folds_does_not_get_in():
    """Screened beforehand on all cases, noise becomes a signal; the same step as part of the pipeline does not.

    The step even comes with what it learned from all cases: the pipeline clones it, and a clone has learned nothing.
    """
    planted, inside = [], []
    for seed in range(10):
        x, y = noise_cohort(seed, n_features=200)
        half = x[:, :100]
        planted.append(nested_area(half[:, best_features(half, y)], y))
        step = ScreenedSignature(n_folds=4, n_penalties=12).fit(half, y)
        pipeline = RadiomicsNomogram([("lesion", range(100))], signature=step, cross_fit_folds=3)
        found = validate_internally(pipeline, half, y, np.arange(len(y)), [""] * 100, 0, 1)
        inside.append(found.nested["cross-fitted"].auc["nomogram"].value)
    assert np.mean(planted) > 0.68
    assert abs(np.mean(inside) - 0.5) < 0.07


def test_options_of_training_cannot_carry_code():
    """What a user can say about training are words and numbers: no transformation with a memory of the outcome."""
    plain = {str, int, bool, float, tuple[str, ...]}
    assert set(typing.get_type_hints(TrainingOptions).values()) <= plain


def test_test_cases_do_not_influence_the_model():
    cases, table, facts = make_cohort()
    values = table.values.copy()
    test_rows = [i for i, case in enumerate(cases) if case.split != "train"]
    values[test_rows] = np.random.default_rng(1).normal(1e3, 500, (len(test_rows), values.shape[1]))
    changed = [
        case if case.split == "train" else dataclasses.replace(case, her2=1 - case.her2, clinical={}) for case in cases
    ]
    first = train(cases, table, facts)
    second = train(changed, FeatureTable(table.case_ids, table.columns, values), facts)
    assert first.model.signatures == second.model.signatures
    for name in ("nomogram", "radiomics", "clinical"):
        assert getattr(first.model, name) == getattr(second.model, name)
    assert first.performance["internal_test"].models != second.performance["internal_test"].models


class Spy(RadiomicsNomogram):
    """A pipeline that notes whom it was fitted to and refuses to score them; the last column names the patient."""

    scored: typing.ClassVar[list] = []

    def fit(self, X, y, groups=None):  # noqa: N803
        assert groups is not None
        np.testing.assert_array_equal(groups, X[:, -1])
        self.patients_ = set(groups)
        return super().fit(X, y, groups)

    def log_odds(self, X, method=None):  # noqa: N803
        assert not self.patients_ & set(X[:, -1])
        Spy.scored.extend(X[:, -1])
        return super().log_odds(X, method)


def test_no_patient_is_scored_by_a_model_that_knows_them():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(30), 2)
    y = np.repeat(rng.permutation(np.arange(30) % 3 == 0), 2).astype(int)
    x = np.column_stack([rng.normal(size=(60, 20)), patients])
    spy = Spy([("lesion", range(20))], (Factor("patient"),), signature=QUICK, cross_fit_folds=3)
    Spy.scored.clear()
    validate_internally(spy, x, y, patients, [""] * 20, 0, 2)
    # Both methods score every case once in each of the two repeats.
    assert sorted(Spy.scored) == sorted(np.tile(patients, 4).tolist())


class Watching(LassoSignature):
    """A signature that refuses folds in which a case has a copy on the other side."""

    def fit(self, X, y, groups=None, folds=None):  # noqa: N803
        for train_rows, test_rows in folds:
            assert not set(X[train_rows, 0]) & set(X[test_rows, 0])
        return super().fit(X, y, groups, folds)


def test_copies_that_the_bootstrap_draws_stay_on_one_side_of_every_fold():
    x, y = noise_cohort(0, n_features=20)
    pipeline = RadiomicsNomogram([("lesion", range(20))], signature=Watching(n_folds=4, n_penalties=12))
    found = validate_internally(pipeline.fit(x, y), x, y, np.arange(60), [""] * 20, 5, 0)
    assert found.bootstrap["cross-fitted"].done == 5
