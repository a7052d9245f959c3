"""A service with a step type that acts on a target in the test itself, so that hundreds of steps can run at once; and that target.

The target is a Unix socket: it counts what it is told, and answers when the test says so.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from stepswitch.bootstrap import serve, wiring
from stepswitch.config.settings import Settings
from stepswitch.domain.execution import Values
from stepswitch.engine.ports import StepContext, StepType
from stepswitch.plugin import ErrorCode, InputSpec, Outcome, Result, StepSignature, ValueType, unknown
from stepswitch.steps.registry import installed
from tests.chaos.mortal import Death, Mortal

TELL = StepSignature(
    "TELL",
    "Tells a target a word, and waits for its answer.",
    inputs=(InputSpec("word", (ValueType.STRING,), "The word.", required=True), InputSpec("device", (ValueType.STRING,), "The device.")),
    time_limit_seconds=3_600,
    device_input="device",
)


class TellStep:
    """Implements `StepType`."""

    def __init__(self, target: Path) -> None:
        self._target = target

    @property
    def signature(self) -> StepSignature:
        return TELL

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        reader, writer = await asyncio.open_unix_connection(self._target)
        try:
            await reader.readline()  # its greeting
            context.mark_sent()
            writer.write(f"{inputs['word']}\n".encode())
            answer = await reader.readline()
        finally:
            writer.close()
        return Outcome(Result.SUCCEEDED) if answer == b"done\n" else unknown(ErrorCode.CONNECTION_CUT, "the target hung up")

    async def release(self, execution_id: str) -> None:
        pass

    async def close(self) -> None:
        pass


def live(stderr: Connection, settings: Mapping[str, Any], target: Path) -> None:
    """Be the service, with the step type of the crowd. Runs in the new process."""
    os.dup2(stderr.fileno(), 2)
    stderr.close()

    def types(settings: Settings) -> dict[str, StepType]:
        return {**installed({}), "TELL": TellStep(target)}

    wiring.step_types = types  # type: ignore[attr-defined]
    os._exit(serve(Settings(**settings)))


class CrowdedService(Mortal):
    """A mortal service whose steps act on a `Target`."""

    def __init__(self, data_dir: Path, target: Path, **settings: Any) -> None:
        super().__init__(data_dir, **settings)
        self._target = target

    def _life(self, stderr: Connection, _death: Death | None) -> tuple[Callable[..., None], tuple[Any, ...]]:
        return live, (stderr, self._settings, self._target)


class Target:
    """Greets who comes, counts the words that it is told, and answers a word when it is let go. Whoever comes as one too many is not greeted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: Counter[str] = Counter()
        self.answers_at_once = False
        self.greets = 2**62
        """How many more it greets."""
        self.came = 0
        self._waiting: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        """Both: a reader that nobody holds any more hangs up."""
        self._news = asyncio.Condition()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Target":
        self._server = await asyncio.start_unix_server(self._hear, self.path, backlog=2_000)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for pair in self._waiting.values():
            pair[1].close()

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        if self.greets:
            self.greets -= 1
            writer.write(b"hello\n")
        await self._tell_news()
        word = (await reader.readline()).decode().strip()
        if not word:
            writer.close()
            return
        self.told[word] += 1
        self._waiting[word] = (reader, writer)
        if self.answers_at_once:
            self.let_go(word)
        await self._tell_news()

    async def _tell_news(self) -> None:
        async with self._news:
            self._news.notify_all()

    def let_go(self, *words: str) -> None:
        """Answer these words."""
        for word in words:
            _, writer = self._waiting.pop(word)
            writer.write(b"done\n")
            writer.close()

    async def until_told(self, number: int, *, came: int = 0) -> None:
        """Return when so many words were told, and so many came to tell one."""
        async with asyncio.timeout(60), self._news:
            await self._news.wait_for(lambda: self.told.total() >= number and self.came >= came)
