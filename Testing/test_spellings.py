"""How entries of real tables are written, and what they mean."""

from __future__ import annotations

import math

import pytest

from HER2NomogramLib.spellings import (
    age,
    can_be_score,
    density,
    density_is_numbered,
    ihc_score,
    is_dash,
    is_idc,
    is_missing,
    is_signed,
    ish_status,
    number,
    percentage,
    presence,
    receptor_status,
    unclear_receptor_numbers,
)

READERS = (ihc_score, ish_status, receptor_status, percentage, age, density, presence, is_idc)


def readings(*meanings):
    """Pairs of an entry and its meaning from lists of entries of one meaning."""
    return [pytest.param(text, meaning, id=repr(text)) for meaning, *texts in meanings for text in texts]


# --- missing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", " ", "nan", "None", "NA", "n/a", "N.A.", "unknown", "Unk", "missing", "Not done", "not available", "?", ".",
     "_", "not reported", "unbekannt", "keine Angabe", "k.A.", "sconosciuto"],
)  # fmt: skip
def test_missing(text):
    assert is_missing(text)
    assert [reader(text) for reader in READERS] == [None] * len(READERS)


@pytest.mark.parametrize("text", ["0", "-", "no", "negative", "99", "nd", "#N/A", "unclear", "none of these"])
def test_not_missing(text):
    assert not is_missing(text)


def test_words_that_the_user_calls_missing():
    assert is_missing("99", ("99", "xx")) and is_missing(" XX ", ("99", "xx")) and is_missing("-", ("-",))
    assert not is_missing("9", ("99",))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", ["rubbish", "see report", "#REF!", "positive?", "2020-01-02", "1-2-3"])
def test_what_is_not_understood_says_what_to_write(reader, text):
    if reader is is_idc and text[0] in "rsp":
        # Any other words are another histology.
        assert is_idc(text) is False
        return
    with pytest.raises(ValueError, match="write "):
        reader(text)


# --- HER2 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "score"),
    readings(
        ("0", "0", "0+", "0.0", "score 0", "IHC 0", "HER2 0"),
        ("1+", "1", "1+", "+", "(+)", "1.0", "+1", "1 +", "IHC: 1+"),
        ("2+", "2", "2+", "++", "(++)", "2.0", "2,0", "equivocal", "Borderline", "score 2", "IHC 2+", "HER2 2+",
         "HER-2/neu 2+", "äquivok"),
        ("3+", "3", "3+", "+++", "3.0", "positive", "Positiv", "pos.", "HER2 IHC 3+"),
        ("negative", "negative", "neg", "negativo", "0/1+", "0-1+", "0 or 1+", "1+/0"),
    ),
)  # fmt: skip
def test_ihc_score(text, score):
    assert ihc_score(text) == score


@pytest.mark.parametrize("text", ["4", "4+", "2+/3+", "1-2+", "1+ to 2+", "10", "0.5", "++++", "low", "amplified"])
def test_no_ihc_score(text):
    with pytest.raises(ValueError, match=r"0, 1\+, 2\+ or 3\+"):
        ihc_score(text)


@pytest.mark.parametrize(
    ("text", "positive"),
    readings(
        (True, "positive", "Pos", "+", "1", "1.0", "amplified", "FISH+", "FISH +", "FISH positive", "yes", "HER2+",
         "HER2-positive", "HER2 positive", "amplifiziert", "ja", "SISH: amplified", "TRUE"),
        (False, "negative", "neg.", "-", "−", "–", "0", "0.0", "not amplified", "non-amplified", "nonamplified",
         "unamplified", "no amplification", "nicht amplifiziert", "FISH-", "FISH negative", "no", "HER2-",
         "HER2-negative", "non amplificato", "négatif", "false"),
        (None, "equivocal", "pending", "FISH pending", "not done", "indeterminate", "ausstehend"),
    ),
)  # fmt: skip
def test_ish(text, positive):
    assert ish_status(text) is positive


@pytest.mark.parametrize("text", ["2+", "2.3", "ratio 2.3", "FISH", "+/-", "HER2 low", "2"])
def test_no_ish(text):
    with pytest.raises(ValueError, match="positive or negative"):
        ish_status(text)


# --- receptors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "positive"),
    readings(
        (True, "positive", "Pos", "+", "++", "+++", "1", "1.0", "90%", "90", "90 %", "1%", "1-10%", ">= 1%", "≥1%",
         "> 90%", "positive (90%)", "positive, 90 %", "pos 80%", "ER+", "ER positive", "ER-positive", "weakly positive",
         "low positive (5%)", "15,5%", "100", "PgR +", "yes", "positivo 70%"),
        (False, "negative", "neg", "-", "0", "0.0", "0%", "<1%", "< 1 %", "<1", "0.5%", "negative (0%)", "neg (<1%)",
         "ER-", "ER negative", "no", "(-)"),
    ),
)  # fmt: skip
def test_receptors(text, positive):
    assert receptor_status(text) is positive


