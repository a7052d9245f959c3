"""Parts of a data directory, wired for commands that work beside a running service. Called by `cli` through `bootstrap`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from stepswitch.access.accounts import Passwords
from stepswitch.access.sessions import new_api_token
from stepswitch.engine.audit_ports import AuditStore
from stepswitch.engine.logins import Logins
from stepswitch.engine.ports import HostKeyStore
from stepswitch.engine.roles import Roles
from stepswitch.engine.users import Users
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.audit import SqlAuditStore
from stepswitch.storage.data_dir import DataDir, migrate
from stepswitch.storage.database import Database
from stepswitch.storage.host_keys import SqlHostKeyStore
from stepswitch.storage.sqlite import SqliteDatabase
from stepswitch.system import SystemClock


@dataclass(frozen=True, slots=True)
class People:
    """Who can log in and as what, for the command line."""

    users: Users
    roles: Roles
    logins: Logins


@asynccontextmanager
async def _open(data_dir: Path) -> AsyncIterator[Database]:
    place = DataDir(data_dir)
    place.prepare()
    await asyncio.to_thread(migrate, place.database)
    database = SqliteDatabase(place.database)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_people(data_dir: Path) -> AsyncIterator[People]:
    """Give the users, roles and sessions of a data directory, which a running service may be using at the same time."""
    async with _open(data_dir) as database:
        store = SqlAccountStore(database)
        users = Users(store, Passwords())
        yield People(users, Roles(store), Logins(store, users, SystemClock(), new_api_token, lambda _: None))


@asynccontextmanager
async def open_host_keys(data_dir: Path) -> AsyncIterator[HostKeyStore]:
    """Give the trusted host keys of a data directory, which a running service may be using at the same time."""
    async with _open(data_dir) as database:
        yield SqlHostKeyStore(database)


@asynccontextmanager
async def open_audit(data_dir: Path) -> AsyncIterator[AuditStore]:
    """Give the audit trail of a data directory, which a running service may be using at the same time."""
    async with _open(data_dir) as database:
        yield SqlAuditStore(database)
