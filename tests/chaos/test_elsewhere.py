"""Risk: a stop between two words to a cluster or a vRO leaves there for ever what a step has started, or lets it be done twice; one while a VNFM is read
leaves an inventory that is half old and half new.

What these are told is many requests, and a stop after any of them is another one. The service is killed in the moment in which one has come:
it is carried out, and nobody hears the answer.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from stepswitch.engine.crash_points import CrashPoint
from tests.chaos.mortal import Mortal
from tests.chaos.stage import Json, Stage, said, waits_in_doubt
from tests.inventory.mano import Mano, vnf
from tests.kubernetes.api_server import TOKEN, FakeCluster
from tests.steps.http_server import Asked, reply
from tests.steps.vro_server import ENDED, PASSWORD, USER, FakeVro, open_vro

OWN: Final = "/stepswitch/api/v1"
GONE: Final = "nothing of it is left at the target"


@dataclass
class Killer:
    """Kills a service at some requests, one after the other; each is a method and a part of what it asks for."""

    stage: Stage
    at: Sequence[str]
    killed: int = field(default=0)

    def __call__(self, asked: Asked) -> None:
        if self.killed < len(self.at):
            method, _, part = self.at[self.killed].partition(" ")
            if asked.method == method and part in asked.target:
                self.killed += 1
                os.kill(self.stage.service.pid, signal.SIGKILL)


def own(stage: Stage, method: str, path: str, body: Any) -> None:
    answer = stage.service.client.request(method, f"{OWN}{path}", json=body)
    assert answer.status_code in {200, 201}, answer.text


def know(stage: Stage, location: Json, secret: str) -> None:
    """Say in the inventory where the VIM is, with the credential `there`."""
    source = {"kind": "stored", "value": secret}
    own(stage, "POST", "/credentials", {"name": "there", "source": source, "roles": ["*"], "workflows": ["*"], "devices": ["127.0.0.1"]})
    own(stage, "PUT", "/inventory/vim-locations/paris", location)


def dies_and_lives_again(stage: Stage, step: Json, deaths: int) -> str:
    """Have a step carried out until the service has died so often, and start it once more; return the execution, which is in doubt by then."""
    document = {"name": "n", "version": "1", "schemaVersion": "3.0", "startStepId": "a", "steps": {"a": step}}
    request = stage.request(str(stage.ok("PUT", "/workflow", document)["id"]), context={"vimLocation": "paris"})
    stage.fatal(lambda: stage.ok("PUT", "/workflowExecution", request))
    for _ in range(deaths - 1):
        stage.service.die_while_starting(None)
    stage.service.start()
    execution_id = stage.only_execution()
    assert said(waits_in_doubt(stage, execution_id), GONE) == 1
    return execution_id


def goes_on(stage: Stage, execution_id: str) -> None:
    stage.ok("POST", f"/workflowExecution/{execution_id}/resume")
    assert stage.settled(execution_id)["status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("at", "runs"),
    [
        ("GET pods", {0}),
        ("POST pods", {0}),
        ("POST secrets", {0, 1}),
        ("GET watch", {0, 1}),
        ("GET log", {1}),
        ("DELETE pods", {1}),
        ("DELETE secrets", {1}),
        ("POST secrets, GET pods", {0, 1}),
        ("POST secrets, DELETE pods", {0, 1}),
        ("POST secrets, DELETE secrets", {0, 1}),
    ],
)
async def test_a_stop_after_any_word_to_a_cluster_leaves_nothing_there_and_runs_no_script_twice(
    stage: Stage, tmp_path: Path, at: str, runs: set[int]
) -> None:
    marks = tmp_path / "marks"
    marks.touch()
    given = {"script": f"echo ran >>{marks}", "image": "tools:1"}
    bindings = {name: {"type": "string", "defaultValue": value} for name, value in given.items()}
    async with FakeCluster() as cluster:
        location = {"kubernetes": {"url": cluster.url(""), "token": {"credential": "there"}}}
        await asyncio.to_thread(stage.service.start)
        await asyncio.to_thread(know, stage, location, TOKEN)
        cluster.on_asked = killer = Killer(stage, at.split(", "))
        execution_id = await asyncio.to_thread(dies_and_lives_again, stage, {"type": "K8S", "inBindings": bindings}, len(killer.at))
        assert (killer.killed, cluster.everything()) == (len(killer.at), [])
        ran = len(marks.read_text().splitlines())
        assert ran in runs
        await asyncio.to_thread(goes_on, stage, execution_id)
        assert (len(marks.read_text().splitlines()), cluster.everything()) == (ran, [])


@pytest.mark.parametrize("takes_ids", [True, False], ids=["a vRO that takes ids", "one that gives them"])
@pytest.mark.parametrize(
    ("at", "begun"),
    [
        ("GET workflows", 0),
        ("POST executions", 1),
        ("GET executions/", 1),
        ("POST executions, GET executions/", 1),
        ("POST executions, DELETE state", 1),
    ],
)
async def test_a_stop_after_any_word_to_a_vro_leaves_no_run_going_on_and_begins_none_twice(
    stage: Stage, tmp_path: Path, at: str, begun: int, takes_ids: bool
) -> None:
    name = {"vroWorkflowName": {"type": "string", "defaultValue": "Heal"}}
    async with open_vro(tmp_path) as vro:
        vro.honours_ids = takes_ids
        vro.workflow("Heal", inputs={"stepswitchAttempt": "string"})
        await asyncio.to_thread(stage.service.start)
        await asyncio.to_thread(know, stage, at_paris(vro), PASSWORD)
        vro.on_asked = killer = Killer(stage, at.split(", "))
        execution_id = await asyncio.to_thread(dies_and_lives_again, stage, {"type": "VRO_CUSTOM", "inBindings": name}, len(killer.at))
        assert (killer.killed, len(vro.runs)) == (len(killer.at), begun)
        assert all(run.state in ENDED for run in vro.runs)
        await asyncio.to_thread(goes_on, stage, execution_id)
        assert len(vro.runs) == begun


def at_paris(vro: FakeVro) -> Json:
    """Return a VIM location with that vRO."""
    login = {"username": USER, "password": {"credential": "there"}}
    return {"vro": {"url": vro.url().rstrip("/"), "caCertificates": vro.authority, "login": login}}


@pytest.mark.parametrize(
    ("point", "at", "known"),
    [(None, "GET marker=4", 1), (CrashPoint.COMMIT_ASKED, "", 1), (CrashPoint.COMMIT_DONE, "", 5)],
    ids=["between two pages", "before it is on disk", "after it"],
)
async def test_a_stop_while_a_source_is_read_leaves_all_of_what_was_known_or_all_of_what_was_read(
    stage: Stage, point: CrashPoint | None, at: str, known: int
) -> None:
    stage.service, headers = Mortal(stage.data_dir, http_allowed_networks="127.0.0.0/8"), stage.service.headers
    stage.service.headers = headers
    async with Mano() as mano:
        mano.functions = [vnf("nf-0")]
        await asyncio.to_thread(stage.service.start, point)
        await asyncio.to_thread(has_source, stage, mano.root)
        mano.functions = [vnf(f"nf-{number}") for number in range(5)]
        mano.on_asked = Killer(stage, [at] if at else [])
        await asyncio.to_thread(stage.fatal, lambda: refresh(stage))
        mano.on("/mano/vnflcm/v2/vnf_instances", reply(503))
        await asyncio.to_thread(stage.service.start)
        assert await asyncio.to_thread(refresh, stage) == ("STALE", known)
        mano.handlers.clear()
        assert await asyncio.to_thread(refresh, stage) == ("CURRENT", 5)


def has_source(stage: Stage, url: str) -> None:
    """Have the inventory name a VNFM, and be read from it."""
    vim = {"vcenter": {"url": "https://vc.example.net"}, "vimConnectionIds": ["vim-1"]}
    source = {"kind": "SOL003", "url": url, "everySeconds": 86_400}
    own(stage, "PUT", "/inventory", {"vimLocations": {"paris": vim}, "sources": {"vnfm": source}})
    assert refresh(stage) == ("CURRENT", 1)


def refresh(stage: Stage) -> tuple[str, int]:
    """Have the VNFM read; return how that stands, and how many network functions it has brought."""
    answer = stage.service.client.post(f"{OWN}/inventory/sources/vnfm/refresh").json()
    return answer["state"], answer["networkFunctions"]