@pytest.mark.parametrize(
    "text", ["0.9", "0,5", "<0.5", "<10%", "0-5%", "positive (0%)", "negative (90%)", "101", "7/8", "H 120", "-5", "±"]
)
def test_receptors_that_are_not_decided(text):
    with pytest.raises(ValueError, match="with a % sign"):
        receptor_status(text)


@pytest.mark.parametrize(
    ("texts", "unclear"),
    [
        (["8", "0", "5", "2", ""], {"8", "0", "5", "2"}),
        (["1", "2"], {"1", "2"}),
        (["1.0", "2,0", "pos"], {"1.0", "2,0"}),
        (["12", "ER 3", "<1%", "5%"], {"12", "ER 3"}),
        (["1", "0", "1.0", "neg"], set()),
        (["8", "0", "13"], set()),
        (["8", "0", "90%"], set()),
        (["8", "30-40"], set()),
        (["8", "> 80"], set()),
        (["8", "2.5"], set()),
        (["pos", "neg", "3+", "7/8", "10%"], set()),
        ([], set()),
    ],
)
def test_numbers_of_receptors_that_can_be_scores(texts, unclear):
    assert unclear_receptor_numbers(texts) == unclear


def test_one_number_of_a_receptor_that_can_be_a_score():
    assert all(map(can_be_score, ("2", "12", "5.0", "PR 8", "ER: 3")))
    assert not any(map(can_be_score, ("0", "1", "13", "2.5", "5%", "<5", "3+", "pos", "")))


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("15", 15, 15), ("15%", 15, 15), ("15,5 %", 15.5, 15.5), ("15-20", 15, 20), ("15% - 20%", 15, 20), ("≤ 14", 0, 14),
     ("15–20 %", 15, 20), ("15 to 20", 15, 20), (">=30", 30, 100), ("ca. 20%", 20, 20), ("~20", 20, 20), ("0", 0, 0),
     ("100%", 100, 100)],
)  # fmt: skip
def test_percentages(text, low, high):
    assert percentage(text) == (low, high)


def test_open_bounds_of_percentages():
    low, high = percentage("<5")
    assert low == 0 and 4.999 < high < 5
    low, high = percentage("> 30 %")
    assert 30 < low < 30.001 and high == 100


@pytest.mark.parametrize("text", ["101", "-5", "20-15", "high", "5-", "1.2.3", "<0", ">100", "20 mm"])
def test_no_percentages(text):
    with pytest.raises(ValueError, match="from 0 to 100"):
        percentage(text)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("54", 54, 54),
        ("54 years", 54, 54),
        ("54y", 54, 54),
        ("54 Jahre", 54, 54),
        ("61,5", 61.5, 61.5),
        ("50-55", 50, 55),
    ],
)
def test_ages(text, low, high):
    assert age(text) == (low, high)


def test_ages_that_are_hidden_or_impossible():
    low, high = age(">89")
    assert 89 < low < 90 and high == 120
    for text in ("1954", "121", "54 mm", "19.03.1954"):
        with pytest.raises(ValueError, match="age in years"):
            age(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("3.5", 3.5), ("3,5", 3.5), ("-1.5", -1.5), ("1e3", 1000), ("0,125", 0.125), (".5", 0.5)],
)
def test_numbers(text, value):
    assert number(text) == value


@pytest.mark.parametrize("text", ["1,234", "1,234,567", "12 mm", "1.2.3", "", "nan", "inf", "1 2"])
def test_no_numbers(text):
    with pytest.raises(ValueError, match="write "):
        number(text)


# --- density ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "category"),
    readings(
        ("A", "A", "a", "ACR A", "ACR-A", "type a", "BI-RADS a", "25", "25%", "0", "<25%", "0-25%", "I", "ACR 1",
         "almost entirely fatty"),
        ("B", "b", "ACR B", "26%", "50", "25-50%", "26-50", "ACR II", "B - scattered", "scattered fibroglandular",
         "BI-RADS 2"),
        ("C", "C", "BI-RADS C", "BIRADS: C", "51", "75 %", "50-75%", "heterogeneously dense", "category 3", "(c)"),
        ("D", "d", "type d", "76", ">75%", "75-100%", "100", "extremely dense", "ACR IV", "iv", "Typ D"),
    ),
)  # fmt: skip
def test_density(text, category):
    assert density(text) == category


@pytest.mark.parametrize("text", ["E", "A/B", "B-C", "40-60%", "<50%", ">50%", "0.3", "dense", "ACR 5", "V", "101"])
def test_no_density(text):
    with pytest.raises(ValueError, match="A, B, C or D"):
        density(text)


def test_numbered_densities_are_of_a_whole_column():
    assert density_is_numbered(["1", "4", "_", "", "2.0", "iii"])
    assert not density_is_numbered(["1", "4", "30"]) and not density_is_numbered(["B", "2"])
    assert not density_is_numbered(["", "_"]) and not density_is_numbered(["2.5", "3"])
    assert [density(text, numbered=True) for text in ("1", "2", "3", "4", "2.0")] == ["A", "B", "C", "D", "B"]
    assert density("2") == "A"
    # A percentage stays one also there.
    assert density("2%", numbered=True) == "A"


