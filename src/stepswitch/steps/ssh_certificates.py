"""The OpenSSH certificate that a private key is shown with. Called by `ssh_login`."""

from typing import Final

import asyncssh
from asyncssh.public_key import CERT_TYPE_USER, SSHOpenSSHCertificate

from stepswitch.plugin import ErrorCode
from stepswitch.steps.login_inputs import LoginError

_UNREADABLE: Final = (
    "the certificate is none that can be read: it must be one line in OpenSSH form, such as 'ssh-ed25519-cert-v01@openssh.com AAAA…'"
)


def certificate_for(key: asyncssh.SSHKey, text: str) -> asyncssh.SSHCertificate:
    """Return a user's certificate that fits a private key and is in force by the clock of this machine; raises LoginError."""
    try:
        certificate = asyncssh.import_certificate(text)
    except Exception:  # noqa: BLE001 - a damaged one makes the driver's parsers raise whatever they like
        raise LoginError(ErrorCode.BAD_KEY, _UNREADABLE) from None
    if not isinstance(certificate, SSHOpenSSHCertificate):
        raise LoginError(ErrorCode.BAD_KEY, _UNREADABLE)
    try:
        certificate.validate(CERT_TYPE_USER, None)
    except ValueError as error:
        raise LoginError(ErrorCode.BAD_KEY, _unusable(str(error).lower())) from None
    if certificate.key != key.convert_to_public():
        raise LoginError(ErrorCode.BAD_KEY, "the certificate belongs to another key than the private key that was given")
    return certificate


def _unusable(reason: str) -> str:
    if "expired" in reason:
        return "the certificate has expired"
    if "not yet valid" in reason:
        return "the certificate is not valid yet"
    return "the certificate is a host's, and none that a user logs in with"
