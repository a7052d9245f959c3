"""What stands in columns of its own so that lists can be filtered by it. Called by `catalogue` and `executions` when they write."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from stepswitch.domain.execution import Values
from stepswitch.storage.encoding import LARGE, dump, searchable

SEARCHED: Final = ("workflow_version", "owner_id", "owner_sub_id", "owner_type", "read_only", "hierarchy", "tags")
"""Columns of a workflow, beside its name."""


def searched_of_workflow(document: Mapping[str, Any]) -> dict[str, str | int | None]:
    """Return the columns called `SEARCHED` of a workflow that was validated."""
    owner = document.get("owner")
    owner = owner if isinstance(owner, Mapping) else {}
    tags = document.get("tags")
    names = [tag.get("name") for tag in tags if isinstance(tag, Mapping)] if isinstance(tags, list) else []
    hierarchy = document.get("hierarchy")
    return {
        "workflow_version": _text(document.get("version")) or "",
        "owner_id": _text(owner.get("id")),
        "owner_sub_id": _text(owner.get("subId")),
        "owner_type": _text(owner.get("type")),
        "read_only": int(document.get("readOnly") is True),
        "hierarchy": _texts(hierarchy if isinstance(hierarchy, list) else ()),
        "tags": _texts(names),
    }


def searched_context(context: Values) -> str | None:
    """Return the entries of a context as JSON; a text over 64 KiB is not searched."""
    found = {
        searchable(name): searchable(value) if isinstance(value, str) else value for name, value in context.items() if _is_short(value)
    }
    return dump(found).decode() if found else None


def _is_short(value: object) -> bool:
    return not isinstance(value, str) or len(value) <= LARGE


def _text(value: object) -> str | None:
    return searchable(value) if isinstance(value, str) else None


def _texts(values: Iterable[object]) -> str | None:
    found = [searchable(value) for value in values if isinstance(value, str)]
    return dump(found).decode() if found else None
