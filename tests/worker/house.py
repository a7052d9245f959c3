"""A worker with everything that it needs, over a real SQLite file and a clock that is moved by hand; step types are scripted."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from stepswitch.dispatch.local import LocalDispatcher
from stepswitch.dispatch.places import Places
from stepswitch.domain.assignments import initial_values
from stepswitch.domain.decide import begin
from stepswitch.domain.errors import CommitInDoubtError, CredentialError, StoreError
from stepswitch.domain.events import Create, Task
from stepswitch.domain.execution import ContextType, Head, LogEntry, LogLevel, Outcome, PlainValues, Result, Status, StepExecution
from stepswitch.domain.inventory import NOTHING_KNOWN, Inventory
from stepswitch.domain.rules import Rules
from stepswitch.domain.step_types import StepSignature, collect
from stepswitch.engine.audit import Entry
from stepswitch.engine.claims import Claims
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.credential_use import Need
from stepswitch.engine.encryption import Sealer
from stepswitch.engine.ports import StepContext
from stepswitch.engine.records import Committed
from stepswitch.engine.snapshots import Snapshots, compile_snapshot
from stepswitch.engine.trust import TrustedHosts
from stepswitch.secrets.masking import Masking
from stepswitch.storage.database import Database, Moment, Op, Query, Row
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.files import DiskFileStore
from stepswitch.storage.host_keys import SqlHostKeyStore
from stepswitch.worker.attempt import Surroundings
from stepswitch.worker.cleaner import Cleaner
from stepswitch.worker.pool import Pool
from stepswitch.worker.step_runner import StepRunner
from tests.clocks import FakeClock

SILENCE: Final = 30.0
LIMIT: Final = 4_096
Script = Callable[[PlainValues, StepContext], Awaitable[Outcome]]
CleaningScript = Callable[[StepContext], Awaitable[None]]


async def succeed(_inputs: PlainValues, _context: StepContext) -> Outcome:
    return Outcome(Result.SUCCEEDED)


async def find_nothing(_context: StepContext) -> None:
    """Remove what is not there."""


class Scripted:
    """A step type that does what a test tells it."""

    def __init__(self, name: str, *, always_safe: bool = False, outlives: bool = False, device_input: str | None = None) -> None:
        reads = {"action": frozenset({"read"})}
        self.signature = StepSignature(
            name, "Does as told.", other_inputs=True, other_outputs=True, always_safe=always_safe, safe_when=reads, outlives=outlives,
            device_input=device_input,
        )  # fmt: skip
        self.cleaning: CleaningScript = find_nothing
        self.cleaned: list[tuple[str, PlainValues]] = []
        """The names of the attempts of which something was removed, and their inputs."""
        self.script: Script = succeed
        self.runs = 0
        self.started = asyncio.Event()
        self.cancelled = 0
        self.released: list[str] = []
        self.closed = False

    async def run(self, inputs: PlainValues, context: StepContext) -> Outcome:
        self.runs += 1
        self.started.set()
        try:
            return await self.script(inputs, context)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def clean_up(self, inputs: PlainValues, context: StepContext) -> None:
        self.cleaned.append((context.attempt_name, inputs))
        await self.cleaning(context)

    async def release(self, execution_id: str) -> None:
        self.released.append(execution_id)

    async def close(self) -> None:
        self.closed = True


class Numbers:
    """Ids that can be read; those of one epoch are not those of another."""

    def __init__(self, epoch: str) -> None:
        self._begins = f"{epoch}-id" if epoch else "id"
        self._numbers = itertools.count(1)

    def new(self) -> str:
        return f"{self._begins}-{next(self._numbers)}"


class Refusing:
    """A database whose writing side says no, or nothing at all, while a test wants it to."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.refuses = False
        self.refused = 0
        self.doubts = 0
        """How many writes fail next although they are stored."""
        self.held: asyncio.Event | None = None

    @property
    def sealer(self) -> Sealer:
        return self._database.sealer

    async def write(self, ops: Sequence[Op], entry: Entry | None = None) -> Sequence[int]:
        if self.held is not None:
            await self.held.wait()
        if self.refuses:
            self.refused += 1
            raise StoreError("the database says no")
        counts = await self._database.write(ops, entry)
        if self.doubts:
            self.doubts -= 1
            raise CommitInDoubtError("nobody knows what is on disk")
        return counts

    async def read(self, queries: Sequence[Query]) -> Sequence[Sequence[Row]]:
        return await self._database.read(queries)

    def moment(self) -> AbstractAsyncContextManager[Moment]:
        return self._database.moment()

    async def close(self) -> None:
        await self._database.close()


class Notes:
    """Writes down what was committed, and wakes up who waits for something."""

    def __init__(self) -> None:
        self.logs: list[LogEntry] = []
        self.batches: list[tuple[LogEntry, ...]] = []
        self._heads: dict[str, Head] = {}
        self._changed = asyncio.Condition()
        self._telling: set[asyncio.Task[None]] = set()

    def committed(self, change: Committed) -> None:
        if change.head is not None:
            self._heads[change.execution_id] = change.head
        else:
            self.batches.append(change.logs)
        self.logs += [each for each in change.logs if each.step is not None]
        telling = asyncio.get_running_loop().create_task(self._tell())
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(holds)

    async def until_head(self, execution_id: str, holds: Callable[[Head], bool]) -> Head:
        await self.until(lambda: execution_id in self._heads and holds(self._heads[execution_id]))
        return self._heads[execution_id]

    async def ended(self, execution_id: str) -> Head:
        return await self.until_head(execution_id, lambda head: head.status in (Status.COMPLETED, Status.FAILED, Status.ABORTED))

    @property
    def lines(self) -> list[str]:
        """What the steps have logged, as it was committed by their log."""
        return [each.message for batch in self.batches for each in batch]


