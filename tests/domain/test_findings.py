"""Risk: what a source says takes the place of what somebody wrote down, or a network function is said to run where it does not."""

from typing import Any

import pytest

from stepswitch.domain.contexts import DeducedContext, deduced, unknown_to
from stepswitch.domain.execution import ContextType
from stepswitch.domain.findings import (
    MOST_TOLD,
    Findings,
    FoundFunction,
    FoundMachine,
    FoundService,
    Merged,
    brought,
    brought_entry,
    merged,
)
from stepswitch.domain.inventory import NOTHING_KNOWN, Inventory, Section, VirtualMachine
from stepswitch.domain.inventory_document import read_inventory

DOCUMENT: dict[str, Any] = {
    "vimLocations": {
        "paris": {"vcenter": {"url": "https://vc.example.net"}, "vimConnectionIds": ["vim-1", "vcenter of paris"]},
        "rome": {"vcenter": {"url": "https://vc2.example.net"}, "vimConnectionIds": ["vim-2"]},
        "pods": {"kubernetes": {"url": "https://k8s.example.net"}},
    },
    "networkFunctions": {"written": {"type": "VNF", "vimLocation": "rome"}},
    "virtualMachines": {"paris:vm-9": {"vimLocation": "paris", "login": {"username": "root"}}},
    "sources": {
        "a-nfvo": {"kind": "SOL005", "url": "https://nfvo.example.net"},
        "vnfm-1": {"kind": "SOL003", "url": "https://vnfm.example.net"},
        "vnfm-2": {"kind": "SOL003", "url": "https://vnfm2.example.net"},
    },
}
WRITTEN = read_inventory(DOCUMENT).inventory or NOTHING_KNOWN


def function(id_: str, *vims: tuple[str, ...], **more: Any) -> FoundFunction:
    return FoundFunction(id_, is_instantiated=True, vims=vims, **more)


def found(*functions: FoundFunction, source: str = "vnfm-1", written: Inventory = WRITTEN) -> Merged:
    return merged(written, {source: Findings(functions)})


def test_a_network_function_runs_at_the_vim_location_that_its_connection_means() -> None:
    result = found(
        function("by-connection", ("vim-1",)),
        function("by-vim", ("c-17", "vcenter of paris")),
        function("by-own-id", ("pods",)),
        function("by-machine", ("vim-1",), ("vim-2",), machines=(FoundMachine("vm-1", ("vim-2",)),)),
        function("by-the-only-one", ("vim-2",), machines=(FoundMachine("vm-2"),)),
    )
    known = result.inventory.network_functions
    assert {name: (each.vim_location, each.type) for name, each in known.items() if each.source} == {
        "by-connection": ("paris", "VNF"),
        "by-vim": ("paris", "VNF"),
        "by-own-id": ("pods", "CNF"),
        "by-machine": ("rome", "VNF"),
        "by-the-only-one": ("rome", "VNF"),
    }
    assert result.problems == {"vnfm-1": ()}
    assert known["by-machine"].virtual_machines == ("rome:vm-1",)


def test_virtual_machines_are_called_with_their_vim_and_as_it_calls_them() -> None:
    uuid = "50123456-789a-bcde-f012-3456789abcde"
    machines = tuple(FoundMachine(name, ("vim-1",)) for name in ("vm-1", uuid, "vm-9", "x" * 255))
    result = found(function("nf", ("vim-1",), machines=machines), function("pod", ("pods",), machines=(FoundMachine("smf-0"),)))
    assert result.inventory.network_functions["nf"].virtual_machines == ("paris:vm-1", f"paris:{uuid}", "paris:vm-9")
    assert result.inventory.network_functions["pod"].virtual_machines == ()
    known = result.inventory.virtual_machines
    assert known["paris:vm-1"] == VirtualMachine("paris:vm-1", "paris", managed_object_id="vm-1", source="vnfm-1")
    assert known[f"paris:{uuid}"].instance_uuid == uuid
    assert (known["paris:vm-9"].source, known["paris:vm-9"].login.username) == (None, "root")
    assert len(result.problems["vnfm-1"]) == 2
    assert "'paris:vm-9' is written down, too" in result.problems["vnfm-1"][0]


@pytest.mark.parametrize(
    ("vims", "machines", "why"),
    [
        ((("vim-9", "other"),), (), "no VIM location has 'vim-9' or 'other' among its vimConnectionIds"),
        ((("vim-1",), ("vim-2",)), (), "it is at paris and at rome"),
        ((("vim-1",),), (FoundMachine("vm-1", ("vim-1",)), FoundMachine("vm-2", ("vim-9",))), "no VIM location has 'vim-9'"),
        ((("vim-1",), ("vim-2",)), (FoundMachine("vm-1"),), "the source names no VIM for it"),
        ((), (), "the source names no VIM for it"),
    ],
)
def test_one_of_which_nobody_can_say_where_it_runs_is_left_out_and_told(vims: Any, machines: Any, why: str) -> None:
    result = found(function("nf", *vims, machines=machines))
    assert "nf" not in result.inventory.network_functions
    (told,) = result.problems["vnfm-1"]
    assert told.startswith("nobody can say where the network function 'nf' runs: ")
    assert why in told


def test_one_that_does_not_run_yet_is_nothing_to_be_told() -> None:
    result = found(FoundFunction("later"), FoundFunction("placed", vims=(("vim-1",),)))
    assert result.problems == {"vnfm-1": ()}
    assert result.inventory.network_functions.keys() == {"written", "placed"}


