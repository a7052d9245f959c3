"""At which device a step stands in line, and how many may act there at once. Called by `flow` and `probing` when a step becomes executable.

A device is the inventory's entry for the address that the step is given, else the host on any port. Nothing is resolved: two names are one device
where the inventory says so. What was found is kept with the step, so that whoever fills the queue from the store asks nobody.
"""

from stepswitch.domain.devices import DeviceLane, written_alike
from stepswitch.domain.execution import Values
from stepswitch.domain.inventory import Inventory
from stepswitch.domain.step_types import StepSignature


def lane_of(signature: StepSignature | None, inputs: Values, inventory: Inventory) -> DeviceLane | None:
    """Return where an attempt with `inputs` stands in line; None where it acts on no device.

    An HTTP server answers many at once: it is a device only where the inventory knows it as one.
    """
    if signature is None or (signature.device_input is None and signature.url_input is None):
        return None
    lane = found_lane(signature, inputs, inventory)
    return None if lane is None or (signature.url_input is not None and not lane.is_known) else lane


def found_lane(signature: StepSignature | None, inputs: Values, inventory: Inventory) -> DeviceLane | None:
    """Return the device on which an attempt acts, also where nobody stands in line for it; None where there is none, or nobody can say which."""
    target = None if signature is None else signature.target(inputs)
    if target is None:
        return None
    known = inventory.device_at(target.host, target.port)
    if known is None:
        host = written_alike(target.host)
        return DeviceLane(host, host)
    return DeviceLane(known.id, str(known.addresses[0]), known.sessions_at_once, is_known=True)
