"""Values to bytes and back. Called by the stores.

JSON, by orjson; what orjson refuses (lone surrogates, integers over 64 bits) goes through the standard library, behind a blank
that says so, because orjson would read it as something else: every value that got this far comes back the same. A string over
64 KiB is kept apart, once per execution, under the hash of its content, and stands in the body as `{"$large": digest}`. It is kept as
it is and not as JSON, in which a character that nobody can see takes six.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any, Final

import orjson

from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.errors import ErrorCode, StoreError
from stepswitch.domain.execution import (
    HEAD_FORMAT,
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
from stepswitch.domain.values import Value

LARGE: Final = 64 * 1024
ROW_FORMAT: Final = 1
"""Format number of the bodies of rows that are neither heads nor step executions."""
_BY_HAND: Final = b" "
"""The first byte of a body that the standard library wrote and has to read."""
_AS_IT_IS: Final = b"="
"""What stands before a large string, so that a later release can keep it in another way."""
_LARGE_KEY: Final = "$large"
_STEP_MAPS: Final = ("inputs", "outputs", "variables")
_PROBE_MAPS: Final = ("inputs", "outputs")
_HEAD_MAPS: Final = ("context", "assignments", "values")
_STEP_FIELDS: Final = frozenset(each.name for each in fields(StepExecution)) - {"extra"}
_PROBE_FIELDS: Final = frozenset(each.name for each in fields(Probe)) - {"extra"}
_HEAD_FIELDS: Final = frozenset(each.name for each in fields(Head)) - {"extra"}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Large(dict[str, bytes]):
    """Values to be kept apart, as they are stored, by digest; `digest` says how that is made."""

    __slots__ = ("_digest", "_named")

    def __init__(self, digest: Callable[[bytes], str] = _sha256) -> None:
        super().__init__()
        self._digest = digest
        self._named: dict[str, str] = {}

    def set_aside(self, text: str) -> str:
        """Keep a value, which may stand in many places, and return its digest."""
        named = self._named.get(text)
        if named is None:
            body = dump_large(text)
            named = self._named[text] = self._digest(body)
            self[named] = body
        return named


Apart = Mapping[str, Value]
"""Values that were kept apart, by digest: one that stands in many places is in memory once."""


def dump(value: object) -> bytes:
    """Return `value`, dataclasses and enumerations included, as JSON; raises StoreError where it has no such form."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return _BY_HAND + _dump_by_hand(value)


def _dump_by_hand(value: object) -> bytes:
    try:
        text = json.dumps(value, default=_plain, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"a value cannot be stored: {error}") from error
    return text.encode("utf-8", "surrogatepass")


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def load(body: bytes) -> Any:
    """Return what `dump` was given, as plain JSON values; raises StoreError where the bytes are none of ours."""
    try:
        return json.loads(body.decode("utf-8", "surrogatepass")) if body.startswith(_BY_HAND) else orjson.loads(body)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"a stored value cannot be read: {error}") from error


def dump_large(text: str) -> bytes:
    """Return a large string as it is kept apart."""
    return _AS_IT_IS + text.encode("utf-8", "surrogatepass")


def load_large(body: bytes) -> str:
    """Return what `dump_large` was given; raises StoreError where the bytes are none of ours."""
    if not body.startswith(_AS_IT_IS):
        raise StoreError("a large value was written by a later release, in a way that this one does not know")
    try:
        return str(memoryview(body)[len(_AS_IT_IS) :], "utf-8", "surrogatepass")
    except ValueError as error:
        raise StoreError(f"a large value cannot be read: {error}") from error


def dump_row(fields_of_row: Mapping[str, object]) -> bytes:
    """Return the fields of a row as JSON, with the number of their format."""
    return dump({"format": ROW_FORMAT, **fields_of_row})


def load_row(body: bytes) -> Any:
    """Return what `dump_row` was given; raises StoreError where a later release wrote it in a format of its own."""
    plain = load(body)
    refuse_later(plain["format"], ROW_FORMAT, "a stored row")
    return plain


def searchable(text: str) -> str:
    """Return `text` as a column of every database can hold it; what is given back comes from the body."""
    return text.replace("\0", "?").encode("utf-8", "replace").decode()


