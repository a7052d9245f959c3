"""What one execution costs, counted in calls of functions and in instructions of SQLite: the same on a busy machine as on an idle one. `python -m benchmarks.cost [--write | --json]`.

The whole service runs in this process, API and disk included, with one execution at a time; `tests/benchmarks` holds the counts
against those in `cost.json`, so that a change which makes the hot path dearer is seen before it is felt.
"""

import argparse
import asyncio
import cProfile
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import orjson
from starlette.types import Message

from benchmarks.__main__ import ROOT, chain
from stepswitch.api.app import StepswitchApi
from stepswitch.bootstrap import Service, open_service
from stepswitch.bootstrap.server import application
from stepswitch.config.settings import Settings
from stepswitch.domain.execution import ENDED, ContextType, Status
from stepswitch.engine.callers import administrator
from stepswitch.engine.executions import ExecutionRequest
from stepswitch.engine.records import Committed

BASELINE: Final = Path(__file__).with_name("cost.json")
WARM: Final = 20
COUNTED: Final = 50
TEN: Final = "ten NOOP steps, from PUT to the end"
HELD: Final = "create call, held at a breakpoint"
READ: Final = "GET of an execution of ten steps"
EARLY: Final = "50 NOOP steps of the first 1,000"
LATE: Final = "50 NOOP steps of the tenth 1,000"
SQL_EARLY: Final = "instructions of SQLite for 50 NOOP steps of the first 1,000"
SQL_LATE: Final = "instructions of SQLite for 50 NOOP steps of the tenth 1,000"
SQL: Final = (SQL_EARLY, SQL_LATE)
"""Those of its own machine, so that a table that is read from its beginning is seen. How many there are hangs on its version: not in the baseline."""
_PASSWORD: Final = "benchmark-only"
_PATIENCE: Final = 120.0
_MARKS: Final = (51, 1_001, 9_001, 10_001)
"""Steps that have begun after the commits between which is counted: the first one makes the execution, and begins 51."""


class _Ends:
    """An observer that knows when the execution that runs has ended or paused, and how many steps each commit began."""

    def __init__(self, counted: Callable[[], int]) -> None:
        self._counted = counted
        self.over = asyncio.Event()
        self.is_long = False
        """Whether the execution is one that goes on and on: counting takes calls itself, hundreds of them."""
        self.counted_at: dict[int, int] = {}

    def committed(self, change: Committed) -> None:
        if change.head is None:
            return
        if self.is_long and change.head.steps_begun in _MARKS:
            self.counted_at[change.head.steps_begun] = self._counted()
        if change.head.status in ENDED or change.head.status is Status.PAUSED:
            self.over.set()


