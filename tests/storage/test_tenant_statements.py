"""Risk: a statement finds the rows of every tenant, and nobody has thought of that. How it is asked in earnest is tested in `api/test_tenants`."""

import ast
from pathlib import Path

import pytest
from sqlalchemy import bindparam, select

import stepswitch.storage
from stepswitch.storage.audit import _search
from stepswitch.storage.resolved import values_statement
from stepswitch.storage.selects import LISTS, Branch, Form, count_statement, rows_statement
from stepswitch.storage.slices import Sorting, Whole, ends, slice_count, slice_rows, slice_rows_counted
from stepswitch.storage.tables import workflows
from tests.storage.statements import BY_ITS_KEY, FOR_THE_SERVICE, statements, without_tenant

MADE_AT_NEED = {
    "audit._search",
    "commits._rows",
    "data_keys.__init__",
    "logs._page",
    "resolved.values_statement",
    "selects.count_statement",
    "selects.rows_statement",
    "slices.created_at",
    "slices.ends",
    "slices.slice_count",
    "slices.slice_rows",
    "slices.slice_rows_counted",
}
"""Functions that make statements. What those of `commits` and `logs` make stands in the module; `data_keys` works for the whole store, and
`created_at` finds a time."""


def test_every_statement_says_of_which_tenant_it_speaks_or_why_not() -> None:
    unbound = {name for name, statement in statements() if without_tenant(statement.element)}
    assert unbound == {*BY_ITS_KEY, *FOR_THE_SERVICE}


def test_a_statement_without_its_tenant_is_found() -> None:
    found = select(workflows.c.body).where(workflows.c.id == bindparam("id"))
    assert without_tenant(found) == {"workflows"}
    assert without_tenant(found.where(workflows.c.tenant == bindparam("tenant"))) == set()


@pytest.mark.parametrize("table", LISTS)
@pytest.mark.parametrize("branches", [1, 2])
def test_every_list_is_of_one_tenant(table: str, branches: int) -> None:
    found = tuple(Branch(index, ()) for index in list(LISTS[table].indexes.values())[:branches])
    attribute = next(iter(LISTS[table].columns))
    made = [rows_statement(Form(table, found, attribute, False, False, 0, False)), count_statement(table, found, None, is_limited=True)]
    for statement in made:
        assert without_tenant(statement.element) == set()
        assert str(statement.element).count(".tenant = ") == branches


@pytest.mark.parametrize("table", LISTS)
def test_every_pass_over_a_list_is_of_one_tenant(table: str) -> None:
    whole, sorting = Whole(table, (), False, None), Sorting("id", False, False, (0,))
    made = [slice_rows(whole, sorting, has_place=False, has_bound=False), slice_count(whole), *ends(table)]
    made += [
        slice_rows_counted(whole, sorting, has_place=False, has_bound=False),
        values_statement(table, next(iter(LISTS[table].indexes))),
    ]
    for statement in made:
        assert without_tenant(statement.element) == set()
    assert str(made[-1].element).count(".tenant = ") == 2, "of the first value, and of each that follows"


def test_the_audit_trail_of_a_tenant_is_searched_by_it() -> None:
    assert without_tenant(_search(frozenset({"tenant"}), is_backwards=True).element) == set()


def test_no_other_function_makes_statements() -> None:
    """One that is new here wants a test as those above, or stands in its module where the walk finds it."""
    makers: set[str] = set()
    for path in Path(stepswitch.storage.__path__[0]).glob("*.py"):
        tree = ast.parse(path.read_text())
        for function in [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]:
            calls = [each.func for each in ast.walk(function) if isinstance(each, ast.Call)]
            if any(isinstance(each, ast.Name) and each.id == "Statement" for each in calls):
                makers.add(f"{path.stem}.{function.name}")
    assert makers == MADE_AT_NEED
