"""What the status of a pod says: whether its script has begun, has ended, will never begin, and why. Called by `kubernetes_run`; asks nobody.

Whether somebody knows how far the script came decides between FAILED and UNKNOWN: one that never began or ended by itself is known, one
that was ended by others in its middle is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.plugin import ErrorCode, Result
from stepswitch.steps.kubernetes_api import ApiError, shortened
from stepswitch.steps.output import harmless

_SHOWN: Final = 600
_IMAGE_REASONS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CONTAINER_REASONS: Final = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError"})
_NOT_STARTED: Final = frozenset({"StartError", "ContainerCannotRun"})
_NODE_LOST: Final = frozenset({"NodeLost", "DeletionByTaintManager", "DeletionByPodGC"})
_DISRUPTED: Final = frozenset(
    {
        "Evicted",
        "EvictionByEvictionAPI",
        "PreemptionByScheduler",
        "PreemptionByKubeScheduler",
        "Preempting",
        "TerminationByKubelet",
        "NodeShutdown",
    }
)
_ENDED: Final = frozenset({"Succeeded", "Failed"})
_QUOTA: Final = ("exceeded quota", "failed quota")
_NO_RIGHT: Final = ("is forbidden: User ", "is forbidden: not ")


@dataclass(frozen=True, slots=True)
class Why:
    """Why a script did not begin, or did not end by itself."""

    code: ErrorCode
    message: str


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as the cluster last told of it. `is_removed`: it is no longer there."""

    name: str
    node: str | None
    phase: str
    reason: str
    message: str
    is_deleted: bool
    disruption: str
    unschedulable: str | None
    waiting: str
    waiting_message: str
    exit_code: int | None
    ending: str
    ending_message: str
    is_running: bool
    is_removed: bool = False

    @property
    def has_begun(self) -> bool:
        """Whether the script has begun, whatever became of it."""
        return self.is_running or (self.exit_code is not None and self.ending not in _NOT_STARTED)

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs any more, or nobody will ever know."""
        return self.is_removed or self.exit_code is not None or self.phase in _ENDED or self.is_lost

    @property
    def is_lost(self) -> bool:
        """Whether its node does not answer."""
        return self.phase == "Unknown" or self.reason in _NODE_LOST or self.disruption in _NODE_LOST

    @property
    def never_begins(self) -> Why | None:
        """Why the container does not begin as things are; None where it has, or may yet."""
        if self.waiting in _IMAGE_REASONS:
            return Why(ErrorCode.IMAGE_NOT_PULLED, f"the image cannot be pulled: {_told(self.waiting, self.waiting_message)}")
        if self.waiting in _CONTAINER_REASONS:
            return Why(ErrorCode.POD_REFUSED, f"the container cannot begin: {_told(self.waiting, self.waiting_message)}")
        return None

    def why_ended(self) -> Why | None:
        """Why it is over, where that is not the script's own end."""
        cause = self.disruption or self.reason or self.phase
        match self:
            case _ if self.is_lost:
                code, why = ErrorCode.NODE_LOST, f"the node {self.node} was lost: {_told(cause, self.message)}"
            case _ if self.reason in _DISRUPTED or self.disruption in _DISRUPTED:
                code, why = ErrorCode.EVICTED, f"the cluster ended the pod: {_told(cause, self.message)}"
            case Pod(reason="DeadlineExceeded"):
                code, why = ErrorCode.TIMEOUT, "the cluster ended the pod: it has run for as long as it may"
            case Pod(ending="OOMKilled"):
                code, why = ErrorCode.MEMORY_LIMIT, "the script was ended: it took more memory than its limit"
            case _ if self.ending in _NOT_STARTED:
                code, why = ErrorCode.POD_REFUSED, f"the container did not begin: {_told(self.ending, self.ending_message)}"
            case _ if self.exit_code != 0 and (self.is_deleted or self.is_removed):
                code, why = ErrorCode.POD_REMOVED, "somebody removed the pod before the script had ended"
            case Pod(exit_code=None):
                code, why = ErrorCode.NOT_SCHEDULED, f"the node did not take the pod: {_told(self.reason or self.phase, self.message)}"
            case _:
                return None
        return Why(code, why)


_IN_THE_MIDDLE: Final = frozenset({ErrorCode.NODE_LOST, ErrorCode.EVICTED, ErrorCode.TIMEOUT, ErrorCode.POD_REMOVED})


def result_of(why: Why, pod: Pod) -> Result:
    """Return what it comes to that a script was ended so: nobody knows what one that was stopped in its middle has done."""
    may_have_acted = pod.has_begun or (pod.is_lost and pod.node is not None)
    return Result.UNKNOWN if may_have_acted and why.code in _IN_THE_MIDDLE else Result.FAILED


def read_pod(said: Mapping[str, Any], *, is_removed: bool = False) -> Pod:
    """Return a pod from what the API says of it; what is missing there is taken for not yet known."""
    meta, spec, status = (_part(said, name) for name in ("metadata", "spec", "status"))
    conditions = {each.get("type"): each for each in status.get("conditions") or [] if isinstance(each, dict)}
    container: Mapping[str, Any] = next((each for each in status.get("containerStatuses") or [] if isinstance(each, dict)), {})
    state = _part(container, "state")
    waiting, ended = _part(state, "waiting"), _part(state, "terminated")
    scheduled, disrupted = conditions.get("PodScheduled", {}), conditions.get("DisruptionTarget", {})
    code = ended.get("exitCode")
    return Pod(
        name=_text(meta, "name"),
        node=_text(spec, "nodeName") or None,
        phase=_text(status, "phase") or "Pending",
        reason=_text(status, "reason"),
        message=_text(status, "message"),
        is_deleted=meta.get("deletionTimestamp") is not None,
        disruption=_text(disrupted, "reason") if disrupted.get("status") == "True" else "",
        unschedulable=_text(scheduled, "message") if scheduled.get("reason") == "Unschedulable" else None,
        waiting=_text(waiting, "reason"),
        waiting_message=_text(waiting, "message"),
        exit_code=code if isinstance(code, int) else None,
        ending=_text(ended, "reason"),
        ending_message=_text(ended, "message"),
        is_running=isinstance(state.get("running"), dict),
        is_removed=is_removed,
    )


def refused(error: ApiError, what: str) -> Why:
    """Return why the API said no, in the words of a step."""
    message, whom = str(error), error.whom
    if any(word in message for word in _QUOTA):
        return Why(ErrorCode.QUOTA_EXCEEDED, f"{what}: {whom} does not allow it by the quota of the namespace: {message}")
    match error.status:
        case 401:
            return Why(ErrorCode.LOGIN_REFUSED, f"{what}: {whom} does not accept who we are: {message}")
        case 403 if any(word in message for word in _NO_RIGHT):
            return Why(ErrorCode.PERMISSION_DENIED, f"{what}: {whom} says that we may not: {message}")
        case 400 | 403 | 404 | 409 | 422:
            return Why(ErrorCode.POD_REFUSED, f"{what}: {whom} does not take it: {message}")
        case 0:
            return Why(ErrorCode.MALFORMED_ANSWER, f"{what}: {whom}: {message}")
        case _:
            return Why(ErrorCode.UNEXPECTED_STATUS, f"{what}: {whom} answered {error.status}: {message}")


def _told(reason: str, message: str) -> str:
    return f"{reason}: {message}" if message else reason or "no reason is given"


def _part(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = said.get(name)
    return part if isinstance(part, dict) else {}


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    return shortened(harmless(value), _SHOWN) if isinstance(value, str) else ""
