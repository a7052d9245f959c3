"""A service on a thread of its own, since the commands block that of the test. Used by the tests of commands that talk to one."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from stepswitch.client import Execution
from tests.client.office import PASSWORD, Office, open_office

Answer = TypeVar("Answer")
PATIENCE = 60.0
__all__ = ["PASSWORD", "Distant", "distant_office"]


class Distant:
    """An office to look into from the thread of the test."""

    def __init__(self, office: Office, loop: asyncio.AbstractEventLoop) -> None:
        self.office = office
        self.url = office.url
        self.token = office.client.token or ""
        self._loop = loop

    def do(self, what: Coroutine[Any, Any, Answer]) -> Answer:
        """Return what comes of `what`, done where the service is."""
        return self.begin(what).result(PATIENCE)

    def begin(self, what: Coroutine[Any, Any, Answer]) -> "Future[Answer]":
        """Let `what` be done where the service is, while the test goes on."""
        return asyncio.run_coroutine_threadsafe(what, self._loop)

    def queue(self, *ids: str, **order: Any) -> str:
        return self.do(self.office.queue(*ids, **order)).id

    def failed(self, *ids: str, **order: Any) -> str:
        return self.do(self.office.failed(*ids, **order)).id

    def read(self, execution_id: str) -> Execution:
        return self.do(self.office.client.executions.get(execution_id))


@contextmanager
def distant_office(directory: Path, **settings: Any) -> Iterator[Distant]:
    ready: Future[Distant] = Future()
    ways_to_stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        ways_to_stop.append((loop, stopped))
        async with open_office(directory, **settings) as office:
            ready.set_result(Distant(office, loop))
            await stopped.wait()

    def live() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield ready.result(PATIENCE)
    finally:
        for loop, stopped in ways_to_stop:
            loop.call_soon_threadsafe(stopped.set)
        thread.join(PATIENCE)
