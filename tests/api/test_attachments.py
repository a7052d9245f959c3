"""Risk: a file is lost, kept for ever, whole in memory, or leads somewhere by its name."""

import asyncio
import hashlib
import json
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stepswitch.api.wire import catalogue_models, models
from tests.api.house import codes, messages
from tests.api.real import OWN, PLAIN, Real, real_service
from tests.domain.documents import document

LIMIT = 3 * 1024 * 1024
SCRIPT = b"return { text: 'from a file' }"
READS_FILE: dict[str, Any] = document(
    outputs={"said": {"type": "string"}},
    steps={
        "a": {
            "type": "JS",
            "inBindings": {"script": {"type": "file", "defaultValue": "say.js"}},
            "outBindings": {"said": {"name": "text", "type": "string"}},
        }
    },
)


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path, file_limit_bytes=LIMIT, body_limit_bytes=100_000) as running:
        yield running


def json_part(value: Any) -> tuple[None, bytes, str]:
    return (None, json.dumps(value).encode(), "application/json")


async def upload(real: Real, place: str, name: str, content: bytes, **headers: str) -> Any:
    return await real.client.post(f"{place}/attachments", files={"file": (name, content)}, headers=headers)


async def with_file(real: Real, root: str = PLAIN) -> str:
    """Create a workflow with its script; return its path."""
    answer = await real.client.post(f"{root}/workflow", files=[("workflow", json_part(READS_FILE)), ("files", ("say.js", SCRIPT))])
    assert answer.status_code == 200, answer.text
    models.WorkflowResponse.model_validate(answer.json())
    return str(answer.json()["links"]["self"])


