"""What TCA_SSH takes to type into a router's command line, and these inputs read. Called by `ssh_inputs`; `ssh_shell` does what they ask."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from stepswitch.plugin import InputSpec, Values, ValueType
from stepswitch.steps.patterns import compiled, unfit
from stepswitch.steps.ssh_answers import Answer, read_answers
from stepswitch.steps.ssh_manners import Manners, manners_of
from stepswitch.steps.ssh_platforms import PLATFORMS, Platform

MOST_LINES: Final = 10_000
_TEXT: Final = (ValueType.STRING,)
_SECRET: Final = (ValueType.PASSWORD, ValueType.STRING)
_TRUE: Final = (True, "true")


def _unfit_answers(text: str) -> str | None:
    return "; ".join(read_answers(text)[1]) or None if text.strip() else None


SHELL_INPUTS: Final = (
    InputSpec(
        "shell",
        (ValueType.BOOLEAN,),
        "Whether the lines of `cmd` or `script` are typed into an interactive shell, one after the other, each when the prompt is back; for routers. "
        "Goes with `platform` or `prompt`.",
        default=False,
    ),
    InputSpec(
        "platform",
        _TEXT,
        "What kind of router it is: how it prompts, pages and refuses a line; without `shell`, how it refuses a command. See [the platforms](router-platforms.md).",
        choices=tuple(PLATFORMS),
    ),
    InputSpec(
        "prompt",
        _TEXT,
        "A regular expression (RE2) for the whole line of the prompt, where the platform's own does not fit, or for a device of another kind.",
        unfit=unfit("prompt"),
    ),
    InputSpec("enablePassword", _SECRET, "Enters the privileged mode first, with this password (`enable`, on vrp `super`)."),
    InputSpec(
        "answers",
        _SECRET,
        'What is answered where the shell asks: a JSON object of patterns (RE2) of the question and replies, `{"\\\\[confirm\\\\]": ""}`; '
        "the empty reply is the Enter key alone.",
        tells_what=True,
        unfit=_unfit_answers,
    ),
)


@dataclass(frozen=True, slots=True)
class ShellRequest:
    """What is typed, and how: `lines` in their order."""

    manners: Manners
    lines: tuple[str, ...] = field(repr=False)
    enable_password: str | None = field(default=None, repr=False)
    answers: tuple[Answer, ...] = field(default=(), repr=False)


def wants_shell(inputs: Values) -> bool:
    """Return whether the lines are to be typed into a shell instead of being run as one command."""
    return inputs.get("shell") in _TRUE


def read_shell(inputs: Values, typed: str, encoding: str) -> tuple[ShellRequest, list[str]]:
    """Return what is to be typed, and a sentence for every fault; where there is one, nothing may be typed."""
    platform, faults = _platform(inputs)
    prompt, more = _prompt(inputs)
    faults += more
    if platform is None and prompt is None and not faults:
        faults.append("an interactive shell needs to know what its prompt looks like: give 'platform' or 'prompt'")
    password = _text(inputs, "enablePassword") or None
    faults += _faults_of_password(password, platform)
    answers, more = read_answers(_text(inputs, "answers")) if _text(inputs, "answers").strip() else ([], [])
    faults += more
    if inputs.get("stdin") is not None:
        faults.append("'stdin' does not go with 'shell': what a line asks is answered by 'answers'")
    lines = tuple(_without_leading_tabs(line.rstrip()) for line in typed.splitlines() if line.strip())
    faults += _faults_of_lines(lines, encoding)
    return ShellRequest(manners_of(platform, prompt), lines, password, tuple(answers)), faults


def read_manners(inputs: Values) -> tuple[Manners | None, str | None]:
    """Return the manners of the platform, where one is given, and what is wrong with it."""
    platform, faults = _platform(inputs)
    return (manners_of(platform, None) if platform else None), (faults[0] if faults else None)


def _platform(inputs: Values) -> tuple[Platform | None, list[str]]:
    name = _text(inputs, "platform").strip()
    if name and name not in PLATFORMS:
        return None, [f"the input 'platform' must be one of {', '.join(PLATFORMS)}"]
    return PLATFORMS.get(name), []


def _prompt(inputs: Values) -> tuple[Any, list[str]]:
    try:
        return compiled("prompt", _text(inputs, "prompt").strip() or None), []
    except ValueError as error:
        return None, [str(error)]


def _faults_of_password(password: str | None, platform: Platform | None) -> list[str]:
    if password is None:
        return []
    if any(character in password for character in "\r\n\0"):
        return ["the input 'enablePassword' must be one line"]
    if platform is None or platform.enable is None:
        kind = "a device without 'platform'" if platform is None else f"the platform {platform.name}"
        return [f"'enablePassword' does not go with {kind}: no command is known that would ask for it"]
    return []


def _faults_of_lines(lines: Sequence[str], encoding: str) -> list[str]:
    faults = []
    if not lines:
        faults.append("there is no line to type: 'cmd' and 'script' are empty")
    if len(lines) > MOST_LINES:
        faults.append(f"there are {len(lines)} lines to type; at most {MOST_LINES} are taken")
    for number, line in enumerate(lines, 1):
        if not line.isprintable():
            faults.append(f"line {number} to type has a tab or another control character: a router would not take it as a part of the line")
            break
    try:
        "".join(lines).encode(encoding)
    except ValueError:
        faults.append(f"the lines have characters that the encoding {encoding} lacks")
    return faults


def _without_leading_tabs(line: str) -> str:
    """Return a line indented by blanks: a router takes a tab for the wish to complete a word."""
    words = line.lstrip()
    return line[: len(line) - len(words)].expandtabs() + words


def _text(inputs: Values, name: str) -> str:
    value = inputs.get(name)
    return "" if value is None else str(value)
