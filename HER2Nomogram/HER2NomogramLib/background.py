"""A command that runs beside this process: its output line by line, and its end with all that it started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import InputError

_GRACE_S = 2.0


class BackgroundCommand:
    """A running command, asked from time to time how far it has come; nothing here waits for it.

    What it writes goes to files, so that it never stands still because nobody reads, and reading never blocks.

    Parameters
    ----------
    command : sequence of str
        Program and arguments. It runs in an empty folder of its own: paths have to be absolute.
    environment : mapping of str to str, optional
        By default that of this process.

    Raises
    ------
    InputError
        Where the program cannot be started.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None):
        self._folder = Path(tempfile.mkdtemp(prefix="HER2Nomogram-"))
        self._read = 0
        try:
            with open(self._folder / "out", "wb") as out, open(self._folder / "err", "wb") as err:
                self._process = subprocess.Popen(
                    list(command),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env=None if environment is None else dict(environment),
                    cwd=self._folder,
                    **_on_its_own(),
                )
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise InputError(f"'{command[0]}' cannot be started ({error.strerror}): reinstall it.") from None

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """Exit status, negative where a signal ended it; None while it runs."""
        return self._process.poll()

    def new_lines(self) -> list[str]:
        """Whole lines of standard output that have come since the last call."""
        with open(self._folder / "out", "rb") as file:
            file.seek(self._read)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self._read += end
        return _text(data[:end]).splitlines()

    def error_text(self) -> str:
        """All of standard error."""
        return _text((self._folder / "err").read_bytes())

    def stop(self) -> None:
        """End it at once, with every process that it has started."""
        if self.running:
            _end_tree(self._process)

    def close(self) -> None:
        """Stop it and remove what it has written to its output."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def _on_its_own() -> dict:
    """Options that make the command the head of a group of processes, without a window."""
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def _end_tree(process: subprocess.Popen) -> None:
    # Slicer's PythonSlicer is a launcher: ending it alone would leave the Python behind it, and that one's workers.
    if os.name == "nt":
        command = ["taskkill", "/PID", str(process.pid), "/T", "/F"]
        subprocess.run(command, capture_output=True, check=False, **_on_its_own())
    else:
        # First in a way that lets joblib's watcher see to what the workers leave in memory.
        _signal_group(process, signal.SIGTERM)
        end = time.monotonic() + _GRACE_S
        while _signal_group(process, 0) and time.monotonic() < end:
            process.poll()
            time.sleep(0.01)
        _signal_group(process, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_S)


def _signal_group(process: subprocess.Popen, number: int) -> bool:
    """Send a signal to the group; whether anything of it was still there."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # macOS denies it where only ended processes are left
        return False
    return True
