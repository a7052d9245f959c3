"""An HTTP server that says back whatever it was told: in the reason of its status, in headers, and in the body, in several forms. Used by the hunt."""

import asyncio
import base64
import json

from tests.steps.http_server import Asked, Handler, HttpServer, reply


class EchoServer(HttpServer):
    """Answers 200 to everything."""

    def handler_of(self, asked: Asked) -> Handler:
        """See `HttpServer`."""
        return self._echo

    async def _echo(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard, told = dict(asked.headers), asked.body.decode()
        login = base64.b64decode(heard.get("authorization", "Basic ").partition(" ")[2]).decode()
        body = "\n".join((told, login, asked.target, json.dumps(heard), base64.b64encode(asked.body).decode(), asked.body.hex()))
        headers = {
            "x_login": heard.get("authorization", ""),
            "x_key": heard.get("x-key", ""),
            "x_body": base64.b64encode(asked.body).decode(),
        }
        await reply(200, body.encode(), f"{told} {asked.target}", content_type="text/plain; charset=utf-8", **headers)(
            asked, reader, writer
        )
