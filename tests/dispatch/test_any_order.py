"""Risk: some order of submitting, ending and cancelling runs a task twice, beyond a limit, out of its turn or never."""

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stepswitch.dispatch.local import LocalDispatcher
from stepswitch.dispatch.places import Places
from stepswitch.domain.events import Task, TaskKind
from tests.dispatch.workplace import Workplace, at, task, turn

STEPS, PER_DEVICE = 3, 2
DEVICES = st.sampled_from([None, "router", "switch"])
Key = tuple[str, int, TaskKind]


class AnyOrder(RuleBasedStateMachine):
    """Knows by itself what may run, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.place = self.loop.run_until_complete(self._open())
        self.submitted: dict[Key, Task] = {}
        self.given_up: set[Key] = set()
        self.next_number: dict[str, int] = {}

    async def _open(self) -> Workplace:
        place = Workplace(LocalDispatcher, Places(STEPS, PER_DEVICE))
        place.start()
        return place

    def _settle(self) -> None:
        self.loop.run_until_complete(self.place.clock.settle())

    def _queued(self) -> list[Task]:
        begun = {_key(each) for each in self.place.begun}
        return [each for key, each in self.submitted.items() if key not in begun and key not in self.given_up]

    @rule(
        name=st.integers(0, 8),
        since=st.integers(0, 20),
        device=DEVICES,
        is_turn=st.booleans(),
        delay=st.sampled_from([0, 0, 0, 2]),
        yields=st.booleans(),
    )
    def submit_what_follows(self, name: int, since: int, device: str | None, is_turn: bool, delay: int, yields: bool) -> None:
        execution_id = f"e{name}"
        number = self.next_number.get(execution_id, 0)
        self.next_number[execution_id] = number + 1
        not_before = self.place.clock.now() + delay * 1_000 if delay else None
        made = (
            turn(execution_id, since, number) if is_turn else task(execution_id, since, number=number, device=device, not_before=not_before)
        )
        self.given_up |= {_key(each) for each in self._queued() if each.execution_id == execution_id}
        self.submitted[_key(made)] = made
        self._submit(made)
        if yields:
            self._settle()

    def _submit(self, made: Task) -> None:
        async def submit() -> None:
            self.place.dispatcher.submit(made)

        self.loop.run_until_complete(submit())

    @precondition(lambda self: self.submitted)
    @rule(data=st.data())
    def submit_a_copy_of_what_is_queued_or_runs(self, data: Any) -> None:
        live = [*self._queued(), *(self.submitted[key] for key in self.place.running if key not in self.given_up)]
        if live:
            self._submit(data.draw(st.sampled_from(live)))

    @precondition(lambda self: self.place.running)
    @rule(data=st.data())
    def end_one(self, data: Any) -> None:
        self.place.running[data.draw(st.sampled_from(sorted(self.place.running)))].set()
        self._settle()

    @precondition(lambda self: self.submitted)
    @rule(data=st.data())
    def cancel_one(self, data: Any) -> None:
        made = data.draw(st.sampled_from(list(self.submitted.values())))
        if made.kind is TaskKind.STEP or made in self._queued():
            self.given_up.add(_key(made))
            self.loop.run_until_complete(self.place.cancel(made.execution_id, made.number, made.attempt))

    @rule(seconds=st.integers(1, 3))
    def let_time_pass(self, seconds: int) -> None:
        self.loop.run_until_complete(self.place.clock.advance(seconds))

    @invariant()
    def limits_are_kept(self) -> None:
        self._settle()
        steps = [self.submitted[key] for key in self.place.running if key[2] is TaskKind.STEP]
        assert len(steps) <= STEPS
        for device in ("router", "switch"):
            assert sum(each.device == at(device) for each in steps) <= PER_DEVICE

    @invariant()
    def nothing_runs_twice(self) -> None:
        begun = [_key(each) for each in self.place.begun]
        assert len(begun) == len(set(begun))

    @invariant()
    def nobody_waits_for_a_place_that_is_free(self) -> None:
        self._settle()
        steps = [self.submitted[key] for key in self.place.running if key[2] is TaskKind.STEP]
        busy = [each.device for each in steps]
        for waiting in self._queued():
            is_early = waiting.not_before is not None and waiting.not_before > self.place.clock.now()
            held_up = waiting.device is not None and busy.count(waiting.device) >= PER_DEVICE
            assert is_early or (waiting.kind is TaskKind.STEP and (held_up or len(steps) == STEPS))

    @invariant()
    def what_is_held_is_known(self) -> None:
        live = {each.execution_id for each in self._queued()} | {key[0] for key in self.place.running}
        for name in self.next_number:
            assert self.place.dispatcher.holds(name) is (name in live)

    def teardown(self) -> None:
        self.loop.run_until_complete(self._finish())
        self.loop.close()
        begun = [_key(each) for each in self.place.begun]
        assert set(self.submitted) - self.given_up <= set(begun)
        assert len(begun) == len(set(begun))

    async def _finish(self) -> None:
        """Let everything end: whoever was not taken back gets its turn."""
        await self.place.clock.advance(10)
        while self.place.running:
            for event in self.place.running.values():
                event.set()
            await self.place.clock.settle()
        await self.place.dispatcher.stop(0)


def _key(each: Task) -> Key:
    return each.execution_id, each.number, each.kind


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
