"""Risk: a module or a function that grows until nobody reads it, or one whose name says nothing."""

import ast
from typing import Final

from tests.architecture.source_tree import functions, modules

FUNCTION_LINES: Final = 50
MODULE_LINES: Final = 400
EMPTY_NAMES: Final = frozenset({"base", "bases", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"})


def test_no_function_is_longer_than_a_page() -> None:
    too_long = [
        f"{module}:{function.lineno} {function.name} has {lines} lines"
        for module in modules("src")
        for function in functions(module)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES
    ]
    assert not too_long, "\n".join(too_long)


def test_no_module_has_more_than_one_job() -> None:
    too_long = [f"{module} has {lines} lines" for module in modules("src") if (lines := len(module.text.splitlines())) > MODULE_LINES]
    assert not too_long, "\n".join(too_long)


def test_every_module_says_what_it_is() -> None:
    silent = [str(module) for folder in ("src", "tools") for module in modules(folder) if not ast.get_docstring(module.tree)]
    assert not silent, "\n".join(silent)


def test_no_module_is_named_after_nothing() -> None:
    unnamed = [str(module) for module in modules("src") for part in module.path.with_suffix("").parts if EMPTY_NAMES & set(part.split("_"))]
    assert not unnamed, "\n".join(unnamed)


def test_the_source_tree_is_seen_at_all() -> None:
    assert len(modules("src")) > 20
