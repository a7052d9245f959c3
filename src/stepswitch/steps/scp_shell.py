"""What a shell at a server does for a copy that has no SFTP: look, give permissions, rename, remove. Called by `scp_plain`, imported when first used.

Each question is one command on a channel of its own, the same for every login shell: a script for `sh`, with paths as its arguments. What it answers
stands behind a mark that the shell has to work out, so that nobody is taken for a shell who only repeats what he was told.
"""

import asyncio
import posixpath
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import asyncssh

from stepswitch.plugin import ErrorCode
from stepswitch.steps.scp_faults import CopyError, GoneError, not_a_file, of_text, quoted

_MARK: Final = b"stepswitch-42 "
_SAY: Final = 'say() { printf "stepswitch-%d %s\\n" "$((6*7))" "$1"; }; '
_ASK: Final = "command -v mv >/dev/null && command -v rm >/dev/null && say here"
_LOOK: Final = (
    'f=$1; if [ -L "$f" ]; then f=$(readlink -f -- "$f") || exit 1; fi; '
    'if [ -d "$f" ]; then k=directory; elif [ -f "$f" ]; then k=file; elif [ -e "$f" ]; then k=other; else k=nothing; fi; '
    'say "$k"; say "$(stat -c "%a %u:%g" -- "$f" 2>/dev/null)"; say "$f"'
)
_CLEAR: Final = 'for f in "$1"/."$2"-*.part; do if [ -e "$f" ]; then rm -rf -- "$f" && say "$f"; fi; done; say over'
_GIVE: Final = (
    'o=same; if [ -n "$3" ]; then chown "$3" "$1" 2>/dev/null || o=another; fi; if [ -n "$2" ]; then chmod "$2" "$1" || exit 1; fi; '
    'sync "$1" 2>/dev/null || sync; say "$o"'
)
_RENAME: Final = 'if [ -d "$2" ]; then say directory; exit 0; fi; mv -f -- "$1" "$2" && say done'
_REMOVE: Final = 'if [ -e "$1" ] || [ -L "$1" ]; then rm -rf -- "$1" && say removed; else say nothing; fi'
_MOST_BYTES: Final = 64 * 1024
ASK_SECONDS: Final = 10.0
"""How long a server may take to show that it has a shell; one that has none may say nothing at all."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a path leads, through links; what stands there (`file`, `directory`, `other` or `nothing`); and its permissions and owner, as far as they are told."""

    path: str
    kind: str
    mode: int | None
    owner: str


class Shell:
    """A shell at a server. Paths are as they are called there."""

    def __init__(self, connection: asyncssh.SSHClientConnection, server: str, stall_seconds: float) -> None:
        self._connection = connection
        self._server = server
        self._stall_seconds = stall_seconds

    async def is_there(self) -> bool:
        """Return whether the server has a shell that can rename; raises GoneError where the connection is lost."""
        try:
            return await self._ask(_ASK, seconds=min(ASK_SECONDS, self._stall_seconds)) == ["here"]
        except CopyError:
            if self._connection.is_closed():
                raise GoneError(ErrorCode.CONNECTION_CUT, f"the connection to {self._server} was cut before anything was copied") from None
            return False

    async def look(self, path: str) -> Found:
        """Return what stands at a path; raises CopyError where that cannot be said."""
        answer = await self._ask(_LOOK, path)
        if len(answer) != 3:
            raise CopyError(ErrorCode.COPY_REFUSED, f"the shell at {self._server} does not say what stands at {quoted(path)}")
        kind, found, real = answer
        mode, _, owner = found.partition(" ")
        return Found(real, kind, told_mode(mode), owner)

    async def clear(self, directory: str, execution_id: str) -> Sequence[str]:
        """Remove what earlier attempts of an execution have left in a directory; return what that was."""
        return (await self._ask(_CLEAR, directory or ".", execution_id))[:-1]

    async def give(self, path: str, mode: int | None, owner: str) -> bool:
        """Give a file its permissions and its owner, and have it on the disk; return False where it could not be given its owner."""
        return await self._ask(_GIVE, path, "" if mode is None else f"{mode:04o}", owner) == ["same"]

    async def rename(self, path: str, final: str) -> None:
        """Rename in one step, over what may be there; raises CopyError, in doubt where nobody can say what was done."""
        answer = await self._ask(_RENAME, path, final)
        if answer == ["directory"]:
            raise not_a_file(self._server, final, "a directory by now")
        if answer != ["done"]:
            raise CopyError(
                ErrorCode.COPY_REFUSED, f"the shell at {self._server} does not say whether it has renamed the file", in_doubt=True
            )

    async def remove(self, path: str) -> bool:
        """Remove a file; return whether it was there."""
        return await self._ask(_REMOVE, path) == ["removed"]

    async def _ask(self, script: str, *arguments: str, seconds: float | None = None) -> list[str]:
        """Return what a script says; raises CopyError with the words of the server where it fails, GoneError where the connection is lost."""
        limit = seconds or self._stall_seconds
        try:
            async with asyncio.timeout(limit):
                said, words, status = await self._run(script, [named(each) for each in arguments])
        except TimeoutError:
            raise GoneError(ErrorCode.TIMEOUT, f"{self._server} has not answered for {limit:g} seconds") from None
        except (asyncssh.Error, OSError):
            if self._connection.is_closed():
                raise GoneError(ErrorCode.CONNECTION_CUT, f"the connection to {self._server} was cut") from None
            raise CopyError(ErrorCode.CONNECTION_REFUSED, f"{self._server} let us in, but refused to open a session") from None
        if status is None:
            raise GoneError(ErrorCode.CONNECTION_CUT, f"the connection to {self._server}, or the session of its shell, was cut")
        if status:
            path = arguments[-1] if arguments else ""
            raise of_text(self._server, path, words.decode("utf-8", "replace") or f"its shell ended with exit code {status}")
        marked = (line.removeprefix(_MARK) for line in said.split(b"\n") if line.startswith(_MARK))
        return [line.decode("utf-8", "surrogateescape") for line in marked]

    async def _run(self, script: str, arguments: Sequence[str]) -> tuple[bytes, bytes, int | None]:
        command = f"sh -c {shlex.quote(_SAY + script)} sh {shlex.join(arguments)}".encode("utf-8", "surrogateescape")
        process = await self._connection.create_process(cast("Any", command), encoding=None)
        try:
            process.stdin.write_eof()
            said = b""
            while len(said) < _MOST_BYTES and (more := await process.stdout.read(_MOST_BYTES)):
                said += more
            words = await process.stderr.read(_MOST_BYTES)
            process.close()
            await process.wait_closed()
            return said, words, process.exit_status
        finally:
            process.close()


def told_mode(text: str) -> int | None:
    """Return permissions as a server writes them, in octal; None for whatever is none."""
    return int(text, 8) if text and set(text) <= set("01234567") else None


def named(path: str) -> str:
    """Return a path as no program takes it for an option."""
    return f"./{path}" if path.startswith("-") else path


def part_beside(final: str, attempt_name: str) -> str:
    """Return where the part of an attempt stands until it is whole: beside the final name."""
    return posixpath.join(posixpath.dirname(final), f".{attempt_name}.part")
