"""What an attempt came to: from the pod's end, its log and what the script wrote to `$STEPSWITCH_OUTPUT`. Called by `kubernetes_run`."""

import json
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.plugin import ErrorCode, Outcome, Result, StepError, Value
from stepswitch.steps.kubernetes_inputs import SIGNATURE
from stepswitch.steps.kubernetes_log import Handed
from stepswitch.steps.kubernetes_pod import Pod, Why, result_of
from stepswitch.steps.output import Output

_TAKEN: Final = frozenset(spec.name for spec in SIGNATURE.outputs)


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a script's log. `fault` is why it could not be read."""

    output: Output
    handed: Handed
    fault: Why | None = None

    def outcome(self, result: Result, why: Why | None, more: dict[str, Value] | None = None) -> Outcome:
        """Return an outcome with what was printed, and `more`."""
        text = self.output.text
        if self.handed.has_ended_line and not self.output.truncated:
            text = text.removesuffix("\n")
        outputs: dict[str, Value] = {"outputText": text, **(more or {})}
        error = None if why is None else StepError(why.code, why.message)
        return Outcome(result, outputs, error, truncated=("outputText",) if self.output.truncated else ())


def concluded(pod: Pod, heard: Heard, limit_bytes: int, location: str) -> Outcome:
    """Return what a script at a VIM location came to whose pod is over; `limit_bytes` is how much it may have written to `$STEPSWITCH_OUTPUT`."""
    code: dict[str, Value] = {} if pod.exit_code is None or not pod.has_begun else {"exitCode": pod.exit_code}
    why = pod.why_ended()
    if why is not None:
        return heard.outcome(result_of(why, pod), why, code)
    written = _written(heard, limit_bytes)
    outputs = {**code, **(written if isinstance(written, dict) else {})}
    if pod.exit_code != 0:
        last = f": {heard.output.last_line}" if heard.output.last_line else ""
        said = f"the script at the VIM location {location!r} ended with exit code {pod.exit_code}{last}"
        return heard.outcome(Result.FAILED, Why(ErrorCode.NON_ZERO_EXIT, said), outputs)
    if isinstance(written, Why):
        return heard.outcome(Result.FAILED, written, outputs)
    return heard.outcome(Result.SUCCEEDED, None, outputs)


def _written(heard: Heard, limit_bytes: int) -> dict[str, Value] | Why:
    """Return what the script wrote as outputs, or why there are none."""
    handed = heard.handed
    if handed.is_too_large:
        message = f"the script wrote {handed.size:,} bytes to $STEPSWITCH_OUTPUT; {limit_bytes:,} are taken"
        return Why(ErrorCode.OUTPUT_TOO_LARGE, message)
    if not handed.is_complete:
        why = heard.fault.message if heard.fault is not None else "it ended before the end of the script"
        code = heard.fault.code if heard.fault is not None else ErrorCode.MALFORMED_ANSWER
        return Why(
            code, f"the script has ended, but what it wrote to $STEPSWITCH_OUTPUT comes with its log, which was not read whole: {why}"
        )
    content = handed.content()
    if content is None:
        return Why(ErrorCode.MALFORMED_ANSWER, "what the script wrote to $STEPSWITCH_OUTPUT came damaged")
    return _outputs(content) if content.strip() else {}


def _outputs(content: bytes) -> dict[str, Value] | Why:
    try:
        found = json.loads(content.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return Why(ErrorCode.SCRIPT_RESULT, "what the script wrote to $STEPSWITCH_OUTPUT is no JSON")
    if not isinstance(found, dict):
        return Why(ErrorCode.SCRIPT_RESULT, "what the script wrote to $STEPSWITCH_OUTPUT is JSON, but no object")
    taken = sorted(_TAKEN & found.keys())
    if taken:
        return Why(ErrorCode.SCRIPT_RESULT, f"the script gives an output {taken[0]!r}, which this step type gives itself")
    return {_whole(name): _value(value) for name, value in found.items() if value is not None}


def _value(value: Any) -> Value:
    if isinstance(value, bool | int | float):
        return value
    return _whole(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _whole(text: str) -> str:
    """Return a text without halves of characters, which JSON can name and nothing can store."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _refuse(name: str) -> object:
    raise ValueError(name)
