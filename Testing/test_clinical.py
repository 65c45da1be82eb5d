"""Clinical factors: what a column is taken for, what is refused, and what stands for a missing entry."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.base import clone

from HER2NomogramLib.clinical import MAXIMUM_LEVELS, ClinicalEncoder, Factor, describe_factor
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.modelfile import CLINICAL, Predictor

AGE, GRADE, CALCIFIED = Factor("age"), Factor("grade", ("low", "medium", "high")), Factor("calcified", ("no", "yes"))


def described(name, *texts, categorical=False) -> Factor:
    return describe_factor(name, {f"c{i}": text for i, text in enumerate(texts)}, categorical)


def refusal(name, *texts, categorical=False) -> str:
    with pytest.raises(InputError) as caught:
        described(name, *texts, categorical=categorical)
    message = str(caught.value)
    assert "\n" not in message and name in message and ".." not in message
    return message


# --- what a column is taken for ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "label", "unit"),
    [
        ("age", "Age", "years"),
        ("tumor_diameter_mm", "Tumor diameter", "mm"),
        ("ki67", "Ki-67", "%"),
        ("nuclear_size", "Nuclear size", ""),
    ],
)
def test_numbers_are_numeric(name, label, unit):
    assert described(name, "52", "1e1", "", " 7.5 ") == Factor(name, (), label, unit)


@pytest.mark.parametrize(
    ("texts", "levels"),
    [
        (("0", "1"), ("0", "1")),
        (("1.0", "0.0", "0"), ("0", "1")),
        (("present", "absent"), ("absent", "present")),
        (("Yes", "no", "YES"), ("no", "yes")),
        (("positive", "Negative"), ("negative", "positive")),
    ],
)
@pytest.mark.parametrize("categorical", [False, True])
def test_two_known_words_are_binary_with_the_absence_as_reference(texts, levels, categorical):
    assert described("er", *texts, categorical=categorical) == Factor("er", levels, "ER")


def test_other_texts_are_categories_in_alphabetical_order():
    assert described("histology", "lobular", "ductal", "other", "ductal").levels == ("ductal", "lobular", "other")


def test_spelling_and_spaces_make_no_category():
    factor = described("histology", " Ductal", "lobular ", "ductal", "LOBULAR")
    assert factor.levels == ("Ductal", "lobular")
    assert [factor.parse(text) for text in ("DUCTAL", " lobular")] == [0, 1]


def test_numbers_are_categories_only_where_they_are_declared():
    assert described("grade", "10", "2", "1").levels == ()
    assert described("grade", "10", "2", "1", categorical=True).levels == ("1", "2", "10")


def test_numbers_of_a_spreadsheet_are_the_same_category():
    factor = described("grade", "2.0", "2", "1", "3.00", categorical=True)
    assert factor.levels == ("1", "2", "3")
    assert [factor.parse(text) for text in ("1.0", "2", "3.0")] == [0, 1, 2]


def test_long_codes_stay_apart():
    factor = described("site", "1234567", "1234568", "0.25", categorical=True)
    assert factor.levels == ("0.25", "1234567", "1234568") and factor.parse("1234568") == 2


def test_declared_categories_may_mix_numbers_and_texts():
    assert described("grade", "2", "x", "1", "10", categorical=True).levels == ("1", "2", "10", "x")


def test_a_length_of_zero_and_one_is_no_category():
    assert described("age", "0", "1").levels == ()


def test_as_many_categories_as_are_allowed():
    texts = [f"kind {i}" for i in range(MAXIMUM_LEVELS)]
    assert described("histology", *texts, *texts).levels == tuple(texts)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["large", "23 mm", "inf", "1e308", "<5"])
def test_mixed_text_and_numbers_name_the_case_and_the_way_out(text):
    message = refusal("size", "12", text, "14")
    assert "case 'c1'" in message and f"'{text}'" in message and "--categorical size" in message


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("35,7", "12", "14"), "case 'c0': '35,7' is no number: use a decimal point"),
        (("35,7", "12,1", "14,2"), "use a decimal point"),
        (("59 years", "60 years"), "'59 years' is no number: give it without the unit."),
        (("3.5mm", "2cm"), "give it without the unit"),
        (("50", "#DIV/0!", "60"), "case 'c1': '#DIV/0!' is an error of the spreadsheet"),
        (("50", "unknown", "60"), "leave the cell blank where it is unknown, or declare"),
    ],
)
def test_what_was_meant_as_a_number_says_how_to_write_it(texts, words):
    assert words in refusal("age", *texts)


def test_free_text():
    assert f"{MAXIMUM_LEVELS + 1} different entries" in refusal("note", *(f"t{i}" for i in range(MAXIMUM_LEVELS + 1)))
    assert "no category" in refusal("site", *map(str, range(100, 120)), categorical=True)


@pytest.mark.parametrize("name", ["age", "tumor_diameter_mm"])
@pytest.mark.parametrize("blank", ["", " ", "nan", "NA"])
def test_a_column_without_values(name, blank):
    assert "no value in any training case" in refusal(name, blank, blank)


@pytest.mark.parametrize("texts", [("5", "5.0", "5"), ("absent", "absent", ""), ("Ductal", "ductal"), ("0", "0.0")])
def test_a_column_of_one_value(texts):
    message = refusal("factor", *texts)
    assert "same value in all training cases" in message and texts[0] in message
    assert "same value" in refusal("factor", *texts, categorical=True)


@pytest.mark.parametrize(("name", "text"), [("tumor_diameter_mm", "0"), ("tumor_diameter_mm", "-3"), ("age", "-1")])
def test_numbers_that_cannot_be_name_the_case(name, text):
    message = refusal(name, "12", "14", text)
    assert message.startswith("Case 'c2'") and "cannot be" in message


def test_numbers_without_unit_may_be_negative():
    assert described("z_score", "-1", "0.5", "0").parse("-2") == -2.0


def test_none_as_a_category_would_be_filled_in_unseen():
    assert "reads as a missing entry" in refusal("calcifications", "none", "fine", "coarse")
    assert "case 'c1'" in refusal("calcifications", "present", "None")
    assert described("age", "none", "50", "60").levels == ()


# --- entries ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [AGE, GRADE, CALCIFIED])
@pytest.mark.parametrize("blank", [None, "", "  ", "NaN", "n/a"])
def test_blank_entries_are_missing(factor, blank):
    assert math.isnan(factor.parse(blank))


def test_entries_become_numbers():
    assert AGE.parse(" 51.5 ") == 51.5
    assert [GRADE.parse(text) for text in ("low", "Medium", "HIGH ")] == [0, 1, 2]
    assert [CALCIFIED.parse(text) for text in ("no", "yes", "0", "1")] == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("factor", "text"), [(AGE, "old"), (AGE, "inf"), (GRADE, "4"), (GRADE, "lo"), (CALCIFIED, "2")]
)
def test_unusable_entries_are_refused(factor, text):
    with pytest.raises(InputError, match=f"'{text}'"):
        factor.parse(text)


@pytest.mark.parametrize("factor", [AGE, GRADE, CALCIFIED, Factor("grade", ("1", "2", "3"))])
@pytest.mark.parametrize("text", ["1", "2.0", "yes", "High", "70"])
def test_an_entry_means_the_same_in_training_and_in_the_model(factor, text):
    predictor = Predictor(factor.name, CLINICAL, "", "", 0.0, max(len(factor.levels) - 1.0, 1.0), factor.levels)
    try:
        expected = predictor.parse(text)
    except InputError:
        with pytest.raises(InputError):
            factor.parse(text)
    else:
        assert factor.parse(text) == expected


def test_width():
    assert [factor.width for factor in (AGE, CALCIFIED, GRADE)] == [1, 1, 2]


# --- encoder ----------------------------------------------------------------------------------------------------------

NAN = math.nan
FITTED = np.array([[40.0, 2.0], [50.0, NAN], [NAN, 2.0], [70.0, 0.0]])


def test_fills_are_learned_from_the_fitted_cases_alone():
    encoder = ClinicalEncoder((AGE, GRADE)).fit(FITTED)
    np.testing.assert_array_equal(encoder.fills_, [50.0, 2.0])
    others = np.array([[NAN, NAN], [90.0, 1.0], [90.0, 1.0], [90.0, 1.0]])
    np.testing.assert_array_equal(encoder.transform(others)[0], [50.0, 0.0, 1.0])
    np.testing.assert_array_equal(encoder.fills_, [50.0, 2.0])


def test_columns_of_numbers_and_levels():
    encoded = ClinicalEncoder((GRADE, AGE, CALCIFIED)).fit_transform(
        np.array([[0.0, 40.0, 1.0], [1.0, 50.0, NAN], [2.0, 61.0, 0.0], [NAN, NAN, 1.0], [2.0, NAN, 1.0]])
    )
    np.testing.assert_array_equal(encoded, [[0, 0, 40, 1], [1, 0, 50, 1], [0, 1, 61, 0], [0, 1, 50, 1], [0, 1, 50, 1]])


def test_a_level_that_the_fitted_cases_lack_keeps_its_column():
    encoder = ClinicalEncoder((GRADE,)).fit(np.array([[0.0], [1.0], [1.0]]))
    np.testing.assert_array_equal(encoder.transform(np.array([[2.0], [NAN]])), [[0, 1], [1, 0]])


def test_ties_are_filled_with_the_first_level():
    assert ClinicalEncoder((GRADE,)).fit(np.array([[2.0], [1.0], [NAN]])).fills_ == [1.0]


def test_a_factor_without_any_value_cannot_be_learned():
    with pytest.raises(ValueError, match="'grade' has no value"):
        ClinicalEncoder((AGE, GRADE)).fit(np.array([[1.0, NAN], [2.0, NAN]]))


def test_no_factors_make_no_columns():
    assert ClinicalEncoder().fit_transform(np.empty((3, 0))).shape == (3, 0)


def test_encoder_is_cloned_without_what_it_learned():
    assert not hasattr(clone(ClinicalEncoder((AGE, GRADE)).fit(FITTED)), "fills_")
