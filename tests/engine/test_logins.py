"""Risk: a token does more than it was made for, outlives its end, or lets a program make another one; somebody ends what is not his."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from argon2 import PasswordHasher

from stepswitch.access.accounts import Passwords
from stepswitch.access.sessions import TRUSTED_SECONDS, Sessions, new_api_token
from stepswitch.domain.errors import InvalidRequestError, NotAuthenticatedError, NotFoundError, NotPermittedError
from stepswitch.engine.callers import Caller, administrator
from stepswitch.engine.logins import DAY, MOST_TOKEN_DAYS, MOST_TOKENS, TOKEN_DAYS, Logins, TokenOrder
from stepswitch.engine.privileges import Privilege, grant, narrowed
from stepswitch.engine.users import UserOrder, Users
from tests.access.account_store import DictAccountStore, HandClock

PASSWORD = "a pigeon on the roof"
BOSS = administrator("boss")


@dataclass
class House:
    store: DictAccountStore = field(default_factory=DictAccountStore)
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        self.sessions = Sessions(self.store, passwords, self.clock)
        self.users = Users(self.store, passwords, self.sessions.forget)
        self.logins = Logins(self.store, self.users, self.clock, new_api_token, self.sessions.forget)
        self.beside = Logins(self.store, self.users, self.clock, new_api_token, lambda _: None)
        """What the command line does beside the service, which hears nothing of it."""

    async def login(self, name: str = "ann") -> tuple[str, Caller]:
        token, _ = await self.sessions.login(name, PASSWORD, "192.0.2.7")
        return token, await self.sessions.authenticate(token)

    async def is_in(self, token: str) -> bool:
        try:
            await self.sessions.authenticate(token)
        except NotAuthenticatedError:
            return False
        return True


@pytest.fixture
async def house() -> House:
    house = House()
    await house.users.add(BOSS, "ann", PASSWORD, ["operations"])
    await house.users.add(BOSS, "ben", PASSWORD, ["workflow-executor"])
    return house


async def refused(house: House, order: TokenOrder, username: str | None = None) -> Sequence[str]:
    caller = BOSS if username else (await house.login())[1]
    with pytest.raises(InvalidRequestError) as raised:
        await house.logins.make_token(caller, order, username)
    return [fault.path for fault in raised.value.faults]


async def test_a_token_is_good_for_what_it_was_made_for_and_for_no_more_than_its_user_may(house: House) -> None:
    _, ann = await house.login()
    token, session = await house.logins.make_token(ann, TokenOrder("checks", ("Workflow Execute",)))
    program = await house.sessions.authenticate(token)
    assert (program.user, program.is_program, program.session_id) == ("ann", True, session.id)
    assert program.may(Privilege.WORKFLOW_EXECUTE)
    assert program.may(Privilege.WORKFLOW_READ)  # implied
    assert not program.may(Privilege.EXECUTION_OPERATE)
    await house.users.change(BOSS, "ann", UserOrder(roles=("system-auditor",)))
    program = await house.sessions.authenticate(token)
    assert program.may(Privilege.WORKFLOW_READ)
    assert not program.may(Privilege.WORKFLOW_EXECUTE)


async def test_a_token_without_privileges_named_is_good_for_what_its_user_may_at_any_time(house: House) -> None:
    _, ben = await house.login("ben")
    token, session = await house.logins.make_token(ben, TokenOrder("everything"))
    assert session.privileges is None
    await house.users.change(BOSS, "ben", UserOrder(roles=("operations",)))
    assert (await house.sessions.authenticate(token)).may(Privilege.EXECUTION_OPERATE)


async def test_of_a_token_only_the_hash_is_stored_and_scanners_know_it(house: House) -> None:
    _, ann = await house.login()
    token, session = await house.logins.make_token(ann, TokenOrder("checks"))
    assert token.startswith("ssw_")
    assert token not in repr(house.store.sessions)
    assert session.id not in token
    assert len({(await house.logins.make_token(ann, TokenOrder(f"{number}")))[0] for number in range(20)}) == 20


async def test_every_fault_of_a_token_is_said_and_nothing_is_stored(house: House) -> None:
    now = house.clock.now()
    paths = await refused(house, TokenOrder(" a/b", ("Workflow Design", "Nonsense"), now))
    assert paths == ["name", "privileges[0]", "privileges[1]", "expiresAt"]
    assert await refused(house, TokenOrder("far", None, now + MOST_TOKEN_DAYS * DAY + 1)) == ["expiresAt"]
    assert not any(each.is_token for each in house.store.sessions.values())


async def test_a_name_is_taken_once_while_its_token_goes_on(house: House) -> None:
    _, ann = await house.login()
    _, session = await house.logins.make_token(ann, TokenOrder("checks"))
    assert await refused(house, TokenOrder("checks")) == ["name"]
    assert await house.logins.make_token(BOSS, TokenOrder("checks"), "ben")
    await house.logins.end(ann, session.id)
    assert await house.logins.make_token(ann, TokenOrder("checks", None, house.clock.now() + 1))
    house.clock.time += 1
    assert await house.logins.make_token(ann, TokenOrder("checks"))


async def test_a_user_has_a_bounded_number_of_tokens(house: House) -> None:
    for number in range(MOST_TOKENS):
        await house.logins.make_token(BOSS, TokenOrder(f"{number}"), "ben")
    assert await refused(house, TokenOrder("one more"), "ben") == ["name"]


async def test_a_token_ends_at_its_time_and_not_with_a_login(house: House) -> None:
    login, ann = await house.login()
    token, session = await house.logins.make_token(ann, TokenOrder("checks"))
    assert session.expires_at == house.clock.now() + TOKEN_DAYS * DAY
    house.clock.time += 9 * 3_600_000
    assert (await house.is_in(login), await house.is_in(token)) == (False, True)
    house.clock.time = session.expires_at
    assert not await house.is_in(token)


async def test_a_new_password_ends_logins_and_leaves_tokens(house: House) -> None:
    login, ann = await house.login()
    token, _ = await house.logins.make_token(ann, TokenOrder("checks"))
    await house.users.change_own_password(ann, PASSWORD, "a sparrow in the hand")
    assert (await house.is_in(login), await house.is_in(token)) == (False, True)


@pytest.mark.parametrize("how", ["disabled", "logged out everywhere"])
async def test_who_is_shut_out_is_shut_out_with_all_tokens_and_stays_so(house: House, how: str) -> None:
    _, ann = await house.login()
    token, _ = await house.logins.make_token(ann, TokenOrder("checks"))
    await house.sessions.authenticate(token)
    if how == "disabled":
        await house.users.change(BOSS, "ann", UserOrder(is_disabled=True))
        await house.users.change(BOSS, "ann", UserOrder(is_disabled=False))
    else:
        await house.users.end_sessions(BOSS, "ann")
    assert not await house.is_in(token)


async def test_a_token_makes_no_token(house: House) -> None:
    await house.users.change(BOSS, "ann", UserOrder(roles=("system-administrator",)))
    _, ann = await house.login()
    token, _ = await house.logins.make_token(ann, TokenOrder("checks"))
    program = await house.sessions.authenticate(token)
    for username in (None, "ben"):
        with pytest.raises(NotPermittedError):
            await house.logins.make_token(program, TokenOrder("another"), username)


async def test_sessions_are_listed_the_newest_first_without_those_that_are_over(house: House) -> None:
    _, ann = await house.login()
    house.clock.time += 1000
    _, token = await house.logins.make_token(ann, TokenOrder("checks"))
    house.clock.time += 1000
    _, again = await house.login()
    found = await house.logins.of(ann)
    assert [each.id for each in found] == [again.session_id, token.id, ann.session_id]
    assert [each.address for each in found] == ["192.0.2.7", "", "192.0.2.7"]
    house.clock.time += 8 * 3_600_000 - 1000
    assert [each.id for each in await house.logins.of(BOSS, "ann")] == [again.session_id, token.id]


async def test_one_session_is_ended_at_once_and_the_others_go_on(house: House) -> None:
    first, ann = await house.login()
    house.clock.time += 1
    second, _ = await house.login()
    await house.logins.end(ann, ann.session_id)
    assert (await house.is_in(first), await house.is_in(second)) == (False, True)
    with pytest.raises(NotFoundError):
        await house.logins.end(ann, ann.session_id)


async def test_what_is_ended_beside_the_service_is_over_within_two_seconds(house: House) -> None:
    _, ann = await house.login()
    token, session = await house.logins.make_token(ann, TokenOrder("checks"))
    await house.sessions.authenticate(token)
    await house.beside.end(BOSS, session.id, "ann")
    house.clock.time += round(TRUSTED_SECONDS * 1000) + 1
    assert not await house.is_in(token)


async def test_nobody_sees_or_ends_the_sessions_of_others_unless_he_looks_after_them(house: House) -> None:
    _, ann = await house.login()
    _, ben = await house.login("ben")
    with pytest.raises(NotFoundError):
        await house.logins.end(ben, ann.session_id)
    for caller, kind in ((ben, NotPermittedError), (administrator("eve", "other"), NotFoundError)):
        with pytest.raises(kind):
            await house.logins.of(caller, "ann")
        with pytest.raises(kind):
            await house.logins.end(caller, ann.session_id, "ann")
        with pytest.raises(kind):
            await house.logins.make_token(caller, TokenOrder("mine"), "ann")
    await house.logins.end(BOSS, ann.session_id, "ann")


def test_what_is_narrowed_keeps_its_names_and_loses_what_the_token_does_not_say() -> None:
    core = grant([Privilege.WORKFLOW_EXECUTE], ["core *"])
    everything = grant([Privilege.ADMINISTRATION])
    read = frozenset({Privilege.WORKFLOW_READ})
    assert narrowed([core, everything], None) == (core, everything)
    assert [(each.privileges, each.names) for each in narrowed([core, everything], read)] == [(read, ("core *",)), (read, ())]
    assert narrowed([core], frozenset()) == ()
