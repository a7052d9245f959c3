"""One schedule: a city, a service that lives and dies in it, two people, a storm, and a calm in which everything has to come to its end."""

import asyncio
import hashlib
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from stepswitch.domain.errors import NotFoundError, StateConflictError, StepswitchError, StoreError
from stepswitch.domain.execution import Head
from stepswitch.engine.crash_points import CrashPoint
from stepswitch.engine.records import WHOLE_LOG
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.places import head_place, log_place
from stepswitch.storage.seals import opened
from tests.simulation.clock import Numbers, SimulatedClock
from tests.simulation.devices import City
from tests.simulation.disk import Disk
from tests.simulation.loop import Node, SimulatedLoop, sleep
from tests.simulation.people import PEOPLE, GoneError, Memory, Person, ask, somebody_of
from tests.simulation.restoring import Backup, back_up, ghosts_of, restore
from tests.simulation.service import Life
from tests.simulation.standing import Standing
from tests.simulation.watch import ATTENDED_SECONDS, FAIR_SECONDS, BrokenPromiseError, Watch, unattended, unfair
from tests.simulation.weather import CALM, Weather
from tests.simulation.witness import Witness

LOOK_SECONDS: Final = 5.0
LATE_SECONDS: Final = 10.0
"""How long after the storm somebody's late wish may still be carried out."""
SETTLING_SECONDS: Final = 10_000.0
"""How long after the storm everything has to have ended, or to wait for a person: the slow device's time limits add up."""
LET_GO_SECONDS: Final = 600.0
"""How long after the end of everything something may still be left at a target: as long as the most stuck session, a look for those that nobody holds,
and the longest time between two tries to remove what outlives them."""
ROUNDS: Final = 20
"""How often those that wait for a person are seen to: when one has ended another goes on that waited for it, and may wait then."""
RESUMES: Final = 2
LONGEST_LOSS_SECONDS: Final = 40.0
FATAL: Final = 0.3
"""How often the process dies at the place that is fatal to it."""


