"""Sentences about a training: when they are said, and that they are sentences. More of them in test_training.py."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from test_training import QUICK, make_cohort, replace_cases, said

from HER2NomogramLib.resampling import InternalValidation
from HER2NomogramLib.samplesize import SampleSize
from HER2NomogramLib.training import TrainingOptions, train
from HER2NomogramLib.training_messages import _about_minimum, about_resampling


def internal(replicates, repeats, interrupted=False) -> InternalValidation:
    """An internal validation of which so much is finished."""
    bootstrap = {"published": SimpleNamespace(done=replicates)} if replicates else {}
    return InternalValidation(
        bootstrap, {"published": SimpleNamespace(repeats=repeats)} if repeats else {}, interrupted
    )


@pytest.mark.parametrize(
    ("finished", "wanted", "words"),
    [
        ((200, 10), (200, 10), ""),
        ((200, 0), (200, 0), ""),
        ((0, 0), (0, 0), ""),
        ((37, 10, True), (200, 10), "37 of 200 bootstrap replicates are done: it was interrupted."),
        ((0, 0, True), (200, 0), "0 of 200 bootstrap replicates are done: it was interrupted."),
        (
            (0, 4, True),
            (200, 10),
            "0 of 200 bootstrap replicates and 4 of 10 repeats of the nested cross-validation are done: it was "
            "interrupted.",
        ),
        (
            (198, 10),
            (200, 10),
            "198 of 200 bootstrap replicates are done: the patients of the others could not carry a model.",
        ),
    ],
)
def test_what_of_the_resampling_is_finished(finished, wanted, words):
    messages = about_resampling(internal(*finished), "published", *wanted)
    messages = [message for message in messages if "rough" not in message]
    assert messages == ([f"Of the internal validation {words}"] if words else [])


@pytest.mark.parametrize(
    ("finished", "words"),
    [
        ((50, 5), ""),
        ((0, 0), ""),
        ((49, 5), "49 resamples of the bootstrap"),
        ((200, 4), "4 repeats of the nested cross-validation"),
        ((6, 1), "6 resamples of the bootstrap and 1 repeat of the nested cross-validation"),
    ],
)
def test_few_resamples_are_said_to_be_rough(finished, words):
    messages = about_resampling(internal(*finished), "published", *finished)
    assert len(messages) == bool(words)
    assert all(f"rests on {words}: its figures are rough" in message for message in messages)


def test_minimum_names_the_criterion_that_asks_for_most():
    overall = _about_minimum(84, SampleSize(181, 90, 342, 342, 100))
    assert overall.startswith("84 training cases; 342 would be the minimum, to know the overall share of HER2-positive")
    assert "; 181 for the coefficients' shrinkage." in overall and "R squared" not in overall
    shrinkage = _about_minimum(84, SampleSize(500, 90, 342, 500, 100))
    assert "500 would be the minimum, for coefficients that need at most a tenth of shrinkage" in shrinkage
    assert shrinkage.count("shrinkage") == 1
    assert "an R squared that is at most 0.05 too good" in _about_minimum(84, SampleSize(90, 400, 342, 400, 100))


def test_predictors_that_say_the_same_are_said():
    cases, table, facts = make_cohort()

    def with_radius(case):
        return {**case.clinical, "radius": str(float(case.clinical["tumor_diameter_mm"]) / 2)}

    double = replace_cases(cases, clinical=with_radius)
    same = train(double, table, facts, TrainingOptions(clinical=("tumor_diameter_mm", "radius"), **QUICK))
    assert said(same, "share one effect")
    assert not said(train(double, table, facts, TrainingOptions(**QUICK)), "share one effect")


def test_a_nomogram_without_rad_scores_is_called_a_clinical_model():
    """A marker that says all leaves no Rad-score in the nomogram, although the radiomics model has some."""
    cases, table, facts = make_cohort()
    rng = np.random.default_rng(0)
    marked = replace_cases(cases, clinical=lambda c: {"marker": f"{6 * c.her2 + rng.normal():.2f}"})
    result = train(marked, table, facts, TrainingOptions(clinical=("marker",), selection="univariate", **QUICK))
    assert [p.name for p in result.model.nomogram.predictors] == ["marker"] and result.model.radiomics.predictors
    assert said(result, "No Rad-score is in the nomogram: it is a clinical model.")
    assert not said(result, "radiomics model has no predictor")
