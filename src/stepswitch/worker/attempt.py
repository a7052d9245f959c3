"""One attempt at a step as its step type sees it: the implementation of `StepContext`. Made by `step_runner`."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from stepswitch.domain.decide import DEADLINE_GRACE_SECONDS
from stepswitch.domain.devices import Device
from stepswitch.domain.errors import AttachmentError, CredentialError, ErrorCode, StoreError, TargetError
from stepswitch.domain.events import Reply
from stepswitch.domain.execution import LogEntry, LogLevel, PlainValues
from stepswitch.domain.inventory import NOTHING_KNOWN, Inventory
from stepswitch.domain.references import Reference
from stepswitch.domain.secrecy import CUT
from stepswitch.engine.claims import Claims, Grant
from stepswitch.engine.crash_points import CrashPoint, reach
from stepswitch.engine.credential_use import NO_CREDENTIALS, Need, OpensCredentials
from stepswitch.engine.inventory_ports import NO_INVENTORY, InventoryFinder
from stepswitch.engine.leftovers import attempt_name
from stepswitch.engine.ports import Clock, FileStore, HostKeys, Ids
from stepswitch.engine.records import StoredFile
from stepswitch.worker.made_files import MadeFiles
from stepswitch.worker.patience import LET_GO_SECONDS, until_stored

FLUSH_AT_BYTES: Final = 256 * 1024
"""A step that logs faster than it is written waits when so much is behind."""
PAUSE_SECONDS: Final = 0.05
"""The least time between two writings of one step's log, so that a chatty step does not keep the disk busy."""
LEAST_LINE_BYTES: Final = 64
"""What a shorter line counts as: its time and level are stored too, and half a million empty lines would be 30 MiB of them."""
RETRY_SECONDS: Final = 1.0
"""How long to wait before log lines that could not be stored are tried again."""

OLD_CLAIM_SECONDS: Final = DEADLINE_GRACE_SECONDS - LET_GO_SECONDS
"""How long after it was first asked for a claim is good to begin with: it may have been stored then, with a deadline that an attempt of full length would pass."""

_log = structlog.get_logger("stepswitch.worker")


