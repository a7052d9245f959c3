"""The inventory: what there is, where it is, and how it is reached. `StepswitchClient.inventory` is one of these."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from stepswitch.client.reading import Reader, items_of
from stepswitch.client.transport import Call, Transport
from stepswitch.client.workflows import OWN_ROOT
from stepswitch.domain.inventory import Section

_WHOLE: Final = f"{OWN_ROOT}/inventory"
_PATHS: Final = {section: re.sub("([A-Z])", r"-\1", section.value).lower() for section in Section}


@dataclass(frozen=True, slots=True)
class InventoryPart:
    """An inventory or one entry of it, as its document. `etag` is of the state that was read; give it back as `if_match`."""

    document: Mapping[str, Any] = field(repr=False)
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class SourceStanding:
    """How a source of the inventory stands. `state` is CURRENT, STALE or UNREAD; `error` says why it cannot be read, None where it can."""

    source: str
    state: str
    is_being_read: bool
    read_at: datetime | None
    asked_at: datetime | None
    failing_since: datetime | None
    error: str | None
    network_functions: int
    network_services: int
    virtual_machines: int
    problems: tuple[str, ...]
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "SourceStanding":
        """Return how a source stands as a value."""
        of = Reader(value, "source of the inventory")
        return cls(
            source=of.text("source"),
            state=of.text("state"),
            is_being_read=of.flag("isBeingRead"),
            read_at=of.maybe_time("readAt"),
            asked_at=of.maybe_time("askedAt"),
            failing_since=of.maybe_time("failingSince"),
            error=Reader(of.mapping("error"), "error of a source").text("message") if of.has("error") else None,
            network_functions=of.number("networkFunctions", 0),
            network_services=of.number("networkServices", 0),
            virtual_machines=of.number("virtualMachines", 0),
            problems=of.texts("problems"),
            raw=of.raw,
        )


class InventoryAccess:
    """The inventory of the caller's tenant. Changing it is for administrators; seeing it takes Inventory Read."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get(self, *, with_sources: bool = False) -> InventoryPart:
        """Return the whole inventory as it was written down; with what its sources bring where that is wanted, which `replace` does not take."""
        return await self._part(Call("GET", _WHOLE, "inventory", {"withSources": "true"} if with_sources else {}, safe=True))

    async def source_states(self) -> Sequence[SourceStanding]:
        """Return how every source stands, by their ids."""
        answer, _ = await self._transport.json(Call("GET", f"{_WHOLE}/source-states", "sources of the inventory", safe=True))
        return [SourceStanding.read(each) for each in items_of(answer)]

    async def refresh_source(self, source_id: str) -> SourceStanding:
        """Have a source read now, and return how it stands then; raises NotFoundError. A reading of more than 30 seconds goes on."""
        path = f"{_place(Section.SOURCES, source_id)}/refresh"
        answer, _ = await self._transport.json(Call("POST", path, f"source {source_id}"))
        return SourceStanding.read(answer)

    async def replace(self, document: Mapping[str, Any], *, if_match: str | None = None) -> InventoryPart:
        """Put another inventory in its place, and return it; raises InvalidRequestError with every fault, PreconditionFailedError."""
        return await self._part(Call("PUT", _WHOLE, "inventory", headers=_matching(if_match), body=dict(document)))

    async def get_entry(self, section: Section | str, entry_id: str) -> InventoryPart:
        """Return one entry; raises NotFoundError, and ValueError where there is no such section."""
        return await self._part(Call("GET", _place(section, entry_id), f"entry {entry_id}", safe=True))

    async def put_entry(
        self, section: Section | str, entry_id: str, document: Mapping[str, Any], *, if_match: str | None = None
    ) -> InventoryPart:
        """Store one entry, a new one or in place of the one called so, and return it; raises as `replace` does."""
        call = Call("PUT", _place(section, entry_id), f"entry {entry_id}", headers=_matching(if_match), body=dict(document))
        return await self._part(call)

    async def remove_entry(self, section: Section | str, entry_id: str, *, if_match: str | None = None) -> None:
        """Remove one entry; raises NotFoundError, and InvalidRequestError where another one names it."""
        await self._transport.json(Call("DELETE", _place(section, entry_id), f"entry {entry_id}", headers=_matching(if_match)))

    async def _part(self, call: Call) -> InventoryPart:
        answer, headers = await self._transport.json(call)
        return InventoryPart(Reader(answer, call.about).raw, headers.get("etag"))


def _place(section: Section | str, entry_id: str) -> str:
    return f"{_WHOLE}/{_PATHS[Section(section)]}/{quote(entry_id, safe='')}"


def _matching(etag: str | None) -> Mapping[str, str]:
    return {} if etag is None else {"If-Match": etag}
