"""Risk: the description of an inventory and what the service takes are not the same, or the example of the how-to page does not work."""

import re
from pathlib import Path

import pytest

from stepswitch.api.inventory_operations import KINDS
from stepswitch.api.wire import inventory_models as models
from stepswitch.api.wire.structures import Structure
from stepswitch.domain import inventory_document, inventory_parts
from stepswitch.domain.inventory import Section
from stepswitch.domain.inventory_document import read_inventory
from stepswitch.inventory.file import read_file
from tests.architecture.source_tree import ROOT
from tests.domain.inventories import FULL
from tools import inventory_page

PARTS: dict[type[Structure], frozenset[str]] = {
    models.Login: inventory_parts._LOGIN,
    models.LoginToDevice: inventory_parts._DEVICE_LOGIN,
    models.LoginToSource: inventory_parts._LOGIN,
    models.OAuth: inventory_parts._OAUTH,
    models.Endpoint: inventory_parts._ENDPOINT,
    models.Cluster: inventory_parts._CLUSTER,
    models.AlgorithmLists: inventory_parts._ALGORITHMS,
    models.TimeLimits: inventory_parts._LIMITS,
    models.Inventory: frozenset(Section),
    **{kind.model: inventory_document.FIELDS[kind.section] for kind in KINDS},
}


def test_every_structure_is_described_and_every_kind_of_entry_has_its_operations() -> None:
    described = {name for name, _, _ in inventory_page.tables()}
    assert described == {each.__name__ for each in PARTS}
    assert [kind.section for kind in KINDS] == list(Section)


@pytest.mark.parametrize("model", PARTS, ids=lambda model: str(model.__name__))
def test_the_description_and_the_reader_know_the_same_fields(model: type[Structure]) -> None:
    assert {field.alias for field in model.model_fields.values()} == set(PARTS[model])


def test_what_is_taken_fits_the_description() -> None:
    models.Inventory.model_validate(FULL)
    for kind in KINDS:
        kind.model.model_validate(kind.example)


def test_the_example_of_the_page_is_right(tmp_path: Path) -> None:
    (text,) = re.findall("```yaml\n(.*?)```", (ROOT / "docs/how-to/inventory.md").read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path / "inventory.yaml"
    file.write_text(text, encoding="utf-8")
    document = read_file(file).document
    inventory = read_inventory(document).inventory
    assert inventory is not None
    assert document.keys() == set(Section)
    found = inventory.device_at("2001:db8::4", 22)
    assert found is not None
    assert found.id == "old-router"
