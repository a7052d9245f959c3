"""One attempt at a step as its step type sees it: the implementation of `StepContext`. Made by `step_runner`."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from stepswitch.domain.errors import ErrorCode, StoreError, TargetError
from stepswitch.domain.execution import LogEntry, LogLevel
from stepswitch.engine.claims import Claims, Grant
from stepswitch.engine.ports import Clock, FileStore, HostKeys

FLUSH_AT_BYTES = 256 * 1024
"""A step that logs faster than it is written waits when so much is behind."""
PAUSE_SECONDS = 0.05
"""The least time between two writings of one step's log, so that a chatty step does not keep the disk busy."""

_log = structlog.get_logger("stepswitch.worker")


class FencedError(TargetError):
    """The worker may not send anything: its last confirmed sign of life is too old, so somebody else may have been given the step."""

    code = ErrorCode.LOST


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every attempt is given. Limits in bytes, times in seconds."""

    claims: Claims
    files: FileStore
    host_keys: HostKeys
    clock: Clock
    output_bytes: int
    log_bytes: int
    silence_seconds: float


class StepLog:
    """The log of one attempt: masked, cut at its limit with a mark, written in the background while the step goes on."""

    def __init__(self, grant: Grant, around: Surroundings) -> None:
        self._grant = grant
        self._around = around
        self._lines: list[LogEntry] = []
        self._waiting_bytes = 0
        self._left = around.log_bytes
        self._writing: asyncio.Task[None] | None = None
        self._pause: asyncio.Task[None] | None = None

    async def add(self, message: str, level: LogLevel) -> None:
        """Add a line; waits while too much is unwritten."""
        if self._left <= 0:
            return
        text = self._grant.mask.text(message)
        self._left -= len(text) + 1
        self._put(text, level)
        if self._left <= 0:
            self._put(f"the log of this step was cut here, at {self._around.log_bytes} bytes", LogLevel.WARN)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())
        if self._waiting_bytes > FLUSH_AT_BYTES:
            await asyncio.shield(self._writing)

    def _put(self, text: str, level: LogLevel) -> None:
        self._lines.append(LogEntry(self._around.clock.now(), level, text, self._grant.task.number))
        self._waiting_bytes += len(text)

    async def _write(self) -> None:
        while self._lines:
            lines, self._lines, self._waiting_bytes = self._lines, [], 0
            try:
                await self._around.claims.log(self._grant.task.execution_id, lines)
            except StoreError as error:
                _log.error(
                    "log lines of a step could not be stored", execution=self._grant.task.execution_id, lines=len(lines), error=str(error)
                )
            self._pause = asyncio.get_running_loop().create_task(self._around.clock.sleep(PAUSE_SECONDS))
            await asyncio.wait([self._pause])

    async def close(self) -> None:
        """Return when every line is written."""
        while self._lines or (self._writing is not None and not self._writing.done()):
            if self._pause is not None:
                self._pause.cancel()
            if self._writing is None or self._writing.done():
                self._writing = asyncio.get_running_loop().create_task(self._write())
            await asyncio.wait([self._writing], timeout=PAUSE_SECONDS)


class Attempt:
    """Implements `StepContext` for one grant. `last_sign` is the monotonic moment of the last confirmed sign of life."""

    def __init__(self, grant: Grant, around: Surroundings) -> None:
        self.grant = grant
        self.sent = False
        self.last_sign = around.clock.monotonic()
        self.step_log = StepLog(grant, around)
        self._around = around

    @property
    def execution_id(self) -> str:
        """See `StepContext`."""
        return self.grant.task.execution_id

    @property
    def time_limit_seconds(self) -> float:
        """See `StepContext`."""
        return self.grant.time_limit_seconds

    @property
    def output_limit_bytes(self) -> int:
        """See `StepContext`."""
        return self._around.output_bytes

    @property
    def host_keys(self) -> HostKeys:
        """See `StepContext`."""
        return self._around.host_keys

    def is_file(self, name: str) -> bool:
        """See `StepContext`."""
        return name in self.grant.file_inputs

    def declared_inputs(self) -> Sequence[str]:
        """See `StepContext`."""
        return self.grant.declared_inputs

    async def log(self, message: str, level: LogLevel = LogLevel.INFO) -> None:
        """See `StepContext`."""
        await self.step_log.add(message, level)

    async def attachment(self, key: str) -> bytes:
        """See `StepContext`."""
        file_id = _file_id(self.grant.attachments, key)
        file = await self._around.files.find(self.grant.tenant, file_id) if file_id else None
        if file is None:
            raise TargetError(f"there is no attachment {key!r}")
        return await self._around.files.read(file)

    def mark_sent(self) -> None:
        """See `StepContext`; raises FencedError where nothing may be sent any more."""
        if self.grant.nonce is not None and self._around.clock.monotonic() - self.last_sign > self._around.silence_seconds / 2:
            raise FencedError("nothing was sent: this worker's last confirmed sign of life is too old")
        self.sent = True


def _file_id(attachments: Mapping[str, str], key: str) -> str | None:
    return attachments.get(key) or (key if key in attachments.values() else None)
