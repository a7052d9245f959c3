"""Those whom somebody else vouches for, as accounts: they get one when they first come, and keep its name. Used by `directory_people` and `provider_people`.

Who somebody is, is what the other one calls him for good, his subject. A name that has been somebody's never becomes another one's: who is called as somebody
was before gets a number behind his name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from stepswitch.domain.errors import VersionConflictError
from stepswitch.engine.account_ports import AccountStore
from stepswitch.engine.audit import Actor, Entry, Thing, changed
from stepswitch.engine.ports import Clock
from stepswitch.engine.records import Account, Ending

_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Vouched:
    """What was said of somebody, at `told_at`: by whom (`source`, one word), who he is there for good, and what he is called."""

    source: str
    id: str
    name: str
    tenant: str
    roles: tuple[str, ...]
    told_at: int

    @property
    def subject(self) -> str:
        """Who he is, wherever he comes from."""
        return f"{self.source} {self.id}"


class VouchedAccounts:
    """Keeps their accounts."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def account(self, vouched: Vouched) -> Account | None:
        """Return the account of somebody, as it was just said of him; None where an administrator has disabled it."""
        for number in range(1, _TRIES):
            known = await self._store.account_of(vouched.subject)
            if known is not None and known.is_disabled:
                return None
            try:
                return await (self._new(vouched, number) if known is None else self.renewed(known, vouched))
            except VersionConflictError:
                continue  # the name is another one's, or he came twice at the same moment
        raise VersionConflictError(f"{vouched.name} has had too many names")

    async def renewed(self, known: Account, vouched: Vouched, ending: Ending = Ending.NONE) -> Account:
        """Return an account as it was just said; raises VersionConflictError where somebody changed it meanwhile. What was said later stays."""
        if vouched.told_at < known.told_at:
            return known
        account = replace(known, tenant=vouched.tenant, roles=vouched.roles, told_at=vouched.told_at)
        if account == known and ending is Ending.NONE:
            return known  # the same was said once more
        was, becomes = changed(_shown(known), _shown(account))
        if ending is not Ending.NONE:
            becomes["endedSessions"] = ending.value
        entry = self._entry("changeUser", vouched, account.name, was, becomes) if becomes else None
        await self._store.change_account(known, account, entry, ending)
        return account

    async def _new(self, vouched: Vouched, number: int) -> Account:
        name = vouched.name if number == 1 else f"{vouched.name}.{number}"
        account = Account(name, vouched.tenant, "", vouched.roles, subject=vouched.subject, told_at=vouched.told_at)
        await self._store.add_account(
            account, self._entry("createUser", vouched, name, {}, {**_shown(account), "subject": vouched.subject})
        )
        return account

    def _entry(self, operation: str, vouched: Vouched, name: str, before: Mapping[str, object], after: Mapping[str, object]) -> Entry:
        thing = Thing("user", name)
        return Entry(operation, self._clock.now(), vouched.tenant, name, Actor.PROVIDER, thing=thing, before=before, after=after)


def _shown(account: Account) -> dict[str, str | Sequence[str]]:
    return {"tenantId": account.tenant, "roles": account.roles}
