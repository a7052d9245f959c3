"""What one tenant may have: executions that wait or run, executions that are stored, and the space of its files. Asked by `intake` and by the store of files.

Where nothing is set there is no limit, and nothing is counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from stepswitch.domain.errors import ErrorCode, Fault, InvalidRequestError


@dataclass(frozen=True, slots=True)
class Quota:
    """The limits of one tenant; None is no limit."""

    executions_at_once: int | None = None
    """Executions whose step is carried out at the same time; turns, for which nobody is needed, apart."""
    queued_executions: int | None = None
    stored_executions: int | None = None
    file_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Quotas:
    """The limits of every tenant: those of its own, and those of all for the others."""

    of_all: Quota = Quota()
    own: Mapping[str, Quota] = field(default_factory=dict)

    def of(self, tenant: str) -> Quota:
        """Return the limits of a tenant."""
        return self.own.get(tenant, self.of_all)


NO_QUOTAS: Final = Quotas()


def check_file_space(tenant: str, used: int, more: int, limit: int) -> None:
    """Raise InvalidRequestError where files that take `used` bytes and one of `more` are over a limit."""
    if used + more > limit:
        message = (
            f"the files of the tenant {tenant} take {used} bytes, and may take {limit}; this one was not stored: "
            "remove files, or the executions and workflows that they belong to"
        )
        raise InvalidRequestError([Fault(ErrorCode.LIMIT_REACHED, "", message)])
