"""Risk: somebody takes a backup that failed for one that is there, or a restore overwrites what they still need."""

import shutil
from pathlib import Path

import pytest

from stepswitch.storage.data_dir import DATABASE, DataDir, migrate
from tests.cli.calling import Caller


@pytest.fixture
def data(tmp_path: Path) -> Path:
    place = DataDir(tmp_path / "data")
    place.prepare()
    migrate(place.database)
    return place.path


def test_a_backup_is_made_restored_and_said_so(stepswitch: Caller, data: Path, tmp_path: Path) -> None:
    made = stepswitch("backup", tmp_path / "copy", "--data-dir", data)
    assert (made.exit, made.err) == (0, "")
    assert made.out.endswith("MiB, 0 files, read back and found whole\n")
    done = stepswitch("restore", tmp_path / "copy", "--data-dir", tmp_path / "new")
    assert (done.exit, done.err) == (0, "")
    assert "executions that wait for somebody: 0" in done.out
    assert (tmp_path / "new" / DATABASE).is_file()


def test_what_cannot_be_backed_up_is_a_sentence_and_an_exit_code(stepswitch: Caller, data: Path, tmp_path: Path) -> None:
    missing = stepswitch("backup", tmp_path / "copy", "--data-dir", tmp_path / "missing")
    assert (missing.exit, missing.err.splitlines()) == (
        2,
        [f"there is no data directory {tmp_path / 'missing'}; --data-dir names the one that the service uses"],
    )
    taken = stepswitch("backup", data, "--data-dir", data)
    assert (taken.exit, taken.err) == (1, f"{data} is there already; name a new directory for each backup\n")


def test_what_cannot_be_restored_is_a_sentence_and_changes_nothing(stepswitch: Caller, data: Path, tmp_path: Path) -> None:
    stepswitch("backup", tmp_path / "copy", "--data-dir", data)
    used = stepswitch("restore", tmp_path / "copy", "--data-dir", data)
    assert (used.exit, used.err) == (2, f"the data directory {data} is not empty; restore into a new one\n")
    (tmp_path / "copy" / DATABASE).write_bytes(b"")
    shutil.rmtree(tmp_path / "copy" / "files", ignore_errors=True)
    damaged = stepswitch("restore", tmp_path / "copy", "--data-dir", tmp_path / "new")
    assert damaged.exit == 1
    assert damaged.err.splitlines()[:2] == [f"the backup {tmp_path / 'copy'} is not whole:", f"{DATABASE} is not what was written"]
    assert not (tmp_path / "new").exists()
