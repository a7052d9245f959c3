"""Local accounts: passwords are hashed with argon2id, in a thread. Called by `sessions` at a login and by `bootstrap` at the first start."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from stepswitch.domain.errors import OverloadedError
from stepswitch.engine.account_ports import AccountStore
from stepswitch.engine.audit import Entry, Thing
from stepswitch.engine.callers import DEFAULT_TENANT
from stepswitch.engine.crash_points import CrashPoint, reach
from stepswitch.engine.privileges import ADMINISTRATOR
from stepswitch.engine.records import Account

ADMIN: Final = "admin"
_MADE_UP_BYTES: Final = 15
_AT_ONCE: Final = 2
"""Passwords that are checked at the same time: each takes 64 MiB and a whole core for a while."""
_WAITING: Final = 100


class Passwords:
    """Hashes and verifies passwords without holding up anybody else. `hasher` is argon2id with the parameters of RFC 9106 unless told."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._asked = 0
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """Return the text to store for `password`."""
        return await asyncio.to_thread(self._hasher.hash, _bytes(password))

    async def fits(self, password_hash: str | None, password: str) -> bool:
        """Return whether `password` is the one that was hashed. None, for an unknown user, takes the same time and is never right.

        Raises OverloadedError where too many wait for an answer already.
        """
        if self._asked >= _WAITING:
            raise OverloadedError("too many logins at once", retry_after=5)
        self._asked += 1
        try:
            async with self._places:
                if self._nobodys is None:
                    self._nobodys = await self.hash(secrets.token_urlsafe())
                known = await asyncio.to_thread(self._verify, password_hash or self._nobodys, password)
                return known and password_hash is not None
        finally:
            self._asked -= 1

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False


async def ensure_admin(
    store: AccountStore, passwords: Passwords, password: str | None, tell: Callable[[str], None], entry: Entry | None = None
) -> None:
    """Create the user `admin` where there is no account at all; one that is made up where `password` is None is told by `tell`.

    It is told before it is stored: a stop in between costs a password that counts for nothing, and the next start tells another one.
    The other way round nobody could ever log in.
    """
    if await store.count_accounts():
        return
    chosen = password if password is not None else secrets.token_urlsafe(_MADE_UP_BYTES)
    account = Account(ADMIN, DEFAULT_TENANT, await passwords.hash(chosen), (ADMINISTRATOR,))
    if password is None:
        tell(chosen)
    reach(CrashPoint.ACCOUNT_UNSAVED)
    record = None if entry is None else replace(entry, tenant=account.tenant, thing=Thing("user", ADMIN), after={"roles": account.roles})
    await store.put_account(account, entry=record)
    reach(CrashPoint.ACCOUNT_SAVED)


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
