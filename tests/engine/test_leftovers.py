"""Where something was left behind, in words. Risk: whoever looks for it by hand does not find it, for the log names another target, attempt or name."""

import pytest

from stepswitch.domain.events import AbandonCleanup, Abort, Lost
from stepswitch.domain.inventory import NOTHING_KNOWN
from stepswitch.engine.leftovers import Leftovers
from stepswitch.engine.snapshots import Snapshots
from tests.domain.documents import JsonObject, document
from tests.domain.lives import REMOTE, TYPES, steps
from tests.engine.rig import Rig


def at(host: str = "192.0.2.7", **more: JsonObject) -> JsonObject:
    return {"inBindings": {"host": {"type": "string", "defaultValue": host}, **more}}


def leftovers(rig: Rig) -> Leftovers:
    return Leftovers(rig.store, Snapshots(rig.store), rig.rules.types)


async def claimed(rig: Rig, source: JsonObject) -> str:
    execution = await rig.create(source)
    await rig.claim(execution)
    return execution


@pytest.mark.parametrize(
    ("of", "step", "told"),
    [
        ("ACT", at(), "step a (0), attempt 1, at 192.0.2.7:22"),
        ("ACT", {}, "step a (0), attempt 1"),
        ("REMOTE", at("core-7"), "step a (0), attempt 1, at core-7:22, under the name {id}-0-1"),
        (
            "REMOTE",
            at("core-7", vimLocation={"type": "vimLocation", "defaultValue": "north"}),
            "step a (0), attempt 1, at core-7:22 in north, under the name {id}-0-1",
        ),
    ],
)
async def test_it_says_step_attempt_target_and_the_name_there(rig: Rig, of: str, step: JsonObject, told: str) -> None:
    assert REMOTE.name in TYPES.by_name
    assert NOTHING_KNOWN.device_at("192.0.2.7", 22) is None
    execution = await claimed(rig, document(steps=steps("a", of=of, a=step)))
    await rig.apply(execution, Abort("x", "ann", None))
    places = await leftovers(rig).places(await rig.stored(execution))
    assert list(places.values()) == [told.format(id=execution)]


async def test_what_is_behind_is_told_from_its_row_and_in_the_log(rig: Rig) -> None:
    source = document(steps=steps("a", of="REMOTE", a={**at(), "policy": {"safeToRerun": True, "retry": {"maxAttempts": 3}}}))
    execution = await claimed(rig, source)
    await rig.apply(execution, Lost("lost", 0, 1, f"{execution}.0", "nobody is there"))
    head = await rig.stored(execution)
    assert head.current is not None
    assert head.current.number == 1
    places = await leftovers(rig).places(head)
    await rig.apply(execution, AbandonCleanup("x", "ann", None, "it was torn down", places=places))
    lines = [each.message for each in (await rig.store.logs(execution))[0]]
    where = f"step a (0), attempt 1, at 192.0.2.7:22, under the name {execution}-0-1"
    assert lines[-1] == f"what may be left behind by {where} is taken for gone by ann: it was torn down"
    assert await rig.store.cleanups(10) == []
