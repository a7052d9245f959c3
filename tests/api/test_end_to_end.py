"""Risk: the parts fit each other in tests and not in the service. The whole house over HTTP: login, store, execute, read, log out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from stepswitch.api.wire import models
from stepswitch.bootstrap.server import HttpServer
from stepswitch.bootstrap.wiring import open_service
from stepswitch.config.settings import Settings
from stepswitch.domain.execution import ENDED
from stepswitch.engine.records import Committed

DOCUMENT = {
    "name": "Greet", "version": "1", "schemaVersion": "3.0", "startStepId": "say",
    "inputs": {"pw": {"type": "password", "required": True}},
    "outputs": {"answer": {"type": "string"}},
    "steps": {
        "say": {
            "type": "JS",
            "nextStepId": "end",
            "inBindings": {
                "script": {"type": "string", "defaultValue": "console.log('got ' + pw); return { text: 'half \\ud83d of ' + pw }"},
                "pw": {"type": "password", "exportName": "pw"},
            },
            "outBindings": {"answer": {"name": "text", "type": "string"}},
        },
        "end": {"type": "NOOP"},
    },
}  # fmt: skip


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


class Running:
    def __init__(self, client: httpx.AsyncClient, ended: Ended, port: int) -> None:
        self.client = client
        self.ended = ended
        self.port = port


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    settings = Settings.model_validate({"data_dir": tmp_path, "port": 0, "admin_password": "correct horse", "body_limit_bytes": 100_000})
    service = await open_service(settings)
    ended = Ended()
    service.observe(ended)
    server = HttpServer(service)
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            yield Running(client, ended, httpx.URL(server.url).port or 0)
    finally:
        await server.stop()
        await service.stop()


async def test_a_workflow_is_stored_executed_and_read(running: Running, root: str) -> None:
    client = running.client
    login = await client.post("/hybridity/api/sessions", json={"username": "admin", "password": "correct horse"})
    assert login.status_code == 200
    client.headers["x-hm-authorization"] = login.headers["x-hm-authorization"]
    stored = await client.put(f"{root}/workflow", json=DOCUMENT)
    assert stored.status_code == 200
    order = {"workflowId": stored.json()["id"], "contextType": "NONE", "assignments": {"pw": "hunter22"}}
    queued = await client.put(f"{root}/workflowExecution", json=order)
    assert queued.status_code == 200
    models.WorkflowExecution.model_validate(queued.json())
    await running.ended.wait_for(queued.json()["id"])
    read = await client.get(queued.json()["links"]["self"])
    body = read.json()
    models.WorkflowExecution.model_validate(body)
    assert (body["status"], [step["state"] for step in body["stepExecutions"]]) == ("COMPLETED", ["finished", "finished"])
    assert [line["msg"] for line in body["stepExecutions"][0]["logs"]] == ["got ********"]
    assert "hunter22" not in read.text
    assert (await client.get("/stepswitch/api/v1/health")).json()["status"] == "ok"
    assert (await client.delete("/hybridity/api/sessions")).status_code == 204
    assert (await client.get(queued.json()["links"]["self"])).status_code == 401


async def test_a_wrong_password_is_401(running: Running) -> None:
    for username in ("admin", "nobody"):
        answer = await running.client.post("/hybridity/api/sessions", json={"username": username, "password": "wrong"})
        assert (answer.status_code, answer.content) == (401, b"")


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        ("Content-Length: 100001", lambda: b"", b"413"),
        ("Transfer-Encoding: chunked", lambda: b"186a1\r\n" + b"x" * 100_001 + b"\r\n0\r\n\r\n", b"413"),
        ("Content-Length: -1", lambda: b"", b"400"),
        ("Content-Length: x", lambda: b"", b"400"),
        ("Transfer-Encoding: chunked", lambda: b"zz\r\n", b"400"),
        ("Content-Length: 2", lambda: b"{}", b"400"),
    ],
)
async def test_what_comes_over_the_wire_is_limited(running: Running, head: str, body: Callable[[], bytes], status: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    async with asyncio.timeout(20):
        writer.write(f"POST /hybridity/api/sessions HTTP/1.1\r\nHost: house\r\n{head}\r\n\r\n".encode() + body())
        assert (await reader.readline()).split()[1] == status
    writer.close()
    assert (await running.client.get("/stepswitch/api/v1/health")).status_code == 200
