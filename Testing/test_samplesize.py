"""Minimum sample size against published examples and the formulas written out."""

from __future__ import annotations

import math

import pytest

from HER2NomogramLib.samplesize import SampleSize, minimum_sample_size


def test_the_worked_example_of_the_authors():
    """Riley et al.: 24 coefficients, prevalence 0.174, Cox-Snell R squared 0.288; figures of pmsampsize."""
    found = minimum_sample_size(24, 0.174, 0.288)
    assert found == SampleSize(shrinkage=623, optimism=662, overall_risk=221, n=662, events=116)


def largest_r2(prevalence):
    """One less the squared likelihood of the prevalence alone, per case."""
    return 1 - (prevalence**prevalence * (1 - prevalence) ** (1 - prevalence)) ** 2


@pytest.mark.parametrize("coefficients", [1, 3, 12])
@pytest.mark.parametrize("prevalence", [0.05, 0.33, 0.5, 0.8])
def test_without_r_squared_15_percent_of_the_largest_is_assumed(coefficients, prevalence):
    found = minimum_sample_size(coefficients, prevalence)
    assert found == minimum_sample_size(coefficients, prevalence, 0.15 * largest_r2(prevalence))
    r2 = 0.15 * largest_r2(prevalence)
    # The expected shrinkage of that many cases is 0.9, and of one case fewer less.
    for n, enough in ((found.shrinkage, True), (found.shrinkage - 1, False)):
        assert (1 + coefficients / (n * math.log(1 - r2 / 0.9)) >= 0.9) == enough
    for n, enough in ((found.overall_risk, True), (found.overall_risk - 1, False)):
        assert (1.96 * math.sqrt(prevalence * (1 - prevalence) / n) <= 0.05) == enough
    assert found.n == max(found.shrinkage, found.optimism, found.overall_risk)
    assert found.events - 1 < found.n * prevalence <= found.events


def test_each_criterion_can_decide():
    assert minimum_sample_size(2, 0.4, 0.3).n == minimum_sample_size(2, 0.4, 0.3).overall_risk == 369
    weak, strong = minimum_sample_size(10, 0.3, 0.05), minimum_sample_size(30, 0.3, 0.5)
    assert weak.n == weak.shrinkage and strong.n == strong.optimism


def test_more_coefficients_need_more_cases_and_a_stronger_model_fewer():
    sizes = [minimum_sample_size(k, 0.3, 0.1).n for k in (5, 10, 20)]
    assert sizes == sorted(sizes) and len(set(sizes)) == 3
    assert minimum_sample_size(10, 0.3, 0.2).n < minimum_sample_size(10, 0.3, 0.1).n


@pytest.mark.parametrize(
    "arguments", [(0, 0.3), (3, 0.0), (3, 1.0), (3, -0.1), (3, 0.3, 0.0), (3, 0.3, 0.71), (3, 0.3, -0.2)]
)
def test_impossible_questions(arguments):
    with pytest.raises(ValueError):
        minimum_sample_size(*arguments)
