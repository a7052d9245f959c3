"""Risk: a role of one's own lets people do more than it says, or changes under those who have it."""

import pytest
from argon2 import PasswordHasher

from stepswitch.access.accounts import Passwords
from stepswitch.access.sessions import Sessions
from stepswitch.domain.errors import ErrorCode, InvalidRequestError, NotFoundError, NotPermittedError
from stepswitch.engine.callers import Caller, administrator
from stepswitch.engine.privileges import ROLES, Grant, Privilege, grants_of
from stepswitch.engine.roles import Roles
from stepswitch.engine.users import Users
from tests.access.account_store import DictAccountStore, HandClock

PASSWORD = "a pigeon on the roof"
BOSS, ELSEWHERE = administrator("boss"), administrator("eve", "other")


class House:
    def __init__(self) -> None:
        store = DictAccountStore()
        passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        self.sessions = Sessions(store, passwords, HandClock())
        self.users, self.roles = Users(store, passwords, self.sessions.forget), Roles(store)

    async def caller(self, name: str) -> Caller:
        token, _ = await self.sessions.login(name, PASSWORD)
        return await self.sessions.authenticate(token)


async def test_who_is_given_a_narrowed_role_has_its_privileges_for_its_names_only() -> None:
    house = House()
    await house.roles.add(BOSS, "Core", ["Workflow Execute", "Execution Operate"], ["core *", "edge"])
    await house.users.add(BOSS, "tom", PASSWORD, ["Core", "system-auditor"])
    tom = await house.caller("tom")
    core = Grant(
        frozenset({Privilege.WORKFLOW_READ, Privilege.WORKFLOW_EXECUTE, Privilege.EXECUTION_READ, Privilege.EXECUTION_OPERATE}),
        ("core *", "edge"),
    )
    assert set(tom.grants) == {core, *grants_of(["System Auditor"], {})}
    assert tom.may(Privilege.WORKFLOW_EXECUTE, "core 1")
    assert not tom.may(Privilege.WORKFLOW_EXECUTE, "edge 1")
    assert tom.may(Privilege.WORKFLOW_READ, "edge 1")


async def test_a_role_belongs_to_its_tenant() -> None:
    house = House()
    await house.roles.add(ELSEWHERE, "Core", ["Workflow Read"], [])
    assert [role.name for role in await house.roles.all(BOSS)] == list(ROLES)
    with pytest.raises(InvalidRequestError):
        await house.users.add(BOSS, "tom", PASSWORD, ["Core"])
    with pytest.raises(NotFoundError):
        await house.roles.remove(BOSS, "Core")
    await house.users.add(BOSS, "kim", PASSWORD, ["Core"], "other")
    assert (await house.caller("kim")).may(Privilege.WORKFLOW_READ)


async def test_every_fault_of_a_role_is_said() -> None:
    with pytest.raises(InvalidRequestError) as raised:
        await House().roles.add(BOSS, "system-auditor", ["Workflow Read", "Administration", "x"], ["a*b", "", "fine*"])
    assert [fault.path for fault in raised.value.faults] == [
        "privileges[1]",
        "privileges[2]",
        "workflowNames[0]",
        "workflowNames[1]",
        "name",
    ]
    with pytest.raises(InvalidRequestError) as raised:
        await House().roles.add(BOSS, "a/b", [], ["x"] * 101)
    assert [fault.path for fault in raised.value.faults] == ["name", "privileges", "workflowNames"]


async def test_a_role_does_not_change_and_stays_while_somebody_has_it() -> None:
    house = House()
    await house.roles.add(BOSS, "Core", ["Workflow Read"], ["core"])
    with pytest.raises(InvalidRequestError) as raised:
        await house.roles.add(BOSS, "Core", ["Workflow Design"], [])
    assert raised.value.faults[0].code is ErrorCode.ALREADY_EXISTS
    await house.users.add(BOSS, "tom", PASSWORD, ["Core"])
    with pytest.raises(InvalidRequestError, match="tom"):
        await house.roles.remove(BOSS, "Core")
    assert (await house.caller("tom")).grants == (Grant(frozenset({Privilege.WORKFLOW_READ}), ("core",)),)


async def test_only_administrators_see_make_and_remove_roles() -> None:
    house, ann = House(), Caller("ann", "default", grants_of(["Operations"], {}))
    for asked in (house.roles.all(ann), house.roles.add(ann, "x", ["Workflow Design"], []), house.roles.remove(ann, "x")):
        with pytest.raises(NotPermittedError):
            await asked
