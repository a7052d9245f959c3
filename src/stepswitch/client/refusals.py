"""From an answer that says no to an error of the tree, and from what httpx raises. Called by `transport`."""

import json
import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import httpx

from stepswitch.client.errors import (
    ApiError,
    ApiFault,
    ConnectionBrokenError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    PreconditionFailedError,
    ServiceFailedError,
    StateConflictError,
    StrangeAnswerError,
    TooLargeError,
    UnavailableError,
    UnreachableError,
)

CODE_HEADER: Final = "x-error-code"
_CONFLICTS: Final = frozenset({"STATE_CONFLICT", "MOVED_ON"})
_KINDS: Final[Mapping[int, type[ApiError]]] = {
    400: InvalidRequestError,
    401: NotAuthenticatedError,
    403: NotPermittedError,
    404: NotFoundError,
    412: PreconditionFailedError,
    413: TooLargeError,
    429: UnavailableError,
    503: UnavailableError,
}
_REASONS: Final = {
    "WRONG_CREDENTIALS": "unknown user or wrong password",
    "SESSION_EXPIRED": "the session has expired; log in again",
    "NOT_AUTHENTICATED": "not logged in, or the token is no longer good; log in",
    "READ_ONLY": "it is read-only",
}


def as_error(url: str, about: str, response: httpx.Response) -> ApiError | StrangeAnswerError:
    """Return what an answer that is no success means; its content must have been read. `about` names what was asked for."""
    status, code = response.status_code, response.headers.get(CODE_HEADER, "")
    if response.is_redirect:
        return strange(url, f"redirects to {response.headers.get('location', 'elsewhere')}; give that address instead")
    if status == 404 and not code:
        return strange(url, "answered 404 as no Stepswitch does; look at the address, and at what is in front of the service")
    kind = _KINDS.get(status, ServiceFailedError if status >= 500 else ApiError)
    if kind is InvalidRequestError and code in _CONFLICTS:
        kind = StateConflictError
    return kind(status, code, _faults(response.content), _seconds(response.headers.get("retry-after")), _reason(status, code, about))


def strange(url: str, what: str) -> StrangeAnswerError:
    """Return the error for an answer that no Stepswitch gives."""
    return StrangeAnswerError(f"{url} {what}")


@contextmanager
def told(url: str, seconds: float) -> Iterator[None]:
    """Raise what httpx or a deadline raise in the block as errors of the tree."""
    try:
        yield
    except httpx.ConnectError as error:
        raise UnreachableError(f"{url} cannot be reached: {_why(error)}") from None
    except (httpx.ConnectTimeout, httpx.PoolTimeout):
        raise UnreachableError(f"{url} cannot be reached: nobody answered in time") from None
    except (httpx.TimeoutException, TimeoutError):
        raise ConnectionBrokenError(f"{url} did not answer within {seconds:g} seconds") from None
    except httpx.LocalProtocolError:
        # Its message shows the header that it is about, which may be the token.
        raise UnreachableError("this cannot be sent: a header holds what cannot stand there, in the token perhaps") from None
    except httpx.TransportError as error:
        raise ConnectionBrokenError(f"the connection to {url} broke{_detail(error)}") from None
    except httpx.RequestError as error:
        raise strange(url, f"sent what cannot be read{_detail(error)}") from None


def _faults(content: bytes) -> Sequence[ApiFault]:
    try:
        errors = json.loads(content)["errors"]
        return [ApiFault(str(each["code"]), str(each["message"])) for each in errors]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ()


def _reason(status: int, code: str, about: str) -> str:
    if code in _REASONS:
        return _REASONS[code]
    return {
        401: "not logged in",
        403: f"not permitted: {about}",
        404: f"there is no {about}, or you may not see it",
        429: "the service has too much to do; come back later",
        503: "the service has too much to do, or cannot use its database; come back later",
    }.get(status, f"the service answered {status} to: {about}")


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 10 else None


def _why(error: httpx.ConnectError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return f"it does not speak TLS as it should ({(cause.reason or 'error').replace('_', ' ').lower()}); is the address right?"
        if isinstance(cause, OSError) and cause.strerror:
            is_number = cause.errno is not None and cause.errno > 0  # else it is one of the resolver's
            return (os.strerror(cause.errno or 0) if is_number else cause.strerror).lower()
        cause = cause.__cause__ or cause.__context__
    return str(error).lower() or "the connection was refused"


def _detail(error: Exception) -> str:
    return f": {error}" if str(error) else ""
