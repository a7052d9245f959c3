"""A client of a service that runs in the same process, logged in as admin. Used by the tests of the API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from stepswitch.bootstrap.server import application
from stepswitch.bootstrap.service import Service

PASSWORD = "correct horse"


@asynccontextmanager
async def logged_in(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """Give the client; the service stops behind it. Its first account has the password `PASSWORD`."""
    transport = httpx.ASGITransport(application(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://house") as client:
        login = await client.post("/hybridity/api/sessions", json={"username": "admin", "password": PASSWORD})
        client.headers["x-hm-authorization"] = login.headers["x-hm-authorization"]
        yield client
    await service.stop(0)
