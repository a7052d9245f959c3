"""A small pool of child processes that run users' scripts. Called by `javascript`; the children's program is `javascript_child`.

A child serves one script at a time and is ended after a number of them, or at once where it had to be killed. Children are started at
the first use. They end with the thread that started them: the event loop of the service has to live in a thread that stays.
"""

import asyncio
import importlib.util
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from stepswitch.plugin import exhausted
from stepswitch.steps.javascript_child import ANSWER_HEAD, REQUEST_HEAD

START_SECONDS: Final = 10.0
MAX_FRAME_BYTES: Final = 256 * 1024 * 1024
_CHUNK_BYTES: Final = 256 * 1024
_PROGRAM: Final = Path(__file__).with_name("javascript_child.py")


class Ending(StrEnum):
    """How a script's run in a child came to its end."""

    ANSWERED = "the frame around the script gave an answer"
    BROKE_OFF = "the engine broke off"
    DIED = "the child died"
    TIMED_OUT = "the child was killed at the deadline"
    CLOSED = "the pool was closed"
    NOT_STARTED = "no child could be started"
    EXHAUSTED = "the machine has no room for a child"


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a script's run: `text` is the answer's JSON for ANSWERED, else a sentence."""

    ending: Ending
    text: str


class ChildStartError(Exception):
    """A child did not start; the message says why as far as it is known, `ending` whether that may pass."""

    def __init__(self, message: str, ending: Ending = Ending.NOT_STARTED) -> None:
        super().__init__(message)
        self.ending = ending


class Child:
    """One child process and the socket to it. Must be buried with `bury`, whatever happened."""

    def __init__(self, memory_limit_bytes: int) -> None:
        """Start the process; it says when it is `ready`."""
        engine = importlib.util.find_spec("_quickjs")
        if engine is None or engine.origin is None:
            raise ChildStartError("the JavaScript engine quickjs-ng is not installed")
        try:
            self._socket = self._start(str(Path(engine.origin).parent), memory_limit_bytes)
        except OSError as error:
            ran_out = exhausted(error)
            if ran_out is not None:
                raise ChildStartError(ran_out.message, Ending.EXHAUSTED) from error
            raise ChildStartError(f"the process of the JavaScript engine does not start: {error}") from error
        self._unread = bytearray()
        self.served = 0
        self.timed_out = False

    def _start(self, engine: str, memory_limit_bytes: int) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            ours.settimeout(0)  # the event loop wants a socket that never blocks
            arguments = [str(_PROGRAM), engine, str(memory_limit_bytes), str(os.getpid())]
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter with our own program
                    [sys.executable, "-I", "-S", "-B", *arguments],
                    stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", env={}, start_new_session=True,
                )  # fmt: skip
            except OSError:
                ours.close()
                raise
        return ours

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    async def ready(self) -> str | None:
        """Wait until a script can be sent; return None then, or why that will never be."""
        try:
            async with asyncio.timeout(START_SECONDS):
                frame = await self._frame()
        except TimeoutError:
            return f"the process of the JavaScript engine was not ready within {START_SECONDS:g} s"
        if frame is None or self._process.poll() is not None:
            return "the process of the JavaScript engine has ended"
        return None if frame[0] == b"R" else frame[1]

    async def run(self, request: bytes, limit_seconds: float, on_line: Callable[[str], Awaitable[None]]) -> Ended:
        """Run one script to its end, at the deadline by killing the process. What it logged reaches `on_line` in either case."""
        loop = asyncio.get_running_loop()
        deadline = loop.call_later(limit_seconds, self._time_out)
        self.served += 1
        try:
            await self._send(REQUEST_HEAD.pack(len(request), limit_seconds) + request)
            while (frame := await self._frame()) is not None:
                kind, text = frame
                if kind == b"L":
                    await on_line(text)
                else:
                    return Ended(Ending.ANSWERED if kind == b"D" else Ending.BROKE_OFF, text)
        finally:
            deadline.cancel()
        if self.timed_out:
            return Ended(Ending.TIMED_OUT, "")
        return Ended(Ending.DIED, "the process that ran the script died")

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    async def bury(self) -> None:
        """Kill the process, wait until it is gone and let go of the socket."""
        self.kill()
        try:
            while await self._read():
                pass
        finally:
            # The socket is at its end when the dying process has let go of its memory, so this is a matter of microseconds.
            self._process.wait()
            self._socket.close()

    def _time_out(self) -> None:
        self.timed_out = True
        self.kill()

    async def _send(self, message: bytes) -> None:
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, message)
        except (BrokenPipeError, ConnectionResetError):
            return  # it died; reading says so

    async def _read(self) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self._socket, _CHUNK_BYTES)
        except ConnectionResetError:
            return b""

    async def _frame(self) -> tuple[bytes, str] | None:
        head = ANSWER_HEAD.size
        while True:
            if len(self._unread) >= head:
                length, kind = ANSWER_HEAD.unpack_from(self._unread)
                if length > MAX_FRAME_BYTES:
                    return None
                if len(self._unread) >= head + length:
                    text = self._unread[head : head + length].decode("utf-8", "replace")
                    del self._unread[: head + length]
                    return kind, text
            chunk = await self._read()
            if not chunk:
                return None
            self._unread += chunk


class ScriptPool:
    """Children for at most `max_children` scripts at a time, of which `kept_children` are kept when they are idle.

    Idle children take turns: while one makes a new context after its script, another one has it ready.
    """

    def __init__(self, kept_children: int, max_children: int, scripts_per_child: int, memory_limit_bytes: int) -> None:
        self._kept = min(kept_children, max_children)
        self._max = max_children
        self._scripts_per_child = scripts_per_child
        self._memory_limit_bytes = memory_limit_bytes
        self._places = asyncio.Semaphore(max_children)
        self._idle: deque[Child] = deque()
        self._busy: set[Child] = set()
        self._burials: set[asyncio.Task[None]] = set()
        self._runs = 0
        self._closed = False

    @property
    def pids(self) -> frozenset[int]:
        """The numbers of the children's processes."""
        return frozenset(child.pid for child in (*self._idle, *self._busy))

    async def run(self, request: bytes, limit_seconds: float, on_line: Callable[[str], Awaitable[None]]) -> Ended:
        """Run one script as soon as there is a place. On cancellation its child is killed."""
        self._runs += 1
        try:
            async with self._places:
                return await self._run(request, limit_seconds, on_line)
        finally:
            self._runs -= 1

    async def _run(self, request: bytes, limit_seconds: float, on_line: Callable[[str], Awaitable[None]]) -> Ended:
        try:
            child = await self._take()
        except ChildStartError as error:
            return Ended(Ending.CLOSED if self._closed else error.ending, str(error))
        ended = None
        try:
            ended = await child.run(request, limit_seconds, on_line)
        finally:
            self._busy.discard(child)
            self._give_back(child, healthy=ended is not None and ended.ending is Ending.ANSWERED and not child.timed_out)
        return Ended(Ending.CLOSED, "") if self._closed and ended.ending is Ending.DIED else ended

    async def close(self) -> None:
        """End every child; scripts that still run are ended with theirs."""
        self._closed = True
        for child in self._busy:
            child.kill()
        for _ in range(self._max):
            await self._places.acquire()
        for _ in range(self._max):
            self._places.release()
        while self._idle:
            self._bury(self._idle.popleft())
        await asyncio.gather(*self._burials)

    async def _take(self) -> Child:
        """Return a child that is ready, counted as busy; raises ChildStartError where none can be had."""
        while not self._closed:
            fresh = not self._idle
            child = Child(self._memory_limit_bytes) if fresh else self._idle.popleft()
            self._busy.add(child)
            self._warm()
            fault: str | None = "cancelled"
            try:
                fault = await child.ready()
            finally:
                if fault is not None:
                    self._busy.discard(child)
                    self._bury(child)
            if fault is None:
                return child
            if fresh:
                raise ChildStartError(fault)
        raise ChildStartError("the pool of the JavaScript engine is closed")

    def _give_back(self, child: Child, *, healthy: bool) -> None:
        """Keep a child for the next script, or bury it."""
        others = self._runs - 1
        wanted = not self._closed and (len(self._idle) < self._kept or len(self._idle) + len(self._busy) < others)
        if wanted and healthy and child.served < self._scripts_per_child:
            self._idle.append(child)
            return
        self._bury(child)
        self._warm()

    def _warm(self) -> None:
        """Start the children that shall be there, so that the next script finds one that is ready."""
        while not self._closed and len(self._idle) + len(self._busy) < self._kept:
            try:
                self._idle.append(Child(self._memory_limit_bytes))
            except ChildStartError:
                return  # the next script tries again, and says why it cannot be

    def _bury(self, child: Child) -> None:
        child.kill()
        burial = asyncio.get_running_loop().create_task(child.bury())
        self._burials.add(burial)
        burial.add_done_callback(self._burials.discard)
