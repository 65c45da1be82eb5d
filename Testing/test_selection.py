"""Choosing predictors, against statsmodels: likelihood-ratio tests, Akaike's criterion, and when to stop."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import chi2

from HER2NomogramLib.selection import ENTRY_LEVEL, SELECTIONS, STAY_LEVEL, select_predictors

# A factor of three levels takes two columns of the design.
COLUMNS = {"score": (0,), "age": (1,), "grade": (2, 3), "noise": (4,)}


def make_design(seed=0, n=150):
    rng = np.random.default_rng(seed)
    score, age, grade, noise = rng.normal(size=n), rng.normal(50, 10, n), rng.integers(0, 3, n), rng.normal(size=n)
    log_odds = 1.2 * score + 0.05 * (age - 50) + 1.2 * (grade == 2) - 0.5
    y = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(int)
    return np.column_stack([score, age, grade == 1, grade == 2, noise]).astype(float), y


class Reference:
    """The same models by statsmodels."""

    def __init__(self, design, y, columns=COLUMNS):
        self.design, self.y, self.columns = design, y, columns

    def fit(self, names):
        used = [c for name in names for c in self.columns[name]]
        return sm.Logit(self.y, sm.add_constant(self.design[:, used], has_constant="add")).fit(disp=0)

    def test(self, others, name):
        statistic = 2 * (self.fit([*others, name]).llf - self.fit(others).llf)
        return statistic, chi2.sf(statistic, len(self.columns[name]))

    def backward_by_aic(self):
        """Names that stay, and (name, AIC without it) for each that leaves."""
        names, left = list(self.columns), []
        while names:
            without = {name: self.fit([n for n in names if n != name]).aic for name in names}
            best = min(without, key=without.get)
            if without[best] >= self.fit(names).aic:
                break
            left.append((best, without[best]))
            names.remove(best)
        return tuple(names), left

    def backward_by_tests(self):
        names = [name for name in self.columns if self.test([], name)[1] < ENTRY_LEVEL]
        while names:
            p = {name: self.test([n for n in names if n != name], name)[1] for name in names}
            worst = max(p, key=p.get)
            if p[worst] < STAY_LEVEL:
                break
            names.remove(worst)
        return tuple(names)


def rows_of(rows, step):
    return {row.predictor: row for row in rows if row.step == step}


def test_levels_are_those_that_the_reports_state():
    assert (ENTRY_LEVEL, STAY_LEVEL) == (0.10, 0.05)


def test_none_keeps_all_untested():
    assert select_predictors(*make_design(), COLUMNS, "none") == (tuple(COLUMNS), ())


def test_univariate_tests_are_those_of_statsmodels():
    design, y = make_design()
    reference = Reference(design, y)
    _, rows = select_predictors(design, y, COLUMNS, "univariate")
    alone = rows_of(rows, "univariate")
    assert list(alone) == list(COLUMNS)
    for name, row in alone.items():
        statistic, p = reference.test([], name)
        assert (row.statistic, row.p) == (pytest.approx(statistic, abs=1e-6), pytest.approx(p, rel=1e-5))
        assert row.df == len(COLUMNS[name]) and row.kept == (p < ENTRY_LEVEL)
        assert row.aic == pytest.approx(reference.fit([name]).aic)


def test_multivariable_tests_are_those_of_statsmodels():
    design, y = make_design()
    reference = Reference(design, y)
    kept, rows = select_predictors(design, y, COLUMNS, "univariate")
    together = rows_of(rows, "multivariable")
    assert kept == ("score", "age", "grade") and kept == tuple(name for name, row in together.items() if row.kept)
    for name in kept:
        statistic, p = reference.test([n for n in kept if n != name], name)
        assert together[name].statistic == pytest.approx(statistic, abs=1e-6)
        assert together[name].p == pytest.approx(p, rel=1e-5)


@pytest.mark.parametrize("seed", range(12))
def test_the_same_predictors_stay_as_by_hand(seed):
    design, y = make_design(seed, n=70)
    reference = Reference(design, y)
    kept, _ = select_predictors(design, y, COLUMNS, "univariate")
    assert kept == reference.backward_by_tests()
    kept, rows = select_predictors(design, y, COLUMNS, "aic")
    expected, left = reference.backward_by_aic()
    assert kept == expected
    assert [(row.predictor, row.aic) for row in rows if not row.kept] == [(n, pytest.approx(aic)) for n, aic in left]
    for row in rows:
        if row.kept:
            assert row.aic == pytest.approx(reference.fit([n for n in kept if n != row.predictor]).aic)
            assert row.aic > reference.fit(kept).aic


def test_seeds_show_all_that_can_happen():
    """Of what is compared above some keep all, some keep few, and some lose a predictor in the second step only."""
    found = {"univariate": set(), "aic": set()}
    second_step = 0
    for seed in range(12):
        design, y = make_design(seed, n=70)
        for rule, sizes in found.items():
            kept, rows = select_predictors(design, y, COLUMNS, rule)
            sizes.add(len(kept))
            second_step += any(row.step == "multivariable" and not row.kept for row in rows)
    assert len(found["univariate"]) > 1 and len(found["aic"]) > 1 and second_step


def test_a_categorical_factor_enters_and_leaves_as_a_whole():
    """One strong level of four: alone its column would pass, with those of the others the factor does as one."""
    rng = np.random.default_rng(3)
    grade = rng.integers(0, 4, 200)
    y = (rng.random(200) < np.where(grade == 3, 0.7, 0.35)).astype(int)
    design = np.column_stack([grade == level for level in (1, 2, 3)] + [rng.normal(size=200)]).astype(float)
    columns = {"grade": (0, 1, 2), "noise": (3,)}
    for rule in ("univariate", "aic"):
        kept, rows = select_predictors(design, y, columns, rule)
        assert kept == ("grade",)
        assert {row.df for row in rows if row.predictor == "grade"} == {3}
    statistic, p = Reference(design, y, columns).test([], "grade")
    row = rows_of(select_predictors(design, y, columns, "univariate")[1], "univariate")["grade"]
    assert (row.statistic, row.p) == (pytest.approx(statistic, abs=1e-6), pytest.approx(p, rel=1e-5))


@pytest.mark.parametrize("rule", ["univariate", "aic"])
def test_separation_does_not_crash(rule):
    design, y = make_design()
    design[:, 0] = 3 * y - 1
    kept, rows = select_predictors(design, y, COLUMNS, rule)
    assert "score" in kept and np.isfinite([row.statistic for row in rows]).all()
    null = -2 * Reference(design, y).fit([]).llf
    assert max(row.statistic for row in rows if row.predictor == "score") == pytest.approx(null, rel=0.5)


@pytest.mark.parametrize("rule", ["univariate", "aic"])
def test_nothing_may_be_left(rule):
    # Both classes have the same values.
    design, y = np.random.default_rng(5).normal(size=(40, 3)).repeat(2, axis=0), np.tile([0, 1], 40)
    columns = {"a": (0,), "b": (1,), "c": (2,)}
    kept, rows = select_predictors(design, y, columns, rule)
    assert kept == () and {row.predictor for row in rows} == set(columns) and not any(row.kept for row in rows)


@pytest.mark.parametrize("rule", SELECTIONS)
def test_without_candidates_there_is_nothing_to_choose(rule):
    design, y = make_design()
    assert select_predictors(design, y, {}, rule) == ((), ())


@pytest.mark.parametrize("rule", ["univariate", "aic"])
def test_order_of_the_candidates_does_not_matter(rule):
    design, y = make_design(4, n=70)
    backwards = dict(reversed(COLUMNS.items()))
    assert set(select_predictors(design, y, COLUMNS, rule)[0]) == set(select_predictors(design, y, backwards, rule)[0])


def test_an_unknown_rule():
    with pytest.raises(ValueError, match="stepwise"):
        select_predictors(*make_design(), COLUMNS, "stepwise")
