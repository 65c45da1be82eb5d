"""Command line of HER2Nomogram: ``her2nomogram <command>`` or ``python -m HER2NomogramLib <command>``.

Exit status: 0 done, 1 some cases failed (each is named, the rest is written), 2 nothing could be done.
"""

from __future__ import annotations

import argparse
import functools
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NoReturn

from . import RESEARCH_USE, __version__
from .associate_cli import add_options as add_associate_options
from .command import EXIT_DONE as DONE
from .command import EXIT_NOTHING_DONE as NOTHING_DONE
from .command import EXIT_SOME_FAILED as SOME_FAILED
from .command import METHODS, Selection, features_beside, names_in, predictions_beside
from .errors import InputError
from .messages import one_line, quoted

_INSTALL = "run 'make install'; in Slicer start from the panel, which asks to install what is needed."
_UNUSED = "--{name} is for the extraction, but --features were extracted already: leave one out."
# So many cases that were left out for the same reason are named, so many different warnings are said.
_NAMED = 5
# Resampling for the report of a training.
_BOOTSTRAP, _REPEATS = 200, 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        _check_names(options)
        _keep_inputs(options)
        _check_endings(options)
        with _ended_as_interrupted():
            return options.run(options)
    except InputError as error:
        _print_failed(getattr(error, "failed", {}))
        print(f"her2nomogram: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        print(f"her2nomogram: the package '{error.name}' is missing: {_INSTALL}", file=sys.stderr)
    except ImportError as error:  # such as numba's for a version of NumPy that it does not know
        print(
            f"her2nomogram: a package cannot be used ({one_line(error)}): install another version of it.",
            file=sys.stderr,
        )
    except KeyboardInterrupt as stop:
        print(f"her2nomogram: interrupted; files that were finished are kept{stop}.", file=sys.stderr)
        return SOME_FAILED
    except Exception as error:  # a defect: one line for the user, with the place for whoever mends it
        place = traceback.extract_tb(error.__traceback__)[-1]
        print(
            f"her2nomogram: this should not have happened ({type(error).__name__}: {one_line(error)}, in "
            f"{Path(place.filename).name} line {place.lineno}): report it with the command; files that were finished "
            "are kept, cases of an unfinished table in a .partial file beside it.",
            file=sys.stderr,
        )
    return NOTHING_DONE


@contextmanager
def _ended_as_interrupted():
    """Have a batch system's request to end the process treated as Ctrl-C, which keeps what is done."""

    def interrupt(*_) -> NoReturn:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Parser(argparse.ArgumentParser):
    """Parser whose errors are one line, like all others here."""

    def error(self, message: str) -> NoReturn:
        self.exit(NOTHING_DONE, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("her2nomogram", description=f"{__doc__.splitlines()[0]} {RESEARCH_USE}")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=f"{text} {RESEARCH_USE}")
        added.set_defaults(run=run)
        return added

    demo = command("demo", _demo, "Synthetic cohort, model and one case in an MRML scene, from start to end.")
    demo.add_argument("--out", default="demo-output", metavar="DIR", help="folder for everything that is made")
    demo.add_argument("--save-model", metavar="JSON", help="also write the model here")
    demo.add_argument("--jobs", type=_jobs, default=2, metavar="N", help="processes (default 2)")

    extract = command("extract", _extract, "Radiomics features of every lesion of a case table.")
    extract.add_argument("cases", metavar="CASES.csv")
    extract.add_argument("--out", required=True, metavar="FEATURES.csv")
    _add_extraction(extract)
    extract.add_argument("--save-regions", metavar="DIR", help="also write the regions as label images")
    _add_running(extract)

    _add_train(command("train", _train, "Signatures, radiomics, clinical and nomogram model of a cohort, validated."))
    _add_validate(command("validate", _validate, "Performance of an existing model on a cohort; its recalibration."))

    associate = command("associate", _associate, "Odds ratios of clinical variables of a cohort for an outcome.")
    add_associate_options(associate, _count)

    predict = command("predict", _predict, "Probability of HER2-positive for every lesion of a case table.")
    predict.add_argument("cases", metavar="CASES.csv")
    predict.add_argument("--model", metavar="MODEL.json", help="default: the demonstration model")
    predict.add_argument("--out", required=True, metavar="PREDICTIONS.csv")
    predict.add_argument("--features", metavar="FEATURES.csv", help="use these instead of the images")
    _add_engine(predict)
    _add_running(predict)
    return parser


def _add_train(train: argparse.ArgumentParser) -> None:
    train.add_argument("cases", metavar="CASES.csv")
    train.add_argument("--out", required=True, metavar="MODEL.json")
    train.add_argument(
        "--features", metavar="FEATURES.csv", help="with its .json (default: extract to <MODEL>_features.csv first)"
    )
    train.add_argument(
        "--other-software", action="store_true", help="the features are not from extract: no .json, for tables only"
    )
    _add_extraction(train)
    train.add_argument("--report", metavar="HTML", help="also validate internally and write the report")
    train.add_argument("--name", default="HER2 nomogram", help="name of the model")
    train.add_argument("--method", default=METHODS[0], choices=METHODS, help="Rad-scores of the nomogram")
    train.add_argument(
        "--regions",
        metavar="A,B",
        help="Rad-scores of the nomogram (default: lesion and narrowest ring; all with --select or --other-software)",
    )
    train.add_argument("--clinical", default="tumor_diameter_mm", metavar="A,B", help="clinical factors, or 'none'")
    train.add_argument("--categorical", metavar="A,B", help="factors whose numbers are names of categories")
    train.add_argument(
        "--select",
        default=Selection.NONE.value,
        choices=[selection.value for selection in Selection],
        help="how predictors are chosen among these",
    )
    train.add_argument(
        "--missing", default="impute", choices=("impute", "exclude"), help="what to do about missing clinical factors"
    )
    train.add_argument("--penalty", default="min", choices=("min", "1se"), help="rule for the LASSO penalty")
    # No defaults here, so that numbers that would not be used can be told from none.
    train.add_argument(
        "--bootstrap", type=_count, metavar="N", help=f"replicates (default {_BOOTSTRAP}, 0 for none), for --report"
    )
    train.add_argument(
        "--repeats",
        type=_count,
        metavar="N",
        help=f"of nested cross-validation (default {_REPEATS}, 0 for none), for --report",
    )
    train.add_argument("--seed", type=int, default=0, metavar="N", help="of the folds and resamples (default 0)")
    _add_running(train)


def _add_validate(validate: argparse.ArgumentParser) -> None:
    validate.add_argument("cases", metavar="CASES.csv")
    validate.add_argument("--model", required=True, metavar="MODEL.json")
    validate.add_argument("--features", metavar="FEATURES.csv", help="use these instead of the images")
    _add_engine(validate)
    validate.add_argument("--report", required=True, metavar="HTML")
    validate.add_argument("--recalibrate", choices=("intercept", "logistic"), help="also fit the model to this cohort")
    validate.add_argument("--out", metavar="MODEL.json", help="where the recalibrated model goes")
    _add_running(validate)


def _add_extraction(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--settings", metavar="YAML", help="pyradiomics parameter file (default: the shipped one)")
    # No default here, so that a width that would not be used can be told from none.
    parser.add_argument("--margins", metavar="5,10", help="ring widths in mm, comma-separated (default 5,10)")
    _add_engine(parser)


def _add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine",
        choices=("fast", "pyradiomics"),
        help="what computes the features, with the same values (default: fast where it can be used)",
    )


def _add_running(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=_jobs, default=1, metavar="N", help="cores to use (default 1)")
    parser.add_argument(
        "--progress", default="bar", choices=("bar", "lines"), help="on the terminal, or lines for programs to read"
    )


def _check_names(options: argparse.Namespace) -> None:
    """Refuse paths without a name, such as that of a variable of the shell that is not set."""
    folders = ("save_regions", "out") if options.run is _demo else ("save_regions",)
    for name in ("cases", "table", "features", "model", "settings", "report", "save_model", "save_regions", "out"):
        given = getattr(options, name, None)
        option = f"{name.upper()}.csv" if name in ("cases", "table") else f"--{name.replace('_', '-')}"
        if given is not None and not given.strip():
            raise InputError(f"{option} is empty: give a name.")
        if given is not None and name not in folders and not Path(given).name:
            raise InputError(f"{option}: '{given}' is a folder: give the name of a file.")


def _keep_inputs(options: argparse.Namespace) -> None:
    """Refuse an output in the place of an input, or two in one place."""
    # A table that took many evenings to fill in must not be lost to a slip of the hand.
    given = vars(options)
    inputs = [given[name] for name in ("cases", "table", "features", "model", "settings") if given.get(name)]
    if given.get("features"):
        inputs.append(Path(given["features"]).with_suffix(".json"))
    inputs = [Path(path).resolve() for path in inputs]
    if given.get("report"):
        _keep_inputs_of_report(inputs, options.report)
    taken: dict[Path, str] = {}
    for path, option in _outputs(options) if inputs else ():
        if path.resolve() in inputs:
            raise InputError(f"--{option}: '{path}' would be written, but is one of the files to be read: rename one.")
        if taken.setdefault(path.resolve(), option) != option:
            raise InputError(f"--{taken[path.resolve()]} and --{option} would both write '{path}': give two names.")


def _keep_inputs_of_report(inputs: Sequence[Path], report: str) -> None:
    """Refuse inputs in the folder of a report's parts, one of which may have the same name."""
    from .files import files_directory

    for path in inputs:
        if path.parent == files_directory(report).resolve():
            raise InputError(
                f"--report: '{path.name}' lies in the folder that the parts of the report are written to: move it, or "
                "give the report another name."
            )


def _check_endings(options: argparse.Namespace) -> None:
    """Refuse a report or a model under a name that programs take for something else."""
    given = vars(options)
    wanted = [("report", (".html", ".htm"))]
    wanted += [("out", (".json",))] if options.run in (_train, _validate) else []
    for name, endings in wanted:
        if given.get(name) and Path(given[name]).suffix.lower() not in endings:
            raise InputError(f"--{name}: '{given[name]}' must end in {' or '.join(endings)}: rename it.")


def _outputs(options: argparse.Namespace) -> list[tuple[Path, str]]:
    """Files that a command writes, with the option that each is named by."""
    given = vars(options)
    found = [(Path(given[name]), name) for name in ("out", "report") if given.get(name)]
    if options.run is _extract:
        found.append((Path(options.out).with_suffix(".json"), "out"))
    elif options.run is _train and not options.features:
        features = features_beside(options.out)
        found += [(features, "out"), (features.with_suffix(".json"), "out")]
    elif options.run is _validate:
        found.append((predictions_beside(options.report), "report"))
    return found


def _check_places(options: argparse.Namespace) -> None:
    """Make sure, before the work, that its results can be written and that nothing is missing for the report."""
    from .files import check_writable

    for path, _ in _outputs(options):
        check_writable(path)
    if options.report:
        import jinja2  # noqa: F401 - used when all is done, which is late to learn that it is missing
        import matplotlib  # noqa: F401

        from .files import files_directory

        folder = files_directory(options.report)
        if folder.exists():
            check_writable(folder / "report.csv")


def _demo(options: argparse.Namespace) -> int:
    from .demo import run_demo

    run_demo(options.out, jobs=options.jobs, save_model_to=options.save_model, progress=progress_bar)
    return DONE


def _extract(options: argparse.Namespace) -> int:
    from .cases import read_cases

    return _report_extraction(_extract_to(options, read_cases(options.cases), options.out), options.out)


def _extract_to(options: argparse.Namespace, cases: Sequence, out: str | Path):
    """Features of all cases, written to a table."""
    from .batch import extract_cases
    from .features import ExtractionSettings, default_settings_path

    settings = ExtractionSettings.from_yaml(options.settings or default_settings_path())
    margins = _margins(options.margins)
    with _progress(options, "Extracting") as progress:
        return extract_cases(
            cases,
            settings,
            margins,
            out,
            getattr(options, "save_regions", None),
            options.jobs,
            progress,
            options.engine,
            functools.partial(_say, options),
        )


def _train(options: argparse.Namespace) -> int:
    from .cases import read_cases
    from .training import performance_table, train, with_internal_validation

    _check_combination(options)
    _check_places(options)
    cases, chosen = read_cases(options.cases), _training_options(options)
    unused = [f"--{name}" for name in ("bootstrap", "repeats") if getattr(options, name) and not options.report]
    if unused:
        print(f"Note: nothing is resampled: {' and '.join(unused)} need --report.", file=sys.stderr)
    table, facts, status = _features_to_train(options, cases, chosen)
    result = train(cases, table, facts, chosen)
    if result.no_model and not options.report:
        raise InputError(result.no_model)
    # Saved before the resampling, which can take long and be interrupted.
    _save_trained(result, options.out)
    bootstrap = _BOOTSTRAP if options.bootstrap is None else options.bootstrap
    repeats = _REPEATS if options.repeats is None else options.repeats
    resampled = options.report and bootstrap + repeats
    if resampled:
        with _progress(options, "Validating internally", unit="development") as progress:
            result = with_internal_validation(result, bootstrap, repeats, progress)
        _save_trained(result, options.out)
    _name_left_out(result.dataset)
    print(performance_table(result))
    for message in result.messages:
        print(f"Note: {message}")
    if not result.no_model:
        print(f"Model written to {options.out}. {result.model.notice}")
    if options.report:
        from .report import write_development_report

        write_development_report(result, options.report, facts=facts)
        print(f"Report written to {options.report}, its figures and tables beside it.")
    if result.no_model:
        print(f"her2nomogram: {result.no_model} No model is written.", file=sys.stderr)
        return SOME_FAILED
    if resampled and (result.internal is None or result.internal.interrupted):
        what = "interrupted" if result.internal else "no internal validation"
        print(f"her2nomogram: {what}; the model is kept, see the last remark in the report.", file=sys.stderr)
        return SOME_FAILED
    return status


def _save_trained(result, out: str) -> None:
    from .modelfile import save_model

    if not result.no_model:
        save_model(result.model, out)


def _check_combination(options: argparse.Namespace) -> None:
    """Refuse options that would not be used."""
    if options.other_software and not options.features:
        raise InputError("--other-software needs --features: name the table.")
    for name in ("settings", "margins", "engine"):
        if options.features and getattr(options, name) is not None:
            raise InputError(_UNUSED.format(name=name))


def _training_options(options: argparse.Namespace):
    from .training import TrainingOptions

    factors = names_in(options.clinical)
    if "none" in factors and len(factors) > 1:
        raise InputError(f"--clinical {options.clinical}: 'none' is for no factors at all: leave it or the others out.")
    return TrainingOptions(
        name=options.name,
        nomogram_regions=names_in(options.regions),
        clinical=() if factors == ("none",) else factors,
        categorical=names_in(options.categorical),
        method=options.method,
        selection=options.select,
        missing=options.missing,
        penalty_rule=options.penalty,
        random_state=options.seed,
        jobs=options.jobs,
    )


def _features_to_train(options: argparse.Namespace, cases: Sequence, chosen) -> tuple:
    """Feature table, what is recorded of its extraction, and exit status; from the images where no table is given."""
    from .regions import region_names
    from .tables import read_extraction_facts, read_features
    from .training import check_before_extraction

    path, status = options.features, DONE
    if not path:
        check_before_extraction(cases, region_names(_margins(options.margins)), chosen)
        path = features_beside(options.out)
        status = _report_extraction(_extract_to(options, cases, path), path)
    # The table first: where it is missing, so is mostly its record, but it is the table that was named.
    table = read_features(path)
    return table, None if options.other_software else read_extraction_facts(path), status


def _name_left_out(dataset) -> None:
    """Say who was left out, and whose features are missing; the notes, which are kept in the model file, only count."""
    by_reason: dict[str, list[str]] = {}
    for exclusion in dataset.excluded:
        by_reason.setdefault(exclusion.reason, []).append(exclusion.case_id)
    for reason, names in by_reason.items():
        print(f"Left out, {reason}: {quoted(names, _NAMED)}", file=sys.stderr)
    if dataset.lacking:
        cases = quoted(list(dict.fromkeys(case_id for _, case_id in dataset.lacking)), _NAMED)
        print(f"Features left out, because they are missing or infinite in the case {cases}", file=sys.stderr)


def _validate(options: argparse.Namespace) -> int:
    from .cases import check_outcomes, read_cases
    from .modelfile import load_model
    from .report import write_validation_report
    from .validation import auc_table, validate_model

    if bool(options.recalibrate) != bool(options.out):
        raise InputError("--recalibrate and --out go together: how to recalibrate, and where the new model goes.")
    _check_places(options)
    model, cases = load_model(options.model), read_cases(options.cases)
    check_outcomes(cases)
    predictions = predictions_beside(options.report)
    result = _predicted(options, cases, model, predictions)
    status = _report(result, str(predictions))
    validation = validate_model(cases, model, result.done, result.failed)
    refusal = None
    if options.recalibrate:
        validation, refusal = _recalibrate(options, validation)
    write_validation_report(validation, options.report)
    print(auc_table(validation.splits))
    for message in validation.messages:
        print(f"Note: {message}")
    print(f"Report written to {options.report}, its figures and tables beside it. {model.notice}")
    if refusal:
        print(f"her2nomogram: {refusal} The report is without recalibration.", file=sys.stderr)
        return SOME_FAILED
    return status


def _recalibrate(options: argparse.Namespace, validation) -> tuple:
    """Validation with the recalibrated model, which is written; or the validation as it was, and why it stays so."""
    from .modelfile import save_model
    from .validation import with_recalibration

    try:
        validation = with_recalibration(validation, options.recalibrate, Path(options.cases).stem)
    except InputError as error:
        # The predictions may have taken hours: what they say of the model is worth its report.
        return validation, str(error)
    save_model(validation.recalibrated.model, options.out)
    print(f"Recalibrated model written to {options.out}.")
    return validation, None


def _associate(options: argparse.Namespace) -> int:
    from .associate_cli import run

    if options.report:
        _check_places(options)
    return DONE if run(options, _progress) else SOME_FAILED


def _predict(options: argparse.Namespace) -> int:
    from .cases import read_cases
    from .modelfile import default_model_path, load_model

    model = load_model(options.model or default_model_path())
    cases = read_cases(options.cases)
    result = _predicted(options, cases, model, options.out)
    print(f"{model.name}: {model.notice}")
    extrapolated = sum(1 for prediction in result.done.values() if prediction.extrapolated)
    unlike = f"; {extrapolated} of them not usable, being unlike the training cases" if extrapolated else ""
    print(f"{len(result.warned)} of {len(result.done)} cases have warnings (column 'warnings'){unlike}")
    return _report(result, options.out)


def _predicted(options: argparse.Namespace, cases: Sequence, model, out: str | Path):
    """Predictions of all cases, from the feature table where there is one."""
    from .batch import predict_cases

    features, facts = _features(options, model)
    say = functools.partial(_say, options)
    with _progress(options, "Predicting") as progress:
        return predict_cases(cases, model, out, features, facts, options.jobs, progress, options.engine, say)


def _features(options: argparse.Namespace, model) -> tuple:
    """Feature table and what is recorded of its extraction, where a table is to be used instead of the images."""
    from .tables import read_extraction_facts, read_features

    if not options.features:
        return None, None
    if options.engine:
        raise InputError(_UNUSED.format(name="engine"))
    table = read_features(options.features)
    # Nobody knows how other software made the features of its model.
    return table, read_extraction_facts(options.features) if model.extraction is not None else None


def _report_extraction(result, out: str | Path) -> int:
    if result.warned:
        described = Path(out).with_suffix(".json")
        print(f"{len(result.warned)} of {len(result.done)} cases have warnings ('warnings' in {described}):")
        warnings = Counter(warning for done in result.done.values() for warning in done.warnings)
        # What all cases have is known soon; what few have is easily missed.
        for warning, count in sorted(warnings.items(), key=lambda item: item[1])[:_NAMED]:
            print(f"  {count} case{'s' * (count > 1)}: {warning}")
        if len(warnings) > _NAMED:
            print(f"  and {len(warnings) - _NAMED} other warnings")
    return _report(result, out)


def _print_failed(failed: Mapping[str, str]) -> None:
    for case_id, reason in failed.items():
        print(f"Case '{case_id}' failed: {reason}", file=sys.stderr)


def _report(result, out: str | Path) -> int:
    _print_failed(result.failed)
    for line in result.remarks():
        print(line, file=sys.stderr)
    print(f"{len(result.done)} of {len(result.done) + len(result.failed)} cases written to {out}")
    return SOME_FAILED if result.failed or result.incomplete else DONE


@contextmanager
def progress_bar(title: str, unit: str = "case"):
    """Progress bar on the terminal; yields the callable that moves it: ``progress(done, total)``."""
    from tqdm import tqdm

    with tqdm(desc=title, unit=f" {unit}", leave=True, dynamic_ncols=True) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress


def _progress(options: argparse.Namespace, title: str, unit: str = "case"):
    if options.progress == "bar":
        return progress_bar(title, unit)
    return nullcontext(lambda done, total: print(f"progress: {title}: {done}/{total}", flush=True))


def _say(options: argparse.Namespace, what: str) -> None:
    """Say before the cases what takes time, and what there is to know of the engine."""
    from .features import COMPILING

    if options.progress == "lines" and what == COMPILING:
        print(f"progress: {what}: 0/1", flush=True)
    elif options.progress == "lines":
        print(f"Note: {what}", file=sys.stderr, flush=True)
    else:
        from tqdm import tqdm

        # The progress bar is on the screen already.
        tqdm.write(f"{what} ..." if what == COMPILING else f"Note: {what}", file=sys.stderr)


def _margins(text: str | None) -> tuple[float, ...]:
    from .regions import DEFAULT_MARGINS_MM, check_margins

    if text is None:
        return DEFAULT_MARGINS_MM
    try:
        widths = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--margins '{text}': give widths in mm separated by commas, such as 5,10.") from None
    return check_margins(widths)


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of 0 or more")
    return int(text)


def _jobs(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
