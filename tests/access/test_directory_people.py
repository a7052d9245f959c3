"""Risk: somebody comes in by a directory who should not, keeps what was taken from him there, or cannot come in while it is away.

Against a real slapd; the accounts are in a dict, and the clock is moved by hand.
"""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from stepswitch.access.accounts import Passwords, ensure_admin
from stepswitch.access.directory import Directory
from stepswitch.access.directory_people import AGAIN_SECONDS, Belief, DirectoryPeople
from stepswitch.access.directory_rules import DirectoryEntry, DirectoryRules, DirectoryServer, Encryption, ServiceAccount
from stepswitch.access.people import CurrentPeople
from stepswitch.access.sessions import Sessions
from stepswitch.domain.errors import NotAuthenticatedError, OverloadedError, ProviderUnavailableError, TooManyAttemptsError
from stepswitch.engine.credential_rules import AccountRoles
from stepswitch.engine.privileges import Privilege
from tests.access.account_store import DictAccountStore, HandClock
from tests.proxies import Proxy
from tests.slapd import GROUPS, PEOPLE, SERVICE, Slapd

MINUTE = 60_000
SHIFT, DESIGN = f"cn=shift,{GROUPS}", f"cn=design,{GROUPS}"
ROLES = {"shift": ("Operations",), "design": ("Workflow Designer",)}
SEARCHED = DirectoryRules(
    user_base=PEOPLE, user_filter="(&(uid={username})(!(employeeType=gone)))", group_base=GROUPS, group_filter="(member={dn})", roles=ROLES
)
PLACED = DirectoryRules(
    user_dn=f"uid={{username}},{PEOPLE}",
    member_of="memberOf",
    roles={SHIFT: ("Operations",), DESIGN: ("Workflow Designer",)},
)


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    with Slapd() as server:
        for group in ROLES:
            server.add_group(group)
        yield server


class House:
    """Sessions over a directory. `rules` say how it is searched, `port` where it is."""

    def __init__(self, slapd: Slapd, rules: DirectoryRules = SEARCHED, **server: Any) -> None:
        self.store = DictAccountStore()
        self.clock = HandClock()
        has_service = server.pop("has_service", True)
        password = server.pop("password", slapd.password)
        place = {"host": slapd.host, "port": slapd.port, "encryption": Encryption.NONE, "ca_file": slapd.certificate, **server}
        service = ServiceAccount(SERVICE, password) if has_service else None
        self.directory = Directory(DirectoryServer(**place), rules, service, self.clock)
        self.people = DirectoryPeople(self.store, self.directory, self.clock, Belief(5, 60))
        self.current = CurrentPeople(self.store, self.people, None)
        self.passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        self.sessions = Sessions(self.store, self.passwords, self.clock, directory=self.people, people=self.current)

    async def login(self, name: str, password: str = "right", address: str = "192.0.2.1") -> str:
        token, _ = await self.sessions.login(name, password, address)
        return token

    async def roles(self, token: str) -> set[Privilege]:
        caller = await self.sessions.authenticate(token)
        return {each for grant in caller.grants for each in grant.privileges}

    async def refused(self, name: str, password: str = "right") -> None:
        with pytest.raises(NotAuthenticatedError, match="unknown user or wrong password"):
            await self.login(name, password)
        self.clock.time += MINUTE  # what failed is not held against him


@pytest.mark.parametrize(
    "rules", [SEARCHED, PLACED, replace(PLACED, user_filter="(uid={username})")], ids=["searched", "placed", "placed, with a filter"]
)
@pytest.mark.parametrize("encryption", list(Encryption), ids=str)
async def test_who_has_the_right_password_there_comes_in_with_the_roles_of_his_groups(
    slapd: Slapd, rules: DirectoryRules, encryption: Encryption, request: pytest.FixtureRequest
) -> None:
    name = f"ann{abs(hash(request.node.name))}"
    slapd.add_person(name, "right", SHIFT, DESIGN)
    house = House(slapd, rules, encryption=encryption, port=slapd.tls_port if encryption is Encryption.TLS else slapd.port)
    token = await house.login(name.upper())
    caller = await house.sessions.authenticate(token)
    assert (caller.user, caller.tenant) == (f"ldap:{name}", "default")
    assert {Privilege.EXECUTION_OPERATE, Privilege.WORKFLOW_DESIGN} <= await house.roles(token)
    assert not caller.is_administrator
    for wrong in ("wrong", "right ", "RIGHT", "right\0", "r" * 2_000, "\ud800"):
        await house.refused(name, wrong)
    await house.refused(f"no{name}")


