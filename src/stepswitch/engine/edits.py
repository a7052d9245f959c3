"""A snapshot with edited steps: put together from what somebody sent and what is stored, with every fault of the whole. Called by `steering`."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.domain.errors import ErrorCode, Fault
from stepswitch.domain.names import shown
from stepswitch.domain.secrecy import MASK
from stepswitch.domain.step_types import StepTypes
from stepswitch.domain.validation import check, faults_to_execute
from stepswitch.engine.givers import givers_of_snapshot
from stepswitch.engine.kept_passwords import held_passwords, masked_places, password_places, stored_passwords, with_kept_passwords
from stepswitch.engine.password_ways import BINDINGS, Place, Ways, differences, gone, value_at
from stepswitch.engine.snapshots import Compiled, Digest, compile_snapshot, plain_digest

JsonObject = Mapping[str, Any]
StepEdits = Mapping[str, JsonObject | None]
"""Steps to add or to replace, by id; None removes one."""

_CONDITIONS: Final = (("conditions",), ("policy", "probe", "done"), ("policy", "probe", "notDone"))


@dataclass(frozen=True, slots=True)
class Edit:
    """An edited snapshot; `compiled` is None where there are faults. `step_ids` are those of the steps that it has, or would have."""

    compiled: Compiled | None
    step_ids: frozenset[str]
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()


def edit(
    compiled: Compiled,
    steps: StepEdits,
    goes_on_at: str | None,
    types: StepTypes,
    *,
    strict: bool = False,
    secret_digest: Digest = plain_digest,
    user: str = "",
    held: Collection[str] = (),
) -> Edit:
    """Return the snapshot with `steps` changed by `user`, checked as a whole; `goes_on_at` is the step at which the execution goes on.

    `held` are the names whose values in the execution are, or were made of, passwords that somebody else gave it.
    """
    stored = compiled.snapshot.document
    givers = givers_of_snapshot(compiled.snapshot)
    knows = givers.known_to(user)
    sent = {**stored, "steps": _changed(stored, steps)}
    document, faults = with_kept_passwords(sent, stored, types, knows)
    others = [place for place in stored_passwords(stored) if not knows(place)]
    others += [Place(("values", name), name, is_declared=True) for name in held]
    faults += [*_misplaced_masks(document, steps), *_sent_elsewhere(document, stored, others, steps, types)]
    checked = check(_startable(document, goes_on_at), types, strict=strict)
    faults += checked.faults
    if checked.workflow is not None:
        faults += faults_to_execute(checked.workflow, types)
    if faults:
        return Edit(None, frozenset(document["steps"]), tuple(faults), checked.warnings)
    kept = {place.keys for place in held_passwords(sent) if place.is_declared or place.owner not in steps} | {
        place.keys for place in masked_places(sent)
    }
    given_by = givers.after(user, document, stored, kept)
    whole = compile_snapshot(compiled.snapshot.tenant, document, secret_digest, given_by, compiled.snapshot.designer)
    return Edit(whole, frozenset(document["steps"]), (), checked.warnings)


def _changed(stored: JsonObject, steps: StepEdits) -> dict[str, JsonObject]:
    """Return all steps as they shall be. An execution shows its steps with their id, and what it shows can be sent back."""
    changed = dict(stored["steps"])
    for step_id, step in steps.items():
        if step is None:
            changed.pop(step_id, None)
        else:
            changed[step_id] = {name: value for name, value in step.items() if name != "id" or value != step_id}
    return changed


def _startable(document: JsonObject, goes_on_at: str | None) -> JsonObject:
    """Return `document` as it is to be checked: its first step may be removed once the way is past it."""
    if document.get("startStepId") in document["steps"] or goes_on_at not in document["steps"]:
        return document
    return {**document, "startStepId": goes_on_at}


def _misplaced_masks(document: JsonObject, steps: StepEdits) -> list[Fault]:
    """Return a fault for each `********` that stands where no password belongs: whoever sent it means one that is not there."""
    own = {place.keys for place in password_places(document)}
    text = f"{MASK} is how a stored password is shown, and here is none; give the value itself"
    return [
        Fault(ErrorCode.INVALID_VALUE, f"steps.{shown(keys[0])}.{path}", text)
        for keys, path in ((keys, path) for step_id in steps for keys, path in _defaults_and_values(document, step_id))
        if ("steps", *keys) not in own and value_at(document["steps"], keys) == MASK
    ]


def _sent_elsewhere(document: JsonObject, stored: JsonObject, others: Sequence[Place], steps: StepEdits, types: StepTypes) -> list[Fault]:
    """Return a fault for each password of `others` that nobody sent, not even as `********`, and that edited steps would take elsewhere.

    The execution has values already: a step that has made something of a password has to stay, or nobody could tell what that is.
    """
    if not others:
        return []
    now, before = Ways(document, types), Ways(stored, types)
    unsent = [each for each in others if each.is_declared or each.owner not in steps]
    told = dict(gone(others, now, before)) | dict(differences(unsent, now, before))
    return [Fault(ErrorCode.INVALID_VALUE, str(place), f"{why}; {_advice(place)}") for place, why in told.items()]


def _advice(place: Place) -> str:
    if place.keys[0] == "values":
        return f"correct the value of {place.owner} first, with one that is yours"
    return "give each edited step that uses it the password itself"


def _defaults_and_values(document: JsonObject, step_id: str) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield every place of a step where a default or the value of a condition may stand, and how it is called."""
    step = document["steps"].get(step_id)
    for keys in BINDINGS:
        bindings = value_at(step, keys)
        for name in bindings if isinstance(bindings, Mapping) else ():
            yield (step_id, *keys, name, "defaultValue"), f"{'.'.join(keys)}.{shown(name)}.defaultValue"
    for keys in _CONDITIONS:
        conditions = value_at(step, keys)
        for place in range(len(conditions)) if isinstance(conditions, list) else ():
            yield (step_id, *keys, place, "value"), f"{'.'.join(keys)}[{place}].value"
