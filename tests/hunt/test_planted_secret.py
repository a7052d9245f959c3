"""Risk: a password can be read in anything that the service writes, in any form.

Passwords are planted in workflows of every step type there is; they fail, pause, are edited, corrected, retried, killed, backed up and rehearsed at
the level debug. Then every byte that was written is searched: database and WAL, files, backup, temporary files, log, answers, streams, and what the
commands print.
"""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.service import ROOT
from tests.hunt.documents import hunted, logging_in, refused, telling, waiting
from tests.hunt.house import OWN, SECRETS, House, assert_nothing, hunt
from tests.hunt.planted import Hunt, spellings


def know_a_cluster(house: House) -> None:
    """Say in the inventory where scripts run, with the credential for that."""
    source = {"kind": "stored", "value": house.secrets["token for a cluster"]}
    for_all = {each: ["*"] for each in ("roles", "workflows", "devices")}
    house.ask("POST", f"{OWN}/credentials", {"name": "lab", "source": source, **for_all})
    location = {"kubernetes": {"url": house.elsewhere.lab.url(""), "token": {"credential": "lab"}}}
    assert house.said("PUT", f"{OWN}/inventory/vim-locations/lab", json=location).is_success


def plant(house: House) -> str:
    """Store the workflow and queue an execution that takes every secret; return its id."""
    secrets, device = house.secrets, house.target
    know_a_cluster(house)
    workflow = house.ask("PUT", f"{ROOT}/workflow", hunted(secrets, **device))["id"]
    house.ask("POST", f"{ROOT}/workflow/{workflow}", {**hunted(secrets, **device), "version": "2"})
    assigned = {
        "assigned": secrets["assigned"],
        "login": house.device.password,
        "large": secrets["large"],
        "plain": secrets["plain"],
    }
    order = {
        "workflowId": workflow,
        "contextType": "NONE",
        "assignments": assigned,
        "context": {"note": f"use {secrets['plain']}", "coded": spellings(secrets["plain"])["in base64 at 0"].decode(), "site": "paris"},
        "pauseAtFailure": True,
    }
    return str(house.ask("PUT", f"{ROOT}/workflowExecution", order, headers={"Idempotency-Key": "hunt-1"})["id"])


def look_everywhere(house: House, workflow: str, execution: str) -> None:
    """Ask for the same in every way there is."""
    one = f"{ROOT}/workflowExecution/{execution}"
    for path in (one, f"{one}?fields=logs,stepExecutions", f"{one}/logs", f"{ROOT}/workflowExecution", f"{ROOT}/workflow"):
        house.ask("GET", path)
    house.ask("GET", f"{ROOT}/workflowExecution?fields=assignments,context,outputs,stepExecutions")
    for path in ("", "/revisions", "/revisions/1", "/revisions/2", "/revisions/2/diff?against=1"):
        house.ask("GET", f"{OWN}/workflows/{workflow}{path}" if path else f"{ROOT}/workflow/{workflow}")
    house.ask("GET", f"{ROOT.replace('/telco/api/workflows', '/tca/workflows/api/v1/orgs/default')}/workflowExecution/{execution}")
    house.ask("GET", "/openapi.json")
    house.ask("GET", f"{OWN}/health")
    house.ask("GET", f"{OWN}/audit/export")
    house.command("audit", "export", "--data-dir", str(house.data))
    for words in (("show", execution), ("show", execution, "--json"), ("logs", execution), ("list",)):
        house.command("execution", *words)
    for words in (("show", workflow), ("revisions", workflow), ("diff", workflow, "2"), ("list",)):
        house.command("workflow", *words)


