"""A whole service with step types that do what the test says, when it says so."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepswitch.bootstrap import Service, open_service
from stepswitch.config.settings import Settings
from stepswitch.domain.document import JsonObject
from stepswitch.domain.errors import StoreError
from stepswitch.domain.events import Reply, Task
from stepswitch.domain.execution import ContextType, Status
from stepswitch.domain.step_types import StepSignature
from stepswitch.engine.callers import Caller, administrator
from stepswitch.engine.executions import ExecutionRequest
from stepswitch.engine.ports import StepContext, StepType
from stepswitch.engine.records import Committed
from stepswitch.engine.views import ExecutionView
from stepswitch.plugin import Outcome, Result, Values
from stepswitch.steps.sub_workflow import SubWorkflowStep
from tests.clocks import FakeClock
from tests.domain.lives import ACT, LOOK, NEED, NOOP
from tests.engine.rig import PATIENCE

ANN = administrator("ann")


@dataclass
class Office:
    """Implements `Callers`: whoever is not named may do everything."""

    named: dict[str, Caller | None] = field(default_factory=dict)

    async def caller(self, tenant: str, user: str) -> Caller | None:
        return self.named.get(user, administrator(user, tenant))


@dataclass
class Call:
    """One attempt that a worker carries out; it lasts until the test ends it."""

    inputs: Values
    context: StepContext
    ended: "asyncio.Future[Outcome]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def end(self, result: Result = Result.SUCCEEDED, outputs: Mapping[str, Any] | None = None) -> None:
        self.ended.set_result(Outcome(result, outputs or {}))


class ScriptedStep:
    """Implements `StepType`: every attempt is handed to the test."""

    def __init__(self, signature: StepSignature) -> None:
        self._signature = signature
        self.calls: asyncio.Queue[Call] = asyncio.Queue()
        self.count = 0

    @property
    def signature(self) -> StepSignature:
        return self._signature

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        self.count += 1
        call = Call(inputs, context)
        self.calls.put_nowait(call)
        if not self._signature.always_safe:
            context.mark_sent()
        return await call.ended

    async def release(self, execution_id: str) -> None:
        pass

    async def close(self) -> None:
        pass

    async def next(self) -> Call:
        """Return the next attempt once it has begun."""
        return await asyncio.wait_for(self.calls.get(), PATIENCE)


class Clinging:
    """A session at a device that is not closed before a test says so."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.closing = asyncio.Event()
        self.may_close = asyncio.Event()

    async def run(self, _inputs: Values, context: StepContext) -> Outcome:
        context.mark_sent()
        self.begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.closing.set()
            await self.may_close.wait()
        raise AssertionError("nobody ends it")


class Watch:
    """Implements `Observer`: lets a test wait until an execution is as it wants it."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._waking: set[asyncio.Task[None]] = set()

    def committed(self, change: Committed) -> None:
        waking = asyncio.get_running_loop().create_task(self._wake())
        self._waking.add(waking)
        waking.add_done_callback(self._waking.discard)

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, service: Service, execution_id: str, holds: Callable[[ExecutionView], bool]) -> ExecutionView:
        """Return the execution once `holds` says so."""

        async def wait() -> ExecutionView:
            async with self._changed:
                while not holds(view := await service.views.execution(ANN, execution_id)):
                    await self._changed.wait()
                return view

        return await asyncio.wait_for(wait(), PATIENCE)


class House:
    """A service on a directory, which can be stopped hard and opened again."""

    def __init__(self, directory: Path, clock: FakeClock, **settings: Any) -> None:
        self.settings = Settings(data_dir=directory, admin_password="long enough", **settings)
        self.clock = clock
        self.act, self.look = ScriptedStep(ACT), ScriptedStep(LOOK)
        self.need, self.noop = ScriptedStep(NEED), ScriptedStep(NOOP)
        self.more: dict[str, StepType] = {}
        """Further step types, by their names."""
        self.office = Office()
        self.watch = Watch()

    service: Service

    async def open(self, *, start: bool = True) -> Service:
        types: dict[str, StepType] = {step.signature.name: step for step in (self.act, self.look, self.need, self.noop)}
        types |= {"WORKFLOW": SubWorkflowStep(), **self.more}
        self.service = await open_service(self.settings, self.clock, types, callers=self.office)
        self.service.observe(self.watch)
        if start:
            await self.service.start()
        return self.service

    async def stop(self) -> None:
        """Stop at once: what runs reports nothing."""
        await self.service.stop(grace_seconds=0)

    async def die(self) -> None:
        """Stop as a process does that is killed: nothing is given back."""

        async def unheard(task: Task, nonce: str) -> Reply:
            raise StoreError("this process is dead")

        self.service._claims.give_back = unheard  # type: ignore[method-assign]
        await self.stop()

    async def create(self, document: JsonObject, **more: Any) -> ExecutionView:
        checked = await self.service.catalogue.create(ANN, document)
        return await self.service.executions.create(ANN, ExecutionRequest(checked.workflow.id, ContextType.NONE, **more))

    async def queue(self, document: JsonObject, **more: Any) -> str:
        return (await self.create(document, **more)).head.id

    async def view(self, execution_id: str) -> ExecutionView:
        return await self.service.views.execution(ANN, execution_id)

    async def until(self, execution_id: str, status: Status) -> ExecutionView:
        return await self.watch.until(self.service, execution_id, lambda view: view.head.status is status)


@asynccontextmanager
async def open_house(directory: Path, *, start: bool = True, **settings: Any) -> AsyncIterator[House]:
    house = House(directory, FakeClock(), **settings)
    await house.open(start=start)
    try:
        yield house
    finally:
        await house.stop()
