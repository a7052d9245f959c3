"""The command line at a terminal: a process of its own on a pseudo-terminal, with somebody who reads and types. Used by tests of what is asked."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

PATIENCE = 60.0
_TAKE_TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
"""Makes the standard input the terminal of the process, so that Ctrl-C reaches it."""


class Terminal:
    """One command; `said` is all that was on the screen so far, without colours and without what moves the cursor."""

    def __init__(self, arguments: Sequence[object], environment: Mapping[str, str]) -> None:
        self._command = [sys.executable, "-c", _TAKE_TERMINAL, sys.executable, "-m", "stepswitch", *map(str, arguments)]
        self._environment = {**os.environ, **environment, "TERM": "xterm", "COLUMNS": "200", "LINES": "50"}
        self._raw = b""

    def __enter__(self) -> Self:
        self._keyboard, screen = pty.openpty()
        self._process = subprocess.Popen(
            self._command,
            stdin=screen,
            stdout=screen,
            stderr=screen,
            env=self._environment,
            start_new_session=True,
        )
        os.close(screen)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE)
        os.close(self._keyboard)

    @property
    def said(self) -> str:
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._raw.decode("utf-8", "replace"))
        return text.replace("\r\n", "\n")

    def until(self, text: str, *, times: int = 1) -> str:
        """Read until the text was on the screen so often; return all that was said so far."""
        end = time.monotonic() + PATIENCE
        while self.said.count(text) < times:
            assert self._read(end - time.monotonic()), f"waited for {text!r}, and was told:\n{self.said}"
        return self.said

    def type(self, text: str) -> None:
        os.write(self._keyboard, text.encode())

    def interrupt(self) -> int:
        """Press Ctrl-C until it ends; return the exit code.

        Pressed in the very moment in which a question begins to be read, it is noticed with the next key; while it ends, a second one would kill it.
        """
        for _ in range(4):
            with suppress(OSError):  # it has ended
                self.type("\x03")
            while select.select([self._keyboard], [], [], PATIENCE / 4)[0]:
                if not self._read(0):
                    return self._process.wait(PATIENCE)
        raise AssertionError(f"Ctrl-C ended nothing, after:\n{self.said}")

    def end(self) -> int:
        """Read to the end; return the exit code."""
        stop = time.monotonic() + PATIENCE
        while self._read(stop - time.monotonic()):
            pass
        return self._process.wait(PATIENCE)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._keyboard], [], [], max(seconds, 0))
        assert ready, f"nothing more came, after:\n{self.said}"
        try:
            data = os.read(self._keyboard, 65536)
        except OSError:  # this is how the end of a pseudo-terminal looks
            return False
        self._raw += data
        return bool(data)
