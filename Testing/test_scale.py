"""The points scale: it says the same as the logistic model, in other units."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from models import (
    CALCIFICATIONS,
    DENSITY,
    DIAMETER,
    INTRATUMORAL,
    RING,
    make_density_model,
    make_logistic,
    make_model,
)

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.modelfile import LogisticModel, Predictor
from HER2NomogramLib.scale import PointsScale, nice_ticks

SCALE = PointsScale(make_model().nomogram)


@st.composite
def logistic_models(draw) -> LogisticModel:
    """Models of one to five predictors: rising, falling and without effect, numbers and factors of 2 to 5 levels."""
    predictors, coefficients = [], []
    for number in range(draw(st.integers(1, 5))):
        levels = ("no", "yes", "c", "d", "e")[: draw(st.sampled_from((0, 0, 2, 3, 5)))]
        low = 0.0 if levels else draw(st.floats(-50, 50))
        width = len(levels) - 1.0 if levels else draw(st.floats(1, 100))
        predictors.append(Predictor(f"x{number}", "clinical", f"x{number}", "", low, low + width, levels))
        for _ in range(predictors[-1].width):
            coefficients.append(draw(st.just(0.0) | st.floats(-6, 6)) / (1.0 if levels else width))
    model = make_logistic(predictors, coefficients, draw(st.floats(-5, 5)))
    effects = [effects_of(model, predictor) for predictor in predictors]
    assume(max(max(found) - min(found) for found in effects) > 1e-3)
    return model


def effects_of(model: LogisticModel, predictor: Predictor) -> list[float]:
    """Log odds of the ends of a predictor's range, or of all its levels."""
    values = range(len(predictor.levels)) if predictor.levels else (predictor.minimum, predictor.maximum)
    return [model.effect(predictor, value) for value in values]


def values_for(data, model: LogisticModel, beyond: float = 0.0) -> dict[str, float]:
    """Values within the training ranges, or numbers up to a share ``beyond`` of the range outside of them."""
    fraction = st.floats(-beyond, 1 + beyond)
    values = {}
    for p in model.predictors:
        if p.levels:
            values[p.name] = float(data.draw(st.integers(0, len(p.levels) - 1)))
        else:
            values[p.name] = p.minimum + data.draw(fraction) * (p.maximum - p.minimum)
    return values


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_points_by_hand():
    # Spans 4, 1.5, 1.6 and 0.4 on the log odds: the first has 100 points, so a point is worth 0.04.
    assert SCALE.points("intratumoral", 1.1) == pytest.approx(77.5)
    assert SCALE.points("peritumoral_5mm", 0.3) == pytest.approx(15.0)  # its coefficient is negative: 1.5 has no points
    assert SCALE.points("tumor_diameter_mm", 20.0) == pytest.approx(15.0)
    assert [SCALE.points("microcalcifications", level) for level in (0.0, 1.0)] == pytest.approx([0.0, 10.0])
    assert SCALE.max_total == pytest.approx(100 + 37.5 + 40 + 10)


def test_total_and_its_probability_by_hand():
    values = {"intratumoral": 1.1, "peritumoral_5mm": 0.3, "tumor_diameter_mm": 20.0, "microcalcifications": 1.0}
    assert SCALE.total(values) == pytest.approx(117.5)
    assert SCALE.probability_of_total(117.5) == pytest.approx(1 / (1 + math.exp(-0.85)), abs=1e-14)
    assert SCALE.probability_of_total(0.0) == pytest.approx(1 / (1 + math.exp(3.85)), abs=1e-14)


def test_points_go_on_beyond_the_training_range():
    assert SCALE.points("intratumoral", -3.0) == pytest.approx(-25.0)
    assert SCALE.points("intratumoral", 3.0) == pytest.approx(125.0)


def test_no_points_are_not_displayed_as_minus_zero():
    scale = PointsScale(make_logistic((RING, INTRATUMORAL), (-1.0, 0.0)))
    assert str(scale.points("peritumoral_5mm", 1.5)) == "0.0"
    assert str(scale.points("intratumoral", -3.0)) == "0.0"


def test_axis_of_a_binary_predictor_has_its_two_levels():
    assert SCALE.axis("microcalcifications") == [(0.0, 0.0), (1.0, pytest.approx(10.0))]


def test_points_of_four_levels_by_hand():
    # Effects 0, 0.5, 1.5, -0.5: a span of 2; the Rad-score spans 4, the age 0.5. A point is worth 0.04.
    scale = PointsScale(make_density_model().nomogram)
    assert scale.axis("breast_density") == [
        (0.0, pytest.approx(12.5)), (1.0, pytest.approx(25.0)), (2.0, pytest.approx(50.0)), (3.0, 0.0)
    ]  # fmt: skip
    assert scale.max_total == pytest.approx(100 + 50 + 12.5)
    values = {"intratumoral": 0.0, "breast_density": 1.0, "age": 60.0}
    assert scale.total(values) == pytest.approx(50 + 25 + 7.5)
    # -1.0 + 0.5 + 0.6
    assert scale.probability_of_total(82.5) == pytest.approx(1 / (1 + math.exp(-0.1)), abs=1e-14)


