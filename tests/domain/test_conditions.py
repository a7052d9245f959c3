"""Risk: the way goes elsewhere than the author wrote, or a pattern hangs the engine."""

import re
import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepswitch.domain.conditions import COMPARATORS, MAX_PATTERN, Choice, choose, unfit
from stepswitch.domain.document import Comparator, Condition, Declaration, Step
from stepswitch.domain.references import Reference
from stepswitch.domain.values import Plain, ValueType

C = Comparator
ELEMENT: Mapping[ValueType, st.SearchStrategy[Plain]] = {
    ValueType.STRING: st.text(alphabet="ab1.") | st.integers(-3, 3).map(str) | st.sampled_from(["true", "false"]),
    ValueType.NUMBER: st.integers(-3, 3) | st.sampled_from([0.5, 1.0]),
    ValueType.BOOLEAN: st.booleans(),
}
OPERAND: st.SearchStrategy[Plain] = st.one_of(*ELEMENT.values())


def tried(condition: Condition, kind: ValueType, value: Plain | None) -> Choice:
    step = Step("a", "NOOP", next_step_id="else", conditions=(condition,))
    return choose(step, {"x": Declaration("x", kind)}, {} if value is None else {"x": value})


def decides(comparator: Comparator, kind: ValueType, element: Plain | None, value: Plain | None) -> bool:
    return tried(Condition("x", comparator, value, "then"), kind, element).next_step_id == "then"


def json_text(value: Plain) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def number(value: Plain) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def truth(value: Plain) -> bool | None:
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else value if isinstance(value, bool) else None


def oracle(comparator: Comparator, kind: ValueType, element: Plain | None, value: Plain) -> bool:
    if element is None:
        return False
    if comparator in (C.EQUALS, C.DIFFERENT):
        reads = {ValueType.STRING: json_text, ValueType.NUMBER: number, ValueType.BOOLEAN: truth}[kind]
        left, right = reads(element), reads(value)
        return left is not None and right is not None and (left == right) is (comparator is C.EQUALS)
    if comparator is C.CONTAINS:
        return json_text(value) in json_text(element)
    if comparator is C.MATCH:
        return re.fullmatch(json_text(value), json_text(element)) is not None
    if comparator in (C.IS_TRUE, C.IS_FALSE):
        return truth(element) is (comparator is C.IS_TRUE)
    if comparator is C.IS_DEFINED:
        return True
    left_number, right_number = number(element), number(value)
    if left_number is None or right_number is None:
        return False
    return {
        C.GREATER: left_number > right_number,
        C.SMALLER: left_number < right_number,
        C.GREATER_OR_EQUALS: left_number >= right_number,
        C.SMALLER_OR_EQUALS: left_number <= right_number,
    }[comparator]


def test_the_table_is_complete() -> None:
    assert set(COMPARATORS) == set(Comparator)


@pytest.mark.parametrize("kind", ELEMENT)
@given(data=st.data(), comparator=st.sampled_from(Comparator), value=OPERAND)
def test_every_comparator_agrees_with_its_description(kind: ValueType, data: st.DataObject, comparator: Comparator, value: Plain) -> None:
    element = data.draw(ELEMENT[kind] | st.none())
    assert decides(comparator, kind, element, value) == oracle(comparator, kind, element, value)


@pytest.mark.parametrize(
    ("comparator", "kind", "element", "value", "wanted"),
    [
        (C.EQUALS, ValueType.NUMBER, 5, "5.0", True),
        (C.EQUALS, ValueType.STRING, "5", 5, True),
        (C.EQUALS, ValueType.STRING, "true", True, True),
        (C.EQUALS, ValueType.PASSWORD, "x", "x", True),
        (C.DIFFERENT, ValueType.NUMBER, 5, "word", False),
        (C.DIFFERENT, ValueType.STRING, None, "x", False),
        (C.CONTAINS, ValueType.STRING, "show version", "ver", True),
        (C.MATCH, ValueType.STRING, "abc", "b", False),
        (C.MATCH, ValueType.STRING, "abc", ".b.", True),
        (C.GREATER, ValueType.STRING, "10", "9", True),
        (C.IS_DEFINED, ValueType.STRING, "", None, True),
        (C.IS_DEFINED, ValueType.STRING, None, None, False),
        (C.IS_TRUE, ValueType.BOOLEAN, True, None, True),
        (C.IS_FALSE, ValueType.STRING, "False", None, True),
        (C.IS_FALSE, ValueType.BOOLEAN, None, None, False),
        (C.EQUALS, ValueType.STRING, "x", None, False),
    ],
)
def test_comparators(comparator: Comparator, kind: ValueType, element: Plain | None, value: Plain | None, wanted: bool) -> None:
    assert decides(comparator, kind, element, value) is wanted


