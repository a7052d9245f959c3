"""Risk: a password or a token is left where others can read it, goes to a service that it is not from, or outlives the logout."""

import errno
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stepswitch.cli import logins as logins_module
from stepswitch.cli import prompts
from stepswitch.client import NotAuthenticatedError, StepswitchClient, service
from stepswitch.domain.errors import SettingsError
from tests.certificates import own_certificate
from tests.cli.calling import Called, Caller, typed
from tests.cli.distant import PASSWORD, Distant
from tests.client.office import Impostor, Naps, answer


@pytest.fixture(autouse=True)
def password_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, PASSWORD)


def log_in(stepswitch: Caller, distant: Distant, *more: object) -> Called:
    return stepswitch("login", distant.url, "--username", "admin", *more)


def is_good(distant: Distant, token: str) -> bool:
    async def ask() -> bool:
        async with StepswitchClient(distant.url, token=token) as client:
            try:
                await client.executions.list()
            except NotAuthenticatedError:
                return False
            return True

    return distant.do(ask())


def test_a_login_is_kept_for_its_user_alone_and_used(stepswitch: Caller, distant: Distant, logins_of_this_test: Path) -> None:
    called = log_in(stepswitch, distant)
    assert (called.exit, called.err) == (0, "")
    assert called.out.startswith(f"admin is logged in at {distant.url} until ")
    assert stat.S_IMODE(logins_of_this_test.stat().st_mode) == 0o600
    assert stat.S_IMODE(logins_of_this_test.parent.stat().st_mode) == 0o700
    assert [each.name for each in logins_of_this_test.parent.iterdir()] == ["logins.json"]
    kept = logins_of_this_test.read_text()
    assert PASSWORD not in kept
    (entry,) = json.loads(kept)["logins"].values()
    assert entry["token"] not in called.out
    assert stepswitch("execution", "list").exit == 0


def test_a_logout_ends_the_session_and_forgets_it(stepswitch: Caller, distant: Distant, logins_of_this_test: Path) -> None:
    log_in(stepswitch, distant)
    (entry,) = json.loads(logins_of_this_test.read_text())["logins"].values()
    assert is_good(distant, entry["token"])
    assert stepswitch("logout").exit == 0
    assert not is_good(distant, entry["token"])
    assert entry["token"] not in logins_of_this_test.read_text()
    called = stepswitch("logout", "--url", distant.url)
    assert (called.exit, called.err) == (2, f"nobody is logged in at {distant.url}\n")
    assert "which service?" in stepswitch("execution", "list").err


def test_a_session_that_is_over_is_forgotten_all_the_same(stepswitch: Caller, distant: Distant, logins_of_this_test: Path) -> None:
    log_in(stepswitch, distant)
    distant.do(distant.office.house.clock.advance(9 * 3600))
    listed = stepswitch("execution", "list")
    assert (listed.exit, listed.out) == (2, "")
    assert listed.err.endswith(f"\nLog in with: stepswitch login {distant.url}\n")
    assert stepswitch("logout").exit == 0
    assert json.loads(logins_of_this_test.read_text())["logins"] == {}


def test_a_wrong_password_keeps_nothing(
    stepswitch: Caller, distant: Distant, logins_of_this_test: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "hunter22")
    called = log_in(stepswitch, distant)
    assert (called.exit, called.out) == (2, "")
    assert called.err == "unknown user or wrong password [WRONG_CREDENTIALS]\n"
    assert not logins_of_this_test.exists()


def test_a_token_goes_to_the_service_that_it_is_from(stepswitch: Caller, distant: Distant) -> None:
    log_in(stepswitch, distant)
    called = stepswitch("execution", "list", "--url", distant.url.replace("127.0.0.1", "localhost"))
    assert called.exit == 2
    assert "[NOT_AUTHENTICATED]" in called.err
    assert "stepswitch login http://localhost:" in called.err


