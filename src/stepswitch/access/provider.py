"""The provider of OpenID Connect as this service sees it: what it says of itself, its keys, and how it is asked. Used by the other `provider_…` modules.

Everything is fetched when it is first needed, and again from time to time while the service runs. A provider that is away keeps nobody out who has
no need of it: what it said last counts on, for a day.
"""

import asyncio
import json
import ssl
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import structlog
from joserfc import jwk
from joserfc.errors import JoseError

from stepswitch.domain.this_machine import is_this_machine
from stepswitch.engine.ports import Clock

LIMIT_SECONDS: Final = 10.0
LARGEST_ANSWER: Final = 1024 * 1024
FRESH_SECONDS: Final = 600.0
"""How long what it said is taken for what it says."""
AGAIN_SECONDS: Final = 5.0
"""How long after a fetch the next one may be: tokens with a made-up key send nobody to the provider again and again."""
LONGEST_SECONDS: Final = 86_400.0
"""How long keys count that could not be fetched anew."""
LEAST_RSA_BITS: Final = 2048
_KINDS_OF_KEYS: Final = ("RSA", "EC", "OKP")
_log = structlog.get_logger("stepswitch.access")


class ProviderError(Exception):
    """The provider cannot be asked, or says what cannot be used; the message is a sentence without secrets."""


@dataclass(frozen=True, slots=True)
class ProviderPlace:
    """Where the provider is, and whom to trust there."""

    issuer: str
    trusted: ssl.SSLContext = field(repr=False)


@dataclass(frozen=True, slots=True)
class Said:
    """What the provider says of itself, and its keys by their ids."""

    metadata: Mapping[str, Any]
    keys: tuple[jwk.Key, ...]

    def endpoint(self, name: str) -> str:
        """Return the address of one of its endpoints; raises ProviderError where it has none."""
        return _checked_address(self.metadata.get(name), name)

    def key(self, kid: str | None, algorithm: str) -> jwk.Key | None:
        """Return the key that is meant; without an id the only one there is for an algorithm."""
        fit = [each for each in self.keys if (kid is None or each.kid == kid) and each.get("alg") in (None, algorithm)]
        return fit[0] if len(fit) == 1 or (fit and kid is not None) else None


