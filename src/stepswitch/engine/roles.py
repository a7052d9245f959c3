"""The use cases of a tenant's own roles, beside those that are always there. Called by `api.roles` and the command line."""

from collections.abc import Sequence
from typing import Any, Final

from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, NotFoundError, VersionConflictError
from stepswitch.engine.account_ports import AccountStore
from stepswitch.engine.audit import Thing
from stepswitch.engine.callers import Caller
from stepswitch.engine.names_of_people import name_faults
from stepswitch.engine.privileges import ANY, ROLES, Privilege, Role, grant, role_name

MOST_NAMES: Final = 100
LONGEST_NAME: Final = 256


class Roles:
    """Looks after the roles of the caller's tenant. They are made and removed, and never change: who has one knows what it is."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    async def all(self, caller: Caller) -> Sequence[Role]:
        """Return every role that users of the tenant can have: those that are always there first."""
        caller.require(Privilege.ADMINISTRATION)
        return [*ROLES.values(), *await self._store.roles(caller.tenant)]

    async def add(self, caller: Caller, name: str, privileges: Sequence[str], workflow_names: Sequence[str]) -> Role:
        """Make a role and return it; raises InvalidRequestError with every fault."""
        caller.require(Privilege.ADMINISTRATION)
        faults: list[Fault] = [*name_faults("name", name), *_privilege_faults(privileges), *_workflow_faults(workflow_names)]
        if role_name(name) in ROLES:
            faults.append(_taken())
        if faults:
            raise InvalidRequestError(faults)
        role = Role(name, grant(map(Privilege, privileges)).privileges, tuple(workflow_names))
        try:
            await self._store.add_role(caller.tenant, role, caller.entry(Thing("role", name), after=_shown(role)))
        except VersionConflictError:
            raise InvalidRequestError([_taken()]) from None
        return role

    async def remove(self, caller: Caller, name: str) -> None:
        """Remove a role that nobody has; raises NotFoundError where the tenant has none called so, InvalidRequestError where somebody has it."""
        caller.require(Privilege.ADMINISTRATION)
        role = next((each for each in await self._store.roles(caller.tenant) if each.name == name), None)
        if role is None:
            raise NotFoundError(f"no role {name}, beside those that are always there")
        holders = [account.name for account in await self._store.accounts(caller.tenant) if name in account.roles]
        if holders:
            message = f"is the role of {', '.join(holders[:10])}{' and others' if len(holders) > 10 else ''}; give them other ones first"
            raise InvalidRequestError([Fault(ErrorCode.STATE_CONFLICT, "name", message)])
        try:
            await self._store.remove_role(caller.tenant, name, caller.entry(Thing("role", name), before=_shown(role)))
        except VersionConflictError:
            raise NotFoundError(f"the role {name} was removed by somebody else") from None


def _shown(role: Role) -> dict[str, Any]:
    """Return what the audit trail says of a role."""
    return {"privileges": sorted(role.privileges), "workflowNames": role.workflow_names}


def _taken() -> Fault:
    message = "there is a role of this name already; roles do not change: make another one, or remove this one first"
    return Fault(ErrorCode.ALREADY_EXISTS, "name", message)


def _privilege_faults(privileges: Sequence[str]) -> list[Fault]:
    fit = [each.value for each in Privilege if each is not Privilege.ADMINISTRATION]
    if not privileges:
        return [Fault(ErrorCode.MISSING_FIELD, "privileges", f"name at least one of {', '.join(fit)}")]
    message = f"is no privilege that a role of one's own can hold; those are {', '.join(fit)}"
    return [Fault(ErrorCode.INVALID_VALUE, f"privileges[{place}]", message) for place, each in enumerate(privileges) if each not in fit]


def _workflow_faults(names: Sequence[str]) -> list[Fault]:
    if len(names) > MOST_NAMES:
        return [Fault(ErrorCode.INVALID_VALUE, "workflowNames", f"has {len(names)} names; a role has at most {MOST_NAMES}")]
    message = f"is to be the name of workflows, or its beginning with a {ANY!r} behind it, in at most {LONGEST_NAME} printable characters"
    return [
        Fault(ErrorCode.INVALID_VALUE, f"workflowNames[{place}]", message)
        for place, each in enumerate(names)
        if not 0 < len(each) <= LONGEST_NAME or not each.isprintable() or ANY in each[:-1]
    ]
