"""One session with a vCenter over its SOAP API. Called by `guest_machine`; imported when first used, for the vendor's library is large.

The library blocks, so every call goes to a thread with a deadline (`guest_connection`). A session that has expired is logged in again, and the
call made again: what was answered with "not logged in" was not done.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from http.client import HTTPResponse
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from stepswitch.plugin import ErrorCode
from stepswitch.steps.guest_connection import Line, LineConnection, in_thread
from stepswitch.steps.guest_driver import SoapStubAdapter, vim, vmodl
from stepswitch.steps.guest_faults import BusyError, GoneError, GuestError, explained

API_VERSION: Final = "vim.version.version11"
"""vSphere 6.5: old enough for whatever is in use, and new enough for all that is asked."""
_LOGOUT_SECONDS: Final = 2.0
_PIECE_BYTES: Final = 64 * 1024
_FINE: Final = frozenset({200, 201, 204})
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Where:
    """A vCenter and how to get in. `name` is what people call it."""

    name: str
    host: str
    port: int
    path: str
    username: str
    password: str = field(repr=False)
    trusted: ssl.SSLContext = field(repr=False)


@dataclass(frozen=True, slots=True)
class Service:
    """What can be asked in a session, in the words of the vendor's library; every call blocks. Sockets belong to `line`."""

    where: Where
    line: Line
    seconds: float
    stub: Any
    content: Any = None
    processes: Any = None
    files: Any = None
    logins: Any = None

    def machine(self, object_id: str) -> Any:
        """Return a machine by its managed object."""
        return vim.VirtualMachine(object_id, self.stub)

    def properties(self, what: Any, *paths: str) -> dict[str, Any]:
        """Return properties of a managed object, those that have a value."""
        query = vmodl.query.PropertyCollector
        spec = query.FilterSpec(
            objectSet=[query.ObjectSpec(obj=what, skip=False)],
            propSet=[query.PropertySpec(type=type(what), all=False, pathSet=list(paths))],
        )
        found = self.content.propertyCollector.RetrievePropertiesEx(specSet=[spec], options=query.RetrieveOptions())
        return {each.name: each.val for each in found.objects[0].propSet} if found is not None else {}

    def upload(self, url: str, content: bytes) -> None:
        """Send a file to where the vCenter says. Raises OSError, HTTPException and GuestError."""
        self._transferred("PUT", url, content, 0, 0)

    def download(self, url: str, offset: int, most: int) -> bytes:
        """Return what stands behind `offset` in a file, `most` bytes of it at most. Raises as `upload` does."""
        return self._transferred("GET", url, None, offset, most)

    def _transferred(self, method: str, url: str, content: bytes | None, offset: int, most: int) -> bytes:
        place = urlsplit(url)
        if place.scheme != "https":
            raise GuestError(ErrorCode.MALFORMED_ANSWER, f"{self.where.name} wants a file to be copied without TLS, which is not done")
        host = place.hostname or ""
        if host in ("*", ""):  # the vCenter itself, as whoever asks it calls it
            host = self.where.host
        port, seconds = place.port or 443, self.seconds
        connection = LineConnection(
            self.line, context=self.where.trusted, answers=HTTPResponse, host=_bracketed(host), port=port, timeout=seconds
        )
        try:
            headers = {"Content-Type": "application/octet-stream"} if content is not None else {}
            connection.request(method, f"{place.path}?{place.query}", content, headers)
            answer = connection.getresponse()
            if answer.status not in _FINE:
                raise BusyError(ErrorCode.UNEXPECTED_STATUS, f"{host} did not copy the file: it answered with the status {answer.status}")
            _skip(answer.read, offset)
            return _taken(answer.read, most)
        finally:
            connection.close()


class VCenter:
    """A session with a vCenter, begun with the first call. `call_seconds` is how long one may take."""

    def __init__(self, where: Where, call_seconds: float) -> None:
        self.where = where
        self._call_seconds = call_seconds
        self._line = Line()
        self._service: Service | None = None
        self._cookie = ""
        """What stands for the session, which outlives its connections."""

    async def ask(self, what: str, call: Callable[[Service], _T], machine: str = "the machine") -> _T:
        """Return what `call` returns, carried out in a thread; raises GuestError, which says `what` was not done."""

        def work(service: Service) -> _T:
            try:
                return call(service)
            except vim.fault.NotAuthenticated:
                self._log_in(service.content)
                return call(service)

        line = self._line
        try:
            if self._service is None:
                self._service = await in_thread(partial(self._opened, line), line.cut, self._call_seconds)
            return await in_thread(partial(work, self._service), line.cut, self._call_seconds)
        except asyncio.CancelledError:
            self._forget()
            raise
        except Exception as error:  # noqa: BLE001 - see `explained`
            raise self._explained(error, what, machine) from None

    async def close(self) -> None:
        """Log out, as far as that is quick, and cut what is open."""
        if self._service is not None or self._cookie:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._log_out(), _LOGOUT_SECONDS)
        self._forget()

    async def _log_out(self) -> None:
        with suppress(GuestError):
            await self.ask("log out", lambda service: service.content.sessionManager.Logout())

    def _explained(self, error: Exception, what: str, machine: str) -> GuestError:
        found = explained(error, self.where.name, machine, what)
        if isinstance(found, GoneError):
            self._forget()
        return found

    def _forget(self) -> None:
        """Begin anew with the next call: what is open may have half an answer in it."""
        self._line.cut()
        if self._service is not None:
            self._cookie = self._service.stub.cookie
            self._service.stub.DropConnections()
        self._line, self._service = Line(), None

    def _opened(self, line: Line) -> Service:
        """Return the session that there was, or one that is logged in anew."""
        where = self.where
        stub = SoapStubAdapter(
            host=where.host,
            port=where.port,
            path=where.path,
            version=API_VERSION,
            sslContext=where.trusted,
            httpConnectionTimeout=self._call_seconds,
            acceptCompressedResponses=False,  # what is small on the way can be of any size in memory
        )
        stub.scheme = partial(LineConnection, line)
        try:
            return self._logged_in(Service(where, line, self._call_seconds, stub))
        except BaseException:
            stub.DropConnections()
            raise

    def _logged_in(self, service: Service) -> Service:
        service.stub.cookie = self._cookie
        service = replace(service, content=vim.ServiceInstance("ServiceInstance", service.stub).RetrieveContent())
        if self._cookie:
            with suppress(vim.fault.NotAuthenticated):
                return self._with_managers(service)
        self._log_in(service.content)
        try:
            return self._with_managers(service)
        except Exception:
            service.content.sessionManager.Logout()
            raise

    def _with_managers(self, service: Service) -> Service:
        manager = service.content.guestOperationsManager
        if manager is None:
            raise GuestError(ErrorCode.NOT_OFFERED, f"{self.where.name} offers no guest operations")
        found = service.properties(manager, "processManager", "fileManager", "authManager")
        return replace(service, processes=found["processManager"], files=found["fileManager"], logins=found["authManager"])

    def _log_in(self, content: Any) -> None:
        content.sessionManager.Login(userName=self.where.username, password=self.where.password)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _skip(read: Callable[[int], bytes], count: int) -> None:
    while count > 0:
        piece = read(min(_PIECE_BYTES, count))
        if not piece:
            return
        count -= len(piece)


def _taken(read: Callable[[int], bytes], most: int) -> bytes:
    taken = bytearray()
    while len(taken) < most:
        piece = read(min(_PIECE_BYTES, most - len(taken)))
        if not piece:
            break
        taken += piece
    return bytes(taken)
