"""HashiCorp Vault: its transit engine, which has the key-encryption key, and how anything else of it is asked. Built by `key_choice` and `credential_sources`.

Data keys are sent there to be encrypted and decrypted, when the service starts and when keys change. Credentials are read in `vault_values`.
"""

import asyncio
import base64
import binascii
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx

from stepswitch.domain.errors import SettingsError
from stepswitch.secrets.tokens import can_be_sent

LIMIT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Vault:
    """How Vault is reached. The token is in a file, which is read each time, for it may be renewed; or it is `token`."""

    address: str
    mount: str = "transit"
    namespace: str = ""
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    ca_file: Path | None = None

    async def call(self, action: str, key: str, body: dict[str, str]) -> dict[str, Any]:
        """Return the `data` of an answer of the transit engine; raises SettingsError with what is wrong, which names no secret."""
        path = f"{quote(self.mount.strip('/'))}/{action}/{quote(key, safe='')}"
        return await self.ask("POST", path, f"{action} with the key {key}", body)

    async def ask(self, method: str, path: str, what: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        """Return the `data` of an answer; raises SettingsError with what is wrong with `what` was asked for, which names no secret."""
        url = f"{self.address.rstrip('/')}/v1/{path}"
        headers = {"X-Vault-Token": self._token(), "X-Vault-Request": "true"}
        if self.namespace:
            headers["X-Vault-Namespace"] = self.namespace
        try:
            trusted = await asyncio.to_thread(self._trusted)  # reads every certificate of the machine, which takes a while
            async with httpx.AsyncClient(timeout=LIMIT_SECONDS, verify=trusted) as client:
                answer = await client.request(method, url, json=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:  # ValueError: an address that no machine can have
            raise SettingsError(f"Vault cannot be reached at {self.address}: {error or type(error).__name__}") from error
        try:
            plain = answer.json() if answer.content else {}
        except ValueError:
            raise SettingsError(f"Vault at {self.address} answers {answer.status_code} with what is no JSON") from None
        data = plain.get("data") if isinstance(plain, dict) else None
        if answer.status_code != httpx.codes.OK or not isinstance(data, dict):
            errors = plain.get("errors") if isinstance(plain, dict) else None
            said = "; ".join(map(str, errors)) if isinstance(errors, list) else ""
            why = f"{answer.status_code}{f' ({said})' if said else ''}"
            raise SettingsError(f"Vault at {self.address} refuses to {what}: {why}")
        return data

    def _token(self) -> str:
        token = self.token
        if self.token_file is not None:
            try:
                token = self.token_file.read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise SettingsError(f"the token file {self.token_file} cannot be read: {error}") from error
        if not can_be_sent(token):
            raise SettingsError("the token for Vault has characters that no token has")
        return token

    def _trusted(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise SettingsError(f"the certificates in {self.ca_file} cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class VaultKey:
    """Implements `KeySource`: a key of the transit engine, made there beforehand (`vault write -f transit/keys/NAME`)."""

    vault: Vault
    key: str

    async def name(self) -> str:
        """See `KeySource`."""
        return f"vault:{self.key}"

    async def wrap(self, key: bytes, generation: int) -> str:
        """See `KeySource`."""
        marked = b"%d:" % generation + key
        data = await self.vault.call("encrypt", self.key, {"plaintext": base64.b64encode(marked).decode()})
        return str(data.get("ciphertext", ""))

    async def unwrap(self, wrapped: str, generation: int) -> bytes:
        """See `KeySource`."""
        data = await self.vault.call("decrypt", self.key, {"ciphertext": wrapped})
        try:
            marked = base64.b64decode(str(data.get("plaintext", "")), validate=True)
        except binascii.Error:
            marked = b""
        mark, _, key = marked.partition(b":")
        if mark != b"%d" % generation:
            raise SettingsError(f"the key {self.key} of Vault at {self.vault.address} does not give back what was encrypted with it")
        return key
