"""The provider of logins, wired as the settings want it. Called by `people` and `wiring`."""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import structlog

from stepswitch.access.provider import Provider, ProviderPlace, is_safe_address
from stepswitch.access.provider_access import AccessTokens
from stepswitch.access.provider_logins import ClientRules, ProviderLogins
from stepswitch.access.provider_people import PeopleRules, ProviderPeople
from stepswitch.access.provider_tokens import ALGORITHMS, ProviderTokens, TokenRules
from stepswitch.access.sessions import Sessions
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import SettingsError
from stepswitch.engine.account_ports import AccountStore
from stepswitch.engine.names_of_people import name_faults
from stepswitch.engine.ports import Clock
from stepswitch.engine.privileges import ROLES, role_name
from stepswitch.engine.records import DIRECTORY

PREFIX: Final = "oidc_"
_PLACE: Final = "/stepswitch/api/v1/login/oidc"
_log = structlog.get_logger("stepswitch")


@dataclass(frozen=True, slots=True)
class Identity:
    """The provider, and those who know what its tokens mean."""

    provider: Provider
    tokens: ProviderTokens
    people: ProviderPeople
    access_tokens: AccessTokens


def identity_of(settings: Settings, store: AccountStore, clock: Clock) -> Identity | None:
    """Return what the settings name, None where nobody vouches for anybody; raises SettingsError where its certificates cannot be read."""
    if settings.oidc_issuer is None:
        return None
    provider = Provider(ProviderPlace(settings.oidc_issuer, _trusted(settings)), clock)
    tokens = ProviderTokens(provider, _token_rules(settings), clock)
    people = ProviderPeople(store, _people_rules(settings), settings.oidc_issuer, clock)
    return Identity(provider, tokens, people, AccessTokens(tokens, people, clock))


def logins_of(
    settings: Settings, identity: Identity | None, sessions: Sessions, store: AccountStore, clock: Clock
) -> ProviderLogins | None:
    """Return how people log in through the provider, None where the settings name no client for that; raises SettingsError."""
    client = client_of(settings)
    if identity is None or client is None:
        return None
    return ProviderLogins(
        identity.provider, client, tokens=identity.tokens, people=identity.people, sessions=sessions, store=store, clock=clock
    )


def client_of(settings: Settings) -> ClientRules | None:
    """Return what this service is at the provider; raises SettingsError where its secret cannot be read."""
    if settings.oidc_client_id is None:
        return None
    place = None if settings.public_url is None else settings.public_url.rstrip("/") + _PLACE
    return ClientRules(
        settings.oidc_client_id,
        _secret(settings),
        redirect_uri=None if place is None else f"{place}/callback",
        logged_out_uri=None if place is None else f"{place}/logout/callback",
        scopes=settings.oidc_scopes,
    )


async def warn_of_roles(settings: Settings, store: AccountStore) -> None:
    """Say in the log which roles the settings give to groups and clients that are not there: nobody may do anything by them."""
    if settings.oidc_issuer is None:
        return
    named = {role_name(role) for table in _tables(settings).values() for roles in table.values() for role in roles}
    if not named:
        _log.warning("no group and no client of the provider of logins has a role: oidc_roles and oidc_client_roles are empty")
    own = set() if settings.oidc_tenant_claim is not None else {role.name for role in await store.roles(settings.oidc_tenant)}
    missing = sorted(named - ROLES.keys() - own)
    if missing and settings.oidc_tenant_claim is None:
        _log.warning("settings give roles that are not there", roles=missing, tenant=settings.oidc_tenant)


def _token_rules(settings: Settings) -> TokenRules:
    return TokenRules(
        audience=settings.oidc_audience,
        client_id=settings.oidc_client_id,
        algorithms=frozenset(_algorithms(settings)),
        skew_seconds=settings.oidc_clock_skew_seconds,
        wants_type=settings.oidc_token_type == "at+jwt",
    )


def _people_rules(settings: Settings) -> PeopleRules:
    return PeopleRules(
        label=settings.oidc_label,
        name_claim=settings.oidc_name_claim,
        groups_claim=settings.oidc_groups_claim,
        roles=settings.oidc_roles,
        client_roles=settings.oidc_client_roles,
        tenant=settings.oidc_tenant,
        tenant_claim=settings.oidc_tenant_claim,
    )


def provider_faults(settings: Settings) -> Iterator[str]:
    """Yield each fault of what the settings say of a provider, as a sentence."""
    issuer = settings.oidc_issuer
    if issuer is None:
        about = "there is no provider that it could be about"
        yield from (f"{name} is set and oidc_issuer is not: {about}" for name in settings.given(PREFIX))
        return
    if not is_safe_address(issuer) or any(urlsplit(issuer)[3:]):
        yield f"oidc_issuer is {issuer!r}; it must be an address with https (or http on this machine), without query and fragment"
    yield from _client_faults(settings)
    if settings.oidc_label == DIRECTORY:
        yield f"oidc_label is {DIRECTORY!r}, with which the names of those begin whom the directory knows"
    algorithms = _algorithms(settings)
    unknown = [each for each in algorithms if each not in ALGORITHMS]
    if unknown or not algorithms:
        what = f"{', '.join(unknown)} cannot be believed" if unknown else "it names none"
        yield f"oidc_algorithms: {what}; there are {', '.join(ALGORITHMS)}"
    for name, table in _tables(settings).items():
        yield from (
            f"{name}: the role {role!r} of {key!r} is no name" for key, roles in table.items() for role in roles if name_faults("", role)
        )
    if name_faults("", settings.oidc_tenant):
        yield f"oidc_tenant is {settings.oidc_tenant!r}, which no tenant can be called"
    for read in (_trusted, client_of):
        try:
            read(settings)
        except SettingsError as error:
            yield str(error)


def _client_faults(settings: Settings) -> Iterator[str]:
    if not settings.oidc_audience and not settings.oidc_client_id:
        yield "oidc_issuer is set, and neither oidc_audience nor oidc_client_id: say whom access tokens are to be for, or who we are for logins"
    if settings.oidc_audience and settings.oidc_audience == settings.oidc_client_id:
        yield "oidc_audience and oidc_client_id are the same: then what tells a client who has logged in would pass for an access token"
    if settings.oidc_client_id is None:
        given = [name for name in ("oidc_client_secret", "oidc_client_secret_file") if getattr(settings, name)]
        yield from (f"{name} is set and oidc_client_id is not" for name in given)
    if "openid" not in settings.oidc_scopes.split():
        yield f"oidc_scopes is {settings.oidc_scopes!r}, which lacks openid: without it the provider does not say who has logged in"
    url = settings.public_url
    if url is not None and (not is_safe_address(url) or any(urlsplit(url)[3:])):
        yield f"public_url is {url!r}; it must be an address with https (or http on this machine), without query and fragment"


def _secret(settings: Settings) -> str:
    """Return the secret of the client, empty where it has none."""
    file = settings.oidc_client_secret_file
    if file is None:
        return settings.oidc_client_secret
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise SettingsError(f"oidc_client_secret_file: {file} cannot be read: {reason}") from None


def _tables(settings: Settings) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    return {"oidc_roles": settings.oidc_roles, "oidc_client_roles": settings.oidc_client_roles}


def _algorithms(settings: Settings) -> list[str]:
    return [each.strip() for each in settings.oidc_algorithms.split(",") if each.strip()]


def _trusted(settings: Settings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.oidc_ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error.strerror or "unreadable"
        raise SettingsError(f"oidc_ca_file: no certificates can be read from {settings.oidc_ca_file}: {reason}") from None
