"""Imputations against simulation and scikit-learn, Rubin's rules against statsmodels and numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import chi2, norm
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from HER2NomogramLib import imputation
from HER2NomogramLib.clinical import Factor
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.imputation import COMBINED_PROFILES, RUBIN, fit_imputed, impute, pool
from HER2NomogramLib.odds_ratios import AssociationModel, Term, fit_association
from HER2NomogramLib.variable import Variable


def number(name, values, **more):
    return Variable(Factor(name), np.asarray(values, dtype=float), frozenset([name]), **more)


def category(name, values, levels):
    return Variable(Factor(name, tuple(levels)), np.asarray(values, dtype=float), frozenset([name]))


def with_gaps(variable, rows):
    values = variable.values.copy()
    values[rows] = np.nan
    return replace(variable, values=values)


def cohort(seed=0, n=90, missing=0.15):
    """Variables of all sorts, one of them complete, and an outcome."""
    rng = np.random.default_rng(seed)
    age, micro = rng.normal(55, 11, n), rng.integers(0, 2, n)
    variables = [
        number("ki67", np.round(rng.gamma(2, 10, n) + 5 * micro)),
        category("micro", micro, ("absent", "present")),
        category("density", rng.integers(0, 4, n), "ABCD"),
    ]
    y = (rng.random(n) < expit(0.05 * (age - 55) + 0.8 * micro)).astype(int)
    return [number("age", age), *(with_gaps(v, rng.random(n) < missing) for v in variables)], y


def test_complete_data_are_one_data_set_as_it_is():
    variables, y = cohort(missing=0)
    (completed,) = impute(variables, y)
    assert all(a is b for a, b in zip(completed, variables, strict=True))


def test_completed_variables_are_the_given_ones_with_their_gaps_filled():
    variables, y = cohort()
    reason = {int(np.flatnonzero(~variables[1].known)[0]): "not done"}
    variables[1] = replace(variables[1], per=10.0, rule="as counted", why_missing=reason)
    completed = impute(variables, y, n_imputations=3, n_iterations=2)
    assert len(completed) == 3
    for data_set in completed:
        for given, full in zip(variables, data_set, strict=True):
            assert full.known.all() and not full.why_missing
            for kept in ("factor", "sources", "per", "rule"):
                assert getattr(full, kept) == getattr(given, kept)
            np.testing.assert_array_equal(full.values[given.known], given.values[given.known])
            assert set(full.values) <= set(given.values[given.known])


def values_of(completed, name):
    return np.array([next(v.values for v in data_set if v.name == name) for data_set in completed])


def test_the_seed_decides_and_the_order_does_not():
    variables, y = cohort()
    first, again = (impute(variables, y, 3, 2, random_state=7) for _ in range(2))
    turned, other = impute(variables[::-1], y, 3, 2, random_state=7), impute(variables, y, 3, 2, random_state=8)
    more = impute(variables, y, 4, 2, random_state=7)
    for name in ("ki67", "micro", "density"):
        np.testing.assert_array_equal(values_of(first, name), values_of(again, name))
        np.testing.assert_array_equal(values_of(first, name), values_of(turned, name))
        np.testing.assert_array_equal(values_of(first, name), values_of(more, name)[:3])
        assert (values_of(first, name) != values_of(other, name)).any()
    assert [v.name for v in turned[0]] == [v.name for v in variables[::-1]]
    assert (values_of(first, "ki67")[0] != values_of(first, "ki67")[1]).any()


def test_progress_is_told():
    told = []
    impute(*cohort(), n_imputations=3, n_iterations=1, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("sort", ["number", "binary", "multinomial"])
def test_imputations_follow_what_is_known(sort):
    """A variable that another one and the outcome nearly determine is imputed nearly as it was."""
    rng = np.random.default_rng(3)
    n = 300
    y, other = rng.integers(0, 2, n), rng.normal(size=n)
    truth = 3 * other + 4 * y
    if sort != "number":
        truth = np.digitize(truth, [2.0] if sort == "binary" else [0.0, 4.0]).astype(float)
    missing = rng.random(n) < 0.3
    whole = number("x", truth) if sort == "number" else category("x", truth, "abc"[: int(truth.max()) + 1])
    completed = values_of(impute([with_gaps(whole, missing), number("other", other)], y, 4), "x")[:, missing]
    if sort == "number":
        assert np.abs(completed - truth[missing]).mean() < 0.4 < np.abs(rng.permutation(truth) - truth).mean() / 2
    else:
        assert (completed == truth[missing]).mean() > 0.8 > (rng.permutation(truth) == truth).mean() + 0.2


def test_numbers_that_are_missing_alike_come_from_several_rows():
    y = np.tile([0, 1], 40)
    values = np.arange(80.0)
    completed = values_of(impute([with_gaps(number("x", values), [0]), number("z", y * 0.0)], y, 40), "x")[:, 0]
    # Nothing but the outcome tells the value, and rows of the same outcome are alike.
    assert len(set(completed)) > 10 and not (completed % 2).any()


@pytest.mark.parametrize("n_levels, ridge", [(2, 0.1), (2, 5.0), (4, 1e-6)])
def test_logistic_models_of_categories_equal_scikit_learn(n_levels, ridge, monkeypatch):
    """With a reference level the multinomial ridge is not quite theirs; without a ridge it is the same model."""
    from sklearn.linear_model import LogisticRegression

    monkeypatch.setattr(imputation, "_CATEGORY_RIDGE", ridge)
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(150), rng.normal(size=(150, 3))])
    index = np.argmax(x @ rng.normal(size=(4, n_levels)) + rng.gumbel(size=(150, n_levels)), axis=1)
    beta = imputation._logistic_coefficients(x, index, n_levels)
    reference = LogisticRegression(C=1 / ridge, tol=1e-9, max_iter=5000).fit(x[:, 1:], index)
    expected = np.column_stack([reference.intercept_, reference.coef_])
    np.testing.assert_allclose(beta.T, expected if n_levels == 2 else expected[1:] - expected[0], atol=1e-3)


def test_categories_that_separate_and_variables_that_determine_others_are_imputed():
    rng = np.random.default_rng(1)
    n = 60
    y, subtype = rng.integers(0, 2, n), rng.integers(0, 5, n)
    her2 = category("her2", np.isin(subtype, (2, 3)), ("negative", "positive"))
    certain = category("certain", y, ("no", "yes"))
    rare = category("rare", np.arange(n) == 59, ("no", "yes"))
    variables = [
        with_gaps(category("subtype", subtype, "abcde"), slice(0, 10)),
        with_gaps(her2, slice(10, 20)),
        with_gaps(certain, slice(20, 30)),
        with_gaps(rare, slice(30, 40)),
        with_gaps(number("same", np.full(n, 3.0)), slice(5, 15)),
    ]
    with np.errstate(all="raise", under="ignore"):
        completed = impute(variables, y, 5)
    assert (values_of(completed, "her2")[:, 10:20] == her2.values[10:20]).mean() > 0.9
    assert (values_of(completed, "certain") == y).mean() > 0.95
    assert (values_of(completed, "same") == 3).all()


def test_what_cannot_be_imputed_is_refused():
    variables, y = cohort()
    with pytest.raises(InputError, match="'ki67' has no value in any row"):
        impute([variables[0], with_gaps(variables[1], slice(None))], y)
    for bad in ([variables[0], variables[0]], [variables[0].rows(slice(0, 5))]):
        with pytest.raises(ValueError):
            impute(bad, y)
    with pytest.raises(ValueError, match="at least 2"):
        impute(variables, y, 1)


def model_of(estimates, variances, n=50, covariance=0.0):
    """As much of a model as pooling reads, with one number per coefficient."""
    k = len(estimates)
    matrix = np.full((k + 1, k + 1), covariance)
    matrix[np.diag_indices(k + 1)] = [1.0, *variances]
    known = dict.fromkeys(AssociationModel.__dataclass_fields__) | {"n": n, "events": 20, "firth": False}
    terms = [Term("race", "1", 20, 5, None), *(Term("race", str(i + 2), 15, 7, SimpleNamespace()) for i in range(k))]
    return AssociationModel(
        **known | {"terms": tuple(terms), "coefficients": np.array(estimates), "covariance": matrix}
    )


def test_rubins_rules_by_hand():
    """Three estimates 1, 2, 3 with variance 2: within 2, between 1, total 2 + 4/3, lost share 0.4."""
    pooled = pool([model_of([value], [2.0]) for value in (1.0, 2.0, 3.0)])
    odds_ratio = pooled.terms[1].odds_ratio
    old, complete = 2 / 0.4**2, 48
    observed = 49 / 51 * complete * 0.6
    df = old * observed / (old + observed)
    error = math.sqrt(10 / 3)
    assert odds_ratio.value == pytest.approx(math.exp(2))
    assert odds_ratio.low == pytest.approx(math.exp(2 - t_distribution.ppf(0.975, df) * error))
    assert odds_ratio.high == pytest.approx(math.exp(2 + t_distribution.ppf(0.975, df) * error))
    assert odds_ratio.p == pytest.approx(2 * t_distribution.sf(2 / error, df))
    increase = (4 / 3) / 2
    assert pooled.fraction_missing["race: 2"] == pytest.approx((increase + 2 / (df + 3)) / (increase + 1))
    test = pooled.tests["race"]
    assert (test.statistic, test.df1, test.df2) == (pytest.approx(4 * 3 / 10), 1, pytest.approx(df))
    assert test.p == pytest.approx(odds_ratio.p)


def test_a_predictor_with_several_coefficients_by_hand():
    """Within-variance diag(1, 2), between-variance diag(1, 4) of coefficients whose means are 2 and 4."""
    models = [model_of([2 + a, 4 + 2 * a], [1.0, 2.0]) for a in (-1.0, 0.0, 1.0)]
    test = pool(models).tests["race"]
    increase = (4 / 3) * (1 / 1 + 4 / 2) / 2
    statistic = (4 / 1 + 16 / 2) / (2 * (1 + increase))
    draws = 2 * 2
    df = draws * (1 + 1 / 2) * (1 + 1 / increase) ** 2 / 2
    assert (test.statistic, test.df1, test.df2) == (pytest.approx(statistic), 2, pytest.approx(df))
    assert test.p == pytest.approx(f_distribution.sf(statistic, 2, df))
    five = pool([*models, *models[:2]]).tests["race"]
    between = np.var([-1, 0, 1, -1, 0], ddof=1)
    increase = 1.2 * between * 3 / 2
    assert five.df2 == pytest.approx(4 + (8 - 4) * (1 + (1 - 2 / 8) / increase) ** 2)


def test_pooling_equals_statsmodels():
    from statsmodels.imputation.mice import MICE

    variables, y = cohort()
    models = [fit_association(data_set, y) for data_set in impute(variables, y, 6, 2)]
    pooled = pool(models)
    chain = MICE.__new__(MICE)
    chain.exog_names = chain.endog_names = chain.model_class = None
    chain.results_list = [
        SimpleNamespace(
            _results=SimpleNamespace(params=m.coefficients, cov_params=lambda m=m: m.covariance[1:, 1:]), scale=1.0
        )
        for m in models
    ]
    reference = chain.combine()
    found = [term.odds_ratio for term in pooled.terms if term.odds_ratio is not None]
    np.testing.assert_allclose(np.log([o.value for o in found]), reference.params)
    # Its intervals are normal ones; ours have the same standard error, and the t value of their p.
    squared = [(math.log(o.value) / t_distribution.isf(o.p / 2, df)) ** 2 for o, df in zip(found, degrees(models))]
    np.testing.assert_allclose(squared, np.diag(reference.cov_params()), rtol=1e-6)
    fractions = np.array(list(pooled.fraction_missing.values()))
    assert (fractions > reference.frac_miss_info).all()
    assert (fractions < reference.frac_miss_info + 0.08).all()


def degrees(models):
    """Barnard and Rubin's degrees of freedom of every coefficient."""
    m, complete = len(models), models[0].n - len(models[0].coefficients) - 1
    between = (1 + 1 / m) * np.var([model.coefficients for model in models], axis=0, ddof=1)
    share = between / (between + np.mean([np.diag(model.covariance)[1:] for model in models], axis=0))
    with np.errstate(divide="ignore"):
        old = (m - 1) / share**2
    return 1 / (1 / old + (complete + 3) / (complete + 1) / complete / (1 - share))


