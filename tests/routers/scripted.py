"""The command line that the routers of the tests have in common: a real SSH server, a terminal with echo, a pager, and questions.

A platform is a subclass of `Shell`, in a module of its own. What all of them leave out: editing keys, completion and help (`?`, Tab),
history, several users with rights of their own, and everything that a router does beside its command line.
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import asyncssh

from stepswitch.demo.door import OpenDoor

USER: Final = "admin"
ENABLE: Final = "let-me-configure"
_NARROW: Final = 40


@dataclass
class Quirks:
    """How a router behaves beside its answers. `echo` is plain, none, wrapped, redrawn or scrolled."""

    echo: str = "plain"
    motd: str = ""
    refuses_paging_off: bool = False
    colours: bool = False
    drips: bool = False
    hangs_at: str | None = None
    says: str = "working on it"
    never_prompts: bool = False


@dataclass
class Device:
    """What stays when a session ends. `received` is every line that was typed, `running` what is in effect, `candidate` what is shared and not.

    `hung` is set when a session stops answering, `gone` when one has ended.
    """

    name: str = "edge-1"
    running: list[str] = field(default_factory=list)
    candidate: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    quirks: Quirks = field(default_factory=Quirks)
    terminals: list[tuple[str | None, int]] = field(default_factory=list)
    hung: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class GoneError(Exception):
    """The session is over."""


class Shell(ABC):
    """One session. A platform says what its prompt is and what a line does."""

    pager = "--More--"
    wipe = "\b" * 8 + " " * 8 + "\b" * 8
    paging_off: tuple[str, ...] = ()

    def __init__(self, device: Device, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        self.device = device
        self._process = process
        self._unread = b""
        self._pages = True
        self._after_cr = False

    @property
    @abstractmethod
    def prompt(self) -> str:
        """What stands where the next line is typed."""

    @abstractmethod
    async def carry_out(self, line: str) -> None:
        """Do what a line says."""

    async def serve(self) -> None:
        """Talk until the session is over."""
        self.write(self.device.quirks.motd)
        if self.device.quirks.never_prompts:
            await self._hang()
        while True:
            await self._drain()
            line = (await self._read_line(self.prompt, self.device.quirks.echo)).strip()
            if not line:
                continue
            self.device.received.append(line)
            if line == self.device.quirks.hangs_at:
                self.write(f"{self.device.quirks.says}\n")
                await self._hang()
            if line in self.paging_off:
                if self.device.quirks.refuses_paging_off:
                    self.refuse(line)
                else:
                    self._pages = False
                continue
            await self.carry_out(line)

    @abstractmethod
    def refuse(self, line: str) -> None:
        """Say that a line is none."""

    def write(self, text: str) -> None:
        """Print, with the line ends of a terminal."""
        if self.device.quirks.colours:
            text = re.sub(r"^(?=.)", "\x1b[0m\x1b[1;32m", text, flags=re.MULTILINE).replace("\n", "\x1b[K\n")
        self._process.stdout.write(text.replace("\r\n", "\n").replace("\n", "\r\n").encode())

    async def page(self, text: str, rows: int = 10) -> None:
        """Print a long text, and wait for a key behind each page."""
        lines = text.splitlines(keepends=True)
        for start in range(0, len(lines), rows):
            self.write("".join(lines[start : start + rows]))
            if self._pages and start + rows < len(lines):
                self._process.stdout.write(self.pager.encode())
                await self._drain()
                if await self._read_byte() in b"qQ":
                    self.write("\n")
                    return
                self._process.stdout.write(self.wipe.encode())

    async def ask(self, question: str, *, echo: bool = True) -> str:
        """Return what is typed behind a question."""
        reply = await self._read_line(question, "plain" if echo else "hidden")
        self.device.replies.append(reply)
        return reply

    def leave(self) -> None:
        """End the session, as `exit` does it."""
        self._process.exit(0)
        raise GoneError

    def cut(self) -> None:
        """Take the connection down without a word, as a reload does it."""
        self._process.channel.get_connection().abort()
        raise GoneError

    async def _hang(self) -> None:
        await self._drain()
        self.device.hung.set()
        while await self._process.stdin.read(4096):
            pass
        raise GoneError

    async def _drain(self) -> None:
        await self._process.stdout.drain()

    async def _read_line(self, prompt: str, echo: str) -> str:
        self._process.stdout.write(prompt.replace("\n", "\r\n").encode())
        typed = ""
        while (byte := await self._read_byte()) not in b"\r\n":
            typed += byte.decode("latin-1")
            if echo == "plain":
                self._process.stdout.write(byte)
                if self.device.quirks.drips:
                    await asyncio.sleep(0)
        self._process.stdout.write(_echoed(prompt.rpartition("\n")[2], typed, echo).encode("latin-1"))
        return typed

    async def _read_byte(self) -> bytes:
        while True:
            if not self._unread:
                self._unread = await self._process.stdin.read(4096)
                if not self._unread:
                    raise GoneError
            byte, self._unread = self._unread[:1], self._unread[1:]
            if byte == b"\n" and self._after_cr:
                self._after_cr = False
                continue
            self._after_cr = byte == b"\r"
            return byte


def _echoed(prompt: str, typed: str, echo: str) -> str:
    match echo:
        case "plain" | "hidden" | "none":
            return "\r\n"
        case "wrapped":
            text = prompt + typed
            return "\r\n".join(text[start : start + _NARROW] for start in range(0, len(text), _NARROW))[len(prompt) :] + "\r\n"
        case "blank-wrapped":
            text = prompt + typed
            return " \r".join(text[start : start + _NARROW] for start in range(0, len(text), _NARROW))[len(prompt) :] + "\r\n"
        case "redrawn":
            half = len(typed) // 2
            return f"{typed[:half]}\r{prompt}{typed}\r\n"
        case "scrolled":
            shown = typed if len(typed) < _NARROW else "$" + typed[-_NARROW + 1 :]
            first = typed[:_NARROW]
            return first + "\b" * len(first) + shown.ljust(_NARROW) + "\r\n"
    raise ValueError(echo)


class RouterServer(OpenDoor):
    """A router that listens. Use it with `async with`; then `port` is there."""

    def __init__(self, shell: Callable[..., Shell], device: Device | None = None) -> None:
        super().__init__(USER, encoding=None, line_editor=False)
        self.device = device or Device()
        self._shell = shell

    async def serve(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        self.device.terminals.append((process.term_type, process.term_size[0]))
        shell = self._shell(self.device, process)
        try:
            await shell.serve()
        except (GoneError, OSError, asyncssh.Error):
            return
        finally:
            self.device.gone.set()
            process.close()
