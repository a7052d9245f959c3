"""A vCenter with one machine, over TLS on a real socket, for the vendor's own library: whatever that takes is the protocol. Used by the tests of TCA_EXEC.

It speaks SOAP as far as TCA_EXEC needs it: RetrieveServiceContent, Login and Logout, RetrievePropertiesEx of single objects, FindByUuid and
FindByInventoryPath, and guest operations: ValidateCredentialsInGuest; CreateTemporaryDirectoryInGuest, ChangeFileAttributesInGuest,
ListFilesInGuest, DeleteDirectoryInGuest and file transfers both ways; StartProgramInGuest, ListProcessesInGuest, TerminateProcessInGuest. The
guest is `tests.guests.Guest`, in which programs really run.

It leaves out: every other machine and folder, roles, versions of the API, tasks, WSDL, keep-alive, events, several ESX hosts (files are copied by
the vCenter itself, whose name in a URL is `*`), the wait of a real machine before a program is seen. A real vCenter says more about each object than is asked here.
"""

import asyncio
import itertools
import re
import secrets
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from lxml import etree

from tests.certificates import own_certificate
from tests.guests import Guest, GuestFaultError
from tests.steps.http_server import Asked, Handler, HttpServer, reply

USER: Final = "workflows@vsphere.local"
PASSWORD: Final = "password-of-the-vcenter"
MACHINE: Final = "vm-1042"
UUID: Final = "502e4fb8-1b1c-4a7e-9d0a-7b1f6f2a9c11"
PATH: Final = "Paris/vm/smf-1"
_SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
)
_TAIL: Final = "</soapenv:Body></soapenv:Envelope>"
_CONTENT: Final = "".join(
    f'<{name} type="{kind}">{name}</{name}>'
    for name, kind in (
        ("rootFolder", "Folder"),
        ("propertyCollector", "PropertyCollector"),
        ("sessionManager", "SessionManager"),
        ("searchIndex", "SearchIndex"),
        ("guestOperationsManager", "GuestOperationsManager"),
    )
)
_MANAGERS: Final = {"processManager": "GuestProcessManager", "fileManager": "GuestFileManager", "authManager": "GuestAuthManager"}
_CLOSING_SECONDS: Final = 5.0
_OPEN: Final = frozenset({"RetrieveServiceContent", "Login"})


