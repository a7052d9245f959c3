"""Talking to a router's command line: type a line, read until it waits for the next one. Called by `ssh_shell`.

When a router waits is told by its prompt. A prompt of the name that is known, behind the echo of what was typed, is taken at once;
any other, and every question, only after the router has been quiet for a moment: it may be a part of what is still coming.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol

from stepswitch.steps.ssh_answers import Answer
from stepswitch.steps.ssh_command import Channel
from stepswitch.steps.ssh_echo import Echo
from stepswitch.steps.ssh_manners import Manners
from stepswitch.steps.ssh_terminal import Line, Terminal

ENTER: Final = "\n"
SETTLE_SECONDS: Final = 0.25
"""How long a router has to be quiet before a prompt of another name, or a question, counts as one."""
QUESTION_SECONDS: Final = 5.0
"""How long something that looks like a question, and for which there is no answer, has to stand before it is given up."""
_MOST_REPLIES: Final = 50
_MOST_HELD: Final = 100
_SHORTEST_HIDDEN: Final = 4
_HIDDEN: Final = "********"


class Stop(Enum):
    """Why reading has stopped."""

    PROMPT = auto()
    """The router waits for the next line."""
    SILENT = auto()
    """It printed nothing for too long."""
    UNANSWERED = auto()
    """It asked something for which there is no answer, or the same again and again."""
    CLOSED = auto()
    """It closed the session, or the connection broke."""


@dataclass(frozen=True, slots=True)
class Heard:
    """How the reading of one answer ended; `last` is the last that the router showed, as far as it can be shown."""

    stop: Stop
    last: str


class _Standing(Enum):
    """What the line with the cursor is."""

    NOTHING = auto()
    PROMPT = auto()
    PERHAPS_PROMPT = auto()
    PAGER = auto()
    ANSWER = auto()
    QUESTION = auto()


class Listener(Protocol):
    """Who follows a conversation. It holds its dialogue, which therefore keeps no listener: both, and all that was printed, would wait for the collector."""

    async def take(self, printed: Sequence[str]) -> None:
        """Take what the router prints, in whole lines or parts of them, without echo, prompts and secrets."""
        ...

    def before_reply(self) -> None:
        """Take note that an answer of the workflow is about to be typed; what this raises keeps it from being typed."""
        ...


class Dialogue:
    """One conversation. Times are in seconds."""

    def __init__(
        self,
        channel: Channel,
        manners: Manners,
        *,
        encoding: str,
        silence_seconds: float,
        answers: Sequence[Answer],
    ) -> None:
        self._channel = channel
        self._manners = manners
        self._encoding = encoding
        self.silence_seconds = silence_seconds
        self.answers = answers
        self._terminal = Terminal(encoding)
        self._echo = Echo("")
        self._held: list[str] = []
        self._hidden: list[str] = []
        self._asked: str | None = None
        self._replied = ""
        self._is_new_line = True
        self._replies = 0
        self._name: str | None = None
        self._last = ""
        self.prompt = ""
        """The prompt at which the router waits."""
        self.place = ""
        """The same, with the lines above it that belong to it."""

    def type(self, text: str) -> None:
        """Send a line with the Enter key behind it."""
        self._send(text + ENTER)

    def hide(self, secret: str) -> None:
        """Let nothing that the router prints from now on show this secret."""
        if len(secret) >= _SHORTEST_HIDDEN and secret not in self._hidden:
            self._hidden.append(secret)

    def shown(self, text: str) -> str:
        """Return a text without the secrets that were typed."""
        for secret in self._hidden:
            text = text.replace(secret, _HIDDEN)
        return text

    async def hear(self, listener: Listener, typed: str = "") -> Heard:
        """Read what the router prints after `typed` was typed, until it waits for us again or nothing more is to be expected."""
        self._echo = Echo(typed)
        self._is_new_line = not typed
        self._held.clear()
        self._replies = 0
        while True:
            standing, answer = self._standing()
            if standing is _Standing.PROMPT:
                return self._arrived()
            if standing is _Standing.PAGER:
                self._asked = self._terminal.line.rstrip()
                self._send(" ")
                continue
            try:
                news = await self._news(_patience(standing, self.silence_seconds))
            except TimeoutError:
                heard = self._quiet(standing, answer, listener)
                if heard is not None:
                    return heard
                continue
            if news is None:
                await self._take([Line(self._terminal.line, "")] if self._terminal.line.strip() != self.prompt else [], listener)
                return Heard(Stop.CLOSED, self._last)
            await self._take(self._terminal.feed(news), listener)

    async def _news(self, seconds: float) -> bytes | None:
        async with asyncio.timeout(seconds):
            news = await self._channel.next()
        return None if news is None else news[0]

    def _quiet(self, standing: _Standing, answer: Answer | None, listener: Listener) -> Heard | None:
        """Act on a line at which the router stays quiet; return how the reading ended, None where it goes on."""
        if standing is _Standing.PERHAPS_PROMPT:
            return self._arrived()
        if answer is None or self._replies == _MOST_REPLIES:
            return Heard(Stop.SILENT if standing is _Standing.NOTHING else Stop.UNANSWERED, self._end_of_text())
        self._replies += 1
        self._reply(answer, listener)
        return None

    def _standing(self) -> tuple[_Standing, Answer | None]:
        """Return what the line with the cursor is, and the answer to it where that is a question."""
        line = self._terminal.line
        if self._asked is not None and line.startswith(self._asked):
            return _Standing.NOTHING, None
        self._asked = None
        if not line.strip() or self._terminal.is_continued:
            return _Standing.NOTHING, None
        if self._manners.pages_at(line.rstrip()):
            return _Standing.PAGER, None
        name = self._manners.name_in(line) if self._is_new_line else None
        if name is not None:
            is_known = self._echo.is_done and _is_same(name, self._name)
            return (_Standing.PROMPT if is_known else _Standing.PERHAPS_PROMPT), None
        answer = next((each for each in self.answers if each.fits(line)), None) if self._is_new_line else None
        if answer is not None:
            return _Standing.ANSWER, answer
        return (_Standing.QUESTION if self._is_new_line and self._manners.asks_in(line) else _Standing.NOTHING), None

    def _arrived(self) -> Heard:
        self.prompt = self._terminal.line.strip()
        above = [line.strip() for line in self._held if line.strip()]
        self.place = "\n".join([*above, self.prompt])
        self._held.clear()
        name = self._manners.name_in(self.prompt)
        if not _is_same(name, self._name):
            self._name = name
        return Heard(Stop.PROMPT, self._last)

    def _reply(self, answer: Answer, listener: Listener) -> None:
        question = self._terminal.line
        if not answer.is_ours:
            listener.before_reply()
        if answer.once:
            self.answers = [each for each in self.answers if each is not answer]
        if answer.is_secret(question):
            self.hide(answer.reply)
        self._asked, self._replied = question.rstrip(), answer.reply
        self._send(answer.reply + ENTER)

    def _send(self, text: str) -> None:
        channel = self._channel.channel
        if channel is not None:
            with suppress(OSError):  # that it is closed is what is read next
                channel.write(text.encode(self._encoding, "replace"))

    async def _take(self, lines: Sequence[Line], listener: Listener) -> None:
        printed: list[str] = []
        for line in lines:
            self._is_new_line = True
            text = self._without_reply(line)
            if text is None or self._echo.takes(line, self.prompt) or self._manners.pages_at(text):
                continue
            if line.ends and len(self._held) < _MOST_HELD and (not text.strip() or self._manners.belongs_to_prompt(text.strip())):
                self._held.append(text)
                continue
            printed += [f"{held}\n" for held in self._held]
            self._held.clear()
            printed.append(f"{text}\n" if line.ends else text)
        if printed:
            printed = [self.shown(text) for text in printed]
            self._last = next((text.strip() for text in reversed(printed) if text.strip()), self._last)
            await listener.take(printed)

    def _without_reply(self, line: Line) -> str | None:
        """Return a line as it may be shown: of one with a question without the echo of its answer; None for one that only paged."""
        asked, self._asked = self._asked, None
        if asked is None or not line.text.startswith(asked):
            return line.text
        rest = line.text[len(asked) :].strip()
        if self._manners.pages_at(asked):
            return rest or None
        return f"{asked} {rest.removeprefix(self._replied.strip())}".rstrip()

    def _end_of_text(self) -> str:
        line = self.shown(self._terminal.line.strip())
        return line if line and line != self.prompt else self._last


def _patience(standing: _Standing, silence_seconds: float) -> float:
    match standing:
        case _Standing.PERHAPS_PROMPT | _Standing.ANSWER:
            return min(SETTLE_SECONDS, silence_seconds)
        case _Standing.QUESTION:
            return min(QUESTION_SECONDS, silence_seconds)
        case _:
            return silence_seconds


def _is_same(name: str | None, known: str | None) -> bool:
    """Return whether a prompt's name is the known one, which VRP continues with the view that one is in."""
    return bool(name and known) and (name == known or str(name).startswith(f"{known}-"))
