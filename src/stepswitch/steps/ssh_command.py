"""One command on one SSH session: send it, follow its output, see how it ends, stop it. Called by `ssh`, imported when first used.

What is sent when matters most here: until the server has opened a channel nothing has left that could act, and `NotSentError`
says so; from then on only an answer of the server makes the end certain.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, cast

import asyncssh

from stepswitch.plugin import TargetError
from stepswitch.steps.output import Output
from stepswitch.steps.ssh_inputs import Command

_WINDOW_BYTES: Final = 256 * 1024
_HIGH_BYTES: Final = 256 * 1024
_LOW_BYTES: Final = 64 * 1024
_LINGER_SECONDS: Final = 5.0
_LINGER_IN_ALL_SECONDS: Final = 60.0
_STOPPING: Final = (("TERM", 2.0), ("KILL", 1.0))
"""What is sent to a command that has to end, and for how many seconds it may think about it."""


class End(Enum):
    """How a command that was sent came to its end."""

    ENDED = auto()
    """The server said so."""
    LINGERING = auto()
    """It ended, but something that it left behind still holds its output open."""
    REFUSED = auto()
    """The server did not want to run it."""
    CUT = auto()
    """The connection broke before the server said anything about the end."""
    SILENT = auto()
    """It printed nothing for too long."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended; routers often give neither `status` nor `signal`."""

    end: End
    status: int | None = None
    signal: str | None = None
    torn: bool = False
    """Whether the connection broke after the result, while output was still on its way."""


class NotSentError(Exception):
    """No channel could be had on this session, so nothing was sent; `timed_out` where the server did not even answer."""

    def __init__(self, *, timed_out: bool, refused: bool) -> None:
        super().__init__("no channel")
        self.timed_out = timed_out
        self.refused = refused


def _nothing() -> None:
    """Do nothing."""


