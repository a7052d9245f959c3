"""Risk: a workflow that goes another way passes its rehearsal, or fails it without saying where and why, or not all of it at once."""

import json
from dataclasses import replace
from typing import Any, Final

import pytest

from stepswitch.api.wire.rehearsals import shown_reports
from stepswitch.domain.errors import InvalidRequestError
from stepswitch.domain.execution import Outcome, Result, Status
from stepswitch.domain.rules import Rules
from stepswitch.domain.step_types import collect
from stepswitch.engine.divergences import DivergenceKind as Kind
from stepswitch.engine.ports import StepContext
from stepswitch.plugin import ErrorCode, LogLevel, Values, failed
from tests.domain.documents import TYPES
from tests.engine.rehearsing import flow, rehearse, sentences, ssh, stage, told, way

NOOP: Final = {"type": "NOOP"}
MODE: Final = {"mode": {"type": "string", "defaultValue": "active"}}
BRANCH: Final = flow(
    "look",
    {
        "look": ssh(nextStepId="pick"),
        "pick": {
            "type": "NOOP",
            "conditions": [
                {"name": "mode", "comparator": "equals", "value": "active", "nextStepId": "rollback"},
                {"name": "text", "comparator": "isDefined"},
            ],
            "nextStepId": "check",
        },
        "check": NOOP,
        "rollback": NOOP,
    },
    inputs=MODE,
)
LOOK: Final = {"look": [{"outputs": {"outputText": "fine"}}]}
FAILS: Final = {"result": "FAILED", "error": {"code": "NON_ZERO_EXIT", "message": "it said no"}}
DOUBT: Final = {"result": "UNKNOWN", "error": {"code": "CONNECTION_CUT", "message": "cut"}}


async def test_another_way_is_told_with_its_place_and_the_condition_that_led_there() -> None:
    report = await rehearse(BRANCH, results=LOOK, expected={"way": ["look", "pick", "check", "look", "pick"]})
    message = 'step 3: expected `check`, it went to `rollback` because condition 1 of `pick` (`mode` equals "active") held'
    assert told(report) == [(Kind.WAY, "expected.way[2]", message)]
    assert way(report) == ["look", "pick", "rollback"]


async def test_the_same_way_is_as_expected() -> None:
    report = await rehearse(BRANCH, results=LOOK, expected={"way": ["look", "pick", "rollback"], "status": "COMPLETED", "outputs": {}})
    assert (report.is_as_expected, report.status) == (True, Status.COMPLETED)


