"""At which device a step stands in line. Risks: two names of one device count apart, two devices count as one, an API is served one call at a time."""

import pytest

from stepswitch.domain.devices import DeviceLane
from stepswitch.domain.events import Resume
from stepswitch.domain.inventory import Inventory
from stepswitch.domain.inventory_document import read_inventory
from stepswitch.domain.lanes import lane_of
from stepswitch.domain.step_types import InputSpec, StepSignature
from stepswitch.domain.values import ValueType
from tests.domain.documents import document
from tests.domain.lives import ACT, Life

WEB = StepSignature("WEB", "Asks.", inputs=(InputSpec("url", (ValueType.STRING,), "Where."),), url_input="url")
CORE = DeviceLane("core-7", "192.0.2.7", 3, is_known=True)


def known() -> Inventory:
    devices = {
        "core-7": {"addresses": ["192.0.2.7", "CORE-7.example.net", "[2001:db8::7]:830"], "sessionsAtOnce": 3},
        "lab-a": {"addresses": ["198.51.100.1:2201"]},
        "lab-b": {"addresses": ["198.51.100.1:2202"]},
    }
    read = read_inventory({"devices": devices})
    assert read.inventory is not None, read.faults
    return read.inventory


@pytest.mark.parametrize(
    ("inputs", "lane"),
    [
        ({"host": "192.0.2.7"}, CORE),
        ({"host": "192.0.2.7", "port": 830}, CORE),
        ({"host": "core-7.EXAMPLE.net."}, CORE),
        ({"host": "::ffff:192.0.2.7"}, CORE),
        ({"host": "2001:0db8::7", "port": "830"}, CORE),
        ({"host": "2001:db8::7", "port": 22}, DeviceLane("2001:db8::7", "2001:db8::7")),
        ({"host": "198.51.100.1", "port": 2201}, DeviceLane("lab-a", "198.51.100.1:2201", is_known=True)),
        ({"host": "198.51.100.1", "port": 2202}, DeviceLane("lab-b", "198.51.100.1:2202", is_known=True)),
        ({"host": "198.51.100.1", "port": 22}, DeviceLane("198.51.100.1", "198.51.100.1")),
        ({"host": "EDGE."}, DeviceLane("edge", "edge")),
        ({"host": "edge", "port": 99}, DeviceLane("edge", "edge")),
        ({"host": 7}, None),
        ({}, None),
    ],
)
def test_all_addresses_and_ports_of_an_entry_are_one_device_else_the_host_on_any_port(
    inputs: dict[str, str | int], lane: DeviceLane | None
) -> None:
    assert lane_of(ACT, inputs, known()) == lane


def test_an_http_server_is_a_device_only_where_the_inventory_knows_it() -> None:
    assert lane_of(WEB, {"url": "https://192.0.2.7/restconf"}, known()) == CORE
    assert lane_of(WEB, {"url": "https://api.example.net/"}, known()) is None
    assert lane_of(WEB, {"url": "no url"}, known()) is None


def test_entries_that_begin_alike_are_one_device_whoever_knows_them_and_the_lane_does_not_show_it() -> None:
    unknown = DeviceLane("192.0.2.7", "192.0.2.7")
    assert CORE.lane == unknown.lane
    assert CORE.lane != DeviceLane("core-7", "192.0.2.8").lane
    assert "192" not in CORE.lane


def test_a_step_keeps_the_device_that_was_known_when_it_became_executable() -> None:
    source = document(
        startStepId="a", steps={"a": {"type": "ACT", "inBindings": {"host": {"type": "string", "defaultValue": "192.0.2.7"}}}}
    )
    one = Life(source, debug=("a",), inventory=known())
    assert one.step.device == CORE
    one.inventory = Inventory()
    one.apply(Resume(one.new_id(), "ann", None))
    assert one.step.device == one.task.device == DeviceLane("192.0.2.7", "192.0.2.7")
    one.inventory = known()
    assert one.task.device == DeviceLane("192.0.2.7", "192.0.2.7"), "a stored step is not bound again"