def test_the_user_and_the_service_are_remembered(stepswitch: Caller, distant: Distant, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(stepswitch, distant)
    typed(monkeypatch, PASSWORD)
    assert stepswitch("login").out.startswith(f"admin is logged in at {distant.url} ")


def test_at_a_terminal_the_password_is_asked_for(stepswitch: Caller, distant: Distant, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return PASSWORD

    monkeypatch.setattr(prompts, "ask_hidden", ask)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert log_in(stepswitch, distant).exit == 0
    assert asked == [f"Password of admin at {distant.url}"]


def test_a_login_that_cannot_be_kept_is_ended(
    stepswitch: Caller, distant: Distant, logins_of_this_test: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def full(logins: logins_module.Logins) -> None:
        seen.extend(each.token for each in logins.of_service.values())
        raise SettingsError("the disk is full")

    monkeypatch.setattr(logins_module, "write_logins", full)
    called = log_in(stepswitch, distant)
    assert (called.exit, called.out, called.err) == (2, "", "the disk is full\n")
    assert not is_good(distant, *seen)


def test_a_disk_that_is_full_is_a_sentence_and_leaves_what_was_kept(
    stepswitch: Caller, logins_of_this_test: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins_module.write_logins(logins_module.Logins().with_login(logins_module.Login("http://h", "token", "ann")))

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SettingsError, match="No space left"):
        logins_module.write_logins(logins_module.Logins())
    assert list(logins_module.read_logins().of_service) == ["http://h"]
    assert [each.name for each in logins_of_this_test.parent.iterdir()] == ["logins.json"]


def test_a_file_that_others_may_read_is_warned_about(stepswitch: Caller, distant: Distant, logins_of_this_test: Path) -> None:
    log_in(stepswitch, distant)
    logins_of_this_test.chmod(0o644)
    called = stepswitch("execution", "list")
    assert called.exit == 0
    assert called.err.startswith(f"warning: others may read {logins_of_this_test}, ")


@pytest.mark.parametrize("content", ["", "[]", '{"logins": {"http://h": 1}, "current": null}', '{"logins": []}', "\udcff"])
def test_a_file_that_is_none_is_a_sentence(stepswitch: Caller, logins_of_this_test: Path, content: str) -> None:
    logins_of_this_test.parent.mkdir(parents=True)
    logins_of_this_test.write_bytes(content.encode("utf-8", "surrogateescape"))
    logins_of_this_test.chmod(0o600)
    called = stepswitch("execution", "list")
    assert called.exit == 2
    assert called.err == f"{logins_of_this_test} is not as stepswitch login writes it; remove it and log in again\n"


def test_a_relative_place_for_configuration_does_not_count(stepswitch: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "config")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    place = tmp_path / "home" / ".config" / "stepswitch"
    place.mkdir(parents=True)
    (place / "logins.json").write_text("x")
    assert str(place) in stepswitch("execution", "list").err


def test_a_file_that_cannot_be_read_is_a_sentence(stepswitch: Caller, logins_of_this_test: Path) -> None:
    logins_of_this_test.mkdir(parents=True)
    called = stepswitch("execution", "list")
    assert (called.exit, called.err) == (2, f"the logins in {logins_of_this_test} cannot be read: Is a directory\n")


@pytest.mark.parametrize(
    ("exit_code", "url", "said"),
    [
        (2, "nonsense", "this is no address of a service; write it as in http://127.0.0.1:8080\n"),
        # pragma: allowlist nextline secret
        (2, "http://ann:hunter2@h", "a user and a password do not belong into the address of a service: give them apart from it\n"),
        (5, "http://127.0.0.1:1", "http://127.0.0.1:1 cannot be reached: connection refused\n"),
    ],
)
def test_a_wrong_address_is_a_sentence(stepswitch: Caller, exit_code: int, url: str, said: str) -> None:
    called = stepswitch("login", url, "-u", "admin")
    assert (called.exit, called.out) == (exit_code, "")
    assert called.err.endswith(said)
    assert "hunter2" not in called.err


@pytest.mark.parametrize("host", ["stepswitch.invalid", "127.stepswitch.invalid"])
def test_an_open_connection_is_warned_about(stepswitch: Caller, host: str) -> None:
    called = stepswitch("login", f"http://{host}", "-u", "admin")
    assert called.err.startswith("warning: this connection is not encrypted")


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: No such file or directory"), (b"nonsense", "it is to be a PEM file")],
    ids=["missing", "no PEM"],
)
def test_certificates_that_are_none_are_a_sentence(stepswitch: Caller, tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    called = stepswitch("execution", "list", "--url", "https://127.0.0.1:1", "--ca-file", file)
    assert called.exit == 2
    assert said in called.err


def test_who_is_trusted_is_kept_with_the_login(stepswitch: Caller, tmp_path: Path) -> None:
    certificate, _ = own_certificate(tmp_path)
    logins_module.write_logins(
        logins_module.Logins().with_login(logins_module.Login("https://127.0.0.1:1", "token", "ann", str(certificate)))
    )
    certificate.unlink()
    assert f"the certificates in {certificate} cannot be read" in stepswitch("execution", "list").err


# --- through the provider ---

DEVICE = {
    "userCode": "WDJB-\x1b[2JMJHT",
    "verificationUri": "https://login.example.net/device",
    "verificationUriComplete": "https://login.example.net/device?user_code=WDJB",
    "deviceCode": "the device's",
    "expiresIn": 600,
    "interval": 5,
}
SESSION = {"username": "oidc:ann", "tenantId": "default", "roles": [], "expiresAt": "2027-01-15T08:00:00.000Z"}
PENDING = answer(400, {"errors": [{"code": "LOGIN_PENDING", "message": "nobody yet"}]}, x_error_code="LOGIN_PENDING")
DENIED = answer(400, {"errors": [{"code": "LOGIN_NOT_COMPLETED", "message": "it was refused"}]}, x_error_code="LOGIN_NOT_COMPLETED")


@contextmanager
def impostor(distant: Distant, *answers: bytes) -> Iterator[str]:
    """Give the address of somebody who answers in place of a service."""
    found = Impostor(*answers)
    distant.do(found.__aenter__())
    try:
        yield found.url
    finally:
        distant.do(found.close())


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> Naps:
    found = Naps()
    monkeypatch.setattr(service, "Pacing", lambda: found.pacing)
    return found


def test_a_code_is_shown_and_the_login_that_somebody_confirms_is_kept(
    stepswitch: Caller, distant: Distant, naps: Naps, logins_of_this_test: Path
) -> None:
    with impostor(distant, answer(200, DEVICE), PENDING, answer(200, SESSION, x_hm_authorization="fresh")) as url:
        called = stepswitch("login", url, "--oidc")
    assert (called.exit, called.out) == (0, f"oidc:ann is logged in at {url} until 2027-01-15 08:00 UTC\n")
    assert called.err == (
        "Open https://login.example.net/device in a browser, and confirm the code WDJB-[2JMJHT\n"
        "(with the code in it: https://login.example.net/device?user_code=WDJB)\n"
    )
    assert naps.seconds == [5, 5]
    (entry,) = json.loads(logins_of_this_test.read_text())["logins"].values()
    assert (entry["token"], entry["username"]) == ("fresh", "oidc:ann")
    assert "the device's" not in logins_of_this_test.read_text() + called.out + called.err


def test_a_code_that_is_refused_keeps_nothing(stepswitch: Caller, distant: Distant, naps: Naps, logins_of_this_test: Path) -> None:
    with impostor(distant, answer(200, DEVICE), DENIED) as url:
        called = stepswitch("login", url, "--oidc")
    assert (called.exit, called.err.splitlines()[-1]) == (2, "it was refused [LOGIN_NOT_COMPLETED]")
    assert not logins_of_this_test.exists()


def test_a_service_without_a_provider_says_so_and_a_user_is_not_named_to_one(stepswitch: Caller, distant: Distant) -> None:
    called = stepswitch("login", distant.url, "--oidc")
    assert (called.exit, called.err) == (2, "there is no login through a provider at this service, or you may not see it [NOT_FOUND]\n")
    called = stepswitch("login", distant.url, "--oidc", "--username", "ann")
    assert (called.exit, called.err) == (2, "--username does not go with --oidc: the provider says who you are\n")


def test_a_password_is_not_asked_for_somebody_of_the_provider(
    stepswitch: Caller, distant: Distant, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins_module.write_logins(logins_module.Logins().with_login(logins_module.Login(distant.url, "t", "oidc:ann")))
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return "x"

    monkeypatch.setattr(prompts, "ask_hidden", ask)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    stepswitch("login")
    assert len(asked) == 1
    assert "oidc:ann" not in asked[0]
