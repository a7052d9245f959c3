"""Passwords that come back as `********`: the stored ones are put in their place, where nobody can misuse that. Called by `catalogue`.

A password is kept only at a path that already holds one, and only if the same change does not send it elsewhere: neither the type
of the step that uses it may change, nor the machine on which it acts. Source: `rest-api`, section 6.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.domain.document import SCHEMA_VERSION
from stepswitch.domain.errors import ErrorCode, Fault
from stepswitch.domain.references import reference_in
from stepswitch.domain.secrecy import MASK
from stepswitch.domain.templates import compile_template
from stepswitch.domain.values import ValueType

JsonObject = Mapping[str, Any]
_SECTIONS: Final = ("inputs", "variables", "outputs")
TARGET: Final = ("hostNameOrIP", "port", "hostKey", "vimLocation", "virtualMachine", "url", "verify", "caCertificate")
"""The inputs that say where a step acts, and how it knows that it is there."""
BINDINGS: Final = (("inBindings",), ("policy", "probe", "inBindings"))
"""Where in a step its inputs stand, and those of its probe: what a probe does not give it takes over from its step, the password too."""
DEFAULTS: Final = ("defaultValue", "default")
"""Where a password may stand in what declares it. Older schemas know the other name, which others write by mistake; it is shown as it was sent."""
_OLD_TYPES: Final = frozenset({"password", "securestring"})
_FREE: Final = frozenset(
    {"name", "version", "description", "owner", "readOnly", "hierarchy", "tags", "attachments"}
    | {"id", "createdAt", "creationUser", "creationTenantId", "links"}
)
"""What may change beside a password that is kept in a document of an older schema."""
_GIVE: Final = f"{MASK} is how a stored password is shown; give the password itself"
Step = str | int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a password stands: `keys` lead to it. `owner` is the declared name, or the id of the step, that it belongs to."""

    keys: tuple[Step, ...]
    owner: str
    is_declared: bool = False

    def __str__(self) -> str:
        return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.keys).removeprefix(".")


def with_kept_passwords(sent: JsonObject, stored: JsonObject) -> tuple[JsonObject, list[Fault]]:
    """Return `sent` with the passwords of `stored` where it has `********`, and a fault for each that cannot be kept."""
    masked = [place for place in password_places(sent) if value_at(sent, place.keys) == MASK]
    if not masked:
        return sent, []
    known = {place.keys: place for place in password_places(stored)}
    faults: list[Fault] = []
    whole = deepcopy(dict(sent))
    for place in masked:
        kept = value_at(stored, place.keys) if place.keys in known and _is_same_name(place, sent, stored) else None
        if not isinstance(kept, str) or not kept:
            faults.append(Fault(ErrorCode.INVALID_VALUE, str(place), _GIVE))
            continue
        _put(whole, place.keys, kept)
        if _is_of_this_schema(sent) and (why := _moved(place, sent, stored)) is not None:
            faults.append(Fault(ErrorCode.INVALID_VALUE, str(place), f"{why}; give the password itself"))
    if not faults and not _is_of_this_schema(sent) and not _is_equal_inside(whole, stored):
        message = "a document of an older schema keeps its passwords only where its steps and values stay as they are"
        faults = [Fault(ErrorCode.INVALID_VALUE, str(place), f"{message}; give the password itself") for place in masked]
    return whole, faults


def masked_document(document: JsonObject) -> dict[str, Any]:
    """Return `document`, of any schema, with `********` wherever a password stands; what has none is shared with `document`.

    Every answer with a workflow asks for this, so that it goes through a document of this schema once and does not look for `password_places`.
    """
    if not _is_of_this_schema(document):
        return _masked_old(document)
    shown = dict(document)
    secret: set[str] = set()
    for section in _SECTIONS:
        if isinstance(declared := document.get(section), Mapping) and declared:
            secret.update(name for name, entry in declared.items() if _is_password(entry))
            shown[section] = {name: _without_default(entry) for name, entry in declared.items()}
    if isinstance(steps := document.get("steps"), Mapping) and steps:
        shown["steps"] = {step_id: _masked_step(step, secret) for step_id, step in steps.items()}
    return shown


