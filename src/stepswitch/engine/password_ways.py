"""Where a document sends the passwords that it holds, and what decides that. Called by `kept_passwords`, `edits` and `redirections`.

A step that is handed a password sends it to a device, which its target names, or does with it whatever its other inputs say: then what it
writes may be the password again. What leads a step is led itself by every step that writes it, and by all that such a step reads.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.domain.names import shown
from stepswitch.domain.secrecy import MASK
from stepswitch.domain.step_types import TARGET, StepSignature, StepTypes
from stepswitch.domain.templates import compile_template
from stepswitch.domain.values import ValueType

JsonObject = Mapping[str, Any]
Key = str | int
Part = tuple[str, ...]
"""Something that decides where a password goes: what it is, and where it stands."""
SECTIONS: Final = ("inputs", "variables", "outputs")
BINDINGS: Final = (("inBindings",), ("policy", "probe", "inBindings"))
"""Where in a step its inputs stand, and those of its probe: what a probe does not give it takes over from its step, the password too."""
_OUT_BINDINGS: Final = (("outBindings",), ("policy", "probe", "outBindings"))
_PROBED: Final = (("policy", "probe", "done"), ("policy", "probe", "notDone"))
_MACHINES: Final = frozenset({"hostNameOrIP", "virtualMachine", "url"})
_MOST_PARTS: Final = 50_000
"""So many are looked at to say for each password whether it is the one that would go elsewhere."""
_CALLED: Final = "workflowId"
_CODE: Final = "script"
"""The input that says what a step does with what it is handed, whatever the device."""


_TOLD: Final = {
    "conditions": "a condition of the step {} asks something else about it",
    "names": "what is declared as {}, which says where it is sent, changes too",
    "writers": "the step {}, which finds out where it is sent, changes too",
    "holding": "{}, in which it may be handed on, is declared as something else",
    "gone": "the step {}, which hands it on, has to stay as it is",
}
"""What is the matter with a part that is not as it was."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a password stands: `keys` lead to it. `owner` is the declared name, or the id of the step, that it belongs to."""

    keys: tuple[Key, ...]
    owner: str
    is_declared: bool = False

    @property
    def is_compared(self) -> bool:
        """Whether it is the value of a condition, which no step is handed."""
        return "conditions" in self.keys

    @property
    def input(self) -> str:
        """The input of its owner that it stands in, as a path; empty where it stands in none."""
        return "" if self.is_declared or self.is_compared else _path(tuple(map(str, self.keys[2:-2])), str(self.keys[-2]))

    def __str__(self) -> str:
        return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.keys).removeprefix(".")


@dataclass(frozen=True, slots=True)
class _Input:
    """One input of a step or of its probe; `names` are those that it takes its value from."""

    path: str
    name: str
    source: list[Any]
    names: frozenset[str]
    is_login: bool
    """Whether the type takes a password there to log in with it: then it goes to the device as such, and nowhere else."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What of a step decides where a password goes. `acts_on` are the inputs that say on which device it acts; without any it acts on none."""

    type: object
    inputs: tuple[_Input, ...]
    writes: dict[str, Any]
    acts_on: frozenset[str]
    calls: bool = False
    """Whether it calls another workflow, whose every input may say where that acts."""

    def target(self, *, whole: bool) -> list[Any]:
        """Return what decides where it acts; with `whole`, all that it is given."""
        return [self.type, {each.path: each.source for each in self.targets(whole=whole)}]

    def targets(self, *, whole: bool) -> Iterator[_Input]:
        """Yield the inputs that decide where it acts, or, with `whole`, all."""
        wanted = None if whole else self.acts_on or frozenset(TARGET)
        return (each for each in self.inputs if wanted is None or each.name in wanted)

    @property
    def written(self) -> dict[str, Any]:
        """What it writes, as far as that decides what is shown of it."""
        return {name: [entry.get("name"), entry.get("type")] for name, entry in self.writes.items()}

    def passes_on(self, names: Collection[str], own: Collection[str]) -> bool:
        """Return whether it may tell, or write, a password that it takes from one of `names`, or that stands at one of its `own` inputs."""
        taken = (each for each in self.inputs if each.path in own or not each.names.isdisjoint(names))
        return not self.acts_on or any(not each.is_login for each in taken)

    @property
    def read(self) -> set[str]:
        """Every name that it takes a value from."""
        return {name for each in self.inputs for name in each.names}


