"""Risk: the API learns something that the client does not offer."""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final

from stepswitch.api.operations import served
from stepswitch.client import ClientError, DeviceLogin, Pacing, StepswitchClient
from stepswitch.domain.inventory import Section
from tests.client.office import Impostor, Naps, answer

ARGUMENTS: Final[dict[str, Any]] = {
    "document": {"name": "n"},
    "original": {},
    "owner_id": "me",
    "if_match": None,
    "number": 1,
    "values": {},
    "content": b"",
    "roles": [],
    "privileges": [],
    "source": {},
    "workflows": [],
    "devices": [],
    "section": Section.SITES,
    "login": DeviceLogin("WDJB-MJHT", "https://login.example.net", None, 0, 0, "d"),
}
"""What parameters are given that are no text."""
ELSEWHERE: Final = frozenset(
    {
        *("loginSingular", "logoutSingular"),
        *("beginProviderLogin", "finishProviderLogin", "openProviderSession", "logoutAtProvider", "finishProviderLogout"),
    }
)
"""Other ways to do what the client does, and what only a browser does."""


def calls(client: StepswitchClient) -> Iterator[Callable[[], Any]]:
    """Yield a call of every method of the client and of its parts, and of each way in which one of them can be called."""
    people = [client.users, client.roles, client.sessions, client.credentials, client.tenants, client.inventory, client.locks]
    for part in (client, client.workflows, client.executions, client.host_keys, client.audit, *people):
        for name, method in inspect.getmembers(part, inspect.ismethod):
            if not name.startswith("_") and name not in ("close", "iterate", "find", "wait", "follow"):
                yield partial(method, **arguments(method))
    document: dict[str, Any] = {"name": "n"}
    yield lambda: client.workflows.create(document, files={"f": b""})
    yield lambda: client.workflows.create(document, workflow_id="w")
    yield lambda: client.login("ann", "p")
    yield lambda: client.executions.start("w", files={"f": b""})
    for section in Section:
        yield partial(client.inventory.get_entry, section, "x")
        yield partial(client.inventory.put_entry, section, "x", document)
        yield partial(client.inventory.remove_entry, section, "x")
    yield lambda: client.sessions.list("ann")
    yield lambda: client.sessions.end("s", "ann")
    yield lambda: client.sessions.create_token("t", username="ann")


def arguments(method: Callable[..., Any]) -> dict[str, Any]:
    wanted = inspect.signature(method).parameters.values()
    return {each.name: ARGUMENTS.get(each.name, "x") for each in wanted if each.default is inspect.Parameter.empty}


async def use(thing: Any) -> None:
    """Await, enter or read what a method gives, whatever comes of it."""
    with suppress(ClientError, StopAsyncIteration):
        if hasattr(thing, "__anext__"):
            await anext(thing)
        elif hasattr(thing, "__aenter__"):
            async with thing:
                pass
        else:
            awaited: Awaitable[Any] = thing
            await awaited


async def test_every_operation_of_the_api_is_offered() -> None:
    asked: list[str] = []
    async with Impostor() as impostor, StepswitchClient(impostor.url, token="t", pacing=Pacing(tries=1, sleep=Naps().sleep)) as client:
        for call in calls(client):
            impostor.will_answer(answer(403, x_error_code="NOT_PERMITTED"))
            client._transport.token = "t"
            client._transport._credentials = None
            await use(call())
        asked = [" ".join(request.split(" ", 2)[:2]).partition("?")[0] for request in impostor.requests]
    operations = {
        operation.id: f"{operation.method} {re.sub(r'{[^}]*}', '[^/]+', path)}"
        for path, operation, has_tenant in served()
        if not has_tenant and operation.id not in ELSEWHERE
    }
    assert len(operations) > 40
    missing = [name for name, pattern in operations.items() if not any(re.fullmatch(pattern, each) for each in asked)]
    assert missing == []
