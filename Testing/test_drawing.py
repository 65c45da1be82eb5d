"""What all pictures share: saving, settings of the session, text on a page, styles."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from conftest import MODULE_DIRECTORY
from pictures import EXAMPLES, assert_legible, written

matplotlib = pytest.importorskip("matplotlib")

from HER2NomogramLib.drawing import CURVES, MODEL_LABELS, Page, model_styles, save_figure
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.modelfile import LOGISTIC_MODELS


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_picture_has_its_title_and_notice_and_can_be_read(name):
    figure = EXAMPLES[name]("Überschrift: 5 $ or 6 $")
    text = " ".join(written(figure))
    assert "Überschrift: 5 $ or 6 $" in text
    assert "Research use only" in text
    assert_legible(figure)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_picture_can_do_without_a_title(name):
    assert_legible(EXAMPLES[name](""))


@pytest.mark.parametrize("name", EXAMPLES)
def test_svg_keeps_text_as_text_and_is_the_same_every_time(name, tmp_path):
    paths = [save_figure(EXAMPLES[name]("A <b> & $c$"), tmp_path / f"{number}.svg") for number in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    tree = ElementTree.parse(paths[0])
    nodes = ["".join(node.itertext()) for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert "A <b> & $c$" in nodes and any(text.startswith("DEMONSTRATION MODEL") for text in nodes)
    assert "dc:date" not in paths[0].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EXAMPLES)
def test_settings_of_the_session_neither_change_nor_matter(name, tmp_path):
    def pictures(stem: str) -> list[bytes]:
        figure = EXAMPLES[name]("Title")
        return [save_figure(figure, tmp_path / f"{stem}{suffix}").read_bytes() for suffix in (".png", ".svg")]

    expected = pictures("plain")
    odd = {"savefig.bbox": "tight", "lines.linewidth": 4, "axes.grid": True, "svg.fonttype": "path", "font.size": 30}
    odd.update({"font.family": "serif", "axes.facecolor": "red", "savefig.transparent": True, "lines.marker": "x"})
    odd.update({"axes.spines.left": False, "xtick.top": True, "axes.labelpad": 30, "errorbar.capsize": 9})
    with matplotlib.rc_context(odd):
        before = dict(matplotlib.rcParams)
        found = pictures("odd")
        assert dict(matplotlib.rcParams) == before
    assert found == expected


def test_png_has_the_size_of_the_page(tmp_path):
    from PIL import Image

    path = save_figure(EXAMPLES["flow"](""), tmp_path / "new" / "flow.PNG", dpi=100)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.width == 700


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "nomogram.svg"
    path.write_text("old", encoding="utf-8")
    figure = EXAMPLES["nomogram"]("")

    def fail_half_way(temporary, **_):
        with open(temporary, "w", encoding="utf-8") as stream:
            stream.write("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", fail_half_way)
    with pytest.raises(InputError, match="No space left"):
        save_figure(figure, path)
    assert path.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["nomogram.svg"]


def test_other_formats_and_unwritable_places_are_refused_in_one_line(tmp_path):
    figure = EXAMPLES["flow"]("")
    with pytest.raises(InputError, match=r"\.png or \.svg"):
        save_figure(figure, tmp_path / "flow.pdf")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be written"):
        save_figure(figure, tmp_path / "file" / "flow.png")


def test_neither_pyplot_nor_a_backend_is_touched():
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from pictures import EXAMPLES\n"
        "from HER2NomogramLib.drawing import save_figure\n"
        "assert 'matplotlib' not in sys.modules\n"
        "import tempfile, os\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    for make in EXAMPLES.values():\n"
        "        figure = make('')\n"
        "        save_figure(figure, os.path.join(folder, 'a.png'))\n"
        "        save_figure(figure, os.path.join(folder, 'a.svg'))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    run = [sys.executable, "-c", code, str(MODULE_DIRECTORY), os.path.dirname(__file__)]
    completed = subprocess.run(run, capture_output=True, text=True, timeout=120)
    assert completed.returncode == 0, completed.stderr


def test_a_model_looks_the_same_whichever_others_are_in_a_figure():
    assert tuple(MODEL_LABELS) == LOGISTIC_MODELS
    styles = model_styles(LOGISTIC_MODELS)
    assert model_styles(["clinical"]) == {"clinical": styles["clinical"]}
    assert styles["nomogram"] == CURVES[0]
    others = model_styles([*LOGISTIC_MODELS, "a", "b"])
    # Dashes, because a report may be printed in gray.
    assert len({str(dashes) for _, dashes in others.values()}) == 5


def test_text_is_broken_into_lines_of_the_width_and_cut_at_the_last():
    page = Page(4.0)
    lines = page.wrap("one two three four five six seven eight nine ten", 0.8, 8, most=3)
    assert len(lines) == 3 and lines[0].startswith("one") and lines[-1].endswith("…")
    assert all(page.text_width(line, 8) <= 0.8 for line in lines)
    assert "".join(page.wrap("x" * 60, 1.0, 8, most=9)) == "x" * 60
    assert page.wrap("  ", 1.0, 8) == []


def test_entries_of_a_legend_stay_inside_and_apart():
    page = Page(3.4)
    names = ["short", "a text that is quite a bit longer", "short", "m" * 90, "last"]
    bottom = page.legend([(name, [{"color": "red"}]) for name in names], 0.2, 0.1, 3.2)
    figure = page.close(bottom)
    assert_legible(figure)
    assert max(text.get_window_extent().x1 for text in page.axes.texts) <= 3.2 * figure.dpi
    assert "".join(written(figure)).count("m") == 90
