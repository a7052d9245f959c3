"""Risk: a change of keys loses what was encrypted, stops half way for good, keeps an old key for ever, or disturbs the service while it runs."""

import asyncio
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepswitch.bootstrap import Service, back_up, key_choice, open_credentials, open_data_keys, open_service, reseal_alone, restore
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import SettingsError
from stepswitch.engine.credential_records import StoredValue
from stepswitch.engine.credentials import CredentialOrder
from stepswitch.secrets.key_sources import make_key_file
from stepswitch.storage.data_dir import DATABASE, SECRETS_KEY
from tests.bootstrap.test_keys import ADMIN, DOCUMENT, SECRET, opened, read_back, settings_of, stored_secret
from tests.secrets.vault_server import TOKEN, open_vault


async def rotate(settings: Settings) -> int:
    async with open_data_keys(settings) as keys:
        return await keys.rotate()


async def standing(settings: Settings) -> dict[int, int]:
    """Return how many values each generation encrypts."""
    async with open_data_keys(settings) as keys:
        return {key.generation: values for key, values in await keys.standing()}


async def store(service: Service, count: int) -> list[str]:
    return [(await service.catalogue.create(ADMIN, DOCUMENT)).workflow.id for _ in range(count)]


async def secrets_of(service: Service, ids: list[str]) -> set[str]:
    return {(await service.catalogue.get(ADMIN, each)).document["inputs"]["pw"]["defaultValue"] for each in ids}


def encrypted(directory: Path) -> list[Any]:
    with sqlite3.connect(directory / DATABASE) as connection:
        found = connection.execute("SELECT id, body FROM workflows UNION SELECT id, body FROM executions ORDER BY 1").fetchall()
    connection.close()
    return found


