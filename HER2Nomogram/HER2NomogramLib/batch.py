"""Running a table of cases: features of every image, and predictions, over the cores of one machine."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from . import __version__
from .cases import Case
from .derived import with_derived
from .errors import InputError, NothingDone
from .feature_problems import FeatureProblem, problem_lines
from .features import ExtractionSettings, case_threads, feature_row, prepare_engine
from .files import atomic_path, check_writable, write_text_atomically
from .mammogram import Mammogram, read_mammogram
from .messages import quoted
from .modelfile import Model
from .prediction import (
    Prediction,
    case_regions,
    check_extraction,
    check_factors,
    check_image,
    feature_warnings,
    fill_diameter,
    image_warnings,
    predict_case,
    predict_row,
)
from .regions import INTRATUMORAL, Region, feret_diameter_mm, margins_of, region_warnings
from .segmentation import read_segment, read_segments
from .tables import FeatureTable, write_features, write_rows

Progress = Callable[[int, int], None]
# What computes features, and what else is in a model file.
FEATURE_PACKAGES = ("numpy", "scipy", "SimpleITK", "pyradiomics", "PyWavelets", "numba")
_PACKAGES = (*FEATURE_PACKAGES, "scikit-learn")
# So many cases are named where several have the same problem.
_NAMED = 3


@dataclass
class BatchResult:
    """What became of the cases of a batch.

    Attributes
    ----------
    done : dict
        By case_id: the feature row, or the prediction.
    failed : dict of str to str
        By case_id: one line that says why.
    engine : str
        That computed the features; empty where they were given.
    notice : str
        Why it was not the fast one where that was wanted, or what slowed it down; empty where there is nothing to say.
    """

    done: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    engine: str = ""
    notice: str = ""

    @property
    def problems(self) -> dict[str, tuple[str, ...]]:
        """By case_id, of the cases that were done: lines on features that are left out or mean little."""
        found = {case_id: getattr(done, "problems", ()) for case_id, done in self.done.items()}
        return {case_id: problems for case_id, problems in found.items() if problems}

    @property
    def warned(self) -> tuple[str, ...]:
        """The case_ids of those that were done, but with warnings on the image, its regions or the prediction."""
        return tuple(case_id for case_id, done in self.done.items() if done.warnings)

    @property
    def incomplete(self) -> tuple[str, ...]:
        """The case_ids of those that were done, but of which features are left out."""
        return tuple(case_id for case_id, done in self.done.items() if getattr(done, "incomplete", False))

    def remarks(self) -> list[str]:
        """What to say at the end: every problem with the first cases that have it."""
        by_problem: dict[str, list[str]] = {}
        for case_id, problems in self.problems.items():
            for problem in problems:
                by_problem.setdefault(problem, []).append(case_id)
        return [
            f"Case{'s' * (len(names) > 1)} {quoted(names, _NAMED)}: {problem}" for problem, names in by_problem.items()
        ]


@dataclass(frozen=True)
class CaseFeatures:
    """Features of one case with the facts about its images that a reader of the table needs.

    Attributes
    ----------
    row : dict of str to float
        By column of ``features.csv``.
    images : dict of str to dict
        Facts by image name.
    problems : tuple of str
        Lines on features that are left out or mean little.
    incomplete : bool
        Whether some are left out.
    """

    row: dict[str, float]
    images: dict[str, dict[str, Any]]
    problems: tuple[str, ...] = ()
    incomplete: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to say of the images and their regions."""
        return tuple(warning for facts in self.images.values() for warning in facts["warnings"])


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
    engine: str | None = None,
    say: Callable[[str], None] | None = None,
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
    engine : str, optional
        Of the features, see :func:`.features.prepare_engine`.
    say : callable, optional
        Called before the cases with what takes time, and with the notice of the result where there is one.

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

    def write(path: Path) -> None:
        write_features(path, [(case_id, features.row) for case_id, features in result.done.items()])
        write_text_atomically(path.with_suffix(".json"), _describe(result, settings, margins_mm))

    result = _prepared(settings, engine, say, jobs)
    arguments = (settings, tuple(margins_mm), save_regions, result.engine, _threads(cases))
    outcomes = _run(_extract_case, cases, arguments, jobs, progress)
    _collect(result, map(_with_shared_names, outcomes), write, Path(out))
    return result


def _with_shared_names(outcome: tuple[Case, CaseFeatures | InputError]) -> tuple[Case, CaseFeatures | InputError]:
    """Thousands of column names take more memory than their values: all cases refer to the same ones."""
    case, features = outcome
    if isinstance(features, InputError):
        return outcome
    return case, replace(features, row={sys.intern(name): value for name, value in features.row.items()})