class FencedError(TargetError):
    """The worker may not send anything: its last confirmed sign of life, or its claim, is too old, so somebody else may have been given the step."""

    code = ErrorCode.LOST


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every attempt is given. Limits in bytes, times in seconds."""

    claims: Claims
    files: FileStore
    host_keys: HostKeys
    clock: Clock
    ids: Ids
    output_bytes: int
    log_bytes: int
    silence_seconds: float
    credentials: OpensCredentials = NO_CREDENTIALS
    inventories: InventoryFinder = NO_INVENTORY


class StepLog:
    """The log of one attempt: masked, cut at its limit with a mark, written in the background while the step goes on."""

    def __init__(self, grant: Grant, around: Surroundings) -> None:
        self._grant = grant
        self.mask = grant.mask
        self._around = around
        self._lines: list[LogEntry] = []
        self._count = 0
        self._waiting_bytes = 0
        self._left = around.log_bytes
        self._writing: asyncio.Task[None] | None = None
        self._pause: asyncio.Task[None] | None = None
        self._is_closing = False
        self._keeps_trying = True

    @property
    def is_full(self) -> bool:
        """Whether it was cut: what comes is dropped."""
        return self._left <= 0

    async def add(self, message: str, level: LogLevel) -> None:
        """Add a line; waits while too much is unwritten."""
        if self.is_full:
            return
        self.note(message, level)
        if self._writing is not None and self._waiting_bytes > FLUSH_AT_BYTES:
            await asyncio.shield(self._writing)

    def note(self, message: str, level: LogLevel) -> None:
        """Add a line without waiting, as the end of an attempt does that may not be held up."""
        if self.is_full:
            return
        text = self.mask.text(message)
        size = _size(text)
        if size > self._left:
            text = text.encode("utf-8", "replace")[: self._left].decode("utf-8", "ignore") + CUT
        size = max(size + 1, LEAST_LINE_BYTES)
        self._put(text, level, min(size, self._left))
        self._left -= size
        if self.is_full:
            self._put(f"the log of this step was cut here, at {self._around.log_bytes} bytes", LogLevel.WARN, 0)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    def _put(self, text: str, level: LogLevel, size: int) -> None:
        self._lines.append(LogEntry(self._around.clock.now(), level, text, self._grant.task.number, self._count))
        self._count += 1
        self._waiting_bytes += size

    async def _write(self) -> None:
        while self._lines:
            lines, self._lines, self._waiting_bytes = self._lines, [], 0
            again = False
            while not await self._store(lines, again=again):
                again = True
                await self._rest(RETRY_SECONDS)
            if not self._is_closing:
                await self._rest(PAUSE_SECONDS)

    async def _store(self, lines: Sequence[LogEntry], *, again: bool) -> bool:
        """Return whether nothing is left to do for `lines`: they are stored, or nobody keeps trying."""
        try:
            grant = self._grant
            await self._around.claims.log(grant.task.execution_id, lines, again=again, is_confidential=grant.is_confidential)
        except StoreError as error:
            _log.error(
                "log lines of a step could not be stored",
                execution=self._grant.task.execution_id,
                lines=len(lines),
                kept=self._keeps_trying,
                error=str(error),
            )
            return not self._keeps_trying
        return True

    async def _rest(self, seconds: float) -> None:
        self._pause = asyncio.get_running_loop().create_task(self._around.clock.sleep(seconds))
        await asyncio.wait([self._pause])

    async def close(self, *, keep_trying: bool = True) -> None:
        """Return when every line is written; without `keep_trying` those that the store does not take are given up."""
        self._is_closing = True
        self._keeps_trying = keep_trying
        if self._pause is not None:
            self._pause.cancel()
        if self._writing is not None:
            await asyncio.wait([self._writing])


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


class Attempt:
    """Implements `StepContext` for one grant.

    `is_claimed`: its claim is stored; without one nothing is signed, and nobody fenced. `claiming` is who sees to a claim that comes late.
    `last_sign` is the monotonic moment of the last confirmed sign of life, and `asked_at` that when its claim was first asked for, from which the
    deadline of the claim counts; None where it has no deadline. `is_closed`: the step type is done or was stopped, so
    nothing may be sent, and all that is left is to hand in what it came to: no missing sign keeps anybody from that.
    `is_stuck`: the step type was stopped and does not end, so nobody can say that its session is closed.
    """

    def __init__(self, grant: Grant, around: Surroundings, last_sign: float, asked_at: float | None = None) -> None:
        self.grant = grant
        self._asked_at = asked_at
        self.mask = grant.mask
        """What must not be shown of this attempt: what the execution knows, and what was opened for it."""
        self.is_claimed = grant.nonce is not None
        self.claiming: asyncio.Task[None] | None = None
        self.sent = False
        self.last_sign = last_sign
        self.is_closed = False
        self.is_stuck = False
        self.stays = False
        """Whether the step type has said that something stays at the target, or could not say that nothing does."""
        self._opened: dict[tuple[str, Device], str] = {}
        self._secrets: tuple[str, ...] = ()
        self.step_log = StepLog(grant, around)
        self.made = MadeFiles(grant, around.files)
        self._around = around

    @property
    def can_be_given_back(self) -> bool:
        """Whether nothing was sent, nor will be once the attempt is closed, and nothing may be left: whoever comes next has the same name there."""
        return not (self.sent or self.is_stuck or self.stays)

    @property
    def execution_id(self) -> str:
        """See `StepContext`."""
        return self.grant.task.execution_id

    @property
    def attempt_name(self) -> str:
        """See `StepContext`."""
        task = self.grant.task
        return attempt_name(task.execution_id, task.number, task.attempt, task.look, task.epoch)

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

    def is_password_output(self, name: str) -> bool:
        """See `StepContext`."""
        return name in self.grant.password_outputs

    def declared_inputs(self) -> Sequence[str]:
        """See `StepContext`."""
        return self.grant.declared_inputs

    @property
    def is_log_full(self) -> bool:
        """See `StepContext`."""
        return self.step_log.is_full

    async def log(self, message: str, level: LogLevel = LogLevel.INFO) -> None:
        """See `StepContext`."""
        await self.step_log.add(message, level)

    async def attachment(self, key: str) -> bytes:
        """See `StepContext`."""
        return await self._around.files.read(await self.attached(key))

    async def attached(self, key: str) -> StoredFile:
        """See `StepContext`."""
        file_id = _file_id(self.grant.attachments, key)
        file = await self._around.files.find(self.grant.tenant, file_id) if file_id else None
        if file is None:
            raise AttachmentError(ErrorCode.UNKNOWN_ATTACHMENT, f"there is no attachment {key!r}")
        return file

    def pieces(self, file: StoredFile) -> AsyncIterator[bytes]:
        """See `StepContext`."""
        return self._around.files.stream(file)

    async def attach(self, key: str, content: AsyncIterator[bytes]) -> StoredFile:
        """See `StepContext`; raises FencedError where the attempt is over by then, so that nobody would let go of the file."""
        file = await self.made.add(key, content)
        if self.is_closed:
            await self.made.settle()
            raise FencedError("the attempt is over; what it made is not kept")
        return file

    async def inputs(self) -> PlainValues:
        """Return what the step type is given, the credentials in it opened; raises CredentialError: then nothing was sent."""
        given, need = self.grant.inputs, self.grant.need
        plain = {name: value for name, value in given.items() if not isinstance(value, Reference)}
        return plain if need is None or not need.referrals else {**plain, **await self.open(need)}

    async def inventory(self) -> Inventory:
        """See `StepContext`."""
        found = await until_stored(self._around.clock, partial(self._around.inventories.of, self.grant.tenant))
        return NOTHING_KNOWN if isinstance(found, Reply) else found

    async def secret(self, reference: Reference, at: Device, *, anew: bool = False) -> str:
        """See `StepContext`."""
        need = self.grant.need
        if need is None:
            raise CredentialError(ErrorCode.CREDENTIAL_REFUSED, "nothing was sent: a step that acts nowhere opens no credential")
        known = self._opened.get((reference.credential, at))
        if known is None or anew:
            (known,) = (await self.open(need.of_inventory(reference, at))).values()
            self._opened[reference.credential, at] = known
        return known

    async def open(self, need: Need) -> Mapping[str, str]:
        """Return the values of credentials, which nothing that is said from now on shows; raises CredentialError.

        That they were used is on the disk before anybody has them.
        """
        opened = await until_stored(self._around.clock, partial(self._around.credentials.open, need))
        if isinstance(opened, Reply):
            raise CredentialError(ErrorCode.CREDENTIAL_UNAVAILABLE, "nothing was sent: what is stored of a credential is damaged")
        self._secrets = (*self._secrets, *opened.values())
        self.mask = self.step_log.mask = self.grant.mask.with_more(self._secrets)
        await until_stored(self._around.clock, partial(self._tell, need))
        return opened

    async def _tell(self, need: Need) -> None:
        now = self._around.clock.now()
        lines = [LogEntry(now, LogLevel.INFO, self.mask.text(need.told(each)), need.number) for each in need.referrals]
        await self._around.claims.log(need.execution_id, lines, is_confidential=self.grant.is_confidential)

    def without_secrets(self, outputs: PlainValues) -> PlainValues:
        """Return what a step gave without what was opened for it: outputs are stored, and read by whoever reads the execution."""
        if not self._secrets:
            return outputs
        shown = self.mask.of_only(self._secrets).values(outputs, frozenset())
        return {name: value for name, value in shown.items() if not isinstance(value, Reference)}

    def leave_behind(self) -> None:
        """See `StepContext`."""
        self.stays = True

    def mark_sent(self) -> None:
        """See `StepContext`; raises FencedError where nothing may be sent any more."""
        if self.is_closed or (self.is_claimed and self._is_silent()):
            raise FencedError("this worker's last confirmed sign of life is too old to send anything")
        if self._is_late():
            raise FencedError("the time of this worker's claim is over, so it may not send anything")
        reach(CrashPoint.SEND_DUE)
        self.sent = True
        reach(CrashPoint.SEND_MARKED)

    def _is_silent(self) -> bool:
        return self._around.clock.monotonic() - self.last_sign > self._around.silence_seconds / 2

    def _is_late(self) -> bool:
        """Whether the deadline of its claim is near: signs of life do not move that, and a process that stood still does not know how late it is."""
        lasts = self.time_limit_seconds + OLD_CLAIM_SECONDS
        return self._asked_at is not None and self._around.clock.monotonic() - self._asked_at > lasts


def _file_id(attachments: Mapping[str, str], key: str) -> str | None:
    return attachments.get(key) or (key if key in attachments.values() else None)