def test_levels_alone_span_0_to_100_points():
    scale = PointsScale(make_logistic((DENSITY,), (-1.0, -4.0, 0.0)))
    assert [points for _, points in scale.axis("breast_density")] == pytest.approx([100.0, 75.0, 0.0, 100.0])


def test_axis_by_hand():
    values = [value for value, _ in SCALE.axis("tumor_diameter_mm")]
    assert values == [8.0, 10.0, 20.0, 30.0, 40.0]
    # 38 and 2 more would print over each other: the round tick right beside an end is left out.
    narrow = Predictor("x", "clinical", "x", "", 8.0, 41.0)
    assert [v for v, _ in PointsScale(make_logistic((narrow,), (1.0,))).axis("x")] == [8.0, 10.0, 20.0, 30.0, 41.0]


def test_probability_axis_by_hand():
    axis = SCALE.probability_axis()
    low, high = SCALE.probability_of_total(0.0), SCALE.probability_of_total(SCALE.max_total)
    assert 0.01 < low < 0.05 and 0.95 < high < 0.99
    assert [p for p, _ in axis] == [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
    assert dict(axis)[0.5] == pytest.approx(3.85 / 0.04)


@pytest.mark.parametrize("predictors", [(), (INTRATUMORAL,), (INTRATUMORAL, DIAMETER, CALCIFICATIONS)], ids=len)
def test_model_without_any_effect_has_no_scale(predictors):
    with pytest.raises(InputError, match="no predictor with an effect"):
        PointsScale(make_logistic(predictors, (0.0,) * len(predictors)))


# --- for any model ----------------------------------------------------------------------------------------------------


@given(logistic_models())
def test_widest_predictor_spans_0_to_100_points_and_none_more(model):
    scale = PointsScale(model)
    spans = []
    for predictor in model.predictors:
        points = [points for _, points in scale.axis(predictor.name)]
        assert min(points) == 0.0 and max(points) <= 100 + 1e-9
        spans.append(max(points))
    assert max(spans) == pytest.approx(100.0, abs=1e-9)
    assert scale.max_total == pytest.approx(sum(spans), abs=1e-9)


@settings(max_examples=300)
@given(logistic_models(), st.data())
def test_total_points_have_the_probability_of_the_model(model, data):
    scale, values = PointsScale(model), values_for(data, model, beyond=0.5)
    assert scale.probability_of_total(scale.total(values)) == pytest.approx(model.probability(values), abs=1e-12)


@given(logistic_models(), st.data())
def test_more_risk_has_more_points(model, data):
    scale = PointsScale(model)
    for predictor in model.predictors:
        effects = [(model.effect(predictor, value), points) for value, points in scale.axis(predictor.name)]
        for (effect, points), (other_effect, other_points) in itertools.combinations(effects, 2):
            # Where the effect drowns in rounding there is nothing to compare.
            if abs(effect - other_effect) > 1e-6:
                assert (effect > other_effect) is (points > other_points)
    values = values_for(data, model)
    assert -1e-9 <= scale.total(values) <= scale.max_total + 1e-9


@given(logistic_models())
def test_axis_ticks_lie_in_the_training_range_and_include_its_ends(model):
    scale = PointsScale(model)
    for predictor in model.predictors:
        ticks = scale.axis(predictor.name)
        values = [value for value, _ in ticks]
        assert values[0] == predictor.minimum and values[-1] == predictor.maximum
        assert all(before < after for before, after in zip(values, values[1:]))
        assert len(values) == len(predictor.levels) if predictor.levels else 3 <= len(values) <= 9
        assert [points for _, points in ticks] == [scale.points(predictor.name, value) for value in values]


@given(logistic_models())
def test_probability_axis_has_what_totals_can_attain_and_nothing_else(model):
    scale = PointsScale(model)
    low, high = scale.probability_of_total(0.0), scale.probability_of_total(scale.max_total)
    axis = scale.probability_axis()
    for probability, total in axis:
        assert scale.probability_of_total(total) == pytest.approx(probability, abs=1e-9)
        assert 0 <= total <= scale.max_total
    shown = [probability for probability, _ in axis]
    for probability in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        if low + 1e-9 < probability < high - 1e-9:
            assert probability in shown


# --- ticks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-1.0, 1.0, [-1, -0.5, 0, 0.5, 1]),
        (8, 45, [10, 20, 30, 40]),
        (0.03, 0.07, [0.03, 0.04, 0.05, 0.06, 0.07]),
    ],
)
def test_nice_ticks_by_hand(low, high, ticks):
    # Equal, not close: a tick must print as 0.06 and not as 0.060000000000000005.
    assert nice_ticks(low, high) == ticks


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4), st.integers(2, 30))
def test_nice_ticks_are_round_evenly_spaced_and_inside(low, width, count):
    high = low + width
    ticks = nice_ticks(low, high, count)
    assert count // 3 <= len(ticks) <= count + 1
    assert all(low - 1e-9 * width <= tick <= high + 1e-9 * width for tick in ticks)
    steps = [after - before for before, after in zip(ticks, ticks[1:])]
    for step in steps:
        assert step == pytest.approx(steps[0], rel=1e-6)
        mantissa = step / 10 ** math.floor(math.log10(step) + 1e-6)
        assert min(abs(mantissa - nice) for nice in (1, 2, 5)) < 1e-4
