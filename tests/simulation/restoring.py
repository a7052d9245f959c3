"""A backup that is taken in a schedule, and what is so in the world when it is restored: the store has forgotten what happened since."""

import shutil
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from stepswitch.bootstrap.backups import _let_know
from stepswitch.domain.errors import NotFoundError, StoreError
from stepswitch.domain.events import Restored, Task
from stepswitch.domain.execution import Outcome, Result
from stepswitch.domain.states import StepState
from stepswitch.engine.claims import Grant
from stepswitch.engine.ports import Clock, Ids
from stepswitch.storage.epochs import begin_epoch
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.sqlite import SqliteDatabase
from tests.sealing import sealing_for_tests
from tests.simulation.devices import City
from tests.simulation.loop import sleep
from tests.simulation.people import Answer, Memory
from tests.simulation.service import Life, rules_of

GHOST: Final = "ghost"
LATEST_GHOST_SECONDS: Final = 40.0


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of the data directory, and how much of what there is to know of the world it can know of."""

    directory: Path
    made_at: int
    told: int
    acts: int


def back_up(data: Path, target: Path, now: int, city: City, memory: Memory) -> Backup:
    """Return a copy of what is on disk."""
    target.mkdir()
    with sqlite3.connect(data / "stepswitch.db") as source, sqlite3.connect(target / "stepswitch.db") as copy:
        source.backup(copy)
    source.close()
    copy.close()
    if (data / "files").exists():
        shutil.copytree(data / "files", target / "files", ignore=shutil.ignore_patterns("*.part"))
    return Backup(target, now, len(city.told), len(memory.acts))


async def restore(backup: Backup, data: Path, city: City, memory: Memory, clock: Clock, ids: Ids) -> None:
    """Put the backup in the place of what is on disk, as `stepswitch restore` does it; nothing goes wrong with that itself."""
    with sqlite3.connect(backup.directory / "stepswitch.db") as copy, sqlite3.connect(data / "stepswitch.db") as target:
        copy.backup(target)
        known = {execution_id for (execution_id,) in target.execute("SELECT id FROM executions")}
        unfinished = target.execute("SELECT id FROM executions WHERE end_time IS NULL").fetchall()
    copy.close()
    target.close()
    if (backup.directory / "files").exists():
        shutil.copytree(backup.directory / "files", data / "files", dirs_exist_ok=True)
    epoch = ids.new()
    database = SqliteDatabase(data / "stepswitch.db", _connect, sealer=sealing_for_tests())
    await _let_know(database, rules_of(epoch), Restored(f"restored:{epoch}", epoch, backup.made_at), clock)
    await begin_epoch(database, epoch, clock.now(), backup.made_at)
    city.unknown_things |= city.things.keys() - await _claims(database, known)
    await database.close()
    for names in (*memory.accepted.values(), *memory.found.values()):
        names[:] = [each for each in names if each in known]
    memory.acts[backup.acts :] = [replace(act, answer=_forgotten(act.answer)) for act in memory.acts[backup.acts :]]
    city.forgotten += city.told[backup.told :]
    del city.told[backup.told :]
    city.told_before = len(city.told)
    city.restored |= {execution_id for (execution_id,) in unfinished}
    city.met["a backup was restored"] += 1


async def _claims(database: SqliteDatabase, known: Collection[str]) -> set[str]:
    """Return the claims under which something is carried out in the store, or may be left at a target."""
    heads = [head for each in sorted(known) if (head := await SqlExecutionStore(database).load(each)) is not None]
    works = [head.current.work for head in heads if head.current is not None]
    held = {work.claim.nonce for work in works if work.claim is not None and work.state is StepState.EXECUTING}
    return held | {left.nonce for head in heads for left in head.left_behind}


def _forgotten(answer: Answer) -> Answer:
    return Answer.UNKNOWN if answer is Answer.DONE else answer


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous=OFF")
    return connection


@dataclass(frozen=True, slots=True)
class Ghosts:
    """What workers of the time before a restore hold in their hands: tasks that they were given, and claims."""

    tasks: Sequence[Task]
    grants: Sequence[Grant]

    async def haunt(self, life: Life, city: City) -> None:
        """Come back, late: nobody is granted anything, and nothing follows from what they report."""
        for task in self.tasks:
            await sleep(city.random.random() * LATEST_GHOST_SECONDS)
            try:
                answer = await life.claims.claim(task, GHOST, f"{GHOST} {task.execution_id}.{task.number}")
            except (StoreError, NotFoundError):
                continue
            city.met["a worker of before the restore asked for its step"] += 1
            if isinstance(answer, Grant):
                city.breaches.append(f"{task} was granted, although it is older than the restore")
        for grant in self.grants:
            city.haunted[grant.task.execution_id] = grant.task.epoch
            try:
                await life.claims.report(grant, Outcome(Result.SUCCEEDED, {"token": GHOST}))
            except (StoreError, NotFoundError):
                continue
            city.met["a worker of before the restore reported"] += 1


def ghosts_of(life: Life) -> Ghosts:
    """Return what the workers of a life hold."""
    return Ghosts(list(life.dispatcher.under_way), [attempt.grant for attempt in life.attempts])
