"""What of a list may be shown, as a condition: one's own rows, and those of workflows by their names. Called by `lists` and `selects`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, func, or_

from stepswitch.engine.privileges import ANY
from stepswitch.engine.selection import Reach
from stepswitch.storage.encoding import searchable
from stepswitch.storage.listed import Listed, Test


@dataclass(frozen=True, slots=True)
class ReachForm:
    """The form of a reach: how many names are bound, and how many beginnings of names. Rounded up, so that there are few forms."""

    names: int
    beginnings: int


def reach_form(reach: Reach) -> ReachForm:
    """Return the form of a reach."""
    names, beginnings = _parted(reach)
    return ReachForm(_rounded(len(names)), _rounded(len(beginnings)))


def reach_params(reach: Reach) -> dict[str, Any]:
    """Return what the form's parameters stand for."""
    names, beginnings = _parted(reach)
    found: dict[str, Any] = {"reach_user": searchable(reach.user)}
    for place in range(_rounded(len(names))):
        found[f"reach_n{place}"] = names[min(place, len(names) - 1)]
    for place in range(_rounded(len(beginnings))):
        beginning = beginnings[min(place, len(beginnings) - 1)]
        found |= {f"reach_b{place}": beginning, f"reach_l{place}": len(beginning)}
    return found


def reach_test(listed: Listed, form: ReachForm) -> Test:
    """Return the condition."""
    name = listed.columns["workflow/name" if "workflow/name" in listed.columns else "name"]
    tests = [listed.columns["creationUser"] == bindparam("reach_user")]
    if form.names:
        tests.append(name.in_([bindparam(f"reach_n{place}") for place in range(form.names)]))
    tests += [func.substr(name, 1, bindparam(f"reach_l{place}")) == bindparam(f"reach_b{place}") for place in range(form.beginnings)]
    return or_(*tests)


def _parted(reach: Reach) -> tuple[Sequence[str], Sequence[str]]:
    names = [searchable(each) for each in reach.names if not each.endswith(ANY)]
    return names, [searchable(each.removesuffix(ANY)) for each in reach.names if each.endswith(ANY)]


def _rounded(count: int) -> int:
    return count if count < _FEW else 1 << (count - 1).bit_length()


_FEW: Final = 2
