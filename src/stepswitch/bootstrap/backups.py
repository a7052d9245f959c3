"""Backup and restore, wired: `stepswitch backup` beside a running service, `stepswitch restore` into an empty directory. Called by `cli`."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

from stepswitch.bootstrap.inventories import known_inventories
from stepswitch.bootstrap.keys import open_keys
from stepswitch.bootstrap.step_types import installed_types
from stepswitch.bootstrap.wiring import limits_of
from stepswitch.config.settings import Settings
from stepswitch.dispatch.nobody import Nobody
from stepswitch.domain.events import Restored
from stepswitch.domain.execution import Status
from stepswitch.domain.rules import Rules
from stepswitch.engine.audit import Entry, written_time
from stepswitch.engine.conductor import Conductor
from stepswitch.engine.ports import Clock, StepType
from stepswitch.engine.snapshots import Snapshots
from stepswitch.secrets.sealing import Sealing
from stepswitch.storage.accounts import SqlAccountStore
from stepswitch.storage.backup import write_backup
from stepswitch.storage.data_dir import DataDir
from stepswitch.storage.epochs import begin_epoch
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.manifest import Manifest
from stepswitch.storage.restore import begin_restore, finish_restore
from stepswitch.storage.sqlite import SqliteDatabase
from stepswitch.system import SystemClock, TimeOrderedIds

PAGE: Final = 500
"""Executions that are told of the restore at once: their saves share a commit."""
FOR_EVER: Final = 2**62


@dataclass(frozen=True, slots=True)
class Restoration:
    """What a restore came to: the epoch that the store has now, and the executions that were not over, by their status now."""

    manifest: Manifest
    epoch: str
    unfinished: Counter[Status]


def back_up(data_dir: Path, target: Path) -> Manifest:
    """Copy a data directory to the new directory `target`; raises BackupError, and then nothing is called `target`."""
    return write_backup(DataDir(data_dir), target, SystemClock().now(), version("stepswitch"))


async def restore(
    settings: Settings, backup: Path, clock: Clock | None = None, types: Mapping[str, StepType] | None = None, entry: Entry | None = None
) -> Restoration:
    """Restore a backup into the settings' data directory; raises SettingsError where that is not empty, BackupError where it is not whole."""
    clock, ids = clock or SystemClock(), TimeOrderedIds()
    data_dir = DataDir(settings.data_dir)
    manifest, staged = await asyncio.to_thread(begin_restore, backup, data_dir)
    try:
        sealing = Sealing()
        database = SqliteDatabase(staged, sealer=sealing)
        try:
            await open_keys(settings, database, sealing, clock)
            epoch = ids.new()
            rules = Rules(installed_types(types), limits_of(settings), epoch)
            unfinished = await _let_know(database, rules, Restored(f"restored:{epoch}", epoch, manifest.made_at), clock)
            await SqlAccountStore(database).end_expired_sessions(FOR_EVER)  # somebody may have been locked out since then
            made_at = manifest.made_at
            record = None if entry is None else replace(entry, after={"epoch": epoch, "backedUpAt": written_time(made_at)})
            await begin_epoch(database, epoch, clock.now(), made_at, record)
        finally:
            await database.close()
        await asyncio.to_thread(finish_restore, data_dir, staged)
    finally:
        data_dir.release()
    return Restoration(manifest, epoch, unfinished)


async def _let_know(database: SqliteDatabase, rules: Rules, event: Restored, clock: Clock) -> Counter[Status]:
    """Tell every execution that is not over of the restore; return what they have become."""
    store = SqlExecutionStore(database)
    conductor = Conductor(store, Snapshots(store), rules, clock, inventory=known_inventories(database))
    conductor.dispatch_through(Nobody())
    became: Counter[Status] = Counter()
    after = ""
    while page := await store.unfinished(after, PAGE):
        for decision in await asyncio.gather(*(conductor.apply(execution_id, event) for execution_id in page)):
            became[decision.head.status] += 1
        after = page[-1]
    await conductor.drain()
    return became
