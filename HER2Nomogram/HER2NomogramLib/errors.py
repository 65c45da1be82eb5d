"""The one exception that the library raises for what a user can put right."""

from __future__ import annotations


class InputError(ValueError):
    """Something that the user gave cannot be used.

    The message is one line: it names the file, column, tag or segment, says what is wrong and what to do. The command
    line prints it and the module panel shows it as it is, without a traceback.
    """
