"""The echo of a line that was typed, found in what a router writes: it is no output. Called by `ssh_dialogue`.

Routers differ in how they echo a line: in one piece, wrapped over several, redrawn from the beginning, scrolled sideways behind a
`$`, or not at all. Blanks are left out of every comparison, because all of these put some in or take some out.
"""

import re
from typing import Final

from stepswitch.steps.ssh_terminal import Line

_UNSEEN: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]?|[\x00-\x20\x7f]+")
_SCROLLED: Final = ("$", "<")


class Echo:
    """The echo of one line, which is done when the whole of it was seen."""

    def __init__(self, typed: str) -> None:
        self._left = _seen(typed)

    @property
    def is_done(self) -> bool:
        """Whether all of it was seen: what follows is the answer."""
        return not self._left

    def takes(self, line: Line, prompt: str) -> bool:
        """Return whether a line is a part of the echo, or nothing but what a router draws before it."""
        if self.is_done:
            return _seen(line.text) == _seen(prompt) != ""
        return any(self._is_next(seen.removeprefix(_seen(prompt))) for seen in (_seen(line.text), _seen(line.written)))

    def _is_next(self, seen: str) -> bool:
        if self._left.startswith(seen):
            self._left = self._left[len(seen) :]
            return True
        if seen.startswith(_SCROLLED) and len(seen) > 1 and self._left.endswith(seen.lstrip("$<").rstrip("$>")):
            self._left = ""
            return True
        return False


def _seen(text: str) -> str:
    return _UNSEEN.sub("", text)
