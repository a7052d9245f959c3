"""Reads two parts of a request, so that the faults of both are told at once. Called by the operations that take more than one."""

from collections.abc import Callable
from typing import TypeVar

from stepswitch.domain.errors import InvalidRequestError

_First = TypeVar("_First")
_Second = TypeVar("_Second")


def both(first: Callable[[], _First], second: Callable[[], _Second]) -> tuple[_First, _Second]:
    """Return what two readers give; raises InvalidRequestError with the faults of both."""
    try:
        found = first()
    except InvalidRequestError as fault:
        try:
            second()
        except InvalidRequestError as other:
            raise InvalidRequestError([*fault.faults, *other.faults]) from None
        raise
    return found, second()
