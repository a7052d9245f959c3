"""References to credentials, looked at when somebody puts them somewhere: in a workflow, an execution, an edited step. Called by the use cases.

Every one that may not be used there is a fault at its place. Where a step's device is known beforehand it is checked too; what is not known
yet, and all of it once more, is checked at the moment of use.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.domain.bindings import bind
from stepswitch.domain.devices import Device
from stepswitch.domain.document import Step, Workflow
from stepswitch.domain.errors import ErrorCode, Fault
from stepswitch.domain.execution import Values
from stepswitch.domain.names import shown
from stepswitch.domain.references import Reference, reference_in
from stepswitch.domain.step_types import StepSignature, StepTypes
from stepswitch.domain.values import ValueType
from stepswitch.engine.callers import Caller
from stepswitch.engine.credential_ports import CredentialFinder, RolesOfPeople
from stepswitch.engine.credential_records import Credential
from stepswitch.engine.credential_rules import Person, device_refusal, refusal
from stepswitch.engine.kept_passwords import password_places
from stepswitch.engine.password_ways import value_at
from stepswitch.engine.privileges import ADMINISTRATOR


@dataclass(frozen=True, slots=True)
class Placed:
    """A credential that is named at a place of a request. `devices` are where steps act that take it, as far as that is known; None is no device."""

    path: str
    credential: str
    devices: tuple[Device | None, ...] = ()


class CredentialChecks:
    """Says which references somebody may not put where he has put them."""

    def __init__(self, store: CredentialFinder, people: RolesOfPeople) -> None:
        self._store = store
        self._people = people

    async def faults(self, caller: Caller, placed: Iterable[Placed], workflow_id: str, workflow_name: str) -> list[Fault]:
        """Return a fault for each reference that the caller may not use in this workflow, or not for a device."""
        found: list[Fault] = []
        known: dict[str, Credential | None] = {}
        person: Person | None = None
        for each in placed:
            person = person or await self._person(caller)
            if each.credential not in known:
                known[each.credential] = await self._store.find(caller.tenant, each.credential)
            told = _why_not(known[each.credential], each, person, workflow_id, workflow_name)
            found += [Fault(ErrorCode.CREDENTIAL_REFUSED, each.path, text) for text in told]
        return found

    async def _person(self, caller: Caller) -> Person:
        roles = frozenset({ADMINISTRATOR}) if caller.is_administrator else await self._people.roles_of(caller.tenant, caller.user)
        return Person(caller.user, roles)


def _why_not(credential: Credential | None, placed: Placed, person: Person, workflow_id: str, workflow_name: str) -> Sequence[str]:
    refused = refusal(credential, placed.credential, [person], workflow_id, workflow_name)
    if credential is None or refused is not None:
        return [] if refused is None else [refused.told]
    elsewhere = (device_refusal(credential, device) for device in dict.fromkeys(placed.devices))
    return list(dict.fromkeys(each.told for each in elsewhere if each is not None))


def in_document(document: Mapping[str, Any]) -> list[Placed]:
    """Return every credential that a document of any schema names."""
    found = ((place, value_at(document, place.keys)) for place in password_places(document))
    return [Placed(str(place), name) for place, value in found if (name := _named(value)) is not None]


def in_values(path: str, values: Mapping[str, Any], workflow: Workflow) -> list[Placed]:
    """Return every credential that is given as the value of a password."""
    return [
        Placed(f"{path}.{shown(name)}", credential)
        for name, value in values.items()
        if name in workflow.declarations and workflow.declarations[name].type is ValueType.PASSWORD
        if (credential := _named(value)) is not None
    ]


def in_edit(workflow: Workflow, edited: Collection[str], values: Values, types: StepTypes) -> list[Placed]:
    """Return every credential that edited steps take, as their own defaults or from the values of their execution."""
    found = _Uses(workflow, values, types)
    return [each for step_id in edited if (step := workflow.steps.get(step_id)) for each in found.of(step, "", {})]


def at_start(workflow: Workflow, assignments: Mapping[str, Any], types: StepTypes) -> list[Placed]:
    """Return every credential that an execution would use which begins with these assignments, each once, with the devices that are known."""
    given = {name: value for name, value in assignments.items() if value is not None}
    values: dict[str, Any] = {name: each.default for name, each in workflow.declarations.items() if each.default is not None}
    paths = {name: f"workflow.{_section(workflow, name)}.{shown(name)}.defaultValue" for name in values}
    paths |= {name: f"assignments.{shown(name)}" for name in given}
    values |= given
    named = {
        name: credential for name, value in values.items() if (credential := _named(value)) is not None and name in workflow.declarations
    }
    values |= {name: Reference(credential) for name, credential in named.items()}
    uses = _Uses(workflow, values, types)
    found = [Placed(paths[name], credential) for name, credential in named.items()]
    for step in workflow.steps.values():
        found += uses.of(step, "workflow.", paths)
    devices: dict[tuple[str, str], list[Device | None]] = {}
    for each in found:
        devices.setdefault((each.path, each.credential), []).extend(each.devices)
    return [Placed(path, credential, tuple(of)) for (path, credential), of in devices.items()]


class _Uses:
    """What steps take, where the values of their execution are known."""

    def __init__(self, workflow: Workflow, values: Mapping[str, Any], types: StepTypes) -> None:
        self._values = values
        self._types = types
        self._written = {binding.target for step in workflow.steps.values() for binding in step.all_out_bindings}

    def of(self, step: Step, prefix: str, paths: Mapping[str, str]) -> Iterator[Placed]:
        """Yield the credentials that a step and its probe take; where the name that holds one has no path, at the binding."""
        signature = self._types.find(step.type)
        if signature is not None and signature.inline:
            return
        devices = self._devices(step, signature)
        probe = () if step.policy.probe is None else step.policy.probe.in_bindings
        for place, bindings in (("inBindings", step.in_bindings), ("policy.probe.inBindings", probe)):
            for binding in bindings:
                own = f"{prefix}steps.{shown(step.id)}.{place}.{shown(binding.name)}"
                value = None if binding.export_name is None else self._values.get(binding.export_name)
                if value is None and isinstance(binding.default, Reference):
                    yield Placed(f"{own}.defaultValue", binding.default.credential, devices)
                elif isinstance(value, Reference):
                    yield Placed(paths.get(binding.export_name or "", f"{own}.exportName"), value.credential, devices)

    def _devices(self, step: Step, signature: StepSignature | None) -> tuple[Device | None, ...]:
        """Return where a step acts, as the one of a list; an empty one where nobody knows yet."""
        if signature is None:
            return ()
        if not signature.device_inputs:
            return () if signature.waits else (None,)
        for binding in step.in_bindings:
            read = {binding.export_name, *(binding.template.names if binding.template is not None else ())}
            if binding.name in signature.device_inputs and not read.isdisjoint(self._written):
                return ()
        fit = {name: value for name, value in self._values.items() if isinstance(value, str | int | float | Reference)}
        target = signature.target(bind(step, fit, signature).inputs)
        return () if target is None else (target,)


def _section(workflow: Workflow, name: str) -> str:
    return "inputs" if name in workflow.inputs else "variables" if name in workflow.variables else "outputs"


def _named(value: object) -> str | None:
    """Return the credential that a value names; None where it names none."""
    reference = reference_in(value) if isinstance(value, Reference | Mapping) else None
    return None if reference is None else reference.credential


class _Nothing:
    """No credentials, and nobody who could use one."""

    async def find(self, tenant: str, name: str) -> Credential | None:  # noqa: ARG002 # the signature is the port's
        """See `CredentialFinder`."""
        return None

    async def roles_of(self, tenant: str, user: str) -> frozenset[str] | None:  # noqa: ARG002
        """See `RolesOfPeople`."""
        return None


NO_CHECKS: Final = CredentialChecks(_Nothing(), _Nothing())
"""For who has no credentials: every reference is a fault."""
