"""What is read back, held against what was sent. Risks: a lie that passes, and a truth that does not because a device writes it in its own way."""

import time

import pytest

from stepswitch.steps.netconf_difference import difference
from stepswitch.steps.netconf_proof import Proof
from stepswitch.steps.netconf_xml import Element, parse, payload_of

NS = 'xmlns="urn:example:net" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"'


def config(inner: str, operation: str | None = None) -> Element:
    return payload_of(f"<net {NS}>{inner}</net>", operation, "payload")


def data(inner: str | None) -> Element:
    return parse(f"<data>{'' if inner is None else f'<net {NS}>{inner}</net>'}</data>".encode())


def faults(
    sent: str, after: str | None, before: str | None = None, *, operation: str | None = None, default: str = "merge", reports: bool = False
) -> list[str]:
    proof = Proof(data(after), None if before is None else data(before), reports_defaults=reports)
    return proof.of(config(sent, operation), default).faults


ETH0 = "<if><name>eth0</name><mtu>1500</mtu></if>"
ETH1 = "<if><name>eth1</name><mtu>9000</mtu></if>"


@pytest.mark.parametrize(
    ("sent", "after"),
    [
        (ETH0, ETH0),
        (ETH0, ETH1 + "<if><mtu>1500</mtu><state>up</state><name>eth0</name></if>"),
        ("<mtu> 1500 </mtu>", "<mtu>1500</mtu>"),
        ("<on>1.50</on>", "<on>1.5</on>"),
        ("<mac>AA:BB:CC:00:11:22</mac>", "<mac>aa:bb:cc:00:11:22</mac>"),
        ("<ip>2001:DB8::0:1</ip>", "<ip>2001:db8::1</ip>"),
        ("<net4>10.1.2.3/8</net4>", "<net4>10.0.0.0/8</net4>"),
        ('<kind xmlns:a="urn:example:kinds">a:fast</kind>', '<kind xmlns:z="urn:example:kinds">z:fast</kind>'),
        ("<kind>fast</kind>", '<kind xmlns:z="urn:example:net">z:fast</kind>'),
        ("<at xmlns:a=\"urn:example:k\">/a:x/a:y[a:n='1']</at>", "<at xmlns:b=\"urn:example:k\">/b:x/b:y[b:n='1']</at>"),
        ("<tag>a</tag><tag>b</tag>", "<tag>b</tag><tag>c</tag><tag>a</tag>"),
        ("<hash>$0$plain</hash>", "<hash>$6$salt$abcdef</hash>"),
        ("<password>plain</password>", "<password>0822455D0A16</password>"),
        ("<if><name>eth0</name><ip nc:operation='delete'/></if>", "<if><name>eth0</name></if>"),
        ("<gone nc:operation='remove'><name>x</name></gone>", None),
        ("<route><to>a</to><via>1</via></route>", "<route><to>a</to><via>0</via></route><route><to>a</to><via>1</via></route>"),
    ],
)
def test_what_a_device_writes_in_its_own_way_is_the_same(sent: str, after: str) -> None:
    assert faults(sent, after) == []


@pytest.mark.parametrize(
    ("sent", "after", "says"),
    [
        (ETH0, None, ["/net is not there"]),
        (ETH0, ETH1 + "<if><name>eth2</name></if>", ["/net/if[name='eth0'] is not there"]),
        (ETH0, ETH1 + "<if><name>eth0</name></if>", ["/net/if[name='eth0']/mtu is not there"]),
        (ETH0, ETH1 + "<if><name>eth0</name><mtu>9000</mtu></if>", ["/net/if[name='eth0']/mtu has another value"]),
        ("<tag>a</tag><tag>b</tag>", "<tag>a</tag>", ["/net/tag has another value"]),
        ("<down/>", "<up/>", ["/net/down is not there"]),
        ('<kind xmlns:a="urn:example:kinds">a:fast</kind>', '<kind xmlns:a="urn:example:others">a:fast</kind>', ["/net/kind has another value"]),
        ('<x xmlns="urn:example:other">1</x>', "<x>1</x>", ["/net/x is not there"]),
        ("<net4>10.1.2.3/8</net4>", "<net4>10.1.2.4/8</net4>", ["/net/net4 has another value"]),
        ("<password>plain</password>", "<other/>", ["/net/password is not there"]),
        ("<if><name>eth0</name><mtu nc:operation='delete'/></if>", ETH0, ["/net/if[name='eth0']/mtu is still there"]),
        ("<if nc:operation='delete'><name>eth0</name></if>", ETH0 + ETH1, ["/net/if[name='eth0'] is still there"]),
        ("<tag nc:operation='delete'>a</tag>", "<tag>a</tag><tag>b</tag>", ["/net/tag is still there"]),
    ],
)  # fmt: skip
def test_what_differs_is_named_and_no_value_is_shown(sent: str, after: str | None, says: list[str]) -> None:
    assert faults(sent, after) == says


