"""What a run of vRO has come to, as values of a step. Called by `vro`, and judged by the step types."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from stepswitch.plugin import (
    VRO_RUN_ID,
    AttachmentError,
    ErrorCode,
    LogLevel,
    Outcome,
    OutputSpec,
    Result,
    StepContext,
    StepError,
    StoredFile,
    Value,
    ValueType,
)
from stepswitch.steps.output import harmless
from stepswitch.steps.patterns import shortened
from stepswitch.steps.vro_runs import COMPLETED, Run
from stepswitch.steps.vro_values import SECURE, Attached, plain
from stepswitch.steps.vro_workflows import listed_parameters

RUN_ID_OUTPUT: Final = OutputSpec(VRO_RUN_ID, ValueType.STRING, "The id of the run in vRO.")
_PIECE_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Ended:
    """A run at its end. `files` are attachments that it gave, by the names of its outputs."""

    run: Run
    state: str
    exception: str
    outputs: Mapping[str, Value] = field(repr=False)
    files: Mapping[str, StoredFile]

    @property
    def error(self) -> StepError | None:
        """Why the step has failed; None where the run has completed."""
        if self.state == COMPLETED:
            return None
        if self.state == "failed":
            said = f": {self.exception}" if self.exception else ", and says no reason"
            return StepError(ErrorCode.RUN_FAILED, f"{self.run.told} has failed{said}")
        return StepError(
            ErrorCode.RUN_FAILED, f"{self.run.told} was cancelled in vRO by somebody else; it has done a part of its work, or none"
        )

    def outcome(self, outputs: Mapping[str, Value], error: StepError | None = None, truncated: Sequence[str] = ()) -> Outcome:
        """Return what the step came to, with these outputs; `error` where the run itself has completed."""
        error = self.error or error
        result = Result.SUCCEEDED if error is None else Result.FAILED
        files = {file.name: file.id for file in self.files.values()}
        return Outcome(result, {**outputs, VRO_RUN_ID: self.run.id}, error, tuple(truncated), files)


async def ended_as(run: Run, content: Mapping[str, Any], context: StepContext, *, file_key: str | None = None) -> Ended:
    """Return what a run has come to; `file_key` is what a file that it gives is called, in place of its own name."""
    outputs: dict[str, Value] = {}
    files: dict[str, StoredFile] = {}
    for each in listed_parameters(content, "output"):
        name = str(each.get("name"))
        try:
            value = plain(each.get("value"))
        except ValueError as error:
            await context.log(f"the output {harmless(name)!r} of the run is left out: it {error}", LogLevel.WARN)
            continue
        if isinstance(value, Attached):
            file = await _attach(file_key or value.name or name, value, context)
            if file is not None:
                files[name], outputs[name] = file, file.name
        elif value is not None and await _may_be_given(name, str(each.get("type")), context):
            outputs[name] = value
    exception = shortened(harmless(" ".join(str(content.get("content-exception") or content.get("contentException") or "").split())))
    return Ended(run, str(content.get("state")).lower(), exception, outputs, files)


async def _may_be_given(name: str, kind: str, context: StepContext) -> bool:
    if not kind.endswith(SECURE) or context.is_password_output(name):
        return True
    message = f"the output {harmless(name)!r} of the run is a {SECURE} and is left out: it is given where an outBinding writes it as type password"
    await context.log(message, LogLevel.WARN)
    return False


async def _attach(key: str, file: Attached, context: StepContext) -> StoredFile | None:
    try:
        return await context.attach(key, _pieces(file.content))
    except AttachmentError as error:
        await context.log(f"a file that the run has given is left out: {error}", LogLevel.WARN)
        return None


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PIECE_BYTES):
        yield content[start : start + _PIECE_BYTES]
