"""Risk: an administrator is told another number than the limit counts by which his tenant is refused, or one of another tenant."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from stepswitch.api.operation import OWN_ROOT
from stepswitch.bootstrap.server import application
from stepswitch.engine.privileges import ADMINISTRATOR
from stepswitch.engine.records import Account, Session
from stepswitch.engine.usage import FRESH_SECONDS
from stepswitch.storage.accounts import SqlAccountStore
from tests.api.house import PLAIN
from tests.domain.documents import document
from tests.engine.scripted import House, open_house

USAGE: Final = f"{OWN_ROOT}/usage"
LIMITS: Final = {"executions_at_once": 1, "queued_executions": 3, "stored_executions": 4, "file_bytes": 20}
SOURCE: Final = {name: value for name, value in document(steps={"a": {"type": "ACT"}}).items() if value is not None}
PEOPLE: Final = {
    "root": ("default", ADMINISTRATOR),
    "ann": ("north", ADMINISTRATOR),
    "sue": ("south", ADMINISTRATOR),
    "ned": ("north", "Operations"),
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, tenant_limits={"north": LIMITS}, tenant_stored_executions=9) as house:
        store = SqlAccountStore(house.service._database)
        for name, (tenant, role) in PEOPLE.items():
            account = Account(name, tenant, "no hash", (role,))
            await store.put_account(account)
            token = hashlib.sha256(token_of(name).encode()).hexdigest()
            await store.put_session(Session(token, name, tenant, (role,), house.clock.now() + 10**9, account.credential))
        yield house


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application(house.service))
    async with httpx.AsyncClient(transport=transport, base_url="http://house", timeout=30) as client:
        yield client


def token_of(name: str) -> str:
    return f"{name:-<43}"


def by(name: str) -> dict[str, str]:
    return {"x-hm-authorization": token_of(name)}


async def used(house: House, client: httpx.AsyncClient, who: str = "ann", **query: str) -> list[dict[str, Any]]:
    """Return what somebody is told, counted anew."""
    await house.clock.advance(FRESH_SECONDS)
    answer = await client.get(USAGE, headers=by(who), params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


async def test_what_is_said_is_what_the_limits_count(house: House, client: httpx.AsyncClient) -> None:
    names = ("executionsAtOnce", "queuedExecutions", "storedExecutions", "fileBytes")
    limits = dict(zip(names, LIMITS.values(), strict=True))

    def told(*amounts: int) -> list[dict[str, Any]]:
        return [{"tenantId": "north", **{name: {"used": each, "limit": limits[name]} for name, each in zip(names, amounts, strict=True)}}]

    assert await used(house, client) == told(0, 0, 0, 0)
    made = (await client.put(f"{PLAIN}/workflow", json=SOURCE, headers=by("ann"))).json()["id"]
    order = {"workflowId": made, "contextType": "NONE"}
    queued = [(await client.put(f"{PLAIN}/workflowExecution", json=order, headers=by("ann"))).status_code for _ in range(4)]
    assert queued == [200, 200, 200, 503]
    first = await house.act.next()
    assert await used(house, client) == told(1, 3, 3, 0)
    first.end()
    second = await house.act.next()
    assert await used(house, client) == told(1, 2, 3, 0)
    place = f"{PLAIN}/workflow/{made}/attachments"
    sizes = [(await client.post(place, files={"file": (f"{size}", b"x" * size)}, headers=by("ann"))).status_code for size in (15, 6, 5)]
    assert sizes == [200, 400, 200]
    assert await used(house, client) == told(1, 2, 3, 20)
    second.end()
    (await house.act.next()).end()


async def test_a_tenant_without_limits_is_told_of_none_and_one_that_is_not_ones_own_is_not_there(
    house: House, client: httpx.AsyncClient
) -> None:
    nothing = {name: {"used": 0} for name in ("executionsAtOnce", "queuedExecutions", "fileBytes")}
    south = {"tenantId": "south", **nothing, "storedExecutions": {"used": 0, "limit": 9}}
    assert await used(house, client, "sue") == await used(house, client, "sue", tenantId="south") == [south]
    for tenant in ("north", "default", "nowhere", ""):
        answer = await client.get(USAGE, headers=by("sue"), params={"tenantId": tenant})
        assert (answer.status_code, answer.content, answer.headers["x-error-code"]) == (404, b"", "NOT_FOUND")
    assert (await client.get(f"{USAGE}?tenantId=south&tenantId=north", headers=by("sue"))).status_code == 400
    assert (await client.get(USAGE, headers=by("ned"))).status_code == 403


async def test_administrators_of_the_tenant_default_see_every_tenant_or_the_one_that_they_name(
    house: House, client: httpx.AsyncClient
) -> None:
    assert [each["tenantId"] for each in await used(house, client, "root")] == ["default", "north", "south"]
    assert [each["tenantId"] for each in await used(house, client, "root", tenantId="north")] == ["north"]
    assert (await client.get(USAGE, headers=by("root"), params={"tenantId": "nowhere"})).status_code == 404
