"""What must not be shown of one execution: by type where a value is declared a password, by value everywhere else.

Called by `views` for answers and by `claims` for what a step logs while it runs.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from stepswitch.domain.document import Declaration, InBinding, Workflow
from stepswitch.domain.errors import ErrorCode, Fault, ValueMisfitError
from stepswitch.domain.execution import Head, LogEntry, Probe, StepError, StepExecution, Values
from stepswitch.domain.references import Reference
from stepswitch.domain.secrecy import CUT, MASK, SHORTEST_SECRET
from stepswitch.domain.values import Value, ValueType, parse_number, to_text
from stepswitch.engine.ports import Secrets
from stepswitch.engine.snapshots import Compiled

_LEAST_NUMBER: Final = 10 ** (SHORTEST_SECRET - 1)


def secrets_of(head: Head, snapshots: Collection[Compiled], steps: Iterable[tuple[StepExecution, Compiled]] = ()) -> tuple[str, ...]:
    """Return every secret value that this execution knows, and those that `steps` were given or wrote: they may be replaced since."""
    found: set[str] = set()
    for compiled in snapshots:
        if compiled.is_confidential:
            found.update(compiled.secret_defaults)
            for values in (head.values, head.assignments):
                found.update(_texts(values, compiled.secret_names))
    for step, of in steps:
        if of.is_confidential:
            found.update(_texts(step.variables, of.secret_names))
            found.update(_texts(step.inputs, secret_inputs(of, step.step_id)))
        if step.probe is not None:
            found.update(_texts(step.probe.inputs, probe_secrets((of, *snapshots), step.step_id)))
    return tuple(sorted((secret for secret in found if len(secret) >= SHORTEST_SECRET), key=len, reverse=True))


def _texts(values: Values, names: frozenset[str]) -> list[str]:
    found = [values.get(name) for name in names] if values else []
    return [to_text(value) for value in found if value is not None and not isinstance(value, bool | Reference)]


def _numbers(secrets: Iterable[str]) -> Iterator[int | float]:
    """Return what scripts make of secrets that are numbers, which may lose zeros or last digits on the way; short ones stand for too much."""
    for secret in secrets:
        with suppress(ValueMisfitError):
            number = parse_number(secret)
            if abs(number) >= _LEAST_NUMBER:
                yield from (number, float(number))


def secret_inputs(compiled: Compiled, step_id: str) -> frozenset[str]:
    """Return the inputs of a step, and of its probe, that are bound as passwords."""
    step = compiled.workflow.steps.get(step_id) if compiled.is_confidential else None
    if step is None:
        return frozenset()
    return frozenset(binding.name for binding in step.all_in_bindings if binding.type is ValueType.PASSWORD)


def probe_secrets(snapshots: Iterable[Compiled], step_id: str) -> frozenset[str]:
    """Return the inputs of a step's probe that are bound as passwords; it may have been edited since the step was begun."""
    return frozenset().union(*(secret_inputs(each, step_id) for each in snapshots))


def masked_faults(path: str, given: Mapping[str, Any], workflow: Workflow) -> list[Fault]:
    """Return a fault for each password in `given` that is the mask itself: nothing is stored that it could stand for."""
    return [
        _masked(f"{path}.{name}")
        for name, declared in workflow.declarations.items()
        if declared.type is ValueType.PASSWORD and given.get(name) == MASK
    ]


def masked_defaults(workflow: Workflow) -> list[Fault]:
    """Return a fault for each default of type password that is the mask itself."""
    sections = {"inputs": workflow.inputs, "variables": workflow.variables, "outputs": workflow.outputs}
    places: list[tuple[str, Declaration | InBinding]] = [
        (f"{section}.{name}", declared) for section, all_declared in sections.items() for name, declared in all_declared.items()
    ]
    for step in workflow.steps.values():
        places += [(f"steps.{step.id}.inBindings.{binding.name}", binding) for binding in step.in_bindings]
        probe = step.policy.probe
        places += [(f"steps.{step.id}.policy.probe.inBindings.{each.name}", each) for each in probe.in_bindings] if probe else []
    return [_masked(f"{path}.defaultValue") for path, each in places if each.type is ValueType.PASSWORD and each.default == MASK]


def _masked(path: str) -> Fault:
    return Fault(ErrorCode.INVALID_VALUE, path, f"{MASK} is how a stored password is shown; give the password itself")