class Provider:
    """Asks the provider. Every question has a deadline."""

    def __init__(self, place: ProviderPlace, clock: Clock) -> None:
        self.issuer = place.issuer
        self._trusted = place.trusted
        self._clock = clock
        self._said: Said | None = None
        self._said_at = 0.0
        self._asked_at: float | None = None
        self._failure: str | None = None
        self._asking = asyncio.Lock()

    @property
    def failure(self) -> str | None:
        """Why it could not be asked the last time, as a sentence; None where it could."""
        return self._failure

    @property
    def known(self) -> Said | None:
        """What it said last, without asking it; None where it was never reached."""
        return self._said

    async def run(self) -> None:
        """Ask it from time to time, until cancelled: keys that it has withdrawn do not count for long, and one that was away is found again."""
        while True:
            with suppress(ProviderError):  # it is told already
                await self.said(anew=True)
            await self._clock.sleep(FRESH_SECONDS if self._failure is None else AGAIN_SECONDS)

    async def said(self, *, anew: bool = False) -> Said:
        """Return what it says; `anew` where what is known is not enough. Raises ProviderError where nobody can say."""
        seen = self._said
        if seen is None or anew:
            async with self._asking:
                if self._said is seen and self._may_ask():
                    await self._ask()
        now = self._clock.monotonic()
        if self._said is None or now - self._said_at > LONGEST_SECONDS:
            raise ProviderError(self._failure or f"the provider {self.issuer} was not reached yet")
        return self._said

    async def post(self, url: str, form: Mapping[str, str], login: tuple[str, str] | None = None) -> tuple[int, dict[str, Any]]:
        """Return status and body of the answer to a form; raises ProviderError."""
        return await self._fetch("POST", url, data=dict(form), auth=login)

    async def get(self, url: str, token: str | None = None) -> tuple[int, dict[str, Any]]:
        """Return status and body of the answer to a question; raises ProviderError."""
        return await self._fetch("GET", url, headers={} if token is None else {"Authorization": f"Bearer {token}"})

    def _may_ask(self) -> bool:
        return self._asked_at is None or self._clock.monotonic() - self._asked_at >= AGAIN_SECONDS

    async def _ask(self) -> None:
        """Fetch everything; what goes wrong is noted and told once."""
        self._asked_at = self._clock.monotonic()
        try:
            said = await self._asked()
        except ProviderError as error:
            if str(error) != self._failure:
                _log.warning("the provider of logins cannot be used now", reason=str(error))
            self._failure = str(error)
            return
        if self._failure is not None or self._said is None:
            _log.info("the provider of logins can be used", issuer=self.issuer, keys=len(said.keys))
        self._said, self._said_at, self._failure = said, self._clock.monotonic(), None

    async def _asked(self) -> Said:
        metadata = await self._document(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration", "its description")
        if metadata.get("issuer") != self.issuer:
            raise ProviderError(f"the provider at {self.issuer} calls itself {metadata.get('issuer')!r}: oidc_issuer is to be exactly that")
        keys = await self._document(_checked_address(metadata.get("jwks_uri"), "jwks_uri"), "its keys")
        return Said(metadata, usable_keys(keys))

    async def _document(self, url: str, what: str) -> dict[str, Any]:
        status, body = await self.get(url)
        if status != httpx.codes.OK:
            raise ProviderError(f"the provider {self.issuer} does not give {what}: {status} at {url}")
        return body

    async def _fetch(self, method: str, url: str, **more: Any) -> tuple[int, dict[str, Any]]:
        """Return status and JSON of an answer. Redirects are not followed: they would take secrets elsewhere."""
        try:
            async with (
                asyncio.timeout(LIMIT_SECONDS),
                httpx.AsyncClient(
                    timeout=LIMIT_SECONDS, verify=self._trusted, trust_env=not is_this_machine(urlsplit(url).hostname or "")
                ) as client,
                client.stream(method, url, **more) as answer,
            ):
                content = await _content(answer)
                status = answer.status_code
        except TimeoutError:
            raise ProviderError(f"the provider {self.issuer} does not answer within {LIMIT_SECONDS:g} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:  # ValueError: a name that no machine can have
            raise ProviderError(f"the provider {self.issuer} cannot be reached: {error or type(error).__name__}") from None
        try:
            body = json.loads(content or b"{}")
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise ProviderError(f"the provider {self.issuer} answers {status} with what is no JSON object")
        return status, body


async def _content(answer: httpx.Response) -> bytes:
    content = b""
    async for piece in answer.aiter_bytes():
        content += piece
        if len(content) > LARGEST_ANSWER:
            raise ProviderError(f"the provider answers with more than {LARGEST_ANSWER} bytes")
    return content


def is_safe_address(address: str) -> bool:
    """Return whether what is sent there can be read by nobody in between: TLS, or this machine itself."""
    try:
        parsed = urlsplit(address)
        host = parsed.hostname or ""
    except ValueError:
        return False
    is_plain = address.isascii() and address.isprintable() and " " not in address
    return (
        is_plain
        and bool(host)
        and (parsed.scheme == "https" or (parsed.scheme == "http" and is_this_machine(host)))
        and "@" not in parsed.netloc
    )


def _checked_address(given: object, name: str) -> str:
    if not isinstance(given, str):
        raise ProviderError(f"the provider says no {name}")
    if not is_safe_address(given):
        raise ProviderError(f"the provider's {name} is {given!r}: only https is asked, and what is on this machine")
    return given


def usable_keys(document: Mapping[str, Any]) -> tuple[jwk.Key, ...]:
    """Return the public keys of a key set that signatures can be checked with; what cannot be read is left out, as RFC 7517 has it."""
    given = document.get("keys")
    found = [_usable(each) for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    return tuple(each for each in found if each is not None)


def _usable(plain: dict[str, Any]) -> jwk.Key | None:
    if plain.get("kty") not in _KINDS_OF_KEYS or plain.get("use") not in (None, "sig"):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of short keys, which are left out below
            key = jwk.import_key(plain)
    except (JoseError, ValueError, KeyError, TypeError):
        return None
    is_short = isinstance(key, jwk.RSAKey) and key.public_key.key_size < LEAST_RSA_BITS
    return None if is_short or key.is_private else key
