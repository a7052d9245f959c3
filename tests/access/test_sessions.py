"""Risk: a token that is guessed, expired or logged out still opens the door, or every request costs a read."""

import asyncio
import hashlib
from dataclasses import replace

import pytest
from argon2 import PasswordHasher

from stepswitch.access.accounts import Passwords, ensure_admin
from stepswitch.access.sessions import KEPT, LOOK_SECONDS, TRUSTED_SECONDS, Sessions, _Kept
from stepswitch.domain.errors import ErrorCode, NotAuthenticatedError, StoreError, TooManyAttemptsError
from stepswitch.engine.account_ports import Authenticator
from stepswitch.engine.callers import administrator
from stepswitch.engine.privileges import ADMINISTRATOR
from stepswitch.engine.records import Session
from tests.access.account_store import DictAccountStore, HandClock
from tests.clocks import FakeClock

HOUR = 3_600_000


class House:
    def __init__(self, store: DictAccountStore) -> None:
        self.store = store
        self.clock = HandClock()
        self.passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        self.sessions = Sessions(store, self.passwords, self.clock, session_hours=8)

    async def login(self) -> str:
        token, _ = await self.sessions.login("admin", "correct horse")
        return token


@pytest.fixture
async def house() -> House:
    house = House(DictAccountStore())
    await ensure_admin(house.store, house.passwords, "correct horse", lambda _: None)
    return house


async def refused(sessions: Authenticator, token: str) -> ErrorCode:
    with pytest.raises(NotAuthenticatedError) as raised:
        await sessions.authenticate(token)
    return raised.value.code


async def test_a_login_gives_a_token_of_which_only_the_hash_is_stored(house: House) -> None:
    token, session = await house.sessions.login("admin", "correct horse", "192.0.2.7")
    assert len(token) == 43
    assert session == Session(
        hashlib.sha256(token.encode()).hexdigest(),
        "admin",
        "default",
        (ADMINISTRATOR,),
        house.clock.now() + 8 * HOUR,
        house.store.known["admin"].credential,
        house.clock.now(),
        "192.0.2.7",
    )
    assert token not in repr(house.store.sessions)
    assert await house.sessions.authenticate(token) == replace(administrator("admin"), session_id=session.id)


@pytest.mark.parametrize("name", ["admin", "nobody", "", "\x00", "\ud800", "a" * 100_000])
async def test_a_wrong_password_and_an_unknown_user_sound_the_same(house: House, name: str) -> None:
    with pytest.raises(NotAuthenticatedError, match="unknown user or wrong password") as raised:
        await house.sessions.login(name, "wrong")
    assert raised.value.code is ErrorCode.WRONG_CREDENTIALS
    assert not house.store.sessions


async def test_a_session_in_use_is_not_read_again(house: House) -> None:
    token = await house.login()
    for _ in range(5):
        await house.sessions.authenticate(token)
    assert house.store.reads == 1


async def test_a_session_ends_at_its_time_also_when_it_is_kept(house: House) -> None:
    token = await house.login()
    house.clock.time += 8 * HOUR - 1
    await house.sessions.authenticate(token)
    house.clock.time += 1
    assert await refused(house.sessions, token) is ErrorCode.SESSION_EXPIRED


async def test_a_logout_counts_at_once(house: House) -> None:
    token, other = await house.login(), await house.login()
    await house.sessions.authenticate(token)
    await house.sessions.logout(token)
    assert await refused(house.sessions, token) is ErrorCode.NOT_AUTHENTICATED
    await house.sessions.authenticate(other)
    await house.sessions.logout("unknown")


async def test_a_logout_at_another_node_counts_soon(house: House) -> None:
    token = await house.login()
    await house.sessions.authenticate(token)
    await house.store.end_session(hashlib.sha256(token.encode()).hexdigest())
    await house.sessions.authenticate(token)
    house.clock.time += round(TRUSTED_SECONDS * 1000) + 1
    assert await refused(house.sessions, token) is ErrorCode.NOT_AUTHENTICATED


async def test_a_logout_while_the_session_is_being_read_is_not_undone(house: House) -> None:
    token = await house.login()
    slow = SlowStore(house.store)
    sessions = Sessions(slow, house.passwords, house.clock)
    reading = asyncio.create_task(sessions.authenticate(token))
    await slow.was_read.wait()
    await sessions.logout(token)
    slow.go_on.set()
    await reading
    assert await refused(sessions, token) is ErrorCode.NOT_AUTHENTICATED