def test_one_model_is_pooled_to_itself():
    variables, y = cohort(missing=0, n=150)
    model = fit_association(variables, y)
    pooled = fit_imputed(impute(variables, y), y)
    assert (pooled.n, pooled.imputations, pooled.firth) == (150, 1, False)
    for mine, given in zip(pooled.terms, model.terms, strict=True):
        assert replace(mine, odds_ratio=None) == replace(given, odds_ratio=None)
        if given.odds_ratio is not None:
            got, wanted = ((o.value, o.low, o.high, o.p) for o in (mine.odds_ratio, given.odds_ratio))
            np.testing.assert_allclose(got, wanted, rtol=1e-9)
    assert set(pooled.fraction_missing.values()) == {0.0}
    assert list(pooled.fraction_missing)[:3] == ["age", "ki67", "micro: present"]
    assert math.isinf(pooled.tests["density"].df2)
    beta, block = model.coefficients[3:], model.covariance[4:, 4:]
    assert pooled.tests["density"].statistic == pytest.approx(beta @ np.linalg.solve(block, beta) / 3)


def test_all_models_are_firths_where_one_of_them_is():
    """Only where the one row with the outcome is imputed as present does the finding not separate."""
    rng = np.random.default_rng(0)
    n = 50
    y = (rng.random(n) < 0.4).astype(int)
    finding = np.where(y == 1, 0, rng.integers(0, 2, n)).astype(float)
    finding[np.flatnonzero(y == 1)[:8]] = np.nan
    variables = [category("finding", finding, ("absent", "present")), number("age", rng.normal(size=n))]
    completed = impute(variables, y, 12, random_state=1)
    alone = [fit_association(data_set, y) for data_set in completed]
    assert {model.firth for model in alone} == {True, False}
    with pytest.raises(ValueError, match="same method"):
        pool(alone)
    pooled = fit_imputed(completed, y)
    assert pooled.firth and pooled.imputations == 12
    mean = np.mean([fit_association(data_set, y, firth=True).coefficients for data_set in completed], axis=0)
    np.testing.assert_allclose([math.log(t.odds_ratio.value) for t in pooled.terms if t.odds_ratio], mean, rtol=1e-9)


