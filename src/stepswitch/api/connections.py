"""What an operation may ask of the connection that its request came by. Asked by `executions` and `app`, answered by `bootstrap.protocol`."""

from collections.abc import Callable
from typing import Final

from starlette.requests import Request

WHEN_CUT: Final = "stepswitch.when_cut"
WHEN_KNOWN: Final = "stepswitch.when_known"
"""The names of the extensions of ASGI."""


def when_cut(request: Request, then: Callable[[], None]) -> None:
    """Have `then` called where the connection breaks before the answer to `request` is written whole. Nobody calls it where there is no connection."""
    register = request.scope.get("extensions", {}).get(WHEN_CUT)
    if register is not None:
        register(then)


def is_known(request: Request) -> None:
    """Say that whoever sends `request` has logged in: he may take his time with the body."""
    note = request.scope.get("extensions", {}).get(WHEN_KNOWN)
    if note is not None:
        note()
