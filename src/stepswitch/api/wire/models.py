"""Every structure of the API as a model: what `/openapi.json` shows. Read by `openapi`; the tests hold answers against them.

No request and no answer passes through these on its way: reading and writing by hand is many times faster.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from stepswitch.api.wire.structures import Kept, Structure, maybe, must
from stepswitch.domain.document import Comparator, OwnerType
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.execution import ContextType, LogLevel, Result, Status, Verdict
from stepswitch.domain.names import MAX_NAME
from stepswitch.domain.states import StepState
from stepswitch.domain.values import ValueType

Scalar = Annotated[str | float | bool, Field(description="A string, a number or a boolean; structured data travels as a JSON string.")]


class CredentialReference(Structure):
    """A credential in place of a password."""

    credential: str = must("The name of the credential.", examples=["core routers"], min_length=1, max_length=MAX_NAME)


ScalarOrCredential = Annotated[
    str | float | bool | CredentialReference,
    Field(description="A string, a number or a boolean; in place of a password a credential by its name, as an object."),
]
Time = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339 in UTC with milliseconds.",
            "examples": ["2027-01-31T08:15:00.250Z"],
        }
    ),
]


_NAME: Final[dict[str, Any]] = {"min_length": 1, "max_length": MAX_NAME}
_MAPS: Final = ("inputs", "outputs", "variables", "steps")
_MAPS_FROM_3_0: Final[dict[str, Any]] = {
    "if": {"properties": {"schemaVersion": {"const": "3.0"}}},
    "then": {"properties": {each: {"type": ["object", "null"]} for each in _MAPS}},
}


class Owner(Kept):
    """Who a workflow belongs to."""

    id: str = must("The network function, network service or user.", examples=["admin"], **_NAME)
    sub_id: str = maybe("A part of the owner.", **_NAME)
    type: OwnerType = must("What the owner is.")


class Tag(Kept):
    """A label of a workflow."""

    name: str = must("The label.", examples=["5G"])
    auto_created: bool = maybe("Whether a system made it.")


class FileReference(Kept):
    """A file of a workflow."""

    id: str = must("Id of the file that was uploaded.")
    reference: str = must("What the file is called where it comes from.", examples=["scripts/check.js"])


class Named(Kept):
    """A part of a document of schema 1.0 or 2.0, which may stand in an array."""

    name: str = must("What it is called.", **_NAME)
    type: str = must("What values it takes.")


class Input(Kept):
    """An input of a workflow."""

    type: ValueType = must("What values it takes.")
    required: bool = maybe("Whether an execution must be given a value; false unless said.")
    format: str = maybe("Free text; `text`, `json`, `xml` and `ip` are understood.")
    description: str = maybe("For people.")
    default_value: ScalarOrCredential = maybe("The value where none is given. Of type password: shown as `********`.")


class Declaration(Kept):
    """A variable or an output of a workflow."""

    type: ValueType = must("What values it takes.")
    format: str = maybe("Free text; `text`, `json`, `xml` and `ip` are understood.")
    description: str = maybe("For people.")
    default_value: ScalarOrCredential = maybe("The value that a variable starts with. Of type password: shown as `********`.")


class InBinding(Kept):
    """Where one input of a step takes its value from."""

    type: ValueType = must("What the step takes.")
    format: str = maybe("Free text.")
    description: str = maybe("For people.")
    export_name: str = maybe("The input or variable of the workflow that gives the value.", examples=["host"])
    default_value: ScalarOrCredential = maybe("The value where that has none; `{{name}}` is replaced. A password is shown as `********`.")


class OutBinding(Kept):
    """Which output of a step is written to a variable or output of the workflow."""

    name: str = must("The step's own output.", examples=["outputText"])
    type: ValueType = must("Its type.")
    format: str = maybe("Free text.")


class Condition(Kept):
    """Tried in order once a step has ended well; the first that holds says which step is next."""

    name: str = must("The input, variable or output that is looked at.", **_NAME)
    comparator: Comparator = must("How it is compared.")
    value: Scalar = maybe("What it is compared with. Shown as `********` where that is a password.")
    next_step_id: str = maybe("The step that is next; the workflow ends where there is none.", **_NAME)


class RetryPolicy(Kept):
    """When an attempt that failed is repeated."""

    max_attempts: int = maybe("Attempts in all, the first one included.")
    delay_seconds: float = maybe("Seconds before the first repetition.")
    backoff: float = maybe("What the delay is multiplied with each time.")


class Evidence(Kept):
    """What an output of a probe has to be like."""

    name: str = must("The output of the probe that is looked at.", examples=["outputText"])
    comparator: Comparator = must("How it is compared.")
    value: Scalar = maybe("What it is compared with; `{{name}}` in a string is replaced.")


class ProbePolicy(Kept):
    """How to find out whether an attempt has acted of which nobody knows: the same step type once more, with inputs that only look."""

    in_bindings: dict[str, InBinding] = must(
        "Inputs that go over those of the step; what is done (`cmd`) is never taken over from it.", min_length=1
    )
    done: list[Evidence] = must("The step was done where all of these hold.", min_length=1)
    not_done: list[Evidence] = must("The step was not done, and will not be, where all of these hold.", min_length=1)
    out_bindings: dict[str, OutBinding] = maybe("What is written where the step was done, in the place of its own outputs.")
    timeout_seconds: float = maybe("Longest duration of one look, in seconds; 60 unless said.")
    delay_seconds: float = maybe("Seconds to wait before each look.")
    max_attempts: int = maybe("How often to look while it cannot be told; 3 unless said.")


class Policy(Kept):
    """What the author wants done about time, failure, doubt and locks. A field of ours."""

    timeout_seconds: float = maybe("Longest duration of one attempt, in seconds.")
    delay_seconds: float = maybe("Seconds to wait before the step.")
    retry: RetryPolicy = maybe("Repetitions.")
    on_failure_step_id: str = maybe("The step that is next when the attempts are spent.")
    on_unknown_step_id: str = maybe("The step that is next when nobody knows whether the target acted.")
    safe_to_rerun: bool = maybe("Whether running the step twice can do no harm.")
    probe: ProbePolicy = maybe("How to find out whether the step was done when nobody knows.")
    lock: str = maybe("A lock that the execution has from here on: `device`, or a name.", examples=["ring north"])
    unlock: str = maybe("The lock that is let go after the step.", examples=["ring north"])


class Step(Kept):
    """A step of a workflow."""

    type: str = must("The step type.", examples=["NOOP", "JS", "TCA_SSH"])
    description: str = maybe("For people.")
    next_step_id: str = maybe("The step that is next where no condition holds; the workflow ends where there is none.", **_NAME)
    conditions: list[Condition] = maybe("Tried in this order.")
    in_bindings: dict[str, InBinding] | list[Named] = maybe("The step's inputs by name.")
    out_bindings: dict[str, OutBinding] | list[Named] = maybe("The step's outputs, by the workflow's variable or output.")
    policy: Policy = maybe("Time limits, repetitions, and what comes after a failure.")


class OlderStep(Kept):
    """A step of a document of schema 1.0 or 2.0, which may stand in an array."""

    step_id: str = must("Its id.", **_NAME)
    type: str = must("The step type, or what it is called in these schemas.")


class WorkflowBase(Kept):
    """A workflow as it is written. What the server fills in may stand in it, and is ignored. In schema 1.0 and 2.0 maps may be arrays."""

    model_config = ConfigDict(json_schema_extra=_MAPS_FROM_3_0)

    name: str = must("Name; need not be unique.", examples=["Register gNB"], **_NAME)
    version: str = must("Free text, for people.", examples=["7"])
    schema_version: Literal["1.0", "2.0", "3.0"] = must("Version of the language.", examples=["3.0"])
    owner: Owner = maybe("Who it belongs to; the caller unless said.")
    read_only: bool = maybe("Whether it can be changed; false unless said.")
    start_step_id: str = maybe("The first step. Without it, or without steps, the workflow is a draft.", **_NAME)
    description: str = maybe("For people.")
    hierarchy: list[str] = maybe("Folders in which it is shown.")
    tags: list[Tag] = maybe("Labels.")
    inputs: dict[str, Input] | list[Named] = maybe("Inputs by name.")
    outputs: dict[str, Declaration] | list[Named] = maybe("Outputs by name.")
    variables: dict[str, Declaration] | list[Named] = maybe("Variables by name.")
    attachments: dict[str, FileReference] = maybe("Files by key.")
    steps: dict[str, Step] | list[OlderStep] = maybe("Steps by id.")


class Workflow(WorkflowBase):
    """A workflow as the server has it."""

    id: str = must("Its id.")
    created_at: Time = must("When it was created.")
    creation_user: str = must("Who created it.", examples=["admin"])
    owner: Owner = must("Who it belongs to.")
    read_only: bool = must("Whether it can be changed.")
    creation_tenant_id: str = maybe("Its tenant; shown under the root that names the tenant.")


class WorkflowLinks(Structure):
    """Where to go from a workflow."""

    self: str = must("This workflow.")
    executions: str = must("Its executions.")
    attachments: str = must("Its files.")


class WorkflowResponse(Workflow):
    """A workflow of the catalogue."""

    links: WorkflowLinks = must("Where to go from here.")


class AttachmentOrder(Structure):
    """A file that an execution uses."""

    id: str = must("Id of a file that was uploaded before.")
    reference: str = maybe("What the file is called where it comes from.")


class ExecutionRoot(Structure):
    """What is said of an execution when it is created, and shown with it."""

    pause_at_failure: bool = maybe("Whether to pause when a step fails, instead of ending; false unless said.")
    debug_step_ids: list[str] = maybe("Steps to pause before.")


class WorkflowExecutionCreateRequest(ExecutionRoot):
    """Asks for an execution of a workflow."""

    workflow_id: str = must("The workflow to execute.")
    context: dict[str, Scalar | None] = maybe("What it is about: `vnfId` or `nsId`, `vimLocation`, and whatever steps shall read.")
    assignments: dict[str, ScalarOrCredential | None] = maybe("Values of inputs by name. Null is no value.")
    context_type: ContextType = must("What the execution is about.")
    attachments: dict[str, AttachmentOrder] = maybe("Files by key.")
    retained_til: str = maybe(
        "Until when the ended execution is kept, RFC 3339 with an offset. 30 days unless said, or as it is set.",
        examples=["2027-01-31T09:15:00+01:00"],
    )


class LogLine(Structure):
    """A line of log."""

    msg: str = must("What happened.", examples=["the execution was created by admin"])
    time: Time = must("When.")
    level: LogLevel = must("How much it matters.")


class ErrorEntry(Structure):
    """One thing that is wrong."""

    code: ErrorCode = must("What kind of fault.")
    message: str = must("Where it is, and what to do about it.", examples=["assignments.host: is no input of the workflow"])


class ErrorResponse(Structure):
    """Everything that is wrong with a request."""

    errors: list[ErrorEntry] = must("Every fault, not only the first.")


class StepSnapshot(Step):
    """A step as it was when the way came to it."""

    id: str = must("Its id.")


class Probe(Structure):
    """The latest look of a step's probe."""

    attempt: int = must("Which look it is, from 1.")
    state: StepState = must("Where the look stands.")
    start_time: Time = must("When it was decided to look.")
    claimed_time: Time = maybe("When a worker took it.")
    end_time: Time = maybe("When it ended.")
    inputs: dict[str, ScalarOrCredential] = must("The values that it was given.")
    outputs: dict[str, Scalar] = must("The values that it gave.")
    result: Result = maybe("What the look itself came to.")
    verdict: Verdict = maybe("What it found. DONE: the way goes on. NOT_DONE: the step runs again. UNKNOWN: it could not tell.")
    error: ErrorEntry = maybe("Why the look did not succeed.")


