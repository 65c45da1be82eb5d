"""Variables that a model derives from the columns of a case table: case by case, and never the outcome."""

from __future__ import annotations

import re

import pytest

from HER2NomogramLib.cases import Case
from HER2NomogramLib.dataset import check_columns
from HER2NomogramLib.derived import derived_names, derived_variable, make_rows, with_derived
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.known_columns import KNOWN, tells_her2
from HER2NomogramLib.modelfile import Predictor


def refusal(ask, *arguments):
    """Message with which something is refused: one line."""
    with pytest.raises(InputError) as caught:
        ask(*arguments)
    message = str(caught.value)
    assert "\n" not in message and "  " not in message
    return message


def cases_with(split="train", **columns):
    return [
        Case(f"c{i}", f"c{i}", split, her2=i % 2, clinical=dict(zip(columns, map(str, row))))
        for i, row in enumerate(zip(*columns.values()))
    ]


def test_derived_columns_of_cases():
    cases = cases_with(er=["90%", "-", "", "+"], pr=["0", "0", "1", "0"], age=["40", "60", ">89", ""])
    found = with_derived(cases, ("age", "hr_status", "age_over_50", "no_such_name"))
    assert [case.clinical["hr_status"] for case in found] == ["positive", "negative", "positive", "positive"]
    assert [case.clinical["age_over_50"] for case in found] == ["no", "yes", "yes", ""]
    assert "hr_status" not in cases[0].clinical and "no_such_name" not in found[0].clinical
    # A column of that name stays what it is.
    own = cases_with(er=["90%"], er_status=["mine"])
    assert with_derived(own, ["er_status"])[0].clinical["er_status"] == "mine"
    assert with_derived([], ["er_status"]) == []


def test_derived_columns_need_theirs():
    message = refusal(with_derived, cases_with(ER=["1"], pr=["1"]), ["hr_status"])
    assert (
        message
        == "The case table has no column 'hr_status', nor 'er' to derive it from (is 'ER' meant?): add one of them."
    )


def test_entries_that_are_not_understood_refuse_the_table_or_the_case():
    cases = cases_with(er=["90%", "foo", "bar", "foo", "0.5"])
    message = refusal(with_derived, cases, ["er_status"])
    assert (
        "Column 'er' of the case table (for er_status): 4 entries are not understood ('foo', 'bar', '0.5')" in message
    )
    found = with_derived(cases, ["er_status"], strict=())
    assert [case.clinical["er_status"] for case in found] == [
        "positive",
        "er = foo",
        "er = bar",
        "er = foo",
        "er = 0.5",
    ]


def test_a_small_number_of_a_receptor_is_not_understood_in_one_case():
    # A case means the same beside whatever other cases.
    for others in (["90", "0", "1"], ["0", "1", "1"], ["1", "0", "12"]):
        cases = cases_with(er=["2", *others], pr=["pos"] * 4)
        message = refusal(with_derived, cases, ["er_status"])
        assert "'er' of the case table (for er_status)" in message and "'2'" in message
        assert "write positive or negative, or a percentage with its sign (5%)" in message
        found = [case.clinical["er_status"] for case in with_derived(cases, ["er_status"], strict=())]
        assert found[0].startswith("er = 2")
        expected = {"90": "positive", "0": "negative", "1": "positive", "12": "er = 12"}
        assert all(level.startswith(expected[text]) for level, text in zip(found[1:], others))


DENSITY = "write A to D, or a percentage with its sign (3%)"


@pytest.mark.parametrize("others", [[], ["30"], ["4"], ["A"], ["", "II"]])
def test_a_density_means_the_same_beside_whatever_other_cases(others):
    for entry, dense, category in (("3%", "A-B", "A"), ("30", "A-B", "B"), ("c", "C-D", "C"), ("IV", "C-D", "D")):
        cases = cases_with(breast_density=[entry, *others])
        first = with_derived(cases, ["dense_breast", "density_category"], strict=())[0].clinical
        assert (first["dense_breast"], first["density_category"]) == (dense, category)
    for entry in ("1", "3", "4.0", "2,0"):
        cases = cases_with(breast_density=[entry, *others])
        message = refusal(with_derived, cases, ["dense_breast"])
        assert f"'{entry}'" in message and DENSITY in message and "'breast_density'" in message
        first = with_derived(cases, ["dense_breast"], strict=())[0].clinical
        assert first["dense_breast"] == f"breast_density = {entry} ({DENSITY})"


def test_a_number_for_a_density_fails_the_case_that_is_predicted():
    (case,) = with_derived(cases_with(breast_density=["3"]), ["dense_breast"], strict=())
    predictor = Predictor("dense_breast", "clinical", "Breast density group", "", 0.0, 1.0, ("A-B", "C-D"))
    message = refusal(predictor.parse, case.clinical["dense_breast"])
    assert DENSITY in message and "'dense_breast'" in message


def test_numbers_of_a_whole_column_of_a_study_are_categories():
    numbered, shares = (make_rows({"breast_density": texts}) for texts in (["3", "1"], ["3", "30"]))
    assert [row.numbered_density for row in (*numbered, *shares)] == [True, True, False, False]
    dense = derived_variable("dense_breast")
    assert [dense.derive(row)[0] for row in (*numbered, *shares)] == ["C-D", "A-B", "A-B", "A-B"]


def test_rules_are_made_once_for_each_threshold():
    assert derived_variable("immunophenotype", 14.0) is derived_variable("immunophenotype", 14.0)
    assert "14%" in derived_variable("immunophenotype", 14.0).rule
    assert "20%" in derived_variable("immunophenotype").rule


def test_no_derived_variable_may_tell_the_outcome():
    for name in derived_names():
        assert tells_her2(name) == tells_her2(name.upper()) == derived_variable(name).of_her2
    cases = cases_with(er=["1"], pr=["1"], ki67=["1"], her2=["1"])
    assert "immunophenotype" not in with_derived(cases, ["immunophenotype"])[0].clinical
    with pytest.raises(InputError, match="'immunophenotype' tells what the model predicts"):
        check_columns(with_derived(cases, ["immunophenotype"]), ["immunophenotype"])


def test_every_derived_variable_is_described():
    for name in derived_names():
        variable = derived_variable(name)
        assert variable.name == name and variable.label and len(variable.levels) > 1
        assert {*variable.columns} <= {*KNOWN} and re.fullmatch(r"[A-Z].*\.", variable.rule)
    assert derived_variable("ki67_at_least_x") is None and derived_variable("er") is None
