"""How TLS is spoken for one attempt: whom the server's certificate is held against, and who we are. Called by `http`, in a thread.

OpenSSL reads a private key from a file only. Whatever stands there for that moment is encrypted with a password that nobody keeps.
"""

import re
import secrets
import ssl
import tempfile
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key

from stepswitch.plugin import ErrorCode
from stepswitch.steps.http_inputs import Identity
from stepswitch.steps.input_faults import InputFaultError

_PASSWORD_BYTES: Final = 32
_CERTIFICATE: Final = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_STRANGERS: Final = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})


def trust(identity: Identity) -> ssl.SSLContext:
    """Return a context for one attempt; raises InputFaultError where a certificate or a key cannot be used. Reads files: takes a while."""
    try:
        context = ssl.create_default_context(cadata=identity.authorities)
    except (ssl.SSLError, ValueError, TypeError):  # TypeError: what is not ASCII
        raise InputFaultError(
            ErrorCode.INVALID_VALUE, "the input 'caCertificate' has no certificate in PEM form that can be read"
        ) from None
    if not identity.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    if identity.certificate is not None and identity.key is not None:
        password = secrets.token_bytes(_PASSWORD_BYTES).hex()
        _show(context, identity.certificate, _protected(identity.key, identity.passphrase, password), password)
    return context


def _protected(key: bytes, passphrase: str | None, password: str) -> bytes:
    """Return a private key encrypted with `password`."""
    try:
        opened = load_pem_private_key(key, passphrase.encode() if passphrase else None)
        return opened.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
    except TypeError:
        wanted = (
            "is not protected: leave out 'clientKeyPassphrase'"
            if passphrase
            else "is protected: give its passphrase as 'clientKeyPassphrase'"
        )
        raise InputFaultError(ErrorCode.BAD_KEY, f"the input 'clientKey' {wanted}") from None
    except Exception:  # noqa: BLE001 - a damaged key makes the parsers raise whatever they like
        wanted = "or 'clientKeyPassphrase' does not open it" if passphrase else "it must be a whole one in PEM form"
        raise InputFaultError(ErrorCode.BAD_KEY, f"the input 'clientKey' is none that can be read, {wanted}") from None


def _show(context: ssl.SSLContext, certificate: str, key: bytes, password: str) -> None:
    try:
        with tempfile.TemporaryDirectory(prefix="stepswitch-tls-") as place:
            public, private = Path(place, "certificate.pem"), Path(place, "key.pem")
            # Only certificates: whoever keeps his key in the same text has not given it to be written anywhere.
            public.write_text("\n".join(_CERTIFICATE.findall(certificate)), encoding="utf-8", errors="replace")
            private.write_bytes(key)
            context.load_cert_chain(public, private, password)
    except ssl.SSLError as error:
        told = "do not belong together" if error.reason in _STRANGERS else "cannot be read: the certificate must be in PEM form"
        raise InputFaultError(ErrorCode.BAD_KEY, f"'clientCertificate' and 'clientKey' {told}") from None
    except OSError as error:
        raise InputFaultError(ErrorCode.EXHAUSTED, f"nothing was sent: no file could be written for TLS: {error.strerror}") from None
