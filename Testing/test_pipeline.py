"""The whole development as one estimator: what it fits, from which cases, and how it is applied."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.utils.estimator_checks import parametrize_with_checks

from HER2NomogramLib.clinical import Factor
from HER2NomogramLib.nomogram import LogisticNomogram
from HER2NomogramLib.pipeline import CROSS_FITTED, METHODS, PUBLISHED, RadiomicsNomogram
from HER2NomogramLib.signature import CrossFittedRadScores, LassoSignature

QUICK = LassoSignature(n_folds=5, n_penalties=15)
AGE, GRADE = Factor("age"), Factor("grade", ("low", "medium", "high"))


def make_data(seed=0, n=90, n_features=20, signal=1.5):
    """Two regions of which the first feature goes with the outcome, age, and a grade of three levels."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(int)
    x = rng.normal(size=(n, 2 * n_features))
    x[:, [0, n_features]] += signal * y[:, np.newaxis]
    age = rng.normal(50, 8, n) + 4 * y
    grade = rng.integers(0, 3, n).astype(float)
    age[rng.random(n) < 0.1] = np.nan
    grade[rng.random(n) < 0.1] = np.nan
    blocks = [("lesion", range(n_features)), ("ring", range(n_features, 2 * n_features))]
    return np.column_stack([x, age, grade]), y, blocks


def make_pipeline(blocks, **options):
    return RadiomicsNomogram(blocks, (AGE, GRADE), signature=QUICK, **options)


@pytest.fixture(scope="module")
def data():
    return make_data()


@pytest.fixture(scope="module")
def fitted(data):
    x, y, blocks = data
    return make_pipeline(blocks).fit(x, y)


@parametrize_with_checks(
    [RadiomicsNomogram(signature=LassoSignature(n_folds=3, n_penalties=5), cross_fit_folds=3)],
    expected_failed_checks=lambda _: {
        "check_estimators_pickle": "missing values may be in clinical factors and unselected features, not in all"
    },
)
def test_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def test_models_are_fitted_to_cross_fitted_or_in_sample_scores(data, fitted):
    x, y, blocks = data
    apart = CrossFittedRadScores(blocks, QUICK)
    cross_fitted = apart.fit_transform(x[:, :40], y)
    np.testing.assert_allclose(fitted.designs_[CROSS_FITTED][:, :2], cross_fitted)
    np.testing.assert_allclose(fitted.designs_[PUBLISHED][:, :2], apart.transform(x[:, :40]))
    for method in METHODS:
        reference = LogisticNomogram().fit(fitted.designs_[method], y)
        model = fitted.models_[method]["nomogram"]
        assert model.predictors == ("lesion", "ring", "age", "grade") and model.columns == (0, 1, 2, 3, 4)
        np.testing.assert_allclose(model.coefficients, reference.coef_)
        np.testing.assert_allclose(
            model.log_odds(fitted.designs_[method]), reference.decision_function(fitted.designs_[method])
        )


def test_in_sample_scores_look_better_and_weigh_more(data, fitted):
    _, y, _ = data
    apparent = {m: roc_auc_score(y, fitted.models_[m]["radiomics"].log_odds(fitted.designs_[m])) for m in METHODS}
    assert apparent[PUBLISHED] > apparent[CROSS_FITTED]
    weights = {m: np.abs(fitted.models_[m]["radiomics"].coefficients).sum() for m in METHODS}
    assert weights[PUBLISHED] > weights[CROSS_FITTED]


def test_applies_to_new_cases_with_what_it_learned(data, fitted):
    x, _, _ = data
    new, _, _ = make_data(seed=5)
    scores = fitted.scores_.transform(new[:, :40])
    age = np.where(np.isnan(new[:, 40]), np.nanmedian(x[:, 40]), new[:, 40])
    grade = np.where(np.isnan(new[:, 41]), np.bincount(x[:, 41][~np.isnan(x[:, 41])].astype(int)).argmax(), new[:, 41])
    expected = np.column_stack([scores, age, grade == 1, grade == 2])
    np.testing.assert_allclose(fitted.design(new), expected)
    np.testing.assert_allclose(
        fitted.decision_function(new), fitted.models_[CROSS_FITTED]["nomogram"].log_odds(expected)
    )
    np.testing.assert_allclose(
        fitted.log_odds(new, PUBLISHED)["clinical"], fitted.models_[PUBLISHED]["clinical"].log_odds(expected)
    )


def test_method_decides_what_predict_uses(data):
    x, y, blocks = data
    published = make_pipeline(blocks, method=PUBLISHED).fit(x, y)
    np.testing.assert_allclose(published.decision_function(x), published.log_odds(x, PUBLISHED)["nomogram"])
    assert not np.allclose(published.decision_function(x), published.log_odds(x, CROSS_FITTED)["nomogram"])


