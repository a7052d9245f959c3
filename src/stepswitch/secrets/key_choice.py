"""Which key-encryption key the settings name: `file:PATH`, `env:VARIABLE`, `vault:KEY`, or the file beside the database. Built by `bootstrap`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stepswitch.domain.errors import SettingsError
from stepswitch.secrets.key_sources import KeySource, key_in_environment, key_in_file, make_key_file
from stepswitch.secrets.vault import Vault, VaultKey

_FORMS: Final = "file:PATH, env:VARIABLE or vault:KEY"
_OURS: Final = "STEPSWITCH_"


@dataclass(frozen=True, slots=True)
class KeyChoice:
    """`wanted` as in the settings, empty for the file that the service makes itself. `vault` is None where no address is set."""

    wanted: str
    own_file: Path
    environment: Mapping[str, str]
    vault: Vault | None = None

    @property
    def makes_its_own(self) -> bool:
        """Whether a key that is missing can be made, as nobody else has it."""
        return not self.wanted

    def source(self) -> KeySource:
        """Return the key; raises KeyMissingError where it is not there, SettingsError where it cannot be used or the setting cannot be read."""
        kind, colon, name = self.wanted.partition(":")
        if not self.wanted:
            return key_in_file(self.own_file)
        if not colon or not name:
            raise SettingsError(f"secrets_key has to be {_FORMS}")
        if kind == "file":
            return key_in_file(Path(name))
        if kind == "env":
            if name.upper().startswith(_OURS):
                raise SettingsError(
                    f"secrets_key names the variable {name}: name one that does not begin with {_OURS}, which is for settings"
                )
            return key_in_environment(name, self.environment)
        if kind == "vault":
            return self._in_vault(name)
        raise SettingsError(f"secrets_key begins with {kind!r}: it has to be {_FORMS}")

    def made(self) -> KeySource:
        """Return a new key in the service's own file."""
        return make_key_file(self.own_file)

    def _in_vault(self, name: str) -> KeySource:
        if self.vault is None:
            raise SettingsError("secrets_key is in Vault, and vault_address does not say where that is")
        if not self.vault.token and self.vault.token_file is None:
            raise SettingsError("secrets_key is in Vault, and neither vault_token nor vault_token_file is set")
        return VaultKey(self.vault, name)
