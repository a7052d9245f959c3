"""Risk: a program cannot log in with its token, or what was ended still opens the door."""

from datetime import UTC, datetime, timedelta

import pytest

from stepswitch.client import InvalidRequestError, NotAuthenticatedError, NotFoundError, NotPermittedError, StepswitchClient
from tests.client.office import Office, token_of


async def test_a_program_comes_with_its_token_until_that_is_ended(office: Office) -> None:
    token, made = await office.client.sessions.create_token("checks", privileges=["Workflow Execute"])
    assert (made.kind, made.name, made.username, made.is_this_one) == ("TOKEN", "checks", "admin", False)
    assert made.privileges == ("Workflow Read", "Workflow Execute")
    assert token not in repr(made)
    assert token not in str(made.raw)
    async with StepswitchClient(office.url, token=token) as program:
        await program.workflows.list()
        with pytest.raises(NotPermittedError):
            await program.users.list()
        with pytest.raises(NotPermittedError):
            await program.sessions.create_token("another")
        for tried in (
            program.sessions.list(),
            program.sessions.end(made.id),
            program.change_password("correct horse", "a pigeon on the roof"),
        ):
            with pytest.raises(NotPermittedError):
                await tried
        await office.client.sessions.end(made.id)
        with pytest.raises(NotAuthenticatedError):
            await program.workflows.list()


async def test_the_stream_of_a_token_ends_with_it(office: Office) -> None:
    token, made = await office.client.sessions.create_token("watcher")
    execution = await office.queue("a")
    async with StepswitchClient(office.url, token=token) as program:
        news = program.executions.events(execution.id)
        await anext(news)  # how it stands: the stream is open
        await office.client.sessions.end(made.id)
        with pytest.raises(NotAuthenticatedError):
            _ = [each async for each in news]


async def test_administrators_see_and_end_the_sessions_of_others(office: Office) -> None:
    async with StepswitchClient(office.url, token=await token_of(office.house, "ann", "Workflow Executor")) as ann:
        (login,) = await office.client.sessions.list("ann")
        assert (login.kind, login.username, login.name, login.privileges) == ("LOGIN", "ann", None, None)
        assert [each.is_this_one for each in await ann.sessions.list()] == [True]
        token, made = await office.client.sessions.create_token("for ann", username="ann")
        assert made.username == "ann"
        await office.client.sessions.end(login.id, "ann")
        with pytest.raises(NotAuthenticatedError):
            await ann.sessions.list()
    async with StepswitchClient(office.url, token=token) as program:
        with pytest.raises(NotPermittedError):
            await program.sessions.list("admin")
        with pytest.raises(NotFoundError):
            await office.client.sessions.end(login.id)


async def test_a_program_of_an_administrator_neither_sees_nor_ends_the_sessions_of_others(office: Office) -> None:
    ann = await token_of(office.house, "ann", "Workflow Executor")
    (login,) = await office.client.sessions.list("ann")
    token, _ = await office.client.sessions.create_token("everything")
    async with StepswitchClient(office.url, token=token) as program:
        assert await program.users.list()
        for tried in (program.sessions.list("ann"), program.sessions.end(login.id, "ann"), program.users.end_sessions("ann")):
            with pytest.raises(NotPermittedError):
                await tried
    async with StepswitchClient(office.url, token=ann) as still_there:
        assert await still_there.sessions.list()


async def test_every_fault_of_a_token_is_listed(office: Office) -> None:
    past = datetime.now(UTC) - timedelta(days=400)
    with pytest.raises(InvalidRequestError) as refused:
        await office.client.sessions.create_token("", privileges=["Nonsense"], expires_at=past)
    assert len(refused.value.faults) == 3
