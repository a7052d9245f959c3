"""The one module that knows every concrete class: it wires the service from its settings. Called by `cli`, `demo` and tests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from stepswitch.access.accounts import Passwords, ensure_admin
from stepswitch.access.sessions import Sessions
from stepswitch.config.settings import Settings
from stepswitch.dispatch.local import LocalDispatcher, Places
from stepswitch.domain.errors import NotFoundError, StoreError
from stepswitch.domain.events import Task, Turn
from stepswitch.domain.execution import Limits
from stepswitch.domain.rules import Rules
from stepswitch.domain.step_types import StepTypes, collect
from stepswitch.engine.catalogue import Catalogue
from stepswitch.engine.claims import Claims
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.executions import Executions
from stepswitch.engine.ports import Authenticator, Clock, FileStore, HostKeyStore, Observer, StepType
from stepswitch.engine.snapshots import Snapshots
from stepswitch.engine.timekeeper import Rhythm, Timekeeper
from stepswitch.engine.trust import TrustedHosts
from stepswitch.engine.views import Views
from stepswitch.secrets.masking import Masking
from stepswitch.steps.registry import installed
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.catalogue import SqlCatalogueStore
from stepswitch.storage.data_dir import DataDir, migrate
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.files import DiskFileStore
from stepswitch.storage.host_keys import SqlHostKeyStore
from stepswitch.storage.sqlite import SqliteDatabase
from stepswitch.system import SystemClock, TimeOrderedIds
from stepswitch.worker.attempt import Surroundings
from stepswitch.worker.pool import Pool
from stepswitch.worker.step_runner import StepRunner, until_stored

_log = structlog.get_logger("stepswitch")


@dataclass
class Service:
    """Everything wired, on one machine. `start` it, use its use cases, `stop` it."""

    settings: Settings
    clock: Clock
    rules: Rules
    catalogue: Catalogue
    executions: Executions
    views: Views
    conductor: Conductor
    accounts: Authenticator
    host_keys: HostKeyStore
    files: FileStore
    new_admin_password: str | None
    """The password of the user admin, where this start made it up: to be shown once."""
    _data_dir: DataDir
    _database: SqliteDatabase
    _dispatcher: LocalDispatcher
    _timekeeper: Timekeeper
    _pool: Pool
    _runner: StepRunner
    _claims: Claims
    _background: list[asyncio.Task[Any]] = field(default_factory=list)

    def observe(self, observer: Observer) -> None:
        """Tell `observer` of everything that is committed from now on."""
        self.conductor.observe(observer)
        self._claims.observe(observer)

    async def start(self, *, recover: bool = True) -> None:
        """Begin to carry out steps; what a stop interrupted goes on in the background."""
        self._dispatcher.start(self._take_turn, self._runner.carry_out)
        for work in (self._timekeeper.run(recover=recover), self._pool.sign_forever()):
            self._background.append(asyncio.get_running_loop().create_task(work))

    async def stop(self, grace_seconds: float | None = None) -> None:
        """Let running steps end within the grace period, give the rest back, and close everything."""
        await self._dispatcher.stop(self.settings.grace_seconds if grace_seconds is None else grace_seconds)
        for each in self._background:
            each.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.conductor.drain()
        await self._pool.close()
        await self._database.close()
        self._data_dir.release()

    async def died(self) -> str:
        """Return why the service cannot go on, once it cannot: without its writer, timekeeper or signs of life nothing may be accepted."""
        ended, _ = await asyncio.wait([self._database.writer, *self._background], return_when=asyncio.FIRST_COMPLETED)
        return f"{', '.join(each.get_name() for each in ended)} has ended"

    async def _take_turn(self, task: Task) -> None:
        event = Turn(f"turn:{task.number}.{task.attempt}.{task.since}", task.number, task.attempt)
        with contextlib.suppress(NotFoundError):
            await until_stored(self.clock, lambda: self.conductor.apply(task.execution_id, event))

    async def health(self) -> Mapping[str, object]:
        """Return how the service is; raises StoreError where the store does not answer."""
        await self.host_keys.trusted("", 0)
        if self._database.writer.done():
            raise StoreError("the database's writer has ended")
        return {"status": "ok"}


def installed_types(types: Mapping[str, StepType] | None = None) -> StepTypes:
    """Return the signatures of the step types of this installation."""
    found = installed() if types is None else types
    return collect(tuple({each.signature.name: each.signature for each in found.values()}.values()))


def _step_types(settings: Settings) -> dict[str, StepType]:
    return installed(
        {
            "JS": {"kept_children": settings.javascript_processes, "max_children": settings.javascript_processes * 4},
            "TCA_SSH": {"sessions_per_device": settings.sessions_per_device},
        }
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        step_executions=settings.max_step_executions,
        values_bytes=settings.max_values_bytes,
        output_bytes=settings.max_output_bytes,
        step_log_bytes=settings.max_step_log_bytes,
        retention_seconds=round(settings.retention_days * 86_400),
    )


async def open_service(settings: Settings, clock: Clock | None = None, types: Mapping[str, StepType] | None = None) -> Service:
    """Return a service on the settings' data directory, which is ours until it stops; raises SettingsError where that cannot be."""
    data_dir = DataDir(settings.data_dir)
    data_dir.acquire()
    try:
        await asyncio.to_thread(migrate, data_dir.database)
        database = SqliteDatabase(data_dir.database)
    except BaseException:
        data_dir.release()
        raise
    try:
        return await _wire(settings, clock or SystemClock(), types or _step_types(settings), data_dir, database)
    except BaseException:
        await database.close()
        data_dir.release()
        raise


