"""Risk: a backup made under load, and restored after the service went on, repeats a command or loses an execution.

What was really done is counted in the SSH server's own log, over the lost time and the time after the restore.
"""

import asyncio
import itertools
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.service import ROOT, ServiceProcess, bring_key
from tests.chaos.test_kill import Load, settle, workflow
from tests.openssh import OpenSshServer

CREATORS = 5
SETTINGS = {"STEPSWITCH_SESSIONS_PER_DEVICE": "3", "STEPSWITCH_HOST_KEYS": "accept-new"}


def stepswitch(*words: object) -> str:
    """Run a command to its end and return what it said."""
    done = subprocess.run([sys.executable, "-m", "stepswitch", *map(str, words)], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class SteadyLoad(Load):
    """Some executions under way all the time, until it is told to stop."""

    is_over = False

    async def run(self) -> None:
        await asyncio.gather(*(self._keep_going() for _ in range(CREATORS)))

    async def _keep_going(self) -> None:
        async with httpx.AsyncClient(base_url=self._service.url, headers=self._headers, timeout=60) as client:
            while not self.is_over:
                self._made += 1
                tag = f"tag{self._made}"
                answer = await client.put(f"{ROOT}/workflowExecution", json=self._request(tag))
                assert answer.status_code == 200, answer.text
                self.accepted[answer.json()["id"]] = tag
                settled = await asyncio.to_thread(settle, self._service, answer.json()["id"], self._headers)
                assert settled["status"] == "COMPLETED", settled


async def under_load(load: SteadyLoad, data: Path, backup: Path) -> None:
    """Make a backup while executions come and go."""
    running = asyncio.create_task(load.run())
    await asyncio.to_thread(stepswitch, "backup", backup, "--data-dir", data)
    load.is_over = True
    await running


def restored_executions(service: ServiceProcess, load: SteadyLoad, headers: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return every execution of the restored store, once it has settled."""
    params = {"nextpage_opaque_marker": "page_number=1,page_size=1000"}
    listed = httpx.get(f"{service.url}{ROOT}/workflowExecution", params=params, headers=headers, timeout=30).json()
    assert {each["id"] for each in listed} <= set(load.accepted)
    return {each["id"]: settle(service, each["id"], headers) for each in listed}


def go_on(service: ServiceProcess, execution: dict[str, Any], done: set[str], headers: dict[str, str]) -> None:
    """Do as a person would who looked at the target: go on behind what was done."""
    step = next(each for each in ("first", "second", "end") if each not in done)
    path = f"{service.url}{ROOT}/workflowExecution/{execution['id']}"
    assert httpx.patch(path, json={"startStepId": step}, headers=headers, timeout=30).status_code == 200
    assert httpx.post(f"{path}/resume", headers=headers, timeout=30).status_code == 200
    assert settle(service, execution["id"], headers)["status"] == "COMPLETED"


async def test_a_backup_under_load_repeats_nothing_unasked_and_loses_nothing(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data", **SETTINGS)
    with OpenSshServer(more_settings="MaxSessions 100") as server:
        await asyncio.to_thread(service.start)
        headers = service.login()
        load = SteadyLoad(service, server, service.store(workflow(), headers), headers)
        await under_load(load, tmp_path / "data", tmp_path / "backup")
        service.end()
        lost = Counter(server.commands())
        assert lost == Counter(f"echo {tag} {word}" for tag, word in itertools.product(load.accepted.values(), ("first", "second")))
        bring_key(tmp_path / "data", tmp_path / "restored")
        said = stepswitch("restore", tmp_path / "backup", "--data-dir", tmp_path / "restored")
        after = ServiceProcess(tmp_path / "restored", **SETTINGS)
        await asyncio.to_thread(after.start)
        headers = after.login()
        executions = restored_executions(after, load, headers)
        assert Counter(server.commands()) == lost, "a restored execution sent something that nobody asked for"
        paused = [each for each in executions.values() if each["status"] == "PAUSED"]
        assert len(paused) == len(executions) - sum(each["status"] == "COMPLETED" for each in executions.values())
        assert "executions that wait for somebody" in said
        for each in paused:
            (waiting,) = each["waitingFor"]
            assert (waiting["kind"], waiting["name"]) == ("person", "RESTORED")
            go_on(after, each, {word for word in ("first", "second") if lost[f"echo {load.accepted[each['id']]} {word}"]}, headers)
        assert Counter(server.commands()) == lost
        after.end()
    assert paused, "nothing was under way when the backup was made"
