"""Net benefit against the published example, dcurves, and counts written out here."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from HER2NomogramLib.decision import decision_curve, default_thresholds, net_benefit, net_benefit_all


@st.composite
def outcomes_and_probabilities(draw):
    """Probabilities in fiftieths, so that many lie exactly at a threshold; 0, 1 and cohorts of one class included."""
    n = draw(st.integers(1, 40))
    y = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    p = draw(st.lists(st.integers(0, 50), min_size=n, max_size=n))
    return np.array(y), np.array(p) / 50


@given(outcomes_and_probabilities())
def test_net_benefit_by_counting(case):
    y, p = case
    for threshold, found in zip(default_thresholds(), net_benefit(y, p, default_thresholds())):
        referred = p >= threshold
        tp, fp = np.sum(referred & (y == 1)), np.sum(referred & (y == 0))
        assert found == pytest.approx((tp - fp * threshold / (1 - threshold)) / len(y), abs=1e-12)


@given(outcomes_and_probabilities())
def test_referring_all_and_none(case):
    y, _ = case
    thresholds = default_thresholds()
    np.testing.assert_array_equal(net_benefit_all(y, thresholds), net_benefit(y, np.ones(len(y)), thresholds))
    np.testing.assert_array_equal(net_benefit(y, np.zeros(len(y)), thresholds), np.zeros(99))
    # Where it pays to refer all changes at the prevalence.
    above = thresholds > y.mean() + 1e-12
    assert (net_benefit_all(y, thresholds)[above] < 1e-12).all()


@given(outcomes_and_probabilities())
def test_no_model_beats_the_outcome_itself(case):
    y, p = case
    perfect = net_benefit(y, y, default_thresholds())
    np.testing.assert_allclose(perfect, y.mean())
    assert (net_benefit(y, p, default_thresholds()) <= perfect + 1e-12).all()


@given(outcomes_and_probabilities())
def test_tests_avoided_leave_the_net_benefit_as_it_is(case):
    """Sparing that many negative cases the test is worth as much as the model gains over referring all."""
    y, p = case
    curve = decision_curve(y, {"nomogram": p})
    worth = curve.avoided_per_100["nomogram"] / 100 * curve.thresholds / (1 - curve.thresholds)
    np.testing.assert_allclose(curve.net_benefit["all"] + worth, curve.net_benefit["nomogram"], atol=1e-12)
    np.testing.assert_allclose(curve.referred["nomogram"], [(p >= t).mean() for t in curve.thresholds])


def test_curve_by_hand():
    y, p = np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.2, 0.2, 0.1, 0.6])
    curve = decision_curve(y, {"clinical": p}, [0.0, 0.2, 0.5])
    assert list(curve.net_benefit) == ["clinical", "all"] and list(curve.avoided_per_100) == ["clinical"]
    # At 0.2: 2 true and 2 false positives at odds 1/4; at 0.5: 1 and 1 at odds 1.
    np.testing.assert_allclose(curve.net_benefit["clinical"], [0.4, (2 - 2 / 4) / 5, 0.0])
    np.testing.assert_allclose(curve.net_benefit["all"], [0.4, (2 - 3 / 4) / 5, -0.2])
    np.testing.assert_allclose(curve.referred["clinical"], [1.0, 0.8, 0.4])
    # One of five tests is spared at 0.2; three at 0.5, of which one misses a cancer that is worth one test.
    np.testing.assert_allclose(curve.avoided_per_100["clinical"], [np.nan, 20.0, 20.0])


def test_probability_at_a_threshold_is_referred():
    """Thresholds are the very numbers that users write: 0.29 and not 0.29000000000000004."""
    p = np.array([0.07, 0.29, 0.57, 0.58])
    referred = decision_curve(np.array([0, 1, 0, 1]), {"nomogram": p}).referred["nomogram"]
    for value, share in ((0.07, 1.0), (0.29, 0.75), (0.57, 0.5), (0.58, 0.25)):
        assert referred[round(value * 100) - 1] == share


@pytest.mark.parametrize("threshold", [-0.1, 1.0, 1.5, np.nan])
def test_impossible_thresholds_are_refused(threshold):
    with pytest.raises(ValueError, match="from 0 to below 1"):
        net_benefit([0, 1], [0.1, 0.2], [0.5, threshold])


def dca_table(shared_data) -> dict[str, np.ndarray]:
    with (shared_data / "tab_dcurves" / "dca.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in ("cancer", "cancerpredmarker", "famhistory")}


def test_net_benefit_of_the_published_example(shared_data):
    table = dca_table(shared_data)
    expected = json.loads((shared_data / "tab_dcurves" / "expected.json").read_text())
    compared = 0
    for entry in expected["net_benefit"]:
        if entry["model"] not in table:
            continue
        threshold = [entry["threshold"]]
        p = table[entry["model"]]
        # Family history at threshold 0 is the benefit of a test result, positive above the threshold.
        found = net_benefit(table["cancer"], p, threshold) if threshold[0] else net_benefit(table["cancer"], p, [1e-9])
        assert found[0] == pytest.approx(entry["value"], abs=expected["tolerance"])
        assert net_benefit_all(table["cancer"], threshold)[0] == pytest.approx(entry["treat_all"], abs=1e-5)
        compared += 1
    assert compared == 2


@pytest.mark.filterwarnings("ignore")
def test_curves_of_dcurves(shared_data):
    dcurves, pandas = pytest.importorskip("dcurves"), pytest.importorskip("pandas")
    table = dca_table(shared_data)
    thresholds = np.arange(1, 100) / 100
    reference = dcurves.dca(
        data=pandas.DataFrame(table), outcome="cancer", modelnames=["cancerpredmarker"], thresholds=thresholds, nper=100
    )
    mine = decision_curve(table["cancer"], {"cancerpredmarker": table["cancerpredmarker"]}, thresholds)
    model, everybody = (reference[reference["model"] == name] for name in ("cancerpredmarker", "all"))
    np.testing.assert_allclose(mine.net_benefit["cancerpredmarker"], model["net_benefit"], atol=1e-12)
    np.testing.assert_allclose(mine.net_benefit["all"], everybody["net_benefit"], atol=1e-12)
    np.testing.assert_allclose(mine.avoided_per_100["cancerpredmarker"], model["net_intervention_avoided"], atol=1e-9)
    assert set(map(float, mine.referred["cancerpredmarker"])) == set(map(float, model["test_pos_rate"]))
