"""What can be wrong with a target, held against every step type: a failed step with a code and a sentence, or the reason why it cannot happen there.

Risk: a fault that one type tells of and another one hides, or a new type of which nobody has asked. `test_bad_targets` has the faults that come before a login.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from stepswitch.plugin import ErrorCode, Result, Value
from stepswitch.steps.registry import installed
from tests import vcenter
from tests.netconf_devices import error
from tests.steps.guest_context import asking
from tests.steps.http_server import reply
from tests.steps.suite import BEGUN, CASES, SECRET, StepTypeCase, names_with
from tests.steps.test_bad_targets import OVER_SSH, OVER_TLS
from tests.steps.vro_server import FakeRun

TESTS: Final = Path(__file__).parents[1]
LOGIN: Final = "test_a_login_that_cannot_be_fails_in_a_sentence_that_says_where"
MISSING: Final = "/no/such/file"
WHOM: Final = re.compile(r"127\.0\.0\.1|the machine smf-1|the input 'payload'|the VIM location 'paris'|the vRO workflow")
"""What says at whom it happened, or in which input."""
FULL: Final = "No space left on device"
Wrong = tuple[Mapping[str, Value], ErrorCode, str]
Make = Callable[[Any], Wrong]


def run_fails(said: str) -> Make:
    """Return what has a run of vRO fail, and say so."""

    def make(case: Any) -> Wrong:
        def work(run: FakeRun) -> None:
            run.state, run.exception = "failed", f"{said}: {MISSING}"

        return case._inputs(work), ErrorCode.RUN_FAILED, said

    return make


def over_http(status: int) -> Make:
    return lambda case: ({"url": case._target.on("/it", reply(status))}, ErrorCode.UNEXPECTED_STATUS, f"127.0.0.1:{case._target.port}")


def refused_by_guest(method: str) -> Make:
    def make(case: Any) -> Wrong:
        case._center.refuses[method].append("NoDiskSpace")
        return asking("id"), ErrorCode.NO_SPACE, "there is no space left in the machine smf-1"

    return make


def answered(operation: str, answer: Any, code: ErrorCode, said: str, **inputs: Value) -> Make:
    """Return what has a NETCONF device answer so."""

    def make(case: Any) -> Wrong:
        case._device.answer({operation: answer})
        return case._inputs(**inputs), code, said

    return make


VRO_TYPES: Final = tuple(sorted(name for name in CASES if name.startswith("VRO_")))
NO_FILE: Final[Mapping[str, Make]] = {
    "TCA_SSH": lambda case: (case._inputs(f"cat {MISSING}"), ErrorCode.NON_ZERO_EXIT, MISSING),
    "TCA_SCP": lambda case: (case._fetching(MISSING).inputs, ErrorCode.NO_SUCH_FILE, f"127.0.0.1:{case._proxy.port} has no '{MISSING}'"),
    "K8S": lambda case: (case._lab.inputs(f"cat {MISSING}"), ErrorCode.NON_ZERO_EXIT, MISSING),
    "TCA_EXEC": lambda case: (asking(f"cat {MISSING}"), ErrorCode.NON_ZERO_EXIT, MISSING),
    "HTTP": over_http(404),
    **dict.fromkeys(VRO_TYPES, run_fails("No such file")),
}
NO_SPACE: Final[Mapping[str, Make]] = {
    "TCA_SSH": lambda case: (case._inputs("cat /proc/version > /dev/full"), ErrorCode.NON_ZERO_EXIT, FULL),
    "K8S": lambda case: (case._lab.inputs("cat /proc/version > /dev/full"), ErrorCode.NON_ZERO_EXIT, FULL),
    "TCA_EXEC": lambda case: (asking("cat /proc/version > /dev/full"), ErrorCode.NON_ZERO_EXIT, FULL),
    "TCA_EXEC before it runs": refused_by_guest("CreateTemporaryDirectoryInGuest"),
    "TCA_EXEC while a file is sent": refused_by_guest("InitiateFileTransferToGuest"),
    "HTTP": over_http(507),
    "NETCONF": answered(
        "edit-config", error("resource-denied", FULL), ErrorCode.RPC_ERROR, FULL, action="merge", payload="<a xmlns='urn:a'/>"
    ),
    **dict.fromkeys(VRO_TYPES, run_fails(FULL)),
}
XML: Final[Mapping[str, Make]] = {
    "NETCONF payload": lambda case: (case._inputs("merge", payload="<a><b></a>"), ErrorCode.MALFORMED_XML, "'payload'"),
    "NETCONF payload of text": lambda case: (case._inputs("merge", payload="hostname r1"), ErrorCode.MALFORMED_XML, "'payload'"),
    "NETCONF payload that expands": lambda case: (
        case._inputs("merge", payload='<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), ErrorCode.MALFORMED_XML, "'payload'"
    ),
    "NETCONF reply": answered("get", b"\n#6\n<a><b>\n##\n", ErrorCode.NO_NETCONF, "127.0.0.1", action="get"),
    "NETCONF reply of text": answered("get", b"\n#11\n% Bad input\n##\n", ErrorCode.NO_NETCONF, "127.0.0.1", action="get"),
    "NETCONF reply that expands": answered(
        "get", b'\n#40\n<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>\n##\n', ErrorCode.NO_NETCONF, "127.0.0.1", action="get"
    ),
}  # fmt: skip


def case_of(row: str) -> str:
    """Return which case a row is about."""
    return row if row in CASES else row.split(maxsplit=1)[0]


async def assert_told(case: StepTypeCase, wrong: Wrong) -> None:
    """A failure with its code, and a sentence that says what and shows no secret."""
    inputs, code, said = wrong
    context = case.context()
    outcome = await case.step.run(inputs, context)
    assert outcome.error is not None
    assert (outcome.result, outcome.error.code) == (Result.FAILED, code), outcome.error
    assert said in outcome.error.message
    assert WHOM.search(outcome.error.message), outcome.error.message
    secrets = [str(value) for name, value in inputs.items() if "assword" in name]
    assert not [each for each in secrets if each in "\n".join([outcome.error.message, *context.messages])]


@pytest.fixture
async def case(request: pytest.FixtureRequest) -> Any:
    async with CASES[case_of(request.param)](lambda: request.getfixturevalue("server")) as case:
        yield case, request.param


@pytest.mark.parametrize("case", sorted(NO_FILE), indirect=True)
async def test_a_file_that_is_not_at_the_target_is_told(case: tuple[StepTypeCase, str]) -> None:
    await assert_told(case[0], NO_FILE[case[1]](case[0]))


@pytest.mark.parametrize("case", sorted(NO_SPACE), indirect=True)
async def test_a_target_without_space_is_told(case: tuple[StepTypeCase, str]) -> None:
    await assert_told(case[0], NO_SPACE[case[1]](case[0]))


@pytest.mark.parametrize("case", sorted(XML), indirect=True)
async def test_xml_that_is_none_is_told_whoever_has_written_it(case: tuple[StepTypeCase, str]) -> None:
    await assert_told(case[0], XML[case[1]](case[0]))


@pytest.mark.parametrize("case", sorted({*names_with("is_refused")} - {"HTTP"}), indirect=True)
async def test_a_wrong_password_is_told_by_whom_it_was_refused(case: tuple[StepTypeCase, str]) -> None:
    situation = case[0].is_refused()
    context = case[0].context(**situation.context)
    outcome = await case[0].step.run(situation.inputs, context)
    assert outcome.error is not None
    assert (outcome.result, outcome.error.code, context.sent) == (Result.FAILED, ErrorCode.LOGIN_REFUSED, False)
    assert re.search(r"127\.0\.0\.1:\d+|the machine smf-1", outcome.error.message)
    assert SECRET not in "\n".join([outcome.error.message, *context.messages])


@pytest.mark.parametrize("case", ["HTTP"], indirect=True)
async def test_a_password_that_a_web_server_refuses_is_told_with_its_status(case: tuple[Any, str]) -> None:
    url = case[0]._target.on(f"/{BEGUN}", reply(401))
    wrong = ({"url": url, "username": "ann", "password": SECRET}, ErrorCode.UNEXPECTED_STATUS, f"127.0.0.1:{case[0]._target.port}")
    await assert_told(case[0], wrong)


@pytest.mark.parametrize("case", ["TCA_EXEC"], indirect=True)
async def test_a_password_that_the_vcenter_refuses_is_told_without_the_one_of_the_machine(case: tuple[Any, str]) -> None:
    center = case[0]._center
    center.password = "another"
    context = case[0].context()
    outcome = await case[0].step.run(asking("id"), context)
    assert outcome.error is not None
    assert (outcome.error.code, f"127.0.0.1:{center.port}" in outcome.error.message) == (ErrorCode.LOGIN_REFUSED, True)
    assert vcenter.PASSWORD not in "\n".join([outcome.error.message, *context.messages])


# --- every fault over every type -------------------------------------------------------------------------------------

TYPES_OVER_SSH: Final = frozenset(CASES[name].name for name in OVER_SSH)
NO_TARGET: Final = dict.fromkeys(("NOOP", "JS", "WORKFLOW"), "has no target of its own")
NO_HOST_KEY: Final = dict.fromkeys(OVER_TLS, "speaks TLS, which has certificates in the place of host keys")
NO_XML: Final = dict.fromkeys(
    (*installed().keys() - {"NETCONF", "TCA_EXEC"} - NO_TARGET.keys(),), "neither sends XML nor reads any: what it is given is bytes to it"
)
AWAY: Final = {
    **dict.fromkeys(TYPES_OVER_SSH, LOGIN),
    **dict.fromkeys(OVER_TLS, "test_a_target_that_is_not_there_fails_in_a_sentence_that_says_which"),
}
TABLE: Final[Mapping[str, Mapping[str, str]]] = {
    "a wrong host key": {**dict.fromkeys(TYPES_OVER_SSH, LOGIN), **NO_HOST_KEY},
    "an unknown host key": {**dict.fromkeys(TYPES_OVER_SSH, LOGIN), **NO_HOST_KEY},
    "an expired key": {**dict.fromkeys(TYPES_OVER_SSH, LOGIN), **NO_HOST_KEY},
    "an unknown host": AWAY,
    "refused": AWAY,
    "unreachable": AWAY,
    "a wrong password": {
        **{CASES[name].name: "test_a_wrong_password_is_told_by_whom_it_was_refused" for name in names_with("is_refused")},
        "HTTP": "test_a_password_that_a_web_server_refuses_is_told_with_its_status",
    },
    "a certificate that does not fit": {
        **dict.fromkeys(OVER_TLS, "test_a_certificate_that_does_not_fit_fails_before_anything_is_said"),
        **dict.fromkeys(TYPES_OVER_SSH, "speaks SSH, which has host keys in the place of certificates"),
    },
    "no such file": {
        **{case_of(row): "test_a_file_that_is_not_at_the_target_is_told" for row in NO_FILE},
        "NETCONF": "knows no files at the device",
    },
    "no space left": {
        **{case_of(row): "test_a_target_without_space_is_told" for row in NO_SPACE},
        "TCA_SCP": "test_a_full_disk_keeps_the_old_file_and_no_part",
    },
    "malformed XML": {
        "NETCONF": "test_xml_that_is_none_is_told_whoever_has_written_it",
        "TCA_EXEC": "test_what_is_no_answer_of_its_api_fails_in_a_sentence",
        **NO_XML,
    },
    "no XML": {
        "NETCONF": "test_xml_that_is_none_is_told_whoever_has_written_it",
        "TCA_EXEC": "test_what_is_no_answer_of_its_api_fails_in_a_sentence",
        **NO_XML,
    },
}


@pytest.mark.parametrize("fault", sorted(TABLE))
def test_every_fault_is_shown_for_every_registered_type_or_it_is_said_why_it_cannot_be(fault: str) -> None:
    registered = {name for name, step_type in installed().items() if name == step_type.signature.name}
    rows = {**NO_TARGET, **TABLE[fault]}
    assert rows.keys() - installed().keys() == set()
    assert registered - rows.keys() == set()
    written = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    for row in rows.values():
        assert f"def {row}(" in written if row.startswith("test_") else len(row.split()) > 3, row
