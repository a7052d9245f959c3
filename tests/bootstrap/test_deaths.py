"""Risk: a service that has lost a part which it cannot do without stays up, and takes what it can never carry out."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from stepswitch.bootstrap.server import HttpServer
from tests.engine.rig import PATIENCE
from tests.engine.scripted import open_house


@pytest.mark.parametrize("part", ["sqlite writer", "timekeeper", "signs of life"])
async def test_the_process_ends_when_a_part_that_it_cannot_do_without_does(tmp_path: Path, part: str) -> None:
    async with open_house(tmp_path, start=False, port=0, grace_seconds=1) as house:
        server = HttpServer(house.service)
        await server.start()
        running = {each.get_name(): each for each in (house.service._database.writer, *house.service._background)}
        with capture_logs() as said:
            running[part].cancel()
            assert await asyncio.wait_for(server.until_stopped(), PATIENCE) == 1
        assert {"reason": f"{part} has ended", "event": "the service cannot go on", "log_level": "critical"} in said
