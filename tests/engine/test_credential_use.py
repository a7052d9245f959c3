"""Risk: a credential is opened in the name of somebody who may not use it, because another one put it there, or he is gone."""

from typing import cast

import pytest

from stepswitch.domain.references import Reference, SignedReference
from stepswitch.engine.account_ports import AccountStore
from stepswitch.engine.credential_rules import AccountRoles
from stepswitch.engine.credential_use import need_of
from stepswitch.engine.records import Account
from tests.storage.values import head, step

CORE, SIGNED = Reference("core"), SignedReference("core", "tom")


@pytest.mark.parametrize(
    ("reference", "editors", "people"),
    [
        (CORE, {}, ("admin",)),
        (CORE, {"a": "eve"}, ("eve",)),
        (CORE, {"b": "eve"}, ("admin",)),
        (SIGNED, {}, ("tom",)),
        (SIGNED, {"a": "tom"}, ("tom",)),
        (SIGNED, {"a": "eve"}, ("tom", "eve")),
    ],
)
def test_whoever_put_it_there_and_whoever_edited_the_step_are_both_asked(
    reference: Reference, editors: dict[str, str], people: tuple[str, ...]
) -> None:
    need = need_of(head(editors=editors), step(inputs={"pw": reference, "cmd": "core"}), None)
    assert need is not None
    assert [(each.input, each.credential, each.people) for each in need.referrals] == [("pw", "core", people)]


def test_a_step_that_takes_none_needs_none() -> None:
    assert need_of(head(), step(inputs={"pw": "core"}), None) is None


class _Accounts:
    """An account that everybody has."""

    def __init__(self, tenant: str, *, is_disabled: bool = False) -> None:
        self._account = Account("tom", tenant, "hash", ("operations",), is_disabled=is_disabled)

    async def account(self, _name: str) -> Account:
        return self._account


async def test_somebody_who_is_disabled_or_of_another_tenant_has_no_roles() -> None:
    accounts = (_Accounts("default"), _Accounts("default", is_disabled=True), _Accounts("north"))
    found = [await AccountRoles(cast(AccountStore, each)).roles_of("default", "tom") for each in accounts]
    assert found == [frozenset({"Operations"}), None, None]
