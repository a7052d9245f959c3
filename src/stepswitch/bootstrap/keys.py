"""The keys of stored passwords, wired: where they come from, and the database that is encrypted with them. Called by `wiring`, `backups` and `cli`."""

import os

from stepswitch.config.settings import Settings
from stepswitch.engine.ports import Clock
from stepswitch.secrets.data_keys import DataKeys
from stepswitch.secrets.key_choice import KeyChoice
from stepswitch.secrets.sealing import Sealing
from stepswitch.secrets.vault import Vault
from stepswitch.storage.data_dir import DataDir
from stepswitch.storage.data_keys import SqlDataKeyStore
from stepswitch.storage.sqlite import SqliteDatabase


def key_choice(settings: Settings, data_dir: DataDir) -> KeyChoice:
    """Return which key-encryption key the settings name."""
    vault = None
    if settings.vault_address:
        vault = Vault(
            settings.vault_address,
            mount=settings.vault_mount,
            namespace=settings.vault_namespace,
            token=settings.vault_token,
            token_file=settings.vault_token_file,
            ca_file=settings.vault_ca_file,
        )
    return KeyChoice(settings.secrets_key, data_dir.secrets_key, os.environ, vault)


async def open_keys(settings: Settings, data_dir: DataDir, database: SqliteDatabase, sealing: Sealing, clock: Clock) -> DataKeys:
    """Let `sealing` have the keys of a database that nobody else uses; raises SettingsError where they cannot be opened."""
    keys = DataKeys(SqlDataKeyStore(database), sealing, key_choice(settings, data_dir), clock)
    await keys.open()
    return keys
