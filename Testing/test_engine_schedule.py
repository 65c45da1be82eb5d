"""Order, number and errors of tasks over threads."""

from __future__ import annotations

import threading
import time

import pytest

from HER2NomogramLib.engine.schedule import run_streams


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_every_task_runs_once_and_few_steps_are_in_memory(threads):
    lock, done, alive, most = threading.Lock(), [], set(), [0]

    def stream(name):
        for step in range(7):
            with lock:
                alive.add((name, step))
                most[0] = max(most[0], len(alive))
            left = [3]

            def task(number, step=step, left=left):
                time.sleep(0.0005)
                with lock:
                    done.append((name, step, number))
                    left[0] -= 1
                    if left[0] == 0:
                        alive.discard((name, step))

            yield [lambda number=number, task=task: task(number) for number in range(3)]

    run_streams([stream("a"), stream("b"), stream("c")], threads)
    assert sorted(done) == [(name, step, number) for name in "abc" for step in range(7) for number in range(3)]
    # What each thread works on, and one step whose tasks wait.
    assert most[0] <= 2 * threads


@pytest.mark.parametrize("threads", [1, 3])
def test_streams_without_steps_and_steps_without_tasks(threads):
    ran = []
    run_streams([], threads)
    run_streams([iter([]), iter([[], [lambda: ran.append(1)], []])], threads)
    assert ran == [1]


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("where", ["task", "stream"])
def test_an_error_ends_all_threads(threads, where):
    ran = []

    def bad():
        raise KeyError("wrong")

    def good():
        time.sleep(0.0005)
        ran.append(1)

    def stream():
        for number in range(200):
            if number == 3 and where == "stream":
                bad()
            yield [bad if number == 3 else good]

    before = threading.active_count()
    with pytest.raises(KeyError, match="wrong"):
        run_streams([stream(), iter([[good]] * 200)], threads)
    assert len(ran) < 390
    assert threading.active_count() == before
