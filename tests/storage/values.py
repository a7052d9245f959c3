"""Executions and their rows for the tests of the stores: plain ones by hand, any at all by Hypothesis."""

from dataclasses import fields, replace
from typing import Any, Final

from hypothesis import strategies as st

from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.execution import (
    Child,
    Claim,
    ContextType,
    Head,
    Leftover,
    LogEntry,
    LogLevel,
    Parent,
    Probe,
    Result,
    Status,
    StepError,
    StepExecution,
    Verdict,
)
from stepswitch.domain.locks import Lock
from stepswitch.domain.references import Reference, SignedReference
from stepswitch.domain.states import StepState
from stepswitch.engine.records import Save, Snapshot

NOW: Final = 1_800_000_000_000
SNAPSHOT: Final = Snapshot("snapshot-1", "default", {"name": "n", "steps": {"a": {"type": "NOOP"}}})
STRANGE_TEXTS: Final = (
    "",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff lone",
    "\ud83d\ude00",  # the two halves of one character, each by itself
    b"caf\xe9 \xff\xfe".decode("utf-8", "replace"),
    b"caf\xe9 \xff\xfe".decode("utf-8", "surrogateescape"),
    "\U0010ffff\u202e\ufeff",
    "line\r\nline\u2028",
    '{"$large": "x"}',
)
"""Texts that a database, a driver or an encoder is known to stumble over."""


def step(number: int = 0, **changes: Any) -> StepExecution:
    """Return a step execution that stands executable, with `changes`."""
    made = StepExecution(number, "a", StepState.EXECUTABLE, NOW, NOW, SNAPSHOT.id)
    return replace(made, **changes)


def look(**changes: Any) -> Probe:
    """Return a look of a probe that stands executable, with `changes`."""
    return replace(Probe(1, StepState.EXECUTABLE, NOW, NOW), **changes)


def head(execution_id: str = "e1", **changes: Any) -> Head:
    """Return the head of an execution at its first version, with `changes`."""
    made = Head(
        id=execution_id,
        tenant="default",
        snapshot_id=SNAPSHOT.id,
        workflow_id="w1",
        workflow_name="n",
        creation_user="admin",
        creation_time=NOW,
        context_type=ContextType.NONE,
        retained_til=NOW + 1_000,
        current=step(),
        last_time=NOW,
        version=1,
    )
    return replace(made, **changes)


def next_of(before: Head, **changes: Any) -> Head:
    """Return `before` one version later, with `changes`."""
    return replace(before, version=before.version + 1, **changes)


def finished(numbers: range) -> tuple[StepExecution, ...]:
    """Return step executions that are behind."""
    return tuple(step(number, state=StepState.FINISHED, result=Result.SUCCEEDED, end_time=NOW) for number in numbers)


def entry(message: str = "hello", number: int | None = None) -> LogEntry:
    """Return a log entry."""
    return LogEntry(NOW, LogLevel.INFO, message, number)


def claimed(nonce: str = "nonce-1", instance: str = "here", deadline: int = NOW + 60_000, **changes: Any) -> StepExecution:
    """Return a step execution that somebody carries out."""
    return step(state=StepState.EXECUTING, claimed_time=NOW, claim=Claim(nonce, instance, deadline), **changes)


def save_of(a_head: Head, rows: tuple[StepExecution, ...] = (), logs: tuple[LogEntry, ...] = (), *, lane: str | None = None) -> Save:
    """Return a save."""
    return Save(a_head, rows, logs, lane=lane)


# --- any value at all ---

TEXTS: Final = st.one_of(st.text(st.characters(), max_size=20), st.sampled_from(STRANGE_TEXTS))
TIMES: Final = st.integers(0, 2**53)
_WHOLE: Final = st.one_of(st.integers(), st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**40]))
VALUES: Final = st.one_of(TEXTS, _WHOLE, st.booleans(), st.floats(allow_nan=False, allow_infinity=False))
REFERENCES: Final = st.builds(Reference, TEXTS) | st.builds(SignedReference, TEXTS, TEXTS)
MAPS: Final = st.dictionaries(TEXTS, VALUES | REFERENCES, max_size=3)
_PLAIN: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), _WHOLE, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


def _extra(kind: type) -> st.SearchStrategy[dict[str, Any]]:
    known = {each.name for each in fields(kind)}
    return st.dictionaries(TEXTS.filter(lambda name: name not in known), _PLAIN, max_size=2)


