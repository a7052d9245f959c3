"""Risk: somebody whom a directory knows is let in without being recorded, or cannot work as others do, or a directory that is away stops them all.

The whole service with a real slapd, and an OpenSSH server for a device.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepswitch.access.sessions import Sessions
from stepswitch.storage.audit import SqlAuditStore
from tests.api.real import OWN, PLAIN, Real, real_service
from tests.slapd import GROUPS, PEOPLE, SERVICE, Slapd

LOGIN = "/hybridity/api/sessions"
DESIGNER, SHIFT = f"cn=design,{GROUPS}", f"cn=shift,{GROUPS}"
TELLING: dict[str, Any] = {
    "name": "telling", "version": "1", "schemaVersion": "3.0", "startStepId": "a",
    "inputs": {"pw": {"type": "password"}},
    "outputs": {"size": {"type": "number"}},
    "steps": {
        "a": {
            "type": "JS",
            "inBindings": {
                "script": {"type": "string", "defaultValue": "return { size: pw.length }"},
                "pw": {"type": "password", "exportName": "pw"},
            },
            "outBindings": {"size": {"name": "size", "type": "number"}},
        }
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    with Slapd() as server:
        server.add_group("shift")
        server.add_group("design")
        server.add_person("ann", "the pigeon flies", SHIFT, DESIGNER)
        yield server


def settings(slapd: Slapd, **more: Any) -> dict[str, Any]:
    return {
        "ldap_url": slapd.tls_url,
        "ldap_ca_file": slapd.certificate,
        "ldap_bind_dn": SERVICE,
        "ldap_password": slapd.password,
        "ldap_user_base": PEOPLE,
        "ldap_user_filter": "(uid={username})",
        "ldap_group_base": GROUPS,
        "ldap_roles": {"shift": ("Operations",), "design": ("Workflow Designer",)},
        **more,
    }


@pytest.fixture
async def real(tmp_path: Path, slapd: Slapd) -> AsyncIterator[Real]:
    async with real_service(tmp_path, **settings(slapd, ldap_refresh_minutes=0)) as running:
        yield running


async def records(real: Real) -> list[dict[str, Any]]:
    store = SqlAuditStore(real.service._database)
    return [json.loads(each.record.text) for each in await store.behind(0, 1_000)]


def look_again(real: Real, user: str) -> None:
    """Have the next request ask who somebody is, which it does anyhow after two seconds."""
    assert isinstance(real.service.accounts, Sessions)
    real.service.accounts.forget(user)


async def test_a_login_by_the_directory_is_answered_and_recorded_with_its_source(real: Real, slapd: Slapd) -> None:
    answer = await real.client.post(LOGIN, json={"username": "Ann", "password": "the pigeon flies"})
    assert answer.status_code == 200
    assert {**answer.json(), "expiresAt": ""} == {
        "username": "ldap:ann", "tenantId": "default", "roles": ["Operations", "Workflow Designer"], "expiresAt": "",
    }  # fmt: skip
    refused = await real.client.post(LOGIN, json={"username": "ann", "password": "wrong"})
    assert (refused.status_code, refused.headers["x-error-code"]) == (401, "WRONG_CREDENTIALS")
    found = [each for each in await records(real) if each["actor"]["user"] == "ldap:ann"]
    made, opened, failed = found
    assert (made["operation"], made["actor"]["kind"]) == ("createUser", "provider")
    assert made["after"]["roles"] == ["Operations", "Workflow Designer"]
    assert (opened["outcome"], opened["after"]["source"]) == ("allowed", "ldap")
    assert (failed["outcome"], failed["status"]) == ("refused", 401)
    admin = next(each for each in await records(real) if each["operation"] == "login")
    assert admin["after"]["source"] == "password"
    assert "pigeon" not in json.dumps(await records(real))


async def test_whom_the_directory_knows_works_as_everybody_does_and_his_credentials_with_him(real: Real, slapd: Slapd) -> None:
    source = {"kind": "stored", "value": "0123456789"}
    made = await real.client.post(
        f"{OWN}/credentials",
        json={"name": "core", "source": source, "roles": ["Operations"], "workflows": ["*"], "devices": ["*"], "withoutDevice": True},
    )
    assert made.status_code == 200, made.text
    dn = slapd.add_person("worker", "the pigeon flies", SHIFT, DESIGNER)
    real.client.headers.update(await real.login("worker", "the pigeon flies"))
    workflow = (await real.create(TELLING))["id"]
    ended = await real.execute(workflow, assignments={"pw": {"credential": "core"}})
    assert (ended["status"], ended["outputs"], ended["creationUser"]) == ("COMPLETED", {"size": 10}, "ldap:worker")
    token = (await real.client.post(f"{OWN}/tokens", json={"name": "nightly"})).json()["token"]
    slapd.leave(dn, SHIFT)
    look_again(real, "ldap:worker")
    lost = await real.client.put(f"{PLAIN}/workflowExecution", json={"workflowId": workflow, "contextType": "NONE"})
    assert lost.status_code == 403
    slapd.remove(dn)
    look_again(real, "ldap:worker")
    for headers in ({}, {"x-hm-authorization": token}):
        gone = await real.client.get(f"{PLAIN}/workflow", headers=headers)
        assert (gone.status_code, gone.headers["x-error-code"]) == (401, "NOT_AUTHENTICATED")


async def test_the_stream_of_somebody_who_is_gone_ends(real: Real, slapd: Slapd) -> None:
    dn = slapd.add_person("listener", "the pigeon flies", SHIFT)
    headers = await real.login("listener", "the pigeon flies")
    async with real.client.stream("GET", f"{OWN}/events", headers=headers) as stream:
        assert stream.status_code == 200
        slapd.remove(dn)
        look_again(real, "ldap:listener")
        async with asyncio.timeout(20):
            async for _ in stream.aiter_bytes():
                pass


async def test_a_directory_that_is_away_is_503_with_the_local_administrator_at_work(tmp_path: Path) -> None:
    with Slapd() as own:
        own.add_person("ann", "the pigeon flies", own.add_group("shift"))
        async with real_service(tmp_path, **settings(own, ldap_trust_minutes=1e-6, ldap_refresh_minutes=0)) as real:
            headers = await real.login("ann", "the pigeon flies")
            own.go_down()
            answer = await real.client.post(LOGIN, json={"username": "ann", "password": "the pigeon flies"})
            assert (answer.status_code, answer.headers["x-error-code"]) == (503, "PROVIDER_UNAVAILABLE")
            assert int(answer.headers["retry-after"]) > 0
            assert "127.0.0.1" not in answer.text
            look_again(real, "ldap:ann")
            assert (await real.client.get(f"{PLAIN}/workflow", headers=headers)).status_code == 503
            assert (await real.client.get(f"{PLAIN}/workflow", headers=await real.login())).status_code == 200


async def test_an_administrator_sees_them_disables_them_and_gives_them_no_password(real: Real, slapd: Slapd) -> None:
    slapd.add_person("tom", "the pigeon flies", SHIFT)
    theirs = await real.login("tom", "the pigeon flies")
    path = f"{OWN}/users/ldap:tom"
    assert (await real.client.get(path)).json()["roles"] == ["Operations"]
    for change in ({"password": "a pigeon on the roof"}, {"roles": ["System Administrator"]}):
        refused = await real.client.patch(path, json=change)
        assert (refused.status_code, refused.headers["x-error-code"]) == (400, "NOT_PERMITTED")
    changed = await real.client.post(
        f"{OWN}/password", headers=theirs, json={"oldPassword": "the pigeon flies", "newPassword": "a pigeon on the roof"}
    )
    assert changed.status_code == 400
    assert (await real.client.patch(path, json={"isDisabled": True})).status_code == 200
    assert (await real.client.get(f"{PLAIN}/workflow", headers=theirs)).status_code == 401
    assert (await real.client.post(LOGIN, json={"username": "tom", "password": "the pigeon flies"})).status_code == 401
    taken = await real.client.post(f"{OWN}/users", json={"username": "ldap:eve", "password": "a pigeon on the roof", "roles": []})
    assert taken.status_code == 400
