"""Asking a store that says no, again and again. Called by `step_runner` and `opened_inputs`."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from stepswitch.domain.errors import DamagedError, NotFoundError, StoreError
from stepswitch.domain.events import Reply
from stepswitch.engine.ports import Clock

STORE_PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between two tries at a store that says no; the last one again and again."""
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
