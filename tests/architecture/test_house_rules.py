"""Risk: what must not be in the repository gets into it: an address of a registry, unfinished work, a test that waits by sleeping."""

import ast
import re
import tomllib
from typing import Any, Final

import pytest

from tests.architecture.source_tree import ROOT, Module, modules, repository_files

REGISTRIES: Final = (
    r"py" + r"pi\.org", r"python" + r"hosted\.org", r"registry\.np" + r"mjs", r"registry\.yarn" + r"pkg", r"proxy\.go" + r"lang",
    r"(?:docker|gcr|ghcr|quay)\.io" + r"/", r"--(?:extra-)?index" + r"-url", r"--find" + r"-links", r"PIP_(?:EXTRA_)?INDEX" + r"_URL",
)  # fmt: skip
UNFINISHED: Final = r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b"
LOCK_FILES: Final = frozenset({"uv.lock", "pylock.toml", "poetry.lock"})


def test_no_file_names_a_registry() -> None:
    found = _places("|".join(REGISTRIES))
    assert not found, "\n".join(found)
    assert not [str(path) for path in repository_files() if path.name in LOCK_FILES]


def test_no_file_promises_work_for_later() -> None:
    found = _places(UNFINISHED)
    assert not found, "\n".join(found)


def test_tests_wait_on_signals_and_never_sleep() -> None:
    found = [f"{module}:{line}" for module in modules("tests") for line in _sleeps(module)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "sleeps"),
    [
        ("import time\ntime.sleep(0)", True),
        ("from time import sleep", True),
        ("import asyncio\nasync def f():\n    await asyncio.sleep(0.01)", True),
        ("import asyncio\nasync def f(x):\n    await asyncio.sleep(x)", True),
        ("from asyncio import sleep", True),
        ("import asyncio\nasync def f():\n    await asyncio.sleep(0)", False),
        ("async def f(clock):\n    await clock.sleep(5)", False),
    ],
)
def test_a_sleep_is_recognised(text: str, sleeps: bool) -> None:
    module = Module(ROOT / "example.py", text, ast.parse(text))
    assert bool(_sleeps(module)) is sleeps


def test_every_dependency_is_pinned_to_one_version() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert not [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line)]
    pinned = {_normal(line.split("==")[0]) for line in lines}
    project = _pyproject()["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert not {_normal(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in asked} - pinned


def test_every_folder_with_python_is_checked_for_types() -> None:
    folders = {path.parts[0] for path in repository_files() if path.suffix == ".py"}
    assert folders <= set(_pyproject()["tool"]["mypy"]["files"])


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _places(pattern: str) -> list[str]:
    """Return path and line of everything in the repository's text files that fits `pattern`."""
    wanted = re.compile(pattern)
    found = []
    for path in repository_files():
        text = (ROOT / path).read_bytes().decode("utf-8", errors="replace")
        found += [f"{path}:{number} {line.strip()[:100]}" for number, line in enumerate(text.splitlines(), 1) if wanted.search(line)]
    return found


def _sleeps(module: Module) -> list[int]:
    return [line for node in ast.walk(module.tree) if (line := _sleeping_line(node))]


def _sleeping_line(node: ast.AST) -> int | None:
    match node:
        case ast.ImportFrom(module="time" | "asyncio" | "anyio", names=names) if any(name.name == "sleep" for name in names):
            return node.lineno
        case ast.Call(func=ast.Attribute(value=ast.Name(id="time"), attr="sleep")):
            return node.lineno
        case ast.Call(func=ast.Attribute(value=ast.Name(id="asyncio" | "anyio"), attr="sleep"), args=[ast.Constant(value=0)]):
            return None
        case ast.Call(func=ast.Attribute(value=ast.Name(id="asyncio" | "anyio"), attr="sleep")):
            return node.lineno
        case _:
            return None
