"""Risk: stored passwords are lost with their key without a word, are read without it, or a service with the wrong key destroys what it cannot read."""

import asyncio
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stepswitch.bootstrap import Service, back_up, open_service, restore
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import NotFoundError, SettingsError
from stepswitch.domain.execution import ContextType
from stepswitch.engine.callers import administrator
from stepswitch.engine.executions import ExecutionRequest, snapshot_document
from stepswitch.engine.snapshots import compile_snapshot
from stepswitch.storage.data_dir import DATABASE, SECRETS_KEY
from tests.secrets.vault_server import TOKEN, open_vault

ADMIN = administrator("admin")
SECRET = "correct-horse"
DOCUMENT = {
    "name": "n",
    "version": "1",
    "schemaVersion": "3.0",
    "startStepId": "a",
    "inputs": {"pw": {"type": "password", "defaultValue": SECRET}},
    "steps": {"a": {"type": "NOOP"}},
}


def settings_of(directory: Path, **changes: object) -> Settings:
    return Settings.model_validate({"data_dir": directory, "admin_password": "correct horse", **changes})


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Service]:
    service = await open_service(settings)
    try:
        yield service
    finally:
        await service.stop(0)


async def stored_secret(settings: Settings) -> str:
    """Store a workflow with a password and return its id."""
    async with opened(settings) as service:
        return (await service.catalogue.create(ADMIN, DOCUMENT)).workflow.id


async def read_back(settings: Settings, workflow_id: str) -> str:
    async with opened(settings) as service:
        document = (await service.catalogue.get(ADMIN, workflow_id)).document
        return str(document["inputs"]["pw"]["defaultValue"])


