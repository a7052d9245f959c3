"""The only table from an error to a status. Called by `limits`, where every error of an operation arrives, and by `app`.

400, 408, 412, 413, 415, 429, 431, 500 and 503 carry `errorResponse`; 401, 403, 404 and 405 have no body; each carries `x-error-code`.
"""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import structlog
from starlette.responses import Response

from stepswitch.api.wire.documents import encode
from stepswitch.domain.errors import (
    CommitInDoubtError,
    DamagedError,
    ErrorCode,
    Fault,
    HeadersTooLargeError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    OverloadedError,
    PreconditionFailedError,
    StepswitchError,
    StoreError,
    TargetError,
    TooLargeError,
    TooManyAttemptsError,
    TooSlowError,
    UnsupportedEncodingError,
    WorkflowError,
)
from stepswitch.domain.readers import MAX_LISTED

STATUSES: Final[Sequence[tuple[type[StepswitchError], int]]] = (
    (InvalidRequestError, 400),
    (NotAuthenticatedError, 401),
    (NotPermittedError, 403),
    (NotFoundError, 404),
    (PreconditionFailedError, 412),
    (TooLargeError, 413),
    (UnsupportedEncodingError, 415),
    (HeadersTooLargeError, 431),
    (TooSlowError, 408),
    (TooManyAttemptsError, 429),
    (OverloadedError, 503),
    (StoreError, 503),
    (WorkflowError, 400),
    (TargetError, 400),
    (StepswitchError, 500),
)
"""The first row that fits decides. Whatever is no StepswitchError is a bug: 500."""
BODILESS: Final = frozenset({401, 403, 404, 405})
CLOSING: Final = frozenset({408, 413, 431})
"""What was sent is not read to its end, so the connection is of no use any more."""
STORE_RETRY_SECONDS: Final = 5
FAULTS_SHOWN: Final = 2 * (MAX_LISTED + 1)
"""A request of 10 MiB can have a million faults. Those of its shape and those of its meaning are each listed up to so many, and the rest counted."""
_log = structlog.get_logger("stepswitch")


def answer(error: Exception, reference: str, *, has_written: bool = False) -> Response:
    """Return the answer to a request that ended with `error`; a fault of ours is logged under `reference`, which the answer shows.

    `has_written`: something was stored for it before that, or may have been.
    """
    status = status_of(error)
    code = error.code if isinstance(error, StepswitchError) else ErrorCode.INTERNAL
    headers = {"x-error-code": code.value}
    if status == 500:
        _log.error("request failed", reference=reference, trace=described(error))
        text = f"internal error; the log of the server says more under the reference {reference}"
        return _with_faults(500, [Fault(ErrorCode.INTERNAL, "", text)], {"x-error-code": ErrorCode.INTERNAL.value})
    if isinstance(error, StoreError):
        return _store_unavailable(error, reference, has_written=has_written)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="stepswitch"'
    if isinstance(error, UnsupportedEncodingError):
        headers["Accept-Encoding"] = error.accepted
    if isinstance(error, OverloadedError | TooManyAttemptsError):
        headers["Retry-After"] = str(error.retry_after)
    if status in CLOSING:
        headers["Connection"] = "close"
    if status in BODILESS:
        return Response(None, status, headers)
    faults = error.faults if isinstance(error, InvalidRequestError) else (Fault(code, "", str(error)),)
    return _with_faults(status, faults, headers | {"x-error-code": faults[0].code.value if faults else code.value})


def status_of(error: Exception) -> int:
    """Return the status that `error` is answered with."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def _store_unavailable(error: StoreError, reference: str, *, has_written: bool) -> Response:
    """Return the answer where the database said no: every request meets that while a disk is full, so the log gets one line and no trace."""
    _log.error("the store said no", reference=reference, error=str(error))
    in_doubt = has_written or any(isinstance(each, CommitInDoubtError) for each in _causes(error))
    became = "it may have been stored, or not: read before you send it again" if in_doubt else "nothing was stored"
    wrong = (
        "what is stored is damaged and a backup has to be restored"
        if isinstance(error, DamagedError)
        else "the database cannot be used now"
    )
    text = f"{wrong}; {became}. The log of the server says more under the reference {reference}"
    headers = {"x-error-code": error.code.value, "Retry-After": str(STORE_RETRY_SECONDS)}
    return _with_faults(503, [Fault(error.code, "", text)], headers)


def nothing_there() -> Response:
    """Return the answer to a path that leads nowhere."""
    return Response(None, 404, {"x-error-code": ErrorCode.NOT_FOUND.value})


def method_not_allowed(allowed: Sequence[str]) -> Response:
    """Return the answer to a path that knows other methods."""
    return Response(None, 405, {"x-error-code": ErrorCode.METHOD_NOT_ALLOWED.value, "Allow": ", ".join(allowed)})


def described(error: BaseException) -> str:
    """Return kinds of errors and places in the code, for the log.

    The message of an error that is not ours is left out: a driver's may hold the values that it was given, secrets too.
    """
    lines: list[str] = []
    for cause in _causes(error):
        message = f": {cause}" if isinstance(cause, StepswitchError) else ""
        lines.append(f"{type(cause).__module__}.{type(cause).__qualname__}{message}")
        lines += [f"  at {frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(cause.__traceback__)]
    return "\n".join(lines)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _with_faults(status: int, faults: Sequence[Fault], headers: Mapping[str, str]) -> Response:
    errors = [{"code": fault.code, "message": str(fault)} for fault in faults[:FAULTS_SHOWN]]
    if len(faults) > FAULTS_SHOWN:
        errors.append({"code": faults[FAULTS_SHOWN].code, "message": f"and {len(faults) - FAULTS_SHOWN} more faults"})
    return Response(encode({"errors": errors}), status, headers, "application/json")
