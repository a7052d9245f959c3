"""The directory that knows users, wired as the settings want it. Called by `people`."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import structlog

from stepswitch.access.directory import Directory
from stepswitch.access.directory_people import Belief, DirectoryPeople
from stepswitch.access.directory_rules import DN, USERNAME, DirectoryRules, DirectoryServer, Encryption, ServiceAccount
from stepswitch.access.directory_text import read_name
from stepswitch.config.settings import Settings
from stepswitch.engine.account_ports import AccountStore
from stepswitch.engine.names_of_people import name_faults
from stepswitch.engine.ports import Clock
from stepswitch.engine.privileges import ROLES, role_name

PREFIX: Final = "ldap_"
_PORTS: Final = {"ldap": 389, "ldaps": 636}
_log = structlog.get_logger("stepswitch")


def directory_of(settings: Settings, store: AccountStore, clock: Clock) -> DirectoryPeople | None:
    """Return who logs people in by the directory, None where there is none."""
    if settings.ldap_url is None:
        return None
    service = None
    if settings.ldap_bind_dn is not None:
        service = ServiceAccount(settings.ldap_bind_dn, settings.ldap_password, settings.ldap_password_file)
    directory = Directory(_server(settings, settings.ldap_url), _rules(settings), service, clock)
    return DirectoryPeople(store, directory, clock, Belief(settings.ldap_refresh_minutes, settings.ldap_trust_minutes))


async def warn_of_groups(settings: Settings, store: AccountStore) -> None:
    """Say in the log which roles the settings give to groups of the directory that are not there: nobody may do anything by them."""
    named = {role_name(role) for roles in settings.ldap_roles.values() for role in roles}
    missing = sorted(named - ROLES.keys() - {role.name for role in await store.roles(settings.ldap_tenant)})
    if settings.ldap_url is not None and missing:
        _log.warning("ldap_roles gives roles that are not there", roles=missing, tenant=settings.ldap_tenant)


def _server(settings: Settings, url: str) -> DirectoryServer:
    address = urlsplit(url)
    plain = Encryption.START_TLS if settings.ldap_start_tls else Encryption.NONE
    encryption = Encryption.TLS if address.scheme == "ldaps" else plain
    port = address.port or _PORTS[address.scheme]
    return DirectoryServer(address.hostname or "", port, encryption, settings.ldap_ca_file, settings.ldap_timeout_seconds)


def _rules(settings: Settings) -> DirectoryRules:
    return DirectoryRules(
        user_dn=settings.ldap_user_dn,
        user_base=settings.ldap_user_base,
        user_filter=settings.ldap_user_filter,
        name_attribute=settings.ldap_name_attribute,
        id_attribute=settings.ldap_id_attribute,
        group_base=settings.ldap_group_base,
        group_filter=settings.ldap_group_filter,
        member_of=settings.ldap_member_of,
        roles=settings.ldap_roles,
        tenant=settings.ldap_tenant,
    )


def directory_faults(settings: Settings) -> Iterator[str]:
    """Yield each fault of what the settings say of a directory, as a sentence."""
    if settings.ldap_url is None:
        about = "there is no directory that it could be about"
        yield from (f"{name} is set and ldap_url is not: {about}" for name in settings.given(PREFIX))
        return
    yield from _address_faults(settings, settings.ldap_url)
    yield from _service_faults(settings)
    yield from _search_faults(settings)
    yield from _role_faults(settings)


def _address_faults(settings: Settings, url: str) -> Iterator[str]:
    try:
        address = urlsplit(url)
        fits = address.scheme in _PORTS and bool(address.hostname) and not any((address.username, address.path.strip("/"), *address[3:]))
        fits = fits and (address.port is None or address.port > 0)
    except ValueError:
        fits = False
    if not fits:
        yield f"ldap_url is {url!r}; it must be ldaps://HOST:PORT or ldap://HOST:PORT, and nothing else"
        return
    server = _server(settings, url)
    if server.encryption is Encryption.NONE and not server.is_here:
        yield f"ldap_start_tls is false and {server.host} is another machine: passwords would be sent there for everybody to read"
    if server.encryption is not Encryption.NONE:
        try:
            server.trusted()
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "unreadable"
            yield f"ldap_ca_file: no certificates can be read from {settings.ldap_ca_file}: {reason}"


def _service_faults(settings: Settings) -> Iterator[str]:
    if settings.ldap_bind_dn is None:
        if not settings.ldap_user_dn:
            yield "neither ldap_user_dn nor ldap_bind_dn is set: the service has to know where a user's entry is, or with whom to search it"
        if settings.ldap_password or settings.ldap_password_file is not None:
            yield "a password for the directory is set and ldap_bind_dn is not: say whose it is"
        return
    if not settings.ldap_bind_dn or "\0" in settings.ldap_bind_dn:
        yield f"ldap_bind_dn is {settings.ldap_bind_dn!r}, which is no name of an entry"
    account = ServiceAccount(settings.ldap_bind_dn, settings.ldap_password, settings.ldap_password_file)
    try:
        if not account.secret():
            yield "ldap_bind_dn is set and its password is empty: set ldap_password_file or ldap_password"
    except (OSError, ValueError) as error:
        yield f"ldap_password_file: {settings.ldap_password_file} cannot be read: {getattr(error, 'strerror', None) or 'no text in UTF-8'}"


def _search_faults(settings: Settings) -> Iterator[str]:
    rules = _rules(settings)
    if settings.ldap_user_dn and settings.ldap_user_dn.count(USERNAME) != 1:
        yield f"ldap_user_dn is {settings.ldap_user_dn!r}; it must have {USERNAME} in it, once"
    if not settings.ldap_user_dn and USERNAME not in settings.ldap_user_filter:
        yield f"ldap_user_filter is {settings.ldap_user_filter!r}; where users are searched it must have {USERNAME} in it"
    names = {"ldap_user_dn": rules.entry_of("x"), "ldap_user_base": rules.base, "ldap_group_base": settings.ldap_group_base}
    for name, text in names.items():
        if text and read_name(text) is None:
            yield f"{name} is {getattr(settings, name)!r}, which is no name of an entry"
    if not rules.base:
        yield "ldap_user_base is not set: say below which entry users are"
    from stepswitch.access.directory_talk import is_filter  # noqa: PLC0415 # takes a while to load, and most installations have no directory

    filters = {"ldap_user_filter": rules.filter_of("x"), "ldap_group_filter": rules.filter_of_groups("cn=x", ["x"])}
    for name, text in filters.items():
        if not is_filter(text):
            yield f"{name} is {getattr(settings, name)!r}, which is no filter as RFC 4515 has it"
    if settings.ldap_group_base and DN not in settings.ldap_group_filter and USERNAME not in settings.ldap_group_filter:
        yield f"ldap_group_filter is {settings.ldap_group_filter!r}; it must have {DN} or {USERNAME} in it, or every group would be everybody's"


def _role_faults(settings: Settings) -> Iterator[str]:
    if not settings.ldap_roles:
        yield "ldap_roles is empty: whoever has no role through his groups is refused, so nobody could log in by the directory"
    if not settings.ldap_group_base and not settings.ldap_member_of:
        yield "neither ldap_group_base nor ldap_member_of is set: nobody would be in any group"
    for group, roles in settings.ldap_roles.items():
        if "=" in group and read_name(group) is None:
            yield f"ldap_roles: {group!r} is no name of an entry"
        elif "=" not in group and not settings.ldap_group_base:
            yield f"ldap_roles: {group!r} has to be the whole name of an entry, as ldap_group_base is not set"
        yield from (f"ldap_roles: the role {role!r} of {group!r} is no name" for role in roles if name_faults("", role))
    if name_faults("", settings.ldap_tenant):
        yield f"ldap_tenant is {settings.ldap_tenant!r}, which no tenant can be called"
    if settings.ldap_trust_minutes < settings.ldap_refresh_minutes:
        yield "ldap_trust_minutes is less than ldap_refresh_minutes: what the directory said would count for nothing before it is asked again"
