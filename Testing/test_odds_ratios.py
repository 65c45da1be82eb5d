"""Odds ratios against statsmodels, firthmodels, published fits and numbers worked out by hand."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2

from HER2NomogramLib.clinical import Factor
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.odds_ratios import PROFILE, WALD, fit_association, interaction_test, redundant
from HER2NomogramLib.variable import Variable


def number(name, values, per=1.0):
    return Variable(Factor(name), np.asarray(values, dtype=float), frozenset([name]), per=per)


def category(name, values, levels):
    return Variable(Factor(name, tuple(levels)), np.asarray(values, dtype=float), frozenset([name]))


def with_gaps(variable, rows):
    values = variable.values.copy()
    values[rows] = np.nan
    return replace(variable, values=values)


def cohort(seed=0, n=120):
    """Age, a category with three levels and one with two, and an outcome that depends on all of them."""
    rng = np.random.default_rng(seed)
    age, density, micro = rng.normal(55, 11, n), rng.integers(0, 3, n), rng.integers(0, 2, n)
    log_odds = 0.05 * (age - 55) + np.array([0.0, 0.7, -0.5])[density] + 0.8 * micro - 0.5
    y = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(int)
    return [number("age", age), category("density", density, "ABC"), category("micro", micro, ("no", "yes"))], y


def separated_cohort(seed=0, n=60):
    """The same, and no row of density C has the event."""
    variables, y = cohort(seed, n)
    return variables, np.where(variables[1].values == 2, 0, y)


def odds_ratios(model):
    return [term.odds_ratio for term in model.terms if term.odds_ratio is not None]


def stacked(variables):
    return np.hstack([variable.design() for variable in variables])


def two_by_two(yes_yes, yes_no, no_yes, no_no):
    """A predictor and an outcome with the given counts; the second word is the outcome."""
    exposed = np.repeat([1, 1, 0, 0], [yes_yes, yes_no, no_yes, no_no])
    return [category("micro", exposed, ("no", "yes"))], np.repeat([1, 0, 1, 0], [yes_yes, yes_no, no_yes, no_no])


@pytest.mark.parametrize("seed", range(4))
def test_maximum_likelihood_equals_statsmodels(seed):
    import statsmodels.api as sm

    variables, y = cohort(seed)
    model = fit_association(variables, y)
    reference = sm.Logit(y, sm.add_constant(stacked(variables))).fit(disp=0, tol=1e-12, maxiter=100)
    assert not model.firth
    np.testing.assert_allclose([model.intercept, *model.coefficients], reference.params, atol=1e-6)
    np.testing.assert_allclose(model.covariance, reference.cov_params(), atol=1e-6)
    found = odds_ratios(model)
    np.testing.assert_allclose([o.value for o in found], np.exp(reference.params[1:]), rtol=1e-6)
    np.testing.assert_allclose([(o.low, o.high) for o in found], np.exp(reference.conf_int()[1:]), rtol=1e-6)
    np.testing.assert_allclose([o.p for o in found], reference.pvalues[1:], atol=1e-6)
    assert {o.method for o in found} == {WALD}
    assert (model.overall.statistic, model.overall.df) == (pytest.approx(reference.llr, abs=1e-6), 4)
    assert model.overall.p == pytest.approx(reference.llr_pvalue, rel=1e-5)
    cox_snell = 1 - math.exp(2 / len(y) * (reference.llnull - reference.llf))
    assert model.nagelkerke == pytest.approx(cox_snell / (1 - math.exp(2 / len(y) * reference.llnull)))


def test_predictors_are_tested_by_the_likelihood_without_them():
    import statsmodels.api as sm

    variables, y = cohort()
    model = fit_association(variables, y)
    full = sm.Logit(y, sm.add_constant(stacked(variables))).fit(disp=0).llf
    assert list(model.tests) == ["age", "density", "micro"]
    for left_out, (name, test) in enumerate(model.tests.items()):
        others = [v for index, v in enumerate(variables) if index != left_out]
        statistic = 2 * (full - sm.Logit(y, sm.add_constant(stacked(others))).fit(disp=0).llf)
        assert test.statistic == pytest.approx(statistic, abs=1e-6), name
        assert test.df == variables[left_out].width
        assert test.p == pytest.approx(chi2.sf(statistic, test.df), abs=1e-7)


def test_the_published_low_birth_weight_fit(shared_data):
    folder = shared_data / "tab_birthwt"
    with (folder / "birthwt.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("age", "lwt", "race", "smoke", "ptl", "ht", "ui", "ftv")
    columns = {name: np.array([float(row[name]) for row in rows]) for name in names}
    variables = [category("race", v - 1, "123") if name == "race" else number(name, v) for name, v in columns.items()]
    model = fit_association(variables, np.array([int(row["low"]) for row in rows]))
    published = json.loads((folder / "expected.json").read_text())["coefficients"]
    np.testing.assert_allclose([model.intercept, *model.coefficients], list(published.values()), atol=1.01e-4)
    assert [(t.level, t.n, t.events) for t in model.terms if t.predictor == "race"] == [
        ("1", 96, 23),
        ("2", 26, 11),
        ("3", 67, 25),
    ]
    assert (model.n, model.events, model.events_per_coefficient) == (189, 59, 59 / 9)


def test_a_table_of_counts_gives_woolfs_interval():
    """The counts of the microcalcification study."""
    model = fit_association(*two_by_two(15, 21, 40, 109))
    reference, term = model.terms
    assert (reference.level, reference.n, reference.events, reference.odds_ratio) == ("no", 149, 40, None)
    assert (term.level, term.n, term.events) == ("yes", 36, 15)
    assert term.odds_ratio.value == pytest.approx(15 * 109 / (21 * 40))
    error = math.sqrt(1 / 15 + 1 / 21 + 1 / 40 + 1 / 109)
    assert term.odds_ratio.low == pytest.approx(1635 / 840 * math.exp(-1.959964 * error), rel=1e-6)
    assert (round(term.odds_ratio.low, 2), round(term.odds_ratio.high, 2)) == (0.91, 4.14)


def test_a_number_is_counted_in_its_units():
    variables, y = cohort()
    per_year, per_decade = (fit_association([replace(variables[0], per=per)], y) for per in (1.0, 10.0))
    assert odds_ratios(per_decade)[0].value == pytest.approx(odds_ratios(per_year)[0].value ** 10)
    assert odds_ratios(per_decade)[0].p == pytest.approx(odds_ratios(per_year)[0].p)
    assert (per_year.terms[0].level, per_year.terms[0].n, per_year.terms[0].events) == (None, 120, y.sum())


def test_rows_without_one_of_the_values_are_left_out():
    variables, y = cohort()
    gaps = [with_gaps(variables[0], [0, 1, 2]), with_gaps(variables[1], [2, 3]), variables[2]]
    kept = np.arange(len(y)) >= 4
    model, reference = fit_association(gaps, y), fit_association([v.rows(kept) for v in variables], y[kept])
    assert model.n == 116
    np.testing.assert_array_equal(model.coefficients, reference.coefficients)
    assert fit_association(gaps[2:], y).n == 120


def test_levels_that_no_complete_row_has_are_dropped():
    variables, y = cohort()
    age = with_gaps(variables[0], variables[1].values == 0)
    model = fit_association([age, variables[1]], y)
    assert [(term.level, term.odds_ratio is None) for term in model.terms[1:]] == [("B", True), ("C", False)]
    assert model.variables[1].levels == ("B", "C") and model.tests["density"].df == 1


def penalized(design, y, beta):
    log_odds = design @ beta
    p = 1 / (1 + np.exp(-log_odds))
    information = design.T @ (design * (p * (1 - p))[:, None])
    return (y * log_odds - np.logaddexp(0, log_odds)).sum() + 0.5 * np.linalg.slogdet(information)[1]


def largest_penalized(design, y, free):
    """Largest penalized likelihood with all but some coefficients zero; the penalty is that of the whole design."""

    def loss(part):
        beta = np.zeros(design.shape[1])
        beta[free] = part
        return -penalized(design, y, beta)

    return -minimize(loss, np.zeros(len(free)), method="BFGS", options={"gtol": 1e-8}).fun


@pytest.mark.parametrize("seed", range(4))
def test_separated_data_equal_firthmodels(seed):
    firthmodels = pytest.importorskip("firthmodels")
    variables, y = separated_cohort(seed)
    model = fit_association(variables, y)
    x = stacked(variables)
    x[:, 0] = (x[:, 0] - x[:, 0].mean()) / x[:, 0].std()
    reference = firthmodels.FirthLogisticRegression(gtol=1e-7, xtol=1e-7, max_iter=500).fit(x, y).lrt()
    bounds = reference.conf_int(method="pl", max_iter=500, tol=1e-8)[:-1]
    units = np.array([variables[0].values.std(), 1, 1, 1])
    assert model.firth
    found = odds_ratios(model)
    np.testing.assert_allclose(model.coefficients * units, reference.coef_, atol=1e-6)
    np.testing.assert_allclose([o.p for o in found], reference.lrt_pvalues_[:-1], atol=1e-6)
    logs = np.log([(o.low, o.high) for o in found]) * units[:, np.newaxis]
    np.testing.assert_allclose(logs, bounds, atol=1e-5)
    assert {o.method for o in found} == {PROFILE}


def test_firths_tests_keep_the_penalty_of_the_whole_model():
    variables, y = separated_cohort()
    model = fit_association(variables, y)
    x = stacked(variables)
    design = np.column_stack([np.ones(len(y)), (x - x.mean(axis=0)) / x.std(axis=0)])
    best = largest_penalized(design, y, [0, 1, 2, 3, 4])
    for test, free in [(model.tests["density"], [0, 1, 4]), (model.tests["age"], [0, 2, 3, 4]), (model.overall, [0])]:
        statistic = 2 * (best - largest_penalized(design, y, free))
        assert test.statistic == pytest.approx(statistic, abs=1e-5)
        assert test.p == pytest.approx(chi2.sf(statistic, 5 - len(free)), abs=1e-6)


def test_firths_odds_ratio_of_a_table_adds_one_half_to_every_count():
    for counts in [(6, 0, 20, 30), (0, 7, 20, 30), (5, 4, 3, 9)]:
        a, b, c, d = (count + 0.5 for count in counts)
        odds_ratio = odds_ratios(fit_association(*two_by_two(*counts), firth=True))[0]
        assert odds_ratio.value == pytest.approx(a * d / (b * c), rel=1e-6)
        assert odds_ratio.low < odds_ratio.value < odds_ratio.high < math.inf
        assert (odds_ratio.low > 1 or odds_ratio.high < 1) == (odds_ratio.p < 0.05)


@pytest.mark.parametrize("seed", range(60))
def test_separation_is_found_where_a_linear_program_finds_it(seed):
    firthmodels = pytest.importorskip("firthmodels")
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 70))
    variables = [number("age", rng.normal(55, 10, n)), category("density", rng.integers(0, 3, n), "ABC")]
    if seed % 2:
        rare = rng.random(n) < 0.12
        rare[:2] = True
        variables.append(category("rare", rare, ("no", "yes")))
    steepness = (0.02, 0.5, 3.0)[seed % 3]
    y = (rng.random(n) < 1 / (1 + np.exp(-steepness * (variables[0].values - 55)))).astype(int)
    y[:4] = [0, 1, 0, 1]
    model = fit_association(variables, y)
    assert model.firth == firthmodels.detect_separation(stacked(model.variables), y).separation


def test_completely_separated_data_have_intervals_that_reach_far_but_not_to_one():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 20)
    odds_ratio = odds_ratios(fit_association([number("ki67", 50 * y + rng.normal(20, 5, 40))], y))[0]
    assert 1 < odds_ratio.low < odds_ratio.value < odds_ratio.high and odds_ratio.p < 1e-6


def test_what_no_number_can_hold_is_infinite():
    y = np.repeat([0, 1], 20)
    odds_ratio = odds_ratios(fit_association([number("tiny", 1e-6 * (y + np.tile([0.1, 0.3], 20)))], y))[0]
    assert odds_ratio.value == odds_ratio.high == math.inf and not math.isnan(odds_ratio.low)


def test_firth_can_be_asked_for_and_refused():
    variables, y = cohort()
    assert fit_association(variables, y, firth=True).firth
    assert not fit_association(variables, y, firth=False).firth
    with pytest.raises(InputError, match="separate the outcome.*Firth"):
        fit_association(*separated_cohort(), firth=False)


def test_variance_inflation_equals_statsmodels():
    from statsmodels.stats.outliers_influence import variance_inflation_factor

    variables, y = cohort()
    size = number("size", variables[0].values + np.random.default_rng(1).normal(0, 6, len(y)))
    model = fit_association([*variables, size], y)
    design = np.column_stack([np.ones(len(y)), stacked([*variables, size])])
    for name, column in [("age", 1), ("micro", 4), ("size", 5)]:
        assert model.vif[name] == pytest.approx(variance_inflation_factor(design, column), rel=1e-9)
    assert model.vif["size"] > 2
    assert fit_association([size], y).vif == {"size": pytest.approx(1)}


def test_variance_inflation_of_a_category_is_that_of_its_canonical_correlations():
    """Fox and Monette's product of 1 / (1 - r squared), which does not depend on the reference level."""
    variables, y = cohort(n=200)
    rng = np.random.default_rng(2)
    tied = number("tied", variables[1].values + rng.normal(0, 0.7, len(y)))
    bases = [np.linalg.qr(m - m.mean(axis=0))[0] for m in (variables[1].design(), tied.design())]
    correlations = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    generalized = np.prod(1 / (1 - correlations**2))
    model = fit_association([variables[1], tied], y)
    assert model.vif["density"] == pytest.approx(math.sqrt(generalized), rel=1e-9)
    assert model.vif["tied"] == pytest.approx(generalized, rel=1e-9)
    turned = category("density", (variables[1].values + 1) % 3, "CAB")
    assert fit_association([turned, tied], y).vif["density"] == pytest.approx(model.vif["density"], rel=1e-9)


