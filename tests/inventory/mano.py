"""A VNFM (SOL 003) and an NFVO (SOL 005) over a real socket, which list instances, page by page, as the interfaces say.

They know `all_fields`, one filter by equality, `Version`, `nextpage_opaque_marker`, single instances, Basic and bearer tokens, and give tokens by client
credentials (SOL 013). They leave out: every way to change something, subscriptions, `fields` and `exclude_fields`, other filters, certificates of clients,
and what of an instance nobody here reads. A handler that is set for a path answers in their place, well or badly.
"""

import asyncio
import base64
import json
import ssl
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from tests.steps.http_server import Asked, Handler, HttpServer, reply

LEFT_OUT: Final = ("vimConnectionInfo", "instantiatedVnfInfo", "vnfInstance")
"""What lists leave out unless `all_fields` is asked for."""
USER, PASSWORD, SECRET = "stepswitch", "a pigeon of Paris", "three owls of Rome"


def vnf(name: str, vim: str = "vim-1", *machines: str, version: int = 2, kind: str = "ETSINFV.VMWARE.V_1", **more: Any) -> dict[str, Any]:
    """Return a `VnfInstance` that runs at one VIM."""
    connection = {"vimId": f"{vim} itself", "vimType": kind, "accessInfo": {"password": "not for you"}}
    return {
        "id": name,
        "vnfInstanceName": f"{name} by name",
        "vnfdId": "d-1",
        "instantiationState": "INSTANTIATED",
        "vimConnectionInfo": {vim: connection} if version == 2 else [{"id": vim, **connection}],
        "instantiatedVnfInfo": {
            "flavourId": "f",
            "vnfState": "STARTED",
            "vnfcResourceInfo": [
                {"id": f"c-{each}", "vduId": "v", "computeResource": {"vimConnectionId": vim, "resourceId": each}} for each in machines
            ],
        },
        **more,
    }


def ns(name: str, *functions: dict[str, Any]) -> dict[str, Any]:
    """Return an `NsInstance` with its network functions."""
    return {"id": name, "nsInstanceName": f"{name} by name", "nsState": "INSTANTIATED", "vnfInstance": list(functions)}


class Mano(HttpServer):
    """Has `functions` and `services`, `page` of them on each page; `login` says how one has to come: "basic", "bearer" or in no way."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.functions: list[dict[str, Any]] = []
        self.services: list[dict[str, Any]] = []
        self.page = 2
        self.version = "2.0.0"
        self.login = ""
        self.tokens: list[str] = []
        self.is_held = False
        self.released = asyncio.Event()
        self.reached = asyncio.Event()

    @property
    def root(self) -> str:
        """The root of the API."""
        return self.url("/mano")

    def handler_of(self, asked: Asked) -> Handler:
        """See `HttpServer`."""
        self.reached.set()
        path = urlsplit(asked.target).path
        if path in self.handlers:
            return self.handlers[path]
        if path == "/token":
            return self._token(asked)
        if (refusal := self._refusal(asked)) is not None:
            return refusal
        major = self.version.partition(".")[0]
        for prefix, found in (
            (f"/mano/vnflcm/v{major}/vnf_instances", self.functions),
            (f"/mano/nslcm/v{major}/ns_instances", self.services),
        ):
            if path == prefix:
                return self._held(self._list(asked, found))
            if path.startswith(f"{prefix}/"):
                one = next((each for each in found if each["id"] == unquote(path.removeprefix(f"{prefix}/"))), None)
                return _problem(404, "Not Found", "no such instance") if one is None else _json(one)
        return _problem(404, "Not Found", "no such resource")

    def hold(self) -> None:
        """Answer no list until `release`."""
        self.is_held = True
        self.released.clear()

    def release(self) -> None:
        """Answer lists again, those too that are waited for."""
        self.is_held = False
        self.released.set()

    def _held(self, handler: Handler) -> Handler:
        if not self.is_held:
            return handler

        async def answer(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self.released.wait()
            await handler(asked, reader, writer)

        return answer

    def _refusal(self, asked: Asked) -> Handler | None:
        came = asked.header("authorization") or ""
        wanted = {
            "basic": {f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"},
            "bearer": {f"Bearer {each}" for each in self.tokens[-1:]},
            "": {""},
        }[self.login]
        if came not in wanted:
            return _problem(401, "Unauthorized", f"{came} is nobody here")
        if asked.header("version") != self.version:
            return _problem(406, "Not Acceptable", f"only {self.version}")
        return None

    def _token(self, asked: Asked) -> Handler:
        expected = base64.b64encode(f"{USER}:{SECRET.replace(' ', '+')}".encode()).decode()
        form = parse_qs(asked.body.decode())
        if asked.header("authorization") != f"Basic {expected}" or form.get("grant_type") != ["client_credentials"]:
            return _json({"error": "invalid_client", "error_description": f"{SECRET} is wrong"}, 401)
        self.tokens.append(f"token-{len(self.tokens)}-{'-'.join(form.get('scope', []))}")
        return _json({"access_token": self.tokens[-1], "token_type": "Bearer", "expires_in": 3600})

    def _list(self, asked: Asked, found: list[dict[str, Any]]) -> Handler:
        query = parse_qs(urlsplit(asked.target).query, keep_blank_values=True)
        if "filter" in query:
            _, name, value = query["filter"][0].strip("()").split(",", 2)
            found = [each for each in found if each.get(name) == value]
        first = int(query.get("nextpage_opaque_marker", ["0"])[0])
        # A marker stands for the whole question: the next page has what was asked for on the first.
        is_whole = "all_fields" in query or "nextpage_opaque_marker" in query
        page = [
            each if is_whole else {name: each[name] for name in each if name not in LEFT_OUT} for each in found[first : first + self.page]
        ]
        last = first + self.page
        path = urlsplit(asked.target).path
        headers = {"link": f'<{self.url(path)}?nextpage_opaque_marker={last}>; rel="next"'} if last < len(found) else {}
        return _json(page, 200, **headers)


def _json(value: object, status: int = 200, **headers: str) -> Handler:
    return reply(status, json.dumps(value).encode(), content_type="application/json", **headers)


def _problem(status: int, title: str, detail: str) -> Handler:
    return reply(status, json.dumps({"title": title, "status": status, "detail": detail}).encode(), content_type="application/problem+json")
