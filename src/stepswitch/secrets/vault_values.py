"""Values in HashiCorp Vault's KV engine, version 2, read at the moment of use. Called by `credential_sources`."""

from urllib.parse import quote

from stepswitch.domain.errors import CredentialError, ErrorCode, SettingsError
from stepswitch.engine.credential_records import VaultValue
from stepswitch.secrets.vault import Vault


def vault_faults(vault: Vault | None, source: VaultValue) -> list[tuple[str, str]]:
    """Return what is wrong with a source before Vault is asked."""
    found = [] if vault is not None else [("kind", "there is no Vault here: the setting vault_address says where one is")]
    message = "is to be a path in Vault: names between single slashes, none of them '.' or '..'"
    found += [(name, message) for name in ("mount", "path") if not _is_path(getattr(source, name))]
    return found


def _is_path(path: str) -> bool:
    return path.isprintable() and all(part not in ("", ".", "..") for part in path.split("/"))


async def vault_value(vault: Vault | None, source: VaultValue) -> str:
    """Return a value; raises CredentialError with what Vault says."""
    if vault is None:
        raise CredentialError(ErrorCode.CREDENTIAL_UNAVAILABLE, "there is no Vault here: the setting vault_address says where one is")
    place = f"{source.mount}/{source.path}"
    try:
        answer = await vault.ask("GET", f"{quote(source.mount)}/data/{quote(source.path)}", f"read {place}")
    except SettingsError as error:
        raise CredentialError(ErrorCode.CREDENTIAL_UNAVAILABLE, str(error)) from None
    data = answer.get("data")
    value = data.get(source.key) if isinstance(data, dict) else None
    if not isinstance(value, str):
        raise CredentialError(ErrorCode.CREDENTIAL_UNAVAILABLE, f"{place} in Vault has no text under the key {source.key!r}")
    return value
