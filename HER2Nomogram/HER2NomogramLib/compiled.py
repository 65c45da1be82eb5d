"""Compilation of inner loops by numba, with the compiled code kept on disk where it can be."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    from numba import njit
except ImportError:
    raise
except Exception as error:  # an old numba fails with whatever has changed since then
    raise ImportError(f"numba fails with {type(error).__name__}: {error}", name="numba") from error

# Sums may be reordered for the vector units; NaN and infinity keep their meaning.
_REORDERED = {"reassoc", "contract", "nsz"}


def compiled(function: Callable) -> Callable:
    """Compile a loop that holds no interpreter lock and keeps the order and the rounding of its sums.

    Parameters
    ----------
    function : callable

    Returns
    -------
    callable
    """
    return _compile(function, {})


def compiled_reordered(function: Callable) -> Callable:
    """As :func:`compiled`, but sums may be reordered for the vector units.

    Parameters
    ----------
    function : callable

    Returns
    -------
    callable
    """
    return _compile(function, {"fastmath": _REORDERED})


def compiled_approximate(function: Callable) -> Callable:
    """As :func:`compiled_reordered`, and a division may become a product with the reciprocal.

    Parameters
    ----------
    function : callable

    Returns
    -------
    callable
    """
    return _compile(function, {"fastmath": _REORDERED | {"arcp"}})


def _compile(function: Callable, options: dict[str, Any]) -> Callable:
    options = {"nogil": True, **options}
    try:
        made = njit(cache=True, **options)(function)
        # numba compiles anew where the file of this function has changed, but not where that of one it calls has.
        file = made._cache._cache_file
        file._source_stamp = (file._source_stamp, _sources())
        return made
    except (RuntimeError, AttributeError):
        # No directory for the compiled code can be written to, or numba keeps it another way than it used to: every
        # process compiles anew.
        return njit(**options)(function)


@functools.cache
def _sources() -> str:
    """A number for all sources of the compiled code."""
    folder = Path(__file__).parent
    files = (Path(__file__), *sorted(folder.joinpath("engine").glob("*.py")))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
