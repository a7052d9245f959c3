"""Risk: a token that the provider did not give, or gave for something else, opens the door; a new key of the provider locks everybody out."""

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

import httpx
import pytest
from argon2 import PasswordHasher
from joserfc import jwk, jws, jwt

from stepswitch.access.accounts import Passwords
from stepswitch.access.provider import AGAIN_SECONDS, FRESH_SECONDS, LONGEST_SECONDS, Provider, ProviderPlace, is_safe_address, usable_keys
from stepswitch.access.provider_access import QUIET_SECONDS, AccessTokens
from stepswitch.access.provider_people import PeopleRules, ProviderPeople, claim
from stepswitch.access.provider_tokens import ALGORITHMS, ProviderTokens, TokenRules
from stepswitch.access.sessions import Sessions
from stepswitch.domain.errors import ErrorCode, NotAuthenticatedError, NotPermittedError
from stepswitch.engine.credential_rules import AccountRoles
from stepswitch.engine.privileges import Privilege, grant
from stepswitch.engine.records import Account
from stepswitch.telemetry.logging import set_up_logging
from tests.access.account_store import DictAccountStore
from tests.clocks import FakeClock
from tests.oidc.provider import AUDIENCE, PEOPLE, OidcProvider, new_keys

ROLES = PeopleRules(roles={"noc-shift": ("Operations",), "designers": ("workflow-designer",), "admins": ("System Administrator",)})


@pytest.fixture(scope="module")
def real() -> Iterator[OidcProvider]:
    with OidcProvider() as found:
        yield found


class House:
    """Whoever knows tokens, with a clock of its own."""

    def __init__(self, provider: OidcProvider, people: PeopleRules = ROLES, **rules: Any) -> None:
        self.clock = FakeClock(round(time.time() * 1000))
        self.store = DictAccountStore()
        self.provider = Provider(ProviderPlace(provider.issuer, ssl.create_default_context()), self.clock)
        token_rules = TokenRules(**({"audience": AUDIENCE, "client_id": "stepswitch", "algorithms": frozenset(ALGORITHMS)} | rules))
        self.tokens = ProviderTokens(self.provider, token_rules, self.clock)
        self.people = ProviderPeople(self.store, people, provider.issuer, self.clock)
        passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        self.sessions = Sessions(self.store, passwords, self.clock, access_tokens=AccessTokens(self.tokens, self.people, self.clock))

    async def refused(self, token: str) -> NotAuthenticatedError:
        with pytest.raises(NotAuthenticatedError) as raised:
            await self.sessions.authenticate(token)
        return raised.value


async def test_a_program_with_a_token_of_its_own_has_the_roles_of_its_client(real: OidcProvider) -> None:
    house = House(real, replace(ROLES, client_roles={"robot": ("Workflow Executor",)}))
    caller = await house.sessions.authenticate(real.client_token("robot"))
    assert (caller.user, caller.tenant, caller.is_program, caller.has_access_token) == ("oidc:robot", "default", True, True)
    assert caller.may(Privilege.WORKFLOW_EXECUTE)
    assert not caller.may(Privilege.WORKFLOW_DESIGN)


async def test_a_clients_roles_are_not_those_of_the_people_who_use_it(real: OidcProvider) -> None:
    house = House(real, PeopleRules(client_roles={"app": ("System Administrator",), "7d0f": ("System Administrator",)}))
    caller = await house.sessions.authenticate(real.sign(real.claims()))
    assert caller.user == "oidc:ann"
    assert not caller.grants


async def test_groups_give_roles_and_where_none_is_mapped_nobody_may_do_anything(real: OidcProvider) -> None:
    house = House(real)
    assert (await house.sessions.authenticate(real.sign(real.claims()))).may(Privilege.EXECUTION_OPERATE)
    tom = PEOPLE["tom"]
    assert not (await house.sessions.authenticate(real.sign(real.claims(sub=tom["sub"], **tom["claims"])))).grants
    for odd in (None, 7, {"noc-shift": True}, [["noc-shift"], 1, None]):
        assert not (await House(real).sessions.authenticate(real.sign(real.claims(groups=odd)))).grants


