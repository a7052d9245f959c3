"""An interactive shell at a router: make it ready, type the lines one by one, leave it as it was found. Called by `ssh`, imported when first used.

Turning paging off and `enable` are preparations: they change nothing at the router, so a failure there is a failure for certain.
From the first line on something was sent. A line that is refused is the last one that is typed; then the configuration mode is left
in the way that throws away what was not committed, where the platform has such a way.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, cast

import asyncssh
import re2  # type: ignore[import-untyped]  # it has no types

from stepswitch.plugin import LogLevel, StepContext, TargetError
from stepswitch.steps.output import Output, harmless
from stepswitch.steps.patterns import OutputPatterns
from stepswitch.steps.ssh_answers import Answer
from stepswitch.steps.ssh_command import Channel, NotSentError
from stepswitch.steps.ssh_dialogue import Dialogue, Heard, Stop
from stepswitch.steps.ssh_platforms import Exit
from stepswitch.steps.ssh_shell_inputs import ShellRequest
from stepswitch.steps.ssh_terminal import COLUMNS, KIND, ROWS

_LEAVING_SECONDS: Final = 30.0
_GOODBYE_SECONDS: Final = 2.0
_WINDOW_BYTES: Final = 256 * 1024
_ENABLE_QUESTION: Final = re2.compile(r"(?i)password ?:\s*$")
_ENABLE_REFUSED: Final = re2.compile(
    r"(?i)(?:bad (?:secret|password)|access denied|wrong|incorrect|invalid|refused|^% ?error|^error|^minor:|not set)"
)
_GOES: Final = re2.compile(r"(?i)^\s*(?:exit|quit|logout|logoff)\b")


class Part(Enum):
    """How far a conversation came."""

    ARRIVING = auto()
    """Nothing was typed yet: the first prompt is waited for."""
    ENABLING = auto()
    PREPARING = auto()
    TYPING = auto()
    """The lines of the step."""


class End(Enum):
    """How it ended."""

    DONE = auto()
    REFUSED = auto()
    """The router refused the line, or its answer is one that `failPattern` matches (`by_pattern`)."""
    NO_ENABLE = auto()
    """The privileged mode could not be had."""
    NO_SHELL = auto()
    """The server opens no shell with a terminal."""
    SILENT = auto()
    UNANSWERED = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class Talk:
    """How a conversation ended. `number` is the line that was typed last, from 1; 0 before the first. `last` is the last that was shown."""

    end: End
    part: Part
    number: int = 0
    last: str = ""
    by_pattern: bool = False
    remark: str = ""
    """What is left of the lines before a refused one."""
    is_open: bool = False
    """Whether the session is as clean as before: another one can follow on the connection."""

    @property
    def is_lost(self) -> bool:
        """Whether the router went away, or said nothing."""
        return self.end in (End.CLOSED, End.SILENT, End.NO_SHELL)


class ShellRun:
    """One conversation under way. `mark_sent` is called right before the first line, or the first answer of the workflow, leaves."""

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        request: ShellRequest,
        context: StepContext,
        output: Output,
        patterns: OutputPatterns,
        *,
        encoding: str,
        open_seconds: float,
        silence_seconds: float,
    ) -> None:
        self._connection = connection
        self._request = request
        self._context = context
        self._output = output
        self._patterns = patterns
        self._open_seconds = open_seconds
        self._silence_seconds = silence_seconds
        self._channel = Channel()
        self._part = Part.ARRIVING
        self._number = 0
        self._committed = 0
        self._is_shared = False
        self._refusal: str | None = None
        self.was_sent = False
        self.dialogue = Dialogue(
            self._channel,
            request.manners,
            encoding=encoding,
            silence_seconds=silence_seconds,
            answers=request.answers,
        )

    @property
    def is_configuring(self) -> bool:
        """Whether the router was in its configuration mode at the last prompt."""
        return self._exit() is not None

    async def follow(self) -> Talk:
        """Carry the conversation to its end; raises NotSentError, and what `mark_sent` raises. Cancelled, the session is closed by whoever holds the connection."""
        if not await self._open():
            return Talk(End.NO_SHELL, self._part)
        talk = await self._arrive() or await self._enable() or await self._prepare() or await self._type()
        await self._output.finish()
        return talk

    async def take(self, printed: Sequence[str]) -> None:
        """Take what the router prints: what answers a line of the step is its output, all else is for the log."""
        manners = self._request.manners
        for text in printed:
            line = text.rstrip("\n")
            if self._refusal is None and self._refuses(line):
                self._refusal = line.strip()
            self._is_shared = self._is_shared or manners.shares_in(line)
        if self._part is Part.TYPING:
            for text in printed:
                self._patterns.watch(text.rstrip("\n"))
            await self._output.feed("".join(printed).encode("utf-8", "replace"))
            return
        for text in printed:
            await self._context.log(harmless(text), LogLevel.DEBUG)

    def before_reply(self) -> None:
        """Take note that something of the workflow is about to be typed; raises what `mark_sent` does."""
        if not self.was_sent:
            self._context.mark_sent()
            self.was_sent = True

    async def _open(self) -> bool:
        channel = self._channel
        try:
            async with asyncio.timeout(self._open_seconds):
                await self._connection.create_session(
                    cast("Any", lambda: channel),
                    encoding=None,
                    window=_WINDOW_BYTES,
                    request_pty="force",
                    term_type=KIND,
                    term_size=(COLUMNS, ROWS),
                )
        except TimeoutError:
            raise NotSentError(timed_out=True, refused=False) from None
        except (asyncio.CancelledError, TargetError):
            raise
        except Exception as error:
            if channel.channel is not None and not self._connection.is_closed():
                return False
            alive = not self._connection.is_closed()
            raise NotSentError(timed_out=False, refused=alive and isinstance(error, asyncssh.ChannelOpenError)) from error
        return True

    async def _arrive(self) -> Talk | None:
        self.dialogue.silence_seconds = min(self._open_seconds, self._silence_seconds)
        talk = self._unless_at_prompt(await self.dialogue.hear(self))
        if talk is None:
            self.dialogue.silence_seconds = self._silence_seconds
        return talk

    async def _enable(self) -> Talk | None:
        password, platform = self._request.enable_password, self._request.manners.platform
        if password is None or platform.enable is None or not self._request.manners.is_unprivileged(self.dialogue.prompt):
            return None
        self._part = Part.ENABLING
        dialogue, answers = self.dialogue, self.dialogue.answers
        dialogue.hide(password)
        dialogue.answers = [Answer(_ENABLE_QUESTION, password, is_ours=True, once=True)]
        try:
            heard = await self._say(platform.enable)
        finally:
            dialogue.answers = answers
        refused = self._refusal is not None or (
            platform.unprivileged is not None and heard.stop is Stop.PROMPT and self._request.manners.is_unprivileged(dialogue.prompt)
        )
        if heard.stop is Stop.UNANSWERED or refused:
            return Talk(End.NO_ENABLE, self._part, last=self._refusal or heard.last)
        return self._unless_at_prompt(heard)

    async def _prepare(self) -> Talk | None:
        self._part = Part.PREPARING
        for line in self._request.manners.platform.prepare:
            talk = self._unless_at_prompt(await self._say(line))
            if talk is not None:
                return talk
        return None

    async def _type(self) -> Talk:
        self._part = Part.TYPING
        manners = self._request.manners
        for line in self._request.lines:
            self._number += 1
            self.before_reply()
            await self._context.log(f"{self.dialogue.prompt} {line}", LogLevel.DEBUG)
            heard = await self._say(line)
            refusal = self._refusal or self._patterns.failed_line
            if refusal is not None and heard.stop is Stop.PROMPT:
                return await self._refused(refusal)
            if heard.stop is Stop.CLOSED and self._has_gone(line):
                return self._talk(End.DONE)
            talk = self._unless_at_prompt(heard)
            if talk is not None:
                return talk
            if manners.commits(line):
                self._committed = self._number
        return await self._done()

    async def _say(self, line: str) -> Heard:
        self._refusal = None
        self.dialogue.type(line)
        return await self.dialogue.hear(self, line)

    def _refuses(self, line: str) -> bool:
        if self._part is Part.ENABLING and _ENABLE_REFUSED.search(line) is not None:
            return True
        return self._request.manners.refuses_in(line)

    async def _refused(self, refusal: str) -> Talk:
        by_pattern = self._refusal is None
        remark, is_left = await self._leave()
        return self._talk(End.REFUSED, last=refusal, by_pattern=by_pattern, remark=remark, is_open=is_left and await self._close())

    async def _done(self) -> Talk:
        is_left = True
        if self.is_configuring:
            remark, is_left = await self._leave()
            await self._context.log(
                f"the last line left the router in its configuration mode, which was left then; {remark}", LogLevel.WARN
            )
        return self._talk(End.DONE, is_open=is_left and await self._close())

    async def _leave(self) -> tuple[str, bool]:
        """Leave the configuration mode; return what became of what was entered there, and whether the router is out of it."""
        way = self._exit()
        if way is None:
            return self._what_stays(None), True
        self._part = Part.PREPARING
        dialogue = self.dialogue
        dialogue.silence_seconds = min(_LEAVING_SECONDS, dialogue.silence_seconds)
        dialogue.answers = [Answer(re2.compile(way.question), way.reply, is_ours=True)] if way.question else []
        for line in way.lines:
            heard = await self._say(line)
            if heard.stop is not Stop.PROMPT or (self._refusal is not None and way.discards):
                return f"leaving its configuration mode did not go as it should, at the line {line!r}: look at what is left there", False
        if self.is_configuring:
            return "the router stayed in its configuration mode, and its session was closed: look at what is left there", False
        return self._what_stays(way), True

    def _what_stays(self, way: Exit | None) -> str:
        before = f"what line {self._committed} committed stays" if self._committed else ""
        if way is None:
            return before or ("the lines before it were carried out" if self._number > 1 else "")
        if way.shared:
            return "others work on the same candidate configuration, so nothing was thrown away: what was entered stays in it, uncommitted"
        if way.discards:
            return (
                f"{before}, what was entered after it was discarded" if before else "nothing was committed: what was entered was discarded"
            )
        return "every line takes effect at once there, so what the lines before it did stays" if self._number > 1 else ""

    def _exit(self) -> Exit | None:
        return self._request.manners.exit_from(self.dialogue.place, is_shared=self._is_shared)

    async def _close(self) -> bool:
        """Close the shell; return whether the server did so, too."""
        channel = self._channel
        if channel.channel is not None:
            channel.channel.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed(), _GOODBYE_SECONDS)  # not `timeout`: see `ssh_command.Run.stop`
        return channel.closed and not self._connection.is_closed()

    async def _closed(self) -> None:
        while await self._channel.next() is not None:
            pass

    def _has_gone(self, line: str) -> bool:
        """Whether the last line took leave and the router closed the session upon it, with the connection still up or closed in order."""
        return self._number == len(self._request.lines) and _GOES.search(line) is not None and self._channel.error is None

    def _unless_at_prompt(self, heard: Heard) -> Talk | None:
        ends = {Stop.SILENT: End.SILENT, Stop.UNANSWERED: End.UNANSWERED, Stop.CLOSED: End.CLOSED}
        return self._talk(ends[heard.stop], last=heard.last) if heard.stop in ends else None

    def _talk(self, end: End, **more: Any) -> Talk:
        return Talk(end, Part.TYPING if self._number else self._part, self._number, **more)