def subtypes(n=90):
    """Immunophenotype, the HER2 status that it determines, and age."""
    rng = np.random.default_rng(5)
    subtype = rng.integers(0, 5, n)
    her2 = np.isin(subtype, (2, 3))
    return (
        category("subtype", subtype, ("A", "B-", "B+", "HER2", "TN")),
        category("her2", her2, ("negative", "positive")),
        number("age", rng.normal(55, 10, n)),
        (rng.random(n) < 0.4).astype(int),
    )


def test_what_other_variables_determine_is_redundant():
    subtype, her2, age, y = subtypes()
    assert redundant([subtype, age, her2], y) == {"her2": "is determined by 'subtype'"}
    assert redundant([her2, age, subtype], y) == {"subtype": "says in part the same as 'her2'"}
    assert redundant([age, her2], y) == {}
    months = number("months", age.values * 12 + 5)
    assert list(redundant([age, months, her2, subtype], y)) == ["months", "subtype"]
    nearly = number("nearly", age.values + 1e-3 * np.random.default_rng(0).normal(size=len(y)))
    assert redundant([age, nearly], y) == {}
    assert redundant([], y) == {}
    with pytest.raises(InputError, match="^'her2' is determined by 'subtype': leave one of them out.$"):
        fit_association([age, subtype, her2], y)
    with pytest.raises(InputError, match="^'subtype' says in part the same as 'her2': leave"):
        fit_association([her2, subtype], y)


