"""A copy that leaves something out, or takes what is no field, would be a stored execution that is wrong."""

from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from inspect import signature

import pytest

from stepswitch.domain.changed import changed, quickly_made
from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.execution import LogEntry, LogLevel, Result, StepExecution
from stepswitch.domain.states import StepState

STEP = StepExecution(
    3, "ask", StepState.EXECUTABLE, 10, 11, "snapshot", attempt=2, inputs={"cmd": "show"}, device=DeviceLane("core-1", "192.0.2.1")
)


def test_every_field_is_copied_and_the_named_ones_are_new() -> None:
    copy = changed(STEP, state=StepState.FINISHED, result=Result.SUCCEEDED, end_time=12)
    assert copy == replace(STEP, state=StepState.FINISHED, result=Result.SUCCEEDED, end_time=12)
    assert all(
        getattr(copy, field.name) is getattr(STEP, field.name)
        for field in fields(STEP)
        if field.name not in ("state", "result", "end_time")
    )
    assert STEP.state is StepState.EXECUTABLE


def test_a_field_that_is_none_is_refused_as_replace_refuses_it() -> None:
    with pytest.raises(TypeError, match="StepExecution has no field colour"):
        changed(STEP, colour="red", state=StepState.FINISHED)  # type: ignore[call-arg]


def test_kinds_do_not_mix() -> None:
    entry = LogEntry(1, LogLevel.INFO, "hello")
    assert changed(entry, message="bye") == LogEntry(1, LogLevel.INFO, "bye")
    assert changed(STEP) == STEP


def test_a_copy_is_as_frozen_as_what_it_was_made_of() -> None:
    copy = changed(STEP, attempt=3)
    assert type(copy) is StepExecution
    with pytest.raises(FrozenInstanceError):
        copy.attempt = 4  # type: ignore[misc] # that is what is tried
    assert copy.attempt == 3
    assert hash(changed(LogEntry(1, LogLevel.INFO, "hello"))) == hash(LogEntry(1, LogLevel.INFO, "hello"))


def _pair() -> tuple[type, type]:
    """Return a type with a field of each kind as `dataclass` makes it, and as it is made quickly."""

    def plain() -> type:
        @dataclass(frozen=True, slots=True)
        class Pair:
            name: str
            number: int = 7
            values: dict[str, int] = field(default_factory=dict)
            seen: int = field(default=0, compare=False, repr=False)

        return Pair

    return plain(), quickly_made(plain())


def test_what_is_made_quickly_is_what_a_dataclass_makes() -> None:
    slow, quick = _pair()
    for arguments, named in ((("a",), {}), (("a", 1, {"b": 2}, 3), {}), (("a",), {"seen": 4, "values": {"c": 5}}), ((), {"name": "d"})):
        one, other = slow(*arguments, **named), quick(*arguments, **named)
        assert asdict(one) == asdict(other)
        assert repr(one) == repr(other)
        assert type(other) is quick
        with pytest.raises(FrozenInstanceError):
            other.name = "e"  # type: ignore[attr-defined] # that is what is tried
    assert quick("a") == quick("a", seen=9)
    assert quick("a").values is not quick("a").values
    assert str(signature(quick)) == str(signature(slow))


@pytest.mark.parametrize(("arguments", "named"), [((), {}), (("a", 1, {}, 2, 3), {}), (("a",), {"colour": 1}), (("a",), {"name": "b"})])
def test_what_a_dataclass_does_not_take_is_not_taken(arguments: tuple[object, ...], named: dict[str, object]) -> None:
    for kind in _pair():
        with pytest.raises(TypeError):
            kind(*arguments, **named)


def test_a_type_that_does_more_than_set_its_fields_is_not_made_quickly() -> None:
    @dataclass(frozen=True, slots=True)
    class Checked:
        name: str

        def __post_init__(self) -> None:
            raise AssertionError("it would not be called")

    @dataclass(frozen=True, slots=True)
    class Named:
        name: str = field(kw_only=True)

    @dataclass(frozen=True, slots=True)
    class Derived:
        name: str = field(init=False, default="")

    for kind in (Checked, Named, Derived):
        with pytest.raises(TypeError, match=f"{kind.__name__} is more than its fields"):
            quickly_made(kind)
