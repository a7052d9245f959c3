"""Risk: a pattern for devices covers a host that is somebody else's."""

import pytest

from stepswitch.domain.devices import Device, covers, unfit_pattern


@pytest.mark.parametrize(
    ("pattern", "device"),
    [
        ("*", Device("anything", 1)),
        ("core-7.example.net", Device("Core-7.Example.NET.", 22)),
        ("core-*.example.net", Device("core-7.example.net")),
        ("*.*.example.net:22", Device("a.b.example.net", 22)),
        ("gnb-*", Device("gnb-7")),
        ("192.0.2.7", Device("192.0.2.7", 22)),
        ("192.0.2.0/24", Device("192.0.2.255", 830)),
        ("192.0.2.0/24:22", Device("192.0.2.7", 22)),
        ("2001:db8::/32", Device("2001:DB8:0::1", 22)),
        ("[2001:db8::1]:22", Device("2001:db8::1", 22)),
        ("[2001:db8::/32]", Device("2001:db8::1", 22)),
    ],
)
def test_a_device_that_is_meant_is_covered(pattern: str, device: Device) -> None:
    assert unfit_pattern(pattern) is None
    assert covers(pattern, device)


@pytest.mark.parametrize(
    ("pattern", "device"),
    [
        ("core.example.net", Device("core.example.net.evil.org")),
        ("core.example.net", Device("xcore.example.net")),
        ("core.example.net", Device("coreXexample.net")),
        ("*.example.net", Device("evil.org/.example.net")),
        ("*.example.net", Device("a.b.example.net")),
        ("*.example.net", Device("example.net")),
        ("gnb-*", Device("gnb-7.evil.org")),
        ("192.0.2.0/24", Device("192.0.3.1")),
        ("192.0.2.0/24", Device("192.0.2.evil.org")),
        ("192.0.2.0/24", Device("core.example.net")),
        ("192.0.2.0/24", Device("::ffff:192.0.2.1")),
        ("192.0.2.7", Device("3221225991")),
        ("192.0.2.7", Device("192.0.519")),
        ("192.0.2.7", Device("192.0.2.7\n")),
        ("192.0.2.7:22", Device("192.0.2.7", 2222)),
        ("192.0.2.7:22", Device("192.0.2.7")),
        ("127.0.0.1", Device("localhost")),
        ("2001:db8::/32", Device("2001:db9::1")),
        ("ten-*", Device("10.0.0.1")),
    ],
)
def test_a_device_that_only_looks_like_one_is_not_covered(pattern: str, device: Device) -> None:
    assert unfit_pattern(pattern) is None
    assert not covers(pattern, device)


@pytest.mark.parametrize(
    "pattern",
    ["", " ", "192.0.2.*", "core.*", "192.0.2.1/24", "192.0.2.256", "10.1", "a b", "a..b", "core:0", "core:65536", "core:22:22", "x" * 256,
     "*****", "http://core", "user@core", "core\n", "é.example.net", "[192.0.2.1", "2001:db8::1:22:99999"],
)  # fmt: skip
def test_a_pattern_that_anybody_could_fit_or_nobody_can_read_is_refused(pattern: str) -> None:
    assert unfit_pattern(pattern)


def test_a_device_is_told_as_it_is_written() -> None:
    assert [str(each) for each in (Device("core"), Device("core", 22), Device("2001:db8::1", 22))] == [
        "core",
        "core:22",
        "[2001:db8::1]:22",
    ]
