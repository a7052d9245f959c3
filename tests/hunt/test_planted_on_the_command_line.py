"""Risk: a password can be read in what commands show and leave behind: `run`, which has a service of its own, those that watch, and the demo.

They are processes of their own, on a terminal, with plain lines and with JSON; what is on the disk is searched while they run, and afterwards.
"""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.pseudo_terminal import Terminal
from tests.hunt.documents import JsonObject, hunted, waiting
from tests.hunt.house import House, assert_nothing
from tests.hunt.planted import Hunt

COMMANDS = [sys.executable, "-m", "stepswitch"]


class Desk:
    """Somebody at a command line, whose temporary files are kept apart."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.written = house.place / "written"
        self.temporary = house.place / "temporary"
        for folder in (self.written, self.temporary):
            folder.mkdir()
        self.hunt = Hunt({**house.secrets, "session": house.token})
        self.environment = {
            **os.environ, "TMPDIR": str(self.temporary), "HOME": str(self.temporary), "PYTHONUNBUFFERED": "1", "STEPSWITCH_LOG_LEVEL": "debug",
            "STEPSWITCH_URL": house.service.url, "STEPSWITCH_TOKEN": house.token, "STEPSWITCH_HTTP_ALLOWED_NETWORKS": "127.0.0.1",
        }  # fmt: skip

    def write(self, name: str, content: JsonObject) -> str:
        """Write a file that the command reads, where nobody searches."""
        file = self.written / name
        file.write_text(json.dumps(content))
        return str(file)

    def order(self, document: JsonObject) -> tuple[str, ...]:
        """Return the words that name a document and what it takes."""
        secrets = self.house.secrets
        given = {"assigned": secrets["assigned"], "login": self.house.device.password, "large": secrets["large"], "plain": secrets["plain"]}
        inputs = {name: value for name, value in given.items() if name in document["inputs"]}
        return (self.write(f"{document['name']}.json", document), "--input-file", self.write("inputs.json", inputs))

    def said(self, *words: str, code: int) -> str:
        """Carry out a command, and search what it says and leaves."""
        ran = subprocess.run([*COMMANDS, *words], env=self.environment, capture_output=True, text=True, timeout=100, check=False)
        assert ran.returncode == code, ran.stdout + ran.stderr
        self.search(words, ran.stdout + ran.stderr)
        return ran.stdout

    def shown(self, *words: str, code: int) -> str:
        """Carry out a command on a terminal, and search all that was on it."""
        with Terminal(words, self.environment) as terminal:
            assert terminal.end() == code, terminal.said
            self.search(words, terminal.said)
            return terminal.said

    def search(self, words: tuple[str, ...], said: str) -> None:
        """Note what is found in what a command said, also where a line was broken, and in what it leaves."""
        self.hunt.search(f"what {words[:2]} said", said.encode())
        self.hunt.search(f"what {words[:2]} said, in one line", said.replace("\n", "").encode())
        self.hunt.search_files(self.temporary)


@pytest.fixture
def desk(house: House) -> Desk:
    return Desk(house)


def test_run_shows_no_planted_secret_and_leaves_none(desk: Desk) -> None:
    order = ("run", *desk.order(hunted(desk.house.secrets, **desk.house.target)), "--accept-new-host-keys")
    assert "********" in desk.said(*order, code=1)
    shown = json.loads(desk.said(*order, "--json", code=1))
    assert [step["result"] for step in shown["stepExecutions"]] == ["SUCCEEDED"] * 4 + ["FAILED"] * 6
    assert "********" in desk.shown(*order, code=1)
    assert not list(desk.temporary.rglob("stepswitch.db"))
    assert_nothing(desk.hunt)


def test_nothing_on_the_disk_has_a_planted_secret_while_run_is_at_a_device(desk: Desk) -> None:
    words = ("run", *desk.order(waiting(**desk.house.target)), "--accept-new-host-keys")
    with subprocess.Popen(
        [*COMMANDS, *words], env=desk.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = ""
        while "it has begun" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        assert list(desk.temporary.rglob("stepswitch.db"))
        desk.search(words, said)
        process.send_signal(signal.SIGINT)
        desk.search(words, said + process.stdout.read())
    assert process.returncode == 4
    assert_nothing(desk.hunt)


def test_who_watches_is_shown_no_planted_secret(desk: Desk) -> None:
    order = desk.order(hunted(desk.house.secrets, **desk.house.target))
    assert "********" in desk.shown("execution", "start", *order, "--watch", code=1)
    assert "********" in desk.said("execution", "start", *order, "--replace", "--watch", code=1)
    stuck = desk.order(waiting(**desk.house.target))
    execution = desk.said("execution", "start", *stuck, code=0).strip()
    words = ("execution", "watch", execution)
    with subprocess.Popen(
        [*COMMANDS, *words], env=desk.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        desk.search(words, said + process.stdout.read())
    desk.hunt.search_files(desk.house.data)
    assert_nothing(desk.hunt)


def test_the_demo_shows_its_passwords_where_it_says_so_and_leaves_none(desk: Desk) -> None:
    data = desk.house.place / "demo"
    secret = desk.house.secrets["assigned"]
    desk.environment |= {"STEPSWITCH_ADMIN_PASSWORD": secret}
    ran = subprocess.run(
        [*COMMANDS, "demo", "--data-dir", str(data)], env=desk.environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = re.search(r"\(password (\S+)\)", ran.stdout)
    assert told, ran.stdout
    demo = Hunt({"the administrator's": secret, "the router's": told[1]})
    demo.search_files(data, desk.temporary)
    meant = [line for line in ran.stdout.splitlines() if f"(login admin / {secret})" in line or told[0] in line]
    demo.search("what the demo said", "\n".join(line for line in ran.stdout.splitlines() if line not in meant).encode())
    demo.search("what the demo complained of", ran.stderr.encode())
    assert_nothing(demo)
    assert len(meant) == 2
    assert {"stepswitch.db", "secrets.key"} <= {Path(place).name for place in demo.places}
