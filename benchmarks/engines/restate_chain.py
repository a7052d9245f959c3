"""Workflows of one step and of ten as a service of Restate: `restate_chain.py PORT`. Run with the Python that Restate's library is installed in.

Each step is a `ctx.run` of a function that does nothing; the server journals its result before the next one begins.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import hypercorn.asyncio
import hypercorn.config
import restate
import uvloop

STEPS = (1, 10)


async def noop() -> None:
    """Do nothing."""


def chain(steps: int) -> Callable[[restate.Context], Awaitable[None]]:
    """Return a handler that takes so many steps, one after the other."""

    async def handler(context: restate.Context) -> None:
        for number in range(steps):
            await context.run_typed(f"s{number}", noop)

    return handler


def application() -> Any:
    """Return the application (ASGI) that Restate's server calls."""
    service = restate.Service("Chain")
    for steps in STEPS:
        service.handler(f"steps{steps}")(chain(steps))
    return restate.app(services=[service])


if __name__ == "__main__":
    config = hypercorn.config.Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    config.loglevel = "ERROR"
    uvloop.run(hypercorn.asyncio.serve(application(), config))
