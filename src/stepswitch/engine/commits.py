"""What was committed, as it is read again by those who follow it. Written with every save by the store of executions; see `ports.CommitLog`.

Kept for 24 hours. A place is the number of a commit: what is committed later has a greater one. Times are milliseconds since 1970 in UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.execution import Head, LogEntry, Status, StepExecution

KEPT_MILLISECONDS: Final = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order of commits, and when that one was made; place 0 is before the first."""

    place: int
    time: int


@dataclass(frozen=True, slots=True)
class Outline:
    """What followers are told of a head, as it stood after one save. `current` comes without values and without a claim."""

    version: int
    status: Status
    start_time: int | None
    end_time: int | None
    retained_til: int
    pause_at_failure: bool
    debug_step_ids: tuple[str, ...]
    accepted_failures: int
    pause_code: ErrorCode | None
    current: StepExecution | None

    def of(self, head: Head, time: int) -> Head:
        """Return `head`, which is newer, as it stood then; its values are not those of then."""
        return replace(
            head,
            version=self.version,
            status=self.status,
            start_time=self.start_time,
            end_time=self.end_time,
            retained_til=self.retained_til,
            pause_at_failure=self.pause_at_failure,
            debug_step_ids=self.debug_step_ids,
            accepted_failures=self.accepted_failures,
            pause_code=self.pause_code,
            current=self.current,
            last_time=time,
        )


@dataclass(frozen=True, slots=True)
class CommitRow:
    """One commit without its content; `size` is about how many bytes that takes."""

    place: int
    time: int
    tenant: str
    execution_id: str
    size: int


@dataclass(frozen=True, slots=True)
class CommitPage:
    """Commits in their order. `reached`: the place up to which there are no others. `is_whole`: nothing before was forgotten."""

    rows: Sequence[CommitRow]
    reached: int
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit: a save where it has an outline, a removal where the execution `is_gone`, else lines of log alone.

    `steps` are those that it finished, without values; the current one is in the outline. Of an execution that was removed since,
    steps and lines are gone. `is_edited`: an earlier step may have another snapshot than the head. Whose it was, only a removal says.
    """

    place: int
    time: int
    tenant: str
    execution_id: str
    outline: Outline | None = None
    steps: tuple[StepExecution, ...] = ()
    logs: tuple[LogEntry, ...] = ()
    is_gone: bool = False
    is_edited: bool = False
    creation_user: str = ""
    workflow_name: str = ""
