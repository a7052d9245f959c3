"""Who asks. Made by `access`, passed to every use case."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who is logged in, or the command line on its own machine."""

    user: str
    tenant: str = "default"
    roles: tuple[str, ...] = ()
