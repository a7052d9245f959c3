"""Risk: a syslog server is told something else than what happened, is told nothing after it was away, or takes a name for another message."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from stepswitch.domain.canonical import canonical_json
from stepswitch.domain.errors import SettingsError
from stepswitch.engine.audit import Actor, Entry, Judgement, Record, Thing
from stepswitch.engine.audit_chain import BEGINNING, Stored, chained
from stepswitch.telemetry.audit_forwarder import AT_ONCE, AuditForwarder
from stepswitch.telemetry.syslog import Destination, Origin, destination_of, framed, message
from tests.certificates import own_certificate
from tests.engine.rig import PATIENCE
from tests.listening import closed

ORIGIN = Origin("core-1.example.net", 4711)
HOST = "127.0.0.1"
_HEADER = re.compile(
    r"<(?P<priority>[0-9]{1,3})>(?P<version>[1-9][0-9]?) (?P<time>\S+) (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<process>[!-~]{1,128}) "
    r"(?P<id>[!-~]{1,32}) \[(?P<sd_id>[!-<>-\\^-~]{1,32})"
)
_PARAM = re.compile(r' (?P<name>[!-<>-\\^-~]{1,32})="(?P<value>(?:[^"\\\]]|\\["\\\]])*)"')


def parsed(text: bytes) -> dict[str, Any]:
    """Return a message as RFC 5424, section 6, reads it; fails where it is none."""
    line = text.decode("utf-8")
    header = _HEADER.match(line)
    assert header is not None, line
    place, params = header.end(), {}
    while (param := _PARAM.match(line, place)) is not None:
        params[param["name"]] = re.sub(r"\\([\"\\\]])", r"\1", param["value"])
        place = param.end()
    assert line[place : place + 2] == "] ", line[place:]
    return {**header.groupdict(), "params": params, "text": line[place + 2 :]}


def record(number: int = 1, **fields: Any) -> Record:
    entry = replace(
        Entry("createUser", 1_800_000_000_250, "default", "ann", Actor.SESSION, "s1", "192.0.2.7", Thing("user", "tom", "")), **fields
    )
    text = canonical_json(entry.record()).decode()
    return Record(number, BEGINNING, chained(number, BEGINNING, text), text)


class Trail:
    """The store of a trail, with as many records as the test wants."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.noted: int | None = None
        self.clock = QuickClock()

    async def newest(self) -> int:
        return self.count

    async def behind(self, number: int, count: int) -> Sequence[Stored]:
        return [Stored(record(each), ()) for each in range(number + 1, min(self.count, number + count) + 1)]

    async def sent(self, name: str) -> int | None:
        return self.noted

    async def note_sent(self, name: str, number: int) -> None:
        self.noted = number


