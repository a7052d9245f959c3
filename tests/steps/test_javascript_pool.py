"""JS: the child processes that hold scripts: kept, replaced, killed, and never left behind."""

import asyncio
import errno
import gc
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import pytest_asyncio

from stepswitch.plugin import ErrorCode, LogLevel, Outcome, Result
from stepswitch.steps import javascript_pool
from stepswitch.steps.javascript import JavaScriptStep
from tests.steps.contexts import RecordingContext

LOOP = "console.log('begun'); while (true) {}"


@pytest_asyncio.fixture
async def step() -> AsyncIterator[JavaScriptStep]:
    step = JavaScriptStep()
    yield step
    await step.close()


@pytest_asyncio.fixture
async def only() -> AsyncIterator[JavaScriptStep]:
    """A step type with one child, so that the next script meets what the last one left."""
    step = JavaScriptStep(kept_children=1, max_children=1)
    yield step
    await step.close()


async def run(step: JavaScriptStep, script: str, context: RecordingContext | None = None) -> Outcome:
    return await step.run({"script": script}, context or RecordingContext())


async def code_of(step: JavaScriptStep, script: str, context: RecordingContext | None = None) -> ErrorCode:
    outcome = await run(step, script, context)
    assert outcome.result is Result.FAILED
    assert outcome.error is not None
    return outcome.error.code


async def still_works(step: JavaScriptStep) -> bool:
    return (await run(step, "return { next: 1 }")).outputs == {"next": 1}


@contextmanager
def watched(pid: int) -> Iterator[int]:
    """Give a file descriptor that becomes readable when the process has ended."""
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def ended(descriptor: int) -> None:
    """Return when the watched process has ended."""
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, gone.set)
    try:
        async with asyncio.timeout(10):
            await gone.wait()
    finally:
        loop.remove_reader(descriptor)


