"""The exceptions that the library raises for what a user can put right."""

from __future__ import annotations


class InputError(ValueError):
    """Something that the user gave cannot be used.

    The message is one line: it names the file, column, tag or segment, says what is wrong and what to do. The command
    line prints it and the module panel shows it as it is, without a traceback.
    """


class NothingDone(InputError):
    """Not one case of a batch could be computed.

    Attributes
    ----------
    failed : dict of str to str
        By case_id: one line that says why.
    """

    def __init__(self, failed: dict[str, str]) -> None:
        case_id, reason = next(iter(failed.items()))
        super().__init__(f"None of the {len(failed)} cases could be computed; case '{case_id}': {reason}")
        self.failed = failed
