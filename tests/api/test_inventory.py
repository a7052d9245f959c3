"""Risk: an inventory is half changed, a change is lost or leaves what names nothing, or an execution acts at another place than its network function is.

The whole service over HTTP.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from stepswitch.storage.audit import SqlAuditStore
from tests.api.real import OWN, PLAIN, Real, real_service
from tests.domain.inventories import FULL

INVENTORY: Final = f"{OWN}/inventory"
SMALL: Final[dict[str, dict[str, Any]]] = {
    "sites": {},
    "vimLocations": {"paris-vc": {"vcenter": {"url": "https://vc.example.net"}}},
    "virtualMachines": {},
    "networkFunctions": {"nf-1": {"type": "VNF", "vimLocation": "paris-vc", "devices": ["core-7"]}},
    "networkServices": {},
    "devices": {"core-7": {"addresses": ["192.0.2.7"]}},
    "sources": {},
}
WORKFLOW: Final = {
    "name": "n",
    "version": "1",
    "schemaVersion": "3.0",
    "startStepId": "a",
    "inputs": {"vimLocation": {"type": "vimLocation", "required": True}},
    "outputs": {"where": {"type": "string"}},
    "steps": {
        "a": {
            "type": "JS",
            "inBindings": {
                "script": {"type": "string", "defaultValue": "return { where: at }"},
                "at": {"type": "string", "exportName": "vimLocation"},
            },
            "outBindings": {"where": {"name": "where", "type": "string"}},
        }
    },
}


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path) as running:
        yield running


async def put(real: Real, document: Any, path: str = "", **headers: str) -> httpx.Response:
    return await real.client.put(f"{INVENTORY}{path}", json=document, headers=headers)


def told(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 400, answer.text
    return [each["message"] for each in answer.json()["errors"]]


async def records(real: Real) -> list[dict[str, Any]]:
    answer = await real.client.get(f"{OWN}/audit", params={"page_size": "100"})
    assert answer.status_code == 200
    found = [each["record"] for each in answer.json()]
    return [each for each in found if "nventory" in each["operation"] or each["object"]["kind"] == "device"]


async def test_the_whole_is_replaced_read_and_known_by_its_tag(real: Real) -> None:
    empty = await real.client.get(INVENTORY)
    assert empty.json() == {section: {} for section in SMALL}
    first = await put(
        real,
        {**SMALL, "sites": None, "devices": {"core-7": {"addresses": ["192.0.2.7"], "site": None}}},
        **{"If-Match": empty.headers["etag"]},
    )
    assert (first.status_code, first.json()) == (200, SMALL)
    assert (await put(real, {}, **{"If-Match": empty.headers["etag"]})).status_code == 412
    again = await real.client.get(INVENTORY, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    gone = await put(real, {}, **{"If-Match": first.headers["etag"]})
    assert gone.json() == empty.json()
    assert gone.headers["etag"] not in (empty.headers["etag"], first.headers["etag"])


async def test_entries_are_stored_read_and_removed_each_with_its_own_tag(real: Real) -> None:
    place = "/devices/core%207"
    assert (await real.client.get(INVENTORY + place)).status_code == 404
    assert (await put(real, {"addresses": ["192.0.2.8"]}, place, **{"If-Match": '"x"'})).status_code == 412
    made = await put(real, {"addresses": ["192.0.2.8"]}, place)
    assert (made.status_code, made.json()) == (200, {"addresses": ["192.0.2.8"]})
    assert (await put(real, {}, "/sites/paris")).status_code == 200
    read = await real.client.get(INVENTORY + place)
    assert (read.json(), read.headers["etag"]) == (made.json(), made.headers["etag"])
    assert (await real.client.get(INVENTORY + place, headers={"If-None-Match": read.headers["etag"]})).status_code == 304
    changed = await put(real, {"addresses": ["192.0.2.8"], "site": "paris"}, place, **{"If-Match": read.headers["etag"]})
    assert changed.status_code == 200
    stale = await real.client.delete(INVENTORY + place, headers={"If-Match": read.headers["etag"]})
    assert stale.status_code == 412
    assert (await real.client.get(INVENTORY)).json()["devices"] == {"core 7": {"addresses": ["192.0.2.8"], "site": "paris"}}
    assert (await real.client.delete(INVENTORY + place, headers={"If-Match": changed.headers["etag"]})).status_code == 204
    assert (await real.client.delete(INVENTORY + place)).status_code == 404


async def test_a_change_with_faults_changes_nothing_and_tells_all_of_them(real: Real) -> None:
    assert (await put(real, SMALL)).status_code == 200
    before = await real.client.get(INVENTORY)
    wrong = {"addresses": ["192.0.2.7", "a b"], "jumpHost": "bastion", "login": {"password": "hunter2-hunter2"}}
    found = told(await put(real, wrong, "/devices/core-8"))
    assert [each.partition(":")[0] for each in found] == ["addresses[1]", "login.password", "jumpHost", "addresses[0]"]
    assert "hunter2" not in str(found)
    whole = {**SMALL, "sites": {"rome": {}}, "devices": {"core-7": wrong}, "networkFunctions": {"nf-1": {}}}
    assert len(told(await put(real, whole))) == 5
    assert told(await real.client.delete(f"{INVENTORY}/devices/core-7")) == [
        "networkFunctions.nf-1.devices[0]: there is no device 'core-7' in this inventory"
    ]
    assert told(await put(real, [], "/devices/core-8")) == ["an array is no object"]
    assert told(await put(real, {"x": 1}, "/devices/%20"))[0] == "id: a name must not be empty"
    after = await real.client.get(INVENTORY)
    assert (after.json(), after.headers["etag"]) == (before.json(), before.headers["etag"])


async def test_a_credential_that_is_named_anew_has_to_be_there_and_one_that_is_gone_bars_no_other_change(real: Real) -> None:
    login = {"login": {"password": {"credential": "core"}, "privateKey": {"credential": "key"}}}
    device = {"addresses": ["192.0.2.7"], **login}
    found = told(await put(real, device, "/devices/core-7"))
    assert found == [
        f"login.{field}: there is no credential called {name!r}; make it first"
        for field, name in (("password", "core"), ("privateKey", "key"))
    ]
    for name in ("core", "key"):
        source = {"kind": "stored", "value": "a pigeon"}
        made = {"name": name, "source": source, "roles": ["*"], "workflows": ["*"], "devices": ["*"]}
        assert (await real.client.post(f"{OWN}/credentials", json=made)).status_code == 200
    assert (await put(real, device, "/devices/core-7")).status_code == 200
    assert (await real.client.delete(f"{OWN}/credentials/core")).status_code == 204
    assert (await put(real, {}, "/sites/paris")).status_code == 200
    (refused,) = told(await put(real, {**device, "site": "paris"}, "/devices/core-7"))
    assert refused.startswith("login.password: ")


async def test_what_is_changed_is_recorded_as_it_was_and_as_it_is(real: Real) -> None:
    await put(real, SMALL)
    await put(real, {"addresses": ["192.0.2.7"], "platform": "ios"}, "/devices/core-7")
    await put(real, {"addresses": ["192.0.2.9"]}, "/devices/core-9")
    await real.client.delete(f"{INVENTORY}/devices/core-9")
    await put(real, {**SMALL, "sites": {"paris": {}}})
    found = sorted(await records(real), key=lambda each: str(each["time"]))
    assert [(each["operation"], each["object"]["kind"], each["object"]["id"]) for each in found] == [
        ("replaceInventory", "inventory", ""),
        ("putDevice", "device", "core-7"),
        ("putDevice", "device", "core-9"),
        ("removeDevice", "device", "core-9"),
        ("replaceInventory", "inventory", ""),
    ]
    assert [each["before"] for each in found[1:]] == [
        {"platform": None},
        {},
        {"addresses": ["192.0.2.9"]},
        {"devices": {"core-7": {"addresses": ["192.0.2.7"], "platform": "ios"}}},
    ]
    assert [each["after"] for each in found[1:]] == [
        {"platform": "ios"},
        {"addresses": ["192.0.2.9"]},
        {},
        {"devices": {"core-7": {"addresses": ["192.0.2.7"]}}, "sites": {"paris": {}}},
    ]
    assert (found[0]["before"], found[0]["after"].keys()) == ({}, {"vimLocations", "networkFunctions", "devices"})


async def test_changes_at_once_are_all_there(real: Real) -> None:
    answers = await asyncio.gather(*(put(real, {"addresses": [f"192.0.2.{number}"]}, f"/devices/d{number}") for number in range(20)))
    assert {each.status_code for each in answers} == {200}
    assert len((await real.client.get(INVENTORY)).json()["devices"]) == 20
    assert await SqlAuditStore(real.service._database).newest() >= 20


async def test_an_execution_is_given_the_vim_location_of_its_network_function(real: Real) -> None:
    await put(real, SMALL)
    workflow = (await real.create(WORKFLOW))["id"]
    ended = await real.execute(workflow, contextType="VNF", context={"vnfId": "nf-1"})
    assert (ended["context"], ended["outputs"]) == ({"vnfId": "nf-1", "vimLocation": "paris-vc"}, {"where": "paris-vc"})
    listed = await real.client.get(f"{PLAIN}/workflowExecution", params={"filter": "(eq,context/vimLocation,paris-vc)"})
    assert [each["id"] for each in listed.json()] == [ended["id"]]
    await put(real, {"vcenter": {"url": "https://other.example.net"}}, "/vim-locations/rome-vc")
    await put(real, {**SMALL["networkFunctions"]["nf-1"], "vimLocation": "rome-vc"}, "/network-functions/nf-1")
    moved = await real.execute(workflow, contextType="VNF", context={"vnfId": "nf-1"})
    assert moved["outputs"] == {"where": "rome-vc"}


async def test_what_contradicts_the_inventory_is_refused_with_every_other_fault_and_nothing_is_queued(real: Real) -> None:
    await put(real, SMALL)
    workflow = (await real.create(WORKFLOW))["id"]

    async def order(**fields: Any) -> list[str]:
        return told(await real.client.put(f"{PLAIN}/workflowExecution", json={"workflowId": workflow, **fields}))

    found = await order(contextType="CNF", context={"vnfId": "nf-1", "vimLocation": "x"}, debugStepIds=["b"])
    assert [each.partition(":")[0] for each in found] == ["contextType", "context.vimLocation", "debugStepIds[0]"]
    (assigned,) = await order(contextType="VNF", context={"vnfId": "nf-1"}, assignments={"vimLocation": "x"})
    assert assigned.startswith("assignments.vimLocation: is given by the context")
    unknown = await order(contextType="VNF", context={"vnfId": "nf-2"})
    assert unknown[0].startswith("context.vnfId: the inventory has no network function 'nf-2'")
    assert (await real.client.get(f"{PLAIN}/workflowExecution")).json() == []
    elsewhere = await real.execute(workflow, contextType="VNF", context={"vnfId": "nf-9"}, assignments={"vimLocation": "x"})
    assert elsewhere["outputs"] == {"where": "x"}


async def test_who_may_read_an_inventory_cannot_change_it(real: Real) -> None:
    await put(real, SMALL)
    for role, seen in (("Operations", 200), ("System Auditor", 200), ("Workflow Designer", 403)):
        login = await real.add_user(f"a {role}", role)
        assert (await real.client.get(INVENTORY, headers=login)).status_code == seen
        assert (await real.client.get(f"{INVENTORY}/devices/core-7", headers=login)).status_code == seen
        assert (await real.client.put(INVENTORY, headers=login, json={})).status_code == 403
        assert (await real.client.delete(f"{INVENTORY}/devices/core-7", headers=login)).status_code == 403
    assert (await real.client.get(INVENTORY)).json() == SMALL


async def test_everything_that_an_inventory_can_say_is_taken(real: Real) -> None:
    for name in ("vc", "token", "key", "core", "ssh", "phrase", "enable"):
        source = {"kind": "stored", "value": "a pigeon"}
        made = {"name": name, "source": source, "roles": ["*"], "workflows": ["*"], "devices": ["*"]}
        assert (await real.client.post(f"{OWN}/credentials", json=made)).status_code == 200
    answer = await put(real, FULL)
    assert (answer.status_code, answer.json()) == (200, FULL)
