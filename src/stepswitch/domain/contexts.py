"""What the context of an execution says beyond what its caller wrote: the VIM location of its network function or network service.

Source: `workflow-semantics`, section 5: VNF and CNF inject `vnfId` and deduce the VIM location from the NF; what is injected cannot be overwritten. NS
injects `nsId`, and the VIM location is given: where nobody gives it, it is that of all network functions in the NS, if they have one in common.
Called by `engine.executions`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.domain.errors import ErrorCode, Fault
from stepswitch.domain.execution import ContextType
from stepswitch.domain.inventory import Inventory, NetworkFunction, NetworkService, Section, SourceKind
from stepswitch.domain.names import nearest, shown

DEDUCING: Final = frozenset({ContextType.VNF, ContextType.CNF})
"""The contexts whose VIM location is that of their network function."""
_VIM: Final = "vimLocation"


@dataclass(frozen=True, slots=True)
class DeducedContext:
    """A context with what was deduced, and what of it contradicts the inventory."""

    context: Mapping[str, Any]
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a context is about: the key that names it, what is known of its kind, and whether all of its kind are known."""

    key: str
    id: str
    noun: str
    section: Section
    known: Mapping[str, NetworkFunction | NetworkService]
    are_all_known: bool


def deduced(inventory: Inventory, context_type: ContextType, context: Mapping[str, Any], assignments: Mapping[str, Any]) -> DeducedContext:
    """Return a context with the VIM location of its network function or network service.

    Where the inventory has no network functions at all and nobody to ask for them, nothing is deduced and nothing refused. Where it has some,
    one that it does not know is a fault, unless the caller says himself where that is. A network service that it does not know is one only
    where there is an NFVO to ask.
    """
    subject = _subject(inventory, context_type, context)
    if subject is None:
        return DeducedContext(context)
    match subject.known.get(subject.id):
        case NetworkFunction() as function:
            return _of_function(function, context_type, context)
        case NetworkService() as service:
            return _of_service(service, inventory, context, assignments)
    if not subject.are_all_known or _is_said(context, assignments):
        return DeducedContext(context)
    near = nearest(subject.id, subject.known)
    hint = f"; did you mean {near!r}?" if near else f"; add it there, or give context.{_VIM}"
    message = f"the inventory has no {subject.noun} {shown(subject.id)!r}, so that nobody knows where it is{hint}"
    return DeducedContext(context, (Fault(ErrorCode.INVALID_VALUE, f"context.{subject.key}", message),))


def unknown_to(
    inventory: Inventory, context_type: ContextType, context: Mapping[str, Any], assignments: Mapping[str, Any]
) -> tuple[Section, str] | None:
    """Return what a context is about where the inventory does not know it and its sources may; None where nobody need be asked."""
    subject = _subject(inventory, context_type, context)
    if subject is None or subject.id in subject.known or not inventory.sources or _is_said(context, assignments):
        return None
    return subject.section, subject.id


def _subject(inventory: Inventory, context_type: ContextType, context: Mapping[str, Any]) -> _Subject | None:
    key = "vnfId" if context_type in DEDUCING else "nsId" if context_type is ContextType.NS else None
    wanted = None if key is None else context.get(key)
    if key is None or not isinstance(wanted, str):
        return None
    asked = {source.kind for source in inventory.sources.values()}
    if context_type is ContextType.NS:
        services = inventory.network_services
        return _Subject(key, wanted, "network service", Section.NETWORK_SERVICES, services, SourceKind.SOL005 in asked)
    functions = inventory.network_functions
    are_all_known = bool(functions) or SourceKind.SOL003 in asked
    return _Subject(key, wanted, "network function", Section.NETWORK_FUNCTIONS, functions, are_all_known)


def _is_said(context: Mapping[str, Any], assignments: Mapping[str, Any]) -> bool:
    return context.get(_VIM) is not None or assignments.get(_VIM) is not None


def _of_service(
    service: NetworkService, inventory: Inventory, context: Mapping[str, Any], assignments: Mapping[str, Any]
) -> DeducedContext:
    """Return the context of a network service: with the one VIM location of all that is in it, unless one is said."""
    places = {inventory.network_functions[name].vim_location for name in service.network_functions}
    if len(places) != 1 or not service.is_whole or _is_said(context, assignments):
        return DeducedContext(context)
    return DeducedContext({**context, _VIM: places.pop()})


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
