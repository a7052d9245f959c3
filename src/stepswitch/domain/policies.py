"""A step's `policy`: time, retries, the way that is taken after a failure, how a doubt is settled, and locks. Called by `parsing`.

The upper bounds keep every moment that a policy leads to within what a clock can say.
"""

from typing import Final

from stepswitch.domain.document import NO_POLICY, Policy, ProbePolicy, RetryPolicy
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.readers import ObjectReader
from stepswitch.domain.step_parts import read_evidence, read_in_bindings, read_out_bindings

MAX_SECONDS: Final = 30 * 24 * 3600
MAX_ATTEMPTS: Final = 1_000
MAX_BACKOFF: Final = 100.0
_LEAST_TIMEOUT: Final = 0.001
_FIELDS: Final = frozenset(
    {"timeoutSeconds", "delaySeconds", "retry", "onFailureStepId", "onUnknownStepId", "safeToRerun", "probe", "lock", "unlock"}
)
_RETRY_FIELDS: Final = frozenset({"maxAttempts", "delaySeconds", "backoff"})
_PROBE_FIELDS: Final = frozenset({"inBindings", "outBindings", "done", "notDone", "timeoutSeconds", "delaySeconds", "maxAttempts"})


def read_policy(step: ObjectReader) -> Policy:
    """Return the policy of a step, with what is documented where it says nothing."""
    reader = step.child("policy")
    if reader is None:
        return NO_POLICY
    reader.warn_unknown(_FIELDS)
    retry, probe = reader.child("retry"), reader.child("probe")
    return Policy(
        timeout_seconds=reader.amount("timeoutSeconds", _LEAST_TIMEOUT, MAX_SECONDS),
        delay_seconds=reader.amount("delaySeconds", 0, MAX_SECONDS) or 0.0,
        retry=RetryPolicy() if retry is None else _read_retry(retry),
        on_failure_step_id=reader.name("onFailureStepId"),
        on_unknown_step_id=reader.name("onUnknownStepId"),
        safe_to_rerun=reader.flag("safeToRerun"),
        probe=None if probe is None else _read_probe(probe),
        lock=reader.name("lock"),
        unlock=reader.name("unlock"),
    )


def _read_retry(reader: ObjectReader) -> RetryPolicy:
    reader.warn_unknown(_RETRY_FIELDS)
    retry = RetryPolicy(
        max_attempts=reader.count("maxAttempts", 1, MAX_ATTEMPTS) or 1,
        delay_seconds=reader.amount("delaySeconds", 0, MAX_SECONDS) or 0.0,
        backoff=reader.amount("backoff", 1, MAX_BACKOFF) or 1.0,
    )
    if _last_wait(retry) > MAX_SECONDS:
        reader.fault(ErrorCode.INVALID_VALUE, "backoff", f"the last of the attempts would wait longer than {MAX_SECONDS // 86_400} days")
    return retry


def _read_probe(reader: ObjectReader) -> ProbePolicy:
    reader.warn_unknown(_PROBE_FIELDS)
    reader.require("done", "notDone")
    if not reader.source.get("inBindings"):
        reader.fault(ErrorCode.MISSING_FIELD, "inBindings", "is required, and must not be empty")
    usual = ProbePolicy()
    return ProbePolicy(
        in_bindings=tuple(read_in_bindings(reader)),
        done=tuple(read_evidence(reader, "done")),
        not_done=tuple(read_evidence(reader, "notDone")),
        out_bindings=tuple(read_out_bindings(reader)),
        timeout_seconds=reader.amount("timeoutSeconds", _LEAST_TIMEOUT, MAX_SECONDS) or usual.timeout_seconds,
        delay_seconds=reader.amount("delaySeconds", 0, MAX_SECONDS) or usual.delay_seconds,
        max_attempts=reader.count("maxAttempts", 1, MAX_ATTEMPTS) or usual.max_attempts,
    )


def _last_wait(retry: RetryPolicy) -> float:
    if retry.max_attempts < 2:
        return 0.0
    try:
        return retry.delay_seconds * float(retry.backoff) ** (retry.max_attempts - 2)
    except OverflowError:
        return float("inf") if retry.delay_seconds else 0.0