def predict_cases(
    cases: Sequence[Case],
    model: Model,
    out: str | Path,
    features: FeatureTable | None = None,
    facts: Mapping[str, Any] | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
    engine: str | None = None,
    say: Callable[[str], None] | None = None,
) -> BatchResult:
    """Predictions of all cases, written to ``predictions.csv``; from a feature table or from the images.

    Parameters, behavior and errors as in :func:`extract_cases`, and:

    Parameters
    ----------
    features : FeatureTable, optional
        Use these instead of the images. A model of other software's features needs them.
    facts : mapping, optional
        Of the extraction, from :func:`.tables.read_extraction_facts`; needed with ``features``, but for a model of
        other software's features, of which nobody knows how they were made.

    Raises
    ------
    InputError
        Where the features were extracted with other settings than the model's, the model is not for images, or the
        case table has no column of a clinical factor, or no case in common with the features.
    """
    check_writable(out)
    if features is None:
        check_extraction(model)
    elif model.extraction is not None:
        _check_settings(model, facts or {})
    if features is not None:
        features.check_cases([case.case_id for case in cases])
    # A case whose entries are not understood fails for itself.
    cases = with_derived(cases, [predictor.name for predictor in model.clinical_predictors], strict=())
    check_factors(model, cases, measured=features is None or diameter_column() in features.columns)

    def write(path: Path) -> None:
        write_rows(path, [prediction_row(case_id, prediction) for case_id, prediction in result.done.items()])

    result = BatchResult()
    if features is None:
        result = _prepared(ExtractionSettings.from_dict(model.extraction), engine, say, jobs)
        outcomes = _run(_predict_case, cases, (model, result.engine, _threads(cases)), jobs, progress)
    else:
        outcomes = _run(_predict_features, cases, (model, features, facts or {}), 1, progress)
    _collect(result, outcomes, write, Path(out))
    return result


def partial_path(out: str | Path) -> Path:
    """Where the cases done so far go when a batch is interrupted, so that an earlier complete table stays."""
    return Path(out).with_suffix(f".partial{Path(out).suffix}")