def be_refused(house: House) -> None:
    """Ask for what is wrong, with secrets in it."""
    secret = house.secrets["refused"]
    for method, path, body in refused(secret):
        house.said(method, path, json=body)
    for assignments in ({"login": [secret]}, {"pww": secret}, {"login": {"a": secret}}, secret):
        house.said("PUT", f"{ROOT}/workflowExecution", json={"workflowId": "none", "contextType": "NONE", "assignments": assignments})
    house.said("PUT", f"{ROOT}/workflowExecution", content=b'{"assignments": {"pw": "' + secret.encode() + b'"')
    house.said("PUT", f"{ROOT}/workflowExecution", content=b'{"workflowId": 7, "pw": "' + secret.encode() + b'"}')
    house.said("POST", f"{OWN}/users", json={"username": "ann", "password": house.secrets["user"], "roles": ["Workflow Executor"]})
    house.said("POST", "/hybridity/api/sessions", json={"username": "admin", "password": house.secrets["wrong login"]})
    house.said("POST", "/hybridity/api/sessions", json={"username": house.secrets["typed as a name"], "password": "?"})


def use_credentials(house: House) -> None:
    """Make credentials of every source that is at hand, and let a script that may have them tell everybody."""
    sources = {
        "stored": {"kind": "stored", "value": house.secrets["credential"]},
        "variable": {"kind": "environment", "variable": "STEPSWITCH_CREDENTIAL_CORE"},
        "file": {"kind": "file", "path": "core"},
        "vault": {"kind": "vault", "mount": "secret", "path": "core", "key": "password"},
        "cluster": {"kind": "kubernetes", "namespace": "devices", "secret": "core", "key": "password"},
        "login": {"kind": "stored", "value": house.device.password},
        "vcenter": {"kind": "stored", "value": house.secrets["of a vCenter"]},
        "guest": {"kind": "stored", "value": house.secrets["of a guest"]},
    }
    for name, source in sources.items():
        for_all = {each: ["*"] for each in ("roles", "workflows", "devices")}
        house.ask("POST", f"{OWN}/credentials", {"name": name, "source": source, "withoutDevice": True, **for_all})
        house.ask("POST", f"{OWN}/credentials/{name}/check")
        house.ask("GET", f"{OWN}/credentials/{name}")
    house.said("POST", f"{OWN}/credentials", json={"name": "a/b", "source": {"kind": "stored", "value": house.secrets["refused"], "x": 1}})
    house.said("PUT", f"{OWN}/inventory/devices/core-7", json={"addresses": ["core-7"], "login": {"password": house.secrets["refused"]}})
    house.ask("GET", f"{OWN}/credentials")
    workflow = house.ask("PUT", f"{ROOT}/workflow", telling(**house.target))["id"]
    house.ask("POST", f"{ROOT}/workflow/{workflow}", {**telling(**house.target), "version": "2"})
    house.ask("PUT", f"{OWN}/inventory", house.elsewhere.inventory)
    assigned = {name: {"credential": name} for name in sources if name not in {"vcenter", "guest"}}
    order = {"workflowId": workflow, "contextType": "NONE", "assignments": assigned, "pauseAtFailure": True}
    execution = house.ask("PUT", f"{ROOT}/workflowExecution", order)["id"]
    paused = house.until(execution, "PAUSED")
    assert [step["result"] for step in paused["stepExecutions"]] == ["SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "FAILED", "FAILED"], paused[
        "stepExecutions"
    ]
    assert paused["stepExecutions"][3]["error"]["code"] == "UNEXPECTED_STATUS"
    changed = {"source": {"kind": "stored", "value": house.secrets["changed credential"]}}
    house.ask("PATCH", f"{OWN}/credentials/stored", changed)
    house.ask("POST", f"{ROOT}/workflowExecution/{execution}/retry")
    house.until(execution, "PAUSED")
    look_everywhere(house, workflow, execution)
    house.command("credential", "list", "--url", house.service.url)
    house.command("credential", "show", "stored", "--url", house.service.url)


