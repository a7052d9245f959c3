"""Risk: a part of what a VNFM has is taken for all of it, a login goes where it does not belong, or a bad answer is taken for a good one.

Over real sockets, with the connections of the service.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepswitch.bootstrap.sources import OpenWeb
from stepswitch.domain.devices import Device
from stepswitch.domain.errors import ErrorCode, SourceError
from stepswitch.domain.findings import Findings, FoundFunction, FoundMachine, FoundService
from stepswitch.domain.inventory import Login, OAuth, Source, SourceKind
from stepswitch.domain.networks import Networks
from stepswitch.domain.references import Reference
from stepswitch.inventory import sol
from stepswitch.inventory.sol import SolSources
from stepswitch.secrets.masking import Masking
from tests.certificates import own_certificate
from tests.clocks import FakeClock
from tests.inventory.mano import PASSWORD, SECRET, USER, Mano, ns, vnf
from tests.steps.http_server import reply, says

LIST = "/mano/vnflcm/v2/vnf_instances"
OPEN = Networks.read("", "")


class Opened:
    """Gives every credential its value, and notes who wanted it where."""

    def __init__(self) -> None:
        self.wanted: list[tuple[str, Device, str]] = []

    async def __call__(self, reference: Reference, device: Device, field: str) -> str:
        self.wanted.append((reference.credential, device, field))
        return {"pw": PASSWORD, "secret": SECRET}[reference.credential]


@pytest.fixture
async def mano() -> AsyncIterator[Mano]:
    async with Mano() as running:
        yield running


@pytest.fixture
def opens() -> Opened:
    return Opened()


def asks(networks: Networks = OPEN, **more: Any) -> SolSources:
    return SolSources(OpenWeb(networks, **more), Masking(), FakeClock())


def vnfm(mano: Mano, **more: Any) -> Source:
    return Source("s", SourceKind.SOL003, mano.root, **more)


async def refusal(source: Source, opens: Opened, asking: SolSources | None = None) -> SourceError:
    with pytest.raises(SourceError) as refused:
        await (asking or asks()).read(source, opens)
    assert not any(secret in str(refused.value) for secret in (PASSWORD, SECRET, "not for you"))
    return refused.value


async def test_all_pages_of_a_vnfm_are_read_and_what_of_each_instance_is_of_use(mano: Mano, opens: Opened) -> None:
    mano.functions = [
        vnf("a", "vim-1", "vm-1", "vm-2", vnfInstanceDescription="of hall 2"),
        vnf("b", kind="ETSINFV.KUBERNETES.V_1"),
        {"id": "c", "instantiationState": "NOT_INSTANTIATED"},
        vnf("d", instantiatedVnfInfo={"mcioInfo": [{"mcioId": "x"}]}),
        vnf("e"),
    ]
    found = await asks().read(vnfm(mano), opens)
    vim = ("vim-1", "vim-1 itself")
    assert found == Findings(
        (
            FoundFunction("a", "a by name", "of hall 2", True, False, (vim,), (FoundMachine("vm-1", vim), FoundMachine("vm-2", vim))),
            FoundFunction("b", "b by name", "", True, True, (vim,)),
            FoundFunction("c"),
            FoundFunction("d", "d by name", "", True, True, (vim,)),
            FoundFunction("e", "e by name", "", True, False, (vim,)),
        )
    )
    assert len(mano.asked) == 3
    assert {each.header("version") for each in mano.asked} == {"2.0.0"}
    assert {each.header("authorization") for each in mano.asked} == {None}


async def test_version_1_has_its_connections_in_an_array(mano: Mano, opens: Opened) -> None:
    mano.version, mano.functions = "1.3.0", [vnf("a", "vim-1", "vm-1", version=1)]
    found = await asks().read(vnfm(mano, api_version="1.3.0"), opens)
    vim = ("vim-1", "vim-1 itself")
    assert found.functions == (FoundFunction("a", "a by name", "", True, False, (vim,), (FoundMachine("vm-1", vim),)),)
    assert "apiVersion: 406 (Not Acceptable: only 1.3.0)" in str(await refusal(vnfm(mano), opens))


async def test_an_nfvo_tells_services_with_the_functions_in_them(mano: Mano, opens: Opened) -> None:
    machine = {"computeResource": {"vimId": "vim-5", "resourceId": "vm-1"}}
    second = {"id": "b", "vimId": ["vim-5"], "instantiationState": "INSTANTIATED", "instantiatedVnfInfo": {"vnfcResourceInfo": [machine]}}
    mano.services = [ns("n1", vnf("a"), second), ns("n2"), ns("n3", vnf("a"))]
    found = await asks().read(Source("s", SourceKind.SOL005, mano.root), opens)
    assert found.services == (
        FoundService("n1", "n1 by name", "", ("a", "b")),
        FoundService("n2", "n2 by name"),
        FoundService("n3", "n3 by name", "", ("a",)),
    )
    assert [each.id for each in found.functions] == ["a", "b"]
    assert found.functions[1] == FoundFunction("b", "", "", True, None, (("vim-5",),), (FoundMachine("vm-1", ("vim-5",)),))


async def test_a_filter_goes_along_as_it_is_written(mano: Mano, opens: Opened) -> None:
    mano.functions = [vnf("a", vnfProductName="S M&F+"), vnf("b", vnfProductName="UPF")]
    found = await asks().read(vnfm(mano, filter="(eq,vnfProductName,S M&F+)"), opens)
    assert [each.id for each in found.functions] == ["a"]


async def test_a_user_says_who_he_is_with_a_password_for_that_place_only(mano: Mano, opens: Opened) -> None:
    mano.login, mano.functions = "basic", [vnf(f"f{number}") for number in range(5)]
    source = vnfm(mano, login=Login(USER, Reference("pw")))
    assert len((await asks().read(source, opens)).functions) == 5
    assert opens.wanted == [("pw", Device("127.0.0.1", mano.port), "login.password")]
    refused = await refusal(replace(source, login=Login("eve", Reference("pw"))), opens)
    assert (refused.code, str(refused)) == (
        ErrorCode.LOGIN_REFUSED,
        "it does not let us in: 401 (Unauthorized: Basic ******** is nobody here)",
    )


async def test_a_token_is_got_by_the_credentials_of_a_client_and_anew_when_it_is_over(mano: Mano, opens: Opened) -> None:
    mano.login, mano.functions = "bearer", [vnf(f"f{number}") for number in range(5)]
    oauth = OAuth(mano.url("/token"), USER, Reference("secret"), "vnflcm:v2:readonly")
    source = vnfm(mano, oauth=oauth)
    assert len((await asks().read(source, opens)).functions) == 5
    assert mano.tokens == ["token-0-vnflcm:v2:readonly"]
    assert opens.wanted == [("secret", Device("127.0.0.1", mano.port), "oauth.clientSecret")]
    mano.asked.clear()
    mano.on(LIST, reply(401, b"{}"))
    refused = await refusal(source, opens)
    assert (refused.code, [each.target.partition("?")[0] for each in mano.asked]) == (ErrorCode.LOGIN_REFUSED, ["/token", LIST] * 2)
    wrong = await refusal(replace(source, oauth=replace(oauth, client_id="eve")), opens)
    assert str(wrong) == "the server of tokens does not let us in: 401 (invalid_client: ******** is wrong)"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"[]", "gives no access_token"),
        (b'{"access_token": "a\\r\\nb"}', "gives no access_token"),
        (b'{"access_token": "t", "token_type": "mac"}', "no bearer token"),
        (b"<html>", "no JSON"),
    ],
)
async def test_a_server_of_tokens_that_gives_none_is_told(mano: Mano, opens: Opened, body: bytes, told: str) -> None:
    oauth = OAuth(mano.on("/t", reply(200, body)), USER, Reference("secret"))
    refused = await refusal(vnfm(mano, oauth=oauth), opens)
    assert refused.code is ErrorCode.MALFORMED_ANSWER
    assert told in str(refused)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"<html>", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"items": []}', "no array of instances"),
        (b"\xff\xfe", "no JSON"),
    ],
)
async def test_what_is_no_list_is_not_taken_for_an_empty_one(mano: Mano, opens: Opened, body: bytes, told: str) -> None:
    mano.on(LIST, reply(200, body))
    refused = await refusal(vnfm(mano), opens)
    assert refused.code is ErrorCode.MALFORMED_ANSWER
    assert told in str(refused)


async def test_instances_that_nobody_could_name_are_told_and_the_others_taken(mano: Mano, opens: Opened) -> None:
    strange: list[Any] = [7, None, {}, {"id": 7}, {"id": "a/b"}, {"id": "x" * 300}, {"id": "\u0000"}]
    odd = {"id": "ok", "vnfInstanceName": 7, "vimConnectionInfo": {"v": 7}, "instantiatedVnfInfo": [], "vimId": "x"}
    odd_too = {"id": "ok2", "vimConnectionInfo": [{"id": 7}, 7], "instantiatedVnfInfo": {"vnfcResourceInfo": [7, {"computeResource": 7}]}}
    mano.on(LIST, reply(200, json.dumps([*strange, odd, odd_too]).encode()))
    found = await asks().read(vnfm(mano), opens)
    assert found == Findings((FoundFunction("ok"), FoundFunction("ok2")), (), ("7 of its instances have no id that can be used",))


async def test_pages_without_end_are_given_up(mano: Mano, opens: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    mano.on(LIST, reply(200, b"[]", link=f'<{mano.url(LIST)}?all_fields>; rel="next"'))
    refused = await refusal(vnfm(mano), opens)
    assert (refused.code, "come round again" in str(refused), len(mano.asked)) == (ErrorCode.MALFORMED_ANSWER, True, 1)
    monkeypatch.setattr(sol, "MOST_PAGES", 3)
    mano.handlers.clear()
    mano.functions, mano.page = [vnf(f"f{number}") for number in range(9)], 1
    assert (await refusal(vnfm(mano), opens)).code is ErrorCode.TOO_LARGE
    monkeypatch.setattr(sol, "MOST_PAGES", 9)
    assert len((await asks().read(vnfm(mano), opens)).functions) == 9
    monkeypatch.setattr(sol, "MOST_INSTANCES", 8)
    assert (await refusal(vnfm(mano), opens)).code is ErrorCode.TOO_LARGE


@pytest.mark.parametrize(
    "link", ["<https://evil.example.net/x>; rel=next", "<//evil.example.net/x>; rel=next", "<ftp://x/>; rel=next", '</a b>; rel="next"']
)
async def test_a_next_page_elsewhere_is_not_asked_for(mano: Mano, opens: Opened, link: str) -> None:
    mano.on(LIST, reply(200, b"[]", link=link))
    refused = await refusal(vnfm(mano), opens)
    assert (refused.code, len(mano.asked)) == (ErrorCode.MALFORMED_ANSWER, 1)


@pytest.mark.parametrize(
    "link",
    [
        "<{0}?2>; rel=next",
        '<?2>; rel="prev next"',
        '</other>; rel="self", <{0}?2>;title="a, b"; REL="Next"',
        "</mano/vnflcm/v2/vnf_instances?2> ; rel = next ; type=x",
    ],
)
async def test_a_link_is_read_in_every_way_it_can_be_written(mano: Mano, opens: Opened, link: str) -> None:
    async def page(asked: Any, reader: Any, writer: Any) -> None:
        is_first = "all_fields" in asked.target
        body = json.dumps([vnf("a" if is_first else "b")]).encode()
        await reply(200, body, **({"link": link.format(mano.url(LIST))} if is_first else {"link": "<?3>; rel=last"}))(asked, reader, writer)

    mano.on(LIST, page)
    assert [each.id for each in (await asks().read(vnfm(mano), opens)).functions] == ["a", "b"]


async def test_a_page_that_is_too_large_is_not_read_as_a_shorter_one(mano: Mano, opens: Opened) -> None:
    mano.functions = [vnf("a"), vnf("b")]
    assert (await refusal(vnfm(mano), opens, asks(largest_bytes=200))).code is ErrorCode.TOO_LARGE
    mano.on(LIST, reply(200, b"no gzip", content_encoding="gzip"))
    assert (await refusal(vnfm(mano), opens)).code is ErrorCode.TOO_LARGE


@pytest.mark.parametrize(
    ("status", "headers", "code", "seconds"),
    [
        (503, {"retry_after": "120"}, ErrorCode.UNEXPECTED_STATUS, 120),
        (429, {"retry_after": "Fri, 15 Jan 2027 08:01:00 GMT"}, ErrorCode.UNEXPECTED_STATUS, 60),
        (503, {"retry_after": "soon"}, ErrorCode.UNEXPECTED_STATUS, 0),
        (503, {"retry_after": "9" * 40}, ErrorCode.UNEXPECTED_STATUS, 86_400),
        (403, {}, ErrorCode.LOGIN_REFUSED, 0),
        (404, {}, ErrorCode.UNEXPECTED_STATUS, 0),
        (500, {}, ErrorCode.UNEXPECTED_STATUS, 0),
        (302, {"location": "https://evil.example.net/"}, ErrorCode.UNEXPECTED_STATUS, 0),
        (204, {}, ErrorCode.UNEXPECTED_STATUS, 0),
    ],
)
async def test_a_refusal_says_why_and_when_one_is_wanted_back(
    mano: Mano, opens: Opened, status: int, headers: dict[str, str], code: ErrorCode, seconds: float
) -> None:
    mano.on(LIST, reply(status, b'{"title": "No\\u001b[31m", "detail": "not now"}', **headers))
    refused = await refusal(vnfm(mano), opens)
    assert (refused.code, refused.retry_after) == (code, seconds)
    assert str(status) in str(refused)
    assert "\x1b" not in str(refused)


async def test_a_connection_that_breaks_or_speaks_no_http_is_no_answer(mano: Mano, opens: Opened) -> None:
    for said, code in (
        (b"", ErrorCode.CONNECTION_CUT),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[]", ErrorCode.CONNECTION_CUT),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", ErrorCode.MALFORMED_ANSWER),
    ):
        mano.on(LIST, says(said))
        assert (await refusal(vnfm(mano), opens)).code is code


async def test_one_instance_is_asked_for_by_its_id(mano: Mano, opens: Opened) -> None:
    mano.functions = [vnf("a"), vnf("b ? c", "vim-1", "vm-1")]
    assert [each.id for each in (await asks().find(vnfm(mano), "b ? c", opens)).functions] == ["b ? c"]
    assert not await asks().find(vnfm(mano), "x", opens)
    mano.login = "basic"
    with pytest.raises(SourceError, match="401"):
        await asks().find(vnfm(mano), "a", opens)


async def test_tls_is_checked_against_the_certificates_of_the_source(tmp_path: Path, opens: Opened) -> None:
    public, context = own_certificate(tmp_path)
    async with Mano(context) as secured:
        secured.functions = [vnf("a")]
        assert (await refusal(vnfm(secured), opens)).code is ErrorCode.WRONG_CERTIFICATE
        assert secured.asked == []
        trusting = vnfm(secured, ca_certificates=public.read_text())
        assert len((await asks().read(trusting, opens)).functions) == 1
        no_certificate = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
        assert (await refusal(vnfm(secured, ca_certificates=no_certificate), opens)).code is ErrorCode.INVALID_VALUE


@pytest.mark.parametrize("shown", [{"days": -1}, {"address": "192.0.2.9"}], ids=["expired", "another address's"])
async def test_a_certificate_that_does_not_fit_is_told_and_the_source_is_asked_nothing(
    tmp_path: Path, opens: Opened, shown: dict[str, Any]
) -> None:
    public, context = own_certificate(tmp_path, **shown)
    async with Mano(context) as secured:
        said = await refusal(vnfm(secured, ca_certificates=public.read_text()), opens)
        assert (said.code, secured.asked) == (ErrorCode.WRONG_CERTIFICATE, [])
        assert f"127.0.0.1:{secured.port}" in str(said)


async def test_a_source_is_where_steps_may_connect_to(mano: Mano, opens: Opened) -> None:
    refused = await refusal(vnfm(mano), opens, asks(Networks.read()))
    assert (refused.code, mano.connections) == (ErrorCode.NETWORK_DENIED, 0)
