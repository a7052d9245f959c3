"""Risk: what the time between a backup and its restore has left at a target is taken for what a step has begun since, or stays there beside it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stepswitch.bootstrap import back_up, restore
from stepswitch.config.settings import Settings
from stepswitch.engine.crash_points import CrashPoint
from tests.chaos.copying import SCRIPT, names_in, place_at, sending
from tests.chaos.mortal import PASSWORD as ADMIN
from tests.chaos.mortal import Mortal
from tests.chaos.service import bring_key
from tests.chaos.stage import Json, Stage, said
from tests.chaos.test_elsewhere import Killer, at_paris, know
from tests.kubernetes.api_server import TOKEN, FakeCluster
from tests.steps.http_server import reply
from tests.steps.vro_server import PASSWORD, FakeRun, open_vro

EARLIER = "which an earlier attempt had left"


class LostTime:
    """A service whose store is restored to the moment in which its one execution waited before its one step."""

    def __init__(self, stage: Stage, directory: Path) -> None:
        self.stage = stage
        self._backup = directory / "backup"
        self._lost = directory / "lost"

    def begins(self, workflow_id: str, step_id: str = "a", **more: Any) -> str:
        """Have an execution wait before its step, make the backup, and let it go on."""
        execution_id = self.stage.queue(workflow_id, debugStepIds=[step_id], **more)
        assert self.stage.settled(execution_id)["status"] == "PAUSED"
        back_up(self.stage.data_dir, self._backup)
        return execution_id

    def goes_on(self, execution_id: str) -> Json:
        """Say that the execution goes on; return it when it does not any more."""
        self.stage.ok("POST", f"/workflowExecution/{execution_id}/resume")
        return self.stage.settled(execution_id)

    def is_undone(self) -> None:
        """Restore the backup, and start the service on it."""
        stage = self.stage
        stage.service.end()
        stage.data_dir.rename(self._lost)
        bring_key(self._lost, stage.data_dir)
        asyncio.run(restore(Settings.model_validate({"data_dir": stage.data_dir}), self._backup))
        stage.service = Mortal(stage.data_dir)
        stage.service.start()
        answer = stage.service.client.post("/hybridity/api/sessions", json={"username": "admin", "password": ADMIN})
        stage.service.client.headers["x-hm-authorization"] = answer.headers["x-hm-authorization"]


@pytest.fixture
def lost_time(stage: Stage, tmp_path: Path) -> LostTime:
    return LostTime(stage, tmp_path)


def stored(stage: Stage, step: Json) -> str:
    document = {"name": "n", "version": "1", "schemaVersion": "3.0", "startStepId": "a", "steps": {"a": step}}
    return str(stage.ok("PUT", "/workflow", document)["id"])


def bound(**given: str) -> Json:
    return {name: {"type": "string", "defaultValue": value} for name, value in given.items()}


def last(execution: Json) -> Json:
    return dict(execution["stepExecutions"][-1])


def ends(run: FakeRun) -> None:
    run.state = "completed"


async def test_a_run_of_the_lost_time_is_not_taken_for_one_whose_beginning_vro_could_not_say(lost_time: LostTime, tmp_path: Path) -> None:
    stage = lost_time.stage
    async with open_vro(tmp_path) as vro:
        vro.workflow("Heal", work=ends)
        await asyncio.to_thread(stage.service.start)
        await asyncio.to_thread(know, stage, at_paris(vro), PASSWORD)
        workflow_id = await asyncio.to_thread(stored, stage, {"type": "VRO_CUSTOM", "inBindings": bound(vroWorkflowName="Heal")})
        execution_id = await asyncio.to_thread(lost_time.begins, workflow_id, context={"vimLocation": "paris"})
        done = await asyncio.to_thread(lost_time.goes_on, execution_id)
        assert (done["status"], len(vro.runs)) == ("COMPLETED", 1)
        await asyncio.to_thread(lost_time.is_undone)
        vro.refuses_next_begin_of("Heal", 1, reply(503))
        again = await asyncio.to_thread(lost_time.goes_on, execution_id)
        assert (last(again)["result"], len(vro.runs)) == ("UNKNOWN", 1), "nothing was begun, so nothing can have succeeded"
        assert vro.runs[0].id not in str(last(again))


def test_the_part_of_a_file_that_the_lost_time_has_left_goes_with_the_next_attempt(lost_time: LostTime) -> None:
    stage = lost_time.stage
    with place_at(stage) as place:
        stage.service.start(CrashPoint.SEND_MARKED)
        execution_id = lost_time.begins(sending(stage, place), "send")
        stage.fatal(lambda: stage.ok("POST", f"/workflowExecution/{execution_id}/resume"))
        assert (names_in(place), (place / "script").read_bytes()) == ([".part", "script"], SCRIPT)
        lost_time.is_undone()
        assert lost_time.goes_on(execution_id)["status"] == "COMPLETED"
        assert (names_in(place), (place / "script").read_bytes()) == (["script"], b"new")


async def test_a_pod_that_the_lost_time_has_left_is_removed_before_another_one_runs(lost_time: LostTime, tmp_path: Path) -> None:
    stage, marks = lost_time.stage, tmp_path / "marks"
    marks.touch()
    step = {"type": "K8S", "inBindings": bound(script=f"echo ran >>{marks}", image="tools:1")}
    async with FakeCluster() as cluster:
        location = {"kubernetes": {"url": cluster.url(""), "token": {"credential": "there"}}}
        await asyncio.to_thread(stage.service.start)
        await asyncio.to_thread(know, stage, location, TOKEN)
        workflow_id = await asyncio.to_thread(stored, stage, step)
        execution_id = await asyncio.to_thread(lost_time.begins, workflow_id, context={"vimLocation": "paris"})
        cluster.on_asked = Killer(stage, ["GET log"])
        await asyncio.to_thread(stage.fatal, lambda: stage.ok("POST", f"/workflowExecution/{execution_id}/resume"))
        (left,) = cluster.names("pods")
        await asyncio.to_thread(lost_time.is_undone)
        again = await asyncio.to_thread(lost_time.goes_on, execution_id)
        assert (again["status"], said(again, f"removed {left}, {EARLIER}"), cluster.everything()) == ("COMPLETED", 1, [])
        assert said(again, "made the pod") == 1
        assert said(again, f"made the pod {left} ") == 0, "it would be told from that of the lost time by nothing"
