"""Risk: somebody is told that the audit trail is whole and it is not, or what the command line changes is not in it."""

import json
import os
import pwd
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from stepswitch.storage.data_dir import DATABASE
from tests.api.house import KEY
from tests.cli.calling import Caller, typed
from tests.cli.distant import Distant

PASSWORD = "a pigeon on the roof"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stepswitch: Caller) -> Path:
    """A data directory in which the command line has done seven things."""
    (tmp_path / "data").mkdir()
    place = ("--data-dir", tmp_path / "data")
    typed(monkeypatch, PASSWORD)
    monkeypatch.setenv("LOGNAME", "somebody-else")
    for command in (
        ("user", "add", "ann", "--role", "Operations"),
        ("user", "disable", "ann"),
        ("role", "add", "core", "--privilege", "Workflow Execute"),
        ("role", "remove", "core"),
        ("token", "create", "checks", "--user", "ann"),
        ("host-key", "trust", "192.0.2.1", KEY),
        ("host-key", "forget", "192.0.2.1"),
    ):
        done = stepswitch(*command, *place)
        assert done.exit == 0, done.err
    return tmp_path / "data"


def exported(stepswitch: Caller, data: Path, *options: str) -> list[dict[str, Any]]:
    called = stepswitch("audit", "export", *options, "--data-dir", data)
    assert called.exit == 0, called.err
    return [json.loads(line)["record"] for line in called.out.splitlines()]


def test_what_a_command_changes_is_recorded_with_the_user_of_the_system(stepswitch: Caller, data: Path) -> None:
    records = exported(stepswitch, data)
    assert [(record["operation"], record["object"]["kind"]) for record in records] == [
        ("createUser", "user"),
        ("changeUser", "user"),
        ("createRole", "role"),
        ("removeRole", "role"),
        ("createTokenOfUser", "token"),
        ("trustHostKey", "host key"),
        ("forgetHostKeys", "host key"),
    ]
    user = pwd.getpwuid(os.getuid()).pw_name
    assert {(record["actor"]["kind"], record["actor"]["user"]) for record in records} == {("command line", user)}
    assert records[1]["after"] == {"isDisabled": True}


def test_an_export_can_be_narrowed(stepswitch: Caller, data: Path) -> None:
    assert len(exported(stepswitch, data, "--object", "ann")) == 2
    assert len(exported(stepswitch, data, "--operation", "createRole")) == 1
    assert exported(stepswitch, data, "--user", "nobody") == []
    assert exported(stepswitch, data, "--outcome", "refused") == []
    assert exported(stepswitch, data, "--until", "2020-01-01") == []
    assert len(exported(stepswitch, data, "--since", "2020-01-01")) == 7


def test_a_whole_chain_says_its_head_and_a_broken_one_where(stepswitch: Caller, data: Path) -> None:
    whole = stepswitch("audit", "verify", "--data-dir", data)
    assert (whole.exit, whole.out.splitlines()[0]) == (0, "whole: 7 records, up to number 7")
    head = whole.out.split()[-1]
    assert stepswitch("audit", "verify", "--head", head.upper(), "--data-dir", data).exit == 0
    assert stepswitch("audit", "verify", "--head", "f" * 64, "--data-dir", data).exit == 1
    connection = sqlite3.connect(data / DATABASE)
    connection.execute("DROP TRIGGER audit_is_never_removed")
    connection.execute("DELETE FROM audit WHERE number = 3")
    connection.commit()
    connection.close()
    broken = stepswitch("audit", "verify", "--data-dir", data)
    assert (broken.exit, broken.err.splitlines()[0]) == (1, "broken (missing): record 3 is missing")
    told = json.loads(stepswitch("audit", "verify", "--json", "--data-dir", data).out)
    assert told["broken"] == {"number": 3, "kind": "missing", "message": "record 3 is missing"}
    assert (told["records"], told["number"]) == (2, 2)
    assert stepswitch("audit", "verify", "--since", "5", "--head", head, "--data-dir", data).exit == 0


def test_what_cannot_be_read_is_neither_whole_nor_broken(stepswitch: Caller, data: Path) -> None:
    missing = stepswitch("audit", "verify", "--data-dir", data / "none")
    assert (missing.exit, missing.err[:26]) == (2, "there is no data directory")
    beyond = stepswitch("audit", "verify", "--since", "50", "--data-dir", data)
    assert (beyond.exit, beyond.err) == (2, "there is no record 49 to begin behind\n")


def test_the_trail_of_a_service_is_exported_by_its_administrators(stepswitch: Caller, desk: Distant) -> None:
    assert stepswitch("role", "add", "core", "--privilege", "Workflow Execute", "--url", desk.url).exit == 0
    called = stepswitch("audit", "export", "--operation", "createRole", "--since", "2020-01-01", "--url", desk.url)
    assert called.exit == 0, called.err
    (line,) = called.out.splitlines()
    assert json.loads(line)["record"]["after"]["privileges"] == ["Workflow Execute", "Workflow Read"]
    both = stepswitch("audit", "export", "--url", desk.url, "--data-dir", "x")
    assert (both.exit, "in one of the two places" in both.err) == (2, True)


