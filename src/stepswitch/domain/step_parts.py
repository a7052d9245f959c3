"""The parts that a step and its probe have alike: conditions and bindings, read from JSON with every fault. Called by `parsing` and `policies`."""

from collections.abc import Iterator
from typing import Final

from stepswitch.domain.document import Comparator, Condition, InBinding, OutBinding
from stepswitch.domain.readers import ObjectReader
from stepswitch.domain.templates import compile_template
from stepswitch.domain.values import ValueType

DECLARATION_FIELDS: Final = frozenset({"type", "format", "description", "defaultValue"})
_IN_BINDING_FIELDS: Final = DECLARATION_FIELDS | {"exportName"}
_OUT_BINDING_FIELDS: Final = frozenset({"name", "type", "format"})
_EVIDENCE_FIELDS: Final = frozenset({"name", "comparator", "value"})
_CONDITION_FIELDS: Final = _EVIDENCE_FIELDS | {"nextStepId"}


def read_conditions(step: ObjectReader) -> Iterator[Condition]:
    """Yield the conditions of a step: one for each object, so that `validation` can say which one it means."""
    for reader in step.objects("conditions"):
        condition = _read_condition(reader, _CONDITION_FIELDS)
        yield Condition(condition.name, condition.comparator, condition.value, reader.name("nextStepId"))


def read_evidence(probe: ObjectReader, field: str) -> Iterator[Condition]:
    """Yield the conditions of a probe that stand in `field`, one for each object. They lead nowhere, and their values may hold references."""
    for reader in probe.objects(field):
        condition = _read_condition(reader, _EVIDENCE_FIELDS)
        template = compile_template(condition.value) if isinstance(condition.value, str) else None
        yield Condition(condition.name, condition.comparator, condition.value, template=template)


def _read_condition(reader: ObjectReader, fields: frozenset[str]) -> Condition:
    reader.require("name", "comparator")
    reader.warn_unknown(fields)
    name, comparator = reader.name("name"), reader.word("comparator", Comparator)
    return Condition(name or "", comparator or Comparator.IS_DEFINED, reader.scalar("value"))


def read_in_bindings(step: ObjectReader) -> Iterator[InBinding]:
    """Yield the inputs of a step or a probe, without those that have no type."""
    for name, reader in step.entries("inBindings"):
        reader.require("type")
        reader.text("description")
        reader.warn_unknown(_IN_BINDING_FIELDS)
        kind = reader.word("type", ValueType)
        default = reader.value("defaultValue", kind)
        export_name, form = reader.name("exportName"), reader.text("format")
        template = compile_template(default) if kind is ValueType.STRING and isinstance(default, str) else None
        if kind is not None:
            yield InBinding(name, kind, form, export_name, default, template)


def read_out_bindings(step: ObjectReader) -> Iterator[OutBinding]:
    """Yield what a step or a probe writes, without what says too little."""
    for target, reader in step.entries("outBindings"):
        reader.require("name", "type")
        reader.warn_unknown(_OUT_BINDING_FIELDS)
        name, kind, form = reader.name("name"), reader.word("type", ValueType), reader.text("format")
        if name is not None and kind is not None:
            yield OutBinding(target, name, kind, form)
