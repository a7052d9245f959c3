"""Waiting for as long as it is worth: for a store that says no, asked again and again, and for work that may never end. Called by `step_runner`, `attempt` and `cleaner`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from stepswitch.domain.errors import DamagedError, NotFoundError, StoreError
from stepswitch.domain.events import Reply
from stepswitch.engine.ports import Clock

STORE_PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between two tries at a store that says no; the last one again and again."""
LET_GO_SECONDS: Final = 10.0
"""How long a step type that was cancelled gets to close its session."""
_T = TypeVar("_T")
_log = structlog.get_logger("stepswitch.worker")


async def until_stored(clock: Clock, ask: Callable[[], Awaitable[_T]]) -> _T | Reply:
    """Return what `ask` returns, asking again as long as the store says no; STALE where the execution is gone, or damaged."""
    tries = 0
    while True:
        try:
            return await ask()
        except NotFoundError:
            return Reply.STALE
        except DamagedError as error:
            _log.error("what is stored is damaged and left alone", error=str(error))
            return Reply.STALE
        except StoreError as error:
            pause = STORE_PAUSES[min(tries, len(STORE_PAUSES) - 1)]
            _log.error("the store says no; asking again", error=str(error), pause_seconds=pause)
            tries += 1
        await clock.sleep(pause)


async def ends_within(running: "asyncio.Task[_T]", seconds: float, clock: Clock) -> bool:
    """Return whether work ends within `seconds`; it goes on all the same where it does not."""
    limit = asyncio.get_running_loop().create_task(clock.sleep(seconds))
    try:
        await asyncio.wait({running, limit}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        limit.cancel()
    return running.done()
