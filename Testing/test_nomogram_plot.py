"""The nomogram picture: right when read with a ruler, and legible with any predictors."""

from __future__ import annotations

import pytest
from pictures import NOTICE, artist, assert_legible, written

pytest.importorskip("matplotlib")

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.modelfile import LogisticModel, Predictor
from HER2NomogramLib.nomogram_plot import nomogram_figure
from HER2NomogramLib.prediction import Prediction
from HER2NomogramLib.scale import PointsScale

INTRATUMORAL = Predictor("intratumoral", "rad_score", "Intratumoral Rad-score", "", -2.31, 1.874)
RING = Predictor("peritumoral_5mm", "rad_score", "Peritumoral 5 mm Rad-score", "", -1.52, 1.11)
DIAMETER = Predictor("tumor_diameter_mm", "clinical", "Tumor diameter", "mm", 6.23, 61.7)
CALCIFICATIONS = Predictor("microcalcifications", "clinical", "Microcalcifications", "", 0, 1, ("absent", "present"))
RECEPTOR = Predictor("er", "clinical", "Estrogen receptor", "", 0, 1, ("negative", "positive"))
AGE = Predictor("age", "clinical", "Age", "years", 28, 81)
KI67 = Predictor("ki67", "clinical", "Ki-67 labeling index of the core needle biopsy before treatment", "%", 1, 95)
WORDY = Predictor(
    "second_reading",
    "clinical",
    "Averyverylongwordwithoutanyspaces and $more$ of_it",
    "",
    0,
    1,
    ("HER2-low by the central laboratory", "HER2-positive by the central laboratory, second reading of all"),
)

DENSITY = Predictor("density", "clinical", "Breast density", "", 0, 3, ("A", "B", "C", "D"))
HISTOLOGY = Predictor(
    "histology",
    "clinical",
    "Histology",
    "",
    0,
    3,
    ("invasive ductal carcinoma", "invasive lobular carcinoma", "mucinous", "other or unknown"),
)
QUADRANTS = tuple(f"äußerer Quadrant, Zählung ${number}$" for number in range(9))
QUADRANT = Predictor("quadrant", "clinical", "Größe & Lage $x$", "", 0, 8, QUADRANTS)


def logistic(predictors, coefficients, intercept, cutoff=0.41) -> LogisticModel:
    size = len(coefficients) + 1
    covariance = tuple(tuple(0.04 if i == j == 0 else 0.0 for j in range(size)) for i in range(size))
    return LogisticModel(tuple(predictors), intercept, tuple(coefficients), covariance, cutoff)


def predict(model: LogisticModel, **values: float) -> Prediction:
    scale = PointsScale(model)
    probability = model.probability(values)
    return Prediction(
        probability=probability,
        interval=model.interval(values),
        cutoff=model.cutoff,
        positive=probability >= model.cutoff,
        predictors=values,
        points={name: scale.points(name, value) for name, value in values.items()},
        total_points=scale.total(values),
        rad_scores={},
        selected_features=(),
        radiomics_probability=0.5,
        clinical_probability=0.5,
        warnings=(),
        notice=NOTICE,
        model_name="test",
    )


