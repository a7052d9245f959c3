"""Logins of people through the provider: in a browser (authorization code with PKCE), and on a device that shows a code. Called by `api.provider_logins`.

What belongs to a login that is under way is kept by whoever began it: in a cookie of the browser, or by the command line. So nobody fills our memory with
logins that he begins, and nobody goes on with one that he did not begin. The session is made here, anew, when somebody has shown who he is.
"""

import base64
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx
import structlog

from stepswitch.access.provider import Provider, ProviderError, Said
from stepswitch.access.provider_people import PeopleRules, ProviderPeople, claim
from stepswitch.access.provider_tokens import Claims, ProviderTokens
from stepswitch.access.sessions import Sessions
from stepswitch.domain.errors import (
    ErrorCode,
    Fault,
    InvalidRequestError,
    NotAuthenticatedError,
    NotFoundError,
    OverloadedError,
    ProviderUnavailableError,
)
from stepswitch.domain.urls import check_local_path, is_local_path
from stepswitch.engine.account_ports import AccountStore, BegunLogin, DeviceLogin
from stepswitch.engine.audit import Act
from stepswitch.engine.ports import Clock
from stepswitch.engine.records import Account, Session

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
TICKET_SECONDS: Final = 60.0
"""How long a browser that is logged in may take to fetch its session."""
MOST_TICKETS: Final = 10_000
MOST_AT_ONCE: Final = 100
"""So many logins may wait for the provider at the same moment."""
LONGEST_SECRET: Final = 2_048
_LEAST_INTERVAL: Final = 5
_log = structlog.get_logger("stepswitch.access")


@dataclass(frozen=True, slots=True)
class ClientRules:
    """What this service is at the provider. Browsers come back to `redirect_uri` from a login, and to `logged_out_uri` from a logout; None where none may begin."""

    client_id: str
    secret: str = field(default="", repr=False)
    redirect_uri: str | None = None
    logged_out_uri: str | None = None
    scopes: str = "openid profile"


@dataclass(frozen=True, slots=True)
class _Ticket:
    account: str
    until: float


