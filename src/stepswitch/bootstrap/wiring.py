"""Wires the service from its settings: here every concrete class is chosen. Called by `cli`, `demo` and tests through `bootstrap`."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypedDict

import structlog

from stepswitch.access.accounts import Passwords, ensure_admin
from stepswitch.access.provider import Provider
from stepswitch.access.provider_logins import ProviderLogins
from stepswitch.access.sessions import Sessions, new_api_token
from stepswitch.bootstrap.auditing import kept_records
from stepswitch.bootstrap.checks import check_settings
from stepswitch.bootstrap.credentials import wire_credentials
from stepswitch.bootstrap.identity import logins_of
from stepswitch.bootstrap.inventories import known_inventories, load_inventory, read_inventory_file, wire_inventories
from stepswitch.bootstrap.keys import open_keys
from stepswitch.bootstrap.people import WiredPeople, warn_of_missing_roles, wire_people
from stepswitch.bootstrap.quotas import quotas_of
from stepswitch.bootstrap.service import Service
from stepswitch.bootstrap.sources import wire_sources
from stepswitch.bootstrap.step_types import computing_types, installed_types, step_types
from stepswitch.bootstrap.sub_workflows import wire_sub_workflows
from stepswitch.bootstrap.works import Disk, dispatcher_of, surroundings_of, works_of
from stepswitch.config.settings import Settings
from stepswitch.dispatch.local import LocalDispatcher
from stepswitch.domain.execution import Limits
from stepswitch.domain.rules import Rules
from stepswitch.engine.audit import Actor, Entry
from stepswitch.engine.audit_trail import AuditTrail
from stepswitch.engine.backlog import Backlog
from stepswitch.engine.body_digests import BodyDigests
from stepswitch.engine.catalogue import Catalogue
from stepswitch.engine.child_orders import Callers
from stepswitch.engine.claims import Claims
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.credential_checks import CredentialChecks
from stepswitch.engine.cut_answers import CutAnswers
from stepswitch.engine.device_limits import DeviceLimits
from stepswitch.engine.executions import Executions
from stepswitch.engine.feed import Feed
from stepswitch.engine.held_locks import HeldLocks
from stepswitch.engine.intake import Intake
from stepswitch.engine.inventory_ports import LooksAgain
from stepswitch.engine.keyed_requests import KeyedRequests
from stepswitch.engine.known_inventories import KnownInventories
from stepswitch.engine.leftovers import Leftovers
from stepswitch.engine.lists import Lists
from stepswitch.engine.logbook import Logbook
from stepswitch.engine.logins import Logins
from stepswitch.engine.news import Newsroom
from stepswitch.engine.ports import Clock, FileStore, Ids, RequestStore, Secrets, StepType
from stepswitch.engine.rehearsals import Rehearsals
from stepswitch.engine.roles import Roles
from stepswitch.engine.snapshots import Snapshots
from stepswitch.engine.steering import ExecutionSteering
from stepswitch.engine.usage import Usages
from stepswitch.engine.users import Users
from stepswitch.engine.views import Views
from stepswitch.engine.vro_logins import VroLogins
from stepswitch.secrets.key_keeper import KeyKeeper
from stepswitch.secrets.masking import Masking
from stepswitch.secrets.sealing import Sealing
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.audit import SqlAuditStore
from stepswitch.storage.catalogue import SqlCatalogueStore
from stepswitch.storage.commits import SqlCommitLog
from stepswitch.storage.data_dir import DataDir, migrate
from stepswitch.storage.digest_key import digest_key
from stepswitch.storage.epochs import current_epoch
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.files import DiskFileStore
from stepswitch.storage.host_keys import SqlHostKeyStore
from stepswitch.storage.lists import SqlListStore
from stepswitch.storage.locks import SqlLockStore
from stepswitch.storage.queue import SqlQueueStore
from stepswitch.storage.requests import SqlRequestStore
from stepswitch.storage.sqlite import SqliteDatabase
from stepswitch.storage.usage import SqlUsageStore
from stepswitch.system import SystemClock, TimeOrderedIds
from stepswitch.telemetry.audit_forwarder import AuditForwarder
from stepswitch.telemetry.syslog import Origin, destination_of
from stepswitch.worker.pool import Pool

_Types = Mapping[str, StepType]
_log = structlog.get_logger("stepswitch")


SECONDS_WITHOUT_SERVICE: Final = 300.0
"""How long the rehearsals of one file may take together, where nobody waits for the same machine."""


@asynccontextmanager
async def open_rehearsals() -> AsyncIterator[Rehearsals]:
    """Give what rehearses workflows that are no catalogue's, with the limits that hold unless settings say otherwise."""
    rehearsals = Rehearsals(
        computing=computing_types(), rules=Rules(installed_types()), secrets=Masking(), clock=SystemClock(), seconds=SECONDS_WITHOUT_SERVICE
    )
    try:
        yield rehearsals
    finally:
        await rehearsals.close()