def test_only_candidates_are_predictors_but_all_regions_have_signatures(data, fitted):
    x, y, blocks = data
    alone = make_pipeline(blocks, regions=("ring",)).fit(x, y)
    assert list(alone.signatures_) == ["lesion", "ring"]
    assert alone.models_[CROSS_FITTED]["radiomics"].predictors == ("ring",)
    for region in ("lesion", "ring"):
        np.testing.assert_array_equal(alone.signatures_[region].coef_, fitted.signatures_[region].coef_)
    assert not alone.used_features_[:20].any()


def test_an_unselected_feature_may_be_missing_and_a_selected_one_not(data, fitted):
    x, _, _ = data
    unused = x.copy()
    unused[:, np.flatnonzero(~fitted.used_features_)] = np.nan
    np.testing.assert_array_equal(fitted.decision_function(unused), fitted.decision_function(x))
    spoiled = x.copy()
    spoiled[3, np.flatnonzero(fitted.used_features_)[0]] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        fitted.decision_function(spoiled)


def test_a_score_that_holds_for_nobody_else_is_left_out():
    """Noise: wherever a cross-fitted score is higher in negative cases, its region is no predictor."""
    reasons = []
    for seed in range(12):
        x, y, blocks = make_data(seed, n=60, signal=0.0)
        found = make_pipeline(blocks).fit(x, y)
        reasons += found.unused_.values()
        for region, index in (("lesion", 0), ("ring", 1)):
            score = found.designs_[CROSS_FITTED][:, index]
            usable = len(found.signatures_[region].selected_) and score[y == 1].mean() > score[y == 0].mean()
            assert (region in found.models_[CROSS_FITTED]["radiomics"].predictors) == bool(usable)
    assert {"selects no feature", "does not separate cases that it has not seen"} <= set(reasons)


def test_without_predictors_a_model_is_the_prevalence(data):
    x, y, _ = data
    noise = np.random.default_rng(0).normal(size=(90, 5)) * 1e-9 + 1.0
    found = RadiomicsNomogram(signature=QUICK).fit(noise, y)
    assert found.models_[CROSS_FITTED]["nomogram"].predictors == ()
    np.testing.assert_allclose(found.predict_proba(noise)[:, 1], y.mean())


@pytest.mark.parametrize("selection", ["univariate", "aic"])
def test_selection_drops_what_does_not_matter(selection):
    x, y, blocks = make_data(seed=1)
    found = make_pipeline(blocks, selection=selection).fit(x, y)
    model = found.models_[CROSS_FITTED]["nomogram"]
    assert "lesion" in model.predictors and "grade" not in model.predictors
    assert {row.predictor for row in model.selection if not row.kept} == {"lesion", "ring", "age", "grade"} - set(
        model.predictors
    )


def test_few_events_and_separation_are_said(data):
    x, y, blocks = data
    few = make_pipeline(blocks).fit(x[:40], y[:40]).models_[CROSS_FITTED]
    assert few["nomogram"].firth == "events are few" and few["radiomics"].firth == ""
    separated = x.copy()
    separated[:, 40] = 50 + 10 * y
    assert make_pipeline(blocks).fit(separated, y).models_[CROSS_FITTED]["clinical"].firth == "the classes separate"


def test_a_level_that_the_fitted_cases_lack_changes_nothing(data):
    x, y, blocks = data
    rows = np.flatnonzero(x[:, 41] != 2)
    found = make_pipeline(blocks).fit(x[rows], y[rows])
    model = found.models_[CROSS_FITTED]["clinical"]
    assert model.coefficients[-1] == 0
    assert np.isfinite(found.decision_function(x)).all()


def test_grouped_cross_validation_of_scikit_learn(data):
    x, y, blocks = data
    patients = np.arange(90) // 2
    held_out = cross_val_predict(
        make_pipeline(blocks), x, y, groups=patients, cv=GroupKFold(4), method="decision_function"
    )
    assert roc_auc_score(y, held_out) > 0.7


def test_threads_change_nothing(data, fitted):
    x, y, blocks = data
    two = make_pipeline(blocks, n_jobs=2).fit(x, y)
    np.testing.assert_array_equal(two.decision_function(x), fitted.decision_function(x))


@pytest.mark.parametrize("options, word", [({"method": "other"}, "method"), ({"selection": "other"}, "rule")])
def test_unknown_options_are_refused(data, options, word):
    x, y, blocks = data
    with pytest.raises(ValueError, match=word):
        clone(make_pipeline(blocks, **options)).fit(x, y)
