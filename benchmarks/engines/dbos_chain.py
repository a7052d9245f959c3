"""Workflows of one step and of ten for DBOS, behind a bare HTTP server: `dbos_chain.py PORT DATABASE CALLERS`. Run with the Python that has DBOS.

DBOS is a library and has no HTTP of its own: a `POST` runs a workflow in one of CALLERS threads and is answered when it has ended.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn
from dbos import DBOS

STEPS = (1, 10)


def noop() -> None:
    """Do nothing."""


def chain(steps: int) -> Any:
    """Return a workflow that takes so many steps, one after the other; each is stored before the next one begins."""
    step = DBOS.step(name="noop")(noop)

    def workflow() -> None:
        for _ in range(steps):
            step()

    workflow.__qualname__ = f"steps{steps}"
    return DBOS.workflow(name=f"steps{steps}")(workflow)


def application(callers: int) -> Callable[..., Awaitable[None]]:
    """Return the application (ASGI), which runs at most `callers` workflows at once."""
    workflows = {f"/steps{steps}": chain(steps) for steps in STEPS}
    threads = ThreadPoolExecutor(callers)

    async def answer(scope: dict[str, Any], _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        await asyncio.get_running_loop().run_in_executor(threads, workflows[scope["path"]])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    return answer


if __name__ == "__main__":
    served = application(int(sys.argv[3]))
    DBOS(config={"name": "chain", "system_database_url": sys.argv[2], "log_level": "ERROR"})
    DBOS.launch()
    uvicorn.run(served, port=int(sys.argv[1]), loop="uvloop", http="httptools", lifespan="off", log_level="error", access_log=False)
