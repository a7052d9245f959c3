"""The service behind HTTP: the application, and the process that `stepswitch serve` runs."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

import structlog
import uvicorn
import uvloop

from stepswitch.api.app import StepswitchApi, create_app
from stepswitch.api.services import ApiServices, HostKeyTools
from stepswitch.bootstrap.checks import check_settings
from stepswitch.bootstrap.core_dumps import forbid_core_dumps
from stepswitch.bootstrap.crowd import without_share
from stepswitch.bootstrap.open_files import room_for_connections
from stepswitch.bootstrap.protocol import BoundedConfig, BoundedProtocol, Bounds
from stepswitch.bootstrap.service import Service
from stepswitch.bootstrap.tls import LOOK_SECONDS, Certificates, certificates_of
from stepswitch.bootstrap.wiring import open_service
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import SettingsError, StoreError
from stepswitch.domain.this_machine import is_this_machine
from stepswitch.steps.host_keys import fingerprint, parse_public_key, scan
from stepswitch.storage.sqlite_faults import said_at_start
from stepswitch.telemetry.logging import set_up_logging

COLLECTOR_THRESHOLDS: Final = (50_000, 20, 50)
_log = structlog.get_logger("stepswitch")


def application(service: Service) -> StepswitchApi:
    """Return the HTTP application over a wired service; starting and stopping the service is the caller's."""
    return create_app(
        ApiServices(
            catalogue=service.catalogue,
            executions=service.executions,
            rehearsals=service.rehearsals,
            keyed_requests=service.keyed_requests,
            cut_answers=service.cut_answers,
            steering=service.steering,
            logbook=service.logbook,
            views=service.views,
            vro_logins=service.vro_logins,
            lists=service.lists,
            watchers=service.watchers,
            feed=service.feed,
            accounts=service.accounts,
            provider_logins=service.provider_logins,
            users=service.users,
            roles=service.roles,
            usages=service.usages,
            held_locks=service.held_locks,
            credentials=service.credentials,
            inventories=service.inventories,
            inventory_sources=service.inventory_sources,
            logins=service.logins,
            files=service.files,
            host_keys=service.host_keys,
            host_key_tools=HostKeyTools(scan, parse_public_key, fingerprint),
            audit=service.audit,
            health=service.health,
            clock=service.clock,
            ids=service.ids,
            version=version("stepswitch"),
            body_limit_bytes=service.settings.body_limit_bytes,
            multipart_limit_bytes=service.settings.multipart_limit_bytes,
            receiving_limit_bytes=service.settings.receiving_limit_bytes,
            shows_vro_login=service.settings.vro_login_details,
            requests_per_second=service.settings.requests_per_second,
        )
    )


def serve(settings: Settings) -> int:
    """Run the service until it is told to stop; return the exit code. Raises SettingsError where it cannot start."""
    set_up_logging(settings.log_level, settings.log_format)
    forbid_core_dumps()
    return uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    check_settings(settings)
    certificates = certificates_of(settings)
    listener = listen(settings)  # before the first start makes an account: one that fails must leave nothing behind
    try:
        service = await open_service(settings, tell_password=_show_password)
    except StoreError as error:
        listener.close()
        raise StoreError(said_at_start(str(error))) from error
    except BaseException:
        listener.close()
        raise
    try:
        _collect_less_often()
        server = HttpServer(service, listener, _bounds(settings, room_for_connections(settings)), certificates)
        _warn_of_plain_text(settings)
        _obey_signals(server, service)
        await server.start()
        _log.info("listening", url=server.url, data_dir=str(settings.data_dir))
        return await server.until_stopped()
    finally:
        listener.close()
        await service.stop()
        _log.info("stopped")


def _bounds(settings: Settings, connections: int) -> Bounds:
    return Bounds(connections, has_no_share=without_share(settings.trusted_proxies))


