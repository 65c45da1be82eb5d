"""The command line as the panel starts it: arguments from what was chosen, progress, and what comes of it."""

from __future__ import annotations

import csv
import enum
import importlib.metadata
import importlib.util
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .background import BackgroundCommand
from .cohort_table import OPENPYXL, is_workbook
from .errors import InputError

METHODS = ("cross-fitted", "published")
PREDICTORS = "age_over_50, dense_breast, microcalcifications, er, pr, ki67_at_least_20"
RUNNING, DONE, FAILED, CANCELLED = "running", "done", "failed", "cancelled"
# Exit status of the command line.
EXIT_DONE, EXIT_SOME_FAILED, EXIT_NOTHING_DONE = 0, 1, 2
# How the names of those widgets of the panel begin, after "cohort", that only some modes have.
_WIDGETS = {
    "train": "Features Name Method Selection Clinical Bootstrap Repeats Cost Jobs",
    "validate": "ModelLabel Features Jobs",
    "associate": "Outcome Predictors Strata Categorical",
}
# Of the nested cross-validation; and how long a development on 100 cases takes one core, roughly.
_OUTER_FOLDS, _TRAINING_S = 5, 1.0
# Cases are spread over processes; threads inside the numerical libraries would only get in each other's way.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_IMPORT_NAMES = {"scikit-learn": "sklearn"}
_REQUIREMENT = re.compile(r"([\w.-]+)(?:>=([\d.]*\d))?")
_PROGRESS = re.compile(r"progress: (.+): (\d+)/(\d+)")
_ERROR = re.compile(r"her2nomogram[^:]*: (.+)")
_NOTE = "Note: "
_FAILED_CASE = re.compile(r"Case '.+' failed: .+")


class Mode(enum.Enum):
    """What is done with a cohort: the command, and what the panel shows for it."""

    TRAIN = "train"
    VALIDATE = "validate"
    ASSOCIATE = "associate"

    def label(self) -> str:
        """What the panel shows for it."""
        texts = {
            Mode.TRAIN: "Train a model",
            Mode.VALIDATE: "Validate the chosen model",
            Mode.ASSOCIATE: "Associate: clinical variables and an outcome",
        }
        return texts[self]

    def shown(self, names: Iterable[str]) -> dict[str, bool]:
        """Whether it has them, for those widgets of the panel that only some modes have."""
        beginnings = {mode: tuple(f"cohort{part}" for part in parts.split()) for mode, parts in _WIDGETS.items()}
        own, of_any = beginnings[self.value], sum(beginnings.values(), ())
        return {name: name.startswith(own) for name in names if name.startswith(of_any)}


class Selection(enum.Enum):
    """How the nomogram's predictors are selected: the value of ``--select``, and what the panel shows for it."""

    NONE = "none"
    UNIVARIATE = "univariate"
    AIC = "aic"

    def label(self) -> str:
        """What the panel shows for it."""
        texts = {
            Selection.NONE: "none: all that are named",
            Selection.UNIVARIATE: "p < 0.10 alone, then p < 0.05 together",
            Selection.AIC: "backward by AIC",
        }
        return texts[self]


@dataclass(frozen=True)
class CohortFiles:
    """Files that a run on a cohort writes.

    Attributes
    ----------
    report : Path
        HTML; its figures and tables are in a folder beside it.
    model : Path or None
        The trained model.
    features : Path or None
        Features that are extracted from the images, with a ``.json`` beside them.
    predictions : Path or None
        Of the model that is validated.
    """

    report: Path
    model: Path | None = None
    features: Path | None = None
    predictions: Path | None = None

    @property
    def results(self) -> tuple[Path, ...]:
        """What has to be there for the run to have done its work."""
        return tuple(path for path in (self.model, self.report) if path is not None)

    def existing(self) -> tuple[Path, ...]:
        """Files that would be replaced."""
        given = (*self.results, self.features, self.predictions)
        return tuple(path for path in given if path is not None and path.exists())