def header_of(token: str) -> dict[str, Any]:
    head: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    return head


def part(value: Any) -> str:
    return encoded(json.dumps(value).encode())


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def forged(real: OidcProvider) -> dict[str, str]:
    """Return tokens that must open nothing, by what is wrong with them."""
    good = real.sign(real.claims())
    head, body, signature = good.split(".")
    now = int(time.time())
    (key,) = real.keys
    own = jwk.RSAKey.generate_key(2048, {"kid": str(key.kid), "use": "sig"})
    public = json.dumps(key.as_dict(private=False)).encode()
    as_secret = jwk.OctKey.import_key(public + b"0" * 32)
    return {
        "signed with another key": real.sign(real.claims(), key=own),
        "the key stands in the token": real.sign(real.claims(), {"jwk": own.as_dict(private=False)}, own),
        "the key is somewhere else": real.sign(real.claims(), {"jku": "http://127.0.0.1:1/jwks"}, own),
        "a key that nobody knows": real.sign(real.claims(), key=jwk.RSAKey.generate_key(2048, {"kid": "nobody's"})),
        "unsigned, and says so": f"{part({'alg': 'none', 'typ': 'at+jwt', 'kid': key.kid})}.{body}.",
        "unsigned, and says so otherwise": f"{part({'alg': 'NonE', 'typ': 'at+jwt'})}.{body}.{signature}",
        "without its signature": f"{head}.{body}.",
        "with other claims than were signed": f"{head}.{part(real.claims(groups=['admins']))}.{signature}",
        "with another header than was signed": f"{part(header_of(good) | {'x': 1})}.{body}.{signature}",
        "signed with the public key as a secret": jwt.encode(
            {"alg": "HS256", "kid": key.kid, "typ": "at+jwt"}, real.claims(), as_secret, ["HS256"], default_type=None
        ),
        "expired": real.sign(real.claims(iat=now - 600, exp=now - 60)),
        "without an end": real.sign(real.claims(exp=None)),
        "with an end that is no time": real.sign(real.claims(exp="never")),
        "with an end that is true": real.sign(real.claims(exp=True)),
        "with an end beyond all numbers": real.sign(real.claims(exp=10**30)),
        "without a beginning": real.sign(real.claims(iat=None)),
        "issued in an hour": real.sign(real.claims(iat=now + 3600, exp=now + 7200)),
        "good in an hour": real.sign(real.claims(nbf=now + 3600)),
        "good from a time that is none": real.sign(real.claims(nbf="tomorrow")),
        "for another audience": real.sign(real.claims(aud="urn:other")),
        "for other audiences": real.sign(real.claims(aud=["urn:other", "stepswitch"])),
        "for an audience that is part of ours": real.sign(real.claims(aud=AUDIENCE[:-1])),
        "for nobody": real.sign(real.claims(aud=None)),
        "from another issuer": real.sign(real.claims(iss="https://login.example.net")),
        "from almost the same issuer": real.sign(real.claims(iss=real.issuer + "/")),
        "from nobody": real.sign(real.claims(iss=None)),
        "of nobody": real.sign(real.claims(sub=None)),
        "of a number": real.sign(real.claims(sub=7)),
        "of an empty name": real.sign(real.claims(sub="")),
        "of a name that no store can hold": real.sign(real.claims(sub="a\0b")),
        "an ID token": real.sign(real.claims(aud="stepswitch", nonce="n"), {"typ": "JWT"}),
        "an ID token for our audience": real.sign(real.claims(), {"typ": "JWT"}),
        "without a type": real.sign(real.claims(), {"typ": None}),
        "with what only ID tokens have": real.sign(real.claims(nonce="n")),
        "a logout token": real.sign(real.claims(typ="Logout")),
        "bound to a key": real.sign(real.claims(cnf={"jkt": "x"})),
        "wants something understood": real.sign(real.claims(), {"crit": ["typ"]}),
        "names a key with a number": f"{part({'alg': 'RS256', 'typ': 'at+jwt', 'kid': 7})}.{body}.{signature}",
        "a name with a colon": real.sign(real.claims(sub="new", preferred_username="a:b")),
        "a name that is too long": real.sign(real.claims(sub="new", preferred_username="a" * 250)),
        "a name with a slash": real.sign(real.claims(sub="new", preferred_username="a/b")),
        "names an algorithm with a list": f"{part({'alg': ['RS256'], 'typ': 'at+jwt', 'kid': key.kid})}.{body}.{signature}",
        "a header without end": f"{encoded(b'[' * 5_000)}.{body}.{signature}",
        "claims without end": jws.serialize_compact(header_of(good), b"[" * 8_000, key),
        "too long": real.sign(real.claims(more="x" * 40_000)),
        "two dots": "..",
        "no JSON": "a.b.c",
        "no letters": "é.é.é",
        "claims that are a list": f"{head}.{part([1])}.{signature}",
    }


