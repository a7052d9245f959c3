"""A workflow as written (schema 3.0), parsed into values. Read by `decide`, made by `parsing` from a JSON object.

`source` keeps the JSON object as it was sent, unknown fields included, so that it can be given back unchanged.
Source: `workflow-semantics`, section 1; `rest-api`, section 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from stepswitch.domain.templates import Template
from stepswitch.domain.values import Value, ValueType

JsonObject = Mapping[str, Any]
MAX_STEPS: Final = 2_000
MAX_DEPTH: Final = 64
SCHEMA_VERSION: Final = "3.0"


class Comparator(StrEnum):
    """The documented comparators, complete."""

    EQUALS = "equals"
    DIFFERENT = "different"
    CONTAINS = "contains"
    MATCH = "match"
    GREATER = "greater"
    SMALLER = "smaller"
    GREATER_OR_EQUALS = "greaterOrEquals"
    SMALLER_OR_EQUALS = "smallerOrEquals"
    IS_DEFINED = "isDefined"
    IS_TRUE = "isTrue"
    IS_FALSE = "isFalse"


class OwnerType(StrEnum):
    """Who a workflow belongs to."""

    VNF = "VNF"
    CNF = "CNF"
    NS = "NS"
    USER = "USER"


@dataclass(frozen=True, slots=True)
class Declaration:
    """An input, a variable or an output of the workflow. `required` and `default` are an input's or a variable's."""

    name: str
    type: ValueType
    format: str | None = None
    description: str | None = None
    required: bool = False
    default: Value | None = None


@dataclass(frozen=True, slots=True)
class InBinding:
    """What one input of a step takes: the value named by `export_name`, else the default."""

    name: str
    type: ValueType
    format: str | None = None
    export_name: str | None = None
    default: Value | None = None
    template: Template | None = None
    """The default with its `{{name}}` references; None where the default is a plain value."""


@dataclass(frozen=True, slots=True)
class OutBinding:
    """`target` is the workflow's variable or output that is written, `name` the step's own output."""

    target: str
    name: str
    type: ValueType
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a step; `next_step_id` None ends the workflow. One of a probe names an output of the probe and leads nowhere."""

    name: str
    comparator: Comparator
    value: Value | None = None
    next_step_id: str | None = None
    template: Template | None = None
    """The value with its `{{name}}` references, of a probe's condition; None where the value is a plain one."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`max_attempts` counts the first one; the n-th retry waits `delay_seconds * backoff ** (n - 1)`."""

    max_attempts: int = 1
    delay_seconds: float = 0.0
    backoff: float = 1.0


@dataclass(frozen=True, slots=True)
class ProbePolicy:
    """How to find out whether an attempt has acted of which nobody knows: its step type once more, with inputs that only look.

    `in_bindings` go over the inputs of the step. What was done is settled by `done` alone, what was not by `not_done` alone, and
    each only where all of its conditions hold. `out_bindings` are written where it was done.
    """

    in_bindings: tuple[InBinding, ...] = ()
    done: tuple[Condition, ...] = ()
    not_done: tuple[Condition, ...] = ()
    out_bindings: tuple[OutBinding, ...] = ()
    timeout_seconds: float = 60.0
    delay_seconds: float = 0.0
    max_attempts: int = 3

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Those of both lists."""
        return (*self.done, *self.not_done)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the author wants done about time, failure and doubt. Ours; a vendor's file has none."""

    timeout_seconds: float | None = None
    delay_seconds: float = 0.0
    retry: RetryPolicy = RetryPolicy()
    on_failure_step_id: str | None = None
    on_unknown_step_id: str | None = None
    safe_to_rerun: bool | None = None
    """None where the author says nothing: then the step type decides."""
    probe: ProbePolicy | None = None
    lock: str | None = None
    """What nobody else has from this step on: the name of a lock, or `locks.OF_DEVICE`."""
    unlock: str | None = None
    """Which lock is let go after this step."""


NO_POLICY: Final = Policy()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a workflow."""

    id: str
    type: str
    next_step_id: str | None = None
    conditions: tuple[Condition, ...] = ()
    in_bindings: tuple[InBinding, ...] = ()
    out_bindings: tuple[OutBinding, ...] = ()
    policy: Policy = NO_POLICY
    source: JsonObject = field(default_factory=dict, repr=False)

    @property
    def all_in_bindings(self) -> tuple[InBinding, ...]:
        """Its inputs and those of its probe."""
        probe = self.policy.probe
        return self.in_bindings if probe is None else (*self.in_bindings, *probe.in_bindings)

    @property
    def all_conditions(self) -> tuple[Condition, ...]:
        """Its conditions and those of its probe."""
        probe = self.policy.probe
        return self.conditions if probe is None else (*self.conditions, *probe.conditions)

    @property
    def all_out_bindings(self) -> tuple[OutBinding, ...]:
        """What it writes, and what its probe does."""
        probe = self.policy.probe
        return self.out_bindings if probe is None else (*self.out_bindings, *probe.out_bindings)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A whole document. Names of inputs, variables and outputs are one namespace: `declarations`."""

    name: str
    version: str
    start_step_id: str | None
    inputs: Mapping[str, Declaration]
    variables: Mapping[str, Declaration]
    outputs: Mapping[str, Declaration]
    steps: Mapping[str, Step]
    attachments: Mapping[str, str]
    """Key of an attachment → the id of its file."""
    declarations: Mapping[str, Declaration]
    source: JsonObject = field(repr=False)

    @property
    def is_draft(self) -> bool:
        """Whether it can only be stored: it has no steps, or does not say where to start."""
        return not self.steps or self.start_step_id is None
