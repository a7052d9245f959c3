"""Risk: a request that is sent again with its key makes a second execution, or is answered with what another request has made."""

import asyncio
import gzip
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from stepswitch.api.wire import models
from stepswitch.api.wire.idempotency import idempotency_key
from stepswitch.domain.errors import CommitInDoubtError, InvalidRequestError
from stepswitch.engine.body_digests import BodyDigests, may_be_same
from stepswitch.engine.callers import Caller
from stepswitch.engine.records import RequestMark
from stepswitch.storage.executions import SqlExecutionStore
from stepswitch.storage.requests import SqlRequestStore
from tests.api.house import PLAIN, TENANT, codes, messages
from tests.api.real import Real, real_service
from tests.api.test_attachments import READS_FILE, SCRIPT, json_part
from tests.domain.documents import document

HELD = document(steps={"a": {"type": "NOOP"}})


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with real_service(tmp_path) as running:
        yield running


async def order(real: Real, **more: Any) -> dict[str, Any]:
    return {"workflowId": (await real.create(HELD))["id"], "contextType": "NONE", "debugStepIds": ["a"], **more}


async def put(real: Real, body: Any, key: str | bytes | None = "k1", root: str = PLAIN, **headers: Any) -> httpx.Response:
    sent = {**headers} if key is None else {"Idempotency-Key": key, **headers}
    return await real.client.put(f"{root}/workflowExecution", json=body, headers=sent)


async def made(real: Real) -> list[str]:
    """Return the ids of all executions that there are."""
    return [each["id"] for each in (await real.client.get(f"{PLAIN}/workflowExecution")).json()]


async def test_a_request_that_is_sent_again_is_answered_with_what_it_made_as_it_is_now(real: Real, root: str) -> None:
    body = await order(real)
    first = await put(real, body, root=root)
    assert (first.status_code, first.json()["status"]) == (200, "PAUSED")
    assert "x-stepswitch-repeated" not in first.headers
    await real.client.post(f"{first.json()['links']['self']}/resume")
    await real.ended.wait_for(first.json()["id"])
    again = await put(real, body, root=root)
    assert (again.status_code, again.headers["x-stepswitch-repeated"]) == (200, "true")
    assert again.json() == (await real.client.get(first.json()["links"]["self"])).json()
    assert again.json()["status"] == "COMPLETED"
    models.WorkflowExecution.model_validate(again.json())
    assert await made(real) == [first.json()["id"]]
    other = await put(real, body, "k2", root=root)
    assert (other.status_code, other.json()["id"] == first.json()["id"]) == (200, False)


async def test_a_key_is_the_same_under_both_roots_and_however_the_body_is_packed(real: Real) -> None:
    body = await order(real)
    first = await put(real, body, root=PLAIN)
    packed = {"Idempotency-Key": "k1", "Content-Encoding": "gzip", "Content-Type": "application/json"}
    answers = [
        await put(real, body, root=TENANT),
        await real.client.put(f"{TENANT}/workflowExecution", content=gzip.compress(first.request.content), headers=packed),
    ]
    assert [each.json()["id"] for each in answers] == [first.json()["id"]] * 2


