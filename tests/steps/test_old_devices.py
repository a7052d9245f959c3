"""Devices with old software. Risks: one cannot be reached at all, or old algorithms are offered to devices that nobody said are old."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncssh
import pytest

from stepswitch.domain.inventory import Algorithms, AlgorithmSet
from stepswitch.plugin import ErrorCode, Result
from stepswitch.steps.host_keys import scan
from stepswitch.steps.netconf import NetconfStep
from stepswitch.steps.scp import ScpStep
from stepswitch.steps.ssh import SshStep
from stepswitch.steps.ssh_algorithms import LEGACY, MODERN, offer_of
from tests.openssh import OpenSshServer
from tests.steps.contexts import RecordingContext
from tests.steps.inventories import entry_of, known, where
from tests.steps.test_ssh import error_of

KEX: Final = "diffie-hellman-group1-sha1"
OLD: Final = f"KexAlgorithms {KEX}\nCiphers 3des-cbc\nMACs hmac-md5\nHostKeyAlgorithms ssh-rsa"
LISTED: Final = {"keyExchange": [KEX], "hostKeys": ["ssh-rsa"], "ciphers": ["3des-cbc"], "macs": ["hmac-md5"]}

HUNG_UP: Final = (ErrorCode.NO_COMMON_ALGORITHM, ErrorCode.CONNECTION_CUT)
"""OpenSSH hangs up on who wants something else than it has: whether its offer is read before that is a matter of time."""


@pytest.fixture(scope="module")
def old() -> Iterator[OpenSshServer]:
    with OpenSshServer(host_key_types=("rsa",), more_settings=OLD) as server:
        yield server


def context_for(server: OpenSshServer, **entry: Any) -> RecordingContext:
    return RecordingContext(inventory=known(old=entry_of(server, **entry)), credentials={"pw": server.password})


# --- real ones -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithms", ["legacy", LISTED])
async def test_an_old_server_is_reached_where_its_entry_says_that_it_is_old(ssh: SshStep, old: OpenSshServer, algorithms: Any) -> None:
    outcome = await ssh.run(where(old, cmd="echo in"), context_for(old, algorithms=algorithms))
    assert outcome.outputs.get("outputText") == "in\n", outcome.error


@pytest.mark.parametrize("lists", list(LISTED))
async def test_without_one_of_them_it_is_not(ssh: SshStep, old: OpenSshServer, lists: str) -> None:
    fewer = {name: names for name, names in LISTED.items() if name != lists}
    outcome = await ssh.run(where(old, cmd="id"), context_for(old, algorithms=fewer))
    assert error_of(outcome)[1] in HUNG_UP, outcome.error


async def test_who_hangs_up_before_a_key_was_shown_may_have_none_of_those_kinds(ssh: SshStep) -> None:
    with OpenSshServer(host_key_types=("rsa",), more_settings="HostKeyAlgorithms ssh-rsa") as server:
        outcome = await ssh.run(where(server, cmd="id"), context_for(server))
    assert error_of(outcome) == (Result.FAILED, ErrorCode.CONNECTION_CUT)
    assert outcome.error is not None
    assert outcome.error.message == (
        f"127.0.0.1:{server.port} closed the connection before the login"
        "; where it is too old for what is offered, say so in the inventory: algorithms in its entry"
    )


async def test_nobody_offers_old_algorithms_unasked_and_the_fault_says_where_to_ask(ssh: SshStep, old: OpenSshServer) -> None:
    contexts = context_for(old), RecordingContext(host_keys=old.trusted(), accept_new=True)
    for context in contexts:
        outcome = await ssh.run(old.inputs(cmd="id"), context)
        assert error_of(outcome)[1] in HUNG_UP
        assert outcome.error is not None
        assert outcome.error.message.endswith("say so in the inventory: algorithms in its entry")


async def test_every_step_type_that_logs_in_reaches_it(old: OpenSshServer, netconf: NetconfStep) -> None:
    context = context_for(old, algorithms="legacy")
    (old.work / "a").write_text("content")
    assert (await ScpStep().run(where(old, sourcePath=str(old.work / "a")), context)).result is Result.SUCCEEDED
    assert error_of(await netconf.run(where(old, action="get"), context))[1] is ErrorCode.CONNECTION_REFUSED


async def test_a_scan_shows_the_key_of_an_old_server(old: OpenSshServer) -> None:
    assert await scan(old.host, old.port, 10) == [old.host_public_key]


# --- others --------------------------------------------------------------------------------------------------------


class _Anybody(asyncssh.SSHServer):
    """Takes the password `pw`, and any key."""

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return password == "pw"

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return True


@asynccontextmanager
async def device(kind: str, **how: Any) -> AsyncIterator[tuple[int, str]]:
    key = asyncssh.generate_private_key(kind)

    def serve(process: asyncssh.SSHServerProcess[str]) -> None:
        process.exit(0)

    acceptor = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=_Anybody, server_host_keys=[key], process_factory=serve, config=None, **how
    )
    yield acceptor.get_port(), " ".join(key.export_public_key().decode().split()[:2])
    acceptor.close()
    await acceptor.wait_closed()


def entry_at(port: int, key: str, **more: Any) -> dict[str, Any]:
    login: dict[str, Any] = {"username": "admin", "password": {"credential": "pw"}}
    return {"addresses": [f"127.0.0.1:{port}"], "hostKeys": [key], "login": login, **more}


@pytest.mark.parametrize(
    "how",
    [
        {"kex_algs": ["diffie-hellman-group14-sha1"], "encryption_algs": ["aes128-cbc"], "mac_algs": ["hmac-sha1"]},
        {"kex_algs": ["diffie-hellman-group-exchange-sha1"], "encryption_algs": ["aes256-cbc"], "mac_algs": ["hmac-md5-96"]},
        {"kex_algs": ["diffie-hellman-group1-sha1"], "encryption_algs": ["3des-cbc"], "mac_algs": ["hmac-sha1-96"]},
    ],
)
@pytest.mark.parametrize("kind", ["ssh-rsa", "ssh-dss"])
async def test_what_old_devices_speak_is_spoken(ssh: SshStep, how: dict[str, Any], kind: str) -> None:
    async with device(kind, **how) as (port, key):
        for algorithms, result in (("legacy", Result.SUCCEEDED), ("modern", Result.FAILED)):
            context = RecordingContext(inventory=known(old=entry_at(port, key, algorithms=algorithms)), credentials={"pw": "pw"})
            outcome = await ssh.run({"hostNameOrIP": "127.0.0.1", "port": port, "cmd": "a"}, context)
            assert outcome.result is result, outcome.error
        await ssh.close()


async def test_a_key_of_ours_signs_in_the_old_way_where_the_entry_says_so(ssh: SshStep) -> None:
    ours = asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_private_key().decode()
    async with device("ssh-rsa", signature_algs=["ssh-rsa"]) as (port, key):
        for algorithms, result in (
            ("legacy", Result.SUCCEEDED),
            ({"hostKeys": ["rsa-sha2-256", "ssh-rsa"]}, Result.SUCCEEDED),
            ({"hostKeys": ["rsa-sha2-256"]}, Result.FAILED),
            ("modern", Result.FAILED),
        ):
            login = {"username": "admin", "privateKey": {"credential": "key"}}
            context = RecordingContext(
                inventory=known(old=entry_at(port, key, algorithms=algorithms, login=login)), credentials={"key": ours}
            )
            outcome = await ssh.run({"hostNameOrIP": "127.0.0.1", "port": port, "cmd": "a"}, context)
            assert outcome.result is result, (algorithms, outcome.error)
        await ssh.close()


async def test_a_list_that_names_what_nobody_here_speaks_says_which(ssh: SshStep) -> None:
    lists = {"ciphers": ["aes256-ctr", "caesar"], "macs": ["hmac-none"]}
    context = RecordingContext(inventory=known(old=entry_at(1, "SHA256:" + "A" * 43, algorithms=lists)), credentials={"pw": "pw"})
    outcome = await ssh.run({"hostNameOrIP": "127.0.0.1", "port": 1, "cmd": "a"}, context)
    assert error_of(outcome) == (Result.FAILED, ErrorCode.NO_COMMON_ALGORITHM)
    assert outcome.error is not None
    assert outcome.error.message == "the entry 'old' of the inventory lists what this service does not speak: caesar, hmac-none"


# --- the offers ----------------------------------------------------------------------------------------------------


def test_nothing_that_is_broken_is_among_the_good_ones() -> None:
    for name in (*MODERN.key_exchange, *MODERN.host_keys, *MODERN.ciphers, *MODERN.macs, *MODERN.signatures):
        assert not name.endswith(("-sha1", "-cbc", "-dss", "-96")), name
        assert "md5" not in name, name
        assert "hmac-sha1" not in name, name
        assert name not in ("ssh-rsa", "arcfour"), name


def test_old_ones_stand_behind_the_good_ones_and_lists_are_taken_as_they_are() -> None:
    assert offer_of(AlgorithmSet.MODERN) is MODERN
    assert offer_of(AlgorithmSet.LEGACY).ciphers[: len(MODERN.ciphers)] == MODERN.ciphers
    listed = offer_of(Algorithms(ciphers=("aes128-cbc",)))
    assert (listed.ciphers, listed.macs, listed.signatures) == (("aes128-cbc",), MODERN.macs, MODERN.signatures)


def test_the_kinds_of_known_keys_are_asked_for_first() -> None:
    assert MODERN.host_keys_for(())[0] == "ssh-ed25519"
    assert MODERN.host_keys_for(("ssh-rsa AAAA",))[:2] == ("rsa-sha2-512", "rsa-sha2-256")
    assert LEGACY.host_keys_for(("ssh-rsa AAAA",))[:3] == ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
    assert sorted(LEGACY.host_keys_for(("ssh-rsa AAAA",))) == sorted(LEGACY.host_keys)
