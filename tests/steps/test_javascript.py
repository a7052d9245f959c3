"""JS: what a script sees, what it may return, what its faults are called. Limits: `test_javascript_limits`; processes: `test_javascript_pool`."""

import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from stepswitch.plugin import ErrorCode, LogLevel, Outcome, Result, Value, ValueType
from stepswitch.steps.javascript import JavaScriptStep
from tests.steps.contexts import RecordingContext


@pytest_asyncio.fixture
async def step() -> AsyncIterator[JavaScriptStep]:
    step = JavaScriptStep()
    yield step
    await step.close()


async def run(step: JavaScriptStep, script: str, context: RecordingContext | None = None, **inputs: Value) -> Outcome:
    return await step.run({"script": script, **inputs}, context or RecordingContext())


async def outputs(step: JavaScriptStep, script: str, **inputs: Value) -> dict[str, Value]:
    outcome = await run(step, script, None, **inputs)
    assert outcome.error is None
    assert outcome.result is Result.SUCCEEDED
    return dict(outcome.outputs)


async def fault(step: JavaScriptStep, script: str, context: RecordingContext | None = None, **inputs: Value) -> tuple[ErrorCode, str]:
    outcome = await run(step, script, context, **inputs)
    assert outcome.result is Result.FAILED
    assert outcome.outputs == {}
    assert outcome.error is not None
    return outcome.error.code, outcome.error.message


# --- what it declares ------------------------------------------------------------------------------------------------


def test_signature_is_that_of_the_specification() -> None:
    signature = JavaScriptStep().signature
    assert (signature.name, signature.aliases, signature.time_limit_seconds) == ("JS", ("JAVASCRIPT",), 10.0)
    assert signature.always_safe
    assert signature.other_inputs
    assert signature.other_outputs
    assert not signature.inline
    script = signature.input("script")
    assert script is not None
    assert script.required
    assert script.types == (ValueType.STRING, ValueType.FILE)


def test_import_and_construction_load_no_engine_and_start_no_process() -> None:
    program = (
        "import sys; from stepswitch.steps.javascript import JavaScriptStep; step = JavaScriptStep(); "
        "assert not step.child_pids; assert not {'_quickjs', 'quickjs', 'ctypes'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# --- the script ------------------------------------------------------------------------------------------------------


async def test_a_script_bound_as_file_is_read_from_the_attachment(step: JavaScriptStep) -> None:
    context = RecordingContext(attachments={"shape.js": b"\xef\xbb\xbfreturn { id: 'gr\xc3\xbc\xc3\x9f' }\r\n"}, files={"script"})
    assert (await run(step, "shape.js", context)).outputs == {"id": "grüß"}


async def test_a_script_bound_as_string_is_never_taken_for_an_attachment(step: JavaScriptStep) -> None:
    context = RecordingContext(attachments={"x": b"return { from: 'file' }"})
    assert (await run(step, "x", context, x=1)).outputs == {}


async def test_a_file_that_is_not_there_or_no_text_is_said(step: JavaScriptStep) -> None:
    context = RecordingContext(attachments={"latin": b"return '\xfc'"}, files={"script"})
    assert (await fault(step, "missing", context))[0] is ErrorCode.UNKNOWN_ATTACHMENT
    assert (await fault(step, "latin", context)) == (
        ErrorCode.SCRIPT_SYNTAX,
        "the attachment that holds the script is no UTF-8 at byte 8",
    )


async def test_without_script_the_input_is_named(step: JavaScriptStep) -> None:
    outcome = await step.run({}, RecordingContext())
    assert outcome.error is not None
    assert outcome.error.code is ErrorCode.MISSING_INPUT


@pytest.mark.parametrize(
    "script", ["", "return", "return null", "return undefined", "// a comment", "return {}", "return { a: null, b: undefined }"]
)
async def test_nothing_is_a_result_too(step: JavaScriptStep, script: str) -> None:
    assert await outputs(step, script) == {}


# --- inputs ----------------------------------------------------------------------------------------------------------


async def test_inputs_are_visible_by_name_with_their_types(step: JavaScriptStep) -> None:
    script = "return { types: [typeof text, typeof port, typeof on].join(), text, port, on }"
    assert await outputs(step, script, text="x", port=8, on=False) == {
        "types": "string,number,boolean", "text": "x", "port": 8, "on": False,
    }  # fmt: skip


async def test_a_declared_input_without_value_is_undefined_and_an_undeclared_name_is_an_error(step: JavaScriptStep) -> None:
    context = RecordingContext(declared=("script", "mode", "a-b"))
    script = "return { mode: String(mode), has: 'mode' in inputs, script: typeof script }"
    assert (await run(step, script, context)).outputs == {"mode": "undefined", "has": False, "script": "undefined"}
    assert (await fault(step, "return { mode }"))[1].startswith("ReferenceError: mode is not defined")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a\0b",
        "quotes \" ' ` ${x} \\ </script> \u2028\u2029",
        "ünï 😀",
        "line\r\nline",
        "x" * 1_048_576,
        'é\0"' * 300_000,
        -0.5,
        2**53,
        True,
    ],
)
async def test_values_survive_both_ways(step: JavaScriptStep, value: Value) -> None:
    context = RecordingContext(output_limit_bytes=4_000_000)
    assert (await run(step, "return { value }", context, value=value)).outputs == {"value": value}


