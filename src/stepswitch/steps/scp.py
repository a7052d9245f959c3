"""The step type TCA_SCP: a file to a server, or from one. Registered in `pyproject.toml`, called by the step runner.

The parts: `scp_inputs` and `login_inputs` read what is asked, `ssh_login` logs in, `scp_sftp` copies over SFTP and `scp_plain` where a
server has none, `scp_archive` makes directories one file. Here they are put together, and what an attempt leaves at the server is removed.
"""

import asyncio
import importlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from stepswitch.plugin import (
    AttachmentError,
    LogLevel,
    Outcome,
    Result,
    StepContext,
    StepError,
    StepSignature,
    StoredFile,
    TargetError,
    Values,
    failed,
)
from stepswitch.steps.host_keys import fingerprint
from stepswitch.steps.input_faults import Faults, InputFaultError
from stepswitch.steps.login_inputs import LoginError, server_name, text_of
from stepswitch.steps.scp_inputs import SIGNATURE, Fetching, Request, Sending, read_request

if TYPE_CHECKING:
    from stepswitch.steps.scp_faults import CopyError
    from stepswitch.steps.scp_plain import ScpCopy
    from stepswitch.steps.scp_sftp import SftpCopy
    from stepswitch.steps.ssh_login import Session

CONNECT_SECONDS: Final = 30.0
STALL_SECONDS: Final = 300.0
_TIDY_SECONDS: Final = 5.0
"""How long a fresh session may take to remove what a lost one has left."""
_LAST_SECONDS: Final = 2.0
"""How long an attempt that is stopped may take to remove what it has at the server."""


