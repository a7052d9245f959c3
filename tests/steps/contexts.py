"""A context for one attempt that writes down what a step type does with it. Used by the tests of step types."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from stepswitch.domain.inventory import NOTHING_KNOWN
from stepswitch.plugin import (
    AttachmentError,
    CredentialError,
    Device,
    ErrorCode,
    HostKeys,
    Inventory,
    LogLevel,
    Reference,
    StepContext,
    StoredFile,
)

PIECE_BYTES: Final = 64 * 1024


class RecordingHostKeys(HostKeys):
    """Host keys in a dict; with `accept_new` a server that had none gets its first one trusted."""

    def __init__(self, keys: Mapping[tuple[str, int], Sequence[str]], *, accept_new: bool) -> None:
        self.keys = {server: list(trusted) for server, trusted in keys.items()}
        self.may_accept = accept_new

    async def trusted(self, host: str, port: int) -> Sequence[str]:
        return tuple(self.keys.get((host, port), ()))

    async def accept_new(self, host: str, port: int, public_key: str) -> bool:
        if self.keys.get((host, port)):
            return public_key in self.keys[host, port]
        if not self.may_accept:
            return False
        self.keys[host, port] = [public_key]
        return True


class RecordingContext(StepContext):
    """What the runner gives to a step type, with everything that was done with it open to look at.

    `lines` are the log lines as they came, `made` the files that it attached, `sent` whether `mark_sent` was called. `files` names the inputs that are bound as
    type file, `declared` all inputs that the step declares (those that have a value need not be repeated).
    """

    def __init__(
        self,
        *,
        attachments: Mapping[str, bytes] | None = None,
        host_keys: Mapping[tuple[str, int], Sequence[str]] | None = None,
        accept_new: bool = False,
        execution_id: str = "execution-1",
        attempt: str = "0-1",
        file_limit_bytes: int = 64 * 1024 * 1024,
        time_limit_seconds: float = 10.0,
        output_limit_bytes: int = 1_048_576,
        files: frozenset[str] | set[str] = frozenset(),
        declared: Sequence[str] = (),
        inventory: Inventory = NOTHING_KNOWN,
        credentials: Mapping[str, str | CredentialError] | None = None,
        password_outputs: frozenset[str] | set[str] = frozenset(),
    ) -> None:
        """`credentials` are the values of those that the inventory names, or why one cannot be opened."""
        self.known = inventory
        self.credentials = dict(credentials or {})
        self.opened_for: list[tuple[str, Device]] = []
        self.stays = False
        self.attachments = dict(attachments or {})
        self.made: dict[str, bytes] = {}
        self.largest_piece = 0
        self.lines: list[tuple[LogLevel, str]] = []
        self.log_is_full = False
        self.sent = False
        self.files = frozenset(files)
        self.declared = tuple(declared)
        self.password_outputs = frozenset(password_outputs)
        self.recorded_host_keys = RecordingHostKeys(host_keys or {}, accept_new=accept_new)
        self._execution_id = execution_id
        self._attempt = attempt
        self._file_limit_bytes = file_limit_bytes
        self._time_limit_seconds = time_limit_seconds
        self._output_limit_bytes = output_limit_bytes
        self._written = asyncio.Event()

    @property
    def execution_id(self) -> str:
        return self._execution_id

    @property
    def attempt_name(self) -> str:
        return f"{self._execution_id}-{self._attempt}"

    @property
    def time_limit_seconds(self) -> float:
        return self._time_limit_seconds

    @property
    def output_limit_bytes(self) -> int:
        return self._output_limit_bytes

    @property
    def is_log_full(self) -> bool:
        return self.log_is_full

    @property
    def host_keys(self) -> HostKeys:
        return self.recorded_host_keys

    async def log(self, message: str, level: LogLevel = LogLevel.INFO) -> None:
        self.lines.append((level, message))
        self._written.set()

    async def attachment(self, key: str) -> bytes:
        if key not in self.attachments:
            raise AttachmentError(ErrorCode.UNKNOWN_ATTACHMENT, f"there is no attachment called {key!r}")
        return self.attachments[key]

    async def attached(self, key: str) -> StoredFile:
        return _stored(key, await self.attachment(key))

    async def pieces(self, file: StoredFile) -> AsyncIterator[bytes]:
        content = self.attachments[file.name]
        for start in range(0, len(content), PIECE_BYTES):
            yield content[start : start + PIECE_BYTES]

    async def attach(self, key: str, content: AsyncIterator[bytes]) -> StoredFile:
        kept = bytearray()
        async for piece in content:
            self.largest_piece = max(self.largest_piece, len(piece))
            kept += piece
            if len(kept) > self._file_limit_bytes:
                raise AttachmentError(ErrorCode.TOO_LARGE, f"the file {key} is over the limit of {self._file_limit_bytes} bytes")
        self.made[key] = bytes(kept)
        return _stored(key, self.made[key])

    async def inventory(self) -> Inventory:
        return self.known

    async def secret(self, reference: Reference, at: Device, *, anew: bool = False) -> str:
        self.opened_for.append((reference.credential, at))
        value = self.credentials.get(reference.credential)
        if isinstance(value, CredentialError):
            raise value
        if value is None:
            raise CredentialError(
                ErrorCode.CREDENTIAL_REFUSED, f"nothing was sent: no credential called {reference.credential!r} may be used here"
            )
        return value

    def leave_behind(self) -> None:
        self.stays = True

    def mark_sent(self) -> None:
        self.sent = True

    def is_password_output(self, name: str) -> bool:
        return name in self.password_outputs

    def is_file(self, name: str) -> bool:
        return name in self.files

    def declared_inputs(self) -> Sequence[str]:
        return self.declared

    @property
    def messages(self) -> list[str]:
        """The log lines without their levels."""
        return [message for _, message in self.lines]

    async def wait_for_line(self, text: str, *, timeout_seconds: float = 10.0) -> str:
        """Return the first log line that holds `text`, as soon as it is there; raises TimeoutError where it does not come."""
        async with asyncio.timeout(timeout_seconds):
            while True:
                found = next((message for message in self.messages if text in message), None)
                if found is not None:
                    return found
                self._written.clear()
                await self._written.wait()


def _stored(key: str, content: bytes) -> StoredFile:
    return StoredFile(f"id-of-{key}", "default", key, hashlib.sha256(content).hexdigest(), len(content))
