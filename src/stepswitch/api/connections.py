"""What an operation may ask of the connection that its request came by. Asked by `executions`, answered by `bootstrap.protocol`."""

from collections.abc import Callable
from typing import Final

from starlette.requests import Request

WHEN_CUT: Final = "stepswitch.when_cut"
"""The name of the extension of ASGI."""


def when_cut(request: Request, then: Callable[[], None]) -> None:
    """Have `then` called where the connection breaks before the answer to `request` is written whole. Nobody calls it where there is no connection."""
    register = request.scope.get("extensions", {}).get(WHEN_CUT)
    if register is not None:
        register(then)
