"""Risk: an execution does not know a network function that its VNFM knows, somebody changes what comes from there, or a password of it is shown.

The whole service over HTTP, with a VNFM and an NFVO over real sockets.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from stepswitch.engine.inventory_sources import SourceState
from tests.api.real import OWN, PLAIN, Real, real_service
from tests.api.test_inventory import INVENTORY, WORKFLOW, put, told
from tests.inventory.mano import PASSWORD, USER, Mano, ns, vnf
from tests.steps.http_server import reply

VIMS: Final = {"paris-vc": {"vcenter": {"url": "https://vc.example.net"}, "vimConnectionIds": ["vim-1"]}}


@pytest.fixture
async def mano() -> AsyncIterator[Mano]:
    async with Mano() as running:
        yield running


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path, http_allowed_networks="127.0.0.0/8") as running:
        yield running


def source(mano: Mano, kind: str = "SOL003", **more: Any) -> dict[str, Any]:
    return {"kind": kind, "url": mano.root, "everySeconds": 86_400, **more}


async def write(real: Real, **sources: Any) -> None:
    answer = await put(real, {"vimLocations": VIMS, "sources": sources})
    assert answer.status_code == 200, answer.text


async def refreshed(real: Real, name: str = "vnfm") -> dict[str, Any]:
    answer = await real.client.post(f"{INVENTORY}/sources/{name}/refresh")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_contexts_are_given_what_a_vnfm_and_an_nfvo_know(real: Real, mano: Mano) -> None:
    mano.functions = [vnf(f"nf-{number}", "vim-1", f"vm-{number}") for number in range(5)]
    mano.services = [ns("ns-1", *mano.functions)]
    await write(real, vnfm=source(mano), nfvo=source(mano, "SOL005"))
    shown = await refreshed(real)
    assert (shown["state"], shown["networkFunctions"], shown["virtualMachines"], shown["problems"]) == ("CURRENT", 5, 5, [])
    assert (await refreshed(real, "nfvo"))["networkServices"] == 1
    workflow = (await real.create(WORKFLOW))["id"]
    for context_type, context in (("VNF", {"vnfId": "nf-3"}), ("NS", {"nsId": "ns-1"})):
        ended = await real.execute(workflow, contextType=context_type, context=context)
        assert (ended["context"], ended["outputs"]) == ({**context, "vimLocation": "paris-vc"}, {"where": "paris-vc"})


async def test_a_new_network_function_is_looked_for_when_a_context_names_it(real: Real, mano: Mano) -> None:
    mano.services = [ns("ns-1", vnf("nf-7"))]
    await write(real, vnfm=source(mano), nfvo=source(mano, "SOL005"))
    await refreshed(real)
    workflow = (await real.create(WORKFLOW))["id"]
    order = {"workflowId": workflow, "contextType": "VNF", "context": {"vnfId": "nf-9"}}
    (refused,) = {
        each for each in told(await real.client.put(f"{PLAIN}/workflowExecution", json=order)) if each.startswith("context.vnfId")
    }
    assert "has no network function 'nf-9'" in refused
    mano.functions = [vnf("nf-8")]
    before = len(mano.asked)
    ended = await real.execute(workflow, contextType="VNF", context={"vnfId": "nf-8"})
    assert ended["outputs"] == {"where": "paris-vc"}
    assert [each.target for each in mano.asked[before:]] == ["/mano/vnflcm/v2/vnf_instances/nf-8"]
    ended = await real.execute(workflow, contextType="NS", context={"nsId": "ns-1"})
    assert ended["outputs"] == {"where": "paris-vc"}


async def test_what_a_source_brings_is_marked_and_cannot_be_changed(real: Real, mano: Mano) -> None:
    mano.functions = [vnf("nf-1", "vim-1", "vm-1")]
    await write(real, vnfm=source(mano))
    await refreshed(real)
    entry = {
        "source": "vnfm", "name": "nf-1 by name", "type": "VNF", "vimLocation": "paris-vc", "virtualMachines": ["paris-vc:vm-1"],
    }  # fmt: skip
    read = await real.client.get(f"{INVENTORY}/network-functions/nf-1")
    assert read.json() == entry
    written = await real.client.get(INVENTORY)
    assert written.json()["networkFunctions"] == {}
    everything = await real.client.get(INVENTORY, params={"withSources": "true"})
    assert everything.json()["networkFunctions"] == {"nf-1": entry}
    assert everything.json()["virtualMachines"]["paris-vc:vm-1"]["managedObjectId"] == "vm-1"
    tag = {"If-None-Match": everything.headers["etag"]}
    assert (await real.client.get(INVENTORY, params={"withSources": "true"}, headers=tag)).status_code == 304
    for answer in (
        await put(real, {"type": "VNF", "vimLocation": "paris-vc"}, "/network-functions/nf-1"),
        await real.client.delete(f"{INVENTORY}/network-functions/nf-1"),
    ):
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["code"] == "READ_ONLY"
        assert "comes from the source 'vnfm' and is not changed here" in answer.json()["errors"][0]["message"]
    assert all(": marks what a source brings" in each for each in told(await put(real, everything.json())))
    mano.functions = []
    await refreshed(real)
    assert (await real.client.get(f"{INVENTORY}/network-functions/nf-1")).status_code == 404
    assert (await real.client.get(INVENTORY, params={"withSources": "true"}, headers=tag)).status_code == 200


async def test_it_is_said_since_when_a_source_is_away_and_what_it_brought_stays(real: Real, mano: Mano) -> None:
    mano.functions = [vnf("nf-1")]
    await write(real, vnfm=source(mano))
    read_at = (await refreshed(real))["readAt"]
    mano.on("/mano/vnflcm/v2/vnf_instances", reply(503, b'{"title": "Maintenance"}', retry_after="120"))
    stale = await refreshed(real)
    assert (stale["state"], stale["readAt"], stale["networkFunctions"]) == ("STALE", read_at, 1)
    assert stale["error"] == {"code": "UNEXPECTED_STATUS", "message": "it is too busy: 503 (Maintenance)"}
    since = stale["failingSince"]
    assert (await refreshed(real))["failingSince"] == since
    listed = await real.client.get(f"{INVENTORY}/source-states")
    assert [(each["source"], each["state"], each["failingSince"]) for each in listed.json()] == [("vnfm", "STALE", since)]
    mano.handlers.clear()
    current = await refreshed(real)
    assert (current["state"], "error" in current, "failingSince" in current) == ("CURRENT", False, False)


async def test_what_was_read_is_known_after_a_restart_also_while_the_source_is_away(tmp_path: Path, mano: Mano) -> None:
    mano.functions = [vnf("nf-1")]
    async with real_service(tmp_path, http_allowed_networks="127.0.0.0/8") as real:
        await write(real, vnfm=source(mano))
        await refreshed(real)
    mano.on("/mano/vnflcm/v2/vnf_instances", reply(500))
    mano.reached.clear()
    async with real_service(tmp_path, http_allowed_networks="127.0.0.0/8") as real:
        async with asyncio.timeout(30):
            await mano.reached.wait()  # it is read at the start, unasked
        assert (await refreshed(real))["state"] == SourceState.STALE
        assert (await real.client.get(f"{INVENTORY}/network-functions/nf-1")).status_code == 200


async def test_a_password_goes_to_the_source_alone_and_its_use_is_recorded(real: Real, mano: Mano) -> None:
    mano.login, mano.functions = "basic", [vnf("nf-1")]
    login = {"username": USER, "password": {"credential": "vnfm"}}
    (missing,) = told(await put(real, source(mano, login=login), "/sources/vnfm"))
    assert missing.startswith("login.password: there is no credential called 'vnfm'")
    credential = {
        "name": "vnfm",
        "source": {"kind": "stored", "value": PASSWORD},
        "roles": ["*"],
        "workflows": ["*"],
        "devices": ["192.0.2.1"],
    }
    assert (await real.client.post(f"{OWN}/credentials", json=credential)).status_code == 200
    await write(real, vnfm=source(mano, login=login))
    refused = await refreshed(real)
    assert refused["error"]["code"] == "CREDENTIAL_REFUSED"
    assert mano.asked == []
    assert (await real.client.patch(f"{OWN}/credentials/vnfm", json={"devices": [f"127.0.0.1:{mano.port}"]})).status_code == 200
    shown = await refreshed(real)
    assert (shown["state"], shown["networkFunctions"]) == ("CURRENT", 1)
    mano.login = "bearer"
    masked = await refreshed(real)
    assert masked["error"]["message"] == "it does not let us in: 401 (Unauthorized: Basic ******** is nobody here)"
    records = (await real.client.get(f"{OWN}/audit", params={"page_size": "200"})).json()
    uses = [each["record"] for each in records if each["record"]["operation"] == "useCredential"]
    assert {(each["actor"]["user"], each["actor"]["kind"], each["outcome"]) for each in uses} == {
        ("admin", "system", "allowed"),
        ("admin", "system", "refused"),
    }
    assert {each["record"]["object"]["id"] for each in records if each["record"]["operation"] == "refreshSource"} == {"vnfm"}
    assert PASSWORD not in str(records)


async def test_who_may_see_the_inventory_sees_how_its_sources_stand_and_has_none_read(real: Real, mano: Mano) -> None:
    await write(real, vnfm=source(mano))
    await refreshed(real)
    for role, seen in (("Operations", 200), ("System Auditor", 200), ("Workflow Designer", 403)):
        login = await real.add_user(f"a {role}", role)
        assert (await real.client.get(f"{INVENTORY}/source-states", headers=login)).status_code == seen
        assert (await real.client.post(f"{INVENTORY}/sources/vnfm/refresh", headers=login)).status_code == 403
    assert (await real.client.post(f"{INVENTORY}/sources/other/refresh")).status_code == 404


async def test_a_source_on_the_machine_of_the_service_is_not_asked_unless_the_settings_say_so(tmp_path: Path, mano: Mano) -> None:
    async with real_service(tmp_path) as real:
        await write(real, vnfm=source(mano))
        assert (await refreshed(real))["error"]["code"] == "NETWORK_DENIED"
    assert mano.connections == 0
