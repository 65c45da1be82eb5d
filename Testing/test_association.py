"""The association study as a whole: who is in it, which models there are, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from association_cohort import PREDICTORS, study_rows, write_study

from HER2NomogramLib.association import MINIMUM_OF_EACH, StudyOptions, associate
from HER2NomogramLib.cohort import read_cohort
from HER2NomogramLib.errors import InputError

sm = pytest.importorskip("statsmodels.api")


@pytest.fixture
def cohort(tmp_path):
    return read_cohort(write_study(tmp_path / "study.csv", study_rows()))


@pytest.fixture
def study(cohort):
    return associate(cohort, StudyOptions("her2", PREDICTORS))


def ratios(model):
    return {(term.predictor, term.level): term.odds_ratio for term in model.terms if term.odds_ratio is not None}


def oracle(result, names):
    """Coefficients by statsmodels in the rows that have all of some predictors."""
    chosen = [variable for variable in result.predictors if variable.name in names]
    design = np.hstack([variable.design() for variable in chosen])
    rows = ~np.isnan(design).any(axis=1)
    fit = sm.Logit(result.y[rows], sm.add_constant(design[rows])).fit(disp=0, tol=1e-12)
    return fit, int(rows.sum())


def test_equivocal_rows_are_counted_and_not_studied(study):
    equivocal = [row for row in study_rows() if row["her2_ihc"] == "2+" and not row["her2_ish"]]
    assert equivocal and study.given == 240 == study.n + len(equivocal)
    assert sum(study.excluded.values()) == len(equivocal)
    assert any("equivocal" in reason for reason in study.excluded)


def test_the_event_is_positive(study):
    rows = [row for row in study_rows() if row["her2_ihc"] != "2+" or row["her2_ish"]]
    assert study.event == "positive"
    assert study.events == sum(row["her2_ihc"] == "3+" or row["her2_ish"] == "positive" for row in rows)


def test_univariate_models_are_those_of_statsmodels(study):
    for name in PREDICTORS:
        fit, n = oracle(study, [name])
        model = study.univariate[name]
        (found,) = ratios(model).values()
        assert model.n == n
        assert math.log(found.value) == pytest.approx(fit.params[1], abs=1e-6)
        assert (math.log(found.low), math.log(found.high)) == pytest.approx(tuple(fit.conf_int()[1]), abs=1e-6)
        assert found.p == pytest.approx(fit.pvalues[1], abs=1e-8)
        assert model.tests[name].p == pytest.approx(fit.llr_pvalue, abs=1e-6)


def test_what_has_a_small_p_alone_enters_the_multivariable_model(study):
    small = [name for name in PREDICTORS if study.univariate[name].tests[name].p < 0.10]
    assert {"microcalcifications", "ki67_at_least_20"} <= {*small}
    assert list(study.entered) == small and {*study.left_out} == {*PREDICTORS} - {*small}
    fit, n = oracle(study, small)
    assert study.multivariable.n == n
    found = [math.log(ratio.value) for ratio in ratios(study.multivariable).values()]
    assert found == pytest.approx(list(fit.params[1:]), abs=1e-6)


def test_a_predictor_can_be_forced_in(cohort, study):
    forced = next(name for name in PREDICTORS if name in study.left_out)
    again = associate(cohort, StudyOptions("her2", PREDICTORS, forced=(forced,)))
    assert again.entered[forced] == "forced in"
    assert {*again.entered} == {*study.entered, forced}


def test_nothing_below_the_entry_level_is_said(cohort):
    result = associate(cohort, StudyOptions("her2", ("er", "idc"), entry_p=1e-6))
    assert result.multivariable is None and "no predictor has p < 1e-06" in result.no_model
    assert any("no multivariable model" in message for message in result.messages)


def test_of_two_from_one_column_the_first_named_enters(cohort):
    names = ("ki67_at_least_20", "ki67")
    for order in (names, names[::-1]):
        result = associate(cohort, StudyOptions("her2", order, entry_p=1.0))
        assert list(result.entered) == [order[0]]
        assert "same column" in result.left_out[order[1]]


def test_what_is_forced_in_stands_before_what_it_says_the_same_as(cohort):
    result = associate(cohort, StudyOptions("her2", ("ki67_at_least_20", "ki67"), entry_p=1.0, forced=("ki67",)))
    assert list(result.entered) == ["ki67"]


@pytest.mark.parametrize("name", ["her2_ihc", "her2_ish", "immunophenotype", "her2"])
def test_an_outcome_is_never_its_own_predictor(cohort, name):
    with pytest.raises(InputError, match="never its own predictor"):
        associate(cohort, StudyOptions("her2", ("age", name)))


def test_an_outcome_of_one_study_is_a_factor_of_another(cohort):
    result = associate(cohort, StudyOptions("microcalcifications", ("her2", "age_over_50")))
    assert result.event == "present" and "her2" in result.entered
    as_factor = associate(cohort, StudyOptions("her2", ("microcalcifications",)))
    # The odds ratio of a two by two table is the same either way.
    one, other = (
        next(iter(ratios(r.univariate[n]).values())) for r, n in ((result, "her2"), (as_factor, "microcalcifications"))
    )
    assert one.value == pytest.approx(other.value, rel=1e-6)


def test_units_of_a_number(cohort):
    one = associate(cohort, StudyOptions("her2", ("age",), entry_p=1.0))
    ten = associate(cohort, StudyOptions("her2", ("age",), per={"age": 10.0}, entry_p=1.0))
    (per_one,), (per_ten,) = (ratios(result.multivariable).values() for result in (one, ten))
    assert per_ten.value == pytest.approx(per_one.value**10, rel=1e-6)


def test_a_reference_group_can_be_named(cohort):
    names = ("breast_density",)
    result = associate(cohort, StudyOptions("her2", names, references={"breast_density": "C"}))
    terms = result.univariate["breast_density"].terms
    assert [term.level for term in terms if term.odds_ratio is None] == ["C"]


def test_the_study_of_some_rows(cohort):
    result = associate(cohort, StudyOptions("her2", ("microcalcifications",), only={"her2_ihc": ("2+",)}))
    chosen = [row for row in study_rows() if row["her2_ihc"] == "2+"]
    assert result.given == 240 and result.n == sum(row["her2_ish"] != "" for row in chosen)
    assert sum(result.excluded.values()) == 240 - result.n


def test_an_outcome_with_several_values_needs_an_event(cohort):
    with pytest.raises(InputError, match="--event"):
        associate(cohort, StudyOptions("immunophenotype", ("age",)))
    result = associate(cohort, StudyOptions("immunophenotype", ("age",), event="Triple Negative"))
    assert result.outcome.levels == ("not triple negative", "triple negative")


def test_a_two_word_outcome_needs_an_event(tmp_path):
    rows = study_rows(60)
    for row in rows:
        row["verdict"] = "benign" if row["er"] == "positive" else "malignant"
    cohort = read_cohort(write_study(tmp_path / "study.csv", rows))
    with pytest.raises(InputError, match="which is the event"):
        associate(cohort, StudyOptions("verdict", ("age",)))
    assert associate(cohort, StudyOptions("verdict", ("age",), event="benign")).event == "benign"
    with pytest.raises(InputError, match="'sick' is no value"):
        associate(cohort, StudyOptions("verdict", ("age",), event="sick"))


def test_an_outcome_of_numbers_is_refused_or_made_a_category(cohort):
    with pytest.raises(InputError, match="different numbers"):
        associate(cohort, StudyOptions("age", ("er",)))
    result = associate(cohort, StudyOptions("grade", ("age",), categorical=("grade",), event="3"))
    assert result.outcome.levels == ("not 3", "3")


def test_too_few_of_an_outcome_are_refused(tmp_path):
    rows = [row for row in study_rows() if row["her2_ihc"] in ("1+", "3+")]
    rows = [row for row in rows if row["her2_ihc"] == "1+"] + [r for r in rows if r["her2_ihc"] == "3+"][:4]
    cohort = read_cohort(write_study(tmp_path / "study.csv", rows))
    with pytest.raises(InputError, match=f"4 cases of 'positive', at least {MINIMUM_OF_EACH}"):
        associate(cohort, StudyOptions("her2", ("age",)))


def test_a_predictor_that_is_constant_among_the_rows_studied_is_left_out(tmp_path):
    rows = study_rows()
    for row in rows:
        # Known to differ only where the outcome is not known.
        row["site"] = "B" if row["her2_ihc"] == "2+" and not row["her2_ish"] else "A"
    cohort = read_cohort(write_study(tmp_path / "study.csv", rows))
    result = associate(cohort, StudyOptions("her2", ("site", "age")))
    assert "one value only" in result.left_out["site"] and "site" not in result.univariate
    assert any("site" in message for message in result.messages)


def test_separation_leads_to_firth(tmp_path):
    rows = study_rows()
    for number, row in enumerate(rows):
        positive = row["her2_ihc"] == "3+" or row["her2_ish"] == "positive"
        row["clip"] = "yes" if positive and number % 3 == 0 else "no"
    cohort = read_cohort(write_study(tmp_path / "study.csv", rows))
    result = associate(cohort, StudyOptions("her2", ("clip", "ki67_at_least_20")))
    assert result.univariate["clip"].firth and result.multivariable.firth
    found = ratios(result.multivariable)["clip", "yes"]
    assert 1 < found.low < found.value < found.high
    assert any("Firth" in message for message in result.messages)


def test_missing_values_are_counted_and_imputed_beside_complete_cases(tmp_path):
    rows = study_rows(missing=0.1)
    cohort = read_cohort(write_study(tmp_path / "study.csv", rows))
    result = associate(cohort, StudyOptions("her2", PREDICTORS, imputations=5))
    by_name = {row.name: row for row in result.missing}
    known = [row for row in rows if row["her2_ihc"] != "2+" or row["her2_ish"]]
    assert by_name["ki67_at_least_20"].n_missing == sum(row["ki67"] == "" for row in known)
    assert by_name["idc"].n_missing == 0
    assert result.complete == sum(all(row[c] for c in ("age", "breast_density", "er", "ki67")) for row in known)
    assert result.imputed.n == result.n > result.multivariable.n
    complete, imputed = ratios(result.multivariable), ratios(result.imputed)
    assert complete.keys() == imputed.keys()
    for key in complete:
        assert math.log(imputed[key].value) == pytest.approx(math.log(complete[key].value), abs=0.5)


def test_nothing_is_imputed_where_nothing_is_missing(study):
    assert study.imputed is None


def test_the_same_seed_gives_the_same_study(tmp_path):
    cohort = read_cohort(write_study(tmp_path / "study.csv", study_rows(missing=0.1)))
    one, other = (associate(cohort, StudyOptions("her2", PREDICTORS, imputations=3)) for _ in range(2))
    assert ratios(one.imputed) == ratios(other.imputed)


def test_strata_and_interaction(cohort):
    result = associate(cohort, StudyOptions("her2", PREDICTORS, strata="dense_breast"))
    strata = result.strata
    assert [stratum.level for stratum in strata.strata] == ["A-B", "C-D"]
    assert sum(stratum.n for stratum in strata.strata) == result.n
    assert sum(stratum.events for stratum in strata.strata) == result.events
    assert "dense_breast" not in strata.strata[0].univariate
    name = "microcalcifications"
    by, variable = (next(v for v in result.predictors if v.name == n) for n in ("dense_breast", name))
    x, z = variable.design()[:, 0], by.design()[:, 0]
    small = sm.Logit(result.y, sm.add_constant(np.column_stack([x, z]))).fit(disp=0)
    large = sm.Logit(result.y, sm.add_constant(np.column_stack([x, z, x * z]))).fit(disp=0)
    assert strata.interaction_univariate[name].statistic == pytest.approx(2 * (large.llf - small.llf), abs=1e-6)
    assert not result.unfinished


def test_a_stratum_with_too_few_rows_is_named_and_the_others_done(tmp_path):
    rows = study_rows()
    for number, row in enumerate(rows):
        row["site"] = "small" if number < 6 else "large" if number % 2 else "middle"
    cohort = read_cohort(write_study(tmp_path / "study.csv", rows))
    result = associate(cohort, StudyOptions("her2", ("microcalcifications", "ki67_at_least_20"), strata="site"))
    done = {stratum.level: bool(stratum.univariate) for stratum in result.strata.strata}
    assert done == {"large": True, "middle": True, "small": False}
    assert len(result.unfinished) == 1 and "small" in result.unfinished[0]
    assert result.strata.interaction_univariate


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"predictors": ()}, "No predictor"),
        ({"predictors": ("age", "age")}, "named twice"),
        ({"predictors": ("stage",)}, "stage"),
        ({"outcome": "stage"}, "stage"),
        ({"forced": ("pr",)}, "no predictor"),
        ({"per": {"pr": 10.0}}, "no predictor"),
        ({"references": {"pr": "positive"}}, "no variable"),
        ({"entry_p": 0.0}, "p-value of 0"),
        ({"strata": "her2_ihc"}, "never its own predictor"),
        ({"strata": "ki67"}, "number"),
    ],
)
def test_what_cannot_be_studied_is_refused_in_one_line(cohort, change, reason):
    options = {"outcome": "her2", "predictors": ("age", "er"), **change}
    with pytest.raises(InputError) as caught:
        associate(cohort, StudyOptions(**options))
    assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_messages_count_and_name_no_rows(tmp_path):
    rows = study_rows(missing=0.1)
    result = associate(
        read_cohort(write_study(tmp_path / "study.csv", rows)), StudyOptions("her2", PREDICTORS, imputations=2)
    )
    assert any("cases have all predictors" in message for message in result.messages)
    assert any("chosen by their p-values" in message for message in result.messages)
    assert not any(row["case_id"] in message for row in rows for message in result.messages)


def test_the_low_birth_weight_study_of_hosmer_and_lemeshow(shared_data):
    folder = shared_data / "tab_birthwt"
    expected = json.loads((folder / "expected.json").read_text())
    names = ("age", "lwt", "race", "smoke", "ptl", "ht", "ui", "ftv")
    cohort = read_cohort(folder / "birthwt.csv")
    result = associate(cohort, StudyOptions("low", names, categorical=("race",), entry_p=1.0))
    model = result.multivariable
    found = [model.intercept, *model.coefficients]
    assert result.n == 189 and result.events == 59
    assert found == pytest.approx(list(expected["coefficients"].values()), abs=6e-5)


def test_the_clinical_table_of_ispy1(shared_data):
    pytest.importorskip("openpyxl")
    path = next((shared_data / "tab_ispy1_clinical").glob("*.xlsx"))
    cohort = read_cohort(path, sheet="predictors", columns={"tumor_diameter_mm": "MRI LD Baseline"})
    options = StudyOptions("her2", ("age", "er", "pr", "tumor_diameter_mm"), entry_p=1.0, imputations=5)
    result = associate(cohort, options)
    assert result.given == 221 and result.n + sum(result.excluded.values()) == 221
    fit, n = oracle(result, ["age", "er", "pr", "tumor_diameter_mm"])
    assert result.multivariable.n == n
    found = [math.log(ratio.value) for ratio in ratios(result.multivariable).values()]
    assert found == pytest.approx(list(fit.params[1:]), abs=1e-5)


def test_the_outcome_in_other_words_is_pointed_out(tmp_path):
    rows = study_rows()
    for row in rows:
        row["therapy"] = "trastuzumab" if row["her2_ihc"] == "3+" or row["her2_ish"] == "positive" else "other"
    cohort = read_cohort(write_study(tmp_path / "study.csv", rows))
    result = associate(cohort, StudyOptions("her2", ("therapy", "age")))
    assert any("Therapy tells the outcome" in message for message in result.messages)
    assert not any("Age" in message and "tells" in message for message in result.messages)


@pytest.mark.parametrize("imputations", [1, -1])
def test_one_imputation_is_refused(cohort, imputations):
    with pytest.raises(InputError, match="imputations"):
        associate(cohort, StudyOptions("her2", ("age",), imputations=imputations))


def test_interactions_are_tested_in_the_strata_that_were_studied(tmp_path):
    rows = study_rows()
    for number, row in enumerate(rows):
        row["site"] = "small" if number < 6 else "large" if number % 2 else "middle"
    cohort = read_cohort(write_study(tmp_path / "study.csv", rows))
    name = "microcalcifications"
    result = associate(cohort, StudyOptions("her2", (name, "ki67_at_least_20"), strata="site"))
    by, variable = result.strata.variable, next(v for v in result.predictors if v.name == name)
    usable = by.values != by.levels.index("small")
    x, z = variable.design()[usable, 0], (by.values[usable] == by.levels.index("middle")).astype(float)
    y = result.y[usable]
    small = sm.Logit(y, sm.add_constant(np.column_stack([x, z]))).fit(disp=0)
    large = sm.Logit(y, sm.add_constant(np.column_stack([x, z, x * z]))).fit(disp=0)
    test = result.strata.interaction_univariate[name]
    assert test.df == 1 and test.statistic == pytest.approx(2 * (large.llf - small.llf), abs=1e-6)


def test_levels_that_nobody_has_are_no_strata(tmp_path):
    rows = [row for row in study_rows() if row["breast_density"] != "D"]
    cohort = read_cohort(write_study(tmp_path / "study.csv", rows))
    result = associate(cohort, StudyOptions("her2", ("microcalcifications",), strata="breast_density"))
    assert [stratum.level for stratum in result.strata.strata] == ["A", "B", "C"] and not result.unfinished


def test_patients_with_several_rows_are_counted(tmp_path):
    rows = study_rows()
    for number, row in enumerate(rows):
        row["patient_id"] = f"P{number // 3}" if number < 6 else f"P{number}"
    result = associate(
        read_cohort(write_study(tmp_path / "study.csv", rows)), StudyOptions("her2", ("microcalcifications",))
    )
    assert any(message.startswith("2 patients with several rows") for message in result.messages)


def test_a_forced_predictor_that_cannot_enter_is_named(cohort):
    options = StudyOptions("her2", ("age", "age_over_50", "er"), forced=("age", "age_over_50"))
    result = associate(cohort, options)
    assert result.forced_out == ("age_over_50",)
    assert any("age_over_50 was to be forced in" in text for text in result.unfinished)
    assert any("age_over_50 was to be forced in" in message for message in result.messages)


def test_an_imputation_that_fails_is_said_and_the_rest_kept(tmp_path, monkeypatch):
    from HER2NomogramLib import association

    def fails(*_given):
        raise InputError("Too few cases.")

    monkeypatch.setattr(association, "fit_imputed", fails)
    cohort = read_cohort(write_study(tmp_path / "study.csv", study_rows(missing=0.1)))
    result = associate(cohort, StudyOptions("her2", PREDICTORS, imputations=2))
    assert result.multivariable is not None and result.imputed is None
    assert any("Too few cases" in text for text in result.unfinished)
    assert any("Too few cases" in message for message in result.messages)


def test_cases_chosen_by_columns_of_the_outcome_get_a_remark(cohort):
    predictors = ("microcalcifications",)
    equivocal = associate(cohort, StudyOptions("her2", predictors, only={"her2_ihc": ("2+",)}))
    assert not any("Cases were chosen by" in message for message in equivocal.messages)
    luminal = ("luminal A", "luminal B HER2-negative", "luminal B HER2-positive")
    chosen = associate(cohort, StudyOptions("her2", predictors, only={"immunophenotype": luminal}))
    assert any("Cases were chosen by immunophenotype" in message for message in chosen.messages)


def test_an_event_is_decided_where_the_subtype_is_not(tmp_path):
    rows = study_rows()
    for row in rows[:60]:
        row["ki67"] = ""
    cohort = read_cohort(write_study(tmp_path / "study.csv", rows))
    result = associate(cohort, StudyOptions("immunophenotype", ("age",), event="triple negative"))
    # Ki-67 tells luminal A from B, not triple negative from others; nor does HER2 where a receptor is positive.
    known = [row for row in rows if row["her2_ihc"] != "2+" or row["her2_ish"] or "positive" in (row["er"], row["pr"])]
    assert result.n == len(known)


def test_candidates_are_counted_where_predictors_were_chosen(tmp_path):
    rows = study_rows(100)
    cohort = read_cohort(write_study(tmp_path / "study.csv", rows))
    result = associate(cohort, StudyOptions("her2", (*PREDICTORS, "breast_density", "pr")))
    tried = min(result.events, result.n - result.events) / (len(PREDICTORS) + 3 + 1)
    assert tried < 10
    assert any(f"there are {tried:.1f} cases" in message for message in result.messages)


def test_the_outcome_has_an_event_and_no_reference(cohort):
    with pytest.raises(InputError, match="--event"):
        associate(cohort, StudyOptions("her2", ("age",), references={"her2": "positive"}))
    with pytest.raises(InputError, match="seed"):
        associate(cohort, StudyOptions("her2", ("age",), random_state=-1))