async def test_no_token_that_is_not_the_providers_and_for_us_opens_the_door(real: OidcProvider) -> None:
    house, opened = House(real), []
    for what, token in forged(real).items():
        try:
            await house.sessions.authenticate(token)
        except NotAuthenticatedError:
            continue
        opened.append(what)
    assert not opened
    assert not house.store.known
    assert await house.sessions.authenticate(real.sign(real.claims()))  # so it was not for another reason


async def test_an_id_token_is_for_us_and_for_the_login_that_was_begun(real: OidcProvider) -> None:
    house = House(real)
    good = {"aud": "stepswitch", "nonce": "mine"}
    claims = await house.tokens.id_claims(real.sign(real.claims(**good), {"typ": "JWT"}), "mine")
    assert claims["sub"] == PEOPLE["ann"]["sub"]
    assert await house.tokens.id_claims(real.sign(real.claims(aud=["stepswitch", "x"], azp="stepswitch"), {"typ": None}), None)
    wrong: dict[str, dict[str, Any]] = {
        "the nonce of another login": {"nonce": "another's"},
        "no nonce": {"nonce": None},
        "for another client": {"aud": "other"},
        "an access token": {"aud": AUDIENCE},
        "for several, and nobody says for whom": {"aud": ["stepswitch", "other"]},
        "given to another client": {"azp": "other"},
        "expired": {"exp": int(time.time()) - 60},
        "from another issuer": {"iss": "https://login.example.net"},
    }
    taken = []
    for what, change in wrong.items():
        try:
            await house.tokens.id_claims(real.sign(real.claims(**(good | change)), {"typ": "JWT"}), "mine")
        except NotAuthenticatedError:
            continue
        taken.append(what)
    assert not taken
    for header in ({"typ": "at+jwt"}, {"typ": "logout+jwt"}):
        with pytest.raises(NotAuthenticatedError):
            await house.tokens.id_claims(real.sign(real.claims(**good), header), "mine")
    with pytest.raises(NotAuthenticatedError):
        await house.tokens.id_claims(real.sign(real.claims(**good), {"typ": "JWT"}, new_keys()[0]), "mine")


async def test_each_algorithm_that_is_believed_works_and_a_setting_takes_it_away(real: OidcProvider) -> None:
    for kind, algorithm in (("EC", "ES256"), ("RSA", "PS256"), ("OKP", "EdDSA"), ("OKP", "Ed25519")):
        keys = new_keys("other", kind)
        house = House(real)
        await house.provider.said()
        house.provider._said = replace(await house.provider.said(), keys=usable_keys({"keys": [keys[0].as_dict(private=False)]}))
        token = real.sign(real.claims(), {"alg": algorithm}, keys[0])
        assert await house.sessions.authenticate(token)
    fewer = House(real, algorithms=frozenset({"ES256"}))
    assert "'RS256' are not believed" in str(await fewer.refused(real.sign(real.claims())))


