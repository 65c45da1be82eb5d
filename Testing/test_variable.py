"""Rows and levels of variables, and what stays known of missing values, worked out by hand."""

from __future__ import annotations

import numpy as np

from HER2NomogramLib.clinical import Factor
from HER2NomogramLib.variable import Variable

NAN = float("nan")


def subtype():
    """Rows 1, 3 and 5 lack a value; of row 5 nothing is known. No row has the first or the third level."""
    return Variable(
        Factor("subtype", ("LA", "LB-", "LB+", "HER2", "TN")),
        np.array([3.0, NAN, 1.0, NAN, 4.0, NAN]),
        frozenset(["er", "ki67"]),
        why_missing={1: "no Ki-67", 3: "no Ki-67"},
        possible={1: frozenset({0, 1}), 3: frozenset({0, 2})},
    )


def test_rows_take_what_is_known_of_missing_values_along():
    for kept in (np.array([3, 0, 1]), [3, 0, 1]):
        some = subtype().rows(kept)
        np.testing.assert_array_equal(some.values, [NAN, 3.0, NAN])
        assert some.possible == {0: {0, 2}, 2: {0, 1}} and some.why_missing == dict.fromkeys((0, 2), "no Ki-67")
    masked = subtype().rows(np.array([True, True, False, False, False, True]))
    assert masked.possible == {1: {0, 1}} and list(masked.why_missing) == [1]


def test_levels_are_numbered_anew_where_some_are_left_out():
    left = subtype().without_empty_levels()
    assert left.levels == ("LB-", "HER2", "TN")
    np.testing.assert_array_equal(left.values, [1.0, NAN, 0.0, NAN, 2.0, NAN])
    # Of row 3 no possible level is left.
    assert left.possible == {1: {0}} and len(left.why_missing) == 2
    whole = left.without_empty_levels()
    assert whole is left and Variable(Factor("age"), np.array([NAN, 1.0]), frozenset()).possible == {}
