"""Whoever looks every few seconds whether somebody works at what runs, and whether anybody waits for what is free."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from stepswitch.dispatch.places import TENANT
from stepswitch.domain.execution import Head
from stepswitch.domain.states import StepState
from tests.simulation.service import PLACES, Life

ATTENDED_SECONDS: Final = 100.0
"""How long somebody may be missing in calm weather: a claim's silence and a lost wake-up, with room for both."""
FAIR_SECONDS: Final = 10.0
"""How long somebody may wait for what is free, in any weather."""


class BrokenPromiseError(AssertionError):
    """What may never happen has happened."""


class Watch:
    """Remembers since when something is not as it should be."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit = limit_seconds
        self._since: dict[str, float] = {}

    def note(self, now: float, faults: Mapping[str, str]) -> None:
        """Take note of what is not as it should be, by execution; raises BrokenPromiseError where that is so for too long."""
        self._since = {name: self._since.get(name, now) for name in faults}
        for name, since in self._since.items():
            if now - since > self._limit:
                raise BrokenPromiseError(f"{name} for {now - since:.0f} s: {faults[name]}")


def unfair(life: Life) -> dict[str, str]:
    """Return which executions wait for a device or a place that is free, or one that their tenant may have, and for what."""
    under_way = life.dispatcher.under_way
    busy = Counter(task.device.lane for task in under_way if task.device is not None) + Counter(
        each.lane for each in life.dispatcher.visited()
    )
    of_tenants = Counter(task.tenant for task in under_way)
    found = {}
    for execution_id, entry in life.dispatcher._queued.items():
        most = PLACES.of_tenant(entry.task.tenant)
        is_limited = most is not None and of_tenants[entry.task.tenant] >= most
        waiting, device = life.dispatcher.waiting(execution_id), entry.task.device
        if waiting is not None and waiting.kind == "device" and device is not None and busy[device.lane] < PLACES.at(device):
            found[execution_id] = "it waits for a device that is free"
        elif waiting is not None and waiting.kind == "place" and len(under_way) < PLACES.steps and not is_limited:
            found[execution_id] = "it waits for a place, and there are some"
        elif waiting is not None and waiting.name == TENANT:
            life.city.met["somebody waited for another of the tenant"] += 1
    for kind, window in life.dispatcher._windows.items():
        if window.wants_more and not life.backlog.is_reading:
            found[f"the queue of {kind}"] = "there is room for what is left in the store, and nobody takes it"
    return found


def unattended(life: Life, heads: Sequence[Head]) -> dict[str, str]:
    """Return which of the executions that should go on have nobody who works at them or will take them, and why."""
    nonces = {attempt.grant.nonce for attempt in life.attempts}
    found = {}
    for head in heads:
        work = None if head.current is None else head.current.work
        if head.awaited_lock is not None or (head.current is not None and head.current.awaits is not None):
            continue  # `standing` says whether that comes to its end
        if work is not None and work.state is StepState.EXECUTING:
            if work.claim is None or work.claim.nonce not in nonces:
                found[head.id] = "it says that it runs, and nobody works at it"
        elif not life.dispatcher.holds(head.id) and all(window.holds_all for window in life.dispatcher._windows.values()):
            found[head.id] = "nobody will take it"
    return found
