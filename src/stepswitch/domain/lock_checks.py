"""What can be said about the locks of a document without running it. Called by `validation` for each step."""

from stepswitch.domain.document import Step
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.locks import OF_DEVICE
from stepswitch.domain.names import shown
from stepswitch.domain.step_checks import Scope


def check_locks(step: Step, scope: Scope) -> None:
    """Note every fault of the locks in the policy of `step`."""
    policy, path = step.policy, f"steps.{step.id}.policy"
    for field, name in (("lock", policy.lock), ("unlock", policy.unlock)):
        if name == OF_DEVICE:
            _check_device(step, f"{path}.{field}", scope)
    if policy.unlock is not None and policy.unlock not in (locked := _locked(scope)):
        hint = scope.report.hint(policy.unlock, locked)
        scope.report.fault(
            ErrorCode.UNDECLARED_NAME, f"{path}.unlock", f"no step has the lock {shown(policy.unlock)!r} in its policy{hint}"
        )


def _check_device(step: Step, path: str, scope: Scope) -> None:
    signature = scope.step_types.find(step.type)
    if signature is not None and not signature.device_inputs:
        message = f"{signature.name} acts on no device: say it of a step that acts on the one that is meant, or give the lock a name"
        scope.report.fault(ErrorCode.INVALID_VALUE, path, message)


def _locked(scope: Scope) -> dict[str, None]:
    return {each.policy.lock: None for each in scope.found.workflow.steps.values() if each.policy.lock is not None}
