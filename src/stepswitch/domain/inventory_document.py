"""The document of an inventory to its value, every fault at once with its path. Called by `engine.inventories` and the room `inventory`.

A field that is null counts as one that is not there; one that nobody knows is a fault, for a typing slip must not pass silently.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from stepswitch.domain.devices import Device
from stepswitch.domain.errors import ErrorCode, Fault, ValueMisfitError
from stepswitch.domain.inventory import (
    DEFAULT_EVERY_SECONDS,
    DEFAULT_SITE,
    FunctionType,
    Inventory,
    KnownDevice,
    NetworkFunction,
    NetworkService,
    Platform,
    Section,
    Site,
    Source,
    SourceKind,
    VimLocation,
    VirtualMachine,
)
from stepswitch.domain.inventory_parts import (
    read_address_to_ask,
    read_addresses,
    read_algorithms,
    read_api_version,
    read_certificates,
    read_cluster,
    read_device_login,
    read_endpoint,
    read_filter,
    read_host_keys,
    read_login,
    read_login_to_ask,
    read_oauth,
    read_time_limits,
    texts,
    unfit_id,
)
from stepswitch.domain.names import shown
from stepswitch.domain.readers import ObjectReader, Report, refuse_unknown

MOST_SESSIONS: Final = 1_000
LEAST_EVERY_SECONDS: Final = 10
MOST_EVERY_SECONDS: Final = 86_400
MARK: Final = "source"
"""The field by which what a source brings is told from what was written down: it is shown, and never taken."""
Entry = TypeVar("Entry")
_SECTIONS: Final = frozenset(section.value for section in Section)
_NOUNS: Final = {
    Section.SITES: "site",
    Section.VIM_LOCATIONS: "VIM location",
    Section.VIRTUAL_MACHINES: "virtual machine",
    Section.NETWORK_FUNCTIONS: "network function",
    Section.NETWORK_SERVICES: "network service",
    Section.DEVICES: "device",
    Section.SOURCES: "source",
}
FIELDS: Final = {
    Section.SITES: frozenset({"description"}),
    Section.VIM_LOCATIONS: frozenset({"description", "site", "vcenter", "kubernetes", "vro", "vimConnectionIds"}),
    Section.VIRTUAL_MACHINES: frozenset({"description", "vimLocation", "managedObjectId", "instanceUuid", "path", "login", MARK}),
    Section.NETWORK_FUNCTIONS: frozenset({"description", "name", "type", "vimLocation", "virtualMachines", "devices", MARK}),
    Section.NETWORK_SERVICES: frozenset({"description", "name", "networkFunctions", MARK}),
    Section.DEVICES: frozenset(
        {"description", "addresses", "site", "platform", "login", "hostKeys", "algorithms", "jumpHost", "timeLimits", "sessionsAtOnce"}
    ),
    Section.SOURCES: frozenset({"description", "kind", "url", "apiVersion", "login", "oauth", "caCertificates", "filter", "everySeconds"}),
}
"""What an entry of each section can say."""
_WAYS: Final = ("vcenter", "kubernetes", "vro")
_NAMES_OF_MACHINES: Final = ("managedObjectId", "instanceUuid", "path")


@dataclass(frozen=True, slots=True)
class ReadInventory:
    """What was read: the inventory, None where there are faults, and all of them."""

    inventory: Inventory | None
    faults: tuple[Fault, ...]


def noun_of(section: Section) -> str:
    """Return what one entry of a section is called."""
    return _NOUNS[section]


def read_inventory(document: object) -> ReadInventory:
    """Return the inventory that a document says, or every fault of it."""
    report = Report()
    if not isinstance(document, Mapping):
        report.fault(ErrorCode.WRONG_TYPE, "", str(ValueMisfitError(document, "object with sections")))
        return ReadInventory(None, report.faults)
    found = _Reading(ObjectReader(document, "", report)).inventory()
    return ReadInventory(None if report.has_faults else found, report.faults)


class _Reading:
    """One document on its way to a value. Entries that are named are looked for when all have been read."""

    def __init__(self, reader: ObjectReader) -> None:
        self._reader = reader
        self._report = reader.report
        self._known = {section: self._ids(section) for section in Section}
        self._known[Section.SITES] = {*self._known[Section.SITES], DEFAULT_SITE}

    def _ids(self, section: Section) -> Collection[str]:
        """Return the ids of all entries, also of those with faults: what names one of these is right."""
        entries = self._reader.source.get(section)
        return entries.keys() if isinstance(entries, Mapping) else frozenset()

    def inventory(self) -> Inventory:
        """Return what was read; it means something only where nothing was reported."""
        refuse_unknown(self._reader, _SECTIONS)
        devices = self._entries(Section.DEVICES, self._device)
        self._refuse_circles(devices)
        vim_locations = self._entries(Section.VIM_LOCATIONS, self._vim_location)
        self._refuse_shared_connections(vim_locations)
        return Inventory(
            sites=self._entries(Section.SITES, lambda name, reader: Site(name, reader.text("description") or "")),
            vim_locations=vim_locations,
            virtual_machines=self._entries(Section.VIRTUAL_MACHINES, self._virtual_machine),
            network_functions=self._entries(Section.NETWORK_FUNCTIONS, self._network_function),
            network_services=self._entries(Section.NETWORK_SERVICES, self._network_service),
            devices=devices,
            sources=self._entries(Section.SOURCES, self._source),
            by_address=self._by_address(devices),
        )

    def _entries(self, section: Section, read: Callable[[str, ObjectReader], Entry]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for name, reader in self._reader.entries(section):
            why = unfit_id(name)
            if why is not None:
                self._report.fault(ErrorCode.INVALID_VALUE, reader.path, why)
            refuse_unknown(reader, FIELDS[section])
            if MARK in FIELDS[section] and reader.source.get(MARK) is not None:
                message = "marks what a source brings: leave the entry out, it comes from there"
                reader.fault(ErrorCode.INVALID_VALUE, MARK, message)
            found[name] = read(name, reader)
        return found

    def _vim_location(self, name: str, reader: ObjectReader) -> VimLocation:
        if all(reader.source.get(way) is None for way in _WAYS):
            reader.report.fault(ErrorCode.INVALID_VALUE, reader.path, f"says no way to it: give at least one of {', '.join(_WAYS)}")
        return VimLocation(
            id=name,
            site=self._named(reader, "site", Section.SITES) or DEFAULT_SITE,
            vcenter=read_endpoint(reader, "vcenter"),
            kubernetes=read_cluster(reader, "kubernetes"),
            vro=read_endpoint(reader, "vro"),
            description=reader.text("description") or "",
            connection_ids=tuple(name for _, name in texts(reader, "vimConnectionIds")),
        )

    def _virtual_machine(self, name: str, reader: ObjectReader) -> VirtualMachine:
        reader.require("vimLocation")
        if sum(reader.source.get(each) is not None for each in _NAMES_OF_MACHINES) > 1:
            reader.report.fault(
                ErrorCode.INVALID_VALUE, reader.path, f"is called in several ways: give one of {', '.join(_NAMES_OF_MACHINES)}"
            )
        return VirtualMachine(
            id=name,
            vim_location=self._named(reader, "vimLocation", Section.VIM_LOCATIONS) or "",
            managed_object_id=reader.name("managedObjectId"),
            instance_uuid=reader.name("instanceUuid"),
            path=reader.name("path"),
            login=read_login(reader, "login"),
            description=reader.text("description") or "",
        )

    def _network_function(self, name: str, reader: ObjectReader) -> NetworkFunction:
        reader.require("type", "vimLocation")
        return NetworkFunction(
            id=name,
            type=reader.word("type", FunctionType) or FunctionType.VNF,
            vim_location=self._named(reader, "vimLocation", Section.VIM_LOCATIONS) or "",
            name=reader.text("name") or "",
            virtual_machines=self._all_named(reader, "virtualMachines", Section.VIRTUAL_MACHINES),
            devices=self._all_named(reader, "devices", Section.DEVICES),
            description=reader.text("description") or "",
        )

    def _network_service(self, name: str, reader: ObjectReader) -> NetworkService:
        return NetworkService(
            id=name,
            name=reader.text("name") or "",
            network_functions=self._all_named(reader, "networkFunctions", Section.NETWORK_FUNCTIONS),
            description=reader.text("description") or "",
        )

    def _device(self, name: str, reader: ObjectReader) -> KnownDevice:
        return KnownDevice(
            id=name,
            addresses=read_addresses(reader),
            site=self._named(reader, "site", Section.SITES) or DEFAULT_SITE,
            platform=reader.word("platform", Platform),
            login=read_device_login(reader),
            host_keys=read_host_keys(reader),
            algorithms=read_algorithms(reader),
            jump_host=self._named(reader, "jumpHost", Section.DEVICES),
            time_limits=read_time_limits(reader),
            sessions_at_once=reader.count("sessionsAtOnce", 1, MOST_SESSIONS),
            description=reader.text("description") or "",
        )

    def _source(self, name: str, reader: ObjectReader) -> Source:
        reader.require("kind", "url")
        return Source(
            id=name,
            kind=reader.word("kind", SourceKind) or SourceKind.SOL003,
            url=read_address_to_ask(reader).rstrip("/"),
            api_version=read_api_version(reader),
            login=read_login_to_ask(reader),
            oauth=read_oauth(reader),
            ca_certificates=read_certificates(reader, "caCertificates"),
            filter=read_filter(reader),
            every_seconds=reader.amount("everySeconds", LEAST_EVERY_SECONDS, MOST_EVERY_SECONDS) or DEFAULT_EVERY_SECONDS,
            description=reader.text("description") or "",
        )

    def _named(self, reader: ObjectReader, field: str, section: Section) -> str | None:
        name = reader.text(field)
        if name is not None:
            self._look_for(name, reader.at(field), section)
        return name

    def _all_named(self, reader: ObjectReader, field: str, section: Section) -> tuple[str, ...]:
        names = texts(reader, field)
        for place, name in names:
            self._look_for(name, reader.at(f"{field}[{place}]"), section)
        return tuple(name for _, name in names)

    def _look_for(self, name: str, path: str, section: Section) -> None:
        known = self._known[section]
        if name not in known:
            hint = self._report.hint(name, known)
            self._report.fault(ErrorCode.INVALID_VALUE, path, f"there is no {_NOUNS[section]} {shown(name)!r} in this inventory{hint}")

    def _refuse_shared_connections(self, locations: Mapping[str, VimLocation]) -> None:
        met: dict[str, str] = {}
        for name, location in locations.items():
            for place, connection in enumerate(location.connection_ids):
                other = met.setdefault(connection, name)
                if other != name:
                    path = f"{Section.VIM_LOCATIONS}.{shown(name)}.vimConnectionIds[{place}]"
                    self._report.fault(ErrorCode.INVALID_VALUE, path, f"means the VIM location {shown(other)!r} already")

    def _refuse_circles(self, devices: Mapping[str, KnownDevice]) -> None:
        for name, device in devices.items():
            met = {name}
            through = device.jump_host
            while through is not None and through in devices and through not in met:
                met.add(through)
                through = devices[through].jump_host
            if through == name:
                path = f"{Section.DEVICES}.{shown(name)}.jumpHost"
                self._report.fault(ErrorCode.INVALID_VALUE, path, "leads back to the device itself, so that nobody ever gets there")

    def _by_address(self, devices: Mapping[str, KnownDevice]) -> dict[Device, KnownDevice]:
        found: dict[Device, KnownDevice] = {}
        for name, device in devices.items():
            for place, address in enumerate(device.addresses):
                other = found.setdefault(address, device)
                if other is not device:
                    path = f"{Section.DEVICES}.{shown(name)}.addresses[{place}]"
                    self._report.fault(ErrorCode.INVALID_VALUE, path, f"is an address of the device {shown(other.id)!r} already")
        return found
