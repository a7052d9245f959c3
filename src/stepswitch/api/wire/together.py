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
        raise InvalidRequestError([*fault.faults, *faults_of(second)]) from None
    return found, second()


async def both_with_body(first: Callable[[], _First], body: Awaitable[_Second]) -> tuple[_First, _Second]:
    """Return what a reader gives and what the body says; raises InvalidRequestError with the faults of both."""
    try:
        found = await body
    except InvalidRequestError as fault:
        raise InvalidRequestError([*faults_of(first), *fault.faults]) from None
    return first(), found


def faults_of(reader: Callable[[], object]) -> Sequence[Fault]:
    """Return what a reader refuses."""
    try:
        reader()
    except InvalidRequestError as fault:
        return fault.faults
    return ()
