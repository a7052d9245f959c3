"""A house with all its neighbours for each hunt."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hunt.house import SECRETS, Elsewhere, House
from tests.openssh import OpenSshServer
from tests.slapd import Slapd


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    elsewhere = Elsewhere(tmp_path)
    with OpenSshServer() as device, Slapd() as directory, elsewhere.up():
        directory.add_person("anna", SECRETS["in the directory"], directory.add_group("shift"))
        made = House(tmp_path, device, directory, elsewhere)
        made.begin()
        yield made
        if made.client is not None:
            made.client.close()
        if made.service.process.poll() is None:
            made.service.end()
