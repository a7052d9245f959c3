"""Risk: a fault of the machine loses a step, doubles one, or stops the service for good without a sentence that says why.

Each fault happens to a real service with a real OpenSSH server to act on, and passes again.
"""

import asyncio
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepswitch.bootstrap import back_up, restore
from stepswitch.config.settings import Settings
from stepswitch.storage.sqlite_connections import connect
from stepswitch.storage.sqlite_faults import is_full
from tests.chaos.conftest import Prepared
from tests.chaos.mortal import PASSWORD, Mortal
from tests.chaos.service import bring_key
from tests.chaos.stage import ROOT, SILENCE_SECONDS, Stage, completes

FILE = ("f.bin", b"x" * 300_000)
SCRIPT = {"name": "s", "version": "1", "schemaVersion": "3.0", "startStepId": "a"}
SCRIPT_STEPS = {"a": {"type": "JS", "inBindings": {"script": {"type": "string", "defaultValue": "return {}"}}}}


def health(stage: Stage) -> dict[str, Any]:
    answer = stage.service.client.get("/stepswitch/api/v1/health")
    assert answer.status_code == (200 if answer.json()["status"] == "ok" else 503)
    return dict(answer.json())


def is_refused(answer: httpx.Response) -> bool:
    """Whether an answer says that the store cannot be used, and when to come back."""
    assert answer.json()["errors"][0]["code"] == answer.headers["x-error-code"] == "STORE_UNAVAILABLE"
    return answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0


# --- no room on the disk ---


@contextmanager
def small_disk(place: Path) -> Iterator[bool]:
    """Give a directory of two megabytes; False where this machine lets nobody make one."""
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, check=False)
    try:
        yield made.returncode == 0
    finally:
        if made.returncode == 0:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(filler: Path) -> None:
    """Let a file take all the room that a disk has."""
    size = 65_536
    with filler.open("ab", buffering=0) as taking:
        while size:
            try:
                taking.write(b"\0" * size)
            except OSError:
                size //= 2


class FullDisk:
    """A disk that is full when a test says so: really, else by a limit on the size of the service's files."""

    def __init__(self, stage: Stage, place: Path, *, is_real: bool) -> None:
        self._stage = stage
        self._filler = place / "filler"
        self._is_real = is_real
        self.reason = "the disk is full" if is_real else "the disk is faulty, or a limit on the size of files is reached"
        self.became = "nothing was stored" if is_real else "it may have been stored, or not"

    def fill(self) -> None:
        if self._is_real:
            fill(self._filler)
        else:
            self._stage.service.limit(resource.RLIMIT_FSIZE, 4096)

    def make_room(self) -> None:
        if self._is_real:
            self._filler.unlink()
        else:
            self._stage.service.limit(resource.RLIMIT_FSIZE)


@pytest.mark.parametrize("kind", ["disk", "limit"])
def test_a_full_disk_loses_nothing_and_the_service_goes_on_when_there_is_room(prepared: Prepared, tmp_path: Path, kind: str) -> None:
    directory, server, headers = prepared
    with small_disk(tmp_path / "small") as is_real:
        stage = Stage(directory, tmp_path / "small", server, headers)
        try:
            disk = FullDisk(stage, tmp_path / "small", is_real=is_real and kind == "disk")
            full_disk(stage, disk)
        finally:
            stage.service.end()


def full_disk(stage: Stage, disk: FullDisk) -> None:
    stage.service.start()
    gate = stage.gate()
    workflow_id = stage.store(f"cat {gate}", "echo two")
    under_way = stage.queue(workflow_id)
    with gate.open("w") as writer:
        disk.fill()
        refused = stage.call("PUT", "/workflowExecution", stage.request(workflow_id))
        assert is_refused(refused)
        assert disk.became in refused.text
        draft = {"workflow": '{"name":"n","version":"1","schemaVersion":"3.0"}'}
        assert is_refused(stage.service.client.post(f"{ROOT}/workflow", data=draft, files={"files": FILE}))
        state = health(stage)
        assert state["status"] == "failing"
        assert disk.reason in state["reason"]
        assert "the service goes on by itself" in state["reason"]
        assert stage.executions() == [under_way]
        writer.write("done\n")
    stage.until(lambda: "log lines of a step could not be stored" in stage.service.hear_out())
    disk.make_room()
    completes(stage, under_way, [f"cat {gate}", "echo two"])
    assert stage.executions() == [under_way]
    assert stage.files == []
    assert health(stage)["status"] == "ok"
    assert len(stage.call("GET", "/workflow").json()) == 1
    later = stage.queue(stage.store("echo three"))
    assert stage.settled(later)["status"] == "COMPLETED"


