"""Risk: what only this machine may read goes to another one, whose name looks like ours."""

import pytest

from stepswitch.domain.this_machine import is_this_machine


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.0.9", "::1"])
def test_this_machine_is_known_by_its_names(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize(
    "host", ["127.example.net", "127.0.0.1.example.net", "127.1", "localhost.example.net", "0.0.0.0", "::", "192.0.2.1", "[::1]", ""]
)
def test_no_other_machine_is_taken_for_it(host: str) -> None:
    assert not is_this_machine(host)