async def test_of_many_at_once_one_makes_it_and_all_are_answered_with_it(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    body, many = await order(real), 8
    looked, looks = asyncio.Barrier(many), 0
    find = SqlRequestStore.keyed

    async def together(store: SqlRequestStore, tenant: str, user: str, key: str) -> RequestMark | None:
        """Let nobody go on before everybody has found nothing."""
        nonlocal looks
        looks += 1
        found = await find(store, tenant, user, key)
        if looks <= many:
            assert found is None
            await looked.wait()
        return found

    monkeypatch.setattr(SqlRequestStore, "keyed", together)
    answers = await asyncio.gather(*(put(real, body) for _ in range(many)))
    assert {each.status_code for each in answers} == {200}
    assert looks == 2 * many - 1
    assert sum("x-stepswitch-repeated" not in each.headers for each in answers) == 1
    assert [each.json()["id"] for each in answers] == await made(real) * many


@pytest.mark.parametrize("change", [{"assignments": {}}, {"pauseAtFailure": True}, {"debugStepIds": []}])
async def test_a_key_that_had_another_request_is_400_and_makes_nothing(real: Real, root: str, change: dict[str, Any]) -> None:
    body = await order(real)
    first = await put(real, body, root=root)
    answer = await put(real, {**body, **change}, root=root)
    assert (answer.status_code, codes(answer)) == (400, ["IDEMPOTENCY_KEY_REUSED"])
    assert messages(answer)[0].startswith("Idempotency-Key: ")
    assert await made(real) == [first.json()["id"]]
    with_files = await real.client.post(
        f"{root}/workflowExecution", files=[("workflowExecution", json_part(body))], headers={"Idempotency-Key": "k1"}
    )
    assert codes(with_files) == ["IDEMPOTENCY_KEY_REUSED"]


async def test_a_key_is_its_senders_own(real: Real) -> None:
    body = await order(real)
    first = await put(real, body)
    other = await put(real, body, **await real.add_user("bob", "System Administrator"))
    assert (other.status_code, "x-stepswitch-repeated" in other.headers) == (200, False)
    assert other.json()["id"] != first.json()["id"]


async def test_what_the_key_made_is_404_once_it_is_deleted_and_is_not_made_again(real: Real, root: str) -> None:
    body = await order(real)
    first = await put(real, body, root=root)
    place = first.json()["links"]["self"]
    await real.client.post(f"{place}/abort")
    assert (await real.client.delete(place)).status_code == 204
    again = await put(real, body, root=root)
    assert (again.status_code, again.content, again.headers["x-error-code"]) == (404, b"", "NOT_FOUND")
    assert await made(real) == []


async def test_what_was_made_is_answered_whatever_became_of_the_workflow(real: Real) -> None:
    body = await order(real)
    first = await put(real, body)
    await real.client.delete(f"{PLAIN}/workflow/{body['workflowId']}")
    assert (await put(real, body)).json()["id"] == first.json()["id"]
    assert (await put(real, body, "k2")).status_code == 404


async def test_a_request_that_was_refused_has_not_used_its_key(real: Real) -> None:
    body = await order(real)
    for wrong in ({**body, "assignments": {"nobody": 1}}, {**body, "workflowId": "nowhere"}, {**body, "slip": 1}):
        assert (await put(real, wrong)).status_code in (400, 404)
    right = await put(real, body)
    assert (right.status_code, "x-stepswitch-repeated" in right.headers) == (200, False)


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"\xc3\xa9", b"a\tb"], ids=ascii)
async def test_a_key_that_cannot_be_one_is_400(real: Real, root: str, key: bytes) -> None:
    body = await order(real)
    answers = [
        await put(real, body, key, root=root),
        await real.client.post(
            f"{root}/workflowExecution", files=[("workflowExecution", json_part(body))], headers=[(b"Idempotency-Key", key)]
        ),
    ]
    for answer in answers:
        assert (answer.status_code, codes(answer)) == (400, ["UNKNOWN_HEADER_VALUE"])
        assert messages(answer)[0].startswith("Idempotency-Key: ")
    assert await made(real) == []