class Ways:
    """The ways of the passwords of one document of this schema, which need not be valid."""

    def __init__(self, document: JsonObject, types: StepTypes) -> None:
        self._document = document
        self._steps: dict[str, _Step] = {}
        self._readers: dict[str, list[str]] = defaultdict(list)
        self._writers: dict[str, list[str]] = defaultdict(list)
        self._questions: dict[str, list[Part]] = defaultdict(list)
        for step_id, source in objects(document.get("steps")):
            step = self._steps[step_id] = self._step(source, types)
            for name in step.read:
                self._readers[name].append(step_id)
            for name in step.writes:
                self._writers[name].append(step_id)
            for name, question in _questions(source):
                self._questions[name].append(("conditions", step_id, question))

    def parts(self, places: Collection[Place]) -> dict[Part, Any]:
        """Return everything that decides where the passwords of some places go, and what is told of them."""
        names, handed = self._holders(places)
        found: dict[Part, Any] = {question: True for name in sorted(names) for question in self._questions.get(name, ())}
        found |= {("holding", name): self._kinds(name) for name in sorted(names)}
        leading: set[str] = set()
        for step_id, passes_on in handed.items():
            step = self._steps[step_id]
            found["steps", step_id] = step.target(whole=False)
            leading.update(name for each in step.targets(whole=passes_on) for name in each.names)
            found |= {("steps", step_id, each.path): each.source for each in step.inputs if not each.names.isdisjoint(names)}
            if passes_on:
                found["told", step_id] = [step.target(whole=True), step.written]
        for step_id in sorted({place.owner for place in places if place.is_compared} & self._steps.keys()):
            step = self._steps[step_id]
            found["comparing", step_id] = step.target(whole=False)
            leading.update(name for each in step.targets(whole=False) for name in each.names)
        if len(places) == 1:  # what leads the only one is not the password itself; of several, one may lead another
            leading -= names
        for name in sorted(self._led_by(leading)):
            found["names", name] = self._declarations(name)
            for step_id in self._writers.get(name, ()):
                step = self._steps[step_id]
                found["writers", step_id] = [step.type, {each.path: each.source for each in step.inputs}, step.writes]
        return found

    def targets(self, place: Place) -> dict[Part, Any]:
        """Return what of that says itself where the password goes: all that is held against whoever knows it, lest he sends it elsewhere by mistake."""
        found: dict[Part, Any] = {}
        for step_id in self._readers.get(place.owner, ()) if place.is_declared else {place.owner} & self._steps.keys():
            step = self._steps[step_id]
            found["steps", step_id] = step.target(whole=False)
            found |= {("names", name): self._declarations(name) for each in step.targets(whole=False) for name in each.names}
        return found

    def handing_on(self, places: Collection[Place]) -> dict[Part, Any]:
        """Return the steps that may write the passwords of some places: while they stand, everybody sees what is made of those."""
        handed = self._holders(places)[1]
        return {("gone", step_id): self._steps[step_id].written for step_id, passes_on in handed.items() if passes_on}

    def holding(self, places: Collection[Place]) -> set[str]:
        """Return the names that may hold the passwords of some places, or what was made of them."""
        return self._holders(places)[0]

    def leading(self, places: Collection[Place]) -> set[str]:
        """Return the names that say on which device, or in which script, the passwords of some places are used."""
        steps = self._holders(places)[1].keys() | ({place.owner for place in places if place.is_compared} & self._steps.keys())
        used = (each for step_id in steps for each in self._steps[step_id].inputs if self._leads(step_id, each))
        return self._led_by({name for each in used for name in each.names})

    def is_free_to_call(self, step_id: str, places: Collection[Place]) -> bool:
        """Return whether a step hands one of some passwords to a workflow that others choose, by a value or by giving one of theirs a name."""
        if step_id not in self._holders(places)[1]:
            return False
        by_id = [each for each in self._steps[step_id].inputs if each.name == _CALLED]
        return not by_id or any(each.names for each in by_id)

    def _declarations(self, name: str) -> list[Any]:
        entries = [value_at(self._document, (section, name)) for section in SECTIONS]
        return [[each.get("type"), each.get("defaultValue")] if isinstance(each, Mapping) else None for each in entries]

    def _kinds(self, name: str) -> list[Any]:
        """Return as what a name is declared, and where: a password is not shown."""
        return [
            [section, value_at(self._document, (section, name, "type"))]
            for section in SECTIONS
            if value_at(self._document, (section, name))
        ]

    def _leads(self, step_id: str, each: _Input) -> bool:
        step = self._steps[step_id]
        return (
            each.name == _CODE or each.name in TARGET or each.name in step.acts_on or (step.calls and each.source[0] != ValueType.PASSWORD)
        )

    def _holders(self, places: Collection[Place]) -> tuple[set[str], dict[str, bool]]:
        """Return the names that may hold the passwords of some places, and the steps that are handed one, with whether they may hand it on."""
        names = {place.owner for place in places if place.is_declared}
        own: dict[str, set[str]] = defaultdict(set)
        for place in places:
            if place.input and place.owner in self._steps:
                own[place.owner].add(place.input)
        steps: dict[str, bool] = {}
        fresh, ahead = set(own), sorted(names)
        while fresh or ahead:
            if ahead:
                fresh.update(self._readers.get(ahead.pop(), ()))
            for step_id in sorted(fresh):  # in one order, so that the same is told whenever the same is asked
                steps[step_id] = steps.get(step_id, False) or self._steps[step_id].passes_on(names, own.get(step_id, ()))
                if steps[step_id]:
                    more = [name for name in self._steps[step_id].writes if name not in names]
                    ahead += more
                    names.update(more)
            fresh = set()
        return names, steps

    def _led_by(self, names: Collection[str]) -> set[str]:
        """Return `names`, and all that they are made of."""
        found, ahead = set(names), list(names)
        while ahead:
            for step_id in self._writers.get(ahead.pop(), ()):
                more = self._steps[step_id].read - found
                found |= more
                ahead += more
        return found

    def _step(self, source: JsonObject, types: StepTypes) -> _Step:
        kind = source.get("type")
        signature = types.find(kind) if isinstance(kind, str) else None
        inputs = tuple(self._inputs(source, signature))
        acts_on: frozenset[str] = frozenset()
        if signature is not None and signature.device_inputs:
            acts_on = frozenset({*TARGET, *signature.device_inputs})
        elif signature is None and not _MACHINES.isdisjoint(each.name for each in inputs):
            acts_on = frozenset(TARGET)
        writes = {name: entry for keys in _OUT_BINDINGS for name, entry in objects(value_at(source, keys))}
        return _Step(kind, inputs, writes, acts_on, calls=signature is not None and signature.waits)

    def _inputs(self, step: JsonObject, signature: StepSignature | None) -> Iterator[_Input]:
        for keys in BINDINGS:
            for name, entry in objects(value_at(step, keys)):
                is_login = entry.get("type") == ValueType.PASSWORD if signature is None else _is_login(signature, name)
                yield _Input(_path(keys, name), name, self._source(entry), frozenset(_names(entry)), is_login)

    def _source(self, entry: JsonObject) -> list[Any]:
        """Return where an input takes its value from: of a file, which one that is."""
        found = [entry.get(field) for field in ("type", "exportName", "defaultValue")]
        if found[0] == ValueType.FILE:
            named = [value_at(self._document, (section, found[1], "defaultValue")) for section in SECTIONS if isinstance(found[1], str)]
            found += [value_at(self._document, ("attachments", key, "id")) for key in (found[2], *named) if isinstance(key, str)]
        return found