async def test_the_first_start_makes_a_key_for_its_owner_alone_and_every_other_one_uses_it(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    workflow = await stored_secret(settings)
    key = (tmp_path / SECRETS_KEY).read_bytes()
    assert stat.S_IMODE((tmp_path / SECRETS_KEY).stat().st_mode) == 0o600
    assert await read_back(settings, workflow) == SECRET
    assert (tmp_path / SECRETS_KEY).read_bytes() == key
    assert key not in (tmp_path / DATABASE).read_bytes()


async def test_a_stop_between_the_key_and_its_first_use_does_no_harm(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "one")
    await stored_secret(settings)
    (tmp_path / "two").mkdir()
    shutil.copy(tmp_path / "one" / SECRETS_KEY, tmp_path / "two" / SECRETS_KEY)
    again = settings_of(tmp_path / "two")
    assert await read_back(again, await stored_secret(again)) == SECRET
    assert (tmp_path / "two" / SECRETS_KEY).read_bytes() == (tmp_path / "one" / SECRETS_KEY).read_bytes()


async def test_without_its_key_the_service_does_not_start_and_nothing_is_lost(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    workflow = await stored_secret(settings)
    (tmp_path / SECRETS_KEY).rename(tmp_path / "elsewhere")
    for _ in range(2):
        with pytest.raises(SettingsError, match=r"secrets\.key is not there, and passwords that are stored .* bring back the key"):
            await open_service(settings)
        assert not (tmp_path / SECRETS_KEY).exists()
    (tmp_path / "elsewhere").rename(tmp_path / SECRETS_KEY)
    assert await read_back(settings, workflow) == SECRET


async def test_with_another_key_the_service_does_not_start_and_nothing_is_lost(tmp_path: Path) -> None:
    settings, other = settings_of(tmp_path / "one"), settings_of(tmp_path / "other")
    workflow = await stored_secret(settings)
    await stored_secret(other)
    wrong = settings_of(tmp_path / "one", secrets_key=f"file:{tmp_path / 'other' / SECRETS_KEY}")
    with pytest.raises(
        SettingsError, match=r"the key key:\w{16} is not there, the settings name key:\w{16}, and passwords that are stored"
    ):
        await open_service(wrong)
    assert await read_back(settings, workflow) == SECRET


async def test_a_key_that_encrypts_nothing_yet_is_no_loss(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    async with opened(settings):
        pass
    before = (tmp_path / SECRETS_KEY).read_bytes()
    (tmp_path / SECRETS_KEY).unlink()
    assert await read_back(settings, await stored_secret(settings)) == SECRET
    assert (tmp_path / SECRETS_KEY).read_bytes() != before


async def test_a_backup_holds_no_key_and_is_restored_with_it_only(tmp_path: Path) -> None:
    workflow = await stored_secret(settings_of(tmp_path / "data"))
    await asyncio.to_thread(back_up, tmp_path / "data", tmp_path / "backup")
    assert not [each for each in (tmp_path / "backup").rglob("*") if each.suffix == ".key"]
    settings = settings_of(tmp_path / "new")
    with pytest.raises(SettingsError, match="bring back the key"):
        await restore(settings, tmp_path / "backup")
    with pytest.raises(SettingsError, match="has not ended"):
        await open_service(settings)
    shutil.copy(tmp_path / "data" / SECRETS_KEY, tmp_path / "new" / SECRETS_KEY)
    await restore(settings, tmp_path / "backup")
    assert await read_back(settings, workflow) == SECRET


async def test_a_backup_without_passwords_needs_no_key(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path / "data")) as service:
        made = await service.catalogue.create(ADMIN, {**DOCUMENT, "inputs": {}})
    await asyncio.to_thread(back_up, tmp_path / "data", tmp_path / "backup")
    await restore(settings_of(tmp_path / "new"), tmp_path / "backup")
    async with opened(settings_of(tmp_path / "new")) as service:
        assert (await service.catalogue.get(ADMIN, made.workflow.id)).document["name"] == "n"


async def test_the_key_may_be_in_vault_which_is_asked_at_the_start_and_never_for_a_value(tmp_path: Path) -> None:
    async with open_vault() as vault:
        settings = settings_of(tmp_path, secrets_key="vault:stepswitch", vault_address=vault.address, vault_token=TOKEN)
        workflow = await stored_secret(settings)
        assert [path for path, _ in vault.asked] == ["/v1/transit/encrypt/stepswitch"] * 2
        assert not (tmp_path / SECRETS_KEY).exists()
        assert await read_back(settings, workflow) == SECRET
        assert [path for path, _ in vault.asked[2:]] == ["/v1/transit/decrypt/stepswitch"] * 2
        vault.is_sealed = True
        with pytest.raises(SettingsError, match="Vault is sealed"):
            await open_service(settings)
        vault.is_sealed = False
        assert await read_back(settings, workflow) == SECRET
    with pytest.raises(SettingsError, match="Vault cannot be reached"):
        await open_service(settings)


async def test_the_key_may_be_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tmp_path, secrets_key="env:KEY_OF_PASSWORDS")
    with pytest.raises(SettingsError, match="the variable KEY_OF_PASSWORDS is not there"):
        await open_service(settings)
    monkeypatch.setenv("KEY_OF_PASSWORDS", "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=")
    assert await read_back(settings, await stored_secret(settings)) == SECRET


async def test_the_names_of_what_holds_a_password_cannot_be_computed_without_the_keys(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    async with opened(settings) as service:
        made = await service.catalogue.create(ADMIN, DOCUMENT)
        plain = await service.catalogue.create(ADMIN, {**DOCUMENT, "inputs": {}})
        views = [await service.executions.create(ADMIN, ExecutionRequest(each.workflow.id, ContextType.NONE)) for each in (made, plain)]
        computed = [compile_snapshot("default", snapshot_document(each.workflow)).snapshot.id for each in (made, plain)]
    named = [view.head.snapshot_id for view in views]
    assert (named[0] != computed[0], named[1]) == (True, computed[1])
    async with opened(settings) as service:
        again = await service.executions.create(ADMIN, ExecutionRequest(made.workflow.id, ContextType.NONE))
    assert again.head.snapshot_id == named[0]


async def test_a_deleted_workflow_leaves_nothing_that_needs_a_key(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    workflow = await stored_secret(settings)
    async with opened(settings) as service:
        await service.catalogue.delete(ADMIN, workflow)
    (tmp_path / SECRETS_KEY).unlink()
    async with opened(settings) as service:
        with pytest.raises(NotFoundError):
            await service.catalogue.get(ADMIN, workflow)