class Mask:
    """Takes the secrets of one execution out of whatever is shown of it."""

    def __init__(
        self,
        secrets: Secrets,
        head: Head,
        snapshots: Sequence[Compiled],
        steps: Iterable[tuple[StepExecution, Compiled]] = (),
        more: Iterable[str] = (),
    ) -> None:
        """`more` are secrets that are known otherwise."""
        unique = {compiled.snapshot.id: compiled for compiled in snapshots}
        known = tuple(dict.fromkeys((*secrets_of(head, unique.values(), steps), *more)))
        self._made_of = secrets, head, known
        self._text = secrets.masker(known) if known else None
        self._numbers = frozenset(_numbers(known))
        self._snapshots = tuple(unique.values())

    def with_more(self, more: Iterable[str]) -> "Mask":
        """Return the mask that takes `more` secrets out, too."""
        secrets, head, known = self._made_of
        return Mask(secrets, head, self._snapshots, more=sorted((*known, *more), key=len, reverse=True))

    def of_only(self, more: Iterable[str]) -> "Mask":
        """Return the mask that takes these secrets out, and none that the execution knows."""
        secrets, head, _ = self._made_of
        return Mask(secrets, head, (), more=sorted(more, key=len, reverse=True))

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        return text if self._text is None else self._text(text)

    def cut_text(self, text: str) -> str:
        """Return a text whose end was cut off, without secrets and without what may be the beginning of one."""
        if self._text is None:
            return text
        whole = text + CUT
        shown = self._text(whole)
        return text if shown is whole else shown.removesuffix(CUT)

    def values(self, values: Values, secret: frozenset[str]) -> Values:
        """Return `values`, those named in `secret` as `********`."""
        if not values or (self._text is None and not secret):
            return values
        shown: dict[str, Value] = {}
        for name, value in values.items():
            shown[self._name(name, shown)] = MASK if name in secret and not isinstance(value, Reference) else self._value(value)
        return shown

    def _name(self, name: str, taken: Values) -> str:
        """Return `name`, which a script may have made of a secret; two that look alike then are told apart by a number.

        What the workflow declares is not made of a secret, even where it looks so.
        """
        masked = self.text(name)
        if masked != name and any(name in each.workflow.declarations for each in self._snapshots):
            masked = name
        shown, number = masked, len(taken)
        while shown in taken:
            number += 1
            shown = f"{masked} ({number})"
        return shown

    def _value(self, value: Value) -> Value:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Reference):
            return Reference(value.credential)
        if isinstance(value, bool) or self._text is None:
            return value
        text = to_text(value)
        return MASK if value in self._numbers or self._text(text) != text else value

    def entry(self, entry: LogEntry) -> LogEntry:
        """Return a log entry without secrets."""
        return entry if self._text is None else replace(entry, message=self._text(entry.message))

    def head(self, head: Head, compiled: Compiled) -> Head:
        """Return `head` without secrets in what is shown of it."""
        names = compiled.secret_names
        if self._text is None and not names:
            return head
        return replace(
            head,
            assignments=self.values(head.assignments, names),
            context=self.values(head.context, names),
            values=self.values(head.values, names),
            error=self._error(head.error),
        )

    def step(self, step: StepExecution, compiled: Compiled) -> StepExecution:
        """Return a step execution without secrets."""
        inputs = secret_inputs(compiled, step.step_id)
        if self._text is None and not inputs and not compiled.secret_names:
            return step
        return replace(
            step,
            inputs=self.values(step.inputs, inputs),
            outputs=self.values(step.outputs, frozenset()),
            variables=self.values(step.variables, compiled.secret_names),
            error=self._error(step.error),
            probe=step.probe and self._probe(step.probe, probe_secrets((compiled, *self._snapshots), step.step_id)),
        )

    def _probe(self, probe: Probe, secret: frozenset[str]) -> Probe:
        return replace(
            probe,
            inputs=self.values(probe.inputs, secret),
            outputs=self.values(probe.outputs, frozenset()),
            error=self._error(probe.error),
        )

    def _error(self, error: StepError | None) -> StepError | None:
        return error if error is None else replace(error, message=self.text(error.message))


def searched_context(head: Head, compiled: Compiled, secrets: Secrets) -> Values:
    """Return what of the context lists may be filtered by: a filter must not tell what an answer masks, and it stands in clear on the disk."""
    if not head.context or not compiled.is_confidential:
        return head.context
    mask = Mask(secrets, head, [compiled])
    entries = ({name: value} for name, value in head.context.items() if name not in compiled.secret_names)
    return {name: value for entry in entries if mask.values(entry, frozenset()) == entry for name, value in entry.items()}
