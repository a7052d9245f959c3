"""Risk: an operator breaks another lock than he means, or does not see who has it."""

import json
from pathlib import Path
from typing import Any

from tests.cli.calling import Caller
from tests.cli.distant import Distant
from tests.cli.documents import written
from tests.domain.documents import document


def holding(stepswitch: Caller, place: Path, lock: str) -> str:
    """Return an execution that has a lock and is paused."""
    steps: dict[str, Any] = {"a": {"type": "NOOP", "nextStepId": "b", "policy": {"lock": lock}}, "b": {"type": "NOOP"}}
    started = stepswitch("execution", "start", written(place, document(name=f"Holds {lock}", startStepId="a", steps=steps)), "--debug", "b")
    assert started.exit == 0, started.err
    return started.out.strip()


def held(stepswitch: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(stepswitch("lock", "list", "--json").out)
    return found


def test_locks_are_listed_and_broken_by_their_name(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    execution = holding(stepswitch, tmp_path, "ring north")
    desk.do(desk.office.client.executions.wait(execution, timeout=30))
    listed = stepswitch("lock", "list").out
    assert "ring north" in listed
    assert execution in listed
    broken = stepswitch("lock", "break", "ring north", "--yes", "--reason", "the shift is over")
    assert (broken.exit, broken.err) == (0, f"{execution} has the lock ring north no more\n")
    assert any("broken by admin: the shift is over" in entry.msg for entry in desk.read(execution).logs)
    assert held(stepswitch) == []


def test_what_nobody_has_cannot_be_broken(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    execution = holding(stepswitch, tmp_path, "ring north")
    desk.do(desk.office.client.executions.wait(execution, timeout=30))
    missed = stepswitch("lock", "break", "ring south", "--yes")
    assert (missed.exit, missed.err) == (1, "no execution that you may see has the lock ring south\n")
    assert len(held(stepswitch)) == 1


def test_whoever_waits_is_shown_with_who_has_it(stepswitch: Caller, desk: Distant, tmp_path: Path) -> None:
    holder = holding(stepswitch, tmp_path, "ring north")
    desk.do(desk.office.client.executions.wait(holder, timeout=30))
    waiting = stepswitch("execution", "start", "Holds ring north").out.strip()
    assert f"lock ring north of {holder}, PAUSED" in stepswitch("execution", "show", waiting).out
