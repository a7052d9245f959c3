"""Why a copy did not succeed: what the driver and the server said, as a code and a sentence. Used by `scp` and its companions."""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

import asyncssh

from stepswitch.plugin import ErrorCode, TargetError
from stepswitch.steps.output import harmless

_REASON_CHARACTERS: Final = 200
_T = TypeVar("_T")


class CopyError(Exception):
    """A copy that did not succeed. `in_doubt`: nobody can say what stands under the final name."""

    def __init__(self, code: ErrorCode, message: str, *, in_doubt: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.in_doubt = in_doubt


class GoneError(CopyError):
    """The connection was lost, or the server has stopped answering: it cannot be asked any more."""


class NotOfferedError(CopyError):
    """The server does not have what it was asked for."""


def quoted(path: str) -> str:
    """Return a path as a message shows it: nothing in it is escaped, or a secret in it would not be known again."""
    return f"'{harmless(path.encode('utf-8', 'replace').decode('utf-8'))}'"


async def answered(server: str, asked: Awaitable[_T], path: str, seconds: float) -> _T:
    """Return what the server answers about `path`; raises CopyError where it says no, GoneError where it says nothing."""
    try:
        async with asyncio.timeout(seconds):
            return await asked
    except TimeoutError:
        raise GoneError(ErrorCode.TIMEOUT, f"{server} has not answered for {seconds:g} seconds") from None
    except asyncssh.SFTPError as error:
        raise _refusal(error, server, path) from None
    except (asyncssh.Error, OSError):
        raise GoneError(ErrorCode.CONNECTION_CUT, f"the connection to {server} was cut") from None
    except TargetError:
        raise
    except Exception as error:  # noqa: BLE001 - the driver hands on whatever a strange peer made it trip over
        raise GoneError(ErrorCode.CONNECTION_CUT, f"{server} does not speak SFTP as it should ({type(error).__name__})") from None


def _refusal(error: asyncssh.SFTPError, server: str, path: str) -> CopyError:
    match error:
        case asyncssh.SFTPConnectionLost() | asyncssh.SFTPNoConnection():
            found: CopyError = GoneError(ErrorCode.CONNECTION_CUT, f"the connection to {server} was cut")
        case asyncssh.SFTPNoSuchFile() | asyncssh.SFTPNoSuchPath():
            found = no_such_file(server, path)
        case asyncssh.SFTPPermissionDenied() | asyncssh.SFTPWriteProtect():
            found = not_permitted(server, path)
        case asyncssh.SFTPNoSpaceOnFilesystem() | asyncssh.SFTPQuotaExceeded():
            found = no_space(server, path)
        case asyncssh.SFTPFileIsADirectory():
            found = not_a_file(server, path, "a directory")
        case asyncssh.SFTPOpUnsupported():
            found = NotOfferedError(ErrorCode.COPY_REFUSED, f"the SFTP server at {server} cannot do that with {quoted(path)}")
        case _:
            found = refused(server, path, error.reason)
    return found


def of_text(server: str, path: str, text: str) -> CopyError:
    """Return the error that a server's own words stand for."""
    lower = text.lower()
    if "no such file" in lower:
        return no_such_file(server, path)
    if "permission denied" in lower or "read-only" in lower:
        return not_permitted(server, path)
    if "no space" in lower or "quota exceeded" in lower:
        return no_space(server, path)
    if "is a directory" in lower or "not a regular file" in lower:
        return not_a_file(server, path, "a directory, or something else that is no file")
    return refused(server, path, text)


def no_such_file(server: str, path: str) -> CopyError:
    """Return the error of a path that leads nowhere."""
    return CopyError(ErrorCode.NO_SUCH_FILE, f"{server} has no {quoted(path)}, or no directory on the way there")


def not_permitted(server: str, path: str) -> CopyError:
    """Return the error of a path that the user may not read or write."""
    return CopyError(ErrorCode.PERMISSION_DENIED, f"{server} does not permit this user to copy {quoted(path)}")


def no_space(server: str, path: str) -> CopyError:
    """Return the error of a server that is full."""
    return CopyError(ErrorCode.NO_SPACE, f"there is no space left at {server} for {quoted(path)}")


def not_a_file(server: str, path: str, what: str) -> CopyError:
    """Return the error of a path at which something else stands than a file."""
    return CopyError(ErrorCode.NOT_A_FILE, f"{quoted(path)} at {server} is {what}")


def refused(server: str, path: str, reason: str) -> CopyError:
    """Return the error of a server that says no and not why, or says it in words of its own."""
    words = harmless(reason).strip()[:_REASON_CHARACTERS] or "no reason was given"
    return CopyError(ErrorCode.COPY_REFUSED, f"{server} refused to copy {quoted(path)}: {words}")


def damaged(key: str) -> CopyError:
    """Return the error of an attachment that is no longer what was stored."""
    return CopyError(ErrorCode.STORE_UNAVAILABLE, f"the attachment {quoted(key)} is no longer what was stored")


def differs(server: str, path: str, how: str) -> CopyError:
    """Return the error of a copy that is not what was copied."""
    return CopyError(ErrorCode.COPY_DIFFERS, f"{quoted(path)} at {server} {how}")
