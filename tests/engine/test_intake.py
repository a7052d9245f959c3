"""Risk: more executions are let in than there may be, or none although there is room, or each of them has the queue counted."""

import asyncio

import pytest
from structlog.testing import capture_logs

from stepswitch.domain.errors import OverloadedError
from stepswitch.engine.intake import COUNT_SECONDS, Intake
from tests.clocks import FakeClock
from tests.dispatchers import StillQueue


class SlowQueue(StillQueue):
    """Answers when it is told to; what it counted stands from the moment it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def under_way(self) -> int:
        counted = await super().under_way()
        await self.gate.wait()
        return counted


async def admitted(intake: Intake, times: int) -> int:
    """Return how many of so many are let in and stored."""
    count = 0
    for _ in range(times):
        try:
            await intake.admit()
        except OverloadedError:
            continue
        intake.settled()
        count += 1
    return count


async def test_the_limit_is_reached_and_not_passed() -> None:
    queue, clock = StillQueue(), FakeClock()
    queue.busy = 7
    assert await admitted(Intake(queue, clock, 10), 20) == 3


async def test_who_is_refused_is_told_when_to_come_back() -> None:
    queue = StillQueue()
    queue.busy = 1
    with pytest.raises(OverloadedError, match=r"as many executions wait or run as may \(1\); nothing was stored") as refused:
        await Intake(queue, FakeClock(), 1).admit()
    assert refused.value.retry_after == 5


async def test_nobody_counts_while_there_is_room() -> None:
    queue = StillQueue()
    intake = Intake(queue, FakeClock(), 1_000)
    assert await admitted(intake, 900) == 900
    assert queue.counted == 1


async def test_what_has_ended_leaves_room_as_soon_as_it_is_counted_and_counting_is_rare() -> None:
    queue, clock = StillQueue(), FakeClock()
    intake = Intake(queue, clock, 10)
    assert await admitted(intake, 20) == 10
    queue.busy = 4
    assert (await admitted(intake, 100), queue.counted) == (0, 1)
    await clock.advance(COUNT_SECONDS)
    assert (await admitted(intake, 100), queue.counted) == (6, 2)


async def test_what_is_on_its_way_to_the_disk_counts_before_it_is_there() -> None:
    queue, clock = StillQueue(), FakeClock()
    intake = Intake(queue, clock, 10)
    for _ in range(10):
        await intake.admit()
    await clock.advance(COUNT_SECONDS)
    assert await admitted(intake, 5) == 0
    intake.settled()
    queue.busy = 0  # it was never stored
    await clock.advance(COUNT_SECONDS)
    assert await admitted(intake, 5) == 1


async def test_those_who_come_while_it_is_counted_wait_for_the_count_and_share_what_is_left() -> None:
    queue, clock = SlowQueue(), FakeClock()
    intake = Intake(queue, clock, 10)
    queue.busy = 8
    asking = [asyncio.create_task(admitted(intake, 1)) for _ in range(50)]
    await clock.settle()
    assert not any(each.done() for each in asking)
    queue.gate.set()
    assert sum(await asyncio.gather(*asking)) == 2
    assert queue.counted == 1


async def test_the_log_says_once_that_no_more_are_accepted_and_once_that_they_are_again() -> None:
    queue, clock = StillQueue(), FakeClock()
    intake = Intake(queue, clock, 2)
    with capture_logs() as told:
        await admitted(intake, 9)
        assert len(told) == 1
        queue.busy = 2
        for _ in range(3):
            await clock.advance(COUNT_SECONDS)
            await admitted(intake, 9)
        queue.busy = 0
        await clock.advance(COUNT_SECONDS)
        await admitted(intake, 1)
    assert [each["event"] for each in told] == ["no more executions are accepted", "executions are accepted again"]
