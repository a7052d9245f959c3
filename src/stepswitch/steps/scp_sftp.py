"""Copies over SFTP. Called by `scp`, imported when first used.

What is sent stands under a name of its own beside the final one until it is whole, on the server's disk, and compared; then it is
renamed, in one step where the server can. Nothing under the final name is touched before that.
"""

import posixpath
import stat
from collections.abc import AsyncIterator
from typing import Final

import asyncssh

from stepswitch.plugin import ErrorCode, LogLevel, StepContext, StoredFile
from stepswitch.steps.scp_archive import MOST, Archive, Member, ending, header, opened, padding
from stepswitch.steps.scp_faults import (
    CopyError,
    GoneError,
    NotOfferedError,
    damaged,
    differs,
    no_space,
    no_such_file,
    not_a_file,
    quoted,
)
from stepswitch.steps.scp_inputs import Fetching, Sending
from stepswitch.steps.scp_shell import part_beside
from stepswitch.steps.sftp_files import SftpFiles

_DIRECTORY: Final = asyncssh.FILEXFER_TYPE_DIRECTORY
_REGULAR: Final = (asyncssh.FILEXFER_TYPE_REGULAR, asyncssh.FILEXFER_TYPE_UNKNOWN)
_PART: Final = ".part"
_OPEN: Final = 0o755