async def _wire(  # noqa: PLR0917
    settings: Settings, clock: Clock, types: Mapping[str, StepType], data_dir: DataDir, database: SqliteDatabase
) -> Service:
    ids, secrets, rules = TimeOrderedIds(), Masking(), Rules(installed_types(types), _limits(settings))
    store, accounts_store, keys = SqlExecutionStore(database), SqlAccountStore(database), SqlHostKeyStore(database)
    files = DiskFileStore(data_dir.files, database, ids, settings.file_limit_bytes)
    snapshots = Snapshots(store)
    conductor = Conductor(store, snapshots, rules, clock)
    dispatcher = LocalDispatcher(Places(settings.steps_at_once, settings.sessions_per_device), clock)
    conductor.dispatch_through(dispatcher)
    claims = Claims(conductor=conductor, store=store, snapshots=snapshots, rules=rules, secrets=secrets, clock=clock, ids=ids)
    pool = Pool(claims, types, clock, settings.silence_seconds)
    conductor.observe(pool)
    around = Surroundings(
        claims=claims,
        files=files,
        host_keys=TrustedHosts(keys, clock, accept_new=settings.host_keys == "accept-new"),
        clock=clock,
        output_bytes=settings.max_output_bytes,
        log_bytes=settings.max_step_log_bytes,
        silence_seconds=settings.silence_seconds,
    )
    instance, passwords = ids.new(), Passwords()
    catalogue = Catalogue(SqlCatalogueStore(database), rules.types, clock, ids, strict=settings.strict_documents)
    views = Views(store, snapshots, conductor, dispatcher, secrets)
    return Service(
        settings=settings,
        clock=clock,
        rules=rules,
        catalogue=catalogue,
        executions=Executions(catalogue=catalogue, conductor=conductor, views=views, files=files, rules=rules, clock=clock, ids=ids),
        views=views,
        conductor=conductor,
        accounts=Sessions(accounts_store, passwords, clock, session_hours=settings.session_hours),
        host_keys=keys,
        files=files,
        new_admin_password=await ensure_admin(accounts_store, passwords, settings.admin_password),
        _data_dir=data_dir,
        _database=database,
        _dispatcher=dispatcher,
        _timekeeper=Timekeeper(
            store=store,
            accounts=accounts_store,
            conductor=conductor,
            clock=clock,
            ids=ids,
            instance=instance,
            rhythm=Rhythm(silence_seconds=settings.silence_seconds),
        ),
        _pool=pool,
        _runner=StepRunner(types=types, around=around, attempts=pool, instance=instance),
        _claims=claims,
    )


@asynccontextmanager
async def open_host_keys(data_dir: Path) -> AsyncIterator[HostKeyStore]:
    """Give the trusted host keys of a data directory, which a running service may be using at the same time."""
    place = DataDir(data_dir)
    place.prepare()
    await asyncio.to_thread(migrate, place.database)
    database = SqliteDatabase(place.database)
    try:
        yield SqlHostKeyStore(database)
    finally:
        await database.close()
