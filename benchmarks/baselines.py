"""What the machine gives to an empty FastAPI PUT, and to that PUT with one SQLite commit. Run as a process of its own: PORT FILE."""

import asyncio
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn
from fastapi import FastAPI


def application(path: str) -> FastAPI:
    """Return an application with both PUTs; the second commits one row, durably, in a thread of its own, before it answers."""
    app = FastAPI()
    writer = ThreadPoolExecutor(1)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)")

    def commit(body: str) -> None:
        connection.execute("INSERT INTO rows (body) VALUES (?)", (body,))

    @app.put("/empty")
    async def empty(body: dict[str, Any]) -> dict[str, Any]:
        return body

    @app.put("/commit")
    async def with_commit(body: dict[str, Any]) -> dict[str, Any]:
        await asyncio.get_running_loop().run_in_executor(writer, commit, str(body))
        return body

    return app


if __name__ == "__main__":
    uvicorn.run(application(sys.argv[2]), port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="error", access_log=False)
