"""An inventory file: YAML, checked as a whole, every fault with its path and its line. Called by `bootstrap` at the start, and by the command line."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stepswitch.domain.errors import SettingsError
from stepswitch.domain.inventory_document import read_inventory
from stepswitch.domain.readers import Report
from stepswitch.inventory.yaml_text import NoYamlError, ReadText, read_yaml

LARGEST_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class InventoryFile:
    """What a file says, found right; `digest` is of its bytes."""

    document: Mapping[str, Any]
    digest: str


def read_file(path: Path) -> InventoryFile:
    """Return what an inventory file says; raises SettingsError with a sentence for every fault, each on a line of its own."""
    content = _content(path)
    read, report = _read(path, content)
    faults = [*report.faults, *read_inventory(read.value).faults]
    if faults:
        told = sorted((read.line_of(fault.path), str(fault)) for fault in faults)
        raise SettingsError("\n".join(f"{path}: line {line}: {fault}" for line, fault in told))
    return InventoryFile(read.value, hashlib.sha256(content).hexdigest())


def read_entry(path: Path) -> Any:
    """Return what a file says of one entry; whether that fits is looked at where it is stored. Raises SettingsError."""
    read, report = _read(path, _content(path))
    if report.has_faults:
        raise SettingsError("\n".join(f"{path}: {fault}" for fault in report.faults))
    return read.value


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"the inventory {path} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_BYTES:
        raise SettingsError(f"the inventory {path} has more than {LARGEST_BYTES} bytes")
    return content


def _read(path: Path, content: bytes) -> tuple[ReadText, Report]:
    report = Report()
    try:
        return read_yaml(content.decode("utf-8-sig"), report), report
    except UnicodeDecodeError:
        raise SettingsError(f"the inventory {path} is not UTF-8 text") from None
    except NoYamlError as error:
        raise SettingsError(f"{path}: {error}") from None
