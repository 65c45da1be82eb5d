"""How the report writes numbers: the same digits everywhere, intervals in words, p values never zero."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Protocol

import numpy as np

DASH = "–"
_MINUS = "\N{MINUS SIGN}"
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
# From here on a number is written with a power of ten: coefficients of classes that separate have such intervals.
_LARGE = 1e4
# What p-values are held against.
_LEVELS = (0.05, 0.1)
# Odds ratios below this, or above its reciprocal, are of data that separate: their digits say nothing.
_NARROW = 0.1
_SMALL_ODDS = 0.001
# What stands in quotes, an apostrophe inside a word included, as a path has it that is named after O'Brien.
_QUOTED = re.compile(r"(?<!\w)'((?:[^'\n]|'(?=\w))*)'(?!\w)")
# A path, or a file beside the case table, whose name may be that of the patient: it ends in a dot and few letters.
_PLACE = re.compile(r".*[/\\].*|.*\.[A-Za-z]\w{1,4}")


class WithInterval(Protocol):
    """A figure with its 95% interval: an ``Estimate`` or a ``Difference``."""

    value: float
    low: float
    high: float


def number(value: float | None, digits: int = 2) -> str:
    """A number with fixed decimals; a dash where there is none."""
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    if abs(value) >= _LARGE:
        return _power_of_ten(value)
    text = f"{value:.{digits}f}"
    # What rounds to zero has no sign.
    return text.lstrip("-") if float(text) == 0 else text.replace("-", _MINUS)


def significant(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits, for quantities whose size is not known beforehand."""
    if value is None or math.isnan(value) or math.isinf(value):
        return number(value)
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if not -4 <= exponent < 4:
        return _power_of_ten(value, digits - 1)
    return f"{value:.{max(digits - 1 - exponent, 0)}f}".replace("-", _MINUS)


def ratio(value: float) -> str:
    """An odds ratio: two decimals, or two significant digits where two decimals would say too little or too much."""
    if math.isnan(value) or 0.1 <= value < 10:
        return number(value)
    return number(value, 1) if 10 <= value < 100 else significant(value, 2)


def odds_ratio(value: float) -> str:
    """An odds ratio of a study: as :func:`ratio`, without the digits of what is practically zero or boundless."""
    if 0 < value < _SMALL_ODDS:
        return f"< {_SMALL_ODDS:g}"
    return f"> {1 / _SMALL_ODDS:g}" if 1 / _SMALL_ODDS < value < math.inf else ratio(value)


def odds_interval(odds: WithInterval) -> str:
    """``1.95 (0.91 to 4.14)``; with more decimals where the interval is narrow, as that of a number in small units."""
    width = odds.high - odds.low
    if not 0 < width < _NARROW or odds.low < _SMALL_ODDS:
        return interval(odds, write=odds_ratio)
    return interval(odds, min(1 - math.floor(math.log10(width)), 6))


def interval(estimate: WithInterval | None, digits: int = 2, write=number) -> str:
    """``0.83 (0.71 to 0.91)``; without the bracket where there is no interval."""
    if estimate is None or math.isnan(estimate.value):
        return DASH
    arguments = (digits,) if write is number else ()
    value = write(estimate.value, *arguments)
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return value
    return f"{value} ({write(estimate.low, *arguments)} to {write(estimate.high, *arguments)})"


def p_value(p: float | None) -> str:
    """``0.03``, with a third decimal below 0.01 and around 0.05, and never zero: ``< 0.001``."""
    if p is None or math.isnan(p):
        return DASH
    if p < 0.001:
        return "< 0.001"
    if p > 0.99:
        return "> 0.99"
    return f"{p:.3f}" if p < 0.01 or 0.045 <= p < 0.055 else f"{p:.2f}"


def p_exact(p: float | None) -> str:
    """``0.081``: a p value with three decimals, for tables of tests; never zero."""
    if p is None or math.isnan(p) or p < 0.001 or p > 0.99:
        return p_value(p)
    text = f"{p:.3f}"
    # Beside "p < 0.05" a 0.050 would contradict itself.
    return f"{p:.4f}" if float(text) in _LEVELS and p < float(text) else text


