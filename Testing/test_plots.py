"""Nomogram and ROC pictures: they must be right when read with a ruler, legible, and harmless to the session."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from conftest import MODULE_DIRECTORY

from HER2NomogramLib.errors import InputError
from HER2NomogramLib.mammogram import Mammogram
from HER2NomogramLib.modelfile import LogisticModel, Predictor
from HER2NomogramLib.plots import case_figure, nomogram_figure, roc_figure, save_figure
from HER2NomogramLib.prediction import Prediction
from HER2NomogramLib.regions import make_regions
from HER2NomogramLib.scale import PointsScale

matplotlib = pytest.importorskip("matplotlib")

NOTICE = "DEMONSTRATION MODEL, trained on synthetic images. Research use only, not for clinical decisions."
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
    "far above": (THREE, {"intratumoral": 3.1, "peritumoral_5mm": 2.9, "tumor_diameter_mm": 93}),
    "far below": (THREE, {"intratumoral": -4.1, "peritumoral_5mm": -2.9, "tumor_diameter_mm": 3}),
}


def artist(figure, gid: str):
    found = [line for axes in figure.axes for line in axes.lines if line.get_gid() == gid]
    assert len(found) == 1, f"{len(found)} artists are called {gid}"
    return found[0]


def x_of(figure, gid: str) -> float:
    return float(artist(figure, gid).get_xdata()[0])


def texts(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def fraction(figure, gid: str, axis: str) -> float:
    """Where an artist lies along an axis: 0 at its left end, 1 at its right end."""
    left, right = artist(figure, axis).get_xdata()
    return (x_of(figure, gid) - left) / (right - left)


@pytest.mark.parametrize("name", ["three", "one", "seven", "wordy", "tiny effects"])
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


def test_values_outside_of_the_training_range_are_arrows_at_the_axis_ends():
    model, values = CASES["outside"]
    figure = nomogram_figure(model, predict(model, **values))
    for name, arrow, end in (("intratumoral", "<", 0), ("peritumoral_5mm", ">", 1), ("tumor_diameter_mm", ">", 1)):
        mark = artist(figure, f"case-{name}")
        assert mark.get_marker() == arrow
        assert mark.get_xdata()[0] == pytest.approx(artist(figure, f"axis-{name}").get_xdata()[end])
    assert "93 mm → 84.8 points, outside the training range" in texts(figure)
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
    figure = nomogram_figure(model, prediction, title, width=width, notice=NOTICE)
    renderer = figure.canvas.get_renderer()
    boxes = []
    for text in figure.axes[0].texts:
        text.set_bbox(None)
        boxes.append((text.get_text(), text.get_window_extent(renderer)))
    for text, box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0, text
        assert box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height, text
    for (first, a), (second, b) in itertools.combinations(boxes, 2):
        # The box of a line of type is as high as its tallest letters may be: a pixel in common is not a collision.
        apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 + 1 or b.y1 <= a.y0 + 1
        assert apart, f"'{first}' and '{second}' overlap"


def test_what_is_written():
    model, values = CASES["seven"]
    prediction = predict(model, **values)
    written = texts(nomogram_figure(model, prediction, "Case 17"))
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
        assert expected in written
    assert {"0", "10", "100", "−2", "61.7"} <= set(written)


@pytest.mark.parametrize(("name", "expected"), [("near 0", "<0.001 (95% CI"), ("near 1", ">0.999 (95% CI")])
def test_no_probability_is_written_as_certain(name, expected):
    model, values = CASES[name]
    assert any(text.startswith(expected) for text in texts(nomogram_figure(model, predict(model, **values))))


def test_interval_that_rounds_to_certainty_is_drawn_to_the_axis_ends():
    model, values = CASES["three"]
    prediction = predict(model, **values)
    object.__setattr__(prediction, "interval", (0.0, 1.0))
    figure = nomogram_figure(model, prediction)
    assert list(artist(figure, "interval").get_xdata()) == list(artist(figure, "axis-:probability").get_xdata())


def test_the_notice_is_on_a_blank_nomogram_too_when_given():
    assert NOTICE in texts(nomogram_figure(THREE, notice=NOTICE))
    assert NOTICE not in texts(nomogram_figure(THREE))


def test_model_without_effect_and_page_without_room():
    with pytest.raises(InputError, match="no predictor with an effect"):
        nomogram_figure(logistic([DIAMETER], [0.0], -1))
    with pytest.raises(ValueError, match="cannot be read"):
        nomogram_figure(THREE, width=1.0)


CURVES = [
    ("Nomogram", [0, 0, 0.2, 1], [0, 0.6, 0.9, 1], 0.893, (0.61, 0.98)),
    ("Clinical model of a cohort with a name too long for one line", [0, 0.5, 1], [0, 0.6, 1], 0.55, None),
]


def test_roc_figure_draws_each_curve_and_writes_its_area():
    figure = roc_figure(CURVES, "Internal test (n = 22)", notice=NOTICE)
    assert list(artist(figure, "roc-Nomogram").get_xdata()) == [0, 0, 0.2, 1]
    assert list(artist(figure, "roc-Nomogram").get_ydata()) == [0, 0.6, 0.9, 1]
    written = " ".join(texts(figure))
    assert "Nomogram: AUC 0.89 (0.61 to 0.98)" in written
    assert "too long for one line: AUC 0.55" in written
    assert "Internal test (n = 22)" in written and NOTICE.split(".")[0] in written
    plot = figure.axes[1].get_position()
    assert plot.width * figure.get_figwidth() == pytest.approx(plot.height * figure.get_figheight())


def test_roc_curves_differ_in_dashes_not_in_color_only():
    figure = roc_figure([(str(number), [0, 1], [0, 1], 0.5, None) for number in range(6)])
    dashes = {str(line._unscaled_dash_pattern) for line in figure.axes[1].lines if line.get_gid()}
    assert len(dashes) == 6


def test_roc_figure_refuses_what_is_no_curve():
    with pytest.raises(ValueError, match="no curve"):
        roc_figure([])
    with pytest.raises(ValueError, match="2 false and 1 true"):
        roc_figure([("Nomogram", [0, 1], [0], 0.5, None)])


def test_png_has_the_size_of_the_page(tmp_path):
    from PIL import Image

    path = save_figure(nomogram_figure(THREE, width=4.2), tmp_path / "new" / "nomogram.PNG", dpi=100)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.width == 420


def test_svg_keeps_text_as_text_and_is_the_same_every_time(tmp_path):
    model, values = CASES["seven"]
    paths = []
    for number in range(2):
        figure = nomogram_figure(model, predict(model, **values), "A <b> & $c$")
        paths.append(save_figure(figure, tmp_path / f"{number}.svg"))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    tree = ElementTree.parse(paths[0])
    written = ["".join(node.itertext()) for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert "A <b> & $c$" in written and "Total points" in written
    assert "date" not in paths[0].read_text(encoding="utf-8")


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "nomogram.svg"
    path.write_text("old", encoding="utf-8")
    figure = nomogram_figure(THREE)

    def fail_half_way(temporary, **_):
        with open(temporary, "w", encoding="utf-8") as stream:
            stream.write("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", fail_half_way)
    with pytest.raises(InputError, match="No space left"):
        save_figure(figure, path)
    assert path.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["nomogram.svg"]


def test_other_formats_and_unwritable_places_are_refused_in_one_line(tmp_path):
    figure = nomogram_figure(THREE)
    with pytest.raises(InputError, match=r"\.png or \.svg"):
        save_figure(figure, tmp_path / "nomogram.pdf")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be written"):
        save_figure(figure, tmp_path / "file" / "nomogram.png")


def test_settings_of_the_session_neither_change_nor_matter(tmp_path):
    def pictures(name: str) -> list[bytes]:
        figure = nomogram_figure(THREE)
        return [save_figure(figure, tmp_path / f"{name}{suffix}").read_bytes() for suffix in (".png", ".svg")]

    expected = pictures("plain")
    odd = {"savefig.bbox": "tight", "lines.linewidth": 4, "axes.grid": True, "svg.fonttype": "path", "font.size": 30}
    odd.update({"font.family": "serif", "axes.facecolor": "red", "savefig.transparent": True})
    with matplotlib.rc_context(odd):
        before = dict(matplotlib.rcParams)
        found = pictures("odd")
        assert dict(matplotlib.rcParams) == before
    assert found == expected


def test_neither_pyplot_nor_a_backend_is_touched():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from HER2NomogramLib import plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "import tempfile, os\n"
        "figure = plots.roc_figure([('a', [0, 1], [0, 1], 0.5, None)])\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    plots.save_figure(figure, os.path.join(folder, 'a.png'))\n"
        "    plots.save_figure(figure, os.path.join(folder, 'a.svg'))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    run = [sys.executable, "-c", code, str(MODULE_DIRECTORY)]
    completed = subprocess.run(run, capture_output=True, text=True, timeout=120)
    assert completed.returncode == 0, completed.stderr


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


def test_case_figure_outlines_the_lesion_and_every_ring():
    rows, columns = np.mgrid[:200, :200]
    lesion = (rows - 90) ** 2 + (columns - 100) ** 2 < 15**2
    mammogram = Mammogram.from_array((rows + columns + 500 * lesion).astype(np.uint16), (0.3, 0.3), "test")
    regions = make_regions(lesion, mammogram.spacing_mm, (2, 4, 6, 8, 10))
    figure = case_figure(mammogram, regions, "A case", notice="Research use only")
    whole, detail = figure.axes
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["lesion", *(f"{margin} mm ring (100% in breast)" for margin in (2, 4, 6, 8, 10))]
    widths = [np.ptp(path.get_extents().get_points()[:, 0]) for c in detail.collections for path in c.get_paths()]
    assert len(widths) == 6
    # Diameters grow by twice the margin from that of the lesion, 29 pixels of 0.3 mm.
    np.testing.assert_allclose(np.diff(widths), 4.0, atol=0.7)
    left, right = detail.get_xlim()
    assert left < 30 - 4.5 - 10 and right > 30 + 4.5 + 10 and len(whole.patches) == 1
    assert "Research use only" in [text.get_text() for text in figure.texts]