@dataclass(frozen=True)
class CohortChoices:
    """What is to be done with a cohort, as it was chosen in the panel.

    Attributes
    ----------
    mode : Mode
        Train a model, validate an existing one, or study which clinical variables go with an outcome.
    cases : str
        The case table; for ``Mode.ASSOCIATE`` any table of a cohort, also an .xlsx file.
    folder : str
        Where results are written.
    features : str
        A feature table; blank: features are extracted from the images.
    other_software : bool
        The feature table was made elsewhere and has no ``features.json`` beside it.
    model : str
        File of the model that is validated.
    name : str
        Of the model that is trained; its files are named after it.
    method, clinical : str
        As the options ``--method`` and ``--clinical`` of ``her2nomogram train``; a blank ``clinical`` is none.
    selection : Selection
    bootstrap, repeats : int
        Replicates of the bootstrap and repeats of the nested cross-validation; 0 leaves it out.
    jobs : int
        Cores to use.
    engine : str
        As the option ``--engine``, where features are extracted from images; blank: the default.
    outcome, predictors, strata, categorical : str
        As the options of ``her2nomogram associate``; blank ``strata`` and ``categorical`` are none.
    """

    mode: Mode
    cases: str
    folder: str
    features: str = ""
    other_software: bool = False
    model: str = ""
    name: str = "HER2 nomogram"
    method: str = METHODS[0]
    selection: Selection = Selection.NONE
    clinical: str = "tumor_diameter_mm"
    bootstrap: int = 200
    repeats: int = 10
    jobs: int = 1
    engine: str = ""
    outcome: str = "her2"
    predictors: str = PREDICTORS
    strata: str = ""
    categorical: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """What still has to be chosen."""
        wanted = {"the case table": self.cases.strip(), "the output folder": self.folder.strip()}
        if self.mode is Mode.ASSOCIATE:
            wanted |= {"the outcome": self.outcome.strip(), "the predictors": names_in(self.predictors)}
        else:
            wanted["a name for the model" if self.mode is Mode.TRAIN else "a model"] = self._model_name
        return tuple(what for what, given in wanted.items() if not given)

    @property
    def needs_images(self) -> bool:
        """Whether features are extracted from images first."""
        return self.mode is not Mode.ASSOCIATE and not self.features.strip()

    @property
    def packages(self) -> tuple[str, ...]:
        """Requirements beyond those of the module."""
        return (OPENPYXL,) if self.mode is Mode.ASSOCIATE and is_workbook(self.cases.strip()) else ()

    @property
    def _model_name(self) -> str:
        return _file_name(self.name) if self.mode is Mode.TRAIN else Path(self.model.strip()).stem

    @property
    def files(self) -> CohortFiles:
        """What the run writes."""
        folder = _absolute(self.folder)
        if self.mode is Mode.ASSOCIATE:
            table, outcome = Path(self.cases.strip()).stem, _file_name(self.outcome)
            return CohortFiles(folder / f"{table}_{outcome}_association.html")
        if self.mode is Mode.VALIDATE:
            report = folder / f"{self._model_name}_validation.html"
            return CohortFiles(report, predictions=predictions_beside(report))
        model = folder / f"{self._model_name}.json"
        features = features_beside(model) if self.needs_images else None
        return CohortFiles(folder / f"{self._model_name}_report.html", model, features)

    @property
    def cost(self) -> str:
        """What bootstrap and nested cross-validation cost, in one line."""
        trainings = self.bootstrap + _OUTER_FOLDS * self.repeats
        if not trainings:
            return "Quick, but then nothing says how far the figures of the training cases flatter the model."
        time_needed = duration(trainings * _TRAINING_S / self.jobs)
        return f"{trainings} more trainings of the whole model: {time_needed} where there are 100 cases."

    def check(self) -> None:
        """Make sure that everything is chosen and that the files to be read are there.

        Raises
        ------
        InputError
            Naming what is missing.
        """
        if self.missing:
            raise InputError(f"Choose {' and '.join(self.missing)} first.")
        named = {"Case table": self.cases}
        if self.mode is not Mode.ASSOCIATE:
            named["Feature table"] = self.features
        if self.mode is Mode.VALIDATE:
            named["Model"] = self.model
        for what, path in named.items():
            if path.strip() and not _absolute(path).is_file():
                raise InputError(f"{what} '{path.strip()}' is not there: choose the file.")

    def arguments(self) -> list[str]:
        """Arguments of ``her2nomogram``."""
        own = {
            Mode.TRAIN: self._training_options,
            Mode.VALIDATE: self._validation_options,
            Mode.ASSOCIATE: self._association_options,
        }
        # With '=', because what was typed may begin with a dash.
        options = {"report": self.files.report, "progress": "lines"} | own[self.mode]()
        flags = [f"--{name}={value}" for name, value in options.items()]
        if self.mode is Mode.TRAIN and self.other_software and self.features.strip():
            flags.append("--other-software")
        return [self.mode.value, str(_absolute(self.cases)), *flags]

    def _training_options(self) -> dict[str, object]:
        return self._feature_options() | {
            "out": self.files.model,
            "name": self.name.strip(),
            "method": self.method,
            "select": self.selection.value,
            "clinical": ",".join(names_in(self.clinical)) or "none",
            "bootstrap": self.bootstrap,
            "repeats": self.repeats,
        }

    def _validation_options(self) -> dict[str, object]:
        return self._feature_options() | {"model": _absolute(self.model)}

    def _association_options(self) -> dict[str, object]:
        options = {
            "outcome": self.outcome.strip(),
            "predictors": ",".join(names_in(self.predictors)),
            "strata": self.strata.strip(),
            "categorical": ",".join(names_in(self.categorical)),
        }
        return {name: text for name, text in options.items() if text}

    def _feature_options(self) -> dict[str, object]:
        if not self.needs_images:
            return {"jobs": self.jobs, "features": _absolute(self.features)}
        return {"jobs": self.jobs} | ({"engine": self.engine} if self.engine else {})


