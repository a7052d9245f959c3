"""Risk: a stop in the middle of what somebody asks for leaves half of it, or lets his own work look like somebody else's.

A real service kills itself around the save of each act, and starts again; then the act has to be done or not, as a whole, and it has
to be possible to ask for it again.
"""

import asyncio
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, Final

import httpx
import pytest

from stepswitch.bootstrap import open_data_keys
from stepswitch.config.settings import Settings
from stepswitch.engine.crash_points import CrashPoint
from tests.chaos.mortal import Death, Mortal, live
from tests.chaos.stage import Json, Stage, said

P = CrashPoint
OWN: Final = "/stepswitch/api/v1"
STEERED: Final = ((P.STEERING_UNSAVED, False), (P.STEERING_SAVED, True))
COMMITTED: Final = ((P.COMMIT_ASKED, False), (P.COMMIT_DONE, True))
CATALOGUED: Final = ((P.WORKFLOW_UNSAVED, False), (P.WORKFLOW_SAVED, True))
QUIET: Final[Json] = {
    "name": "n",
    "version": "1",
    "schemaVersion": "3.0",
    "startStepId": "a",
    "variables": {"room": {"type": "string", "defaultValue": "old"}},
    "steps": {"a": {"type": "NOOP", "nextStepId": "b"}, "b": {"type": "NOOP"}},
}
FAILS: Final = "exit 3"
VALUE: Final = {"kind": "stored", "value": "a pigeon on the roof"}


def own(stage: Stage, method: str, path: str, body: Any = None) -> httpx.Response:
    return stage.service.client.request(method, f"{OWN}{path}", json=body)


def paused(stage: Stage) -> str:
    return stage.queue(str(stage.ok("PUT", "/workflow", QUIET)["id"]), debugStepIds=["a"])


def failed(stage: Stage) -> str:
    execution_id = stage.queue(stage.store(FAILS))
    assert stage.settled(execution_id)["status"] == "PAUSED"
    return execution_id


def delayed(stage: Stage) -> str:
    steps = {"a": {"type": "NOOP", "policy": {"delaySeconds": 3_600}}}
    return stage.queue(str(stage.ok("PUT", "/workflow", {**QUIET, "steps": steps})["id"]))


def act(stage: Stage, what: str, execution_id: str) -> httpx.Response:
    match what:
        case "pause" | "values":
            return own(stage, "POST", f"/executions/{execution_id}/{what}", {"values": {"room": "new"}} if what == "values" else None)
        case "attach":
            return stage.call("POST", f"/workflowExecution/{execution_id}/attachments", files=[("file", ("f", b"content"))])
        case _:
            return stage.call("POST", f"/workflowExecution/{execution_id}/{what}")


def has_ended(stage: Stage, execution_id: str, status: str) -> bool:
    return bool(stage.settled(execution_id)["status"] == status)


ACTS: Final[Mapping[str, tuple[Callable[[Stage], str], str, Callable[[Stage, str], bool]]]] = {
    "resume": (paused, "resumed by", lambda stage, each: has_ended(stage, each, "COMPLETED")),
    "retry": (failed, "retry asked for", lambda stage, each: has_ended(stage, each, "PAUSED") and stage.told == [FAILS, FAILS]),
    "abort": (paused, "aborted by", lambda stage, each: has_ended(stage, each, "ABORTED")),
    "pause": (delayed, "pause asked for", lambda stage, each: has_ended(stage, each, "PAUSED")),
    "values": (paused, "value room changed from", lambda stage, each: stage.execution(each)["status"] == "PAUSED"),
    "attach": (paused, "file f changed from", lambda stage, each: stage.execution(each)["status"] == "PAUSED"),
}
"""By act: what it is done to, what the log says of it, and whether it has come to what it has to."""


@pytest.mark.parametrize(("point", "is_done"), STEERED)
@pytest.mark.parametrize("what", ACTS)
def test_each_act_of_steering_is_done_as_a_whole_or_not_at_all(what: str, point: CrashPoint, is_done: bool, stage: Stage) -> None:
    prepare, told, has_come_about = ACTS[what]
    stage.service.start(point)
    execution_id = prepare(stage)
    stage.fatal(lambda: act(stage, what, execution_id))
    stage.service.start()
    assert said(stage.execution(execution_id), told) == (1 if is_done else 0)
    if not is_done:
        answer = act(stage, what, execution_id)
        assert answer.status_code in {200, 204}, answer.text
    assert has_come_about(stage, execution_id)
    assert said(stage.execution(execution_id), told) == 1


