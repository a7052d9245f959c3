"""Risk: a credential is opened in the name of somebody who may not use it, because another one put it there, or he is gone."""

from typing import cast

import pytest

from stepswitch.domain.devices import Device
from stepswitch.domain.execution import Parent
from stepswitch.domain.references import Reference, SignedReference
from stepswitch.domain.step_types import StepSignature
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
    need = need_of(head(editors=editors), found := step(inputs={"pw": reference, "cmd": "core"}), found.inputs, None, "admin")
    assert need is not None
    assert [(each.input, each.credential, each.people) for each in need.referrals] == [("pw", "core", people)]


def test_a_step_that_takes_none_needs_none() -> None:
    assert need_of(head(), step(), {"pw": "core"}, None, "admin") is None


@pytest.mark.parametrize(
    ("editors", "designer", "people"),
    [
        ({}, "admin", ("admin",)),
        ({}, "", ("admin",)),
        ({}, "dora", ("admin", "dora")),
        ({"a": "eve"}, "admin", ("admin", "eve")),
        ({"a": "eve"}, "dora", ("admin", "dora", "eve")),
        ({"a": "admin"}, "admin", ("admin",)),
        ({"b": "eve"}, "admin", ("admin",)),
    ],
)
def test_what_the_inventory_names_is_opened_for_all_who_say_what_is_done_with_it(
    editors: dict[str, str], designer: str, people: tuple[str, ...]
) -> None:
    acts = StepSignature("ACTS", "", device_input="host")
    need = need_of(head(editors=editors), step(), {"host": "core-7"}, acts, designer)
    assert need is not None
    assert not need.referrals
    wanted = need.of_inventory(CORE, Device("hop-1", 22))
    assert wanted.device == Device("hop-1", 22)
    assert [(each.credential, each.people) for each in wanted.referrals] == [("core", people)]
    assert wanted.told(wanted.referrals[0]) == "credential core used for hop-1:22 by step a (0), as the inventory says"


def test_whoever_says_what_is_done_above_is_asked_below() -> None:
    acts = StepSignature("ACTS", "", device_input="host")
    below = head(editors={"a": "eve"}, parent=Parent("p", 0, 1, people=("dora", "eve", "paul")))
    need = need_of(below, step(), {"host": "core-7"}, acts, "dora")
    assert need is not None
    assert need.people == ("admin", "dora", "eve", "paul")


def test_a_step_that_only_computes_can_have_nothing_opened() -> None:
    assert need_of(head(), step(), {}, StepSignature("JS", "", only_computes=True), "admin") is None


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