def differences(places: Collection[Place], new: Ways, old: Ways, known: Collection[Place] = ()) -> Iterator[tuple[Place, str]]:
    """Yield the places whose password would go elsewhere, or be told, in a new document, each with the reason.

    `known`: those of them whose passwords are known to whoever wants it. Looking at each place takes a while where all is led by all: then it is
    given up, and what is the matter with one counts for the rest.
    """
    yield from _each((place, _difference(new.targets(place), old.targets(place))) for place in places if place in known)
    unknown = [place for place in places if place not in known]
    of_any = _difference(new.parts(unknown), old.parts(unknown)) if unknown else None
    if of_any is None:
        return
    done = 0
    told: list[tuple[Place, str | None]] = []
    for place in unknown:
        if done > _MOST_PARTS:
            told.append((place, of_any))
            continue
        parts = new.parts([place])
        done += len(parts)
        told.append((place, _difference(parts, old.parts([place]))))
    yield from _each(told)


def gone(places: Collection[Place], new: Ways, old: Ways) -> Iterator[tuple[Place, str]]:
    """Yield the places whose password a step hands on that is gone, or hands on no more: what it has written already would be nobody's."""
    if places and _difference(old.handing_on(places), new.handing_on(places)) is not None:
        yield from _each((place, _difference(old.handing_on([place]), new.handing_on([place]))) for place in places)


