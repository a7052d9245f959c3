"""A step that only computes, carried out where there is no worker: the `StepContext` of a rehearsal. Made by `rehearsals`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from stepswitch.domain.devices import Device
from stepswitch.domain.document import Step
from stepswitch.domain.errors import AttachmentError, CredentialError, ErrorCode
from stepswitch.domain.execution import LogLevel
from stepswitch.domain.inventory import NOTHING_KNOWN, Inventory
from stepswitch.domain.references import Reference
from stepswitch.domain.secrecy import password_outputs
from stepswitch.domain.values import ValueType
from stepswitch.engine.ports import HostKeys
from stepswitch.engine.records import StoredFile


@dataclass(frozen=True, slots=True)
class ComputingContext:
    """Implements `StepContext` for one attempt; `say` takes down what the step logs, `read` gives the content of an attachment."""

    step: Step
    time_limit_seconds: float
    output_limit_bytes: int
    say: Callable[[str, LogLevel], None]
    read: Callable[[str], Awaitable[bytes]]
    execution_id: str = "rehearsal"

    @property
    def attempt_name(self) -> str:
        """See `StepContext`: nothing is made elsewhere."""
        return self.execution_id

    @property
    def host_keys(self) -> HostKeys:
        """See `StepContext`: nobody is connected to."""
        return _NobodyTrusted()

    @property
    def is_log_full(self) -> bool:
        """See `StepContext`: whoever rehearses bounds what is said."""
        return False

    async def log(self, message: str, level: LogLevel = LogLevel.INFO) -> None:
        """See `StepContext`."""
        self.say(message, level)

    async def attachment(self, key: str) -> bytes:
        """See `StepContext`."""
        return await self.read(key)

    async def attached(self, key: str) -> StoredFile:
        """See `StepContext`: what only computes reads its files whole."""
        raise AttachmentError(ErrorCode.UNKNOWN_ATTACHMENT, f"a rehearsal has no file {key!r} in pieces")

    async def pieces(self, file: StoredFile) -> AsyncIterator[bytes]:
        """See `StepContext`."""
        yield await self.read(file.name)

    async def attach(self, key: str, content: AsyncIterator[bytes]) -> StoredFile:  # noqa: ARG002 - the port's
        """See `StepContext`: what only computes makes no files."""
        raise AttachmentError(ErrorCode.INVALID_VALUE, f"a rehearsal keeps no file {key!r}")

    def is_file(self, name: str) -> bool:
        """See `StepContext`."""
        return any(binding.name == name and binding.type is ValueType.FILE for binding in self.step.in_bindings)

    def is_password_output(self, name: str) -> bool:
        """See `StepContext`."""
        return name in password_outputs(self.step)

    def declared_inputs(self) -> Sequence[str]:
        """See `StepContext`."""
        return tuple(binding.name for binding in self.step.in_bindings)

    async def inventory(self) -> Inventory:
        """See `StepContext`: what only computes acts nowhere."""
        return NOTHING_KNOWN

    async def secret(self, reference: Reference, at: Device, *, anew: bool = False) -> str:  # noqa: ARG002 - the port's
        """See `StepContext`."""
        raise CredentialError(
            ErrorCode.CREDENTIAL_REFUSED, f"nothing was sent: a rehearsal opens no credential ({reference.credential}, for {at})"
        )

    def leave_behind(self) -> None:
        """See `StepContext`: nothing is anywhere."""

    def mark_sent(self) -> None:
        """See `StepContext`: nothing leaves."""


class _NobodyTrusted:
    async def trusted(self, host: str, port: int) -> Sequence[str]:  # noqa: ARG002 - the port's
        return ()

    async def accept_new(self, host: str, port: int, public_key: str) -> bool:  # noqa: ARG002 - the port's
        return False
