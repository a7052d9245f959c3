"""Requests that wait for an execution, as `Prefer: wait` asks: woken by its commits, with no polling and no thread. Used by `executions` and `execution_reads`."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request

from stepswitch.api.services import Call
from stepswitch.api.sessions import token_of
from stepswitch.engine.views import Stand


async def stand_when(call: Call, execution_id: str, is_it: Callable[[Stand, Stand], bool], seconds: int) -> Stand:
    """Return how an execution stands as soon as `is_it` says so of how it stands and how it stood first, when the service stops, or after `seconds`.

    Raises as `Views.stand` does, NotAuthenticatedError or NotFoundError where the caller may not see it any more, and ClientDisconnect where
    nobody waits for the answer any more.
    """
    views, watchers = call.services.views, call.services.watchers
    with watchers.watch(execution_id) as changed:
        stand = first = await views.stand(call.caller, execution_id)
        if is_it(stand, first):
            return stand
        limit = asyncio.ensure_future(call.services.clock.sleep(seconds))
        gone = asyncio.ensure_future(_disconnected(call.request))
        try:
            while not is_it(stand, first) and not limit.done() and not watchers.is_closed:
                await _any_of(limit, gone, changed)
                if gone.done():
                    raise ClientDisconnect
                changed.clear()
                stand = await views.stand(call.caller, execution_id)
        finally:
            limit.cancel()
            gone.cancel()
    await views.head(
        await call.services.accounts.authenticate(token_of(call.request)), execution_id
    )  # who may not any more is told nothing
    return stand


async def _any_of(limit: "asyncio.Future[None]", gone: "asyncio.Future[None]", changed: asyncio.Event) -> None:
    change = asyncio.ensure_future(changed.wait())
    waiting: set[asyncio.Future[Any]] = {limit, gone, change}
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        change.cancel()


async def _disconnected(request: Request) -> None:
    """Return when nobody waits for the answer any more."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
