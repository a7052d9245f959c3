"""What a source says that there is, in its own words, and how that becomes a part of an inventory. Called by `engine.known_inventories`.

What was written down counts before what is found. A network function that is found and of which nobody can say where it runs is left out and told:
an execution for it has to be given its VIM location.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from stepswitch.domain.inventory import (
    FunctionType,
    Inventory,
    NetworkFunction,
    NetworkService,
    Section,
    SourceKind,
    VirtualMachine,
)
from stepswitch.domain.names import shown, unfit_name

Names = tuple[str, ...]
"""What one VIM is called by whoever uses it: by the id of his connection to it, and by its own."""
Brought = VirtualMachine | NetworkFunction | NetworkService
MOST_TOLD: Final = 20
_BROUGHT: Final = (Section.VIRTUAL_MACHINES, Section.NETWORK_FUNCTIONS, Section.NETWORK_SERVICES)
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FoundMachine:
    """A resource that a VIM computes with. `vim` is empty where nobody said which."""

    resource: str
    vim: Names = ()


@dataclass(frozen=True, slots=True)
class FoundFunction:
    """A network function. `is_container` is None where that was not said."""

    id: str
    name: str = ""
    description: str = ""
    is_instantiated: bool = False
    is_container: bool | None = None
    vims: tuple[Names, ...] = ()
    """Every VIM that it has a connection to."""
    machines: tuple[FoundMachine, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundService:
    """A network service, and the network functions in it by their ids."""

    id: str
    name: str = ""
    description: str = ""
    functions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a source said; `problems` are sentences about what of it cannot be used."""

    functions: tuple[FoundFunction, ...] = ()
    services: tuple[FoundService, ...] = ()
    problems: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether anything was found."""
        return bool(self.functions or self.services)


@dataclass(frozen=True, slots=True)
class Merged:
    """An inventory with what its sources brought, and by source what of that nobody can use, as sentences."""

    inventory: Inventory
    problems: Mapping[str, Sequence[str]] = field(default_factory=dict)


def merged(written: Inventory, findings: Mapping[str, Findings]) -> Merged:
    """Return what was written down with what sources found. VNFMs count before NFVOs, which tell of network functions at second hand."""
    merging = _Merging(written)
    for name in sorted(findings, key=lambda each: (written.sources[each].kind is SourceKind.SOL005, each)):
        merging.take(name, findings[name])
    return merging.result()


class _Merging:
    def __init__(self, written: Inventory) -> None:
        self._written = written
        self._functions = dict(written.network_functions)
        self._services = dict(written.network_services)
        self._machines = dict(written.virtual_machines)
        self._services_found: list[tuple[str, FoundService]] = []
        self._problems: dict[str, list[str]] = {}
        self._locations = {name: name for name in written.vim_locations}
        self._locations |= {each: name for name, location in written.vim_locations.items() for each in location.connection_ids}

    def take(self, source: str, findings: Findings) -> None:
        """Take in what one source found."""
        self._problems[source] = list(findings.problems)
        is_first_hand = self._written.sources[source].kind is SourceKind.SOL003
        for function in findings.functions:
            known = self._functions.get(function.id)
            if known is None:
                self._take_function(source, function)
            elif known.source is None or is_first_hand:
                self._tell_clash(source, "network function", function.id, known.source)
        for service in findings.services:
            known_service = self._services.get(service.id)
            if known_service is None:
                self._services[service.id] = NetworkService(service.id, service.name, (), service.description, source)
                self._services_found.append((source, service))
            else:
                self._tell_clash(source, "network service", service.id, known_service.source)

    def result(self) -> Merged:
        """Return the whole; network functions of services are looked for when all are known."""
        for _, service in self._services_found:
            inside = tuple(each for each in service.functions if each in self._functions)
            is_whole = len(inside) == len(service.functions)
            self._services[service.id] = replace(self._services[service.id], network_functions=inside, is_whole=is_whole)
        whole = replace(self._written, network_functions=self._functions, network_services=self._services, virtual_machines=self._machines)
        return Merged(whole, {source: _bounded(problems) for source, problems in self._problems.items()})

    def _take_function(self, source: str, found: FoundFunction) -> None:
        vims = list(dict.fromkeys(self._vim_of(found, each) for each in found.machines)) or list(found.vims)
        places = dict.fromkeys(self._location(names) for names in vims)
        unknown = [names for names in vims if self._location(names) is None]
        where = next(iter(places), None)
        if len(places) != 1 or where is None:
            if found.is_instantiated or vims:
                self._problems[source].append(_nowhere(found, unknown, [each for each in places if each is not None]))
            return
        kind = FunctionType.CNF if self._is_container(found, where) else FunctionType.VNF
        machines = () if kind is FunctionType.CNF else tuple(self._take_machines(source, found, where))
        self._functions[found.id] = NetworkFunction(found.id, kind, where, found.name, machines, (), found.description, source)

    def _take_machines(self, source: str, found: FoundFunction, where: str) -> Iterator[str]:
        """Yield the ids of a function's virtual machines: what a VIM calls one is its own only together with the VIM."""
        for machine in found.machines:
            name = f"{where}:{machine.resource}"
            known = self._machines.get(name)
            if unfit_name(name) is not None:
                self._problems[source].append(f"the virtual machine {shown(machine.resource)!r} has no name that can be used")
            elif known is None:
                self._machines[name] = _machine(name, where, machine.resource, source)
                yield name
            else:
                if known.source is None:
                    self._tell_clash(source, "virtual machine", name, None)
                yield name

    def _vim_of(self, found: FoundFunction, machine: FoundMachine) -> Names:
        if machine.vim or len(found.vims) != 1:
            return machine.vim
        return found.vims[0]

    def _location(self, names: Names) -> str | None:
        return next((self._locations[name] for name in names if name in self._locations), None)

    def _is_container(self, found: FoundFunction, where: str) -> bool:
        if found.is_container is not None:
            return found.is_container
        location = self._written.vim_locations[where]
        return location.kubernetes is not None and location.vcenter is None

    def _tell_clash(self, source: str, noun: str, name: str, other: str | None) -> None:
        first = (
            "is written down, too, and what is written down counts" if other is None else f"comes from the source {shown(other)!r} already"
        )
        self._problems[source].append(f"the {noun} {shown(name)!r} {first}")


