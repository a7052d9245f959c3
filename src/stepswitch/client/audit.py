"""The audit trail, for administrators. `StepswitchClient.audit` is this."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from stepswitch.client.reading import items_of
from stepswitch.client.transport import Call, Transport
from stepswitch.client.workflows import OWN_ROOT

_PLACE: Final = f"{OWN_ROOT}/audit"
_ABOUT: Final = "audit trail"


@dataclass(frozen=True, slots=True)
class AuditSelection:
    """Which records are wanted; None is for all. `about` is the id of a workflow or an execution, or the name of a user or a role."""

    since: datetime | None = None
    until: datetime | None = None
    user: str | None = None
    operation: str | None = None
    about: str | None = None
    outcome: str | None = None

    def query(self) -> dict[str, str]:
        """Return what is sent of it."""
        times = {name: value.isoformat() for name, value in (("since", self.since), ("until", self.until)) if value is not None}
        texts = {"user": self.user, "operation": self.operation, "object": self.about, "outcome": self.outcome}
        return {**times, **{name: value for name, value in texts.items() if value is not None}}


class AuditTrail:
    """Who did what. Every method raises NotPermittedError where the caller is no administrator."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def records(self, selection: AuditSelection | None = None) -> AsyncGenerator[Mapping[str, Any]]:
        """Yield records with their places in the chain, the newest first, page by page."""
        query = (selection or AuditSelection()).query()
        while True:
            answer, headers = await self._transport.json(Call("GET", _PLACE, _ABOUT, query, safe=True))
            for each in items_of(answer):
                yield each
            link = headers.get("link")
            if link is None:
                return
            query = dict(parse_qsl(urlsplit(link.partition(">")[0].lstrip("<")).query))

    async def export(self, selection: AuditSelection | None = None) -> AsyncGenerator[bytes]:
        """Yield all records as JSON lines, the oldest first, in pieces as they come."""
        call = Call("GET", f"{_PLACE}/export", _ABOUT, (selection or AuditSelection()).query(), safe=True)
        async with self._transport.open(call) as incoming:
            async for chunk in incoming.chunks():
                yield chunk
