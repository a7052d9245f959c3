"""Copies by the SCP protocol, to servers without SFTP, as many routers are. Called by `scp`, imported when first used.

The protocol knows no rename. Where the server has a shell (`scp_shell`), what is sent stands beside its final name until it is whole and compared, and
is renamed by that. Where it has none, nothing is sent, unless the step says that the file may be written in place: then a copy that is cut in the
middle is in doubt, and a part of the file may stand under its final name.
"""

import asyncio
import hashlib
import posixpath
import re
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar, cast

import asyncssh

from stepswitch.plugin import ErrorCode, LogLevel, StepContext, StoredFile
from stepswitch.steps.scp_archive import CHUNK
from stepswitch.steps.scp_faults import CopyError, GoneError, damaged, differs, not_a_file, of_text, quoted
from stepswitch.steps.scp_inputs import Fetching, Sending
from stepswitch.steps.scp_shell import Shell, named, part_beside

_FINE: Final = b"\0"
_COMPLAINTS: Final = (b"\1", b"\2")
_HEADER: Final = re.compile(rb"C([0-7]{4}) (\d{1,19}) (.+)")
_LINE_BYTES: Final = 4096
_USUAL_MODE: Final = 0o644
_PRIVATE: Final = 0o600
"""What nobody else reads before it has its permissions."""
_NO_SUCH_PROGRAM: Final = 127
_T = TypeVar("_T")


def _nothing() -> None:
    """Do nothing: who writes beside the final name has changed nothing yet."""


