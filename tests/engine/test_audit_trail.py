"""Risk: whoever is refused again and again fills the disk with records, or is not seen at all."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from stepswitch.domain.errors import StoreError
from stepswitch.engine.audit import Actor, Entry, Judgement
from stepswitch.engine.audit_ports import AuditStore
from stepswitch.engine.audit_trail import MOST_CALLERS, OTHERS, AuditTrail
from tests.access.account_store import HandClock


class Listed:
    """The store of a trail: a list, which fails where the test says so."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.fails = False
        self.two = asyncio.Event()

    async def append(self, entry: Entry) -> None:
        if self.fails:
            raise StoreError("no space left")
        self.entries.append(entry)
        if len(self.entries) == 2:
            self.two.set()


class YieldingClock(HandClock):
    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await asyncio.sleep(0)


class Desk:
    def __init__(self) -> None:
        self.store, self.clock = Listed(), YieldingClock()
        self.trail = AuditTrail(cast("AuditStore", self.store), self.clock)

    async def refuse(self, user: str = "eve", **fields: Any) -> None:
        entry = Entry(
            "login", self.clock.now(), "default", user, Actor.UNKNOWN, address="192.0.2.7", judgement=Judgement.REFUSED, status=401
        )
        await self.trail.record_often(replace(entry, **fields))

    async def read(self, operation: str) -> None:
        await self.refuse("ann", operation=operation, kind=Actor.SESSION, judgement=Judgement.ALLOWED, status=200)

    @property
    def counts(self) -> list[int]:
        return [entry.count for entry in self.store.entries]


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_refusal_is_recorded_at_once_and_those_that_follow_as_one(desk: Desk) -> None:
    await desk.refuse()
    assert desk.counts == [1]
    for _ in range(99):
        await desk.refuse()
    assert desk.counts == [1]
    desk.clock.time += 61_000
    await desk.trail.settle()
    assert desk.counts == [1, 99]
    await desk.refuse()
    assert desk.counts == [1, 99, 1]


async def test_callers_addresses_and_operations_are_told_apart(desk: Desk) -> None:
    cases: list[dict[str, Any]] = [
        {},
        {"address": "192.0.2.8"},
        {"operation": "deleteWorkflow"},
        {"status": 429},
        {"user": "ben"},
        {"tenant": "x"},
    ]
    for fields in cases:
        await desk.refuse(**fields)
    assert desk.counts == [1] * 6


async def test_what_many_callers_try_in_a_minute_is_bounded_and_counted(desk: Desk) -> None:
    for number in range(10 * MOST_CALLERS):
        await desk.refuse(address=f"192.0.2.{number}")
    assert len(desk.store.entries) == MOST_CALLERS
    await desk.trail.settle(at_once=True)
    assert len(desk.store.entries) == MOST_CALLERS + 1
    last = desk.store.entries[-1]
    assert (last.operation, last.count, last.judgement, last.address) == (OTHERS, 9 * MOST_CALLERS, Judgement.REFUSED, "")


async def test_a_flood_of_refusals_hides_nobody_who_reads_what_is_sensitive(desk: Desk) -> None:
    for number in range(2 * MOST_CALLERS):
        await desk.refuse(address=f"192.0.2.{number}")
    for _ in range(3):
        await desk.read("exportAuditRecords")
    await desk.trail.settle(at_once=True)
    reads = [entry for entry in desk.store.entries if entry.operation == "exportAuditRecords"]
    assert [(entry.user, entry.judgement, entry.count) for entry in reads] == [("ann", Judgement.ALLOWED, 1), ("ann", Judgement.ALLOWED, 2)]
    (others,) = [entry for entry in desk.store.entries if entry.operation == OTHERS]
    assert others.count == MOST_CALLERS


async def test_what_was_counted_is_recorded_when_the_service_stops(desk: Desk) -> None:
    for _ in range(3):
        await desk.refuse()
    await desk.trail.settle(at_once=True)
    await desk.trail.settle(at_once=True)
    assert desk.counts == [1, 2]


async def test_what_was_counted_is_recorded_without_another_refusal(desk: Desk) -> None:
    for _ in range(3):
        await desk.refuse()
    running = asyncio.create_task(desk.trail.run())
    await asyncio.wait_for(desk.store.two.wait(), 10)
    running.cancel()
    assert desk.counts == [1, 2]


async def test_a_store_that_says_no_keeps_nobody_from_being_refused_and_the_log_has_it(desk: Desk) -> None:
    desk.store.fails = True
    with capture_logs() as logs:
        await desk.refuse()
    assert [line["event"] for line in logs] == ["a record of the audit trail was not stored"]
    with pytest.raises(StoreError):
        await desk.trail.record(Entry("login", 0, "", "", Actor.SYSTEM))


async def test_what_is_sensitive_is_read_by_nobody_whose_record_cannot_be_stored(desk: Desk) -> None:
    desk.store.fails = True
    for _ in range(2):
        with pytest.raises(StoreError):
            await desk.read("getVroLoginDetails")
    desk.store.fails = False
    await desk.read("getVroLoginDetails")
    assert desk.counts == [1]