def _each(told: Iterable[tuple[Place, str | None]]) -> Iterator[tuple[Place, str]]:
    return ((place, why) for place, why in told if why is not None)


def _difference(new: Mapping[Part, Any], old: Mapping[Part, Any]) -> str | None:
    for part, now in new.items():
        if part not in old or old[part] != now:
            return _told(part, was_there=part in old)
    return None


def _told(part: Part, *, was_there: bool) -> str:
    what = shown(part[1])
    if part[0] in _TOLD:
        return _TOLD[part[0]].format(what)
    if not was_there:
        return f"the step {what} did not use it so before"
    return f"what says where the step {what}, which uses it, acts or what it does with it changes too"


def _path(keys: tuple[str, ...], name: str) -> str:
    return f"{'.'.join(keys)}.{shown(name)}"


def _is_login(signature: StepSignature, name: str) -> bool:
    spec = signature.input(name)
    return spec is not None and ValueType.PASSWORD in spec.types and not spec.tells_what


def _names(binding: JsonObject) -> set[str]:
    """Return the names that an input of a step takes its value from."""
    found = {name} if isinstance(name := binding.get("exportName"), str) else set()
    default = binding.get("defaultValue")
    template = compile_template(default) if isinstance(default, str) else None
    return found | set(template.names if template is not None else ())


def _questions(step: JsonObject) -> Iterator[tuple[str, str]]:
    """Yield every condition of a step and of its probe, with each name whose value it tells something about."""
    for keys in (("conditions",), *_PROBED):
        conditions = value_at(step, keys)
        for condition in conditions if isinstance(conditions, list) else ():
            if not isinstance(condition, Mapping) or (value := condition.get("value")) == MASK:
                continue
            asked = repr((keys, condition.get("name"), condition.get("comparator"), value))
            if keys not in _PROBED:
                yield str(condition.get("name")), asked
            elif isinstance(value, str) and (template := compile_template(value)) is not None:
                yield from ((name, asked) for name in dict.fromkeys(template.names))


def objects(value: Any) -> Iterator[tuple[str, JsonObject]]:
    """Yield the objects among the entries of what may be one."""
    if isinstance(value, Mapping):
        yield from ((name, entry) for name, entry in value.items() if isinstance(entry, Mapping))


def value_at(value: Any, keys: tuple[Key, ...]) -> Any:
    """Return what stands in a JSON value where `keys` lead; None where they lead nowhere."""
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value
