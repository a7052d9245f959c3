"""The files of a server over SFTP, one question at a time: each has a time limit, and every refusal is a `CopyError`. Used by `scp_sftp`."""

import asyncio
import hashlib
import posixpath
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from typing import Final, TypeVar, cast

import asyncssh

from stepswitch.plugin import ErrorCode
from stepswitch.steps.scp_archive import CHUNK
from stepswitch.steps.scp_faults import CopyError, GoneError, NotOfferedError, answered, no_space

PRIVATE: Final = 0o600
_T = TypeVar("_T")
Entry = tuple[str, asyncssh.SFTPAttrs]


class SftpFiles:
    """One SFTP session. `shown` is the path that messages name, where it is not the one that is asked about."""

    def __init__(self, sftp: asyncssh.SFTPClient, server: str, stall_seconds: float) -> None:
        self._sftp = sftp
        self.server = server
        self._stall_seconds = stall_seconds

    async def _ask(self, asked: Awaitable[_T], path: str) -> _T:
        return await answered(self.server, asked, path, self._stall_seconds)

    async def look(self, path: str, *, through_links: bool = True) -> asyncssh.SFTPAttrs | None:
        """Return what stands at a path; None where nothing does."""
        try:
            return await self._ask(self._sftp.stat(path) if through_links else self._sftp.lstat(path), path)
        except CopyError as error:
            if error.code is ErrorCode.NO_SUCH_FILE:
                return None
            raise

    async def real_path(self, path: str) -> str:
        """Return where a path leads through links."""
        return str(await self._ask(self._sftp.realpath(path), path))

    async def entries(self, directory: str) -> AsyncIterator[Entry]:
        """Yield names and attributes of what stands in a directory, links not followed."""
        listing = self._sftp.scandir(directory)
        while (entry := await self._ask(anext(listing, None), directory)) is not None:
            name = str(entry.filename)
            if name not in (".", "..") and "/" not in name:
                yield name, entry.attrs

    async def pieces(self, path: str, most: int | None = None) -> AsyncIterator[bytes]:
        """Yield the content of a file, no more than `most` bytes of it."""
        file = await self._ask(self._sftp.open(path, "rb"), path)
        try:
            offset = 0
            while wanted := CHUNK if most is None else min(CHUNK, most - offset):
                piece = cast("bytes", await self._ask(file.read(wanted, offset), path))  # the driver's types say text
                if not piece:
                    break
                offset += len(piece)
                yield piece
        finally:
            with suppress(CopyError):
                await self._ask(file.close(), path)

    async def sha256(self, path: str) -> str:
        """Return the hash of a file as it is read back."""
        digest = hashlib.sha256()
        async for piece in self.pieces(path):
            digest.update(piece)
        return digest.hexdigest()

    async def write(self, path: str, pieces: AsyncIterator[bytes], shown: str, *, is_private: bool) -> str:
        """Write a new file, on the server's disk where that can be asked for; return the hash of what was sent."""
        attrs = asyncssh.SFTPAttrs(permissions=PRIVATE) if is_private else asyncssh.SFTPAttrs()
        out = await self._ask(self._sftp.open(path, "xb", attrs), shown)
        digest, offset = hashlib.sha256(), 0
        async for piece in pieces:
            try:
                await self._ask(out.write(piece, offset), shown)
            except CopyError as error:
                raise await self._fuller(error, path, len(piece), shown) from None
            digest.update(piece)
            offset += len(piece)
        with suppress(NotOfferedError):
            await self._ask(out.fsync(), shown)
        await self._ask(out.close(), shown)
        return digest.hexdigest()

    async def _fuller(self, error: CopyError, path: str, size: int, shown: str) -> CopyError:
        """Return what a refusal to write means: version 3 of SFTP has no word for a full disk."""
        if error.code is not ErrorCode.COPY_REFUSED:
            return error
        return no_space(self.server, shown) if not await self.has_room(path, size) else error

    async def has_room(self, path: str, size: int) -> bool:
        """Return whether so many bytes may find room beside `path`; True where the server cannot say."""
        try:
            found = await self._ask(self._sftp.statvfs(posixpath.dirname(path) or "."), path)
        except GoneError:
            raise
        except CopyError:
            return True
        return not found.blocks or found.bavail * (found.frsize or found.bsize) >= size

    async def give(self, path: str, mode: int | None, owner: tuple[int, int] | None, shown: str) -> bool:
        """Give a file its permissions, and before that its owner and group; return False where those could not be given."""
        was_given = True
        if owner is not None:
            try:
                await self._ask(self._sftp.chown(path, *owner), shown)
            except GoneError:
                raise
            except CopyError:
                was_given = False
        if mode is not None:
            await self._ask(self._sftp.chmod(path, mode), shown)
        return was_given

    async def make_directory(self, path: str, shown: str) -> None:
        """Make a directory that is not there yet, for its owner alone."""
        await self._ask(self._sftp.mkdir(path, asyncssh.SFTPAttrs(permissions=PRIVATE | 0o100)), shown)

    async def replace(self, path: str, final: str) -> None:
        """Rename in one step, over what may be there; raises NotOfferedError where the server can only rename to a free name."""
        await self._ask(self._sftp.posix_rename(path, final), final)

    async def rename(self, path: str, final: str) -> None:
        """Rename to a name that is free."""
        await self._ask(self._sftp.rename(path, final), final)

    async def remove(self, path: str) -> None:
        """Remove a file."""
        await self._ask(self._sftp.remove(path), path)

    async def remove_tree(self, path: str) -> None:
        """Remove a directory with all below it; links are removed and not followed."""
        await self._ask(self._sftp.rmtree(path), path)


async def sftp_of(connection: asyncssh.SSHClientConnection, server: str, open_seconds: float, stall_seconds: float) -> SftpFiles | None:
    """Return an SFTP session on a connection; None where the server has no SFTP. Raises GoneError where it says nothing."""
    try:
        async with asyncio.timeout(open_seconds):
            sftp = await connection.start_sftp_client(path_errors="surrogateescape")
    except TimeoutError:
        raise GoneError(ErrorCode.TIMEOUT, f"{server} let us in, but opened no session within {open_seconds:g} seconds") from None
    except (asyncssh.Error, OSError):
        if connection.is_closed():
            raise GoneError(ErrorCode.CONNECTION_CUT, f"the connection to {server} was cut before anything was copied") from None
        return None
    return SftpFiles(sftp, server, stall_seconds)
