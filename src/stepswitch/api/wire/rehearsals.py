"""Rehearsal documents to values, all faults at once, and reports to JSON. Called by `api.rehearsals` and by the command line.

What stands at the top of a document (`contextType`, `context`, `assignments`) counts for each of its rehearsals, which may add to it
and put something else in its place.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from stepswitch.api.wire.requests import present_map, request_reader, texts
from stepswitch.api.wire.times import format_time
from stepswitch.domain.errors import ErrorCode, ValueMisfitError
from stepswitch.domain.execution import ContextType, LogEntry, Result, Status, StepError, Verdict
from stepswitch.domain.names import shown
from stepswitch.domain.policies import MAX_SECONDS
from stepswitch.domain.readers import ObjectReader, refuse_unknown
from stepswitch.domain.values import Plain
from stepswitch.engine.budget import LARGE_BYTES, size_of_document
from stepswitch.engine.divergences import Divergence, Taken
from stepswitch.engine.rehearsal_orders import (
    MAX_REHEARSALS,
    MAX_STEP_EXECUTIONS,
    Act,
    ActKind,
    Expected,
    ExpectedStep,
    Rehearsal,
    RehearsalOrder,
    ScriptedResult,
)
from stepswitch.engine.rehearsals import Report

JsonObject = dict[str, Any]
_SHARED: Final = ("context", "assignments")
_DOCUMENT_FIELDS: Final = frozenset({"workflow", "workflowId", "contextType", *_SHARED, "rehearsals"})
_REHEARSAL_FIELDS: Final = frozenset(
    {"name", "contextType", *_SHARED, "attachments", "pauseAtFailure", "debugStepIds", "results", "probes", "operators", "expected"}
)
_RESULT_FIELDS: Final = frozenset({"result", "outputs", "error", "seconds", "times", "lost"})
_ERROR_FIELDS: Final = frozenset({"code", "message"})
_ACT_FIELDS: Final = frozenset({"act", "at", "startStepId", "values"})
_EXPECTED_FIELDS: Final = frozenset({"way", "status", "outputs", "values", "maxStepExecutions"})
_STEP_FIELDS: Final = frozenset({"stepId", "result", "attempt", "error", "verdict", "inputs"})
_NO_MESSAGE: Final = "as rehearsed"


# --- documents to values ----------------------------------------------------------------------------------------------


def is_large_body(body: object) -> bool:
    """Return whether it takes so long to read and check a document that others should have their answers meanwhile."""
    return size_of_document(body, LARGE_BYTES) > LARGE_BYTES


def rehearsal_order(body: object) -> RehearsalOrder:
    """Return what a document wants rehearsed, with the faults of its shape."""
    reader = request_reader(body, _DOCUMENT_FIELDS, "rehearsals")
    workflow, workflow_id = reader.child("workflow"), reader.name("workflowId")
    if (reader.source.get("workflow") is None) == (reader.source.get("workflowId") is None):
        reader.report.fault(ErrorCode.MISSING_FIELD, "", "give either workflow or workflowId")
    above = _Above(reader)
    if len(reader.items("rehearsals")) > MAX_REHEARSALS:
        reader.fault(ErrorCode.INVALID_VALUE, "rehearsals", f"a document has at most {MAX_REHEARSALS}")
        return RehearsalOrder(None, None, (), reader.report.faults)
    rehearsals = tuple(_rehearsal(each, above) for each in reader.objects("rehearsals"))
    if reader.source.get("rehearsals") == []:
        reader.fault(ErrorCode.MISSING_FIELD, "rehearsals", "there is none; give one at least")
    _refuse_same_names(rehearsals, reader)
    document = None if workflow is None else workflow.source
    return RehearsalOrder(document, workflow_id, rehearsals, reader.report.faults, is_large=is_large_body(body))


def _refuse_same_names(rehearsals: Sequence[Rehearsal], reader: ObjectReader) -> None:
    seen: set[str] = set()
    for rehearsal in rehearsals:
        if rehearsal.name in seen:
            reader.report.fault(ErrorCode.DECLARED_TWICE, f"{rehearsal.path}.name", "another rehearsal is called so")
        seen |= {rehearsal.name} - {""}


class _Above:
    """What stands at the top of a document for all of its rehearsals."""

    def __init__(self, reader: ObjectReader) -> None:
        self.context_type = reader.word("contextType", ContextType)
        self.maps = {field: present_map(reader, field) for field in _SHARED}

    def merged(self, reader: ObjectReader, field: str) -> dict[str, Any]:
        """Return what counts for one rehearsal; null takes away what stands above."""
        own = reader.child(field)
        given = {**self.maps[field], **(own.source if own is not None else {})}
        return {name: value for name, value in given.items() if value is not None}

    def shared(self, reader: ObjectReader) -> frozenset[str]:
        """Return the paths of what one rehearsal takes from above."""
        own = {field: reader.source.get(field) for field in _SHARED}
        names = ((field, name) for field, given in self.maps.items() for name in given)
        return frozenset(
            f"{field}.{shown(name)}" for field, name in names if not isinstance(inside := own[field], Mapping) or name not in inside
        )


def _rehearsal(reader: ObjectReader, above: _Above) -> Rehearsal:
    refuse_unknown(reader, _REHEARSAL_FIELDS)
    reader.require("name")
    expected = reader.child("expected")
    return Rehearsal(
        name=reader.name("name") or "",
        path=reader.path,
        shared=above.shared(reader),
        context_type=reader.word("contextType", ContextType) or above.context_type or ContextType.NONE,
        context=above.merged(reader, "context"),
        assignments=above.merged(reader, "assignments"),
        attachments=dict(_attachments(reader)),
        pause_at_failure=reader.flag("pauseAtFailure") or False,
        debug_step_ids=texts(reader, "debugStepIds"),
        results=_results(reader, "results"),
        probes=_results(reader, "probes"),
        acts=tuple(map(_act, reader.objects("operators"))) if _is_within_bounds(reader, "operators") else (),
        expected=Expected() if expected is None else _expected(expected),
    )


def _attachments(reader: ObjectReader) -> Iterator[tuple[str, str]]:
    inside = reader.child("attachments")
    for key in inside.source if inside is not None else ():
        content = inside.text(key) if inside is not None else None
        if content is not None:
            yield key, content


def _results(reader: ObjectReader, field: str) -> dict[str, tuple[ScriptedResult, ...]]:
    inside = reader.child(field)
    if inside is None:
        return {}
    return {step_id: tuple(map(_scripted, inside.objects(step_id))) for step_id in inside.source if _is_within_bounds(inside, step_id)}


def _is_within_bounds(reader: ObjectReader, field: str) -> bool:
    """Return whether an array has no more items than a rehearsal has step executions, and note a fault where it has."""
    items = reader.source.get(field)
    if not isinstance(items, list) or len(items) <= MAX_STEP_EXECUTIONS:
        return True
    message = f"has {len(items)} items; a rehearsal has at most {MAX_STEP_EXECUTIONS} step executions"
    reader.fault(ErrorCode.INVALID_VALUE, field, message)
    return False


def _scripted(reader: ObjectReader) -> ScriptedResult:
    refuse_unknown(reader, _RESULT_FIELDS)
    result, error, lost = reader.word("result", Result), reader.child("error"), reader.flag("lost") or False
    if result is Result.SKIPPED:
        reader.fault(ErrorCode.INVALID_VALUE, "result", "a step that is carried out is never SKIPPED")
    for field in ("result", "outputs", "error", "seconds") if lost else ():
        if reader.source.get(field) is not None:
            reader.fault(ErrorCode.INVALID_VALUE, field, "an attempt that is lost reports nothing: leave it out")
    succeeds = result in (None, Result.SUCCEEDED)
    if succeeds and error is not None:
        reader.fault(ErrorCode.INVALID_VALUE, "error", "an attempt that succeeds has no error: give the result FAILED or UNKNOWN")
    return ScriptedResult(
        result=result or Result.SUCCEEDED,
        outputs=dict(_outputs(reader)),
        error=None if error is None else _error(error),
        seconds=reader.amount("seconds", 0, MAX_SECONDS) or 0.0,
        times=reader.count("times", 1, MAX_STEP_EXECUTIONS) or 1,
        lost=lost,
    )


def _error(reader: ObjectReader) -> StepError:
    refuse_unknown(reader, _ERROR_FIELDS)
    reader.require("code")
    return StepError(_code(reader, "code") or ErrorCode.INTERNAL, reader.text("message") or _NO_MESSAGE)


def _code(reader: ObjectReader, field: str) -> ErrorCode | None:
    text = reader.text(field)
    if text is None or text in ErrorCode.__members__:
        return None if text is None else ErrorCode[text]
    hint = reader.report.hint(text, ErrorCode.__members__)
    reader.fault(ErrorCode.INVALID_VALUE, field, f"{shown(text)!r} is no error code{hint}")
    return None


def _outputs(reader: ObjectReader) -> Iterator[tuple[str, Plain]]:
    inside = reader.child("outputs")
    for name in inside.source if inside is not None else ():
        value = None if inside is None else _scalar(inside, name)
        if value is not None:
            yield name, value


def _scalar(reader: ObjectReader, field: str) -> Plain | None:
    """Return a string, number or boolean; structured data is noted as a fault, with what to do."""
    value = reader.source.get(field)
    if isinstance(value, dict | list):
        reader.fault(ErrorCode.WRONG_TYPE, shown(field), f"{ValueMisfitError(value, 'value')}; structured data travels as a JSON string")
        return None
    return reader.scalar(field)


def _act(reader: ObjectReader) -> Act:
    refuse_unknown(reader, _ACT_FIELDS)
    reader.require("act")
    kind, start = reader.word("act", ActKind), reader.name("startStepId")
    if start is not None and kind not in (None, ActKind.RESUME):
        reader.fault(ErrorCode.INVALID_VALUE, "startStepId", f"goes with resume: {kind} does not go on elsewhere")
    inside = reader.child("values")
    if inside is not None and kind is ActKind.ABORT:
        reader.fault(ErrorCode.INVALID_VALUE, "values", "an execution that is aborted has no use for them")
    return Act(kind or ActKind.RESUME, reader.name("at"), start, {} if inside is None else inside.source)


def _expected(reader: ObjectReader) -> Expected:
    refuse_unknown(reader, _EXPECTED_FIELDS)
    status = reader.word("status", Status)
    if status in (Status.QUEUED, Status.RUNNING):
        reader.fault(
            ErrorCode.INVALID_VALUE, "status", f"a rehearsal goes on until the execution has ended or paused; it is never {status}"
        )
    way = tuple(_expected_steps(reader)) if reader.source.get("way") is not None and _is_within_bounds(reader, "way") else None
    return Expected(
        way=way,
        status=status,
        outputs=None if reader.source.get("outputs") is None else _expected_values(reader, "outputs"),
        values=_expected_values(reader, "values"),
        max_step_executions=reader.count("maxStepExecutions", 1, MAX_STEP_EXECUTIONS),
    )


def _expected_steps(reader: ObjectReader) -> Iterator[ExpectedStep]:
    for place, item in enumerate(reader.items("way")):
        inside = ObjectReader({"stepId": item} if isinstance(item, str) else item, reader.at(f"way[{place}]"), reader.report)
        if not isinstance(inside.source, Mapping):
            wanted = "step; send its id, or an object"
            reader.fault(ErrorCode.WRONG_TYPE, f"way[{place}]", str(ValueMisfitError(item, wanted)))
            continue
        refuse_unknown(inside, _STEP_FIELDS)
        inside.require("stepId")
        yield ExpectedStep(
            step_id=inside.name("stepId") or "",
            result=inside.word("result", Result),
            attempt=inside.count("attempt", 1, MAX_STEP_EXECUTIONS),
            error=_code(inside, "error"),
            verdict=inside.word("verdict", Verdict),
            inputs=_expected_values(inside, "inputs"),
        )


def _expected_values(reader: ObjectReader, field: str) -> dict[str, Plain | None]:
    """Return values by name; null means that there is none."""
    inside = reader.child(field)
    return {} if inside is None else {name: _scalar(inside, name) for name in inside.source}


# --- reports to JSON --------------------------------------------------------------------------------------------------


def shown_reports(reports: Sequence[Report]) -> JsonObject:
    """Return what the rehearsals of one document came to, as JSON has it."""
    return {"asExpected": all(report.is_as_expected for report in reports), "rehearsals": list(map(_shown_report, reports))}


def _shown_report(report: Report) -> JsonObject:
    return {
        "name": report.name,
        "asExpected": report.is_as_expected,
        "status": report.status,
        "divergences": list(map(_shown_divergence, report.divergences)),
        "way": list(map(_shown_step, report.way)),
        "stepExecutions": report.step_executions,
        "seconds": report.seconds,
        "outputs": dict(report.outputs),
        "values": dict(report.values),
        "log": list(map(_shown_line, report.log)),
    }


def _shown_divergence(divergence: Divergence) -> JsonObject:
    return {"kind": divergence.kind, "path": divergence.path, "message": divergence.message}


def _shown_step(taken: Taken) -> JsonObject:
    error = taken.error
    maybe = {
        "result": taken.result,
        "error": None if error is None else error.code,
        "message": None if error is None else error.message,
        "verdict": taken.verdict,
        "because": taken.because or None,
        "assumed": taken.assumed or None,
    }
    return {"stepId": taken.step_id, "attempt": taken.attempt, **{name: value for name, value in maybe.items() if value is not None}}


def _shown_line(entry: LogEntry) -> JsonObject:
    return {"stepExecution": entry.step, "time": format_time(entry.time), "level": entry.level, "msg": entry.message}
