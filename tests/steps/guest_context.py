"""An inventory that knows the fake vCenter, contexts that have it, and what is asked of an attempt. Used by the tests of TCA_EXEC."""

from typing import Any, Final

from stepswitch.plugin import Cluster, Endpoint, ErrorCode, Inventory, Login, Outcome, Reference, Result, Value, VimLocation, VirtualMachine
from tests import guests, vcenter
from tests.steps.contexts import RecordingContext
from tests.vcenter import FakeVCenter

CREDENTIALS: Final = {"vcenter": vcenter.PASSWORD, "guest": guests.PASSWORD}


def context_for(center: FakeVCenter, inventory: Inventory | None = None, **more: Any) -> RecordingContext:
    """Return a context whose inventory knows the vCenter, and whose credentials open it."""
    return RecordingContext(**{"inventory": inventory or known(center), "credentials": CREDENTIALS, **more})


def known(center: FakeVCenter, *, machines: dict[str, VirtualMachine] | None = None, **endpoint: Any) -> Inventory:
    """Return an inventory with the vCenter, `endpoint` saying otherwise, and its machine in each of the three ways to call it."""
    login = Login(vcenter.USER, Reference("vcenter"))
    described = {"url": center.url("").rstrip("/"), "login": login, "ca_certificates": center.certificate.read_text(), **endpoint}
    cluster = Cluster("https://k8s.example.net")
    locations = {"paris": VimLocation("paris", vcenter=Endpoint(**described)), "cluster": VimLocation("cluster", kubernetes=cluster)}
    guest = Login(guests.USER, Reference("guest"))
    entries = {
        "smf-1": VirtualMachine("smf-1", "paris", managed_object_id=vcenter.MACHINE, login=guest),
        "smf-2": VirtualMachine("smf-2", "paris", instance_uuid=vcenter.UUID, login=guest),
        "smf-3": VirtualMachine("smf-3", "paris", path=f"/{vcenter.PATH}", login=guest),
    }
    return Inventory(vim_locations=locations, virtual_machines=entries | (machines or {}))


def described(center: FakeVCenter) -> dict[str, Any]:
    """Return the same as a document, with one machine and a network function in it."""
    login = {"username": vcenter.USER, "password": {"credential": "vcenter"}}
    endpoint = {"url": center.url("").rstrip("/"), "login": login, "caCertificates": center.certificate.read_text()}
    guest = {"username": guests.USER, "password": {"credential": "guest"}}
    machine = {"vimLocation": "paris", "managedObjectId": vcenter.MACHINE, "login": guest}
    function = {"type": "VNF", "vimLocation": "paris", "virtualMachines": ["smf-1"]}
    return {"vimLocations": {"paris": {"vcenter": endpoint}}, "virtualMachines": {"smf-1": machine}, "networkFunctions": {"nf-1": function}}


def asking(command: str, **more: Value) -> dict[str, Value]:
    """Return the inputs of a step that runs a command in the machine, as the inventory knows it."""
    return {"virtualMachine": "smf-1", "cmd": command, **more}


def failure(outcome: Outcome) -> tuple[Result, ErrorCode | None]:
    """Return how an attempt ended, and the code of its error."""
    return outcome.result, None if outcome.error is None else outcome.error.code


def assert_nothing_left(center: FakeVCenter) -> None:
    """No file, no process and no session."""
    assert (center.guest.left(), center.guest.running(), center.sessions) == ([], [], set())
