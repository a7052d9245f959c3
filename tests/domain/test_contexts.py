"""Risk: an execution acts at another place than its network function is, or is refused where there is no inventory."""

from typing import Any

import pytest

from stepswitch.domain.contexts import DeducedContext, deduced
from stepswitch.domain.execution import ContextType
from stepswitch.domain.inventory import NOTHING_KNOWN, Inventory
from stepswitch.domain.inventory_document import read_inventory
from tests.domain.inventories import FULL

KNOWN = read_inventory({**FULL, "sources": {}}).inventory or NOTHING_KNOWN
NO_FUNCTIONS = read_inventory({**FULL, "networkFunctions": {}, "networkServices": {}, "sources": {}}).inventory or NOTHING_KNOWN


def paths(found: DeducedContext) -> list[str]:
    return [fault.path for fault in found.faults]


@pytest.mark.parametrize(("kind", "nf", "vim"), [(ContextType.VNF, "nf-1", "paris-vc"), (ContextType.CNF, "nf-2", "k8s")])
def test_the_vim_location_is_that_of_the_network_function(kind: ContextType, nf: str, vim: str) -> None:
    given = {"vnfId": nf, "ticket": 7}
    found = deduced(KNOWN, kind, given, {})
    assert found == DeducedContext({"vnfId": nf, "ticket": 7, "vimLocation": vim})
    assert given == {"vnfId": nf, "ticket": 7}
    assert deduced(KNOWN, kind, {"vnfId": nf, "vimLocation": vim}, {}).faults == ()
    assert deduced(KNOWN, kind, {"vnfId": nf, "vimLocation": None}, {}).context["vimLocation"] == vim


def test_another_vim_location_and_another_type_are_both_told() -> None:
    found = deduced(KNOWN, ContextType.CNF, {"vnfId": "nf-1", "vimLocation": "k8s"}, {})
    assert paths(found) == ["contextType", "context.vimLocation"]
    assert "'paris-vc'" in found.faults[1].message


@pytest.mark.parametrize("inventory", [NOTHING_KNOWN, NO_FUNCTIONS])
@pytest.mark.parametrize("context", [{"vnfId": "nf-9"}, {"vnfId": "nf-9", "vimLocation": "x"}, {}, {"vnfId": 7}])
def test_an_inventory_without_network_functions_refuses_nothing(inventory: Inventory, context: dict[str, Any]) -> None:
    assert deduced(inventory, ContextType.VNF, context, {}) == DeducedContext(context)


def test_a_network_function_that_the_inventory_does_not_know_is_refused_unless_the_caller_says_where_it_is() -> None:
    unknown = deduced(KNOWN, ContextType.VNF, {"vnfId": "smf-paris"}, {})
    assert paths(unknown) == ["context.vnfId"]
    assert "give context.vimLocation" in unknown.faults[0].message
    assert "did you mean 'nf-1'?" in deduced(KNOWN, ContextType.VNF, {"vnfId": "NF-1"}, {}).faults[0].message
    for context, assignments in (({"vnfId": "nf-9", "vimLocation": "x"}, {}), ({"vnfId": "nf-9"}, {"vimLocation": "x"})):
        assert deduced(KNOWN, ContextType.VNF, context, assignments) == DeducedContext(context)


@pytest.mark.parametrize("kind", [ContextType.NS, ContextType.NONE])
def test_other_contexts_deduce_nothing(kind: ContextType) -> None:
    context = {"vnfId": "nf-1", "nsId": "ns-9"}
    assert deduced(KNOWN, kind, context, {}) == DeducedContext(context)
