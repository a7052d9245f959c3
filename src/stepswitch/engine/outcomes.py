"""What becomes of an attempt's outcome before it is decided about: its time limit, and what is kept of what it gave.

Called by the worker for what a step type did, and by `rehearsal` for what a script says that it did.
"""

import math
from dataclasses import replace
from functools import cache, lru_cache

from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.execution import Outcome, Result, StepError
from stepswitch.domain.values import Plain
from stepswitch.engine.confidential import Mask


def timed_out(limit_seconds: float, *, may_have_acted: bool) -> Outcome:
    """Return what an attempt came to whose time limit passed; `may_have_acted`: something was sent, and twice is not safe."""
    if may_have_acted:
        message = f"the time limit of {limit_seconds:.10g} s passed after the command was sent; nobody can say whether the target acted"
        return Outcome(Result.UNKNOWN, error=StepError(ErrorCode.TIMEOUT, message))
    return Outcome(Result.FAILED, error=StepError(ErrorCode.TIMEOUT, f"the time limit of {limit_seconds:.10g} s passed"))


def bounded(outcome: Outcome, limit_bytes: int, mask: Mask) -> Outcome:
    """Return `outcome` with its outputs cut to the limit, and nothing secret in its error or beside a cut."""
    cut: list[str] = [*outcome.truncated]
    outputs: dict[str, Plain] = {}
    clean = lru_cache(None, typed=True)(_clean)  # a text that stands in several outputs is in memory once
    for name, value in outcome.outputs.items():
        outputs[name], was_cut = clean(value, limit_bytes)
        if was_cut and name not in cut:
            cut.append(name)
    masked = cache(mask.cut_text)
    for name in cut:
        if isinstance(text := outputs.get(name), str):
            outputs[name] = masked(text)  # it may end in half a secret, and no step reads it
    error = outcome.error
    if error is not None:
        error = StepError(error.code, mask.text(error.message))
    elif cut:
        error = StepError(ErrorCode.OUTPUT_TOO_LARGE, f"only the first {limit_bytes} bytes were kept of {', '.join(cut)}")
    return replace(outcome, outputs=outputs, error=error, truncated=tuple(cut))


def _clean(value: Plain, limit_bytes: int) -> tuple[Plain, bool]:
    """Return `value` as JSON can carry it, and whether it was cut; a number that JSON has not stands as its text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value), False
    if not isinstance(value, str):
        return value, False
    if value.isascii():
        return value[:limit_bytes], len(value) > limit_bytes
    encoded = value.encode("utf-8", "replace")
    return encoded[:limit_bytes].decode("utf-8", "ignore"), len(encoded) > limit_bytes
