"""A client for programs: asynchronous, typed, over httpx. The command line is written on it; nothing of the service is loaded by it.

async with StepswitchClient("http://127.0.0.1:8080", username="admin", password=…) as client:
    execution = await client.executions.start(workflow_id, {"host": "192.0.2.1"})
    execution = await client.executions.wait(execution.id, timeout=600)
"""

from stepswitch.client.answers import (
    Child,
    Execution,
    Health,
    LockHolder,
    LogEntry,
    Page,
    Parent,
    Probe,
    Session,
    StepError,
    StepExecution,
    WaitingFor,
    Workflow,
)
from stepswitch.client.audit import AuditSelection
from stepswitch.client.catalogue_answers import Difference, FileAttachment, Finding, Review, Revision, ShownKey, TrustedHostKey, VroLogin
from stepswitch.client.credentials import Credential, CredentialFinding
from stepswitch.client.device_login import DeviceLogin
from stepswitch.client.downloads import Download
from stepswitch.client.errors import (
    ApiError,
    ApiFault,
    ClientError,
    ConnectionBrokenError,
    InvalidRequestError,
    NoAnswerError,
    NotAuthenticatedError,
    NotFoundError,
    NotOneError,
    NotPermittedError,
    PreconditionFailedError,
    ServiceFailedError,
    StateConflictError,
    StrangeAnswerError,
    TooLargeError,
    UnavailableError,
    UnreachableError,
    WaitTimeoutError,
)
from stepswitch.client.events import Event
from stepswitch.client.inventory import InventoryPart, SourceStanding
from stepswitch.client.locks import HeldLock
from stepswitch.client.news import ExecutionNews, LogNews, News, Reset, StepNews
from stepswitch.client.pacing import Pacing
from stepswitch.client.rehearsal_answers import Divergence, RehearsalReport, TakenStep
from stepswitch.client.selection import Selection, compare
from stepswitch.client.service import StepswitchClient
from stepswitch.client.sessions import UserSession
from stepswitch.client.tenants import Amount, TenantUsage
from stepswitch.client.users import Role, User

__all__ = [
    "Amount",
    "ApiError",
    "ApiFault",
    "AuditSelection",
    "Child",
    "ClientError",
    "ConnectionBrokenError",
    "Credential",
    "CredentialFinding",
    "DeviceLogin",
    "Difference",
    "Divergence",
    "Download",
    "Event",
    "Execution",
    "ExecutionNews",
    "FileAttachment",
    "Finding",
    "Health",
    "HeldLock",
    "InvalidRequestError",
    "InventoryPart",
    "LockHolder",
    "LogEntry",
    "LogNews",
    "News",
    "NoAnswerError",
    "NotAuthenticatedError",
    "NotFoundError",
    "NotOneError",
    "NotPermittedError",
    "Pacing",
    "Page",
    "Parent",
    "PreconditionFailedError",
    "Probe",
    "RehearsalReport",
    "Reset",
    "Review",
    "Revision",
    "Role",
    "Selection",
    "ServiceFailedError",
    "Session",
    "ShownKey",
    "SourceStanding",
    "StateConflictError",
    "StepError",
    "StepExecution",
    "StepNews",
    "StepswitchClient",
    "StrangeAnswerError",
    "TakenStep",
    "TenantUsage",
    "TooLargeError",
    "TrustedHostKey",
    "UnavailableError",
    "UnreachableError",
    "User",
    "UserSession",
    "VroLogin",
    "WaitTimeoutError",
    "WaitingFor",
    "Workflow",
    "compare",
]