class ScpStep:
    """Copies files over SSH. Times are in seconds; `stall_seconds` is how long a server may leave one question unanswered."""

    def __init__(self, *, connect_seconds: float = CONNECT_SECONDS, stall_seconds: float = STALL_SECONDS) -> None:
        self._connect_seconds = connect_seconds
        self._stall_seconds = stall_seconds

    @property
    def signature(self) -> StepSignature:
        """What it declares of itself."""
        return SIGNATURE

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        """Log in, copy, and say what came of it."""
        try:
            faults = Faults()
            key = text_of(inputs, "inFile")
            file = await faults.attempted(context.attached(key)) if key is not None and context.is_file("inFile") else None
            request = await read_request(inputs, context, faults)
            await asyncio.to_thread(importlib.import_module, "stepswitch.steps.scp_sftp")  # most of a second the first time
            return await self._in_session(request, file, context)
        except (InputFaultError, LoginError, AttachmentError) as error:
            return failed(error.code, str(error))

    async def clean_up(self, inputs: Values, context: StepContext) -> None:
        """Remove the part of a file that an attempt has left at the server; raises TargetError where that cannot be done now."""
        try:
            request = await read_request(inputs, context)
        except InputFaultError:
            return  # with such inputs nothing was ever sent
        if not isinstance(request.copy, Sending):
            return
        await asyncio.to_thread(importlib.import_module, "stepswitch.steps.scp_sftp")
        from stepswitch.steps.scp_faults import CopyError  # noqa: PLC0415 - asyncssh takes most of a second to import
        from stepswitch.steps.ssh_login import connect  # noqa: PLC0415 - see above

        try:
            session = await connect(request.login, context.host_keys, self._connect_seconds)
            try:
                copy = await self._way(request, context, session)
                if await copy.tidy(await copy.part_of(request.copy.path)):
                    await context.log(f"what the attempt had left at {_server(request)} was removed")
            finally:
                session.abort()
        except (LoginError, CopyError) as error:
            raise TargetError(str(error)) from None

    async def release(self, execution_id: str) -> None:
        """Do nothing: no session outlives its attempt."""

    async def close(self) -> None:
        """Do nothing: see `release`."""

    async def _in_session(self, request: Request, file: StoredFile | None, context: StepContext) -> Outcome:
        from stepswitch.steps.ssh_login import connect  # noqa: PLC0415 - asyncssh takes most of a second to import

        session = await connect(request.login, context.host_keys, self._connect_seconds)
        try:
            await context.log(
                f"{_server(request)}: logged in{request.login.told_way}; the host key is {fingerprint(session.host_key)}", LogLevel.DEBUG
            )
            return await self._copied(request, file, context, session)
        finally:
            session.close()
            try:
                await asyncio.wait_for(session.wait_closed(), _LAST_SECONDS)  # not `timeout`: see `ssh_command.Run.stop`
            except TimeoutError:
                session.abort()

    async def _copied(self, request: Request, file: StoredFile | None, context: StepContext, session: "Session") -> Outcome:
        from stepswitch.steps.scp_faults import CopyError  # noqa: PLC0415 - see above

        copy: SftpCopy | ScpCopy | None = None
        try:
            copy = await self._way(request, context, session)
            return await _carried_out(request.copy, file, copy)
        except CopyError as error:
            return await self._failure(error, copy, request, context)
        except BaseException:
            if copy is not None and copy.part is not None:
                await self._leave(copy, copy.part, context)
            raise

    async def _way(self, request: Request, context: StepContext, session: "Session") -> "SftpCopy | ScpCopy":
        """Return how files are copied there: over SFTP, by the SCP protocol where the server has no SFTP."""
        from stepswitch.steps.scp_plain import ScpCopy  # noqa: PLC0415 - see above
        from stepswitch.steps.scp_sftp import SftpCopy  # noqa: PLC0415 - see above
        from stepswitch.steps.sftp_files import sftp_of  # noqa: PLC0415 - see above

        server, login = _server(request), request.login
        stall_seconds = login.silence_seconds(self._stall_seconds)
        files = await sftp_of(session.connection, server, login.connect_seconds(self._connect_seconds), stall_seconds)
        return ScpCopy(session.connection, server, context, stall_seconds) if files is None else SftpCopy(files, context)

    async def _failure(self, error: "CopyError", copy: "SftpCopy | ScpCopy | None", request: Request, context: StepContext) -> Outcome:
        """Return what a copy came to that did not succeed, after what it left was removed: where that was still there, nothing was renamed."""
        from stepswitch.steps.scp_faults import GoneError, quoted  # noqa: PLC0415 - see above

        if copy is None or copy.part is None:
            return _ended(error, str(error), in_doubt=error.in_doubt)
        was_there = await self._tidied(copy, copy.part, request, context, is_gone=isinstance(error, GoneError))
        if was_there is None:
            context.leave_behind()
            message = f"{error}; {quoted(copy.part)} may be left there, until the server can be asked to remove it"
            return _ended(error, message, in_doubt=error.in_doubt)
        if was_there and error.in_doubt and not _is_tree(request):
            return _ended(error, f"{error}; it was found out: nothing was changed there", in_doubt=False)
        return _ended(error, str(error), in_doubt=error.in_doubt)

    async def _tidied(self, copy: "SftpCopy | ScpCopy", part: str, request: Request, context: StepContext, *, is_gone: bool) -> bool | None:
        """Return whether what an attempt has at the server was there and is removed; None where the server cannot be asked, over a fresh session neither."""
        from stepswitch.steps.scp_faults import CopyError  # noqa: PLC0415 - see above
        from stepswitch.steps.ssh_login import connect  # noqa: PLC0415 - see above

        if not is_gone:
            with suppress(CopyError, TimeoutError):
                return await asyncio.wait_for(copy.tidy(part), _TIDY_SECONDS)
        with suppress(CopyError, TimeoutError, LoginError):
            session = await asyncio.wait_for(connect(request.login, context.host_keys, self._connect_seconds), _TIDY_SECONDS)
            try:
                again = await self._way(request, context, session)
                return await asyncio.wait_for(again.tidy(part), _TIDY_SECONDS)
            finally:
                session.abort()
        return None

    async def _leave(self, copy: "SftpCopy | ScpCopy", part: str, context: StepContext) -> None:
        """Remove what an attempt that is stopped has at the server, as far as that is quick; say what is left."""
        from stepswitch.steps.scp_faults import CopyError, quoted  # noqa: PLC0415 - see above

        try:
            await asyncio.wait_for(copy.tidy(part), _LAST_SECONDS)
        except (CopyError, TimeoutError):
            context.leave_behind()
            with suppress(TimeoutError, TargetError):
                message = f"{quoted(part)} may be left at the server, until that can be asked to remove it"
                await asyncio.wait_for(context.log(message, LogLevel.WARN), _LAST_SECONDS / 4)


async def _carried_out(wanted: Sending | Fetching, file: StoredFile | None, copy: "SftpCopy | ScpCopy") -> Outcome:
    if isinstance(wanted, Fetching):
        made = await copy.fetch(wanted)
        return _well(wanted.key, made, {wanted.key: made.id})
    if file is None:
        raise AssertionError("what is sent was looked for before the login")
    return _well(await copy.send(wanted, file), file, {})


def _is_tree(request: Request) -> bool:
    return isinstance(request.copy, Sending) and request.copy.unpack


def _well(result: str, file: StoredFile, files: dict[str, str]) -> Outcome:
    return Outcome(Result.SUCCEEDED, {"result": result, "bytes": file.size, "sha256": file.sha256}, files=files)


def _ended(error: "CopyError", message: str, *, in_doubt: bool) -> Outcome:
    return Outcome(Result.UNKNOWN if in_doubt else Result.FAILED, error=StepError(error.code, message))


def _server(request: Request) -> str:
    return server_name(request.login.host, request.login.port)
