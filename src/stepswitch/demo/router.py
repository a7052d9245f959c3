"""A small router to talk to: a real SSH server with a host key and a password of its own, and a command line of a few words.

Called by `show`, and by tests. The device is a value with state (`Device`): what is configured stays configured, a cell comes up
after some questions, a line card that is reloaded takes the connection down with it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import asyncssh

from stepswitch.demo.door import OpenDoor

USER: Final = "demo"
PROMPT: Final = "edge-1# "
_INTERFACES: Final = (
    ("GigabitEthernet0/0/0", "192.0.2.1", "up"),
    ("GigabitEthernet0/0/1", "192.0.2.5", "up"),
    ("GigabitEthernet0/0/2", "unassigned", "down"),
    ("Loopback0", "198.51.100.1", "up"),
)
_GOODBYE_SECONDS: Final = 0.2
"""Long enough for the last line to leave before the connection goes down."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the device says to one command. `cut` means that the connection goes down with it."""

    text: str
    exit_code: int = 0
    cut: bool = False


@dataclass(slots=True)
class Device:
    """The router behind the SSH server. `received` is every command in the order in which it came: the device's own count."""

    version: str = "17.9.4a"
    questions_until_up: int = 3
    received: list[str] = field(default_factory=list)
    _asked: int = 0
    _reloads: int = 0
    _lines: list[str] = field(default_factory=lambda: ["hostname edge-1", "ntp server 192.0.2.123", "snmp-server location lab"])

    def answer(self, command: str) -> Answer:
        """Carry out one command, or several on lines of their own: the first that is refused ends it."""
        texts = []
        for line in filter(None, map(str.strip, command.splitlines())):
            self.received.append(line)
            answer = self._answer(line)
            texts.append(answer.text)
            if answer.exit_code or answer.cut:
                return Answer("".join(texts), answer.exit_code, answer.cut)
        return Answer("".join(texts))

    def _answer(self, line: str) -> Answer:
        words = line.split()
        if words[:1] == ["configure"]:
            return self._configure(words[1:])
        table: dict[str, Callable[[], Answer]] = {
            "show version": self._version,
            "show interfaces": lambda: Answer("".join(f"{name:<22}{address:<16}{state}\n" for name, address, state in _INTERFACES)),
            "show registration active": self._registration,
            "show running-config": lambda: Answer("".join(f"{entry}\n" for entry in self._lines)),
            "show module": self._modules,
            "reload module 2": self._reload,
            "help": lambda: Answer("".join(f"{name}\n" for name in [*sorted(table), "configure LINE", "exit"])),
        }
        known = table.get(" ".join(words))
        return known() if known is not None else Answer(f"% Invalid input: {line}\n", exit_code=1)

    def _version(self) -> Answer:
        return Answer(f"Demo Router Software, Version {self.version}\nedge-1 uptime is 11 weeks, 2 days\n")

    def _registration(self) -> Answer:
        self._asked += 1
        state = "ACTIVE" if self._asked >= self.questions_until_up else "SEARCHING"
        return Answer(f"cell 4711  {state}\n")

    def _configure(self, words: list[str]) -> Answer:
        if not words:
            return Answer("% Incomplete command\n", exit_code=1)
        if words[0] == "no":
            self._lines = [line for line in self._lines if line != " ".join(words[1:])]
        elif " ".join(words) not in self._lines:
            self._lines.append(" ".join(words))
        return Answer("")

    def _modules(self) -> Answer:
        return Answer(f"module 1  up  reloads 0\nmodule 2  up  reloads {self._reloads}\n")

    def _reload(self) -> Answer:
        self._reloads += 1
        return Answer("module 2 is going down\n", cut=True)


class Router(OpenDoor):
    """The SSH server in front of a device; use it with `async with`. `port` is there once it is up."""

    def __init__(self, device: Device | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(USER, host, port)
        self.device = device or Device()

    async def serve(self, process: asyncssh.SSHServerProcess[str]) -> None:
        """See `OpenDoor`."""
        if process.command is not None:
            await self._say(process, self.device.answer(process.command))
            return
        process.stdout.write(PROMPT)
        async for line in process.stdin:
            if line.strip() in ("exit", "quit"):
                break
            if (answer := self.device.answer(line)).cut:
                await self._say(process, answer)
                return
            process.stdout.write(answer.text + PROMPT)
        process.exit(0)

    async def _say(self, process: asyncssh.SSHServerProcess[str], answer: Answer) -> None:
        process.stdout.write(answer.text)
        if not answer.cut:
            process.exit(answer.exit_code)
            return
        await asyncio.sleep(_GOODBYE_SECONDS)
        process.channel.get_connection().abort()