async def test_lone_surrogates_become_the_replacement_character(step: JavaScriptStep) -> None:
    given = await outputs(step, "console.log(text); return { text, length: text.length, ['\\ud800']: '\\udc00' }", text="a\ud83db")
    assert given == {"text": "a\ufffdb", "length": 3, "\ufffd": "\ufffd"}


@pytest.mark.parametrize("name", ["__proto__", "console", "Object", "JSON", "constructor", "toString", "größe", "$", "_", "of", "async"])
async def test_any_identifier_is_a_parameter_and_hides_what_is_called_so(step: JavaScriptStep, name: str) -> None:
    assert await outputs(step, f"return {{ seen: {name}, same: inputs['{name}'] }}", **{name: "mine"}) == {"seen": "mine", "same": "mine"}


@pytest.mark.parametrize(
    "name", ["a-b", "", "1st", "class", "let", "arguments", "eval", "undefined", "await", "x){}//", "a b", "\0", "inputs", "ﷺ\u202e"]
)
async def test_any_other_name_is_found_in_inputs_even_in_strict_mode(step: JavaScriptStep, name: str) -> None:
    script = "'use strict'; return { keys: Object.keys(inputs), value: Object.values(inputs)[0] }"
    result = await run(step, script, None, **{name: "mine"})
    assert result.outputs["value"] == "mine"


async def test_what_an_input_hides_is_hidden_in_the_script_only(step: JavaScriptStep) -> None:
    context = RecordingContext()
    script = "globalThis.console.log('still there'); return { keys: [Object, JSON, undefined] }"
    assert (await run(step, script, context, Object="o", JSON="j", console="c", undefined="u")).outputs == {"keys": '["o","j",null]'}
    assert context.messages == ["still there"]


async def test_inputs_has_no_prototype(step: JavaScriptStep) -> None:
    script = "return { none: Object.getPrototypeOf(inputs) === null, toString: inputs.toString === undefined }"
    given: dict[str, Value] = {"__proto__": "x"}
    assert await outputs(step, script, **given) == {"none": True, "toString": True}


# --- results ---------------------------------------------------------------------------------------------------------


async def test_values_of_every_kind_become_outputs(step: JavaScriptStep) -> None:
    script = """return {
        text: 'x', empty: '', whole: 5.0, part: 1.5, big: 1e300, minus: -0, yes: true, no: false,
        id: 123456789012345678901234567890n, list: [1, { a: null }], object: { a: { b: 'ü' } }, date: new Date(0),
        boxed: new String('s'), none: null, nothing: undefined, gone: new Date(NaN) }"""
    assert await outputs(step, script) == {
        "text": "x", "empty": "", "whole": 5, "part": 1.5, "big": 1e300, "minus": 0, "yes": True, "no": False,
        "id": "123456789012345678901234567890", "list": '[1,{"a":null}]', "object": '{"a":{"b":"ü"}}', "date": "1970-01-01T00:00:00.000Z",
        "boxed": "s",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("-Infinity", "-Infinity"),
        ("() => 1", "function"),
        ("class {}", "function"),
        ("Symbol('s')", "symbol"),
    ],
)
async def test_what_is_no_value_fails_with_the_name_of_its_key(step: JavaScriptStep, value: str, kind: str) -> None:
    code, message = await fault(step, f"return {{ fine: 1, 'the key': {value} }}")
    assert code is ErrorCode.SCRIPT_RESULT
    assert '"the key"' in message
    assert kind in message


@pytest.mark.parametrize("value", ["[1]", "5", "'text'", "true", "() => 1", "Symbol('s')", "1n", "new Proxy([], {})", "Promise.resolve(5)"])
async def test_anything_but_an_object_fails(step: JavaScriptStep, value: str) -> None:
    code, message = await fault(step, f"return {value}")
    assert code is ErrorCode.SCRIPT_RESULT
    assert message.startswith("the script must return an object or nothing")


