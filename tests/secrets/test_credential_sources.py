"""Risk: a credential opens what is not meant for one (a file, a variable of the service), or a place that fails is not said as such."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from stepswitch.domain.errors import CredentialError
from stepswitch.engine.credential_records import Credential, EnvironmentValue, FileValue, KubernetesValue, Source, StoredValue, VaultValue
from stepswitch.engine.credential_use import read_value
from stepswitch.secrets.credential_sources import CredentialSources
from stepswitch.secrets.kubernetes import Cluster
from stepswitch.secrets.local_values import LARGEST_FILE, Folder, Variables
from stepswitch.secrets.vault import Vault
from tests.certificates import own_certificate
from tests.secrets.kubernetes_server import TOKEN as ACCOUNT_TOKEN
from tests.secrets.kubernetes_server import open_kubernetes
from tests.secrets.vault_server import TOKEN, open_vault

SECRET = "a pigeon on the roof"
PREFIX = "STEPSWITCH_CREDENTIAL_"
CREDENTIAL = Credential(
    "default", "core", StoredValue(SECRET), ("*",), ("*",), ("*",), without_device=False, description="", created_at=1,
    created_by="admin", changed_at=1, changed_by="admin",
)  # fmt: skip


def sources(
    environment: dict[str, str] | None = None, folder: Path | None = None, vault: Vault | None = None, cluster: Cluster | None = None
) -> CredentialSources:
    return CredentialSources(Variables(PREFIX, environment or {}), Folder(folder), cluster or Cluster(None, {}), vault)


async def refused(of: CredentialSources, source: Source) -> str:
    with pytest.raises(CredentialError) as error:
        await of.read(source)
    assert error.value.code == "CREDENTIAL_UNAVAILABLE"
    assert SECRET not in str(error.value)
    return str(error.value)


async def test_only_variables_with_the_prefix_can_be_named_and_read() -> None:
    of = sources({f"{PREFIX}CORE": SECRET, "STEPSWITCH_VAULT_TOKEN": SECRET, "PATH": SECRET, PREFIX: SECRET})
    assert await of.read(EnvironmentValue(f"{PREFIX}CORE")) == SECRET
    for name in ("STEPSWITCH_VAULT_TOKEN", "PATH", PREFIX, f"X{PREFIX}CORE", ""):
        assert of.faults(EnvironmentValue(name))
        await refused(of, EnvironmentValue(name))
    assert "is not set" in await refused(of, EnvironmentValue(f"{PREFIX}OTHER"))


async def test_a_prefix_as_wide_as_all_settings_opens_none_of_them() -> None:
    of = CredentialSources(Variables("STEPSWITCH_", {"STEPSWITCH_VAULT_TOKEN": SECRET}), Folder(None), Cluster(None, {}))
    await refused(of, EnvironmentValue("STEPSWITCH_VAULT_TOKEN"))


async def test_a_file_below_the_folder_is_read_without_the_end_of_its_last_line(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "password").write_text(SECRET + "\n")
    (tmp_path / "..data").symlink_to("core")  # as Kubernetes mounts secrets
    (tmp_path / "password").symlink_to("..data/password")
    of = sources(folder=tmp_path)
    assert [await of.read(FileValue(path)) for path in ("core/password", "password")] == [SECRET, SECRET]


async def test_nothing_outside_of_the_folder_is_opened(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "outside").write_text(SECRET)
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "way").symlink_to(tmp_path)
    (folder / "environ").symlink_to("/proc/self/environ")
    of = sources(folder=folder)
    for path in ("../outside", "/proc/self/environ", str(tmp_path / "outside"), "a/../../outside", "..", "/", "", "out\0side", "a\nb"):
        assert of.faults(FileValue(path)), path
        await refused(of, FileValue(path))
    for path in ("link", "way/outside", "environ"):
        assert "leads out of the folder" in await refused(of, FileValue(path))


async def test_what_is_no_plain_file_of_some_size_is_refused_and_holds_up_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    (tmp_path / "large").write_bytes(b"x" * (LARGEST_FILE + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe" * 8)
    of = sources(folder=tmp_path)
    for path in ("pipe", "large"):
        assert "no plain file" in await refused(of, FileValue(path))
    assert "Is a directory" in await refused(of, FileValue("directory"))
    assert "no text in UTF-8" in await refused(of, FileValue("binary"))
    assert "No such file" in await refused(of, FileValue("missing"))
    assert sources().faults(FileValue("any"))


async def test_vault_gives_the_value_and_every_way_to_say_no_is_told() -> None:
    async with open_vault() as server:
        server.values["secret/core/routers"] = {"password": SECRET, "number": 7}
        of = sources(vault=Vault(server.address, token=TOKEN))
        source = VaultValue("secret", "core/routers", "password")
        assert not of.faults(source)
        assert await of.read(source) == SECRET
        server.values["secret/core/routers"] = {"password": "a dove on the tower"}
        assert await of.read(source) == "a dove on the tower"
        assert "no text under the key 'user'" in await refused(of, VaultValue("secret", "core/routers", "user"))
        assert "refuses to read secret/nothing: 404" in await refused(of, VaultValue("secret", "nothing", "password"))
        assert "403 (permission denied)" in await refused(sources(vault=Vault(server.address, token="other")), source)
        server.is_sealed = True
        assert "503 (Vault is sealed)" in await refused(of, source)
    assert "cannot be reached" in await refused(of, source)
    assert "no Vault here" in await refused(sources(), source)
    for mount, path in (("..", "x"), ("secret", "../../auth/token"), ("secret", "a//b"), ("secret", ""), ("se\ncret", "x")):
        assert of.faults(VaultValue(mount, path, "k"))


async def test_a_secret_of_kubernetes_is_read_with_the_account_of_the_pod(tmp_path: Path) -> None:
    public, tls = own_certificate(tmp_path)
    account = tmp_path / "account"
    account.mkdir()
    (account / "ca.crt").write_bytes(public.read_bytes())
    (account / "token").write_text(ACCOUNT_TOKEN + "\n")
    async with open_kubernetes(tls) as api:
        api.secrets["devices", "core"] = {"password": SECRET.encode(), "binary": b"\xff\xff\xff\xff"}
        pod = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(api.port)}
        of = sources(cluster=Cluster(None, pod, account))
        assert await of.read(KubernetesValue("devices", "core", "password")) == SECRET
        assert "no key 'user'" in await refused(of, KubernetesValue("devices", "core", "user"))
        assert "no text in UTF-8" in await refused(of, KubernetesValue("devices", "core", "binary"))
        assert '404 (secrets "none" not found)' in await refused(of, KubernetesValue("devices", "none", "password"))
        api.token = "renewed"
        assert "401 (Unauthorized)" in await refused(of, KubernetesValue("devices", "core", "password"))
        (account / "token").write_text("renewed")
        assert await of.read(KubernetesValue("devices", "core", "password")) == SECRET
        for namespace, name in (("..", "core"), ("devices", "../../nodes"), ("devices", "a/b"), ("Devices", "core"), ("devices", "")):
            assert of.faults(KubernetesValue(namespace, name, "password"))
            await refused(of, KubernetesValue(namespace, name, "password"))
        assert set(api.asked) == {"/api/v1/namespaces/devices/secrets/core", "/api/v1/namespaces/devices/secrets/none"}


async def test_a_kubeconfig_says_where_and_with_which_token(tmp_path: Path) -> None:
    public, tls = own_certificate(tmp_path)
    async with open_kubernetes(tls) as api:
        api.secrets["devices", "core"] = {"password": SECRET.encode()}
        source = KubernetesValue("devices", "core", "password")
        (tmp_path / "token").write_text(ACCOUNT_TOKEN)

        def config(cluster: str, user: str) -> CredentialSources:
            file = tmp_path / "config"
            file.write_text(
                "apiVersion: v1\nkind: Config\ncurrent-context: here\n"
                "contexts: [{name: here, context: {cluster: c, user: u}}]\n"
                f"clusters: [{{name: c, cluster: {{{cluster}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
            )
            return sources(cluster=Cluster(file, {}))

        here = f"server: 'https://127.0.0.1:{api.port}', certificate-authority: {public.name}"
        assert await config(here, f"token: {ACCOUNT_TOKEN}").read(source) == SECRET
        assert await config(here, "tokenFile: token").read(source) == SECRET
        stranger = f"server: 'https://127.0.0.1:{api.port}'"
        assert "cannot be reached" in await refused(config(stranger, f"token: {ACCOUNT_TOKEN}"), source)
        for cluster in (here.replace("https", "http"), here + ", insecure-skip-tls-verify: true"):
            assert "without TLS" in await refused(config(cluster, f"token: {ACCOUNT_TOKEN}"), source)
        for token in ("secret\nb", "secret\0", "secreté"):
            (tmp_path / "token").write_text(token, encoding="utf-8")
            said = await refused(config(here, "tokenFile: token"), source)
            assert "characters that no token has" in said
            assert "secret" not in said.replace("the secret", "")
        assert "has no token" in await refused(config(here, "exec: {command: aws}"), source)
        (tmp_path / "config").write_text("]: no yaml")
        assert "cannot be used" in await refused(sources(cluster=Cluster(tmp_path / "config", {})), source)
        assert "is no pod" in await refused(sources(), source)


async def test_a_value_that_nobody_could_hide_or_send_is_none() -> None:
    of = sources({f"{PREFIX}LATIN": os.fsdecode("straße".encode("latin-1"))})
    assert await of.read(StoredValue(SECRET)) == SECRET
    for value in ("", "abc", "x" * 70_000, "a\0bcd", "abcd\ud800"):
        assert len(of.faults(StoredValue(value))) == 1
    with pytest.raises(CredentialError, match=r"\(environment\) is no text in UTF-8") as error:
        await read_value(of, replace(CREDENTIAL, source=EnvironmentValue(f"{PREFIX}LATIN")))
    assert error.value.code == "CREDENTIAL_UNAVAILABLE"