@dataclass(frozen=True)
class Progress:
    """How far one step of a run has come."""

    title: str
    done: int
    total: int


def parse_progress(line: str) -> Progress | None:
    """Progress of a line ``progress: <title>: <done>/<total>``, None for any other."""
    match = _PROGRESS.fullmatch(line.strip())
    return Progress(match[1], int(match[2]), int(match[3])) if match else None


class CohortRun:
    """Training, validation or association study on a cohort, running as a process of its own.

    Parameters
    ----------
    choices : CohortChoices
    program : sequence of str, optional
        What is started with the arguments; by default this library's command line.

    Attributes
    ----------
    files : CohortFiles
        What it writes.
    written : tuple of Path
        Those of its results that it has written, once it has ended by itself. Where ``state`` is ``"done"`` these are
        all; a training that finds nothing to make a nomogram of has failed, but leaves its report.
    state : str
        ``"running"``, ``"done"``, ``"failed"`` or ``"cancelled"``.
    progress : Progress or None
        Of the step that it is at, None before the first.
    message : str
        One line: where it is, what came of it, or why it failed.
    output : str
        Everything that it wrote to standard error, once it has ended.

    Raises
    ------
    InputError
        Where the choices are not complete, a file is not there, or no Python can be started.
    """

    def __init__(self, choices: CohortChoices, program: Sequence[str] | None = None):
        choices.check()
        self.files = choices.files
        self.written: tuple[Path, ...] = ()
        self.state = RUNNING
        self.progress: Progress | None = None
        self.message = "Starting ..."
        self.output = ""
        self._before = _stamps(self.files)
        self._step = ("", 0, 0.0)
        program = [python_program(), "-m", __package__] if program is None else program
        self._command = BackgroundCommand([*program, *choices.arguments()], environment())

    def update(self) -> bool:
        """Read what has come; whether it is still running."""
        if self.state != RUNNING:
            return False
        running = self._command.running  # asked first, or what it wrote last might be missed
        for line in self._command.new_lines():
            self._follow(parse_progress(line))
        if not running:
            self._finish()
        return self.state == RUNNING

    def cancel(self) -> None:
        """End it; nothing of it counts as a result."""
        if self.update():
            self._command.stop()
            self.state, self.message = CANCELLED, f"Cancelled.{self._what_is_left()}"
            self._command.close()

    def _follow(self, progress: Progress | None) -> None:
        if progress is None:
            return
        if self.progress is None or progress.title != self.progress.title:
            self._step = (progress.title, progress.done, time.monotonic())
        self.progress = progress
        self.message = f"{progress.title}: {progress.done} of {progress.total}{self._time_left(progress)}"

    def _time_left(self, progress: Progress) -> str:
        _title, first, since = self._step
        elapsed = time.monotonic() - since
        if progress.done <= first or elapsed < 5 or progress.done >= progress.total:
            return ""
        seconds = elapsed * (progress.total - progress.done) / (progress.done - first)
        return f", {duration(seconds)} left in this step"

    def _finish(self) -> None:
        status = self._command.exit_status
        self.output = self._command.error_text().strip()
        self._command.close()
        after = _stamps(self.files)
        self.written = tuple(path for path in self.files.results if after[path] not in (None, self._before[path]))
        missing = [path.name for path in self.files.results if path not in self.written]
        if status not in (EXIT_DONE, EXIT_SOME_FAILED) or missing:
            self.state, self.message = FAILED, f"{self._reason(status, missing)}{self._what_is_left()}"
            return
        failed = [line for line in self.output.splitlines() if _FAILED_CASE.fullmatch(line)]
        left_out = f" {len(failed)} failed and were left out, the first: {failed[0]}" if failed else ""
        names = " and ".join(path.name for path in self.files.results)
        said = "".join(f" {_sentence(line)}" for line in (*self._notes(), *self._said()))
        self.state, self.message = DONE, f"Done: {names} in {self.files.report.parent}.{said}{left_out}"

    def _said(self) -> list[str]:
        """What the command line itself has said of the end, last of all."""
        found = [match[1] for match in map(_ERROR.fullmatch, self._lines()) if match]
        return found[-1:]

    def _notes(self) -> list[str]:
        """What the command line has said of the engine before the work."""
        return list(dict.fromkeys(line.removeprefix(_NOTE) for line in self._lines() if line.startswith(_NOTE)))

    def _lines(self) -> list[str]:
        return [line.strip() for line in self.output.splitlines() if line.strip()]

    def _reason(self, status: int, missing: list[str]) -> str:
        said, lines = self._said(), self._lines()
        if said:
            return said[0]
        if status == EXIT_DONE:
            return f"It ended without writing {' and '.join(missing)}."
        return f"It ended unexpectedly (exit status {status}){': ' + lines[-1] if lines else ''}."

    def _what_is_left(self) -> str:
        features = self.files.features
        if features is None or _stamps(self.files)[features] in (None, self._before[features]):
            return ""
        return f" The features are done: go on with {features} as the feature table."


