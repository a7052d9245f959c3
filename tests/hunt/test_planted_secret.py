"""Risk: a password can be read in anything that the service writes, in any form.

Passwords are planted in workflows of every step type there is; they fail, pause, are edited, corrected, retried, killed, backed up and rehearsed at
the level debug. Then every byte that was written is searched: database and WAL, files, backup, temporary files, log, answers, streams, and what the
commands print.
"""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepswitch.cli.main import main
from tests.chaos.service import PASSWORD, ROOT, ServiceProcess
from tests.hunt.documents import hunted, refused, telling, waiting
from tests.hunt.planted import Hunt, spellings
from tests.openssh import OpenSshServer

OWN = "/stepswitch/api/v1"
SECRETS = {
    "assigned": 'pl@nted/"as\\sign?d"+50% é',
    "plain": "planted-for-a-shell-4711",
    "large": "planted-and-large-" + "0123456789abcdef" * 5_000,
    "default of an input": "planted-default-of-input",
    "default of a variable": "planted-default:of&variable",
    "default of a step": "planted-default-of-step",
    "compared": "planted-to-be-compared",
    "made by a script": "planted-by-a-script-0815",
    "edited in": "planted-by-an-edit",
    "corrected": "planted-by-a-correction",
    "refused": "planted-where-it-is-refused",
    "rehearsed": "planted-for-a-rehearsal",
    "credential": "planted-credential-1905",
    "changed credential": "planted-in-its-place",
    "in a variable": "planted-in-a-variable",
    "in a file": "planted-in-a-file-42",
    "user": "planted-for-a-user",
    "wrong login": "planted-as-a-wrong-login",
    "typed as a name": "planted-where-a-name-belongs",
}


class Told:
    """Everything that the service and its commands said, by where."""

    def __init__(self) -> None:
        self.contents: list[tuple[str, bytes]] = []

    def hear(self, response: httpx.Response) -> None:
        response.read()
        where = f"{response.request.method} {response.request.url} ({response.status_code})"
        self.contents.append((f"the headers of {where}", b"\n".join(name + b": " + value for name, value in response.headers.raw)))
        self.contents.append((where, response.content))


