"""What the API needs of the rest of the house, and what an operation is handed. Put together in `bootstrap`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from stepswitch.api.wire.answers import Answers, Root
from stepswitch.engine.callers import Caller
from stepswitch.engine.catalogue import Catalogue
from stepswitch.engine.executions import Executions
from stepswitch.engine.lists import Lists
from stepswitch.engine.logbook import Logbook
from stepswitch.engine.ports import Authenticator, Clock, FileStore, HostKeyStore, Ids
from stepswitch.engine.rehearsals import Rehearsals
from stepswitch.engine.steering import ExecutionSteering
from stepswitch.engine.views import Views
from stepswitch.engine.watchers import Watchers

NOBODY: Final = Caller("")
"""The caller of an operation that wants no login."""


@dataclass(frozen=True, slots=True)
class HostKeyTools:
    """What can be done with host keys beside storing them.

    `scan` (host, port, seconds) asks a server for its keys, as OpenSSH lines, and raises TargetError; `parse` brings what a
    person pasted into such a line, and `fingerprint` names one (`SHA256:…`): both raise ValueError with a sentence.
    """

    scan: Callable[[str, int, float], Awaitable[Sequence[str]]]
    parse: Callable[[str], str]
    fingerprint: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class ApiServices:
    """Everything that operations call. `health` returns an object with at least `status`, which is `ok` when all is well."""

    catalogue: Catalogue
    executions: Executions
    rehearsals: Rehearsals
    steering: ExecutionSteering
    logbook: Logbook
    views: Views
    lists: Lists
    watchers: Watchers
    accounts: Authenticator
    files: FileStore
    host_keys: HostKeyStore
    host_key_tools: HostKeyTools
    health: Callable[[], Awaitable[Mapping[str, Any]]]
    clock: Clock
    ids: Ids
    version: str
    body_limit_bytes: int = 10 * 1024 * 1024
    shows_vro_login: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One request, whose caller is known, on its way to its operation."""

    request: Request
    services: ApiServices
    answers: Answers
    caller: Caller
    root: Root


Handler = Callable[[Call], Awaitable[Response]]


def json_response(body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """Return the 200 with `body`."""
    return Response(body, 200, headers, "application/json")
