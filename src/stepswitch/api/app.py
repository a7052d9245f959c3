"""The API as an ASGI application: every route, in one place. Called by `bootstrap`.

The routes come from the table in `operations`; FastAPI carries them, and nothing of a request goes through its dependency
injection: reading and writing JSON by hand is what lets one core take a thousand executions a second.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from stepswitch.api import problems
from stepswitch.api.compression import Compression
from stepswitch.api.connections import is_known
from stepswitch.api.limits import Limits
from stepswitch.api.openapi import TITLE, openapi_document
from stepswitch.api.operation import Operation
from stepswitch.api.operations import served
from stepswitch.api.rates import Rates
from stepswitch.api.receiving import SMALL_BYTES, Room
from stepswitch.api.recording import Recording
from stepswitch.api.reference_page import POLICY, reference_page
from stepswitch.api.request_bodies import Body, BodyLimits
from stepswitch.api.services import NOBODY, ApiServices, Call, HostKeyTools
from stepswitch.api.sessions import token_of
from stepswitch.api.wire.answers import PLAIN_ROOT, Answers, Root, tenant_root
from stepswitch.api.wire.documents import encode
from stepswitch.domain.errors import HiddenError, StepswitchError
from stepswitch.engine.callers import Caller
from stepswitch.engine.crash_points import CrashPoint, reach

__all__ = ["ApiServices", "HostKeyTools", "StepswitchApi", "create_app", "describe"]
OPENAPI_PATH: Final = "/openapi.json"
REFERENCE_PATH: Final = "/docs"


class StepswitchApi(FastAPI):
    """The application; its description is ours, not one that FastAPI derives."""

    def __init__(self, version: str) -> None:
        super().__init__(
            title=TITLE,
            version=version,
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            telemetry={"tracing": False, "metrics": False, "logs": False},  # nobody sets a provider up, and each request would look for one
            exception_handlers={HTTPException: _answer_http_error},
        )

    def build_middleware_stack(self) -> ASGIApp:
        """Return what a request goes through: `limits`, then the routes. What FastAPI puts between them serves nobody here and costs a tenth."""
        app: ASGIApp = FixedPaths(self.router, ExceptionMiddleware(self.router, handlers=self.exception_handlers))
        for each in reversed(self.user_middleware):
            app = each.cls(app, *each.args, **each.kwargs)
        return app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry out one request, past what FastAPI and Starlette do before it: they look for telemetry and a root path, and there is neither."""
        if scope["type"] != "http" or self.middleware_stack is None:
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        return describe(self.version).document


class FixedPaths:
    """Finds the resource of a path that has no parameters at once; `others`, which try one route after the other, have the rest."""

    def __init__(self, router: APIRouter, others: ASGIApp) -> None:
        self._others = others
        routes = [route for route in router.routes if isinstance(route, Route) and isinstance(route.app, Resource)]
        self._resources = {route.path: route.app for route in routes if not route.param_convertors}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry out one request."""
        resource = self._resources.get(scope["path"]) if scope["type"] == "http" and not scope.get("root_path") else None
        if resource is None:
            await self._others(scope, receive, send)
        else:
            scope["path_params"] = {}
            await resource(scope, receive, send)


class Resource:
    """One path with its methods: knows the caller, hands the request to the operation."""

    def __init__(self, operations: Mapping[str, Operation], services: ApiServices, answers: Answers, rates: Rates) -> None:
        self._operations = dict(operations)
        if "GET" in operations:
            self._operations["HEAD"] = operations["GET"]
        self._services = services
        self._answers = answers
        self._rates = rates
        self._recording = Recording(services.audit, services.clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry out one request; errors are answered further out, in `limits`."""
        operation = self._operations.get(scope["method"])
        if operation is None:
            await problems.method_not_allowed(sorted(self._operations))(scope, receive, send)
            return
        request = Request(scope, receive, send)
        if operation.needs.is_public and isinstance(receive, Body):
            receive.limit_to(SMALL_BYTES)  # of the room for bodies, nobody has any whom we do not know
        caller = NOBODY if operation.needs.is_public else await self._authenticated(request)
        caller = self._recording.begin(operation, caller, scope)
        try:
            call = Call(request, self._services, self._answers, caller, _root_of(scope, caller))
            operation.needs.check(caller)
            response = await operation.handler(call)
        except StepswitchError as error:
            await self._recording.failed(operation, caller, scope, error)
            raise
        await self._recording.allowed(operation, caller, scope)
        reach(CrashPoint.ANSWER_DUE)
        await response(scope, receive, send)
        reach(CrashPoint.ANSWER_GIVEN)

    async def _authenticated(self, request: Request) -> Caller:
        caller = await self._services.accounts.authenticate(token_of(request))
        self._rates.take(caller.user)
        is_known(request)
        return caller


@dataclass(frozen=True, slots=True)
class Description:
    """What the API says of itself: to programs, and to people."""

    document: dict[str, Any]
    encoded: bytes
    page: bytes


@cache
def describe(version: str) -> Description:
    """Return the description of a version; to make it takes longer than all else of an application, so a process makes it once, and not before somebody asks."""
    document = openapi_document(version)
    return Description(document, encode(document), reference_page(document).encode())


def create_app(service: ApiServices) -> StepswitchApi:
    """Return the application over `service`; nothing runs before it is served."""
    app = StepswitchApi(service.version)
    answers = Answers()
    rates = Rates(service.clock, service.requests_per_second)
    for path, operations in _by_path().items():
        app.router.routes.append(Route(path, Resource(operations, service, answers, rates), include_in_schema=False))
    app.router.routes += [
        _described(OPENAPI_PATH, service.version, attrgetter("encoded"), "application/json", {}),
        _described(REFERENCE_PATH, service.version, attrgetter("page"), "text/html", {"Content-Security-Policy": POLICY}),
    ]
    bodies = BodyLimits(service.body_limit_bytes, service.multipart_limit_bytes)
    app.add_middleware(Limits, bodies=bodies, room=Room(service.receiving_limit_bytes), ids=service.ids)
    app.add_middleware(Compression)
    return app


def _by_path() -> dict[str, dict[str, Operation]]:
    paths: dict[str, dict[str, Operation]] = {}
    for path, operation, _ in served():
        paths.setdefault(path, {})[operation.method] = operation
    return paths


def _root_of(scope: Scope, caller: Caller) -> Root:
    tenant = scope["path_params"].get("tenantId")
    if tenant is None:
        return PLAIN_ROOT
    if tenant != caller.tenant:
        raise HiddenError("another tenant's")
    return tenant_root(caller.tenant)


def _described(path: str, version: str, shown: Callable[[Description], bytes], media_type: str, headers: Mapping[str, str]) -> Route:
    async def show(_: Request) -> Response:
        return Response(shown(await asyncio.to_thread(describe, version)), 200, headers, media_type)

    return Route(path, show, methods=["GET"], include_in_schema=False)


async def _answer_http_error(_: Request, error: Exception) -> Response:
    """Answer what the router itself refuses: an unknown path, or a wrong method on a page."""
    allowed: Sequence[str] = ()
    if isinstance(error, HTTPException) and error.headers is not None:
        allowed = error.headers.get("Allow", "").split(", ")
    return problems.method_not_allowed(allowed) if allowed and allowed[0] else problems.nothing_there()