def test_what_is_written_down_counts_and_of_two_sources_the_first_by_its_id_and_both_are_told() -> None:
    findings = {
        "vnfm-2": Findings((function("nf", ("vim-2",)),)),
        "vnfm-1": Findings((function("written", ("vim-1",)), function("nf", ("vim-1",)))),
        "a-nfvo": Findings((function("nf", ("vim-2",)), function("only-there", ("vim-2",)))),
    }
    result = merged(WRITTEN, findings)
    known = result.inventory.network_functions
    assert (known["written"].vim_location, known["written"].source) == ("rome", None)
    assert (known["nf"].vim_location, known["nf"].source) == ("paris", "vnfm-1")
    assert known["only-there"].source == "a-nfvo"
    assert result.problems == {
        "vnfm-1": ("the network function 'written' is written down, too, and what is written down counts",),
        "vnfm-2": ("the network function 'nf' comes from the source 'vnfm-1' already",),
        "a-nfvo": (),
    }


def test_problems_without_end_are_counted() -> None:
    told = found(*(function(f"nf-{number}") for number in range(MOST_TOLD + 7))).problems["vnfm-1"]
    assert (len(told), told[-1]) == (MOST_TOLD + 1, "and 7 more")


def services() -> Inventory:
    functions = (function("p1", ("vim-1",)), function("p2", ("vim-1",)), function("r", ("vim-2",)), function("nowhere"))
    inside = {"one": ("p1", "p2"), "two": ("p1", "r"), "holed": ("p1", "nowhere"), "empty": ()}
    found = Findings(functions, tuple(FoundService(name, functions=each) for name, each in inside.items()))
    return merged(WRITTEN, {"a-nfvo": found}).inventory


def test_a_network_service_knows_its_network_functions_and_those_that_it_misses() -> None:
    known = services().network_services
    assert {name: (each.network_functions, each.is_whole) for name, each in known.items()} == {
        "one": (("p1", "p2"), True),
        "two": (("p1", "r"), True),
        "holed": (("p1",), False),
        "empty": ((), True),
    }


@pytest.mark.parametrize(("service", "place"), [("one", "paris"), ("two", None), ("holed", None), ("empty", None)])
def test_a_network_service_gives_its_vim_location_where_all_of_it_is_at_one_and_nobody_says_another(
    service: str, place: str | None
) -> None:
    known, context = services(), {"nsId": service}
    assert deduced(known, ContextType.NS, context, {}) == DeducedContext(context if place is None else {**context, "vimLocation": place})
    said = {**context, "vimLocation": "rome"}
    assert deduced(known, ContextType.NS, said, {}) == DeducedContext(said)
    assert deduced(known, ContextType.NS, context, {"vimLocation": "rome"}) == DeducedContext(context)


def test_an_id_that_no_source_knows_is_refused_also_where_none_was_read_yet() -> None:
    for kind, key in ((ContextType.VNF, "vnfId"), (ContextType.NS, "nsId")):
        (fault,) = deduced(WRITTEN, kind, {key: "gone"}, {}).faults
        assert fault.path == f"context.{key}"
        assert deduced(WRITTEN, kind, {key: "gone", "vimLocation": "rome"}, {}).faults == ()
    only_nfvo = read_inventory({"sources": {"nfvo": DOCUMENT["sources"]["a-nfvo"]}}).inventory or NOTHING_KNOWN
    assert deduced(only_nfvo, ContextType.VNF, {"vnfId": "nf"}, {}).faults == ()


def test_sources_are_asked_only_for_what_nobody_knows_or_says() -> None:
    ask: dict[str, Any] = {"inventory": WRITTEN, "context_type": ContextType.VNF, "assignments": {}}
    assert unknown_to(context={"vnfId": "gone"}, **ask) == (Section.NETWORK_FUNCTIONS, "gone")
    assert unknown_to(WRITTEN, ContextType.NS, {"nsId": "gone"}, {}) == (Section.NETWORK_SERVICES, "gone")
    for context in ({"vnfId": "written"}, {"vnfId": "gone", "vimLocation": "rome"}, {"vnfId": 7}, {}):
        assert unknown_to(context=context, **ask) is None
    assert unknown_to(WRITTEN, ContextType.NONE, {"vnfId": "gone"}, {}) is None
    assert unknown_to(NOTHING_KNOWN, ContextType.VNF, {"vnfId": "gone"}, {}) is None


def test_what_sources_bring_is_shown_with_its_mark_and_nothing_else_is() -> None:
    result = found(function("nf", ("vim-1",), name="SMF", machines=(FoundMachine("vm-1"),))).inventory
    assert brought(result) == {
        "virtualMachines": {"paris:vm-1": {"source": "vnfm-1", "vimLocation": "paris", "managedObjectId": "vm-1"}},
        "networkFunctions": {
            "nf": {"source": "vnfm-1", "name": "SMF", "type": "VNF", "vimLocation": "paris", "virtualMachines": ["paris:vm-1"]}
        },
        "networkServices": {},
    }
    assert brought_entry(result, Section.NETWORK_FUNCTIONS, "nf") == brought(result)["networkFunctions"]["nf"]
    assert brought_entry(result, Section.NETWORK_FUNCTIONS, "written") is None
    assert brought_entry(result, Section.VIM_LOCATIONS, "paris") is None
