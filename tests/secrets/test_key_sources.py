"""Risk: a key is guessed from its name, read by others, taken for another one, or its absence is told in a way that helps nobody."""

import base64
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from stepswitch.domain.errors import KeyMissingError, SettingsError
from stepswitch.secrets import key_sources
from stepswitch.secrets.key_choice import KeyChoice
from stepswitch.secrets.key_sources import KEY_BYTES, LocalKey, key_in_environment, key_in_file, make_key_file
from stepswitch.secrets.vault import Vault, VaultKey
from tests.secrets.vault_server import TOKEN, open_vault

DATA_KEY = b"d" * KEY_BYTES
TEXT = base64.b64encode(b"k" * KEY_BYTES).decode()


def test_a_key_file_is_made_for_its_owner_alone_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    (tmp_path / "secrets.key.part").write_text("left by a stop")
    made = make_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(base64.b64decode(path.read_bytes())) == KEY_BYTES
    assert key_in_file(path) == made
    assert [each.name for each in tmp_path.iterdir()] == ["secrets.key"]
    assert make_key_file(tmp_path / "other").key != made.key


async def test_what_was_wrapped_is_unwrapped_by_the_same_key_for_the_same_generation_only() -> None:
    source = LocalKey("the key x", b"k" * KEY_BYTES)
    wrapped = await source.wrap(DATA_KEY, 3)
    assert DATA_KEY not in base64.b64decode(wrapped)
    assert await source.unwrap(wrapped, 3) == DATA_KEY
    for other, generation in ((source, 4), (LocalKey("the key x", b"o" * KEY_BYTES), 3)):
        with pytest.raises(SettingsError, match="the key x is not the key that the passwords are encrypted with"):
            await other.unwrap(wrapped, generation)
    with pytest.raises(SettingsError):
        await source.unwrap("", 3)


async def test_the_name_of_a_key_tells_it_from_others_and_nothing_else() -> None:
    one, other = LocalKey("x", b"k" * KEY_BYTES), LocalKey("x", b"l" * KEY_BYTES)
    assert await one.name() == await LocalKey("elsewhere", one.key).name() != await other.name()


@pytest.mark.parametrize(
    "text", ["", "no base64!", base64.b64encode(b"short").decode(), TEXT + TEXT], ids=["empty", "words", "short", "long"]
)
def test_what_is_no_key_is_refused_without_saying_what_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secrets.key"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"is no key: it has to be 32 random bytes as base64") as refused:
        key_in_file(path)
    assert not text or text not in str(refused.value)
    assert path.read_text() == text


def test_a_key_that_others_may_read_is_used_and_complained_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secrets.key"
    path.write_text(TEXT)
    path.chmod(0o644)
    told = []
    monkeypatch.setattr(key_sources, "_log", SimpleNamespace(warning=lambda event, **_: told.append(event)))
    assert key_in_file(path).key == b"k" * KEY_BYTES
    assert ["give its file the mode 0600" in each for each in told] == [True]


