"""Risk: a step runs out of its turn, twice, beyond a limit or never; a slow device holds up others."""

import asyncio
import time
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.events import TaskKind
from stepswitch.engine.records import Waiting
from tests.dispatch.conftest import Open
from tests.dispatch.workplace import at, look, task, turn


async def test_who_became_executable_first_goes_first(opened: Open) -> None:
    place = opened(1, started=False)
    await place.submit(*(task(f"e{since}", since) for since in (5, 1, 4, 2, 3)))
    place.start()
    for name in ("e1", "e2", "e3", "e4", "e5"):
        await place.clock.settle()
        assert place.names[-1] == name
        await place.end(name)
    assert len(place.begun) == 5


async def test_equals_go_in_the_order_of_their_arrival(opened: Open) -> None:
    place = opened(1)
    await place.clock.settle()
    names = [f"e{number}" for number in (7, 3, 9, 1)]
    await place.submit(*(task(name, 100) for name in names))
    for name in names:
        await place.end(name)
    assert place.names == names


async def test_no_more_steps_than_places_run_at_once(opened: Open) -> None:
    place = opened(3)
    await place.submit(*(task(f"e{number}", number) for number in range(10)))
    assert place.names == ["e0", "e1", "e2"]
    await place.end("e1")
    assert place.names == ["e0", "e1", "e2", "e3"]


async def test_turns_wait_for_no_place_of_steps(opened: Open) -> None:
    place = opened(1)
    await place.clock.settle()
    await place.submit(task("e1"), task("e2"), turn("e3", 99), turn("e4", 98))
    assert place.names == ["e1", "e3", "e4"]
    await place.end("e3", kind=TaskKind.TURN)
    assert place.names == ["e1", "e3", "e4"]
    await place.end("e1")
    assert place.names[-1] == "e2"


async def test_turns_have_a_limit_too_and_keep_their_order(opened: Open) -> None:
    place = opened(1, started=False)
    await place.submit(*(turn(f"e{number:04}", 1_000 - number) for number in range(1_000)))
    place.start()
    await place.clock.settle()
    at_once = len(place.begun)
    assert at_once < 1_000
    assert place.names == [f"e{number:04}" for number in range(999, 999 - at_once, -1)]
    while place.running:
        for event in place.running.values():
            event.set()
        await place.clock.settle()
    assert place.names == [f"e{number:04}" for number in range(999, -1, -1)]


async def test_a_turn_is_taken_at_once_only_where_nobody_waits_for_one(opened: Open) -> None:
    place = opened(1, started=False)
    assert not place.dispatcher.takes_turns()  # nothing is handed out yet
    await place.submit(*(turn(f"e{number:04}", number) for number in range(200)))
    place.start()
    await place.clock.settle()
    assert len(place.begun) < 200
    assert not place.dispatcher.takes_turns()
    while place.running:
        for event in place.running.values():
            event.set()
        await place.clock.settle()
    assert len(place.begun) == 200
    await place.submit(task("e9"), task("f9"))
    assert place.dispatcher.takes_turns()  # steps wait for places of their own
    await place.end("e9")
    await place.end("f9")
    await place.dispatcher.stop(0)
    assert not place.dispatcher.takes_turns()


# --- devices ---


async def test_a_busy_device_holds_up_nobody_else_and_takes_no_place(opened: Open) -> None:
    place = opened(2)
    await place.submit(*(task(f"slow{number}", number, device="router") for number in range(50)))
    await place.submit(task("quick", 99, device="switch"))
    assert place.names == ["slow0", "quick"]
    await place.submit(task("none", 100))
    await place.end("quick")
    assert place.names == ["slow0", "quick", "none"]


async def test_a_freed_device_goes_to_its_oldest_waiter(opened: Open) -> None:
    place = opened(9)
    await place.submit(task("first", 10, device="router"))
    await place.submit(*(task(f"e{since}", since, device="router") for since in (30, 5, 20)))
    for name in ("e5", "e20", "e30"):
        await place.end(place.names[-1])
        assert place.names[-1] == name
    assert len(place.begun) == 4