def log_in_by_inventory(house: House) -> None:
    """Have devices tell what they were told, which steps have from the inventory alone: one of them, and one that is reached through it."""
    device, router = house.device, house.elsewhere.router
    (device.work / "told").write_text(f"{device.password} is what was said here\n")
    for_all = {each: ["*"] for each in ("roles", "workflows", "devices")}
    house.ask("POST", f"{OWN}/credentials", {"name": "router", "source": {"kind": "stored", "value": router.password}, **for_all})
    there = {"addresses": [f"{device.host}:{device.port}"], "login": {"username": device.user, "password": {"credential": "login"}}}
    behind: dict[str, Any] = {"addresses": [f"{router.host}:{router.port}"], "jumpHost": "there"}
    behind["login"] = {"username": "admin", "password": {"credential": "router"}}
    house.ask("PUT", f"{OWN}/inventory", {"devices": {"there": there, "behind": behind}})
    workflow = house.ask("PUT", f"{ROOT}/workflow", logging_in(host=device.host, port=device.port, behind=router.port))["id"]
    execution = house.ask("PUT", f"{ROOT}/workflowExecution", {"workflowId": workflow, "contextType": "NONE"})["id"]
    ended = house.until(execution, "FAILED")
    codes = [step.get("error", {}).get("code") for step in ended["stepExecutions"]]
    assert codes == ["NON_ZERO_EXIT", "PATTERN_FAILED", "NO_SUCH_FILE", None, "RPC_ERROR"], ended["stepExecutions"]
    assert "<motd>********</motd>" in ended["stepExecutions"][3]["outputs"]["output"]
    house.ask("GET", f"{OWN}/inventory")
    house.ask("POST", f"{ROOT}/workflow/{workflow}", {**logging_in(host=device.host, port=device.port, behind=router.port), "version": "2"})
    look_everywhere(house, workflow, execution)


def lose_credentials(house: House) -> None:
    """Have the places of credentials refuse, with what was sent to them in mind."""
    house.elsewhere.vault.refuses = 1
    house.elsewhere.cluster.token = "another"
    for name in ("vault", "cluster"):
        house.ask("POST", f"{OWN}/credentials/{name}/check")


def log_in_by_directory(house: House) -> None:
    """Log in as somebody whom the directory knows, rightly, wrongly and while it is away."""
    path = "/hybridity/api/sessions"
    right, wrong = house.secrets["in the directory"], house.secrets["wrong login"]
    logged_in = house.said("POST", path, json={"username": "anna", "password": right})
    assert logged_in.status_code == 200, logged_in.text
    headers = {"x-hm-authorization": logged_in.headers["x-hm-authorization"]}
    assert house.said("GET", f"{ROOT}/workflow", headers=headers).status_code == 200
    for username, password in (("anna", wrong), ("anna", ""), (right, right), ("ann*", right), ("stepswitch", house.directory.password)):
        assert house.said("POST", path, json={"username": username, "password": password}).status_code in {400, 401}
    house.directory.go_down()
    assert house.said("POST", path, json={"username": "anna", "password": right}).status_code == 503
    house.service.wait_for_log("the directory cannot be asked")
    house.directory.come_up()


def rehearse(house: House) -> None:
    """Rehearse a workflow with a password, through the API and from the command line."""
    secret = house.secrets["rehearsed"]
    document = hunted({**house.secrets, "default of an input": secret}, **house.target)
    given = {"assigned": secret, "login": secret, "large": secret, "plain": secret}
    results = {"print": [{"result": "FAILED", "outputs": {"outputText": secret}, "error": {"code": "TIMEOUT", "message": secret}}]}
    expected = {"values": {"assigned": "another"}, "outputs": {"result": "another"}}
    rehearsals = [{"name": "one", "assignments": given, "results": results, "expected": expected}]
    answer = house.said("POST", f"{OWN}/rehearse", json={"workflow": document, "rehearsals": rehearsals})
    assert answer.status_code == 200, answer.text
    assert {"make", "speak", "print"} <= {step["stepId"] for step in answer.json()["rehearsals"][0]["way"]}
    file = house.place / "workflow.json"
    file.write_text(json.dumps(document))
    house.command("validate", str(file))
    file.unlink()


