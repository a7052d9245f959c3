"""Risk: a secret that one workflow hands to another is read in an answer, a log, an event, the audit trail or on the disk: of either execution."""

from pathlib import Path
from typing import Any, Final

from tests.api.real import OWN, PLAIN, real_service
from tests.hunt.planted import Hunt

SECRETS: Final = {"handed down": 'pl@nted/"for\\a child"+50% é', "handed up": "planted-by-a-child-4711"}
_TEXT: Final = {"type": "string"}
_TELL: Final = (
    "console.log('takes ' + pw); console.warn(encodeURIComponent(pw)); console.error(JSON.stringify({pw: pw}));"
    "return { made: ['planted', 'by', 'a', 'child', '4711'].join('-'), said: 'it was <' + pw + '>' }"
)
_FAIL: Final = "throw new Error('cannot use ' + pw + ' nor ' + token)"


def script(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "JS", "inBindings": {"script": {**_TEXT, "defaultValue": text}, **more}}


def taken(name: str) -> dict[str, str]:
    return {"type": "password", "exportName": name}


def child() -> dict[str, Any]:
    tell = script(_TELL, pw=taken("pw"))
    tell["outBindings"] = {"token": {"name": "made", "type": "password"}, "text": {"name": "said", "type": "string"}}
    return {
        "name": "child", "version": "1", "schemaVersion": "3.0", "startStepId": "tell",
        "inputs": {"pw": {"type": "password", "required": True}},
        "outputs": {"token": {"type": "password"}, "text": _TEXT},
        "steps": {"tell": {**tell, "nextStepId": "end"}, "end": {"type": "NOOP"}},
    }  # fmt: skip


def parent() -> dict[str, Any]:
    call = {
        "type": "WORKFLOW", "nextStepId": "fail",
        "inBindings": {"workflowName": {**_TEXT, "defaultValue": "child"}, "pw": taken("pw")},
        "outBindings": {"token": {"name": "token", "type": "password"}},
    }  # fmt: skip
    return {
        "name": "parent", "version": "1", "schemaVersion": "3.0", "startStepId": "call",
        "inputs": {"pw": {"type": "password", "required": True}},
        "outputs": {"token": {"type": "password"}},
        "steps": {"call": call, "fail": script(_FAIL, pw=taken("pw"), token=taken("token"))},
    }  # fmt: skip


async def test_nothing_that_is_handed_to_another_workflow_is_read_anywhere(tmp_path: Path) -> None:
    told = Hunt(SECRETS)
    async with real_service(tmp_path / "data") as real:
        await real.create(child())
        workflow = (await real.create(parent()))["id"]
        ended = await real.execute(workflow, assignments={"pw": SECRETS["handed down"]})
        assert len(ended["stepExecutions"]) == 2, ended
        call, fail = ended["stepExecutions"]
        assert (call["result"], fail["error"]["code"]) == ("SUCCEEDED", "SCRIPT_FAILED"), ended
        ones = [f"{PLAIN}/workflowExecution/{each}" for each in (ended["id"], call["child"]["executionId"])]
        paths = [path for one in ones for path in (one, f"{one}/logs")]
        for path in (*paths, f"{PLAIN}/workflowExecution?fields=outputs,stepExecutions", f"{OWN}/audit/export"):
            answer = await real.client.get(path)
            assert answer.status_code == 200, path
            told.search(path, answer.content)
    told.search_files(tmp_path / "data")
    assert not told.found, "\n".join(told.found[:20])
    assert (call["outputs"]["token"], "text" in call["outputs"], ended["outputs"]["token"]) == ("********", False, "********")
    assert told.looked_at > 100_000