def test_redundancy_is_judged_in_the_rows_that_the_model_will_have():
    """HER2 is the subtype's only where the third variable is known; one that is constant goes, so HER2 may stay."""
    subtype, her2, age, y = subtypes()
    off = her2.values.copy()
    off[:10] = 1 - off[:10]
    loose = replace(her2, values=off)
    known_late = with_gaps(age, slice(0, 10))
    assert redundant([subtype, loose], y) == {}
    why = {"her2": "is determined by 'subtype' in the 80 rows that have all predictors"}
    assert redundant([subtype, loose, known_late], y) == why
    same = replace(known_late, factor=Factor("constant"), values=known_late.values * 0)
    assert redundant([same, subtype, loose], y) == {"constant": "has one value only"}
    assert redundant([subtype, same, loose], y) == {"constant": "has one value only in the rows that have the others"}


def test_variables_without_rows_in_common_do_not_determine_each_other():
    """Two measurements of different rows: the first stays, and complete ones are not judged by the few rows."""
    _, her2, age, y = subtypes()
    rng = np.random.default_rng(3)
    x, w = (number(name, rng.normal(size=len(y))) for name in "xw")
    early, apart = with_gaps(x, slice(40, None)), with_gaps(w, slice(0, 40))
    assert redundant([early, apart], y) == {"w": "has no value in the rows that have the others"}
    assert redundant([apart, early], y) == {"x": "has no value in the rows that have the others"}
    for common, why in (
        (1, "has one value only in the rows that have the others"),
        (3, "has only 3 rows in common with the others, too few to tell them apart"),
    ):
        apart = with_gaps(w, slice(0, 40 - common))
        assert redundant([age, early, apart, her2], y) == {"w": why}
    assert redundant([age, early, with_gaps(w, slice(0, 30))], y) == {}
    nowhere = with_gaps(w, slice(None))
    assert redundant([nowhere, age], y) == {"w": "has no value"}
    # Marked where HER2 is positive only: HER2 could not stay beside it.
    marker = with_gaps(w, her2.values == 0)
    assert redundant([her2, marker], y) == {
        "w": "has too few rows in common with the others: 'her2' has one value only in them"
    }
    with pytest.raises(InputError, match="'z' has only 4 rows in common with the others"):
        rows = np.array([*np.flatnonzero(y == 1)[:2], *np.flatnonzero(y == 0)[:2]])
        fit_association([variable.rows(rows) for variable in (age, x, w, number("z", x.values**2))], y[rows])