WAYS: Final[list[Any]] = [
    pytest.param(
        flow("a", {"a": ssh(nextStepId="b"), "b": NOOP, "c": NOOP}), {"results": {"a": [{}]}}, ["a", "c"],
        "step 2: expected `c`, it went to `b` because it is the nextStepId of `a`", id="nextStepId",
    ),
    pytest.param(
        BRANCH, {"results": LOOK, "assignments": {"mode": "off"}}, ["look", "pick", "check"],
        "step 3: expected `check`, it is COMPLETED because condition 2 of `pick` (`text` isDefined) held and names no step", id="the end by a condition",
    ),
    pytest.param(
        BRANCH, {"results": {"look": [{}]}, "assignments": {"mode": "off"}}, ["look", "pick", "rollback"],
        "step 3: expected `rollback`, it went to `check` because no condition of `pick` held (`mode` is \"off\", `text` has no value) "
        "and it is the nextStepId of `pick`", id="no condition",
    ),
    pytest.param(
        flow("a", {"a": ssh(policy={"onFailureStepId": "b"}), "b": NOOP}), {"results": {"a": [FAILS]}}, ["a"],
        "step 2: expected no further step, it went to `b` because `a` ended FAILED (NON_ZERO_EXIT: it said no) and its onFailureStepId leads there",
        id="onFailureStepId",
    ),
    pytest.param(
        flow("a", {"a": ssh(policy={"onUnknownStepId": "b"}), "b": NOOP}), {"results": {"a": [DOUBT]}}, ["a", "a"],
        "step 2: expected `a`, it went to `b` because `a` ended UNKNOWN (CONNECTION_CUT: cut) and its onUnknownStepId leads there", id="onUnknownStepId",
    ),
    pytest.param(
        flow("a", {"a": ssh(nextStepId="b", policy={"retry": {"maxAttempts": 2}}), "b": NOOP}), {"results": {"a": [FAILS, {}]}}, ["a", "b"],
        "step 2: expected `b`, it went to `a` because attempt 1 ended FAILED (NON_ZERO_EXIT: it said no) and another one follows", id="retry",
    ),
    pytest.param(
        flow("a", {"a": ssh(nextStepId="b"), "b": NOOP}), {"results": {"a": [FAILS]}}, ["a", "b"],
        "step 2: expected `b`, it is FAILED because `a` ended FAILED (NON_ZERO_EXIT: it said no)", id="a failure",
    ),
    pytest.param(
        flow("a", {"a": ssh(nextStepId="b"), "b": NOOP}), {"results": {"a": [FAILS]}, "pauseAtFailure": True}, ["a", "b"],
        "step 2: expected `b`, it is PAUSED because `a` ended FAILED (NON_ZERO_EXIT: it said no), and nobody goes on", id="a pause after",
    ),
    pytest.param(
        flow("a", {"a": ssh(nextStepId="b"), "b": NOOP, "c": NOOP}), {"results": {"a": [{}]}, "debugStepIds": ["b"]}, ["a", "b", "c"],
        "step 3: expected `c`, it is PAUSED because it waits before `b`, and nobody goes on", id="a pause before",
    ),
    pytest.param(
        flow("a", {"a": ssh(nextStepId="b"), "b": NOOP, "c": NOOP}),
        {"results": {"a": [FAILS]}, "pauseAtFailure": True, "operators": [{"act": "resume", "startStepId": "c"}]}, ["a", "b"],
        "step 2: expected `b`, it went to `c` because an operator went on there", id="an operator",
    ),
    pytest.param(
        flow("a", {"a": ssh(nextStepId="b"), "b": NOOP}), {"results": {"a": [FAILS]}, "pauseAtFailure": True, "operators": [{"act": "resume"}]}, ["a"],
        "step 2: expected no further step, it went to `b` because the failure of `a` was accepted and it is the nextStepId of `a`", id="an accepted failure",
    ),
    pytest.param(
        flow("a", {"a": ssh(nextStepId="b"), "b": NOOP}), {"results": {"a": [FAILS]}, "pauseAtFailure": True, "operators": [{"act": "abort"}]},
        ["a", "b"], "step 2: expected `b`, it is ABORTED because an operator aborted it", id="an abort",
    ),
    pytest.param(flow("a", {"a": NOOP, "b": NOOP}), {}, ["b"], "step 1: expected `b`, it begins at `a`", id="the beginning"),
]  # fmt: skip


@pytest.mark.parametrize(("workflow", "given", "expected", "message"), WAYS)
async def test_why_the_way_went_elsewhere_is_said(workflow: Any, given: Any, expected: list[str], message: str) -> None:
    report = await rehearse(workflow, **given, expected={"way": expected})
    assert sentences(report) == [message]


