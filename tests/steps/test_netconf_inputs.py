"""What NETCONF is given. Risks: bad input reaches a device, is explained with what is secret, or makes XML read something that nobody meant."""

import socket
from collections.abc import Mapping

import pytest

from stepswitch.plugin import ErrorCode, Result, Value
from stepswitch.steps.input_faults import InputFaultError
from stepswitch.steps.netconf import NetconfStep
from stepswitch.steps.netconf_inputs import SIGNATURE
from stepswitch.steps.netconf_xml import BASE, OPERATION, XmlFaultError, document, filter_of, parse, payload_of
from tests.steps.contexts import RecordingContext

SECRET = "a-word-that-nobody-may-read"
GOOD = f'<system xmlns="urn:example:system"><password>{SECRET}</password></system>'
LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><system>&b;</system>'


def edit(**more: Value) -> dict[str, Value]:
    return {"action": "merge", "payload": GOOD, **more}


@pytest.mark.parametrize(
    ("inputs", "code", "says"),
    [
        ({}, ErrorCode.MISSING_INPUT, "'action'"),
        ({"action": "destroy"}, ErrorCode.INVALID_VALUE, "get, getconfig, get-config, merge"),
        ({"action": "merge"}, ErrorCode.MISSING_INPUT, "nothing to edit"),
        (edit(inFile="x"), ErrorCode.INVALID_VALUE, "not both"),
        ({"action": "merge", "inFile": "x"}, ErrorCode.INVALID_VALUE, "type file"),
        (edit(payload=f"<a>{SECRET}</b>"), ErrorCode.MALFORMED_XML, "not well-formed XML (line 1"),
        (edit(payload=SECRET), ErrorCode.MALFORMED_XML, "no elements"),
        (edit(payload=f"<a/>{SECRET}"), ErrorCode.MALFORMED_XML, "text beside"),
        (edit(payload="</nc:config><nc:config>"), ErrorCode.MALFORMED_XML, "not well-formed"),
        (edit(payload="<config/>"), ErrorCode.MALFORMED_XML, "no elements"),
        (edit(payload=LAUGHS), ErrorCode.MALFORMED_XML, "document type"),
        (edit(payload='<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a/>'), ErrorCode.MALFORMED_XML, "document type"),
        (edit(payload="<a>&undeclared;</a>"), ErrorCode.MALFORMED_XML, "not well-formed"),
        (edit(payload="<a>\x00</a>"), ErrorCode.MALFORMED_XML, ""),
        (edit(payload="<a>" * 150 + "</a>" * 150), ErrorCode.TOO_DEEP, "100 levels"),
        (edit(payload=f'<a xmlns:nc="{BASE}" nc:operation="explode"/>'), ErrorCode.INVALID_VALUE, "operation"),
        (edit(datastore="somewhere"), ErrorCode.INVALID_VALUE, "running, candidate, startup"),
        (edit(datastore="startup"), ErrorCode.INVALID_VALUE, "not edited"),
        (edit(dryRun=True, saveToStartup=True), ErrorCode.INVALID_VALUE, "leave 'saveToStartup' out"),
        (edit(datastore="running", dryRun=True), ErrorCode.INVALID_VALUE, "candidate"),
        (edit(datastore="running", confirmedTimeout=60), ErrorCode.INVALID_VALUE, "candidate"),
        (edit(confirmedTimeout=1), ErrorCode.INVALID_VALUE, "from 5 to 3600"),
        (edit(confirmedTimeout="soon"), ErrorCode.INVALID_VALUE, "from 5 to 3600"),
        (edit(lockTimeout=-1), ErrorCode.INVALID_VALUE, "from 0 to 3600"),
        (edit(lockTimeout=float("nan")), ErrorCode.INVALID_VALUE, "from 0 to 3600"),
        (edit(port=0), ErrorCode.INVALID_VALUE, "'port'"),
        (edit(hostKey="nonsense"), ErrorCode.INVALID_VALUE, "a host key is"),
    ],
)  # fmt: skip
async def test_a_bad_input_is_said_before_anybody_is_asked(inputs: Mapping[str, Value], code: ErrorCode, says: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        login = {"hostNameOrIP": "127.0.0.1", "port": unused.getsockname()[1], "username": "admin", "password": SECRET}
        outcome = await NetconfStep().run({**login, **inputs}, RecordingContext())
    assert outcome.error is not None
    assert (outcome.result, outcome.error.code) == (Result.FAILED, code)
    assert says in outcome.error.message
    assert SECRET not in outcome.error.message


async def test_a_file_that_is_not_there_or_no_text_is_said() -> None:
    login: dict[str, Value] = {"hostNameOrIP": "127.0.0.1", "username": "admin", "action": "merge", "inFile": "it"}
    for attachments, code in (({}, ErrorCode.UNKNOWN_ATTACHMENT), ({"it": b"<a>\xff</a>"}, ErrorCode.MALFORMED_XML)):
        outcome = await NetconfStep().run(login, RecordingContext(attachments=attachments, files={"inFile"}))
        assert outcome.error is not None
        assert outcome.error.code is code


@pytest.mark.parametrize(
    "payload",
    [
        GOOD,
        f"<config>{GOOD}</config>",
        f'<nc:config xmlns:nc="{BASE}">{GOOD}</nc:config>',
        f'\ufeff<?xml version="1.0" encoding="latin-1"?>\n<!-- why -->{GOOD}',
    ],
)
def test_a_payload_may_come_with_or_without_its_config(payload: str) -> None:
    config = payload_of(payload, "replace", "payload")
    assert (config.tag, [each.tag for each in config]) == (f"{{{BASE}}}config", ["{urn:example:system}system"])
    assert config[0].get(OPERATION) == "replace"


def test_marks_of_its_own_are_kept_and_none_is_added() -> None:
    config = payload_of(f'<a xmlns:x="{BASE}"><b x:operation="remove"/></a><c/>', "create", "payload")
    assert [each.get(OPERATION) for each in config.iter()] == [None, None, "remove", None]


def test_prefixes_of_values_reach_the_device() -> None:
    config = payload_of('<a xmlns="urn:example:a" xmlns:t="urn:example:types"><kind>t:fast</kind></a>', "merge", "payload")
    assert b'xmlns:t="urn:example:types"' in document(config)


@pytest.mark.parametrize("text", [LAUGHS, '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "<a>\ufffe", "", "text", "<a/><b/>"])
def test_what_comes_from_a_device_is_no_better(text: str) -> None:
    with pytest.raises(XmlFaultError):
        parse(text.encode())


def test_a_document_type_cannot_hide_in_another_encoding() -> None:
    with pytest.raises(XmlFaultError, match="UTF-8"):
        parse(f'<?xml version="1.0" encoding="UTF-16"?>{LAUGHS}'.encode("utf-16"))
    with pytest.raises(XmlFaultError, match="document type"):
        parse(f'<?xml version="1.0" encoding="UTF-7"?>{LAUGHS}'.encode())


def test_a_filter_by_names_of_modules_declares_them() -> None:
    made = filter_of("/sys:system/sys:user[sys:name='no:prefix']/child::sys:key", {"sys": "urn:example:system"})
    assert (made.get("type"), made.nsmap["sys"]) == ("xpath", "urn:example:system")


@pytest.mark.parametrize("wanted", ["/other:system", '<filter type="xpath"/>', "<a>", "/a[.='\x00']"])
def test_a_filter_that_is_none_is_said(wanted: str) -> None:
    with pytest.raises(InputFaultError, match="'filter'"):
        filter_of(wanted, {"sys": "urn:example:system"})


def test_a_filter_by_subtree_may_have_several_parts() -> None:
    made = filter_of('<a xmlns="urn:example:a"/>\n<b xmlns="urn:example:b"/>', {})
    assert (made.get("type"), len(made)) == ("subtree", 2)


def test_reads_and_dry_runs_may_be_made_again_and_edits_not() -> None:
    assert all(SIGNATURE.is_safe({"action": action}) for action in ("get", "getconfig", "get-config"))
    assert not any(SIGNATURE.is_safe({"action": action}) for action in ("merge", "replace", "create", "delete", "edit-config", "GET"))
    assert SIGNATURE.is_safe({"action": "merge", "dryRun": True})
    assert not SIGNATURE.is_safe({"action": "merge", "dryRun": False})
    assert not SIGNATURE.is_safe({})
    assert not SIGNATURE.always_safe


def test_a_probe_takes_over_where_and_as_whom_and_never_what() -> None:
    told = {spec.name for spec in SIGNATURE.inputs if spec.tells_what}
    assert told == {"action", "payload", "inFile", "filter", "datastore", "dryRun", "saveToStartup"}