# --- the catalogue ---


def edited(stage: Stage, execution_id: str, room: str) -> None:
    """Let somebody edit the steps of an execution: `room` is then where its step `b` goes to."""
    stage.ok("PATCH", f"/workflowExecution/{execution_id}", {"steps": {"b": {"type": "NOOP", "nextStepId": room}, room: {"type": "NOOP"}}})


def in_catalogue(stage: Stage) -> set[str]:
    (found,) = stage.call("GET", "/workflow").json()
    return set(found["steps"])


@pytest.mark.parametrize("is_edited", [False, True], ids=["repeated", "edited meanwhile"])
@pytest.mark.parametrize("point", [P.STEERING_SAVED, P.WORKFLOW_UNSAVED, P.WORKFLOW_SAVED])
def test_steps_that_were_half_written_back_are_not_somebody_elses_change(point: CrashPoint, is_edited: bool, stage: Stage) -> None:
    """The workflow in the catalogue and the execution that it was taken from are saved one after the other."""
    stage.service.start(point)
    execution_id = paused(stage)
    edited(stage, execution_id, "c")
    stage.fatal(lambda: stage.call("POST", f"/workflowExecution/{execution_id}/updateWorkflow"))
    stage.service.start(P.WORKFLOW_UNSAVED)
    assert in_catalogue(stage) == ({"a", "b", "c"} if point is P.WORKFLOW_SAVED else {"a", "b"})
    if is_edited:
        edited(stage, execution_id, "d")
        stage.fatal(lambda: stage.call("POST", f"/workflowExecution/{execution_id}/updateWorkflow"))
        stage.service.start()
    answer = stage.call("POST", f"/workflowExecution/{execution_id}/updateWorkflow")
    assert answer.status_code == 200, answer.text
    assert in_catalogue(stage) == ({"a", "b", "c", "d"} if is_edited else {"a", "b", "c"})
    assert said(stage.execution(execution_id), "was given the steps of this execution") == 1


@pytest.mark.parametrize(("point", "is_done"), CATALOGUED)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_workflow_is_replaced_or_removed_as_a_whole_or_not_at_all(method: str, point: CrashPoint, is_done: bool, stage: Stage) -> None:
    stage.service.start(point)
    workflow_id = str(stage.ok("PUT", "/workflow", QUIET)["id"])
    change = {**QUIET, "name": "other"} if method == "POST" else None
    stage.fatal(lambda: stage.call(method, f"/workflow/{workflow_id}", change))
    stage.service.start()
    found = stage.call("GET", f"/workflow/{workflow_id}")
    if method == "DELETE":
        assert found.status_code == (404 if is_done else 200)
    else:
        assert found.json()["name"] == ("other" if is_done else "n")
        revisions = own(stage, "GET", f"/workflows/{workflow_id}/revisions").json()
        assert len(revisions) == (2 if is_done else 1)


# --- people and keys ---


def changes_user(stage: Stage) -> None:
    own(stage, "PATCH", "/users/ann", {"roles": ["Operations"], "password": "another pigeon on it"})


def user_is_changed(stage: Stage) -> bool:
    """Password and roles go together: the old password counts for the old roles alone."""
    roles = own(stage, "GET", "/users/ann").json()["roles"]
    logins = {
        password: httpx.post(
            f"{stage.service.client.base_url}/hybridity/api/sessions", json={"username": "ann", "password": password}
        ).status_code
        for password in ("a pigeon on the roof", "another pigeon on it")
    }
    is_changed = bool(roles == ["Operations"])
    assert logins == (
        {"a pigeon on the roof": 401, "another pigeon on it": 200}
        if is_changed
        else {"a pigeon on the roof": 200, "another pigeon on it": 401}
    )
    return is_changed


def ends_sessions(stage: Stage) -> None:
    own(stage, "DELETE", "/users/ann/sessions")


def sessions_have_ended(stage: Stage) -> bool:
    return bool(own(stage, "GET", "/users/ann/sessions").json() == [])


def makes_role(stage: Stage) -> None:
    own(stage, "POST", "/roles", {"name": "night", "privileges": ["Workflow Execute"]})


def role_is_there(stage: Stage) -> bool:
    return "night" in {role["name"] for role in own(stage, "GET", "/roles").json()}