async def test_a_device_may_have_more_sessions_than_one(opened: Open) -> None:
    place = opened(9, per_device=2)
    await place.submit(*(task(f"e{since}", since, device="router") for since in range(5)))
    assert place.names == ["e0", "e1"]
    place.running["e0", 0, TaskKind.STEP].set()
    await place.end("e1")
    assert place.names == ["e0", "e1", "e2", "e3"]


async def test_a_type_with_few_places_holds_up_no_other_type(opened: Open) -> None:
    place = opened(4, by_type={"JS": 2})
    scripts = [replace(task(f"script{number}", number), step_type="JS") for number in range(20)]
    await place.submit(*scripts, task("other", 50))
    assert place.names == ["script0", "script1", "other"]
    waiting = place.dispatcher.waiting("script2")
    assert waiting is not None
    assert (waiting.kind, waiting.name) == ("place", "JS")
    await place.end("script1")
    assert place.names == ["script0", "script1", "other", "script2"]


async def test_a_tenant_with_few_places_holds_up_no_other_tenant(opened: Open) -> None:
    place = opened(4, of_tenant={"small": 2})
    await place.submit(*(task(f"small{number:02}", number, device=f"router{number}", tenant="small") for number in range(50)))
    await place.submit(task("other", 99, tenant="large"), task("another", 100))
    assert place.names == ["small00", "small01", "other", "another"]
    waiting = place.dispatcher.waiting("small02")
    assert waiting is not None
    assert (waiting.kind, waiting.name) == ("place", "tenant")
    await place.end("small01")
    assert place.names[-1] == "small02"
    while place.running:
        for event in place.running.values():
            event.set()
        await place.clock.settle()
    assert [name for name in place.names if name.startswith("small")] == [f"small{number:02}" for number in range(50)]


async def test_turns_of_a_tenant_with_few_places_wait_for_none(opened: Open) -> None:
    place = opened(4, of_tenant={"small": 1})
    await place.submit(task("step", tenant="small"), task("waits", 1, tenant="small"))
    await place.submit(*(replace(turn(f"turn{number}", number), tenant="small") for number in range(3)))
    assert place.names == ["step", "turn0", "turn1", "turn2"]


async def test_a_device_that_the_oldest_cannot_take_for_his_tenant_goes_to_the_next(opened: Open) -> None:
    place = opened(9, of_tenant={"small": 1})
    await place.submit(task("holds", 0, device="router", tenant="large"), task("works", 1, device="switch", tenant="small"))
    await place.submit(task("e2", 2, device="router", tenant="small"), task("e3", 3, device="router", tenant="small"))
    await place.submit(task("e4", 4, device="router", tenant="large"), task("e5", 5, device="router", tenant="large"))
    assert place.names == ["holds", "works"]
    await place.end("holds")
    assert place.names[2:] == ["e4"]
    await place.end("works")
    assert place.names[2:] == ["e4"]
    await place.end("e4")
    assert place.names[2:] == ["e4", "e2"]
    for name in ("e2", "e3", "e5"):
        assert place.names[-1] == name
        await place.end(name)
    assert len(place.begun) == 6


async def test_a_tenant_without_a_place_waits_until_it_is_taken_back(opened: Open) -> None:
    place = opened(2, of_tenant={"none": 0})
    await place.submit(*(task(f"e{number}", number, tenant="none") for number in range(9)), task("other", 10))
    assert place.names == ["other"]
    for number in range(9):
        await place.cancel(f"e{number}")
    assert not any(place.dispatcher.holds(f"e{number}") for number in range(9))


async def test_a_waiter_that_was_cancelled_does_not_block_its_device(opened: Open) -> None:
    place = opened(2)
    await place.submit(task("first", 0, device="router"), task("gone", 2, device="router"), task("last", 3, device="router"))
    await place.submit(task("other", 1), task("older", 1))
    await place.end("first")  # the device is free, the place goes to "older": "gone" stands in line for it
    assert place.names == ["first", "other", "older"]
    await place.cancel("gone")
    await place.end("older")
    assert place.names == ["first", "other", "older", "last"]


