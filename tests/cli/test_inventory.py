"""Risk: the command stores what nobody has checked, says that something is stored which is not, or shows another inventory than there is."""

import json
from pathlib import Path

import pytest

from tests.cli.calling import Caller
from tests.cli.distant import Distant

TEXT = """\
vimLocations:
  paris-vc: {vcenter: {url: "https://vc.example.net"}}
networkFunctions:
  nf-1: {type: VNF, vimLocation: paris-vc, name: "\u202eSMF"}
devices:
  core-7:
    addresses: [192.0.2.7]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "inventory.yaml"
    path.write_text(TEXT)
    return path


def looked_after(stepswitch: Caller, file: Path, place: tuple[object, ...]) -> None:
    """Go through everything that can be done with an inventory in one place."""
    made = stepswitch("inventory", "set", file, *place)
    assert (made.exit, made.out) == (0, "the inventory has 1 VIM location, 1 network function, 1 device; 3 new, 0 changed, 0 gone\n"), (
        made.err
    )
    shown = stepswitch("inventory", "show", *place)
    assert "\u202e" not in shown.out
    file.write_text(shown.out)
    assert stepswitch("inventory", "set", file, *place).out.endswith("; 0 new, 0 changed, 0 gone\n")
    assert json.loads(stepswitch("inventory", "show", "devices", "--json", *place).out) == {
        "devices": {"core-7": {"addresses": ["192.0.2.7"]}}
    }
    file.write_text("addresses: [192.0.2.8]\nplatform: ios\n")
    assert stepswitch("inventory", "put", "devices", "core-8", file, *place).out == "core-8 is stored\n"
    assert stepswitch("inventory", "show", "devices", "core-8", *place).out == "addresses:\n- 192.0.2.8\nplatform: ios\n"
    file.write_text("addresses: [192.0.2.7]\nplatform: io\n")
    refused = stepswitch("inventory", "put", "devices", "core-8", file, *place)
    assert refused.exit == 2
    assert "platform: " in refused.err
    assert "addresses[0]: is an address of the device 'core-7' already" in refused.err
    named = stepswitch("inventory", "remove", "vimLocations", "paris-vc", *place)
    assert (named.exit, named.out) == (2, "")
    assert "networkFunctions.nf-1.vimLocation: " in named.err
    assert stepswitch("inventory", "remove", "devices", "core-8", *place).out == "core-8 is removed\n"
    assert stepswitch("inventory", "show", "devices", "core-8", *place).exit != 0


def test_an_inventory_is_looked_after_in_a_data_directory(stepswitch: Caller, data: Path, file: Path) -> None:
    looked_after(stepswitch, file, ("--data-dir", data))
    found = [json.loads(line)["record"] for line in stepswitch("audit", "export", "--data-dir", data).out.splitlines()]
    assert {each["operation"] for each in found} == {"replaceInventory", "putDevice", "removeDevice"}
    assert {each["actor"]["kind"] for each in found} == {"command line"}


def test_an_inventory_is_looked_after_at_a_service(stepswitch: Caller, desk: Distant, file: Path) -> None:
    looked_after(stepswitch, file, ("--url", desk.url))


def test_a_file_is_checked_without_anything_being_stored(stepswitch: Caller, file: Path) -> None:
    right = stepswitch("inventory", "check", file)
    assert (right.exit, right.out) == (0, f"{file} is right: 1 VIM location, 1 network function, 1 device\n")
    file.write_text(TEXT + "    pltform: ios\n    site: nowhere\n")
    wrong = stepswitch("inventory", "check", file)
    assert (wrong.exit, wrong.out) == (2, "")
    assert wrong.err.splitlines()[0].startswith(f"{file}: line 8: devices.core-7.pltform: ")
    assert wrong.err.splitlines()[1].startswith(f"{file}: line 9: devices.core-7.site: ")


def test_an_id_that_no_entry_can_have_is_said_before_a_service_is_asked(stepswitch: Caller, file: Path) -> None:
    file.write_text("addresses: [192.0.2.7]")
    called = stepswitch("inventory", "put", "devices", "a/b", file, "--url", "http://127.0.0.1:1")
    assert (called.exit, called.out) == (2, "")
    assert called.err.startswith("'a/b' is no id of an entry: an id has printable characters only, none of them '/'")


def test_what_is_no_entry_and_no_section_is_refused(stepswitch: Caller, data: Path, file: Path) -> None:
    file.write_text("- a\n")
    assert "holds no entry" in stepswitch("inventory", "put", "devices", "d", file, "--data-dir", data).err
    assert "vimLocations" in stepswitch("inventory", "show", "vims", "--data-dir", data).err


def sourced(stepswitch: Caller, file: Path, place: tuple[object, ...]) -> None:
    """See a source that cannot be asked: nobody may connect to the machine of the service."""
    file.write_text("sources:\n  vnfm: {kind: SOL003, url: 'https://127.0.0.1:1', everySeconds: 86400}\n")
    assert "1 source; 1 new" in stepswitch("inventory", "set", file, *place).out
    read = stepswitch("inventory", "refresh", "vnfm", *place)
    assert (read.exit, read.out) == (1, "")
    assert read.err.startswith("vnfm cannot be read since ")
    assert "127.0.0.1:1 is where steps may not connect to" in read.err
    name, state, last_read, since, *counts, wrong = stepswitch("inventory", "sources", *place).out.rstrip("\n").split("\t")
    assert (name, state, last_read, counts) == ("vnfm", "UNREAD", "", ["0", "0", "0"])
    assert since in read.err
    assert wrong in read.err
    assert stepswitch("inventory", "refresh", "other", *place).exit != 0
    assert "kind: SOL003" in stepswitch("inventory", "show", "--with-sources", *place).out


def test_the_sources_of_a_data_directory_are_read_and_shown(stepswitch: Caller, data: Path, file: Path) -> None:
    sourced(stepswitch, file, ("--data-dir", data))


def test_the_sources_of_a_service_are_read_and_shown(stepswitch: Caller, desk: Distant, file: Path) -> None:
    sourced(stepswitch, file, ("--url", desk.url))
