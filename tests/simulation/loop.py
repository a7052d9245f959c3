"""An event loop whose time, order and threads belong to the test: the same seed makes the same things happen in the same order.

Time jumps to the next moment at which something is due, so that an hour passes in no time. What is ready at one moment runs in an order
that is drawn. What the service gives to a thread runs on the loop itself, after a time that is drawn: threads of one pool of one keep
their order. Everything belongs to a *node*, a process or a part of one, that can stand still for a while, or die: of a node that died
nothing runs any more, as after SIGKILL.
"""

import asyncio
import heapq
import inspect
import itertools
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from functools import partial
from random import Random
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
LONGEST_THREAD_SECONDS: Final = 0.02


class StuckError(AssertionError):
    """Nothing is ready and nothing is due: what waits now waits for ever."""


class Node:
    """A process, or a part of one: all that is begun within it belongs to it."""

    def __init__(self, name: str, parent: "Node | None" = None) -> None:
        self.name = name
        self.is_dead: bool = parent is not None and parent.is_dead
        """Whether it has died, or whatever it was part of."""
        self.is_still: bool = parent is not None and parent.is_still
        """Whether it stands still, or whatever it is part of."""
        self._parent = parent
        self._parts: list[Node] = []
        self._is_frozen = False
        if parent is not None:
            parent._parts.append(self)

    def die(self) -> None:
        """Run nothing any more."""
        self.is_dead = True
        for part in self._parts:
            part.die()

    def freeze(self) -> None:
        """Run nothing until `thaw`."""
        self._is_frozen = True
        self._note()

    def thaw(self) -> None:
        """Go on: what became ready meanwhile is run now, all of it late."""
        self._is_frozen = False
        self._note()

    def _note(self) -> None:
        self.is_still = self._is_frozen or (self._parent is not None and self._parent.is_still)
        for part in self._parts:
            part._note()


OUTSIDE: Final = Node("outside")
"""People, devices and the test itself."""
_node: ContextVar[Node] = ContextVar("node", default=OUTSIDE)


