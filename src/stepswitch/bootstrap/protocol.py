"""How HTTP is read from a connection: uvicorn's protocol with bounds on what may come before anybody has logged in. Used by `server`.

Headers have a limit and a deadline, a body has to make progress, connections have a number; and whatever is refused here is answered
with the same `errorResponse` as everything else, so that a client needs to know one form only.
"""

import asyncio
import http
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stepswitch.api import problems
from stepswitch.api.connections import WHEN_CUT, WHEN_KNOWN
from stepswitch.api.operations import HEALTH_PATH
from stepswitch.api.request_ids import REQUEST_ID, request_id_of
from stepswitch.bootstrap.crowd import Crowd, Entry, without_share
from stepswitch.bootstrap.held_heads import HeldHead
from stepswitch.bootstrap.shares import SharedRequests, overloaded
from stepswitch.domain.errors import (
    ErrorCode,
    Fault,
    HeadersTooLargeError,
    InvalidRequestError,
    StepswitchError,
    TooSlowError,
)
from stepswitch.engine.ports import Ids

LINGER_SECONDS: Final = 2.0
LINGER_BYTES: Final = 16 * 1024 * 1024
"""How much is read and dropped after a refusal. A connection that is closed with bytes unread is reset, and the refusal lost with it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one connection, and all of them together, may take."""

    max_connections: int
    head_bytes: int = 64 * 1024
    head_seconds: float = 30.0
    body_seconds: float = 60.0
    """How long a body may stand still."""
    body_seconds_of_strangers: float = 20.0
    """How long the whole body of somebody may take who has not logged in: what he has to send is small."""
    body_rate: int = 1024
    """So many bytes a second have to come of any other body, on the average since its first `body_seconds`."""
    has_no_share: Callable[[str], bool] = field(default_factory=without_share)
    """Whether so many connections come from an address as may come at all: see `crowd`."""
    unread_seconds: float = 60.0
    """How long a client may leave unread what it was sent."""
    unread_seconds_at_stop: float = 2.0
    """The same, from when the service was told to stop."""
    idle_seconds: int = 30


class BoundedConfig(uvicorn.Config):
    """uvicorn's configuration and the bounds: all that a protocol is given."""

    def __init__(self, app: Any, bounds: Bounds, ids: Ids, **options: Any) -> None:
        self.crowd = Crowd(bounds.max_connections, bounds.has_no_share)
        shared = SharedRequests(app, self.crowd, ids) if options.get("proxy_headers") else app
        super().__init__(shared, http=BoundedProtocol, ws="none", timeout_keep_alive=bounds.idle_seconds, **options)
        self.bounds = bounds
        self.ids = ids


