"""Risk: a token of the provider of logins opens more than it is for, leaves no trace, or keeps others out when the provider is away."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepswitch.bootstrap.checks import check_settings
from stepswitch.bootstrap.identity import client_of
from stepswitch.bootstrap.wiring import open_service
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import SettingsError
from tests.api.real import OWN, PLAIN, Real, real_service
from tests.domain.documents import document
from tests.oidc.provider import AUDIENCE, PEOPLE, OidcProvider

SOURCE = {name: value for name, value in document().items() if value is not None}
MAPPED = {
    "oidc_roles": {"noc-shift": ["Operations"], "designers": ["Workflow Designer"]},
    "oidc_client_roles": {"robot": ["Workflow Designer"]},
}


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with OidcProvider() as found:
        yield found


@pytest.fixture
async def real(provider: OidcProvider, tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path, oidc_issuer=provider.issuer, oidc_audience=AUDIENCE, **MAPPED) as found:
        yield found


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "x-hm-authorization": ""}


async def ask(real: Real, token: str, method: str = "GET", path: str = f"{PLAIN}/workflow", **more: Any) -> tuple[int, str]:
    """Return the status and the code of an answer to somebody who has this token and nothing else."""
    own = real.client.headers.pop("x-hm-authorization")
    try:
        answer = await real.client.request(method, path, headers={"Authorization": f"Bearer {token}"}, **more)
    finally:
        real.client.headers["x-hm-authorization"] = own
    return answer.status_code, answer.headers.get("x-error-code", "")


async def records(real: Real) -> list[dict[str, Any]]:
    return [json.loads(each.record.text) for each in await real.service.audit.store.behind(0, 1_000)]


async def test_a_program_comes_with_a_token_of_the_provider_and_is_recorded_by_its_name(real: Real, provider: OidcProvider) -> None:
    token = provider.client_token("robot")
    assert await ask(real, token, "PUT", f"{PLAIN}/workflow", json=SOURCE) == (200, "")
    assert (await real.client.get(f"{PLAIN}/workflow")).json()[0]["creationUser"] == "oidc:robot"
    assert await ask(real, token, "GET", f"{OWN}/users") == (403, "NOT_PERMITTED")
    made, created, refused = [each for each in await records(real) if each["actor"]["user"] == "oidc:robot"]
    assert (made["operation"], made["actor"]["kind"], made["after"]["subject"]) == ("createUser", "provider", f"{provider.issuer} robot")
    assert (created["operation"], created["actor"]["kind"]) == ("createWorkflow", "access token")
    assert (refused["operation"], refused["outcome"]) == ("listUsers", "refused")
    assert created["actor"]["session"] == refused["actor"]["session"] != ""
    assert token not in json.dumps(await records(real))


async def test_groups_decide_and_without_one_nothing_is_there(real: Real, provider: OidcProvider) -> None:
    made = await real.create(SOURCE)
    place = f"{PLAIN}/workflow/{made['id']}"
    assert (await ask(real, provider.sign(provider.claims()), path=place))[0] == 200
    assert await ask(real, provider.sign(provider.claims()), "DELETE", place) == (403, "NOT_PERMITTED")
    tom = provider.sign(provider.claims(sub=PEOPLE["tom"]["sub"], **PEOPLE["tom"]["claims"]))
    assert await ask(real, tom, path=place) == (404, "NOT_FOUND")


async def test_a_refused_token_is_401_without_a_body_and_says_no_more(real: Real, provider: OidcProvider) -> None:
    answer = await real.client.get(f"{PLAIN}/workflow", headers=bearer(provider.sign(provider.claims(aud="urn:other"))))
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    expired = provider.sign(provider.claims(iat=1_700_000_000, exp=1_700_000_600))
    assert await ask(real, expired) == (401, "SESSION_EXPIRED")


async def test_administrators_see_and_disable_whom_the_provider_vouches_for_and_change_no_more(real: Real, provider: OidcProvider) -> None:
    token = provider.sign(provider.claims())
    assert (await ask(real, token))[0] == 200
    place = f"{OWN}/users/oidc:ann"
    assert (await real.client.get(place)).json()["roles"] == ["Operations"]
    both = await real.client.patch(place, json={"password": "a pigeon on the roof", "roles": ["Workflow Designer"]})
    assert both.status_code == 400
    assert [each["message"].partition(":")[0] for each in both.json()["errors"]] == ["password", "roles"]
    assert (await real.client.post(f"{place}/tokens", json={"name": "t"})).status_code == 403
    assert await ask(real, token, "POST", f"{OWN}/tokens", json={"name": "t"}) == (403, "NOT_PERMITTED")
    assert await ask(real, token, "DELETE", "/hybridity/api/sessions") == (403, "NOT_PERMITTED")
    assert (await real.client.patch(place, json={"isDisabled": True})).status_code == 200
    assert await ask(real, token) == (401, "NOT_AUTHENTICATED")


async def test_nobody_makes_a_user_who_could_be_taken_for_one_of_the_providers(real: Real) -> None:
    user = {"username": "oidc:ann", "password": "a pigeon on the roof", "roles": []}
    answer = await real.client.post(f"{OWN}/users", json=user)
    assert answer.status_code == 400
    assert "a provider vouches for" in answer.json()["errors"][0]["message"]


async def test_a_provider_that_is_away_keeps_out_nobody_else(tmp_path: Path) -> None:
    away = OidcProvider()
    async with real_service(tmp_path, oidc_issuer=away.issuer, oidc_audience=AUDIENCE, **MAPPED) as real:
        assert (await real.client.get(f"{PLAIN}/workflow")).status_code == 200
        assert await ask(real, away.sign(away.claims())) == (401, "PROVIDER_UNAVAILABLE")
        health = await real.client.get(f"{OWN}/health")
        assert (health.status_code, health.json()["loginProvider"]) == (200, "unavailable")


async def test_without_a_provider_its_tokens_are_none(tmp_path: Path, provider: OidcProvider) -> None:
    async with real_service(tmp_path) as real:
        assert await ask(real, provider.sign(provider.claims())) == (401, "NOT_AUTHENTICATED")


@pytest.mark.parametrize(
    ("settings", "faults"),
    [
        ({"oidc_audience": "a", "oidc_roles": {"g": ["r"]}}, ["oidc_audience is set and oidc_issuer", "oidc_roles is set and oidc_issuer"]),
        ({"oidc_issuer": "http://example.net"}, ["must be an address with https", "neither oidc_audience nor oidc_client_id"]),
        ({"oidc_issuer": "https://example.net/?x=1", "oidc_audience": "a"}, ["without query"]),
        (
            {"oidc_issuer": "https://a.example.net", "oidc_audience": "a", "oidc_algorithms": "none,HS256"},
            ["none, HS256 cannot be believed"],
        ),
        ({"oidc_issuer": "https://a.example.net", "oidc_audience": "a", "oidc_algorithms": " "}, ["it names none"]),
        (
            {"oidc_issuer": "https://a.example.net", "oidc_audience": "a", "oidc_roles": {"g": ["a/b"]}},
            ["the role 'a/b' of 'g' is no name"],
        ),
        (
            {
                "oidc_issuer": "https://a.example.net",
                "oidc_audience": "a",
                "oidc_client_id": "a",
                "public_url": "stepswitch",
                "oidc_scopes": "profile",
            },
            ["are the same", "lacks openid", "public_url is 'stepswitch'"],
        ),
        ({"oidc_issuer": "https://a.example.net", "oidc_audience": "a", "oidc_label": "ldap"}, ["whom the directory knows"]),
        ({"oidc_issuer": "https://a.example.net", "oidc_audience": "a", "oidc_client_secret": "s"}, ["oidc_client_secret is set and"]),
        ({"oidc_issuer": "https://a.example.net", "oidc_audience": "a", "oidc_tenant": "a/b"}, ["oidc_tenant is 'a/b'"]),
        (
            {
                "oidc_issuer": "https://a.example.net",
                "oidc_audience": "a",
                "oidc_client_id": "c",
                "oidc_client_secret_file": "/nowhere/secret",
                "oidc_ca_file": "/nowhere",
                "oidc_tenant": "a/b",
            },
            ["oidc_tenant is 'a/b'", "oidc_ca_file: no certificates", "oidc_client_secret_file: /nowhere/secret cannot be read"],
        ),
    ],
)
def test_every_fault_of_the_settings_is_a_sentence(settings: dict[str, Any], faults: list[str]) -> None:
    with pytest.raises(SettingsError) as raised:
        check_settings(Settings.model_validate(settings))
    lines = str(raised.value).splitlines()
    assert len(lines) == len(faults)
    assert all(fault in line for fault, line in zip(faults, lines, strict=True))
    assert "'s'" not in str(raised.value)


def test_the_secret_of_the_client_comes_from_its_file_where_there_is_one(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    given = {"oidc_issuer": "https://a.example.net", "oidc_client_id": "c", "oidc_client_secret": "other", "oidc_client_secret_file": file}
    settings = Settings.model_validate(given)
    with pytest.raises(SettingsError, match=r"oidc_client_secret_file: .* cannot be read"):
        client_of(settings)
    file.write_text("a pigeon\n")
    client = client_of(settings)
    assert client is not None
    assert client.secret == "a pigeon"
    assert "pigeon" not in f"{client}{settings}"


async def test_a_service_whose_provider_is_set_wrongly_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="oidc_audience is set and oidc_issuer is not"):
        await open_service(Settings.model_validate({"data_dir": tmp_path / "data", "oidc_audience": "a"}))
    assert not (tmp_path / "data").exists()


async def test_roles_that_are_not_there_are_told_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = {"oidc_roles": {"g": ["Workflow Reader", "operations"]}}
    async with real_service(tmp_path, oidc_issuer=OidcProvider().issuer, oidc_audience=AUDIENCE, **more):
        assert "roles=['Workflow Reader']" in capsys.readouterr().out
