"""Ends servers of the tests, with their connections. Used by those that speak TLS, which takes leave in several turns of the loop."""

import asyncio
from typing import Final

PATIENCE_SECONDS: Final = 10.0


async def closed(server: asyncio.Server) -> None:
    """Return when a server takes no connection any more, and those that it had are closed; raises TimeoutError where one is not.

    Before Python 3.12 `wait_closed` waits for none of them. One that is left would be found by the collector later on, in another test.
    """
    server.close()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await server.wait_closed()
        while getattr(server, "_active_count", 0):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)
