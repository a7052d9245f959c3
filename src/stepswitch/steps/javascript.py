"""The step type JS: runs a user's script in a child process that has nothing but the script. Started by the step runner.

What a script sees. It is the body of a function:

- Every input of the step but `script` is a parameter of that name, `undefined` where it has no value. It hides what else is called
  so inside the script, be it `console` or `Object`.
- `inputs` is an object of those that have a value, without prototype; an input called `inputs` is `inputs.inputs`. Names that cannot be a
  parameter (`a-b`, `class`, `let`, `arguments`, `undefined`) are found there only.
- `console.debug`, `log`, `info`, `warn`, `error` write to the step's log as DEBUG, INFO, INFO, WARN, ERROR while the script runs; what was
  logged before a time limit or a cancellation is in the log. One call is one entry, words are joined with a blank, objects are written as
  JSON. 1 MiB is kept (each entry counts for 64 characters more than it has), then a mark follows.
- ECMAScript 2025 and nothing else: no files, network, processes, timers, modules.

What it returns. An object, whose own enumerable keys become outputs, or nothing (`undefined`, `null`):

- strings, booleans, finite numbers as they are; a BigInt as its digits in a string; keys with `undefined` or `null` left out;
- any other value as JSON makes of it: objects and arrays as JSON text, a Date as its ISO text;
- `NaN`, `Infinity`, functions, symbols, more than 1,000 keys, keys longer than 1,000 characters, and an array or anything but an object as the whole
  result fail the step with SCRIPT_RESULT. Lone surrogates become U+FFFD;
- a promise is followed: its value counts as the result, its rejection as an error of the script. Jobs run only while a returned promise
  is pending; one that nothing settles fails the step with SCRIPT_RESULT.

An output over the limit is cut and named in `Outcome.truncated`. The script is read in sloppy mode unless it begins with "use strict".
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from stepswitch.plugin import (
    CUT,
    ErrorCode,
    InputSpec,
    LogLevel,
    Outcome,
    Result,
    StepContext,
    StepSignature,
    TargetError,
    Value,
    Values,
    ValueType,
    failed,
)
from stepswitch.steps.javascript_pool import Ended, Ending, ScriptPool

LOG_LIMIT: Final = 1024 * 1024
MEMORY_LIMIT_BYTES: Final = 64 * 1024 * 1024
SIGNATURE: Final = StepSignature(
    name="JS",
    description="Runs a JavaScript. All inputs but `script` are visible to it by name; the keys of the object that it returns are its outputs.",
    inputs=(
        InputSpec(
            "script",
            (ValueType.STRING, ValueType.FILE),
            "The body of a function that returns an object, or nothing; as a text or as an attachment.",
            required=True,
        ),
    ),
    aliases=("JAVASCRIPT",),
    other_inputs=True,
    other_outputs=True,
    always_safe=True,
    only_computes=True,
    time_limit_seconds=10.0,
)
_NO_PARAMETERS: Final = frozenset((
    "Infinity", "NaN", "arguments", "await", "break", "case", "catch", "class", "const", "continue", "debugger", "default", "delete",
    "do", "else", "enum", "eval", "export", "extends", "false", "finally", "for", "function", "if", "implements", "import", "in",
    "inputs", "instanceof", "interface", "let", "new", "null", "package", "private", "protected", "public", "return", "script", "static",
    "super", "switch", "this", "throw", "true", "try", "typeof", "undefined", "var", "void", "while", "with", "yield",
))  # fmt: skip
"""Reserved words, what strict mode forbids as a parameter, what no parameter should hide, and the frame's own two."""
_POSITION: Final = re.compile(r"\(<input>:(\d+):(\d+)\)")
"""A place that the script's run came through, in the engine's stack."""
_TEXT_POSITION: Final = re.compile(r"    at <input>:(\d+):(\d+)")
"""The place of a syntax error in the text that was read: the script, or what the script gave to `eval` or `JSON.parse`."""
_OWN_FRAMES: Final = re.compile(r"(?m)(^    at apply \(native\)\n(?=    at stepswitch\$))|^    at (stepswitch\$.*|<input>:\d+:\d+)\n?")
"""Lines of a stack that mean nothing to the script's author."""
_EXHAUSTED: Final = re.compile(r"out of memory|MemoryError|^null\n?$")
_CODES: Final = {
    "syntax": ErrorCode.SCRIPT_SYNTAX,
    "failed": ErrorCode.SCRIPT_FAILED,
    "result": ErrorCode.SCRIPT_RESULT,
    "memory": ErrorCode.MEMORY_LIMIT,
    "null": ErrorCode.MEMORY_LIMIT,
}


