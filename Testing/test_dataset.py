"""Features, outcomes and factors side by side: who is left out and why, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from HER2NomogramLib import dataset
from HER2NomogramLib.cases import Case
from HER2NomogramLib.dataset import OTHER_REGION, Exclusion, assemble
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.tables import FeatureTable

REGIONS = ("intratumoral", "peritumoral_5mm")
DIAMETER = "image__intratumoral__diagnostics_FeretDiameter"
N_FEATURES = 5
N_CASES = 12
INF, NAN = np.inf, np.nan


@pytest.fixture(autouse=True)
def few_cases_are_enough(monkeypatch):
    monkeypatch.setattr(dataset, "MINIMUM_OF_EACH_CLASS", 1)


def make_columns(regions=REGIONS, image="image"):
    return [f"{image}__{region}__original_glcm_F{i}" for region in regions for i in range(N_FEATURES)]


def make_table(columns=None, n=N_CASES, seed=0) -> FeatureTable:
    columns = [DIAMETER, *make_columns()] if columns is None else columns
    values = np.random.default_rng(seed).normal(size=(n, len(columns)))
    if DIAMETER in columns:
        values[:, columns.index(DIAMETER)] = 20 + np.arange(n) / 4
    return FeatureTable(tuple(f"c{i}" for i in range(n)), tuple(columns), values)


def make_cases(n=N_CASES) -> list[Case]:
    """Two thirds of the cases are for training, every third is positive."""
    return [
        Case(
            f"c{i}",
            f"p{i}",
            "train" if i % 6 < 4 else ("internal_test", "prospective_test")[i % 6 - 4],
            her2=int(i % 3 == 0),
            clinical={"tumor_diameter_mm": str(10 + i), "grade": "III" if i % 2 else "II", "her2_ihc": "2+"},
        )
        for i in range(n)
    ]


def changed(cases, case_id, **changes):
    clinical = changes.pop("entries", {})
    return [
        replace(case, **changes, clinical={**case.clinical, **clinical}) if case.case_id == case_id else case
        for case in cases
    ]


def with_values(table, **changes) -> FeatureTable:
    """Table with the values of some cases replaced: ``c3={column: value}``."""
    values = table.values.copy()
    for case_id, of_case in changes.items():
        for column, value in of_case.items():
            values[table.positions[case_id], column] = value
    return replace(table, values=values)


def assembled(cases=None, table=None, regions=REGIONS, factors=("tumor_diameter_mm", "grade"), **options):
    return assemble(cases or make_cases(), table or make_table(), regions, factors, **options)


def refusal(*arguments, **options) -> str:
    with pytest.raises(InputError) as caught:
        assembled(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message and ".." not in message
    return message


# --- what stands beside what ------------------------------------------------------------------------------------------


def test_everything_of_a_case_is_in_its_row():
    table, cases = make_table(), make_cases()
    data = assembled(cases, table)
    assert data.case_ids == table.case_ids and data.n_given == N_CASES and data.excluded == ()
    assert data.columns == tuple(make_columns())
    np.testing.assert_array_equal(data.features, table.values[:, 1:])
    np.testing.assert_array_equal(data.y, [case.her2 for case in cases])
    np.testing.assert_array_equal(data.split, [case.split for case in cases])
    np.testing.assert_array_equal(data.patients, [case.patient_id for case in cases])
    np.testing.assert_array_equal(data.clinical, [[10 + i, i % 2] for i in range(N_CASES)])
    np.testing.assert_array_equal(data.x, np.hstack([data.features, data.clinical]))
    assert [(region, columns.tolist()) for region, columns in data.blocks] == [
        (REGIONS[0], [0, 1, 2, 3, 4]),
        (REGIONS[1], [5, 6, 7, 8, 9]),
    ]
    assert [factor.levels for factor in data.factors] == [(), ("II", "III")]
    assert data.rows("internal_test").tolist() == [4, 10]


def test_order_of_the_feature_table_does_not_matter():
    table = make_table()
    order = np.random.default_rng(1).permutation(N_CASES)
    shuffled = FeatureTable(tuple(table.case_ids[i] for i in order), table.columns, table.values[order])
    first, second = assembled(table=table), assembled(table=shuffled)
    assert first.case_ids == second.case_ids
    np.testing.assert_array_equal(first.features, second.features)
    np.testing.assert_array_equal(first.clinical, second.clinical)


def test_regions_keep_the_order_that_was_asked_for_and_others_are_not_used():
    table = make_table([DIAMETER, *make_columns(("combined_5mm", *REGIONS)), *make_columns(REGIONS, "low_energy_cc")])
    data = assembled(table=table, regions=REGIONS[::-1])
    assert [region for region, _ in data.blocks] == list(REGIONS[::-1])
    assert set(data.columns) == set(make_columns())
    for region, columns in data.blocks:
        assert all(data.columns[c].split("__")[1] == region for c in columns)


def test_feature_cases_that_the_case_table_lacks_are_no_cases():
    data = assembled(make_cases()[:-1])
    assert "c11" not in data.case_ids and data.n_given == N_CASES - 1


def test_no_factors():
    assert assembled(factors=()).clinical.shape == (N_CASES, 0)


# --- who is left out --------------------------------------------------------------------------------------------------


def test_reasons_for_leaving_a_case_out():
    cases = changed(make_cases(), "c0", her2=None)
    cases = changed(cases, "c4", entries={"grade": "IV"})
    cases = changed(cases, "c5", entries={"tumor_diameter_mm": "large"})
    table = make_table()
    table = with_values(table, c6={1: NAN, 4: INF, 6: -INF})
    table = FeatureTable(table.case_ids[:-1], table.columns, table.values[:-1])
    data = assembled(cases, table)
    assert data.excluded == (
        Exclusion("c0", "train", "HER2 status unknown or equivocal without ISH"),
        Exclusion("c4", "internal_test", "grade 'IV' does not occur in training"),
        Exclusion("c5", "prospective_test", "tumor_diameter_mm 'large' is no possible value"),
        Exclusion("c6", "train", "more than 20% of the features missing or infinite"),
        Exclusion("c11", "prospective_test", "no features"),
    )
    assert data.case_ids == ("c1", "c2", "c3", "c7", "c8", "c9", "c10") and data.n_given == N_CASES
    np.testing.assert_array_equal(data.clinical[:, 0], [11, 12, 13, 17, 18, 19, 20])
    np.testing.assert_array_equal(data.features, table.values[[1, 2, 3, 7, 8, 9, 10], 1:])
    assert data.dropped_features == 0


def test_derived_factors():
    # Of training and test cases alike; c4 is a test case whose entry is not understood.
    er = ["90%", "<1%", "+", "-", "foo", "", "0", "neg", "1", "80", "pos", "5%"]
    cases = [replace(case, clinical={"er": er[i], "age": str(45 + i)}) for i, case in enumerate(make_cases())]
    data = assembled(cases, factors=("er_status", "age_over_50"))
    assert [(factor.label, factor.levels) for factor in data.factors] == [
        ("ER status", ("negative", "positive")),
        ("Age > 50 years", ("no", "yes")),
    ]
    assert data.excluded == (Exclusion("c4", "internal_test", "er_status 'er = foo' does not occur in training"),)
    np.testing.assert_array_equal(data.clinical[:, 0], [1, 0, 1, 0, NAN, 0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(data.clinical[:, 1], [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    trained = changed(cases, "c2", entries={"er": "foo"})
    assert "Column 'er' of the case table (for er_status): 1 entry is not understood ('foo')" in refusal(
        trained, factors=("er_status",)
    )
    assert "nor 'ki67' to derive it from" in refusal(cases, factors=("ki67_at_least_20",))


def test_levels_of_derived_factors_have_their_own_order():
    histology = ["IDC", "ILC", "invasive ductal"] * 4
    cases = [replace(case, clinical={"histology": histology[i]}) for i, case in enumerate(make_cases())]
    data = assembled(cases, factors=("idc",))
    assert data.factors[0].levels == ("other histology", "IDC")
    np.testing.assert_array_equal(data.clinical[:, 0], [1, 0, 1] * 4)
    # A column of that name is what it is.
    own = [replace(case, clinical={**case.clinical, "idc": "xy"[i % 2]}) for i, case in enumerate(cases)]
    assert assembled(own, factors=("idc",)).factors[0].levels == ("x", "y")


def test_missing_factors_are_kept_or_left_out():
    cases = changed(make_cases(), "c1", entries={"grade": " "})
    kept = assembled(cases)
    assert kept.excluded == () and np.isnan(kept.clinical[1, 1])
    left_out = assembled(cases, impute=False)
    assert left_out.excluded == (Exclusion("c1", "train", "no value of grade"),)
    assert not np.isnan(left_out.clinical).any() and left_out.n_given == N_CASES


def test_a_column_that_the_case_table_has_in_other_cases_only_is_missing():
    cases = [
        replace(case, clinical={k: v for k, v in case.clinical.items() if k != "grade" or case.case_id != "c1"})
        for case in make_cases()
    ]
    assert np.isnan(assembled(cases).clinical[1, 1])


def test_levels_are_those_of_the_training_cases_that_are_used():
    cases = changed(make_cases(), "c0", her2=None, entries={"grade": "I"})
    cases = changed(cases, "c1", entries={"grade": "IV", "tumor_diameter_mm": "nan"})
    table = make_table([c for c in make_table().columns if c != DIAMETER])
    assert assembled(cases, table).factors[1].levels == ("II", "III", "IV")
    assert assembled(cases, table, impute=False).factors[1].levels == ("II", "III")


def test_dataset_without_some_cases():
    data = assembled(changed(make_cases(), "c0", her2=None))
    data = replace(data, images=tuple({"number": name} for name in data.case_ids))
    fewer = data.without({0: "first", 10: "last"})
    assert fewer.case_ids == data.case_ids[1:10] and fewer.n_given == N_CASES
    assert [(e.case_id, e.reason) for e in fewer.excluded[1:]] == [("c1", "first"), ("c11", "last")]
    for name in ("patients", "split", "y", "features", "clinical"):
        np.testing.assert_array_equal(getattr(fewer, name), getattr(data, name)[1:10])
    assert fewer.images == data.images[1:10]
    assert data.without({}).case_ids == data.case_ids


# --- features that are missing ----------------------------------------------------------------------------------------


def test_features_are_dropped_by_training_cases_only():
    table = with_values(make_table(), c0={1: NAN}, c7={7: INF, 8: -1e200}, c4={2: NAN}, c5={3: -INF})
    data = assembled(table=table)
    assert data.excluded == () and data.dropped_features == 3
    assert data.lacking == tuple((table.columns[i], case_id) for i, case_id in ((1, "c0"), (7, "c7"), (8, "c7")))
    assert data.columns == tuple(name for i, name in enumerate(table.columns) if i not in (0, 1, 7, 8))
    assert np.isfinite(data.features[data.rows("train")]).all()
    assert np.isnan(data.features[4, 0]) and np.isnan(data.features[5, 1])
    assert [len(columns) for _, columns in data.blocks] == [4, 3]
    for region, columns in data.blocks:
        assert all(f"__{region}__" in data.columns[c] for c in columns)


def test_cases_that_have_some_features():
    data = assembled(table=with_values(make_table(), c4={1: NAN}, c5={2: 1e300}))
    wanted = np.zeros(len(data.columns), bool)
    assert data.complete(wanted).all()
    wanted[0] = True
    assert np.flatnonzero(~data.complete(wanted)).tolist() == [4]
    wanted[1] = True
    assert np.flatnonzero(~data.complete(wanted)).tolist() == [4, 5]


def test_features_that_a_case_without_outcome_lacks_are_kept():
    cases = changed(make_cases(), "c0", her2=None)
    assert assembled(cases, with_values(make_table(), c0={1: NAN})).dropped_features == 0


def test_columns_that_no_training_case_has_fail_nobody():
    columns = make_columns()
    blank = {column: NAN for column in (1, 2, 3, 6, 7, 8)}
    table = with_values(make_table(), **{f"c{i}": blank for i in range(N_CASES) if i != 4})
    data = assembled(table=table)
    assert data.excluded == () and data.dropped_features == 6
    assert data.columns == tuple(columns[i] for i in (3, 4, 8, 9))
    # One of the four that are left is more than a fifth.
    assert [e.case_id for e in assembled(table=with_values(table, c1={4: NAN})).excluded] == ["c1"]


def test_a_region_that_is_missing_in_a_training_case_is_named():
    table = with_values(make_table(), **{f"c{i}": {6 + i: NAN} for i in range(4)}, c6={10: NAN})
    assert "'peritumoral_5mm'" in refusal(table=table)


# --- tumor diameter ---------------------------------------------------------------------------------------------------


def test_blank_diameters_are_the_measured_ones():
    cases = changed(make_cases(), "c1", entries={"tumor_diameter_mm": ""})
    cases = changed(cases, "c4", entries={"tumor_diameter_mm": "n/a"})
    data = assembled(cases, impute=False)
    assert data.measured_diameters == 2 and data.excluded == ()
    np.testing.assert_array_equal(data.clinical[[0, 1, 4], 0], [10, 20.25, 21])


def test_all_diameters_can_be_measured():
    cases = [replace(case, clinical={}) for case in make_cases()]
    data = assembled(cases, factors=("tumor_diameter_mm",))
    assert data.measured_diameters == N_CASES
    np.testing.assert_array_equal(data.clinical[:, 0], 20 + np.arange(N_CASES) / 4)


@pytest.mark.parametrize("value", [NAN, INF, 0.0, -4.0])
def test_a_diameter_that_could_not_be_measured_is_missing(value):
    cases = changed(make_cases(), "c1", entries={"tumor_diameter_mm": ""})
    table = with_values(make_table(), c1={0: value})
    assert np.isnan(assembled(cases, table).clinical[1, 0]) and assembled(cases, table).measured_diameters == 0
    assert assembled(cases, table, impute=False).excluded[0].reason == "no value of tumor_diameter_mm"


def test_measured_diameters_of_cases_left_out_do_not_count():
    cases = changed(make_cases(), "c1", her2=None, entries={"tumor_diameter_mm": ""})
    assert assembled(cases).measured_diameters == 0


# --- tables of other software -----------------------------------------------------------------------------------------


def test_a_table_without_regions_is_one_region():
    table = make_table(["entropy (bits)", "mean__gray", "age at scan", "diagnostics_Image-original_Mean"])
    data = assembled(table=table, regions=None)
    assert data.columns == table.columns[:3] and [name for name, _ in data.blocks] == [OTHER_REGION]


def test_a_table_with_regions_of_its_own_and_columns_without():
    table = make_table(["image__ring__mean", "entropy", "image__whole lesion__a__b", "image__ring__diagnostics_x"])
    data = assembled(table=table, regions=None)
    assert [(name, columns.tolist()) for name, columns in data.blocks] == [
        ("ring", [0]),
        (OTHER_REGION, [1]),
        ("whole lesion", [2]),
    ]


@pytest.mark.parametrize("column", ["low_energy__lesion__mean", "image____mean", "a__b__c"])
def test_columns_that_name_another_image_or_no_region_are_not_passed_over(column):
    message = refusal(table=make_table(["entropy", column]), regions=None)
    assert f"'{column}'" in message and "Rename" in message


@pytest.mark.parametrize(
    "column", ["her2", "HER2_status", "image__lesion__her2_ish", "FISH", "image__ring__ihc_score", "cerbb2", "Subtype"]
)
def test_a_column_named_like_the_outcome(column):
    message = refusal(table=make_table(["entropy", column]), regions=None)
    assert f"'{column}'" in message and "tells what the model predicts: remove the column" in message


@pytest.mark.parametrize("values", [(0, 1), (1, 0), (1, 2), (-1.5, 3.25)])
def test_a_column_that_is_the_outcome_under_another_name(values):
    table = make_table(["entropy", "label", "mean"])
    table.values[:, 1] = [values[case.her2] for case in make_cases()]
    assert "'label'" in refusal(table=table, regions=None)
    table.values[0, 1] += 0.5
    assert "label" in assembled(table=table, regions=None).columns


def test_a_category_that_is_the_outcome_under_another_name():
    table = make_table(n=60)
    subtypes = {0: ("luminal A", "triple negative"), 1: ("luminal B HER2+", "HER2-enriched")}
    cases = [
        replace(case, clinical={**case.clinical, "kind": subtypes[case.her2][i % 2]})
        for i, case in enumerate(make_cases(60))
    ]
    message = refusal(cases, table, factors=("kind",))
    assert "'kind'" in message and "leave it out" in message
    # One case that is otherwise, or too few that are known, and it may be a finding.
    assembled(changed(cases, "c0", entries={"kind": "luminal A"}), table, factors=("kind",))
    few = [replace(c, clinical={**c.clinical, "kind": ""}) if i >= 24 else c for i, c in enumerate(cases)]
    assert sum(case.her2 for case in few[:24] if case.split == "train") < 10
    assembled(few, table, factors=("kind",))


@pytest.mark.parametrize(
    "name",
    ["fish", "ISH status", "IHC score", "c-erbB-2", "Statut HER2", "immunophenotype", "Immunph\u00e4notyp", "Subtyp"],
)
def test_factors_named_like_the_outcome(name):
    cases = [replace(case, clinical={**case.clinical, name: "ab"[i % 2]}) for i, case in enumerate(make_cases())]
    expected = f"'{name}' tells what the model predicts, it cannot be a clinical factor: leave it out."
    assert refusal(cases, factors=("grade", name)) == expected
    # Nor is it offered in place of a name that is not there.
    assert name not in refusal(cases, factors=("grad",))


def test_other_findings_may_be_factors():
    names = ("microcalcifications", "age_group", "er", "pr", "ki67_ihc", "histologic subtype")
    values = [dict.fromkeys(names, "ab"[i % 2]) for i in range(N_CASES)]
    cases = [replace(case, clinical={**case.clinical, **more}) for case, more in zip(make_cases(), values)]
    assert [factor.name for factor in assembled(cases, factors=names).factors] == [*names]


def test_a_constant_column_is_not_the_outcome():
    table = make_table(["entropy", "label"])
    table.values[:, 1] = 7
    assert "label" in assembled(table=table, regions=None).columns


def test_a_table_without_features():
    assert "no column of a feature" in refusal(table=make_table(["diagnostics_x"]), regions=None)
    assert "region 'combined_5mm'" in refusal(regions=(*REGIONS, "combined_5mm"))


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_the_same_lesion_of_two_patients_is_refused_and_of_one_allowed():
    table = make_table()
    table = with_values(table, c9=dict(enumerate(table.values[2])))
    message = refusal(table=table)
    assert "'c2' and 'c9'" in message and "patient_id" in message
    assert assembled(changed(make_cases(), "c9", patient_id="p2"), table).excluded == ()


def test_copies_on_both_sides_of_the_split_are_refused():
    table = make_table()
    assert "'c2' and 'c4'" in refusal(table=with_values(table, c4=dict(enumerate(table.values[2]))))


def test_few_features_can_be_the_same_by_chance():
    table = make_table(["count", "slices", "grade of texture"])
    table.values[3] = table.values[1]
    assert assembled(table=table, regions=None).excluded == ()


def test_constant_features_make_no_copies():
    table = make_table()
    table.values[:, 1:] = 7.0
    assert assembled(table=table).excluded == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"her2": None}, "(left out: 8 for 'HER2 status unknown"),
        ({"split": "internal_test"}, "No case is in the training split"),
        ({"case_id": "x"}, "(left out: 8 for 'no features')"),
        ({"her2": 0}, "0 HER2-positive and 8 negative patients: at least"),
        ({"patient_id": "p"}, "1 HER2-positive and 1 negative patients: at least 10"),
    ],
)
def test_too_few_training_cases(monkeypatch, change, words):
    monkeypatch.setattr(dataset, "MINIMUM_OF_EACH_CLASS", 10)
    assert words in refusal([replace(case, **change) if case.split == "train" else case for case in make_cases()])


def test_too_few_are_said_before_what_the_few_lack():
    """All but one case failed: not its only diameter is the trouble."""
    table = make_table()
    table.values[1:, 1:] = INF
    assert "(left out: 7 for 'more than 20% of the features" in refusal(table=table)


def test_a_column_that_is_not_there_names_those_that_are():
    message = refusal(factors=("tumor_diameter_mm", "size"))
    assert "'size'" in message and "grade, tumor_diameter_mm" in message and "her2" not in message
    bare = [replace(case, clinical={}) for case in make_cases()]
    assert "leave the factor out" in refusal(bare, factors=("size",))


def test_an_impossible_entry_of_a_training_case_names_it():
    cases = changed(make_cases(), "c7", entries={"tumor_diameter_mm": "-5"})
    assert refusal(cases).startswith("Case 'c7'")


def test_declared_categories():
    cases = [replace(case, clinical={"grade": str(i % 3 + 1)}) for i, case in enumerate(make_cases())]
    assert assembled(cases, factors=("grade",)).factors[0].levels == ()
    assert assembled(cases, factors=("grade",), categorical=("grade",)).factors[0].levels == ("1", "2", "3")
