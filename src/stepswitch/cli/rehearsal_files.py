"""Rehearsal documents that people keep beside their workflows, made whole: what they name by a path is read in. Called by `rehearse`.

Paths are relative to the folder of the document. In a document that comes over the API they mean nothing: there a path is refused.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from stepswitch.cli.documents import UnreadableError, read_json
from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError, ValueMisfitError
from stepswitch.domain.names import shown

_FILE: Final = "file"


def read_document(file: Path) -> tuple[dict[str, Any], list[Fault]]:
    """Return the document in `file` with what it names by paths, and a fault for each path that leads to nothing of use.

    Raises UnreadableError, or InvalidRequestError where it is no JSON object that the service would take.
    """
    document = read_json(file)
    if not isinstance(document, dict):
        message = str(ValueMisfitError(document, "rehearsal document; write an object"))
        raise InvalidRequestError([Fault(ErrorCode.WRONG_TYPE, "", message)])
    faults: list[Fault] = []
    whole = dict(document)
    if isinstance(named := document.get("workflow"), str):
        whole["workflow"] = _workflow(file.parent / named, faults)
    if isinstance(rehearsals := document.get("rehearsals"), list):
        whole["rehearsals"] = [_with_files(each, f"rehearsals[{place}]", file.parent, faults) for place, each in enumerate(rehearsals)]
    return whole, faults


def _workflow(file: Path, faults: list[Fault]) -> Mapping[str, Any]:
    """Return the workflow in a file; an empty one, with a fault, where there is none."""
    try:
        document = read_json(file)
    except UnreadableError as error:
        faults.append(Fault(ErrorCode.MALFORMED_JSON, "workflow", f"{file} {error}"))
    except InvalidRequestError as error:
        faults += [Fault(fault.code, "workflow", f"{file}: {fault}") for fault in error.faults]
    else:
        if isinstance(document, dict):
            return document
        faults.append(Fault(ErrorCode.WRONG_TYPE, "workflow", f"{file} holds no JSON object"))
    return {}


def _with_files(rehearsal: Any, path: str, folder: Path, faults: list[Fault]) -> Any:
    attachments = rehearsal.get("attachments") if isinstance(rehearsal, dict) else None
    if not isinstance(attachments, dict):
        return rehearsal
    read = {key: _content(each, f"{path}.attachments.{shown(key)}", folder, faults) for key, each in attachments.items()}
    return {**rehearsal, "attachments": read}


def _content(attachment: Any, path: str, folder: Path, faults: list[Fault]) -> Any:
    """Return the content of `{"file": path}`; anything else as it is."""
    if not isinstance(attachment, dict):
        return attachment
    faults += list(_unknown_fields(attachment, path))
    named = attachment.get(_FILE)
    if not isinstance(named, str):
        faults.append(Fault(ErrorCode.MISSING_FIELD, f"{path}.{_FILE}", "is required: the path of the file, or give its content as a text"))
        return ""
    file = folder / named
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        faults.append(Fault(ErrorCode.UNKNOWN_ATTACHMENT, f"{path}.{_FILE}", f"{file} cannot be read: {error.strerror}"))
    except UnicodeDecodeError:
        faults.append(Fault(ErrorCode.UNKNOWN_ATTACHMENT, f"{path}.{_FILE}", f"{file} is not UTF-8 text"))
    return ""


def _unknown_fields(attachment: Mapping[str, Any], path: str) -> Iterator[Fault]:
    for name in attachment:
        if name != _FILE:
            yield Fault(ErrorCode.UNKNOWN_FIELD, f"{path}.{shown(name)}", f"is a field that nobody knows; only {_FILE} can stand here")
