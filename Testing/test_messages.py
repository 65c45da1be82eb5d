"""Parts of messages."""

from __future__ import annotations

import pytest

from HER2NomogramLib.messages import enumerated, one_line, quoted


def test_names_in_quotes():
    assert quoted([]) == "" and quoted(["a", "b c"]) == "'a', 'b c'"
    assert quoted(["a", "b", "c"], 2) == "'a', 'b' and 1 more"
    assert quoted([str(i) for i in range(22)]).endswith("'19' and 2 more")


def test_numbers_and_names():
    assert enumerated([2, 13, 40], 2) == "2, 13 and 1 more"
    assert enumerated(["a"], 1) == "a"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\n  second line.\n"), "first second line"),
        (MemoryError(), "MemoryError"),
        ("e" * 300, "e" * 200 + " ..."),
        ("e" * 198 + ". " + "e" * 100, "e" * 198 + " ..."),
    ],
)
def test_what_an_error_says_on_one_line(error, line):
    assert one_line(error) == line