@pytest.mark.parametrize("value", ["{ a: 1n }", "(() => { const a = {}; a.a = a; return a })()"])
async def test_a_nested_value_that_json_cannot_write_fails_with_its_key(step: JavaScriptStep, value: str) -> None:
    code, message = await fault(step, f"return {{ nested: {value} }}")
    assert code is ErrorCode.SCRIPT_RESULT
    assert '"nested"' in message


@pytest.mark.parametrize(
    "script", ["const o = {}; for (let i = 0; i < 1001; i++) o['k' + i] = i; return o", "return { ['k'.repeat(1001)]: 1 }"]
)
async def test_absurd_keys_fail(step: JavaScriptStep, script: str) -> None:
    assert (await fault(step, script))[0] is ErrorCode.SCRIPT_RESULT


async def test_a_promise_is_followed(step: JavaScriptStep) -> None:
    assert await outputs(step, "return (async () => { await null; return { id } })()", id=7) == {"id": 7}
    code, message = await fault(step, "return (async () => {\n  await null\n  throw new Error('late')\n})()")
    assert code is ErrorCode.SCRIPT_FAILED
    assert message == "Error: late (line 3, column 13)"
    assert await fault(step, "return new Promise(() => {})") == (
        ErrorCode.SCRIPT_RESULT,
        "the script returned a promise that nothing settles",
    )


async def test_what_only_looks_like_a_promise_is_an_object(step: JavaScriptStep) -> None:
    code, message = await fault(step, "return { then(resolve) { resolve({ a: 1 }) } }")
    assert code is ErrorCode.SCRIPT_RESULT
    assert '"then"' in message


async def test_an_error_in_a_job_of_its_own_fails_the_script(step: JavaScriptStep) -> None:
    code, message = await fault(step, "queueMicrotask(() => {\n  throw new Error('aside') })\nreturn Promise.resolve({})")
    assert code is ErrorCode.SCRIPT_FAILED
    assert message.startswith("Error: aside (line 2, ")
    assert await outputs(step, "return { next: 1 }") == {"next": 1}


# --- faults of the script --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "place"),
    [
        ("return a +* b", "(line 1, column 11)"),
        ("let a = 1;\n\n  return a +* b", "(line 3, column 13)"),
        ("return {", "(line 1, at its end)"),
        ("if (on) {\n  return {}\n", "(line 3, at its end)"),
        ("return {} }", "(line 1, at its end)"),
        ("let text = 1", "(line 1, column 10)"),
        ("}), (function () {", "(line 1, column 2)"),
        ("let a = 1;\n  return a }, function () {\n", "(line 2, column 13)"),
    ],
)
async def test_a_syntax_error_names_the_place_in_the_script(step: JavaScriptStep, script: str, place: str) -> None:
    code, message = await fault(step, script, None, text="x", on=True)
    assert code is ErrorCode.SCRIPT_SYNTAX
    assert message.startswith("SyntaxError: ")
    assert message.endswith(place)


@pytest.mark.parametrize(
    "script", ["}), (function () {", "return {} }\nfunction other() {", "}); throw new Error('x'); (function () {", "a\0b", "(" * 100_000]
)
async def test_what_is_not_the_body_of_one_function_fails(step: JavaScriptStep, script: str) -> None:
    assert (await fault(step, script))[0] in {ErrorCode.SCRIPT_SYNTAX, ErrorCode.SCRIPT_FAILED}
    assert await outputs(step, "return { next: 1 }") == {"next": 1}


async def test_a_runtime_error_names_its_place_and_its_stack_is_in_the_log(step: JavaScriptStep) -> None:
    context = RecordingContext()
    script = "function inner() {\n  return inputs.none.field\n}\n\ninner()"
    code, message = await fault(step, script, context, other="x")
    assert code is ErrorCode.SCRIPT_FAILED
    assert message == "TypeError: cannot read property 'field' of undefined (line 2, column 10)"
    assert context.lines[-1] == (
        LogLevel.ERROR,
        f"{message.partition(' (line')[0]}\n    at inner (script:2:10)\n    at <anonymous> (script:5:1)",
    )
    code, message = await fault(step, "return nowhere.x", context, longNameOfAnInput="x")
    assert (code, message) == (ErrorCode.SCRIPT_FAILED, "ReferenceError: nowhere is not defined (line 1, column 8)")
    assert context.lines[-1] == (LogLevel.ERROR, "ReferenceError: nowhere is not defined\n    at <anonymous> (script:1:8)")


@pytest.mark.parametrize(
    ("thrown", "message"),
    [
        ("'a word'", "the script threw a word"),
        ("{ code: 5 }", 'the script threw {"code":5}'),
        ("undefined", "the script threw undefined"),
        ("{ toJSON() { throw 1 } }", "the script threw [object that cannot be shown]"),
        ("new Proxy({}, { getPrototypeOf() { throw 1 } })", "the script threw a value that cannot be shown"),
        ("Object.assign(new Error('x'), { toString() { throw 1 } })", "the script threw a value that cannot be shown"),
    ],
)
async def test_anything_can_be_thrown(step: JavaScriptStep, thrown: str, message: str) -> None:
    assert await fault(step, f"throw {thrown}") == (ErrorCode.SCRIPT_FAILED, message)


