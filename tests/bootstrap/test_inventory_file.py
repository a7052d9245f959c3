"""Risk: a start takes a wrong inventory file, forgets what was changed since, or leaves half of it."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from stepswitch.bootstrap import Service, open_service
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import SettingsError
from stepswitch.domain.inventory import Section
from stepswitch.engine.callers import administrator
from stepswitch.engine.inventories import Place
from stepswitch.storage.audit import SqlAuditStore

ADMIN = administrator("admin")
PARIS = Place(Section.SITES, "paris")


async def opened(directory: Path, file: Path) -> Service:
    return await open_service(Settings.model_validate({"data_dir": directory, "admin_password": "correct horse", "inventory_file": file}))


async def sites(service: Service) -> list[str]:
    return list((await service.inventories.get(ADMIN)).document["sites"])


async def test_a_file_is_loaded_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    directory, file = tmp_path / "data", tmp_path / "inventory.yaml"
    file.write_text("sites:\n  paris: {}\n")
    service = await opened(directory, file)
    assert await sites(service) == ["paris"]
    await service.inventories.put_entry(ADMIN, Place(Section.SITES, "rome"), {})
    records = await SqlAuditStore(service._database).newest()
    await service.stop(0)

    service = await opened(directory, file)
    assert await sites(service) == ["paris", "rome"]
    assert await SqlAuditStore(service._database).newest() == records
    await service.stop(0)

    file.write_text("sites:\n  oslo: {}\n")
    service = await opened(directory, file)
    assert await sites(service) == ["oslo"]
    assert (await service.inventories.get(ADMIN)).changed_by == "the inventory file"
    assert await SqlAuditStore(service._database).newest() == records + 1
    assert (await service.inventories.get(administrator("admin", "north"))).revision == 0
    await service.stop(0)


async def test_a_file_with_faults_lets_nothing_be_made(tmp_path: Path) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text("sites:\n  a: {x: 1}\ndevices:\n  d: {}\n")
    with pytest.raises(SettingsError) as refused:
        await opened(tmp_path / "data", file)
    assert [line.partition(": ")[2].partition(": ")[0] for line in str(refused.value).splitlines()] == ["line 2", "line 4"]
    assert not (tmp_path / "data").exists()


async def test_credentials_that_are_still_to_be_made_are_named_in_the_log(tmp_path: Path) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text("devices:\n  d: {addresses: [d.example], login: {password: {credential: core}}}\n")
    with capture_logs() as logs:
        service = await opened(tmp_path / "data", file)
    await service.stop(0)
    (warned,) = [each for each in logs if "credentials that nobody has made" in each["event"]]
    assert warned["credentials"] == ["core"]
