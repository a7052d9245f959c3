"""A copy that leaves something out, or takes what is no field, would be a stored execution that is wrong."""

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from stepswitch.domain.changed import changed
from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.execution import LogEntry, LogLevel, Result, StepExecution
from stepswitch.domain.states import StepState

STEP = StepExecution(
    3, "ask", StepState.EXECUTABLE, 10, 11, "snapshot", attempt=2, inputs={"cmd": "show"}, device=DeviceLane("core-1", "192.0.2.1")
)


def test_every_field_is_copied_and_the_named_ones_are_new() -> None:
    copy = changed(STEP, state=StepState.FINISHED, result=Result.SUCCEEDED, end_time=12)
    assert copy == replace(STEP, state=StepState.FINISHED, result=Result.SUCCEEDED, end_time=12)
    assert all(
        getattr(copy, field.name) is getattr(STEP, field.name)
        for field in fields(STEP)
        if field.name not in ("state", "result", "end_time")
    )
    assert STEP.state is StepState.EXECUTABLE


def test_a_field_that_is_none_is_refused_as_replace_refuses_it() -> None:
    with pytest.raises(TypeError, match="StepExecution has no field colour"):
        changed(STEP, colour="red", state=StepState.FINISHED)  # type: ignore[call-arg]


def test_kinds_do_not_mix() -> None:
    entry = LogEntry(1, LogLevel.INFO, "hello")
    assert changed(entry, message="bye") == LogEntry(1, LogLevel.INFO, "bye")
    assert changed(STEP) == STEP


def test_a_copy_is_as_frozen_as_what_it_was_made_of() -> None:
    copy = changed(STEP, attempt=3)
    assert type(copy) is StepExecution
    with pytest.raises(FrozenInstanceError):
        copy.attempt = 4  # type: ignore[misc] # that is what is tried
    assert copy.attempt == 3
    assert hash(changed(LogEntry(1, LogLevel.INFO, "hello"))) == hash(LogEntry(1, LogLevel.INFO, "hello"))
