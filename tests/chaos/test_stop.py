"""Risk: a stop that was asked for loses a step that could have ended, puts one in doubt that is in none, or hangs on one that cannot end."""

import os
import signal
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.service import ROOT, ServiceProcess
from tests.chaos.test_kill import settle, ssh_step, workflow
from tests.openssh import OpenSshServer


def gate_of(server: OpenSshServer) -> Path:
    """Return a new pipe: a command that reads it has begun when somebody can open it to write, and ends when they close it."""
    path = server.work / "gate"
    os.mkfifo(path)
    path.chmod(0o666)
    return path


def begin(service: ServiceProcess, server: OpenSshServer, gate: Path, headers: dict[str, str]) -> str:
    """Store and queue a workflow whose only step waits for the gate; return the execution's id."""
    document: dict[str, Any] = {**workflow(), "startStepId": "first"}
    document["steps"] = {"first": ssh_step("", "")}
    del document["steps"]["first"]["nextStepId"], document["variables"]
    document["steps"]["first"]["inBindings"]["cmd"]["defaultValue"] = "cat < {{tag}}"
    assignments = {
        "hostNameOrIP": server.host,
        "username": server.user,
        "port": server.port,
        "password": server.password,
        "tag": str(gate),
    }
    request = {"workflowId": service.store(document, headers), "contextType": "NONE", "assignments": assignments, "pauseAtFailure": True}
    queued = httpx.put(f"{service.url}{ROOT}/workflowExecution", json=request, headers=headers)
    assert queued.status_code == 200, queued.text
    return str(queued.json()["id"])


def service_on(directory: Path, grace_seconds: int) -> ServiceProcess:
    return ServiceProcess(directory, STEPSWITCH_HOST_KEYS="accept-new", STEPSWITCH_GRACE_SECONDS=str(grace_seconds))


def test_a_stop_lets_a_running_step_end(tmp_path: Path) -> None:
    service = service_on(tmp_path / "data", 60)
    with OpenSshServer() as server:
        service.start()
        headers, gate = service.login(), gate_of(server)
        execution_id = begin(service, server, gate, headers)
        with gate.open("w") as writer:
            service.process.send_signal(signal.SIGTERM)
            service.wait_for_log("stopping")
            writer.write("done\n")
        assert service.ended() == 0
        service.start()
        execution = settle(service, execution_id, headers)
        service.end()
    assert execution["status"] == "COMPLETED"
    assert execution["stepExecutions"][0]["outputs"]["outputText"] == "done\n"


def test_a_second_signal_gives_the_step_up_and_says_so_at_the_next_start(tmp_path: Path) -> None:
    service = service_on(tmp_path / "data", 600)
    with OpenSshServer() as server:
        service.start()
        headers, gate = service.login(), gate_of(server)
        execution_id = begin(service, server, gate, headers)
        with gate.open("w"):
            service.process.send_signal(signal.SIGTERM)
            service.wait_for_log("stopping")
            assert service.end(signal.SIGTERM) == 0
        service.start()
        execution = settle(service, execution_id, headers)
        service.end()
        assert len(server.commands()) == 1
    last = execution["stepExecutions"][-1]
    assert (execution["status"], last["result"], last["error"]["code"]) == ("PAUSED", "UNKNOWN", "LOST")


def test_a_step_of_which_nothing_was_sent_is_given_back_and_runs_at_the_next_start(tmp_path: Path) -> None:
    """The grace period ends while the device has not even greeted."""
    service = service_on(tmp_path / "data", 0)
    with OpenSshServer() as server:
        service.start()
        headers, gate = service.login(), gate_of(server)
        with server.standing_still():
            execution_id = begin(service, server, gate, headers)
            while service.get(execution_id, headers)["stepExecutions"][-1]["state"] != "executing":
                service.live_for(0.05)
            assert service.end(signal.SIGTERM) == 0
        service.start()
        with gate.open("w") as writer:
            writer.write("done\n")
        execution = settle(service, execution_id, headers)
        service.end()
        assert len(server.commands()) == 1
    (step,) = execution["stepExecutions"]
    assert (execution["status"], step["attempt"], step["result"]) == ("COMPLETED", 1, "SUCCEEDED")
    assert sum("given back: nothing was sent" in each["msg"] for each in step["logs"]) == 1
