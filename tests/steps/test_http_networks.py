"""Where the step type HTTP connects to. Risk: a workflow reaches what is behind the service: this machine, the keys that a cloud hands out, the service itself."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Sequence

import psutil
import pytest
import pytest_asyncio

from stepswitch.plugin import Address, ErrorCode, Networks, Outcome, Result
from stepswitch.steps.http import HttpStep
from stepswitch.steps.http_connection import LookUp, is_own
from tests.steps.contexts import RecordingContext
from tests.steps.http_server import HttpServer, reply

HERE = Networks.read(allowed="127.0.0.0/8,::1")


class Names:
    """A name service that gives the next answer each time it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append(host)
        return [ipaddress.ip_address(each) for each in self.answers.pop(0)]


@pytest_asyncio.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with HttpServer() as opened:
        opened.on("/", reply(200, b"keys"))
        yield opened


async def run(
    url: str, networks: Networks | None = None, names: LookUp | None = None, context: RecordingContext | None = None, **more: object
) -> Outcome:
    step = HttpStep(networks=networks, look_up=names, connect_seconds=5.0)
    async with asyncio.timeout(20):
        return await step.run({"url": url, **more}, context or RecordingContext())  # type: ignore[dict-item]


def is_denied(outcome: Outcome) -> bool:
    return outcome.error is not None and (outcome.result, outcome.error.code) == (Result.FAILED, ErrorCode.NETWORK_DENIED)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "localhost", "169.254.169.254", "[fe80::1]"]
)
async def test_this_machine_and_its_link_are_denied_unless_the_settings_say_otherwise(server: HttpServer, host: str) -> None:
    context = RecordingContext()
    outcome = await run(f"http://{host}:{server.port}/", context=context)
    assert is_denied(outcome), outcome
    assert not context.sent
    assert not server.connections


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "017700000001", "127.0.0.1."])
async def test_an_address_in_an_odd_notation_is_none(server: HttpServer, host: str) -> None:
    outcome = await run(f"http://{host}:{server.port}/", HERE)
    assert outcome.error is not None
    assert outcome.error.code is ErrorCode.INVALID_VALUE
    assert not server.connections


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fe80::1"])
async def test_a_name_that_leads_to_a_denied_address_is_denied(server: HttpServer, address: str) -> None:
    names = Names([address])
    assert is_denied(await run(f"http://metadata.example.net:{server.port}/", names=names))
    assert not server.connections


async def test_of_several_addresses_the_open_ones_are_taken(server: HttpServer) -> None:
    networks = Networks.read("127.0.0.0/8,::1", "127.0.0.1,::1")
    outcome = await run(f"http://core.example.net:{server.port}/", networks, Names(["127.0.0.2", "::1", "127.0.0.1"]))
    assert outcome.outputs["body"] == "keys"


async def test_a_name_that_leads_elsewhere_the_next_time_leads_to_the_address_that_was_judged(server: HttpServer) -> None:
    """The step asks once: whoever runs the name service has no second answer to give."""
    names = Names(["127.0.0.1"], ["127.0.0.3"])
    networks = Networks.read("127.0.0.3", "127.0.0.1")
    context = RecordingContext()
    outcome = await run(f"http://core.example.net:{server.port}/", networks, names, context)
    assert outcome.outputs["body"] == "keys"
    assert names.asked == ["core.example.net"]
    assert "to 127.0.0.1, " in context.messages[0]
    assert server.asked[0].header("host") == f"core.example.net:{server.port}"


@pytest.mark.parametrize(
    "to", ["http://127.0.0.2:{port}/", "//127.0.0.2:{port}/", "http://metadata.example.net:{port}/", "http://[::ffff:127.0.0.2]:{port}/"]
)
async def test_a_redirect_into_a_denied_network_is_denied(server: HttpServer, to: str) -> None:
    names, networks = Names(["127.0.0.2"]), Networks.read("127.0.0.2", "127.0.0.1")
    url = server.on("/moved", reply(302, location=to.format(port=server.port)))
    outcome = await run(url, networks, names, followRedirects=True)
    assert is_denied(outcome), outcome
    assert server.connections == 1


async def test_a_host_that_a_redirect_repeats_is_judged_again(server: HttpServer) -> None:
    names, networks = Names(["127.0.0.1"], ["127.0.0.3"]), Networks.read("127.0.0.3", "127.0.0.1")
    server.on("/moved", reply(302, location="/"))
    assert is_denied(await run(f"http://core.example.net:{server.port}/moved", networks, names, followRedirects=True))
    assert server.connections == 1


def own_address() -> str:
    """Return an address of this machine that is not on its loopback."""
    places = [each for places in psutil.net_if_addrs().values() for each in places]
    found = [str(each.address) for each in places if each.family == socket.AF_INET and not each.address.startswith("127.")]
    return found[0] if found else pytest.skip("this machine has no address but those of its loopback")


async def test_the_service_is_not_reached_by_another_address_of_its_machine() -> None:
    own = own_address()
    assert is_own(ipaddress.ip_address(own))
    async with HttpServer() as server:
        server.host = own
        assert is_denied(await run(f"http://{own}:{server.port}/"))
        assert is_denied(await run(f"http://[::ffff:{own}]:{server.port}/"))
        for networks in (HERE, Networks.read(allowed=own)):
            assert not is_denied(await run(f"http://{own}:{server.port}/", networks))


def test_an_address_of_somebody_else_is_not_ours() -> None:
    assert not is_own(ipaddress.ip_address("198.51.100.7"))
    assert not is_own(ipaddress.ip_address("2001:db8::7"))


async def test_a_proxy_of_the_environment_means_nothing(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with HttpServer() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        assert (await run(server.url(), HERE)).outputs["body"] == "keys"
        assert not proxy.connections


async def test_a_name_that_nobody_knows_is_said() -> None:
    async def unknown(host: str, port: int) -> Sequence[Address]:
        raise socket.gaierror(socket.EAI_NONAME, "?")

    outcome = await run("http://nobody.example.net/", names=unknown)
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.message) == (ErrorCode.UNREACHABLE, "the name 'nobody.example.net' leads to no address")


async def test_a_name_service_that_says_nothing_is_not_waited_for() -> None:
    async def silent(host: str, port: int) -> Sequence[Address]:
        await asyncio.Event().wait()
        return []

    step, context = HttpStep(look_up=silent, connect_seconds=0.1), RecordingContext()
    outcome = await step.run({"url": "http://core.example.net/"}, context)
    assert outcome.error is not None
    assert (outcome.result, outcome.error.code, context.sent) == (Result.FAILED, ErrorCode.TIMEOUT, False)
