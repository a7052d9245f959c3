"""Risk: a crash loses what was accepted, or sends a device command twice.

The service is killed with SIGKILL at random moments under load; what was really done is counted in the SSH server's own log.
CHAOS_ROUNDS says how often (twenty unless told), CHAOS_SEED repeats a run's moments.
"""

import asyncio
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepswitch.domain.flow import MAX_LOSSES
from tests.chaos.service import ROOT, ServiceProcess
from tests.openssh import OpenSshServer

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "20"))
SEED = int(os.environ.get("CHAOS_SEED", str(random.SystemRandom().randrange(10**6))))
CREATORS = 4
CREATES_EACH = 6
SETTLED = {"COMPLETED", "PAUSED", "FAILED", "ABORTED"}
WAITS: dict[str, list[list[str]]] = {"count": [[]], "first": [["first"], []], "second": [["first", "second"], ["first"]]}
"""What may have been done where an execution waits: at the script only when three kills have met it, one after the other."""


def ssh_step(word: str, next_step_id: str) -> dict[str, Any]:
    connection = {name: {"type": "string", "exportName": name} for name in ("hostNameOrIP", "username")}
    return {
        "type": "TCA_SSH",
        "nextStepId": next_step_id,
        "inBindings": {
            **connection,
            "port": {"type": "number", "exportName": "port"},
            "password": {"type": "password", "exportName": "password"},
            "cmd": {"type": "string", "defaultValue": f"echo {{{{tag}}}} {word}"},
        },
    }


def workflow() -> dict[str, Any]:
    return {
        "name": "two commands",
        "version": "1",
        "schemaVersion": "3.0",
        "startStepId": "begin",
        "inputs": {
            "hostNameOrIP": {"type": "string", "required": True},
            "username": {"type": "string", "required": True},
            "port": {"type": "number", "required": True},
            "password": {"type": "password", "required": True},
            "tag": {"type": "string", "required": True},
        },
        "variables": {"sum": {"type": "number"}},
        "steps": {
            "begin": {"type": "NOOP", "nextStepId": "count"},
            "count": {
                "type": "JS",
                "nextStepId": "first",
                "inBindings": {"script": {"type": "string", "defaultValue": "return { sum: 40 + 2 }"}},
                "outBindings": {"sum": {"name": "sum", "type": "number"}},
            },
            "first": ssh_step("first", "second"),
            "second": ssh_step("second", "end"),
            "end": {"type": "NOOP"},
        },
    }


class Load:
    """Creates executions until the service dies, and remembers what was accepted."""

    def __init__(self, service: ServiceProcess, server: OpenSshServer, workflow_id: str, headers: dict[str, str]) -> None:
        self._service = service
        self._server = server
        self._workflow_id = workflow_id
        self._headers = headers
        self._made = 0
        self.accepted: dict[str, str] = {}

    async def until_killed(self, moment_seconds: float) -> None:
        creators = [asyncio.create_task(self._create()) for _ in range(CREATORS)]
        await asyncio.to_thread(self._service.live_for, moment_seconds)
        await asyncio.to_thread(self._service.end)
        await asyncio.gather(*creators)

    async def undisturbed(self) -> None:
        """Create one that nobody kills: it has to complete."""
        await self._create(1)

    async def _create(self, times: int = CREATES_EACH) -> None:
        async with httpx.AsyncClient(base_url=self._service.url, headers=self._headers, timeout=60) as client:
            for _ in range(times):
                self._made += 1
                tag = f"tag{self._made}"
                try:
                    answer = await client.put(f"{ROOT}/workflowExecution", json=self._request(tag))
                except httpx.TransportError:
                    return
                assert answer.status_code == 200, answer.text
                self.accepted[answer.json()["id"]] = tag

    def _request(self, tag: str) -> dict[str, Any]:
        server = self._server
        assignments = {"hostNameOrIP": server.host, "username": server.user, "port": server.port, "password": server.password, "tag": tag}
        return {"workflowId": self._workflow_id, "contextType": "NONE", "pauseAtFailure": True, "assignments": assignments}


@pytest.mark.chaos
@pytest.mark.timeout(7200)
async def test_no_kill_loses_an_execution_or_repeats_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moments = random.Random(SEED)
    settings = {"STEPSWITCH_SESSIONS_PER_DEVICE": "8", "STEPSWITCH_HOST_KEYS": "accept-new", "STEPSWITCH_LOG_LEVEL": "info"}
    service = ServiceProcess(tmp_path / "data", **settings)
    with OpenSshServer(more_settings="MaxSessions 100") as server:
        await asyncio.to_thread(service.start)
        headers = service.login()
        load = Load(service, server, service.store(workflow(), headers), headers)
        for _ in range(ROUNDS):
            await load.until_killed(moments.uniform(0.02, 1.0))
            await asyncio.to_thread(service.start)
        await load.undisturbed()
        executions = {execution_id: settle(service, execution_id, headers) for execution_id in load.accepted}
        service.end()
        commands = Counter(server.commands())
        check(load.accepted, executions, commands)
    ends = Counter(execution["status"] for execution in executions.values())
    with capsys.disabled():
        sys.stdout.write(
            f"\n{ROUNDS} kills, {len(executions)} accepted executions: {dict(ends)}; {commands.total()} commands, none twice\n"
        )


def settle(service: ServiceProcess, execution_id: str, headers: dict[str, str]) -> dict[str, Any]:
    """Return the execution when it has ended or waits for a person."""
    for _ in range(3000):
        execution = service.get(execution_id, headers)
        if execution["status"] in SETTLED:
            return execution
        service.live_for(0.1)
    raise AssertionError(f"still {execution['status']} (CHAOS_SEED={SEED}): {execution}")


def check(accepted: dict[str, str], executions: dict[str, dict[str, Any]], commands: Counter[str]) -> None:
    repeated = [command for command, count in commands.items() if count > 1]
    assert not repeated, f"sent twice (CHAOS_SEED={SEED}): {repeated}"
    ends = Counter(execution["status"] for execution in executions.values())
    assert ends["COMPLETED"] > 0
    assert set(ends) <= {"COMPLETED", "PAUSED"}, f"CHAOS_SEED={SEED}: {ends}"
    for execution_id, tag in accepted.items():
        execution = executions[execution_id]
        done = [word for word in ("first", "second") if commands[f"echo {tag} {word}"]]
        last = execution["stepExecutions"][-1]
        if execution["status"] == "COMPLETED":
            assert done == ["first", "second"], f"CHAOS_SEED={SEED}: {tag} did {done}"
        else:
            assert (last["result"], last["error"]["code"]) == ("UNKNOWN", "LOST"), f"CHAOS_SEED={SEED}: {tag} waits for {last}"
            place = last["stepSnapshot"]["id"]
            assert done in WAITS[place], f"CHAOS_SEED={SEED}: {tag} waits at {place} and did {done}"
            assert place != "count" or last["attempt"] == MAX_LOSSES, f"CHAOS_SEED={SEED}: {tag} waits at its script for {last}"