def separated(seed=0, n=68, gap=0):
    """One level of density has no event; some rows lack it."""
    rng = np.random.default_rng(seed)
    density, age = rng.choice(3, p=[0.5, 0.38, 0.12], size=n), rng.normal(55, 11, n)
    y = np.where(density == 2, 0, rng.random(n) < 0.5).astype(int)
    variables = [category("density", density, "ABC"), number("age", age), category("micro", rng.random(n) < 0.5, "ny")]
    return [with_gaps(variables[0], rng.choice(n, size=gap, replace=False)), *variables[1:]], y


def test_equal_data_sets_by_firths_method_are_pooled_to_the_single_model():
    variables, y = separated()
    model, pooled = fit_association(variables, y), fit_imputed([variables] * 4, y)
    assert model.firth and pooled.firth
    for mine, given in zip(pooled.terms, model.terms, strict=True):
        if given.odds_ratio is not None:
            got, wanted = ((o.value, o.low, o.high, o.p) for o in (mine.odds_ratio, given.odds_ratio))
            np.testing.assert_allclose(got, wanted, rtol=1e-6)
            assert mine.odds_ratio.method == COMBINED_PROFILES
    for name, test in model.tests.items():
        found = pooled.tests[name]
        assert (found.df1, found.df2, found.p) == (test.df, math.inf, pytest.approx(test.p, rel=1e-6))
        assert found.statistic == pytest.approx(test.statistic / test.df, rel=1e-6)


