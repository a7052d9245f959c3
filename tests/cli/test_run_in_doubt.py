"""Risk: at the terminal a step of which nobody knows whether it was done looks like one that failed, or like nothing at all."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calling import Called, Caller
from tests.cli.documents import workflow, written
from tests.examples.router import running_router, set_up
from tests.openssh import OpenSshServer


@pytest.fixture(scope="module")
def router() -> Iterator[OpenSshServer]:
    with running_router() as server:
        yield server


def reload(router: OpenSshServer, **policy: Any) -> dict[str, Any]:
    """Return a workflow whose only command takes its own connection down, after it has done its work."""
    given = {"hostNameOrIP": router.host, "username": router.user, "cmd": "request card reload"}
    bindings: dict[str, Any] = {name: {"type": "string", "defaultValue": value} for name, value in given.items()}
    bindings["port"] = {"type": "number", "defaultValue": router.port}
    bindings["privateKey"] = {"type": "password", "defaultValue": router.private_key}
    return workflow({"reload": {"type": "TCA_SSH", "inBindings": bindings, "policy": policy}}, "reload")


def run(stepswitch: Caller, directory: Path, document: dict[str, Any], *options: str) -> Called:
    return stepswitch("run", written(directory, document), "--accept-new-host-keys", *options)


def probe(reloads: str) -> dict[str, Any]:
    return {
        "inBindings": {"cmd": {"type": "string", "defaultValue": "show reloads"}},
        "done": [{"name": "outputText", "comparator": "match", "value": f"{reloads}\\s*"}],
        "notDone": [{"name": "outputText", "comparator": "match", "value": "0\\s*"}],
        "maxAttempts": 1,
    }


def test_a_step_in_doubt_is_told_as_unknown_with_its_reason(stepswitch: Caller, tmp_path: Path, router: OpenSshServer) -> None:
    set_up(router, {})
    called = run(stepswitch, tmp_path, reload(router), "--pause-at-failure")
    (line,) = [line for line in called.out.splitlines() if "step reload ended" in line]
    assert "UNKNOWN" in line
    assert "CONNECTION_CUT" in line
    assert "whether it has done its work is not known" in line
    assert "paused after step reload (0) ended UNKNOWN" in called.out
    assert called.exit == 3


@pytest.mark.parametrize(("reloads", "verdict", "code"), [("1", "DONE", 0), ("9", "UNKNOWN", 1)])
def test_what_a_probe_found_is_told(
    stepswitch: Caller, tmp_path: Path, router: OpenSshServer, reloads: str, verdict: str, code: int
) -> None:
    set_up(router, {})
    called = run(stepswitch, tmp_path, reload(router, probe=probe(reloads)))
    assert "step reload (0) ended UNKNOWN: its probe looks whether it was done" in called.out
    assert f"look 1 of the probe ended SUCCEEDED, verdict {verdict}" in called.out
    said = "the probe found that step reload (0) was done" if code == 0 else "the probe could not tell whether step reload (0) was done"
    assert said in called.out
    assert called.exit == code
    assert (router.work / "router" / "reloads").read_text() == "1"


def test_programs_are_told_too(stepswitch: Caller, tmp_path: Path, router: OpenSshServer) -> None:
    set_up(router, {})
    called = run(stepswitch, tmp_path, reload(router, probe=probe("1")), "--json")
    step = json.loads(called.out)["stepExecutions"][0]
    assert (step["result"], step["probe"]["verdict"], step["probe"]["outputs"]["outputText"]) == ("SUCCEEDED", "DONE", "1")