async def test_everything_that_is_otherwise_along_the_way_is_said_at_once() -> None:
    workflow = flow("a", {"a": ssh(nextStepId="b", inBindings={"port": {"type": "number", "defaultValue": 2022}}), "b": NOOP})
    steps = [
        {
            "stepId": "a",
            "result": "FAILED",
            "attempt": 2,
            "inputs": {"cmd": "show that", "port": 22, "username": "admin", "platform": "ios"},
        },
        {"stepId": "b", "result": "UNKNOWN"},
    ]
    report = await rehearse(workflow, results={"a": [{}]}, expected={"way": steps, "status": "FAILED"})
    assert told(report) == [
        (Kind.RESULT, "expected.way[0].attempt", "step 1, `a`: expected attempt 2, it is attempt 1"),
        (Kind.RESULT, "expected.way[0].result", "step 1, `a`: expected FAILED, it ended SUCCEEDED"),
        (Kind.INPUT, "expected.way[0].inputs.cmd", 'step 1, `a`: input `cmd`: expected "show that", it is "show it"'),
        (Kind.INPUT, "expected.way[0].inputs.port", "step 1, `a`: input `port`: expected 22, it is 2022"),
        (Kind.INPUT, "expected.way[0].inputs.platform", 'step 1, `a`: input `platform`: expected "ios", it has no value'),
        (Kind.RESULT, "expected.way[1].result", "step 2, `b`: expected UNKNOWN, it ended SUCCEEDED"),
        (Kind.STATUS, "expected.status", "expected FAILED, it is COMPLETED because `b` has no nextStepId"),
    ]


async def test_an_error_is_compared_by_its_code() -> None:
    workflow = flow("a", {"a": ssh(policy={"onFailureStepId": "b"}), "b": NOOP})
    expected = {"way": [{"stepId": "a", "error": "TIMEOUT"}, {"stepId": "b", "error": "LOST"}]}
    report = await rehearse(workflow, results={"a": [FAILS]}, expected=expected)
    assert sentences(report) == [
        "step 1, `a`: expected the error TIMEOUT, it is NON_ZERO_EXIT",
        "step 2, `b`: expected the error LOST, it has no error",
    ]


OUTPUTS: Final = flow(
    "a",
    {"a": {"type": "JS", "inBindings": {"script": {"type": "string", "defaultValue": "x"}}, "outBindings": {
        "number": {"name": "number", "type": "number"}, "truth": {"name": "truth", "type": "boolean"}, "text": {"name": "text", "type": "string"},
        "other": {"name": "other", "type": "string"},
    }}},
    outputs={"number": {"type": "number"}, "truth": {"type": "boolean"}, "other": {"type": "string"}, "none": {"type": "string"}},
)  # fmt: skip


async def test_every_output_and_value_that_differs_is_said_and_kinds_are_kept_apart() -> None:
    given: dict[str, Any] = {"results": {"a": [{"outputs": {"number": 1, "truth": True, "other": "o", "text": "t"}}]}}
    expected = {"outputs": {"number": True, "truth": 1, "none": "n"}, "values": {"text": "u", "number": "1", "none": None, "other": "o"}}
    report = await rehearse(OUTPUTS, **given, expected=expected)
    assert told(report) == [
        (Kind.OUTPUT, "expected.outputs.number", "output `number`: expected true, it is 1"),
        (Kind.OUTPUT, "expected.outputs.truth", "output `truth`: expected 1, it is true"),
        (Kind.OUTPUT, "expected.outputs.none", 'output `none`: expected "n", it has no value'),
        (Kind.OUTPUT, "expected.outputs.other", 'output `other`: expected no value, it is "o"'),
        (Kind.VALUE, "expected.values.text", 'value of `text`: expected "u", it is "t"'),
        (Kind.VALUE, "expected.values.number", 'value of `number`: expected "1", it is 1'),
    ]
    assert (dict(report.outputs), dict(report.values)) == ({"number": 1, "truth": True, "other": "o"}, {"text": "t"})


async def test_of_long_texts_the_part_is_shown_where_they_begin_to_differ() -> None:
    found = "x" * 500 + "here it is" + "y" * 500
    expected = "x" * 500 + "here it was" + "y" * 500
    report = await rehearse(OUTPUTS, results={"a": [{"outputs": {"other": found}}]}, expected={"values": {"other": expected}})
    (message,) = sentences(report)
    assert "here it was" in message
    assert "here it isy" in message
    assert len(message) < 300


# --- results ----------------------------------------------------------------------------------------------------------