def test_a_restore_is_recorded_and_the_chain_goes_on(stepswitch: Caller, data: Path, tmp_path: Path) -> None:
    before = stepswitch("audit", "verify", "--data-dir", data).out.split()[-1]
    assert stepswitch("backup", tmp_path / "copy", "--data-dir", data).exit == 0
    assert stepswitch("restore", tmp_path / "copy", "--data-dir", tmp_path / "new").exit == 0
    checked = stepswitch("audit", "verify", "--head", before, "--data-dir", tmp_path / "new")
    assert (checked.exit, checked.out.splitlines()[0]) == (0, "whole: 9 records, up to number 9")
    last = exported(stepswitch, tmp_path / "new")[-1]
    assert (last["operation"], last["actor"]["kind"]) == ("restore", "command line")
    assert set(last["after"]) == {"epoch", "backedUpAt"}


# --- pruning ---


def verified(stepswitch: Caller, data: Path, *options: str) -> dict[str, Any]:
    called = stepswitch("audit", "verify", "--json", *options, "--data-dir", data)
    assert called.exit == 0, called.err
    found: dict[str, Any] = json.loads(called.out)
    return found


@pytest.fixture
def aged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stepswitch: Caller) -> Path:
    """A data directory in which three things were done long ago and four lately."""
    data = tmp_path / "aged"
    data.mkdir()
    names = iter("abcdefg")
    with monkeypatch.context() as patch:
        patch.setattr("stepswitch.system.SystemClock.now", lambda _: 1_700_000_000_000)
        for _ in range(3):
            assert stepswitch("role", "add", next(names), "--privilege", "Workflow Read", "--data-dir", data).exit == 0
    for name in names:
        assert stepswitch("role", "add", name, "--privilege", "Workflow Read", "--data-dir", data).exit == 0
    return data


LATELY = "2025-01-01"


def test_what_is_pruned_is_exported_first_recorded_and_what_is_left_is_proven(stepswitch: Caller, aged: Path, tmp_path: Path) -> None:
    before, whole = verified(stepswitch, aged), exported(stepswitch, aged)
    out = tmp_path / "old.jsonl"
    done = stepswitch("audit", "prune", "--before", LATELY, "--export", out, "--data-dir", aged)
    assert done.exit == 0, done.err
    old = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["record"] for line in old] == whole[: len(old)]
    assert len(old) == 3
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    left = exported(stepswitch, aged)
    assert left[:-1] == whole[len(old) :]
    assert (left[-1]["operation"], left[-1]["object"]["id"]) == ("pruneAudit", f"records up to {len(old)}")
    assert (left[-1]["after"]["number"], left[-1]["after"]["hash"]) == (len(old), old[-1]["hash"])
    after = verified(stepswitch, aged, "--head", before["head"])
    assert (after["pruned"], after["records"], after["broken"]) == (len(old), 8 - len(old), None)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--before", "2020-01-01"), "say --export FILE"),
        (("--before", "2020-01-01", "--exported", "--export", "x"), "one of the two"),
        (("--before", "2999-01-01", "--exported"), "lies in the future"),
    ],
)
def test_nothing_is_pruned_unless_somebody_says_that_it_is_kept_elsewhere(
    stepswitch: Caller, data: Path, options: tuple[str, ...], told: str
) -> None:
    done = stepswitch("audit", "prune", *options, "--data-dir", data)
    assert done.exit == 2
    assert told in done.err
    assert len(exported(stepswitch, data)) == 7


def test_a_file_that_is_there_is_not_overwritten_and_nothing_is_removed(stepswitch: Caller, aged: Path, tmp_path: Path) -> None:
    out = tmp_path / "old.jsonl"
    out.write_text("mine")
    done = stepswitch("audit", "prune", "--before", LATELY, "--export", out, "--data-dir", aged)
    assert (done.exit, out.read_text()) == (2, "mine")
    assert "nothing was removed" in done.err
    assert len(exported(stepswitch, aged)) == 7


def test_an_export_and_its_name_are_on_the_disk_before_anything_is_removed(
    stepswitch: Caller, aged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[Path, int]] = []
    monkeypatch.setattr("stepswitch.bootstrap.auditing.to_disk", lambda path: written.append((path, _newest(aged))))
    out = tmp_path / "old.jsonl"
    assert stepswitch("audit", "prune", "--before", LATELY, "--export", out, "--data-dir", aged).exit == 0
    assert written == [(out, 7), (tmp_path, 7)], "the record of the pruning is the eighth"
    assert _newest(aged) == 8


def test_a_pruning_that_is_refused_leaves_no_half_an_export(stepswitch: Caller, aged: Path, tmp_path: Path) -> None:
    connection = sqlite3.connect(aged / DATABASE)
    connection.execute("DROP TRIGGER audit_is_never_changed")
    connection.execute("UPDATE audit SET user = 'eve' WHERE number = 2")
    connection.commit()
    connection.close()
    out = tmp_path / "old.jsonl"
    done = stepswitch("audit", "prune", "--before", LATELY, "--export", out, "--data-dir", aged)
    assert done.exit != 0
    assert "broken, and nothing was removed: record 2 was changed" in done.err
    assert (out.exists(), len(exported(stepswitch, aged))) == (False, 7)


def _newest(data: Path) -> int:
    connection = sqlite3.connect(data / DATABASE)
    ((number,),) = connection.execute("SELECT max(number) FROM audit")
    connection.close()
    return int(number)


def test_a_backup_is_recorded_before_it_is_made(stepswitch: Caller, data: Path, tmp_path: Path) -> None:
    assert stepswitch("backup", tmp_path / "copy", "--data-dir", data).exit == 0
    record = exported(stepswitch, data)[-1]
    assert (record["operation"], record["object"]) == ("backup", {"id": str(tmp_path / "copy"), "kind": "backup", "name": ""})
    assert exported(stepswitch, tmp_path / "copy")[-1] == record
