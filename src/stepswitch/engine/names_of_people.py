"""What users, roles and tenants may be called. Called by `users` and `roles`."""

from typing import Final

from stepswitch.domain.errors import ErrorCode, Fault

LONGEST_NAME: Final = 256


def name_faults(path: str, name: str) -> list[Fault]:
    """Return a fault where nobody and nothing can be called `name`: it stands in paths of the API, and people read it."""
    if 0 < len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip() and "/" not in name and name not in (".", ".."):
        return []
    message = f"is to have 1 to {LONGEST_NAME} printable characters, none of them '/', and no blank at either end"
    return [Fault(ErrorCode.INVALID_VALUE, path, message)]


def user_name_faults(path: str, name: str) -> list[Fault]:
    """Return a fault where no user with a password can be called `name`: a `:` has those whom a provider vouches for, and nobody else."""
    if ":" in name:
        return [Fault(ErrorCode.INVALID_VALUE, path, "has a ':', which stands in the names of those whom a provider vouches for")]
    return name_faults(path, name)
