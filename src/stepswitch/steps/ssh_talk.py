"""What a conversation with a router came to, as the outcome of a step. Called by `ssh`.

A line that was refused fails the step for certain. Where nobody knows what the router made of a line, the outcome is UNKNOWN.
"""

from typing import Final

from stepswitch.plugin import ErrorCode, Outcome, Result, StepError, Value
from stepswitch.steps.output import Output
from stepswitch.steps.patterns import shortened
from stepswitch.steps.ssh_inputs import Request
from stepswitch.steps.ssh_shell import End, Part, ShellRun, Talk

_STUCK: Final = {
    End.SILENT: (ErrorCode.TIMEOUT, "did not come back to its prompt: it printed nothing for {seconds:g} seconds"),
    End.UNANSWERED: (ErrorCode.UNANSWERED, "waits for an answer that 'answers' does not have"),
    End.CLOSED: (ErrorCode.CONNECTION_CUT, "closed the session"),
}


def judged(talk: Talk, run: ShellRun, request: Request, output: Output, server: str) -> Outcome:
    """Return what a conversation at `server` came to."""
    text = output.text
    outputs: dict[str, Value] = {"outputText": text, "result": text, "errorText": ""}
    error = _error(talk, run, request, server)
    if error is None and (reason := request.patterns.verdict(output)) is not None:
        error = StepError(ErrorCode.PATTERN_FAILED, f"{server}: {reason}")
    result = Result.SUCCEEDED if error is None else Result.UNKNOWN if _is_in_doubt(talk, run) else Result.FAILED
    if error is not None:
        error = StepError(error.code, run.dialogue.shown(error.message))
    return Outcome(result, outputs, error, ("outputText", "result") if output.truncated else ())


def last_words(run: ShellRun, server: str) -> str:
    """Return what is said where a conversation is cancelled after something was typed."""
    left = " in its configuration mode: what was entered there may not be in effect, or not be discarded" if run.is_configuring else ""
    return f"the session at {server} was closed before the prompt was back{left}"


def _is_in_doubt(talk: Talk, run: ShellRun) -> bool:
    return run.was_sent and talk.end in (End.SILENT, End.UNANSWERED, End.CLOSED)


def _error(talk: Talk, run: ShellRun, request: Request, server: str) -> StepError | None:
    said = f": {shortened(talk.last)}" if talk.last else ""
    match talk.end:
        case End.DONE:
            return None
        case End.NO_SHELL:
            return StepError(ErrorCode.CONNECTION_REFUSED, f"{server} let us in, but opens no shell with a terminal; nothing was sent")
        case End.NO_ENABLE:
            return StepError(ErrorCode.LOGIN_REFUSED, f"{server} refused the privileged mode; nothing was sent{said}")
        case End.REFUSED:
            return _refusal(talk, request, server)
    code, what = _STUCK[talk.end]
    return StepError(code, _stuck(talk, run, request, f"{server} {what.format(seconds=run.dialogue.silence_seconds)}"))


def _refusal(talk: Talk, request: Request, server: str) -> StepError:
    said = shortened(talk.last)
    why = f"the answer has a line that failPattern matches: {said}" if talk.by_pattern else f"the router refused it: {said}"
    sentences = [f"{server}: {_line(talk, request)}: {why}", _not_typed(talk, request), talk.remark]
    return StepError(ErrorCode.PATTERN_FAILED if talk.by_pattern else ErrorCode.LINE_REFUSED, "; ".join(filter(None, sentences)))


def _stuck(talk: Talk, run: ShellRun, request: Request, what: str) -> str:
    shown = f"; the last that it showed: {shortened(talk.last)}" if talk.last else ""
    if not run.was_sent:
        return f"{what}, before a line was typed{_while(talk.part)}; nothing was sent{shown}"
    if talk.number == 0:
        return f"{what}, after it was answered as 'answers' says and before a line was typed{shown}"
    rest = _not_typed(talk, request)
    return f"{what}, at {_line(talk, request)}; whether that has done its work is not known{f'; {rest}' if rest else ''}{shown}"


def _line(talk: Talk, request: Request) -> str:
    lines = request.shell.lines if request.shell else ()
    return f"line {talk.number} of {len(lines)} ({shortened(lines[talk.number - 1])})"


def _not_typed(talk: Talk, request: Request) -> str:
    left = len(request.shell.lines) - talk.number if request.shell else 0
    return "" if left == 0 else "the line after it was not sent" if left == 1 else f"the {left} lines after it were not sent"


def _while(part: Part) -> str:
    return {Part.ENABLING: ", while the privileged mode was entered", Part.PREPARING: ", while paging was turned off"}.get(part, "")
