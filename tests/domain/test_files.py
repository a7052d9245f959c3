"""Risk: a file changes under a step that reads it, is taken from what still refers to it, or is lost behind one of the same key."""

from typing import Any

import pytest

from stepswitch.domain import files
from stepswitch.domain.errors import ErrorCode, StateConflictError
from stepswitch.domain.events import Reply, Reported, SetFile
from stepswitch.domain.execution import Outcome, Result, Status
from tests.domain.documents import document
from tests.domain.lives import Life, life, nonce_of, steps

WORKFLOWS_OWN = {"say.js": {"id": "w1", "reference": "say.js"}}


def refused(one: Life, key: str, file_id: str | None, **more: Any) -> StateConflictError:
    before = one.head
    with pytest.raises(StateConflictError) as caught:
        one.set_file(key, file_id, **more)
    assert one.head is before
    return caught.value


def in_state(name: str) -> Life:
    """Return an execution with a file of its own, in a state."""
    one = life("a", "b", files={"own": "f1"}, debug=("a",) if name == "paused before" else (), pause_at_failure=name == "paused after")
    match name:
        case "running":
            one.claim()
        case "failed" | "paused after":
            one.fails()
        case "completed":
            one.ends().ends()
        case "aborted":
            one.abort()
    return one


STATES = ["queued", "running", "paused before", "paused after", "failed", "completed", "aborted"]


@pytest.mark.parametrize("state", STATES)
def test_a_file_is_added_as_long_as_it_can_be_of_use(state: str) -> None:
    one = in_state(state)
    if state in ("completed", "aborted"):
        assert refused(one, "new", "f2").code is ErrorCode.STATE_CONFLICT
        return
    step, status = one.step, one.status
    one.set_file("new", "f2", reason="the device wants it")
    assert one.head.attachments == {"own": "f1", "new": "f2"}
    assert (one.step, one.status) == (step, status)
    assert one.said("file new changed from none to f2 by bob: the device wants it")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("file_id", ["f2", None], ids=["replaced", "removed"])
def test_a_file_that_is_there_changes_only_while_nothing_can_read_it(state: str, file_id: str | None) -> None:
    one = in_state(state)
    if state not in ("paused before", "paused after", "failed"):
        assert refused(one, "own", file_id).code is ErrorCode.STATE_CONFLICT
        return
    one.set_file("own", file_id)
    assert one.head.attachments == ({} if file_id is None else {"own": "f2"})
    assert one.said(f"file own changed from f1 to {file_id or 'none'} by bob")


def test_an_addition_does_not_ask_what_was_seen_and_a_change_does() -> None:
    one = in_state("paused before")
    seen = one.head.version
    one.set_file("new", "f2", seen=seen - 1)
    for key in ("own", "new"):
        assert refused(one, key, "f3", seen=seen).code is ErrorCode.MOVED_ON
        assert refused(one, key, None, seen=seen).code is ErrorCode.MOVED_ON
    one.set_file("new", None)
    assert refused(one, "new", None, seen=one.head.version - 1).code is ErrorCode.MOVED_ON


def test_a_second_copy_of_the_event_counts_once() -> None:
    one = in_state("failed")
    event = SetFile("the same", "bob", one.head.version, key="new", file_id="f2")
    one.apply(event)
    before = one.head
    assert one.apply(event).reply is Reply.STORED
    assert one.head is before


def test_what_a_value_or_a_step_refers_to_is_not_taken_away() -> None:
    bound = {
        "script": {"type": "file", "defaultValue": "step.js"},
        "other": {"type": "file", "exportName": "plain"},
        "text": {"type": "string", "defaultValue": "free"},
    }
    source = document(
        inputs={"given": {"type": "file", "required": False}},
        variables={"plain": {"type": "string"}},
        steps=steps("a", a={"inBindings": bound}),
    )
    values = {"given": "by-key", "plain": "id-of-exported"}
    own = {"step.js": "f1", "by-key": "f2", "exported": "id-of-exported", "free": "f4"}
    one = Life(source, values=values, files=own, debug=("a",))
    users = {"step.js": "steps.a.inBindings.script.defaultValue", "by-key": "values.given", "exported": "values.plain"}
    for key, user in users.items():
        error = refused(one, key, None)
        assert (error.code, str(error)) == (ErrorCode.FILE_IN_USE, f"the file {key} is still referred to by {user}; correct that first")
    assert refused(one, "exported", "f9").code is ErrorCode.FILE_IN_USE  # the value names the very file, by its id
    one.set_file("by-key", "f9")
    one.set_file("free", None)
    one.set_values({"given": None})
    one.set_file("by-key", None)
    assert one.head.attachments == {"step.js": "f1", "exported": "id-of-exported"}


