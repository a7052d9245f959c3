"""One execution from its beginning on: what was before and what happens now as one story, each thing told once. Called by `executions`.

A stream begins now, or where somebody left it; what was before is in the execution. It is read after the stream has begun, so that
nothing is missed; what is in both is recognised. The same is done after a reset. Lines that are the same in every letter and to the
millisecond cannot be told apart: of such, one that comes in the very moment of the reading may be left out.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from heapq import merge
from typing import Final

from stepswitch.client.answers import Execution, LogEntry, StepExecution
from stepswitch.client.errors import NotFoundError
from stepswitch.client.events import Event
from stepswitch.client.news import ExecutionNews, LogNews, News, Reset, StepNews
from stepswitch.domain.execution import Result
from stepswitch.domain.states import TERMINAL, StepState

END_SECONDS: Final = 10.0
"""How long to listen for last lines once an execution has ended; the service closes the stream when it has told all."""
_NOT_BEGUN: Final = frozenset({StepState.WAITING_BEFORE.value, StepState.EXECUTABLE.value})
_ORDER: Final[Mapping[str, int]] = {
    **dict.fromkeys(map(str, StepState), 2),
    **dict.fromkeys(_NOT_BEGUN, 0),
    StepState.EXECUTING.value: 1,
    **dict.fromkeys(map(str, TERMINAL), 3),
}
"""How far a step has come in each state; it never goes back, but for a pause before it has begun."""
_Line = tuple[datetime, str, str]
_Placed = tuple[datetime, int, News]
_END, _OWN, _BEGIN = range(3)
"""What comes first of what happened in the same millisecond."""


async def follow(stream: AsyncGenerator[Event, None], read: Callable[[], Awaitable[Execution]]) -> AsyncGenerator[News, None]:
    """Yield all that happened and happens to the execution of `stream`, until it has ended; `read` gives it as it is now."""
    told = Told()
    async with aclosing(stream):
        while not told.is_over:
            try:
                async with asyncio.timeout(END_SECONDS if told.has_ended else None):
                    event = await anext(stream)
            except (StopAsyncIteration, TimeoutError):
                return
            except NotFoundError:  # it was removed while nobody listened
                if told.standing is None:
                    raise
                if not told.has_ended:
                    yield replace(told.standing, is_deleted=True)
                return
            if isinstance(event.news, Reset) or told.standing is None:
                for news in told.all_of(await read()):
                    yield news
            else:
                for news in told.next(event.news):
                    yield news


class Told:
    """What was told of one execution so far."""

    def __init__(self) -> None:
        self.standing: ExecutionNews | None = None
        """How it stood at last; None before anything was told."""
        self.is_over = False
        """Whether nothing more can come: it had ended when all of it was read, or is gone."""
        self._steps: dict[int, StepNews] = {}
        self._lines: Counter[int | None] = Counter()
        """How many lines of each step, and of the execution itself."""
        self._read: dict[int | None, Counter[_Line]] = {}
        """Lines that were read with the execution, and may come in the stream as well."""

    @property
    def has_ended(self) -> bool:
        """Whether it had ended."""
        return self.standing is not None and self.standing.has_ended

    def next(self, news: News) -> Iterator[News]:
        """Yield what comes in the stream, unless it was told."""
        if isinstance(news, LogNews):
            if not self._was_read(news):
                self._lines[news.number] += 1
                yield news
        elif isinstance(news, StepNews):
            before = self._steps.get(news.number)
            # What was read may be ahead of the stream, which then tells of how it came there.
            if before is None or (news != before and _order(news) >= _order(before)):
                self._steps[news.number] = news
                yield news
        else:
            self.standing, self.is_over = news, news.is_deleted
            yield news

    def all_of(self, execution: Execution) -> Iterator[News]:
        """Yield what was not told of an execution that was read, in the order of time, and at last where it stands."""
        self._read = {}
        steps = (placed for step in execution.step_executions for placed in self._of_step(execution.id, step))
        own = ((line.time, _OWN, line) for line in self._new_lines(execution.id, None, execution.logs))
        for _, _, news in merge(steps, own, key=lambda placed: placed[:2]):
            yield news
        self.standing, self.is_over = _standing(execution), execution.has_ended
        yield self.standing

    def _of_step(self, execution_id: str, step: StepExecution) -> Iterator[_Placed]:
        news = _step(execution_id, step)
        before = self._steps.get(step.number)
        self._steps[step.number] = news
        began = step.claimed_time or step.start_time
        has_run = step.state not in _NOT_BEGUN and step.result != Result.SKIPPED
        is_over = step.result is not None
        if not is_over and news != before:
            yield began, _BEGIN, news  # first, so that whoever is told its lines knows whose they are
        elif before is None and has_run and is_over:
            yield began, _BEGIN, replace(news, state=StepState.EXECUTING.value, end_time=None, result=None, error=None)
        for line in self._new_lines(execution_id, step.number, step.logs):
            yield line.time, _END, line
        if is_over and news != before:
            yield step.end_time or began, _END if step.end_time is not None else _BEGIN, news

    def _new_lines(self, execution_id: str, number: int | None, entries: tuple[LogEntry, ...]) -> list[LogNews]:
        known = self._lines[number]
        self._lines[number] = max(known, len(entries))
        self._read[number] = Counter((entry.time, entry.level, entry.msg) for entry in entries)
        return [LogNews(execution_id, number, entry.msg, entry.time, entry.level, entry.raw) for entry in entries[known:]]

    def _was_read(self, news: LogNews) -> bool:
        """Return whether a line of the stream was among those that were read: the first ones are, and after one that was not none is."""
        read, line = self._read.get(news.number), (news.time, news.level, news.msg)
        if read is None:
            return False
        if not read[line]:
            del self._read[news.number]
            return False
        read[line] -= 1
        return True


def _order(news: StepNews) -> int:
    return _ORDER.get(news.state, 2)


def _step(execution_id: str, step: StepExecution) -> StepNews:
    return StepNews(
        execution_id=execution_id,
        number=step.number,
        step_id=step.step_id,
        state=step.state,
        attempt=step.attempt,
        aborted=step.aborted,
        start_time=step.start_time,
        claimed_time=step.claimed_time,
        end_time=step.end_time,
        result=step.result,
        error=step.error,
        raw=step.raw,
    )


def _standing(execution: Execution) -> ExecutionNews:
    return ExecutionNews(
        execution_id=execution.id,
        status=execution.status,
        workflow_id=execution.workflow_id,
        workflow_name=execution.workflow_name,
        queue_position=execution.queue_position,
        waiting_for=execution.waiting_for,
        end_time=execution.end_time,
        is_deleted=False,
        raw=execution.raw,
    )
