"""The demo as a client of the HTTP API: log in, store a workflow, execute it, follow it to its end. Called by `show`."""

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx

from stepswitch.domain.errors import SettingsError
from stepswitch.domain.execution import ENDED, Status

ROOT: Final = "/telco/api/workflows"
TOKEN: Final = "x-hm-authorization"
_OK: Final = 200
_LOOK_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 60.0
_STOPPED: Final = frozenset(map(str, ENDED | {Status.PAUSED}))


class Session:
    """A login at a running service; use it with `async with`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.token = ""
        self._client = httpx.AsyncClient(base_url=url, timeout=10.0, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.aclose()

    async def log_in(self, user: str, password: str) -> None:
        """Log in; raises SettingsError where the password is not that of the data directory."""
        answer = await self._client.post("/hybridity/api/sessions", json={"username": user, "password": password})
        if answer.status_code != _OK:
            raise SettingsError("this data directory has a user admin already; give the password in STEPSWITCH_ADMIN_PASSWORD")
        self.token = answer.headers[TOKEN]
        self._client.headers[TOKEN] = self.token

    async def store(self, document: Mapping[str, Any]) -> str:
        """Store a workflow and return its id."""
        return str((await self._ask("PUT", f"{ROOT}/workflow", document))["id"])

    async def execute(self, workflow_id: str, assignments: Mapping[str, object]) -> Mapping[str, Any]:
        """Queue an execution and return it as the service answers: with its first step execution."""
        request = {"workflowId": workflow_id, "contextType": "NONE", "assignments": dict(assignments)}
        return await self._ask("PUT", f"{ROOT}/workflowExecution", request)

    async def follow(self, execution_id: str, step_ended: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any]:
        """Return the execution once it has ended or paused, and tell of each step execution before.

        Raises TimeoutError where the execution does neither for a minute.
        """
        told = 0
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                execution = await self._ask("GET", f"{ROOT}/workflowExecution/{execution_id}")
                for step in execution["stepExecutions"][told:]:
                    if "endTime" not in step:
                        break
                    step_ended(step)
                    told += 1
                if execution["status"] in _STOPPED:
                    return execution
                await asyncio.sleep(_LOOK_SECONDS)

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        answer = await self._client.request(method, path, json=body)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found