def test_a_deleted_top_may_stay_as_an_empty_container() -> None:
    assert faults("", None, ETH0, operation="delete", default="none") == []
    assert faults("", "", ETH0, operation="delete", default="none") == []
    assert faults("", ETH1, ETH0, operation="delete", default="none") == ["/net is still there"]


def test_of_entries_with_two_keys_one_may_go_and_the_other_stay() -> None:
    red4, red6 = ("<vrf><name>red</name><af>ipv4</af></vrf>", "<vrf><name>red</name><af>ipv6</af></vrf>")
    sent = red4.replace("<vrf>", "<vrf nc:operation='delete'>")
    assert faults(sent, red6, red4 + red6) == []
    assert faults(sent, red4 + red6, red4 + red6) != []


@pytest.mark.parametrize(
    ("after", "left"),
    [
        (ETH0, []),
        (ETH0 + "<filled>by the device</filled>", []),
        (ETH0 + ETH1, ["/net/if[name='eth1'] is still there"]),
        (ETH0 + "<old>1</old>", ["/net/old is still there"]),
        (ETH0.replace("</if>", "<note>n</note></if>"), ["/net/if[name='eth0']/note is still there"]),
    ],
)
def test_after_a_replacement_nothing_is_there_but_what_the_device_filled(after: str, left: list[str]) -> None:
    before = ETH0.replace("</if>", "<note>n</note></if>") + ETH1 + "<old>1</old>"
    assert faults(ETH0, after, before, operation="replace") == left


def test_where_defaults_are_shown_one_more_leaf_says_nothing_and_one_more_entry_does() -> None:
    before = ETH0.replace("</if>", "<enabled>true</enabled></if>") + ETH1
    assert faults(ETH0, ETH0.replace("</if>", "<enabled>true</enabled></if>"), before, operation="replace", reports=True) == []
    assert faults(ETH0, before, before, operation="replace", reports=True) != []


def test_ten_thousand_entries_take_no_longer_than_they_are() -> None:
    entries = "".join(f"<if><name>eth{number}</name><mtu>1500</mtu></if>" for number in range(10_000))
    began = time.process_time()
    assert faults(entries, entries, entries, operation="replace") == []
    assert time.process_time() - began < 10


def test_the_difference_shows_what_changes_and_no_secret() -> None:
    before = ETH0 + "<user><name>ann</name><password>old-one</password></user><tag>a</tag><tag>b</tag>"
    after = ETH0.replace("1500", "9000") + "<user><name>ann</name><password>new-one</password></user><tag>b</tag><tag>c</tag>" + ETH1
    assert difference(data(before), data(after)) == [
        "- /net/if[name='eth0']/mtu = 1500",
        "+ /net/if[name='eth0']/mtu = 9000",
        "- /net/user/password = ********",
        "+ /net/user/password = ********",
        "- /net/tag = a",
        "+ /net/tag = c",
        "+ /net/if[name='eth1']/name = eth1",
        "+ /net/if[name='eth1']/mtu = 9000",
    ]
    assert difference(data(before), data(before)) == []
    assert difference(None, data("<a>1</a>")) == ["+ /net/a = 1"]
