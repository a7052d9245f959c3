"""Puts a backup into an empty data directory. Called by `bootstrap`, which lets every execution know before it is finished.

The database stands under a name of its own until then: nothing else opens it, `serve` refuses such a directory, and a restore that
was interrupted is begun anew.
"""

import shutil
from pathlib import Path
from typing import Final

from stepswitch.domain.errors import BackupError, SettingsError
from stepswitch.storage.backup import to_disk
from stepswitch.storage.data_dir import DATABASE, FILES, LOCK, SECRETS_KEY, UNFINISHED, DataDir, migrate
from stepswitch.storage.manifest import Manifest, checked, digest_of

_OURS: Final = frozenset({LOCK, SECRETS_KEY, "lost+found"})
"""What may lie in a directory that counts as empty: the key has to be brought back before the backup that it opens."""


def refuse_used(data_dir: DataDir) -> None:
    """Raise SettingsError where the directory is in use or holds anything but what an interrupted restore has left."""
    try:
        found = {each.name for each in data_dir.path.iterdir()} if data_dir.path.exists() else set()
    except OSError as error:
        raise SettingsError(f"the data directory {data_dir.path} cannot be read: {error.strerror}") from error
    left = {FILES, *(name for name in found if name.startswith(UNFINISHED))} if UNFINISHED in found else set()
    if found - _OURS - left:
        raise SettingsError(f"the data directory {data_dir.path} is not empty{data_dir.user()}; restore into a new one")


def begin_restore(backup: Path, data_dir: DataDir) -> tuple[Manifest, Path]:
    """Check a backup and copy it into a data directory that is ours; return its manifest and where its database is meanwhile."""
    refuse_used(data_dir)
    manifest = checked(backup)
    data_dir.acquire(restoring=True)
    try:
        refuse_used(data_dir)  # once more, now that nobody else can come in between
        staged = data_dir.path / UNFINISHED
        _clear(data_dir, staged)
        _copy(backup, data_dir, staged, manifest)
        migrate(staged)
    except BaseException as error:
        data_dir.release()
        if isinstance(error, OSError):
            raise BackupError(f"the backup cannot be restored to {data_dir.path}: {error.strerror}") from error
        raise
    return manifest, staged


def finish_restore(data_dir: DataDir, staged: Path) -> None:
    """Give the database its name: from now on the directory can be served. Raises BackupError where something still uses it."""
    if staged.with_name(f"{staged.name}-wal").exists():
        raise BackupError(f"the restored database {staged} is still in use; restore again")
    to_disk(staged)
    staged.rename(data_dir.path / DATABASE)
    to_disk(data_dir.path)


def _clear(data_dir: DataDir, staged: Path) -> None:
    staged.touch(mode=0o600)  # first, so that whatever is left here by an interruption is known as ours
    to_disk(data_dir.path)
    shutil.rmtree(data_dir.files, ignore_errors=True)
    for suffix in ("-wal", "-shm"):
        staged.with_name(staged.name + suffix).unlink(missing_ok=True)


def _copy(backup: Path, data_dir: DataDir, staged: Path, manifest: Manifest) -> None:
    data_dir.files.mkdir(mode=0o700)
    wanted = {staged: (backup / DATABASE, manifest.database_bytes, manifest.database_sha256)}
    wanted |= {data_dir.files / digest: (backup / FILES / digest, size, digest) for digest, size in manifest.files.items()}
    for copy, (source, *expected) in wanted.items():
        shutil.copyfile(source, copy)
        copy.chmod(0o600)
        to_disk(copy)
        if digest_of(copy) != tuple(expected):
            raise BackupError(f"{copy} is not what stands in the backup: the disk does not keep what is written to it")
    to_disk(data_dir.files)
