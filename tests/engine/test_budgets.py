"""Risk: what is kept at hand grows with the size of documents and values until the memory is gone, or big work keeps everybody waiting."""

import asyncio
import json
import threading
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepswitch.api.wire.documents import SnapshotText, SnapshotTexts
from stepswitch.domain import conversion, parsing, validation
from stepswitch.domain.errors import InvalidRequestError
from stepswitch.domain.execution import ContextType, Status
from stepswitch.engine import catalogue, edits, snapshots, steering
from stepswitch.engine.budget import ENTRY_BYTES, Kept, is_large, portions, size_of_document
from stepswitch.engine.executions import ExecutionRequest
from stepswitch.engine.snapshots import Compiled, Snapshots, compile_snapshot
from stepswitch.engine.steering import ChangeOrder
from stepswitch.secrets.masking import Masking
from tests.domain.documents import document
from tests.domain.lives import steps
from tests.engine.rig import Rig, open_rig
from tests.engine.scripted import ANN, open_house

SMALL = document(steps=steps("a", "b"))
LARGE = document(steps=steps("a", "b"), description="x" * 100_000)


def test_the_oldest_goes_when_there_is_no_room() -> None:
    kept: Kept[str, str] = Kept(3 * (ENTRY_BYTES + 100))
    for name in "abc":
        kept.put(name, name.upper(), 100)
    assert kept.get("a") == "A"
    kept.put("d", "D", 100)
    assert [name in kept for name in "abcd"] == [True, False, True, True]
    kept.put("e", "E", 10_000_000)
    assert [name in kept for name in "acde"] == [False, False, False, True]
    kept.pop("e")
    for name in "abc":
        kept.put(name, name.upper(), 100)
        kept.put(name, name.upper(), 100)
    assert len(kept) == 3


def test_portions_hold_all_in_order_and_no_more_than_the_limit_together() -> None:
    for weights, expected in (
        ([], []),
        ([3, 4, 3], [[3, 4, 3]]),
        ([3, 4, 4], [[3, 4], [4]]),
        ([1, 99, 1, 10, 0], [[1], [99], [1], [10, 0]]),
    ):
        assert [*portions(weights, lambda weight: weight, 10)] == expected


def test_a_document_is_large_by_its_size_or_its_steps() -> None:
    assert not is_large(SMALL)
    assert is_large(LARGE)
    assert is_large({"steps": {str(number): {} for number in range(201)}})
    assert size_of_document(LARGE, 1_000) < size_of_document(LARGE) + 1
    assert 100_000 < size_of_document(LARGE) < 101_000


def many(count: int) -> list[str]:
    """Return workflows of many small parts, as they come over the wire."""
    bound = {name: {"type": "string", "defaultValue": "x" * 20} for name in ("host", "cmd", "username")}
    parts = steps(*(f"s{number}" for number in range(15)))
    long = {step_id: {**step, "inBindings": bound} for step_id, step in parts.items()}
    return [json.dumps(document(name=f"w{number}", steps=long if number % 2 else parts)) for number in range(count)]


def test_what_is_kept_takes_no_more_than_is_counted() -> None:
    """A budget that counts less than is taken is none: memory grows for days."""
    written = many(100)
    show = Masking().masker
    for each in written[:2]:
        _shown(compile_snapshot("default", json.loads(each)), show)
    tracemalloc.start()
    try:
        compiled = [compile_snapshot("default", json.loads(each)) for each in written]
        of_snapshots, _ = tracemalloc.get_traced_memory()
        texts = [_shown(each, show) for each in compiled]
        in_all, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert of_snapshots < 1.1 * sum(each.size + ENTRY_BYTES for each in compiled)
    assert in_all - of_snapshots < 1.1 * sum(each.size + ENTRY_BYTES for each in texts)


def _shown(compiled: Compiled, show: Callable[[Sequence[str]], Callable[[str], str]]) -> SnapshotText:
    text = SnapshotTexts().get(compiled, show, with_tenant=False)
    for step_id in compiled.workflow.steps:
        text.step(step_id)
    return text


async def test_snapshots_are_kept_up_to_a_number_of_bytes(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        kept = Snapshots(rig.store, kept_bytes=250_000)
        for number in range(5):
            kept.keep(compile_snapshot("default", {**LARGE, "name": str(number)}))
        assert len(kept._kept) == 2


async def test_heads_that_wait_for_a_person_or_hold_much_are_not_kept(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        running = await rig.create(SMALL)
        paused = await rig.create(SMALL, debug_step_ids=("a",))
        large = await rig.create(SMALL, context={"vnfId": "x" * 100_000})
        await rig.claim(running)
        assert (await rig.stored(paused)).status is Status.PAUSED
        assert [each in rig.conductor._heads for each in (running, paused, large)] == [True, False, False]
        await rig.claim(large)
        assert large in rig.conductor._heads


async def test_the_heads_together_have_a_budget(rig_with_small_budget: Rig) -> None:
    rig = rig_with_small_budget
    made = [await rig.create(SMALL, context={"vnfId": "x" * 30_000}) for _ in range(6)]
    assert len(rig.conductor._heads) == 3
    assert [await rig.claim(each) for each in made] == [await rig.claim(made[0])] * 6


@pytest.fixture
async def rig_with_small_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("stepswitch.engine.conductor.HEADS_KEPT_BYTES", 100_000)
    async with open_rig(tmp_path) as rig:
        yield rig


@pytest.mark.parametrize(("workflow", "is_elsewhere"), [(SMALL, False), (LARGE, True)], ids=["small", "large"])
async def test_large_documents_are_worked_on_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workflow: dict[str, Any], is_elsewhere: bool
) -> None:
    at: list[tuple[str, bool]] = []

    def watched(name: str, real: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            at.append((name, threading.current_thread() is not threading.main_thread()))
            return real(*given, **named)

        return call

    monkeypatch.setattr(catalogue, "check", watched("check", validation.check))
    monkeypatch.setattr(catalogue, "convert", watched("convert", conversion.convert))
    monkeypatch.setattr(steering, "edit", watched("edit", edits.edit))
    monkeypatch.setattr(snapshots, "parse", watched("parse", parsing.parse))
    async with open_house(tmp_path, start=False) as house:
        checked = await house.service.catalogue.create(ANN, workflow)
        request = ExecutionRequest(checked.workflow.id, ContextType.NONE)
        made = await asyncio.gather(*(house.service.executions.create(ANN, request) for _ in range(5)))
        assert at == [("check", is_elsewhere), ("parse", is_elsewhere)]
        await house.service.catalogue.validate(workflow)
        with pytest.raises(InvalidRequestError):  # it is of no older schema
            await house.service.catalogue.convert(workflow, {})
        await house.service.steering.pause(ANN, made[0].head.id)
        await house.service.steering.change(ANN, made[0].head.id, ChangeOrder(steps={"b": {"type": "NOOP"}}))
        assert at[2:] == [(name, is_elsewhere) for name in ("check", "convert", "edit", "parse")]
        at[2:] = []
        read = await Snapshots(house.service.views._store).get(made[0].head.snapshot_id)
        assert at[2:] == [("parse", is_elsewhere)]
        assert replace(read, size=0) == replace(made[0].compiled, size=0)
        assert house.service.conductor.snapshots._kept.get(read.snapshot.id) is made[0].compiled