def prediction_row(case_id: str, prediction: Prediction) -> dict[str, object]:
    """One row of ``predictions.csv``."""
    row: dict[str, object] = {
        "case_id": case_id,
        "probability": prediction.probability,
        "probability_low": prediction.interval[0],
        "probability_high": prediction.interval[1],
        "cutoff": prediction.cutoff,
        "decision": _decision(prediction),
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
    for path in (files.image, files.segmentation):
        if not path.is_file():
            raise InputError(f"'{path}' is not there: paths in the case table are relative to its folder, correct it.")
    mammogram = read_mammogram(files.image, case.pixel_spacing_mm)
    lesion = read_segment(files.segmentation, mammogram, case.segment, image_name=files.image.name)
    exclude = None
    if case.exclude_segments:
        exclude = read_segments(files.segmentation, mammogram, case.exclude_segments, image_name=files.image.name)
    return mammogram, lesion, exclude


def software_versions(packages: Sequence[str] = _PACKAGES) -> dict[str, str]:
    """Versions of this software, Python and those packages that are there."""
    versions = {"HER2Nomogram": __version__, "Python": ".".join(map(str, sys.version_info[:3]))}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _prepared(
    settings: ExtractionSettings, engine: str | None, say: Callable[[str], None] | None, jobs: int
) -> BatchResult:
    """A result without cases, with the engine that all of them will have."""
    chosen, notice = prepare_engine(settings, engine, say, jobs)
    if notice and say is not None:
        say(notice)
    return BatchResult(engine=chosen, notice=notice)


def recorded_problems(image: Mapping[str, Any]) -> tuple[FeatureProblem, ...]:
    """Problems of the features of an image, out of what ``features.json`` says of it; older files have none."""
    try:
        return tuple(FeatureProblem(**problem) for problem in image.get("problems", ()))
    except TypeError:
        raise InputError("features.json has 'problems' that are not understood: extract the features again.") from None


def _threads(cases: Sequence[Case]) -> int:
    """Threads for each case: many cases are spread over processes."""
    return case_threads() if len(cases) == 1 else 1


def _extract_case(
    case: Case,
    settings: ExtractionSettings,
    margins_mm: tuple[float, ...],
    save_regions: str | Path | None,
    engine: str,
    threads: int,
) -> CaseFeatures:
    row: dict[str, float] = {}
    facts = {}
    lines: list[str] = []
    problems: list[FeatureProblem] = []
    if not case.images:
        raise InputError("no image is given: fill in the columns 'image' and 'segmentation'.")
    for name in case.images:
        mammogram, lesion, exclude = load_image(case, name)
        regions = case_regions(mammogram, lesion, margins_mm, exclude)
        row[diameter_column(name)] = feret_diameter_mm(lesion, mammogram.spacing_mm)
        found: list[FeatureProblem] = []
        row.update(feature_row(mammogram, regions, settings, name, engine, threads, found))
        lines += [line if name == "image" else f"{name}: {line}" for line in problem_lines(found, regions)]
        problems += found
        facts[name] = {
            "spacing_mm": list(mammogram.spacing_mm),
            "spacing_source": mammogram.spacing_source,
            "kind": mammogram.kind,
            "presentation": mammogram.presentation,
            "warnings": [*mammogram.warnings, *region_warnings(regions, mammogram.breast)],
            "problems": [asdict(problem) for problem in found],
        }
        if save_regions is not None:
            _save_regions(regions, mammogram, Path(save_regions), f"{case.case_id}__{name}")
    incomplete = any(problem.missing for problem in problems)
    if incomplete and all("__diagnostics_" in column for column in row):
        raise InputError(" ".join(lines))
    return CaseFeatures(row, facts, tuple(lines), incomplete)


def _predict_case(case: Case, model: Model, engine: str, threads: int) -> Prediction:
    mammogram, lesion, exclude = load_image(case)
    return predict_case(model, mammogram, lesion, case.clinical, exclude, engine=engine, threads=threads)[0]


@dataclass(frozen=True)
class _RecordedImage:
    """What ``features.json`` says of an image, for the checks that a model makes."""

    spacing_mm: tuple[float, float]
    kind: str | None
    presentation: str | None
    warnings: tuple[str, ...]
    problems: tuple[FeatureProblem, ...]


def _predict_features(case: Case, model: Model, features: FeatureTable, facts: Mapping[str, Any]) -> Prediction:
    row = features.row(case.case_id)
    warnings: tuple[str, ...] = ()
    if model.extraction is not None:
        image = _recorded_image(case, facts)
        check_image(model, image)
        present = {column: value for column, value in row.items() if math.isfinite(value)}
        warnings = (*image_warnings(model, image), *feature_warnings(model, present, image.problems))
    clinical, of_diameter = fill_diameter(model, case.clinical, lambda: row.get(diameter_column()))
    return predict_row(model, row, clinical, (*warnings, *of_diameter))


def _recorded_image(case: Case, facts: Mapping[str, Any]) -> _RecordedImage:
    try:
        recorded = facts["cases"][case.case_id]["image"]
        return _RecordedImage(
            spacing_mm=tuple(recorded["spacing_mm"]),
            kind=recorded["kind"],
            presentation=recorded["presentation"],
            warnings=tuple(recorded["warnings"]),
            problems=recorded_problems(recorded),
        )
    except (KeyError, TypeError):
        raise InputError("features.json does not describe this case: extract its features again.") from None


def _check_settings(model: Model, facts: Mapping[str, Any]) -> None:
    """Refuse features made in another way than the model's: the same name would mean another number."""
    recorded = ExtractionSettings.from_dict(facts.get("extraction"), source="features.json")
    missing = set(margins_of(model.used_regions)) - set(facts.get("margins_mm", ()))
    if missing or recorded != ExtractionSettings.from_dict(model.extraction):
        what = f"without the {missing.pop():g} mm margin that" if missing else "with other settings than"
        raise InputError(
            f"The features were extracted {what} model '{model.name}' needs: predict from the images, or extract again "
            "with the model's settings."
        )


def _decision(prediction: Prediction) -> str:
    if prediction.extrapolated:
        return "not usable: unlike the training cases"
    return "HER2-positive" if prediction.positive else "HER2-negative"


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
    try:
        from joblib import Parallel, delayed
    except ModuleNotFoundError:
        raise InputError("More than one process needs the package joblib: install it, or use one (jobs=1).") from None
    # Processes, because pyradiomics' C code holds the interpreter lock, and half of the rest is Python.
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


def _collect(
    result: BatchResult, outcomes: Iterable[tuple[Case, Any]], write: Callable[[Path], None], out: Path
) -> None:
    """Sort outcomes into done and failed and write what is done, also where the run breaks off."""
    path = partial_path(out)
    try:
        for case, outcome in outcomes:
            if isinstance(outcome, InputError):
                result.failed[case.case_id] = str(outcome)
            else:
                result.done[case.case_id] = outcome
        path = out
    except BrokenProcessPool:
        raise InputError(
            f"A process was ended from outside, perhaps for lack of memory: use fewer processes{_kept(result, path)}."
        ) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_kept(result, path)) from None
    finally:
        if result.done:
            write(path)
    _raise_if_nothing(result)


def _kept(result: BatchResult, path: Path) -> str:
    """Where the cases are that were done before a run broke off."""
    count = len(result.done)
    return f"; the {count} case{'s' * (count > 1)} done so far are in '{path}'" if count else ""


def _raise_if_nothing(result: BatchResult) -> None:
    if not result.failed and not result.done:
        raise InputError("There are no cases: add one row per lesion to the case table.")
    if not result.done:
        raise NothingDone(result.failed)


def _describe(result: BatchResult, settings: ExtractionSettings, margins_mm: Sequence[float]) -> str:
    content = {
        "extraction": settings.to_dict(),
        "margins_mm": list(margins_mm),
        "engine": result.engine,
        "software": software_versions(),
        "cases": {case_id: features.images for case_id, features in result.done.items()},
        "problems": result.problems,
        "failed": result.failed,
    }
    return json.dumps(content, indent=1) + "\n"
