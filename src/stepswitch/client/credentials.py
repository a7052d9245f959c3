"""Credentials, for administrators; never with their values. `StepswitchClient.credentials` is one of these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from stepswitch.client.reading import Reader, items_of
from stepswitch.client.selection import MARKER, next_marker
from stepswitch.client.transport import Call, Transport
from stepswitch.client.workflows import OWN_ROOT

_ALL: Final = f"{OWN_ROOT}/credentials"
CHECK_SECONDS: Final = 45.0
"""The service gives the place where a value is some time to answer; this is longer."""
Source = Mapping[str, str]
"""Where a value comes from: `{"kind": "stored", "value": …}`, or one of the other kinds with what leads to it."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret by its name, and who may use it where. `etag` is of the state that was read; None in a list."""

    name: str
    description: str
    source: Source
    roles: tuple[str, ...]
    workflows: tuple[str, ...]
    devices: tuple[str, ...]
    without_device: bool
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    etag: str | None
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, value: object, etag: str | None = None) -> "Credential":
        """Return a credential as a value."""
        of = Reader(value, "credential")
        return cls(
            name=of.text("name"),
            description=of.text("description"),
            source=of.mapping("source"),
            roles=of.texts("roles"),
            workflows=of.texts("workflows"),
            devices=of.texts("devices"),
            without_device=of.flag("withoutDevice"),
            created_at=of.time("createdAt"),
            created_by=of.text("createdBy"),
            changed_at=of.time("changedAt"),
            changed_by=of.text("changedBy"),
            etag=etag,
            raw=of.raw,
        )


@dataclass(frozen=True, slots=True)
class CredentialFinding:
    """Whether a credential can be opened; `problem` says why not."""

    can_be_opened: bool
    checked_at: datetime
    problem: str | None

    @classmethod
    def read(cls, value: object) -> "CredentialFinding":
        """Return a finding as a value."""
        of = Reader(value, "check of a credential")
        return cls(of.flag("canBeOpened"), of.time("checkedAt"), of.maybe_text("problem"))


class Credentials:
    """The credentials of the caller's tenant. Every method raises NotPermittedError where the caller is no administrator."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> Sequence[Credential]:
        """Return every credential, by name."""
        found: list[Credential] = []
        marker: str | None = None
        while True:
            query = {} if marker is None else {MARKER: marker}
            answer, headers = await self._transport.json(Call("GET", _ALL, "credentials", query, safe=True))
            found += [Credential.read(each) for each in items_of(answer)]
            marker = next_marker(headers)
            if marker is None:
                return found

    async def create(
        self,
        name: str,
        source: Source,
        *,
        roles: Sequence[str],
        workflows: Sequence[str],
        devices: Sequence[str],
        without_device: bool = False,
        description: str = "",
    ) -> Credential:
        """Make a credential and return it; raises InvalidRequestError with every fault."""
        lists = {"roles": [*roles], "workflows": [*workflows], "devices": [*devices]}
        body = {"name": name, "source": dict(source), **lists, "withoutDevice": without_device, "description": description}
        return await self._credential(Call("POST", _ALL, f"credential {name}", body=body))

    async def get(self, name: str) -> Credential:
        """Return a credential; raises NotFoundError."""
        return await self._credential(Call("GET", _place(name), f"credential {name}", safe=True))

    async def change(
        self,
        name: str,
        *,
        source: Source | None = None,
        roles: Sequence[str] | None = None,
        workflows: Sequence[str] | None = None,
        devices: Sequence[str] | None = None,
        without_device: bool | None = None,
        description: str | None = None,
        if_match: str | None = None,
    ) -> Credential:
        """Change what is given, and return the credential; raises PreconditionFailedError where it is not the one of `if_match` any more."""
        lists = {"roles": roles, "workflows": workflows, "devices": devices}
        body: dict[str, Any] = {field: [*value] for field, value in lists.items() if value is not None}
        others = {"source": source, "withoutDevice": without_device, "description": description}
        body |= {field: value for field, value in others.items() if value is not None}
        return await self._credential(Call("PATCH", _place(name), f"credential {name}", headers=_matching(if_match), body=body))

    async def delete(self, name: str, *, if_match: str | None = None) -> None:
        """Remove a credential, whoever refers to it: steps that still want it fail."""
        await self._transport.json(Call("DELETE", _place(name), f"credential {name}", headers=_matching(if_match)))

    async def check(self, name: str) -> CredentialFinding:
        """Return whether the service can open a credential now; the value is told to nobody."""
        call = Call("POST", f"{_place(name)}/check", f"credential {name}", safe=True, seconds=CHECK_SECONDS)
        answer, _ = await self._transport.json(call)
        return CredentialFinding.read(answer)

    async def _credential(self, call: Call) -> Credential:
        answer, headers = await self._transport.json(call)
        return Credential.read(answer, headers.get("etag"))


def _place(name: str) -> str:
    return f"{_ALL}/{quote(name, safe='')}"


def _matching(etag: str | None) -> Mapping[str, str]:
    return {} if etag is None else {"If-Match": etag}
