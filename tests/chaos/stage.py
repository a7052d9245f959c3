"""A mortal service with a real device to act on, and short words for what tests of its deaths do and look for."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import httpx

from tests.chaos.mortal import PASSWORD, Mortal
from tests.openssh import OpenSshServer

ROOT: Final = "/telco/api/workflows"
SETTLED: Final = frozenset({"COMPLETED", "PAUSED", "FAILED", "ABORTED"})
POLL_SECONDS: Final = 0.02
SILENCE_SECONDS: Final = 6.0
"""After which a worker counts as lost; with much less, a machine that is busy would be enough for that."""
POLLS: Final = 2_000
TOLD: Final = ["echo one", "echo two"]
Json = dict[str, Any]


def ssh_step(server: OpenSshServer, command: str, next_step_id: str | None, **more: Any) -> Json:
    given = {"hostNameOrIP": server.host, "username": server.user, "cmd": command}
    bindings: Json = {name: {"type": "string", "defaultValue": value} for name, value in given.items()}
    bindings["port"] = {"type": "number", "defaultValue": server.port}
    bindings["privateKey"] = {"type": "password", "defaultValue": server.private_key}
    return {"type": "TCA_SSH", "nextStepId": next_step_id, "inBindings": bindings, **more}


def workflow(server: OpenSshServer, *commands: str, **more: Any) -> Json:
    """Return a workflow that sends `commands` one after the other, between a first and a last step without effect."""
    names = ["begin", *(f"step{place}" for place in range(len(commands))), "end"]
    steps: Json = {"begin": {"type": "NOOP", "nextStepId": names[1]}, "end": {"type": "NOOP"}}
    for place, command in enumerate(commands):
        steps[f"step{place}"] = ssh_step(server, command, names[place + 2], **more)
    return {"name": "commands", "version": "1", "schemaVersion": "3.0", "startStepId": "begin", "steps": steps}


class Stage:
    """One data directory, prepared once and copied for each test: the first start costs most of a second."""

    def __init__(self, prepared: Path, directory: Path, server: OpenSshServer, headers: Mapping[str, str]) -> None:
        self.data_dir = directory / "data"
        shutil.copytree(prepared, self.data_dir)
        self.server = server
        self.service = Mortal(self.data_dir, silence_seconds=SILENCE_SECONDS)
        self.service.headers = dict(headers)
        self._told_before = len(server.commands())

    @property
    def told(self) -> list[str]:
        """Every command that the device was asked to run since this stage was set."""
        return self.server.commands()[self._told_before :]

    # --- what people do ---

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self.service.client.request(method, f"{ROOT}{path}", json=body, **more)

    def ok(self, method: str, path: str, body: Any = None) -> Json:
        answer = self.call(method, path, body)
        assert answer.status_code in {200, 204}, (answer.status_code, answer.text, self.service.log)
        return dict(answer.json()) if answer.content else {}

    def fatal(self, act: Callable[[], object]) -> None:
        """Arm the service, do what it dies of, and return when it is dead.

        Before, it is asked for what is no operation: when that is answered it is done with everything that was answered earlier.
        """
        self.service.client.get("/nothing-that-is-served")
        self.service.arm()
        with suppress(httpx.TransportError):
            act()
        self.service.await_death()

    def store(self, *commands: str, **more: Any) -> str:
        return str(self.ok("PUT", "/workflow", workflow(self.server, *commands, **more))["id"])

    def request(self, workflow_id: str, **more: Any) -> Json:
        return {"workflowId": workflow_id, "contextType": "NONE", "pauseAtFailure": True, **more}

    def queue(self, workflow_id: str, **more: Any) -> str:
        return str(self.ok("PUT", "/workflowExecution", self.request(workflow_id, **more))["id"])

    def execution(self, execution_id: str) -> Json:
        return self.ok("GET", f"/workflowExecution/{execution_id}")

    def executions(self) -> list[str]:
        """Return the ids of all executions that there are."""
        answer = self.call("GET", "/workflowExecution?fields=id")
        assert answer.status_code == 200, answer.text
        return [str(each["id"]) for each in answer.json()]

    def only_execution(self) -> str:
        (found,) = self.executions()
        return found

    def until(self, holds: Callable[[], Any]) -> Any:
        """Return what `holds` returns, once it is anything."""
        for _ in range(POLLS):
            found = holds()
            if found:
                return found
            self.service.live_for(POLL_SECONDS)
        raise AssertionError(f"it never came to pass: {self.service.log[-2000:]}")

    def settled(self, execution_id: str) -> Json:
        """Return an execution when it has ended or waits for a person."""

        def look() -> Json | None:
            execution = self.execution(execution_id)
            return execution if execution["status"] in SETTLED else None

        return dict(self.until(look))

    def gate(self) -> Path:
        """Return a new pipe: a command that reads it has begun when somebody can open it to write, and ends when they close it."""
        path = self.server.work / f"gate{len(list(self.server.work.iterdir()))}"
        os.mkfifo(path)
        path.chmod(0o666)
        return path

    @property
    def files(self) -> list[Path]:
        return list((self.data_dir / "files").iterdir())


def said(execution: Json, part: str) -> int:
    """Return how often the log of an execution, or of one of its steps, says `part`."""
    lines = [
        *(str(entry["msg"]) for entry in execution["logs"]),
        *(str(entry["msg"]) for step in execution["stepExecutions"] for entry in step["logs"]),
    ]
    return sum(part in line for line in lines)


def prepare(directory: Path) -> tuple[Path, Mapping[str, str]]:
    """Return a data directory that has had its first start, and the headers of somebody who is logged in there."""
    service = Mortal(directory / "prepared")
    service.start()
    answer = service.client.post("/hybridity/api/sessions", json={"username": "admin", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    service.end()
    return directory / "prepared", {"x-hm-authorization": answer.headers["x-hm-authorization"]}


def queued(stage: Stage, *commands: str, **more: Any) -> str:
    """Return an execution that is stored paused, and let it go once the service is armed."""
    execution_id = stage.queue(stage.store(*commands, **more), debugStepIds=["begin"])
    stage.service.arm()
    with suppress(httpx.TransportError):
        stage.call("POST", f"/workflowExecution/{execution_id}/resume")
    return execution_id


def completes(stage: Stage, execution_id: str, commands: Sequence[str] = TOLD) -> None:
    execution = stage.settled(execution_id)
    assert execution["status"] == "COMPLETED", execution
    assert stage.told == list(commands)
    assert said(execution, "queued by") == said(execution, "started") == said(execution, "ended COMPLETED") == 1


def waits_in_doubt(stage: Stage, execution_id: str) -> Json:
    """Return an execution that the stop of the service has left in doubt, once the start has also said that nothing is left at the target."""
    stage.settled(execution_id)
    execution: Json = stage.until(lambda: _without_leftovers(stage.execution(execution_id)))
    last = execution["stepExecutions"][-1]
    assert (execution["status"], last["state"]) == ("PAUSED", "waitingAfterExecution")
    assert (last["result"], last["error"]["code"]) == ("UNKNOWN", "LOST")
    assert said(execution, "lost: the service stopped while this step was being carried out") == 1
    return execution


def _without_leftovers(execution: Json) -> Json | None:
    return None if any("cleanupPending" in step for step in execution["stepExecutions"]) else execution
