"""Users and roles, for administrators. `StepswitchClient.users` and `StepswitchClient.roles` are these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from stepswitch.client.reading import Reader, items_of
from stepswitch.client.transport import Call, Transport
from stepswitch.client.workflows import OWN_ROOT

_USERS: Final = f"{OWN_ROOT}/users"
_ROLES: Final = f"{OWN_ROOT}/roles"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can log in, unless disabled."""

    username: str
    tenant_id: str
    roles: tuple[str, ...]
    is_disabled: bool
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "User":
        """Return a user as a value."""
        of = Reader(value, "user")
        return cls(of.text("username"), of.text("tenantId"), of.texts("roles"), of.flag("isDisabled"), of.raw)


@dataclass(frozen=True, slots=True)
class Role:
    """What users can be given: privileges, for workflows of some names, or for all where none is named."""

    name: str
    privileges: tuple[str, ...]
    workflow_names: tuple[str, ...]
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, value: object) -> "Role":
        """Return a role as a value."""
        of = Reader(value, "role")
        return cls(of.text("name"), of.texts("privileges"), of.texts("workflowNames"), of.raw)


class Users:
    """The users whom the caller looks after. Every method raises NotPermittedError where the caller is no administrator."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> Sequence[User]:
        """Return every user."""
        answer, _ = await self._transport.json(Call("GET", _USERS, "users", safe=True))
        return [User.read(each) for each in items_of(answer)]

    async def create(self, username: str, password: str, roles: Sequence[str], *, tenant_id: str | None = None) -> User:
        """Make a user and return it; raises InvalidRequestError with every fault. The tenant is the caller's own unless said."""
        given = {"username": username, "password": password, "roles": [*roles], "tenantId": tenant_id}
        body = {name: value for name, value in given.items() if value is not None}
        answer, _ = await self._transport.json(Call("POST", _USERS, f"user {username}", body=body))
        return User.read(answer)

    async def get(self, username: str) -> User:
        """Return a user; raises NotFoundError."""
        answer, _ = await self._transport.json(Call("GET", _place(username), f"user {username}", safe=True))
        return User.read(answer)

    async def change(
        self, username: str, *, password: str | None = None, roles: Sequence[str] | None = None, is_disabled: bool | None = None
    ) -> User:
        """Change what is given, and return the user. Another password, and being disabled, end every session of the user."""
        given = {"password": password, "roles": None if roles is None else [*roles], "isDisabled": is_disabled}
        body = {name: value for name, value in given.items() if value is not None}
        answer, _ = await self._transport.json(Call("PATCH", _place(username), f"user {username}", body=body))
        return User.read(answer)

    async def end_sessions(self, username: str) -> None:
        """Log a user out everywhere."""
        await self._transport.json(Call("DELETE", f"{_place(username)}/sessions", f"user {username}"))


class Roles:
    """The roles that users can be given. Every method raises NotPermittedError where the caller is no administrator."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> Sequence[Role]:
        """Return every role: those that are always there, and those of the tenant."""
        answer, _ = await self._transport.json(Call("GET", _ROLES, "roles", safe=True))
        return [Role.read(each) for each in items_of(answer)]

    async def create(self, name: str, privileges: Sequence[str], *, workflow_names: Sequence[str] = ()) -> Role:
        """Make a role and return it; raises InvalidRequestError with every fault. `core *` are all workflows whose name begins so."""
        body: dict[str, Any] = {"name": name, "privileges": [*privileges]}
        if workflow_names:
            body["workflowNames"] = [*workflow_names]
        answer, _ = await self._transport.json(Call("POST", _ROLES, f"role {name}", body=body))
        return Role.read(answer)

    async def delete(self, name: str) -> None:
        """Remove a role that nobody has."""
        await self._transport.json(Call("DELETE", f"{_ROLES}/{quote(name, safe='')}", f"role {name}"))


def _place(username: str) -> str:
    return f"{_USERS}/{quote(username, safe='')}"
