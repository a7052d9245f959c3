"""Risk: a step acts at another device than is meant, a slip in an inventory passes silently, or a secret that stands in one is shown."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from stepswitch.domain.devices import Device
from stepswitch.domain.errors import ErrorCode
from stepswitch.domain.inventory import (
    DEFAULT_SITE,
    NO_LOGIN,
    NOTHING_KNOWN,
    Algorithms,
    AlgorithmSet,
    Cluster,
    Endpoint,
    FunctionType,
    Inventory,
    Login,
    OAuth,
    Platform,
    SourceKind,
    TimeLimits,
)
from stepswitch.domain.inventory_document import read_inventory
from stepswitch.domain.references import Reference
from tests.domain.inventories import FINGERPRINT, FULL, KEY, PEM


def read(document: Mapping[str, Any]) -> Inventory:
    found = read_inventory(document)
    assert found.faults == ()
    assert found.inventory is not None
    return found.inventory


def faults(document: object) -> dict[str, str]:
    found = read_inventory(document)
    assert found.inventory is None
    assert len({fault.path for fault in found.faults}) == len(found.faults)
    return {fault.path: fault.message for fault in found.faults}


def device(**fields: Any) -> dict[str, Any]:
    return {"devices": {"d": {"addresses": ["192.0.2.1"], **fields}}}


def test_everything_that_a_document_says_is_found_by_its_id() -> None:
    inventory = read(FULL)
    vim, cluster = inventory.vim_locations["paris-vc"], inventory.vim_locations["k8s"]
    assert vim.vcenter == Endpoint("https://vc.example.net:443/sdk", Login("ann", Reference("vc")))
    assert vim.vro == Endpoint("https://vro.example.net", ca_certificates=PEM)
    assert (vim.site, cluster.site, vim.kubernetes) == ("paris", DEFAULT_SITE, None)
    reached = Cluster("https://[2001:db8::1]:6443", "workflows", Reference("token"), PEM, Reference("key"))
    assert cluster.kubernetes == reached
    machine = inventory.virtual_machines["vm-1"]
    assert (machine.vim_location, machine.path, machine.managed_object_id, machine.login) == (
        "paris-vc",
        "/Paris/vm/smf-1",
        None,
        Login("root"),
    )
    function = inventory.network_functions["nf-1"]
    assert (function.type, function.vim_location, function.virtual_machines, function.devices) == (
        FunctionType.VNF,
        "paris-vc",
        ("vm-1",),
        ("core-7",),
    )
    assert inventory.network_services["ns-1"].network_functions == ("nf-1", "nf-2")
    assert inventory.sites["paris"].description == "hall 2"
    core = inventory.devices["core-7"]
    secrets = (Reference("core"), Reference("ssh"), Reference("phrase"), Reference("enable"))
    assert core.login == Login("ann", *secrets)
    assert (core.site, core.platform, core.jump_host, core.sessions_at_once) == ("paris", Platform.IOSXR, "bastion", 2)
    assert core.host_keys == (KEY, FINGERPRINT)
    assert core.algorithms == Algorithms(key_exchange=("diffie-hellman-group14-sha1",), ciphers=("aes128-cbc", "aes256-gcm@openssh.com"))
    assert core.time_limits == TimeLimits(connect_seconds=5, silence_seconds=30.5)
    assert inventory.devices["core-8"].algorithms is AlgorithmSet.LEGACY
    assert inventory.devices["bastion"].algorithms is AlgorithmSet.MODERN


@pytest.mark.parametrize(
    ("host", "port", "found"),
    [
        ("192.0.2.7", None, "core-7"),
        ("192.0.2.7", 22, "core-7"),
        ("::ffff:192.0.2.7", 830, "core-7"),
        ("CORE-7.example.net", 22, "core-7"),
        ("core-7.example.net.", 22, "core-7"),
        ("2001:db8::7", 830, "core-7"),
        ("2001:db8::7", 22, None),
        ("2001:db8::7", None, None),
        ("127.0.0.1", 2201, "core-7"),
        ("127.0.0.1", 2202, "core-8"),
        ("127.0.0.1", None, "core-8"),
        ("core-7", 22, None),
        ("example.net", 22, None),
        ("", None, None),
    ],
)
def test_a_device_is_found_by_every_spelling_of_its_address_and_no_other_one_is(host: str, port: int | None, found: str | None) -> None:
    entry = read(FULL).device_at(host, port)
    assert (None if entry is None else entry.id) == found


def test_an_empty_inventory_knows_nothing() -> None:
    assert read({}) == NOTHING_KNOWN
    assert read({"devices": None, "sites": {}}) == NOTHING_KNOWN
    assert NOTHING_KNOWN.device_at("192.0.2.1") is None


def test_an_address_without_a_port_is_one_for_every_port_that_no_other_device_has() -> None:
    inventory = read({"devices": {"a": {"addresses": ["192.0.2.1"]}, "b": {"addresses": ["192.0.2.1:830"]}}})
    assert [inventory.by_address[Device("192.0.2.1", port)].id for port in (None, 830)] == ["a", "b"]


def test_every_fault_of_a_document_is_told_at_its_place() -> None:
    found = faults(
        {
            "sites": {"a/b": {}, "s": {"descriptoin": "x"}},
            "vimLocations": {"v": {"site": "nowhere"}, "w": {"vcenter": {}}},
            "virtualMachines": {"m": {"instanceUuid": "1", "path": "2"}, "n": 7},
            "networkFunctions": {"f": {"type": "PNF", "vimLocation": "vv", "devices": ["core", "core"]}},
            "networkServices": {"ns": {"networkFunctions": "f"}},
            "devices": {"d": {"platform": "ios-xr", "sessionsAtOnce": 0, "jumpHost": "core", "timeLimits": {"silenceSeconds": -1}}},
            "device": {},
        }
    )
    assert found.keys() == {
        "device", "sites.a/b", "sites.s.descriptoin", "vimLocations.v", "vimLocations.v.site", "vimLocations.w.vcenter.url",
        "virtualMachines.m", "virtualMachines.m.vimLocation", "virtualMachines.n", "networkFunctions.f.type", "networkFunctions.f.vimLocation",
        "networkFunctions.f.devices[0]", "networkFunctions.f.devices[1]", "networkServices.ns.networkFunctions", "devices.d.addresses",
        "devices.d.platform", "devices.d.sessionsAtOnce", "devices.d.jumpHost", "devices.d.timeLimits.silenceSeconds",
    }  # fmt: skip
    assert "did you mean 'description'?" in found["sites.s.descriptoin"]
    assert "did you mean 'iosxr'?" in found["devices.d.platform"]
    assert found["vimLocations.v.site"] == "there is no site 'nowhere' in this inventory"
    assert "did you mean 'devices'?" in found["device"]


@pytest.mark.parametrize("document", [None, [], "x", 7])
def test_what_is_no_object_is_no_inventory(document: object) -> None:
    assert list(faults(document)) == [""]


@pytest.mark.parametrize("field", ["password", "privateKey", "passphrase", "enablePassword"])
@pytest.mark.parametrize(
    "secret", ["hunter2-hunter2", {"value": "hunter2-hunter2"}, {"credential": "c", "value": "hunter2-hunter2"}, ["hunter2-hunter2"], 7]
)
def test_a_secret_that_is_written_out_is_refused_and_not_shown(field: str, secret: object) -> None:
    login = {"username": "ann", "privateKey": {"credential": "k"}, field: secret}
    found = faults(device(login=login))
    assert list(found) == [f"devices.d.login.{field}"]
    assert "stepswitch credential add" in found[f"devices.d.login.{field}"]
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    "vim",
    [
        {"vcenter": {"url": "https://ann:hunter2-hunter2@vc.example.net"}},  # pragma: allowlist secret
        {"vcenter": {"url": "https://vc.example.net", "login": "hunter2-hunter2"}},
        {
            "vcenter": {"url": "https://vc.example.net", "caCertificates": f"{PEM}-----BEGIN PRIVATE hunter2-hunter2"}
        },  # pragma: allowlist secret
        {"kubernetes": {"url": "https://k8s.example.net", "token": "hunter2-hunter2"}},
        {"kubernetes": {"url": "https://k8s.example.net", "clientCertificate": PEM, "clientKey": "hunter2-hunter2"}},
    ],
)
def test_no_secret_in_another_place_is_shown_either(vim: dict[str, Any]) -> None:
    (told,) = faults({"vimLocations": {"v": vim}}).values()
    assert "hunter2" not in told
    assert "an inventory holds no secrets" in told or told == "a string is no object"


@pytest.mark.parametrize(
    "url",
    [
        "http://vc.example.net", "http://127.example.net", "vc.example.net", "ftp://vc.example.net", "https://", "https://a b", "https://vc:0",
        "https://vc:65536", "https://vc:x", "https://vc?x=1", "https://vc/#x", "https://[::1", "https://vc/ü",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_reached_safely_is_refused(url: str) -> None:
    assert list(faults({"vimLocations": {"v": {"vro": {"url": url}}}})) == ["vimLocations.v.vro.url"]


@pytest.mark.parametrize(
    "url", ["https://vc", "https://vc:8443/a/b", "http://127.0.0.1:8080", "http://[::1]:1/x", "http://localhost", "https://192.0.2.1"]
)
def test_an_address_with_tls_or_on_this_machine_is_taken(url: str) -> None:
    assert read({"vimLocations": {"v": {"vro": {"url": url}}}}).vim_locations["v"].vro == Endpoint(url)


@pytest.mark.parametrize(
    "address", ["", "a b", "192.0.2.0/24", "*.example.net", "192.0.2.1:0", "192.0.2.1:70000", "192.0.2.256", "[::1", "2001:db8::1:"]
)
def test_what_is_no_address_of_one_device_is_refused(address: str) -> None:
    assert list(faults({"devices": {"d": {"addresses": ["192.0.2.1", address]}}})) == ["devices.d.addresses[1]"]


@pytest.mark.parametrize(
    "key", ["ssh-ed25519", "ssh-rsa " + KEY.split()[1], "ssh-ed25519 AAAA", "ssh-ed25519 ????", FINGERPRINT[:-1], "MD5:00:11", KEY + "\nx"]
)
def test_what_is_no_host_key_is_refused(key: str) -> None:
    assert list(faults(device(hostKeys=[key]))) == ["devices.d.hostKeys[0]"]


@pytest.mark.parametrize(
    "algorithms",
    ["old", {}, {"ciphers": []}, {"ciphers": ["aes 128"]}, {"cipher": ["aes128-cbc"], "macs": ["hmac-sha1"]}, 7, ["aes128-cbc"]],
)
def test_algorithms_that_nobody_can_mean_are_refused(algorithms: object) -> None:
    (path,) = faults(device(algorithms=algorithms))
    assert path.startswith("devices.d.algorithms")


def test_a_limit_is_written_with_all_of_its_digits() -> None:
    found = faults({"devices": {"a": {"addresses": ["192.0.2.1"], "timeLimits": {"attemptSeconds": 1e9}}}})
    assert found["devices.a.timeLimits.attemptSeconds"] == "must be a number from 0.1 to 2592000"


def test_two_devices_never_have_the_same_address() -> None:
    found = faults(
        {"devices": {"a": {"addresses": ["192.0.2.1", "a.example.net"]}, "b": {"addresses": ["A.example.net.", "::ffff:192.0.2.1"]}}}
    )
    assert found.keys() == {"devices.b.addresses[0]", "devices.b.addresses[1]"}
    assert found["devices.b.addresses[0]"] == "is an address of the device 'a' already"
    assert list(faults({"devices": {"a": {"addresses": ["::1", "0:0::1"]}}})) == ["devices.a.addresses[1]"]


@pytest.mark.parametrize(("hops", "circle"), [("a", "a"), ("ab", "ab"), ("abcd", "abcd")])
def test_a_way_that_leads_back_to_the_device_is_refused(hops: str, circle: str) -> None:
    nexts = dict(zip(hops, hops[1:] + hops[0], strict=True)) | {"outside": "a", "free": None}
    devices = {name: {"addresses": [f"{name}.example"], "jumpHost": hop} for name, hop in nexts.items()}
    assert faults({"devices": devices}).keys() == {f"devices.{name}.jumpHost" for name in circle}


def test_a_device_that_is_named_and_has_a_fault_of_its_own_counts_as_there() -> None:
    document = {"devices": {"a": {"addresses": ["a.example"], "jumpHost": "b"}, "b": {"addresses": ["b.example"], "platform": "?"}}}
    assert list(faults(document)) == ["devices.b.platform"]


def test_an_inventory_with_thousands_of_faults_names_a_thousand_and_counts_the_rest() -> None:
    found = read_inventory({"devices": {f"d{number}": {"addresses": ["?"]} for number in range(3_000)}}).faults
    assert len(found) == 1_001
    assert found[-1].message == "and 2000 more"
    assert {fault.code for fault in found} == {ErrorCode.INVALID_VALUE}


def test_a_source_says_whom_to_ask_and_how() -> None:
    found = read(FULL).sources
    nfvo, vnfm = found["nfvo"], found["vnfm"]
    assert (nfvo.kind, nfvo.url, nfvo.api_version, nfvo.every_seconds) == (
        SourceKind.SOL005,
        "https://nfvo.example.net:8443/mano",
        "1.3.0",
        60,
    )
    assert (nfvo.login, nfvo.oauth, nfvo.ca_certificates) == (Login("stepswitch", Reference("core")), None, PEM)
    assert vnfm.oauth == OAuth("https://sso.example.net/token", "stepswitch", Reference("core"), "vnflcm:v2:readonly")
    assert (vnfm.login, vnfm.api_version, vnfm.every_seconds) == (NO_LOGIN, "2.0.0", 300)
    assert vnfm.filter == "(eq,vnfProductName,SMF);(in,vnfProvider,A,B)"
    assert read(FULL).vim_locations["k8s"].connection_ids == ("vim-7", "k8s of paris")
    assert nfvo.place != vnfm.place != replace(vnfm, filter=None).place


def test_every_fault_of_a_source_is_told() -> None:
    url = "https://vnfm.example.net"
    found = faults(
        {
            "sources": {
                "bare": {},
                "kind": {"kind": "SOL004", "url": url},
                "url": {"kind": "SOL003", "url": "http://vnfm.example.net"},
                "odd": {"kind": "SOL003", "url": "https://256.1.1.1"},
                "version": {"kind": "SOL003", "url": url, "apiVersion": "v2"},
                "half": {"kind": "SOL003", "url": url, "login": {"username": "ann"}},
                "open": {"kind": "SOL003", "url": url, "login": {"username": "ann", "password": "hunter2-hunter2"}},
                "both": {
                    "kind": "SOL003",
                    "url": url,
                    "login": {"username": "ann", "password": {"credential": "c"}},
                    "oauth": {"tokenUrl": url, "clientId": "a"},
                },
                "filter": {"kind": "SOL003", "url": url, "filter": "eq,name,x"},
                "often": {"kind": "SOL003", "url": url, "everySeconds": 1},
            }
        }
    )
    assert {path.removeprefix("sources.") for path in found} == {
        *("bare.kind", "bare.url", "kind.kind", "url.url", "odd.url", "version.apiVersion", "half.login.password", "open.login.password"),
        *("both.login", "both.oauth.clientSecret", "filter.filter", "often.everySeconds"),
    }
    assert "hunter2" not in str(found)


def test_one_connection_means_one_vim_location() -> None:
    vim = {"vcenter": {"url": "https://vc.example.net"}, "vimConnectionIds": ["vim-1"]}
    assert faults({"vimLocations": {"a": vim, "b": vim}}) == {"vimLocations.b.vimConnectionIds[0]": "means the VIM location 'a' already"}


@pytest.mark.parametrize("section", ["virtualMachines", "networkFunctions", "networkServices"])
def test_what_a_source_brings_cannot_be_written_down_as_such(section: str) -> None:
    document = {"vimLocations": FULL["vimLocations"], "sites": FULL["sites"], section: {"x": {"source": "vnfm"}}}
    found = faults(document)
    assert found[f"{section}.x.source"].startswith("marks what a source brings")