class FakeVCenter(HttpServer):
    """`calls` are the methods that were called. `refuses` has faults by method, each for one call; `cuts` says when a method's connection breaks,
    `before` or `after` it was carried out; `holds` are methods that get no answer; while `is_away`, nobody gets one."""

    def __init__(self, place: Path) -> None:
        self.certificate, tls = own_certificate(place)
        super().__init__(tls)
        self.guest = Guest(place / "guest")
        self.user, self.password = USER, PASSWORD
        self.sessions: set[str] = set()
        self.calls: list[str] = []
        self.refuses: defaultdict[str, list[str]] = defaultdict(list)
        self.cuts: dict[str, str] = {}
        self.holds: set[str] = set()
        self.called: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.is_away = False
        self._urls: dict[str, str] = {}
        self._numbers = itertools.count(1)

    async def __aexit__(self, *raised: Any) -> None:
        await self.guest.destroy()
        assert self._server is not None
        closed = asyncio.create_task(self._server.wait_closed())
        await asyncio.sleep(0)  # so that it waits for connections that have not come to a request, too
        await super().__aexit__(*raised)
        with suppress(TimeoutError):
            await asyncio.wait_for(closed, _CLOSING_SECONDS)

    def count(self, method: str) -> int:
        """Return how often a method was called."""
        return Counter(self.calls)[method]

    def handler_of(self, asked: Asked) -> Handler:
        """See `HttpServer`."""
        if self.is_away:
            return _hang_up
        if asked.target == "/sdk":
            return self._answer
        return self._copy if asked.target.startswith("/guestFile?") else reply(404)

    async def _answer(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, given = _read(asked.body)
        self.calls.append(method)
        cut, fault = self.cuts.pop(method, ""), self.refuses[method].pop(0) if self.refuses[method] else ""
        self.called[method].set()
        if method in self.holds:
            await reader.read()
        if cut == "before" or method in self.holds:
            writer.transport.abort()
            return
        cookie, body, status = asked.header("cookie") or "", "", 200
        try:
            _raise(fault)
            if method not in _OPEN and not any(session in cookie for session in self.sessions):
                _raise("NotAuthenticated")
            answer = await self._carry_out(method, given, cookie)
            body = f'<{method}Response xmlns="urn:vim25">{answer}</{method}Response>'
        except GuestFaultError as error:
            body, status = _fault(error.kind), 500
        if cut == "after" or self.is_away:
            writer.transport.abort()
            return
        headers = {"connection": "close", "content_type": "text/xml; charset=utf-8"}
        if method == "Login" and status == 200:
            session = secrets.token_hex(8)
            self.sessions.add(session)
            headers["set_cookie"] = f'vmware_soap_session="{session}"; Path=/; HttpOnly; Secure;'
        await reply(status, f"{_HEAD}{body}{_TAIL}".encode(), **headers)(asked, reader, writer)

    async def _carry_out(self, method: str, given: dict[str, Any], cookie: str) -> str:
        match method:
            case "RetrieveServiceContent":
                return f"<returnval>{_CONTENT}<about><name>a vCenter for tests</name></about></returnval>"
            case "Login":
                if (given["userName"].text, given["password"].text) != (USER, self.password):
                    raise GuestFaultError("InvalidLogin")
                return "<returnval><key>1</key></returnval>"
            case "Logout":
                self.sessions = {each for each in self.sessions if each not in cookie}
                return ""
            case "RetrievePropertiesEx":
                return self._properties(given["specSet"])
            case "FindByUuid":
                return _found(given["uuid"].text == UUID and given["instanceUuid"].text == "true")
            case "FindByInventoryPath":
                return _found(given["inventoryPath"].text == PATH)
            case _:
                return await self._in_guest(method, given)

    def _properties(self, spec: Any) -> str:
        what = spec.find("{*}objectSet/{*}obj")
        paths = [each.text for each in spec.findall("{*}propSet/{*}pathSet")]
        if what.get("type") == "GuestOperationsManager":
            values = {name: f'<val type="{kind}" xsi:type="ManagedObjectReference">{name}</val>' for name, kind in _MANAGERS.items()}
        else:
            _must_be_known(what.text)
            guest = self.guest
            values = {"runtime.powerState": f'<val xsi:type="VirtualMachinePowerState">{guest.power}</val>'}
            if guest.power == "poweredOn":
                values["guest.toolsRunningStatus"] = f'<val xsi:type="xsd:string">{guest.tools}</val>'
                values["guest.guestFamily"] = f'<val xsi:type="xsd:string">{guest.family}</val>'
        found = "".join(f"<propSet><name>{path}</name>{values[path]}</propSet>" for path in paths if path in values)
        kind = what.get("type")
        return f'<returnval><objects><obj type="{kind}">{what.text}</obj>{found}</objects></returnval>'

    async def _in_guest(self, method: str, given: dict[str, Any]) -> str:
        _must_be_known(given["vm"].text)
        guest, auth = self.guest, given["auth"]
        guest.let_in(auth.findtext("{*}username") or "", auth.findtext("{*}password") or "")
        path = given["filePath"].text if "filePath" in given else ""
        match method:
            case "ValidateCredentialsInGuest":
                return ""
            case "CreateTemporaryDirectoryInGuest":
                return f"<returnval>{escape(guest.make_directory(given['directoryPath'].text, given['prefix'].text))}</returnval>"
            case "ChangeFileAttributesInGuest":
                guest.protect(given["guestFilePath"].text, int(given["fileAttributes"].findtext("{*}permissions")))
                return ""
            case "ListFilesInGuest":
                pattern = given["matchPattern"].text if "matchPattern" in given else ".*"
                files = "".join(
                    f"<files><path>{escape(name)}</path><type>{kind}</type><size>{size}</size><attributes/></files>"
                    for name, kind, size in guest.files_in(path)
                    if re.match(pattern, name)
                )
                return f"<returnval>{files}<remaining>0</remaining></returnval>"
            case "DeleteDirectoryInGuest":
                guest.remove(given["directoryPath"].text)
                return ""
            case "InitiateFileTransferToGuest":
                return f"<returnval>{self._url(given['guestFilePath'].text)}</returnval>"
            case "InitiateFileTransferFromGuest":
                size = guest.size_of(given["guestFilePath"].text)
                return f"<returnval><attributes/><size>{size}</size><url>{self._url(given['guestFilePath'].text)}</url></returnval>"
            case "StartProgramInGuest":
                spec = given["spec"]
                pid = guest.start(*(spec.findtext(f"{{*}}{name}") for name in ("programPath", "arguments", "workingDirectory")))
                return f"<returnval>{pid}</returnval>"
            case "ListProcessesInGuest":
                return "".join(_process(*each) for each in guest.processes())
            case "TerminateProcessInGuest":
                await guest.end(int(given["pid"].text))
                return ""
            case _:
                raise GuestFaultError("MethodNotFound")

    def _url(self, path: str) -> str:
        token = secrets.token_hex(8)
        self._urls[token] = path
        return f"https://*:{self.port}/guestFile?id={next(self._numbers)}&amp;token={token}"

    async def _copy(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls.append(asked.method)
        self.called[asked.method].set()
        path = self._urls.pop(parse_qs(urlsplit(asked.target).query)["token"][0], None)
        if path is None:
            await reply(403, connection="close")(asked, reader, writer)
        elif asked.method == "PUT":
            try:
                self.guest.write(path, asked.body)
            except OSError:
                await reply(500, connection="close")(asked, reader, writer)
            else:
                await reply(200, connection="close")(asked, reader, writer)
        else:
            try:
                answer = reply(200, self.guest.read(path), connection="close")
            except OSError:
                answer = reply(500, connection="close")
            await answer(asked, reader, writer)


def _read(body: bytes) -> tuple[str, dict[str, Any]]:
    """Return method and arguments of a request. No entity is resolved and nothing is fetched, whatever the request declares."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    call = etree.fromstring(body, parser).find(f"{{{_SOAP}}}Body")[0]  # type: ignore[index]
    return etree.QName(call).localname, {etree.QName(each).localname: each for each in call}


def _raise(fault: str) -> None:
    if fault:
        raise GuestFaultError(fault)


def _fault(kind: str) -> str:
    privilege = "<privilegeId>VirtualMachine.GuestOperations.Execute</privilegeId>" if kind == "NoPermission" else ""
    return (
        f"<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>it said {kind}</faultstring><detail>"
        f'<{kind}Fault xmlns="urn:vim25" xsi:type="{kind}">{privilege}</{kind}Fault></detail></soapenv:Fault>'
    )


def _found(is_known: bool) -> str:
    return f'<returnval type="VirtualMachine">{MACHINE}</returnval>' if is_known else ""


def _must_be_known(object_id: str | None) -> None:
    if object_id != MACHINE:
        raise GuestFaultError("ManagedObjectNotFound")


def _process(pid: int, command_line: str, ended: str | None, code: int | None) -> str:
    end = "" if ended is None else f"<endTime>{ended}</endTime><exitCode>{code}</exitCode>"
    return (
        f"<returnval><name>sh</name><pid>{pid}</pid><owner>root</owner><cmdLine>{escape(command_line)}</cmdLine>"
        f"<startTime>2026-01-01T00:00:00Z</startTime>{end}</returnval>"
    )


async def _hang_up(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