class Child(Structure):
    """An execution that a step waits for."""

    execution_id: str = must("The execution.")
    workflow_id: str = must("The workflow in the catalogue.")
    workflow_name: str = must("Its name when the execution was created.")
    status: Status = maybe("How it has ended.")
    waits: str = maybe("What somebody has to do there, or in an execution that it waits for itself.")


class Parent(Structure):
    """The step that waits for an execution."""

    execution_id: str = must("The execution that it belongs to.")
    step_number: int = must("The number of the step execution there.")


class StepExecution(Structure):
    """One attempt at one step. Its number is its place in the array."""

    step_snapshot: StepSnapshot = must("The step.")
    state: StepState = must("Where it stands.")
    start_time: Time = must("When the way came here.")
    aborted: bool = must("Whether somebody stopped it.")
    end_time: Time = maybe("When it ended.")
    inputs: dict[str, ScalarOrCredential] = maybe("The values that it was given.")
    outputs: dict[str, Scalar] = maybe("The values that it gave.")
    variables: dict[str, ScalarOrCredential] = maybe("The variables of the workflow when the way came here.")
    logs: list[LogLine] = maybe("What it and its target said.")
    claimed_time: Time = maybe("When a worker took it.")
    result: Result = maybe("What it came to. UNKNOWN: the target may or may not have acted.")
    error: ErrorEntry = maybe("Why it did not succeed.")
    attempt: int = maybe("Counts from 1 at each visit.")
    site: str = maybe("Where it is carried out.", examples=["default"])
    cleanup_pending: bool = maybe("Whether something may be left behind at the target: a session, a pod. Left out once it is gone.")
    probe: Probe = maybe("How it was, or is being, found out whether the step was done, where nobody knew.")
    child: Child = maybe("The execution that it waits for, or has waited for.")