async def test_a_device_is_given_back_by_a_task_that_fails(opened: Open) -> None:
    place = opened(1)
    place.failures = {"bad"}
    await place.submit(task("bad", 0, device="router"), task("good", 1, device="router"))
    with capture_logs() as told:
        await place.end("bad")
    assert place.names == ["bad", "good"]
    (logged,) = told
    assert (logged["execution"], isinstance(logged["exc_info"], RuntimeError)) == ("bad", True)
    assert not place.dispatcher.holds("bad")


# --- cancelling ---


async def test_a_queued_task_that_is_cancelled_never_runs(opened: Open) -> None:
    place = opened(1)
    await place.submit(task("e1"), task("e2"), task("e3"))
    await place.cancel("e2")
    assert not place.dispatcher.holds("e2")
    assert place.dispatcher.waiting("e2") is None
    await place.end("e1")
    assert place.names == ["e1", "e3"]


async def test_a_running_task_that_is_cancelled_gives_its_place_and_device_back(opened: Open) -> None:
    place = opened(1)
    await place.submit(task("e1", device="router"), task("e2", device="router"))
    await place.cancel("e1")
    assert [each.execution_id for each in place.cancelled] == ["e1"]
    assert place.names == ["e1", "e2"]
    assert not place.dispatcher.holds("e1")


async def test_a_task_that_is_cancelled_before_it_has_begun_gives_its_place_and_device_back(opened: Open) -> None:
    place = opened(1)
    place.dispatcher.submit(task("e1", device="router"))
    place.dispatcher.submit(task("e2", device="router"))
    await place.cancel("e1")
    assert place.names == ["e2"]
    assert not place.dispatcher.holds("e1")


@pytest.mark.parametrize(("number", "attempt"), [(1, 1), (0, 2)])
async def test_a_cancel_of_another_attempt_stops_nothing(opened: Open, number: int, attempt: int) -> None:
    place = opened(1)
    await place.submit(task("e1"), task("e2"))
    for name in ("e1", "e2", "unknown"):
        await place.cancel(name, number, attempt)
    await place.end("e1")
    assert place.names == ["e1", "e2"]
    assert place.cancelled == []


async def test_a_delayed_task_that_is_cancelled_never_runs(opened: Open) -> None:
    place = opened()
    await place.submit(task("e1", not_before=place.clock.now() + 5_000))
    await place.cancel("e1")
    await place.clock.advance(10)
    assert place.begun == []
    assert place.clock.sleeping == 0


async def test_a_cancel_of_a_step_does_not_stop_a_turn(opened: Open) -> None:
    place = opened()
    await place.submit(turn("e1"))
    await place.cancel("e1")
    assert place.cancelled == []


# --- delays ---


async def test_a_delayed_task_takes_no_place_and_runs_when_it_is_time(opened: Open) -> None:
    place = opened(1)
    now = place.clock.now()
    await place.submit(task("later", 0, not_before=now + 5_000), task("now", 1, not_before=now), turn("turn", 0, number=3))
    assert place.names == ["now", "turn"] or place.names == ["turn", "now"]
    await place.end("now")
    await place.clock.advance(4.999)
    assert "later" not in place.names
    await place.clock.advance(0.001)
    assert place.names[-1] == "later"


@pytest.mark.parametrize("jump", [-3_600, -10, 3, 3_600])
async def test_a_clock_that_is_set_makes_no_delay_shorter_or_longer(opened: Open, jump: float) -> None:
    place = opened()
    not_before = place.clock.now() + 5_000
    await place.submit(task("later", not_before=not_before))
    await place.clock.advance(1)
    place.clock.jump(jump)
    await place.submit(task("later", not_before=not_before))  # whoever reads the store meanwhile brings it once more
    await place.clock.advance(3.999)
    assert place.begun == []
    await place.clock.advance(0.001)
    assert place.names == ["later"]
    assert place.begun[0].has_waited