@pytest.mark.parametrize("script", ["JSON.parse('{')", "\neval('(')", "new Function('(')"])
async def test_a_syntax_error_in_what_the_script_reads_is_no_syntax_error_of_the_script(step: JavaScriptStep, script: str) -> None:
    code, message = await fault(step, script)
    assert code is ErrorCode.SCRIPT_FAILED
    assert message.startswith("SyntaxError: ")


# --- the log ---------------------------------------------------------------------------------------------------------


async def test_console_writes_to_the_log_with_levels(step: JavaScriptStep) -> None:
    context = RecordingContext()
    await run(step, "for (const level of ['debug', 'log', 'info', 'warn', 'error']) console[level](level)", context)
    assert context.lines == [
        (LogLevel.DEBUG, "debug"), (LogLevel.INFO, "log"), (LogLevel.INFO, "info"), (LogLevel.WARN, "warn"), (LogLevel.ERROR, "error"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("'a', 1, true, null, undefined", "a 1 true null undefined"),
        ("{ a: [1, 'x'] }, [2]", '{"a":[1,"x"]} [2]'),
        ("Symbol('s'), 3n, () => 1", "Symbol(s) 3 [function]"),
        ("", ""),
        ("'a\\0b', '\\ud800', 'line\\nline'", "a\0b \ufffd line\nline"),
        ("new Error('bad')", "Error: bad\n    at <anonymous> (script:1:17)"),
        ("{ toJSON() { throw 1 } }, 'next'", "[object that cannot be shown] next"),
    ],
)
async def test_words_of_every_kind_are_readable(step: JavaScriptStep, words: str, line: str) -> None:
    context = RecordingContext()
    await run(step, f"console.log({words})", context)
    assert context.messages == [line]


async def test_the_log_of_a_script_that_fails_is_kept(step: JavaScriptStep) -> None:
    context = RecordingContext()
    await run(step, "console.log('before'); throw 'x'", context)
    assert context.messages == ["before"]


# --- one script after the other --------------------------------------------------------------------------------------

POLLUTION = """
    globalThis.left = 'secret'; var left2 = 1; Object.prototype.left = 'secret'; Array.prototype[Symbol.iterator] = null;
    JSON.stringify = () => '{}'; JSON.parse = null; console.log = null; Promise.prototype.then = null; Object.keys = () => [];
    String.prototype.slice = () => 'x'; Function.prototype.toString = null; Error.prepareStackTrace = () => 'mine'; Reflect.apply = null;
    Object.prototype.toJSON = () => { throw 1 }; String.prototype.toJSON = () => 'x'; globalThis.eval = null;
    Object.defineProperty(Array.prototype, '0', { set() { throw 1 } }); delete globalThis.Object;
    return { text: 'kept', number: 1, on: true }"""


async def test_nothing_leaks_from_one_script_to_the_next() -> None:
    step = JavaScriptStep(kept_children=1, max_children=1)
    probe = """return { names: Object.getOwnPropertyNames(globalThis).sort(), left: typeof left, proto: typeof {}.left,
        json: JSON.stringify({ a: [1] }), log: typeof console.log, keys: Object.keys({ a: 1 }) }"""
    try:
        before = await outputs(step, probe)
        pids = step.child_pids
        assert await outputs(step, POLLUTION) == {"text": "kept", "number": 1, "on": True}
        assert await outputs(step, probe) == before
        assert step.child_pids == pids
    finally:
        await step.close()


async def test_a_script_that_overwrites_everything_still_logs_and_fails_readably(step: JavaScriptStep) -> None:
    context = RecordingContext()
    script = "const { log } = console;" + POLLUTION.replace("return", "log('still', 1); throw new TypeError('readable');\n return")
    code, message = await fault(step, script, context)
    assert code is ErrorCode.SCRIPT_FAILED
    assert "readable" in message
    assert context.messages[0] == "still 1"


async def test_pollution_of_prototypes_reaches_no_output_of_others(step: JavaScriptStep) -> None:
    script = 'inputs.__proto__ = { admin: true }; JSON.parse(\'{"__proto__": {"admin": true}}\'); return { admin: typeof ({}).admin }'
    assert await outputs(step, script) == {"admin": "undefined"}
    assert await outputs(step, 'return JSON.parse(\'{"__proto__": "x"}\')') == {"__proto__": "x"}