@pytest.mark.parametrize("rules", [SEARCHED, PLACED], ids=["searched", "placed"])
async def test_an_empty_password_is_refused_before_the_directory_is_asked(slapd: Slapd, rules: DirectoryRules) -> None:
    slapd.add_person(f"empty{id(rules)}", "right", SHIFT)
    house = House(slapd, rules)
    before = len([line for line in slapd.lines if " ACCEPT " in line])
    await house.refused(f"empty{id(rules)}", "")
    assert len([line for line in slapd.lines if " ACCEPT " in line]) == before
    assert not house.store.known


@pytest.mark.parametrize(
    "typed",
    [
        "*",
        "inj*",
        "inject)(uid=*",
        "inject)(|(uid=*",
        "x)(objectClass=*",
        "inject,ou=people",
        f"inject,{PEOPLE}",
        "\\2a",
        "inject\0",
        "inj\\65ct",
        "cn=root",
        "ldap:*",
        "oidc:inject",
        ":inject",
    ],
)
@pytest.mark.parametrize("rules", [SEARCHED, PLACED], ids=["searched", "placed"])
async def test_what_is_typed_as_a_name_cannot_ask_for_anybody_else(slapd: Slapd, rules: DirectoryRules, typed: str, inject: str) -> None:
    house = House(slapd, rules)
    await house.refused(typed)
    assert not house.store.known


@pytest.fixture(scope="module")
def inject(slapd: Slapd) -> str:
    return slapd.add_person("inject", "right", SHIFT)


@pytest.mark.parametrize("rules", [SEARCHED, PLACED], ids=["searched", "placed"])
async def test_a_name_with_every_sign_that_means_something_is_a_name_like_any_other(slapd: Slapd, rules: DirectoryRules) -> None:
    name = f"o'b(r)*+,;<=>\"#\\ié{id(rules)}"
    dn = slapd.add_person(f"plain{id(rules)}", "right", SHIFT)
    slapd.give(dn, "uid", f"plain{id(rules)}", name)
    house = House(slapd, replace(SEARCHED, group_filter="(|(member={dn})(memberUid={username}))"))
    caller = await house.sessions.authenticate(await house.login(name))
    assert caller.user == f"ldap:{name}"


async def test_who_has_a_password_here_is_never_looked_for_in_the_directory(slapd: Slapd) -> None:
    slapd.add_person("admin", "right", SHIFT)
    house = House(slapd)
    await ensure_admin(house.store, house.passwords, "correct horse", lambda _: None)
    await house.refused("admin", "right")
    assert (await house.sessions.authenticate(await house.login("admin", "correct horse"))).is_administrator
    there = await house.sessions.authenticate(await house.login("ldap:admin", "right"))
    assert (there.user, there.is_administrator) == ("ldap:admin", False)


async def test_somebody_without_a_role_is_refused_and_gets_no_account(slapd: Slapd) -> None:
    slapd.add_person("roleless", "right")
    house = House(slapd)
    await house.refused("roleless")
    assert not house.store.known


async def test_a_group_that_somebody_makes_elsewhere_gives_nothing(slapd: Slapd) -> None:
    unit = slapd.add_unit("own", GROUPS)
    slapd.add_person("climber", "right", slapd.add_group("shift", unit))
    for rules in (SEARCHED, PLACED):
        await House(slapd, rules).refused("climber")


async def test_other_groups_count_after_five_minutes_in_a_session_that_is_open(slapd: Slapd) -> None:
    dn = slapd.add_person("changing", "right", SHIFT)
    house = House(slapd)
    token = await house.login("changing")
    slapd.join(dn, DESIGN)
    slapd.leave(dn, SHIFT)
    house.clock.time += 5 * MINUTE - 1
    assert Privilege.EXECUTION_OPERATE in await house.roles(token)
    house.clock.time += 2_001
    assert await house.roles(token) == {Privilege.WORKFLOW_READ, Privilege.WORKFLOW_DESIGN}
    assert await AccountRoles(house.current).roles_of("default", "ldap:changing") == frozenset({"Workflow Designer"})


