"""TLS as the settings want it: the certificate that the service shows, renewed while it runs, and those that clients must show. Called by `server` and `checks`."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog

from stepswitch.config.settings import Settings
from stepswitch.domain.errors import SettingsError

LOOK_SECONDS: Final = 10
"""How often the files are looked at."""
_log = structlog.get_logger("stepswitch")


class Certificates:
    """The certificate and its key. `context` is what a server listens with; what is loaded into it later counts for connections made from then on."""

    def __init__(self, certificate: Path, key: Path | None, client_ca: Path | None) -> None:
        self._files = certificate, key or certificate
        self.context = _context(*self._files)
        self._seen = self._times()
        if client_ca is not None:
            self.context.verify_mode = ssl.CERT_REQUIRED
            try:
                self.context.load_verify_locations(client_ca)
            except (OSError, ssl.SSLError) as error:
                raise SettingsError(f"tls_client_ca: no certificates can be read from {client_ca}: {_reason(error)}") from None

    def renew(self) -> None:
        """Show what the files hold now, where they have changed. Files that do not fit together are left alone, and told of: the old ones count."""
        times = self._times()
        if times == self._seen:
            return
        self._seen = times
        try:
            _context(*self._files)  # tried on another one first: half of a new pair must not get into the one that is used
            self.context.load_cert_chain(*self._files)
        except (SettingsError, OSError, ssl.SSLError) as error:
            _log.error("a new certificate cannot be used; the old one is shown on", reason=str(error))
            return
        _log.info("a new certificate is shown from now on", file=str(self._files[0]))

    def _times(self) -> tuple[int, ...]:
        return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in self._files)


def certificates_of(settings: Settings) -> Certificates | None:
    """Return what the settings name, None where the service is to speak plain HTTP; raises SettingsError with a sentence."""
    if settings.tls_certificate is None:
        for name in ("tls_key", "tls_client_ca"):
            if getattr(settings, name) is not None:
                raise SettingsError(f"{name} is set and tls_certificate is not: without a certificate there is no TLS")
        return None
    return Certificates(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)


def tls_faults(settings: Settings) -> Iterator[str]:
    """Yield what is wrong with what the settings name, as a sentence."""
    try:
        certificates_of(settings)
    except SettingsError as error:
        yield str(error)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except FileNotFoundError:
        missing = certificate if not certificate.exists() else key
        raise SettingsError(f"there is no file {missing}, which the settings name for TLS") from None
    except (OSError, ssl.SSLError) as error:
        message = f"{certificate} and {key} are no certificate with its key: {_reason(error)}"
        raise SettingsError(f"{message}; both are to be PEM files, the key without a passphrase") from None
    return context


def _no_passphrase() -> str:
    """Return nothing: asked for at a terminal, a passphrase would keep a service from starting by itself."""
    return ""


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or "unreadable")
