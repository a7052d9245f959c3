"""Locks: what one execution of a tenant has at a time, and others wait for. Read by `locking` and by whoever keeps the lines.

Whoever asks for a lock stands in its line, and the first one there has it. `has` and `waits for` of an execution stand in its head; who comes
next stands in the store, which decides it with the save.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from stepswitch.domain.devices import DeviceLane

OF_DEVICE: Final = "device"
"""What a policy says for the lock on the device on which its step acts. No other lock is called so."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock. `key` is what locks are compared by, and does not show a device; `name` is what people call it."""

    key: str
    name: str = field(compare=False)

    @property
    def is_of_device(self) -> bool:
        """Whether it is the lock on a device."""
        return self.key.startswith("device ")


def named(name: str) -> Lock:
    """Return the lock that is called so."""
    return Lock(f"name {name}", name)


def on_device(lane: DeviceLane) -> Lock:
    """Return the lock on a device."""
    return Lock(lane.lane, lane.name)


@dataclass(frozen=True, slots=True)
class LockChange:
    """What a decision does to the locks of an execution: the one that it asks for, the one that it is given, and those that it lets go or asks for no more."""

    asked: Lock | None = None
    given: Lock | None = None
    left: tuple[Lock, ...] = ()


def lock_change(
    had: Sequence[Lock], awaited: Lock | None, has: Sequence[Lock], awaits: Lock | None, *, is_other_step: bool = False
) -> LockChange | None:
    """Return what leads from locks that an execution had, and the one that it waited for, to those of now; None where all is as it was.

    `is_other_step`: another step execution waits now, so that even the same lock is asked for anew.
    """
    given = awaited if awaited is not None and awaited in has else None
    left = tuple(each for each in had if each not in has)
    is_anew = is_other_step or awaited != awaits
    if awaited is not None and given is None and is_anew:
        left = (*left, awaited)
    asked = awaits if is_anew else None  # also one that was let go just now: at the end of the line
    return LockChange(asked, given, left) if asked or given or left else None
