"""What somebody may be allowed to do, and the roles that bundle it: one table. Read by `callers`, `access` and `api`.

A role can be narrowed to workflows by their names: a name as it is, or its beginning followed by `*`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

ANY: Final = "*"
"""Behind the beginning of a name: whatever follows."""


class Privilege(StrEnum):
    """One thing that a role lets people do."""

    WORKFLOW_READ = "Workflow Read"
    WORKFLOW_DESIGN = "Workflow Design"
    WORKFLOW_EXECUTE = "Workflow Execute"
    EXECUTION_READ = "Execution Read"
    EXECUTION_OPERATE = "Execution Operate"
    FUNCTION_MANAGE = "Function Manage"
    INVENTORY_READ = "Inventory Read"
    ADMINISTRATION = "Administration"


MEANINGS: Final[Mapping[Privilege, str]] = MappingProxyType(
    {
        Privilege.WORKFLOW_READ: "see workflows, their files and their revisions",
        Privilege.WORKFLOW_DESIGN: "create, change, convert and delete workflows and their files; change the steps of an execution "
        "and write them back",
        Privilege.WORKFLOW_EXECUTE: "create executions, and steer one's own",
        Privilege.EXECUTION_READ: "see the executions of others",
        Privilege.EXECUTION_OPERATE: "see and steer the executions of others",
        Privilege.FUNCTION_MANAGE: "create executions whose context is a VNF, a CNF or an NS",
        Privilege.INVENTORY_READ: "see the inventory: what there is, where it is, and how it is reached",
        Privilege.ADMINISTRATION: "everything: users, roles, credentials and the inventory too, and, in the tenant `default`, the trusted host keys",
    }
)
IMPLIED: Final[Mapping[Privilege, frozenset[Privilege]]] = MappingProxyType(
    {
        Privilege.WORKFLOW_DESIGN: frozenset({Privilege.WORKFLOW_READ}),
        Privilege.WORKFLOW_EXECUTE: frozenset({Privilege.WORKFLOW_READ}),
        Privilege.EXECUTION_OPERATE: frozenset({Privilege.EXECUTION_READ}),
        Privilege.FUNCTION_MANAGE: frozenset({Privilege.INVENTORY_READ}),
        Privilege.ADMINISTRATION: frozenset(Privilege),
    }
)
"""What nobody can do without something else."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Privileges, for the workflows called as `names` say; empty for all of them. `grant` makes one that is complete."""

    privileges: frozenset[Privilege]
    names: tuple[str, ...] = ()

    def covers(self, workflow_name: str) -> bool:
        """Return whether it is good for workflows of this name."""
        return not self.names or any(
            workflow_name.startswith(each[:-1]) if each.endswith(ANY) else workflow_name == each for each in self.names
        )


def grant(privileges: Iterable[Privilege], names: Iterable[str] = ()) -> Grant:
    """Return the grant of `privileges` with all that they imply. Administration cannot be narrowed: it is everything."""
    wanted = frozenset(privileges)
    whole = wanted.union(*(IMPLIED.get(each, frozenset()) for each in wanted))
    return Grant(whole, () if Privilege.ADMINISTRATION in whole else tuple(names))


@dataclass(frozen=True, slots=True)
class Role:
    """Privileges under a name; `workflow_names` narrow it."""

    name: str
    privileges: frozenset[Privilege]
    workflow_names: tuple[str, ...] = ()

    @property
    def grant(self) -> Grant:
        """What the role lets somebody do."""
        return grant(self.privileges, self.workflow_names)


def _role(name: str, *privileges: Privilege) -> Role:
    return Role(name, grant(privileges).privileges)


ADMINISTRATOR: Final = "System Administrator"
ROLES: Final[Mapping[str, Role]] = MappingProxyType(
    {
        role.name: role
        for role in (
            _role("Workflow Designer", Privilege.WORKFLOW_READ, Privilege.WORKFLOW_DESIGN),
            _role("Workflow Executor", Privilege.WORKFLOW_READ, Privilege.WORKFLOW_EXECUTE),
            _role(ADMINISTRATOR, Privilege.ADMINISTRATION),
            _role("System Auditor", Privilege.WORKFLOW_READ, Privilege.EXECUTION_READ, Privilege.INVENTORY_READ),
            _role(
                "Operations",
                Privilege.WORKFLOW_READ,
                Privilege.WORKFLOW_EXECUTE,
                Privilege.EXECUTION_OPERATE,
                Privilege.FUNCTION_MANAGE,
            ),
        )
    }
)
"""The roles that are always there."""
_BY_SLUG: Final[Mapping[str, str]] = MappingProxyType({name.lower().replace(" ", "-"): name for name in ROLES})


def role_name(given: str) -> str:
    """Return the name of the role that is meant: `workflow-executor` is *Workflow Executor*; a role of one's own is called as it is."""
    return _BY_SLUG.get(given.lower().replace(" ", "-"), given)


def narrowed(grants: Iterable[Grant], privileges: frozenset[Privilege] | None) -> tuple[Grant, ...]:
    """Return what is left of grants where somebody comes with a token that is good for some privileges only; None is for all."""
    if privileges is None:
        return tuple(grants)
    return tuple(Grant(each.privileges & privileges, each.names) for each in grants if each.privileges & privileges)


def grants_of(names: Iterable[str], own: Mapping[str, Role]) -> tuple[Grant, ...]:
    """Return what the roles called `names` let somebody do; one that is gone lets nobody do anything. `own` are the tenant's."""
    found = (ROLES.get(role_name(name)) or own.get(name) for name in names)
    return tuple(role.grant for role in found if role is not None)