def _machine(name: str, where: str, resource: str, source: str) -> VirtualMachine:
    if _UUID.fullmatch(resource):
        return VirtualMachine(name, where, instance_uuid=resource, source=source)
    return VirtualMachine(name, where, managed_object_id=resource, source=source)


def _nowhere(found: FoundFunction, unknown: Sequence[Names], places: Sequence[str]) -> str:
    subject = f"nobody can say where the network function {shown(found.id)!r} runs"
    if unknown and unknown[0]:
        called = " or ".join(repr(shown(name)) for name in unknown[0])
        return f"{subject}: no VIM location has {called} among its vimConnectionIds"
    if places:
        return f"{subject}: it is at {' and at '.join(places)}"
    return f"{subject}: the source names no VIM for it, or not for all of it"


def _bounded(problems: Sequence[str]) -> Sequence[str]:
    more = len(problems) - MOST_TOLD
    return tuple(problems) if more <= 0 else (*problems[:MOST_TOLD], f"and {more} more")


def brought(inventory: Inventory) -> dict[str, dict[str, dict[str, object]]]:
    """Return, by their sections, the entries that sources brought, as documents with their mark."""
    return {
        section.value: {name: _document(each) for name, each in _entries(inventory, section).items() if each.source is not None}
        for section in _BROUGHT
    }


def brought_entry(inventory: Inventory, section: Section, entry_id: str) -> dict[str, object] | None:
    """Return one entry that a source brought; None where none did."""
    found = _entries(inventory, section).get(entry_id) if section in _BROUGHT else None
    return None if found is None or found.source is None else _document(found)


def _entries(inventory: Inventory, section: Section) -> Mapping[str, Brought]:
    match section:
        case Section.VIRTUAL_MACHINES:
            return inventory.virtual_machines
        case Section.NETWORK_FUNCTIONS:
            return inventory.network_functions
        case _:
            return inventory.network_services


def _document(entry: Brought) -> dict[str, object]:
    fields: dict[str, object] = {"source": entry.source, "description": entry.description}
    match entry:
        case VirtualMachine():
            fields |= {"vimLocation": entry.vim_location, "managedObjectId": entry.managed_object_id, "instanceUuid": entry.instance_uuid}
        case NetworkFunction():
            fields |= {"name": entry.name, "type": entry.type.value, "vimLocation": entry.vim_location}
            fields["virtualMachines"] = list(entry.virtual_machines)
        case NetworkService():
            fields |= {"name": entry.name, "networkFunctions": list(entry.network_functions)}
    return {name: value for name, value in fields.items() if value}
