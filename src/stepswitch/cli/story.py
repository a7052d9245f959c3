"""What happens to one execution, told as it happens: a step begins, says something, ends; the execution takes a way.

Called by `run` with every commit, and by `watch` with what a service tells; how it is told is the affair of a `Teller` (`terminal`,
`plain_lines`). Times are milliseconds since 1970.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from stepswitch.domain.execution import LogLevel
from stepswitch.domain.states import StepState

_OVER = frozenset({StepState.EXECUTED, StepState.WAITING_AFTER, StepState.READY_FOR_NEXT, StepState.RETRY, StepState.FINISHED})


@dataclass(frozen=True, slots=True)
class ToldStep:
    """One attempt at one step; `failure` is why it did not succeed, `device` and `not_before` what it waits for where it does."""

    number: int
    step_id: str
    state: str
    start_time: int
    attempt: int = 1
    claimed_time: int | None = None
    end_time: int | None = None
    not_before: int | None = None
    device: str | None = None
    result: str | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class ToldLine:
    """A line of log; `step` is the number of the step execution, None for the execution itself."""

    time: int
    level: str
    message: str
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What happened at once; `now` is when. No secret is in it."""

    steps: tuple[ToldStep, ...] = ()
    lines: tuple[ToldLine, ...] = ()
    now: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an execution: `steps` is how many there were, `failed` how many of them did not succeed."""

    status: str
    steps: int
    failed: int
    milliseconds: int
    outputs: Mapping[str, Any] = field(default_factory=dict)


class Teller(Protocol):
    """Somebody who tells what happens, one thing at a time."""

    def waiting(self, step: ToldStep) -> None:
        """Tell that the step begins as soon as there is a place, or its time has come."""
        ...

    def begun(self, step: ToldStep) -> None:
        """Tell that the step is being carried out."""
        ...

    def said(self, step_id: str, line: ToldLine) -> None:
        """Tell a new line of the step's log."""
        ...

    def ended(self, step: ToldStep, milliseconds: int) -> None:
        """Tell that the attempt is over."""
        ...

    def noted(self, line: ToldLine) -> None:
        """Tell a new line of the execution's own log."""
        ...

    def remark(self, sentence: str) -> None:
        """Tell something about the telling itself."""
        ...

    def outcome(self, outcome: Outcome) -> None:
        """Tell how the execution ended and what it gave."""
        ...


class Story:
    """Turns what happens into what a `Teller` tells: every step begins once and ends once."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._begun: set[int] = set()
        self._ended: set[int] = set()
        self._waiting: ToldStep | None = None
        self._latest: dict[int, ToldStep] = {}

    def tell(self, happened: Told) -> None:
        """Tell what happened at once: first what ended, then what was logged, then what begins."""
        self._latest.update({step.number: step for step in happened.steps})
        for step in happened.steps:
            if step.state in _OVER:
                self._end(step, happened.now)
        for line in happened.lines:
            self._log(line)
        for step in happened.steps:
            self._begin(step)

    def _begin(self, step: ToldStep) -> None:
        if step.state == StepState.EXECUTABLE and step != self._waiting:
            self._waiting = step
            self._teller.waiting(step)
        elif step.state == StepState.EXECUTING:
            self._tell_begin(step)

    def _tell_begin(self, step: ToldStep) -> None:
        if step.number not in self._begun:
            self._begun.add(step.number)
            self._teller.begun(step)

    def _end(self, step: ToldStep, now: int) -> None:
        if step.number in self._ended or step.result is None:
            return
        self._ended.add(step.number)
        began = step.claimed_time if step.claimed_time is not None else step.start_time
        self._teller.ended(step, max(0, (step.end_time or now) - began))

    def _log(self, line: ToldLine) -> None:
        step = None if line.step is None else self._latest.get(line.step)
        if step is None:
            self._teller.noted(line)
            return
        if step.failure and line.message == f"ended {step.result}: {step.failure}":
            return  # that was told when the step ended
        if step.number not in self._ended and line.level != LogLevel.DEBUG:
            # A step that ends before it has a claim (JS) is not seen to begin until it says something.
            self._tell_begin(step)
        self._teller.said(step.step_id, line)
