"""How people and their groups are found in a directory, and which roles the groups mean. Built by `bootstrap`, used by `directory_talk` and `directory_people`."""

import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from stepswitch.access.directory_text import Name, escaped, read_name, value_of
from stepswitch.domain.this_machine import is_this_machine
from stepswitch.engine.callers import DEFAULT_TENANT
from stepswitch.engine.privileges import role_name

USERNAME: Final = "{username}"
DN: Final = "{dn}"
ANYBODY: Final = "(objectClass=*)"


class Encryption(StrEnum):
    """How the way to the directory is encrypted."""

    TLS = "ldaps"
    START_TLS = "StartTLS"
    NONE = "none"


class DirectoryFaultError(Exception):
    """The directory does not do what it is there for; the message is a sentence for the log."""


@dataclass(frozen=True, slots=True)
class DirectoryServer:
    """Where the directory is. An answer has to come within `seconds`, counted from the first packet to the last."""

    host: str
    port: int
    encryption: Encryption
    ca_file: Path | None = None
    seconds: float = 5.0

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        return is_this_machine(self.host)

    @property
    def label(self) -> str:
        """What the log calls it."""
        return f"{self.host}:{self.port}"

    def trusted(self) -> ssl.SSLContext:
        """Return what its certificate is checked with; raises OSError where the file of the authorities cannot be read."""
        return ssl.create_default_context(cafile=self.ca_file)


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """With whom the service itself asks. The password is in a file, which is read each time, for it may be changed; or it is `password`."""

    dn: str
    password: str = field(default="", repr=False)
    password_file: Path | None = None

    def secret(self) -> str:
        """Return the password; raises OSError or ValueError where the file cannot be read."""
        return self.password if self.password_file is None else self.password_file.read_text(encoding="utf-8").strip("\r\n")


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """Somebody in the directory: `id` stays the same for good, `groups` are the names of the entries of his groups.

    `name` is what he is called: of several names the one that was typed, else the first by the alphabet; empty where he has none that anybody could have.
    """

    dn: str
    id: str
    name: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DirectoryRules:
    """What is asked for. `user_dn` is where somebody's entry stands, with his name in it; empty where it is searched with `user_filter` below `user_base`.

    Groups are those below `group_base` that fit `group_filter`, and those that the attribute `member_of` of his own entry names.
    """

    user_dn: str = ""
    user_base: str = ""
    user_filter: str = ""
    name_attribute: str = "uid"
    id_attribute: str = "entryUUID"
    group_base: str = ""
    group_filter: str = ""
    member_of: str = ""
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tenant: str = DEFAULT_TENANT

    @property
    def base(self) -> str:
        """Below which entry people are."""
        return self.user_base or self.user_dn.partition(",")[2].strip()

    @property
    def attributes(self) -> list[str]:
        """What has to be known of somebody's entry."""
        return [each for each in (self.name_attribute, self.id_attribute, self.member_of) if each]

    def entry_of(self, username: str) -> str:
        """Return where the entry of somebody stands."""
        return self.user_dn.replace(USERNAME, escaped(username))

    def filter_of(self, username: str) -> str:
        """Return the filter that finds somebody by what he typed."""
        return (self.user_filter or ANYBODY).replace(USERNAME, escaped(username))

    def filter_of_id(self, entry_id: str) -> str:
        """Return the filter that finds somebody again, whatever he is called now, as long as he is one of those who may log in."""
        return f"(&{(self.user_filter or ANYBODY).replace(USERNAME, '*')}({self.id_attribute}={escaped(value_of(entry_id))}))"

    def filter_of_groups(self, dn: str, names: Sequence[str]) -> str:
        """Return the filter that finds the groups of somebody, by any of his names."""
        of_entry = self.group_filter.replace(DN, escaped(dn))
        filters = dict.fromkeys(of_entry.replace(USERNAME, escaped(each)) for each in names or [""])
        return "".join(filters) if len(filters) == 1 else f"(|{''.join(filters)})"

    def roles_of(self, groups: Iterable[str]) -> tuple[str, ...]:
        """Return the roles that groups mean, in the order of the settings. One is called by the name of its entry, or by its own where it stands right below `group_base`."""
        base = read_name(self.group_base)
        names: set[Name] = set()
        short: set[str] = set()
        for each in groups:
            if (name := read_name(each)) is not None:
                names.add(name)
                if base is not None and name[1:] == base and len(name[0]) == 1:
                    short.update(value for _, value in name[0])
        given = (roles for called, roles in self.roles.items() if read_name(called) in names or called.casefold() in short)
        return tuple(dict.fromkeys(role_name(role) for roles in given for role in roles))
