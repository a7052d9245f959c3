"""Risk: an address that is denied is reached in another notation, or one that a telco needs is not open."""

import ipaddress

import pytest

from stepswitch.domain.networks import Networks

DEFAULT = Networks.read()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.0.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "224.0.0.1", "255.255.255.255", "100.100.100.200",
        "168.63.129.16", "192.0.0.192", "::", "::1", "fe80::1", "ff02::1", "fd00:ec2::254",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1",
        "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:7f00:1::", "2001::80ff:fffe", "2001:db8::5efe:127.0.0.1", "2001:db8::200:5efe:a9fe:a9fe",
    ],
)  # fmt: skip
def test_this_machine_its_link_and_what_clouds_tell_are_denied_in_every_form(address: str) -> None:
    assert not DEFAULT.permits(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "172.16.0.1", "192.168.1.1", "192.0.2.7", "100.64.0.1", "2001:db8::1", "fd00::1", "64:ff9b::c000:207"]
)
def test_where_devices_live_is_open(address: str) -> None:
    assert DEFAULT.permits(ipaddress.ip_address(address))


def test_what_is_allowed_goes_before_what_is_denied() -> None:
    networks = Networks.read("0.0.0.0/0,::/0", "192.0.2.0/28, 2001:db8::/64")
    found = ["192.0.2.1", "192.0.2.16", "2001:db8::1", "2001:db9::1"]
    assert [networks.permits(ipaddress.ip_address(each)) for each in found] == [True, False, True, False]


def test_an_address_of_this_machine_is_open_only_where_all_of_it_is_or_just_that_one_is_allowed() -> None:
    own = ipaddress.ip_address("192.0.2.7")
    networks = [
        Networks.read(),
        Networks.read("127.0.0.1"),
        Networks.read("::1"),
        Networks.read("169.254.0.0/16"),
        Networks.read(allowed="127.0.0.0/8,::1"),
        Networks.read(allowed="192.0.2.7"),
    ]
    assert [each.permits_as_own(own) for each in networks] == [False, False, False, True, True, True]
