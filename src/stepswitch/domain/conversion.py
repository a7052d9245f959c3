"""Documents of schema 1.0 and 2.0 read as schema 3.0. Called by the catalogue: for `/convert`, at a create, and for every execution.

Either spelling of a part is taken (`inBinding` and `inBindings`, an array of named objects and a map), numeric and boolean strings
are taken for numbers and booleans. Faults name the place in the document that was sent. Source: `workflow-semantics`, section 6.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.domain import older_parts as old
from stepswitch.domain.document import MAX_DEPTH, SCHEMA_VERSION
from stepswitch.domain.errors import ErrorCode, Fault, ValueMisfitError
from stepswitch.domain.names import shown
from stepswitch.domain.older_parts import Entry, Places
from stepswitch.domain.parsing import depth_exceeds
from stepswitch.domain.readers import MAX_LISTED, Report
from stepswitch.domain.step_types import StepTypes
from stepswitch.domain.validation import check
from stepswitch.domain.values import ValueType

JsonObject = Mapping[str, Any]
OLD_VERSIONS: Final = {"1.0": "1.0", "1": "1.0", "2.0": "2.0", "2": "2.0"}
_END: Final = "END"
_SECTIONS: Final = {"inputs": ("inputs", "input"), "variables": ("variables", "variable"), "outputs": ("outputs", "output")}
_STEPS: Final = ("steps", "step")
_START: Final = ("startStepId", "startStep")
_NEXT: Final = ("nextStepId", "nextStep")
_SPELLINGS: Final = frozenset(
    {*(spelling for spellings in _SECTIONS.values() for spelling in spellings), *_STEPS, *_START, "schemaVersion"}
)
_STEP_PARTS: Final = frozenset(
    {"stepId", "id", "type", "workflow", "namespace", "stepNumber", "inBinding", "inBindings", "outBinding", "outBindings", "condition", "conditions"}
    | set(_NEXT)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conversion:
    """`document` is the one of schema 3.0, None where it has faults; `notes` say what could not be carried over."""

    document: dict[str, Any] | None
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()


def schema_of(source: JsonObject) -> str | None:
    """Return 1.0 or 2.0 where `source` is a document of that schema, None for any other."""
    version = source.get("schemaVersion")
    if version is None:
        return "1.0" if isinstance(source.get("steps"), list) else None
    return OLD_VERSIONS.get(version) if isinstance(version, str) else None


def convert(source: object, step_types: StepTypes, *, strict: bool = False) -> Conversion:
    """Return `source` in schema 3.0, checked as a whole, or every fault of it; never raises."""
    converter = _Converter()
    document = converter.read(source)
    faults = list(converter.report.faults)
    if document is None:
        return Conversion(None, tuple(faults))
    parsed = check(document, step_types, strict=strict)
    faults += [_moved(fault, converter.places) for fault in parsed.faults]
    warnings = tuple(_moved(fault, converter.places) for fault in parsed.warnings)
    return Conversion(None if faults else document, tuple(faults[: MAX_LISTED + 1]), warnings, tuple(converter.notes))


def upgraded(source: JsonObject) -> JsonObject:
    """Return a stored document, which was checked before, as it is executed: in schema 3.0."""
    return source if schema_of(source) is None else _Converter().read(source) or source


def _moved(fault: Fault, places: Places) -> Fault:
    return Fault(fault.code, places.original(fault.path), fault.message)


class _Converter:
    """Reads one document."""

    def __init__(self) -> None:
        self.report = Report()
        self.places = Places()
        self.notes: list[str] = []
        self._types: dict[str, ValueType | None] = {}
        self._implied: dict[str, dict[str, Any]] = {}

    def read(self, source: object) -> dict[str, Any] | None:
        """Return the document of schema 3.0; None where `source` is no document of an older schema at all."""
        if not isinstance(source, Mapping):
            self.report.fault(ErrorCode.WRONG_TYPE, "", str(ValueMisfitError(source, "object")))
            return None
        if depth_exceeds(source, MAX_DEPTH):
            self.report.fault(ErrorCode.TOO_DEEP, "", f"arrays and objects stand more than {MAX_DEPTH} deep in each other")
            return None
        schema = schema_of(source)
        if schema is None:
            code = ErrorCode.MISSING_FIELD if source.get("schemaVersion") is None else ErrorCode.UNSUPPORTED_SCHEMA
            self.report.fault(code, "schemaVersion", "only documents of schema 1.0 and 2.0 are converted")
            return None
        return self._document(source, schema)

    def _document(self, source: JsonObject, schema: str) -> dict[str, Any]:
        document = {name: value for name, value in source.items() if name not in _SPELLINGS}
        document["schemaVersion"] = SCHEMA_VERSION
        if "readOnly" in document:
            document["readOnly"] = old.read_value(document["readOnly"], ValueType.BOOLEAN)
        for section, spellings in _SECTIONS.items():
            document |= self._declarations(source, section, spellings)
        document |= self._steps(source)
        if self._implied:
            variables = document.get("variables")
            document["variables"] = {**(variables if isinstance(variables, Mapping) else {}), **self._implied}
        if isinstance(source.get("attachments"), list):
            document["attachments"] = {each.name: each.without_name() for each in self._named(source, "", "attachments", ("attachments",))}
        self._describe(document, schema)
        return document

    def _describe(self, document: dict[str, Any], schema: str) -> None:
        if not self.notes:
            return
        said = document.get("description")
        if said is None or isinstance(said, str):
            text = f"Converted from schema {schema}. " + " ".join(f"{note}." for note in self.notes)
            document["description"] = f"{said}\n\n{text}" if said else text

    def _named(self, source: JsonObject, path: str, field: str, spellings: tuple[str, ...]) -> Iterator[Entry]:
        """Return the named objects of a map or an array, with faults for those that have no name, or one that was there before."""
        new, before = f"{path}.{field}" if path else field, self.places.original(path)
        found = old.first(source, spellings)
        if found is None:
            return
        spelling, value = found
        base = f"{before}.{spelling}" if before else spelling
        self.places.note(new, base)
        if not isinstance(value, Mapping | list):
            self.report.fault(ErrorCode.WRONG_TYPE, base, str(ValueMisfitError(value, "object or array")))
            return
        names: set[str] = set()
        for entry in old.entries(value, base, self.report, "stepId" if field == "steps" else "name"):
            if field == "outBindings" or entry.name not in names:
                names.add(entry.name)
                self.places.note(f"{new}.{shown(entry.name)}", entry.path)
                yield entry
            else:
                self.report.fault(ErrorCode.DECLARED_TWICE, entry.path, f"{shown(entry.name)!r} stands here twice")

    def _declarations(self, source: JsonObject, section: str, spellings: tuple[str, ...]) -> dict[str, Any]:
        declared = {}
        for entry in self._named(source, "", section, spellings):
            declared[entry.name] = written = self._typed(entry, f"{section}.{shown(entry.name)}")
            if "required" in written:
                written["required"] = old.read_value(written["required"], ValueType.BOOLEAN)
            self._types[entry.name] = old.read_type(written.get("type"))[0]
        return {section: declared} if old.first(source, spellings) is not None else {}

    def _typed(self, entry: Entry, path: str) -> dict[str, Any]:
        """Return an object with a type and a default in the words of schema 3.0."""
        written = entry.without_name()
        kind, note = old.read_type(written.get("type"))
        if kind is not None:
            written["type"] = kind
        if note is not None:
            self.notes.append(f"{entry.path} {note}")
        found = old.first(written, ("defaultValue", "default"))
        written.pop("default", None)
        written.pop("defaultValue", None)
        if found is not None:
            spelling, value = found
            self.places.note(f"{path}.defaultValue", f"{entry.path}.{spelling}")
            value = old.read_value(value, kind)
            if value is not None:
                written["defaultValue"] = value
        return written

    def _steps(self, source: JsonObject) -> dict[str, Any]:
        entries = list(self._named(source, "", "steps", _STEPS))
        ids = {entry.name for entry in entries}
        found: dict[str, Any] = {"steps": {entry.name: self._step(entry, ids) for entry in entries}} if old.first(source, _STEPS) else {}
        start = old.first(source, _START)
        if start is not None:
            found["startStepId"] = start[1]
            self.places.note("startStepId", start[0])
        elif entries and isinstance(source.get("steps", source.get("step")), list):
            found["startStepId"] = min(entries, key=lambda entry: old.step_number(entry.source)).name
        return found

    def _step(self, entry: Entry, ids: set[str]) -> dict[str, Any]:
        path, source = f"steps.{shown(entry.name)}", entry.source
        written = {name: value for name, value in source.items() if name not in _STEP_PARTS}
        kind, vro_name = old.read_step_type(source)
        if kind is not None:
            written["type"] = kind
        written |= self._next(source, path, ids)
        bindings = {
            each.name: self._in_binding(each, path) for each in self._named(source, path, "inBindings", ("inBindings", "inBinding"))
        }
        if vro_name is not None:
            if not {"vroWorkflowName", "vroWorkflowId"} & bindings.keys():
                bindings["vroWorkflowName"] = {"type": "string", "defaultValue": vro_name}
            self.notes.append(f"{entry.path} called {shown(vro_name)!r}: it is taken for a workflow of vRO of that name")
        if source.get("namespace"):
            self.notes.append(f"{entry.path}.namespace is left out")
        if bindings or old.first(source, ("inBindings", "inBinding")):
            written["inBindings"] = bindings
        if old.first(source, ("outBindings", "outBinding")):
            written["outBindings"] = self._out_bindings(entry, path)
        return written | self._conditions(source, path, ids)

    def _next(self, source: JsonObject, path: str, ids: set[str]) -> dict[str, Any]:
        found = old.first(source, _NEXT)
        if found is None or (found[1] == _END and _END not in ids):
            return {}
        self.places.note(f"{path}.nextStepId", f"{self.places.original(path)}.{found[0]}")
        return {"nextStepId": found[1]}

    def _in_binding(self, entry: Entry, path: str) -> dict[str, Any]:
        written = self._typed(entry, f"{path}.inBindings.{shown(entry.name)}")
        if written.get("exportName") == "":
            del written["exportName"]
        return written

    def _out_bindings(self, step: Entry, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for entry in self._named(step.source, path, "outBindings", ("outBindings", "outBinding")):
            written = self._typed(entry, f"{path}.outBindings.{shown(entry.name)}")
            target: Any = entry.name
            if entry.is_listed:
                target = written.pop("exportName", None) or (entry.name if entry.name in self._types else None)
                written["name"] = entry.name
            else:
                written.setdefault("name", entry.source.get("name"))
            if not isinstance(target, str):
                self.notes.append(f"{entry.path} is left out: it does not say where the output goes")
            elif target in found:
                self.notes.append(f"{entry.path} is left out: another output of the step goes to the same place")
            else:
                self.places.note(f"{path}.outBindings.{shown(target)}", entry.path)
                self._imply(target, written, entry.path)
                found[target] = written
        return found

    def _imply(self, target: str, binding: JsonObject, path: str) -> None:
        """Declare what a step writes and nobody declared: the older schemas did not ask for it."""
        if target not in self._types and "type" in binding:
            self._types[target] = old.read_type(binding["type"])[0]
            self._implied[target] = {"type": binding["type"]}
            self.places.note(f"variables.{shown(target)}", path)

    def _conditions(self, source: JsonObject, path: str, ids: set[str]) -> dict[str, Any]:
        found = old.first(source, ("conditions", "condition"))
        if found is None:
            return {}
        spelling, value = found
        base = f"{self.places.original(path)}.{spelling}"
        self.places.note(f"{path}.conditions", base)
        if isinstance(value, Mapping):
            value = [value]
        if not isinstance(value, list):
            return {"conditions": value}
        written = []
        for number, each in enumerate(value):
            place = f"{path}.conditions[{number}]"
            self.places.note(place, f"{base}[{number}]" if isinstance(found[1], list) else base)
            written.append(self._condition(each, place, ids) if isinstance(each, Mapping) else each)
        return {"conditions": written}

    def _condition(self, source: JsonObject, path: str, ids: set[str]) -> dict[str, Any]:
        written = {name: value for name, value in source.items() if name not in _NEXT}
        written["comparator"] = old.read_comparator(source.get("comparator"))
        name = source.get("name")
        if source.get("value") is not None:
            written["value"] = old.read_value(source["value"], self._types.get(name) if isinstance(name, str) else None)
        return written | self._next(source, path, ids)
