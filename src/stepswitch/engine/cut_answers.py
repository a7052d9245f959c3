"""Requests for an execution whose connection broke before their answer was written: repeated, they are answered with what they made.

Proxies and clients repeat a PUT on their own. Whoever got his answer and asks for the same once more gets another execution; whoever
did not get it cannot know whether there is one, and gets the one that there is. Called by the API, which hears of the connection.
What is known of it stands in memory, and on disk for the case that the service is started again meanwhile.
Source: `rest-api`, section 4, end.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from stepswitch.domain.errors import NotFoundError, OverloadedError, StoreError
from stepswitch.engine.body_digests import BodyDigests
from stepswitch.engine.callers import Caller
from stepswitch.engine.executions import ExecutionRequest, Executions
from stepswitch.engine.keyed_requests import Queued
from stepswitch.engine.ports import Clock, Ids, RequestStore
from stepswitch.engine.records import RequestKind, RequestMark
from stepswitch.engine.views import ExecutionView, Views

KEPT_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 60.0
"""How long a repeat waits for the first request, which is still being carried out."""
_log = structlog.get_logger("stepswitch.cut_answers")


class Order:
    """A request for an execution, from when it came until its answer has left; longer where the answer could not be written."""

    __slots__ = ("body", "caller", "cut_at", "digest", "ended", "execution_id", "is_kept", "is_under_way")

    def __init__(self, caller: Caller, body: bytes, execution_id: str) -> None:
        self.caller = caller
        self.body = body
        self.execution_id = execution_id
        """What it makes, or has made, or would have made if it had not failed."""
        self.digest = ""
        """Of the body, from the cut on."""
        self.cut_at: float | None = None
        self.is_kept = False
        """Whether it waits for a request that repeats it."""
        self.is_under_way = False
        self.ended: asyncio.Event | None = None
        """Set when it is no longer under way, where somebody waits for that."""

    def end(self) -> None:
        """Note that it has made its execution, or failed."""
        self.is_under_way = False
        if self.ended is not None:
            self.ended.set()

    async def until_ended(self) -> None:
        """Return when it is not under way."""
        if self.is_under_way:
            self.ended = self.ended or asyncio.Event()
            await self.ended.wait()


class CutAnswers:
    """Carries out requests, and remembers those whose answers could not be written."""

    def __init__(self, *, executions: Executions, views: Views, store: RequestStore, digests: BodyDigests, clock: Clock, ids: Ids) -> None:
        self._executions = executions
        self._views = views
        self._store = store
        self._digests = digests
        self._clock = clock
        self._ids = ids
        self._kept: dict[str, deque[Order]] = {}
        """By digest, the oldest first."""
        self._by_age: deque[tuple[float, Order]] = deque()
        self._writing: set[asyncio.Task[None]] = set()

    async def recall(self) -> None:
        """Remember what was cut before the service was started again; called once, before anything is ordered."""
        now = self._clock.now()
        for mark in await self._store.cut_since(now - round(KEPT_SECONDS * 1000)):
            order = Order(Caller(mark.user, mark.tenant), b"", mark.execution_id)
            order.digest = mark.digest
            self._keep(order, self._clock.monotonic() - max(0, now - mark.made_at) / 1000)

    async def order(self, caller: Caller, body: bytes) -> Order:
        """Return an earlier order that this request repeats byte for byte and that nobody was told of, or a new one."""
        if self._by_age:
            self._forget_old()
        if self._kept:
            digest = await self._digests.of_any(caller, body)
            if (earlier := self._take(digest)) is not None:
                return earlier
        return Order(caller, body, self._ids.new())

    async def carry_out(self, caller: Caller, order: Order, request: ExecutionRequest) -> Queued:
        """Queue the execution of an order, or return the one that it has made, as it is now; raises as `Executions.create` does."""
        if order.cut_at is not None:
            made = await self._made(caller, order)
            if made is not None:
                return Queued(made, is_repeat=True)
            order.execution_id = self._ids.new()
        return Queued(await self._create(caller, order, request))

    async def _create(self, caller: Caller, order: Order, request: ExecutionRequest) -> ExecutionView:
        order.is_under_way, order.ended = True, None
        try:
            return await self._executions.create(caller, request, order.execution_id)
        except asyncio.CancelledError:  # nobody will be answered, and the execution may be made all the same
            self.cut(order)
            raise
        finally:
            order.end()

    async def _made(self, caller: Caller, order: Order) -> ExecutionView | None:
        """Return the execution that an order has made; None where it made none, or none that is still there."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await order.until_ended()
            return await self._views.shown(caller, order.execution_id)
        except NotFoundError:
            return None
        except BaseException as error:  # whoever repeats it is not told of it either: the next one may be
            self.cut(order)
            if isinstance(error, TimeoutError):
                raise OverloadedError("the request that this one repeats is still being carried out") from None
            raise

    def cut(self, order: Order) -> None:
        """Note that the answer to an order cannot be written any more."""
        if order.is_kept:
            return
        if not order.digest:
            order.digest, order.body = self._digests.of(order.caller, order.body), b""
        self._keep(order, self._clock.monotonic())
        self._write(self._store.note(self._mark(order)))

    async def drain(self) -> None:
        """Return when all that was cut is on disk; called before the store is closed."""
        while self._writing:
            await asyncio.wait(self._writing)

    def _keep(self, order: Order, cut_at: float) -> None:
        order.cut_at, order.is_kept = cut_at, True
        self._kept.setdefault(order.digest, deque()).append(order)
        self._by_age.append((cut_at, order))

    def _take(self, digest: str) -> Order | None:
        orders = self._kept.get(digest)
        if orders is None:
            return None
        order = orders[0]
        self._let_go(order)
        self._write(self._store.forget(self._mark(order)))
        return order

    def _let_go(self, order: Order) -> None:
        order.is_kept = False
        orders = self._kept[order.digest]
        orders.remove(order)
        if not orders:
            del self._kept[order.digest]

    def _forget_old(self) -> None:
        """Forget what was cut too long ago; what was taken meanwhile, and cut again, stands further behind."""
        limit = self._clock.monotonic() - KEPT_SECONDS
        while self._by_age and self._by_age[0][0] < limit:
            cut_at, order = self._by_age.popleft()
            if order.is_kept and order.cut_at == cut_at:
                self._let_go(order)

    def _mark(self, order: Order) -> RequestMark:
        made_at = self._clock.now()
        return RequestMark(
            order.caller.tenant, order.caller.user, RequestKind.CUT, order.execution_id, order.digest, order.execution_id, made_at
        )

    def _write(self, work: Coroutine[Any, Any, None]) -> None:
        """Store what changed, later: the connection that broke, or the request that repeats, does not wait for it."""

        async def outlived() -> None:
            try:
                await work
            except StoreError as error:
                _log.warning("a request whose answer was cut is known until the next start only", error=str(error))

        task = asyncio.get_running_loop().create_task(outlived())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
