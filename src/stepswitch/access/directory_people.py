"""Whom the directory knows: logs them in for `sessions`, and knows for `people` what they are now.

What the directory said counts for some minutes, then it is asked again. Where it cannot be asked, what it said last counts for a while, and then
nobody is believed any more. Who is gone, or has no role left, is logged out everywhere.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog

from stepswitch.access.directory import Directory
from stepswitch.access.directory_rules import DirectoryEntry
from stepswitch.access.directory_text import PREFIX
from stepswitch.access.vouched import Vouched, VouchedAccounts
from stepswitch.domain.errors import OverloadedError, ProviderUnavailableError, VersionConflictError
from stepswitch.engine.account_ports import AccountStore
from stepswitch.engine.names_of_people import name_faults
from stepswitch.engine.passwords import LONGEST
from stepswitch.engine.ports import Clock
from stepswitch.engine.records import DIRECTORY, Account, Ending

AGAIN_SECONDS: Final = 30.0
"""How long nobody is looked at again after the directory could not be asked: a request does not wait for it each time."""
_MINUTE: Final = 60_000
_log = structlog.get_logger("stepswitch.access")


@dataclass(frozen=True, slots=True)
class Belief:
    """For how many minutes what the directory said counts: `looked` until it is asked again, `trusted` where it cannot be asked."""

    looked: float = 5.0
    trusted: float = 60.0


class DirectoryPeople:
    """Keeps the accounts of those whom the directory knows."""

    def __init__(self, store: AccountStore, directory: Directory, clock: Clock, belief: Belief) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._belief = belief
        self._accounts = VouchedAccounts(store, clock)
        self._not_before = 0.0
        self._looks: dict[str, asyncio.Task[Account | None]] = {}

    @property
    def longest_login(self) -> int | None:
        """For how many milliseconds a login lasts at most; None where the directory can be asked again meanwhile."""
        return None if self._directory.can_look else round(self._belief.trusted * _MINUTE)

    def name_of(self, username: str) -> str | None:
        """Return by what somebody who typed `username` is known to the directory; None where it is asked for nobody called so."""
        name = username.removeprefix(PREFIX)
        return None if ":" in name or name_faults("", name) else name

    async def login(self, username: str, password: str) -> Account | None:
        """Return the account of who logs in; None where that is nobody. Raises ProviderUnavailableError and OverloadedError where nobody can say."""
        name = self.name_of(username)
        if name is None or not password or len(password) > LONGEST or not _is_text(name + password):
            return None  # an empty password is no password: a directory would let in whoever has none, as nobody (RFC 4513, 5.1.2)
        asked_at = self._clock.now()
        found = await self._directory.check(name, password)
        if found is not None and not found.name:
            attribute = self._directory.rules.name_attribute
            _log.warning("an entry says no name that anybody could have here (ldap_name_attribute)", attribute=attribute, dn=found.dn)
            return None
        vouched = None if found is None else self._vouched(found, f"{PREFIX}{found.name}", asked_at)
        return None if vouched is None else await self._accounts.account(vouched)

    async def current(self, account: Account) -> Account | None:
        """Return the account of somebody whom the directory knew as it is now, None where it knows him no more; raises as `login`."""
        if account.is_disabled:
            return account
        now = await self._looked(account) if self._age(account) >= self._belief.looked * _MINUTE else account
        return now if now is not None and now.roles else None

    async def _looked(self, account: Account) -> Account | None:
        """Return an account after a look into the directory, which many may wait for at the same time."""
        look = self._looks.get(account.name)
        if look is None:
            look = asyncio.get_running_loop().create_task(self._look(account))
            self._looks[account.name] = look
            look.add_done_callback(lambda _: self._looks.pop(account.name, None))
        return await asyncio.shield(look)

    async def _look(self, account: Account) -> Account | None:
        asked_at = self._clock.now()
        if not self._directory.can_look:
            return account if self._is_trusted(account) else None
        try:
            found = await self._found(account)
        except OverloadedError:
            if self._is_trusted(account):
                return account
            raise
        vouched = None if found is None or found.id != account.subject_id else self._vouched(found, account.name, asked_at)
        try:
            if vouched is None:
                return await self._gone(account, asked_at)
            return await self._accounts.renewed(account, vouched)
        except VersionConflictError:
            return await self._store.account(account.name)  # somebody has just changed it

    async def _found(self, account: Account) -> DirectoryEntry | None:
        """Return what the directory says; raises at once where it could not be asked a moment ago."""
        if self._clock.monotonic() < self._not_before:
            raise ProviderUnavailableError("the directory could not be asked a moment ago")
        try:
            return await self._directory.look(account.subject_id)
        except OverloadedError:
            self._not_before = self._clock.monotonic() + AGAIN_SECONDS
            raise

    async def _gone(self, account: Account, asked_at: int) -> Account:
        _log.warning("a user is no more in the directory, or has no role there, and is logged out", user=account.name)
        nothing = Vouched(DIRECTORY, account.subject_id, account.name, account.tenant, (), asked_at)
        return await self._accounts.renewed(account, nothing, Ending.ALL)

    def _vouched(self, found: DirectoryEntry, name: str, asked_at: int) -> Vouched | None:
        """Return what the directory says of somebody called `name`; None where he has no business here, and the log says why."""
        rules = self._directory.rules
        roles = rules.roles_of(found.groups)
        if not roles:
            _log.warning("none of the groups of a user means a role (ldap_roles)", user=name, dn=found.dn, groups=found.groups[:20])
            return None
        return Vouched(DIRECTORY, found.id, name, rules.tenant, roles, asked_at)

    def _age(self, account: Account) -> int:
        return max(0, self._clock.now() - account.told_at)

    def _is_trusted(self, account: Account) -> bool:
        return self._age(account) < self._belief.trusted * _MINUTE


def _is_text(text: str) -> bool:
    """Return whether a text can be sent: half a character cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
