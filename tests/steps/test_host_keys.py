"""Host keys. Risks: a cut or mistyped key is trusted and then matches nothing, a fingerprint differs from what OpenSSH shows."""

import subprocess

import pytest

from stepswitch.plugin import TargetError
from stepswitch.steps.host_keys import fingerprint, parse_fingerprint, parse_public_key, scan
from tests.openssh import OpenSshServer

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"


@pytest.mark.parametrize("text", [KEY, f"  {KEY}\n", f"{KEY} root@host", f"router.example {KEY}", f"[10.0.0.1]:2222 {KEY} comment"])
def test_a_key_is_read_from_every_form_that_people_have(text: str) -> None:
    assert parse_public_key(text) == KEY


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a host key is a line"),
        ("ssh-ed25519", "missing"),
        ("ssh-ed25519 not*base64", "no base64"),
        (KEY[:-8], "not complete"),
        (KEY[:-4] + "AAAA" * 3, "not complete"),
        (KEY.replace("ssh-ed25519", "ssh-rsa"), "but it is not"),
        ("ssh-ed448 AAAACXNzaC1lZDQ0OA==", "one of the types"),
        (f"{KEY}\n{KEY}", "one key at a time"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "a host key is a line"),  # pragma: allowlist secret
    ],
)
def test_what_is_no_key_is_refused_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("*", ".")):
        parse_public_key(text)


def test_fingerprints_are_those_of_openssh(server: OpenSshServer) -> None:
    shown = subprocess.run(["ssh-keygen", "-lf", server.directory / "host_ed25519.pub"], capture_output=True, text=True, check=True).stdout
    assert fingerprint(server.host_public_key) == shown.split()[1]
    assert parse_fingerprint(f" {shown.split()[1]}=\n") == shown.split()[1]


@pytest.mark.parametrize("text", ["SHA256:", "SHA256:abc", "MD5:00:11", "sha256:" + "A" * 43, "SHA256:" + "*" * 43])
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a fingerprint is written"):
        parse_fingerprint(text)


async def test_a_scan_gives_one_key_of_each_kind() -> None:
    with OpenSshServer(host_key_types=("rsa", "ed25519"), passwords=False) as server:
        assert sorted(await scan(server.host, server.port, 10)) == sorted(server.host_public_keys)
        await_port = server.port
    with pytest.raises(TargetError, match=f"127.0.0.1:{await_port} refused the connection"):
        await scan("127.0.0.1", await_port, 10)
