"""What a router asks, and what is answered: the input `answers` read, and held against the line at which a router waits.

Called by `ssh_shell_inputs`, which reads it before anything is sent, and by `ssh_dialogue`, which answers.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # it has no types

from stepswitch.steps.patterns import compiled
from stepswitch.steps.ssh_platforms import ASKS_SECRET

MOST: Final = 100
_PATTERN_SHOWN: Final = 60
_ASKS_SECRET: Final = re2.compile(ASKS_SECRET)


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply to every question that `pattern` is found in.

    `is_ours`: it prepares or leaves the session, and changes nothing there. `once`: who asks again has refused it.
    """

    pattern: Any = field(repr=False)
    reply: str = field(repr=False)
    is_ours: bool = False
    once: bool = False

    def fits(self, question: str) -> bool:
        """Return whether this is the reply to a question."""
        return self.pattern.search(question) is not None

    def is_secret(self, question: str) -> bool:
        """Return whether the reply to this question may be a secret."""
        return _ASKS_SECRET.search(question) is not None


def read_answers(text: str) -> tuple[list[Answer], list[str]]:
    """Return the answers that a JSON text gives in their order, and a sentence for every fault; none of them shows a reply."""
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        place = f": {error.msg} at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        return [], [f"the input 'answers' is no JSON{place}"]
    if not isinstance(pairs, _Pairs):
        return [], ["the input 'answers' must be a JSON object: patterns of questions and their replies"]
    if len(pairs) > MOST:
        return [], [f"the input 'answers' has {len(pairs)} replies; at most {MOST} are taken"]
    answers: list[Answer] = []
    faults: list[str] = []
    for number, (pattern, reply) in enumerate(pairs, 1):
        name = f"the pattern {number} of 'answers' ({pattern[:_PATTERN_SHOWN]!r})"
        faults += _faults(name, reply)
        if not pattern:
            faults.append(f"{name} is empty, and would be found everywhere")
        if any(pattern == other for other, _ in pairs[: number - 1]):
            faults.append(f"{name} stands there twice")
        try:
            expression = compiled(name, pattern)
        except ValueError as error:
            faults.append(str(error))
            continue
        if isinstance(reply, str):
            answers.append(Answer(expression, reply))
    return answers, faults


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it stands there, with what stands there twice."""


def _faults(name: str, reply: object) -> list[str]:
    if not isinstance(reply, str):
        return [f"the reply to {name} must be a string; the empty one is the Enter key alone"]
    if any(character in reply for character in "\r\n\0"):
        return [f"the reply to {name} must be one line"]
    return []