def here() -> Node:
    """Return the node that runs."""
    return _node.get()


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs one thing after the other. `disorder` is how often what runs next is drawn, and not the one that was ready first."""

    def __init__(self, random: Random, disorder: float = 0.5) -> None:
        super().__init__()
        self._random = random
        self._disorder = disorder
        self._seconds = 0.0
        self._numbers = itertools.count()
        self._runnable: list[tuple[asyncio.Handle, Node]] = []
        self._parked: list[tuple[asyncio.Handle, Node]] = []
        self._due: list[tuple[float, int, asyncio.TimerHandle, Node]] = []
        self._threads: dict[Executor, deque[Callable[[], None]]] = {}
        self._given: Counter[Executor] = Counter()
        self._all: list[tuple[asyncio.Task[Any], Node]] = []
        self.turns = 0

    # --- asyncio ---

    def time(self) -> float:
        return self._seconds

    def get_debug(self) -> bool:
        """Say no, whoever asks: every handle does."""
        return False

    def call_soon(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> asyncio.Handle:
        made = context if context is not None else copy_context()
        handle = asyncio.Handle(callback, args, self, made)
        self._runnable.append((handle, made.get(_node, OUTSIDE)))
        return handle

    def call_at(self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> asyncio.TimerHandle:
        made = context if context is not None else copy_context()
        timer = asyncio.TimerHandle(when, callback, args, self, made)
        heapq.heappush(self._due, (when, next(self._numbers), timer, made.get(_node, OUTSIDE)))
        return timer

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._seconds + delay, callback, *args, context=context)

    def call_soon_threadsafe(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> asyncio.Handle:
        raise AssertionError("something runs in a thread of its own, out of the simulation's sight")

    def create_task(self, coro: Any, **options: Any) -> Any:
        task = super().create_task(coro, **options)
        context = options.get("context")
        self._all.append((task, here() if context is None else context.get(_node, OUTSIDE)))
        return task

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":  # type: ignore[override]
        done: asyncio.Future[T] = self.create_future()

        ending = _ended_by(func)

        def work() -> None:
            if ending is not None and self._given[ending]:
                self._give_to_thread(executor, work)  # it waits for what was given to its threads
                return
            if executor is not None:
                self._given[executor] -= 1
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 # whoever asked is told
                if not done.done():
                    done.set_exception(error)
            else:
                if not done.done():
                    done.set_result(result)

        if executor is not None:
            self._given[executor] += 1
        self._give_to_thread(executor, work)
        return done

    def _give_to_thread(self, executor: Executor | None, work: Callable[[], None]) -> None:
        if not isinstance(executor, ThreadPoolExecutor) or executor._max_workers > 1:
            self.call_later(self._random.random() * LONGEST_THREAD_SECONDS, work)
            return
        queue = self._threads.setdefault(executor, deque())
        queue.append(work)
        if len(queue) == 1:
            self.call_later(self._random.random() * LONGEST_THREAD_SECONDS, self._work_off, queue)

    def _work_off(self, queue: deque[Callable[[], None]]) -> None:
        queue[0]()
        queue.popleft()
        if queue:
            self.call_later(self._random.random() * LONGEST_THREAD_SECONDS, self._work_off, queue)

    def _run_once(self) -> None:
        """Run one thing; `run_forever` calls this again and again."""
        handle = self._next()
        self.turns += 1
        handle._run()

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """Leave what died in the middle of a generator as it is: a dead process closes nothing."""

    def _process_events(self, event_list: Any) -> None:
        pass

    def _next(self) -> asyncio.Handle:
        runnable, draw = self._runnable, self._random.random
        while True:
            if self._parked or (self._due and self._due[0][0] <= self._seconds):
                self._wake()
            while runnable:
                place = int(draw() * len(runnable)) if draw() < self._disorder else 0
                handle, node = runnable.pop(place)
                if handle._cancelled or node.is_dead:
                    continue
                if node.is_still:
                    self._parked.append((handle, node))
                    continue
                return handle
            if not self._due:
                raise StuckError(f"nothing will ever happen again, {self._seconds:.1f} s after the beginning")
            self._seconds = max(self._seconds, self._due[0][0])

    def _wake(self) -> None:
        """Let what is due now be ready, and what had to stand still and need not any more."""
        while self._due and self._due[0][0] <= self._seconds:
            _, _, timer, node = heapq.heappop(self._due)
            if not timer.cancelled():
                self._runnable.append((timer, node))
        if self._parked:
            parked, self._parked = self._parked, []
            self._runnable += [each for each in parked if not each[1].is_still]
            self._parked += [each for each in parked if each[1].is_still]

    # --- the simulation ---

    def run_on(self, node: Node, coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Begin something on a node."""
        context = copy_context()
        context.run(_node.set, node)
        task: asyncio.Task[T] = self.create_task(coroutine, context=context)
        return task

    def bury(self) -> list[BaseException]:
        """Let go of everything that did not end, and return what went wrong in the living without anybody taking note; called last."""
        self._runnable, self._parked, self._due = [], [], []
        unseen = [task for task, node in self._all if task.done() and not (task.cancelled() or node.is_dead) and task._log_traceback]
        faults = [fault for task in unseen if (fault := task.exception()) is not None]
        for task, _ in self._all:
            task._log_destroy_pending = False  # type: ignore[attr-defined] # it is meant to be destroyed
            coroutine = task.get_coro()
            if not task.done() and inspect.iscoroutine(coroutine):
                _close(coroutine)
        self._all = []
        self.close()
        return faults


def _ended_by(func: Callable[..., object]) -> Executor | None:
    """Return the pool of threads that a call shuts down; None where it does something else."""
    called = func.args[0] if isinstance(func, partial) and func.args else func
    owner = getattr(called, "__self__", None)
    return owner if isinstance(owner, Executor) and getattr(called, "__name__", "") == "shutdown" else None


def _close(coroutine: Coroutine[Any, Any, Any]) -> None:
    """End a coroutine where it stands, with those that it was given and has not begun to wait for."""
    if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        for given in inspect.getcoroutinelocals(coroutine).values():
            if inspect.iscoroutine(given):
                given.close()
    with suppress(BaseException):  # one that waits in a `finally` does not want to go
        coroutine.close()


async def sleep(seconds: float) -> None:
    """Return when so much time has passed."""
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    timer = loop.call_later(seconds, wake)
    try:
        await woken
    finally:
        timer.cancel()
