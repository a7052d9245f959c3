"""Risk: whoever guesses passwords chooses the address that the audit trail has of him, or all who come through a proxy have one and the same."""

import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from stepswitch.bootstrap.crowd import SHARE
from stepswitch.storage.audit import SqlAuditStore
from tests.api.real import real_service

CLAIMED = "203.0.113.9"


@pytest.mark.parametrize(
    ("trusted", "address"),
    [
        ("", "127.0.0.1"),
        ("192.0.2.1,198.51.100.0/24", "127.0.0.1"),
        ("127.0.0.1", CLAIMED),
        ("192.0.2.1, 127.0.0.0/8", CLAIMED),
    ],
)
async def test_a_forwarded_address_is_believed_from_those_who_are_trusted_and_from_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: str, address: str
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # a variable of the HTTP server's own
    async with real_service(tmp_path, trusted_proxies=trusted) as real:
        trail = SqlAuditStore(real.service._database)
        seen = await trail.newest()
        wrong = {"username": "admin", "password": "wrong horse"}
        sent = {"x-forwarded-for": f"192.0.2.200, {CLAIMED}"}  # the first one is what the client itself has claimed to the proxy
        assert (await real.client.post("/hybridity/api/sessions", json=wrong, headers=sent)).status_code == 401
        (record,) = [json.loads(each.record.text) for each in await trail.behind(seen, 10)]
    assert (record["from"], record["outcome"]) == (address, "refused")


async def test_one_address_behind_a_trusted_proxy_does_not_take_what_others_behind_it_need(tmp_path: Path) -> None:
    async with real_service(tmp_path, trusted_proxies="127.0.0.1", max_connections=2 * SHARE) as real, AsyncExitStack() as stack:
        waits = {"prefer": "wait=30", "x-forwarded-for": CLAIMED}
        stream = "/stepswitch/api/v1/events"
        for _ in range(2):
            open_one = await stack.enter_async_context(real.client.stream("GET", stream, headers=waits))
            assert open_one.status_code == 200
        refused = await real.client.get("/telco/api/workflows/workflow", headers={"x-forwarded-for": CLAIMED})
        assert (refused.status_code, refused.headers["retry-after"] != "") == (503, True)
        assert refused.json()["errors"][0]["message"] == "more than 2 requests of this address are under way"
        assert (await real.client.get("/stepswitch/api/v1/health", headers={"x-forwarded-for": CLAIMED})).status_code == 200
        for other in ("203.0.113.10", ""):
            answer = await real.client.get("/telco/api/workflows/workflow", headers={"x-forwarded-for": other} if other else {})
            assert answer.status_code == 200
        await stack.aclose()
        for _ in range(100):  # the service hears of the end of a stream on another connection
            again = await real.client.get("/telco/api/workflows/workflow", headers={"x-forwarded-for": CLAIMED})
            if again.status_code == 200:
                break
        assert again.status_code == 200