def limits_of(settings: Settings) -> Limits:
    """Return the limits of every execution."""
    return Limits(
        step_executions=settings.max_step_executions,
        values_bytes=settings.max_values_bytes,
        output_bytes=settings.max_output_bytes,
        step_log_bytes=settings.max_step_log_bytes,
        sub_workflow_depth=settings.max_sub_workflow_depth,
        retention_seconds=round(settings.retention_days * 86_400),
    )


async def open_service(
    settings: Settings,
    clock: Clock | None = None,
    types: Mapping[str, StepType] | None = None,
    tell_password: Callable[[str], None] | None = None,
    callers: Callers | None = None,
) -> Service:
    """Return a service on the settings' data directory, which is ours until it stops; raises SettingsError where that cannot be.

    `tell_password` is told the password of the user admin, where this start makes it up. `callers` say what somebody may do in whose name a
    sub-workflow is begun; None lets the accounts say it.
    """
    check_settings(settings)
    inventory = await asyncio.to_thread(read_inventory_file, settings)
    data_dir = DataDir(settings.data_dir)
    data_dir.acquire()
    try:
        await asyncio.to_thread(migrate, data_dir.database)
        sealing = Sealing()
        database = SqliteDatabase(data_dir.database, sealer=sealing)
    except BaseException:
        data_dir.release()
        raise
    try:
        clock = clock or SystemClock()
        keeper = KeyKeeper(await open_keys(settings, database, sealing, clock), clock)
        computing = computing_types(types)
        types = types or step_types(settings)
        rules = Rules(installed_types(types), limits_of(settings), await current_epoch(database))
        disk = Disk(data_dir, database, keeper, TimeOrderedIds().new())
        service = _wire(settings, clock, rules, types, computing=computing, disk=disk, callers=callers)
        await service.cut_answers.recall()
        await load_inventory(service.inventories, inventory, clock)
        await warn_of_missing_roles(settings, SqlAccountStore(database))
        # Last, so that nothing can fail any more once its password was told.
        first = Entry("createUser", clock.now(), "", "", Actor.SYSTEM)
        await ensure_admin(SqlAccountStore(database), Passwords(), settings.admin_password, tell_password or (lambda _: None), first)
    except BaseException:
        await database.close()
        data_dir.release()
        raise
    return service


class _UseCases(TypedDict):
    """What every use case of executions is given."""

    catalogue: Catalogue
    views: Views
    files: FileStore
    rules: Rules
    clock: Clock
    ids: Ids
    credentials: CredentialChecks


class _Line(TypedDict):
    """What those are given who look at what waits."""

    store: SqlExecutionStore
    queue: SqlQueueStore
    conductor: Conductor
    dispatcher: LocalDispatcher


class _Repeats(TypedDict):
    """What is needed to recognise a request that is sent again."""

    executions: Executions
    views: Views
    store: RequestStore
    digests: BodyDigests
    clock: Clock
    ids: Ids


def _wire(
    settings: Settings, clock: Clock, rules: Rules, types: _Types, *, computing: _Types, disk: Disk, callers: Callers | None
) -> Service:
    data_dir, database, ids, secrets = disk.data_dir, disk.database, TimeOrderedIds(), Masking()
    store, keys = SqlExecutionStore(database), SqlHostKeyStore(database)
    files = DiskFileStore(data_dir.files, database, ids, settings.file_limit_bytes, quotas := quotas_of(settings))
    snapshots, known = Snapshots(store, secret_digest=database.sealer.digest), known_inventories(database)
    conductor = Conductor(store, snapshots, rules, clock, inventory=known)
    dispatcher = dispatcher_of(settings, clock, conductor, quotas)
    limits = DeviceLimits(known, rules.types)
    claims = Claims(limits, conductor=conductor, store=store, snapshots=snapshots, rules=rules, secrets=secrets, clock=clock, ids=ids)
    conductor.observe(pool := Pool(claims, types, clock, settings.silence_seconds, settings.sessions_per_device))
    people = wire_people(settings, SqlAccountStore(database), clock)
    named, strict = wire_credentials(settings, database, clock, people.current), settings.strict_documents
    around = surroundings_of(settings, claims, files, keys, credentials=named.use, inventories=known, clock=clock, ids=ids)
    catalogue = Catalogue(SqlCatalogueStore(database), rules.types, clock, ids, files=files, credentials=named.checks, strict=strict)
    lists, queue = SqlListStore(database, store), SqlQueueStore(database)
    line = _Line(store=store, queue=queue, conductor=conductor, dispatcher=dispatcher)
    left, locks, backlog = Leftovers(store, snapshots, rules.types), SqlLockStore(database), Backlog(lists=lists, clock=clock, **line)
    views = Views(snapshots=snapshots, secrets=secrets, locks=locks, **line)
    use_cases = _UseCases(catalogue=catalogue, views=views, files=files, rules=rules, clock=clock, ids=ids, credentials=named.checks)
    conductor.observe(intake := Intake(queue, clock, settings.max_queued_executions, quotas))
    sources = wire_sources(settings, database, known, people.current, clock)
    repeats = _repeats(data_dir, database, use_cases, conductor=conductor, intake=intake, known=known, sources=sources)
    family = wire_sub_workflows(around, database, conductor, repeats["executions"], secrets, callers=callers or people.callers)
    return Service(
        settings=settings,
        clock=clock,
        ids=ids,
        rules=rules,
        catalogue=catalogue,
        executions=repeats["executions"],
        keyed_requests=KeyedRequests(**repeats),
        cut_answers=CutAnswers(**repeats),
        rehearsals=_rehearsals(settings, computing, secrets, use_cases),
        steering=ExecutionSteering(strict=strict, leftovers=left, conductor=conductor, snapshots=snapshots, locks=locks, **use_cases),
        vro_logins=VroLogins(views=views, store=store, snapshots=snapshots, inventory=known, credentials=named.use),
        **_reads(settings, database, conductor, views, secrets, clock=clock),
        conductor=conductor,
        **_people(settings, database, clock, people),
        usages=Usages(SqlUsageStore(database), dispatcher, quotas, clock),
        host_keys=keys,
        credentials=named.keepers,
        inventories=wire_inventories(database, known, clock),
        inventory_sources=sources,
        files=files,
        _dispatcher=dispatcher,
        **works_of(settings, disk, around, types, backlog, family=family, conductor=conductor, pool=pool, line=dispatcher),
    )


