"""A platform's patterns made ready for one conversation. Made by `ssh_shell_inputs`, read by `ssh_dialogue` and `ssh_shell`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # it has no types

from stepswitch.steps.ssh_platforms import QUESTION, Exit, Platform

_QUESTION: Final = re2.compile(QUESTION)
_NOTHING: Final = Platform(
    name="", title="", prompt="", prompts=(), pager=r"^\s*-{2,4} ?\(?[Mm]ore ?(?:\d+%)?\)? ?-{2,4}$", prepare=(), failures=()
)
"""What is known of a router of which nothing is known: that it may page."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How the router of one conversation speaks. `prompt` is compiled: the platform's own, or the input `prompt`."""

    platform: Platform
    prompt: Any = field(repr=False)

    def name_in(self, line: str) -> str | None:
        """Return the name of the router where `line` is a prompt, which may be empty; None where it is none."""
        found = self.prompt.fullmatch(line.strip())
        if found is None:
            return None
        groups = found.groupdict()
        return groups.get("name") or groups.get("view") or ""

    def pages_at(self, line: str) -> bool:
        """Return whether the router waits there for a key before it prints more."""
        return _searches(self.platform.pager, line)

    def asks_in(self, line: str) -> bool:
        """Return whether `line` is a question as routers ask them."""
        return _QUESTION.search(line) is not None

    def belongs_to_prompt(self, line: str) -> bool:
        """Return whether `line` is one of those that stand above a prompt."""
        return self.platform.above is not None and _searches(self.platform.above, line)

    def refuses_in(self, line: str) -> bool:
        """Return whether `line` says that what was typed is refused."""
        return any(_searches(pattern, line) for pattern in self.platform.failures)

    def refusal_in(self, text: str) -> str | None:
        """Return the first line of a whole output that says that what was sent is refused; None where there is none."""
        if not self.platform.failures:
            return None
        found = _ready("(?m)" + "|".join(self.platform.failures)).search(text)
        return None if found is None else text[text.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0].strip()

    def shares_in(self, line: str) -> bool:
        """Return whether `line` says that others work on the same candidate."""
        return self.platform.shared is not None and _searches(self.platform.shared, line)

    def commits(self, typed: str) -> bool:
        """Return whether a line that is typed makes what was entered before it take effect."""
        return self.platform.commit is not None and _searches(self.platform.commit, typed)

    def is_unprivileged(self, prompt: str) -> bool:
        """Return whether `enable` is still to be typed there; where a prompt does not show it, it always is."""
        return self.platform.unprivileged is None or _searches(self.platform.unprivileged, prompt)

    def exit_from(self, place: str, *, is_shared: bool) -> Exit | None:
        """Return the way out of the configuration mode of `place`; None where it is none."""
        ways: Sequence[Exit] = self.platform.exits
        return next((way for way in ways if (is_shared or not way.shared) and _searches(way.where, place)), None)


def manners_of(platform: Platform | None, prompt: Any) -> Manners:
    """Return the manners of a platform, if one is known, with a compiled prompt of its own, if there is one."""
    known = platform or _NOTHING
    return Manners(known, prompt if prompt is not None else _ready(known.prompt))


def _searches(pattern: str, text: str) -> bool:
    return _ready(pattern).search(text) is not None


@cache
def _ready(pattern: str) -> Any:
    """Return a pattern of the table, compiled once: the table is all there is."""
    return re2.compile(pattern)