def test_a_commit_that_a_full_disk_has_cut_off_is_none_also_after_a_crash(tmp_path: Path) -> None:
    """Wherever in it the disk was full: whoever asked is told that nothing was stored, so nothing may come to light from the files alone."""
    place, commits = tmp_path / "small", 40
    with small_disk(place) as is_real:
        if not is_real:
            pytest.skip("this machine lets nobody make a small disk")
        with closing(connect(place / "d.db")) as service:
            service.execute("CREATE TABLE stored (name INTEGER PRIMARY KEY, body BLOB)")
            stored = {name for name in range(commits) if has_room_for(name, place, tmp_path)}
    assert 0 < len(stored) < commits


def has_room_for(name: int, place: Path, aside: Path) -> bool:
    """Store something where the disk has room for up to four pages more; return whether it was, as it is seen after a crash, too."""
    filler = place / "filler"
    fill(filler)
    os.truncate(filler, filler.stat().st_size - 4096 * (name % 5))
    with closing(connect(place / "d.db")) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO stored VALUES (?, ?)", (name, os.urandom(200 + name * 997)))
        refusal: sqlite3.Error | None = None
        try:
            writer.execute("COMMIT")
        except sqlite3.OperationalError as error:
            refusal = error
        assert refusal is None or (is_full(refusal), writer.in_transaction) == (True, False)
        is_stored = refusal is None
        assert (name in names_after_crash(place, aside / f"crashed{name}")) == is_stored
    return is_stored


def names_after_crash(place: Path, copy: Path) -> set[int]:
    """Return what is read from the files alone."""
    copy.mkdir()
    for name in ("d.db", "d.db-wal"):
        shutil.copy(place / name, copy / name)
    with closing(sqlite3.connect(copy / "d.db")) as database:
        return {name for (name,) in database.execute("SELECT name FROM stored")}


# --- somebody else has the database ---


