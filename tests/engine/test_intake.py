"""Risk: more executions are let in than there may be, or none although there is room, or each of them has the queue counted."""

import asyncio

import pytest
from structlog.testing import capture_logs

from stepswitch.domain.errors import ErrorCode, InvalidRequestError, OverloadedError
from stepswitch.engine.intake import COUNT_SECONDS, Intake
from stepswitch.engine.quotas import Quota, Quotas
from stepswitch.engine.records import Committed
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
            admission = await intake.admit("default")
        except OverloadedError:
            continue
        admission.settled()
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
        await Intake(queue, FakeClock(), 1).admit("default")
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
    admissions = [await intake.admit("default") for _ in range(10)]
    await clock.advance(COUNT_SECONDS)
    assert await admitted(intake, 5) == 0
    admissions[0].settled()
    queue.busy = 0  # it was never stored
    await clock.advance(COUNT_SECONDS)
    assert await admitted(intake, 5) == 1


async def test_what_came_to_the_disk_behind_the_count_still_counts() -> None:
    queue, clock = SlowQueue(), FakeClock()
    intake = Intake(queue, clock, 1)
    queue.gate.set()
    admission = await intake.admit("default")
    queue.gate.clear()
    await clock.advance(COUNT_SECONDS)
    asking = asyncio.create_task(admitted(intake, 1))  # counts none, for the first is not there yet
    await clock.settle()
    queue.busy = 1
    admission.settled()
    queue.gate.set()
    assert await asking == 0


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


# --- of one tenant ---


async def test_a_tenant_that_is_full_is_refused_and_no_other() -> None:
    queue = StillQueue()
    queue.tenants["north"] = 2
    intake = Intake(queue, FakeClock(), 100, Quotas(own={"north": Quota(queued_executions=2)}))
    with pytest.raises(
        OverloadedError, match=r"as many executions of the tenant north wait or run as may \(2\); nothing was stored"
    ) as refused:
        await intake.admit("north")
    assert refused.value.retry_after > 0
    await intake.admit("south")


async def test_a_tenant_that_has_as_many_executions_as_it_may_is_told_how_many_and_what_to_do() -> None:
    queue = StillQueue()
    queue.kept["north"] = 3
    intake = Intake(queue, FakeClock(), 100, Quotas(Quota(stored_executions=3)))
    with pytest.raises(
        InvalidRequestError, match="the tenant north has 3 executions, and may have 3; nothing was stored: delete some"
    ) as refused:
        await intake.admit("north")
    assert [fault.code for fault in refused.value.faults] == [ErrorCode.LIMIT_REACHED]


async def test_two_at_once_do_not_both_get_the_last_place_of_a_tenant() -> None:
    queue = StillQueue()
    queue.kept["north"] = queue.tenants["north"] = 4
    for quota in (Quota(stored_executions=5), Quota(queued_executions=5)):
        intake = Intake(queue, FakeClock(), 100, Quotas(quota))
        told = await asyncio.gather(*(intake.admit("north") for _ in range(10)), return_exceptions=True)
        assert sum(isinstance(each, InvalidRequestError | OverloadedError) for each in told) == 9


async def test_what_is_deleted_makes_room_at_once() -> None:
    queue = StillQueue()
    queue.kept["north"] = 1
    intake = Intake(queue, FakeClock(), 100, Quotas(Quota(stored_executions=1)))
    with pytest.raises(InvalidRequestError):
        await intake.admit("north")
    queue.kept["north"] = 0
    with pytest.raises(InvalidRequestError):  # nobody has said so
        await intake.admit("north")
    intake.committed(Committed("e1", is_gone=True))
    await intake.admit("north")


async def test_a_tenant_that_is_refused_takes_no_place_of_the_others() -> None:
    queue, clock = StillQueue(), FakeClock()
    queue.kept["north"] = 1
    intake = Intake(queue, clock, 10, Quotas(own={"north": Quota(stored_executions=1)}))
    for _ in range(50):
        with pytest.raises(InvalidRequestError):
            await intake.admit("north")
    for _ in range(10):
        await intake.admit("south")


async def test_who_is_refused_by_one_limit_takes_no_place_of_another() -> None:
    queue, clock = StillQueue(), FakeClock()
    queue.tenants["north"] = 1
    intake = Intake(queue, clock, 10, Quotas(Quota(queued_executions=1, stored_executions=5)))
    for _ in range(9):
        with pytest.raises(OverloadedError):
            await intake.admit("north")
    queue.tenants["north"] = 0
    for _ in range(2 * 5):
        await clock.advance(COUNT_SECONDS)
        (await intake.admit("north")).settled()


async def test_without_limits_nothing_is_counted_of_a_tenant() -> None:
    class Uncountable(StillQueue):
        async def under_way_of(self, tenant: str) -> int:
            raise AssertionError("it costs something")

        async def stored(self, tenant: str) -> int:
            raise AssertionError("it costs something")

    await Intake(Uncountable(), FakeClock(), 100).admit("north")
