"""The service in a process that kills itself at a named crash point: forked from a process that has loaded everything, so that it is up at once.

`SIGKILL` by itself, in the middle of whatever it does: nothing is closed, flushed or said. It dies at a point only while it is
armed, so that a test chooses which of many passages of a point is the last one.
"""

import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import httpx

from stepswitch.bootstrap import serve
from stepswitch.config.settings import Settings
from stepswitch.engine.crash_points import CrashPoint, listening

PASSWORD: Final = "mortal-only-password"
DEADLINE_SECONDS: Final = 60.0

_nursery: Final = multiprocessing.get_context("forkserver")
_nursery.set_forkserver_preload(["tests.chaos.loaded"])


@dataclass(frozen=True, slots=True)
class Death:
    """Where a service dies: at a point, once it is armed and has passed there so many times."""

    point: CrashPoint
    armed: Path
    after: int = 0


def live(stderr: Connection, settings: Mapping[str, Any], death: Death | None, be: Callable[[Settings], int] = serve) -> None:
    """Be the service, or what `be` is, until killed. Runs in the new process."""
    passed = 0
    os.dup2(stderr.fileno(), 2)
    stderr.close()

    def die(reached: CrashPoint) -> None:
        nonlocal passed
        if death is not None and reached is death.point:
            if passed >= death.after and death.armed.exists():
                os.kill(os.getpid(), signal.SIGKILL)
            passed += 1

    with listening(die):
        os._exit(be(Settings(**settings)))


class Mortal:
    """One service on a data directory; `start` it again after each death."""

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        fixed = {"data_dir": data_dir, "port": 0, "admin_password": PASSWORD, "host_keys": "accept-new", "log_format": "json"}
        self._settings = {**fixed, **settings}
        self._armed = data_dir.with_suffix(".armed")
        self._process: BaseProcess | None = None
        self._stderr: Connection | None = None
        self.log = ""
        self.headers: dict[str, str] = {}
        self.client = httpx.Client(timeout=DEADLINE_SECONDS)

    def start(self, point: CrashPoint | None = None, *, after: int = 0) -> None:
        """Start it, to die at `point` once it is armed and has passed there `after` times; returns when it says where it listens."""
        self._begin(None if point is None else Death(point, self._armed, after))
        while "http://" not in self.log:
            assert self._hear(), f"it did not start: {self.log}"
        url = "http://" + self.log.split("http://", 1)[1].split('"', 1)[0].split()[0]
        self.client.close()
        self.client = httpx.Client(base_url=url, headers=self.headers, timeout=DEADLINE_SECONDS)

    def _begin(self, death: Death | None) -> None:
        assert self._process is None
        self.log = ""
        self._stderr, theirs = _nursery.Pipe(duplex=False)
        target, arguments = self._life(theirs, death)
        self._process = _nursery.Process(target=target, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def _life(self, stderr: Connection, death: Death | None) -> tuple[Callable[..., None], tuple[Any, ...]]:
        """Return what the new process is to be."""
        return live, (stderr, self._settings, death)

    def die_while_starting(self, point: CrashPoint | None) -> None:
        """Start it, armed, and return when it has died; without a point, of what somebody else does to it."""
        self.arm()
        self._begin(None if point is None else Death(point, self._armed))
        self.await_death()

    def _hear(self) -> bool:
        """Take in what it says; return whether it can say more."""
        assert self._stderr is not None
        if not self._stderr.poll(DEADLINE_SECONDS):
            return False
        said = os.read(self._stderr.fileno(), 65_536)
        self.log += said.decode(errors="replace")
        return bool(said)

    def arm(self) -> None:
        """Let it die when it reaches its point the next time."""
        self._armed.touch()

    def await_death(self) -> None:
        """Return when it has killed itself; everything else is a failure of the test."""
        while self._hear():
            pass
        assert self._buried() == -signal.SIGKILL, f"it did not die of its own hand: {self.log[-2000:]}"
        self._armed.unlink()

    def end(self) -> None:
        """Kill it, where it lives."""
        if self._process is not None:
            self._process.kill()
            self._buried()
        self.client.close()

    @property
    def pid(self) -> int:
        """The process that lives now."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    def signal(self, which: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, which)

    def limit(self, what: int, most: int = resource.RLIM_INFINITY) -> None:
        """Limit what it may take of something (`resource.RLIMIT_…`), or set it free again."""
        hard = resource.prlimit(self.pid, what)[1]
        resource.prlimit(self.pid, what, (most if hard == resource.RLIM_INFINITY else min(most if most >= 0 else hard, hard), hard))

    def stopped(self) -> int | None:
        """Return how it ended, after it was told to stop."""
        while self._hear():
            pass
        return self._buried()

    def wait_for_log(self, part: str) -> None:
        """Return when it has said something."""
        while part not in self.log:
            assert self._hear(), f"it never said {part!r}: {self.log}"

    def hear_out(self) -> str:
        """Return all that it has said by now."""
        assert self._stderr is not None
        while self._stderr.poll(0):
            if not self._hear():
                break
        return self.log

    def live_for(self, seconds: float) -> None:
        """Let time pass; it has to survive it."""
        assert self._process is not None
        self._process.join(seconds)
        assert self._process.exitcode is None, f"it ended by itself: {self.log}"

    def _buried(self) -> int | None:
        assert self._process is not None
        assert self._stderr is not None
        self._process.join(DEADLINE_SECONDS)
        code = self._process.exitcode
        self._process.close()
        self._stderr.close()
        self._process = self._stderr = None
        return code