class _Talk:
    """One `scp` at the server, which is spoken to through its standard input and output."""

    def __init__(self, process: "asyncssh.SSHClientProcess[bytes]", server: str, path: str, stall_seconds: float) -> None:
        self._process = process
        self._server = server
        self._path = path
        self._stall_seconds = stall_seconds

    async def _in_time(self, asked: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(self._stall_seconds):
                return await asked
        except TimeoutError:
            raise GoneError(ErrorCode.TIMEOUT, f"{self._server} has not answered for {self._stall_seconds:g} seconds") from None
        except (asyncssh.Error, OSError):
            raise GoneError(ErrorCode.CONNECTION_CUT, f"the connection to {self._server} was cut") from None

    async def say(self, data: bytes) -> None:
        """Send bytes, as fast as the server takes them."""
        try:
            self._process.stdin.write(data)
            await self._in_time(self._process.stdin.drain())
        except (asyncssh.Error, OSError, GoneError):
            raise await self._end() from None

    async def read(self, most: int) -> bytes:
        """Return the next bytes, nothing at the end."""
        return await self._in_time(self._process.stdout.read(most))

    async def _line(self) -> str:
        line = b""
        while not line.endswith(b"\n") and len(line) < _LINE_BYTES and (more := await self.read(1)):
            line += more
        return line.decode("utf-8", "replace").rstrip()

    async def consent(self) -> None:
        """Return when the server says that it goes on; raises CopyError with its words where it does not."""
        first = await self.read(1)
        if first == _FINE:
            return
        if not first:
            raise await self._end()
        words = await self._line()
        raise of_text(self._server, self._path, words if first in _COMPLAINTS else first.decode("utf-8", "replace") + words)

    async def header(self) -> int:
        """Return how many bytes the server is about to send; raises CopyError where it sends no file."""
        first = await self.read(1)
        if not first:
            raise await self._end()
        words = await self._line()
        found = _HEADER.fullmatch(first + words.encode())
        if found is None:
            raise of_text(self._server, self._path, words if first in _COMPLAINTS else first.decode("utf-8", "replace") + words)
        return int(found[2])

    async def content(self, size: int) -> AsyncIterator[bytes]:
        """Yield the bytes of a file whose header has come."""
        await self.say(_FINE)
        left = size
        while left:
            piece = await self.read(min(CHUNK, left))
            if not piece:
                raise await self._end()
            left -= len(piece)
            yield piece
        await self.consent()
        await self.say(_FINE)

    async def _end(self) -> CopyError:
        """Return what it means that the server says no more: its program ended by itself, or the connection was cut."""
        words = await self._in_time(self._process.stderr.read(_LINE_BYTES))
        await self._in_time(self._process.wait_closed())
        status = self._process.exit_status
        if status is None:
            return GoneError(ErrorCode.CONNECTION_CUT, f"the connection to {self._server} was cut")
        if status == _NO_SUCH_PROGRAM:
            return CopyError(ErrorCode.COPY_REFUSED, f"{self._server} has neither SFTP nor the program scp")
        return of_text(self._server, self._path, words.decode("utf-8", "replace") or f"its scp ended with exit code {status}")


class ScpCopy:
    """The copies of one attempt over one connection. `part` is what it has at the server meanwhile, which has to go in the end."""

    def __init__(self, connection: asyncssh.SSHClientConnection, server: str, context: StepContext, stall_seconds: float) -> None:
        self._connection = connection
        self._server = server
        self._context = context
        self._stall_seconds = stall_seconds
        self._has_begun = False
        self._has_shell: bool | None = None
        self.part: str | None = None

    async def _shell(self) -> Shell | None:
        """Return the shell of the server, None where it has none; it is asked once."""
        shell = Shell(self._connection, self._server, self._stall_seconds)
        if self._has_shell is None:
            self._has_shell = await shell.is_there()
        return shell if self._has_shell else None

    async def send(self, sending: Sending, file: StoredFile) -> str:
        """Copy an attachment to the server; return where it is. Raises CopyError, in doubt where the connection was lost and nobody can say what stands there."""
        if sending.unpack:
            raise _needs_sftp(self._server, "unpack")
        shell = await self._shell()
        if shell is not None:
            return await self._send_beside(shell, sending, file)
        if not sending.in_place:
            await self._refuse_in_place(sending.path)
        return await self._send_in_place(sending, file)

    async def _begin(self, path: str, size: int) -> None:
        await self._context.log(f"the copy of {size} bytes to {quoted(path)} at {self._server} has begun")

    # --- with a shell ---

    async def _send_beside(self, shell: Shell, sending: Sending, file: StoredFile) -> str:
        found = await shell.look(sending.path)
        if found.kind not in {"file", "nothing"}:
            what = "a directory; give the whole name" if found.kind == "directory" else "no plain file"
            raise not_a_file(self._server, sending.path, what)
        final = found.path
        part = part_beside(final, self._context.attempt_name)
        for each in await shell.clear(posixpath.dirname(final), self._context.execution_id):
            await self._context.log(f"what an earlier attempt had left at {self._server}, {quoted(each)}, was removed", LogLevel.WARN)
        await self._context.log(
            f"{self._server} has no SFTP: the file goes over the SCP protocol, and its shell renames it", LogLevel.DEBUG
        )
        await self._begin(final, file.size)
        mode = sending.mode if sending.mode is not None else found.mode
        self.part = part
        await self._write_part(part, final, sending, file, mode)
        if not await shell.give(part, mode, found.owner):
            await self._context.log(f"{quoted(final)} gets another owner: that of the file before could not be given", LogLevel.WARN)
        self._context.mark_sent()
        try:
            await shell.rename(part, final)
        except GoneError as error:
            message = f"{error} while {quoted(final)} got its name; whether the new one stands there is not known"
            raise GoneError(error.code, message, in_doubt=True) from None
        self.part = None
        return final

    async def _write_part(self, part: str, final: str, sending: Sending, file: StoredFile, mode: int | None) -> None:
        """Write what is sent beside its final name, and compare it; sentences are about the final name."""
        digest = await self._write(part, file, _USUAL_MODE if mode is None else _PRIVATE, shown=final, preserving=False)
        if digest != file.sha256:
            raise damaged(sending.key)
        if sending.verify and await self._sha256(part) != digest:
            raise differs(self._server, final, "would not be what was sent: it was read back and is another")

    # --- without one ---

    async def _refuse_in_place(self, path: str) -> None:
        """Raise CopyError: that the server takes no file at all, else that it takes one in place only."""
        async with self._talk("-t", path) as talk:
            await talk.consent()
        raise CopyError(
            ErrorCode.IN_PLACE_ONLY,
            f"nothing was sent: {self._server} has neither SFTP nor a shell that renames, so {quoted(path)} could only be written in place, where a "
            "copy that is interrupted leaves a part of it; set 'inPlace' where that may be",
        )

    async def _send_in_place(self, sending: Sending, file: StoredFile) -> str:
        path = sending.path
        await self._refuse_directory(path)
        await self._context.log(f"{self._server} has no SFTP: {quoted(path)} is written in place, over the SCP protocol", LogLevel.WARN)
        await self._begin(path, file.size)
        try:
            digest = await self._write_in_place(sending, file)
            if digest != file.sha256:
                raise damaged(sending.key)
            if sending.verify and await self._sha256(path) != digest:
                raise differs(self._server, path, "is not what was sent: it was read back and is another")
        except GoneError as error:
            if not self._has_begun:
                raise
            message = f"{error} before the copy was complete and compared; a part of it may stand under {quoted(path)}"
            raise GoneError(error.code, message, in_doubt=True) from None
        except CopyError as error:
            if not self._has_begun or error.code is ErrorCode.COPY_DIFFERS:
                raise
            raise CopyError(error.code, f"{error}; a part of it may stand there") from None
        return path

    async def _write_in_place(self, sending: Sending, file: StoredFile) -> str:
        mode = _USUAL_MODE if sending.mode is None else sending.mode
        return await self._write(
            sending.path, file, mode, shown=sending.path, preserving=sending.mode is not None, is_due=self._context.mark_sent
        )

    # --- either way ---

    async def _write(
        self, path: str, file: StoredFile, mode: int, *, shown: str, preserving: bool, is_due: Callable[[], None] = _nothing
    ) -> str:
        """Write a file; return the hash of what was sent. `is_due` is called right before the server is told of it."""
        name = posixpath.basename(path).encode("utf-8", "surrogateescape")
        digest = hashlib.sha256()
        async with self._talk(f"{'-p ' if preserving else ''}-t", path, shown) as talk:
            await talk.consent()
            is_due()
            await talk.say(b"C%04o %d %s\n" % (mode, file.size, name))
            await talk.consent()
            self._has_begun = True
            async for piece in self._context.pieces(file):
                digest.update(piece)
                await talk.say(piece)
            await talk.say(_FINE)
            await talk.consent()
        return digest.hexdigest()

    async def _refuse_directory(self, path: str) -> None:
        """Raise CopyError where something else than a file stands at a path: a file would be put below it."""
        try:
            async with self._talk("-f", path) as talk:
                await talk.say(_FINE)
                await talk.header()
        except GoneError:
            raise
        except CopyError as error:
            if error.code is ErrorCode.NOT_A_FILE:
                raise

    async def _sha256(self, path: str) -> str:
        digest = hashlib.sha256()
        async for piece in self._pieces(path):
            digest.update(piece)
        return digest.hexdigest()

    async def fetch(self, fetching: Fetching) -> StoredFile:
        """Copy a file of the server; raises CopyError, and AttachmentError where it cannot be kept."""
        if fetching.recursive:
            raise _needs_sftp(self._server, "recursive")
        await self._context.log(f"the copy of {quoted(fetching.path)} from {self._server}, over the SCP protocol, has begun")
        return await self._context.attach(fetching.key, self._pieces(fetching.path))

    async def _pieces(self, path: str) -> AsyncIterator[bytes]:
        async with self._talk("-f", path) as talk:
            await talk.say(_FINE)
            async for piece in talk.content(await talk.header()):
                yield piece

    @asynccontextmanager
    async def _talk(self, way: str, path: str, shown: str = "") -> AsyncIterator[_Talk]:
        """Give a talk with `scp` at the server, as long as the block lasts; sentences are about `shown`."""
        command = f"scp {way} {shlex.quote(named(path))}".encode("utf-8", "surrogateescape")
        try:
            async with asyncio.timeout(self._stall_seconds):
                process = await self._connection.create_process(cast("Any", command), encoding=None)
        except TimeoutError:
            raise GoneError(ErrorCode.TIMEOUT, f"{self._server} opened no session within {self._stall_seconds:g} seconds") from None
        except (asyncssh.Error, OSError):
            if self._connection.is_closed():
                raise GoneError(ErrorCode.CONNECTION_CUT, f"the connection to {self._server} was cut") from None
            raise CopyError(ErrorCode.CONNECTION_REFUSED, f"{self._server} let us in, but refused to open a session") from None
        try:
            yield _Talk(process, self._server, shown or path, self._stall_seconds)
        finally:
            process.close()

    async def part_of(self, path: str) -> str:
        """Return where the part of an attempt that sends something to `path` stands until it is whole; without a shell there is none but the file itself."""
        shell = await self._shell()
        if shell is None:
            return path
        return part_beside((await shell.look(path)).path, self._context.attempt_name)

    async def tidy(self, part: str) -> bool:
        """Remove what an attempt has beside the final name; return whether it was still there."""
        shell = await self._shell()
        return shell is not None and await shell.remove(part)


def _needs_sftp(server: str, name: str) -> CopyError:
    return CopyError(ErrorCode.COPY_REFUSED, f"{server} has no SFTP, and {name!r} works over nothing else; nothing was sent")
