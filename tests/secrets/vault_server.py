"""A HashiCorp Vault for tests, over a real socket: the transit engine's `encrypt` and `decrypt`, and reads of the KV engine, version 2, as documented.

It leaves out everything else: policies beyond one token, seals, leases, batches, derived and convergent keys, key versions, `rewrap`,
TLS. What it encrypts can be decrypted by it alone, and it keeps what it was asked for the tests to look at.
"""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from tests.secrets.json_server import answer_once

TOKEN = "hvs.token-of-the-service"


@dataclass
class FakeVault:
    """`keys` are the names of its keys; `asked` is every call with its namespace."""

    keys: set[str] = field(default_factory=lambda: {"stepswitch"})
    mount: str = "transit"
    is_sealed: bool = False
    refuses: int = 0
    """How many requests it answers yet as if it were sealed."""
    garbles: bool = False
    """Whether it answers with another plaintext than the one that was encrypted."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""
    values: dict[str, dict[str, object]] = field(default_factory=dict)
    """Secrets of the KV engine, by mount and path."""
    _held: dict[str, str] = field(default_factory=dict)

    def answer(self, _method: str, path: str, headers: dict[str, str], body: dict[str, str]) -> tuple[int, object]:
        """Return status and JSON for a request."""
        self.refuses -= (is_away := self.refuses > 0)
        if self.is_sealed or is_away:
            return 503, {"errors": ["Vault is sealed"]}
        if headers.get("x-vault-token") != TOKEN:
            return 403, {"errors": ["permission denied"]}
        self.asked.append((path, headers.get("x-vault-namespace", "")))
        if "/data/" in path:
            held = self.values.get(path.removeprefix("/v1/").replace("/data/", "/", 1))
            return (404, {"errors": []}) if held is None else (200, {"data": {"data": held, "metadata": {"version": 1}}})
        prefix, action, key = path.rsplit("/", 2)
        if prefix != f"/v1/{self.mount}":
            return 404, {"errors": [f"no handler for route {path!r}"]}
        if key not in self.keys:
            return 400, {"errors": ["encryption key not found"]}
        if action == "encrypt":
            base64.b64decode(body["plaintext"], validate=True)
            ciphertext = "vault:v1:" + base64.b64encode(secrets.token_bytes(40)).decode()
            self._held[f"{key} {ciphertext}"] = body["plaintext"]
            return 200, {"data": {"ciphertext": ciphertext, "key_version": 1}}
        plaintext = self._held.get(f"{key} {body['ciphertext']}")
        if plaintext is None:
            return 400, {"errors": ["invalid ciphertext: unable to decrypt"]}
        return 200, {"data": {"plaintext": base64.b64encode(b"1:other").decode() if self.garbles else plaintext}}


@asynccontextmanager
async def open_vault() -> AsyncIterator[FakeVault]:
    """Give a Vault that listens on a free port."""
    vault = FakeVault()
    server = await asyncio.start_server(partial(answer_once, vault.answer), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    vault.address = f"http://{host}:{port}"
    async with server:
        yield vault
