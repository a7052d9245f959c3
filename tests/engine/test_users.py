"""Risk: somebody who was shut out is still in, an administrator reaches beyond his tenant, or everybody is locked out."""

from dataclasses import dataclass, field, replace

import pytest
from argon2 import PasswordHasher

from stepswitch.access.accounts import Passwords
from stepswitch.access.attempts import FREE_OF_PLACE
from stepswitch.access.sessions import TRUSTED_SECONDS, Sessions
from stepswitch.domain.errors import (
    ErrorCode,
    InvalidRequestError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    TooManyAttemptsError,
)
from stepswitch.engine.callers import Caller, administrator
from stepswitch.engine.passwords import password_fault
from stepswitch.engine.privileges import ADMINISTRATOR, grants_of
from stepswitch.engine.users import UserOrder, Users
from tests.access.account_store import DictAccountStore, HandClock

PASSWORD, OTHER = "a pigeon on the roof", "a sparrow in the hand"
BOSS, ELSEWHERE = administrator("boss"), administrator("eve", "other")


@dataclass
class House:
    store: DictAccountStore = field(default_factory=DictAccountStore)
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        self.sessions = Sessions(self.store, passwords, self.clock)
        self.users = Users(self.store, passwords, self.sessions.forget, self.sessions.attempts)
        self.beside = Users(self.store, passwords)
        """What the command line does beside the service, which hears nothing of it."""

    async def login(self, name: str, password: str = PASSWORD) -> str:
        token, _ = await self.sessions.login(name, password)
        await self.sessions.authenticate(token)
        return token

    async def is_in(self, token: str) -> bool:
        try:
            await self.sessions.authenticate(token)
        except NotAuthenticatedError:
            return False
        return True


@pytest.fixture
async def house() -> House:
    house = House()
    await house.users.add(BOSS, "ann", PASSWORD, ["workflow-executor"])
    return house


async def refused(error: pytest.ExceptionInfo[InvalidRequestError]) -> list[str]:
    return [fault.path for fault in error.value.faults]


async def test_a_new_user_can_log_in_with_the_roles_that_were_given(house: House) -> None:
    token = await house.login("ann")
    caller = await house.sessions.authenticate(token)
    assert replace(caller, session_id="") == Caller("ann", "default", grants_of(["Workflow Executor"], {}))
    assert house.store.known["ann"].roles == ("Workflow Executor",)
    assert PASSWORD not in repr(house.store.known)


@pytest.mark.parametrize("order", [UserOrder(is_disabled=True), UserOrder(password=OTHER)], ids=["disabled", "another password"])
async def test_every_session_ends_at_once(house: House, order: UserOrder) -> None:
    tokens = [await house.login("ann"), await house.login("ann")]
    await house.users.change(BOSS, "ann", order)
    assert not any([await house.is_in(token) for token in tokens])
    assert not house.store.sessions


@pytest.mark.parametrize("order", [UserOrder(is_disabled=True), UserOrder(password=OTHER)], ids=["disabled", "another password"])
async def test_what_the_command_line_does_beside_the_service_counts_within_two_seconds(house: House, order: UserOrder) -> None:
    token = await house.login("ann")
    await house.beside.change(BOSS, "ann", order)
    house.clock.time += round(TRUSTED_SECONDS * 1000) + 1
    assert not await house.is_in(token)


async def test_a_session_that_was_being_opened_with_the_old_password_is_of_no_use(house: House) -> None:
    token = await house.login("ann")
    late = dict(house.store.sessions)
    await house.users.change(BOSS, "ann", UserOrder(password=OTHER))
    house.store.sessions = late
    assert not await house.is_in(token)


async def test_a_disabled_user_does_not_get_in_and_sounds_like_an_unknown_one(house: House) -> None:
    await house.users.change(BOSS, "ann", UserOrder(is_disabled=True))
    with pytest.raises(NotAuthenticatedError) as raised:
        await house.sessions.login("ann", PASSWORD)
    assert raised.value.code is ErrorCode.WRONG_CREDENTIALS
    await house.users.change(BOSS, "ann", UserOrder(is_disabled=False))
    await house.login("ann")


async def test_other_roles_count_with_the_next_request(house: House) -> None:
    token = await house.login("ann")
    await house.users.change(BOSS, "ann", UserOrder(roles=("Operations",)))
    assert (await house.sessions.authenticate(token)).grants == grants_of(["Operations"], {})


