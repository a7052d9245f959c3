"""Risk: a room that knows more than it may, or an import that does work. The list of rooms itself is held by import-linter."""

import ast
import subprocess
import sys
from importlib.metadata import entry_points
from typing import Final

import pytest

from stepswitch.plugin import ENTRY_POINT_GROUP
from tests.architecture.source_tree import ROOT, imported_names, modules

IMPURE: Final = frozenset(
    {
        "asyncio", "concurrent", "ctypes", "ftplib", "getpass", "http", "io", "logging", "mmap", "multiprocessing", "os", "pathlib",
        "queue", "random", "sched", "secrets", "select", "selectors", "shelve", "shutil", "signal", "smtplib", "socket", "socketserver",
        "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid",
    }
)  # fmt: skip
"""Modules of the standard library that do I/O, tell the time, throw dice or wait."""
HEAVY: Final = frozenset(
    {
        "alembic", "argon2", "asyncio", "asyncssh", "cryptography", "fastapi", "httpx", "orjson", "pydantic", "quickjs", "rich",
        "sqlalchemy", "sqlite3", "ssl", "starlette", "structlog", "typer", "uvicorn", "uvloop",
    }
)  # fmt: skip
IMPORT_ALL: Final = """
import importlib, pkgutil, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    for found in pkgutil.iter_modules(getattr(module, "__path__", ()), name + "."):
        if name != "stepswitch":
            importlib.import_module(found.name)
print(*sorted(set(sys.modules) - before))
"""


def test_the_domain_knows_the_standard_library_and_re2_only() -> None:
    allowed = (sys.stdlib_module_names - IMPURE) | {"re2"}
    strangers = [
        f"{module} imports {name}"
        for module in modules("src/stepswitch/domain")
        for name in imported_names(module)
        if name.split(".")[0] not in allowed and not f"{name}.".startswith("stepswitch.domain.")
    ]
    assert not strangers, "\n".join(strangers)


def test_the_domain_neither_waits_nor_asks_for_the_time() -> None:
    clocks = {"now", "today", "utcnow"}
    found = [
        f"{module}:{node.lineno}"
        for module in modules("src/stepswitch/domain")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.Await)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in clocks)
    ]
    assert not found, "\n".join(found)


def test_step_types_import_the_plugin_contract_only() -> None:
    strangers = [
        f"{module} imports {name}"
        for module in modules("src/stepswitch/steps")
        for name in imported_names(module)
        if name.split(".")[0] == "stepswitch" and name != "stepswitch.plugin" and not f"{name}.".startswith("stepswitch.steps.")
    ]
    assert not strangers, "\n".join(strangers)


@pytest.mark.parametrize("names", [["stepswitch"], ["stepswitch.domain"], ["stepswitch.plugin"]], ids=lambda names: str(names[0]))
def test_importing_the_inner_rooms_is_light(names: list[str]) -> None:
    ran = subprocess.run([sys.executable, "-c", IMPORT_ALL, *names], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.split(".")[0] for name in ran.stdout.split()}
    assert "stepswitch" in loaded
    assert not loaded & HEAVY


def test_the_client_does_not_load_the_service() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, "stepswitch.client"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(ran.stdout.split())
    assert "stepswitch.client.service" in loaded
    rooms = {name.split(".")[1] for name in loaded if name.startswith("stepswitch.")}
    assert rooms == {"client", "domain"}
    assert not {name.split(".")[0] for name in loaded} & (HEAVY - {"asyncio", "httpx", "rich", "ssl"})


def test_importing_says_nothing() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "import stepswitch.plugin"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert (ran.stdout, ran.stderr) == ("", "")


def test_every_registered_step_type_loads() -> None:
    registered = entry_points(group=ENTRY_POINT_GROUP)
    assert {point.name for point in registered} >= {"NOOP", "JS", "TCA_SSH"}
    faults = []
    for point in registered:
        try:
            missing = [member for member in ("signature", "run", "release", "close") if not hasattr(point.load(), member)]
        except (ImportError, AttributeError) as error:
            faults.append(f"{point.name} = {point.value}: {error}")
        else:
            faults += [f"{point.name} has no {member}" for member in missing]
    assert not faults, "\n".join(faults)
