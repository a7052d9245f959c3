"""The inventory: what there is, where it is, and how it is reached. `StepswitchClient.inventory` is one of these."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from stepswitch.client.reading import Reader
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


class InventoryAccess:
    """The inventory of the caller's tenant. Changing it is for administrators; seeing it takes Inventory Read."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get(self) -> InventoryPart:
        """Return the whole inventory."""
        return await self._part(Call("GET", _WHOLE, "inventory", safe=True))

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