class KilledError(BaseException):
    """The process dies here and now: raised at a crash point, and never to be caught."""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a schedule: `trace` is the same whenever the same seed runs the same code."""

    seed: int
    turns: int
    lives: int
    executions: int
    told: int
    trace: str
    met: Counter[str]
    """How often what has happened, which is what `encounters` looks at."""


class Schedule:
    """Everything that happens under one seed. `said` is the log of the service itself."""

    def __init__(self, directory: Path, loop: SimulatedLoop, random: Random, weather: Weather) -> None:
        self.random = random
        self.loop = loop
        self.weather = weather
        self.city = City(random)
        self.memory = Memory()
        self.clock = SimulatedClock(loop)
        self.disk = Disk(directory / "stepswitch.db")
        self.stored = SqlExecutionStore(self.disk)
        self.witness = Witness(self.disk, self.city, lambda: self.life)
        self.city.die = self._die
        self.said: list[MutableMapping[str, Any]] = []
        self.life: Life | None = None
        self.lives = 0
        self._directory = directory
        self._ids = Numbers()
        self._still: list[Node] = []
        self._is_restoring = False
        self._spare: list[sqlite3.Connection] = []
        self._read: dict[str, tuple[bytes, Head]] = {}
        """What was read of each execution last, and what it was read from."""

    # --- the storm ---

    async def run(self) -> None:
        """Let it all happen; raises BrokenPromiseError where the city is told too much, or nothing comes to its end."""
        self.city.weather = self.weather
        self.loop.create_task(self._stay_alive())
        troubles = [self.loop.create_task(each) for each in self._troubles()]
        await sleep(self.weather.seconds)
        for each in troubles:
            each.cancel()
        for outcome in await asyncio.gather(*troubles, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
        await self._calm_down()
        self.check_breaches()

    def _troubles(self) -> Sequence[Coroutine[Any, Any, None]]:
        weather = self.weather
        return [
            *(Person(caller, self, self.city, self.memory).live() for caller in PEOPLE),
            self._again_and_again(weather.crash_seconds, self._crash),
            self._again_and_again(weather.stop_seconds, self._stop),
            self._again_and_again(weather.worker_freezes_seconds, self._freeze_worker),
            self._again_and_again(weather.process_freezes_seconds, self._freeze_process),
            self._again_and_again(weather.clock_jumps_seconds, self._jump),
            self._again_and_again(weather.restore_seconds, self._back_up_and_restore),
            self._see_that_it_is_fair(),
        ]

    async def _again_and_again(self, mean_seconds: float | None, work: Callable[[], Awaitable[None]]) -> None:
        while mean_seconds is not None:
            await sleep(self.random.expovariate(1 / mean_seconds))
            await work()

    async def _stay_alive(self) -> None:
        """Let the service live, and live again whenever it has died."""
        while True:
            while self._is_restoring:
                await sleep(1.0)
            self.lives += 1
            self.life = life = Life(self._directory, self.city, self.clock, self._ids, self.lives, self._spare)
            beginning = self.loop.run_on(life.node, life.begin())
            await asyncio.wait([beginning, life.gone], return_when=asyncio.FIRST_COMPLETED)
            if not life.node.is_dead and isinstance(beginning.exception(), sqlite3.Error | StoreError):
                life.crash()  # it could not start
            elif not life.node.is_dead:
                beginning.result()
            await asyncio.wait([life.gone])
            await sleep(self.random.random() * 10.0)

    async def _crash(self) -> None:
        if self.life is not None:
            self.city.met["the process died"] += 1
            self.life.crash()

    async def _stop(self) -> None:
        if (life := self._living()) is not None:
            self.city.met["the process was told to stop"] += 1
            life.is_ready = False
            self.loop.run_on(life.node, life.stop(self.random.choice([0.0, 5.0, 30.0])))

    def reach(self, point: CrashPoint) -> None:
        """Listen at all crash points; die there now and then."""
        weather = self.city.weather
        if (
            self.life is not None
            and not self._is_restoring
            and self.city.chance(FATAL if point is weather.fatal_point else weather.crash_at_point)
        ):
            self.city.met[f"the process died at {point}"] += 1
            self._die()

    def _die(self) -> None:
        if self.life is not None:
            self.life.crash()
        raise KilledError

    async def _freeze_worker(self) -> None:
        if self.life is not None and self.life.is_ready:
            workers = self.life.workers
            self.city.met["a worker stood still"] += 1
            await self._freeze(self.random.choice([each for each in workers if each.pool._claimed()] or workers).node)

    async def _freeze_process(self) -> None:
        if self.life is not None:
            self.city.met["the process stood still"] += 1
            await self._freeze(self.life.node)

    async def _freeze(self, node: Node) -> None:
        """Let a node stand still for a while: longer than a claim may be silent, or not."""
        node.freeze()
        self._still.append(node)
        await sleep(self.random.random() * 90.0)
        node.thaw()

    async def _back_up_and_restore(self) -> None:
        """Take a backup, and lose the disk some time later."""
        directory = self._directory / f"backup {len(self.city.told)} {self.loop.turns}"
        backup = back_up(self._directory, directory, self.clock.now(), self.city, self.memory)
        await sleep(self.random.random() * LONGEST_LOSS_SECONDS)
        await asyncio.shield(self.loop.create_task(self._restore(backup)))  # the storm may be over before it is done

    async def _restore(self, backup: Backup) -> None:
        self._is_restoring = True
        ghosts = ghosts_of(self.life) if self.life is not None and self.life.is_ready else None
        if self.life is not None:
            self.life.crash()
        await restore(backup, self._directory, self.city, self.memory, self.clock, self._ids)
        self.witness.forget()
        self._is_restoring = False
        while (life := self._living()) is None:  # in a storm it may die at every start; `_calm_down` sees that it comes back
            await sleep(LOOK_SECONDS)
        if ghosts is not None:
            self.loop.run_on(life.node, ghosts.haunt(life, self.city))

    async def _jump(self) -> None:
        seconds = self.random.choice([-600.0, -20.0, 15.0, 60.0, 3_600.0])
        self.city.met["the clock was set forward" if seconds > 0 else "the clock was set back"] += 1
        self.clock.jump(seconds)

    async def _see_that_it_is_fair(self) -> None:
        """In a storm too nobody waits for what is free, as long as the process stands."""
        watch = Watch(FAIR_SECONDS)
        while True:
            await sleep(LOOK_SECONDS)
            self.check_breaches()
            life = self._living()
            watch.note(self.loop.time(), {} if life is None or life.node.is_still else unfair(life))

    # --- the calm ---

    async def _calm_down(self) -> None:
        """Nothing goes wrong any more: everything has to come to its end, or wait for a person and end then."""
        self.city.weather = CALM
        self._thaw()
        await self._until_it_lives()
        await sleep(LATE_SECONDS)
        await self._end_all()
        await self._until_nothing_is_left()

    async def _end_all(self) -> None:
        """Let everything go on that waits for a person; what does so again and again is aborted, which lets those go on that wait for it."""
        await self._settle()
        for round_ in range(ROUNDS):
            if not (paused := await self._paused()):
                return
            if round_ < RESUMES:
                await self._do_all(paused, lambda life, head: life.steering.resume(somebody_of(head), head.id, "at the end"))
            else:
                roots = Standing(await self.heads("WHERE end_time IS NULL"), self.disk.lines()).roots(paused)
                await self._do_all(roots, lambda life, head: life.steering.abort(somebody_of(head), head.id, "at the very end"))
            await self._settle()
        raise BrokenPromiseError(f"there is always somebody who waits for a person: {[told_of(head) for head in await self._paused()]}")

    def _thaw(self) -> None:
        for node in self._still:
            node.thaw()

    async def _until_it_lives(self) -> Life:
        end = self.loop.time() + ATTENDED_SECONDS
        while (life := self._living()) is None:
            if self.loop.time() > end:
                raise BrokenPromiseError("the service does not come back")
            await sleep(LOOK_SECONDS)
        return life

    def _living(self) -> Life | None:
        return self.life if self.life is not None and self.life.is_ready and not self.life.node.is_dead else None

    async def _settle(self) -> None:
        """Return when everything has ended or waits for a person; somebody has to work at all the rest, or to be about to."""
        end = self.loop.time() + SETTLING_SECONDS
        attendance, fairness = Watch(ATTENDED_SECONDS), Watch(FAIR_SECONDS)
        while True:
            self.check_breaches()
            standing = Standing(await self.heads("WHERE end_time IS NULL"), self.disk.lines())
            going, lost = standing.going(), {**standing.lost(self.city.met), **await self._astray(standing)}
            if not (going or lost):
                return
            now = self.loop.time()
            if now > end:
                raise BrokenPromiseError(f"neither ended nor waiting for anybody: {[told_of(head) for head in going]}")
            life = await self._until_it_lives()
            attendance.note(now, {**unattended(life, going), **lost})
            fairness.note(now, unfair(life))
            await sleep(LOOK_SECONDS)

    async def _astray(self, standing: Standing) -> dict[str, str]:
        """Return which executions nobody waits for any more, but for those that somebody has reopened after they were over."""
        found = {}
        for execution_id in standing.astray():
            entries, _ = await self.stored.logs(execution_id, WHOLE_LOG)
            if not any(entry.message == "ended FAILED" for entry in entries):
                found[execution_id] = "nobody waits for it any more, and it is not stopped"
        self.city.met["somebody reopened an execution for which nobody waits any more"] += len(standing.astray()) > len(found)
        return found

    async def _until_nothing_is_left(self) -> None:
        """Return when all that may be left at a target is confirmed to be gone: whoever holds a session has let go of it by then."""
        end = self.loop.time() + LET_GO_SECONDS
        while left := await self.heads("WHERE cleanup_number IS NOT NULL"):
            self.check_breaches()
            if self.loop.time() > end:
                raise BrokenPromiseError(f"nobody says that it is gone: {[(head.id, head.left_behind) for head in left]}")
            await self._until_it_lives()
            await sleep(LOOK_SECONDS)

    async def _paused(self) -> Sequence[Head]:
        return await self.heads("WHERE status = 'PAUSED'")

    async def _do_all(self, heads: Sequence[Head], work: Callable[[Life, Head], Coroutine[Any, Any, Any]]) -> None:
        """Do the same to several executions in the same moment."""
        await asyncio.gather(*(self._do(lambda life, head=head: work(life, head)) for head in heads))  # type: ignore[misc]

    async def _do(self, work: Callable[[Life], Coroutine[Any, Any, Any]]) -> None:
        """Have the service do something, which it has to, now that all is calm, unless a late wish of somebody else was faster."""
        try:
            with suppress(StateConflictError, NotFoundError):
                await ask(self, work)
        except (GoneError, StepswitchError) as error:
            raise BrokenPromiseError(f"in calm weather somebody was told: {error!r}") from error

    async def heads(self, where: str = "") -> list[Head]:
        """Return executions as they are on disk, all or some."""
        found = []
        for execution_id, body in self.disk.rows(f"SELECT id, body FROM executions {where} ORDER BY id"):
            known = self._read.get(execution_id)
            if known is None or known[0] != body:  # no body is encrypted to the same bytes twice
                if (head := await self.stored.load(execution_id)) is None:
                    continue
                known = self._read[execution_id] = (body, head)
            found.append(known[1])
        return found

    def check_breaches(self) -> None:
        """Raise BrokenPromiseError where something has happened that may never happen."""
        if self.city.breaches:
            raise BrokenPromiseError("; ".join(self.city.breaches))

    def trace(self) -> str:
        """Return a hash of all that happened."""
        told = hashlib.sha256(repr((self.loop.turns, self.loop.time(), self.city.told, self.memory.acts, self.memory.heard)).encode())
        heads = self.disk.rows("SELECT body, tenant, id FROM executions ORDER BY id")
        logs = self.disk.rows("SELECT body, execution_id FROM logs ORDER BY place")
        rows = [
            *opened(heads, lambda row: head_place(row[1], row[2]), self.disk.sealer),
            *opened(logs, lambda row: log_place(row[1]), self.disk.sealer),
        ]
        for row in rows:
            told.update(row[0])
        return told.hexdigest()


def told_of(head: Head) -> str:
    """Return where an execution stands, for whoever reads of a broken promise."""
    step = head.current
    return f"{head.id} {head.status}" + (f" at {step.step_id} ({step.number}) {step.state} since {step.since}" if step else "")
