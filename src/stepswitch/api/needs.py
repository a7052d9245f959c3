"""What the caller of an operation needs, as rows of one table. Every `Operation` names one; read by `app`, `openapi` and the reference.

Where a workflow or an execution stands in the path, the use case decides, for it depends on whose that is; elsewhere `check` does.
"""

from dataclasses import dataclass
from typing import Final

from stepswitch.domain.errors import NotPermittedError
from stepswitch.engine.callers import Caller
from stepswitch.engine.privileges import Privilege


@dataclass(frozen=True, slots=True)
class Need:
    """`privilege` is what is needed, `of_others` what else lets people do it with what is not their own; `told` says it to a reader.

    `is_decided_later`: the use case decides, and whoever may not see the thing finds none.
    """

    privilege: Privilege | None
    told: str
    of_others: Privilege | None = None
    is_decided_later: bool = False
    is_public: bool = False
    is_read: bool = False
    """Whoever sees the thing may: nobody is refused."""
    of_installation: bool = False
    of_people: bool = False
    """Programs are refused: API tokens, and access tokens of a provider."""

    @property
    def may_be_refused(self) -> bool:
        """Whether 403 is among the answers."""
        return (self.privilege is not None and not self.is_read) or self.of_people

    def check(self, caller: Caller) -> None:
        """Raise NotPermittedError where it is plain before anything was read that the caller may not do this."""
        if self.privilege is not None and not self.is_decided_later:
            caller.require(self.privilege)
        if self.of_people and caller.is_program:
            raise NotPermittedError("this is not for programs: neither for API tokens nor for access tokens; log in")
        if self.of_installation and not caller.runs_installation:
            raise NotPermittedError("what all tenants share is for administrators of the tenant default")


NOTHING: Final = Need(None, "no login", is_public=True)
A_LOGIN: Final = Need(None, "a login")
A_LOGIN_OF_A_PERSON: Final = Need(None, "a login of a person: no API token, no access token", of_people=True)
LIST_WORKFLOWS: Final = Need(
    Privilege.WORKFLOW_READ, "a login; lists what is one's own or may be read", is_decided_later=True, is_read=True
)
LIST_EXECUTIONS: Final = Need(
    None, "a login; lists what is one's own or may be read", Privilege.EXECUTION_READ, is_decided_later=True, is_read=True
)
READ_WORKFLOW: Final = Need(Privilege.WORKFLOW_READ, "Workflow Read, or to have created it", is_decided_later=True, is_read=True)
CHANGE_WORKFLOW: Final = Need(Privilege.WORKFLOW_DESIGN, "Workflow Design", is_decided_later=True)
CREATE_WORKFLOW: Final = Need(Privilege.WORKFLOW_DESIGN, "Workflow Design, for its name")
DESIGN: Final = Need(Privilege.WORKFLOW_DESIGN, "Workflow Design")
VALIDATE: Final = Need(Privilege.WORKFLOW_READ, "Workflow Read")
REHEARSE: Final = Need(Privilege.WORKFLOW_READ, "Workflow Read; Workflow Design to send a workflow along")
CREATE_EXECUTION: Final = Need(
    Privilege.WORKFLOW_EXECUTE,
    "Workflow Execute, for that workflow; Function Manage too where the context is not NONE; Workflow Design too where a file takes the place "
    "of one of the workflow, or a variable in the context is a part of a command; for who gave it alone, a variable in the context that says "
    "where a stored password is used",
)
READ_EXECUTION: Final = Need(None, "to have created it, or Execution Read", Privilege.EXECUTION_READ, is_decided_later=True, is_read=True)
STEER_EXECUTION: Final = Need(
    Privilege.WORKFLOW_EXECUTE, "Workflow Execute for one's own, Execution Operate for those of others", Privilege.EXECUTION_OPERATE,
    is_decided_later=True,
)  # fmt: skip
CHANGE_EXECUTION: Final = Need(
    Privilege.WORKFLOW_EXECUTE,
    "Workflow Execute for one's own, Execution Operate for those of others; Workflow Design too where `steps` are sent",
    Privilege.EXECUTION_OPERATE,
    is_decided_later=True,
)
_STEER: Final = "Workflow Execute for one's own, Execution Operate for those of others; Workflow Design too where "
ATTACH_TO_EXECUTION: Final = Need(
    Privilege.WORKFLOW_EXECUTE,
    _STEER + "the file takes the place of one of the workflow",
    Privilege.EXECUTION_OPERATE,
    is_decided_later=True,
)
CORRECT_VALUES: Final = Need(
    Privilege.WORKFLOW_EXECUTE,
    _STEER
    + "a variable is a part of a command; for who gave it alone where a value says where a password is used that is not given with it",
    Privilege.EXECUTION_OPERATE,
    is_decided_later=True,
)
WRITE_BACK: Final = Need(
    Privilege.WORKFLOW_DESIGN,
    "to see the execution and the workflow, and Workflow Design",
    Privilege.WORKFLOW_DESIGN,
    is_decided_later=True,
)
READ_LOGIN: Final = Need(Privilege.ADMINISTRATION, "Administration", Privilege.ADMINISTRATION, is_decided_later=True)
READ_INVENTORY: Final = Need(Privilege.INVENTORY_READ, "Inventory Read")
ADMINISTER: Final = Need(Privilege.ADMINISTRATION, "Administration")
ADMINISTER_IN_PERSON: Final = Need(
    Privilege.ADMINISTRATION, "Administration, with a login of a person: no API token, no access token", of_people=True
)
RUN_INSTALLATION: Final = Need(Privilege.ADMINISTRATION, "Administration, in the tenant `default`", of_installation=True)
