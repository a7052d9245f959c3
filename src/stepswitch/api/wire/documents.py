"""Workflow documents on their way out: with what the server fills in, and without the passwords that stand in them. Called by `answers`.

A snapshot never changes, so its JSON is made once and put into every answer as it is: most of an answer is that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from json import dumps
from typing import Any, Final

import orjson

from stepswitch.api.wire.times import format_time
from stepswitch.domain.secrecy import MASK
from stepswitch.domain.values import to_text
from stepswitch.engine.budget import Kept
from stepswitch.engine.kept_passwords import masked_document
from stepswitch.engine.snapshots import Compiled

KEPT_BYTES: Final = 16 * 1024 * 1024
STEP_BYTES: Final = 400
"""What the text of a step takes besides its characters."""
_STRUCTURE: Final = frozenset(
    {"name", "type", "format", "exportName", "comparator", "nextStepId", "startStepId", "onFailureStepId", "onUnknownStepId"}
    | {"id", "schemaVersion"}
)
"""Fields that hold names, ids and words of the language: a password that looks like one must not take the workflow apart."""
_INT64: Final = range(-(2**63), 2**64)
JsonObject = Mapping[str, Any]
Masker = Callable[[Sequence[str]], Callable[[str], str]]


@dataclass(frozen=True, slots=True)
class SnapshotText:
    """A snapshot as JSON, and its steps by id, each made when it is first asked for."""

    workflow: orjson.Fragment
    document: JsonObject
    size: int
    _steps: JsonObject
    _made: dict[str, orjson.Fragment] = field(default_factory=dict)

    def step(self, step_id: str) -> orjson.Fragment:
        """Return a step as it was written, with its id."""
        made = self._made.get(step_id)
        if made is None:
            made = self._made[step_id] = _fragment(encode(self.step_document(step_id)))
        return made

    def step_document(self, step_id: str) -> JsonObject:
        """Return a step as it was written, with its id, where only some of it is shown."""
        written = self._steps.get(step_id)
        return {**(written if isinstance(written, Mapping) else {}), "id": step_id}


class SnapshotTexts:
    """The snapshots that were shown lately, up to a number of bytes."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept: Kept[tuple[str, bool], SnapshotText] = Kept(kept_bytes)

    def get(self, compiled: Compiled, masker: Masker, *, with_tenant: bool) -> SnapshotText:
        """Return the text of a snapshot, as the root shows it that names the tenant or as the other does."""
        key = (compiled.snapshot.id, with_tenant)
        text = self._kept.get(key)
        if text is None:
            text = _snapshot_text(compiled, masker, with_tenant=with_tenant)
            self._kept.put(key, text, text.size)
        return text


def _snapshot_text(compiled: Compiled, masker: Masker, *, with_tenant: bool) -> SnapshotText:
    document = masked_document(compiled.snapshot.document)
    if compiled.secret_defaults:
        document = _masked(document, masker(compiled.secret_defaults))
    if isinstance(created := document.get("createdAt"), int):
        document["createdAt"] = format_time(created)
    if with_tenant:
        document["creationTenantId"] = compiled.snapshot.tenant
    body, steps = encode(document), document.get("steps") or {}
    size = 3 * len(body) + STEP_BYTES * len(steps)  # as a whole, step by step, and what of the document is made anew
    return SnapshotText(_fragment(body), document, size, steps)


def _fragment(body: bytes) -> orjson.Fragment:
    """Return JSON to be put into answers as it is, and to be kept: what the encoder gives takes 4 KiB, however short it is."""
    return orjson.Fragment(bytes(memoryview(body)))


def _masked(value: Any, mask: Callable[[str], str]) -> Any:
    """Return a part of a document without the passwords that stand in it as such, wherever else they stand; never deeper than a document may be."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {name: entry if name in _STRUCTURE else _masked(entry, mask) for name, entry in value.items()}
    if isinstance(value, list):
        return [_masked(entry, mask) for entry in value]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return MASK if is_number and mask(to_text(value)) != to_text(value) else value


def encode(value: Any) -> bytes:
    """Return `value` as JSON. Texts with lone surrogates (a script can make them) are escaped, integers of any size written in full."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_encodable(value))


def _encodable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name.encode("utf-8", "replace").decode(): _encodable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(inner) for inner in value]
    if isinstance(value, str):
        return value if value.isascii() else orjson.Fragment(dumps(str(value)))
    if type(value) is int and value not in _INT64:
        return orjson.Fragment(str(value))
    return value