async def test_until_when_a_delay_takes_is_said_by_the_clock_as_it_stands(opened: Open) -> None:
    place = opened()
    not_before = place.clock.now() + 60_000
    await place.submit(task("later", not_before=not_before))

    def until() -> int | None:
        waiting = place.dispatcher.waiting("later")
        return None if waiting is None else waiting.until

    assert until() == not_before
    await place.clock.advance(20)
    place.clock.jump(0.5)
    assert until() == not_before, "that is a clock that is kept right"
    place.clock.jump(3_600)
    assert until() == not_before + 3_600_500
    await place.clock.advance(40)
    assert until() is None


async def test_a_delay_that_is_over_stands_in_line_by_its_age(opened: Open) -> None:
    place = opened(1)
    await place.submit(task("busy", 0), task("delayed", 1, not_before=place.clock.now() + 1_000), task("young", 2))
    await place.clock.advance(1)
    await place.end("busy")
    assert place.names == ["busy", "delayed"]


# --- copies ---


async def test_a_second_copy_of_a_task_is_not_queued(opened: Open) -> None:
    place = opened(1)
    for _ in range(3):
        await place.submit(task("e1"), task("e2"), task("e3", not_before=place.clock.now() + 1_000), turn("e4"))
    await place.clock.advance(1)
    for name in ("e1", "e2", "e3"):
        await place.end(name)
    await place.end("e4", kind=TaskKind.TURN)
    assert sorted(place.names) == ["e1", "e2", "e3", "e4"]
    await place.submit(task("e1"))
    assert place.names[-1] == "e1"


async def test_what_follows_takes_the_place_of_what_was_queued(opened: Open) -> None:
    place = opened(1)
    await place.submit(task("busy"), task("e1", 1), task("e1", 2, number=1))
    await place.end("busy")
    assert [(each.execution_id, each.number) for each in place.begun] == [("busy", 0), ("e1", 1)]
    await place.end("e1", 1)
    assert len(place.begun) == 2


async def test_a_late_copy_does_not_take_the_place_of_what_follows(opened: Open) -> None:
    place = opened(1)
    await place.submit(task("busy"), task("e1", 2, number=1), task("e1", 1, number=0))
    await place.end("busy")
    assert [(each.execution_id, each.number) for each in place.begun] == [("busy", 0), ("e1", 1)]


async def test_a_late_copy_of_a_look_does_not_take_the_place_of_the_next_one(opened: Open) -> None:
    place = opened(1)
    await place.submit(task("busy"), look("e1", 2), look("e1", 1))
    await place.end("busy")
    assert [each.look for each in place.begun] == [0, 2]


async def test_the_next_look_is_queued_while_the_one_before_is_about_to_end(opened: Open) -> None:
    place = opened(1)
    await place.submit(look("e1", 1))
    await place.submit(look("e1", 2))
    await place.end("e1")
    assert [each.look for each in place.begun] == [1, 2]


async def test_a_cancel_of_the_attempt_does_not_stop_its_probe_and_one_of_a_look_does(opened: Open) -> None:
    place = opened(2)
    await place.submit(look("e1", 1), task("e2"), look("e3", 1))
    for name in ("e1", "e3"):
        await place.cancel(name)
    assert place.cancelled == []
    await place.cancel("e1", look=1)
    assert [each.execution_id for each in place.cancelled] == ["e1"]
    assert place.names == ["e1", "e2", "e3"]


async def test_what_follows_a_delayed_task_does_not_wait_for_its_time(opened: Open) -> None:
    place = opened(1)
    await place.submit(task("busy"), task("e1", not_before=place.clock.now() + 60_000), task("e1", number=1))
    assert place.dispatcher.waiting("e1") == Waiting("place", "worker", 0)
    await place.end("busy")
    assert place.names == ["busy", "e1"]
    assert place.clock.sleeping == 0


async def test_what_follows_may_run_beside_what_is_being_stopped(opened: Open) -> None:
    place = opened(2)
    place.stubborn = {"e1"}
    await place.submit(task("e1"))
    await place.cancel("e1")
    await place.submit(task("e1", number=1))
    assert [each.number for each in place.begun] == [0, 1]
    await place.clock.advance(1)
    assert place.dispatcher.holds("e1")
    await place.end("e1", 1)
    assert not place.dispatcher.holds("e1")


