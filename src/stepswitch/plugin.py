"""All that somebody who writes a step type may import.

A step type is a class with the four members of `StepType`, and that of `CleansUp` where what it starts elsewhere outlives it, registered under the
entry point group `stepswitch.step_types`; the built-in ones are registered by the same road.
"""

import errno

from stepswitch.domain.devices import Device
from stepswitch.domain.errors import AttachmentError, CredentialError, ErrorCode, TargetError
from stepswitch.domain.execution import LogLevel, Outcome, PlainValues, Result, StepError
from stepswitch.domain.inventory import (
    Algorithms,
    AlgorithmSet,
    Cluster,
    Endpoint,
    Inventory,
    KnownDevice,
    Login,
    TimeLimits,
    VimLocation,
    VirtualMachine,
)
from stepswitch.domain.networks import Address, Networks
from stepswitch.domain.references import Reference
from stepswitch.domain.secrecy import CUT
from stepswitch.domain.step_types import VRO_RUN_ID, InputSpec, OutputSpec, StepSignature
from stepswitch.domain.urls import Url, joined, read_url
from stepswitch.domain.values import Plain, ValueType
from stepswitch.engine.ports import CleansUp, HostKeys, StepContext, StepType
from stepswitch.engine.records import StoredFile

Value = Plain
Values = PlainValues
ENTRY_POINT_GROUP = "stepswitch.step_types"
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN})

__all__ = [
    "CUT",
    "ENTRY_POINT_GROUP",
    "VRO_RUN_ID",
    "Address",
    "AlgorithmSet",
    "Algorithms",
    "AttachmentError",
    "CleansUp",
    "Cluster",
    "CredentialError",
    "Device",
    "Endpoint",
    "ErrorCode",
    "HostKeys",
    "InputSpec",
    "Inventory",
    "KnownDevice",
    "LogLevel",
    "Login",
    "Networks",
    "Outcome",
    "OutputSpec",
    "Reference",
    "Result",
    "StepContext",
    "StepError",
    "StepSignature",
    "StepType",
    "StoredFile",
    "TargetError",
    "TimeLimits",
    "Url",
    "Value",
    "ValueType",
    "Values",
    "VimLocation",
    "VirtualMachine",
    "exhausted",
    "failed",
    "joined",
    "read_url",
    "unknown",
]


def failed(code: ErrorCode, message: str, outputs: Values | None = None) -> Outcome:
    """Return the outcome of an attempt that failed for certain."""
    return Outcome(Result.FAILED, outputs or {}, StepError(code, message))


def unknown(code: ErrorCode, message: str, outputs: Values | None = None) -> Outcome:
    """Return the outcome of an attempt of which nobody can say whether the target acted."""
    return Outcome(Result.UNKNOWN, outputs or {}, StepError(code, message))


def exhausted(error: OSError) -> StepError | None:
    """Return the error of a step for which this machine had no file, process or memory left, None where `error` says something else.

    A step that fails with it before it has sent anything is run again after a while.
    """
    if error.errno not in _EXHAUSTED:
        return None
    return StepError(ErrorCode.EXHAUSTED, f"nothing was sent: the machine of this service has run out: {error.strerror}")