def features_beside(model: str | Path) -> Path:
    """Where the features go that are extracted for the training of a model."""
    return Path(model).with_name(f"{Path(model).stem}_features.csv")


def predictions_beside(report: str | Path) -> Path:
    """Where the predictions go that a validation makes for its report."""
    return Path(report).with_name(f"{Path(report).stem}_predictions.csv")


def names_in(text: str | None) -> tuple[str, ...]:
    """Names that are separated by commas; one that has a comma itself stands in double quotes, as in CSV."""
    line = " ".join((text or "").split())
    names = next(csv.reader([line], skipinitialspace=True), [])
    return tuple(name.strip() for name in names if name.strip())


def python_program() -> str:
    """Python that programs can be started with: Slicer's own inside Slicer, whose executable is none itself.

    Raises
    ------
    InputError
        Where there is none.
    """
    found = shutil.which("PythonSlicer")
    # Anything else than a Python would not read the arguments as one: Slicer's own executable opens a second Slicer.
    if found is None and "python" in Path(sys.executable or "").name.lower():
        found = sys.executable
    if found is None:
        raise InputError("Slicer's Python (PythonSlicer) was not found: reinstall Slicer.")
    return found


def environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables of a process that finds this library, prints UTF-8 at once, and computes in one thread.

    Parameters
    ----------
    base : mapping of str to str, optional
        By default the variables of this process.
    """
    variables = dict(os.environ if base is None else base)
    paths = [str(Path(__file__).resolve().parents[1])]
    if variables.get("PYTHONPATH"):
        paths.append(variables["PYTHONPATH"])
    radiomics = importlib.util.find_spec("radiomics")
    if radiomics is not None and radiomics.origin:
        # An extension that was installed since Slicer started is on the path of this process alone.
        paths.append(str(Path(radiomics.origin).parents[1]))
    variables["PYTHONPATH"] = os.pathsep.join(paths)
    variables |= {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    return variables | dict.fromkeys(_ONE_THREAD, "1")


def requirements(path: str | Path) -> tuple[str, ...]:
    """Requirements of a file, one per package."""
    lines = (line.partition("#")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return tuple(line for line in lines if line)


def not_installed(wanted: Iterable[str]) -> tuple[str, ...]:
    """Those requirements whose package cannot be imported, or is older than they ask for."""
    return tuple(line for line in wanted if not _is_installed(line))


def check_installed(wanted: Iterable[str]) -> None:
    """Make sure that packages are there, for calls from Slicer's console, where nobody is asked.

    Raises
    ------
    InputError
        Naming those that are not there, or are too old, and how to install them.
    """
    missing = not_installed(wanted)
    if missing:
        raise InputError(
            f"Python packages are missing or too old ({', '.join(missing)}): install them with "
            f"slicer.util.pip_install({' '.join(missing)!r}) and try again."
        )


def duration(seconds: float) -> str:
    """A time in words, no more precise than it is known."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    return f"about {minutes} min" if minutes < 100 else f"about {minutes / 60:.0f} h"


def _is_installed(requirement: str) -> bool:
    name, least = _REQUIREMENT.match(requirement).groups()
    if importlib.util.find_spec(_IMPORT_NAMES.get(name, name)) is None:
        return False
    try:
        return least is None or _release(importlib.metadata.version(name)) >= _release(least)
    except importlib.metadata.PackageNotFoundError:  # not from an index: its version is nowhere recorded
        return True


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.match(r"\d+(?:\.\d+)*", version)[0].split("."))


def _stamps(files: CohortFiles) -> dict[Path, tuple[int, int] | None]:
    """When each file was written and how large it is, None where it is not there."""
    paths = (*files.results, *((files.features,) if files.features else ()))
    found = {path: path.stat() for path in paths if path.exists()}
    return {path: (found[path].st_mtime_ns, found[path].st_size) if path in found else None for path in paths}


def _file_name(text: str) -> str:
    """A name as part of a file name on every system."""
    return re.sub(r"[^\w.-]+", "_", text.strip()).strip("._")


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path.strip())))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