class ProviderLogins:
    """Implements `engine.account_ports.ProviderLogins`."""

    def __init__(
        self,
        provider: Provider,
        client: ClientRules,
        *,
        tokens: ProviderTokens,
        people: ProviderPeople,
        sessions: Sessions,
        store: AccountStore,
        clock: Clock,
    ) -> None:
        self._provider = provider
        self._client = client
        self._tokens = tokens
        self._people = people
        self._sessions = sessions
        self._store = store
        self._clock = clock
        self._tickets: OrderedDict[str, _Ticket] = OrderedDict()
        self._asking = 0

    async def begin(self, return_to: str) -> BegunLogin:
        """See the port."""
        if self._client.redirect_uri is None:
            raise NotFoundError("browsers do not log in through the provider here: public_url is not set")
        check_local_path("returnTo", return_to)
        secret = f"{secrets.token_urlsafe(32)}.{_encoded(return_to.encode())}"
        async with self._asked() as said:
            address = said.endpoint("authorization_endpoint")
        wanted = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": self._client.redirect_uri,
            "scope": self._client.scopes,
            "state": _made_of(secret, "state"),
            "nonce": _made_of(secret, "nonce"),
            "code_challenge": _encoded(hashlib.sha256(_made_of(secret, "verifier").encode()).digest()),
            "code_challenge_method": "S256",
        }
        return BegunLogin(_with(address, wanted), secret)

    async def finish(self, secret: str, answer: Mapping[str, str]) -> tuple[str, str]:
        """See the port."""
        if self._client.redirect_uri is None:
            raise NotFoundError("browsers do not log in through the provider here: public_url is not set")
        if len(secret) > LONGEST_SECRET or not hmac.compare_digest(_made_of(secret, "state").encode(), answer.get("state", "").encode()):
            raise _not_completed("it was not begun in this browser, or has ended already; begin again")
        return_to = _return_of(secret)
        async with self._asked() as said:
            self._check_issuer(said, answer)
            if "error" in answer or "code" not in answer:
                raise _not_completed(f"the provider says {_word(answer.get('error', 'no code'))}")
            form = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": self._client.redirect_uri}
            status, given = await self._granted(said, form | {"code_verifier": _made_of(secret, "verifier")})
            if status != httpx.codes.OK:
                raise _not_completed(f"the provider does not take its code: {_word(given.get('error'))}")
            account = await self._account(said, given, _made_of(secret, "nonce"))
        return self._ticket_for(account), return_to

    async def session_of(self, ticket: str, address: str, act: Act | None) -> tuple[str, Session]:
        """See the port."""
        found = self._tickets.pop(_digest(ticket), None)
        account = await self._store.account(found.account) if found is not None and found.until > self._clock.monotonic() else None
        if account is None or account.is_disabled:
            raise NotAuthenticatedError("no login through the provider waits for its session in this browser")
        return await self._sessions.open(account, address, act)

    async def logout_address(self, user: str, return_to: str) -> str | None:
        """See the port. It is not waited for: who logs out here is not held up by a provider that is away.

        The provider is told who we are and not whose session it is, for which it would want the token of his login, which is not kept: it asks him.
        """
        account, said, uri = await self._store.account(user), self._provider.known, self._client.logged_out_uri
        if account is None or account.source != self._provider.issuer or said is None or uri is None:
            return None
        try:
            address = said.endpoint("end_session_endpoint")
        except ProviderError:
            return None
        state = _encoded(return_to.encode())
        return _with(address, {"client_id": self._client.client_id, "post_logout_redirect_uri": uri, "state": state})

    def logged_out(self, state: str) -> str | None:
        """See the port."""
        path = _decoded(state)
        return path if is_local_path(path) else None

    async def begin_on_device(self) -> DeviceLogin:
        """See the port."""
        async with self._asked() as said:
            if "device_authorization_endpoint" not in said.metadata:
                raise NotFoundError("the provider lets nobody log in on a device")
            form = {"scope": self._client.scopes}
            status, given = await self._posted(said, said.endpoint("device_authorization_endpoint"), form)
        if status != httpx.codes.OK:
            raise _not_completed(f"the provider lets nobody log in on a device: {_word(given.get('error'))}")
        try:
            return _device_login(given)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise self._away(f"the provider {self._provider.issuer} answers a login on a device with what is none") from None

    async def finish_on_device(self, device_code: str, address: str, act: Act | None) -> tuple[str, Session]:
        """See the port."""
        if len(device_code) > LONGEST_SECRET:
            raise _not_completed("there is no such code")
        async with self._asked() as said:
            status, given = await self._granted(said, {"grant_type": DEVICE_GRANT, "device_code": device_code})
            if status != httpx.codes.OK:
                raise _device_fault(given.get("error"))
            account = await self._account(said, given, None)
        return await self._sessions.open(account, address, act)

    async def _account(self, said: Said, given: Mapping[str, Any], nonce: str | None) -> Account:
        """Return whose login it was; raises NotAuthenticatedError, which the log has with its reason."""
        try:
            claims = await self._tokens.id_claims(str(given.get("id_token", "")), nonce)
            account = await self._people.account(await self._whole(said, claims, given.get("access_token")), is_login=True)
        except NotAuthenticatedError as error:
            _log.warning("a login through the provider was refused", reason=str(error))
            raise
        return account

    async def _whole(self, said: Said, claims: Claims, token: object) -> Claims:
        """Return the claims with those that the provider tells only when asked, where some that matter here are missing."""
        rules: PeopleRules = self._people.rules
        wanted = [rules.name_claim, rules.groups_claim, *([rules.tenant_claim] if rules.tenant_claim else [])]
        is_known = all(claim(claims, each) is not None for each in wanted)
        if is_known or "userinfo_endpoint" not in said.metadata or not isinstance(token, str) or not token.isascii():
            return claims
        status, more = await self._provider.get(said.endpoint("userinfo_endpoint"), token)
        if status != httpx.codes.OK or more.get("sub") != claims["sub"]:
            raise NotAuthenticatedError(f"the provider does not say who has logged in: {status}")
        return {**more, **claims}

    def _check_issuer(self, said: Said, answer: Mapping[str, str]) -> None:
        """Refuse the answer of another provider (RFC 9207)."""
        is_said = bool(said.metadata.get("authorization_response_iss_parameter_supported"))
        if answer.get("iss", None if is_said else self._provider.issuer) != self._provider.issuer:
            raise _not_completed("the answer is from another provider")

    async def _granted(self, said: Said, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        return await self._posted(said, said.endpoint("token_endpoint"), form)

    async def _posted(self, said: Said, url: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Send a form as the client that we are: with its secret where it has one, in the way that the provider understands."""
        known = said.metadata.get("token_endpoint_auth_methods_supported")
        if self._client.secret and (not isinstance(known, list) or "client_secret_basic" in known):
            login = quote(self._client.client_id, safe=""), quote(self._client.secret, safe="")  # RFC 6749, 2.3.1
            return await self._provider.post(url, form, login)
        secret = {"client_secret": self._client.secret} if self._client.secret else {}
        return await self._provider.post(url, {**form, "client_id": self._client.client_id, **secret})

    @asynccontextmanager
    async def _asked(self) -> AsyncIterator[Said]:
        """Give what the provider says of itself; whatever is wrong with it inside is ProviderUnavailableError, with its reason in the log."""
        if self._asking >= MOST_AT_ONCE:
            raise OverloadedError("too many logins at once", retry_after=5)
        self._asking += 1
        try:
            yield await self._provider.said()
        except ProviderError as error:
            raise self._away(str(error)) from None
        finally:
            self._asking -= 1

    def _away(self, reason: str) -> ProviderUnavailableError:
        _log.warning("nobody can log in through the provider now", reason=reason)
        return ProviderUnavailableError("the provider of logins cannot be used now; the log of the service says why")

    def _ticket_for(self, account: Account) -> str:
        ticket = secrets.token_urlsafe(32)
        self._tickets[_digest(ticket)] = _Ticket(account.name, self._clock.monotonic() + TICKET_SECONDS)
        while len(self._tickets) > MOST_TICKETS:
            self._tickets.popitem(last=False)
        return ticket


def _device_login(given: Mapping[str, Any]) -> DeviceLogin:
    whole = given.get("verification_uri_complete")
    return DeviceLogin(
        device_code=str(given["device_code"]),
        user_code=str(given["user_code"]),
        verification_uri=str(given["verification_uri"]),
        verification_uri_complete=None if whole is None else str(whole),
        expires_in=int(given["expires_in"]),
        interval=max(1, int(given.get("interval", _LEAST_INTERVAL))),
    )


def _device_fault(said: object) -> InvalidRequestError:
    if said == "authorization_pending":
        return _fault(ErrorCode.LOGIN_PENDING, "nobody has confirmed the code yet; ask again after the interval")
    if said == "slow_down":
        return _fault(ErrorCode.LOGIN_TOO_FAST, "asked too soon; wait 5 seconds longer than before each time")
    told = {"expired_token": "the code has expired; begin again", "access_denied": "it was refused at the provider"}
    return _not_completed(told.get(str(said), f"the provider says {_word(said)}"))


def _not_completed(why: str) -> InvalidRequestError:
    return _fault(ErrorCode.LOGIN_NOT_COMPLETED, f"the login did not come to its end: {why}")


def _fault(code: ErrorCode, message: str) -> InvalidRequestError:
    return InvalidRequestError([Fault(code, "", message)])


def _word(given: object) -> str:
    """Return what a provider calls an error, as far as that can be shown to anybody."""
    text = given if isinstance(given, str) else "nothing"
    return text if len(text) <= 64 and text.isascii() and text.replace("_", "").replace(" ", "").isalnum() else "what cannot be shown"


def _made_of(secret: str, what: str) -> str:
    """Return a value of one login that only who has its secret can make, and that tells nothing of the others."""
    return _encoded(hmac.digest(secret.encode("utf-8", "replace"), what.encode(), "sha256"))


def _with(address: str, query: Mapping[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


def _return_of(secret: str) -> str:
    """Return where a browser wanted to go; it comes from its cookie, so it is looked at again."""
    path = _decoded(secret.partition(".")[2])
    if not is_local_path(path):
        raise _not_completed("it was not begun here; begin again")
    return path


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> str:
    """Return what `_encoded` made a text of; empty where it is none of that."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return ""


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "replace")).hexdigest()
