"""Writing files so that nothing half-written stays behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Path of a temporary file in the same folder that takes the place of ``path`` when the block ends well.

    The folder is made where it is missing. The suffix stays the same, because many writers choose the format by it.

    Raises
    ------
    InputError
        Where the folder cannot be made or written to, or a folder or device has this name.
    """
    path = Path(path)
    check_writable(path)
    try:
        suffix = "".join(path.suffixes[-2:])
        handle, name = tempfile.mkstemp(prefix=".partial-", suffix=suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise _not_writable(path, error) from None
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes a file that only its owner may read; results are meant to be shared like any other file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise _not_writable(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: str | Path) -> None:
    """Find out whether a file can be written there, before the work whose result it will hold.

    Raises
    ------
    InputError
        Where the folder cannot be made or written to, or a folder or device has this name.
    """
    path = Path(path)
    # A folder could not be replaced when the work is done; a device such as /dev/null could, which is worse.
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"'{path}' cannot be written (it is no file): give the name of a file.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _not_writable(path, error) from None


def files_directory(path: str | Path) -> Path:
    """Folder beside a report that holds its figures and tables."""
    path = Path(path)
    return path.with_name(f"{path.stem}_files")


def _not_writable(path: Path, error: OSError) -> InputError:
    return InputError(f"'{path}' cannot be written ({error.strerror}): choose a folder that you may write to.")


def write_text_atomically(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