# --- presence and histology -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "there"),
    readings(
        (True, "yes", "Y", "present", "1", "1.0", "+", "pos", "TRUE", "t", "ja", "vorhanden", "sì", "oui", "presenti"),
        (False, "no", "N", "absent", "0", "-", "neg", "False", "nein", "nicht vorhanden", "assenti", "keine", "non"),
    ),
)
def test_presence(text, there):
    assert presence(text) is there


@pytest.mark.parametrize("text", ["2", "maybe", "few", "yes/no", "++"])
def test_no_presence(text):
    with pytest.raises(ValueError, match="yes or no"):
        presence(text)


@pytest.mark.parametrize(
    ("text", "idc"),
    readings(
        (True, "IDC", "idc", "IDC + DCIS", "IDC/DCIS", "Invasive ductal carcinoma", "infiltrating ductal ca",
         "invasive ductal carcinoma with ductal carcinoma in situ", "NST", "invasive carcinoma, no special type",
         "invasive carcinoma NOS", "IDC-NST", "invasives duktales Karzinom", "carcinoma duttale infiltrante",
         "carcinome canalaire infiltrant", "ductal, invasive", "invasiv-duktal", "DCIS with IDC"),
        # In situ components, with whatever adjectives.
        (True, "IDC and lobular carcinoma in situ", "IDC + LCIS", "IDC with cribriform DCIS", "IDC + DCIS (papillary)",
         "IDC with papillary and cribriform DCIS", "IDC and DCIS, solid and cribriform", "IDC with mucinous DCIS",
         "IDC, DCIS with cribriform pattern", "IDC with high-grade DCIS, comedo type", "IDC and mixed DCIS",
         "invasive ductal and in situ lobular carcinoma", "infiltrating ductal and lobular carcinoma in situ",
         "invasive and in situ ductal carcinoma", "IDC with intraductal papillary carcinoma",
         "invasives duktales Karzinom mit lobulärem Carcinoma in situ", "IDC with atypical lobular hyperplasia",
         "carcinoma duttale infiltrante con carcinoma lobulare in situ", "IDC with cancerization of lobules",
         "carcinome canalaire infiltrant et carcinome lobulaire in situ", "IDC arising in intraductal papilloma"),
        # Grading, spread and patterns.
        (True, "IDC, tubule formation 3", "IDC, tubular formation 3, nuclear 2", "IDC (tubules 3)",
         "IDC, tubular differentiation 2", "IDC with Paget disease", "IDC, Morbus Paget",
         "invasive ductal carcinoma, inflammatory", "invasive carcinoma NST with medullary pattern",
         "IDC with lobular features", "NST with apocrine and medullary features"),
        (False, "ILC", "lobular", "invasive lobular carcinoma", "DCIS", "ductal carcinoma in situ", "mixed IDC/ILC",
         "mixed ductal and lobular", "invasive ductal and lobular carcinoma", "mucinous", "other",
         "duktales Carcinoma in situ", "intraductal carcinoma", "carcinoma duttale in situ",
         "non-IDC", "not IDC", "medullary", "LCIS", "Paget"),
        (False, "IDC and ILC", "IDC and ILC with LCIS", "invasive ductal and mucinous carcinoma",
         "IDC + tubular carcinoma", "IDC and mucinous carcinoma with DCIS", "mixed IDC and ILC, DCIS",
         "IDC with lobular component", "IDC and invasive lobular carcinoma, LCIS", "IDC and DCIS (and ILC)",
         "IDC with DCIS, mucinous carcinoma", "IDC, DCIS, papillary carcinoma",
         "invasive lobular and in situ ductal carcinoma", "ILC with DCIS", "tubular carcinoma",
         "tubular carcinoma with DCIS", "papillary carcinoma and DCIS", "cribriform DCIS",
         "invasive micropapillary carcinoma", "DCIS (papillary)", "DCIS and LCIS", "Paget disease with DCIS",
         "lobular carcinoma in situ", "DCIS with lymphocytic infiltrate", "NST with metaplastic features",
         "mucinous carcinoma with papillary pattern", "intraductal papilloma", "inflammatory carcinoma"),
    ),
)  # fmt: skip
def test_histology(text, idc):
    assert is_idc(text) is idc


@pytest.mark.parametrize("text", ["1", "2.0", "ductal", "ductal carcinoma", "invasive carcinoma"])
def test_histologies_that_can_be_two_things(text):
    with pytest.raises(ValueError, match="IDC"):
        is_idc(text)


# --- columns ----------------------------------------------------------------------------------------------------------


def test_signs():
    assert is_signed(["-", "+"]) and is_signed(["(++)", "x"])
    assert not is_signed(["-", "1+", "2+", "pos"]) and not is_signed([])
    assert all(map(is_dash, ("-", "–", "—", "−", " - ", "(-)", "--", "---")))
    assert not any(map(is_dash, ("", "-1", "+", "a-b")))


def test_bounds_are_numbers():
    for text in ("<5", ">30", "15-20", "7"):
        assert all(math.isfinite(value) for value in percentage(text))
