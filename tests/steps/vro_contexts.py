"""Contexts with an inventory in which there is a vRO. Used by the tests of the step types of vRO."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from stepswitch.plugin import Endpoint, Inventory, Login, Reference, Value, VimLocation, VirtualMachine
from tests.steps.contexts import RecordingContext
from tests.steps.vro_server import PASSWORD, USER, FakeVro

VIM: Final = "paris"
VRO_PASSWORD: Final = Reference("paris vro")


def context_with(known: Inventory, credentials: Mapping[str, str] | None = None, **more: Any) -> RecordingContext:
    """Return a context in which these credentials can be opened; without any, that of the vRO."""
    return RecordingContext(inventory=known, credentials=credentials or {VRO_PASSWORD.credential: PASSWORD}, **more)


def inventory_with(vro: FakeVro, certificate: Path | None, **more: Any) -> Inventory:
    """Return an inventory whose one VIM location has this vRO."""
    authority = None if certificate is None else certificate.read_text()
    endpoint = Endpoint(f"{vro.url().rstrip('/')}", Login(USER, VRO_PASSWORD), authority)
    machine = VirtualMachine("smf-1", VIM, managed_object_id="vm-1042", login=Login("root", Reference("smf")))
    return replace(Inventory({}, {VIM: VimLocation(VIM, vro=endpoint)}, {"smf-1": machine}), **more)


def asks(workflow: str, **inputs: Value) -> dict[str, Value]:
    """Return the inputs of a VRO_CUSTOM step for a workflow by its name."""
    return {"vimLocation": VIM, "vroWorkflowName": workflow, **inputs}