def test_one_missing_value_does_not_change_the_kind_of_interval():
    """By the covariance the rare level without events would have an interval about twice as wide, and a larger p."""
    variables, y = separated(gap=1)
    alone = fit_association(variables, y)
    completed = impute(variables, y, 10)
    pooled, by_covariance = fit_imputed(completed, y), pool([fit_association(data, y) for data in completed])
    given, found, symmetric = (model.terms[2].odds_ratio for model in (alone, pooled, by_covariance))
    assert alone.firth and given.p < 0.05 < symmetric.p and symmetric.high > 1
    assert found.p == pytest.approx(given.p, rel=0.2) and found.high == pytest.approx(given.high, rel=0.1)
    assert found.low == pytest.approx(given.low, rel=0.1) and found.value == symmetric.value
    assert (found.method, symmetric.method) == (COMBINED_PROFILES, RUBIN)


def penalized(beta, x, y):
    log_odds = x @ beta
    weights = expit(log_odds) * expit(-log_odds)
    return y @ log_odds - np.logaddexp(0, log_odds).sum() + np.linalg.slogdet(x.T @ (x * weights[:, None]))[1] / 2


def distribution(variables, y, column, value):
    """Distribution function of a coefficient from its profile, by a general optimizer."""
    x = np.column_stack([np.ones(len(y)), *(variable.design() for variable in variables)])
    x[:, 1:] -= x[:, 1:].mean(axis=0)
    free = minimize(lambda beta: -penalized(beta, x, y), np.zeros(x.shape[1]), tol=1e-9)
    others = np.arange(x.shape[1]) != column + 1

    def fixed(beta):
        whole = np.full(x.shape[1], value)
        whole[others] = beta
        return -penalized(whole, x, y)

    fall = minimize(fixed, free.x[others], tol=1e-9).fun - free.fun
    return norm.cdf(np.sign(value - free.x[column + 1]) * math.sqrt(max(2 * fall, 0)))


