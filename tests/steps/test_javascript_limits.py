"""JS: scripts that want too much time, memory or room, or want out. The ordinary life of a script: `test_javascript`."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from stepswitch.plugin import CUT, ErrorCode, LogLevel, Outcome, Result
from stepswitch.secrets.masking import Masking
from stepswitch.steps import javascript_pool
from stepswitch.steps.javascript import LOG_LIMIT, JavaScriptStep
from tests.steps.contexts import RecordingContext

MIB = 1024 * 1024
OUTSIDE = (
    "require", "process", "fetch", "XMLHttpRequest", "WebSocket", "std", "os", "bjson", "print", "scriptArgs", "load", "read", "setTimeout",
    "setInterval", "setImmediate", "Deno", "Bun", "module", "exports", "global", "window", "Worker", "navigator", "gc", "WebAssembly",
    "stepswitch$emit",
)  # fmt: skip
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


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        "while (true) {}",
        "while (true) { try { while (true) {} } catch {} finally { continue } }",
        "/(a+)+$/.test('a'.repeat(40) + 'b')",
        "const long = 'a'.repeat(5e6); while (true) long.indexOf('ab')",
        "const many = new Array(1e5).fill(0); while (true) many.sort(() => Math.random() - 0.5)",
        "return { get a() { while (true) {} } }",
        "return { a: { toJSON() { while (true) {} } } }",
        "return new Proxy({}, { ownKeys() { while (true) {} } })",
        "throw { get message() { return 1 }, toJSON() { while (true) {} } }",
        "return (async () => { while (true) await null })()",
        "const next = () => { queueMicrotask(next) }; next(); return new Promise(() => {})",
        "class Sly extends Promise { static get [Symbol.species]() { while (true) {} } } return Sly.resolve({})",
    ],
)
async def test_a_script_that_does_not_end_is_ended_and_harms_no_other(only: JavaScriptStep, script: str) -> None:
    before = asyncio.get_running_loop().time()
    assert await code_of(only, script, RecordingContext(time_limit_seconds=0.3)) is ErrorCode.TIMEOUT
    assert asyncio.get_running_loop().time() - before < 5
    assert await still_works(only)


async def test_what_was_logged_before_the_time_limit_is_kept(step: JavaScriptStep) -> None:
    context = RecordingContext(time_limit_seconds=0.5)
    script = "for (let i = 0; i < 200; i++) console.log(i); const long = 'a'.repeat(5e6); while (true) long.indexOf('ab')"
    assert await code_of(step, script, context) is ErrorCode.TIMEOUT
    assert context.messages == [str(number) for number in range(200)]


async def test_log_lines_are_there_while_the_script_runs(step: JavaScriptStep) -> None:
    context = RecordingContext()
    task = asyncio.create_task(run(step, LOOP, context))
    await context.wait_for_line("begun")
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_kernel_ends_a_script_when_the_parent_is_stuck(step: JavaScriptStep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(javascript_pool.Child, "_time_out", lambda child: setattr(child, "timed_out", True))
    assert await code_of(step, "while (true) {}", RecordingContext(time_limit_seconds=0.1)) is ErrorCode.TIMEOUT
    assert await still_works(step)


# --- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        "let s = 'x'; while (true) s += s",
        "const list = []; while (true) list.push(new Uint8Array(1 << 20))",
        "const list = []; while (true) list.push({})",
        "globalThis.list = []; while (true) list.push('x' + list.length)",
        "globalThis.a = globalThis.b = {}; while (true) { b.a = {}; b = b.a }",
        "new ArrayBuffer(1e9)",
        "new SharedArrayBuffer(1e9)",
        "new Array(1e9).fill(0)",
        "return { a: 'x'.repeat(1 << 28) }",
        "return { a: new Array(2e7).fill(1) }",
        "console.log('x'.repeat(1 << 29))",
        "const map = new Map(); while (true) map.set({}, 1)",
        "return (async () => { const list = []; while (true) { await null; list.push(new Uint8Array(1 << 20)) } })()",
    ],
)
async def test_a_script_that_wants_too_much_memory_fails_and_harms_no_other(only: JavaScriptStep, script: str) -> None:
    assert await code_of(only, script) is ErrorCode.MEMORY_LIMIT
    assert await still_works(only)


async def test_the_memory_limit_is_settable_and_64_mib_otherwise() -> None:
    script = "return { a: new Uint8Array(40 * 1024 * 1024).length }"
    for limit, expected in ((16 * MIB, ErrorCode.MEMORY_LIMIT), (64 * MIB, None)):
        step = JavaScriptStep(memory_limit_bytes=limit)
        try:
            error = (await run(step, script)).error
            assert (error.code if error else None) is expected
        finally:
            await step.close()


@pytest.mark.parametrize(
    "script",
    [
        "(function deep() { deep() })()",
        "(function deep() { console.log('x'); deep() })()",
        "(function deep() { try { deep() } finally { deep() } })(); throw 1",
        "let o = {}; for (let i = 0; i < 1e5; i++) o = { o }; return o",
        "let s = ''; for (let i = 0; i < 1e5; i++) s += '['; JSON.parse(s)",
        "new RegExp('('.repeat(1e5))",
        "'x'.replace(/x/, function again() { return 'x'.replace(/x/, again) })",
        "const p = new Proxy({}, { get(t, k, r) { return r[k] } }); p.x",
        "return { a: 2n ** (2n ** 40n) }",
        "let n = 2n; while (true) n = n * n",
        "return Object.defineProperty({}, 'a', { enumerable: true, get() { throw new Error('no') } })",
        "return new Proxy({}, { ownKeys() { throw new Error('no') } })",
        "return { toJSON: null, a: { toJSON() { throw new Error('no') } } }",
    ],
)
async def test_depth_and_size_end_in_a_readable_failure(only: JavaScriptStep, script: str) -> None:
    context = RecordingContext(time_limit_seconds=0.5)
    assert await code_of(only, script, context) in {ErrorCode.SCRIPT_FAILED, ErrorCode.SCRIPT_RESULT, ErrorCode.TIMEOUT}
    assert await still_works(only)


# --- amounts ---------------------------------------------------------------------------------------------------------


async def test_outputs_over_the_limit_are_cut_at_a_character_and_named(step: JavaScriptStep) -> None:
    context = RecordingContext(output_limit_bytes=10)
    script = "return { fits: '1234567890', long: '12345678901', wide: 'é'.repeat(6), odd: 'xé€é€é', list: [1, 2, 3, 4, 5, 6], number: 12345678901234 }"
    outcome = await run(step, script, context)
    assert outcome.result is Result.SUCCEEDED
    assert outcome.outputs == {
        "fits": "1234567890", "long": "1234567890", "wide": "ééééé", "odd": "xé€é", "list": "[1,2,3,4,5", "number": 12345678901234,
    }  # fmt: skip
    assert outcome.truncated == ("list", "long", "odd", "wide")


async def test_a_huge_output_is_cut_before_it_leaves_the_child(step: JavaScriptStep) -> None:
    outcome = await run(step, "return { a: 'x'.repeat(20e6), b: 'y'.repeat(20e6), c: 'z'.repeat(1 << 20) }")
    assert outcome.outputs == {"a": "x" * MIB, "b": "y" * MIB, "c": "z" * MIB}
    assert outcome.truncated == ("a", "b")


@pytest.mark.parametrize(
    ("times", "line"), [(5000, "'x'.repeat(1000)"), (50000, ""), (3, "'x'.repeat(5e6)"), (5000, "'x'.repeat(400), { a: 'y'.repeat(400) }")]
)
async def test_the_log_is_limited_and_the_cut_is_marked(step: JavaScriptStep, times: int, line: str) -> None:
    context = RecordingContext()
    outcome = await run(step, f"for (let i = 0; i < {times}; i++) console.log({line}); return {{ done: true }}", context)
    assert outcome.outputs == {"done": True}
    assert sum(map(len, context.messages[:-1])) <= LOG_LIMIT + len(CUT)
    assert context.lines[-1] == (LogLevel.WARN, "the script's log has reached its limit: what follows is left out")
    assert len(context.lines) <= LOG_LIMIT // 64 + 1


# --- the walls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    OUTSIDE,
)
async def test_nothing_of_the_outside_has_a_name(step: JavaScriptStep, name: str) -> None:
    script = f"return {{ a: typeof {name}, b: typeof Function('return this')().{name}, c: typeof (0, eval)('this').{name} }}"
    assert (await run(step, script)).outputs == {"a": "undefined", "b": "undefined", "c": "undefined"}


@pytest.mark.parametrize(
    "module", ["std", "os", "qjs:std", "qjs:os", "fs", "./x.js", "/etc/passwd", "data:text/javascript,1", "http://localhost/"]
)
async def test_no_module_can_be_imported(step: JavaScriptStep, module: str) -> None:
    assert await code_of(step, f"return import('{module}').then(() => ({{ loaded: true }}))") is ErrorCode.SCRIPT_FAILED


@pytest.mark.parametrize(
    "script",
    [
        "import 'std'",
        "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60000)",
        "new Error().stack.getThis()",
        "(() => {}).caller.x",
    ],
)
async def test_other_ways_out_are_closed(step: JavaScriptStep, script: str) -> None:
    assert await code_of(step, script) in {ErrorCode.SCRIPT_FAILED, ErrorCode.SCRIPT_SYNTAX}


async def test_the_frame_s_functions_give_no_way_round_the_limits(step: JavaScriptStep) -> None:
    context = RecordingContext()
    script = """let found = {}
        Error.prepareStackTrace = (error, sites) => { for (const site of sites) found[site.getFunctionName()] = site.getFunction(); return '' }
        new Error('x').stack
        const request = { outputLimit: 1e9, logLimit: 1e9, names: [], inputs: {}, source: '(function (inputs) {\\n})' }
        for (const name in found) if (name.startsWith('stepswitch$')) { try { found[name](JSON.stringify(request)) } catch {} }
        for (let i = 0; i < 3000; i++) console.log('x'.repeat(1000))
        return { names: Object.keys(found).filter(name => name.startsWith('stepswitch$')).length }"""
    outcome = await run(step, script, context)
    assert outcome.result is Result.SUCCEEDED
    assert outcome.outputs["names"] != 0
    assert sum(map(len, context.messages[:-1])) <= LOG_LIMIT + len(CUT)


async def test_the_child_process_has_nothing(only: JavaScriptStep) -> None:
    await still_works(only)
    (pid,) = only.child_pids
    process = Path(f"/proc/{pid}")
    limits = {line[:26].strip(): line[26:].split()[:2] for line in (process / "limits").read_text().splitlines()}
    assert limits["Max open files"] == limits["Max file size"] == limits["Max processes"] == limits["Max core file size"] == ["0", "0"]
    assert limits["Max address space"] == [str(256 * MIB)] * 2
    assert int(limits["Max cpu time"][0]) <= 13
    opened = sorted(str(link.readlink()) for link in (process / "fd").iterdir())
    assert opened[:2] == ["/dev/null", "/dev/null"]
    assert len(opened) == 3
    assert opened[2].startswith("socket:")
    assert (process / "environ").read_bytes() == b""
    assert (process / "cwd").readlink() == Path("/")
    status = (process / "status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "Threads:\t1" in status


@pytest.mark.parametrize("secret", ["Zq7!xW9%23kLm2", "pass 😀 word"])
async def test_where_an_error_or_a_log_line_is_cut_no_half_of_a_secret_is_shown(step: JavaScriptStep, secret: str) -> None:
    mask = Masking().masker([secret])
    for shown in range(2, len(secret)):
        context = RecordingContext()
        script = f"const x = 'x'.repeat({LOG_LIMIT - shown}); console.log(x + pw); throw 'x'.repeat({8192 - 17 - shown}) + pw + '!!'"
        outcome = await step.run({"script": script, "pw": secret}, context)
        assert outcome.error is not None
        for text in (outcome.error.message, context.messages[0]):
            assert CUT in text
            assert secret[:2] not in mask(text)
