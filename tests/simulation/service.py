"""One life of the service: every real part over the same file, wired as `bootstrap` does it, with the weather in between."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from stepswitch.access.accounts import ensure_admin
from stepswitch.bootstrap.inventories import known_inventories
from stepswitch.bootstrap.sub_workflows import wire_sub_workflows
from stepswitch.dispatch.places import Places, Room
from stepswitch.domain.errors import ErrorCode, NotFoundError
from stepswitch.domain.events import Change, Decision, Event, Lost, Reply, Resume, Retry, SetValues, Steered, Task, Turn
from stepswitch.domain.execution import Claim, Limits
from stepswitch.domain.rules import Rules
from stepswitch.engine.audit import Entry
from stepswitch.engine.backlog import Backlog
from stepswitch.engine.body_digests import BodyDigests
from stepswitch.engine.callers import Caller, administrator
from stepswitch.engine.catalogue import Catalogue
from stepswitch.engine.claims import Claims
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.device_limits import DeviceLimits
from stepswitch.engine.executions import Executions
from stepswitch.engine.held_locks import HeldLocks
from stepswitch.engine.intake import Intake
from stepswitch.engine.keyed_requests import KeyedRequests
from stepswitch.engine.leftovers import Leftovers
from stepswitch.engine.locks import LockLines
from stepswitch.engine.logbook import Logbook
from stepswitch.engine.ports import StepType
from stepswitch.engine.records import Committed
from stepswitch.engine.snapshots import Snapshots
from stepswitch.engine.steering import ExecutionSteering
from stepswitch.engine.timekeeper import Rhythm, Timekeeper
from stepswitch.engine.trust import TrustedHosts
from stepswitch.engine.views import Views
from stepswitch.secrets.masking import Masking
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.catalogue import SqlCatalogueStore
from stepswitch.storage.commits import SqlCommitLog
from stepswitch.storage.epochs import current_epoch
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.files import DiskFileStore
from stepswitch.storage.host_keys import SqlHostKeyStore
from stepswitch.storage.lists import SqlListStore
from stepswitch.storage.locks import SqlLockStore
from stepswitch.storage.queue import SqlQueueStore
from stepswitch.storage.requests import SqlRequestStore
from stepswitch.storage.sqlite import SqliteDatabase
from stepswitch.worker.attempt import Attempt, Surroundings
from stepswitch.worker.cleaner import Cleaner
from stepswitch.worker.patience import until_stored
from stepswitch.worker.pool import Pool
from stepswitch.worker.step_runner import StepRunner
from tests.sealing import sealing_for_tests
from tests.simulation.clock import Numbers, SimulatedClock
from tests.simulation.connections import Connections
from tests.simulation.devices import NORTH, City
from tests.simulation.loop import Node, SimulatedLoop
from tests.simulation.targets import TYPES, step_types
from tests.simulation.weather import CALM
from tests.simulation.wire import WakeUps, Wire

WORKERS: Final = 2
LIMITS: Final = Limits(step_executions=12, inline_steps=3, sub_workflow_depth=2)
PLACES: Final = Places(steps=4, per_device=1, of_tenant={NORTH: 1}.get)
ROOM: Final = Room(turns=2, steps=6, device=1, type=2, tenant=1)
"""So little that most of what waits has to be taken from the store."""
RHYTHM: Final = Rhythm(look_seconds=2.0)
MIB: Final = 1_048_576
MOST: Final = 1_000


class WatchedConductor(Conductor):
    """The real conductor; it remembers what was wanted, and of which version, and who was given up."""

    def __init__(self, city: City, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._city = city
        self._noted: dict[str, Event] = {}

    async def apply(self, execution_id: str, event: Event, entry: Entry | None = None) -> Decision:
        is_wish = isinstance(event, Resume | Retry | SetValues) or (isinstance(event, Change) and (event.workflow or event.start_step_id))
        if is_wish or isinstance(event, Lost):
            self._noted[event.id] = event
        return await super().apply(execution_id, event, entry)

    def check(self, change: Committed) -> None:
        """Note a breach where what was committed was meant for another version."""
        wanted, head = self._cause(change), change.head
        if isinstance(wanted, Steered) and head is not None and wanted.seen is not None and wanted.seen != head.version - 1:
            self._city.breaches.append(f"{wanted} was applied to version {head.version - 1} of {head.id}, which nobody saw")

    def given_up(self, change: Committed) -> str | None:
        """Return the nonce of the claim that others gave up with this commit; None where nobody did."""
        lost = self._cause(change)
        return lost.nonce if isinstance(lost, Lost) else None

    def _cause(self, change: Committed) -> Event | None:
        return self._noted.get(change.head.applied[-1]) if change.head is not None and change.head.applied else None


@dataclass
class Worker:
    """One worker: a node of its own, with all that a worker has."""

    node: Node
    runner: StepRunner
    pool: Pool
    cleaner: Cleaner
    around: Surroundings


def rules_of(epoch: str) -> Rules:
    """Return the rules of a service of which the store has this epoch."""
    return Rules(TYPES, LIMITS, epoch)


class Everybody:
    """Implements `Callers`: nobody loses what he may do."""

    async def caller(self, tenant: str, user: str) -> Caller:
        return administrator(user, tenant)


class PlainPasswords:
    """Stands for `Passwords`, whose every hash takes as long as a whole schedule."""

    async def hash(self, password: str) -> str:
        return f"hash of {password}"


class Life:
    """A process: everything in it belongs to its node, and dies with it."""

    def __init__(
        self, directory: Path, city: City, clock: SimulatedClock, ids: Numbers, number: int, spare: list[sqlite3.Connection]
    ) -> None:
        self.node = Node(f"life {number}")
        self.city = city
        self.clock = clock
        self.connections = Connections(city, spare)
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_ready = False
        self._ids = ids
        self._secrets = Masking()
        self._directory = directory
        self._background: list[asyncio.Task[Any]] = []

    async def begin(self) -> None:
        """Wire everything, and begin; runs on its own node."""
        city, clock, ids = self.city, self.clock, self._ids
        self.database = SqliteDatabase(self._directory / "stepswitch.db", self.connections.connect, sealer=sealing_for_tests())
        self._rules = rules = rules_of(await current_epoch(self.database))
        self.store = SqlExecutionStore(self.database)
        self.files = DiskFileStore(self._directory / "files", self.database, ids, MIB)
        self._known = known_inventories(self.database)
        self._snapshots = snapshots = Snapshots(self.store)
        self.conductor = WatchedConductor(city, self.store, snapshots, rules, clock, inventory=self._known)
        self.dispatcher = WakeUps(PLACES, clock, city, ROOM)
        self.conductor.dispatch_through(self.dispatcher)
        self.conductor.observe(self)
        self.claims = Claims(
            DeviceLimits(self._known, rules.types),
            conductor=self.conductor,
            store=self.store,
            snapshots=snapshots,
            rules=rules,
            secrets=self._secrets,
            clock=clock,
            ids=ids,
        )
        self.instance = ids.new()
        hosts = TrustedHosts(SqlHostKeyStore(self.database), clock, accept_new=True)
        types: dict[str, StepType] = {each.signature.name: each for each in step_types(city)}
        self.workers = [self._worker(place, types, hosts) for place in range(WORKERS)]
        self.locks = SqlLockStore(self.database)
        self.conductor.observe(lines := LockLines(self.locks, self.conductor))
        self._lock_lines = lines
        self._wire_use_cases()
        self._wire_timekeeper()
        await ensure_admin(SqlAccountStore(self.database), cast("Any", PlainPasswords()), None, city.passwords.append)
        self._start()

    def _wire_use_cases(self) -> None:
        """Wire what people ask for, and what begins executions for others."""
        clock, ids, snapshots, secrets = self.clock, self._ids, self._snapshots, self._secrets
        self.catalogue = Catalogue(SqlCatalogueStore(self.database), self._rules.types, clock, ids, files=self.files)
        queue, lists = SqlQueueStore(self.database), SqlListStore(self.database, self.store)
        line: Any = {"queue": queue, "store": self.store, "conductor": self.conductor, "dispatcher": self.dispatcher}
        self.backlog = Backlog(lists=lists, clock=clock, page=3, **line)
        self.views = Views(snapshots=snapshots, secrets=secrets, locks=self.locks, **line)
        use_cases: Any = {
            "catalogue": self.catalogue,
            "views": self.views,
            "files": self.files,
            "rules": self._rules,
            "clock": clock,
            "ids": ids,
            "conductor": self.conductor,
        }
        executions = Executions(intake=Intake(queue, clock, MOST), inventory=self._known, **use_cases)
        self.requests = KeyedRequests(
            executions=executions,
            views=self.views,
            store=SqlRequestStore(self.database),
            digests=BodyDigests(b"the key of a simulation"),
            clock=clock,
            ids=ids,
        )
        left = Leftovers(self.store, snapshots, self._rules.types)
        self.steering = ExecutionSteering(snapshots=snapshots, locks=self.locks, leftovers=left, **use_cases)
        self.held_locks = HeldLocks(self.locks, lists, snapshots, secrets)
        self.logbook = Logbook(self.store, snapshots, self.conductor, secrets)
        around = self.workers[0].around
        self.family = wire_sub_workflows(around, self.database, self.conductor, executions, secrets, callers=Everybody())

    def _wire_timekeeper(self) -> None:
        self._timekeeper = Timekeeper(
            store=self.store,
            accounts=SqlAccountStore(self.database),
            conductor=self.conductor,
            claims=self.claims,
            clock=self.clock,
            instance=self.instance,
            backlog=self.backlog,
            clean_up=self._clean_up,
            has_in_hand=lambda nonce: any(worker.pool.has_in_hand(nonce) for worker in self.workers),
            sub_workflows=self.family,
            rhythm=RHYTHM,
            files=self.files,
            commits=SqlCommitLog(self.database),
            requests=SqlRequestStore(self.database),
            locks=self._lock_lines,
        )

    def _clean_up(self, execution_id: str, nonce: str) -> None:
        """Have some worker remove what a claim has left."""
        self.city.random.choice(self.workers).cleaner.begin(execution_id, nonce)

    def _worker(self, place: int, types: dict[str, StepType], hosts: Any) -> Worker:
        node = Node(f"{self.node.name}, worker {place}", self.node)
        wire = Wire(self.claims, self.node, self.city)
        pool = Pool(wire, types, self.clock, RHYTHM.silence_seconds)
        self.conductor.observe(pool)
        around = Surroundings(
            claims=wire,
            files=self.files,
            host_keys=hosts,
            clock=self.clock,
            ids=self._ids,
            output_bytes=MIB,
            log_bytes=MIB,
            silence_seconds=RHYTHM.silence_seconds,
            inventories=self._known,
        )
        cleaner = Cleaner(types, around, self.dispatcher, pool)
        self.conductor.observe(cleaner)
        runner = StepRunner(types=types, around=around, attempts=pool, cleaner=cleaner, instance=self.instance)
        return Worker(node, runner, pool, cleaner, around)

    def _start(self) -> None:
        self.dispatcher.start(self._take_turn, self._carry_out)
        loop = _loop()
        works = (self._timekeeper.run(), self.backlog.run(), self._lock_lines.run(), self.family.run())
        self._background += [loop.run_on(self.node, work) for work in works]
        self._background += [loop.run_on(each.node, each.pool.sign_forever()) for each in self.workers]
        self.is_ready = True

    async def _take_turn(self, task: Task) -> None:
        event = Turn(f"turn:{task.number}.{task.attempt}.{task.since}", task.number, task.attempt, task.has_waited)
        with contextlib.suppress(NotFoundError):
            decision = await until_stored(self.clock, lambda: self.conductor.apply(task.execution_id, event))
            if isinstance(decision, Decision) and decision.reply is Reply.BEGIN:
                self.family.begin(task)

    async def _carry_out(self, task: Task) -> None:
        """Let one worker carry out a task, or two, for a delivery proves nothing."""
        random = self.city.random
        chosen = random.sample(self.workers, 2 if self.city.happens("a task was delivered twice", self.city.weather.delivered_twice) else 1)
        running = [_loop().run_on(worker.node, worker.runner.carry_out(task)) for worker in chosen]
        try:
            await asyncio.gather(*running)
        except asyncio.CancelledError:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            raise

    def committed(self, change: Committed) -> None:
        """Note which claims are lost from now on, and see that nobody's will met a state that they had not seen. Implements `Observer`."""
        self.city.hear(change)
        self.conductor.check(change)
        given_up = self.conductor.given_up(change)
        for step in change.steps:
            if step.claim is not None and step.error is not None and step.error.code is ErrorCode.LOST:
                self.city.lost.add(step.claim.nonce)
                if step.claim.nonce == given_up:
                    self._refuse_heard(step.claim)

    def _refuse_heard(self, claim: Claim) -> None:
        """Note a breach where, in calm weather, a worker was given up that was heard of a moment ago.

        One that had been silent for too long by then may be given up all the same: it was heard again while that was being saved.
        """
        for attempt in self.attempts if self.city.weather is CALM else ():
            if attempt.grant.nonce == claim.nonce and self.clock.now() < claim.deadline:
                before, last = self.city.heard[claim.nonce]
                silent = self.clock.monotonic() - last
                if silent < RHYTHM.silence_seconds / 2 and last - before < RHYTHM.silence_seconds:
                    self.city.breaches.append(f"a worker was given up that was heard of {silent:.0f} s ago: {claim}")

    @property
    def attempts(self) -> Sequence[Attempt]:
        """What its workers work at, with a claim."""
        return [attempt for worker in self.workers for attempt in worker.pool._running if attempt.is_claimed]

    def crash(self) -> None:
        """Die at once."""
        self.node.die()
        self.connections.drop()
        if not self.gone.done():
            self.gone.set_result(None)

    async def stop(self, grace_seconds: float) -> None:
        """Stop in order, as `bootstrap.service` does it; runs on its own node."""
        await self.dispatcher.stop(grace_seconds)
        for each in self._background:
            each.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.conductor.drain()
        for worker in self.workers:
            await worker.cleaner.close()
            await worker.pool.close()
        await self.database.close()
        self.crash()


def _loop() -> SimulatedLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    return loop