def lives(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


# --- the pool --------------------------------------------------------------------------------------------------------


async def test_children_are_kept_and_no_more_than_asked_for() -> None:
    step = JavaScriptStep(kept_children=2, max_children=3)
    contexts = [RecordingContext() for _ in range(4)]
    try:
        assert step.child_pids == frozenset()
        tasks = [asyncio.create_task(run(step, LOOP, context)) for context in contexts]
        for context in contexts[:3]:
            await context.wait_for_line("begun")
        assert len(step.child_pids) == 3
        assert contexts[3].lines == []
        tasks[0].cancel()
        await contexts[3].wait_for_line("begun")
        assert len(step.child_pids) == 3
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(step.child_pids) == 2
        results = await asyncio.gather(*(run(step, f"return {{ n: {number} }}") for number in range(50)))
        assert [outcome.outputs["n"] for outcome in results] == list(range(50))
        assert 1 <= len(step.child_pids) <= 2
    finally:
        await step.close()


async def test_a_child_is_replaced_after_its_number_of_scripts() -> None:
    step = JavaScriptStep(kept_children=1, max_children=1, scripts_per_child=3)
    try:
        seen = []
        for _ in range(7):
            assert await still_works(step)
            seen.append(step.child_pids)
        assert len(set(seen)) == 3
    finally:
        await step.close()


async def test_cancellation_kills_the_child_and_passes(only: JavaScriptStep) -> None:
    context = RecordingContext()
    task = asyncio.create_task(run(only, LOOP, context))
    await context.wait_for_line("begun")
    (pid,) = only.child_pids
    with watched(pid) as descriptor:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ended(descriptor)
    assert await still_works(only)
    assert pid not in only.child_pids


async def test_a_cancelled_wait_for_a_place_leaves_the_place_to_others(only: JavaScriptStep) -> None:
    context = RecordingContext()
    first = asyncio.create_task(run(only, LOOP, context))
    await context.wait_for_line("begun")
    second = asyncio.create_task(run(only, "return {}"))
    third = asyncio.create_task(run(only, "return { third: 1 }"))
    second.cancel()
    first.cancel()
    assert (await third).outputs == {"third": 1}
    assert isinstance((await asyncio.gather(second, return_exceptions=True))[0], asyncio.CancelledError)


async def test_a_child_that_died_while_idle_is_replaced_unseen(only: JavaScriptStep) -> None:
    await still_works(only)
    (pid,) = only.child_pids
    with watched(pid) as descriptor:
        os.kill(pid, signal.SIGKILL)
        await ended(descriptor)
    assert await still_works(only)


async def test_a_child_that_dies_with_a_script_fails_it_and_only_it(only: JavaScriptStep) -> None:
    context = RecordingContext()
    task = asyncio.create_task(run(only, LOOP, context))
    await context.wait_for_line("begun")
    (pid,) = only.child_pids
    os.kill(pid, signal.SIGSEGV)
    outcome = await task
    assert outcome.error is not None
    assert outcome.error.code is ErrorCode.SCRIPT_FAILED
    assert await still_works(only)


async def test_close_ends_every_child_and_what_runs_or_waits() -> None:
    step = JavaScriptStep(max_children=2)
    contexts = [RecordingContext() for _ in range(2)]
    running = [asyncio.create_task(run(step, LOOP, context)) for context in contexts]
    for context in contexts:
        await context.wait_for_line("begun")
    waiting = asyncio.create_task(run(step, "return {}"))
    pids = step.child_pids
    await step.close()
    assert not any(lives(pid) for pid in pids)
    assert step.child_pids == frozenset()
    for task in (*running, waiting):
        error = (await task).error
        assert error is not None
        assert error.code is ErrorCode.CANCELLED
    assert await code_of(step, "return {}") is ErrorCode.CANCELLED
    await step.close()
    gc.collect()


@pytest.mark.parametrize("call", ["socket.socketpair", "subprocess.Popen"])
async def test_a_machine_without_room_for_a_child_is_said_as_such(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    step = JavaScriptStep(kept_children=1, max_children=1)
    with monkeypatch.context() as patched:
        patched.setattr(f"stepswitch.steps.javascript_pool.{call}", refuse)
        assert await code_of(step, "return {}") is ErrorCode.EXHAUSTED
    assert (await run(step, "return {}")).result is Result.SUCCEEDED
    await step.close()


async def test_a_child_that_cannot_start_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    step = JavaScriptStep()
    program = tmp_path / "broken.py"
    program.write_text("raise SystemExit(3)")
    try:
        monkeypatch.setattr(javascript_pool, "_PROGRAM", program)
        assert await code_of(step, "return {}") is ErrorCode.INTERNAL
        monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
        assert await code_of(step, "return {}") is ErrorCode.INTERNAL
    finally:
        await step.close()


@pytest.mark.parametrize("script", [LOOP, "console.log('begun'); return {}"])
def test_children_die_with_their_parent(script: str) -> None:
    program = """
import asyncio, sys
from stepswitch.steps.javascript import JavaScriptStep
from tests.steps.contexts import RecordingContext
async def main():
    step, context = JavaScriptStep(kept_children=1), RecordingContext()
    task = asyncio.create_task(step.run({"script": sys.argv[1]}, context))
    await context.wait_for_line("begun")
    print(*step.child_pids, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program, script], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as parent:
        assert parent.stdout is not None
        try:
            pid = int(parent.stdout.readline())
            with watched(pid) as descriptor:
                parent.kill()
                assert select.select([descriptor], [], [], 10)[0], "the child outlived its parent"
        finally:
            parent.kill()


async def test_a_slow_log_does_not_turn_a_script_that_has_ended_into_a_timeout(only: JavaScriptStep) -> None:
    class SlowContext(RecordingContext):
        async def log(self, message: str, level: LogLevel = LogLevel.INFO) -> None:
            # The child is killed at the deadline; by then its script has long ended.
            await ended(descriptor)
            await super().log(message, level)

    await still_works(only)
    (pid,) = only.child_pids
    with watched(pid) as descriptor:
        context = SlowContext(time_limit_seconds=0.5)
        assert (await run(only, "console.log('x'); return { a: 1 }", context)).outputs == {"a": 1}
    assert context.messages == ["x"]