async def test_a_provider_that_does_not_name_the_type_is_believed_where_the_settings_say_so(real: OidcProvider) -> None:
    house = House(real, wants_type=False)
    for typ in ("JWT", None, "at+jwt", "application/at+jwt"):
        assert await house.sessions.authenticate(real.sign(real.claims(), {"typ": typ}))
    for other in ({"nonce": "n"}, {"at_hash": "h"}, {"typ": "ID"}, {"typ": "Refresh"}):
        await house.refused(real.sign(real.claims(**other), {"typ": "JWT"}))
    await house.refused(real.sign(real.claims(), {"typ": "logout+jwt"}))


async def test_clocks_may_differ_by_what_the_settings_say(real: OidcProvider) -> None:
    house, now = House(real, skew_seconds=30), int(time.time())
    assert await house.sessions.authenticate(real.sign(real.claims(iat=now + 20, exp=now + 300)))
    token = real.sign(real.claims(exp=now - 20))
    await house.sessions.authenticate(token)
    await house.clock.advance(15)
    assert (await house.refused(token)).code is ErrorCode.SESSION_EXPIRED


async def test_what_waits_for_the_end_of_a_token_hears_of_it(real: OidcProvider) -> None:
    house = House(real, skew_seconds=0)
    now = house.clock.now() // 1000  # as the house has it: a second later by the machine's clock, a token of now would not be good yet
    ended = asyncio.create_task(house.sessions.ended(real.sign(real.claims(iat=now, exp=now + 40))))
    await house.clock.advance(30)
    assert not ended.done()
    await house.clock.advance(15)
    async with asyncio.timeout(10):
        await ended


async def test_a_key_without_an_id_is_found_where_it_is_the_only_one(real: OidcProvider) -> None:
    house = House(real)
    assert await house.sessions.authenticate(real.sign(real.claims(), {"kid": None}))
    said = await house.provider.said()
    house.provider._said = replace(said, keys=(*said.keys, *usable_keys({"keys": [each.as_dict(private=False) for each in new_keys()]})))
    assert "a key that the provider does not have" in str(await House.refused(house, real.sign(real.claims(jti="2"), {"kid": None})))


def test_keys_that_no_signature_can_be_checked_with_are_left_out() -> None:
    (key,) = new_keys()
    plain = key.as_dict(private=False)
    with pytest.warns(UserWarning, match="2048"):
        short = jwk.RSAKey.generate_key(1024, {"kid": "short"}).as_dict(private=False)
    others = [
        short,
        plain | {"use": "enc"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "s"},
        {"kty": "RSA"},
        {"kty": "EC", "crv": "P-1"},
        {},
        7,
    ]
    assert [each.kid for each in usable_keys({"keys": [*others, plain]})] == ["first-RSA"]
    assert not usable_keys({"keys": [key.as_dict(private=True)]})
    assert not usable_keys({"keys": "none"})
    assert not usable_keys({})


async def test_nobody_gets_the_name_of_somebody_else(real: OidcProvider) -> None:
    house = House(real)
    ann = await house.sessions.authenticate(real.sign(real.claims()))
    eve = real.claims(sub=PEOPLE["eve"]["sub"], **PEOPLE["eve"]["claims"])
    other = await house.sessions.authenticate(real.sign(eve))
    assert (other.user, other.grants) == ("oidc:ann.2", (grant([Privilege.ADMINISTRATION]),))
    again = await house.sessions.authenticate(real.sign(eve | {"jti": "2", "preferred_username": "eve"}))
    assert again.user == "oidc:ann.2"
    renamed = await house.sessions.authenticate(real.sign(real.claims(preferred_username="anna", jti="2")))
    assert renamed.user == ann.user == "oidc:ann"
    assert list(house.store.known) == ["oidc:ann", "oidc:ann.2"]


