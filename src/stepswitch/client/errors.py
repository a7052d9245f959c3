"""What can go wrong between a program and a service, as a tree. The first split is whether the service answered.

    ClientError
    ├── NoAnswerError               the service did not answer
    │   ├── UnreachableError            it was not reached: nothing was sent
    │   └── ConnectionBrokenError       the connection broke, or the time was up: what was asked may have been done
    ├── StrangeAnswerError          whoever answered is no Stepswitch, or what came is damaged
    ├── WaitTimeoutError            an execution did not come to where it was waited for
    ├── NotOneError                 a name fits no workflow, or several
    └── ApiError                    the service said no: `status`, `code` and every fault
        ├── InvalidRequestError         400
        │   └── StateConflictError          it does not fit the state of the execution
        ├── NotAuthenticatedError       401
        ├── NotPermittedError           403
        ├── NotFoundError               404
        ├── PreconditionFailedError     412
        ├── TooLargeError               413
        ├── UnavailableError            429 and 503: come back later
        └── ServiceFailedError          500 and the like

No message carries a password or a token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepswitch.client.answers import Execution


@dataclass(frozen=True, slots=True)
class ApiFault:
    """One thing that the service has to say against a request; `message` begins with the place where there is one."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"


class ClientError(Exception):
    """The root: whatever the client raises on purpose."""


class NoAnswerError(ClientError):
    """The service did not answer."""


class UnreachableError(NoAnswerError):
    """Nobody was reached: the name is unknown, the connection was refused, or the certificate is not trusted. Nothing was sent."""


class ConnectionBrokenError(NoAnswerError):
    """The connection broke, or the answer did not come in time. Where something was to be changed, nobody here knows whether it was."""


class StrangeAnswerError(ClientError):
    """Whoever answered is no Stepswitch, a proxy for instance; or what came is not what it should be."""


class WaitTimeoutError(ClientError):
    """The time was up before the execution had come to where it was waited for; `execution` is how it was seen last, if it was."""

    def __init__(self, message: str, execution: "Execution | None") -> None:
        super().__init__(message)
        self.execution = execution


class NotOneError(ClientError):
    """A name that fits no workflow, or more than one; `ids` are those that it fits."""

    def __init__(self, message: str, ids: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.ids = tuple(ids)


class ApiError(ClientError):
    """The service said no.

    `status` is that of HTTP, `code` one of the documented error codes (empty where none was given), `faults` everything that is
    wrong with the request, and `retry_after` the seconds after which it may be sent again, None where the service said nothing.
    """

    def __init__(self, status: int, code: str, faults: Sequence[ApiFault] = (), retry_after: float | None = None, about: str = "") -> None:
        super().__init__("; ".join(map(str, faults)) or f"{about or f'the service answered {status}'}{f' [{code}]' if code else ''}")
        self.status = status
        self.code = code
        self.faults = tuple(faults)
        self.retry_after = retry_after


class InvalidRequestError(ApiError):
    """400: the request is wrong; every fault is listed, and nothing was changed."""


class StateConflictError(InvalidRequestError):
    """400: what was asked does not fit the state of the execution (STATE_CONFLICT), or that has moved on meanwhile (MOVED_ON)."""


class NotAuthenticatedError(ApiError):
    """401: no token, one that is no longer good, or a wrong password."""


class NotPermittedError(ApiError):
    """403: known, but not allowed; or what is to be changed is read-only."""


class NotFoundError(ApiError):
    """404: there is no such thing, or the caller may not see it."""


class PreconditionFailedError(ApiError):
    """412: what is to be changed is no longer what was read."""


class TooLargeError(ApiError):
    """413: the request or a file is over its limit."""


class UnavailableError(ApiError):
    """429 or 503: too much is going on, or the database cannot be used now. `retry_after` says when to come back."""


class ServiceFailedError(ApiError):
    """500 and the like: the service, or something in front of it, is at fault."""
