"""Risk: a secret that a vRO is given, or gives, and repeats in every way it can, is read in an answer, a log, an event, the audit trail or on the disk."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.api.real import OWN, PLAIN, Real, real_service
from tests.hunt.planted import Hunt, spellings
from tests.steps.http_server import reply
from tests.steps.vro_server import PASSWORD, USER, FakeRun, FakeVro, open_vro

SECRETS: Final = {
    "login of the vRO": PASSWORD,
    "given": 'pl@nted/"for\\vRO"+50% é',
    "credential of a device": "planted-for-a-device-815",
    "made by vRO": "planted-by-a-vro-4711",
}
_TEXT: Final = {"type": "string"}


def repeats(run: FakeRun) -> None:
    """Say everything that the run knows in its log, its error and its outputs."""
    known = [str(run.value(name)) for name in run.parameters if name in {"password", "pw"}] + [PASSWORD]
    for secret in known:
        for name, form in spellings(secret).items():
            if "half" not in name and "UTF-16" not in name:  # vRO speaks JSON: neither is what it can repeat
                run.says(form.decode("utf-8", "replace"))
    run.exception = " and ".join(known)
    run.gives("text", "string", {"string": {"value": f"it was <{known[0]}>"}})
    run.gives("token", "SecureString", {"secure-string": {"value": SECRETS["made by vRO"], "isPlainText": True}})
    run.state = "failed"


@pytest.fixture
async def vro(tmp_path: Path) -> AsyncIterator[FakeVro]:
    async with open_vro(tmp_path) as vro:
        kinds = {"hostNameOrIP": "string", "username": "string", "password": "SecureString", "cmd": "string"}
        vro.workflow("Repeat", inputs={"pw": "SecureString"}, work=repeats)
        vro.workflow("Repeat a login", inputs=kinds, work=repeats)
        vro.workflow("Repeat a copy", inputs={**_without(kinds, "cmd"), "sourcePath": "string"}, work=repeats)
        vro.workflow("Repeat a command", inputs={**_without(kinds, "hostNameOrIP"), "virtualMachine": "string"}, work=repeats)
        yield vro


def _without(kinds: dict[str, str], name: str) -> dict[str, str]:
    return {each: kind for each, kind in kinds.items() if each != name}


async def prepare(real: Real, vro: FakeVro) -> None:
    for name, value, devices in (
        ("paris vro", PASSWORD, [f"{vro.host}:{vro.port}"]),
        ("core", SECRETS["credential of a device"], ["192.0.2.7"]),
    ):
        for_all = {"roles": ["*"], "workflows": ["*"], "devices": devices}
        body = {"name": name, "source": {"kind": "stored", "value": value}, **for_all}
        assert (await real.client.post(f"{OWN}/credentials", json=body)).status_code == 200
    login = {"username": USER, "password": {"credential": "paris vro"}}
    place = {"vro": {"url": vro.url().rstrip("/"), "caCertificates": vro.authority, "login": login}}
    device = {"addresses": ["192.0.2.7"], "login": {"username": "ann", "password": {"credential": "core"}}}
    answer = await real.client.put(f"{OWN}/inventory", json={"vimLocations": {"paris": place}, "devices": {"core-7": device}})
    assert answer.status_code == 200, answer.text


def document() -> dict[str, Any]:
    vim = {"vimLocation": {"type": "vimLocation", "defaultValue": "paris"}}
    named = {"vroWorkflowName": {**_TEXT, "defaultValue": "Repeat"}, "pw": {"type": "password", "exportName": "pw"}}
    out = {"text": {"name": "text", "type": "string"}, "token": {"name": "token", "type": "password"}}
    device, command = ({"hostNameOrIP": {**_TEXT, "defaultValue": "192.0.2.7"}}, {"cmd": {**_TEXT, "defaultValue": "show version"}})
    fetched = {"sourcePath": {**_TEXT, "defaultValue": "/etc/motd"}}
    inside = {"virtualMachine": {**_TEXT, "defaultValue": "vm-7"}, "username": {**_TEXT, "defaultValue": "ann"}}
    given = {"password": {"type": "password", "exportName": "pw"}}
    return {
        "name": "w", "version": "1", "schemaVersion": "3.0", "startStepId": "custom",
        "inputs": {"pw": {"type": "password", "required": True}},
        "outputs": {"text": _TEXT, "token": {"type": "password"}},
        "steps": {
            "custom": {"type": "VRO_CUSTOM", "inBindings": {**vim, **named}, "outBindings": out, "policy": {"onFailureStepId": "again"}},
            "again": {"type": "VRO_CUSTOM", "inBindings": {**vim, **named}, "policy": {"onFailureStepId": "ssh"}},
            "ssh": {"type": "VRO_SSH", "inBindings": {**vim, **device, **command}, "policy": {"onFailureStepId": "scp"}},
            "scp": {"type": "VRO_SCP", "inBindings": {**vim, **device, **fetched}, "policy": {"onFailureStepId": "exec"}},
            "exec": {"type": "VRO_EXEC", "inBindings": {**vim, **inside, **given, **command}},
        },
    }  # fmt: skip


async def test_nothing_that_a_vro_repeats_is_read_anywhere(tmp_path: Path, vro: FakeVro) -> None:
    told = Hunt(SECRETS)
    named = {"vro_ssh_workflow": "Repeat a login", "vro_scp_workflow": "Repeat a copy", "vro_exec_workflow": "Repeat a command"}
    async with real_service(tmp_path / "data", **named) as real:
        await prepare(real, vro)
        workflow = (await real.create(document()))["id"]
        said = f'{{"message": "cannot take {PASSWORD}"}}'.encode()
        vro.refuses_next_begin_of("Repeat", 1, reply(400, said))
        ended = await real.execute(workflow, assignments={"pw": SECRETS["given"]})
        codes = [step["error"]["code"] for step in ended["stepExecutions"]]
        assert codes == ["RUN_FAILED", "UNEXPECTED_STATUS", "RUN_FAILED", "RUN_FAILED", "RUN_FAILED"], ended
        assert len(vro.runs) == 4
        one = f"{PLAIN}/workflowExecution/{ended['id']}"
        for path in (
            one,
            f"{one}/logs",
            f"{PLAIN}/workflowExecution?fields=outputs,stepExecutions",
            f"{OWN}/audit/export",
            f"{OWN}/inventory",
        ):
            answer = await real.client.get(path)
            assert answer.status_code == 200, path
            told.search(path, answer.content)
    told.search_files(tmp_path / "data")
    assert not told.found, "\n".join(told.found[:20])
    assert "it was <********>" in str(ended["stepExecutions"][0]["outputs"])
