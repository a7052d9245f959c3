"""What lies between the parts of the service, where messages get lost, come late or twice, and wake-ups too."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, TypeVar

from stepswitch.dispatch.local import LocalDispatcher
from stepswitch.dispatch.places import Places, Room
from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.errors import NotFoundError, StoreError
from stepswitch.domain.events import Cancel, Reply, Task
from stepswitch.domain.execution import LogEntry, Outcome
from stepswitch.engine.claims import Claims, Grant
from stepswitch.engine.ports import Clock
from tests.simulation.devices import City
from tests.simulation.loop import Node, SimulatedLoop, sleep

T = TypeVar("T")
PATIENCE_SECONDS: Final = 5.0
LATEST_SECONDS: Final = 40.0


class Wire(Claims):
    """What a worker has in place of the conductor's side: messages to it and its answers."""

    def __init__(self, server: Claims, node: Node, city: City) -> None:
        self._server = server
        self._node = node
        self._city = city

    async def claim(self, task: Task, instance: str, nonce: str | None = None) -> Grant | Reply:
        asked = self._now()
        answer = await self._ask(lambda: self._server.claim(task, instance, nonce))
        self._hear(answer, asked)
        self._city.met[f"a claim was answered {answer if isinstance(answer, Reply) else Reply.GRANTED}"] += 1
        return answer

    async def claim_late(self, grant: Grant, instance: str) -> Grant | Reply:
        asked = self._now()
        answer = await self._ask(lambda: self._server.claim_late(grant, instance))
        self._hear(answer, asked)
        self._city.met[f"a late claim was answered {answer if isinstance(answer, Reply) else Reply.GRANTED}"] += 1
        return answer

    async def report(self, grant: Grant, outcome: Outcome, *, is_left_behind: bool = False) -> Reply:
        reply = await self._ask(lambda: self._server.report(grant, outcome, is_left_behind=is_left_behind))
        self._city.met[f"a report was answered {reply}"] += 1
        return reply

    async def give_back(self, task: Task, nonce: str) -> Reply:
        return await self._ask(lambda: self._server.give_back(task, nonce))

    async def log(self, execution_id: str, entries: Sequence[LogEntry], *, again: bool = False, is_confidential: bool = False) -> None:
        await self._ask(lambda: self._server.log(execution_id, entries, again=again, is_confidential=is_confidential), doubles=False)

    async def sign(self, nonces: Sequence[str]) -> Sequence[str]:
        lost, asked = self._city.lost.intersection(nonces), self._now()
        kept = await self._ask(lambda: self._server.sign(nonces))
        self._city.heard |= {nonce: (self._city.heard[nonce][1], asked) for nonce in kept}
        if believed := lost.intersection(kept):
            self._city.breaches.append(f"a worker was told that its claim is stored, which had been declared lost: {sorted(believed)}")
        return kept

    async def errand(self, execution_id: str, nonce: str) -> Grant | Reply:
        return await self._ask(lambda: self._server.errand(execution_id, nonce))

    async def cleaned_up(self, execution_id: str, nonce: str) -> None:
        await self._ask(lambda: self._server.cleaned_up(execution_id, nonce))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _hear(self, answer: Grant | Reply, asked: float) -> None:
        if isinstance(answer, Grant) and answer.nonce is not None:
            self._city.heard[answer.nonce] = (asked, asked)

    async def _ask(self, work: Callable[[], Coroutine[Any, Any, T]], *, doubles: bool = True) -> T:
        """Have `work` done at the other end; raises StoreError where the message or its answer gets lost."""
        city, weather = self._city, self._city.weather
        if city.happens("a message was lost", weather.message_lost / 2):
            await sleep(PATIENCE_SECONDS)
            raise StoreError("no answer came")
        if doubles and city.happens("a message came after its sender had given up", weather.message_late / 2):
            self._begin(self._again(work, PATIENCE_SECONDS + city.random.random() * LATEST_SECONDS))
            await sleep(PATIENCE_SECONDS)
            raise StoreError("no answer came yet")
        await self._travel()
        if doubles and city.happens("a message came twice", weather.message_doubled):
            self._begin(self._again(work))
        answer = await asyncio.shield(self._begin(work()))
        if city.happens("an answer was lost", weather.message_lost / 2):
            await sleep(PATIENCE_SECONDS)
            raise StoreError("no answer came, although the message arrived")
        await self._travel()
        return answer

    async def _travel(self) -> None:
        late = self._city.happens("a message was late", self._city.weather.message_late)
        await sleep(self._city.random.random() * (LATEST_SECONDS if late else 0.01))

    async def _again(self, work: Callable[[], Coroutine[Any, Any, T]], seconds: float = 0.0) -> None:
        await sleep(seconds)
        await self._travel()
        with suppress(StoreError, NotFoundError):
            await work()

    def _begin(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        task = loop.run_on(self._node, work)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever asked may wait no more
        return task


class WakeUps(LocalDispatcher):
    """The real dispatcher, of which wake-ups and cancels get lost, and wake-ups come twice."""

    def __init__(self, places: Places, clock: Clock, city: City, room: Room) -> None:
        super().__init__(places, clock, room)
        self._city = city
        self.under_way: list[Task] = []

    def submit(self, task: Task) -> bool:
        weather = self._city.weather
        if self._city.happens("a wake-up was lost", weather.wake_up_lost):
            return True
        if self._city.happens("a wake-up came twice", weather.wake_up_doubled):
            seconds = self._city.random.random() * LATEST_SECONDS
            asyncio.get_running_loop().call_later(seconds, super().submit, replace(task))
        return super().submit(task)

    def visited(self) -> list[DeviceLane]:
        """Return the devices at which somebody removes what a step has left, as the tenant sees them for whom that is."""
        return [each.device for each in self._visits._there.values()]

    def cancel(self, cancel: Cancel) -> None:
        if not self._city.happens("a cancel was lost", self._city.weather.cancel_lost):
            super().cancel(cancel)

    def _pump(self) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return  # everything is let go of at last: nothing begins any more
        super()._pump()

    def start(self, take_turn: Callable[[Task], Awaitable[None]], carry_out: Callable[[Task], Awaitable[None]]) -> None:
        city, places = self._city, self._places

        async def noted(task: Task) -> None:
            self.under_way.append(task)
            there = [each.device for each in self.under_way if each.device is not None] + self.visited()
            at = [] if task.device is None else [places.at(each) for each in there if each.lane == task.lane]
            if at and len(at) > max(at):
                city.breaches.append(f"more sessions than {max(at)} at {task.device}")
            most = places.of_tenant(task.tenant)
            if most is not None and sum(each.tenant == task.tenant for each in self.under_way) > most:
                city.breaches.append(f"more steps than {most} of the tenant {task.tenant}")
            try:
                await carry_out(task)
            finally:
                self.under_way.remove(task)

        super().start(take_turn, noted)