_ERRORS: Final = st.builds(StepError, st.sampled_from(ErrorCode), TEXTS)
PROBES: Final = st.builds(
    Probe,
    attempt=st.integers(1, 1_000),
    state=st.sampled_from(StepState),
    start_time=TIMES,
    since=TIMES,
    losses=st.integers(0, 3),
    not_before=st.none() | TIMES,
    claimed_time=st.none() | TIMES,
    end_time=st.none() | TIMES,
    claim=st.none() | st.builds(Claim, TEXTS, TEXTS, TIMES),
    device=st.none() | st.builds(DeviceLane, TEXTS, TEXTS, st.none() | st.integers(1, 1_000), st.booleans()),
    inputs=MAPS,
    outputs=MAPS,
    result=st.none() | st.sampled_from(Result),
    error=st.none() | _ERRORS,
    verdict=st.none() | st.sampled_from(Verdict),
    extra=_extra(Probe),
)
STEPS: Final = st.builds(
    StepExecution,
    number=st.integers(0, 2**31 - 1),
    step_id=TEXTS,
    state=st.sampled_from(StepState),
    start_time=TIMES,
    since=TIMES,
    snapshot_id=TEXTS,
    attempt=st.integers(1, 1_000),
    attempts_before=st.integers(0, 1_000),
    losses=st.integers(0, 3),
    claimed_time=st.none() | TIMES,
    end_time=st.none() | TIMES,
    not_before=st.none() | TIMES,
    aborted=st.booleans(),
    result=st.none() | st.sampled_from(Result),
    error=st.none() | _ERRORS,
    inputs=MAPS,
    outputs=MAPS,
    variables=MAPS,
    claim=st.none() | st.builds(Claim, TEXTS, TEXTS, TIMES),
    device=st.none() | st.builds(DeviceLane, TEXTS, TEXTS, st.none() | st.integers(1, 1_000), st.booleans()),
    site=TEXTS,
    reruns=st.integers(0, 3),
    probe=st.none() | PROBES,
    child=st.none()
    | st.builds(Child, st.uuids().map(str), TEXTS, TEXTS, TIMES, st.sampled_from(Status), st.integers(0, 9), TEXTS, st.booleans()),
    extra=_extra(StepExecution),
)


def _held(found: StepExecution) -> StepExecution:
    """Return `found` as a head has it: what is being carried out has a claim, whose names are ours."""
    claim = Claim(f"nonce-{found.number}", "here", NOW)
    if found.state is StepState.EXECUTING:
        return replace(found, claimed_time=NOW, claim=claim, probe=None)
    if found.look is not None and found.look.state is StepState.EXECUTING:
        return replace(found, claim=claim, probe=replace(found.look, claimed_time=NOW, claim=claim))
    return found


CURRENT: Final = STEPS.map(_held)
HEADS: Final = st.builds(
    Head,
    id=st.uuids().map(str),
    tenant=st.just("default"),
    snapshot_id=st.just(SNAPSHOT.id),
    workflow_id=st.just("w1"),
    workflow_name=TEXTS,
    creation_user=st.just("admin"),
    creation_time=TIMES,
    context_type=st.sampled_from(ContextType),
    retained_til=TIMES,
    context=MAPS,
    assignments=MAPS,
    attachments=st.dictionaries(TEXTS, TEXTS, max_size=2),
    values=MAPS,
    pause_at_failure=st.booleans(),
    debug_step_ids=st.lists(TEXTS, max_size=3).map(tuple),
    status=st.sampled_from(Status),
    current=st.none() | CURRENT,
    steps_begun=st.integers(0, 2**31 - 1),
    steps_allowed=st.integers(0, 2**31 - 1),
    accepted_failures=st.integers(0, 1_000),
    editors=st.dictionaries(TEXTS, TEXTS, max_size=2),
    givers=st.dictionaries(TEXTS, TEXTS, max_size=2),
    resume_at=st.none() | TEXTS,
    catalogue_snapshot_id=st.none() | TEXTS,
    writing_back=TEXTS,
    pause_requested=st.booleans(),
    pause_code=st.none() | st.sampled_from(ErrorCode),
    error=st.none() | _ERRORS,
    start_time=st.none() | TIMES,
    end_time=st.none() | TIMES,
    last_time=TIMES,
    left_behind=st.lists(
        st.builds(Leftover, st.integers(0, 2**31 - 1), TEXTS, TEXTS, st.booleans(), st.integers(0, 9), st.booleans(), st.booleans()),
        max_size=2,
    ).map(tuple),
    epoch=TEXTS,
    is_confidential=st.booleans(),
    holds_unsafe=st.booleans(),
    locks=st.lists(st.builds(Lock, TEXTS, TEXTS), max_size=2).map(tuple),
    awaited_lock=st.none() | st.builds(Lock, TEXTS, TEXTS),
    parent=st.none()
    | st.builds(Parent, TEXTS, st.integers(0, 9), st.integers(1, 9), st.booleans(), st.lists(TEXTS, max_size=2).map(tuple)),
    applied=st.lists(TEXTS, max_size=8).map(tuple),
    version=st.just(1),
    extra=_extra(Head),
)
LOGS: Final = st.builds(LogEntry, TIMES, st.sampled_from(LogLevel), TEXTS, st.none() | st.integers(0, 10_000))