async def test_a_task_that_is_asked_for_while_it_is_being_stopped_follows_itself(opened: Open) -> None:
    place = opened(2)
    place.stubborn = {"e1"}
    await place.submit(task("e1", device="router"))
    await place.cancel("e1")
    await place.submit(task("e1", device="router"))
    assert len(place.begun) == 1
    assert place.dispatcher.holds("e1")
    await place.clock.advance(1)
    assert len(place.begun) == 2
    await place.end("e1")
    assert len(place.begun) == 2


async def test_a_task_that_is_taken_back_while_it_is_being_stopped_stays_away(opened: Open) -> None:
    place = opened(2)
    place.stubborn = {"e1"}
    await place.submit(task("e1"))
    await place.cancel("e1")
    await place.submit(task("e1"))
    place.stubborn = set()
    await place.cancel("e1")
    await place.clock.advance(1)
    assert len(place.begun) == 1
    assert not place.dispatcher.holds("e1")


# --- what can be asked ---


async def test_holds_is_true_from_the_queue_to_the_end(opened: Open) -> None:
    place = opened(1)
    assert not place.dispatcher.holds("e1")
    await place.submit(task("e0"), task("e1"), task("e2", not_before=place.clock.now() + 1_000))
    assert [place.dispatcher.holds(name) for name in ("e0", "e1", "e2")] == [True] * 3
    await place.end("e0")
    assert [place.dispatcher.holds(name) for name in ("e0", "e1", "e2")] == [False, True, True]
    await place.end("e1")
    assert [place.dispatcher.holds(name) for name in ("e0", "e1", "e2")] == [False, False, True]


async def test_a_device_may_have_as_many_at_once_as_its_own_entry_says(opened: Open) -> None:
    place = opened(9)
    wide = at("router", 3)
    await place.submit(*(replace(task(f"e{number}", number), device=wide) for number in range(5)))
    assert place.names == ["e0", "e1", "e2"]
    assert (place.dispatcher.is_busy(wide), place.dispatcher.is_busy(at("switch"))) == (True, False)
    await place.end("e1")
    assert place.names == ["e0", "e1", "e2", "e3"]


async def test_all_names_of_a_device_are_one_line(opened: Open) -> None:
    place = opened(9)
    by_name, by_host = DeviceLane("core-7", "192.0.2.7"), DeviceLane("192.0.2.7", "192.0.2.7")
    await place.submit(
        replace(task("e0", 0), device=by_name), replace(task("e1", 1), device=by_host), replace(task("e2", 2), device=by_name)
    )
    assert place.names == ["e0"]
    assert (place.dispatcher.waiting("e1"), place.dispatcher.waiting("e2")) == (
        Waiting("device", "192.0.2.7", 1),
        Waiting("device", "core-7", 2),
    )
    await place.end("e0")
    await place.end("e1")
    assert place.names == ["e0", "e1", "e2"]


async def test_who_was_told_of_more_places_has_them_as_soon_as_the_older_one_that_was_told_of_fewer_has_gone(opened: Open) -> None:
    place = opened(9)
    narrow, wide = at("router", 1), at("router", 3)
    await place.submit(replace(task("e0", 0), device=narrow), replace(task("e1", 1), device=narrow))
    await place.submit(*(replace(task(f"w{number}", 2 + number), device=wide) for number in range(4)))
    for name in [name for name in place.names if name != "e0"]:
        await place.end(name)
    await place.end("e0")
    while "e1" not in place.names:
        await place.end(place.names[-1])
    await place.end("e1")
    assert len(place.running) == min(3, 6 - len(place.ended)), "places that are free stay free"


