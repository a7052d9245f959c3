"""The share of one address in what is asked at the same time, where proxies ask for many people. Used by `protocol`.

Connections of a trusted proxy are nobody's (`crowd`), so that what is asked on them is counted instead, for whom the proxy names.
"""

from collections import Counter
from typing import Any

from stepswitch.access.places import place_of
from stepswitch.api import problems
from stepswitch.api.operations import HEALTH_PATH
from stepswitch.api.request_ids import REQUEST_ID, request_id_of
from stepswitch.bootstrap.crowd import Crowd
from stepswitch.domain.errors import OverloadedError
from stepswitch.engine.ports import Ids


class SharedRequests:
    """The application, for so many requests of one address at once as connections may come from it. It sees addresses as proxies forward them."""

    def __init__(self, app: Any, crowd: Crowd, ids: Ids) -> None:
        self._app = app
        self._crowd = crowd
        self._ids = ids
        self._asked: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Carry out a request, or answer that there are too many."""
        address = scope["client"][0] if scope.get("client") else ""
        if scope["type"] != "http" or scope["path"] == HEALTH_PATH or self._crowd.has_no_share(address):
            await self._app(scope, receive, send)
            return
        place = place_of(address)
        if self._asked[place] >= self._crowd.most_of_address:
            await overloaded(f"more than {self._crowd.most_of_address} requests of this address are under way", self._ids)(
                scope, receive, send
            )
            return
        self._asked[place] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._asked[place] -= 1
            if not self._asked[place]:
                del self._asked[place]


def overloaded(told: str, ids: Ids, *, closes: bool = False) -> Any:
    """Return the application that answers everything with OverloadedError."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        request_id = request_id_of(scope["headers"], ids)
        response = problems.answer(OverloadedError(told), request_id)
        response.headers.update({REQUEST_ID: request_id, **({"Connection": "close"} if closes else {})})
        await response(scope, receive, send)

    return answer
