"""Risk: a service starts with a directory that it cannot use, or that it would tell passwords to for everybody to read."""

from pathlib import Path
from typing import Any

import pytest

from stepswitch.bootstrap import open_service
from stepswitch.bootstrap.checks import check_settings
from stepswitch.bootstrap.people import wire_people
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import SettingsError
from tests.access.account_store import DictAccountStore, HandClock

RIGHT: dict[str, Any] = {
    "ldap_url": "ldaps://ldap.example.net",
    "ldap_bind_dn": "cn=stepswitch,dc=example,dc=net",
    "ldap_password": "a service's own",
    "ldap_user_base": "ou=people,dc=example,dc=net",
    "ldap_user_filter": "(uid={username})",
    "ldap_group_base": "ou=groups,dc=example,dc=net",
    "ldap_roles": {"shift": ("Operations",)},
}


def faults(**changes: Any) -> list[str]:
    given = {name: value for name, value in {**RIGHT, **changes}.items() if value is not None}
    try:
        check_settings(Settings.model_validate(given))
    except SettingsError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ldap_url": "ldap://ldap.example.net:1389"},
        {"ldap_url": "ldap://127.0.0.1", "ldap_start_tls": False},
        {"ldap_url": "ldap://[::1]", "ldap_start_tls": False},
        {"ldap_bind_dn": None, "ldap_password": None, "ldap_user_base": None, "ldap_user_dn": "uid={username},ou=people,dc=example,dc=net"},
        {"ldap_group_base": None, "ldap_member_of": "memberOf", "ldap_roles": {"cn=shift,ou=x,dc=net": ("Operations",)}},
        {"ldap_roles": '{"shift": ["operations", "One of our own"]}'},
    ],
)
def test_settings_that_fit_are_taken(changes: dict[str, Any]) -> None:
    assert faults(**changes) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ldap_url": "https://ldap.example.net"}, "ldap_url is 'https://ldap.example.net'; it must be ldaps://HOST:PORT"),
        ({"ldap_url": "ldaps://"}, "ldap_url is"),
        ({"ldap_url": "ldaps://ldap.example.net:x"}, "ldap_url is"),
        ({"ldap_url": "ldaps://ldap.example.net/dc=net?uid"}, "ldap_url is"),
        ({"ldap_url": "ldap://ldap.example.net", "ldap_start_tls": False}, "passwords would be sent there for everybody to read"),
        ({"ldap_url": "ldap://10.0.0.1", "ldap_start_tls": False}, "10.0.0.1 is another machine"),
        ({"ldap_ca_file": Path("/nowhere/ca.pem")}, "no certificates can be read from /nowhere/ca.pem"),
        ({"ldap_bind_dn": None, "ldap_password": None}, "neither ldap_user_dn nor ldap_bind_dn is set"),
        ({"ldap_bind_dn": None}, "say whose it is"),
        ({"ldap_password": None}, "its password is empty"),
        ({"ldap_password_file": Path("/nowhere/password")}, "/nowhere/password cannot be read: No such file or directory"),
        ({"ldap_user_filter": "(uid=ann)"}, "must have {username} in it"),
        ({"ldap_user_filter": "uid={username}"}, "no filter as RFC 4515 has it"),
        ({"ldap_user_filter": "(&(uid={username})"}, "no filter as RFC 4515 has it"),
        ({"ldap_user_dn": "uid=ann,dc=net"}, "ldap_user_dn is 'uid=ann,dc=net'; it must have {username} in it, once"),
        ({"ldap_user_base": "people"}, "ldap_user_base is 'people', which is no name of an entry"),
        ({"ldap_user_base": None}, "say below which entry users are"),
        ({"ldap_group_base": "groups"}, "ldap_group_base is 'groups', which is no name of an entry"),
        ({"ldap_group_filter": "(objectClass=groupOfNames)"}, "every group would be everybody's"),
        ({"ldap_group_base": None}, "nobody would be in any group"),
        ({"ldap_group_base": None, "ldap_member_of": "memberOf"}, "'shift' has to be the whole name of an entry"),
        ({"ldap_roles": {}}, "nobody could log in by the directory"),
        ({"ldap_roles": {"cn=a,,": ("Operations",)}}, "'cn=a,,' is no name of an entry"),
        ({"ldap_roles": {"shift": ("a/b",)}}, "the role 'a/b' of 'shift' is no name"),
        ({"ldap_tenant": "a/b"}, "no tenant can be called"),
        ({"ldap_refresh_minutes": 61.0}, "ldap_trust_minutes is less than ldap_refresh_minutes"),
        ({"ldap_url": None}, "ldap_url is not: there is no directory that it could be about"),
    ],
)  # fmt: skip
def test_each_fault_of_the_settings_is_told_in_a_sentence_of_its_own(changes: dict[str, Any], said: str) -> None:
    found = faults(**changes)
    assert any(said in each for each in found), found
    assert "a service's own" not in "\n".join(found)


def test_all_faults_are_told_at_once() -> None:
    assert len(faults(ldap_url="x://y", ldap_user_filter="(", ldap_roles={}, ldap_password=None)) >= 4


async def test_a_service_whose_directory_is_set_wrongly_makes_nothing_and_says_what_is_wrong_elsewhere_too(tmp_path: Path) -> None:
    given = {**RIGHT, "ldap_roles": {}, "oidc_audience": "a", "data_dir": tmp_path / "data"}
    with pytest.raises(SettingsError, match="ldap_roles is empty") as raised:
        await open_service(Settings.model_validate(given))
    assert "oidc_audience is set and oidc_issuer is not" in str(raised.value)
    assert not (tmp_path / "data").exists()


def test_the_password_of_the_service_account_is_shown_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("a service's own\n")
    settings = Settings.model_validate({**RIGHT, "ldap_password_file": file})
    assert "a service's own" not in repr(settings)
    people = wire_people(settings, DictAccountStore(), HandClock())
    assert people.directory is not None
