"""The stage that tests of deaths at crash points share."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.chaos.stage import Stage, prepare
from tests.openssh import OpenSshServer

Prepared = tuple[Path, OpenSshServer, Mapping[str, str]]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with OpenSshServer(more_settings="MaxSessions 100") as server:
        directory, headers = prepare(tmp_path_factory.mktemp("stage"))
        yield directory, server, headers


@pytest.fixture
def stage(prepared: Prepared, tmp_path: Path) -> Iterator[Stage]:
    directory, server, headers = prepared
    made = Stage(directory, tmp_path, server, headers)
    yield made
    made.service.end()
