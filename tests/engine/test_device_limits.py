"""Time limits of the inventory. Risks: a slow device is given up early although its entry says how slow it is, or a step's own policy does not count."""

from typing import Any, Final

import pytest

from stepswitch.domain.decide import DEADLINE_GRACE_SECONDS
from stepswitch.domain.inventory import Inventory
from stepswitch.domain.inventory_document import read_inventory
from stepswitch.engine.claims import Claims, Grant
from stepswitch.engine.device_limits import DeviceLimits
from stepswitch.engine.snapshots import Snapshots
from stepswitch.secrets.masking import Masking
from tests.domain.documents import JsonObject, document
from tests.domain.lives import ACT, TYPES, steps
from tests.engine.rig import Rig

TEXT: Final = {"type": "string"}
SLOW: Final = {"addresses": ["slow-1", "192.0.2.7:830"], "timeLimits": {"attemptSeconds": 90_000}}
QUICK: Final = {"addresses": ["quick-1"]}


class Known:
    """Implements `InventoryFinder`, and notes who was asked for."""

    def __init__(self) -> None:
        read = read_inventory({"devices": {"slow": SLOW, "quick": QUICK}})
        assert read.inventory is not None
        self.inventory = read.inventory
        self.asked: list[str] = []

    async def of(self, tenant: str) -> Inventory:
        self.asked.append(tenant)
        return self.inventory


def acting(policy: JsonObject | None = None, **inputs: Any) -> JsonObject:
    bound = {name: {"type": "number" if name == "port" else "string", "defaultValue": value} for name, value in inputs.items()}
    return document(steps=steps("a", a={"inBindings": bound, **({"policy": policy} if policy else {})}))


async def claimed(rig: Rig, known: Known, workflow: JsonObject) -> tuple[Grant, float]:
    """Return what is granted for the first step of a workflow, and after how many seconds it counts as lost."""
    claims = Claims(
        DeviceLimits(known, TYPES), conductor=rig.conductor, store=rig.store, snapshots=Snapshots(rig.store), rules=rig.rules, secrets=Masking(), clock=rig.clock,
ids=rig.ids,
    )  # fmt: skip
    execution = await rig.create(workflow)
    grant = await claims.claim(rig.dispatcher.tasks[-1], "w1")
    assert isinstance(grant, Grant)
    step = (await rig.stored(execution)).current
    assert step is not None
    assert step.claim is not None
    assert step.claimed_time is not None
    return grant, (step.claim.deadline - step.claimed_time) / 1000 - DEADLINE_GRACE_SECONDS


@pytest.mark.parametrize(
    ("workflow", "seconds"),
    [
        (acting(host="SLOW-1."), 90_000),
        (acting(host="slow-1", port=2222), 90_000),
        (acting(host="192.0.2.7", port=830), 90_000),
        (acting(host="192.0.2.7"), ACT.time_limit_seconds),
        (acting(host="quick-1"), ACT.time_limit_seconds),
        (acting(host="nobody-knows"), ACT.time_limit_seconds),
        (acting({"timeoutSeconds": 7}, host="slow-1"), 7),
        (acting(), ACT.time_limit_seconds),
    ],
)
async def test_an_attempt_may_take_what_its_policy_says_then_its_device_then_its_type(
    rig: Rig, workflow: JsonObject, seconds: float
) -> None:
    grant, deadline = await claimed(rig, Known(), workflow)
    assert (grant.time_limit_seconds, deadline) == (seconds, seconds)


async def test_a_step_without_a_device_asks_no_inventory(rig: Rig) -> None:
    known = Known()
    await claimed(rig, known, acting())
    assert known.asked == []
    await claimed(rig, known, acting(host="slow-1"))
    assert known.asked == ["default"]
