"""Workflows that need no device, written to files. Used by the tests of the commands."""

import json
from pathlib import Path
from typing import Any, Final

LOGIN: Final = {"secret": {"type": "password", "required": True}}


def workflow(steps: dict[str, Any], start: str, **sections: Any) -> dict[str, Any]:
    return {"name": "test", "version": "1", "schemaVersion": "3.0", "startStepId": start, **sections, "steps": steps}


def script(text: str, *, inputs: dict[str, str] | None = None, **step: Any) -> dict[str, Any]:
    """Return a JS step; `inputs` are names by which it sees an input or variable of that name, with their types."""
    bindings = {name: {"type": kind, "exportName": name} for name, kind in (inputs or {}).items()}
    return {"type": "JS", "inBindings": {"script": {"type": "string", "defaultValue": text}, **bindings}, **step}


def written(place: Path, document: object) -> Path:
    file = place / "workflow.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


ADDITION: Final = workflow(
    {
        "add": script(
            "console.warn(`adding ${count}`); return { sum: count + 1 };",
            inputs={"count": "number"},
            outBindings={"sum": {"name": "sum", "type": "number"}},
            conditions=[{"name": "sum", "comparator": "greater", "value": 10, "nextStepId": "fail"}],
        ),
        "fail": script("throw new Error('too much for ' + secret);", inputs={"secret": "password"}),
    },
    "add",
    inputs={"count": {"type": "number", "required": True}, "secret": {"type": "password", "defaultValue": "s3cret-word"}},
    outputs={"sum": {"type": "number"}},
)