def _masked_old(document: JsonObject) -> dict[str, Any]:
    shown = deepcopy(dict(document))
    for place in _old_places(document):
        if _is_secret(value_at(document, place.keys)):
            _put(shown, place.keys, MASK)
    return shown


def _masked_step(step: Any, secret: set[str]) -> Any:
    """Return a step, or its probe, without the passwords in its bindings, and in its conditions on what is `secret`."""
    if not isinstance(step, Mapping):
        return step
    shown = dict(step)
    if isinstance(bindings := step.get("inBindings"), Mapping):
        shown["inBindings"] = {name: _without_default(entry) for name, entry in bindings.items()}
    if isinstance(policy := step.get("policy"), Mapping) and isinstance(probe := policy.get("probe"), Mapping):
        shown["policy"] = {**policy, "probe": _masked_step(probe, set())}
    if secret and isinstance(conditions := step.get("conditions"), list):
        shown["conditions"] = [_without_value(condition, secret) for condition in conditions]
    return shown


def _without_default(entry: Any) -> Any:
    hidden = [field for field in DEFAULTS if _is_secret(entry.get(field))] if _is_password(entry) else ()
    return {**entry, **dict.fromkeys(hidden, MASK)} if hidden else entry


def _without_value(condition: Any, secret: set[str]) -> Any:
    hidden = _is_on_secret(condition, secret) and _is_secret(condition.get("value"))
    return {**condition, "value": MASK} if hidden else condition


def _is_password(entry: Any) -> bool:
    return isinstance(entry, Mapping) and entry.get("type") == ValueType.PASSWORD


def _is_on_secret(condition: Any, secret: set[str]) -> bool:
    return isinstance(condition, Mapping) and isinstance(name := condition.get("name"), str) and name in secret


def _is_secret(value: object) -> bool:
    """Return whether what stands where a password may stand has to be hidden; a credential has a name there, which does not."""
    return bool(value) and not (isinstance(value, Mapping) and reference_in(value) is not None)


def mentions_passwords(document: JsonObject) -> bool:
    """Return whether anything in a document, of any schema, is of type password: a secret may then stand in it."""
    return any(_is_old_password(each) for _, each in _all_objects(document, ()))


def password_places(document: JsonObject) -> Iterator[Place]:
    """Return every place of a document where a password may stand in clear."""
    if not _is_of_this_schema(document):
        yield from _old_places(document)
        return
    secret: set[str] = set()
    for section in _SECTIONS:
        for name, entry in _objects(document.get(section)):
            if _is_password(entry):
                secret.add(name)
                yield from (Place((section, name, field), name, is_declared=True) for field in DEFAULTS)
    for step_id, step in _objects(document.get("steps")):
        for name_keys, entry in _inputs(step):
            if _is_password(entry):
                yield from (Place(("steps", step_id, *name_keys, field), step_id) for field in DEFAULTS)
        conditions = step.get("conditions")
        for number, condition in enumerate(conditions) if isinstance(conditions, list) else ():
            if _is_on_secret(condition, secret):
                yield Place(("steps", step_id, "conditions", number, "value"), step_id)


def _inputs(step: JsonObject) -> Iterator[tuple[tuple[str, ...], JsonObject]]:
    """Return every input of a step and of its probe, with the keys that lead to it."""
    return (((*keys, name), entry) for keys in BINDINGS for name, entry in _objects(value_at(step, keys)))


def _old_places(document: JsonObject) -> Iterator[Place]:
    """Return the places of passwords in a document of schema 1.0 or 2.0: arrays or maps, in any spelling."""
    objects = list(_all_objects(document, ()))
    secret = {str(keys[-1]) for keys, each in objects if keys and _is_old_password(each)}
    secret |= {str(each.get("name")) for _, each in objects if _is_old_password(each)}
    for keys, each in objects:
        for field in DEFAULTS if _is_old_password(each) else ():
            if each.get(field):
                yield Place((*keys, field), "")
        if "comparator" in each and str(each.get("name")) in secret and each.get("value"):
            yield Place((*keys, "value"), "")