def mean_distribution(data_sets, y, column, value):
    return np.mean([distribution(variables, y, column, value) for variables in data_sets])


def test_combined_profiles_are_what_they_are_defined_as():
    variables, y = separated(gap=20)
    data_sets = impute(variables, y, 4)
    pooled = fit_imputed(data_sets, y)
    odds_ratios = [term.odds_ratio for term in pooled.terms if term.odds_ratio is not None]
    assert pooled.fraction_missing["density: C"] > 0.05
    for column, odds_ratio in enumerate(odds_ratios):
        for bound, level in ((odds_ratio.low, 0.025), (odds_ratio.high, 0.975)):
            assert mean_distribution(data_sets, y, column, math.log(bound)) == pytest.approx(level, abs=2e-4)
        at_zero = mean_distribution(data_sets, y, column, 0.0)
        assert odds_ratio.p == pytest.approx(2 * min(at_zero, 1 - at_zero), abs=2e-4)
    for name, one in (("age", odds_ratios[2]), ("micro", odds_ratios[3])):
        test = pooled.tests[name]
        assert (test.p, test.df1, test.df2) == (one.p, 1, math.inf)
        assert chi2.sf(test.statistic, 1) == pytest.approx(one.p)
    logs = [fit_association(data, y, firth=True).coefficients for data in data_sets]
    np.testing.assert_allclose(np.log([o.value for o in odds_ratios]), np.mean(logs, axis=0), rtol=1e-9)


def test_tests_of_several_coefficients_by_firths_method_by_hand():
    """Chi-squares 4, 9 and 16: roots with variance 1, so that the increase is 4/3."""
    test = imputation._combined_test([4.0, 9.0, 16.0], 2)
    assert test.statistic == pytest.approx((29 / 3 / 2 - 4 / 2 * 4 / 3) / (1 + 4 / 3))
    assert (test.df1, test.df2) == (2, pytest.approx(2 ** (-3 / 3) * 2 * (1 + 3 / 4) ** 2))
    assert test.p == pytest.approx(f_distribution.sf(test.statistic, 2, test.df2))
    nothing = imputation._combined_test([0.0, 0.1, 9.0], 2)
    assert (nothing.statistic, nothing.p) == (0.0, 1.0)
    variables, y = separated(gap=20)
    data_sets = impute(variables, y, 4)
    statistics = [fit_association(data, y, firth=True).tests["density"].statistic for data in data_sets]
    assert fit_imputed(data_sets, y).tests["density"] == imputation._combined_test(statistics, 2)


