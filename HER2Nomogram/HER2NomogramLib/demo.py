"""The whole way on synthetic images: cohort, features, model, and one unseen case in an MRML scene."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

from .batch import extract_cases, load_image, predict_cases
from .case_plot import case_figure
from .cases import read_cases
from .drawing import save_figure
from .embedded import load_logic_class
from .features import ExtractionSettings, default_settings_path
from .modelfile import save_model
from .phantom import make_cohort
from .prediction import Prediction, case_regions
from .regions import DEFAULT_MARGINS_MM
from .report import write_development_report
from .tables import read_extraction_facts, read_features, write_rows
from .training import TrainingOptions, performance_table, train, with_internal_validation

COHORT_SEED = 1
# A little stronger than the phantoms' default, so that 84 training cases show both Rad-scores at work.
EFFECT = 1.2
UNSEEN_SEED = 2026
UNSEEN_SIZES = {"prospective_test": 2}
# Fewer than a paper would have, so that the demo stays short.
REPLICATES, REPEATS = 40, 4
MODEL_NAME = "HER2Nomogram demonstration model"

ProgressBar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


def run_demo(out: str | Path, jobs: int, progress: ProgressBar, save_model_to: str | Path | None = None) -> Prediction:
    """Make everything into one folder and print what it says.

    Parameters
    ----------
    out : path
        Folder for cohort, tables, model and pictures.
    jobs : int
        Processes.
    progress : callable
        Makes a progress bar from a title.
    save_model_to : path, optional
        Where to write the model as well.

    Returns
    -------
    Prediction
        Of the unseen case.

    Raises
    ------
    InputError
        Where the folder cannot be written, or the MRML scene is missing.
    """
    out = Path(out)
    logic_class = load_logic_class()
    with progress("Making 131 synthetic studies") as step:
        cases_path = make_cohort(out / "cohort", seed=COHORT_SEED, effect=EFFECT, image_format="dicom", progress=step)
    cases = read_cases(cases_path)
    settings = ExtractionSettings.from_yaml(default_settings_path())
    with progress("Extracting features of 5 regions") as step:
        extracted = extract_cases(
            cases, settings, DEFAULT_MARGINS_MM, out / "features.csv", jobs=jobs, progress=step, say=print
        )
    for line in extracted.remarks():
        print(line)
    table = read_features(out / "features.csv")
    options = TrainingOptions(name=MODEL_NAME, jobs=jobs, demonstration=True)
    facts = read_extraction_facts(out / "features.csv")
    result = train(cases, table, facts, options)
    with progress("Validating internally") as step:
        result = with_internal_validation(result, REPLICATES, REPEATS, step)
    for path in filter(None, (out / "model.json", save_model_to)):
        save_model(result.model, path)
    predict_cases(cases, result.model, out / "predictions.csv", table, facts)
    write_development_report(result, out / "report.html", facts=facts)
    print("\n" + performance_table(result))
    for message in result.messages:
        print(f"Note: {message}")
    prediction = _unseen_case(logic_class, out)
    print(f"\nReport: {out / 'report.html'}")
    print(f"Model, tables and pictures are in {out}{'' if str(out).endswith('/') else '/'}")
    return prediction


def print_prediction(prediction: Prediction) -> None:
    """Print a prediction as the module panel shows it."""
    low, high = prediction.interval
    print(f"  Probability of HER2-positive: {prediction.probability:.1%} (95% CI {low:.1%} to {high:.1%})")
    side = "Outside the training range; formally " if prediction.extrapolated else ""
    side += "at or above" if prediction.positive else "below"
    print(f"  {side.capitalize()} the cut-off of {prediction.cutoff:.1%}; {prediction.total_points:.0f} total points")
    for name, points in prediction.points.items():
        print(f"    {name:<22}{prediction.predictor_texts[name]:>12}  {points:6.1f} points")
    print(f"  {'Region':<18}{'Selected feature':<52}{'Value':>12}{'Standardized':>14}{'Contribution':>14}")
    for f in prediction.selected_features:
        print(f"  {f.region:<18}{f.feature:<52}{f.value:>12.5g}{f.standardized:>14.2f}{f.contribution:>14.3f}")
    for warning in prediction.warnings:
        print(f"  Warning: {warning}")
    print(f"  {prediction.notice}")


def _unseen_case(logic_class: type, out: Path) -> Prediction:
    """Put one case that no model has seen into an MRML scene and run the module's logic on it."""
    from . import scene

    cases = read_cases(make_cohort(out / "unseen", UNSEEN_SIZES, seed=UNSEEN_SEED, effect=EFFECT, image_format="dicom"))
    case = next(case for case in cases if case.her2 == 1)
    mammogram, lesion, _ = load_image(case)
    mrml_scene = scene.new_scene()
    volume = scene.add_volume(mrml_scene, mammogram.image, "Unseen case")
    volume.SetAttribute(scene.KIND_ATTRIBUTE, mammogram.kind)
    segmentation = scene.add_segmentation(mrml_scene, {"lesion": lesion}, volume, "Segmentation")
    lesion_id = segmentation.GetSegmentation().GetNthSegmentID(0)
    logic, model_path = logic_class(), str(out / "model.json")
    region_ids = logic.createRegionSegments(segmentation, lesion_id, volume)
    prediction = logic.predict(
        volume, segmentation, lesion_id, case.clinical, model_path, pixelSpacingMm=mammogram.spacing_mm[0]
    )
    print(f"\nUnseen case in an MRML scene (truth: HER2-{'positive' if case.her2 else 'negative'})")
    print(f"  Segments: {', '.join(region_ids)}")
    print_prediction(prediction)
    for suffix in (".png", ".svg"):
        logic.drawNomogram(prediction, out / f"nomogram{suffix}", model_path)
    regions = case_regions(mammogram, lesion, DEFAULT_MARGINS_MM)
    figure = case_figure(mammogram, regions, "Unseen synthetic case", notice=prediction.notice)
    save_figure(figure, out / "regions.png")
    write_rows(out / "selected_features.csv", [asdict(feature) for feature in prediction.selected_features])
    return prediction