async def test_all_results_that_are_missing_are_said_at_once_and_nothing_that_follows_from_guessing() -> None:
    workflow = flow("a", {"a": ssh(nextStepId="b"), "b": ssh(nextStepId="c"), "c": ssh(nextStepId="d"), "d": NOOP})
    expected = {"way": ["a", "b", "d"], "status": "FAILED", "outputs": {}, "values": {"text": "never"}}
    report = await rehearse(workflow, results={"b": [{"times": 7}]}, expected=expected)
    assert told(report) == [
        (Kind.MISSING_RESULT, "results.a", "step 1: `a` (TCA_SSH) has no result; a success was assumed"),
        (Kind.MISSING_RESULT, "results.c", "step 3: `c` (TCA_SSH) has no result; a success was assumed"),
    ]
    assert [taken.assumed for taken in report.way] == [True, False, True, False]


async def test_results_that_are_used_up_are_missing_and_a_loop_that_lacks_them_ends() -> None:
    workflow = flow("a", {"a": ssh(nextStepId="b"), "b": ssh(nextStepId="a")})
    report = await rehearse(workflow, results={"a": [{"times": 2}], "b": [{"times": 100}]})
    assert sentences(report) == ["step 5: `a` (TCA_SSH) has no further result: the 2 that it has are used up; a success was assumed"]
    assert report.step_executions == 7


async def test_results_that_nobody_used_are_said() -> None:
    workflow = flow("a", {"a": ssh(nextStepId="b"), "b": NOOP, "c": ssh()})
    report = await rehearse(workflow, results={"a": [{}, FAILS], "c": [{"times": 3}]})
    assert told(report) == [
        (Kind.UNUSED_RESULT, "results.a[1]", "result 2 of `a` was never used"),
        (Kind.UNUSED_RESULT, "results.c[0]", "result of `c` was never used"),
    ]
    again = await rehearse(workflow, results={"a": [{"times": 3}]})
    assert sentences(again) == ["result of `a` was used once, not 3 times"]


async def test_a_script_is_run_unless_a_result_is_given_for_it() -> None:
    workflow = flow("a", {"a": {
        "type": "JS", "inBindings": {"script": {"type": "string", "defaultValue": "x"}, "text": {"type": "string", "defaultValue": "run"}},
        "outBindings": {"text": {"name": "text", "type": "string"}},
    }})  # fmt: skip
    assert (await rehearse(workflow)).values == {"text": "run"}
    assert (await rehearse(workflow, results={"a": [{"outputs": {"text": "given"}}]})).values == {"text": "given"}


async def test_what_a_script_says_and_how_it_fails_is_told() -> None:
    async def say(_inputs: Values, context: StepContext) -> Outcome:
        await context.log("looking", LogLevel.INFO)
        return failed(ErrorCode.SCRIPT_FAILED, "Error: no such cell (line 1, column 7)")

    workflow = flow("a", {"a": {"type": "JS", "inBindings": {"script": {"type": "string", "defaultValue": "x"}}}})
    report = await rehearse(workflow, on=stage(say), expected={"status": "COMPLETED"})
    assert sentences(report) == [
        "expected COMPLETED, it is FAILED because `a` ended FAILED (SCRIPT_FAILED: Error: no such cell (line 1, column 7))"
    ]
    assert [(entry.step, entry.message) for entry in report.log][:1] == [(0, "looking")]


# --- time ---------------------------------------------------------------------------------------------------------------


async def test_waits_pass_at_once_and_are_counted() -> None:
    policy = {"delaySeconds": 3600, "retry": {"maxAttempts": 3, "delaySeconds": 60, "backoff": 2}}
    workflow = flow("a", {"a": ssh(policy=policy, nextStepId="b"), "b": {"type": "NOOP", "policy": {"delaySeconds": 5}}})
    report = await rehearse(workflow, results={"a": [{**FAILS, "times": 2, "seconds": 10}, {}]}, expected={"way": ["a", "a", "a", "b"]})
    assert (report.is_as_expected, report.seconds) == (True, 3600 + 10 + 60 + 10 + 120 + 5)


