"""Clinical factors: what sort each column of the case table is, and how its entries become numbers.

Which levels a categorical factor has is read from the training cases; what stands for a missing entry is learned by the
pipeline inside every fold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .cases import is_blank
from .errors import InputError
from .modelfile import CLINICAL, Predictor
from .prediction import TUMOR_DIAMETER

# Levels of binary factors that tables write in words, in the order 0, 1.
KNOWN_LEVELS = (("absent", "present"), ("no", "yes"), ("negative", "positive"))
# Numbers from here on are no measurements; their squares would not be finite.
LARGEST = 1e100
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_WITH_UNIT = re.compile(r"[+-]?\d+([.,]\d+)?\s*(mm|cm|%|y|yrs?|years?|months?|kg)", re.IGNORECASE)
# A column with more different texts than this is free text, not a category.
MAXIMUM_LEVELS = 8
_LABELS = {
    TUMOR_DIAMETER: ("Tumor diameter", "mm"),
    "age": ("Age", "years"),
    "ki67": ("Ki-67", "%"),
    "er": ("ER", ""),
    "pr": ("PR", ""),
}


@dataclass(frozen=True)
class Factor:
    """One clinical factor.

    Attributes
    ----------
    name : str
        Column of the case table.
    levels : tuple of str
        Empty for a numeric factor. Else the categories, the first of them the reference; a value is the index of one.
    label, unit : str
        For display.
    """

    name: str
    levels: tuple[str, ...] = ()
    label: str = ""
    unit: str = ""

    @property
    def width(self) -> int:
        """Columns that the factor takes in a design matrix."""
        return max(len(self.levels) - 1, 1)

    def parse(self, text: str | None) -> float:
        """Value of a table entry: the number, or the index of the level; NaN where it is blank.

        Raises
        ------
        InputError
            Where the entry is neither a number nor a level.
        """
        if is_blank(text):
            return math.nan
        # By the rule of the model file, so that an entry means the same in training and afterwards. What has a unit is
        # not negative, and a length is not zero.
        low = 0.0 if self.levels else {"": -math.inf, "mm": math.ulp(0.0)}.get(self.unit, 0.0)
        return Predictor(self.name, CLINICAL, self.label, self.unit, low, math.inf, self.levels).parse(text)


def describe_factor(name: str, texts: Mapping[str, str], categorical: bool = False) -> Factor:
    """Find out what sort of factor a column is.

    A column of numbers is numeric unless it is declared categorical. 0 and 1, and the pairs absent/present, no/yes and
    negative/positive, are binary. Other texts are categories in alphabetical order.

    Parameters
    ----------
    name : str
    texts : mapping of str to str
        Entries of the training cases, by case.
    categorical : bool
        Whether the user declares numbers to be names of categories.

    Raises
    ------
    InputError
        Where no case has an entry or all have the same, the column is free text, it mixes numbers and text, or a
        number cannot be.
    """
    given = {case_id: text.strip() for case_id, text in texts.items() if not is_blank(text)}
    words = [text for text in given.values() if not is_number(text)]
    if not categorical:
        _check_numbers(name, given, words)
    levels = _spelled(given.values())
    _check_entries(name, texts, levels, words)
    label, unit = _LABELS.get(name, (name.replace("_", " ").capitalize(), ""))
    if levels == ("0", "1") and not unit:
        return Factor(name, levels, label)
    if not words and not categorical:
        return _numeric(name, label, unit, given)
    if len(words) < len(given) and not categorical:
        case_id, text = next((case_id, text) for case_id, text in given.items() if not is_number(text))
        raise InputError(
            f"Clinical factor '{name}', case '{case_id}': '{text}' is no number, but others are: give plain numbers, "
            f"leave the cell blank where it is unknown, or declare the column a category (--categorical {name})."
        )
    for pair in KNOWN_LEVELS:
        if {level.lower() for level in levels} == set(pair):
            return Factor(name, pair, label)
    if len(levels) > MAXIMUM_LEVELS:
        raise InputError(
            f"Clinical factor '{name}' has {len(levels)} different entries, more than {MAXIMUM_LEVELS}: that is no "
            "category. Group it into fewer categories or leave it out."
        )
    return Factor(name, levels, label)


def _check_numbers(name: str, given: Mapping[str, str], words: Sequence[str]) -> None:
    """Refuse entries that were meant as numbers but are none, though every case may have such a one."""
    for case_id, text in given.items():
        if text.startswith("#"):
            why = "is an error of the spreadsheet: correct it, or leave the cell blank where it is unknown"
        elif _DECIMAL_COMMA.fullmatch(text):
            why = "is no number: use a decimal point"
        elif _WITH_UNIT.fullmatch(text):
            why = (
                f"is no number: give it without the unit, or declare the column a category (--categorical {name})"
                if len(words) < len(given)
                else "is no number: give it without the unit"
            )
        else:
            continue
        raise InputError(f"Clinical factor '{name}', case '{case_id}': '{text}' {why}.")


def _numeric(name: str, label: str, unit: str, given: Mapping[str, str]) -> Factor:
    factor = Factor(name, (), label, unit)
    for case_id, text in given.items():
        try:
            factor.parse(text)
        except InputError as error:
            raise InputError(f"Case '{case_id}': {error}") from None
    return factor


def _check_entries(name: str, texts: Mapping[str, str], levels: Sequence[str], words: Sequence[str]) -> None:
    """Refuse a column that says nothing, or that uses a word for a category that reads as a missing entry."""
    if not levels:
        raise InputError(
            f"Clinical factor '{name}' has no value in any training case: fill in the column or leave the factor out."
        )
    none = [case_id for case_id, text in texts.items() if text.strip().lower() == "none"]
    if words and none:
        raise InputError(
            f"Clinical factor '{name}', case '{none[0]}': '{texts[none[0]].strip()}' reads as a missing entry: write "
            "another word for this category, or leave the entry blank."
        )
    if len(levels) == 1:
        raise InputError(
            f"Clinical factor '{name}' has the same value in all training cases ('{levels[0]}'): leave it out."
        )


def is_number(text: str) -> bool:
    """Whether a text is a number that can be computed with."""
    try:
        return abs(float(text)) < LARGEST
    except ValueError:
        return False


class ClinicalEncoder(TransformerMixin, BaseEstimator):
    """Clinical factors as columns of a design matrix, missing entries filled in.

    A missing number becomes the median of the cases that the encoder was fitted to, a missing category their most
    frequent one. A categorical factor takes one column of 0 and 1 for every level but the first.

    Parameters
    ----------
    factors : sequence of Factor
        Of the columns of X, in their order.

    Attributes
    ----------
    fills_ : np.ndarray, shape (n_factors,)
    """

    def __init__(self, factors: Sequence[Factor] = ()):
        self.factors = factors

    def fit(self, X, y=None) -> ClinicalEncoder:  # noqa: N803 - scikit-learn's name
        """Learn what stands for missing entries; ``X`` is of shape (n_cases, n_factors), NaN where one is missing.

        Raises
        ------
        ValueError
            Where a factor has no value at all.
        """
        X = np.asarray(X, dtype=float)
        fills = []
        for index, factor in enumerate(self.factors):
            known = X[~np.isnan(X[:, index]), index]
            if not len(known):
                raise ValueError(f"clinical factor '{factor.name}' has no value in these cases")
            counts = np.bincount(known.astype(int)) if factor.levels else None
            fills.append(float(np.median(known)) if counts is None else float(np.argmax(counts)))
        self.fills_ = np.array(fills)
        return self

    def transform(self, X) -> np.ndarray:  # noqa: N803
        """Design columns of the factors, shape (n_cases, sum of their widths)."""
        check_is_fitted(self)
        X = np.asarray(X, dtype=float)
        columns = [np.empty((len(X), 0))]
        for index, factor in enumerate(self.factors):
            values = np.where(np.isnan(X[:, index]), self.fills_[index], X[:, index])
            levels = np.arange(1, factor.width + 1)
            columns.append(values[:, np.newaxis] == levels if factor.levels else values[:, np.newaxis])
        return np.hstack(columns).astype(float)


def _spelled(texts: Iterable[str]) -> tuple[str, ...]:
    """Different entries in the order of numbers and the alphabet, each as it is written first, 2.0 as 2."""
    spellings: dict[str, str] = {}
    for text in texts:
        level = repr(float(text)).removesuffix(".0") if is_number(text) else text
        spellings.setdefault(level.lower(), level)
    return tuple(spellings[key] for key in sorted(spellings, key=_order))


def _order(text: str) -> tuple[bool, float, str]:
    return (False, float(text), "") if is_number(text) else (True, 0.0, text)
