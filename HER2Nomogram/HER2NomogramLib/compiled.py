"""Compilation of inner loops by numba, with the compiled code kept on disk where it can be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

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
    try:
        return njit(cache=True, nogil=True, **options)(function)
    except RuntimeError:
        # No directory for the compiled code can be written to: every process compiles anew.
        return njit(nogil=True, **options)(function)
