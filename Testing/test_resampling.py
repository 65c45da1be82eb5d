"""Bootstrap and nested cross-validation: what is repeated, on whom, and what is made of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from HER2NomogramLib.clinical import Factor
from HER2NomogramLib.metrics import brier
from HER2NomogramLib.modelfile import LOGISTIC_MODELS
from HER2NomogramLib.nomogram import LogisticNomogram
from HER2NomogramLib.pipeline import METHODS, RadiomicsNomogram
from HER2NomogramLib.resampling import OUTER_FOLDS, _Fold, _fold_auc, _logit_interval, _optimism, validate_internally
from HER2NomogramLib.signature import LassoSignature, grouped_folds

N_FEATURES = 15
COLUMNS = [f"image__{region}__feature{i}" for region in ("lesion", "ring") for i in range(N_FEATURES)]


def make_data(seed=0, n=80, signal=1.3):
    """Two lesions of most patients, features of two regions, and age."""
    rng = np.random.default_rng(seed)
    patients = np.sort(rng.integers(0, int(n * 0.7), n))
    y = (rng.random(n) < 0.4)[patients].astype(int)
    x = rng.normal(size=(n, 2 * N_FEATURES + 1))
    x[:, [0, N_FEATURES]] += signal * y[:, np.newaxis]
    return x, y, patients


def make_pipeline(x, y, patients):
    pipeline = RadiomicsNomogram(
        [("lesion", range(N_FEATURES)), ("ring", range(N_FEATURES, 2 * N_FEATURES))],
        (Factor("age"),),
        signature=LassoSignature(n_folds=4, n_penalties=12),
        cross_fit_folds=3,
    )
    return pipeline.fit(x, y, groups=patients)


@pytest.fixture(scope="module")
def data():
    return make_data()


@pytest.fixture(scope="module")
def pipeline(data):
    return make_pipeline(*data)


@pytest.fixture(scope="module")
def internal(data, pipeline):
    return validate_internally(pipeline, *data, COLUMNS, replicates=12, repeats=3)


def test_nested_figures_are_those_of_models_fitted_without_the_fold(data, pipeline, internal):
    x, y, patients = data
    areas, log_odds = np.empty((3, OUTER_FOLDS)), np.empty((3, len(y)))
    for repeat in range(3):
        for index, (train, test) in enumerate(grouped_folds(y, patients, OUTER_FOLDS, repeat)):
            apart = clone(pipeline).fit(x[train], y[train], groups=patients[train])
            log_odds[repeat, test] = apart.decision_function(x[test])
            areas[repeat, index] = roc_auc_score(y[test], log_odds[repeat, test])
    nested = internal.nested["cross-fitted"]
    assert (nested.repeats, nested.folds) == (3, OUTER_FOLDS)
    np.testing.assert_allclose(nested.repeat_auc["nomogram"], areas.mean(axis=1))
    assert nested.auc["nomogram"].value == pytest.approx(areas.mean())
    assert nested.brier["nomogram"].value == pytest.approx(np.mean([brier(y, expit(row)) for row in log_odds]))
    slopes = [LogisticNomogram().fit(row[:, None], y).coef_[0] for row in log_odds]
    assert nested.slope["nomogram"].value == pytest.approx(np.mean(slopes))
    np.testing.assert_allclose(nested.probabilities["nomogram"], expit(log_odds).mean(axis=0))


def test_interval_of_the_nested_area_covers_what_it_should():
    """One clinical factor, so that there is nothing to select: the area is known, and the interval should hold it."""
    area = 0.76  # of two normal distributions one standard deviation apart
    held, widths, spread = 0, [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        y = (np.arange(90) % 3 == 0).astype(int)
        x = np.column_stack([np.full((90, 2), 1.0), rng.normal(size=90) + y])
        pipeline = RadiomicsNomogram([("none", [0, 1])], (Factor("age"),), signature=LassoSignature(3, n_penalties=2))
        pipeline.set_params(signature=LassoSignature(n_folds=3, n_penalties=2), cross_fit_folds=2)
        found = validate_internally(pipeline.fit(x, y), x, y, np.arange(90), ["a", "b"], 0, 1).nested["cross-fitted"]
        low, high = found.auc["clinical"].low, found.auc["clinical"].high
        held += low <= area <= high
        widths.append(high - low)
        spread.append(found.auc["clinical"].value)
    assert 52 <= held <= 60
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(spread), rel=0.35)


def test_interval_of_the_nested_area_holds_with_few_events_in_a_fold():
    """Scores that are given, two events in every fold: their variance is not that about the mean of the two."""
    area, held, variances, spread = 0.76, 0, [], []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        y = rng.permutation(np.arange(100) < 10).astype(int)
        score = rng.normal(size=100) + y
        folds = [_Fold(0, test, {"m": {"x": score[test]}}) for _, test in grouped_folds(y, None, 5, seed)]
        found, variance = _fold_auc(folds, y, "m", "x")
        interval = _logit_interval(found, variance)
        held += interval.low <= area <= interval.high
        variances.append(variance)
        spread.append(found)
    assert held / 400 > 0.88
    assert np.sqrt(np.mean(variances)) == pytest.approx(np.std(spread), rel=0.12)


def test_nested_area_has_no_interval_with_one_event_in_every_fold():
    y = np.array([1, 0, 0, 0] * 3)
    score = np.random.default_rng(0).normal(size=12)
    folds = [_Fold(0, np.arange(i, i + 4), {"m": {"x": score[i : i + 4]}}) for i in (0, 4, 8)]
    area, variance = _fold_auc(folds, y, "m", "x")
    assert 0 <= area <= 1 and np.isnan(variance)


def test_a_model_without_predictors_has_no_nested_slope(data):
    """Prevalences of the other folds fall where that of the fold rises; no slope is to be made of that."""
    x, y, patients = data
    pipeline = RadiomicsNomogram([("lesion", range(N_FEATURES))], signature=LassoSignature(n_folds=4, n_penalties=12))
    pipeline.fit(x[:, :N_FEATURES], y, groups=patients)
    nested = validate_internally(pipeline, x[:, :N_FEATURES], y, patients, COLUMNS, 0, 2).nested["cross-fitted"]
    assert np.isnan(nested.slope["clinical"].value) and nested.auc["clinical"].value == 0.5
    assert nested.slope["radiomics"].value > 0


def test_bootstrap_optimism_is_apparent_less_corrected(data, pipeline, internal):
    x, y, _ = data
    bootstrap = internal.bootstrap["cross-fitted"]
    assert (bootstrap.wanted, bootstrap.done) == (12, 12)
    for name in LOGISTIC_MODELS:
        figures = bootstrap.figures[name]
        assert figures["auc"].apparent == pytest.approx(roc_auc_score(y, pipeline.log_odds(x)[name]))
        for optimism in figures.values():
            assert optimism.corrected == pytest.approx(optimism.apparent - optimism.optimism)
    nomogram = bootstrap.figures["nomogram"]
    assert nomogram["auc"].optimism > 0 and nomogram["brier"].optimism < 0
    assert nomogram["auc"].out_of_bag < nomogram["auc"].corrected < nomogram["auc"].apparent


def test_one_replicate_does_not_decide_the_slope():
    """With log odds that hardly differ a slope can be any number."""
    figures = [(1.5, 1.0, 0.5), (1.3, 1.0, 0.7), (math.nan, math.nan, math.nan), (400.0, 200.0, -90.0)]
    found = _optimism("slope", 1.2, figures)
    assert (found.optimism, found.out_of_bag) == (pytest.approx(0.5), pytest.approx(0.5))
    assert _optimism("auc", 0.8, [(0.9, 0.8, 0.6), (0.9, 0.6, 0.7)]).optimism == pytest.approx(0.2)
    assert math.isnan(_optimism("slope", math.nan, figures).optimism)


def test_in_sample_scores_are_more_optimistic_about_the_slope(internal):
    slopes = {method: internal.nested[method].slope["nomogram"].value for method in METHODS}
    assert slopes["published"] < slopes["cross-fitted"]


def test_informative_features_are_selected_most_often(internal):
    frequency = internal.bootstrap["cross-fitted"].feature_frequency
    for region in ("lesion", "ring"):
        names, shares = zip(*frequency[region])
        assert names[0] == f"image__{region}__feature0" and shares[0] > 0.8
        assert list(shares) == sorted(shares, reverse=True) and all(0 < share <= 1 for share in shares)
    assert internal.bootstrap["cross-fitted"].predictor_frequency["age"] == 1.0


def test_threads_change_nothing(data, pipeline, internal):
    again = validate_internally(pipeline, *data, COLUMNS, replicates=12, repeats=3, jobs=2)
    for method in METHODS:
        assert again.bootstrap[method].figures == internal.bootstrap[method].figures
        assert again.bootstrap[method].feature_frequency == internal.bootstrap[method].feature_frequency
        assert again.nested[method].auc == internal.nested[method].auc


def test_more_replicates_keep_the_first_ones(data, pipeline):
    seen = []
    validate_internally(pipeline, *data, COLUMNS, 2, 0, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("replicates, repeats", [(3, 0), (0, 1), (0, 0)])
def test_either_can_be_left_out(data, pipeline, replicates, repeats):
    found = validate_internally(pipeline, *data, COLUMNS, replicates, repeats)
    assert set(found.bootstrap) == (set(METHODS) if replicates else set())
    assert set(found.nested) == (set(METHODS) if repeats else set())


def test_interruption_keeps_what_is_finished(data, pipeline):
    def stop(done, total):
        if done == OUTER_FOLDS + 3:
            raise KeyboardInterrupt

    found = validate_internally(pipeline, *data, COLUMNS, 0, 2, progress=stop)
    assert found.interrupted and found.nested["cross-fitted"].repeats == 1
    found = validate_internally(pipeline, *data, COLUMNS, 20, 0, progress=stop)
    assert found.interrupted and found.bootstrap["cross-fitted"].done == OUTER_FOLDS + 3
    assert found.bootstrap["cross-fitted"].wanted == 20


def test_replicates_that_cannot_be_fitted_are_counted():
    """Four positive patients: many replicates draw too few of them."""
    x, y, patients = make_data(n=40)
    y = np.isin(patients, np.unique(patients)[:4]).astype(int)
    found = validate_internally(make_pipeline(x, y, patients), x, y, patients, COLUMNS, 20, 0)
    assert 0 < found.bootstrap["cross-fitted"].done < 20
