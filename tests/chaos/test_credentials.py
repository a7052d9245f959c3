"""Risk: a service that is killed with an opened credential in its hands leaves the value on the disk, or sends a command twice."""

import base64
from typing import Final

import pytest

from stepswitch.engine.crash_points import CrashPoint
from tests.chaos.stage import Stage, queued, said, waits_in_doubt

P = CrashPoint
COMMAND: Final = "echo one"
CREDENTIALS: Final = "/stepswitch/api/v1/credentials"


def keep(stage: Stage) -> None:
    """Make the credential with which the device can be logged in to, and let nobody else in."""
    body = {"name": "core", "source": {"kind": "stored", "value": stage.server.password}, "roles": ["*"], "workflows": ["*"]}
    answer = stage.service.client.post(CREDENTIALS, json={**body, "devices": [f"{stage.server.host}:{stage.server.port}"]})
    assert answer.status_code == 200, answer.text


def bound(stage: Stage) -> dict[str, object]:
    """Return the inputs of a step that logs in with the credential."""
    given = {"hostNameOrIP": stage.server.host, "username": stage.server.user, "cmd": COMMAND}
    bindings: dict[str, object] = {name: {"type": "string", "defaultValue": value} for name, value in given.items()}
    bindings["port"] = {"type": "number", "defaultValue": stage.server.port}
    return bindings | {"password": {"type": "password", "defaultValue": {"credential": "core"}}}


def assert_nothing_holds_the_value(stage: Stage) -> None:
    value = stage.server.password.encode()
    written = [path.read_bytes() for path in stage.data_dir.rglob("*") if path.is_file()] + [stage.service.log.encode()]
    assert len(written) > 2
    assert all(form not in content for content in written for form in (value, base64.b64encode(value)))


@pytest.mark.parametrize("point", [P.LOG_UNSAVED, P.LOG_SAVED, P.SEND_DUE])
def test_a_stop_between_opening_and_sending_is_a_doubt_like_any_other_and_leaves_no_value(stage: Stage, point: CrashPoint) -> None:
    stage.service.start(point)
    keep(stage)
    execution_id = queued(stage, COMMAND, inBindings=bound(stage))
    stage.service.await_death()
    assert_nothing_holds_the_value(stage)
    stage.service.start()
    waits_in_doubt(stage, execution_id)
    assert stage.told == []
    stage.ok("POST", f"/workflowExecution/{execution_id}/retry")
    execution = stage.settled(execution_id)
    assert (execution["status"], stage.told) == ("COMPLETED", [COMMAND])
    assert said(execution, "credential core used") == (1 if point is P.LOG_UNSAVED else 2)
    assert_nothing_holds_the_value(stage)
