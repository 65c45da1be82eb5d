"""The flow of cases: numbers that add up, in boxes that hold their text."""

from __future__ import annotations

import pytest
from pictures import NOTICE, assert_legible, shown_texts, written

pytest.importorskip("matplotlib")

from HER2NomogramLib.flow_plot import flow_figure

REASONS = {"no features": 3, "HER2 status unknown or equivocal without ISH": 7, "no value of Größe $x$": 1}
SPLITS = {"Training": (84, 33), "Internal test": (22, 8), "Prospective test": (25, 0)}


def boxes(figure) -> list:
    """Extents of the boxes on the page, from above and from the left."""
    found = [patch.get_window_extent() for patch in figure.axes[0].patches]
    return sorted(found, key=lambda box: (-round(box.y1), box.x0))


def test_all_numbers_are_there():
    figure = flow_figure(142, REASONS, SPLITS, "Fluss der Fälle", notice=NOTICE)
    text = written(figure)
    for expected in (
        "142 cases in the case table",
        "11 cases excluded",
        "HER2 status unknown or equivocal without ISH",
        "131 cases analyzed",
        "41 HER2-positive (31%)",
        "Training",
        "84 cases",
        "33 HER2-positive (39%)",
        "0 HER2-positive (0%)",
    ):
        assert expected in text
    rows = {t.get_text(): t.get_position()[1] for t in shown_texts(figure)}
    for reason, count in REASONS.items():
        assert rows[reason] == rows[str(count)]
    # The most frequent reason comes first.
    assert rows["HER2 status unknown or equivocal without ISH"] < rows["no features"] < rows["no value of Größe $x$"]
    assert len(boxes(figure)) == 6


@pytest.mark.parametrize(
    ("excluded", "splits"),
    [
        (REASONS, SPLITS),
        ({}, SPLITS),
        ({}, {"Training": (84, 33)}),
        (REASONS, {"Prospective test of the second hospital, all its years": (25, 25)}),
        (REASONS, {"Training": (0, 0), "Internal test": (1, 1)}),
        ({f"a reason that is long and says in many words what is missing in case {n}": 1 for n in range(30)}, SPLITS),
        ({"Averyveryverylongreasonwithoutanyspacethatgoesonandonandonandonandonandon": 1200}, SPLITS),
        ({}, {f"Hospital {n}": (10, 4) for n in range(5)}),
    ],
)
def test_text_is_inside_of_its_box_and_boxes_are_apart(excluded, splits):
    given = sum(excluded.values()) + sum(n for n, _ in splits.values())
    figure = flow_figure(given, excluded, splits, "Flow", notice=NOTICE)
    assert_legible(figure)
    found = boxes(figure)
    for index, a in enumerate(found):
        assert all(a.x1 < b.x0 or b.x1 < a.x0 or a.y0 > b.y1 or b.y0 > a.y1 for b in found[index + 1 :])
    outside = []
    for text in shown_texts(figure):
        text.set_bbox(None)
        extent = text.get_window_extent()
        inside = [box for box in found if box.x0 < extent.x0 and extent.x1 < box.x1]
        if not any(box.y0 < extent.y0 and extent.y1 < box.y1 for box in inside):
            outside.append(text.get_text())
    assert outside[0] == "Flow" and "".join(outside[1:]).replace(" ", "") == NOTICE.replace(" ", "")


def test_rare_reasons_are_summed_up():
    reasons = {f"reason {number}": 20 - number for number in range(12)}
    text = written(flow_figure(sum(reasons.values()) + 1, reasons, {"Training": (1, 0)}))
    assert "reason 7" in text and "reason 8" not in text
    assert "4 other reasons" in text and str(12 + 11 + 10 + 9) in text


def test_one_split_needs_no_box_for_all_of_them():
    text = written(flow_figure(25, {}, {"Prospective test": (25, 9)}))
    assert "Prospective test" in text and "25 cases analyzed" not in text


def test_event_has_the_name_that_is_asked_for():
    text = written(flow_figure(25, {}, {"Analyzed": (25, 9)}, event="with Microcalcifications: present"))
    assert "9 with Microcalcifications: present (36%)" in text and not any("HER2" in part for part in text)
    text = written(flow_figure(30, {}, {"A": (25, 9), "B": (5, 1)}, event="with recurrence"))
    assert {"10 with recurrence (33%)", "9 with recurrence (36%)", "1 with recurrence (20%)"} <= set(text)


def test_numbers_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="143 cases less 11 excluded ones are not the 131"):
        flow_figure(143, REASONS, SPLITS)
    with pytest.raises(ValueError, match="no split"):
        flow_figure(0, {}, {})