def _is_old_password(entry: JsonObject) -> bool:
    kind = entry.get("type")
    return isinstance(kind, str) and kind.lower() in _OLD_TYPES


def _all_objects(value: Any, keys: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], JsonObject]]:
    if isinstance(value, Mapping):
        yield keys, value
        for key, inner in value.items():
            if isinstance(inner, Mapping | list):
                yield from _all_objects(inner, (*keys, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            if isinstance(inner, Mapping | list):
                yield from _all_objects(inner, (*keys, number))


def _is_of_this_schema(document: JsonObject) -> bool:
    version = document.get("schemaVersion")
    return version == SCHEMA_VERSION or (version is None and not isinstance(document.get("steps"), list))


def _is_same_name(place: Place, sent: JsonObject, stored: JsonObject) -> bool:
    """Return whether the object around a place goes by the same name in both: an array may have been reordered."""
    around = [value_at(each, place.keys[:-1]) for each in (sent, stored)]
    names = [each.get("name") if isinstance(each, Mapping) else None for each in around]
    return names[0] == names[1] or not any(isinstance(key, int) for key in place.keys)


def _is_equal_inside(one: JsonObject, other: JsonObject) -> bool:
    return {key: value for key, value in one.items() if key not in _FREE} == {
        key: value for key, value in other.items() if key not in _FREE
    }


def _moved(place: Place, sent: JsonObject, stored: JsonObject) -> str | None:
    """Return why the password at a place would be sent elsewhere than before; None where it would not."""
    new, old = dict(_objects(sent.get("steps"))), dict(_objects(stored.get("steps")))
    if not place.is_declared:
        same = place.owner in old and _target(new[place.owner], sent) == _target(old[place.owner], stored)
        return None if same else "the type or the target of its step changes too"
    for step_id, step in new.items():
        if not _reads(step, place.owner):
            continue
        before = old.get(step_id)
        if before is None or not _reads(before, place.owner):
            return f"the step {step_id} did not use it before"
        if _target(step, sent) != _target(before, stored):
            return f"the type or the target of the step {step_id}, which uses it, changes too"
    return None


def _reads(step: JsonObject, name: str) -> bool:
    return any(name in _names(entry) for _, entry in _inputs(step))


def _names(binding: JsonObject) -> set[str]:
    """Return the names that an input of a step takes its value from."""
    found = {name} if isinstance(name := binding.get("exportName"), str) else set()
    default = binding.get("defaultValue")
    template = compile_template(default) if isinstance(default, str) else None
    return found | set(template.names if template is not None else ())


def _target(step: JsonObject, document: JsonObject) -> list[Any]:
    """Return what decides where a step acts: its type, the bindings that say it, and the declarations that these refer to."""
    found: list[Any] = [step.get("type")]
    for keys in BINDINGS:
        bindings = dict(_objects(value_at(step, keys)))
        for name in TARGET:
            binding = bindings.get(name, {})
            found.append([binding.get("type"), binding.get("exportName"), binding.get("defaultValue")])
            for source in sorted(_names(binding)):
                declared = [value_at(document, (section, source, "defaultValue")) for section in _SECTIONS]
                found.append([source, declared])
    return found


def _objects(value: Any) -> Iterator[tuple[str, JsonObject]]:
    if isinstance(value, Mapping):
        yield from ((name, entry) for name, entry in value.items() if isinstance(entry, Mapping))


def value_at(value: Any, keys: tuple[Step, ...]) -> Any:
    """Return what stands in a JSON value where `keys` lead; None where they lead nowhere."""
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def _put(document: dict[str, Any], keys: tuple[Step, ...], value: str) -> None:
    holder: Any = document
    for key in keys[:-1]:
        holder = holder[key]
    holder[keys[-1]] = value
