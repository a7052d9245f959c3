"""Who asks. Made by `access`, passed to every use case."""

from dataclasses import dataclass
from typing import Final

ADMINISTRATOR: Final = "System Administrator"
"""The role that may do everything."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who is logged in, or the command line on its own machine."""

    user: str
    tenant: str = "default"
    roles: tuple[str, ...] = ()

    @property
    def is_administrator(self) -> bool:
        """Whether the role that may do everything was given."""
        return ADMINISTRATOR in self.roles
