"""Requests about users to values with types, all faults at once. Called by `api.users`."""

from dataclasses import dataclass, field
from typing import Final

from stepswitch.api.wire.requests import request_reader, texts, time_at
from stepswitch.domain.errors import InvalidRequestError
from stepswitch.domain.readers import ObjectReader
from stepswitch.engine.logins import TokenOrder
from stepswitch.engine.users import UserOrder

_NEW_FIELDS: Final = frozenset({"username", "password", "roles", "tenantId"})
_CHANGE_FIELDS: Final = frozenset({"password", "roles", "isDisabled"})
_ROLE_FIELDS: Final = frozenset({"name", "privileges", "workflowNames"})
_TOKEN_FIELDS: Final = frozenset({"name", "privileges", "expiresAt"})
_PASSWORD_FIELDS: Final = frozenset({"oldPassword", "newPassword"})


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to make."""

    name: str
    password: str = field(repr=False)
    roles: tuple[str, ...]
    tenant: str | None


def new_user(body: object) -> NewUser:
    """Return the user to make."""
    reader = request_reader(body, _NEW_FIELDS, "username", "password", "roles")
    found = NewUser(reader.text("username") or "", reader.text("password") or "", texts(reader, "roles"), reader.text("tenantId"))
    _refuse_faults(reader)
    return found


def user_change(body: object) -> UserOrder:
    """Return what is to become of a user."""
    reader = request_reader(body, _CHANGE_FIELDS)
    roles = texts(reader, "roles")
    found = UserOrder(reader.text("password"), None if reader.source.get("roles") is None else roles, reader.flag("isDisabled"))
    _refuse_faults(reader)
    return found


@dataclass(frozen=True, slots=True)
class NewRole:
    """A role to make."""

    name: str
    privileges: tuple[str, ...]
    workflow_names: tuple[str, ...]


def new_role(body: object) -> NewRole:
    """Return the role to make."""
    reader = request_reader(body, _ROLE_FIELDS, "name", "privileges")
    found = NewRole(reader.text("name") or "", texts(reader, "privileges"), texts(reader, "workflowNames"))
    _refuse_faults(reader)
    return found


def new_token(body: object) -> TokenOrder:
    """Return the API token to make."""
    reader = request_reader(body, _TOKEN_FIELDS, "name")
    privileges = texts(reader, "privileges")
    found = TokenOrder(
        reader.text("name") or "", None if reader.source.get("privileges") is None else privileges, time_at(reader, "expiresAt")
    )
    _refuse_faults(reader)
    return found


def own_password(body: object) -> tuple[str, str]:
    """Return the old password and the new one."""
    reader = request_reader(body, _PASSWORD_FIELDS, "oldPassword", "newPassword")
    found = reader.text("oldPassword") or "", reader.text("newPassword") or ""
    _refuse_faults(reader)
    return found


def _refuse_faults(reader: ObjectReader) -> None:
    if reader.report.has_faults:
        raise InvalidRequestError(reader.report.faults)
