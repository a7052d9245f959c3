"""Risk: a first start with wrong settings leaves a database behind, or tells of one fault only when the one before is mended."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from stepswitch.bootstrap import open_service
from stepswitch.bootstrap.checks import check_settings
from stepswitch.bootstrap.server import _serve
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import SettingsError

Start = Callable[[Settings], Awaitable[object]]
WRONG: dict[str, Any] = {
    "tls_key": Path("/nowhere/key.pem"),
    "secrets_key": "drawer:left",
    "oidc_audience": "a",
    "ldap_roles": {"shift": ("Operations",)},
    "audit_syslog": "http://loghost",
}
SAID = [
    "tls_key is set and tls_certificate is not",
    "secrets_key begins with 'drawer'",
    "oidc_audience is set and oidc_issuer is not",
    "ldap_roles is set and ldap_url is not",
    "audit_syslog: 'http://loghost' names no syslog server",
]


def faults(**given: Any) -> list[str]:
    try:
        check_settings(Settings.model_validate(given))
    except SettingsError as error:
        return str(error).splitlines()
    return []


def test_what_is_wrong_anywhere_is_said_at_once() -> None:
    found = faults(**WRONG)
    assert len(found) == len(SAID)
    assert all(said in line for said, line in zip(SAID, found, strict=True)), found


@pytest.mark.parametrize("setting", ["loghost", "http://loghost", "tcp://", "tcp://h:0", "udp://h/path", "tls://u:p@h", ""])
@pytest.mark.parametrize("start", [open_service, _serve])
async def test_a_syslog_server_that_is_none_is_told_of_before_anything_is_made(tmp_path: Path, setting: str, start: Start) -> None:
    settings = Settings.model_validate({"audit_syslog": setting, "data_dir": tmp_path / "data", "port": 0})
    with pytest.raises(SettingsError, match=r"audit_syslog: .* names no syslog server"):
        await start(settings)
    assert not settings.data_dir.exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"audit_syslog_ca_file": "/nowhere/ca.pem"}, "audit_syslog_ca_file is set and audit_syslog is not"),
        ({"audit_syslog": "tcp://h", "audit_syslog_ca_file": "/nowhere/ca.pem"}, "without tls:// nobody looks at a certificate"),
        ({"audit_syslog": "tls://h", "audit_syslog_ca_file": "/nowhere/ca.pem"}, "can be read from /nowhere/ca.pem: No such file"),
        ({"audit_syslog": "tls://h", "audit_syslog_ca_file": "/dev/null"}, "no certificates can be read from /dev/null"),
    ],
)
def test_certificates_for_the_syslog_server_that_nobody_would_look_at_are_told_of(given: dict[str, str], said: str) -> None:
    (fault,) = faults(**given)
    assert said in fault


@pytest.mark.parametrize(
    "given",
    [
        *({}, {"audit_syslog": "udp://h"}, {"audit_syslog": "tls://[::1]:6514"}),
        *({"secrets_key": "file:/nowhere"}, {"data_dir": "/dev/null/below"}),
    ],
)
def test_what_fits_is_taken(given: dict[str, str]) -> None:
    assert faults(**given) == []
