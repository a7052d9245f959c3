"""Streams of what happens to executions, as server-sent events. Listed in `stream_operations`.

A stream ends when everything of an execution that is over was sent, when the session of its reader ends, and when the service stops.
A reader that does not read is cut off by the server (`bootstrap.protocol`); what it misses it gets when it comes back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from stepswitch.api.services import Call
from stepswitch.api.sessions import token_of
from stepswitch.api.wire.events import MEDIA_TYPE, LastEvent, event_id, last_event, news_text, opening_text, position_text, reset_text
from stepswitch.api.wire.requests import existing_id
from stepswitch.domain.errors import NotAuthenticatedError, NotFoundError, StoreError
from stepswitch.domain.execution import ENDED, Head
from stepswitch.engine.feed import Follower, Taken
from stepswitch.engine.news import Happened

KEEP_ALIVE_SECONDS: Final = 15.0
LAST_EVENT_ID: Final = "Last-Event-ID"
QUERY_LAST_EVENT_ID: Final = "lastEventId"
_HEADERS: Final = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""The last one keeps a proxy from collecting events."""
_log = structlog.get_logger("stepswitch.api")


async def follow_all(call: Call) -> Response:
    """Send what happens to the executions that the caller may see."""
    return await _stream(call, None)


async def follow_execution(call: Call) -> Response:
    """Send what happens to one execution; 204 to who has got all of one that is over."""
    execution_id = existing_id(call.request.path_params["workflowExecutionId"])
    await call.services.views.head(call.caller, execution_id)
    return await _stream(call, execution_id)


async def _stream(call: Call, execution_id: str | None) -> Response:
    if call.request.method == "HEAD":
        return EventStream()
    named = call.request.headers.get(LAST_EVENT_ID) or call.request.query_params.get(QUERY_LAST_EVENT_ID)
    last = last_event(named) if named else None
    follower = await _follower(call, execution_id, last)
    if named and last is None:
        follower.reset()
    story = Story(call, follower, last)
    try:
        await story.begin(is_new=not named)
        if named and story.may_be_over and not await story.has_more():
            story.close()
            return Response(None, 204)
    except BaseException:
        story.close()
        raise
    return EventStream(story, lambda: call.services.accounts.ended(token_of(call.request)))


async def _follower(call: Call, execution_id: str | None, last: LastEvent | None) -> Follower:
    feed, tenant = call.services.feed, call.caller.tenant
    if last is None:
        return await feed.follow(tenant, execution_id)
    return await feed.follow(tenant, execution_id, last.position, again=last.sent is not None)


class Story:
    """What one reader is sent, piece by piece."""

    def __init__(self, call: Call, follower: Follower, last: LastEvent | None) -> None:
        self._services = call.services
        self._caller = call.caller
        self._token = token_of(call.request)
        self._texts = call.answers.events
        self._follower = follower
        self._last = last
        self._ready: list[bytes] = []
        self._own_end = 0
        """Of one execution: the place of its last commit, as far as is known."""
        self.may_be_over = False
        self._silence: asyncio.Future[None] | None = None

    async def begin(self, *, is_new: bool) -> None:
        """Prepare the first piece: to a new reader of one execution it says how that stands."""
        position = self._follower.position
        self._ready.append(opening_text(position if is_new else None))
        execution_id = self._follower.execution_id
        if execution_id is None:
            return
        head = await self._look(execution_id)
        if is_new and head is not None:
            standing = (await self._services.feed.standing(head)).as_seen_by(self._caller)
            self._ready.append(news_text(execution_id, standing, event_id(position)))

    async def _look(self, execution_id: str) -> Head | None:
        """See whether an execution has ended, or is gone, and up to which commit it is to be told then."""
        try:
            head = await self._services.views.head(self._caller, execution_id)
        except NotFoundError:
            head = None
        self.may_be_over = head is None or head.status in ENDED
        self._own_end = (await self._services.feed.newest(execution_id)).place
        return head

    async def has_more(self) -> bool:
        """Return whether anything is to be sent of an execution that may be over."""
        opening, self._ready = self._ready, []
        following = await self.next()
        if following is None:
            return False
        self._ready = [*opening, following]
        return True

    async def next(self) -> bytes | None:
        """Return the next piece as soon as there is one, after a while without news a sign of life; None at the end."""
        while not self._services.feed.is_closed:
            if self._ready:
                piece, self._ready = b"".join(self._ready), []
                return piece
            taken = await self._follower.take()
            await self._note(taken)
            if self._ready or self._follower.is_behind:
                continue
            if self._is_over():
                return None
            if not await self._is_news_due():
                return position_text(self._follower.position)
        return None

    async def _note(self, taken: Taken) -> None:
        execution_id = self._follower.execution_id
        if taken.is_reset:
            self._ready.append(reset_text(execution_id, self._follower.position))
            if execution_id is not None:
                await self._look(execution_id)
        for happened in await self._seen(taken.happened):
            texts = self._texts.get(happened)
            if self._last is not None and self._last.sent and happened.position == self._last.position:
                texts = texts[self._last.sent :]
            self._ready += texts
            if happened.has_ended is not None:
                self.may_be_over = happened.has_ended

    async def _seen(self, happened: Sequence[Happened]) -> Sequence[Happened]:
        """Return what the reader may see by what he is allowed now; raises NotAuthenticatedError where his session is over."""
        if not happened:
            return ()
        self._caller = await self._services.accounts.authenticate(self._token)
        return [each.as_seen_by(self._caller) for each in happened if self._caller.sees(each)]

    def _is_over(self) -> bool:
        return self._follower.execution_id is not None and self.may_be_over and self._follower.position.place >= self._own_end

    async def _is_news_due(self) -> bool:
        """Wait for news; return False where there are none for a while."""
        if self._silence is None:
            self._silence = asyncio.ensure_future(self._services.clock.sleep(KEEP_ALIVE_SECONDS))
        changed = asyncio.ensure_future(self._follower.changed.wait())
        waiting: set[asyncio.Future[Any]] = {changed, self._silence}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
        if not self._silence.done():
            return True
        self._silence = None
        return False

    def close(self) -> None:
        """Follow no more."""
        if self._silence is not None:
            self._silence.cancel()
        self._follower.close()


class EventStream(Response):
    """The answer that does not end; without a story only its headers. `until_over` returns when the session of the reader is over."""

    def __init__(self, story: Story | None = None, until_over: Callable[[], Awaitable[None]] | None = None) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(_HEADERS)
        self._story = story
        self._until_over = until_over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 # as Starlette has it
        """Send the headers, then one piece after the other."""
        story, until_over = self._story, self._until_over
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if story is not None and until_over is not None:
                await _send_until(_send_all(story, send), until_over(), _gone(receive))
        finally:
            if story is not None:
                story.close()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_all(story: Story, send: Send) -> None:
    """Send a story to its end; where the store cannot be read, or the session is over, it ends early."""
    try:
        while (piece := await story.next()) is not None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except NotAuthenticatedError:
        return
    except StoreError as error:
        _log.error("a stream ends because the store says no", error=str(error))


async def _send_until(sending: Awaitable[None], *ends: Awaitable[None]) -> None:
    """Send until everything is sent, or one of `ends` is there."""
    all_of_it = [asyncio.ensure_future(each) for each in (sending, *ends)]
    try:
        await asyncio.wait(all_of_it, return_when=asyncio.FIRST_COMPLETED)
        for each in all_of_it:
            if each.done():
                each.result()
    finally:
        for each in all_of_it:
            each.cancel()
        await asyncio.gather(*all_of_it, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
