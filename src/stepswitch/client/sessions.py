"""Logins and API tokens that go on. `StepswitchClient.sessions` is this."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from stepswitch.client.reading import Reader, items_of
from stepswitch.client.selection import as_text
from stepswitch.client.transport import Call, Transport
from stepswitch.client.workflows import OWN_ROOT


@dataclass(frozen=True, slots=True)
class UserSession:
    """A login, or an API token, which has a name. `privileges` are what a token is good for; None is everything that its user may."""

    id: str
    kind: str
    username: str
    created_at: datetime
    expires_at: datetime
    is_this_one: bool
    name: str | None
    privileges: tuple[str, ...] | None
    address: str | None
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "UserSession":
        """Return a session as a value."""
        of = Reader(value, "session")
        return cls(
            of.text("id"),
            of.text("kind"),
            of.text("username"),
            of.time("createdAt"),
            of.time("expiresAt"),
            of.flag("isThisOne"),
            of.maybe_text("name"),
            of.texts("privileges") if "privileges" in of.raw else None,
            of.maybe_text("address"),
            {name: shown for name, shown in of.raw.items() if name != "token"},
        )


class Sessions:
    """The caller's own sessions; with `username`, for administrators, those of a user."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self, username: str | None = None) -> Sequence[UserSession]:
        """Return those that go on, the newest first."""
        answer, _ = await self._transport.json(Call("GET", f"{_root(username)}/sessions", "sessions", safe=True))
        return [UserSession.read(each) for each in items_of(answer)]

    async def end(self, session_id: str, username: str | None = None) -> None:
        """End one at once; raises NotFoundError."""
        place = f"{_root(username)}/sessions/{quote(session_id, safe='')}"
        await self._transport.json(Call("DELETE", place, f"session {session_id}"))

    async def create_token(
        self,
        name: str,
        *,
        privileges: Sequence[str] | None = None,
        expires_at: datetime | None = None,
        username: str | None = None,
    ) -> tuple[str, UserSession]:
        """Make an API token and return it with its session: it is never shown again. Raises InvalidRequestError with every fault."""
        body: dict[str, Any] = {"name": name}
        if privileges is not None:
            body["privileges"] = [*privileges]
        if expires_at is not None:
            body["expiresAt"] = as_text(expires_at)
        answer, _ = await self._transport.json(Call("POST", f"{_root(username)}/tokens", f"token {name}", body=body))
        return Reader(answer, "token").text("token"), UserSession.read(answer)


def _root(username: str | None) -> str:
    return OWN_ROOT if username is None else f"{OWN_ROOT}/users/{quote(username, safe='')}"
