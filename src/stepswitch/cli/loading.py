"""The settings from all their sources: defaults, a TOML file, `STEPSWITCH_…` variables, options, each over the one before.

Called by every command that needs settings. Whatever is wrong is said at once, each thing in a sentence that names where it stands.
"""

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from stepswitch.cli.remote import CA_VARIABLE, CLIENT_CERT_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import SettingsError

PREFIX: Final = "STEPSWITCH_"
CONFIG_VARIABLE: Final = "STEPSWITCH_CONFIG"
OTHER_VARIABLES: Final = frozenset(
    {
        CONFIG_VARIABLE,
        URL_VARIABLE,
        TOKEN_VARIABLE,
        CA_VARIABLE,
        CLIENT_CERT_VARIABLE,
        "STEPSWITCH_TEST_POSTGRES",
        "STEPSWITCH_REQUIRE_SERVERS",
    }
)
"""Variables with our prefix that are no settings: the file's own place, what commands for a service in the distance take, and two of the tests."""
CREDENTIAL_PREFIX: Final = "STEPSWITCH_CREDENTIAL_"
"""Variables that credentials may name are no settings."""
_SECRET: Final = frozenset({"admin_password", "ldap_password", "oidc_client_secret", "vault_token"})


@dataclass(frozen=True, slots=True)
class _Given:
    """One value of a setting and where it stands, in words."""

    value: object
    place: str


def load_settings(options: Mapping[str, object], config: Path | None = None) -> Settings:
    """Return the settings; `options` are those of the command line, None where one was not given.

    Raises SettingsError with a sentence for everything that is wrong, each on its own line.
    """
    file = config or _file_of_environment()
    in_file = _read(file) if file is not None else {}
    in_environment = {
        name.upper(): value
        for name, value in os.environ.items()
        if name.upper().startswith(PREFIX) and not name.upper().startswith(CREDENTIAL_PREFIX)
    }
    complaints = [
        *_unknown(in_file, Settings.model_fields, lambda name: f"{file}: the setting {name}"),
        *_unknown(in_environment, [*map(_variable, Settings.model_fields), *OTHER_VARIABLES], lambda name: f"the variable {name}"),
    ]
    given = {
        **{name: _Given(value, f"{name} in {file}") for name, value in in_file.items() if name in Settings.model_fields},
        **{name: _Given(in_environment[_variable(name)], _variable(name)) for name in _named_in(in_environment)},
        **{name: _Given(value, _option(name)) for name, value in options.items() if value is not None},
    }
    return _build(given, complaints)


def _build(given: Mapping[str, _Given], complaints: list[str]) -> Settings:
    try:
        settings = Settings(**{name: entry.value for name, entry in given.items()})  # type: ignore[arg-type] # checked by the model itself
    except ValueError as error:
        raise SettingsError("\n".join([*complaints, *_sentences(error, given)])) from None
    if complaints:
        raise SettingsError("\n".join(complaints))
    return settings


def _sentences(error: ValueError, given: Mapping[str, _Given]) -> Iterable[str]:
    """Yield what the model says of the settings: its errors know names and rules, we know where each value came from."""
    found: Callable[[], list[dict[str, Any]]] | None = getattr(error, "errors", None)
    if found is None:
        yield str(error)
        return
    for fault in found():
        name = str(fault["loc"][0]) if fault["loc"] else ""
        entry = given.get(name)
        place = entry.place if entry is not None else name
        value = "" if entry is None or name in _SECRET else f" is {str(entry.value)!r}; it"
        yield f"{place}{value} {_rule(str(fault['msg']))}"


def _rule(message: str) -> str:
    """Return the model's message as the end of a sentence: "Input should be a valid integer, unable to …" → "must be a valid integer"."""
    words = message.partition(", unable to ")[0].split()
    return " ".join(["must", *words[2:]] if words[1:2] == ["should"] else words)


def _file_of_environment() -> Path | None:
    named = os.environ.get(CONFIG_VARIABLE)
    return Path(named) if named else None


def _read(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"the settings file {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"the settings file {file} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings file {file} is not valid TOML: {error}") from None


def _unknown(names: Iterable[str], known: Iterable[str], described: Callable[[str], str]) -> list[str]:
    choices = sorted(known)
    complaints = []
    for name in sorted(set(names) - set(choices)):
        nearest = get_close_matches(name, choices, 1, cutoff=0.0)
        complaints.append(f"{described(name)} is unknown; the nearest known one is {nearest[0]}")
    return complaints


def _named_in(environment: Mapping[str, str]) -> list[str]:
    return [name for name in Settings.model_fields if _variable(name) in environment]


def _variable(name: str) -> str:
    return f"{PREFIX}{name}".upper()


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
