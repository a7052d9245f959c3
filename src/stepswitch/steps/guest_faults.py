"""What a vCenter says when it does not do what it was asked, as a code and a sentence. Called by `guest_vcenter` and `guest_machine`.

What matters most is whether a thing was done: an answer that says no is certain, no answer is not.
"""

import ssl
from http.client import HTTPException
from typing import Any, Final
from xml.parsers.expat import ExpatError

from stepswitch.plugin import CUT, ErrorCode, exhausted
from stepswitch.steps.guest_driver import vim, vmodl
from stepswitch.steps.output import harmless

_WORDS: Final = 200


class GuestError(Exception):
    """Something was not done, for certain."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class BusyError(GuestError):
    """It was not done now, and may be done later: the machine restarts, its Tools do not run yet, somebody else is at it."""


class GoneError(GuestError):
    """Nobody knows whether it was done: no answer came, or one that says nothing."""


_REFUSALS: Final[tuple[tuple[type[Any], ErrorCode, str], ...]] = (
    (vim.fault.InvalidGuestLogin, ErrorCode.LOGIN_REFUSED, "{machine} refused the user or the password of the guest"),
    (vim.fault.GuestPermissionDenied, ErrorCode.PERMISSION_DENIED, "{machine} does not permit this user to {what}"),
    (vim.fault.GuestMultipleMappings, ErrorCode.LOGIN_REFUSED, "{machine} refused the user: the login fits several accounts"),
    (vim.fault.OperationDisabledByGuest, ErrorCode.GUEST_UNAVAILABLE, "{machine} has guest operations switched off in its VMware Tools: it cannot {what}"),
    (vim.fault.OperationNotSupportedByGuest, ErrorCode.GUEST_UNAVAILABLE, "the operating system of {machine} cannot {what} by its VMware Tools"),
    (vim.fault.GuestComponentsOutOfDate, ErrorCode.GUEST_UNAVAILABLE, "the VMware Tools of {machine} are too old to {what}: update them"),
    (vim.fault.FileNotFound, ErrorCode.NO_SUCH_FILE, "{machine} has no such file or directory, asked to {what}"),
    (vim.fault.NoDiskSpace, ErrorCode.NO_SPACE, "there is no space left in {machine} to {what}"),
    (vim.fault.FileAlreadyExists, ErrorCode.PERMISSION_DENIED, "{machine} has such a file already, asked to {what}"),
    (vim.fault.CannotAccessFile, ErrorCode.PERMISSION_DENIED, "{machine} cannot get at the file or the directory, asked to {what}"),
    (vim.fault.InvalidLogin, ErrorCode.LOGIN_REFUSED, "{vcenter} refused user or password"),
    (vim.fault.NotAuthenticated, ErrorCode.LOGIN_REFUSED, "{vcenter} does not take the session that it gave"),
    (vim.fault.NoPermission, ErrorCode.PERMISSION_DENIED, "{vcenter} does not permit its user to {what}: it lacks the privilege {privilege}"),
    (vmodl.fault.SecurityError, ErrorCode.PERMISSION_DENIED, "{vcenter} does not permit its user to {what}"),
    (vmodl.fault.ManagedObjectNotFound, ErrorCode.NOT_FOUND, "{vcenter} has no such machine: it was removed, or its name is another one"),
    (vim.fault.FileFault, ErrorCode.PERMISSION_DENIED, "{machine} cannot {what}"),
)  # fmt: skip
"""Answers that say no for good, the more special one first."""
_LATER: Final[tuple[tuple[type[Any], str], ...]] = (
    (vim.fault.InvalidPowerState, "{machine} is not powered on"),
    (vim.fault.ToolsUnavailable, "the VMware Tools of {machine} do not run"),
    (vim.fault.GuestOperationsUnavailable, "the VMware Tools of {machine} do not answer: they do not run, or are not ready yet"),
    (vim.fault.TooManyGuestLogons, "too many are logged in to {machine}"),
    (vim.fault.TaskInProgress, "something else is done with {machine} just now"),
    (vim.fault.InvalidState, "{machine} is in no state in which it can {what}"),
)
_CERTAIN: Final = (
    vim.fault.VimFault,
    vmodl.fault.InvalidRequest,
    vmodl.fault.InvalidArgument,
    vmodl.fault.NotSupported,
    vmodl.fault.MethodNotFound,
)
"""Other answers that say no. What is not among them, as a SystemError, may come from behind the place at which it was done."""


def explained(error: BaseException, vcenter: str, machine: str, what: str) -> GuestError:
    """Return what an exception of the driver means, raised when it was asked to have `what` done."""
    names = {
        "vcenter": vcenter,
        "machine": machine,
        "what": what,
        "privilege": harmless(str(getattr(error, "privilegeId", None) or "for it")),
    }
    for kind, code, sentence in _REFUSALS:
        if isinstance(error, kind):
            return GuestError(code, sentence.format(**names) + _words(error))
    for kind, sentence in _LATER:
        if isinstance(error, kind):
            return BusyError(ErrorCode.GUEST_UNAVAILABLE, sentence.format(**names))
    if isinstance(error, GuestError):
        return error
    if not isinstance(error, vmodl.MethodFault):
        return _unanswered(error, vcenter, what)
    called = type(error).__name__.rpartition(".")[2]
    if isinstance(error, _CERTAIN):
        return GuestError(ErrorCode.VIM_REFUSED, f"{vcenter} refused to {what} ({called})" + _words(error))
    return GoneError(ErrorCode.CONNECTION_CUT, f"{vcenter} could not {what} ({called})" + _words(error))


def _unanswered(error: BaseException, vcenter: str, what: str) -> GuestError:
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"the certificate that {vcenter} shows is not trusted: {harmless(error.verify_message)}"
        return GuestError(ErrorCode.WRONG_CERTIFICATE, message)
    ran_out = exhausted(error) if isinstance(error, OSError) else None
    if ran_out is not None:
        return BusyError(ran_out.code, ran_out.message)
    match error:
        case TimeoutError():
            code, why = ErrorCode.TIMEOUT, f"{vcenter} did not answer in time, asked to {what}"
        case ConnectionRefusedError():
            code, why = ErrorCode.CONNECTION_REFUSED, f"{vcenter} refused the connection: nothing listens there, or a firewall says no"
        case ConnectionError() | ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            code, why = ErrorCode.CONNECTION_CUT, f"the connection to {vcenter} was cut"
        case ssl.SSLError():
            code, why = (
                ErrorCode.NO_COMMON_ALGORITHM,
                f"{vcenter} and this service do not come to TLS: {harmless(error.reason or 'no reason')}",
            )
        case OSError():
            code, why = ErrorCode.UNREACHABLE, f"{vcenter} cannot be reached: {error.strerror or 'the network says no'}"
        case HTTPException() | ExpatError():
            code, why = ErrorCode.MALFORMED_ANSWER, f"{vcenter} does not answer as a vCenter does"
        case _:  # the driver hands on whatever a strange peer made it trip over
            code, why = ErrorCode.MALFORMED_ANSWER, f"{vcenter} does not answer as a vCenter does ({type(error).__name__})"
    return GoneError(code, why)


def _words(error: Any) -> str:
    words = harmless(" ".join(str(getattr(error, "msg", None) or "").split()))
    return "" if not words else f": {words}" if len(words) <= _WORDS else f": {words[:_WORDS]}{CUT}"
