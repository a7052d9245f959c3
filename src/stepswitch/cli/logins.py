"""Logins that the command line keeps for its user: one for each service, in a file that nobody else can read. Called by `login` and `remote`.

The file is `stepswitch/logins.json` below `$XDG_CONFIG_HOME`, or below `~/.config`. A token is only ever given to the service that it is from.
"""

import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from stepswitch.cli.exits import complain
from stepswitch.domain.errors import SettingsError

FORMAT: Final = 1
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Login:
    """A session at one service; `ca_file` is who is trusted there, where that is not whom the system trusts."""

    url: str
    token: str = field(repr=False)
    username: str = ""
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class Logins:
    """All that are kept; `current` is the address of the service that is meant where none is named."""

    of_service: Mapping[str, Login] = field(default_factory=dict)
    current: str | None = None

    def with_login(self, login: Login) -> "Logins":
        """Return them with one more, at the service that is meant from now on."""
        return Logins({**self.of_service, login.url: login}, login.url)

    def without(self, url: str) -> "Logins":
        """Return them without the one at a service."""
        left = {each: login for each, login in self.of_service.items() if each != url}
        return replace(self, of_service=left, current=self.current if self.current in left else next(iter(left), None))


def logins_file() -> Path:
    """Return where logins are kept."""
    named = os.environ.get("XDG_CONFIG_HOME", "")
    place = Path(named) if named and Path(named).is_absolute() else Path.home() / ".config"
    return place / "stepswitch" / "logins.json"


def read_logins() -> Logins:
    """Return the logins that are kept, none where there is no file; raises SettingsError where it cannot be read."""
    file = logins_file()
    try:
        mode = file.stat().st_mode
        content = json.loads(file.read_text(encoding="utf-8"))
        found = Logins({url: _login(url, entry) for url, entry in content["logins"].items()}, content["current"])
    except FileNotFoundError:
        return Logins()
    except OSError as error:
        raise SettingsError(f"the logins in {file} cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise SettingsError(f"{file} is not as stepswitch login writes it; remove it and log in again") from None
    if mode & _OTHERS:
        complain(f"warning: others may read {file}, which holds your tokens; chmod 600 {file}")
    return found


def write_logins(logins: Logins) -> None:
    """Keep logins instead of those that were kept; raises SettingsError where that cannot be."""
    file = logins_file()
    entries = {url: {"token": each.token, "username": each.username, "caFile": each.ca_file} for url, each in logins.of_service.items()}
    text = json.dumps({"format": FORMAT, "current": logins.current, "logins": entries}, indent=2) + "\n"
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.write(text)
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise SettingsError(f"the login cannot be kept in {file}: {error.strerror}") from None


def _login(url: str, entry: Mapping[str, Any]) -> Login:
    return Login(url, str(entry["token"]), str(entry["username"]), entry.get("caFile"))
