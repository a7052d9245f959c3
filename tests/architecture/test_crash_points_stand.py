"""Risk: a new save, hand-over or send gets no crash point, so that no test ever dies there.

After some calls the world is another one. Each stands in a function that reaches a point before it and one after it, or is called by
nobody in its module who does not. What is stored of workflows has its points in the store itself, and whatever else is stored those
around the commit of its database.
"""

import ast
from collections.abc import Iterator, Set
from typing import Final

import pytest

from tests.architecture.source_tree import ROOT, Module, functions, modules

Function = ast.FunctionDef | ast.AsyncFunctionDef
CONSEQUENCES: Final = {
    "src/stepswitch/engine": {"_store.save", "_store.create", "_store.delete", "_store.append_logs", "_store.sign", "_submit.submit", "_submit.cancel"},
    "src/stepswitch/worker": {"self._run_patiently", "self._try"},
    "src/stepswitch/storage/catalogue.py": {"write_audited"},
    "src/stepswitch/storage/sqlite.py": {"_commit.COMMIT"},
}  # fmt: skip
"""By room: what is called there that changes what is stored, sent or on its way."""
IN_THE_STORE: Final = "src/stepswitch/engine/catalogue.py"


def test_whatever_has_consequences_stands_between_two_crash_points() -> None:
    bare = [
        f"{module}:{line}: {name}"
        for room, names in CONSEQUENCES.items()
        for module in modules(room)
        if str(module) != IN_THE_STORE
        for line, name in _bare(module, names)
    ]
    assert not bare, f"give each a crash point before and after it, and a scene in tests/chaos: {bare}"


def test_nothing_is_looked_for_that_is_no_longer_called_so() -> None:
    for room, names in CONSEQUENCES.items():
        called = {name for module in modules(room) for function in functions(module) for _, name in _calls(function, names)}
        assert called == names, room


def test_a_send_is_noted_between_two_crash_points() -> None:
    (marks,) = [function for module in modules("src/stepswitch/worker") for function in functions(module) if function.name == "mark_sent"]
    (line,) = [node.lineno for node in ast.walk(marks) if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "self.sent"]
    assert _is_between_points(marks, line)


@pytest.mark.parametrize(
    ("text", "is_bare"),
    [
        ("async def f(self):\n reach(A)\n await self._store.save(x)\n reach(B)", False),
        ("async def f(self):\n reach(A)\n await self._store.save(x)", True),
        ("async def f(self):\n await self._store.save(x)\n reach(B)", True),
        ("async def f(self):\n await self._store.save(x)", True),
        ("async def f(self):\n await self._store.save(x)\nasync def g(self):\n reach(A)\n await self.f()\n reach(B)", False),
        ("async def f(self):\n await self._store.save(x)\nasync def g(self):\n reach(A)\n await self.f()\n reach(B)\nasync def h(self):\n await self.f()", True),
    ],
)  # fmt: skip
def test_a_bare_save_is_recognised(text: str, is_bare: bool) -> None:
    assert bool(list(_bare(Module(ROOT / "example.py", text, ast.parse(text)), {"_store.save"}))) is is_bare


def _bare(module: Module, names: Set[str]) -> Iterator[tuple[int, str]]:
    """Return the calls of `names` that no points stand around, neither in their function nor in those that call it."""
    for function in functions(module):
        for line, name in _calls(function, names):
            if not _is_between_points(function, line):
                callers = [(each, at) for each in functions(module) for at, _ in _calls(each, {f"self.{function.name}"})]
                if not callers or not all(_is_between_points(caller, at) for caller, at in callers):
                    yield line, name


def _calls(function: Function, names: Set[str]) -> Iterator[tuple[int, str]]:
    """Return where a function calls one of `names`: its last two words, whatever the arguments of the first."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            said = _name(node.func)
            yield from ((node.lineno, name) for name in names if said == name or said.endswith(f".{name}"))
            if "COMMIT" in [each.value for each in node.args if isinstance(each, ast.Constant)]:
                yield from ((node.lineno, name) for name in names if name == f"{function.name}.COMMIT")


def _name(node: ast.expr) -> str:
    match node:
        case ast.Attribute(value=inner, attr=name):
            return f"{_name(inner)}.{name}"
        case ast.Call(func=inner):
            return _name(inner)
        case _:
            return ast.unparse(node)


def _is_between_points(function: Function, line: int) -> bool:
    points = [node.lineno for node in ast.walk(function) if isinstance(node, ast.Call) and _name(node.func) == "reach"]
    return any(point < line for point in points) and any(point > line for point in points)
