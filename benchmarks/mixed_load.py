"""People and programs at a service for hours: executions of every kind made, read, waited for, steered, followed and removed. Used by `soak`."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from types import MappingProxyType
from typing import Any, Final

import orjson

from benchmarks.__main__ import PASSWORD, ROOT, chain
from benchmarks.load import Connection, request

FOLLOWED_SECONDS: Final = 20.0
FOLLOWERS: Final = 4
RETAINED_SECONDS: Final = 60.0
"""After so long executions that have ended may go, as soon as the service begins to remove any: ten minutes after its start."""
PATIENCE_SECONDS: Final = 60.0
KEYED_SHARE: Final = 0.2
_NO_HEADERS: Final = MappingProxyType[str, str]({})
_SESSIONS: Final = "/hybridity/api/sessions"
_EVENTS: Final = "/stepswitch/api/v1/events"
_SCRIPT: Final = "for (let i = 0; i < 20; i++) { console.log('line ' + i + ' of ' + name) } return { answer: name + '!' }"


def scripted(script: str, name: str) -> dict[str, Any]:
    """Return a workflow whose one step is a script."""
    bound = {"script": {"type": "string", "defaultValue": script}, "name": {"type": "string", "defaultValue": name}}
    step = {"type": "JS", "inBindings": bound, "outBindings": {"answer": {"name": "answer", "type": "string"}}}
    outputs = {"answer": {"type": "string"}}
    return {"name": name, "version": "1", "schemaVersion": "3.0", "startStepId": "a", "outputs": outputs, "steps": {"a": step}}


class Caller:
    """One connection with a session of its own."""

    def __init__(self, connection: Connection, token: str) -> None:
        self._connection = connection
        self._etag = ""
        self.token = token

    @classmethod
    async def login(cls, port: int) -> "Caller":
        """Connect and log in."""
        connection = await Connection.open(port)
        _, headers, _ = await connection.send(request("POST", _SESSIONS, {"username": "admin", "password": PASSWORD}))
        return cls(connection, headers["x-hm-authorization"])

    async def logout(self) -> None:
        """End the session and hang up."""
        await self.ask("DELETE", _SESSIONS)
        await self._connection.close()

    def following(self, last_id: str) -> bytes:
        """Return the request for the stream of all events, from the last one that was read where there was one."""
        return request("GET", _EVENTS, token=self.token, headers={"last-event-id": last_id} if last_id else {})

    async def ask(self, method: str, path: str, body: object | None = None, headers: Mapping[str, str] = _NO_HEADERS) -> Any:
        """Return the JSON of the answer, None where it has none; raises RuntimeError where it is no good one."""
        status, answered, content = await self._connection.send(request(method, path, body, self.token, headers))
        self._etag = answered.get("etag", "")
        if status not in {200, 204, 304}:
            raise RuntimeError(f"{method} {path} was answered {status}: {content[:300]!r}")
        return orjson.loads(content) if content else None

    async def until(self, path: str, status: str) -> None:
        """Return when an execution is as it should be; waits at the service, as clients do."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        found = await self.ask("GET", f"{path}?fields=status")
        while found["status"] != status:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{path} is {found['status']}, and not {status}")
            news = await self.ask("GET", f"{path}?fields=status", headers={"prefer": "wait=5", "if-none-match": self._etag})
            found = news or found


@dataclass(frozen=True)
class Documents:
    """The ids of the workflows that are executed again and again."""

    plain: str
    script: str
    failing: str
    ssh: str | None

    @classmethod
    async def store(cls, caller: Caller, ssh: Mapping[str, Any] | None) -> "Documents":
        """Store them; `ssh` is a workflow with a device, where there is one."""

        async def put(document: Mapping[str, Any]) -> str:
            return str((await caller.ask("PUT", f"{ROOT}/workflow", document))["id"])

        failing = scripted("throw new Error('not today')", "fails")
        return cls(await put(chain(10)), await put(scripted(_SCRIPT, "speaks")), await put(failing), await put(ssh) if ssh else None)


