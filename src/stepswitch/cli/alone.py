"""One execution of one workflow without a server: the whole service in a directory of its own, which is gone afterwards. Called by `run`.

What is shown is what was committed, through the same views that the API has; secrets are masked here as there.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stepswitch.access.current_callers import OnlyCaller
from stepswitch.bootstrap import Service, forbid_core_dumps, open_host_keys, open_service
from stepswitch.cli.exits import Exit, complain
from stepswitch.cli.story import Outcome, Story, Teller, Told, ToldLine, ToldStep
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import StateConflictError
from stepswitch.domain.events import Abort
from stepswitch.domain.execution import ENDED, Head, Result, Status, StepExecution
from stepswitch.engine.callers import Caller
from stepswitch.engine.confidential import Mask
from stepswitch.engine.executions import ExecutionRequest
from stepswitch.engine.records import Committed
from stepswitch.engine.snapshots import Compiled
from stepswitch.engine.views import ExecutionView
from stepswitch.secrets.masking import Masking

_CHUNK_BYTES: Final = 1024 * 1024
_SHOW_CURSOR: Final = "\x1b[?25h\n"
_STOPPED: Final = ENDED | {Status.PAUSED}


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be executed. `request` has no workflow id yet; `files` are attached under their keys."""

    document: Mapping[str, Any]
    request: ExecutionRequest
    files: Mapping[str, Path] = field(default_factory=dict)
    called: tuple[Mapping[str, Any], ...] = ()
    """The workflows that it calls, by their names."""
    host_keys_of: Path | None = None
    """A data directory whose trusted host keys count too."""


async def carry_out(order: Order, settings: Settings, caller: Caller, teller: Teller | None) -> ExecutionView:
    """Return the execution when it has ended or paused; raises InvalidRequestError with every fault of the document or the request."""
    forbid_core_dumps()
    service = await open_service(settings, callers=OnlyCaller(caller))
    try:
        if order.host_keys_of is not None:
            await _trust_as(service, order.host_keys_of)
        commits = _Commits()
        service.observe(commits)
        await service.start(recover=False)
        with interrupts(settings.data_dir) as interrupted:
            view = await _create(service, order, caller)
            steering = _Steering(service, caller, view.head.id, interrupted, complain if teller is None else teller.remark)
            await _follow(view.compiled, commits, steering, teller)
        return await service.views.execution(caller, view.head.id)
    finally:
        await service.stop(grace_seconds=0)


class _Commits:
    """An observer that keeps every commit until somebody has time for it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Committed] = asyncio.Queue()

    def committed(self, change: Committed) -> None:
        """See `Observer`."""
        self.queue.put_nowait(change)


@dataclass(frozen=True, slots=True)
class _Steering:
    """Aborts the execution when somebody has interrupted."""

    service: Service
    caller: Caller
    execution_id: str
    interrupted: asyncio.Event
    remark: Callable[[str], None]

    async def abort_when_asked(self) -> None:
        await self.interrupted.wait()
        self.remark("Aborting: what runs is stopped, which takes a few seconds at most. Ctrl-C again ends at once.")
        try:
            event = Abort(id=f"abort:{self.execution_id}", user=self.caller.user, seen=None, reason="interrupted at the terminal")
            await self.service.conductor.apply(self.execution_id, event)
        except StateConflictError:
            return  # it ended in that very moment


async def _create(service: Service, order: Order, caller: Caller) -> ExecutionView:
    for document in order.called:
        await service.catalogue.create(caller, document)
    checked = await service.catalogue.create(caller, order.document)
    attachments = {key: (await service.files.put(caller.tenant, file.name, _content(file))).id for key, file in order.files.items()}
    asked = order.request
    request = ExecutionRequest(
        workflow_id=checked.workflow.id,
        context_type=asked.context_type,
        context=asked.context,
        assignments=asked.assignments,
        attachments=attachments,
        pause_at_failure=asked.pause_at_failure,
        debug_step_ids=asked.debug_step_ids,
    )
    return await service.executions.create(caller, request)


async def _content(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            yield chunk


async def _follow(compiled: Compiled, commits: _Commits, steering: _Steering, teller: Teller | None) -> None:
    """Tell every commit until the execution has ended or paused."""
    story, masks = Story(teller) if teller is not None else None, _Masks(compiled)
    watch = asyncio.create_task(steering.abort_when_asked())
    try:
        while True:
            change = await commits.queue.get()
            if change.execution_id != steering.execution_id:  # of one that it calls
                continue
            if story is not None:
                story.tell(_told(change, masks(change)))
            if change.head is not None and change.head.status in _STOPPED:
                return
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


class _Masks:
    """Gives the mask that fits a commit: values that a step wrote can be secrets too."""

    def __init__(self, compiled: Compiled) -> None:
        self._secrets = Masking()
        self._compiled = compiled
        self._head: Head | None = None

    def __call__(self, change: Committed) -> Mask:
        self._head = change.head or self._head
        if self._head is None:
            raise AssertionError("an execution's first commit has its head")
        return Mask(self._secrets, self._head, [self._compiled])


def outcome_of(view: ExecutionView) -> Outcome:
    """Return what came of an execution, as it is told."""
    head, steps = view.head, [step for step, _ in view.steps]
    failed = sum(step.result in (Result.FAILED, Result.UNKNOWN) for step in steps)
    return Outcome(head.status, len(steps), failed, (head.end_time or head.last_time) - head.creation_time, view.outputs)


def _told(change: Committed, mask: Mask) -> Told:
    """Return a commit as it is told, every secret masked."""
    lines = tuple(ToldLine(entry.time, entry.level, entry.message, entry.step) for entry in map(mask.entry, change.logs))
    return Told(tuple(_told_step(step, mask) for step in change.steps), lines, change.head.last_time if change.head is not None else 0)


def _told_step(step: StepExecution, mask: Mask) -> ToldStep:
    return ToldStep(
        number=step.number,
        step_id=step.step_id,
        state=step.state,
        start_time=step.start_time,
        attempt=step.attempt,
        claimed_time=step.claimed_time,
        end_time=step.end_time,
        not_before=step.not_before,
        device=None if step.device is None else step.device.name,
        result=step.result,
        failure="" if step.error is None else f"{step.error.code}: {mask.text(step.error.message)}",
    )


async def _trust_as(service: Service, data_dir: Path) -> None:
    async with open_host_keys(data_dir) as theirs:
        for key in await theirs.all():
            await service.host_keys.trust(key)


@contextmanager
def interrupts(data_dir: Path) -> Iterator[asyncio.Event]:
    """Give an event that the first Ctrl-C or SIGTERM sets; the second ends the process at once."""
    loop, interrupted = asyncio.get_running_loop(), asyncio.Event()

    def interrupt() -> None:
        if interrupted.is_set():
            shutil.rmtree(data_dir, ignore_errors=True)
            if sys.stdout.isatty():
                sys.stdout.write(_SHOW_CURSOR)
                sys.stdout.flush()
            os._exit(Exit.ABORTED)
        interrupted.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        yield interrupted
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
