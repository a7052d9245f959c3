"""The steps of an execution as a text that people edit, and what became of them. Called by `execution_edit`; no I/O, no service."""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from stepswitch.domain.secrecy import MASK

Steps = Mapping[str, Any]
_STAND_IN: Final = "a stored password"
"""What is checked in the place of a password that stays as it is stored: nobody here knows that."""


def as_text(steps: Steps) -> str:
    """Return steps as JSON that people can edit."""
    return json.dumps(steps, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


def changes(before: Steps, after: Steps) -> dict[str, Any]:
    """Return what makes `after` of `before`, as a PATCH says it: steps to add or to replace, None for those to remove."""
    removed: dict[str, Any] = dict.fromkeys(step_id for step_id in before if step_id not in after)
    return {step_id: step for step_id, step in after.items() if step_id not in before or before[step_id] != step} | removed


def difference(before: Steps, after: Steps) -> Iterator[str]:
    """Yield the lines of a unified diff, without the names of files."""
    lines = difflib.unified_diff(as_text(before).splitlines(), as_text(after).splitlines(), lineterm="", n=3)
    for line in lines:
        if not line.startswith(("---", "+++")):
            yield line


def checkable(shown: Any, edited: Any) -> Any:
    """Return `edited` with a stand-in for every `********` that was `shown` at the same place: such a one is kept, and no fault."""
    if isinstance(edited, dict):
        inside = shown if isinstance(shown, dict) else {}
        return {name: checkable(inside.get(name), value) for name, value in edited.items()}
    if isinstance(edited, list):
        places = shown if isinstance(shown, list) else []
        return [checkable(places[number] if number < len(places) else None, value) for number, value in enumerate(edited)]
    return _STAND_IN if edited == MASK and shown == MASK else edited
