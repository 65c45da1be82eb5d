"""What a printed odds ratio and its 95% interval imply by themselves, without the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

from .errors import InputError
from .metrics import Z_95, two_sided_p


@dataclass(frozen=True)
class PrintedRatio:
    """A printed odds ratio with its 95% interval, and what these three numbers imply by themselves.

    All of it takes the interval for one that is symmetric on the log scale, as intervals of Woolf and Wald intervals
    of logistic models are; exact and profile-likelihood ones are not.

    Attributes
    ----------
    value, low, high : float
        As printed.
    rounding : tuple of float
        By how much each of them may have been rounded.
    standard_error, z, p : float
        Of the log odds ratio, from the bounds, and of no association.
    p_range : tuple of float
        Smallest and largest p that the rounding leaves.
    middle : float
        Geometric mean of the bounds, where the value ought to be.
    middle_range : tuple of float
        Smallest and largest that the rounding leaves.
    belongs : bool
        Whether the value is the middle of the interval, within the rounding.
    """

    value: float
    low: float
    high: float
    rounding: tuple[float, float, float]
    standard_error: float
    z: float
    p: float
    p_range: tuple[float, float]
    middle: float
    middle_range: tuple[float, float]
    belongs: bool

    def units_off(self, value: float, low: float, high: float) -> float:
        """By how many units of their last digits the printed numbers are off from these, at most; 0.5 is rounding."""
        pairs = zip((value, low, high), (self.value, self.low, self.high), self.rounding)
        return max(abs(computed - printed) / (2 * half) for computed, printed, half in pairs)

    def __str__(self) -> str:
        digits = [max(0, round(-math.log10(2 * half))) for half in self.rounding]
        value, low, high = (f"{x:.{d}f}" for x, d in zip((self.value, self.low, self.high), digits))
        return f"{value} ({low} to {high})"


def check_printed_ratio(value: float | str, low: float | str, high: float | str) -> PrintedRatio:
    """What a printed odds ratio and its 95% interval imply by themselves.

    Parameters
    ----------
    value, low, high : float or str
        A text is taken as rounded at its own last digit (``14.30`` at the second decimal), numbers all at the last
        digit of the longest of them.

    Raises
    ------
    InputError
        Where they are not above zero, or the value is outside of its interval.
    """
    texts = [entry if isinstance(entry, str) else repr(float(entry)) for entry in (value, low, high)]
    decimals = [len(text.partition(".")[2]) for text in texts]
    if not all(isinstance(entry, str) for entry in (value, low, high)):
        decimals = [max(decimals)] * 3
    halves = tuple(0.5 * 10.0**-digits for digits in decimals)
    value, low, high = (float(text) for text in texts)
    if not 0 < low <= value <= high < math.inf or low == high:
        raise InputError(
            f"--printed: {value:g} with the interval {low:g} to {high:g} is no odds ratio: all are above zero, and the "
            "value is within its interval."
        )
    return _implied((value, low, high), halves)


def _implied(printed: tuple[float, float, float], halves: tuple[float, ...]) -> PrintedRatio:
    """Standard error, z and p of the three printed numbers, and how far rounding may have moved them."""
    value, low, high = printed
    error = math.log(high / low) / (2 * Z_95)
    # What is printed as 0.01 may have been next to zero.
    ranges = [(max(x - half, 1e-12), x + half) for x, half in zip(printed, halves)]
    p = [two_sided_p(math.log(v), math.log(h / b) / (2 * Z_95)) for v, b, h in product(*ranges) if h > b]
    # Rounding may hide on which side of 1 the value is.
    largest = 1.0 if ranges[0][0] <= 1 <= ranges[0][1] else max(p)
    middles = tuple(math.sqrt(b * h) for b, h in zip(ranges[1], ranges[2]))
    return PrintedRatio(
        value=value,
        low=low,
        high=high,
        rounding=halves,
        standard_error=error,
        z=math.log(value) / error,
        p=two_sided_p(math.log(value), error),
        p_range=(min(p), largest),
        middle=math.sqrt(low * high),
        middle_range=middles,
        belongs=middles[0] <= ranges[0][1] and ranges[0][0] <= middles[1],
    )
