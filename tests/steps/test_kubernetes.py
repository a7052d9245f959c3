"""K8S against a cluster of `tests.kubernetes`. Risk: a script runs twice or not at all, what it gave is lost, or something of it stays in the cluster."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from stepswitch.plugin import Cluster, ErrorCode, Inventory, Outcome, Result, TargetError, Value, VimLocation
from stepswitch.steps.kubernetes import KubernetesStep
from tests.kubernetes.api_server import RefusedError
from tests.steps.clusters import CREDENTIAL, QUICK, Lab
from tests.steps.contexts import RecordingContext
from tests.steps.http_server import HttpServer, reply

SECRET = "a-word-that-nobody-may-read"


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab() as opened:
        yield opened


async def run(lab: Lab, script: str, context: RecordingContext | None = None, **more: Value) -> Outcome:
    return await lab.step.run(lab.inputs(script, **more), context or lab.context())


def code(outcome: Outcome) -> tuple[Result, ErrorCode | None]:
    return outcome.result, outcome.error.code if outcome.error else None


def message(outcome: Outcome) -> str:
    assert outcome.error is not None
    return outcome.error.message


async def test_a_script_runs_and_nothing_of_it_is_left(lab: Lab) -> None:
    context = lab.context()
    outcome = await run(lab, "echo one; echo two >&2; printf three", context)
    assert outcome.outputs == {"outputText": "one\ntwo\nthree", "exitCode": 0}, outcome.error
    assert [line for line in context.messages if line in ("one", "two", "three")] == ["one", "two", "three"]
    assert lab.cluster.everything() == []
    assert lab.cluster.node.ended == ["stepswitch-execution-1-0-1"]


async def test_what_a_script_writes_becomes_outputs_with_their_types(lab: Lab) -> None:
    written = {"id": "cell-7", "count": 3, "ok": True, "none": None, "cells": [{"id": "ä"}], "half": "a\ud800b"}
    outcome = await run(lab, f"cat >\"$STEPSWITCH_OUTPUT\" <<'END'\n{json.dumps(written)}\nEND")
    expected = {"id": "cell-7", "count": 3, "ok": True, "cells": '[{"id": "ä"}]', "half": "a?b"}
    assert outcome.outputs == {"outputText": "", "exitCode": 0, **expected}, outcome.error


async def test_a_script_that_fails_says_so_with_its_outputs(lab: Lab) -> None:
    outcome = await run(lab, 'echo \'{"step": "third"}\' >"$STEPSWITCH_OUTPUT"; echo broken; exit 7')
    assert (code(outcome), message(outcome)) == (
        (Result.FAILED, ErrorCode.NON_ZERO_EXIT),
        "the script at the VIM location 'paris' ended with exit code 7: broken",
    )
    assert outcome.outputs == {"outputText": "broken\n", "exitCode": 7, "step": "third"}


async def test_outputs_come_without_base64_in_the_image(lab: Lab, tmp_path: Path) -> None:
    for tool in ("sh", "cat", "wc", "od"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    lab.cluster.node.path = str(tmp_path)
    outcome = await run(lab, 'echo \'{"text": "od will do, in more than one line"}\' >"$STEPSWITCH_OUTPUT"; command -v base64')
    assert (outcome.outputs.get("text"), code(outcome)) == ("od will do, in more than one line", (Result.FAILED, ErrorCode.NON_ZERO_EXIT))


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo no", ErrorCode.SCRIPT_RESULT),
        ("echo [1]", ErrorCode.SCRIPT_RESULT),
        ("""echo '{"a": NaN}'""", ErrorCode.SCRIPT_RESULT),
        ("""echo '{"exitCode": 3}'""", ErrorCode.SCRIPT_RESULT),
        ("head -c 5000 /dev/zero", ErrorCode.OUTPUT_TOO_LARGE),
    ],
)
async def test_what_a_script_writes_and_nobody_can_take_fails_the_step(lab: Lab, script: str, expected: ErrorCode) -> None:
    outcome = await run(lab, f'echo ran; {script} >"$STEPSWITCH_OUTPUT"', lab.context(output_limit_bytes=4096))
    assert code(outcome) == (Result.FAILED, expected)
    assert outcome.outputs == {"outputText": "ran\n", "exitCode": 0}
    assert lab.cluster.everything() == []


async def test_values_reach_a_script_by_a_secret_and_never_by_the_pod(lab: Lab) -> None:
    outcome = await run(lab, 'echo "$PASSWORD|$COUNT|$FLAG"', PASSWORD=SECRET, COUNT=3, FLAG=True)
    assert outcome.outputs["outputText"] == f"{SECRET}|3|true\n"
    told = {change.key[0]: json.dumps(change.said) for change in lab.cluster.store.changes}
    assert set(told) == {"pods", "secrets"}
    assert SECRET not in told["pods"]
    assert not [asked.target for asked in lab.cluster.asked if SECRET in asked.target]


@pytest.mark.parametrize("kind", ["Pod", "Job"])
async def test_a_secret_belongs_to_what_it_was_made_for(lab: Lab, kind: str) -> None:
    await run(lab, "true", kind=kind.lower())
    made = {change.said["kind"]: change.said for change in reversed(lab.cluster.store.changes) if change.kind == "ADDED"}
    (owner,) = made["Secret"]["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == (kind, made[kind]["metadata"]["uid"])


async def test_files_are_mounted_and_their_variables_name_them(lab: Lab) -> None:
    attachments = {"config": b"a\0b\xff", "run": b"#!/usr/bin/env python3\nimport os\nprint(open(os.environ['CONFIG'], 'rb').read())\n"}
    context = lab.context(attachments=attachments, files={"script", "CONFIG"})
    outcome = await run(lab, "run", context, CONFIG="config")
    assert (outcome.outputs.get("outputText"), outcome.error) == ("b'a\\x00b\\xff'\n", None)


async def test_a_job_runs_a_script_once_and_goes_with_its_pod(lab: Lab) -> None:
    outcome = await run(lab, "echo once", kind="job")
    assert (outcome.outputs, outcome.error) == ({"outputText": "once\n", "exitCode": 0}, None)
    assert (lab.cluster.everything(), len(lab.cluster.node.ended)) == ([], 1)
    (job,) = [change.said["spec"] for change in lab.cluster.store.changes if change.key[0] == "jobs" and change.kind == "ADDED"]
    assert (job["backoffLimit"], job["completions"], job["template"]["spec"]["restartPolicy"]) == (0, 1, "Never")
    assert job["ttlSecondsAfterFinished"] > 0


async def test_a_pod_has_no_more_rights_than_it_is_given(lab: Lab) -> None:
    await run(lab, "true")
    spec = _first_pod(lab)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["containers"][0]["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert spec["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}


async def test_a_pod_gets_what_the_step_asks_for(lab: Lab) -> None:
    asked: dict[str, Value] = {
        "serviceAccount": "operator", "runAsUser": 1000, "imagePullSecret": "registry", "namespace": "lab", "timeout": 7,
        "nodeSelector": '{"zone": "paris"}', "resources": '{"limits": {"memory": "64Mi"}}',
    }  # fmt: skip
    outcome = await lab.step.run({**lab.inputs("true"), **asked}, lab.context())
    assert outcome.error is None
    pod = _first_pod(lab)
    spec = pod["spec"]
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("operator", True)
    assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["runAsNonRoot"]) == (1000, True)
    assert (spec["imagePullSecrets"], spec["nodeSelector"]) == ([{"name": "registry"}], {"zone": "paris"})
    assert (spec["activeDeadlineSeconds"], spec["containers"][0]["resources"]) == (7, {"limits": {"memory": "64Mi"}})
    assert pod["metadata"]["namespace"] == "lab"
    assert pod["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "stepswitch", "stepswitch/execution": "execution-1", "stepswitch/attempt": "0-1",
        "stepswitch/name": "stepswitch-execution-1-0-1",
    }  # fmt: skip


async def test_the_token_goes_to_the_host_and_port_of_the_cluster_only(lab: Lab) -> None:
    context = lab.context()
    await run(lab, "true", context)
    assert [(name, str(device)) for name, device in context.opened_for] == [(CREDENTIAL.credential, f"127.0.0.1:{lab.proxy.port}")]


def _image(lab: Lab) -> dict[str, Value]:
    return {"image": "missing:9"}


def _quota(lab: Lab) -> dict[str, Value]:
    lab.cluster.quota = "pods, requested: pods=1, used: pods=5, limited: pods=5"
    return {}


def _quota_of_job(lab: Lab) -> dict[str, Value]:
    return {"kind": "job", **_quota(lab)}


def _denied_pods(lab: Lab) -> dict[str, Value]:
    lab.cluster.denied.add("create pods")
    return {}


def _denied_secrets(lab: Lab) -> dict[str, Value]:
    lab.cluster.denied.add("create secrets")
    return {}


def _denied_jobs(lab: Lab) -> dict[str, Value]:
    lab.cluster.denied.add("create jobs")
    return {"kind": "job"}


def _no_namespace(lab: Lab) -> dict[str, Value]:
    return {"namespace": "nowhere"}


def _no_account(lab: Lab) -> dict[str, Value]:
    return {"serviceAccount": "nobody"}


def _bad_resources(lab: Lab) -> dict[str, Value]:
    return {"resources": '{"limits": {"memory": "much"}}'}


def _no_node(lab: Lab) -> dict[str, Value]:
    return {"nodeSelector": '{"zone": "nowhere"}'}


def _refused_container(lab: Lab) -> dict[str, Value]:
    lab.cluster.node.refuses = "container has runAsNonRoot and image will run as root"
    return {}


@pytest.mark.parametrize(
    ("prepare", "expected", "told"),
    [
        (_image, ErrorCode.IMAGE_NOT_PULLED, 'failed to pull and unpack image "missing:9"'),
        (_quota, ErrorCode.QUOTA_EXCEEDED, "used: pods=5"),
        (_quota_of_job, ErrorCode.QUOTA_EXCEEDED, "used: pods=5"),
        (_denied_pods, ErrorCode.PERMISSION_DENIED, 'cannot create resource "pods"'),
        (_denied_secrets, ErrorCode.PERMISSION_DENIED, 'cannot create resource "secrets"'),
        (_denied_jobs, ErrorCode.PERMISSION_DENIED, 'cannot create resource "jobs"'),
        (_no_namespace, ErrorCode.POD_REFUSED, '"nowhere" not found'),
        (_no_account, ErrorCode.POD_REFUSED, 'serviceaccount "nobody" not found'),
        (_bad_resources, ErrorCode.POD_REFUSED, "quantities must match"),
        (_no_node, ErrorCode.NOT_SCHEDULED, "didn't match Pod's node affinity"),
        (_refused_container, ErrorCode.POD_REFUSED, "image will run as root"),
    ],
)
async def test_a_script_that_cannot_begin_has_failed_for_certain_and_leaves_nothing(
    lab: Lab, prepare: Callable[[Lab], dict[str, Value]], expected: ErrorCode, told: str
) -> None:
    outcome = await lab.step.run({**lab.inputs("echo ran"), **prepare(lab)}, lab.context())
    assert code(outcome) == (Result.FAILED, expected), outcome.error
    assert told in message(outcome)
    assert (lab.cluster.everything(), lab.cluster.node.ended) == ([], [])


async def test_a_log_that_may_not_be_read_is_said_although_the_script_ended_well(lab: Lab) -> None:
    lab.cluster.denied.add("get pods/log")
    outcome = await run(lab, "true")
    assert code(outcome) == (Result.FAILED, ErrorCode.PERMISSION_DENIED)
    assert (outcome.outputs["exitCode"], "the script has ended" in message(outcome)) == (0, True)


async def test_a_wrong_token_is_refused_before_anything_is_sent(lab: Lab) -> None:
    lab.token = SECRET
    context = lab.context()
    outcome = await run(lab, "true", context)
    assert (code(outcome), context.sent) == ((Result.FAILED, ErrorCode.LOGIN_REFUSED), False)
    assert SECRET not in message(outcome)
    assert f"the cluster at {lab.proxy.host}:{lab.proxy.port} does not accept" in message(outcome)


async def test_a_cluster_that_has_too_much_to_do_is_asked_again_when_it_wants(lab: Lab) -> None:
    for answer in (
        RefusedError(429, "too many requests", 0),
        RefusedError(503, "apiserver is shutting down"),
        RefusedError(500, "etcd leader changed"),
    ):
        lab.cluster.busy += [answer] * 2
    outcome = await run(lab, "echo ran")
    assert (outcome.outputs.get("outputText"), len(lab.cluster.node.ended)) == ("ran\n", 1)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("resource", ["pods", "secrets", "jobs"])
async def test_an_answer_that_was_lost_neither_doubles_nor_drops_a_script(lab: Lab, resource: str, when: str) -> None:
    lab.cluster.loses[resource] = when
    outcome = await run(lab, "echo ran", kind="job" if resource == "jobs" else "pod")
    assert (outcome.outputs.get("outputText"), outcome.error) == ("ran\n", None)
    assert (len(lab.cluster.node.ended), lab.cluster.everything()) == (1, [])


async def test_what_somebody_else_has_made_under_the_name_is_not_taken_for_ours(lab: Lab) -> None:
    meta = {"name": "stepswitch-execution-1-0-1", "labels": {}}
    spec = {"containers": [{"name": "script", "image": "missing:1"}]}
    lab.cluster.create("default", "pods", {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": spec})
    outcome = await run(lab, "echo ran")
    assert code(outcome) == (Result.FAILED, ErrorCode.POD_REFUSED)
    assert "already exists" in message(outcome)
    assert lab.cluster.everything() == ["pods/stepswitch-execution-1-0-1"]


async def begun(
    lab: Lab, script: str, context: RecordingContext | None = None, **more: Value
) -> "tuple[asyncio.Task[Outcome], RecordingContext]":
    """Return a run whose script has said that it began."""
    used = context or lab.context(time_limit_seconds=60.0)
    running = asyncio.create_task(run(lab, f"echo begun; {script}", used, **more))
    try:
        await used.wait_for_line("begun")
    except TimeoutError:
        raise AssertionError((used.messages, running.done() and running.result())) from None
    return running, used


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("Evicted", (Result.UNKNOWN, ErrorCode.EVICTED)), ("OOMKilled", (Result.FAILED, ErrorCode.MEMORY_LIMIT))],
)
async def test_a_node_that_ends_a_script_says_why(lab: Lab, reason: str, expected: tuple[Result, ErrorCode]) -> None:
    running, _ = await begun(lab, "exec sleep 100")
    await lab.cluster.node.end(lab.cluster.pod_key(), reason)
    outcome = await running
    assert code(outcome) == expected
    assert (outcome.outputs["outputText"], lab.cluster.everything()) == ("begun\n", [])


async def test_a_deadline_that_passes_in_the_cluster_leaves_unknown(lab: Lab) -> None:
    outcome = await run(lab, "echo begun; exec sleep 100", timeout=1)
    assert code(outcome) == (Result.UNKNOWN, ErrorCode.TIMEOUT)
    assert (outcome.outputs["outputText"], lab.cluster.everything()) == ("begun\n", [])


async def test_a_node_that_is_lost_leaves_unknown_and_the_pod_is_said_to_be_left() -> None:
    async with Lab(removal=0.2) as lab:
        running, context = await begun(lab, "exec sleep 100")
        lab.cluster.lose_node()
        outcome = await running
        assert code(outcome) == (Result.UNKNOWN, ErrorCode.NODE_LOST)
        assert "node-1" in message(outcome)
        assert context.messages[-1] == "stepswitch-execution-1-0-1 may be left in the namespace default"
        assert context.stays


async def test_a_pod_that_somebody_removes_leaves_unknown(lab: Lab) -> None:
    running, _ = await begun(lab, "exec sleep 100")
    lab.cluster.remove_pod(lab.cluster.pod_key())
    outcome = await running
    assert (code(outcome), lab.cluster.everything()) == ((Result.UNKNOWN, ErrorCode.POD_REMOVED), [])


async def test_connections_that_break_and_a_server_that_forgets_cost_nothing(lab: Lab) -> None:
    script = 'echo begun; for n in 1 2 3; do while [ ! -e "$0.$n" ]; do sleep 0.02; done; echo "said $n"; done; echo \'{"n": 3}\' >"$STEPSWITCH_OUTPUT"'
    context = lab.context(time_limit_seconds=60.0)
    running = asyncio.create_task(run(lab, script, context))
    await context.wait_for_line("begun")
    place = lab.cluster.node.containers[lab.cluster.pod_key()].place / "stepswitch/given"
    for number in (1, 2, 3):
        if number == 2:
            lab.cluster.store.forget()
        lab.cluster.cut() if number != 3 else lab.proxy.cut()
        (place / f"script.{number}").touch()
        await context.wait_for_line(f"said {number}")
    outcome = await running
    assert outcome.outputs == {"outputText": "begun\nsaid 1\nsaid 2\nsaid 3\n", "exitCode": 0, "n": 3}, outcome.error


async def test_a_cluster_that_is_gone_for_good_leaves_unknown() -> None:
    async with Lab(patience=0.3) as lab:
        running, context = await begun(lab, "exec sleep 100")
        lab.proxy.close()
        outcome = await running
    assert code(outcome) == (Result.UNKNOWN, ErrorCode.CONNECTION_REFUSED)
    assert "nobody knows what became of it" in message(outcome)
    assert (outcome.outputs["outputText"], context.messages[-1]) == (
        "begun\n",
        "stepswitch-execution-1-0-1 may be left in the namespace default",
    )


async def test_a_log_that_breaks_off_anywhere_comes_whole(lab: Lab) -> None:
    script = 'for n in 1 2 3 4 5 6 7 8; do echo "line $n"; done; printf end; echo \'{"n": 1}\' >"$STEPSWITCH_OUTPUT"'
    whole = "".join(f"line {n}\n" for n in range(1, 9)) + "end"
    for first in range(1, 700, 97):
        lab.cluster.cuts_logs_after = [first, 61, 95, 33]
        outcome = await run(lab, script)
        assert outcome.outputs == {"outputText": whole, "exitCode": 0, "n": 1}, (first, outcome.error)


async def test_much_output_costs_no_memory_and_does_not_hide_the_outputs(lab: Lab) -> None:
    script = "head -c 1500000 /dev/zero | tr '\\0' x; echo; yes | head -n 20000; echo '{\"n\": 1}' >\"$STEPSWITCH_OUTPUT\""
    outcome = await run(lab, script, lab.context(time_limit_seconds=60.0))
    assert (outcome.outputs.get("n"), outcome.truncated, outcome.error) == (1, ("outputText",), None)
    assert len(str(outcome.outputs["outputText"])) == 1_048_576


async def test_a_script_that_is_stopped_hears_of_it_and_is_gone_soon(lab: Lab) -> None:
    running, context = await begun(lab, "trap 'echo heard; exit 3' TERM; while :; do sleep 0.05; done")
    place = lab.cluster.pod_key()
    running.cancel()
    async with asyncio.timeout(8):
        with pytest.raises(asyncio.CancelledError):
            await running
    assert (lab.cluster.everything(), lab.cluster.node.ended) == ([], ["stepswitch-execution-1-0-1"])
    assert b"heard" in b"".join(line.text for line in lab.cluster.node.containers[place].lines)
    assert not [line for line in context.messages if "may be left" in line]


async def test_what_a_stop_leaves_is_removed_later_and_nothing_else() -> None:
    async with Lab(last=0.2) as lab:
        neighbour, _ = await begun(lab, "exec sleep 100", lab.context(execution_id="execution-2", time_limit_seconds=60.0))
        running, context = await begun(lab, "exec sleep 100")
        lab.proxy.stall()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert "may be left" in context.messages[-1]
        lab.proxy.resume()
        for _ in range(2):
            await lab.step.clean_up(lab.inputs(""), lab.context())
        name = "stepswitch-execution-2-0-1"
        assert lab.cluster.everything() == [f"pods/{name}", f"secrets/{name}"]
        neighbour.cancel()
        await asyncio.wait([neighbour])


async def test_a_cleanup_that_cannot_be_done_now_says_why() -> None:
    async with Lab(removal=0.3, last=0.1) as lab:
        running, _ = await begun(lab, "exec sleep 100")
        lab.cluster.node.stands_still.add("stop")
        with pytest.raises(TargetError, match="does not end within"):
            await lab.step.clean_up(lab.inputs(""), lab.context())
        running.cancel()
        await asyncio.wait([running])
        lab.cluster.denied.add("list pods")
        with pytest.raises(TargetError, match="cannot list"):
            await lab.step.clean_up(lab.inputs(""), lab.context())
        lab.proxy.close()
        with pytest.raises(TargetError, match="refused the connection"):
            await lab.step.clean_up(lab.inputs(""), lab.context())


async def test_what_an_earlier_attempt_has_left_is_gone_before_another_begins(lab: Lab) -> None:
    earlier, _ = await begun(lab, "exec sleep 100")
    context = lab.context(attempt="0-2", time_limit_seconds=60.0)
    outcome = await run(lab, "echo second", context)
    assert outcome.outputs.get("outputText") == "second\n", outcome.error
    assert "removed stepswitch-execution-1-0-1, which an earlier attempt had left" in context.messages
    assert (lab.cluster.node.ended, lab.cluster.everything()) == (["stepswitch-execution-1-0-1", "stepswitch-execution-1-0-2"], [])
    assert code(await earlier) == (Result.UNKNOWN, ErrorCode.POD_REMOVED)


async def test_no_second_attempt_begins_beside_one_that_does_not_go() -> None:
    async with Lab(removal=0.2, last=0.1) as lab:
        earlier, _ = await begun(lab, "exec sleep 100")
        lab.cluster.node.stands_still.add("stop")
        context = lab.context(attempt="0-2")
        outcome = await run(lab, "echo second", context)
        assert (code(outcome), context.sent) == ((Result.FAILED, ErrorCode.CLEANUP_PENDING), False)
        earlier.cancel()
        await asyncio.wait([earlier])


@pytest.mark.parametrize(
    ("location", "told"),
    [
        (None, "nothing says at which VIM: give the input 'vimLocation'"),
        ("rome", "the inventory has no VIM location 'rome'"),
        ("bare", "the VIM location 'bare' has no cluster"),
    ],
)
async def test_a_cluster_that_is_not_known_is_said_with_those_that_are(lab: Lab, location: str | None, told: str) -> None:
    inputs = {name: value for name, value in lab.inputs("true").items() if name != "vimLocation"}
    outcome = await lab.step.run(inputs if location is None else {**inputs, "vimLocation": location}, lab.context())
    assert outcome.result is Result.FAILED
    assert (told in message(outcome), "those with a cluster are 'paris'" in message(outcome)) == (True, True)
    assert lab.cluster.asked == []


async def test_every_fault_of_the_inputs_is_named_at_once_and_nothing_is_asked(lab: Lab) -> None:
    wrong: dict[str, Value] = {
        "kind": "deployment", "serviceAccount": "No Such", "runAsUser": -1, "nodeSelector": "[]", "resources": '{"limits": {"cpu": {}}}',
        "timeout": 0, "a-b": "x", "STEPSWITCH_OUTPUT": "x", "ZERO": "a\0b", "image": "two words",
    }  # fmt: skip
    outcome = await lab.step.run({**lab.inputs("true"), **wrong}, lab.context())
    assert code(outcome) == (Result.FAILED, ErrorCode.INVALID_VALUE)
    assert [name for name in wrong if f"'{name}'" not in message(outcome)] == []
    assert lab.cluster.asked == []


async def test_what_is_too_large_for_a_secret_is_refused_before_anything_is_made(lab: Lab) -> None:
    context = lab.context(attachments={"large": bytes(999_990)}, files={"LARGE"})
    outcome = await run(lab, "echo too much", context, LARGE="large")
    assert (code(outcome), lab.cluster.asked) == ((Result.FAILED, ErrorCode.TOO_LARGE), [])
    assert "1,000,003 bytes" in message(outcome)


async def test_an_image_may_come_from_the_settings(lab: Lab) -> None:
    inputs = {name: value for name, value in lab.inputs("echo ran").items() if name != "image"}
    outcome = await lab.step.run(inputs, lab.context())
    assert code(outcome) == (Result.FAILED, ErrorCode.MISSING_INPUT)
    assert "kubernetes_image" in message(outcome)
    outcome = await KubernetesStep(image="tools:1", times=QUICK).run(inputs, lab.context())
    assert outcome.outputs.get("outputText") == "ran\n"


def _first_pod(lab: Lab) -> dict[str, Any]:
    return next(change.said for change in lab.cluster.store.changes if change.key[0] == "pods")


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, b"<html>", "is this the address of its API?"),
        (302, b"", " answered 302"),
        (200, b"[" * 9_000_000, "larger than any of Kubernetes"),
    ],
)
async def test_what_is_no_answer_of_kubernetes_is_said(lab: Lab, status: int, body: bytes, told: str) -> None:
    async with HttpServer() as other:
        other.on("/api/v1/namespaces/default/pods", reply(status, body, location=lab.url))
        location = VimLocation("paris", kubernetes=Cluster(other.url("")))
        context = lab.context(inventory=Inventory(vim_locations={"paris": location}))
        outcome = await run(lab, "true", context)
    assert (outcome.result, context.sent, told in message(outcome)) == (Result.FAILED, False, True), outcome.error
    assert lab.cluster.asked == []


async def test_a_script_that_begins_while_it_is_given_up_leaves_unknown(lab: Lab) -> None:
    node, store = lab.cluster.node, lab.cluster.store
    node.refuses, node.stands_still = "not yet", {"stop"}
    running = asyncio.create_task(run(lab, "exec sleep 100"))

    async def when(reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not reached():
                await store.news.wait()

    await when(lambda: any("deletionTimestamp" in change.said["metadata"] for change in store.changes))
    node.refuses, key = "", lab.cluster.pod_key()
    node.take(key)
    await when(lambda: store.objects[key]["status"]["phase"] == "Running")
    asked = len(lab.cluster.asked)
    async with asyncio.timeout(10):
        while len(lab.cluster.asked) < asked + 2:  # so that it has looked since
            await asyncio.wait([running], timeout=0.01)
    node.stands_still.clear()
    node.stop(key, 0.1)
    outcome = await running
    assert code(outcome) == (Result.UNKNOWN, ErrorCode.POD_REFUSED)
    assert "it began all the same" in message(outcome)


async def test_a_cluster_that_goes_before_a_pod_has_its_secret_has_failed_for_certain() -> None:
    async with Lab(patience=0.3) as lab:
        lab.cluster.loses["pods"] = "after"
        lab.cluster.on_lost = lab.proxy.close
        context = lab.context()
        outcome = await run(lab, "echo ran", context)
        assert (outcome.result, context.stays) == (Result.FAILED, True), outcome.error
        assert (lab.cluster.names("pods"), lab.cluster.node.ended) == (["stepswitch-execution-1-0-1"], [])
