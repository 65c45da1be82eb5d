"""The process that compiles the fast feature engine beside Slicer."""

from __future__ import annotations

import sys

import pytest
from conftest import wait_until

from HER2NomogramLib import command, features, preparation
from HER2NomogramLib.engine import extraction
from HER2NomogramLib.errors import InputError
from HER2NomogramLib.preparation import EnginePreparation

HANG = "import time; time.sleep(600)"


def started(program: str) -> EnginePreparation:
    return EnginePreparation([sys.executable, "-c", program])


def to_its_end(process: EnginePreparation, seconds: float = 20.0) -> EnginePreparation:
    wait_until(lambda: not process.update(), seconds)
    return process


def test_the_engine_is_prepared_by_a_process_of_its_own():
    """Without a stub; with nothing on disk it compiles."""
    pytest.importorskip("numba")
    process = to_its_end(EnginePreparation(), 300)
    assert process.output == ""
    assert not process.not_kept


def test_that_it_compiles_is_told_while_it_does():
    process = started(f"print('some other line'); print('compiling', flush=True); {HANG}")
    wait_until(lambda: process.update() and process.compiling)
    assert not process.not_kept
    process.stop()
    assert not process.update()
    process.stop()


def test_what_is_on_disk_is_loaded_without_a_word():
    process = to_its_end(started("print('a launcher is talkative')"))
    assert not (process.compiling or process.not_kept or process.output)


def test_code_that_is_not_kept_is_told():
    process = to_its_end(started("import sys; print('not kept'); print('why', file=sys.stderr)"))
    assert process.not_kept
    assert process.output == "why"
    assert not process.compiling


def test_a_process_that_does_not_end_is_stopped(monkeypatch):
    monkeypatch.setattr(preparation, "_LONGEST_S", 0.2)
    process = started(HANG)
    running = process._command
    to_its_end(process)
    assert not running.running


def test_without_a_python_it_is_refused(monkeypatch):
    monkeypatch.setattr(command.shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "executable", "/opt/Slicer/SlicerApp-real")
    with pytest.raises(InputError, match="PythonSlicer"):
        EnginePreparation()


@pytest.mark.parametrize(
    "result, anew, status, out, err",
    [
        (("fast", ""), "", 0, "compiling\n", ""),
        (("fast", "It is compiled anew."), "It is compiled anew.", 0, "compiling\nnot kept\n", ""),
        (("pyradiomics", "numba is missing."), "", 0, "compiling\n", ""),
        (InputError("pyradiomics is missing."), "", 2, "compiling\n", "pyradiomics is missing.\n"),
    ],
)
def test_what_the_process_says(monkeypatch, capsys, result, anew, status, out, err):
    asked = []

    def prepare(settings, engine, say, jobs):
        asked.append((set(settings.image_types), set(settings.feature_classes), engine, jobs))
        say("whatever words")
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(features, "prepare_engine", prepare)
    monkeypatch.setattr(extraction, "compiled_anew", lambda: anew)
    assert preparation.main() == status
    assert asked == [(set(features.IMAGE_TYPES), set(features.FEATURE_CLASSES), "fast", 2)]
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (out, err)
