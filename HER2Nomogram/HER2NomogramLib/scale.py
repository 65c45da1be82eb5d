"""The points scale of a nomogram: how many points each predictor value is worth, and what the total means.

The predictor whose effect varies most over its training range or its levels spans 0 to 100 points; the others share
that unit, and each scale starts where the risk is lowest (Iasonos et al., J Clin Oncol 2008;26:1364).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from .errors import InputError
from .modelfile import LogisticModel, Predictor, expit

_PROBABILITIES = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)


class PointsScale:
    """Points of one logistic model.

    Parameters
    ----------
    logistic : LogisticModel
        With at least one coefficient that is not zero.

    Raises
    ------
    InputError
        Where all coefficients are zero.
    """

    def __init__(self, logistic: LogisticModel):
        self.logistic = logistic
        self._predictors = {p.name: p for p in logistic.predictors}
        effects = {p.name: [logistic.effect(p, value) for value in _extremes(p)] for p in logistic.predictors}
        self._lowest = {name: min(found) for name, found in effects.items()}
        self._spans = [max(found) - min(found) for found in effects.values()]
        self._unit = max(self._spans, default=0.0) / 100.0
        if self._unit == 0.0:
            raise InputError("The model has no predictor with an effect: there is no nomogram to draw, train it again.")
        self._base = logistic.intercept + math.fsum(self._lowest.values())

    def points(self, name: str, value: float) -> float:
        """Points of one predictor value; beyond the training range they continue below 0 or above the maximum."""
        # Adding zero turns the -0.0 of a negative coefficient into 0.0, which is what should be displayed.
        return (self.logistic.effect(self._predictors[name], value) - self._lowest[name]) / self._unit + 0.0

    def total(self, values: Mapping[str, float]) -> float:
        """Total points for predictor values by name."""
        return math.fsum(self.points(name, values[name]) for name in self._predictors)

    @property
    def max_total(self) -> float:
        """Total points where every predictor has the value or level of its training with the highest risk."""
        return math.fsum(self._spans) / self._unit

    def probability_of_total(self, total: float) -> float:
        """Probability that belongs to total points."""
        return expit(self._base + total * self._unit)

    def total_of_probability(self, probability: float) -> float:
        """Total points at which a probability, between 0 and 1, is reached."""
        return (math.log(probability) - math.log1p(-probability) - self._base) / self._unit

    def axis(self, name: str) -> list[tuple[float, float]]:
        """Ticks of one predictor's axis as (value, points) with ascending values.

        Of a number: inside the training range, its two ends included. Of a categorical factor: every level, whose
        points need not ascend.
        """
        predictor = self._predictors[name]
        values = _extremes(predictor) if predictor.levels else _ticks_with_ends(predictor)
        return [(value, self.points(name, value)) for value in values]

    def probability_axis(self) -> list[tuple[float, float]]:
        """Ticks of the probability axis as (probability, total points), within the attainable totals."""
        ticks = [(p, self.total_of_probability(p)) for p in _PROBABILITIES]
        return [(p, total) for p, total in ticks if 0 <= total <= self.max_total]


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` round numbers between ``low`` and ``high``, in steps of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def _extremes(predictor: Predictor) -> list[float]:
    """Values among which a predictor has its lowest and its highest risk: the ends of its range, or all levels."""
    if predictor.levels:
        return [float(index) for index in range(len(predictor.levels))]
    return [predictor.minimum, predictor.maximum]


def _ticks_with_ends(predictor: Predictor) -> list[float]:
    low, high = predictor.minimum, predictor.maximum
    inner = [tick for tick in nice_ticks(low, high) if low < tick < high]
    # A round tick right beside an end of the range would only print over it.
    near = 0.06 * (high - low)
    return [low, *(tick for tick in inner if tick - low > near and high - tick > near), high]