class JavaScriptStep:
    """Runs scripts in a pool of child processes, which are started at the first use.

    `kept_children` wait for the next script when idle, `max_children` run at a time; a further script waits for its place. A child is
    replaced after `scripts_per_child`. `memory_limit_bytes` is what one script may use.
    """

    def __init__(
        self,
        *,
        kept_children: int = 2,
        max_children: int = 8,
        scripts_per_child: int = 1_000,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> None:
        self._memory_limit_bytes = memory_limit_bytes
        self._pool = ScriptPool(kept_children, max_children, scripts_per_child, memory_limit_bytes)

    @property
    def signature(self) -> StepSignature:
        """What it declares of itself."""
        return SIGNATURE

    @property
    def child_pids(self) -> frozenset[int]:
        """The process numbers of the children that live now."""
        return self._pool.pids

    async def run(self, inputs: Values, context: StepContext) -> Outcome:
        """Run the input `script` once; every fault of the script is a failure with its own code."""
        script = await _read_script(inputs, context)
        if isinstance(script, Outcome):
            return script
        source = _Source(script, _parameters(inputs, context.declared_inputs()))
        request = {
            "source": source.text,
            "names": source.parameters,
            "inputs": {name: value for name, value in inputs.items() if name != "script"},
            "outputLimit": context.output_limit_bytes,
            "logLimit": LOG_LIMIT,
            "cutMark": CUT,
        }

        async def log(line: str) -> None:
            level, message = json.loads(line)
            await context.log(source.place(_whole(message)), LogLevel(level))

        ended = await self._pool.run(json.dumps(request).encode("ascii"), context.time_limit_seconds, log)
        if ended.ending is not Ending.ANSWERED:
            return self._broken_off(ended, source, context.time_limit_seconds)
        answer = json.loads(ended.text)
        if "outputs" in answer:
            return _succeeded(answer, context.output_limit_bytes)
        return await self._failed(answer, source, context)

    async def release(self, execution_id: str) -> None:
        """Do nothing: nothing outlives a script."""

    async def close(self) -> None:
        """End every child process."""
        await self._pool.close()

    async def _failed(self, answer: dict[str, Any], source: "_Source", context: StepContext) -> Outcome:
        code = _CODES[answer["error"]]
        position = source.position(answer["stack"], _TEXT_POSITION if code is ErrorCode.SCRIPT_SYNTAX else _POSITION)
        if code is ErrorCode.MEMORY_LIMIT:
            return self._exhausted(position, "it threw null itself, or " if answer["error"] == "null" else "")
        message = _whole(answer["message"])
        stack = source.place(_whole(answer["stack"]))
        if stack and code is not ErrorCode.SCRIPT_SYNTAX:
            await context.log(f"{message}\n{stack}", LogLevel.ERROR)
        return failed(code, message + position)

    def _broken_off(self, ended: Ended, source: "_Source", limit_seconds: float) -> Outcome:
        match ended.ending:
            case Ending.TIMED_OUT:
                return failed(ErrorCode.TIMEOUT, f"the script took longer than {limit_seconds:g} s and was ended")
            case Ending.BROKE_OFF if _EXHAUSTED.search(ended.text):
                return self._exhausted(source.position(ended.text, _POSITION))
            case Ending.CLOSED:
                return failed(ErrorCode.CANCELLED, "the script was ended because the service stops")
            case Ending.EXHAUSTED:
                return failed(ErrorCode.EXHAUSTED, ended.text)
            case Ending.NOT_STARTED:
                return failed(ErrorCode.INTERNAL, ended.text)
            case _:
                return failed(ErrorCode.SCRIPT_FAILED, ended.text.partition("\n")[0] + source.position(ended.text, _POSITION))

    def _exhausted(self, position: str, doubt: str = "") -> Outcome:
        limit = self._memory_limit_bytes // (1024 * 1024)
        return failed(ErrorCode.MEMORY_LIMIT, f"the script failed: {doubt}it used more than {limit} MiB of memory{position}")


class _Source:
    """A script with the function around it, and the way back from places in that text to places in the script."""

    def __init__(self, script: str, parameters: Sequence[str]) -> None:
        head = f"(function ({', '.join([*parameters, 'inputs'])}) {{"
        self.parameters = parameters
        self.text = f"{head}{script}\n}})"
        self._head_length = len(head)
        self._last_line = script.count("\n") + 1

    def position(self, stack: str, pattern: re.Pattern[str]) -> str:
        """Return the first place in the script that `stack` names, as the end of a sentence; empty where it names none."""
        found = pattern.search(_OWN_FRAMES.sub("", stack) if pattern is _POSITION else stack)
        if found is None:
            return ""
        row, column = self._place(found)
        return f" (line {row}, column {column})" if row <= self._last_line else f" (line {self._last_line}, at its end)"

    def place(self, text: str) -> str:
        """Return a text that may hold the engine's stacks with the script's own places, and without what is around the script."""
        if "<input>:" not in text:
            return text
        return _POSITION.sub(lambda found: "(script:{}:{})".format(*self._place(found)), _OWN_FRAMES.sub("", text)).rstrip("\n")

    def _place(self, found: re.Match[str]) -> tuple[int, int]:
        row, column = int(found[1]), int(found[2])
        return row, max(1, column - self._head_length) if row == 1 else column


async def _read_script(inputs: Values, context: StepContext) -> str | Outcome:
    """Return the text of the script, or the failure where there is none."""
    script = inputs.get("script")
    if not isinstance(script, str):
        return failed(ErrorCode.MISSING_INPUT, "the input script has no value that is a text")
    if not context.is_file("script"):
        return script
    try:
        return (await context.attachment(script)).decode("utf-8-sig")
    except TargetError as error:
        return failed(ErrorCode.UNKNOWN_ATTACHMENT, str(error))
    except UnicodeDecodeError as error:
        return failed(ErrorCode.SCRIPT_SYNTAX, f"the attachment that holds the script is no UTF-8 at byte {error.start}")


def _parameters(inputs: Values, declared: Sequence[str]) -> list[str]:
    """Return the names of inputs that can be a parameter of a function, each once."""
    names = dict.fromkeys((*declared, *inputs))
    return [name for name in names if name not in _NO_PARAMETERS and name.replace("$", "_").isidentifier()]


def _succeeded(answer: dict[str, Any], limit_bytes: int) -> Outcome:
    outputs: dict[str, Value] = {}
    truncated = {_whole(name) for name in answer["cut"]}
    for key, value in answer["outputs"].items():
        name = _whole(key)
        outputs[name] = value
        if isinstance(value, str):
            text = _whole(value)
            encoded = text.encode()
            if len(encoded) > limit_bytes:
                text = encoded[:limit_bytes].decode("utf-8", "ignore")
                truncated.add(name)
            outputs[name] = text
    return Outcome(Result.SUCCEEDED, outputs, truncated=tuple(sorted(truncated)))


def _whole(text: str) -> str:
    """Return `text` with U+FFFD for every lone surrogate: it can be stored and sent as UTF-8 then."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
