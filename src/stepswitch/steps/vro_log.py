"""The log of a run, copied into the log of the step while it grows. Called by `vro_runs`.

vRO gives the whole log each time, in an order that no release promises. What was copied is known by a digest, counted, so that a line that
really comes twice is shown twice, and none of them once more.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stepswitch.plugin import LogLevel, StepContext
from stepswitch.steps.output import Output

_LEVELS: Final = {"error": LogLevel.ERROR, "warning": LogLevel.WARN, "warn": LogLevel.WARN, "debug": LogLevel.DEBUG}


class RunLog:
    """What has been copied of the log of one run."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._copied: Counter[bytes] = Counter()

    async def copy(self, content: object) -> None:
        """Add what is new in a log as vRO gives it."""
        met: Counter[bytes] = Counter()
        for entry in sorted(_entries(content), key=_time):
            digest = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).digest()
            met[digest] += 1
            if met[digest] > self._copied[digest]:
                self._copied[digest] += 1
                await self._show(entry)

    async def _show(self, entry: Mapping[str, Any]) -> None:
        short, long = (str(entry.get(f"{name}-description") or "").rstrip() for name in ("short", "long"))
        said = long if short in long else "\n".join(filter(None, (short, long)))
        output = Output(self._context, _LEVELS.get(str(entry.get("severity")).lower(), LogLevel.INFO), encoding="utf-8", limit_bytes=0)
        await output.feed(said.encode("utf-8", "replace"))
        await output.finish()


def _entries(content: object) -> Sequence[Mapping[str, Any]]:
    """Return the entries of a log; some releases wrap each of them."""
    listed = content.get("logs") if isinstance(content, Mapping) else None
    found = [each.get("entry", each) for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    return [each for each in found if isinstance(each, Mapping)]


def _time(entry: Mapping[str, Any]) -> tuple[float, str]:
    value = entry.get("time-stamp-val")
    return (float(value) if isinstance(value, int | float) else 0.0, str(entry.get("time-stamp") or ""))
