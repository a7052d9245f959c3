"""Outlines of heads to bytes and back: arrays, for one is written with every save. Called by `commits`. A later release may add to their ends."""

from collections.abc import Sequence
from typing import Any, Final

from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.execution import Head, Probe, Result, Status, StepError, StepExecution, Verdict
from stepswitch.domain.states import StepState
from stepswitch.engine.commits import Outline
from stepswitch.storage.encoding import dump, load, refuse_foreign, refuse_later

OUTLINE_FORMAT: Final = 1


def dump_outline(head: Head) -> bytes:
    """Return what followers are told of a head, behind the number of the format."""
    return dump(
        (
            OUTLINE_FORMAT,
            head.version,
            head.status,
            head.start_time,
            head.end_time,
            head.retained_til,
            head.pause_at_failure,
            head.debug_step_ids,
            head.accepted_failures,
            head.pause_code,
            _parts_of(head.current) if head.current is not None else None,
        )
    )


def _parts_of(step: StepExecution) -> tuple[object, ...]:
    error = (step.error.code, step.error.message) if step.error is not None else None
    times = (step.start_time, step.since, step.claimed_time, step.end_time, step.not_before)
    probe = _parts_of_probe(step.probe) if step.probe is not None else None
    return (step.number, step.step_id, step.state, step.attempt, step.aborted, step.result, error, step.site, *times, probe)


def _parts_of_probe(probe: Probe) -> tuple[object, ...]:
    error = (probe.error.code, probe.error.message) if probe.error is not None else None
    times = (probe.start_time, probe.since, probe.claimed_time, probe.end_time, probe.not_before)
    return (probe.attempt, probe.state, probe.result, probe.verdict, error, *times)


def load_outline(body: bytes) -> Outline:
    """Return an outline from its bytes; raises StoreError where they are none, or a later release wrote them in a format of its own."""
    found, *parts = load(body)
    refuse_later(found, OUTLINE_FORMAT, "an outline")
    with refuse_foreign("an outline"):
        version, status, start, end, retained_til, pause_at_failure, debug_step_ids, accepted, pause_code, step, *_ = parts
        return Outline(
            version=version,
            status=Status(status),
            start_time=start,
            end_time=end,
            retained_til=retained_til,
            pause_at_failure=pause_at_failure,
            debug_step_ids=tuple(debug_step_ids),
            accepted_failures=accepted,
            pause_code=ErrorCode(pause_code) if pause_code else None,
            current=_step_from(step) if step else None,
        )


def _step_from(parts: Sequence[Any]) -> StepExecution:
    number, step_id, state, attempt, aborted, result, error, site, start, since, claimed, end, not_before, probe, *_ = parts
    return StepExecution(
        number=number,
        step_id=step_id,
        state=StepState(state),
        start_time=start,
        since=since,
        snapshot_id="",
        attempt=attempt,
        claimed_time=claimed,
        end_time=end,
        not_before=not_before,
        aborted=aborted,
        result=Result(result) if result else None,
        error=_error_from(error),
        site=site,
        probe=_probe_from(probe) if probe else None,
    )


def _probe_from(parts: Sequence[Any]) -> Probe:
    attempt, state, result, verdict, error, start, since, claimed, end, not_before, *_ = parts
    return Probe(
        attempt=attempt,
        state=StepState(state),
        start_time=start,
        since=since,
        not_before=not_before,
        claimed_time=claimed,
        end_time=end,
        result=Result(result) if result else None,
        error=_error_from(error),
        verdict=Verdict(verdict) if verdict else None,
    )


def _error_from(parts: Sequence[Any] | None) -> StepError | None:
    return StepError(ErrorCode(parts[0]), parts[1]) if parts else None
