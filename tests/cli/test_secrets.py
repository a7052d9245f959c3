"""Risk: whoever changes keys from the command line is not told what happened, or changes something that he did not mean to."""

import asyncio
import json
from pathlib import Path

import pytest

from stepswitch.secrets.key_sources import make_key_file
from tests.bootstrap.test_keys import SECRET, read_back, settings_of, stored_secret
from tests.cli.calling import Caller


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


def test_keys_are_changed_and_moved_and_told_of(call: Caller, tmp_path: Path) -> None:
    data, settings = tmp_path / "data", settings_of(tmp_path / "data")
    workflow = asyncio.run(stored_secret(settings))
    rotated = call("secrets", "rotate", "--data-dir", data)
    assert (rotated.exit, rotated.out) == (0, "generation 2 is there\nencrypted anew: 2\n")
    make_key_file(tmp_path / "other")
    moved = call("secrets", "rewrap", "--to", f"file:{tmp_path / 'other'}", "--data-dir", data)
    assert moved.exit == 0, moved.err
    assert f"set secrets_key to file:{tmp_path / 'other'}" in moved.out
    told = call("secrets", "status", "--data-dir", data, "--json")
    (key,) = json.loads(told.out)
    assert (key["generation"], key["values"], key["encryptedWith"][:4]) == (2, 2, "key:")
    assert call("secrets", "status", "--data-dir", data).out.split("\t")[0] == "2"
    refused = call("secrets", "rotate", "--data-dir", data)
    assert refused.exit != 0
    assert "is not there, the settings name" in refused.err
    assert asyncio.run(read_back(settings_of(data, secrets_key=f"file:{tmp_path / 'other'}"), workflow)) == SECRET
    lines = call("audit", "export", "--data-dir", data).out.splitlines()
    records = [record for line in lines if "Secrets" in (record := json.loads(line)["record"])["operation"]]
    assert [(record["operation"], record["actor"]["kind"], record["outcome"]) for record in records] == [
        ("rotateSecrets", "command line", "allowed"),
        ("rewrapSecrets", "command line", "allowed"),
    ]


def test_a_directory_that_is_not_there_is_not_made(call: Caller, tmp_path: Path) -> None:
    for command in (("rotate",), ("status",), ("rewrap", "--to", "env:X")):
        refused = call("secrets", *command, "--data-dir", tmp_path / "none")
        assert refused.exit != 0
        assert "there is no data directory" in refused.err
    assert not (tmp_path / "none").exists()
