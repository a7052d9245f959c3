"""K8S against a real cluster, where `STEPSWITCH_TEST_KUBECONFIG` names a kubeconfig with one. Risk: what the fake of these tests takes, a real one does not.

Refusals and removals need an API server alone. Scripts run where `STEPSWITCH_TEST_IMAGE` names an image with `/bin/sh` that the nodes can pull. All is done in the
namespace of the kubeconfig's context, else in `default`, and all of it is removed.
"""

import asyncio
import base64
import os
import uuid
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from stepswitch.plugin import Cluster, ErrorCode, Inventory, Reference, Result, Value, VimLocation
from stepswitch.steps.kubernetes import KubernetesStep
from stepswitch.steps.kubernetes_cluster import find_target, open_api
from stepswitch.steps.kubernetes_times import Times
from tests.steps.contexts import RecordingContext

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
IMAGE: Final = os.environ.get("STEPSWITCH_TEST_IMAGE", "")
runs_scripts = pytest.mark.skipif(not IMAGE, reason="STEPSWITCH_TEST_IMAGE names no image")
TIMES: Final = Times(schedule=30.0)


def _read(file: Path) -> tuple[Cluster, dict[str, str]]:
    """Return the cluster of a kubeconfig's current context, and the credentials for it."""
    config = yaml.safe_load(file.read_text())

    def entry(kind: str, name: str) -> Any:
        return next(each[kind] for each in config[f"{kind}s"] if each["name"] == name)

    def pem(source: Any, name: str) -> str | None:
        if f"{name}-data" in source:
            return base64.b64decode(source[f"{name}-data"]).decode()
        return (file.parent / source[name]).read_text() if name in source else None

    context = entry("context", config["current-context"])
    cluster, user = entry("cluster", context["cluster"]), entry("user", context["user"])
    key = pem(user, "client-key")
    known = Cluster(
        url=cluster["server"],
        namespace=context.get("namespace"),
        token=Reference("token") if "token" in user else None,
        client_certificate=pem(user, "client-certificate"),
        client_key=Reference("key") if key else None,
        ca_certificates=pem(cluster, "certificate-authority"),
    )
    return known, {"token": user.get("token", ""), "key": key or ""}


class Run:
    """One execution of a test, under a name that nobody else has."""

    def __init__(self, **credentials: str) -> None:
        cluster, known = _read(Path(os.environ["STEPSWITCH_TEST_KUBECONFIG"]))
        self.context = RecordingContext(
            inventory=Inventory(vim_locations={"real": VimLocation("real", kubernetes=cluster)}),
            credentials={**known, **credentials},
            execution_id=str(uuid.uuid4()),
            attachments={"config": b"a\0b"},
            files={"CONFIG"},
            time_limit_seconds=200.0,
        )
        self.step = KubernetesStep(times=TIMES)

    def inputs(self, script: str, **more: Value) -> dict[str, Value]:
        """Return the inputs of a step there."""
        return {"vimLocation": "real", "image": IMAGE or "missing.invalid/none:1", "script": script, **more}

    async def left(self) -> list[str]:
        """Return what there is of this execution."""
        target = await find_target(self.inputs(""), self.context)
        selector = f"stepswitch/execution={self.context.execution_id}"
        async with await open_api(target, self.context, TIMES) as api:
            pages = [await api.get(path, labelSelector=selector) for path in (target.pods, target.jobs, target.secrets)]
        return [each["metadata"]["name"] for page in pages for each in page["items"]]


@runs_scripts
@pytest.mark.parametrize("kind", ["pod", "job"])
async def test_a_script_is_given_all_and_gives_all(kind: str) -> None:
    run = Run()
    script = 'echo "$WORD"; wc -c <"$CONFIG"; echo late >&2; echo \'{"n": 3}\' >"$STEPSWITCH_OUTPUT"'
    outcome = await run.step.run(run.inputs(script, kind=kind, WORD="a word", CONFIG="config"), run.context)
    assert outcome.error is None, (outcome.error, run.context.messages)
    lines = [line.strip() for line in str(outcome.outputs["outputText"]).splitlines()]
    assert (lines, outcome.outputs["n"], outcome.outputs["exitCode"]) == (["a word", "3", "late"], 3, 0)
    assert await run.left() == []


@runs_scripts
async def test_a_script_that_is_stopped_leaves_nothing() -> None:
    run = Run()
    running = asyncio.create_task(run.step.run(run.inputs("echo begun; exec sleep 200"), run.context))
    await run.context.wait_for_line("begun", timeout_seconds=120)
    running.cancel()
    await asyncio.wait([running])
    await run.step.clean_up(run.inputs(""), run.context)
    assert await run.left() == []


@runs_scripts
async def test_a_deadline_that_passes_leaves_unknown() -> None:
    run = Run()
    outcome = await run.step.run(run.inputs("exec sleep 200", timeout=5), run.context)
    assert (outcome.result, outcome.error and outcome.error.code) == (Result.UNKNOWN, ErrorCode.TIMEOUT)
    assert await run.left() == []


async def test_a_pod_without_a_node_or_an_image_fails_for_certain_and_leaves_nothing() -> None:
    run = Run()
    outcome = await run.step.run(run.inputs("true", image="missing.invalid/none:1", nodeSelector='{"zone": "nowhere"}'), run.context)
    assert (outcome.result, outcome.error and outcome.error.code) == (Result.FAILED, ErrorCode.NOT_SCHEDULED)
    assert await run.left() == []


@pytest.mark.parametrize(
    "more", [{"serviceAccount": "nobody-is-called-so"}, {"resources": '{"limits": {"memory": "much"}}'}, {"namespace": "nowhere-at-all"}]
)
async def test_what_a_cluster_does_not_take_is_said(more: dict[str, Value]) -> None:
    run = Run()
    outcome = await run.step.run({**run.inputs("true"), **more}, run.context)
    assert outcome.result is Result.FAILED
    assert outcome.error is not None
    assert outcome.error.code in (ErrorCode.POD_REFUSED, ErrorCode.PERMISSION_DENIED), outcome.error
    assert await run.left() == []


async def test_what_is_there_is_found_again_and_removed_by_its_name() -> None:
    run = Run()
    running = asyncio.create_task(run.step.run(run.inputs("true", nodeSelector='{"zone": "nowhere"}'), run.context))
    await run.context.wait_for_line("made the pod", timeout_seconds=60)
    await run.step.clean_up(run.inputs(""), run.context)
    outcome = await running
    assert (outcome.result, await run.left()) == (Result.FAILED, [])


async def test_a_wrong_token_is_refused() -> None:
    if not (run := Run()).context.credentials["token"]:
        pytest.skip("the kubeconfig has no token")
    run = Run(token="no-token")
    outcome = await run.step.run(run.inputs("true"), run.context)
    assert (outcome.result, outcome.error and outcome.error.code) == (Result.FAILED, ErrorCode.LOGIN_REFUSED)