@pytest.mark.parametrize("how", ["removed", "without a group", "no more for the filter"])
async def test_who_is_gone_is_logged_out_everywhere_after_five_minutes(slapd: Slapd, how: str) -> None:
    name = f"leaver-{how.split(maxsplit=1)[0]}"
    dn = slapd.add_person(name, "right", SHIFT)
    house = House(slapd)
    token = await house.login(name)
    if how == "removed":
        slapd.remove(dn)
    elif how == "without a group":
        slapd.leave(dn, SHIFT)
    else:
        slapd.give(dn, "employeeType", "gone")
    house.clock.time += 5 * MINUTE
    with pytest.raises(NotAuthenticatedError):
        await house.sessions.authenticate(token)
    assert not house.store.sessions
    assert not await AccountRoles(house.current).roles_of("default", f"ldap:{name}")
    await house.refused(name)


async def test_what_is_said_of_another_entry_is_said_of_nobody(slapd: Slapd, monkeypatch: pytest.MonkeyPatch) -> None:
    slapd.add_person("asked-for", "right", SHIFT)
    slapd.add_person("answered", "right", DESIGN)
    house = House(slapd)
    token = await house.login("asked-for")
    other = await house.directory.check("answered", "right")
    assert other is not None

    async def look(_: str) -> DirectoryEntry:
        return other

    monkeypatch.setattr(house.directory, "look", look)
    house.clock.time += 5 * MINUTE
    with pytest.raises(NotAuthenticatedError):
        await house.sessions.authenticate(token)


async def test_who_is_called_otherwise_stays_who_he_is(slapd: Slapd) -> None:
    dn = slapd.add_person("maiden", "right", SHIFT)
    house = House(slapd)
    token = await house.login("maiden")
    slapd.rename(dn, "married")
    house.clock.time += 5 * MINUTE
    assert (await house.sessions.authenticate(token)).user == "ldap:maiden"
    assert (await house.sessions.authenticate(await house.login("married"))).user == "ldap:maiden"


async def test_somebody_who_gets_the_name_of_another_one_is_somebody_else(slapd: Slapd) -> None:
    house = House(slapd)
    dn = slapd.add_person("heir", "right", SHIFT)
    await house.login("heir")
    slapd.remove(dn)
    slapd.add_person("heir", "right", SHIFT)
    assert (await house.sessions.authenticate(await house.login("heir"))).user == "ldap:heir.2"


async def test_whom_an_administrator_has_disabled_stays_out_whatever_the_directory_says(slapd: Slapd) -> None:
    slapd.add_person("barred", "right", SHIFT)
    house = House(slapd)
    token = await house.login("barred")
    house.store.known["ldap:barred"] = replace(house.store.known["ldap:barred"], is_disabled=True)
    house.clock.time += 5 * MINUTE
    with pytest.raises(NotAuthenticatedError):
        await house.sessions.authenticate(token)
    await house.refused("barred")


async def test_an_account_that_is_disabled_while_the_directory_is_asked_is_not_enabled_by_its_answer(slapd: Slapd) -> None:
    slapd.add_person("raced", "right", SHIFT)
    async with Proxy(slapd.host, slapd.port) as proxy:
        house = House(slapd, port=proxy.port)
        token = await house.login("raced")
        house.clock.time += 5 * MINUTE
        proxy.stall()
        asking = asyncio.create_task(house.sessions.authenticate(token))
        await proxy.wait_until(connections=2)
        house.store.known["ldap:raced"] = replace(house.store.known["ldap:raced"], is_disabled=True)
        proxy.resume()
        with pytest.raises(NotAuthenticatedError):
            await asking
        assert house.store.known["ldap:raced"].is_disabled


