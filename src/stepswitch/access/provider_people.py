"""What the provider says of people and clients: what they are called here, which roles their groups mean. Used by `provider_access` and `provider_logins`.

Their accounts are kept in `vouched`. No account with a password can have a name of theirs: those have no `:` in them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from stepswitch.access.provider_tokens import Claims
from stepswitch.access.vouched import Vouched, VouchedAccounts
from stepswitch.domain.errors import NotAuthenticatedError
from stepswitch.engine.account_ports import AccountStore
from stepswitch.engine.callers import DEFAULT_TENANT
from stepswitch.engine.names_of_people import LONGEST_NAME, name_faults
from stepswitch.engine.ports import Clock
from stepswitch.engine.privileges import role_name
from stepswitch.engine.records import Account

LONGEST_SUBJECT: Final = 512
_NUMBER: Final = 4
"""What stands in a name beside label and name: the `:`, and a number where the name is another one's."""
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
        if name_faults("", name) or ":" in name or len(self.label) + len(name) > LONGEST_NAME - _NUMBER:
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
    """Knows the accounts of those whom the provider vouches for."""

    def __init__(self, store: AccountStore, rules: PeopleRules, issuer: str, clock: Clock) -> None:
        self.rules = rules
        self._store = store
        self._accounts = VouchedAccounts(store, clock)
        self._issuer = issuer

    async def account(self, claims: Claims, *, is_login: bool = False) -> Account:
        """Return the account of whoever checked claims are about, as they say it is; raises NotAuthenticatedError where he may not come in.

        What a login does not say is not so; an access token may be silent of groups, and leaves what is stored as it is.
        """
        rules, told_at = self.rules, round(float(claims["iat"]) * 1000)
        vouched = Vouched(self._issuer, claims["sub"], rules.name_of(claims), rules.tenant_of(claims), rules.roles_of(claims), told_at)
        if len(vouched.subject) > LONGEST_SUBJECT or not vouched.subject.isprintable():
            raise NotAuthenticatedError("the sub of the token is none that can be stored")
        known = None if is_login or rules.tells_roles(claims) else await self._store.account_of(vouched.subject)
        account = await self._accounts.account(vouched) if known is None else known
        if account is None or account.is_disabled:
            raise NotAuthenticatedError(f"{vouched.name} is disabled")
        return replace(account, tenant=vouched.tenant, roles=vouched.roles)


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
