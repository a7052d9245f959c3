"""Risk: whoever guesses passwords chooses the address that the audit trail has of him, or all who come through a proxy have one and the same."""

import json
from pathlib import Path

import pytest

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