def test_a_bound_that_one_data_set_leaves_open_stays_open():
    roots = [lambda value: (value, 1.0)] * 2
    assert imputation._combined_bound(roots, [0.0, 0.1], 0.025) == 0.0
    assert imputation._combined_bound(roots, [2.0, math.inf], 0.975) == math.inf
    assert imputation._combined_bound(roots, [1.0, 30.0], 0.975) == pytest.approx(math.exp(norm.ppf(0.975)))


def test_the_imputations_that_the_missing_information_asks_for():
    variables, y = cohort(n=150)
    pooled = fit_imputed(impute(variables, y, 5, 3), y)
    assert pooled.largest_fraction_missing == max(pooled.fraction_missing.values()) > 0.05
    assert pooled.imputations_advised == math.ceil(100 * pooled.largest_fraction_missing)
    for fraction, advised in ((0.0, 1), (0.07, 7), (0.29, 29), (0.291, 30)):
        assert replace(pooled, fraction_missing={"a": 0.0, "b": fraction}).imputations_advised == advised


def phenotype(n=120, seed=4):
    """Five levels that age tells in part; half of the first two levels are missing, known to be one of the two."""
    rng = np.random.default_rng(seed)
    age, levels = rng.normal(size=n), rng.integers(0, 5, n)
    age = age + 0.8 * levels
    values = levels.astype(float)
    missing = np.flatnonzero((levels < 2) & (rng.random(n) < 0.5))
    values[missing] = np.nan
    possible = {int(row): frozenset({0, 1}) for row in missing}
    y = rng.integers(0, 2, n)
    variable = replace(category("subtype", values, ("LA", "LB-", "LB+", "HER2", "TN")), possible=possible)
    return variable, number("age", age), y


def test_nothing_impossible_is_drawn():
    variable, age, y = phenotype()
    gaps = ~variable.known
    anything = values_of(impute([replace(variable, possible={}), age], y, 10), "subtype")[:, gaps]
    assert (anything > 1).any()
    completed = impute([variable, age], y, 10)
    drawn = values_of(completed, "subtype")[:, gaps]
    assert set(drawn.ravel()) == {0.0, 1.0} and not any(data[0].possible for data in completed)
    # With a second variable to go round for, and a row that can have one level only, and one that can have any.
    first, second = np.flatnonzero(gaps)[:2]
    possible = {row: levels for row, levels in variable.possible.items() if row != second} | {
        int(first): frozenset({1})
    }
    mixed = [replace(variable, possible=possible), with_gaps(age, slice(0, 120, 7))]
    drawn = values_of(impute(mixed, y, 30, 2), "subtype")
    assert (drawn[:, first] == 1).all() and set(drawn[:, second]) - {0.0, 1.0}
    others = gaps & ~np.isin(np.arange(len(y)), [first, second])
    assert set(drawn[:, others].ravel()) == {0.0, 1.0}


def test_values_to_start_from_are_possible():
    variable, age, y = phenotype()
    # Without a round the values are those that the chain starts from.
    values = imputation._chain([variable, with_gaps(age, [0])], y, 0, np.random.default_rng(0))["subtype"]
    assert set(values[~variable.known]) == {0.0, 1.0}


def test_levels_that_the_bootstrap_sample_lacks_are_drawn_by_their_frequency():
    """Two rows with a value have the possible levels: many samples have none of them."""
    y = np.tile([0, 1], 30)
    values = np.r_[0.0, 1.0, np.tile([2.0, 3.0], 28), np.nan, np.nan]
    rare = replace(category("subtype", values, "abcd"), possible={58: frozenset({0, 1}), 59: frozenset({1})})
    drawn = values_of(impute([rare], y, 100), "subtype")
    assert set(drawn[:, 58]) == {0.0, 1.0} and set(drawn[:, 59]) == {1.0}


def test_a_level_that_the_bootstrap_sample_lacks_stays_rare():
    y = np.tile([0, 1], 30)
    values = np.r_[0.0, np.tile([1.0, 2.0], 24), np.full(11, np.nan)]
    drawn = values_of(impute([category("subtype", values, "abc")], y, 60), "subtype")[:, -11:]
    assert 0 < (drawn == 0).mean() < 0.08


