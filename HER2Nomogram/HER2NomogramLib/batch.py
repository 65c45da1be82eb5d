"""Running a table of cases: features of every image, and predictions, over the cores of one machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from . import __version__
from .cases import Case
from .errors import InputError
from .features import ExtractionSettings, feature_row
from .files import atomic_path, check_writable, write_text_atomically
from .mammogram import Mammogram, read_mammogram
from .modelfile import Model
from .prediction import (
    TUMOR_DIAMETER,
    Prediction,
    case_regions,
    diameter_warnings,
    lacks_diameter,
    predict_case,
    predict_row,
)
from .regions import INTRATUMORAL, Region, feret_diameter_mm, region_warnings
from .segmentation import read_segment, read_segments
from .tables import FeatureTable, write_features, write_rows

Progress = Callable[[int, int], None]
_PACKAGES = ("numpy", "SimpleITK", "pyradiomics", "PyWavelets", "scikit-learn")


@dataclass
class BatchResult:
    """What became of the cases of a batch.

    Attributes
    ----------
    done : dict
        By case_id: the feature row, or the prediction.
    failed : dict of str to str
        By case_id: one line that says why.
    """

    done: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseFeatures:
    """Features of one case with the facts about its images that a reader of the table needs."""

    row: dict[str, float]
    images: dict[str, dict[str, Any]]


def diameter_column(image_name: str = "image") -> str:
    """Column that holds the largest Feret diameter of the lesion in mm."""
    return f"{image_name}__{INTRATUMORAL}__diagnostics_FeretDiameter"


def extract_cases(
    cases: Sequence[Case],
    settings: ExtractionSettings,
    margins_mm: Sequence[float],
    out: str | Path,
    save_regions: str | Path | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> BatchResult:
    """Features of all cases, written to ``features.csv`` with ``features.json`` beside it.

    Cases that fail are named in the result; what was computed is written also where the run is interrupted.

    Parameters
    ----------
    cases : sequence of Case
    settings : ExtractionSettings
    margins_mm : sequence of float
    out : path
        Of the feature table.
    save_regions : path, optional
        Folder for label images ``<case_id>__<image>__<region>.nrrd``.
    jobs : int
        Processes.
    progress : callable, optional
        Called with the number of cases done and of all.

    Raises
    ------
    InputError
        Where nothing could be computed or the table cannot be written.
    """
    # Learn now, not after an hour of work, whether the table can be written.
    check_writable(out)
    described = Path(out).with_suffix(".json")
    if described == Path(out):
        raise InputError(f"'{out}' is where the settings go that are written beside the table: name the table .csv.")
    check_writable(described)
    if save_regions is not None:
        check_writable(Path(save_regions) / "region.nrrd")
    result = BatchResult()
    try:
        for case, outcome in _run(_extract_case, cases, (settings, tuple(margins_mm), save_regions), jobs, progress):
            _sort_in(result, case, outcome)
    finally:
        if result.done:
            write_features(out, [(case_id, features.row) for case_id, features in result.done.items()])
            write_text_atomically(described, _describe(result, settings, margins_mm))
    _raise_if_nothing(result)
    return result


def predict_cases(
    cases: Sequence[Case],
    model: Model,
    out: str | Path,
    features: FeatureTable | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> BatchResult:
    """Predictions of all cases, written to ``predictions.csv``; from a feature table or from the images.

    Parameters, behavior and errors as in :func:`extract_cases`.
    """
    check_writable(out)
    result = BatchResult()
    try:
        if features is None:
            outcomes = _run(_predict_case, cases, (model,), jobs, progress)
        else:
            outcomes = _run(_predict_features, cases, (model, features), 1, progress)
        for case, outcome in outcomes:
            _sort_in(result, case, outcome)
    finally:
        if result.done:
            write_rows(out, [prediction_row(case_id, prediction) for case_id, prediction in result.done.items()])
    _raise_if_nothing(result)
    return result


def prediction_row(case_id: str, prediction: Prediction) -> dict[str, object]:
    """One row of ``predictions.csv``."""
    row: dict[str, object] = {
        "case_id": case_id,
        "probability": prediction.probability,
        "probability_low": prediction.interval[0],
        "probability_high": prediction.interval[1],
        "cutoff": prediction.cutoff,
        "decision": "HER2-positive" if prediction.positive else "HER2-negative",
        "extrapolated": int(prediction.extrapolated),
        "radiomics_probability": prediction.radiomics_probability,
        "clinical_probability": prediction.clinical_probability,
    }
    row.update((f"rad_score_{region}", score) for region, score in prediction.rad_scores.items())
    row.update((f"points_{name}", points) for name, points in prediction.points.items())
    row["total_points"] = prediction.total_points
    row["warnings"] = " | ".join(prediction.warnings)
    row["notice"] = prediction.notice
    return row


def load_image(case: Case, image_name: str = "image") -> tuple[Mammogram, np.ndarray, np.ndarray | None]:
    """Mammogram, lesion mask and excluded area of one image of a case.

    Raises
    ------
    InputError
        Where the case has no such image, or a file or segment cannot be used.
    """
    if image_name not in case.images:
        raise InputError(f"Case '{case.case_id}' has no image '{image_name}': fill in its columns in the case table.")
    files = case.images[image_name]
    mammogram = read_mammogram(files.image, case.pixel_spacing_mm)
    lesion = read_segment(files.segmentation, mammogram, case.segment, image_name=files.image.name)
    exclude = None
    if case.exclude_segments:
        exclude = read_segments(files.segmentation, mammogram, case.exclude_segments, image_name=files.image.name)
    return mammogram, lesion, exclude


def software_versions() -> dict[str, str]:
    """Versions of what computes features and models."""
    versions = {"HER2Nomogram": __version__, "Python": ".".join(map(str, sys.version_info[:3]))}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _extract_case(
    case: Case, settings: ExtractionSettings, margins_mm: tuple[float, ...], save_regions: str | Path | None
) -> CaseFeatures:
    row: dict[str, float] = {}
    facts = {}
    if not case.images:
        raise InputError("no image is given: fill in the columns 'image' and 'segmentation'.")
    for name in case.images:
        mammogram, lesion, exclude = load_image(case, name)
        regions = case_regions(mammogram, lesion, margins_mm, exclude)
        row[diameter_column(name)] = feret_diameter_mm(lesion, mammogram.spacing_mm)
        row.update(feature_row(mammogram, regions, settings, name))
        facts[name] = {
            "spacing_mm": list(mammogram.spacing_mm),
            "spacing_source": mammogram.spacing_source,
            "kind": mammogram.kind,
            "presentation": mammogram.presentation,
            "warnings": [*mammogram.warnings, *region_warnings(regions)],
        }
        if save_regions is not None:
            _save_regions(regions, mammogram, Path(save_regions), f"{case.case_id}__{name}")
    return CaseFeatures(row, facts)


def _predict_case(case: Case, model: Model) -> Prediction:
    mammogram, lesion, exclude = load_image(case)
    return predict_case(model, mammogram, lesion, case.clinical, exclude)[0]


def _predict_features(case: Case, model: Model, features: FeatureTable) -> Prediction:
    row = features.row(case.case_id)
    measured = row.get(diameter_column())
    if measured is None or not lacks_diameter(case.clinical):
        return predict_row(model, row, case.clinical)
    return predict_row(model, row, {**case.clinical, TUMOR_DIAMETER: measured}, diameter_warnings(model, measured))


def _save_regions(regions: dict[str, Region], mammogram: Mammogram, folder: Path, stem: str) -> None:
    for name, region in regions.items():
        label = sitk.GetImageFromArray(region.mask.astype(np.uint8)[np.newaxis])
        label.CopyInformation(mammogram.image)
        path = folder / f"{stem}__{name}.nrrd"
        with atomic_path(path) as temporary:
            try:
                sitk.WriteImage(label, str(temporary), useCompression=True)
            except RuntimeError:
                raise InputError(f"'{path}' cannot be written: free some space or choose another folder.") from None


def _run(
    work: Callable, cases: Sequence[Case], arguments: tuple, jobs: int, progress: Progress | None
) -> Iterator[tuple[Case, Any]]:
    """Outcome of ``work`` for every case in order; one that fails for what the user gave yields its InputError."""
    for done, (case, outcome) in enumerate(zip(cases, _outcomes(work, cases, arguments, jobs)), start=1):
        # Handed over before it is reported, so that an interruption of the report does not lose it.
        yield case, outcome
        if progress is not None:
            progress(done, len(cases))


def _outcomes(work: Callable, cases: Sequence[Case], arguments: tuple, jobs: int) -> Iterable[Any]:
    if jobs == 1:
        return (_guarded(work, case, arguments) for case in cases)
    from joblib import Parallel, delayed

    # Processes, because pyradiomics' C code holds the interpreter lock.
    return Parallel(n_jobs=jobs, return_as="generator")(delayed(_guarded)(work, case, arguments) for case in cases)


def _guarded(work: Callable, case: Case, arguments: tuple) -> Any:
    with _one_thread():
        try:
            return work(case, *arguments)
        except InputError as error:
            return error


@contextmanager
def _one_thread() -> Iterator[None]:
    # One case per core is the fastest split; filters that spread over all cores would only get in each other's way.
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _sort_in(result: BatchResult, case: Case, outcome: Any) -> None:
    if isinstance(outcome, InputError):
        result.failed[case.case_id] = str(outcome)
    else:
        result.done[case.case_id] = outcome


def _raise_if_nothing(result: BatchResult) -> None:
    if not result.failed and not result.done:
        raise InputError("There are no cases: add one row per lesion to the case table.")
    if not result.done:
        case_id, reason = next(iter(result.failed.items()))
        raise InputError(f"None of the {len(result.failed)} cases could be computed; case '{case_id}': {reason}")


def _describe(result: BatchResult, settings: ExtractionSettings, margins_mm: Sequence[float]) -> str:
    content = {
        "extraction": settings.to_dict(),
        "margins_mm": list(margins_mm),
        "software": software_versions(),
        "cases": {case_id: features.images for case_id, features in result.done.items()},
        "failed": result.failed,
    }
    return json.dumps(content, indent=1) + "\n"
