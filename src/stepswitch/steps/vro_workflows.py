"""The workflows of a vRO: one found by its id or its name, and what a step gives it made into its parameters. Called by `vro`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from stepswitch.plugin import AttachmentError, ErrorCode, StepContext, Value, Values
from stepswitch.steps.input_faults import InputFaultError
from stepswitch.steps.output import harmless
from stepswitch.steps.patterns import shortened
from stepswitch.steps.vro_api import Reply, VroApi, VroError
from stepswitch.steps.vro_values import ATTACHMENT, Parameter, typed, typed_file

MARKER: Final = "stepswitchAttempt"
"""An input of a vRO workflow that is given the name of the attempt, so that its run is found again by it."""
LARGEST_FILE: Final = 16 * 1024 * 1024
_SHOWN: Final = 20
_NO_SUCH: Final = frozenset({400, 404})


@dataclass(frozen=True, slots=True)
class Named:
    """A vRO workflow as a step or a setting names it: by its id, by its name, or by either."""

    id: str | None = None
    name: str | None = None

    @classmethod
    def either(cls, text: str) -> "Named":
        """Return one that is called by its id or by its name."""
        return cls(text, text)

    def __str__(self) -> str:
        return repr(self.name) if self.name is not None else f"with the id {self.id!r}"


@dataclass(frozen=True, slots=True)
class VroWorkflow:
    """A workflow as its vRO describes it."""

    id: str
    name: str
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]

    @property
    def told(self) -> str:
        """The workflow as people write it."""
        return f"the vRO workflow {shortened(harmless(self.name))!r}"

    @property
    def place(self) -> str:
        """Where it is in the API."""
        return f"/workflows/{quote(self.id, safe='')}"

    @property
    def takes_marker(self) -> bool:
        """Whether its runs can be told apart by what they were given."""
        return any(each == Parameter(MARKER, "string") for each in self.inputs)


async def find_workflow(api: VroApi, named: Named) -> VroWorkflow:
    """Return a workflow of a vRO; raises VroError, with NO_SUCH_WORKFLOW where there is none or more than one."""
    if named.id is not None:
        found = await _by_id(api, named.id)
        if found is not None:
            return found
    if named.name is None:
        raise _none(api, named)
    ids = await _ids_called(api, named.name)
    if len(ids) > 1:
        shown = ", ".join(map(repr, ids[:_SHOWN]))
        raise VroError(ErrorCode.NO_SUCH_WORKFLOW, f"{api.name} has {len(ids)} workflows called {named}: give the id of one, of {shown}")
    found = await _by_id(api, ids[0]) if ids else None
    if found is None:
        raise _none(api, named)
    return found


def _none(api: VroApi, named: Named) -> VroError:
    return VroError(ErrorCode.NO_SUCH_WORKFLOW, f"{api.name} has no workflow {named} that its user may read")


async def _by_id(api: VroApi, workflow_id: str) -> VroWorkflow | None:
    reply = await api.ask("GET", f"/workflows/{quote(workflow_id, safe='')}")
    if reply.status in _NO_SUCH:
        return None
    content = _good(api, reply)
    if not isinstance(content, dict) or not isinstance(content.get("id"), str):
        raise VroError(ErrorCode.MALFORMED_ANSWER, f"{api.name} describes a workflow in a form that is not known")
    inputs, outputs = (_parameters(content, name) for name in ("input", "output"))
    return VroWorkflow(content["id"], str(content.get("name") or content["id"]), inputs, outputs)


def _good(api: VroApi, reply: Reply) -> Any:
    if not reply.is_good:
        said = f": {reply.said}" if reply.said else ""
        raise VroError(ErrorCode.UNEXPECTED_STATUS, f"{api.name} answered {reply.status} when it was asked for its workflows{said}")
    return reply.content


async def _ids_called(api: VroApi, name: str) -> Sequence[str]:
    """Return the ids of the workflows called just so."""
    content = _good(api, await api.ask("GET", f"/workflows?conditions={quote(f'name={name}', safe='')}"))
    found = [attributes_of(link) for link in links_in(content)]
    return sorted({each["id"] for each in found if each.get("name") == name and "id" in each})


def links_in(content: object) -> Sequence[Any]:
    """Return the links of a list of vRO, which some releases put one level down."""
    inner = content.get("relations", content) if isinstance(content, Mapping) else {}
    links = inner.get("link") if isinstance(inner, Mapping) else None
    return links if isinstance(links, list) else []


def attributes_of(link: object) -> Mapping[str, str]:
    """Return what a link says of its target."""
    listed = (link.get("attributes") or link.get("attribute")) if isinstance(link, Mapping) else None
    pairs = listed if isinstance(listed, list) else []
    return {str(each.get("name")): each["value"] for each in pairs if isinstance(each, Mapping) and isinstance(each.get("value"), str)}


def listed_parameters(content: Mapping[str, Any], way: str) -> Sequence[Mapping[str, Any]]:
    """Return the parameters of one way (`input` or `output`) of a workflow or a run, in either spelling."""
    listed = content.get(f"{way}-parameters") or content.get(f"{way}Parameters")
    return [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []


def _parameters(content: Mapping[str, Any], way: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(str(each.get("name")), str(each.get("type"))) for each in listed_parameters(content, way))


async def parameters_for(workflow: VroWorkflow, given: Values, usual: Values, context: StepContext) -> list[dict[str, Any]]:
    """Return what a step gives as the parameters of a vRO workflow; raises InputFaultError with every fault.

    What is `usual` is given where the workflow takes it and the step says nothing else. All else is left to vRO.
    """
    declared = {each.name: each for each in workflow.inputs}
    faults = []
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        takes = f"it takes {', '.join(sorted(declared)[:_SHOWN])}" if declared else "it takes none"
        faults.append(f"it has no input {', '.join(map(repr, unknown[:_SHOWN]))}; {takes}")
    made = []
    values = {**usual, **given}
    for name in sorted(values.keys() & declared.keys()):
        try:
            made.append(await _made(declared[name], values[name], context, is_file=context.is_file(name)))
        except ValueError as error:
            faults.append(f"its input {name!r} {error}")
    if faults:
        raise InputFaultError(ErrorCode.INVALID_VALUE, f"nothing was sent to {workflow.told}: {'; '.join(faults)}")
    if workflow.takes_marker and MARKER not in given:
        made.append(typed(Parameter(MARKER, "string"), context.attempt_name))
    return made


async def _made(parameter: Parameter, value: Value, context: StepContext, *, is_file: bool) -> dict[str, Any]:
    if not is_file:
        if parameter.type == ATTACHMENT:
            raise ValueError("takes a file: bind it as type file")
        return typed(parameter, value)
    try:
        file = await context.attached(str(value))
        if file.size > LARGEST_FILE:
            raise ValueError(f"is a file of more than {LARGEST_FILE} bytes")
        content = await context.attachment(str(value))
    except AttachmentError as error:
        raise ValueError(f"is a file that cannot be had: {error}") from None
    if parameter.type == ATTACHMENT:
        return typed_file(parameter, file.name, content)
    return typed(parameter, content.decode("utf-8", "replace"))
