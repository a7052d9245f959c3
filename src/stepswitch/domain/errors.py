"""Every error and every error code of the service, drawn as a tree. The first split is whose fault it is.

    StepswitchError
    ├── CallerError             the request is at fault: nothing was changed
    │   ├── InvalidRequestError     400: every fault with its place
    │   ├── StateConflictError      400: does not fit the state of the execution
    │   ├── NotAuthenticatedError   401
    │   ├── NotPermittedError       403
    │   ├── NotFoundError           404
    │   │   └── HiddenError             it is there, and not for the caller
    │   │       └── ElsewhereError          it is another tenant's
    │   ├── PreconditionFailedError 412
    │   ├── TooLargeError           413
    │   ├── UnsupportedEncodingError 415
    │   ├── HeadersTooLargeError    431
    │   ├── TooManyAttemptsError    429 with Retry-After
    │   │   └── TooManyRequestsError
    │   └── TooSlowError            408
    ├── WorkflowError           the document, or the values that it met, are at fault
    │   └── ValueMisfitError
    ├── TargetError             the device, host or service that a step acts on
    │   ├── CredentialError         a credential that may not be used there, or cannot be opened
    │   ├── AttachmentError         a file that a step wants and is not there, or makes and cannot be kept
    │   └── SourceError             a VNFM or an NFVO that cannot be asked, or says what cannot be used
    └── ServiceError            ours: the machine, the store or a bug
        ├── OverloadedError         503 with Retry-After
        │   └── ProviderUnavailableError the provider of logins, or the directory, cannot be asked
        ├── StoreError              503 with Retry-After: the database said no
        │   ├── VersionConflictError    somebody saved first: load and decide again
        │   ├── CommitInDoubtError      COMMIT failed, and nobody knows yet what is on disk
        │   ├── QueryTooSlowError       a read ran over its limit and was given up
        │   └── DamagedError            what is stored is no longer what was written
        ├── BackupError             a backup cannot be made, or is not whole
        ├── TransitionError         a state was asked for an event that its table has no row for
        └── SettingsError           a setting is wrong; the service does not start
            └── KeyMissingError         the key that the passwords are encrypted with is not where it should be

Raised everywhere; turned into a status by `api.problems` and into an exit code by `cli` only. No message carries a secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stepswitch.domain.error_codes import ErrorCode as ErrorCode  # noqa: PLC0414 # everybody imports it from here


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request or a document: `path` as in `steps.configure.inBindings.port`, empty for the whole."""

    code: ErrorCode
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class StepswitchError(Exception):
    """The root: whatever this service raises on purpose."""

    code: ErrorCode = ErrorCode.INTERNAL


class CallerError(StepswitchError):
    """The caller's fault; nothing was changed."""


class InvalidRequestError(CallerError):
    """The request has faults, all of them listed."""

    code = ErrorCode.INVALID_VALUE

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = tuple(faults)


class StateConflictError(InvalidRequestError):
    """What was asked does not fit the state of the execution."""

    def __init__(self, message: str, code: ErrorCode = ErrorCode.STATE_CONFLICT) -> None:
        super().__init__([Fault(code, "", message)])
        self.code = code


class NotAuthenticatedError(CallerError):
    """No token, or one that is not (or no longer) good."""

    code = ErrorCode.NOT_AUTHENTICATED

    def __init__(self, message: str, code: ErrorCode = ErrorCode.NOT_AUTHENTICATED) -> None:
        super().__init__(message)
        self.code = code


class NotPermittedError(CallerError):
    """Known, but without the privilege; or what is to be changed must not be changed (READ_ONLY)."""

    code = ErrorCode.NOT_PERMITTED

    def __init__(self, message: str, code: ErrorCode = ErrorCode.NOT_PERMITTED) -> None:
        super().__init__(message)
        self.code = code


class NotFoundError(CallerError):
    """There is no such thing, or the caller may not see it."""

    code = ErrorCode.NOT_FOUND


