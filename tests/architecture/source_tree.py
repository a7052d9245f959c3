"""The repository as its own tests see it: which files it has, and what stands in its modules."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = ROOT / "src"


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file: its path below the root, its text and its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    def __str__(self) -> str:
        return str(self.path)


def repository_files() -> list[Path]:
    """Return every file that git has, or would have after `git add`, below the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    names = (Path(name) for name in listed.stdout.split("\0") if name)
    return sorted(name for name in names if (ROOT / name).is_file())


def modules(folder: str) -> list[Module]:
    """Return the Python modules below `folder` of the repository."""
    return [_parse(path) for path in repository_files() if path.suffix == ".py" and path.is_relative_to(folder)]


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return every function of a module, those inside of classes and functions too."""
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def imported_names(module: Module) -> Iterator[str]:
    """Return the dotted name of every module that a module imports, wherever the import stands."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def _parse(path: Path) -> Module:
    text = (ROOT / path).read_text(encoding="utf-8")
    return Module(path, text, ast.parse(text, filename=str(path)))