def test_what_determines_is_looked_for_where_it_shows():
    """In few common rows everything is a linear combination; HER2 is the subtype's in all of theirs."""
    subtype, her2, age, y = subtypes()
    few = with_gaps(age, slice(6, None))
    assert redundant([few, subtype, her2], y)["her2"] == "is determined by 'subtype'"
    # A line through three points could be chance.
    months = number("months", age.values * 12)
    assert redundant([age.rows(slice(0, 3)), months.rows(slice(0, 3))], y[:3]) == {
        "months": "has only 3 rows in common with the others, too few to tell them apart"
    }
    why = {"months": "is determined by 'age'"}
    assert redundant([age.rows(slice(0, 4)), months.rows(slice(0, 4))], y[:4]) == why
    # Of the two that make it up, and not of the one that does not.
    other = number("other", np.random.default_rng(1).normal(size=len(y)))
    both = number("both", age.values + 2 * other.values)
    assert redundant([age, her2, other, both], y) == {"both": "is determined by 'age', 'other'"}


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e8])
def test_redundancy_does_not_depend_on_units(unit):
    _, _, age, y = subtypes()
    other = number("other", unit * np.random.default_rng(1).normal(1, 0.1, len(y)))
    both = number("both", age.values / 10 + other.values / unit)
    assert redundant([age, other, both], y) == {"both": "is determined by 'age', 'other'"}


