"""Command line of HER2Nomogram: ``her2nomogram <command>`` or ``python -m HER2NomogramLib <command>``.

Exit status: 0 done, 1 some cases failed (each is named, the rest is written), 2 nothing could be done.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from . import __version__
from .errors import InputError

DONE, SOME_FAILED, NOTHING_DONE = 0, 1, 2
RESEARCH_USE = "Research use only, not for clinical decisions."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        _keep_inputs(options)
        return options.run(options)
    except InputError as error:
        print(f"her2nomogram: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        print(f"her2nomogram: the package '{error.name}' is missing: run 'make install'.", file=sys.stderr)
    except KeyboardInterrupt:
        print(
            "her2nomogram: interrupted; finished cases, if any, are in a .partial file by the output.", file=sys.stderr
        )
        return SOME_FAILED
    return NOTHING_DONE


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
    extract.add_argument("--settings", metavar="YAML", help="pyradiomics parameter file (default: the shipped one)")
    extract.add_argument("--margins", default="5,10", metavar="5,10", help="ring widths in mm, comma-separated")
    extract.add_argument("--save-regions", metavar="DIR", help="also write the regions as label images")
    extract.add_argument("--jobs", type=_jobs, default=1, metavar="N", help="processes (default 1)")

    train = command("train", _train, "Signatures, radiomics, clinical and nomogram model from a feature table.")
    train.add_argument("cases", metavar="CASES.csv")
    train.add_argument("--features", required=True, metavar="FEATURES.csv", help="with its .json beside it")
    train.add_argument("--out", required=True, metavar="MODEL.json")
    train.add_argument("--name", default="HER2 nomogram", help="name of the model")
    train.add_argument("--regions", metavar="A,B", help="Rad-scores of the nomogram (default: lesion, narrowest ring)")
    train.add_argument("--clinical", default="tumor_diameter_mm", metavar="A,B", help="clinical factors, or 'none'")
    train.add_argument("--penalty", default="min", choices=("min", "1se"), help="rule for the LASSO penalty")
    train.add_argument("--seed", type=int, default=0, metavar="N", help="of the folds (default 0)")
    train.add_argument("--jobs", type=_jobs, default=1, metavar="N", help="processes (default 1)")

    predict = command("predict", _predict, "Probability of HER2-positive for every lesion of a case table.")
    predict.add_argument("cases", metavar="CASES.csv")
    predict.add_argument("--model", metavar="MODEL.json", help="default: the demonstration model")
    predict.add_argument("--out", required=True, metavar="PREDICTIONS.csv")
    predict.add_argument("--features", metavar="FEATURES.csv", help="use these instead of the images")
    predict.add_argument("--jobs", type=_jobs, default=1, metavar="N", help="processes (default 1)")
    return parser


def _keep_inputs(options: argparse.Namespace) -> None:
    # A table that took many evenings to fill in must not be lost to a slip of the hand.
    given = vars(options)
    inputs = [given[name] for name in ("cases", "features", "model", "settings") if given.get(name)]
    if given.get("features"):
        inputs.append(Path(given["features"]).with_suffix(".json"))
    if "cases" in given and Path(options.out).resolve() in [Path(path).resolve() for path in inputs]:
        raise InputError(f"--out '{options.out}' is one of the files to be read: give another name.")


def _demo(options: argparse.Namespace) -> int:
    from .demo import run_demo

    run_demo(options.out, jobs=options.jobs, save_model_to=options.save_model, progress=progress_bar)
    return DONE


def _extract(options: argparse.Namespace) -> int:
    from .batch import extract_cases
    from .cases import read_cases
    from .features import ExtractionSettings, default_settings_path

    settings = ExtractionSettings.from_yaml(options.settings or default_settings_path())
    margins = _margins(options.margins)
    cases = read_cases(options.cases)
    with progress_bar("Extracting") as progress:
        result = extract_cases(cases, settings, margins, options.out, options.save_regions, options.jobs, progress)
    return _report(result, options.out)


def _train(options: argparse.Namespace) -> int:
    from .cases import read_cases
    from .files import check_writable
    from .modelfile import save_model
    from .tables import read_extraction_facts, read_features
    from .training import TrainingOptions, performance_table, train

    check_writable(options.out)
    chosen = TrainingOptions(
        name=options.name,
        nomogram_regions=_names(options.regions),
        clinical=() if options.clinical == "none" else _names(options.clinical),
        penalty_rule=options.penalty,
        random_state=options.seed,
        jobs=options.jobs,
    )
    facts = read_extraction_facts(options.features)
    result = train(read_cases(options.cases), read_features(options.features), facts, chosen)
    save_model(result.model, options.out)
    print(performance_table(result))
    for message in result.messages:
        print(f"Note: {message}")
    print(f"Model written to {options.out}. {result.model.notice}")
    return DONE


def _predict(options: argparse.Namespace) -> int:
    from .batch import predict_cases
    from .cases import read_cases
    from .modelfile import default_model_path, load_model
    from .tables import read_extraction_facts, read_features

    model = load_model(options.model or default_model_path())
    cases = read_cases(options.cases)
    features = read_features(options.features) if options.features else None
    facts = read_extraction_facts(options.features) if options.features else None
    with progress_bar("Predicting") as progress:
        result = predict_cases(cases, model, options.out, features, facts, options.jobs, progress)
    print(f"{model.name}: {model.notice}")
    warned = sum(1 for prediction in result.done.values() if prediction.warnings)
    extrapolated = sum(1 for prediction in result.done.values() if prediction.extrapolated)
    print(f"{warned} cases have warnings (column 'warnings'), {extrapolated} are unlike the training cases: not usable")
    return _report(result, options.out)


def _report(result, out: str) -> int:
    for case_id, reason in result.failed.items():
        print(f"Case '{case_id}' failed: {reason}", file=sys.stderr)
    print(f"{len(result.done)} of {len(result.done) + len(result.failed)} cases written to {out}")
    return SOME_FAILED if result.failed else DONE


@contextmanager
def progress_bar(title: str):
    """Progress bar on the terminal; yields the callable that moves it: ``progress(done, total)``."""
    from tqdm import tqdm

    with tqdm(desc=title, unit="case", leave=True, dynamic_ncols=True) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _margins(text: str) -> tuple[float, ...]:
    from .regions import check_margins

    try:
        widths = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--margins '{text}': give widths in mm separated by commas, such as 5,10.") from None
    return check_margins(widths)


def _jobs(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of processes of 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
