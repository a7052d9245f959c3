"""Risk: a stop takes longer than the grace period says, and whoever manages the service kills it before what runs is given back."""

import asyncio
from pathlib import Path

from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.execution import Result, Status
from tests.clocks import FakeClock
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.scripted import House


async def test_the_grace_period_begins_when_the_service_is_told_to_stop(tmp_path: Path) -> None:
    house = House(tmp_path, FakeClock(), grace_seconds=4)
    service = await house.open()
    execution = await house.queue(document(steps=steps("a")))
    await house.act.next()
    service.hold()
    await house.clock.advance(1.5)  # so long it took to answer what was asked
    stopping = asyncio.create_task(service.stop())
    await house.clock.until_sleeping_for(2.5)
    await house.clock.advance(2.5)
    await stopping
    await house.open()
    try:
        view = await house.until(execution, Status.FAILED)
        (step, _) = view.steps[0]
        assert (step.result, step.error and step.error.code, house.act.count) == (Result.UNKNOWN, ErrorCode.LOST, 1)
    finally:
        await house.stop()
