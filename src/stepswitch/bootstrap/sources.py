"""The sources of inventories, wired: who asks them, with the connections of HTTP steps, and who opens their credentials. Called by `wiring` and the command line."""

import asyncio
from typing import Final

from stepswitch.bootstrap.credentials import credential_sources
from stepswitch.config.settings import Settings
from stepswitch.domain.errors import ErrorCode, SourceError
from stepswitch.domain.networks import Networks
from stepswitch.engine.account_ports import People
from stepswitch.engine.credential_rules import AccountRoles
from stepswitch.engine.inventory_sources import InventorySources
from stepswitch.engine.known_inventories import KnownInventories
from stepswitch.engine.ports import Clock
from stepswitch.engine.source_credentials import SourceCredentials
from stepswitch.inventory.sol import SolSources
from stepswitch.inventory.web import WebAnswer, WebRequest
from stepswitch.secrets.masking import Masking
from stepswitch.steps.http_connection import LookUp, NotConnectedError, connect, look_up
from stepswitch.steps.http_exchange import End, Ending, Exchange, Message
from stepswitch.steps.http_inputs import Identity
from stepswitch.steps.http_tls import trust
from stepswitch.steps.input_faults import InputFaultError
from stepswitch.storage.audit import SqlAuditStore
from stepswitch.storage.credentials import SqlCredentialStore
from stepswitch.storage.database import Database
from stepswitch.storage.inventories import SqlInventoryStore

CONNECT_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 30.0
LIMIT_SECONDS: Final = 60.0
"""How long one request and its answer may take."""
LARGEST_PAGE_BYTES: Final = 16 * 1024 * 1024
_FAILED: Final = {
    End.CUT: (ErrorCode.CONNECTION_CUT, "it cut the connection before its answer had come"),
    End.SILENT: (ErrorCode.TIMEOUT, f"it said nothing for {SILENCE_SECONDS:g} seconds"),
    End.MALFORMED: (ErrorCode.MALFORMED_ANSWER, "it answers with what is no HTTP"),
    End.REFUSED: (ErrorCode.LOGIN_REFUSED, "it does not accept who we are by TLS"),
}


class OpenWeb:
    """Sends requests where steps may connect to, too. Implements `inventory.web.Web`."""

    def __init__(self, networks: Networks, look_up: LookUp = look_up, largest_bytes: int = LARGEST_PAGE_BYTES) -> None:
        self._networks = networks
        self._look_up = look_up
        self._largest_bytes = largest_bytes

    async def exchange(self, request: WebRequest) -> WebAnswer:
        """See `Web`."""
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                ending = await self._exchange(request)
        except TimeoutError:
            raise SourceError(ErrorCode.TIMEOUT, f"it did not answer within {LIMIT_SECONDS:g} seconds") from None
        except (NotConnectedError, InputFaultError) as error:
            raise SourceError(error.code, str(error)) from None
        answer = ending.answer
        if ending.end is not End.ANSWERED or answer is None:
            raise SourceError(*_FAILED.get(ending.end, _FAILED[End.CUT]))
        body = answer.body
        return WebAnswer(answer.status, answer.headers, body.text, body.is_cut or not body.is_readable)

    async def _exchange(self, request: WebRequest) -> Ending:
        url = request.url
        # Reads every certificate of the machine, which takes a while.
        trusted = await asyncio.to_thread(trust, Identity(authorities=request.authorities)) if url.scheme == "https" else None
        connection = await connect(url, trusted, self._networks, self._look_up, CONNECT_SECONDS)
        headers = [
            ("Host", url.authority), ("User-Agent", "stepswitch"), ("Accept-Encoding", "gzip"), *request.headers, ("Connection", "close"),
        ]  # fmt: skip
        exchange = Exchange(connection, silence_seconds=SILENCE_SECONDS, limit_bytes=self._largest_bytes)
        return await exchange.carry_out(Message(request.method, url.target, headers, request.body), _nothing, _nobody)


def _nothing() -> None:
    """Nobody counts what was sent."""


async def _nobody() -> None:
    """Nobody is told of it."""


def wire_sources(settings: Settings, database: Database, known: KnownInventories, people: People, clock: Clock) -> InventorySources:
    """Return who reads the sources of inventories, in a database whose keys are at hand; `people` know what somebody is now."""
    networks = Networks.read(settings.http_denied_networks, settings.http_allowed_networks)
    return InventorySources(
        store=SqlInventoryStore(database),
        known=known,
        asks=SolSources(OpenWeb(networks), Masking(), clock),
        credentials=SourceCredentials(
            SqlCredentialStore(database), AccountRoles(people), credential_sources(settings), SqlAuditStore(database).append, clock
        ),
        clock=clock,
    )
