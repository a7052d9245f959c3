"""Reads two parts of a request, so that the faults of both are told at once. Called by the operations that take more than one."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from stepswitch.domain.errors import Fault, InvalidRequestError

_First = TypeVar("_First")
_Second = TypeVar("_Second")


def both(first: Callable[[], _First], second: Callable[[], _Second]) -> tuple[_First, _Second]:
    """Return what two readers give; raises InvalidRequestError with the faults of both."""
    try:
        found = first()
    except InvalidRequestError as fault:
        raise InvalidRequestError([*fault.faults, *noted(second)[1]]) from None
    return found, second()


async def beside_body(first: Callable[[], _First], body: Awaitable[_Second]) -> tuple[_First | None, _Second, Sequence[Fault]]:
    """Return what a reader gives, what the body says, and what the reader refuses: that is told with the faults of what the body means.

    Raises InvalidRequestError with the faults of both where the body cannot be read.
    """
    found, refused = noted(first)
    try:
        return found, await body, refused
    except InvalidRequestError as fault:
        raise InvalidRequestError([*refused, *fault.faults]) from None


def noted(reader: Callable[[], _First]) -> tuple[_First | None, Sequence[Fault]]:
    """Return what a reader gives, None where it refuses, and what it refuses."""
    try:
        return reader(), ()
    except InvalidRequestError as fault:
        return None, fault.faults
