"""Commands beside this process: output, end, and what they have started themselves."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from conftest import wait_until

from HER2NomogramLib.background import BackgroundCommand
from HER2NomogramLib.errors import InputError


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def is_running(pid: int) -> bool:
    """Whether a process is there and not only waiting to be taken note of."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.is_file() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_lines_come_once_and_only_when_they_are_whole(tmp_path):
    go = tmp_path / "go"
    code = (
        "import sys, time; from pathlib import Path\n"
        "print('one'); print('größer'); print('ha', end='', flush=True)\n"
        "while not Path(sys.argv[1]).exists(): time.sleep(0.01)\n"
        "print('lf')"
    )
    command = BackgroundCommand(python(code, str(go)), {**os.environ, "PYTHONUTF8": "1"})
    lines = []
    wait_until(lambda: lines.extend(command.new_lines()) or len(lines) == 2)
    assert lines == ["one", "größer"]
    assert command.new_lines() == []
    assert command.running
    assert command.exit_status is None
    go.touch()
    wait_until(lambda: not command.running)
    assert command.new_lines() == ["half"]
    assert command.exit_status == 0
    command.close()


def test_errors_and_exit_status():
    command = BackgroundCommand(python("import sys; sys.exit('so it goes')"))
    wait_until(lambda: not command.running)
    assert command.exit_status == 1
    assert command.error_text().strip() == "so it goes"
    command.close()


def test_much_output_that_nobody_reads_does_not_hold_it_up():
    command = BackgroundCommand(
        python("import sys; [print('x' * 99, file=f) for f in [sys.stdout, sys.stderr] * 9999]")
    )
    wait_until(lambda: not command.running)
    assert command.exit_status == 0
    assert len(command.new_lines()) == 9999
    command.close()


def test_it_runs_in_a_folder_of_its_own_that_goes_with_it():
    command = BackgroundCommand(python("import os; print(os.getcwd())"))
    wait_until(lambda: not command.running)
    (folder,) = command.new_lines()
    assert Path(folder).is_dir()
    assert not os.path.samefile(folder, os.getcwd())
    command.close()
    assert not Path(folder).exists()


def test_variables_are_those_that_were_given():
    command = BackgroundCommand(python("import os; print(os.environ['HER2_TEST'])"), {**os.environ, "HER2_TEST": "7"})
    wait_until(lambda: not command.running)
    assert command.new_lines() == ["7"]
    command.close()


def test_what_cannot_be_started_is_one_line():
    with pytest.raises(InputError, match="'/no/such/python' cannot be started") as caught:
        BackgroundCommand(["/no/such/python", "-m", "anything"])
    assert "\n" not in str(caught.value)


# As Slicer's PythonSlicer: it starts the real one, hands everything on, and waits for it.
LAUNCHER = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True); import time; time.sleep(600)"


@pytest.mark.skipif(os.name == "nt", reason="looks for processes as POSIX systems do")
def test_stopping_ends_what_a_launcher_has_started():
    command = BackgroundCommand(python(LAUNCHER, *python("import time; time.sleep(600)")))
    lines = []
    wait_until(lambda: lines.extend(command.new_lines()) or lines)
    pid = int(lines[0])
    assert is_running(pid)
    started = time.monotonic()
    command.stop()
    assert time.monotonic() - started < 5
    assert not command.running
    assert not is_running(pid)
    command.stop()  # once more does no harm
    command.close()


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_what_does_not_listen_is_ended_too():
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    command = BackgroundCommand(python(code))
    wait_until(command.new_lines)
    command.stop()
    assert command.exit_status == -9
    command.close()
