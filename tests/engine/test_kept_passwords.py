"""Risk: somebody who may not see a stored password sends it to a machine of his own, or it is lost in an edit of something else."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from stepswitch.domain.secrecy import MASK
from stepswitch.domain.step_types import InputSpec, StepSignature, collect
from stepswitch.domain.values import ValueType
from stepswitch.engine.kept_passwords import Knows, knows_nothing, masked_document, password_places, with_kept_passwords
from stepswitch.engine.password_ways import value_at
from tests.domain.documents import TYPES

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
    whole, faults = with_kept_passwords(sent, stored(), TYPES)
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
    assert with_kept_passwords(shown, stored(), TYPES) == (stored(), [])


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


# --- what leads a password, and what tells of it ---

KEPT, OWN_PLACE = "variables.kept.defaultValue", "steps.log.inBindings.token.defaultValue"
BODY = InputSpec("body", (ValueType.PASSWORD, ValueType.STRING), "What is sent.", tells_what=True)
PLUGIN = StepSignature(
    "REST", "Asks a server.", inputs=(InputSpec("url", (ValueType.STRING,), "Where."), BODY), device_input="url", port_input="gate"
)
ALL_TYPES = collect((*{id(each): each for each in TYPES.by_name.values()}.values(), PLUGIN))


def text(value: str) -> JsonObject:
    return {"type": "string", "defaultValue": value}


def taken(name: str, kind: str = "string") -> JsonObject:
    return {"type": kind, "exportName": name}


def led() -> JsonObject:
    """Return a document whose password goes through a script to a host that another script finds out."""
    return {
        "schemaVersion": "3.0",
        "attachments": {"log.js": {"id": "file-1"}},
        "inputs": {"site": {"type": "string"}},
        "variables": {"kept": {"type": "password", "defaultValue": "stored secret"}, "copy": {"type": "string"}, "host": {"type": "string"}},
        "steps": {
            "find": {
                "type": "JS",
                "inBindings": {"script": text("return { host: site }"), "site": taken("site")},
                "outBindings": {"host": {"name": "host", "type": "string"}},
            },
            "make": {
                "type": "JS",
                "inBindings": {"script": text("return { copy: 'x' + kept }"), "kept": taken("kept", "password")},
                "outBindings": {"copy": {"name": "copy", "type": "string"}},
            },
            "reach": {
                "type": "TCA_SSH",
                "inBindings": {"hostNameOrIP": taken("host"), "password": taken("copy"), "cmd": text("show"), "stdin": text("a {{kept}}")},
                "conditions": [{"name": "kept", "comparator": "isDefined", "nextStepId": "log"}],
            },
            "login": {
                "type": "TCA_SSH", "inBindings": {"hostNameOrIP": text("r1"), "password": taken("kept", "password"), "cmd": text("show")},
            },
            "ask": {"type": "REST", "inBindings": {"url": text("https://r1"), "body": taken("kept", "password")}},
            "log": {
                "type": "JS",
                "inBindings": {
                    "script": {"type": "file", "defaultValue": "log.js"}, "token": {"type": "password", "defaultValue": "step secret"},
                },
            },
            "more": {"type": "NOOP"},
        },
    }  # fmt: skip


def refused_of_led(change: Callable[[JsonObject], Any], knows: Knows = knows_nothing) -> list[str]:
    sent = deepcopy(masked_document(led()))
    change(sent)
    return sorted(fault.path for fault in with_kept_passwords(sent, led(), ALL_TYPES, knows)[1])


@pytest.mark.parametrize(
    "change",
    [
        lambda sent: sent["steps"]["find"]["inBindings"].update(script=text("return { host: 'mine' }")),
        lambda sent: sent["steps"]["find"]["inBindings"].update(site=text("mine")),
        lambda sent: sent["steps"]["find"]["outBindings"]["host"].update(name="other"),
        lambda sent: sent["steps"]["more"].update(type="JS", inBindings={}, outBindings={"host": {"name": "host", "type": "string"}}),
        lambda sent: sent["steps"].update(new={"type": "TCA_SSH", "outBindings": {"host": {"name": "outputText", "type": "string"}}}),
        lambda sent: sent["variables"]["host"].update(defaultValue="mine"),
        lambda sent: sent["inputs"].update(host=sent["variables"].pop("host")),
        lambda sent: sent["inputs"]["site"].update(defaultValue="mine"),
        lambda sent: sent["steps"]["make"]["inBindings"].update(script=text("return { copy: kept.split('') }")),
        lambda sent: sent["steps"]["make"]["inBindings"].update(site=taken("site")),
        lambda sent: sent["steps"]["more"].update(type="JS", inBindings={"script": text("return {}"), "x": taken("copy")}),
        lambda sent: sent["steps"]["more"].update(type="JS", inBindings={"script": text("return { x: '{{kept}}' }")}),
        lambda sent: sent["steps"]["reach"]["inBindings"].update(hostNameOrIP=text("mine")),
        lambda sent: sent["steps"]["reach"]["inBindings"].update(cmd=text("echo {{kept}} | rev")),
        lambda sent: sent["steps"]["reach"]["inBindings"].update(stdin=text("b {{kept}}")),
        lambda sent: sent["steps"]["reach"]["inBindings"].update(cmd=text("rev")),
        lambda sent: sent["steps"]["reach"].update(outBindings={"said": {"name": "outputText", "type": "string"}}),
        lambda sent: sent["steps"]["make"]["outBindings"].update(said={"name": "copy", "type": "string"}),
        lambda sent: sent["steps"]["make"]["outBindings"]["copy"].update(type="password"),
        lambda sent: sent["variables"]["copy"].update(type="password"),
        lambda sent: sent.update(outputs={"copy": sent["variables"].pop("copy")}),
        lambda sent: sent["steps"]["reach"]["inBindings"].update(username=taken("copy")),
        lambda sent: sent["steps"]["more"].update(conditions=[{"name": "kept", "comparator": "match", "value": "^s", "nextStepId": "log"}]),
        lambda sent: sent["steps"]["more"].update(
            conditions=[{"name": "copy", "comparator": "match", "value": "^xs", "nextStepId": "log"}]
        ),
        lambda sent: sent["steps"]["reach"]["conditions"][0].update(comparator="match", value="^s"),
        lambda sent: sent["steps"]["more"].update(
            policy={"probe": {"done": [{"name": "outputText", "comparator": "contains", "value": "{{kept}}"}]}}
        ),
        lambda sent: sent["steps"]["ask"]["inBindings"].update(url=text("https://mine")),
        lambda sent: sent["steps"]["ask"]["inBindings"].update(gate=text("mine")),
        lambda sent: sent["steps"]["ask"]["inBindings"].update(method=text("TRACE")),
        lambda sent: sent["steps"]["ask"].update(outBindings={"host": {"name": "body", "type": "string"}}),
        lambda sent: sent["steps"].update(
            reach=sent["steps"]["reach"] | {"outBindings": {"said": {"name": "outputText", "type": "string"}}},
            more={"type": "JS", "inBindings": {"script": text("return {}"), "x": taken("said")}},
        ),
    ],
)
def test_what_leads_a_kept_password_or_tells_of_it_stays_as_it_is(change: Callable[[JsonObject], Any]) -> None:
    assert refused_of_led(change) == [KEPT]


def test_a_script_in_a_file_that_is_given_a_kept_password_stays_as_it_is() -> None:
    assert refused_of_led(lambda sent: sent["attachments"]["log.js"].update(id="file-2")) == [OWN_PLACE]
    assert refused_of_led(lambda sent: sent["steps"]["log"]["inBindings"].update(script=text("return { told: token }"))) == [OWN_PLACE]


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        (lambda sent: sent["steps"]["make"]["inBindings"].update(script=text("return {}")), []),
        (lambda sent: sent["steps"]["find"]["inBindings"].update(script=text("return {}")), []),
        (lambda sent: sent["attachments"]["log.js"].update(id="file-2"), []),
        (lambda sent: sent["steps"]["reach"]["inBindings"].update(hostNameOrIP=text("mine")), [KEPT]),
        (lambda sent: sent["variables"]["host"].update(defaultValue="mine"), [KEPT]),
        (lambda sent: sent["steps"]["ask"]["inBindings"].update(url=text("https://mine")), [KEPT]),
        (lambda sent: sent["steps"]["more"].update(type="JS", inBindings={"x": taken("kept")}), [KEPT]),
    ],
)
def test_whoever_made_the_workflow_is_only_kept_from_another_target(change: Callable[[JsonObject], Any], refused: list[str]) -> None:
    assert refused_of_led(change, lambda _: True) == refused


def test_files_of_an_older_document_stay_as_they_are_where_its_passwords_do() -> None:
    old = {
        "schemaVersion": "2.0",
        "attachments": {"log.js": {"id": "1"}},
        "inputs": [{"name": "pw", "type": "password", "default": "word"}],
    }
    sent = {**masked_document(old), "attachments": {"log.js": {"id": "2"}}}
    assert [fault.path for fault in with_kept_passwords(sent, old, TYPES)[1]] == ["inputs[0].default"]
    assert with_kept_passwords(sent, old, TYPES, lambda _: True)[1] == []
    assert with_kept_passwords({**masked_document(old), "name": "other"}, old, TYPES)[1] == []


def test_many_passwords_that_one_chain_leads_are_each_refused() -> None:
    def chain(script: str) -> JsonObject:
        steps = {
            f"s{number}": {
                "type": "JS",
                "inBindings": {
                    "script": text(script if number == 0 else "return {}"),
                    "x": taken(f"v{number}"),
                    "own": {"type": "password", "defaultValue": "step secret"},
                },
                "outBindings": {f"v{number + 1}": {"name": "x", "type": "string"}},
            }
            for number in range(200)
        }
        return {"schemaVersion": "3.0", "variables": {f"v{number}": {"type": "string"} for number in range(201)}, "steps": steps}

    same, changed = masked_document(chain("return {}")), masked_document(chain("return { x: own }"))
    assert with_kept_passwords(same, chain("return {}"), TYPES)[1] == []
    assert len(with_kept_passwords(changed, chain("return {}"), TYPES)[1]) == 200


def test_who_gives_the_password_itself_may_send_it_where_he_likes() -> None:
    def change(sent: JsonObject) -> None:
        sent["variables"]["kept"]["defaultValue"] = "known to whoever sends it"
        sent["steps"]["find"]["inBindings"]["script"] = text("return { host: 'mine' }")

    assert refused_of_led(change) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda sent: sent.update(description="d", startStepId="more"),
        lambda sent: sent["steps"]["find"].update(nextStepId="more", description="d", policy={"retry": {"maxAttempts": 2}}),
        lambda sent: sent["steps"]["login"]["inBindings"].update(cmd=text("show version")),
        lambda sent: sent["steps"]["login"].update(outBindings={"said": {"name": "outputText", "type": "string"}}),
        lambda sent: sent["steps"]["reach"]["conditions"].pop(),
        lambda sent: sent["steps"]["reach"]["conditions"].append({"name": "host", "comparator": "isDefined", "nextStepId": "more"}),
        lambda sent: sent["steps"]["reach"]["inBindings"].pop("stdin"),
        lambda sent: sent["steps"].pop("make"),
        lambda sent: sent["steps"].update(new={"type": "TCA_SSH", "inBindings": {"hostNameOrIP": text("r2"), "cmd": text("show")}}),
        lambda sent: sent["attachments"].update({"notes.txt": {"id": "file-3"}}),
        lambda sent: sent["variables"].update(new={"type": "string"}),
    ],
)
def test_what_does_not_lead_a_kept_password_may_change(change: Callable[[JsonObject], Any]) -> None:
    assert refused_of_led(change) == []


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
    assert len(with_kept_passwords(masked_document(stored()), {}, TYPES)[1]) == 4


@pytest.mark.parametrize("strange", [None, 5, [], "x", {"pw": None}, {"pw": {"type": "password", "defaultValue": [MASK]}}])
def test_what_is_no_document_at_all_is_let_pass_for_the_validation(strange: Any) -> None:
    for section in ("inputs", "steps", "variables"):
        sent = stored() | {section: strange}
        assert with_kept_passwords(sent, stored(), TYPES) == (sent, [])
        assert isinstance(masked_document(sent), dict)
