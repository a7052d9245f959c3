"""Risk: what is known is lost with a VNFM that is away, a network function that is gone stays for ever, or one slow source holds up the others.

Over a real store, with a clock of the test and sources that say what the test wants.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepswitch.domain.devices import Device
from stepswitch.domain.errors import CredentialError, ErrorCode, NotFoundError, NotPermittedError, SourceError, StoreError
from stepswitch.domain.findings import Findings, FoundFunction, FoundService
from stepswitch.domain.inventory import Section, Source
from stepswitch.engine.audit import Act, Actor, Entry, Judgement
from stepswitch.engine.callers import Caller, administrator
from stepswitch.engine.credential_records import Credential, StoredValue
from stepswitch.engine.credential_records import Source as SecretSource
from stepswitch.engine.inventories import Inventories, Place
from stepswitch.engine.inventory_ports import Failure
from stepswitch.engine.inventory_sources import InventorySources, ShownSource, SourceState
from stepswitch.engine.known_inventories import KnownInventories
from stepswitch.engine.source_credentials import SourceCredentials
from stepswitch.engine.source_ports import Opens
from stepswitch.storage.data_dir import migrate
from stepswitch.storage.inventories import SqlInventoryStore
from stepswitch.storage.sqlite import SqliteDatabase
from tests.clocks import FakeClock
from tests.sealing import sealing_for_tests

ANN = administrator("ann")
VNFM = {"kind": "SOL003", "url": "https://vnfm.example.net", "everySeconds": 60}
NFVO = {"kind": "SOL005", "url": "https://nfvo.example.net"}
VIMS = {"v": {"vro": {"url": "https://vro.example.net"}}}


def one(*names: str) -> Findings:
    return Findings(tuple(FoundFunction(name, is_instantiated=True, vims=(("v",),)) for name in names))


class Asked:
    """Sources that say what `says` has for them; those in `held` say nothing until they are released."""

    def __init__(self) -> None:
        self.says: dict[str, Findings | Exception] = {}
        self.asked: list[str] = []
        self.finds: list[str] = []
        self.held: dict[str, asyncio.Event] = {}
        self.opened: list[str] = []
        self.began = asyncio.Event()

    async def read(self, source: Source, opens: Opens) -> Findings:
        self.asked.append(source.id)
        self.began.set()
        if source.id in self.held:
            await self.held[source.id].wait()
        if source.login.password is not None:
            self.opened.append(await opens(source.login.password, Device("vnfm.example.net", 443), "login.password"))
        return self._said(source.id)

    async def find(self, source: Source, entry_id: str, opens: Opens) -> Findings:
        self.finds.append(f"{source.id} {entry_id}")
        return self._said(f"{source.id} {entry_id}")

    def _said(self, what: str) -> Findings:
        said = self.says.get(what, Findings())
        if isinstance(said, Exception):
            raise said
        return said


class Credentials:
    """One credential, whose value is read as it is; and what everybody is."""

    def __init__(self) -> None:
        self.credential = Credential(
            "default", "pw", StoredValue("a pigeon"), ("*",), ("*",), ("vnfm.example.net",), False, "", 1, "ann", 1, "ann"
        )
        self.roles: dict[str, frozenset[str]] = {"ann": frozenset({"Administrator"})}
        self.entries: list[Entry] = []

    async def find(self, tenant: str, name: str) -> Credential | None:
        return self.credential if (tenant, name) == ("default", "pw") else None

    async def roles_of(self, tenant: str, user: str) -> frozenset[str] | None:
        return self.roles.get(user)

    def faults(self, source: SecretSource) -> list[tuple[str, str]]:
        return []

    async def read(self, source: SecretSource) -> str:
        assert isinstance(source, StoredValue)
        return source.value

    async def record(self, entry: Entry) -> None:
        self.entries.append(entry)


class Rig:
    """An inventory with sources, and who reads them."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.clock = FakeClock()
        self.asks = Asked()
        self.credentials = Credentials()
        self.store = SqlInventoryStore(database)
        self.known = KnownInventories(self.store)
        self.inventories = Inventories(self.store, self.credentials, self.clock, self.known)
        self.sources = self.another()

    def another(self) -> InventorySources:
        opening = SourceCredentials(self.credentials, self.credentials, self.credentials, self.credentials.record, self.clock)
        return InventorySources(store=self.store, known=self.known, asks=self.asks, credentials=opening, clock=self.clock)

    async def write(self, **sources: Any) -> None:
        await self.inventories.replace(ANN, {"vimLocations": VIMS, "sources": sources})

    async def look(self) -> None:
        """Have what is due read to its end."""
        await self.sources.look()
        await self.settle()

    async def settle(self) -> None:
        reading = [turn.reading for turn in self.sources._turns.values() if turn.reading is not None]
        if reading:
            await asyncio.wait(
                [each for each in reading if not self.is_held(each)] or [asyncio.create_task(self.clock.settle())], timeout=30
            )

    def is_held(self, task: "asyncio.Task[None]") -> bool:
        return task.get_name().removeprefix("source ") in self.asks.held

    async def functions(self) -> set[str]:
        return set((await self.known.of("default")).network_functions)

    async def state(self, source: str = "vnfm") -> ShownSource:
        return next(each for each in await self.sources.states(ANN) if each.source == source)

    async def later(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await self.look()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    migrate(tmp_path / "stepswitch.db")
    database = SqliteDatabase(tmp_path / "stepswitch.db", sealer=sealing_for_tests())
    made = Rig(database)
    yield made
    await made.sources.close()
    await database.close()


async def test_a_source_is_read_at_once_and_again_when_its_time_has_come(rig: Rig) -> None:
    rig.asks.says["vnfm"] = one("a", "b")
    await rig.write(vnfm=VNFM)
    assert (await rig.state()).state is SourceState.UNREAD
    await rig.look()
    assert await rig.functions() == {"a", "b"}
    shown = await rig.state()
    assert (shown.state, shown.functions, shown.is_being_read, shown.reading.read_at) == (SourceState.CURRENT, 2, False, rig.clock.now())
    await rig.later(59)
    assert rig.asks.asked == ["vnfm"]
    rig.asks.says["vnfm"] = one("b", "c")
    await rig.later(1)
    assert await rig.functions() == {"b", "c"}


async def test_what_is_known_stays_while_the_source_is_away_and_it_is_said_since_when(rig: Rig) -> None:
    rig.asks.says["vnfm"] = one("a")
    await rig.write(vnfm=VNFM)
    await rig.look()
    read_at = rig.clock.now()
    rig.asks.says["vnfm"] = SourceError(ErrorCode.UNREACHABLE, "it cannot be reached")
    await rig.later(60)
    since = rig.clock.now()
    for pause in (15, 30, 60, 60):  # twice as long each time, up to its own time
        await rig.later(pause - 1)
        count = len(rig.asks.asked)
        await rig.later(1)
        assert len(rig.asks.asked) == count + 1
    shown = await rig.state()
    assert (shown.state, shown.functions) == (SourceState.STALE, 1)
    assert (shown.reading.read_at, shown.reading.failing_since, shown.reading.asked_at) == (read_at, since, rig.clock.now())
    assert shown.reading.failure is not None
    assert (shown.reading.failure.code, shown.reading.failure.message) == (ErrorCode.UNREACHABLE, "it cannot be reached")
    assert await rig.functions() == {"a"}
    rig.asks.says["vnfm"] = one()
    await rig.later(60)
    shown = await rig.state()
    assert (shown.state, shown.reading.failure, shown.reading.failing_since) == (SourceState.CURRENT, None, None)
    assert await rig.functions() == set()


async def test_one_that_wants_to_be_left_alone_is(rig: Rig) -> None:
    rig.asks.says["vnfm"] = SourceError(ErrorCode.UNEXPECTED_STATUS, "it is too busy: 503", 600)
    await rig.write(vnfm=VNFM)
    await rig.look()
    assert (await rig.state()).state is SourceState.UNREAD
    await rig.later(599)
    assert len(rig.asks.asked) == 1
    await rig.later(1)
    assert len(rig.asks.asked) == 2


async def test_a_slow_source_holds_up_no_other_one_and_is_not_asked_twice_at_once(rig: Rig) -> None:
    rig.asks.held["slow"] = asyncio.Event()
    rig.asks.says |= {"vnfm": one("a"), "slow": one("s")}
    await rig.write(slow={**VNFM, "url": "https://slow.example.net"}, vnfm=VNFM)
    await rig.look()
    assert await rig.functions() == {"a"}
    assert (await rig.state("slow")).is_being_read
    await rig.later(600)
    assert sorted(rig.asks.asked) == ["slow", "vnfm", "vnfm"]
    waiting = asyncio.create_task(rig.sources.refresh(ANN, "slow"))
    await rig.clock.settle()
    rig.asks.held.pop("slow").set()
    shown = await waiting
    assert (shown.state, shown.is_being_read, rig.asks.asked.count("slow")) == (SourceState.CURRENT, False, 1)
    assert await rig.functions() == {"a", "s"}


async def test_a_source_is_read_on_demand_by_administrators_only(rig: Rig) -> None:
    await rig.write(vnfm=VNFM)
    await rig.look()
    rig.asks.says["vnfm"] = one("a")
    assert (await rig.sources.refresh(ANN, "vnfm")).functions == 1
    with pytest.raises(NotFoundError):
        await rig.sources.refresh(ANN, "other")
    with pytest.raises(NotFoundError):
        await rig.sources.refresh(administrator("eve", "south"), "vnfm")
    with pytest.raises(NotPermittedError):
        await rig.sources.refresh(Caller("bob"), "vnfm")
    with pytest.raises(NotPermittedError):
        await rig.sources.states(Caller("bob"))
    assert await rig.sources.states(administrator("eve", "south")) == []


async def test_a_source_that_was_changed_is_read_at_once_and_what_it_said_elsewhere_is_gone(rig: Rig) -> None:
    rig.asks.says["vnfm"] = one("a")
    await rig.write(vnfm=VNFM)
    await rig.look()
    await rig.write(vnfm={**VNFM, "everySeconds": 120})
    assert await rig.functions() == {"a"}
    await rig.look()
    assert len(rig.asks.asked) == 2
    rig.asks.says["vnfm"] = SourceError(ErrorCode.UNREACHABLE, "it cannot be reached")
    await rig.write(vnfm={**VNFM, "url": "https://other.example.net"})
    assert await rig.functions() == set()
    await rig.look()
    assert ((await rig.state()).state, await rig.functions()) == (SourceState.UNREAD, set())


async def test_a_source_that_is_gone_is_read_no_more_and_what_it_brought_goes_with_it(rig: Rig) -> None:
    rig.asks.says["vnfm"] = one("a")
    rig.asks.held["slow"] = asyncio.Event()
    await rig.write(vnfm=VNFM, slow={**VNFM, "url": "https://slow.example.net"})
    await rig.look()
    slow = rig.sources._turns["default", "slow"].reading
    await rig.write()
    assert await rig.functions() == set()
    await rig.look()
    assert slow is not None
    await asyncio.wait([slow], timeout=30)
    assert slow.cancelled()
    assert (await rig.store.readings("default"), await rig.sources.states(ANN)) == ([], [])


async def test_what_nobody_knew_is_looked_for_once_and_is_known_then(rig: Rig) -> None:
    rig.asks.says |= {"vnfm": one("a"), "vnfm new": one("new")}
    await rig.write(vnfm=VNFM, nfvo=NFVO)
    await rig.look()
    assert await rig.sources.look_for("default", Section.NETWORK_FUNCTIONS, "new")
    assert await rig.functions() == {"a", "new"}
    assert ((await rig.state()).state, rig.asks.finds) == (SourceState.CURRENT, ["vnfm new"])
    for _ in range(3):
        assert not await rig.sources.look_for("default", Section.NETWORK_FUNCTIONS, "x")
        assert not await rig.sources.look_for("default", Section.NETWORK_SERVICES, "n")
    assert rig.asks.finds == ["vnfm new", "vnfm x", "nfvo n"]
    await rig.clock.advance(10)
    rig.asks.says["vnfm x"] = one("x")
    assert await rig.sources.look_for("default", Section.NETWORK_FUNCTIONS, "x")
    rig.asks.says["nfvo n2"] = Findings(one("in-n2").functions, (FoundService("n2", functions=("in-n2",)),))
    assert await rig.sources.look_for("default", Section.NETWORK_SERVICES, "n2")
    assert (await rig.known.of("default")).network_services["n2"].network_functions == ("in-n2",)
    await rig.later(60)
    assert await rig.functions() == {"a", "in-n2"}  # what a complete reading does not have is gone; the NFVO is not due yet


async def test_a_look_that_fails_or_is_of_no_use_is_no_fault_and_changes_nothing(rig: Rig) -> None:
    nowhere = Findings((FoundFunction("nowhere", is_instantiated=True),))
    rig.asks.says |= {
        "vnfm": nowhere,
        "vnfm x": SourceError(ErrorCode.UNREACHABLE, "no"),
        "vnfm y": CredentialError(ErrorCode.CREDENTIAL_REFUSED, "no"),
    }
    await rig.write(vnfm=VNFM)
    await rig.look()
    before = await rig.store.moment("default")
    for name in ("x", "y", "nowhere"):
        assert not await rig.sources.look_for("default", Section.NETWORK_FUNCTIONS, name)
    assert not await rig.sources.look_for("south", Section.NETWORK_FUNCTIONS, "x")
    assert rig.asks.finds == ["vnfm x", "vnfm y"]
    assert await rig.store.moment("default") == before


async def test_a_credential_is_used_in_the_name_of_who_stored_the_source_last(rig: Rig) -> None:
    with_login = {**VNFM, "login": {"username": "stepswitch", "password": {"credential": "pw"}}}
    rig.asks.says["vnfm"] = one("a")
    await rig.write(vnfm=with_login)
    await rig.look()
    assert rig.asks.opened == ["a pigeon"]
    (used,) = rig.credentials.entries
    assert (used.operation, used.user, used.kind, used.thing.id, used.judgement) == (
        "useCredential",
        "ann",
        Actor.SYSTEM,
        "pw",
        Judgement.ALLOWED,
    )
    assert used.after == {"source": "vnfm", "field": "login.password", "device": "vnfm.example.net:443", "people": ["ann"]}
    rig.credentials.roles.clear()
    await rig.later(60)
    shown = await rig.state()
    assert (shown.state, shown.functions) == (SourceState.STALE, 1)
    assert shown.reading.failure is not None
    assert shown.reading.failure == Failure(
        ErrorCode.CREDENTIAL_REFUSED,
        "nothing was asked: no credential called 'pw' may be used here in the name of ann, who has stored the source last",
    )
    assert rig.credentials.entries[-1].judgement is Judgement.REFUSED
    rig.credentials.roles["bob"] = frozenset({"Administrator"})
    await rig.inventories.put_entry(administrator("bob"), Place(Section.SOURCES, "vnfm"), with_login)
    await rig.look()
    assert (await rig.sources.refresh(ANN, "vnfm")).state is SourceState.CURRENT
    assert rig.credentials.entries[-1].user == "bob"


@pytest.mark.parametrize(
    "change",
    [{"devices": ("other.example.net",)}, {"workflows": ("Register gNB",)}, {"roles": ("Operators",)}, {"source": StoredValue("abc")}],
)
async def test_a_credential_that_is_not_for_a_source_is_not_opened(rig: Rig, change: dict[str, Any]) -> None:
    rig.credentials.credential = replace(rig.credentials.credential, **change)
    rig.credentials.roles["ann"] = frozenset({"Operators of another kind"})
    if "source" in change:
        rig.credentials.roles["ann"] = frozenset({"Administrator"})
    await rig.write(vnfm={**VNFM, "login": {"username": "stepswitch", "password": {"credential": "pw"}}})
    await rig.look()
    shown = await rig.state()
    assert (shown.state, rig.asks.opened) == (SourceState.UNREAD, [])
    assert shown.reading.failure is not None
    assert "abc" not in shown.reading.failure.message


async def test_who_writes_the_files_of_the_service_needs_no_user(rig: Rig) -> None:
    act = Act("putSource", 0, Actor.COMMAND_LINE)
    with_login = {**VNFM, "login": {"username": "stepswitch", "password": {"credential": "pw"}}}
    await rig.write()
    await rig.inventories.put_entry(administrator("root at the command line").acting(act), Place(Section.SOURCES, "vnfm"), with_login)
    rig.credentials.roles.clear()
    await rig.look()
    assert rig.asks.opened == ["a pigeon"]
    entry = Entry("replaceInventory", 0, "", "", Actor.SYSTEM)
    await rig.inventories.load_file({"sources": {"vnfm": {**with_login, "everySeconds": 90}}}, "digest", entry)
    await rig.look()
    assert rig.asks.opened == ["a pigeon"] * 2


async def test_the_loop_outlives_a_store_that_says_no_and_ends_its_readings_with_itself(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.asks.held["vnfm"] = asyncio.Event()
    await rig.write(vnfm=VNFM)
    with monkeypatch.context() as patched:
        patched.setattr(rig.store, "with_sources", _refuse)
        loop = asyncio.create_task(rig.sources.run())
        await rig.clock.until_sleeping_for(2)
    await rig.clock.advance(2)
    async with asyncio.timeout(30):
        await rig.asks.began.wait()
    reading = rig.sources._turns["default", "vnfm"].reading
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert reading is not None
    assert reading.cancelled()


async def _refuse() -> None:
    raise StoreError("no")


async def test_what_a_source_brings_is_shown_and_not_changed_and_what_is_written_down_takes_its_place(rig: Rig) -> None:
    rig.asks.says["vnfm"] = one("a", "b")
    await rig.write(vnfm=VNFM)
    await rig.look()
    place = Place(Section.NETWORK_FUNCTIONS, "a")
    entry = {"source": "vnfm", "type": "VNF", "vimLocation": "v"}
    assert await rig.inventories.entry(ANN, place) == entry
    assert (await rig.inventories.get(ANN)).document["networkFunctions"] == {}
    assert (await rig.inventories.get_all(ANN)).document["networkFunctions"] == {"a": entry, "b": entry}
    for change in (rig.inventories.put_entry(ANN, place, {"type": "CNF", "vimLocation": "v"}), rig.inventories.remove_entry(ANN, place)):
        with pytest.raises(Exception, match="comes from the source 'vnfm' and is not changed here"):
            await change
    own = {"type": "CNF", "vimLocation": "v"}
    await rig.inventories.replace(ANN, {"vimLocations": VIMS, "sources": {"vnfm": VNFM}, "networkFunctions": {"a": own}})
    assert await rig.inventories.entry(ANN, place) == own
    shown = await rig.state()
    assert (shown.functions, shown.problems) == (1, ("the network function 'a' is written down, too, and what is written down counts",))
    await rig.inventories.remove_entry(ANN, place)
    assert await rig.inventories.entry(ANN, place) == entry
