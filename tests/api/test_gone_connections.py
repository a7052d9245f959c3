"""Risk: what came over connections that are gone waits for the collector, which comes seldom: who connects again and again takes the memory."""

from pathlib import Path

import pytest

from stepswitch.bootstrap.protocol import Bounds
from tests.api.test_connections import HEALTH, UPLOAD, open_front, until
from tests.collector import collector_kept_away, ours

WHOLE = HEALTH + b"\r\n"
LEFT = {
    "nothing": (b"", 0, "NOTHING"),
    "half a head": (HEALTH, 0, "HEAD"),
    "a request": (WHOLE, 1, "NOTHING"),
    "two requests at once": (2 * WHOLE, 2, "NOTHING"),
    "half a body": (UPLOAD + b"Content-Length: 100000\r\n\r\n" + 50_000 * b" ", 0, "BODY"),
    "a body over the limit": (UPLOAD + b"Content-Length: 999999999\r\n\r\n" + 50_000 * b" ", 1, "BODY"),
    "no HTTP": (b"\0\1\2\3\r\n\r\n", 1, "REST"),
}
"""What is sent before the client leaves, how many answers come to it, and what the service reads then."""


@pytest.mark.parametrize("what", LEFT)
async def test_nothing_of_a_connection_that_is_gone_waits_for_the_collector(what: str, tmp_path: Path) -> None:
    sent, answers, reading = LEFT[what]
    async with open_front(tmp_path, Bounds(100)) as front:
        with collector_kept_away() as garbage:
            async with front.wire() as wire:
                await wire.send(sent)
                for _ in range(answers):
                    await wire.answer()
                await front.until_reading(reading)
            await until(lambda: not front.connections())
        assert ours(garbage) == []
