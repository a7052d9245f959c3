"""Risk: somebody is left logged in, is asked for a password again and again, or is shown one."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepswitch.client import (
    InvalidRequestError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    StepswitchClient,
    StrangeAnswerError,
    UnavailableError,
)
from stepswitch.demo.router import Router
from tests.client.office import PASSWORD, Impostor, Naps, Office, answer, token_of

EIGHT_HOURS = 8 * 3600


def sessions(impostor: Impostor) -> list[str]:
    return [request.split("\r\n")[0].split()[0] for request in impostor.requests if "/hybridity/" in request]


SESSION = answer(
    200,
    {"username": "ann", "tenantId": "default", "roles": [], "expiresAt": "2027-01-15T16:00:00.000Z"},
    x_hm_authorization="token-1",
)
EMPTY = answer(200, [])
EXPIRED = answer(401, x_error_code="SESSION_EXPIRED")


async def test_a_login_is_made_when_it_is_needed_and_ended_with_the_client(office: Office) -> None:
    async with StepswitchClient(office.url, username="admin", password=PASSWORD) as client:
        assert client.token is None
        assert (await client.executions.list()).items == []
        token = client.token
        assert token
    async with StepswitchClient(office.url, token=token) as other:
        with pytest.raises(NotAuthenticatedError):
            await other.executions.list()


async def test_an_expired_session_is_renewed_once_for_all_who_ask(naps: Naps) -> None:
    answers = [EXPIRED, EXPIRED, EXPIRED, SESSION, EMPTY, EMPTY, EMPTY, answer(204)]
    async with (
        Impostor(*answers) as impostor,
        StepswitchClient(impostor.url, token="old", username="ann", password="p", pacing=naps.pacing) as client,
    ):
        await asyncio.gather(*(client.executions.list() for _ in range(3)))
        assert client.token == "token-1"
    assert sessions(impostor) == ["POST"]


async def test_a_session_that_expires_on_the_real_service_is_renewed(office: Office) -> None:
    async with StepswitchClient(office.url, username="admin", password=PASSWORD) as client:
        await client.login()
        first = client.token
        await office.house.clock.advance(EIGHT_HOURS + 1)
        assert (await client.executions.list()).items == []
        assert client.token != first


async def test_without_a_password_an_expired_session_is_told(office: Office) -> None:
    token = await token_of(office.house, "ann", lasts=1_000)
    async with StepswitchClient(office.url, token=token) as client:
        await client.executions.list()
        await office.house.clock.advance(2)
        with pytest.raises(NotAuthenticatedError, match="expired") as refused:
            await client.executions.list()
    assert (refused.value.status, refused.value.code) == (401, "SESSION_EXPIRED")


async def test_a_wrong_password_is_told_and_tried_once(office: Office) -> None:
    async with StepswitchClient(office.url, username="admin", password="hunter22") as client:
        with pytest.raises(NotAuthenticatedError, match="wrong password") as refused:
            await client.executions.list()
    assert refused.value.code == "WRONG_CREDENTIALS"
    assert "hunter22" not in repr(refused.value)


async def test_a_session_that_somebody_asked_for_outlives_the_client(office: Office) -> None:
    async with StepswitchClient(office.url) as client:
        session = await client.login("admin", PASSWORD)
        token = client.token
    assert (session.username, session.tenant_id, session.roles) == ("admin", "default", ("System Administrator",))
    async with StepswitchClient(office.url, token=token) as other:
        await other.executions.list()
        await other.logout()
        with pytest.raises(NotAuthenticatedError):
            await other.executions.list()


async def test_nobody_is_nobody(office: Office) -> None:
    async with StepswitchClient(office.url) as client:
        with pytest.raises(NotAuthenticatedError):
            await client.executions.list()
        with pytest.raises(NotAuthenticatedError, match="no user name and password"):
            await client.login()
    with pytest.raises(ValueError, match="or neither"):
        StepswitchClient(office.url, username="admin")


async def test_a_login_without_a_token_is_told(naps: Naps) -> None:
    async with Impostor(answer(200, {})) as impostor, StepswitchClient(impostor.url, pacing=naps.pacing) as client:
        with pytest.raises(StrangeAnswerError, match="without the header x-hm-authorization"):
            await client.login("ann", "p")


async def test_the_health_is_told_also_where_it_is_bad(office: Office, naps: Naps) -> None:
    async with StepswitchClient(office.url) as client:
        assert (await client.health()).status == "ok"
    sick = answer(503, {"status": "degraded", "version": "1", "disk": "full"})
    full = answer(503, {"errors": [{"code": "OVERLOADED", "message": "m"}]}, x_error_code="OVERLOADED")
    async with Impostor(sick, full) as impostor, StepswitchClient(impostor.url, pacing=naps.pacing) as client:
        health = await client.health()
        assert (health.status, health.raw["disk"]) == ("degraded", "full")
        with pytest.raises(UnavailableError):
            await client.health()


async def test_host_keys_are_asked_for_trusted_and_forgotten(office: Office) -> None:
    keys = office.client.host_keys
    async with Router() as router:
        (shown,) = await keys.scan("127.0.0.1", router.port)
        assert shown.public_key == router.public_key
        trusted = await keys.trust("127.0.0.1", router.port, fingerprint=shown.fingerprint)
    assert (trusted.public_key, trusted.added_by) == (router.public_key, "admin")
    assert [(key.host, key.port, key.fingerprint) for key in await keys.list()] == [("127.0.0.1", router.port, shown.fingerprint)]
    await keys.forget("127.0.0.1", router.port)
    with pytest.raises(NotFoundError):
        await keys.forget("127.0.0.1", router.port)
    assert (await keys.trust("h", public_key=router.public_key)).port == 22
    with pytest.raises(InvalidRequestError):
        await keys.trust("h")


async def test_host_keys_are_for_administrators(office: Office) -> None:
    async with StepswitchClient(office.url, token=await token_of(office.house, "ann")) as client:
        with pytest.raises(NotPermittedError):
            await client.host_keys.list()


def test_no_password_or_token_is_in_what_is_printed(tmp_path: Path) -> None:
    client: Any = StepswitchClient("http://h", token="tok-secret", username="ann", password="hunter22")
    seen: Callable[[object], str] = lambda thing: f"{thing!r}{thing}"  # noqa: E731
    text = seen(client) + seen(client._transport) + seen(client._transport._credentials)
    assert "hunter22" not in text
    assert "tok-secret" not in text
