"""Risk: passwords go over the network readable, a client without a certificate is let in, or a renewed one needs a restart."""

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization

from stepswitch.bootstrap.server import HttpServer
from stepswitch.bootstrap.tls import Certificates, certificates_of
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import SettingsError
from tests.certificates import certificate_files
from tests.engine.scripted import open_house

HEALTH = "/stepswitch/api/v1/health"


@asynccontextmanager
async def serving(directory: Path, certificates: Certificates) -> AsyncIterator[HttpServer]:
    async with open_house(directory / "data", start=False, port=0, grace_seconds=0) as house:
        server = HttpServer(house.service, certificates=certificates)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


async def ask(url: str, authority: Path, own: tuple[Path, Path] | None = None) -> httpx.Response:
    context = ssl.create_default_context(cafile=authority)
    if own is not None:
        context.load_cert_chain(*own)
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:
        return await client.get(url + HEALTH)


async def test_the_service_speaks_tls_and_tells_browsers_to_keep_to_it(tmp_path: Path) -> None:
    public, private = certificate_files(tmp_path, "service")
    async with serving(tmp_path, Certificates(public, private, None)) as server:
        assert server.url.startswith("https://127.0.0.1:")
        answer = await ask(server.url, public)
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        with pytest.raises(httpx.TransportError):
            async with httpx.AsyncClient(trust_env=False) as client:
                await client.get(server.url.replace("https", "http") + HEALTH)


def test_versions_of_tls_that_are_broken_are_not_spoken(tmp_path: Path) -> None:
    assert Certificates(*certificate_files(tmp_path, "service"), None).context.minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_key_and_certificate_may_stand_in_one_file(tmp_path: Path) -> None:
    public, private = certificate_files(tmp_path, "service")
    both = tmp_path / "both.pem"
    both.write_bytes(public.read_bytes() + private.read_bytes())
    async with serving(tmp_path, Certificates(both, None, None)) as server:
        assert (await ask(server.url, public)).status_code == 200


async def test_only_clients_with_a_certificate_of_the_named_authority_are_let_in(tmp_path: Path) -> None:
    public, private = certificate_files(tmp_path, "service")
    friend, stranger = certificate_files(tmp_path, "friend"), certificate_files(tmp_path, "stranger")
    async with serving(tmp_path, Certificates(public, private, friend[0])) as server:
        assert (await ask(server.url, public, friend)).status_code == 200
        for own in (None, stranger):
            with pytest.raises(httpx.TransportError):
                await ask(server.url, public, own)


async def test_a_renewed_certificate_is_shown_without_a_restart_and_a_broken_one_is_not(tmp_path: Path) -> None:
    public, private = certificate_files(tmp_path, "service")
    old = tmp_path / "old.pem"
    old.write_bytes(public.read_bytes())
    certificates = Certificates(public, private, None)
    async with serving(tmp_path, certificates) as server:
        certificates.renew()
        certificate_files(tmp_path, "other")
        (tmp_path / "other.key").replace(private)  # of another pair: the certificate has not been replaced yet
        certificates.renew()
        assert (await ask(server.url, old)).status_code == 200
        (tmp_path / "other.pem").replace(public)
        certificates.renew()
        assert (await ask(server.url, public)).status_code == 200
        with pytest.raises(httpx.ConnectError):
            await ask(server.url, old)
        public.unlink()
        certificates.renew()
        assert server.url


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"tls_key": "service.key"}, "tls_key is set and tls_certificate is not"),
        ({"tls_client_ca": "service.pem"}, "tls_client_ca is set and tls_certificate is not"),
        ({"tls_certificate": "missing.pem"}, "there is no file .*missing.pem"),
        ({"tls_certificate": "service.pem", "tls_key": "missing.key"}, "there is no file .*missing.key"),
        ({"tls_certificate": "service.pem"}, "no certificate with its key"),
        ({"tls_certificate": "service.pem", "tls_key": "other.key"}, "no certificate with its key"),
        ({"tls_certificate": "noise", "tls_key": "service.key"}, "no certificate with its key"),
        ({"tls_certificate": "service.pem", "tls_key": "."}, "no certificate with its key"),
        ({"tls_certificate": "service.pem", "tls_key": "service.key", "tls_client_ca": "noise"}, "tls_client_ca: no certificates"),
        ({"tls_certificate": "service.pem", "tls_key": "service.key", "tls_client_ca": "missing"}, "tls_client_ca: no certificates"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_a_sentence(tmp_path: Path, settings: dict[str, str], sentence: str) -> None:
    certificate_files(tmp_path, "service")
    certificate_files(tmp_path, "other")
    (tmp_path / "noise").write_bytes(os.urandom(100))
    named = {name: tmp_path / file for name, file in settings.items()}
    with pytest.raises(SettingsError, match=sentence):
        certificates_of(Settings.model_validate(named))


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    public, private = certificate_files(tmp_path, "service")
    key = serialization.load_pem_private_key(private.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
    with pytest.raises(SettingsError, match="without a passphrase"):
        certificates_of(Settings.model_validate({"tls_certificate": public, "tls_key": private}))


def test_without_a_certificate_there_is_none() -> None:
    assert certificates_of(Settings.model_validate({})) is None
