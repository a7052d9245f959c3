"""The wired service: what it offers, and how it starts and stops. Made by `wiring`; used by `cli`, `demo` and tests."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stepswitch.access.provider import Provider
from stepswitch.config.settings import Settings
from stepswitch.dispatch.local import LocalDispatcher
from stepswitch.domain.errors import NotFoundError, StoreError
from stepswitch.domain.events import Decision, Reply, Task, Turn
from stepswitch.domain.rules import Rules
from stepswitch.engine.account_ports import Authenticator, ProviderLogins
from stepswitch.engine.audit_trail import AuditTrail
from stepswitch.engine.backlog import Backlog
from stepswitch.engine.catalogue import Catalogue
from stepswitch.engine.claims import Claims
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.credentials import Credentials
from stepswitch.engine.cut_answers import CutAnswers
from stepswitch.engine.executions import Executions
from stepswitch.engine.feed import Feed
from stepswitch.engine.held_locks import HeldLocks
from stepswitch.engine.inventories import Inventories
from stepswitch.engine.inventory_sources import InventorySources
from stepswitch.engine.keyed_requests import KeyedRequests
from stepswitch.engine.lists import Lists
from stepswitch.engine.locks import LockLines
from stepswitch.engine.logbook import Logbook
from stepswitch.engine.logins import Logins
from stepswitch.engine.ports import Clock, FileStore, HostKeyStore, Ids, Observer
from stepswitch.engine.rehearsals import Rehearsals
from stepswitch.engine.roles import Roles
from stepswitch.engine.steering import ExecutionSteering
from stepswitch.engine.sub_workflows import SubWorkflows
from stepswitch.engine.timekeeper import Timekeeper
from stepswitch.engine.usage import Usages
from stepswitch.engine.users import Users
from stepswitch.engine.views import Views
from stepswitch.engine.vro_logins import VroLogins
from stepswitch.engine.watchers import Watchers
from stepswitch.secrets.key_keeper import KeyKeeper
from stepswitch.storage.data_dir import DataDir
from stepswitch.storage.sqlite import SqliteDatabase
from stepswitch.telemetry.audit_forwarder import AuditForwarder
from stepswitch.worker.cleaner import Cleaner
from stepswitch.worker.patience import until_stored
from stepswitch.worker.pool import Pool
from stepswitch.worker.step_runner import StepRunner

PROBE_SECONDS: Final = 2.0


@dataclass
class Service:
    """Everything wired, on one machine. `start` it, use its use cases, `stop` it."""

    settings: Settings
    clock: Clock
    ids: Ids
    rules: Rules
    catalogue: Catalogue
    executions: Executions
    rehearsals: Rehearsals
    keyed_requests: KeyedRequests
    cut_answers: CutAnswers
    steering: ExecutionSteering
    held_locks: HeldLocks
    logbook: Logbook
    views: Views
    vro_logins: VroLogins
    lists: Lists
    feed: Feed
    conductor: Conductor
    accounts: Authenticator
    provider_logins: ProviderLogins | None
    users: Users
    roles: Roles
    usages: Usages
    logins: Logins
    host_keys: HostKeyStore
    credentials: Credentials
    inventories: Inventories
    inventory_sources: InventorySources
    files: FileStore
    audit: AuditTrail
    _data_dir: DataDir
    _database: SqliteDatabase
    _dispatcher: LocalDispatcher
    _timekeeper: Timekeeper
    _lock_lines: LockLines
    _backlog: Backlog
    _sub_workflows: SubWorkflows
    _pool: Pool
    _cleaner: Cleaner
    _runner: StepRunner
    _claims: Claims
    _keeper: KeyKeeper
    _forwarder: AuditForwarder | None
    _provider: Provider | None
    watchers: Watchers = field(default_factory=Watchers)
    _background: list[asyncio.Task[Any]] = field(default_factory=list)
    _held_since: float | None = None

    def __post_init__(self) -> None:
        self.observe(self.watchers)
        self.observe(self.feed)

    def observe(self, observer: Observer) -> None:
        """Tell `observer` of everything that is committed from now on."""
        self.conductor.observe(observer)
        self._claims.observe(observer)

    async def start(self, *, recover: bool = True) -> None:
        """Begin to carry out steps; what a stop interrupted goes on in the background."""
        self._dispatcher.start(self._take_turn, self._runner.carry_out)
        works = {
            "timekeeper": self._timekeeper.run(recover=recover),
            "sub-workflows": self._sub_workflows.run(),
            "backlog": self._backlog.run(),
            "locks": self._lock_lines.run(),
            "signs of life": self._pool.sign_forever(),
            "keeper of the keys": self._keeper.run(),
            "audit trail": self.audit.run(),
            "sources of inventories": self.inventory_sources.run(),
            **({} if self._forwarder is None else {"syslog": self._forwarder.run()}),
            **({} if self._provider is None else {"provider of logins": self._provider.run()}),
        }
        for name, work in works.items():
            self._background.append(asyncio.get_running_loop().create_task(work, name=name))

    async def stop(self, grace_seconds: float | None = None) -> None:
        """Let running steps end within the grace period, give the rest back, and close everything."""
        self.end_waiting()
        await self._dispatcher.stop(self._grace_left() if grace_seconds is None else grace_seconds)
        for each in self._background:
            each.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.conductor.drain()
        await self.cut_answers.drain()
        await self._cleaner.close()
        await self._pool.close()
        await self.rehearsals.close()
        await self.audit.settle(at_once=True)
        await self._database.close()
        self._data_dir.release()

    def _grace_left(self) -> float:
        """Return what is left of the grace period, which began when it was known that the service is to stop: answering requests took a part of it."""
        passed = 0.0 if self._held_since is None else self.clock.monotonic() - self._held_since
        return max(0.0, self.settings.grace_seconds - passed)

    def end_waiting(self) -> None:
        """Let nobody wait any more for news or for a rehearsal: a stop must not wait for those who do."""
        self.watchers.close()
        self.feed.close()
        self.rehearsals.end()

    def hold(self) -> None:
        """Begin no further step; called as soon as it is known that the service is to stop. The grace period begins here."""
        if self._held_since is None:
            self._held_since = self.clock.monotonic()
        self._dispatcher.hold()

    def hurry(self) -> None:
        """Cut the grace period of a stop short."""
        self._dispatcher.cancel_all()

    async def died(self) -> str:
        """Return why the service cannot go on, once it cannot: without its writer, timekeeper or signs of life nothing may be accepted."""
        ended, _ = await asyncio.wait([self._database.writer, *self._background], return_when=asyncio.FIRST_COMPLETED)
        return f"{', '.join(each.get_name() for each in ended)} has ended"

    async def _take_turn(self, task: Task) -> None:
        event = Turn(f"turn:{task.number}.{task.attempt}.{task.since}", task.number, task.attempt, task.has_waited)
        with contextlib.suppress(NotFoundError):
            decision = await until_stored(self.clock, lambda: self.conductor.apply(task.execution_id, event))
            if isinstance(decision, Decision) and decision.reply is Reply.BEGIN:
                self._sub_workflows.begin(task)

    async def health(self) -> Mapping[str, object]:
        """Return how the service is: `status` is `ok`, or `failing` with the `reason`."""
        try:
            await self.host_keys.trusted("", 0)
        except StoreError as error:
            return {"status": "failing", "reason": str(error)}
        if self._database.writer.done():
            return {"status": "failing", "reason": "the database's writer has ended"}
        if self._database.damage is not None:
            return {"status": "failing", "reason": self._database.damage}
        if self._database.locked_seconds > PROBE_SECONDS:
            since = f"another process has kept the database locked for {self._database.locked_seconds:.0f} s"
            return {"status": "failing", "reason": f"{since}; end it, the service goes on by itself as soon as it can"}
        if self._database.last_failure is not None:
            # Nobody else may be writing, least of all while a load balancer keeps everybody away: so the end of it would not be seen.
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(PROBE_SECONDS):
                    await self._database.probe()
        reason = self._database.last_failure
        return {"status": "ok", **await self._behind()} if reason is None else {"status": "failing", "reason": reason}

    async def _behind(self) -> Mapping[str, object]:
        """Return what still waits for a server that is away: the service does its work all the same."""
        standing = None if self._forwarder is None else await self._forwarder.standing()
        away = None if self._provider is None else self._provider.failure
        return {**({} if standing is None else {"auditSyslog": standing}), **({} if away is None else {"loginProvider": "unavailable"})}
