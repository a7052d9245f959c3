"""An API of cells for the examples, over a real socket: `GET /cells/ID` and `POST /cells`, for who has the token. Used by `test_examples`."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from tests.steps.http_server import Asked, Handler, HttpServer, reply

TOKEN = "token-of-the-cells"
_JSON = "application/json"


class CellApi(HttpServer):
    """Knows cells by their id. It can lose the connection of the first one that is posted, `after` or `before` it has done so."""

    def __init__(self) -> None:
        super().__init__()
        self._cells: dict[str, Any] = {}
        self._cut = ""

    def set_up(self, state: Mapping[str, Any]) -> None:
        """Let it know nothing but `state`: its `cells`, and when it is to `cut`."""
        self._cells, self._cut = dict(state.get("cells", {})), state.get("cut", "")

    def handler_of(self, asked: Asked) -> Handler:
        """See `HttpServer`."""
        if asked.header("authorization") != f"Bearer {TOKEN}":
            return reply(401)
        if (asked.method, asked.target) == ("POST", "/cells"):
            return self._post
        found = self._cells.get(asked.target.removeprefix("/cells/"))
        return reply(404) if found is None else reply(200, json.dumps(found).encode(), content_type=_JSON)

    async def _post(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cut, self._cut = self._cut, ""
        if cut != "before":
            cell = json.loads(asked.body)
            self._cells[cell["id"]] = cell
        if not cut:
            await reply(201)(asked, reader, writer)
