"""Risk: a key is trusted that nobody agreed to, or one that was forgotten is trusted still."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepswitch.demo.router import Router
from stepswitch.steps.host_keys import fingerprint
from tests.cli.calling import Caller
from tests.cli.distant import Distant


@pytest.fixture
def router() -> Iterator[Router]:
    """Give a router that answers on a loop of its own, since the commands block this thread."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        ready, stop = threading.Event(), asyncio.Event()
        made: list[Router] = []

        async def play() -> None:
            async with Router() as up:
                made.append(up)
                ready.set()
                await stop.wait()

        thread = threading.Thread(target=lambda: runner.run(play()))
        thread.start()
        assert ready.wait(30)
        yield made[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)


def test_a_scanned_key_is_trusted_after_a_yes_listed_and_forgotten(stepswitch: Caller, tmp_path: Path, router: Router) -> None:
    server, place = ("127.0.0.1", "--port", router.port), ("--data-dir", tmp_path / "data")
    scanned = stepswitch("host-key", "scan", *server, *place, "--yes")
    assert scanned.exit == 0
    assert f"ssh-ed25519          {fingerprint(router.public_key)}\n" in scanned.out
    assert "trusted already" in stepswitch("host-key", "scan", *server, *place).out
    (listed,) = json.loads(stepswitch("host-key", "list", *place, "--json").out)
    assert (listed["host"], listed["port"], listed["publicKey"]) == ("127.0.0.1", router.port, router.public_key)
    assert fingerprint(router.public_key) in stepswitch("host-key", "list", *place).out
    assert stepswitch("host-key", "forget", *server, *place).exit == 0
    assert json.loads(stepswitch("host-key", "list", *place, "--json").out) == []
    assert stepswitch("host-key", "forget", *server, *place).exit == 1


def test_without_a_yes_nothing_is_trusted(stepswitch: Caller, tmp_path: Path, router: Router) -> None:
    place = ("--data-dir", tmp_path / "data")
    called = stepswitch("host-key", "scan", "127.0.0.1", "--port", router.port, *place)
    assert called.exit == 1
    assert "Nothing was changed" in called.err
    assert json.loads(stepswitch("host-key", "list", *place, "--json").out) == []


def test_a_key_at_hand_is_trusted_from_a_line_or_a_file(stepswitch: Caller, tmp_path: Path, router: Router) -> None:
    place = ("--data-dir", tmp_path / "data")
    file = tmp_path / "key.pub"
    file.write_text(f"{router.public_key} root@edge-1\n")
    assert stepswitch("host-key", "trust", "a", f"{router.public_key} comment", *place).exit == 0
    assert stepswitch("host-key", "trust", "b", *router.public_key.split(), *place).exit == 0
    assert stepswitch("host-key", "trust", "c", f"@{file}", "--port", 2022, *place).exit == 0
    listed = json.loads(stepswitch("host-key", "list", *place, "--json").out)
    assert [(key["host"], key["port"], key["publicKey"]) for key in listed] == [
        ("a", 22, router.public_key),
        ("b", 22, router.public_key),
        ("c", 2022, router.public_key),
    ]


def test_a_server_that_does_not_answer_is_a_sentence(stepswitch: Caller, tmp_path: Path, router: Router) -> None:
    called = stepswitch("host-key", "scan", "192.0.2.1", "--timeout", "0.2", "--data-dir", tmp_path / "data")
    assert (called.exit, called.out) == (1, "")
    assert "192.0.2.1" in called.err


@pytest.mark.parametrize("command", [["list"], ["forget", "127.0.0.1"]])
def test_a_data_directory_is_not_made_by_looking_into_it(stepswitch: Caller, tmp_path: Path, command: list[str]) -> None:
    called = stepswitch("host-key", *command, "--data-dir", tmp_path / "missing")
    assert called.exit == 2
    assert f"there is no data directory {tmp_path / 'missing'}" in called.err
    assert not (tmp_path / "missing").exists()


def test_keys_of_a_service_are_seen_and_changed_through_its_api(stepswitch: Caller, desk: Distant, router: Router) -> None:
    server, place = ("127.0.0.1", "--port", router.port), ("--url", desk.url)
    refused = stepswitch("host-key", "scan", *server, *place)
    assert (refused.exit, "Nothing was changed" in refused.err) == (1, True)
    assert stepswitch("host-key", "scan", *server, *place, "--yes").exit == 0
    assert "trusted already" in stepswitch("host-key", "scan", *server, *place).out
    (listed,) = json.loads(stepswitch("host-key", "list", *place, "--json").out)
    assert (listed["host"], listed["publicKey"], listed["addedBy"]) == ("127.0.0.1", router.public_key, "admin")
    (stored,) = desk.do(desk.office.client.host_keys.list())
    assert stored.public_key == router.public_key
    assert stepswitch("host-key", "trust", "b", router.public_key, *place).exit == 0
    assert stepswitch("host-key", "forget", *server, *place).exit == 0
    assert stepswitch("host-key", "forget", *server, *place).exit == 1
    assert stepswitch("host-key", "list", *place, "--token", "x" * 43).exit == 2
