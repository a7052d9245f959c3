"""Network functions and network services as ETSI has them in JSON, to what of them is found. Called by `sol`.

Sources: ETSI GS NFV-SOL 003, 5.5.2.2 (`VnfInstance`), and NFV-SOL 005, 6.5.2.8 (`NsInstance`), in their versions 1 and 2. What is not used is not looked
at: a VNFM may say more, or say it in another way. What has no id is of no use, and told.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from stepswitch.domain.findings import Findings, FoundFunction, FoundMachine, FoundService, Names
from stepswitch.domain.inventory import SourceKind
from stepswitch.domain.inventory_parts import unfit_id
from stepswitch.domain.names import unfit_name, unfit_text

LONGEST_TEXT: Final = 1_024
_CONTAINERS: Final = ("KUBERNETES", "CISM", "HELM")
"""What stands in the type of a VIM connection that leads to containers."""


def instances(kind: SourceKind, items: Sequence[object]) -> Findings:
    """Return what an array of instances says."""
    functions, services, without_id = [], [], 0
    for item in items:
        if not isinstance(item, Mapping) or not _is_id(item.get("id")):
            without_id += 1
        elif kind is SourceKind.SOL003:
            functions.append(_function(item))
        else:
            inside = [each for each in _items(item.get("vnfInstance")) if _is_id(each.get("id"))]
            functions += map(_function, inside)
            services.append(_service(item, inside))
    told = (f"{without_id} of its instances have no id that can be used",) if without_id else ()
    return Findings(tuple(functions), tuple(services), told)


def _service(plain: Mapping[str, Any], functions: Sequence[Mapping[str, Any]]) -> FoundService:
    names = tuple(dict.fromkeys(each["id"] for each in functions))
    return FoundService(plain["id"], _text(plain.get("nsInstanceName")), _text(plain.get("nsInstanceDescription")), names)


def _function(plain: Mapping[str, Any]) -> FoundFunction:
    info = plain.get("instantiatedVnfInfo")
    inside: Mapping[str, Any] = info if isinstance(info, Mapping) else {}
    connections = dict(_connections(plain.get("vimConnectionInfo")))
    vims = tuple(_names(name, each.get("vimId")) for name, each in connections.items())
    return FoundFunction(
        id=plain["id"],
        name=_text(plain.get("vnfInstanceName")),
        description=_text(plain.get("vnfInstanceDescription")),
        is_instantiated=plain.get("instantiationState") == "INSTANTIATED",
        is_container=_is_container(inside, connections),
        vims=vims or tuple(_names(each) for each in _list(plain.get("vimId")) if _names(each)),
        machines=tuple(_machines(inside, connections)),
    )


def _connections(plain: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the connections to VIMs by their ids: a map in version 2, an array in version 1."""
    if isinstance(plain, Mapping):
        yield from ((name, each) for name, each in plain.items() if isinstance(each, Mapping))
    else:
        yield from ((each["id"], each) for each in _items(plain) if isinstance(each.get("id"), str))


def _machines(info: Mapping[str, Any], connections: Mapping[str, Mapping[str, Any]]) -> Iterator[FoundMachine]:
    for resource in _items(info.get("vnfcResourceInfo")):
        handle = resource.get("computeResource")
        if isinstance(handle, Mapping) and _names(handle.get("resourceId")):
            through = handle.get("vimConnectionId")
            connection = connections.get(through, {}) if isinstance(through, str) else {}
            yield FoundMachine(handle["resourceId"], _names(through, connection.get("vimId"), handle.get("vimId")))


def _is_container(info: Mapping[str, Any], connections: Mapping[str, Mapping[str, Any]]) -> bool | None:
    """Return whether a network function is made of containers; None where that is not said."""
    if _list(info.get("mcioInfo")):
        return True
    kinds = [each["vimType"].upper() for each in connections.values() if isinstance(each.get("vimType"), str)]
    return any(word in kind for kind in kinds for word in _CONTAINERS) if kinds else None


def _is_id(value: object) -> bool:
    return isinstance(value, str) and unfit_name(value) is None and unfit_id(value) is None


def _names(*values: object) -> Names:
    return tuple(dict.fromkeys(each for each in values if isinstance(each, str) and unfit_name(each) is None))


def _text(value: object) -> str:
    return value[:LONGEST_TEXT] if isinstance(value, str) and unfit_text(value) is None else ""


def _items(value: object) -> Iterator[Mapping[str, Any]]:
    return (each for each in _list(value) if isinstance(each, Mapping))


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()
