"""The API of Kubernetes for tests, over a real socket with TLS: `GET /api/v1/namespaces/{namespace}/secrets/{name}` as it is documented.

It leaves out everything else: other verbs and resources, watches, RBAC beyond one token, client certificates, chunked answers, HTTP/2. What it
refuses it refuses with a `Status`, as the real one does.
"""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from tests.listening import closed
from tests.secrets.json_server import answer_once

TOKEN = "token-of-the-account"


@dataclass
class FakeKubernetes:
    """`secrets` are by namespace and name; `asked` is every path that was asked for."""

    secrets: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    token: str = TOKEN
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def answer(self, method: str, path: str, headers: dict[str, str], _body: object) -> tuple[int, object]:
        self.asked.append(path)
        if headers.get("authorization") != f"Bearer {self.token}":
            return 401, _status(401, "Unauthorized")
        parts = path.split("/")
        if method != "GET" or parts[:4] != ["", "api", "v1", "namespaces"] or parts[5:6] != ["secrets"] or len(parts) != 7:
            return 404, _status(404, "the server could not find the requested resource")
        held = self.secrets.get((parts[4], parts[6]))
        if held is None:
            return 404, _status(404, f'secrets "{parts[6]}" not found')
        data = {name: base64.b64encode(value).decode() for name, value in held.items()}
        return 200, {"kind": "Secret", "apiVersion": "v1", "metadata": {"namespace": parts[4], "name": parts[6]}, "data": data}


def _status(code: int, message: str) -> dict[str, object]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}


@asynccontextmanager
async def open_kubernetes(tls: ssl.SSLContext) -> AsyncIterator[FakeKubernetes]:
    """Give an API that listens on a free port."""
    api = FakeKubernetes()
    server = await asyncio.start_server(partial(answer_once, api.answer), "127.0.0.1", 0, ssl=tls)
    api.port = server.sockets[0].getsockname()[1]
    try:
        yield api
    finally:
        await closed(server)
