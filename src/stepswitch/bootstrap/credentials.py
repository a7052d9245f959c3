"""Credentials, wired: where they are stored, where their values come from, who may use them. Called by `wiring` and the command line."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from stepswitch.bootstrap.keys import open_keys_beside, vault_of
from stepswitch.config.settings import Settings
from stepswitch.engine.account_ports import People
from stepswitch.engine.credential_checks import CredentialChecks
from stepswitch.engine.credential_rules import AccountRoles
from stepswitch.engine.credential_use import CredentialUse
from stepswitch.engine.credentials import Credentials
from stepswitch.engine.ports import Clock
from stepswitch.secrets.credential_sources import CredentialSources
from stepswitch.secrets.kubernetes import Cluster
from stepswitch.secrets.local_values import Folder, Variables
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.audit import SqlAuditStore
from stepswitch.storage.credentials import SqlCredentialStore
from stepswitch.storage.database import Database
from stepswitch.system import SystemClock


@dataclass(frozen=True, slots=True)
class WiredCredentials:
    """Those who have to do with credentials: who looks after them, who checks references to them, who opens them for a worker."""

    keepers: Credentials
    checks: CredentialChecks
    use: CredentialUse


def wire_credentials(settings: Settings, database: Database, clock: Clock, people: People) -> WiredCredentials:
    """Return them for a database whose keys are at hand; `people` know what somebody is now."""
    store, accounts = SqlCredentialStore(database), SqlAccountStore(database)
    roles, sources = AccountRoles(people), credential_sources(settings)
    return WiredCredentials(
        Credentials(store, accounts, sources, clock),
        CredentialChecks(store, roles),
        CredentialUse(store, roles, sources, SqlAuditStore(database).append, clock),
    )


def credential_sources(settings: Settings) -> CredentialSources:
    """Return the places that the settings let credentials be read from."""
    return CredentialSources(
        Variables(settings.environment_credentials, os.environ),
        Folder(settings.file_credentials),
        Cluster(settings.kubernetes_config, os.environ),
        vault_of(settings),
    )


@asynccontextmanager
async def open_credentials(settings: Settings) -> AsyncIterator[Credentials]:
    """Give the credentials of the settings' data directory, which a running service may be using at the same time."""
    async with open_keys_beside(settings) as database:
        yield wire_credentials(settings, database, SystemClock(), SqlAccountStore(database)).keepers