def test_refusals_name_the_variables():
    variables, y = cohort()
    single = np.zeros(len(y), dtype=int)
    single[0] = 1
    with pytest.raises(InputError, match="'age', 'density'.*1 of them with the event.*at least 2"):
        fit_association(variables[:2], single)
    gaps = with_gaps(variables[0], variables[2].values == 1)
    with pytest.raises(InputError, match=r"'micro' has one value only \('no'\).*leave it out"):
        fit_association([gaps, variables[2]], y)
    for values in (variables[0].values[:-1], variables[0].values):
        with pytest.raises(ValueError, match="must"):
            fit_association([number("age", values)], y * 2)


@pytest.mark.parametrize("by", ["density", "micro"])
def test_interaction_equals_statsmodels(by):
    import pandas as pd
    import statsmodels.formula.api as smf

    variables, y = cohort(3, 200)
    data = pd.DataFrame({v.name: v.values for v in variables} | {"y": y})
    plain, product = (
        smf.logit(f"y ~ age + C(density) + micro{more}", data).fit(disp=0)
        for more in ("", f" + age:{'C(density)' if by == 'density' else 'micro'}")
    )
    by_variable = next(v for v in variables if v.name == by)
    test = interaction_test(variables, by_variable, "age", y)
    assert test.df == by_variable.width
    assert test.statistic == pytest.approx(2 * (product.llf - plain.llf), abs=1e-6)
    others = [v for v in variables if v is not by_variable]
    assert interaction_test(others, by_variable, "age", y).statistic == pytest.approx(test.statistic)


def test_interaction_of_rows_that_nobody_has():
    variables, y = cohort(3, 200)
    density, micro = variables[1:]
    # Nobody with density C has microcalcifications: one of two products is left.
    some = category("micro", np.where(density.values == 2, 0, micro.values), ("no", "yes"))
    assert interaction_test([density], some, "density", y).df == 1
    some = category("micro", np.where(density.values > 0, 0, micro.values), ("no", "yes"))
    test = interaction_test([density], some, "density", y)
    assert test.df == 0 and math.isnan(test.p)
    with pytest.raises(ValueError, match="'micro'"):
        interaction_test(variables, some, "micro", y)


def test_interaction_that_separates_is_penalized():
    variables, y = cohort(3, 80)
    density, micro = variables[1:]
    y = np.where((density.values == 1) & (micro.values == 1), 1, y)
    assert not fit_association([density, micro], y).firth
    test = interaction_test([density], micro, "density", y)
    x = stacked([density, micro])
    design = np.column_stack([np.ones(len(y)), x, x[:, :2] * x[:, 2:]])
    statistic = 2 * (largest_penalized(design, y, list(range(6))) - largest_penalized(design, y, [0, 1, 2, 3]))
    assert (test.df, test.statistic) == (2, pytest.approx(statistic, abs=1e-5))