async def test_a_session_survives_a_restart(house: House) -> None:
    token = await house.login()
    assert await House(house.store).sessions.authenticate(token)


async def test_a_login_sweeps_out_what_has_expired(house: House) -> None:
    await house.login()
    house.clock.time += 9 * HOUR
    await house.login()
    assert len(house.store.sessions) == 1


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "é" * 43, "A" * 1_000_000])
async def test_a_strange_token_is_refused(house: House, token: str) -> None:
    assert await refused(house.sessions, token) is ErrorCode.NOT_AUTHENTICATED


async def test_not_more_than_a_bounded_number_of_sessions_is_kept(house: House) -> None:
    kept = _Kept(administrator("x"), house.clock.now() + HOUR, house.clock.monotonic())
    house.sessions._kept.update({str(number): kept for number in range(KEPT)})
    await house.sessions.authenticate(await house.login())
    assert len(house.sessions._kept) == KEPT


class SlowStore(DictAccountStore):
    """Reads a session, then waits before it says so."""

    def __init__(self, store: DictAccountStore) -> None:
        super().__init__()
        self.known, self.sessions, self.made = store.known, store.sessions, store.made
        self.was_read = asyncio.Event()
        self.go_on = asyncio.Event()

    async def session(self, token_hash: str) -> Session | None:
        found = await super().session(token_hash)
        self.was_read.set()
        await self.go_on.wait()
        return found


async def test_guessing_is_slowed_down_for_unknown_users_as_for_known_ones(house: House) -> None:
    for name in ("admin", "nobody"):
        for _ in range(5):
            with pytest.raises(NotAuthenticatedError):
                await house.sessions.login(name, "wrong", "192.0.2.1")
        with pytest.raises(TooManyAttemptsError) as raised:
            await house.sessions.login(name, "correct horse", "192.0.2.1")
        assert raised.value.retry_after == 2
    house.clock.time += 1_000
    await house.sessions.login("admin", "correct horse", "192.0.2.1")


# --- the end of a session ---


class TimedHouse(House):
    """A house whose time passes only when the test says so."""

    def __init__(self, store: DictAccountStore) -> None:
        super().__init__(store)
        self.time = FakeClock()
        self.sessions = Sessions(store, self.passwords, self.time, session_hours=8)


@pytest.fixture
async def timed() -> TimedHouse:
    house = TimedHouse(DictAccountStore())
    await ensure_admin(house.store, house.passwords, "correct horse", lambda _: None)
    return house


async def test_a_logout_is_told_at_once_to_who_waits_for_it_and_to_nobody_else(timed: TimedHouse) -> None:
    mine, other = await timed.login(), await timed.login()
    waiting = [asyncio.ensure_future(timed.sessions.ended(token)) for token in (mine, mine, other)]
    await timed.time.settle()
    assert not any(each.done() for each in waiting)
    await timed.sessions.logout(mine)
    await timed.time.settle()
    assert [each.done() for each in waiting] == [True, True, False]
    waiting[2].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert timed.sessions._awaited == {}
    await asyncio.wait_for(timed.sessions.ended(mine), 10)


async def test_an_expiry_is_told_when_it_comes(timed: TimedHouse) -> None:
    ended = asyncio.ensure_future(timed.sessions.ended(await timed.login()))
    await timed.time.advance(8 * 3_600 - 0.5)
    assert not ended.done()
    await timed.time.advance(0.5)
    assert ended.done()


async def test_a_logout_at_another_node_is_told_soon(timed: TimedHouse) -> None:
    token = await timed.login()
    ended = asyncio.ensure_future(timed.sessions.ended(token))
    await timed.time.settle()
    await Sessions(timed.store, timed.passwords, timed.time).logout(token)
    await timed.time.advance(LOOK_SECONDS + 1)
    assert ended.done()


async def test_a_store_that_says_no_ends_no_session(timed: TimedHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await timed.login()
    ended = asyncio.ensure_future(timed.sessions.ended(token))
    read = timed.store.session

    async def fail(token_hash: str) -> Session | None:
        raise StoreError("no")

    monkeypatch.setattr(timed.store, "session", fail)
    await timed.time.advance(5 * LOOK_SECONDS)
    assert not ended.done()
    monkeypatch.setattr(timed.store, "session", read)
    await timed.sessions.logout(token)
    await timed.time.settle()
    assert ended.done()