class MixedLoad:
    """Lives of executions, so many per second, until it is cancelled; `lived` counts them by kind."""

    def __init__(self, port: int, per_second: float, documents: Documents, seed: int = 1) -> None:
        self._port = port
        self._per_second = per_second
        self._documents = documents
        self._random = Random(seed)
        self._turns: asyncio.Queue[None] = asyncio.Queue(maxsize=64)
        self.lived: Counter[str] = Counter()
        self._kinds: tuple[tuple[str, int, Callable[[Caller], Awaitable[None]]], ...] = (
            ("read", 60, self._read),
            ("script", 10, self._script),
            ("resumed", 10, self._resumed),
            ("aborted and deleted", 8, self._aborted),
            ("failing, retried and aborted", 4, self._failing),
            ("of a workflow of its own", 4, self._own_workflow),
            ("listed", 2, self._listed),
            ("over SSH", 2, self._ssh),
        )

    async def run(self, callers: int) -> None:
        """Live until cancelled; raises what a request that went wrong raises."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pace())
            for _ in range(callers):
                group.create_task(self._call())
            for number in range(FOLLOWERS):
                group.create_task(self._follow(resumes=number % 2 == 0))

    async def _pace(self) -> None:
        begun, given = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - begun) * self._per_second)
            for _ in range(due - given):
                await self._turns.put(None)
            given = due
            await asyncio.sleep(0.02)

    async def _call(self) -> None:
        """Work through lives, with a new session every now and then."""
        weights = [weight for _, weight, _ in self._kinds]
        while True:
            caller = await Caller.login(self._port)
            for _ in range(500):
                await self._turns.get()
                ((name, _, live),) = self._random.choices(self._kinds, weights)
                await live(caller)
                self.lived[name] += 1
            await caller.logout()

    async def _create(self, caller: Caller, workflow_id: str, **more: object) -> str:
        retained = datetime.fromtimestamp(time.time() + RETAINED_SECONDS, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        order = {"contextType": "NONE", "workflowId": workflow_id, "retainedTil": retained, **more}
        keyed = {"idempotency-key": f"{self._random.getrandbits(128):032x}"} if self._random.random() < KEYED_SHARE else {}
        return f"{ROOT}/workflowExecution/{(await caller.ask('PUT', f'{ROOT}/workflowExecution', order, keyed))['id']}"

    async def _read(self, caller: Caller) -> None:
        path = await self._create(caller, self._documents.plain)
        await caller.until(path, "COMPLETED")
        await caller.ask("GET", path)

    async def _script(self, caller: Caller) -> None:
        path = await self._create(caller, self._documents.script)
        await caller.until(path, "COMPLETED")
        await caller.ask("GET", path)

    async def _resumed(self, caller: Caller) -> None:
        path = await self._create(caller, self._documents.plain, debugStepIds=["s5"])
        await caller.until(path, "PAUSED")
        await caller.ask("POST", f"{path}/resume")
        await caller.until(path, "COMPLETED")

    async def _aborted(self, caller: Caller) -> None:
        path = await self._create(caller, self._documents.plain, debugStepIds=["s3"])
        await caller.until(path, "PAUSED")
        await caller.ask("POST", f"{path}/abort")
        await caller.ask("DELETE", path)

    async def _failing(self, caller: Caller) -> None:
        path = await self._create(caller, self._documents.failing, pauseAtFailure=True)
        await caller.until(path, "PAUSED")
        await caller.ask("POST", f"{path}/retry")
        await caller.until(path, "PAUSED")
        await caller.ask("POST", f"{path}/abort")

    async def _own_workflow(self, caller: Caller) -> None:
        workflow = f"{ROOT}/workflow/" + (await caller.ask("PUT", f"{ROOT}/workflow", chain(self._random.randint(2, 30))))["id"]
        path = await self._create(caller, workflow.rpartition("/")[2])
        await caller.until(path, "COMPLETED")
        await caller.ask("DELETE", workflow)

    async def _listed(self, caller: Caller) -> None:
        await caller.ask("GET", f"{ROOT}/workflowExecution")

    async def _ssh(self, caller: Caller) -> None:
        if self._documents.ssh is None:
            return
        path = await self._create(caller, self._documents.ssh)
        await caller.until(path, "COMPLETED")

    async def _follow(self, *, resumes: bool) -> None:
        """Follow everything for a while, go away without a word, and come again; some go on where they were."""
        caller = await Caller.login(self._port)
        last_id = ""
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(caller.following(last_id if resumes else ""))
            last_id = await _read_events(reader, FOLLOWED_SECONDS) or last_id
            writer.close()
            self.lived["streams"] += 1


async def _read_events(reader: asyncio.StreamReader, seconds: float) -> str:
    """Read what comes for so long; return the id of the last event."""
    last_id = ""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while line := await reader.readline():
                if line.startswith(b"id:"):
                    last_id = line[3:].strip().decode()
    return last_id