class LockHolder(Structure):
    """The execution that has a lock."""

    execution_id: str = must("Its id.")
    status: Status = must("Where it stands.")


class WaitingFor(Structure):
    """One thing that an execution waits for."""

    kind: Literal["person", "device", "lock", "site", "place", "time", "hold", "execution"] = must("What kind of thing.")
    name: str = must("Which one; of a device, what the inventory calls it, else its host.", examples=["core-7"])
    since: Time = must("Since when.")
    until: Time = maybe("Until when, where that is known.")
    holder: LockHolder = maybe("Of a lock: who has it. Left out for who may not see that execution.")


class ExecutionLinks(Structure):
    """Where to go from an execution."""

    self: str = must("This execution.")
    workflow: str = must("The workflow in the catalogue, which may have changed since.")


class WorkflowExecution(ExecutionRoot):
    """An execution."""

    context: dict[str, Scalar] = maybe("What the execution is about.")
    assignments: dict[str, ScalarOrCredential] = maybe("Values of inputs by name. Passwords are shown as `********`.")
    id: str = must("Its id.")
    status: Status = maybe("Where it stands, in one word.")
    context_type: ContextType = must("What it is about.")
    workflow: Workflow = must("The workflow as it was when the execution was created.")
    attachments: dict[str, FileReference] = maybe("Files by key, those of the workflow too.")
    retained_til: Time = maybe("Until when it is kept once it has ended.")
    creation_time: Time = must("When it was created.")
    creation_user: str = must("Who created it.", examples=["admin"])
    parent: Parent = maybe("The step that waits for it.")
    aborted: bool = must("Whether somebody stopped it.")
    start_time: Time = maybe("When its first step was taken.")
    end_time: Time = maybe("When it ended.")
    outputs: dict[str, Scalar] = maybe("The outputs of the workflow that have a value.")
    accepted_failures: int = maybe("How many failed steps somebody has let pass.")
    start_step_id: str = maybe("The step at which it goes on when it is resumed, where somebody has said so.")
    queue_position: int = maybe("Its place in the queue of its tenant, from 1. 10001 stands for every place behind the first 10,000.")
    waiting_for: list[WaitingFor] = maybe("Why nothing happens at the moment.")
    step_executions: list[StepExecution] = maybe("Every attempt at a step, in order.")
    logs: list[LogLine] = maybe("What was done with the execution and which way it took.")
    links: ExecutionLinks = must("Where to go from here.")
