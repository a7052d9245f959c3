"""What is wrong with the inputs of a step, told all at once: the one place for that rule. Used by everybody who reads inputs.

A reader notes each fault and goes on; before anything is opened or sent he refuses, and the error has every sentence.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from stepswitch.plugin import AttachmentError, ErrorCode

T = TypeVar("T")


class InputFaultError(Exception):
    """Inputs that cannot be used. Nothing was sent, nobody was asked. `faults` are the sentences that it has, each with its code."""

    def __init__(self, code: ErrorCode, message: str, faults: Mapping[str, ErrorCode] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.faults = faults or {message: code}


class Faults:
    """What was found out so far. The code of all is MISSING_INPUT where something is missing, else that of the first."""

    def __init__(self) -> None:
        self._found: dict[str, ErrorCode] = {}

    def add(self, code: ErrorCode, *messages: str) -> None:
        """Note faults, each once."""
        for message in messages:
            self._found.setdefault(message, code)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._found)

    def attempt(self, read: Callable[[], T]) -> T | None:
        """Return what `read` returns; None where it raises InputFaultError, which is noted."""
        try:
            return read()
        except InputFaultError as error:
            self._take(error.faults)
            return None

    async def attempted(self, reading: Awaitable[T]) -> T | None:
        """Return what is read; None where that raises InputFaultError or AttachmentError, which is noted."""
        try:
            return await reading
        except InputFaultError as error:
            self._take(error.faults)
        except AttachmentError as error:
            self.add(error.code, str(error))
        return None

    def _take(self, faults: Mapping[str, ErrorCode]) -> None:
        for message, code in faults.items():
            self.add(code, message)

    def refuse(self) -> None:
        """Raise InputFaultError with every fault, where there is one."""
        if self._found:
            codes = list(self._found.values())
            code = ErrorCode.MISSING_INPUT if ErrorCode.MISSING_INPUT in codes else codes[0]
            raise InputFaultError(code, "; ".join(self._found), dict(self._found))

    def settled(self, value: T | None) -> T:
        """Return what an attempt has read, once nothing is wrong with anything; raises InputFaultError with every fault otherwise."""
        self.refuse()
        if value is None:
            raise AssertionError("nothing was read, and no fault was noted")
        return value