async def test_a_directory_that_is_away_is_no_reason_to_believe_or_to_refuse(slapd: Slapd) -> None:
    with Slapd() as own:
        own.add_person("held", "right", own.add_group("shift"))
        house = House(own)
        await ensure_admin(house.store, house.passwords, "correct horse", lambda _: None)
        token = await house.login("held")
        own.go_down()
        with pytest.raises(ProviderUnavailableError, match="cannot be asked now"):
            await house.login("held")
        assert (await house.sessions.authenticate(await house.login("admin", "correct horse"))).is_administrator
        house.clock.time += 59 * MINUTE
        assert Privilege.EXECUTION_OPERATE in await house.roles(token)
        house.clock.time += MINUTE
        with pytest.raises(ProviderUnavailableError):
            await house.sessions.authenticate(token)
        with pytest.raises(ProviderUnavailableError):
            await AccountRoles(house.current).roles_of("default", "ldap:held")
        own.come_up()
        house.clock.time += round(AGAIN_SECONDS * 1000)
        assert Privilege.EXECUTION_OPERATE in await house.roles(token)


async def test_a_directory_that_is_away_is_not_asked_with_every_request(slapd: Slapd) -> None:
    slapd.add_person("patient", "right", SHIFT)
    async with Proxy(slapd.host, slapd.port) as proxy:
        house = House(slapd, port=proxy.port, seconds=0.3)
        token = await house.login("patient")
        proxy.stall()
        house.clock.time += 5 * MINUTE
        for _ in range(3):
            assert await house.roles(token)
            house.clock.time += 2_001
        assert proxy.connections == 2
        proxy.resume()
        house.clock.time += round(AGAIN_SECONDS * 1000)
        assert await house.roles(token)
        assert proxy.connections == 3


async def test_many_requests_of_one_user_ask_the_directory_once(slapd: Slapd) -> None:
    slapd.add_person("busy", "right", SHIFT)
    async with Proxy(slapd.host, slapd.port) as proxy:
        house = House(slapd, port=proxy.port)
        tokens = [await house.login("busy") for _ in range(5)]
        house.clock.time += 5 * MINUTE
        await asyncio.gather(*map(house.sessions.authenticate, tokens))
        assert proxy.connections == 6


async def test_a_directory_without_a_service_account_is_believed_for_an_hour(slapd: Slapd) -> None:
    slapd.add_person("alone", "right", SHIFT)
    house = House(slapd, PLACED, has_service=False)
    token, session = await house.sessions.login("alone", "right")
    assert session.expires_at - house.clock.now() == 60 * MINUTE
    house.clock.time += 60 * MINUTE - 1
    await house.sessions.authenticate(token)
    assert await AccountRoles(house.current).roles_of("default", "ldap:alone") == frozenset({"Operations"})
    house.clock.time += 1
    assert await AccountRoles(house.current).roles_of("default", "ldap:alone") is None


async def test_nobody_is_believed_any_more_where_there_is_no_directory_any_more(slapd: Slapd) -> None:
    slapd.add_person("orphan", "right", SHIFT)
    house = House(slapd)
    token = await house.login("orphan")
    without = Sessions(house.store, house.passwords, house.clock, people=CurrentPeople(house.store, None, None))
    with pytest.raises(NotAuthenticatedError):
        await without.authenticate(token)
    with pytest.raises(NotAuthenticatedError):
        await without.login("ldap:orphan", "right")
    with pytest.raises(NotAuthenticatedError):
        await without.login("ldap:orphan", "")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"encryption": Encryption.TLS, "ca_file": None, "port": "tls"}, "certificate verify failed"),
        ({"encryption": Encryption.START_TLS, "ca_file": None}, "certificate verify failed"),
        ({"encryption": Encryption.START_TLS, "host": "localhost"}, "Hostname mismatch"),
        ({"encryption": Encryption.TLS, "seconds": 2.0}, "socket ssl wrapping error"),
        ({"port": 1}, "Connection refused"),
        ({"host": "no.such.host.invalid"}, "not known"),
        ({"password": "wrong"}, "it refuses the service account: invalidCredentials"),
    ],
)
async def test_what_is_wrong_with_the_directory_stands_in_the_log_once_and_in_no_answer(
    slapd: Slapd, fault: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if fault.get("port") == "tls":
        fault = {**fault, "port": slapd.tls_port}
    house = House(slapd, **fault)
    for _ in range(2):
        with pytest.raises(ProviderUnavailableError) as raised:
            await house.login("anybody")
        assert said not in str(raised.value)
    printed = capsys.readouterr().out
    assert printed.count(said) == 1, printed
    assert slapd.password not in printed


async def test_a_directory_that_refuses_tls_is_told_no_password(slapd: Slapd, tmp_path: Path) -> None:
    heard = bytearray()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(1_000))
        writer.write(bytes.fromhex("300c02010178070a010204000400"))  # an extended response: protocolError
        heard.extend(await reader.read(1_000))
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        house = House(slapd, PLACED, encryption=Encryption.START_TLS, port=server.sockets[0].getsockname()[1])
        with pytest.raises(ProviderUnavailableError):
            await house.login("ann", "the-password-of-ann")
    assert b"1.3.6.1.4.1.1466.20037" in heard
    assert b"the-password-of-ann" not in heard


