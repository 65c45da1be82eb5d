"""The command ``her2nomogram associate``: its options, and what it prints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack

from . import RESEARCH_USE
from .command import names_in
from .derived import KI67_THRESHOLD
from .errors import InputError

# Options of a study of a table; --counts does without any.
_OF_A_TABLE = (
    "outcome", "predictors", "report", "event", "map", "sheet", "only", "categorical", "reference", "per", "strata",
    "force", "enter_p", "missing_words", "ki67_threshold", "imputations",
)  # fmt: skip


def add_options(parser: argparse.ArgumentParser, count: Callable[[str], int]) -> None:
    """Options of the command; ``count`` reads whole numbers from zero."""
    add = parser.add_argument
    add("table", nargs="?", metavar="COHORT.csv", help="one row per patient or lesion; .csv or .xlsx")
    add("--outcome", metavar="COLUMN", help="column or derived variable whose associations are studied")
    add("--predictors", metavar="A,B,C", help="columns or derived variables")
    add("--report", metavar="HTML", help="where the report goes; its figures and tables beside it")
    add("--event", metavar="VALUE", help="value of the outcome that counts (default: positive, present, yes, 1)")
    add("--map", metavar="NAME=COLUMN,...", help="which column is what, where names differ: age=Alter,her2_ihc=IHC")
    add("--sheet", metavar="NAME", help="of an .xlsx file with several sheets")
    add("--only", action="append", metavar="COLUMN=A,B", help="study only rows with these values; may be repeated")
    add("--categorical", metavar="A,B", help="columns whose numbers are names of categories")
    add("--reference", metavar="NAME=VALUE,...", help="reference groups (default: the first in order)")
    add("--per", metavar="NAME=N,...", help="units that the odds ratio of a number is for: age=10")
    add("--strata", metavar="NAME", help="do the same within the values of this variable, and test for interaction")
    add("--force", metavar="A,B", help="predictors that enter the multivariable model whatever their p-value")
    add("--enter-p", type=float, metavar="P", help="others enter with a p-value below this (default 0.10)")
    add("--missing-words", metavar="A,B", help="further entries that stand for a missing value: 99,pending")
    add(
        "--ki67-threshold",
        type=float,
        metavar="N",
        help=f"percent from which Ki-67 is high (default {KI67_THRESHOLD:g})",
    )
    add("--imputations", type=count, metavar="N", help="of missing values (default 20, 0 for none)")
    add("--seed", type=count, default=0, metavar="N", help="of the imputation (default 0)")
    add("--counts", metavar="A,B,C,D", help="instead of a table: counts as a paper prints them, or 15/55,21/130")
    add("--printed", metavar="OR,LOW,HIGH", help="with --counts: odds ratio and 95%% interval as a paper prints them")
    add("--progress", default="bar", choices=("bar", "lines"), help="on the terminal, or lines for programs to read")


def run(options: argparse.Namespace, progress: Callable[..., AbstractContextManager]) -> bool:
    """Do what the options ask for and return whether all of it could be done.

    Parameters
    ----------
    options : argparse.Namespace
    progress : callable
        Called with the options, a title and a unit; gives a context that yields a callable ``(done, total)``.

    Raises
    ------
    InputError
    """
    if options.counts is not None or options.printed is not None:
        _counts(options)
        return True
    _check(options)
    return _study(options, progress)


def _check(options: argparse.Namespace) -> None:
    if not options.table:
        raise InputError("Name the table of the cohort, or give counts that a paper prints (--counts 15,40,21,109).")
    for name, what in (("outcome", "the outcome"), ("predictors", "the variables to study")):
        if not getattr(options, name):
            raise InputError(f"--{name} is missing: name {what}.")


def _counts(options: argparse.Namespace) -> None:
    """Describe counts as a paper prints them, and an odds ratio beside them."""
    from .contingency import describe_counts, describe_printed, parse_counts, parse_printed

    unused = [f"--{name.replace('_', '-')}" for name in _OF_A_TABLE if getattr(options, name) is not None]
    unused += [f"'{options.table}'"] if options.table else []
    if unused:
        raise InputError(f"{unused[0]} is for the study of a table, --counts and --printed need none: leave it out.")
    table = parse_counts(options.counts) if options.counts is not None else None
    printed = parse_printed(options.printed) if options.printed is not None else None
    if table is not None:
        print(describe_counts(table))
    if printed is not None:
        print(describe_printed(*printed, table))
    print(RESEARCH_USE)


def _study(options: argparse.Namespace, progress: Callable[..., AbstractContextManager]) -> bool:
    from .association import associate
    from .association_tables import study_text
    from .cohort import read_cohort

    cohort = read_cohort(
        options.table,
        options.sheet,
        _pairs(options.map, "map", "age=Alter"),
        names_in(options.missing_words),
        KI67_THRESHOLD if options.ki67_threshold is None else options.ki67_threshold,
    )
    with ExitStack() as shown:
        bars = []

        def moved(done: int, total: int) -> None:
            # Only where something is imputed is there a progress to show.
            if not bars:
                bars.append(shown.enter_context(progress(options, "Imputing", "data set")))
            bars[0](done, total)

        result = associate(cohort, _options(options), moved)
    print(study_text(result))
    for message in result.messages:
        print(f"Note: {message}")
    if options.report:
        from .report import write_association_report

        write_association_report(result, options.report)
        print(f"Report written to {options.report}, its figures and tables beside it.")
    print(RESEARCH_USE)
    for text in result.unfinished:
        print(f"her2nomogram: not done: {text}", file=sys.stderr)
    return not result.unfinished


def _options(options: argparse.Namespace):
    from .association import StudyOptions

    given = {
        "entry_p": options.enter_p,
        "imputations": options.imputations,
    }
    return StudyOptions(
        outcome=options.outcome,
        predictors=names_in(options.predictors),
        event=options.event,
        categorical=names_in(options.categorical),
        references=_pairs(options.reference, "reference", "histology=IDC"),
        per=_numbers(options.per),
        strata=options.strata,
        forced=names_in(options.force),
        only=_only(options.only or ()),
        random_state=options.seed,
        **{name: value for name, value in given.items() if value is not None},
    )


def _pairs(text: str | None, option: str, example: str) -> dict[str, str]:
    """Names and values of ``a=b,c=d``."""
    pairs = {}
    for part in names_in(text):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign or not name or not value:
            raise InputError(f"--{option}: '{part}' has no name and value: write it like {example}.")
        if name in pairs:
            raise InputError(f"--{option}: '{name}' stands there twice: leave one out.")
        pairs[name] = value
    return pairs


def _numbers(text: str | None) -> dict[str, float]:
    numbers = {}
    for name, value in _pairs(text, "per", "age=10").items():
        try:
            numbers[name] = float(value)
        except ValueError:
            numbers[name] = 0.0
        if not 0 < numbers[name] < float("inf"):
            raise InputError(f"--per: '{value}' of {name} is no number above 0: write it like age=10.")
    return numbers


def _only(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    chosen = {}
    for text in texts:
        name, sign, values = text.partition("=")
        if not sign or not name.strip() or not names_in(values):
            raise InputError(f"--only: '{text}' has no column and value: write it like her2_ihc=2+.")
        if name.strip() in chosen:
            raise InputError(f"--only: '{name.strip()}' stands there twice: separate its values by commas.")
        chosen[name.strip()] = names_in(values)
    return chosen