@pytest.mark.parametrize("key", [b" ", b" a", b"a\x7f", b"\0"], ids=ascii)
def test_a_key_that_no_client_can_send_is_none_either(key: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        idempotency_key(Request({"type": "http", "headers": [(b"idempotency-key", key)]}))


async def test_two_keys_are_none(real: Real) -> None:
    headers = [(b"Idempotency-Key", b"k1"), (b"Idempotency-Key", b"k1")]
    answer = await real.client.put(f"{PLAIN}/workflowExecution", json=await order(real), headers=headers)
    assert (answer.status_code, codes(answer)) == (400, ["UNKNOWN_HEADER_VALUE"])


@pytest.mark.parametrize("key", ["~", "a b", '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "x" * 255], ids=len)
async def test_any_printable_key_will_do(real: Real, key: str) -> None:
    body = await order(real)
    first, again = await put(real, body, key), await put(real, body, key)
    assert (first.status_code, again.json()["id"]) == (200, first.json()["id"])


@pytest.mark.parametrize("is_stored", [True, False])
async def test_a_commit_in_doubt_is_cleared_up_by_asking_again(real: Real, monkeypatch: pytest.MonkeyPatch, *, is_stored: bool) -> None:
    body = await order(real)
    store = SqlExecutionStore.create

    async def doubtful(executions: SqlExecutionStore, *saved: Any) -> None:
        monkeypatch.undo()
        if is_stored:
            await store(executions, *saved)
        raise CommitInDoubtError("nobody knows")

    monkeypatch.setattr(SqlExecutionStore, "create", doubtful)
    first, again = [await put(real, body) for _ in range(2)]
    assert (first.status_code, again.status_code) == (200 if is_stored else 503, 200)
    assert again.headers.get("x-stepswitch-repeated") == ("true" if is_stored else None)
    assert await made(real) == [again.json()["id"]]


# --- with files ---


async def post(real: Real, root: str, body: Any, *files: tuple[str, bytes], key: str = "k1", backwards: bool = False) -> httpx.Response:
    parts: list[Any] = [("workflowExecution", json_part(body)), *(("files", file) for file in files)]
    return await real.client.post(f"{root}/workflowExecution", files=parts[::-1] if backwards else parts, headers={"Idempotency-Key": key})


async def test_files_belong_to_what_a_request_is(real: Real, root: str) -> None:
    body = {"workflowId": (await real.create(READS_FILE))["id"], "contextType": "NONE", "debugStepIds": ["a"]}
    first = await post(real, root, body, ("say.js", SCRIPT), ("more", b"1"))
    assert first.status_code == 200, first.text
    on_disk = real.on_disk()
    for backwards in (False, True):  # each has a boundary of its own
        again = await post(real, root, body, ("say.js", SCRIPT), ("more", b"1"), backwards=backwards)
        assert (again.json()["id"], again.headers["x-stepswitch-repeated"]) == (first.json()["id"], "true")
    others = [
        await post(real, root, body, ("say.js", SCRIPT), ("more", b"2")),
        await post(real, root, body, ("say.js", SCRIPT), ("other", b"1")),
        await post(real, root, body, ("say.js", SCRIPT)),
        await post(real, root, {**body, "pauseAtFailure": True}, ("say.js", SCRIPT), ("more", b"1")),
    ]
    assert [codes(each) for each in others] == [["IDEMPOTENCY_KEY_REUSED"]] * 4
    assert await made(real) == [first.json()["id"]]
    assert real.on_disk() == on_disk
    assert (await real.client.get(f"{first.json()['links']['self']}/attachments?attachmentId=more")).content == b"1"


# --- what is kept ---


async def test_a_key_is_good_after_a_new_start_and_after_its_digest_key_was_lost(tmp_path: Path) -> None:
    async with real_service(tmp_path) as real:
        body = await order(real)
        first = (await put(real, body)).json()["id"]
    async with real_service(tmp_path) as real:
        assert (await put(real, body)).json()["id"] == first
        assert codes(await put(real, {**body, "pauseAtFailure": True})) == ["IDEMPOTENCY_KEY_REUSED"]
    (tmp_path / "digest.key").write_bytes(b"damaged")
    async with real_service(tmp_path) as real:
        assert (await put(real, body)).json()["id"] == first  # whether the body is the same cannot be told any more
        assert await made(real) == [first]


def database_of(directory: Path) -> bytes:
    return b"".join(each.read_bytes() for each in directory.glob("stepswitch.db*"))


async def test_the_digest_of_a_body_cannot_be_made_without_a_key_that_is_not_in_the_database(tmp_path: Path) -> None:
    async with real_service(tmp_path) as real:
        body = await order(real)
        answer = await put(real, body)
        mark = await SqlRequestStore(real.service._database).keyed("default", "admin", "k1")
    key = (tmp_path / "digest.key").read_bytes()
    assert stat.S_IMODE((tmp_path / "digest.key").stat().st_mode) == 0o600
    assert mark is not None
    sent = answer.request.content
    assert json.loads(sent) == body
    assert mark.digest == BodyDigests(key).of(Caller("admin"), b"PUT", sent)
    assert mark.digest.partition(".")[2] != BodyDigests(b"another").of(Caller("admin"), b"PUT", sent).partition(".")[2]
    database = database_of(tmp_path)
    assert mark.digest.encode() in database
    assert key not in database
    assert key.hex().encode() not in database


def test_digests_tell_apart_whatever_differs() -> None:
    digests = BodyDigests(b"key")
    ann, bob = Caller("ann"), Caller("bob")
    made = [
        digests.of(ann, b"PUT", b"body"),
        digests.of(bob, b"PUT", b"body"),
        digests.of(Caller("ann", "other"), b"PUT", b"body"),
        digests.of(ann, b"POST", b"body"),
        digests.of(ann, b"PUT", b"bod", b"y"),
        digests.of(ann, b"PUTb", b"ody"),
        digests.of(ann, b"PUT", b"body", b""),
    ]
    assert len(set(made)) == len(made)
    assert not any(may_be_same(made[0], each) for each in made[1:])
    assert may_be_same(made[0], BodyDigests(b"key").of(ann, b"PUT", b"body"))
    assert may_be_same(made[0], BodyDigests(b"lost").of(ann, b"PUT", b"other"))


async def test_a_large_body_is_digested_alike() -> None:
    digests = BodyDigests(b"key")
    large = b"x" * 1_000_000
    assert await digests.of_any(Caller("ann"), large) == digests.of(Caller("ann"), large)
