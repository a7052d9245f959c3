"""Who asks, and what of it is allowed. Made by `access`, passed to every use case, which asks it before it acts.

What somebody may not see is not there for him (NotFoundError); what he sees and may not do is refused (NotPermittedError).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from stepswitch.domain.changed import changed
from stepswitch.domain.errors import ElsewhereError, HiddenError, NotPermittedError
from stepswitch.domain.execution import Head
from stepswitch.engine.audit import NOTHING, Act, Actor, Entry, Thing
from stepswitch.engine.privileges import Grant, Privilege, grant
from stepswitch.engine.records import StoredWorkflow
from stepswitch.engine.selection import Reach

DEFAULT_TENANT: Final = "default"
"""The tenant where nobody set up others; its administrators look after the installation."""


class Executed(Protocol):
    """Whatever tells of an execution, and says whose it is."""

    @property
    def tenant(self) -> str:
        """Where it is."""

    @property
    def creation_user(self) -> str:
        """Who created it."""

    @property
    def workflow_name(self) -> str:
        """What its workflow was called then."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who is logged in, or the command line on its own machine."""

    user: str
    tenant: str = DEFAULT_TENANT
    grants: tuple[Grant, ...] = ()
    session_id: str = ""
    """The session by which he came."""
    is_program: bool = False
    """Whether that is an API token, or an access token of a provider."""
    has_access_token: bool = False
    """Whether he came with an access token of a provider, and has no session here."""
    act: Act | None = field(default=None, compare=False, repr=False)
    """What he asks for now, where that is recorded."""

    def acting(self, act: Act) -> "Caller":
        """Return the caller with what he asks for now."""
        return changed(self, act=act)

    def entry(self, thing: Thing, before: Mapping[str, Any] = NOTHING, after: Mapping[str, Any] = NOTHING) -> Entry | None:
        """Return the record of what he asks for, of `thing`; None where it is not recorded."""
        act = self.act
        if act is None:
            return None
        own = Actor.ACCESS_TOKEN if self.has_access_token else Actor.TOKEN if self.is_program else Actor.SESSION
        kind = act.kind or own
        return Entry(
            act.operation, act.time, act.tenant or self.tenant, act.user or self.user, kind, self.session_id, act.address, thing,
            status=act.status, before=before, after=after, act=act,
        )  # fmt: skip

    @property
    def is_administrator(self) -> bool:
        """Whether everything is allowed, in the tenant."""
        return self.may(Privilege.ADMINISTRATION)

    @property
    def runs_installation(self) -> bool:
        """Whether what all tenants share may be changed."""
        return self.tenant == DEFAULT_TENANT and self.is_administrator

    def may(self, privilege: Privilege, workflow_name: str | None = None) -> bool:
        """Return whether a privilege was granted: for workflows of this name, or, without one, for any at all."""
        for each in self.grants:  # noqa: SIM110 # every request asks several times, and a generator takes as long as all else of it
            if privilege in each.privileges and (workflow_name is None or each.covers(workflow_name)):
                return True
        return False

    def require(self, privilege: Privilege, workflow_name: str | None = None) -> None:
        """Raise NotPermittedError where a privilege was not granted."""
        if not self.may(privilege, workflow_name):
            raise NotPermittedError(f"the privilege {privilege} is needed")

    def check_sees(self, workflow: StoredWorkflow) -> None:
        """Raise NotFoundError where a workflow of the tenant may not be seen. Whoever created it may."""
        if not self._may_on(Privilege.WORKFLOW_READ, workflow) and workflow.creation_user != self.user:
            raise HiddenError(f"no workflow {workflow.id}")

    def check_may(self, privilege: Privilege, workflow: StoredWorkflow) -> None:
        """Raise NotPermittedError where a workflow that is seen may not be used so. For one's own, what the roles are narrowed to is no matter."""
        if not self._may_on(privilege, workflow):
            raise NotPermittedError(f"the privilege {privilege} is needed for the workflow {workflow.id}")

    def _may_on(self, privilege: Privilege, workflow: StoredWorkflow) -> bool:
        is_own = workflow.creation_user == self.user
        return self.may(privilege, None if is_own else str(workflow.document.get("name")))

    def sees(self, execution: Executed) -> bool:
        """Return whether an execution may be seen: one's own, and those of others with Execution Read."""
        if execution.tenant != self.tenant:
            return False
        return execution.creation_user == self.user or self.may(Privilege.EXECUTION_READ, execution.workflow_name)

    def check_sees_execution(self, execution: Head) -> None:
        """Raise NotFoundError where an execution may not be seen."""
        if execution.tenant != self.tenant:
            raise ElsewhereError(f"no execution {execution.id}")
        if not self.sees(execution):
            raise HiddenError(f"no execution {execution.id}")

    def check_steers(self, execution: Head) -> None:
        """Raise NotPermittedError where an execution that is seen may not be steered."""
        is_own = execution.creation_user == self.user
        if is_own and self.may(Privilege.WORKFLOW_EXECUTE):
            return
        self.require(Privilege.EXECUTION_OPERATE, execution.workflow_name)

    def reach(self, privilege: Privilege) -> Reach | None:
        """Return what a list may show: one's own, and what the privilege was granted for; None for everything."""
        granted = [each for each in self.grants if privilege in each.privileges]
        if any(not each.names for each in granted):
            return None
        return Reach(self.user, tuple(dict.fromkeys(name for each in granted for name in each.names)))


def administrator(user: str, tenant: str = DEFAULT_TENANT) -> Caller:
    """Return a caller who may do everything: the command line on its own machine, where nobody logs in."""
    return Caller(user, tenant, (grant([Privilege.ADMINISTRATION]),))
