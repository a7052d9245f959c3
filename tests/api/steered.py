"""The whole service behind its API, its steps scripted by the test: what an operator has in hand. Used by the tests of steering."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from stepswitch.api.wire import models
from stepswitch.bootstrap.server import application
from stepswitch.domain.execution import Status
from stepswitch.engine.privileges import ADMINISTRATOR
from stepswitch.engine.records import Account, Session
from stepswitch.plugin import Result
from stepswitch.storage.accounts import SqlAccountStore
from tests.api.house import PLAIN
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.scripted import House, ScriptedStep, open_house

OWN = "/stepswitch/api/v1/executions"
Body = dict[str, Any]


class Desk:
    """One operator at work under one root."""

    def __init__(self, house: House, app: ASGIApp, client: httpx.AsyncClient, root: str) -> None:
        self.house = house
        self.app = app
        self.client = client
        self.root = root

    @property
    def act(self) -> ScriptedStep:
        return self.house.act

    def place(self, execution_id: str) -> str:
        return f"{self.root}/workflowExecution/{execution_id}"

    async def store(self, source: Mapping[str, Any]) -> str:
        stored = await self.client.put(f"{self.root}/workflow", json=without_null(source))
        assert stored.status_code == 200, stored.text
        return str(stored.json()["id"])

    async def order(self, workflow_id: str, **fields: Any) -> str:
        order = {"workflowId": workflow_id, "contextType": "NONE", **fields}
        queued = await self.client.put(f"{self.root}/workflowExecution", json=order)
        assert queued.status_code == 200, queued.text
        return str(queued.json()["id"])

    async def queue(self, *ids: str, source: Mapping[str, Any] | None = None, **fields: Any) -> str:
        """Queue an execution of steps of type ACT that follow one another, or of `source`."""
        return await self.order(await self.store(source or document(startStepId=ids[0], steps=steps(*ids))), **fields)

    async def read(self, execution_id: str) -> Body:
        return shown(await self.client.get(self.place(execution_id)))

    async def until(self, execution_id: str, status: str) -> Body:
        await self.house.until(execution_id, Status(status))
        return await self.read(execution_id)

    async def ask(self, execution_id: str, what: str, reason: str | None = None, body: Any = None) -> httpx.Response:
        """Abort, resume, retry, updateWorkflow; or pause, values and cleanup/abandon, which are ours."""
        own = what in ("pause", "values", "cleanup/abandon")
        path = f"{OWN}/{execution_id}/{what}" if own else f"{self.place(execution_id)}/{what}"
        headers = {} if reason is None else {b"x-stepswitch-reason": reason.encode()}
        return (
            await self.client.post(path, json=body, headers=headers) if body is not None else await self.client.post(path, headers=headers)
        )

    async def patch(self, execution_id: str, **fields: Any) -> httpx.Response:
        return await self.client.patch(self.place(execution_id), json=fields)

    async def does(self, result: Result = Result.SUCCEEDED) -> None:
        """Let the next attempt at a step of type ACT come to `result`."""
        (await self.act.next()).end(result)

    async def failed(self, *ids: str, **more: Any) -> str:
        """Return an execution whose first step has failed."""
        execution = await self.queue(*ids, **more)
        await self.does(Result.FAILED)
        await self.until(execution, "PAUSED" if more.get("pauseAtFailure") else "FAILED")
        return execution

    async def elsewhere(self) -> dict[str, str]:
        """Return the headers of an administrator of another tenant."""
        return await self.person("eve", ADMINISTRATOR, tenant="other")

    async def person(self, name: str, *roles: str, tenant: str = "default") -> dict[str, str]:
        """Return the headers of somebody with these roles."""
        token = name[0] * 43
        account = Account(name, tenant, "no hash", roles)
        expires_at = self.house.clock.now() + 10**9
        session = Session(hashlib.sha256(token.encode()).hexdigest(), name, tenant, account.roles, expires_at, account.credential)
        store = SqlAccountStore(self.house.service._database)
        await store.put_account(account)
        await store.put_session(session)
        return {"x-hm-authorization": token}


def without_null(value: Any) -> Any:
    """Return a document without the fields that are null: models know them as missing."""
    return {name: without_null(inner) for name, inner in value.items() if inner is not None} if isinstance(value, dict) else value


def shown(answer: httpx.Response) -> Body:
    """Return an answer that shows an execution, held against its model."""
    assert answer.status_code == 200, answer.text
    body: Body = answer.json()
    models.WorkflowExecution.model_validate(body)
    return body


def refused(answer: httpx.Response) -> list[str]:
    """Return the codes of a 400."""
    assert answer.status_code == 400, answer.text
    assert answer.headers["x-error-code"] == answer.json()["errors"][0]["code"]
    return [error["code"] for error in answer.json()["errors"]]


def story(body: Body) -> list[tuple[str, str, str | None]]:
    """Return every step execution: its step, state and result."""
    return [(step["stepSnapshot"]["id"], step["state"], step.get("result")) for step in body["stepExecutions"]]


def said(body: Body, part: str) -> bool:
    return any(part in line["msg"] for line in body["logs"])


@asynccontextmanager
async def open_desk(directory: Path, root: str = PLAIN, **settings: Any) -> AsyncIterator[Desk]:
    async with open_house(directory, **settings) as house:
        app = application(house.service)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://house", timeout=30) as client:
            login = await client.post("/hybridity/api/sessions", json={"username": "admin", "password": "long enough"})
            client.headers["x-hm-authorization"] = login.headers["x-hm-authorization"]
            yield Desk(house, app, client, root)
