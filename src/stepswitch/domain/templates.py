"""Texts with `{{name}}` references, compiled once and filled at each visit. Called by `parsing` and `bindings`.

Only an identifier between the brackets is a reference (blanks around it do not matter); anything else is left alone, so
that templates of other languages survive, and `{{{{` gives `{{`. Values are spliced once and never read again for references.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_REFERENCE: Final = re.compile(r"\{\{\{\{|\{\{\s*([A-Za-z_][A-Za-z0-9_.\-]*)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Template:
    """`parts` alternate: plain text, a name, plain text, a name, … and end with plain text."""

    parts: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names referred to, in their order, repeats included."""
        return self.parts[1::2]

    def fill(self, lookup: Callable[[str], str]) -> str:
        """Return the text with each name replaced by `lookup(name)`."""
        return "".join(lookup(part) if place % 2 else part for place, part in enumerate(self.parts))


def compile_template(text: str) -> Template | None:
    """Return the template in `text`; None where it holds neither a reference nor an escape."""
    if "{{" not in text:
        return None
    parts: list[str] = []
    plain, end = "", 0
    for found in _REFERENCE.finditer(text):
        plain += text[end : found.start()]
        end = found.end()
        if found[1] is None:
            plain += "{{"
        else:
            parts += [plain, found[1]]
            plain = ""
    return Template((*parts, plain + text[end:])) if end else None
