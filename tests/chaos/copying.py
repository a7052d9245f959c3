"""Workflows that copy files to the server of a stage and back, and where they do: what outlives its connection there is the part of a file."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.chaos.stage import Json, Stage

SCRIPT: Final = b"echo told by what was fetched\n"


@contextmanager
def place_at(stage: Stage) -> Iterator[Path]:
    """Give a directory of the server's user, with a file `script` in it."""
    path = stage.server.work / "copies"
    path.mkdir()
    (path / "script").write_bytes(SCRIPT)
    for each in (path, path / "script"):
        shutil.chown(each, stage.server.user)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def step(stage: Stage, kind: str, bindings: Json, **more: Any) -> Json:
    """Return a step that logs in to the server with its password."""
    login: Json = {
        "hostNameOrIP": {"type": "string", "defaultValue": stage.server.host},
        "port": {"type": "number", "defaultValue": stage.server.port},
        "username": {"type": "string", "defaultValue": stage.server.user},
        "password": {"type": "password", "defaultValue": stage.server.password},
    }
    return {"type": kind, "inBindings": {**login, **bindings}, **more}


def workflow(steps: Json, **more: Any) -> Json:
    """Return a workflow that begins with the first of its steps."""
    return {"name": "copies", "version": "1", "schemaVersion": "3.0", "startStepId": next(iter(steps)), "steps": steps, **more}


def sending(stage: Stage, place: Path) -> str:
    """Store a workflow that puts the file `new` in the place of `script`; return its id."""
    copy = {
        "inFile": {"type": "file", "defaultValue": "new"},
        "destinationPath": {"type": "string", "defaultValue": str(place / "script")},
    }
    document = json.dumps(workflow({"send": step(stage, "TCA_SCP", copy)}))
    answer = stage.call("POST", "/workflow", files=[("workflow", (None, document, "application/json")), ("files", ("new", b"new"))])
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def names_in(place: Path) -> list[str]:
    """Return what stands in a directory, the parts of files as `.part`."""
    return sorted(".part" if each.name.endswith(".part") else each.name for each in place.iterdir())
