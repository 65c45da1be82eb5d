"""Threads that work through streams of tasks while only a few results of the streams are in memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

Task = Callable[[], None]


def run_streams(streams: Iterable[Iterator[list[Task]]], threads: int) -> None:
    """Run all tasks of all streams, each stream one step after the other.

    A stream goes on only where no task waits, so that at most as many steps as there are threads are in memory.

    Parameters
    ----------
    streams : iterable of iterator
        Each step gives tasks. The first stream should be the longest one.
    threads : int
        The calling thread is one of them.
    """
    schedule = _Schedule(streams)
    if threads == 1:
        schedule.work()
        return
    with ThreadPoolExecutor(threads - 1) as pool:
        helpers = [pool.submit(schedule.work) for _ in range(threads - 1)]
        schedule.work()
        for helper in helpers:
            helper.result()


class _Schedule:
    """What is left to be done. An error in one thread ends all others after their task."""

    def __init__(self, streams: Iterable[Iterator[list[Task]]]) -> None:
        self._streams, self._tasks = deque(streams), deque()
        self._changed = threading.Condition()
        self._advancing, self._failed = 0, False

    def work(self) -> None:
        """Work until nothing is left."""
        try:
            while (step := self._next()) is not None:
                step()
        except BaseException:
            with self._changed:
                self._failed = True
                self._changed.notify_all()
            raise

    def _next(self) -> Task | None:
        with self._changed:
            while not self._failed:
                if self._tasks:
                    return self._tasks.popleft()
                if self._streams:
                    self._advancing += 1
                    return partial(self._advance, self._streams.popleft())
                if not self._advancing:
                    break
                # Another thread makes the next tasks.
                self._changed.wait()
        return None

    def _advance(self, stream: Iterator[list[Task]]) -> None:
        tasks = next(stream, None)
        with self._changed:
            self._advancing -= 1
            if tasks is not None:
                self._tasks.extend(tasks)
                self._streams.appendleft(stream)
            self._changed.notify_all()
