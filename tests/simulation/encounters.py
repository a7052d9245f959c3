"""What schedules have to meet, or they prove less than they say: every place to die at, every fault of a message, every rule of a step's life."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from stepswitch.domain.execution import Result, Verdict
from stepswitch.engine.crash_points import CrashPoint

_SAID: Final = {
    "it is one of debugStepIds": "paused at a breakpoint",
    "somebody asked for a pause": "paused because somebody asked",
    "LOOP_LIMIT": "paused at the limit of loops",
    "the way goes on at": "went the way that is meant for a failure",
    "ended FAILED: attempt": "tried again after a failure",
    "ended UNKNOWN: attempt": "tried again after a doubt",
    "the probe found that step": "a probe settled it",
    "the probe could not tell": "a probe could not settle it",
    "of the probe was lost": "a look of a probe was lost",
    "after it was given up": "a late report replaced a doubt",
    "too late: nothing follows from it": "a late report was only noted",
    "its session at the target is closed": "a cancelled session was closed",
    "given back: nothing was sent": "a step was given back",
    "lost: ": "a claim was declared lost",
    "asks for the lock": "a lock was asked for",
    "has the lock": "a lock was given",
    "lets go of the lock": "a lock was let go of at a step",
    "was broken by": "a lock was broken",
    "DEADLOCK": "a circle of locks was broken",
    "for an execution has it that waits for this one": "an execution wanted a lock of the one that waits for it",
    "waits for the execution": "an execution was begun for a step",
    "waits for somebody": "somebody was told that another execution waits for a person",
    "nothing was begun": "an execution could not be begun for a step",
    "its time is over: the execution": "an execution took too long for the step that waits for it",
    "CHILD_FAILED": "the execution that a step waited for failed",
    "CHILD_ABORTED": "the execution that a step waited for was aborted",
    "CHILD_IN_DOUBT": "the execution that a step waited for ended in doubt",
    "pause asked for by step execution": "a pause was handed down",
    "the pause was taken back by": "a pause that was handed down was taken back",
    "aborted by the execution": "an abort was handed down",
    "nothing of it is left at the target": "what outlives its connection was confirmed to be gone",
    "could not be removed yet": "somebody was told that something could not be removed yet",
    "RESTORED from a backup, and it may": "held before a step after a restore",
    "RESTORED from a backup; look": "held after a step after a restore",
    "ended COMPLETED": "an execution completed",
    "ended FAILED": "an execution failed",
    "ended ABORTED": "an execution was aborted",
}
"""What stands in a log where a rule was followed."""
MISTAKES: Final = (
    "a message was lost", "an answer was lost", "a message came twice", "a message was late", "a message came after its sender had given up",
    "a wake-up was lost", "a wake-up came twice",
    "a cancel was lost", "a task was delivered twice", "a commit failed and is on disk", "a commit failed and is not on disk",
    "a statement failed", "a device was not reached", "a device said no", "a device hung", "a connection was cut", "a session was stuck",
    "a step type raised", "a step type said nothing", "a process died of its step", "the process died", "the process was told to stop",
    "a backup was restored", "a worker of before the restore asked for its step", "a worker of before the restore reported",
    "a device had several sessions", "somebody was told who has a lock", "a step said that something stays", "a target let nothing be removed",
    "removing something took too long", "something was removed by the process that started it", "something was removed by the next process",
    "somebody waited for a lock, in the end", "an execution was begun for one that was begun for another",
    "somebody reopened an execution for which nobody waits any more",
    "somebody waited for another of the tenant", "the process stood still", "a worker stood still", "the clock was set forward", "the clock was set back",
)  # fmt: skip
ANSWERS: Final = (
    *(f"a claim was answered {reply}" for reply in ("granted", "busy", "stale")),
    *(f"a late claim was answered {reply}" for reply in ("granted", "stale")),
    *(f"a report was answered {reply}" for reply in ("stored", "stale")),
)
PEOPLE: Final = tuple(
    f"{kind}: {answer}"
    for kind in ("resume", "retry", "abort", "pause", "edit", "values", "flag", "delete", "attach", "detach", "break")
    for answer in ("DONE", "REFUSED", "UNKNOWN")
)
LEFT_BEHIND: Final = (
    "something may be left at a target", "whoever left something there said that it is gone",
    "something that a dead process left was confirmed to be gone", "something was left at a target by a step that is behind",
)  # fmt: skip
RULES: Final = (
    *(f"a step ended {result}" for result in Result),
    *(f"a step that waits for an execution ended {result}" for result in (Result.SUCCEEDED, Result.FAILED)),
    *(f"a probe found {verdict}" for verdict in Verdict),
    *dict.fromkeys(_SAID.values()),
    "a step was visited again",
    "a step was lost three times",
    "a failure was accepted",
)
EXPECTED: Final = (*(f"the process died at {point}" for point in CrashPoint), *MISTAKES, *ANSWERS, *PEOPLE, *LEFT_BEHIND, *RULES)
ENOUGH: Final = 2_000
"""Schedules that have to meet each of these."""


def rules_in(messages: Sequence[str]) -> Counter[str]:
    """Return which rules an execution's log tells of, and how often."""
    return Counter(rule for message in messages for part, rule in _SAID.items() if part in message)


def missing(met: Counter[str]) -> list[str]:
    """Return what was never met."""
    return [name for name in EXPECTED if not met[name]]
