"""NETCONF against a real server. Risks: a change that is said to be made and is not, one that is made and not said, a lock or a candidate that is left behind."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from stepswitch.plugin import ErrorCode, Outcome, Result
from stepswitch.steps.login_inputs import Login
from stepswitch.steps.netconf import NetconfStep
from stepswitch.steps.netconf_edit import Edit
from stepswitch.steps.netconf_proof import Comparison, Proof
from stepswitch.steps.netconf_session import NetconfSession
from stepswitch.steps.netconf_xml import element
from stepswitch.steps.ssh_login import connect
from tests.netconfd import Netconfd
from tests.openssh import OpenSshServer
from tests.steps.contexts import RecordingContext

INTERFACES: Final = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
TYPES: Final = "urn:ietf:params:xml:ns:yang:iana-if-type"
ALL: Final = f'<interfaces xmlns="{INTERFACES}"/>'


def interface(name: str, description: str = "", mark: str = "") -> str:
    described = f"<description>{description}</description>" if description else ""
    operation = f' nc:operation="{mark}"' if mark else ""
    return f'<interface{operation}><name>{name}</name>{described}<type xmlns:mine="{TYPES}">mine:ethernetCsmacd</type></interface>'


def interfaces(*entries: str) -> str:
    return f'<interfaces xmlns="{INTERFACES}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">{"".join(entries)}</interfaces>'


class Operator:
    """Runs steps at one server and looks at it with sessions of its own."""

    def __init__(self, server: Netconfd, step: NetconfStep) -> None:
        self.server = server
        self.step = step

    def context(self, **more: Any) -> RecordingContext:
        return RecordingContext(host_keys=self.server.ssh.trusted(), **more)

    async def run(self, action: str, context: RecordingContext | None = None, **inputs: Any) -> Outcome:
        return await self.step.run(self.server.inputs(action=action, **inputs), context or self.context())

    async def does(self, action: str, **inputs: Any) -> Outcome:
        outcome = await self.run(action, **inputs)
        assert outcome.result is Result.SUCCEEDED, outcome.error
        return outcome

    async def sees(self, datastore: str = "running") -> str:
        outcome = await self.does("get-config", datastore=datastore, filter=ALL)
        return "".join(str(outcome.outputs["output"]).partition("<data")[2].split())

    @asynccontextmanager
    async def somebody_else(self) -> AsyncIterator[NetconfSession]:
        ssh = self.server.ssh
        login = Login(ssh.host, ssh.port, ssh.user, ssh.password)
        connection = await connect(login, self.context().host_keys, 10)
        session = NetconfSession(connection.connection, open_seconds=10, silence_seconds=10)
        try:
            await session.open()
            yield session
        finally:
            await session.close()
            connection.abort()

    async def can_be_locked(self) -> bool:
        """Whether nobody holds the candidate and nothing uncommitted is left in it."""
        async with self.somebody_else() as session:
            await session.ask(lock())
            return await self.sees("candidate") == await self.sees()


def lock(operation: str = "lock", datastore: str = "candidate") -> Any:
    return element(operation, element("target", element(datastore)))


def error_of(outcome: Outcome) -> tuple[Result, ErrorCode | None]:
    return outcome.result, outcome.error.code if outcome.error else None


def message_of(outcome: Outcome) -> str:
    assert outcome.error is not None
    return outcome.error.message


@pytest.fixture
async def operator(netconfd: Netconfd, netconf: NetconfStep) -> Operator:
    """Give an operator at a server that has no interfaces."""
    operator = Operator(netconfd, netconf)
    await operator.does(
        "edit-config",
        payload=f'<interfaces xmlns="{INTERFACES}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="remove"/>',
    )
    return operator


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "wanted"),
    [
        ("get", f'<interfaces xmlns="{INTERFACES}"><interface><name>eth1</name></interface></interfaces>'),
        ("getconfig", f'<filter><interfaces xmlns="{INTERFACES}"><interface><name>eth1</name></interface></interfaces></filter>'),
        ("get", "/ietf-interfaces:interfaces/ietf-interfaces:interface[ietf-interfaces:name='eth1']"),
        ("get", f'<filter type="xpath" xmlns:i="{INTERFACES}" select="/i:interfaces/i:interface[i:name=\'eth1\']"/>'),
        # In a get-config this server knows modules by the prefixes of their own only.
        ("get-config", f'<filter type="xpath" xmlns:if="{INTERFACES}" select="/if:interfaces/if:interface[if:name=\'eth1\']"/>'),
    ],
    ids=["subtree", "a whole filter", "names of modules", "prefixes of its own", "xpath of a configuration"],
)
async def test_a_filter_lets_through_what_it_says(operator: Operator, action: str, wanted: str) -> None:
    await operator.does("merge", payload=interfaces(interface("eth0", "first"), interface("eth1", "second")))
    read = str((await operator.does(action, filter=wanted)).outputs["output"])
    assert "<name>eth1</name>" in read
    assert "eth0" not in read


async def test_a_read_says_of_what_and_sends_nothing_that_could_act(operator: Operator) -> None:
    context = operator.context()
    outcome = await operator.run("get-config", context, datastore="candidate")
    assert (outcome.outputs["datastore"], context.sent) == ("candidate", False)


@pytest.mark.parametrize("wanted", ["/no-such-module:interfaces", "/ietf-interfaces:interfaces[", "<not-xml"])
async def test_a_filter_that_nobody_understands_is_said(operator: Operator, wanted: str) -> None:
    outcome = await operator.run("get", filter=wanted)
    assert outcome.result is Result.FAILED
    assert outcome.error is not None


# --- changing --------------------------------------------------------------------------------------------------------


async def test_merge_adds_and_changes_and_leaves_the_rest(operator: Operator) -> None:
    await operator.does("merge", payload=interfaces(interface("eth0", "old"), interface("eth1", "other")))
    outcome = await operator.does("merge", payload=interfaces(interface("eth0", "new")))
    seen = await operator.sees()
    assert "<name>eth0</name><description>new</description>" in seen
    assert "<name>eth1</name><description>other</description>" in seen
    assert outcome.outputs["datastore"] == "candidate"
    assert "<ok/>" in str(outcome.outputs["output"])
    assert await operator.can_be_locked()


async def test_replace_leaves_nothing_else_there(operator: Operator) -> None:
    await operator.does("merge", payload=interfaces(interface("eth0", "old"), interface("eth1", "other")))
    await operator.does("replace", payload=interfaces(interface("eth1")))
    seen = await operator.sees()
    assert "eth0" not in seen
    assert "other" not in seen
    assert "<name>eth1</name>" in seen


async def test_create_fails_where_it_is_there_already_and_changes_nothing(operator: Operator) -> None:
    await operator.does("create", payload=interfaces(interface("eth0", "first")))
    context = operator.context()
    outcome = await operator.run("edit-config", context, payload=interfaces(interface("eth0", "second", "create"), interface("eth1")))
    assert error_of(outcome) == (Result.FAILED, ErrorCode.RPC_ERROR)
    assert "data-exists (error) at " in message_of(outcome)
    assert "interface[if:name='eth0']" in message_of(outcome)
    assert "<rpc-error>" in str(outcome.outputs["output"])
    assert not context.sent
    assert "eth1" not in await operator.sees()
    assert await operator.can_be_locked()


async def test_delete_takes_away_what_is_marked_and_fails_where_there_is_nothing(operator: Operator) -> None:
    await operator.does("merge", payload=f"<config>{interfaces(interface('eth0'), interface('eth1'))}</config>")
    await operator.does("delete", payload=interfaces(interface("eth0", mark="delete")))
    assert "eth0" not in await operator.sees()
    assert "eth1" in await operator.sees()
    await operator.does("delete", payload=ALL)
    assert "eth1" not in await operator.sees()
    outcome = await operator.run("delete", payload=ALL)
    assert "data-missing" in message_of(outcome)


async def test_a_payload_may_be_a_file_of_several_elements(operator: Operator) -> None:
    file = f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- two -->\n{interfaces(interface("eth0"))}\n<toaster xmlns="http://netconfcentral.org/ns/toaster"/>\n'
    context = operator.context(attachments={"change": file.encode()}, files={"inFile"})
    outcome = await operator.run("merge", context, inFile="change")
    assert outcome.result is Result.SUCCEEDED, outcome.error
    assert "eth0" in await operator.sees()


async def test_what_the_device_does_not_know_is_refused_and_discarded(operator: Operator) -> None:
    outcome = await operator.run("merge", payload=interfaces(interface("eth0")) + '<no-such xmlns="urn:example:none"/>')
    assert error_of(outcome) == (Result.FAILED, ErrorCode.RPC_ERROR)
    assert "eth0" not in await operator.sees()
    assert await operator.can_be_locked()


# --- the proof -------------------------------------------------------------------------------------------------------


async def test_an_ok_that_changes_nothing_is_found_out(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """This server answers ok to a commit after a validation of its own request, and changes nothing."""
    edit = Edit._edit

    async def edit_and_validate(self: Edit) -> None:
        monkeypatch.setattr(NetconfSession, "can", lambda session, name, *versions: name == "candidate")
        await edit(self)
        await self._ask("accept it", element("validate", element("source", element("candidate"))))

    monkeypatch.setattr(Edit, "_edit", edit_and_validate)
    outcome = await operator.run("merge", payload=interfaces(interface("eth0", "a-description")))
    assert error_of(outcome) == (Result.FAILED, ErrorCode.NOT_PROVEN)
    assert "/interfaces is not there" in message_of(outcome)
    assert "a-description" not in message_of(outcome)


async def test_a_dry_run_shows_the_difference_and_leaves_nothing(operator: Operator) -> None:
    await operator.does("merge", payload=interfaces(interface("eth0", "old"), interface("eth1")))
    before, context = await operator.sees(), operator.context()
    outcome = await operator.run("replace", context, payload=interfaces(interface("eth0", "new")), dryRun=True)
    assert outcome.result is Result.SUCCEEDED, outcome.error
    assert str(outcome.outputs["difference"]).splitlines() == [
        "- /interfaces/interface[name='eth0']/description = old",
        "+ /interfaces/interface[name='eth0']/description = new",
        "- /interfaces/interface[name='eth1']/name = eth1",
        "- /interfaces/interface[name='eth1']/type = ianaift:ethernetCsmacd",
    ]
    assert set(str(outcome.outputs["difference"]).splitlines()) <= set(context.messages)
    assert not context.sent
    assert await operator.sees() == before
    assert await operator.can_be_locked()
    await operator.does("merge", payload=interfaces(interface("eth2")))


async def test_a_dry_run_of_what_the_device_refuses_fails_and_leaves_nothing(operator: Operator) -> None:
    outcome = await operator.run("delete", payload=interfaces(interface("eth9", mark="delete")), dryRun=True)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.RPC_ERROR)
    assert "data-missing" in message_of(outcome)
    assert await operator.can_be_locked()


# --- confirmed commits -----------------------------------------------------------------------------------------------


async def test_a_confirmed_change_outlives_its_session(operator: Operator) -> None:
    await operator.does("merge", payload=interfaces(interface("eth0", "kept")), confirmedTimeout=60)
    assert "kept" in await operator.sees()  # an unconfirmed one goes with the session that made it
    assert await operator.can_be_locked()


async def test_a_change_that_cannot_be_proven_is_taken_back(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    await operator.does("merge", payload=interfaces(interface("eth0", "before")))
    monkeypatch.setattr(Proof, "of", lambda *_: Comparison(faults=["/somewhere is not there"]))
    context = operator.context()
    outcome = await operator.run("merge", context, payload=interfaces(interface("eth0", "after")), confirmedTimeout=60)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.NOT_PROVEN)
    assert message_of(outcome).endswith("/somewhere is not there; the change was taken back")
    assert context.sent
    assert "<description>before</description>" in await operator.sees()
    assert await operator.can_be_locked()


@pytest.mark.parametrize("confirmed", [{}, {"confirmedTimeout": 60}], ids=["plain", "confirmed"])
async def test_a_cancelled_step_unlocks_and_takes_back_what_waits(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, confirmed: dict[str, Any]
) -> None:
    await operator.does("merge", payload=interfaces(interface("eth0", "before")))
    proves = asyncio.Event()

    async def never(*_: object) -> None:
        proves.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Edit, "_unproven", never)
    running = asyncio.create_task(operator.run("merge", payload=interfaces(interface("eth0", "after")), **confirmed))
    async with asyncio.timeout(20):
        await proves.wait()
    assert "<description>after</description>" in await operator.sees()
    running.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await running
    seen = await operator.sees()
    assert ("<description>before</description>" if confirmed else "<description>after</description>") in seen
    assert await operator.can_be_locked()


async def test_a_step_that_is_cancelled_before_the_commit_leaves_nothing(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = asyncio.Event()

    async def never(*_: object) -> None:
        commits.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Edit, "_commit", never)
    running = asyncio.create_task(operator.run("merge", payload=interfaces(interface("eth0"))))
    async with asyncio.timeout(20):
        await commits.wait()
    assert "eth0" in await operator.sees("candidate")
    running.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await running
    assert await operator.can_be_locked()


# --- locks -----------------------------------------------------------------------------------------------------------


async def test_a_lock_that_somebody_lets_go_of_is_waited_for(operator: Operator) -> None:
    context = operator.context()
    async with operator.somebody_else() as other:
        await other.ask(lock())
        running = asyncio.create_task(operator.run("merge", context, payload=interfaces(interface("eth0"))))
        said = await context.wait_for_line("waits for the lock")
        assert f"session {other.session_id}" in said
        await other.ask(lock("unlock"))
        outcome = await running
    assert outcome.result is Result.SUCCEEDED, outcome.error


async def test_a_lock_that_is_held_for_too_long_is_said_with_its_holder(operator: Operator) -> None:
    context = operator.context()
    async with operator.somebody_else() as other:
        await other.ask(lock())
        outcome = await operator.run("merge", context, payload=interfaces(interface("eth0")), lockTimeout=0.2)
        assert error_of(outcome) == (Result.FAILED, ErrorCode.LOCKED)
        assert f"held by session {other.session_id}" in message_of(outcome)
        assert not context.sent
        await other.ask(lock("unlock"))
    assert "eth0" not in await operator.sees()


# --- other servers ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def old_server() -> Iterator[Netconfd]:
    with Netconfd("--protocols=netconf1.0", "--with-startup=true", target="running") as server:
        yield server


async def test_the_framing_of_1_0_and_a_running_that_is_edited_itself(old_server: Netconfd, netconf: NetconfStep) -> None:
    operator, context = Operator(old_server, netconf), RecordingContext(host_keys=old_server.ssh.trusted())
    outcome = await operator.run("merge", context, payload=interfaces(interface("eth0", "on running")))
    assert (outcome.result, outcome.outputs["datastore"], context.sent) == (Result.SUCCEEDED, "running", True)
    assert "onrunning" in await operator.sees()
    refused = await operator.run("edit-config", payload=interfaces(interface("eth0", mark="create")))
    assert error_of(refused) == (Result.FAILED, ErrorCode.RPC_ERROR)
    async with operator.somebody_else() as session:
        await session.ask(lock(datastore="running"))
    await operator.does("delete", payload=ALL)
    assert "eth0" not in await operator.sees()


async def test_a_change_that_is_saved_is_in_the_startup_configuration_and_another_one_is_not(
    old_server: Netconfd, netconf: NetconfStep
) -> None:
    operator = Operator(old_server, netconf)
    await operator.does("merge", payload=interfaces(interface("eth7", "saved")), saveToStartup=True)
    await operator.does("merge", payload=interfaces(interface("eth8", "not saved")))
    startup, running = await operator.sees("startup"), await operator.sees()
    assert ("eth7" in startup, "eth8" in startup, "eth8" in running) == (True, False, True)
    await operator.does("delete", payload=ALL)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [({"dryRun": True}, "no candidate"), ({"datastore": "candidate"}, "no candidate"), ({"confirmedTimeout": 60}, "no candidate")],
)
async def test_what_a_server_does_not_offer_is_said(old_server: Netconfd, netconf: NetconfStep, inputs: dict[str, Any], says: str) -> None:
    outcome = await Operator(old_server, netconf).run("merge", payload=interfaces(interface("eth5")), **inputs)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.NOT_OFFERED)
    assert says in message_of(outcome)


async def test_a_server_without_netconf_is_said(server: OpenSshServer, netconf: NetconfStep) -> None:
    outcome = await netconf.run(server.inputs(action="get"), RecordingContext(host_keys=server.trusted()))
    assert error_of(outcome) == (Result.FAILED, ErrorCode.CONNECTION_REFUSED)
    assert "does not offer NETCONF" in message_of(outcome)


async def test_a_host_key_that_nobody_trusts_ends_it_before_the_login(netconfd: Netconfd, netconf: NetconfStep) -> None:
    outcome = await netconf.run(netconfd.inputs(action="get"), RecordingContext())
    assert error_of(outcome) == (Result.FAILED, ErrorCode.UNKNOWN_HOST_KEY)