async def test_what_is_queued_knows_what_it_waits_for(opened: Open) -> None:
    place = opened(2)
    due = place.clock.now() + 60_000
    await place.submit(task("r0", 10, device="router"), task("p0", 11))
    await place.submit(task("r1", 12, device="router"), task("p1", 13), task("d1", 14, not_before=due), turn("t", 15))
    waiting = place.dispatcher.waiting
    assert waiting("r0") is None
    assert waiting("unknown") is None
    assert waiting("r1") == Waiting("device", "router", 12)
    assert waiting("p1") == Waiting("place", "worker", 13)
    assert waiting("d1") == Waiting("time", "delay", 14, due)
    assert (place.dispatcher.is_busy(at("router")), place.dispatcher.is_busy(at("switch"))) == (True, False)


async def test_who_waits_here_is_counted(opened: Open) -> None:
    place = opened(1)
    await place.submit(task("busy"))
    for name, since in (("c", 30), ("a", 10), ("b", 20)):
        await place.submit(task(name, since))
    assert place.dispatcher.in_line("") == 3
    assert [place.dispatcher.is_queued(name) for name in ("busy", "a", "unknown")] == [False, True, False]
    assert [each.execution_id for each in place.dispatcher.running()] == ["busy"]
    await place.cancel("b")
    assert (place.dispatcher.in_line(""), place.dispatcher.held()) == (2, 2)


# --- stopping ---


async def test_nothing_begins_before_the_start(opened: Open) -> None:
    place = opened(1, started=False)
    await place.submit(task("e1"), turn("e2"), task("e3", not_before=place.clock.now() + 1))
    await place.clock.advance(1)
    assert place.begun == []
    place.start()
    await place.clock.settle()
    assert sorted(place.names) == ["e1", "e2"]
    await place.end("e1")
    assert sorted(place.names) == ["e1", "e2", "e3"]


async def test_a_stop_waits_for_what_runs_and_begins_nothing(opened: Open) -> None:
    place = opened(1)
    await place.submit(task("e1"), task("e2"), task("e3", not_before=place.clock.now() + 1_000))
    stopping = asyncio.ensure_future(place.dispatcher.stop(20))
    await place.clock.advance(10)
    assert not stopping.done()
    await place.submit(task("e4"), turn("e5"), task("e6", not_before=place.clock.now() + 1_000))
    await place.end("e1")
    await asyncio.wait_for(stopping, 30)
    assert place.names == ["e1"]
    assert place.cancelled == []
    assert place.clock.sleeping == 0


async def test_a_stop_cancels_what_does_not_end_within_the_grace_period(opened: Open) -> None:
    place = opened(2)
    await place.submit(task("e1"), turn("e2"))
    stopping = asyncio.ensure_future(place.dispatcher.stop(20))
    await place.clock.advance(19)
    assert place.cancelled == []
    await place.clock.advance(1)
    await asyncio.wait_for(stopping, 30)
    assert sorted(each.execution_id for each in place.cancelled) == ["e1", "e2"]


async def test_a_stop_without_grace_cancels_at_once(opened: Open) -> None:
    place = opened()
    await place.submit(task("e1"))
    await place.dispatcher.stop(0)
    assert len(place.cancelled) == 1


async def test_a_step_that_does_not_let_go_does_not_keep_the_service_from_stopping(opened: Open) -> None:
    place = opened()
    place.stubborn = {"e1"}
    await place.submit(task("e1", number=-1))
    stopping = asyncio.ensure_future(place.dispatcher.stop(0))
    await place.clock.settle()
    assert not stopping.done()
    await place.clock.advance(10)
    await asyncio.wait_for(stopping, 30)
    await place.cancel("e1", -1)


async def test_ten_thousand_tasks_are_a_matter_of_moments(opened: Open) -> None:
    place = opened(100)
    done = asyncio.Event()
    ran: set[str] = set()

    async def carry_out(one: object) -> None:
        ran.add(one.execution_id)  # type: ignore[attr-defined] # it is a task
        if len(ran) == 10_000:
            done.set()

    place.dispatcher.start(carry_out, carry_out)
    began = time.process_time()
    for number in range(10_000):
        place.dispatcher.submit(task(f"e{number}", 10_000 - number, device=f"router{number % 500}"))
    await asyncio.wait_for(done.wait(), 30)
    assert time.process_time() - began < 5
    assert len(ran) == 10_000
