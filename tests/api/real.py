"""The whole service over HTTP, logged in as admin, in a directory of its own. Used by the tests of the catalogue and of attachments."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from stepswitch.access.accounts import Passwords
from stepswitch.bootstrap.server import HttpServer
from stepswitch.bootstrap.service import Service
from stepswitch.bootstrap.wiring import open_service
from stepswitch.config.settings import Settings
from stepswitch.domain.execution import ENDED
from stepswitch.engine.records import Account, Committed
from stepswitch.storage.accounts import SqlAccountStore

PLAIN, OWN = "/telco/api/workflows", "/stepswitch/api/v1"


class Ended:
    """Tells when an execution has ended."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.changed = asyncio.Event()

    def committed(self, change: Committed) -> None:
        if change.head is not None and change.head.status in ENDED:
            self.ids.add(change.execution_id)
            self.changed.set()

    async def wait_for(self, execution_id: str) -> None:
        async with asyncio.timeout(30):
            while execution_id not in self.ids:
                self.changed.clear()
                await self.changed.wait()


@dataclass
class Real:
    """A running service, and who talks to it."""

    client: httpx.AsyncClient
    service: Service
    server: HttpServer
    ended: Ended
    files: Path

    async def login(self, username: str = "admin", password: str = "correct horse") -> dict[str, str]:
        answer = await self.client.post("/hybridity/api/sessions", json={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        return {"x-hm-authorization": answer.headers["x-hm-authorization"]}

    async def add_user(self, name: str, *roles: str) -> dict[str, str]:
        """Make a user; return the headers of its login."""
        store = SqlAccountStore(self.service._database)
        await store.put_account(Account(name, "default", await Passwords().hash("a password"), roles))
        return await self.login(name, "a password")

    async def create(self, document: dict[str, Any], root: str = PLAIN) -> dict[str, Any]:
        answer = await self.client.put(f"{root}/workflow", json=document)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def execute(self, workflow_id: str, root: str = PLAIN, **fields: Any) -> dict[str, Any]:
        """Execute a workflow to its end; return the execution."""
        order = {"workflowId": workflow_id, "contextType": "NONE", **fields}
        queued = await self.client.put(f"{root}/workflowExecution", json=order)
        assert queued.status_code == 200, queued.text
        await self.ended.wait_for(queued.json()["id"])
        body: dict[str, Any] = (await self.client.get(f"{root}/workflowExecution/{queued.json()['id']}")).json()
        return body

    def on_disk(self) -> list[str]:
        """Return the names of all stored contents."""
        return sorted(each.name for each in self.files.iterdir())


@asynccontextmanager
async def real_service(directory: Path, **settings: Any) -> AsyncIterator[Real]:
    """Give a service that runs until the block is left."""
    fields = {"data_dir": directory, "port": 0, "admin_password": "correct horse", "grace_seconds": 0, **settings}
    service = await open_service(Settings.model_validate(fields))
    ended = Ended()
    service.observe(ended)
    server = HttpServer(service)
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            real = Real(client, service, server, ended, directory / "files")
            client.headers.update(await real.login())
            yield real
    finally:
        await server.stop()
        await service.stop()