def test_the_workflows_own_file_comes_back_from_behind_one_of_the_same_key() -> None:
    source = document(attachments=WORKFLOWS_OWN, steps=steps("a", a={"inBindings": {"script": {"type": "file", "defaultValue": "say.js"}}}))
    one = Life(source, pause_at_failure=True)
    assert refused_while_queued(one)
    one.fails()
    assert "belongs to the workflow" in str(refused(one, "say.js", None))
    one.set_file("say.js", "f2")
    assert one.head.attachments == {"say.js": "f2"}
    one.set_file("say.js", None)
    assert one.head.attachments == {"say.js": "w1"}
    assert one.said("file say.js changed from f2 to w1 by bob")
    assert one.status is Status.PAUSED


def refused_while_queued(one: Life) -> bool:
    return refused(one, "say.js", "f2").code is ErrorCode.STATE_CONFLICT


def test_an_execution_has_a_bounded_number_of_files() -> None:
    full = {str(number): f"f{number}" for number in range(files.MOST)}
    one = life("a", files=full, debug=("a",))
    assert refused(one, "one more", "f").code is ErrorCode.TOO_LARGE
    one.set_file("0", "f")
    one.set_file("1", None)
    one.set_file("one more", "f")
    over = life("a", files={**full, "more": "f"}, debug=("a",))  # brought along when it was made
    over.set_file("more", "g")


def makes(one: Life, result: Result = Result.SUCCEEDED, **made: str) -> Reply:
    """Let a worker report files that it made."""
    step = one.step
    return one.apply(Reported(one.new_id(), step.number, step.attempt, nonce_of(step), Outcome(result, files=made))).reply


@pytest.mark.parametrize("result", [Result.SUCCEEDED, Result.FAILED, Result.UNKNOWN])
def test_what_a_step_made_becomes_the_executions_with_its_report(result: Result) -> None:
    one = life("a", "b", files={"own": "f1", "old": "f2"})
    one.claim()
    assert makes(one, result, old="f3", new="f4") is Reply.STORED
    assert one.head.attachments == {"own": "f1", "old": "f3", "new": "f4"}
    assert one.said("file old replaced by step a")
    assert one.said("file new added by step a")


def test_what_a_step_made_that_is_reported_after_it_was_given_up_is_taken_all_the_same() -> None:
    one = life("a", "b", pause_at_failure=True)
    one.claim()
    lost = one.step
    one.lose()
    one.apply(Reported("late", lost.number, lost.attempt, nonce_of(lost), Outcome(Result.SUCCEEDED, files={"new": "f1"})))
    assert (one.step.result, one.head.attachments) == (Result.SUCCEEDED, {"new": "f1"})


def test_what_an_aborted_step_made_is_not_taken() -> None:
    one = life("a", "b")
    one.claim()
    step = one.step
    one.abort()
    assert (
        one.apply(Reported("late", step.number, step.attempt, nonce_of(step), Outcome(Result.SUCCEEDED, files={"new": "f1"}))).reply
        is Reply.STALE
    )
    assert one.head.attachments == {}


def test_a_step_that_makes_more_files_than_an_execution_may_have_fails_and_gives_none() -> None:
    one = life("a", "b", files={f"k{number}": f"f{number}" for number in range(files.MOST)})
    one.claim()
    before = one.head.attachments
    makes(one, new="one too many")
    assert one.step.error is not None
    assert (one.step.result, one.step.error.code) == (Result.FAILED, ErrorCode.TOO_LARGE)
    assert one.head.attachments == before


def test_a_step_cannot_replace_a_file_that_is_referred_to_by_its_id() -> None:
    named = {"tool": {"type": "file", "defaultValue": "f1"}}
    one = Life(document(steps=steps("a", "b", b={"inBindings": named})), files={"old": "f1"}, pause_at_failure=True)
    one.claim()
    makes(one, old="f2")
    assert one.step.error is not None
    assert (one.step.error.code, one.head.attachments) == (ErrorCode.FILE_IN_USE, {"old": "f1"})