def test_the_relative_probabilities_of_possible_levels_stay_those_of_the_model():
    """The same model and the same gaps: among what is drawn without a restriction the possible levels are as often."""
    rng = np.random.default_rng(0)
    n, gap = 400, 4000
    levels = rng.choice(4, p=[0.1, 0.3, 0.4, 0.2], size=n)
    y = np.r_[(rng.random(n) < 0.2 + 0.15 * levels), np.zeros(gap, dtype=bool)].astype(int)
    variable = category("subtype", np.r_[levels, np.full(gap, np.nan)], "abcd")
    restricted = replace(variable, possible={row: frozenset({0, 2}) for row in range(n, n + gap)})
    x = np.column_stack([np.ones(n + gap), y])
    free, narrow = (imputation._draw_categories(x, v, np.random.default_rng(1)) for v in (variable, restricted))
    expected, found = (np.mean(drawn[np.isin(drawn, (0, 2))] == 0) for drawn in (free, narrow))
    assert set(narrow) == {0, 2} and set(free) == {0, 1, 2, 3}
    assert 0.1 < expected < 0.45 and found == pytest.approx(expected, abs=0.03)


def test_what_no_row_with_a_value_has_cannot_be_imputed():
    variable, age, y = phenotype()
    never = replace(variable, values=np.where(variable.values < 2, np.nan, variable.values))
    with pytest.raises(InputError, match="'subtype' can only be 'LA' or 'LB-' in a row.*Leave it out"):
        impute([never, age], y)


def study(seed, sort, n=300):
    """A variable that is missing by the outcome and a complete variable, and the truth: log odds ratios of both."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    if sort == "number":
        x, truth = 0.5 * z + rng.normal(size=n), (0.7, 0.5)
    else:
        x, truth = (rng.random(n) < expit(0.8 * z - 0.3)).astype(float), (0.9, 0.5)
    y = (rng.random(n) < expit(-0.6 + truth[0] * x + truth[1] * z)).astype(int)
    chance = np.where(y == 1, np.where(z > 0, 0.65, 0.1), np.where(z > 0, 0.1, 0.4))
    whole = number("x", x) if sort == "number" else category("x", x, ("no", "yes"))
    return [with_gaps(whole, rng.random(n) < chance), number("z", z)], y, truth


def logs(model):
    found = [term.odds_ratio for term in model.terms if term.odds_ratio is not None]
    return np.log([(o.value, o.low, o.high) for o in found])


def simulate(sort, repeats, imputations=8, iterations=5):
    """Mean estimates and coverage of both coefficients: complete cases, and multiple imputation."""
    results = {"complete": [], "imputed": []}
    for seed in range(repeats):
        variables, y, truth = study(seed, sort)
        results["complete"].append(logs(fit_association(variables, y)))
        results["imputed"].append(
            logs(fit_imputed(impute(variables, y, imputations, iterations, random_state=seed), y))
        )
    summary = {}
    for way, found in results.items():
        found = np.array(found)
        covered = (found[:, :, 1] <= truth) & (truth <= found[:, :, 2])
        summary[way] = found[:, :, 0].mean(axis=0), covered.mean(axis=0)
    return summary


@pytest.mark.parametrize("sort", ["number", "binary"])
def test_imputation_is_right_where_complete_cases_are_biased(sort):
    """Values go missing by outcome and z together: complete cases lose the association with z, imputations keep it."""
    summary = simulate(sort, 40)
    (_, z), covered = summary["complete"]
    assert abs(z - 0.5) > 0.4 and covered[1] < 0.5
    (x, z), covered = summary["imputed"]
    assert abs(x - (0.7 if sort == "number" else 0.9)) < 0.12 and abs(z - 0.5) < 0.08
    assert (covered > 0.84).all()


@pytest.mark.slow
@pytest.mark.parametrize("sort", ["number", "binary"])
def test_pooled_intervals_cover(sort):
    _, covered = simulate(sort, 1000, imputations=10)["imputed"]
    assert (covered > 0.93).all() and (covered < 0.98).all()
