"""Risk: a credential reaches a host, a person, a workflow or a script that it is not for, or its value can be read anywhere.

The whole service, with an OpenSSH server for the device that a credential is for, and a socket for the host of somebody else.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.audit import SqlAuditStore
from tests.api.real import OWN, PLAIN, Real, real_service
from tests.openssh import OpenSshServer
from tests.secrets.vault_server import TOKEN, open_vault

CORE: Final = {"credential": "core"}
PASSWORD: Final = {"type": "password"}


@pytest.fixture(scope="module")
def device() -> Iterator[OpenSshServer]:
    with OpenSshServer() as server:
        yield server


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path, host_keys="accept-new") as running:
        yield running


async def keep(real: Real, device: OpenSshServer, name: str = "core", **more: Any) -> None:
    """Make the credential of a device."""
    body = {
        "name": name,
        "source": {"kind": "stored", "value": device.password},
        "roles": ["*"],
        "workflows": ["*"],
        "devices": [f"{device.host}:{device.port}"],
        **more,
    }
    answer = await real.client.post(f"{OWN}/credentials", json=body)
    assert answer.status_code == 200, answer.text
    assert device.password not in answer.text


def reaching(device: OpenSshServer, cmd: str = "echo it is there", **more: Any) -> dict[str, Any]:
    """Return a workflow whose host, port and password are inputs."""
    return {
        "name": "reach", "version": "1", "schemaVersion": "3.0", "startStepId": "a",
        "inputs": {
            "host": {"type": "string", "defaultValue": device.host},
            "port": {"type": "number", "defaultValue": device.port},
            "pw": PASSWORD,
        },
        "variables": {"said": {"type": "string"}},
        "outputs": {"result": {"type": "string"}},
        "steps": {
            "a": {
                "type": "TCA_SSH",
                "inBindings": {
                    "hostNameOrIP": {"type": "string", "exportName": "host"},
                    "port": {"type": "number", "exportName": "port"},
                    "username": {"type": "string", "defaultValue": device.user},
                    "password": {"type": "password", "exportName": "pw"},
                    "cmd": {"type": "string", "defaultValue": cmd},
                },
                "outBindings": {"result": {"name": "outputText", "type": "string"}},
            }
        },
        **more,
    }  # fmt: skip


def printing(secret: str) -> str:
    """Return a command that prints a secret in two pieces, neither of which is one."""
    return f"printf '%s' '{secret[:8]}'; sleep 0.4; printf '%s\\n' '{secret[8:]}'"


def of_designer(device: OpenSshServer, cmd: str = "echo it is there") -> dict[str, Any]:
    """Return a workflow that has the credential in it, and takes the host as an input."""
    document = reaching(device, cmd)
    document["steps"]["a"]["inBindings"]["password"] = {"type": "password", "defaultValue": CORE}
    return document


@asynccontextmanager
async def host_of_somebody_else() -> AsyncIterator[tuple[int, list[bytes]]]:
    """Give the port of a host that takes down whatever it is sent."""
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1_000))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


def faults(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 400, answer.text
    return [(each["code"], each["message"].partition(": ")[0]) for each in answer.json()["errors"]]


async def queue(real: Real, workflow: str, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    order = {"workflowId": workflow, "contextType": "NONE", **fields}
    return await real.client.put(f"{PLAIN}/workflowExecution", json=order, headers=headers)


async def came_to(real: Real, execution: str, *states: str) -> dict[str, Any]:
    for _ in range(30):
        found = await real.client.get(f"{PLAIN}/workflowExecution/{execution}", headers={"Prefer": "wait=1"})
        if found.json()["status"] in states:
            return dict(found.json())
    raise AssertionError(found.text)


async def records(real: Real, *operations: str) -> list[dict[str, Any]]:
    """Return the records of these operations in the audit trail, the newest first."""
    rows = await SqlAuditStore(real.service._database).behind(0, 1_000)
    found = [json.loads(each.record.text) for each in reversed(rows)]
    return [each for each in found if each["operation"] in operations]


async def test_a_step_is_given_the_value_and_everybody_else_the_name(real: Real, device: OpenSshServer) -> None:
    await keep(real, device)
    workflow = (await real.create(reaching(device, printing(device.password))))["id"]
    ended = await real.execute(workflow, assignments={"pw": CORE})
    step = ended["stepExecutions"][0]
    assert (ended["status"], step["inputs"]["password"], ended["assignments"]["pw"]) == ("COMPLETED", CORE, CORE)
    assert ended["outputs"]["result"].strip() == "********"
    used = f"credential core used for {device.host}:{device.port} by step a (0), as its password"
    assert used in [line["msg"] for line in step["logs"]]
    (record, _) = await records(real, "useCredential", "createCredential")
    assert (record["object"]["id"], record["outcome"], record["after"]["device"]) == ("core", "allowed", f"{device.host}:{device.port}")
    assert (record["actor"]["user"], record["after"]["execution"], record["after"]["stepNumber"]) == ("admin", ended["id"], 0)
    logs = await real.client.get(f"{PLAIN}/workflowExecution/{ended['id']}/logs")
    assert device.password not in logs.text + json.dumps(ended)
    assert all(device.password.encode() not in path.read_bytes() for path in real.files.parent.iterdir() if path.is_file())


async def test_a_designers_stored_password_is_not_sent_to_a_host_of_somebody_else(real: Real, device: OpenSshServer) -> None:
    await keep(real, device)
    tom = await real.add_user("tom", "Workflow Executor")
    workflow = (await real.create(of_designer(device)))["id"]
    async with host_of_somebody_else() as (port, heard):
        refused = await queue(real, workflow, tom, assignments={"port": port})
        assert faults(refused) == [("CREDENTIAL_REFUSED", "workflow.steps.a.inBindings.password.defaultValue")]
        assert (await real.client.get(f"{PLAIN}/workflowExecution")).json() == []
        for host in ("localhost", "127.1", "0x7f.1", "[127.0.0.1]", "::ffff:127.0.0.1"):
            assert (await queue(real, workflow, tom, assignments={"host": host})).status_code == 400
        assert not heard


async def test_a_host_that_a_script_finds_out_is_looked_at_when_the_step_begins(real: Real, device: OpenSshServer) -> None:
    await keep(real, device)
    async with host_of_somebody_else() as (port, heard):
        document = of_designer(device)
        document["variables"]["found"] = {"type": "number"}
        document["startStepId"] = "find"
        document["steps"]["find"] = {
            "type": "JS", "nextStepId": "a", "outBindings": {"found": {"name": "port", "type": "number"}},
            "inBindings": {"script": {"type": "string", "defaultValue": f"return {{ port: {port} }}"}},
        }  # fmt: skip
        document["steps"]["a"]["inBindings"]["port"] = {"type": "number", "exportName": "found"}
        ended = await real.execute((await real.create(document))["id"])
        step = ended["stepExecutions"][1]
        assert (step["result"], step["error"]["code"]) == ("FAILED", "CREDENTIAL_REFUSED")
        assert f"is not for {device.host}:{port}" in step["error"]["message"]
        assert not heard


async def test_edited_inputs_do_not_redirect_a_credential(real: Real, device: OpenSshServer) -> None:
    await keep(real, device)
    ops = await real.add_user("ops", "Operations", "Workflow Designer")
    workflow = (await real.create(of_designer(device)))["id"]
    execution = (await queue(real, workflow, debugStepIds=["a"])).json()
    place = f"{PLAIN}/workflowExecution/{execution['id']}"
    async with host_of_somebody_else() as (port, heard):
        step = execution["workflow"]["steps"]["a"]
        assert step["inBindings"]["password"]["defaultValue"] == CORE
        redirected = {**step, "inBindings": {**step["inBindings"], "port": {"type": "number", "defaultValue": port}}}
        refused = await real.client.patch(place, json={"steps": {"a": redirected}}, headers=ops)
        assert faults(refused) == [("CREDENTIAL_REFUSED", "steps.a.inBindings.password.defaultValue")]
        corrected = await real.client.post(f"{OWN}/executions/{execution['id']}/values", json={"values": {"port": port}}, headers=ops)
        assert corrected.status_code == 200
        assert (await real.client.post(f"{place}/resume", headers=ops)).status_code == 200
        ended = await came_to(real, execution["id"], "FAILED")
        assert ended["stepExecutions"][0]["error"]["code"] == "CREDENTIAL_REFUSED"
        assert not heard


async def test_whoever_edits_a_step_has_to_be_one_who_may_use_its_credential(real: Real, device: OpenSshServer) -> None:
    await keep(real, device, roles=["Workflow Designer"])
    ops = await real.add_user("ops", "Operations", "System Auditor")
    eve = await real.add_user("eve", "Operations", "Workflow Designer")
    workflow = (await real.create(of_designer(device)))["id"]
    execution = (await queue(real, workflow, debugStepIds=["a"])).json()
    place = f"{PLAIN}/workflowExecution/{execution['id']}"
    step = execution["workflow"]["steps"]["a"]
    edited = {**step, "inBindings": {**step["inBindings"], "cmd": {"type": "string", "defaultValue": "cat /etc/passwd"}}}
    assert (await real.client.patch(place, json={"steps": {"a": edited}}, headers=ops)).status_code == 403
    assert (await real.client.patch(place, json={"steps": {"a": edited}}, headers=eve)).status_code == 200
    store = SqlAccountStore(real.service._database)
    account = await store.account("eve")
    assert account is not None
    await store.put_account(replace(account, roles=("Operations",)))
    await real.client.post(f"{place}/resume")
    ended = await came_to(real, execution["id"], "FAILED")
    assert ended["stepExecutions"][0]["error"] == {
        "code": "CREDENTIAL_REFUSED",
        "message": "nothing was sent: no credential called 'core' may be used here",
    }


async def test_a_role_that_is_lost_after_queueing_is_lost_at_the_moment_of_use(real: Real, device: OpenSshServer) -> None:
    await keep(real, device, roles=["Workflow Executor"])
    tom = await real.add_user("tom", "Workflow Executor")
    workflow = (await real.create(reaching(device)))["id"]
    execution = (await queue(real, workflow, tom, assignments={"pw": CORE}, debugStepIds=["a"])).json()["id"]
    assert (await real.client.patch(f"{OWN}/users/tom", json={"roles": ["Operations"]})).status_code == 200
    await real.client.post(f"{PLAIN}/workflowExecution/{execution}/resume")
    before = device.logins()
    ended = await came_to(real, execution, "FAILED")
    assert ended["stepExecutions"][0]["error"]["code"] == "CREDENTIAL_REFUSED"
    assert device.logins() == before
    (refused,) = await records(real, "useCredential")
    assert (refused["outcome"], refused["actor"]["user"]) == ("refused", "tom")


async def test_unknown_and_not_allowed_sound_the_same_and_every_fault_is_told_at_once(real: Real, device: OpenSshServer) -> None:
    await keep(real, device, "for others", roles=["Workflow Designer"])
    await keep(real, device, "for another workflow", workflows=["other *"])
    await keep(real, device, "for another tenant")
    tom = await real.add_user("tom", "Workflow Executor")
    document = reaching(device, inputs={**reaching(device)["inputs"], "one": PASSWORD, "two": PASSWORD, "three": PASSWORD})
    workflow = (await real.create(document))["id"]
    given = {"one": "for others", "two": "for another workflow", "three": "nothing"}
    refused = await queue(real, workflow, tom, assignments={name: {"credential": each} for name, each in given.items()} | {"no": 1})
    messages = {each["message"] for each in refused.json()["errors"]}
    assert {f"assignments.{name}: no credential called {each!r} may be used here" for name, each in given.items()} < messages
    assert len(messages) == 4
    assert (await real.client.get(f"{PLAIN}/workflowExecution")).json() == []
    eve = await real.add_user("eve", "Workflow Designer")
    wrong = await real.client.put(f"{PLAIN}/workflow", json=of_designer(device), headers=eve)
    assert faults(wrong) == [("CREDENTIAL_REFUSED", "steps.a.inBindings.password.defaultValue")]


async def test_a_name_inside_of_a_string_is_a_string(real: Real, device: OpenSshServer) -> None:
    await keep(real, device)
    document = reaching(device, "cat", variables={"said": {"type": "string"}})
    document["steps"]["a"]["inBindings"] |= {"stdin": {"type": "string", "defaultValue": '{"credential": "core"} credential:core'}}
    workflow = (await real.create(document))["id"]
    ended = await real.execute(workflow, assignments={"pw": CORE})
    assert ended["outputs"]["result"] == '{"credential": "core"} credential:core'
    wrong = await real.execute(workflow, assignments={"pw": "credential:core"})
    assert wrong["stepExecutions"][0]["error"]["code"] == "LOGIN_REFUSED"
    for value in ({"credential": ""}, {"credential": 7}, {"credential": "core", "more": 1}, {}, {"vault": "x"}):
        assert faults(await queue(real, workflow, assignments={"pw": value})) == [("WRONG_TYPE", "assignments.pw")]
    assert faults(await queue(real, workflow, assignments={"host": CORE})) == [("WRONG_TYPE", "assignments.host")]


async def test_a_credential_is_no_part_of_a_text(real: Real, device: OpenSshServer) -> None:
    await keep(real, device)
    workflow = (await real.create(reaching(device, "echo {{pw}}")))["id"]
    ended = await real.execute(workflow, assignments={"pw": CORE})
    assert (ended["status"], ended["stepExecutions"][0]["error"]["code"]) == ("FAILED", "WRONG_TYPE")


async def test_scripts_are_given_nothing_unless_the_credential_says_so(real: Real, device: OpenSshServer) -> None:
    await keep(real, device)
    await keep(real, device, "open", withoutDevice=True)
    script = "console.log('has ' + pw); return { result: 'it is <' + pw + '>' }"
    document = {
        "name": "script", "version": "1", "schemaVersion": "3.0", "startStepId": "a", "inputs": {"pw": PASSWORD},
        "outputs": {"result": {"type": "string"}},
        "steps": {"a": {
            "type": "JS", "outBindings": {"result": {"name": "result", "type": "string"}},
            "inBindings": {"script": {"type": "string", "defaultValue": script}, "pw": {"type": "password", "exportName": "pw"}},
        }},
    }  # fmt: skip
    workflow = (await real.create(document))["id"]
    assert faults(await queue(real, workflow, assignments={"pw": CORE})) == [("CREDENTIAL_REFUSED", "assignments.pw")]
    ended = await real.execute(workflow, assignments={"pw": {"credential": "open"}})
    assert ended["outputs"]["result"] == "it is <********>"
    assert "has ********" in [line["msg"] for line in ended["stepExecutions"][0]["logs"]]
    await real.client.patch(f"{OWN}/credentials/open", json={"withoutDevice": False})
    queued = await queue(real, workflow, assignments={"pw": {"credential": "open"}})
    assert faults(queued) == [("CREDENTIAL_REFUSED", "assignments.pw")]


async def test_a_value_that_was_changed_is_what_the_next_attempt_uses(real: Real, device: OpenSshServer) -> None:
    await keep(real, device, source={"kind": "stored", "value": "the old password"})
    workflow = (await real.create(reaching(device)))["id"]
    execution = (await queue(real, workflow, assignments={"pw": CORE}, pauseAtFailure=True)).json()["id"]
    paused = await came_to(real, execution, "PAUSED")
    assert paused["stepExecutions"][0]["error"]["code"] == "LOGIN_REFUSED"
    source = {"kind": "stored", "value": device.password}
    assert (await real.client.patch(f"{OWN}/credentials/core", json={"source": source})).status_code == 200
    await real.client.post(f"{PLAIN}/workflowExecution/{execution}/retry")
    assert (await came_to(real, execution, "COMPLETED"))["stepExecutions"][1]["attempt"] == 2


async def test_a_step_that_found_vault_sealed_is_tried_again_as_its_policy_says(tmp_path: Path, device: OpenSshServer) -> None:
    async with open_vault() as vault:
        vault.values["secret/core"] = {"password": device.password}
        vault.refuses = 1
        async with real_service(tmp_path, host_keys="accept-new", vault_address=vault.address, vault_token=TOKEN) as real:
            await keep(real, device, source={"kind": "vault", "mount": "secret", "path": "core", "key": "password"})
            document = of_designer(device)
            document["steps"]["a"]["policy"] = {"retry": {"maxAttempts": 2}}
            before = device.logins()
            ended = await real.execute((await real.create(document))["id"])
            first, second = ended["stepExecutions"]
            assert (first["result"], first["error"]["code"]) == ("FAILED", "CREDENTIAL_UNAVAILABLE")
            assert "503 (Vault is sealed)" in first["error"]["message"]
            assert (ended["status"], second["attempt"], second["result"]) == ("COMPLETED", 2, "SUCCEEDED")
            assert [each["outcome"] for each in await records(real, "useCredential")] == ["allowed", "refused"]
            assert device.logins() == before + 1
            assert TOKEN not in json.dumps(ended)


async def test_a_credential_that_is_removed_fails_the_step_and_nothing_is_sent(real: Real, device: OpenSshServer) -> None:
    await keep(real, device)
    document = reaching(device)
    document["steps"]["a"]["policy"] = {"retry": {"maxAttempts": 2}}
    workflow = (await real.create(document))["id"]
    execution = (await queue(real, workflow, assignments={"pw": CORE}, debugStepIds=["a"])).json()["id"]
    assert (await real.client.delete(f"{OWN}/credentials/core")).status_code == 204
    before = device.logins()
    await real.client.post(f"{PLAIN}/workflowExecution/{execution}/resume")
    ended = await came_to(real, execution, "FAILED")
    assert [each["error"]["code"] for each in ended["stepExecutions"]] == ["CREDENTIAL_REFUSED"] * 2
    assert device.logins() == before


async def test_a_change_of_what_somebody_has_not_seen_is_refused(real: Real, device: OpenSshServer) -> None:
    await keep(real, device)
    place = f"{OWN}/credentials/core"
    read = await real.client.get(place)
    tag = read.headers["etag"]
    assert (await real.client.get(place, headers={"If-None-Match": tag})).status_code == 304
    changed = await real.client.patch(place, json={"description": "routers of the core"}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["description"]) == (200, "routers of the core")
    assert changed.headers["etag"] != tag
    for request in (real.client.patch(place, json={}, headers={"If-Match": tag}), real.client.delete(place, headers={"If-Match": tag})):
        assert (await request).status_code == 412
    assert (
        await real.client.post(f"{OWN}/credentials", json={**_body(changed.json()), "source": {"kind": "stored", "value": "abcd"}})
    ).json()["errors"][0]["code"] == "ALREADY_EXISTS"


def _body(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: shown[name] for name in ("name", "roles", "workflows", "devices", "description", "withoutDevice")}


async def test_what_is_the_whole_services_is_made_by_administrators_of_the_installation_only(tmp_path: Path, device: OpenSshServer) -> None:
    async with real_service(tmp_path) as real:
        made = {"username": "mia", "password": "a pigeon on the roof", "roles": ["System Administrator"], "tenantId": "north"}
        assert (await real.client.post(f"{OWN}/users", json=made)).status_code == 200
        mia = await real.login("mia", "a pigeon on the roof")
        body = {"name": "theirs", "roles": ["*"], "workflows": ["*"], "devices": ["*"]}
        source = {"kind": "environment", "variable": "STEPSWITCH_CREDENTIAL_X"}
        refused = await real.client.post(f"{OWN}/credentials", json={**body, "source": source}, headers=mia)
        assert faults(refused) == [("NOT_PERMITTED", "source.kind")]
        stored = {"kind": "stored", "value": "their own"}
        assert (await real.client.post(f"{OWN}/credentials", json={**body, "source": stored}, headers=mia)).status_code == 200
        assert (await real.client.get(f"{OWN}/credentials/theirs")).status_code == 404
        assert (await real.client.get(f"{OWN}/credentials", headers=mia)).json()[0]["source"] == {"kind": "stored"}


async def test_a_list_leads_on_and_a_marker_of_nobody_is_a_fault(
    real: Real, monkeypatch: pytest.MonkeyPatch, device: OpenSshServer
) -> None:
    for name in ("a", "b", "c"):
        await keep(real, device, name)
    for module in ("stepswitch.engine.credentials.PAGE", "stepswitch.api.credentials.PAGE"):
        monkeypatch.setattr(module, 2)
    first = await real.client.get(f"{OWN}/credentials")
    assert [each["name"] for each in first.json()] == ["a", "b"]
    rest = await real.client.get(first.links["next"]["url"])
    assert ([each["name"] for each in rest.json()], "link" in rest.headers) == (["c"], False)
    wrong = await real.client.get(f"{OWN}/credentials", params={"nextpage_opaque_marker": "page_number=1"})
    assert faults(wrong) == [("INVALID_VALUE", "nextpage_opaque_marker")]
