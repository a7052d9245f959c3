"""Risk: two services work on one directory, or a start goes on with a directory or a database that it does not understand."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from stepswitch.domain.errors import SettingsError
from stepswitch.storage import data_dir
from stepswitch.storage.data_dir import DataDir, migrate
from stepswitch.storage.tables import metadata

HOLD = """
import sys
from pathlib import Path
from stepswitch.storage.data_dir import DataDir
DataDir(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""
MIGRATE = """
import sys
from pathlib import Path
from stepswitch.storage.data_dir import migrate
migrate(Path(sys.argv[1]))
"""


# --- the lock ---


def test_a_second_service_is_refused_with_a_sentence(tmp_path: Path) -> None:
    first, second = DataDir(tmp_path / "new" / "data"), DataDir(tmp_path / "new" / "data")
    first.acquire()
    for _ in range(2):
        with pytest.raises(SettingsError, match=rf"data is in use by another service \(process {os.getpid()}\)"):
            second.acquire()
    first.release()
    first.release()
    second.acquire()
    second.release()


def test_another_process_is_named_and_its_death_gives_the_directory_back(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(SettingsError, match=rf"process {holder.pid}\)"):
            DataDir(tmp_path).acquire()
        holder.kill()
        holder.wait(30)
    ours = DataDir(tmp_path)
    ours.acquire()
    ours.release()


def test_a_refused_service_leaves_the_name_of_the_holder_alone(tmp_path: Path) -> None:
    first = DataDir(tmp_path)
    first.acquire()
    with pytest.raises(SettingsError):
        DataDir(tmp_path).acquire()
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    first.release()


def test_a_new_directory_is_nobody_elses_to_read(tmp_path: Path) -> None:
    place = DataDir(tmp_path / "data")
    place.prepare()
    migrate(place.database)
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(place.database.stat().st_mode) == 0o600


def test_a_place_that_cannot_be_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SettingsError, match="cannot be made"):
            DataDir(path).acquire()
    (tmp_path / "lock").mkdir()
    with pytest.raises(SettingsError, match="cannot be locked: Is a directory"):
        DataDir(tmp_path).acquire()


# --- migrations ---


def test_the_migrations_make_exactly_the_tables(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_partial_indexes_are_partial_in_both(path: Path, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'from-metadata.db'}")
    metadata.create_all(engine)
    engine.dispose()
    assert _indexes(path) == _indexes(tmp_path / "from-metadata.db")


def _indexes(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name != 'alembic_version'")
    texts = {" ".join(text.split()) for (text,) in found}
    connection.close()
    return texts


def test_migrating_twice_changes_nothing(path: Path) -> None:
    before = _schema(path)
    migrate(path)
    assert _schema(path) == before


def _schema(path: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT * FROM sqlite_master ORDER BY name").fetchall()
    found += connection.execute("SELECT * FROM alembic_version").fetchall()
    connection.close()
    return found


def test_a_migration_that_breaks_off_leaves_the_database_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "stepswitch.db"
    from alembic.operations import Operations  # noqa: PLC0415 # its methods exist once it is loaded

    make_index, made = Operations.create_index, []

    def breaking(self: Operations, name: str, *rest: object, **options: object) -> None:
        if name == "sessions_by_expiry":
            raise KeyboardInterrupt
        made.append(name)
        make_index(self, name, *rest, **options)  # type: ignore[arg-type] # handed on as they came

    monkeypatch.setattr(Operations, "create_index", breaking)
    with pytest.raises(KeyboardInterrupt):
        migrate(path)
    monkeypatch.undo()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    assert len(made) > 5
    migrate(path)


def test_processes_that_migrate_at_once_do_so_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "stepswitch.db"
    running = [subprocess.Popen([sys.executable, "-c", MIGRATE, str(path)], stderr=subprocess.PIPE) for _ in range(3)]
    told = [(each.wait(100), each.communicate()[1]) for each in running]
    assert [code for code, _ in told] == [0, 0, 0], told


def test_a_database_of_a_later_release_is_refused_with_a_sentence(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(SettingsError, match="was made by a later release of Stepswitch"):
        migrate(path)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "stepswitch.db"
    content = b"a letter to somebody\n" * 1_000
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"cannot be used: .*restore a backup.*\(file is not a database\)"):
        migrate(path)
    assert path.read_bytes() == content


def test_a_directory_in_the_place_of_the_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / data_dir.DATABASE).mkdir()
    with pytest.raises(SettingsError, match="cannot be used"):
        migrate(tmp_path / data_dir.DATABASE)