async def test_a_directory_that_says_nothing_holds_up_nobody_else(slapd: Slapd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        house = House(slapd, port=silent.getsockname()[1], seconds=0.5)
        await ensure_admin(house.store, house.passwords, "correct horse", lambda _: None)
        waiting = [asyncio.create_task(house.login(f"user{number}", address=f"192.0.2.{number}")) for number in range(130)]
        token = await house.login("admin", "correct horse", "198.51.100.1")
        assert not any(each.done() and each.exception() is None for each in waiting)
        assert (await house.sessions.authenticate(token)).is_administrator
        answers = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20)
    kinds = [type(each) for each in answers]
    assert kinds.count(OverloadedError) == 30
    assert kinds.count(ProviderUnavailableError) == 100


async def test_a_directory_that_answers_drop_by_drop_is_cut_off_at_its_time(slapd: Slapd) -> None:
    closed = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = asyncio.create_task(reader.read())  # what is asked, until the other side is gone
        writer.write(b"\x30\x83\x10\x00\x00")  # a message that is a megabyte long
        while not end.done():
            writer.write(b"\x00")
            await asyncio.wait({end}, timeout=0.05)
        writer.close()
        closed.set()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        house = House(slapd, port=server.sockets[0].getsockname()[1], seconds=0.5)
        with pytest.raises(ProviderUnavailableError):
            await asyncio.wait_for(house.login("ann"), 10)
        await asyncio.wait_for(closed.wait(), 10)


async def test_guesses_are_slowed_down_whatever_the_case_of_the_name(slapd: Slapd) -> None:
    slapd.add_person("guessed", "right", SHIFT)
    house = House(slapd)
    for number, name in enumerate(("guessed", "GUESSED", "Guessed", " guessed", "ldap:guessed") * 2):
        with pytest.raises(NotAuthenticatedError):
            await house.sessions.login(name, "wrong", f"192.0.2.{number}")
    binds = len([line for line in slapd.lines if "BIND dn=" in line])
    with pytest.raises(TooManyAttemptsError):
        await house.sessions.login("gUESSED", "right", "192.0.2.99")
    assert len([line for line in slapd.lines if "BIND dn=" in line]) == binds


async def test_a_directory_that_cannot_be_asked_counts_as_no_guess(slapd: Slapd) -> None:
    house = House(slapd, port=1)
    for _ in range(30):
        with pytest.raises(ProviderUnavailableError):
            await house.login("ann")


async def test_an_entry_that_shows_no_lasting_id_is_refused_with_a_sentence_in_the_log(
    slapd: Slapd, capsys: pytest.CaptureFixture[str]
) -> None:
    slapd.add_person("nameless", "right", SHIFT)
    house = House(slapd, replace(SEARCHED, id_attribute="objectGUID"))
    with pytest.raises(ProviderUnavailableError):
        await house.login("nameless")
    assert "shows no objectGUID" in capsys.readouterr().out


async def test_nobody_comes_in_where_the_filter_fits_several(slapd: Slapd) -> None:
    for name in ("twin-a", "twin-b"):
        slapd.add_person(name, "right", SHIFT, mail="twins@example.net")
    house = House(slapd, replace(SEARCHED, user_filter="(mail={username})"))
    await house.refused("twins@example.net")


# --- what somebody is called ---

BY_MAIL = replace(SEARCHED, user_filter="(mail={username})")


async def test_of_several_names_the_one_that_was_typed_counts_else_the_first_by_the_alphabet(slapd: Slapd) -> None:
    dn = slapd.add_person("many-c", "right", SHIFT, mail="many@example.net")
    slapd.give(dn, "uid", "many-c", "many-B", "many-d")
    for typed, name in (("many-d", "many-d"), ("MANY-b", "many-B")):
        assert (await House(slapd).sessions.login(typed, "right"))[1].user == f"ldap:{name}"
    house = House(slapd, BY_MAIL)
    assert (await house.sessions.login("many@example.net", "right"))[1].user == "ldap:many-B"
    slapd.give(dn, "uid", "many-c", "many-a")
    assert (await house.sessions.login("many@example.net", "right"))[1].user == "ldap:many-B", "who has a name here keeps it"


