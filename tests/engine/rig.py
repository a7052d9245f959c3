"""The engine over a real SQLite store that can be watched, stopped and broken, and a dispatcher that only takes notes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from stepswitch.domain.decide import begin
from stepswitch.domain.errors import CommitInDoubtError
from stepswitch.domain.events import Cancel, Claimed, Create, Decision, Event, Reply, Reported, Task
from stepswitch.domain.execution import DEFAULT_LIMITS, ContextType, Head, Limits, Outcome, Result
from stepswitch.domain.rules import Rules
from stepswitch.engine.backlog import Backlog
from stepswitch.engine.claims import Claims
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.records import Committed, Creation, RequestMark, Save, Snapshot
from stepswitch.engine.snapshots import Snapshots, compile_snapshot
from stepswitch.engine.timekeeper import Timekeeper
from stepswitch.secrets.masking import Masking
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.commits import SqlCommitLog
from stepswitch.storage.data_dir import migrate
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.lists import SqlListStore
from stepswitch.storage.queue import SqlQueueStore
from stepswitch.storage.requests import SqlRequestStore
from stepswitch.storage.sqlite import SqliteDatabase
from stepswitch.system import TimeOrderedIds
from tests.clocks import FakeClock
from tests.dispatchers import StillDispatcher
from tests.domain.documents import JsonObject
from tests.domain.lives import TYPES
from tests.families import NoFamily
from tests.sealing import sealing_for_tests

PATIENCE: Final = 10.0
"""Seconds of real time that a test waits for what has to happen, before it fails."""
Note = tuple[str, object]


class WatchedStore(SqlExecutionStore):
    """The real store; it notes every commit, waits at a gate before saving, and fails as it is told."""

    def __init__(self, database: SqliteDatabase, notes: list[Note]) -> None:
        super().__init__(database)
        self.notes = notes
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()
        self.saving = self.most_at_once = self.loads = 0
        self.before_next_save: Callable[[], Any] | None = None
        self.fail_before: Exception | None = None
        self.fail_after: Exception | None = None
        self.fail_loads: list[Exception] = []

    async def create(self, save: Save, snapshot: Snapshot, mark: RequestMark | None = None) -> None:
        await self._at_the_gate()
        await super().create(save, snapshot, mark)
        self.notes.append(("committed", save.head.version))
        self._fail_after()

    async def save(self, save: Save, snapshot: Snapshot | None = None, creation: Creation | None = None) -> None:
        self.saving += 1
        self.most_at_once = max(self.most_at_once, self.saving)
        try:
            await self._at_the_gate()
            await super().save(save, snapshot, creation)
        finally:
            self.saving -= 1
        self.notes.append(("committed", save.head.version))
        self._fail_after()

    async def load(self, execution_id: str) -> Head | None:
        self.loads += 1
        if self.fail_loads:
            raise self.fail_loads.pop()
        return await super().load(execution_id)

    async def _at_the_gate(self) -> None:
        self.arrived.set()
        await self.gate.wait()
        if self.before_next_save is not None:
            before, self.before_next_save = self.before_next_save, None
            await before()
        if self.fail_before is not None:
            error, self.fail_before = self.fail_before, None
            raise error

    def _fail_after(self) -> None:
        if self.fail_after is not None:
            error, self.fail_after = self.fail_after, None
            raise error

    def doubt(self, *, stored: bool) -> None:
        """Let the next COMMIT fail so that nobody knows; `stored` says what really became of it."""
        error = CommitInDoubtError("nobody knows")
        if stored:
            self.fail_after = error
        else:
            self.fail_before = error


class NotingDispatcher(StillDispatcher):
    """Notes in their order the submissions and cancels among what else happens."""

    def __init__(self, notes: list[Note]) -> None:
        super().__init__()
        self.notes = notes

    def submit(self, task: Task) -> bool:
        self.notes.append(("submitted", task.number))
        return super().submit(task)

    def cancel(self, cancel: Cancel) -> None:
        self.notes.append(("cancelled", cancel.number))


class NotingObserver:
    """Implements `Observer`."""

    def __init__(self, notes: list[Note]) -> None:
        self.notes = notes
        self.changes: list[Committed] = []

    def committed(self, change: Committed) -> None:
        self.notes.append(("told", change.head.version if change.head else None))
        self.changes.append(change)


class Rig:
    """Everything that the engine needs, and short words for what tests do with it."""

    def __init__(self, database: SqliteDatabase, limits: Limits = DEFAULT_LIMITS) -> None:
        self.notes: list[Note] = []
        self.database = database
        self.clock = FakeClock()
        self.rules = Rules(TYPES, limits)
        self.store = WatchedStore(database, self.notes)
        self.requests = SqlRequestStore(database)
        self.dispatcher = NotingDispatcher(self.notes)
        self.observer = NotingObserver(self.notes)
        self.ids = TimeOrderedIds()
        self.in_hand: set[str] = set()
        """The claims that somebody in this process still works at."""
        self.cleaned: list[tuple[str, str]] = []
        """What was asked to be removed: an execution, and the nonce of a claim."""
        self.conductor = self.another()
        self.queue = SqlQueueStore(database)
        self.backlog = Backlog(
            queue=self.queue,
            store=self.store,
            lists=SqlListStore(database, self.store),
            conductor=self.conductor,
            dispatcher=self.dispatcher,
            clock=self.clock,
        )
        self.conductor.observe(self.observer)
        self.claims = Claims(
            conductor=self.conductor,
            store=self.store,
            snapshots=Snapshots(self.store),
            rules=self.rules,
            secrets=Masking(),
            clock=self.clock,
            ids=self.ids,
        )
        self._events = 0

    def another(self) -> Conductor:
        """Return a conductor of another process on the same store."""
        conductor = Conductor(self.store, Snapshots(self.store), self.rules, self.clock)
        conductor.dispatch_through(self.dispatcher)
        return conductor

    def timekeeper(self, instance: str = "w1") -> Timekeeper:
        return Timekeeper(
            store=self.store,
            accounts=SqlAccountStore(self.database),
            conductor=self.conductor,
            claims=self.claims,
            clock=self.clock,
            instance=instance,
            backlog=self.backlog,
            has_in_hand=self.in_hand.__contains__,
            clean_up=lambda execution_id, nonce: self.cleaned.append((execution_id, nonce)),
            sub_workflows=NoFamily(),
            commits=SqlCommitLog(self.database),
            requests=self.requests,
        )

    async def create(self, document: JsonObject, **more: Any) -> str:
        compiled = compile_snapshot("default", document)
        execution_id = self.ids.new()
        kept = {"retained_til": self.clock.now() + 1_000_000_000, **more}
        order = Create(execution_id, "default", "ann", "w", compiled.snapshot.id, ContextType.NONE, **kept)
        await self.conductor.create(begin(order, {}, compiled.workflow, self.rules, self.clock.now()), compiled)
        return execution_id

    async def stored(self, execution_id: str) -> Head:
        head = await SqlExecutionStore(self.database).load(execution_id)
        assert head is not None
        return head

    def event_id(self) -> str:
        self._events += 1
        return f"event-{self._events}"

    async def apply(self, execution_id: str, event: Event) -> Decision:
        return await self.conductor.apply(execution_id, event)

    async def claim(self, execution_id: str, number: int = 0, *, attempt: int = 1, nonce: str = "", instance: str = "w1") -> Reply:
        nonce = nonce or f"{execution_id}.{number}"
        return (await self.apply(execution_id, Claimed(f"claim:{nonce}", number, attempt, nonce, instance))).reply

    async def report(self, execution_id: str, number: int = 0, result: Result = Result.SUCCEEDED, *, nonce: str = "") -> Reply:
        nonce = nonce or f"{execution_id}.{number}"
        return (await self.apply(execution_id, Reported(f"report:{nonce}", number, 1, nonce, Outcome(result)))).reply


@asynccontextmanager
async def open_rig(directory: Path, limits: Limits = DEFAULT_LIMITS) -> AsyncIterator[Rig]:
    path = directory / "engine.db"
    await asyncio.to_thread(migrate, path)
    database = SqliteDatabase(path, sealer=sealing_for_tests())
    try:
        rig = Rig(database, limits)
        yield rig
        rig.store.gate.set()  # a test that failed may have left it shut, and it is to be heard of
        await asyncio.wait_for(rig.conductor.drain(), PATIENCE)
    finally:
        await database.close()
