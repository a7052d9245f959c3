"""What is committed of one execution, told as it happens: a step begins, says something, ends; the execution takes a way.

Called by `run` with every commit; how it is told is the affair of a `Teller` (`terminal`, `plain_lines`).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from stepswitch.domain.execution import LogEntry, LogLevel, StepExecution
from stepswitch.domain.states import StepState
from stepswitch.engine.confidential import Mask
from stepswitch.engine.records import Committed

_OVER = frozenset({StepState.EXECUTED, StepState.WAITING_AFTER, StepState.READY_FOR_NEXT, StepState.RETRY, StepState.FINISHED})


class Teller(Protocol):
    """Somebody who tells what happens, one thing at a time."""

    def waiting(self, step: StepExecution) -> None:
        """Tell that the step begins as soon as there is a place, or its time has come."""
        ...

    def begun(self, step: StepExecution) -> None:
        """Tell that the step is being carried out."""
        ...

    def said(self, step_id: str, entry: LogEntry) -> None:
        """Tell a new line of the step's log."""
        ...

    def ended(self, step: StepExecution, milliseconds: int) -> None:
        """Tell that the attempt is over."""
        ...

    def noted(self, entry: LogEntry) -> None:
        """Tell a new line of the execution's own log."""
        ...

    def remark(self, sentence: str) -> None:
        """Tell something about the telling itself."""
        ...


class Story:
    """Turns commits into what a `Teller` tells: every step begins once and ends once, and no secret is told."""

    def __init__(self, teller: Teller, mask: Callable[[Committed], Mask]) -> None:
        self._teller = teller
        self._mask_of = mask
        self._begun: set[int] = set()
        self._ended: set[int] = set()
        self._latest: dict[int, StepExecution] = {}

    def tell(self, change: Committed) -> None:
        """Tell one commit: first what ended, then what was logged, then what begins."""
        mask = self._mask_of(change)
        self._latest.update({step.number: step for step in change.steps})
        for step in change.steps:
            if step.state in _OVER:
                self._end(step, change, mask)
        repeats = {(step.number, repeat) for step in change.steps if (repeat := _repeated(step))}
        for entry in change.logs:
            if (entry.step, entry.message) not in repeats:
                self._log(mask.entry(entry))
        for step in change.steps:
            self._begin(step)

    def _begin(self, step: StepExecution) -> None:
        if step.state is StepState.EXECUTABLE:
            self._teller.waiting(step)
        elif step.state is StepState.EXECUTING:
            self._tell_begin(step)

    def _tell_begin(self, step: StepExecution) -> None:
        if step.number not in self._begun:
            self._begun.add(step.number)
            self._teller.begun(step)

    def _end(self, step: StepExecution, change: Committed, mask: Mask) -> None:
        if step.number in self._ended or step.result is None:
            return
        self._ended.add(step.number)
        now = change.head.last_time if change.head is not None else step.start_time
        began = step.claimed_time if step.claimed_time is not None else step.start_time
        shown = step if step.error is None else _with_message(step, mask.text(step.error.message))
        self._teller.ended(shown, max(0, (step.end_time or now) - began))

    def _log(self, entry: LogEntry) -> None:
        step = None if entry.step is None else self._latest.get(entry.step)
        if step is None:
            self._teller.noted(entry)
            return
        if step.number not in self._ended and entry.level is not LogLevel.DEBUG:
            # A step that needs no claim (JS) is not seen to begin until it says something.
            self._tell_begin(step)
        self._teller.said(step.step_id, entry)


def _repeated(step: StepExecution) -> str:
    """Return the log line that says again how the step ended."""
    return "" if step.error is None else f"ended {step.result}: {step.error.code}: {step.error.message}"


def _with_message(step: StepExecution, message: str) -> StepExecution:
    return step if step.error is None else replace(step, error=replace(step.error, message=message))
