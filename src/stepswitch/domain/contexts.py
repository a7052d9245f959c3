"""What the context of an execution says beyond what its caller wrote: the VIM location of its network function. Called by `engine.executions`.

Source: `workflow-semantics`, section 5: VNF and CNF inject `vnfId` and deduce the VIM location from the NF; what is injected cannot be overwritten.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.domain.errors import ErrorCode, Fault
from stepswitch.domain.execution import ContextType
from stepswitch.domain.inventory import Inventory, NetworkFunction
from stepswitch.domain.names import nearest, shown

DEDUCING: Final = frozenset({ContextType.VNF, ContextType.CNF})
"""The contexts whose VIM location is that of their network function."""
_VIM: Final = "vimLocation"


@dataclass(frozen=True, slots=True)
class DeducedContext:
    """A context with what was deduced, and what of it contradicts the inventory."""

    context: Mapping[str, Any]
    faults: tuple[Fault, ...] = ()


def deduced(inventory: Inventory, context_type: ContextType, context: Mapping[str, Any], assignments: Mapping[str, Any]) -> DeducedContext:
    """Return a context with the VIM location of its network function.

    Where the inventory has no network functions at all, nothing is deduced and nothing refused. Where it has some, one that it does not know
    is a fault, unless the caller says himself where that is.
    """
    wanted = context.get("vnfId")
    if context_type not in DEDUCING or not isinstance(wanted, str) or not inventory.network_functions:
        return DeducedContext(context)
    function = inventory.network_functions.get(wanted)
    if function is not None:
        return _of_function(function, context_type, context)
    if context.get(_VIM) is not None or assignments.get(_VIM) is not None:
        return DeducedContext(context)
    near = nearest(wanted, inventory.network_functions)
    hint = f"; did you mean {near!r}?" if near else f"; add it there, or give context.{_VIM}"
    message = f"the inventory has no network function {shown(wanted)!r}, so that nobody knows where it is{hint}"
    return DeducedContext(context, (Fault(ErrorCode.INVALID_VALUE, "context.vnfId", message),))


def _of_function(function: NetworkFunction, context_type: ContextType, context: Mapping[str, Any]) -> DeducedContext:
    faults = []
    if function.type.value != context_type.value:
        message = f"the inventory says that {shown(function.id)!r} is a {function.type}: give that type"
        faults.append(Fault(ErrorCode.INVALID_VALUE, "contextType", message))
    given = context.get(_VIM)
    if given is not None and given != function.vim_location:
        message = f"is deduced from the network function and cannot be overwritten: it is {function.vim_location!r}; leave it out"
        faults.append(Fault(ErrorCode.INVALID_VALUE, f"context.{_VIM}", message))
    return DeducedContext({**context, _VIM: function.vim_location}, tuple(faults))
