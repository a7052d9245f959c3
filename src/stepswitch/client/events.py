"""Streams of what happens, without an end: a connection that breaks is made again, where it broke. Called by `executions` and `service`."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.client.errors import ClientError, NoAnswerError, UnavailableError
from stepswitch.client.news import ExecutionNews, LogNews, News, Reset, StepNews
from stepswitch.client.reading import Reader
from stepswitch.client.refusals import strange
from stepswitch.client.sse import Parser, RawEvent
from stepswitch.client.transport import Call, Incoming, Transport

LIFE_SIGN_SECONDS: Final = 45.0
"""The service gives a sign of life every 15 seconds; who hears none for so long is cut off."""
AWAY_SECONDS: Final = 300.0
"""So long a service may be away before whoever follows is told."""
_MEDIA_TYPE: Final = "text/event-stream"
OnBreak = Callable[[ClientError], None]
_READ: Final[Mapping[str, Callable[[object], News]]] = {"execution": ExecutionNews.read, "step": StepNews.read, "log": LogNews.read}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `id` is where a later reader goes on behind it: `after` of `events`."""

    id: str | None
    news: News | Reset


async def events(
    transport: Transport, path: str, about: str, after: str | None = None, on_break: OnBreak | None = None
) -> AsyncGenerator[Event, None]:
    """Yield what happens from now on, or behind the event `after`; ends where the service says that nothing more will come.

    A connection that breaks is made again, where it broke, and `on_break` is told of it once. The error of a service that stays away for
    five minutes is raised.
    """
    last_id, now = after, asyncio.get_running_loop().time
    heard, failures = now(), 0
    while True:
        parser = Parser(last_id)
        try:
            headers = {"accept": _MEDIA_TYPE} | ({} if last_id is None else {"last-event-id": last_id})
            async with transport.open(Call("GET", path, about, headers=headers, seconds=LIFE_SIGN_SECONDS)) as incoming:
                if incoming.status == 204:
                    return
                _refuse_other_than_events(transport, incoming)
                async for chunk in incoming.chunks():
                    heard, failures = now(), 0
                    for event in _happened(transport, parser, chunk):
                        yield event
                    last_id = parser.last_id
        except (NoAnswerError, UnavailableError) as error:
            last_id = parser.last_id
            if now() - heard > AWAY_SECONDS:
                raise
            if on_break is not None and not failures:
                on_break(error)
        failures += 1
        await transport.pacing.sleep(transport.pacing.delay(failures))


def _happened(transport: Transport, parser: Parser, chunk: bytes) -> list[Event]:
    """Return the events that are complete with this piece of the stream; those of a kind that only a newer service knows are left out."""
    try:
        return [event for raw in parser.feed(chunk) if (event := _event(raw)) is not None]
    except ValueError as error:
        raise strange(transport.url, f"sent a stream that is none of events: {error}") from None


def _event(raw: RawEvent) -> Event | None:
    data: Any = json.loads(raw.data)
    if raw.name == "reset":
        return Event(raw.id, Reset(Reader(data, "reset in a stream").maybe_text("executionId")))
    read = _READ.get(raw.name)
    return None if read is None else Event(raw.id, read(data))


def _refuse_other_than_events(transport: Transport, incoming: Incoming) -> None:
    kind = incoming.headers.get("content-type", "")
    if not kind.startswith(_MEDIA_TYPE):
        raise strange(transport.url, "answered with something else than a stream of events; look at what is in front of the service")
