"""The structures of the operations on users, for the description of the API. Read by `user_operations`."""

from stepswitch.api.wire.models import Structure, maybe, must

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

    password: str = maybe("Another password: ends every session of the user.")
    roles: list[str] = maybe("The names of all roles from now on.", examples=[_ROLES])
    is_disabled: bool = maybe("True ends every session of the user, and no other one begins.")


class OwnPassword(Structure):
    """The change of one's own password."""

    old_password: str = must("What it is now.")
    new_password: str = must("What it is to be: at least 12 characters.")


class NewRole(Structure):
    """A role to make."""

    name: str = must("The name.", examples=["Core executor"])
    privileges: list[str] = must("What it lets people do; what that implies is added.", examples=[["Workflow Execute"]])
    workflow_names: list[str] = maybe(
        "For which workflows: names, or beginnings with `*` behind them; all unless said.", examples=[["core *"]]
    )


class Role(Structure):
    """What somebody can be given."""

    name: str = must("The name.", examples=["Core executor"])
    privileges: list[str] = must("What it lets people do.", examples=[["Workflow Read", "Workflow Execute"]])
    workflow_names: list[str] = must("For which workflows; for all where it is empty.", examples=[["core *"]])
