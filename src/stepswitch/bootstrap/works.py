"""Wires what carries out steps: the dispatcher with its places, and what every attempt is given. Called by `wiring`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from stepswitch.bootstrap.step_types import scripts_at_once
from stepswitch.config.settings import Settings
from stepswitch.dispatch.local import LocalDispatcher
from stepswitch.dispatch.places import Places, Room
from stepswitch.engine.backlog import Backlog
from stepswitch.engine.claims import Claims
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.credential_use import CredentialUse
from stepswitch.engine.dispatching import DeviceLine
from stepswitch.engine.known_inventories import KnownInventories
from stepswitch.engine.locks import LockLines
from stepswitch.engine.ports import Clock, FileStore, HostKeyStore, Ids, StepType
from stepswitch.engine.quotas import Quotas
from stepswitch.engine.sub_workflows import SubWorkflows
from stepswitch.engine.timekeeper import Rhythm, Timekeeper
from stepswitch.engine.trust import TrustedHosts
from stepswitch.secrets.key_keeper import KeyKeeper
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.commits import SqlCommitLog
from stepswitch.storage.data_dir import DataDir
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.locks import SqlLockStore
from stepswitch.storage.requests import SqlRequestStore
from stepswitch.storage.sqlite import SqliteDatabase
from stepswitch.worker.attempt import Surroundings
from stepswitch.worker.cleaner import Cleaner
from stepswitch.worker.pool import Pool
from stepswitch.worker.step_runner import StepRunner


def _places(settings: Settings, quotas: Quotas) -> Places:
    by_type = {"JS": scripts_at_once(settings)}
    return Places(settings.steps_at_once, settings.sessions_per_device, by_type, lambda tenant: quotas.of(tenant).executions_at_once)


def dispatcher_of(settings: Settings, clock: Clock, conductor: Conductor, quotas: Quotas) -> LocalDispatcher:
    """Return the dispatcher of a conductor, with room for what its places can use soon."""
    places = _places(settings, quotas)
    dispatcher = LocalDispatcher(places, clock, Room.for_places(places))
    conductor.dispatch_through(dispatcher)
    return dispatcher


def surroundings_of(
    settings: Settings,
    claims: Claims,
    files: FileStore,
    keys: HostKeyStore,
    *,
    credentials: CredentialUse,
    inventories: KnownInventories,
    clock: Clock,
    ids: Ids,
) -> Surroundings:
    """Return what every attempt is given."""
    return Surroundings(
        claims=claims,
        files=files,
        host_keys=TrustedHosts(keys, clock, accept_new=settings.host_keys == "accept-new"),
        clock=clock,
        ids=ids,
        output_bytes=settings.max_output_bytes,
        log_bytes=settings.max_step_log_bytes,
        silence_seconds=settings.silence_seconds,
        credentials=credentials,
        inventories=inventories,
    )


@dataclass(frozen=True, slots=True)
class Disk:
    """What is on the disk, open."""

    data_dir: DataDir
    database: SqliteDatabase
    keeper: KeyKeeper
    instance: str
    """Who this process is, in its claims."""


class Works(TypedDict):
    """What carries steps out, what watches over that, and the disk that it is on."""

    _data_dir: DataDir
    _database: SqliteDatabase
    _keeper: KeyKeeper
    _backlog: Backlog

    _claims: Claims
    _pool: Pool
    _cleaner: Cleaner
    _sub_workflows: SubWorkflows
    _runner: StepRunner
    _lock_lines: LockLines
    _timekeeper: Timekeeper


def works_of(
    settings: Settings,
    disk: Disk,
    around: Surroundings,
    types: Mapping[str, StepType],
    backlog: Backlog,
    *,
    family: SubWorkflows,
    conductor: Conductor,
    pool: Pool,
    line: DeviceLine,
) -> Works:
    """Return what carries out the steps of a service."""
    database = disk.database
    conductor.observe(cleaner := Cleaner(types, around, line, pool))
    conductor.observe(lines := LockLines(SqlLockStore(database), conductor))
    timekeeper = Timekeeper(
        store=SqlExecutionStore(database),
        accounts=SqlAccountStore(database),
        conductor=conductor,
        claims=around.claims,
        clock=around.clock,
        instance=disk.instance,
        backlog=backlog,
        has_in_hand=pool.has_in_hand,
        clean_up=cleaner.begin,
        sub_workflows=family,
        rhythm=Rhythm(silence_seconds=settings.silence_seconds),
        files=around.files,
        commits=SqlCommitLog(database),
        requests=SqlRequestStore(database),
        locks=lines,
    )
    runner = StepRunner(types=types, around=around, attempts=pool, cleaner=cleaner, instance=disk.instance)
    return Works(
        _data_dir=disk.data_dir,
        _database=database,
        _keeper=disk.keeper,
        _backlog=backlog,
        _claims=around.claims,
        _pool=pool,
        _cleaner=cleaner,
        _sub_workflows=family,
        _runner=runner,
        _lock_lines=lines,
        _timekeeper=timekeeper,
    )