async def test_whoever_has_a_session_guesses_its_password_no_faster_than_at_a_login(house: House) -> None:
    ann, bob = Caller("ann"), Caller("bob")
    await house.users.add(BOSS, "bob", PASSWORD, [])
    for _ in range(FREE_OF_PLACE):
        with pytest.raises(InvalidRequestError):
            await house.users.change_own_password(ann, "guessed", OTHER)
    for tried in (PASSWORD, "guessed"):
        with pytest.raises(TooManyAttemptsError):
            await house.users.change_own_password(ann, tried, OTHER)
    await house.users.change_own_password(bob, PASSWORD, OTHER)  # nobody else is slowed down
    house.clock.time += 2_000
    await house.users.change_own_password(ann, PASSWORD, OTHER)
    await house.sessions.login("ann", OTHER, "192.0.2.1")


async def test_sessions_are_ended_by_an_administrator_and_others_keep_theirs(house: House) -> None:
    await house.users.add(BOSS, "bob", PASSWORD, [])
    ann, bob = await house.login("ann"), await house.login("bob")
    await house.users.end_sessions(BOSS, "ann")
    assert (await house.is_in(ann), await house.is_in(bob)) == (False, True)


async def test_every_fault_of_a_new_user_is_said_and_nothing_is_stored(house: House) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        await house.users.add(BOSS, " x/", "short", ["nobody", "Operations", "none"], "")
    assert await refused(raised) == ["username", "roles[0]", "roles[2]", "tenantId", "password"]
    assert "short" not in str(raised.value)
    assert set(house.store.known) == {"ann"}


async def test_a_name_is_taken_once_whatever_the_tenant(house: House) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        await house.users.add(ELSEWHERE, "ann", PASSWORD, [])
    assert raised.value.faults[0].code is ErrorCode.ALREADY_EXISTS
    assert house.store.known["ann"].tenant == "default"


async def test_an_administrator_of_another_tenant_looks_after_his_own_users_only(house: House) -> None:
    await house.users.add(ELSEWHERE, "tom", PASSWORD, [])
    assert [each.name for each in await house.users.all(ELSEWHERE)] == ["tom"]
    assert [each.name for each in await house.users.all(BOSS)] == ["ann", "tom"]
    with pytest.raises(NotFoundError):
        await house.users.change(ELSEWHERE, "ann", UserOrder(is_disabled=True))
    with pytest.raises(InvalidRequestError) as raised:
        await house.users.add(ELSEWHERE, "spy", PASSWORD, [ADMINISTRATOR], "default")
    assert await refused(raised) == ["tenantId"]
    assert (await house.users.add(BOSS, "kim", PASSWORD, [], "third")).tenant == "third"


async def test_whoever_is_no_administrator_looks_after_nobody(house: House) -> None:
    ann = Caller("ann", "default", grants_of(["Operations"], {}))
    for asked in (house.users.all(ann), house.users.get(ann, "ann"), house.users.change(ann, "ann", UserOrder(roles=(ADMINISTRATOR,)))):
        with pytest.raises(NotPermittedError):
            await asked


async def test_the_last_administrator_cannot_shut_himself_out(house: House) -> None:
    await house.users.add(BOSS, "boss", PASSWORD, [ADMINISTRATOR])
    with pytest.raises(InvalidRequestError) as raised:
        await house.users.change(BOSS, "boss", UserOrder(is_disabled=True, roles=("Operations",)))
    assert await refused(raised) == ["isDisabled", "roles"]
    await house.login("boss")


async def test_ones_own_password_is_changed_by_whoever_knows_it(house: House) -> None:
    token, ann = await house.login("ann"), Caller("ann")
    with pytest.raises(InvalidRequestError) as raised:
        await house.users.change_own_password(ann, "wrong", OTHER)
    assert raised.value.faults[0].code is ErrorCode.WRONG_CREDENTIALS
    with pytest.raises(InvalidRequestError) as raised:
        await house.users.change_own_password(ann, PASSWORD, "short")
    assert await refused(raised) == ["newPassword"]
    assert await house.is_in(token)
    await house.users.change_own_password(ann, PASSWORD, OTHER)
    assert not await house.is_in(token)
    await house.login("ann", OTHER)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "elevenchars",
        "password1234",
        "Password-2026!",
        "qwertyuiop12",
        "123456789012",
        "aaaaaaaaaaaaa",
        "adminadmin12",
        "a.long.name.x",
        "x" * 1_025,
    ],
)
def test_what_is_tried_first_is_no_password(password: str) -> None:
    fault = password_fault("a.long.name.x", password)
    assert fault is not None
    assert not password or password not in fault


@pytest.mark.parametrize("password", [PASSWORD, "correct horse battery", "Tr0ub4dor&3xyz", "пароль-на-крыше"])
def test_a_phrase_is_a_password(password: str) -> None:
    assert password_fault("ann", password) is None
