"""Risk: a token that somebody made up, found in the database, or left in somebody else's browser opens a door.

What is expired, logged out or revoked is tested in `access` and with the sessions of users, the tokens of a provider in `oidc`.
"""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.api.real import OWN, PLAIN, Real, real_service

LOGIN = "/hybridity/api/sessions"


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path) as running:
        yield running


def unsigned(algorithm: str, signature: str = "") -> str:
    """Return what looks like a signed token and is none."""
    parts = ({"alg": algorithm, "typ": "at+jwt"}, {"sub": "admin", "iss": "stepswitch", "aud": "stepswitch", "exp": 9_999_999_999})
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), signature])


async def answered(real: Real, token: str) -> httpx.Response:
    return await real.client.get(f"{PLAIN}/workflow", headers={"x-hm-authorization": token})


async def test_a_token_that_was_changed_or_made_of_what_is_stored_opens_nothing(real: Real) -> None:
    made = (await real.client.post(f"{OWN}/tokens", json={"name": "nightly"})).json()
    token, login = made["token"], real.client.headers["x-hm-authorization"]
    store = real.service.accounts
    hashes = [each.token_hash for each in await store._store.sessions_of("admin")]  # type: ignore[attr-defined]
    assert len(hashes) >= 2
    changed = [each[:-1] + ("A" if each[-1] != "A" else "B") for each in (token, login)]
    others = [
        token.removeprefix("ssw_"),
        f"ssw_{login}",
        token.swapcase(),
        login[::-1],
        made["id"],
        *hashes,
        *(f"ssw_{each[:43]}" for each in hashes),
    ]
    for forged in [*changed, *others, unsigned("none"), unsigned("HS256", "c2lnbmF0dXJl"), f"{login}.{login}.{login}"]:
        answer = await answered(real, forged)
        assert (answer.status_code, answer.content, answer.headers["x-error-code"]) == (401, b"", "NOT_AUTHENTICATED"), forged
    for right in (token, login):
        assert (await answered(real, right)).status_code == 200


async def test_a_login_never_goes_on_with_a_token_that_came_with_it(real: Real) -> None:
    planted = "A" * 43
    theirs = real.client.headers["x-hm-authorization"]
    for brought in (planted, theirs):
        headers = {"x-hm-authorization": brought, "Cookie": f"session={brought}"}
        answer = await real.client.post(LOGIN, json={"username": "admin", "password": "correct horse"}, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["x-hm-authorization"] not in {planted, theirs}
        assert "set-cookie" not in answer.headers
    assert (await answered(real, planted)).status_code == 401
    await real.client.request("DELETE", LOGIN)
    assert (await answered(real, theirs)).status_code == 401


@pytest.mark.parametrize(
    "way", ["..%2f..%2fhealth", "%2e%2e/%2e%2e/users", "..;/users", "users/..%5c..", "%00", "x%2f..%2fworkflow", "..%c0%af.."]
)
async def test_a_path_that_climbs_leads_nowhere(real: Real, way: str) -> None:
    for root in (f"{OWN}/workflows", f"{OWN}/users", f"{PLAIN}/workflow", f"{PLAIN}/workflowExecution", "/docs"):
        answer = await real.client.send(
            real.client.build_request("GET", httpx.URL(str(real.client.base_url).rstrip("/") + f"{root}/{way}"))
        )
        assert answer.status_code in {400, 404, 405}, (root, answer.text)
        assert "root:" not in answer.text


async def test_what_is_typed_at_a_login_writes_no_line_of_its_own_in_the_log(real: Real, capfd: pytest.CaptureFixture[str]) -> None:
    forged = "2026-11-26 00:00:00 [info     ] a login succeeded user=admin"
    for name in (f"x\n{forged}", f"x\r{forged}", f"x\x1b[2J{forged}", f"x\u2028{forged}", f"x\x9b2J{forged}"):
        answer = await real.client.post(
            LOGIN, json={"username": name, "password": name}, headers={"User-Agent": "x", "X-Request-Id": "x\t" + forged}
        )
        assert answer.status_code in {401, 429}
        await real.client.put(
            f"{PLAIN}/workflow",
            json={"name": name, "version": "1", "schemaVersion": "3.0", "startStepId": "a", "steps": {"a": {"type": name}}},
        )
        await real.client.post(f"{OWN}/users", json={"username": name, "password": "a pigeon on the roof", "roles": [name]})
    said = capfd.readouterr()
    for line in (said.out + said.err).splitlines():
        assert not line.startswith(forged)
        assert line.isprintable(), ascii(line)