async def test_an_account_with_a_password_is_nobody_of_the_provider(real: OidcProvider) -> None:
    house = House(real)
    await house.store.put_account(Account("ann", "default", await Passwords().hash("correct horse"), ("System Administrator",)))
    caller = await house.sessions.authenticate(real.sign(real.claims()))
    assert not caller.is_administrator
    for password in ("", "correct horse"):
        with pytest.raises(NotAuthenticatedError):
            await house.sessions.login("oidc:ann", password)


async def test_two_tokens_of_somebody_new_at_the_same_moment_make_one_account(real: OidcProvider) -> None:
    house = House(real)
    tokens = [real.sign(real.claims(jti=str(number))) for number in range(5)]
    callers = await asyncio.gather(*(house.sessions.authenticate(each) for each in tokens))
    assert {each.user for each in callers} == {"oidc:ann"}
    assert len(house.store.known) == 1


async def test_the_latest_token_says_which_roles_an_account_has_and_each_gives_its_own(real: OidcProvider) -> None:
    house, now = House(real), int(time.time())
    old = real.sign(real.claims(iat=now - 10))
    await house.sessions.authenticate(old)
    new = await house.sessions.authenticate(real.sign(real.claims(groups=["designers"])))
    assert new.may(Privilege.WORKFLOW_DESIGN)
    assert not new.may(Privilege.EXECUTION_OPERATE)
    await house.clock.advance(3)
    assert (await house.sessions.authenticate(old)).may(Privilege.EXECUTION_OPERATE)
    roles = await AccountRoles(house.store).roles_of("default", "oidc:ann")
    assert sorted(roles or ()) == ["Workflow Designer"]


async def test_a_token_without_a_word_of_groups_takes_no_role_away_and_a_login_without_one_does(real: OidcProvider) -> None:
    house, now = House(real), int(time.time())
    await house.sessions.authenticate(real.sign(real.claims(iat=now - 10)))
    silent = real.claims(groups=None, iat=now - 5)
    assert not (await house.sessions.authenticate(real.sign(silent))).grants
    assert list(house.store.known["oidc:ann"].roles) == ["Operations"]
    await house.sessions.authenticate(real.sign(real.claims(groups=[], iat=now - 4)))
    assert not house.store.known["oidc:ann"].roles
    await house.sessions.authenticate(real.sign(real.claims(iat=now - 3)))
    assert list(house.store.known["oidc:ann"].roles) == ["Operations"]
    await house.people.account(real.claims(groups=None, iat=now - 2), is_login=True)
    assert not house.store.known["oidc:ann"].roles


async def test_being_disabled_here_counts_whatever_the_provider_says(real: OidcProvider) -> None:
    house, token = House(real), real.sign(real.claims())
    await house.sessions.authenticate(token)
    await house.store.put_account(replace(house.store.known["oidc:ann"], is_disabled=True))
    house.sessions.forget("oidc:ann")
    assert "is disabled" in str(await house.refused(token))
    assert house.store.known["oidc:ann"].is_disabled
    for groups in (["designers"], None):
        assert "is disabled" in str(await house.refused(real.sign(real.claims(groups=groups, iat=int(time.time()) + 5))))


async def test_a_claim_says_the_tenant_where_the_settings_name_one(real: OidcProvider) -> None:
    house = House(real, replace(ROLES, tenant_claim="tenant"))
    bob = PEOPLE["bob"]
    assert (await house.sessions.authenticate(real.sign(real.claims(sub=bob["sub"], **bob["claims"])))).tenant == "other"
    for odd in (None, "", 7, "a/b", "\n"):
        await house.refused(real.sign(real.claims(tenant=odd, jti="2")))