def test_the_first_that_holds_decides_and_may_end_the_workflow() -> None:
    first = Condition("x", C.EQUALS, "no", "b")
    ends = Condition("x", C.EQUALS, "yes")
    late = Condition("x", C.IS_DEFINED, None, "c")
    step = Step("a", "NOOP", next_step_id="else", conditions=(first, ends, late))
    assert choose(step, {}, {"x": "yes"}) == Choice(None, ends)
    assert choose(step, {}, {"x": "maybe"}) == Choice("c", late)
    assert choose(step, {}, {}).next_step_id == "else"
    assert choose(Step("a", "NOOP", "b"), {}, {}) == Choice("b")
    assert choose(Step("a", "NOOP"), {}, {}) == Choice(None)


@pytest.mark.parametrize(
    ("comparator", "element", "value"),
    [
        (C.EQUALS, None, "x"),
        (C.GREATER, "hunter22", 5),
        (C.MATCH, "hunter22", "("),
        (C.IS_TRUE, "hunter22", None),
        (C.MATCH, "\ud800", "."),
    ],
)
def test_what_cannot_be_compared_is_said_without_showing_it(comparator: Comparator, element: Plain | None, value: Plain | None) -> None:
    choice = tried(Condition("x", comparator, value, "then"), ValueType.STRING, element)
    assert choice.next_step_id == "else"
    (note,) = choice.notes
    assert comparator in note
    assert "hunter22" not in note


def test_what_was_compared_and_is_false_needs_no_note() -> None:
    assert tried(Condition("x", C.EQUALS, "b", "then"), ValueType.STRING, "a").notes == ()


def test_no_pattern_hangs_the_engine() -> None:
    begun = time.process_time()
    assert not decides(C.MATCH, ValueType.STRING, "a" * 100_000 + "!", "(a+)+")
    assert not decides(C.MATCH, ValueType.STRING, "a" * 1_000_000, "(?:a?){1000}" * 8)
    assert not decides(C.MATCH, ValueType.STRING, "a" * 1_000_000, "(?:a?){1000}" * 300)
    assert time.process_time() - begun < 5


def test_an_ordinary_pattern_reads_a_megabyte() -> None:
    assert decides(C.MATCH, ValueType.STRING, "line of output\n" * 70_000 + "error 42 here", r"(?s).*error (\d+) here.*")


def test_what_can_never_be_compared_is_known_beforehand() -> None:
    assert unfit(Condition("x", C.MATCH, "a" * (MAX_PATTERN + 1)), ValueType.STRING)
    assert unfit(Condition("x", C.GREATER, "5"), ValueType.STRING) is None
    assert unfit(Condition("x", C.GREATER, "word"), None) is None
    assert unfit(Condition("x", C.EQUALS), None)
    assert unfit(Condition("x", C.IS_DEFINED), ValueType.FILE) is None


def test_deciding_is_quick() -> None:
    step = Step("a", "NOOP", "b", tuple(Condition("x", C.MATCH, f"{n}+", "c") for n in range(3)))
    begun = time.process_time()
    for _ in range(10_000):
        choose(step, {}, {"x": "word"})
    assert time.process_time() - begun < 2


def test_a_broken_pattern_is_not_shown() -> None:
    why = unfit(Condition("pw", Comparator.MATCH, "(s3cr3t-of-the-router"), ValueType.PASSWORD)
    assert why is not None
    assert "missing )" in why
    assert "s3cr3t" not in why


@pytest.mark.parametrize("comparator", [C.EQUALS, C.DIFFERENT, C.CONTAINS, C.MATCH])
def test_a_credential_is_compared_with_nothing_and_no_name_is_found_out_by_asking(comparator: Comparator) -> None:
    step = Step("a", "NOOP", next_step_id="else", conditions=(Condition("x", comparator, "core", "then"),))
    chosen = choose(step, {"x": Declaration("x", ValueType.PASSWORD)}, {"x": Reference("core")})
    assert chosen.next_step_id == "else"
    assert "a credential is compared with nothing" in str(chosen)