def refuse_later(found: int, known: int, what: str) -> None:
    """Raise StoreError where `what` has a format that this release does not know yet."""
    if found > known:
        raise StoreError(f"{what} was written by a later release (format {found}); this one reads up to {known}")


@contextmanager
def refuse_foreign(what: str) -> Iterator[None]:
    """Turn whatever goes wrong with a body of another shape into StoreError."""
    try:
        yield
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"{what} cannot be read: {type(error).__name__} {error}") from error


# --- large values ---


def _without_large(values: Mapping[str, Any], large: Large) -> Mapping[str, Any]:
    if not values or not any(isinstance(value, str) and len(value) > LARGE for value in values.values()):
        return values
    return {
        name: {_LARGE_KEY: large.set_aside(value)} if isinstance(value, str) and len(value) > LARGE else value
        for name, value in values.items()
    }


def _large_in(plain: Mapping[str, Any], maps: Sequence[str]) -> Iterable[str]:
    """Return the digests that the maps of a loaded body refer to."""
    for name in maps:
        for value in plain[name].values():
            if isinstance(value, dict) and _LARGE_KEY in value:
                yield value[_LARGE_KEY]


def _with_large(values: Mapping[str, Any], apart: Apart) -> dict[str, Value]:
    return {name: _value_from(value, apart) if isinstance(value, dict) else value for name, value in values.items()}


def _value_from(plain: Mapping[str, Any], apart: Apart) -> Value:
    if _LARGE_KEY in plain:
        return apart[plain[_LARGE_KEY]]
    return SignedReference(plain["credential"], plain["by"]) if "by" in plain else Reference(plain["credential"])


# --- step executions ---


def strip_step(step: StepExecution, large: Large) -> StepExecution:
    """Return `step` with its large values set aside into `large`."""
    inputs, outputs, variables = (_without_large(values, large) for values in (step.inputs, step.outputs, step.variables))
    probe = step.probe and _strip_probe(step.probe, large)
    if inputs is step.inputs and outputs is step.outputs and variables is step.variables and probe is step.probe:
        return step
    return replace(step, inputs=inputs, outputs=outputs, variables=variables, probe=probe)


def _strip_probe(probe: Probe, large: Large) -> Probe:
    inputs, outputs = (_without_large(values, large) for values in (probe.inputs, probe.outputs))
    return probe if inputs is probe.inputs and outputs is probe.outputs else replace(probe, inputs=inputs, outputs=outputs)


def dump_steps(steps: Sequence[StepExecution], large: Large) -> bytes:
    """Return a chunk of step executions as JSON, behind the number of the format."""
    return dump([HEAD_FORMAT, *(strip_step(step, large) for step in steps)])


def load_steps(body: bytes) -> list[dict[str, Any]]:
    """Return the step executions of a chunk as plain JSON values; raises StoreError where a later release wrote them."""
    found: int
    steps: list[dict[str, Any]]
    found, *steps = load(body)
    refuse_later(found, HEAD_FORMAT, "a chunk of step executions")
    return steps


def digests_of_step(plain: Mapping[str, Any]) -> set[str]:
    """Return the digests of the large values of one loaded step execution; raises StoreError where it is none."""
    with refuse_foreign("a step execution"):
        return _digests_of_step(plain)


def _digests_of_step(plain: Mapping[str, Any]) -> set[str]:
    found = set(_large_in(plain, _STEP_MAPS))
    return found | set(_large_in(plain["probe"], _PROBE_MAPS)) if plain["probe"] else found


def step_from(plain: Mapping[str, Any], apart: Apart) -> StepExecution:
    """Return a step execution from what `load_steps` gave; raises StoreError where it is none."""
    with refuse_foreign("a step execution"):
        return _step_from(plain, apart)


def _step_from(plain: Mapping[str, Any], apart: Apart) -> StepExecution:
    known = _known(plain, _STEP_FIELDS) | _attempt_from(plain, _STEP_MAPS, apart)
    known["probe"] = _probe_from(plain["probe"], apart) if plain["probe"] else None
    child = plain["child"]
    known["child"] = Child(**{**child, "status": Status(child["status"])}) if child else None
    return StepExecution(**known)


def _probe_from(plain: Mapping[str, Any], apart: Apart) -> Probe:
    known = _known(plain, _PROBE_FIELDS) | _attempt_from(plain, _PROBE_MAPS, apart)
    known["verdict"] = Verdict(plain["verdict"]) if plain["verdict"] else None
    return Probe(**known)


