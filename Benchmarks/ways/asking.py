"""The processes in which ways of extraction run, asked in turn, and commands from the shell, with their peak memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_LONG_SECONDS, _LONG_RUNS = 30.0, 3


class Process:
    """One way of extraction in a process of its own."""

    def __init__(self, command: list[str], environment: Mapping[str, str] | None = None):
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        self.seconds: list[float] = []
        self.peak_mb = 0.0

    def ask(self, counts: bool = True, **request: Any) -> dict[str, Any]:
        """Run once; the time is kept where it counts."""
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        except (OSError, ValueError):
            self._process.wait()
            self._errors.seek(0)
            raise RuntimeError(self._errors.read().decode(errors="replace")[-2000:]) from None
        self.peak_mb = max(self.peak_mb, answer["peak_mb"])
        if counts:
            self.seconds.append(answer["seconds"])
        return answer

    @property
    def median(self) -> float:
        """Median of the runs that count."""
        return statistics.median(self.seconds)

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()


def way(name: str, folder: Path, environment: Mapping[str, str] | None = None, **options: Any) -> Process:
    """A process of worker.py."""
    script = str(Path(__file__).with_name("worker.py"))
    return Process([sys.executable, script, name, str(folder), json.dumps(options)], environment)


@contextmanager
def open_ways(processes: dict[str, Process]) -> Iterator[dict[str, Process]]:
    """Processes that are ended after the block."""
    try:
        yield processes
    finally:
        for process in processes.values():
            process.close()


def in_turn(processes: Mapping[str, Process], runs: int) -> None:
    """Ask all processes round by round; fewer rounds for one that takes long."""
    for _ in range(runs):
        for process in processes.values():
            if len(process.seconds) < _LONG_RUNS or process.seconds[0] <= _LONG_SECONDS:
                process.ask()


def complete_rounds(processes: Mapping[str, Process], runs: int) -> None:
    """As :func:`in_turn`, for processes some of which have been asked before."""
    for number in range(runs):
        in_turn({name: process for name, process in processes.items() if len(process.seconds) <= number}, 1)


def shell(command: list[str], environment: Mapping[str, str] | None = None) -> tuple[float, float]:
    """Seconds and peak memory in MB of a command; an error with its output where it fails."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **(environment or {})})
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(output.read().decode(errors="replace")[-2000:])
    return seconds, usage.ru_maxrss / 1024
