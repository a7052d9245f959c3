"""Risk: a follower misses something and is not told so, gets it twice, before it is on disk, or what is not his. Over the real service."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from stepswitch.access.accounts import Passwords
from stepswitch.access.sessions import TRUSTED_SECONDS
from stepswitch.domain.errors import ErrorCode, StoreError
from stepswitch.domain.execution import LogEntry, LogLevel, Outcome, Status, StepError
from stepswitch.engine import feed as feeds
from stepswitch.engine.commits import KEPT_MILLISECONDS, Commit, CommitPage, Position
from stepswitch.engine.news import Happened
from stepswitch.engine.records import Account
from stepswitch.engine.views import ExecutionView
from stepswitch.plugin import CUT, Result
from stepswitch.storage.accounts import SqlAccountStore
from tests.api.steered import Desk, open_desk
from tests.api.streams import OWN, Event, Reader, reading
from tests.domain.documents import document
from tests.domain.lives import steps

DAY = KEPT_MILLISECONDS / 1000
NOOPS = document(startStepId="a", steps=steps("a", "b", of="NOOP"))
SECRET = "correct-horse-battery"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


def follow(desk: Desk, execution: str | None = None, last: str | None = None, **headers: str) -> AbstractAsyncContextManager[Reader]:
    token = {"x-hm-authorization": desk.client.headers["x-hm-authorization"]}
    return reading(desk.app, token | headers, execution, last)


def ids(events: Sequence[Event]) -> list[str]:
    return [event.id for event in events]


async def complete(desk: Desk, *names: str) -> str:
    """Execute steps of type ACT to the end."""
    execution = await desk.queue(*names)
    for _ in names:
        await desk.does()
    await desk.until(execution, "COMPLETED")
    return execution


async def in_time(desk: Desk, holds: Callable[[], object]) -> None:
    """Let time pass until something is so."""
    async with asyncio.timeout(30):
        while not holds():
            await desk.house.clock.advance(1)


# --- what is told ---


async def test_a_follower_is_told_everything_in_the_order_of_commits_and_then_the_stream_ends(desk: Desk) -> None:
    async with follow(desk) as everything:
        await everything.until(lambda reader: reader.parser.last_id)
        execution = await desk.queue("a", "b", debugStepIds=["b"])
        async with follow(desk, execution) as one:
            await one.until_told(number=1)
            call = await desk.act.next()
            await call.context.log("hello from a")
            call.end()
            await desk.until(execution, "PAUSED")
            await desk.ask(execution, "resume", reason="go on")
            await desk.does(Result.FAILED)
            story = await one.until_over()
        await everything.until_told(status="FAILED")
    assert everything.told() == [
        "execution QUEUED", "step 0 executable", "log queued by admin",
        "step 0 executing", "log started", "execution RUNNING",
        "log hello from a",
        "step 0 finished", "step 1 waitingBeforeExecution", "log step a (0) → b", "log paused before step b: it is one of debugStepIds",
        "execution PAUSED",
        "step 1 executable", "log resumed by admin while PAUSED at step b (1, waitingBeforeExecution): go on", "execution RUNNING",
        "step 1 executing", "execution RUNNING",
        "step 1 finished", "log ended FAILED: no reason was given", "log ended FAILED", "execution FAILED",
    ]  # fmt: skip
    assert story[0].startswith("execution ")
    assert story[-1] == "execution FAILED"
    told = everything.told()
    assert story[1:] == told[len(told) - len(story) + 1 :]
    assert ids(one.events)[1:] == ids(everything.events)[len(told) - len(story) + 1 :]
    assert len(set(ids(everything.events))) == len(everything.events)
    assert {event.data["executionId"] for event in everything.events} == {execution}
    assert everything.answered["content-type"] == "text/event-stream"
    assert (everything.answered["cache-control"], everything.answered["x-accel-buffering"]) == ("no-store", "no")
    assert one.answered.get("content-length") is None


async def test_an_event_says_what_a_reading_says(desk: Desk) -> None:
    bound = {"inBindings": {"host": {"type": "string", "defaultValue": "192.0.2.1"}}}
    source = document(startStepId="a", steps=steps("a", a=bound))
    async with follow(desk) as reader:
        await reader.until(lambda reader: reader.parser.last_id)
        first = await desk.queue(source=source, pauseAtFailure=True)
        call = await desk.act.next()
        second = await desk.queue(source=source, debugStepIds=["a"])
        await desk.ask(second, "resume")
        await reader.until(lambda reader: "device" in waits_for(reader, second))
        call.end(Result.FAILED, {"x": "y"})
        await reader.until_told(status="PAUSED")
        await reader.until(
            lambda reader: [event for event in reader.events if event.data["executionId"] == first][-1].data.get("status") == "PAUSED"
        )
        shown = await desk.read(first)
    latest = {event.kind: dict(event.data) for event in reader.events if event.data["executionId"] == first}
    execution, step = latest["execution"], latest["step"]
    assert execution.pop("workflow") == {"id": shown["workflow"]["id"], "name": shown["workflow"]["name"]}
    assert execution.pop("executionId") == step.pop("executionId") == shown["id"]
    assert execution.pop("waitingFor") == shown["waitingFor"]
    assert execution == {name: shown[name] for name in execution}
    assert {"status", "aborted", "contextType", "creationTime", "creationUser", "retainedTil", "startTime", "debugStepIds"} <= set(
        execution
    )
    told = shown["stepExecutions"][step.pop("number")]
    assert step.pop("stepId") == told["stepSnapshot"]["id"]
    assert step == {name: told[name] for name in step}
    assert {"state", "attempt", "result", "startTime", "claimedTime", "endTime", "aborted", "site"} <= set(step)
    assert waits_for(reader, second)[0] == "person"
    (device,) = [wait for wait in waits(reader, second) if wait["kind"] == "device"][:1]
    assert device == {"kind": "device", "name": "192.0.2.1", "since": device["since"]}


def waits(reader: Reader, execution: str) -> list[dict[str, object]]:
    """Return what the execution waited for first, as it was told after each change."""
    return [event.data["waitingFor"][0] for event in reader.events if event.data["executionId"] == execution and "waitingFor" in event.data]


def waits_for(reader: Reader, execution: str) -> list[object]:
    return [wait["kind"] for wait in waits(reader, execution)]


async def test_nothing_is_told_before_it_is_committed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    store = desk.house.service.conductor._store
    committed = asyncio.Event()
    save = store.save

    async def hold(*arguments: object) -> None:
        await committed.wait()
        await save(*arguments)  # type: ignore[arg-type]

    execution = await desk.queue("a")
    call = await desk.act.next()
    async with follow(desk, execution) as reader:
        await reader.until_told(number=1)
        monkeypatch.setattr(store, "save", hold)
        call.end()
        await desk.house.clock.settle()
        assert reader.told() == ["execution RUNNING"]
        committed.set()
        assert (await reader.until_over())[-1] == "execution COMPLETED"


async def test_a_change_by_somebody_and_a_removal_are_told_too(desk: Desk) -> None:
    execution = await complete(desk, "a")
    async with follow(desk) as reader:
        await reader.until(lambda reader: reader.parser.last_id)
        before = reader.parser.last_id
        await desk.patch(execution, retainedTil="2090-01-01T00:00:00Z")
        await desk.client.delete(desk.place(execution))
        await reader.until(lambda reader: reader.events and reader.events[-1].data.get("deleted"))
        assert reader.told()[-1] == "execution deleted"
        assert reader.events[-1].data == {"executionId": execution, "deleted": True}
        assert reader.told()[0] in ("step 0 finished", "execution deleted")  # who looks after the removal finds nothing else
    async with follow(desk, None, before) as late:
        await late.until_told(number=1)
        assert late.told() == ["execution deleted"]
    async with follow(desk, execution) as gone:
        await asyncio.wait([gone.task])
        assert (gone.status, gone.answered["x-error-code"]) == (404, "NOT_FOUND")


async def test_what_retention_removes_is_told(tmp_path: Path) -> None:
    async with open_desk(tmp_path, session_hours=24 * 365) as desk, follow(desk) as reader:
        execution = await complete(desk, "a")
        await reader.until(lambda reader: reader.parser.last_id)
        desk.house.clock.jump(31 * DAY)
        await desk.house.service.conductor.remove_expired(execution)
        await reader.until(lambda reader: reader.events and reader.events[-1].data.get("deleted"))
        assert reader.events[-1].data["executionId"] == execution


# --- coming back ---


async def test_whoever_comes_back_gets_what_he_missed_once_and_in_order(desk: Desk) -> None:
    """Cut at every event of a life: what follows is the same as if nothing had been cut."""
    async with follow(desk) as reader:
        await reader.until(lambda reader: reader.parser.last_id)
        first = reader.parser.last_id
        executions = [await desk.queue("a", "b") for _ in range(3)]
        for _ in range(3):
            await (call := await desk.act.next()).context.log("a line")
            call.end()
        for _ in range(3):
            await desk.does()
        for execution in executions:
            await desk.until(execution, "COMPLETED")
        await reader.until(lambda reader: reader.told().count("execution COMPLETED") == 3)
        whole = reader.events
    for place, last in enumerate([first, *ids(whole)]):
        rest = whole[place:]
        async with follow(desk, None, last) as again:
            if rest:
                await again.until_told(number=len(rest))
            assert again.events == rest
    own = [event for event in whole if event.data["executionId"] == executions[1]]
    for place, event in enumerate(own[:-1]):
        async with follow(desk, executions[1], event.id) as again:
            await again.until_over()
            assert again.events == own[place + 1 :]
    async with follow(desk, executions[1], own[-1].id) as nothing:
        await asyncio.wait([nothing.task])
        assert (nothing.status, nothing.events) == (204, [])


class Visitor:
    """Comes back again and again, reads and rests at random while others work, and leaves in the middle of it."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk = desk
        self.chance = random.Random(seed)
        self.got: list[Event] = []
        self.done = 0
        """What was done by the steps by now."""
        self.ended: int | None = None
        """How many executions there were; None before all are at their end."""
        self.reader: Reader | None = None

    def has_all(self, *more: Event) -> bool:
        completed = [event for event in (*self.got, *more) if event.data.get("status") == "COMPLETED"]
        return len(completed) == self.ended

    def note(self) -> None:
        """Something was done: whoever rests looks up."""
        self.done += 1
        if self.reader is not None:
            self.reader.look_again()

    async def come_and_go(self, last: str) -> None:
        while not self.has_all():
            async with follow(self.desk, None, last) as self.reader:
                for _ in range(self.chance.randrange(4)):
                    await (self._read if self.chance.random() < 0.6 else self._rest)(self.reader)
                self.reader.gate.clear()
                self.got.extend(self.reader.events)
                last = self.reader.parser.last_id or last

    async def _read(self, reader: Reader) -> None:
        reader.gate.set()
        wanted = len(reader.events) + self.chance.randrange(1, 8)
        await reader.until(lambda reader: len(reader.events) >= wanted or self.has_all(*reader.events))

    async def _rest(self, reader: Reader) -> None:
        reader.gate.clear()
        until = self.done + self.chance.randrange(1, 6)
        await reader.until(lambda _: self.done >= until or self.ended is not None)