class _Reading(Enum):
    """What comes next on the connection."""

    NOTHING = "between requests"
    HEAD = "request line and headers"
    BODY = "body"
    REST = "what is dropped after a refusal"


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `check` is called about once a second: no request pays for timers of its own."""

    def __init__(self, config: BoundedConfig, *arguments: Any, **named: Any) -> None:
        super().__init__(config, *arguments, **named)
        self._bounds = config.bounds
        self._ids = config.ids
        self._crowd = config.crowd
        self._entry = Entry.CUT
        self._reading = _Reading.NOTHING
        self._since = self.loop.time()
        self._unused = 0
        """Bytes read that were neither a body nor part of a complete head."""
        self._body_bytes = 0
        self._body_seconds = 0.0
        """How long we have waited for the body: not while it was us who did not read."""
        self._looked_at = self._since
        self._is_known = False
        """Whether who sends the body has logged in."""
        self._extensions: dict[str, Any] = {WHEN_CUT: self._when_cut, WHEN_KNOWN: self._when_known}
        self._at_work: Callable[[], None] | None = None
        """To be called where the answer to the request that is carried out cannot be written."""
        self._leaving: list[Callable[[], None]] = []
        """The same of answers that are complete, and not all of them handed to the operating system."""
        self._unread = 0
        """Bytes that the client had not taken when it was looked last."""
        self._taken_at = self._since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Take a connection; one too many is answered 503 when its request is there, or cut where they are far too many."""
        super().connection_made(transport)
        self._entry = self._crowd.enter(self._address)
        if self._entry is Entry.CUT:
            transport.abort()
        elif self._entry is not Entry.LET_IN:
            self.app = self._answer_overload

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    async def _answer_overload(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == HEALTH_PATH:
            await self.config.loaded_app(scope, receive, _closing(send))
            return
        crowd = self._crowd
        told = f"more than {crowd.most} connections are open"
        if self._entry is Entry.TOO_MANY_OF_ADDRESS:
            told = f"more than {crowd.most_of_address} connections are open from this address, which is its share of {crowd.most}"
        await overloaded(told, self._ids, closes=True)(scope, receive, send)

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self._unused += len(data)
        if self._reading is _Reading.REST:
            if self._unused > LINGER_BYTES:
                self.transport.close()
            return
        super().data_received(data)
        if self._unused > self._bounds.head_bytes and not self.transport.is_closing():
            self._refuse(self._head_too_large())

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions
        self._reading, self._since = _Reading.HEAD, self.loop.time()

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is over the limit."""
        if self._unused > self._bounds.head_bytes:  # of which some may be the body's
            size = len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)
            if size > self._bounds.head_bytes:
                raise self._head_too_large()
        super().on_headers_complete()
        if self.scope["method"] != "HEAD":  # whose answer is nothing but a head
            self.cycle.transport = HeldHead(self.transport)  # type: ignore[assignment] # all that it is asked for
        self._reading, self._since, self._unused = _Reading.BODY, self.loop.time(), 0
        self._body_bytes, self._body_seconds, self._looked_at, self._is_known = 0, 0.0, self._since, False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body: that is progress."""
        super().on_body(body)
        self._body_bytes += len(body)
        self._since, self._unused = self.loop.time(), 0

    def on_message_complete(self) -> None:
        """Note that nothing more belongs to this request."""
        super().on_message_complete()
        self._reading, self._since, self._unused = _Reading.NOTHING, self.loop.time(), 0

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 # uvicorn gives it
        """Refuse what could not be parsed; called by uvicorn, also for an error that a callback of the parser raised."""
        if self._unused > self._bounds.head_bytes:
            self._refuse(self._head_too_large())
        else:
            self._refuse(InvalidRequestError([Fault(ErrorCode.MALFORMED_REQUEST, "", "this is no HTTP request")]))

    def _when_cut(self, then: Callable[[], None]) -> None:
        """Have `then` called where the answer to the request that is carried out now cannot be written: see `api.connections`."""
        if self.transport.is_closing():
            then()
        else:
            self._at_work = then

    def _when_known(self) -> None:
        """Take note that whoever sends the request that is carried out now has logged in."""
        self._is_known = True

    def on_response_complete(self) -> None:
        """Note that an answer is complete; whether it was written is known when its bytes have left."""
        if self._at_work is not None:
            self._leaving.append(self._at_work)
            self._at_work = None
            self.loop.call_soon(self._note_written)
        super().on_response_complete()

    def _note_written(self) -> None:
        if self._leaving and self.transport.get_write_buffer_size() == 0:
            self._leaving.clear()

    def eof_received(self) -> None:
        """Take note that the client sends no more: the connection is closed by that, and what is not written yet never will be."""
        self._note_written()
        self._tell_cut(at_work_only=True)
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the connection. One that was closed in good order was written to its end before."""
        self._tell_cut(at_work_only=exc is None)
        self._crowd.leave(self._address, self._entry)
        super().connection_lost(exc)
        # They lead back here: with them the connection, and what came over it, would wait for the collector.
        self._extensions, self.scope, self.cycle = {}, None, None  # type: ignore[assignment] # as uvicorn has them before the first request

    def _tell_cut(self, *, at_work_only: bool) -> None:
        cut = [] if self._at_work is None else [self._at_work]
        if not at_work_only:
            cut += self._leaving
            self._leaving = []
        self._at_work = None
        for then in cut:
            then()

    def check(self, now: float) -> None:
        """Give the connection up where its client takes too long."""
        self._note_written()
        if self._is_stuck(now, self._bounds.unread_seconds):
            self._cut_off()
            return
        if self.flow.read_paused:  # it is us who do not read
            self._since = now
        else:
            self._body_seconds += now - self._looked_at
        self._looked_at = now
        waited = now - self._since
        if self._reading is _Reading.BODY:
            if why := self._too_slow_body(waited):
                self._refuse(TooSlowError(why))
        elif waited > self._bounds.head_seconds and self._is_answered():
            if self._reading is _Reading.HEAD:
                self._refuse(TooSlowError(f"the headers were not there within {self._bounds.head_seconds:g} seconds"))
            elif self._reading is _Reading.NOTHING and self.timeout_keep_alive_task is None:
                self.transport.close()

    def _too_slow_body(self, waited: float) -> str:
        """Return in which way a body takes too long; nothing where it does not."""
        bounds = self._bounds
        if not self._is_known and self._body_seconds > bounds.body_seconds_of_strangers:
            return f"without a login, the whole body has to be there within {bounds.body_seconds_of_strangers:g} seconds"
        if waited > bounds.body_seconds:
            return f"the body stood still for {bounds.body_seconds:g} seconds"
        if self._body_bytes < bounds.body_rate * (self._body_seconds - bounds.body_seconds):
            return f"of the body came less than {bounds.body_rate} bytes a second"
        return ""

    def _is_stuck(self, now: float, seconds: float) -> bool:
        """Return whether the client has taken nothing for so long of what waits for it: a stream may be written to in between."""
        unread = self.transport.get_write_buffer_size()
        if unread == 0 or unread < self._unread:
            self._taken_at = now
        self._unread = unread
        return now - self._taken_at > seconds

    def _cut_off(self) -> None:
        """Close the connection at once; what was not taken is lost."""
        self._tell_cut(at_work_only=False)
        self.transport.abort()

    def shutdown(self) -> None:
        """Close as soon as what was asked is answered; called by uvicorn when the service stops."""
        if self._reading is _Reading.REST:
            self.transport.close()
        else:
            super().shutdown()
        self._taken_at = self.loop.time()
        self._hurry()

    def _hurry(self) -> None:
        """Cut the connection off where its client does not read: a stop is not to wait for that."""
        if self not in self.connections:
            return
        if self._is_stuck(self.loop.time(), self._bounds.unread_seconds_at_stop):
            self._cut_off()
        else:
            self.loop.call_later(self._bounds.unread_seconds_at_stop / 4, self._hurry)

    def _head_too_large(self) -> StepswitchError:
        return HeadersTooLargeError(f"the request line and the headers are over the limit of {self._bounds.head_bytes} bytes")

    def _is_answered(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    def _refuse(self, error: StepswitchError) -> None:
        """Answer with `error`, unless an answer has begun or is owed to an earlier request, and close when the client has had time to read."""
        is_free = self._is_answered() if self._reading is not _Reading.BODY else not self.cycle.response_started
        if self.cycle is not None and not self._is_answered():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not is_free or self.transport.is_closing():
            self.transport.close()
            return
        headers = () if self._reading is _Reading.NOTHING else self.headers  # of the request that is refused, as far as they came
        self._reading, self._unused = _Reading.REST, 0
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self.transport.write(_raw(error, request_id_of(headers, self._ids)))
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)


def _closing(send: Any) -> Any:
    """Return what sends an answer on, and says in it that the connection is closed."""

    async def send_on(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        await send(message)

    return send_on


def _raw(error: StepswitchError, request_id: str) -> bytes:
    """Return the answer to `error` as bytes, for a connection on which there is no request that could be answered."""
    response = problems.answer(error, request_id)
    response.headers.update({REQUEST_ID: request_id, "Connection": "close"})
    lines = [f"HTTP/1.1 {response.status_code} {http.HTTPStatus(response.status_code).phrase}".encode()]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(response.body)])
