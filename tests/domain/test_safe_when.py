"""Types that are safe with some inputs and not with others. Risk: a change is sent twice unasked because a read of the same type may be."""

from dataclasses import replace
from typing import Any

import pytest

from stepswitch.domain.execution import Result, Status
from stepswitch.domain.states import StepState
from stepswitch.domain.step_types import collect
from stepswitch.steps.http_inputs import METHODS
from stepswitch.steps.registry import installed
from tests.domain.documents import JsonObject, document
from tests.domain.lives import ACT, Life, steps

S = StepState
TYPES = collect((replace(ACT, safe_when={"deed": frozenset({"look"}), "port": frozenset({"7"})}),))


def at(deed: str, **more: Any) -> JsonObject:
    """Return a document whose one step does a deed that is known only when its inputs are bound."""
    step = steps("a")["a"] | {"inBindings": {"deed": {"type": "string", "exportName": "deed"}}} | more
    return document(inputs={"deed": {"type": "string", "defaultValue": deed}}, startStepId="a", steps={"a": step})


def life_of(deed: str, **more: Any) -> Life:
    return Life(at(deed, **more), types=TYPES)


@pytest.mark.parametrize(("deed", "state"), [("look", S.EXECUTABLE), ("change", S.FINISHED)])
def test_a_lost_attempt_is_made_again_only_where_its_inputs_say_so(deed: str, state: StepState) -> None:
    one = life_of(deed)
    one.claim()
    one.lose()
    assert one.step.state is state
    assert (one.step.result is Result.UNKNOWN) == (deed == "change")


@pytest.mark.parametrize(("deed", "attempt"), [("look", 2), ("change", 1)])
def test_a_doubt_is_tried_again_only_where_its_inputs_say_so(deed: str, attempt: int) -> None:
    one = life_of(deed, policy={"retry": {"maxAttempts": 3}})
    one.claim()
    one.report(Result.UNKNOWN)
    assert one.step.attempt == attempt


@pytest.mark.parametrize(("deed", "status"), [("look", Status.QUEUED), ("change", Status.PAUSED)])
def test_after_a_restore_only_a_read_goes_on(deed: str, status: Status) -> None:
    one = life_of(deed)
    one.restore()
    assert one.status is status


@pytest.mark.parametrize(("deed", "status"), [("look", Status.RUNNING), ("change", Status.PAUSED)])
def test_after_a_restore_a_step_that_comes_later_is_asked_with_the_inputs_that_it_will_have(deed: str, status: Status) -> None:
    source = at(deed)
    made = steps("a", "b")
    made["a"] |= {"inBindings": {"deed": {"type": "string", "defaultValue": "look"}}}
    made["b"] |= {"inBindings": {"deed": {"type": "string", "exportName": "deed"}}}
    one = Life(source | {"steps": made}, types=TYPES)
    one.restore()
    one.ends()
    assert (one.at[0], one.status) == ("b", status)


@pytest.mark.parametrize(("deed", "said"), [("look", False), ("change", True)])
def test_what_the_author_says_counts_before_what_the_type_says(deed: str, said: bool) -> None:
    one = life_of(deed, policy={"safeToRerun": said})
    one.claim()
    one.lose()
    assert (one.step.state is S.EXECUTABLE) == said
    assert TYPES.by_name["ACT"].is_safe({"deed": deed}, said=said) == said
    assert replace(ACT, always_safe=True).is_safe({}, said=False)


def test_an_input_that_is_not_given_is_as_its_default() -> None:
    signature = installed()["HTTP"].signature
    assert signature.is_safe({"url": "https://core.example.net"})
    assert [method for method in METHODS if signature.is_safe({"method": method})] == ["GET", "HEAD", "OPTIONS"]


def test_a_number_counts_as_its_text_and_a_missing_input_as_nothing() -> None:
    signature = TYPES.by_name["ACT"]
    assert signature.is_safe({"port": 7})
    assert not signature.is_safe({"port": 8})
    assert not signature.is_safe({})