async def test_a_rotation_beside_a_running_service_encrypts_everything_anew_and_retires_the_old_key(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    async with opened(settings) as service:
        ids = await store(service, 30)
        assert await rotate(settings) == 2
        assert await standing(settings) == {1: 60, 2: 0}
        await service._keeper.look()
        assert await standing(settings) == {2: 60}
        ids += await store(service, 1)
        assert await standing(settings) == {2: 62}
        assert await secrets_of(service, ids) == {SECRET}
    async with opened(settings) as service:
        assert await secrets_of(service, ids) == {SECRET}


async def test_a_rotation_that_was_interrupted_goes_on_after_the_next_start(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    async with opened(settings) as service:
        ids = await store(service, 10)
        await rotate(settings)
        await service._keeper._keys.refresh()
        assert await service._keeper._keys.reseal(3) == 3
    assert await standing(settings) == {1: 17, 2: 3}
    async with opened(settings) as service:
        assert await secrets_of(service, ids) == {SECRET}
        await rotate(settings)
        await service._keeper.look()
        assert await standing(settings) == {3: 20}
        assert await secrets_of(service, ids) == {SECRET}


async def test_what_is_written_during_a_rotation_is_neither_lost_nor_left_behind(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    async with opened(settings) as service:
        ids = await store(service, 5)
        await rotate(settings)

        async def change(workflow_id: str) -> None:
            for number in range(20):
                await service.catalogue.replace(ADMIN, workflow_id, {**DOCUMENT, "version": str(number)})

        await asyncio.gather(service._keeper.look(), *map(change, ids))
        await service._keeper.look()
        assert set(await standing(settings)) == {2}
        assert {(await service.catalogue.get(ADMIN, each)).document["version"] for each in ids} == {"19"}
    async with opened(settings) as service:
        assert await secrets_of(service, ids) == {SECRET}


async def test_without_a_service_the_directory_is_encrypted_anew_at_once(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    workflow = await stored_secret(settings)
    await rotate(settings)
    assert await reseal_alone(settings) == 2
    assert await standing(settings) == {2: 2}
    assert await read_back(settings, workflow) == SECRET
    async with opened(settings):
        with pytest.raises(SettingsError, match="in use by another service"):
            await reseal_alone(settings)


async def test_nobody_adds_a_key_who_cannot_read_the_old_ones(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    await stored_secret(settings)
    make_key_file(tmp_path / "other")
    with pytest.raises(SettingsError, match="is not there, the settings name"):
        await rotate(settings_of(tmp_path, secrets_key=f"file:{tmp_path / 'other'}"))
    assert await standing(settings) == {1: 2}


async def test_another_key_encryption_key_changes_no_value_and_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    workflow = await stored_secret(settings)
    before = encrypted(tmp_path)
    async with open_vault() as vault:
        moved = settings_of(tmp_path, secrets_key="vault:stepswitch", vault_address=vault.address, vault_token=TOKEN)
        async with opened(settings) as service, open_data_keys(settings) as keys:
            assert await keys.rewrap(key_choice(moved)) == "vault:stepswitch"
            await service._keeper.look()
            assert await secrets_of(service, [workflow]) == {SECRET}
        assert encrypted(tmp_path) == before
        with pytest.raises(SettingsError, match="the key vault:stepswitch is not there, the settings name key:"):
            await open_service(settings)
        (tmp_path / SECRETS_KEY).unlink()
        assert await read_back(moved, workflow) == SECRET


async def test_a_key_encryption_key_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    workflow = await stored_secret(settings)
    choice = key_choice(settings)
    async with open_vault() as vault, open_data_keys(settings) as keys:
        sealed = key_choice(settings_of(tmp_path, secrets_key="vault:none", vault_address=vault.address, vault_token=TOKEN))
        for other in (sealed, replace(choice, wanted=f"file:{tmp_path / 'none'}"), replace(choice, wanted="nonsense")):
            with pytest.raises(SettingsError):
                await keys.rewrap(other)
        vault.garbles = True
        with pytest.raises(SettingsError, match="does not give back"):
            await keys.rewrap(replace(sealed, wanted="vault:stepswitch"))
    assert await read_back(settings, workflow) == SECRET


async def test_a_new_key_that_the_service_cannot_open_stops_nothing(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    async with opened(settings) as service:
        ids = await store(service, 1)
        await rotate(settings)
        (tmp_path / SECRETS_KEY).rename(tmp_path / "elsewhere")
        with pytest.raises(SettingsError, match="is not there"):
            await service._keeper.look()
        ids += await store(service, 1)
        assert await standing(settings) == {1: 4, 2: 0}
        (tmp_path / "elsewhere").rename(tmp_path / SECRETS_KEY)
        await service._keeper.look()
        assert await standing(settings) == {2: 4}
        assert await secrets_of(service, ids) == {SECRET}


async def test_before_the_first_start_there_is_nothing_to_change(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there are no keys yet"):
        await rotate(settings_of(tmp_path))
    assert await standing(settings_of(tmp_path)) == {}


async def test_stored_credentials_are_encrypted_anew_too_and_come_back_from_a_backup(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    everybody = ("*",)
    order = CredentialOrder(StoredValue(SECRET), everybody, everybody, everybody)
    async with opened(settings) as service:
        await service.credentials.add(ADMIN, "core", order)
        await rotate(settings)
        async with open_credentials(settings) as beside:  # has the new key, and the service not yet
            await beside.add(ADMIN, "edge", order)
        await service._keeper.look()
        assert await standing(settings) == {2: 2}
        for name in ("core", "edge"):
            assert (await service.credentials.get(ADMIN, name)).source == StoredValue(SECRET)
        await asyncio.to_thread(back_up, settings.data_dir, tmp_path / "backup")
    again = settings_of(tmp_path / "again")
    again.data_dir.mkdir()
    shutil.copy(settings.data_dir / SECRETS_KEY, again.data_dir)
    await restore(again, tmp_path / "backup")
    async with opened(again) as service:
        assert (await service.credentials.get(ADMIN, "core")).source == StoredValue(SECRET)
    assert all(SECRET.encode() not in content for content in await asyncio.to_thread(written, tmp_path))


def written(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