class SftpCopy:
    """The copies of one attempt over one SFTP session. `part` is what it has at the server meanwhile, which has to go in the end."""

    def __init__(self, files: SftpFiles, context: StepContext) -> None:
        self._files = files
        self._context = context
        self._server = files.server
        self.part: str | None = None

    # --- to the server ---

    async def send(self, sending: Sending, file: StoredFile) -> str:
        """Copy an attachment to the server; return where it is. Raises CopyError, in doubt where the connection was lost around a rename."""
        final, there = await self._final(sending.path)
        part = self._part_beside(final)
        await self._remove_leftovers(posixpath.dirname(final))
        if sending.unpack:
            async with opened(self._context.pieces(file), sending.key) as archive:
                await self._send_tree(sending, archive, final, there, part)
        else:
            await self._send_file(sending, file, final, there, part)
        return final

    async def _final(self, path: str) -> tuple[str, asyncssh.SFTPAttrs | None]:
        """Return where a path leads, and what is there: through a link, which would be replaced itself otherwise."""
        there = await self._files.look(path, through_links=False)
        if there is None or there.type != asyncssh.FILEXFER_TYPE_SYMLINK:
            return path, there
        real = await self._files.real_path(path)
        return real, await self._files.look(real)

    async def _remove_leftovers(self, directory: str) -> None:
        """Remove what earlier attempts of this execution have left here. Where the directory cannot be read, nobody knows of any."""
        begins = f".{self._context.execution_id}-"
        for name, is_directory in await self._parts_in(directory, begins):
            try:
                await self._remove(posixpath.join(directory, name), is_directory=is_directory)
                what = "was removed"
            except GoneError:
                raise
            except CopyError as error:
                what = f"could not be removed: {error}"
            await self._context.log(f"what an earlier attempt had left at {self._server}, {quoted(name)}, {what}", LogLevel.WARN)

    async def _parts_in(self, directory: str, begins: str) -> list[tuple[str, bool]]:
        try:
            return [
                (name, attrs.type == _DIRECTORY)
                async for name, attrs in self._files.entries(directory or ".")
                if name.startswith(begins) and name.endswith(_PART)
            ]
        except GoneError:
            raise
        except CopyError:
            return []

    async def _send_file(self, sending: Sending, file: StoredFile, final: str, there: asyncssh.SFTPAttrs | None, part: str) -> None:
        if there is not None and there.type not in _REGULAR:
            raise not_a_file(self._server, final, "a directory; give the whole name" if there.type == _DIRECTORY else "no plain file")
        mode = sending.mode if sending.mode is not None else _mode_of(there)
        await self._begin(part, final, file.size)
        if await self._write(part, self._context.pieces(file), final, mode, verify=sending.verify) != file.sha256:
            raise damaged(sending.key)
        if not await self._files.give(part, mode, _owner_of(there), final):
            await self._context.log(f"{quoted(final)} gets another owner: that of the file before could not be given", LogLevel.WARN)
        self._context.mark_sent()
        await self._settle(part, final, is_new=there is None)
        self.part = None

    async def _begin(self, part: str, final: str, size: int) -> None:
        if not await self._files.has_room(part, size):
            raise no_space(self._server, final)
        await self._context.log(f"the copy of {size} bytes to {quoted(final)} at {self._server} has begun")
        self.part = part

    async def _write(self, path: str, pieces: AsyncIterator[bytes], final: str, mode: int | None, *, verify: bool) -> str:
        sent = await self._files.write(path, pieces, final, is_private=mode is not None)
        if verify and await self._files.sha256(path) != sent:
            raise differs(self._server, final, "would not be what was sent: it was read back and is another")
        return sent

    async def _settle(self, path: str, final: str, *, is_new: bool) -> None:
        """Give what is whole its final name. Without a rename over what is there, that is removed first."""
        try:
            try:
                await self._files.replace(path, final)
            except NotOfferedError:
                await self._settle_in_two(path, final, is_new=is_new)
        except GoneError as error:
            message = f"{error} while {quoted(final)} got its name; whether the new one stands there is not known"
            raise GoneError(error.code, message, in_doubt=True) from None

    async def _settle_in_two(self, path: str, final: str, *, is_new: bool) -> None:
        if not is_new:
            await self._context.log(f"{self._server} cannot replace a file in one step: for a moment there is none", LogLevel.WARN)
            await self._files.remove(final)
        try:
            await self._files.rename(path, final)
        except GoneError:
            raise
        except CopyError as error:
            if not is_new:
                self.part = None  # it is all that there is of the file now
                message = f"{error}; the file that was there is removed already, and the new one stands beside it as {quoted(path)}"
                raise CopyError(error.code, message) from None
            raise

    # --- a directory to the server ---

    async def _send_tree(self, sending: Sending, archive: Archive, final: str, there: asyncssh.SFTPAttrs | None, part: str) -> None:
        if there is not None and there.type != _DIRECTORY:
            raise not_a_file(self._server, final, "no directory, so that nothing can be unpacked there")
        present = await self._present(archive, final) if there is not None else frozenset()
        await self._begin(part, final, sum(member.size for member in archive.members))
        await self._files.make_directory(part, final)
        for member in archive.members:
            path, shown = posixpath.join(part, member.path), posixpath.join(final, member.path)
            if member.is_directory:
                await self._files.make_directory(path, shown)
            else:
                mode = sending.mode if sending.mode is not None else member.mode
                await self._write(path, archive.pieces(member), shown, mode, verify=sending.verify)
                await self._files.give(path, mode, None, shown)
        if there is None:
            await self._open_up(archive, part, present)
            await self._files.give(part, _OPEN, None, final)
            self._context.mark_sent()
            await self._settle(part, final, is_new=True)
        else:
            self._context.mark_sent()
            await self._merge(archive, part, final, present)
            await self._finish(archive, part, final, present)
        self.part = None

    async def _finish(self, archive: Archive, part: str, final: str, present: frozenset[str]) -> None:
        """Do what is left once every file stands in its place."""
        try:
            await self._open_up(archive, final, present)
            await self._remove(part, is_directory=True)
        except CopyError as error:
            raise CopyError(error.code, f"all that the archive has stands in its place, but not with every permission: {error}") from None

    async def _open_up(self, archive: Archive, base: str, present: frozenset[str]) -> None:
        """Give directories that are new the permissions that the archive says, the innermost first: until then they are their owner's alone."""
        for member in reversed(archive.members):
            if member.is_directory and member.path not in present:
                await self._files.give(posixpath.join(base, member.path), member.mode, None, base)

    async def _present(self, archive: Archive, final: str) -> frozenset[str]:
        """Return which members are there already; raises CopyError where one is something else there than in the archive, a link included."""
        present: set[str] = set()
        for member in archive.members:
            if posixpath.dirname(member.path) not in {"", *present}:
                continue
            path = posixpath.join(final, member.path)
            found = await self._files.look(path, through_links=False)
            if found is None:
                continue
            if (found.type == _DIRECTORY) is not member.is_directory or found.type not in (_DIRECTORY, *_REGULAR):
                raise not_a_file(self._server, path, "something else than in the archive")
            present.add(member.path)
        return frozenset(present)

    async def _merge(self, archive: Archive, part: str, final: str, present: frozenset[str]) -> None:
        """Move what is not there as a whole, and files over those that are."""
        done = 0
        for member in archive.members:
            above = posixpath.dirname(member.path)
            if (above and above not in present) or (member.is_directory and member.path in present):
                continue
            try:
                await self._settle(posixpath.join(part, member.path), posixpath.join(final, member.path), is_new=member.path not in present)
            except CopyError as error:
                message = f"{error}; {done} of what the archive has stood in its place already, and the rest does not"
                raise CopyError(error.code, message, in_doubt=error.in_doubt) from None
            done += 1

    # --- from the server ---

    async def fetch(self, fetching: Fetching) -> StoredFile:
        """Copy a file, or a directory as an archive, of the server; raises CopyError, and AttachmentError where it cannot be kept."""
        path = fetching.path
        found = await self._files.look(path)
        if found is None:
            raise no_such_file(self._server, path)
        if (found.type == _DIRECTORY) is not fetching.recursive or found.type not in (_DIRECTORY, *_REGULAR):
            hint = "a directory; set 'recursive' to fetch it as an archive" if found.type == _DIRECTORY else "no plain file"
            raise not_a_file(self._server, path, "no directory, so that 'recursive' does not fit" if fetching.recursive else hint)
        await self._context.log(f"the copy of {quoted(path)} from {self._server} has begun")
        return await self._context.attach(fetching.key, self._archived(path) if fetching.recursive else self._whole(path, found))

    async def _whole(self, path: str, before: asyncssh.SFTPAttrs) -> AsyncIterator[bytes]:
        """Yield the content of a file as it was when it was looked at: what is appended meanwhile, as to a log, is left out.

        A size of 0 is also what many servers say of files that they make up as they are read: those are read to their end.
        """
        async for piece in self._exactly(path, before.size) if before.size else self._files.pieces(path):
            yield piece
        after = await self._files.look(path)
        if after is not None and (after.size or 0) > (before.size or 0) > 0:
            await self._context.log(f"{quoted(path)} has grown while it was read; what was added is left out", LogLevel.WARN)
        elif after is None or (after.size, after.mtime) != (before.size, before.mtime):
            raise differs(self._server, path, "has changed while it was read")

    async def _archived(self, root: str) -> AsyncIterator[bytes]:
        async for member in self._below(root):
            yield header(member)
            if not member.is_directory:
                async for piece in self._exactly(posixpath.join(root, member.path), member.size):
                    yield piece
                yield padding(member.size)
        yield ending()

    async def _exactly(self, path: str, size: int) -> AsyncIterator[bytes]:
        left = size
        async for piece in self._files.pieces(path, size):
            left -= len(piece)
            yield piece
        if left:
            raise differs(self._server, path, "has become shorter while it was read")

    async def _below(self, root: str) -> AsyncIterator[Member]:
        """Yield what is below a directory, each before what is below it; raises CopyError where that is too much."""
        waiting, count = [Member("", 0, 0, is_directory=True)], 0
        while waiting:
            member = waiting.pop()
            if member.path:
                yield member
            if member.is_directory:
                found = []
                async for each in self._members(root, member.path):
                    found.append(each)
                    count += 1
                    if count > MOST:
                        message = f"{quoted(root)} at {self._server} has more than {MOST} files and directories"
                        raise CopyError(ErrorCode.TOO_LARGE, message)
                waiting += sorted(found, key=lambda each: each.path, reverse=True)

    async def _members(self, root: str, inside: str) -> AsyncIterator[Member]:
        """Yield what stands in a directory; links and what is no plain file are left out, and said."""
        async for name, attrs in self._files.entries(posixpath.join(root, inside) if inside else root):
            path, is_directory = posixpath.join(inside, name), attrs.type == _DIRECTORY
            if is_directory or attrs.type in _REGULAR:
                yield Member(path, 0 if is_directory else attrs.size or 0, _mode_of(attrs) or 0, int(attrs.mtime or 0), is_directory)
            else:
                await self._context.log(f"{quoted(path)} is a link or no plain file, and is left out", LogLevel.WARN)

    # --- in the end ---

    async def part_of(self, path: str) -> str:
        """Return where the part of an attempt that sends something to `path` stands until it is whole."""
        return self._part_beside((await self._final(path))[0])

    def _part_beside(self, final: str) -> str:
        return part_beside(final, self._context.attempt_name)

    async def tidy(self, part: str) -> bool:
        """Remove what an attempt has at the server; return whether it was still there."""
        found = await self._files.look(part, through_links=False)
        if found is None:
            return False
        await self._remove(part, is_directory=found.type == _DIRECTORY)
        return True

    async def _remove(self, path: str, *, is_directory: bool) -> None:
        await (self._files.remove_tree(path) if is_directory else self._files.remove(path))


def _mode_of(attrs: asyncssh.SFTPAttrs | None) -> int | None:
    return None if attrs is None or attrs.permissions is None else stat.S_IMODE(attrs.permissions)


def _owner_of(attrs: asyncssh.SFTPAttrs | None) -> tuple[int, int] | None:
    return None if attrs is None or attrs.uid is None or attrs.gid is None else (attrs.uid, attrs.gid)
