"""The keys of stored passwords, wired: where they come from, and the database that is encrypted with them. Called by `wiring`, `backups`, `checks` and `cli`."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from stepswitch.config.settings import Settings
from stepswitch.domain.errors import KeyMissingError, SettingsError
from stepswitch.engine.ports import Clock
from stepswitch.secrets.data_keys import DataKeys
from stepswitch.secrets.key_choice import KeyChoice
from stepswitch.secrets.key_keeper import PORTION
from stepswitch.secrets.sealing import Sealing
from stepswitch.secrets.vault import Vault
from stepswitch.storage.data_dir import DataDir, migrate
from stepswitch.storage.data_keys import SqlDataKeyStore
from stepswitch.storage.sqlite import SqliteDatabase
from stepswitch.system import SystemClock


def key_choice(settings: Settings) -> KeyChoice:
    """Return which key-encryption key the settings name."""
    return KeyChoice(settings.secrets_key, DataDir(settings.data_dir).secrets_key, os.environ, vault_of(settings))


def key_faults(settings: Settings) -> Iterator[str]:
    """Yield what is wrong with the key that the settings name, as a sentence. Whether one that is missing can be made is for whoever opens the database."""
    choice = key_choice(settings)
    if choice.makes_its_own:
        return  # it is in the data directory, which is looked at later
    try:
        choice.source()
    except KeyMissingError:
        return
    except SettingsError as error:
        yield str(error)


def vault_of(settings: Settings) -> Vault | None:
    """Return how the settings say that Vault is reached; None where they name no address."""
    if not settings.vault_address:
        return None
    return Vault(
        settings.vault_address,
        mount=settings.vault_mount,
        namespace=settings.vault_namespace,
        token=settings.vault_token,
        token_file=settings.vault_token_file,
        ca_file=settings.vault_ca_file,
    )


@asynccontextmanager
async def open_data_keys(settings: Settings) -> AsyncIterator[DataKeys]:
    """Give the data keys of the settings' data directory, which a running service may be using at the same time."""
    place = DataDir(settings.data_dir)
    place.prepare()
    async with _database(place, Sealing()) as (database, sealing):
        yield _data_keys(settings, database, sealing, SystemClock())


@asynccontextmanager
async def open_keys_beside(settings: Settings) -> AsyncIterator[SqliteDatabase]:
    """Give the database of the settings' data directory with its keys at hand; a running service may be using it at the same time.

    Where there are no keys yet they are made, unless a service is just starting there: that makes its own.
    """
    place = DataDir(settings.data_dir)
    place.prepare()
    async with _database(place, Sealing()) as (database, sealing):
        keys = _data_keys(settings, database, sealing, SystemClock())
        if await keys.exist():
            await keys.open()
            yield database
            return
        place.acquire()
        try:
            await keys.open()
            yield database
        finally:
            place.release()


async def reseal_alone(settings: Settings) -> int:
    """Encrypt everything anew with the youngest key and return how many values that were; raises SettingsError where a service uses the directory."""
    place = DataDir(settings.data_dir)
    place.acquire()
    try:
        async with _database(place, Sealing()) as (database, sealing):
            keys = await open_keys(settings, database, sealing, SystemClock())
            total = 0
            while done := await keys.reseal(PORTION):
                total += done
            return total
    finally:
        place.release()


def has_service(settings: Settings) -> bool:
    """Return whether somebody uses the data directory."""
    return bool(DataDir(settings.data_dir).user())


@asynccontextmanager
async def _database(place: DataDir, sealing: Sealing) -> AsyncIterator[tuple[SqliteDatabase, Sealing]]:
    await asyncio.to_thread(migrate, place.database)
    database = SqliteDatabase(place.database, sealer=sealing)
    try:
        yield database, sealing
    finally:
        await database.close()


def _data_keys(settings: Settings, database: SqliteDatabase, sealing: Sealing, clock: Clock) -> DataKeys:
    return DataKeys(SqlDataKeyStore(database), sealing, key_choice(settings), clock)


async def open_keys(settings: Settings, database: SqliteDatabase, sealing: Sealing, clock: Clock) -> DataKeys:
    """Let `sealing` have the keys of a database that nobody else uses; raises SettingsError where they cannot be opened."""
    keys = _data_keys(settings, database, sealing, clock)
    await keys.open()
    return keys
