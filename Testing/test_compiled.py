"""Compilation: what it keeps of Python's arithmetic, threads, and folders that cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from HER2NomogramLib import compiled as module
from HER2NomogramLib.compiled import compiled, compiled_approximate, compiled_reordered

WAYS = (compiled, compiled_reordered, compiled_approximate)
_LIBRARY = Path(module.__file__).resolve().parents[1]


def _total(values):
    total = 0.0
    for k in range(values.size):
        total += values[k]
    return total


def _spin(values, rounds):
    total = 0.0
    for _ in range(rounds):
        for k in range(values.size):
            total += values[k] * total % 3.0
    return total


@pytest.mark.parametrize("way", WAYS)
def test_numbers_that_are_infinite_or_none_stay_so(way):
    total = way(_total)
    assert total(np.array([1.0, 2.0, 4.5])) == 7.5
    assert np.isnan(total(np.array([1.0, np.nan, 4.5])))
    assert np.isnan(total(np.array([np.inf, 1.0, -np.inf])))
    assert total(np.array([1.0, np.inf])) == np.inf


def test_sums_keep_their_order_where_it_matters():
    values = np.random.default_rng(0).normal(size=10_003)
    expected = 0.0
    for value in values.tolist():
        expected += value
    assert compiled(_total)(values) == expected
    assert compiled_reordered(_total)(values) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("way", WAYS)
def test_other_threads_go_on_while_a_loop_runs(way):
    """The interpreter's lock is not held."""
    spin, values = way(_spin), np.arange(2000.0)
    spin(values, 1)
    running = threading.Thread(target=spin, args=(values, 6000))
    running.start()
    n_turns = 0
    while running.is_alive():
        n_turns += 1
        time.sleep(0.001)
    assert n_turns >= 10


def test_works_where_nothing_can_be_written():
    code = f"""
import sys
sys.path.insert(0, {str(_LIBRARY)!r})
from numba.core import caching
(getattr(caching, "CacheImpl", None) or caching._CacheImpl)._locator_classes = []
from HER2NomogramLib.compiled import compiled, compiled_approximate, compiled_reordered
for way in (compiled, compiled_approximate, compiled_reordered):
    doubled = way(lambda number: 2 * number)
    assert doubled(3) == 6 and isinstance(doubled._cache, caching.NullCache)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr


def test_a_change_in_the_file_of_a_called_function_is_seen(tmp_path):
    """Compiled code on disk belongs to the sources of all that it calls."""
    library = tmp_path / "HER2NomogramLib"
    shutil.copytree(Path(module.__file__).parent, library, ignore=shutil.ignore_patterns("__pycache__"))
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import numpy as np
from HER2NomogramLib.engine.texture_features import zone_values
indices, spans = np.pad(np.ones((1, 2), dtype=np.int32), 1), np.array([[5, 2]])
print(zone_values(indices, spans, np.array([1])).tolist())
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    called = library / "engine" / "matrices.py"
    line, changed = "found[column] = column + 1.0", "found[column] = column + 2.0"
    text = called.read_text(encoding="utf-8")
    assert line in text
    outputs = []
    for content in (text, text.replace(line, changed)):
        called.write_text(content, encoding="utf-8")
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, run.stderr
        outputs.append(run.stdout)
    assert outputs[0] != outputs[1]


@pytest.mark.slow
def test_a_second_process_finds_the_compiled_code(tmp_path):
    """The environment says where the code is kept."""
    code = f"""
import gc, sys
sys.path.insert(0, {str(_LIBRARY)!r})
from numba.core.dispatcher import Dispatcher
from HER2NomogramLib.engine import extraction
from HER2NomogramLib.features import FEATURE_CLASSES, IMAGE_TYPES
assert not extraction.warm_up(IMAGE_TYPES, FEATURE_CLASSES, every_pixel_type=True)
functions = [found for found in gc.get_objects() if isinstance(found, Dispatcher)]
print(sum(sum(function.stats.cache_misses.values()) for function in functions))
"""
    compiled = []
    for _ in range(2):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, run.stderr
        compiled.append(int(run.stdout))
    assert list(tmp_path.rglob("*.nbi"))
    assert compiled[0] > 20 and compiled[1] == 0
