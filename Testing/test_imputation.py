"""Imputations against simulation and scikit-learn, Rubin's rules against statsmodels and numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from HER2NomogramLib import imputation
from HER2NomogramLib.clinical import Factor
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.imputation import fit_imputed, impute, pool
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