def test_a_claim_is_found_by_its_name_and_by_the_way_to_it() -> None:
    claims = {"realm_access": {"roles": ["a"]}, "https://example.net/groups": ["b"], "x": "y"}
    assert claim(claims, "realm_access.roles") == ["a"]
    assert claim(claims, "https://example.net/groups") == ["b"]
    assert claim(claims, "x.y") is None
    assert claim(claims, "nothing") is None


async def test_a_token_of_a_provider_cannot_be_logged_out(real: OidcProvider) -> None:
    house, token = House(real), real.sign(real.claims())
    await house.sessions.authenticate(token)
    with pytest.raises(NotPermittedError):
        await house.sessions.logout(token)


async def test_without_an_audience_no_token_is_taken(real: OidcProvider) -> None:
    await House(real, audience=None).refused(real.sign(real.claims()))


class Counted:
    """Counts how often the provider is asked."""

    def __init__(self, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        asked = provider._asked

        async def counted() -> Any:
            self.times += 1
            return await asked()

        monkeypatch.setattr(provider, "_asked", counted)


async def test_new_keys_of_the_provider_are_fetched_when_a_token_names_one_and_old_ones_count_no_more() -> None:
    with OidcProvider() as provider:
        house = House(provider)
        old = provider.sign(provider.claims())
        await house.sessions.authenticate(old)
        provider.restart(new_keys("second"))
        assert await house.sessions.authenticate(old)  # nobody has asked since
        await house.clock.advance(AGAIN_SECONDS)
        assert await house.sessions.authenticate(provider.client_token("robot"))
        await house.clock.advance(3)
        await house.refused(old)


async def test_made_up_keys_do_not_send_anybody_to_the_provider_again_and_again(
    real: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(real)
    counted = Counted(house.provider, monkeypatch)
    strange = jwk.RSAKey.generate_key(2048, {"kid": "nobody's"})
    tokens = [real.sign(real.claims(jti=str(number)), key=strange) for number in range(20)]
    await asyncio.gather(*(house.refused(each) for each in tokens))
    assert counted.times == 1
    await house.clock.advance(AGAIN_SECONDS)
    await asyncio.gather(*(house.refused(each) for each in tokens))
    assert counted.times == 2


async def test_a_provider_that_is_away_is_found_again_and_what_it_said_counts_for_a_day() -> None:
    provider = OidcProvider()
    house = House(provider)
    keeping = asyncio.create_task(house.provider.run())
    try:
        await house.clock.until_sleeping_for(AGAIN_SECONDS)
        assert "cannot be reached" in str(house.provider.failure)
        early = await house.refused(provider.sign(provider.claims()))
        assert early.code is ErrorCode.PROVIDER_UNAVAILABLE
        provider.start()
        await house.clock.advance(AGAIN_SECONDS)
        await house.clock.until_sleeping_for(FRESH_SECONDS)
        assert house.provider.failure is None
        token = provider.sign(provider.claims(exp=int(time.time()) + 10**6))
        await house.sessions.authenticate(token)
        provider.stop()
        await house.clock.advance(FRESH_SECONDS)
        await house.clock.until_sleeping_for(AGAIN_SECONDS)
        assert house.provider.failure is not None
        await house.sessions.authenticate(token)
        keeping.cancel()
        await house.clock.advance(LONGEST_SECONDS)
        assert (await house.refused(token)).code is ErrorCode.PROVIDER_UNAVAILABLE
    finally:
        keeping.cancel()
        provider.stop()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, json={"issuer": "https://other.example.net"}), "calls itself 'https://other.example.net'"),
        (httpx.Response(200, json={"issuer": "{issuer}"}), "says no jwks_uri"),
        (httpx.Response(200, json={"issuer": "{issuer}", "jwks_uri": "http://example.net/keys"}), "only https is asked"),
        (httpx.Response(200, json={"issuer": "{issuer}", "jwks_uri": "https://example.net/\r\nX: y"}), "only https is asked"),
        (httpx.Response(200, json={"issuer": "{issuer}", "jwks_uri": "https://xn--a/"}), "cannot be reached"),
        (httpx.Response(200, text="<html>"), "no JSON object"),
        (httpx.Response(200, text="[" * 100_000), "no JSON object"),
        (httpx.Response(200, text="x" * 1_100_000), "more than"),
        (httpx.Response(302, json={}, headers={"location": "http://127.0.0.1:1/"}), "302"),
        (httpx.Response(500, json={}), "500"),
    ],
)
async def test_what_a_provider_says_wrongly_is_a_sentence(monkeypatch: pytest.MonkeyPatch, answer: httpx.Response, said: str) -> None:
    house = House(OidcProvider())
    text = answer.text.replace("{issuer}", house.provider.issuer)
    served = httpx.Response(answer.status_code, text=text, headers=answer.headers)
    client = httpx.AsyncClient
    transport = httpx.MockTransport(lambda _: served)
    monkeypatch.setattr(httpx, "AsyncClient", lambda **more: client(transport=transport))
    token = jwt.encode({"alg": "RS256", "kid": "x", "typ": "at+jwt"}, {}, new_keys()[0], ["RS256"], default_type=None)
    assert said in str(await house.refused(token))


