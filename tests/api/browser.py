"""Somebody with a browser, who logs in through the provider and comes back. Used by the tests of logins."""

import html
import re
from types import TracebackType
from typing import Self
from urllib.parse import urlencode, urljoin

import httpx

from tests.api.real import OWN, Real

PUBLIC = "http://127.0.0.1"
"""What the service is told to be called; the browser knows on which port it really is."""
LOGIN = f"{OWN}/login/oidc"


class Browser:
    """Two sets of cookies: one for the service, one for the provider."""

    def __init__(self, real: Real) -> None:
        self.here = httpx.AsyncClient(base_url=real.server.url, timeout=30)
        self.there = httpx.AsyncClient(timeout=30)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.here.aclose()
        await self.there.aclose()

    async def begin(self, return_to: str | None = None) -> str:
        """Return where the service sends a browser that is to log in."""
        answer = await self.here.get(LOGIN, params={} if return_to is None else {"returnTo": return_to})
        assert answer.status_code == 302, answer.text
        return str(answer.headers["location"])

    async def confirm(self, address: str, who: str | None = None) -> str:
        """Log in at the provider; return the path with which that sends the browser back to the service."""
        if who is not None:
            address += f"&{urlencode({'login_hint': who})}"
        for _ in range(6):
            answer = await self.there.get(address)
            assert answer.status_code in (302, 303), answer.text
            address = urljoin(address, answer.headers["location"])
            if address.startswith(f"{PUBLIC}/"):
                return address.removeprefix(PUBLIC)
        raise AssertionError("the provider does not send the browser back")

    async def log_in(self, who: str | None = None, return_to: str | None = None) -> httpx.Response:
        """Return how the service answers a browser that comes back."""
        return await self.here.get(await self.confirm(await self.begin(return_to), who))

    async def session(self) -> httpx.Response:
        """Return the answer with the session."""
        return await self.here.post(f"{LOGIN}/session")

    async def leave(self, address: str) -> str:
        """Log out at the provider; return the path with which that sends the browser back to the service."""
        answer = await self.there.get(address)
        assert answer.status_code == 200, answer.text
        answer = await self._form(answer, {"logout": "yes"})
        assert answer.status_code in (302, 303), answer.text
        return str(answer.headers["location"]).removeprefix(PUBLIC)

    async def enter(self, address: str, button: str = "confirm") -> None:
        """Open the address that a device shows, confirm the code (or "abort"), and log in where that is asked for."""
        answer = await self._form(await self.there.get(address), {})
        answer = await self._form(answer, {button: "yes"})
        while answer.status_code in (302, 303):
            answer = await self.there.get(urljoin(str(answer.url), answer.headers["location"]))

    async def _form(self, page: httpx.Response, more: dict[str, str]) -> httpx.Response:
        action = re.search(r'action="([^"]+)"', page.text)
        assert action is not None, page.text
        given = {name: html.unescape(value) for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', page.text)}
        return await self.there.post(urljoin(str(page.url), html.unescape(action[1])), data=given | more)
