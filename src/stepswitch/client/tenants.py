"""How much tenants use of what they may have, for administrators. `StepswitchClient.tenants` is one of these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stepswitch.client.reading import Reader, items_of
from stepswitch.client.transport import Call, Transport
from stepswitch.client.workflows import OWN_ROOT


@dataclass(frozen=True, slots=True)
class Amount:
    """So much of something, and how much there may be: None where there is no limit."""

    used: int
    limit: int | None

    @classmethod
    def read(cls, value: object, about: str) -> "Amount":
        """Return an amount as a value."""
        of = Reader(value, about)
        return cls(of.number("used", 0), of.number("limit", 0) if of.has("limit") else None)


@dataclass(frozen=True, slots=True)
class TenantUsage:
    """What a tenant uses."""

    tenant_id: str
    executions_at_once: Amount
    queued_executions: Amount
    stored_executions: Amount
    file_bytes: Amount
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "TenantUsage":
        """Return what a tenant uses as a value."""
        of = Reader(value, "usage")
        return cls(
            of.text("tenantId"),
            executions_at_once=Amount.read(of.raw.get("executionsAtOnce"), "executionsAtOnce of usage"),
            queued_executions=Amount.read(of.raw.get("queuedExecutions"), "queuedExecutions of usage"),
            stored_executions=Amount.read(of.raw.get("storedExecutions"), "storedExecutions of usage"),
            file_bytes=Amount.read(of.raw.get("fileBytes"), "fileBytes of usage"),
            raw=of.raw,
        )


class Tenants:
    """The tenants whom the caller looks after. Every method raises NotPermittedError where the caller is no administrator."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def usage(self, tenant_id: str | None = None) -> Sequence[TenantUsage]:
        """Return what each tenant uses, or the one that is named; raises NotFoundError where the caller looks after none called so."""
        query = {} if tenant_id is None else {"tenantId": tenant_id}
        about = "usage" if tenant_id is None else f"tenant {tenant_id}"
        answer, _ = await self._transport.json(Call("GET", f"{OWN_ROOT}/usage", about, query, safe=True))
        return [TenantUsage.read(each) for each in items_of(answer)]