def test_only_what_nobody_in_between_can_read_is_asked() -> None:
    assert all(map(is_safe_address, ("https://a.example.net/x", "http://127.0.0.1:1/", "http://localhost", "http://[::1]:2")))
    strange = ("http://example.net", "ftp://localhost", "https://", "https://u:p@example.net", "http://127.example.net", "http://[", "")
    assert [each for each in strange if is_safe_address(each)] == []


def signed(real: OidcProvider, claims: dict[str, Any], header: dict[str, Any] | None = None) -> str:
    """Return a token with whatever JSON can say: halves of characters, too."""
    whole = {"alg": real.algorithm, "kid": real.keys[0].kid, "typ": "at+jwt", **(header or {})}
    body = f"{part(whole)}.{part(claims)}"
    registry = jws.JWSRegistry.algorithms[real.algorithm]
    return f"{body}.{encoded(registry.sign(body.encode(), real.keys[0]))}"


ODD = "x\r\n2026-11-26 00:00:00 [info     ] a login succeeded user=admin\x1b[2J\x9b2J\u2028\u202e\ud800\0"
"""What would begin a line of its own in a log, be obeyed by a terminal, turn what follows around, or cannot be written at all."""


@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_claim_of_a_token_writes_a_line_of_its_own_in_the_log(
    real: OidcProvider, form: Literal["text", "json"], capfd: pytest.CaptureFixture[str]
) -> None:
    """Also one that the provider has signed: names and groups are what people there have typed."""
    house = House(real, replace(ROLES, tenant_claim="tenant"))
    claims = [{name: odd} for name in (*real.claims(), "nbf", "cnf", "typ") for odd in (ODD, [ODD], {ODD: ODD})]
    long = {"exp": int(time.time()) + 3600}
    tokens = [signed(real, real.claims(**(long | each))) for each in claims]
    tokens += [signed(real, real.claims(), {name: ODD}) for name in ("typ", "kid", "crit", ODD)]
    tokens += [f"{part({'alg': ODD, 'typ': 'at+jwt'})}.{part(real.claims())}.{'A' * 40}", f"{encoded(ODD[:-2].encode())}.e30.e30"]
    await house.provider.said()
    set_up_logging("debug", form)
    for token in tokens:
        await house.clock.advance(QUIET_SECONDS)
        with suppress(NotAuthenticatedError):
            await house.sessions.authenticate(token)
    lines = capfd.readouterr().err.splitlines()
    assert sum("an access token was refused" in line for line in lines) > len(tokens) // 2
    assert all(line.isprintable() for line in lines), [ascii(line) for line in lines if not line.isprintable()]
    assert not [line for line in lines if line.startswith(ODD[3:13]) and "a login succeeded" in line[:60]]
    assert not [name for name in house.store.known if not name.isprintable()]
