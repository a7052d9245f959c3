"""What of a request the audit trail has. Called by `app` around every operation; each says in the one table of operations what it is.

A change is recorded by the store that makes it, in the same transaction (`Caller.entry`); here is recorded what has no such: refusals, reads of
what is sensitive, and what was allowed and changed nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.types import Scope

from stepswitch.api.operation import Audit, Operation
from stepswitch.api.problems import status_of
from stepswitch.domain.errors import (
    ElsewhereError,
    ErrorCode,
    HiddenError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    StepswitchError,
    TooManyAttemptsError,
)
from stepswitch.engine.audit import Act, Actor, Entry, Judgement, Thing
from stepswitch.engine.audit_trail import AuditTrail
from stepswitch.engine.callers import Caller
from stepswitch.engine.ports import Clock

_KINDS: Final[Mapping[str, str]] = {
    "sessionId": "session",
    "workflowExecutionId": "execution",
    "workflowId": "workflow",
    "username": "user",
    "role": "role",
    "credential": "credential",
    **{name: name for name in ("site", "vimLocation", "virtualMachine", "networkFunction", "networkService", "device", "source")},
}
"""What the parameters of paths name; the first one that a path has says what is acted on."""
_CODES_OF_REFUSALS: Final = frozenset({ErrorCode.WRONG_CREDENTIALS, ErrorCode.NOT_PERMITTED, ErrorCode.LOGIN_NOT_COMPLETED})


OF_NO_TENANT: Final = ""
"""The tenant of records that only administrators of the tenant `default` see."""


class Recording:
    """Records the requests of one service."""

    def __init__(self, trail: AuditTrail, clock: Clock) -> None:
        self._trail = trail
        self._clock = clock

    def begin(self, operation: Operation, caller: Caller, scope: Scope) -> Caller:
        """Return the caller as somebody whose change is recorded, where the operation makes one."""
        return caller.acting(self._act(operation, scope)) if operation.audit is Audit.CHANGE else caller

    def _act(self, operation: Operation, scope: Scope) -> Act:
        return Act(operation.id, self._clock.now(), address=address_of(scope), status=204 if operation.answer is None else 200)

    async def allowed(self, operation: Operation, caller: Caller, scope: Scope) -> None:
        """Record what was allowed, unless that is done; called before it is answered. Raises StoreError: then it is not answered."""
        if operation.audit is Audit.READ or (caller.act is not None and caller.act.is_recorded):
            return
        entry = self._entry(operation, caller, scope)
        if operation.audit is Audit.CHANGE:
            await self._trail.record(entry)
        else:
            await self._trail.record_often(entry)

    async def failed(self, operation: Operation, caller: Caller, scope: Scope, error: StepswitchError) -> None:
        """Record an error that is a refusal."""
        if not _is_refusal(operation, error):
            return
        entry = replace(self._entry(operation, caller, scope), judgement=Judgement.REFUSED, status=status_of(error))
        if not caller.user:
            entry = replace(entry, kind=Actor.UNKNOWN, tenant=entry.tenant if entry.user else "")
        if isinstance(error, ElsewhereError) and operation.audit is not Audit.SENSITIVE:  # there, what is nowhere is recorded as well
            entry = replace(entry, tenant=OF_NO_TENANT)
        await self._trail.record_often(entry)

    def _entry(self, operation: Operation, caller: Caller, scope: Scope) -> Entry:
        act = caller.act or self._act(operation, scope)
        entry = caller.acting(act).entry(_thing(scope["path_params"]))
        if entry is None:
            raise AssertionError("whoever acts is recorded")
        return entry


def _is_refusal(operation: Operation, error: StepswitchError) -> bool:
    if isinstance(error, NotPermittedError | HiddenError | TooManyAttemptsError):
        return True
    if isinstance(error, InvalidRequestError):
        return any(fault.code in _CODES_OF_REFUSALS for fault in error.faults)
    if operation.needs.is_public:
        return isinstance(error, NotAuthenticatedError)
    return operation.audit is Audit.SENSITIVE and isinstance(error, NotFoundError)


def _thing(named: Mapping[str, Any]) -> Thing:
    return next((Thing(kind, str(named[name])) for name, kind in _KINDS.items() if name in named), Thing())


def address_of(scope: Scope) -> str:
    """Return the address that a request came from; empty where there is none."""
    client = scope.get("client")
    return str(client[0]) if client else ""
