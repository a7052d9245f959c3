"""Values on the service's own machine: variables of its environment, and files in one folder. Called by `credential_sources`.

Both are fenced in by settings, for whoever makes a credential is no administrator of the machine: nothing else of the process can be read.
"""

import asyncio
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from stepswitch.domain.errors import CredentialError, ErrorCode

LARGEST_FILE: Final = 64 * 1024
_OURS: Final = "STEPSWITCH_"
_OURS_FOR_THEM: Final = "STEPSWITCH_CREDENTIAL_"
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables whose names begin with `prefix`; never one that is a setting."""

    prefix: str
    environment: Mapping[str, str]

    def fault(self, name: str) -> str | None:
        """Return why a variable is none that a credential may name; None where it is one."""
        is_ours = name.upper().startswith(_OURS) and not name.upper().startswith(_OURS_FOR_THEM)
        if name.startswith(self.prefix) and name != self.prefix and not is_ours:
            return None
        return f"is to begin with {self.prefix} (the setting environment_credentials), and to be no setting"

    def read(self, name: str) -> str:
        """Return the value of a variable; raises CredentialError."""
        if self.fault(name) is not None or not (value := self.environment.get(name)):
            raise _unavailable(f"the variable {name} is not set in the environment of the service")
        return value


@dataclass(frozen=True, slots=True)
class Folder:
    """The files in `place` and below; `place` is None where there are none."""

    place: Path | None

    def fault(self, path: str) -> str | None:
        """Return why a path is none that a credential may name; None where it is one."""
        if self.place is None:
            return "there is no folder for the files of credentials: the setting file_credentials says which"
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or not path.isprintable():
            return "is to be the path of a file under the folder of credentials, without '..' and not beginning with '/'"
        return None

    async def read(self, path: str) -> str:
        """Return what is in a file, without the end of its last line; raises CredentialError."""
        return await asyncio.to_thread(self._read, path)

    def _read(self, path: str) -> str:
        if self.place is None or (why := self.fault(path)) is not None:
            raise _unavailable(f"the file {path!r} {why if self.place is not None else 'has no folder'}")
        try:
            folder = self.place.resolve(strict=True)
            target = (folder / path).resolve(strict=True)
            if not target.is_relative_to(folder):
                raise _unavailable(f"the file {path!r} leads out of the folder of credentials")
            content = _content(target)
        except (OSError, ValueError, RuntimeError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise _unavailable(f"the file {path!r} cannot be read: {why}") from None
        if content is None:
            raise _unavailable(f"the file {path!r} is no plain file of at most {LARGEST_FILE} bytes")
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise _unavailable(f"the file {path!r} holds no text in UTF-8") from None
        return text.removesuffix("\n").removesuffix("\r")


def _content(target: Path) -> bytes | None:
    """Return the bytes of a file; None where it is none, or too large."""
    descriptor = os.open(target, _FLAGS)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        content = file.read(LARGEST_FILE + 1)
    return content if len(content) <= LARGEST_FILE else None


def _unavailable(message: str) -> CredentialError:
    return CredentialError(ErrorCode.CREDENTIAL_UNAVAILABLE, message)