class QuickClock:
    """Lets little time pass, and says when somebody waits for some: then he has done what there was to do."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.passed = 0.0

    def now(self) -> int:
        return 1_800_000_000_000

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.asked.set()
        self.passed += seconds
        await asyncio.sleep(0)
        await self.may_go_on.wait()


@dataclass
class SyslogServer:
    """Reads octet-counted frames, and nothing else."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    has_cut: asyncio.Event = field(default_factory=asyncio.Event)
    cut_at: int | None = None
    """Hang up after so many messages, in the middle of the next one."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while True:
                length = await reader.readuntil(b" ")
                if self.cut_at is not None and len(self.messages) >= self.cut_at:
                    self.cut_at = None
                    writer.transport.abort()
                    self.has_cut.set()
                    return
                await self.take(await reader.readexactly(int(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def take(self, text: bytes) -> None:
        async with self.arrived:
            self.messages.append(parsed(text))
            self.arrived.notify_all()

    async def until(self, number: int) -> None:
        async with asyncio.timeout(PATIENCE), self.arrived:
            await self.arrived.wait_for(lambda: number in self.numbers)

    @property
    def numbers(self) -> list[int]:
        return [int(each["params"]["number"]) for each in self.messages]


@asynccontextmanager
async def listening(server: SyslogServer, port: int = 0, **more: Any) -> AsyncIterator[int]:
    listener = await asyncio.start_server(server.serve, HOST, port, **more)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for writer in server.writers:
            with suppress(AttributeError):  # before Python 3.11.4 nothing is left to abort of a TLS connection that was refused
                writer.transport.abort()
        await closed(listener)


@asynccontextmanager
async def forwarding(trail: Trail, destination: Destination) -> AsyncIterator[AuditForwarder]:
    forwarder = AuditForwarder(trail, trail.clock, destination, ORIGIN)  # type: ignore[arg-type]
    running = asyncio.create_task(forwarder.run())
    try:
        yield forwarder
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(trail: Trail, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            trail.clock.asked.clear()
            await trail.clock.asked.wait()


# --- messages ---


def test_a_message_is_what_the_rfc_says_and_carries_the_whole_record() -> None:
    found = parsed(message(record(7), ORIGIN))
    assert (found["priority"], found["version"]) == (str(13 * 8 + 6), "1")
    assert (found["time"], found["host"], found["app"], found["process"]) == (
        "2027-01-15T08:00:00.250Z",
        "core-1.example.net",
        "stepswitch",
        "4711",
    )
    assert (found["id"], found["sd_id"]) == ("createUser", "stepswitch@32473")
    assert found["params"]["number"] == "7"
    assert (found["params"]["user"], found["params"]["from"], found["params"]["objectId"]) == ("ann", "192.0.2.7", "tom")
    line = json.loads(found["text"])
    assert line["hash"] == found["params"]["hash"]
    assert line["record"]["actor"]["user"] == "ann"


def test_a_refusal_is_a_warning() -> None:
    assert parsed(message(record(judgement=Judgement.REFUSED, status=403), ORIGIN))["priority"] == str(13 * 8 + 4)


@pytest.mark.parametrize(
    "name",
    ['"quoted"', "back\\slash", "bracket]", '\\"]', "two\nlines", "\r\n<13>1 - - forged - - - -", "\x1b[31m\x00\x7f", "é ü 😀", "\u2028"],
    ids=ascii,
)
def test_no_name_ends_a_value_a_message_or_a_line(name: str) -> None:
    text = message(record(user=name, operation=name, address=name, tenant=name, thing=Thing("user", name, name)), Origin(name, 1))
    found = parsed(text)
    assert text.decode().isprintable()
    shown = "".join(each if each.isprintable() else "?" for each in name)
    assert (found["params"]["user"], found["params"]["objectId"]) == (shown.replace("\x00", "?"), shown)
    assert json.loads(found["text"])["record"]["actor"]["user"] == name
    assert framed(text) == f"{len(text)} ".encode() + text


# --- the way there ---


@pytest.mark.parametrize("count", [1, AT_ONCE, 3 * AT_ONCE + 7])
async def test_every_record_arrives_once_and_in_order(count: int) -> None:
    server, trail = SyslogServer(), Trail(count)
    async with listening(server) as port, forwarding(trail, Destination("tcp", HOST, port)) as forwarder:
        await server.until(count)
        await until(trail, lambda: trail.noted == count)
        trail.count += 1
        await server.until(count + 1)
        assert await forwarder.standing() is None
    assert server.numbers == list(range(1, count + 2))


async def test_nothing_is_lost_while_the_server_is_away_and_health_says_so() -> None:
    trail = Trail(5)
    server = SyslogServer()
    async with listening(server) as port:
        pass  # so that the port is free, and nobody listens
    async with forwarding(trail, Destination("tcp", HOST, port)) as forwarder:
        await until(trail, lambda: forwarder.reason is not None)
        standing = await forwarder.standing()
        assert standing is not None
        assert standing.startswith("5 records are still to be sent: ")
        async with listening(server, port):
            await server.until(5)
            await until(trail, lambda: trail.noted == 5)
            assert await forwarder.standing() is None
    assert server.numbers == [1, 2, 3, 4, 5]


async def test_what_was_under_way_when_the_connection_broke_is_sent_again() -> None:
    server, trail = SyslogServer(cut_at=30), Trail(AT_ONCE)
    trail.clock.may_go_on.clear()
    async with listening(server) as port, forwarding(trail, Destination("tcp", HOST, port)):
        await asyncio.wait_for(server.has_cut.wait(), PATIENCE)
        assert trail.noted is None
        trail.clock.may_go_on.set()
        await server.until(AT_ONCE)
        await until(trail, lambda: trail.noted == AT_ONCE)
    assert set(server.numbers) == set(range(1, AT_ONCE + 1))
    assert server.numbers[:30] == list(range(1, 31))


async def test_a_new_start_goes_on_where_the_last_one_was() -> None:
    server, trail = SyslogServer(), Trail(10)
    trail.noted = 7
    async with listening(server) as port, forwarding(trail, Destination("tcp", HOST, port)):
        await server.until(10)
    assert server.numbers == [8, 9, 10]


async def test_over_tls_the_server_has_to_be_the_one_that_is_named(tmp_path: Path) -> None:
    authority, context = own_certificate(tmp_path)
    server, trail = SyslogServer(), Trail(3)
    async with listening(server, ssl=context) as port:
        async with forwarding(trail, Destination("tls", HOST, port)) as distrusting:
            await until(trail, lambda: distrusting.reason is not None)
            assert not server.messages
        async with forwarding(trail, Destination("tls", HOST, port, authority)):
            await server.until(3)
    assert server.numbers == [1, 2, 3]


class Received(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.texts: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.texts.put_nowait(data)


async def test_over_udp_a_message_is_a_datagram() -> None:
    transport, received = await asyncio.get_running_loop().create_datagram_endpoint(Received, local_addr=(HOST, 0))
    try:
        async with forwarding(Trail(3), Destination("udp", HOST, transport.get_extra_info("sockname")[1])):
            async with asyncio.timeout(PATIENCE):
                numbers = [int(parsed(await received.texts.get())["params"]["number"]) for _ in range(3)]
    finally:
        transport.close()
    assert numbers == [1, 2, 3]


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("udp://loghost", Destination("udp", "loghost", 514)),
        ("tcp://loghost", Destination("tcp", "loghost", 601)),
        ("tls://loghost:10514", Destination("tls", "loghost", 10514)),
        ("tls://[2001:db8::1]", Destination("tls", "2001:db8::1", 6514)),
    ],
)
def test_a_setting_names_a_server(setting: str, found: Destination) -> None:
    assert destination_of(setting) == found
    assert destination_of(found.name) == found


@pytest.mark.parametrize(
    "setting",
    [
        "loghost", "http://loghost", "tcp://", "tcp://h:0", "tcp://h:99999", "tcp://h/path", "tcp://u:p@h", "udp://h?x", "", "tcp://log..host",
        f"tls://{'h' * 64}.example.net",
    ],
)  # fmt: skip
def test_what_names_no_server_is_refused_at_the_start(setting: str) -> None:
    with pytest.raises(SettingsError, match="audit_syslog"):
        destination_of(setting)
