"""Risk: a password can be read or guessed, the first start leaves nobody able to log in, or logins stop the service."""

import asyncio
from typing import Literal

import pytest
from argon2 import PasswordHasher

from stepswitch.access import accounts
from stepswitch.access.accounts import _AT_ONCE, _WAITING, Passwords, ensure_admin
from stepswitch.domain.errors import OverloadedError, StoreError
from stepswitch.engine.audit import Entry
from stepswitch.engine.privileges import ADMINISTRATOR
from stepswitch.engine.records import Account, Ending
from tests.access.account_store import DictAccountStore

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


async def test_the_first_start_makes_up_a_password_and_tells_it_once() -> None:
    store, passwords, told = DictAccountStore(), Passwords(QUICK), list[str]()
    await ensure_admin(store, passwords, None, told.append)
    (shown,) = told
    assert len(shown) == 20
    admin = store.known["admin"]
    assert admin.tenant == "default"
    assert admin.roles == (ADMINISTRATOR,)
    assert await passwords.fits(admin.password_hash, shown)
    await ensure_admin(store, passwords, None, told.append)
    assert told == [shown]
    assert store.known["admin"] is admin


async def test_a_start_that_stops_before_the_account_is_stored_leaves_nobody_locked_out() -> None:
    class Stopping(DictAccountStore):
        async def put_account(self, account: Account, ending: Ending = Ending.NONE, entry: Entry | None = None) -> None:
            raise StoreError("no space left")

    told: list[str] = []
    with pytest.raises(StoreError):
        await ensure_admin(Stopping(), Passwords(QUICK), None, told.append)
    store, passwords = DictAccountStore(), Passwords(QUICK)
    await ensure_admin(store, passwords, None, told.append)
    assert await passwords.fits(store.known["admin"].password_hash, told[-1])
    assert len(told) == 2


async def test_a_password_that_was_set_is_not_shown_and_counts_only_once() -> None:
    store, passwords, told = DictAccountStore(), Passwords(QUICK), list[str]()
    await ensure_admin(store, passwords, "correct horse", told.append)
    await ensure_admin(store, passwords, "another one", told.append)
    assert not told
    assert await passwords.fits(store.known["admin"].password_hash, "correct horse")
    assert not await passwords.fits(store.known["admin"].password_hash, "another one")


async def test_what_is_stored_is_argon2id_with_the_recommended_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "PasswordHasher", PasswordHasher)  # in earnest, as nowhere else in this process
    stored = await Passwords().hash("correct horse")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert "correct horse" not in stored


@pytest.mark.parametrize("stored", ["", "no hash", "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA"])
async def test_a_broken_hash_lets_nobody_in(stored: str) -> None:
    assert not await Passwords(QUICK).fits(stored, "x")


@pytest.mark.parametrize("password", ["", "\x00", "\ud800", "é" * 10_000])
async def test_any_text_can_be_a_password(password: str) -> None:
    passwords = Passwords(QUICK)
    stored = await passwords.hash(password)
    assert await passwords.fits(stored, password)
    assert not await passwords.fits(stored, password + "x")


async def test_an_unknown_user_takes_as_much_work_as_a_known_one() -> None:
    counted = _CountingHasher()
    passwords = Passwords(counted)
    stored = await passwords.hash("correct horse")
    assert not await passwords.fits(None, "warm up")
    counted.verified = 0
    assert not await passwords.fits(None, "anything")
    assert not await passwords.fits(stored, "anything")
    assert counted.verified == 2


async def test_a_flood_of_logins_is_turned_away_instead_of_filling_the_memory() -> None:
    passwords = Passwords(QUICK)
    for _ in range(_AT_ONCE):
        await passwords._places.acquire()
    waiting = [asyncio.create_task(passwords.fits(None, "x")) for _ in range(_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await passwords.fits(None, "x")
    for _ in range(_AT_ONCE):
        passwords._places.release()
    assert not any(await asyncio.gather(*waiting))
    assert not await passwords.fits(None, "x")


class _CountingHasher(PasswordHasher):
    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002
        self.verified += 1
        return super().verify(hash, password)