class Channel:
    """What the driver calls when something happens on the channel. Data waits here, and reading pauses while too much waits.

    `opened` is called when the server has opened it; what that raises keeps everything from being sent.
    """

    def __init__(self) -> None:
        self.opened: Callable[[], None] = _nothing
        self._data: deque[tuple[bytes, bool]] = deque()
        self._size = 0
        self._paused = False
        self._news = asyncio.Event()
        self.channel: asyncssh.SSHClientChannel[bytes] | None = None
        self.ended = asyncio.Event()
        self.status: int | None = None
        self.signal: str | None = None
        self.complete = False
        self.closed = False
        self.error: Exception | None = None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Take note that the server has opened the channel."""
        self.opened()  # raises where nothing may be sent any more: then nothing was
        self.channel = chan

    def session_started(self) -> None:
        """Take note that the command or the shell was accepted."""

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Take what was printed."""
        self._data.append((data, datatype is not None))
        self._size += len(data)
        if self._size > _HIGH_BYTES and self.channel is not None:
            self._paused = True
            self.channel.pause_reading()
        self._news.set()

    def eof_received(self) -> bool:
        """Take note that nothing more will be printed."""
        self.complete = True
        return True

    def exit_status_received(self, status: int) -> None:
        """Take note that the command has ended."""
        self.status = status
        self._note_end()

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:  # noqa: ARG002, FBT001
        """Take note that a signal has ended the command."""
        self.signal = signal
        self._note_end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the channel is closed."""
        self.closed = True
        self.error = exc
        self._note_end()

    def pause_writing(self) -> None:
        """Take note that too much waits to be sent."""

    def resume_writing(self) -> None:
        """Take note that little waits to be sent."""

    @property
    def has_result(self) -> bool:
        """Whether the server said how the command ended."""
        return self.status is not None or self.signal is not None

    async def next(self) -> tuple[bytes, bool] | None:
        """Return the next data and whether it is of the error stream; nothing once the channel is closed and all was read.

        Returns empty data, once, when the command ended while its output stays open.
        """
        while not self._data:
            if self.closed:
                return None
            self._news.clear()
            await self._news.wait()
            if not self._data and not self.closed:
                return b"", False
        data, is_error = self._data.popleft()
        self._size -= len(data)
        if self._paused and self._size <= _LOW_BYTES and self.channel is not None:
            self._paused = False
            self.channel.resume_reading()
        return data, is_error

    def _note_end(self) -> None:
        self.ended.set()
        self._news.set()


class Run:
    """One command under way. `mark_sent` is called right before its first byte leaves."""

    def __init__(
        self, connection: asyncssh.SSHClientConnection, mark_sent: Callable[[], None], *, open_seconds: float, silence_seconds: float
    ) -> None:
        self._connection = connection
        self._mark_sent = mark_sent
        self._open_seconds = open_seconds
        self._silence_seconds = silence_seconds
        self._channel = Channel()

    async def follow(self, command: Command, output: Output, errors: Output) -> Ending:
        """Run the command to its end while its output goes to `output` and `errors`; raises NotSentError, and what `mark_sent` raises. Cancelled, or silent for too long, it is stopped."""
        try:
            ending = await self._start(command) or await self._read(output, errors)
        except asyncio.CancelledError:
            await self.stop()
            raise
        if ending.end is End.SILENT:
            await self.stop()
        await output.finish()
        await errors.finish()
        return ending

    async def stop(self) -> bool:
        """Ask the server to end the command, first kindly; return whether it has ended for certain. Takes a few seconds at most.

        OpenSSH obeys since 7.9, except for logins as root and forced commands; what does not obey loses its connection next.
        """
        channel = self._channel
        if channel.channel is None:
            return True
        for signal, seconds in _STOPPING:
            if channel.ended.is_set():
                break
            with suppress(OSError):
                channel.channel.send_signal(signal)
            with suppress(TimeoutError):  # not `asyncio.timeout`: before Python 3.11.4 it ends nothing in a task that is being cancelled
                await asyncio.wait_for(channel.ended.wait(), seconds)
        return channel.has_result

    @property
    def was_sent(self) -> bool:
        """Whether the command has left."""
        return self._channel.channel is not None

    @property
    def has_ended(self) -> bool:
        """Whether the server said how the command ended."""
        return self._channel.has_result

    async def _create_session(self, line: bytes) -> None:
        """Have the server open the channel and run the command there, all of it in time; raises TimeoutError, and what the driver and `mark_sent` raise."""
        channel = self._channel
        async with asyncio.timeout(self._open_seconds) as limit:

            def opened() -> None:
                self._mark_sent()
                limit.reschedule(asyncio.get_running_loop().time() + self._silence_seconds)

            channel.opened = opened
            try:
                # The driver's types want text; it sends bytes as they are, and they need not be UTF-8.
                await self._connection.create_session(
                    cast("Any", lambda: channel), cast("Any", line), encoding=None, window=_WINDOW_BYTES, request_pty=False
                )
            finally:
                channel.opened = _nothing  # a channel that has to do with its step would keep what that came to, until the collector comes

    async def _start(self, command: Command) -> Ending | None:
        """Open the channel and send the command; return how it ended where it did at once."""
        channel = self._channel
        try:
            await self._create_session(command.line)
        except TimeoutError:
            if channel.channel is None:
                raise NotSentError(timed_out=True, refused=False) from None
            return Ending(End.SILENT)
        except (asyncio.CancelledError, TargetError):
            raise
        except Exception as error:
            if channel.channel is None:
                alive = not self._connection.is_closed()
                raise NotSentError(timed_out=False, refused=alive and isinstance(error, asyncssh.ChannelOpenError)) from error
            refused = isinstance(error, asyncssh.ChannelOpenError) and not channel.closed
            return Ending(End.REFUSED if refused else End.CUT)
        self._hand_over(command.stdin)
        return None

    def _hand_over(self, stdin: bytes) -> None:
        channel = self._channel.channel
        if channel is not None:
            with suppress(OSError):  # the command may have ended before it read anything
                channel.write(stdin)
                channel.write_eof()

    async def _read(self, output: Output, errors: Output) -> Ending:
        channel = self._channel
        loop = asyncio.get_running_loop()
        patience: float | None = None
        while True:
            wait = self._silence_seconds
            if channel.has_result:
                patience = patience or loop.time() + _LINGER_IN_ALL_SECONDS
                wait = min(_LINGER_SECONDS, patience - loop.time())
            try:
                async with asyncio.timeout(wait):
                    news = await channel.next()
            except TimeoutError:
                return self._ending(End.LINGERING if channel.has_result else End.SILENT)
            if news is None:
                return self._ending(End.ENDED if self._ended_cleanly() else End.CUT)
            data, is_error = news
            await (errors if is_error else output).feed(data)

    def _ended_cleanly(self) -> bool:
        """Whether the server closed the channel on purpose. Without a result, a lost connection is no end unless the output's end came before it."""
        channel = self._channel
        if channel.has_result:
            return True
        return channel.error is None and (channel.complete or not self._connection.is_closed())

    def _ending(self, end: End) -> Ending:
        channel = self._channel
        return Ending(end, channel.status, channel.signal, torn=end is End.ENDED and channel.error is not None and not channel.complete)
