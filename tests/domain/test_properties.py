"""Any order of events, valid, stale, doubled or made up, at any time: what may never happen does not happen.

The machine throws events at `decide` as a network full of second copies, workers that come back from the dead, impatient people
and a clock that goes back would. After each one it checks what has to hold, and at the end it plays everything again.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stepswitch.domain.decide import decide, is_to_begin, pending_task
from stepswitch.domain.document import Step
from stepswitch.domain.errors import ErrorCode, StateConflictError
from stepswitch.domain.events import (
    AbandonCleanup,
    Abort,
    Change,
    ChildBegun,
    ChildHeard,
    ChildOverdue,
    ChildRefused,
    Claimed,
    CleanedUp,
    Decision,
    Event,
    GivenBack,
    HeldByParent,
    Lost,
    Pause,
    Reply,
    Reported,
    Resume,
    Retry,
    SetFile,
    SetValues,
    Task,
    TaskKind,
    Turn,
)
from stepswitch.domain.execution import ENDED, Child, Head, Limits, Outcome, Parent, Result, Status, StepError, StepExecution, Verdict
from stepswitch.domain.states import TERMINAL, WAITING, StepState
from tests.domain.documents import JsonObject, document, workflow_of
from tests.domain.lives import TYPES, Life

NAMES: Final = ("a", "b", "c", "d")
VARIABLES: Final = {"x": {"type": "number"}, "y": {"type": "string", "defaultValue": "hello"}}
LIMITS: Final = Limits(step_executions=6, inline_steps=3, values_bytes=200)
LOOK_INPUT: Final = {"deed": {"type": "string", "defaultValue": "look"}}
COOPERATION: Final = 60
"""So many cooperative events are tried before an abort has to end what is an endless loop."""

names = st.sampled_from(NAMES)
maybe_names = st.none() | names
conditions = st.lists(
    st.one_of(
        st.builds(lambda to: {"name": "x", "comparator": "isDefined", **to}, st.builds(lambda name: {"nextStepId": name}, maybe_names)),
        st.builds(lambda value, to: {"name": "x", "comparator": "greater", "value": value, "nextStepId": to}, st.integers(0, 3), names),
    ),
    max_size=2,
)
probes = st.fixed_dictionaries(
    {
        "inBindings": st.sampled_from([True, True, True, False]).map(
            lambda is_bound: LOOK_INPUT if is_bound else {"port": {"type": "number", "exportName": "y"}}
        ),
        "done": st.just([{"name": "code", "comparator": "equals", "value": 0}]),
        "notDone": st.just([{"name": "code", "comparator": "equals", "value": 1}]),
    },
    optional={
        "outBindings": st.just({"x": {"name": "code", "type": "number"}, "y": {"name": "text", "type": "string"}}),
        "delaySeconds": st.sampled_from([0, 1]),
        "maxAttempts": st.integers(1, 3),
    },
)
policies = st.fixed_dictionaries(
    {},
    optional={
        "delaySeconds": st.sampled_from([0, 1]),
        "retry": st.fixed_dictionaries({"maxAttempts": st.integers(1, 3)}, optional={"delaySeconds": st.sampled_from([0, 1])}),
        "onFailureStepId": names,
        "onUnknownStepId": names,
        "safeToRerun": st.booleans(),
        "probe": probes,
    },
)
one_step = st.fixed_dictionaries(
    {"type": st.sampled_from(["ACT", "ACT", "ACT", "NOOP", "NOOP", "LOOK", "NEED", "GONE", "WAIT"])},
    optional={
        "nextStepId": names,
        "conditions": conditions,
        "policy": policies,
        "inBindings": st.just({"must": {"type": "string", "exportName": "y"}}),
        "outBindings": st.just({"x": {"name": "code", "type": "number"}, "y": {"name": "text", "type": "string"}}),
    },
)
doubtful_step = st.fixed_dictionaries(
    {"type": st.just("ACT"), "policy": st.builds(lambda policy, probe: {**policy, "probe": probe}, policies, probes)},
    optional={"nextStepId": names, "outBindings": st.just({"x": {"name": "code", "type": "number"}})},
)
doubtful_documents = st.builds(
    lambda bodies: document(variables=VARIABLES, steps=bodies), st.fixed_dictionaries(dict.fromkeys(NAMES, doubtful_step))
)
documents = st.builds(lambda bodies: document(variables=VARIABLES, steps=bodies), st.fixed_dictionaries(dict.fromkeys(NAMES, one_step)))
waiting_step = st.fixed_dictionaries(
    {"type": st.sampled_from(["WAIT", "WAIT", "WAIT", "ACT", "NOOP"])},
    optional={"nextStepId": names, "policy": policies.map(lambda policy: {key: each for key, each in policy.items() if key != "probe"})},
)
waiting_documents = st.builds(
    lambda bodies: document(variables=VARIABLES, steps=bodies), st.fixed_dictionaries(dict.fromkeys(NAMES, waiting_step))
)
outcomes = st.builds(
    lambda result, outputs, code, cut: Outcome(result, outputs, None if result is Result.SUCCEEDED else StepError(code, "why"), cut),
    st.sampled_from([Result.SUCCEEDED, Result.SUCCEEDED, Result.FAILED, Result.UNKNOWN]),
    st.fixed_dictionaries(
        {}, optional={"code": st.sampled_from([0, 0, 1, 1, "2", "word"]), "text": st.sampled_from(["", "ok", "y" * 300])}
    ),
    st.sampled_from([ErrorCode.NON_ZERO_EXIT, ErrorCode.LOST, ErrorCode.TIMEOUT]),
    st.sampled_from([(), ("code",)]),
)
nonces = st.sampled_from(["n1", "n2", "n3"])
looks = st.sampled_from([0, 0, 1])
versions = st.sampled_from(["none", "now", "before"])


class AnyOrder(RuleBasedStateMachine):
    """One execution, and everybody who has to do with it."""

    @initialize(source=documents, pause_at_failure=st.booleans(), debug=st.lists(names, max_size=2, unique=True))
    def create(self, source: JsonObject, *, pause_at_failure: bool, debug: list[str]) -> None:
        self.begin(source, pause_at_failure=pause_at_failure, debug=tuple(debug))

    def begin(self, source: JsonObject, **given: Any) -> None:
        self.given = {"limits": LIMITS, **given}
        self.source = source
        self.life = Life(source, **self.given)
        self.sent: list[tuple[Event, int]] = []
        self.holders: dict[tuple[int, int, int], set[str]] = {}
        self.checked = 0
        self.children: list[str] = []
        self.stopped: set[str] = set()
        self.task: Task | None = self.life.tasks[0] if self.life.tasks else None

    # --- whoever may send something ---

    @rule(back=st.integers(0, 2), attempt=st.sampled_from([0, 0, 0, 1]))
    def take_turn(self, back: int, attempt: int) -> None:
        step = self.around(back)
        self.send(Turn(self.life.new_id(), step.number, step.attempt + attempt))

    @rule(back=st.integers(0, 2), nonce=nonces, attempt=st.sampled_from([0, 0, 0, 1]), more=looks)
    def claim(self, back: int, nonce: str, attempt: int, more: int = 0) -> None:
        step = self.around(back)
        look = step.look_number + more
        nonce = named(nonce, step.number, look)
        decision = self.send(Claimed(f"claim:{nonce}", step.number, step.attempt + attempt, nonce, nonce, look=look))
        if decision is not None and decision.reply is Reply.GRANTED:
            self.holders.setdefault((step.number, step.attempt + attempt, look), set()).add(nonce)

    @rule(outcome=outcomes, back=st.integers(0, 3), nonce=nonces | st.none(), before=looks)
    def report(self, outcome: Outcome, back: int, nonce: str | None, before: int) -> None:
        """Report a step; while its probe looks, the attempt itself or a look, also one that is over."""
        step = self.around(back)
        look = max(0, step.look_number - before)
        nonce = nonce and named(nonce, step.number, look)
        since = step.since - 1 if before else step.since
        self.send(Reported(self.life.new_id(), step.number, step.attempt, nonce, outcome, self.life.now - back, since, look=look))

    @precondition(lambda self: self.life.status not in ENDED)
    @rule(outcome=outcomes, is_lost=st.sampled_from([False, False, True]), again=st.integers(1, 3))
    def go_on(self, outcome: Outcome, *, is_lost: bool, again: int) -> None:
        """What is expected happens, some times over: without that, few runs would get anywhere."""
        for _ in range(again):
            step = self.life.step
            if step.state in WAITING:
                self.steer(Resume, "now")
            elif step.awaits is not None:
                self.hear(outcome, 0, 1)
            elif step.work.state is StepState.EXECUTABLE:
                self.take_turn(0, 0)
                self.take()
                self.begin_child(0, 0)
            else:
                self.take_it(outcome, is_lost=is_lost)

    def take(self) -> None:
        """Let a worker claim what is to be carried out, when its time has come."""
        self.life.now = max(self.life.now, self.life.step.work.not_before or 0)
        self.claim(0, "n1", 0)

    def take_it(self, outcome: Outcome, *, is_lost: bool) -> None:
        """Let what is to be carried out be claimed, where it is not, and be reported or lost."""
        if self.life.step.work.state is StepState.EXECUTABLE:
            self.take()
        step, claim = self.life.step, self.life.step.work.claim
        if claim is not None and is_lost:
            self.send(Lost(self.life.new_id(), step.number, step.attempt, claim.nonce, "silence"))
        elif claim is not None:
            event = Reported(f"report:{claim.nonce}", step.number, step.attempt, claim.nonce, outcome, look=step.look_number)
            self.send(event)

    @rule(back=st.integers(0, 2), nonce=nonces)
    def lose(self, back: int, nonce: str) -> None:
        step = self.around(back)
        claim = step.work.claim
        nonce = claim.nonce if claim is not None and back == 0 else named(nonce, step.number, step.look_number)
        self.send(Lost(self.life.new_id(), step.number, step.attempt, nonce, "silence"))

    @rule(back=st.integers(0, 2), nonce=nonces, more=looks)
    def give_back(self, back: int, nonce: str, more: int) -> None:
        """Whoever holds a claim stops before anything was sent, or one does who has none, or not any more."""
        step, look = self.around(back), self.around(back).look_number + more
        claim = step.work.claim
        nonce = claim.nonce if claim is not None and back == more == 0 else named(nonce, step.number, look)
        self.send(GivenBack(GivenBack.id_of(nonce), step.number, step.attempt, nonce, look=look))

    @rule(back=st.integers(0, 1), stale=st.sampled_from([0, 0, 0, 1]))
    def begin_child(self, back: int, stale: int) -> None:
        """Make the execution that a step waits for, or may have waited for once."""
        step = self.around(back)
        child = Child(f"c{step.number}.{step.attempt}", "w2", "child", self.life.now + 60_000)
        event_id, seen = f"begun:{child.execution_id}", self.life.head.version - stale
        decision = self.send(ChildBegun(event_id, step.number, step.attempt, seen, child))
        assert not stale or decision is None or decision.head.version == seen + 1, "it was made from a state that is over"
        if decision is not None and decision.reply is Reply.DONE:
            assert child.execution_id not in self.children, "an execution was made twice"
            self.children.append(child.execution_id)

    @rule(outcome=outcomes, back=st.integers(0, 2))
    def refuse_child(self, outcome: Outcome, back: int) -> None:
        step, refused = self.around(back), replace(outcome, result=Result.FAILED, error=StepError(ErrorCode.NOT_FOUND, "why"))
        self.send(ChildRefused(self.life.new_id(), step.number, step.attempt, self.life.head.version, refused))

    @rule(
        outcome=outcomes | st.none(), back=st.integers(0, 2), news=st.sampled_from([-1, 0, 1, 1]), waits=st.sampled_from(["", "somebody"])
    )
    def hear(self, outcome: Outcome | None, back: int, news: int, waits: str = "") -> None:
        """Hear of an execution, one that is behind too, in any order."""
        step = self.around(back)
        if step.child is None:
            return
        status = Status.RUNNING if outcome is None else Status.COMPLETED
        if outcome is not None and outcome.result is not Result.SUCCEEDED:
            error = StepError(ErrorCode.CHILD_IN_DOUBT if outcome.result is Result.UNKNOWN else ErrorCode.CHILD_FAILED, "why")
            outcome, status = replace(outcome, result=Result.FAILED, error=error), Status.FAILED
        child = step.child
        self.send(ChildHeard(self.life.new_id(), step.number, child.execution_id, child.version + news, status, waits, outcome))

    @rule(back=st.integers(0, 1))
    def be_overdue(self, back: int) -> None:
        step = self.around(back)
        self.send(ChildOverdue(self.life.new_id(), step.number, "" if step.child is None else step.child.execution_id))

    @rule(holds=st.booleans())
    def hold(self, *, holds: bool) -> None:
        self.send(HeldByParent(self.life.new_id(), holds))

    @rule(back=st.integers(0, 1))
    def clean_up(self, back: int) -> None:
        left = self.life.left
        gone = left[-1 - back] if back < len(left) else "somebody else's"
        self.send(CleanedUp(self.life.new_id(), gone))
        self.stopped.add(gone)

    @rule(back=st.integers(0, 1), of=st.sampled_from(["all", "one", "another"]))
    def abandon_cleanup(self, back: int, of: str) -> None:
        """Take for gone what was seen, all or a part of it; what has still to end is never given up so."""
        left = self.life.head.left_behind
        numbers = () if of == "all" else (left[-1 - back].number if of == "one" and back < len(left) else 99,)
        decision = self.send(
            AbandonCleanup(self.life.new_id(), "bob", None, numbers=numbers, places=dict.fromkeys(self.life.left, "there"))
        )
        assert decision is None or of != "another"
        children = [each for each in left if each.is_execution]
        assert [each for each in self.life.head.left_behind if each.is_execution] == children
        assert (
            decision is None
            or not numbers
            or {each.number for each in left} - set(numbers) <= {each.number for each in self.life.head.left_behind}
        )

    @rule(kind=st.sampled_from([Resume, Resume, Resume, Retry, Retry, Pause]), seen=versions)
    def steer(self, kind: type[Resume | Retry | Pause], seen: str) -> None:
        self.send(kind(self.life.new_id(), "bob", self.version(seen)))

    @precondition(lambda self: len(self.sent) > 15)
    @rule(seen=versions)
    def abort(self, seen: str) -> None:
        self.send(Abort(self.life.new_id(), "bob", self.version(seen)))

    @rule(pause=st.none() | st.booleans(), debug=st.none() | st.lists(names, max_size=2), start=st.none() | names, seen=versions)
    def change(self, *, pause: bool | None, debug: list[str] | None, start: str | None, seen: str) -> None:
        debugged = None if debug is None else tuple(debug)
        event = Change(self.life.new_id(), "bob", self.version(seen), pause_at_failure=pause, debug_step_ids=debugged, start_step_id=start)
        self.send(event)

    @rule(name=names, body=one_step | st.none(), start=maybe_names, seen=versions)
    def edit(self, name: str, body: JsonObject | None, start: str | None, seen: str) -> None:
        bodies = {**self.life.workflow.source["steps"], name: body}
        left = {key: value for key, value in bodies.items() if value is not None}
        source = {**self.source, "steps": {key: without_dangling(value, left) for key, value in left.items()}}
        event = Change(
            self.life.new_id(),
            "bob",
            self.version(seen),
            workflow=workflow_of({**source, "startStepId": next(iter(source["steps"]), None)}),
            snapshot_id=f"s-{source}",
            base_snapshot_id=self.life.head.snapshot_id,
            start_step_id=start,
        )
        self.send(event)

    @rule(value=st.sampled_from([None, 1, 2]), text=st.sampled_from([None, "new", "y" * 300]), seen=versions)
    def correct(self, value: int | None, text: str | None, seen: str) -> None:
        self.send(SetValues(self.life.new_id(), "bob", self.version(seen), values={"x": value, "y": text}))

    @rule(key=st.sampled_from(["f", "g"]), file_id=st.sampled_from([None, "1", "2"]), seen=versions)
    def set_file(self, key: str, file_id: str | None, seen: str) -> None:
        self.send(SetFile(self.life.new_id(), "bob", self.version(seen), key=key, file_id=file_id))

    @precondition(lambda self: bool(self.sent))
    @rule(back=st.integers(1, 12))
    def repeat(self, back: int) -> None:
        self.send(self.sent[-min(back, len(self.sent))][0])

    @rule(seconds=st.sampled_from([0.001, 1, 1, 90, -5, -100_000]))
    def time_goes(self, seconds: float) -> None:
        self.life.now += round(seconds * 1000)

    # --- one event ---

    def around(self, back: int) -> StepExecution:
        """Return the current step execution, or one of the last that are behind."""
        return self.life.step if back == 0 or len(self.life.rows) < back else self.life.rows[-back]

    def version(self, seen: str) -> int | None:
        return {"none": None, "now": self.life.head.version, "before": self.life.head.version - 1}[seen]

    def send(self, event: Event) -> Decision | None:
        life, before = self.life, self.life.head
        printed = repr(before)
        self.sent.append((event, life.now))
        try:
            decision = decide(before, event, life.workflow, life.rules, life.now)
        except StateConflictError:
            assert repr(before) == printed
            return None
        assert repr(before) == printed, "a decision changed what it was given"
        workflow = life.workflow
        assert life.apply(event) == decision, "the same event in the same state was decided otherwise"
        self.check_decision(before, event, decision)
        if isinstance(event, GivenBack) and decision.reply is Reply.DONE:
            self.holders.get((event.number, event.attempt, event.look), set()).discard(event.nonce)
        if decision.head is not before:
            assert decide(decision.head, event, life.workflow, life.rules, life.now).head is decision.head, "an event counted twice"
            self.check_attempts(event, workflow.steps)
        self.follow_up(decision)
        return decision

    def check_decision(self, before: Head, event: Event, decision: Decision) -> None:
        after = decision.head
        self.check_right(before, event, decision)
        if after is before:
            assert (decision.rows, decision.logs, decision.tasks, decision.cancels) == ((), (), (), ())
            return
        assert after.version == before.version + 1
        assert after.last_time >= before.last_time
        assert event.id in after.applied
        assert all(entry.time == after.last_time for entry in decision.logs)
        (current,) = [after.current] if after.current is not None else []
        follows = [(task.number, task.attempt) for task in decision.tasks]
        assert follows in ([], [(current.number, current.attempt)])
        assert not follows or current.work.state is StepState.EXECUTABLE
        assert [task.look for task in decision.tasks] in ([], [current.look_number])
        assert len(after.applied) <= 8

    def check_right(self, before: Head, event: Event, decision: Decision) -> None:
        """Only the holder of the stored claim speaks for a step; only a step that has none is given away."""
        old, new = before.current, decision.head.current
        assert old is not None
        assert new is not None
        if isinstance(event, Claimed) and decision.reply is Reply.GRANTED:
            assert new.work.claim is not None
            assert (new.number, new.attempt, new.look_number) == (event.number, event.attempt, event.look)
            assert new.work.claim.nonce == event.nonce
            assert old.work.state is StepState.EXECUTABLE or old == new
        if isinstance(event, Reported | Lost) and old != new:
            assert (old.number, old.attempt) == (event.number, event.attempt)
            speakers = {each.claim.nonce for each in (old, old.probe) if each is not None and each.claim is not None}
            is_as_taken = isinstance(event, Reported) and event.since == old.since
            needs_none = is_as_taken and old.state is StepState.EXECUTABLE and TYPES.by_name[self.type_of(old)].always_safe
            assert event.nonce in speakers or needs_none
            if old.state in {StepState.FINISHED, StepState.WAITING_AFTER}:
                assert (new.number, new.state, decision.head.status) == (old.number, old.state, before.status)
                assert old.result is Result.UNKNOWN
        if isinstance(event, Lost) and new.number > old.number and new.attempt > 1:
            assert new.losses < 3, "lost for ever"

    def type_of(self, step: StepExecution) -> str:
        return self.life.workflow.steps[step.step_id].type

    def check_attempts(self, event: Event, steps: Any) -> None:
        """No step with effects runs again unless it failed for certain, or somebody said that this is safe."""
        chain = (*self.life.rows[self.checked :], self.life.step)
        self.checked = len(self.life.rows)
        for before, after in pairwise(chain):
            if after.attempt == 1:
                continue
            assert (before.step_id, before.attempt + 1) == (after.step_id, after.attempt)
            in_doubt = before.error is not None and before.error.code is ErrorCode.CHILD_IN_DOUBT
            assert (before.result is Result.FAILED and not in_doubt) or is_safe(steps[before.step_id]) or isinstance(event, Retry), (
                "what may have reached its target was repeated unasked"
            )
            by_probe = before.probe is not None and before.probe.verdict is Verdict.NOT_DONE
            policy = steps[before.step_id].policy
            assert not by_probe or after.reruns <= 2
            assert not by_probe or after.reruns > before.reruns - 1 or isinstance(event, Retry)
            if before.probe is not None and not by_probe and before.result is Result.FAILED and not isinstance(event, Retry):
                assert isinstance(event, Reported), "a probe that found nothing let a step run again"
                assert event.look == 0 or policy.retry.max_attempts > 1

    def follow_up(self, decision: Decision) -> None:
        """Do as a dispatcher does: forget what is cancelled or taken, and take what is new."""
        for cancel in decision.cancels:
            if self.task is not None and (self.task.number, self.task.attempt, self.task.look) == (
                cancel.number,
                cancel.attempt,
                cancel.look,
            ):
                self.task = None
        if decision.tasks:
            self.task = decision.tasks[0]

    # --- what has to hold, always ---

    @invariant()
    def exactly_one_reason_to_stand_still(self) -> None:
        life = self.life
        head, step = life.head, life.step
        pending = pending_task(head, life.workflow, life.rules, life.now)
        reasons = {
            "somebody will take it": pending is not None,
            "it waits for another execution": step.awaits is not None and step.claim is None,
            "a worker has it": step.work.state is StepState.EXECUTING and step.work.claim is not None,
            "a person is asked": head.status is Status.PAUSED and step.state in WAITING,
            "it has ended": head.status in ENDED and step.state is StepState.FINISHED,
        }
        assert sum(reasons.values()) == 1, reasons
        assert (head.status in ENDED) == (head.end_time is not None)
        assert (head.status is Status.PAUSED) == (step.state in WAITING)
        if pending is not None:
            assert self.task == pending, "nobody was told of what can run"

    @invariant()
    def rows_are_written_once_and_in_order(self) -> None:
        chain = (*self.life.rows, self.life.step)
        assert [step.number for step in chain] == list(range(len(chain)))
        assert self.life.head.steps_begun == len(chain)
        assert all(step.state in TERMINAL and step.result is not None for step in self.life.rows)
        assert all((step.attempt == 1) or step.step_id == before.step_id for before, step in pairwise(chain))

    @invariant()
    def a_probe_looks_only_into_a_doubt(self) -> None:
        step = self.life.step
        assert all(row.look is None for row in self.life.rows)
        look = step.look
        if look is not None:
            held = self.life.head.status is Status.PAUSED
            assert step.result is Result.UNKNOWN
            assert step.state is (StepState.WAITING_AFTER if held else StepState.EXECUTED)
            assert (look.state is StepState.WAITING_BEFORE) == held
            assert look.losses < 3
        else:
            assert step.state is not StepState.EXECUTED
        for each in (*self.life.rows[-3:], step):
            assert each.probe is None or each.probe.verdict is not Verdict.DONE or each.result is Result.SUCCEEDED
            assert each.probe is None or each.probe.verdict is not Verdict.NOT_DONE or each.result is Result.FAILED

    @invariant()
    def a_wait_is_never_in_doubt_and_every_execution_is_followed_or_stopped(self) -> None:
        chain = (*self.life.rows, self.life.step)
        assert all(step.result is not Result.UNKNOWN for step in chain if step.child is not None)
        assert all(step.claim is None for step in chain if step.child is not None)
        made = [step.child.execution_id for step in chain if step.child is not None]
        assert made == self.children
        left = [each.nonce for each in self.life.head.left_behind if each.is_execution]
        open_ = [step.child.execution_id for step in chain if step.child is not None and step.child.status not in ENDED]
        assert set(left) <= set(open_)
        assert [each for each in open_ if each not in left and self.life.step.awaits is None and each not in self.stopped] == []

    @invariant()
    def nobody_shares_a_claim(self) -> None:
        assert all(len(holders) <= 1 for holders in self.holders.values())

    @invariant()
    def times_only_grow(self) -> None:
        chain = (*self.life.rows, self.life.step)
        for step in chain:
            times = [moment for moment in (step.start_time, step.claimed_time, step.end_time) if moment is not None]
            assert times == sorted(times)
        assert [step.start_time for step in chain] == sorted(step.start_time for step in chain)
        assert [entry.time for entry in self.life.logs] == sorted(entry.time for entry in self.life.logs)

    @invariant()
    def values_stay_within_their_limit(self) -> None:
        assert self.life.head.values.keys() <= VARIABLES.keys()
        assert sum(len(str(value)) for value in self.life.head.values.values()) <= LIMITS.values_bytes

    def teardown(self) -> None:
        if not hasattr(self, "life"):
            return
        self.play_again()
        self.abort_ends_it()
        self.cooperation_ends_it()

    def play_again(self) -> None:
        again = Life(self.source, **self.given)
        for event, now in self.sent:
            again.now = now
            try:
                again.apply(event)
            except StateConflictError:
                continue
        assert (again.head, again.rows, again.logs) == (self.life.head, self.life.rows, self.life.logs)

    def abort_ends_it(self) -> None:
        life = self.life
        if life.status not in ENDED:
            decision = decide(life.head, Abort("the end", "bob", None), life.workflow, life.rules, life.now)
            assert decision.head.status is Status.ABORTED
            assert not decision.tasks

    def cooperation_ends_it(self) -> None:
        """From wherever it stands, an execution goes on to an end when everybody does what is expected of them."""
        life = self.life
        visited = set()
        for event in cooperation(life):
            place = (life.step.step_id, life.step.state, life.step.look_number, life.head.status, repr(life.head.values))
            life.apply(event)
            visited.add(place)
        if life.status not in ENDED:
            assert len(visited) < COOPERATION, "it neither ended nor went in circles"


def named(nonce: str, number: int, look: int) -> str:
    """Return the nonce of one who claims a step, or a look of its probe."""
    return f"{nonce}.{number}" if not look else f"{nonce}.{number}.{look}"


def without_dangling(body: JsonObject, left: JsonObject) -> JsonObject:
    """Return a step that names only steps that are left: validation lets no other edit pass."""

    def pruned(each: JsonObject) -> JsonObject:
        return {key: value for key, value in each.items() if not key.endswith("StepId") or value in left}

    kept = pruned(body)
    conditions = [pruned(condition) for condition in kept.get("conditions", ())]
    return {**kept, "conditions": conditions, "policy": pruned(kept.get("policy", {}))}


def is_safe(step: Step) -> bool:
    signature = TYPES.find(step.type)
    return bool(step.policy.safe_to_rerun) or (signature is not None and signature.always_safe)


def cooperation(life: Life) -> Iterator[Event]:
    """Yield what a worker, a dispatcher and a person would do next, until it ends."""
    for turn in range(COOPERATION):
        step = life.step
        if life.status in ENDED:
            return
        if life.status is Status.PAUSED:
            yield Resume(f"go-{turn}", "bob", life.head.version)
        elif step.awaits is not None:
            done = Outcome(Result.SUCCEEDED)
            yield ChildHeard(f"heard-{turn}", step.number, step.awaits.execution_id, 10**6, Status.COMPLETED, outcome=done)
        elif step.work.state is StepState.EXECUTING:
            assert step.work.claim is not None
            outcome = Outcome(Result.SUCCEEDED)
            yield Reported(f"did-{turn}", step.number, step.attempt, step.work.claim.nonce, outcome, look=step.look_number)
        else:
            life.now = max(life.now, step.work.not_before or 0)
            task = pending_task(life.head, life.workflow, life.rules, life.now)
            assert task is not None
            if is_to_begin(life.head, life.workflow, life.rules, life.now):
                child = Child(f"made-{turn}", "w2", "child", life.now + 60_000)
                yield ChildBegun(f"begin-{turn}", step.number, step.attempt, life.head.version, child, has_waited=True)
                continue
            taken = Claimed(f"take-{turn}", step.number, step.attempt, f"c{turn}", "w", look=step.look_number)
            yield Turn(f"turn-{turn}", step.number, step.attempt) if task.kind is TaskKind.TURN else taken
            now = (life.step.number, life.step.look_number, life.step.work.state)
            assert now != (step.number, step.look_number, StepState.EXECUTABLE), "it did not go on"


class AnyOrderInDoubt(AnyOrder):
    """The same where every step acts, has a probe, and ends in doubt more often than not."""

    @initialize(source=doubtful_documents, pause_at_failure=st.booleans())
    def create(self, source: JsonObject, *, pause_at_failure: bool) -> None:
        self.begin(source, pause_at_failure=pause_at_failure)

    @precondition(lambda self: self.life.status not in ENDED)
    @rule(code=st.sampled_from([0, 1, 2]), is_lost=st.booleans(), then=st.sampled_from(["look", "look", "lose", "report", "pause"]))
    def fall_into_doubt(self, code: int, *, is_lost: bool, then: str) -> None:
        """Let the attempt end in doubt; then its probe looks, is lost, is overtaken by a late report, or is held."""
        if self.life.step.look is None:
            self.take_it(Outcome(Result.UNKNOWN, error=StepError(ErrorCode.CONNECTION_CUT, "why")), is_lost=is_lost)
        step = self.life.step
        if step.look is None or step.claim is None:
            return
        if then == "report":
            outcome = Outcome([Result.SUCCEEDED, Result.FAILED, Result.UNKNOWN][code], {"code": code}, StepError(ErrorCode.INTERNAL, "why"))
            self.send(Reported(self.life.new_id(), step.number, step.attempt, step.claim.nonce, outcome))
        elif then == "pause":
            self.steer(Pause, "now")
            self.steer(Resume, "now")
        else:
            self.take_it(Outcome(Result.SUCCEEDED, {"code": code}), is_lost=then == "lose")


class AnyOrderInAFamily(AnyOrder):
    """The same where most steps wait for another execution, and one waits for this."""

    @initialize(source=waiting_documents, pause_at_failure=st.booleans())
    def create(self, source: JsonObject, *, pause_at_failure: bool) -> None:
        self.begin(source, pause_at_failure=pause_at_failure, parent=Parent("p", 3, 1))


for machine, examples in ((AnyOrder, 300), (AnyOrderInDoubt, 150), (AnyOrderInAFamily, 150)):
    machine.TestCase.settings = settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
test_any_order_of_events = AnyOrder.TestCase
test_any_order_of_events_in_doubt = AnyOrderInDoubt.TestCase
test_any_order_of_events_in_a_family = AnyOrderInAFamily.TestCase