@pytest.mark.parametrize("seed", range(4))
async def test_random_cuts_lose_and_double_nothing(desk: Desk, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """While several executions run, a reader comes and goes, reads and rests at random; it keeps little, so that it falls behind too."""
    monkeypatch.setattr(feeds, "PENDING", 3)
    monkeypatch.setattr(feeds, "PORTION_BYTES", 2_000)
    visitor = Visitor(desk, seed)

    async def work() -> None:
        chance = random.Random(seed)
        for _ in range(3 * len(executions)):
            call = await desk.act.next()
            for number in range(chance.randrange(4)):
                await call.context.log(f"line {number}")
                visitor.note()
            call.end()
            visitor.note()
        for execution in executions:
            await desk.house.until(execution, Status.COMPLETED)
        visitor.ended = len(executions)
        visitor.note()

    async with follow(desk) as witness:
        await witness.until(lambda reader: reader.parser.last_id)
        start = witness.parser.last_id
        executions = [await desk.queue("a", "b", "c") for _ in range(4)]
        await asyncio.wait_for(asyncio.gather(work(), visitor.come_and_go(start)), 90)
        await witness.until(lambda reader: reader.told().count("execution COMPLETED") == len(executions))
    assert [str(event) for event in visitor.got] == witness.told()
    assert ids(visitor.got) == ids(witness.events)


async def test_a_reader_who_is_slower_than_the_writer_gets_all_of_it_and_keeps_little(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = await desk.queue("a")
    call = await desk.act.next()
    async with follow(desk, execution) as slow, follow(desk, execution) as quick:
        for reader in (slow, quick):
            await reader.until_told(number=1)
        await fall_behind(desk, slow, execution, feeds.PENDING + 50)
        (kept,) = [each for each in desk.house.service.feed._everybody() if each._is_lost]
        assert (len(kept._pending), kept._pending_bytes) == (0, 0)
        await quick.until(lambda reader: f"log line {feeds.PENDING + 49}" in reader.told())
        call.end()
        assert (await quick.until_over())[-1] == "execution COMPLETED"
        slow.gate.set()
        await slow.until_over()
    assert slow.told()[1:] == quick.told()[1:]
    assert [each for each in slow.told() if "line" in each] == [f"log line {number}" for number in range(feeds.PENDING + 50)]


async def fall_behind(desk: Desk, reader: Reader, execution: str, lines: int) -> None:
    """Log while the reader stands still, until what he should have taken is no longer kept for him."""
    reader.gate.clear()
    log = desk.house.service._claims.log
    await log(execution, [line("line 0")])
    await reader.until(lambda reader: reader.is_held)
    for number in range(1, lines):
        await log(execution, [line(f"line {number}")])
    await in_time(desk, lambda: any(each._is_lost for each in desk.house.service.feed._everybody()))


def line(message: str) -> LogEntry:
    return LogEntry(1, LogLevel.INFO, message, 0)


def is_over_and_tidy(view: ExecutionView) -> bool:
    """Whether nothing more will be committed of a failed execution: what it left at a target is gone too."""
    return view.head.status is Status.FAILED and not view.head.left_behind


async def test_a_restart_in_between_is_not_noticed(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        execution = await desk.queue("a", "b")
        async with follow(desk, execution) as reader:
            await reader.until_told(number=1)
            (await desk.act.next()).end()
            await desk.act.next()
            await reader.until(lambda reader: "step 1 executing" in reader.told())
            before, last = reader.events, reader.parser.last_id
    async with open_desk(tmp_path) as desk:  # what ran is lost, and tried no more: nobody said that it is safe
        await desk.house.watch.until(desk.house.service, execution, is_over_and_tidy)
        async with follow(desk, execution, last) as reader:
            rest = await reader.until_over()
            assert rest[-1] == "execution FAILED"
            assert any("lost" in each for each in rest)
        async with follow(desk, execution, before[1].id) as again:
            await again.until_over()
        assert again.events == [*before[2:], *reader.events]


async def test_an_end_that_is_not_handed_on_yet_is_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = await desk.queue("a")
    call = await desk.act.next()
    feed = desk.house.service.feed
    page, free = feed._commits.page, asyncio.Event()

    async def wait(after: int, until: int, **of: str | None) -> CommitPage:
        await free.wait()
        return await page(after, until, **of)

    monkeypatch.setattr(feed._commits, "page", wait)  # before anybody follows: no reading of what is committed is under way
    async with follow(desk) as witness:
        await witness.until(lambda reader: reader.parser.last_id)
        last = witness.parser.last_id
        call.end()
        await desk.until(execution, "COMPLETED")
        async with follow(desk, execution, last) as reader:
            await in_time(desk, lambda: reader.status or any(each.changed._waiters for each in feed._everybody() if each.execution_id))
            assert reader.status == 0  # it waits for news
            free.set()
            assert (await reader.until_over())[-1] == "execution COMPLETED"


async def test_what_is_committed_while_somebody_begins_to_follow_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = desk.house.service.feed
    newest = feed._commits.newest
    execution = await desk.queue("a", debugStepIds=["a"])

    async def newest_then(execution_id: str | None = None) -> Position:
        monkeypatch.setattr(feed._commits, "newest", newest)
        found = await newest(execution_id)
        await desk.patch(execution, pauseAtFailure=True)
        return found

    monkeypatch.setattr(feed._commits, "newest", newest_then)
    async with follow(desk) as reader:
        await reader.until_told(number=1)
        assert reader.events[-1].data["executionId"] == execution


async def test_who_was_told_nothing_for_long_has_nothing_to_read_again(desk: Desk) -> None:
    quiet = await desk.queue("a", debugStepIds=["a"])
    async with follow(desk, quiet) as reader:
        await reader.until_told(number=1)
        await complete(desk, "a", "b")
        (follower,) = desk.house.service.feed._everybody()
        before = follower._read
        await in_time(desk, lambda: reader.parser.comments > 1)
        await in_time(desk, lambda: follower._read.place > before.place)
        assert follower._read == desk.house.service.feed.handed_on


# --- what cannot be told any more ---


@pytest.mark.parametrize("last", ["x", "0-1", "ffffff-1", "1-1", "1-1-1", "-", "g-1", "1-" + "f" * 15, "1" * 5_000, "\u00e9"])
async def test_an_unknown_id_gets_a_reset_and_goes_on_from_there(desk: Desk, last: str) -> None:
    await complete(desk, "a")
    execution = await desk.queue("a")
    call = await desk.act.next()
    for each in (None, execution):
        async with follow(desk, each, last) as reader:
            await reader.until_told(number=1)
            (reset,) = reader.events
            assert (reset.kind, reset.data) == ("reset", {} if each is None else {"executionId": execution})
    assert reset.id == reader.parser.last_id
    async with follow(desk, None, reset.id) as again:
        call.end()
        await again.until_told(status="COMPLETED")
        assert again.told()[0] == "step 0 finished"


async def test_an_id_is_good_for_a_day_and_that_of_the_last_commit_for_ever(tmp_path: Path) -> None:
    async with open_desk(tmp_path, session_hours=24 * 365) as desk:
        await good_for_a_day(desk)


async def good_for_a_day(desk: Desk) -> None:
    execution = await desk.queue("a", debugStepIds=["a"])
    async with follow(desk) as reader:
        await reader.until(lambda reader: reader.parser.last_id)
        newest = reader.parser.last_id
    desk.house.clock.jump(30 * DAY)
    async with follow(desk, execution, newest) as reader:  # nothing was missed
        await in_time(desk, lambda: any(each.changed._waiters for each in desk.house.service.feed._everybody()))
        await desk.patch(execution, pauseAtFailure=True)
        await reader.until_told(number=1)
        assert "reset" not in reader.told()
        later = reader.parser.last_id
    desk.house.clock.jump(DAY)
    await desk.patch(execution, pauseAtFailure=False)
    async with follow(desk, execution, later) as reader:  # to the millisecond
        await reader.until_told(number=1)
        assert "reset" not in reader.told()
    desk.house.clock.jump(1)
    async with follow(desk, execution, later) as reader:
        await reader.until_told(number=1)
        assert reader.told() == ["reset"]
    async with follow(desk, execution, newest) as reader:
        await reader.until_told(number=1)
        assert reader.told() == ["reset"]


async def test_who_stood_still_until_it_was_forgotten_is_told_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "PENDING", 1)
    execution = await desk.queue("a", "b")
    call = await desk.act.next()
    async with follow(desk, execution) as reader:
        await reader.until_told(number=1)
        await fall_behind(desk, reader, execution, 6)
        await desk.house.service._timekeeper._commits.forget(2**60)  # type: ignore[union-attr] # it has one
        reader.gate.set()
        await reader.until(lambda reader: "reset" in reader.told())
        call.end()
        await desk.does()
        assert (await reader.until_over())[-1] == "execution COMPLETED"


async def test_who_stood_still_until_the_end_was_forgotten_is_not_kept_waiting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "PENDING", 1)
    execution = await desk.queue("a")
    call = await desk.act.next()
    async with follow(desk, execution) as reader:
        await reader.until_told(number=1)
        await fall_behind(desk, reader, execution, 6)
        call.end()
        await desk.until(execution, "COMPLETED")
        await desk.queue("a")
        await desk.act.next()
        await desk.house.service._timekeeper._commits.forget(2**60)  # type: ignore[union-attr] # it has one
        reader.gate.set()
        assert "reset" in await reader.until_over()


# --- whose it is ---


async def test_another_tenant_is_told_nothing_of_it(desk: Desk) -> None:
    execution = await desk.queue("a")
    elsewhere = await desk.elsewhere()
    async with follow(desk) as own, reading(desk.app, elsewhere) as other, reading(desk.app, elsewhere, execution) as one:
        await own.until(lambda reader: reader.parser.last_id)
        start = own.parser.last_id
        await asyncio.wait([one.task])
        assert (one.status, one.events) == (404, [])
        await desk.does()
        await own.until_told(status="COMPLETED")
        async with reading(desk.app, elsewhere, None, start) as later:
            await in_time(desk, lambda: other.parser.last_id == later.parser.last_id == own.parser.last_id)
            assert (other.events, later.events) == ([], [])


async def test_a_reader_is_told_of_what_he_may_see_by_what_he_is_allowed_now(desk: Desk) -> None:
    accounts = SqlAccountStore(desk.house.service._database)
    account = Account("bob", "default", await Passwords().hash("a password"), ("Workflow Executor",))
    await accounts.put_account(account)
    login = await desk.client.post("/hybridity/api/sessions", json={"username": "bob", "password": "a password"})
    bob = {"x-hm-authorization": login.headers["x-hm-authorization"]}
    workflow = await desk.store(document(startStepId="a", steps=steps("a")))
    async with reading(desk.app, bob) as reader, follow(desk) as everything:
        for each in (reader, everything):
            await each.until(lambda reader: reader.parser.last_id)
        hidden = await desk.order(workflow)
        order = {"workflowId": workflow, "contextType": "NONE"}
        own = (await desk.client.put(f"{desk.root}/workflowExecution", json=order, headers=bob)).json()["id"]
        for _ in range(2):
            await desk.does()
        await desk.until(own, "COMPLETED")
        await desk.until(hidden, "COMPLETED")
        await desk.client.delete(desk.place(hidden))
        await desk.client.delete(desk.place(own))
        await reader.until(lambda reader: reader.told()[-1:] == ["execution deleted"])
        await everything.until(lambda reader: reader.told().count("execution deleted") == 2)
        assert {event.data["executionId"] for event in reader.events} == {own}
        assert reader.events == [event for event in everything.events if event.data["executionId"] == own]
        async with reading(desk.app, bob, hidden) as one:
            await asyncio.wait([one.task])
            assert one.status == 404
        count = len(reader.events)
        await accounts.put_account(replace(account, roles=("System Auditor",)))
        await desk.house.clock.advance(TRUSTED_SECONDS + 1)
        seen = await complete(desk, "a")
        await reader.until(lambda reader: reader.told()[-1:] == ["execution COMPLETED"])
        assert {event.data["executionId"] for event in reader.events[count:]} == {seen}
        desk.house.service.accounts.forget("bob")  # type: ignore[attr-defined] # these are sessions
        await accounts.put_account(replace(account, is_disabled=True))
        desk.house.service.accounts.forget("bob")  # type: ignore[attr-defined] # these are sessions
        await reader.until_over()


async def test_a_secret_is_masked_as_in_a_reading(desk: Desk) -> None:
    """Also in two parts of a line, in an error, in a device's name, and after it was replaced, edited away and come back to."""
    bound = {"host": {"type": "string", "exportName": "pw"}, "password": {"type": "password", "exportName": "pw"}}
    source = document(
        startStepId="a",
        inputs={"pw": {"type": "password", "required": True}},
        steps=steps(
            "a", "b", a={"inBindings": bound}, b={"inBindings": {"left": {"type": "password", "defaultValue": "left-in-the-document"}}}
        ),
    )
    async with follow(desk) as reader:
        await reader.until(lambda reader: reader.parser.last_id)
        start = reader.parser.last_id
        execution = await desk.queue(source=source, assignments={"pw": SECRET}, pauseAtFailure=True)
        call = await desk.act.next()
        await call.context.log(f"it is {SECRET[:9]}{CUT}")
        await call.context.log(f"{CUT}{SECRET[9:]}, I said")
        await call.context.log(f"left-in-the-document and {SECRET}")
        call.ended.set_result(Outcome(Result.FAILED, {}, StepError(ErrorCode.NON_ZERO_EXIT, f"no such user {SECRET}")))
        await desk.until(execution, "PAUSED")
        await desk.ask(execution, "values", body={"values": {"pw": "another-password"}})
        await desk.patch(execution, steps={"b": {"type": "ACT"}}, startStepId="b")
        await desk.ask(execution, "resume", reason=f"{SECRET} was wrong, and another-password is right")
        call = await desk.act.next()
        await desk.house.service._claims.log(execution, [line(f"late: {SECRET} another-password left-in-the-document")])
        call.end()
        await reader.until_told(status="COMPLETED")
        shown = await desk.read(execution)
    for each in (SECRET, SECRET[:9], SECRET[9:], "another-password", "left-in-the-document"):
        assert each not in str([event.data for event in reader.events]), each
    own = [event.data for event in reader.events if event.kind == "log" and "number" not in event.data]
    assert [event["msg"] for event in own] == [entry["msg"] for entry in shown["logs"]]
    first = [event.data["msg"] for event in reader.events if event.kind == "log" and event.data.get("number") == 0]
    assert first == [entry["msg"] for entry in shown["stepExecutions"][0]["logs"]]
    assert any("********" in message and CUT in message for message in first)
    errors = [event.data["error"] for event in reader.events if event.kind == "step" and "error" in event.data]
    assert errors[-1] == shown["stepExecutions"][0]["error"]
    assert errors[-1]["message"] == "no such user ********"
    async with follow(desk, execution, start) as again:
        await again.until_over()
        assert SECRET not in str([event.data for event in again.events])
        assert [event.data for event in again.events if event.kind == "log"] == [
            event.data for event in reader.events if event.kind == "log"
        ]


# --- the end ---


async def test_a_reopened_execution_is_followed_from_where_its_stream_ended(desk: Desk) -> None:
    execution = await desk.failed("a")
    async with follow(desk, execution) as reader:
        assert await reader.until_over() == ["execution FAILED"]
        last = reader.parser.last_id
    await desk.ask(execution, "retry")
    async with follow(desk, execution, last) as reader:
        await reader.until_told(status="RUNNING")
        await desk.does()
        story = await reader.until_over()
    assert [story[0], story[-1]] == ["step 0 retry", "execution COMPLETED"] or [story[0], story[-1]] == [
        "step 0 finished",
        "execution COMPLETED",
    ]
    async with follow(desk, execution, reader.parser.last_id) as reader:
        await asyncio.wait([reader.task])
        assert reader.status == 204
    await desk.patch(execution, retainedTil="2090-01-01T00:00:00Z")
    async with follow(desk, execution, reader.parser.last_id or last) as reader:
        assert (await reader.until_over())[-1] == "execution COMPLETED"


async def test_a_logout_ends_the_streams_of_that_session_and_no_other(desk: Desk) -> None:
    other = (await desk.client.post("/hybridity/api/sessions", json={"username": "admin", "password": "long enough"})).headers
    async with follow(desk) as mine, reading(desk.app, {"x-hm-authorization": other["x-hm-authorization"]}) as others:
        for reader in (mine, others):
            await reader.until(lambda reader: reader.parser.last_id)
        assert (await desk.client.delete("/hybridity/api/sessions")).status_code == 204
        assert await mine.until_over() == []
        await desk.house.clock.settle()
        assert not others.task.done()
    assert desk.house.service.feed._count == 0


async def test_a_session_that_expires_ends_its_streams(tmp_path: Path) -> None:
    async with open_desk(tmp_path, session_hours=0.01) as desk, follow(desk) as reader:
        await reader.until(lambda reader: reader.parser.last_id)
        await desk.house.clock.advance(35)
        assert not reader.task.done()
        await desk.house.clock.advance(1)
        assert await reader.until_over() == []


async def test_a_stop_ends_every_stream_and_begins_none(desk: Desk) -> None:
    execution = await desk.queue("a")
    await desk.act.next()
    async with follow(desk) as everything, follow(desk, execution) as one:
        for reader in (everything, one):
            await reader.until(lambda reader: reader.parser.last_id)
        desk.house.service.end_waiting()
        for reader in (everything, one):
            await reader.until_over()
    async with follow(desk) as late:
        await asyncio.wait([late.task])
        assert (late.status, late.answered["x-error-code"], late.answered["retry-after"] != "") == (503, "OVERLOADED", True)


# --- quiet ---


async def test_a_quiet_stream_says_that_it_lives_and_where_it_is(desk: Desk) -> None:
    held = await desk.queue("a", debugStepIds=["a"])
    async with follow(desk, held) as reader:
        await reader.until_told(number=1)
        comments = reader.parser.comments
        other = await complete(desk, "a")
        async with follow(desk, other) as ended:
            await ended.until_over()
        await in_time(desk, lambda: reader.parser.comments > comments)
        assert len(reader.events) == 1
        assert reader.parser.last_id == ended.parser.last_id


@pytest.mark.parametrize("of_one", [False, True])
async def test_head_has_the_headers_and_no_stream(desk: Desk, of_one: bool) -> None:
    execution = await desk.queue("a")
    path = f"{OWN}/executions/{execution}/events" if of_one else f"{OWN}/events"
    reader = Reader(desk.app, path, {"x-hm-authorization": desk.client.headers["x-hm-authorization"]}, "HEAD")
    reader.start()
    assert await reader.until_over() == []
    assert (reader.status, reader.answered["content-type"], "content-length" in reader.answered) == (200, "text/event-stream", False)
    assert desk.house.service.feed._count == 0
    missing = Reader(desk.app, f"{OWN}/executions/nowhere/events", reader.headers, "HEAD")
    missing.start()
    await missing.until_over()
    assert missing.status == 404


async def test_a_browser_resumes_by_the_query(desk: Desk) -> None:
    execution = await complete(desk, "a")
    async with follow(desk) as reader:
        await reader.until(lambda reader: reader.parser.last_id)
        last = reader.parser.last_id
    headers = {"x-hm-authorization": desk.client.headers["x-hm-authorization"]}
    asked = Reader(desk.app, f"{OWN}/executions/{execution}/events?lastEventId={last}", headers)
    asked.start()
    await asked.until_over()
    assert asked.status == 204
    both = Reader(desk.app, f"{OWN}/executions/{execution}/events?lastEventId={last}", headers | {"Last-Event-ID": "x"})
    both.start()
    assert await both.until_over() == ["reset"]


async def test_what_nobody_follows_is_not_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async with follow(desk) as reader:
        await reader.until(lambda reader: reader.parser.last_id)
    monkeypatch.setattr(desk.house.service.feed._commits, "page", None)
    await complete(desk, "a")
    assert (desk.house.service.feed._loop, len(desk.house.service.feed._newsroom._heads)) == (None, 0)


async def test_more_than_may_be_open_are_503(tmp_path: Path) -> None:
    async with open_desk(tmp_path, max_connections=4) as desk:
        async with follow(desk) as one, follow(desk) as two:
            for reader in (one, two):
                await reader.until(lambda reader: reader.parser.last_id)
            async with follow(desk) as three:
                await asyncio.wait([three.task])
                assert (three.status, three.answered["x-error-code"]) == (503, "OVERLOADED")
        async with follow(desk) as four:
            await four.until(lambda reader: reader.parser.last_id)


# --- when something breaks ---


async def test_a_store_that_says_no_for_a_while_loses_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = desk.house.service.feed
    execution = await desk.queue("a", "b")
    call = await desk.act.next()
    page, failures = feed._commits.page, iter([StoreError("no")] * 2)

    async def fail(after: int, until: int, **of: str | None) -> CommitPage:
        for failure in failures:
            raise failure
        return await page(after, until, **of)

    async with follow(desk, execution) as reader:
        await reader.until_told(number=1)
        monkeypatch.setattr(feed._commits, "page", fail)
        call.end()
        second = await desk.act.next()
        await in_time(desk, lambda: reader.task.done() or "step 1 executing" in reader.told())
        last = reader.parser.last_id
        told = reader.told()
    second.end()
    async with follow(desk, execution, last) as again:
        rest = await again.until_over()
    assert [each for each in [*told, *rest] if each.startswith("step")] == [
        "step 0 finished", "step 1 executable", "step 1 executing", "step 1 finished",
    ]  # fmt: skip


async def test_a_fault_in_making_news_ends_nothing_for_ever(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    newsroom = desk.house.service.feed._newsroom
    make, faults = newsroom.happened, iter([KeyError("bug")])

    async def fail(commit: Commit, size: int) -> Happened | None:
        for fault in faults:
            raise fault
        return await make(commit, size)

    async with follow(desk) as reader:
        await reader.until(lambda reader: reader.parser.last_id)
        monkeypatch.setattr(newsroom, "happened", fail)
        execution = await complete(desk, "a")
        await reader.until_told(status="COMPLETED")
        assert reader.told()[0] == "execution QUEUED"
        assert {event.data["executionId"] for event in reader.events} == {execution}
