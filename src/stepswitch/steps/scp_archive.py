"""Directories as tar archives: one written piece by piece as it is fetched, one read member by member as it is sent. Used by `scp_sftp`."""

import asyncio
import posixpath
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import IO, Final

from stepswitch.plugin import ErrorCode
from stepswitch.steps.scp_faults import CopyError, quoted

CHUNK: Final = 256 * 1024
MOST: Final = 10_000
"""Files and directories of one archive."""
_ENDING: Final = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True, slots=True)
class Member:
    """A file or a directory by its path within the archive; `mtime` in seconds since 1970."""

    path: str
    size: int
    mode: int
    mtime: int = 0
    is_directory: bool = False


def header(member: Member) -> bytes:
    """Return what stands in an archive before the content of a member."""
    info = tarfile.TarInfo(member.path)
    info.size, info.mode, info.mtime = member.size, member.mode, member.mtime
    info.type = tarfile.DIRTYPE if member.is_directory else tarfile.REGTYPE
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def padding(size: int) -> bytes:
    """Return what stands in an archive behind the content of a member."""
    return bytes(-size % tarfile.BLOCKSIZE)


def ending() -> bytes:
    """Return what stands at the end of an archive."""
    return _ENDING


class Archive:
    """A tar archive on the disk of this machine, looked through before anything of it is sent.

    A directory stands among `members` before what is in it, also where the archive does not name it.
    """

    def __init__(self, file: IO[bytes], tar: tarfile.TarFile) -> None:
        self._file = file
        self._infos = {_path_of(info): info for info in islice(tar, MOST + 1)}
        if len(self._infos) > MOST:
            raise CopyError(ErrorCode.TOO_LARGE, f"the archive has more than {MOST} files and directories")
        found = {path: _member(path, info) for path, info in self._infos.items() if path}
        implied = {above for path in found for above in _above(path)} - found.keys()
        members = [*found.values(), *(Member(path, 0, 0o755, is_directory=True) for path in implied)]
        self.members = tuple(sorted(members, key=lambda member: member.path))

    async def pieces(self, member: Member) -> AsyncIterator[bytes]:
        """Return the content of a file in pieces."""
        self._file.seek(self._infos[member.path].offset_data)
        left = member.size
        while left:
            piece = await asyncio.to_thread(self._file.read, min(CHUNK, left))
            if not piece:
                raise CopyError(ErrorCode.INVALID_VALUE, f"the archive ends in the middle of {quoted(member.path)}")
            left -= len(piece)
            yield piece


@asynccontextmanager
async def opened(content: AsyncIterator[bytes], key: str) -> AsyncIterator[Archive]:
    """Give an archive as long as the block lasts; raises CopyError where it is none that can be sent. It is on the disk, and not in memory."""
    with tempfile.TemporaryFile() as file:
        async for piece in content:
            _put(file, piece)
        yield await asyncio.to_thread(_read, file, key)


def _put(file: IO[bytes], piece: bytes) -> None:
    try:
        file.write(piece)
        file.flush()
    except OSError as error:
        raise CopyError(ErrorCode.EXHAUSTED, f"nothing was sent: this machine cannot hold the archive: {error.strerror}") from None


def _read(file: IO[bytes], key: str) -> Archive:
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            return Archive(file, tar)
    except (tarfile.TarError, OSError, ValueError, OverflowError):
        raise CopyError(ErrorCode.INVALID_VALUE, f"the file {quoted(key)} is no tar archive, or it is damaged or compressed") from None


def _member(path: str, info: tarfile.TarInfo) -> Member:
    return Member(path, info.size if info.isreg() else 0, info.mode & 0o777, is_directory=info.isdir())


def _above(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


def _path_of(info: tarfile.TarInfo) -> str:
    """Return where a member belongs below the directory; raises CopyError where that is outside, or it is neither file nor directory."""
    path = posixpath.normpath(info.name)
    if path.startswith("/") or path.split("/")[0] == ".." or "\0" in path:
        raise CopyError(ErrorCode.INVALID_VALUE, f"the archive has {quoted(info.name)}, which would lead out of the directory")
    if not (info.isdir() or info.isreg()) or info.issparse():
        raise CopyError(ErrorCode.INVALID_VALUE, f"the archive has {quoted(info.name)}, which is neither a plain file nor a directory")
    return "" if path == "." else path
