"""What step types may have kept at a device for executions that are between two steps. Used by `pool`.

How many steps act on a device at once is the dispatcher's count. What was kept there counts too: where it would be one too many beside what
runs, the oldest is closed, whichever step type has kept it and whatever address that called the device by.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stepswitch.domain.devices import DeviceLane


@dataclass(frozen=True, slots=True)
class Left:
    """What an attempt may have kept: for which execution, by which step type, and how that has called the device."""

    execution_id: str
    step_type: str
    called: str


@dataclass(slots=True)
class _AtDevice:
    running: int = 0
    left: dict[Left, None] = field(default_factory=dict)
    """The oldest first."""


class KeptSessions:
    """Counts what is at each device. Closing is the caller's; one that has expired meanwhile is closed once more, without harm."""

    def __init__(self, per_device: int) -> None:
        self._per_device = per_device
        self._devices: dict[str, _AtDevice] = {}
        self._where: dict[str, set[str]] = {}
        """The devices at which something may be kept, by execution."""

    def begin(self, device: DeviceLane, own: Left) -> Sequence[Left]:
        """Count an attempt in, which goes on with its own session where it has one; return what is to be closed before."""
        at = self._devices.setdefault(device.address, _AtDevice())
        at.running += 1
        self._where.setdefault(own.execution_id, set()).add(device.address)
        at.left.pop(own, None)
        return self._excess(at, device)

    def visit(self, device: DeviceLane) -> Sequence[Left]:
        """Count a clean-up in, which keeps nothing; return what is to be closed before."""
        at = self._devices.setdefault(device.address, _AtDevice())
        at.running += 1
        return self._excess(at, device)

    def leave(self, device: DeviceLane) -> None:
        """Count a clean-up out."""
        self._devices[device.address].running -= 1
        self._drop_where_empty(device.address)

    def _excess(self, at: _AtDevice, device: DeviceLane) -> Sequence[Left]:
        excess = at.running + len(at.left) - (device.sessions or self._per_device)
        closed = list(at.left)[: max(0, excess)]
        for each in closed:
            del at.left[each]
        return closed

    def end(self, device: DeviceLane, own: Left) -> None:
        """Count an attempt out, which may have kept its session, unless its execution has ended with it or waits for somebody."""
        at = self._devices[device.address]
        at.running -= 1
        if device.address in self._where.get(own.execution_id, ()):
            at.left[own] = None
        self._drop_where_empty(device.address)

    def forget(self, execution_id: str) -> None:
        """Forget what was kept for an execution: all of it is closed."""
        for address in self._where.pop(execution_id, ()):
            at = self._devices.get(address, _AtDevice())
            at.left = {each: None for each in at.left if each.execution_id != execution_id}
            self._drop_where_empty(address)

    def _drop_where_empty(self, address: str) -> None:
        at = self._devices.get(address)
        if at is not None and not at.running and not at.left:
            del self._devices[address]
