"""Passwords that come back as `********`: the stored ones are put in their place, where nobody can misuse that. Called by `catalogue`.

A password is kept only at a path that already holds one, and only if the same change neither sends it elsewhere nor has it told: see
`password_ways`. Source: `rest-api`, section 6.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

from stepswitch.domain.document import SCHEMA_VERSION
from stepswitch.domain.errors import ErrorCode, Fault
from stepswitch.domain.references import reference_in
from stepswitch.domain.secrecy import MASK
from stepswitch.domain.step_types import StepTypes
from stepswitch.domain.values import ValueType
from stepswitch.engine.password_ways import BINDINGS, SECTIONS, Key, Place, Ways, differences, objects, value_at

JsonObject = Mapping[str, Any]
Knows = Callable[[Place], bool]
"""Says of a place whether whoever asks for something knows the password that stands there."""
DEFAULTS: Final = ("defaultValue", "default")
"""Where a password may stand in what declares it. Older schemas know the other name, which others write by mistake; it is shown as it was sent."""
_OLD_TYPES: Final = frozenset({"password", "securestring"})
_FREE: Final = frozenset(
    {"name", "version", "description", "owner", "readOnly", "hierarchy", "tags"}
    | {"id", "createdAt", "creationUser", "creationTenantId", "links"}
)
"""What may change beside a password that is kept in a document of an older schema; for who made it, its files too, which may be scripts."""
_GIVE: Final = f"{MASK} is how a stored password is shown; give the password itself"


def knows_nothing(_: Place) -> bool:
    """Return what is so of somebody who knows none of the passwords."""
    return False


def with_kept_passwords(
    sent: JsonObject, stored: JsonObject, types: StepTypes, knows: Knows = knows_nothing
) -> tuple[JsonObject, list[Fault]]:
    """Return `sent` with the passwords of `stored` where it has `********`, and a fault for each that cannot be kept."""
    masked = masked_places(sent)
    if not masked:
        return sent, []
    known = {place.keys: place for place in password_places(stored)}
    faults: list[Fault] = []
    kept: list[Place] = []
    whole = deepcopy(dict(sent))
    for place in masked:
        password = value_at(stored, place.keys) if place.keys in known and _is_same_name(place, sent, stored) else None
        if isinstance(password, str) and password:
            _put(whole, place.keys, password)
            kept.append(place)
        else:
            faults.append(Fault(ErrorCode.INVALID_VALUE, str(place), _GIVE))
    faults += moved_passwords(kept, whole, stored, types, knows=knows)
    free = _FREE | {"attachments"} if all(map(knows, masked)) else _FREE
    if not faults and not _is_of_this_schema(sent) and not _is_equal_inside(whole, stored, free):
        message = "a document of an older schema keeps its passwords only where its steps and values stay as they are"
        faults = [Fault(ErrorCode.INVALID_VALUE, str(place), f"{message}; give the password itself") for place in masked]
    return whole, faults


def moved_passwords(
    kept: Iterable[Place],
    new: JsonObject,
    stored: JsonObject,
    types: StepTypes,
    advice: str = "give the password itself",
    *,
    knows: Knows = knows_nothing,
) -> list[Fault]:
    """Return a fault for each password that is kept, by somebody who need not know it, and would go elsewhere in the document `new`."""
    places = tuple(kept)
    if not places or not _is_of_this_schema(new):
        return []
    now, before = Ways(new, types), Ways(stored, types)
    told = differences(places, now, before, [place for place in places if knows(place)])
    return [Fault(ErrorCode.INVALID_VALUE, str(place), f"{why}; {advice}") for place, why in told]


def masked_places(document: JsonObject) -> list[Place]:
    """Return where `********` stands in place of a password."""
    return [place for place in password_places(document) if value_at(document, place.keys) == MASK]


def held_passwords(document: JsonObject) -> list[Place]:
    """Return where passwords, or the names of credentials, stand in a document of any schema."""
    return [place for place in password_places(document) if value_at(document, place.keys)]


def stored_passwords(document: JsonObject) -> list[Place]:
    """Return where passwords themselves stand in a document of any schema."""
    return [place for place in password_places(document) if _is_secret(value_at(document, place.keys))]


def masked_document(document: JsonObject) -> dict[str, Any]:
    """Return `document`, of any schema, with `********` wherever a password stands; what has none is shared with `document`.

    Every answer with a workflow asks for this, so that it goes through a document of this schema once and does not look for `password_places`.
    """
    if not _is_of_this_schema(document):
        return _masked_old(document)
    shown = dict(document)
    secret: set[str] = set()
    for section in SECTIONS:
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
    for section in SECTIONS:
        for name, entry in objects(document.get(section)):
            if _is_password(entry):
                secret.add(name)
                yield from (Place((section, name, field), name, is_declared=True) for field in DEFAULTS)
    for step_id, step in objects(document.get("steps")):
        for name_keys, entry in _inputs(step):
            if _is_password(entry):
                yield from (Place(("steps", step_id, *name_keys, field), step_id) for field in DEFAULTS)
        conditions = step.get("conditions")
        for number, condition in enumerate(conditions) if isinstance(conditions, list) else ():
            if _is_on_secret(condition, secret):
                yield Place(("steps", step_id, "conditions", number, "value"), step_id)


def _inputs(step: JsonObject) -> Iterator[tuple[tuple[str, ...], JsonObject]]:
    """Return every input of a step and of its probe, with the keys that lead to it."""
    return (((*keys, name), entry) for keys in BINDINGS for name, entry in objects(value_at(step, keys)))


def _old_places(document: JsonObject) -> Iterator[Place]:
    """Return the places of passwords in a document of schema 1.0 or 2.0: arrays or maps, in any spelling."""
    found = list(_all_objects(document, ()))
    secret = {str(keys[-1]) for keys, each in found if keys and _is_old_password(each)}
    secret |= {str(each.get("name")) for _, each in found if _is_old_password(each)}
    for keys, each in found:
        for field in DEFAULTS if _is_old_password(each) else ():
            if each.get(field):
                yield Place((*keys, field), "")
        if "comparator" in each and str(each.get("name")) in secret and each.get("value"):
            yield Place((*keys, "value"), "")


def _is_old_password(entry: JsonObject) -> bool:
    kind = entry.get("type")
    return isinstance(kind, str) and kind.lower() in _OLD_TYPES


def _all_objects(value: Any, keys: tuple[Key, ...]) -> Iterator[tuple[tuple[Key, ...], JsonObject]]:
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


def _is_equal_inside(one: JsonObject, other: JsonObject, free: frozenset[str]) -> bool:
    return {key: value for key, value in one.items() if key not in free} == {key: value for key, value in other.items() if key not in free}


def _put(document: dict[str, Any], keys: tuple[Key, ...], value: str) -> None:
    holder: Any = document
    for key in keys[:-1]:
        holder = holder[key]
    holder[keys[-1]] = value