@pytest.mark.timeout(300)
def test_no_planted_secret_is_found_in_anything_that_was_written(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    stream = house.follow()
    execution = plant(house)
    workflow = house.ask("GET", f"{ROOT}/workflowExecution/{execution}")["workflow"]["id"]
    paused = house.until(execution, "PAUSED")
    assert [step["result"] for step in paused["stepExecutions"]] == ["SUCCEEDED"] * 4 + ["FAILED"] * 6, paused["stepExecutions"]
    codes = [step["error"]["code"] for step in paused["stepExecutions"][5:9]]
    assert codes == ["UNEXPECTED_STATUS", "NO_SUCH_FILE", "NON_ZERO_EXIT", "IMAGE_NOT_PULLED"], paused["stepExecutions"]
    look_everywhere(house, workflow, execution)
    be_refused(house)
    rehearse(house)
    use_credentials(house)
    log_in_by_inventory(house)
    lose_credentials(house)
    log_in_by_directory(house)
    assert_nothing(hunt(house))

    steps = house.ask("GET", f"{ROOT}/workflowExecution/{execution}")["workflow"]["steps"]
    inputs = {**steps["fail"]["inBindings"], "edited": {"type": "password", "defaultValue": house.secrets["edited in"]}}
    inputs["script"] = {"type": "string", "defaultValue": "console.log('now ' + edited + ' and ' + pw); return { pw: pw + edited }"}
    house.ask("PATCH", f"{ROOT}/workflowExecution/{execution}", {"steps": {"fail": {**steps["fail"], "inBindings": inputs}}})
    house.ask("POST", f"{OWN}/executions/{execution}/values", {"values": {"assigned": house.secrets["corrected"]}})
    stuck = house.ask("PUT", f"{ROOT}/workflow", waiting(**house.target))["id"]
    order = {
        "workflowId": stuck,
        "contextType": "NONE",
        "assignments": {"login": house.device.password, "plain": house.secrets["plain"]},
    }
    cut = house.ask("PUT", f"{ROOT}/workflowExecution", order)["id"]
    house.until_logged(cut, "begun")
    house.service.end()
    stream.join(30)
    assert_nothing(hunt(house))

    house.begin()
    house.ask("POST", f"{ROOT}/workflowExecution/{execution}/retry")
    ended = house.until(execution, "COMPLETED")
    assert ended["outputs"]["secret"] == "********"
    house.until(cut, "FAILED", "PAUSED")
    look_everywhere(house, workflow, execution)
    house.ask("GET", f"{OWN}/executions/{execution}/events")
    house.command("execution", "watch", execution)
    house.command("secrets", "rotate", "--data-dir", str(house.data))
    house.service.wait_for_log("are encrypted with the new key")
    house.command("secrets", "status", "--data-dir", str(house.data))
    look_everywhere(house, workflow, execution)
    house.command("backup", str(house.place / "backup"), "--data-dir", str(house.data))
    assert_nothing(hunt(house, house.place / "backup"))
    assert house.service.end(signal.SIGTERM) == 0

    last = hunt(house, house.place / "backup")
    printed = capfd.readouterr()
    last.search("what the service and the commands printed", (printed.out + printed.err).encode())
    assert_nothing(last)
    assert "********" in printed.out
    assert last.looked_at > 1_000_000
    assert {"stepswitch.db", "secrets.key"} <= {Path(place).name for place in last.places}


def test_the_hunt_finds_a_secret_in_every_form(tmp_path: Path) -> None:
    secret = SECRETS["assigned"]
    for name, form in spellings(secret).items():
        hunt = Hunt({"assigned": secret})
        (tmp_path / "file").write_bytes(b"before" + form + b"after")
        hunt.search_files(tmp_path)
        assert hunt.found, name
