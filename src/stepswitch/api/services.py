"""What the API needs of the rest of the house, and what an operation is handed. Put together in `bootstrap`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stepswitch.api.wire.answers import Answers, Root
from stepswitch.api.wire.fields import ALL, Fields
from stepswitch.domain.changed import quickly_made
from stepswitch.engine.account_ports import Authenticator, ProviderLogins
from stepswitch.engine.audit_trail import AuditTrail
from stepswitch.engine.callers import Caller
from stepswitch.engine.catalogue import Catalogue
from stepswitch.engine.credentials import Credentials
from stepswitch.engine.cut_answers import CutAnswers
from stepswitch.engine.executions import Executions
from stepswitch.engine.feed import Feed
from stepswitch.engine.held_locks import HeldLocks
from stepswitch.engine.inventories import Inventories
from stepswitch.engine.inventory_sources import InventorySources
from stepswitch.engine.keyed_requests import KeyedRequests
from stepswitch.engine.lists import Lists
from stepswitch.engine.logbook import Logbook
from stepswitch.engine.logins import Logins
from stepswitch.engine.ports import Clock, FileStore, HostKeyStore, Ids
from stepswitch.engine.rehearsals import Rehearsals
from stepswitch.engine.roles import Roles
from stepswitch.engine.steering import ExecutionSteering
from stepswitch.engine.usage import Usages
from stepswitch.engine.users import Users
from stepswitch.engine.views import ExecutionView, Views
from stepswitch.engine.vro_logins import VroLogins
from stepswitch.engine.watchers import Watchers

NOBODY: Final = Caller("")
"""The caller of an operation that wants no login."""
JSON: Final = "application/json"
_JSON_HEADER: Final = (b"content-type", JSON.encode())
WHOLE_BYTES: Final = 128 * 1024
"""A body up to here is sent as a whole, with its length."""
PIECE_BYTES: Final = 64 * 1024
"""About so much of a longer one is sent at once."""


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
    keyed_requests: KeyedRequests
    cut_answers: CutAnswers
    steering: ExecutionSteering
    logbook: Logbook
    views: Views
    vro_logins: VroLogins
    lists: Lists
    watchers: Watchers
    feed: Feed
    accounts: Authenticator
    provider_logins: ProviderLogins | None
    users: Users
    roles: Roles
    usages: Usages
    held_locks: HeldLocks
    logins: Logins
    credentials: Credentials
    inventories: Inventories
    inventory_sources: InventorySources
    files: FileStore
    host_keys: HostKeyStore
    host_key_tools: HostKeyTools
    health: Callable[[], Awaitable[Mapping[str, Any]]]
    audit: AuditTrail
    clock: Clock
    ids: Ids
    version: str
    body_limit_bytes: int = 10 * 1024 * 1024
    multipart_limit_bytes: int = 256 * 1024 * 1024
    receiving_limit_bytes: int = 512 * 1024 * 1024
    shows_vro_login: bool = False
    requests_per_second: float | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class Call:
    """One request, whose caller is known, on its way to its operation."""

    request: Request
    services: ApiServices
    answers: Answers
    caller: Caller
    root: Root


Handler = Callable[[Call], Awaitable[Response]]


class _JsonResponse(Response):
    """A response whose body is JSON. Nearly always it has no headers of its own, and then they are not made anew each time."""

    media_type = JSON

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        if headers:
            super().init_headers(headers)
        else:
            self.raw_headers = [(b"content-length", b"%d" % len(self.body)), _JSON_HEADER]


def json_response(body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """Return the 200 with `body`."""
    return _JsonResponse(body, 200, headers)


async def pieces_response(pieces: AsyncIterator[bytes], headers: Mapping[str, str] | None = None) -> Response:
    """Return the 200 with a body that comes in pieces: a short one as a whole, a long one while it is made.

    What goes wrong before a long one has begun is raised here; later it cuts the connection.
    """
    waiting: list[bytes] = []
    size = 0
    async for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= WHOLE_BYTES:
            return StreamingResponse(_joined(b"".join(waiting), pieces), 200, headers, JSON)
    return json_response(b"".join(waiting), headers)


async def _joined(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give what is to be sent, many small pieces at once."""
    yield first
    waiting: list[bytes] = []
    size = 0
    async for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


async def execution_response(call: Call, view: ExecutionView, fields: Fields = ALL, headers: Mapping[str, str] | None = None) -> Response:
    """Return the 200 with an execution; a long one is read and written while it is sent."""
    if view.rows is None:
        return json_response(call.answers.execution(view, call.root, fields), headers)
    return await pieces_response(call.answers.execution_pieces(view, call.root, fields), headers)
