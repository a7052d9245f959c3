"""Risk: a service starts with other settings than its operator meant, or refuses them with words that help nobody."""

from pathlib import Path

import pytest

from stepswitch.bootstrap.quotas import quotas_of
from stepswitch.cli.loading import load_settings
from stepswitch.domain.errors import SettingsError
from stepswitch.engine.quotas import Quota
from tests.cli.calling import Caller


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stepswitch.toml"


def _complaints(options: dict[str, object], file: Path | None = None) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        load_settings(options, file)
    return str(refused.value).splitlines()


def test_without_anything_the_defaults_count() -> None:
    settings = load_settings({"port": None})
    assert (settings.host, settings.port, settings.admin_password) == ("127.0.0.1", 8080, None)


def test_each_source_goes_over_the_one_before(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('host = "192.0.2.1"\nport = 1\nsteps_at_once = 7\n')
    monkeypatch.setenv("STEPSWITCH_PORT", "2")
    monkeypatch.setenv("STEPSWITCH_HOST", "192.0.2.2")
    settings = load_settings({"host": "192.0.2.3", "data_dir": None}, file)
    assert (settings.steps_at_once, settings.port, settings.host) == (7, 2, "192.0.2.3")


def test_a_variable_names_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("port = 4711\n")
    monkeypatch.setenv("STEPSWITCH_CONFIG", str(file))
    assert load_settings({}).port == 4711


def test_the_option_names_the_file_that_counts(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("port = 4711\n")
    monkeypatch.setenv("STEPSWITCH_CONFIG", str(tmp_path / "missing.toml"))
    assert load_settings({}, file).port == 4711


def test_everything_that_is_wrong_is_said_at_once_and_where_it_stands(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('log_level = "loud"\nsteps_at_onc = 5\n')
    monkeypatch.setenv("STEPSWITCH_PORT", "many")
    monkeypatch.setenv("STEPSWITCH_DATADIR", "x")
    assert _complaints({"session_hours": -1}, file) == [
        f"{file}: the setting steps_at_onc is unknown; the nearest known one is steps_at_once",
        "the variable STEPSWITCH_DATADIR is unknown; the nearest known one is STEPSWITCH_DATA_DIR",
        "STEPSWITCH_PORT is 'many'; it must be a valid integer",
        f"log_level in {file} is 'loud'; it must be 'debug', 'info', 'warning' or 'error'",
        "--session-hours is '-1'; it must be greater than 0",
    ]


@pytest.mark.parametrize("wrong", ["*", "proxy.example.net", "127.0.0.1,", "10.0.0.1/8"])
def test_a_proxy_that_is_trusted_is_named_by_its_address(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("STEPSWITCH_TRUSTED_PROXIES", wrong)
    (complaint,) = _complaints({})
    assert complaint == f"STEPSWITCH_TRUSTED_PROXIES is {wrong!r}; it must be addresses and networks, with commas between them"


def test_a_limit_around_others_is_larger_than_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPSWITCH_FILE_LIMIT_BYTES", str(2**30))
    monkeypatch.setenv("STEPSWITCH_RECEIVING_LIMIT_BYTES", str(10 * 2**20))
    assert _complaints({}) == [
        "multipart_limit_bytes must be over file_limit_bytes, which is 1073741824",
        "STEPSWITCH_RECEIVING_LIMIT_BYTES is '10485760'; it must be over body_limit_bytes, which is 10485760",
    ]
    monkeypatch.setenv("STEPSWITCH_MULTIPART_LIMIT_BYTES", str(2**30 + 1))
    monkeypatch.setenv("STEPSWITCH_RECEIVING_LIMIT_BYTES", str(2**30 + 1))
    assert _complaints({}) == [
        "STEPSWITCH_RECEIVING_LIMIT_BYTES is '1073741825'; it must be over multipart_limit_bytes, which is 1073741825"
    ]
    monkeypatch.setenv("STEPSWITCH_RECEIVING_LIMIT_BYTES", str(2**31))
    assert load_settings({}).file_limit_bytes == 2**30


def test_a_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPSWITCH_ADMIN_PASSWORD", "hunter2")
    assert _complaints({}) == ["STEPSWITCH_ADMIN_PASSWORD must have at least 8 characters"]


@pytest.mark.parametrize("name", ["STEPSWITCH_TEST_POSTGRES", "STEPSWITCH_REQUIRE_SERVERS"])
def test_variables_of_the_tests_are_known(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert load_settings({}).port == 8080


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"port = ", "is not valid TOML: Invalid value (at end of document)"),
        (b"host = '\xff'", "is not UTF-8 text"),
        (None, "cannot be read: "),
    ],
)
def test_a_file_that_is_none_is_refused(file: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        file.write_bytes(content)
    complaints = _complaints({}, file)
    assert len(complaints) == 1
    assert complaints[0].startswith(f"the settings file {file} {said}")


def test_a_table_in_the_file_is_refused_by_name(file: Path) -> None:
    file.write_text("[server]\nport = 1\n")
    assert _complaints({}, file)[0].startswith(f"{file}: the setting server is unknown")


def test_serve_refuses_wrong_settings_before_it_does_anything(stepswitch: Caller, tmp_path: Path) -> None:
    called = stepswitch("serve", "--log-level", "loud", "--data-dir", tmp_path / "data")
    assert (called.exit, called.out) == (2, "")
    assert called.err == "--log-level is 'loud'; it must be 'debug', 'info', 'warning' or 'error'\n"
    assert not (tmp_path / "data").exists()


def test_roles_of_groups_are_a_table_in_a_file_and_json_in_a_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('[oidc_roles]\n"noc shift" = ["Operations", "own"]\n')
    monkeypatch.setenv("STEPSWITCH_OIDC_CLIENT_ROLES", '{"robot": ["Workflow Executor"]}')
    settings = load_settings({}, file)
    assert settings.oidc_roles == {"noc shift": ("Operations", "own")}
    assert settings.oidc_client_roles == {"robot": ("Workflow Executor",)}


def test_limits_of_tenants_are_tables_in_a_file_and_json_in_a_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("tenant_queued_executions = 5\n[tenant_limits.north]\nqueued_executions = 7\n")
    assert load_settings({}, file).tenant_limits == {"north": {"queued_executions": 7}}
    quotas = quotas_of(load_settings({}, file))
    assert (quotas.of("north"), quotas.of("south")) == (Quota(queued_executions=7), Quota(queued_executions=5))
    monkeypatch.setenv("STEPSWITCH_TENANT_LIMITS", '{"south": {"file_bytes": 0}}')
    assert quotas_of(load_settings({}, file)).of("south") == Quota(queued_executions=5, file_bytes=0)


@pytest.mark.parametrize(
    "wrong", ["{", "[]", '{"t": 5}', '{"t": {"files": 5}}', '{"t": {"file_bytes": -1}}', '{"t": {"file_bytes": true}}']
)
def test_limits_of_tenants_that_are_none_are_refused_with_their_names(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("STEPSWITCH_TENANT_LIMITS", wrong)
    with pytest.raises(SettingsError, match="each with some of executions_at_once, queued_executions, stored_executions, file_bytes"):
        load_settings({})


@pytest.mark.parametrize("wrong", ["{", "[]", '{"g": "Operations"}', '{"g": [1]}', "null"])
def test_roles_of_groups_that_are_no_table_are_refused_with_how_it_looks(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("STEPSWITCH_OIDC_ROLES", wrong)
    with pytest.raises(SettingsError, match=r'must be a table of roles by names, in a variable as JSON: \{"name": \["role"\]\}'):
        load_settings({})
