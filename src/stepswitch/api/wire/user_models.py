"""The structures of the operations on users, for the description of the API. Read by `user_operations`."""

from typing import Literal

from stepswitch.api.wire.models import Time
from stepswitch.api.wire.structures import Structure, maybe, must

_ROLES = ["Workflow Executor"]


class User(Structure):
    """Somebody who can log in; of the password nothing is ever shown."""

    username: str = must("The name.", examples=["ann"])
    tenant_id: str = must("The tenant.", examples=["default"])
    roles: list[str] = must("The names of the roles.", examples=[_ROLES])
    is_disabled: bool = must("Whether nobody can log in so.")


class NewUser(Structure):
    """A user to make."""

    username: str = must("The name; taken once, whatever the tenant.", examples=["ann"])
    password: str = must("At least 12 characters, and not what is tried first.", examples=["…"])
    roles: list[str] = must("The names of the roles.", examples=[_ROLES])
    tenant_id: str = maybe("The tenant; the caller's own unless said. Others are for administrators of `default`.")


class UserChange(Structure):
    """What is to become of a user; what is left out stays as it is."""

    password: str = maybe("Another password: ends every login of the user.")
    roles: list[str] = maybe("The names of all roles from now on.", examples=[_ROLES])
    is_disabled: bool = maybe("True ends every session of the user, API tokens too, and no other one begins.")


class OwnPassword(Structure):
    """The change of one's own password."""

    old_password: str = must("What it is now.")
    new_password: str = must("What it is to be: at least 12 characters.")


class UserSession(Structure):
    """A login, or an API token; of what is sent with requests nothing is shown."""

    id: str = must("What to end it by.", examples=["9f86d081884c7d659a2feaa0"])
    kind: Literal["LOGIN", "TOKEN"] = must("Whether a person logged in, or a program has an API token.")
    username: str = must("Whose it is.", examples=["ann"])
    created_at: Time = must("When it was made.")
    expires_at: Time = must("When it ends by itself.")
    is_this_one: bool = must("Whether it is the one that this request came with.")
    name: str = maybe("What an API token is called.", examples=["nightly checks"])
    privileges: list[str] = maybe("What an API token is good for; everything that its user may where they are not there.")
    address: str = maybe("Where a login came from.", examples=["192.0.2.7"])


class NewToken(Structure):
    """An API token to make."""

    name: str = must("What it is called; a user has no two of one name.", examples=["nightly checks"])
    privileges: list[str] = maybe(
        "What it is good for, of what its user may; all of that unless said. What a privilege implies is added.",
        examples=[["Workflow Execute"]],
    )
    expires_at: Time = maybe("When it ends by itself: at most 366 days from now, 90 unless said.")


class NewlyMadeToken(UserSession):
    """An API token that was made."""

    token: str = must("What to send. It is shown here and never again.", examples=["ssw_…"])


class NewRole(Structure):
    """A role to make."""

    name: str = must("The name.", examples=["Core executor"])
    privileges: list[str] = must("What it lets people do; what that implies is added.", examples=[["Workflow Execute"]], min_length=1)
    workflow_names: list[str] = maybe(
        "For which workflows: names, or beginnings with `*` behind them; all unless said.", examples=[["core *"]]
    )


class Role(Structure):
    """What somebody can be given."""

    name: str = must("The name.", examples=["Core executor"])
    privileges: list[str] = must("What it lets people do.", examples=[["Workflow Read", "Workflow Execute"]])
    workflow_names: list[str] = must("For which workflows; for all where it is empty.", examples=[["core *"]])