class _Reads(TypedDict):
    """Everything that is read, in whatever way."""

    views: Views
    lists: Lists
    logbook: Logbook
    held_locks: HeldLocks
    feed: Feed


def _reads(settings: Settings, database: SqliteDatabase, conductor: Conductor, views: Views, secrets: Secrets, *, clock: Clock) -> _Reads:
    snapshots, store = conductor.snapshots, SqlExecutionStore(database)
    lists = SqlListStore(database, store)
    return _Reads(
        views=views,
        lists=Lists(lists, views, snapshots),
        logbook=Logbook(store, snapshots, conductor, secrets),
        held_locks=HeldLocks(SqlLockStore(database), lists, snapshots, secrets),
        feed=_feed(settings, database, conductor, views, secrets, clock=clock),
    )


def _repeats(
    data_dir: DataDir,
    database: SqliteDatabase,
    shared: _UseCases,
    *,
    conductor: Conductor,
    intake: Intake,
    known: KnownInventories,
    sources: LooksAgain,
) -> _Repeats:
    return _Repeats(
        executions=Executions(conductor=conductor, intake=intake, inventory=known, sources=sources, **shared),
        views=shared["views"],
        store=SqlRequestStore(database),
        digests=BodyDigests(digest_key(data_dir.digest_key)),
        clock=shared["clock"],
        ids=shared["ids"],
    )


class _People(TypedDict):
    """Who may do what, and who did."""

    accounts: Sessions
    provider_logins: ProviderLogins | None
    users: Users
    roles: Roles
    logins: Logins
    audit: AuditTrail
    _forwarder: AuditForwarder | None
    _provider: Provider | None


def _people(settings: Settings, database: SqliteDatabase, clock: Clock, people: WiredPeople) -> _People:
    store, passwords = SqlAccountStore(database), Passwords()
    identity, hours = people.identity, settings.session_hours
    vouched = None if identity is None else identity.access_tokens
    sessions = Sessions(store, passwords, clock, hours, access_tokens=vouched, directory=people.directory, people=people.current)
    users = Users(store, passwords, sessions.forget, sessions.attempts)
    logins = Logins(store, users, clock, new_api_token, sessions.forget)
    trail = AuditTrail(SqlAuditStore(database), clock, kept_records(settings))
    forwarder = _forwarder(settings, trail, clock)
    return _People(
        accounts=sessions,
        provider_logins=logins_of(settings, identity, sessions, store, clock),
        users=users,
        roles=Roles(store),
        logins=logins,
        audit=trail,
        _forwarder=forwarder,
        _provider=None if identity is None else identity.provider,
    )


def _forwarder(settings: Settings, trail: AuditTrail, clock: Clock) -> AuditForwarder | None:
    """Return what sends the audit trail on, where the settings say where to; raises SettingsError."""
    if settings.audit_syslog is None:
        return None
    destination = destination_of(settings.audit_syslog, settings.audit_syslog_ca_file)
    return AuditForwarder(trail.store, clock, destination, Origin(socket.gethostname(), os.getpid()))


def _rehearsals(settings: Settings, computing: _Types, secrets: Secrets, shared: _UseCases) -> Rehearsals:
    return Rehearsals(
        computing=computing,
        rules=shared["rules"],
        secrets=secrets,
        clock=shared["clock"],
        catalogue=shared["catalogue"],
        files=shared["files"],
        strict=settings.strict_documents,
    )


def _feed(settings: Settings, database: SqliteDatabase, conductor: Conductor, views: Views, secrets: Secrets, *, clock: Clock) -> Feed:
    """Return the feed; half of the connections may be streams, so that there are always some for everything else."""
    store = SqlExecutionStore(database)
    newsroom = Newsroom(store=store, snapshots=conductor.snapshots, conductor=conductor, views=views, secrets=secrets)
    return Feed(SqlCommitLog(database), newsroom, clock, most=max(1, settings.max_connections // 2))