@pytest.mark.parametrize(("is_safe", "result"), [(False, Result.UNKNOWN), (True, Result.FAILED)])
async def test_an_attempt_over_its_time_limit_ends_as_the_service_lets_it_end(is_safe: bool, result: Result) -> None:
    workflow = flow("a", {"a": ssh(policy={"timeoutSeconds": 30, "safeToRerun": is_safe})})
    report = await rehearse(workflow, results={"a": [{"seconds": 30.5}]})
    (taken,) = report.way
    assert (taken.result, taken.error and taken.error.code, report.seconds) == (result, ErrorCode.TIMEOUT, 30)
    assert (await rehearse(workflow, results={"a": [{"seconds": 30}]})).status is Status.COMPLETED


@pytest.mark.parametrize(("cmd", "limit", "lost"), [("show", Result.FAILED, ["a", "a"]), ("change", Result.UNKNOWN, ["a"])])
async def test_a_type_may_be_safe_with_some_inputs_and_not_with_others(cmd: str, limit: Result, lost: list[str]) -> None:
    types = collect(
        tuple(replace(each, safe_when={"cmd": frozenset({"show"})}) for each in TYPES.by_name.values() if each.name == "TCA_SSH")
    )
    step = ssh(policy={"timeoutSeconds": 30})
    step["inBindings"]["cmd"] = {"type": "string", "defaultValue": cmd}
    workflow = flow("a", {"a": step})
    (taken,) = (await rehearse(workflow, on=stage(rules=Rules(types)), results={"a": [{"seconds": 31}]})).way
    assert taken.result is limit
    report = await rehearse(workflow, on=stage(rules=Rules(types)), results={"a": [{"lost": True}, {}]})
    assert [each.step_id for each in report.way] == lost


async def test_an_attempt_that_is_lost_is_repeated_where_that_is_safe_and_in_doubt_elsewhere() -> None:
    safe = flow("a", {"a": ssh(policy={"safeToRerun": True})})
    report = await rehearse(safe, results={"a": [{"lost": True}, {}]}, expected={"way": ["a", "a"]})
    assert (report.is_as_expected, report.status) == (True, Status.COMPLETED)
    doubtful = await rehearse(flow("a", {"a": ssh()}), results={"a": [{"lost": True}]})
    assert [(taken.result, taken.error and taken.error.code) for taken in doubtful.way] == [(Result.UNKNOWN, ErrorCode.LOST)]


# --- bounds -------------------------------------------------------------------------------------------------------------


async def test_an_endless_loop_ends_with_a_word_about_it() -> None:
    workflow = flow("a", {"a": {"type": "NOOP", "nextStepId": "b"}, "b": {"type": "NOOP", "nextStepId": "a"}})
    report = await rehearse(workflow, expected={"status": "COMPLETED"})
    (message,) = sentences(report)
    assert message.startswith("it goes on after 10000 step executions, and no rehearsal goes any further; the last ones: ")
    assert message.endswith("`b` → `a` → `b` → `a`")
    assert (report.step_executions, len(report.way)) == (10_001, 1_000)


async def test_more_step_executions_than_expected_are_cut_off_and_as_many_are_not() -> None:
    workflow = flow("a", {"a": {"type": "NOOP", "nextStepId": "b"}, "b": {"type": "NOOP", "nextStepId": "c"}, "c": NOOP})
    assert (await rehearse(workflow, expected={"maxStepExecutions": 3})).is_as_expected
    report = await rehearse(workflow, expected={"maxStepExecutions": 2, "way": ["a", "b", "c"], "status": "COMPLETED"})
    message = "it goes on after 2 step executions, and at most 2 were expected; the last ones: `a` → `b` → `c`"
    assert told(report) == [(Kind.STEP_EXECUTIONS, "expected.maxStepExecutions", message)]


