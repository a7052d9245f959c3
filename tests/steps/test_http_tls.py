"""TLS of the step type HTTP. Risk: a request goes to whoever answers, or a key of ours stands on the disk for others to read."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from stepswitch.plugin import Address, ErrorCode, Networks, Outcome, Result
from stepswitch.steps import http_tls
from stepswitch.steps.http import HttpStep
from stepswitch.steps.http_inputs import Identity
from tests.certificates import certificate_files, own_certificate
from tests.steps.contexts import RecordingContext
from tests.steps.http_server import HttpServer, reply

HERE = Networks.read(allowed="127.0.0.0/8,::1")


async def here(host: str, port: int) -> Sequence[Address]:
    return [ip_address("127.0.0.1")]


async def run(url: str, *contexts: RecordingContext, **more: Any) -> Outcome:
    async with asyncio.timeout(20):
        return await HttpStep(networks=HERE, look_up=here).run({"url": url, **more}, *(contexts or (RecordingContext(),)))


def code(outcome: Outcome) -> tuple[Result, ErrorCode | None]:
    return outcome.result, outcome.error.code if outcome.error else None


async def test_a_certificate_that_nobody_trusts_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    public, tls = own_certificate(tmp_path)
    context = RecordingContext()
    async with HttpServer(tls) as server:
        outcome = await run(server.on("/", reply(200)), context, bearerToken="abcd")
        assert code(outcome) == (Result.FAILED, ErrorCode.WRONG_CERTIFICATE)
        assert not server.asked
        assert not context.sent
        assert code(await run(server.url(), caCertificate=public.read_text())) == (Result.SUCCEEDED, None)
        trusted = RecordingContext(attachments={"ca": public.read_bytes()}, files={"caCertificate"})
        assert code(await run(server.url(), trusted, caCertificate="ca")) == (Result.SUCCEEDED, None)
        assert trusted.messages[0].endswith("with TLS")


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    public, tls = own_certificate(tmp_path)
    async with HttpServer(tls) as server:
        outcome = await run(server.url(host="core.example.net"), caCertificate=public.read_text())
    assert code(outcome) == (Result.FAILED, ErrorCode.WRONG_CERTIFICATE)


async def test_who_does_not_check_is_told_so_each_time(tmp_path: Path) -> None:
    context = RecordingContext()
    async with HttpServer(own_certificate(tmp_path)[1]) as server:
        assert code(await run(server.on("/", reply(200)), context, verify=False)) == (Result.SUCCEEDED, None)
    assert context.messages[0].endswith("with TLS, whoever that is")


async def test_who_speaks_plain_text_where_tls_is_meant_is_said() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 no TLS here\r\n\r\n")
        writer.close()

    context = RecordingContext()
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        outcome = await run(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", context)
    assert code(outcome) == (Result.FAILED, ErrorCode.NO_COMMON_ALGORITHM)
    assert not context.sent


async def test_who_speaks_tls_where_plain_text_is_meant_leaves_a_doubt(tmp_path: Path) -> None:
    async with HttpServer(own_certificate(tmp_path)[1]) as server:
        outcome = await run(f"http://127.0.0.1:{server.port}/")
    assert code(outcome) in {(Result.UNKNOWN, ErrorCode.CONNECTION_CUT), (Result.UNKNOWN, ErrorCode.MALFORMED_ANSWER)}


async def test_a_client_certificate_is_shown_and_its_key_is_never_readable_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, tls = own_certificate(tmp_path)
    ours, key = certificate_files(tmp_path, "client")
    tls.load_verify_locations(ours)
    tls.verify_mode = ssl.CERT_REQUIRED
    written: list[bytes] = []
    protect = http_tls._protected

    def note(*given: Any) -> bytes:
        written.append(protect(*given))
        return written[-1]

    monkeypatch.setattr(http_tls, "_protected", note)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    inputs = {"caCertificate": public.read_text(), "clientCertificate": ours.read_text(), "clientKey": key.read_text()}
    async with HttpServer(tls) as server:
        assert code(await run(server.on("/", reply(200)), **inputs)) == (Result.SUCCEEDED, None)
    assert written
    assert b"ENCRYPTED" in written[0]
    assert not list((tmp_path / "tmp").iterdir())


@contextmanager
def choosy_server(tls: ssl.SSLContext) -> Iterator[int]:
    """Give the port of a server that ends TLS by the book where it does not know who comes: it says why, and reads on until the client has gone."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                came, _ = listening.accept()
                kept = came.dup()
                with suppress(OSError):
                    tls.wrap_socket(came, server_side=True)
                with kept, suppress(OSError):
                    kept.shutdown(socket.SHUT_WR)
                    while kept.recv(65536):
                        pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(10)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_does_not_know_the_client_certificate_refuses_and_nothing_is_in_doubt(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    public, tls = own_certificate(tmp_path)
    tls.load_verify_locations(public)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.minimum_version = tls.maximum_version = version
    ours, key = certificate_files(tmp_path, "stranger")
    with choosy_server(tls) as port:
        own = {"clientCertificate": ours.read_text(), "clientKey": key.read_text()}
        outcome = await run(f"https://127.0.0.1:{port}/", caCertificate=public.read_text(), **own)
        assert code(outcome) == (Result.FAILED, ErrorCode.LOGIN_REFUSED)
        if version is ssl.TLSVersion.TLSv1_3:
            outcome = await run(f"https://127.0.0.1:{port}/", caCertificate=public.read_text())
            assert code(outcome) == (Result.FAILED, ErrorCode.LOGIN_REFUSED)
            assert outcome.error is not None
            assert "wants a client certificate" in outcome.error.message


def test_a_protected_key_is_opened_and_one_that_is_not_needs_no_passphrase(tmp_path: Path) -> None:
    key = load_pem_private_key(certificate_files(tmp_path, "a")[1].read_bytes(), None)
    protected = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    assert load_pem_private_key(http_tls._protected(protected, "word", "other"), b"other")


@pytest.mark.parametrize(
    ("certificate", "key", "passphrase", "word"),
    [
        ("whole", "of another", None, "do not belong together"),
        ("no PEM", "whole", None, "cannot be read"),
        ("whole", "no PEM", None, "a whole one in PEM form"),
        ("whole", "protected", None, "give its passphrase"),
        ("whole", "protected", "wrong", "does not open it"),
        ("whole", "whole", "too much", "leave out 'clientKeyPassphrase'"),
    ],
)
async def test_a_certificate_or_a_key_that_does_not_fit_is_said(
    tmp_path: Path, certificate: str, key: str, passphrase: str | None, word: str
) -> None:
    public, private = certificate_files(tmp_path, "client")
    other = ed25519.Ed25519PrivateKey.generate()
    texts = {
        "whole": private.read_text(),
        "of another": other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "no PEM": "-----BEGIN PRIVATE KEY-----\nabcd\n-----END PRIVATE KEY-----",  # pragma: allowlist secret
        "protected": other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")).decode(),
    }
    given = {"clientCertificate": public.read_text() if certificate == "whole" else certificate, "clientKey": texts[key]}
    outcome = await run("https://127.0.0.1/", **given, **({"clientKeyPassphrase": passphrase} if passphrase else {}))
    assert code(outcome) == (Result.FAILED, ErrorCode.BAD_KEY)
    assert outcome.error is not None
    assert word in outcome.error.message


async def test_a_key_beside_the_certificate_is_not_written_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public, private = certificate_files(tmp_path, "client")
    written: list[str] = []
    load = ssl.SSLContext.load_cert_chain

    def note(context: ssl.SSLContext, certificate: Path, key: Path, password: str) -> None:
        written.extend((certificate.read_text(), key.read_text()))
        load(context, certificate, key, password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", note)
    both = private.read_text() + public.read_text()
    http_tls.trust(Identity(certificate=both, key=private.read_bytes()))
    assert written[0].strip() == public.read_text().strip()
    assert private.read_text().splitlines()[1] not in "".join(written)


async def test_no_room_for_a_file_is_said_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public, private = certificate_files(tmp_path, "client")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    outcome = await run("https://127.0.0.1/", clientCertificate=public.read_text(), clientKey=private.read_text())
    assert code(outcome) == (Result.FAILED, ErrorCode.EXHAUSTED)


async def test_authorities_that_cannot_be_read_are_said() -> None:
    for text in ("no PEM", "é", "-----BEGIN CERTIFICATE-----\nabcd\n-----END CERTIFICATE-----"):
        assert code(await run("https://127.0.0.1/", caCertificate=text)) == (Result.FAILED, ErrorCode.INVALID_VALUE)


async def test_no_redirect_leads_out_of_tls(tmp_path: Path) -> None:
    public, tls = own_certificate(tmp_path)
    async with HttpServer(tls) as server, HttpServer() as plain:
        url = server.on("/", reply(302, location=plain.url()))
        outcome = await run(url, caCertificate=public.read_text(), followRedirects=True)
        assert code(outcome) == (Result.FAILED, ErrorCode.UNEXPECTED_STATUS)
        assert not plain.connections


async def test_another_server_is_not_shown_the_client_certificate(tmp_path: Path) -> None:
    public, tls = own_certificate(tmp_path)
    shown: list[object] = []

    async def look(asked: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown.append(writer.get_extra_info("peercert"))
        await reply(200)(asked, reader, writer)  # type: ignore[arg-type]

    ours, key = certificate_files(tmp_path, "client")
    tls.load_verify_locations(ours)
    tls.verify_mode = ssl.CERT_OPTIONAL
    inputs = {"caCertificate": public.read_text(), "clientCertificate": ours.read_text(), "clientKey": key.read_text()}
    async with HttpServer(tls) as server, HttpServer(tls) as other:
        await run(server.on("/", look), **inputs)
        server.on("/moved", reply(302, location=other.on("/", look)))
        await run(server.url("/moved"), followRedirects=True, **inputs)
    assert [bool(each) for each in shown] == [True, False]
