"""Whom the provider vouches for, as accounts: what they are called here, which roles their groups mean. Used by `provider_access` and `provider_logins`.

Somebody gets an account when he first comes, and keeps its name: who he is, is what the provider calls him for good (`iss` and `sub`). A name that has been
somebody's never becomes another one's, and no account with a password can have one: those have no `:` in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from stepswitch.access.provider_tokens import Claims
from stepswitch.domain.errors import NotAuthenticatedError, VersionConflictError
from stepswitch.engine.account_ports import AccountStore
from stepswitch.engine.audit import Actor, Entry, Thing, changed
from stepswitch.engine.callers import DEFAULT_TENANT
from stepswitch.engine.names_of_people import name_faults
from stepswitch.engine.ports import Clock
from stepswitch.engine.privileges import role_name
from stepswitch.engine.records import Account

LONGEST_SUBJECT: Final = 512
_TRIES: Final = 3
RolesByName = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class PeopleRules:
    """What claims mean: `roles` of groups, `client_roles` of clients that come in their own name."""

    label: str = "oidc"
    name_claim: str = "preferred_username"
    groups_claim: str = "groups"
    roles: RolesByName = field(default_factory=dict)
    client_roles: RolesByName = field(default_factory=dict)
    tenant: str = DEFAULT_TENANT
    tenant_claim: str | None = None

    def name_of(self, claims: Claims) -> str:
        """Return what somebody is called here; raises NotAuthenticatedError where that is no name."""
        given = claim(claims, self.name_claim)
        name = given if isinstance(given, str) and given else str(claims["sub"])
        if name_faults("", name) or ":" in name:
            raise NotAuthenticatedError(f"nobody can be called {name[:80]!r} here: choose another claim with oidc_name_claim")
        return f"{self.label}:{name}"

    def tells_roles(self, claims: Claims) -> bool:
        """Return whether an access token says anything of roles: one that was asked for without groups must not take those away that somebody has."""
        return claim(claims, self.groups_claim) is not None or _is_client(claims)

    def roles_of(self, claims: Claims) -> tuple[str, ...]:
        """Return the roles that the groups mean, and the client where he comes in his own name; none where nothing means any."""
        given = claim(claims, self.groups_claim)
        groups = [given] if isinstance(given, str) else given if isinstance(given, list) else []
        found = [role for each in groups if isinstance(each, str) for role in self.roles.get(each, ())]
        if _is_client(claims):
            found += self.client_roles.get(claims["sub"], ())
        return tuple(dict.fromkeys(map(role_name, found)))

    def tenant_of(self, claims: Claims) -> str:
        """Return the tenant; raises NotAuthenticatedError where none can be told."""
        if self.tenant_claim is None:
            return self.tenant
        given = claim(claims, self.tenant_claim)
        if not isinstance(given, str) or name_faults("", given):
            raise NotAuthenticatedError(f"the claim {self.tenant_claim} names no tenant")
        return given


class ProviderPeople:
    """Keeps the accounts of those whom the provider vouches for."""

    def __init__(self, store: AccountStore, rules: PeopleRules, issuer: str, clock: Clock) -> None:
        self.rules = rules
        self._store = store
        self._issuer = issuer
        self._clock = clock

    async def account(self, claims: Claims, *, is_login: bool = False) -> Account:
        """Return the account of whoever checked claims are about, as they say it is; raises NotAuthenticatedError where he may not come in.

        What a login does not say is not so; an access token may be silent of groups.
        """
        subject = f"{self._issuer} {claims['sub']}"
        if len(subject) > LONGEST_SUBJECT or not subject.isprintable():
            raise NotAuthenticatedError("the sub of the token is none that can be stored")
        for _ in range(_TRIES):
            known = await self._store.account_of(subject)
            if known is not None and known.is_disabled:
                raise NotAuthenticatedError(f"{known.name} is disabled")
            try:
                return await (self._new(subject, claims) if known is None else self._renewed(known, claims, is_login=is_login))
            except VersionConflictError:
                continue  # somebody has just changed it, or he came twice at the same moment
        raise NotAuthenticatedError(f"{self.rules.name_of(claims)} is somebody else; nobody gets a name that another one has had")

    async def _new(self, subject: str, claims: Claims) -> Account:
        account = Account(
            self.rules.name_of(claims),
            self.rules.tenant_of(claims),
            "",
            self.rules.roles_of(claims),
            subject=subject,
            told_at=_told_at(claims),
        )
        after = {"tenantId": account.tenant, "roles": account.roles, "provider": self._issuer, "subject": claims["sub"]}
        await self._store.add_account(account, self._entry("createUser", account, {}, after))
        return account

    async def _renewed(self, known: Account, claims: Claims, *, is_login: bool) -> Account:
        """Return an account as the claims have it; what a later token has said stays stored."""
        account = replace(known, tenant=self.rules.tenant_of(claims), roles=self.rules.roles_of(claims), told_at=_told_at(claims))
        was, becomes = changed(_shown(known), _shown(account))
        if becomes and account.told_at > known.told_at and (is_login or self.rules.tells_roles(claims)):
            await self._store.change_account(known, account, self._entry("changeUser", account, was, becomes))
        return account

    def _entry(self, operation: str, account: Account, before: Mapping[str, Any], after: Mapping[str, Any]) -> Entry:
        thing = Thing("user", account.name)
        return Entry(operation, self._clock.now(), account.tenant, account.name, Actor.PROVIDER, thing=thing, before=before, after=after)


def claim(claims: Claims, name: str) -> object:
    """Return a claim by its name, or by the names that lead to it with dots between them."""
    if name in claims:
        return claims[name]
    found: object = claims
    for each in name.split("."):
        found = found.get(each) if isinstance(found, dict) else None
    return found


def _is_client(claims: Claims) -> bool:
    """Return whether nobody but a client stands behind a token, as RFC 9068 has it."""
    return bool(claims.get("client_id") == claims["sub"])


def _told_at(claims: Claims) -> int:
    return round(float(claims["iat"]) * 1000)


def _shown(account: Account) -> dict[str, str | Sequence[str]]:
    return {"tenantId": account.tenant, "roles": account.roles}