async def test_an_operator_cannot_lift_the_bound() -> None:
    workflow = flow("a", {"a": {"type": "NOOP", "nextStepId": "a"}})
    report = await rehearse(workflow, operators=[{"act": "resume"}], expected={"maxStepExecutions": 2})
    assert [kind for kind, _, _ in told(report)] == [Kind.STEP_EXECUTIONS]


# --- operators ----------------------------------------------------------------------------------------------------------

REPAIR: Final = flow(
    "a", {"a": ssh(nextStepId="b", inBindings={"cmd": {"type": "string", "defaultValue": "show {{mode}}"}}), "b": NOOP}, inputs=MODE
)


async def test_operators_go_on_at_pauses_and_after_a_failure() -> None:
    acts = [{"act": "retry", "at": "a", "values": {"mode": "off"}}, {"act": "resume", "at": "b"}]
    expected = {
        "way": [{"stepId": "a", "inputs": {"cmd": "show active"}}, {"stepId": "a", "attempt": 2, "inputs": {"cmd": "show off"}}, "b"]
    }
    for pauses in (True, False):
        given: dict[str, Any] = {"results": {"a": [FAILS, {}]}, "operators": acts, "debugStepIds": ["b"], "pauseAtFailure": pauses}
        report = await rehearse(REPAIR, expected=expected, **given)
        assert (sentences(report), report.status) == ([], Status.COMPLETED)


async def test_an_act_elsewhere_one_too_many_and_one_that_is_refused_are_said() -> None:
    elsewhere = await rehearse(
        REPAIR, results={"a": [FAILS, {}]}, operators=[{"act": "retry", "at": "b"}, {"act": "abort"}], expected={"way": ["a", "a", "b"]}
    )
    assert told(elsewhere) == [
        (Kind.OPERATOR, "operators[0]", "expected to be asked at `b`, it is FAILED at `a`"),
        (Kind.OPERATOR, "operators[1]", "nobody was asked for `abort`: it is COMPLETED"),
    ]
    refused = await rehearse(
        REPAIR, results={"a": [{}]}, operators=[{"act": "retry"}], debugStepIds=["b"], expected={"status": "COMPLETED"}
    )
    ((kind, path, message),) = told(refused)
    assert (kind, path) == (Kind.OPERATOR, "operators[0]")
    assert message.startswith("retry was refused at `b`: only a failed step can be run again")


# --- secrets ------------------------------------------------------------------------------------------------------------


async def test_no_secret_is_in_any_report() -> None:
    secrets = ["given-word", "default-word", "bound-word", "compared-word", "made-word", "pin"]

    async def leak(inputs: Values, context: StepContext) -> Outcome:
        await context.log(f"knows {inputs['pw']} and {inputs['own']}")
        outputs = {"fresh": "made-word", "text": f"{inputs['pw']} default-word made-word {inputs['own']}"}
        return Outcome(Result.FAILED, outputs, failed(ErrorCode.SCRIPT_FAILED, f"cannot use {inputs['pw']} for compared-word").error)

    workflow = flow(
        "a",
        {
            "a": {
                "type": "JS",
                "inBindings": {
                    "script": {"type": "string", "defaultValue": "x"},
                    "pw": {"type": "password", "exportName": "pw"},
                    "own": {"type": "password", "defaultValue": "bound-word"},
                },
                "outBindings": {
                    "fresh": {"name": "fresh", "type": "password"},
                    "text": {"name": "text", "type": "string"},
                    "told": {"name": "text", "type": "string"},
                },
                "policy": {"onFailureStepId": "b"},
            },
            "b": {
                "type": "NOOP",
                "conditions": [
                    {"name": "pw", "comparator": "equals", "value": "compared-word"},
                    {"name": "pw", "comparator": "different", "value": "pin", "nextStepId": "c"},
                ],
            },
            "c": {"type": "NOOP", "conditions": [{"name": "pw", "comparator": "equals", "value": "compared-word"}], "nextStepId": "d"},
            "d": NOOP,
        },
        inputs={"pw": {"type": "password", "required": True}, "kept": {"type": "password", "defaultValue": "default-word"}},
        variables={"fresh": {"type": "password"}},
        outputs={"told": {"type": "string"}},
    )
    expected = {
        "way": [{"stepId": "a", "inputs": {"pw": "default-word", "own": "made-word"}}, "b", "d"],
        "outputs": {},
        "values": {"pw": "default-word", "text": "given-word"},
    }
    report = await rehearse(workflow, on=stage(leak), assignments={"pw": "given-word"}, expected=expected)
    text = json.dumps(shown_reports([report]))
    assert [kind for kind, _, _ in told(report)] == [Kind.INPUT, Kind.INPUT, Kind.WAY, Kind.OUTPUT, Kind.VALUE, Kind.VALUE]
    assert [secret for secret in secrets if secret in text] == []
    assert "********" in text


