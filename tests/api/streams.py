"""A reader of server-sent events that the test holds in hand: it reads when it is told to, and goes away when it is told to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from starlette.types import ASGIApp, Message

from stepswitch.api.wire import event_models

OWN = "/stepswitch/api/v1"
MODELS: dict[str, type[BaseModel]] = {
    "execution": event_models.ExecutionEvent,
    "step": event_models.StepEvent,
    "log": event_models.LogEvent,
    "reset": event_models.ResetEvent,
}


@dataclass(frozen=True)
class Event:
    """One event, held against its model."""

    kind: str
    id: str
    data: dict[str, Any]

    def __str__(self) -> str:
        data = self.data
        said = {"execution": data.get("status", "deleted"), "step": f"{data.get('number')} {data.get('state')}", "log": data.get("msg")}
        return f"{self.kind} {said.get(self.kind, '')}".strip()


class Parser:
    """Reads events as the HTML standard says, piece by piece."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.last_id = ""
        self.comments = 0
        self._rest = b""
        self._whole_id = ""
        self._kind = self._data = ""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line.decode())

    def cut(self) -> None:
        """Forget what has not come to its end: the connection broke."""
        self._rest, self._kind, self._data = b"", "", ""
        self.last_id = self._whole_id

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            self._whole_id = self.last_id
            if self._data:
                self.events.append(Event(self._kind, self.last_id, json.loads(self._data)))
                MODELS[self._kind].model_validate(self.events[-1].data)
            self._kind = self._data = ""
        elif not name:
            self.comments += 1
        elif name == "id":
            self.last_id = value
        elif name == "event":
            self._kind = value
        elif name == "data":
            assert not self._data, "data on several lines"
            self._data = value
        else:
            assert name == "retry", line


@dataclass
class Reader:
    """One request for a stream. `gate`: as long as it is clear, the reader takes nothing."""

    app: ASGIApp
    path: str
    headers: dict[str, str]
    method: str = "GET"
    parser: Parser = field(default_factory=Parser)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 0
    answered: dict[str, str] = field(default_factory=dict)
    is_complete: bool = False
    is_held: bool = False
    """Whether something waits to be taken."""
    _gone: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def events(self) -> list[Event]:
        return self.parser.events

    def told(self) -> list[str]:
        """Return the events in short."""
        return [str(event) for event in self.events]

    def start(self) -> None:
        path, _, query = self.path.partition("?")
        headers = [(name.lower().encode(), value.encode("utf-8")) for name, value in self.headers.items()]
        scope = {"type": "http", "method": self.method, "path": path, "raw_path": path.encode(), "query_string": query.encode()}
        scope |= {"headers": headers, "http_version": "1.1", "scheme": "http", "server": ("house", 80), "root_path": ""}
        self.gate.set()
        self.task = asyncio.ensure_future(self.app(scope, self._receive, self._send))
        self.task.add_done_callback(lambda _: self._changed.set())

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if not self.gate.is_set():
            self.is_held = True
            self._changed.set()
        await self.gate.wait()
        self.is_held = False
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.answered = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.parser.feed(message.get("body", b""))
            self.is_complete = not message.get("more_body", False)
        self._changed.set()

    def look_again(self) -> None:
        """Let whoever waits in `until` look once more: something else than what was taken has changed."""
        self._changed.set()

    async def until(self, holds: Callable[["Reader"], Any]) -> None:
        """Return as soon as it has got what is wanted."""
        async with asyncio.timeout(30):
            while not holds(self):
                assert not self.task.done() or self.task.exception() is None, self.task.exception()
                assert not self.task.done(), f"it ended with {self.told()}"
                self._changed.clear()
                await self._changed.wait()

    async def until_told(self, *, status: str | None = None, number: int | None = None) -> None:
        """Return when an event says that the execution stands so, or when there are so many events."""
        await self.until(
            lambda reader: (
                len(reader.events) >= (number or 0)
                and (status is None or any(event.data.get("status") == status for event in reader.events))
            )
        )

    async def until_over(self) -> list[str]:
        """Return what was told, when the stream has ended by itself."""
        await asyncio.wait_for(asyncio.shield(self.task), 30)
        assert self.is_complete
        return self.told()

    async def leave(self) -> None:
        """Go away."""
        self._gone.set()
        self.gate.set()
        await asyncio.wait_for(asyncio.wait([self.task]), 30)


@asynccontextmanager
async def reading(app: ASGIApp, headers: dict[str, str], execution: str | None = None, last: str | None = None) -> AsyncIterator[Reader]:
    """Give a reader of all executions or of one, who resumes from an id where one is given."""
    path = f"{OWN}/events" if execution is None else f"{OWN}/executions/{execution}/events"
    reader = Reader(app, path, headers | ({} if last is None else {"Last-Event-ID": last}))
    reader.start()
    try:
        yield reader
    finally:
        await reader.leave()