class Cost:
    """A service in this process, and a counter beside it."""

    def __init__(self, service: Service, token: str) -> None:
        self._service = service
        self._app: StepswitchApi = application(service)
        self._token = token
        self._profile = cProfile.Profile(builtins=True)
        self._counted: Callable[[], int] = self.calls
        self._instructions = 0
        self._ends = _Ends(self._counted_so_far)
        service.observe(self._ends)

    def calls(self) -> int:
        """Return how many functions have been called while counting."""
        return sum(entry.callcount for entry in self._profile.getstats())

    def _counted_so_far(self) -> int:
        return self._counted()

    async def per_execution(self) -> dict[str, float]:
        """Return the calls of each thing that is counted, by its name."""
        workflow = await self._request("PUT", "/workflow", chain(10))
        order = {"contextType": "NONE", "workflowId": workflow["id"], "assignments": {}, "pauseAtFailure": False}
        made: list[str] = []

        async def execute() -> None:
            self._ends.over.clear()
            made.append((await self._request("PUT", "/workflowExecution", order))["id"])
            await asyncio.wait_for(self._ends.over.wait(), _PATIENCE)

        async def hold() -> None:
            await self._request("PUT", "/workflowExecution", {**order, "debugStepIds": ["s0"]})

        async def read() -> None:
            await self._request("GET", f"/workflowExecution/{made[-1]}")

        found = {TEN: await self._count(execute), HELD: await self._count(hold), READ: await self._count(read)}
        self._profile.enable()
        found |= zip((EARLY, LATE), await self._history(), strict=True)
        self._profile.disable()
        return {**found, **dict(zip(SQL, await self._instructed(), strict=True))}

    async def _instructed(self) -> tuple[float, float]:
        """Return what `_history` costs the connection that writes, in instructions of SQLite."""

        def instruct() -> None:
            self._instructions += 1

        connection = self._service._database._connection  # noqa: SLF001 # nobody else needs to look into it
        if connection is None:
            raise RuntimeError("the database has been written to, so it has a connection")
        self._counted = lambda: self._instructions
        connection.set_progress_handler(instruct, 1)
        try:
            return await self._history()
        finally:
            connection.set_progress_handler(None, 1)

    async def _count(self, act: Callable[[], Awaitable[None]]) -> float:
        for _ in range(WARM):
            await act()
        before = self.calls()
        self._profile.enable()
        for _ in range(COUNTED):
            await act()
        self._profile.disable()
        return (self.calls() - before) / COUNTED

    async def _history(self) -> tuple[float, float]:
        """Return what 50 steps cost early and late in one execution that goes round and round until its limit."""
        loop = {**chain(1), "steps": {"s0": {"type": "NOOP", "nextStepId": "s0"}}}
        caller = administrator("admin")
        stored = await self._service.catalogue.create(caller, loop)
        self._ends.over.clear()
        self._ends.is_long = True
        await self._service.executions.create(caller, ExecutionRequest(stored.workflow.id, ContextType.NONE))
        await asyncio.wait_for(self._ends.over.wait(), _PATIENCE)
        at = self._ends.counted_at
        return (at[1_001] - at[51]) / 19, (at[10_001] - at[9_001]) / 20

    async def _request(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON of the answer to one request, made as a server would; raises RuntimeError where it is not 200."""
        content = b"" if body is None else orjson.dumps(body)
        headers = [(b"host", b"here"), (b"content-type", b"application/json"), (b"x-hm-authorization", self._token.encode())]
        scope = {"type": "http", "method": method, "path": ROOT + path, "raw_path": (ROOT + path).encode(), "query_string": b""}
        scope |= {
            "headers": headers,
            "http_version": "1.1",
            "scheme": "http",
            "server": ("here", 80),
            "client": ("here", 1),
            "root_path": "",
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        answer = b"".join(message.get("body", b"") for message in sent)
        if sent[0]["status"] != 200:
            raise RuntimeError(answer.decode())
        return orjson.loads(answer)


async def measure() -> dict[str, float]:
    """Return the calls of each thing that is counted."""
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {"data_dir": Path(folder), "admin_password": _PASSWORD}
        service = await open_service(Settings(**settings))
        await service.start()
        try:
            token, _ = await service.accounts.login("admin", _PASSWORD)
            return await Cost(service, token).per_execution()
        finally:
            await service.stop(grace_seconds=0)


def main() -> None:
    """Print the counts beside the baseline, and write them as the new one where told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="make these counts the baseline")
    parser.add_argument("--json", action="store_true", help="print the counts and nothing else")
    arguments = parser.parse_args()
    found = asyncio.run(measure())
    if arguments.json:
        sys.stdout.write(orjson.dumps(found).decode())
        return
    known = orjson.loads(BASELINE.read_bytes()) if BASELINE.exists() else {}
    for name, calls in found.items():
        beside = f"  baseline {known[name]:,.0f} ({calls / known[name] - 1:+.1%})" if name in known else ""
        sys.stdout.write(f"{name}: {calls:,.0f}{'' if name in SQL else ' calls'}{beside}\n")
    if arguments.write:
        rounded = {name: round(calls) for name, calls in found.items() if name not in SQL}
        BASELINE.write_bytes(orjson.dumps(rounded, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main()
