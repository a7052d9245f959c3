"""Risk: between what was read and what is streamed something is told twice or not at all. Against the real service, through a line that breaks."""

import asyncio
from collections import Counter
from contextlib import aclosing

import pytest

from stepswitch.client import Execution, ExecutionNews, LogNews, StepNews, StepswitchClient
from stepswitch.plugin import Result
from tests.client.office import Naps, Office
from tests.proxies import Proxy

STEPS = ("a", "b", "c", "d", "e", "f")
LINES = 5


class Heard:
    """What one follower was told."""

    def __init__(self) -> None:
        self.lines: dict[int | None, list[str]] = {}
        self.steps: dict[int, tuple[str, str | None]] = {}
        self.ends: Counter[int] = Counter()
        self.status = ""

    async def follow(self, client: StepswitchClient, execution_id: str) -> None:
        async with aclosing(client.executions.follow(execution_id)) as story:
            async for news in story:
                match news:
                    case LogNews():
                        assert news.number is None or news.number in self.steps, "nobody knows whose line that is"
                        self.lines.setdefault(news.number, []).append(news.msg)
                    case StepNews():
                        self.steps[news.number] = (news.step_id, news.result)
                        self.ends[news.number] += news.state == "finished"
                    case ExecutionNews():
                        self.status = news.status

    def fits(self, execution: Execution) -> bool:
        own = {None: [entry.msg for entry in execution.logs]}
        lines = own | {step.number: [entry.msg for entry in step.logs] for step in execution.step_executions if step.logs}
        steps = {step.number: (step.step_id, step.result) for step in execution.step_executions}
        assert self.lines == lines
        assert (self.steps, self.status) == (steps, execution.status)
        return set(self.ends.values()) == {1}


async def play(office: Office, between: asyncio.Queue[None]) -> None:
    """Carry out every step, each with some lines; say so after every one."""
    for number in range(len(STEPS)):
        call = await office.house.act.next()
        for line in range(LINES):
            await call.context.log(f"line {line}")
            await asyncio.sleep(0)
        call.end(Result.SUCCEEDED if number < len(STEPS) - 1 else Result.FAILED)
        between.put_nowait(None)


async def test_whoever_follows_is_told_everything_once_whenever_he_comes(office: Office) -> None:
    execution = await office.queue(*STEPS)
    between: asyncio.Queue[None] = asyncio.Queue()
    playing = asyncio.create_task(play(office, between))
    heard: list[Heard] = []
    following: list[asyncio.Task[None]] = []
    for _ in STEPS:
        heard.append(Heard())
        following.append(asyncio.create_task(heard[-1].follow(office.client, execution.id)))
        await between.get()
    async with asyncio.timeout(60):
        await asyncio.gather(playing, *following)
    ended = await office.until(execution.id, "FAILED")
    assert all(each.fits(ended) for each in heard)


async def test_who_comes_while_a_step_runs_is_told_of_the_step_before_its_lines(office: Office) -> None:
    execution = await office.queue("a")
    call = await office.house.act.next()
    await call.context.log("hello")
    begun: list[tuple[str, str]] = []
    said = ""
    async with aclosing(office.client.executions.follow(execution.id)) as story:
        async for news in story:
            if isinstance(news, StepNews):
                begun.append((news.step_id, news.state))
            if isinstance(news, LogNews) and news.number == 0:
                said = news.msg
                break
    assert (begun, said) == ([("a", "executing")], "hello")
    call.end()


@pytest.mark.parametrize("cuts", [1, 4])
async def test_a_line_that_breaks_loses_nothing(office: Office, naps: Naps, cuts: int) -> None:
    execution = await office.queue(*STEPS)
    between: asyncio.Queue[None] = asyncio.Queue()
    heard = Heard()
    async with (
        Proxy("127.0.0.1", office.port) as proxy,
        StepswitchClient(f"http://127.0.0.1:{proxy.port}", token=office.client.token, pacing=naps.pacing) as client,
    ):
        following = asyncio.create_task(heard.follow(client, execution.id))
        playing = asyncio.create_task(play(office, between))
        for number in range(len(STEPS)):
            await between.get()
            if number < cuts:
                proxy.cut()
        async with asyncio.timeout(60):
            await asyncio.gather(playing, following)
    assert heard.fits(await office.until(execution.id, "FAILED"))
