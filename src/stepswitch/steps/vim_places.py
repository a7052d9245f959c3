"""At which VIM a step acts, and the way to it, looked up in the inventory by the id that the step gives. Called by the step types of clusters, machines and vRO."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from stepswitch.plugin import Cluster, Endpoint, ErrorCode, Inventory, VimLocation
from stepswitch.steps.input_faults import InputFaultError
from stepswitch.steps.output import harmless

W = TypeVar("W")
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Kind(Generic[W]):
    """A kind of way to a VIM: what it is called in a sentence, and by which field of an entry."""

    noun: str
    field: str
    of: Callable[[VimLocation], W | None]


CLUSTER: Final[Kind[Cluster]] = Kind("cluster", "kubernetes", lambda location: location.kubernetes)
VCENTER: Final[Kind[Endpoint]] = Kind("vCenter", "vcenter", lambda location: location.vcenter)
VRO: Final[Kind[Endpoint]] = Kind("vRO", "vro", lambda location: location.vro)


def way_to(inventory: Inventory, vim_location: str | None, kind: Kind[W]) -> W:
    """Return the way to the VIM that a step means; raises InputFaultError with those that there are."""
    wanted = (vim_location or "").strip()
    if not wanted:
        message = f"nothing says at which VIM: give the input 'vimLocation', or context.vimLocation; {_those(inventory, kind)}"
        raise InputFaultError(ErrorCode.MISSING_INPUT, message)
    location, name = inventory.vim_locations.get(wanted), harmless(wanted)
    if location is None:
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"the inventory has no VIM location {name!r}; {_those(inventory, kind)}")
    way = kind.of(location)
    if way is None:
        message = f"the VIM location {name!r} has no {kind.noun} ({kind.field!r}) in the inventory; {_those(inventory, kind)}"
        raise InputFaultError(ErrorCode.INVALID_VALUE, message)
    return way


def _those(inventory: Inventory, kind: Kind[W]) -> str:
    """Return which VIM locations could be meant."""
    names = sorted(name for name, each in inventory.vim_locations.items() if kind.of(each) is not None)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    shown = ", ".join(repr(harmless(name)) for name in names[:_SHOWN])
    return f"those with a {kind.noun} are {shown}{more}" if names else f"the inventory has none with a {kind.noun}"
