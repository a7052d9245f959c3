"""Who somebody is at this moment, for what goes on in his name while he does not ask. Implements `engine.child_orders.Callers`; chosen by `bootstrap`."""

from stepswitch.engine.account_ports import AccountStore, People
from stepswitch.engine.callers import Caller
from stepswitch.engine.privileges import ROLES, Grant, grants_of
from stepswitch.engine.records import Account


class CurrentCallers:
    """Callers by their accounts as they are now: a role that was taken away is gone with what is begun next."""

    def __init__(self, store: AccountStore, people: People) -> None:
        self._store = store
        self._people = people

    async def caller(self, tenant: str, user: str) -> Caller | None:
        """See `Callers`."""
        account = await self._people.account(user)
        if account is None or account.is_disabled or account.tenant != tenant:
            return None
        return Caller(account.name, account.tenant, await granted(self._store, account))


class OnlyCaller:
    """The user of the operating system, on a machine where nobody logs in."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def caller(self, tenant: str, user: str) -> Caller | None:
        """See `Callers`."""
        return self._caller if (self._caller.tenant, self._caller.user) == (tenant, user) else None


async def granted(store: AccountStore, account: Account) -> tuple[Grant, ...]:
    """Return what somebody's roles let him do, the tenant's own among them."""
    has_own = any(role not in ROLES for role in account.roles)
    own = {role.name: role for role in await store.roles(account.tenant)} if has_own else {}
    return grants_of(account.roles, own)
