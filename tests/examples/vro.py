"""A vRO for the examples, with the service's inventory and a credential for it. Used by `test_examples`."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from stepswitch.bootstrap import Service
from stepswitch.engine.callers import Caller
from stepswitch.engine.credential_records import StoredValue
from stepswitch.engine.credentials import CredentialOrder
from stepswitch.engine.privileges import ADMINISTRATOR
from stepswitch.engine.records import Account
from stepswitch.steps.vro_errands import LIBRARY_SSH
from stepswitch.storage.accounts import SqlAccountStore
from tests.steps.vro_server import PASSWORD, USER, FakeRun, FakeVro, given, open_vro

HEALED: Final = "192.0.2.9"
SETTINGS: Final = {"vro_exec_workflow": "Run in a virtual machine", "vro_scp_workflow": "Fetch a file"}
"""What a service is told of the workflows that are not in vRO's library."""


@asynccontextmanager
async def running_vro(service: Service, caller: Caller, place: Path) -> AsyncIterator[FakeVro]:
    """Give a vRO that the inventory calls `paris`, and that heals every machine but those called broken."""
    async with open_vro(place) as vro:
        vro.workflow("Heal a virtual machine", inputs={"machine": "string", "attempts": "number", "password": "SecureString"}, work=_heals)
        login = {"hostNameOrIP": "string", "username": "string", "password": "SecureString", "cmd": "string"}
        vro.workflow("Run SSH command", LIBRARY_SSH.id, inputs=login, work=_is_up)
        inside = {"virtualMachine": "string", "username": "string", "password": "SecureString", "cmd": "string"}
        vro.workflow(SETTINGS["vro_exec_workflow"], inputs=inside, work=_packs)
        fetched = {"hostNameOrIP": "string", "username": "string", "password": "SecureString", "sourcePath": "string"}
        vro.workflow(SETTINGS["vro_scp_workflow"], inputs=fetched, work=_fetches)
        await SqlAccountStore(service._database).put_account(Account(caller.user, caller.tenant, "no hash", (ADMINISTRATOR,)))
        order = CredentialOrder(StoredValue(PASSWORD), roles=("*",), workflows=("*",), devices=(f"{vro.host}:{vro.port}",))
        await service.credentials.add(caller, "paris vro", order)
        endpoint = {"url": vro.url().rstrip("/"), "caCertificates": vro.authority}
        endpoint_login = {"login": {"username": USER, "password": {"credential": "paris vro"}}}
        await service.inventories.replace(caller, {"vimLocations": {"paris": {"vro": {**endpoint, **endpoint_login}}}})
        yield vro


def _heals(run: FakeRun) -> None:
    if "broken" in run.value("machine"):
        run.state, run.exception = "failed", "the host of the machine is down"
        return
    run.says("restarted")
    run.gives("address", "string", given("string", HEALED))
    run.state = "completed"


def _is_up(run: FakeRun) -> None:
    run.gives("outputText", "string", given("string", "up 2 minutes\n" if run.value("hostNameOrIP") == HEALED else ""))
    run.gives("result", "string", given("string", "0"))
    run.state = "completed"


def _packs(run: FakeRun) -> None:
    is_full = "full" in run.value("virtualMachine")
    run.gives("outputText", "string", given("string", ""))
    run.gives("errorText", "string", given("string", "tar: no space left on device\n" if is_full else ""))
    run.gives("exitCode", "number", given("number", 2.0 if is_full else 0.0))
    run.state = "completed"


def _fetches(run: FakeRun) -> None:
    content = base64.b64encode(b"diagnostics of smf-1").decode()
    name = run.value("sourcePath").rpartition("/")[2]
    run.gives("file", "MimeAttachment", {"mime-attachment": {"name": name, "mime-type": "application/gzip", "content": content}})
    run.state = "completed"
