"""What the reference says of the operations of the inventory: those of the whole, and three for each kind of entry. Taken in by `operations`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.api import inventory, needs
from stepswitch.api.operation import ID, OWN_ROOT, TAGS, Audit, Operation, Parameter
from stepswitch.api.wire import inventory_models as models
from stepswitch.api.wire.structures import Structure
from stepswitch.domain.inventory import Section
from stepswitch.domain.inventory_document import FIELDS, MARK, noun_of

_WHOLE: Final = f"{OWN_ROOT}/inventory"
_TAG: Final = "Inventory"
_IF_MATCH: Final = Parameter(
    "If-Match", "The `ETag` that was read: 412 where it is another one by now.", "header", is_required=False, limits=TAGS
)
_IF_NONE_MATCH: Final = Parameter(
    "If-None-Match", "The `ETag` of what the caller has: 304 where that still is so.", "header", is_required=False, limits=TAGS
)
_WITH_SOURCES: Final = Parameter(
    inventory.WITH_SOURCES, "`true`: with what sources bring, each such entry with its `source`.", "query", is_required=False,
    limits={"enum": ["true", "false"]},
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of entry: its part of the path, the parameter that names one, its structure, and one that works."""

    section: Section
    path: str
    parameter: str
    model: type[Structure]
    example: Mapping[str, Any]


KINDS: Final = (
    _Kind(Section.SITES, "sites", "site", models.Site, {"description": "Paris, hall 2"}),
    _Kind(
        Section.VIM_LOCATIONS, "vim-locations", "vimLocation", models.VimLocation, {"vcenter": {"url": "https://vcenter.example.net"}}
    ),
    _Kind(Section.VIRTUAL_MACHINES, "virtual-machines", "virtualMachine", models.VirtualMachine, {"vimLocation": "paris-vc"}),
    _Kind(
        Section.NETWORK_FUNCTIONS, "network-functions", "networkFunction", models.NetworkFunction, {"type": "VNF", "vimLocation": "paris-vc"}
    ),
    _Kind(Section.NETWORK_SERVICES, "network-services", "networkService", models.NetworkService, {"name": "5G core Paris"}),
    _Kind(Section.DEVICES, "devices", "device", models.Device, {"addresses": ["192.0.2.7"], "platform": "iosxr", "sessionsAtOnce": 2}),
    _Kind(Section.SOURCES, "sources", "source", models.Source, {"kind": "SOL003", "url": "https://vnfm.example.net"}),
)  # fmt: skip


def _brought(kind: _Kind) -> str:
    return " One that a source brings says which." if MARK in FIELDS[kind.section] else ""


def _kept(kind: _Kind) -> str:
    return " What a source brings is not changed here: 400." if MARK in FIELDS[kind.section] else ""


def _of_kind(kind: _Kind) -> tuple[Operation, ...]:
    noun, name = noun_of(kind.section), kind.parameter[0].upper() + kind.parameter[1:]
    path = f"{_WHOLE}/{kind.path}/{{{kind.parameter}}}"
    entry = Parameter(kind.parameter, f"Id of the {noun}.", limits=ID)
    tagged = {"ETag": f"Changes with the {noun}."}
    return (
        Operation(
            f"get{name}", "GET", path, inventory.reading(kind.section, kind.parameter), _TAG, f"Read a {noun}",
            f"Answers with the {noun} as it was sent, so that it can be sent back.{_brought(kind)}", kind.model, parameters=(entry, _IF_NONE_MATCH),
            refusals=(400, 401, 403, 404, 500, 503), needs=needs.READ_INVENTORY, audit=Audit.READ, answer_headers=tagged, may_be_known=True,
        ),
        Operation(
            f"put{name}", "PUT", path, inventory.putting(kind.section, kind.parameter), _TAG, f"Store a {noun}",
            f"A new {noun}, or another one in place of that of this id. Every fault is listed, and nothing is changed where there is one: what it "
            f"names has to be there, and what names it has to find it as before.{_kept(kind)}",
            kind.model, request=kind.model, parameters=(entry, _IF_MATCH), refusals=(400, 401, 403, 412, 413, 500, 503),
            needs=needs.ADMINISTER, audit=Audit.CHANGE, answer_headers=tagged, example=dict(kind.example),
        ),
        Operation(
            f"remove{name}", "DELETE", path, inventory.removing(kind.section, kind.parameter), _TAG, f"Remove a {noun}",
            "400 where another entry names it: each such place is listed.",
            None, parameters=(entry, _IF_MATCH), refusals=(400, 401, 403, 404, 412, 500, 503), needs=needs.ADMINISTER, audit=Audit.CHANGE,
        ),
    )  # fmt: skip


INVENTORY_OPERATIONS: Final = (
    Operation(
        "getInventory", "GET", _WHOLE, inventory.read_inventory, _TAG, "Read the inventory",
        "The whole one of the caller's tenant, every kind of entry by its ids; empty where there is none. There is no secret in it. It is what was "
        "written down, as it can be sent back; what sources bring is there too where that is wanted.",
        models.Inventory, parameters=(_WITH_SOURCES, _IF_NONE_MATCH), refusals=(400, 401, 403, 500, 503), needs=needs.READ_INVENTORY, audit=Audit.READ,
        answer_headers={"ETag": "Changes with the inventory."}, may_be_known=True,
    ),
    Operation(
        "replaceInventory", "PUT", _WHOLE, inventory.replace_inventory, _TAG, "Replace the inventory",
        "All of it, or nothing where there is a fault; every fault is listed. What is left out is gone afterwards: send `If-Match`, so that "
        "nobody's change is lost. Credentials that are named have to be there.",
        models.Inventory, request=models.Inventory, parameters=(_IF_MATCH,), refusals=(400, 401, 403, 412, 413, 500, 503),
        needs=needs.ADMINISTER, audit=Audit.CHANGE, answer_headers={"ETag": "Changes with the inventory."},
        example={
            "sites": {"paris": {}},
            "vimLocations": {"paris-vc": {"site": "paris", "vcenter": {"url": "https://vcenter.example.net"}}},
            "networkFunctions": {"5f0c3b1e": {"name": "SMF Paris 1", "type": "VNF", "vimLocation": "paris-vc", "devices": ["smf-1-oam"]}},
            "devices": {"smf-1-oam": {"addresses": ["192.0.2.7"], "site": "paris"}},
        },
    ),
    *(operation for kind in KINDS for operation in _of_kind(kind)),
    Operation(
        "listSourceStates", "GET", f"{_WHOLE}/source-states", inventory.list_source_states, _TAG, "See how the sources stand",
        "Of every source, in the order of the inventory: when it was read to its end last, since when it cannot be read and why, how much it brings, and what of it "
        "cannot be used.",
        list[models.SourceStanding], refusals=(401, 403, 500, 503), needs=needs.READ_INVENTORY, audit=Audit.READ,
    ),
    Operation(
        "refreshSource", "POST", f"{_WHOLE}/sources/{{source}}/refresh", inventory.refresh_source, _TAG, "Read a source now",
        "Answers with how it stands then, or after 30 seconds: a reading that takes longer goes on (`isBeingRead`). One that goes on already is waited for.",
        models.SourceStanding, parameters=(Parameter("source", "Id of the source.", limits=ID),), refusals=(401, 403, 404, 500, 503),
        needs=needs.ADMINISTER, audit=Audit.CHANGE,
    ),
)  # fmt: skip
"""Ours; each has one path."""
