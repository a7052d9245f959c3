"""NETCONF as the service carries it out. Risk: a secret that a device repeats, in an error, a warning, a difference or a reply, can be read afterwards."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

from stepswitch.bootstrap import open_service
from stepswitch.cli.loading import load_settings
from stepswitch.domain.execution import ENDED, ContextType, Result
from stepswitch.engine.callers import administrator
from stepswitch.engine.executions import ExecutionRequest
from stepswitch.engine.records import Committed, TrustedKey
from tests.netconf_devices import CANDIDATE, ScriptedDevice, data, error

SECRET: Final = "planted-in-a-payload & <more>"
SHOWN: Final = SECRET.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
SYSTEM: Final = '<system xmlns="urn:example:system"><motd>{}</motd></system>'
SOMEBODY: Final = administrator("tester")


def workflow(device: ScriptedDevice) -> dict[str, Any]:
    text = {"type": "string"}
    login = {
        "hostNameOrIP": {**text, "defaultValue": device.host},
        "port": {"type": "number", "defaultValue": device.port},
        "username": {**text, "defaultValue": "admin"},
        "password": {"type": "password", "exportName": "password"},
        "action": {**text, "defaultValue": "merge"},
        "payload": {**text, "exportName": "payload"},
    }
    build = (
        "return { payload: `" + SYSTEM.replace("{}", "${secret.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}") + "` }"
    )
    return {
        "name": "n", "version": "1", "schemaVersion": "3.0", "startStepId": "build",
        "inputs": {"password": {"type": "password"}, "secret": {"type": "password"}},
        "variables": {"payload": text},
        "outputs": {"difference": text, "reply": text},
        "steps": {
            "build": {
                "type": "JS", "nextStepId": "try",
                "inBindings": {"script": {**text, "defaultValue": build}, "secret": {"type": "password", "exportName": "secret"}},
                "outBindings": {"payload": {"name": "payload", "type": "string"}},
            },
            "try": {
                "type": "NETCONF", "inBindings": {**login, "dryRun": {"type": "boolean", "defaultValue": True}},
                "outBindings": {"difference": {"name": "difference", "type": "string"}}, "nextStepId": "change",
            },
            "change": {"type": "NETCONF", "inBindings": login, "outBindings": {"reply": {"name": "output", "type": "string"}}},
        },
    }  # fmt: skip


async def test_what_a_device_repeats_of_a_secret_is_read_nowhere(tmp_path: Path) -> None:
    refused = error("invalid-value", f"no such thing as {SHOWN}", more=f"<error-path>/system[motd='{SHOWN}']</error-path>")
    answers = {
        "edit-config": [error("odd", f"is {SHOWN} meant?", severity="warning"), refused],
        "get-config": [data(SYSTEM.format("old")), data(SYSTEM.format(SHOWN))],
    }
    async with ScriptedDevice(answers, capabilities=CANDIDATE) as device:
        service = await open_service(load_settings({"data_dir": tmp_path / "data"}))
        await service.host_keys.trust(TrustedKey(device.host, device.port, device.host_public_key, "tester", 0))
        await service.start()
        ended = asyncio.Event()

        class Watcher:
            def committed(self, change: Committed) -> None:
                if change.head is not None and change.head.status in ENDED:
                    ended.set()

        service.observe(Watcher())
        checked = await service.catalogue.create(SOMEBODY, workflow(device))
        given = {"password": device.password, "secret": SECRET}
        request = ExecutionRequest(workflow_id=checked.workflow.id, context_type=ContextType.NONE, assignments=given)
        made = await service.executions.create(SOMEBODY, request)
        async with asyncio.timeout(30):
            await ended.wait()
        view = await service.views.execution(SOMEBODY, made.head.id)
        await service.stop(grace_seconds=0)
    told = json.dumps([entry.message for entry in view.logs]) + json.dumps(dict(view.outputs)) + str([step.error for step, _ in view.steps])
    assert [step.result for step, _ in view.steps] == [Result.SUCCEEDED, Result.SUCCEEDED, Result.FAILED], told
    assert "planted-in-a-payload" not in told
    assert device.password not in told
    assert "+ /system/motd = ********" in told
    assert "invalid-value (error) at /system[motd='********']" in told