def _warn_of_plain_text(settings: Settings) -> None:
    if settings.tls_certificate is None and not is_this_machine(settings.host):
        _log.warning("others can reach this service without TLS: passwords go over the network readable", host=settings.host)


def _collect_less_often() -> None:
    """Let the collector of cycles look only at what came after the start, and not after every few hundred values.

    Values have no cycles, and what a step printed or was given is in none (`tests/steps/test_let_go`); what is left, mostly of drivers, is little. Looking
    as often as Python does unless told costs a tenth.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens where the settings say; raises SettingsError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named, or asyncio would not tell connections to send at once, and each answer on one that is kept would come 40 ms late.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen()  # two sockets may be bound to one address; only one may listen
    except OSError as error:
        listener.close()
        raise SettingsError(f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}") from error
    return listener


def _obey_signals(server: "HttpServer", service: Service) -> None:
    """Stop at the first signal, letting running steps end; at the second, give them up at once."""
    asked = False

    def obey(name: str) -> None:
        nonlocal asked
        if asked:
            _log.warning("stopping at once; steps that run are given up", signal=name)
            service.hurry()
        else:
            _log.info("stopping; steps that run may end within the grace period", signal=name, seconds=service.settings.grace_seconds)
            service.hold()
            server.ask_to_stop()
        asked = True

    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, obey, each.name)


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling, which ends the process before running steps could be drained; it looks after connections."""

    certificates: Certificates | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        """Give up connections whose clients take too long, once a second; uvicorn calls this ten times a second."""
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, BoundedProtocol):
                    connection.check(now)
        if self.certificates is not None and counter % (10 * LOOK_SECONDS) == 0:
            self.certificates.renew()
        return await super().on_tick(counter)


def _show_password(password: str) -> None:
    sys.stderr.write(f"\nThe user admin is made, with the password {password}\nIt is shown this once.\n\n")
    sys.stderr.flush()


class HttpServer:
    """uvicorn around a service, on the event loop that runs."""

    def __init__(
        self,
        service: Service,
        listener: socket.socket | None = None,
        bounds: Bounds | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        settings = service.settings
        self._service = service
        self._is_encrypted = certificates is not None
        self._listener = listener
        self._config = BoundedConfig(
            application(service),
            bounds or _bounds(settings, settings.max_connections),
            service.ids,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=settings.trusted_proxies != "",
            forwarded_allow_ips=settings.trusted_proxies,
            ssl_context_factory=None if certificates is None else lambda *_: certificates.context,
            timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
        )
        self._server = _Server(self._config)
        self._server.certificates = certificates
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._server.servers[0].sockets[0].getsockname()[:2]
        scheme = "https" if self._is_encrypted else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    async def start(self) -> None:
        """Begin to carry out steps and to listen; raises SettingsError where the address cannot be had."""
        listener = self._listener or listen(self._service.settings)
        await self._service.start()
        self._serving = asyncio.get_running_loop().create_task(self._server.serve(sockets=[listener]))
        while not self._server.started and not self._serving.done():  # noqa: ASYNC110 # uvicorn has no event for it
            await asyncio.sleep(0.005)

    async def until_stopped(self) -> int:
        """Return 0 after a signal to stop, 1 where the service cannot go on."""
        if self._serving is None:
            raise AssertionError("start it first")
        died = asyncio.get_running_loop().create_task(self._service.died())
        await asyncio.wait({self._serving, died}, return_when=asyncio.FIRST_COMPLETED)
        if not self._serving.done():
            _log.critical("the service cannot go on", reason=died.result())
        code = 0 if self._serving.done() else 1
        await self.stop()
        died.cancel()
        return code

    def ask_to_stop(self) -> None:
        """Listen no more; `until_stopped` returns when what was asked is answered. Nobody waits for news or rehearsals any more."""
        self._service.end_waiting()
        self._server.should_exit = True

    async def stop(self) -> None:
        """Answer what was asked, and listen no more."""
        self.ask_to_stop()
        if self._serving is not None:
            await asyncio.wait({self._serving})
