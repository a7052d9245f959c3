"""What an exchange over HTTP comes to: outputs, result, and the sentence that says why. Called by `http`.

FAILED is said of what certainly was not done. Where nobody can tell it is UNKNOWN: the connection broke or nothing more came after the request had
begun to leave, or a gateway says that it does not know what became of it behind.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from stepswitch.plugin import ErrorCode, LogLevel, Outcome, Result, StepError, Url, Value, failed
from stepswitch.steps.http_inputs import READS, Request
from stepswitch.steps.output import harmless
from stepswitch.steps.patterns import shortened

if TYPE_CHECKING:
    from stepswitch.steps.http_exchange import Answer, Ending

NOBODY_KNOWS: Final = "whether it has done its work is not known"
_GATEWAYS: Final = frozenset({502, 504})
"""Where the server that answers does not know what became of the request (RFC 9110, 15.6.3 and 15.6.5)."""


def told(answer: "Answer", url: Url) -> Iterator[tuple[LogLevel, str]]:
    """Yield lines of log about an answer; what is in it is left to the outputs."""
    kind = f" of {harmless(answer.body.kind.strip())}" if answer.body.kind.strip() else ""
    yield LogLevel.INFO, f"{url.authority} answered {_status(answer)}, {answer.body.size} bytes{kind} read"
    if not answer.body.is_readable:
        yield LogLevel.WARN, "the answer is packed in a way that was not asked for, so there is no output body"


def judged(ending: "Ending", request: Request, url: Url, silence_seconds: float) -> Outcome:
    """Return the outcome of the last exchange of a request; nothing of it is masked yet."""
    from stepswitch.steps.http_exchange import End  # noqa: PLC0415 - loads a driver that no other step needs

    answer = ending.answer
    if answer is not None and not request.expects(answer.status):
        return _unexpected(answer, request, url, is_whole=ending.end is End.ANSWERED)
    outputs, cut = ({}, ()) if answer is None else _outputs(answer, url, is_whole=ending.end is End.ANSWERED)
    server, has = url.authority, "" if answer is None else f" and {_status(answer)} had been answered"
    match ending.end:
        case End.ANSWERED:
            return Outcome(Result.SUCCEEDED, outputs, None, cut)
        case End.REFUSED:
            return failed(ErrorCode.LOGIN_REFUSED, _refused(request, server))
        case End.SILENT:
            code, why = ErrorCode.TIMEOUT, f"{server} said nothing for {silence_seconds:g} seconds after the request was sent{has}"
        case End.MALFORMED:
            code, why = ErrorCode.MALFORMED_ANSWER, f"what answers at {server} does not speak HTTP as it should"
        case _:
            code, why = ErrorCode.CONNECTION_CUT, f"the connection to {server} was cut after the request was sent{has}"
    return Outcome(Result.UNKNOWN, outputs, StepError(code, f"{why}; {NOBODY_KNOWS}"), cut)


def _unexpected(answer: "Answer", request: Request, url: Url, *, is_whole: bool) -> Outcome:
    outputs, cut = _outputs(answer, url, is_whole=is_whole)
    said = shortened(" ".join(filter(None, (harmless(line.strip()) for line in answer.body.text.splitlines()))))
    leads = f", which leads to {_place(location)}" if (location := answer.header("location")) else ""
    why = f"{request.told(url)} was answered {_status(answer)}{leads}, where {request.expected_text} is expected"
    is_in_doubt = answer.status in _GATEWAYS and request.method not in READS
    doubt = f"; a gateway says so, and {NOBODY_KNOWS}" if is_in_doubt else ""
    error = StepError(ErrorCode.UNEXPECTED_STATUS, f"{why}{doubt}{f': {said}' if said else ''}")
    return Outcome(Result.UNKNOWN if is_in_doubt else Result.FAILED, outputs, error, cut)


def _outputs(answer: "Answer", url: Url, *, is_whole: bool) -> tuple[dict[str, Value], tuple[str, ...]]:
    """Return the outputs, and the names of those that are not whole."""
    outputs: dict[str, Value] = {"statusCode": answer.status, "url": str(url), "headers": _headers(answer)}
    if not answer.body.is_readable:
        return outputs, ()
    text, is_cut = answer.body.text, answer.body.is_cut or not is_whole
    outputs["body"] = text
    if answer.body.says_json and text and (is_cut or answer.body.is_json):
        outputs["json"] = text
    return outputs, tuple(name for name in ("body", "json") if is_cut and name in outputs)


def _headers(answer: "Answer") -> str:
    """Return the headers as a JSON object; what comes several times is an array."""
    found: dict[str, str | list[str]] = {}
    for name, value in answer.headers:
        before = found.get(name)
        found[name] = value if before is None else [*(before if isinstance(before, list) else [before]), value]
    return json.dumps(found)


def _refused(request: Request, server: str) -> str:
    shown = request.identity.certificate is not None
    why = "it does not accept the client certificate" if shown else "it wants a client certificate"
    return f"{server} ended TLS before it had read the request: {why}"


def _status(answer: "Answer") -> str:
    return shortened(f"{answer.status} {harmless(answer.reason)}".strip())


def _place(location: str) -> str:
    return shortened(harmless(location.partition("?")[0]))