THREE = logistic([INTRATUMORAL, RING, DIAMETER], [1.1, 0.9, 0.045], -2.2)
SEVEN = logistic(
    [INTRATUMORAL, RING, DIAMETER, CALCIFICATIONS, RECEPTOR, AGE, KI67], [0.9, 0.7, 0.045, 0.35, -0.9, -0.012, 0.01], -1
)
CASES = {
    "three": (THREE, {"intratumoral": 0.62, "peritumoral_5mm": 0.31, "tumor_diameter_mm": 23}),
    "one": (logistic([DIAMETER], [0.06], -2.5), {"tumor_diameter_mm": 23}),
    "seven": (
        SEVEN,
        {
            "intratumoral": 0.2,
            "peritumoral_5mm": -0.31,
            "tumor_diameter_mm": 23,
            "microcalcifications": 1.0,
            "er": 0.0,
            "age": 54,
            "ki67": 30,
        },
    ),
    "wordy": (
        logistic([INTRATUMORAL, WORDY, KI67], [0.9, 0.1, -0.02], -0.5),
        {"intratumoral": 0.62, "second_reading": 1.0, "ki67": 90},
    ),
    "tiny effects": (
        logistic([INTRATUMORAL, DIAMETER, CALCIFICATIONS], [2.0, 0.0005, 0.05], -1),
        {"intratumoral": 0.62, "tumor_diameter_mm": 31, "microcalcifications": 1.0},
    ),
    "near 0": (
        logistic([INTRATUMORAL, DIAMETER], [1.1, 0.045], -9),
        {"intratumoral": -2.3, "tumor_diameter_mm": 7},
    ),
    "near 1": (
        logistic([INTRATUMORAL, DIAMETER], [1.1, 0.045], 9),
        {"intratumoral": 1.87, "tumor_diameter_mm": 61},
    ),
    "steep": (logistic([DIAMETER], [5.0], -200), {"tumor_diameter_mm": 40}),
    "flat": (logistic([DIAMETER], [0.004], -1.2), {"tumor_diameter_mm": 40}),
    "outside": (THREE, {"intratumoral": -3.1, "peritumoral_5mm": 1.9, "tumor_diameter_mm": 93}),
    "levels": (
        logistic([INTRATUMORAL, DENSITY, HISTOLOGY], [1.1, 0.3, 0.35, 0.9, 0.08, -0.1, 0.7], -1),
        {"intratumoral": 0.2, "density": 2.0, "histology": 3.0},
    ),
    "strong levels": (
        logistic([DENSITY, DIAMETER], [0.8, 1.6, 2.4, 0.01], -1),
        {"density": 1, "tumor_diameter_mm": 30},
    ),
    "levels alike": (
        logistic([INTRATUMORAL, HISTOLOGY, DENSITY], [1.1, 0.0, 0.0, 0.01, 0.0, 0.0, 0.0], -1),
        {"intratumoral": 0.2, "histology": 1.0, "density": 3.0},
    ),
    "many long levels": (
        logistic([INTRATUMORAL, QUADRANT], [1.1, 0.1, 0.12, 0.11, -0.2, 0.3, 0.9, 0.85, 0.5], -1),
        {"intratumoral": 0.2, "quadrant": 6.0},
    ),
    "far above": (THREE, {"intratumoral": 3.1, "peritumoral_5mm": 2.9, "tumor_diameter_mm": 93}),
    "far below": (THREE, {"intratumoral": -4.1, "peritumoral_5mm": -2.9, "tumor_diameter_mm": 3}),
}


def x_of(figure, gid: str) -> float:
    return float(artist(figure, gid).get_xdata()[0])


def fraction(figure, gid: str, axis: str) -> float:
    """Where an artist lies along an axis: 0 at its left end, 1 at its right end."""
    left, right = artist(figure, axis).get_xdata()
    return (x_of(figure, gid) - left) / (right - left)


@pytest.mark.parametrize("name", ["three", "one", "seven", "wordy", "tiny effects", "levels", "many long levels"])
def test_a_ruler_gives_the_points_of_every_predictor(name):
    model, values = CASES[name]
    prediction = predict(model, **values)
    figure = nomogram_figure(model, prediction)
    for predictor, points in prediction.points.items():
        assert 100 * fraction(figure, f"points-{predictor}", "axis-:points") == pytest.approx(points, abs=1e-9)
        assert x_of(figure, f"case-{predictor}") == pytest.approx(x_of(figure, f"points-{predictor}"), abs=1e-9)


@pytest.mark.parametrize("name", ["three", "one", "seven", "flat"])
def test_a_ruler_gives_the_probability_of_the_total_points(name):
    model, values = CASES[name]
    prediction = predict(model, **values)
    figure = nomogram_figure(model, prediction)
    scale = PointsScale(model)
    assert scale.max_total * fraction(figure, "case-:total", "axis-:total") == pytest.approx(prediction.total_points)
    place = scale.max_total * fraction(figure, "case-:probability", "axis-:probability")
    assert scale.probability_of_total(place) == pytest.approx(prediction.probability)
    assert x_of(figure, "case-:probability") == pytest.approx(x_of(figure, "case-:total"), abs=1e-9)