# --- probes ---


def probed(**more: Any) -> dict[str, Any]:
    """Return a workflow of a step with a probe, and one behind it."""
    probe = {
        "inBindings": {"cmd": {"type": "string", "defaultValue": "show licence"}},
        "done": [{"name": "outputText", "comparator": "equals", "value": "active"}],
        "notDone": [{"name": "outputText", "comparator": "equals", "value": "missing"}],
        **more,
    }
    return flow("a", {"a": ssh(nextStepId="b", policy={"probe": probe, "timeoutSeconds": 60}), "b": NOOP})


def says(text: str) -> dict[str, Any]:
    return {"outputs": {"outputText": text}}


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([says("active")], ["a", "b"]),
        ([says("missing")], ["a", "a", "b"]),
        ([{"lost": True}, {"seconds": 61}, says("?"), says("active")], ["a", "b"]),
    ],
)
async def test_a_probe_comes_to_what_is_given_for_it(looks: list[Any], expected: list[str]) -> None:
    results = {"a": [DOUBT, {}][: expected.count("a")]}
    report = await rehearse(probed(), results=results, probes={"a": looks}, expected={"way": expected, "status": "COMPLETED"})
    assert told(report) == []
    (shown,) = shown_reports([report])["rehearsals"]
    assert shown["way"][0]["verdict"] == ("DONE" if len(expected) == 2 else "NOT_DONE")


async def test_looks_that_are_missing_or_never_used_are_told_with_their_place() -> None:
    report = await rehearse(probed(), results={"a": [DOUBT]}, probes={"a": [says("?")]})
    message = "step 1: the probe of `a` (TCA_SSH) has no further result: the 1 that it has is used up; a success was assumed"
    assert told(report) == [(Kind.MISSING_RESULT, "probes.a", message)]
    report = await rehearse(probed(), results={"a": [{}]}, probes={"a": [says("active")]})
    assert told(report) == [(Kind.UNUSED_RESULT, "probes.a[0]", "result of the probe of `a` was never used")]


async def test_another_verdict_than_the_one_expected_is_told() -> None:
    way = [{"stepId": "a", "verdict": "NOT_DONE"}, "b"]
    report = await rehearse(probed(), results={"a": [DOUBT]}, probes={"a": [says("active")]}, expected={"way": way})
    assert told(report) == [(Kind.RESULT, "expected.way[0].verdict", "step 1, `a`: expected the verdict NOT_DONE, it is DONE")]
    report = await rehearse(probed(), results={"a": [{}]}, expected={"way": way})
    assert sentences(report) == ["step 1, `a`: expected the verdict NOT_DONE, its probe has not looked to the end"]


async def test_looks_of_a_step_without_a_probe_and_outputs_that_it_never_gives_are_faults() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        await rehearse(probed(), probes={"b": [{}], "a": [{"outputs": {"outputTxt": "x"}}], "c": [{}]})
    assert sorted(fault.path for fault in refused.value.faults) == [
        "rehearsals[0].probes.a[0].outputs.outputTxt", "rehearsals[0].probes.b", "rehearsals[0].probes.c",
    ]  # fmt: skip