class House:
    """The service in a process, with a device, and whoever asks for something."""

    def __init__(self, place: Path, device: OpenSshServer) -> None:
        self.place = place
        self.device = device
        self.data, self.temporary = place / "data", place / "tmp"
        self.temporary.mkdir()
        self.files = place / "values"
        self.files.mkdir()
        (self.files / "core").write_text(SECRETS["in a file"])
        self.service = ServiceProcess(
            self.data, STEPSWITCH_LOG_LEVEL="debug", TMPDIR=str(self.temporary), STEPSWITCH_HOST_KEYS="accept-new", PYTHONUNBUFFERED="1",
            STEPSWITCH_CREDENTIAL_CORE=SECRETS["in a variable"], STEPSWITCH_FILE_CREDENTIALS=str(self.files),
        )  # fmt: skip
        self.told = Told()
        self.client: httpx.Client | None = None
        self.secrets = {**SECRETS, "login at the device": device.password, "admin": PASSWORD}
        self.target: dict[str, Any] = {"host": device.host, "port": device.port, "user": device.user}

    def begin(self) -> None:
        if self.client is not None:
            self.client.close()
        self.service.start()
        headers = self.service.login()
        self.token = headers["x-hm-authorization"]
        self.client = httpx.Client(base_url=self.service.url, headers=headers, timeout=30, event_hooks={"response": [self.told.hear]})

    def said(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Return the answer, whatever it is."""
        assert self.client is not None
        return self.client.request(method, path, **request)

    def ask(self, method: str, path: str, body: object = None, *, status: int = 200, headers: dict[str, str] | None = None) -> Any:
        answer = self.said(method, path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content and answer.headers["content-type"] == "application/json" else None

    def until(self, execution: str, *states: str) -> dict[str, Any]:
        """Return the execution when it has come to one of these states."""
        for _ in range(60):
            found: dict[str, Any] = self.ask("GET", f"{ROOT}/workflowExecution/{execution}", headers={"Prefer": "wait=1"})
            if found["status"] in states:
                return found
        raise AssertionError(f"it never came to {states}: {found}")

    def until_logged(self, execution: str, text: str) -> None:
        """Return when the execution has logged `text`."""
        for _ in range(60):
            self.ask("GET", f"{ROOT}/workflowExecution/{execution}", headers={"Prefer": "wait=1"})
            if text in self.said("GET", f"{ROOT}/workflowExecution/{execution}/logs").text:
                return
        raise AssertionError(f"it never logged {text!r}")

    def command(self, *words: str) -> None:
        """Carry out `stepswitch`; what it prints is captured with all else."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (("URL", self.service.url), ("TOKEN", self.token)):
                patch.setenv(f"STEPSWITCH_{name}", value)
            with pytest.raises(SystemExit) as ended:
                main(list(words))
        assert ended.value.code == 0, words

    def follow(self) -> threading.Thread:
        """Keep what the stream of everything says, until the service ends."""

        def listen() -> None:
            heard = b""
            try:
                with httpx.stream(
                    "GET", f"{self.service.url}{OWN}/events", headers={"x-hm-authorization": self.token}, timeout=60
                ) as stream:
                    for part in stream.iter_bytes():
                        heard += part
            except httpx.HTTPError:
                pass
            self.told.contents.append(("the stream of everything", heard))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        return thread


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with OpenSshServer() as device:
        made = House(tmp_path, device)
        made.begin()
        yield made
        if made.client is not None:
            made.client.close()
        if made.service.process.poll() is None:
            made.service.end()


def plant(house: House) -> str:
    """Store the workflow and queue an execution that takes every secret; return its id."""
    secrets, device = house.secrets, house.target
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
        "login": {"kind": "stored", "value": house.device.password},
    }
    for name, source in sources.items():
        for_all = {each: ["*"] for each in ("roles", "workflows", "devices")}
        house.ask("POST", f"{OWN}/credentials", {"name": name, "source": source, "withoutDevice": True, **for_all})
        house.ask("POST", f"{OWN}/credentials/{name}/check")
        house.ask("GET", f"{OWN}/credentials/{name}")
    house.said("POST", f"{OWN}/credentials", json={"name": "a/b", "source": {"kind": "stored", "value": house.secrets["refused"], "x": 1}})
    house.ask("GET", f"{OWN}/credentials")
    workflow = house.ask("PUT", f"{ROOT}/workflow", telling(**house.target))["id"]
    house.ask("POST", f"{ROOT}/workflow/{workflow}", {**telling(**house.target), "version": "2"})
    assigned = {name: {"credential": name} for name in sources}
    order = {"workflowId": workflow, "contextType": "NONE", "assignments": assigned, "pauseAtFailure": True}
    execution = house.ask("PUT", f"{ROOT}/workflowExecution", order)["id"]
    paused = house.until(execution, "PAUSED")
    assert [step["result"] for step in paused["stepExecutions"]] == ["SUCCEEDED", "SUCCEEDED", "FAILED"], paused["stepExecutions"]
    changed = {"source": {"kind": "stored", "value": house.secrets["changed credential"]}}
    house.ask("PATCH", f"{OWN}/credentials/stored", changed)
    house.ask("POST", f"{ROOT}/workflowExecution/{execution}/retry")
    house.until(execution, "PAUSED")
    look_everywhere(house, workflow, execution)
    house.command("credential", "list", "--url", house.service.url)
    house.command("credential", "show", "stored", "--url", house.service.url)


def rehearse(house: House) -> None:
    """Rehearse a workflow with a password, through the API and from the command line."""
    secret = house.secrets["rehearsed"]
    document = hunted({**house.secrets, "default of an input": secret}, **house.target)
    given = {"assigned": secret, "login": secret, "large": secret, "plain": secret}
    rehearsal = {"assignments": given, "steps": {"print": [{"result": "FAILED", "error": {"code": "TIMEOUT", "message": secret}}]}}
    answer = house.said("POST", f"{OWN}/rehearse", json={"workflow": document, "rehearsals": {"one": rehearsal}})
    assert answer.status_code in {200, 400}
    file = house.place / "workflow.json"
    file.write_text(json.dumps(document))
    house.command("validate", str(file))
    file.unlink()


def hunt(house: House, *directories: Path) -> Hunt:
    """Search all that there is now."""
    found = Hunt(house.secrets)
    found.search_files(house.data, house.temporary, *directories)
    found.search_all(house.told.contents)
    found.search("the log of the service", "\n".join(house.service.log).encode())
    return found


def assert_nothing(found: Hunt) -> None:
    assert not found.found, "\n".join(found.found[:30])


@pytest.mark.timeout(300)
def test_no_planted_secret_is_found_in_anything_that_was_written(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    stream = house.follow()
    execution = plant(house)
    workflow = house.ask("GET", f"{ROOT}/workflowExecution/{execution}")["workflow"]["id"]
    paused = house.until(execution, "PAUSED")
    assert [step["result"] for step in paused["stepExecutions"]] == ["SUCCEEDED"] * 4 + ["FAILED"], paused["stepExecutions"]
    look_everywhere(house, workflow, execution)
    be_refused(house)
    rehearse(house)
    use_credentials(house)
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
