"""Risk: a program waits for a confirmation that never comes, asks too often, or is logged in as somebody else."""

import json
from pathlib import Path
from typing import Any

import pytest

from stepswitch.client import DeviceLogin, InvalidRequestError, NotFoundError, StepswitchClient, UnavailableError
from tests.api.browser import Browser
from tests.api.real import real_service
from tests.api.test_provider_logins import settings_of
from tests.client.office import Impostor, Naps, answer
from tests.oidc.provider import OidcProvider

LOGIN = DeviceLogin("WDJB-MJHT", "https://login.example.net", None, 600, 5, "the device's")
SESSION = {"username": "oidc:ann", "tenantId": "default", "roles": [], "expiresAt": "2027-01-15T08:00:00.000Z"}


def refused(code: str) -> bytes:
    return answer(400, {"errors": [{"code": code, "message": "no"}]}, x_error_code=code)


async def test_somebody_confirms_the_code_of_a_program_and_it_is_logged_in_as_him(tmp_path: Path) -> None:
    naps = Naps()
    with OidcProvider() as provider:
        async with real_service(tmp_path, **settings_of(provider)) as real, Browser(real) as browser:
            async with StepswitchClient(real.server.url, pacing=naps.pacing) as client:
                login = await client.begin_device_login()
                assert login.device_code not in repr(login)
                await browser.enter(login.verification_uri_complete or "")
                session = await client.finish_device_login(login)
                token = client.token
            assert (session.username, session.roles) == ("oidc:ann", ("Operations",))
            assert naps.seconds == [login.interval]
            async with StepswitchClient(real.server.url, token=token) as again:
                assert [each.username for each in await again.sessions.list()] == ["oidc:ann"]


async def test_it_asks_no_faster_than_it_may_until_the_code_is_confirmed() -> None:
    naps = Naps()
    waits = [refused("LOGIN_PENDING"), refused("LOGIN_TOO_FAST"), answer(503, retry_after="1"), None, refused("LOGIN_PENDING")]
    opened = answer(200, SESSION, x_hm_authorization="fresh")
    async with Impostor(*waits, opened) as impostor, StepswitchClient(impostor.url, pacing=naps.pacing) as client:
        assert (await client.finish_device_login(LOGIN)).username == "oidc:ann"
        assert client.token == "fresh"
    assert naps.seconds == [5, 5, 10, 15, 20, 20]
    bodies = [json.loads(each.rpartition("\r\n\r\n")[2]) for each in impostor.requests]
    assert bodies == [{"deviceCode": LOGIN.device_code}] * 6


@pytest.mark.parametrize(
    ("said", "kind"),
    [(refused("LOGIN_PENDING"), InvalidRequestError), (refused("LOGIN_TOO_FAST"), InvalidRequestError), (answer(503), UnavailableError)],
)
async def test_it_gives_up_when_the_code_is_over(said: bytes, kind: Any) -> None:
    naps = Naps()
    async with Impostor(*[said] * 200) as impostor, StepswitchClient(impostor.url, pacing=naps.pacing) as client:
        with pytest.raises(kind):
            await client.finish_device_login(LOGIN)
    assert 600 < sum(naps.seconds) < 800


async def test_a_refusal_and_a_service_without_a_provider_are_told() -> None:
    answers = refused("LOGIN_NOT_COMPLETED"), answer(404, x_error_code="NOT_FOUND")
    async with Impostor(*answers) as impostor, StepswitchClient(impostor.url, pacing=Naps().pacing) as client:
        with pytest.raises(InvalidRequestError, match="LOGIN_NOT_COMPLETED"):
            await client.finish_device_login(LOGIN)
        with pytest.raises(NotFoundError, match="no login through a provider at this service"):
            await client.begin_device_login()
        assert client.token is None