async def test_groups_that_name_people_count_by_each_of_their_names_at_the_login_and_later(slapd: Slapd) -> None:
    """As groups of POSIX do, with `memberUid`; here the description stands for it."""
    slapd.give(slapd.add_group("design"[::-1]), "description", "by-name-b")
    rules = replace(SEARCHED, group_filter="(description={username})", roles={"design"[::-1]: ("Workflow Designer",)})
    dn = slapd.add_person("by-name-a", "right")
    slapd.give(dn, "uid", "by-name-a", "by-name-b", "by-name-c")
    for typed in ("by-name-a", "by-name-b", "by-name-c"):
        house = House(slapd, rules)
        token = await house.login(typed)
        house.clock.time += 5 * MINUTE
        assert await house.roles(token) == {Privilege.WORKFLOW_READ, Privilege.WORKFLOW_DESIGN}
    slapd.give(dn, "uid", "by-name-a", "by-name-c")
    house.clock.time += 5 * MINUTE
    with pytest.raises(NotAuthenticatedError):
        await house.sessions.authenticate(token)


async def test_who_has_no_name_there_is_refused_with_a_sentence_and_who_loses_it_later_goes_on(
    slapd: Slapd, capsys: pytest.CaptureFixture[str]
) -> None:
    dn = slapd.add_person("numbered", "right", SHIFT)
    for rules in (SEARCHED, replace(PLACED, roles={SHIFT: ("Operations",)})):
        house = House(slapd, replace(rules, name_attribute="employeeNumber"))
        await house.refused("numbered")
        assert not house.store.known
        said = capsys.readouterr().out
        assert "says no name that anybody could have here (ldap_name_attribute)" in said
        assert ("attribute=employeeNumber" in said, dn in said) == (True, True)
    slapd.give(dn, "employeeNumber", "4711")
    token, session = await house.sessions.login("numbered", "right")
    assert session.user == "ldap:4711"
    slapd.give(dn, "employeeNumber")
    house.clock.time += 5 * MINUTE
    assert (await house.sessions.authenticate(token)).user == "ldap:4711"


async def test_somebody_is_called_as_it_is_written_there_however_he_types_it(slapd: Slapd) -> None:
    slapd.add_person("Mixed.Case", "right", SHIFT)
    house = House(slapd)
    for typed in ("mixed.case", "MIXED.CASE", "Mixed.Case", "ldap:mixed.CASE"):
        assert (await house.sessions.login(typed, "right"))[1].user == "ldap:Mixed.Case"
    dn = slapd.add_person("spaced", "right", SHIFT)
    slapd.give(dn, "cn", "Ann  O'Neill \\, née Ünal")
    house = House(slapd, replace(SEARCHED, user_filter="(cn={username})", name_attribute="CN"))
    for typed in ("Ann  O'Neill \\, née Ünal", "ann o'neill \\, NÉE ünal"):
        assert (await house.sessions.login(typed, "right"))[1].user == "ldap:Ann  O'Neill \\, née Ünal"
    assert len(house.store.known) == 1
    await house.refused(" ann o'neill \\, née ünal")


NO_NAMES = (" blank", "blank ", "a/b", "a:b", "ldap:ann", "line\nfeed", "bell\a", "\x9b", "\u202egnol", "..", "x" * 250)


async def test_what_nobody_can_be_called_here_is_no_name_and_another_one_counts(slapd: Slapd) -> None:
    dn = slapd.add_person("odd", "right", SHIFT, mail="odd@example.net")
    for number, name in enumerate(NO_NAMES):
        slapd.give(dn, "description", name)
        house = House(slapd, replace(BY_MAIL, name_attribute="description"))
        await house.refused("odd@example.net")
        assert not house.store.known, ascii(name)
        slapd.give(dn, "description", name, f"zoë {number}", "0xdead")
        assert (await house.sessions.login("odd@example.net", "right"))[1].user == "ldap:0xdead", ascii(name)