class HiddenError(NotFoundError):
    """There is such a thing, and the caller may not see it: he is told that there is none, and the audit trail the truth."""


class ElsewhereError(HiddenError):
    """There is such a thing in another tenant: nobody of the caller's is told so, not by the audit trail either; only who looks after all tenants is."""


class PreconditionFailedError(CallerError):
    """What is to be changed is no longer what the caller has seen."""

    code = ErrorCode.PRECONDITION_FAILED


class TooLargeError(CallerError):
    """The body or a file is over its limit."""

    code = ErrorCode.BODY_TOO_LARGE


class UnsupportedEncodingError(CallerError):
    """The body is packed in a way that is not understood; `accepted` says what is."""

    code = ErrorCode.UNSUPPORTED_ENCODING

    def __init__(self, message: str, accepted: str) -> None:
        super().__init__(message)
        self.accepted = accepted


class HeadersTooLargeError(CallerError):
    """The request line and the headers are over their limit."""

    code = ErrorCode.HEADERS_TOO_LARGE


class TooManyAttemptsError(CallerError):
    """Logins have failed too often, or requests come too fast; come back after `retry_after` seconds."""

    code = ErrorCode.TOO_MANY_ATTEMPTS

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyRequestsError(TooManyAttemptsError):
    """One user asks more often than the settings let him."""

    code = ErrorCode.TOO_MANY_REQUESTS


class TooSlowError(CallerError):
    """The request did not come in time."""

    code = ErrorCode.TOO_SLOW


class WorkflowError(StepswitchError):
    """The workflow, or a value that it met, is at fault."""

    code = ErrorCode.INVALID_VALUE


class ValueMisfitError(WorkflowError):
    """A value does not fit its declared type. The message names the kind of value, never the value: it may be a secret."""

    code = ErrorCode.WRONG_TYPE

    def __init__(self, value: object, wanted: str) -> None:
        super().__init__(f"{_kind(value)} is no {wanted}")


class TargetError(StepswitchError):
    """The device, host or service that a step acts on said no."""


class CredentialError(TargetError):
    """A credential may not be used where it is named, or cannot be opened now; nothing was sent."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class AttachmentError(TargetError):
    """A file of the execution that a step asks for is not there, or one that it made cannot be kept."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class SourceError(TargetError):
    """A source of the inventory cannot be asked, or says what cannot be used; it may want to be left alone for `retry_after` seconds."""

    def __init__(self, code: ErrorCode, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


class ServiceError(StepswitchError):
    """Our fault, or our machine's."""


class OverloadedError(ServiceError):
    """Too much is waiting; come back after `retry_after` seconds."""

    code = ErrorCode.OVERLOADED

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderUnavailableError(OverloadedError):
    """The provider of logins or the directory cannot be asked, or says what cannot be used."""

    code = ErrorCode.PROVIDER_UNAVAILABLE

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after=5)


class StoreError(ServiceError):
    """The database said no."""

    code = ErrorCode.STORE_UNAVAILABLE


class VersionConflictError(StoreError):
    """The row is no longer the one that was read; nothing of this save was written."""


class CommitInDoubtError(StoreError):
    """COMMIT failed, and not for want of room: what is on disk has to be read again before anybody is told anything."""


class QueryTooSlowError(StoreError):
    """A read ran over its limit and was given up."""


class DamagedError(StoreError):
    """What is stored is no longer what was written: asking again is of no use."""


class BackupError(ServiceError):
    """A backup cannot be made or put back, or is not whole; the message says every fault that was found."""


class TransitionError(ServiceError):
    """A state met an event that its table has no row for. What is stored stays as it was."""


class SettingsError(ServiceError):
    """A setting is wrong; the message says which and what it may be."""


class KeyMissingError(SettingsError):
    """The key-encryption key is not where it should be: bring it back, and nothing is lost."""


def _kind(value: object) -> str:
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array", dict: "an object"}
    return "null" if value is None else kinds.get(type(value), f"a {type(value).__name__}")
