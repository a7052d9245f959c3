"""Risk: somebody is made, changed or shut out who was not meant, or a password is shown."""

import pytest

from stepswitch.client import InvalidRequestError, NotAuthenticatedError, NotFoundError, NotPermittedError, StepswitchClient
from tests.client.office import PASSWORD, Office, token_of

PIGEON = "a pigeon on the roof"


async def test_users_are_made_read_changed_and_shut_out(office: Office) -> None:
    users = office.client.users
    made = await users.create("ann", PIGEON, ["Workflow Executor"])
    assert (made.username, made.tenant_id, made.roles, made.is_disabled) == ("ann", "default", ("Workflow Executor",), False)
    assert {each.username for each in await users.list()} == {"admin", "ann"}
    async with StepswitchClient(office.url, token=await token_of(office.house, "ann")) as client:
        await client.executions.list()
        await users.end_sessions("ann")
        with pytest.raises(NotAuthenticatedError):
            await client.executions.list()
    changed = await users.change("ann", roles=["Operations"], is_disabled=True)
    assert (changed.roles, changed.is_disabled) == (("Operations",), True)
    assert (await users.get("ann")) == changed
    with pytest.raises(NotFoundError):
        await users.get("nobody")
    with pytest.raises(InvalidRequestError) as refused:
        await users.create("ann", "short", ["nonsense"])
    assert len(refused.value.faults) > 1


async def test_roles_are_made_and_removed(office: Office) -> None:
    roles = office.client.roles
    made = await roles.create("Core executor", ["Workflow Execute"], workflow_names=["core *"])
    assert (made.name, made.workflow_names) == ("Core executor", ("core *",))
    assert "Workflow Execute" in made.privileges
    assert made in await roles.list()
    await roles.delete("Core executor")
    assert made not in await roles.list()
    with pytest.raises(NotFoundError):
        await roles.delete("Core executor")


async def test_somebody_changes_his_password_and_goes_on_with_it(office: Office) -> None:
    await office.client.users.create("ann", PIGEON, ["Workflow Executor"])
    async with StepswitchClient(office.url, username="ann", password=PIGEON) as client:
        await client.executions.list()
        with pytest.raises(InvalidRequestError) as refused:
            await client.change_password("not the old one", "a dove on the tower")
        assert refused.value.code == "WRONG_CREDENTIALS"
        await client.change_password(PIGEON, "a dove on the tower")
        assert client.token is None
        await client.executions.list()
    async with StepswitchClient(office.url, username="ann", password=PIGEON) as client:
        with pytest.raises(NotAuthenticatedError):
            await client.login()


async def test_others_are_refused(office: Office) -> None:
    async with StepswitchClient(office.url, token=await token_of(office.house, "eve", "Workflow Executor")) as client:
        for call in (client.users.list(), client.roles.list(), client.users.change("admin", password=PASSWORD * 2)):
            with pytest.raises(NotPermittedError):
                await call


async def test_the_login_of_a_vro_is_not_shown_to_everybody(office: Office) -> None:
    execution = await office.queue("a")
    with pytest.raises(NotPermittedError):
        await office.client.executions.vro_login(execution.id)
