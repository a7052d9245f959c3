"""What is kept at a device between two steps. Risks: more sessions than the device bears, one closed that its own execution could use, memory that grows."""

from dataclasses import replace

from stepswitch.domain.devices import DeviceLane
from stepswitch.worker.kept_sessions import KeptSessions, Left

ROUTER = DeviceLane("router", "192.0.2.7")
WIDE = replace(ROUTER, sessions=3)


def left(execution: str, step_type: str = "TCA_SSH", called: str = "192.0.2.7:22") -> Left:
    return Left(execution, step_type, called)


def visit(kept: KeptSessions, own: Left, device: DeviceLane = ROUTER) -> list[Left]:
    """Count an attempt in and out; return what was closed for it."""
    closed = kept.begin(device, own)
    kept.end(device, own)
    return list(closed)


def test_what_another_step_type_of_another_execution_has_kept_is_closed_before_there_are_two() -> None:
    kept = KeptSessions(1)
    assert visit(kept, left("e1")) == []
    assert visit(kept, left("e2", "NETCONF", "router.example.net:830")) == [left("e1")]
    assert visit(kept, left("e2", "TCA_SSH")) == [left("e2", "NETCONF", "router.example.net:830")]


def test_an_execution_goes_on_in_its_own_session() -> None:
    kept = KeptSessions(1)
    assert [visit(kept, left("e1")) for _ in range(3)] == [[], [], []]
    assert visit(kept, left("e1", called="router.example.net:22")) == [left("e1")], "by another name there would be a second one"


def test_the_oldest_go_first_and_no_more_than_must() -> None:
    kept = KeptSessions(1)
    for name in ("e1", "e2", "e3"):
        visit(kept, left(name), WIDE)
    kept.begin(WIDE, left("e4"))
    assert list(kept.begin(WIDE, left("e5"))) == [left("e2")]


def test_whoever_is_told_a_smaller_number_closes_more() -> None:
    kept = KeptSessions(1)
    for name in ("e1", "e2", "e3"):
        visit(kept, left(name), WIDE)
    assert visit(kept, left("e4")) == [left("e1"), left("e2"), left("e3")]


def test_other_devices_are_left_alone() -> None:
    kept = KeptSessions(1)
    visit(kept, left("e1"))
    assert visit(kept, left("e2"), DeviceLane("other", "192.0.2.8")) == []


def test_nothing_is_known_any_more_of_executions_that_have_ended() -> None:
    kept = KeptSessions(1)
    visit(kept, left("e1"))
    kept.forget("e1")
    kept.begin(ROUTER, left("e2"))
    kept.forget("e2")  # its report was the end of it: the place is given back a moment later
    kept.end(ROUTER, left("e2"))
    assert (kept._devices, kept._where) == ({}, {})
    assert visit(kept, left("e3")) == []
