"""Risk: somebody who may not see a stored password sends it to a machine of his own, or it is lost in an edit of something else."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from stepswitch.domain.secrecy import MASK
from stepswitch.engine.kept_passwords import masked_document, password_places, value_at, with_kept_passwords

JsonObject = dict[str, Any]
CREDENTIAL = {"credential": "core"}


def stored() -> JsonObject:
    step = {
        "type": "TCA_SSH",
        "inBindings": {
            "hostNameOrIP": {"type": "string", "exportName": "host"},
            "port": {"type": "number", "defaultValue": 22},
            "password": {"type": "password", "defaultValue": "step secret"},
            "enablePassword": {"type": "password", "exportName": "pw"},
            "cmd": {"type": "string", "defaultValue": "show"},
        },
        "conditions": [{"name": "host", "comparator": "isDefined"}, {"name": "pw", "comparator": "equals", "value": "compared"}],
    }
    return {
        "schemaVersion": "3.0",
        "inputs": {"host": {"type": "string", "defaultValue": "r1"}, "pw": {"type": "password", "defaultValue": "hunter22"}},
        "variables": {"kept": {"type": "password", "defaultValue": "variable secret"}},
        "steps": {"a": step, "b": {"type": "NOOP"}},
    }


def sent_back(change: Callable[[JsonObject], Any]) -> list[str]:
    """Return the paths that are refused where a document is sent back as it was shown, but for one change."""
    sent = deepcopy(masked_document(stored()))
    change(sent)
    whole, faults = with_kept_passwords(sent, stored())
    if not faults:
        assert MASK not in str(whole)
    return sorted(fault.path for fault in faults)


STEP_PLACE, INPUT_PLACE, CONDITION_PLACE = (
    "steps.a.inBindings.password.defaultValue",
    "inputs.pw.defaultValue",
    "steps.a.conditions[1].value",
)
ALL_OF_A = sorted([STEP_PLACE, INPUT_PLACE, CONDITION_PLACE])


def test_what_was_shown_comes_back_whole() -> None:
    shown = masked_document(stored())
    assert "secret" not in str(shown)
    assert "hunter22" not in str(shown)
    assert "compared" not in str(shown)
    assert with_kept_passwords(shown, stored()) == (stored(), [])


def test_what_is_hidden_is_what_may_come_back_hidden_and_nothing_is_changed_in_place() -> None:
    document = stored()
    secret, open_one = {"type": "password", "defaultValue": "secret", "default": "secret"}, {"type": "password", "defaultValue": CREDENTIAL}
    document["outputs"] = {"o": dict(secret)}
    document["steps"]["b"]["policy"] = {
        "timeoutSeconds": 5,
        "probe": {"inBindings": {"password": dict(secret), "enablePassword": open_one}},
    }
    document["steps"]["b"]["conditions"] = [{"name": "o", "value": "secret"}, {"name": ["o"], "value": "x"}, "no condition"]
    before = deepcopy(document)
    shown, places = masked_document(document), {each.keys for each in password_places(document)}
    assert document == before
    for keys in places:
        held = value_at(document, keys)
        assert value_at(shown, keys) == (held if held in (None, CREDENTIAL) else MASK)
    assert str(shown).count(MASK) == sum(value_at(document, keys) not in (None, CREDENTIAL) for keys in places) == 9
    assert "secret" not in str(shown)


@pytest.mark.parametrize(
    "change",
    [
        lambda sent: sent.update(name="new", description="d"),
        lambda sent: sent["steps"]["a"]["inBindings"]["cmd"].update(defaultValue="other"),
        lambda sent: sent["steps"].update(b={"type": "JS", "inBindings": {"script": {"type": "string", "defaultValue": "return {}"}}}),
        lambda sent: sent["inputs"]["pw"].update(defaultValue="a new one"),
        lambda sent: sent["steps"].pop("b"),
    ],
)
def test_an_edit_of_something_else_keeps_every_password(change: Callable[[JsonObject], Any]) -> None:
    assert sent_back(change) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda sent: sent["steps"]["a"].update(type="VRO_SSH"),
        lambda sent: sent["steps"]["a"]["inBindings"].update(hostNameOrIP={"type": "string", "defaultValue": "mine"}),
        lambda sent: sent["steps"]["a"]["inBindings"]["hostNameOrIP"].update(exportName="other"),
        lambda sent: sent["steps"]["a"]["inBindings"]["hostNameOrIP"].update(defaultValue="mine"),
        lambda sent: sent["steps"]["a"]["inBindings"]["port"].update(defaultValue=2222),
        lambda sent: sent["steps"]["a"]["inBindings"].update(hostKey={"type": "string", "defaultValue": "SHA256:mine"}),
        lambda sent: sent["steps"]["a"]["inBindings"].update(virtualMachine={"type": "virtualMachine", "defaultValue": "vm"}),
        lambda sent: sent["steps"]["a"]["inBindings"].update(vimLocation={"type": "vimLocation", "defaultValue": "v"}),
        lambda sent: sent["steps"]["a"]["inBindings"].update(url={"type": "string", "defaultValue": "https://mine/"}),
        lambda sent: sent["steps"]["a"]["inBindings"].update(verify={"type": "boolean", "defaultValue": False}),
        lambda sent: sent["steps"]["a"]["inBindings"].update(caCertificate={"type": "string", "defaultValue": "mine"}),
        lambda sent: sent["inputs"]["host"].update(defaultValue="mine"),
    ],
)
def test_no_password_goes_to_another_machine(change: Callable[[JsonObject], Any]) -> None:
    assert sent_back(change) == ALL_OF_A


@pytest.mark.parametrize(
    "binding",
    [{"type": "password", "exportName": "pw"}, {"type": "string", "defaultValue": "echo {{ pw }}"}, {"type": "string", "exportName": "pw"}],
)
def test_a_step_that_did_not_use_a_declared_password_gets_no_stored_one(binding: JsonObject) -> None:
    thief = {"type": "TCA_SSH", "inBindings": {"hostNameOrIP": {"type": "string", "defaultValue": "mine"}, "x": binding}}
    assert sent_back(lambda sent: sent["steps"].update(c=thief)) == [INPUT_PLACE]
    assert sent_back(lambda sent: sent["steps"].update(b=thief)) == [INPUT_PLACE]
    probing = {"type": "TCA_SSH", "policy": {"probe": {"inBindings": thief["inBindings"]}}}
    assert sent_back(lambda sent: sent["steps"].update(b=probing)) == [INPUT_PLACE]


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        (lambda sent: sent["inputs"].update(new={"type": "password", "defaultValue": MASK}), ["inputs.new.defaultValue"]),
        (lambda sent: sent["inputs"]["host"].update(type="password", defaultValue=MASK), ["inputs.host.defaultValue", *ALL_OF_A]),
        (lambda sent: sent["steps"].update(c=sent["steps"].pop("a")), ["inputs.pw.defaultValue", "steps.c.conditions[1].value", "steps.c.inBindings.password.defaultValue"]),
        (lambda sent: sent["steps"]["a"]["conditions"].pop(0), ["steps.a.conditions[0].value"]),
        (lambda sent: sent.update(schemaVersion="2.0"), sorted([*ALL_OF_A, "variables.kept.defaultValue"])),
    ],
)  # fmt: skip
def test_a_mask_where_no_password_was_is_refused(change: Callable[[JsonObject], Any], refused: list[str]) -> None:
    assert sent_back(change) == sorted(refused)


def test_everything_is_refused_where_nothing_is_stored() -> None:
    assert len(with_kept_passwords(masked_document(stored()), {})[1]) == 4


@pytest.mark.parametrize("strange", [None, 5, [], "x", {"pw": None}, {"pw": {"type": "password", "defaultValue": [MASK]}}])
def test_what_is_no_document_at_all_is_let_pass_for_the_validation(strange: Any) -> None:
    for section in ("inputs", "steps", "variables"):
        sent = stored() | {section: strange}
        assert with_kept_passwords(sent, stored()) == (sent, [])
        assert isinstance(masked_document(sent), dict)