def test_a_database_that_somebody_else_locks_is_said_and_waited_for(stage: Stage) -> None:
    stage.service.start()
    workflow_id = stage.store("echo one", "echo two")
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(stage.queue(workflow_id)))
    with closing(sqlite3.connect(stage.data_dir / "stepswitch.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asking.start()
        stage.until(lambda: health(stage)["status"] == "failing")
        assert "another process has kept the database locked for" in health(stage)["reason"]
        other.execute("ROLLBACK")
    asking.join(30)
    (execution_id,) = answers
    completes(stage, execution_id)
    assert health(stage)["status"] == "ok"


# --- what is stored is damaged ---


def flip_a_bit(path: Path, execution_id: str) -> None:
    """Flip one bit of what is stored of an execution."""
    with closing(sqlite3.connect(path)) as connection:
        (body,) = connection.execute("SELECT body FROM executions WHERE id = ?", (execution_id,)).fetchone()
    beside = body[:64]
    content = bytearray(path.read_bytes())
    place = content.find(beside)
    assert place >= 0
    assert content.find(beside, place + 1) < 0
    content[place + len(beside)] ^= 1
    path.write_bytes(content)


def in_one_file(stage: Stage) -> Path:
    """Return the database of a service that has stopped, with everything in it."""
    path = stage.data_dir / "stepswitch.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def test_an_execution_of_which_a_bit_has_fallen_over_is_left_alone_and_nobody_else(stage: Stage) -> None:
    stage.service.start()
    broken, sound = (stage.queue(stage.store(command), debugStepIds=["step0"]) for command in ("echo broken", "echo sound"))
    for execution_id in (broken, sound):
        stage.settled(execution_id)
    stage.service.end()
    flip_a_bit(in_one_file(stage), broken)
    stage.service.start()
    for method, path in (("GET", ""), ("POST", "/resume"), ("POST", "/abort")):
        answer = stage.call(method, f"/workflowExecution/{broken}{path}")
        assert is_refused(answer)
        assert "what is stored is damaged and a backup has to be restored; nothing was stored" in answer.text
    reason = health(stage)["reason"]
    assert "damaged; stop the service and restore a backup (stepswitch restore)" in reason
    stage.ok("POST", f"/workflowExecution/{sound}/resume")
    assert stage.settled(sound)["status"] == "COMPLETED"
    assert stage.told == ["echo sound"]
    assert '"level": "critical"' in stage.service.hear_out()


def test_a_damaged_execution_that_could_run_does_not(stage: Stage) -> None:
    stage.service.start()
    gate = stage.gate()
    holder = stage.queue(stage.store(f"cat {gate}"))
    with gate.open("w"):
        waiting = [stage.queue(stage.store(command)) for command in ("echo broken", "echo sound")]
        stage.service.end()
    flip_a_bit(in_one_file(stage), waiting[0])
    stage.service.start()
    assert stage.settled(holder)["status"] == "PAUSED"
    assert stage.settled(waiting[1])["status"] == "COMPLETED"
    assert stage.told == [f"cat {gate}", "echo sound"]
    assert "an execution is damaged and left alone" in stage.service.hear_out()


def test_a_damaged_page_stops_all_writing_and_a_backup_brings_it_back(stage: Stage, tmp_path: Path) -> None:
    stage.service.start()
    execution_id = stage.queue(stage.store("echo one", "echo two"), debugStepIds=["step0"])
    stage.settled(execution_id)
    back_up(stage.data_dir, tmp_path / "backup")
    stage.service.end()
    damage_table(in_one_file(stage), "executions")
    stage.service.start()
    assert is_refused(stage.call("GET", f"/workflowExecution/{execution_id}"))
    assert "restore a backup (stepswitch restore)" in health(stage)["reason"]
    refused = stage.call("PUT", "/workflow", {"name": "n", "version": "1", "schemaVersion": "3.0"})
    assert is_refused(refused)
    assert "damaged" in refused.text
    stage.service.end()
    stage.data_dir.rename(tmp_path / "damaged")
    bring_key(tmp_path / "damaged", stage.data_dir)
    asyncio.run(restore(Settings.model_validate({"data_dir": stage.data_dir}), tmp_path / "backup"))
    stage.service = Mortal(stage.data_dir)
    stage.service.start()
    answer = stage.service.client.post("/hybridity/api/sessions", json={"username": "admin", "password": PASSWORD})
    stage.service.client.headers["x-hm-authorization"] = answer.headers["x-hm-authorization"]
    stage.ok("POST", f"/workflowExecution/{execution_id}/resume")
    completes(stage, execution_id)


def damage_table(path: Path, table: str) -> None:
    """Write over the pages of a table."""
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    with path.open("r+b") as database:
        database.seek((root - 1) * 4096)
        database.write(b"\xff" * 4096)


# --- no file left ---


def test_a_step_waits_for_an_open_file_and_goes_on_when_there_is_one(stage: Stage) -> None:
    stage.service.start()
    scripts = stage.ok("PUT", "/workflow", {**SCRIPT, "steps": SCRIPT_STEPS})["id"]
    workflow_id = stage.store("echo one", "echo two")
    assert stage.settled(stage.queue(scripts))["status"] == "COMPLETED"
    stage.service.limit(resource.RLIMIT_NOFILE, len(list(Path(f"/proc/{stage.service.pid}/fd").iterdir())))
    waiting = [stage.queue(each) for each in (workflow_id, scripts)]
    stage.until(lambda: "there is no room for a step; it is tried again" in stage.service.hear_out())
    (refused,) = stage.call("POST", f"/workflowExecution/{waiting[0]}/attachments", files={"file": FILE}).json()["errors"]
    assert refused["code"] == "STORE_UNAVAILABLE"
    stage.service.limit(resource.RLIMIT_NOFILE)
    completes(stage, waiting[0])
    assert stage.settled(waiting[1])["status"] == "COMPLETED"


# --- the process stands still ---


def test_a_process_that_stood_still_too_long_neither_loses_its_step_nor_doubles_it(stage: Stage) -> None:
    stage.service.start()
    gate = stage.gate()
    execution_id = stage.queue(stage.store(f"cat {gate}", "echo two"))
    with gate.open("w"):
        stage.service.signal(signal.SIGSTOP)
        stage.service.live_for(SILENCE_SECONDS + 1)
        stage.service.signal(signal.SIGCONT)
        stage.service.wait_for_log("the process stood still")
        stage.service.live_for(SILENCE_SECONDS / 2)  # in which claims are looked through once at least
    completes(stage, execution_id, [f"cat {gate}", "echo two"])
