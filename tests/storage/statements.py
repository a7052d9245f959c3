"""Every statement of the stores, and whether it says of which tenant it speaks."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import BinaryExpression, ClauseElement

import stepswitch.storage
from stepswitch.storage.database import Statement

BY_ITS_KEY: Final = {
    "accounts._ACCOUNT": "names are taken once, whatever the tenant; `users` asks whose it is",
    "accounts._ACCOUNT_OF": "somebody of a provider is one account; his token says his tenant, and a change of it is a change of the account",
    "accounts._CHANGE_ACCOUNT": "by the name, and only as it was read",
    "commits._EMPTY": "",
    "commits._LINES": "",
    "commits._NEWEST_OF": "",
    "commits._OF_EXECUTION": "",
    "commits._OUTLINES": "the rows were found with their tenant",
    "commits._STEPS": "",
    "executions._DELETES": "",
    "snapshots._DROP": "the id of a snapshot is a digest of its tenant, too",
    "executions._HEAD": "",
    "locks._AWAITED": "",
    "snapshots._ONE": "the id of a snapshot is a digest of its tenant, too",
    "executions._UPDATE": "",
    "lists._HEADS": "`lists` asks again of every head whether the caller sees it",
    "lists._SNAPSHOTS": "the id of a snapshot is a digest of its tenant, too",
}
"""Asked by a key that only one row has, mostly the id of an execution, which the server makes; whose it is is asked of the head, before anything else."""
FOR_THE_SERVICE: Final = {
    "accounts._ACCOUNTS": "for administrators of the tenant default, who look after everybody",
    "accounts._COUNT": "whether this is the first start",
    "audit._BEHIND": "the chain, for the command line and the syslog server",
    "audit._FIRST_SINCE": "a number of a record",
    "audit._LAST_UNTIL": "a number of a record",
    "audit._NEWEST": "a number of a record",
    "audit._OLDEST": "a number of a record",
    "audit._PRUNED": "the record of a pruning, for who checks the chain",
    "audit._REMOVE": "what was pruned, of every tenant",
    "commits._ALL": "how far a follower of one tenant has to look",
    "commits._FORGET": "after 24 hours",
    "commits._NEWEST": "a place in the order of commits",
    "commits._OLDEST": "a place in the order of commits",
    "commits._TIME_AT": "a time",
    "data_keys._RETIRE": "the keys of the whole store",
    "data_keys._USES": "the keys of the whole store",
    "executions._CLEANUPS": "the timekeeper",
    "executions._EXPIRED": "the timekeeper",
    "executions._UNFINISHED": "a restore",
    "files._DELETE_UNUSED": "files that belong to nobody",
    "files._NAMED": "contents on the disk",
    "files._ROWS": "contents on the disk",
    "files._UNUSED_ONE": "files that belong to nobody",
    "files._UNUSED_PAGE": "files that belong to nobody",
    "inventories._WITH_SOURCES": "whoever reads the sources of all tenants",
    "executions._AWAITING": "who waits for another execution, which is of the same tenant: made there",
    "executions._UNHEARD": "who waits for one that has ended; both are of one tenant",
    "locks._DUE": "whoever is next in any line; a line is of one tenant",
    "locks._WAITING": "whoever waits in any line; a line is of one tenant",
    "queue._COUNTS": "the dispatcher, which tells each tenant of its own",
    "queue._COUNT_ALL": "the intake",
    "queue._RUNNABLE": "the dispatcher",
    "requests._PRUNE": "after their time",
    "usage._OF_EACH": "for administrators of the tenant default, who look after everybody",
    "usage._TENANTS": "whether there is one of a name; the names are told to administrators of the tenant default",
    "requests._SINCE": "recalled at a start, each with whose it is",
}
"""Nobody who asks is shown what these find: the service works with it."""


def statements() -> Iterator[tuple[str, Statement]]:
    """Give every statement that stands in a module of the stores, with where it stands."""
    for found in pkgutil.iter_modules(stepswitch.storage.__path__):
        module = importlib.import_module(f"{stepswitch.storage.__name__}.{found.name}")
        for name, value in vars(module).items():
            for each in _values(value):
                if isinstance(each, Statement):
                    yield f"{found.name}.{name}", each


def _values(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, tuple | list) else [value]


def without_tenant(element: ClauseElement) -> set[str]:
    """Return the tables with a tenant of which a statement speaks without saying of which tenant; what is only added says it by itself."""
    if element.__visit_name__ == "insert":
        return set()
    parts = list(visitors.iterate(element))
    tables = {each.name for each in parts if isinstance(each, Table) and "tenant" in each.c}
    compared = [each.left for each in parts if isinstance(each, BinaryExpression) and getattr(each.left, "name", "") == "tenant"]
    return tables - {each.table.name for each in compared if hasattr(each, "table")}
