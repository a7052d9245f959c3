"""Server-sent events: what happened to executions as text, and the ids that a reader resumes from. Called by `stream`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.api.wire.documents import encode
from stepswitch.api.wire.times import format_time
from stepswitch.domain.execution import LogEntry, Probe, Status, StepExecution
from stepswitch.engine.budget import Kept
from stepswitch.engine.commits import Position
from stepswitch.engine.news import Happened, News, Removed, Standing
from stepswitch.engine.waiting import WaitingFor

MEDIA_TYPE: Final = "text/event-stream"
KEPT_BYTES: Final = 8 * 1024 * 1024
"""Of texts that are kept: nearly everybody who follows is sent the same."""
RECONNECT_MILLISECONDS: Final = 2_000
_ID: Final = re.compile(r"([0-9a-f]{1,15})-([0-9a-f]{1,15})(?:-([0-9a-f]{1,8}))?")


@dataclass(frozen=True, slots=True)
class LastEvent:
    """What a reader has got: all up to a position, or of the commit there the first `sent` events only."""

    position: Position
    sent: int | None = None


def event_id(position: Position, sent: int | None = None) -> str:
    """Return the id of the event after which so many of its commit are sent; of the last one, where nothing is said."""
    place = f"{position.place:x}-{position.time:x}"
    return place if sent is None else f"{place}-{sent:x}"


def last_event(text: str) -> LastEvent | None:
    """Return what a reader has got who names an id; None where it is none of ours."""
    found = _ID.fullmatch(text)
    if found is None:
        return None
    place, time, sent = found.groups()
    return LastEvent(Position(int(place, 16), int(time, 16)), None if sent is None else int(sent, 16))


class EventTexts:
    """The texts of what happened lately."""

    def __init__(self) -> None:
        self._kept: Kept[tuple[int, bool], tuple[bytes, ...]] = Kept(KEPT_BYTES)
        """By the place of a commit, and whether it says which execution holds that one up: not everybody is told that."""

    def get(self, happened: Happened) -> tuple[bytes, ...]:
        """Return the text of each event of a commit, in their order."""
        key = happened.position.place, happened.has_holder
        texts = self._kept.get(key)
        if texts is None:
            texts = _texts(happened)
            self._kept.put(key, texts, sum(map(len, texts)))
        return texts


def _texts(happened: Happened) -> tuple[bytes, ...]:
    last = len(happened.news)
    return tuple(
        news_text(happened.execution_id, news, event_id(happened.position, None if number == last else number))
        for number, news in enumerate(happened.news, 1)
    )


def news_text(execution_id: str, news: News, event: str) -> bytes:
    """Return one event about an execution."""
    match news:
        case Standing():
            return _event("execution", event, {"executionId": execution_id, **_standing(news)})
        case Removed():
            return _event("execution", event, {"executionId": execution_id, "deleted": True})
        case StepExecution():
            return _event("step", event, {"executionId": execution_id, **_step(news)})
        case LogEntry():
            return _event("log", event, {"executionId": execution_id, **_line(news)})


def opening_text(position: Position | None) -> bytes:
    """Return how a stream begins: how soon to come back, and the position of one who has none yet."""
    return f"retry: {RECONNECT_MILLISECONDS}\n".encode() + (position_text(position) if position is not None else b"\n")


def position_text(position: Position) -> bytes:
    """Return an id without an event: the reader resumes from there. It keeps the connection alive too."""
    return f": nothing new\nid: {event_id(position)}\n\n".encode()


def reset_text(execution_id: str | None, position: Position) -> bytes:
    """Return the event which says that something cannot be told any more."""
    return _event("reset", event_id(position), {} if execution_id is None else {"executionId": execution_id})


def _event(name: str, event: str, data: Mapping[str, Any]) -> bytes:
    return b"event: %s\nid: %s\ndata: %s\n\n" % (name.encode(), event.encode(), encode(data))


def _standing(standing: Standing) -> dict[str, Any]:
    head = standing.head
    data: dict[str, Any] = {
        "status": head.status,
        "aborted": head.status is Status.ABORTED,
        "workflow": {"id": head.workflow_id, "name": head.workflow_name},
        "contextType": head.context_type,
        "creationTime": format_time(head.creation_time),
        "creationUser": head.creation_user,
        "retainedTil": format_time(head.retained_til),
        "pauseAtFailure": head.pause_at_failure,
        "debugStepIds": head.debug_step_ids,
        "acceptedFailures": head.accepted_failures,
        **_times(startTime=head.start_time, endTime=head.end_time),
    }
    if standing.waiting_for:
        data["waitingFor"] = [_waiting_for(each) for each in standing.waiting_for]
    return data


def _waiting_for(waiting: WaitingFor) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": waiting.kind, "name": waiting.name, "since": format_time(waiting.since), **_times(until=waiting.until)}
    if waiting.holder is not None:
        found["holder"] = {"executionId": waiting.holder.execution_id, "status": waiting.holder.status}
    return found


def _step(step: StepExecution) -> dict[str, Any]:
    data = {"number": step.number, "stepId": step.step_id, "aborted": step.aborted, "site": step.site, **_attempt(step)}
    if step.probe is not None:
        data["probe"] = _attempt(step.probe)
        if step.probe.verdict is not None:
            data["probe"]["verdict"] = step.probe.verdict
    return data


def _attempt(attempt: StepExecution | Probe) -> dict[str, Any]:
    data: dict[str, Any] = {
        "state": attempt.state,
        "attempt": attempt.attempt,
        **_times(startTime=attempt.start_time, claimedTime=attempt.claimed_time, endTime=attempt.end_time),
    }
    if attempt.result is not None:
        data["result"] = attempt.result
    if attempt.error is not None:
        data["error"] = {"code": attempt.error.code, "message": attempt.error.message}
    return data


def _line(entry: LogEntry) -> dict[str, Any]:
    line = {"msg": entry.message, "time": format_time(entry.time), "level": entry.level}
    return line if entry.step is None else {"number": entry.step, **line}


def _times(**times: int | None) -> dict[str, str]:
    return {name: format_time(time) for name, time in times.items() if time is not None}