class Opener:
    """Implements `OpensCredentials` with a value, or an error; `asked` is what it was asked for."""

    def __init__(self) -> None:
        self.value: str | CredentialError | StoreError = "opened-secret-0815"
        self.asked: list[Need] = []
        self.is_slow = False
        self.is_asked: Callable[[], None] = lambda: None

    async def open(self, need: Need) -> Mapping[str, str]:
        self.asked.append(need)
        self.is_asked()
        if self.is_slow:
            await asyncio.Event().wait()
        if isinstance(self.value, Exception):
            raise self.value
        return dict.fromkeys((each.input for each in need.referrals), self.value)


class Known:
    """Implements `InventoryFinder` with one inventory."""

    def __init__(self) -> None:
        self.known = NOTHING_KNOWN

    async def of(self, _tenant: str) -> Inventory:
        return self.known


class House:
    """Everything wired, in the `epoch` of the store. `dispatcher` is not started: tests carry out tasks themselves, or start it."""

    def __init__(self, database: Database, directory: Path, epoch: str = "") -> None:
        self.clock = FakeClock()
        self.database = Refusing(database)
        self.credentials = Opener()
        self.inventory = Known()
        self.ask = Scripted("ASK")
        self.safe = Scripted("SAFE", always_safe=True)
        self.remote = Scripted("REMOTE", outlives=True)
        self.copy = Scripted("COPY", outlives=True, device_input="where")
        types = {each.signature.name: each for each in (self.ask, self.safe, self.remote, self.copy)}
        ids, secrets = Numbers(epoch), Masking()
        self.rules = Rules(collect(tuple(each.signature for each in types.values())), epoch=epoch)
        self.store = SqlExecutionStore(self.database)
        snapshots = Snapshots(self.store)
        self.conductor = Conductor(self.store, snapshots, self.rules, self.clock)
        self.dispatcher = LocalDispatcher(Places(), self.clock)
        self.conductor.dispatch_through(self.dispatcher)
        self._parts: dict[str, Any] = {
            "conductor": self.conductor,
            "store": self.store,
            "snapshots": snapshots,
            "rules": self.rules,
            "secrets": secrets,
            "clock": self.clock,
            "ids": ids,
        }
        self.claims = self.reopened_claims()
        self.pool = Pool(self.claims, types, self.clock, SILENCE)
        self.notes = Notes()
        for observed in (self.conductor, self.claims):
            observed.observe(self.notes)
        self.conductor.observe(self.pool)
        self.directory = directory / "files"
        self.files = DiskFileStore(self.directory, self.database, ids, 1_048_576)
        around = Surroundings(
            claims=self.claims,
            files=self.files,
            host_keys=TrustedHosts(SqlHostKeyStore(self.database), self.clock, accept_new=False),
            clock=self.clock,
            ids=ids,
            output_bytes=LIMIT,
            log_bytes=1_048_576,
            silence_seconds=SILENCE,
            credentials=self.credentials,
            inventories=self.inventory,
        )
        self.cleaner = Cleaner(types, around, self.dispatcher, self.pool)
        self.conductor.observe(self.cleaner)
        self.runner = StepRunner(types=types, around=around, attempts=self.pool, cleaner=self.cleaner, instance="here")
        self._made = itertools.count(1)

    def reopened_claims(self) -> Claims:
        """Return the worker's side of the conductor as a process has it that begins now."""
        return Claims(**self._parts)

    async def begin(
        self, step_type: str = "ASK", *, attachments: dict[str, str] | None = None, own: dict[str, Any] | None = None, **step: Any
    ) -> Task:
        """Store an execution of one step, whose workflow has its `own` files; return the task that follows."""
        document = {
            "name": "n",
            "version": "1",
            "schemaVersion": "3.0",
            "startStepId": "a",
            "inputs": {"secret": {"type": "password"}},
            "attachments": own or {},
            "steps": {"a": {"type": step_type, **step}},
        }
        compiled = compile_snapshot("default", document)
        order = Create(
            execution_id=f"e{next(self._made)}",
            tenant="default",
            user="admin",
            workflow_id="w1",
            snapshot_id=compiled.snapshot.id,
            context_type=ContextType.NONE,
            retained_til=2**50,
            assignments={"secret": "hunter22"},
            attachments=attachments or {},
        )
        values = initial_values(compiled.workflow, order.assignments, {})
        decision = begin(order, dict(values), compiled.workflow, self.rules, self.clock.now())
        await self.conductor.create(decision, compiled)
        (task,) = decision.tasks
        return task

    def carry_out(self, task: Task) -> "asyncio.Task[None]":
        """Let the runner work at a task."""
        return asyncio.get_running_loop().create_task(self.runner.carry_out(task))

    async def done(self, task: Task) -> StepExecution:
        """Carry out a task to its end; return the step execution as it is stored then."""
        await asyncio.wait_for(self.runner.carry_out(task), 30)
        return await self.step(task)

    async def step(self, task: Task) -> StepExecution:
        """Return the step execution of a task as it is stored now."""
        head = await self.store.load(task.execution_id)
        assert head is not None
        assert head.current is not None
        assert head.current.number == task.number
        return head.current

    async def logged(self, task: Task) -> list[LogEntry]:
        """Return what a step itself has logged, as it is stored."""
        entries = (await self.store.logs(task.execution_id))[0]
        return [each for each in entries if each.step == task.number and each.level is not LogLevel.ERROR]


def copy_of(task: Task) -> Task:
    """Return a second copy of a task, as a second delivery would bring it."""
    return replace(task)
