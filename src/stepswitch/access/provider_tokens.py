"""What of a token of the provider is believed: its signature, what it is, from whom, for whom, and until when. Used by `provider_access` and `provider_logins`.

Every rule is here once. The keys are those that the provider publishes; what a token itself says about keys (`jku`, `jwk`, `x5c`) is not looked at.
"""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.errors import JoseError, SecurityWarning

from stepswitch.access.provider import Provider, ProviderError
from stepswitch.domain.errors import ErrorCode, NotAuthenticatedError
from stepswitch.engine.ports import Clock

LONGEST_TOKEN: Final = 32 * 1024
ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"),
    *("EdDSA", "Ed25519", "Ed448"),
)  # fmt: skip
"""Those that can be believed at all: with a public key, so that nobody who checks a token can make one."""
ACCESS_TYPE: Final = "at+jwt"
_OF_ID_TOKENS: Final = ("nonce", "at_hash", "c_hash", "s_hash")
_OTHER_TYPES: Final = ("ID", "Refresh", "Offline", "Logout")
"""What some providers write into the claim `typ` of tokens that open nothing."""
Claims = Mapping[str, Any]


class _Registry(jws.JWSRegistry):
    """How long the parts of a token may be; headers that are not known are let be."""

    max_header_length = 8 * 1024
    max_signature_length = 2 * 1024


@dataclass(frozen=True, slots=True)
class TokenRules:
    """`audience` is whom access tokens are to be for, None where there are to be none; `client_id` is whom ID tokens are to be for."""

    audience: str | None = None
    client_id: str | None = None
    algorithms: frozenset[str] = frozenset()
    skew_seconds: float = 30.0
    wants_type: bool = True
    """Whether an access token is to say that it is one, as RFC 9068 has it."""


class ProviderTokens:
    """Reads tokens of the provider. Whatever is wrong with one is NotAuthenticatedError, whose message is for the log only."""

    def __init__(self, provider: Provider, rules: TokenRules, clock: Clock) -> None:
        self._provider = provider
        self._rules = rules
        self._clock = clock

    async def access_claims(self, token: str) -> Claims:
        """Return what an access token says that is for this service."""
        if self._rules.audience is None:
            raise NotAuthenticatedError("access tokens are not taken here: oidc_audience is not set")
        header, claims = await self._believed(token)
        _check_is_access_token(header, claims, must_say_so=self._rules.wants_type)
        self._check(claims, self._rules.audience)
        if "cnf" in claims:
            raise NotAuthenticatedError("the token is bound to a key, and a bearer shows none")
        return claims

    def good_until(self, claims: Claims) -> int:
        """Return until when a token is taken, in milliseconds since 1970."""
        return round((float(claims["exp"]) + self._rules.skew_seconds) * 1000)

    async def id_claims(self, token: str, nonce: str | None) -> Claims:
        """Return what an ID token says of somebody who has just logged in; `nonce` is what was sent along, where something was."""
        header, claims = await self._believed(token)
        if str(header.get("typ", "JWT")).lower() not in ("jwt", "id_token+jwt"):
            raise NotAuthenticatedError("what the provider gave is no ID token")
        client_id = self._rules.client_id or ""
        self._check(claims, client_id)
        if claims.get("azp", client_id) != client_id or (
            isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims
        ):
            raise NotAuthenticatedError("the ID token was made for another client")
        if nonce is not None and claims.get("nonce") != nonce:
            raise NotAuthenticatedError("the ID token belongs to another login: its nonce is not the one that was sent")
        return claims

    async def _believed(self, token: str) -> tuple[Mapping[str, Any], Claims]:
        """Return header and claims of a token that the provider has signed."""
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise NotAuthenticatedError("this is no token")
        registry = _Registry(algorithms=sorted(self._rules.algorithms), strict_check_header=False)
        header = _header(token, registry, self._rules.algorithms)
        key = await self._key(header.get("kid"), str(header["alg"]))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)  # of the name EdDSA; which algorithms are believed is said above
                return header, jwt.decode(token, key, registry=registry).claims
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise NotAuthenticatedError(f"the token is not one that the provider has signed: {type(error).__name__}") from None

    async def _key(self, kid: str | None, algorithm: str) -> Any:
        try:
            key = (await self._provider.said()).key(kid, algorithm)
            if key is None:  # it may have new ones
                key = (await self._provider.said(anew=True)).key(kid, algorithm)
        except ProviderError as error:
            raise NotAuthenticatedError(f"the token cannot be checked: {error}", ErrorCode.PROVIDER_UNAVAILABLE) from None
        if key is None:
            raise NotAuthenticatedError("the token is signed with a key that the provider does not have")
        return key

    def _check(self, claims: Claims, audience: str) -> None:
        if claims.get("iss") != self._provider.issuer:
            raise NotAuthenticatedError("the token is from another issuer")
        given = claims.get("aud")
        if audience not in (given if isinstance(given, list) else [given]):
            raise NotAuthenticatedError("the token is for another audience")
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise NotAuthenticatedError("the token does not say whose it is: it has no sub")
        expires, issued, begins = (_time(claims, name) for name in ("exp", "iat", "nbf"))
        if expires is None or issued is None or ("nbf" in claims and begins is None):
            raise NotAuthenticatedError("the token does not say since when and until when it is good")
        now, skew = self._clock.now() / 1000, self._rules.skew_seconds
        if expires + skew <= now:
            raise NotAuthenticatedError("the token has expired", ErrorCode.SESSION_EXPIRED)
        if max(issued, begins or issued) - skew > now:
            raise NotAuthenticatedError("the token is not good yet")


def _header(token: str, registry: jws.JWSRegistry, algorithms: Collection[str]) -> Mapping[str, Any]:
    """Return the header of what looks like a token that may be believed."""
    try:
        header = jws.extract_compact(token.encode(), registry=registry).headers()
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise NotAuthenticatedError(f"this is no signed token: {type(error).__name__}") from None
    algorithm = str(header.get("alg"))
    if algorithm not in algorithms:
        raise NotAuthenticatedError(f"tokens with the algorithm {algorithm[:20]!r} are not believed")
    if "crit" in header or "b64" in header:
        raise NotAuthenticatedError("the token wants something understood that is not")
    if not isinstance(header.get("kid", ""), str):
        raise NotAuthenticatedError("the token names no key")
    return header


def _check_is_access_token(header: Mapping[str, Any], claims: Claims, *, must_say_so: bool) -> None:
    """Raise NotAuthenticatedError where it is another kind of token: an ID token tells a client who logged in, and opens nothing."""
    kind = str(header.get("typ", "")).lower().removeprefix("application/")
    if kind != ACCESS_TYPE and (must_say_so or kind not in ("", "jwt")):
        raise NotAuthenticatedError("the token does not say that it is an access token (typ is to be at+jwt)")
    if any(name in claims for name in _OF_ID_TOKENS) or claims.get("typ") in _OTHER_TYPES:
        raise NotAuthenticatedError("this is no access token")


def _time(claims: Claims, name: str) -> float | None:
    """Return a time in seconds since 1970; what is none there is no time, and what cannot be one neither."""
    given = claims.get(name)
    if not isinstance(given, int | float) or isinstance(given, bool) or not 0 <= given < 2**40:
        return None
    return float(given)
