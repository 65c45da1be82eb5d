"""The reporting checklists: complete, numbered as published, and open where only the author can answer."""

from __future__ import annotations

import json
import re
from collections import defaultdict

import pytest
import results

from HER2NomogramLib.checklists import (
    ANSWERED,
    CHECKLISTS,
    DEVELOPMENT,
    EVALUATION,
    NOT_APPLICABLE,
    OPEN,
    PARTLY,
    TO_COMPLETE,
    fill_checklist,
    report_directory,
)
from HER2NomogramLib.report_content import development_content, evaluation_content

# Items with their sub-items as in table 2 of BMJ 2024;385:e078378.
TRIPOD_AI = (
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16 17 "
    "18a 18b 18c 18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c"
).split()
ONLY_DEVELOPMENT = {"9a", "12a", "12b", "12c", "15", "22", "27a", "27b"}
ONLY_EVALUATION = {"12f", "12g", "20c", "24"}


def entries(name):
    return json.loads((report_directory() / f"{name}.json").read_text(encoding="utf-8"))["items"]


def filled(name, kind=DEVELOPMENT, sections=()):
    return fill_checklist(name, kind, defaultdict(lambda: "Known."), sections)


@pytest.fixture(scope="module")
def contents():
    return {
        DEVELOPMENT: development_content(results.developed()),
        EVALUATION: evaluation_content(results.evaluated("logistic")),
    }


def test_tripod_ai_has_all_items_and_says_what_they_apply_to():
    items = filled("tripod_ai").items
    assert [item.number for item in items] == TRIPOD_AI
    assert len({re.match(r"\d+", item.number).group() for item in items}) == 27
    assert {item.number for item in items if item.applies == "D"} == ONLY_DEVELOPMENT
    assert {item.number for item in items if item.applies == "E"} == ONLY_EVALUATION
    assert {item.applies for item in items} == {"D", "E", "D;E"}


def test_tripod_ai_sections_stand_where_the_statement_has_them():
    first = {}
    for item in filled("tripod_ai").items:
        first.setdefault(item.section, item.number)
    assert first == {
        "Title": "1",
        "Abstract": "2",
        "Introduction": "3a",
        "Methods": "5a",
        "Open science": "18a",
        "Patient and public involvement": "19",
        "Results": "20a",
        "Discussion": "25",
    }


def test_clear_has_58_items_in_its_sections():
    items = filled("clear").items
    assert [item.number for item in items] == [str(number) for number in range(1, 59)]
    first = {}
    for item in items:
        first.setdefault(item.section.partition(":")[0], int(item.number))
    assert first == {
        "Title": 1,
        "Abstract": 2,
        "Keywords": 3,
        "Introduction": 4,
        "Method": 7,
        "Results": 44,
        "Discussion": 49,
        "Open science": 53,
    }


@pytest.mark.parametrize("name", CHECKLISTS)
def test_every_item_says_something_or_asks_for_it(name):
    for item in filled(name).items:
        assert item.topic and item.text.endswith("."), item.number
        assert item.answer or item.todo, item.number
        expected = {(True, False): ANSWERED, (True, True): PARTLY, (False, True): OPEN}
        assert item.status == expected[bool(item.answer), bool(item.todo)], item.number
        assert not item.todo or item.todo.startswith(TO_COMPLETE), item.number


@pytest.mark.parametrize("name", CHECKLISTS)
def test_sources_are_cited(name):
    checklist = filled(name)
    assert "CC BY" in checklist.citation and "doi:10." in checklist.citation
    comment = json.loads((report_directory() / f"{name}.json").read_text(encoding="utf-8"))["comment"]
    assert "checked against" in comment and "paraphrases" in comment


def test_what_the_software_cannot_know_is_open():
    open_items = {item.number for item in filled("tripod_ai").items if item.status == OPEN}
    assert {"3c", "5a", "5b", "6a", "8b", "8c", "17", "18a", "18b", "18c", "18d", "19", "25", "27c"} <= open_items
    assert {"8", "13", "20", "50", "51"} <= {item.number for item in filled("clear").items if item.status == OPEN}


def test_items_of_development_do_not_apply_to_an_evaluation():
    items = filled("tripod_ai", EVALUATION).items
    assert {item.number for item in items if item.status == NOT_APPLICABLE} == ONLY_DEVELOPMENT
    assert not any(item.todo or item.see for item in items if item.status == NOT_APPLICABLE)
    assert filled("tripod_ai").count(NOT_APPLICABLE) == 0


@pytest.mark.parametrize("kind", (DEVELOPMENT, EVALUATION))
@pytest.mark.parametrize("name", CHECKLISTS)
def test_every_fact_that_an_item_names_is_known(contents, name, kind):
    content = contents[kind]
    named = re.findall(r"{(\w+)}", json.dumps([entry.get("known", "") for entry in entries(name)]))
    assert named and set(named) <= set(content.facts)
    for item in content.checklists[name].items:
        assert "{" not in item.answer and "None." not in item.answer.replace("None.", "", 1), item.number
        assert "  " not in item.answer


@pytest.mark.parametrize("name", CHECKLISTS)
def test_items_refer_to_sections_that_some_report_has(contents, name):
    known = {section.id for content in contents.values() for section in content.sections}
    for entry in entries(name):
        assert set(entry.get("see", ())) <= known, entry["number"]
        assert set(entry) <= {"number", "section", "topic", "applies", "text", "known", "open", "see"}


def test_only_sections_of_the_report_are_referred_to():
    item = next(item for item in filled("tripod_ai", sections=["cases"]).items if item.number == "12a")
    assert item.see == ("cases",)


def test_braces_in_texts_of_the_user_stay_text():
    facts = defaultdict(lambda: "Known.", intended_use="{digest} {0} {")
    item = next(item for item in fill_checklist("tripod_ai", DEVELOPMENT, facts, ()).items if item.number == "3b")
    assert item.answer.endswith("{digest} {0} {")


def test_answers_are_those_of_the_study(contents):
    answers = {item.number: item.answer for item in contents[DEVELOPMENT].checklists["tripod_ai"].items}
    assert "84 cases, 21 HER2-positive" in answers["21"]
    assert "nested cross-validation (5 folds, 2 times)" in answers["12c"]
    assert "Age in 8 (6%)" in answers["11"]
    assert contents[DEVELOPMENT].digest in answers["22"]
    of_clear = {item.number: item.answer for item in contents[DEVELOPMENT].checklists["clear"].items}
    assert of_clear["27"] == "18 features of 3 regions (6 of each)."
    assert "32 gray levels" in of_clear["23"] and "Wavelet" in of_clear["24"]