@pytest.mark.parametrize("size", [0, 1, 100_001, LIMIT])
async def test_a_file_comes_back_byte_for_byte(real: Real, root: str, size: int) -> None:
    place = f"{root}/workflow/{(await real.create(READS_FILE, root))['id']}"
    content = bytes(range(251)) * (size // 251 + 1)
    content = content[:size]
    added = await upload(real, place, "data.bin", content)
    assert added.status_code == 200, added.text
    body = catalogue_models.FileAttachment.model_validate(added.json())
    assert (await real.client.get(place)).json()["attachments"] == {"data.bin": {"id": body.id, "reference": "data.bin"}}
    for wanted in (body.id, "data.bin"):
        answer = await real.client.get(f"{place}/attachments", params={"attachmentId": wanted})
        assert (answer.status_code, answer.content) == (200, content)
        assert answer.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
        assert answer.headers["content-disposition"] == "attachment; filename=\"data.bin\"; filename*=UTF-8''data.bin"


async def test_a_large_file_is_never_whole_in_memory(tmp_path: Path) -> None:
    piece, count = b"0123456789abcdef" * 4_096, 384

    async def body() -> AsyncIterator[bytes]:
        yield b'--here\r\ncontent-disposition: form-data; name="file"; filename="data.bin"\r\n\r\n'
        for _ in range(count):
            yield piece
        yield b"\r\n--here--\r\n"

    async with real_service(tmp_path) as real:
        place, digest = f"{PLAIN}/workflow/{(await real.create(READS_FILE, PLAIN))['id']}/attachments", hashlib.sha256()
        tracemalloc.start()
        try:
            added = await real.client.post(place, content=body(), headers={"content-type": "multipart/form-data; boundary=here"})
            async with real.client.stream("GET", place, params={"attachmentId": "data.bin"}) as answer:
                async for got in answer.aiter_bytes():
                    digest.update(got)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (added.status_code, added.json()["size"]) == (200, count * len(piece))
    assert digest.hexdigest() == added.json()["sha256"]
    assert peak < 6_000_000, f"{peak} bytes for a file of {count * len(piece)}"


@pytest.mark.parametrize("part", ["workflow", "workflowExecution"])
async def test_a_workflow_brings_its_files_and_executes_them(real: Real, root: str, part: str) -> None:
    orders: list[Any] = [
        [(part, json_part(READS_FILE)), ("files", ("say.js", SCRIPT))],
        [("files", ("say.js", SCRIPT)), (part, json_part(READS_FILE))],
    ]
    for parts in orders:
        created = await real.client.post(f"{root}/workflow", files=parts)
        assert created.status_code == 200, created.text
        assert (await real.execute(created.json()["id"], root))["outputs"] == {"said": "from a file"}


async def test_an_execution_brings_its_files(real: Real, root: str) -> None:
    created = await real.create(READS_FILE, root)
    order = {"workflowId": created["id"], "contextType": "NONE"}
    queued = await real.client.post(
        f"{root}/workflowExecution", files=[("workflowExecution", json_part(order)), ("files", ("say.js", SCRIPT))]
    )
    assert queued.status_code == 200, queued.text
    models.WorkflowExecution.model_validate(queued.json())
    await real.ended.wait_for(queued.json()["id"])
    place = queued.json()["links"]["self"]
    assert (await real.client.get(place)).json()["outputs"] == {"said": "from a file"}
    answer = await real.client.get(f"{place}/attachments", params={"attachmentId": "say.js"})
    assert (answer.status_code, answer.content) == (200, SCRIPT)


async def paused(real: Real, root: str, **fields: Any) -> str:
    """Return the path of an execution that waits before its step, which reads the workflow's file."""
    created = await real.client.post(f"{root}/workflow", files=[("workflow", json_part(READS_FILE)), ("files", ("say.js", SCRIPT))])
    order = {"workflowId": created.json()["id"], "contextType": "NONE", "debugStepIds": ["a"], **fields}
    queued = await real.client.put(f"{root}/workflowExecution", json=order)
    assert (queued.status_code, queued.json()["status"]) == (200, "PAUSED")
    return str(queued.json()["links"]["self"])


async def test_a_paused_execution_goes_on_with_a_file_of_its_own(real: Real, root: str) -> None:
    place = await paused(real, root)
    own = b"return { text: 'mended' }"
    added = await upload(real, place, "say.js", own, **{"x-stepswitch-reason": "a slip in the script"})
    assert added.status_code == 200, added.text
    body = catalogue_models.FileAttachment.model_validate(added.json())
    assert (body.key, body.reference, body.size, body.sha256) == ("say.js", "say.js", len(own), hashlib.sha256(own).hexdigest())
    for wanted in (body.id, "say.js"):
        assert (await real.client.get(f"{place}/attachments", params={"attachmentId": wanted})).content == own
    execution = models.WorkflowExecution.model_validate((await real.client.post(f"{place}/resume")).json())
    await real.ended.wait_for(execution.id)
    shown = (await real.client.get(place)).json()
    assert (shown["outputs"], shown["attachments"]["say.js"]["id"]) == ({"said": "mended"}, body.id)
    assert any(
        line["msg"].endswith(f" to {body.id} by admin: a slip in the script") and line["msg"].startswith("file say.js changed from ")
        for line in shown["logs"]
    )
    late = await upload(real, place, "late", b"x")
    assert (late.status_code, codes(late)) == (400, ["STATE_CONFLICT"])
    assert (await real.client.delete(f"{place}/attachments", params={"attachmentId": "say.js"})).status_code == 400
    assert len(real.on_disk()) == 2
    assert (await real.client.delete(place)).status_code == 204
    assert real.on_disk() == [hashlib.sha256(SCRIPT).hexdigest()]


async def test_a_file_of_an_execution_is_removed_and_what_is_needed_is_not(real: Real, root: str) -> None:
    place = await paused(real, root)
    first, second = [(await upload(real, place, "data.bin", content)).json() for content in (b"first", b"second")]
    assert len(real.on_disk()) == 2  # the script, and the second: nobody has the first any more
    for wanted in (first["id"], "nowhere", "", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")):
        refused = await real.client.delete(f"{place}/attachments", params={"attachmentId": wanted})
        assert refused.status_code == (404 if wanted else 400)
    await upload(real, place, "say.js", b"own")
    removed = await real.client.delete(f"{place}/attachments", params={"attachmentId": second["id"]})
    assert (removed.status_code, removed.content) == (204, b"")
    assert (await real.client.get(f"{place}/attachments", params={"attachmentId": "data.bin"})).status_code == 404
    assert (await real.client.delete(f"{place}/attachments", params={"attachmentId": "say.js"})).status_code == 204
    needed = await real.client.delete(f"{place}/attachments", params={"attachmentId": "say.js"})
    assert (needed.status_code, codes(needed)) == (400, ["STATE_CONFLICT"])
    assert (await real.client.get(f"{place}/attachments", params={"attachmentId": "say.js"})).content == SCRIPT
    assert real.on_disk() == [hashlib.sha256(SCRIPT).hexdigest()]


async def test_a_file_that_a_value_names_is_taken_away_only_after_the_value(real: Real, root: str) -> None:
    source = document(inputs={"config": {"type": "file", "required": False}})
    created = await real.create(source, root)
    order = {"workflowId": created["id"], "contextType": "NONE", "debugStepIds": ["a"], "assignments": {"config": "c.txt"}}
    parts: list[Any] = [("workflowExecution", json_part(order)), ("files", ("c.txt", b"content"))]
    execution = (await real.client.post(f"{root}/workflowExecution", files=parts)).json()
    wanted = {"attachmentId": "c.txt"}
    refused = await real.client.delete(f"{execution['links']['self']}/attachments", params=wanted)
    assert (refused.status_code, codes(refused)) == (400, ["FILE_IN_USE"])
    assert "values.config" in messages(refused)[0]
    await real.client.post(f"{OWN}/executions/{execution['id']}/values", json={"values": {"config": None}})
    assert (await real.client.delete(f"{execution['links']['self']}/attachments", params=wanted)).status_code == 204
    assert real.on_disk() == []


async def test_a_file_for_an_execution_that_is_not_there_leaves_nothing(real: Real, root: str) -> None:
    place = await paused(real, root)
    answers = [
        await upload(real, f"{root}/workflowExecution/nowhere", "f", b"x"),
        await upload(real, place, "f", b"x" * (LIMIT + 1)),
        await real.client.post(f"{place}/attachments", files=[("file", ("a", b"1")), ("file", ("b", b"2"))]),
        await real.client.post(f"{place}/attachments", json={}),
        await upload(real, place, "f", b"x", **{"x-stepswitch-reason": "y" * 1_001}),
    ]
    assert [each.status_code for each in answers] == [404, 413, 400, 400, 400]
    assert real.on_disk() == [hashlib.sha256(SCRIPT).hexdigest()]
    assert list((await real.client.get(place)).json()["attachments"]) == ["say.js"]


async def test_of_many_who_replace_one_file_each_is_told_what_became_of_his(real: Real) -> None:
    place = await paused(real, PLAIN)
    answers = await asyncio.gather(*(upload(real, place, "say.js", str(number).encode()) for number in range(6)))
    assert {each.status_code for each in answers} <= {200, 400}
    stored = [each.json() for each in answers if each.status_code == 200]
    assert all(codes(each) == ["MOVED_ON"] for each in answers if each.status_code == 400)
    assert stored
    now = await real.client.get(f"{place}/attachments", params={"attachmentId": "say.js"})
    assert hashlib.sha256(now.content).hexdigest() in [each["sha256"] for each in stored]
    assert len(real.on_disk()) == 2


async def test_executions_and_revisions_keep_a_file_that_was_removed(real: Real) -> None:
    place = await with_file(real)
    execution = await real.execute(place.rpartition("/")[2])
    removed = await real.client.delete(f"{place}/attachments", params={"attachmentId": "say.js"})
    assert (removed.status_code, removed.content) == (204, b"")
    assert (await real.client.get(f"{place}/attachments", params={"attachmentId": "say.js"})).status_code == 404
    assert (await real.client.delete(f"{place}/attachments", params={"attachmentId": "say.js"})).status_code == 404
    own = f"{execution['links']['self']}/attachments"
    assert (await real.client.get(own, params={"attachmentId": "say.js"})).content == SCRIPT
    workflow_id = place.rpartition("/")[2]
    assert (await real.client.post(f"{OWN}/workflows/{workflow_id}/revisions/1/restore")).status_code == 200
    assert (await real.execute(workflow_id))["outputs"] == {"said": "from a file"}
    await real.client.delete(place)
    assert (await real.client.get(own, params={"attachmentId": "say.js"})).content == SCRIPT


async def test_a_file_goes_with_the_last_that_has_it(real: Real) -> None:
    places = [await with_file(real) for _ in range(2)]
    execution = await real.execute(places[0].rpartition("/")[2])
    assert len(real.on_disk()) == 1
    for place in places:
        assert (await real.client.delete(place)).status_code == 204
        assert len(real.on_disk()) == 1
    await real.service.conductor._store.delete(execution["id"])
    await real.service.files.sweep()
    assert real.on_disk() == []


async def test_a_file_of_a_refused_request_leaves_nothing(real: Real, root: str) -> None:
    good = await real.create(READS_FILE | {"readOnly": True}, root)
    place = f"{root}/workflow/{good['id']}"
    order = {"workflowId": "nowhere", "contextType": "NONE"}
    answers = [
        await real.client.post(f"{root}/workflow", files=[("files", ("say.js", SCRIPT)), ("workflow", json_part({"name": 5}))]),
        await real.client.post(f"{root}/workflow", files=[("files", ("say.js", SCRIPT))]),
        await real.client.post(
            f"{root}/workflow", files=[("workflow", json_part(READS_FILE)), ("strange", b"x"), ("files", ("say.js", SCRIPT))]
        ),
        await real.client.post(f"{root}/workflow", files=[("workflow", json_part(READS_FILE)), *[("files", ("say.js", SCRIPT))] * 2]),
        await real.client.post(f"{root}/workflowExecution", files=[("workflowExecution", json_part(order)), ("files", ("say.js", SCRIPT))]),
        await upload(real, place, "say.js", SCRIPT),
        await upload(real, f"{root}/workflow/nowhere", "say.js", SCRIPT),
        await upload(real, place, "say.js", SCRIPT, **{"If-Match": '"old"'}),
        await real.client.post(f"{place}/attachments", files=[("file", ("a", b"1")), ("file", ("b", b"2"))]),
    ]
    assert [each.status_code for each in answers] == [400, 400, 400, 400, 404, 403, 404, 412, 400]
    assert real.on_disk() == []
    assert (await real.client.get(place)).json() == good


async def test_a_file_over_its_limit_is_413(real: Real, root: str) -> None:
    place = f"{root}/workflow/{(await real.create(READS_FILE, root))['id']}"
    added = await upload(real, place, "data.bin", b"x" * (LIMIT + 1))
    document_too_large = [("workflow", json_part(READS_FILE | {"description": "x" * 100_001}))]
    created = await real.client.post(f"{root}/workflow", files=document_too_large)
    for answer in (added, created):
        assert (answer.status_code, codes(answer)) == (413, ["BODY_TOO_LARGE"])
    assert real.on_disk() == []


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..", ".", "/etc/passwd", "a\\b", "x\0y", "é 文件.txt", 'quo"te', "line\r\nbreak: x", " ", "x" * 5_000, "%2e%2e%2f", "-rf", "\u202egpj.exe"],
    ids=lambda name: ascii(name[:30]),
)  # fmt: skip
async def test_a_strange_name_is_only_a_name(real: Real, name: str) -> None:
    place = f"{PLAIN}/workflow/{(await real.create(READS_FILE))['id']}"
    added = await upload(real, place, name, b"content")
    assert added.status_code == 200, added.text
    answer = await real.client.get(f"{place}/attachments", params={"attachmentId": added.json()["id"]})
    assert answer.content == b"content"
    disposition = answer.headers["content-disposition"]
    assert disposition.isascii()
    assert not set(disposition) & set("/\\\r\n\0")
    assert 'filename="..' not in disposition
    assert real.on_disk() == [hashlib.sha256(b"content").hexdigest()]
    assert (await real.client.get(place)).json()["attachments"][added.json()["key"]]["reference"] == added.json()["reference"]
    sent_back = await real.client.post(place, json=(await real.client.get(place)).json())
    assert sent_back.status_code == 200, sent_back.text


async def test_a_file_that_is_not_here_makes_a_draft(real: Real, root: str) -> None:
    answer = await real.client.put(
        f"{root}/workflow", json=READS_FILE | {"attachments": {"say.js": {"id": "elsewhere", "reference": "say.js"}}}
    )
    assert answer.status_code == 200
    assert int(answer.headers["x-stepswitch-warnings"]) == 1
    queued = await real.client.put(f"{root}/workflowExecution", json={"workflowId": answer.json()["id"], "contextType": "NONE"})
    assert (queued.status_code, codes(queued)) == (400, ["DRAFT"])
    assert messages(queued)[0].startswith("attachments.say.js.id: ")
    await upload(real, f"{root}/workflow/{answer.json()['id']}", "say.js", SCRIPT)
    assert (await real.execute(answer.json()["id"], root))["outputs"] == {"said": "from a file"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=", b""),
        ("multipart/form-data; boundary=" + "x" * 500, b""),
        ("application/json", b"{}"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"--b"),
        ("multipart/form-data; boundary=b", b"no boundary at all"),
        ("multipart/form-data; boundary=b", b"--b--"),
        ("multipart/form-data; boundary=b", b"--b x\r\n\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\ncontent\r\n--b--"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\ncontent\r\n--b--"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\ncontent\r\n--b--'),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\ncontent'),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\ncontent\r\n--b--'),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"x" * 200_000),
    ],
)
async def test_a_body_that_is_no_multipart_is_400_and_leaves_nothing(real: Real, kind: str, body: bytes) -> None:
    place = f"{PLAIN}/workflow/{(await real.create(READS_FILE))['id']}"
    answer = await real.client.post(f"{place}/attachments", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400, answer.text
    assert messages(answer)
    assert real.on_disk() == []


async def test_a_content_that_looks_like_a_boundary_is_content(real: Real) -> None:
    place = f"{PLAIN}/workflow/{(await real.create(READS_FILE))['id']}"
    content = b"\r\n--x\r\n--boundar\r\n\r\n--boundary\n--\r--boundary" * 5_000
    head = b'--boundary1\r\nContent-Disposition: form-data; name="file"; filename="f"\r\nX: y\r\n\r\n'
    answer = await real.client.post(
        f"{place}/attachments",
        content=b"preamble\r\n" + head + content + b"\r\n--boundary1--\r\nepilogue",
        headers={"Content-Type": 'multipart/form-data; boundary="boundary1"'},
    )
    assert answer.status_code == 200, answer.text
    assert (await real.client.get(f"{place}/attachments", params={"attachmentId": "f"})).content == content


async def test_a_caller_that_goes_away_leaves_nothing(real: Real) -> None:
    workflow_id = (await real.create(READS_FILE))["id"]
    reader, writer = await asyncio.open_connection(real.client.base_url.host, real.client.base_url.port)
    token = real.client.headers["x-hm-authorization"]
    writer.write(
        f"POST {PLAIN}/workflow/{workflow_id}/attachments HTTP/1.1\r\nHost: h\r\nx-hm-authorization: {token}\r\nContent-Length: 1000000\r\n"
        'Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'.encode()
        + b"x" * 100_000
    )
    await writer.drain()
    writer.write_eof()
    async with asyncio.timeout(20):
        assert await reader.read() == b""  # the connection is closed from there too
    writer.close()
    assert "attachments" not in (await real.client.get(f"{PLAIN}/workflow/{workflow_id}")).json()
    await real.service.files.sweep()
    assert real.on_disk() == []
