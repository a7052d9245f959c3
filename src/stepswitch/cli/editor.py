"""A text in the editor of whoever sits at the terminal. Called by `execution_edit`."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from stepswitch.domain.errors import CallerError


class Draft:
    """A file that only its user can read, with a text that is being edited; it stays until `remove`, so that no work is lost."""

    def __init__(self, name: str) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="stepswitch-edit-"))
        self.file = self._place / name

    def edit(self, text: str) -> str:
        """Return the text as it was left in the editor; raises CallerError where there is no editor, or it says that it failed."""
        self.file.write_text(text, encoding="utf-8")
        command = [*_editor(), str(self.file)]
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the editor now
        try:
            code = subprocess.run(command, check=False).returncode  # noqa: S603 - it is their own editor
        except OSError as error:
            raise CallerError(f"the editor {command[0]} cannot be started: {error.strerror}; EDITOR says which one to take") from None
        finally:
            signal.signal(signal.SIGINT, before)
        if code:
            raise CallerError(f"the editor {command[0]} ended with {code}; nothing was changed")
        try:
            return self.file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise CallerError(f"{self.file} cannot be read as UTF-8 text; nothing was changed") from None

    def remove(self) -> None:
        """Forget the text."""
        shutil.rmtree(self._place, ignore_errors=True)


def _editor() -> list[str]:
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        return shlex.split(named) or ["vi"]
    except ValueError:
        raise CallerError(f"EDITOR is no command: {named}") from None
