"""A JSON object read as a workflow of schema 3.0, every fault at once. Called by `validation`, and where a stored one is read.

Only the shape is looked at here; what the parts mean to each other is `validation`'s. `outline` also gives what could be read
of a document with faults, so that `validation` can go on. Source: `workflow-semantics` section 1, `rest-api` section 4.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepswitch.domain.document import (
    MAX_DEPTH,
    MAX_STEPS,
    SCHEMA_VERSION,
    Declaration,
    OwnerType,
    Step,
    Workflow,
)
from stepswitch.domain.errors import ErrorCode, ValueMisfitError
from stepswitch.domain.names import unfit_name
from stepswitch.domain.policies import read_policy
from stepswitch.domain.readers import ObjectReader, Parsed, Report
from stepswitch.domain.step_parts import DECLARATION_FIELDS, read_conditions, read_in_bindings, read_out_bindings
from stepswitch.domain.values import ValueType

SERVER_FILLED: Final = frozenset({"id", "createdAt", "creationUser", "creationTenantId", "links"})
"""Fields of an answer that a document may carry when it is sent back; they are ignored."""

_DOCUMENT_FIELDS: Final = SERVER_FILLED | {
    "name", "version", "schemaVersion", "owner", "readOnly", "startStepId", "description", "hierarchy", "tags", "inputs", "outputs",
    "variables", "attachments", "steps",
}  # fmt: skip
_INPUT_FIELDS: Final = DECLARATION_FIELDS | {"required"}
_STEP_FIELDS: Final = frozenset({"type", "description", "nextStepId", "conditions", "inBindings", "outBindings", "policy"})
_OWNER_FIELDS: Final = frozenset({"id", "subId", "type"})
_TAG_FIELDS: Final = frozenset({"name", "autoCreated"})
_ATTACHMENT_FIELDS: Final = frozenset({"id", "reference"})
_SECTIONS: Final = ("inputs", "variables", "outputs")


@dataclass(frozen=True, slots=True)
class Outline:
    """What could be read of a document. `names` and `step_ids` hold also those whose definition has a fault."""

    workflow: Workflow
    names: frozenset[str]
    step_ids: frozenset[str]


def parse(source: Mapping[str, Any]) -> Parsed:
    """Return the workflow that `source` describes, or every fault of its shape; never raises."""
    report = Report()
    found = outline(source, report)
    return report.parsed(found.workflow if found else None)


def depth_exceeds(value: object, limit: int) -> bool:
    """Return whether arrays and objects stand more than `limit` deep in each other (`[]` is one deep); never recurses."""
    level: list[object] = [value] if isinstance(value, dict | list | tuple | Mapping) else []
    for _ in range(limit):
        level = [child for parent in level for child in _containers(parent)]
        if not level:
            return False
    return bool(level)


def _containers(parent: Any) -> Iterator[object]:
    children = parent.values() if isinstance(parent, Mapping) else parent
    return (child for child in children if isinstance(child, (dict, list, tuple, Mapping)))


def outline(source: object, report: Report) -> Outline | None:
    """Return what could be read of `source`, noting its faults in `report`; None where it is no document of this schema at all."""
    if not isinstance(source, Mapping):
        report.fault(ErrorCode.WRONG_TYPE, "", str(ValueMisfitError(source, "object")))
        return None
    if depth_exceeds(source, MAX_DEPTH):
        report.fault(ErrorCode.TOO_DEEP, "", f"arrays and objects stand more than {MAX_DEPTH} deep in each other")
        return None
    document = ObjectReader(source, "", report)
    return _read_document(document) if _is_schema_known(document) else None


def _is_schema_known(document: ObjectReader) -> bool:
    version = document.source.get("schemaVersion")
    if not isinstance(version, str) or version == SCHEMA_VERSION:
        return True
    message = f"only documents of schema {SCHEMA_VERSION} can be read here; older ones are converted by POST /convert"
    document.fault(ErrorCode.UNSUPPORTED_SCHEMA, "schemaVersion", message)
    return False


def _read_document(document: ObjectReader) -> Outline:
    document.require("name", "version", "schemaVersion")
    document.text("schemaVersion")
    document.text("description")
    document.warn_unknown(_DOCUMENT_FIELDS)
    _check_catalogue_fields(document)
    sections = {section: _read_declarations(document, section) for section in _SECTIONS}
    workflow = Workflow(
        name=document.name("name") or "",
        version=document.name("version") or "",
        start_step_id=document.name("startStepId"),
        inputs=sections["inputs"],
        variables=sections["variables"],
        outputs=sections["outputs"],
        steps=_read_steps(document),
        attachments=_read_attachments(document),
        declarations={**sections["outputs"], **sections["variables"], **sections["inputs"]},
        source=document.source,
    )
    return Outline(workflow, _all_names(document), _keys(document, "steps"))


def _keys(document: ObjectReader, field: str) -> frozenset[str]:
    value = document.source.get(field)
    return frozenset(value) if isinstance(value, Mapping) else frozenset()


def _all_names(document: ObjectReader) -> frozenset[str]:
    names: set[str] = set()
    for section in _SECTIONS:
        keys = _keys(document, section)
        for name in keys & names:
            if unfit_name(name) is None:
                document.fault(
                    ErrorCode.DECLARED_TWICE, f"{section}.{name}", "the name is declared twice; all sections share one set of names"
                )
        names |= keys
    return frozenset(names)


def _check_catalogue_fields(document: ObjectReader) -> None:
    document.flag("readOnly")
    owner = document.child("owner")
    if owner is not None:
        owner.require("id", "type")
        owner.name("id")
        owner.name("subId")
        owner.word("type", OwnerType)
        owner.warn_unknown(_OWNER_FIELDS)
    for tag in document.objects("tags"):
        tag.require("name")
        tag.name("name")
        tag.flag("autoCreated")
        tag.warn_unknown(_TAG_FIELDS)
    for place, item in enumerate(document.items("hierarchy")):
        if not isinstance(item, str):
            document.fault(ErrorCode.WRONG_TYPE, f"hierarchy[{place}]", str(ValueMisfitError(item, "string")))


def _read_declarations(document: ObjectReader, section: str) -> dict[str, Declaration]:
    known = _INPUT_FIELDS if section == "inputs" else DECLARATION_FIELDS
    found = {}
    for name, reader in document.entries(section):
        reader.require("type")
        reader.warn_unknown(known)
        kind = reader.word("type", ValueType)
        required = reader.flag("required") if section == "inputs" else None
        rest = (reader.text("format"), reader.text("description"), bool(required), reader.value("defaultValue", kind))
        if kind is not None:
            found[name] = Declaration(name, kind, *rest)
    return found


def _read_attachments(document: ObjectReader) -> dict[str, str]:
    found = {}
    for key, reader in document.entries("attachments"):
        reader.require("id", "reference")
        reader.text("reference")
        reader.warn_unknown(_ATTACHMENT_FIELDS)
        file_id = reader.name("id")
        if file_id is not None:
            found[key] = file_id
    return found


def _read_steps(document: ObjectReader) -> dict[str, Step]:
    number = len(_keys(document, "steps"))
    if number > MAX_STEPS:
        document.fault(ErrorCode.TOO_MANY_STEPS, "steps", f"a workflow has at most {MAX_STEPS} steps, not {number}")
        return {}
    return {step_id: _read_step(step_id, reader) for step_id, reader in document.entries("steps")}


def _read_step(step_id: str, reader: ObjectReader) -> Step:
    reader.require("type")
    reader.text("description")
    # An execution shows its steps with their id, and what it shows can be sent back.
    reader.warn_unknown(_STEP_FIELDS | {"id"} if reader.source.get("id") == step_id else _STEP_FIELDS)
    return Step(
        id=step_id,
        type=reader.name("type") or "",
        next_step_id=reader.name("nextStepId"),
        conditions=tuple(read_conditions(reader)),
        in_bindings=tuple(read_in_bindings(reader)),
        out_bindings=tuple(read_out_bindings(reader)),
        policy=read_policy(reader),
        source=reader.source,
    )