def _attempt_from(plain: Mapping[str, Any], maps: Sequence[str], apart: Apart) -> dict[str, Any]:
    """Return what a step execution and its probe have alike, as values."""
    claim, device = plain["claim"], plain["device"]
    return {
        "state": StepState(plain["state"]),
        "result": Result(plain["result"]) if plain["result"] else None,
        "error": _error_from(plain["error"]),
        "claim": Claim(**claim) if claim else None,
        "device": DeviceLane(**device) if device else None,
        **{name: _with_large(plain[name], apart) for name in maps},
    }


def _known(plain: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """Return the fields called `names`; what a later release wrote besides is kept in `extra`, and written back with it."""
    everything = {**plain.get("extra", {}), **plain}
    known = {name: value for name, value in everything.items() if name in names}
    known["extra"] = {name: value for name, value in everything.items() if name not in names and name != "extra"}
    return known


def _error_from(plain: Mapping[str, str] | None) -> StepError | None:
    return StepError(ErrorCode(plain["code"]), plain["message"]) if plain else None


# --- heads ---


def dump_head(head: Head, large: Large) -> bytes:
    """Return a head as JSON, its large values set aside into `large`."""
    context, assignments, values = (_without_large(each, large) for each in (head.context, head.assignments, head.values))
    current = strip_step(head.current, large) if head.current else None
    if current is not head.current or context is not head.context or assignments is not head.assignments or values is not head.values:
        head = replace(head, current=current, context=context, assignments=assignments, values=values)
    return dump(head)


def digests_of_head(plain: Mapping[str, Any]) -> set[str]:
    """Return the digests of the large values of a loaded head; raises StoreError as `head_from` does."""
    with refuse_foreign("an execution"):
        refuse_later(plain["format"], HEAD_FORMAT, f"execution {plain['id']}")
        found = set(_large_in(plain, _HEAD_MAPS))
        return found | _digests_of_step(plain["current"]) if plain["current"] else found


def head_from(plain: Mapping[str, Any], apart: Apart) -> Head:
    """Return a head from what `load` gave; raises StoreError where it is none, or a later release wrote it in a format of its own."""
    with refuse_foreign(f"execution {plain['id']}"):
        return _head_from(plain, apart)


def _head_from(plain: Mapping[str, Any], apart: Apart) -> Head:
    known = _known(plain, _HEAD_FIELDS)
    known["context_type"] = ContextType(plain["context_type"])
    known["status"] = Status(plain["status"])
    known["current"] = _step_from(plain["current"], apart) if plain["current"] else None
    known["debug_step_ids"] = tuple(plain["debug_step_ids"])
    known["left_behind"] = tuple(Leftover(**each) for each in plain["left_behind"])
    known["awaited_lock"] = Lock(**plain["awaited_lock"]) if plain["awaited_lock"] else None
    known["locks"] = tuple(Lock(**each) for each in plain["locks"])
    known["applied"] = tuple(plain["applied"])
    known["pause_code"] = ErrorCode(plain["pause_code"]) if plain["pause_code"] else None
    known["error"] = _error_from(plain["error"])
    parent = plain["parent"]
    known["parent"] = Parent(**{**parent, "people": tuple(parent["people"])}) if parent else None
    for name in _HEAD_MAPS:
        known[name] = _with_large(plain[name], apart)
    return Head(**known)


# --- log entries ---


def dump_logs(entries: Sequence[LogEntry]) -> bytes:
    """Return log entries as a JSON array of arrays, behind the number of the format."""
    return dump([ROW_FORMAT, *map(_plain_entry, entries)])


def _plain_entry(entry: LogEntry) -> tuple[Any, ...]:
    line = () if entry.line is None else (entry.line,)
    return (entry.time, entry.level, entry.step, entry.message, *line)


def logs_from(body: bytes) -> list[LogEntry]:
    """Return log entries from their bytes; raises StoreError where a later release wrote them."""
    found, *entries = load(body)
    refuse_later(found, ROW_FORMAT, "a chunk of log entries")
    with refuse_foreign("a chunk of log entries"):
        return [LogEntry(time, LogLevel(level), message, step, *more[:1]) for time, level, step, message, *more in entries]