def p_phrase(p: float | None) -> str:
    """``p = 0.03`` or ``p < 0.001``."""
    text = p_value(p)
    if text == DASH:
        return "p not known"
    return f"p {text}" if text[0] in "<>" else f"p = {text}"


def share(count: int, total: int) -> str:
    """``23 (27%)``; the count alone where there is nothing to be a share of."""
    return f"{count} ({percent(count / total)})" if total else f"{count}"


def percent(fraction: float | None) -> str:
    """A share as a whole percentage."""
    return DASH if fraction is None or math.isnan(fraction) else f"{100 * fraction:.0f}%".replace("-", _MINUS)


def mean_sd(mean: float, sd: float, digits: int) -> str:
    """``53.2 (11.4)``; a dash where there is none."""
    return DASH if math.isnan(mean) else f"{number(mean, digits)} ({number(sd, digits)})"


def spread_digits(spread: float) -> int:
    """Decimals that figures of a variable deserve that varies so much."""
    if not 0 < spread < math.inf:
        return 1
    return 0 if spread >= 100 else min(max(1 - math.floor(math.log10(spread)), 1), 4)


def median_iqr(values: Iterable[float]) -> str:
    """``23 [18 to 31]``: median and quartiles of the values that there are."""
    known = np.asarray([value for value in values if not math.isnan(value)], dtype=float)
    if not len(known):
        return DASH
    low, middle, high = np.percentile(known, (25, 50, 75))
    digits = _decimals(known)
    return f"{number(middle, digits)} [{number(low, digits)} to {number(high, digits)}]"


def measured(value: float, digits: int = 3) -> str:
    """A measured value as people write it: so many significant digits, no zeros at the end."""
    return f"{value:.{digits}g}".replace("-", _MINUS) if 1e-4 <= abs(value) < _LARGE else significant(value, digits)


def span(low: float, high: float) -> str:
    """``0.07 to 0.094``, or one number where both are the same."""
    texts = measured(low), measured(high)
    return texts[0] if texts[0] == texts[1] else " to ".join(texts)


def counted(count: int, noun: str, plural: str = "") -> str:
    """``1 case``, ``12 cases``."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def times(count: int) -> str:
    """``once``, ``10 times``."""
    return "once" if count == 1 else f"{count} times"


def listed(names: Iterable[str], conjunction: str = "and") -> str:
    """``a, b and c``; with semicolons where a name has a comma itself."""
    names = list(names)
    if any("," in name for name in names) and len(names) > 1:
        return "; ".join(names)
    return f" {conjunction} ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def without_places(text: str, names: Iterable[str] = ()) -> str:
    """A message without file paths and without the identifiers given, as it may leave the machine.

    Parameters
    ----------
    text : str
    names : iterable of str
        Identifiers of cases and patients; they are taken out where they stand in quotes or after the word case or
        patient, because a bare ``12`` may be a number.
    """
    text = _QUOTED.sub(lambda found: "(file)" if _PLACE.fullmatch(found.group(1)) else found.group(), text)
    text = re.sub(r"(?<![\w.])(?:[A-Za-z]:\\|\\\\|~?/)[^\s'\",;()]*[\w/\\]", "(file)", text)
    known = sorted({name for name in names if name}, key=len, reverse=True)
    if not known:
        return text
    anyone = "|".join(map(re.escape, known))
    text = re.sub(rf"(['\"])(?:{anyone})\1", "(withheld)", text)
    return re.sub(rf"\b([Cc]ase|[Pp]atient) (?:{anyone})(?!\w)", r"\1 (withheld)", text)


def _decimals(values: np.ndarray) -> int:
    """Decimals that measured values deserve: none for whole numbers, more the narrower they lie."""
    width = float(np.ptp(values))
    if np.all(values == np.round(values)) and (width == 0 or width >= 10):
        return 0
    if width == 0:
        return next((digits for digits in range(4) if round(values[0], digits) == values[0]), 4)
    return min(max(1 - math.floor(math.log10(width)) + 1, 0), 4)


def _power_of_ten(value: float, digits: int = 1) -> str:
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}".replace("-", _MINUS)