def test_the_interval_and_the_cutoff_lie_at_their_totals():
    model, values = CASES["three"]
    prediction = predict(model, **values)
    figure, scale = nomogram_figure(model, prediction), PointsScale(model)
    left, right = artist(figure, "axis-:probability").get_xdata()
    places = [*artist(figure, "interval").get_xdata(), x_of(figure, "cutoff")]
    for place, probability in zip(places, [*prediction.interval, model.cutoff]):
        total = scale.max_total * (place - left) / (right - left)
        assert scale.probability_of_total(total) == pytest.approx(probability)


def test_axis_ends_are_the_training_range_and_a_negative_effect_runs_backward():
    figure, scale = nomogram_figure(SEVEN), PointsScale(SEVEN)
    points = artist(figure, "axis-:points").get_xdata()
    for predictor in SEVEN.predictors:
        ends = sorted(scale.points(predictor.name, value) for value in (predictor.minimum, predictor.maximum))
        expected = [points[0] + (points[1] - points[0]) * end / 100 for end in ends]
        assert list(artist(figure, f"axis-{predictor.name}").get_xdata()) == pytest.approx(expected)
    places = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
    assert places["81"] < places["28"]
    assert places["positive"] < places["negative"]
    assert places["absent"] < places["present"]


def level_ticks(figure, predictor: Predictor) -> tuple[list[float], list[float]]:
    """Places of the ticks above and below a predictor's axis, in ascending order."""
    y = artist(figure, f"axis-{predictor.name}").get_ydata()[0]
    lines = [line.get_data() for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    upright = [(xs[0], ys) for xs, ys in lines if xs[0] == xs[1] and ys[0] == y and 0 < abs(ys[1] - y) < 0.06]
    return sorted(x for x, ys in upright if ys[1] < y), sorted(x for x, ys in upright if ys[1] > y)


def level_labels(figure, predictor: Predictor, names, below: bool) -> list:
    """Labels on one side of a predictor's axis, from left to right."""
    y = artist(figure, f"axis-{predictor.name}").get_ydata()[0]
    side = [text for text in figure.axes[0].texts if text.get_text() in names]
    side = [text for text in side if abs(text.get_position()[1] - y) < 0.3 and (text.get_position()[1] > y) == below]
    return sorted(side, key=lambda text: text.get_position()[0])


@pytest.mark.parametrize(
    ("name", "predictor", "width"),
    [
        ("levels", DENSITY, 3.4),
        ("levels", HISTOLOGY, 7.0),
        ("strong levels", DENSITY, 3.4),
        ("strong levels", DENSITY, 7.0),
    ],
)
def test_every_level_has_tick_and_name_on_one_side_in_the_same_order(name, predictor, width):
    model = CASES[name][0]
    figure, scale = nomogram_figure(model, width=width), PointsScale(model)
    left, right = artist(figure, "axis-:points").get_xdata()
    points = {level: scale.points(predictor.name, value) for value, level in enumerate(predictor.levels)}
    sides = level_ticks(figure, predictor)
    assert sorted([*sides[0], *sides[1]]) == pytest.approx(
        sorted(left + (right - left) * p / 100 for p in points.values())
    )
    ends = artist(figure, f"axis-{predictor.name}").get_xdata()
    assert [100 * (x - left) / (right - left) for x in ends] == pytest.approx([0, max(points.values())])
    shown = []
    for ticks, below in zip(sides, (False, True)):
        labels = [text.get_text() for text in level_labels(figure, predictor, predictor.levels, below)]
        assert [left + (right - left) * points[label] / 100 for label in labels] == pytest.approx(ticks)
        shown += labels
    assert sorted(shown) == sorted(predictor.levels)


def test_levels_with_room_are_all_below_at_their_ticks():
    figure = nomogram_figure(CASES["strong levels"][0])
    above, below = level_ticks(figure, DENSITY)
    assert not above
    labels = level_labels(figure, DENSITY, DENSITY.levels, below=True)
    assert [text.get_position()[0] for text in labels] == pytest.approx(below)


def test_a_label_beside_its_tick_is_joined_to_it():
    model = CASES["levels"][0]
    figure = nomogram_figure(model)
    axes, renderer = figure.axes[0], figure.canvas.get_renderer()
    y = artist(figure, "axis-histology").get_ydata()[0]
    lines = [line.get_data() for line in axes.lines if len(line.get_xdata()) == 2]
    joined = 0
    for ticks, below in zip(level_ticks(figure, HISTOLOGY), (False, True)):
        for tick, label in zip(ticks, level_labels(figure, HISTOLOGY, HISTOLOGY.levels, below)):
            label.set_bbox(None)
            box = label.get_window_extent(renderer)
            low, high = box.x0 / figure.dpi, box.x1 / figure.dpi
            if low <= tick <= high:
                continue
            leaders = [xs for xs, ys in lines if xs[0] == tick and low <= xs[1] <= high and (ys[1] > y) == below]
            assert len(leaders) == 1, label.get_text()
            joined += 1
    assert joined


def test_labels_that_collide_give_way_to_both_sides_alike():
    figure = nomogram_figure(CASES["levels alike"][0])
    (tick,) = set(level_ticks(figure, DENSITY)[0])
    for names, below in (("AC", True), ("BD", False)):
        places = [text.get_position()[0] for text in level_labels(figure, DENSITY, names, below)]
        assert sum(places) / 2 == pytest.approx(tick, abs=0.02)


def test_names_without_room_become_letters_that_are_explained():
    model, values = CASES["many long levels"]
    figure, scale = nomogram_figure(model, predict(model, **values)), PointsScale(model)
    order = sorted(range(9), key=lambda value: scale.points("quadrant", value))
    text = " ".join(written(figure))
    for letter, value in zip("abcdefghi", order):
        assert f"{letter}: {QUADRANTS[value]}" in text
    assert set("abcdefghi") <= set(written(figure))
    for ticks, below in zip(level_ticks(figure, QUADRANT), (False, True)):
        labels = [text.get_text() for text in level_labels(figure, QUADRANT, "abcdefghi", below)]
        values = [order["abcdefghi".index(letter)] for letter in labels]
        left, right = artist(figure, "axis-:points").get_xdata()
        expected = [left + (right - left) * scale.points("quadrant", value) / 100 for value in values]
        assert expected == pytest.approx(ticks)


def test_values_outside_of_the_training_range_are_arrows_at_the_axis_ends():
    model, values = CASES["outside"]
    figure = nomogram_figure(model, predict(model, **values))
    for name, arrow, end in (("intratumoral", "<", 0), ("peritumoral_5mm", ">", 1), ("tumor_diameter_mm", ">", 1)):
        mark = artist(figure, f"case-{name}")
        assert mark.get_marker() == arrow
        assert mark.get_xdata()[0] == pytest.approx(artist(figure, f"axis-{name}").get_xdata()[end])
    assert "93 mm → 84.8 points, outside the training range" in written(figure)
    # 84.8 points are on the Points axis although 93 mm are not on that of the diameter; minus 18.9 are on neither.
    assert 100 * fraction(figure, "points-tumor_diameter_mm", "axis-:points") == pytest.approx(84.8, abs=0.05)
    with pytest.raises(AssertionError):
        artist(figure, "points-intratumoral")


@pytest.mark.parametrize(("name", "arrow"), [("far above", ">"), ("far below", "<")])
def test_totals_beyond_the_axis_are_arrows(name, arrow):
    model, values = CASES[name]
    figure = nomogram_figure(model, predict(model, **values))
    assert artist(figure, "case-:total").get_marker() == arrow
    assert artist(figure, "case-:probability").get_marker() == arrow


@pytest.mark.parametrize("width", [3.4, 4.2, 7.0])
@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_text_never_overlaps_and_stays_on_the_page(name, marked, width):
    model, values = CASES[name]
    prediction = predict(model, **values) if marked else None
    title = "Nomogram of a model with a long name, case 17"
    assert_legible(nomogram_figure(model, prediction, title, width=width, notice=NOTICE))


def test_what_is_written():
    model, values = CASES["seven"]
    prediction = predict(model, **values)
    found = written(nomogram_figure(model, prediction, "Case 17"))
    low, high = prediction.interval
    for expected in (
        "Case 17",
        "Points",
        "Tumor diameter (mm)",
        "Total points",
        "Probability of HER2-positive",
        f"23 mm → {prediction.points['tumor_diameter_mm']:.1f} points",
        f"30% → {prediction.points['ki67']:.1f} points",
        f"negative → {prediction.points['er']:.1f} points",
        f"{prediction.total_points:.1f} points",
        f"{prediction.probability:.2f} (95% CI {low:.2f} to {high:.2f})",
        NOTICE,
    ):
        assert expected in found
    assert {"0", "10", "100", "−2", "61.7"} <= set(found)


@pytest.mark.parametrize(("name", "expected"), [("near 0", "<0.001 (95% CI"), ("near 1", ">0.999 (95% CI")])
def test_no_probability_is_written_as_certain(name, expected):
    model, values = CASES[name]
    assert any(text.startswith(expected) for text in written(nomogram_figure(model, predict(model, **values))))


def test_interval_that_rounds_to_certainty_is_drawn_to_the_axis_ends():
    model, values = CASES["three"]
    prediction = predict(model, **values)
    object.__setattr__(prediction, "interval", (0.0, 1.0))
    figure = nomogram_figure(model, prediction)
    assert list(artist(figure, "interval").get_xdata()) == list(artist(figure, "axis-:probability").get_xdata())


def test_the_notice_is_on_a_blank_nomogram_too_when_given():
    assert NOTICE in written(nomogram_figure(THREE, notice=NOTICE))
    assert NOTICE not in written(nomogram_figure(THREE))


def test_model_without_effect_and_page_without_room():
    with pytest.raises(InputError, match="no predictor with an effect"):
        nomogram_figure(logistic([DIAMETER], [0.0], -1))
    with pytest.raises(ValueError, match="cannot be read"):
        nomogram_figure(THREE, width=1.0)


def probability_ticks(model: LogisticModel) -> dict[str, float]:
    """Numbers of the lowest axis, and where they are as fractions of that axis."""
    figure = nomogram_figure(model)
    left, right = artist(figure, "axis-:probability").get_xdata()
    ticks = [text for text in figure.axes[0].texts if text.get_ha() == "center"]
    bottom = max(text.get_position()[1] for text in ticks)
    lowest = [text for text in ticks if text.get_position()[1] == bottom]
    return {text.get_text(): (text.get_position()[0] - left) / (right - left) for text in lowest}


@pytest.mark.parametrize("name", CASES)
def test_numbers_of_the_probability_axis_are_where_they_belong(name):
    model = CASES[name][0]
    scale, ticks = PointsScale(model), probability_ticks(model)
    assert ticks
    for text, place in ticks.items():
        assert 0 < float(text) < 1
        assert scale.probability_of_total(scale.max_total * place) == pytest.approx(float(text))


def test_the_probability_axis_of_a_narrow_range_of_risks_has_enough_numbers():
    assert len(probability_ticks(logistic([DIAMETER], [0.004], -1.2))) >= 3
    assert "0.9999" in probability_ticks(CASES["near 1"][0])


@pytest.mark.parametrize("intercept", [-400.0, 400.0])
def test_risks_that_round_to_certainty_can_be_drawn(intercept):
    model = logistic([DIAMETER], [0.05], intercept)
    nomogram_figure(model, predict(model, tumor_diameter_mm=20))
