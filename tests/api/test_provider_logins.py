"""Risk: somebody gets into the session of somebody else through the provider, is sent elsewhere by it, or comes in without its word."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from stepswitch.access.provider_logins import ProviderLogins, _made_of
from stepswitch.domain.urls import is_local_path
from tests.api.browser import LOGIN, PUBLIC, Browser
from tests.api.real import OWN, PLAIN, Real, real_service
from tests.oidc.provider import AUDIENCE, CLIENT, OidcProvider

ROLES = {"oidc_roles": {"noc-shift": ["Operations"], "designers": ["Workflow Designer"]}}


LOGOUT: Final = f"{LOGIN}/logout"


def settings_of(provider: OidcProvider, **more: Any) -> dict[str, Any]:
    client = {"oidc_client_id": CLIENT["id"], "oidc_client_secret": CLIENT["secret"]}
    return {"oidc_issuer": provider.issuer, "oidc_audience": AUDIENCE, "public_url": PUBLIC, **client, **ROLES, **more}


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with OidcProvider() as found:
        yield found


@pytest.fixture
async def real(provider: OidcProvider, tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path, **settings_of(provider)) as found:
        yield found


@pytest.fixture
async def browser(real: Real) -> AsyncIterator[Browser]:
    async with Browser(real) as found:
        yield found


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.headers.get("x-error-code", "")


async def records(real: Real) -> list[dict[str, Any]]:
    return [json.loads(each.record.text) for each in await real.service.audit.store.behind(0, 1_000)]


async def test_somebody_logs_in_in_a_browser_works_and_logs_out(real: Real, browser: Browser, provider: OidcProvider) -> None:
    back = await browser.log_in("ann", "/docs?tab=1#here")
    assert (back.status_code, back.headers["location"], back.content) == (302, "/docs?tab=1#here", b"")
    opened = await browser.session()
    assert opened.status_code == 200
    body = opened.json()
    assert (body["username"], body["tenantId"], body["roles"]) == ("oidc:ann", "default", ["Operations"])
    token = {"x-hm-authorization": opened.headers["x-hm-authorization"]}
    assert (await browser.here.get(f"{PLAIN}/workflow", headers=token)).status_code == 200
    (session,) = (await browser.here.get(f"{OWN}/sessions", headers=token)).json()
    assert (session["kind"], session["username"], session["isThisOne"]) == ("LOGIN", "oidc:ann", True)
    assert (await browser.here.delete("/hybridity/api/sessions", headers=token)).status_code == 204
    assert code_of(await browser.here.get(f"{PLAIN}/workflow", headers=token)) == (401, "NOT_AUTHENTICATED")
    (opening,) = [each for each in await records(real) if each["operation"] == "openProviderSession"]
    assert opening["after"]["source"] == provider.issuer
    kinds = [(each["operation"], each["actor"]["kind"]) for each in await records(real) if each["actor"]["user"] == "oidc:ann"]
    assert kinds == [("createUser", "provider"), ("openProviderSession", "session"), ("logout", "session")]


async def test_the_provider_is_asked_with_all_that_binds_a_login_to_its_browser(browser: Browser, provider: OidcProvider) -> None:
    first, second = [dict(parse_qsl(urlsplit(await browser.begin()).query)) for _ in range(2)]
    assert (first["response_type"], first["client_id"], first["code_challenge_method"]) == ("code", CLIENT["id"], "S256")
    assert first["redirect_uri"] == f"{PUBLIC}{LOGIN}/callback"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 43
        assert first[name] != second[name]
    assert len({first["state"], first["nonce"], first["code_challenge"]}) == 3


async def test_cookies_are_for_the_login_alone_and_nobody_reads_them(real: Real, browser: Browser) -> None:
    begun = await browser.here.get(LOGIN)
    assert begun.headers["set-cookie"].partition("=")[2].split("; ", 1)[1] == "HttpOnly; Max-Age=600; Path=/; SameSite=lax"
    back = await browser.here.get(await browser.confirm(begun.headers["location"]))
    gone, ticket = back.headers.get_list("set-cookie")
    assert gone.startswith('stepswitch-login=""; ')
    assert "Max-Age=0" in gone
    assert ticket.startswith("stepswitch-ticket=")
    assert ticket.endswith("; HttpOnly; Max-Age=60; Path=/; SameSite=strict")
    assert (await browser.here.get(f"{PLAIN}/workflow")).status_code == 401
    opened = await browser.session()
    assert 'stepswitch-ticket=""' in opened.headers["set-cookie"]
    assert opened.headers["x-hm-authorization"] not in ticket
    assert not browser.here.cookies


async def test_behind_tls_cookies_are_secure_and_no_neighbour_can_set_them(provider: OidcProvider, tmp_path: Path) -> None:
    async with real_service(tmp_path, **settings_of(provider, trusted_proxies="127.0.0.1")) as real, Browser(real) as browser:
        tls = {"X-Forwarded-Proto": "https"}
        begun = await browser.here.get(LOGIN, headers=tls)
        cookie = begun.headers["set-cookie"]
        assert cookie.startswith("__Host-stepswitch-login=")
        assert "; Secure" in cookie
        kept = {"Cookie": cookie.partition(";")[0]}
        back = await browser.confirm(begun.headers["location"])
        assert code_of(await browser.here.get(back)) == (400, "LOGIN_NOT_COMPLETED")
        planted = {"Cookie": cookie.partition(";")[0].removeprefix("__Host-")}
        assert code_of(await browser.here.get(back, headers=tls | planted)) == (400, "LOGIN_NOT_COMPLETED")
        ended = await browser.here.get(back, headers=tls | kept)
        assert ended.status_code == 302
        assert all(each.startswith("__Host-") and "; Secure" in each for each in ended.headers.get_list("set-cookie"))


async def test_only_the_browser_that_began_a_login_ends_it(real: Real, browser: Browser) -> None:
    path = await browser.confirm(await browser.begin())
    async with Browser(real) as other:
        assert code_of(await other.here.get(path)) == (400, "LOGIN_NOT_COMPLETED")
        await other.begin()
        answer = await other.here.get(path)
        assert code_of(answer) == (400, "LOGIN_NOT_COMPLETED")
        assert "not begun in this browser" in answer.json()["errors"][0]["message"]
        assert code_of(await other.session()) == (401, "NOT_AUTHENTICATED")
    assert (await browser.here.get(path)).status_code == 302
    refused = [each for each in await records(real) if each["outcome"] == "refused"]
    assert {each["operation"] for each in refused} == {"finishProviderLogin", "openProviderSession"}


async def test_a_login_is_ended_once(real: Real, browser: Browser) -> None:
    path = await browser.confirm(await browser.begin())
    login = dict(browser.here.cookies)
    assert (await browser.here.get(path)).status_code == 302
    ticket = dict(browser.here.cookies)
    assert code_of(await browser.here.get(path)) == (400, "LOGIN_NOT_COMPLETED")
    again = await browser.here.get(path, headers={"Cookie": "; ".join(f"{name}={value}" for name, value in login.items())})
    assert "does not take its code: invalid_grant" in again.json()["errors"][0]["message"]
    assert (await browser.session()).status_code == 200
    stale = {"Cookie": f"stepswitch-ticket={ticket['stepswitch-ticket']}"}
    assert code_of(await browser.here.post(f"{LOGIN}/session", headers=stale)) == (401, "NOT_AUTHENTICATED")


async def test_a_code_that_was_taken_from_somebody_else_opens_nothing(real: Real, browser: Browser) -> None:
    stolen = parse_qs(urlsplit(await browser.confirm(await browser.begin(), "ann")).query)
    async with Browser(real) as thief:
        own = dict(parse_qsl(urlsplit(await thief.confirm(await thief.begin(), "tom")).query))
        answer = await thief.here.get(f"{LOGIN}/callback?{urlencode(own | {'code': stolen['code'][0]})}")
        assert code_of(answer) == (400, "LOGIN_NOT_COMPLETED")
        assert code_of(await thief.session()) == (401, "NOT_AUTHENTICATED")


async def test_no_session_and_no_ticket_that_somebody_left_in_a_browser_becomes_that_of_who_logs_in(real: Real, browser: Browser) -> None:
    """Session fixation: what an attacker planted before the login must be worth nothing behind it."""
    async with Browser(real) as attacker:
        assert (await attacker.log_in("tom")).status_code == 302
        planted = attacker.here.cookies["stepswitch-ticket"]
        own = (await attacker.session()).headers["x-hm-authorization"]
        browser.here.cookies.set("stepswitch-ticket", planted)
        browser.here.headers["x-hm-authorization"] = own
        assert (await browser.log_in("ann")).status_code == 302
        opened = await browser.session()
        assert opened.json()["username"] == "oidc:ann"
        assert opened.headers["x-hm-authorization"] != own
        assert code_of(await attacker.session()) == (401, "NOT_AUTHENTICATED")
        mine = (await attacker.here.get(f"{OWN}/sessions", headers={"x-hm-authorization": own})).json()
        assert {each["username"] for each in mine} == {"oidc:tom"}


NOWHERE = (
    "https://evil.example.net",
    "//evil.example.net",
    "/\\evil.example.net",
    "\\\\evil",
    "",
    "docs",
    "/a b",
    "/\n/x",
    "/\u00e9",
    "/" + "x" * 2_000,
    "javascript:x",
)


async def test_nobody_is_sent_elsewhere_after_a_login(browser: Browser) -> None:
    assert not [each for each in NOWHERE if is_local_path(each)]
    for path in NOWHERE:
        answer = await browser.here.get(LOGIN, params={"returnTo": path})
        assert code_of(answer) == (400, "INVALID_VALUE")
        secret = f"planted.{base64.urlsafe_b64encode(path.encode()).rstrip(b'=').decode()}"
        planted = {"Cookie": f"stepswitch-login={secret}"}
        back = await browser.here.get(f"{LOGIN}/callback", params={"state": _made_of(secret, "state"), "code": "x"}, headers=planted)
        assert code_of(back) == (400, "LOGIN_NOT_COMPLETED")
        assert "location" not in back.headers


CHANGED: Final[list[tuple[dict[str, str | None], str]]] = [
    ({"iss": "https://other.example.net"}, "from another provider"),
    ({"iss": None}, "from another provider"),
    ({"code": None}, "the provider says no code"),
    ({"code": None, "error": "access_denied"}, "the provider says access_denied"),
    ({"error": "<script>alert(1)</script>"}, "says what cannot be shown"),
    ({"code": "made up"}, "does not take its code: invalid_grant"),
    ({"state": "made up"}, "not begun in this browser"),
    ({"state": None}, "not begun in this browser"),
]


async def test_an_answer_that_is_not_as_the_provider_gives_it_is_refused(browser: Browser) -> None:
    given = dict(parse_qsl(urlsplit(await browser.confirm(await browser.begin())).query))
    for change, said in CHANGED:
        changed = {name: value for name, value in (given | change).items() if value is not None}
        answer = await browser.here.get(f"{LOGIN}/callback?{urlencode(changed)}")
        assert code_of(answer) == (400, "LOGIN_NOT_COMPLETED")
        assert said in answer.json()["errors"][0]["message"]
    assert (await browser.session()).status_code == 401
    assert (await browser.here.get(f"{LOGIN}/callback?{urlencode(given)}")).status_code == 302


async def test_a_parameter_that_is_there_twice_is_refused(browser: Browser) -> None:
    path = await browser.confirm(await browser.begin())
    assert code_of(await browser.here.get(f"{path}&code=other")) == (400, "INVALID_VALUE")


async def test_who_is_refused_at_the_provider_is_told_so(browser: Browser) -> None:
    answer = await browser.log_in("nobody")
    assert code_of(answer) == (400, "LOGIN_NOT_COMPLETED")
    assert "access_denied" in answer.json()["errors"][0]["message"]


async def test_who_is_called_as_somebody_else_gets_an_account_of_his_own_and_who_is_disabled_stays_outside(
    real: Real, browser: Browser
) -> None:
    assert (await browser.log_in("ann")).status_code == 302
    async with Browser(real) as other:
        assert (await other.log_in("eve")).status_code == 302
        assert (await other.session()).json()["username"] == "oidc:ann.2"
    assert (await real.client.patch(f"{OWN}/users/oidc:ann", json={"isDisabled": True})).status_code == 200
    assert code_of(await browser.session()) == (401, "NOT_AUTHENTICATED")  # between the login and its session
    assert code_of(await browser.log_in("ann")) == (401, "NOT_AUTHENTICATED")


async def test_what_the_provider_tells_only_when_asked_is_asked_for(tmp_path: Path) -> None:
    with OidcProvider(userinfoOnly=True) as shy:
        async with real_service(tmp_path, **settings_of(shy)) as real, Browser(real) as browser:
            assert (await browser.log_in("bob")).status_code == 302
            body = (await browser.session()).json()
            assert (body["username"], body["roles"]) == ("oidc:bob", ["Workflow Designer"])


async def test_what_the_provider_tells_when_asked_is_of_who_logs_in_and_changes_nothing_that_it_has_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OidcProvider(userinfoOnly=True) as shy:
        async with real_service(tmp_path, **settings_of(shy)) as real, Browser(real) as browser:
            logins = real.service.provider_logins
            assert isinstance(logins, ProviderLogins)
            get, said = logins._provider.get, dict[str, Any]()

            async def changed(url: str, token: str | None = None) -> tuple[int, dict[str, Any]]:
                status, body = await get(url, token)
                return status, body if token is None else body | said

            monkeypatch.setattr(logins._provider, "get", changed)
            said["sub"] = "somebody else's"
            assert code_of(await browser.log_in("bob")) == (401, "NOT_AUTHENTICATED")
            del said["sub"]
            said["iat"] = 2**40
            assert (await browser.log_in("bob")).status_code == 302
            account = await logins._store.account("oidc:bob")
            assert account is not None
            assert account.told_at < 2**40 * 1000


async def test_while_the_provider_is_away_nobody_logs_in_through_it_and_everybody_is_told(tmp_path: Path) -> None:
    away = OidcProvider()
    async with real_service(tmp_path, **settings_of(away)) as real, Browser(real) as browser:
        for answer in (await browser.here.get(LOGIN), await browser.here.post(f"{LOGIN}/device")):
            assert code_of(answer) == (503, "PROVIDER_UNAVAILABLE")
            assert int(answer.headers["retry-after"]) > 0
            assert away.issuer not in answer.text
        await real.login()


async def test_where_no_client_is_named_nobody_logs_in_through_the_provider(provider: OidcProvider, tmp_path: Path) -> None:
    async with real_service(tmp_path, oidc_issuer=provider.issuer, oidc_audience=AUDIENCE) as real, Browser(real) as browser:
        code = {"deviceCode": "x"}
        answers = [
            await browser.here.get(LOGIN),
            await browser.here.get(f"{LOGIN}/callback"),
            await browser.session(),
            await browser.here.post(f"{LOGIN}/device"),
            await browser.here.post(f"{LOGIN}/device/session", json=code),
        ]
        assert {code_of(each) for each in answers} == {(404, "NOT_FOUND")}


async def test_a_session_is_fetched_within_a_minute(real: Real, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await browser.log_in()).status_code == 302
    logins = real.service.provider_logins
    assert isinstance(logins, ProviderLogins)
    (ticket,) = logins._tickets.values()
    late = type("Late", (), {"monotonic": lambda _: ticket.until + 0.1})()
    monkeypatch.setattr(logins, "_clock", late)
    assert code_of(await browser.session()) == (401, "NOT_AUTHENTICATED")


async def test_whom_a_provider_vouched_for_that_the_settings_name_no_more_is_nobody_at_once(provider: OidcProvider, tmp_path: Path) -> None:
    async with real_service(tmp_path, **settings_of(provider)) as real, Browser(real) as browser:
        assert (await browser.log_in("ann")).status_code == 302
        session = (await browser.session()).headers["x-hm-authorization"]
    access = provider.sign(provider.claims())
    other = settings_of(provider, oidc_issuer="http://127.0.0.1:1")
    named = "oidc:ann"
    for given, status in (({}, 401), (other, 401), (settings_of(provider), 200)):
        async with real_service(tmp_path, **given) as real:
            own = real.client.headers.pop("x-hm-authorization")
            for token in (session, access):
                headers = {"Authorization": f"Bearer {token}"}
                assert (await real.client.get(f"{PLAIN}/workflow", headers=headers)).status_code == status, (given, token)
            real.client.headers["x-hm-authorization"] = own
            (kept,) = [each for each in (await real.client.get(f"{OWN}/users")).json() if each["username"] == named]
            assert kept == {"username": named, "tenantId": "default", "roles": ["Operations"], "isDisabled": False}


# --- logging out there, too ---


async def entered(browser: Browser, who: str) -> dict[str, str]:
    """Return the headers of somebody who has just logged in."""
    assert (await browser.log_in(who)).status_code == 302
    return {"x-hm-authorization": (await browser.session()).headers["x-hm-authorization"]}


async def test_who_logs_out_here_and_there_is_somebody_new_to_both(real: Real, browser: Browser, provider: OidcProvider) -> None:
    bob = await entered(browser, "bob")
    assert (await browser.log_in()).status_code == 302, "the provider still knows him, and asks nobody who he is"
    assert (await browser.session()).json()["username"] == "oidc:bob"
    answer = await browser.here.post(LOGOUT, params={"returnTo": "/docs?tab=1#here"}, headers=bob)
    assert (answer.status_code, list(answer.json()), answer.headers["cache-control"]) == (200, ["address"], "no-store")
    assert code_of(await browser.here.get(f"{PLAIN}/workflow", headers=bob)) == (401, "NOT_AUTHENTICATED")
    address = answer.json()["address"]
    asked = dict(parse_qsl(urlsplit(address).query))
    assert asked.keys() == {"client_id", "post_logout_redirect_uri", "state"}
    assert (asked["client_id"], asked["post_logout_redirect_uri"]) == (CLIENT["id"], f"{PUBLIC}{LOGOUT}/callback")
    assert bob["x-hm-authorization"] not in address
    back = await browser.leave(address)
    assert back.startswith(f"{LOGOUT}/callback?")
    came = await browser.here.get(back)
    assert (came.status_code, came.headers["location"], came.content) == (302, "/docs?tab=1#here", b"")
    assert (await browser.log_in()).status_code == 302
    assert (await browser.session()).json()["username"] == "oidc:ann", "the provider has asked anew who that is"
    (ended,) = [each for each in await records(real) if each["operation"] == "logoutAtProvider"]
    assert (ended["actor"]["user"], ended["object"]["kind"], ended["outcome"]) == ("oidc:bob", "session", "allowed")


async def test_nobody_is_sent_elsewhere_after_a_logout(browser: Browser) -> None:
    ann = await entered(browser, "ann")
    for path in NOWHERE:
        answer = await browser.here.post(LOGOUT, params={"returnTo": path}, headers=ann)
        assert code_of(answer) == (400, "INVALID_VALUE")
    assert (await browser.here.get(f"{OWN}/sessions", headers=ann)).status_code == 200, "nothing was changed"
    states = [base64.urlsafe_b64encode(path.encode()).rstrip(b"=").decode() for path in NOWHERE]
    for state in (*states, "%", "\u00e9", "A", "_w", "x" * 3_000, "https://evil.example.net"):
        back = await browser.here.get(f"{LOGOUT}/callback", params={"state": state})
        assert (back.status_code, back.headers["location"]) == (302, "/docs"), state
    assert (await browser.here.get(f"{LOGOUT}/callback")).headers["location"] == "/docs"


async def test_who_did_not_come_from_the_provider_is_not_sent_there(real: Real, browser: Browser, provider: OidcProvider) -> None:
    admin = await real.login()
    answer = await browser.here.post(LOGOUT, headers=admin)
    assert (answer.status_code, answer.json()) == (200, {})
    assert code_of(await browser.here.post(LOGOUT, headers=admin)) == (401, "NOT_AUTHENTICATED")
    access = {"Authorization": f"Bearer {provider.sign(provider.claims())}"}
    assert code_of(await browser.here.post(LOGOUT, headers=access)) == (403, "NOT_PERMITTED")


async def test_a_provider_that_ends_no_sessions_or_is_away_keeps_nobody_from_logging_out(tmp_path: Path) -> None:
    with OidcProvider(endsSessions=False) as staying:
        async with real_service(tmp_path, **settings_of(staying)) as real, Browser(real) as browser:
            logins = real.service.provider_logins
            assert isinstance(logins, ProviderLogins)
            for given in (None, "http://evil.example.net", "https://a:b@login.example.net", 7):
                ann = await entered(browser, "ann")
                said = logins._provider._said
                assert said is not None
                logins._provider._said = replace(said, metadata={**said.metadata, "end_session_endpoint": given})
                answer = await browser.here.post(LOGOUT, headers=ann)
                assert (answer.status_code, answer.json()) == (200, {}), given
                assert (await browser.here.get(f"{PLAIN}/workflow", headers=ann)).status_code == 401
            (ann, bob) = [await entered(browser, who) for who in ("ann", "bob")]
            staying.stop()
            assert (await browser.here.post(LOGOUT, headers=ann)).json() == {}
    async with real_service(tmp_path, **settings_of(staying)) as real, Browser(real) as browser:  # which was not reached since it began
        assert (await browser.here.post(LOGOUT, headers=bob)).json() == {}
    async with real_service(tmp_path) as real, Browser(real) as browser:
        assert (await browser.here.post(LOGOUT, headers=await real.login())).json() == {}
        assert code_of(await browser.here.get(f"{LOGOUT}/callback")) == (404, "NOT_FOUND")


# --- on a device that shows a code ---


async def begun(browser: Browser) -> dict[str, Any]:
    answer = await browser.here.post(f"{LOGIN}/device")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def asked(browser: Browser, code: str) -> Any:
    return await browser.here.post(f"{LOGIN}/device/session", json={"deviceCode": code})


async def test_a_code_that_somebody_confirms_opens_his_session_and_once(real: Real, browser: Browser) -> None:
    device = await begun(browser)
    assert code_of(await asked(browser, device["deviceCode"])) == (400, "LOGIN_PENDING")
    assert device["userCode"] in device["verificationUriComplete"]
    await browser.enter(device["verificationUriComplete"])
    opened = await asked(browser, device["deviceCode"])
    assert opened.status_code == 200
    assert opened.json()["username"] == "oidc:ann"
    token = {"x-hm-authorization": opened.headers["x-hm-authorization"]}
    assert (await browser.here.get(f"{PLAIN}/workflow", headers=token)).status_code == 200
    assert code_of(await asked(browser, device["deviceCode"])) == (400, "LOGIN_NOT_COMPLETED")
    found = [(each["operation"], each["outcome"]) for each in await records(real) if each["operation"] == "openDeviceSession"]
    assert found == [("openDeviceSession", "allowed"), ("openDeviceSession", "refused")]


async def test_a_code_that_somebody_refuses_opens_nothing(browser: Browser) -> None:
    device = await begun(browser)
    await browser.enter(device["verificationUriComplete"], "abort")
    answer = await asked(browser, device["deviceCode"])
    assert code_of(answer) == (400, "LOGIN_NOT_COMPLETED")
    assert "refused at the provider" in answer.json()["errors"][0]["message"]


SAID: Final = [
    ("authorization_pending", "LOGIN_PENDING", "nobody has confirmed"),
    ("slow_down", "LOGIN_TOO_FAST", "5 seconds longer"),
    ("expired_token", "LOGIN_NOT_COMPLETED", "has expired; begin again"),
    ("access_denied", "LOGIN_NOT_COMPLETED", "was refused at the provider"),
    ("a\nb", "LOGIN_NOT_COMPLETED", "what cannot be shown"),
    (None, "LOGIN_NOT_COMPLETED", "nothing"),
]


async def test_a_code_opens_nothing_unless_the_provider_says_so_and_why_is_told(
    real: Real, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for code in ("made up", "x" * 5_000, "\u00e9"):
        assert code_of(await asked(browser, code)) == (400, "LOGIN_NOT_COMPLETED")
    logins = real.service.provider_logins
    assert isinstance(logins, ProviderLogins)
    said: list[str | None] = []

    async def post(*_: Any) -> tuple[int, dict[str, Any]]:
        return 400, {"error": said[-1]}

    monkeypatch.setattr(logins._provider, "post", post)
    for each, code, told in SAID:
        said.append(each)
        answer = await asked(browser, "x")
        assert code_of(answer) == (400, code)
        assert told in answer.json()["errors"][0]["message"]


async def test_a_provider_that_says_nonsense_of_itself_is_one_that_is_away(
    real: Real, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins = real.service.provider_logins
    assert isinstance(logins, ProviderLogins)
    said = await logins._provider.said()

    async def post(*_: Any) -> tuple[int, dict[str, Any]]:
        return 200, {"device_code": "d", "user_code": "u", "verification_uri": "https://example.net", "expires_in": float("inf")}

    def say(**other: Any) -> None:
        logins._provider._said = replace(said, metadata={**said.metadata, **other})

    monkeypatch.setattr(logins._provider, "post", post)
    for address in ("https://example.net/\r\nSet-Cookie: a=b", "https://example.net/\u20ac", "http://example.net", 7, None):
        say(authorization_endpoint=address)
        assert code_of(await browser.here.get(LOGIN)) == (503, "PROVIDER_UNAVAILABLE"), address
    for methods in (None, 7, ["client_secret_post"]):
        say(token_endpoint_auth_methods_supported=methods)
        assert code_of(await browser.here.post(f"{LOGIN}/device")) == (503, "PROVIDER_UNAVAILABLE"), methods


async def test_sessions_that_nobody_fetches_fill_no_memory(real: Real, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepswitch.access.provider_logins.MOST_TICKETS", 1)
    assert (await browser.log_in("ann")).status_code == 302
    async with Browser(real) as later:
        assert (await later.log_in("bob")).status_code == 302
        assert code_of(await browser.session()) == (401, "NOT_AUTHENTICATED")
        assert (await later.session()).status_code == 200


async def test_too_many_logins_at_once_are_503(real: Real, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepswitch.access.provider_logins.MOST_AT_ONCE", 0)
    assert code_of(await browser.here.get(LOGIN)) == (503, "OVERLOADED")
