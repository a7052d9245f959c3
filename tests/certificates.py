"""Certificates that nobody's system trusts, made anew for a test. Used by tests of what talks over TLS."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def own_certificate(place: Path, *, address: str = "127.0.0.1", days: int = 1) -> tuple[Path, ssl.SSLContext]:
    """Return a file with a certificate for an address that is its own authority, and how a server shows it; see `certificate_files`."""
    public, private = certificate_files(place, "test", address=address, days=days)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(public, private)
    return public, server


def certificate_files(place: Path, name: str, *, address: str = "127.0.0.1", days: int = 1) -> tuple[Path, Path]:
    """Return files with a certificate for an address that is its own authority, and with its key; it ends in so many days, or ended so many ago."""
    key = ec.generate_private_key(ec.SECP256R1())
    whom = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(
            whom, whom, key.public_key(), x509.random_serial_number(), now - timedelta(days=9), now + timedelta(days=days)
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = place / f"{name}.pem", place / f"{name}.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return public, private
