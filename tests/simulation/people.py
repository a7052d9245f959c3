"""The people of a simulation: two of them create executions, look, and steer the same ones at once; a third has a tenant of her own.

They remember what they were told.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final, Protocol, TypeVar

from stepswitch.domain.errors import CallerError, ServiceError
from stepswitch.domain.execution import ContextType, Head
from stepswitch.engine.callers import DEFAULT_TENANT, Caller, administrator
from stepswitch.engine.catalogue import Checked
from stepswitch.engine.crash_points import CrashPoint, reach
from stepswitch.engine.executions import ExecutionRequest
from stepswitch.engine.steering import ChangeOrder, ValuesOrder
from stepswitch.engine.views import ExecutionView
from tests.simulation.devices import NORTH, City
from tests.simulation.disk import Disk, Line
from tests.simulation.documents import EDITED, calling, calls, draw_document, with_word
from tests.simulation.loop import SimulatedLoop, sleep
from tests.simulation.service import Life
from tests.simulation.weather import CALM

T = TypeVar("T")
PATIENCE_SECONDS: Final = 60.0
APPOINTMENT_SECONDS: Final = 5.0
TRIES: Final = 4
EXECUTIONS: Final = {DEFAULT_TENANT: 6, NORTH: 3}
"""How many are created by tenant: enough to keep one another waiting, of the same tenant and of the other."""
OF_OTHERS: Final = 0.4
"""How often somebody steers an execution that was begun for another one, where he knows of any."""
AT_ONCE: Final = 0.4
"""How often somebody who wants an execution to be gone aborts it first, whatever it does."""
DEEPEST: Final = 3
"""So deep workflows call each other: deeper than they may."""
FILE: Final = "notes.txt"
ANN, BOB, EVE = administrator("ann"), administrator("bob"), administrator("eve", NORTH)
PEOPLE: Final = (ANN, BOB, EVE)


class GoneError(Exception):
    """The service died, or did not answer: nobody knows what became of what was asked."""


class Answer(Enum):
    """What somebody was told."""

    DONE = auto()
    REFUSED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Act:
    """Something that somebody did to an execution; its reason is in no other."""

    kind: str
    reason: str
    execution_id: str
    answer: Answer


@dataclass
class Memory:
    """What all people know together."""

    accepted: dict[str, list[str]] = field(default_factory=lambda: {tenant: [] for tenant in EXECUTIONS})
    """The executions of each tenant."""
    found: dict[str, list[str]] = field(default_factory=lambda: {tenant: [] for tenant in EXECUTIONS})
    """Those that were begun for others, as far as somebody of the tenant has seen them."""
    secrets: list[str] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    words: dict[str, str] = field(default_factory=dict)
    """Reason of an edit → the word that it put into the steps."""
    heard: list[str] = field(default_factory=list)
    """Everything that they were shown or told, errors included."""

    @property
    def all_accepted(self) -> list[str]:
        """The executions of all tenants."""
        return [each for accepted in self.accepted.values() for each in accepted]


class Town(Protocol):
    """Where people find the service."""

    @property
    def life(self) -> Life | None:
        """The service as it lives now."""
        ...

    @property
    def disk(self) -> Disk:
        """What is on disk now, for whoever wants to know whether he was told the truth."""
        ...


async def ask(town: Town, work: Callable[[Life], Coroutine[Any, Any, T]]) -> T:
    """Return what the service answers; raises GoneError where it does not."""
    life = town.life
    if life is None or not life.is_ready or life.node.is_dead:
        raise GoneError
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    task = loop.run_on(life.node, _answered(life, work))
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    waited: list[asyncio.Future[Any]] = [task, life.gone]
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_SECONDS)
    if not task.done() or life.node.is_dead:
        raise GoneError
    return task.result()


async def _answered(life: Life, work: Callable[[Life], Coroutine[Any, Any, T]]) -> T:
    """Do what a request asks for; its answer leaves as any other does."""
    answer = await work(life)
    reach(CrashPoint.ANSWER_DUE)
    asyncio.get_running_loop().call_soon(reach, CrashPoint.ANSWER_GIVEN)
    return answer


class Person:
    """Somebody who does one thing after the other, whatever the answers are."""

    def __init__(self, caller: Caller, town: Town, city: City, memory: Memory) -> None:
        self._caller = caller
        self._town = town
        self._city = city
        self._memory = memory
        self._accepted = memory.accepted[caller.tenant]
        self._found = memory.found[caller.tenant]
        self._done = 0

    async def live(self) -> None:
        """Do things until cancelled."""
        while True:
            await sleep(self._city.random.random() * 8.0)
            steers = self._accepted and self._city.chance(self._city.weather.steering)
            if steers and self._city.chance(0.5):
                await self._steer(await self._appointment())
            elif steers:
                of_others = self._found and self._city.chance(OF_OTHERS)
                await self._steer(self._city.random.choice(self._found if of_others else self._accepted))
            elif len(self._accepted) < EXECUTIONS[self._caller.tenant]:
                await self._create()
            elif self._accepted:
                await self._look(self._city.random.choice(self._accepted))

    async def _create(self) -> None:
        random = self._city.random
        secret = f"s3cret-{len(self._memory.secrets)}-{random.randrange(10**12)}"
        self._memory.secrets.append(secret)
        more: dict[str, Any] = {"assignments": {"pw": secret}, "pause_at_failure": random.random() < 0.5}
        if random.random() < 0.2:
            more["debug_step_ids"] = (random.choice(EDITED),)
        stored = await self._workflow()
        if stored is None:
            return
        request = ExecutionRequest(stored.workflow.id, ContextType.NONE, **more)
        key = f"key {stored.workflow.id}"
        for _ in range(random.randrange(1, TRIES)):  # until there is an answer, and at times once more
            queued = await self._try(lambda life: life.requests.create(self._caller, request, key, secret.encode()))
            if queued is not None:
                self._hear(queued.view)
                self._accepted.append(queued.view.head.id)
                if not self._city.chance(self._city.weather.message_doubled):
                    return

    async def _workflow(self, depth: int = 0) -> Checked | None:
        """Return a new workflow, and have those there that it calls; None where somebody did not get an answer."""
        document = draw_document(self._city.random, self._city.weather if depth < DEEPEST else CALM)
        for step in calling(document):
            called = await self._workflow(depth + 1)
            if called is None:
                return None
            calls(step, called.workflow.id)
        return await self._try(lambda life: life.catalogue.create(self._caller, document))

    async def _appointment(self) -> str:
        """Return the execution that everybody steers at the next full moment, when it is there."""
        now = asyncio.get_running_loop().time()
        await sleep(APPOINTMENT_SECONDS - now % APPOINTMENT_SECONDS)
        names = self._accepted or ["none is left"]
        return names[int(now / APPOINTMENT_SECONDS) % len(names)]

    async def _look(self, execution_id: str) -> None:
        before = self._town.disk.lines()
        view = await self._try(lambda life: life.views.execution(self._caller, execution_id))
        if view is not None and before == self._town.disk.lines():
            self._check_holder(view, before)

    def _check_holder(self, view: ExecutionView, lines: Sequence[Line]) -> None:
        """See that somebody who waits for a lock is told who has it, or is to have it next."""
        head, waits = view.head, [each for each in view.waiting_for if each.kind == "lock"]
        key = next((key for _, key, execution_id, is_held in lines if execution_id == head.id and not is_held), None)
        if not waits or key is None:
            return
        self._city.met["somebody was told who has a lock"] += 1
        first = next(execution_id for tenant, line, execution_id, _ in lines if (tenant, line) == (head.tenant, key))
        told = None if waits[0].holder is None else waits[0].holder.execution_id
        if told != (None if first == head.id else first):
            self._city.breaches.append(f"{head.id} waits for {key}, which {first} has, and is told that {told} has it")

    async def _steer(self, execution_id: str) -> None:
        kind = self._city.random.choice(
            [*STEERING, "resume", "retry", "edit", "edit", "values", "flag", "delete", "attach", "attach", "detach", "break", "break"]
        )
        lock_id = ""
        if kind == "break":
            execution_id, lock_id = await self._held_lock(execution_id)
        self._done += 1
        reason = f"because-{self._caller.user}-{self._done}-of-{kind}"
        work = self._work(kind, execution_id, reason, lock_id)
        answer = Answer.UNKNOWN
        try:
            self._hear(await ask(self._town, work))
            answer = Answer.DONE
        except CallerError as error:
            self._memory.heard.append(str(error))
            answer = Answer.REFUSED
        except (GoneError, ServiceError) as error:
            self._memory.heard.append(str(error))
        finally:  # also where the storm is over before the answer is there
            self._city.met[f"{kind}: {answer.name}"] += 1
            self._memory.acts.append(Act(kind, reason, execution_id, answer))
            if kind == "delete" and answer is not Answer.REFUSED:
                self._memory.deleted.add(execution_id)

    async def _held_lock(self, execution_id: str) -> tuple[str, str]:
        """Return an execution that has a lock, and the name of that holding: by the time it is broken it may be over."""
        held = await self._try(lambda life: life.held_locks.list(self._caller))
        if not held:
            return execution_id, "0"
        chosen = self._city.random.choice(held)
        return chosen.execution_id, chosen.id

    def _work(self, kind: str, execution_id: str, reason: str, lock_id: str) -> Callable[[Life], Coroutine[Any, Any, Any]]:
        random = self._city.random
        if kind in STEERING:
            return lambda life: STEERING[kind](life, self._caller, execution_id, reason)
        if kind == "break":
            return lambda life: life.steering.break_lock(self._caller, execution_id, lock_id, reason)
        if kind == "values":
            values = ValuesOrder({"note": reason})
            return lambda life: life.steering.set_values(self._caller, execution_id, values, reason)
        if kind == "flag":
            flag = ChangeOrder(pause_at_failure=random.random() < 0.5)
            return lambda life: life.steering.change(self._caller, execution_id, flag, reason)
        if kind == "attach":
            content = f"{reason} {random.random()}"[: random.choice([20, 60])].encode()
            return lambda life: attach(life, self._caller, execution_id, content, reason)
        if kind == "detach":
            return lambda life: life.steering.detach(self._caller, execution_id, FILE, reason)
        if kind == "delete":
            is_at_once = random.random() < AT_ONCE
            return lambda life: delete(life, self._caller, execution_id, is_at_once=is_at_once)
        word = f"v{reason}"
        self._memory.words[reason] = word
        starts_at = random.choice([None, "s0", "s1"])

        async def edit(life: Life) -> ExecutionView:
            view = await life.views.execution(self._caller, execution_id)
            steps = with_word(dict(view.compiled.snapshot.document["steps"]), word)
            order = ChangeOrder(start_step_id=starts_at, steps=steps)
            return (await life.steering.change(self._caller, execution_id, order, reason)).view

        return edit

    async def _try(self, work: Callable[[Life], Coroutine[Any, Any, T]]) -> T | None:
        try:
            answer = await ask(self._town, work)
        except (GoneError, CallerError, ServiceError) as error:
            self._memory.heard.append(str(error))
            return None
        self._hear(answer)
        return answer

    def _hear(self, answer: object) -> None:
        if isinstance(answer, ExecutionView):
            self._memory.heard.append(shown(answer))
            begun = [step.child.execution_id for step, _ in answer.steps if step.child is not None]
            self._found += [each for each in dict.fromkeys(begun) if each not in self._found]


def somebody_of(head: Head) -> Caller:
    """Return somebody who may see and steer an execution."""
    return ANN if head.tenant == ANN.tenant else EVE


def shown(view: ExecutionView) -> str:
    """Return all that a view shows as one text."""
    head: Head = view.head
    parts = [head.values, head.assignments, head.context, view.outputs, head.current, head.error]
    return json.dumps([*map(str, parts), *(str(step) for step, _ in view.steps), *(entry.message for entry in view.logs)])


async def attach(life: Life, caller: Caller, execution_id: str, content: bytes, reason: str) -> None:
    """Give an execution a file, as the API does it."""

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 16):
            yield content[start : start + 16]

    to = await life.steering.attachable(caller, execution_id)
    file = await life.files.put(caller.tenant, FILE, parts())
    try:
        await life.steering.attach(caller, to, file, reason)
    finally:
        await life.files.settle([file.id])


async def delete(life: Life, caller: Caller, execution_id: str, *, is_at_once: bool) -> None:
    """Delete an execution, at once after it was aborted or when it has ended."""
    if is_at_once:
        with suppress(CallerError):
            await life.steering.abort(caller, execution_id)
    await life.steering.delete(caller, execution_id)


STEERING: Final[dict[str, Callable[[Life, Caller, str, str], Coroutine[Any, Any, Any]]]] = {
    "resume": lambda life, caller, execution, reason: life.steering.resume(caller, execution, reason),
    "retry": lambda life, caller, execution, reason: life.steering.retry(caller, execution, reason),
    "abort": lambda life, caller, execution, reason: life.steering.abort(caller, execution, reason),
    "pause": lambda life, caller, execution, reason: life.steering.pause(caller, execution, reason),
}