def test_a_missing_key_is_told_from_one_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(KeyMissingError, match=r"the key .*none is not there"):
        key_in_file(tmp_path / "none")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory") as refused:
        key_in_file(tmp_path)
    assert not isinstance(refused.value, KeyMissingError)
    with pytest.raises(KeyMissingError, match="the variable VARIABLE is not there"):
        key_in_environment("VARIABLE", {"OTHER": TEXT})
    assert key_in_environment("VARIABLE", {"VARIABLE": TEXT}).key == b"k" * KEY_BYTES


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("vault:x", "vault_address does not say where that is"),
        ("/etc/key", "has to be file:PATH, env:VARIABLE or vault:KEY"),
        ("file:", "has to be file:PATH"),
        ("kms:x", "begins with 'kms'"),
        ("env:STEPSWITCH_KEY", "does not begin with STEPSWITCH_"),
    ],
)
def test_a_setting_that_names_no_key_is_refused_with_what_it_may_be(tmp_path: Path, wanted: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        KeyChoice(wanted, tmp_path / "own", {}).source()


def test_the_settings_lead_to_each_kind_of_key(tmp_path: Path) -> None:
    (tmp_path / "k").write_text(TEXT)
    assert KeyChoice(f"file:{tmp_path / 'k'}", tmp_path / "own", {}).source() == key_in_file(tmp_path / "k")
    assert KeyChoice("env:KEY", tmp_path / "own", {"KEY": TEXT}).source() == key_in_environment("KEY", {"KEY": TEXT})
    vault = Vault("http://vault", token="t")
    assert KeyChoice("vault:one", tmp_path / "own", {}, vault).source() == VaultKey(vault, "one")
    with pytest.raises(SettingsError, match="neither vault_token nor vault_token_file"):
        KeyChoice("vault:one", tmp_path / "own", {}, Vault("http://vault")).source()


async def test_vault_wraps_and_unwraps_and_is_told_only_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    async with open_vault() as server:
        source = VaultKey(Vault(server.address, namespace="telco", token_file=tmp_path / "token"), "stepswitch")
        wrapped = await source.wrap(DATA_KEY, 1)
        assert wrapped.startswith("vault:v1:")
        assert await source.unwrap(wrapped, 1) == DATA_KEY
        assert server.asked == [("/v1/transit/encrypt/stepswitch", "telco"), ("/v1/transit/decrypt/stepswitch", "telco")]
        with pytest.raises(SettingsError, match="does not give back what was encrypted with it"):
            await source.unwrap(wrapped, 2)
        server.garbles = True
        with pytest.raises(SettingsError, match="does not give back"):
            await source.unwrap(wrapped, 2)


@pytest.mark.parametrize("token", ["hvs.secret\nb", "hvs.secret\x00", "hvs.secreté"])
async def test_a_token_that_cannot_be_sent_is_not_shown(tmp_path: Path, token: str) -> None:
    (tmp_path / "token").write_text(token, encoding="utf-8")
    async with open_vault() as server:
        for vault in (Vault(server.address, token=token), Vault(server.address, token_file=tmp_path / "token")):
            with pytest.raises(SettingsError, match="characters that no token has") as refused:
                await VaultKey(vault, "stepswitch").wrap(DATA_KEY, 1)
            assert "secret" not in str(refused.value)
        assert server.asked == []


@pytest.mark.parametrize("address", ["https://xn--a", "http://[::1", "http://127.0.0.1:1"])
async def test_an_address_at_which_nobody_can_be_is_named(address: str) -> None:
    with pytest.raises(SettingsError, match="Vault cannot be reached at"):
        await VaultKey(Vault(address, token=TOKEN), "stepswitch").wrap(DATA_KEY, 1)


async def test_what_vault_refuses_is_said_in_its_own_words_and_without_the_token() -> None:
    async with open_vault() as server:
        good = VaultKey(Vault(server.address, token=TOKEN), "stepswitch")
        for source, said in (
            (VaultKey(Vault(server.address, token="hvs.wrong"), "stepswitch"), r"refuses to encrypt .*: 403 \(permission denied\)"),
            (VaultKey(Vault(server.address, token=TOKEN), "none"), r"400 \(encryption key not found\)"),
            (VaultKey(Vault(server.address, token=TOKEN, mount="kv"), "stepswitch"), "404"),
        ):
            with pytest.raises(SettingsError, match=said) as refused:
                await source.wrap(DATA_KEY, 1)
            assert "hvs." not in str(refused.value)
        server.is_sealed = True
        with pytest.raises(SettingsError, match=r"503 \(Vault is sealed\)"):
            await good.unwrap("vault:v1:x", 1)
    with pytest.raises(SettingsError, match="Vault cannot be reached at"):
        await good.wrap(DATA_KEY, 1)
    assert TOKEN not in repr(good)