def forgets_host_key(stage: Stage) -> None:
    own(stage, "DELETE", "/host-keys?host=r1&port=22")


def host_key_is_gone(stage: Stage) -> bool:
    return "r1" not in {key["host"] for key in own(stage, "GET", "/host-keys").json()}


def changes_credential(stage: Stage) -> None:
    own(stage, "PATCH", "/credentials/core", {"source": {**VALUE, "value": "another pigeon on it"}, "roles": ["Operations"]})


def credential_is_changed(stage: Stage) -> bool:
    """Whether it was changed, with its record and the only one."""
    records = own(stage, "GET", "/audit?operation=changeCredential").json()
    is_changed = bool(own(stage, "GET", "/credentials/core").json()["roles"] == ["Operations"])
    assert len(records) == is_changed
    return is_changed


def replaces_inventory(stage: Stage) -> None:
    own(stage, "PUT", "/inventory", {"devices": {"r2": {"addresses": ["192.0.2.2"]}}})


def inventory_is_replaced(stage: Stage) -> bool:
    """Nothing of the old one is left beside the new one."""
    names = list(own(stage, "GET", "/inventory").json()["devices"])
    assert names in (["r1"], ["r2"])
    return names == ["r2"]


CHANGES: Final[Mapping[str, tuple[Callable[[Stage], None], Callable[[Stage], bool]]]] = {
    "credential": (changes_credential, credential_is_changed),
    "inventory": (replaces_inventory, inventory_is_replaced),
    "user": (changes_user, user_is_changed),
    "sessions": (ends_sessions, sessions_have_ended),
    "role": (makes_role, role_is_there),
    "host key": (forgets_host_key, host_key_is_gone),
}


MADE: Final[Mapping[str, Json]] = {
    "/users": {"username": "ann", "password": "a pigeon on the roof", "roles": ["Workflow Executor"]},
    "/users/ann/tokens": {"name": "nightly"},
    "/host-keys": {
        "host": "r1",
        "port": 22,
        "publicKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9q",
    },
    "/credentials": {"name": "core", "source": VALUE, "roles": ["*"], "workflows": ["*"], "devices": ["r1"]},
    "/inventory": {"devices": {"r1": {"addresses": ["192.0.2.1"]}}},
}
"""What there is before somebody changes it."""


@pytest.mark.parametrize(("point", "is_done"), COMMITTED)
@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_people_or_keys_is_done_as_a_whole_or_not_at_all(what: str, point: CrashPoint, is_done: bool, stage: Stage) -> None:
    change, is_changed = CHANGES[what]
    stage.service.start(point)
    for path, made in MADE.items():
        answer = own(stage, "PUT" if path == "/inventory" else "POST", path, made)
        assert answer.status_code == 200, answer.text
    stage.fatal(lambda: change(stage))
    stage.service.start()
    assert is_changed(stage) is is_done
    if not is_done:
        change(stage)
        assert is_changed(stage)


class Rotation(Mortal):
    """Not the service but `stepswitch secrets rotate`, beside no service."""

    def _life(self, stderr: Connection, death: Death | None) -> tuple[Callable[..., None], tuple[Any, ...]]:
        return rotate, (stderr, self._settings, death)


def rotate(stderr: Connection, settings: Mapping[str, Any], death: Death) -> None:
    """Make a new data key, and die of it. Runs in the new process."""
    live(stderr, settings, death, lambda whole: asyncio.run(_rotated(whole)))


async def _rotated(settings: Settings) -> int:
    async with open_data_keys(settings) as keys:
        return await keys.rotate()


@pytest.mark.parametrize(("point", "is_done"), COMMITTED)
def test_a_rotation_of_keys_that_was_stopped_leaves_every_password_readable(point: CrashPoint, is_done: bool, stage: Stage) -> None:
    stage.service.start()
    workflow_id = stage.store("echo one")
    stage.service.end()
    Rotation(stage.data_dir, silence_seconds=6.0).die_while_starting(point)
    given: dict[str, Any] = {"data_dir": stage.data_dir}
    settings = Settings(**given)
    assert asyncio.run(_generations(settings)) == ([1, 2] if is_done else [1])
    stage.service.start()
    assert stage.settled(stage.queue(workflow_id))["status"] == "COMPLETED"
    assert stage.told == ["echo one"]


async def _generations(settings: Settings) -> list[int]:
    async with open_data_keys(settings) as keys:
        return [key.generation for key, _ in await keys.standing()]
