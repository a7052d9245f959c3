"""An execution of a service as it goes on, told by the same tellers as `run`. Called by `execution_watch`."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Any

from stepswitch.cli.exits import Exit, complain, exit_of
from stepswitch.cli.listing import write_json
from stepswitch.cli.story import Outcome, Story, Teller, Told, ToldLine, ToldStep
from stepswitch.cli.tellers import teller_here
from stepswitch.client import ClientError, Execution, ExecutionNews, LogNews, News, NoAnswerError, NotFoundError, StepNews, StepswitchClient
from stepswitch.domain.execution import Result
from stepswitch.domain.states import StepState


async def watch(client: StepswitchClient, execution_id: str, *, through_pauses: bool, as_json: bool) -> Exit:
    """Tell an execution from its beginning to its end, or until it is paused, and return the exit code that this means.

    Who is interrupted, or loses the service, is told that it goes on without him.
    """
    try:
        status, found = await (_wait if as_json else _tell)(client, execution_id, through_pauses=through_pauses)
    except (asyncio.CancelledError, NoAnswerError):
        complain(f"Execution {execution_id} goes on without you. stepswitch execution watch shows it again, and execution abort stops it.")
        raise
    if found is None:
        complain(f"execution {execution_id} was removed")
    elif as_json:
        write_json(found.raw)
    return exit_of(status)


async def _wait(client: StepswitchClient, execution_id: str, *, through_pauses: bool) -> tuple[str, Execution | None]:
    found = await client.executions.wait(execution_id, until=lambda each: each.has_ended or (each.is_paused and not through_pauses))
    return found.status, found


async def _tell(client: StepswitchClient, execution_id: str, *, through_pauses: bool) -> tuple[str, Execution | None]:
    """Return how the execution stood at last, and the execution; None where it was removed."""
    types = _Types(await client.executions.get(execution_id, fields=["workflow"]))
    with teller_here(types.of) as teller:
        stream = client.executions.follow(execution_id, on_break=lambda error: teller.remark(f"{error}; trying again"))
        last = await _follow(stream, teller, through_pauses=through_pauses)
    try:
        found = await client.executions.get(execution_id)
    except NotFoundError:
        return last.status, None
    teller.outcome(_outcome(found, last.status))
    if last.is_paused:
        teller.remark(f"It waits: stepswitch execution resume {execution_id}, retry, edit, set or abort.")
    return last.status, found


async def _follow(stream: AsyncGenerator[News, None], teller: Teller, *, through_pauses: bool) -> ExecutionNews:
    """Tell what happens until the execution has ended or pauses; return how it stands then."""
    story, told = Story(teller), _Steps()
    last: ExecutionNews | None = None
    async with aclosing(stream):
        async for news in stream:
            story.tell(told.as_told(news))
            if isinstance(news, ExecutionNews):
                last = news
                if news.is_paused and not through_pauses:
                    break
    if last is None:
        raise ClientError("the service ended the stream before it said how the execution stands")
    return last


class _Types:
    """Of which types the steps of an execution are."""

    def __init__(self, execution: Execution) -> None:
        self._steps: dict[str, Any] = execution.workflow.get("steps") or {}

    def of(self, step_id: str) -> str:
        """Return the type of a step; empty for one that was added since."""
        step = self._steps.get(step_id)
        return str(step.get("type", "")) if isinstance(step, dict) else ""


class _Steps:
    """Makes what a teller tells of what a service tells; remembers the step that waits, for why it does is told apart from it."""

    def __init__(self) -> None:
        self._latest: ToldStep | None = None

    def as_told(self, news: News) -> Told:
        """Return news as they are told."""
        if isinstance(news, LogNews):
            return Told(lines=(ToldLine(_milliseconds(news.time), news.level, news.msg, news.number),))
        if isinstance(news, StepNews):
            self._latest = _step(news)
            return Told((self._latest,))
        if self._latest is None or self._latest.state != StepState.EXECUTABLE or not news.waiting_for:
            return Told()
        reasons = {each.kind: each for each in news.waiting_for}
        until = reasons["time"].until if "time" in reasons else None
        device = reasons["device"].name if "device" in reasons else None
        self._latest = replace(self._latest, device=device, not_before=None if until is None else _milliseconds(until))
        return Told((self._latest,))


def _step(news: StepNews) -> ToldStep:
    return ToldStep(
        number=news.number,
        step_id=news.step_id,
        state=news.state,
        start_time=_milliseconds(news.start_time),
        attempt=news.attempt,
        claimed_time=None if news.claimed_time is None else _milliseconds(news.claimed_time),
        end_time=None if news.end_time is None else _milliseconds(news.end_time),
        result=news.result,
        failure="" if news.error is None else f"{news.error.code}: {news.error.message}",
    )


def _outcome(found: Execution, status: str) -> Outcome:
    steps = found.step_executions
    failed = sum(step.result in (Result.FAILED, Result.UNKNOWN) for step in steps)
    times: list[datetime] = [
        found.creation_time,
        *(step.end_time or step.start_time for step in steps),
        *(entry.time for entry in found.logs),
    ]
    end = found.end_time or max(times)
    return Outcome(status, len(steps), failed, _milliseconds(end) - _milliseconds(found.creation_time), found.outputs)


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
