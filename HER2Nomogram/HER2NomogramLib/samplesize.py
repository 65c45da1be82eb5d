"""How many cases a logistic prediction model needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

_SHRINKAGE = 0.9
_NAGELKERKE_OPTIMISM = 0.05
_RISK_ERROR = 0.05
# What Riley et al. propose to assume where nothing is known: 15% of the largest possible Cox-Snell R squared.
_DEFAULT_SHARE = 0.15


@dataclass(frozen=True)
class SampleSize:
    """Least number of cases by each criterion, and the cases of the event that go with the largest.

    Attributes
    ----------
    shrinkage : int
        For a global shrinkage of at least 0.9.
    optimism : int
        For an optimism of Nagelkerke's R squared of at most 0.05.
    overall_risk : int
        For an estimate of the prevalence within 0.05.
    n, events : int
        The largest of the three, and how many events that means.
    """

    shrinkage: int
    optimism: int
    overall_risk: int
    n: int
    events: int


def minimum_sample_size(coefficients: int, prevalence: float, r2_cox_snell: float | None = None) -> SampleSize:
    """Minimum sample size for developing a logistic model (Riley et al., BMJ 2020;368:m441).

    Three of their four criteria, which are those of the authors' software pmsampsize. The fourth, for the mean error of
    the probabilities, asks for fewer cases than these wherever R squared is the default and there are up to 30
    coefficients.

    Parameters
    ----------
    coefficients : int
        Candidate coefficients, those that a selection leaves out included.
    prevalence : float
        Between 0 and 1.
    r2_cox_snell : float, optional
        Anticipated Cox-Snell R squared; default 15% of the largest that the prevalence allows.

    Raises
    ------
    ValueError
        Where there are no coefficients, or a share is not between 0 and 1.
    """
    if coefficients < 1 or not 0 < prevalence < 1:
        raise ValueError(f"{coefficients} coefficients at prevalence {prevalence}: give at least 1, and 0 to 1")
    entropy = prevalence * math.log(prevalence) + (1 - prevalence) * math.log(1 - prevalence)
    largest = 1 - math.exp(2 * entropy)
    r2 = _DEFAULT_SHARE * largest if r2_cox_snell is None else r2_cox_snell
    if not 0 < r2 < largest:
        raise ValueError(f"R squared {r2} is not between 0 and {largest}, the largest at this prevalence")

    def for_shrinkage(shrinkage: float) -> int:
        return math.ceil(coefficients / ((shrinkage - 1) * math.log(1 - r2 / shrinkage)))

    shrinkage = for_shrinkage(_SHRINKAGE)
    optimism = for_shrinkage(r2 / (r2 + _NAGELKERKE_OPTIMISM * largest))
    overall = math.ceil((1.96 / _RISK_ERROR) ** 2 * prevalence * (1 - prevalence))
    n = max(shrinkage, optimism, overall)
    return SampleSize(shrinkage, optimism, overall, n, math.ceil(n * prevalence))
