"""Risk: one tenant has all steps carried out, or what is held back for its limit never goes on, also not after a new start."""

from pathlib import Path

from stepswitch.domain.document import JsonObject
from stepswitch.domain.execution import ContextType, Status
from stepswitch.engine.callers import administrator
from stepswitch.engine.executions import ExecutionRequest
from stepswitch.engine.waiting import WaitingFor
from tests.domain.documents import document
from tests.engine.scripted import ANN, House, open_house

BEN = administrator("ben", "other")
DOCUMENT: JsonObject = document(steps={"a": {"type": "ACT"}})
ONE_AT_ONCE = {"default": {"executions_at_once": 1}}


async def queue_for_ben(house: House) -> str:
    checked = await house.service.catalogue.create(BEN, DOCUMENT)
    return (await house.service.executions.create(BEN, ExecutionRequest(checked.workflow.id, ContextType.NONE))).head.id


async def test_a_tenant_at_its_limit_waits_and_another_does_not(tmp_path: Path) -> None:
    async with open_house(tmp_path, tenant_limits=ONE_AT_ONCE) as house:
        queued = [await house.queue(DOCUMENT) for _ in range(3)]
        first = await house.act.next()
        await queue_for_ben(house)
        of_ben = await house.act.next()
        view = await house.service.views.execution(ANN, queued[1])
        assert [(each.kind, each.name) for each in view.waiting_for] == [("place", "tenant")]
        assert (view.head.status, view.queue_position, house.act.count) == (Status.QUEUED, 1, 2)
        of_ben.end()
        first.end()
        for execution_id in queued[1:]:
            call = await house.act.next()
            assert house.act.calls.empty()
            call.end()
            await house.watch.until(house.service, execution_id, lambda view: view.head.status is Status.COMPLETED)


async def test_what_waited_for_its_tenant_goes_on_after_a_start_without_the_limit(tmp_path: Path) -> None:
    async with open_house(tmp_path, tenant_executions_at_once=0) as house:
        queued = [await house.queue(DOCUMENT) for _ in range(3)]
        view = await house.service.views.execution(ANN, queued[2])
        assert isinstance(view.waiting_for[0], WaitingFor)
        assert (view.waiting_for[0].name, house.act.count) == ("tenant", 0)
    async with open_house(tmp_path) as house:
        for _ in queued:
            (await house.act.next()).end()
        for execution_id in queued:
            await house.watch.until(house.service, execution_id, lambda view: view.head.status is Status.COMPLETED)
