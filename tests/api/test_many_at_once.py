"""Risk: where a thousand executions are wanted at once, some wait for ever, or one that never ends holds up the others."""

import asyncio
from pathlib import Path

from stepswitch.domain.execution import ENDED, Status
from stepswitch.engine.records import Committed
from tests.api.steered import open_desk
from tests.domain.documents import document

MANY = 1_000


class Ends:
    """An observer that knows which executions have ended, and how."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self.found: dict[str, Status] = {}
        self.all = asyncio.Event()

    def committed(self, change: Committed) -> None:
        if change.head is not None and change.head.status in ENDED:
            self.found[change.execution_id] = change.head.status
            if len(self.found) == self._wanted:
                self.all.set()


async def test_a_thousand_executions_at_once_all_end_beside_one_that_never_does(tmp_path: Path) -> None:
    endless = document(startStepId="a", steps={"a": {"type": "NOOP", "nextStepId": "b"}, "b": {"type": "NOOP", "nextStepId": "a"}})
    chain = {f"s{number}": {"type": "NOOP", "nextStepId": f"s{number + 1}"} for number in range(9)} | {"s9": {"type": "NOOP"}}
    async with open_desk(tmp_path, max_step_executions=10_000_000) as desk:
        ends = Ends(MANY)
        desk.house.service.observe(ends)
        never = await desk.queue(source=endless)
        workflow = await desk.store(document(startStepId="s0", steps=chain))
        made = await asyncio.gather(*(desk.order(workflow) for _ in range(MANY)))
        await asyncio.wait_for(ends.all.wait(), 60)
        assert ends.found == dict.fromkeys(made, Status.COMPLETED)
        seen = await desk.client.get(desk.place(never), params={"fields": "status"})
        assert seen.json()["status"] == "RUNNING"
        assert (await desk.ask(never, "abort")).status_code == 200
