"""Parts that the messages of all modules are put together from."""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST = 200


def enumerated(names: Sequence[object], most: int = 20) -> str:
    """Names separated by commas, the first of them where they are many."""
    more = len(names) - most
    return ", ".join(map(str, names[:most])) + (f" and {more} more" if more > 0 else "")


def quoted(names: Sequence[str], most: int = 20) -> str:
    """Names in quotes, the first of them where they are many."""
    return enumerated([f"'{name}'" for name in names], most)


def one_line(error: object) -> str:
    """What another package says of an error, on one line and without its period; its type where it says nothing."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.rstrip(".") if len(text) <= _LONGEST else f"{text[:_LONGEST].rstrip('. ')} ..."
