"""Risk: one tenant takes the room of the others, or is refused and has half of it stored, or is not told which limit that is."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from stepswitch.api.wire import models
from stepswitch.bootstrap.server import application
from tests.api.house import codes, messages
from tests.api.tenants import NAMES, PLAIN, Act, Playing, planting
from tests.engine.scripted import open_house

CREATE = f"PUT {PLAIN}/workflowExecution"
WITH_FILES = f"POST {PLAIN}/workflowExecution"
ATTACH = f"POST {PLAIN}/workflow/{{workflowId}}/attachments"
DELETE = f"DELETE {PLAIN}/workflowExecution/{{workflowExecutionId}}"


def stored(directory: Path) -> dict[str, list[Any]]:
    """Return all that is stored, but for who asked for it; the files on the disk too."""
    connection = sqlite3.connect(directory / "stepswitch.db")
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in tables if name not in ("audit", "sessions")}
    connection.close()
    return {**found, "on the disk": sorted(path.name for path in directory.glob("files/*"))}


@asynccontextmanager
async def playing(directory: Path, **limits: Any) -> AsyncIterator[Playing]:
    """Give two tenants, each of which has two executions that wait, one of them paused, and one that was aborted."""
    async with open_house(directory, start=False) as house:
        play = await Playing.open(house, application(house.service), NAMES, 0)
        await play.play([*planting("north"), *planting("south")])
    async with open_house(directory, start=False, **limits) as house:
        yield Playing(house, application(house.service), play.parties, play.address)


async def test_one_more_than_a_tenant_may_have_waiting_is_503_and_nothing_of_it_is_stored(tmp_path: Path) -> None:
    async with playing(tmp_path, tenant_queued_executions=2) as play:
        assert (await play.ask(Act("north", CREATE))).status_code == 200
        before = stored(tmp_path)
        for way in (CREATE, WITH_FILES):
            answer = await play.ask(Act("north", way))
            models.ErrorResponse.model_validate(answer.json())
            assert (answer.status_code, codes(answer), int(answer.headers["retry-after"]) > 0) == (503, ["OVERLOADED"], True)
            tenant = play.parties["north"].tenant
            assert messages(answer) == [
                f"as many executions of the tenant {tenant} wait or run as may (2); nothing was stored: try again later"
            ]
        assert stored(tmp_path) == before
        assert (await play.ask(Act("south", CREATE))).status_code == 200


async def test_one_more_than_a_tenant_may_keep_is_400_until_one_is_deleted(tmp_path: Path) -> None:
    async with playing(tmp_path, tenant_stored_executions=3) as play:
        before = stored(tmp_path)
        for way in (CREATE, WITH_FILES):
            answer = await play.ask(Act("north", way))
            assert (answer.status_code, codes(answer)) == (400, ["LIMIT_REACHED"])
            assert "has 3 executions, and may have 3" in messages(answer)[0]
        assert stored(tmp_path) == before
        assert (await play.ask(Act("north", DELETE))).status_code == 204
        assert (await play.ask(Act("north", CREATE))).status_code == 200
        assert (await play.ask(Act("north", CREATE))).status_code == 400


async def test_a_file_over_the_space_of_its_tenant_is_400_and_leaves_nothing(tmp_path: Path) -> None:
    async with playing(tmp_path, tenant_file_bytes=115) as play:
        assert (await play.ask(Act("north", ATTACH))).status_code == 200, "two files of some 35 bytes are there"
        before = stored(tmp_path)
        for way in (ATTACH, WITH_FILES, f"POST {PLAIN}/workflow"):
            answer = await play.ask(Act("north", way))
            assert (answer.status_code, codes(answer)) == (400, ["LIMIT_REACHED"])
            assert f"the files of the tenant {play.parties['north'].tenant} take " in messages(answer)[0]
        assert stored(tmp_path) == before
        assert (await play.ask(Act("south", ATTACH))).status_code == 200


async def test_many_at_once_fill_what_is_left_and_no_more(tmp_path: Path) -> None:
    async with playing(tmp_path, tenant_stored_executions=8, tenant_file_bytes=230) as play:
        north = play.parties["north"]
        told = await asyncio.gather(*(play.ask(Act("north", CREATE)) for _ in range(20)))
        assert sorted(each.status_code for each in told) == [200] * 5 + [400] * 15
        kept = [row for row in stored(tmp_path)["executions"] if row[1] == north.tenant]
        assert len(kept) == 8
        told = await asyncio.gather(*(play.ask(Act("north", ATTACH)) for _ in range(10)))
        taken = [row for row in stored(tmp_path)["files"] if row[1] == north.tenant]
        assert sum(row[3] for row in taken) <= 230
        assert {each.status_code for each in told} == {200, 400}


async def test_a_tenant_has_limits_of_its_own_in_place_of_those_of_all(tmp_path: Path) -> None:
    own = {"queued_executions": 0}
    async with playing(tmp_path, tenant_stored_executions=4) as play:
        north, south = play.parties["north"].tenant, play.parties["south"].tenant
    async with open_house(
        tmp_path, start=False, tenant_stored_executions=4, tenant_limits={north: own, south: {"stored_executions": 3}}
    ) as house:
        play = Playing(house, application(house.service), play.parties, play.address)
        assert (await play.ask(Act("north", CREATE))).status_code == 503
        assert (await play.ask(Act("south", CREATE))).status_code == 400


async def test_what_ends_makes_room_for_the_next(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("stepswitch.engine.intake.COUNT_SECONDS", 0.0)
    async with playing(tmp_path, tenant_queued_executions=1) as play:
        assert (await play.ask(Act("north", CREATE))).status_code == 503
        assert (await play.ask(Act("north", f"POST {PLAIN}/workflowExecution/{{workflowExecutionId}}/abort", pick=2))).status_code == 200
        assert (await play.ask(Act("north", CREATE))).status_code == 200
