"""The fast feature engine compiled beside Slicer, whose window would stand still meanwhile.

Its code is compiled once on a machine and loaded from disk from then on. ``python -m HER2NomogramLib.preparation`` sees
to that; the panel runs it as a process of its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from .background import BackgroundCommand
from .command import EXIT_DONE, EXIT_NOTHING_DONE, environment, python_program
from .errors import InputError

# Half a minute is usual; a busy machine takes longer.
_LONGEST_S = 300.0
# Lines that the process writes.
_COMPILING, _NOT_KEPT = "compiling", "not kept"


class EnginePreparation:
    """A process that compiles what the fast feature engine needs, where this is not on disk.

    Parameters
    ----------
    program : sequence of str, optional
        What is started; by default this module.

    Attributes
    ----------
    compiling : bool
        Whether it takes longer than to load what is on disk.
    not_kept : bool
        Whether compiled code cannot be kept on disk, so that every process compiles it anew.
    output : str
        What it wrote to standard error, once it has ended.

    Raises
    ------
    InputError
        Where no Python can be started.
    """

    def __init__(self, program: Sequence[str] | None = None):
        self.compiling = self.not_kept = False
        self.output = ""
        self._end = time.monotonic() + _LONGEST_S
        program = [python_program(), "-m", __name__] if program is None else program
        self._command: BackgroundCommand | None = BackgroundCommand(program, environment())

    def update(self) -> bool:
        """Whether it is still running; one that takes far too long is stopped."""
        if self._command is None:
            return False
        running = self._command.running
        lines = [line.strip() for line in self._command.new_lines()]
        self.compiling = self.compiling or _COMPILING in lines
        self.not_kept = self.not_kept or _NOT_KEPT in lines
        if not running or time.monotonic() > self._end:
            self.output = self._command.error_text().strip()
            self.stop()
        return self._command is not None

    def stop(self) -> None:
        """End it. What has been compiled by then is kept."""
        if self._command is not None:
            self._command.close()
            self._command = None


def main() -> int:
    """Compile or load what any settings need; lines on standard output say what of it matters to who waits."""
    from .engine.extraction import compiled_anew
    from .features import FAST, FEATURE_CLASSES, IMAGE_TYPES, ExtractionSettings, prepare_engine

    types = {name: {"sigma": [1.0]} if name == "LoG" else {} for name in IMAGE_TYPES}
    settings = ExtractionSettings(types, dict.fromkeys(FEATURE_CLASSES, []), {"binCount": 8})
    try:
        # For this process and Slicer's own: where the code is not kept, nothing is compiled here.
        engine, _notice = prepare_engine(settings, FAST, lambda _text: print(_COMPILING, flush=True), jobs=2)
    except InputError as error:
        print(error, file=sys.stderr)
        return EXIT_NOTHING_DONE
    if engine == FAST and compiled_anew():
        print(_NOT_KEPT)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
