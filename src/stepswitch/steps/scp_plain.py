"""Copies by the SCP protocol, to servers without SFTP, as many routers are. Called by `scp`, imported when first used.

The protocol knows no rename, so what is sent goes straight to its final name: a copy that is cut in the middle is in doubt, and a part of
the file may stand there. What was sent is fetched back and compared.
"""

import asyncio
import hashlib
import posixpath
import re
import shlex
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar, cast

import asyncssh

from stepswitch.plugin import ErrorCode, LogLevel, StepContext, StoredFile
from stepswitch.steps.scp_archive import CHUNK
from stepswitch.steps.scp_faults import CopyError, GoneError, damaged, differs, of_text, quoted
from stepswitch.steps.scp_inputs import Fetching, Sending

_FINE: Final = b"\0"
_COMPLAINTS: Final = (b"\1", b"\2")
_HEADER: Final = re.compile(rb"C([0-7]{4}) (\d{1,19}) (.+)")
_LINE_BYTES: Final = 4096
_USUAL_MODE: Final = 0o644
_NO_SUCH_PROGRAM: Final = 127
_T = TypeVar("_T")


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
    """The copies of one attempt over one connection."""

    def __init__(self, connection: asyncssh.SSHClientConnection, server: str, context: StepContext, stall_seconds: float) -> None:
        self._connection = connection
        self._server = server
        self._context = context
        self._stall_seconds = stall_seconds
        self._has_begun = False
        self.part: str | None = None
        """There never is one: what is sent goes to its final name."""

    async def send(self, sending: Sending, file: StoredFile) -> str:
        """Copy an attachment to the server; return where it is. Raises CopyError, in doubt where the connection was lost once it had begun."""
        if sending.unpack:
            raise _needs_sftp(self._server, "unpack")
        path = sending.path
        await self._refuse_directory(path)
        await self._context.log(f"{self._server} has no SFTP: {quoted(path)} is written in place, over the SCP protocol", LogLevel.WARN)
        await self._context.log(f"the copy of {file.size} bytes to {quoted(path)} at {self._server} has begun")
        try:
            digest = await self._write(sending, file)
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

    async def _write(self, sending: Sending, file: StoredFile) -> str:
        mode = _USUAL_MODE if sending.mode is None else sending.mode
        preserving = "" if sending.mode is None else "-p "
        name = posixpath.basename(sending.path).encode("utf-8", "surrogateescape")
        digest = hashlib.sha256()
        async with self._talk(f"{preserving}-t", sending.path) as talk:
            await talk.consent()
            self._context.mark_sent()
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
    async def _talk(self, way: str, path: str) -> AsyncIterator[_Talk]:
        """Give a talk with `scp` at the server, as long as the block lasts."""
        named = f"./{path}" if path.startswith("-") else path
        command = f"scp {way} {shlex.quote(named)}".encode("utf-8", "surrogateescape")
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
            yield _Talk(process, self._server, path, self._stall_seconds)
        finally:
            process.close()

    async def part_of(self, path: str) -> str:
        """Return where a part would stand: at the final name itself."""
        return path

    async def tidy(self, part: str) -> bool:  # noqa: ARG002 - as `SftpCopy` has it
        """Return False: there is nothing that could be removed."""
        return False


def _needs_sftp(server: str, name: str) -> CopyError:
    return CopyError(ErrorCode.COPY_REFUSED, f"{server} has no SFTP, and {name!r} works over nothing else; nothing was sent")
